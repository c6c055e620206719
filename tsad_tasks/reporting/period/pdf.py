"""The PDF: plans the pages, numbers them, draws them. The same content gives the same bytes."""

from __future__ import annotations

from tsad_tasks.reporting.drawing import flow
from tsad_tasks.reporting.drawing.document import document_bytes
from tsad_tasks.reporting.drawing.sheet import PageSize, Sheet
from tsad_tasks.reporting.period.content import IncidentPage, ReportContent
from tsad_tasks.reporting.period.cover import draw_cover
from tsad_tasks.reporting.period.health_pages import health_blocks
from tsad_tasks.reporting.period.incident_page import draw_incident
from tsad_tasks.reporting.period.listings import anomaly_blocks, incident_blocks, suppressed_blocks
from tsad_tasks.reporting.period.model_pages import audit_blocks, model_blocks
from tsad_tasks.reporting.period.ranking import DEFAULT_LIMITS, ReportLimits, with_own_page
from tsad_tasks.text.formats import period_text

_N_WITHOUT_LIST = 5
_COVER = "cover"


def report_bytes(
    content: ReportContent,
    *,
    page_size: PageSize = "A4",
    limits: ReportLimits = DEFAULT_LIMITS,
    compressed: bool = True,
) -> tuple[bytes, int]:
    """The report as a PDF, and its number of pages."""
    period = period_text(content.start_at, content.end_at, content.zone)
    return document_bytes(
        content,
        f"{content.title} · {content.dataset} · {period}",
        f"Anomalies and incidents of {content.dataset}",
        lambda sheet: planned_pages(content, limits, sheet),
        page_size=page_size,
        compressed=compressed,
        cover_key=_COVER,
    )


def planned_pages(content: ReportContent, limits: ReportLimits, sheet: Sheet) -> list[flow.Page]:
    """All pages in their order."""
    width, room, bottom = sheet.inner_width, flow.room_of(sheet), flow.bottom_of(sheet)

    def listed(numbers: flow.PageNumbers) -> list[flow.Page]:
        blocks = incident_blocks(content, limits, numbers, width)
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
    n_all = max(len(content.incidents), content.headline.n_all_incidents)
    lists: list[flow.Page] = []
    if n_all > min(_N_WITHOUT_LIST, len(own)):
        first = 2 + len(listed({page.key: 1 for page in own}))
        lists = listed({page.key: first + i for i, page in enumerate(own)})
    following = [*lists, *own, *_closing_pages(content, limits, width, room)]
    sections = [(page.key, page.title) for page in following if page.level == 0]
    if own:
        sections.insert(int(bool(lists)), (own[0].key, "Incident pages"))
    cover = flow.Page(
        _COVER, "Summary", lambda sheet, numbers: draw_cover(sheet, content, sections, numbers)
    )
    return [cover, *following]


def _closing_pages(
    content: ReportContent, limits: ReportLimits, width: float, room: float
) -> list[flow.Page]:
    """Anomalies, health and models; that there are no anomalies is said above the health."""
    anomalies = anomaly_blocks(content, limits, width)
    health = health_blocks(content, limits, width)
    if content.anomalies:
        pages = flow.flow_pages("anomalies", "Anomalies", anomalies, room)
        pages += flow.flow_pages("health", "Data quality and coverage", health, room)
    else:
        together = [*anomalies, flow.gap(14), *health]
        pages = flow.flow_pages("health", "Anomalies, data quality and coverage", together, room)
    models = [*model_blocks(content, limits, width), *audit_blocks(content, width)]
    suppressed = suppressed_blocks(content, limits, width)
    pages += flow.flow_pages("models", "Model and gate", models, room)
    return pages + flow.flow_pages("suppressed", "Suppressed by maintenance", suppressed, room)
