"""One alert for machines that fail together: what is told of the alerts of a group, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tsad_tasks.base.enums import severity_rank
from tsad_tasks.model.incident_groups import LEAST_ENTITIES
from tsad_tasks.notifications.alerts import Alert, AlertChange


@dataclass(frozen=True)
class AlertedGroup:
    """The group of an incident that stands, as far as alerts care."""

    incident_id: str
    group_id: str
    headline: str


@dataclass(frozen=True)
class GroupLead:
    """The alert under which a group is told, also once that one is withdrawn and others stand."""

    group_id: str
    alert_id: int
    thread: str


@dataclass(frozen=True)
class Told:
    """One thing to tell: of an alert, or of all those of a group in the words of its headline.

    Attributes
    ----------
    change : of a group the alert under which it is told, with the severity and sentence of the
        worst, and the range of all.
    """

    change: AlertChange
    event: str
    entities: tuple[str, ...]
    headline: str | None = None


def joined_groups(
    changes: Sequence[AlertChange], unchanged: Sequence[Alert], groups: Mapping[str, AlertedGroup]
) -> list[AlertChange]:
    """The changes, with the group under which each new alert is told.

    A group is one alert if three alerts are of it: of its other machines nobody is told, say, as
    they are in maintenance. An alert stays with the group under which it was told.

    Parameters
    ----------
    unchanged : the other alerts that stand.
    groups : by incident; the others began alone.
    """
    of: dict[str, list[Alert]] = {}
    for alert in (*(change.alert for change in changes), *unchanged):
        if alert.state != "withdrawn" and alert.incident_id in groups:
            of.setdefault(groups[alert.incident_id].group_id, []).append(alert)
    chosen: dict[str, str] = {}
    for group_id, members in of.items():
        told = [alert.group_id for alert in members if alert.group_id is not None]
        if told:
            chosen[group_id] = min(told)
        elif len({alert.entity for alert in members}) >= LEAST_ENTITIES:
            chosen[group_id] = group_id
    joined = []
    for change in changes:
        its = groups.get(change.alert.incident_id)
        if change.former is None and its is not None and its.group_id in chosen:
            alert = replace(change.alert, group_id=chosen[its.group_id])
            change = replace(change, alert=alert)
        joined.append(change)
    return joined


def told_of(
    changes: Sequence[AlertChange],
    unchanged: Sequence[Alert],
    groups: Mapping[str, AlertedGroup],
    leads: Mapping[str, GroupLead],
) -> list[Told]:
    """What to tell of the changes: of the alerts of a group what the group does as a whole.

    Each change is stored already: its alert has an id. A group is opened once, gets worse when the
    worst of its machines does, and is closed when the last of them is.

    Parameters
    ----------
    groups : by incident; the others began alone.
    leads : by group, of all groups under which an alert is told.
    """
    told = [
        Told(change, event, (change.alert.entity,))
        for change in changes
        if change.alert.group_id is None
        for event in change.events
    ]
    names = sorted({one.alert.group_id for one in changes if one.alert.group_id is not None})
    for group_id in names:
        members = [one for one in changes if one.alert.group_id == group_id]
        members += [AlertChange(one, one, ()) for one in unchanged if one.group_id == group_id]
        lead = leads[group_id]
        told += [_told(members, event, groups, lead) for event in _events(members)]
    return told


def _events(members: Sequence[AlertChange]) -> list[str]:
    """What a group does that is told, in order."""
    event = _event(members)
    taken = [one for one in members if "taken" in one.events]
    first = [event] if event in ("opened", "escalated") else []
    last = [event] if event in ("closed", "withdrawn") else []
    return [*first, *(["taken"] if taken else []), *last]


def _event(members: Sequence[AlertChange]) -> str | None:
    """Whether a group begins, gets worse or is over."""
    former = [one.former for one in members if one.former is not None]
    standing = [one.alert for one in members if one.alert.state != "withdrawn"]
    if not former:
        return "opened"
    if not standing:
        return "withdrawn" if any(one.state != "withdrawn" for one in former) else None
    was_over = all(one.closed_told for one in former)
    is_over = all(one.closed_told for one in standing)
    if _worst(standing) > _worst(former):
        return "escalated"
    return "closed" if is_over and not was_over else None


def _worst(alerts: Sequence[Alert]) -> int:
    return max(severity_rank(one.severity) for one in alerts)


def _told(
    members: Sequence[AlertChange], event: str, groups: Mapping[str, AlertedGroup], lead: GroupLead
) -> Told:
    first = min((one.alert for one in members), key=lambda one: one.alert_id or 0)
    alerts = [one.alert for one in members if one.alert.state != "withdrawn"] or [first]
    worst = max(alerts, key=lambda one: (severity_rank(one.severity), -(one.alert_id or 0)))
    former = [one.former for one in members if one.former is not None]
    alert = replace(
        first,
        alert_id=lead.alert_id,
        thread=lead.thread,
        severity=worst.severity,
        sentence=worst.sentence,
        incident_id=worst.incident_id,
        channel=worst.channel,
        start_at=min(one.start_at for one in alerts),
        end_at=max(one.end_at for one in alerts),
        state="open" if any(one.state == "open" for one in alerts) else alerts[0].state,
    )
    before = max(former, key=lambda one: severity_rank(one.severity)) if former else None
    is_late = all(one.is_late for one in members if one.former is None) and not former
    headlines = [groups[one.incident_id].headline for one in alerts if one.incident_id in groups]
    entities = tuple(sorted({one.entity for one in alerts}))
    headline = headlines[0] if headlines else f"{len(entities)} machines"
    takers = [one.alert.taken_by for one in members if "taken" in one.events]
    if takers:
        alert = replace(alert, taken_by=takers[0])
    snoozed = next(one.snoozed_until for one in members if one.alert == worst)
    return Told(AlertChange(alert, before, (event,), is_late, snoozed), event, entities, headline)
