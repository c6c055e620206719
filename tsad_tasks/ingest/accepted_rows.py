"""What of a source's rows is accepted, on the grid, and what is not, counted."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.across import ChannelSeries, gridded_series
from tsad_tasks.ingest.grid import HOUR_US, Grid, Gridded
from tsad_tasks.ingest.held import Validity, heard_spans, valid_us_of
from tsad_tasks.ingest.renamed import renamed_rows
from tsad_tasks.ingest.signals import circle_of
from tsad_tasks.ingest.sources.base import MAX_NAME_BYTES, SourceFault, SourceRows, SourceTable
from tsad_tasks.ingest.tally import Tally, shortened

Mask = NDArray[np.bool_]

# Values beyond this, up or down, are read as NULL; the largest numbers have no sum.
_LARGEST = 1e300
# A share of the period.
_PAST_END = 0.01
# So many of the values that are none are named.
_NAMED = 3
_UNKNOWN_CHANNEL = "not in the dataset file; not taken"
# What not all sources say of their rows.
_OF_SOME = ("channel", "unknown_label", "bad", "tag", "event")


@dataclass(frozen=True)
class AcceptedRows:
    """Readings of some hours, on the grid.

    Attributes
    ----------
    entity_names : entities in the order of the grid.
    gridded : readings of the dataset's channels.
    labelled : (n_entities, n_steps) steps with a row that is labelled an anomaly.
    n_rows : (n_hours,) rows that the source has, accepted or not.
    n_readings : (n_hours,) steps of entities with at least one value.
    newest_us : (n_hours,) newest time, the smallest integer where there is none.
    is_whole : (n_channels,) all tables that may have the channel could be read.
    is_heard : (n_entities, n_hours) hours with a row of the entity that has a value.
    apart : series of channels that other sources of the dataset have as well, by their names.
    """

    entity_names: tuple[str, ...]
    gridded: Gridded
    labelled: Mask
    n_rows: NDArray[np.int64]
    n_readings: NDArray[np.int64]
    newest_us: NDArray[np.int64]
    is_whole: Mask
    is_heard: Mask
    apart: Mapping[str, ChannelSeries] = field(default_factory=dict)


def accepted_rows(
    rows: SourceRows,
    config: DatasetConfig,
    entity_names: Sequence[str],
    span_us: tuple[int, int],
    tally: Tally,
    until_us: int | None = None,
    fitted: Container[tuple[str, str]] = (),
    apart: Collection[str] = (),
) -> AcceptedRows:
    """The readings in `rows` on the grid of [start, end) (whole hours); `tally` counts the others.

    The grid shows `entity_names` even without rows. Rows before it, which say what still holds in
    it, are not counted. What holds does so until `until_us`, up to where `rows` were read. Of
    channels that an entity has, by name in `fitted`, a column that its own table lacks is counted;
    others it may do without. Series of the channels `apart` do not become one yet.
    """
    start_us, end_us = span_us
    until_us = end_us if until_us is None else until_us
    renamed = renamed_rows(rows, until_us) if config.source.has_validity else None
    is_before = rows.times_us < start_us
    before = _chosen(rows, is_before) if is_before.any() else None
    rows = _chosen(rows, ~is_before)
    usable_names = (name for name in rows.entity_names if not _is_too_long(name))
    names = tuple(sorted({*entity_names, *usable_names}))
    grid = Grid(start_us, end_us, config.step_s, len(names), len(config.channel_names))
    n_rows = np.bincount((rows.times_us - start_us) // HOUR_US, minlength=grid.n_hours)
    _tell_faults(rows, config, tally, fitted)
    kept = _taken(rows, config, tally)
    _tell_labels(kept, tally)
    place = {name: i for i, name in enumerate(names)}
    position = np.array([place.get(name, -1) for name in kept.entity_names], np.intp)
    every = kept if before is None else _with_uncounted(kept, before, config)
    validity = None
    if config.source.has_validity:
        silence_us = config.source.silence_s * 1_000_000
        heard = heard_spans(position[every.entity], every.times_us, silence_us)
        validity = Validity(valid_us_of(config), heard, until_us)
    if renamed is not None:
        every = _with_uncounted(every, renamed, config)
    every = replace(every, entity=position[every.entity])
    gridded, series = gridded_series(config, every, grid, names, validity, apart)
    for issue in ("duplicate", "resampled", "off_grid"):
        counts = getattr(gridded, issue)
        for i, hour in np.argwhere(counts).tolist():
            tally.add_count(issue, start_us + hour * HOUR_US, counts[i, hour], entity=names[i])
    newest_us = np.full(grid.n_hours, np.iinfo(np.int64).min)
    np.maximum.at(newest_us, (kept.times_us - start_us) // HOUR_US, kept.times_us)
    labelled = np.zeros((grid.n_entities, grid.n_steps), bool)
    labelled[
        position[kept.entity[kept.label]], (kept.times_us[kept.label] - start_us) // grid.step_us
    ] = True
    is_heard = np.zeros((grid.n_entities, grid.n_hours), bool)
    is_value = np.isfinite(kept.values)
    has_value = is_value.any(axis=1) if is_value.ndim == 2 else is_value
    is_heard[position[kept.entity[has_value]], (kept.times_us[has_value] - start_us) // HOUR_US] = (
        True
    )
    counts = n_rows.astype(np.int64), n_readings(gridded.values, grid)
    _without_marks(gridded, config)
    is_whole = np.full(gridded.values.shape[2], not rows.faults)
    return AcceptedRows(names, gridded, labelled, *counts, newest_us, is_whole, is_heard, series)


def n_readings(values: NDArray[np.float64], grid: Grid) -> NDArray[np.int64]:
    """Steps of entities with at least one value, (n_hours,)."""
    has_value = ~np.isnan(values).all(axis=2)
    n_steps = 3600 // grid.step_s
    by_hour = has_value.reshape(grid.n_entities, grid.n_hours, n_steps)
    return np.asarray(by_hour.sum(axis=(0, 2)), np.int64)


def _tell_faults(
    rows: SourceRows, config: DatasetConfig, tally: Tally, fitted: Container[tuple[str, str]]
) -> None:
    """Count the rows of tables that lack something which their entity has."""
    for number, table in enumerate(rows.tables):
        times_us = rows.times_us[rows.table == number] if table.faults else rows.times_us[:0]
        who = np.zeros(len(times_us), np.intp) if table.entity else None
        for fault in table.faults:
            is_had = (table.entity, fault.channel) in fitted
            if is_had or not may_lack(config, table, fault, rows.tables):
                what = {"channel": fault.channel, "detail": f"{fault.table}: {fault.detail}"}
                tally.add(fault.issue, times_us, who, [table.entity or ""], **what)


def _tell_labels(rows: SourceRows, tally: Tally) -> None:
    """Count the rows whose label says neither yes nor no."""
    if rows.unknown_label is not None:
        words = ", ".join(map(repr, map(shortened, rows.label_words)))
        detail = f"neither yes nor no: {words}; read as NULL"
        whose = rows.times_us[rows.unknown_label], rows.entity[rows.unknown_label]
        tally.add("unknown_label", *whose, rows.entity_names, detail=detail)


def may_lack(
    config: DatasetConfig, table: SourceTable, fault: SourceFault, tables: Sequence[SourceTable]
) -> bool:
    """Whether a table of one entity lacks the column of a channel that other tables have."""
    if fault.issue != "missing_column" or table.entity is None or not fault.channel:
        return False
    position = config.channel_names.index(fault.channel)
    return any(position in other.channels for other in tables)


def _chosen(rows: SourceRows, which: Mask) -> SourceRows:
    """Some of the rows."""
    if which.all():
        return rows
    names = ["times_us", "entity", "updated_us", "label", "values", "table"]
    names += ["ambiguous", "nonexistent"]
    names += [name for name in _OF_SOME if getattr(rows, name) is not None]
    return replace(rows, **{name: getattr(rows, name)[which] for name in names})


def _with_uncounted(rows: SourceRows, others: SourceRows, config: DatasetConfig) -> SourceRows:
    """Values of rows that were accepted, and of others that are, without counting what is not."""
    others = _taken(others, config, Tally())
    names = ["times_us", "entity", "updated_us", "values", "table"]
    names += [name for name in ("channel", "tag", "event") if getattr(rows, name) is not None]
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(others, name), getattr(rows, name)]) for name in names
    }
    return replace(rows, **joined)


def _taken(rows: SourceRows, config: DatasetConfig, tally: Tally) -> SourceRows:
    """Usable rows with the values that they say; what is not taken is counted."""
    usable = _usable(rows, config, tally)
    screened = _screened(_valued(usable, config, tally), tally, config)
    taken = _scaled(screened, tally, config)
    return _of_states(_on_circles(taken, config, tally), config, tally)


def _usable(rows: SourceRows, config: DatasetConfig, tally: Tally) -> SourceRows:
    """Rows of an entity, at a time that exists, of a channel of the dataset."""

    def count(issue: str, which: Mask, detail: str, channel: str = "") -> None:
        tally.add(issue, rows.times_us[which], channel=channel, detail=detail)

    time = config.source.time
    count("ambiguous_time", rows.ambiguous, f"read as the {time.ambiguous} one")
    count("nonexistent_time", rows.nonexistent, f"not in zone {time.zone}; not taken")
    named = ~rows.nonexistent
    if rows.tag is not None:
        what = f"no line of {config.source.names_from} holds; not taken"
        count("no_tag", named & (rows.tag < 0), what)
        named &= rows.tag >= 0
    count("null_entity", named & (rows.entity < 0), "not taken")
    usable = named & (rows.entity >= 0)
    if too_long := [i for i, name in enumerate(rows.entity_names) if _is_too_long(name)]:
        one = shortened(rows.entity_names[too_long[0]])
        what = f"more than {MAX_NAME_BYTES} bytes, such as {one}; not taken"
        count("long_name", usable & np.isin(rows.entity, too_long), what)
        usable &= ~np.isin(rows.entity, too_long)
    channel = rows.channel
    if channel is not None:
        n_channels = len(config.channel_names)
        count("null_channel", usable & (channel < 0), "not taken")
        unknown = np.flatnonzero(usable & (channel >= n_channels))
        unknown = unknown[np.argsort(channel[unknown], kind="stable")]
        found, starts = np.unique(channel[unknown], return_index=True)
        # There may be as many names as rows.
        for position, which in zip(found.tolist(), np.split(unknown, starts[1:]), strict=False):
            where = {"channel": rows.channel_names[position], "detail": _UNKNOWN_CHANNEL}
            tally.add("unknown_channel", rows.times_us[which], **where)
        usable &= (channel >= 0) & (channel < n_channels)
    return _chosen(rows, usable)


def _is_too_long(name: str) -> bool:
    return len(name.encode()) > MAX_NAME_BYTES


def _valued(rows: SourceRows, config: DatasetConfig, tally: Tally) -> SourceRows:
    """The rows with NaN for values that are bad or mean that there is none, these counted."""
    has_value = ~np.isnan(rows.values)
    if rows.bad is not None:
        bad = has_value & (rows.bad if rows.channel is not None else rows.bad[:, None])
        _count_cells(rows, bad, "bad_quality", tally)
        rows = replace(rows, values=np.where(bad, np.nan, rows.values))
    for position, channel in enumerate(config.channels.values()):
        if channel.no_value:
            where = rows.channel == position if rows.channel is not None else (..., position)
            none = np.zeros(rows.values.shape, bool)
            none[where] = _is_among(rows.values[where], channel.no_value)
            _count_cells(rows, none, "no_value", tally)
            rows = replace(rows, values=np.where(none, np.nan, rows.values))
    return rows


def _on_circles(rows: SourceRows, config: DatasetConfig, tally: Tally) -> SourceRows:
    """The rows with angles between the ends of their circle; what is no angle is none, counted.

    What rounding puts past an end is one, too: see `ChannelSection.angles_between`.
    """
    for position, channel in enumerate(config.channels.values()):
        circle = circle_of(channel)
        if circle is None:
            continue
        where = rows.channel == position if rows.channel is not None else (..., position)
        values, slack = rows.values[where], _PAST_END * circle.period
        low, high = channel.angles_between
        off = np.zeros(rows.values.shape, bool)
        with np.errstate(invalid="ignore"):
            off[where] = (values < low - slack) | (values > high + slack)
        if off.any():
            found = ", ".join(f"{one:g}" for one in np.unique(rows.values[off])[:_NAMED].tolist())
            detail = f"{found}: not from {low:g} to {high:g}; read as NULL"
            _count_cells(rows, off, "off_circle", tally, detail)
        turned = rows.values.copy()
        turned[where] = np.where(off[where], np.nan, circle.within(values))
        rows = replace(rows, values=turned)
    return rows


def _of_states(rows: SourceRows, config: DatasetConfig, tally: Tally) -> SourceRows:
    """The rows; those in states that a discrete channel does not have are counted."""
    for position, channel in enumerate(config.channels.values()):
        codes = channel.state_codes
        if not codes:
            continue
        where = rows.channel == position if rows.channel is not None else (..., position)
        values, is_other = rows.values[where], np.zeros(rows.values.shape, bool)
        is_other[where] = ~np.isnan(values) & ~np.isin(values, [*codes.values()])
        if is_other.any():
            found = np.unique(rows.values[is_other])
            said = [f"{code:g}" for code in found[found != -np.inf][:_NAMED].tolist()]
            if found[0] == -np.inf:
                texts = map(shortened, rows.state_words.get(position, ()))
                said = [*map(repr, texts), *said] or ["a text"]
            detail = f"{', '.join(said)}: not one of the states {', '.join(codes)}"
            if found[0] == -np.inf and not channel.states:
                detail += ", since none are named: say states"
            _count_cells(rows, is_other, "unknown_state", tally, detail)
    return rows


def _without_marks(gridded: Gridded, config: DatasetConfig) -> None:
    """A text that is no state is none of them, and has no number."""
    for position, channel in enumerate(config.channels.values()):
        if channel.state_codes:
            column = gridded.values[:, :, position]
            column[column == -np.inf] = np.nan


def _is_among(values: NDArray[np.float64], codes: Sequence[object]) -> Mask:
    found = np.zeros(values.shape, bool)
    for code in codes:
        if isinstance(code, tuple):
            found |= (values >= code[0]) & (values <= code[1])
        elif isinstance(code, (int, float)):
            found |= values == code
    return found


def _screened(rows: SourceRows, tally: Tally, config: DatasetConfig) -> SourceRows:
    """The rows with NaN for every mark and whatever is too large to add up, both counted.

    In discrete channels a mark stays: a text that is no state is one that nobody knows.
    """
    beyond = np.abs(rows.values) > _LARGEST
    if not beyond.any():
        return rows
    is_mark = rows.values == -np.inf
    for position, channel in enumerate(config.channels.values()):
        if channel.state_codes:
            where = rows.channel == position if rows.channel is not None else (..., position)
            beyond[where] &= ~is_mark[where]
            is_mark[where] = False
    for issue, cells in (("not_finite", beyond & ~is_mark), ("not_numeric", is_mark)):
        _count_cells(rows, cells, issue, tally)
    return replace(rows, values=np.where(beyond, np.nan, rows.values))


def _count_cells(
    rows: SourceRows, cells: Mask, issue: str, tally: Tally, detail: str = "read as NULL"
) -> None:
    """Count cells (of the shape of values), by entity and channel."""
    at = np.nonzero(cells)
    channel = at[1] if rows.channel is None else rows.channel[at[0]]
    for position in np.unique(channel).tolist():
        row = at[0][channel == position]
        whose = rows.times_us[row], rows.entity[row], rows.entity_names
        tally.add(issue, *whose, channel=rows.channel_names[position], detail=detail)


def _scaled(rows: SourceRows, tally: Tally, config: DatasetConfig) -> SourceRows:
    """The rows with values in the units of their tags; what is beyond all numbers is counted."""
    if rows.tag is None or all((one.scale, one.offset) == (1.0, 0.0) for one in rows.tags):
        return rows
    scale, offset = (np.array([getattr(one, name) for one in rows.tags])[rows.tag]
                     for name in ("scale", "offset"))  # fmt: skip
    with np.errstate(over="ignore"):
        values = rows.values * scale + offset
    # Of what is beyond all numbers the sign says nothing: it is no mark.
    infinite = np.where(rows.values == -np.inf, -np.inf, np.inf)
    values = np.where(np.isinf(values), infinite, values)
    return _screened(replace(rows, values=values), tally, config)
