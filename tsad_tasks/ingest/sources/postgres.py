"""Reads sensor tables: read-only, streamed as binary COPY of fixed-width columns, decoded in NumPy.

A value that is not a finite number travels as a mark, so that it costs only itself and can be
counted: NaN is NULL, +Infinity was NaN or infinite, -Infinity was no number at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np
import psycopg2
from numpy.typing import NDArray
from psycopg2 import extensions, sql
from sqlalchemy import create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from tsad_tasks.base.errors import AccessDenied, BadInput, SourceError, TsadError, Unavailable
from tsad_tasks.base.local_time import local_range, utc_from_local
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.sources.tables import (
    Fault,
    SourceColumn,
    TablePlan,
    source_tables,
    table_plans,
)
from tsad_tasks.storage.database import CONNECT_TIMEOUT_S

Int64 = NDArray[np.int64]
Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
Index = NDArray[np.intp]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_POSTGRES_ORIGIN_US = 946_684_800_000_000
_HOUR_US = 3_600_000_000
_UNITS_NS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_NUMBERS = {"integer", "float", "numeric"}
_NOBODY = 0
_NEVER = -(2**63)
_LARGE_ROWS = 1_000_000
_PIECE_BYTES = 8 << 20
_HEADER_BYTES, _TRAILER_BYTES = 19, 2

_NUMBER = r"^[ \t\r\n]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?[ \t\r\n]*$"
_NOT_FINITE = r"^[ \t\r\n]*[+-]?(nan|inf|infinity)[ \t\r\n]*$"
_CLAMPED = (
    "WHEN abs({c}) > 1e300 THEN 'Infinity' WHEN abs({c}) < 1e-300 THEN 0 ELSE {c}::float8 END"
)
_VALUE_EXPRESSIONS = {
    "integer": "coalesce({c}::float8, 'NaN')",
    "bool": "coalesce({c}::int::float8, 'NaN')",
    "float": "CASE WHEN abs({c}) <= 1e300 THEN {c}::float8 WHEN {c} IS NULL THEN 'NaN' ELSE "
    "'Infinity' END",
    "numeric": "CASE WHEN {c} IS NULL THEN 'NaN'::float8 WHEN {c} = 'NaN' THEN 'Infinity' "
    + _CLAMPED,
    "text": (
        "CASE WHEN {c} IS NULL OR {c}::text ~ '^[ \\t\\r\\n]*$' THEN 'NaN'::float8 "
        "WHEN {c}::text ~* {not_finite} THEN 'Infinity' "
        "WHEN length({c}::text) > 300 OR {c}::text !~ {number} THEN '-Infinity' "
        + _CLAMPED.replace("{c}", "{c}::text::numeric")
    ),
}
_HASH = "coalesce(hashtextextended(nullif({c}::text, ''), 0), 0)"
_LABEL_EXPRESSIONS = {
    "bool": "coalesce({c}, false)",
    "integer": "coalesce({c}, 0) <> 0",
    "float": "coalesce({c}, 0) <> 0",
    "numeric": "coalesce({c}, 0) <> 0",
    "text": "coalesce(lower(btrim({c}::text)) IN ('1', '1.0', 't', 'true', 'y', 'yes'), false)",
}


@dataclass(frozen=True)
class SourceRows:
    """Rows of all tables of a dataset in a time range, in any order.

    Attributes
    ----------
    times_us : (n_rows,) microseconds since 1970, UTC.
    entity : (n_rows,) position in `entity_names`; -1 where the source has none.
    updated_us : (n_rows,) grows when a row changes; equal everywhere when there is no such column.
    label : (n_rows,) known anomalies.
    values : (n_rows, n_channels) of wide tables, (n_rows,) of long ones; NaN, +Infinity and
        -Infinity are marks.
    channel : (n_rows,) of long tables: position in `channel_names`, -1 where the source has none.
    table : (n_rows,) position in `tables`.
    offered : (n_tables, n_channels) channels that the table has.
    ambiguous, nonexistent : (n_rows,) naive times that occur twice, or never.
    channel_names : the dataset's channels, then names that only the source knows.
    """

    times_us: Int64
    entity: Index
    updated_us: Int64
    label: Mask
    values: Float
    channel: Index | None
    table: Index
    offered: Mask
    ambiguous: Mask
    nonexistent: Mask
    entity_names: tuple[str, ...]
    channel_names: tuple[str, ...]
    tables: tuple[TablePlan, ...]


@dataclass(frozen=True)
class HourCount:
    """What the source holds of one hour at this moment."""

    n_rows: int
    updated_at: datetime | None

    def __add__(self, other: HourCount) -> HourCount:
        updates = [at for at in (self.updated_at, other.updated_at) if at is not None]
        return HourCount(self.n_rows + other.n_rows, max(updates, default=None))


class Source:
    """The sensor tables of one dataset over one read-only connection."""

    def __init__(self, connection: extensions.connection, config: DatasetConfig) -> None:
        self._connection = connection
        self._config = config
        self._names: dict[int, str] = {}
        with self.snapshot() as cursor:
            plans, faults = table_plans(config, source_tables(cursor, config))
            self._learn(
                cursor,
                list(config.source.channel_columns().values())
                if config.source.shape == "long"
                else [],
            )
        self.plans: tuple[TablePlan, ...] = tuple(plans)
        self.faults: tuple[Fault, ...] = tuple(faults)

    @contextmanager
    def snapshot(self) -> Iterator[extensions.cursor]:
        """A read-only transaction in which everything is seen as of one moment."""
        with explained_errors(), self._connection.cursor() as cursor:
            try:
                timeout_ms = self._config.source.statement_timeout_s * 1000
                cursor.execute(
                    "SET LOCAL statement_timeout = %s; SET LOCAL timezone = 'UTC'", (timeout_ms,)
                )
                yield cursor
            finally:
                if not self._connection.closed:
                    self._connection.rollback()

    def read(self, start_us: int, end_us: int, known_entities: Iterable[str] = ()) -> SourceRows:
        """Rows with a time in [start_us, end_us), of all tables, as of one moment.

        Parameters
        ----------
        known_entities : names that the source probably uses; others cost one more query.
        """
        with self.snapshot() as cursor:
            if self._config.source.entity.column is not None:
                self._learn(cursor, sorted(set(known_entities) - set(self._names.values())))
            parts = [_copied(cursor, self._config, plan, start_us, end_us) for plan in self.plans]
            for plan, part in zip(self.plans, parts, strict=True):
                self._learn_new(cursor, plan, part, start_us, end_us)
        return self._assembled(parts, start_us, end_us)

    def count_null_times(self, *, cheaply: bool = False) -> int:
        """Rows without a time: they belong to no interval.

        Parameters
        ----------
        cheaply : leave out views, and large tables without an index on the time.
        """
        asked = [
            plan
            for plan in self.plans
            if not plan.time.is_required and (not cheaply or _is_cheap(plan))
        ]
        counts = [
            sql.SQL("SELECT count(*) AS n FROM {} WHERE {} IS NULL").format(
                _name(plan), _column(plan.time)
            )
            for plan in asked
        ]
        if not counts:
            return 0
        with self.snapshot() as cursor:
            cursor.execute(
                sql.SQL("SELECT sum(n) FROM ({}) AS u").format(sql.SQL(" UNION ALL ").join(counts))
            )
            return int(cast("tuple[Any]", cursor.fetchone())[0])

    def count_hours(self, start_us: int, end_us: int) -> dict[int, HourCount]:
        """What the source holds now, by hour (microseconds since 1970); hours without rows are
        absent.
        """
        found: dict[int, HourCount] = {}
        with self.snapshot() as cursor:
            for plan in self.plans:
                cursor.execute(_count_statement(self._config, plan, start_us, end_us))
                for hour_us, count in _hour_counts(self._config, plan, cursor.fetchall()):
                    if start_us <= hour_us < end_us:
                        found[hour_us] = found[hour_us] + count if hour_us in found else count
        return found

    def time_bounds(self, plan: TablePlan) -> tuple[datetime | None, datetime | None]:
        """Oldest and newest time of one table, in UTC."""
        known = (
            "{c} IS NOT NULL"
            if plan.time.family in _NUMBERS
            else "{c} < 'infinity' AND {c} > '-infinity'"
        )
        column, condition = _column(plan.time), _expression(known, plan.time.name)
        raw = sql.SQL("SELECT min({c}), max({c}) FROM {t} WHERE {known}").format(
            c=column, t=_name(plan), known=condition
        )
        with self.snapshot() as cursor:
            cursor.execute(raw)
            found = cast("tuple[Any, Any]", cursor.fetchone())
        low, high = (_as_utc(self._config, plan.time, value) for value in found)
        return low, high

    def _learn(self, cursor: extensions.cursor, names: Sequence[str]) -> None:
        if names:
            statement = "SELECT hashtextextended(name, 0), name FROM unnest(%s::text[]) AS name"
            cursor.execute(statement, (list(names),))
            self._names.update(cast("list[tuple[int, str]]", cursor.fetchall()))

    def _learn_new(
        self,
        cursor: extensions.cursor,
        plan: TablePlan,
        part: dict[str, Any],
        start_us: int,
        end_us: int,
    ) -> None:
        for kind, column in (
            ("entity", self._config.source.entity.column),
            ("channel", self._config.source.channel_column),
        ):
            hashes = np.unique(part[kind]) if column and kind in part else np.zeros(0, np.int64)
            new = [
                int(value)
                for value in hashes
                if int(value) != _NOBODY and int(value) not in self._names
            ]
            if not new or column is None:
                continue
            statement = sql.SQL(
                "SELECT DISTINCT hashtextextended({c}::text, 0), {c}::text FROM {t} "
                "WHERE {where} AND hashtextextended({c}::text, 0) = ANY({new})"
            ).format(
                c=sql.Identifier(column),
                t=_name(plan),
                new=sql.Literal(new),
                where=_range(self._config, plan.time, start_us, end_us),
            )
            cursor.execute(statement)
            self._names.update(cast("list[tuple[int, str]]", cursor.fetchall()))

    def _assembled(self, parts: Sequence[dict[str, Any]], start_us: int, end_us: int) -> SourceRows:
        parts = [
            _in_range(self._config, plan, part, start_us, end_us)
            for plan, part in zip(self.plans, parts, strict=True)
        ]
        n_rows = [len(part["time"]) for part in parts]
        is_long = self._config.source.shape == "long"
        entity, entity_names = self._entities(parts, n_rows)
        channel, channel_names = (
            self._channels(parts) if is_long else (None, tuple(self._config.channel_names))
        )
        offered = np.full((len(parts), len(self._config.channel_names)), is_long)
        for row, plan in zip(offered, self.plans, strict=True):
            row[[position for position, _ in plan.channels]] = True
        return SourceRows(
            times_us=_joined(parts, "time"),
            entity=entity,
            updated_us=_joined(parts, "updated"),
            label=_joined(parts, "label"),
            values=_joined(parts, "value") if is_long else _wide(self.plans, parts, offered),
            channel=channel,
            table=np.repeat(np.arange(len(parts)), n_rows),
            offered=offered,
            ambiguous=_joined(parts, "ambiguous"),
            nonexistent=_joined(parts, "nonexistent"),
            entity_names=entity_names,
            channel_names=channel_names,
            tables=self.plans,
        )

    def _entities(
        self, parts: Sequence[dict[str, Any]], n_rows: Sequence[int]
    ) -> tuple[Index, tuple[str, ...]]:
        if self._config.source.entity.column is None:
            names = tuple(sorted({str(plan.entity) for plan in self.plans}))
            positions = [names.index(str(plan.entity)) for plan in self.plans]
            return np.repeat(np.array(positions, np.intp), n_rows), names
        return self._positions(_joined(parts, "entity"), ())

    def _channels(self, parts: Sequence[dict[str, Any]]) -> tuple[Index, tuple[str, ...]]:
        columns = list(self._config.source.channel_columns().values())
        positions, names = self._positions(_joined(parts, "channel"), columns)
        return positions, (*self._config.channel_names, *names[len(columns) :])

    def _positions(self, hashes: Int64, first: Sequence[str]) -> tuple[Index, tuple[str, ...]]:
        """Position of each row's name in the names, which begin with `first`."""
        found, at = np.unique(hashes, return_inverse=True)
        found_names = [
            None if value == _NOBODY else self._names[int(value)] for value in found.tolist()
        ]
        names = [*first, *sorted({name for name in found_names if name is not None} - set(first))]
        position = {name: i for i, name in enumerate(names)}
        of_found = np.array(
            [-1 if name is None else position[name] for name in found_names], np.intp
        )
        return of_found[at], tuple(names)


