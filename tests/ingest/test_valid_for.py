"""Values that stay valid, from the source's rows to stored readings: the same in hourly runs, in a
backfill and when read again; a row without a value ends the one before it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.plants.emptied import empty
from tests.plants.plant import SOURCE, Plant, at
from tests.statements import run
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.late import late_changes
from tsad_tasks.ingest.sources.base import open_source
from tsad_tasks.storage.store import Store

LONG = {
    "shape": "long",
    "channel_column": "sensor",
    "value_column": "value",
    "channels": {"valve": {"valid_for": "until_changed"}, "temp": {}},
}
STATES = "CREATE TABLE reading (at timestamptz, machine text, sensor text, value text)"
# Valve m1 was opened days ago; temp is heard of every 10 minutes. The valve of m2 says that it is
# unavailable, and m3 falls silent.
FILL = """
INSERT INTO reading VALUES ('2024-04-27 07:00Z', 'm1', 'valve', '40'),
  ('2024-05-01 11:15Z', 'm1', 'valve', '60'), ('2024-04-30 07:00Z', 'm2', 'valve', '30'),
  ('2024-05-01 09:30Z', 'm2', 'valve', 'unavailable'), ('2024-05-01 12:00Z', 'm2', 'valve', '10'),
  ('2024-05-01 07:55Z', 'm3', 'valve', '5'), ('2024-05-01 07:50Z', 'm3', 'temp', '1');
INSERT INTO reading SELECT t, 'm' || m, 'temp', m FROM generate_series('2024-05-01 00:00Z'
  ::timestamptz, '2024-05-01 13:00Z', '10 min') t, generate_series(1, 2) m;
