"""Source tables: which are found, and that what COPY brings is what a plain query says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from devstack.postgres import BROWSER, Cluster
from tests.statements import run
from tsad_tasks.base.errors import AccessDenied, BadInput, SourceError, Unavailable
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.sources.base import open_source
from tsad_tasks.ingest.sources.postgres_tables import rows as module
from tsad_tasks.ingest.sources.postgres_tables.connection import connect_source

START_US, END_US = (
    int(datetime(2024, 5, 1, hour, tzinfo=UTC).timestamp()) * 1_000_000 for hour in (10, 12)
)


def _config(**source: Any) -> DatasetConfig:
    default = {
        "connection": "x",
        "tables": "reading",
        "time": {"column": "at"},
        "entity": {"column": "machine"},
    }
    return DatasetConfig.model_validate(
        {"dataset": "d", "source": {**default, "channels": {"a": {}, "b": {}}, **source}}
    )


def test_rows_are_those_of_a_plain_query(
    empty_database_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PIECE_BYTES", 1000)
    run(
        empty_database_uri,
        "CREATE TABLE reading AS SELECT '2024-05-01 09:00Z'::timestamptz + i * interval '61 s' AS "
        "at, "
        "'m' || i % 7 AS machine, sin(i)::float8 AS a, i::numeric / 3 AS b FROM generate_series(0, "
        "299) i",
    )
    plain = run(
        empty_database_uri,
        "SELECT extract(epoch FROM at)::float8 * 1e6, machine, a, b::float8 FROM reading "
        "WHERE at >= '2024-05-01 10:00Z' AND at < '2024-05-01 12:00Z' ORDER BY at",
    )
    with open_source(empty_database_uri, _config()) as source:
        rows = source.read(START_US, END_US, known_entities=["m1", "m2"])
    order = np.argsort(rows.times_us)
    names = [rows.entity_names[i] for i in rows.entity[order]]
    assert list(zip(rows.times_us[order], names, *rows.values[order].T, strict=True)) == plain


def test_a_pattern_finds_tables_views_and_parents_but_no_partitions_of_them(
    empty_database_uri: str,
) -> None:
    columns = "(at timestamptz, machine text, a int, b int)"
    run(
        empty_database_uri,
        f"CREATE SCHEMA plant; CREATE TABLE plant.press_1 {columns}; CREATE VIEW plant.press_2 AS "
        "TABLE plant.press_1;"
        f"CREATE TABLE plant.press_3 {columns} PARTITION BY RANGE (at);"
        "CREATE TABLE plant.press_3_2024 PARTITION OF plant.press_3 DEFAULT;"
        f"CREATE TABLE plant.pressx {columns}; CREATE TABLE press_9 {columns}",
    )
    with open_source(empty_database_uri, _config(tables="plant.press_*")) as source:
        assert [table.title for table in source.tables] == [
            "plant.press_1",
            "plant.press_2",
            "plant.press_3",
        ]
    with open_source(
        empty_database_uri, _config(tables=["plant.press_3_2024", "press_9"])
    ) as source:
        assert [table.title for table in source.tables] == [
            "plant.press_3_2024",
            "public.press_9",
        ]


def test_a_list_with_a_missing_table_reads_the_others(empty_database_uri: str) -> None:
    run(empty_database_uri, "CREATE TABLE reading (at timestamptz, machine text, a int, b int)")
    with open_source(empty_database_uri, _config(tables=["reading", "plant.gone"])) as source:
        assert [(fault.table, fault.issue) for fault in source.faults] == [
            ("plant.gone", "unusable_table")
        ]


def test_nothing_can_be_written_through_a_source(empty_database_uri: str) -> None:
    run(empty_database_uri, "CREATE TABLE reading (at timestamptz, machine text, a int, b int)")
    with (
        open_source(empty_database_uri, _config()) as source,
        pytest.raises(SourceError, match="read-only transaction"),
        source.snapshot() as cursor,
    ):
        cursor.execute("DELETE FROM reading")


def test_a_statement_takes_no_longer_than_its_timeout(empty_database_uri: str) -> None:
    run(empty_database_uri, "CREATE TABLE reading (at timestamptz, machine text, a int, b int)")
    with (
        open_source(empty_database_uri, _config(statement_timeout="1s")) as source,
        pytest.raises(Unavailable, match=r"source\.statement_timeout"),
        source.snapshot() as cursor,
    ):
        cursor.execute("SELECT pg_sleep(5)")


def test_a_table_that_the_login_may_not_read_is_an_unusable_one(
    cluster: Cluster, empty_database_uri: str
) -> None:
    columns = "(at timestamptz, machine text, a int, b int)"
    run(
        empty_database_uri,
        f"CREATE TABLE reading {columns}; CREATE TABLE secret {columns}; GRANT SELECT ON reading "
        f"TO {BROWSER}",
    )
    uri = cluster.uri(empty_database_uri.rsplit("/", 1)[1], BROWSER)
    with open_source(uri, _config(tables=["reading", "secret"])) as source:
        assert [fault.detail for fault in source.faults] == [
            "Expected a login that may read it. Received: permission denied."
        ]


def test_hours_are_counted_as_they_are_read(empty_database_uri: str) -> None:
    run(
        empty_database_uri,
        "CREATE TABLE reading (at timestamp, machine text, a int, b int);"
        "INSERT INTO reading SELECT '2024-10-27 00:00'::timestamp + i * interval '10 min', 'm' "
        "FROM generate_series(0, 35) i",
    )
    start_us = int(datetime(2024, 10, 26, 22, tzinfo=UTC).timestamp()) * 1_000_000
    with open_source(
        empty_database_uri, _config(time={"column": "at", "zone": "Europe/Berlin"})
    ) as source:
        counts = source.count_hours(start_us, start_us + 7 * 3_600_000_000)
        rows = source.read(start_us, start_us + 7 * 3_600_000_000)
    hours, n_rows = np.unique(rows.times_us // 3_600_000_000 * 3_600_000_000, return_counts=True)
    assert {hour: count.n_rows for hour, count in counts.items()} == dict(
        zip(hours.tolist(), n_rows.tolist(), strict=True)
    )


@pytest.mark.parametrize(
    "uri",
    ["mysql://me:secret@host/db", "not a uri: secret", "", "postgresql://me:secret@host:port/db"],
)
def test_what_is_no_uri_is_not_shown(uri: str) -> None:
    with pytest.raises(BadInput, match="Expected the source connection as a URI") as caught:
        connect_source(uri, read_only=True)
    assert "secret" not in str(caught.value)


def test_an_airflow_uri_with_extras_is_understood(empty_database_uri: str) -> None:
    uri = (
        empty_database_uri.replace("postgresql://", "postgres://")
        + "?sslmode=prefer&__extra__=%7B%7D&cursor=dictcursor"
    )
    connect_source(uri, read_only=True).close()


def test_a_login_that_does_not_exist_is_denied(empty_database_uri: str) -> None:
    uri = "postgresql://nobody_here:pw@" + empty_database_uri.split("@")[1]
    with pytest.raises(AccessDenied, match="read anew on each run"):
        connect_source(uri, read_only=True)


def test_a_server_that_goes_away_in_the_middle_may_be_tried_again(empty_database_uri: str) -> None:
    run(empty_database_uri, "CREATE TABLE reading (at timestamptz, machine text, a int, b int)")
    with (
        open_source(empty_database_uri, _config()) as source,
        pytest.raises(Unavailable, match="Expected the source to answer"),
        source.snapshot() as cursor,
    ):
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
