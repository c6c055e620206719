"""Blocks of readings: written as they came, read as the pipeline sees them.

What a changed sensor sends is converted while it is read, or unknown until its conversion is known;
the checksums tell which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.digest import block_checksums
from tsad_tasks.base.interval import HOUR, unix_s
from tsad_tasks.model.hour_summary import SUMMARY, no_summaries, summaries
from tsad_tasks.model.sensor_change import Piece, convert, pieces, salted, salts
from tsad_tasks.storage import copy_binary as binary
from tsad_tasks.storage.blocks import KEY, ensure_partitions, n_hours, read_hours
from tsad_tasks.storage.datasets import Layout, lock_dataset, select_layouts
from tsad_tasks.storage.fitted import EarlierValue, note_first_values
from tsad_tasks.storage.store import Incoming, Query, Statement, Store


@dataclass(frozen=True)
class Blocks:
    """Readings of some entities on one grid.

    Attributes
    ----------
    values : float64 (n_entities, n_hours × steps, n_channels), NaN where nothing was read.
    checksums : int64 (n_entities, n_hours), 0 where there is no block.
    """

    values: NDArray[np.float64]
    checksums: NDArray[np.int64]


@dataclass(frozen=True)
class Counts:
    """How many readings of the source each step was made from.

    Attributes
    ----------
    counts : uint8 (n_entities, n_hours × steps, n_channels), 255 for more; 0 where nothing was
        read, though a former value may hold there.
    known : bool (n_entities, n_hours); what was read before they were kept is not known.
    """

    counts: NDArray[np.uint8]
    known: NDArray[np.bool_]


@dataclass(frozen=True)
class SensorChange:
    """From `from_at` on a sensor is another one; scale and offset are None until they are known."""

    epoch_id: int
    entity_id: int
    channel_id: int
    from_at: datetime
    usable_at: datetime | None
    scale: float | None
    offset: float | None
    declared: bool
    needed_hours: float | None
    learned_from: int | None


SELECT_CHANNEL_EPOCHS = Query("storage/select_channel_epochs", SensorChange)
SELECT_LAYOUT_DATASET = Query("storage/select_layout_dataset", int)
READ_READING_BLOCKS = Statement("storage/read_reading_blocks")
READ_READING_CHECKSUMS = Statement("storage/read_reading_checksums")
INCOMING_READING = Incoming("storage/create_incoming_reading", "incoming_reading")
UPSERT_READING_BLOCKS = Statement("storage/upsert_reading_blocks")
DELETE_EMPTY_BLOCKS = Statement("storage/delete_empty_blocks")
READ_READING_COUNTS = Statement("storage/read_reading_counts")
READ_SUMMARIES = Statement("storage/read_summaries")
UPDATE_SUMMARIES = Statement("storage/update_summaries")
INCOMING_SUMMARY = Incoming("storage/create_incoming_summary", "incoming_summary")


def sensor_changes(
    store: Store, entity_ids: Sequence[int], before_at: datetime
) -> list[SensorChange]:
    """Changes of sensors that hold and began before a moment, oldest first."""
    return store.rows(SELECT_CHANNEL_EPOCHS, entity_ids=list(entity_ids), before_at=before_at)


def read_blocks(
    store: Store,
    layout: Layout,
    entity_ids: Sequence[int],
    start_at: datetime,
    end_at: datetime,
    *,
    changes: Sequence[SensorChange] | None = None,
) -> Blocks:
    """Readings of [start_at, end_at) (whole hours) in the columns of `layout`, sensors converted.

    Parameters
    ----------
    layout : blocks of older layouts are included, NaN where they had no such channel.
    changes : as if there were only these changes of sensors; None takes those that are stored.
    """
    blocks = read_raw_blocks(store, layout, entity_ids, start_at, end_at)
    if changes is None:
        changes = sensor_changes(store, entity_ids, end_at)
    for position, parts in _pieces(changes, entity_ids):
        for column, channel_id in enumerate(layout.channel_ids):
            own = [part for part in parts if part.channel_id == channel_id]
            convert(blocks.values[position, :, column], own, unix_s(start_at), layout.step_s)
    return Blocks(blocks.values, _salted(blocks.checksums, entity_ids, start_at, changes))


def read_raw_blocks(
    store: Store, layout: Layout, entity_ids: Sequence[int], start_at: datetime, end_at: datetime
) -> Blocks:
    """Readings of [start_at, end_at) as they came."""
    grid, span = (len(entity_ids), n_hours(start_at, end_at)), (start_at, end_at)
    n_channels = len(layout.channel_ids)
    values = np.full((*grid, layout.n_steps, n_channels), np.nan)
    checksums = np.zeros(grid, np.int64)
    dataset_id = store.one(SELECT_LAYOUT_DATASET, layout_id=layout.layout_id)
    for stored in select_layouts(store, dataset_id):
        if stored.step_s != layout.step_s:
            continue
        shape = (stored.n_steps, len(stored.channel_ids))
        columns = [binary.Field("checksum", "i8"), binary.Field("values", "f8", shape)]
        key = stored.layout_id
        at, rows = read_hours(store, READ_READING_BLOCKS, columns, entity_ids, span, layout_id=key)
        values[at] = _in_columns(rows["values"], stored, layout)
        checksums[at] = rows["checksum"]
    return Blocks(values.reshape(len(entity_ids), -1, n_channels), checksums)


def _in_columns(
    values: NDArray[Any], stored: Layout, layout: Layout, missing: float = np.nan
) -> NDArray[Any]:
    """Blocks (n, steps, channels) of one layout in another's columns; what it lacks is missing."""
    if stored.channel_ids == layout.channel_ids:
        return values
    wide = np.full((*values.shape[:2], len(layout.channel_ids)), missing, values.dtype)
    for column, channel_id in enumerate(layout.channel_ids):
        if channel_id in stored.channel_ids:
            wide[:, :, column] = values[:, :, stored.channel_ids.index(channel_id)]
    return wide