"""


@pytest.fixture
def plant(empty_plant: Plant) -> Plant:
    """Three machines of which the valves are told of when they change."""
    empty_plant.run(STATES)
    empty_plant.run(FILL)
    return empty_plant


def _forget(plant: Plant) -> None:
    empty(plant.warehouse_uri)


def _valve(plant: Plant, entity: str) -> dict[str, float]:
    found = plant.readings().items()
    return {time: v for (name, time, channel), v in found if (name, channel) == (entity, "valve")}


def _in_all_orders(plant: Plant, config: DatasetConfig) -> dict[tuple[str, str, str], float]:
    """Readings of 08:00 to 13:00, which are the same however they are read."""
    plant.ingest("08:00", "13:00", config)
    whole = plant.readings()
    plant.ingest("08:00", "13:00", config, force=True)
    assert plant.readings() == whole
    assert plant.rows("SELECT DISTINCT revision FROM tsad.reading_block") == [(1,)]
    _forget(plant)
    for start, end in (
        ("12:00", "13:00"),
        ("08:00", "09:00"),
        ("09:00", "11:00"),
        ("11:00", "12:00"),
    ):
        plant.ingest(start, end, config)
    assert plant.readings() == whole
    return whole


def test_a_value_lasts_until_it_changes_is_unavailable_or_its_machine_is_silent(
    plant: Plant,
) -> None:
    _in_all_orders(plant, plant.config(**LONG))
    m1, m2, m3 = (_valve(plant, name) for name in ("m1", "m2", "m3"))
    assert len(m1) == 30
    assert m1["08:00"] == m1["11:00"] == 40
    # Five of the ten minutes are of each.
    assert (m1["11:10"], m1["11:20"], m1["12:50"]) == (50, 60, 60)
    assert [*m2] == ["08:00", "08:10", "08:20", "08:30", "08:40", "08:50", "09:00", "09:10",
                     "09:20", "12:00", "12:10", "12:20", "12:30", "12:40", "12:50"]  # fmt: skip
    assert {*m2.values()} == {30, 10}
    # An hour after its last row nothing is known of m3.
    assert [*m3] == ["08:00", "08:10", "08:20", "08:30", "08:40", "08:50"]


@pytest.mark.parametrize("aggregate", ["last", "min", "max", "count"])
def test_other_aggregates_of_what_holds(plant: Plant, aggregate: str) -> None:
    valve = {"valid_for": "until_changed", "aggregate": aggregate}
    _in_all_orders(plant, plant.config(**LONG | {"channels": {"valve": valve, "temp": {}}}))
    found = _valve(plant, "m1")
    wanted = {"last": (40, 60), "min": (40, 40), "max": (40, 60), "count": (0, 1)}[aggregate]
    assert (found["11:00"], found["11:10"]) == wanted
    assert found["12:50"] == (0 if aggregate == "count" else 60)


@pytest.mark.parametrize("valid_for", ["15min", "2h", "102h"])
def test_a_value_lasts_for_its_duration(plant: Plant, valid_for: str) -> None:
    channels = {"valve": {"valid_for": valid_for}, "temp": {}}
    _in_all_orders(plant, plant.config(**LONG | {"channels": channels}))
    m1 = _valve(plant, "m1")
    wanted = {"15min": [], "2h": [], "102h": ["08:00", "08:10"]}[valid_for]
    assert [time for time in m1 if time < "08:20"] == wanted
    assert (m1["11:10"], m1["11:20"]) == (50 if valid_for == "102h" else 60, 60)
    assert ("12:00" in m1) == (valid_for != "15min")
    assert _valve(plant, "m3").keys() >= ({"08:00", "08:50"} if valid_for != "15min" else {"08:00"})


KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "keys that are no texts": (
        "CREATE TABLE reading (at bigint, machine uuid, sensor int, value text);"
        "INSERT INTO reading SELECT extract(epoch FROM at) * 1000, md5(machine)::uuid, "
        "CASE sensor WHEN 'valve' THEN 7 ELSE 8 END, value FROM told",
        {
            "time": {"column": "at", "unit": "ms"},
            "channels": {
                "valve": {"valid_for": "until_changed", "column": "7"},
                "temp": {"column": "8"},
            },
        },
    ),
    "a channel that the column's type cannot hold": (
        "CREATE TABLE reading (at timestamptz, machine text, sensor int, value text);"
        "INSERT INTO reading SELECT at, machine, CASE sensor WHEN 'valve' THEN 7 ELSE 8 END, value "
        "FROM told",
        {
            "channels": {
                "valve": {"valid_for": "until_changed", "column": "7"},
                "temp": {"column": "8"},
                "none": {"valid_for": "until_changed"},
            },
        },
    ),
    "several tables over time": (
        "CREATE TABLE reading_1 (LIKE told); CREATE TABLE reading_2 (LIKE told);"
        "INSERT INTO reading_1 SELECT * FROM told WHERE at < '2024-04-30 12:00Z';"
        "INSERT INTO reading_2 SELECT * FROM told WHERE at >= '2024-04-30 12:00Z'",
        {"tables": "reading_*"},
    ),
    "double epochs": (
        "CREATE TABLE reading (at float8, machine text, sensor text, value text);"
        "INSERT INTO reading SELECT extract(epoch FROM at), machine, sensor, value FROM told",
        {"time": {"column": "at", "unit": "s"}},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_last_rows_are_found_in_tables_of_any_kind(plant: Plant, kind: str) -> None:
    plant.ingest("08:00", "13:00", plant.config(**LONG))
    wanted = sorted(v for (_, _, channel), v in plant.readings().items() if channel == "valve")
    _forget(plant)
    ddl, changes = KINDS[kind]
    plant.run(f"ALTER TABLE reading RENAME TO told; {ddl}; ALTER TABLE told RENAME TO old")
    found = _in_all_orders(plant, plant.config(**LONG | changes))
    assert sorted(v for (_, _, channel), v in found.items() if channel == "valve") == wanted


def test_naive_times_before_a_range_are_carried_in(plant: Plant) -> None:
    """Around the hour that occurs twice, too, of which rows before the range are read along."""
    plant.run(
        "ALTER TABLE reading ALTER at TYPE timestamp USING at AT TIME ZONE 'Europe/Berlin';"
        "INSERT INTO reading VALUES ('2024-10-27 02:30', 'm1', 'valve', '7'), "
        "('2024-10-27 02:50', 'm1', 'temp', '7')"
    )
    config = plant.config(**LONG | {"time": {"column": "at", "zone": "Europe/Berlin"}})
    for start, wanted in (("2024-05-01 10:00", 40.0), ("2024-10-27 01:00", 7.0)):
        start_us = int(at(start).timestamp()) * 1_000_000
        with open_source(plant.source_uri, config) as source:
            rows = source.read(start_us, start_us + 3_600_000_000)
        assert rows.channel is not None
        whose = rows.entity == rows.entity_names.index("m1")
        before = (rows.times_us < start_us) & (rows.channel == 0) & whose
        assert rows.values[before].tolist() == [wanted]


WIDE = """
CREATE TABLE reading_NAME (at timestamptz, machine text, temp float8, load float8);
INSERT INTO reading_NAME VALUES ('2024-05-01 07:20Z', 'NAME', 1, 2),
  ('2024-05-01 09:15Z', 'NAME', NULL, 3);
