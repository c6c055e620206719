"""Several series of one entity that become one channel, such as the pumps of a station."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.grid import Grid, Gridded, Rows, to_grid
from tsad_tasks.ingest.held import Validity
from tsad_tasks.ingest.sources.base import SourceRows, Tag

_COUNTS = ("duplicate", "resampled", "off_grid")
_ACROSS: dict[str, Callable[..., NDArray[np.float64]]] = {
    "sum": np.nansum,
    "mean": np.nanmean,
    "max": np.nanmax,
    "min": np.nanmin,
}


def gridded_series(
    config: DatasetConfig, rows: SourceRows, grid: Grid, validity: Validity | None = None
) -> Gridded:
    """Readings on the grid, each series by itself before those of one channel become one.

    `rows.entity` are positions in the grid. A sum is known where all series are that a tag holds
    for; mean, greatest and least are those of the series that are known.
    """
    channels = config.source.channels.values()
    said = rows.updated_us, rows.values, rows.channel, rows.table, rows.offered
    every = Rows(rows.times_us, rows.entity, *said)
    joined = [at for at, channel in enumerate(channels) if channel.across is not None]
    aggregates = [channel.aggregate for channel in channels]
    if rows.tag is None or rows.channel is None or not joined:
        return to_grid(every, grid, aggregates, validity)
    others = _of(every, ~np.isin(rows.channel, joined))
    gridded = to_grid(others, grid, aggregates, validity)
    for position in joined:
        _put_channel(config, rows, grid, position, gridded, validity)
    return gridded


def _of(rows: Rows, chosen: NDArray[np.bool_]) -> Rows:
    assert rows.channel is not None
    at = {name: getattr(rows, name)[chosen] for name in ("times_us", "entity", "updated_us")}
    return replace(rows, **at, values=rows.values[chosen], channel=rows.channel[chosen])


def _put_channel(
    config: DatasetConfig,
    rows: SourceRows,
    grid: Grid,
    position: int,
    gridded: Gridded,
    validity: Validity | None,
) -> None:
    """Write one channel, of which entities may have several series, into `gridded`."""
    name = config.channel_names[position]
    how = config.source.channels[name]
    assert rows.tag is not None
    assert how.across is not None
    chosen = np.flatnonzero(rows.channel == position)
    tags, own = np.unique(rows.tag[chosen], return_inverse=True)
    entity_of = np.full(len(tags), -1)
    entity_of[own] = rows.entity[chosen]
    said = rows.times_us[chosen], own, rows.updated_us[chosen], rows.values[chosen]
    narrow = replace(grid, n_entities=len(tags), n_channels=1)
    alone = Rows(*said, channel=np.zeros(len(chosen), np.intp))
    own_validity = validity and validity.of_series(position, entity_of)
    found = to_grid(alone, narrow, [how.aggregate], own_validity)
    for entity in np.unique(entity_of).tolist():
        mine = entity_of == entity
        values = found.values[mine, :, 0]
        n_known = (~np.isnan(values)).sum(axis=0)
        n_wanted = np.ones(grid.n_steps, int)
        if how.across == "sum":
            whose = rows.tags[tags[mine.argmax()]].entity, name
            n_wanted = _n_held(
                [tag for tag in rows.tags if (tag.entity, tag.channel) == whose], grid
            )
        enough = (n_known >= n_wanted) & (n_known > 0)
        together = np.full(grid.n_steps, np.nan)
        together[enough] = _ACROSS[how.across](values[:, enough], axis=0)
        gridded.values[entity, :, position] = together
        gridded.present[entity, :, position] = found.present[mine, :, 0].any(axis=0)
    for count in _COUNTS:
        np.add.at(getattr(gridded, count), entity_of, getattr(found, count))


def _n_held(tags: Sequence[Tag], grid: Grid) -> NDArray[np.int64]:
    """How many of these hold at the beginning of each step, (n_steps,)."""
    at_us = grid.start_us + np.arange(grid.n_steps) * grid.step_us
    holds = [(at_us >= tag.start_us) & (at_us < tag.end_us) for tag in tags]
    found: NDArray[np.int64] = np.sum(holds, axis=0)
    return found
