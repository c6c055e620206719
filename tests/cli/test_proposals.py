"""What a message proposes leads where it says: commands, options and values, run as printed."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.cli.test_commands import Tsad, _refused, tsad
from tests.cli.test_stops import at_plant
from tests.plants.plant import SOURCE
from tests.plants.trained import END_AT, SPLIT_AT, START_AT, Plant
from tsad_tasks.base.enums import NewsEvent
from tsad_tasks.base.interval import HOUR
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.check import proposed_step
from tsad_tasks.monitoring.maintain import maintain_dataset
from tsad_tasks.notifications.news import NEWS, News, news_payload
from tsad_tasks.storage.store import Store

__all__ = ["at_plant", "tsad"]
SPAN = ("--from", f"{SPLIT_AT:%Y-%m-%dT%H:%M}", "--to", f"{END_AT:%Y-%m-%dT%H:%M}")


def test_the_command_for_late_rows_reads_and_scores_them(tsad: Tsad, at_plant: Plant) -> None:
    tsad("score", "room", *SPAN)
    late_at = SPLIT_AT + 2.5 * HOUR
    late = "UPDATE plant.metrics SET cpu = 300 WHERE host = 'host-01' AND at = %s"
    at_plant.execute(late, late_at)
    # One row more is seen without a column that tells of changes.
    at_plant.execute(
        "INSERT INTO plant.metrics SELECT at + interval '1 second', host, cpu, temperature "
        "FROM plant.metrics WHERE host = 'host-01' AND at = %s",
        late_at,
    )
    score = "SELECT max(score) FROM tsad.scores('room', 'host-01', %s, %s)"
    before = at_plant.execute(score, late_at, late_at + timedelta(minutes=5))
    (command,) = _late_commands(at_plant)
    assert tsad(*shlex.split(command)[1:]).code == 0
    assert at_plant.execute(score, late_at, late_at + timedelta(minutes=5)) > before
    assert _late_commands(at_plant) == ()


def _late_commands(plant: Plant) -> tuple[str, ...]:
    with Store.connect(plant.uri) as store:
        return maintain_dataset(
            store, plant.config, plant.uri, at=END_AT + timedelta(days=1)
        ).late_commands


NEWEST = News(
    1, "thread", NewsEvent.GATE_FAILED, SPLIT_AT, "gate", "point_share", START_AT, SPLIT_AT,
    version=1, champion_version=1, n_champions=1,
)  # fmt: skip


def test_the_commands_of_every_message_run(
    tsad: Tsad, at_plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typer, "confirm", lambda *_said, **_more: False)
    commands: set[str] = set()
    for event in NEWS:
        news = replace(NEWEST, event=event, valid_from=SPLIT_AT)
        commands |= {*news_payload("room", "UTC", news)["commands"]}
    refused = news_payload("room", "UTC", replace(NEWEST, champion_version=None, n_champions=0))
    # The model is champion here, and cannot be promoted once more.
    commands = {one for one in {*commands, *refused["commands"]} if " promote " not in one}
    assert len(commands) == 8
    for command in sorted(commands):
        said = tsad(*shlex.split(command, comments=True)[1:])
        assert (said.code, said.err) == (0, ""), command


def test_a_dataset_without_readings_says_how_to_get_some(
    tsad: Tsad, at_plant: Plant, tmp_path: Path
) -> None:
    text = (tmp_path / "datasets" / "room.yaml").read_text(encoding="utf-8")
    (tmp_path / "datasets" / "hall.yaml").write_text(text.replace("dataset: room", "dataset: hall"))
    empty = tsad("ingest", "hall", "--from", "2020-01-01", "--to", "2020-01-02").out
    assert "The source of hall gave no row for 2020-01-01 00:00 to 2020-01-02 00:00 UTC" in empty
    command = _refused(tsad("explore", "hall")).partition("Run: ")[2].strip()
    ends = f"{SPLIT_AT:%Y-%m-%d}", f"{END_AT:%Y-%m-%d}"
    command = command.replace("<start>", ends[0]).replace("<end>", ends[1])
    assert tsad(*shlex.split(command)[1:]).code == 0
    assert tsad("explore", "hall").code == 0


@pytest.mark.parametrize("apart_s", [1, 2.5, 7, 11, 47, 61.3, 90, 100, 601, 1000, 2400, 3599, 5400])
def test_a_step_or_hold_that_a_check_proposes_is_taken(apart_s: float) -> None:
    changes: dict[str, Any] = {"channels": {"temp": {"valid_for": f"{int(apart_s) + 1}s"}}}
    if (step := proposed_step(apart_s, 3600)) is not None:
        changes["step"] = step
    made = DatasetConfig.model_validate({"dataset": "plant", "source": SOURCE | changes})
    assert made.source.step_s * 1.01 >= apart_s or apart_s > 3600
    assert made.source.channels["temp"].valid_for_s >= apart_s


@pytest.mark.parametrize(
    "text",
    [
        "at;v\n2026-03-07 05:10;1\n",
        "at\tv\n2026-03-07 05:10\t1\n",
        "at,v\n07.03.2026 05:10,1\n",
        "at,v\n3/17/2026 5:10 PM,1\n",
        "at,v\n1772860200,1\n",
        "at,v\n" + "2026-03-07 05:10,1\n" * 20 + "2026-03-07 05:10,x\n",
        "when,v\n2026-03-07 05:10,1\n",
    ],
)
def test_the_option_that_a_file_s_message_names_reads_it(
    tsad: Tsad, at_plant: Plant, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    load = ["load-csv", str(path), "--table", "plant.a", "--uri", at_plant.uri]
    load += [] if "--time-column" in load or text.startswith("when") else ["--time-column", "at"]
    message = tsad(*load).err
    option = re.search(r"(--[a-z-]+)(?: (\$?'[^']*'|\w+))?", message)
    assert option is not None, message
    value = (option[2] or "").replace("$'\\t'", "'\t'").strip("'")
    value = {"--time-column": "when", "--unit": "s"}.get(option[1], value)
    said = tsad(*load, option[1], value)
    assert (said.code, said.err) == (0, ""), message
    again = tsad(*load, option[1], value)
    assert "Say --mode replace, --mode append, or another --table." in _refused(again)
    assert tsad(*load, option[1], value, "--mode", "replace").code == 0
