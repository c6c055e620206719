"""Which channels an entity has that a champion does not know: those read so far, hour by hour.

Of all others the champion's bundle says so. What an hour's coverage is compared with is part of its
digest, so that an earlier first value that comes late makes the hour be scored again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.interval import unix_s
from tsad_tasks.model.scoring import NEVER
from tsad_tasks.model.spec import FeatureSpec
from tsad_tasks.scoring.queries import SELECT_FITTED_SINCE
from tsad_tasks.storage.store import Store


@dataclass(frozen=True)
class FittedSince:
    """Channels by name, and since which hour (Unix seconds) the entity has them; None: it has not.

    >>> [bool(salt) for salt in FittedSince((("flow", 3600),)).salts(np.array([0, 3600, 7200]))]
    [True, False, False]
    """

    channels: tuple[tuple[str, int | None], ...]

    def salts(self, hours_s: NDArray[np.int64]) -> NDArray[np.uint64]:
        """A number (n_hours,) for the channels that the entity lacks at each hour; 0: none."""
        salts = np.zeros(len(hours_s), np.uint64)
        for name, first_s in self.channels:
            lacks = np.ones(len(hours_s), bool) if first_s is None else hours_s < first_s
            salts += np.where(lacks, _salt(name), np.uint64(0))
        return salts

    def first_steps(self, spec: FeatureSpec, start_s: int) -> list[int]:
        """The step after `start_s` from which on the entity has each channel of a model."""
        since = dict(self.channels)
        firsts = [since.get(name) for name in spec.channels]
        return [NEVER if at is None else (at - start_s) // spec.step_s for at in firsts]


@cache
def _salt(name: str) -> np.uint64:
    return np.uint64(int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little"))


def fitted_since(
    store: Store, model_id: int, entity_ids: Sequence[int]
) -> tuple[FittedSince | None, ...]:
    """Channels of entities that a model has no scale for; None where it has one."""
    found: dict[int, list[tuple[str, int | None]]] = {}
    of = {"model_id": model_id, "entity_ids": list(entity_ids)}
    for row in store.rows(SELECT_FITTED_SINCE, **of):
        first_s = None if row.first_hour_at is None else unix_s(row.first_hour_at)
        found.setdefault(row.entity_id, []).append((row.name, first_s))
    return tuple(FittedSince(tuple(found[key])) if key in found else None for key in entity_ids)


def with_fitted(
    checksums: NDArray[np.int64], fitted: Sequence[FittedSince | None], from_s: int
) -> NDArray[np.int64]:
    """Checksums (n_entities, n_hours) that also tell which channels an entity did not have."""
    hours_s = from_s + 3600 * np.arange(checksums.shape[1], dtype=np.int64)
    seen = checksums.copy()
    for position, since in enumerate(fitted):
        if since is not None:
            bits = seen[position].view(np.uint64)
            bits += np.where(seen[position] != 0, since.salts(hours_s), np.uint64(0))
    return seen
