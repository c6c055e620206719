"""A dictionary of the source, which says of its series what a tags file would, as it is now."""

from __future__ import annotations

from contextlib import closing

from psycopg2 import sql

from tsad_tasks.base.errors import SourceError
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.sources.base import Tag
from tsad_tasks.ingest.sources.postgres_tables.connection import (
    connect_source,
    described,
    explained_errors,
    limits,
)
from tsad_tasks.ingest.sources.postgres_tables.tags import MAX_TAGS, tags_of_rows

_ALL = sql.SQL("SELECT * FROM (\n{}\n) AS dictionary LIMIT {}")


def read_dictionary(uri: str, config: DatasetConfig) -> tuple[Tag, ...]:
    """The tags of the dataset, by series and time.

    Raises `SourceError` where they are none, `Unavailable` where that is not known in time.
    """
    source = config.source
    columns = described(uri, source.names_select, source.statement_timeout_s, "source.dictionary")
    rows = _ALL.format(sql.SQL(source.names_select), sql.Literal(MAX_TAGS + 1))
    with (
        closing(connect_source(uri, read_only=True)) as connection,
        explained_errors(connection),
        connection.cursor() as cursor,
    ):
        cursor.execute(limits(source.statement_timeout_s))
        cursor.execute(rows)
        try:
            found = cursor.fetchall()
        except ValueError as error:
            wanted = "times of the years 1 to 9999, and text in UTF-8, of source.dictionary"
            raise SourceError(f"Expected {wanted}. Received: {error}.") from None
        return tags_of_rows(config, [name for name, _ in columns], found)