def read_counts(
    store: Store, layout: Layout, entity_ids: Sequence[int], start_at: datetime, end_at: datetime
) -> Counts:
    """How many readings of the source each step of [start_at, end_at) was made from."""
    grid, span = (len(entity_ids), n_hours(start_at, end_at)), (start_at, end_at)
    counts = np.zeros((*grid, layout.n_steps, len(layout.channel_ids)), np.uint8)
    known = np.zeros(grid, bool)
    dataset_id = store.one(SELECT_LAYOUT_DATASET, layout_id=layout.layout_id)
    for stored in select_layouts(store, dataset_id):
        if stored.step_s != layout.step_s:
            continue
        shape = (stored.n_steps, len(stored.channel_ids))
        columns = [binary.Field("n_values", f"V{shape[0] * shape[1]}")]
        key = stored.layout_id
        at, rows = read_hours(store, READ_READING_COUNTS, columns, entity_ids, span, layout_id=key)
        found = np.frombuffer(rows["n_values"].tobytes(), np.uint8).reshape(-1, *shape)
        counts[at], known[at] = _in_columns(found, stored, layout, 0), True
    return Counts(counts.reshape(len(entity_ids), -1, counts.shape[3]), known)


def read_summaries(
    store: Store, layout: Layout, entity_ids: Sequence[int], hours: Sequence[datetime]
) -> NDArray[np.void]:
    """Summaries (n_entities, n_hours, n_channels) of ascending hours; n is 0 without a block.

    Of blocks from before summaries were kept they are made now, and kept.
    """
    hours_s = np.array([unix_s(hour) for hour in hours], np.int64)
    found = no_summaries((len(entity_ids), len(hours), len(layout.channel_ids)))
    dataset_id = store.one(SELECT_LAYOUT_DATASET, layout_id=layout.layout_id)
    order = np.argsort(np.asarray(entity_ids))
    for stored in select_layouts(store, dataset_id):
        if stored.step_s != layout.step_s:
            continue
        n_bytes = len(stored.channel_ids) * SUMMARY.itemsize
        columns = [*KEY, binary.Field("known", "u1"), binary.Field("summary", f"V{n_bytes}")]
        of: dict[str, object] = {"entity_ids": list(entity_ids), "hours": list(hours)}
        of |= {"layout_id": stored.layout_id, "n_bytes": n_bytes}
        rows = store.copy_out(READ_SUMMARIES, columns, **of)
        entity = order[np.searchsorted(np.asarray(entity_ids), rows["entity_id"], sorter=order)]
        hour = np.searchsorted(hours_s, binary.unix_s(rows["hour_at"]))
        own = np.frombuffer(rows["summary"].tobytes(), SUMMARY)
        own = own.reshape(len(entity), len(stored.channel_ids))
        is_known = rows["known"] == 1
        if not is_known.all():
            own = own.copy()
            lacking = np.flatnonzero(~is_known)
            own[lacking] = _made_summaries(store, stored, entity_ids, hours, entity, hour, lacking)
        for column, channel_id in enumerate(layout.channel_ids):
            if channel_id in stored.channel_ids:
                found[entity, hour, column] = own[:, stored.channel_ids.index(channel_id)]
    return found


