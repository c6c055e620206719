"""Blocks of readings: written as they came, read as the pipeline sees them.

What a changed sensor sends is converted while it is read, or unknown until its conversion is known;
the checksums tell which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.digest import block_checksums
from tsad_tasks.base.interval import unix_s
from tsad_tasks.model.sensor_change import Piece, convert, pieces, salted, salts
from tsad_tasks.storage import copy_binary as binary
from tsad_tasks.storage.blocks import ensure_partitions, n_hours, read_hours
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


def _in_columns(values: NDArray[np.float64], stored: Layout, layout: Layout) -> NDArray[np.float64]:
    """Blocks (n, steps, channels) of one layout in another's columns, NaN where it lacks one."""
    if stored.channel_ids == layout.channel_ids:
        return values
    wide = np.full((*values.shape[:2], len(layout.channel_ids)), np.nan)
    for column, channel_id in enumerate(layout.channel_ids):
        if channel_id in stored.channel_ids:
            wide[:, :, column] = values[:, :, stored.channel_ids.index(channel_id)]
    return wide


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
) -> WrittenBlocks:
    """A block per (entity, hour); values (n, steps, channels). Needs the locks of the hours."""
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
        binary.number(block_checksums(values, layout.channel_ids), "i8"),
        binary.array(values, "f8"),
    ]
    store.copy_in(INCOMING_READING, columns)
    return WrittenBlocks(store.execute(UPSERT_READING_BLOCKS), earlier)
