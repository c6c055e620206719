"""A process that dies before or after any statement that writes, and before or after a commit.

What only reads changes nothing: to die before it is to die after the last write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from psycopg2.extensions import cursor as Cursor

from tsad_tasks.storage import copy_binary as binary
from tsad_tasks.storage.store import Incoming, Statement, Store

FOREVER = 10**9
READS = ("select_", "read_", "lock_")


class Killed(BaseException):
    """The process is gone."""


class MortalStore(Store):
    """Does something, which may be to die, before its n-th write or commit."""

    n_left = FOREVER

    def at_the_moment(self) -> None:
        """What happens then."""
        raise Killed

    @contextmanager
    def _asked(self, statement: Statement, params: Mapping[str, Any]) -> Iterator[Cursor]:
        self._live(statement.path.split("/")[1])
        with super()._asked(statement, params) as cursor:
            yield cursor

    def copy_in(self, incoming: Incoming, columns: Sequence[binary.Column]) -> None:
        self._live(incoming.table)
        super().copy_in(incoming, columns)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with super().transaction():
            yield
            self._live("commit")

    def _live(self, name: str) -> None:
        if name.startswith(READS):
            return
        self.n_left -= 1
        if self.n_left == -1:
            self.at_the_moment()


def n_moments(uri: str, work: Callable[[Store], Any]) -> int:
    """How many writes and commits some work has."""
    with MortalStore.connect(uri) as store:
        work(store)
        return FOREVER - store.n_left


def killed(uri: str, work: Callable[[Store], Any], n: int) -> None:
    """The work, by a process that dies before its n-th write or commit if it gets that far."""
    with MortalStore.connect(uri) as store, suppress(Killed):
        store.n_left = n
        work(store)
