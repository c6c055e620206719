"""Tables of incidents and of anomalies."""

from __future__ import annotations

from dataclasses import replace

from tsad_tasks.reporting.drawing import flow
from tsad_tasks.reporting.drawing.charts import Frame, draw_sparkline
from tsad_tasks.reporting.drawing.marks import draw_severity
from tsad_tasks.reporting.drawing.scales import unix_s
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.drawing.theme import CELL, SMALL
from tsad_tasks.reporting.period.content import AnomalyRow, IncidentPage, ReportContent
from tsad_tasks.reporting.period.ranking import ReportLimits, highest_scores, worst_first
from tsad_tasks.reporting.period.strip import strip_blocks
from tsad_tasks.text import formats
from tsad_tasks.text.sentence import quiet_sentence
from tsad_tasks.text.words import verdict_title

_INCIDENT_COLUMNS = (
    flow.TableColumn("Severity", width=62),
    flow.TableColumn("What happened", 0.5),
    flow.TableColumn("When", width=116),
    *flow.figure_columns("Peak, ×"),
    flow.TableColumn("Error, threshold", width=80),
    *flow.figure_columns("Page"),
)
_INCIDENT_LOOK = flow.TableLook(25, gap=9)
# The heading, up to three lines of text, and the table's own head.
_LIST_HEAD = 23 + 3 * 12.4 + 5 + 15
_SENTENCE = replace(CELL, size=7.2)
_DENSE = replace(CELL, size=7)
_ANOMALY_COLUMNS = (
    flow.TableColumn("Time"),
    flow.TableColumn("Machine", 0.4),
    flow.TableColumn("Severity", width=44),
    *flow.figure_columns("× threshold", "Error / limit"),
    flow.TableColumn("Channel", 0.6),
    *flow.figure_columns("Actual", "Expected"),
    flow.TableColumn("Incident"),
)
_SUPPRESSED_COLUMNS = (
    flow.TableColumn("When", width=130),
    flow.TableColumn("Machine", 0.3),
    flow.TableColumn("Severity", width=60),
    flow.TableColumn("Maintenance window", 0.7),
)
_SCALE = "Their error by the threshold: low from 1, medium from 1.5, high from 2 ×."


def incident_blocks(
    content: ReportContent, limits: ReportLimits, numbers: flow.PageNumbers, sheet: Sheet
) -> list[flow.Block]:
    """Machines along time, and incidents, worst first, one row each with its errors in small.

    Without a limit of rows there are as many as the page holds.
    """
    strips = strip_blocks(content, limits.n_strips)
    ranked, n_most = worst_first(content.incidents), limits.n_incidents
    if n_most is None:
        used = sum(block.height for block in strips) + _LIST_HEAD
        n_most = int((flow.room_of(sheet) - used) / _INCIDENT_LOOK.row_height)
    shown = ranked[:n_most]
    n_all = max(content.headline.n_all_incidents, len(ranked))
    intro = f"{_of(len(shown), n_all)}, worst first. Peak is the error by its threshold."
    if len(shown) < n_all:
        left_out = f"The other {formats.count_text(n_all - len(shown))}"
        intro += f" {left_out}: {where_else(content, 'incidents', 'tsad.v_incident')}."
    rows = [_incident_row(one, content, numbers) for one in shown]
    width = sheet.inner_width
    return [
        *strips,
        flow.heading("All incidents"),
        *flow.told_table(intro, _INCIDENT_COLUMNS, rows, width, _INCIDENT_LOOK),
    ]


def where_else(content: ReportContent, what: str, view: str) -> str:
    """Where the rows are that a list leaves out: a CSV file beside the PDF, or a view."""
    files = [name for name in content.beside if name.endswith(f"_{what}.csv")]
    return f"{files[0]}, beside this PDF" if files else f"SQL view {view}"


def _of(n_shown: int, n_all: int) -> str:
    all_of_them = formats.counted(n_all, "incident")
    return f"{formats.count_text(n_shown)} of {all_of_them}" if n_shown < n_all else all_of_them


