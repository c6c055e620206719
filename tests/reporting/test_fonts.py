"""Text fits, and nothing in a name can do more than be shown."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsad_tasks.reporting.drawing import fonts
from tsad_tasks.reporting.drawing.fonts import (
    clean_text,
    cut_text,
    font_folder,
    width_of,
    wrap_text,
)
from tsad_tasks.reporting.drawing.theme import TextStyle

quick = settings(max_examples=80, deadline=None, derandomize=True)
STYLE = TextStyle(8)
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "third_party" / "dejavu"


@quick
@given(st.text(max_size=200), st.floats(20, 300))
def test_cut_and_wrapped_text_is_never_wider_than_allowed(text: str, width: float) -> None:
    lines = [cut_text(text, STYLE, width), *wrap_text(text, STYLE, width, 3)]
    assert all(width_of(line, STYLE) <= width + 0.01 for line in lines)
    assert len(lines) <= 4


@quick
@given(st.text(max_size=60))
def test_cleaning_leaves_no_control_or_direction_characters(text: str) -> None:
    cleaned = clean_text(text)
    assert not {"\u202e", "\u200b", "\n", "\x00", "\u2066"} & set(cleaned)
    assert clean_text(cleaned) == cleaned


def test_a_glyph_that_is_missing_becomes_a_box() -> None:
    assert clean_text("fan \U0001f525 µ ≤ m³/h") == "fan □ µ ≤ m³/h"


def test_numbers_stay_with_their_unit_when_wrapped() -> None:
    assert wrap_text("expected is 5.17 ± 0.38 bar", STYLE, 95) == ["expected is", "5.17 ± 0.38 bar"]


def test_the_font_files_are_those_that_were_released() -> None:
    listed = (FOLDER.parent / "README.md").read_text()
    for path in FOLDER.iterdir():
        assert f"| {path.name} | `{hashlib.sha256(path.read_bytes()).hexdigest()}` |" in listed
    assert font_folder() == FOLDER


def test_a_wheel_carries_the_fonts_to_where_they_are_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    carried = settings["targets"]["wheel"]["force-include"]
    monkeypatch.setattr(fonts, "__file__", str(tmp_path / "tsad_tasks/reporting/drawing/fonts.py"))
    assert font_folder() == tmp_path / carried["third_party/dejavu"]


def test_reports_are_drawn_without_importing_pandas_or_keras() -> None:
    code = "import tsad_tasks.reporting.period.pdf, sys;"
    code += "from tsad_tasks.reporting.drawing.fonts import register_fonts; register_fonts();"
    code += "print({'matplotlib', 'pandas', 'keras'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
