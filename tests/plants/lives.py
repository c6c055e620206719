"""A dataset whose entities lived when a test says so, read up to a moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from tests.plants.plant import Plant
from tests.statements import run
from tsad_tasks.base.interval import HOUR
from tsad_tasks.storage import datasets
from tsad_tasks.storage.lives import note_lives
from tsad_tasks.storage.store import Store

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = timedelta(days=1)


@dataclass
class Lives:
    """A dataset with entities that lived in some hours, read up to a moment."""

    plant: Plant
    store: Store
    dataset_id: int

    def live(self, name: str, hours: Sequence[datetime]) -> int:
        """An entity with rows in these hours."""
        with self.store.transaction():
            key = datasets.ensure_entities(self.store, self.dataset_id, [name])[name]
            note_lives(self.store, [key], hours, np.ones((1, len(hours)), bool))
        return key

    def read_until(self, at: datetime) -> None:
        self.run(
            "INSERT INTO tsad.ingest_hour (dataset_id, hour_at, read_until, read_at, n_rows, "
            "n_readings) VALUES (%s, %s, %s, now(), 0, 0)",
            self.dataset_id,
            at - HOUR,
            at,
        )

    def run(self, statement: str, *params: object) -> list[tuple[Any, ...]]:
        return run(self.plant.warehouse_uri, statement, params)

    def states(self) -> dict[str, str]:
        return dict(self.run("SELECT entity, state FROM tsad.v_entity ORDER BY 1"))


def hours(start_at: datetime, n: int, every: int = 1) -> list[datetime]:
    return [start_at + i * every * HOUR for i in range(n)]


@contextmanager
def opened_lives(empty_plant: Plant) -> Iterator[Lives]:
    """A dataset without an entity."""
    with Store.connect(empty_plant.warehouse_uri) as store:
        with store.transaction():
            row = datasets.upsert_dataset(store, empty_plant.config())
        yield Lives(empty_plant, store, row.dataset_id)
