"""Which tables a dataset means, what is in them, and how each is to be read.

What is missing costs as little as possible: a channel column costs that channel, a time or entity
column that table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, get_args

from psycopg2 import extensions, sql

from tsad_tasks.base.errors import SourceError
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.sources.base import SourceFault, SourceTable, Tag

Family = Literal[
    "integer",
    "float",
    "real",
    "numeric",
    "bool",
    "text",
    "timestamptz",
    "timestamp",
    "date",
    "json",
    "other",
]

NUMBERS = {"integer", "float", "real", "numeric"}
CLOCKS = {"timestamptz", "timestamp", "date"}
_QUERIES = Path(__file__).parents[4] / "sql" / "source"
_FAMILIES: dict[str, Family] = {
    "int2": "integer", "int4": "integer", "int8": "integer", "float4": "real", "float8": "float",
    "numeric": "numeric", "bool": "bool", "timestamptz": "timestamptz", "timestamp": "timestamp",
    "date": "date", "json": "json", "jsonb": "json",
}  # fmt: skip
_ANY = set(get_args(Family))
_VALUES = {*NUMBERS, "bool", "text", "json"}
_PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')


@dataclass(frozen=True)
class SourceColumn:
    """A column: its type's family, whether an index begins with it, and the type as SQL has it."""

    name: str
    family: Family
    is_required: bool
    has_index: bool
    type_name: str


