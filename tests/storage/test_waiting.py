"""Waiting ends: sessions of people who read are ended, others are named."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg2
import pytest

from devstack.postgres import BROWSER, ON_CALL, OWNER, PIPELINE, Cluster
from tests.statements import run
from tests.storage.rooms import HOUR_AT, Room, opened_room, room_config
from tsad_tasks.base.errors import Unavailable
from tsad_tasks.monitoring.queries import DROP_READING_MONTHS
from tsad_tasks.storage import waiting
from tsad_tasks.storage.blocks import ensure_partitions
from tsad_tasks.storage.datasets import lock_champions, lock_dataset, lock_hours
from tsad_tasks.storage.store import END_BLOCKERS

LATER = datetime(2026, 7, 1, tzinfo=UTC)
HOUR = int(HOUR_AT.timestamp()) // 3600
DATASET_LOCK = "SELECT pg_advisory_lock(hashtextextended('incidents live', 1))"
# What a session does and then sits there, in its transaction.
READS = {
    "a view": "SELECT FROM tsad.v_status",
    "the dataset's view": "SELECT FROM tsad.readings_room",
    "a cursor": "DECLARE mine CURSOR FOR SELECT * FROM tsad.readings_room; FETCH 1 FROM mine",
    "a function": "SELECT tsad.readings('room', 'a', '2026-03-01', '2026-03-02')",
    "a locked view": "LOCK TABLE tsad.readings_room IN ACCESS SHARE MODE",
    "a snapshot": "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT FROM tsad.readings_room",
    "a serial read": "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT FROM tsad.readings_room",
    "a savepoint": "SAVEPOINT one; SELECT FROM tsad.readings_room; RELEASE one",
    "a temporary view": "CREATE TEMP VIEW mine AS SELECT cpu FROM tsad.readings_room",
    "a temporary copy": "CREATE TEMP TABLE mine AS SELECT cpu FROM tsad.readings_room",
    "a prepared statement": "PREPARE mine AS SELECT FROM tsad.readings_room; EXECUTE mine",
    "a plan": "EXPLAIN ANALYZE SELECT FROM tsad.readings_room",
}
LOCKS = {
    "incidents": DATASET_LOCK,
    "incidents until the end": DATASET_LOCK.replace("lock(", "xact_lock("),
    "incidents, shared": DATASET_LOCK.replace("lock(", "lock_shared("),
    "champions": "SELECT pg_advisory_lock(hashtextextended('champion', 1))",
    "the hour": f"SELECT pg_advisory_lock(1, {HOUR})",
    "all hours": "SELECT pg_advisory_lock(1, h) FROM generate_series(490000, 500000) h",
    "partitions": "SELECT pg_advisory_lock(hashtext('tsad.partition'))",
    "views": "SELECT pg_advisory_lock(hashtext('tsad.view'), 1)",
}
SAYS = {
    "a label": "SELECT tsad.add_label('room', 'a', '2026-03-01', '2026-03-02')",
    "a change of a sensor": "SELECT tsad.set_channel_epoch('room', 'a', 'cpu', '2026-03-01', "
    "'replaced', 'new')",
}


@pytest.fixture
def room(warehouse_uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    """A room with readings, whose pipeline has the patience of a test."""
    monkeypatch.setattr(waiting, "PATIENCE_S", 0.4)
    with opened_room(warehouse_uri.replace(OWNER, PIPELINE)) as opened:
        opened.write(HOUR_AT, [[1, 2], [3, 4]])
        yield opened


@pytest.fixture
def warehouse_uri(cluster: Cluster, warehouse_uri: str) -> str:
    """As the pipeline's login."""
    return cluster.uri(warehouse_uri.rsplit("/", 1)[1], PIPELINE)


@contextmanager
def session(cluster: Cluster, room: Room, role: str, *statements: str) -> Iterator[Any]:
    """An open session of a login that has done something in a transaction."""
    uri = cluster.uri(room.uri.rsplit("/", 1)[1], role)
    with closing(psycopg2.connect(uri)) as connection:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        yield connection


def works(room: Room) -> None:
    """Everything that takes a lock: hours, incidents, champions, a new month, a new channel, and
    retention.
    """
    store = room.store
    with store.transaction():
        lock_hours(store, room.dataset_id, [HOUR_AT])
        lock_champions(store, room.dataset_id)
        lock_dataset(store, room.dataset_id, "incidents live")
        lock_dataset(store, room.dataset_id, "champion")
        ensure_partitions(store, "reading_block", np.array([int(LATER.timestamp())]))
    room.grown(room_config("cpu", "load", "heat"))
    with store.transaction():
        store.rows(DROP_READING_MONTHS)


def columns(room: Room) -> list[str]:
    """Columns of the dataset's view."""
    found = room.rows(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'readings_room' "
        "ORDER BY ordinal_position"
    )
    return [name for (name,) in found]


