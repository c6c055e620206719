"""All detectors are found whenever Airflow reads its DAGs, so that must cost next to nothing."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests.dags.dag_report import HEAVY
from tsad_tasks.base.errors import BadInput
from tsad_tasks.detectors.registry import DETECTORS, register

# Pydantic's own cost is paid before: a model, its fields, and one look at a value.
FIND_ALL = """
import json, resource, sys
from pydantic import BaseModel, Field, model_validator
class Warm(BaseModel):
    value: int = Field(1, ge=0)
Warm.model_validate({})
before = resource.getrusage(resource.RUSAGE_SELF)
from tsad_tasks.detectors.registry import DETECTORS
names = list(DETECTORS)
after = resource.getrusage(resource.RUSAGE_SELF)
cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(json.dumps([names, cpu_s, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def test_finding_all_loads_nothing_heavy_and_takes_a_fifth_of_a_second_at_most() -> None:
    run = subprocess.run(
        [sys.executable, "-c", FIND_ALL], capture_output=True, text=True, check=True
    )
    names, cpu_s, loaded = json.loads(run.stdout)
    assert names == list(DETECTORS)
    assert not (HEAVY | {"numpy", "scipy", "upath"}) & set(loaded)
    assert cpu_s <= 0.2


FIND_ONE = """
import sys
from tsad_tasks.detectors.registry import DETECTORS
found = {name: DETECTORS[name] for name in sys.argv[1:]}
print(*(name for name in sys.modules if name.startswith("tsad_tasks.detectors.")))
"""


@pytest.mark.parametrize(
    ("asked", "is_all"), [("state_head", False), ("lstm_vae", False), ("three_sigma", True)]
)
def test_a_name_imports_the_file_of_that_name_alone_where_there_is_one(
    asked: str, is_all: bool
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", FIND_ONE, asked], capture_output=True, text=True, check=True
    )
    loaded = set(run.stdout.split())
    assert DETECTORS[asked].__module__ in loaded
    others = {DETECTORS[name].__module__ for name in ("event_head", "isolation_forest")}
    assert others & loaded == (others if is_all else set())


@pytest.mark.parametrize("name", DETECTORS)
def test_a_variant_imports_only_what_is_light(name: str) -> None:
    module = import_module(DETECTORS[name].__module__)
    folder = module.__name__.rpartition(".")[0]
    light = ("tsad_tasks.base", "tsad_tasks.detectors.base", "tsad_tasks.detectors.fitting")
    light += (
        "tsad_tasks.detectors.inference.onnx_detector",
        "tsad_tasks.detectors.registry",
        folder,
    )
    variants = {DETECTORS[other].__module__ for other in DETECTORS}
    for node in ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            is_ours = str(found).startswith(light) and found not in variants
            package = str(found).partition(".")[0]
            assert is_ours or package in sys.stdlib_module_names | {"pydantic"}, found


def test_a_name_is_given_once() -> None:
    with pytest.raises(BadInput, match=r"Expected a new name of a detector\. Received: level"):
        register("level")(DETECTORS["range"])
    assert DETECTORS["range"].name == "range"
