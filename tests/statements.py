"""One statement on a connection of its own, for tests that look at tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tsad_tasks.storage.database import connect


def run(uri: str, statement: str, params: Sequence[object] | None = None) -> list[tuple[Any, ...]]:
    """Rows of a statement, committed; none where it gives none. Times are in UTC."""
    connection = connect(uri)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, params)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()
