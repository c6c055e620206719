"""Other systems' tables, on their own keys: what an hour and a month cost the server that has them.

Usage: python benchmarks/stores.py [--small] [--rows 5000000]

Server time is that of EXPLAIN ANALYZE of the statement that the product sends, beside one that
chooses by time alone, as it did before series were read by their ids. Fails where an hour does not
go by the store's own key, or costs more than half of what time alone does.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg2
from psycopg2 import sql

from devstack.postgres import WAREHOUSE, Cluster, ensure_running, remove
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.ingest.sources.postgres import PostgresSource
from tsad_tasks.ingest.sources.postgres_tables import statements
from tsad_tasks.storage.migrate import migrate
from tsad_tasks.storage.store import Store

END_AT = datetime(2026, 11, 1, tzinfo=UTC)
END_S = int(END_AT.timestamp())
N_HOURS = 720
_AT_MOST = 2
HOUR_US = 3_600_000_000
_ZABBIX = """
CREATE TABLE history (itemid bigint, clock int, value float8, ns int);
INSERT INTO history
SELECT i, {end} - {n_steps}::bigint * 60 + s * 60 + i % 60, sin(s) + i, (i * 7919) % 1000000000
FROM generate_series(1, {n_steps}) s, generate_series(1, {n_series}) i;
ALTER TABLE history ADD PRIMARY KEY (itemid, clock, ns);
ANALYZE history;
"""
_THINGSBOARD = """
CREATE TABLE ts_kv (entity_id uuid, key int, ts bigint, bool_v bool, str_v text, long_v bigint,
  dbl_v float8, json_v json) PARTITION BY RANGE (ts);
CREATE TABLE ts_kv_old PARTITION OF ts_kv FOR VALUES FROM (0) TO ({end} * 1000::bigint - 86400000);
CREATE TABLE ts_kv_new PARTITION OF ts_kv DEFAULT;
INSERT INTO ts_kv
SELECT md5((i / 20)::text)::uuid, i % 20, ({end} - {n_steps}::bigint * 60 + s * 60) * 1000,
  NULL, NULL, CASE WHEN s % 20 = 0 THEN s END, CASE WHEN s % 20 > 0 THEN s + .5 END, NULL
