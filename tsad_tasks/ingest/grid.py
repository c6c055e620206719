"""Rows of a source on a regular grid: one reading per step; duplicates decided; all counted.

The order of the rows never matters, to the bit: ties are decided by values, and sums run in the
order of time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.ingest.counter import MARKS, Meter, Totals, metered
from tsad_tasks.ingest.held import UNTIL_CHANGED, Pieces, Validity, pieces, word_spans
from tsad_tasks.model.circle import Circle, means

Float = NDArray[np.float64]
Int64 = NDArray[np.int64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]
Aggregate = Literal["last", "mean", "min", "max", "count", "events"]


@dataclass(frozen=True)
class States:
    """Of a channel of states: the codes of those that are known, each of which has a column.

    A last column is how often the state changed, and the one before it is for all other codes.
    """

    codes: tuple[float, ...]

    @property
    def n_columns(self) -> int:
        """Columns that the channel has beside its own."""
        return len(self.codes) + 2


# How readings of a step become one; on a circle it is their circular mean, of states the last one.
How: TypeAlias = Aggregate | Circle | States

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
    """Rows as a source has them, in any order, within the hours of a grid or before them.

    Those before them count only as far as what they say still holds.

    Attributes
    ----------
    times_us, entity, updated_us : (n_rows,) time, position of the entity, and what decides between
        duplicates.
    values : (n_rows, n_channels) of wide rows, (n_rows,) of long ones; NaN where nothing was said.
    channel : (n_rows,) position of the channel of long rows; None for wide ones.
    table : (n_rows,) which table a wide row is from.
    offered : (n_tables, n_channels) which channels that table has at all.
    event : (n_rows,) what stands for an event's id, 0 where a row has none; None: no row has.
    """

    times_us: Int64
    entity: Index
    updated_us: Int64
    values: Float
    channel: Index | None = None
    table: Index | None = None
    offered: Mask | None = None
    event: Int64 | None = None


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
    n_values : as `values`, from how many values each was made, at most 255; 0 where a former value
        holds.
    marks : (n_marks, n_entities, n_hours, n_channels) of counters; None: there are none.
    """

    values: Float
    present: Mask
    duplicate: Int64
    resampled: Int64
    off_grid: Int64
    n_values: NDArray[np.uint8]
    marks: Int64 | None = None


def to_grid(
    rows: Rows,
    grid: Grid,
    aggregates: Sequence[How],
    validity: Validity | None = None,
    meters: Mapping[int, Meter] | None = None,
) -> Gridded:
    """Readings on the grid, and how many rows were not taken as they came.

    Of rows of the same entity and time the one with the highest `updated_us` wins, NULLs included;
    among equals each channel takes its greatest value. A step holds what its channel's aggregate
    makes of the readings in [step, step + step_s); `count` is 0 where there are rows but no values.

    Of channels whose values stay valid it is what their aggregate makes of all that held in the
    step: a value counts in the mean for as long as it did, `last` is what holds at the step's end,
    and `count` is of rows.

    The columns of channels of `States` follow those of all channels, in the same order: the share
    of the step in each known state and in others, and the number of changes. A change is a row with
    another state than the row before it, of the same step or valid until then.

    Of `meters`, by the position of their channel, a step holds the rate of consumption; rows before
    the grid say from which total on.

    >>> grid = Grid(0, HOUR_US, 1800, n_entities=1, n_channels=1)
    >>> times_us = np.array([0, 900, 1800]) * 1_000_000
    >>> entity, updated_us = np.zeros(3, np.intp), np.zeros(3, np.int64)
    >>> rows = Rows(times_us, entity, updated_us, np.array([[1.0], [2.0], [5.0]]))
    >>> to_grid(rows, grid, ["mean"]).values.ravel().tolist()
    [1.5, 5.0]
    """
    n_more = sum(how.n_columns for how in aggregates if isinstance(how, States))
    values = np.full((grid.n_entities * grid.n_steps, grid.n_channels + n_more), np.nan)
    present = np.zeros(values.shape, bool)
    n_values = np.zeros(values.shape, np.uint8)
    counts = np.zeros((3, grid.n_entities, grid.n_hours), np.int64)
    merge, marks = np.maximum if rows.channel is None else np.add, no_marks(grid, meters)
    for part, channels in _parts(rows, grid) if len(rows.times_us) else ():
        stay = [channel for channel in channels if validity and validity.valid_us[channel]]
        if validity is not None and stay:
            _put_held(part, grid, aggregates, channels, validity, values, present)
        if meters and marks is not None:
            totals = [channel for channel in channels if channel in meters]
            for channel in totals:
                column = part.values[:, channels.index(channel)]
                _put_metered(part, column, grid, meters[channel], channel, values, present, marks)
            stay = [*stay, *totals]
        inside = part.times_us >= grid.start_us
        said = part if inside.all() else _chosen(part, inside)
        events = [channel for channel in channels if aggregates[channel] == "events"]
        stay = [*stay, *events]
        for channel in events:
            column = said.values[:, channels.index(channel)]
            again = _put_events(said, column, grid, channel, values, present, n_values)
            counts[0] = merge(counts[0], again)
        if len(events) < len(channels) and len(said.times_us):
            put = _put(said, grid, aggregates, channels, stay, values, present, n_values)
            counts = merge(counts, put)
    shape = (grid.n_entities, grid.n_steps, values.shape[1])
    duplicate, resampled, off_grid = counts
    whole = values.reshape(shape), present.reshape(shape)
    return Gridded(*whole, duplicate, resampled, off_grid, n_values.reshape(shape), marks)