"""


@pytest.mark.parametrize("entity", [{"column": "machine"}, {"from_table": "reading_(.*)"}])
def test_in_wide_tables_a_row_speaks_for_all_its_columns(
    plant: Plant, entity: dict[str, str]
) -> None:
    plant.run("DROP TABLE reading")
    for name in ("m1", "m2"):
        plant.run(WIDE.replace("NAME", name))
    channels = {"temp": {"valid_for": "until_changed"}, "load": {"valid_for": "until_changed"}}
    source = {"tables": "reading_*", "entity": entity, "channels": channels, "silent_after": "2h"}
    found = _in_all_orders(plant, plant.config(**source))
    for name in ("m1", "m2"):
        of = {
            channel: [v for (e, _, c), v in found.items() if (e, c) == (name, channel)]
            for channel in channels
        }
        assert of == {"temp": [1.0] * 8, "load": [2.0] * 7 + [2.5] + [3.0] * 12}
        assert (name, "11:10", "load") in found


@pytest.fixture
def tags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tags file of a test."""
    monkeypatch.setenv("TSAD_DATASETS", str(tmp_path))
    return tmp_path / "plant.tags.csv"


HISTORY = """
CREATE TABLE history (itemid int, clock int, value float8, PRIMARY KEY (itemid, clock));
INSERT INTO history SELECT (right(machine, 1) || (sensor = 'temp')::int)::int,
  extract(epoch FROM at), nullif(value, 'unavailable')::float8 FROM reading;
"""


def _of_series(tags: Path, valve: dict[str, str]) -> DatasetConfig:
    source = {name: value for name, value in SOURCE.items() if name not in ("entity", "channels")}
    source |= {
        "tables": "history",
        "shape": "long",
        "series": "itemid",
        "tags": tags.name,
        "value_column": "value",
        "time": {"column": "clock", "unit": "s"},
        "channels": {"valve": valve | {"valid_for": "until_changed"}, "temp": {}},
    }
    return DatasetConfig.model_validate({"dataset": "plant", "source": source})


def test_series_are_carried_in_by_their_ids_and_under_the_name_of_their_hour(
    plant: Plant, tags: Path
) -> None:
    """The first valve is one of m9 from 10:35 on, where it is told of in tenths."""
    plant.run(HISTORY)
    tags.write_text(
        "itemid,entity,channel,scale,valid_from,valid_to\n10,m1,valve,1,,2024-05-01 10:35\n"
        "10,m9,valve,0.1,2024-05-01 10:35,\n11,m9,temp,1,2024-05-01 10:35,\n"
        "11,m1,temp,1,,2024-05-01 10:35\n20,m2,valve,1,,\n21,m2,temp,1,,\n"
    )
    _in_all_orders(plant, _of_series(tags, {}))
    m1, m9 = _valve(plant, "m1"), _valve(plant, "m9")
    assert (max(m1), {*m1.values()}) == ("10:30", {40.0})
    # Nothing is heard of m9 before its first row.
    assert [(time, m9[time]) for time in list(m9)[:4]] == [
        ("10:40", 4.0),
        ("10:50", 4.0),
        ("11:00", 4.0),
        ("11:10", 5.0),
    ]
    assert _valve(plant, "m2")["12:00"] == 10


