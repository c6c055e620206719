"""Statements on a report's period, and what one row of each is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tsad_tasks.reporting.period.content import AuditRow, ModelDecision, QualityRow
from tsad_tasks.storage.datasets import DatasetRow
from tsad_tasks.storage.store import Query, Store


@dataclass(frozen=True)
class ReportPeriod:
    """What a report is about, and where its rows are."""

    store: Store
    dataset: DatasetRow
    lineage: str
    start_at: datetime
    end_at: datetime
    data_until: datetime | None = None  # the newest reading; None where there is none

    @property
    def params(self) -> dict[str, Any]:
        """Parameters that the queries of a period share."""
        whose = {"dataset": self.dataset.name, "dataset_id": self.dataset.dataset_id}
        return {"lineage": self.lineage, "start_at": self.start_at, "end_at": self.end_at} | whose


class SensorRange(NamedTuple):
    """What a sensor can show; None: no end."""

    channel: str
    least: float | None
    most: float | None


@dataclass(frozen=True)
class PeriodIncident:
    """An incident that touches a period; what is said of its peak is None where that is gone.

    Attributes
    ----------
    n_parts : as which it is kept, where it lasted longer than an incident may.
    headline : of the group with which it began; None: it began alone.
    """

    incident_id: str
    entity_id: int
    entity: str
    severity: str
    kind: str
    state: str
    started_at: datetime
    last_flag_at: datetime
    end_at: datetime
    n_flags: int
    peak_score: float
    peak_at: datetime
    channel: str | None
    sentence: str
    provisional: bool
    policy_version: str
    model_id: int
    suppressed_by: str | None
    peak_kind: str | None
    error: float | None
    threshold: float | None
    verdict: str | None
    n_parts: int
    group_id: str | None
    headline: str | None
    priority: int

    @property
    def times_threshold(self) -> float:
        """The highest error divided by its threshold, as people see a score."""
        return 1 + self.peak_score

    @property
    def span(self) -> dict[str, datetime]:
        """The times of its flags as half-open interval, for queries."""
        until_at = self.last_flag_at + timedelta(seconds=1)
        return {"start_at": self.started_at, "end_at": until_at}


class PeriodCount(NamedTuple):
    """Incidents of one verdict in one of several periods; None: nobody has said anything."""

    start_at: datetime
    verdict: str | None
    n_incidents: int


class PeriodHours(NamedTuple):
    """Hours of all entities with a score in one of several periods."""

    start_at: datetime
    n_hours: int


class HourOfEntity(NamedTuple):
    """How an hour of an entity was left by one champion."""

    entity: str
    hour_at: datetime
    status: str


@dataclass(frozen=True)
class KeptAttribution:
    """One of the leading channels of a flagged reading, as scoring kept it."""

    at: datetime
    score: float
    channel: str
    share: float
    actual: float | None
    expected: float | None
    spread: float | None


SELECT_PERIOD_INCIDENTS = Query("reporting/select_period_incidents", PeriodIncident)
SELECT_PERIOD_INCIDENT = Query("reporting/select_period_incident", PeriodIncident)
SELECT_INCIDENT_ATTRIBUTIONS = Query("reporting/select_incident_attributions", KeptAttribution)
SELECT_SENSOR_RANGES = Query("reporting/select_sensor_ranges", SensorRange)
SELECT_INCIDENT_QUALITY = Query("reporting/select_incident_quality", str)
SELECT_HIGHEST_SCORE: Query[float | None] = Query("reporting/select_highest_score", float)
SELECT_COUNTS_BEFORE = Query("reporting/select_counts_before", PeriodCount)
SELECT_HOURS_BEFORE = Query("reporting/select_hours_before", PeriodHours)
SELECT_PERIOD_DECISIONS = Query("reporting/select_period_decisions", ModelDecision)
SELECT_PERIOD_STATUSES = Query("reporting/select_period_statuses", HourOfEntity)
SELECT_PERIOD_ASKED_HOURS = Query("reporting/select_period_asked_hours", datetime)
SELECT_RETIRED_ENTITIES = Query("reporting/select_retired_entities", str)
SELECT_PERIOD_QUALITY = Query("reporting/select_period_quality", QualityRow)
SELECT_PERIOD_ISSUES = Query("reporting/select_period_issues", QualityRow)
SELECT_PERIOD_ANOMALIES = Query("reporting/select_period_anomalies", dict)
SELECT_PERIOD_AUDIT = Query("reporting/select_period_audit", AuditRow)
SELECT_PERIOD_MODELS = Query("reporting/select_period_models", dict)
