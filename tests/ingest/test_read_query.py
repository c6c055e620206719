"""Tables of other systems: one SELECT, series by the source's own ids, and what values mean."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import pytest

from devstack.postgres import Cluster, administration
from tests.plants.plant import SOURCE, Plant, at
from tests.statements import run
from tsad_tasks.base.errors import ConfigError, SourceError, Unavailable
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.check import check_dataset
from tsad_tasks.ingest.late import late_changes
from tsad_tasks.storage.store import Store

# As Zabbix has it.
HISTORY = """
CREATE TABLE history (itemid bigint, clock integer, value float8, ns integer,
  PRIMARY KEY (itemid, clock, ns));
"""
# As ThingsBoard has it.
TS_KV = """
CREATE TABLE ts_kv (entity_id uuid, key int, ts bigint, bool_v bool, str_v varchar, long_v bigint,
  dbl_v float8, json_v json)
"""
T = 1714557600  # 2024-05-01 10:00 UTC
HISTORY_SOURCE: dict[str, Any] = {
    "tables": "history",
    "time": {"column": "clock", "unit": "s", "nanoseconds": "ns"},
    "series": "itemid",
    "tags": "plant.tags.csv",
    "value_column": "value",
}
HEAD = "itemid,entity,channel"
TAGS = f"{HEAD}\n7,m1,temp\n8,m1,load\n9,m2,temp\n"


@pytest.fixture
def plant(filed_plant: Plant, tmp_path: Path) -> Plant:
    """An empty plant with a tags file."""
    (tmp_path / "plant.tags.csv").write_text(TAGS)
    return filed_plant


def _config(source: dict[str, Any], *without: str) -> DatasetConfig:
    settings = {name: value for name, value in SOURCE.items() if name not in without}
    return DatasetConfig.model_validate({"dataset": "plant", "source": settings | source})


def _of_series(**source: Any) -> DatasetConfig:
    without = ("entity", "tables") if "query" in source else ("entity",)
    settings = {name: value for name, value in HISTORY_SOURCE.items() if name not in without}
    return _config(settings | source, *without)


def _fill(plant: Plant, table: str, rows: str) -> None:
    name = table.split("(")[0].split()[2]
    plant.run(f"{table}; INSERT INTO {name} VALUES {rows}")  # noqa: S608


def _read(plant: Plant, config: DatasetConfig) -> dict[tuple[str, str, str], float]:
    plant.ingest("10:00", "11:00", config)
    return plant.readings()


def _issues(plant: Plant) -> dict[tuple[str, str, str], int]:
    return {key: n for key, n in plant.issues().items() if key[0] not in {"new_entity", "off_grid"}}


@pytest.mark.parametrize(
    "read",
    [
        {},
        {"query": "SELECT * FROM history;"},
        {"query": "SELECT itemid, clock, ns, value -- all\n FROM history"},
    ],
    ids=["table", "query", "query with a comment"],
)
def test_series_are_read_by_their_ids(plant: Plant, read: dict[str, Any]) -> None:
    _fill(
        plant,
        HISTORY,
        f"(7, {T}, 1, 5), (7, {T}, 3, 900), (8, {T + 600}, 5, 0), (9, {T + 1200}, 6, 0), "
        f"(10, {T}, 99, 0)",
    )
    channels = {"temp": {"aggregate": "last"}, "load": {}}
    config = _of_series(channels=channels, **read)
    assert _read(plant, config) == {
        ("m1", "10:00", "temp"): 3.0,
        ("m1", "10:10", "load"): 5.0,
        ("m2", "10:20", "temp"): 6.0,
    }
    with Store.connect(plant.warehouse_uri) as store:
        span = {"start_at": at("10:00"), "end_at": at("11:00")}
        assert late_changes(store, config, plant.source_uri, **span) == []


QUERIES = {
    "several statements": ("SELECT 1; DROP TABLE history", "cannot insert multiple commands"),
    "several statements in brackets": (
        "SELECT 1) AS a; DROP TABLE history; SELECT * FROM (SELECT 1",
        "syntax error",
    ),
    "a statement that writes": ("DELETE FROM history RETURNING *", "syntax error"),
    "a query that writes": ("WITH w AS (DELETE FROM history RETURNING *) SELECT * FROM w", "WITH"),
    "an unknown column": ("SELECT nonsense FROM history", 'column "nonsense" does not exist'),
    "a column twice": ("SELECT clock, clock FROM history", "clock more than once"),
    "another time column": ("SELECT itemid, value, ns FROM history", "Expected the time column"),
    "parameters": ("SELECT * FROM history WHERE itemid = $1", "parameter"),
}


@pytest.mark.parametrize(("query", "said"), QUERIES.values(), ids=QUERIES)
def test_a_query_is_one_select(plant: Plant, query: str, said: str) -> None:
    _fill(plant, HISTORY, f"(7, {T}, 1, 5)")
    with pytest.raises(SourceError, match=said.replace("$", r"\$")):
        plant.ingest("10:00", "11:00", _of_series(query=query))
    plant.run("SELECT itemid FROM history")


def test_a_query_may_name_entities_and_channels(plant: Plant) -> None:
    _fill(plant, HISTORY, f"(7, {T}, 1, 5), (8, {T}, 2, 0)")
    plant.run("CREATE TABLE item AS SELECT 7 AS itemid, 'm {1}' AS host, 'temp' AS key")
    query = "SELECT clock, host, key, value FROM history JOIN item USING (itemid)"
    source = {
        "query": query, "time": {"column": "clock", "unit": "s"}, "shape": "long",
        "entity": {"column": "host"}, "channel_column": "key", "value_column": "value",
    }  # fmt: skip
    assert _read(plant, _config(source, "tables")) == {("m {1}", "10:00", "temp"): 1.0}


def test_a_key_of_several_columns_names_a_series(plant: Plant, tmp_path: Path) -> None:
    one, two = "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "3f2504e0-4f89-11d3-9a0c-0305e82c3302"
    rows = (
        f"('{one}', 5, {T}000, NULL, NULL, 45, NULL, NULL), "
        f"('{one}', 5, {T + 600}000, NULL, NULL, NULL, 45.5, NULL), "
        f"('{one}', 6, {T}000, true, NULL, NULL, NULL, NULL), "
        f"('{two}', 6, {T}000, NULL, 'Off', NULL, NULL, NULL), "
        f"('{two}', 5, {T}000, NULL, NULL, NULL, NULL, '[1]')"
    )
    _fill(plant, TS_KV, rows)
    (tmp_path / "plant.tags.csv").write_text(
        f"entity_id,key,entity,channel\n{one.upper()},05,m1,temp\n{one},6,m1,load\n{two},6,m2,load\n"
        f"{two},5,m2,temp\n"
    )
    config = _of_series(
        tables="ts_kv", time={"column": "ts", "unit": "ms"}, series=["entity_id", "key"],
        value_column=["long_v", "dbl_v", "bool_v", "str_v", "json_v"], words={"off": 0},
    )  # fmt: skip
    assert _read(plant, config) == {
        ("m1", "10:00", "temp"): 45.0,
        ("m1", "10:10", "temp"): 45.5,
        ("m1", "10:00", "load"): 1.0,
        ("m2", "10:00", "load"): 0.0,
    }
    assert _issues(plant) == {("not_numeric", "m2", "temp"): 1}


def test_words_codes_and_quality_say_what_a_value_is(plant: Plant) -> None:
    plant.run(
        "CREATE TABLE reading (at timestamptz, machine text, temp text, load float8, q int);"
        "INSERT INTO reading VALUES ('2024-05-01 10:00Z', 'm1', ' On ', 1, 192),"
        "('2024-05-01 10:10Z', 'm1', 'off', -9999, 200),"
        "('2024-05-01 10:20Z', 'm1', '7', 40000, 192),"
        "('2024-05-01 10:30Z', 'm1', 'unavailable', 2, 192),"
        "('2024-05-01 10:40Z', 'm1', '8', 3, 0),"
        "('2024-05-01 10:50Z', 'm1', 'odd', 4, NULL)"
    )
    config = plant.config(
        channels={"temp": {}, "load": {"no_value": [-9999, [32767, 65535]]}},
        words={"on": 1, "OFF": 0, "unavailable": None},
        quality={"column": "q", "good": [[192, 255]]},
    )
    assert _read(plant, config) == {
        ("m1", "10:00", "temp"): 1.0,
        ("m1", "10:00", "load"): 1.0,
        ("m1", "10:10", "temp"): 0.0,
        ("m1", "10:20", "temp"): 7.0,
        ("m1", "10:30", "load"): 2.0,
    }
    assert _issues(plant) == {
        ("bad_quality", "m1", "load"): 2,
        ("bad_quality", "m1", "temp"): 2,
        ("no_value", "m1", "load"): 2,
    }


JSON = "('2024-05-01 10:00Z', 'm1', '1.5', '\"on\"'), ('2024-05-01 10:10Z', 'm1', 'null', 'true')"


@pytest.mark.parametrize("kind", ["json", "jsonb"])
def test_json_scalars_are_values(plant: Plant, kind: str) -> None:
    table = f"CREATE TABLE reading (at timestamptz, machine text, temp {kind}, load {kind})"
    _fill(plant, table, JSON)
    assert _read(plant, plant.config(words={"on": 7})) == {
        ("m1", "10:00", "temp"): 1.5,
        ("m1", "10:00", "load"): 7.0,
        ("m1", "10:10", "load"): 1.0,
    }


def test_rows_where_chooses_rows(plant: Plant) -> None:
    _fill(
        plant,
        "CREATE TABLE reading (at timestamptz, machine text, cpu text, ok bool, temp int, load int"
        ")",
        "('2024-05-01 10:00Z', 'm1', 'cpu-total', true, 1, 2), "
        "('2024-05-01 10:00Z', 'm1', 'cpu0', true, 9, 9), "
        "('2024-05-01 10:10Z', 'm1', 'a,\"{}\\', true, 3, 4), "
        "('2024-05-01 10:20Z', 'm1', 'cpu-total', false, 9, 9)",
    )
    config = plant.config(rows_where={"cpu": ["cpu-total", 'a,"{}\\'], "ok": True})
    assert set(_read(plant, config).values()) == {1.0, 2.0, 3.0, 4.0}


def test_tags_hold_for_a_time_and_scale(plant: Plant, tmp_path: Path) -> None:
    (tmp_path / "plant.tags.csv").write_text(
        "itemid,entity,channel,unit,scale,offset,valid_from,valid_to\n"
        "7,old,temp,°C,,,,2024-05-01 10:20\n"
        "7,new,temp,°C,0.1,-5,2024-05-01T12:20+02:00,2024-05-01 10:50\n"
    )
    _fill(plant, HISTORY, ", ".join(f"(7, {T + 600 * i}, {10 * i}, 0)" for i in range(6)))
    assert _read(plant, _of_series()) == {
        ("old", "10:00", "temp"): 0.0,
        ("old", "10:10", "temp"): 10.0,
        ("new", "10:20", "temp"): -3.0,
        ("new", "10:30", "temp"): -2.0,
        ("new", "10:40", "temp"): -1.0,
    }
    assert _issues(plant) == {("no_tag", "", ""): 1}


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_what_scales_beyond_all_numbers_is_none_before_the_range_too(
    plant: Plant, tmp_path: Path
) -> None:
    (tmp_path / "plant.tags.csv").write_text("itemid,entity,channel,scale\n7,m1,temp,1e300\n")
    _fill(plant, HISTORY, f"(7, {T - 600}, 1e300, 0), (7, {T + 1200}, 0.5, 0)")
    config = _of_series(channels={"temp": {"valid_for": "1h"}})
    assert _read(plant, config) == {
        ("m1", f"10:{minute}", "temp"): 5e299 for minute in (20, 30, 40, 50)
    }


@pytest.mark.parametrize(
    ("across", "wanted"),
    [
        ("sum", {"10:00": 3.0}),
        ("mean", {"10:00": 1.5, "10:10": 4.0, "10:20": 8.0}),
        ("max", {"10:00": 2.0, "10:10": 4.0, "10:20": 8.0}),
        ("min", {"10:00": 1.0, "10:10": 4.0, "10:20": 8.0}),
    ],
)  # fmt: skip
def test_several_series_become_one_channel(
    plant: Plant, tmp_path: Path, across: str, wanted: dict[str, float]
) -> None:
    """Each series is brought onto the grid first: one that is read more often weighs no more."""
    (tmp_path / "plant.tags.csv").write_text(
        "itemid,entity,channel\n7,m1,temp\n8,m1,temp\n9,m2,load\n"
    )
    _fill(
        plant, HISTORY,
        f"(7, {T}, 0, 0), (7, {T + 60}, 2, 0), (8, {T}, 2, 0), (7, {T + 600}, 4, 0), "
        f"(8, {T + 1200}, 8, 0), (9, {T}, 5, 0)",
    )  # fmt: skip
    found = _read(plant, _of_series(channels={"temp": {"across": across}, "load": {}}))
    assert found.pop(("m2", "10:00", "load")) == 5.0
    assert found == {("m1", time, "temp"): value for time, value in wanted.items()}
    assert _issues(plant) == {("resampled", "m1", ""): 1}


WRONG_TAGS = {
    "no file": (None, "1: Expected the tags file, beside the dataset's. Received: No such file"),
    "an empty file": ("", "1: Expected the columns itemid, entity, channel, each once"),
    "no series": (HEAD, "1: Expected a line for each series"),
    "no entity": (f"{HEAD}\n7,,temp", "2: Expected entity of 1 to 1000 bytes. Received: ''"),
    "more cells": (f"{HEAD}\n7,m1,temp,8", "2: Expected as many cells as there are columns"),
    "fewer cells": (f"{HEAD},scale\n7,m1,temp", "Expected as many cells as there are columns"),
    "a column misspelt": (f"{HEAD},Scale\n7,m1,temp,8", "1: Expected scale, or a column for"),
    "columns without end": (HEAD + ",c" * 1001, "each once"),
    "many columns": (
        HEAD + "".join(f",c{at}" for at in range(1000)), "1: Expected at most 1,000 columns",
    ),
    "a joint": (f"{HEAD}\n7\x1f8,m1,temp", "2: Expected text as itemid. Received: '7\\x1f8'"),
    "two names": (f"{HEAD}\n7,m1,temp\n7,m2,temp", "3: Expected one name at a time for the"),
    "two series": (f"{HEAD}\n7,m1,temp\n8,m1,temp", "3: Expected one series at a time for temp"),
    "a scale of 0": (f"{HEAD},scale\n7,m1,temp,0", "2: Expected a finite number as scale, not a"),
    "an offset": (f"{HEAD},offset\n7,m1,temp,nan", "2: Expected a finite number as offset"),
    "a time": (f"{HEAD},valid_from\n7,m1,temp,May", "2: Expected a time such as 2026-05-01 06:00"),
    "no time": (f"{HEAD},valid_from,valid_to\n7,m1,temp,2024-02-01,2024-01-01", "valid_to after"),
    "no id of the table": (f"{HEAD}\nseven,m1,temp", 'syntax for type bigint: "seven"'),
    "quotes": (f'{HEAD}\n7,"m1,temp', "Expected CSV, separated by commas"),
    "no text": (f"{HEAD}\n7,m\0,temp", "2: Expected text as entity. Received: 'm\\x00'"),
    "one id twice": (f"{HEAD}\n7,m1,temp\n07,m1,load", "Received: '07' and '7', which are one in"),
    "other bytes": ("itemid,entity,channel\n7,m\udcfc,temp", "Expected a file in UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), WRONG_TAGS.values(), ids=WRONG_TAGS)
def test_what_is_wrong_in_a_tags_file_is_said(
    plant: Plant, tmp_path: Path, text: str | None, said: str
) -> None:
    path = tmp_path / "plant.tags.csv"
    if text is None:
        path.unlink()
    else:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    plant.run(HISTORY)
    with pytest.raises((ConfigError, SourceError)) as raised:
        plant.ingest("10:00", "11:00", _of_series())
    assert said in str(raised.value)


def test_check_tells_of_series_that_no_row_has(plant: Plant, tmp_path: Path) -> None:
    """An id that is mistaken is nobody's, and its machine would be silent for ever."""
    path = tmp_path / "plant.tags.csv"
    _fill(plant, HISTORY, f"(7, {T}, 1, 0)")
    path.write_text(f"{HEAD}\n7,m1,temp\n77,m2,temp\n")
    told = check_dataset(_of_series(), plant.source_uri, now_at=plant.now_at)
    said = "1 of 2 series had no row in the last 6 hours, such as '77' (m2 temp). Is the id right?"
    assert said in [one.text for one in told if one.level == "warning"]
    path.write_text(f"{HEAD}\n77,m2,temp\n")
    told = check_dataset(_of_series(), plant.source_uri, now_at=plant.now_at)
    assert "Expected rows. Received: none of a series of plant.tags.csv." in [
        one.text for one in told
    ]


