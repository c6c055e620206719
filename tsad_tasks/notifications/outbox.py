"""Alerts and the outbox of one dataset in the warehouse."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from tsad_tasks.notifications.alerts import Alert, AlertableIncident, AlertChange
from tsad_tasks.notifications.news import News
from tsad_tasks.storage.store import Store


@dataclass(frozen=True)
class NewNotification:
    """A message to be kept until it was accepted; see the columns of `tsad.notification`."""

    alert_id: int | None
    event: str
    key: str
    medium: str
    connection: str
    address: str
    payload: dict[str, Any]
    news_id: int | None = None


@dataclass(frozen=True)
class DueNotification:
    """A message that is to be sent now. Its row is locked until the transaction ends."""

    notification_id: int
    key: str
    medium: str
    connection: str
    address: str
    payload: dict[str, Any]
    attempts: int
    n_refused: int


@dataclass(frozen=True)
class Attempt:
    """What came of trying to deliver a message: at most one of delivered, failed and next
    attempt.
    """

    n_refused: int = 0
    delivered_at: datetime | None = None
    failed_at: datetime | None = None
    next_attempt_at: datetime | None = None
    last_error: str = ""


class Outbox:
    """Statements on one dataset's alerts and messages, within the store's transaction."""

    def __init__(self, store: Store, dataset_id: int) -> None:
        self._store, self._dataset_id = store, dataset_id

    def lock(self) -> None:
        """Only one run at a time decides what is to be told."""
        self._store.lock_dataset(self._dataset_id, "alerts")

    def scored_until(self) -> datetime | None:
        """The end of the newest hour that live champions have scored."""
        row = self._store.select_or_none("select_newest_scored", {"dataset_id": self._dataset_id})
        return row[0] if row else None

    def alerts(self, settled_before: datetime) -> list[Alert]:
        """Alerts in the order in which they were opened, but for those withdrawn or closed and
        settled.
        """
        params = {"dataset_id": self._dataset_id, "settled_before": settled_before}
        return [Alert(*row) for row in self._store.select("select_alerts", params)]

    def incidents(self, newer_than: datetime, settled_before: datetime) -> list[AlertableIncident]:
        """Incidents that these alerts may stand for, and all with a flag after a moment."""
        params = {"newer_than": newer_than, "settled_before": settled_before}
        rows = self._store.select(
            "select_alertable_incidents", params | {"dataset_id": self._dataset_id}
        )
        return [AlertableIncident(*row) for row in rows]

    def store(self, change: AlertChange) -> AlertChange:
        """The change as stored: a new alert with its number and the name of its thread."""
        if change.former is not None:
            self._store.execute("update_alert", asdict(change.alert))
            return change
        params = asdict(change.alert) | {"dataset_id": self._dataset_id}
        ((alert_id, thread),) = self._store.select("insert_alert", params)
        return replace(change, alert=replace(change.alert, alert_id=alert_id, thread=thread))

    def insert_news(self, events: Sequence[str], newer_than: datetime) -> list[News]:
        """Decisions after a moment that nobody was told of, in their order; from now on they count
        as told.
        """
        params = {"dataset_id": self._dataset_id, "events": list(events), "newer_than": newer_than}
        news_ids = [key for (key,) in self._store.select("insert_news", params)]
        found = self._store.records("select_news", {"news_ids": news_ids})
        return [News(**row | {"failed_rules": tuple(row["failed_rules"] or ())}) for row in found]

    def insert(self, rows: Sequence[NewNotification]) -> int:
        """Messages that were new."""
        if not rows:
            return 0
        names = asdict(rows[0])
        columns: dict[str, Any] = {name: [getattr(row, name) for row in rows] for name in names}
        columns["payload"] = [json.dumps(row.payload, ensure_ascii=False) for row in rows]
        params = columns | {"dataset_id": self._dataset_id}
        return self._store.execute("insert_notifications", params)

    def delete_before(self, before_at: datetime) -> int:
        """Messages removed with the alerts that ended before a moment; what waits or is open
        stays.
        """
        params = {"dataset_id": self._dataset_id, "before_at": before_at}
        n_deleted = self._store.execute("delete_notifications", params)
        self._store.execute("delete_alerts", params)
        return n_deleted

    def next_due(self, now_at: datetime, unreachable: Sequence[str]) -> DueNotification | None:
        """The next message that is due, locked; none that goes through an unreachable
        connection.
        """
        params = {"dataset_id": self._dataset_id, "now": now_at, "unreachable": list(unreachable)}
        row = self._store.select_or_none("select_due_notification", params)
        return DueNotification(*row) if row else None

    def update(self, due: DueNotification, attempt: Attempt) -> None:
        """Writes what came of an attempt."""
        params = asdict(attempt) | {"notification_id": due.notification_id}
        self._store.execute("update_notification", params)
