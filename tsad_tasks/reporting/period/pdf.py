"""The PDF: plans the pages, numbers them, draws them. The same content gives the same bytes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tsad_tasks.reporting.drawing.document import Document, document_bytes, write_whole
from tsad_tasks.reporting.drawing.flow import Block, gap
from tsad_tasks.reporting.drawing.plan import (
    TOP,
    Page,
    PageNumbers,
    bottom_of,
    flow_pages,
    inner_size,
)
from tsad_tasks.reporting.drawing.sheet import PageSize, Sheet
from tsad_tasks.reporting.period.audit_page import audit_blocks
from tsad_tasks.reporting.period.content import IncidentPage, ReportContent
from tsad_tasks.reporting.period.cover import draw_cover
from tsad_tasks.reporting.period.health_pages import health_blocks
from tsad_tasks.reporting.period.incident_page import draw_incident
from tsad_tasks.reporting.period.listings import (
    anomaly_blocks,
    incident_blocks,
    incident_key,
    suppressed_blocks,
)
from tsad_tasks.reporting.period.model_pages import model_blocks
from tsad_tasks.reporting.period.ranking import DEFAULT_LIMITS, Limits, with_own_page
from tsad_tasks.text.formats import period_text

_N_WITHOUT_LIST = 5
_COVER = "cover"


@dataclass(frozen=True)
class PdfSummary:
    """What was written."""

    n_pages: int
    n_bytes: int
    seconds: float


def render_report(
    content: ReportContent,
    path: Path | str,
    *,
    page_size: PageSize = "A4",
    limits: Limits = DEFAULT_LIMITS,
) -> PdfSummary:
    """Writes the report to a file, whole or not at all; its folder must exist."""
    started = time.perf_counter()
    document, n_pages = report_bytes(content, page_size=page_size, limits=limits)
    write_whole(document, Path(path))
    return PdfSummary(n_pages, len(document), time.perf_counter() - started)


def report_bytes(
    content: ReportContent,
    *,
    page_size: PageSize = "A4",
    limits: Limits = DEFAULT_LIMITS,
    compressed: bool = True,
) -> tuple[bytes, int]:
    """The report as a PDF, and its number of pages."""
    sheet = Sheet(page_size, compressed=compressed)
    period = period_text(content.start_at, content.end_at, content.site_zone)
    document = Document(
        title=f"{content.title} · {content.dataset} · {period}",
        subject=f"Anomalies and incidents of {content.dataset}",
        zone=content.site_zone,
        start_at=content.start_at,
        end_at=content.end_at,
        generated_at=content.generated_at,
        bare_key=_COVER,
    )
    return document_bytes(
        sheet, document, planned_pages(content, limits, inner_size(sheet), bottom_of(sheet))
    )


def planned_pages(
    content: ReportContent, limits: Limits, size: tuple[float, float], bottom: float
) -> list[Page]:
    """All pages in their order. The list of incidents is planned twice, for it shows the numbers of
    later pages.
    """
    width, room = size
    own = [_incident_page(one, content, bottom) for one in with_own_page(content.incidents, limits)]
    rest = _closing_pages(content, limits, width, room)
    n_all = max(len(content.incidents), content.headline.n_all_incidents)
    listed = n_all > min(_N_WITHOUT_LIST, len(own))
    n_list_pages = (
        len(_list_pages(content, limits, {page.key: 1 for page in own}, width, room))
        if listed
        else 0
    )
    numbers = {page.key: 2 + n_list_pages + i for i, page in enumerate(own)}
    lists = _list_pages(content, limits, numbers, width, room) if listed else []
    following = [*lists, *own, *rest]
    return [_cover_page(content, following), *following]


def _closing_pages(content: ReportContent, limits: Limits, width: float, room: float) -> list[Page]:
    """Anomalies, health and models; without anomalies, the sentence that says so stands over the
    data quality.
    """
    anomalies, health = (
        anomaly_blocks(content, limits, width),
        health_blocks(content, limits, width),
    )
    closing = [*model_blocks(content, limits, width), *audit_blocks(content, width)]
    models = flow_pages("models", "Model and gate", closing, room)
    models += _suppressed_pages(content, limits, width, room)
    if not content.anomalies:
        together = [*anomalies, gap(14), *health]
        return [
            *flow_pages("health", "Anomalies, data quality and coverage", together, room),
            *models,
        ]
    pages = flow_pages("anomalies", "Anomalies", anomalies, room)
    return [*pages, *flow_pages("health", "Data quality and coverage", health, room), *models]


def _suppressed_pages(
    content: ReportContent, limits: Limits, width: float, room: float
) -> list[Page]:
    blocks = suppressed_blocks(content, limits, width)
    return flow_pages("suppressed", "Suppressed by maintenance", blocks, room) if blocks else []


def _list_pages(
    content: ReportContent, limits: Limits, numbers: PageNumbers, width: float, room: float
) -> list[Page]:
    blocks: list[Block] = incident_blocks(content, limits, numbers, width)
    return flow_pages("incidents", "All incidents", blocks, room)


def _cover_page(content: ReportContent, following: list[Page]) -> Page:
    sections = [(page.key, page.title) for page in following if page.level == 0]
    first = next((page for page in following if page.key.startswith("incident-")), None)
    if first is not None:
        sections.insert(int(sections[0][0] == "incidents"), (first.key, "Incident pages"))
    return Page(
        _COVER, "Summary", lambda sheet, numbers: draw_cover(sheet, content, sections, numbers)
    )


def _incident_page(incident: IncidentPage, content: ReportContent, bottom: float) -> Page:
    until_s = (content.data_until or content.end_at).timestamp()
    draw = partial(
        _draw_incident_page,
        incident=incident,
        zone=content.site_zone,
        until_s=until_s,
        bottom=bottom,
    )
    title = f"{incident.severity.capitalize()} · {incident.sentence}"
    return Page(
        incident_key(incident), title, draw, 1, (incident.model_line, incident.coverage_line)
    )


def _draw_incident_page(
    sheet: Sheet,
    numbers: PageNumbers,
    *,
    incident: IncidentPage,
    zone: str,
    until_s: float,
    bottom: float,
) -> None:
    draw_incident(sheet, incident, zone, until_s, TOP, bottom)
