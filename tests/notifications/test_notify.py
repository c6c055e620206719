"""What people are told of incidents and models: everything, once, whatever breaks on the way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import connection as Connection

from devstack.postgres import PIPELINE, Cluster
from tests import statements
from tests.plants.challengers import FAILED, PASSED
from tests.plants.mortal import FOREVER, Killed, MortalStore
from tests.receivers import BUSY, DROPPED, TAKEN, UNKNOWN, Running, mail_server, plain_text, webhook
from tests.storage.rooms import (
    HOUR_AT,
    HOUR_S,
    Room,
    anomaly_rows,
    attribution_rows,
    new_model,
    opened_room,
    room_config,
    score_rows,
)
from tsad_tasks.base.clock import utc_now
from tsad_tasks.base.enums import Outcome, Stage
from tsad_tasks.base.interval import HOUR
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.champions.champions import end_shadow, promote, register_model, roll_back
from tsad_tasks.champions.queries import (
    INSERT_MODEL_DECISION,
    SELECT_SHADOWS,
    ModelDecision,
    write_rule_results,
)
from tsad_tasks.champions.records import insert_model, open_period
from tsad_tasks.config import DatasetConfig, NotificationsSection
from tsad_tasks.notifications.channels.base import Message, sender
from tsad_tasks.notifications.news import news_letter, news_subject
from tsad_tasks.notifications.notify import (
    MOST_REFUSALS,
    EnqueueSummary,
    NewsSummary,
    Picture,
    deliver,
    enqueue,
    enqueue_news,
    retire_alerts,
)
from tsad_tasks.scoring.queries import UPSERT_INCIDENTS, WITHDRAW_INCIDENTS, IncidentRow
from tsad_tasks.storage.database import connect
from tsad_tasks.storage.scores import SELECT_INCIDENTS, write_scores
from tsad_tasks.storage.store import Store, columns
from tsad_tasks.training.queries import INSERT_TRAINING_DECISION

STEP = timedelta(minutes=30)
NOW = HOUR_AT + 24 * HOUR
BOTH = {
    "targets": [{"email": ["shift@example.com"], "connection": "mail"}, {"webhook": "web"}],
    "max_per_run": 3,
}


def configured(**notifications: Any) -> DatasetConfig:
    chosen = NotificationsSection.model_validate(BOTH | notifications)
    return room_config().model_copy(update={"notifications": chosen})


@dataclass(frozen=True)
class Span:
    """An incident of an entity from one step to another."""

    start: int
    end: int
    severity: str = "LOW"
    entity: int = 0

    @property
    def incident_id(self) -> str:
        return f"INC-{self.entity}-{self.start}"


@dataclass
class Hall:
    """A room with a champion, whose incidents a test sets, and two receivers."""

    room: Room
    model_id: int
    mail: Running
    web: Running
    owner: Connection
    config: DatasetConfig = field(default_factory=configured)
    now_at: datetime = NOW

    def clear(self) -> None:
        self.ask("DELETE FROM tsad.notification; DELETE FROM tsad.alert; DELETE FROM tsad.news")
        self.ask("DELETE FROM tsad.triage; DELETE FROM tsad.incident; DELETE FROM tsad.score_block")
        self.ask(
            "DELETE FROM tsad.model_decision; DELETE FROM tsad.training_decision; DELETE FROM "
            "tsad.gate_decision"
        )
        self.ask(
            "DELETE FROM tsad.champion_record; DELETE FROM tsad.model WHERE model_id <> %s",
            self.model_id,
        )
        with self.room.store.transaction():
            open_period(
                self.room.store,
                new_model(self.room),
                self.model_id,
                valid_from=HOUR_AT,
                reason="first",
            )
        self.config, self.now_at = configured(), NOW
        for running in (self.mail, self.web):
            running.receiver.keys, running.receiver.said, running.receiver.faults = [], [], []

    def becomes(self, *spans: Span) -> None:
        """These are the incidents that stand from now on."""
        with self.room.store.transaction():
            known = self.room.store.rows(
                SELECT_INCIDENTS,
                lineage="live",
                entity_ids=self.room.entity_ids,
                start_at=HOUR_AT - HOUR,
                end_at=NOW + 99 * HOUR,
            )
            new = {span.incident_id: span for span in spans}
            gone = [old.incident_id for old in known if old.incident_id not in new]
            self.room.store.execute(
                WITHDRAW_INCIDENTS, incident_id=gone, superseded_by=[None] * len(gone)
            )
            self.room.store.execute(
                UPSERT_INCIDENTS,
                lineage="live",
                policy_version="v1",
                **columns([self._row(span) for span in new.values()], IncidentRow),
            )

    def _row(self, span: Span) -> IncidentRow:
        at, key = HOUR_AT + span.start * STEP, self.room.entity_ids[span.entity]
        return IncidentRow(
            span.incident_id,
            key,
            self.model_id,
            at,
            HOUR_AT + span.end * STEP,
            1,
            "point",
            span.severity,
            2.0,
            at,
            None,
            f"{'ab'[span.entity]}: the error is 3.0 × the threshold",
            False,
        )

    def scored(self, n_hours: int) -> None:
        """The first entity is scored up to so many hours."""
        if n_hours:
            last = np.array([HOUR_S + 3600 * (n_hours - 1)])
            rows = score_rows(self.room, self.model_id, [-0.5, -0.5], hours_s=last)
            with self.room.store.transaction():
                write_scores(
                    self.room.store, rows, anomaly_rows(self.room), attribution_rows(self.room)
                )

    def challenges(self, rows: Sequence[RuleResult], **changes: Any) -> int:
        """The version of a challenger that its gate let pass, or not."""
        return register_model(self.room.store, new_model(self.room, **changes), rows, []).version

    def decides(self, decision: str, lineage: str = "live") -> None:
        """A decision on the champion."""
        with self.room.store.transaction():
            said = ModelDecision(self.model_id, lineage, decision, "ada", "so she said", HOUR_AT)
            self.room.store.execute(INSERT_MODEL_DECISION, **asdict(said))

    def stops(self, lineage: str = "live", by: str = "ada", reason: str = "not now") -> None:
        """A training is stopped."""
        row: dict[str, Any] = {
            "dataset_id": self.room.dataset_id,
            "lineage": lineage,
            "decision": "stopped",
        }
        row |= {
            "start_at": HOUR_AT - 24 * HOUR,
            "end_at": HOUR_AT,
            "decided_by": by,
            "reason": reason,
        }
        row |= {
            "n_readings": 40,
            "n_entities": 2,
            "excluded_share": 0.2,
            "missing_share": None,
            "pdf": "",
        }
        row |= {
            "left_out": '{"label": 0.15, "high score": 0.05}',
            "jumps": "[]",
            "decided_at": utc_now(),
        }
        with self.room.store.transaction():
            self.room.store.execute(INSERT_TRAINING_DECISION, **row)

    def news(self, store: Store | None = None) -> NewsSummary:
        return enqueue_news(store or self.room.store, self.config)

    def uri_of(self, connection: str) -> str:
        if connection == "web":
            return f"http://127.0.0.1:{self.web.port}/hook"
        return f"smtp://127.0.0.1:{self.mail.port}?from_email=tsad@example.com&disable_ssl=1&disable_tls=1"

    def enqueue(self, store: Store | None = None) -> EnqueueSummary:
        return enqueue(store or self.room.store, self.config, end_at=HOUR_AT + HOUR)

    def deliver(
        self,
        send: Callable[[Message], None] | None = None,
        store: Store | None = None,
        picture: Picture | None = None,
    ) -> tuple[int, ...]:
        done = deliver(
            store or self.room.store,
            self.config,
            send or sender(self.uri_of),
            now=lambda: self.now_at,
            picture=picture,
        )
        return done.n_delivered, done.n_put_off, done.n_failed

    def told(self) -> list[str]:
        """Subjects that the webhook got."""
        return [said["subject"] for said in self.web.receiver.said]

    def ask(self, statement: str, *params: object) -> list[tuple[Any, ...]]:
        """Rows of the owner's statement, committed."""
        with self.owner, self.owner.cursor() as cursor:
            cursor.execute(statement, params or None)
            return list(cursor.fetchall()) if cursor.description else []

    def rows(self, *names: str) -> list[tuple[Any, ...]]:
        """Columns of all messages, in the order in which they were put into the outbox."""
        found = self.ask("SELECT to_jsonb(n) FROM tsad.v_notification n ORDER BY notification_id")
        return [tuple(row[name] for name in names) for (row,) in found]


