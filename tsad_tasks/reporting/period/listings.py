"""Tables of incidents and of anomalies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tsad_tasks.base.enums import Severity
from tsad_tasks.reporting.drawing.charts import Frame, draw_sparkline
from tsad_tasks.reporting.drawing.flow import (
    Block,
    Box,
    Cell,
    Row,
    TableColumn,
    TableLook,
    heading,
    paragraph,
    table_blocks,
    two_lines,
    wrapped_cell,
)
from tsad_tasks.reporting.drawing.marks import draw_severity
from tsad_tasks.reporting.drawing.plan import PageNumbers
from tsad_tasks.reporting.drawing.scales import unix_s
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.drawing.theme import CELL, SMALL
from tsad_tasks.reporting.period.content import (
    AnomalyRow,
    IncidentPage,
    ReportContent,
    SuppressedRow,
)
from tsad_tasks.reporting.period.ranking import Limits, highest_scores, worst_first
from tsad_tasks.text.formats import (
    count_text,
    counted,
    duration_text,
    expected_text,
    figure_text,
    half_width,
    ratio_text,
    span_text,
    time_text,
    value_text,
)
from tsad_tasks.text.sentence import quiet_sentence

_INCIDENT_COLUMNS = (
    TableColumn("Severity", width=62),
    TableColumn("What happened", 0.5),
    TableColumn("When", width=92),
    TableColumn("Peak", align="right"),
    TableColumn("Error, threshold", width=80),
    TableColumn("Page", align="right"),
)
_DENSE = replace(CELL, size=7)
_ANOMALY_COLUMNS = (
    TableColumn("Time"),
    TableColumn("Entity", 0.4),
    TableColumn("Severity", width=44),
    TableColumn("Score", align="right"),
    TableColumn("Error / limit", align="right"),
    TableColumn("Channel", 0.6),
    TableColumn("Actual", align="right"),
    TableColumn("Expected", align="right"),
    TableColumn("Incident"),
)


_SUPPRESSED_COLUMNS = (
    TableColumn("First to last flag", width=130),
    TableColumn("Entity", 0.3),
    TableColumn("Severity", width=60),
    TableColumn("Maintenance window", 0.7),
)


def incident_blocks(
    content: ReportContent, limits: Limits, numbers: PageNumbers, width: float
) -> list[Block]:
    """All incidents, worst first, one row each with its errors in small."""
    ranked = worst_first(content.incidents)
    shown = ranked[: limits.n_incidents]
    n_all = max(content.headline.n_all_incidents, len(ranked))
    intro = f"{_of(len(shown), n_all, 'incident')}, worst first. {_paged_text(shown, numbers)}"
    if len(shown) < n_all:
        intro += f" Not listed: {count_text(n_all - len(shown))}, in the SQL view tsad.v_incident."
    rows = [_incident_row(one, content, numbers) for one in shown]
    return [
        heading("All incidents"),
        paragraph(intro, width, keep_with_next=True),
        *table_blocks(_INCIDENT_COLUMNS, rows, width, TableLook(25, gap=9)),
    ]


def _paged_text(shown: Sequence[IncidentPage], numbers: PageNumbers) -> str:
    n_paged = sum(incident_key(one) in numbers for one in shown)
    if n_paged == len(shown):
        return "Each has its own page."
    return f"{count_text(n_paged)} of them have a page of their own."


def incident_key(incident: IncidentPage) -> str:
    """The bookmark of an incident's page."""
    return f"incident-{incident.incident_id.encode().hex()}"


def _of(n_shown: int, n_all: int, noun: str) -> str:
    return (
        f"{count_text(n_shown)} of {counted(n_all, noun)}"
        if n_shown < n_all
        else counted(n_all, noun)
    )


def _incident_row(incident: IncidentPage, content: ReportContent, numbers: PageNumbers) -> Row:
    key, end = incident_key(incident), incident.ended_at or content.data_until or content.end_at
    length = duration_text(max(0.0, (end - incident.started_at).total_seconds()))
    state = "open" if incident.state == "open" else (incident.verdict or "no verdict")
    return Row(
        [
            severity_cell(incident.severity, incident.incident_id),
            wrapped_cell(incident.sentence, replace(CELL, size=7.2)),
            two_lines(time_text(incident.started_at, content.site_zone), f"{length}, {state}"),
            f"{ratio_text(incident.error_ratio)} ×",
            lambda sheet, box: _draw_spark(sheet, box, incident),
            str(numbers[key]) if key in numbers else "–",
        ],
        link=key if key in numbers else None,
    )


