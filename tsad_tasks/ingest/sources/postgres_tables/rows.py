"""What COPY brings of source tables, as rows in NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any, TypedDict, cast
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from psycopg2 import extensions, sql

from tsad_tasks.base.errors import SourceError
from tsad_tasks.base.local_time import utc_from_local
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.sources.base import (
    HOUR_US,
    SERIES_JOINT,
    HourCount,
    SourceFault,
    SourceRows,
    Tag,
)
from tsad_tasks.ingest.sources.postgres_tables import statements
from tsad_tasks.ingest.sources.postgres_tables.statements import (
    ORIGIN,
    UNKNOWN_LABEL,
    CopyField,
    unit_ns,
)
from tsad_tasks.ingest.sources.postgres_tables.tables import NUMBERS, SourceColumn, TablePlan

Int64 = NDArray[np.int64]
# Columns of one table by name, (n_rows,); of a wide one `value` is (n_rows, n_channels it has).
Part = dict[str, NDArray[Any]]

NOBODY = 0
_POSTGRES_ORIGIN_US = 946_684_800_000_000
_PIECE_BYTES = 8 << 20
_HEADER_BYTES = 19


class _Decoder:
    """A file for COPY to write to: fixed-width rows in, columns of native numbers out."""

    def __init__(self, fields: Sequence[CopyField]) -> None:
        self._fields = fields
        self._dtype = np.dtype([("n_fields", ">i2"), *(field.dtype for field in fields)])
        self._buffer = bytearray()
        self._to_skip = _HEADER_BYTES
        self._pieces: list[Part] = []

    def write(self, chunk: bytes) -> int:
        self._buffer += chunk
        if len(self._buffer) >= _PIECE_BYTES:
            self._take()
        return len(chunk)

    def columns(self) -> Part:
        """Columns by name, (n_rows, n_expressions)."""
        self._take()
        names = [field.name for field in self._fields]
        return {name: np.concatenate([piece[name] for piece in self._pieces]) for name in names}

    def _take(self) -> None:
        # The trailer of two bytes is shorter than any row, so whole rows never include it.
        n_rows = (len(self._buffer) - self._to_skip) // self._dtype.itemsize
        end = self._to_skip + n_rows * self._dtype.itemsize
        rows = np.frombuffer(bytes(self._buffer[self._to_skip : end]), self._dtype)
        if not (rows["n_fields"] == sum(len(field.expressions) for field in self._fields)).all():
            raise SourceError(
                "Expected rows of one width from the source. Received: another width, or a NULL."
            )
        names = [field.name for field in self._fields]
        columns = {name: rows[name]["content"] for name in names}
        native = {name: at.astype(at.dtype.newbyteorder("="), "C") for name, at in columns.items()}
        self._pieces.append(native)
        del self._buffer[:end]
        self._to_skip = 0


def copied(
    cursor: extensions.cursor,
    config: DatasetConfig,
    plan: TablePlan,
    fields: list[CopyField],
    span_us: tuple[int, int],
) -> Part:
    """The rows of one table in a range that is wider than asked for where times are naive."""
    return _copied(cursor, plan, fields, statements.copy_statement(config, plan, fields, *span_us))


def copied_by(
    cursor: extensions.cursor, plan: TablePlan, fields: list[CopyField], rows: sql.Composable
) -> Part:
    """The rows of one table that a query on it gives."""
    return _copied(cursor, plan, fields, statements.copy_of(fields, rows))


def _copied(
    cursor: extensions.cursor, plan: TablePlan, fields: list[CopyField], copy: sql.Composable
) -> Part:
    decoder = _Decoder(fields)
    cursor.copy_expert(copy, decoder)
    columns = decoder.columns()
    content = columns.pop("value")
    zeros = np.zeros(len(content), np.int64)
    part: Part = {"updated": zeros, "label": zeros, "bad": zeros, "event": zeros}
    part |= {name: column[:, 0] for name, column in columns.items()}
    return part | {"value": content[:, 0] if plan.values else content}


def source_rows(
    config: DatasetConfig,
    plans: Sequence[TablePlan],
    parts: Sequence[Part],
    names: Mapping[int, str],
    span_us: tuple[int, int],
    tags: Sequence[Tag] = (),
    label_words: Sequence[str] = (),
    faults: Sequence[SourceFault] = (),
) -> SourceRows:
    """The rows of all tables in [start, end), and those that may still hold then, times in UTC.

    Parameters
    ----------
    parts : of each table.
    names : of entities and channels, or of series, by their hash.
    tags : by series and time, where series are read.
    label_words : some of the labels that say neither yes nor no, if there are any.
    faults : of tables that are not among these, since they could not be read.
    """
    parts = [_in_span(config, plan, part, span_us) for plan, part in zip(plans, parts, strict=True)]
    offered = np.full((len(parts), len(config.channel_names)), config.source.shape == "long")
    for row, plan in zip(offered, plans, strict=True):
        row[list(plan.channels)] = True
    labels, whose = _joined(parts, "label"), _whose(config, plans, parts, names, tags)
    values = _values(config, plans, parts, offered)
    return SourceRows(
        times_us=_joined(parts, "time"),
        updated_us=_joined(parts, "updated"),
        label=labels == 1,
        values=_with_words(config, values, whose["channel"]),
        table=np.repeat(np.arange(len(parts)), [len(part["time"]) for part in parts]),
        offered=offered,
        ambiguous=_joined(parts, "ambiguous"),
        nonexistent=_joined(parts, "nonexistent"),
        tables=tuple(plans),
        unknown_label=labels == UNKNOWN_LABEL if label_words else None,
        label_words=tuple(label_words),
        faults=tuple(faults),
        bad=_joined(parts, "bad") == 1 if config.source.quality is not None else None,
        tags=tuple(tags),
        event=_joined(parts, "event") if config.source.event_id is not None else None,
        **whose,
    )


def _joined(parts: Sequence[Part], name: str) -> NDArray[Any]:
    """A column of all tables; of one it is no copy."""
    columns = [part[name] for part in parts]
    return columns[0] if len(columns) == 1 else np.concatenate(columns)


class _Whose(TypedDict):
    """Of which entity and channel each row is; see `SourceRows`."""

    entity: NDArray[np.intp]
    entity_names: tuple[str, ...]
    channel: NDArray[np.intp] | None
    channel_names: tuple[str, ...]
    tag: NDArray[np.intp] | None


def _whose(
    config: DatasetConfig,
    plans: Sequence[TablePlan],
    parts: Sequence[Part],
    names: Mapping[int, str],
    tags: Sequence[Tag],
) -> _Whose:
    channel, channel_names = None, config.channel_names
    if config.source.series_columns:
        tag = tags_at(tags, names, _joined(parts, "series"), _joined(parts, "time"))
        entity, entity_names = _named([one.entity for one in tags], (), tag)
        channel, channel_names = _named([one.channel for one in tags], channel_names, tag)
        return _Whose(entity=entity, entity_names=entity_names, channel=channel,
                      channel_names=channel_names, tag=tag)  # fmt: skip
    if config.source.entity.column is None:
        entity_names = tuple(sorted({str(plan.entity) for plan in plans}))
        positions = [entity_names.index(str(plan.entity)) for plan in plans]
        n_rows = [len(part["time"]) for part in parts]
        entity = np.repeat(np.array(positions, np.intp), n_rows)
    else:
        entity, entity_names = _positions(names, _joined(parts, "entity"), ())
    if config.source.shape == "long":
        columns = list(config.source.channel_columns().values())
        channel, found_names = _positions(names, _joined(parts, "channel"), columns)
        channel_names = (*channel_names, *found_names[len(columns) :])
    return _Whose(entity=entity, entity_names=entity_names, channel=channel,
                  channel_names=channel_names, tag=None)  # fmt: skip


def _values(
    config: DatasetConfig,
    plans: Sequence[TablePlan],
    parts: Sequence[Part],
    offered: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Values as `SourceRows` has them; a wide table lacks the channels that it does not offer."""
    if config.source.shape == "long" or (len(parts) == 1 and offered.all()):
        return _joined(parts, "value")
    n_rows, end = sum(len(part["time"]) for part in parts), 0
    values = np.full((n_rows, offered.shape[1]), np.nan)
    for plan, part in zip(plans, parts, strict=True):
        start, end = end, end + len(part["time"])
        values[start:end, list(plan.channels)] = part["value"]
    return values


