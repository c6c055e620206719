"""Task `report`: collects a period from the warehouse, as of one moment, and renders its PDF."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from upath import UPath

from tsad_tasks.base.clock import utc_now
from tsad_tasks.base.errors import BadInput
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.base import make_folder
from tsad_tasks.ingest.queries import SELECT_LEDGER_ENDS
from tsad_tasks.reporting.drawing.series import SEVERITIES
from tsad_tasks.reporting.period.content import Coverage, Headline, ReportContent, SuppressedRow
from tsad_tasks.reporting.period.health import anomaly_rows, coverage_of, n_readings, quality_rows
from tsad_tasks.reporting.period.incidents import ReportPeriod, incident_pages
from tsad_tasks.reporting.period.models import audit_rows, model_cards
from tsad_tasks.reporting.period.pdf import render_report, report_bytes
from tsad_tasks.reporting.period.ranking import DEFAULT_LIMITS
from tsad_tasks.storage.datasets import select_dataset
from tsad_tasks.storage.paths import report_path
from tsad_tasks.storage.store import Store
from tsad_tasks.text.formats import duration_text

_TITLES_S = {86400: "Daily anomaly report", 604800: "Weekly anomaly report"}


@dataclass(frozen=True)
class ReportSummary:
    """Where the PDF is, and what is in it."""

    path: str
    n_pages: int
    n_bytes: int
    n_incidents: int
    seconds: float


def render_period(
    store: Store,
    config: DatasetConfig,
    *,
    end_at: datetime,
    lineage: str = "live",
    start_at: datetime | None = None,
    path: UPath | None = None,
    now: Callable[[], datetime] = utc_now,
) -> ReportSummary:
    """The PDF of [start_at, end_at), by default the report's period before `end_at`, written whole
    or not at all.

    Parameters
    ----------
    path : where it goes; None: the reports folder of the artifacts.
    now : tells when the report was generated; nothing else depends on it.

    Raises
    ------
    BadInput
        When the period is empty, or the dataset was never ingested.
    """
    began = time.monotonic()
    start_at = start_at or end_at - timedelta(seconds=config.report.period_s)
    content = period_content(
        store, config, start_at=start_at, end_at=end_at, lineage=lineage, generated_at=now()
    )
    target = path or report_path(config.dataset, start_at, end_at)
    n_pages, n_bytes = _write(content, target, config)
    seconds = round(time.monotonic() - began, 2)
    return ReportSummary(str(target), n_pages, n_bytes, content.headline.n_all_incidents, seconds)


def _write(content: ReportContent, target: UPath, config: DatasetConfig) -> tuple[int, int]:
    make_folder(target.parent)
    if isinstance(target, Path):
        written = render_report(content, target, page_size=config.report.page_size)
        return written.n_pages, written.n_bytes
    document, n_pages = report_bytes(content, page_size=config.report.page_size)
    target.write_bytes(document)
    return n_pages, len(document)


def period_content(
    store: Store,
    config: DatasetConfig,
    *,
    start_at: datetime,
    end_at: datetime,
    lineage: str = "live",
    generated_at: datetime,
) -> ReportContent:
    """Everything that the report of [start_at, end_at) shows, read as of one moment.

    Raises
    ------
    BadInput
        When the period is empty, or the dataset was never ingested.
    """
    if start_at >= end_at:
        raise BadInput(
            f"Expected a period that starts before its end. Received: {start_at} to {end_at}."
        )
    with store.snapshot():
        period, found = _period(store, config, lineage, start_at, end_at)
        incidents = [row for row in found if row["suppressed_by"] is None]
        anomalies, n_anomalies = anomaly_rows(period)
        coverage = coverage_of(period)
        zone = period.dataset.site_zone
        return ReportContent(
            dataset=config.dataset,
            title=_title(start_at, end_at, lineage),
            description=config.description.rstrip("."),
            start_at=start_at,
            end_at=end_at,
            site_zone=zone,
            generated_at=generated_at,
            data_until=period.data_until,
            headline=_headline(period, incidents, coverage),
            incidents=incident_pages(period, incidents[: DEFAULT_LIMITS.n_incidents]),
            anomalies=anomalies,
            n_anomalies=n_anomalies,
            quality=quality_rows(period),
            coverage=coverage,
            models=model_cards(store, config.dataset, zone, period.params, end_at),
            audit=audit_rows(store, period.params | {"dataset": config.dataset}),
            suppressed=_suppressed(found),
        )


def _suppressed(found: Sequence[dict[str, Any]]) -> tuple[SuppressedRow, ...]:
    """Incidents inside maintenance windows, in the order of time."""
    held = sorted(
        (row for row in found if row["suppressed_by"]),
        key=lambda row: (row["started_at"], row["entity"]),
    )
    names = ("incident_id", "entity", "severity", "started_at", "last_flag_at")
    return tuple(
        SuppressedRow(**{name: row[name] for name in names}, window=row["suppressed_by"])
        for row in held
    )


def _title(start_at: datetime, end_at: datetime, lineage: str) -> str:
    length_s = int((end_at - start_at).total_seconds())
    title = _TITLES_S.get(length_s, f"Anomaly report of {duration_text(length_s)}")
    return title if lineage == "live" else f"{title} ({lineage})"


def _period(
    store: Store, config: DatasetConfig, lineage: str, start_at: datetime, end_at: datetime
) -> tuple[ReportPeriod, list[dict[str, Any]]]:
    """The period with its incidents; data counts to its end, and as far as its open incidents have
    gone on since.
    """
    period = ReportPeriod(
        store, select_dataset(store, config.dataset), lineage, start_at, end_at, None
    )
    incidents = store.records("select_period_incidents", period.params)
    gap = timedelta(seconds=period.dataset.merge_gap_s)
    before_at = max(
        [end_at, *(row["last_flag_at"] + gap for row in incidents if row["state"] == "open")]
    )
    _, newest_at = store.one(
        SELECT_LEDGER_ENDS, dataset_id=period.dataset.dataset_id, before_at=before_at
    )
    return ReportPeriod(store, period.dataset, lineage, start_at, end_at, newest_at), incidents


def _headline(
    period: ReportPeriod, incidents: Sequence[dict[str, Any]], coverage: Coverage
) -> Headline:
    (highest,) = period.store.select("select_highest_score", period.params)[0]
    return Headline(
        n_entities=len(coverage.entities),
        n_hours_scored=sum(entity.n_hours_scored for entity in coverage.entities),
        n_hours_expected=sum(entity.n_hours_expected for entity in coverage.entities),
        n_readings=n_readings(period),
        n_incidents={
            severity: sum(row["severity"] == severity for row in incidents)
            for severity in SEVERITIES
        },
        n_open=sum(row["state"] == "open" for row in incidents),
        highest_ratio=None if highest is None else 1 + highest,
    )
