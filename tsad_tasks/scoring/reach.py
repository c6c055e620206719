"""How far back scores look: a fixed number of hours, or to where a folding model's state began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.digest import digests
from tsad_tasks.base.interval import hour_ceil, hours_later, unix_s
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.scoring.fitted import FittedSince, with_fitted
from tsad_tasks.scoring.queries import Champion
from tsad_tasks.storage.readings import read_checksums
from tsad_tasks.storage.store import Store


class Seen(NamedTuple):
    """What hours have to be scored by, (n_entities, n_hours) each.

    Attributes
    ----------
    digests : int64, of all that an hour depends on.
    is_alive : bool, whether its windows see a block of the entity at all; else it is silent, and
        there is nothing to say of the hour.
    """

    digests: NDArray[np.int64]
    is_alive: NDArray[np.bool_]


def is_alive(checksums: NDArray[np.int64], window_hours: int) -> NDArray[np.bool_]:
    """bool (n_entities, n_hours), whether there is a block in the hour or so many before it.

    >>> is_alive(np.array([[0, 7, 0, 0, 0]]), 1).tolist()
    [[False, True, True, False, False]]
    """
    n_blocks = np.cumsum(checksums != 0, axis=1, dtype=np.int64)
    n_before = np.zeros_like(n_blocks)
    n_before[:, window_hours + 1 :] = n_blocks[:, : -(window_hours + 1)]
    return np.asarray(n_blocks > n_before, np.bool_)


def window_hours(champion: Champion) -> int:
    """So many hours before its own an hour is still spoken of, once an entity falls silent."""
    return max(champion.window_reach_s // 3600, 1)


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
        window_hours: int,
    ) -> Seen:
        """What there is, in blocks, for the hours of [start_at, end_at)."""
        from_at = min(self.first(start_at), hours_later(start_at, -window_hours))
        checksums = read_checksums(store, entity_ids, from_at, end_at)
        found = self.digests(with_fitted(checksums, fitted, unix_s(from_at)), from_at)
        asked = slice((unix_s(start_at) - unix_s(from_at)) // 3600, None)
        return Seen(found[:, asked], is_alive(checksums, window_hours)[:, asked])


def anchor_at(champion: Champion) -> datetime:
    """No error of a model counts before this: it was trained on what came earlier."""
    return hour_ceil(champion.train_end_at)


def score_reach(champion: Champion) -> Reach:
    """What a champion's scores depend on."""
    return Reach(champion.score_reach_s // 3600, anchor_at(champion) if champion.folds else None)


def window_reach(champion: Champion, spec: ModelSpec) -> Reach:
    """What a champion's errors depend on."""
    return Reach(spec.features.reach_hours, anchor_at(champion) if champion.folds else None)
