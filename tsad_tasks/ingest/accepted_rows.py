"""What of a source's rows is taken, on the grid, and what is not, counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.grid import HOUR_US, Grid, Gridded, Rows, to_grid
from tsad_tasks.ingest.sources.postgres import SourceRows
from tsad_tasks.ingest.sources.tables import Fault
from tsad_tasks.ingest.tally import Tally

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Taken:
    """Readings of some hours, on the grid.

    Attributes
    ----------
    entity_names : entities in the order of the grid.
    gridded : readings of the dataset's channels.
    labelled : (n_entities, n_steps) steps with a row that is labelled an anomaly.
    n_rows : (n_hours,) rows that the source has, taken or not.
    n_readings : (n_hours,) steps of entities with at least one value.
    newest_us : (n_hours,) newest time, the smallest integer where there is none.
    """

    entity_names: tuple[str, ...]
    gridded: Gridded
    labelled: Mask
    n_rows: NDArray[np.int64]
    n_readings: NDArray[np.int64]
    newest_us: NDArray[np.int64]


def taken(
    rows: SourceRows,
    config: DatasetConfig,
    entity_names: Sequence[str],
    span_us: tuple[int, int],
    tally: Tally,
) -> Taken:
    """The readings in `rows` on the grid of [start, end) (whole hours), whatever was not taken
    counted in `tally`.

    Parameters
    ----------
    entity_names : entities that the grid shows even without rows.
    """
    start_us, end_us = span_us
    names = tuple(sorted({*entity_names, *rows.entity_names}))
    grid = Grid(start_us, end_us, config.source.step_s, len(names), len(config.channel_names))
    hour = (rows.times_us - start_us) // HOUR_US
    n_rows = np.bincount(hour, minlength=grid.n_hours).astype(np.int64)
    _count_faulty_columns(rows, tally)
    kept = _screened(_usable(rows, config, tally), tally)
    positions = {name: i for i, name in enumerate(names)}
    position = np.array([positions[name] for name in kept.entity_names], np.intp)
    entity = position[kept.entity] if len(kept.entity) else kept.entity
    content = Rows(
        kept.times_us, entity, kept.updated_us, kept.values, kept.channel, kept.table, kept.offered
    )
    gridded = to_grid(
        content, grid, [channel.aggregate for channel in config.source.channels.values()]
    )
    for issue in ("duplicate", "resampled", "off_grid"):
        _count_cells(issue, getattr(gridded, issue), names, grid, tally)
    newest = np.full(grid.n_hours, np.iinfo(np.int64).min)
    np.maximum.at(newest, (kept.times_us - start_us) // HOUR_US, kept.times_us)
    has_value = ~np.isnan(gridded.values).all(axis=2)
    n_readings = has_value.reshape(len(names), grid.n_hours, 3600 // grid.step_s).sum(axis=(0, 2))
    return Taken(
        names, gridded, _labelled(kept, entity, grid), n_rows, n_readings.astype(np.int64), newest
    )


def _usable(rows: SourceRows, config: DatasetConfig, tally: Tally) -> SourceRows:
    """Rows of an entity, at a time that exists, of a channel of the dataset."""
    tally.add(
        "ambiguous_time",
        rows.times_us[rows.ambiguous],
        detail=f"read as the {config.source.time.ambiguous} one",
    )
    tally.add(
        "nonexistent_time",
        rows.times_us[rows.nonexistent],
        detail=f"not in zone {config.source.time.zone}; not taken",
    )
    nobody = ~rows.nonexistent & (rows.entity < 0)
    tally.add("null_entity", rows.times_us[nobody], detail="not taken")
    usable = ~rows.nonexistent & ~nobody
    if rows.channel is not None:
        usable &= _known_channels(rows, rows.channel, usable, len(config.channel_names), tally)
    return rows if usable.all() else _chosen(rows, usable)


def _known_channels(
    rows: SourceRows, channel: NDArray[np.intp], usable: Mask, n_channels: int, tally: Tally
) -> Mask:
    tally.add("null_channel", rows.times_us[usable & (channel < 0)], detail="not taken")
    for position in range(n_channels, len(rows.channel_names)):
        unknown = rows.times_us[usable & (channel == position)]
        tally.add(
            "unknown_channel",
            unknown,
            channel=rows.channel_names[position],
            detail="not in the dataset file; not taken",
        )
    known: Mask = (channel >= 0) & (channel < n_channels)
    return known


def _chosen(rows: SourceRows, chosen: Mask) -> SourceRows:
    return replace(
        rows,
        times_us=rows.times_us[chosen],
        entity=rows.entity[chosen],
        updated_us=rows.updated_us[chosen],
        label=rows.label[chosen],
        values=rows.values[chosen],
        channel=None if rows.channel is None else rows.channel[chosen],
        table=rows.table[chosen],
    )


def _screened(rows: SourceRows, tally: Tally) -> SourceRows:
    """The rows with NaN for every mark, the marks counted."""
    marked = np.isinf(rows.values)
    if not marked.any():
        return rows
    for issue, mark in (("not_finite", np.inf), ("not_numeric", -np.inf)):
        at = np.nonzero(rows.values == mark)
        channel = at[1] if rows.channel is None else rows.channel[at[0]]
        for position in np.unique(channel).tolist():
            row = at[0][channel == position]
            name = rows.channel_names[position]
            tally.add(
                issue,
                rows.times_us[row],
                rows.entity[row],
                rows.entity_names,
                channel=name,
                detail="read as NULL",
            )
    return replace(rows, values=np.where(marked, np.nan, rows.values))


def _count_faulty_columns(rows: SourceRows, tally: Tally) -> None:
    for position, plan in enumerate(rows.tables):
        times_us = rows.times_us[rows.table == position] if plan.faults else rows.times_us[:0]
        for fault in plan.faults:
            detail = f"{fault.table}: {fault.detail}"
            who = np.zeros(len(times_us), np.intp) if plan.entity else None
            tally.add(
                fault.issue,
                times_us,
                who,
                [plan.entity or ""],
                channel=fault.channel,
                detail=detail,
            )


def count_tables(faults: Sequence[Fault], hours_us: Sequence[int], tally: Tally) -> None:
    """Count the tables that could not be read in each of the hours."""
    detail = "; ".join(f"{fault.table}: {fault.detail}" for fault in faults[:3])
    for hour_us in hours_us:
        tally.add_count("unusable_table", hour_us, len(faults), detail=detail)


def _count_cells(
    issue: str, n_rows: NDArray[np.int64], names: Sequence[str], grid: Grid, tally: Tally
) -> None:
    for entity, hour in np.argwhere(n_rows).tolist():
        tally.add_count(
            issue, grid.start_us + hour * HOUR_US, int(n_rows[entity, hour]), entity=names[entity]
        )


def _labelled(rows: SourceRows, entity: NDArray[np.intp], grid: Grid) -> Mask:
    labelled = np.zeros((grid.n_entities, grid.n_steps), bool)
    step = (rows.times_us - grid.start_us) // grid.step_us
    labelled[entity[rows.label], step[rows.label]] = True
    return labelled
