"""Which source tables a dataset means, what is in them, and how each is to be read.

What is missing costs as little as possible: a channel column costs that channel, a time or entity
column that table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal

from psycopg2 import extensions

from tsad_tasks.base.errors import SourceError
from tsad_tasks.config import DatasetConfig

Family = Literal[
    "integer", "float", "numeric", "bool", "text", "timestamptz", "timestamp", "date", "other"
]

_QUERIES = Path(__file__).parents[3] / "sql" / "source"
_FAMILIES: dict[str, Family] = {
    "int2": "integer",
    "int4": "integer",
    "int8": "integer",
    "float4": "float",
    "float8": "float",
    "numeric": "numeric",
    "bool": "bool",
    "timestamptz": "timestamptz",
    "timestamp": "timestamp",
    "date": "date",
}
_VALUES = {"integer", "float", "numeric", "bool", "text"}
_NUMBERS = {"integer", "float", "numeric"}
_UPDATES = {"timestamptz", "timestamp", "integer"}
_PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')


@cache
def source_query(name: str) -> str:
    """The statement of `sql/source/<name>.sql`."""
    return _QUERIES.joinpath(f"{name}.sql").read_text(encoding="utf-8")


@dataclass(frozen=True)
class SourceColumn:
    """A column: its type's family, and whether an index begins with it."""

    name: str
    family: Family
    is_required: bool
    has_index: bool


