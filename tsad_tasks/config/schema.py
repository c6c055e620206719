"""What editors are told about dataset files."""

from __future__ import annotations

import json

from tsad_tasks.config.dataset import DatasetConfig
from tsad_tasks.config.descriptions import descriptions, summary
from tsad_tasks.config.sections import FileSection


def json_schema() -> str:
    """JSON schema of a dataset file, for editors."""
    schema = DatasetConfig.model_json_schema(by_alias=True)
    schema["properties"]["score_every"]["default"] = "1h"
    for section in FileSection.__subclasses__():
        shown = schema if section is DatasetConfig else schema["$defs"][section.__name__]
        shown["description"] = summary(section)
        for key, text in descriptions(section).items():
            described = shown["properties"][key] | {"description": text}
            shown["properties"][key] = dict(sorted(described.items()))
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