@pytest.fixture(scope="module")
def opened_hall(cluster: Cluster, template_database: str) -> Iterator[Hall]:
    """A hall for all tests of this file, written by the pipeline's own role."""
    name = f"notify_{uuid4().hex}"
    owner = cluster.create_database(name, template=template_database)
    with opened_room(cluster.uri(name, PIPELINE)) as room, mail_server() as mail, webhook() as web:
        model = new_model(room)
        with room.store.transaction():
            model_id = insert_model(room.store, model).model_id
            open_period(room.store, model, model_id, valid_from=HOUR_AT, reason="first")
        room.uri = owner
        connection = connect(owner)
        yield Hall(room, model_id, mail, web, connection)
        connection.close()
    cluster.drop_database(name)


@pytest.fixture
def hall(opened_hall: Hall) -> Hall:
    opened_hall.clear()
    return opened_hall


def test_what_becomes_of_an_incident_is_told_once(hall: Hall) -> None:
    steps = [([Span(0, 1)], 1), ([Span(0, 2, "HIGH")], 2), ([Span(0, 2, "HIGH")], 9), ([], 9)]
    for spans, n_hours in steps:
        hall.becomes(*spans)
        hall.scored(n_hours)
        hall.enqueue()
        assert hall.enqueue() == EnqueueSummary()
        assert hall.deliver() == (2, 0, 0)
        assert hall.deliver() == (0, 0, 0)
    assert hall.told() == [
        "room: LOW incident at a",
        "room: now HIGH: incident at a",
        "room: closed: incident at a",
        "room: withdrawn: incident at a",
    ]
    assert len({said["thread"] for said in hall.web.receiver.said}) == 1


def test_the_email_says_what_since_when_and_where_to_look(hall: Hall) -> None:
    hall.becomes(Span(0, 1, "HIGH"))
    hall.enqueue()
    hall.deliver()
    assert plain_text(hall.mail.receiver.said[0]) == (
        "a: the error is 3.0 × the threshold.\n\n"
        "Dataset:   room\nEntity:    a\nSeverity:  HIGH\n"
        "Since:     1 Mar 2026 05:00 (UTC)\nUntil:     1 Mar 2026 06:00 (UTC), so far\n\n"
        "Look further:\n  SELECT * FROM tsad.v_incident WHERE incident_id = 'INC-0-0';\n"
    )


