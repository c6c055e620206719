"""Machines that fail together are one alert, whatever comes of each."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scoring.test_groups import at, fleet
from tests.scoring.test_long_incidents import Fleet
from tsad_tasks.notifications.messages import body, subject
from tsad_tasks.notifications.notify import enqueue

__all__ = ["fleet"]

MESSAGES = "SELECT event, payload FROM tsad.notification ORDER BY notification_id"
# Hours that were scored, so that what ended some time ago is closed.
SCORED = """
  INSERT INTO tsad.score_block (entity_id, hour_at, model_id, status, coverage, n_needed, n_seen,
    window_digest, score_digest, errors, thresholds, scores, reasons)
  SELECT e.entity_id, h, m.model_id, 'scored', 1, 6, 6, 0, 0, array_fill(.5::real, ARRAY[6]),
    array_fill(1::real, ARRAY[6]), array_fill(-.5::real, ARRAY[6]),
    array_fill(0::smallint, ARRAY[6])
  FROM tsad.entity e CROSS JOIN tsad.model m CROSS JOIN unnest(%(hours)s::timestamptz[]) h"""


def tell(fleet: Fleet, hour: int) -> list[tuple[str, dict[str, Any]]]:
    """What is told after an hour."""
    known = len(fleet.ask(MESSAGES))
    fleet.build(hour)
    enqueue(fleet.room.store, fleet.config, end_at=at(60 * (hour + 1)))
    return [(event, payload) for event, payload in fleet.ask(MESSAGES)[known:]]


def test_four_machines_are_one_message_with_their_headline(fleet: Fleet) -> None:
    for entity in range(4):
        fleet.flag([1, 2], entity)
    ((event, payload),) = tell(fleet, 0)
    assert event == "opened"
    assert payload["headline"] == "4 of 6 machines: cpu rose, since 1 Mar 05:10"
    assert payload["entities"] == ["a", "b", "c", "d"]
    assert subject(payload) == "room: LOW: 4 of 6 machines: cpu rose, since 1 Mar 05:10"
    text = body(payload)
    assert "4 of 6 machines: cpu rose, since 1 Mar 05:10." in text
    assert f"The worst: {payload['sentence']}." in text
    assert "a, b, c and d" in text
    # Nothing new is nothing to tell.
    assert tell(fleet, 0) == []


def test_who_joins_is_told_of_only_if_it_is_worse(fleet: Fleet) -> None:
    for entity in range(3):
        fleet.flag([5], entity)
    assert [event for event, _ in tell(fleet, 0)] == ["opened"]
    fleet.flag([6], 3)
    assert tell(fleet, 1) == []
    fleet.flag([6], 4)
    fleet.ask("UPDATE tsad.anomaly SET severity = 'HIGH' WHERE entity_id = %(id)s",
        id=fleet.room.entity_ids[4])  # fmt: skip
    ((event, payload),) = tell(fleet, 1)
    assert (event, payload["severity"], payload["severity_before"]) == ("escalated", "HIGH", "LOW")
    assert payload["headline"] == "5 of 6 machines: cpu rose, since 1 Mar 05:50"
    assert payload["entities"] == ["a", "b", "c", "d", "e"]


def test_it_is_over_when_the_last_of_them_is(fleet: Fleet) -> None:
    for entity in range(3):
        fleet.flag([1], entity)
    fleet.flag(range(2, 6), 0)
    tell(fleet, 0)
    fleet.flag([6, 7, 8, 9], 0)
    fleet.ask("SELECT tsad.ensure_partition('score_block', %(at)s)", at=at(0))
    fleet.ask(SCORED, hours=[at(60)])
    fleet.ask("DELETE FROM tsad.score_block WHERE entity_id = %(id)s", id=fleet.room.entity_ids[0])
    assert tell(fleet, 1) == []
    fleet.ask("DELETE FROM tsad.score_block")
    fleet.ask(SCORED, hours=[at(180)])
    ((event, payload),) = tell(fleet, 2)
    assert (event, payload["entities"]) == ("closed", ["a", "b", "c"])
    ((thread,),) = fleet.ask("SELECT DISTINCT payload ->> 'thread' FROM tsad.notification")
    assert payload["thread"] == thread


def test_readings_that_were_taken_back_withdraw_it_once(fleet: Fleet) -> None:
    for entity in range(3):
        fleet.flag([1], entity)
    tell(fleet, 0)
    fleet.ask("DELETE FROM tsad.anomaly WHERE entity_id = %(id)s", id=fleet.room.entity_ids[0])
    assert tell(fleet, 0) == []
    fleet.ask("DELETE FROM tsad.anomaly")
    ((event, payload),) = tell(fleet, 0)
    assert (event, subject(payload).startswith("room: withdrawn: ")) == ("withdrawn", True)


def test_it_is_told_under_its_first_alert_though_that_one_is_taken_back(fleet: Fleet) -> None:
    for entity in range(3):
        fleet.flag([1], entity)
    ((_, opened),) = tell(fleet, 0)
    for entity in range(2):
        fleet.ask("DELETE FROM tsad.anomaly WHERE entity_id = %(id)s",
            id=fleet.room.entity_ids[entity])  # fmt: skip
        assert tell(fleet, 0) == []
    fleet.ask("SELECT tsad.ensure_partition('score_block', %(at)s)", at=at(0))
    fleet.ask(SCORED, hours=[at(180)])
    ((event, closed),) = tell(fleet, 2)
    assert (event, closed["thread"]) == ("closed", opened["thread"])
    assert len(fleet.ask("SELECT DISTINCT alert_id FROM tsad.notification")) == 1


def test_a_group_that_was_withdrawn_is_opened_again_in_a_thread_of_its_own(fleet: Fleet) -> None:
    threads = []
    for events in (["opened"], ["withdrawn"], ["opened"]):
        if events == ["opened"]:
            for entity in range(3):
                fleet.flag([1], entity)
        else:
            fleet.ask("DELETE FROM tsad.anomaly; DELETE FROM tsad.attribution")
        told = tell(fleet, 0)
        assert [event for event, _ in told] == events
        threads += [payload["thread"] for _, payload in told]
    assert threads[0] == threads[1] != threads[2]


@pytest.mark.parametrize("n", [1, 2])
def test_few_machines_have_a_message_each(fleet: Fleet, n: int) -> None:
    for entity in range(n):
        fleet.flag([1], entity)
    told = tell(fleet, 0)
    assert [payload["entity"] for _, payload in told] == ["a", "b"][:n]
    assert not any("headline" in payload for _, payload in told)


def test_machines_in_maintenance_make_no_group_of_two_others(fleet: Fleet) -> None:
    for entity in range(3):
        fleet.flag([1], entity)
    fleet.build(0)
    fleet.ask(
        "UPDATE tsad.incident SET suppressed_by = 'maintenance 1: fans' WHERE entity_id = %(id)s",
        id=fleet.room.entity_ids[2],
    )
    enqueue(fleet.room.store, fleet.config, end_at=at(60))
    told = fleet.ask(MESSAGES)
    assert [payload["entity"] for _, payload in told] == ["a", "b"]


def test_what_began_alone_goes_on_alone(fleet: Fleet) -> None:
    fleet.flag([5], 0)
    assert [payload["entity"] for _, payload in tell(fleet, 0)] == ["a"]
    fleet.flag([6], 1)
    fleet.flag([6], 2)
    ((event, payload),) = tell(fleet, 1)
    assert (event, payload["headline"]) == (
        "opened",
        "3 of 6 machines: cpu rose, since 1 Mar 05:50",
    )
    assert payload["entities"] == ["b", "c"]
