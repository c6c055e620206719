"""Targets that hear a part, or later: routes, least severity, quiet hours, digests; and formats."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.notifications.test_notify import Hall, Span, configured, hall, opened_hall
from tests.notifications.test_senders import certificate
from tests.receivers import BUSY, UNKNOWN, plain_text, webhook
from tests.storage.rooms import room_config
from tsad_tasks.base.errors import BadInput, Refused, Undelivered, Unreachable
from tsad_tasks.base.interval import HOUR
from tsad_tasks.config import DatasetConfig, NotificationTarget, QuietHours
from tsad_tasks.config.sections import CriticalitySection
from tsad_tasks.notifications.channels.base import Message, sender
from tsad_tasks.notifications.channels.slack import slack_content
from tsad_tasks.notifications.notify import MOST_REFUSALS
from tsad_tasks.notifications.targets import Recipient, Subject, hears, quiet_end, recipients
from tsad_tasks.notifications.trial import try_targets

__all__ = ["certificate", "hall", "opened_hall"]

PAGER = {"channel": "pagerduty", "connection": "pager"}
KEY = "R0UTINGKEY0123456789abcdef012345"


def target(**said: Any) -> NotificationTarget:
    return NotificationTarget.model_validate({"webhook": "web"} | said)


def only(recipient: dict[str, Any], **more: Any) -> Any:
    """The configuration with this target alone."""
    return configured(targets=[recipient], **more)


def pager_uri(hall: Hall, connection: str) -> str:
    """The URI of a connection; the pager's holds a routing key."""
    if connection == "pager":
        return f"http://:{KEY}@127.0.0.1:{hall.web.port}/v2/enqueue"
    return hall.uri_of(connection)


def send(hall: Hall) -> tuple[int, ...]:
    return hall.deliver(sender(lambda connection: pager_uri(hall, connection)))


@pytest.mark.parametrize(
    ("chosen", "heard"),
    [
        ({}, True),
        ({"least_severity": "HIGH"}, False),
        ({"least_severity": "MEDIUM"}, True),
        ({"entities": ["P-*"]}, True),
        ({"entities": ["fan", "Q-*"]}, False),
        ({"channels": ["*pressure"]}, True),
        ({"channels": ["*temperature"]}, False),
        ({"entities": ["P-7"], "channels": ["flow"]}, False),
    ],
)
def test_a_target_hears_of_severity_entity_and_channel_that_it_asks_for(
    chosen: dict[str, Any], heard: bool
) -> None:
    assert hears(target(**chosen), Subject("opened", "MEDIUM", ["P-7"], "pressure")) is heard


def test_of_what_has_no_severity_or_channel_everybody_hears_whose_machine_it_is() -> None:
    chosen = target(least_severity="HIGH", channels=["flow"], entities=["P-*"])
    assert hears(chosen, Subject("silent", entities=["Q-1", "P-2"]))
    assert not hears(chosen, Subject("silent", entities=["Q-1"]))


@pytest.mark.parametrize(
    ("at", "end"),
    [
        # Winter, on the clock of Berlin: UTC+1.
        ("2026-01-10T20:59", None),
        ("2026-01-10T21:00", "2026-01-11T05:00"),
        ("2026-01-11T04:59", "2026-01-11T05:00"),
        ("2026-01-11T05:00", None),
        # The night to 29 March has one hour less.
        ("2026-03-28T21:00", "2026-03-29T04:00"),
    ],
)
def test_quiet_hours_are_those_of_the_clock_on_the_wall(at: str, end: str | None) -> None:
    night = QuietHours.model_validate({"start": "22:00", "end": 360})
    found = quiet_end(night, datetime.fromisoformat(f"{at}+00:00"), "Europe/Berlin")
    assert found == (end and datetime.fromisoformat(f"{end}+00:00"))


def test_the_most_impatient_target_of_an_address_counts() -> None:
    at = datetime(2026, 1, 10, 12, tzinfo=UTC)
    daily = target(digest="0 5 * * *")
    loud = target(least_severity="HIGH")
    both = recipients(
        configured(
            targets=[
                daily.model_dump(exclude_unset=True),
                {"webhook": "web", "least_severity": "HIGH"},
            ]
        )
    )
    assert len(both) == 1

    def held(of: Subject, *targets: NotificationTarget) -> datetime | None:
        recipient = Recipient(both[0].to, targets)
        return recipient.held_until(recipient.heard([of]), at, "UTC")

    morning = datetime(2026, 1, 11, 5, tzinfo=UTC)
    assert held(Subject("opened", "LOW", ["a"]), daily, loud) == morning
    assert held(Subject("opened", "HIGH", ["a"]), daily, loud) is None


