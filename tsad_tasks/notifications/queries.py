"""Statements on alerts, news and the outbox, and what one row of each is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from tsad_tasks.notifications.alerts import Alert, AlertableIncident
from tsad_tasks.notifications.groups import AlertedGroup, GroupLead
from tsad_tasks.notifications.news import News
from tsad_tasks.notifications.outside import OutsideExperience
from tsad_tasks.notifications.sensors import TroubledSensor
from tsad_tasks.notifications.silences import OpenSilence, QuietEntity
from tsad_tasks.notifications.targets import Address
from tsad_tasks.storage.store import Query, Statement


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
    silence_id: int | None = None
    episode_id: int | None = None
    trouble_id: int | None = None
    held_until: datetime | None = None


@dataclass(frozen=True)
class Attempt:
    """What came of an attempt: at most one of delivered, failed and next attempt."""

    n_refused: int = 0
    delivered_at: datetime | None = None
    failed_at: datetime | None = None
    next_attempt_at: datetime | None = None
    last_error: str = ""


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
class ReleasedNotification:
    """A message that waited, and may leave with others to the same address."""

    notification_id: int
    key: str
    medium: str
    connection: str
    address: str
    payload: dict[str, Any]


@dataclass(frozen=True)
class ToldAddress:
    """An address to which something of an alert was said: the worst of it, and whether all of that
    still waits.
    """

    alert_id: int
    medium: str
    connection: str
    address: str
    severity: str
    is_waiting: bool

    @property
    def to(self) -> Address:
        return Address(self.medium, self.connection, self.address)


class AlertName(NamedTuple):
    """What a new alert is known by: its number, and the random name of its thread."""

    alert_id: int
    thread: str


class SilenceName(NamedTuple):
    """What a new silence is known by: its number, and the random name of its thread."""

    silence_id: int
    thread: str


class EpisodeName(NamedTuple):
    """What an episode outside of experience is known by, and the random name of its thread."""

    episode_id: int
    thread: str


class TroubleName(NamedTuple):
    """What a message about sensors is known by, and the random name of its thread."""

    trouble_id: int
    thread: str


class SilentName(NamedTuple):
    """An entity of a silence, and whether it is back."""

    entity: str
    is_back: bool


class OpenStop(NamedTuple):
    """News of a training that stopped, after which none went on, and since how many weeks."""

    news_id: int
    week: int


SELECT_SILENCES = Query("notifications/select_silences", QuietEntity)
SELECT_OPEN_SILENCES = Query("notifications/select_open_silences", OpenSilence)
SELECT_SILENT_NAMES = Query("notifications/select_silent_names", SilentName)
SELECT_SILENCE = Query("notifications/select_silence", OpenSilence)
INSERT_SILENCE = Query("notifications/insert_silence", SilenceName)
INSERT_SILENT_ENTITIES = Statement("notifications/insert_silent_entities")
UPDATE_SILENT_ENTITIES = Statement("notifications/update_silent_entities")

SELECT_UNTOLD_OUTSIDE = Query("notifications/select_untold_outside", OutsideExperience)
SELECT_OUTSIDE_EPISODE = Query("notifications/select_outside_episode", EpisodeName)
INSERT_OUTSIDE_EPISODE = Query("notifications/insert_outside_episode", EpisodeName)
INSERT_OUTSIDE_ENTITIES = Statement("notifications/insert_outside_entities")

SELECT_TROUBLED_SENSORS = Query("notifications/select_troubled_sensors", TroubledSensor)
SELECT_NEWEST_READ: Query[datetime | None] = Query("notifications/select_newest_read", datetime)
INSERT_SENSOR_TROUBLE = Query("notifications/insert_sensor_trouble", TroubleName)
UPSERT_TROUBLED_SENSORS = Statement("notifications/upsert_troubled_sensors")

SELECT_NEWEST_SCORED: Query[datetime | None] = Query("notifications/select_newest_scored", datetime)
SELECT_ALERTS = Query("notifications/select_alerts", Alert)
SELECT_ALERTABLE_INCIDENTS = Query("notifications/select_alertable_incidents", AlertableIncident)
SELECT_ALERTED_GROUPS = Query("notifications/select_alerted_groups", AlertedGroup)
INSERT_ALERT = Query("notifications/insert_alert", AlertName)
UPDATE_ALERT = Statement("notifications/update_alert")
DELETE_ALERTS = Statement("notifications/delete_alerts")

INSERT_NEWS = Query("notifications/insert_news", int)
SELECT_NEWS = Query("notifications/select_news", News)
SELECT_OPEN_STOP = Query("notifications/select_open_stop", OpenStop)

INSERT_NOTIFICATIONS = Statement("notifications/insert_notifications")
SELECT_GROUP_LEADS = Query("notifications/select_group_leads", GroupLead)
SELECT_TOLD_ADDRESSES = Query("notifications/select_told_addresses", ToldAddress)
SELECT_RELEASED_NOTIFICATIONS = Query(
    "notifications/select_released_notifications", ReleasedNotification
)
UPDATE_HELD = Statement("notifications/update_held")
UPDATE_BUNDLE = Statement("notifications/update_bundle")
SELECT_DUE_NOTIFICATION = Query("notifications/select_due_notification", DueNotification)
UPDATE_NOTIFICATION = Statement("notifications/update_notification")
DELETE_NOTIFICATIONS = Statement("notifications/delete_notifications")
