"""Readings as a test makes them, trained and scored: what people are then told."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from upath import UPath

from devstack.postgres import Cluster
from tests.plants.weeks import CONFIG
from tests.statements import run
from tsad_tasks.base.arrays import Floats64
from tsad_tasks.champions.champions import RegisterSummary
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.score import score_interval
from tsad_tasks.storage import copy_binary as binary
from tsad_tasks.storage.database import connect
from tsad_tasks.storage.store import Store
from tsad_tasks.training.retrain import Retraining

START_AT = datetime(2026, 3, 2, tzinfo=UTC)
STEP_S = 600
STEPS_A_DAY = 86400 // STEP_S


def day(number: float) -> datetime:
    """A moment: so many days after the first reading."""
    return START_AT + timedelta(days=number)


def steps(number: float) -> int:
    """The step of that moment."""
    return round(number * STEPS_A_DAY)


@dataclass
class Signals:
    """Readings of entities, warehouse and models in one database."""

    uri: str
    folder: Path
    config: DatasetConfig
    n_trained: int = 0

    def train(self, end_day: float) -> RegisterSummary:
        """What became of a training on the range before a day."""
        self.n_trained += 1
        end_at, folder = day(end_day), UPath(self.folder / f"run_{self.n_trained}")
        start_at = end_at - timedelta(seconds=self.config.training.range_s)
        with Store.connect(self.uri) as store:
            ingest_interval(store, self.config, self.uri, start_at=start_at, end_at=end_at)
            (summary,) = retrain(Retraining(store, self.config, end_at, folder, UPath(self.folder)))
        return summary

    def score(self, start_day: float, end_day: float) -> None:
        """Scores and incidents of a range."""
        span: dict[str, Any] = {"start_at": day(start_day), "end_at": day(end_day)}
        with Store.connect(self.uri) as store:
            ingest_interval(store, self.config, self.uri, **span)
            score_interval(store, self.config, **span)
            build_incidents(store, self.config, **span)

    def execute(self, statement: str, *params: object) -> list[tuple[Any, ...]]:
        """Rows of a statement."""
        return run(self.uri, statement, params)

    def incidents(self) -> list[tuple[Any, ...]]:
        """Entity, first and last flag, severity and channel of what stands."""
        return self.execute(
            "SELECT entity, started_at, last_flag_at, severity, channel FROM tsad.v_incident "
            "WHERE lineage = 'live' ORDER BY 1, 2"
        )

    def scores(self, start_day: float, end_day: float) -> Floats64:
        """Scores of all entities in a range, NaN where unknown."""
        found = self.execute(
            "SELECT coalesce(score, 'NaN') FROM tsad.entity e, "
            "tsad.scores('signals', e.name, %s, %s) ORDER BY e.name, at",
            day(start_day),
            day(end_day),
        )
        return np.array([score for (score,) in found], np.float64)


@contextmanager
def signals(
    cluster: Cluster,
    template: str,
    folder: Path,
    channels: dict[str, dict[str, Any]],
    values: Floats64,
    **changes: Any,
) -> Iterator[Signals]:
    """Readings (n_entities, n_steps, n_channels) of u1, u2, … in a database that goes afterwards.

    `channels` are as in the source of a dataset file, `changes` are other fields of the file.
    """
    name = f"signals_{uuid4().hex}"
    uri = cluster.create_database(name, template=template)
    source = CONFIG["source"] | {"tables": "plant.signals", "channels": channels}
    fields = CONFIG | {"dataset": "signals", "site_zone": "UTC", "source": source} | changes
    _fill(uri, list(channels), values)
    yield Signals(uri, folder, DatasetConfig.model_validate(fields))
    cluster.drop_database(name)


def _fill(uri: str, names: Sequence[str], values: Floats64) -> None:
    n_entities, n_steps, _ = values.shape
    at_s = int(START_AT.timestamp()) + STEP_S * np.arange(n_steps)
    machines = [f"u{number + 1}" for number in range(n_entities)]
    columns = [binary.timestamptz(np.tile(at_s, n_entities))]
    columns += [binary.text(np.repeat(machines, n_steps).tolist())]
    columns += [binary.nullable(column) for column in values.reshape(-1, len(names)).T]
    connection = connect(uri)
    with connection, connection.cursor() as cursor:
        of_channels = ", ".join(f"{name} float8" for name in names)
        cursor.execute(
            "CREATE SCHEMA plant; "
            f"CREATE TABLE plant.signals (at timestamptz, machine text, {of_channels})"
        )
        cursor.copy_expert(
            "COPY plant.signals FROM STDIN (FORMAT binary)", io.BytesIO(binary.encode(columns))
        )
    connection.close()
