"""How far back scores look: a fixed number of hours, or to where a folding model's state began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.digest import digests
from tsad_tasks.base.interval import hour_ceil, hours_later, unix_s
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.scoring.fitted import FittedSince, with_fitted
from tsad_tasks.scoring.queries import Champion
from tsad_tasks.storage.readings import read_checksums
from tsad_tasks.storage.store import Store


@dataclass(frozen=True)
class Reach:
    """What an hour depends on: the hours before it, so many, or all from `anchor_at` on.

    >>> from datetime import UTC
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> Reach(2).first(noon).hour, Reach(0, datetime(2026, 3, 1, 7, tzinfo=UTC)).first(noon).hour
    (10, 7)
    """

    hours: int
    anchor_at: datetime | None = None

    def first(self, hour_at: datetime) -> datetime:
        """The first hour that an hour depends on."""
        if self.anchor_at is None:
            return hours_later(hour_at, -self.hours)
        return min(self.anchor_at, hour_at)

    def digests(self, checksums: NDArray[np.int64], from_at: datetime) -> NDArray[np.int64]:
        """Digests (n_entities, n_hours), of checksums from `first` of the first hour on."""
        hours = unix_s(from_at) // 3600 + np.arange(checksums.shape[1])
        if self.anchor_at is None:
            return digests(checksums, hours, self.hours)
        since = np.where(hours >= unix_s(self.anchor_at) // 3600, checksums, 0)
        return digests(since, hours, len(hours))

    def of_blocks(
        self,
        store: Store,
        entity_ids: Sequence[int],
        start_at: datetime,
        end_at: datetime,
        fitted: Sequence[FittedSince | None],
    ) -> NDArray[np.int64]:
        """Digests (n_entities, n_hours) of all that the hours of [start_at, end_at) depend on."""
        from_at = self.first(start_at)
        checksums = read_checksums(store, entity_ids, from_at, end_at)
        found = self.digests(with_fitted(checksums, fitted, unix_s(from_at)), from_at)
        return found[:, (unix_s(start_at) - unix_s(from_at)) // 3600 :]


def anchor_at(champion: Champion) -> datetime:
    """No error of a model counts before this: it was trained on what came earlier."""
    return hour_ceil(champion.train_end_at)


def score_reach(champion: Champion) -> Reach:
    """What a champion's scores depend on."""
    return Reach(champion.score_reach_s // 3600, anchor_at(champion) if champion.folds else None)


def window_reach(champion: Champion, spec: ModelSpec) -> Reach:
    """What a champion's errors depend on."""
    return Reach(spec.features.reach_hours, anchor_at(champion) if champion.folds else None)
