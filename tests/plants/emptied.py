"""A warehouse without a row, by deleting: a fifteenth of what TRUNCATE costs where rows are few."""

from __future__ import annotations

from functools import cache
from graphlib import TopologicalSorter

from tests.statements import run

# All that hangs on these goes with them.
ROOTS = ("dataset", "reading_block", "ingest_hour", "ingest_source", "ingest_issue", "quality")
REFERENCES = """
  SELECT c.relname, p.relname FROM pg_constraint r
  JOIN pg_class c ON c.oid = r.conrelid JOIN pg_class p ON p.oid = r.confrelid
  WHERE r.contype = 'f' AND r.conparentid = 0 AND r.connamespace = 'tsad'::regnamespace
    AND r.conrelid <> r.confrelid"""


def empty(uri: str) -> None:
    """Delete what TRUNCATE ... CASCADE would empty."""
    run(uri, _statements(uri))


@cache
def _statements(uri: str) -> str:
    references = run(uri, REFERENCES)
    reached, waiting = set(ROOTS), list(ROOTS)
    while waiting:
        of = waiting.pop()
        more = {child for child, parent in references if parent == of} - reached
        reached |= more
        waiting += more
    order = TopologicalSorter(dict.fromkeys(sorted(reached), ()))
    for child, parent in references:
        if parent in reached:
            order.add(parent, child)
    return ";".join(f"DELETE FROM tsad.{name}" for name in order.static_order())  # noqa: S608
