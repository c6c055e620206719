"""Task `report`: collects a period from the warehouse, as of one moment, and renders its PDF."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from tsad_tasks.base.enums import HourStatus, Lineage, ReportDetail, Severity
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.files import make_folder, write_whole
from tsad_tasks.base.interval import hour_floor, hours_between
from tsad_tasks.base.places import Folder
from tsad_tasks.champions.no_champion import no_champion
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.queries import (
    SELECT_FIRST_HOURS,
    SELECT_INGEST_HOURS,
    SELECT_LEDGER_ENDS,
    IngestHour,
)
from tsad_tasks.reporting.period import content, queries
from tsad_tasks.reporting.period.csv_files import (
    N_MOST_ANOMALIES,
    anomalies_csv,
    beside,
    incidents_csv,
)
from tsad_tasks.reporting.period.incidents import incident_pages, peak_figures
from tsad_tasks.reporting.period.models import model_cards
from tsad_tasks.reporting.period.pdf import report_bytes
from tsad_tasks.reporting.period.ranking import LIMITS
from tsad_tasks.storage.artifacts import report_path
from tsad_tasks.storage.datasets import select_dataset, select_entities
from tsad_tasks.storage.store import Store
from tsad_tasks.text.formats import duration_text
from tsad_tasks.text.words import SILENT

_ANOMALY_NAMES = ("at", "entity", "score", "channel", "actual", "expected")
# So many periods before stand beside it.
N_BEFORE = 4
_TITLES_S = {86400: "Daily anomaly report", 604800: "Weekly anomaly report"}


@dataclass(frozen=True)
class ReportSummary:
    """Where the PDF and its CSV files are, and what is in it.

    `no_champion` says why nothing was scored, `replaced` whether the PDF was there before.
    """

    path: str
    n_pages: int
    n_bytes: int
    n_incidents: int
    seconds: float
    n_hours_scored: int = 0
    no_champion: str = ""
    csv_paths: tuple[str, ...] = ()
    replaced: bool = False


def render_period(
    store: Store,
    config: DatasetConfig,
    *,
    end_at: datetime,
    lineage: str = Lineage.LIVE,
    start_at: datetime | None = None,
    path: Folder | None = None,
    detail: ReportDetail | None = None,
    now: Callable[[], datetime] | None = None,
) -> ReportSummary:
    """The PDF of [start_at, end_at), by default the last period of a report, written whole; beside
    it as CSV all incidents and the strangest flagged readings.

    Parameters
    ----------
    path : where it goes; None: the reports folder of the artifacts.
    detail : brief or full; None: as the dataset file says.
    now : tells when the report was generated, by default by the warehouse's clock; nothing else
        depends on it.

    Raises
    ------
    BadInput
        When the period is empty, or the dataset was never ingested.
    """
    began = time.monotonic()
    start_at = start_at or end_at - timedelta(seconds=config.report.period_s)
    span = {"start_at": start_at, "end_at": end_at}
    target = path or report_path(config.dataset, start_at, end_at)
    generated_at, wanted = (now or store.now)(), ReportDetail(detail or config.report.detail)
    with store.snapshot():
        report, rows = _collected(store, config, lineage, wanted, generated_at, **span)
    files = {"incidents": incidents_csv(rows), "anomalies": anomalies_csv(report.anomalies)}
    places = {what: beside(target, what) for what in files}
    report = replace(report, beside=tuple(one.name for one in places.values()))
    document, n_pages = report_bytes(report, page_size=config.report.page_size)
    make_folder(target.parent)
    was_there = target.exists()
    write_whole(target, document)
    for what, text in files.items():
        write_whole(places[what], text)
    seconds = round(time.monotonic() - began, 2)
    n_incidents = report.headline.n_all_incidents
    counts = n_pages, len(document), n_incidents, seconds, report.headline.n_hours_scored
    written = tuple(str(one) for one in places.values())
    return ReportSummary(str(target), *counts, "\n".join(report.no_champion), written, was_there)


def period_content(
    store: Store,
    config: DatasetConfig,
    *,
    start_at: datetime,
    end_at: datetime,
    lineage: str = Lineage.LIVE,
    detail: ReportDetail = ReportDetail.BRIEF,
    generated_at: datetime,
) -> content.ReportContent:
    """Everything that the report of [start_at, end_at) shows, read as of one moment.

    Raises
    ------
    BadInput
        When the period is empty, or the dataset was never ingested.
    """
    span = {"start_at": start_at, "end_at": end_at}
    with store.snapshot():
        return _collected(store, config, lineage, detail, generated_at, **span)[0]


def _collected(
    store: Store,
    config: DatasetConfig,
    lineage: str,
    detail: ReportDetail,
    generated_at: datetime,
    *,
    start_at: datetime,
    end_at: datetime,
) -> tuple[content.ReportContent, list[queries.PeriodIncident]]:
    """What a report shows, and all incidents of its period, within the caller's snapshot."""
    if start_at >= end_at:
        raise BadInput(
            f"Expected a period that starts before its end. Received: {start_at} to {end_at}."
        )
    dataset = select_dataset(store, config.dataset)
    period = queries.ReportPeriod(store, dataset, lineage, start_at, end_at)
    every = store.rows(queries.SELECT_PERIOD_INCIDENTS, **period.params)
    period = replace(period, data_until=_data_until(period, every))
    counted = [row for row in every if row.suppressed_by is None]
    incidents = incident_pages(period, counted, LIMITS[detail])
    hours = {"start_at": hour_floor(start_at), "end_at": end_at}
    ledger = store.rows(SELECT_INGEST_HOURS, dataset_id=dataset.dataset_id, **hours)
    anomalies, n_anomalies = anomaly_rows(period, every)
    coverage = coverage_of(period, ledger)
    missing = no_champion(store, dataset, lineage=lineage, **hours)
    quality = store.rows(queries.SELECT_PERIOD_QUALITY, **period.params)
    report = content.ReportContent(
        dataset=config.dataset,
        title=_title(start_at, end_at, lineage),
        description=config.description.rstrip("."),
        start_at=start_at,
        end_at=end_at,
        zone=dataset.site_zone,
        generated_at=generated_at,
        data_until=period.data_until,
        headline=_headline(period, incidents, coverage, sum(row.n_readings for row in ledger)),
        incidents=incidents,
        anomalies=anomalies,
        n_anomalies=n_anomalies,
        quality=(*quality, *store.rows(queries.SELECT_PERIOD_ISSUES, **period.params)),
        coverage=coverage,
        models=model_cards(period),
        audit=tuple(store.rows(queries.SELECT_PERIOD_AUDIT, **period.params)),
        suppressed=_suppressed(every),
        before=periods_before(period),
        decisions=tuple(store.rows(queries.SELECT_PERIOD_DECISIONS, **period.params)),
        no_champion=tuple(missing.text.splitlines()) if missing else (),
        detail=detail,
        page_url=config.notifications.base_url or "",
    )
    return report, every