def _with_words(
    config: DatasetConfig, values: NDArray[np.float64], channel: NDArray[np.intp] | None
) -> NDArray[np.float64]:
    """Values with numbers for words that say so of their channel, such as names of its states; of
    any other channel such a word is no number.
    """
    is_mark = (values <= statements.TEXT_MARKS) & (values > -np.inf)
    if not is_mark.any():
        return values
    words = {mark: word for word, mark in statements.state_marks(config).items()}
    words |= {statements.YES: statements.YES_WORDS[0], statements.NO: statements.NO_WORDS[0]}
    marks, which = np.unique(values[is_mark], return_inverse=True)
    # The last one is that of names which only the source knows.
    numbers = np.full((len(config.channel_names) + 1, len(marks)), -np.inf)
    for at, mark in enumerate(marks.tolist()):
        for position, one in enumerate(config.channels.values()):
            number = statements.number_of_word(one, words[mark])
            numbers[position, at] = -np.inf if number is None else number
    of_channel = np.nonzero(is_mark)[1] if channel is None else channel[is_mark]
    of_channel = np.where((of_channel >= 0) & (of_channel < len(numbers)), of_channel, -1)
    found = values.copy()
    found[is_mark] = numbers[of_channel, which.ravel()]
    return found


def tags_at(
    tags: Sequence[Tag], names: Mapping[int, str], series: Int64, times_us: Int64
) -> NDArray[np.intp]:
    """Position of the tag that holds for each row's series at its time, -1 where none does."""
    of_series: dict[str, list[int]] = {}
    for position, tag in enumerate(tags):
        of_series.setdefault(series_name(tag.series), []).append(position)
    found = np.full(len(series), -1, np.intp)
    order = np.argsort(series, kind="stable")
    hashes, starts = np.unique(series[order], return_index=True)
    for key, rows in zip(hashes.tolist(), np.split(order, starts[1:]), strict=False):
        for position in of_series.get(names.get(key, ""), ()):
            tag = tags[position]
            holds = (times_us[rows] >= tag.start_us) & (times_us[rows] < tag.end_us)
            found[rows[holds]] = position
    return found