def test_who_hears_from_a_severity_on_hears_what_becomes_of_it_and_nothing_else(hall: Hall) -> None:
    hall.config = only({"webhook": "web", "least_severity": "MEDIUM"})
    for spans, n_hours in (([Span(0, 1)], 1), ([Span(0, 2, "HIGH")], 2), ([Span(0, 2, "HIGH")], 9)):
        hall.becomes(*spans, Span(20, 21, entity=1))
        hall.scored(n_hours)
        hall.enqueue()
        hall.deliver()
    assert hall.told() == ["room: now HIGH: incident at a", "room: closed: incident at a"]


def test_routes_by_entity_reach_who_asks_for_it(hall: Hall) -> None:
    hall.config = configured(
        targets=[
            {"webhook": "web", "entities": ["b*"]},
            {"email": ["a@example.com"], "connection": "mail", "entities": ["a"]},
        ]
    )
    hall.becomes(Span(0, 1), Span(0, 1, "HIGH", entity=1))
    assert hall.enqueue().n_messages == 2
    hall.deliver()
    assert hall.told() == ["room: HIGH incident at b"]
    assert [email["Subject"] for email in hall.mail.receiver.said] == ["room: LOW incident at a"]


def test_what_waits_leaves_as_one_digest_that_says_how_each_stands(hall: Hall) -> None:
    hall.config = only({"webhook": "web", "digest": "0 5 1 1 *"})
    hall.becomes(Span(0, 1), Span(20, 21, entity=1))
    hall.enqueue()
    hall.becomes(Span(0, 2, "HIGH"), Span(20, 21, entity=1))
    hall.enqueue()
    hall.now_at = datetime.now(UTC)
    assert hall.deliver() == (0, 0, 0)
    ((held_until,),) = hall.ask("SELECT DISTINCT held_until FROM tsad.notification")
    hall.now_at = held_until - timedelta(seconds=1)
    assert hall.deliver() == (0, 0, 0)
    hall.now_at = held_until
    hall.web.receiver.faults = [UNKNOWN]
    assert hall.deliver() == (0, 1, 0)
    hall.now_at += HOUR
    assert [hall.deliver() for _ in range(2)] == [(1, 0, 0), (0, 0, 0)]
    (said,) = hall.web.receiver.said
    assert [(one["event"], one["entity"]) for one in said["events"]] == [
        ("escalated", "a"),
        ("opened", "b"),
    ]
    assert said["text"].startswith("2 events that waited: 1 opened and 1 escalated.\n")
    assert set(hall.rows("state", "attempts")) == {("delivered", 2)}


def test_a_digest_that_is_given_up_takes_along_what_it_says(hall: Hall) -> None:
    hall.config = only({"webhook": "web", "digest": "0 5 1 1 *"})
    hall.becomes(Span(0, 1), Span(20, 21, entity=1))
    hall.enqueue()
    hall.now_at = datetime.now(UTC) + timedelta(days=367)
    hall.web.receiver.faults = [UNKNOWN] * MOST_REFUSALS
    for _ in range(MOST_REFUSALS):
        hall.deliver()
        hall.now_at += HOUR
    assert {state for (state,) in hall.rows("state")} == {"failed"}
    # What is given up is counted once, by v_health too.
    given_up = "SELECT event FROM tsad.v_notification WHERE bundled_into IS NULL"
    assert hall.ask(given_up) == [("digest",)]


def test_one_message_that_waited_leaves_as_it_is(hall: Hall) -> None:
    hall.config = only({"webhook": "web", "digest": "0 5 1 1 *"})
    hall.becomes(Span(0, 1))
    hall.enqueue()
    hall.now_at = datetime.now(UTC) + timedelta(days=367)
    assert hall.deliver() == (1, 0, 0)
    assert hall.told() == ["room: LOW incident at a"]


def takes(hall: Hall, incident_id: str, by: str | None) -> None:
    hall.ask("SELECT tsad.set_triage(%s, %s, NULL, 'ada')", incident_id, by)