def _title(start_at: datetime, end_at: datetime, lineage: str) -> str:
    length_s = int((end_at - start_at).total_seconds())
    title = _TITLES_S.get(length_s, f"Anomaly report of {duration_text(length_s)}")
    return title if lineage == Lineage.LIVE else f"{title} ({lineage})"


def _headline(
    period: queries.ReportPeriod,
    incidents: Sequence[content.IncidentPage],
    coverage: content.Coverage,
    n_readings: int,
) -> content.Headline:
    """The figures of the first page; incidents are without those that maintenance suppresses."""
    highest = period.store.one(queries.SELECT_HIGHEST_SCORE, **period.params)
    severities = Counter(one.severity for one in incidents)
    return content.Headline(
        n_entities=len(coverage.entities),
        n_hours_scored=sum(entity.n_hours_scored for entity in coverage.entities),
        n_hours_expected=sum(entity.n_hours_expected for entity in coverage.entities),
        n_readings=n_readings,
        n_incidents={severity: severities[severity] for severity in Severity},
        n_open=sum(one.is_open for one in incidents),
        judged=content.Judged(Counter(one.said for one in incidents)),
        highest_ratio=None if highest is None else 1 + highest,
    )


def periods_before(period: queries.ReportPeriod) -> tuple[content.JudgedPeriod, ...]:
    """Incidents of the periods before by verdict, the newest first, up to the first scored one."""
    length = period.end_at - period.start_at
    asked = period.params | {"length": length, "n": N_BEFORE}
    counts: dict[datetime, dict[str | None, int]] = {}
    for row in period.store.rows(queries.SELECT_COUNTS_BEFORE, **asked):
        counts.setdefault(row.start_at, {})[row.verdict] = row.n_incidents
    found = []
    for one in period.store.rows(queries.SELECT_HOURS_BEFORE, **asked):
        judged = content.Judged(counts.get(one.start_at, {})) if one.n_hours else None
        found.append(content.JudgedPeriod(one.start_at, one.n_hours, judged))
    while found and found[-1].judged is None:
        found.pop()
    return tuple(found)


