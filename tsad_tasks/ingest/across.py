"""Several series of one entity that become one channel, such as the pumps of a station."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.counter import meter_of, meters_of
from tsad_tasks.ingest.grid import Grid, Gridded, Rows, to_grid
from tsad_tasks.ingest.held import Validity
from tsad_tasks.ingest.signals import circle_of, how_of
from tsad_tasks.ingest.sources.base import SourceRows, Tag
from tsad_tasks.model.circle import means_across

# Of rows not taken as they came, (n_entities, n_hours) each.
COUNTS = ("duplicate", "resampled", "off_grid")
_ACROSS: dict[str, Callable[..., NDArray[np.float64]]] = {
    "sum": np.nansum,
    "mean": np.nanmean,
    "max": np.nanmax,
    "min": np.nanmin,
}


@dataclass(frozen=True)
class ChannelSeries:
    """Series of one channel, each on the grid by itself.

    Attributes
    ----------
    entity : (n_series,) positions in the grid.
    values, present, n_values : (n_series, n_steps)
    tags : those of the channel, of any entity.
    marks : (n_marks, n_series, n_hours) of a counter; None: it is none.
    """

    entity: NDArray[np.intp]
    values: NDArray[np.float64]
    present: NDArray[np.bool_]
    n_values: NDArray[np.uint8]
    tags: tuple[Tag, ...] = ()
    marks: NDArray[np.int64] | None = None


def gridded_series(
    config: DatasetConfig,
    rows: SourceRows,
    grid: Grid,
    names: Sequence[str],
    validity: Validity | None = None,
    apart: Collection[str] = (),
) -> tuple[Gridded, dict[str, ChannelSeries]]:
    """Readings on the grid, each series by itself before those of one channel become one.

    `rows.entity` are positions in the grid, and in `names`. Series of the channels `apart`, which
    other sources have as well, are left as they are.
    """
    channels = config.channels.values()
    said = rows.updated_us, rows.values, rows.channel, rows.table, rows.offered
    every = Rows(rows.times_us, rows.entity, *said, rows.event)
    joined = [at for at, channel in enumerate(channels) if channel.across is not None]
    aggregates, meters = [how_of(channel) for channel in channels], meters_of(config)
    if rows.tag is None or rows.channel is None or not joined:
        gridded = to_grid(every, grid, aggregates, validity, meters)
        return gridded, {
            name: _one_of_each(gridded, config.channel_names.index(name)) for name in apart
        }
    others = _of(every, ~np.isin(rows.channel, joined))
    gridded, found = to_grid(others, grid, aggregates, validity, meters), {}
    for position in joined:
        series = _series(config, rows, grid, position, gridded, validity)
        if (name := config.channel_names[position]) in apart:
            found[name] = series
        else:
            put_together(config, name, series, names, grid, gridded)
    return gridded, found


def _of(rows: Rows, chosen: NDArray[np.bool_]) -> Rows:
    assert rows.channel is not None
    at = {name: getattr(rows, name)[chosen] for name in ("times_us", "entity", "updated_us")}
    event = None if rows.event is None else rows.event[chosen]
    channel = rows.channel[chosen]
    return replace(rows, **at, values=rows.values[chosen], channel=channel, event=event)


def _one_of_each(gridded: Gridded, position: int) -> ChannelSeries:
    """A channel of which each entity has one series."""
    entity = np.flatnonzero(gridded.present[:, :, position].any(axis=1))
    at = entity, slice(None), position
    marks = None if gridded.marks is None else gridded.marks[:, entity, :, position]
    cells = gridded.values[at], gridded.present[at], gridded.n_values[at]
    return ChannelSeries(entity, *cells, marks=marks)


def _series(
    config: DatasetConfig,
    rows: SourceRows,
    grid: Grid,
    position: int,
    gridded: Gridded,
    validity: Validity | None,
) -> ChannelSeries:
    """Series of one channel, of which entities may have several; their rows are counted in
    `gridded`.
    """
    name = config.channel_names[position]
    assert rows.tag is not None
    assert rows.channel is not None
    chosen = np.flatnonzero(rows.channel == position)
    tags, own = np.unique(rows.tag[chosen], return_inverse=True)
    entity_of = np.full(len(tags), -1, np.intp)
    entity_of[own] = rows.entity[chosen]
    said = rows.times_us[chosen], own, rows.updated_us[chosen], rows.values[chosen]
    narrow = replace(grid, n_entities=len(tags), n_channels=1)
    event = None if rows.event is None else rows.event[chosen]
    alone = Rows(*said, channel=np.zeros(len(chosen), np.intp), event=event)
    own_validity = validity and validity.of_series(position, entity_of)
    channel = config.channels[name]
    meters = {0: meter_of(channel, config.step_s)} if channel.is_counter else None
    found = to_grid(alone, narrow, [how_of(channel)], own_validity, meters)
    for count in COUNTS:
        np.add.at(getattr(gridded, count), entity_of, getattr(found, count))
    of_channel = tuple(tag for tag in rows.tags if tag.channel == name)
    marks = None if found.marks is None else found.marks[..., 0]
    parts = found.values[:, :, 0], found.present[:, :, 0], found.n_values[:, :, 0]
    return ChannelSeries(entity_of, *parts, of_channel, marks)


def put_together(
    config: DatasetConfig,
    name: str,
    series: ChannelSeries,
    names: Sequence[str],
    grid: Grid,
    gridded: Gridded,
) -> None:
    """Write one channel, of which entities may have several series, into `gridded`.

    A sum is known where all series are that a tag holds for; mean, greatest and least are those of
    the series that are known.
    """
    how, position = config.channels[name].across, config.channel_names.index(name)
    assert how is not None
    for entity in np.unique(series.entity).tolist():
        mine = series.entity == entity
        values = series.values[mine]
        n_known = (~np.isnan(values)).sum(axis=0)
        n_wanted = np.ones(grid.n_steps, int)
        if how == "sum":
            n_wanted = _n_held([tag for tag in series.tags if tag.entity == names[entity]], grid)
        enough = (n_known >= n_wanted) & (n_known > 0)
        together = np.full(grid.n_steps, np.nan)
        circle, known = circle_of(config.channels[name]), values[:, enough]
        together[enough] = (
            _ACROSS[how](known, axis=0) if circle is None else means_across(circle, known)
        )
        gridded.values[entity, :, position] = together
        gridded.present[entity, :, position] = series.present[mine].any(axis=0)
        gridded.n_values[entity, :, position] = series.n_values[mine].max(axis=0)
        if gridded.marks is not None and series.marks is not None:
            gridded.marks[:, entity, :, position] = series.marks[:, mine].sum(axis=1)


def _n_held(tags: Sequence[Tag], grid: Grid) -> NDArray[np.int64]:
    """How many of these hold at the beginning of each step, (n_steps,)."""
    at_us = grid.start_us + np.arange(grid.n_steps) * grid.step_us
    holds = [(at_us >= tag.start_us) & (at_us < tag.end_us) for tag in tags]
    found: NDArray[np.int64] = np.sum(holds, axis=0)
    return found
