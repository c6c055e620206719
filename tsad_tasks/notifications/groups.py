"""One alert for machines that fail together: what is told of the alerts of a group, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tsad_tasks.base.enums import severity_rank
from tsad_tasks.model.incident_groups import LEAST_ENTITIES
from tsad_tasks.notifications.alerts import Alert, AlertChange
from tsad_tasks.notifications.targets import Subject


@dataclass(frozen=True)
class AlertedGroup:
    """The group of an incident that stands, as far as alerts care."""

    incident_id: str
    group_id: str
    headline: str


@dataclass(frozen=True)
class GroupLead:
    """The alert under which a group is told, also once that one is withdrawn and others stand;
    `headline` is None once its incidents are of other groups.
    """

    group_id: str
    alert_id: int
    thread: str
    headline: str | None


@dataclass(frozen=True)
class Told:
    """One thing to tell: of an alert, or of all those of a group in the words of its headline.

    Attributes
    ----------
    alert : of a group the one under which it is told, with the severity and sentence of the worst,
        and the range of all.
    about : each machine that makes it news, as far as routes go.
    severity_before : where it got worse.
    headline : None: it is of one alert.
    to : everybody; `told`: who was told of the group, and of no such severity; `untold`: who was
        told of it nothing that does not still wait.
    holds_for_all : whether what is said of these machines holds for all that go on.
    """

    alert: Alert
    event: str
    entities: tuple[str, ...]
    about: tuple[Subject, ...]
    severity_before: str | None = None
    is_late: bool = False
    headline: str | None = None
    to: str = "everybody"
    holds_for_all: bool = True

    def to_who_was_told(self, severity: str | None) -> Told:
        """The same to who was told of a severity: of a group nobody is told a lower one again."""
        if self.headline is None or severity is None:
            return self
        before = severity if self.event == "escalated" else None
        worst = max(severity, self.alert.severity, key=severity_rank)
        alert = replace(self.alert, severity=worst)
        return replace(self, alert=alert, severity_before=before)


def joined_groups(
    changes: Sequence[AlertChange], groups: Mapping[str, AlertedGroup]
) -> list[AlertChange]:
    """The same, with the group under which each new alert is told.

    A group is one alert if three alerts are of it: of its other machines nobody is told, say, as
    they are in maintenance. An alert stays with the group under which it was told.

    Parameters
    ----------
    changes : all alerts that stand or stood.
    groups : by incident; the others began alone.
    """
    of: dict[str, list[Alert]] = {}
    for change in changes:
        if change.alert.state != "withdrawn" and change.began_as in groups:
            of.setdefault(groups[change.began_as].group_id, []).append(change.alert)
    chosen: dict[str, str] = {}
    for group_id, members in of.items():
        told = [(one.alert_id or 0, one.group_id) for one in members if one.group_id is not None]
        if told:
            chosen[group_id] = min(told)[1]
        elif len({alert.entity for alert in members}) >= LEAST_ENTITIES:
            chosen[group_id] = group_id
    joined = []
    for change in changes:
        its = groups.get(change.began_as)
        if change.former is None and its is not None and its.group_id in chosen:
            alert = replace(change.alert, group_id=chosen[its.group_id])
            change = replace(change, alert=alert)
        joined.append(change)
    return joined


def told_of(
    changes: Sequence[AlertChange],
    groups: Mapping[str, AlertedGroup],
    leads: Mapping[str, GroupLead],
    now_at: datetime,
) -> list[Told]:
    """What to tell of the changes: of the alerts of a group what the group does as a whole.

    A group is opened once, gets worse when the worst of its machines does, and is closed when the
    last of them is. Who asks for a machine that joins, and was told nothing, is told of it then.
    What is snoozed makes no group worse for others, until it is woken.

    Parameters
    ----------
    changes : all alerts that stand or stood, stored: each has an id.
    groups : by incident; the others began alone.
    leads : by group, of all groups under which an alert is told.
    """
    told = [
        _alone(change, event)
        for change in changes
        if change.alert.group_id is None
        for event in change.events
    ]
    names = sorted({one.alert.group_id for one in changes if one.alert.group_id is not None})
    for group_id in names:
        members = [one for one in changes if one.alert.group_id == group_id]
        told += _Group(members, groups, leads[group_id], now_at).told()
    return told


def _alone(change: AlertChange, event: str) -> Told:
    before = change.former.severity if change.former and event == "escalated" else None
    about = (_subject(change, event),)
    return Told(change.alert, event, (change.alert.entity,), about, before, change.is_late)


def _subject(change: AlertChange, event: str) -> Subject:
    alert = change.alert
    of = Subject(event, alert.severity, [alert.entity], alert.channel)
    return replace(of, snoozed_until=change.snoozed_until)


@dataclass(frozen=True)
class _Group:
    """Alerts that are told as one."""

    members: Sequence[AlertChange]
    groups: Mapping[str, AlertedGroup]
    lead: GroupLead
    now_at: datetime

    def told(self) -> Iterator[Told]:
        """What is told of it, in order."""
        former = [one.former for one in self.members if one.former is not None]
        if not former:
            is_late = all(one.is_late for one in self.members)
            yield replace(self._told("opened", self.members), is_late=is_late)
        else:
            awake = [one for one in self._standing if not self._is_snoozed(one)]
            if awake:
                worse = self._told("escalated", self._standing)
                worst = max((one.alert.severity for one in awake), key=severity_rank)
                alert = replace(worse.alert, severity=worst)
                yield replace(worse, alert=alert, to="told")
            news = [one for one in self.members if {"opened", "escalated"} & {*one.events}]
            if news:
                yield replace(self._told("opened", news), to="untold")
        yield from self._taken()
        is_over = all(one.alert.closed_told for one in self._standing)
        if not self._standing:
            yield self._told("withdrawn", self.members)
        elif former and is_over and not all(one.closed_told for one in former):
            yield self._told("closed", self._standing)

    def _taken(self) -> Iterator[Told]:
        taken = [one for one in self.members if "taken" in one.events]
        left = [one for one in self._standing if one.alert.state == "open"]
        holds = all(one.alert.taken_by or self._is_snoozed(one) for one in left)
        for name in sorted({one.alert.taken_by for one in taken if one.alert.taken_by}):
            about = [one for one in taken if one.alert.taken_by == name]
            told = self._told("taken", about)
            alert = replace(told.alert, taken_by=name)
            entities = tuple(sorted(one.alert.entity for one in about))
            yield replace(told, alert=alert, entities=entities, holds_for_all=holds)

    @property
    def _standing(self) -> list[AlertChange]:
        return [one for one in self.members if one.alert.state != "withdrawn"]

    def _is_snoozed(self, one: AlertChange) -> bool:
        return one.snoozed_until is not None and one.snoozed_until > self.now_at

    def _told(self, event: str, about: Sequence[AlertChange]) -> Told:
        alerts = [one.alert for one in self._standing or self.members]
        worst = max(alerts, key=lambda one: (severity_rank(one.severity), -(one.alert_id or 0)))
        alert = replace(
            worst,
            alert_id=self.lead.alert_id,
            thread=self.lead.thread,
            start_at=min(one.start_at for one in alerts),
            end_at=max(one.end_at for one in alerts),
            state="open" if any(one.state == "open" for one in alerts) else alerts[0].state,
        )
        entities = tuple(sorted({one.entity for one in alerts}))
        subjects = tuple(_subject(one, event) for one in about)
        return Told(alert, event, entities, subjects, headline=self._headline(len(entities)))

    def _headline(self, n_entities: int) -> str:
        """That of most of its incidents; of several its own before others."""
        began = [one.began_as for one in self._standing if one.began_as in self.groups]
        if not began:
            return self.lead.headline or f"{n_entities} machines"
        n, own = Counter(self.groups[name].group_id for name in began), self.lead.group_id
        ids = {name: self.groups[name].group_id for name in began}
        most = max(began, key=lambda name: (n[ids[name]], ids[name] == own, ids[name]))
        return self.groups[most].headline
