"""What editors are told about dataset files."""

from __future__ import annotations

import json

from tsad_tasks.config.dataset import DatasetConfig


def json_schema() -> str:
    """JSON schema of a dataset file, for editors."""
    schema = DatasetConfig.model_json_schema(by_alias=True)
    schema["properties"]["score_every"]["default"] = "1h"
    # Descriptions come from docstrings, whose line breaks are none of the reader's.
    return json.dumps(schema, indent=2, ensure_ascii=False).replace(r"\n", " ") + "\n"
