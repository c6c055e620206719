"""The PDF: plans the pages, numbers them, draws them. The same content gives the same bytes."""

from __future__ import annotations

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

_COVER = "cover"


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
    """All pages in their order: the list only where not every incident has its own page."""
    room, bottom = flow.room_of(sheet), flow.bottom_of(sheet)

    def listed(numbers: flow.PageNumbers) -> list[flow.Page]:
        blocks = incident_blocks(content, limits, numbers, sheet)
        return flow.flow_pages("incidents", "All incidents", blocks, room)

    def own_page(one: IncidentPage) -> flow.Page:
        until_s = (content.data_until or content.end_at).timestamp()
        return flow.Page(
            one.key,
            f"{one.severity.capitalize()} · {one.sentence}",
            lambda sheet, _: draw_incident(sheet, one, content.zone, until_s, flow.TOP, bottom),
            1,
            (one.model_line, one.coverage_line),
        )

    own = [own_page(one) for one in with_own_page(content.incidents, limits)]
    lists: list[flow.Page] = []
    if max(len(content.incidents), content.headline.n_all_incidents) > len(own):
        first = 2 + len(listed({page.key: 1 for page in own}))
        lists = listed({page.key: first + i for i, page in enumerate(own)})
    cover = flow.Page(
        _COVER, "Summary", lambda sheet, numbers: draw_cover(sheet, content, limits, numbers)
    )
    return [cover, *lists, *own, *_closing_pages(content, limits, sheet.inner_width, room)]


def _closing_pages(
    content: ReportContent, limits: ReportLimits, width: float, room: float
) -> list[flow.Page]:
    """What was watched, models, and how to read it all: in brief one after the other, in full each
    from the top of a page, with every flagged reading.
    """
    health = health_blocks(content, limits, width)
    models = model_blocks(content, limits, width)
    suppressed = suppressed_blocks(content, limits, width)
    guide = guide_blocks(content, width)
    if content.detail == "brief":
        parts = [health, suppressed, models, guide]
        blocks = [block for part in parts if part for block in [*part, flow.gap(8)]]
        return flow.flow_pages("rest", "Watched, models, how to read it", blocks, room)
    every = [
        ("anomalies", "Flagged readings", anomaly_blocks(content, limits, width)),
        ("health", "Watched, and not", health),
        ("models", "Models and their rules", [*models, *audit_blocks(content, width)]),
        ("suppressed", "Suppressed by maintenance", suppressed),
        ("guide", "How to read this report", guide),
    ]
    return [page for key, title, blocks in every for page in flow.flow_pages(key, title, blocks, room)]
