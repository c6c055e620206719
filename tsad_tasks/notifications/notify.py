"""Task `notify`: tells people what became of live incidents and models, through an outbox that
loses nothing.

`enqueue` brings alerts in line with the incidents that stand, and puts a message for each event and
address into the outbox, in one transaction; `enqueue_news` does that for decisions on models and
trainings. `deliver` sends what is due, each message in a transaction of its own.

What can be promised: no event is lost, and none is put into the outbox twice. A process that dies
after the receiver took a message and before that was committed sends it again, with the same key:
as Message-ID of an e-mail, as header Idempotency-Key of a webhook. A receiver that drops keys it
has seen gets each message exactly once; one that does not may, after such a crash, get it twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from hashlib import blake2b

from tsad_tasks.base.clock import utc_now
from tsad_tasks.base.errors import Refused, Undelivered, Unreachable
from tsad_tasks.config import DatasetConfig
from tsad_tasks.notifications.alerts import AlertChange, alert_changes
from tsad_tasks.notifications.channels.base import Message, Send
from tsad_tasks.notifications.messages import body, digest_payload, event_payload, subject
from tsad_tasks.notifications.news import news_payload
from tsad_tasks.notifications.queries import (
    DELETE_ALERTS,
    DELETE_NOTIFICATIONS,
    INSERT_ALERT,
    INSERT_NEWS,
    INSERT_NOTIFICATIONS,
    SELECT_ALERTABLE_INCIDENTS,
    SELECT_ALERTS,
    SELECT_DUE_NOTIFICATION,
    SELECT_NEWEST_SCORED,
    SELECT_NEWS,
    UPDATE_ALERT,
    UPDATE_NOTIFICATION,
    Attempt,
    DueNotification,
    NewNotification,
)
from tsad_tasks.storage.datasets import DatasetRow, lock_dataset, select_dataset
from tsad_tasks.storage.store import Store, columns

MOST_REFUSALS = 5
# So long before anything that could open an alert, closed ones stay as they are: years of them cost
# nothing.
SETTLED = timedelta(days=60)
FIRST_WAIT_S, LONGEST_WAIT_S = 60, 3600


@dataclass(frozen=True)
class EnqueueSummary:
    """Alerts that changed, events told of them, and messages put into the outbox."""

    n_alerts: int = 0
    n_events: int = 0
    n_messages: int = 0


@dataclass(frozen=True)
class NewsSummary:
    """Decisions on models and trainings that are told, and messages put into the outbox."""

    n_news: int = 0
    n_news_messages: int = 0


@dataclass(frozen=True)
class DeliverySummary:
    """Messages accepted, put off, and given up."""

    n_delivered: int = 0
    n_put_off: int = 0
    n_failed: int = 0


@dataclass(frozen=True)
class Address:
    """Where a message goes: by which channel, through which connection, to whom there."""

    medium: str
    connection: str
    address: str


def notify(
    store: Store,
    config: DatasetConfig,
    send: Send,
    *,
    end_at: datetime,
    now: Callable[[], datetime] = utc_now,
) -> dict[str, int]:
    """Counts of what was found to tell and of what was delivered."""
    found = enqueue(store, config, end_at=end_at)
    return asdict(found) | notify_of_models(store, config, send, now=now)


def notify_of_models(
    store: Store, config: DatasetConfig, send: Send, *, now: Callable[[], datetime] = utc_now
) -> dict[str, int]:
    """The same without a look at incidents: after a retraining or a promotion."""
    found = enqueue_news(store, config, now=now)
    return asdict(found) | asdict(deliver(store, config, send, now=now))


def enqueue(store: Store, config: DatasetConfig, *, end_at: datetime) -> EnqueueSummary:
    """Alerts brought in line with the live incidents that stand; each event becomes a message to
    each address.

    Without targets there are no alerts either. Only incidents with a flag within
    `notifications.max_age` of the interval's end, or of the newest scored hour when that is later,
    open one: neither switching notifications on nor clearing an old run sends history.
    """
    wanted = _wanted_news(config)
    if not wanted:
        return EnqueueSummary()
    with store.transaction():
        dataset = select_dataset(store, config.dataset)
        dataset_id = dataset.dataset_id
        lock_dataset(store, dataset_id, "alerts")
        scored_until = store.one(SELECT_NEWEST_SCORED, dataset_id=dataset_id)
        newest_at = max(end_at, scored_until or end_at)
        newer_than = _newer_than(config, dataset, newest_at)
        settled = {"dataset_id": dataset_id, "settled_before": newer_than - SETTLED}
        changes = alert_changes(
            store.rows(SELECT_ALERTS, **settled),
            store.rows(SELECT_ALERTABLE_INCIDENTS, newer_than=newer_than, **settled),
            gap=timedelta(seconds=dataset.merge_gap_s),
            young_from=newest_at - timedelta(seconds=config.notifications.max_age_s),
        )
        stored = [_stored(store, dataset_id, change) for change in changes]
        told = [(change, event) for change in stored for event in change.events]
        rows = []
        for to in wanted:
            messages = []
            for change, event in told:
                alert, zone = change.alert, config.site_zone
                severity = alert.severity if event == "escalated" else ""
                key = message_key(alert.thread, event, severity, *asdict(to).values())
                payload = event_payload(config.dataset, zone, change, event)
                messages.append(
                    NewNotification(alert.alert_id, event, key, payload=payload, **asdict(to))
                )
            rows += _at_most_a_digest(config, messages, to)
        return EnqueueSummary(len(changes), len(told), _insert(store, dataset_id, rows))


def enqueue_news(
    store: Store, config: DatasetConfig, *, now: Callable[[], datetime] = utc_now
) -> NewsSummary:
    """Decisions on live models and trainings that nobody was told of; each becomes a message to who
    wants such news.

    Told and put into the outbox in one transaction. What was decided longer ago than
    `notifications.max_age`, and what no target wanted when it was new, is never told.
    """
    wanted = _wanted_news(config)
    events = sorted({event for chosen in wanted.values() for event in chosen})
    if not events:
        return NewsSummary()
    newer_than = now() - timedelta(seconds=config.notifications.max_age_s)
    with store.transaction():
        dataset_id = select_dataset(store, config.dataset).dataset_id
        lock_dataset(store, dataset_id, "alerts")
        new = {"dataset_id": dataset_id, "events": events, "newer_than": newer_than}
        told = store.rows(SELECT_NEWS, news_ids=store.rows(INSERT_NEWS, **new))
        rows = []
        for to, chosen in wanted.items():
            messages = [
                NewNotification(
                    None,
                    news.event,
                    message_key(news.thread, *asdict(to).values()),
                    payload=news_payload(config.dataset, config.site_zone, news),
                    news_id=news.news_id,
                    **asdict(to),
                )
                for news in told
                if news.event in chosen
            ]
            rows += _at_most_a_digest(config, messages, to)
        return NewsSummary(len(told), _insert(store, dataset_id, rows))


def _insert(store: Store, dataset_id: int, rows: list[NewNotification]) -> int:
    """Messages put into the outbox that were not in it."""
    unnested = columns(rows, NewNotification)
    unnested["payload"] = [json.dumps(row.payload, ensure_ascii=False) for row in rows]
    return store.execute(INSERT_NOTIFICATIONS, dataset_id=dataset_id, **unnested)


def _wanted_news(config: DatasetConfig) -> dict[Address, set[str]]:
    """Each address once, with the kinds of news that any target which names it asks for."""
    wanted: dict[Address, set[str]] = {}
    for target in config.notifications.targets:
        for address in target.addresses:
            to = Address(target.medium, target.connection_id, address)
            wanted.setdefault(to, set()).update(target.news)
    return wanted


def _stored(store: Store, dataset_id: int, change: AlertChange) -> AlertChange:
    """The change as stored: a new alert with its number and the name of its thread."""
    alert = asdict(change.alert)
    if change.former is not None:
        store.execute(UPDATE_ALERT, **alert)
        return change
    name = store.one(INSERT_ALERT, **alert | {"dataset_id": dataset_id})
    return replace(change, alert=replace(change.alert, **name._asdict()))


def _newer_than(config: DatasetConfig, dataset: DatasetRow, newest_at: datetime) -> datetime:
    """Incidents with a later flag may open an alert, or be a part of a long fault that belongs to
    one.
    """
    age_s = config.notifications.max_age_s + config.alarm_policy.max_length_s + dataset.merge_gap_s
    return newest_at - timedelta(seconds=age_s)


def _at_most_a_digest(
    config: DatasetConfig, rows: list[NewNotification], to: Address
) -> list[NewNotification]:
    """A message for each event, or one for all when there are too many."""
    if len(rows) <= config.notifications.max_per_run:
        return rows
    payload = digest_payload(config.dataset, config.site_zone, [row.payload for row in rows])
    key = message_key(*(row.key for row in rows))
    return [NewNotification(None, "digest", key, payload=payload, **asdict(to))]


def message_key(*parts: str) -> str:
    """Name of a message, the same in every attempt.

    >>> message_key("a", "opened", "") == message_key("a", "opened", ""), len(message_key("a"))
    (True, 32)
    """
    return blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


def retire_alerts(store: Store, config: DatasetConfig, *, newest_at: datetime, kept_s: int) -> int:
    """Messages that were removed with alerts that ended longer than `kept_s` before the newest
    reading.

    Alerts that are open, or closed so lately that they are still followed, stay: nothing is told
    twice.
    """
    with store.transaction():
        dataset = select_dataset(store, config.dataset)
        dataset_id = dataset.dataset_id
        lock_dataset(store, dataset_id, "alerts")
        scored_until = store.one(SELECT_NEWEST_SCORED, dataset_id=dataset_id)
        known_at = min(newest_at, scored_until or newest_at)
        followed_from = _newer_than(config, dataset, known_at) - SETTLED
        before_at = min(newest_at - timedelta(seconds=kept_s), followed_from)
        n_messages = store.execute(DELETE_NOTIFICATIONS, dataset_id=dataset_id, before_at=before_at)
        store.execute(DELETE_ALERTS, dataset_id=dataset_id, before_at=before_at)
        return n_messages


def deliver(
    store: Store, config: DatasetConfig, send: Send, *, now: Callable[[], datetime] = utc_now
) -> DeliverySummary:
    """What came of sending the messages that are due, oldest first; what is not accepted waits for
    a later run.

    Waits grow from one minute to an hour. What a receiver refuses for good is tried five times and
    then marked as failed, which `tsad.v_notification` and `tsad notify --pending` show. Runs at the
    same time share the work.

    Parameters
    ----------
    send : sends one message; raises `Undelivered` or one of its kinds when it was not accepted.
    """
    with store.transaction():
        dataset_id = select_dataset(store, config.dataset).dataset_id
    attempts = list(_attempts(store, dataset_id, send, now()))
    n_delivered = sum(attempt.delivered_at is not None for attempt in attempts)
    n_failed = sum(attempt.failed_at is not None for attempt in attempts)
    return DeliverySummary(n_delivered, len(attempts) - n_delivered - n_failed, n_failed)


def _attempts(store: Store, dataset_id: int, send: Send, now_at: datetime) -> Iterator[Attempt]:
    """What came of each message that is due, committed.

    An error that nobody foresaw is raised after its message was put off, so that it stops the
    others only once.
    """
    unreachable: set[str] = set()
    while True:
        with store.transaction():
            asked = {"dataset_id": dataset_id, "unreachable": sorted(unreachable)}
            due = store.first(SELECT_DUE_NOTIFICATION, now=now_at, **asked)
            if due is None:
                return
            unforeseen: Exception | None = None
            try:
                said = subject(due.payload), body(due.payload), due.payload
                send(Message(due.key, due.medium, due.connection, due.address, *said))
                attempt = Attempt(due.n_refused, delivered_at=now_at)
            except Undelivered as error:
                attempt = _put_off(due, error, now_at)
                if isinstance(error, Unreachable):
                    unreachable.add(due.connection)
            except Exception as error:
                unforeseen = error
                attempt = _put_off(due, Undelivered(type(error).__name__), now_at)
            number = due.notification_id
            store.execute(UPDATE_NOTIFICATION, notification_id=number, **asdict(attempt))
        if unforeseen is not None:
            raise unforeseen
        yield attempt


def _put_off(due: DueNotification, error: Undelivered, now_at: datetime) -> Attempt:
    """The next attempt, later each time; none when it was refused too often."""
    said, n_refused = str(error)[:500], due.n_refused + isinstance(error, Refused)
    if n_refused >= MOST_REFUSALS:
        return Attempt(n_refused, failed_at=now_at, last_error=said)
    next_at = now_at + waiting_time(due.attempts)
    return Attempt(n_refused, next_attempt_at=next_at, last_error=said)


def waiting_time(n_attempts: int) -> timedelta:
    """How long to wait after an attempt that so many others came before.

    >>> [waiting_time(n).total_seconds() for n in (0, 1, 5, 6, 60)]
    [60.0, 120.0, 1920.0, 3600.0, 3600.0]
    """
    return timedelta(seconds=min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(n_attempts, 10)))