def test_a_pager_is_triggered_acknowledged_and_resolved_by_one_key(hall: Hall) -> None:
    hall.config = only(PAGER, base_url="https://a.example/tsad", max_per_run=1)
    hall.becomes(Span(0, 1, "HIGH"))
    hall.enqueue()
    takes(hall, "INC-0-0", "ada")
    hall.enqueue()
    takes(hall, "INC-0-0", None)
    takes(hall, "INC-0-0", "ada")
    hall.enqueue()
    hall.scored(9)
    hall.enqueue()
    assert send(hall) == (3, 0, 0)
    events = hall.web.receiver.said
    ((thread,),) = hall.ask("SELECT thread::text FROM tsad.alert")
    assert [(one["event_action"], one["dedup_key"], one["routing_key"]) for one in events] == [
        ("trigger", thread, KEY),
        ("acknowledge", thread, KEY),
        ("resolve", thread, KEY),
    ]
    said = events[0]["payload"]
    assert said["summary"] == "a: the error is 3.0 × the threshold"
    assert (said["source"], said["severity"], said["group"]) == ("a", "critical", "room")
    assert events[0]["links"] == [
        {"href": "https://a.example/tsad/incidents/INC-0-0", "text": "Open on the page"}
    ]
    assert "Authorization" not in events[0]["headers"]


def test_a_pager_gets_each_incident_by_itself_and_no_news(hall: Hall) -> None:
    hall.config = only(PAGER, max_per_run=1)
    hall.becomes(Span(0, 1), Span(20, 21), Span(20, 21, entity=1))
    hall.stops()
    hall.news()
    hall.enqueue()
    assert send(hall) == (3, 0, 0)
    assert len({one["dedup_key"] for one in hall.web.receiver.said}) == 3


def test_others_hear_who_has_it_in_hand_where_they_ask_for_it(hall: Hall) -> None:
    hall.config = configured(
        targets=[
            {"webhook": "web", "taken": True},
            {"email": ["a@b.example"], "connection": "mail"},
        ]
    )
    hall.becomes(Span(0, 1))
    takes(hall, "INC-0-0", "ada")
    hall.enqueue()
    hall.deliver()
    assert hall.told() == ["room: LOW incident at a", "room: ada has it in hand: incident at a"]
    assert len(hall.mail.receiver.said) == 1
    assert [said["action"] for said in hall.web.receiver.said] == ["trigger", "acknowledge"]


def test_messages_about_a_snoozed_incident_wait_but_a_pager_hears_of_its_end(hall: Hall) -> None:
    hall.config = configured(targets=[{"webhook": "web"}, PAGER])
    hall.becomes(Span(0, 1))
    hall.enqueue()
    hall.now_at = datetime.now(UTC)
    assert send(hall) == (2, 0, 0)
    until_at = hall.now_at + timedelta(hours=4)
    hall.ask("SELECT tsad.set_triage('INC-0-0', NULL, %s, 'ada')", until_at)
    hall.becomes(Span(0, 1, "HIGH"))
    hall.enqueue()
    assert send(hall) == (0, 0, 0)
    hall.now_at = until_at
    assert send(hall) == (2, 0, 0)
    assert [said.get("subject", said.get("event_action")) for said in hall.web.receiver.said] == [
        "room: LOW incident at a",
        "trigger",
        "room: now HIGH: incident at a",
        "trigger",
    ]
    hall.ask("SELECT tsad.set_triage('INC-0-0', NULL, %s, 'ada')", until_at + 99 * HOUR)
    hall.scored(9)
    hall.enqueue()
    assert send(hall) == (1, 0, 0)
    assert hall.web.receiver.said[-1]["event_action"] == "resolve"


def test_a_pager_without_a_routing_key_waits_and_says_so(hall: Hall) -> None:
    hall.config = only({"channel": "pagerduty", "connection": "web"})
    hall.becomes(Span(0, 1))
    hall.enqueue()
    assert hall.deliver() == (0, 1, 0)
    ((error,),) = hall.rows("last_error")
    assert error.startswith("Expected a URI such as https://:<routing key>@events.pagerduty.com")


def test_slack_gets_plain_text_and_a_link(hall: Hall) -> None:
    page = "https://a.example/tsad"
    hall.config = only({"channel": "slack", "connection": "web"}, base_url=page)
    hall.becomes(Span(0, 1, "HIGH"))
    hall.enqueue()
    assert hall.deliver() == (1, 0, 0)
    (said,) = hall.web.receiver.said
    blocks = said["blocks"]
    assert said["text"] == "room: HIGH incident at a"
    assert blocks[0]["text"]["text"] == "room: HIGH incident at a"
    assert blocks[1]["text"]["text"] == "a: the error is 3.0 × the threshold."
    assert blocks[-1]["text"]["text"] == f"<{page}/incidents/INC-0-0|Open on the page>"
    ((thread,),) = hall.ask("SELECT thread::text FROM tsad.alert")
    assert blocks[0]["block_id"] == f"trigger.{thread}"