def test_readers_stop_nothing(
    cluster: Cluster, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They hold what only DDL needs, which is left to the next run."""
    monkeypatch.setattr(waiting, "PATIENCE_S", 60)
    room.rows("UPDATE tsad.dataset SET retired_before = '2026-05-01'")
    for month in range(1, 13):
        at = datetime(2025, month, 1, tzinfo=UTC)
        room.rows("SELECT tsad.ensure_partition('reading_block', %s)", at)
    with ExitStack() as open_ones:
        for way in READS.values():
            open_ones.enter_context(session(cluster, room, BROWSER, way))
        began_s = time.monotonic()
        with opened_room(room.uri) as patient:
            works(patient)
        # Not two seconds for each month.
        assert time.monotonic() - began_s < 20
        assert "heat" not in columns(room)
    works(room)
    assert columns(room)[-1] == "heat"
    months = "SELECT count(*) FROM pg_class WHERE relname = 'reading_block_2026_03'"
    assert room.rows(months) == [(0,)]


@pytest.mark.parametrize("way", [*LOCKS])
def test_a_reader_with_a_lock_of_the_pipeline_is_ended(
    cluster: Cluster, room: Room, way: str
) -> None:
    with session(cluster, room, BROWSER, LOCKS[way]) as held:
        works(room)
        with pytest.raises(psycopg2.OperationalError, match="terminat"):
            held.cursor().execute("SELECT 1")


@pytest.mark.parametrize("way", [*SAYS])
def test_an_operator_who_does_not_commit_stops_nothing(
    cluster: Cluster, room: Room, way: str
) -> None:
    with session(cluster, room, ON_CALL, SAYS[way]):
        works(room)


def test_all_at_once_and_behind_one_another(cluster: Cluster, room: Room) -> None:
    begun = [session(cluster, room, BROWSER, way) for way in (READS["a view"], DATASET_LOCK)]
    with begun[0], begun[1]:
        uri = cluster.uri(room.uri.rsplit("/", 1)[1], BROWSER)
        waits = psycopg2.connect(uri)
        thread = threading.Thread(target=lambda: _ask(waits, DATASET_LOCK), daemon=True)
        thread.start()
        works(room)
    thread.join(10)
    waits.close()


def _ask(connection: Any, statement: str) -> None:
    try:
        connection.cursor().execute(statement)
    except psycopg2.Error:
        return


CHAMPIONS = DATASET_LOCK.replace("incidents live", "champion")
TABLE = "LOCK TABLE tsad.reading_block IN ACCESS SHARE MODE"
# Each statement in a session of its own, before the pipeline's last one waits; those that wait too.
CHAINS = {
    "a queue": ([DATASET_LOCK], [DATASET_LOCK, DATASET_LOCK], DATASET_LOCK),
    "a lock each": ([DATASET_LOCK, CHAMPIONS, LOCKS["the hour"]], [], DATASET_LOCK),
    "behind the owner": (
        [],
        ["CREATE RULE r AS ON INSERT TO tsad.reading_block DO NOTHING"],
        TABLE,
    ),
}


@pytest.mark.parametrize("chain", [*CHAINS])
def test_one_look_ends_all_people_who_stand_before_the_pipeline(
    cluster: Cluster, room: Room, chain: str
) -> None:
    holding, waiting_too, ours = CHAINS[chain]
    with ExitStack() as open_ones:
        open_ones.enter_context(session(cluster, room, OWNER, TABLE))
        for statement in holding:
            open_ones.enter_context(session(cluster, room, BROWSER, statement))
        waits = [
            open_ones.enter_context(session(cluster, room, role))
            for role in [*[BROWSER] * len(waiting_too), PIPELINE]
        ]
        for connection, statement in zip(waits, [*waiting_too, ours], strict=True):
            threading.Thread(target=_ask, args=(connection, statement), daemon=True).start()
            _wait_until_blocked(room, connection)
        pid = waits[-1].info.backend_pid
        if ours == TABLE:
            assert _ended(room, pid, is_due=False) == []
        # People have no use for advisory locks: nobody waits for those with patience.
        ended = _ended(room, pid, is_due=ours == TABLE)
        assert ended == [BROWSER] * (len(holding) + len(waiting_too))


def _ended(room: Room, pid: int, *, is_due: bool) -> list[str | None]:
    with room.store.transaction():
        blockers = room.store.rows(END_BLOCKERS, waiting_pid=pid, is_due=is_due)
    return [one.login for one in blockers if one.ended]


def _wait_until_blocked(room: Room, connection: Any) -> None:
    blockers = "SELECT cardinality(pg_blocking_pids(%s)) > 0"
    deadline_s = time.monotonic() + 20
    while room.rows(blockers, connection.info.backend_pid) != [(True,)]:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_who_builds_on_a_view_that_must_be_made_anew_stops_nothing(
    cluster: Cluster, room: Room
) -> None:
    """As after rows of a dataset were deleted, and its name given to another one."""
    run(cluster.uri(room.uri.rsplit("/", 1)[1]), "TRUNCATE tsad.dataset CASCADE")
    with session(cluster, room, BROWSER, READS["a temporary view"]) as built:
        built.commit()
        with opened_room(room.uri, room_config("heat")):
            pass
        assert "heat" not in columns(room)
    with opened_room(room.uri, room_config("heat")):
        assert columns(room)[-1] == "heat"


def test_whoever_is_no_reader_is_named(cluster: Cluster, room: Room) -> None:
    with session(cluster, room, OWNER, DATASET_LOCK) as held:
        held.commit()
        said = rf"the session {held.info.backend_pid} of {OWNER}, open since \d{{4}}-.* UTC"
        with pytest.raises(Unavailable, match=said), room.store.transaction():
            lock_dataset(room.store, room.dataset_id, "incidents live")


def test_the_pipeline_waits_for_itself(room: Room) -> None:
    """Incidents of a fleet may take a minute, and the next backfilled hour needs their lock."""
    with opened_room(room.uri) as other:
        with other.store.transaction():
            lock_dataset(other.store, room.dataset_id, "incidents live")
            waits = threading.Thread(target=works, args=(room,))
            waits.start()
            waits.join(2)
            assert waits.is_alive()
        waits.join(30)
        assert not waits.is_alive()


@pytest.mark.parametrize("role", [BROWSER, ON_CALL])
def test_only_the_pipeline_ends_sessions(cluster: Cluster, room: Room, role: str) -> None:
    uri = cluster.uri(room.uri.rsplit("/", 1)[1], role)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        run(uri, "SELECT tsad.end_blockers(pg_backend_pid())")
