"""The inventory of the source, which says of its entities themselves whether they are retired, and
what carries them.
"""

from __future__ import annotations

from contextlib import closing

from psycopg2 import sql

from tsad_tasks.base.errors import SourceError
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.sources.base import InventoryRow
from tsad_tasks.ingest.sources.postgres_tables.connection import (
    connect_source,
    described,
    explained_errors,
    limits,
)

_MOST = 100_000
_ALL = sql.SQL("SELECT {} FROM (\n{}\n) AS inventory LIMIT {}")
_COLUMNS = ("entity", "retired", "carrier")


def read_inventory(uri: str, config: DatasetConfig) -> tuple[InventoryRow, ...]:
    """What the source says of its entities now.

    Raises `SourceError` where it is no inventory, `Unavailable` where that is not known in time.
    """
    source = config.source
    timeout_s = source.statement_timeout_s
    names = [
        name for name, _ in described(uri, source.inventory_select, timeout_s, "source.inventory")
    ]
    if "entity" not in names or not {"retired", "carrier"} & {*names}:
        wanted = "the column entity, and retired, carrier or both, of source.inventory"
        raise SourceError(f"Expected {wanted}. Received: {', '.join(names)}.")
    chosen = [sql.Identifier(name) for name in _COLUMNS if name in names]
    fields = sql.SQL(", ").join(sql.SQL("{}::text").format(name) for name in chosen)
    rows = _ALL.format(fields, sql.SQL(source.inventory_select), sql.Literal(_MOST))
    with (
        closing(connect_source(uri, read_only=True)) as connection,
        explained_errors(connection),
        connection.cursor() as cursor,
    ):
        cursor.execute(limits(timeout_s))
        cursor.execute(rows)
        found = [
            dict(zip([name for name in _COLUMNS if name in names], row, strict=True))
            for row in cursor.fetchall()
        ]
    return tuple(_row(one) for one in found if one["entity"])


def _row(said: dict[str, str | None]) -> InventoryRow:
    retired = (said.get("retired") or "").strip().lower()
    known = {"": False, "true": True, "t": True, "1": True, "yes": True}
    known |= {"false": False, "f": False, "0": False, "no": False}
    if retired not in known:
        wanted = "yes or no (or 1 or 0) in the column retired of source.inventory"
        raise SourceError(f"Expected {wanted}. Received: {said['retired']!r}.")
    return InventoryRow(said["entity"] or "", known[retired], said.get("carrier") or "")