def test_an_id_of_several_long_parts_is_said(plant: Plant, tmp_path: Path) -> None:
    """An index of the warehouse holds 2.7 kB."""
    path = tmp_path / "plant.tags.csv"
    path.write_text(f"itemid,part,entity,channel\n{'7' * 600},{'8' * 600},m1,temp\n")
    with pytest.raises(ConfigError, match="2: Expected itemid, part of 1000 bytes together"):
        plant.ingest("10:00", "11:00", _of_series(series=["itemid", "part"]))


WRONG_SETTINGS = {
    "no tags": ({"tags": None}, "both series and tags"),
    "tags elsewhere": ({"tags": "../plant.tags.csv"}, "the name of a CSV file beside this one"),
    "an entity": ({"entity": {"column": "host"}}, "no such field, since plant.tags.csv says it"),
    "wide": ({"shape": "wide"}, "long, since series are"),
    "no table": ({"tables": None}, "this field, or a query"),
    "table and query": ({"query": "SELECT 1", "tables": "history"}, "no such field beside query"),
    "no query": ({"query": " ;", "tables": None}, "one SELECT"),
    "a code": ({"channels": {"temp": {"no_value": [[2, 1]]}}}, "a number, or a list of numbers"),
    "a quoted code": ({"channels": {"temp": {"no_value": "-9999"}}}, "a number, or a list of"),
    "a truth as a code": ({"channels": {"temp": {"no_value": True}}}, "a number, or a list of"),
}


