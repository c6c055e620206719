"""The page of one incident: the sentence first, then the plots, then the figures by channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tsad_tasks.reporting.drawing import theme
from tsad_tasks.reporting.drawing.charts import (
    Frame,
    draw_channel_panel,
    draw_error_panel,
    draw_ground,
    draw_heat_rows,
    draw_time_grid,
    draw_time_labels,
)
from tsad_tasks.reporting.drawing.flow import (
    TableColumn,
    draw_blocks,
    figure_columns,
    table_blocks,
)
from tsad_tasks.reporting.drawing.fonts import width_of
from tsad_tasks.reporting.drawing.marks import (
    ACTUAL_ENTRY,
    ERROR_ENTRY,
    EXPECTED_ENTRY,
    FIRST_FLAG_ENTRY,
    FLAGGED_ENTRY,
    INCIDENT_ENTRY,
    MISSING_ENTRY,
    RANGE_ENTRY,
    THRESHOLD_ENTRY,
    draw_legend,
    draw_severity,
    heat_entry,
)
from tsad_tasks.reporting.drawing.scales import unix_s, usual_step_s
from tsad_tasks.reporting.drawing.series import ChannelSeries
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.drawing.theme import TextStyle
from tsad_tasks.reporting.period.content import IncidentPage
from tsad_tasks.text.formats import (
    NO_DATA,
    clock_text,
    counted,
    difference_text,
    duration_text,
    expected_text,
    figure_text,
    half_width,
    is_known,
    local_time,
    ratio_text,
    share_text,
    span_text,
    time_text,
    value_text,
)
from tsad_tasks.text.sentence import n_carrying, shares_sentence

_LABEL_WIDTH = 142.0
_LABEL_ROOM = _LABEL_WIDTH - 30
_N_PANELS = 3
_PANEL_GAP = 12.0
_ERROR_PANEL_SHARE = 0.72
_ID_STYLE = TextStyle(9, bold=True)
_WORST_STYLE = TextStyle(10.5, bold=True)
_HEAT_STYLE = TextStyle(7, colour=(0.075, 0.1, 0.15))


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
    ended_s = max(until_s, incident.started_at.timestamp())
    if incident.ended_at:
        ended_s = incident.ended_at.timestamp()
    channels = by_share(incident.channels)
    y = _draw_words(sheet, incident, channels, zone, ended_s, top)
    layout = layout_for(incident, len(channels), bottom - y)
    frame = time_frame(sheet, incident, ended_s, y, layout.error_height)
    y = _draw_panels(sheet, incident, channels, zone, layout, frame, ended_s)
    y = _draw_heat(sheet, incident, channels, layout, frame.lowered(y, 0), ended_s)
    draw_time_labels(sheet, frame, y + 9, zone)
    main, heat = channels[:_N_PANELS], incident.heat
    entries = [ACTUAL_ENTRY if main else ERROR_ENTRY]
    entries += [FLAGGED_ENTRY, FIRST_FLAG_ENTRY, THRESHOLD_ENTRY]
    if any(channel.lower is not None for channel in main):
        entries.append(RANGE_ENTRY)
    if any(channel.expected is not None and channel.lower is None for channel in main):
        entries.append(EXPECTED_ENTRY)
    entries += [INCIDENT_ENTRY, MISSING_ENTRY]
    if heat is not None and layout.n_heat_rows:
        scale = f"0 to {figure_text(heat.highest)}, square-root scale"
        entries.append(heat_entry(f"error per {duration_text(heat.bucket_s)}, {scale}"))
    y = draw_legend(sheet, y + 24, entries)
    _draw_table(sheet, incident, channels, zone, layout, y + 9)


def by_share(channels: Sequence[ChannelSeries]) -> list[ChannelSeries]:
    """The channels, the largest share of the error first; unknown shares last."""
    return sorted(channels, key=lambda one: -one.error_share if is_known(one.error_share) else 1.0)


def layout_for(incident: IncidentPage, n_channels: int, room: float) -> PageLayout:
    """Heights that fill the room: first table rows give way, then heat rows, then plots."""
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


def time_frame(
    sheet: Sheet, incident: IncidentPage, ended_s: float, y: float, height: float
) -> Frame:
    """The frame of the uppermost plot: it spans all series and the whole incident."""
    series = [incident.scores.times, *(channel.times for channel in incident.channels)]
    seconds = [unix_s(times) for times in series if len(times)]
    steps = [usual_step_s(times) for times in seconds] or [600.0]
    started_s = incident.started_at.timestamp()
    low = min([started_s, *(float(times[0]) for times in seconds)])
    high = max([started_s + max(steps), *(float(times[-1]) for times in seconds)])
    high = high if seconds else ended_s + 600
    air = max(0.0, 10 * max(steps) - (high - low)) / 2
    x = sheet.left + _LABEL_WIDTH
    return Frame(x, y, sheet.right - x, height, low - air, high + air, air)


def _draw_words(
    sheet: Sheet,
    incident: IncidentPage,
    channels: Sequence[ChannelSeries],
    zone: str,
    ended_s: float,
    y: float,
) -> float:
    """What it is, the sentence, the likely cause, and the facts; returns the height below."""
    width = sheet.inner_width
    x = sheet.left + sheet.cut(sheet.left, y + 8, incident.incident_id, _ID_STYLE, 200) + 10
    x = draw_severity(sheet, x, y + 8, incident.severity, _ID_STYLE) + 10
    words = " · ".join(filter(None, [incident.state.capitalize(), incident.kind, incident.nature]))
    sheet.cut(x, y + 8, words, replace(_ID_STYLE, bold=False), sheet.right - x)
    y = sheet.paragraph(sheet.left, y + 26, incident.sentence, theme.TITLE, width, 3, 1.25)
    shares = [channel.error_share for channel in channels]
    spread = shares_sentence([channel.name for channel in channels], shares) if channels else ""
    verdict = f"Verdict: {incident.verdict or 'none yet'}."
    explanation = " ".join(filter(None, [spread, verdict, incident.note]))
    y = sheet.paragraph(sheet.left, y + 1, explanation, theme.BODY, width, 4) + 6
    x, facts = sheet.left, _facts(incident, zone, ended_s)
    # Each as wide as its text asks for; long names leave room for the others.
    texts = [
        max(width_of(value, theme.STRONG), width_of(detail, theme.SMALL), 60)
        for _, value, detail in facts
    ]
    wanted = [min(text + 12, 0.3 * width) for text in texts]
    for (name, value, detail), own in zip(facts, wanted, strict=True):
        room = own * (width / sum(wanted))
        sheet.text(x, y + 6, name, theme.SMALL)
        sheet.cut(x, y + 17, value, theme.STRONG, room - 8)
        sheet.cut(x, y + 27, detail, theme.SMALL, room - 8)
        x += room
    return y + 28 + 14


def _facts(incident: IncidentPage, zone: str, ended_s: float) -> list[tuple[str, str, str]]:
    """What is to be known of an incident: name, value and detail."""
    nature = f", {incident.nature}" if incident.nature else ""
    flags = counted(incident.n_flags, "flagged reading") if incident.n_flags is not None else ""
    known = [one.error_share for one in incident.channels if is_known(one.error_share)]
    n_channels = counted(len(incident.channels), "channel")
    if known:
        n_channels = f"{n_carrying(known)} of {n_channels}"
    when = span_text(incident.started_at, incident.ended_at, zone)
    length = duration_text(ended_s - incident.started_at.timestamp())
    peak, threshold = figure_text(incident.peak_error), figure_text(incident.peak_threshold)
    return [
        ("What", f"{incident.kind.capitalize()}{nature}", flags),
        ("Where", incident.entity, n_channels if incident.channels else "channels unknown"),
        ("When", when, f"{length} so far" if incident.ended_at is None else length),
        (
            "How strange",
            f"{ratio_text(incident.error_ratio)} × its threshold",
            f"error {peak}, threshold {threshold}",
        ),
    ]


def _draw_panels(
    sheet: Sheet,
    incident: IncidentPage,
    channels: Sequence[ChannelSeries],
    zone: str,
    layout: PageLayout,
    frame: Frame,
    ended_s: float,
) -> float:
    """Draws the errors and the top channels; returns the height below them."""
    ticks, started_s = frame.ticks(zone), incident.started_at.timestamp()
    draw_ground(sheet, frame, started_s, ended_s)
    draw_time_grid(sheet, frame, ticks)
    threshold = f"threshold {figure_text(incident.peak_threshold)}"
    draw_error_panel(sheet, frame, incident.scores, threshold)
    sheet.text(sheet.left, frame.y + 7, "Error", theme.STRONG)
    at = f" at {clock_text(incident.peak_at, zone)}" if incident.peak_at else ""
    highest = f"highest {figure_text(incident.peak_error)}{at}"
    sheet.cut(sheet.left, frame.y + 17, highest, theme.SMALL, _LABEL_ROOM)
    if len(channels) > 1:
        together = f"{counted(len(channels), 'channel')} together"
        sheet.cut(sheet.left, frame.y + 26, together, theme.SMALL, _LABEL_ROOM)
    y = frame.bottom + _PANEL_GAP
    for channel in channels[:_N_PANELS]:
        panel = frame.lowered(y, layout.panel_height)
        draw_ground(sheet, panel, started_s, ended_s)
        draw_time_grid(sheet, panel, ticks)
        draw_channel_panel(sheet, panel, channel, incident.scores)
        _draw_channel_label(sheet, channel, incident, zone, y)
        y = panel.bottom + _PANEL_GAP
    return y


def _draw_channel_label(
    sheet: Sheet, channel: ChannelSeries, incident: IncidentPage, zone: str, y: float
) -> None:
    _, share, value, wanted, difference, _ = _cells(channel, incident, zone)
    sheet.cut(sheet.left, y + 7, channel.name, theme.STRONG, _LABEL_ROOM)
    width = sheet.cut(sheet.left, y + 20, value, _WORST_STYLE, _LABEL_ROOM)
    if difference != NO_DATA:
        style = replace(theme.STRONG, colour=theme.FLAGGED)
        sheet.cut(sheet.left + width + 6, y + 20, difference, style, _LABEL_ROOM - width)
    expected = f"expected {wanted}" if wanted != NO_DATA else "no expected value"
    sheet.cut(sheet.left, y + 30, expected, theme.SMALL, _LABEL_ROOM)
    at = f"at {moment_text(channel, incident, zone)}" if channel.worst_at else ""
    of_error = f"{share} of the error" if is_known(channel.error_share) else ""
    sheet.cut(
        sheet.left, y + 39.5, ", ".join(filter(None, [at, of_error])), theme.SMALL, _LABEL_ROOM
    )


def moment_text(channel: ChannelSeries, incident: IncidentPage, zone: str) -> str:
    """When a channel was worst; with the day where it is not that of the incident's beginning."""
    if channel.worst_at is None:
        return NO_DATA
    days = {local_time(at, zone).date() for at in (channel.worst_at, incident.started_at)}
    return (clock_text if len(days) == 1 else time_text)(channel.worst_at, zone)


