"""Machines along time: a row for each, a bar for each incident, hatched where nothing is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta

import numpy as np

from tsad_tasks.reporting.drawing import flow, marks, theme
from tsad_tasks.reporting.drawing.charts import Frame, draw_time_grid, draw_time_labels
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.period.content import ReportContent
from tsad_tasks.reporting.period.ranking import worst_first
from tsad_tasks.text import formats

_LABEL_WIDTH = 100.0
ROW_HEIGHT = 16.0
_NOT_SCORED_ENTRY = replace(marks.MISSING_ENTRY, name="share of the day not scored")


def strip_blocks(content: ReportContent, n_most: int) -> list[flow.Block]:
    """Machines with incidents first, then those with hours unscored, then others; or nothing."""
    ranked, covered = worst_first(content.every_incident), content.coverage.entities
    by_lack = sorted(
        covered, key=lambda one: (one.n_hours_scored - one.n_hours_expected, one.entity)
    )
    every = dict.fromkeys([one.entity for one in ranked] + [one.entity for one in by_lack])
    names = list(every)[:n_most]
    if not names:
        return []
    n_all = max(content.headline.n_entities, len(names))

    def draw(sheet: Sheet, y: float) -> None:
        x = sheet.left + _LABEL_WIDTH
        ends = content.start_at.timestamp(), content.end_at.timestamp()
        frame = Frame(x, y, sheet.right - x, ROW_HEIGHT * len(names), *ends)
        draw_time_grid(sheet, frame, frame.ticks(content.zone))
        for i, name in enumerate(names):
            _draw_row(sheet, content, name, frame.lowered(y + i * ROW_HEIGHT, ROW_HEIGHT))
        draw_time_labels(sheet, frame, frame.bottom + 9, content.zone)
        entries = [*map(marks.severity_entry, theme.SEVERITY_MARKS), _NOT_SCORED_ENTRY]
        marks.draw_legend(sheet, frame.bottom + 22, entries, x)
        if len(names) < n_all:
            rest = f"{len(names)} of {formats.counted(n_all, 'machine')}"
            sheet.cut(sheet.left, frame.bottom + 22, rest, theme.SMALL, _LABEL_WIDTH)

    return [
        flow.heading("When and where"),
        flow.Block(ROW_HEIGHT * len(names) + 28, draw),
        flow.gap(10),
    ]


def _draw_row(sheet: Sheet, content: ReportContent, name: str, frame: Frame) -> None:
    """A machine's incidents, the worst on top; days hatched by their share without a score."""
    middle = frame.y + frame.height / 2 + 2.7
    sheet.cut(sheet.left, middle, name, theme.CELL, _LABEL_WIDTH - 8)
    sheet.line(frame.x, frame.bottom, frame.x + frame.width, frame.bottom, theme.GRID, 0.5)
    days, zone = content.coverage.days, formats.zone_of(content.zone)
    midnights = [*days, days[-1] + timedelta(days=1)] if days else []
    edges = [frame.clip(datetime.combine(day, time.min, zone).timestamp()) for day in midnights]
    for entity in content.coverage.entities:
        if entity.entity == name:
            for i in np.flatnonzero(entity.day_shares < 0.999):
                height = max((1 - float(entity.day_shares[i])) * (frame.height - 2), 1.5)
                sheet.hatch(edges[i], frame.bottom - height, edges[i + 1] - edges[i], height)
    own = [one for one in content.every_incident if one.entity == name]
    for incident in reversed(worst_first(own)):
        mark = theme.SEVERITY_MARKS[incident.severity]
        left = frame.clip(incident.started_at.timestamp())
        width = max(frame.clip(content.end_of(incident).timestamp()) - left, 1.5)
        height = (frame.height - 5) * mark.bar_share
        sheet.rect(left, frame.bottom - 1.5 - height, width, height, fill=mark.colour)
        sheet.marker(mark.shape, left, frame.y + 4, 6.5, theme.PAPER)
        sheet.marker(mark.shape, left, frame.y + 4, 5.5, mark.colour)
