"""Which incidents get a page of their own, and in which order people should look at them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tsad_tasks.base.enums import severity_rank
from tsad_tasks.reporting.period.content import AnomalyRow, IncidentPage


@dataclass(frozen=True)
class ReportLimits:
    """How much of everything a report shows; what is left out is counted and its SQL view named."""

    n_worst: int = 20
    n_unjudged: int = 30
    n_incidents: int = 200
    n_anomalies: int = 500
    n_quality: int = 200
    n_entities: int = 60
    n_models: int = 6


DEFAULT_LIMITS = ReportLimits()


def worst_first(incidents: Sequence[IncidentPage]) -> list[IncidentPage]:
    """Incidents by severity, then by how far the error was over its threshold."""
    return sorted(incidents, key=_mildness)


def look_first(incidents: Sequence[IncidentPage]) -> list[IncidentPage]:
    """Incidents as one should read them: those without a verdict, by severity, open ones first."""

    def order(one: IncidentPage) -> tuple[object, ...]:
        rank = -severity_rank(one.severity)
        return one.verdict is not None, rank, one.state != "open", _mildness(one)

    return sorted(incidents, key=order)


def with_own_page(
    incidents: Sequence[IncidentPage], limits: ReportLimits = DEFAULT_LIMITS
) -> list[IncidentPage]:
    """The worst incidents and the worst of those without a verdict, worst first."""
    ranked = worst_first(incidents)
    unjudged = [one for one in ranked if one.verdict is None][: limits.n_unjudged]
    chosen = {id(one) for one in ranked[: limits.n_worst] + unjudged}
    return [one for one in ranked if id(one) in chosen]


def highest_scores(anomalies: Sequence[AnomalyRow], n_most: int) -> list[AnomalyRow]:
    """The anomalies with the highest scores, in the order of time."""
    highest = sorted(anomalies, key=lambda row: (-_known(row.score), row.at, row.entity))[:n_most]
    return sorted(highest, key=lambda row: (row.at, row.entity))


def _mildness(incident: IncidentPage) -> tuple[int, float, float, str]:
    rank, excess = -severity_rank(incident.severity), -_known(incident.error_ratio)
    return rank, excess, incident.started_at.timestamp(), incident.incident_id


def _known(value: float) -> float:
    return -math.inf if math.isnan(value) else value
