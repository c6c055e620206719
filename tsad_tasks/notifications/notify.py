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

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from tsad_tasks.base.clock import utc_now
from tsad_tasks.base.errors import Refused, Undelivered, Unreachable
from tsad_tasks.config import DatasetConfig, NotificationTarget
from tsad_tasks.notifications.alerts import Change, alert_changes
from tsad_tasks.notifications.messages import body, digest_payload, event_payload, subject
from tsad_tasks.notifications.model_messages import news_payload
from tsad_tasks.notifications.news import News
from tsad_tasks.notifications.outbox import Attempt, NewNotification, Outbox
from tsad_tasks.notifications.queries import DueNotification
from tsad_tasks.storage.datasets import DatasetRow, select_dataset
from tsad_tasks.storage.store import Store

MOST_REFUSALS = 5
# So long before anything that could open an alert, closed ones stay as they are: years of them cost
# nothing.
SETTLED = timedelta(days=60)
FIRST_WAIT_S, LONGEST_WAIT_S = 60, 3600


@dataclass(frozen=True)
class Message:
    """One message to one address. `thread` is that of the alert or the news, empty for a digest."""

    key: str
    medium: str
    connection: str
    address: str
    subject: str
    text: str
    payload: dict[str, Any]

    @property
    def thread(self) -> str:
        return str(self.payload.get("thread", ""))


Send = Callable[[Message], None]


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
    """Where a message goes: an e-mail address, or a webhook (its URL is in the connection)."""

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
    addresses = list(_addresses(config.notifications.targets))
    if not addresses:
        return EnqueueSummary()
    with store.transaction():
        dataset = select_dataset(store, config.dataset)
        outbox = Outbox(store, dataset.dataset_id)
        outbox.lock()
        changes = [_stored(outbox, change) for change in _changes(outbox, config, dataset, end_at)]
        told = [(change, event) for change in changes for event in change.events]
        rows = [row for address in addresses for row in _messages(config, told, address)]
        return EnqueueSummary(len(changes), len(told), outbox.insert(rows))


def _addresses(targets: Sequence[NotificationTarget]) -> Iterator[Address]:
    """Each address once, however often the targets name it."""
    yield from dict.fromkeys(to for target in targets for to in _addresses_of(target))


def _addresses_of(target: NotificationTarget) -> Iterator[Address]:
    for address in target.email or ("",):
        yield (
            Address("email", target.connection, address)
            if address
            else Address("webhook", target.webhook or "", "")
        )


def enqueue_news(
    store: Store, config: DatasetConfig, *, now: Callable[[], datetime] = utc_now
) -> NewsSummary:
    """Decisions on live models and trainings that nobody was told of; each becomes a message to who
    wants such news.

    Told and put into the outbox in one transaction. What was decided longer ago than
    `notifications.max_age`, and what no target wanted when it was new, is never told.
    """
    wanted = _wanted_news(config.notifications.targets)
    events = sorted({event for chosen in wanted.values() for event in chosen})
    if not events:
        return NewsSummary()
    newer_than = now() - timedelta(seconds=config.notifications.max_age_s)
    with store.transaction():
        outbox = Outbox(store, select_dataset(store, config.dataset).dataset_id)
        outbox.lock()
        told = outbox.insert_news(events, newer_than)
        rows = [
            row for to, chosen in wanted.items() for row in _news_messages(config, told, chosen, to)
        ]
        return NewsSummary(len(told), outbox.insert(rows))


def _wanted_news(targets: Sequence[NotificationTarget]) -> dict[Address, set[str]]:
    """Kinds of news by address: all that any target which names it asks for."""
    found: dict[Address, set[str]] = {}
    for target in targets:
        for to in _addresses_of(target):
            found.setdefault(to, set()).update(target.news)
    return found


def _news_messages(
    config: DatasetConfig, told: Sequence[News], chosen: Collection[str], to: Address
) -> list[NewNotification]:
    return _few(
        config, [_news_message(config, news, to) for news in told if news.event in chosen], to
    )


def _news_message(config: DatasetConfig, news: News, to: Address) -> NewNotification:
    payload, key = (
        news_payload(config.dataset, config.site_zone, news),
        _key(news.thread, *asdict(to).values()),
    )
    return NewNotification(
        None, news.event, key, payload=payload, news_id=news.news_id, **asdict(to)
    )


def _changes(
    outbox: Outbox, config: DatasetConfig, dataset: DatasetRow, end_at: datetime
) -> list[Change]:
    newest_at = max(end_at, outbox.scored_until() or end_at)
    young_from = newest_at - timedelta(seconds=config.notifications.max_age_s)
    newer_than = _newer_than(config, dataset, newest_at)
    incidents = outbox.incidents(newer_than, newer_than - SETTLED)
    gap = timedelta(seconds=dataset.merge_gap_s)
    return alert_changes(
        outbox.alerts(newer_than - SETTLED), incidents, gap=gap, young_from=young_from
    )


def _newer_than(config: DatasetConfig, dataset: DatasetRow, newest_at: datetime) -> datetime:
    """Incidents with a later flag may open an alert, or be a part of a long fault that belongs to
    one.
    """
    age_s = config.notifications.max_age_s + config.alarm_policy.max_length_s + dataset.merge_gap_s
    return newest_at - timedelta(seconds=age_s)


