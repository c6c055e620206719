"""Every kind of bad or odd input: what is taken, what is counted. docs/bad_input.md is the same
table in words.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.plants.plant import Plant

WIDE = (
    "CREATE TABLE reading (at timestamptz, machine text, temp float8, load float8, changed "
    "timestamptz);"
)
NAIVE = "CREATE TABLE reading (at timestamp, machine text, temp float8, load float8);"
LONG = "CREATE TABLE reading (at timestamptz, machine text, sensor text, value text);"
LONG_SOURCE = {"shape": "long", "channel_column": "sensor", "value_column": "value"}
NEW = ("new_entity", "m1", "")


@dataclass(frozen=True)
class Case:
    """Rows of the source, how it is read, and what must come of [10:00, 11:00) of 1 May 2024 (or of
    `hours`).
    """

    name: str
    table: str
    rows: str
    readings: dict[tuple[str, str, str], float]
    issues: dict[tuple[str, str, str], int] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    hours: tuple[str, str] = ("10:00", "11:00")


def m1(**values: float) -> dict[tuple[str, str, str], float]:
    """Readings of m1: `temp_1000=1.0` is temp at 10:00."""
    parts = {name: name.rsplit("_", 1) for name in values}
    return {
        ("m1", f"{time[:2]}:{time[2:]}", channel): values[name]
        for name, (channel, time) in parts.items()
    }


CASES = [
    Case(
        "of duplicates the highest updated_at wins, NULL included",
        WIDE,
        "('2024-05-01 10:00Z', 'm1', 5, 50, '2024-05-01 10:01Z'), "
        "('2024-05-01 10:00Z', 'm1', 3, NULL, '2024-05-01 10:02Z')",
        m1(temp_1000=3),
        {("duplicate", "m1", ""): 1},
        {"updated_at": "changed"},
    ),
    Case(
        "of duplicates without updated_at each channel takes its greatest value",
        WIDE,
        "('2024-05-01 10:00Z', 'm1', 5, NULL), ('2024-05-01 10:00Z', 'm1', 3, 50), ('2024-05-01 "
        "10:00Z', 'm1', 4, 40)",
        m1(temp_1000=5, load_1000=50),
        {("duplicate", "m1", ""): 2},
    ),
    Case(
        "rows out of order are put in order",
        WIDE,
        "('2024-05-01 10:50Z', 'm1', 6, 1), ('2024-05-01 10:00Z', 'm1', 1, 1), ('2024-05-01 "
        "10:20Z', 'm1', 3, 1)",
        m1(temp_1000=1, temp_1020=3, temp_1050=6, load_1000=1, load_1020=1, load_1050=1),
    ),
    Case("a gap stays a gap", WIDE, "('2024-05-01 10:00Z', 'm1', 1, NULL)", m1(temp_1000=1)),
    Case(
        "NaN, infinite and huge values are read as NULL",
        WIDE,
        "('2024-05-01 10:00Z', 'm1', 'NaN', 1), ('2024-05-01 10:10Z', 'm1', '-Infinity', 1), "
        "('2024-05-01 10:20Z', 'm1', 1e301, 1)",
        m1(load_1000=1, load_1010=1, load_1020=1),
        {("not_finite", "m1", "temp"): 3},
    ),
    Case(
        "a time beside the grid is moved to its step",
        WIDE,
        "('2024-05-01 10:03:07Z', 'm1', 1, 2)",
        m1(temp_1000=1, load_1000=2),
        {("off_grid", "m1", ""): 1},
    ),
    Case(
        "irregular readings of a step become one by the channel's aggregate",
        WIDE,
        "('2024-05-01 10:07Z', 'm1', 1, 8), ('2024-05-01 10:01Z', 'm1', 3, 6), ('2024-05-01 "
        "10:09Z', 'm1', NULL, 1)",
        m1(temp_1000=1, load_1000=5),
        {("resampled", "m1", ""): 2},
        {"channels": {"temp": {"aggregate": "last"}, "load": {"aggregate": "mean"}}},
    ),
    Case(
        "readings at 1 Hz become one per step",
        WIDE.replace("temp float8", "temp float8 DEFAULT 1"),
        "SELECT '2024-05-01 10:00Z'::timestamptz + i * interval '1 s', 'm1', i, 0 FROM "
        "generate_series(0, 1199) i",
        m1(temp_1000=599, temp_1010=1199, load_1000=600, load_1010=600),
        {("resampled", "m1", ""): 1198},
        {"channels": {"temp": {"aggregate": "max"}, "load": {"aggregate": "count"}}},
    ),
    Case(
        "clocks set back: an ambiguous time is the first of the two",
        NAIVE,
        "('2024-10-27 01:50', 'm1', 1, 1), ('2024-10-27 02:00', 'm1', 2, 2), ('2024-10-27 03:00', "
        "'m1', 3, 3)",
        m1(temp_2350=1, load_2350=1, temp_0000=2, load_0000=2, temp_0200=3, load_0200=3),
        {("ambiguous_time", "", ""): 1},
        {"time": {"column": "at", "zone": "Europe/Berlin"}},
        ("2024-10-26 23:00", "2024-10-27 03:00"),
    ),
    Case(
        "clocks set back: an ambiguous time is the second of the two when the file says so",
        NAIVE,
        "('2024-10-27 02:00', 'm1', 2, 2)",
        m1(temp_0100=2, load_0100=2),
        {("ambiguous_time", "", ""): 1},
        {"time": {"column": "at", "zone": "Europe/Berlin", "ambiguous": "second"}},
        ("2024-10-26 23:00", "2024-10-27 03:00"),
    ),
    Case(
        "clocks set forward: a time that never was is not taken",
        NAIVE,
        "('2024-03-31 01:50', 'm1', 1, 1), ('2024-03-31 02:30', 'm1', 2, 2), ('2024-03-31 03:00', "
        "'m1', 3, 3)",
        m1(temp_0050=1, load_0050=1, temp_0100=3, load_0100=3),
        {("nonexistent_time", "", ""): 1},
        {"time": {"column": "at", "zone": "Europe/Berlin"}},
        ("2024-03-31 00:00", "2024-03-31 02:00"),
    ),
    Case(
        "dates are midnight in the zone",
        NAIVE.replace("timestamp", "date"),
        "('2024-05-02', 'm1', 1, 2)",
        m1(temp_2200=1, load_2200=2),
        {},
        {"time": {"column": "at", "zone": "Europe/Berlin"}},
        ("22:00", "23:00"),
    ),
    Case(
        "integer epochs in seconds",
        NAIVE.replace("timestamp", "int"),
        "(1714557600, 'm1', 1, 2), (1714561200, 'm1', 3, 3)",
        m1(temp_1000=1, load_1000=2),
        {},
        {"time": {"column": "at", "unit": "s"}},
    ),
    Case(
        "integer epochs in milliseconds",
        NAIVE.replace("timestamp", "bigint"),
        "(1714557600000, 'm1', 1, 2), (1714561199999, 'm1', 3, 4)",
        m1(temp_1000=1, load_1000=2, temp_1050=3, load_1050=4),
        {("off_grid", "m1", ""): 1},
        {"time": {"column": "at", "unit": "ms"}},
    ),
    Case(
        "epochs with a fraction",
        NAIVE.replace("timestamp", "float8"),
        "(1714557600.5, 'm1', 1, 2)",
        m1(temp_1000=1, load_1000=2),
        {("off_grid", "m1", ""): 1},
        {"time": {"column": "at", "unit": "s"}},
    ),
    Case(
        "a text that is no number costs only itself",
        WIDE.replace("temp float8", "temp text"),
        "('2024-05-01 10:00Z', 'm1', ' 1.5e1 ', 1), ('2024-05-01 10:10Z', 'm1', 'ERR', 2), "
        "('2024-05-01 10:20Z', 'm1', 'inf', 3), "
        "('2024-05-01 10:30Z', 'm1', '', 4), ('2024-05-01 10:40Z', 'm1', '1,5', 5)",
        m1(temp_1000=15, load_1000=1, load_1010=2, load_1020=3, load_1030=4, load_1040=5),
        {("not_numeric", "m1", "temp"): 2, ("not_finite", "m1", "temp"): 1},
    ),
    Case(
        "booleans are 0 and 1, exact numbers of any size are numbers",
        WIDE.replace("temp float8", "temp bool").replace("load float8", "load numeric"),
        "('2024-05-01 10:00Z', 'm1', true, 1e-400), ('2024-05-01 10:10Z', 'm1', false, 1e400)",
        m1(temp_1000=1, temp_1010=0, load_1000=0),
        {("not_finite", "m1", "load"): 1},
    ),
    Case(
        "rows of nobody are not taken",
        WIDE,
        "('2024-05-01 10:00Z', 'm1', 1, 1), ('2024-05-01 10:00Z', NULL, 2, 2), ('2024-05-01 "
        "10:10Z', '', 3, 3)",
        m1(temp_1000=1, load_1000=1),
        {("null_entity", "", ""): 2},
    ),
    Case(
        "rows of no time are not taken",
        WIDE,
        "('2024-05-01 10:00Z', 'm1', 1, 1), (NULL, 'm1', 2, 2), ('infinity', 'm1', 2, 2)",
        m1(temp_1000=1, load_1000=1),
        {("null_time", "", ""): 1, ("implausible_time", "m1", ""): 1},
    ),
    Case(
        "a channel whose column is missing or was renamed costs that channel",
        WIDE.replace("load float8", "load_pct float8"),
        "('2024-05-01 10:00Z', 'm1', 1, 2)",
        m1(temp_1000=1),
        {("missing_column", "", "load"): 1},
    ),
    Case(
        "a channel whose column became something else costs that channel",
        WIDE.replace("load float8", "load timestamptz"),
        "('2024-05-01 10:00Z', 'm1', 1, now())",
        m1(temp_1000=1),
        {("not_numeric_column", "", "load"): 1},
    ),
    Case(
        "a missing updated_at costs only the rule for duplicates",
        WIDE,
        "('2024-05-01 10:00Z', 'm1', 1, 2)",
        m1(temp_1000=1, load_1000=2),
        {("missing_column", "", ""): 1},
        {"updated_at": "touched"},
    ),
    Case(
        "a column that was added changes nothing",
        WIDE.replace("load float8", "load float8, fan float8"),
        "('2024-05-01 10:00Z', 'm1', 1, 2, 3)",
        m1(temp_1000=1, load_1000=2),
    ),
    Case(
        "long rows: unknown and unnamed channels are not taken, texts cost only themselves",
        LONG,
        "('2024-05-01 10:00Z', 'm1', 'temp', '1'), ('2024-05-01 10:00Z', 'm1', 'load', 'x'), "
        "('2024-05-01 10:00Z', 'm1', 'fan', '7'), ('2024-05-01 10:00Z', 'm1', NULL, '7'), "
        "('2024-05-01 10:00Z', 'm1', 'temp', '0')",
        m1(temp_1000=1),
        {
            ("unknown_channel", "", "fan"): 1,
            ("null_channel", "", ""): 1,
            ("not_numeric", "m1", "load"): 1,
            ("duplicate", "m1", ""): 1,
        },
        LONG_SOURCE,
    ),
    Case(
        "odd names of columns are only names",
        'CREATE TABLE reading ("a;t" timestamptz, "ma""chine" text, "%s" float8, "{load}" float8);',
        "('2024-05-01 10:00Z', 'm1', 1, 2)",
        m1(temp_1000=1, load_1000=2),
        {},
        {
            "time": {"column": "a;t"},
            "entity": {"column": 'ma"chine'},
            "channels": {"temp": {"column": "%s"}, "load": {"column": "{load}"}},
        },
    ),
]


@pytest.fixture
def plant(empty_plant: Plant) -> Plant:
    """An empty plant."""
    return empty_plant


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, plant: Plant) -> None:
    rows = case.rows if case.rows.startswith("SELECT") else f"VALUES {case.rows}"
    plant.run(f"{case.table} INSERT INTO reading {rows}")
    summary = plant.ingest(*case.hours, plant.config(**case.source))
    assert plant.readings() == case.readings
    assert plant.issues() == {**case.issues, NEW: 1}
    assert sum(summary.issues.values()) == sum(plant.issues().values())


def test_an_empty_table_is_read_and_written_down(plant: Plant) -> None:
    plant.run(WIDE)
    assert plant.ingest("10:00", "11:00").n_hours_read == 1
    assert plant.rows("SELECT n_rows, n_readings, newest_at FROM tsad.ingest_hour") == [
        (0, 0, None)
    ]
    assert plant.issues() == {}


def test_an_empty_long_table_is_read_and_written_down(plant: Plant) -> None:
    plant.run(LONG)
    assert plant.ingest("10:00", "11:00", plant.config(**LONG_SOURCE)).n_rows == 0


def test_a_table_that_cannot_be_used_costs_only_itself(plant: Plant) -> None:
    plant.run(
        "CREATE TABLE machine_1 (at timestamptz, temp int, load int);"
        "INSERT INTO machine_1 VALUES ('2024-05-01 10:00Z', 1, 2);"
        "CREATE TABLE machine_2 (taken timestamptz, temp int, load int);"
        "INSERT INTO machine_2 VALUES ('2024-05-01 10:00Z', 1, 2);"
        "CREATE TABLE machine_3 (at timestamptz, temp int);"
        "INSERT INTO machine_3 VALUES ('2024-05-01 10:00Z', 5)"
    )
    plant.ingest(
        "10:00", "11:00", plant.config(tables="machine_*", entity={"from_table": "machine_(.*)"})
    )
    assert plant.readings() == {
        ("1", "10:00", "temp"): 1,
        ("1", "10:00", "load"): 2,
        ("3", "10:00", "temp"): 5,
    }
    assert plant.issues()["unusable_table", "", ""] == 1
    assert not any(issue == "missing_column" for issue, _, _ in plant.issues())
    plant.run("ALTER TABLE machine_1 DROP load; ALTER TABLE machine_3 ADD load int")
    plant.run("INSERT INTO machine_1 VALUES ('2024-05-01 11:00Z', 1)")
    plant.ingest(
        "11:00", "12:00", plant.config(tables="machine_*", entity={"from_table": "machine_(.*)"})
    )
    assert plant.issues()["missing_column", "1", "load"] >= 1


def test_many_entities_with_the_same_issue_are_one_row(plant: Plant) -> None:
    plant.run(WIDE)
    plant.run(
        "INSERT INTO reading SELECT '2024-05-01 10:01Z', 'm' || i, 1, 1 FROM generate_series(1, "
        "30) i"
    )
    plant.ingest("10:00", "11:00")
    assert plant.issues() == {("new_entity", "", ""): 30, ("off_grid", "", ""): 30}
