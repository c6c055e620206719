"""Coverage and anomalies of a report's period."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from tsad_tasks.base.enums import HourStatus, Severity
from tsad_tasks.base.interval import hours_between
from tsad_tasks.ingest.queries import SELECT_FIRST_HOURS, IngestHour
from tsad_tasks.reporting.period.content import (
    SCORED_STATUSES,
    AnomalyRow,
    Coverage,
    EntityCoverage,
)
from tsad_tasks.reporting.period.incidents import peak_figures
from tsad_tasks.reporting.period.queries import (
    SELECT_PERIOD_ANOMALIES,
    SELECT_PERIOD_STATUSES,
    ReportPeriod,
)
from tsad_tasks.reporting.period.ranking import DEFAULT_LIMITS
from tsad_tasks.storage.datasets import select_entities


def coverage_of(period: ReportPeriod, ledger: Sequence[IngestHour]) -> Coverage:
    """Hours of every entity by status, those included that no step has got to."""
    entities = select_entities(period.store, period.dataset.dataset_id)
    first = dict(period.store.rows(SELECT_FIRST_HOURS, entity_ids=list(entities.values())))
    read = {row.hour_at for row in ledger}
    known: dict[str, dict[datetime, str]] = {}
    for entity, hour_at, status in period.store.rows(SELECT_PERIOD_STATUSES, **period.params):
        own = known.setdefault(entity, {})
        if own.get(hour_at) not in SCORED_STATUSES:
            own[hour_at] = status
    zone = ZoneInfo(period.dataset.site_zone)
    last_at = period.end_at - timedelta(microseconds=1)
    first_day, last_day = (at.astimezone(zone).date() for at in (period.start_at, last_at))
    days = tuple(first_day + timedelta(days=i) for i in range((last_day - first_day).days + 1))
    covered = []
    for name, entity_id in sorted(entities.items()):
        own = known.get(name, {})
        read_at = first.get(entity_id)
        began_at = min([*own, *([read_at] if read_at else [])], default=None)
        if began_at is None or began_at >= period.end_at:
            continue
        statuses = []
        expected, scored = np.zeros((2, len(days)))
        for hour in hours_between(period.start_at, period.end_at):
            if hour >= began_at:
                status = own.get(hour) or ("not_scored" if hour in read else "not_read")
                day = max((hour.astimezone(zone).date() - first_day).days, 0)
                expected[day] += status != HourStatus.OFF
                scored[day] += status in SCORED_STATUSES
                statuses.append(status)
        shares = np.divide(scored, expected, out=np.full(len(days), np.nan), where=expected > 0)
        covered.append(EntityCoverage(name, int(expected.sum()), dict(Counter(statuses)), shares))
    return Coverage(days, tuple(covered))


def anomaly_rows(period: ReportPeriod) -> tuple[tuple[AnomalyRow, ...], int]:
    """The highest scores of the period, and how many anomalies there were in all."""
    records = period.store.rows(
        SELECT_PERIOD_ANOMALIES, **period.params, n=DEFAULT_LIMITS.n_anomalies
    )
    rows = []
    for one in records:
        error, threshold = peak_figures(one["kind"], one["error"], one["threshold"], one["score"])
        expected, spread = one["expected"], one["spread"]
        has_range = expected is not None and spread is not None
        rows.append(
            AnomalyRow(
                at=one["at"],
                entity=one["entity"],
                severity=Severity(one["severity"]),
                error=error,
                threshold=threshold,
                score=one["score"],
                channel=one["channel"],
                unit=one["unit"] or "",
                actual=one["actual"],
                expected=expected,
                lower=expected - spread if has_range else None,
                upper=expected + spread if has_range else None,
                incident_id=one["incident_id"],
            )
        )
    return tuple(rows), records[0]["n_all"] if records else 0