def test_several_series_of_one_channel_hold_each_by_itself(plant: Plant, tags: Path) -> None:
    """A sum is known while all of them are."""
    plant.run(HISTORY)
    tags.write_text("itemid,entity,channel\n10,m1,valve\n20,m1,valve\n11,m1,temp\n")
    _in_all_orders(plant, _of_series(tags, {"across": "sum"}))
    m1 = _valve(plant, "m1")
    assert (m1["08:00"], m1["09:20"], m1["12:00"]) == (70, 70, 70)
    assert not {"09:30", "10:00", "11:20", "11:50"} & m1.keys()


def test_late_rows_change_what_held_after_them(plant: Plant) -> None:
    config = plant.config(**LONG | {"late_rows_within": "3h"})
    for hour in range(8, 13):
        plant.now_at = at(f"{hour + 1:02}:01")
        plant.ingest(f"{hour:02}:00", f"{hour + 1:02}:00", config)
    plant.run(
        "INSERT INTO reading VALUES ('2024-05-01 10:20Z', 'm1', 'valve', NULL), "
        "('2024-05-01 10:40Z', 'm1', 'valve', '41')"
    )
    plant.now_at = at("13:05")
    plant.ingest("12:00", "13:00", config)
    m1 = _valve(plant, "m1")
    assert ("10:20" in m1, "10:30" in m1) == (False, False)
    assert (m1["10:10"], m1["10:40"], m1["11:00"]) == (40, 41, 41)
    assert m1["11:10"] == 50.5
    live = plant.readings()
    _forget(plant)
    plant.ingest("08:00", "13:00", config)
    assert plant.readings() == live


def test_a_sensor_that_has_nothing_new_to_say_is_not_dead_and_one_that_says_so_is(
    plant: Plant,
) -> None:
    plant.ingest("08:00", "13:00", plant.config(**LONG))
    verdicts = "SELECT entity, to_char(hour_at AT TIME ZONE 'UTC', 'HH24'), channel, verdict"
    assert plant.rows(f"{verdicts} FROM tsad.v_quality WHERE channel = 'valve' ORDER BY 2") == [
        ("m2", "10", "valve", "dead"),
        ("m2", "11", "valve", "dead"),
    ]


def test_rows_before_a_range_are_neither_counted_nor_late(plant: Plant) -> None:
    config = plant.config(**LONG)
    summary = plant.ingest("10:00", "11:00", config)
    assert (summary.n_rows, summary.lag_s is None) == (12, True)
    assert summary.issues == {"new_entity": 2}
    with Store.connect(plant.warehouse_uri) as store:
        span = {"start_at": at("10:00"), "end_at": at("11:00")}
        assert late_changes(store, config, plant.source_uri, **span) == []


def test_an_index_on_series_and_time_finds_the_last_rows(plant: Plant) -> None:
    """As many rows as there are series, however many lie between."""
    plant.run(
        "INSERT INTO reading SELECT t, 'm' || m, 'temp', m FROM generate_series('2024-04-28Z'"
        "::timestamptz, '2024-04-30 23:59Z', '20 s') t, generate_series(1, 2) m;"
        "CREATE INDEX ON reading (machine, sensor, at); CREATE INDEX ON reading (at);"
        "ANALYZE reading"
    )
    with open_source(plant.source_uri, plant.config(**LONG)) as source:
        n_before = _n_rows_read(plant)
        rows = source.read(at_us := int(at("10:00").timestamp()) * 1_000_000, at_us + 3_600_000_000)
    before = rows.times_us < at_us
    assert int(before.sum()) == 4
    assert _n_rows_read(plant) - n_before < 100


def _n_rows_read(plant: Plant) -> int:
    """Rows of the table that scans and indexes have brought so far."""
    read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'reading'"
    return int(run(plant.source_uri, f"SELECT pg_stat_clear_snapshot(); {read}")[0][0])
