"""Where rows are events: in which steps no row is none, and in which nothing is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.interval import HOUR, hour_floor, unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest import queries
from tsad_tasks.ingest.accepted_rows import AcceptedRows
from tsad_tasks.ingest.entity_tables import Heard, LostTable, lost_tables
from tsad_tasks.ingest.queries import UnreadRetirement
from tsad_tasks.ingest.sources.base import OpenPart
from tsad_tasks.storage.lives import (
    LifeEnd,
    counted_entities,
    counting_steps,
    life_ends,
    with_heard,
)
from tsad_tasks.storage.store import Store

Mask = NDArray[np.bool_]
# Hours up to, and with, this one.
Span = tuple[datetime, datetime]

_LATEST_AT = datetime(2100, 1, 1, tzinfo=UTC)


class EventCells(NamedTuple):
    """Cells (n_entities, n_steps, n_channels) in which no row is no event, and those in which that
    is not so any more, since the entity is retired.

    `lost` are entities and hours, by position, that would count if a table were there, and its
    name with the last day on which it was.
    """

    is_none: Mask
    is_gone: Mask
    lost: Sequence[tuple[int, int, LostTable]]


@dataclass(frozen=True)
class EventHours:
    """Consecutive hours of a dataset with channels of events, as they were read just now.

    Attributes
    ----------
    read_until : how far the last of them was read.
    unread : channels of which some table could not be read.
    ends : ends of the entities' lives as they were known.
    heard_in : by source, in which of its tables rows of entities were read.
    """

    store: Store
    config: DatasetConfig
    parts: Sequence[OpenPart]
    hours: Sequence[datetime]
    read_until: datetime
    now_at: datetime
    unread: frozenset[str]
    entity_ids: Sequence[int]
    read: AcceptedRows
    ends: Sequence[LifeEnd]
    heard_in: Mapping[str, Heard]

    def cells(self) -> EventCells:
        """In which cells no row is no event.

        So it is in steps that were read to their end, of tables that could be read and that reach
        back so far, from the entity's first row on and until it is retired; not where a table that
        may have had its rows is gone.
        """
        config, read = self.config, self.read
        start_s, n_steps = unix_s(self.hours[0]), read.gridded.present.shape[1]
        ends = with_heard(self.ends, self._heard())
        of_grid = self.entity_ids, start_s, n_steps, config.step_s, self._first_rows_s()
        began, gone = counting_steps([*ends], *of_grid)
        n_seen = (unix_s(self.read_until) - start_s) // config.step_s
        steps = np.arange(n_steps)
        counted = began & ~gone & (steps < n_seen) & (steps >= self._first_step())
        is_none, is_gone = (np.zeros(read.gridded.present.shape, bool) for _ in range(2))
        for name in config.event_channels:
            at = config.channel_names.index(name)
            is_gone[:, :, at] = gone
            if read.is_whole[at] and name not in self.unread:
                is_none[:, :, at] = counted & self._has_table(name)[:, None]
        return EventCells(is_none, is_gone, [*self._lost(counted, is_none)])

    def _lost(self, counted: Mask, is_none: Mask) -> Iterator[tuple[int, int, LostTable]]:
        """Takes back what is not known since tables are gone, and tells it.

        Of `counted` (n_entities, n_steps) each entity and hour that had counted.
        """
        per_hour, names = 3600 // self.config.step_s, self.config.channel_names
        for part in self.parts:
            of = self.entity_ids, self.read.entity_names, self.heard_in.get(part.name, {})
            own = [names.index(name) for name in part.config.event_channels]
            for position, table in lost_tables(self.store, part, *of):
                for k, hour in enumerate(self.hours):
                    steps = slice(k * per_hour, (k + 1) * per_hour)
                    is_its = table.first_at <= hour < table.end_at
                    if is_its and counted[position, steps].any():
                        is_none[position, steps, own] = False
                        yield position, k, table

    def counted_otherwise(self) -> list[Span]:
        """Hours after the first of two, up to and with the other, in which entities count otherwise
        than when these were read: by what was read now they were there earlier, or again.
        """
        heard = self._heard()
        known = life_ends(self.store, [*heard])
        spans = list[Span]()
        for was, now in zip(known, with_heard(known, heard), strict=True):
            for before, after in ((was.first_at, now.first_at), (was.back_at, now.back_at)):
                if after is not None and (before is None or after < before):
                    spans.append((after, before or _LATEST_AT))
        return spans

    def counted_meanwhile(self, dataset_id: int) -> list[datetime]:
        """These hours, where others have read at the same time what decides which entities count in
        them, and how.
        """
        span = self.hours[0], self.hours[-1] + HOUR
        counted = counted_entities(self.store, dataset_id, *span).values()
        is_same = {*counted} <= {*self.entity_ids}
        is_same &= {*life_ends(self.store, self.entity_ids)} == {*self.ends}
        return [] if is_same else [*self.hours]

    def _heard(self) -> dict[int, list[datetime]]:
        """Hours in which each entity is heard of, of those that are."""
        found = dict[int, list[datetime]]()
        for position, hour in np.argwhere(self.read.is_heard).tolist():
            found.setdefault(self.entity_ids[position], []).append(self.hours[hour])
        return found

    def _first_rows_s(self) -> dict[tuple[int, datetime], int]:
        """When the first step with a row of its own begins, of entities and hours that have one."""
        config, n_values = self.config, self.read.gridded.n_values
        shape = len(self.entity_ids), len(self.hours), 3600 // config.step_s
        has_row: Mask = np.any(n_values, axis=2).reshape(shape)
        first = has_row.argmax(axis=2) * config.step_s
        return {
            (self.entity_ids[i], self.hours[k]): unix_s(self.hours[k]) + int(first[i, k])
            for i, k in np.argwhere(np.any(has_row, axis=2)).tolist()
        }

    def _has_table(self, channel: str) -> Mask:
        """Of which entities (n_entities,) a table with the channel was read.

        A table that is of one entity alone may have gone; of others any entity may be.
        """
        found = set[str]()
        for part in self.parts:
            if channel not in part.config.channel_names:
                continue
            position = part.config.channel_names.index(channel)
            for table in part.source.tables:
                if table.entity is None:
                    return np.ones(len(self.entity_ids), bool)
                if position in table.channels or part.config.source.shape == "long":
                    found.add(table.entity)
        return np.array([name in found for name in self.read.entity_names], bool)

    def _first_step(self) -> int:
        """The first step from which on the sources of events have what there was.

        Only of hours in which nothing can come late any more a source may have lost rows.
        """
        start_at = self.hours[0]
        late_within = timedelta(seconds=self.config.late_rows_within_s)
        if start_at + HOUR + late_within >= self.now_at:
            return 0
        first, n_steps = 0, self.read.gridded.present.shape[1]
        for part in self.parts:
            if not part.config.event_channels:
                continue
            with part.asked() as source:
                oldest = [source.time_bounds(table, self.now_at)[0] for table in source.tables]
            since = [unix_s(at) for at in oldest if at is not None]
            of_it = (min(since) - unix_s(start_at)) // self.config.step_s if since else n_steps
            first = max(first, of_it)
        return first


def unread_retirements(
    store: Store, config: DatasetConfig, dataset_id: int
) -> list[UnreadRetirement]:
    """Retirements that hours with counts of events were not read by yet; none where there are no
    such channels.
    """
    if not config.event_channels:
        return []
    with store.transaction():
        return store.rows(queries.SELECT_UNREAD_RETIREMENTS, dataset_id=dataset_id)


def hours_of_retirements(
    store: Store, dataset_id: int, unread: Sequence[UnreadRetirement]
) -> list[datetime]:
    """Hours that were read and that these retirements are about."""
    if not unread:
        return []
    spans = [(hour_floor(one.from_at), one.back_at or _LATEST_AT) for one in unread]
    ends = {"start_at": min(spans)[0], "end_at": _LATEST_AT}
    with store.transaction():
        rows = store.rows(queries.SELECT_INGEST_HOURS, dataset_id=dataset_id, **ends)
    return [row.hour_at for row in rows if any(a <= row.hour_at <= b for a, b in spans)]


def note_retirements_read(store: Store, unread: Sequence[UnreadRetirement]) -> None:
    """Notes that hours were read as these say."""
    if unread:
        ids, holds = [one.retirement_id for one in unread], [one.holds for one in unread]
        with store.transaction():
            store.execute(queries.UPDATE_RETIREMENTS_READ, retirement_id=ids, holds=holds)
