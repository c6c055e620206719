"""Turns at a source: how many connections all datasets together open to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from tsad_tasks.base.errors import NotYet, Unavailable
from tsad_tasks.storage.database import DatabaseError
from tsad_tasks.storage.store import Query, Statement, Store

LOCK_FREE_SOURCE_TURN = Query.or_null("storage/lock_free_source_turn", int)
LOCK_SOURCE_TURN = Statement("storage/lock_source_turn")
END_SOURCE_TURN = Statement("storage/end_source_turn")

PATIENCE_S = 900
_COME_AGAIN = timedelta(seconds=30)
_LOCK_NOT_AVAILABLE = "55P03"


@contextmanager
def source_turn(
    store: Store, connection: str, n_turns: int, queue: int, *, comes_again: bool = False
) -> Iterator[None]:
    """One of `n_turns` turns at the source of a connection id.

    Where none is free, one stands in a queue for one of them, and looks at all of them now and
    then. A session that dies gives its turn back. Raises `Unavailable` after 15 minutes, or, where
    whoever asks comes again, `NotYet` after a quarter of a minute.
    """
    deadline_s = time.monotonic() + PATIENCE_S
    while (turn := _turn(store, connection, n_turns, queue)) is None:
        if comes_again:
            raise NotYet(
                f"Expected one of {n_turns} connections (source.max_connections) that all datasets "
                f"together open to {connection} to be free. Received: none; others are reading.",
                _COME_AGAIN,
            )
        if time.monotonic() > deadline_s:
            raise Unavailable(
                f"Expected one of {n_turns} connections (source.max_connections) that all datasets "
                f"together open to {connection} to come free within {PATIENCE_S // 60} minutes. "
                "Received: none; others are still reading."
            )
    try:
        yield
    finally:
        # A session that was lost has given it back.
        with suppress(DatabaseError), store.transaction():
            store.execute(END_SOURCE_TURN, connection=connection, turn=turn)


def _turn(store: Store, connection: str, n_turns: int, queue: int) -> int | None:
    """A turn that is free, or comes free in time."""
    with store.transaction():
        free = store.one(LOCK_FREE_SOURCE_TURN, connection=connection, n_turns=n_turns)
    if free is not None:
        return free
    turn = queue % n_turns
    try:
        with store.transaction():
            store.execute(LOCK_SOURCE_TURN, connection=connection, turn=turn)
    except Unavailable:
        # Who watches over locks has named the holder, another run.
        return None
    except DatabaseError as error:
        if error.pgcode != _LOCK_NOT_AVAILABLE:
            raise
        return None
    return turn
