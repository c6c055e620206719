"""Whether rows and work of an hour follow the hosts that live: an autoscaling group.

Usage: python benchmarks/silence.py [--small]

Two lasting hosts, and 50 a day that live for 2 to 6 hours each and never come back, for 30 days.
One warehouse has all of them, another only those of the last two days. The same last hours are
ingested, scored, merged and told in both. Fails where a dead host has a row or is listed as missed,
where an hour takes a quarter more CPU or statements with the dead than without, or where `v_health`
or `v_entity` takes more than half a second.
--small: 8 days.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from lab import gates
from upath import UPath

from devstack import postgres
from tsad_tasks.base.interval import HOUR, moment
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.notifications.channels.base import Message
from tsad_tasks.notifications.notify import notify
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.score import score_interval
from tsad_tasks.storage.database import connect
from tsad_tasks.storage.migrate import migrate
from tsad_tasks.storage.store import Statement, Store
from tsad_tasks.training.retrain import Retraining

START_AT = moment("2026-10-01T00:00Z")
STEP = timedelta(minutes=5)
N_HOSTS_A_DAY, N_TRAINING_DAYS, N_TIMED_HOURS = 50, 2, 12
MOST_RATIO, MOST_QUERY_S = 1.25, 0.5
# So many hours an hour is spoken of after the last rows: what windows remember.
N_AFTER = 2


@dataclass(frozen=True)
class Life:
    """A host, and between which steps it lives."""

    name: str
    start_at: datetime
    end_at: datetime


def lives_of(n_days: int, rng: np.random.Generator) -> list[Life]:
    """Two lasting hosts and those that come and go, for so many days."""
    end_at = START_AT + timedelta(days=n_days)
    lives = [Life(f"base-{i}", START_AT, end_at) for i in (1, 2)]
    for number in range(n_days * N_HOSTS_A_DAY):
        from_at = START_AT + timedelta(days=number // N_HOSTS_A_DAY) + int(rng.integers(288)) * STEP
        until_at = min(end_at, from_at + int(rng.integers(24, 72)) * STEP)
        lives.append(Life(f"i-{number:06}", from_at, until_at))
    return lives


def fill(uri: str, lives: list[Life]) -> None:
    """The source's table."""
    connection = connect(uri)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE metrics (at timestamptz, host text, cpu float8, mem float8);"
            "CREATE TABLE life (host text, start_at timestamptz, end_at timestamptz)"
        )
        for one in lives:
            own = one.name, one.start_at, one.end_at
            cursor.execute("INSERT INTO life VALUES (%s, %s, %s)", own)
        cursor.execute(
            "INSERT INTO metrics SELECT at, host, 35 + 15 * sin(extract(epoch FROM at) / 13751) + "
            "3 * random(), 55 + random() FROM life, generate_series(start_at, end_at - interval "
            "'5 minutes', interval '5 minutes') at;"
            "CREATE INDEX ON metrics (at); ANALYZE"
        )
    connection.close()


def config_of() -> DatasetConfig:
    fields: dict[str, Any] = {
        "dataset": "autoscale",
        "source": {
            "connection": "cloud",
            "tables": "metrics",
            "time": {"column": "at"},
            "entity": {"column": "host"},
            "step": "5min",
            "channels": {"cpu": {"unit": "%"}, "mem": {"unit": "%"}},
        },
        "detector": {"name": "event_head"},
        "training": {"range": f"{N_TRAINING_DAYS}d", "max_windows": 2000, "epochs": 2},
        "features": {"min_own_scale": "1d"},
        "gate": gates.OPEN,
        "notifications": {"targets": [{"webhook": "web"}]},
    }
    return DatasetConfig.model_validate(fields)


class CountingStore(Store):
    """A store that counts its statements."""

    n_statements = 0

    @contextmanager
    def _asked(self, statement: Statement, params: Mapping[str, Any]) -> Iterator[Any]:
        self.n_statements += 1
        with super()._asked(statement, params) as cursor:
            yield cursor


class Cost(NamedTuple):
    """What an hour costs: seconds of this process's CPU, and statements."""

    cpu_s: float
    n_statements: float


def run_hours(
    store: Store, uri: str, start_at: datetime, n_hours: int, told: list[Message]
) -> list[float]:
    """CPU seconds of each hour: ingested, scored, merged, told."""
    config, seconds = config_of(), []
    for number in range(n_hours):
        began = time.process_time()
        span: dict[str, Any] = {"start_at": start_at + number * HOUR}
        span["end_at"] = span["start_at"] + HOUR
        read_at = span["end_at"] + timedelta(minutes=1)
        ingest_interval(store, config, uri, **span, now=partial(_same, read_at))
        score_interval(store, config, **span)
        build_incidents(store, config, **span)
        notify(store, config, told.append, end_at=span["end_at"])
        seconds.append(time.process_time() - began)
    return seconds


def _same(at: datetime) -> datetime:
    return at


