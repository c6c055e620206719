"""The first page: what the period held, where and when, and what to look at first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta

import numpy as np

from tsad_tasks.reporting.drawing import marks, theme
from tsad_tasks.reporting.drawing.charts import Frame, draw_time_grid, draw_time_labels
from tsad_tasks.reporting.drawing.document import draw_name
from tsad_tasks.reporting.drawing.flow import PageNumbers, bottom_of
from tsad_tasks.reporting.drawing.fonts import width_of
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.period.content import ReportContent
from tsad_tasks.reporting.period.ranking import look_first, worst_first
from tsad_tasks.text import formats
from tsad_tasks.text.sentence import quiet_sentence

_NAME = theme.TextStyle(24, bold=True)
_PERIOD = theme.TextStyle(13)
_LEAD = theme.TextStyle(10.5, bold=True)
_N_STRIP_ROWS = 14
_N_FIRST = 10
_STRIP_LABEL_WIDTH = 100.0
_NOT_SCORED_ENTRY = replace(marks.MISSING_ENTRY, name="share of the day not scored")


def draw_cover(
    sheet: Sheet, content: ReportContent, sections: Sequence[tuple[str, str]], numbers: PageNumbers
) -> None:
    """Draws the cover; `sections` are (key, title) of the parts that follow."""
    zone, period = content.zone, formats.period_text(content.start_at, content.end_at, content.zone)
    y = draw_name(sheet, content, content.title, content.dataset, _NAME)
    sheet.cut(sheet.left, y - 8, period, _PERIOD, sheet.inner_width)
    made = f"Generated {formats.stamp_text(content.generated_at, zone)}"
    if content.data_until:
        made += f" from readings up to {formats.time_text(content.data_until, zone)}"
    about = f"{content.description}. " if content.description else ""
    y = sheet.paragraph(sheet.left, y + 7, f"{about}{made}.", theme.BODY, sheet.inner_width, 3)
    y = marks.draw_tiles(sheet, _tiles(content), y + 6, height=74, first=52, leading=11)
    y = sheet.paragraph(sheet.left, y + 24, lead_sentence(content), _LEAD, sheet.inner_width, 4)
    y = _draw_strip(sheet, content, y + 8)
    contents_y = bottom_of(sheet) - 12
    _draw_look_first(sheet, content, numbers, y + 18, contents_y - 14)
    x = sheet.left
    for key, title in sections:
        text = f"{title}  {numbers.get(key, formats.NO_DATA)}"
        if x + width_of(text, theme.CELL) > sheet.right:
            x, contents_y = sheet.left, contents_y + 12
        width = sheet.text(x, contents_y, text, theme.CELL)
        sheet.link(key, x - 2, contents_y - 9, width + 4, 12)
        x += width + 18


def _tiles(content: ReportContent) -> list[marks.Tile]:
    head, n_findings = content.headline, len(content.quality)
    counts = [
        f"{head.n_incidents.get(severity, 0)} {mark.word.lower()}"
        for severity, mark in theme.SEVERITY_MARKS.items()
    ]
    budget, unjudged, highest, exact = "", "", "", ""
    if head.alarm_budget is not None:
        shown = formats.figure_text(head.alarm_budget)
        if head.alarm_budget % 1 == 0:
            shown = formats.count_text(int(head.alarm_budget))
        is_kept = head.n_all_incidents <= head.alarm_budget
        budget = f"alarm budget {shown}: {'kept' if is_kept else 'exceeded'}"
    if head.n_unjudged is not None:
        unjudged = f"{formats.count_text(head.n_unjudged)} without a verdict"
    if head.highest_ratio is not None:
        highest = f"highest error {formats.ratio_text(head.highest_ratio)} × thr."
    readings = formats.count_text(head.n_readings)
    if head.n_readings >= 10**5:
        exact = formats.counted(head.n_readings, "reading")
        units = ((10**9, "G"), (10**6, "M"), (10**3, "k"))
        n, letter = next(unit for unit in units if head.n_readings >= unit[0])
        readings = f"{formats.figure_text(head.n_readings / n)} {letter}"
    incidents = "incident" if head.n_all_incidents == 1 else "incidents"
    hours = formats.counted(head.n_hours_expected, "hour")
    hours = f"{formats.count_text(head.n_hours_scored)} of {hours}"
    entities = formats.counted(head.n_entities, "entity")
    findings = (
        f"{formats.counted(n_findings, 'finding') if n_findings else 'no findings'} on data quality"
    )
    return [
        (formats.count_text(head.n_all_incidents), incidents, [", ".join(counts), budget]),
        (formats.count_text(head.n_open), "still open", [unjudged, highest]),
        (formats.share_text(head.scored_share), "of hours scored", [hours, entities]),
        (readings, "readings", [exact, findings]),
    ]


def lead_sentence(content: ReportContent) -> str:
    """The period in one or two sentences."""
    head = content.headline
    if head.n_all_incidents == 0:
        quiet = quiet_sentence(head.n_hours_scored, head.n_hours_expected, head.highest_ratio)
        return " ".join([quiet, *content.no_champion[:1]])
    worst = next(one for one in theme.SEVERITY_MARKS if head.n_incidents.get(one, 0))
    ranked = worst_first(content.incidents)
    names = list(dict.fromkeys(one.entity for one in ranked if one.severity == worst))
    where = names[:3]
    if len(names) > 3:
        where.append(formats.counted(len(names) - 3, "other entity"))
    text = formats.counted(
        head.n_incidents[worst], f"{theme.SEVERITY_MARKS[worst].word.lower()} incident"
    )
    text += f" on {formats.joined(where)}" if where else ""
    still = f"{formats.count_text(head.n_open)} of {formats.count_text(head.n_all_incidents)}"
    text += f"; {still if head.n_open else 'none'} still open."
    n_unscored = head.n_hours_expected - head.n_hours_scored
    if n_unscored > 0:
        hours = formats.counted(n_unscored, "hour")
        text += f" {hours} could not be scored; nothing is known about them."
    return " ".join([text, *content.no_champion[:1]])


def _draw_strip(sheet: Sheet, content: ReportContent, y: float) -> float:
    """A row per entity, a bar per incident; bars differ in height and shape by severity.

    Entities with incidents come first, then those with hours unscored, then the others.
    """
    ranked, covered = worst_first(content.incidents), content.coverage.entities
    by_lack = sorted(
        covered, key=lambda one: (one.n_hours_scored - one.n_hours_expected, one.entity)
    )
    every = dict.fromkeys([one.entity for one in ranked] + [one.entity for one in by_lack])
    names = list(every)[:_N_STRIP_ROWS]
    if not names:
        return y
    sheet.text(sheet.left, y + 8, "When and where", theme.HEADING)
    row_height = 15.0 if len(names) > 8 else 18.0
    x = sheet.left + _STRIP_LABEL_WIDTH
    start_s, end_s = content.start_at.timestamp(), content.end_at.timestamp()
    frame = Frame(x, y + 18, sheet.right - x, row_height * len(names), start_s, end_s)
    draw_time_grid(sheet, frame, frame.ticks(content.zone))
    for i, name in enumerate(names):
        _draw_strip_row(sheet, content, name, frame.lowered(frame.y + i * row_height, row_height))
    draw_time_labels(sheet, frame, frame.bottom + 9, content.zone)
    entries = [*map(marks.severity_entry, theme.SEVERITY_MARKS), _NOT_SCORED_ENTRY]
    bottom = marks.draw_legend(sheet, frame.bottom + 22, entries, x)
    n_all = max(content.headline.n_entities, len(names))
    if len(names) < n_all:
        rest = f"{len(names)} of {formats.count_text(n_all)} entities"
        sheet.cut(sheet.left, frame.bottom + 22, rest, theme.SMALL, _STRIP_LABEL_WIDTH)
    return bottom


def _draw_strip_row(sheet: Sheet, content: ReportContent, name: str, frame: Frame) -> None:
    """An entity's incidents, the worst on top; days hatched by their share without a score."""
    sheet.cut(
        sheet.left, frame.y + frame.height / 2 + 2.7, name, theme.CELL, _STRIP_LABEL_WIDTH - 8
    )
    sheet.line(frame.x, frame.bottom, frame.x + frame.width, frame.bottom, theme.GRID, 0.5)
    days, zone = content.coverage.days, formats.zone_of(content.zone)
    midnights = [*days, days[-1] + timedelta(days=1)] if days else []
    edges = [frame.clip(datetime.combine(day, time.min, zone).timestamp()) for day in midnights]
    for entity in content.coverage.entities:
        if entity.entity == name:
            for i in np.flatnonzero(entity.day_shares < 0.999):
                height = max((1 - float(entity.day_shares[i])) * (frame.height - 2), 1.5)
                sheet.hatch(edges[i], frame.bottom - height, edges[i + 1] - edges[i], height)
    for incident in reversed(worst_first([one for one in content.incidents if one.entity == name])):
        mark = theme.SEVERITY_MARKS[incident.severity]
        left = frame.clip(incident.started_at.timestamp())
        width = max(frame.clip(content.end_of(incident).timestamp()) - left, 1.5)
        height = (frame.height - 5) * mark.bar_share
        sheet.rect(left, frame.bottom - 1.5 - height, width, height, fill=mark.colour)
        sheet.marker(mark.shape, left, frame.y + 4, 6.5, theme.PAPER)
        sheet.marker(mark.shape, left, frame.y + 4, 5.5, mark.colour)