def test_messages_link_to_the_page_where_the_file_names_it(hall: Hall) -> None:
    hall.config = configured(base_url="https://a.example/plugin/anomalies/tsad/", max_per_run=1)
    hall.becomes(Span(0, 1, "HIGH"))
    hall.enqueue()
    hall.becomes(Span(0, 1, "HIGH"), Span(20, 21), Span(20, 21, entity=1))
    hall.enqueue()
    hall.stops()
    hall.news()
    hall.deliver()
    opened, digest, stopped = hall.web.receiver.said
    page = "https://a.example/plugin/anomalies/tsad"
    assert [said["link"] for said in (opened, digest, *digest["events"], stopped)] == [
        f"{page}/incidents/INC-0-0",
        f"{page}/?dataset=room",
        f"{page}/incidents/INC-0-20",
        f"{page}/incidents/INC-1-20",
        f"{page}/models/room",
    ]
    assert f"\nOn the page:\n  {page}/incidents/INC-0-0\n" in plain_text(hall.mail.receiver.said[0])


def test_an_email_shows_a_picture_of_its_incident_drawn_once_for_all_addresses(hall: Hall) -> None:
    drawn: list[str] = []

    def draw(payload: Mapping[str, Any]) -> bytes:
        drawn.append(payload["incident_id"])
        return b"\x89PNG"

    two = [{"email": ["a@example.com", "b@example.com"], "connection": "mail"}, {"webhook": "web"}]
    hall.config = configured(targets=two)
    hall.becomes(Span(0, 1, "HIGH"))
    hall.enqueue()
    assert hall.deliver(picture=draw) == (3, 0, 0)
    assert drawn == ["INC-0-0"]
    for email in hall.mail.receiver.said:
        *_, shown, picture = email.walk()
        assert f'src="cid:{picture["Content-ID"][1:-1]}"' in shown.get_content()
        assert "a: the error is 3.0 × the threshold." in shown.get_content()
    assert "html" not in hall.web.receiver.said[0]


def test_a_picture_that_cannot_be_drawn_holds_no_message_back(hall: Hall) -> None:
    def fail(_: Mapping[str, Any]) -> bytes:
        hall.room.store.rows(SELECT_INCIDENTS)
        raise AssertionError

    hall.becomes(Span(0, 1, "HIGH"))
    hall.enqueue()
    assert hall.deliver(picture=fail) == (2, 0, 0)
    (email,) = hall.mail.receiver.said
    assert [part.get_content_type() for part in email.iter_parts()] == ["text/plain", "text/html"]
    assert "<img" not in email.get_body(("html",)).get_content()


@pytest.mark.parametrize("url", ["https://me:pass@a.example", "a.example/tsad", "https://a/?x=1"])
def test_the_address_of_the_page_is_a_whole_one_without_a_password(url: str) -> None:
    with pytest.raises(ValueError, match="the page's address, such as https://"):
        configured(base_url=url)


def test_late_readings_that_move_an_incident_repeat_nothing(hall: Hall) -> None:
    hall.becomes(Span(4, 6))
    hall.enqueue()
    hall.becomes(Span(2, 5))
    assert hall.enqueue().n_events == 0
    assert [row[0] for row in hall.rows("incident_id")] == ["INC-0-2", "INC-0-2"]


def test_a_suppressed_incident_is_not_told_and_one_that_was_is_withdrawn(hall: Hall) -> None:
    hall.becomes(Span(0, 1), Span(20, 21))
    hall.ask("UPDATE tsad.incident SET suppressed_by = 'inspection' WHERE incident_id = 'INC-0-20'")
    hall.enqueue()
    hall.ask("UPDATE tsad.incident SET suppressed_by = 'inspection'")
    hall.enqueue()
    assert [" ".join(row) for row in hall.rows("event", "medium")] == [
        "opened email",
        "opened webhook",
        "withdrawn email",
        "withdrawn webhook",
    ]


def test_old_incidents_and_replays_are_told_to_nobody(hall: Hall) -> None:
    hall.becomes(Span(0, 1), Span(100, 101))
    hall.config = configured(max_age="1d")
    hall.scored(52)
    hall.ask("UPDATE tsad.incident SET lineage = 'replay' WHERE incident_id = 'INC-0-100'")
    assert hall.enqueue() == EnqueueSummary()


def test_closed_alerts_settle_and_open_ones_do_not(hall: Hall) -> None:
    hall.becomes(Span(0, 1), Span(0, 1, entity=1))
    hall.scored(6)
    hall.enqueue()
    hall.becomes()
    assert enqueue(hall.room.store, hall.config, end_at=NOW + timedelta(days=90)).n_events == 1
    assert hall.rows("entity", "event")[-1] == ("b", "withdrawn")


@pytest.mark.parametrize("verdict", ["false_alarm", "expected", "new_normal"])
def test_what_a_person_called_normal_is_not_escalated_and_its_end_is_told_once(
    hall: Hall, verdict: str
) -> None:
    hall.becomes(Span(0, 1))
    hall.enqueue()
    hall.ask("SELECT tsad.set_verdict('INC-0-0', %s, 'ada')", verdict)
    hall.becomes(Span(0, 3, "HIGH"))
    assert hall.enqueue().n_events == 0
    hall.scored(9)
    assert [hall.enqueue().n_events for _ in range(2)] == [1, 0]
    assert [row[0] for row in hall.rows("event", "medium") if row[1] == "email"] == [
        "opened",
        "closed",
    ]


def test_what_a_person_confirmed_is_escalated(hall: Hall) -> None:
    hall.becomes(Span(0, 1))
    hall.enqueue()
    hall.ask("SELECT tsad.set_verdict('INC-0-0', 'confirmed', 'ada')")
    hall.becomes(Span(0, 3, "HIGH"))
    hall.enqueue()
    assert hall.rows("event")[-1] == ("escalated",)


