"""Lives of entities: the hours in which the source had rows of them.

Silence is derived from these, and not stored. Hours only ever join, so that lives are the same in
whatever order hours are read, with late rows and backfills.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.interval import hour_ceil, unix_s
from tsad_tasks.storage.blocks import n_hours
from tsad_tasks.storage.datasets import EntityRow
from tsad_tasks.storage.store import Query, Statement, Store


class LifeEnd(NamedTuple):
    """An entity's first hour with rows, None: it had none; from when on it was retired, None: it
    was not; and the hour in which it spoke again, None: it has not.
    """

    entity_id: int
    first_at: datetime | None
    retired_at: datetime | None
    back_at: datetime | None


UPSERT_LIVES = Query("storage/upsert_lives", int)
UPSERT_SOURCE_LIVES = Statement("storage/upsert_source_lives")
SELECT_LIVING = Query("storage/select_living", EntityRow)
SELECT_STORED_ENTITIES = Query("storage/select_stored_entities", EntityRow)
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


def note_source_lives(
    store: Store,
    source: str,
    entity_ids: Sequence[int],
    hours: Sequence[datetime],
    heard: NDArray[np.bool_],
) -> None:
    """Adds hours to lives in one of several sources. `heard` (n_entities, n_hours) says in which of
    `hours` it had rows of each entity.
    """
    entity, hour = np.nonzero(heard)
    if len(entity):
        store.execute(
            UPSERT_SOURCE_LIVES,
            source=source,
            entity_id=[entity_ids[i] for i in entity.tolist()],
            hour_at=[hours[i] for i in hour.tolist()],
        )


def living_entities(
    store: Store, dataset_id: int, start_at: datetime, end_at: datetime = FOR_EVER
) -> dict[str, int]:
    """Ids, by name, of entities that the source had rows of in some hour of [start_at, end_at)."""
    asked = {"dataset_id": dataset_id, "start_at": start_at, "end_at": end_at}
    return dict(store.rows(SELECT_LIVING, **asked))


def stored_entities(
    store: Store, dataset_id: int, start_at: datetime, end_at: datetime
) -> dict[str, int]:
    """Ids, by name, of entities with a block in some hour of [start_at, end_at): of rows without a
    value, and of what holds without rows, lives know nothing.
    """
    asked = {"dataset_id": dataset_id, "start_at": start_at, "end_at": end_at}
    return dict(store.rows(SELECT_STORED_ENTITIES, **asked))


def counted_entities(
    store: Store, dataset_id: int, start_at: datetime, end_at: datetime, *, with_gone: bool = False
) -> dict[str, int]:
    """Ids, by name, of entities of which some whole hour of [start_at, end_at) counts; see
    `counted_hours`. `with_gone` also of those that are retired in one.
    """
    known = living_entities(store, dataset_id, _EVER, end_at)
    counted, gone = _by_hour(store, list(known.values()), start_at, end_at)
    chosen = counted.any(axis=1) | (with_gone & gone.any(axis=1))
    names = [*known]
    return {names[at]: known[names[at]] for at in np.flatnonzero(chosen).tolist()}


def counted_hours(
    store: Store, entity_ids: Sequence[int], start_at: datetime, end_at: datetime
) -> NDArray[np.bool_]:
    """bool (n_entities, n_hours) of the whole hours of [start_at, end_at): from an entity's first
    row on, and not while a person or the inventory says that it is retired, all of the hour.

    In these an hour without rows of events is one without events. That an entity lived short is no
    word on it: where rows are events, silence is a value.
    """
    return _by_hour(store, entity_ids, start_at, end_at)[0]


def _by_hour(
    store: Store, entity_ids: Sequence[int], start_at: datetime, end_at: datetime
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The hours that count, and those in which an entity is retired, each (n_entities, n_hours)."""
    ends, of_hours = life_ends(store, entity_ids), (unix_s(start_at), n_hours(start_at, end_at))
    began, gone = counting_steps(ends, entity_ids, *of_hours, 3600)
    # The hour in which it was retired counts up to then.
    later = [one._replace(retired_at=one.retired_at and hour_ceil(one.retired_at)) for one in ends]
    return began & ~counting_steps(later, entity_ids, *of_hours, 3600)[1], gone


def life_ends(store: Store, entity_ids: Sequence[int]) -> list[LifeEnd]:
    """Ends of lives, one row for each retirement of an entity, or one without."""
    return store.rows(SELECT_LIFE_ENDS, entity_ids=list(entity_ids))


def with_heard(
    ends: Sequence[LifeEnd], heard: Mapping[int, Sequence[datetime]]
) -> Iterator[LifeEnd]:
    """Ends of lives once entities are heard of in further hours, of each in order of time."""
    for end in ends:
        hours = heard.get(end.entity_id, ())
        after = [at for at in hours if end.retired_at is not None and at >= end.retired_at]
        yield end._replace(
            first_at=min([*hours[:1], *filter(None, [end.first_at])], default=None),
            back_at=min([*after[:1], *filter(None, [end.back_at])], default=None),
        )


def counting_steps(
    ends: Sequence[LifeEnd],
    entity_ids: Sequence[int],
    start_s: int,
    n_steps: int,
    step_s: int,
    first_s: Mapping[tuple[int, datetime], int] | None = None,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """bool (n_entities, n_steps) each: steps from an entity's first row on, and those in which it
    is retired: that end after it was, and before it is heard of again.

    `first_s` says of entities and hours when their first row is; otherwise it is at their hour's
    beginning.
    """
    shape, place = (len(entity_ids), n_steps), {key: at for at, key in enumerate(entity_ids)}
    began, gone, at_s = (
        np.zeros(shape, bool),
        np.zeros(shape, bool),
        start_s + step_s * np.arange(n_steps),
    )

    def begins_s(key: int, hour_at: datetime) -> int:
        return (first_s or {}).get((key, hour_at), unix_s(hour_at))

    for key, first_at, retired_at, back_at in ends:
        if first_at is not None:
            began[place[key]] = at_s >= begins_s(key, first_at)
        if retired_at is not None:
            back_s = np.inf if back_at is None else begins_s(key, back_at)
            gone[place[key]] |= (at_s + step_s > unix_s(retired_at)) & (at_s < back_s)
    return began, gone