def test_in_slack_only_the_link_is_markup() -> None:
    name = "<!channel> <https://evil.example|x> *b* & @here"
    payload = {
        "event": "opened", "dataset": "room", "entity": name, "severity": "HIGH", "state": "open",
        "started_at": "2026-03-01T05:00:00+00:00", "last_flag_at": "2026-03-01T05:30:00+00:00",
        "sentence": f"{name}: it got hot", "incident_id": "INC-1", "thread": "t", "zone": "UTC",
        "sql": "SELECT 1", "link": "https://a.example/tsad/incidents/INC-1",
    }  # fmt: skip
    said = slack_content(Message("k", "slack", "c", "", f"room: {name}", "…", payload))
    kinds = [text["type"] for block in said["blocks"] for text in _texts(block)]
    assert kinds.count("mrkdwn") == 1
    assert "<" not in said["text"]
    assert ">" not in said["text"]
    assert f"Entity\n{name}" in [one["text"] for one in said["blocks"][2]["fields"]]


def _texts(block: dict[str, Any]) -> list[dict[str, Any]]:
    return block.get("fields") or [block["text"]]


def test_apprise_hands_over_subject_and_text_in_which_no_name_calls_anybody(hall: Hall) -> None:
    hall.config = only({"channel": "apprise", "connection": "chat"})
    hall.becomes(Span(0, 1, "HIGH"))
    hall.ask("UPDATE tsad.incident SET sentence = 'a: @all <!here> [x](http://evil) rose'")
    hall.enqueue()
    hall.web.receiver.faults = [BUSY]

    def uri_of(_: str) -> str:
        return f"json://127.0.0.1:{hall.web.port}/hook"

    assert hall.deliver(sender(uri_of)) == (0, 1, 0)
    ((error,),) = hall.rows("last_error")
    assert "Received: 503" in error
    hall.now_at += HOUR
    assert hall.deliver(sender(uri_of)) == (1, 0, 0)
    (said,) = hall.web.receiver.said
    assert said["title"] == "room: HIGH incident at a"
    assert "a: @\u200ball <\u200b!here> [x]\u200b(http://evil) rose." in said["message"]


def test_teams_gets_an_adaptive_card_by_apprise(certificate: ssl.SSLContext) -> None:
    message = Message("k", "apprise", "teams", "", "room: HIGH incident at a", "It fell.", {})
    with webhook(certificate) as web:
        web.receiver.taken_status, web.receiver.faults = 202, [UNKNOWN, BUSY]
        uri = f"workflows://127.0.0.1:{web.port}/workflow/signature?verify=no"
        with pytest.raises(Refused, match="Received: 410"):
            sender(lambda _: uri)(message)
        with pytest.raises(Undelivered, match="Received: 503"):
            sender(lambda _: uri)(message)
        sender(lambda _: uri)(message)
        (said,) = web.receiver.said
    (attached,) = said["attachments"]
    assert attached["contentType"] == "application/vnd.microsoft.card.adaptive"
    texts = [one["text"] for one in attached["content"]["body"]]
    # A card is Markdown, in which apprise writes text.
    assert texts == ["room: HIGH incident at a", r"It fell\."]


def test_a_url_that_apprise_does_not_know_is_told_without_it() -> None:
    message = Message("k", "apprise", "teams", "", "s", "t", {})
    with pytest.raises(Unreachable, match=r"of connection teams\. Received: another") as caught:
        sender(lambda _: "nowhere://to-ken")(message)
    assert "to-ken" not in str(caught.value)


def test_a_trial_reaches_each_target_at_once_and_leaves_nothing_open_and_no_row(
    hall: Hall,
) -> None:
    night = {"start": "00:00", "end": "23:59"}
    mail = {"email": ["a@example.com"], "connection": "mail", "quiet_hours": night}
    config = configured(targets=[mail, PAGER, {"webhook": "gone"}])

    def uri_of(connection: str) -> str:
        if connection == "gone":
            raise BadInput("Expected the URI of connection gone. Received: nothing.")
        return pager_uri(hall, connection)

    tried = list(try_targets(config, sender(uri_of), now_at=hall.now_at))
    assert [(one.medium, one.taken) for one in tried] == [
        ("email", True),
        ("pagerduty", True),
        ("webhook", False),
    ]
    assert tried[-1].answer == "Expected the URI of connection gone. Received: nothing."
    (email,) = hall.mail.receiver.said
    assert plain_text(email).startswith("This test message of room; nothing happened.\n")
    events = hall.web.receiver.said
    assert [one["event_action"] for one in events] == ["trigger", "resolve"]
    assert len({one["dedup_key"] for one in events}) == 1
    assert hall.rows("event") == []