def _draw_heat(
    sheet: Sheet,
    incident: IncidentPage,
    channels: Sequence[ChannelSeries],
    layout: PageLayout,
    frame: Frame,
    ended_s: float,
) -> float:
    """Draws the heat map with its labels; returns the height below it."""
    shown, height = channels[: layout.n_heat_rows], layout.heat_row_height
    if incident.heat is None or not shown:
        return frame.y - _PANEL_GAP
    frame = frame.lowered(frame.y, len(shown) * height)
    for place, channel in enumerate(shown):
        y = frame.y + place * height
        style = replace(_HEAT_STYLE, bold=place < _N_PANELS)
        sheet.cut(sheet.left, y + height / 2 + 2.5, channel.name, style, _LABEL_WIDTH - 44)
        share = share_text(channel.error_share)
        sheet.text(frame.x - 4, y + height / 2 + 2.5, share, style, "right")
        sheet.line(frame.x, y + height, frame.x + frame.width, y + height, theme.GRID, 0.4)
    rows = [incident.channels.index(channel) for channel in shown]
    draw_heat_rows(sheet, frame, incident.heat, rows, height)
    left, right = frame.clip(incident.started_at.timestamp()), frame.clip(ended_s)
    sheet.rect(
        left, frame.y, max(right - left, 1.0), frame.height, stroke=theme.FLAGGED, line_width=0.7
    )
    return frame.bottom


