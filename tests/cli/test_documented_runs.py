"""Every command that a page or message proposes is run, with the names of a small trained plant in
the place of the page's: it ends as it says.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from devstack.postgres import BROWSER, ON_CALL, PIPELINE
from tests.cli.test_commands import Tsad, tsad
from tests.cli.test_stops import at_plant
from tests.contracts.test_documented_commands import PROPOSED, TSAD
from tests.plants.trained import SPLIT_AT, Plant
from tsad_tasks.base.interval import HOUR

__all__ = ["at_plant", "tsad"]
# What starts or stops programs, simulates, lives through weeks, reads a file or another system's
# tables: tests of their own do.
ELSEWHERE = {"up", "down", "demo", "simulate", "history", "load-csv", "datasets draft", "rehearse"}
# The only champion stays one, and there is nobody to go back to.
REFUSED = {"promote": "champion", "rollback": "champion"}
START, END = (f"{at:%Y-%m-%dT%H:%M}" for at in (SPLIT_AT, SPLIT_AT + 5 * HOUR))
VALUES = {
    "--from": START, "--to": END, "--end": START, "--entity": "host-01", "--model": "1",
    "--what-if": "1", "--reader": BROWSER, "--operator": ON_CALL, "--writer": PIPELINE,
    "--csv": "known.csv", "--for": "1s",
}  # fmt: skip
# Of a command: what it names, in the plant. Others name a dataset.
NAMES = {
    "retire": ["room", "host-01"],
    "unretire": ["room", "host-01"],
    "verdict": ["INCIDENT"],
    "label": ["room", "host-01"],
    "new-normal": ["room", "host-01"],
    "epoch add": ["room", "host-01", "temperature"],
    "epoch withdraw": ["room", "EPOCH"],
    "maintenance withdraw": ["room", "WINDOW"],
    "promote": ["room", "1"],
    "datasets preset": ["document_d"],
}
NUMBERS = {
    "INCIDENT": "SELECT min(incident_id) FROM tsad.v_incident",
    "EPOCH": "SELECT max(epoch_id) FROM tsad.v_channel_epoch",
    "WINDOW": "SELECT max(window_id) FROM tsad.v_maintenance",
    "LABEL": "SELECT max(label_id) FROM tsad.v_label",
}


def _in_the_plant(text: str) -> tuple[str, ...] | None:
    """A proposed command with the plant's names; None where it is only named, or run elsewhere."""
    words = shlex.split(re.sub(r"<[^>]*>?|\{[^}]*\}?|\$\w+|…", "1", text.replace("1…1", "1")))
    command, path = TSAD, []
    while words and hasattr(command, "commands") and words[0] in command.commands:
        path.append(words[0])
        command = command.commands[words.pop(0)]
    needs = any(one.required for one in getattr(command, "params", ()))
    if (
        {path[0], " ".join(path)} & ELSEWHERE
        or hasattr(command, "commands")
        or (needs and not words)
    ):
        return None
    flags = {name for one in command.params if getattr(one, "is_flag", False) for name in one.opts}
    said: list[str] = []
    options: list[str] = []
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            said.append(word)
        elif word in flags:
            options.append(word)
        else:
            value = words.pop(0)
            options += [word, "LABEL" if word == "--withdraw" else VALUES.get(word, value)]
    if path == ["report"]:
        options[options.index("--end") + 1] = END
    names = NAMES.get(" ".join(path), ["room"])[: len(said)]
    return (*path, *names, *said[len(names) :], *options)


def _order(command: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    """What others need comes first, what takes things back last."""
    takes_back = {"withdraw", "--withdraw", "retire", "unretire"}
    is_last = bool(takes_back & {*command})
    return (0 if command[0] == "score" else 2 if is_last else 1, command)


COMMANDS = sorted({made for one in PROPOSED if (made := _in_the_plant(one.text))}, key=_order)


def test_every_proposed_command_runs(
    tsad: Tsad, at_plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(typer, "confirm", lambda *_said, **_more: False)
    known = f"entity,start_at,end_at,kind,note\nhost-01,{START},{END},leak,seen\n"
    Path("known.csv").write_text(known, encoding="utf-8")
    wrong: dict[str, Any] = {}
    for command in COMMANDS:
        words = [
            str(at_plant.execute(NUMBERS[word])[0][0]) if word in NUMBERS else word
            for word in command
        ]
        words = [
            at_plant.uri if before == "--uri" else word
            for before, word in zip(["", *words], words, strict=False)
        ]
        said = tsad(*words)
        refused = said.code == 2 and REFUSED.get(words[0], "-") in said.err
        # Its code is what it says.
        refused = refused or (words[0] == "health" and not said.err)
        if said.code != 0 and not refused:
            wrong[shlex.join(words)] = said
    assert {name: (one.code, one.out[:300], one.err[:300]) for name, one in wrong.items()} == {}


def test_the_commands_of_the_pages_are_many() -> None:
    assert len(COMMANDS) > 40
    assert len({command[0] for command in COMMANDS}) > 18
