"""A small dataset in a fresh warehouse: registered, with its layout and entities."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.config import DatasetConfig
from tsad_tasks.storage.database import connect
from tsad_tasks.storage.datasets import (
    Layout,
    ensure_entities,
    ensure_layout,
    lock_hours,
    upsert_dataset,
)
from tsad_tasks.storage.readings import read_blocks, write_blocks
from tsad_tasks.storage.scores import AnomalyRows, AttributionRows, ScoreRows
from tsad_tasks.storage.store import Store
from tsad_tasks.training.queries import NewModel

HOUR_AT = datetime(2026, 3, 1, 5, tzinfo=UTC)
HOUR_S = int(HOUR_AT.timestamp())


def room_config(*channels: str, step: str = "30min", dataset: str = "room") -> DatasetConfig:
    """A dataset of two steps an hour with these channels."""
    return DatasetConfig.model_validate(
        {
            "dataset": dataset,
            "source": {
                "connection": "room",
                "tables": "reading",
                "time": {"column": "at"},
                "entity": {"column": "host"},
                "step": step,
                "channels": {name: {"unit": "%"} for name in channels or ("cpu", "load")},
            },
        }
    )


@dataclass
class Room:
    """The dataset's ids, and the store to work with it."""

    uri: str
    store: Store
    config: DatasetConfig
    dataset_id: int
    layout: Layout
    entity_ids: list[int]

    def grown(self, config: DatasetConfig) -> Room:
        """The same room after its dataset file was edited."""
        with self.store.transaction():
            upsert_dataset(self.store, config)
            layout = ensure_layout(self.store, self.dataset_id, config)
        return replace(self, config=config, layout=layout)

    def write(self, hour_at: datetime, values: Any, entity: int = 0) -> int:
        """Rows changed by writing one block (steps × channels)."""
        block = np.array(values, float).reshape(
            1, self.layout.n_steps, len(self.layout.channel_ids)
        )
        with self.store.transaction():
            lock_hours(self.store, self.dataset_id, [hour_at])
            written = write_blocks(
                self.store, self.layout, [self.entity_ids[entity]], [hour_at], block
            )
            return written.n_changed

    def read(self, start_at: datetime, end_at: datetime) -> NDArray[np.float64]:
        """Readings of the first entity, (n_steps, n_channels)."""
        with self.store.transaction():
            blocks = read_blocks(self.store, self.layout, self.entity_ids[:1], start_at, end_at)
        return np.asarray(blocks.values[0])

    def rows(self, statement: str, *params: object) -> list[tuple[Any, ...]]:
        """Rows of a statement over a connection of its own."""
        connection = connect(self.uri)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, params or None)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()


@contextmanager
def opened_room(
    uri: str, config: DatasetConfig | None = None, entities: tuple[str, ...] = ("a", "b")
) -> Iterator[Room]:
    """A room in the warehouse at `uri`."""
    chosen = config or room_config()
    with Store.connect(uri) as store:
        with store.transaction():
            dataset = upsert_dataset(store, chosen)
            layout = ensure_layout(store, dataset.dataset_id, chosen)
            ids = ensure_entities(store, dataset.dataset_id, entities)
        yield Room(uri, store, chosen, dataset.dataset_id, layout, [ids[name] for name in entities])


def new_model(room: Room, **changes: Any) -> NewModel:
    """A model of the room."""
    fields: dict[str, Any] = {
        "dataset_id": room.dataset_id,
        "scope_entity_id": 0,
        "lineage": "live",
        "parent_model_id": None,
        "detector": "lstm_autoencoder",
        "seed": 7,
        "train_start_at": datetime(2026, 2, 1, tzinfo=UTC),
        "train_end_at": datetime(2026, 3, 1, tzinfo=UTC),
        "config_hash": "c0ffee",
        "window_reach_s": 3600,
        "score_reach_s": 7200,
        "n_parameters": 1,
        "artifact_uri": "file:///nowhere",
        "sha256": "0" * 64,
        "card": {"n_windows": 1},
    }
    return NewModel(**fields | changes)


def score_rows(room: Room, model_id: int, scores: list[float], **changes: Any) -> ScoreRows:
    """One scored hour of the first entity, a score per step; a NaN has no score."""
    values = np.array([scores], np.float32)
    fields: dict[str, Any] = {
        "model_id": model_id,
        "entity_ids": np.array(room.entity_ids[:1]),
        "hours_s": np.array([HOUR_S]),
        "errors": 1 + values,
        "thresholds": np.where(np.isnan(values), values, np.float32(1)),
        "scores": values,
        "reasons": np.isnan(values).astype(np.int16),
        "channel_errors": np.zeros((1, len(scores), len(room.layout.channel_ids)), np.float32),
        "has_flags": np.array([True]),
        "memo": np.array([False]),
        "status": ["scored"],
        "coverage": np.array([1], np.float32),
        "n_needed": np.array([len(scores)]),
        "n_seen": np.array([int(np.isfinite(values).sum())]),
        "window_digests": np.array([11]),
        "score_digests": np.array([22]),
    }
    return ScoreRows(**fields | changes)


def anomaly_rows(room: Room, *steps: int, score: float = 2.0) -> AnomalyRows:
    """Flags of the first entity at some steps of the hour."""
    n = len(steps)
    return AnomalyRows(
        np.full(n, room.entity_ids[0]),
        HOUR_S + room.layout.step_s * np.array(steps, np.int64),
        ["point"] * n,
        ["HIGH"] * n,
        np.full(n, 1 + score, np.float32),
        np.ones(n, np.float32),
        np.full(n, score, np.float32),
        np.zeros(n, bool),
    )


def attribution_rows(room: Room, *steps: int) -> AttributionRows:
    """The first channel carries the whole error of some steps."""
    n = len(steps)
    number = np.ones(n)
    return AttributionRows(
        np.full(n, room.entity_ids[0]),
        HOUR_S + room.layout.step_s * np.array(steps, np.int64),
        np.full(n, room.layout.channel_ids[0]),
        number.astype(np.float32),
        number * 9,
        number,
        number * np.nan,
        np.tile(np.array([0.25, 0.75], np.float32), (n, 1)),
    )
