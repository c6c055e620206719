"""The page of one incident: the sentence first, then the plots, then the figures by channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tsad_tasks.reporting.drawing import charts, marks, theme
from tsad_tasks.reporting.drawing.flow import (
    Box,
    Row,
    TableColumn,
    draw_blocks,
    figure_columns,
    table_blocks,
)
from tsad_tasks.reporting.drawing.fonts import width_of
from tsad_tasks.reporting.drawing.scales import unix_s, usual_step_s
from tsad_tasks.reporting.drawing.series import ChannelSeries
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.period.channel_figures import channel_figures
from tsad_tasks.reporting.period.content import IncidentPage
from tsad_tasks.text import formats
from tsad_tasks.text.sentence import n_carrying, shares_sentence
from tsad_tasks.text.words import verdict_title

_LABEL_WIDTH = 142.0
_LABEL_ROOM = _LABEL_WIDTH - 30
_N_PANELS = 3
_N_MEMBERS = 6
_PANEL_GAP = 12.0
_ERROR_PANEL_SHARE = 0.72
_ID_STYLE = theme.TextStyle(9, bold=True)
_WORST_STYLE = theme.TextStyle(10.5, bold=True)
_HEAT_STYLE = theme.TextStyle(7, colour=(0.075, 0.1, 0.15))
_COLUMNS = (
    TableColumn("Channel", 1.0),
    *figure_columns("Share", width=44),
    *figure_columns("Actual", width=70),
    *figure_columns("Expected", width=80),
    *figure_columns("Difference", width=54),
    *figure_columns("Worst at", width=58),
)
_MEMBERS = (
    TableColumn("Severity", width=52),
    TableColumn("What", 1.0, n_lines=2),
    TableColumn("When", width=104),
    *figure_columns("Peak, ×"),
    TableColumn("Verdict"),
)


@dataclass(frozen=True)
class PageLayout:
    """How one page's height is spent: plot heights in points and the numbers of rows."""

    error_height: float
    panel_height: float
    n_heat_rows: int
    heat_row_height: float
    n_table_rows: int


def draw_incident(
    sheet: Sheet, incident: IncidentPage, zone: str, until_s: float, top: float, bottom: float
) -> None:
    """Draws one incident between two heights; `until_s` stands in for the end of an open one."""
    started_s = incident.started_at.timestamp()
    ended_s = incident.ended_at.timestamp() if incident.ended_at else max(until_s, started_s)
    channels = by_share(incident.channels)
    page = _Drawing(sheet, incident, channels, zone, started_s, ended_s)
    y = page.draw_words(top)
    layout = layout_for(incident, bottom - y)
    frame = page.frame(y, layout.error_height)
    y = page.draw_panels(frame, layout.panel_height)
    y = page.draw_heat(frame, y, layout)
    charts.draw_time_labels(sheet, frame, y + 9, zone)
    main, heat = channels[:_N_PANELS], incident.heat
    entries = [marks.ACTUAL_ENTRY if main else marks.ERROR_ENTRY]
    entries += [marks.FLAGGED_ENTRY, marks.FIRST_FLAG_ENTRY, marks.THRESHOLD_ENTRY]
    if any(channel.lower is not None for channel in main):
        entries.append(marks.RANGE_ENTRY)
    if any(channel.expected is not None and channel.lower is None for channel in main):
        entries.append(marks.EXPECTED_ENTRY)
    entries += [marks.INCIDENT_ENTRY, marks.MISSING_ENTRY]
    if heat is not None and layout.n_heat_rows:
        scale = f"0 to {formats.figure_text(heat.highest)}, square-root scale"
        entries.append(
            marks.ramp_entry(
                f"error per {formats.duration_text(heat.bucket_s)}, {scale}", theme.HEAT, 4
            )
        )
    y = marks.draw_legend(sheet, y + 24, entries)
    page.draw_table(y + 9, layout)


