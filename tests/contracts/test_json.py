"""Every command that lists rows takes `--json`: then stdout is one JSON object and nothing else,
with the keys that docs/reference/json.md has.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from tests.cli.test_commands import Tsad, tsad
from tests.plants.trained import END_AT, SPLIT_AT, Plant
from tsad_tasks.base.errors import BadInput, NothingToDo
from tsad_tasks.base.places import project_folder
from tsad_tasks.cli import screen
from tsad_tasks.cli.commands import app
from tsad_tasks.cli.keys import keys_page, listed
from tsad_tasks.cli.screen import Listing, Shown, json_document, say, table

__all__ = ["tsad"]
ROOT = project_folder()
SHOWS_ROWS = {"table", "list_rows"}
# Their own form is older than the common one.
OF_THEIR_OWN = {"tsad health", "tsad datasets draft"}
SPAN = ("--from", SPLIT_AT.isoformat(), "--to", END_AT.isoformat())
# Commands over a trained plant that take no longer than a few seconds, and how they end.
RUNS: list[tuple[tuple[str, ...], int]] = [
    (("datasets", "list"), 0),
    (("datasets", "check"), 0),
    (("datasets", "check", "nowhere"), 2),
    (("score", "room", *SPAN), 2),
    (("models", "room"), 0),
    (("models", "room", "--history"), 0),
    (("shadow", "room"), 0),
    (("rules",), 0),
    (("rules", "--markdown"), 0),
    (("anomalies", "room"), 0),
    (("anomalies", "room", "--readings"), 0),
    (("rescore", "room", *SPAN, "--what-if", "1"), 0),
    (("notify", "room", "--pending"), 0),
    (("labels", "room"), 0),
    (("maintenance", "list", "room"), 0),
    (("epoch", "list", "room"), 0),
    (("entities", "room"), 0),
    (("prune", "room", "--dry-run", "--older-than", "90d"), 0),
    (("datasets", "watch", "room", "--for", "1s", "--every", "1s"), 0),
    (("status",), 0),
]
ROWS = Listing("rows", ("name", "delay_s"), ("who", "after"), of=("week",))


def _commands() -> Iterator[tuple[str, Any]]:
    def walk(command: Any, path: str) -> Iterator[tuple[str, Any]]:
        for name, one in getattr(command, "commands", {}).items():
            yield from walk(one, f"{path} {name}")
        if not getattr(command, "commands", {}):
            yield path, command

    return walk(typer.main.get_command(app), "tsad")


def _callers() -> dict[str, set[str]]:
    """Names that each function of the commands' files calls or hands on."""
    return {
        node.name: {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
        for path in (ROOT / "tsad_tasks" / "cli").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }


def _shows_rows(function: str, names: dict[str, set[str]]) -> bool:
    seen, waiting = set(), [function]
    while waiting:
        if (one := waiting.pop()) not in seen:
            seen.add(one)
            waiting += names.get(one, set())
    return bool(seen & SHOWS_ROWS)


def test_every_command_that_shows_a_table_takes_json_and_no_other_does() -> None:
    names, takes = _callers(), set()
    for path, command in _commands():
        if any("--json" in one.opts for one in command.params):
            takes.add(path)
    shows = {
        path
        for path, command in _commands()
        if _shows_rows(inspect.unwrap(command.callback).__name__, names)
    }
    assert {"tsad anomalies", "tsad retrain", "tsad labels", "tsad demo"} <= shows
    assert takes == shows | OF_THEIR_OWN
    assert {one.command for one in listed()} == takes - OF_THEIR_OWN


def test_the_page_of_keys_is_current() -> None:
    page = (ROOT / "docs" / "reference" / "json.md").read_text(encoding="utf-8")
    assert page == keys_page(), "python -m tsad_tasks.cli.keys > docs/reference/json.md"


def test_commands_over_a_plant_print_json_alone_with_the_keys_of_the_page(
    tsad: Tsad, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TSAD_DATABASE_URI", "TSAD_CONNECTION_ROOM"):
        monkeypatch.setenv(name, plant.uri)
    tsad("score", "room", *SPAN)
    lists = {one.command: {table.key: table for table in one.listings} for one in listed()}
    filled = set()
    for command, code in RUNS:
        said = tsad(*command, "--json")
        assert said.code == code, (command, said.err)
        path = next(path for path in lists | {"tsad score": 0} if _names(path, command))
        if path == "tsad score":
            assert said.out == ""
            continue
        found = json.loads(said.out)
        assert found.keys() == lists[path].keys()
        for key, rows in found.items():
            filled |= {(path, key)} if rows else set()
            assert {tuple(row) for row in rows} <= {lists[path][key].keys}
    assert {
        ("tsad anomalies", "incidents"), ("tsad anomalies", "readings"), ("tsad models", "models"),
        ("tsad models", "decisions"), ("tsad rules", "rules"), ("tsad entities", "entities"),
        ("tsad rescore", "compared"), ("tsad status", "datasets"), ("tsad prune", "bundles"),
        ("tsad datasets list", "datasets"), ("tsad datasets check", "findings"),
    } <= filled  # fmt: skip


def _names(path: str, command: tuple[str, ...]) -> bool:
    words = path.split()[1:]
    return list(command[: len(words)]) == words


def test_what_is_said_goes_to_stderr_and_values_are_for_programs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with json_document([ROWS]):
        say("two found")
        rows = [("host-1", Shown(90, "1 min 30 s")), ("host-2", float("nan"))]
        table(ROWS, "Week 3", rows, of={"week": 3})
    said = capsys.readouterr()
    assert said.err == "two found\n"
    assert json.loads(said.out) == {
        "rows": [
            {"week": 3, "name": "host-1", "delay_s": 90},
            {"week": 3, "name": "host-2", "delay_s": None},
        ]
    }


def test_nothing_to_do_is_an_empty_list_and_an_error_is_no_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with json_document([ROWS]):
        raise NothingToDo("Nothing was ingested.")
    said = capsys.readouterr()
    assert (json.loads(said.out), said.err) == ({"rows": []}, "Nothing was ingested.\n")
    with pytest.raises(BadInput), json_document([ROWS]):
        raise BadInput("Expected a week. Received: none.")
    assert capsys.readouterr().out == ""


def test_without_a_terminal_a_line_says_how_far_it_is_every_ten_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = [0.0]
    monkeypatch.setattr(screen, "monotonic", lambda: at[0])
    with json_document([ROWS]), screen.progress("replay", 8) as advance:
        # A minute that is none of the steps, each of which takes four seconds.
        at[0] += 60
        advance(0, "trained")
        for _ in range(8):
            at[0] += 4
            advance(1, "2026-03-01")
    said = capsys.readouterr()
    assert json.loads(said.out) == {"rows": []}
    assert said.err.splitlines() == [
        "replay: 0 of 8 (0%), trained; 1 min",
        "replay: 3 of 8 (38%), 2026-03-01; 1 min 12 s, about 20 s left",
        "replay: 6 of 8 (75%), 2026-03-01; 1 min 24 s, about 8 s left",
        "replay: done",
    ]
