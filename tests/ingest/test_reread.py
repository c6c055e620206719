"""Hours that were read by other settings: check names them, and its command reads them again."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.plants.plant import SOURCE, Plant
from tsad_tasks.cli import main
from tsad_tasks.config import DatasetConfig
from tsad_tasks.config.sections import ChannelSection, SourceSection
from tsad_tasks.ingest.read_settings import NO_VALUES, NO_VALUES_OF_CHANNEL, read_settings
from tsad_tasks.ingest.reread import OtherHours, hours_read_otherwise
from tsad_tasks.storage.store import Store

LONG: dict[str, Any] = {
    **SOURCE,
    "shape": "long",
    "channel_column": "channel",
    "value_column": "value",
    "step": "30min",
}
TABLE = """
CREATE TABLE reading (at timestamptz, machine text, channel text, value text);
INSERT INTO reading VALUES
  ('2024-05-01 08:00Z', 'm1', 'temp', '1'), ('2024-05-01 08:30Z', 'm1', 'temp', 'on'),
  ('2024-05-01 09:00Z', 'm1', 'temp', '-9999'), ('2024-05-01 10:30Z', 'm1', 'temp', '3');
"""
SERIES: dict[str, Any] = {
    **{name: value for name, value in SOURCE.items() if name != "entity"},
    "tables": "history", "series": "itemid", "value_column": "value", "step": "30min",
    "tags": "plant.tags.csv",
}  # fmt: skip
HISTORY = """
CREATE TABLE history (itemid int, at timestamptz, value float8);
INSERT INTO history SELECT item, t, 10 * item
FROM generate_series('2024-05-01 08:00Z'::timestamptz, '2024-05-01 10:50Z', '30 min') t,
  generate_series(7, 8) item
"""
Write = Callable[..., None]
Said = Callable[..., str]


@pytest.fixture
def plant(filed_plant: Plant, monkeypatch: pytest.MonkeyPatch) -> Plant:
    """A plant that the environment names."""
    monkeypatch.setenv("TSAD_DATABASE_URI", filed_plant.warehouse_uri)
    monkeypatch.setenv("TSAD_CONNECTION_PLANT", filed_plant.source_uri)
    monkeypatch.setenv("TSAD_CONNECTION_OTHER", filed_plant.source_uri)
    filed_plant.run(TABLE)
    return filed_plant


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the dataset file."""

    def written(*sources: dict[str, Any]) -> None:
        file = {"dataset": "plant", "source": [*sources] if len(sources) > 1 else sources[0]}
        tmp_path.joinpath("plant.yaml").write_text(yaml.safe_dump(file))

    return written