def retire_alerts(store: Store, config: DatasetConfig, *, newest_at: datetime, kept_s: int) -> int:
    """Messages that were removed with alerts that ended longer than `kept_s` before the newest
    reading.

    Alerts that are open, or closed so lately that they are still followed, stay: nothing is told
    twice.
    """
    with store.transaction():
        dataset = select_dataset(store, config.dataset)
        outbox = Outbox(store, dataset.dataset_id)
        outbox.lock()
        known_at = min(newest_at, outbox.scored_until() or newest_at)
        followed_from = _newer_than(config, dataset, known_at) - SETTLED
        return outbox.delete_before(min(newest_at - timedelta(seconds=kept_s), followed_from))


def _stored(outbox: Outbox, change: Change) -> Change:
    if change.former is not None:
        outbox.update_alert(change.alert)
        return change
    return Change(outbox.insert_alert(change.alert), None, change.events)


def _messages(
    config: DatasetConfig, told: Sequence[tuple[Change, str]], to: Address
) -> list[NewNotification]:
    return _few(config, [_message(config, change, event, to) for change, event in told], to)


def _few(config: DatasetConfig, rows: list[NewNotification], to: Address) -> list[NewNotification]:
    """A message for each event, or one for all when there are too many."""
    return rows if len(rows) <= config.notifications.max_per_run else [_digest(config, rows, to)]


def _message(config: DatasetConfig, change: Change, event: str, to: Address) -> NewNotification:
    payload = event_payload(config.dataset, config.site_zone, change, event)
    severity = change.alert.severity if event == "escalated" else ""
    key = _key(change.alert.thread, event, severity, *asdict(to).values())
    return NewNotification(change.alert.alert_id, event, key, payload=payload, **asdict(to))


def _digest(config: DatasetConfig, rows: Sequence[NewNotification], to: Address) -> NewNotification:
    payload = digest_payload(config.dataset, config.site_zone, [row.payload for row in rows])
    return NewNotification(
        None, "digest", _key(*(row.key for row in rows)), payload=payload, **asdict(to)
    )


def _key(*parts: str) -> str:
    """Name of a message, the same in every attempt.

    >>> _key("a", "opened", "") == _key("a", "opened", ""), len(_key("a"))
    (True, 32)
    """
    return blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


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
        dataset = select_dataset(store, config.dataset)
    delivery = _Delivery(store, Outbox(store, dataset.dataset_id), send, now())
    attempts = list(iter(delivery.next_attempt, None))
    n_delivered, n_failed = (
        sum(getattr(each, name) is not None for each in attempts) for name in ENDS
    )
    return DeliverySummary(n_delivered, len(attempts) - n_delivered - n_failed, n_failed)


ENDS = ("delivered_at", "failed_at")


class _Delivery:
    """One run over the due messages of a dataset."""

    def __init__(self, store: Store, outbox: Outbox, send: Send, now_at: datetime) -> None:
        self._store, self._outbox, self._send, self._now_at = store, outbox, send, now_at
        self._unreachable: set[str] = set()

    def next_attempt(self) -> Attempt | None:
        """What came of the next message, committed; None when nothing is due any more.

        An error that nobody foresaw is raised after the message was put off, so that it stops the
        others only once.
        """
        with self._store.transaction():
            due = self._outbox.next_due(self._now_at, sorted(self._unreachable))
            if due is None:
                return None
            attempt, unforeseen = self._tried(due)
            self._outbox.update(due, attempt)
        if unforeseen is not None:
            raise unforeseen
        return attempt

    def _tried(self, due: DueNotification) -> tuple[Attempt, Exception | None]:
        try:
            self._send(_as_message(due))
        except Undelivered as error:
            if isinstance(error, Unreachable):
                self._unreachable.add(due.connection)
            return self._put_off(due, error), None
        except Exception as error:
            return self._put_off(due, Undelivered(type(error).__name__)), error
        return Attempt(due.n_refused, delivered_at=self._now_at), None

    def _put_off(self, due: DueNotification, error: Undelivered) -> Attempt:
        """The next attempt, later each time; none when it was refused too often."""
        said, n_refused = str(error)[:500], due.n_refused + isinstance(error, Refused)
        if n_refused >= MOST_REFUSALS:
            return Attempt(n_refused, failed_at=self._now_at, last_error=said)
        return Attempt(
            n_refused, next_attempt_at=self._now_at + waiting_time(due.attempts), last_error=said
        )


def waiting_time(n_attempts: int) -> timedelta:
    """How long to wait after an attempt that so many others came before.

    >>> [waiting_time(n).total_seconds() for n in (0, 1, 5, 6, 60)]
    [60.0, 120.0, 1920.0, 3600.0, 3600.0]
    """
    return timedelta(seconds=min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(n_attempts, 10)))


def _as_message(due: DueNotification) -> Message:
    return Message(
        due.key,
        due.medium,
        due.connection,
        due.address,
        subject(due.payload),
        body(due.payload),
        due.payload,
    )
