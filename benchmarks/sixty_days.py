"""Sixty days of a plant that nobody watches: what the gate, the shadow and people's words make of
them.

Usage: python benchmarks/sixty_days.py [--small]

A simulated plant whose level drifts: three weeks are learned, and every Monday a challenger is
trained through the real steps. One week holds an outage, one the same fault again, one a
maintenance window, one late rows; one challenger is trained on an archive that a broken gateway
scrambled for an hour, and must not become champion; the others take over after a day in the shadow.
The last champion is rolled back. Everything is then read by SQL. Fails where a promise is not kept.
--small: one machine and the cheapest detector, a reading every 10 minutes; otherwise eight machines
with five channels per minute and an LSTM autoencoder.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import yaml
from numpy.typing import NDArray
from upath import UPath

from devstack import postgres
from tsad_tasks.base.errors import BadInput, NothingToDo
from tsad_tasks.base.interval import HOUR
from tsad_tasks.champions.champions import RegisterSummary, roll_back
from tsad_tasks.champions.queries import SELECT_SHADOWS
from tsad_tasks.champions.shadow import compare_shadows, promote_ready
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.pipeline.rescore import rescore_as_of
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.score import score_interval
from tsad_tasks.storage import copy_binary as binary
from tsad_tasks.storage.database import connect
from tsad_tasks.storage.migrate import migrate
from tsad_tasks.storage.store import Store
from tsad_tasks.training.retrain import Retraining

START_AT = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
LEARNED_DAYS, N_DAYS = 21, 60
OUTAGE = (30 * DAY, 30 * DAY + 5 * HOUR)
SAME_FAULT = (37 * DAY + 6 * HOUR, 37 * DAY + 10 * HOUR)
MAINTENANCE = (33 * DAY + 8 * HOUR, 33 * DAY + 12 * HOUR)
SCRAMBLED_ON = 49 * DAY
LATE = (52 * DAY + 4 * HOUR, 52 * DAY + 6 * HOUR)
CHANNELS = ("temperature", "pressure", "current", "speed", "vibration")
FILE = """
dataset: plant
source:
  connection: plant
  tables: plant.metrics
  time: {{column: at}}
  entity: {{column: machine}}
  step: {step}
  late_rows_within: 6h
  channels: {{{channels}}}
detector: {detector}
features: {{min_own_scale: 3d}}
alarm_policy: {{merge_gap: 1h}}
training: {{range: 21d, max_windows: 12000, epochs: 8, max_excluded_share: 0.2}}
gate: {{min_contextual_share: 0, min_collective_share: 0.5, max_false_alarm_share: 0.02,
  tolerance: 0.2}}
shadow: {{hours: 24, min_windows: 100}}
"""

CONFIRM = """
  SELECT tsad.set_verdict(incident_id, 'confirmed', 'ada', 'pump failed')
  FROM tsad.v_incident WHERE started_at < %s AND last_flag_at >= %s"""
GARBLE = """
  UPDATE plant.metrics
  SET temperature = temperature + 120 * (random() - 0.5),
    pressure = pressure + 120 * (random() - 0.5)
  WHERE at >= %s AND at < %s"""
DECISIONS = """
  SELECT decided_at::timestamp(0), version, decision, former_version, decided_by, reason
  FROM tsad.v_model_history ORDER BY decided_at"""


@dataclass(frozen=True)
class Size:
    n_machines: int
    n_channels: int
    step_s: int
    detector: str


WHOLE, SMALL = (
    Size(8, 5, 60, "{name: lstm_autoencoder, window: 10}"),
    Size(1, 2, 600, "{name: three_sigma}"),
)


@dataclass
class Plant:
    """Source, warehouse and models in one database, and what happened."""

    uri: str
    folder: Path
    size: Size
    config: DatasetConfig
    story: list[str] = field(default_factory=list)

    def tell(self, at: datetime, text: str) -> None:
        """One line of the story, said at once."""
        self.story.append(text)
        print(f"{at:%Y-%m-%d %H:%M}  {text}", flush=True)

    def rows(self, statement: str, *params: object) -> list[tuple[Any, ...]]:
        """Rows of a statement; changes are kept."""
        connection = connect(self.uri)
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, params)
            found = list(cursor.fetchall()) if cursor.description else []
        connection.close()
        return found


def config_of(size: Size) -> DatasetConfig:
    """The plant's dataset file."""
    channels = ", ".join(f"{name}: {{}}" for name in CHANNELS[: size.n_channels])
    text = FILE.format(step=f"{size.step_s}s", channels=channels, detector=size.detector)
    return DatasetConfig.model_validate(yaml.safe_load(text))