def _incident_row(
    incident: IncidentPage, content: ReportContent, numbers: flow.PageNumbers
) -> flow.Row:
    def draw_name(sheet: Sheet, box: flow.Box) -> None:
        draw_severity(sheet, box.x, box.line(-1.5), incident.severity, replace(CELL, bold=True))
        sheet.cut(box.x, box.line(7.5), incident.incident_id, SMALL, box.width)

    def draw_errors(sheet: Sheet, box: flow.Box) -> None:
        seconds = unix_s(incident.scores.times)
        if len(seconds) == 0:
            sheet.hatch(box.x, box.y + 4, box.width, box.height - 8)
            return
        start_s, end_s = float(seconds[0]), max(float(seconds[-1]), float(seconds[0]) + 600)
        frame = Frame(box.x + 2, box.y + 4, box.width - 4, box.height - 8, start_s, end_s)
        draw_sparkline(sheet, frame, incident.scores)

    began = formats.time_text(incident.began_at, content.zone)
    length = formats.duration_text(content.length_s(incident))
    if incident.is_open:
        began, length = f"since {began}", f"{length} so far"
    verdict = verdict_title(incident.said).lower()
    what = incident.title
    if incident.headline:
        what += f" ({formats.joined(incident.entities)})"
    cells = [
        draw_name,
        flow.wrapped_cell(what, _SENTENCE),
        flow.two_lines(began, f"{length}, {verdict}"),
        formats.ratio_text(incident.error_ratio),
        draw_errors,
        str(numbers.get(incident.key, "–")),
    ]
    return flow.Row(cells, link=incident.key if incident.key in numbers else None)


def suppressed_blocks(
    content: ReportContent, limits: ReportLimits, width: float
) -> list[flow.Block]:
    """Incidents inside maintenance windows, in the order of time; nothing where there are none."""
    if not content.suppressed:
        return []
    shown, n_all = content.suppressed[: limits.n_suppressed], len(content.suppressed)
    intro = (
        f"{_of(len(shown), n_all)} wholly inside maintenance windows. "
        "They are not counted above, and nobody was told."
    )
    rows = []
    for one in shown:
        when = formats.span_text(one.started_at, one.ended_at, content.zone)
        rows.append([when, one.entity, one.severity.lower(), one.window])
    return [
        flow.heading("Suppressed by maintenance"),
        *flow.told_table(intro, _SUPPRESSED_COLUMNS, rows, width),
    ]


def anomaly_blocks(content: ReportContent, limits: ReportLimits, width: float) -> list[flow.Block]:
    """The strangest flagged readings, in the order of time, and where the others are."""
    shown, head = highest_scores(content.anomalies, limits.n_anomalies), content.headline
    n_all = max(content.n_anomalies, len(content.anomalies))
    if n_all == 0:
        quiet = quiet_sentence(head.n_hours_scored, head.n_hours_expected, head.highest_ratio)
        intro = " ".join([quiet.replace("incidents", "flagged readings"), *content.no_champion[:1]])
    elif len(shown) == n_all:
        anomalies = formats.counted(n_all, "flagged reading")
        intro = f"{anomalies}, in the order of time. {_SCALE}"
    else:
        n_shown, n = (formats.count_text(n) for n in (len(shown), n_all))
        intro = f"The strangest {n_shown} of {n} flagged readings, in the order of time. "
        intro += f"{_SCALE} More: {where_else(content, 'anomalies', 'tsad.v_anomaly')}."
    rows = [_anomaly_row(row, content.zone) for row in shown]
    return [
        flow.heading("Flagged readings"),
        *flow.told_table(intro, _ANOMALY_COLUMNS, rows, width, flow.TableLook(12, _DENSE, 8)),
    ]


def _anomaly_row(row: AnomalyRow, zone: str) -> flow.Row:
    actual = expected = "–"
    if row.channel:
        actual = formats.value_text(row.actual, row.unit, formats.half_width(row.lower, row.upper))
        expected = formats.expected_text(row.expected, row.lower, row.upper)
    return flow.Row(
        [
            formats.time_text(row.at, zone),
            row.entity,
            lambda sheet, box: draw_severity(sheet, box.x, box.line(), row.severity, _DENSE),
            formats.ratio_text(row.times_threshold),
            f"{formats.figure_text(row.error)} / {formats.figure_text(row.threshold)}",
            row.channel or "–",
            actual,
            expected,
            row.incident_id or "–",
        ]
    )
