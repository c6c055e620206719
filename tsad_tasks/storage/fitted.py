"""Which channels an entity has, and since when: since the hour of the first value ever read.

It is noted with the blocks, and outlives them. What was never read of an entity is not fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.interval import from_unix_s, unix_s
from tsad_tasks.storage.datasets import Layout
from tsad_tasks.storage.store import Query, Store, columns

NEVER_S = np.iinfo(np.int64).max


class FirstValue(NamedTuple):
    """The hour in which an entity's channel has its first value."""

    entity_id: int
    channel_id: int
    hour_at: datetime


class EarlierValue(NamedTuple):
    """A first value that is earlier than the one known so far; None: none was."""

    entity_id: int
    channel_id: int
    hour_at: datetime
    known_at: datetime | None


SELECT_FIRST_VALUES = Query("storage/select_first_values", FirstValue)
UPSERT_FIRST_VALUES = Query("storage/upsert_first_values", EarlierValue)


def note_first_values(
    store: Store,
    layout: Layout,
    entity_ids: Sequence[int],
    hours_s: NDArray[np.int64],
    values: NDArray[np.float64],
) -> list[EarlierValue]:
    """Notes the first values of blocks (n, steps, channels), one per (entity, hour); gives those
    that are earlier than what was known. Needs the dataset's lock for purpose `fitted`.
    """
    ids, row = np.unique(np.asarray(entity_ids), return_inverse=True)
    read_s = np.where(np.isfinite(values).any(axis=1), hours_s[:, None], NEVER_S)
    first_s = np.full((len(ids), len(layout.channel_ids)), NEVER_S)
    np.minimum.at(first_s, row, read_s)
    entity, channel = np.nonzero(first_s < NEVER_S)
    channel_ids = np.array(layout.channel_ids)
    found = map(
        FirstValue,
        ids[entity].tolist(),
        channel_ids[channel].tolist(),
        map(from_unix_s, first_s[entity, channel].tolist()),
    )
    return store.rows(UPSERT_FIRST_VALUES, **columns([*found], FirstValue))


def first_values(
    store: Store, entity_ids: Sequence[int], channel_ids: Sequence[int]
) -> NDArray[np.int64]:
    """Hours of first values in Unix seconds, (n_entities, n_channels); `NEVER_S`: not fitted."""
    found = np.full((len(entity_ids), len(channel_ids)), NEVER_S)
    rows = {key: position for position, key in enumerate(entity_ids)}
    columns_of = {key: position for position, key in enumerate(channel_ids)}
    for one in store.rows(SELECT_FIRST_VALUES, entity_ids=list(entity_ids)):
        if one.channel_id in columns_of:
            found[rows[one.entity_id], columns_of[one.channel_id]] = unix_s(one.hour_at)
    return found
