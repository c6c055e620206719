"""Rows that were missing for hours or days count when they come: read, scored and told as late, the
same rows as if they had been there in time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from devstack.postgres import Cluster
from tests.pipeline.test_same_rows import Rows, run_interval
from tests.plants.trained import CONFIG, Plant, config
from tests.plants.trained import SPLIT_AT as FIRST_AT
from tests.statements import run
from tsad_tasks.base.interval import moment
from tsad_tasks.ingest import awaited
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.notifications.messages import body, subject
from tsad_tasks.notifications.notify import enqueue
from tsad_tasks.pipeline.rescore import rescore_as_of
from tsad_tasks.scoring.score import score_interval
from tsad_tasks.storage.store import Store

# 36 hours of runs after the training; a fault is 15 hours in.
N_HOURS, FAULT = 36, (15, 18)
COPY_ON = """
    INSERT INTO plant.metrics SELECT at + interval '12 h', host, cpu, temperature FROM plant.metrics
    WHERE at >= %s AND at < %s"""


def at(hours: float) -> datetime:
    return FIRST_AT + timedelta(hours=hours)


def fill(uri: str) -> None:
    """Readings of two more half days, and a fault of host-01."""
    for half in (1, 2):
        run(uri, COPY_ON, (at(12 * (half - 1)), at(12 * half)))
    fault = "UPDATE plant.metrics SET temperature = temperature + 25 WHERE host = 'host-01' "
    run(uri, fault + "AND at >= %s AND at < %s", (at(FAULT[0]), at(FAULT[1])))


@dataclass(frozen=True)
class LatePlant(Plant):
    """A plant some of whose rows have not arrived."""

    def hold_back(self, host: str, start: float, end: float) -> None:
        self.execute("CREATE TABLE IF NOT EXISTS plant.held (LIKE plant.metrics)")
        statement = """
            WITH gone AS (
              DELETE FROM plant.metrics WHERE host = %s AND at >= %s AND at < %s RETURNING *)
            INSERT INTO plant.held SELECT * FROM gone"""
        self.execute(statement, host, at(start), at(end))

    def arrive(self, host: str, start: float = 0, end: float = N_HOURS) -> None:
        statement = """
            WITH come AS (
              DELETE FROM plant.held WHERE host = %s AND at >= %s AND at < %s RETURNING *)
            INSERT INTO plant.metrics SELECT * FROM come"""
        self.execute(statement, host, at(start), at(end))

    def run(self, first: int, last: int, step: float = 1) -> None:
        """Runs of [first, last), each read when it had ended."""
        for number in range(int((last - first) / step)):
            start_at = at(first + number * step)
            end_at = start_at + timedelta(hours=step)
            run_interval(self, start_at, end_at)
            # As if they had been read live, when the interval had ended.
            self.execute(
                "UPDATE tsad.ingest_hour SET read_at = %s WHERE read_at > %s", end_at, end_at
            )

    def counts(self) -> dict[str, int]:
        return dict(
            self.execute(
                "SELECT status, count(*) FROM tsad.v_status WHERE entity = 'host-01' "
                "AND hour_at >= %s GROUP BY 1",
                at(0),
            )
        )


@pytest.fixture(scope="module")
def late_template(cluster: Cluster, trained_template: str) -> Iterator[str]:
    name = f"late_{uuid4().hex}"
    fill(cluster.create_database(name, template=trained_template))
    yield name
    cluster.drop_database(name)


@pytest.fixture
def late(cluster: Cluster, late_template: str) -> Iterator[LatePlant]:
    name = f"late_{uuid4().hex}"
    yield LatePlant(cluster.create_database(name, template=late_template), config())
    cluster.drop_database(name)


@pytest.fixture(scope="module")
def in_time(cluster: Cluster, late_template: str) -> Iterator[Rows]:
    name = f"late_{uuid4().hex}"
    plant = LatePlant(cluster.create_database(name, template=late_template), config())
    run_interval(plant, at(0), at(N_HOURS))
    yield plant.rows()
    cluster.drop_database(name)


def test_the_fault_is_found_in_time(in_time: Rows) -> None:
    started = [row[6] for row in in_time["incidents"] if row[1] == "host-01"]
    assert any(at(FAULT[0]) <= one < at(FAULT[1]) for one in started)


def test_a_station_that_was_without_network_is_scored_when_it_is_back(
    late: LatePlant, in_time: Rows
) -> None:
    late.hold_back("host-01", 4.5, 30)
    late.run(0, 30)
    assert late.counts()["scored"] < 8
    late.arrive("host-01")
    late.run(30, 31)
    assert late.counts() == {"scored": 31}
    late.run(31, N_HOURS)
    assert late.rows() == in_time
    revisions = "SELECT DISTINCT revision FROM tsad.score_block WHERE superseded_at = 'infinity'"
    assert (2,) in late.execute(revisions)


def test_two_entities_with_outages_of_different_length(late: LatePlant, in_time: Rows) -> None:
    late.hold_back("host-01", 2, 20)
    late.hold_back("host-02", 9, 27)
    late.run(0, 20)
    late.arrive("host-01", 2, 20)
    late.run(20, 27)
    assert late.counts() == {"scored": 27}
    late.arrive("host-02")
    late.run(27, N_HOURS)
    assert late.rows() == in_time


def test_rows_that_trickle_in_backwards(late: LatePlant, in_time: Rows) -> None:
    late.hold_back("host-01", 3, 20)
    late.run(0, 20)
    for number in range(6):
        late.arrive("host-01", 20 - 3 * (number + 1), 20 - 3 * number)
        late.run(20 + number, 21 + number)
    late.run(26, N_HOURS)
    assert late.rows() == in_time


def test_a_station_that_is_back_for_one_hour_and_away_again(late: LatePlant, in_time: Rows) -> None:
    late.hold_back("host-01", 2, 14)
    late.hold_back("host-01", 15, 24)
    late.run(0, 15)
    # Its older rows come while it is away again.
    late.arrive("host-01", 2, 14)
    late.run(15, 25)
    assert late.counts()["scored"] > 14
    late.arrive("host-01")
    late.run(25, N_HOURS)
    assert late.rows() == in_time


def test_intervals_of_a_quarter_of_an_hour(late: LatePlant, in_time: Rows) -> None:
    quarters = LatePlant(late.uri, config(score_every="15min"))
    quarters.hold_back("host-01", 4, 20.25)
    quarters.run(0, 20, 1)
    quarters.run(20, 21, 0.25)
    quarters.arrive("host-01")
    quarters.run(21, 22, 0.25)
    assert quarters.counts() == {"scored": 22}
    quarters.run(22, N_HOURS)
    assert quarters.rows() == in_time


def test_a_killed_run_leaves_the_rest_to_the_next(late: LatePlant, in_time: Rows) -> None:

    late.hold_back("host-01", 4, 20)
    late.run(0, 20)
    late.arrive("host-01")
    # It dies before anything is scored, the next one before incidents are merged.
    with Store.connect(late.uri) as store:
        ingest_interval(store, late.config, late.uri, start_at=at(20), end_at=at(21))
        ingest_interval(store, late.config, late.uri, start_at=at(20), end_at=at(21))
        score_interval(store, late.config, start_at=at(20), end_at=at(21))
    late.run(20, 21)
    late.run(21, N_HOURS)
    assert late.rows() == in_time


def test_what_is_killed_between_reading_and_scoring_is_scored_by_the_next_interval(
    late: LatePlant, in_time: Rows
) -> None:

    late.hold_back("host-01", 4, 20)
    late.run(0, 20)
    late.arrive("host-01")
    with Store.connect(late.uri) as store:
        ingest_interval(store, late.config, late.uri, start_at=at(20), end_at=at(21))
    run_interval(late, at(20), at(22))
    late.run(22, N_HOURS)
    assert late.rows() == in_time


def test_late_turned_off_counts_nothing_again(late: LatePlant) -> None:
    off = LatePlant(late.uri, config(source=CONFIG["source"] | {"late": 0}))
    off.hold_back("host-01", 4, 20)
    off.run(0, 20)
    off.arrive("host-01")
    off.run(20, 24)
    assert off.counts()["scored"] < 12
    assert off.execute("SELECT count(*) FROM tsad.late_hour") == [(0,)]


def test_in_a_plant_without_gaps_nothing_is_counted_again(
    late: LatePlant, monkeypatch: pytest.MonkeyPatch
) -> None:

    asked: list[Any] = []
    monkeypatch.setattr(awaited, "late_changes", lambda *of, **span: asked.append(span) or [])
    late.run(0, 30)
    assert asked == []


# What people are told
# -------------------------------------------------------------------------------------------------


def told(plant: LatePlant) -> list[tuple[str, str, Any]]:
    statement = """
        SELECT event, coalesce(entity, ''), payload FROM tsad.v_notification
        WHERE bundled_into IS NULL ORDER BY notification_id"""
    return plant.execute(statement)


def run_and_tell(plant: LatePlant, first: float, last: float, **more: Any) -> None:
    run_interval(plant, at(first), at(last))
    with Store.connect(plant.uri) as store:
        enqueue(store, plant.config, end_at=at(last), **more)


@pytest.fixture
def told_plant(late: LatePlant) -> LatePlant:
    """A plant that tells a chat, of what is at most four hours old."""
    targets = {"targets": [{"webhook": "chat"}], "max_age": "4h"}
    return LatePlant(late.uri, config(notifications=targets))


def test_an_incident_whose_rows_came_late_is_told_once_and_as_late(told_plant: LatePlant) -> None:
    told_plant.hold_back("host-01", 13.5, 30)
    told_plant.run(0, 30)
    told_plant.arrive("host-01")
    run_and_tell(told_plant, 30, 31)
    late = [payload for _, _, payload in told(told_plant) if payload.get("found_late")]
    assert len(late) == 1
    events = late[0].get("events", late)
    assert {event["entity"] for event in events} == {"host-01"}
    assert {event["event"] for event in events} == {"opened"}
    assert any(at(FAULT[0]) <= moment(event["started_at"]) < at(FAULT[1]) for event in events)
    n_told = len(told(told_plant))
    run_and_tell(told_plant, 30, 31)
    run_and_tell(told_plant, 31, 32)
    assert [payload for *_, payload in told(told_plant)[n_told:] if payload.get("found_late")] == []


def test_several_that_are_found_late_are_one_message(told_plant: LatePlant) -> None:
    for hour in (14, 17, 20, 23):
        told_plant.execute(
            "UPDATE plant.metrics SET cpu = cpu + 60 WHERE host = 'host-01' AND at = %s", at(hour)
        )
    told_plant.hold_back("host-01", 13.5, 30)
    told_plant.run(0, 29)
    run_and_tell(told_plant, 29, 30)
    told_plant.arrive("host-01")
    n_told = len(told(told_plant))
    run_and_tell(told_plant, 30, 31)
    new = told(told_plant)[n_told:]
    assert [event for event, *_, payload in new if payload.get("found_late")] == ["digest"]
    (payload,) = [payload for *_, payload in new if payload.get("found_late")]
    assert payload["n_events"] >= 4
    assert subject(payload) == f"room: {payload['n_events']} incidents found late"
    assert body(payload).count("found late: host-01: ") == payload["n_events"]


def test_backfills_and_a_first_look_at_history_are_silent(told_plant: LatePlant) -> None:
    run_and_tell(told_plant, 0, 30)
    events = [event for *_, one in told(told_plant) for event in one.get("events", [one])]
    assert [one for one in events if moment(one["last_flag_at"]) < at(26)] == []
    # A person reads hours again whose rows have come: nobody is told.
    told_plant.hold_back("host-01", 14, 20)
    told_plant.arrive("host-01")
    with Store.connect(told_plant.uri) as store:
        rescore_as_of(store, told_plant.config, told_plant.uri, start_at=at(10), end_at=at(24))
        assert enqueue(store, told_plant.config, end_at=at(30)).n_events == 0


def test_what_a_run_makes_up_is_told_as_late(told_plant: LatePlant) -> None:
    run_and_tell(told_plant, 0, 1)
    run_and_tell(told_plant, 1, 30, made_up_from=at(1))
    late = [payload for *_, payload in told(told_plant) if payload.get("found_late")]
    events = [event for payload in late for event in payload.get("events", [payload])]
    assert any(at(FAULT[0]) <= moment(event["started_at"]) < at(FAULT[1]) for event in events)
    assert len(late) == 1


def test_what_is_made_up_of_long_ago_is_history(told_plant: LatePlant) -> None:
    recent = LatePlant(
        told_plant.uri,
        config(
            notifications={"targets": [{"webhook": "chat"}], "max_age": "1h"},
            source=CONFIG["source"] | {"late": "5h"},
        ),
    )
    run_interval(recent, at(0), at(1))
    run_and_tell(recent, 1, 30, made_up_from=at(1))
    events = [event for *_, one in told(recent) for event in one.get("events", [one])]
    assert [one for one in events if moment(one["last_flag_at"]) < at(25)] == []
