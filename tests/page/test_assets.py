"""The chart library is the one that was released, and a wheel has it where it is looked for."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import pytest

from tsad_tasks.base.places import project_folder
from tsad_tasks.page import render

ROOT = project_folder()


def test_the_chart_library_is_the_one_that_was_released() -> None:
    folder = ROOT / "third_party" / "uplot"
    listed = (ROOT / "third_party" / "README.md").read_text(encoding="utf-8")
    paths = list(folder.iterdir())
    assert len(paths) == 3
    for path in paths:
        assert f"| {path.name} | `{hashlib.sha256(path.read_bytes()).hexdigest()}` |" in listed
    assert render.chart_folder() == folder


def test_a_wheel_carries_the_chart_library_to_where_it_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    carried = settings["targets"]["wheel"]["force-include"]
    folder = tmp_path / "tsad_tasks" / "page"
    monkeypatch.setattr(render, "__file__", str(folder / "render.py"))
    monkeypatch.setattr(render, "_FOLDER", folder)
    assert render.chart_folder() == tmp_path / carried["third_party/uplot"]


def test_one_file_alone_knows_the_chart_library() -> None:
    scripts = (Path(render.__file__).parent / "static").glob("*.js")
    knowing = [path.name for path in scripts if "uPlot" in path.read_text(encoding="utf-8")]
    assert knowing == ["charts.js"]