def test_old_alerts_go_with_their_messages_and_what_is_open_or_waits_stays(hall: Hall) -> None:
    hall.becomes(Span(0, 1), Span(0, 1, entity=1))
    hall.scored(6)
    hall.enqueue()
    hall.web.receiver.faults = [BUSY]
    hall.deliver()
    assert retired(hall, days=90) == 1
    assert sorted(hall.rows("entity", "medium")) == [
        ("a", "webhook"),
        ("b", "email"),
        ("b", "webhook"),
    ]
    hall.now_at += HOUR
    hall.deliver()
    assert [retired(hall, days=90) for _ in range(2)] == [1, 0]
    assert hall.ask("SELECT count(*), min(state) FROM tsad.alert") == [(1, "open")]


def test_alerts_that_are_still_followed_stay_and_are_not_told_again(hall: Hall) -> None:
    hall.becomes(Span(0, 1))
    hall.scored(6)
    hall.enqueue()
    hall.deliver()
    assert retired(hall, days=20, kept_s=1) == 0
    assert retired(hall, days=90, kept_s=100 * 86400) == 0
    assert hall.enqueue() == EnqueueSummary()


def test_digests_go_as_well(hall: Hall) -> None:
    hall.becomes(*(Span(10 * i, 10 * i) for i in range(5)))
    hall.enqueue()
    hall.deliver()
    hall.ask("UPDATE tsad.notification SET created_at = %s", HOUR_AT)
    assert retired(hall, days=90) == 2
    assert set(hall.rows("event", "alert_state", "bundled_into")) == {("opened", "open", None)}
    # What they say goes with its alert.
    hall.ask("UPDATE tsad.alert SET state = 'closed'")
    assert retired(hall, days=90) == 10
    assert hall.rows("event") == []


def retired(hall: Hall, *, days: int, kept_s: int = 86400) -> int:
    """Messages removed by a dataset whose newest reading and score are so many days later."""
    later = np.array([HOUR_S + 86400 * days])
    rows = score_rows(
        hall.room, hall.model_id, [-0.5, -0.5], hours_s=later, entity_ids=hall.room.entity_ids[:1]
    )
    with hall.room.store.transaction():
        write_scores(hall.room.store, rows, anomaly_rows(hall.room), attribution_rows(hall.room))
    return retire_alerts(
        hall.room.store, hall.config, newest_at=HOUR_AT + timedelta(days=days), kept_s=kept_s
    )


def test_without_targets_there_are_no_alerts(hall: Hall) -> None:
    hall.becomes(Span(0, 1))
    hall.config = configured(targets=[])
    assert hall.enqueue() == EnqueueSummary()
    assert hall.ask("SELECT count(*) FROM tsad.alert") == [(0,)]


def test_many_events_are_one_digest(hall: Hall) -> None:
    hall.becomes(*(Span(10 * i, 10 * i) for i in range(5)))
    assert hall.enqueue() == EnqueueSummary(5, 5, 2)
    assert hall.deliver() == (2, 0, 0)
    assert hall.told() == ["room: 5 events: 5 opened"]
    assert len({event["thread"] for event in hall.web.receiver.said[0]["events"]}) == 5


def test_each_address_gets_its_own_message(hall: Hall) -> None:
    hall.config = configured(targets=[{"email": ["a@b.c", "d@e.f"], "connection": "mail"}] * 2)
    hall.becomes(Span(0, 1))
    hall.enqueue()
    hall.mail.receiver.faults = [UNKNOWN]
    assert hall.deliver() == (1, 1, 0)
    assert [" ".join(row) for row in hall.rows("address", "state")] == [
        "a***@b.c pending",
        "d***@e.f delivered",
    ]


def test_what_is_not_accepted_waits_longer_each_time(hall: Hall) -> None:
    hall.becomes(Span(0, 1))
    hall.enqueue()
    hall.web.receiver.faults = [BUSY] * 3
    for wait_s in (60, 120, 240):
        hall.deliver()
        (waits,) = [
            row
            for row in hall.rows("next_attempt_at", "last_error", "medium")
            if row[2] == "webhook"
        ]
        waits_until = datetime.fromisoformat(waits[0])
        assert waits_until == hall.now_at + timedelta(seconds=wait_s)
        assert waits[1] == "Expected 2xx of the webhook web. Received: 503."
        assert hall.deliver() == (0, 0, 0)
        hall.now_at = waits_until
    assert hall.deliver() == (1, 0, 0)


def test_what_is_refused_for_good_is_given_up_in_sight(hall: Hall) -> None:
    hall.config = configured(targets=[{"email": ["nobody@example.com"], "connection": "mail"}])
    hall.becomes(Span(0, 1))
    hall.enqueue()
    hall.mail.receiver.faults = [UNKNOWN] * MOST_REFUSALS
    for _ in range(MOST_REFUSALS):
        last = hall.deliver()
        hall.now_at += HOUR
    assert last == (0, 0, 1)
    assert hall.deliver() == (0, 0, 0)
    (row,) = hall.rows("state", "attempts", "last_error")
    assert row[:2] == ("failed", MOST_REFUSALS)
    assert row[2].endswith("Received: 550 5.1.1 <n***@example.com> no such user")
    assert hall.rows("address") == [("n***@example.com",)]


def test_a_later_event_waits_for_the_earlier_one(hall: Hall) -> None:
    hall.config = configured(targets=[{"webhook": "web"}])
    hall.becomes(Span(0, 1))
    hall.enqueue()
    hall.web.receiver.faults = [BUSY]
    hall.deliver()
    hall.becomes()
    hall.enqueue()
    assert hall.deliver() == (0, 0, 0)
    hall.now_at += HOUR
    assert hall.deliver() == (2, 0, 0)
    assert hall.told() == ["room: LOW incident at a", "room: withdrawn: incident at a"]