def _made_summaries(
    store: Store,
    layout: Layout,
    entity_ids: Sequence[int],
    hours: Sequence[datetime],
    entity: NDArray[np.intp],
    hour: NDArray[np.intp],
    lacking: NDArray[np.intp],
) -> NDArray[np.void]:
    """Summaries (n_lacking, n_channels) of blocks of one layout that have none."""
    found = no_summaries((len(lacking), len(layout.channel_ids)))
    for number in np.unique(hour[lacking]).tolist():
        mine = np.flatnonzero(hour[lacking] == number)
        whose = entity[lacking[mine]]
        start_at = hours[number]
        ids = [entity_ids[i] for i in whose.tolist()]
        values = read_raw_blocks(store, layout, ids, start_at, start_at + HOUR).values
        found[mine] = summaries(values)
        columns = [
            binary.number(ids, "i4"),
            binary.timestamptz(np.full(len(ids), unix_s(start_at))),
            binary.octets(found[mine]),
        ]
        store.copy_in(INCOMING_SUMMARY, columns)
        # Blocks that somebody writes at this moment get theirs from that.
        store.execute(UPDATE_SUMMARIES, layout_id=layout.layout_id)
    return found


def read_checksums(
    store: Store,
    entity_ids: Sequence[int],
    start_at: datetime,
    end_at: datetime,
    *,
    changes: Sequence[SensorChange] | None = None,
) -> NDArray[np.int64]:
    """Checksums (n_entities, n_hours) of `read_blocks`; 0: no block."""
    checksums = np.zeros((len(entity_ids), n_hours(start_at, end_at)), np.int64)
    columns, span = [binary.Field("checksum", "i8")], (start_at, end_at)
    at, rows = read_hours(store, READ_READING_CHECKSUMS, columns, entity_ids, span)
    checksums[at] = rows["checksum"]
    if changes is None:
        changes = sensor_changes(store, entity_ids, end_at)
    return _salted(checksums, entity_ids, start_at, changes)


def _pieces(
    changes: Sequence[SensorChange], entity_ids: Sequence[int]
) -> list[tuple[int, list[Piece]]]:
    """Of each entity with a changed sensor: its position, and how its values are seen."""
    began: dict[int, list[tuple[int, int, int | None, float | None, float | None]]] = {}
    for one in changes:
        usable_s = unix_s(one.usable_at) if one.usable_at else None
        change = (one.channel_id, unix_s(one.from_at), usable_s, one.scale, one.offset)
        began.setdefault(one.entity_id, []).append(change)
    return [(i, pieces(began[key])) for i, key in enumerate(entity_ids) if key in began]


def _salted(
    checksums: NDArray[np.int64],
    entity_ids: Sequence[int],
    start_at: datetime,
    changes: Sequence[SensorChange],
) -> NDArray[np.int64]:
    hours_s = unix_s(start_at) + 3600 * np.arange(checksums.shape[1], dtype=np.int64)
    for position, parts in _pieces(changes, entity_ids):
        checksums[position] = salted(checksums[position], salts(parts, hours_s))
    return checksums


class WrittenBlocks(NamedTuple):
    """How many rows changed, and the channels that are now known to be fitted since earlier."""

    n_changed: int
    earlier: list[EarlierValue]


def write_blocks(
    store: Store,
    layout: Layout,
    entity_ids: Sequence[int],
    hours: Sequence[datetime],
    values: NDArray[np.float64],
    n_values: NDArray[np.uint8] | None = None,
) -> WrittenBlocks:
    """A block per (entity, hour); values (n, steps, channels). Needs the locks of the hours.

    `n_values`, of the same shape, says how many readings of the source made each; None: not known.
    """
    if not len(entity_ids):
        return WrittenBlocks(0, [])
    hours_s = np.array([unix_s(hour) for hour in hours], np.int64)
    ensure_partitions(store, "reading_block", hours_s)
    # What is said of an hour depends on the first values of all: from here on one at a time.
    dataset_id = store.one(SELECT_LAYOUT_DATASET, layout_id=layout.layout_id)
    lock_dataset(store, dataset_id, "fitted")
    earlier = note_first_values(store, layout, entity_ids, hours_s, values)
    columns = [
        binary.number(entity_ids, "i4"),
        binary.timestamptz(hours_s),
        binary.number(np.full(len(entity_ids), layout.layout_id), "i4"),
        binary.number(block_checksums(values, layout.channel_ids, n_values), "i8"),
        binary.array(values, "f8"),
        binary.octets(summaries(values, n_values)),
        # No bytes: not known.
        binary.octets(np.zeros((len(values), 0), np.uint8) if n_values is None else n_values),
    ]
    store.copy_in(INCOMING_READING, columns)
    return WrittenBlocks(store.execute(UPSERT_READING_BLOCKS), earlier)


def delete_blocks(store: Store, entity_ids: Sequence[int], hours: Sequence[datetime]) -> int:
    """Removes blocks (element by element) that have nothing in them any more; how many there were.
    Needs the locks of the hours.
    """
    if not len(entity_ids):
        return 0
    return store.execute(DELETE_EMPTY_BLOCKS, entity_id=list(entity_ids), hour_at=list(hours))
