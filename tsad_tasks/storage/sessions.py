"""Sessions of the warehouse that are kept between requests, each for one at a time.

A new session reads the catalogue and compiles every view anew, which costs more than most
statements of the page; a kept one does not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock
from typing import NamedTuple

from psycopg2.extensions import connection as Connection

from tsad_tasks.base.errors import Unavailable
from tsad_tasks.storage.database import DatabaseError, connect

# The login of the compose file has 20.
MOST_OPEN, MOST_KEPT = 8, 4
# What a session remembers of the catalogue grows; it also may have another server by then.
KEPT_S = 600.0
WAIT_S = 30.0


class Session(NamedTuple):
    """A connection, under which URI it was made and when (seconds of the monotonic clock)."""

    connection: Connection
    uri: str
    made_s: float


class Sessions:
    """At most eight open sessions, of which four stay for requests to come.

    Only what ends within a transaction is relied on, so that a pool between here and the server may
    give each transaction another session.
    """

    def __init__(
        self, uri: Callable[[], str], *, statement_timeout_s: int, lock_timeout_s: int
    ) -> None:
        self._uri = uri
        self._waits = {
            "statement_timeout_s": statement_timeout_s,
            "lock_timeout_s": lock_timeout_s,
        }
        self._free = BoundedSemaphore(MOST_OPEN)
        self._lock = Lock()
        self._kept: list[Session] = []

    @contextmanager
    def taken(self) -> Iterator[Connection]:
        """A connection that answers, in nobody else's hands; see `connect` for what it raises.

        Raises `Unavailable` too where all are taken for half a minute.
        """
        uri = self._uri()
        if not self._free.acquire(timeout=WAIT_S):
            raise Unavailable(
                f"Expected one of the page's {MOST_OPEN} sessions within {WAIT_S:.0f} s. "
                "Received: none, the warehouse is slow or too many ask. Try again."
            )
        try:
            session = self._answering(uri) or Session(
                connect(uri, **self._waits), uri, time.monotonic()
            )
            try:
                yield session.connection
            finally:
                self._keep(session)
        finally:
            self._free.release()

    def _answering(self, uri: str) -> Session | None:
        """The session that was kept last and is as a new one; None: there is none."""
        while True:
            with self._lock:
                if not self._kept:
                    return None
                session = self._kept.pop()
            if session.uri == uri and _is_young(session):
                try:
                    # Asks the server, which may have been restarted, and forgets what was set.
                    session.connection.reset()
                    return session
                except DatabaseError:
                    pass
            session.connection.close()

    def _keep(self, session: Session) -> None:
        try:
            session.connection.rollback()
        except DatabaseError:
            session.connection.close()
        with self._lock:
            if not session.connection.closed and _is_young(session) and len(self._kept) < MOST_KEPT:
                self._kept.append(session)
                return
        session.connection.close()


def _is_young(session: Session) -> bool:
    return time.monotonic() - session.made_s < KEPT_S
