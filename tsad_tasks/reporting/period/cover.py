"""The first page: what the period held, where and when, and what to look at first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta

import numpy as np

from tsad_tasks.base.enums import Severity
from tsad_tasks.reporting.drawing.charts import Frame, draw_time_grid, draw_time_labels
from tsad_tasks.reporting.drawing.fonts import width_of
from tsad_tasks.reporting.drawing.marks import (
    MISSING_ENTRY,
    draw_legend,
    draw_severity,
    severity_entry,
)
from tsad_tasks.reporting.drawing.plan import PageNumbers, bottom_of
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.drawing.theme import (
    BODY,
    CELL,
    GRID,
    HEADING,
    INK,
    MUTED,
    SEVERITY_MARKS,
    SMALL,
    STRONG,
    TextStyle,
)
from tsad_tasks.reporting.drawing.tiles import draw_tiles
from tsad_tasks.reporting.period.content import IncidentPage, ReportContent
from tsad_tasks.reporting.period.listings import incident_key
from tsad_tasks.reporting.period.ranking import look_first, worst_first
from tsad_tasks.text.formats import (
    NO_DATA,
    count_text,
    counted,
    duration_text,
    figure_text,
    joined,
    period_text,
    ratio_text,
    share_text,
    span_text,
    stamp_text,
    time_text,
    zone_of,
    zone_text,
)
from tsad_tasks.text.sentence import quiet_sentence

_NAME = TextStyle(24, bold=True)
_LEAD = TextStyle(10.5, bold=True)
_N_STRIP_ROWS = 14
_N_FIRST = 10
_STRIP_LABEL_WIDTH = 100.0


def draw_cover(
    sheet: Sheet, content: ReportContent, sections: Sequence[tuple[str, str]], numbers: PageNumbers
) -> None:
    """Draws the cover; `sections` are (key, title) of the parts that follow."""
    y = _draw_title(sheet, content)
    y = draw_tiles(sheet, _tiles(content), y + 6, height=74, first=52, leading=11)
    y = sheet.paragraph(sheet.left, y + 24, lead_sentence(content), _LEAD, sheet.inner_width, 4)
    y = _draw_strip(sheet, content, y + 8)
    contents_y = bottom_of(sheet) - 12
    _draw_look_first(sheet, content, numbers, y + 18, contents_y - 14)
    _draw_sections(sheet, sections, numbers, contents_y)


def _draw_title(sheet: Sheet, content: ReportContent) -> float:
    zone = f"times in {zone_text(content.site_zone, content.start_at, content.end_at)}"
    used = sheet.text(sheet.right, 56, zone, replace(BODY, size=8), "right")
    sheet.cut(
        sheet.left, 56, content.title, TextStyle(11, colour=MUTED), sheet.inner_width - used - 20
    )
    y = sheet.paragraph(sheet.left, 85, content.dataset, _NAME, sheet.inner_width, 2, 1.15)
    period = period_text(content.start_at, content.end_at, content.site_zone)
    sheet.cut(sheet.left, y - 8, period, TextStyle(13), sheet.inner_width)
    made = f"Generated {stamp_text(content.generated_at, content.site_zone)}"
    until = (
        f" from readings up to {time_text(content.data_until, content.site_zone)}"
        if content.data_until
        else ""
    )
    about = f"{content.description}. " if content.description else ""
    return sheet.paragraph(sheet.left, y + 7, f"{about}{made}{until}.", BODY, sheet.inner_width, 3)


def _tiles(content: ReportContent) -> list[tuple[str, str, list[str]]]:
    """Figure, its name, and lines that explain it."""
    head = content.headline
    by_severity = ", ".join(
        f"{head.n_incidents.get(s, 0)} {SEVERITY_MARKS[s].word.lower()}" for s in reversed(Severity)
    )
    share = head.n_hours_scored / head.n_hours_expected if head.n_hours_expected else None
    hours = f"{count_text(head.n_hours_scored)} of {counted(head.n_hours_expected, 'hour')}"
    unjudged = (
        f"{count_text(head.n_unjudged)} without a verdict" if head.n_unjudged is not None else ""
    )
    highest = (
        f"highest error {ratio_text(head.highest_ratio)} × thr."
        if head.highest_ratio is not None
        else ""
    )
    return [
        (
            count_text(head.n_all_incidents),
            _noun(head.n_all_incidents),
            [by_severity, _budget_text(content)],
        ),
        (count_text(head.n_open), "still open", [unjudged, highest]),
        (
            share_text(share),
            "of hours scored",
            [hours, counted(head.n_entities, "entity", "entities")],
        ),
        (
            _short_count(head.n_readings),
            "readings",
            [_exact(head.n_readings), _findings(len(content.quality))],
        ),
    ]


def _noun(n: int) -> str:
    return "incident" if n == 1 else "incidents"


def _findings(n: int) -> str:
    return f"{counted(n, 'finding')} on data quality" if n else "no findings on data quality"


def _budget_text(content: ReportContent) -> str:
    budget, n = content.headline.alarm_budget, content.headline.n_all_incidents
    if budget is None:
        return ""
    shown = figure_text(budget) if budget % 1 else count_text(int(budget))
    return f"alarm budget {shown}: {'exceeded' if n > budget else 'kept'}"


def _short_count(n: int) -> str:
    for limit, name in ((10**9, "G"), (10**6, "M"), (10**5, "k")):
        if n >= limit:
            return f"{figure_text(n / (1000 if name == 'k' else limit))} {name}"
    return count_text(n)


def _exact(n: int) -> str:
    return counted(n, "reading") if n >= 10**5 else ""


def lead_sentence(content: ReportContent) -> str:
    """The period in one or two sentences."""
    head = content.headline
    if head.n_all_incidents == 0:
        return quiet_sentence(head.n_hours_scored, head.n_hours_expected, head.highest_ratio)
    severity = next(s for s in reversed(Severity) if head.n_incidents.get(s, 0))
    where = _entities_of(content.incidents, severity)
    n = head.n_incidents[severity]
    first = f"{counted(n, f'{SEVERITY_MARKS[severity].word.lower()} incident')}{f' on {where}' if where else ''}"
    still = (
        f"; {count_text(head.n_open)} of {count_text(head.n_all_incidents)} still open"
        if head.n_open
        else "; none still open"
    )
    return f"{first}{still}.{_unscored_text(head.n_hours_expected - head.n_hours_scored)}"


def _entities_of(incidents: Sequence[IncidentPage], severity: Severity) -> str:
    names = list(
        dict.fromkeys(one.entity for one in worst_first(incidents) if one.severity == severity)
    )
    more = (
        [f"{counted(len(names) - 3, 'other entity', 'other entities')}"] if len(names) > 3 else []
    )
    return joined(names[:3] + more)


def _unscored_text(n_hours: int) -> str:
    return (
        f" {counted(n_hours, 'hour')} could not be scored; nothing is known about them."
        if n_hours > 0
        else ""
    )


def _draw_strip(sheet: Sheet, content: ReportContent, y: float) -> float:
    """A row per entity, a bar per incident; bars differ in height and shape by severity."""
    names = _strip_entities(content)
    if not names:
        return y
    sheet.text(sheet.left, y + 8, "When and where", HEADING)
    row_height = 15.0 if len(names) > 8 else 18.0
    x = sheet.left + _STRIP_LABEL_WIDTH
    start_s, end_s = content.start_at.timestamp(), content.end_at.timestamp()
    frame = Frame(x, y + 18, sheet.right - x, row_height * len(names), start_s, end_s)
    draw_time_grid(sheet, frame, frame.ticks(content.site_zone))
    for i, name in enumerate(names):
        _draw_strip_row(sheet, content, name, frame.lowered(frame.y + i * row_height, row_height))
    draw_time_labels(sheet, frame, frame.bottom + 9, content.site_zone)
    entries = [severity_entry(severity) for severity in reversed(Severity)] + [
        replace(MISSING_ENTRY, name="share of the day not scored")
    ]
    bottom = draw_legend(sheet, frame.bottom + 22, entries, x)
    _draw_strip_rest(sheet, content, len(names), frame.bottom + 22)
    return bottom


def _strip_entities(content: ReportContent) -> list[str]:
    """Entities with incidents, worst first, then those with hours unscored, then the others."""
    ranked = [one.entity for one in worst_first(content.incidents)]
    by_lack = sorted(
        content.coverage.entities,
        key=lambda one: (one.n_hours_scored - one.n_hours_expected, one.entity),
    )
    return list(dict.fromkeys(ranked + [one.entity for one in by_lack]))[:_N_STRIP_ROWS]


def _draw_strip_rest(sheet: Sheet, content: ReportContent, n_shown: int, y: float) -> None:
    n_all = max(content.headline.n_entities, n_shown)
    if n_shown < n_all:
        sheet.cut(
            sheet.left, y, f"{n_shown} of {count_text(n_all)} entities", SMALL, _STRIP_LABEL_WIDTH
        )


def _draw_strip_row(sheet: Sheet, content: ReportContent, name: str, frame: Frame) -> None:
    sheet.cut(sheet.left, frame.y + frame.height / 2 + 2.7, name, CELL, _STRIP_LABEL_WIDTH - 8)
    sheet.line(frame.x, frame.bottom, frame.x + frame.width, frame.bottom, GRID, 0.5)
    _draw_unscored_days(sheet, content, name, frame)
    mine = [one for one in content.incidents if one.entity == name]
    for incident in reversed(worst_first(mine)):
        _draw_bar(sheet, content, incident, frame)


def _draw_unscored_days(sheet: Sheet, content: ReportContent, name: str, frame: Frame) -> None:
    """Hatches each day as high as the share of it that has no score."""
    edges = [frame.clip(start_s) for start_s in _day_starts(content)]
    for entity in content.coverage.entities:
        if entity.entity == name:
            for i in np.flatnonzero(entity.day_shares < 0.999):
                height = max((1 - float(entity.day_shares[i])) * (frame.height - 2), 1.5)
                sheet.hatch(edges[i], frame.bottom - height, edges[i + 1] - edges[i], height)


def _day_starts(content: ReportContent) -> list[float]:
    """The local midnights at which the days of the coverage begin, and the one at which the last
    day ends.
    """
    days = content.coverage.days
    ends = [*days, days[-1] + timedelta(days=1)] if days else []
    return [datetime.combine(day, time.min, zone_of(content.site_zone)).timestamp() for day in ends]


def _draw_bar(sheet: Sheet, content: ReportContent, incident: IncidentPage, frame: Frame) -> None:
    mark = SEVERITY_MARKS[incident.severity]
    end = incident.ended_at or content.data_until or content.end_at
    left, right = frame.clip(incident.started_at.timestamp()), frame.clip(end.timestamp())
    height = (frame.height - 5) * mark.bar_share
    sheet.rect(left, frame.bottom - 1.5 - height, max(right - left, 1.5), height, fill=mark.colour)
    sheet.marker(mark.shape, left, frame.y + 4, 6.5, (1, 1, 1))
    sheet.marker(mark.shape, left, frame.y + 4, 5.5, mark.colour)


def _draw_look_first(
    sheet: Sheet, content: ReportContent, numbers: PageNumbers, y: float, bottom: float
) -> None:
    ranked = look_first(content.incidents)
    if not ranked or y + 50 > bottom:
        return
    sheet.text(sheet.left, y + 8, "Look at these first", HEADING)
    y += 20
    for incident in ranked[:_N_FIRST]:
        if y + 30 > bottom:
            return
        y = _draw_entry(sheet, content, incident, numbers, y)


def _draw_entry(
    sheet: Sheet, content: ReportContent, incident: IncidentPage, numbers: PageNumbers, y: float
) -> float:
    key, room = incident_key(incident), sheet.inner_width - 120
    draw_severity(sheet, sheet.left, y + 7, incident.severity, STRONG)
    sheet.cut(sheet.left, y + 17, incident.incident_id, SMALL, 62)
    sheet.cut(sheet.left + 68, y + 7, incident.sentence, STRONG, room + 20)
    sheet.cut(sheet.left + 68, y + 17, _entry_text(content, incident), SMALL, room)
    if key in numbers:
        sheet.text(sheet.right, y + 7, f"page {numbers[key]}", CELL, "right")
        sheet.link(key, sheet.left, y - 2, sheet.inner_width, 22)
    sheet.line(sheet.left, y + 22, sheet.right, y + 22, GRID, 0.5)
    return y + 27


def _entry_text(content: ReportContent, incident: IncidentPage) -> str:
    end = incident.ended_at or content.data_until or content.end_at
    length = duration_text(max(0.0, (end - incident.started_at).total_seconds()))
    return " · ".join(
        [
            "still open" if incident.state == "open" else "closed",
            f"{span_text(incident.started_at, incident.ended_at, content.site_zone)} ({length})",
            f"error {ratio_text(incident.error_ratio)} × its threshold",
            incident.verdict or "no verdict yet",
        ]
    )


def _draw_sections(
    sheet: Sheet, sections: Sequence[tuple[str, str]], numbers: PageNumbers, y: float
) -> None:
    x = sheet.left
    for key, title in sections:
        text = f"{title}  {numbers.get(key, NO_DATA)}"
        if x + width_of(text, CELL) > sheet.right:
            x, y = sheet.left, y + 12
        width = sheet.text(x, y, text, replace(CELL, colour=INK))
        sheet.link(key, x - 2, y - 9, width + 4, 12)
        x += width + 18