FROM generate_series(1, {n_steps}) s, generate_series(0, {n_series} - 1) i;
ALTER TABLE ts_kv ADD PRIMARY KEY (entity_id, key, ts);
ANALYZE ts_kv;
"""
_UUIDS = "SELECT md5(i::text)::uuid::text FROM generate_series(0, %s) i"


class Cost(NamedTuple):
    """What a statement costs its server."""

    ms: float
    n_rows: int
    scans: frozenset[str]


def main() -> None:
    """Make the tables on a server of its own, read, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--small", action="store_true", help="150,000 rows, for CI")
    asked = parser.parse_args()
    n_rows = 150_000 if asked.small else asked.rows
    with tempfile.TemporaryDirectory(prefix="tsad-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        os.environ["TSAD_DATASETS"] = name
        cluster = ensure_running(folder / "postgres", durable=False)
        try:
            held = [_zabbix(cluster, folder, n_rows), _thingsboard(cluster, folder, n_rows)]
            held.append(_month(cluster, folder, 24 if asked.small else N_HOURS))
        finally:
            remove(folder / "postgres")
    sys.exit(0 if all(held) else "Expected all to hold. Received: see above.")


def _config(series: Sequence[str], **source: Any) -> DatasetConfig:
    settings = {"connection": "x", "tags": "tags.csv", "series": list(series), **source}
    return DatasetConfig.model_validate({"dataset": "bench", "source": settings})


def _write_tags(folder: Path, names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with (folder / "tags.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([[*names, "entity", "channel"], *rows])


def _fill(uri: str, text: str, **numbers: int) -> None:
    with closing(psycopg2.connect(uri)) as connection, connection, connection.cursor() as cursor:
        given = {name: sql.Literal(number) for name, number in numbers.items()}
        cursor.execute(sql.SQL(text).format(**given))


def _zabbix(cluster: Cluster, folder: Path, n_rows: int) -> bool:
    n_series = 120
    uri = cluster.create_database("zabbix")
    _fill(uri, _ZABBIX, end=END_S, n_steps=n_rows // n_series, n_series=n_series)
    _write_tags(folder, ["itemid"], [[i, f"host{i % 2}", f"item{i}"] for i in range(1, 7)])
    config = _config(
        ["itemid"], tables="history", value_column="value",
        time={"column": "clock", "unit": "s", "nanoseconds": "ns"},
        channels={f"item{i}": {} for i in range(1, 7)},
    )  # fmt: skip
    return _compare("Zabbix, an hour of 6 items", uri, config, "clock", END_S - 3600, END_S)


def _thingsboard(cluster: Cluster, folder: Path, n_rows: int) -> bool:
    n_series = 200
    uri = cluster.create_database("thingsboard")
    _fill(uri, _THINGSBOARD, end=END_S, n_steps=n_rows // n_series, n_series=n_series)
    with closing(psycopg2.connect(uri)) as connection, connection.cursor() as cursor:
        cursor.execute(_UUIDS, (3,))
        devices = [str(row[0]) for row in cursor.fetchall()]
    keys = [(one, key, one[:8], f"key{key}") for one in devices for key in range(3)]
    _write_tags(folder, ["entity_id", "key"], keys)
    config = _config(
        ["entity_id", "key"], tables="ts_kv", time={"column": "ts", "unit": "ms"},
        value_column=["dbl_v", "long_v"], channels={f"key{key}": {} for key in range(3)},
    )  # fmt: skip
    span = (END_S - 3600) * 1000, END_S * 1000
    return _compare("ThingsBoard, an hour of 4 devices × 3 keys", uri, config, "ts", *span)


def _compare(
    title: str, uri: str, config: DatasetConfig, time_column: str, start: int, end: int
) -> bool:
    """Whether an hour goes by the key; prints its cost beside that of the time alone."""
    end_us = END_S * 1_000_000
    with closing(PostgresSource(uri, config)) as source, source.snapshot() as cursor:
        (plan,) = source.tables
        fields = statements.copy_fields(config, plan)
        ours = statements.rows_statement(config, plan, fields, end_us - HOUR_US, end_us)
        table = sql.Identifier(str(config.source.tables))
        alone = sql.SQL("SELECT * FROM {} WHERE {} >= {} AND {} < {}").format(
            table, sql.Identifier(time_column), sql.Literal(start),
            sql.Identifier(time_column), sql.Literal(end),
        )  # fmt: skip
        costs = [min(_cost(cursor, one) for _ in range(3)) for one in (ours, alone)]
    by_key, by_time = costs
    is_held = "Seq Scan" not in by_key.scans and by_key.ms * _AT_MOST < by_time.ms
    print(
        f"{title}: {by_key.ms:.2f} ms for {by_key.n_rows:,} rows by {', '.join(by_key.scans)}; "
        f"{by_time.ms:.0f} ms by time alone ({', '.join(by_time.scans)})"
        f"{'' if is_held else '  FAILED'}",
        flush=True,
    )
    return is_held


def _cost(cursor: Any, statement: sql.Composable) -> Cost:
    cursor.execute(sql.SQL("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {}").format(statement))
    (plan,) = cursor.fetchone()[0]
    nodes, scans = [plan["Plan"]], set()
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if "Scan" in node["Node Type"]:
            scans.add(str(node["Node Type"]))
    return Cost(plan["Execution Time"], int(plan["Plan"]["Actual Rows"]), frozenset(scans))


def _month(cluster: Cluster, folder: Path, n_hours: int) -> bool:
    """20 hosts of 10 items each, read into a warehouse as one dataset."""
    n_series, n_steps = 200, n_hours * 60
    uri = cluster.create_database("month")
    _fill(uri, _ZABBIX, end=END_S, n_steps=n_steps, n_series=n_series)
    tags = [[i, f"host{i % 20}", f"item{i // 20}"] for i in range(n_series)]
    _write_tags(folder, ["itemid"], [[i or n_series, host, item] for i, host, item in tags])
    config = _config(
        ["itemid"], tables="history", value_column="value",
        time={"column": "clock", "unit": "s", "nanoseconds": "ns"},
        channels={f"item{i}": {} for i in range(10)},
    )  # fmt: skip
    warehouse = cluster.uri(WAREHOUSE)
    migrate(warehouse, writer="tsad_pipeline")
    span_us = (END_S - n_hours * 3600) * 1_000_000, END_S * 1_000_000
    with closing(PostgresSource(uri, config)) as source:
        (plan,) = source.tables
        fields = statements.copy_fields(config, plan)
        with source.snapshot() as cursor, Path(os.devnull).open("wb") as nowhere:
            began = time.perf_counter()
            cursor.copy_expert(statements.copy_statement(config, plan, fields, *span_us), nowhere)
            copy_s = time.perf_counter() - began
        began = time.perf_counter()
        n_rows = len(source.read(*span_us).times_us)
        read_s = time.perf_counter() - began
    with Store.connect(warehouse) as store:
        began = time.perf_counter()
        start_at = END_AT - timedelta(hours=n_hours)
        summary = ingest_interval(store, config, uri, start_at=start_at, end_at=END_AT)
        ingest_s = time.perf_counter() - began
    is_held = summary.n_rows == n_rows and read_s < 2.5 * copy_s + 1
    print(
        f"{n_hours / 24:g} days of 20 hosts × 10 items, {n_rows:,} rows: {ingest_s:.1f} s into the "
        f"warehouse; read and decoded in {read_s:.1f} s, {copy_s / read_s:.0%} of the speed of the "
        f"COPY alone ({copy_s:.1f} s){'' if is_held else '  FAILED'}",
        flush=True,
    )
    return is_held


if __name__ == "__main__":
    main()
