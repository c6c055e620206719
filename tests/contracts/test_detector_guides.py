"""Every detector has a guide: a section to copy into a dataset file, and its settings."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tsad_tasks.base.places import project_folder
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.registry import DETECTORS

GUIDES = project_folder() / "docs" / "guides" / "detectors"
SOURCE: dict[str, Any] = {
    "connection": "plant",
    "tables": "t",
    "time": {"column": "at"},
    "entity": {"column": "host"},
}


def guide(name: str) -> str:
    return (GUIDES / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", DETECTORS)
def test_its_section_makes_a_dataset_file(name: str) -> None:
    [section] = re.findall(r"```yaml\n(.*?)```", guide(name), re.DOTALL)
    source = SOURCE | {"step": "1min", "channels": {"cpu": {}}}
    fields = {"dataset": "guide", "source": source} | yaml.safe_load(section)
    assert DatasetConfig.model_validate(fields).detector.name == name


@pytest.mark.parametrize("name", DETECTORS)
def test_it_says_what_each_setting_means(name: str) -> None:
    described = re.findall(r"^\| `(\w+)` \| .+? \| (.{15,}) \|$", guide(name), re.MULTILINE)
    fields = DETECTORS[name].settings_model.model_fields
    assert described == [(key, field.description) for key, field in fields.items()]


@pytest.mark.parametrize("name", DETECTORS)
def test_a_description_stands_alone(name: str) -> None:
    fields = DETECTORS[name].settings_model.model_fields
    for field in fields.values():
        assert re.fullmatch(r"[A-Z0-9].{10,}\.", field.description or ""), field.description


def test_no_guide_is_left_over() -> None:
    assert {path.stem for path in GUIDES.iterdir()} == set(DETECTORS)