def by_share(channels: Sequence[ChannelSeries]) -> list[ChannelSeries]:
    """The channels, the largest share of the error first; unknown shares last."""
    return sorted(
        channels, key=lambda one: -one.error_share if formats.is_known(one.error_share) else 1.0
    )


def layout_for(incident: IncidentPage, room: float) -> PageLayout:
    """Heights that fill the room: first table rows give way, then heat rows, then plots."""
    n_channels = len(incident.channels)
    n_panels, n_most = min(n_channels, _N_PANELS), min(n_channels, 8)
    n_heat, n_least = min(n_channels, 18) if incident.heat is not None else 0, min(n_channels, 3)
    choices = [(n, n_heat) for n in range(n_most, n_least - 1, -1)]
    choices += [(n_least, n) for n in range(n_heat - 1, 5, -1)]
    for n_table, n_rows in choices:
        row_height = 11.0 if n_rows > 8 else 13.0
        table_height = 15 + 13.5 * n_table + 14 if n_table else 0
        fixed = n_rows * row_height + (n_panels + 1) * _PANEL_GAP + 40 + table_height
        height = (room - fixed) / (_ERROR_PANEL_SHARE + n_panels)
        if height >= 55:
            break
    height = min(max(height, 30.0), 118.0)
    return PageLayout(_ERROR_PANEL_SHARE * height, height, n_rows, row_height, n_table)