@dataclass(frozen=True)
class FoundTable:
    """A table or view of the database, or what a query gives.

    Attributes
    ----------
    relation : what stands behind FROM.
    """

    schema: str
    name: str
    is_readable: bool
    may_have_index: bool
    n_rows_estimate: int
    columns: Mapping[str, SourceColumn]
    relation: sql.Composable

    @property
    def title(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name

    def received(self, wanted: str = "") -> str:
        """Its columns as the end of a message, with the one that may have been meant."""
        near = get_close_matches(wanted, self.columns, 1) if wanted else []
        n_more = len(self.columns) - 12
        shown = ", ".join([*self.columns][:12]) + (f" and {n_more} more" if n_more > 0 else "")
        return f"Received: {shown}." + (f" Did you mean {near[0]}?" if near else "")


@dataclass(frozen=True, kw_only=True)
class TablePlan(SourceTable):
    """How one table is read.

    `columns` are those of `channels`; of a long table there are none, but `values`, of which the
    first that is not NULL counts. `series` together name a series; there are none where columns
    name entity and channel.
    """

    table: FoundTable
    time: SourceColumn
    nanoseconds: SourceColumn | None
    series: tuple[SourceColumn, ...]
    columns: tuple[SourceColumn, ...]
    values: tuple[SourceColumn, ...]
    quality: SourceColumn | None
    updated_at: SourceColumn | None
    label: SourceColumn | None


def tables_named(
    cursor: extensions.cursor, names: Sequence[str], not_read: Sequence[str] = ()
) -> list[FoundTable]:
    """All tables and views that names and patterns match, but those of `not_read`, in one query.

    Raises `SourceError` when none matches; the message names similar ones.
    """
    patterns = [[like_pattern(part) for part in split_name(name)] for name in names]
    params = {
        "schemas": [schema for schema, _ in patterns],
        "names": [table for _, table in patterns],
        "globs": ["*" in name for name in names],
    }
    cursor.execute(_QUERIES.joinpath("select_columns.sql").read_text(encoding="utf-8"), params)
    tables: dict[tuple[str, str], FoundTable] = {}
    columns: dict[tuple[str, str], dict[str, SourceColumn]] = {}
    left_out = [split_name(name) for name in not_read]
    for row in cursor.fetchall():
        if any(fnmatchcase(row[0], schema or "*") and fnmatchcase(row[1], name)
               for schema, name in left_out):  # fmt: skip
            continue
        key, column = (row[0], row[1]), SourceColumn(row[5], family(*row[6:8]), *row[8:])
        columns.setdefault(key, {})[column.name] = column
        relation = sql.Identifier(*key)
        schema, name, is_readable, may_have_index, n_rows = row[:5]
        found = schema, name, is_readable, may_have_index, n_rows
        tables[key] = FoundTable(*found, columns[key], relation)
    if tables:
        return list(tables.values())
    cursor.execute(_QUERIES.joinpath("select_table_names.sql").read_text(encoding="utf-8"))
    known = [str(row[0]) for row in cursor.fetchall()]
    wanted = [name if "." in name else f"public.{name}" for name in names]
    near = [match for name in wanted for match in get_close_matches(name, known, 3)] or known[:5]
    hint = f"Similar: {', '.join(near)}." if near else "There is no table that this login may see."
    raise SourceError(
        f"Expected a table or view that matches {', '.join(names)}. Received: none. {hint}"
    )


def like_pattern(pattern: str) -> str:
    """A pattern with * as LIKE has it.

    >>> like_pattern("pump_*")
    'pump\\\\_%'
    """
    return re.sub(r"([\\%_])", r"\\\1", pattern).replace("*", "%")


def family(type_name: str, category: str) -> Family:
    """Of a type of Postgres, by its name and category."""
    return _FAMILIES.get(type_name, "text" if category in "SE" else "other")


def split_name(name: str) -> tuple[str, str]:
    """Schema ('' if not said) and name of a table; a part with dots stands in double quotes.

    >>> split_name("plant.machine_*"), split_name('"odd.name"')
    (('plant', 'machine_*'), ('', 'odd.name'))
    """
    parts = [(quoted or plain).replace('""', '"') for quoted, plain in _PART.findall(name)]
    if not 1 <= len(parts) <= 2:
        wanted = 'a table such as plant.machine or "odd.schema"."odd.table"'
        raise SourceError(f"Expected {wanted}. Received: {name!r}.")
    return (parts[0], parts[1]) if len(parts) == 2 else ("", parts[0])


def table_plans(
    config: DatasetConfig, tables: Sequence[FoundTable], tags: Sequence[Tag] = ()
) -> tuple[list[TablePlan], list[SourceFault]]:
    """How each table is read, and the tables that cannot be. Of `tags` those series are read.

    Raises `SourceError` when none can be read.
    """
    plans: list[TablePlan] = []
    faults: list[SourceFault] = []
    found = {table.name for table in tables} | {table.title for table in tables}
    for name in config.source.table_names:
        if "*" not in name and ".".join(filter(None, split_name(name))) not in found:
            detail = "Expected this table. Received: none of that name."
            faults.append(SourceFault(name, "unusable_table", detail))
    for table in tables:
        if reason := _unusable(config, table):
            faults.append(SourceFault(table.title, "unusable_table", reason))
        else:
            plans.append(_plan(config, table, tags))
    if not plans:
        raise SourceError(*(f"{fault.table}: {fault.detail}" for fault in faults[:5]))
    return plans, faults


def _unusable(config: DatasetConfig, table: FoundTable) -> str:
    """Why nothing of the table can be read; empty where something can."""
    source, time, entity = config.source, config.source.time, config.source.entity
    needed = [("time column", time.column), ("entity column", entity.column)]
    needed += [("nanoseconds column", time.nanoseconds), ("column", source.channel_column)]
    needed += [("column", name) for name in (*source.value_columns, *source.series_columns)]
    needed += [("column", name) for name in source.rows_where]
    needed.append(("event_id column", source.event_id))
    if source.quality is not None:
        needed.append(("quality column", source.quality.column))
    family = table.columns[time.column].family if time.column in table.columns else None
    if family in NUMBERS and time.unit is None:
        wanted = f"time.unit (s, ms, us or ns) for the number column {time.column}"
        return f"Expected {wanted}. Received: nothing."
    if family == "real":
        wanted = f"times exact to the second in the time column {time.column}"
        return f"Expected {wanted}. Received: real, which is exact to 128 s (use float8)."
    if family is not None and family not in NUMBERS | CLOCKS:
        wanted = f"a timestamp, a date or a number in the time column {time.column}"
        return f"Expected {wanted}. Received: {table.columns[time.column].type_name}."
    for what, name in needed:
        if name is not None and name not in table.columns:
            return f"Expected the {what} {name}. {table.received(name)}"
    if entity.from_table is not None and entity.name_in(table.name) is None:
        wanted = f"a name that matches entity.from_table {entity.from_table!r} as a whole"
        return f"Expected {wanted}. Received: {table.name}."
    for name in source.value_columns:
        if table.columns[name].family not in _VALUES:
            return f"Expected numbers in {name}. Received: {table.columns[name].type_name}."
    for name, kinds, wanted in _kinds(config):
        if table.columns[name].family not in kinds:
            return f"Expected {wanted} in {name}. Received: {table.columns[name].type_name}."
    if not table.is_readable:
        return "Expected a login that may read it. Received: permission denied."
    columns = source.channel_columns().values()
    events = {
        source.channel_columns()[name] for name, one in source.channels.items() if one.counts_events
    }
    if source.shape == "wide" and not any(
        name in table.columns and (table.columns[name].family in _VALUES or name in events)
        for name in columns
    ):
        return f"Expected at least one of the columns {', '.join(columns)}. {table.received()}"
    return ""


def _kinds(config: DatasetConfig) -> Iterator[tuple[str, set[str], str]]:
    """Columns that must be of a kind: name, families, and the kind in words."""
    if (nanoseconds := config.source.time.nanoseconds) is not None:
        yield nanoseconds, {"integer"}, "whole numbers"
    if (quality := config.source.quality) is not None:
        has_ranges = any(isinstance(code, tuple) for code in quality.good)
        kinds = NUMBERS if has_ranges else {*NUMBERS, "bool", "text"}
        yield quality.column, kinds, "numbers" if has_ranges else "numbers, truths or texts"


def _chosen(config: DatasetConfig, table: FoundTable, tags: Sequence[Tag]) -> FoundTable:
    """The table, of which only the rows of these series, and of `rows_where`, are there."""
    wanted: dict[str, list[Any]] = {}
    for name, words in config.source.rows_where.items():
        wanted[name] = words if isinstance(words, list) else [words]
    for at, name in enumerate(config.source.series_columns):
        wanted[name] = sorted({tag.series[at] for tag in tags})
    if not wanted:
        return table
    conditions = [
        sql.SQL("{} = ANY({})").format(sql.Identifier(name), sql.Literal(array_text(words)))
        for name, words in wanted.items()
    ]
    text = sql.SQL("(SELECT * FROM {table} WHERE {conditions}) AS chosen")
    rows = text.format(table=table.relation, conditions=sql.SQL(" AND ").join(conditions))
    # Which index serves is for the planner to say.
    return replace(table, relation=rows, may_have_index=False)


def array_text(words: Sequence[Any]) -> str:
    """An array as Postgres reads it, of a type that what it is compared with decides.

    >>> array_text([1, "a, b", True])
    '{"1","a, b","true"}'
    """
    texts = (str(one).lower() if isinstance(one, bool) else str(one) for one in words)
    escaped = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join(f'"{text}"' for text in escaped) + "}"


def _plan(config: DatasetConfig, table: FoundTable, tags: Sequence[Tag]) -> TablePlan:
    source, faults = config.source, list[SourceFault]()

    def usable(
        name: str | None, families: set[str], expected: str, channel: str = ""
    ) -> SourceColumn | None:
        column = table.columns.get(name or "")
        if column is None and name is not None:
            detail = f"Expected the column {name}. {table.received(name)}"
            faults.append(SourceFault(table.title, "missing_column", detail, channel))
        if column is not None and column.family not in families:
            detail = f"{name}: Expected {expected}. Received: {column.type_name}."
            faults.append(SourceFault(table.title, "not_numeric_column", detail, channel))
            return None
        return column

    names = {} if source.shape == "long" else source.channel_columns()
    # Of events only that there is a row counts, whatever the column holds.
    channels = [
        usable(column, _ANY if source.channels[name].counts_events else _VALUES, "numbers", name)
        for name, column in names.items()
    ]
    label = usable(source.label, _VALUES - {"json"}, "a truth, a number or a text")
    updates = {"timestamptz", "timestamp", "integer"}
    updated_at = usable(source.updated_at, updates, "a timestamp or an integer")
    entity = source.entity
    used = {source.time.column, source.time.nanoseconds, entity.column, source.channel_column}
    used |= {*source.value_columns, *source.series_columns, *source.rows_where}
    used |= {source.event_id, source.updated_at, source.label, *source.channel_columns().values()}
    quality = source.quality and source.quality.column
    return TablePlan(
        table.title,
        entity.constant if entity.from_table is None else entity.name_in(table.name),
        tuple(position for position, column in enumerate(channels) if column),
        tuple(faults),
        tuple(name for name in table.columns if name not in {*used, quality}),
        table=_chosen(config, table, tags),
        time=table.columns[source.time.column],
        nanoseconds=table.columns[source.time.nanoseconds] if source.time.nanoseconds else None,
        series=tuple(table.columns[name] for name in source.series_columns),
        columns=tuple(column for column in channels if column),
        values=tuple(table.columns[name] for name in source.value_columns),
        quality=table.columns[quality] if quality else None,
        updated_at=updated_at,
        label=label,
    )