@pytest.fixture
def tsad(
    plant: Plant,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Said:
    """Runs the command and gives what it says, on one line."""
    monkeypatch.setenv("TSAD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["tsad", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = " ".join(capsys.readouterr().out.split())
        assert not ended.value.code, said
        return said

    return run


def _ingest(tsad: Said, start: str = "08:00", end: str = "11:00") -> None:
    tsad("ingest", "plant", "--from", f"2024-05-01T{start}Z", "--to", f"2024-05-01T{end}Z")


def _told(tsad: Said) -> str:
    """What check says of hours that were read; nothing where it says nothing."""
    return tsad("datasets", "check", "plant").partition("hours that were read")[2]


def _run_command(tsad: Said, told: str) -> None:
    (command,) = re.findall(r"tsad (rescore plant --from \S+ --to \S+)", told)
    tsad(*command.split())


WITH_HELD = LONG | {"channels": {"temp": {"valid_for": "2h"}, "load": {}}}


@pytest.mark.parametrize(
    ("before", "after", "key", "expected", "changed"),
    [
        (
            {},
            {"words": {"on": 1}},
            "words",
            {"08:00": 1, "08:30": 1, "09:00": -9999, "10:30": 3},
            [8],
        ),
        (
            {},
            {"channels": {"temp": {"no_value": -9999}, "load": {}}},
            "channels.temp.no_value",
            {"08:00": 1, "10:30": 3},
            [9],
        ),
        (
            {},
            {"channels": {"temp": {"valid_for": "45min"}, "load": {}}},
            "channels.temp.valid_for",
            {"08:00": 1, "09:00": -9999, "09:30": -9999, "10:30": 3},
            [9],
        ),
        # What rows gave by longer validity goes, although absence alone erases nothing.
        (
            {"channels": {"temp": {"valid_for": "2h"}, "load": {}}},
            {},
            "channels.temp.valid_for",
            {"08:00": 1, "09:00": -9999, "10:30": 3},
            [9, 10],
        ),
        (
            {},
            {"rows_where": {"value": ["1", "3"]}},
            "rows_where",
            {"08:00": 1, "10:30": 3},
            [9],
        ),
    ],
)
def test_check_names_what_is_another_and_its_command_reads_the_hours_again(
    plant: Plant,
    tsad: Said,
    write: Write,
    before: dict[str, Any],
    after: dict[str, Any],
    key: str,
    expected: dict[str, float],
    changed: list[int],
) -> None:
    write(LONG | before)
    _ingest(tsad)
    assert _told(tsad) == ""
    write(LONG | after)
    told = _told(tsad)
    span = "3 hours from 2024-05-01 08:00 to 2024-05-01 11:00 UTC were read by other settings"
    assert f"{span} ({key})" in told
    _run_command(tsad, told)
    assert {time: value for (_, time, _), value in plant.readings().items()} == expected
    # An hour of which no row counts any more has no block.
    rows = plant.rows("SELECT hour_at, revision FROM tsad.reading_block")
    blocks = {at.hour: revision for at, revision in rows}
    assert [hour for hour in (8, 9, 10) if blocks.get(hour) != 1] == changed
    assert _told(tsad) == ""


def test_what_decides_no_value_says_nothing(tsad: Said, write: Write) -> None:
    write(LONG)
    _ingest(tsad)
    write(
        LONG
        | {"connection": "other", "statement_timeout": "20s", "max_connections": 1}
        | {"tables": ["reading"], "wait_for_rows": "10min", "full_scan": True, "silent_after": "3h"}
        | {"channels": {"temp": {"unit": "°C", "column": "temp"}, "load": {"hold": "1h"}}}
    )
    assert _told(tsad) == ""


def test_of_hours_that_were_read_before_settings_were_kept_nothing_is_said(
    plant: Plant, tsad: Said, write: Write
) -> None:
    write(LONG)
    _ingest(tsad)
    plant.rows("UPDATE tsad.ingest_hour SET settings = NULL RETURNING 1")
    write(LONG | {"words": {"on": 1}})
    assert _told(tsad) == ""
    _ingest(tsad, "11:00", "12:00")
    write(LONG | {"words": {"on": 2}})
    assert "1 hour from 2024-05-01 11:00" in _told(tsad)


def test_hours_that_the_source_has_no_rows_of_stay_and_are_listed(
    plant: Plant, tsad: Said, write: Write
) -> None:
    write(LONG)
    _ingest(tsad)
    # Its own retention has reached the middle of an hour.
    plant.run("DELETE FROM reading WHERE at < '2024-05-01 08:30Z'")
    write(LONG | {"words": {"on": 1}})
    told = _told(tsad)
    assert "2 hours from 2024-05-01 09:00 to 2024-05-01 11:00 UTC were read by other" in told
    assert "1 hour from 2024-05-01 08:00 to 2024-05-01 09:00 UTC was read by other" in told
    assert "has no rows of them any more" in told
    _run_command(tsad, told)
    told = _told(tsad)
    assert "tsad rescore" not in told
    assert "1 hour from 2024-05-01 08:00" in told
    # Whoever reads it again all the same keeps it, and it is not said to be of today's settings.
    tsad("rescore", "plant", "--from", "2024-05-01T08:00Z", "--to", "2024-05-01T11:00Z")
    assert plant.readings()["m1", "08:00", "temp"] == 1
    assert "1 hour from 2024-05-01 08:00" in _told(tsad)


@pytest.mark.parametrize("is_read_in_between", [False, True])
def test_another_scale_in_the_tags_file_is_told_by_series(
    plant: Plant, tsad: Said, write: Write, tmp_path: Path, *, is_read_in_between: bool
) -> None:
    plant.run(HISTORY)
    tags = tmp_path / "plant.tags.csv"
    tags.write_text("itemid,entity,channel,scale\n7,m1,temp,1\n")
    write(SERIES)
    _ingest(tsad, "08:00", "10:00")
    # Another series is no other setting of what was read.
    tags.write_text("itemid,entity,channel,scale\n7,m1,temp,1\n8,m2,temp,0.5\n")
    assert _told(tsad) == ""
    _ingest(tsad, "10:00", "11:00")
    assert _told(tsad) == ""
    tags.write_text("itemid,entity,channel,scale\n7,m1,temp,0.1\n8,m2,temp,0.5\n")
    if is_read_in_between:
        _ingest(tsad, "11:00", "12:00")
    told = _told(tsad)
    assert "3 hours from 2024-05-01 08:00 to 2024-05-01 11:00 UTC" in told
    assert "(scale or offset of series 7 (m1 temp))" in told
    _run_command(tsad, told)
    assert plant.readings()["m1", "08:00", "temp"] == 7
    assert _told(tsad) == ""
    tags.write_text("itemid,entity,channel,scale\n7,m1,temp,1\n8,m2,temp,0.5\n")
    assert "scale or offset of series 7 (m1 temp)" in _told(tsad)


def test_of_several_sources_the_one_that_is_read_otherwise_says_what_is_there(
    plant: Plant, tsad: Said, write: Write
) -> None:
    plant.run("CREATE TABLE far (at timestamptz, machine text, load int)")
    plant.run(
        "INSERT INTO far VALUES ('2024-05-01 10:00Z', 'm1', 7), ('2024-05-01 10:30Z', 'm1', -1)"
    )
    near = LONG | {"channels": {"temp": {}}}
    far = SOURCE | {"connection": "other", "tables": "far", "channels": {"load": {}}}
    far |= {"step": "30min"}
    write(near, far)
    _ingest(tsad)
    # The order of sources is none of their settings.
    write(far, near)
    assert _told(tsad) == ""
    write(near, far | {"channels": {"load": {"no_value": -1}}})
    told = _told(tsad)
    # Before it began there was nothing to be read otherwise.
    assert "1 hour from 2024-05-01 10:00 to 2024-05-01 11:00 UTC was read" in told
    assert "source.1.channels.load.no_value" in told
    assert "stay" not in told
    _run_command(tsad, told)
    assert ("m1", "10:30", "load") not in plant.readings()
    assert _told(tsad) == ""
    plant.run("DELETE FROM far")
    write(near, far | {"channels": {"load": {"no_value": [-1, 8]}}})
    told = _told(tsad)
    assert "1 hour from 2024-05-01 10:00 to 2024-05-01 11:00 UTC was read" in told
    assert "so they stay as they are" in told
    tsad("rescore", "plant", "--from", "2024-05-01T08:00Z", "--to", "2024-05-01T11:00Z")
    assert "1 hour from 2024-05-01 10:00" in _told(tsad)


def test_a_source_that_was_added_is_another_setting(plant: Plant, write: Write) -> None:
    plant.run("CREATE TABLE far AS SELECT at, machine, 7 AS load FROM reading")
    near = LONG | {"channels": {"temp": {}}}
    far = SOURCE | {"tables": "far", "channels": {"load": {}}, "step": "30min"}
    one, both = (
        DatasetConfig.model_validate({"dataset": "plant", "source": sources})
        for sources in (near, [near, far])
    )
    plant.ingest("08:00", "11:00", one)
    (told,) = _otherwise(plant, both)
    assert (told.n_hours, told.keys) == (3, ("source.1",))
    plant.ingest("08:00", "11:00", both, force=True)
    # One that is left out is not asked for.
    assert _otherwise(plant, one) == []


def _otherwise(plant: Plant, config: DatasetConfig) -> list[OtherHours]:
    with Store.connect(plant.warehouse_uri) as store:
        return hours_read_otherwise(store, config, plant.source_uri)


def test_a_warehouse_that_does_not_know_the_dataset_says_nothing(plant: Plant) -> None:
    config = DatasetConfig.model_validate({"dataset": "plant", "source": LONG})
    assert _otherwise(plant, config) == []


def test_a_sensor_range_is_judged_again(plant: Plant, tsad: Said, write: Write) -> None:
    write(LONG)
    _ingest(tsad)
    write(LONG | {"channels": {"temp": {"sensor_range": [0, 100]}, "load": {}}})
    told = _told(tsad)
    assert "channels.temp.sensor_range" in told
    _run_command(tsad, told)
    verdicts = "SELECT DISTINCT verdict FROM tsad.quality WHERE verdict = 'out_of_range'"
    assert plant.rows(verdicts) == [("out_of_range",)]


def test_every_field_of_a_source_either_decides_values_or_is_named() -> None:
    """A field that is new counts, unless it is said that it does not."""
    assert set(SourceSection.model_fields) >= NO_VALUES
    assert set(ChannelSection.model_fields) >= NO_VALUES_OF_CHANNEL


def test_the_same_said_in_another_way_is_the_same() -> None:
    def digest(**source: Any) -> str:
        config = DatasetConfig.model_validate({"dataset": "plant", "source": LONG | source})
        return read_settings(config, {}).digest

    first = digest()
    assert digest(tables=["reading"], value_column=["value"], channels={"load": {}, "temp": {}})
    assert digest(tables=["reading"], value_column=["value"], label="is_fault") == first
    assert digest(time={"column": "at", "zone": "UTC"}, silent_after="5h") == first
    held = {"channels": {"temp": {"valid_for": "until_changed"}, "load": {}}}
    others = [digest(**held, silent_after="2h"), digest(**held), digest(step="10min")]
    assert len({first, *others}) == 4
    assert digest(**held, silent_after="90min") == digest(**held)