def no_marks(grid: Grid, meters: Mapping[int, Meter] | None) -> Int64 | None:
    """Marks of counters of which there are none yet; None where there are no counters."""
    shape = len(MARKS), grid.n_entities, grid.n_hours, grid.n_channels
    return np.zeros(shape, np.int64) if meters else None


def first_columns(aggregates: Sequence[How]) -> list[int]:
    """Where the further columns of each channel of states begin; of others, where they would.

    >>> first_columns(["mean", States((0.0, 1.0)), States((5.0,))])
    [3, 3, 7]
    """
    sizes = [_n_columns(how) for how in aggregates]
    return [len(sizes) + sum(sizes[:at]) for at in range(len(sizes))]


def _n_columns(how: How) -> int:
    """Columns that a channel has beside its own."""
    return how.n_columns if isinstance(how, States) else 0


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
            event = None if rows.event is None else rows.event[chosen]
            yield Rows(*said, rows.values[place], event=event), channels


def _chosen(rows: Rows, which: Mask) -> Rows:
    """Some rows of one part."""
    said = rows.times_us[which], rows.entity[which], rows.updated_us[which]
    event = None if rows.event is None else rows.event[which]
    return Rows(*said, rows.values[which], event=event)


def _put(
    rows: Rows,
    grid: Grid,
    aggregates: Sequence[How],
    channels: list[int],
    stay: list[int],
    values: Float,
    present: Mask,
    n_values: NDArray[np.uint8],
) -> Int64:
    """Writes `values`, `present`, `n_values`; rows not taken as they came, (3, entities, hours).

    Of channels that `stay` valid only numbers of rows are written.
    """
    span_us = grid.end_us - grid.start_us
    keys = rows.entity.astype(np.int64) * span_us + (rows.times_us - grid.start_us)
    keys, content, duplicates = _distinct(rows, keys)
    cells = keys // span_us * grid.n_steps + keys % span_us // grid.step_us
    starts = _run_starts(cells)
    targets = cells[starts]
    sizes = np.diff(np.append(starts, len(cells)))
    firsts = first_columns(aggregates)
    for k, channel in enumerate(channels):
        column, how = content[:, k], aggregates[channel]
        n_values[targets, channel] = n_known = _n_known(column, starts)
        further = slice(firsts[channel], firsts[channel] + _n_columns(how))
        n_values[targets, further] = n_known[:, None]
        if channel in stay and how != "count":
            continue
        present[targets, channel] = True
        if isinstance(how, States):
            changes = _changes_within(column, cells, targets)
            of_shares = [_aggregated(one, starts, sizes, "mean") for one in _shares(column, how)]
            _put_states(firsts[channel], targets, of_shares, changes, values, present)
        values[targets, channel] = _aggregated(column, starts, sizes, _plain(how))
    alone = np.zeros(len(keys), bool)
    alone[starts[sizes == 1]] = len(stay) < len(channels)
    moved = keys[alone & (keys % span_us % grid.step_us != 0)]
    beyond = np.delete(keys, starts)
    n_cells = grid.n_entities * grid.n_hours
    counts = [np.bincount(at // HOUR_US, minlength=n_cells) for at in (duplicates, beyond, moved)]
    return np.stack(counts).reshape(3, grid.n_entities, grid.n_hours).astype(np.int64)


def _put_held(
    rows: Rows,
    grid: Grid,
    aggregates: Sequence[How],
    channels: list[int],
    validity: Validity,
    values: Float,
    present: Mask,
) -> None:
    """Writes `values` and `present` of the channels whose values stay valid."""
    words = entity, times_us, content = _moments(rows, grid)
    firsts = first_columns(aggregates)
    for valid_us in np.unique(validity.valid_us[channels]).tolist():
        holding, spans = word_spans(entity, times_us, valid_us, validity, grid.start_us)
        cut = pieces(spans, grid.start_us, grid.end_us, grid.step_us)
        if not len(cut.cell):
            continue
        starts = _run_starts(cut.cell)
        targets, word = cut.cell[starts], holding[cut.word]
        for k, channel in enumerate(channels):
            if validity.valid_us[channel] == valid_us:
                present[targets, channel] = True
                column, how = content[word, k], aggregates[channel]
                if isinstance(how, States):
                    changes = _changes_of_words(words, k, valid_us, grid, targets)
                    of_shares = [
                        _of_pieces(one, cut, starts, "mean") for one in _shares(column, how)
                    ]
                    _put_states(firsts[channel], targets, of_shares, changes, values, present)
                values[targets, channel] = _of_pieces(column, cut, starts, _plain(how))


def _plain(how: How) -> Aggregate | Circle:
    """What a channel's own column holds: of states the last one."""
    return "last" if isinstance(how, States) else how


def _shares(column: Float, states: States) -> Iterator[Float]:
    """Whether each value is each of the states, and whether it is none of them; NaN: no value."""
    known = ~np.isnan(column)
    for code in states.codes:
        yield np.where(known, column == code, np.nan)
    yield np.where(known, ~np.isin(column, states.codes), np.nan)


def _put_states(
    first: int, targets: Int64, shares: list[Float], changes: Float, values: Float, present: Mask
) -> None:
    """Writes the further columns of a channel of states at its steps `targets`."""
    columns = np.arange(first, first + len(shares) + 1)
    present[np.ix_(targets, columns)] = True
    known = np.where(np.isnan(shares[0]), np.nan, changes)
    values[np.ix_(targets, columns)] = np.stack([*shares, known], axis=1)


def _changes_within(column: Float, cells: Int64, targets: Int64) -> Float:
    """How often the value is another one than the known one before it in the same step."""
    known = np.flatnonzero(~np.isnan(column))
    some, cell = column[known], cells[known]
    is_change = (some[1:] != some[:-1]) & (cell[1:] == cell[:-1])
    at = np.searchsorted(targets, cell[1:][is_change])
    return np.bincount(at, minlength=len(targets)).astype(np.float64)


def _changes_of_words(
    words: tuple[Index, Int64, Float], k: int, valid_us: int, grid: Grid, targets: Int64
) -> Float:
    """How often a word is another one than that before it, which was valid until then."""
    entity, times_us, content = words
    column, apart_us = content[:, k], np.diff(times_us)
    is_change = (np.diff(entity) == 0) & (times_us[1:] >= grid.start_us)
    is_change &= ~np.isnan(column[1:]) & ~np.isnan(column[:-1]) & (column[1:] != column[:-1])
    if valid_us != UNTIL_CHANGED:
        is_change &= apart_us <= valid_us
    row = np.flatnonzero(is_change) + 1
    cells = entity[row] * grid.n_steps + (times_us[row] - grid.start_us) // grid.step_us
    at = np.searchsorted(targets, cells[np.isin(cells, targets)])
    return np.bincount(at, minlength=len(targets)).astype(np.float64)


def _put_events(
    rows: Rows,
    column: Float,
    grid: Grid,
    channel: int,
    values: Float,
    present: Mask,
    n_values: NDArray[np.uint8],
) -> Int64:
    """Writes how many rows each step has; rows (n_entities, n_hours) of events that an earlier row
    of the hour told of.
    """
    chosen = np.flatnonzero(~np.isnan(column))
    entity = rows.entity[chosen].astype(np.int64)
    since_us = rows.times_us[chosen] - grid.start_us
    hour = entity * grid.n_hours + since_us // HOUR_US
    again = np.zeros(len(chosen), bool)
    if rows.event is not None:
        event = rows.event[chosen]
        order = np.lexsort((since_us, event, hour))
        same = (np.diff(hour[order]) == 0) & (np.diff(event[order]) == 0)
        again[order[1:][same & (event[order][1:] != 0)]] = True
    cells = (entity * grid.n_steps + since_us // grid.step_us)[~again]
    found, n_rows = np.unique(cells, return_counts=True)
    # A row without a value that counts is a row.
    every = rows.entity.astype(np.int64) * grid.n_steps
    every = every + (rows.times_us - grid.start_us) // grid.step_us
    present[every, channel], values[every, channel] = True, 0.0
    values[found, channel] = n_rows
    # How many rows come is what is measured, and says nothing of how it is.
    n_values[every, channel] = 1
    n_cells = grid.n_entities * grid.n_hours
    counted = np.bincount(hour[again], minlength=n_cells)
    return counted.reshape(grid.n_entities, grid.n_hours).astype(np.int64)


def _put_metered(
    rows: Rows,
    column: Float,
    grid: Grid,
    meter: Meter,
    channel: int,
    values: Float,
    present: Mask,
    marks: Int64,
) -> None:
    """Writes `values`, `present` and `marks` of one counter."""
    inside = rows.times_us >= grid.start_us
    at = (rows.times_us[inside] - grid.start_us) // grid.step_us
    present[rows.entity[inside] * grid.n_steps + at, channel] = True
    first_us = int(rows.times_us.min())
    width = grid.end_us - first_us
    of_it = Rows(rows.times_us, rows.entity, rows.updated_us, column[:, None])
    keys = rows.entity.astype(np.int64) * width + (rows.times_us - first_us)
    keys, content, _ = _distinct(of_it, keys)
    # A row without a total says nothing of it: the total before it is still that.
    is_known = ~np.isnan(content[:, 0])
    keys = keys[is_known]
    totals = Totals(keys // width, keys % width + first_us, content[is_known, 0])
    span = grid.start_us, grid.end_us, grid.step_us, grid.n_entities
    found = metered(totals, meter, *span)
    present[found.cells, channel] = True
    values[found.cells, channel] = found.values
    marks[..., channel] = found.marks


def _moments(rows: Rows, grid: Grid) -> tuple[Index, Int64, Float]:
    """Entity, time and values of each moment in order; of those before the grid each entity's last.

    Of rows of one moment it is as in `to_grid`.
    """
    before = rows.times_us < grid.start_us
    latest = np.full(grid.n_entities, np.iinfo(np.int64).min)
    np.maximum.at(latest, rows.entity[before], rows.times_us[before])
    counts = ~before | (rows.times_us == latest[rows.entity])
    chosen = rows if counts.all() else _chosen(rows, counts)
    # What was before the grid is one moment of each entity, the first one.
    width = grid.end_us - grid.start_us + 1
    at = np.maximum(chosen.times_us - grid.start_us + 1, 0)
    keys, content, _ = _distinct(chosen, chosen.entity.astype(np.int64) * width + at)
    entity, at = keys // width, keys % width
    return entity, np.where(at == 0, latest[entity], grid.start_us + at - 1), content


def _of_pieces(column: Float, cut: Pieces, starts: Index, aggregate: Aggregate | Circle) -> Float:
    """One value for each step whose pieces begin at `starts`, (n_pieces,) what holds in each."""
    if aggregate == "count":
        return np.zeros(len(starts))
    ends = np.append(starts[1:], len(column)) - 1
    if aggregate == "last":
        return np.where(cut.at_end[ends], column[ends], np.nan)
    known = np.flatnonzero(~np.isnan(column))
    result = np.full(len(starts), np.nan)
    if not len(known):
        return result
    step = np.repeat(np.arange(len(starts)), ends - starts + 1)[known]
    first = _run_starts(step)
    some = column[known]
    if isinstance(aggregate, Circle):
        result[step[first]] = means(aggregate, some, first, cut.weight[known])
    elif aggregate == "mean":
        # From the first value on, so that a value that does not change is its own mean to the bit.
        sizes = np.diff(np.append(first, len(known)))
        weight = cut.weight[known]
        weight = weight / np.repeat(np.add.reduceat(weight, first), sizes)
        beyond = weight * (some - np.repeat(some[first], sizes))
        result[step[first]] = some[first] + np.add.reduceat(beyond, first)
    else:
        result[step[first]] = _AGGREGATES[aggregate](some, first)
    return result


def _distinct(rows: Rows, keys: Int64) -> tuple[Int64, Float, Int64]:
    """Keys (entity and time) in order, their values, and the keys of rows that gave way."""
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


def _n_known(column: Float, starts: Index) -> NDArray[np.uint8]:
    """How many values are in each run of `column`, at most 255."""
    known = ~np.isnan(column)
    if len(starts) == len(column):
        return known.view(np.uint8)
    sums = np.add.reduceat(known, starts, dtype=np.int64)
    return np.minimum(sums, 255).astype(np.uint8)


def _aggregated(column: Float, starts: Index, sizes: Index, aggregate: Aggregate | Circle) -> Float:
    """One value for each run of `column`; NaN (or a count of 0) for runs without values."""
    if len(starts) == len(column) and aggregate != "count":
        return aggregate.within(column) if isinstance(aggregate, Circle) else column
    run = np.repeat(np.arange(len(starts)), sizes)
    known = np.flatnonzero(~np.isnan(column))
    result = np.full(len(starts), 0.0 if aggregate == "count" else np.nan)
    if len(known):
        first = _run_starts(run[known])
        found = (
            means(aggregate, column[known], first)
            if isinstance(aggregate, Circle)
            else _AGGREGATES[aggregate](column[known], first)
        )
        result[run[known][first]] = found
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
