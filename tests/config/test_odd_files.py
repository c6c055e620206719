"""Whatever is in a file: within a second it is a dataset, or a clear message on lines of the file.

The kinds are those of benchmarks/odd_files.py, which has thousands of mutations, too.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import yaml
from odd_files import (
    CONDITIONS,
    GOOD,
    JUDGED_S,
    PATTERNS,
    PLACES,
    SCHEDULES,
    VALUES,
    judged,
    kinds,
    mutations,
    shapes,
)

from tsad_tasks.base.errors import ConfigError
from tsad_tasks.config import load_config, sections
from tsad_tasks.config.bounded_yaml import MisreadError, read_yaml
from tsad_tasks.config.presets import preset_names, preset_text
from tsad_tasks.config.sections import EntitySource

KINDS = kinds()
OTHERS = ("shape: ", "condition: ", "schedule: ", "from_table: ")


@pytest.fixture(scope="module", autouse=True)
def _everything_is_imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the first file of a process pays for is not counted against any."""
    judged(tmp_path_factory.mktemp("first") / "room.yaml", GOOD.encode())


def test_the_kinds_are_many_and_the_file_that_they_change_is_a_dataset(tmp_path: Path) -> None:
    n_others = sum(map(len, (CONDITIONS, SCHEDULES, PATTERNS, shapes())))
    assert n_others == sum(kind.startswith(OTHERS) for kind in KINDS) > 90
    assert len(KINDS) == len(VALUES) * len(PLACES) + n_others > 1000
    config, faults, _ = judged(tmp_path / "room.yaml", GOOD.encode())
    assert config is not None
    assert (config.dataset, faults) == ("room", [])


@pytest.mark.parametrize("what", [*VALUES])
def test_a_value_of_any_type_is_judged_wherever_it_stands(tmp_path: Path, what: str) -> None:
    for place in PLACES:
        text = KINDS[f"{what} as {place}"]
        assert judged(tmp_path / "room.yaml", text.encode())[1] == [], place


@pytest.mark.filterwarnings("ignore:Possible nested set")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith(OTHERS)])
def test_any_shape_condition_schedule_and_pattern_is_judged(tmp_path: Path, kind: str) -> None:
    assert judged(tmp_path / "room.yaml", KINDS[kind].encode())[1] == []


def test_random_changes_are_judged(tmp_path: Path) -> None:
    faults = [judged(tmp_path / "room.yaml", content)[1] for content in mutations(150, 1)]
    assert faults == [[]] * 150


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2024-02-30\n", "2: a value that is a YAML timestamp"),
        ("a: 1\nb: !!float ten\n", "2: a value that is a YAML float"),
        (f"a: 1\nb: {2**63}\n", "2: a whole number of at most 64 bits"),
        ("a: 1\n[1]: 2\n", "2: text as a key"),
        ("a: &x 1\nb: *y\n", "2: an alias of an anchor that stands before it"),
        ("a: &x [1]\nb:\n  - *x\n  - [*z, *x]", "4: an alias of an anchor that stands before it"),
        ("a:\n  b: &x 1\n  b: 2\n", "3: each key once"),
        (
            "a: 1\nb: !!set {c}\n",
            "2: a value without a tag, or with one of !!str, !!int, !!float, !!bool, !!null, "
            "!!timestamp",
        ),
        ("a: 1\nb: " + "x" * 10_001, "2: at most 10,000 characters"),
        ("a: 1\nb: " + "[" * 30, "2: a mapping of at most 20 levels"),
        (
            "a: &a [" + "x, " * 500 + "]\nb: [" + "*a, " * 40 + "]",
            "2: at most 20,000 keys and values, those that aliases repeat included",
        ),
        ("%X\n" * 11, "1: at most 10 lines that begin with %"),
        ("a: 1\nb: \ufeff", "2: text without control characters"),
        ("a: 1\nb: {", "3: YAML, indented with spaces"),
    ],
)
def test_what_is_out_of_bounds_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(MisreadError) as caught:
        read_yaml(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", [GOOD, *map(preset_text, preset_names())])
def test_values_are_those_that_yaml_itself_reads(text: str) -> None:
    assert read_yaml(text)[1] == yaml.safe_load(text)


def test_an_equals_sign_is_a_text() -> None:
    assert read_yaml("{=: 1, unit: =}")[1] == {"=": 1, "unit": "="}


def test_a_file_of_any_size_is_read_no_further_than_it_may_be_large(tmp_path: Path) -> None:
    path = tmp_path / "room.yaml"
    with path.open("wb") as stream:
        stream.truncate(10**12)
    began_s = time.process_time()
    with pytest.raises(ConfigError, match="at most 1,000,000 bytes"):
        load_config(path)
    assert time.process_time() - began_s < JUDGED_S


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "room.yaml"
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="Received: a pipe, socket or device"):
        load_config(path)


def test_of_many_mistakes_the_first_are_told_and_all_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "room.yaml"
    path.write_text(GOOD + "".join(f"k{i}: {i}\n" for i in range(5000)), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    lines = str(caught.value).splitlines()
    assert (len(lines), lines[-1]) == (21, f"{path}: and 4,980 more.")


def test_a_name_with_two_lines_is_one_line_of_a_message(tmp_path: Path) -> None:
    path = tmp_path / "room.yaml"
    path.write_text(GOOD + '"a: Expected\\nb": 1\n', encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}:27: a: Expected\\nb: Expected one of dataset, ")
    assert len(str(caught.value).splitlines()) == 1


def test_a_pattern_that_goes_on_for_ever_ends_with_a_config_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sections, "_MATCHED_S", 0.1)
    entity = EntitySource(from_table="((a|a?)+)b")
    with pytest.raises(ConfigError, match="from_table: Expected a pattern that is matched within"):
        entity.name_in("a" * 63)
    assert entity.name_in("aab") == "aa"
    assert entity.name_in("machine") is None