def rows(uri: str, statement: str, *params: object) -> list[tuple[Any, ...]]:
    connection = connect(uri)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, params)
            return list(cursor.fetchall())
    finally:
        connection.close()


@contextmanager
def warehouses(folder: Path, names: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Migrated databases on a server of their own, removed afterwards."""
    folder.chmod(0o711)
    cluster = postgres.ensure_running(folder / "postgres", durable=False)
    try:
        uris = {name: cluster.create_database(name, owner=postgres.OWNER) for name in names}
        for uri in uris.values():
            migrate(uri)
        yield uris
    finally:
        postgres.remove(folder / "postgres")


def lived(uri: str, lives: list[Life], n_days: int, folder: Path) -> tuple[Cost, list[Message]]:
    """What one of the last hours costs, and what was told in them."""
    fill(uri, lives)
    split_at = START_AT + timedelta(days=N_TRAINING_DAYS)
    timed_at = START_AT + timedelta(days=n_days) - N_TIMED_HOURS * HOUR
    told: list[Message] = []
    with CountingStore.connect(uri) as store:
        assert isinstance(store, CountingStore)
        ingest_interval(store, config_of(), uri, start_at=START_AT, end_at=split_at)
        retrain(Retraining(store, config_of(), split_at, UPath(folder / "run"), UPath(folder)))
        day_at = split_at
        while day_at < timed_at:
            span: dict[str, Any] = {"start_at": day_at}
            span["end_at"] = min(day_at + timedelta(days=1), timed_at)
            ingest_interval(store, config_of(), uri, **span)
            score_interval(store, config_of(), **span)
            build_incidents(store, config_of(), **span)
            day_at = span["end_at"]
        store.n_statements = 0
        seconds = run_hours(store, uri, timed_at, N_TIMED_HOURS, told)
        n_statements = store.n_statements / N_TIMED_HOURS
    return Cost(float(np.median(seconds)), n_statements), told


def failures(uri: str, lives: list[Life], n_days: int) -> Iterator[str]:
    """What does not hold of the rows, and of what is said of hosts."""
    ends = {one.name: one.end_at for one in lives}
    dead = 0
    for host, newest_at in rows(
        uri, "SELECT entity, max(hour_at) FROM tsad.v_status GROUP BY entity"
    ):
        dead += newest_at >= ends[host] + N_AFTER * HOUR
    if dead:
        yield f"{dead} hosts have rows later than {N_AFTER} hours after their end"
    end_at = START_AT + timedelta(days=n_days)
    states = dict(rows(uri, "SELECT state, count(*) FROM tsad.v_entity GROUP BY state"))
    n_gone = sum(end_at - one.end_at >= 24 * HOUR for one in lives)
    if states.get("retired", 0) != n_gone:
        yield f"of {n_gone} hosts that are gone for a day {states.get('retired', 0)} are retired"
    for view in ("v_health", "v_entity"):
        began = time.perf_counter()
        rows(uri, f"SELECT * FROM tsad.{view}")  # noqa: S608
        took_s = time.perf_counter() - began
        print(f"{view:<9} {took_s:.3f} s")
        if took_s > MOST_QUERY_S:
            yield f"{view} takes {took_s:.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    n_days = 8 if parser.parse_args().small else 30
    lives = lives_of(n_days, np.random.default_rng(6))
    first_at = START_AT + timedelta(days=n_days - 2)
    # Its training has hosts to learn from, too.
    trained = START_AT + timedelta(days=N_TRAINING_DAYS)
    living = [one for one in lives if one.end_at > first_at or one.start_at < trained]
    print(f"{len(lives)} hosts in {n_days} days; without the dead {len(living)}")
    with (
        tempfile.TemporaryDirectory(prefix="tsad-silence-") as folder,
        warehouses(Path(folder), ("with_dead", "without")) as uris,
    ):
        with_dead, told = lived(uris["with_dead"], lives, n_days, Path(folder) / "with")
        without, _ = lived(uris["without"], living, n_days, Path(folder) / "without")
        broken = [*failures(uris["with_dead"], lives, n_days)]
        ((n_rows, n_hours),) = rows(
            uris["with_dead"],
            "SELECT count(*), count(DISTINCT hour_at) FROM tsad.v_status WHERE hour_at >= %s",
            START_AT + timedelta(days=n_days) - 24 * HOUR,
        )
    print(f"CPU of an hour: {with_dead.cpu_s:.2f} s with the dead, {without.cpu_s:.2f} s without")
    print(f"statements: {with_dead.n_statements:.0f} with, {without.n_statements:.0f} without")
    print(f"rows of an hour of the last day: {n_rows / n_hours:.1f}")
    ratios = [a / b for a, b in zip(with_dead, without, strict=True)]
    if max(ratios) > MOST_RATIO:
        broken.append(f"an hour costs {max(ratios):.1f} times as much with the dead")
    if told:
        broken.append(f"{len(told)} messages, such as {told[0].subject}")
    for one in broken:
        print(f"FAILED: {one}")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
