"""Sensors that are out of order: what is said of them, once each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from tsad_tasks.base.enums import QualityVerdict
from tsad_tasks.base.interval import Interval
from tsad_tasks.config import DatasetConfig, NotificationTarget
from tsad_tasks.feedback.maintenance import Maintenance
from tsad_tasks.notifications.letter import Letter
from tsad_tasks.notifications.targets import Address, Recipient, recipients
from tsad_tasks.storage.database import shown_statement
from tsad_tasks.text.formats import counted, named, time_text

Payload = dict[str, Any]
OUT_OF_ORDER = "out_of_order"
# Findings that say of a sensor itself that it is out of order, in words: while it is, and after.
TROUBLES: dict[str, tuple[str, str]] = {
    QualityVerdict.DEAD: ("gives no values", "gave no values"),
    QualityVerdict.STUCK: ("is stuck at one value", "was stuck at one value"),
    QualityVerdict.CONSTANT: ("does not move", "did not move"),
}
_MOST_NAMED = 50
_DAY = timedelta(days=1)
# Findings are looked at so far back, at least and at most: further back than the week after which a
# sensor is told again, what was told and what is new would be one.
_LEAST_LOOK, _MOST_LOOK = 2 * _DAY, 7 * _DAY
# So long without a finding up to the newest hour, it is over.
_OVER = timedelta(hours=3)


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
        return any(each.covers(self.entity_id, self.since_at, self.until_at) for each in windows)


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


def looked_span(newest_at: datetime, max_age_s: int) -> Interval:
    """The hours whose findings are looked at, up to the end of the newest.

    >>> from datetime import UTC
    >>> [looked_span(datetime(2026, 3, 9, tzinfo=UTC), age).start_at.day for age in (60, 2592000)]
    [7, 2]
    """
    look = min(max(timedelta(seconds=max_age_s), _LEAST_LOOK), _MOST_LOOK)
    return Interval(newest_at - look, newest_at)


def sensors_payload(
    dataset: str, zone: str, thread: str, found: Sequence[TroubledSensor], looked: Interval
) -> Payload:
    """What is told; nothing in it is secret, and it needs no more look-up.

    Parameters
    ----------
    looked : findings before it were not looked at, so that a sensor may be so for longer.
    """
    sensors = [
        {
            "entity": one.entity,
            "channel": one.channel,
            "finding": one.verdict,
            "since_at": one.since_at.isoformat(),
            "or_before": one.since_at < looked.start_at + _DAY,
            "until_at": one.until_at.isoformat() if one.until_at <= looked.end_at - _OVER else None,
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
    if len(found) == 1:
        return payload | {"sentence": sensor_line(sensors[0], zone)}
    # In a digest nothing else says which.
    which = named([f"{one.channel} of {one.entity}" for one in found], len(found))
    return payload | {"sentence": f"{sensors_subject(payload)}: {which}"}


def sensors_subject(payload: Mapping[str, Any]) -> str:
    """Which sensor, or how many.

    >>> vane = {"entity": "m-1", "channel": "vane", "until_at": None}
    >>> sensors_subject({"sensors": [vane], "n_sensors": 1})
    'sensor vane of m-1 is out of order'
    """
    n, is_over = payload["n_sensors"], all(one["until_at"] for one in payload["sensors"])
    if n == 1:
        (one,) = payload["sensors"]
        is_or_was = "was" if is_over else "is"
        return f"sensor {one['channel']} of {one['entity']} {is_or_was} out of order"
    machines = counted(payload["n_entities"], "machine")
    return f"{counted(n, 'sensor')} of {machines} {'were' if is_over else 'are'} out of order"


def sensor_line(sensor: Mapping[str, Any], zone: str) -> str:
    """What is wrong with one of them, or was.

    >>> said = {"entity": "m-1", "channel": "vane", "finding": "stuck", "or_before": True}
    >>> said |= {"since_at": "2026-03-01T05:00:00+00:00", "until_at": None}
    >>> sensor_line(said, "UTC")
    'm-1: vane is stuck at one value since 1 Mar 05:00 or before'
    >>> sensor_line(said | {"until_at": "2026-03-01T16:00:00+00:00"}, "UTC")
    'm-1: vane was stuck at one value from 1 Mar 05:00 or before to 1 Mar 16:00'
    """
    (is_so, was_so), until_at = TROUBLES[sensor["finding"]], sensor["until_at"]
    since = time_text(datetime.fromisoformat(sensor["since_at"]), zone)
    since += " or before" if sensor["or_before"] else ""
    told = f"{is_so} since {since}"
    if until_at is not None:
        told = f"{was_so} from {since} to {time_text(datetime.fromisoformat(until_at), zone)}"
    return f"{sensor['entity']}: {sensor['channel']} {told}"


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