def test_a_server_that_is_gone_is_asked_once_a_run(hall: Hall) -> None:
    hall.becomes(Span(0, 1), Span(20, 21), Span(40, 41))
    hall.enqueue()
    hall.mail.receiver.faults = [DROPPED] * 3
    assert hall.deliver() == (3, 1, 0)
    assert Counter(row[0] for row in hall.rows("attempts")) == {1: 4, 0: 2}


def test_an_unforeseen_error_is_raised_and_stops_the_others_only_once(hall: Hall) -> None:
    def broken(message: Message) -> None:
        raise ZeroDivisionError("ours")

    hall.becomes(Span(0, 1))
    hall.enqueue()
    with pytest.raises(ZeroDivisionError):
        hall.deliver(broken)
    assert hall.deliver() == (1, 0, 0)
    assert set(hall.rows("last_error", "state")) == {
        ("ZeroDivisionError", "pending"),
        ("", "delivered"),
    }


def test_two_runs_at_once_share_the_work(hall: Hall) -> None:
    hall.becomes(Span(0, 1))
    hall.enqueue()
    with Store.connect(hall.room.uri) as other:
        inner: list[tuple[int, ...]] = []

        def send(message: Message) -> None:
            inner.append(hall.deliver(store=other) if not inner else ())
            sender(hall.uri_of)(message)

        assert hall.deliver(send) == (1, 0, 0)
    assert inner == [(1, 0, 0)]
    assert [len(each.receiver.keys) for each in (hall.mail, hall.web)] == [1, 1]


def test_payloads_and_errors_hold_no_secret(hall: Hall) -> None:
    def send(message: Message) -> None:
        uri = f"http://me:pass-word@127.0.0.1:{hall.web.port}/hook/to-ken".replace(
            str(hall.web.port), "9"
        )
        sender(
            lambda _: (
                uri
                if message.medium == "webhook"
                else "smtp://me:pass-word@127.0.0.1:9?from_email=a@b.c"
            )
        )(message)

    hall.becomes(Span(0, 1))
    hall.enqueue()
    assert hall.deliver(send) == (0, 2, 0)
    said = json.dumps(hall.rows("payload", "last_error"))
    assert "refused" in said
    assert not [secret for secret in ("pass-word", "to-ken", "127.0.0.1") if secret in said]


# News of models
# --------------------------------------------------------------------------------------------------


EVERY = [
    *("gate_failed", "waits_for_person", "shadow_failed"),
    *("training_stopped", "promoted", "rolled_back"),
]
SHIFT = {"email": ["shift@example.com"], "connection": "mail"}


def test_each_decision_is_told_once_to_whom_it_concerns(hall: Hall) -> None:
    hall.config = configured(
        targets=[SHIFT | {"news": ["gate_failed"]}, {"webhook": "web", "news": EVERY}]
    )
    settings: dict[str, Any] = {"by": "ada", "reason": "so she said"}
    for happens in (
        lambda: hall.challenges(FAILED, seed=8),
        lambda: _fails_in_shadow(hall, hall.challenges(PASSED, seed=9)),
        lambda: promote(hall.room.store, hall.config, 3, at=NOW, **settings),
        lambda: roll_back(hall.room.store, hall.config, **settings),
        hall.stops,
    ):
        happens()
        assert hall.news().n_news == 1
        assert hall.news() == NewsSummary()
        hall.deliver()
    assert hall.told() == [
        "room: version 2 failed the gate",
        "room: version 3 failed in the shadow",
        "room: version 3 is champion",
        "room: rolled back to version 1",
        "room: a training was stopped",
    ]
    rules = [
        [rule["rule"] for rule in said.get("failed_rules", [])] for said in hall.web.receiver.said
    ]
    assert rules == [["point_share"], ["agreement"], [], [], []]
    assert [
        row for row in hall.rows("event", "version", "state", "medium") if row[3] == "email"
    ] == [("gate_failed", 2, "delivered", "email")]


def _fails_in_shadow(hall: Hall, version: int) -> None:
    (shadow,) = hall.room.store.rows(
        SELECT_SHADOWS, dataset_id=hall.room.dataset_id, lineage="live"
    )
    assert shadow.version == version
    with hall.room.store.transaction():
        rows = [
            RuleResult("hours", Outcome.MET, 24, 24, stage=Stage.SHADOW),
            RuleResult("agreement", Outcome.FAILED, 0.7, 0.9, stage=Stage.SHADOW),
        ]
        write_rule_results(hall.room.store, shadow.model_id, rows)
    end = {"at": NOW, "decision": "shadow_failed", "by": "shadow", "reason": "agreement"}
    end_shadow(hall.room.store, new_model(hall.room).scope, shadow, **end)


def test_the_email_on_a_gate_says_what_was_not_met_who_stays_and_where_to_look(hall: Hall) -> None:
    hall.challenges(
        [*PASSED, RuleResult("point_share", Outcome.FAILED, 0.2, 0.9, 0.95, "share found of 30")],
        seed=8,
    )
    hall.news()
    hall.ask(
        "UPDATE tsad.notification SET payload = payload || %s",
        '{"decided_at": "2026-03-01T05:00:00+00:00"}',
    )
    hall.deliver()
    assert plain_text(hall.mail.receiver.said[0]) == (
        "Version 2 failed the gate. Version 1 stays champion.\n\n"
        "Dataset:   room\nTraining:  1–28 Feb 2026\nDecided:   1 Mar 2026 05:00 (UTC) by "
        "gate\n"
        "Because:   point_share\n\n"
        "Not met:\n"
        "  point_share: 0.200, limit at least 0.900, champion 0.950 (share found of 30)\n\n"
        "What to do:\n  tsad models room\n  tsad models room --history\n\n"
        "Look further:\n  SELECT rule, value, limit_value, champion_value, passed, note FROM "
        "tsad.v_model_decision "
        "WHERE dataset = 'room' AND version = 2 ORDER BY passed, stage, rule;\n"
    )
    said = hall.web.receiver.said[0]
    assert said["failed_rules"] == [
        {
            "rule": "point_share",
            "value": 0.2,
            "limit": 0.9,
            "champion": 0.95,
            "note": "share found of 30",
        }
    ]
    assert (said["version"], said["champion_version"], said["commands"][0]) == (
        2,
        1,
        "tsad models room",
    )


