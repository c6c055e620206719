"""Task `drift`: how far a week's readings and scores lie from what their model began with.

Of a week only the hours of the champion count: it was trained on what came before. A machine that
stands still is part of a week as it is of the training range.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.confidence import stability_index
from tsad_tasks.base.enums import Lineage
from tsad_tasks.base.errors import NothingToDo
from tsad_tasks.base.interval import hour_floor
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.signals import circles_of
from tsad_tasks.model.circle import Circle
from tsad_tasks.model.drift import scale_of
from tsad_tasks.monitoring.audit import WEEK, week_before
from tsad_tasks.monitoring.queries import UPSERT_DRIFT, DriftRow
from tsad_tasks.scoring.queries import SELECT_CHAMPIONS, Champion
from tsad_tasks.storage.datasets import Layout, select_dataset, select_entities, select_layouts
from tsad_tasks.storage.readings import read_blocks
from tsad_tasks.storage.scores import read_score_series
from tsad_tasks.storage.store import Store, columns

OF_SCORES = 0


@dataclass(frozen=True)
class DriftSummary:
    """The week, rows written, and the highest index of readings, with its channel and entity."""

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
    week_at, dataset = week_before(end_at), select_dataset(store, config.dataset)
    span = {"start_at": week_at, "end_at": week_at + WEEK}
    found = store.rows(SELECT_CHAMPIONS, dataset_id=dataset.dataset_id, lineage=lineage, **span)
    # Of several champions of a week the last one counts.
    champions = {one.scope_entity_id: one for one in sorted(found, key=lambda one: one.valid_from)}
    if not champions:
        raise NothingToDo(
            f"No model of {config.dataset} was champion in the week from {week_at:%Y-%m-%d}."
        )
    layout = select_layouts(store, dataset.dataset_id)[0]
    week = _Week(store, config, layout, lineage, week_at)
    entities = select_entities(store, dataset.dataset_id)
    rows = [
        row
        for champion in champions.values()
        for entity_id in entities.values()
        if champion.scope_entity_id in (0, entity_id)
        for row in (*week.of_readings(champion, entity_id), week.of_scores(champion, entity_id))
    ]
    with store.transaction():
        store.execute(UPSERT_DRIFT, lineage=lineage, week_at=week_at, **columns(rows, DriftRow))
    known = [(row.psi, row) for row in rows if row.channel_id != OF_SCORES and row.psi is not None]
    if not known:
        return DriftSummary(week_at, len(rows), None, "")
    highest, worst = max(known, key=lambda one: one[0])
    channel = layout.channel_names[layout.channel_ids.index(worst.channel_id)]
    (entity,) = (name for name, key in entities.items() if key == worst.entity_id)
    return DriftSummary(week_at, len(rows), highest, f"{channel} of {entity}")


@dataclass(frozen=True)
class _Week:
    """One week of a dataset."""

    store: Store
    config: DatasetConfig
    layout: Layout
    lineage: str
    week_at: datetime

    def of_readings(self, champion: Champion, entity_id: int) -> Iterator[DriftRow]:
        """A row for each channel that the entity has."""
        trained_until = hour_floor(champion.train_end_at)
        trained_from = trained_until - timedelta(seconds=self.config.training.range_s)
        seen_from = max(self.week_at, hour_floor(champion.valid_from))
        spans = (hour_floor(trained_from), trained_until), (seen_from, self.week_at + WEEK)
        reference, seen = (
            read_blocks(self.store, self.layout, [entity_id], *span).values[0] for span in spans
        )
        names = zip(self.layout.channel_ids, self.layout.channel_names, strict=True)
        circles = circles_of(self.config)
        for position, (key, name) in enumerate(names):
            if name in self.config.model_names:
                parts = reference[:, position], seen[:, position]
                if name in circles:
                    # Cut open on the other side of where it mostly was.
                    parts = _opened(circles[name], *parts)
                if any(np.isfinite(part).any() for part in parts):
                    yield self._row(champion.model_id, entity_id, key, *parts)

    def of_scores(self, champion: Champion, entity_id: int) -> DriftRow:
        """A model that has no whole week before this one has no reference yet."""
        first_at = hour_floor(champion.valid_from)
        reference, seen = (
            read_score_series(
                self.store, self.lineage, entity_id, start_at, start_at + WEEK, self.layout.n_steps
            ).scores
            for start_at in (first_at, self.week_at)
        )
        if first_at + WEEK > self.week_at:
            reference = reference[:0]
        return self._row(champion.model_id, entity_id, OF_SCORES, reference, seen)

    def _row(
        self,
        model_id: int,
        entity_id: int,
        channel_id: int,
        reference: NDArray[np.floating],
        seen: NDArray[np.floating],
    ) -> DriftRow:
        known, before = (part[np.isfinite(part)].astype(np.float64) for part in (seen, reference))
        missing = 1 - known.size / seen.size if seen.size else None
        # Less than half a day of values is a time of day: it has no index.
        is_enough = min(known.size, before.size) >= 12 * self.layout.n_steps
        index = stability_index(before, known) if is_enough else None
        shift = None
        if known.size and before.size:
            center, spread = scale_of(before)
            shift = float((np.median(known) - center) / spread) if spread else None
        return DriftRow(model_id, entity_id, channel_id, index, shift, missing, known.size)


def _opened(
    circle: Circle, *parts: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values of two stretches on a circle as their turns from the circular mean of the first."""
    known = parts[0][np.isfinite(parts[0])]
    middle = np.nan_to_num(circle.mean(known), nan=circle.start)
    return circle.difference(parts[0], middle), circle.difference(parts[1], middle)


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