@contextmanager
def open_source(uri: str, config: DatasetConfig) -> Iterator[Source]:
    """The dataset's source tables, looked at anew.

    Raises
    ------
    AccessDenied
        The server refused the login, or the login may not read.
    Unavailable
        The server did not answer, or a statement took longer than its timeout.
    SourceError
        The database, or every table, is not what the dataset file says.
    """
    connection = connect_source(uri, read_only=True)
    try:
        yield Source(connection, config)
    finally:
        connection.close()


def connect_source(uri: str, *, read_only: bool) -> extensions.connection:
    """A new connection to the source's database. The engine is made anew, so that a changed
    password counts at once.
    """
    url = _url(uri)
    options = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "tsad"}
    engine = create_engine(url, poolclass=NullPool, connect_args=options)
    try:
        pooled = engine.raw_connection()
    except psycopg2.OperationalError as error:
        raise _refused(url, error) from None
    connection = cast("extensions.connection", pooled.driver_connection)
    pooled.detach()
    connection.set_session(
        isolation_level="REPEATABLE READ" if read_only else "READ COMMITTED", readonly=read_only
    )
    return connection


def _name(plan: TablePlan) -> sql.Composable:
    return sql.Identifier(plan.table.schema, plan.table.name)


def _is_cheap(plan: TablePlan) -> bool:
    return plan.time.has_index or (
        plan.table.may_have_index and plan.table.n_rows_estimate < _LARGE_ROWS
    )