def series_name(series: Sequence[str]) -> str:
    """What columns say that name a series, as one text."""
    return SERIES_JOINT.join(series)


def _named(
    said: Sequence[str], first: Sequence[str], tag: NDArray[np.intp]
) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Position of what each row's tag says in the names, which begin with `first`; -1 for none."""
    names = (*first, *sorted(set(said) - set(first)))
    position = {name: i for i, name in enumerate(names)}
    return np.array([*(position[name] for name in said), -1], np.intp)[tag], names


def _in_span(config: DatasetConfig, plan: TablePlan, part: Part, span_us: tuple[int, int]) -> Part:
    """The part's rows in [start, end), and those that may still hold then, their times in UTC."""
    raw, time_source = part["time"], config.source.time
    nothing = np.zeros(len(raw), bool)
    part = part | {"ambiguous": nothing, "nonexistent": nothing}
    if plan.time.family in {"integer", "float"}:
        ns = unit_ns(config)
        if plan.time.family == "float":
            # What is before the end is not rounded past it: the source has chosen exactly.
            part["time"] = np.minimum(_whole_us(raw, ns), span_us[1] - 1)
        else:
            part["time"] = raw * (ns // 1000) if ns >= 1000 else raw // 1000
    elif plan.time.family == "timestamptz":
        part["time"] = raw + _POSTGRES_ORIGIN_US
    elif plan.time.family not in NUMBERS:
        zone = ZoneInfo(time_source.zone)
        found = utc_from_local(raw + _POSTGRES_ORIGIN_US, zone, time_source.ambiguous)
        part["time"] = found.times_us
        part |= {"ambiguous": found.ambiguous, "nonexistent": found.nonexistent}
    if plan.nanoseconds is not None:
        part["time"] = part["time"] + part.pop("nanoseconds") // 1000
    kept = part["time"] < span_us[1]
    if not config.source.needs_before:
        kept &= part["time"] >= span_us[0]
    return part if kept.all() else {name: column[kept] for name, column in part.items()}


def _whole_us(times: NDArray[np.float64], ns: int) -> Int64:
    """Times of a unit of `ns` nanoseconds in microseconds, as they were before they were doubles.

    A double is up to half of its spacing below what it was made of; no whole second is so near.

    >>> _whole_us(np.array([1099512000.000024, np.nextafter(1099512000.0, 0)]), 10**9).tolist()
    [1099512000000024, 1099511999999999]
    """
    half = np.spacing(times) * 0.501
    if ns < 1000:
        return (times.astype(np.int64) + half.astype(np.int64)) // 1000
    whole = np.floor(times)
    parts = np.floor((times - whole + half) * (ns // 1000))
    return whole.astype(np.int64) * (ns // 1000) + parts.astype(np.int64)


def _positions(
    names: Mapping[int, str], hashes: Int64, first: Sequence[str]
) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Position of each row's name in the names, which begin with `first`."""
    found, at = np.unique(hashes, return_inverse=True)
    found_names = [None if key == NOBODY else names[key] for key in found.tolist()]
    ordered = [*first, *sorted({name for name in found_names if name is not None} - set(first))]
    position: dict[str | None, int] = {None: -1} | {name: i for i, name in enumerate(ordered)}
    return np.array([position[name] for name in found_names], np.intp)[at], tuple(ordered)


def as_text(said: str | memoryview) -> str:
    """A name of the source; what is no UTF-8 of it is shown as \\x and two digits.

    >>> as_text("m1"), as_text(memoryview(b"m\\xfc"))
    ('m1', 'm\\\\xfc')
    """
    return said if isinstance(said, str) else bytes(said).decode("utf-8", "backslashreplace")


def hour_counts(
    config: DatasetConfig, plan: TablePlan, rows: Sequence[tuple[Any, ...]]
) -> dict[int, HourCount]:
    """Counts of one table by UTC hour, of those by quarter."""
    quarters_us = np.array([row[0] for row in rows], np.int64) * statements.QUARTER_US
    if plan.time.family in {"timestamp", "date"}:
        zone = ZoneInfo(config.source.time.zone)
        quarters_us = utc_from_local(quarters_us, zone, config.source.time.ambiguous).times_us
    found: dict[int, HourCount] = {}
    for us, (_, n_rows, updated_at) in zip(quarters_us.tolist(), rows, strict=True):
        column = plan.updated_at
        at = None if column is None else as_utc(config, column, updated_at)
        hour_us = us // HOUR_US * HOUR_US
        found[hour_us] = found.get(hour_us, HourCount(0)) + HourCount(n_rows, at)
    return found


def as_utc(config: DatasetConfig, column: SourceColumn, value: Any) -> datetime | None:
    """A single time of the source, in UTC."""
    if value is None:
        return None
    if column.family == "timestamptz":
        return cast("datetime", value).astimezone(UTC)
    if column.family in NUMBERS:
        return datetime.fromtimestamp(float(value) * unit_ns(config) / 1e9, UTC)
    naive = datetime.combine(value, time()) if column.family == "date" else cast("datetime", value)
    local_us = np.array([(naive - ORIGIN) // timedelta(microseconds=1)])
    zone = ZoneInfo(config.source.time.zone)
    found = utc_from_local(local_us, zone, config.source.time.ambiguous)
    return (ORIGIN + timedelta(microseconds=int(found.times_us[0]))).replace(tzinfo=UTC)
