"""Machines that fail together are one alert, whatever comes of each."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from tests.receivers import webhook
from tests.scoring.test_groups import at, fleet
from tests.scoring.test_long_incidents import Fleet
from tsad_tasks.base.enums import Severity, severity_rank
from tsad_tasks.config import NotificationsSection
from tsad_tasks.notifications.alerts import Alert, AlertChange
from tsad_tasks.notifications.channels.base import sender
from tsad_tasks.notifications.groups import AlertedGroup, GroupLead, told_of
from tsad_tasks.notifications.messages import body, subject
from tsad_tasks.notifications.notify import deliver, enqueue

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


# Who is told what of incidents: address or connection, event and severity.
ADDRESSED = """
  SELECT coalesce(nullif(address, ''), connection), event, payload ->> 'severity'
  FROM tsad.notification ORDER BY notification_id"""


def routed(fleet: Fleet, *targets: dict[str, Any]) -> None:
    """From now on these are told."""
    said = NotificationsSection.model_validate({"targets": list(targets)})
    fleet.config = fleet.config.model_copy(update={"notifications": said})


def mail(address: str, **chosen: Any) -> dict[str, Any]:
    return {"email": [f"{address}@b.example"], "connection": "mail"} | chosen


def addressed(fleet: Fleet, hour: int) -> list[tuple[str, str, str]]:
    """Who is told what after an hour, of an address its name."""
    known = len(fleet.ask(ADDRESSED))
    tell(fleet, hour)
    return [(to.partition("@")[0], *said) for to, *said in fleet.ask(ADDRESSED)[known:]]


def rises(fleet: Fleet, entity: int, severity: str = "HIGH") -> None:
    fleet.ask("UPDATE tsad.anomaly SET severity = %(severity)s WHERE entity_id = %(id)s",
        severity=severity, id=fleet.room.entity_ids[entity])  # fmt: skip


def said_of(fleet: Fleet, entity: int, taken_by: str | None, snoozed: str | None) -> None:
    """Somebody takes the incident of a machine, or snoozes it for an interval."""
    fleet.ask(
        "SELECT tsad.set_triage(incident_id, %(by)s, clock_timestamp() + %(for)s::interval, 'ada') "
        "FROM tsad.incident WHERE entity_id = %(id)s AND superseded_by IS NULL",
        **{"by": taken_by, "for": snoozed, "id": fleet.room.entity_ids[entity]},
    )


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


def test_a_route_that_names_a_machine_that_joins_is_told_of_it_once(fleet: Fleet) -> None:
    routed(fleet, mail("all"), mail("d", entities=["d"]), {"channel": "pagerduty",
        "connection": "pager", "entities": ["d", "e"]})  # fmt: skip
    for entity in range(3):
        fleet.flag([5], entity)
    assert addressed(fleet, 0) == [("all", "opened", "LOW")]
    fleet.flag([6], 3)
    assert addressed(fleet, 1) == [("d", "opened", "LOW"), ("pager", "opened", "LOW")]
    ((payload,),) = fleet.ask("SELECT payload FROM tsad.notification WHERE address LIKE 'd@%%'")
    assert payload["headline"] == "4 of 6 machines: cpu rose, since 1 Mar 05:50"
    assert payload["entities"] == ["a", "b", "c", "d"]
    assert addressed(fleet, 1) == []
    fleet.flag([6], 4)
    assert addressed(fleet, 1) == []
    fleet.ask("SELECT tsad.ensure_partition('score_block', %(at)s)", at=at(0))
    fleet.ask(SCORED, hours=[at(180)])
    closed = [(to, "closed", "LOW") for to in ("all", "d", "pager")]
    assert addressed(fleet, 2) == closed
    assert fleet.ask("SELECT count(DISTINCT alert_id) FROM tsad.notification") == [(1,)]


def test_a_machine_of_a_group_that_gets_worse_is_told_to_who_asks_for_that(fleet: Fleet) -> None:
    routed(fleet, mail("all"), mail("b", entities=["b"], least_severity="HIGH"))
    for entity in range(3):
        fleet.flag([1], entity)
    rises(fleet, 0)
    # Of b it is LOW, though the group is HIGH.
    assert addressed(fleet, 0) == [("all", "opened", "HIGH")]
    rises(fleet, 1)
    assert addressed(fleet, 0) == [("b", "opened", "HIGH")]


def test_a_group_is_told_to_who_would_hear_of_one_of_its_machines(fleet: Fleet) -> None:
    routed(
        fleet,
        mail("load", channels=["load"]),
        mail("fan", channels=["fan"]),
        mail("load-of-a", channels=["load"], entities=["a"]),
        mail("cpu-of-a", channels=["cpu"], entities=["a"]),
    )
    for entity in range(3):
        fleet.flag([1], entity)
    fleet.ask("UPDATE tsad.attribution SET share = 1 - share WHERE entity_id = %(id)s",
        id=fleet.room.entity_ids[1])  # fmt: skip
    rises(fleet, 0)
    # The worst of them is led by cpu, b by load.
    assert {to for to, *_ in addressed(fleet, 0)} == {"load", "cpu-of-a"}


def test_what_is_snoozed_is_quiet_for_its_machine_alone(fleet: Fleet) -> None:
    routed(fleet, mail("all"))
    for entity in range(3):
        fleet.flag([1], entity)
    assert addressed(fleet, 0) == [("all", "opened", "LOW")]
    said_of(fleet, 0, None, "4h")
    rises(fleet, 0)
    assert addressed(fleet, 0) == []
    rises(fleet, 1, "MEDIUM")
    assert addressed(fleet, 0) == [("all", "escalated", "MEDIUM")]
    assert fleet.ask("SELECT held_until FROM tsad.notification") == [(None,), (None,)]
    # Woken, it is as bad as it is.
    said_of(fleet, 0, None, None)
    assert addressed(fleet, 0) == [("all", "escalated", "HIGH")]
    ((before,),) = fleet.ask("SELECT payload ->> 'severity_before' FROM tsad.notification "
        "ORDER BY notification_id DESC LIMIT 1")  # fmt: skip
    assert before == "MEDIUM"


def test_a_group_is_quiet_while_all_of_it_is_snoozed(fleet: Fleet) -> None:
    routed(fleet, mail("all"))
    for entity in range(3):
        fleet.flag([1], entity)
    addressed(fleet, 0)
    for entity, hours in enumerate(["4h", "2h", "3h"]):
        said_of(fleet, entity, None, hours)
    rises(fleet, 1)
    assert addressed(fleet, 0) == []
    fleet.ask("SELECT tsad.ensure_partition('score_block', %(at)s)", at=at(0))
    fleet.ask(SCORED, hours=[at(180)])
    assert addressed(fleet, 2) == [("all", "closed", "HIGH")]
    ((hours,),) = fleet.ask(
        "SELECT round(extract(epoch FROM held_until - clock_timestamp()) / 3600) "
        "FROM tsad.notification WHERE event = 'closed'"
    )
    assert hours == 2


def test_a_route_to_a_snoozed_machine_waits_and_leaves_with_one_that_is_not(fleet: Fleet) -> None:
    routed(fleet, mail("all"), mail("high", least_severity="HIGH"))
    for entity in range(3):
        fleet.flag([1], entity)
    addressed(fleet, 0)
    said_of(fleet, 0, None, "4h")
    rises(fleet, 0)
    assert addressed(fleet, 0) == [("high", "opened", "HIGH")]
    held = "SELECT held_until IS NOT NULL FROM tsad.notification WHERE address LIKE 'high%%'"
    assert fleet.ask(held) == [(True,)]
    rises(fleet, 1)
    assert addressed(fleet, 0) == [("all", "escalated", "HIGH")]
    assert fleet.ask(held) == [(False,)]


def test_who_takes_a_machine_of_a_group_takes_no_other(fleet: Fleet) -> None:
    web = {"webhook": "web", "taken": True}
    routed(fleet, web, {"channel": "pagerduty", "connection": "pager"})
    for entity in range(3):
        fleet.flag([1], entity)
    addressed(fleet, 0)
    said_of(fleet, 0, "ada", None)
    assert addressed(fleet, 0) == [("web", "taken", "LOW")]
    said_of(fleet, 1, "ada", None)
    assert addressed(fleet, 0) == [("web", "taken", "LOW")]
    said_of(fleet, 2, None, "4h")
    assert addressed(fleet, 0) == []
    # A pager is quiet once all of them are in hand.
    said_of(fleet, 2, "bob", None)
    assert addressed(fleet, 0) == [("web", "taken", "LOW"), ("pager", "taken", "LOW")]
    taken = "SELECT payload FROM tsad.notification WHERE event = 'taken' AND connection = 'web'"
    said = [payload for (payload,) in fleet.ask(f"{taken} ORDER BY notification_id")]
    assert [subject(payload) for payload in said] == [
        f"room: {who} in hand: 3 of 6 machines: cpu rose, since 1 Mar 05:10"
        for who in ("ada has a", "ada has b", "bob has c")
    ]
    assert "In hand:   ada" in body(said[0])


def test_a_pager_that_was_acknowledged_is_not_triggered_for_one_more_machine_of_the_group(
    fleet: Fleet,
) -> None:
    """By its key it would only be noted there, and by another one who has it be called twice."""
    routed(fleet, {"channel": "pagerduty", "connection": "pager"})
    for entity in range(3):
        fleet.flag([1], entity)
    addressed(fleet, 0)
    for entity in range(3):
        said_of(fleet, entity, "ada", None)
    assert addressed(fleet, 0) == [("pager", "taken", "LOW")]
    fleet.flag([2], 3)
    assert addressed(fleet, 0) == []
    rises(fleet, 3)
    assert addressed(fleet, 0) == [("pager", "escalated", "HIGH")]
    fleet.ask("SELECT tsad.ensure_partition('score_block', %(at)s)", at=at(0))
    fleet.ask(SCORED, hours=[at(180)])
    assert addressed(fleet, 2) == [("pager", "closed", "HIGH")]
    with webhook() as web:
        send = sender(lambda _: f"http://:KEY@127.0.0.1:{web.port}/v2/enqueue")
        assert deliver(fleet.room.store, fleet.config, send).n_delivered == 4
        events = web.receiver.said
    ((thread,),) = fleet.ask("SELECT DISTINCT payload ->> 'thread' FROM tsad.notification")
    actions = ["trigger", "acknowledge", "trigger", "resolve"]
    assert [(one["event_action"], one["dedup_key"]) for one in events] == [
        (action, thread) for action in actions
    ]
    summaries = [events[place]["payload"]["severity"] for place in (0, 2)]
    assert summaries == ["warning", "critical"]
    assert events[2]["payload"]["custom_details"]["entities"] == list("abcd")


def test_a_group_is_never_told_as_less_than_it_was(fleet: Fleet) -> None:
    routed(fleet, mail("all"))
    for entity in range(3):
        fleet.flag([1], entity)
    fleet.flag([2], 3)
    addressed(fleet, 0)
    rises(fleet, 0)
    assert addressed(fleet, 0) == [("all", "escalated", "HIGH")]
    fleet.ask("DELETE FROM tsad.anomaly WHERE entity_id = %(id)s", id=fleet.room.entity_ids[0])
    assert addressed(fleet, 0) == []
    # As far as people know it is HIGH all the time.
    rises(fleet, 1)
    assert addressed(fleet, 0) == []
    rises(fleet, 1, "LOW")
    fleet.ask("UPDATE tsad.alert SET severity = 'LOW'")
    fleet.ask("SELECT tsad.ensure_partition('score_block', %(at)s)", at=at(0))
    fleet.ask(SCORED, hours=[at(180)])
    assert addressed(fleet, 2) == [("all", "closed", "HIGH")]


def test_who_was_told_in_a_digest_is_not_told_of_who_joins(fleet: Fleet) -> None:
    routed(fleet, mail("all"), mail("d", entities=["d"]))
    few = fleet.config.notifications.model_copy(update={"max_per_run": 1})
    fleet.config = fleet.config.model_copy(update={"notifications": few})
    for entity in range(3):
        fleet.flag([5], entity)
    fleet.flag([1], 4)
    known = "SELECT address, event FROM tsad.notification WHERE bundled_into IS NULL"
    tell(fleet, 0)
    assert fleet.ask(known) == [("all@b.example", "digest")]
    fleet.flag([6], 3)
    assert addressed(fleet, 1) == [("d", "opened", "LOW")]
    rises(fleet, 3)
    assert set(addressed(fleet, 1)) == {("all", "escalated", "HIGH"), ("d", "escalated", "HIGH")}


def test_a_group_that_lasts_keeps_its_headline_though_a_later_part_is_the_worst(
    fleet: Fleet,
) -> None:
    for entity in range(3):
        fleet.flag(range(54), entity)
    tell(fleet, 0)
    fleet.ask("UPDATE tsad.anomaly SET severity = 'HIGH' WHERE at > %(at)s", at=at(500))
    fleet.build(0, 9)
    ((event, payload),) = tell(fleet, 8)
    assert (event, payload["headline"]) == (
        "escalated",
        "3 of 6 machines: cpu rose, since 1 Mar 05:00",
    )


def test_the_headline_is_that_of_most_machines_and_of_no_older_group() -> None:
    def alert(entity: str, severity: str = "LOW") -> Alert:
        times = {"start_at": at(0), "end_at": at(10), "closed_told": False, "state": "open"}
        number = "abc".index(entity) + 1
        said = {"incident_id": f"INC-{entity}", "sentence": f"{entity}: ..."}
        return Alert(number, "t", entity, severity=severity, group_id="GRP-2", **times, **said)

    changes = [
        AlertChange(alert("a", "HIGH"), alert("a"), ("escalated",), began_as="INC-a"),
        AlertChange(alert("b"), alert("b"), (), began_as="INC-b"),
        AlertChange(alert("c"), alert("c"), (), began_as="INC-c"),
    ]
    groups = {"INC-a": AlertedGroup("INC-a", "GRP-1", "older")}
    groups |= {f"INC-{one}": AlertedGroup(f"INC-{one}", "GRP-2", "its own") for one in "bc"}
    leads = {"GRP-2": GroupLead("GRP-2", 1, "t", "its own")}
    told = told_of(changes, groups, leads, at(60))
    assert {(one.event, one.to, one.headline, one.alert.severity) for one in told} == {
        ("escalated", "told", "its own", "HIGH"),
        ("opened", "untold", "its own", "HIGH"),
    }
    # Where its incidents are of no group any more, it is still called what it was.
    gone = told_of(changes, {}, leads, at(60))
    assert {one.headline for one in gone} == {"its own"}


@pytest.mark.parametrize("seed", range(3))
def test_in_whatever_order_machines_join_and_get_worse_each_route_is_told_of_its_own_once(
    fleet: Fleet, seed: int
) -> None:
    random, severities = np.random.default_rng(seed), [*map(str, Severity)]
    routes = [mail(name, entities=[name]) for name in "abcdef"]
    high = mail("high", least_severity="HIGH")
    routed(fleet, mail("all"), high, *routes)
    order = [int(one) for one in random.permutation(6)]
    told: list[tuple[str, str, str]] = []
    worst = dict.fromkeys(range(6), "LOW")
    for joining in (order[:3], order[3:4], order[4:]):
        for entity in joining:
            fleet.flag([5 if entity in order[:3] else 6], entity)
        for entity in random.permutation(6)[:2].tolist():
            worst[entity] = max(worst[entity], str(random.choice(severities)), key=severity_rank)
            rises(fleet, entity, worst[entity])
        for entity in joining:
            rises(fleet, entity, worst[entity])
        told += addressed(fleet, 1)
        assert addressed(fleet, 1) == []
    fleet.ask("SELECT tsad.ensure_partition('score_block', %(at)s)", at=at(0))
    fleet.ask(SCORED, hours=[at(180)])
    told += addressed(fleet, 2)
    wanted = {"all", *"abcdef"} | ({"high"} if "HIGH" in worst.values() else set())
    assert {to for to, *_ in told} == wanted
    assert fleet.ask("SELECT count(DISTINCT alert_id) FROM tsad.notification") == [(1,)]
    for to in wanted:
        own = [said for name, *said in told if name == to]
        assert [event for event, _ in own][:1] == ["opened"]
        assert Counter(event for event, _ in own)["opened"] == 1
        assert own[-1] == ["closed", max(worst.values(), key=severity_rank)]
        ranks = [severity_rank(severity) for event, severity in own if event != "closed"]
        assert ranks == sorted(set(ranks))