def _column(column: SourceColumn) -> sql.Composable:
    return sql.Identifier(column.name)


def _range(config: DatasetConfig, time: SourceColumn, start_us: int, end_us: int) -> sql.Composable:
    """Predicate on the bare time column, so that its index serves; wider than asked for naive times
    and dates.
    """
    low, high = (sql.Literal(bound) for bound in _bounds(config, time, start_us, end_us))
    return sql.SQL("{c} >= {low} AND {c} < {high}").format(c=_column(time), low=low, high=high)


def _bounds(
    config: DatasetConfig, time: SourceColumn, start_us: int, end_us: int
) -> tuple[Any, Any]:
    if time.family in _NUMBERS:
        unit_ns = _UNITS_NS[config.source.time.unit or "s"]
        return -(-start_us * 1000 // unit_ns), -(-end_us * 1000 // unit_ns)
    if time.family == "timestamptz":
        start, end = (
            _EPOCH + timedelta(microseconds=start_us),
            _EPOCH + timedelta(microseconds=end_us),
        )
        return start.replace(tzinfo=UTC), end.replace(tzinfo=UTC)
    low_us, high_us = local_range(start_us, end_us, ZoneInfo(config.source.time.zone))
    low, high = _EPOCH + timedelta(microseconds=low_us), _EPOCH + timedelta(microseconds=high_us)
    return (
        (low, high) if time.family == "timestamp" else (low.date(), high.date() + timedelta(days=1))
    )


@dataclass(frozen=True)
class _Field:
    """One fixed-width column of a COPY, or as many as `n` says."""

    name: str
    expressions: list[sql.Composable]
    kind: str

    @property
    def dtype(self) -> tuple[str, Any, Any]:
        element = [("length", ">i4"), ("content", self.kind)]
        return self.name, element, (len(self.expressions),)


def _fields(config: DatasetConfig, plan: TablePlan) -> list[_Field]:
    source = config.source
    fields = [_Field("time", [_time_expression(config, plan.time)], ">i8")]
    for name, column in (("entity", source.entity.column), ("channel", source.channel_column)):
        if column is not None:
            fields.append(_Field(name, [_expression(_HASH, column)], ">i8"))
    if plan.updated_at is not None:
        template = (
            "coalesce({c}::int8, {never})"
            if plan.updated_at.family == "integer"
            else "coalesce({c}, '-infinity')"
        )
        fields.append(_Field("updated", [_expression(template, plan.updated_at.name)], ">i8"))
    if plan.label is not None and plan.label.family in _LABEL_EXPRESSIONS:
        fields.append(
            _Field(
                "label", [_expression(_LABEL_EXPRESSIONS[plan.label.family], plan.label.name)], "?"
            )
        )
    columns = [plan.value] if plan.value is not None else [column for _, column in plan.channels]
    values = [_expression(_VALUE_EXPRESSIONS[column.family], column.name) for column in columns]
    return [*fields, _Field("value", values, ">f8")]


def _expression(template: str, column: str) -> sql.Composable:
    number, not_finite, never = sql.Literal(_NUMBER), sql.Literal(_NOT_FINITE), sql.Literal(_NEVER)
    return sql.SQL(template).format(
        c=sql.Identifier(column), number=number, not_finite=not_finite, never=never
    )


def _time_expression(config: DatasetConfig, time: SourceColumn) -> sql.Composable:
    if time.family == "integer":
        return _expression("{c}::int8", time.name)
    if time.family in _NUMBERS:
        us_per_unit = sql.Literal(_UNITS_NS[config.source.time.unit or "s"] / 1000)
        return sql.SQL("floor({c}::numeric * {us})::int8").format(c=_column(time), us=us_per_unit)
    return _expression("{c}::timestamp" if time.family == "date" else "{c}", time.name)


class _Decoder:
    """A file for COPY to write to: bytes of fixed-width rows in, columns of native numbers out,
    piece by piece.
    """

    def __init__(self, fields: Sequence[_Field]) -> None:
        self._fields = fields
        self._dtype = np.dtype([("n_fields", ">i2"), *(field.dtype for field in fields)])
        self._buffer = bytearray()
        self._to_skip = _HEADER_BYTES
        self._pieces: list[dict[str, NDArray[Any]]] = []

    def write(self, chunk: bytes) -> int:
        self._buffer += chunk
        if len(self._buffer) >= _PIECE_BYTES:
            self._take()
        return len(chunk)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Columns by name, (n_rows,), and `value` (n_rows, n_values)."""
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
        self._pieces.append(
            {field.name: _native(rows[field.name]["content"]) for field in self._fields}
        )
        del self._buffer[:end]
        self._to_skip = 0


def _native(column: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(column.astype(column.dtype.newbyteorder("=")))


def _copied(
    cursor: extensions.cursor, config: DatasetConfig, plan: TablePlan, start_us: int, end_us: int
) -> dict[str, NDArray[Any]]:
    fields = _fields(config, plan)
    expressions = [expression for field in fields for expression in field.expressions]
    statement = sql.SQL(
        "COPY (SELECT {columns} FROM {table} WHERE {where}) TO STDOUT (FORMAT binary)"
    ).format(
        columns=sql.SQL(", ").join(expressions),
        table=_name(plan),
        where=_range(config, plan.time, start_us, end_us),
    )
    decoder = _Decoder(fields)
    cursor.copy_expert(statement, decoder)
    columns = decoder.columns()
    content = columns.pop("value")
    scalars = {name: column[:, 0] for name, column in columns.items()}
    defaults = {"updated": np.zeros(len(content), np.int64), "label": np.zeros(len(content), bool)}
    return {**defaults, **scalars, "value": content if plan.value is None else content[:, 0]}


def _in_range(
    config: DatasetConfig,
    plan: TablePlan,
    part: dict[str, NDArray[Any]],
    start_us: int,
    end_us: int,
) -> dict[str, NDArray[Any]]:
    """The part's rows in [start_us, end_us), their times in UTC."""
    times_us, ambiguous, nonexistent = _utc_times(config, plan.time, part["time"])
    part = {**part, "time": times_us, "ambiguous": ambiguous, "nonexistent": nonexistent}
    kept = (times_us >= start_us) & (times_us < end_us)
    return part if kept.all() else {name: column[kept] for name, column in part.items()}


def _utc_times(config: DatasetConfig, time: SourceColumn, raw: Int64) -> tuple[Int64, Mask, Mask]:
    nothing = np.zeros(len(raw), bool)
    if time.family == "integer":
        unit_ns = _UNITS_NS[config.source.time.unit or "s"]
        return (raw * (unit_ns // 1000) if unit_ns >= 1000 else raw // 1000), nothing, nothing
    if time.family in _NUMBERS:
        return raw, nothing, nothing
    if time.family == "timestamptz":
        return raw + _POSTGRES_ORIGIN_US, nothing, nothing
    found = utc_from_local(
        raw + _POSTGRES_ORIGIN_US, ZoneInfo(config.source.time.zone), config.source.time.ambiguous
    )
    return found.times_us, found.ambiguous, found.nonexistent


def _joined(parts: Sequence[dict[str, NDArray[Any]]], name: str) -> NDArray[Any]:
    return np.concatenate([part[name] for part in parts])


def _wide(
    plans: Sequence[TablePlan], parts: Sequence[dict[str, NDArray[Any]]], offered: Mask
) -> Float:
    if len(parts) == 1 and offered.all():
        return cast("Float", parts[0]["value"])
    values = np.full((sum(len(part["time"]) for part in parts), offered.shape[1]), np.nan)
    end = 0
    for plan, part in zip(plans, parts, strict=True):
        start, end = end, end + len(part["time"])
        values[start:end, [position for position, _ in plan.channels]] = part["value"]
    return values


# Zones change their offset at whole quarters of an hour, so a quarter of wall-clock time lies in
# one UTC hour.
_QUARTER_US = 900_000_000


def _count_statement(
    config: DatasetConfig, plan: TablePlan, start_us: int, end_us: int
) -> sql.Composable:
    if plan.time.family in _NUMBERS:
        quarter = sql.Literal(_QUARTER_US * 1000 // _UNITS_NS[config.source.time.unit or "s"])
        bucket: sql.Composable = sql.SQL("floor({c}::numeric / {quarter})::int8").format(
            c=_column(plan.time), quarter=quarter
        )
    else:
        bucket = _expression("floor(extract(epoch FROM {c}) / 900)::int8", plan.time.name)
    has_clock = plan.updated_at is not None and plan.updated_at.family in {
        "timestamptz",
        "timestamp",
    }
    newest = (
        sql.SQL("max({})").format(_column(plan.updated_at))
        if has_clock and plan.updated_at
        else sql.SQL("NULL")
    )
    return sql.SQL(
        "SELECT {bucket}, count(*), {newest} FROM {table} WHERE {where} GROUP BY 1"
    ).format(
        bucket=bucket,
        newest=newest,
        table=_name(plan),
        where=_range(config, plan.time, start_us, end_us),
    )


def _hour_counts(
    config: DatasetConfig, plan: TablePlan, rows: Sequence[tuple[Any, ...]]
) -> Iterator[tuple[int, HourCount]]:
    quarters_us = np.array([row[0] for row in rows], np.int64) * _QUARTER_US
    if plan.time.family in {"timestamp", "date"}:
        zone = ZoneInfo(config.source.time.zone)
        quarters_us = utc_from_local(quarters_us, zone, config.source.time.ambiguous).times_us
    for us, (_, n_rows, updated_at) in zip(quarters_us.tolist(), rows, strict=True):
        at = (
            None
            if updated_at is None or plan.updated_at is None
            else _as_utc(config, plan.updated_at, updated_at)
        )
        yield us // _HOUR_US * _HOUR_US, HourCount(n_rows, at)


def _as_utc(config: DatasetConfig, column: SourceColumn, value: Any) -> datetime | None:
    """A single time of the source, in UTC."""
    if value is None:
        return None
    if column.family == "timestamptz":
        return cast("datetime", value).astimezone(UTC)
    if column.family in _NUMBERS:
        return datetime.fromtimestamp(
            float(value) * _UNITS_NS[config.source.time.unit or "s"] / 1e9, UTC
        )
    naive = datetime.combine(value, time()) if column.family == "date" else cast("datetime", value)
    local_us = (naive - _EPOCH) // timedelta(microseconds=1)
    found = utc_from_local(
        np.array([local_us]), ZoneInfo(config.source.time.zone), config.source.time.ambiguous
    )
    return (_EPOCH + timedelta(microseconds=int(found.times_us[0]))).replace(tzinfo=UTC)


_LIBPQ = re.compile(
    r"^(ssl\w+|gss\w+|keepalives\w*|connect_timeout|target_session_attrs|options|channel_binding|service)$"
)


def _url(uri: str) -> URL:
    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        url = None
    if url is None or not re.fullmatch(r"postgres(ql)?(\+\w+)?", url.drivername):
        # The text itself is not shown: it may hold a password.
        raise BadInput(
            "Expected the source connection as a URI such as "
            "postgresql://user:password@host:5432/database. "
            "Received: something else (not shown, it may hold a password)."
        )
    known = {name: value for name, value in url.query.items() if _LIBPQ.match(name)}
    return url.set(drivername="postgresql+psycopg2", query=known)


def _refused(url: URL, error: psycopg2.OperationalError) -> TsadError:
    said = " ".join(str(error).split())
    if url.password:
        said = said.replace(str(url.password), "***")
    where = url.set(drivername="postgresql").render_as_string(hide_password=True)
    if re.search(
        r"authenti|password|pg_hba|role .* does not exist|permission denied", said, re.IGNORECASE
    ):
        return AccessDenied(
            f"Expected a login that {where} accepts. Received: {said}. Check user and password of "
            "the source "
            "connection; it is read anew on each run."
        )
    if re.search(r"database .* does not exist", said):
        near = ", ".join(_databases(url))
        return SourceError(
            f"Expected a database that exists at {where}. Received: {url.database!r}. There is: "
            f"{near}."
        )
    return Unavailable(f"Expected a PostgreSQL server at {where}. Received: {said}")


def _databases(url: URL) -> list[str]:
    """Databases of the server that `url` names, as far as its login may look."""
    try:
        connection = psycopg2.connect(
            host=url.host,
            port=url.port,
            user=url.username,
            password=url.password,
            dbname="postgres",
            connect_timeout=5,
        )
    except psycopg2.Error:
        return ["unknown (this login may not look)"]
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY "
                "1 LIMIT 20"
            )
            return [str(row[0]) for row in cursor.fetchall()]
    finally:
        connection.close()


@contextmanager
def explained_errors() -> Iterator[None]:
    """What Postgres says, as the error family that decides between failing and trying again."""
    try:
        yield
    except psycopg2.errors.QueryCanceled as error:
        raise Unavailable(
            "Expected the source to answer within source.statement_timeout. Received: no answer in "
            "time. "
            "`tsad datasets check` says whether the time column lacks an index."
        ) from error
    except psycopg2.errors.InsufficientPrivilege as error:
        raise AccessDenied(
            f"Expected a login that may read the source tables. Received: {_first_line(error)}"
        ) from error
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise Unavailable(
            f"Expected the source to answer. Received: {_first_line(error)}"
        ) from error
    except psycopg2.Error as error:
        raise SourceError(
            f"Expected rows from the source. Received: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