def _draw_look_first(
    sheet: Sheet, content: ReportContent, numbers: PageNumbers, y: float, bottom: float
) -> None:
    ranked, room = look_first(content.incidents), sheet.inner_width - 120
    if content.no_champion[1:] and not ranked:
        sheet.text(sheet.left, y + 8, "Why nothing is scored", theme.HEADING)
        y += 20
        for line in content.no_champion[1:]:
            if y < bottom:
                y = sheet.paragraph(sheet.left, y, line, theme.BODY, sheet.inner_width, 3)
    if not ranked or y + 50 > bottom:
        return
    sheet.text(sheet.left, y + 8, "Look at these first", theme.HEADING)
    y += 20
    for incident in ranked[:_N_FIRST]:
        if y + 30 > bottom:
            return
        when = formats.span_text(incident.started_at, incident.ended_at, content.zone)
        parts = [
            "still open" if incident.state == "open" else "closed",
            f"{when} ({formats.duration_text(content.length_s(incident))})",
            f"error {formats.ratio_text(incident.error_ratio)} × its threshold",
            incident.verdict or "no verdict yet",
        ]
        marks.draw_severity(sheet, sheet.left, y + 7, incident.severity, theme.STRONG)
        sheet.cut(sheet.left, y + 17, incident.incident_id, theme.SMALL, 62)
        sheet.cut(sheet.left + 68, y + 7, incident.sentence, theme.STRONG, room + 20)
        sheet.cut(sheet.left + 68, y + 17, " · ".join(parts), theme.SMALL, room)
        if incident.key in numbers:
            sheet.text(sheet.right, y + 7, f"page {numbers[incident.key]}", theme.CELL, "right")
            sheet.link(incident.key, sheet.left, y - 2, sheet.inner_width, 22)
        sheet.line(sheet.left, y + 22, sheet.right, y + 22, theme.GRID, 0.5)
        y += 27
