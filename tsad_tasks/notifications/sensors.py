"""Sensors that are out of order: what is said of them, once each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from tsad_tasks.base.enums import QualityVerdict
from tsad_tasks.config import DatasetConfig, NotificationTarget
from tsad_tasks.feedback.maintenance import Maintenance
from tsad_tasks.notifications.letter import Letter
from tsad_tasks.notifications.targets import Address, Recipient, recipients
from tsad_tasks.storage.database import shown_statement
from tsad_tasks.text.formats import counted, time_text

Payload = dict[str, Any]
OUT_OF_ORDER = "out_of_order"
# Findings that say of a sensor itself that it is out of order, in words.
TROUBLES: dict[str, str] = {
    QualityVerdict.DEAD: "gives no values",
    QualityVerdict.STUCK: "is stuck at one value",
    QualityVerdict.CONSTANT: "does not move",
}
_MOST_NAMED = 50
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class TroubledSensor:
    """A sensor that is out of order; `trouble_id` is None where nobody was told.

    `since_at` is no earlier than the first hour that was looked at.
    """

    entity_id: int
    entity: str
    channel_id: int
    channel: str
    verdict: str
    since_at: datetime
    until_at: datetime
    trouble_id: int | None

    def is_held(self, windows: Sequence[Maintenance]) -> bool:
        """Whether all of it lies in a maintenance window."""
        return any(
            each.entity_id in (None, self.entity_id)
            and each.start_at <= self.since_at
            and self.until_at <= each.end_at
            for each in windows
        )


def told_of_sensors(config: DatasetConfig) -> list[Recipient]:
    """Who is told: the owner, and targets with a digest; where there is neither, all targets but
    those that keep an alert open until it ends.
    """
    told, wanted = config.notifications, [one for one in recipients(config) if not one.keeps_state]
    if told.mode == "rehearsal" or not (told.owner or wanted):
        return wanted
    chosen = []
    if told.owner is not None:
        email = {"email": [told.owner], "connection": told.owner_connection}
        owner = NotificationTarget.model_validate(email)
        to = Address(owner.medium, owner.connection_id, told.owner)
        chosen.append(Recipient(to, (owner,)))
    for one in wanted:
        digests = tuple(target for target in one.targets if target.digest is not None)
        if digests and one.to not in [other.to for other in chosen]:
            chosen.append(replace(one, targets=digests))
    return chosen or wanted


def sensors_payload(
    dataset: str, zone: str, thread: str, found: Sequence[TroubledSensor], looked_from: datetime
) -> Payload:
    """What is told; nothing in it is secret, and it needs no more look-up.

    Parameters
    ----------
    looked_from : findings before it were not looked at, so that a sensor may be so for longer.
    """
    sensors = [
        {
            "entity": one.entity,
            "channel": one.channel,
            "finding": one.verdict,
            "since_at": one.since_at.isoformat(),
            "or_before": one.since_at < looked_from + _DAY,
        }
        for one in found[:_MOST_NAMED]
    ]
    payload: Payload = {
        "event": OUT_OF_ORDER,
        "dataset": dataset,
        "entities": sorted({one.entity for one in found})[:_MOST_NAMED],
        "n_entities": len({one.entity for one in found}),
        "n_sensors": len(found),
        "sensors": sensors,
        "thread": thread,
        "zone": zone,
        "sql": shown_statement("findings").replace("$dataset", dataset),
    }
    said = sensor_line(sensors[0], zone) if len(found) == 1 else sensors_subject(payload)
    return payload | {"sentence": said}


def sensors_subject(payload: Mapping[str, Any]) -> str:
    """Which sensor, or how many.

    >>> sensors_subject({"sensors": [{"entity": "m-1", "channel": "vane"}], "n_sensors": 1})
    'sensor vane of m-1 is out of order'
    """
    n = payload["n_sensors"]
    if n == 1:
        (one,) = payload["sensors"]
        return f"sensor {one['channel']} of {one['entity']} is out of order"
    machines = counted(payload["n_entities"], "machine")
    return f"{counted(n, 'sensor')} of {machines} are out of order"


def sensor_line(sensor: Mapping[str, Any], zone: str) -> str:
    """What is wrong with one of them.

    >>> said = {"entity": "m-1", "channel": "vane", "finding": "stuck", "or_before": True}
    >>> sensor_line(said | {"since_at": "2026-03-01T05:00:00+00:00"}, "UTC")
    'm-1: vane is stuck at one value since 1 Mar 05:00 or before'
    """
    since = time_text(datetime.fromisoformat(sensor["since_at"]), zone)
    before = " or before" if sensor["or_before"] else ""
    what = TROUBLES[sensor["finding"]]
    return f"{sensor['entity']}: {sensor['channel']} {what} since {since}{before}"


def sensors_letter(payload: Mapping[str, Any]) -> Letter:
    """What the message says, up to what to look at further."""
    lines = [sensor_line(one, payload["zone"]) for one in payload["sensors"]]
    if n_left := payload["n_sensors"] - len(lines):
        lines.append(f"… and {n_left} more.")
    what = (
        "It is about sensors, not machines: what they watch is not watched meanwhile. Each is told "
        "once, and again only after it was well for a week."
    )
    listed = [("", lines)] if payload["n_sensors"] > 1 else []
    facts = {"Dataset": payload["dataset"]}
    return Letter(f"{payload['sentence']}.", [what], facts, sections=listed)
