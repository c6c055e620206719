"""Tables of incidents and of anomalies."""

from __future__ import annotations

from dataclasses import replace

from tsad_tasks.reporting.drawing.charts import Frame, draw_sparkline
from tsad_tasks.reporting.drawing.flow import (
    Block,
    Box,
    Row,
    TableColumn,
    TableLook,
    figure_columns,
    heading,
    told_table,
    two_lines,
    wrapped_cell,
)
from tsad_tasks.reporting.drawing.marks import draw_severity
from tsad_tasks.reporting.drawing.plan import PageNumbers
from tsad_tasks.reporting.drawing.scales import unix_s
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.drawing.theme import CELL, SMALL
from tsad_tasks.reporting.period.content import AnomalyRow, IncidentPage, ReportContent
from tsad_tasks.reporting.period.ranking import ReportLimits, highest_scores, worst_first
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
    *figure_columns("Peak"),
    TableColumn("Error, threshold", width=80),
    *figure_columns("Page"),
)
_SENTENCE = replace(CELL, size=7.2)
_DENSE = replace(CELL, size=7)
_ANOMALY_COLUMNS = (
    TableColumn("Time"),
    TableColumn("Entity", 0.4),
    TableColumn("Severity", width=44),
    *figure_columns("Score", "Error / limit"),
    TableColumn("Channel", 0.6),
    *figure_columns("Actual", "Expected"),
    TableColumn("Incident"),
)
_SUPPRESSED_COLUMNS = (
    TableColumn("First to last flag", width=130),
    TableColumn("Entity", 0.3),
    TableColumn("Severity", width=60),
    TableColumn("Maintenance window", 0.7),
)
_SCORE_MEANING = (
    "Score is (error − threshold) / threshold: high above 1.0, medium above 0.5, low above 0."
)


def incident_blocks(
    content: ReportContent, limits: ReportLimits, numbers: PageNumbers, width: float
) -> list[Block]:
    """All incidents, worst first, one row each with its errors in small."""
    ranked = worst_first(content.incidents)
    shown = ranked[: limits.n_incidents]
    n_all = max(content.headline.n_all_incidents, len(ranked))
    n_paged = sum(one.key in numbers for one in shown)
    intro = f"{_of(len(shown), n_all)}, worst first."
    if n_paged == len(shown):
        intro += " Each has its own page."
    else:
        intro += f" {count_text(n_paged)} of them have a page of their own."
    if len(shown) < n_all:
        intro += f" Not listed: {count_text(n_all - len(shown))}, in the SQL view tsad.v_incident."
    rows = [_incident_row(one, content, numbers) for one in shown]
    return [
        heading("All incidents"),
        *told_table(intro, _INCIDENT_COLUMNS, rows, width, TableLook(25, gap=9)),
    ]


def _of(n_shown: int, n_all: int) -> str:
    all_of_them = counted(n_all, "incident")
    return f"{count_text(n_shown)} of {all_of_them}" if n_shown < n_all else all_of_them


def _incident_row(incident: IncidentPage, content: ReportContent, numbers: PageNumbers) -> Row:
    def draw_name(sheet: Sheet, box: Box) -> None:
        draw_severity(sheet, box.x, box.line(-1.5), incident.severity, replace(CELL, bold=True))
        sheet.cut(box.x, box.line(7.5), incident.incident_id, SMALL, box.width)

    def draw_errors(sheet: Sheet, box: Box) -> None:
        seconds = unix_s(incident.scores.times)
        if len(seconds) == 0:
            sheet.hatch(box.x, box.y + 4, box.width, box.height - 8)
            return
        start_s, end_s = float(seconds[0]), max(float(seconds[-1]), float(seconds[0]) + 600)
        frame = Frame(box.x + 2, box.y + 4, box.width - 4, box.height - 8, start_s, end_s)
        draw_sparkline(sheet, frame, incident.scores)

    began = time_text(incident.started_at, content.zone)
    length = duration_text(content.length_s(incident))
    state = "open" if incident.state == "open" else (incident.verdict or "no verdict")
    cells = [
        draw_name,
        wrapped_cell(incident.sentence, _SENTENCE),
        two_lines(began, f"{length}, {state}"),
        f"{ratio_text(incident.error_ratio)} ×",
        draw_errors,
        str(numbers.get(incident.key, "–")),
    ]
    return Row(cells, link=incident.key if incident.key in numbers else None)


def suppressed_blocks(content: ReportContent, limits: ReportLimits, width: float) -> list[Block]:
    """Incidents inside maintenance windows, in the order of time; nothing where there are none."""
    if not content.suppressed:
        return []
    shown, n_all = content.suppressed[: limits.n_incidents], len(content.suppressed)
    intro = (
        f"{_of(len(shown), n_all)} wholly inside maintenance windows. "
        "They are not counted above, and nobody was told."
    )
    rows = []
    for one in shown:
        when = span_text(one.started_at, one.last_flag_at, content.zone)
        rows.append([when, one.entity, one.severity.lower(), one.window])
    return [
        heading("Suppressed by maintenance"),
        *told_table(intro, _SUPPRESSED_COLUMNS, rows, width),
    ]


def anomaly_blocks(content: ReportContent, limits: ReportLimits, width: float) -> list[Block]:
    """The anomalies with the highest scores, in the order of time, and where the others are."""
    shown, head = highest_scores(content.anomalies, limits.n_anomalies), content.headline
    n_all = max(content.n_anomalies, len(content.anomalies))
    if n_all == 0:
        quiet = quiet_sentence(head.n_hours_scored, head.n_hours_expected, head.highest_ratio)
        intro = quiet.replace("incidents", "anomalies")
    elif len(shown) == n_all:
        intro = f"{counted(n_all, 'anomaly', 'anomalies')}, in the order of time. {_SCORE_MEANING}"
    else:
        intro = (
            f"The {count_text(len(shown))} highest scores of {count_text(n_all)} anomalies, in the "
            f"order of time. {_SCORE_MEANING} All of them are in the SQL view tsad.v_anomaly."
        )
    rows = [_anomaly_row(row, content.zone) for row in shown]
    return [
        heading("Anomalies"),
        *told_table(intro, _ANOMALY_COLUMNS, rows, width, TableLook(12, _DENSE, 8)),
    ]


def _anomaly_row(row: AnomalyRow, zone: str) -> Row:
    actual = expected = "–"
    if row.channel:
        actual = value_text(row.actual, row.unit, half_width(row.lower, row.upper))
        expected = expected_text(row.expected, row.lower, row.upper)
    return Row(
        [
            time_text(row.at, zone),
            row.entity,
            lambda sheet, box: draw_severity(sheet, box.x, box.line(), row.severity, _DENSE),
            ratio_text(row.score),
            f"{figure_text(row.error)} / {figure_text(row.threshold)}",
            row.channel or "–",
            actual,
            expected,
            row.incident_id or "–",
        ]
    )
