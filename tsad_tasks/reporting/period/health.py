"""Coverage, data quality and anomalies of a report's period."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from tsad_tasks.base.interval import hour_floor, hours_between
from tsad_tasks.ingest.queries import SELECT_FIRST_HOURS, SELECT_INGEST_HOURS, IngestHour
from tsad_tasks.reporting.period.content import (
    SCORED_STATUSES,
    AnomalyRow,
    Coverage,
    EntityCoverage,
    QualityRow,
)
from tsad_tasks.reporting.period.incidents import ReportPeriod, peak_figures
from tsad_tasks.reporting.period.ranking import DEFAULT_LIMITS
from tsad_tasks.storage.datasets import select_entities

Statuses = Mapping[datetime, str]


def coverage_of(period: ReportPeriod) -> Coverage:
    """Hours of every entity by status; hours that no step has got to are not read or not scored,
    never left out.
    """
    entities = select_entities(period.store, period.dataset.dataset_id)
    hours = hours_between(period.start_at, period.end_at)
    zone = ZoneInfo(period.dataset.site_zone)
    days = _days(period.start_at, period.end_at, zone)
    known, ledger = _statuses(period), {row.hour_at for row in _ledger(period)}
    first = dict(period.store.rows(SELECT_FIRST_HOURS, entity_ids=list(entities.values())))
    found = []
    for name, entity_id in sorted(entities.items()):
        began_at = min(
            [at for at in (first.get(entity_id), *known.get(name, {})) if at is not None],
            default=None,
        )
        if began_at is None or began_at >= period.end_at:
            continue
        own = {
            hour: _status(hour, known.get(name, {}), ledger) for hour in hours if hour >= began_at
        }
        found.append(_entity_coverage(name, own, days, zone))
    return Coverage(days, tuple(found))


def _days(start_at: datetime, end_at: datetime, zone: ZoneInfo) -> tuple[date, ...]:
    first, last = (
        start_at.astimezone(zone).date(),
        (end_at - timedelta(microseconds=1)).astimezone(zone).date(),
    )
    return tuple(first + timedelta(days=i) for i in range((last - first).days + 1))


def _statuses(period: ReportPeriod) -> dict[str, dict[datetime, str]]:
    statuses: dict[str, dict[datetime, str]] = {}
    for entity, hour_at, status in period.store.select("select_period_statuses", period.params):
        own = statuses.setdefault(entity, {})
        if own.get(hour_at) not in SCORED_STATUSES:
            own[hour_at] = status
    return statuses


def _status(hour: datetime, known: Statuses, ledger: set[datetime]) -> str:
    return known.get(hour) or ("not_scored" if hour in ledger else "not_read")


def _entity_coverage(
    name: str, statuses: Statuses, days: Sequence[date], zone: ZoneInfo
) -> EntityCoverage:
    expected, scored = np.zeros((2, len(days)))
    for hour, status in statuses.items():
        day = (hour.astimezone(zone).date() - days[0]).days
        expected[max(day, 0)] += status != "off"
        scored[max(day, 0)] += status in SCORED_STATUSES
    shares = np.divide(scored, expected, out=np.full(len(days), np.nan), where=expected > 0)
    return EntityCoverage(name, int(expected.sum()), dict(Counter(statuses.values())), shares)


def n_readings(period: ReportPeriod) -> int:
    """Readings that were taken from the source in the period."""
    return sum(row.n_readings for row in _ledger(period))


def _ledger(period: ReportPeriod) -> list[IngestHour]:
    return period.store.rows(
        SELECT_INGEST_HOURS,
        dataset_id=period.dataset.dataset_id,
        start_at=hour_floor(period.start_at),
        end_at=period.end_at,
    )


def quality_rows(period: ReportPeriod) -> tuple[QualityRow, ...]:
    """What was wrong with sensors, then what was not taken from the source as it came."""
    verdicts = period.store.records("select_period_quality", period.params)
    issues = period.store.records("select_period_issues", period.params)
    found = [_quality_row(row, row["verdict"], row["n_steps"]) for row in verdicts]
    return tuple(found + [_quality_row(row, row["issue"], row["n_rows"]) for row in issues])


def _quality_row(row: dict[str, Any], verdict: str, n: int) -> QualityRow:
    where = row["entity"] or "(all)", row["channel"] or "(all)"
    return QualityRow(
        *where, verdict.replace("_", " "), n, row["first_at"], row["last_at"], row["detail"]
    )


def anomaly_rows(period: ReportPeriod) -> tuple[tuple[AnomalyRow, ...], int]:
    """The highest scores of the period, and how many anomalies there were in all."""
    params = period.params | {"n": DEFAULT_LIMITS.n_anomalies}
    records = period.store.records("select_period_anomalies", params)
    return tuple(_anomaly_row(record) for record in records), records[0]["n_all"] if records else 0


def _anomaly_row(record: dict[str, Any]) -> AnomalyRow:
    error, threshold = peak_figures(
        record | {"peak_score": record["score"], "peak_kind": record["kind"]}
    )
    expected, spread = record["expected"], record["spread"]
    has_range = expected is not None and spread is not None
    return AnomalyRow(
        at=record["at"],
        entity=record["entity"],
        severity=record["severity"],
        error=error,
        threshold=threshold,
        score=record["score"],
        channel=record["channel"],
        unit=record["unit"] or "",
        actual=record["actual"],
        expected=expected,
        lower=expected - spread if has_range else None,
        upper=expected + spread if has_range else None,
        incident_id=record["incident_id"],
    )
