"""What several sources say of the same hours, as one: a reading has the channels of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.accepted_rows import AcceptedRows, accepted_rows, n_readings
from tsad_tasks.ingest.across import ChannelSeries, put_together
from tsad_tasks.ingest.grid import HOUR_US, Grid, Gridded
from tsad_tasks.ingest.sources.base import OpenPart
from tsad_tasks.ingest.tally import Tally

Index = NDArray[np.intp]


def shared_channels(config: DatasetConfig) -> tuple[str, ...]:
    """Channels that more than one source of the dataset has."""
    names = [name for source in config.sources for name in source.channels]
    return tuple(name for name in config.channels if names.count(name) > 1)


def series_apart(config: DatasetConfig, part: DatasetConfig) -> list[str]:
    """Channels of one of the sources that are to become one with those of other sources."""
    shared = set(shared_channels(config))
    return [name for name, one in part.channels.items() if name in shared and one.across]


def read_together(
    config: DatasetConfig, sources: Sequence[OpenPart], span_us: tuple[int, int], tally: Tally
) -> AcceptedRows:
    """The readings of [start, end) (whole hours) of all sources, without what is known of before;
    `tally` counts what is not taken.
    """
    parts = []
    for part in sources:
        with part.asked() as source:
            rows = source.read(*span_us)
        apart = series_apart(config, part.config)
        parts.append(
            (part.config, accepted_rows(rows, part.config, (), span_us, tally, apart=apart))
        )
    return joined(config, parts, span_us, tally)


def joined(
    config: DatasetConfig,
    parts: Sequence[tuple[DatasetConfig, AcceptedRows]],
    span_us: tuple[int, int],
    tally: Tally,
) -> AcceptedRows:
    """One of the accepted rows of each source of the dataset, of the same hours.

    What two sources say of one channel of an entity in the same hour is no value there, and
    counted, unless the channel says how several become one.
    """
    if len(parts) == 1:
        return parts[0][1]
    names = tuple(sorted({name for _, read in parts for name in read.entity_names}))
    n_channels = len(config.channel_names)
    grid = Grid(*span_us, config.step_s, len(names), n_channels)
    shape = (grid.n_entities, grid.n_steps, n_channels)
    nothing = (np.zeros((grid.n_entities, grid.n_hours), np.int64) for _ in range(3))
    gridded = Gridded(np.full(shape, np.nan), np.zeros(shape, bool), *nothing)
    labelled = np.zeros(shape[:2], bool)
    place = {name: at for at, name in enumerate(names)}
    own = [np.array([place[name] for name in read.entity_names], np.intp) for _, read in parts]
    for (_, read), entities in zip(parts, own, strict=True):
        labelled[entities] |= read.labelled
        for count in ("duplicate", "resampled", "off_grid"):
            getattr(gridded, count)[entities] += getattr(read.gridded, count)
    is_whole, per_hour = np.ones(n_channels, bool), 3600 // grid.step_s
    for position, name in enumerate(config.channel_names):
        found = [*_columns(name, parts, own)]
        is_whole[position] = all(read.is_whole[at] for read, _, at in found)
        if all(name in read.apart for read, _, _ in found):
            series = _one_list(
                [(read.apart[name], entities) for read, entities, _ in found], grid.n_steps
            )
            put_together(config, name, series, names, grid, gridded)
            continue
        n_known = np.zeros((grid.n_entities, grid.n_hours), np.int64)
        for read, entities, at in found:
            own_values = read.gridded.values[:, :, at]
            # Where a table has a column for all machines, NULL says nothing against another source.
            known = ~np.isnan(own_values)
            values, present = gridded.values[:, :, position], gridded.present[:, :, position]
            values[entities] = np.where(known, own_values, values[entities])
            present[entities] |= read.gridded.present[:, :, at]
            by_hour = known.reshape(len(entities), grid.n_hours, per_hour)
            n_known[entities] += by_hour.any(axis=2)
        _tell_several(config, name, n_known > 1, names, span_us[0], gridded, tally)
    return AcceptedRows(
        names,
        gridded,
        labelled,
        np.sum([read.n_rows for _, read in parts], axis=0),
        n_readings(gridded.values, grid),
        np.max([read.newest_us for _, read in parts], axis=0),
        is_whole,
    )


def _columns(
    name: str, parts: Sequence[tuple[DatasetConfig, AcceptedRows]], own: Sequence[Index]
) -> Iterator[tuple[AcceptedRows, Index, int]]:
    """Each source that has a channel: what was read, where its entities are, and the column."""
    for (part, read), entities in zip(parts, own, strict=True):
        if name in part.channels:
            yield read, entities, part.channel_names.index(name)


def _one_list(found: Sequence[tuple[ChannelSeries, Index]], n_steps: int) -> ChannelSeries:
    """The series of several sources, of entities by their positions in the dataset's grid."""
    entity = np.concatenate([own[series.entity] for series, own in found])
    values = np.concatenate([series.values for series, _ in found]).reshape(-1, n_steps)
    present = np.concatenate([series.present for series, _ in found]).reshape(-1, n_steps)
    return ChannelSeries(entity, values, present, tuple(t for one, _ in found for t in one.tags))


def _tell_several(
    config: DatasetConfig,
    name: str,
    several: NDArray[np.bool_],
    names: Sequence[str],
    start_us: int,
    gridded: Gridded,
    tally: Tally,
) -> None:
    """Take back what several sources say of a channel in the same hours (n_entities, n_hours)."""
    position, per_hour = config.channel_names.index(name), 3600 // config.step_s
    having = zip(config.source_names, config.sources, strict=True)
    whose = " and ".join(title for title, source in having if name in source.channels)
    detail = f"in {whose}; read as NULL, since the channel does not say across"
    for entity, hour in np.argwhere(several).tolist():
        steps = slice(hour * per_hour, (hour + 1) * per_hour)
        n_steps = int((~np.isnan(gridded.values[entity, steps, position])).sum())
        gridded.values[entity, steps, position] = np.nan
        where = {"entity": names[entity], "channel": name, "detail": detail}
        tally.add_count("several_sources", start_us + hour * HOUR_US, n_steps, **where)
