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
        for name, text in _descriptions(section).items():
            field = section.model_fields[name].alias or name
            described = shown["properties"][field] | {"description": text}
            shown["properties"][field] = dict(sorted(described.items()))
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _descriptions(section: type[FileSection]) -> dict[str, str]:
    """What stands beneath the fields. Pydantic could read it too, whenever a DAG is imported."""
    defined: Any = ast.parse(inspect.getsource(section)).body[0]
    return {
        field.target.id: " ".join(beneath.value.value.split())
        for field, beneath in pairwise(defined.body)
        if (type(field), type(beneath)) == (ast.AnnAssign, ast.Expr)
    }
