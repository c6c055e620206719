"""The views and functions of sql/public, each stated once, put in place at every upgrade.

What people have built on them stays: they are replaced and never dropped, so that columns can only
be appended. Whoever must change the shape of one drops it in a migration, which stops where
something depends on it.
"""

from __future__ import annotations

import json
import re
from graphlib import TopologicalSorter
from hashlib import sha256
from pathlib import Path

from psycopg2 import errors
from psycopg2.extensions import connection as Connection

from tsad_tasks.base.errors import BadInput
from tsad_tasks.storage.store import Query, Store

_PUBLIC = Path(__file__).parents[2] / "sql" / "public"
SELECT_DEPENDENTS = Query("storage/select_dependents", str)
SELECT_GRANTS = Query("storage/select_grants", str)


def in_order(texts: dict[str, str]) -> list[str]:
    """Names of views and functions, each after those that its statement uses.

    >>> in_order({"a": "CREATE VIEW tsad.a AS SELECT tsad.b(1)", "b": "-- tsad.c", "c": "'tsad.a'"})
    ['b', 'c', 'a']
    """
    # What is only spoken of, in a comment or a message, need not be there.
    used = {
        name: set(re.findall(r"tsad\.(\w+)", re.sub(r"--.*|'(?:[^']|'')*'", "", text)))
        for name, text in texts.items()
    }
    graph = {name: sorted((used[name] & set(texts)) - {name}) for name in sorted(texts)}
    return list(TopologicalSorter(graph).static_order())


def public_texts() -> dict[str, str]:
    """The statement of each view and function, by its name."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(_PUBLIC.glob("*.sql"))}


def public_digest() -> str:
    """What tells one state of sql/public from another."""
    return sha256(json.dumps(public_texts()).encode()).hexdigest()


def put_in_place(connection: Connection) -> None:
    """Puts everything of sql/public in place, with its grants, in the transaction that is open.

    Raises `BadInput` when one has another shape than before; it says what depends on it.
    """
    texts = public_texts()
    with connection.cursor() as cursor:
        for name in in_order(texts):
            cursor.execute("SAVEPOINT one")
            try:
                # Without parameters psycopg2 leaves the percent signs alone.
                cursor.execute(texts[name])
            except (errors.InvalidTableDefinition, errors.InvalidFunctionDefinition) as error:
                cursor.execute("ROLLBACK TO one")
                dependents = Store(connection).rows(SELECT_DEPENDENTS, name=name)
                raise BadInput(
                    f"Expected tsad.{name} with the columns and parameters that it has, and new "
                    f"ones after them. Received: {str(error).splitlines()[0]}. On it depend: "
                    f"{', '.join(dependents) or 'nothing'}. Let a migration drop it (DROP without "
                    "CASCADE, which stops where something depends on it)."
                ) from error
