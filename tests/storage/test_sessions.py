"""Sessions that requests take turns with: kept, bounded, and as new ones."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import psycopg2
import pytest

from devstack.postgres import BROWSER, ON_CALL, Cluster
from tests.statements import run
from tsad_tasks.base.errors import Unavailable
from tsad_tasks.storage import sessions
from tsad_tasks.storage.sessions import MOST_KEPT, MOST_OPEN, Sessions

PID = "SELECT pg_backend_pid()"


def asked(kept: Sessions, statement: str) -> Any:
    with kept.taken() as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        ((found,),) = cursor.fetchall()
        return found


@pytest.fixture
def uris(warehouse_uri: str) -> list[str]:
    return [warehouse_uri]


@pytest.fixture
def kept(uris: list[str]) -> Sessions:
    return Sessions(lambda: uris[-1], statement_timeout_s=30, lock_timeout_s=10)


def test_a_session_is_taken_again_and_forgets_what_was_set_or_left_open(kept: Sessions) -> None:
    with kept.taken() as connection, connection, connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '1s'; SET TIME ZONE 'Europe/Berlin'")
        pid = connection.info.backend_pid
    with pytest.raises(psycopg2.errors.DivisionByZero):
        asked(kept, "SELECT 1 / 0")
    assert asked(kept, PID) == pid
    assert asked(kept, "SHOW statement_timeout") == "30s"
    assert asked(kept, "SHOW timezone") == "UTC"
    with kept.taken() as connection:
        assert connection.info.transaction_status == 0


def test_a_server_that_was_restarted_answers_the_next_request(
    kept: Sessions, uris: list[str]
) -> None:
    pid = asked(kept, PID)
    run(uris[0], "SELECT pg_terminate_backend(%s, 5000)", (pid,))
    assert asked(kept, PID) != pid
    with pytest.raises(psycopg2.OperationalError):
        asked(kept, "SELECT pg_terminate_backend(pg_backend_pid())")
    assert asked(kept, "SELECT 1") == 1


def test_no_more_are_open_than_a_login_may_have(
    kept: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "WAIT_S", 0.05)
    with ExitStack() as stack:
        pids = {stack.enter_context(kept.taken()).info.backend_pid for _ in range(MOST_OPEN)}
        assert len(pids) == MOST_OPEN
        with pytest.raises(Unavailable, match="Expected one of the page's 8 sessions"):
            stack.enter_context(kept.taken())
    with ExitStack() as stack:
        again = [stack.enter_context(kept.taken()).info.backend_pid for _ in range(MOST_OPEN)]
    assert [pid in pids for pid in again] == [True] * MOST_KEPT + [False] * (MOST_OPEN - MOST_KEPT)


def test_an_old_session_and_one_of_another_login_are_not_taken_again(
    kept: Sessions, uris: list[str], cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = asked(kept, PID)
    name = psycopg2.extensions.parse_dsn(uris[0])["dbname"]
    uris.append(cluster.uri(name, ON_CALL))
    assert asked(kept, "SELECT current_user") == ON_CALL
    uris.append(cluster.uri(name, BROWSER))
    second = asked(kept, PID)
    assert second != first
    monkeypatch.setattr(sessions, "KEPT_S", 0.0)
    assert asked(kept, PID) != second
