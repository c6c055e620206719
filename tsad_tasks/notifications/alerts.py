"""What people are to be told: alerts that follow the incidents that stand.

An alert is bound to an entity and a time. Late readings may replace, merge, split or take back
incidents, under whatever id: as long as one overlaps, the alert goes on; nothing is told twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tsad_tasks.base.enums import severity_rank


@dataclass(frozen=True)
class Alert:
    """What people were told of; `alert_id` is None until it is stored, `end_at` the last flag, and
    `group_id` the group in whose words it is told, None: in its own.
    """

    alert_id: int | None
    thread: str
    entity: str
    start_at: datetime
    end_at: datetime
    severity: str
    state: str
    closed_told: bool
    incident_id: str
    sentence: str
    channel: str | None = None
    # Who people were told has it in hand.
    taken_by: str | None = None
    group_id: str | None = None


@dataclass(frozen=True)
class AlertableIncident:
    """An incident that stands, as far as alerts care."""

    incident_id: str
    entity: str
    started_at: datetime
    last_flag_at: datetime  # included
    severity: str
    is_open: bool
    sentence: str
    # A person said that it is a false alarm, expected or the new normal; nobody is told that it
    # gets worse. None: nobody said anything, and what was said of the part before it holds.
    is_normal: bool | None = None
    # The incident of which it is the next part.
    continues: str | None = None
    # When the rows of its last flag's hour were found, where they came late.
    arrived_at: datetime | None = None
    channel: str | None = None
    # rise or fall; None: neither, or nobody knows.
    direction: str | None = None
    # Who has it in hand, and until when it is snoozed.
    taken_by: str | None = None
    snoozed_until: datetime | None = None


@dataclass(frozen=True)
class AlertChange:
    """An alert as it is now, as it was (None: it is new), and what to tell of it, in order;
    whether that is found late; until when somebody snoozed it; its first incident (empty: it has
    none any more).
    """

    alert: Alert
    former: Alert | None
    events: tuple[str, ...]
    is_late: bool = False
    snoozed_until: datetime | None = None
    began_as: str = ""

    @property
    def is_one(self) -> bool:
        """Whether there is anything to store."""
        return self.alert != self.former


@dataclass(frozen=True)
class Young:
    """Which incidents open alerts: those whose last flag, or the rows of its hour, came after
    `since`; and those with a flag from `made_up_from` on, in which no run had been until now.

    Of the latter those whose flags are all before `late_before` are found late.
    """

    since: datetime
    made_up_from: datetime | None = None
    late_before: datetime | None = None

    def opens(self, end_at: datetime, arrived_at: datetime | None) -> bool:
        """Whether an incident with its last flag at `end_at` does."""
        is_made_up = self.made_up_from is not None and end_at >= self.made_up_from
        return max(end_at, arrived_at or end_at) > self.since or is_made_up

    def is_late(self, end_at: datetime, arrived_at: datetime | None) -> bool:
        """Whether it is found late."""
        if arrived_at is not None or self.made_up_from is None or self.late_before is None:
            return arrived_at is not None
        return self.made_up_from <= end_at < self.late_before


@dataclass(frozen=True)
class _Cluster:
    """Incidents of one entity that lie within the merge gap: what one alert stands for at least."""

    incidents: tuple[AlertableIncident, ...]

    @property
    def start_at(self) -> datetime:
        return min(incident.started_at for incident in self.incidents)

    @property
    def end_at(self) -> datetime:
        return max(incident.last_flag_at for incident in self.incidents)

    @property
    def is_open(self) -> bool:
        return any(incident.is_open for incident in self.incidents)

    @property
    def arrived_at(self) -> datetime | None:
        """When the rows of its last flag's hour were found, where they came late."""
        return max(self.incidents, key=lambda one: one.last_flag_at).arrived_at

    def is_near(self, alert: Alert, gap: timedelta) -> bool:
        """Whether the alert stands for these incidents, as far as entity and time go."""
        meets = self.start_at - gap <= alert.end_at and alert.start_at <= self.end_at + gap
        return meets and alert.entity == self.incidents[0].entity


