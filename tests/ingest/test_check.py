"""`datasets check` says what is wrong before anything runs."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from tests.plants.plant import DAY, Plant
from tsad_tasks.base.errors import SourceError
from tsad_tasks.ingest.check import check_dataset
from tsad_tasks.storage.database import connect

TABLE = "CREATE TABLE reading (at timestamptz, machine text, temp float8, load text, fan float8)"
FILL = """
INSERT INTO reading SELECT t, 'm' || m, 20, '1', 1
FROM generate_series('2024-05-01 00:00Z'::timestamptz, '2024-05-01 23:59Z', '10 min') t,
  generate_series(1, 2) m
"""


@pytest.fixture
def plant(empty_plant: Plant) -> Plant:
    """Two machines with a day of readings."""
    empty_plant.now_at = DAY + timedelta(days=1)
    empty_plant.run(TABLE)
    empty_plant.run(FILL)
    return empty_plant


def _texts(plant: Plant, level: str, **source: Any) -> str:
    found = check_dataset(plant.config(**source), plant.source_uri, now_at=plant.now_at)
    return "\n".join(finding.text for finding in found if finding.level == level)


def test_a_good_dataset_has_no_errors(plant: Plant) -> None:
    assert _texts(plant, "error") == ""
    said = _texts(plant, "info")
    assert "1 of 1 tables can be read." in said
    assert re.search(r"An hour reads \d+ rows and uses 12 \(.* s\)\.", said)
    assert "2 entities, such as m1, m2." in said
    assert "Columns that are not used: fan." in said


def test_rows_that_are_read_for_nothing_are_a_warning(plant: Plant) -> None:
    plant.run(
        "INSERT INTO reading (at, machine) SELECT '2024-04-01Z', 'm1' FROM generate_series(1, "
        "20000); ANALYZE reading"
    )
    said = _texts(plant, "warning")
    assert re.search(r"An hour reads 20,\d+ rows and uses 12 \(.* s\): no key of it serves.", said)
    assert 'CREATE INDEX CONCURRENTLY ON "public"."reading" USING brin ("at");' in said
    (statement,) = re.findall("CREATE INDEX.*?;", said)
    with closing(connect(plant.source_uri)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(statement)
        cursor.execute(statement.replace("USING brin ", ""))
    assert "no key of it serves" not in _texts(plant, "warning")


def test_a_large_table_without_a_key_is_read_once_the_file_accepts_it(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A hundredth of the rows of a table that is large.
    for name, value in (("_LARGE_ROWS", 10_000), ("_LARGE_COST", 200)):
        monkeypatch.setattr(f"tsad_tasks.ingest.sources.postgres_tables.advice.{name}", value)
    plant.ingest("10:00", "11:00")
    plant.run(
        "INSERT INTO reading (at, machine) SELECT '2024-04-01Z', 'm1' FROM generate_series(1, "
        "20000); ANALYZE reading; CREATE VIEW readings AS TABLE reading;"
        "CREATE TABLE new WITH (autovacuum_enabled = off) AS TABLE reading;"
        "CREATE TABLE parts (LIKE reading) PARTITION BY RANGE (at);"
        "CREATE TABLE part PARTITION OF parts DEFAULT; INSERT INTO parts TABLE reading"
    )
    assert "not read before you say source.full_scan: true" in _texts(plant, "warning")
    places = {"reading": "reading", "readings": "reading", "new": "new", "parts": "part"}
    for tables, place in places.items():
        with pytest.raises(SourceError, match=rf"none for {place}, .* source\.full_scan: true"):
            plant.ingest("11:00", "12:00", plant.config(tables=tables))
    accepting = plant.config(full_scan=True)
    assert plant.ingest("11:00", "12:00", accepting).n_readings == 12
    assert "source.full_scan" not in _texts(plant, "warning", full_scan=True)
    plant.run("CREATE INDEX ON reading (at)")
    assert plant.ingest("12:00", "13:00").n_readings == 12
    assert plant.ingest("13:00", "14:00", plant.config(tables="readings")).n_readings == 12


def test_a_table_of_last_values_is_no_history(plant: Plant) -> None:
    plant.run("CREATE TABLE latest AS SELECT DISTINCT ON (machine) * FROM reading ORDER BY machine")
    said = _texts(plant, "warning", tables="latest")
    assert "It has one row for each of 2 series, as tables of last values do" in said
    assert "one row for each" not in _texts(plant, "warning")


def test_two_tables_at_a_time_of_one_machine_are_an_error(plant: Plant) -> None:
    plant.run(
        "CREATE TABLE hall AS SELECT at, temp, fan AS load FROM reading WHERE machine = 'm1';"
        "CREATE TABLE roof AS TABLE hall; CREATE TABLE before AS SELECT at - interval '1 day' AS "
        "at, temp, load FROM hall; CREATE TABLE power AS SELECT at, temp AS kw FROM hall"
    )
    one = {"entity": {"constant": "house"}}
    said = _texts(plant, "error", tables=["hall", "roof"], **one)
    assert "public.hall and public.roof both say temp, load of house until 2024-05-01 23:50" in said
    # One table after another, or each with a channel of its own.
    assert _texts(plant, "error", tables=["before", "hall"], **one) == ""
    channels = {"temp": {}, "kw": {}}
    assert "both say" not in _texts(
        plant, "error", tables=["hall", "power"], channels=channels, **one
    )


def test_series_that_would_be_mixed_are_an_error(plant: Plant) -> None:
    plant.run(
        "CREATE TABLE cpu (id serial, at timestamptz, host text, cpu text, temp float8);"
        "INSERT INTO cpu (at, host, cpu, temp) SELECT '2024-05-01 10:00Z'::timestamptz + i * "
        "interval '5 min', 'h' || j, 'cpu' || k, k FROM generate_series(0, 11) i, "
        "generate_series(1, 2) j, generate_series(1, 3) k"
    )
    source = {"tables": "cpu", "entity": {"column": "host"}, "channels": {"temp": {}}}
    said = "72 rows of an hour for 24 of entity and time; cpu tells them apart (3 values)"
    assert said in _texts(plant, "error", **source)
    assert _texts(plant, "error", **source, rows_where={"cpu": "cpu1"}) == ""
    plant.run("UPDATE cpu SET cpu = 'cpu1'")
    assert _texts(plant, "error", **source) == ""


def test_a_login_that_could_write_is_a_warning(plant: Plant) -> None:
    assert "The login may write to it." in _texts(plant, "warning")


def test_a_unit_that_would_fit_is_named(plant: Plant) -> None:
    plant.run(
        "CREATE TABLE epoch AS SELECT 1714557600000 + 60000 * i AS at, 'm1' AS machine, 1 AS temp "
        "FROM generate_series(0, 59) i"
    )
    source = {"tables": "epoch", "channels": {"temp": {}}}
    said = _texts(plant, "warning", **source, time={"column": "at", "unit": "s"})
    assert "They would be plausible in time.unit: ms." in said
    assert "time.unit" not in _texts(
        plant, "warning", **source, time={"column": "at", "unit": "ms"}
    )


@pytest.mark.parametrize(
    ("source", "level", "text"),
    [
        (
            {"channels": {"temp": {}, "pressure": {}}},
            "error",
            "Expected the column pressure. Received: at, machine",
        ),
        (
            {"channels": {"temp": {}, "time": {"column": "at"}}},
            "error",
            ": Expected numbers. Received: timestamp with time zone.",
        ),
        ({"tables": "raeding"}, "error", "Similar: public.reading."),
        ({}, "warning", "load: Expected numbers. Received: texts"),
        (
            {"step": "1min"},
            "warning",
            "Readings are 600 s apart, the step is 60 s: most steps will be empty. Set step: "
            "10min, or valid_for: 600s on the channels.",
        ),
        ({"step": "1h"}, "info", "readings of a step are made one by the channel's aggregate"),
        (
            {"channels": {"temp": {"sensor_range": [None, 10]}}},
            "warning",
            "temp: 100.0% of the values are out of range (20 to 20",
        ),
        (
            {"time": {"column": "at", "unit": "s"}},
            "warning",
            "Expected no time.unit, since at is a timestamp with time zone",
        ),
        (
            {"time": {"column": "at", "zone": "Europe/Berlin"}},
            "warning",
            "Expected no time.zone, since at is a timestamp with time zone. Received: Europe/Berl",
        ),
    ],
)
def test_findings(plant: Plant, source: dict[str, Any], level: str, text: str) -> None:
    assert text in _texts(plant, level, **source)


def test_values_that_stay_valid_want_an_index_and_no_coarser_step(plant: Plant) -> None:
    source = {"channels": {"temp": {"valid_for": "until_changed"}}, "step": "1min"}
    said = _texts(plant, "warning", **source)
    assert (
        'for the last row of each series, since values are valid until_changed. One on ("' in said
    )
    assert "most steps will be empty" not in said
    plant.run("CREATE INDEX ON reading (machine, at)")
    assert "last row of each series" not in _texts(plant, "warning", **source)


def test_each_channel_of_a_long_table_has_a_rate(plant: Plant) -> None:
    plant.run(
        "CREATE TABLE long AS SELECT DAY + i * interval '1 min' AS at, 'm1' AS machine, 'temp' AS "
        "what, 1.0 AS value FROM generate_series(0, 999) i UNION ALL SELECT DAY + i * interval "
        "'10 min 1 s', 'm1', 'load', 2 FROM generate_series(0, 99) i".replace(
            "DAY", f"'{DAY:%Y-%m-%d}Z'::timestamptz"
        )
    )
    source = {"tables": "long", "shape": "long", "channel_column": "what", "value_column": "value"}
    source["step"] = "1min"
    said = _texts(plant, "warning", **source, channels={"temp": {}, "load": {}})
    assert "load: Readings are 601 s apart, the step is 60 s: most steps will be empty." in said
    assert "temp: Readings" not in said
    silent = {f"s{i}": {} for i in range(7)}
    assert "s0, s1, s2, s3, s4 and 2 more channels: no value in the last 6 hours." in _texts(
        plant, "warning", **source, channels={"temp": {}, **silent}
    )
    held = {"temp": {}, "load": {"valid_for": "11min"}}
    assert "steps will be empty" not in _texts(plant, "warning", **source, channels=held)


def test_old_and_future_readings_are_warnings(plant: Plant) -> None:
    plant.now_at = DAY + timedelta(days=30)
    assert "The newest reading is 29 days old" in _texts(plant, "warning")
    plant.now_at = DAY
    assert "Expected no readings from the future" in _texts(plant, "warning")


def test_empty_tables_and_closed_doors_are_findings(plant: Plant) -> None:
    plant.run("TRUNCATE reading")
    assert "Expected rows. Received: empty tables." in _texts(plant, "warning")
    plant.source_uri = plant.source_uri.replace("@", "x@", 1)
    assert "Expected a login" in _texts(plant, "error")