_COLUMNS = (
    TableColumn("Channel", 1.0),
    *figure_columns("Share", width=44),
    *figure_columns("Actual", width=70),
    *figure_columns("Expected", width=80),
    *figure_columns("Difference", width=54),
    *figure_columns("Worst at", width=58),
)


def _draw_table(
    sheet: Sheet,
    incident: IncidentPage,
    channels: Sequence[ChannelSeries],
    zone: str,
    layout: PageLayout,
    y: float,
) -> None:
    shown, rest = channels[: layout.n_table_rows], channels[layout.n_table_rows :]
    rows = [_cells(channel, incident, zone) for channel in shown]
    y = draw_blocks(sheet, table_blocks(_COLUMNS, rows, sheet.inner_width), y)
    if rest:
        carried = math.fsum(one.error_share for one in rest if is_known(one.error_share))
        text = f"{len(shown)} of {counted(len(channels), 'channel')}; the others carry "
        text += f"{share_text(carried)} together."
        if 0 < layout.n_heat_rows < len(channels):
            text += f" The heat map shows the first {layout.n_heat_rows}."
        sheet.text(sheet.left, y + 10, text, theme.TINY)


def _cells(channel: ChannelSeries, incident: IncidentPage, zone: str) -> list[str]:
    """The figures of a channel, in the order of the table's columns."""
    spread = half_width(channel.worst_lower, channel.worst_upper)
    return [
        channel.name,
        share_text(channel.error_share),
        value_text(channel.worst_value, channel.unit, spread),
        expected_text(channel.worst_expected, channel.worst_lower, channel.worst_upper),
        difference_text(channel.worst_value, channel.worst_expected, spread),
        moment_text(channel, incident, zone),
    ]
