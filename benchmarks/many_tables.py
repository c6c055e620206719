"""300 source tables of 60 rows each: seconds to read them, of the ingest step, and by task of one
hourly DAG run.

Usage: python benchmarks/many_tables.py [--small] [--tables 300] [--rows 60]
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import yaml
from lab.gates import OPEN
from psycopg2 import sql
from upath import UPath

from devstack.environment import Places
from devstack.headless import headless
from devstack.postgres import WAREHOUSE, Cluster, ensure_running, remove
from devstack.stack import stack_environment
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.ingest import IngestSummary, ingest_interval
from tsad_tasks.ingest.sources.base import open_source
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.storage.migrate import migrate
from tsad_tasks.storage.store import Store
from tsad_tasks.training.retrain import Retraining

PROJECT = Path(__file__).resolve().parents[1]
START_AT = datetime(2024, 5, 1, 10, tzinfo=UTC)
END_AT = START_AT + timedelta(hours=1)
HISTORY_H = 30
FLEET: dict[str, Any] = {
    "dataset": "fleet",
    "source": {
        "connection": "plant",
        "tables": "machine_*",
        "time": {"column": "ts"},
        "late_rows_within": 0,
        "entity": {"from_table": "machine_(.*)"},
        "channels": {"temp": {}, "load": {}, "power": {}},
    },
    "training": {"range": f"{HISTORY_H}h", "max_windows": 3000, "epochs": 1, "min_hours": 5},
    "threshold": {"look_back": 1000, "min_span": "12h", "k": 12, "collective_k": 12},
    "gate": OPEN,
}
# Seconds to train, where a network's library alone takes five.
QUICK = {"detector": {"name": "isolation_forest"}}

_RUN_SECONDS = """
SELECT step, max(seconds), count(*) FROM tsad.run_status
WHERE start_at = %(at)s AND run_id LIKE 'fleet.score/%%' GROUP BY step ORDER BY min(finished_at)
"""
_MAKE = sql.SQL("""
CREATE TABLE {table} (ts timestamptz, temp float8, load float8, power float8);
CREATE INDEX ON {table} (ts);
INSERT INTO {table} SELECT '2024-05-01 10:00Z'::timestamptz + i * interval '1 h' / {n_rows},
  random(), random(), random()
FROM generate_series(-{n_hours} * {n_rows}, {n_rows} - 1) i
""")


def main() -> None:
    """Make the tables on a server of its own, read, ingest, print."""
    arguments = _arguments()
    fleet = FLEET | QUICK if arguments.small else FLEET
    with tempfile.TemporaryDirectory(prefix="tsad-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        cluster = ensure_running(folder / "postgres", durable=False)
        try:
            warehouse, plant = cluster.uri(WAREHOUSE), cluster.create_database("plant")
            migrate(warehouse, writer="tsad_pipeline")
            _make_tables(plant, arguments.tables, arguments.rows)
            own = cluster.create_database("wh", template=WAREHOUSE)
            _measure(own, plant, fleet, arguments.tables)
            _measure_dag(cluster, plant, fleet, folder)
        finally:
            remove(folder / "postgres")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=300)
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--small", action="store_true", help="30 tables, no network, for CI")
    arguments = parser.parse_args()
    if arguments.small:
        arguments.tables = 30
    return arguments


def _make_tables(uri: str, n_tables: int, n_rows: int) -> None:
    connection = psycopg2.connect(uri)
    with connection, connection.cursor() as cursor:
        for number in range(n_tables):
            table = sql.Identifier(f"machine_{number}")
            cursor.execute(
                _MAKE.format(
                    table=table, n_rows=sql.Literal(n_rows), n_hours=sql.Literal(HISTORY_H)
                )
            )
    connection.close()


def _measure(warehouse: str, plant: str, fleet: dict[str, Any], n_tables: int) -> None:
    config = DatasetConfig.model_validate(fleet)
    with Store.connect(warehouse) as store:

        def ingest(force: bool) -> IngestSummary:
            return ingest_interval(
                store, config, plant, start_at=START_AT, end_at=END_AT, force=force
            )

        _print("open source (find and plan the tables)", *_timed(lambda: _opened(plant, config)))
        _print("open source and read the hour", *_timed(lambda: _read(plant, config)))
        _print("ingest step, first time", *_timed(lambda: ingest(force=False)))
        _print("ingest step, hour known", *_timed(lambda: ingest(force=False)))
        _print("ingest step, read again, unchanged", *_timed(lambda: ingest(force=True)))
    print(
        f"{n_tables} tables, peak memory "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB"
    )


def _measure_dag(cluster: Cluster, plant: str, fleet: dict[str, Any], folder: Path) -> None:
    """One run of the hourly DAG, after training on the hours before; seconds by task, as the run's
    own rows say.
    """
    (folder / "datasets").mkdir()
    (folder / "datasets" / "fleet.yaml").write_text(yaml.safe_dump(fleet))
    own = {
        "TSAD_HOME": str(folder),
        "TSAD_DATASETS": str(folder / "datasets"),
        "AIRFLOW_CONN_PLANT": plant,
    }
    config, artifacts = DatasetConfig.model_validate(fleet), UPath(folder / "artifacts")
    with Store.connect(cluster.uri(WAREHOUSE)) as store:
        ingest_interval(
            store, config, plant, start_at=START_AT - timedelta(hours=HISTORY_H), end_at=START_AT
        )
        retrain(Retraining(store, config, START_AT, artifacts / "run", artifacts))
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TSAD_", "AIRFLOW"))
    } | own
    places = Places.of(PROJECT, folder)
    environment = stack_environment(places, inherited=inherited, headless=True)
    with headless(places, environment) as airflow:
        for title in ("first run", "run again"):
            (outcome,) = airflow.runs(["fleet.score"], START_AT, END_AT, END_AT - START_AT)
            seconds, n_tasks = outcome["seconds"], outcome["n_tasks"]
            print(f"hourly DAG, {title:27s} {seconds:7.2f} s   {n_tasks} tasks")
            for step, seconds, n_shards in _run_seconds(cluster.uri(WAREHOUSE), START_AT):
                print(f"  task {step:33s} {seconds:7.2f} s   {n_shards} at once")


def _run_seconds(uri: str, at: datetime) -> list[tuple[str, float, int]]:
    """Seconds by task; shards side by side count as the slowest of them."""
    connection = psycopg2.connect(uri)
    with connection, connection.cursor() as cursor:
        cursor.execute(_RUN_SECONDS, {"at": at})
        rows = cursor.fetchall()
    connection.close()
    return rows


def _opened(plant: str, config: DatasetConfig) -> str:
    with open_source(plant, config) as source:
        return f"{len(source.tables)} tables"


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
