"""Task `drift`: how far a week's readings lie from the training range, and its scores from the
model's first week.

Of a week only the hours count of which the model is champion: it was trained on what came before. A
machine that stands still is part of a week as it is of the training range.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.confidence import stability_index
from tsad_tasks.base.enums import Lineage
from tsad_tasks.base.errors import NothingToDo
from tsad_tasks.base.interval import hour_floor
from tsad_tasks.config import DatasetConfig
from tsad_tasks.model.drift import scale_of
from tsad_tasks.monitoring.audit import WEEK, week_before
from tsad_tasks.storage.rows import Champion, DatasetRow, DriftRow
from tsad_tasks.storage.store import Store

OF_SCORES = 0


@dataclass(frozen=True)
class DriftSummary:
    """The week that was measured, rows written, and the highest index of readings, of which channel
    and entity.
    """

    week_at: datetime
    n_rows: int
    highest: float | None
    where: str


def measure_drift(
    store: Store, config: DatasetConfig, *, end_at: datetime, lineage: str = Lineage.LIVE
) -> DriftSummary:
    """Measures the last whole week before `end_at` against what its last champions were trained on.

    Raises
    ------
    NothingToDo
        When nobody was champion.
    """
    week_at, dataset = week_before(end_at), store.select_dataset(config.dataset)
    champions = {
        one.scope_entity_id: one
        for one in sorted(
            store.select_champions(dataset.dataset_id, lineage, week_at, week_at + WEEK),
            key=lambda one: one.valid_from,
        )
    }
    if not champions:
        raise NothingToDo(
            f"No model of {config.dataset} was champion in the week from {week_at:%Y-%m-%d}."
        )
    week = _Week(store, config, dataset, lineage, week_at)
    rows = [row for champion in champions.values() for row in week.rows(champion)]
    columns = {field.name: [asdict(row)[field.name] for row in rows] for field in fields(DriftRow)}
    with store.transaction():
        store.execute("upsert_drift", columns | {"lineage": lineage, "week_at": week_at})
    return _summary(week, rows)


def _summary(week: _Week, rows: list[DriftRow]) -> DriftSummary:
    known = [row for row in rows if row.channel_id != OF_SCORES and row.psi is not None]
    worst = max(known, key=lambda row: row.psi or 0.0, default=None)
    if worst is None:
        return DriftSummary(week.week_at, len(rows), None, "")
    layout = week.layout
    channel = layout.channel_names[layout.channel_ids.index(worst.channel_id)]
    entity = {key: name for name, key in week.entities.items()}[worst.entity_id]
    return DriftSummary(week.week_at, len(rows), worst.psi, f"{channel} of {entity}")


class _Week:
    """One week of a dataset."""

    def __init__(
        self,
        store: Store,
        config: DatasetConfig,
        dataset: DatasetRow,
        lineage: str,
        week_at: datetime,
    ) -> None:
        self.store, self.config, self.lineage, self.week_at = store, config, lineage, week_at
        self.entities = store.select_entities(dataset.dataset_id)
        self.layout = store.select_layouts(dataset.dataset_id)[0]

    def rows(self, champion: Champion) -> Iterator[DriftRow]:
        """Rows of a champion's entities: one for each channel, and one for the scores."""
        for entity_id in self.entities.values():
            if champion.scope_entity_id in (0, entity_id):
                yield from self._of_readings(champion, entity_id)
                yield self._of_scores(champion, entity_id)

    def _of_readings(self, champion: Champion, entity_id: int) -> Iterator[DriftRow]:
        trained_until = hour_floor(champion.train_end_at)
        start_at = hour_floor(trained_until - timedelta(seconds=self.config.training.range_s))
        reference = self.store.read_blocks(
            self.layout, [entity_id], start_at, trained_until
        ).values[0]
        seen_at = max(self.week_at, hour_floor(champion.valid_from))
        seen = self.store.read_blocks(
            self.layout, [entity_id], seen_at, self.week_at + WEEK
        ).values[0]
        for position, (key, name) in enumerate(
            zip(self.layout.channel_ids, self.layout.channel_names, strict=True)
        ):
            if name in self.config.channel_names:
                parts = reference[:, position], seen[:, position]
                yield _row(champion.model_id, entity_id, key, *parts, 24 * self.layout.n_steps)

    def _of_scores(self, champion: Champion, entity_id: int) -> DriftRow:
        """A model that has no whole week before this one has no reference yet."""
        first_at = hour_floor(champion.valid_from)
        reference = self._scores(entity_id, first_at, first_at + WEEK)
        if first_at + WEEK > self.week_at:
            reference = reference[:0]
        seen = self._scores(entity_id, self.week_at, self.week_at + WEEK)
        return _row(
            champion.model_id, entity_id, OF_SCORES, reference, seen, 24 * self.layout.n_steps
        )

    def _scores(self, entity_id: int, start_at: datetime, end_at: datetime) -> NDArray[np.float32]:
        return self.store.read_score_series(
            self.lineage, entity_id, start_at, end_at, self.layout.n_steps
        ).scores


def _row(
    model_id: int,
    entity_id: int,
    channel_id: int,
    reference: NDArray[np.floating],
    seen: NDArray[np.floating],
    daily_steps: int,
) -> DriftRow:
    """Less than half a day of values is a time of day: it has no index."""
    known, before = (part[np.isfinite(part)].astype(np.float64) for part in (seen, reference))
    missing = 1 - known.size / seen.size if seen.size else None
    index = (
        stability_index(before, known) if min(known.size, before.size) >= daily_steps // 2 else None
    )
    shift = None
    if known.size and before.size:
        center, spread = scale_of(before)
        shift = float((np.median(known) - center) / spread) if spread else None
    return DriftRow(model_id, entity_id, channel_id, index, shift, missing, known.size)


def retrain_if_drifted(
    store: Store, config: DatasetConfig, *, end_at: datetime, lineage: str = Lineage.LIVE
) -> DriftSummary:
    """Task `retrain_early`: goes on only where readings drifted beyond `drift.retrain_above`.

    Raises
    ------
    NothingToDo
        Where they did not, or nobody asked for it.
    """
    limit = config.drift.retrain_above
    if limit is None:
        raise NothingToDo(
            "drift.retrain_above is not set: drift is measured, and retrains nothing."
        )
    found = measure_drift(store, config, end_at=end_at, lineage=lineage)
    if found.highest is None or found.highest <= limit:
        raise NothingToDo(f"Drift of {config.dataset}: {found.highest}, not above {limit:g}.")
    return found