def coverage_of(period: queries.ReportPeriod, ledger: Sequence[IngestHour]) -> content.Coverage:
    """Hours of what lives by status, those included that no step has got to.

    Hours in which an entity was silent are told, and nothing is expected of them; of a retired one
    they are not.
    """
    entities = select_entities(period.store, period.dataset.dataset_id)
    first = dict(period.store.rows(SELECT_FIRST_HOURS, entity_ids=list(entities.values())))
    read = {row.hour_at for row in ledger}
    known: dict[str, dict[datetime, str]] = {}
    for entity, hour_at, status in period.store.rows(
        queries.SELECT_PERIOD_STATUSES, **period.params
    ):
        own = known.setdefault(entity, {})
        if own.get(hour_at) not in content.SCORED_STATUSES:
            own[hour_at] = status
    asked = set(period.store.rows(queries.SELECT_PERIOD_ASKED_HOURS, **period.params))
    of = {"dataset": period.dataset.name}
    gone = set(period.store.rows(queries.SELECT_RETIRED_ENTITIES, **of))
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
                unscored = "not_scored" if hour in read else "not_read"
                status = own.get(hour) or (SILENT if hour in asked else unscored)
                if status == SILENT and name in gone:
                    continue
                day = max((hour.astimezone(zone).date() - first_day).days, 0)
                expected[day] += status not in (HourStatus.OFF, SILENT)
                scored[day] += status in content.SCORED_STATUSES
                statuses.append(status)
        if not statuses:
            continue
        shares = np.divide(scored, expected, out=np.full(len(days), np.nan), where=expected > 0)
        covered.append(
            content.EntityCoverage(name, int(expected.sum()), dict(Counter(statuses)), shares)
        )
    return content.Coverage(days, tuple(covered))


def anomaly_rows(
    period: queries.ReportPeriod, incidents: Sequence[queries.PeriodIncident]
) -> tuple[tuple[content.AnomalyRow, ...], int]:
    """The highest scores of the period with their incidents, and how many anomalies there were."""
    records = period.store.rows(
        queries.SELECT_PERIOD_ANOMALIES, **period.params, n=N_MOST_ANOMALIES
    )
    rows, newest_first = [], defaultdict[str, list[queries.PeriodIncident]](list)
    for row in sorted(incidents, key=lambda row: row.started_at, reverse=True):
        newest_first[row.entity].append(row)
    for one in records:
        holding = (
            row.incident_id
            for row in newest_first[one["entity"]]
            if row.started_at <= one["at"] <= row.last_flag_at
        )
        error, threshold = peak_figures(one["kind"], one["error"], one["threshold"], one["score"])
        expected, spread = one["expected"], one["spread"]
        has_range = expected is not None and spread is not None
        same = {name: one[name] for name in _ANOMALY_NAMES} | {"unit": one["unit"] or ""}
        if has_range:
            same |= {"lower": expected - spread, "upper": expected + spread}
        same |= {"severity": Severity(one["severity"]), "incident_id": next(holding, None)}
        rows.append(content.AnomalyRow(error=error, threshold=threshold, **same))
    return tuple(rows), records[0]["n_all"] if records else 0


def _data_until(
    period: queries.ReportPeriod, incidents: list[queries.PeriodIncident]
) -> datetime | None:
    """The newest reading up to the period's end, and as far as open incidents went on since."""
    gap = timedelta(seconds=period.dataset.merge_gap_s)
    went_on = [row.last_flag_at + gap for row in incidents if row.state == "open"]
    before_at, dataset_id = max([period.end_at, *went_on]), period.dataset.dataset_id
    ends = period.store.one(SELECT_LEDGER_ENDS, dataset_id=dataset_id, before_at=before_at)
    return ends.newest_at


def _suppressed(incidents: list[queries.PeriodIncident]) -> tuple[content.SuppressedRow, ...]:
    """Incidents inside maintenance windows, in the order of time."""
    held = []
    for row in sorted(incidents, key=lambda row: (row.started_at, row.entity)):
        if row.suppressed_by:
            what = (row.incident_id, row.entity, Severity(row.severity))
            span = (row.started_at, row.end_at)
            held.append(content.SuppressedRow(*what, *span, row.suppressed_by))
    return tuple(held)
