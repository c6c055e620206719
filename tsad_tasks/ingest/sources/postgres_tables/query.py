"""A query in place of a table: what its columns are, so that it is read as a table is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from psycopg2 import extensions, sql

from tsad_tasks.base.errors import SourceError
from tsad_tasks.ingest.sources.postgres_tables.tables import FoundTable, SourceColumn, family

_TYPES = Path(__file__).parents[4] / "sql" / "source" / "select_types.sql"


def as_table(
    cursor: extensions.cursor, query: str, described: Sequence[tuple[str, int]]
) -> FoundTable:
    """The query as a table, with these columns by name and type.

    Raises `SourceError` where two columns have one name.
    """
    names = [name for name, _ in described]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        wanted = "source.query to name each column once"
        raise SourceError(f"Expected {wanted}. Received: {', '.join(twice)} more than once.")
    cursor.execute(_TYPES.read_text(encoding="utf-8"), ([oid for _, oid in described],))
    columns = {
        name: SourceColumn(name, family(*row[:2]), False, False, row[2])
        for name, row in zip(names, cursor.fetchall(), strict=True)
    }
    relation = sql.SQL("(\n{}\n) AS query").format(sql.SQL(query))
    return FoundTable("", "query", True, False, 0, columns, relation)