def readings(size: Size, seed: int) -> NDArray[np.float64]:
    """(n_machines, n_steps, n_channels): a daily cycle, noise, and a level that drifts by two of
    its spreads.
    """
    per_day, rng = 86400 // size.step_s, np.random.default_rng(seed)
    steps = np.arange(N_DAYS * per_day)
    cycle = np.sin(2 * np.pi * steps / per_day)[None, :, None] * rng.uniform(
        1, 3, (size.n_machines, 1, size.n_channels)
    )
    noise = rng.normal(0, 1, (size.n_machines, len(steps), size.n_channels))
    drift = np.linspace(0, 2, len(steps))[None, :, None]
    values = 50 + 3 * cycle + noise + drift
    for start, end in (OUTAGE, SAME_FAULT, MAINTENANCE):
        values[0, _steps(size, start, end), 0] += 25
    return values


def _steps(size: Size, start: timedelta, end: timedelta) -> slice:
    return slice(int(start.total_seconds()) // size.step_s, int(end.total_seconds()) // size.step_s)


def fill(plant: Plant, values: NDArray[np.float64]) -> None:
    """The source table, but for the rows that come late."""
    n_steps, n_channels = values.shape[1:]
    late = _steps(plant.size, *LATE)
    kept = np.delete(np.arange(n_steps), np.arange(late.start, late.stop))
    columns = ", ".join(f"{name} float8" for name in CHANNELS[:n_channels])
    plant.rows("CREATE SCHEMA plant")
    plant.rows(f"CREATE TABLE plant.metrics (at timestamptz, machine text, {columns})")
    _copy(plant, values, kept)
    plant.rows("CREATE INDEX ON plant.metrics (at)")


def _copy(plant: Plant, values: NDArray[np.float64], steps: NDArray[np.int64]) -> None:
    n_machines = len(values)
    times = int(START_AT.timestamp()) + plant.size.step_s * steps
    names = [f"m-{i + 1}" for i in range(n_machines)] * len(steps)
    columns = [binary.timestamptz(np.repeat(times, n_machines)), binary.text(names)]
    columns += [
        binary.nullable(one)
        for one in values[:, steps].transpose(1, 0, 2).reshape(-1, values.shape[2]).T
    ]
    connection = connect(plant.uri)
    with connection, connection.cursor() as cursor:
        cursor.copy_expert(
            "COPY plant.metrics FROM STDIN (FORMAT binary)", io.BytesIO(binary.encode(columns))
        )
    connection.close()


def live(plant: Plant, seed: int) -> None:
    """Every hour of the weeks after the first training, a Monday's retraining included."""
    values = readings(plant.size, seed)
    fill(plant, values)
    now, end_at = START_AT + LEARNED_DAYS * DAY, START_AT + N_DAYS * DAY
    with Store.connect(plant.uri) as store:
        while now < end_at:
            if (now - START_AT) % (7 * DAY) == timedelta(0):
                _retrain(plant, store, now)
            until = min(
                now
                + (HOUR if store.rows(SELECT_SHADOWS, dataset_id=1, lineage="live") else 6 * HOUR),
                end_at,
            )
            _words(plant, now, until)
            if now <= START_AT + LATE[1] + HOUR < until:
                _late(plant, store, values, until)
            _score(plant, store, now, until)
            _promote(plant, store, until)
            now = until


def _late(plant: Plant, store: Store, values: NDArray[np.float64], at: datetime) -> None:
    """Rows that nobody expected any more: what is later than `late_rows_within` is read on
    request.
    """
    _copy(plant, values, np.arange(*_steps(plant.size, *LATE).indices(values.shape[1])))
    span = {"start_at": START_AT + LATE[0], "end_at": START_AT + LATE[1]}
    done = rescore_as_of(store, plant.config, plant.uri, **span)
    plant.tell(
        at,
        f"two hours of rows came late: {done.n_changed_blocks} blocks, {done.n_written} hours "
        "scored anew",
    )


@contextmanager
def _scrambled(plant: Plant, store: Store, span: dict[str, datetime]) -> Iterator[None]:
    """The archive of a range as a broken gateway gives it, and afterwards as it was."""
    plant.rows("CREATE TABLE plant.kept AS SELECT * FROM plant.metrics")
    plant.rows(GARBLE, *span.values())
    ingest_interval(store, plant.config, plant.uri, force=True, **span)
    yield
    plant.rows("DELETE FROM plant.metrics")
    plant.rows("INSERT INTO plant.metrics SELECT * FROM plant.kept")
    ingest_interval(store, plant.config, plant.uri, force=True, **span)


def _retrain(plant: Plant, store: Store, at: datetime) -> None:
    folder = UPath(plant.folder / f"run_{at:%m%d}")
    span = {"start_at": at - LEARNED_DAYS * DAY, "end_at": at}
    ingest_interval(store, plant.config, plant.uri, **span)
    is_bad = at == START_AT + SCRAMBLED_ON
    try:
        archive: AbstractContextManager[None] = (
            _scrambled(plant, store, span) if is_bad else nullcontext()
        )
        with archive:
            summary, *_ = retrain(Retraining(store, plant.config, at, folder, UPath(plant.folder)))
        plant.tell(at, ("from a scrambled archive, " if is_bad else "") + _said(summary))
    except BadInput as error:
        store.rollback()
        plant.tell(at, f"no retraining: {str(error)[:180]}")


def _said(summary: RegisterSummary) -> str:
    if not summary.gate_passed:
        return f"version {summary.version}: gate failed ({', '.join(summary.failed_rules)})"
    return f"version {summary.version}: {'champion' if summary.promoted else 'in the shadow'}"


def _score(plant: Plant, store: Store, start_at: datetime, end_at: datetime) -> None:
    span = {"start_at": start_at, "end_at": end_at}
    ingest_interval(store, plant.config, plant.uri, **span)
    score_interval(store, plant.config, **span)
    build_incidents(store, plant.config, **span)


def _promote(plant: Plant, store: Store, at: datetime) -> None:
    try:
        found = compare_shadows(store, plant.config, end_at=at)
        for version, rules in found.failed.items():
            plant.tell(at, f"version {version}: shadow failed ({', '.join(rules)})")
        for change in promote_ready(store, plant.config, found.ready, end_at=at, by="shadow"):
            plant.tell(
                at, f"version {change.version}: champion from {change.valid_from:%m-%d %H:%M}"
            )
    except NothingToDo:
        store.rollback()


def _words(plant: Plant, now: datetime, until: datetime) -> None:
    """What people say at the time: the outage was one, and work is announced."""
    if now <= START_AT + OUTAGE[1] + 12 * HOUR < until:
        n = len(plant.rows(CONFIRM, START_AT + OUTAGE[1], START_AT + OUTAGE[0]))
        plant.tell(until, f"a person confirms {n} incident(s) of the outage")
    if now <= START_AT + MAINTENANCE[0] - 12 * HOUR < until:
        planned = "SELECT tsad.add_maintenance('plant', %s, %s, 'bearing')"
        plant.rows(planned, START_AT + MAINTENANCE[0], START_AT + MAINTENANCE[1])
        plant.tell(until, "maintenance announced")


def checked(plant: Plant) -> list[tuple[str, bool]]:
    """The promises, by SQL."""
    first = START_AT + LEARNED_DAYS * DAY
    bad = plant.rows(
        "SELECT version, state FROM tsad.v_model WHERE train_end_at = %s", START_AT + SCRAMBLED_ON
    )
    looked = plant.rows(
        "SELECT count(*) FROM tsad.v_status s JOIN tsad.v_model m USING (model_id) WHERE "
        "m.train_end_at > s.hour_at"
    )
    taken = plant.rows(
        "SELECT version, valid_from, shadow_from FROM tsad.v_model WHERE valid_from > %s", first
    )
    return [
        ("several challengers took over", len(taken) >= 2),
        (
            "none before a day in the shadow",
            all(at - shadow >= DAY for _, at, shadow in taken if shadow),
        ),
        (
            "the one that learned scrambled readings never did",
            [*bad] != [] and "champion" not in bad[0][1],
        ),
        ("no model scored what it was trained on", looked == [(0,)]),
        ("every hour has one row and no more", _one_row_each(plant, first)),
        ("the outage was found", _n_incidents(plant, OUTAGE) >= 1),
        ("the same fault a week later was found", _n_incidents(plant, SAME_FAULT) >= 1),
        ("the incident of the maintenance is stored and suppressed", _suppressed(plant)),
        (
            "late rows are a new revision",
            plant.rows("SELECT count(*) > 0 FROM tsad.v_status WHERE revision > 1") == [(True,)],
        ),
        (
            "what was left out is a row",
            plant.rows("SELECT count(*) > 0 FROM tsad.v_exclusion WHERE reason LIKE 'verdict%%'")
            == [(True,)],
        ),
        ("a rollback gives the rows before it back", _rolled_back(plant)),
    ]


def _n_incidents(plant: Plant, span: tuple[timedelta, timedelta]) -> int:
    touching = (
        "SELECT count(*) FROM tsad.v_incident "
        "WHERE lineage = 'live' AND started_at < %s AND last_flag_at >= %s"
    )
    return int(plant.rows(touching, START_AT + span[1], START_AT + span[0])[0][0])


def _suppressed(plant: Plant) -> bool:
    touching = (
        "SELECT bool_and(suppressed_by IS NOT NULL) FROM tsad.v_incident "
        "WHERE started_at < %s AND last_flag_at >= %s"
    )
    return plant.rows(touching, START_AT + MAINTENANCE[1], START_AT + MAINTENANCE[0]) == [(True,)]


def _one_row_each(plant: Plant, first: datetime) -> bool:
    n_hours = int((START_AT + N_DAYS * DAY - first) / HOUR) * plant.size.n_machines
    found = plant.rows(
        "SELECT count(*), count(DISTINCT (entity, hour_at)) FROM tsad.v_status WHERE hour_at >= %s",
        first,
    )
    return found == [(n_hours, n_hours)]


def _rolled_back(plant: Plant) -> bool:
    """Whether the present champion's rows leave the views, and those of the one before come in
    their place.
    """
    with Store.connect(plant.uri) as store:
        change = roll_back(store, plant.config, by="ada", reason="to see that it works")
        plant.tell(change.valid_from, f"rolled back to version {change.version}")
        _score(plant, store, change.valid_from, START_AT + N_DAYS * DAY)
    spoke = (
        "SELECT DISTINCT m.version FROM tsad.v_status s JOIN tsad.model m USING (model_id) "
        "WHERE s.hour_at >= %s"
    )
    return plant.rows(spoke, change.valid_from) == [(change.version,)]


@contextmanager
def opened(size: Size) -> Iterator[Plant]:
    """A plant on a server of its own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tsad-sixty-") as name:
        folder = Path(name)
        cluster = postgres.ensure_running(folder / "postgres", durable=False)
        try:
            uri = cluster.create_database(f"sixty_{uuid4().hex[:8]}")
            migrate(uri)
            yield Plant(uri, folder, size, config_of(size))
        finally:
            postgres.remove(folder / "postgres")


def main() -> int:
    """Live the days, check the promises."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="the size that CI runs")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    began = time.perf_counter()
    with opened(SMALL if arguments.small else WHOLE) as plant:
        live(plant, arguments.seed)
        promises = checked(plant)
        for decision in plant.rows(DECISIONS):
            print("  ", *decision)
    for text, kept in promises:
        print(f"{'ok    ' if kept else 'FAILED'} {text}")
    print(f"{time.perf_counter() - began:.0f} s")
    return 0 if all(kept for _, kept in promises) else 1


if __name__ == "__main__":
    sys.exit(main())
