"""Turns at a source: how many connections all datasets together open to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tsad_tasks.base.errors import Unavailable
from tsad_tasks.storage.database import LOCK_TIMEOUT_S, DatabaseError
from tsad_tasks.storage.store import Query, Statement, Store

LOCK_FREE_SOURCE_TURN = Query.or_null("storage/lock_free_source_turn", int)
LOCK_SOURCE_TURN = Statement("storage/lock_source_turn")
END_SOURCE_TURN = Statement("storage/end_source_turn")

_LOCK_NOT_AVAILABLE = "55P03"


@contextmanager
def source_turn(store: Store, connection: str, n_turns: int, queue: int) -> Iterator[None]:
    """One of `n_turns` turns at the source of a connection id, waited for in one of its queues.

    A session that dies gives its turn back. Raises `Unavailable` when none came free in 15 minutes.
    """
    with store.transaction():
        turn = store.one(LOCK_FREE_SOURCE_TURN, connection=connection, n_turns=n_turns)
    if turn is None:
        turn = queue % n_turns
        try:
            with store.transaction():
                store.execute(LOCK_SOURCE_TURN, connection=connection, turn=turn)
        except DatabaseError as error:
            if error.pgcode != _LOCK_NOT_AVAILABLE:
                raise
            minutes = LOCK_TIMEOUT_S // 60
            raise Unavailable(
                f"Expected one of {n_turns} connections (source.max_connections) that all datasets "
                f"together open to {connection} to come free within {minutes} minutes. Received: "
                "none; others are still reading."
            ) from error
    try:
        yield
    finally:
        # A session that was lost has given it back.
        with suppress(DatabaseError), store.transaction():
            store.execute(END_SOURCE_TURN, connection=connection, turn=turn)
