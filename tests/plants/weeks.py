"""Weeks of one machine, trained and scored by the cheapest detector, for what people say of
them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from upath import UPath

from devstack.postgres import Cluster
from tests.statements import run
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
WEEK = timedelta(days=7)
MACHINE = "m-1"
N_WEEKS = 6
CONFIG: dict[str, Any] = {
    "dataset": "plant",
    "site_zone": "Europe/Berlin",
    "source": {
        "connection": "plant",
        "tables": "plant.metrics",
        "time": {"column": "at"},
        "entity": {"column": "machine"},
        "step": "10min",
        "late_rows_within": 0,
        "channels": {"temperature": {"unit": "°C"}, "load": {"unit": "%"}},
    },
    "detector": {"name": "three_sigma"},
    "threshold": {"kind": "percentile", "percentile": 99.9, "combine": "max"},
    "training": {"range": "7d", "min_hours": 10, "fallback": []},
    "features": {"min_own_scale": "1d"},
    "gate": {
        "min_point_share": 0,
        "min_contextual_share": 0,
        "min_collective_share": 0,
        "max_false_alarm_share": 1,
        "tolerance": 1,
        "max_incidents_per_entity_week": 1000,
        "min_known_share": 0,
        "n_injected": 10,
    },
    "shadow": {"hours": 0},
}


def week(number: int, hours: float = 0) -> datetime:
    """A moment: so many hours into a week, of which the first is 0."""
    return START_AT + number * WEEK + timedelta(hours=hours)


def config_of(**changes: Any) -> DatasetConfig:
    """The machine's dataset, with top-level fields changed."""
    return DatasetConfig.model_validate(CONFIG | changes)


@dataclass
class Weeks:
    """A machine's readings, warehouse and models in one database."""

    uri: str
    folder: Path | UPath
    config: DatasetConfig
    n_trained: int = 0

    @classmethod
    def filled(cls, uri: str, folder: Path | UPath, **changes: Any) -> Weeks:
        """Six quiet weeks: a daily cycle of temperature and a noisy load."""
        made = cls(uri, folder, config_of(**changes))
        made._fill()
        return made

    def _fill(self) -> None:
        n_steps, rng = N_WEEKS * 7 * 144, np.random.default_rng(5)
        steps = np.arange(n_steps)
        temperature = 20 + 3 * np.sin(2 * np.pi * steps / 144) + rng.normal(0, 0.5, n_steps)
        columns = [
            binary.timestamptz(int(START_AT.timestamp()) + 600 * steps),
            binary.text([MACHINE] * n_steps),
        ]
        columns += [
            binary.nullable(column) for column in (temperature, 50 + rng.normal(0, 5, n_steps))
        ]
        connection = connect(self.uri)
        with connection, connection.cursor() as cursor:
            cursor.execute("CREATE SCHEMA plant")
            cursor.execute(
                "CREATE TABLE plant.metrics (at timestamptz, machine text, temperature float8, "
                "load float8)"
            )
            cursor.copy_expert(
                "COPY plant.metrics FROM STDIN (FORMAT binary)", io.BytesIO(binary.encode(columns))
            )
        connection.close()

    def execute(self, statement: str, *params: object) -> list[tuple[Any, ...]]:
        """Rows of a statement."""
        return run(self.uri, statement, params)

    def shift(self, start_at: datetime, end_at: datetime, by: float = 15.0) -> None:
        """Another temperature in [start_at, end_at)."""
        change = (
            "UPDATE plant.metrics SET temperature = temperature + %s WHERE at >= %s AND at < %s"
        )
        self.execute(change, by, start_at, end_at)

    def train(self, end_at: datetime) -> RegisterSummary:
        """What became of a training on the week before a moment."""
        self.n_trained += 1
        folder = UPath(self.folder / f"run_{self.n_trained}")
        with Store.connect(self.uri) as store:
            ingest_interval(store, self.config, self.uri, start_at=end_at - WEEK, end_at=end_at)
            (summary,) = retrain(Retraining(store, self.config, end_at, folder, UPath(self.folder)))
        return summary

    def score(self, start_at: datetime, end_at: datetime, **options: Any) -> None:
        """Scores and incidents of a range."""
        span: dict[str, Any] = {"start_at": start_at, "end_at": end_at}
        with Store.connect(self.uri) as store:
            ingest_interval(store, self.config, self.uri, **span, **options)
            score_interval(store, self.config, **span)
            build_incidents(store, self.config, **span)

    def flagged_share(self, start_at: datetime, end_at: datetime) -> float:
        """Share of the scored steps of a range that are flagged."""
        share = (
            "SELECT avg(flag::int)::float8 FROM tsad.scores('plant', %s, %s, %s) WHERE score IS "
            "NOT NULL"
        )
        return float(self.execute(share, MACHINE, start_at, end_at)[0][0])

    def longest_incident(self) -> str:
        """Id of the incident with the most flags."""
        query = "SELECT incident_id FROM tsad.v_incident ORDER BY n_flags DESC LIMIT 1"
        return str(self.execute(query)[0][0])

    def incidents(self) -> list[tuple[Any, ...]]:
        """Ids of what stands, with verdict and suppression."""
        return self.execute(
            "SELECT incident_id, verdict, suppressed_by, started_at, last_flag_at FROM "
            "tsad.v_incident "
            "ORDER BY started_at"
        )

    def excluded(self, model_id: int) -> dict[str, int]:
        """Steps that a training left out, by reason."""
        query = (
            "SELECT reason, sum(n_steps)::int FROM tsad.v_exclusion WHERE model_id = %s GROUP BY 1"
        )
        return dict(self.execute(query, model_id))


@contextmanager
def filled_weeks(cluster: Cluster, template: str, folder: Path, **changes: Any) -> Iterator[Weeks]:
    """Six quiet weeks in a database of their own, which goes afterwards."""
    name = f"weeks_{uuid4().hex}"
    yield Weeks.filled(cluster.create_database(name, template=template), folder, **changes)
    cluster.drop_database(name)


@contextmanager
def copied_weeks(cluster: Cluster, weeks: Weeks, folder: Path) -> Iterator[Weeks]:
    """A copy of weeks to which nobody is connected, with a folder for what it learns; it goes
    afterwards.
    """
    name = f"weeks_{uuid4().hex}"
    uri = cluster.create_database(name, template=weeks.uri.rsplit("/", 1)[1])
    yield replace(weeks, uri=uri, folder=folder)
    cluster.drop_database(name)
