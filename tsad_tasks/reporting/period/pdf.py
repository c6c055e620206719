"""The PDF: plans the pages, numbers them, draws them. The same content gives the same bytes."""

from __future__ import annotations

from collections.abc import Sequence

from tsad_tasks.base.enums import ReportDetail
from tsad_tasks.reporting.drawing import flow
from tsad_tasks.reporting.drawing.document import document_bytes
from tsad_tasks.reporting.drawing.sheet import PageSize, Sheet
from tsad_tasks.reporting.period.content import IncidentPage, ReportContent
from tsad_tasks.reporting.period.cover import draw_cover
from tsad_tasks.reporting.period.guide_pages import guide_blocks
from tsad_tasks.reporting.period.health_pages import health_blocks
from tsad_tasks.reporting.period.incident_page import draw_incident
from tsad_tasks.reporting.period.listings import anomaly_blocks, incident_blocks, suppressed_blocks
from tsad_tasks.reporting.period.model_pages import audit_blocks, model_blocks
from tsad_tasks.reporting.period.ranking import LIMITS, ReportLimits, with_own_page
from tsad_tasks.text.formats import period_text

_COVER, _PART_GAP = "cover", 8.0


def report_bytes(
    content: ReportContent,
    *,
    page_size: PageSize = "A4",
    limits: ReportLimits | None = None,
    compressed: bool = True,
) -> tuple[bytes, int]:
    """The report as a PDF, and its number of pages; by default as much as its detail says."""
    period = period_text(content.start_at, content.end_at, content.zone)
    kept = limits or LIMITS[content.detail]
    return document_bytes(
        content,
        f"{content.title} · {content.dataset} · {period}",
        f"Anomalies and incidents of {content.dataset}",
        lambda sheet: planned_pages(content, kept, sheet),
        page_size=page_size,
        compressed=compressed,
        cover_key=_COVER,
    )


def planned_pages(content: ReportContent, limits: ReportLimits, sheet: Sheet) -> list[flow.Page]:
    """All pages in their order; a list only where not every incident has its own page.

    In brief the list follows the incidents, and the rest follows on its page; in full it leads.
    """
    room, bottom = flow.room_of(sheet), flow.bottom_of(sheet)

    def listed(numbers: flow.PageNumbers) -> list[flow.Block]:
        return incident_blocks(content, limits, numbers, sheet)

    def own_page(one: IncidentPage) -> flow.Page:
        until_s = (content.data_until or content.end_at).timestamp()
        return flow.Page(
            one.key,
            f"{one.severity.capitalize()} · {one.title}",
            lambda sheet, _: draw_incident(sheet, one, content.zone, until_s, flow.TOP, bottom),
            1,
            (one.model_line, one.coverage_line),
        )

    own = [own_page(one) for one in with_own_page(content.incidents, limits)]
    has_list = max(len(content.incidents), content.headline.n_all_incidents) > len(own)
    cover = flow.Page(
        _COVER, "Summary", lambda sheet, numbers: draw_cover(sheet, content, limits, numbers)
    )
    if content.detail is ReportDetail.BRIEF:
        parts = [listed({page.key: n for n, page in enumerate(own, start=2)})] if has_list else []
        parts += _brief_parts(content, limits, sheet.inner_width)
        title = "All incidents, what was watched, models, how to read it"
        return [cover, *own, *flow.dealt_pages("rest", title, flow.balanced(parts, room))]
    lists: list[flow.Page] = []
    if has_list:
        key, title = "incidents", "All incidents"
        n_pages = len(flow.flow_pages(key, title, listed({page.key: 1 for page in own}), room))
        numbers = {page.key: n for n, page in enumerate(own, start=2 + n_pages)}
        lists = flow.flow_pages(key, title, listed(numbers), room)
    return [cover, *lists, *own, *_full_pages(content, limits, sheet.inner_width, room)]


def _brief_parts(
    content: ReportContent, limits: ReportLimits, width: float
) -> list[list[flow.Block]]:
    """What was watched, models, and how to read it all, one after the other."""
    parts = [
        health_blocks(content, limits, width),
        suppressed_blocks(content, limits, width),
        model_blocks(content, limits, width),
        guide_blocks(content, width),
    ]
    return _spaced(parts)


def _spaced(parts: Sequence[list[flow.Block]]) -> list[list[flow.Block]]:
    """Parts with some white space before each; none where a part is empty."""
    return [[flow.gap(_PART_GAP), *part] for part in parts if part]


def _full_pages(
    content: ReportContent, limits: ReportLimits, width: float, room: float
) -> list[flow.Page]:
    """The same, what belongs together from the top of a page, and single flagged readings."""
    anomalies = anomaly_blocks(content, limits, width)
    suppressed = suppressed_blocks(content, limits, width)
    watched = [health_blocks(content, limits, width), suppressed]
    has_anomalies = max(content.n_anomalies, len(content.anomalies)) > 0
    if not has_anomalies:
        watched.insert(0, anomalies)
    models = [
        model_blocks(content, limits, width),
        audit_blocks(content, width),
        guide_blocks(content, width),
    ]
    titled = "Watched, and not" + "; suppressed by maintenance" * bool(suppressed)
    return [
        *flow.flow_pages("anomalies", "Flagged readings", anomalies * has_anomalies, room),
        *flow.dealt_pages("health", titled, flow.balanced(_spaced(watched), room)),
        *flow.dealt_pages(
            "models", "Models and how to read this report", flow.balanced(_spaced(models), room)
        ),
    ]