@dataclass(frozen=True)
class SourceTable:
    """A table or view of the source."""

    schema: str
    name: str
    is_readable: bool
    may_have_index: bool
    n_rows_estimate: int
    columns: Mapping[str, SourceColumn]

    @property
    def title(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class Fault:
    """Something of a table that cannot be used: the issue's name, whom it costs, and what to do."""

    table: str
    issue: Literal["unusable_table", "missing_column", "not_numeric_column"]
    detail: str
    channel: str = ""


@dataclass(frozen=True)
class TablePlan:
    """How one table is read.

    `channels` holds position and column of the channels that it has; of a long table, none.
    """

    table: SourceTable
    time: SourceColumn
    entity: str | None
    channels: tuple[tuple[int, SourceColumn], ...]
    value: SourceColumn | None
    updated_at: SourceColumn | None
    label: SourceColumn | None
    faults: tuple[Fault, ...] = field(default=())


def source_tables(cursor: extensions.cursor, config: DatasetConfig) -> list[SourceTable]:
    """All tables and views that the dataset's names and patterns match, in one query.

    Raises
    ------
    SourceError
        None matches; the message names similar ones.
    """
    parts = [split_name(name) for name in config.source.table_names]
    params = {
        "schemas": [_like(schema) for schema, _ in parts],
        "names": [_like(name) for _, name in parts],
        "globs": ["*" in name for _, name in parts],
    }
    cursor.execute(source_query("select_columns"), params)
    tables = _grouped(cursor.fetchall())
    if not tables:
        raise SourceError(_no_table(cursor, config.source.table_names))
    return tables


def _grouped(rows: Iterable[tuple[Any, ...]]) -> list[SourceTable]:
    tables: dict[tuple[str, str], SourceTable] = {}
    for (
        schema,
        name,
        readable,
        indexable,
        n_rows,
        column,
        type_name,
        category,
        required,
        indexed,
    ) in rows:
        family = _FAMILIES.get(type_name, "text" if category in "SE" else "other")
        columns = {column: SourceColumn(column, family, required, indexed)}
        before = tables.get((schema, name))
        columns = {**before.columns, **columns} if before else columns
        tables[schema, name] = SourceTable(schema, name, readable, indexable, n_rows, columns)
    return list(tables.values())


def _no_table(cursor: extensions.cursor, names: Sequence[str]) -> str:
    cursor.execute(source_query("select_table_names"))
    found = [str(row[0]) for row in cursor.fetchall()]
    wanted = [name if "." in name else f"public.{name}" for name in names]
    near = [match for name in wanted for match in get_close_matches(name, found, 3)] or found[:5]
    hint = f"Similar: {', '.join(near)}." if near else "There is no table that this login may see."
    return f"Expected a table or view that matches {', '.join(names)}. Received: none. {hint}"


def split_name(name: str) -> tuple[str, str]:
    """Schema ('' if not said) and name of a table; a part with dots stands in double quotes.

    Examples
    --------
    >>> split_name("plant.machine_*"), split_name('"odd.name"')
    (('plant', 'machine_*'), ('', 'odd.name'))
    """
    parts = [(quoted or plain).replace('""', '"') for quoted, plain in _PART.findall(name)]
    if not 1 <= len(parts) <= 2:
        raise SourceError(
            'Expected a table such as plant.machine or "odd.schema"."odd.table". Received: '
            f"{name!r}."
        )
    return (parts[0], parts[1]) if len(parts) == 2 else ("", parts[0])


def _like(pattern: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", pattern).replace("*", "%")


def table_plans(
    config: DatasetConfig, tables: Sequence[SourceTable]
) -> tuple[list[TablePlan], list[Fault]]:
    """How each table is read, and the tables that cannot be.

    Raises
    ------
    SourceError
        None can be read.
    """
    plans, faults = [], list(_unmatched(config, tables))
    for table in tables:
        planned = _plan(config, table)
        if isinstance(planned, TablePlan):
            plans.append(planned)
        else:
            faults.append(Fault(table.title, "unusable_table", planned))
    if not plans:
        raise SourceError("\n".join(f"{fault.table}: {fault.detail}" for fault in faults[:5]))
    return plans, faults


def _unmatched(config: DatasetConfig, tables: Sequence[SourceTable]) -> Iterable[Fault]:
    found = {table.name for table in tables} | {table.title for table in tables}
    for name in config.source.table_names:
        schema, table = split_name(name)
        if "*" not in name and (f"{schema}.{table}" if schema else table) not in found:
            yield Fault(name, "unusable_table", "Expected this table. Received: none of that name.")


def _plan(config: DatasetConfig, table: SourceTable) -> TablePlan | str:
    """The plan, or why there is none."""
    source = config.source
    reason = (
        _time_reason(config, table) or _entity_reason(config, table) or _long_reason(config, table)
    )
    if not table.is_readable or reason:
        return reason or "Expected a login that may read it. Received: permission denied."
    channels, faults = _channels(config, table)
    if source.shape == "wide" and not channels:
        return f"Expected at least one of the columns {', '.join(source.channel_columns().values())}. {_received(table)}"
    updated_at, label = (
        _optional(table, name, faults) for name in (source.updated_at, source.label)
    )
    if updated_at is not None and updated_at.family not in _UPDATES:
        detail = (
            f"{updated_at.name}: Expected a timestamp or an integer. Received: {updated_at.family}."
        )
        faults.append(Fault(table.title, "not_numeric_column", detail))
        updated_at = None
    value = table.columns[source.value_column] if source.value_column else None
    entity = _constant_entity(config, table)
    return TablePlan(
        table,
        table.columns[source.time.column],
        entity,
        channels,
        value,
        updated_at,
        label,
        tuple(faults),
    )


def _time_reason(config: DatasetConfig, table: SourceTable) -> str:
    time = config.source.time
    if time.column not in table.columns:
        return f"Expected the time column {time.column}. {_received(table, time.column)}"
    family = table.columns[time.column].family
    if family in _NUMBERS and time.unit is None:
        return f"Expected time.unit (s, ms, us or ns) for the number column {time.column}. Received: nothing."
    if family not in _NUMBERS | {"timestamptz", "timestamp", "date"}:
        return f"Expected a timestamp, a date or a number in the time column {time.column}. Received: {family}."
    return ""


def _entity_reason(config: DatasetConfig, table: SourceTable) -> str:
    entity = config.source.entity
    if entity.column is not None and entity.column not in table.columns:
        return f"Expected the entity column {entity.column}. {_received(table, entity.column)}"
    if entity.from_table is not None and not re.fullmatch(entity.from_table, table.name):
        return f"Expected a name that matches entity.from_table {entity.from_table!r} as a whole. Received: {table.name}."
    return ""


def _long_reason(config: DatasetConfig, table: SourceTable) -> str:
    source = config.source
    missing = [
        name
        for name in (source.channel_column, source.value_column)
        if name and name not in table.columns
    ]
    if missing:
        return f"Expected the column {missing[0]}. {_received(table, missing[0])}"
    if source.value_column and table.columns[source.value_column].family not in _VALUES:
        return f"Expected numbers in {source.value_column}. Received: {table.columns[source.value_column].family}."
    return ""


def _constant_entity(config: DatasetConfig, table: SourceTable) -> str | None:
    entity = config.source.entity
    match = re.fullmatch(entity.from_table, table.name) if entity.from_table else None
    return str(match[1]) if match else entity.constant


def _channels(
    config: DatasetConfig, table: SourceTable
) -> tuple[tuple[tuple[int, SourceColumn], ...], list[Fault]]:
    usable: list[tuple[int, SourceColumn]] = []
    faults: list[Fault] = []
    if config.source.shape == "long":
        return (), faults
    for position, (channel, name) in enumerate(config.source.channel_columns().items()):
        column = table.columns.get(name)
        if column is None:
            detail = f"Expected the column {name}. {_received(table, name)}"
            faults.append(Fault(table.title, "missing_column", detail, channel))
        elif column.family not in _VALUES:
            detail = f"{name}: Expected numbers. Received: {column.family}."
            faults.append(Fault(table.title, "not_numeric_column", detail, channel))
        else:
            usable.append((position, column))
    return tuple(usable), faults


def _optional(table: SourceTable, name: str | None, faults: list[Fault]) -> SourceColumn | None:
    if name is not None and name not in table.columns:
        detail = f"Expected the column {name}. {_received(table, name)}"
        faults.append(Fault(table.title, "missing_column", detail))
    return table.columns.get(name) if name is not None else None


def _received(table: SourceTable, wanted: str = "") -> str:
    near = get_close_matches(wanted, table.columns, 1) if wanted else []
    columns = list(table.columns)
    shown = ", ".join(columns[:12]) + (
        f" and {len(columns) - 12} more" if len(columns) > 12 else ""
    )
    return f"Received: {shown}." + (f" Did you mean {near[0]}?" if near else "")


def unused_columns(config: DatasetConfig, plan: TablePlan) -> list[str]:
    """Columns of the table that the dataset does not read, such as a sensor that was added."""
    source = config.source
    named = {source.time.column, source.entity.column, source.channel_column, source.value_column}
    named |= {source.updated_at, source.label, *source.channel_columns().values()}
    return [name for name in plan.table.columns if name not in named]