def test_a_channel_that_alerts_on_a_rise_tells_nobody_that_it_fell(hall: Hall) -> None:
    said = room_config().model_dump(by_alias=True, exclude_unset=True, mode="json")
    said["source"][0]["channels"]["cpu"]["alert_on"] = "rise"
    said["notifications"] = {"targets": [{"webhook": "web"}]}
    hall.config = DatasetConfig.model_validate(said)
    hall.becomes(Span(0, 1), Span(20, 21), Span(0, 1, entity=1))
    led = "top_channel_id = (SELECT channel_id FROM tsad.channel WHERE name = 'cpu')"
    for incident_id, direction in (("INC-0-0", "fall"), ("INC-0-20", "rise"), ("INC-1-0", None)):
        hall.ask(
            f"UPDATE tsad.incident SET {led}, direction = %s WHERE incident_id = %s",  # noqa: S608
            direction,
            incident_id,
        )
    hall.enqueue()
    assert hall.rows("incident_id") == [("INC-0-20",), ("INC-1-0",)]


def test_what_need_not_wait_is_not_held_back_by_what_does(hall: Hall) -> None:
    yearly, high = {"digest": "0 5 1 1 *"}, {"least_severity": "HIGH"}
    hall.config = configured(targets=[{"webhook": "web"} | one for one in (yearly, high)])
    hall.becomes(Span(0, 1))
    hall.enqueue()
    hall.now_at = datetime.now(UTC)
    assert hall.deliver() == (0, 0, 0)
    hall.becomes(Span(0, 1, "HIGH"))
    hall.enqueue()
    assert hall.deliver() == (2, 0, 0)
    assert hall.told() == ["room: LOW incident at a", "room: now HIGH: incident at a"]


def test_what_ends_an_alert_wakes_no_pager_that_its_beginning_may_not_wake(hall: Hall) -> None:
    now = datetime.now(UTC)
    hours = [f"{now + timedelta(hours=n):%H:%M}" for n in (-2, 2)]
    hall.config = only(PAGER | {"quiet_hours": {"start": hours[0], "end": hours[1]}})
    hall.now_at = now
    hall.becomes(Span(0, 1))
    hall.enqueue()
    hall.scored(9)
    hall.enqueue()
    assert send(hall) == (0, 0, 0)
    hall.now_at += timedelta(hours=3)
    assert send(hall) == (2, 0, 0)


def test_who_was_told_in_a_digest_hears_what_becomes_of_it(hall: Hall) -> None:
    hall.config = only({"webhook": "web", "channels": ["cpu"]}, max_per_run=1)
    led = """UPDATE tsad.incident SET top_channel_id =
      (SELECT channel_id FROM tsad.channel WHERE name = %s)"""
    hall.becomes(Span(0, 1), Span(20, 21))
    hall.ask(led, "cpu")
    assert hall.enqueue().n_messages == 1
    assert hall.deliver() == (1, 0, 0)
    hall.ask(led, "load")
    hall.becomes(Span(0, 1))
    hall.enqueue()
    assert hall.deliver() == (1, 0, 0)
    assert hall.told() == ["room: 2 events: 2 opened", "room: withdrawn: incident at a"]
    assert hall.rows("event", "state", "attempts")[:3] == [
        ("opened", "delivered", 1), ("opened", "delivered", 1), ("digest", "delivered", 1),
    ]  # fmt: skip


def test_a_target_hears_from_a_priority_on_and_messages_say_it(hall: Hall) -> None:
    hall.config = only({"webhook": "web", "least_priority": 2})
    critical = CriticalitySection.model_validate({"entities": {"b": "high", "a": "low"}})
    rated = hall.config.model_copy(update={"criticality": critical})
    hall.becomes(Span(0, 1, "HIGH"), Span(0, 1, "MEDIUM", entity=1), Span(20, 21, entity=1))
    hall.config = rated
    assert hall.enqueue().n_messages == 1
    hall.deliver()
    (said,) = hall.web.receiver.said
    assert (said["entity"], said["severity"], said["priority"]) == ("b", "MEDIUM", 2)
    assert "Priority:  2 of 5" in said["text"]
    # What rises to it is told.
    hall.becomes(Span(0, 1, "HIGH"), Span(0, 1, "HIGH", entity=1), Span(20, 21, "HIGH", entity=1))
    hall.enqueue()
    hall.deliver()
    told = [(one["event"], one["priority"]) for one in hall.web.receiver.said]
    assert told == [("opened", 2), ("escalated", 1), ("escalated", 1)]