def test_numbers_without_end_are_told_too(hall: Hall) -> None:
    hall.challenges([RuleResult("shift", Outcome.FAILED, float("inf"), float("nan"))], seed=8)
    hall.news()
    assert hall.deliver() == (2, 0, 0)
    assert "  shift: ∞, limit no data\n" in hall.web.receiver.said[0]["text"]


def test_a_stopped_training_says_what_was_too_much(hall: Hall) -> None:
    hall.stops(by="exclusions", reason="Expected less.")
    hall.news()
    hall.deliver()
    said = hall.web.receiver.said[0]
    assert said["text"].startswith("A training was stopped. Version 1 stays champion.\n")
    assert (
        "by exclusions\nBecause:   Expected less.\n\nLeft out:\n  15.0 % label\n  5.0 % high "
        "score\n" in said["text"]
    )
    assert "  tsad explore room --training\n" in said["text"]
    assert said["excluded_share"] == 0.2


def test_the_model_of_an_entity_names_it(hall: Hall) -> None:
    hall.challenges(FAILED, seed=8, scope_entity_id=hall.room.entity_ids[0])
    hall.news()
    hall.deliver()
    assert hall.told() == ["room: version 2 failed the gate (a)"]
    assert hall.web.receiver.said[0]["text"].startswith(
        "Version 2 failed the gate (a). There is no champion, so nothing is scored.\n"
    )
    assert set(hall.rows("entity", "version")) == {("a", 2)}


def test_replays_old_decisions_and_mere_steps_on_the_way_are_no_news(hall: Hall) -> None:
    hall.challenges(FAILED, seed=8, lineage="replay")
    hall.stops("replay")
    for decision in ("waiting", "shadow_started", "asked", "superseded", "declined"):
        hall.decides(decision)
    hall.decides("gate_failed")
    hall.stops()
    hall.ask(
        "UPDATE tsad.model_decision SET decided_at = decided_at - interval '49 hours' WHERE "
        "lineage = 'live'"
    )
    hall.ask(
        "UPDATE tsad.training_decision SET recorded_at = recorded_at - interval '49 hours' WHERE "
        "lineage = 'live'"
    )
    assert hall.news() == NewsSummary()


def test_without_being_asked_a_target_is_told_of_all_but_promotions(hall: Hall) -> None:
    for decision in EVERY:
        hall.decides(decision) if decision != "training_stopped" else hall.stops()
    hall.config = configured(targets=[{"webhook": "web", "news": []}])
    assert hall.news() == NewsSummary()
    hall.config = configured(max_per_run=5)
    assert hall.news() == NewsSummary(5, 10)
    assert sorted({event for (event,) in hall.rows("event")}) == sorted(set(EVERY) - {"promoted"})


def _weeks_pass(hall: Hall, n: int) -> None:
    statement = "UPDATE tsad.news SET told_at = clock_timestamp() - %s * interval '7 days'"
    statements.run(hall.room.uri, statement, (n,))


def _messages(hall: Hall) -> list[tuple[Any, ...]]:
    return hall.ask(
        "SELECT address, connection, payload FROM tsad.notification ORDER BY notification_id"
    )


def test_a_training_that_stops_asks_its_owner_and_says_what_happens_unanswered(hall: Hall) -> None:
    hall.config = configured(targets=[SHIFT | {"news": []}], owner="ada@example.com")
    hall.stops()
    assert hall.news() == NewsSummary(1, 1)
    ((address, connection, payload),) = _messages(hall)
    assert (address, connection) == ("ada@example.com", "mail")
    assert payload["asked"] == (
        "ada@example.com is asked what is normal and what to leave out. While nobody answers, what "
        "is champion goes on, the next training is tried on its schedule (0 3 * * 1 UTC), and this "
        "is said again each week."
    )
    assert ("", [payload["asked"]]) in news_letter(payload).sections


def test_without_an_owner_the_message_says_so(hall: Hall) -> None:
    hall.stops()
    assert hall.news() == NewsSummary(1, 2)
    said = {payload["asked"] for *_, payload in _messages(hall)}
    assert all("Nobody is asked by name (notifications.owner)." in one for one in said)


def test_the_owner_is_reminded_each_week_until_a_training_goes_on(hall: Hall) -> None:
    hall.config = configured(owner="ada@example.com")
    hall.stops()
    hall.news()
    for week in (1, 2):
        assert hall.news() == NewsSummary()
        _weeks_pass(hall, week)
        assert [hall.news(), hall.news()] == [NewsSummary(0, 1), NewsSummary()]
    reminders = [
        (address, news_subject(payload))
        for address, _, payload in _messages(hall)
        if "reminder" in payload
    ]
    assert reminders == [
        ("ada@example.com", "a training was stopped, 1 week ago, and nobody answered"),
        ("ada@example.com", "a training was stopped, 2 weeks ago, and nobody answered"),
    ]
    hall.challenges(PASSED, seed=12)
    _weeks_pass(hall, 3)
    assert hall.news() == NewsSummary()


def test_a_training_that_stops_anew_is_told_and_the_former_one_not_any_more(hall: Hall) -> None:
    hall.config = configured(targets=[], owner="ada@example.com")
    hall.stops()
    hall.news()
    _weeks_pass(hall, 1)
    hall.stops(reason="still not")
    assert [hall.news(), hall.news()] == [NewsSummary(1, 1), NewsSummary()]


