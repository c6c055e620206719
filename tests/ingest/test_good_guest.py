"""A server that others work on: turns at it, and reads that are no longer than it lets them be."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from functools import partial

import pytest

from tests.plants.plant import Plant, at
from tsad_tasks.base.errors import NotYet, Unavailable
from tsad_tasks.ingest.sources.postgres import PostgresSource
from tsad_tasks.storage.database import connect
from tsad_tasks.storage.store import Store
from tsad_tasks.storage.turns import source_turn


@pytest.fixture
def plant(empty_plant: Plant) -> Plant:
    """A machine with 16 hours of readings, each of which takes its time."""
    empty_plant.run(
        "CREATE TABLE fast (at timestamptz, machine text, temp float8, load float8, changed "
        "timestamptz, bad bool);"
        "INSERT INTO fast SELECT t, 'm1', 1, 2, t, false FROM generate_series("
        "'2024-05-01 00:00Z'::timestamptz, '2024-05-01 15:59Z', '5 min') t;"
        "CREATE VIEW reading AS SELECT * FROM fast WHERE pg_sleep(.012)::text = ''"
    )
    return empty_plant


def test_hours_that_together_take_too_long_are_read_in_fewer(plant: Plant) -> None:
    config = plant.config(statement_timeout="1s")
    summary = plant.ingest("2024-05-01 00:00", "2024-05-01 16:00", config)
    assert (summary.n_hours_read, summary.n_rows) == (16, 16 * 12)
    together = plant.rows("SELECT count(*) FROM tsad.ingest_hour GROUP BY xmin::text ORDER BY 1")
    # Eight last longer than a second.
    assert 1 < together[-1][0] < 8


def test_one_hour_that_takes_too_long_keeps_what_was_read_before(plant: Plant) -> None:
    plant.run(
        "CREATE OR REPLACE VIEW reading AS SELECT * FROM fast WHERE "
        "pg_sleep(CASE WHEN at < '2024-05-01 02:00Z' THEN 0 ELSE 1 END)::text = ''"
    )
    with pytest.raises(Unavailable, match="statement_timeout"):
        plant.ingest("00:00", "06:00", plant.config(statement_timeout="2s"))
    hours = plant.rows("SELECT hour_at FROM tsad.ingest_hour ORDER BY 1")
    assert hours == [(at("00:00"),), (at("01:00"),)]


def test_no_more_than_so_many_are_at_a_source_at_a_time(plant: Plant) -> None:
    inside, most = list[int](), list[int]()

    def visit(queue: int) -> None:
        with Store.connect(plant.warehouse_uri) as store, source_turn(store, "hall", 2, queue):
            inside.append(queue)
            most.append(len(inside))
            time.sleep(0.3)
            inside.remove(queue)

    with ThreadPoolExecutor(6) as jobs:
        list(jobs.map(visit, range(6)))
    assert len(most) == 6
    assert max(most) == 2


def test_a_turn_comes_free_after_an_error_and_with_a_lost_session(plant: Plant) -> None:
    with Store.connect(plant.warehouse_uri) as store:
        with pytest.raises(ZeroDivisionError), source_turn(store, "hall", 1, 0):
            raise ZeroDivisionError
        with Store.connect(plant.warehouse_uri) as lost, source_turn(lost, "hall", 1, 0):
            lost.close()
        with source_turn(store, "hall", 1, 0):
            pass


def test_who_waits_too_long_for_a_turn_is_told_and_another_source_has_turns_of_its_own(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tsad_tasks.storage.turns.PATIENCE_S", 0)
    connect = partial(Store.connect, plant.warehouse_uri)
    with connect() as store, source_turn(store, "hall", 1, 0), connect() as late:
        with source_turn(late, "roof", 1, 0):
            pass
        with pytest.raises(Unavailable, match=r"source\.max_connections"):
            source_turn(late, "hall", 1, 0).__enter__()


def test_the_locks_and_reads_of_a_machine_that_is_gone_end_soon(plant: Plant) -> None:
    """By default a server asks a silent client only after two hours."""
    asked = "SELECT setting::int FROM pg_settings WHERE name LIKE 'tcp_keepalives%' ORDER BY name"
    with closing(connect(plant.warehouse_uri)) as session, session, session.cursor() as cursor:
        cursor.execute(asked)
        assert cursor.fetchall() == [(3,), (60,), (10,)]
    source = PostgresSource(plant.source_uri, plant.config())
    with closing(source), source.snapshot() as cursor:
        cursor.execute(asked)
        assert cursor.fetchall() == [(3,), (60,), (10,)]


def test_whoever_comes_again_does_not_wait_for_long(
    empty_plant: Plant,
) -> None:
    with (
        Store.connect(empty_plant.warehouse_uri) as store,
        source_turn(store, "hall", 1, 0),
        Store.connect(empty_plant.warehouse_uri) as late,
        pytest.raises(NotYet, match="Received: none; others are reading") as raised,
        source_turn(late, "hall", 1, 0, comes_again=True),
    ):
        pass
    assert raised.value.wait == timedelta(seconds=30)
