"""Lives of entities: the hours in which the source had rows of them.

Silence is derived from these, and not stored. Hours only ever join, so that lives are the same in
whatever order hours are read, with late rows and backfills.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.interval import unix_s
from tsad_tasks.storage.blocks import n_hours
from tsad_tasks.storage.datasets import EntityRow
from tsad_tasks.storage.store import Query, Store


class LifeEnd(NamedTuple):
    """An entity's first hour with rows; from when on it was retired, None: it was not; and the hour
    in which it spoke again, None: it has not.
    """

    entity_id: int
    first_at: datetime
    retired_at: datetime | None
    back_at: datetime | None


UPSERT_LIVES = Query("storage/upsert_lives", int)
SELECT_LIVING = Query("storage/select_living", EntityRow)
SELECT_LIFE_ENDS = Query("storage/select_life_ends", LifeEnd)
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)


def note_lives(
    store: Store,
    entity_ids: Sequence[int],
    hours: Sequence[datetime],
    heard: NDArray[np.bool_],
) -> list[int]:
    """Adds hours to lives; the entities whose lives grew. `heard` (n_entities, n_hours) says in
    which of `hours` the source had rows of each entity.
    """
    entity, hour = np.nonzero(heard)
    return store.rows(
        UPSERT_LIVES,
        entity_id=[entity_ids[i] for i in entity.tolist()],
        hour_at=[hours[i] for i in hour.tolist()],
    )


def living_entities(
    store: Store, dataset_id: int, start_at: datetime, end_at: datetime = FOR_EVER
) -> dict[str, int]:
    """Ids, by name, of entities that the source had rows of in some hour of [start_at, end_at)."""
    asked = {"dataset_id": dataset_id, "start_at": start_at, "end_at": end_at}
    return dict(store.rows(SELECT_LIVING, **asked))


def counted_entities(
    store: Store, dataset_id: int, start_at: datetime, end_at: datetime
) -> dict[str, int]:
    """Ids, by name, of entities of which some whole hour of [start_at, end_at) counts; see
    `counted_hours`.
    """
    known = living_entities(store, dataset_id, _EVER, end_at)
    counted = counted_hours(store, list(known.values()), start_at, end_at)
    names = [*known]
    return {names[at]: known[names[at]] for at in np.flatnonzero(counted.any(axis=1)).tolist()}


def counted_hours(
    store: Store, entity_ids: Sequence[int], start_at: datetime, end_at: datetime
) -> NDArray[np.bool_]:
    """bool (n_entities, n_hours) of the whole hours of [start_at, end_at): from an entity's first
    row on, and not while a person or the inventory says that it is retired.

    In these an hour without rows of events is one without events. That an entity lived short is no
    word on it: where rows are events, silence is a value.
    """
    counted = np.zeros((len(entity_ids), n_hours(start_at, end_at)), bool)
    hours_s = unix_s(start_at) + 3600 * np.arange(counted.shape[1])
    place = {entity_id: at for at, entity_id in enumerate(entity_ids)}
    ends = store.rows(SELECT_LIFE_ENDS, entity_ids=list(entity_ids))
    for entity_id, first_at, _, _ in ends:
        counted[place[entity_id]] = hours_s >= unix_s(first_at)
    for entity_id, _, retired_at, back_at in ends:
        if retired_at is not None:
            back_s = np.inf if back_at is None else unix_s(back_at)
            gone = (hours_s + 3600 > unix_s(retired_at)) & (hours_s < back_s)
            counted[place[entity_id]] &= ~gone
    return counted