def test_an_address_in_two_targets_is_told_what_either_asks_for(hall: Hall) -> None:
    hall.config = configured(
        targets=[SHIFT | {"news": ["promoted"]}, SHIFT | {"news": ["rolled_back"]}]
    )
    hall.decides("promoted")
    hall.decides("rolled_back")
    assert hall.news() == NewsSummary(2, 2)


def test_many_news_are_one_digest_that_is_not_made_again(hall: Hall) -> None:
    for _ in range(5):
        hall.decides("gate_failed")
    assert [hall.news(), hall.news()] == [NewsSummary(5, 2), NewsSummary()]
    assert hall.deliver() == (2, 0, 0)
    assert hall.told() == ["room: 5 events: 5 gate_failed"]
    assert hall.web.receiver.said[0]["text"].count(": version 1 failed the gate: so she said") == 5


def test_old_news_are_removed_and_not_told_again(hall: Hall) -> None:
    hall.decides("gate_failed")
    hall.news()
    hall.deliver()
    hall.ask("UPDATE tsad.notification SET created_at = %s", HOUR_AT)
    assert retired(hall, days=90) == 2
    assert (hall.rows("event"), hall.news()) == ([], NewsSummary())


def test_two_runs_at_once_tell_news_once(hall: Hall) -> None:
    hall.decides("gate_failed")
    with Store.connect(hall.room.uri) as other, ThreadPoolExecutor(2) as pool:
        told = list(pool.map(hall.news, (hall.room.store, other)))
    assert sorted(one.n_news for one in told) == [0, 1]


# Whatever breaks
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """One run of the task: before which write or message it dies, and how receivers misbehave."""

    n_writes: int | None
    n_sent: int | None
    after_sending: bool
    mail_faults: list[str]
    web_faults: list[str]

    def happen(self, hall: Hall) -> bool:
        """Whether it had as many writes that it died before one."""
        hall.mail.receiver.faults, hall.web.receiver.faults = (
            list(self.mail_faults),
            list(self.web_faults),
        )
        with MortalStore.connect(hall.room.uri) as store, suppress(Killed):
            assert isinstance(store, MortalStore)
            store.n_left = FOREVER if self.n_writes is None else self.n_writes
            hall.enqueue(store)
            hall.news(store)
            hall.deliver(self._mortal(sender(hall.uri_of)), store)
        hall.now_at += HOUR
        return store.n_left < 0

    def _mortal(self, send: Callable[[Message], None]) -> Callable[[Message], None]:
        n_left = self.n_sent

        def sent(message: Message) -> None:
            nonlocal n_left
            n_left = None if n_left is None else n_left - 1
            if n_left == -1 and not self.after_sending:
                raise Killed
            send(message)
            if n_left == -1:
                raise Killed

        return sent


@dataclass(frozen=True)
class Rows:
    """Late readings: other incidents stand, and some hours more are scored."""

    spans: list[Span]
    n_hours: int

    def happen(self, hall: Hall) -> None:
        hall.becomes(*self.spans)
        hall.scored(self.n_hours)


@dataclass(frozen=True)
class Decided:
    """Something was decided on a model or a training."""

    event: str
    lineage: str

    def happen(self, hall: Hall) -> None:
        hall.stops(self.lineage) if self.event == "training_stopped" else hall.decides(
            self.event, self.lineage
        )


spans = st.builds(
    lambda start, length, severity, entity: Span(start, start + length, severity, entity),
    st.integers(0, 30),
    st.integers(0, 6),
    st.sampled_from(["LOW", "MEDIUM", "HIGH"]),
    st.integers(0, 1),
)
faults = st.lists(st.sampled_from([TAKEN, BUSY, DROPPED]), max_size=4)
runs = st.builds(
    Run,
    st.none() | st.integers(0, 30),
    st.none() | st.integers(0, 5),
    st.booleans(),
    faults,
    faults,
)
late_rows = st.builds(Rows, st.lists(spans, max_size=6), st.integers(0, 20))
decided = st.builds(
    Decided, st.sampled_from([*EVERY, "waiting"]), st.sampled_from(["live", "replay"])
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(late_rows | decided | runs, max_size=12))
def test_each_event_is_accepted_once_and_none_is_lost(
    hall: Hall, story: Sequence[Rows | Decided | Run]
) -> None:
    hall.clear()
    for part in story:
        part.happen(hall)
    _settled(hall)


CALM = Run(None, None, False, [], [])


@pytest.mark.parametrize("part", [0, 1])
def test_a_kill_before_any_write_changes_nothing(hall: Hall, part: int) -> None:
    n_writes = 0
    while _told_though(hall, part, Run(n_writes, None, False, [], [])):
        n_writes += 1
    assert n_writes > 5


@pytest.mark.parametrize("part", [0, 1])
def test_a_kill_around_any_message_changes_nothing(hall: Hall, part: int) -> None:
    for n in range(6):
        for after in (False, True):
            _told_though(hall, part, Run(None, n, after, [], []))


def _told_though(hall: Hall, part: int, kill: Run) -> bool:
    """Whether a run died before a write, after a story in which all is told for all that."""
    first, second = Rows([Span(0, 1), Span(20, 21)], 0), Rows([Span(1, 2, "HIGH")], 6)
    hall.clear()
    died = False
    for rows, run in (
        (first, kill if part == 0 else CALM),
        (second, kill if part == 1 else CALM),
    ):
        rows.happen(hall)
        Decided("gate_failed", "live").happen(hall)
        died |= run.happen(hall)
    _settled(hall)
    return died


