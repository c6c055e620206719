"""In which of several tables of a source the rows of an entity come.

Of tables that a pattern names nobody says which there should be. Where rows are events, a table
that is gone is no word that there were none: from the first row of an entity in it on the entity is
unknown, until rows of it come in another one. So an old table of a rotation may go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple

import numpy as np

from tsad_tasks.base.interval import from_unix_s
from tsad_tasks.ingest import queries
from tsad_tasks.ingest.sources.base import HOUR_US, OpenPart, SourceRows
from tsad_tasks.storage.store import Store

_FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)


class Spoken(NamedTuple):
    """The first hour and the last day of which rows of an entity are in a table."""

    first_at: datetime
    last_day: date

    def __or__(self, other: Spoken) -> Spoken:
        """Of both together."""
        return Spoken(min(self.first_at, other.first_at), max(self.last_day, other.last_day))


class LostTable(NamedTuple):
    """A table that is gone, and the hours [first_at, end_at) in which an entity's rows may have
    been in it.
    """

    name: str
    first_at: datetime
    end_at: datetime
    last_day: date


# By the name of an entity and that of a table.
Heard = Mapping[tuple[str, str], Spoken]


def names_its_tables(part: OpenPart) -> bool:
    """Whether a pattern names tables of a source with events, of which each may be of several
    entities.
    """
    patterns = any("*" in name for name in part.config.source.table_names)
    is_shared = any(table.entity is None for table in part.source.tables)
    return bool(part.config.event_channels) and patterns and is_shared


def tables_heard(rows: SourceRows, start_us: int) -> Heard:
    """In which tables there are rows of each entity from a time on."""
    inside = (rows.entity >= 0) & (rows.times_us >= start_us)
    hours, n_tables = rows.times_us[inside] // HOUR_US, len(rows.tables)
    if not len(hours):
        return {}
    key = rows.entity[inside].astype(np.int64) * n_tables + rows.table[inside]
    keys, which = np.unique(key, return_inverse=True)
    first, last = np.full(len(keys), hours.max()), np.full(len(keys), hours.min())
    np.minimum.at(first, which.ravel(), hours)
    np.maximum.at(last, which.ravel(), hours)
    ends = zip(keys.tolist(), (first * 3600).tolist(), (last * 3600).tolist(), strict=True)
    return {
        (rows.entity_names[one // n_tables], rows.tables[one % n_tables].title): Spoken(
            from_unix_s(first_s), from_unix_s(last_s).date()
        )
        for one, first_s, last_s in ends
    }


def lost_tables(
    store: Store,
    part: OpenPart,
    entity_ids: Sequence[int],
    entity_names: Sequence[str],
    heard: Heard,
) -> list[tuple[int, LostTable]]:
    """Entities by position of which rows were in a table that is not there any more, and that."""
    if not names_its_tables(part):
        return []
    place = {key: at for at, key in enumerate(entity_ids)}
    found = dict[int, dict[str, Spoken]]()
    asked = {"entity_ids": list(entity_ids), "source": _name(part)}
    for key, table, first_at, last_day in store.rows(queries.SELECT_ENTITY_TABLES, **asked):
        found.setdefault(place[key], {})[table] = Spoken(first_at, last_day)
    position = {name: at for at, name in enumerate(entity_names)}
    for (name, table), more in heard.items():
        if name in position:
            of_entity = found.setdefault(position[name], {})
            of_entity[table] = more | of_entity.get(table, more)
    there = {table.title for table in part.source.tables}
    return [
        (at, LostTable(table, one.first_at, _followed_at(one, of_entity, there), one.last_day))
        for at, of_entity in found.items()
        for table, one in of_entity.items()
        if table not in there
    ]


def _followed_at(lost: Spoken, of_entity: Mapping[str, Spoken], there: set[str]) -> datetime:
    """When rows of the entity began to come in a table that has newer ones than a lost one."""
    begun = [
        one.first_at
        for table, one in of_entity.items()
        if table in there and one.last_day > lost.last_day
    ]
    return min(begun, default=_FOR_EVER)


def note_tables(store: Store, part: OpenPart, ids: Mapping[str, int], heard: Heard) -> None:
    """Keeps in which tables rows of entities came."""
    rows = [(ids[name], table, one) for (name, table), one in heard.items() if name in ids]
    if rows:
        store.execute(
            queries.UPSERT_ENTITY_TABLES,
            source=_name(part),
            entity_id=[entity_id for entity_id, _, _ in rows],
            table_name=[table for _, table, _ in rows],
            first_at=[one.first_at for *_, one in rows],
            last_day=[one.last_day for *_, one in rows],
        )


def _name(part: OpenPart) -> str:
    return "" if part.is_alone else part.name
