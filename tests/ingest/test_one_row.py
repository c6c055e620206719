"""One odd row costs one row: it is named, counted and left out, and whatever else there is of its
hour is stored, now and by later runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from psycopg2 import sql

from devstack.postgres import Cluster, administration
from tests.plants.plant import Plant, at
from tsad_tasks.base.errors import SourceError
from tsad_tasks.ingest.check import check_dataset
from tsad_tasks.ingest.late import late_changes
from tsad_tasks.ingest.sources import postgres
from tsad_tasks.ingest.sources.postgres_tables import broken, statements
from tsad_tasks.model.features import running_state
from tsad_tasks.model.windows import OFF
from tsad_tasks.storage.store import Store

TABLE = "CREATE TABLE reading (at timestamptz, machine text, temp float8, load float8);"
LONG = "CREATE TABLE reading (at timestamptz, machine text, sensor text, value float8);"
LONG_SOURCE = {"shape": "long", "channel_column": "sensor", "value_column": "value"}
# Of 10 kB, which no compression makes small.
LONG_NAME = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 320) i)"
GOOD = {("m1", "10:00", "temp"): 1.0, ("m1", "10:00", "load"): 2.0}


@dataclass(frozen=True)
class Odd:
    """Rows beside a good one of m1 at 10:00, what they are counted as, and what `check` says."""

    name: str
    rows: str
    issues: dict[tuple[str, str, str], int]
    said: str
    table: str = TABLE
    good: str = "('2024-05-01 10:00Z', 'm1', 1, 2)"
    source: dict[str, Any] = field(default_factory=dict)


def _time(name: str, rows: str, n_rows: int = 1, **changes: Any) -> Odd:
    issues = {("implausible_time", "m2", ""): n_rows}
    return Odd(name, rows, issues, f"others in {n_rows} rows (m2 {n_rows})", **changes)


def _epochs(kind: str, **source: Any) -> dict[str, Any]:
    return {
        "table": TABLE.replace("timestamptz", kind),
        "good": "(1714557600, 'm1', 1, 2)",
        "source": {"time": {"column": "at", "unit": "s"}, **source},
    }


def _label(name: str, kind: str, labels: str, words: str, n_rows: int = 1) -> Odd:
    return Odd(
        f"a label of {name}",
        labels,
        {("unknown_label", "m2", ""): n_rows},
        f"{n_rows} rows (m2) in the last 6 hours: neither yes nor no: {words}; read as NULL "
        "(unknown_label).",
        TABLE.replace("load float8", f"load float8, bad {kind}"),
        "('2024-05-01 10:00Z', 'm1', 1, 2, NULL)",
        {"label": "bad"},
    )


ODD = [
    Odd(
        "the name of a machine of 10 kB",
        f"('2024-05-01 10:00Z', {LONG_NAME}, 3, 3)",
        {("long_name", "", ""): 1},
        "1 rows in the last 6 hours: more than 1000 bytes, such as c4ca4238a0b923820dcc509a6f75849b"
        "c81e728d9d4c2f636f067f89cc14862… (1001 characters); not taken (long_name).",
    ),
    Odd(
        "the name of a channel of 10 kB",
        f"('2024-05-01 10:00Z', 'm1', {LONG_NAME}, 3), ('2024-05-01 10:00Z', 'm1', 'load', 2)",
        {
            (
                "unknown_channel",
                "",
                "c4ca4238a0b923820dcc509a6f75849bc81e728d9d4c2f636f067f89cc14862… (1001 "
                "characters)",
            ): 1
        },
        "not used: c4ca4238a0b923820dcc509a6f75849bc81e728d9d4c2f636f067f89cc14862… (1001",
        LONG,
        "('2024-05-01 10:00Z', 'm1', 'temp', 1)",
        LONG_SOURCE,
    ),
    _time("rows of 1970 and 2036", "('1970-01-01Z', 'm2', 3, 3), ('2036-02-07Z', 'm2', 3, 3)", 2),
    _time(
        "years outside of the calendar",
        "('294276-01-01Z', 'm2', 3, 3), ('4713-01-01Z BC', 'm2', 3, 3)",
        2,
    ),
    _time(
        "times that never come",
        "('infinity', 'm2', 3, 3), ('-infinity', 'm2', 3, 3)",
        2,
    ),
    _time(
        "naive years outside of the calendar",
        "('294276-01-01', 'm2', 3, 3), ('4713-01-01 BC', 'm2', 3, 3)",
        2,
        table=TABLE.replace("timestamptz", "timestamp"),
        good="('2024-05-01 12:00', 'm1', 1, 2)",
        source={"time": {"column": "at", "zone": "Europe/Berlin"}},
    ),
    _time("an integer epoch of no year", "(9e18, 'm2', 3, 3)", **_epochs("int8")),
    _time(
        "epochs that are no numbers",
        "('NaN', 'm2', 3, 3), ('Infinity', 'm2', 3, 3), (-1e300, 'm2', 3, 3)",
        3,
        **_epochs("float8"),
    ),
    _time("an exact epoch of 400 digits", "(1e400, 'm2', 3, 3)", **_epochs("numeric")),
    _label("-1", "int", "('2024-05-01 10:00Z', 'm2', NULL, NULL, -1)", "'-1'"),
    _label(
        "NaN or infinity",
        "float8",
        "('2024-05-01 10:00Z', 'm2', NULL, NULL, 'NaN'),"
        "('2024-05-01 10:10Z', 'm2', NULL, NULL, 'Infinity')",
        "'Infinity', 'NaN'",
        2,
    ),
    _label("a real NaN", "real", "('2024-05-01 10:00Z', 'm2', NULL, NULL, 'NaN')", "'NaN'"),
    _label(
        "1e400",
        "numeric",
        "('2024-05-01 10:00Z', 'm2', NULL, NULL, 1e400)",
        f"'1{'0' * 62}… (401 characters)'",
    ),
    _label(
        "words that nobody knows",
        "text",
        "('2024-05-01 10:00Z', 'm2', NULL, NULL, 'maybe'),"
        "('2024-05-01 10:10Z', 'm2', NULL, NULL, 'no')",
        "'maybe'",
    ),
]


@pytest.fixture
def plant(empty_plant: Plant) -> Plant:
    """An empty plant."""
    return empty_plant


def _fill(plant: Plant, table: str, rows: str) -> None:
    """Make the table `reading`, with these rows."""
    said = rows if rows.startswith("SELECT") else f"VALUES {rows}"
    plant.run(f"{table} INSERT INTO reading {said}")


def _said(plant: Plant, **source: Any) -> str:
    """What `datasets check` says."""
    found = check_dataset(plant.config(**source), plant.source_uri, now_at=plant.now_at)
    return "\n".join(finding.text for finding in found)


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)
def test_an_odd_row_costs_itself(odd: Odd, plant: Plant) -> None:
    _fill(plant, odd.table, f"{odd.good}, {odd.rows}")
    config = plant.config(**odd.source)
    for _ in range(2):
        plant.ingest("10:00", "11:00", config, force=True)
        issues = {key: n for key, n in plant.issues().items() if key[0] != "new_entity"}
        assert issues == odd.issues
    assert plant.readings() == GOOD
    assert plant.rows("SELECT count(*) FROM tsad.label") == [(0,)]
    (places,) = plant.rows("SELECT places FROM tsad.v_ingest")[0]
    told = {(one["issue"], one["entity"] or "", one["channel"] or "") for one in places}
    assert told == odd.issues.keys()
    assert sum(odd.issues.values()) == sum(
        plant.rows("SELECT issues FROM tsad.v_ingest")[0][0][issue] for issue, _, _ in odd.issues
    )
    assert odd.said in _said(plant, **odd.source)


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("bool", "true, false, NULL"),
        ("int", "3, 0, NULL"),
        ("float8", "0.5, 0, NULL"),
        ("numeric", "1, 0.0, NULL"),
        ("text", "' Yes ', 'n', ''"),
    ],
)
def test_labels_that_are_known_are_taken(kind: str, labels: str, plant: Plant) -> None:
    yes, *no = labels.split(", ")
    rows = [f"('2024-05-01 10:{i}0Z', 'm1', 1, 1, {text})" for i, text in enumerate([yes, *no])]
    _fill(plant, TABLE.replace("load float8", f"load float8, bad {kind}"), ", ".join(rows))
    plant.ingest("10:00", "11:00", plant.config(label="bad"))
    assert plant.rows("SELECT start_at, end_at FROM tsad.label") == [(at("10:00"), at("10:10"))]
    assert plant.issues() == {("new_entity", "m1", ""): 1}


def test_a_label_column_of_another_type_costs_the_labels(plant: Plant) -> None:
    table = TABLE.replace("load float8", "load float8, bad timestamptz")
    _fill(plant, table, "('2024-05-01 10:00Z', 'm1', 1, 2, now())")
    plant.ingest("10:00", "11:00", plant.config(label="bad"))
    assert plant.readings() == GOOD
    assert plant.issues()["not_numeric_column", "", ""] == 1
    wanted = "bad: Expected a truth, a number or a text. Received: timestamp with time zone."
    assert wanted in _said(plant, label="bad")


def test_a_real_time_column_is_refused_since_it_is_no_time(plant: Plant) -> None:
    plant.run("CREATE TABLE good (at float8, machine text, temp float8, load float8)")
    plant.run("INSERT INTO good VALUES (1714557600, 'm1', 1, 2)")
    _fill(plant, TABLE.replace("timestamptz", "real"), "SELECT * FROM good")
    source = {"tables": ["good", "reading"], "time": {"column": "at", "unit": "s"}}
    plant.ingest("10:00", "11:00", plant.config(**source))
    assert plant.readings() == GOOD
    assert plant.issues()["unusable_table", "", ""] == 1
    wanted = "Expected times exact to the second in the time column at. Received: real"
    assert wanted in _said(plant, **source)


@pytest.mark.parametrize("kind", ["float8", "numeric"])
def test_an_epoch_just_before_the_end_is_read_once(kind: str, plant: Plant) -> None:
    table = TABLE.replace("timestamptz", kind)
    _fill(plant, table, "(1714561199.9999997::float8, 'm1', 1, 2)")
    config = plant.config(time={"column": "at", "unit": "s"})
    plant.ingest("10:00", "12:00", config)
    hours = plant.rows("SELECT hour_at, n_rows FROM tsad.ingest_hour ORDER BY 1")
    # A numeric has been told fifteen digits when the row was made.
    assert hours == [(at("10:00"), kind == "float8"), (at("11:00"), kind == "numeric")]
    with Store.connect(plant.warehouse_uri) as store:
        span = {"start_at": at("10:00"), "end_at": at("12:00")}
        assert late_changes(store, config, plant.source_uri, **span) == []


@pytest.mark.parametrize("limit", [0.1, 0.3, 0.7, 21.3, 99.9])
def test_a_real_reading_at_a_limit_is_at_the_limit(limit: float, plant: Plant) -> None:
    rows = ", ".join(f"('2024-05-01 10:{i}0Z', 'm1', {limit}, {limit})" for i in range(6))
    _fill(plant, TABLE.replace("float8", "real"), rows)
    source = {
        "channels": {
            "temp": {"sensor_range": [limit, None]},
            "load": {"sensor_range": [None, limit]},
        }
    }
    plant.ingest("10:00", "11:00", plant.config(**source))
    reading = np.full((1, 1), plant.readings()["m1", "10:00", "temp"])
    assert running_state(reading, f"temp > {limit} or temp < {limit}", ["temp"], 0)[0] == OFF
    assert plant.rows("SELECT DISTINCT verdict FROM tsad.v_quality") == [("at_limit",)]
    assert "out of range" not in _said(plant, **source)


def test_a_real_column_keeps_its_marks_and_its_size(plant: Plant) -> None:
    name = plant.source_uri.rsplit("/", 1)[1]
    plant.run(f"ALTER DATABASE {name} SET extra_float_digits = -15")
    _fill(
        plant,
        TABLE.replace("temp float8", "temp real"),
        "('2024-05-01 10:00Z', 'm1', 'NaN', 1), "
        "('2024-05-01 10:10Z', 'm1', '-Infinity', 1), ('2024-05-01 10:20Z', 'm1', NULL, 1), "
        "('2024-05-01 10:30Z', 'm1', -3.4e38, 1), ('2024-05-01 10:40Z', 'm1', 16777217, 1), "
        "('2024-05-01 10:50Z', 'm1', 1e-45, 1)",
    )
    try:
        plant.ingest("10:00", "11:00")
    finally:
        plant.run(f"ALTER DATABASE {name} RESET extra_float_digits")
    values = [value for (_, _, channel), value in plant.readings().items() if channel == "temp"]
    assert values == [-3.4e38, 16777216, 1e-45]
    assert plant.issues()["not_finite", "m1", "temp"] == 2


@pytest.mark.parametrize("changed", ["294276-01-01Z", "4713-01-01Z BC", "infinity", "-infinity"])
def test_a_time_of_change_that_is_none_is_no_news(changed: str, plant: Plant) -> None:
    table = TABLE.replace("load float8", "load float8, changed timestamptz")
    _fill(plant, table, f"('2024-05-01 10:00Z', 'm1', 1, 2, '{changed}')")
    config = plant.config(updated_at="changed")
    plant.ingest("10:00", "11:00", config)
    assert plant.readings() == GOOD
    with Store.connect(plant.warehouse_uri) as store:
        span = {"start_at": at("10:00"), "end_at": at("11:00")}
        assert late_changes(store, config, plant.source_uri, **span) == []


def test_as_many_unknown_channels_as_rows_are_one_count(plant: Plant) -> None:
    rows = "SELECT '2024-05-01 10:00Z', 'm1', 's' || i, 1 FROM generate_series(1, 20000) i"
    _fill(plant, LONG, rows)
    plant.run("INSERT INTO reading VALUES ('2024-05-01 10:00Z', 'm1', 'temp', 1)")
    plant.ingest("10:00", "11:00", plant.config(**LONG_SOURCE))
    assert plant.readings() == {("m1", "10:00", "temp"): 1}
    assert plant.issues()["unknown_channel", "", ""] == 20000


def test_more_channels_than_an_index_or_a_view_holds_are_read(plant: Plant) -> None:
    channels: dict[str, dict[str, str]] = {f"s{i}": {"unit": "bar"} for i in range(1650)}
    _fill(plant, LONG, "('2024-05-01 10:00Z', 'm1', 's1649', 7)")
    config = plant.config(**LONG_SOURCE, channels=channels)
    plant.ingest("10:00", "11:00", config)
    plant.ingest("10:00", "11:00", config, force=True)
    assert plant.readings() == {("m1", "10:00", "s1649"): 7}
    assert plant.rows("SELECT count(*) FROM tsad.layout") == [(1,)]
    assert plant.rows("SELECT s1596 FROM tsad.readings_plant LIMIT 1") == [(None,)]


def test_readings_of_the_seventies_are_read_by_those_who_ask_for_them(plant: Plant) -> None:
    _fill(plant, TABLE, "('1970-01-01 10:00Z', 'm1', 1, 2)")
    plant.ingest("1970-01-01 09:00", "1970-01-01 11:00")
    assert plant.rows("SELECT sum(n_rows)::int FROM tsad.ingest_hour") == [(1,)]
    assert plant.issues() == {("new_entity", "m1", ""): 1}


VIEW = (
    "CREATE TABLE raw (at timestamptz, machine text, temp text, load text, changed text, bad text);"
    "CREATE VIEW reading AS SELECT at, machine, temp::float8 AS temp, 10 / load::int AS load, "
    "changed::timestamptz AS changed, bad::bool AS bad FROM raw;"
    "INSERT INTO raw SELECT '2024-05-01 10:00Z'::timestamptz + i * interval '1 min', 'm' || m, "
    "i, '2', '2024-05-01', 'f' FROM generate_series(0, 59) i, generate_series(1, 5) m;"
)
EACH_MINUTE = {"step": "1min"}


def test_a_cell_that_a_view_cannot_compute_costs_that_cell(plant: Plant) -> None:
    plant.run(VIEW)
    plant.ingest("10:00", "11:00", plant.config(**EACH_MINUTE))
    whole = plant.readings()
    plant.run("UPDATE raw SET temp = 'ERR' WHERE machine = 'm2' AND at = '2024-05-01 10:17Z'")
    plant.run("UPDATE raw SET load = '0' WHERE machine = 'm4' AND at >= '2024-05-01 10:58Z'")
    plant.run("DELETE FROM raw WHERE machine = 'm5'")
    said = _said(plant, **EACH_MINUTE)
    assert "temp: 1 rows (m2) in the last 6 hours: read as NULL (not_numeric)." in said
    plant.run("INSERT INTO raw SELECT at, 'm6', '1', '1' FROM raw WHERE machine = 'm1'")
    plant.ingest("10:00", "11:00", plant.config(**EACH_MINUTE), force=True)
    new = {("m6", f"10:{i:02}", name) for i in range(60) for name in ("temp", "load")}
    gone = {("m2", "10:17", "temp"), ("m4", "10:58", "load"), ("m4", "10:59", "load")}
    assert set(plant.readings()) == set(whole) - gone | new
    counted = {key: n for key, n in plant.issues().items() if key[0] == "not_numeric"}
    assert counted == {("not_numeric", "m2", "temp"): 1, ("not_numeric", "m4", "load"): 2}


def test_labels_and_times_of_change_that_a_view_cannot_compute_cost_themselves(
    plant: Plant,
) -> None:
    plant.run(VIEW)
    plant.run("UPDATE raw SET changed = 'soon' WHERE machine = 'm2' AND at < '2024-05-01 10:20Z'")
    plant.run("UPDATE raw SET bad = 'maybe' WHERE machine = 'm3' AND at = '2024-05-01 10:20Z'")
    plant.run("UPDATE raw SET bad = 't' WHERE machine = 'm3' AND at = '2024-05-01 10:30Z'")
    config = plant.config(label="bad", updated_at="changed", **EACH_MINUTE)
    plant.ingest("10:00", "11:00", config)
    assert len(plant.readings()) == 600
    assert plant.rows("SELECT start_at FROM tsad.label") == [(at("10:30"),)]
    assert plant.issues()["unknown_label", "m3", ""] == 1
    assert "neither yes nor no: '(cannot be read)'" in _said(
        plant, label="bad", updated_at="changed", **EACH_MINUTE
    )


def test_long_rows_and_names_that_a_view_cannot_compute_cost_themselves(plant: Plant) -> None:
    plant.run(
        "CREATE TABLE raw (at timestamptz, machine text, sensor text, value text);"
        "CREATE VIEW reading AS SELECT at, 'm' || machine::int AS machine, sensor, value::float8 "
        "AS value FROM raw;"
        "INSERT INTO raw SELECT '2024-05-01 10:00Z'::timestamptz + i * interval '10 min', m, s, '1'"
        " FROM generate_series(0, 5) i, generate_series(1, 3) m, unnest(ARRAY['temp', 'load']) s;"
        "UPDATE raw SET value = 'x' WHERE machine = '1' AND sensor = 'temp' AND at = "
        "'2024-05-01 10:20Z';"
        "INSERT INTO raw VALUES ('2024-05-01 10:25Z', 'one', 'temp', '1')"
    )
    plant.ingest("10:00", "11:00", plant.config(**LONG_SOURCE))
    assert len(plant.readings()) == 35
    assert plant.issues()["null_entity", "", ""] == 1
    assert plant.issues()["not_numeric", "m1", "temp"] == 1


def test_however_much_is_broken_the_good_machines_are_kept(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broken, "_MOST_PROBES", 20)
    plant.run(VIEW)
    plant.run("UPDATE raw SET temp = 'ERR' WHERE machine = 'm2' AND extract(minute FROM at) < 50")
    plant.ingest("10:00", "11:00", plant.config(**EACH_MINUTE))
    temps = [machine for machine, _, channel in plant.readings() if channel == "temp"]
    assert [temps.count(f"m{i}") for i in (1, 3, 4, 5)] == [60] * 4
    assert len(plant.readings()) == 540 + temps.count("m2")


def test_a_view_of_which_nothing_can_be_computed_costs_itself(plant: Plant) -> None:
    plant.run(
        "CREATE TABLE reading_1 (at timestamptz, temp float8, load float8);"
        "INSERT INTO reading_1 VALUES ('2024-05-01 10:00Z', 1, 2);"
        "CREATE TABLE raw (at text); CREATE VIEW reading_2 AS SELECT at::timestamptz AS at, 1 AS "
        "temp, 2 AS load FROM raw; INSERT INTO raw VALUES ('2024-05-01 10:00Z')"
    )
    source = {"tables": "reading_*", "entity": {"from_table": "reading_(.*)"}}
    plant.ingest("10:00", "11:00", plant.config(**source))
    plant.run("INSERT INTO raw SELECT 'soon' || repeat('x', 100000)")
    plant.ingest("10:00", "11:00", plant.config(**source), force=True)
    assert len(plant.readings()) == 4
    assert plant.issues() == {("unusable_table", "", ""): 1}
    assert "public.reading_2: Expected rows of it that can be read. Received: invalid input" in (
        _said(plant, **source)
    )
    (places,) = plant.rows("SELECT places FROM tsad.v_ingest")[0]
    assert len(places[0]["detail"]) < 400
    plant.run("DROP TABLE reading_1")
    with pytest.raises(SourceError, match="reading_2: Expected rows of it that can be read"):
        plant.ingest("10:00", "11:00", plant.config(**source), force=True)


def test_times_outside_of_all_are_counted_in_views_that_are_cheap(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "('2024-05-01 10:00Z', 'm1', 1, 2), (NULL, 'm2', 3, 3), ('2036-01-01Z', 'm2', 3, 3)"
    _fill(plant, TABLE, rows)
    plant.run("ALTER TABLE reading RENAME TO raw; CREATE VIEW reading AS SELECT * FROM raw")
    plant.ingest("10:00", "11:00")
    outside = {("null_time", "", ""): 1, ("implausible_time", "m2", ""): 1}
    assert plant.issues() == {("new_entity", "m1", ""): 1, **outside}
    monkeypatch.setattr(postgres, "_CHEAP_COST", 1)
    plant.ingest("10:00", "11:00", force=True)
    assert plant.issues() == {}
    said = _said(plant)
    assert "1 rows without a time" in said
    assert "others in 1 rows (m2 1)" in said


def test_no_run_fails_for_times_that_it_only_counts(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(plant, TABLE, "('2024-05-01 10:00Z', 'm1', 1, 2)")
    monkeypatch.setattr(postgres, "_CHEAPLY_S", 0.1)
    monkeypatch.setattr(
        statements, "implausible_statement", lambda *_: sql.SQL("SELECT pg_sleep(20)::text, 1")
    )
    plant.ingest("10:00", "11:00")
    assert plant.readings() == GOOD


def test_a_name_of_no_encoding_is_a_name(plant: Plant, cluster: Cluster) -> None:
    name = f"bytes_{uuid4().hex}"
    with administration(cluster) as server, server.cursor() as cursor:
        cursor.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc "
            "LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    plant.source_uri = cluster.uri(name)
    _fill(
        plant,
        TABLE.replace("load float8", "load float8, bad text"),
        r"('2024-05-01 10:00Z', 'm1', 1, 2, NULL), ('2036-01-01Z', E'm\xff', 3, 3, NULL), "
        r"('2024-05-01 10:00Z', E'gr\xc3\xb6\xc3\x9fe', 3, 3, NULL), "
        r"('2024-05-01 10:00Z', E'm\xfc', 3, 3, E'\xfc')",
    )
    for _ in range(2):
        plant.ingest("10:00", "11:00", plant.config(label="bad"), force=True)
    cluster.drop_database(name)
    assert [entity for entity, _, channel in plant.readings() if channel == "temp"] == [
        "größe", "m1", r"m\xfc",
    ]  # fmt: skip
    assert plant.issues() == {
        ("implausible_time", r"m\xff", ""): 1,
        ("unknown_label", r"m\xfc", ""): 1,
    }
