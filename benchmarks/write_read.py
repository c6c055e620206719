"""Readings and scores to Postgres and back, beside pandas and beside COPY of bytes that were
encoded before.

Usage: python benchmarks/write_read.py [--small]

All on the same 1,008,000 readings (700 entities, 24 hours, per minute). Ours are
`Store.write_blocks`, `read_blocks`, `write_scores` (errors, thresholds, scores, reasons; one step
in fifty is NULL) and `read_score_memo`: checksums, the comparison with what is there, commit and
decoding included. pandas has a row per reading with the same columns: `to_sql` and `read_sql`. Raw
COPY moves the very bytes of our rows, encoded before and not decoded, into tables with the same
columns and indexes. Medians of 3 runs, `to_sql` of 1. What comes back must be what went in. Fails
where a write is not 20 times as fast as `to_sql`, or a read 6 times as fast as `read_sql` (5 and 2
with --small).
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Engine, create_engine

from devstack.postgres import ensure_running, remove
from tsad_tasks.config import DatasetConfig
from tsad_tasks.storage.database import connect, statement_text
from tsad_tasks.storage.datasets import Layout, ensure_entities, ensure_layout, upsert_dataset
from tsad_tasks.storage.migrate import migrate
from tsad_tasks.storage.readings import read_blocks, write_blocks
from tsad_tasks.storage.scores import (
    AnomalyRows,
    AttributionRows,
    ScoreRows,
    read_score_memo,
    write_scores,
)
from tsad_tasks.storage.store import Store

START_AT = datetime(2026, 3, 10, tzinfo=UTC)
N_HOURS, N_STEPS, N_RUNS = 24, 60, 3
END_AT = START_AT + N_HOURS * timedelta(hours=1)
NULL_EVERY = 50
MODEL_ID = 1
CONFIG: dict[str, Any] = {
    "dataset": "fleet",
    "source": {
        "connection": "fleet",
        "tables": "reading",
        "time": {"column": "at"},
        "entity": {"column": "machine"},
        "channels": {"value": {}},
    },
}


@dataclass(frozen=True)
class Timed:
    """Seconds of the three ways to move the same readings."""

    ours_s: float
    pandas_s: float
    raw_s: float


class Bench:
    """One warehouse with a dataset of `n_entities`, whose readings and scores are written and read
    in turn.
    """

    def __init__(self, uri: str, n_entities: int) -> None:
        self.store, self.raw = Store.connect(uri), connect(uri)
        self.engine: Engine = create_engine(uri)
        self.names = [f"machine-{number:04d}" for number in range(n_entities)]
        random = np.random.default_rng(7)
        self.values = random.normal(50, 10, (n_entities, N_HOURS * N_STEPS))
        self.errors = random.random(self.values.shape, np.float32)
        self.errors.ravel()[::NULL_EVERY] = np.nan
        with self.store.transaction():
            dataset = upsert_dataset(self.store, DatasetConfig.model_validate(CONFIG))
            ids = ensure_entities(self.store, dataset.dataset_id, self.names)
            self.layout: Layout = ensure_layout(
                self.store, dataset.dataset_id, DatasetConfig.model_validate(CONFIG)
            )
        self.ids = [ids[name] for name in self.names]

    def close(self) -> None:
        self.store.close()
        self.raw.close()
        self.engine.dispose()

    # Ours

    def write_blocks(self) -> None:
        ids = np.repeat(self.ids, N_HOURS).tolist()
        hours = [START_AT + hour * timedelta(hours=1) for hour in range(N_HOURS)] * len(self.ids)
        with self.store.transaction():
            write_blocks(self.store, self.layout, ids, hours, self.values.reshape(-1, N_STEPS, 1))

    def read_blocks(self) -> Any:
        with self.store.transaction():
            return read_blocks(self.store, self.layout, self.ids, START_AT, END_AT).values[:, :, 0]

    def write_scores(self) -> None:
        none = np.zeros(0, np.int64)
        error, real, by_step = np.zeros(0, np.float32), np.zeros(0), np.zeros((0, 1), np.float32)
        no_anomalies = AnomalyRows(none, none, [], [], error, error, error, np.zeros(0, bool))
        no_shares = AttributionRows(none, none, none, error, real, real, real, by_step)
        with self.store.transaction():
            write_scores(self.store, self.score_rows(), no_anomalies, no_shares)

    def read_scores(self) -> Any:
        with self.store.transaction():
            memo = read_score_memo(self.store, MODEL_ID, self.ids, START_AT, END_AT, N_STEPS)
        return memo.errors.reshape(self.errors.shape)

    def score_rows(self) -> ScoreRows:
        errors = self.errors.reshape(-1, N_STEPS)
        n = len(errors)
        hours_s = int(START_AT.timestamp()) + 3600 * np.tile(np.arange(N_HOURS), len(self.ids))
        thresholds = np.full_like(errors, 0.5)
        no, full = np.zeros(n, bool), np.full(n, N_STEPS)
        return ScoreRows(
            MODEL_ID,
            np.repeat(self.ids, N_HOURS),
            hours_s,
            errors,
            thresholds,
            (errors - thresholds) / thresholds,
            np.isnan(errors).astype(np.int16),
            np.zeros((*errors.shape, 1), np.float32),
            no,
            no,
            ["scored"] * n,
            np.ones(n, np.float32),
            full,
            full,
            np.arange(n),
            np.arange(n),
        )

    # pandas

    def frame(self) -> pd.DataFrame:
        at = pd.date_range(START_AT, END_AT, freq="min", inclusive="left")
        machine = np.repeat(self.names, len(at))
        return pd.DataFrame(
            {"at": np.tile(at, len(self.names)), "machine": machine, "value": self.values.ravel()}
        )

    def score_frame(self) -> pd.DataFrame:
        frame = self.frame().drop(columns="value")
        frame["error"] = self.errors.ravel()
        frame["threshold"] = np.float32(0.5)
        frame["score"] = (frame["error"] - frame["threshold"]) / frame["threshold"]
        frame["reason"] = np.isnan(self.errors.ravel()).astype(np.int16)
        return frame

    def to_sql(self, frame: pd.DataFrame, table: str) -> None:
        frame.to_sql(table, self.engine, if_exists="append", index=False)

    def read_sql(self, statement: str) -> Any:
        span = {"start_at": START_AT, "end_at": END_AT}
        return pd.read_sql(
            f"{statement} WHERE at >= %(start_at)s AND at < %(end_at)s", self.engine, params=span
        )

    # Raw

    def raw_read(self, statement: str) -> bytes:
        stream = io.BytesIO()
        params = {
            "entity_ids": self.ids,
            "start_at": START_AT,
            "end_at": END_AT,
            "model_id": MODEL_ID,
        }
        with self.raw, self.raw.cursor() as cursor:
            inner = cursor.mogrify(
                statement, params | {"layout_id": self.layout.layout_id}
            ).decode()
            cursor.copy_expert(f"COPY ({inner}) TO STDOUT (FORMAT binary)", stream)
        return stream.getvalue()

    def raw_write(self, table: str, content: bytes) -> None:
        with self.raw, self.raw.cursor() as cursor:
            cursor.copy_expert(f"COPY {table} FROM STDIN (FORMAT binary)", io.BytesIO(content))

    def execute(self, *statements: str) -> None:
        self.raw.autocommit = True
        with self.raw.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        self.raw.autocommit = False


_MAKE_TABLES = (
    "CREATE TABLE reading (at timestamptz, machine text, value float8, PRIMARY KEY (machine, at))",
    "CREATE TABLE score (at timestamptz, machine text, error real, threshold real, score real, "
    "reason smallint, "
    "PRIMARY KEY (machine, at))",
    "CREATE TABLE raw_reading_block (LIKE tsad.reading_block INCLUDING ALL)",
    "CREATE TABLE raw_score_block (LIKE tsad.score_block INCLUDING ALL)",
)


def write_times(bench: Bench, table: str, write: Callable[[], None], frame: pd.DataFrame) -> Timed:
    """Each way to write, its table emptied before every run."""
    plain = {"reading_block": "reading", "score_block": "score"}[table]
    ours_s = _median_s(write, lambda: bench.execute(f"TRUNCATE tsad.{table}"))
    content = bench.raw_read(f"TABLE tsad.{table}")
    raw_s = _median_s(
        lambda: bench.raw_write(f"raw_{table}", content),
        lambda: bench.execute(f"TRUNCATE raw_{table}"),
    )
    pandas_s = _median_s(lambda: bench.to_sql(frame, plain), n_runs=1)
    bench.execute("VACUUM ANALYZE")
    return Timed(ours_s, pandas_s, raw_s)


def read_times(bench: Bench, path: str, read: Callable[[], Any], statement: str) -> Timed:
    """Each way to read; `path` is the query that ours asks."""
    return Timed(
        _median_s(read),
        _median_s(lambda: bench.read_sql(statement)),
        _median_s(lambda: bench.raw_read(statement_text(path))),
    )


def _median_s(
    work: Callable[[], Any], before: Callable[[], None] = lambda: None, n_runs: int = N_RUNS
) -> float:
    seconds = []
    for _ in range(n_runs):
        before()
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return median(seconds)


def measured(bench: Bench) -> dict[str, Timed]:
    """All four, after checking that what was written is what is read."""
    bench.execute(*_MAKE_TABLES)
    rows = {
        "write readings": write_times(bench, "reading_block", bench.write_blocks, bench.frame())
    }
    rows["write scores"] = write_times(
        bench, "score_block", bench.write_scores, bench.score_frame()
    )
    np.testing.assert_array_equal(bench.read_blocks(), bench.values)
    np.testing.assert_array_equal(bench.read_scores(), bench.errors)
    reading, score = (
        "SELECT at, machine, value FROM reading",
        "SELECT at, machine, error FROM score",
    )
    rows["read readings"] = read_times(
        bench, "storage/read_reading_blocks", bench.read_blocks, reading
    )
    rows["read scores"] = read_times(bench, "storage/read_score_memo", bench.read_scores, score)
    return rows


def print_table(rows: dict[str, Timed], n_readings: int) -> None:
    """Readings per second of each way, and how ours compares."""
    print(f"{n_readings:,} readings; thousands per second, steps of an entity each")
    print(f"{'':<16}{'pandas':>9}{'ours':>9}{'raw COPY':>10}{'ours/pandas':>13}{'ours/raw':>10}")
    for name, timed in rows.items():
        rates = (
            n_readings / seconds / 1e3 for seconds in (timed.pandas_s, timed.ours_s, timed.raw_s)
        )
        print(
            f"{name:<16}{next(rates):9,.0f}{next(rates):9,.0f}{next(rates):10,.0f}"
            f"{timed.pandas_s / timed.ours_s:11.1f} x{timed.raw_s / timed.ours_s:10.0%}"
        )


def missed(rows: dict[str, Timed], floors: dict[str, float]) -> list[str]:
    """Which promises were not kept."""
    found = []
    for name, timed in rows.items():
        faster, floor = timed.pandas_s / timed.ours_s, floors[name.split()[0]]
        if faster < floor:
            found.append(
                f"Expected {name} at {floor:.0f} times the speed of pandas. Received: {faster:.1f}."
            )
    return found


def main(small: bool) -> int:
    """Prints the table; 1 where a floor is missed."""
    n_entities, floors = (
        (70, {"write": 5.0, "read": 2.0}) if small else (700, {"write": 20.0, "read": 6.0})
    )
    with tempfile.TemporaryDirectory(prefix="tsad-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        cluster = ensure_running(folder / "postgres")
        try:
            migrate(uri := cluster.create_database("bench"))
            bench = Bench(uri, n_entities)
            rows = measured(bench)
            bench.close()
        finally:
            remove(folder / "postgres")
    print_table(rows, bench.values.size)
    found = missed(rows, floors)
    for message in found:
        print(message)
    return int(bool(found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Readings and scores to Postgres and back.")
    parser.add_argument(
        "--small", action="store_true", help="a tenth of the readings and lower floors, for CI"
    )
    sys.exit(main(parser.parse_args().small))
