"""Rows of a table of which some cells cannot be read: one broken cell costs that cell.

A view may cast, divide or raise, and Postgres ends the whole statement at the first value that it
cannot compute. Which cells those are is found by asking for ever fewer rows; then the table is
copied around them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import psycopg2
from psycopg2 import extensions, sql

from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.sources.base import HOUR_US, SourceFault
from tsad_tasks.ingest.sources.postgres_tables import statements
from tsad_tasks.ingest.sources.postgres_tables.connection import first_line
from tsad_tasks.ingest.sources.postgres_tables.rows import Part, copied
from tsad_tasks.ingest.sources.postgres_tables.tables import TablePlan

BROKEN = (psycopg2.DataError, psycopg2.errors.RaiseException)
# So often an hour of a table is asked which cells it is; then what is left counts as broken. It is
# no number of seconds, so that a busy source changes no result.
_MOST_PROBES = 500
_MARKS = {
    "value": sql.SQL("'-Infinity'::float8"),
    "label": sql.SQL("2::int2"),
    "entity": sql.SQL("0::int8"),
    "channel": sql.SQL("0::int8"),
    "series": sql.SQL("0::int8"),
    "nanoseconds": sql.SQL("0::int8"),
    "event": sql.SQL("0::int8"),
    "bad": sql.SQL("1::int2"),
}
_ASKED = "SELECT {what} FROM {table} WHERE {rows}"

# A column of a COPY: the field's name, and which of its expressions.
Unit = tuple[str, int]


@dataclass(frozen=True)
class Copied:
    """Rows of a table; and by the field in which some could not be read, which rows those are."""

    part: Part
    broken: Mapping[str, sql.Composable]


def copied_around(
    cursor: extensions.cursor, config: DatasetConfig, plan: TablePlan, span_us: tuple[int, int]
) -> Copied | SourceFault:
    """The rows of a table with marks for its broken cells, or why none of them can be read."""
    try:
        with attempt(cursor):
            fields = statements.copy_fields(config, plan)
            return Copied(copied(cursor, config, plan, fields, span_us), {})
    except BROKEN:
        pass
    starts = [span_us[0]]
    # Hours of their own, so that those read along change no result; naive ones overlap.
    if plan.time.family not in {"timestamp", "date"}:
        starts = list(range(*span_us, HOUR_US))
    hours = zip(starts, [*starts[1:], span_us[1]], strict=True)
    try:
        found = [_hour_around(cursor, config, plan, hour_us) for hour_us in hours]
    except BROKEN as error:
        wanted = f"Expected rows of it that can be read. Received: {first_line(error)}."
        return SourceFault(plan.title, "unusable_table", wanted)
    names = {name for hour in found for name in hour.broken}
    broken = {name: _any([h.broken[name] for h in found if name in h.broken]) for name in names}
    columns = {name: np.concatenate([hour.part[name] for hour in found]) for name in found[0].part}
    return Copied(columns, broken)


@contextmanager
def attempt(cursor: extensions.cursor) -> Iterator[None]:
    """What is broken in here leaves the transaction as it was."""
    cursor.execute("SAVEPOINT attempt")
    try:
        yield
    except BROKEN:
        cursor.execute("ROLLBACK TO SAVEPOINT attempt")
        raise
    cursor.execute("RELEASE SAVEPOINT attempt")


def _any(conditions: Sequence[sql.Composable]) -> sql.Composable:
    return sql.SQL("({})").format(sql.SQL(" OR ").join(conditions))


def _hour_around(
    cursor: extensions.cursor, config: DatasetConfig, plan: TablePlan, span_us: tuple[int, int]
) -> Copied:
    fields = statements.copy_fields(config, plan)
    hour = statements.in_range(config, plan.time, *span_us)
    units = [(one.name, at) for one in fields[1:] for at in range(len(one.expressions))]
    asked = {(one.name, at): part for one in fields for at, part in enumerate(one.expressions)}
    probe = _Probe(cursor, plan, _MOST_PROBES + 2 * len(units))
    probe.ask(fields[0].expressions, hour)
    found = probe.broken_units(units, asked, hour)
    broken: dict[str, list[sql.Composable]] = {}
    # Entity and channel come first, and tell apart the rows of what comes after them.
    by, time = list[sql.Composable](), sql.Identifier(plan.time.name)
    columns = {"entity": config.source.entity.column, "channel": config.source.channel_column}
    by += statements.series_names(plan.series)
    for one in fields[1:]:
        for at in range(len(one.expressions)):
            if (one.name, at) in found:
                rows = _any(probe.broken_rows(asked[one.name, at], hour, [*by, time]))
                asked[one.name, at] = _around(rows, _mark(plan, one.name), asked[one.name, at])
                broken.setdefault(one.name, []).append(rows)
        if (column := columns.get(one.name)) is not None:
            name = sql.SQL("coalesce({}::text, '')").format(sql.Identifier(column))
            unread = broken.get(one.name)
            by.append(name if unread is None else _around(_any(unread), sql.SQL("''"), name))
    around = [
        replace(one, expressions=[asked[one.name, at] for at in range(len(one.expressions))])
        for one in fields
    ]
    with attempt(cursor):
        part = copied(cursor, config, plan, around, span_us)
    return Copied(part, {name: _any(rows) for name, rows in broken.items()})


def _around(rows: sql.Composable, mark: sql.Composable, known: sql.Composable) -> sql.Composable:
    text = "CASE WHEN {rows} THEN {mark} ELSE {known} END"
    return sql.SQL(text).format(rows=rows, mark=mark, known=known)


def _mark(plan: TablePlan, name: str) -> sql.Composable:
    """What stands for a broken cell of a field."""
    if plan.updated_at is not None and name == "updated":
        return statements.no_change(plan.updated_at)
    return _MARKS[name]


@dataclass
class _Probe:
    """Asks for parts of one hour of a table, so many times at most."""

    cursor: extensions.cursor
    plan: TablePlan
    n_left: int

    def ask(self, expressions: Sequence[sql.Composable], rows: sql.Composable) -> None:
        """Compute these for some rows; raises what Postgres says where it cannot."""
        counts = sql.SQL(", ").join(sql.SQL("count({})").format(one) for one in expressions)
        with attempt(self.cursor):
            self.cursor.execute(statements.about(self.plan, _ASKED, what=counts, rows=rows))

    def breaks(self, expressions: Sequence[sql.Composable], rows: sql.Composable) -> bool:
        """Whether Postgres cannot compute these for all of some rows; yes when asked too often."""
        self.n_left -= 1
        try:
            if self.n_left >= 0:
                self.ask(expressions, rows)
        except BROKEN:
            return True
        return self.n_left < 0

    def broken_units(
        self, units: list[Unit], asked: Mapping[Unit, sql.Composable], rows: sql.Composable
    ) -> list[Unit]:
        """Those of which some cell is broken."""
        if not self.breaks([asked[unit] for unit in units], rows):
            return []
        half = len(units) // 2
        parts = (units[:half], units[half:]) if half else ()
        return [one for part in parts for one in self.broken_units(part, asked, rows)] or units

    def broken_rows(
        self, expression: sql.Composable, rows: sql.Composable, by: Sequence[sql.Composable]
    ) -> list[sql.Composable]:
        """The fewest rows, told apart by names and, last, the time, that hold its broken cells.

        All entities are gone through before the times of any, so that the good ones are kept
        however much is broken of the others.
        """
        if not by:
            return [rows]
        value, is_time = by[0], len(by) == 1
        ask = "SELECT DISTINCT {what} FROM {table} WHERE {rows} ORDER BY 1"
        self.cursor.execute(statements.about(self.plan, ask, what=value, rows=rows))
        parts, single = [[one for (one,) in self.cursor.fetchall()]], list[sql.Composable]()
        found: list[sql.Composable] = []
        while parts:
            halves = []
            for part in parts:
                which = _among(value, part, is_time)
                fewer = sql.SQL("({rows} AND {which})").format(rows=rows, which=which)
                if not self.breaks([expression], fewer):
                    continue
                if self.n_left < 0:
                    found.append(fewer)
                elif len(part) == 1:
                    single.append(fewer)
                else:
                    halves += [part[: len(part) // 2], part[len(part) // 2 :]]
            parts = halves
        fewest = (self.broken_rows(expression, fewer, by[1:]) for fewer in single)
        return [*found, *(one for part in fewest for one in part)]


def _among(value: sql.Composable, part: list[Any], is_time: bool) -> sql.Composable:
    """Rows with one of some consecutive values."""
    if is_time:
        said = {"low": sql.Literal(part[0]), "high": sql.Literal(part[-1])}
        return sql.SQL("{value} >= {low} AND {value} <= {high}").format(value=value, **said)
    return sql.SQL("{value} = ANY({part})").format(value=value, part=sql.Literal(part))