def alert_changes(
    alerts: Sequence[Alert],
    incidents: Sequence[AlertableIncident],
    *,
    gap: timedelta,
    young: Young,
    is_asked: Callable[[AlertableIncident], bool] = lambda _: True,
) -> list[AlertChange]:
    """What becomes of every alert; `opened`, `escalated`, `closed`, `withdrawn` are told at most
    once each.

    Once these changes are stored, the same incidents give none with anything to store or to tell.

    Parameters
    ----------
    alerts : all that were not withdrawn, in the order in which they were opened.
    incidents : standing ones, not suppressed.
    gap : an alert stands for incidents that come this near to it.
    young : which incidents open alerts.
    is_asked : says of an incident whether people want to be told of such; others neither open an
        alert nor make one more severe.

    >>> from datetime import UTC
    >>> at = datetime(2024, 5, 1, tzinfo=UTC)
    >>> seen = AlertableIncident("INC-1", "host-1", at, at, "LOW", True, "host-1: ...")
    >>> gap, young = timedelta(minutes=5), Young(at - timedelta(days=2))
    >>> (change,) = alert_changes([], [seen], gap=gap, young=young)
    >>> change.events, change.alert.state
    (('opened',), 'open')
    """
    clusters: list[_Cluster] = []
    by_id: dict[str, AlertableIncident] = {}
    for one in sorted(incidents, key=lambda seen: (seen.entity, seen.started_at, seen.incident_id)):
        last = clusters[-1] if clusters else None
        is_same = last is not None and last.incidents[0].entity == one.entity
        former = by_id.get(one.continues) if one.continues else None
        if former is not None and one.is_normal is None:
            one = replace(one, is_normal=former.is_normal)
        by_id[one.incident_id] = one
        is_next = former is not None or (last is not None and one.started_at <= last.end_at + gap)
        if last is not None and is_same and is_next:
            clusters[-1] = _Cluster((*last.incidents, one))
        else:
            clusters.append(_Cluster((one,)))
    changes, owners = [], set[int]()
    for alert in alerts:
        met = [cluster for cluster in clusters if cluster.is_near(alert, gap)]
        # Of several alerts the one that was opened first stands for a cluster.
        owned = [cluster for cluster in met if id(cluster) not in owners]
        owners |= {id(cluster) for cluster in met}
        changes.append(_followed(alert, owned, met, is_asked))
    opened = [
        _opened(cluster, young, is_asked)
        for cluster in clusters
        if id(cluster) not in owners
        and any(map(is_asked, cluster.incidents))
        and young.opens(cluster.end_at, cluster.arrived_at)
    ]
    return changes + opened


def _followed(
    alert: Alert,
    owned: Sequence[_Cluster],
    met: Sequence[_Cluster],
    is_asked: Callable[[AlertableIncident], bool],
) -> AlertChange:
    """The alert after its incidents; one whose incidents went over to an older alert only ends."""
    if not met:
        return AlertChange(replace(alert, state="withdrawn"), alert, ("withdrawn",))
    is_open = any(cluster.is_open for cluster in owned or met)
    snoozed_until = None
    now = replace(
        alert, state="open" if is_open else "closed", closed_told=alert.closed_told or not is_open
    )
    if owned:
        incidents = [incident for cluster in owned for incident in cluster.incidents]
        # It rises only with incidents that no person called normal, and people who were told of a
        # severity are never told of a lower one.
        asked = [incident for incident in incidents if is_asked(incident)]
        counted = [incident for incident in asked if not incident.is_normal]
        worst = _worst(counted or asked or incidents)
        if counted and severity_rank(worst.severity) > severity_rank(alert.severity):
            now = replace(now, severity=worst.severity)
        now = replace(now, start_at=owned[0].start_at, end_at=owned[-1].end_at)
        now = replace(now, incident_id=worst.incident_id, sentence=worst.sentence)
        now = replace(now, channel=worst.channel)
        takers = [one.taken_by for one in (worst, *incidents) if one.taken_by]
        if is_open and takers:
            now = replace(now, taken_by=takers[0])
        snoozed_until = worst.snoozed_until
    began_as = (owned or met)[0].incidents[0].incident_id
    has_risen = now.severity != alert.severity
    has_closed = now.closed_told and not alert.closed_told
    is_taken = now.taken_by != alert.taken_by
    events = ("escalated",) * has_risen + ("taken",) * is_taken + ("closed",) * has_closed
    return AlertChange(now, alert, events, snoozed_until=snoozed_until, began_as=began_as)


def _worst(incidents: Sequence[AlertableIncident]) -> AlertableIncident:
    """The most severe incident; of several the first."""
    return max(incidents, key=lambda incident: severity_rank(incident.severity))


def _opened(
    cluster: _Cluster, young: Young, is_asked: Callable[[AlertableIncident], bool]
) -> AlertChange:
    """A new alert; one that has ended already says so itself, and is not closed once more."""
    worst = _worst([one for one in cluster.incidents if is_asked(one)])
    alert = Alert(
        alert_id=None,
        thread="",
        entity=worst.entity,
        start_at=cluster.start_at,
        end_at=cluster.end_at,
        severity=worst.severity,
        state="open" if cluster.is_open else "closed",
        closed_told=not cluster.is_open,
        incident_id=worst.incident_id,
        sentence=worst.sentence,
        channel=worst.channel,
        taken_by=worst.taken_by if cluster.is_open else None,
    )
    is_late = young.is_late(cluster.end_at, cluster.arrived_at)
    events = ("opened", *(["taken"] if alert.taken_by else []))
    began_as = cluster.incidents[0].incident_id
    return AlertChange(alert, None, events, is_late, worst.snoozed_until, began_as)
