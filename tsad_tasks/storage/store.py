"""The warehouse over one connection: transactions, and the statements of sql/queries, typed.

A query is declared once, beside what one row of it is, in the `queries.py` of the room that asks:

    class Champion(NamedTuple): ...

    SELECT_CHAMPIONS = Query("scoring/select_champions", Champion)
    SELECT_LATEST_HOUR = Query.or_null("scoring/select_latest_hour", datetime)

and is asked with its parameters by keyword: `store.rows(SELECT_CHAMPIONS, dataset_id=1, ...)`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar, cast, is_typeddict

from numpy.typing import NDArray
from psycopg2 import DataError, sql
from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from tsad_tasks.base.errors import BadInput
from tsad_tasks.storage import copy_binary as binary
from tsad_tasks.storage.database import connect, database_space, statement_text
from tsad_tasks.storage.waiting import Blocker, LockWatch

Row = TypeVar("Row", covariant=True)
Value = TypeVar("Value")


@dataclass(frozen=True)
class Statement:
    """A statement of `sql/queries/<path>.sql`, such as `ingest/upsert_labels`."""

    path: str

    @property
    def text(self) -> str:
        """The statement with its comment and its `%(name)s` parameters."""
        return statement_text(self.path)


@dataclass(frozen=True)
class Query(Statement, Generic[Row]):
    """A statement that gives rows, and what one row is.

    `row`: a named tuple or a dataclass, whose fields are the columns in their order; a
    `TypedDict` or `dict`, by the columns' names (for tables that people see); or, where there
    is one column, the type of its value.
    """

    row: type[Row]

    @staticmethod
    def or_null(path: str, value: type[Value]) -> Query[Value | None]:
        """A query of one column, whose value may be NULL."""
        return Query(path, cast("type[Value | None]", value))


@dataclass(frozen=True)
class Incoming(Statement):
    """The statement that makes a temporary table, through which rows are copied on their way in."""

    table: str


COPY_ROWS_IN = Statement("storage/copy_rows_in")
COPY_ROWS_OUT = Statement("storage/copy_rows_out")
CLEAR_INCOMING = Statement("storage/clear_incoming")
SET_SNAPSHOT = Statement("storage/set_snapshot")
END_BLOCKERS = Query("storage/end_blockers", Blocker)
SELECT_NOW = Query("storage/select_now", datetime)
SELECT_SCHEMA = Query("storage/select_schema", bool)


class Store:
    """The warehouse over one connection. Not shared between threads or processes."""

    def __init__(self, connection: Connection, watch: LockWatch | None = None) -> None:
        self._connection = connection
        self._over = watch.over if watch else nullcontext
        self._space = partial(database_space, connection)
        self._is_inside = False
        self._incoming: set[Incoming] = set()

    @classmethod
    def connect(cls, uri: str) -> Store:
        """A store over a new connection; see `database.connect` for what it raises."""
        connection = connect(uri)
        return cls(connection, LockWatch(connection, uri, END_BLOCKERS.text))

    @classmethod
    def open(cls, uri: str) -> Store:
        """A store over a warehouse that has been migrated.

        Raises `BadInput` when the warehouse has no schema yet. `database.connect` says what
        else.
        """
        store = cls.connect(uri)
        with store.transaction():
            has_schema = store.one(SELECT_SCHEMA)
        if has_schema:
            return store
        store.close()
        raise BadInput(
            "Expected a warehouse with the schema tsad. Received: one without. Run: tsad migrate"
        )

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        with database_space(self._connection), self._connection:
            self._is_inside = True
            try:
                yield
            finally:
                self._is_inside = False

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads see one moment, and nothing can be written; not inside another transaction."""
        with self.transaction():
            self.execute(SET_SNAPSHOT)
            yield

    def rollback(self) -> None:
        """Forgets what was not committed."""
        self._connection.rollback()

    def now(self) -> datetime:
        """The time now by the warehouse's clock, in UTC: no other one decides about rows.

        Workers' clocks may differ by days; what is compared with a time that the warehouse has
        written is a time that it gives. Inside a transaction or outside of one.
        """
        status = self._connection.info.transaction_status
        if self._is_inside or status != TRANSACTION_STATUS_IDLE:
            return self.one(SELECT_NOW)
        with self.transaction():
            return self.one(SELECT_NOW)

    def rows(self, query: Query[Row], /, **params: object) -> list[Row]:
        """All rows of a query."""
        with self._asked(query, params) as cursor:
            names = [column.name for column in cursor.description or ()]
            return _as_rows(query.row, names, cursor.fetchall())

    def first(self, query: Query[Row], /, **params: object) -> Row | None:
        """The first row of a query, or None."""
        return next(iter(self.rows(query, **params)), None)

    def one(self, query: Query[Row], /, **params: object) -> Row:
        """The row of a query that always gives one.

        Raises `LookupError` when it gave none, or more.
        """
        rows = self.rows(query, **params)
        if len(rows) != 1:
            raise LookupError(f"Expected one row of {query.path}. Received: {len(rows)}.")
        return rows[0]

    def execute(self, statement: Statement, /, **params: object) -> int:
        """Rows that a statement touched."""
        with self._asked(statement, params) as cursor:
            return int(cursor.rowcount)

    def copy_out(
        self, statement: Statement, columns: Sequence[binary.Field], /, **params: object
    ) -> dict[str, NDArray[Any]]:
        """The columns of a statement's rows, as `binary.decode` gives them: for many rows."""
        stream = io.BytesIO()
        with self._space(), self._over(), self._connection.cursor() as cursor:
            inner = sql.SQL(cursor.mogrify(statement.text, params).decode())
            cursor.copy_expert(sql.SQL(COPY_ROWS_OUT.text).format(statement=inner), stream)
        return binary.decode(stream.getvalue(), columns)

    def copy_in(self, incoming: Incoming, columns: Sequence[binary.Column]) -> None:
        """Puts rows into a temporary table, in place of others; they go with the transaction."""
        clear, copy = (
            sql.SQL(one.text).format(table=sql.Identifier(incoming.table))
            for one in (CLEAR_INCOMING, COPY_ROWS_IN)
        )
        with self._space(), self._over(), self._connection.cursor() as cursor:
            if incoming not in self._incoming:
                cursor.execute(incoming.text)
                self._incoming.add(incoming)
            cursor.execute(clear)
            cursor.copy_expert(copy, io.BytesIO(binary.encode(columns)))

    # The one place through which all but copies go.
    @contextmanager
    def _asked(self, statement: Statement, params: Mapping[str, Any]) -> Iterator[Cursor]:
        with self._connection.cursor() as cursor:
            try:
                with self._space(), self._over():
                    cursor.execute(statement.text, params)
            except DataError as error:
                # What our SQL functions refuse, such as an incident_id that is none.
                raise BadInput(str(error).splitlines()[0]) from error
            except ValueError as error:
                # A NUL, or what stands for a byte that is no UTF-8 in what somebody typed.
                if isinstance(error, UnicodeEncodeError) or "NUL" in str(error):
                    raise BadInput(
                        f"Expected names and notes that are text. Received: {error}"
                    ) from error
                raise
            yield cursor


def _as_rows(row: Any, names: Sequence[str], found: Sequence[tuple[Any, ...]]) -> list[Any]:
    if row is dict or is_typeddict(row):
        return [dict(zip(names, values, strict=True)) for values in found]
    if is_dataclass(row) or issubclass(row, tuple):
        return [row(*values) for values in found]
    return [value for (value,) in found]


def columns(rows: Sequence[Any], row: type) -> dict[str, list[Any]]:
    """The fields of rows as a list each, for statements that `unnest` them.

    >>> from collections import namedtuple
    >>> Entity = namedtuple("Entity", "entity_id name")
    >>> columns([Entity(1, "a"), Entity(2, "b")], Entity)
    {'entity_id': [1, 2], 'name': ['a', 'b']}
    """
    names: Sequence[str] = getattr(row, "_fields", ()) or [one.name for one in fields(row)]
    return {name: [getattr(item, name) for item in rows] for name in names}
