"""What people are to be told: alerts brought in line with the incidents that stand, and the events
that this makes.

An alert is bound to an entity and a time. Incidents may be replaced, merged, split, moved or taken
back by late readings, under whatever id: as long as one overlaps, the alert goes on and nothing is
told twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

from tsad_tasks.base.enums import severity_rank


@dataclass(frozen=True)
class Alert:
    """What people were told of. `alert_id` is None until it is stored; `end_at` is the last flag,
    included.
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


@dataclass(frozen=True)
class Sighting:
    """An incident that stands, as far as alerts care.

    Attributes
    ----------
    last_flag_at : included
    is_normal : a person said that it is a false alarm, expected or the new normal; nobody is told
        that it gets worse.
    """

    incident_id: str
    entity: str
    started_at: datetime
    last_flag_at: datetime
    severity: str
    is_open: bool
    sentence: str
    is_normal: bool = False


@dataclass(frozen=True)
class Change:
    """An alert as it is from now on, as it was (None: it is new), and what is to be told of it, in
    order.
    """

    alert: Alert
    former: Alert | None
    events: tuple[str, ...]


@dataclass(frozen=True)
class _Cluster:
    """Incidents of one entity with no gap above the merge gap between them: what one alert stands
    for at least.
    """

    incidents: tuple[Sighting, ...]

    @property
    def start_at(self) -> datetime:
        return min(incident.started_at for incident in self.incidents)

    @property
    def end_at(self) -> datetime:
        return max(incident.last_flag_at for incident in self.incidents)


def alert_changes(
    alerts: Sequence[Alert], incidents: Sequence[Sighting], *, gap: timedelta, young_from: datetime
) -> list[Change]:
    """Alerts that change, and what is to be told: opened, escalated, closed, withdrawn, each at
    most once an alert.

    Once these changes are stored, the same incidents give none.

    Parameters
    ----------
    alerts : all that were not withdrawn, in the order in which they were opened.
    incidents : standing ones, not suppressed.
    gap : an alert stands for incidents that come this near to it.
    young_from : only incidents with a later flag open alerts.

    >>> from datetime import UTC
    >>> at = datetime(2024, 5, 1, tzinfo=UTC)
    >>> seen = Sighting("INC-1", "host-1", at, at, "LOW", True, "host-1: ...")
    >>> (change,) = alert_changes([], [seen], gap=timedelta(minutes=5), young_from=at - timedelta(days=2))
    >>> change.events, change.alert.state
    (('opened',), 'open')
    """
    clusters = _clusters(incidents, gap)
    owned, met = _bound(alerts, clusters, gap)
    changes = [_followed(alert, owned[i], met[i]) for i, alert in enumerate(alerts)]
    taken = {id(cluster) for found in met for cluster in found}
    free = (
        cluster for cluster in clusters if id(cluster) not in taken and cluster.end_at > young_from
    )
    return [change for change in changes if change.alert != change.former] + [
        _opened(cluster) for cluster in free
    ]


def _clusters(incidents: Sequence[Sighting], gap: timedelta) -> list[_Cluster]:
    ordered = sorted(incidents, key=lambda seen: (seen.entity, seen.started_at, seen.incident_id))
    found: list[_Cluster] = []
    for _, group in groupby(ordered, key=lambda seen: seen.entity):
        found += _linked(group, gap)
    return found


def _linked(incidents: Iterable[Sighting], gap: timedelta) -> list[_Cluster]:
    found: list[_Cluster] = []
    for incident in incidents:
        if found and incident.started_at <= found[-1].end_at + gap:
            found[-1] = _Cluster((*found[-1].incidents, incident))
        else:
            found.append(_Cluster((incident,)))
    return found


def _bound(
    alerts: Sequence[Alert], clusters: Sequence[_Cluster], gap: timedelta
) -> tuple[list[list[_Cluster]], list[list[_Cluster]]]:
    """Clusters that each alert stands for, and all that it meets: the alert opened first stands for
    a cluster.
    """
    met = [[cluster for cluster in clusters if _meets(alert, cluster, gap)] for alert in alerts]
    taken: set[int] = set()
    owned = []
    for found in met:
        owned.append([cluster for cluster in found if id(cluster) not in taken])
        taken |= {id(cluster) for cluster in found}
    return owned, met


def _meets(alert: Alert, cluster: _Cluster, gap: timedelta) -> bool:
    near = cluster.start_at - gap <= alert.end_at and alert.start_at <= cluster.end_at + gap
    return near and alert.entity == cluster.incidents[0].entity


def _followed(alert: Alert, owned: Sequence[_Cluster], met: Sequence[_Cluster]) -> Change:
    """The alert after the incidents that it stands for; one whose incidents went over to an older
    alert only ends.
    """
    if not met:
        return Change(replace(alert, state="withdrawn"), alert, ("withdrawn",))
    now = _ended(alert, owned or met)
    if owned:
        incidents = [incident for cluster in owned for incident in cluster.incidents]
        now = _risen(replace(now, start_at=owned[0].start_at, end_at=owned[-1].end_at), incidents)
    events = ["escalated"] * (now.severity != alert.severity) + ["closed"] * (
        now.closed_told and not alert.closed_told
    )
    return Change(now, alert, tuple(events))


def _ended(alert: Alert, clusters: Sequence[_Cluster]) -> Alert:
    is_open = any(incident.is_open for cluster in clusters for incident in cluster.incidents)
    return replace(
        alert, state="open" if is_open else "closed", closed_told=alert.closed_told or not is_open
    )


def _risen(alert: Alert, incidents: Sequence[Sighting]) -> Alert:
    """The alert with the worst of its incidents; the severity that people were told never falls.

    It rises only with incidents that no person called normal.
    """
    judged_normal = all(incident.is_normal for incident in incidents)
    counted = (
        incidents
        if judged_normal
        else [incident for incident in incidents if not incident.is_normal]
    )
    worst = _worst(counted)
    told = (
        alert.severity if judged_normal else max(alert.severity, worst.severity, key=severity_rank)
    )
    return replace(alert, severity=told, incident_id=worst.incident_id, sentence=worst.sentence)


def _worst(incidents: Sequence[Sighting]) -> Sighting:
    """The most severe incident; of several the first."""
    return max(incidents, key=lambda incident: severity_rank(incident.severity))


def _opened(cluster: _Cluster) -> Change:
    """A new alert. One that has ended already says so itself, and is not closed in a second
    message.
    """
    worst = _worst(cluster.incidents)
    is_open = any(incident.is_open for incident in cluster.incidents)
    alert = Alert(
        alert_id=None,
        thread="",
        entity=worst.entity,
        start_at=cluster.start_at,
        end_at=cluster.end_at,
        severity=worst.severity,
        state="open" if is_open else "closed",
        closed_told=not is_open,
        incident_id=worst.incident_id,
        sentence=worst.sentence,
    )
    return Change(alert, None, ("opened",))
