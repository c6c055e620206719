"""Every detector has a section to copy, and the table of names tells the truth."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tsad_tasks.base.places import project_folder
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.names import DETECTORS, FOLDING
from tsad_tasks.detectors.registry import detector_class

GUIDES = project_folder() / "docs" / "guides" / "detectors"
SOURCE: dict[str, Any] = {
    "connection": "plant",
    "tables": "t",
    "time": {"column": "at"},
    "entity": {"column": "host"},
}


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_its_section_makes_a_dataset_file(name: str) -> None:
    section = yaml.safe_load((GUIDES / f"{name}.yaml").read_text(encoding="utf-8"))
    source = SOURCE | {"step": "1min", "channels": {"cpu": {}}}
    assert (
        DatasetConfig.model_validate({"dataset": "guide", "source": source} | section).detector.name
        == name
    )


def test_no_section_is_left_over() -> None:
    assert {path.stem for path in GUIDES.glob("*.yaml")} == set(DETECTORS)


def test_the_table_knows_which_detectors_fold() -> None:
    assert {name for name in DETECTORS if detector_class(name).folds} == set(FOLDING)