def _settled(hall: Hall) -> None:
    """After runs without trouble everything is as it should be, and stays so."""
    CALM.happen(hall)
    while "pending" in {row[0] for row in hall.rows("state")}:
        CALM.happen(hall)
    assert {row[0] for row in hall.rows("state")} <= {"delivered"}
    assert (hall.enqueue(), hall.news()) == (EnqueueSummary(), NewsSummary())
    _all_accepted(hall)
    _nothing_told_twice(hall)
    _incidents_have_alerts(hall)
    _decisions_are_told(hall)


def _all_accepted(hall: Hall) -> None:
    """The receivers, dropping doubles, have exactly the messages of the outbox, an alert's in their
    order.
    """
    for running, medium in ((hall.mail, "email"), (hall.web, "webhook")):
        rows = hall.ask(
            "SELECT key, alert_id FROM tsad.notification "
            "WHERE medium = %s AND bundled_into IS NULL ORDER BY 1",
            medium,
        )
        assert running.receiver.accepted == {key for key, _ in rows}
        arrived = list(dict.fromkeys(running.receiver.keys))
        sent = hall.ask(
            "SELECT alert_id, array_agg(key ORDER BY notification_id) FROM tsad.notification "
            "WHERE medium = %s AND bundled_into IS NULL AND alert_id IS NOT NULL GROUP BY 1",
            medium,
        )
        for _, keys in sent:
            assert [key for key in arrived if key in keys] == keys


def _events(hall: Hall, medium: str) -> list[dict[str, Any]]:
    """What the messages of a medium tell, those in digests included."""
    rows = hall.rows("payload", "medium", "bundled_into")
    chosen = [payload for payload, to, bundle in rows if to == medium and bundle is None]
    return [event for payload in chosen for event in payload.get("events", [payload])]


def _decisions_are_told(hall: Hall) -> None:
    """Each live decision that is news, once to each address, and nothing else."""
    decisions = hall.ask(
        "SELECT decision FROM tsad.model_decision WHERE lineage = 'live' AND decision NOT IN "
        "('promoted', 'waiting') "
        "UNION ALL SELECT 'training_stopped' FROM tsad.training_decision WHERE lineage = 'live'"
    )
    for medium in ("email", "webhook"):
        told = [event for event in _events(hall, medium) if event["event"] in EVERY]
        assert Counter(event["event"] for event in told) == Counter(event for (event,) in decisions)
        assert len({event["thread"] for event in told}) == len(told)


def _nothing_told_twice(hall: Hall) -> None:
    for medium in ("email", "webhook"):
        events = [event for event in _events(hall, medium) if event["event"] not in EVERY]
        told = Counter(
            (e["thread"], e["event"], e["severity"] * (e["event"] == "escalated")) for e in events
        )
        assert max(told.values(), default=1) == 1
        opened = {thread for thread, event, _ in told if event == "opened"}
        assert opened == {row[0] for row in hall.ask("SELECT thread::text FROM tsad.alert")}


UNTOLD = """
    SELECT i.incident_id FROM tsad.incident i
    WHERE i.withdrawn_at IS NULL AND i.superseded_by IS NULL AND NOT EXISTS (
      SELECT FROM tsad.alert a WHERE a.state <> 'withdrawn' AND a.entity_id = i.entity_id
        AND a.start_at <= i.last_flag_at AND a.end_at >= i.started_at)"""
EMPTY = """
    SELECT a.alert_id FROM tsad.alert a
    WHERE a.state <> 'withdrawn' AND NOT EXISTS (
      SELECT FROM tsad.incident i
      WHERE i.withdrawn_at IS NULL AND i.superseded_by IS NULL AND a.entity_id = i.entity_id
        AND a.start_at <= i.last_flag_at + interval '1 hour'
        AND a.end_at >= i.started_at - interval '1 hour')"""


def _incidents_have_alerts(hall: Hall) -> None:
    """Whatever stands was told, and whatever was told stands or was withdrawn."""
    assert (hall.ask(UNTOLD), hall.ask(EMPTY)) == ([], [])


def test_in_a_rehearsal_everything_goes_to_its_owner_and_says_so(hall: Hall) -> None:
    # Neither target would be told of this incident.
    targets = [SHIFT | {"entities": ["b*"]}, {"webhook": "web", "entities": ["b*"]}]
    hall.config = configured(mode="rehearsal", owner="ada@example.com", targets=targets)
    hall.becomes(Span(0, 1, "HIGH"))
    hall.enqueue()
    hall.stops()
    hall.news()
    hall.deliver()
    assert hall.told() == []
    incident, stopped = hall.mail.receiver.said
    assert {one["To"] for one in hall.mail.receiver.said} == {"ada@example.com"}
    assert incident["Subject"] == "[rehearsal] room: HIGH incident at a"
    assert "A rehearsal: this goes to you alone, and to none of the targets." in plain_text(
        incident
    )
    assert stopped["Subject"].startswith("[rehearsal] room: ")


def test_what_waits_for_targets_waits_on_while_a_rehearsal_lasts(hall: Hall) -> None:
    live = hall.config
    hall.becomes(Span(0, 1, "HIGH"))
    hall.enqueue()
    hall.config = configured(mode="rehearsal", owner="ada@example.com")
    assert hall.deliver() == (0, 0, 0)
    hall.config = live
    assert hall.deliver() == (2, 0, 0)
    assert hall.told() == ["room: HIGH incident at a"]


def test_a_rehearsal_needs_somebody_who_is_told() -> None:
    with pytest.raises(ValueError, match="an owner, who gets the messages of a rehearsal"):
        NotificationsSection.model_validate({"mode": "rehearsal"})
