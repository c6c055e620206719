"""What is known of stores: a folder each below sql/stores.

`recognise.sql` gives the store's name and version where it is one, `list.sql` its series (columns
as `Series` has them, after those that name a series), and `source.yaml` how they are read. Where a
store keeps hours longer than values, a folder more says `archive_of`, and lists some `{series}` of
that store.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2
import yaml
from psycopg2 import extensions, sql

from tsad_tasks.base.errors import BadInput
from tsad_tasks.ingest.sources.postgres_tables.connection import (
    LOOK_S,
    clock,
    connect_source,
    explained_errors,
    limits,
)
from tsad_tasks.ingest.sources.postgres_tables.tables import array_text, like_pattern

_FOLDER = Path(__file__).parents[2] / "sql" / "stores"
_MOST_SERIES = 20_000


@dataclass(frozen=True)
class Series:
    """What a store says of one series.

    Attributes
    ----------
    series : its id, in the order of the recipe's columns.
    group : what the store groups machines by; of several the first by name.
    unit, step_s, heartbeat_s, keeps_s : None where the store does not say; values are `step_s`
        apart, an unchanged one is written again after `heartbeat_s`, and is kept for `keeps_s`.
    is_on_change : unchanged values are not written.
    valid_from, valid_to : the id is this series within them.
    read : a SELECT that reads it, of stores with a table for each series.
    """

    series: tuple[str, ...]
    group: str
    entity: str
    channel: str
    unit: str | None
    step_s: int | None
    is_on_change: bool
    heartbeat_s: int | None
    keeps_s: int | None
    valid_from: datetime | None
    valid_to: datetime | None
    read: str | None


@dataclass(frozen=True)
class Group:
    """Machines and series that a store groups together."""

    name: str
    n_entities: int
    n_series: int


@dataclass(frozen=True)
class Recipe:
    """How one store, or its archive of hours, is recognised, listed and read."""

    name: str
    source: dict[str, Any]
    archive_of: str | None = None

    @property
    def columns(self) -> list[str]:
        """Those that name a series."""
        names = self.source["series"]
        return [names] if isinstance(names, str) else list(names)

    def recognise(self) -> str:
        """The statement that gives the store's name, and version."""
        return _text(self.archive_of or self.name, "recognise")

    def list(self) -> sql.Composable:
        """The statement that gives its series."""
        listed = sql.SQL(_text(self.name, "list"))
        if self.archive_of is None:
            return listed
        return listed.format(series=sql.SQL(_text(self.archive_of, "list")))

    @property
    def archive(self) -> Recipe | None:
        """That of the store's archive, if it has one."""
        return next((one for one in recipes() if one.archive_of == self.name), None)


