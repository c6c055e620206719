"""Waiting for locks ends: a reader's session that holds one is ended, anybody else's is named.

Postgres makes a session wait as long as another one holds what it needs, and all who come later
wait behind it: one open transaction in somebody's SQL window would stop scoring for good.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from typing import NamedTuple

import psycopg2
from psycopg2 import errors
from psycopg2.extensions import connection as Connection

from tsad_tasks.base.errors import Unavailable
from tsad_tasks.storage.database import connect

# So long a session waits for people who read; for anybody else but the pipeline twice as long.
PATIENCE_S = 30.0
N_PATIENCES = 2
# People have no use for our advisory locks: who holds one is ended at the first look.
LOOKS_PER_PATIENCE = 3
# Behind a session that was ended another one may have stood.
LOOKS_AGAIN_S = 1.0

log = logging.getLogger("tsad")


class Blocker(NamedTuple):
    """A session that ours waits for; `login` is None for a prepared transaction."""

    pid: int
    login: str | None
    since: datetime | None
    is_pipeline: bool
    ended: bool

    def __str__(self) -> str:
        if self.login is None:
            return "a prepared transaction (see pg_prepared_xacts)"
        return (
            f"the session {self.pid} of {self.login}, open since {self.since:%Y-%m-%d %H:%M:%S %Z}"
        )


class LockWatch:
    """Looks after the statements of one connection, from a thread of its own.

    Parameters
    ----------
    connection : its thread ends with it.
    uri : what the second connection is opened with, once a statement lasts for long.
    end_blockers : the statement that ends sessions, or names them: rows of `Blocker`.
    """

    def __init__(self, connection: Connection, uri: str, end_blockers: str) -> None:
        self._uri, self._end_blockers, self._patience_s = uri, end_blockers, PATIENCE_S
        self._pid = connection.info.backend_pid
        self._began_s: float | None = None
        self._look_s = self._due_s = self._patience_s / LOOKS_PER_PATIENCE
        self._named: list[Blocker] = []
        thread = threading.Thread(
            target=self._watch, args=(weakref.ref(connection),), name="tsad locks", daemon=True
        )
        thread.start()

    @contextmanager
    def over(self) -> Iterator[None]:
        """Watches the statement that runs inside.

        Raises
        ------
        Unavailable
            When it waited for somebody who is not to be ended.
        """
        began_s = time.monotonic()
        self._named, self._due_s, self._began_s = [], self._look_s, began_s
        try:
            yield
        except (errors.QueryCanceled, errors.LockNotAvailable) as error:
            if not self._named:
                raise
            waited_s, holders = time.monotonic() - began_s, ", ".join(map(str, self._named))
            wanted = f"Expected a lock within {waited_s:.0f} s"
            said = f"{wanted}. Received: none; it is held by {holders}."
            raise Unavailable(said) from error
        finally:
            self._began_s = None

    def _watch(self, watched: weakref.ref[Connection]) -> None:
        while (connection := watched()) is not None and not connection.closed:
            began_s = self._began_s
            if began_s is not None and time.monotonic() - began_s >= self._due_s:
                self._due_s += self._look_s
                try:
                    self._look(connection, began_s)
                except (psycopg2.Error, Unavailable) as error:
                    log.warning("Who holds a lock could not be looked up: %s", error)
            del connection
            time.sleep(min(1.0, self._look_s / 4))

    def _look(self, connection: Connection, began_s: float) -> None:
        """Ends sessions of people who read; gives up the statement where others hold it up."""
        limits = {"lock_timeout_s": 5, "statement_timeout_s": 20}
        is_due = time.monotonic() - began_s >= self._patience_s
        with closing(connect(self._uri, **limits)) as own, own, own.cursor() as cursor:
            params = {"waiting_pid": self._pid, "is_due": is_due}
            cursor.execute(self._end_blockers, params)
            blockers = [Blocker(*row) for row in cursor.fetchall()]
        for one in blockers:
            if one.ended:
                log.warning("Ended %s: the pipeline waited for it.", one)
        # The look took a while: another statement may run by now, which waits for nobody.
        if self._began_s != began_s:
            return
        waited_s = time.monotonic() - began_s
        self._named = [one for one in blockers if not one.ended]
        if len(self._named) < len(blockers):
            self._due_s = waited_s + LOOKS_AGAIN_S
            return
        is_held_up = not all(one.is_pipeline for one in self._named)
        if is_held_up and waited_s >= N_PATIENCES * self._patience_s:
            connection.cancel()
