"""Which incidents get a page of their own, and in which order people should look at them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tsad_tasks.base.enums import ReportDetail, priority_of, severity_rank
from tsad_tasks.reporting.period.content import AnomalyRow, IncidentPage

# The most pages that a report has unless somebody asks for more, and the incidents on its first.
N_BRIEF_PAGES, N_FIRST = 8, 3


@dataclass(frozen=True)
class ReportLimits:
    """How much of everything a report shows; what is left out is counted, and said where it is.

    Attributes
    ----------
    n_first : incidents that need a decision, on the first page and on pages of their own.
    n_worst, n_unjudged : of others, the worst that have pages of their own, and those that nobody
        judged.
    n_incidents : rows of the list; None: as many as one page holds.
    n_strips : machines along time.
    """

    n_first: int = N_FIRST
    n_worst: int = 0
    n_unjudged: int = 0
    n_incidents: int | None = None
    n_strips: int = 10
    n_anomalies: int = 0
    n_quality: int = 8
    n_reasons: int = 6
    n_entities: int = 10
    n_models: int = 2
    n_suppressed: int = 5


BRIEF = ReportLimits()
LIMITS: dict[ReportDetail, ReportLimits] = {
    ReportDetail.BRIEF: BRIEF,
    ReportDetail.FULL: ReportLimits(N_FIRST, 20, 30, 200, 14, 500, 200, 60, 60, 6, 200),
}


def worst_first(incidents: Sequence[IncidentPage]) -> list[IncidentPage]:
    """Incidents by priority and severity, then by how far the error was over its threshold."""
    return sorted(incidents, key=_mildness)


def as_counted(incidents: Sequence[IncidentPage]) -> list[IncidentPage]:
    """Incidents as people count them: of a group the worst, with the others; worst first."""
    groups: dict[str, list[IncidentPage]] = {}
    for one in worst_first(incidents):
        groups.setdefault(one.group_id or f"of {one.incident_id}", []).append(one)
    return [replace(first, others=tuple(others)) for first, *others in groups.values()]


def look_first(incidents: Sequence[IncidentPage]) -> list[IncidentPage]:
    """Incidents as one should read them: those without a verdict, by priority and severity, open
    ones first.
    """

    def order(one: IncidentPage) -> tuple[object, ...]:
        return one.said is not None, *_urgency(one), not one.is_open, _mildness(one)

    return sorted(incidents, key=order)


def undecided(incidents: Sequence[IncidentPage], n_most: int) -> list[IncidentPage]:
    """Those that need a decision: nobody has said what they were."""
    return [one for one in look_first(incidents) if one.said is None][:n_most]


def with_own_page(incidents: Sequence[IncidentPage], limits: ReportLimits) -> list[IncidentPage]:
    """Those to look at first, the worst, and the worst of those without a verdict; worst first."""
    ranked = worst_first(incidents)
    unjudged = [one for one in ranked if one.said is None][: limits.n_unjudged]
    first = look_first(incidents)[: limits.n_first]
    chosen = {id(one) for one in [*first, *ranked[: limits.n_worst], *unjudged]}
    return [one for one in ranked if id(one) in chosen]


def highest_scores(anomalies: Sequence[AnomalyRow], n_most: int) -> list[AnomalyRow]:
    """The anomalies with the highest scores, in the order of time."""
    highest = sorted(anomalies, key=lambda row: (-_known(row.score), row.at, row.entity))[:n_most]
    return sorted(highest, key=lambda row: (row.at, row.entity))


def _urgency(incident: IncidentPage) -> tuple[int, int]:
    priority = incident.priority or priority_of(incident.severity)
    return priority, -severity_rank(incident.severity)


def _mildness(incident: IncidentPage) -> tuple[int, int, float, float, str]:
    excess, began_s = -_known(incident.error_ratio), incident.started_at.timestamp()
    return *_urgency(incident), excess, began_s, incident.incident_id


def _known(value: float) -> float:
    return -math.inf if math.isnan(value) else value
