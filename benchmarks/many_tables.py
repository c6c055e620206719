"""300 source tables of 60 rows each: seconds to read them, and of the whole ingest step.

Usage: python benchmarks/many_tables.py [--small] [--tables 300] [--rows 60]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
from psycopg2 import sql

from tsad_tasks.config import DatasetConfig
from tsad_tasks.local.postgres import ensure_running, remove
from tsad_tasks.steps.ingest import IngestSummary, ingest_interval
from tsad_tasks.storage.migrate import migrate
from tsad_tasks.storage.source import open_source
from tsad_tasks.storage.store import Store

START_AT = datetime(2024, 5, 1, 10, tzinfo=UTC)
END_AT = START_AT + timedelta(hours=1)

_MAKE = sql.SQL("""
CREATE TABLE {table} (ts timestamptz, temp float8, load float8, power float8);
CREATE INDEX ON {table} (ts);
INSERT INTO {table} SELECT '2024-05-01 10:00Z'::timestamptz + i * interval '1 h' / {n_rows},
  random(), random(), random()
FROM generate_series(0, {n_rows} - 1) i
""")


def main() -> None:
    """Make the tables on a server of its own, read, ingest, print."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="tsad-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        cluster = ensure_running(folder / "postgres", durable=False)
        try:
            warehouse, plant = cluster.create_database("wh"), cluster.create_database("plant")
            migrate(warehouse)
            _make_tables(plant, arguments.tables, arguments.rows)
            _measure(warehouse, plant, arguments.tables)
        finally:
            remove(folder / "postgres")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=300)
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--small", action="store_true", help="30 tables, for CI")
    arguments = parser.parse_args()
    if arguments.small:
        arguments.tables = 30
    return arguments


def _make_tables(uri: str, n_tables: int, n_rows: int) -> None:
    connection = psycopg2.connect(uri)
    with connection, connection.cursor() as cursor:
        for number in range(n_tables):
            table = sql.Identifier(f"machine_{number}")
            cursor.execute(_MAKE.format(table=table, n_rows=sql.Literal(n_rows)))
    connection.close()


def _measure(warehouse: str, plant: str, n_tables: int) -> None:
    config = DatasetConfig.model_validate({
        "dataset": "fleet",
        "source": {
            "connection": "plant", "tables": "machine_*", "time": {"column": "ts"}, "mutability": 0,
            "entity": {"from_table": "machine_(.*)"}, "channels": {"temp": {}, "load": {}, "power": {}},
        },
    })  # fmt: skip
    with Store.connect(warehouse) as store:

        def ingest(force: bool) -> IngestSummary:
            return ingest_interval(store, config, plant, start_at=START_AT, end_at=END_AT, force=force)

        _print("open source (find and plan the tables)", *_timed(lambda: _opened(plant, config)))
        _print("open source and read the hour", *_timed(lambda: _read(plant, config)))
        _print("ingest step, first time", *_timed(lambda: ingest(force=False)))
        _print("ingest step, hour known", *_timed(lambda: ingest(force=False)))
        _print("ingest step, read again, unchanged", *_timed(lambda: ingest(force=True)))
    print(f"{n_tables} tables, peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


def _opened(plant: str, config: DatasetConfig) -> str:
    with open_source(plant, config) as source:
        return f"{len(source.plans)} tables"


def _read(plant: str, config: DatasetConfig) -> str:
    with open_source(plant, config) as source:
        start_us, end_us = (int(at.timestamp()) * 1_000_000 for at in (START_AT, END_AT))
        return f"{len(source.read(start_us, end_us).times_us)} rows"


def _timed(work: Callable[[], object]) -> tuple[float, object]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def _print(title: str, seconds: float, result: object) -> None:
    if isinstance(result, IngestSummary):
        result = f"{result.n_rows} rows, {result.n_blocks_changed} blocks changed"
    print(f"{title:40s} {seconds:7.2f} s   {result}")


if __name__ == "__main__":
    main()
