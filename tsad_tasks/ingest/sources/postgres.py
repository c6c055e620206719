"""Tables and views of a PostgreSQL database, `postgresql://user:password@host:5432/database`.

Read-only, streamed as binary COPY of fixed-width columns, decoded in NumPy; see postgres_tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from itertools import product
from typing import TYPE_CHECKING, Any, cast

from tsad_tasks.base.errors import SourceError, Unavailable
from tsad_tasks.base.lazy import LazyModule
from tsad_tasks.base.shown import shown
from tsad_tasks.ingest.sources.base import (
    HourCount,
    Source,
    SourceFault,
    register,
    series_title,
)

if TYPE_CHECKING:
    from psycopg2 import extensions, sql

    from tsad_tasks.config import DatasetConfig
    from tsad_tasks.ingest.sources.base import Hint, InventoryRow, SourceRows, SourceTable, Tag
    from tsad_tasks.ingest.sources.postgres_tables import (
        advice,
        broken,
        carried,
        connection,
        dictionary,
        inventory,
        query,
        rows,
        state_words,
        statements,
        tables,
        tags,
    )
    from tsad_tasks.ingest.sources.postgres_tables.tables import TablePlan
else:
    # All sources are imported when a dataset file is read, and these cost NumPy and a driver.
    _NAMES = "advice broken carried connection dictionary inventory query rows statements"
    advice, broken, carried, connection, dictionary, inventory, query, rows, statements = (
        LazyModule(f"tsad_tasks.ingest.sources.postgres_tables.{name}") for name in _NAMES.split()
    )
    state_words, tables, tags = (
        LazyModule(f"tsad_tasks.ingest.sources.postgres_tables.{name}")
        for name in ("state_words", "tables", "tags")
    )

_LARGE_ROWS = 1_000_000
# By the planner, which takes a million rows read one after another for half of it.
_CHEAPLY_S, _CHEAP_COST = 10, 50_000
# How many tables, and how many series of tags, are looked at for advice.
_ADVISED_TABLES, _SAMPLED_SERIES = 5, 20


@register("postgres")
class PostgresSource(Source):
    """The sensor tables of one dataset over one read-only connection."""

    tables: tuple[TablePlan, ...]

    def __init__(
        self, uri: str, config: DatasetConfig, given_tags: Sequence[Tag] | None = None
    ) -> None:
        self._config = config
        # Names of entities and channels by the hash that stands for them in a COPY.
        self._names: dict[int, str] = {}
        source = config.source
        self._tags = self.tags_said(uri, config) if given_tags is None else given_tags
        described = []
        if source.select:
            described = connection.described(uri, source.select, source.statement_timeout_s)
        self._uri, self._is_open = uri, True
        self._connection = connection.connect_source(uri, read_only=True)
        try:
            with self.snapshot() as cursor:
                if source.select:
                    found = [query.as_table(cursor, source.select, described)]
                else:
                    found = tables.tables_named(cursor, source.table_names, source.tables_not_read)
                plans, faults = tables.table_plans(config, found, self._tags)
                if self._tags:
                    self._learn_series(cursor, plans)
                elif source.shape == "long":
                    self._learn(cursor, list(config.source.channel_columns().values()))
        except BaseException:
            self.close()
            raise
        self.tables, self.faults = tuple(plans), tuple(faults)

    @classmethod
    def tags_said(cls, uri: str, config: DatasetConfig) -> tuple[Tag, ...]:
        """What the tags file says, or a dictionary of the source."""
        if config.source.names_select:
            return dictionary.read_dictionary(uri, config)
        return tags.read_tags(config) if config.source.tags is not None else ()

    @classmethod
    def inventory_said(cls, uri: str, config: DatasetConfig) -> tuple[InventoryRow, ...]:
        """What the inventory of the source says."""
        return inventory.read_inventory(uri, config)

    def close(self) -> None:
        self._is_open = False
        self._connection.close()

    @contextmanager
    def snapshot(self) -> Iterator[extensions.cursor]:
        """A read-only transaction in which everything is seen as of one moment."""
        if self._connection.closed and self._is_open:
            self._connection = connection.connect_source(self._uri, read_only=True)
        explained = connection.explained_errors(self._connection)
        with explained, self._connection.cursor() as cursor:
            try:
                limits = connection.limits(self._config.source.statement_timeout_s)
                # All digits of float4 and float8, whatever the login is set to.
                zone = "SET LOCAL timezone = 'UTC'; SET LOCAL extra_float_digits = 3"
                cursor.execute(f"{limits}; {zone}")
                yield cursor
            finally:
                if not self._connection.closed:
                    self._connection.rollback()

    def read(self, start_us: int, end_us: int, known_entities: Iterable[str] = ()) -> SourceRows:
        """Rows of a range; names that are not among `known_entities` cost one more query."""

        source = self._config.source
        keys = (("entity", source.entity.column), ("channel", source.channel_column))
        copies: list[tuple[TablePlan, broken.Copied]] = []
        faults: list[SourceFault] = []
        with self.snapshot() as cursor:
            if source.entity.column is not None:
                self._learn(cursor, sorted(set(known_entities) - set(self._names.values())))
            span, heard = (start_us, end_us), self._heard(cursor, start_us, end_us)
            for plan in self.tables:
                found = broken.copied_around(cursor, self._config, plan, span)
                if isinstance(found, SourceFault):
                    faults.append(found)
                    continue
                if source.has_validity:
                    before = found.part, start_us, heard, self._tags
                    part = carried.with_carried(cursor, self._config, plan, *before)
                    found = replace(found, part=part)
                if source.has_counters:
                    part = carried.with_totals(
                        cursor, self._config, plan, found.part, span, self._tags
                    )
                    found = replace(found, part=part)
                copies.append((plan, found))
            if not copies:
                raise SourceError(*(f"{one.table}: {one.detail}" for one in faults[:5]))
            for (plan, copy), (kind, column) in product(copies, keys):
                hashes = set(copy.part[kind].tolist()) if column else set()
                new = sorted(hashes - self._names.keys() - {rows.NOBODY})
                if new and column:
                    named = start_us - carried.lasting_us(self._config), end_us
                    rest = new, named, copy.broken.get(kind, statements.NOTHING)
                    ask = statements.names_statement(self._config, plan, column, *rest)
                    self._keep_names(cursor, ask)
            words = [one for table in copies for one in self._label_words(cursor, *table, span)]
            plans, parts = [plan for plan, _ in copies], [copy.part for _, copy in copies]
            said = sorted(set(words))[:3], faults
            found_rows = rows.source_rows(
                self._config, plans, parts, self._names, span, self._tags, *said
            )
            return state_words.with_state_words(cursor, self._config, plans, found_rows, span)

    def _heard(self, cursor: extensions.cursor, start_us: int, end_us: int) -> list[str]:
        """Entities of any table whose last rows are sought: those heard of just before a range, or
        in it: what they said last holds again, however long they were silent.
        """
        column = self._config.source.entity.column
        if column is None or not carried.is_sought(self._config):
            return []
        names = set[str]()
        span = end_us, carried.lasting_us(self._config) + end_us - start_us
        for plan in self.tables:
            ask = statements.heard_statement(self._config, plan, column, *span)
            with suppress(*broken.BROKEN), broken.attempt(cursor):
                cursor.execute(ask)
                found = {key: rows.as_text(name) for key, name in cursor.fetchall()}
                self._names.update(found)
                names |= {*found.values()}
        return sorted(names)

    def _label_words(
        self,
        cursor: extensions.cursor,
        plan: TablePlan,
        copy: broken.Copied,
        span: tuple[int, int],
    ) -> list[str]:
        """Some of the labels of a table that say neither yes nor no."""
        is_unknown = (copy.part["label"] == statements.UNKNOWN_LABEL).any()
        if plan.label is None or not is_unknown:
            return []
        unread = copy.broken.get("label", statements.NOTHING)
        cursor.execute(
            statements.label_words_statement(self._config, plan, plan.label, span, unread)
        )
        said = [rows.as_text(word) for (word,) in cursor.fetchall()]
        return said + ["(cannot be read)"] * ("label" in copy.broken)

    def _learn_series(self, cursor: extensions.cursor, plans: Sequence[TablePlan]) -> None:
        """The hashes of the series of the tags, which a table's types decide."""
        series = sorted({tag.series for tag in self._tags})
        named = self._config.source.names_from
        for plan in plans:
            statement = statements.series_statement(plan.series, series)
            try:
                with broken.attempt(cursor):
                    cursor.execute(statement)
                    hashed = cursor.fetchall()
            except broken.BROKEN as error:
                wanted = f"ids of series as {plan.title} has them in {named}"
                said = connection.first_line(error)
                raise SourceError(f"Expected {wanted}. Received: {said}.") from None
            found = dict[int, str]()
            for key, name in hashed:
                # As 7 and 07 are to a column of whole numbers.
                if found.setdefault(key, name) != name:
                    wanted = f"different series in {named}"
                    both = " and ".join(shown(series_title(one)) for one in (found[key], name))
                    raise SourceError(
                        f"Expected {wanted}. Received: {both}, which are one in {plan.title}."
                    )
            self._names.update(found)

    def _learn(self, cursor: extensions.cursor, names: Sequence[str]) -> None:
        if names:
            statement = "SELECT hashtextextended(name, 0), name FROM unnest(%s::text[]) AS name"
            self._keep_names(cursor, statement, (list(names),))

    def _keep_names(
        self, cursor: extensions.cursor, statement: str | sql.Composable, *params: Any
    ) -> None:
        cursor.execute(statement, *params)
        self._names.update({key: rows.as_text(name) for key, name in cursor.fetchall()})

    def refuses(self, start_us: int) -> str | None:
        """What is said of a large table without a key that finds the rows of an hour."""
        if self._config.source.full_scan:
            return None
        with self.snapshot() as cursor:
            for plan in self.tables:
                # What cannot be planned is told when it is read.
                with suppress(*broken.BROKEN), broken.attempt(cursor):
                    said = advice.full_scan(cursor, self._config, plan, start_us)
                    if said is not None:
                        return said
        return None

    def now(self) -> datetime:
        """What the server's clock shows."""
        with self.snapshot() as cursor:
            return connection.clock(cursor)

    def behind_since(self) -> datetime | None:
        """The newest commit that a standby has replayed; None where it has all."""
        with self.snapshot() as cursor:
            return connection.behind_since(cursor)

    def count_null_times(self, *, cheaply: bool = False) -> int:
        """Rows without a time; `cheaply`: not of large tables or views without an index on it."""
        plans = [plan for plan in self.tables if not plan.time.is_required]
        found = self._outside(statements.null_times_statement, plans, cheaply)
        return sum(n_rows for (n_rows,) in found)

    def implausible_times(self, now_at: datetime, *, cheaply: bool = False) -> dict[str, int]:
        """Rows by entity with implausible times; `cheaply`: as above."""

        def ask(plan: TablePlan) -> sql.Composable:
            return statements.implausible_statement(self._config, plan, span)

        span, found = statements.plausible_us(now_at), Counter[str]()
        for name, n_rows in self._outside(ask, self.tables, cheaply):
            found[rows.as_text(name)] += n_rows
        return dict(found)

    def _outside(
        self,
        ask: Callable[[TablePlan], sql.Composable],
        plans: Sequence[TablePlan],
        cheaply: bool,
    ) -> list[tuple[Any, ...]]:
        """What is asked of rows that no interval holds; no run fails for what it only counts."""
        found: list[tuple[Any, ...]] = []
        with suppress(*(Unavailable,) * cheaply), self.snapshot() as cursor:
            if cheaply:
                patience_s = min(_CHEAPLY_S, self._config.source.statement_timeout_s)
                cursor.execute(connection.limits(patience_s))
            for plan in plans:
                # Of a view that cannot be computed nothing is known; reading it says why.
                with suppress(*broken.BROKEN), broken.attempt(cursor):
                    if not cheaply or self._is_cheap(cursor, plan, ask(plan)):
                        cursor.execute(ask(plan))
                        found += cursor.fetchall()
        return found

    def _is_cheap(
        self, cursor: extensions.cursor, plan: TablePlan, statement: sql.Composable
    ) -> bool:
        if plan.table.may_have_index:
            return plan.time.has_index or plan.table.n_rows_estimate < _LARGE_ROWS
        # What a view costs only its plan tells.
        cursor.execute(statements.explained(statement))
        (explained,) = cast("tuple[Any]", cursor.fetchone())
        return float(explained[0]["Plan"]["Total Cost"]) < _CHEAP_COST

    def count_hours(self, start_us: int, end_us: int) -> dict[int, HourCount]:
        """Rows of the source by hour (microseconds since 1970), of hours that have any."""

        found: dict[int, HourCount] = {}
        with self.snapshot() as cursor:
            for plan in self.tables:
                cursor.execute(statements.count_statement(self._config, plan, start_us, end_us))
                for us, count in rows.hour_counts(self._config, plan, cursor.fetchall()).items():
                    found[us] = found.get(us, HourCount(0)) + count
        return {us: count for us, count in found.items() if start_us <= us < end_us}

    def time_bounds(
        self, table: SourceTable, now_at: datetime
    ) -> tuple[datetime | None, datetime | None]:
        """Oldest and newest plausible time of one table, in UTC."""
        (plan,) = (one for one in self.tables if one is table)
        with self.snapshot() as cursor:
            series = sorted({tag.series for tag in self._tags})
            few = series[:: -(-len(series) // _SAMPLED_SERIES)] if series else []
            span = statements.plausible_us(now_at)
            cursor.execute(statements.bounds_statement(self._config, plan, span, few))
            low, high = cast("tuple[Any, Any]", cursor.fetchone())
        return rows.as_utc(self._config, plan.time, low), rows.as_utc(self._config, plan.time, high)

    def hints(self) -> list[Hint]:
        """Texts where numbers should be, a time's unit that counts for nothing."""

        found: list[Hint] = []
        unit = self._config.source.time.unit
        for plan in self.tables:
            texts = [] if self._config.source.words else [*self._texts(plan)]
            what = "those that are no number are read as NULL and counted as not_numeric"
            for name in texts:
                text = f"{name}: Expected numbers. Received: texts; {what}."
                found.append(("warning", text, plan.title))
            if unit is not None and plan.time.family in tables.CLOCKS:
                text = f"Expected no time.unit, since {plan.time.name} is a {plan.time.type_name}."
                found.append(("warning", f"{text} Received: {unit}; it is ignored.", plan.title))
            if text := self._no_seek(plan):
                found.append(("warning", text, plan.title))
        return found

    def _texts(self, plan: TablePlan) -> Iterator[str]:
        """Columns of texts whose channels are numbers, or, where they hold several, all are."""
        names = self._config.source.channel_columns()
        no_numbers = {
            names[name]
            for name, one in self._config.channels.items()
            if one.counts_events or one.state_codes
        }
        yield from (
            one.name for one in plan.columns if one.family == "text" and one.name not in no_numbers
        )
        say_texts = (one.state_codes or one.counts_events for one in self._config.channels.values())
        if not any(say_texts):
            yield from (one.name for one in plan.values if one.family == "text")

    def advice(self, start_us: int, end_us: int) -> list[Hint]:
        """What an hour costs, whether the login could write, and whether series are mixed."""
        found: list[Hint] = []
        for plan in self.tables[-_ADVISED_TABLES:]:
            try:
                # What cannot be computed is told by those who read it.
                with suppress(SourceError), self.snapshot() as cursor:
                    cursor.execute(connection.limits(connection.LOOK_S))
                    found += advice.advice(cursor, self._config, plan, (start_us, end_us))
            except Unavailable:
                found.append(
                    (
                        "warning",
                        f"An hour takes longer than {connection.LOOK_S} s to read.",
                        plan.title,
                    )
                )
        return found

    def fitting_unit(self, now_at: datetime) -> str | None:
        """The unit in which times are plausible, where that of the dataset file is not it."""
        with self.snapshot() as cursor:
            units = [advice.fitting_unit(cursor, plan, now_at) for plan in self.tables[:1]]
        return next((unit for unit in units if unit != self._config.source.time.unit), None)

    def _no_seek(self, plan: TablePlan) -> str:
        """What to say of a table in which the last row of a series is not found by an index."""
        source = self._config.source
        keys = (source.entity.column, source.channel_column)
        named = [*plan.series, *(plan.table.columns[key] for key in keys if key)]
        is_found = not plan.table.may_have_index or any(column.has_index for column in named)
        if is_found or not named or not carried.is_sought(self._config):
            return ""
        together = ", ".join(f'"{column.name}"' for column in (*named, plan.time))
        return (
            f"No index begins with {named[0].name}: every run looks through the table for the last "
            f"row of each series, since values are valid until_changed. One on ({together}) finds "
            "them at once."
        )
