"""Rows of a source on a regular grid: one reading per step; duplicates decided; all counted.

The order of the rows never matters, to the bit: ties are decided by values, and sums run in the
order of time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int64 = NDArray[np.int64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]
Aggregate = Literal["last", "mean", "min", "max", "count"]

HOUR_US = 3_600_000_000


@dataclass(frozen=True)
class Grid:
    """Steps of some hours for some entities, anchored to 1970-01-01 UTC.

    `start_us` and `end_us` are whole hours in microseconds since 1970; `step_s` divides one hour.
    """

    start_us: int
    end_us: int
    step_s: int
    n_entities: int
    n_channels: int

    @property
    def step_us(self) -> int:
        return self.step_s * 1_000_000

    @property
    def n_steps(self) -> int:
        return (self.end_us - self.start_us) // self.step_us

    @property
    def n_hours(self) -> int:
        return (self.end_us - self.start_us) // HOUR_US


@dataclass(frozen=True)
class Rows:
    """Rows as a source has them, in any order, within the hours of a grid.

    Attributes
    ----------
    times_us, entity, updated_us : (n_rows,) time, position of the entity, and what decides between
        duplicates.
    values : (n_rows, n_channels) of wide rows, (n_rows,) of long ones; NaN where nothing was said.
    channel : (n_rows,) position of the channel of long rows; None for wide ones.
    table : (n_rows,) which table a wide row is from.
    offered : (n_tables, n_channels) which channels that table has at all.
    """

    times_us: Int64
    entity: Index
    updated_us: Int64
    values: Float
    channel: Index | None = None
    table: Index | None = None
    offered: Mask | None = None


@dataclass(frozen=True)
class Gridded:
    """Readings on the grid.

    Attributes
    ----------
    values : (n_entities, n_steps, n_channels), NaN where nothing was read.
    present : same shape; whether the source said anything, be it NULL.
    duplicate : (n_entities, n_hours) rows that gave way to another one of the same entity and time.
    resampled : (n_entities, n_hours) rows beyond the first of their step, made one by the channel's
        aggregate.
    off_grid : (n_entities, n_hours) rows alone in their step, moved to its beginning.
    """

    values: Float
    present: Mask
    duplicate: Int64
    resampled: Int64
    off_grid: Int64


def to_grid(rows: Rows, grid: Grid, aggregates: Sequence[Aggregate]) -> Gridded:
    """Readings on the grid, and how many rows were not taken as they came.

    Of rows of the same entity and time the one with the highest `updated_us` wins, NULLs included;
    among equals each channel takes its greatest value. A step holds what its channel's aggregate
    makes of the readings in [step, step + step_s); `count` is 0 where there are rows but no values.

    >>> grid = Grid(0, HOUR_US, 1800, n_entities=1, n_channels=1)
    >>> times_us = np.array([0, 900, 1800]) * 1_000_000
    >>> entity, updated_us = np.zeros(3, np.intp), np.zeros(3, np.int64)
    >>> rows = Rows(times_us, entity, updated_us, np.array([[1.0], [2.0], [5.0]]))
    >>> to_grid(rows, grid, ["mean"]).values.ravel().tolist()
    [1.5, 5.0]
    """
    values = np.full((grid.n_entities * grid.n_steps, grid.n_channels), np.nan)
    present = np.zeros(values.shape, bool)
    counts = np.zeros((3, grid.n_entities, grid.n_hours), np.int64)
    merge = np.maximum if rows.channel is None else np.add
    for part, channels in _parts(rows, grid) if len(rows.times_us) else ():
        chosen = [aggregates[channel] for channel in channels]
        counts = merge(counts, _put(part, grid, chosen, channels, values, present))
    shape = (grid.n_entities, grid.n_steps, grid.n_channels)
    return Gridded(values.reshape(shape), present.reshape(shape), *counts)


def _parts(rows: Rows, grid: Grid) -> Iterator[tuple[Rows, list[int]]]:
    """Channels that are said by the same rows, and those rows."""

    if rows.channel is not None:
        order = np.argsort(rows.channel, kind="stable")
        found, starts = np.unique(rows.channel[order], return_index=True)
        groups = list(zip(np.split(order, starts[1:]), found[:, None].tolist(), strict=True))
    elif rows.offered is None or rows.table is None or rows.offered.all():
        yield rows, list(range(grid.n_channels))
        return
    else:
        patterns, pattern_of = np.unique(rows.offered, axis=1, return_inverse=True)
        groups = [
            (np.flatnonzero(pattern[rows.table]), np.flatnonzero(pattern_of.ravel() == k).tolist())
            for k, pattern in enumerate(patterns.T)
        ]
    for chosen, channels in groups:
        place = chosen[:, None] if rows.channel is not None else np.ix_(chosen, channels)
        if len(chosen):
            said = rows.times_us[chosen], rows.entity[chosen], rows.updated_us[chosen]
            yield Rows(*said, rows.values[place]), channels


def _put(
    rows: Rows, grid: Grid, how: list[Aggregate], channels: list[int], values: Float, present: Mask
) -> Int64:
    """Writes `values` and `present`; rows not taken as they came, (3, entities, hours)."""
    keys, content, duplicates = _distinct(rows, grid)
    span_us = grid.end_us - grid.start_us
    cells = keys // span_us * grid.n_steps + keys % span_us // grid.step_us
    starts = _run_starts(cells)
    targets = cells[starts]
    sizes = np.diff(np.append(starts, len(cells)))
    for k, channel in enumerate(channels):
        present[targets, channel] = True
        values[targets, channel] = _aggregated(content[:, k], starts, sizes, how[k])
    alone = np.zeros(len(keys), bool)
    alone[starts[sizes == 1]] = True
    moved = keys[alone & (keys % span_us % grid.step_us != 0)]
    beyond = np.delete(keys, starts)
    n_cells = grid.n_entities * grid.n_hours
    counts = [np.bincount(at // HOUR_US, minlength=n_cells) for at in (duplicates, beyond, moved)]
    return np.stack(counts).reshape(3, grid.n_entities, grid.n_hours).astype(np.int64)


def _distinct(rows: Rows, grid: Grid) -> tuple[Int64, Float, Int64]:
    """Keys (entity and time) in order, their values, and the keys of rows that gave way."""
    span_us = grid.end_us - grid.start_us
    keys = rows.entity.astype(np.int64) * span_us + (rows.times_us - grid.start_us)
    if bool((keys[1:] > keys[:-1]).all()):
        return keys, rows.values, keys[:0]
    order = np.argsort(keys)
    keys = keys[order]
    starts = _run_starts(keys)
    if len(starts) == len(keys):
        return keys, rows.values[order], keys[:0]
    updated = rows.updated_us[order]
    newest = np.repeat(np.maximum.reduceat(updated, starts), np.diff(np.append(starts, len(order))))
    contenders = np.where((updated == newest)[:, None], rows.values[order], np.nan)
    # Adding 0 turns -0.0 into 0.0, of which the greatest would depend on the order of the rows.
    winners: Float = np.fmax.reduceat(contenders + 0.0, starts, axis=0)
    return keys[starts], winners, np.delete(keys, starts)


def _run_starts(ordered: Int64) -> Index:
    return np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))


def _aggregated(column: Float, starts: Index, sizes: Index, aggregate: Aggregate) -> Float:
    """One value for each run of `column`; NaN (or a count of 0) for runs without values."""
    if len(starts) == len(column) and aggregate != "count":
        return column
    run = np.repeat(np.arange(len(starts)), sizes)
    known = np.flatnonzero(~np.isnan(column))
    result = np.full(len(starts), 0.0 if aggregate == "count" else np.nan)
    if len(known):
        first = _run_starts(run[known])
        result[run[known][first]] = _AGGREGATES[aggregate](column[known], first)
    return result


def _n_values(values: Float, starts: Index) -> Float:
    return np.diff(np.append(starts, len(values))).astype(np.float64)


# Of values in runs that begin at `starts`, one of each run.
_AGGREGATES: dict[str, Callable[[Float, Index], Float]] = {
    "last": lambda values, starts: values[np.append(starts[1:], len(values)) - 1],
    "mean": lambda values, starts: np.add.reduceat(values, starts) / _n_values(values, starts),
    "min": np.minimum.reduceat,
    "max": np.maximum.reduceat,
    "count": _n_values,
}