def suppressed_blocks(content: ReportContent, limits: Limits, width: float) -> list[Block]:
    """Incidents inside maintenance windows, in the order of time; nothing where there are none."""
    if not content.suppressed:
        return []
    shown, n_all = content.suppressed[: limits.n_incidents], len(content.suppressed)
    intro = (
        f"{_of(len(shown), n_all, 'incident')} wholly inside maintenance windows. "
        "They are not counted above, and nobody was told."
    )
    rows = [_suppressed_row(row, content.site_zone) for row in shown]
    return [
        heading("Suppressed by maintenance"),
        paragraph(intro, width, keep_with_next=True),
        *table_blocks(_SUPPRESSED_COLUMNS, rows, width),
    ]


def _suppressed_row(row: SuppressedRow, zone: str) -> Row:
    return Row(
        [
            span_text(row.started_at, row.last_flag_at, zone),
            row.entity,
            row.severity.lower(),
            row.window,
        ]
    )


def severity_cell(severity: Severity, below: str) -> Cell:
    """Shape and word of a severity over an id."""

    def draw(sheet: Sheet, box: Box) -> None:
        draw_severity(
            sheet, box.x, box.y + box.height / 2 - 1.5, severity, replace(CELL, bold=True)
        )
        sheet.cut(box.x, box.y + box.height / 2 + 7.5, below, SMALL, box.width)

    return draw


def _draw_spark(sheet: Sheet, box: Box, incident: IncidentPage) -> None:
    seconds = unix_s(incident.scores.times)
    if len(seconds) == 0:
        sheet.hatch(box.x, box.y + 4, box.width, box.height - 8)
        return
    start_s, end_s = float(seconds[0]), max(float(seconds[-1]), float(seconds[0]) + 600)
    draw_sparkline(
        sheet,
        Frame(box.x + 2, box.y + 4, box.width - 4, box.height - 8, start_s, end_s),
        incident.scores,
    )


def anomaly_blocks(content: ReportContent, limits: Limits, width: float) -> list[Block]:
    """The anomalies with the highest scores, in the order of time, and where the others are."""
    shown = highest_scores(content.anomalies, limits.n_anomalies)
    n_all = max(content.n_anomalies, len(content.anomalies))
    blocks = [
        heading("Anomalies"),
        paragraph(_anomaly_intro(len(shown), n_all, content), width, keep_with_next=bool(shown)),
    ]
    rows = [_anomaly_row(row, content.site_zone) for row in shown]
    return blocks + table_blocks(_ANOMALY_COLUMNS, rows, width, TableLook(12, _DENSE, 8))


def _anomaly_intro(n_shown: int, n_all: int, content: ReportContent) -> str:
    if n_all == 0:
        return quiet_sentence(
            content.headline.n_hours_scored,
            content.headline.n_hours_expected,
            content.headline.highest_ratio,
        ).replace("incidents", "anomalies")
    meaning = (
        "Score is (error − threshold) / threshold: high above 1.0, medium above 0.5, low above 0."
    )
    if n_shown == n_all:
        return f"{counted(n_all, 'anomaly', 'anomalies')}, in the order of time. {meaning}"
    return (
        f"The {count_text(n_shown)} highest scores of {count_text(n_all)} anomalies, in the order "
        f"of time. {meaning}"
        " All of them are in the SQL view tsad.v_anomaly."
    )


def _anomaly_row(row: AnomalyRow, zone: str) -> Row:
    spread = half_width(row.lower, row.upper)
    return Row(
        [
            time_text(row.at, zone),
            row.entity,
            lambda sheet, box: _draw_severity_word(sheet, box, row),
            ratio_text(row.score),
            f"{figure_text(row.error)} / {figure_text(row.threshold)}",
            row.channel or "–",
            value_text(row.actual, row.unit, spread) if row.channel else "–",
            expected_text(row.expected, row.lower, row.upper) if row.channel else "–",
            row.incident_id or "–",
        ]
    )


def _draw_severity_word(sheet: Sheet, box: Box, row: AnomalyRow) -> None:
    draw_severity(sheet, box.x, box.y + box.height / 2 + 2.7, row.severity, _DENSE)
