"""What editors are told about dataset files."""

from __future__ import annotations

import ast
import inspect
import json
from itertools import pairwise
from typing import Any

from tsad_tasks.config.dataset import DatasetConfig
from tsad_tasks.config.sections import FileSection


def json_schema() -> str:
    """JSON schema of a dataset file, for editors."""
    schema = DatasetConfig.model_json_schema(by_alias=True)
    schema["properties"]["score_every"]["default"] = "1h"
    for section in FileSection.__subclasses__():
        shown = schema if section is DatasetConfig else schema["$defs"][section.__name__]
        # Pydantic could read what stands beneath fields, too, but would whenever a DAG is imported.
        defined: Any = ast.parse(inspect.getsource(section)).body[0]
        for field, beneath in pairwise(defined.body):
            if (type(field), type(beneath)) == (ast.AnnAssign, ast.Expr):
                name = section.model_fields[field.target.id].alias or field.target.id
                text = " ".join(beneath.value.value.split())
                described = shown["properties"][name] | {"description": text}
                shown["properties"][name] = dict(sorted(described.items()))
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