@dataclass(frozen=True)
class SensorStore:
    """A database of another system, open for reading.

    Attributes
    ----------
    title : its name and version, for people.
    now_at : what its clock shows.
    """

    recipe: Recipe
    title: str
    now_at: datetime
    connection: extensions.connection

    def groups(self) -> list[Group]:
        """All groups, the largest first."""
        groups = _of_all("groups").format(series=self.recipe.list())
        return [Group(*row) for row in self._rows(groups)]

    def series(
        self, groups: Sequence[str], entities: Sequence[str], channels: Sequence[str]
    ) -> list[Series]:
        """Series of these groups, machines and channels (patterns with *); all where none is named.

        Raises `BadInput` where they are too many, or none.
        """
        conditions: list[sql.Composable] = [sql.SQL("true")]
        wanted = {"grp": groups, "entity": entities, "channel": channels}
        for column, patterns in wanted.items():
            if patterns:
                texts = sql.Literal(array_text([like_pattern(one) for one in patterns]))
                condition = sql.SQL("{} LIKE ANY({}::text[])")
                conditions.append(condition.format(sql.Identifier(column), texts))
        found = self._listed(sql.SQL(" AND ").join(conditions))
        said = ", ".join(one for patterns in wanted.values() for one in patterns) or "all"
        if not found or len(found) > _MOST_SERIES:
            received = f"{said}, which are more"
            if not found:
                asked = [column for column, patterns in wanted.items() if patterns]
                received = f"{said}, which are none{self._others(asked, conditions)}"
            raise BadInput(f"Expected 1 to {_MOST_SERIES:,} series. Received: {received}.")
        return found

    def _others(self, asked: Sequence[str], conditions: Sequence[sql.Composable]) -> str:
        """Some names that there are, of what the first of the conditions leaves nothing of."""
        for at, column in enumerate(asked, start=1):
            if not self._listed(sql.SQL(" AND ").join(conditions[: at + 1])):
                rows = sql.SQL(" AND ").join(conditions[:at])
                text = _of_all("names").format(
                    series=self.recipe.list(), column=sql.Identifier(column), rows=rows
                )
                names = ", ".join(str(row[0]) for row in self._rows(text))
                what = {"grp": "groups", "entity": "machines", "channel": "channels"}[column]
                return f". By name the first {what}: {names} (capitals count)" if names else ""
        return ""

    def of_ids(self, ids: Sequence[tuple[str, ...]]) -> list[Series]:
        """Those of these series that the store has; of very many not all."""
        columns = sql.SQL(", ").join(map(sql.Identifier, self.recipe.columns))
        arrays = [sql.Literal(array_text(words)) for words in zip(*ids, strict=True)]
        texts = sql.SQL(", ").join(sql.SQL("{}::text[]").format(one) for one in arrays)
        known = sql.SQL("({}) IN (SELECT * FROM unnest({}))").format(columns, texts)
        return self._listed(known) if ids else []

    def _listed(self, rows: sql.Composable) -> list[Series]:
        """Those of the store's list that meet a condition, one more than are taken at most."""
        listed, most = self.recipe.list(), sql.Literal(_MOST_SERIES + 1)
        columns = sql.SQL(", ").join(map(sql.Identifier, self.recipe.columns))
        statement = _of_all("series").format(series=listed, columns=columns, rows=rows, most=most)
        found, n_columns = self._rows(statement), len(self.recipe.columns)
        return [Series(tuple(row[:n_columns]), *row[n_columns:]) for row in found]

    def _rows(self, statement: sql.Composable) -> list[tuple[Any, ...]]:
        with explained_errors(self.connection), self.connection.cursor() as cursor:
            cursor.execute(limits(LOOK_S))
            cursor.execute(statement)
            found: list[tuple[Any, ...]] = cursor.fetchall()
        self.connection.rollback()
        return found


@contextmanager
def open_store(uri: str, *, archive: bool = False) -> Iterator[SensorStore]:
    """The store that a database is of, or its `archive`, read with a login that need not write.

    Raises `BadInput` where it is none that is known, and what `connect_source` raises.
    """
    connection = connect_source(uri, read_only=True)
    try:
        recipe, title = _recognised(connection)
        if archive:
            if recipe.archive is None:
                raise BadInput(f"Expected a store with an archive of hours. Received: {title}.")
            recipe, title = recipe.archive, f"the archive of {title}"
        with connection.cursor() as cursor:
            now_at = clock(cursor)
        connection.rollback()
        yield SensorStore(recipe, title, now_at, connection)
    finally:
        connection.close()


def _recognised(connection: extensions.connection) -> tuple[Recipe, str]:
    known = [recipe for recipe in recipes() if recipe.archive_of is None]
    for recipe in known:
        try:
            with connection.cursor() as cursor:
                cursor.execute(limits(LOOK_S))
                cursor.execute(recipe.recognise())
                if (row := cursor.fetchone()) is not None and row[0] is not None:
                    return recipe, str(row[0])
        except (psycopg2.ProgrammingError, psycopg2.DataError):
            # Tables that are not there, or that this login may not read.
            pass
        finally:
            connection.rollback()
    names = ", ".join(recipe.name for recipe in known)
    wanted = f"a database of one of {names}, whose tables this login may read"
    with explained_errors(connection), connection.cursor() as cursor:
        cursor.execute(limits(LOOK_S))
        cursor.execute(_of_all("tables"))
        tables = ", ".join(row[0] for row in cursor.fetchall())
    received = f"none of them, but tables such as {tables}" if tables else "no table at all"
    way = "Name one of your own: tsad datasets draft <connection> <table>."
    raise BadInput(f"Expected {wanted}. Received: {received}. {way}")


def _of_all(name: str) -> sql.SQL:
    """A statement on the list of any store."""
    return sql.SQL((_FOLDER / f"{name}.sql").read_text(encoding="utf-8"))


def recipes() -> Iterator[Recipe]:
    """All stores that are known, and their archives, by name."""
    for path in sorted(_FOLDER.glob("*/source.yaml")):
        source = yaml.safe_load(path.read_text(encoding="utf-8"))
        archive_of = source.pop("archive_of", None)
        yield Recipe(path.parent.name, source, archive_of)


def _text(folder: str, name: str) -> str:
    return (_FOLDER / folder / f"{name}.sql").read_text(encoding="utf-8")