@dataclass(frozen=True)
class _Drawing:
    """One incident on its sheet, the channels with the largest share first."""

    sheet: Sheet
    incident: IncidentPage
    channels: Sequence[ChannelSeries]
    zone: str
    started_s: float
    ended_s: float

    def draw_words(self, y: float) -> float:
        """What it is, the sentence, the likely cause, and the facts; returns the height below."""
        sheet, incident, width = self.sheet, self.incident, self.sheet.inner_width
        x = sheet.left + sheet.cut(sheet.left, y + 8, incident.incident_id, _ID_STYLE, 200) + 10
        x = marks.draw_severity(sheet, x, y + 8, incident.severity, _ID_STYLE) + 10
        words = [
            "Still going on" if incident.is_open else "Ended",
            incident.kind,
            incident.nature,
        ]
        text = " · ".join(filter(None, words))
        sheet.cut(x, y + 8, text, replace(_ID_STYLE, bold=False), sheet.right - x)
        y = sheet.paragraph(sheet.left, y + 26, incident.title, theme.TITLE, width, 3, 1.25)
        if incident.headline:
            y = self.draw_members(y)
        names = [channel.name for channel in self.channels]
        shares = [channel.error_share for channel in self.channels]
        spread = shares_sentence(names, shares) if names else ""
        said = incident.verdict and verdict_title(incident.verdict).lower()
        verdict = f"Verdict: {said}." if said else "Nobody has said yet what it was."
        text = " ".join(filter(None, [spread, verdict, incident.note]))
        y = sheet.paragraph(sheet.left, y + 1, text, theme.BODY, width, 4) + 6
        # Each as wide as its text asks for; long names leave room for the others.
        x, facts, wanted = sheet.left, self.facts(), []
        for _, value, detail in facts:
            asked = max(width_of(value, theme.STRONG), width_of(detail, theme.SMALL), 60)
            wanted.append(min(asked + 12, 0.3 * width))
        for (name, value, detail), own in zip(facts, wanted, strict=True):
            room = own * (width / sum(wanted))
            sheet.text(x, y + 6, name, theme.SMALL)
            sheet.cut(x, y + 17, value, theme.STRONG, room - 8)
            sheet.cut(x, y + 27, detail, theme.SMALL, room - 8)
            x += room
        return y + 28 + 14

    def draw_members(self, y: float) -> float:
        """The machines of the group, the one that is drawn first; returns the height below."""
        sheet, whole = self.sheet, self.incident.whole
        rows = [self.member_row(one) for one in whole[:_N_MEMBERS]]
        y = draw_blocks(sheet, table_blocks(_MEMBERS, rows, sheet.inner_width), y - 4)
        said = f"Drawn is the worst, {self.incident.entity}"
        if rest := [one.entity for one in whole[_N_MEMBERS:]]:
            said += f"; {formats.counted(len(rest), 'other machine')}: {', '.join(rest)}"
        return sheet.paragraph(sheet.left, y + 9, f"{said}.", theme.SMALL, sheet.inner_width, 2) + 6

    def member_row(self, one: IncidentPage) -> Row:
        """A machine of the group: since when, how strange, what, and what somebody said of it."""

        def draw_name(sheet: Sheet, box: Box) -> None:
            marks.draw_severity(sheet, box.x, box.line(), one.severity, theme.CELL)

        when = formats.span_text(one.started_at, one.ended_at, self.zone)
        peak, verdict = formats.ratio_text(one.error_ratio), verdict_title(one.verdict).lower()
        return Row([draw_name, one.sentence, when, peak, verdict])

    def facts(self) -> list[tuple[str, str, str]]:
        """What is to be known of it: name, value and detail."""
        one = self.incident
        what = one.kind.capitalize() + (f", {one.nature}" if one.nature else "")
        flags = formats.counted(one.n_flags, "flagged reading") if one.n_flags is not None else ""
        if one.n_parts > 1:
            flags += f", kept in {one.n_parts} parts"
        shares = [share for c in one.channels if formats.is_known(share := c.error_share)]
        n_channels = (
            formats.counted(len(one.channels), "channel") if one.channels else "channels unknown"
        )
        if shares:
            n_channels = f"{n_carrying(shares)} of {n_channels}"
        when = formats.span_text(one.started_at, one.ended_at, self.zone)
        until_s = one.flagged_until.timestamp() if one.flagged_until else self.ended_s
        length = formats.duration_text(until_s - self.started_s)
        if one.ended_at is None:
            length += " so far"
        ratio = formats.times_text(one.error_ratio)
        error, threshold = map(formats.figure_text, (one.peak_error, one.peak_threshold))
        return [
            ("What", what, flags),
            ("Where", one.entity, n_channels),
            ("When", when, length),
            ("How strange", ratio, f"error {error}, threshold {threshold}"),
        ]

    def frame(self, y: float, height: float) -> charts.Frame:
        """The frame of the uppermost plot: it spans all series and the whole incident."""
        series = [self.incident.scores.times, *(channel.times for channel in self.channels)]
        seconds = [unix_s(times) for times in series if len(times)]
        steps = [usual_step_s(times) for times in seconds] or [600.0]
        low = min([self.started_s, *(float(times[0]) for times in seconds)])
        high = max([self.started_s + max(steps), *(float(times[-1]) for times in seconds)])
        high = high if seconds else self.ended_s + 600
        air = max(0.0, 10 * max(steps) - (high - low)) / 2
        x = self.sheet.left + _LABEL_WIDTH
        return charts.Frame(x, y, self.sheet.right - x, height, low - air, high + air, air)

    def draw_panels(self, frame: charts.Frame, height: float) -> float:
        """Draws the errors and the top channels; returns the height below them."""
        sheet, incident, ticks = self.sheet, self.incident, frame.ticks(self.zone)
        charts.draw_ground(sheet, frame, self.started_s, self.ended_s)
        charts.draw_time_grid(sheet, frame, ticks)
        threshold = incident.threshold_label
        charts.draw_error_panel(sheet, frame, incident.scores, threshold)
        sheet.text(sheet.left, frame.y + 7, "Error", theme.STRONG)
        at = f" at {formats.clock_text(incident.peak_at, self.zone)}" if incident.peak_at else ""
        highest = f"highest {formats.figure_text(incident.peak_error)}{at}"
        sheet.cut(sheet.left, frame.y + 17, highest, theme.SMALL, _LABEL_ROOM)
        if len(self.channels) > 1:
            together = f"{formats.counted(len(self.channels), 'channel')} together"
            sheet.cut(sheet.left, frame.y + 26, together, theme.SMALL, _LABEL_ROOM)
        y = frame.bottom + _PANEL_GAP
        for channel in self.channels[:_N_PANELS]:
            panel = frame.lowered(y, height)
            charts.draw_ground(sheet, panel, self.started_s, self.ended_s)
            charts.draw_time_grid(sheet, panel, ticks)
            charts.draw_channel_panel(sheet, panel, channel, incident.scores)
            self.draw_label(channel, y)
            y = panel.bottom + _PANEL_GAP
        return y

    def draw_label(self, channel: ChannelSeries, y: float) -> None:
        """What is to be known of a channel, left of its plot."""
        sheet = self.sheet
        name, share, value, wanted, difference, moment = channel_figures(
            channel, self.incident.started_at, self.zone
        )
        sheet.cut(sheet.left, y + 7, name, theme.STRONG, _LABEL_ROOM)
        width = sheet.cut(sheet.left, y + 20, value, _WORST_STYLE, _LABEL_ROOM)
        if difference != formats.NO_DATA:
            style = replace(theme.STRONG, colour=theme.FLAGGED)
            sheet.cut(sheet.left + width + 6, y + 20, difference, style, _LABEL_ROOM - width)
        expected = f"expected {wanted}" if wanted != formats.NO_DATA else "no expected value"
        sheet.cut(sheet.left, y + 30, expected, theme.SMALL, _LABEL_ROOM)
        parts = [f"at {moment}"] if channel.worst_at else []
        parts += [f"{share} of the error"] if formats.is_known(channel.error_share) else []
        sheet.cut(sheet.left, y + 39.5, ", ".join(parts), theme.SMALL, _LABEL_ROOM)

    def draw_heat(self, frame: charts.Frame, y: float, layout: PageLayout) -> float:
        """Draws the heat map with its labels; returns the height below it."""
        sheet, incident, height = self.sheet, self.incident, layout.heat_row_height
        shown = self.channels[: layout.n_heat_rows]
        if incident.heat is None or not shown:
            return y - _PANEL_GAP
        frame = frame.lowered(y, len(shown) * height)
        for place, channel in enumerate(shown):
            y = frame.y + place * height
            style = replace(_HEAT_STYLE, bold=place < _N_PANELS)
            sheet.cut(sheet.left, y + height / 2 + 2.5, channel.name, style, _LABEL_WIDTH - 44)
            share = formats.share_text(channel.error_share)
            sheet.text(frame.x - 4, y + height / 2 + 2.5, share, style, "right")
            sheet.line(frame.x, y + height, frame.x + frame.width, y + height, theme.GRID, 0.4)
        rows = [incident.channels.index(channel) for channel in shown]
        charts.draw_heat_rows(sheet, frame, incident.heat, rows, height)
        left, right = frame.clip(self.started_s), frame.clip(self.ended_s)
        box = (left, frame.y, max(right - left, 1.0), frame.height)
        sheet.rect(*box, stroke=theme.FLAGGED, line_width=0.7)
        return frame.bottom

    def draw_table(self, y: float, layout: PageLayout) -> None:
        """Draws the figures of the first channels, and what the others carry."""
        sheet, n_rows = self.sheet, layout.n_table_rows
        rows = [
            channel_figures(channel, self.incident.started_at, self.zone)
            for channel in self.channels[:n_rows]
        ]
        y = draw_blocks(sheet, table_blocks(_COLUMNS, rows, sheet.inner_width), y)
        rest = [channel.error_share for channel in self.channels[n_rows:]]
        if rest:
            carried = formats.share_text(
                math.fsum(share for share in rest if formats.is_known(share))
            )
            n_channels = formats.counted(len(self.channels), "channel")
            text = f"{len(rows)} of {n_channels}; the others carry {carried} together."
            if 0 < layout.n_heat_rows < len(self.channels):
                text += f" The heat map shows the first {layout.n_heat_rows}."
            sheet.text(sheet.left, y + 10, text, theme.TINY)
