"""Names of series: each hour keeps those that it had, whenever and in whatever order it is read."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.plants.plant import SOURCE, Plant
from tsad_tasks.base.errors import SourceError
from tsad_tasks.config import DatasetConfig

# Two series over four hours; the third has the hour as its value.
TABLE = """
CREATE TABLE history (itemid int, at timestamptz, value float8);
INSERT INTO history SELECT item, t, 10 * item + extract(hour FROM t)
FROM generate_series('2024-05-01 08:00Z'::timestamptz, '2024-05-01 11:50Z', '30 min') t,
  generate_series(7, 8) item
"""
HOURS = range(8, 12)
TAGS = "itemid,entity,channel\n"
# As a store keeps names.
ITEMS = "CREATE TABLE item (id int, host text, key_ text)"
DICTIONARY = "SELECT id AS itemid, host AS entity, key_ AS channel FROM item;"
Readings = dict[tuple[str, str, str], float]


@pytest.fixture
def plant(filed_plant: Plant) -> Plant:
    """Two series of a store."""
    filed_plant.run(TABLE)
    return filed_plant


def _config(**settings: Any) -> DatasetConfig:
    source = {name: value for name, value in SOURCE.items() if name != "entity"}
    source |= {"tables": "history", "series": "itemid", "value_column": "value", "step": "30min"}
    source |= settings or {"tags": "plant.tags.csv"}
    return DatasetConfig.model_validate({"dataset": "plant", "source": source})


def _hour(number: int) -> str:
    return f"{number:02}:00"


def _wanted(names: Callable[[int, int], tuple[str, str] | None]) -> Readings:
    """Readings of each series and hour under its name."""
    times = [(hour, minute) for hour in HOURS for minute in ("00", "30")]
    return {
        (name[0], f"{hour:02}:{minute}", name[1]): 10.0 * item + hour
        for hour, minute in times
        for item in (7, 8)
        if (name := names(item, hour)) is not None
    }


RENAMES = {
    "its machine": ("m9", "temp"),
    "its channel": ("m1", "load"),
    "to the name of a series that is gone": ("m2", "temp"),
}


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    said_in=st.sampled_from(["tags", "dictionary"]),
    renamed=st.sampled_from([*RENAMES]),
    read_at=st.integers(8, 10),
    order=st.permutations(HOURS),
    late=st.booleans(),
)
def test_a_series_that_is_renamed_between_a_live_run_and_a_backfill_keeps_the_name_of_each_hour(
    plant: Plant,
    tmp_path: Path,
    said_in: str,
    renamed: str,
    read_at: int,
    order: list[int],
    *,
    late: bool,
) -> None:
    """Up to the end of what was read by then it is the old one, whenever an hour is read."""
    plant.clear()
    plant.run(f"{TABLE}; {ITEMS}")
    is_file, path = said_in == "tags", tmp_path / "plant.tags.csv"
    config = _config() if is_file else _config(dictionary=DICTIONARY)

    def say(lines: str) -> None:
        if is_file:
            path.write_text(f"{TAGS}{lines}")
        else:
            rows = ", ".join("({}, '{}', '{}')".format(*line.split(",")) for line in lines.split())
            plant.run(f"TRUNCATE item; INSERT INTO item VALUES {rows}")  # noqa: S608

    name = RENAMES[renamed]
    is_taken = name[0] == "m2"
    say("7,m1,temp\n8,m2,temp\n")
    plant.ingest(_hour(read_at), _hour(read_at + 1), config)
    say(f"7,{','.join(name)}\n" + "8,m2,temp\n" * (not is_taken))
    for hour in order:
        plant.ingest(_hour(hour), _hour(hour + 1), config, force=late)
    plant.ingest("08:00", "12:00", config, force=True)

    def wanted(item: int, hour: int) -> tuple[str, str] | None:
        if item == 7:
            return ("m1", "temp") if hour <= read_at else name
        return ("m2", "temp") if not is_taken or hour == read_at else None

    assert plant.readings() == _wanted(wanted)


def _found(plant: Plant) -> dict[tuple[str, ...], tuple[str | int, ...]]:
    """What is told of series: hour, detail and how many, by issue and entity."""
    rows = plant.rows(
        "SELECT issue, entity, to_char(hour_at AT TIME ZONE 'UTC', 'HH24:MI'), detail, n_rows::int "
        "FROM tsad.ingest_issue WHERE issue LIKE '%series'"
    )
    return {row[:2]: row[2:] for row in rows}


def test_a_dictionary_says_what_a_tags_file_would(plant: Plant) -> None:
    plant.run(ITEMS)
    plant.run(
        "INSERT INTO item VALUES (7, 'm1', 'air.temp'), (8, 'm2', 'air.temp'), "
        "(8, 'm2', NULL), (9, NULL, 'air.temp'), (10, 'm1', 'fan')"
    )
    query = (
        "SELECT id AS itemid, host AS entity, key_ AS channel, 0.1 AS scale, "
        "CASE id WHEN 7 THEN timestamptz '2024-05-01 09:00Z' END AS valid_from FROM item"
    )
    config = _config(dictionary=query, channels={"temp": {"column": "air.temp"}})
    plant.ingest("08:00", "12:00", config)
    readings = plant.readings()
    assert {name for name, _, _ in readings} == {"m1", "m2"}
    assert ("m1", "08:30", "temp") not in readings
    assert readings["m1", "09:00", "temp"] == pytest.approx(7.9)
    plant.run("INSERT INTO item VALUES (11, 'm3', 'air.temp')")
    plant.ingest("08:00", "12:00", config, force=True)
    assert {*_found(plant)} == {("new_series", "m3")}


def test_dictionaries_of_two_sources_of_one_connection_know_nothing_of_each_other(
    plant: Plant,
) -> None:
    plant.run(ITEMS)
    plant.run("INSERT INTO item VALUES (7, 'm1', 'temp'), (8, 'm1', 'load')")
    one, other = (
        {
            "connection": "plant", "tables": "history", "time": {"column": "at"},
            "series": "itemid", "value_column": "value", "channels": {name: {}}, "step": "30min",
            "dictionary": DICTIONARY,
        }
        for name in ("temp", "load")
    )  # fmt: skip
    config = DatasetConfig.model_validate({"dataset": "plant", "source": [one, other]})
    for _ in range(2):
        plant.ingest("08:00", "12:00", config, force=True)
    assert plant.readings() == _wanted(lambda item, _: ("m1", "temp" if item == 7 else "load"))
    assert _found(plant) == {}


DICTIONARIES = {
    "several statements": ("SELECT 1; SELECT 2", "source.dictionary to be one SELECT"),
    "other columns": ("SELECT id AS itemid, host FROM item", "columns itemid, entity, channel"),
    "none of the channels": (DICTIONARY.replace("key_", "'fan'"), "a line for each series"),
    "one name twice": (DICTIONARY.replace("host", "'m1'"), "one series at a time for temp of 'm1'"),
    "a table that is not there": (DICTIONARY.replace("FROM item", "FROM i"), "does not exist"),
    "a time before our era": (
        DICTIONARY.replace("SELECT", "SELECT timestamptz '0044-03-15 BC' AS valid_from,"),
        "times of the years 1 to 9999",
    ),
}


@pytest.mark.parametrize(("query", "said"), DICTIONARIES.values(), ids=DICTIONARIES)
def test_what_is_wrong_in_a_dictionary_is_said(plant: Plant, query: str, said: str) -> None:
    plant.run(ITEMS)
    plant.run("INSERT INTO item VALUES (7, 'm1', 'temp'), (8, 'm2', 'temp')")
    with pytest.raises(SourceError, match=said):
        plant.ingest("08:00", "09:00", _config(dictionary=query))


def test_new_renamed_and_vanished_series_are_told_once(plant: Plant, tmp_path: Path) -> None:
    path = tmp_path / "plant.tags.csv"
    path.write_text(f"{TAGS}7,m1,temp\n8,m2,temp\n")
    plant.ingest("08:00", "10:00", _config())
    assert _found(plant) == {}
    path.write_text(f"{TAGS}7,m9,temp\n9,m3,temp\n")
    for _ in range(2):
        plant.ingest("08:00", "11:00", _config(), force=True)
    assert _found(plant) == {
        ("renamed_series", "m9"): (
            "10:00", "series 7 was m1 temp; hours read so far keep that name", 1,
        ),
        ("new_series", "m3"): ("10:00", "series 9, not seen before", 1),
        ("vanished_series", "m2"): (
            "10:00", "series 8 is not named any more; what was read of it stays", 1,
        ),
    }  # fmt: skip


def test_series_that_come_and_go_are_one_row_an_hour(plant: Plant, tmp_path: Path) -> None:
    path = tmp_path / "plant.tags.csv"
    path.write_text(f"{TAGS}7,m1,temp\n")
    plant.ingest("08:00", "09:00", _config())
    for hour in (9, 10):
        lines = "".join(f"{hour * 1000 + i},h{hour}-{i},temp\n" for i in range(50))
        path.write_text(f"{TAGS}7,m1,temp\n{lines}")
        plant.ingest(_hour(hour), _hour(hour + 1), _config())
    rows = plant.rows(
        "SELECT issue, n_rows::int FROM tsad.ingest_issue WHERE issue LIKE '%series' ORDER BY 1, 2"
    )
    assert rows == [("new_series", 50), ("new_series", 50), ("vanished_series", 50)]


def test_a_line_with_its_times_is_taken_at_its_word(plant: Plant, tmp_path: Path) -> None:
    path = tmp_path / "plant.tags.csv"
    path.write_text(f"{TAGS}7,m1,temp\n8,m2,temp\n")
    plant.ingest("08:00", "10:00", _config())
    path.write_text("itemid,entity,channel,valid_from\n7,m9,temp,2024-05-01 09:00\n8,m2,temp,\n")
    plant.ingest("08:00", "12:00", _config(), force=True)
    found = {(entity, time) for entity, time, _ in plant.readings()}
    # What was read of m1 after 09:00 stays: absence does not erase.
    assert found >= {("m9", "09:00"), ("m9", "11:30"), ("m1", "08:30"), ("m1", "09:30")}
    assert not {("m9", "08:30"), ("m1", "10:00")} & found


@pytest.mark.parametrize(
    ("ends", "zone"),
    [
        (("", "9999-12-31 23:59:59"), "America/New_York"),
        (("0001-01-01", ""), "Asia/Tokyo"),
        (("0001-01-01", "9999-12-31"), "UTC"),
    ],
)
def test_a_line_from_the_first_year_or_to_the_last_always_holds(
    plant: Plant, tmp_path: Path, ends: tuple[str, str], zone: str
) -> None:
    """As infinity in a dictionary: another name holds from the end of what was read."""
    path, times = tmp_path / "plant.tags.csv", ",".join(ends)
    config = _config(tags="plant.tags.csv", time={"column": "at", "zone": zone})
    for end, name in (("10:00", "m1"), ("12:00", "m9")):
        path.write_text(f"itemid,entity,channel,valid_from,valid_to\n7,{name},temp,{times}\n")
        plant.ingest("08:00", end, config, force=True)
    names = {True: ("m1", "temp"), False: ("m9", "temp")}
    assert plant.readings() == _wanted(lambda item, hour: names[hour < 10] if item == 7 else None)
    assert {*_found(plant)} == {("renamed_series", "m9")}


def test_a_dictionary_that_never_says_the_same_is_read_as_it_was_heard_last(plant: Plant) -> None:
    plant.run(ITEMS)
    plant.run("INSERT INTO item VALUES (7, 'm1', 'temp'), (8, 'm1', 'load')")
    first, second = (
        SOURCE | {
            "tables": "history", "series": "itemid", "value_column": "value", "step": "30min",
            "channels": {name: {}}, "dictionary": DICTIONARY.replace("SELECT", f"SELECT {more}"),
        }
        for name, more in (("temp", ""), ("load", "1 + random() AS scale,"))
    )  # fmt: skip
    del first["entity"], second["entity"]
    config = DatasetConfig.model_validate({"dataset": "plant", "source": [first, second]})
    run = Thread(target=plant.ingest, args=("08:00", "09:00", config), daemon=True)
    run.start()
    run.join(30)
    assert len(plant.readings()) == 4


def test_sources_with_one_tags_file_keep_their_names_in_another_order(
    plant: Plant, tmp_path: Path
) -> None:
    path = tmp_path / "plant.tags.csv"
    one, other = (
        SOURCE | {
            "tables": "history", "series": "itemid", "value_column": "value", "step": "30min",
            "channels": {name: {}}, "tags": path.name, "rows_where": {"itemid": item},
        }
        for name, item in (("temp", 7), ("load", 8))
    )  # fmt: skip
    del one["entity"], other["entity"]
    runs = ("m1", "10:00", [one]), ("m9", "12:00", [one, other]), ("m9", "12:00", [other, one])
    for machine, end, sources in runs:
        path.write_text(f"{TAGS}7,{machine},temp\n8,{machine},load\n")
        config = DatasetConfig.model_validate({"dataset": "plant", "source": sources})
        plant.ingest("08:00", end, config, force=True)
    assert plant.readings() == _wanted(
        lambda item, hour: ("m1" if hour < 10 else "m9", "temp" if item == 7 else "load")
    )


def test_hours_that_are_not_over_do_not_put_a_rename_off(plant: Plant, tmp_path: Path) -> None:
    """As a clock leaves them that was ahead once."""
    path = tmp_path / "plant.tags.csv"
    path.write_text(f"{TAGS}7,m1,temp\n")
    plant.ingest("08:00", "10:00", _config())
    ahead = "UPDATE tsad.ingest_hour SET read_until = '2200-01-01' WHERE hour_at = "
    plant.rows(f"{ahead} '2024-05-01 09:00Z'")
    path.write_text(f"{TAGS}7,m9,temp\n")
    plant.ingest("10:00", "12:00", _config())
    put_off = "SELECT series FROM tsad.series WHERE valid_from > now() + interval '1 hour'"
    assert plant.rows(put_off) == []


def test_a_series_that_takes_the_place_of_another_holds_from_where_that_ended(
    plant: Plant, tmp_path: Path
) -> None:
    path = tmp_path / "plant.tags.csv"
    path.write_text(f"{TAGS}7,m1,temp\n")
    plant.ingest("08:00", "10:00", _config())
    path.write_text(f"{TAGS}8,m1,temp\n")
    plant.ingest("08:00", "12:00", _config(), force=True)
    assert plant.readings() == _wanted(
        lambda item, hour: ("m1", "temp") if item == (7 if hour < 10 else 8) else None
    )


def test_a_series_that_is_back_holds_as_if_it_had_not_been_gone(
    plant: Plant, tmp_path: Path
) -> None:
    path = tmp_path / "plant.tags.csv"
    for end, lines in (("09:00", "7,m1,temp\n"), ("10:00", ""), ("12:00", "7,m1,temp\n")):
        path.write_text(f"{TAGS}8,m2,temp\n{lines}")
        plant.ingest("08:00", end, _config(), force=True)
    assert plant.readings() == _wanted(lambda item, _: (f"m{item - 6}", "temp"))


def test_who_reads_while_a_series_is_renamed_reads_on_under_the_new_name(
    plant: Plant, tmp_path: Path
) -> None:
    path = tmp_path / "plant.tags.csv"
    path.write_text(f"{TAGS}7,m1,temp\n")
    other = Thread(target=lambda: plant.ingest("11:00", "12:00", _config()))
    asked: list[datetime] = []

    def now() -> datetime:
        """Asked twice at the beginning, and by each chunk while its hours are locked."""
        asked.append(plant.now_at)
        if len(asked) == 3:
            path.write_text(f"{TAGS}7,m9,temp\n")
            other.start()
            _wait_for_lock(plant)
        return plant.now_at

    plant.ingest("08:00", "12:00", _config(), now=now)
    other.join()
    plant.ingest("08:00", "12:00", _config(), force=True)
    names = {8: ("m1", "temp"), 9: ("m9", "temp")}
    assert plant.readings() == _wanted(
        lambda item, hour: names[min(hour, 9)] if item == 7 else None
    )


def _wait_for_lock(plant: Plant) -> None:
    """Until somebody waits for what the run holds that asks for the time."""
    waiting = (
        "SELECT count(*)::int FROM pg_locks JOIN pg_database d ON d.oid = database "
        "WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"
    )
    until = time.monotonic() + 20
    while plant.rows(waiting) != [(1,)] and time.monotonic() < until:
        time.sleep(0.02)
