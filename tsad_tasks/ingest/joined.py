"""What several sources say of the same hours, as one: a reading has the channels of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.accepted_rows import AcceptedRows, accepted_rows, n_readings
from tsad_tasks.ingest.across import COUNTS, ChannelSeries, put_together
from tsad_tasks.ingest.counter import Meter, meters_of
from tsad_tasks.ingest.grid import HOUR_US, Grid, Gridded, no_marks
from tsad_tasks.ingest.sources.base import OpenPart
from tsad_tasks.ingest.tally import Tally

Mask = NDArray[np.bool_]


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
    return joined(config, read_each(config, sources, span_us, tally), span_us, tally)


def read_each(
    config: DatasetConfig, sources: Sequence[OpenPart], span_us: tuple[int, int], tally: Tally
) -> list[tuple[DatasetConfig, AcceptedRows]]:
    """The same, of each source by itself."""
    parts = []
    for part in sources:
        with part.asked() as source:
            rows = source.read(*span_us)
        apart = series_apart(config, part.config)
        parts.append(
            (part.config, accepted_rows(rows, part.config, (), span_us, tally, apart=apart))
        )
    return parts


def joined(
    config: DatasetConfig,
    parts: Sequence[tuple[DatasetConfig, AcceptedRows]],
    span_us: tuple[int, int],
    tally: Tally,
) -> AcceptedRows:
    """One of the accepted rows of each source of the dataset, of the same hours.

    Of a channel of an entity two sources may have values in the same hour: there it has none, and
    that is counted, unless the channel says how several become one.
    """
    if len(parts) == 1:
        return parts[0][1]
    names = tuple(sorted({name for _, read in parts for name in read.entity_names}))
    place = {name: at for at, name in enumerate(names)}
    placed = [
        _Placed(part, read, np.array([place[name] for name in read.entity_names], np.intp))
        for part, read in parts
    ]
    grid = Grid(*span_us, config.step_s, len(names), len(config.stored_names))
    gridded, is_whole = _nothing(grid, meters_of(config)), np.ones(grid.n_channels, bool)
    labelled = np.zeros((grid.n_entities, grid.n_steps), bool)
    is_heard = np.zeros((grid.n_entities, grid.n_hours), bool)
    for one in placed:
        labelled[one.entities] |= one.read.labelled
        is_heard[one.entities] |= one.read.is_heard
        for count in COUNTS:
            getattr(gridded, count)[one.entities] += getattr(one.read.gridded, count)
        _add_marks(gridded.marks, one, config)
    for position, name in enumerate(config.stored_names):
        having = [one for one in placed if name in one.config.stored_names]
        is_whole[position] = all(one.read.is_whole[one.column(name)] for one in having)
        if all(name in one.read.apart for one in having):
            put_together(config, name, _one_list(name, having), names, grid, gridded)
        else:
            several = _put(position, name, having, grid, gridded)
            _tell_several(config, name, several, names, grid, gridded, tally)
    return AcceptedRows(
        names,
        gridded,
        labelled,
        np.sum([read.n_rows for _, read in parts], axis=0),
        n_readings(gridded.values, grid),
        np.max([read.newest_us for _, read in parts], axis=0),
        is_whole,
        is_heard,
    )


class _Placed(NamedTuple):
    """What was read of one source, and where its entities are in the grid of all."""

    config: DatasetConfig
    read: AcceptedRows
    entities: NDArray[np.intp]

    def column(self, name: str) -> int:
        return self.config.stored_names.index(name)


def _nothing(grid: Grid, meters: Mapping[int, Meter]) -> Gridded:
    shape = (grid.n_entities, grid.n_steps, grid.n_channels)
    nothing, n_values = (np.full(shape, np.nan), np.zeros(shape, bool)), np.zeros(shape, np.uint8)
    a, b, c = (np.zeros((grid.n_entities, grid.n_hours), np.int64) for _ in COUNTS)
    return Gridded(*nothing, a, b, c, n_values, no_marks(grid, meters))


def _add_marks(marks: NDArray[np.int64] | None, one: _Placed, config: DatasetConfig) -> None:
    """Adds what was told of counters of one source; of series apart it is added with them."""
    own = one.read.gridded.marks
    if marks is None or own is None:
        return
    for name in one.config.channel_names:
        if name not in one.read.apart:
            # In two steps: with the channel's number in one index the entities would come first.
            of_channel = marks[..., config.channel_names.index(name)]
            of_channel[:, one.entities] += own[..., one.column(name)]


def _put(position: int, name: str, having: Sequence[_Placed], grid: Grid, gridded: Gridded) -> Mask:
    """Write a channel of all sources; hours (n_entities, n_hours) in which several have values."""
    values, present = gridded.values[:, :, position], gridded.present[:, :, position]
    n_values = gridded.n_values[:, :, position]
    n_known = np.zeros((grid.n_entities, grid.n_hours), np.int64)
    for one in having:
        column, entities = one.column(name), one.entities
        own = one.read.gridded.values[:, :, column]
        # Where a table has a column for all machines, NULL says nothing against another source.
        known = ~np.isnan(own)
        values[entities] = np.where(known, own, values[entities])
        present[entities] |= one.read.gridded.present[:, :, column]
        n_values[entities] = np.maximum(n_values[entities], one.read.gridded.n_values[:, :, column])
        by_hour = known.reshape(len(entities), grid.n_hours, 3600 // grid.step_s)
        n_known[entities] += by_hour.any(axis=2)
    return n_known > 1


def _one_list(name: str, having: Sequence[_Placed]) -> ChannelSeries:
    """Series of a channel from several sources, of entities by where they are in the grid."""
    found = [one.read.apart[name] for one in having]
    entity = [one.entities[series.entity] for one, series in zip(having, found, strict=True)]
    # Two tables of one store may share its names: each series is in one of them.
    named = ((one.config.source.connection, one.config.source.names_from) for one in having)
    tags = {(whose, tag): tag for whose, series in zip(named, found, strict=True)
            for tag in series.tags}  # fmt: skip
    return ChannelSeries(
        np.concatenate(entity),
        np.concatenate([series.values for series in found]),
        np.concatenate([series.present for series in found]),
        np.concatenate([series.n_values for series in found]),
        tuple(tags.values()),
        None
        if found[0].marks is None
        else np.concatenate([series.marks for series in found if series.marks is not None], axis=1),
    )


def _tell_several(
    config: DatasetConfig,
    name: str,
    several: Mask,
    names: Sequence[str],
    grid: Grid,
    gridded: Gridded,
    tally: Tally,
) -> None:
    """Take back what several sources say of a channel in the same hours (n_entities, n_hours)."""
    position, per_hour = config.stored_names.index(name), 3600 // grid.step_s
    having = zip(config.source_names, config.sources, strict=True)
    whose = " and ".join(title for title, source in having if name in source.channels)
    detail = f"in {whose}; read as NULL, since the channel does not say across"
    for entity, hour in np.argwhere(several).tolist():
        values = gridded.values[entity, hour * per_hour : (hour + 1) * per_hour, position]
        if name in config.channels:
            where = {"entity": names[entity], "channel": name, "detail": detail}
            n_steps = int((~np.isnan(values)).sum())
            tally.add_count("several_sources", grid.start_us + hour * HOUR_US, n_steps, **where)
        values[:] = np.nan