@pytest.mark.parametrize(("source", "said"), WRONG_SETTINGS.values(), ids=WRONG_SETTINGS)
def test_what_is_wrong_in_settings_is_said(source: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        _config(HISTORY_SOURCE | source, "entity")


def test_a_tags_file_that_never_ends_is_not_opened(plant: Plant, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(ConfigError, match="a pipe, socket or device"):
        plant.ingest("10:00", "11:00", _of_series(tags="pipe.csv"))


def test_what_scaling_makes_too_large_is_no_value(plant: Plant, tmp_path: Path) -> None:
    tags = f"{HEAD},scale\n7,m1,temp,1e10\n8,m1,load,-1e10\n9,m2,temp,1e10\n"
    (tmp_path / "plant.tags.csv").write_text(tags)
    _fill(plant, HISTORY, f"(7, {T}, 1e299, 0), (8, {T}, 1e299, 0), (9, {T}, 5, 0)")
    assert _read(plant, _of_series()) == {("m2", "10:00", "temp"): 5e10}
    counted = {("not_finite", "m1", "temp"): 1, ("not_finite", "m1", "load"): 1}
    assert _issues(plant) == counted


@pytest.mark.parametrize("read", [{}, {"query": "SELECT * FROM history"}], ids=["table", "query"])
def test_a_table_that_its_owner_locks_is_not_waited_for(plant: Plant, read: dict[str, Any]) -> None:
    _fill(plant, HISTORY, f"(7, {T}, 1, 5)")
    with closing(psycopg2.connect(plant.source_uri)) as owner, owner.cursor() as cursor:
        cursor.execute("LOCK TABLE history")
        with pytest.raises(Unavailable, match="a lock that another session there holds"):
            plant.ingest("10:00", "11:00", _of_series(statement_timeout=1, **read))


def test_names_are_those_of_a_database_in_another_encoding(plant: Plant, cluster: Cluster) -> None:
    name = f"test_{uuid4().hex}"
    with administration(cluster) as server, server.cursor() as cursor:
        how = "ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
        cursor.execute(f"CREATE DATABASE {name} {how}")
    abroad = replace(plant, source_uri=cluster.uri(name))
    table = "CREATE TABLE reading AS SELECT timestamptz '2024-05-01 10:00Z' AS at, 5 AS temp, "
    run(f"{abroad.source_uri}?client_encoding=utf8", f"{table} 0 AS load, text 'pümp' AS gerät")
    for read in ({"tables": "reading"}, {"query": "SELECT * FROM reading"}):
        config = _config({"entity": {"column": "gerät"}} | read, "tables")
        plant.clear()
        assert _read(abroad, config) == {("pümp", "10:00", "temp"): 5, ("pümp", "10:00", "load"): 0}
    cluster.drop_database(name)


def test_across_is_about_series() -> None:
    with pytest.raises(ValueError, match="series, which across is about"):
        _config({"channels": {"temp": {"across": "sum"}}})
