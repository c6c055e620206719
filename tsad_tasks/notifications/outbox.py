"""Alerts and the outbox of one dataset in the warehouse."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from tsad_tasks.notifications.alerts import Alert, AlertableIncident, AlertChange
from tsad_tasks.notifications.news import News
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
    DueNotification,
)
from tsad_tasks.storage.datasets import lock_dataset
from tsad_tasks.storage.store import Store, columns


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
        lock_dataset(self._store, self._dataset_id, "alerts")

    def scored_until(self) -> datetime | None:
        """The end of the newest hour that live champions have scored."""
        return self._store.one(SELECT_NEWEST_SCORED, dataset_id=self._dataset_id)

    def alerts(self, settled_before: datetime) -> list[Alert]:
        """Alerts in the order in which they were opened, but for those withdrawn or closed and
        settled.
        """
        return self._store.rows(
            SELECT_ALERTS, dataset_id=self._dataset_id, settled_before=settled_before
        )

    def incidents(self, newer_than: datetime, settled_before: datetime) -> list[AlertableIncident]:
        """Incidents that these alerts may stand for, and all with a flag after a moment."""
        return self._store.rows(
            SELECT_ALERTABLE_INCIDENTS,
            dataset_id=self._dataset_id,
            newer_than=newer_than,
            settled_before=settled_before,
        )

    def store(self, change: AlertChange) -> AlertChange:
        """The change as stored: a new alert with its number and the name of its thread."""
        if change.former is not None:
            self._store.execute(UPDATE_ALERT, **asdict(change.alert))
            return change
        name = self._store.one(
            INSERT_ALERT, **asdict(change.alert) | {"dataset_id": self._dataset_id}
        )
        return replace(change, alert=replace(change.alert, **name._asdict()))

    def insert_news(self, events: Sequence[str], newer_than: datetime) -> list[News]:
        """Decisions after a moment that nobody was told of, in their order; from now on they count
        as told.
        """
        news_ids = self._store.rows(
            INSERT_NEWS, dataset_id=self._dataset_id, events=list(events), newer_than=newer_than
        )
        return self._store.rows(SELECT_NEWS, news_ids=news_ids)

    def insert(self, rows: Sequence[NewNotification]) -> int:
        """Messages that were new."""
        unnested = columns(rows, NewNotification)
        unnested["payload"] = [json.dumps(row.payload, ensure_ascii=False) for row in rows]
        return self._store.execute(INSERT_NOTIFICATIONS, dataset_id=self._dataset_id, **unnested)

    def delete_before(self, before_at: datetime) -> int:
        """Messages removed with the alerts that ended before a moment; what waits or is open
        stays.
        """
        params = {"dataset_id": self._dataset_id, "before_at": before_at}
        n_deleted = self._store.execute(DELETE_NOTIFICATIONS, **params)
        self._store.execute(DELETE_ALERTS, **params)
        return n_deleted

    def next_due(self, now_at: datetime, unreachable: Sequence[str]) -> DueNotification | None:
        """The next message that is due, locked; none that goes through an unreachable
        connection.
        """
        return self._store.first(
            SELECT_DUE_NOTIFICATION,
            dataset_id=self._dataset_id,
            now=now_at,
            unreachable=list(unreachable),
        )

    def update(self, due: DueNotification, attempt: Attempt) -> None:
        """Writes what came of an attempt."""
        self._store.execute(
            UPDATE_NOTIFICATION, notification_id=due.notification_id, **asdict(attempt)
        )
