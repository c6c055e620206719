"""The page of one incident: the sentence first, then the plots, then the figures by channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tsad_tasks.reporting.drawing.charts import (
    Frame,
    draw_channel_panel,
    draw_error_panel,
    draw_ground,
    draw_heat_rows,
    draw_time_grid,
    draw_time_labels,
)
from tsad_tasks.reporting.drawing.flow import Row, TableColumn, draw_blocks, table_blocks
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
    LegendEntry,
    draw_legend,
    draw_severity,
    heat_entry,
)
from tsad_tasks.reporting.drawing.scales import unix_s, usual_step_s
from tsad_tasks.reporting.drawing.series import ChannelSeries, HeatMap
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.drawing.theme import (
    BODY,
    FLAGGED,
    GRID,
    SMALL,
    STRONG,
    TINY,
    TITLE,
    TextStyle,
)
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
_N_PANELS = 3
_PANEL_GAP = 12.0
_ERROR_PANEL_SHARE = 0.72
_ID_STYLE = TextStyle(9, bold=True)


@dataclass(frozen=True)
class Layout:
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
    channels = by_share(incident.channels)
    ended_s = (
        incident.ended_at.timestamp()
        if incident.ended_at
        else max(until_s, incident.started_at.timestamp())
    )
    y = _draw_words(sheet, incident, channels, zone, ended_s, top)
    layout = layout_for(incident, len(channels), bottom - y)
    frame = time_frame(sheet, incident, ended_s, y, layout.error_height)
    y = _draw_panels(sheet, incident, channels, zone, layout, frame, ended_s)
    y = _draw_heat(sheet, incident, channels, layout, frame.lowered(y, 0), ended_s)
    draw_time_labels(sheet, frame, y + 9, zone)
    y = draw_legend(sheet, y + 24, _legend(incident, channels, layout))
    _draw_table(sheet, incident, channels, zone, layout, y + 9)


def by_share(channels: Sequence[ChannelSeries]) -> list[int]:
    """Positions of the channels, the largest share of the error first; unknown shares last."""
    shares = [
        channel.error_share if is_known(channel.error_share) else -1.0 for channel in channels
    ]
    return sorted(range(len(channels)), key=lambda i: (-shares[i], i))


def layout_for(incident: IncidentPage, n_channels: int, room: float) -> Layout:
    """Heights that fill the room: table rows give way before heat rows, and both before the plots
    get too flat.
    """
    n_panels = min(n_channels, _N_PANELS)
    n_heat = min(n_channels, 18) if incident.heat is not None else 0
    for n_table, n_rows in _row_choices(min(n_channels, 8), n_heat):
        row_height = 11.0 if n_rows > 8 else 13.0
        fixed = n_rows * row_height + (n_panels + 1) * _PANEL_GAP + 40 + _table_height(n_table)
        height = (room - fixed) / (_ERROR_PANEL_SHARE + n_panels)
        if height >= 55:
            break
    height = min(max(height, 30.0), 118.0)
    return Layout(_ERROR_PANEL_SHARE * height, height, n_rows, row_height, n_table)


def _row_choices(n_table: int, n_heat: int) -> list[tuple[int, int]]:
    fewer_rows = [(n, n_heat) for n in range(n_table, min(n_table, 3) - 1, -1)]
    return fewer_rows + [(min(n_table, 3), n) for n in range(n_heat - 1, 5, -1)]


def _table_height(n_rows: int) -> float:
    return 15 + 13.5 * n_rows + 14 if n_rows else 0


def time_frame(
    sheet: Sheet, incident: IncidentPage, ended_s: float, y: float, height: float
) -> Frame:
    """The frame of the uppermost plot: it spans all series and the whole incident."""
    series = [incident.scores.times, *(channel.times for channel in incident.channels)]
    seconds = [unix_s(times) for times in series if len(times)]
    steps = [usual_step_s(times) for times in seconds] or [600.0]
    lows, highs = [float(times[0]) for times in seconds], [float(times[-1]) for times in seconds]
    low = min([incident.started_at.timestamp(), *lows])
    high = max([incident.started_at.timestamp() + max(steps), *highs]) if seconds else ended_s + 600
    air = max(0.0, 10 * max(steps) - (high - low)) / 2
    x = sheet.left + _LABEL_WIDTH
    return Frame(x, y, sheet.right - x, height, low - air, high + air, air)


def _draw_words(
    sheet: Sheet, incident: IncidentPage, channels: list[int], zone: str, ended_s: float, y: float
) -> float:
    x = sheet.left + sheet.cut(sheet.left, y + 8, incident.incident_id, _ID_STYLE, 200) + 10
    x = draw_severity(sheet, x, y + 8, incident.severity, _ID_STYLE) + 10
    words = [incident.state.capitalize(), incident.kind, incident.nature]
    sheet.cut(
        x,
        y + 8,
        " · ".join(word for word in words if word),
        replace(_ID_STYLE, bold=False),
        sheet.right - x,
    )
    y = sheet.paragraph(sheet.left, y + 26, incident.sentence, TITLE, sheet.inner_width, 3, 1.25)
    y = sheet.paragraph(
        sheet.left, y + 1, _explanation(incident, channels), BODY, sheet.inner_width, 4
    )
    return _draw_facts(sheet, _facts(incident, channels, zone, ended_s), y + 6) + 14


def _explanation(incident: IncidentPage, order: list[int]) -> str:
    names = [incident.channels[i].name for i in order]
    shares = (
        shares_sentence(names, [incident.channels[i].error_share for i in order]) if names else ""
    )
    verdict = f"Verdict: {incident.verdict or 'none yet'}."
    return " ".join(part for part in (shares, verdict, incident.note) if part)


def _facts(
    incident: IncidentPage, order: list[int], zone: str, ended_s: float
) -> list[tuple[str, str, str]]:
    length = duration_text(ended_s - incident.started_at.timestamp())
    flags = counted(incident.n_flags, "flagged reading") if incident.n_flags is not None else ""
    so_far = f"{length} so far" if incident.ended_at is None else length
    scope = f"error {figure_text(incident.peak_error)}, threshold {figure_text(incident.peak_threshold)}"
    return [
        (
            "What",
            f"{incident.kind.capitalize()}{', ' + incident.nature if incident.nature else ''}",
            flags,
        ),
        ("Where", incident.entity, _n_channels_text(incident)),
        ("When", span_text(incident.started_at, incident.ended_at, zone), so_far),
        ("How strange", f"{ratio_text(incident.error_ratio)} × its threshold", scope),
    ]


def _n_channels_text(incident: IncidentPage) -> str:
    shares = [channel.error_share for channel in incident.channels if is_known(channel.error_share)]
    if not shares:
        return (
            counted(len(incident.channels), "channel") if incident.channels else "channels unknown"
        )
    return f"{n_carrying(shares)} of {counted(len(incident.channels), 'channel')}"


def _draw_facts(sheet: Sheet, facts: list[tuple[str, str, str]], y: float) -> float:
    """Name over value over detail, each column as wide as its text asks for; long names leave room
    for the others.
    """
    most = 0.3 * sheet.inner_width
    wanted = [
        min(max(width_of(value, STRONG), width_of(detail, SMALL), 60) + 12, most)
        for _, value, detail in facts
    ]
    stretch = sheet.inner_width / sum(wanted)
    x = sheet.left
    for (name, value, detail), width in zip(facts, wanted, strict=True):
        room = width * stretch
        sheet.text(x, y + 6, name, SMALL)
        sheet.cut(x, y + 17, value, STRONG, room - 8)
        sheet.cut(x, y + 27, detail, SMALL, room - 8)
        x += room
    return y + 28


def _draw_panels(
    sheet: Sheet,
    incident: IncidentPage,
    order: list[int],
    zone: str,
    layout: Layout,
    frame: Frame,
    ended_s: float,
) -> float:
    """Draws the errors and the top channels; returns the height below them."""
    ticks = frame.ticks(zone)
    _draw_panel_ground(sheet, incident, frame, ticks, ended_s)
    draw_error_panel(
        sheet, frame, incident.scores, f"threshold {figure_text(incident.peak_threshold)}"
    )
    _draw_error_label(sheet, incident, zone, frame.y)
    y = frame.bottom + _PANEL_GAP
    for i in order[:_N_PANELS]:
        panel = frame.lowered(y, layout.panel_height)
        _draw_panel_ground(sheet, incident, panel, ticks, ended_s)
        draw_channel_panel(sheet, panel, incident.channels[i], incident.scores)
        _draw_channel_label(sheet, incident.channels[i], incident, zone, y)
        y = panel.bottom + _PANEL_GAP
    return y


def _draw_panel_ground(
    sheet: Sheet,
    incident: IncidentPage,
    frame: Frame,
    ticks: list[tuple[float, str]],
    ended_s: float,
) -> None:
    draw_ground(sheet, frame, incident.started_at.timestamp(), ended_s)
    draw_time_grid(sheet, frame, ticks)


def _draw_error_label(sheet: Sheet, incident: IncidentPage, zone: str, y: float) -> None:
    sheet.text(sheet.left, y + 7, "Error", STRONG)
    at = f" at {clock_text(incident.peak_at, zone)}" if incident.peak_at else ""
    sheet.cut(
        sheet.left,
        y + 17,
        f"highest {figure_text(incident.peak_error)}{at}",
        SMALL,
        _LABEL_WIDTH - 30,
    )
    if len(incident.channels) > 1:
        sheet.cut(
            sheet.left,
            y + 26,
            f"{counted(len(incident.channels), 'channel')} together",
            SMALL,
            _LABEL_WIDTH - 30,
        )


def _draw_channel_label(
    sheet: Sheet, channel: ChannelSeries, incident: IncidentPage, zone: str, y: float
) -> None:
    room, spread = _LABEL_WIDTH - 30, half_width(channel.worst_lower, channel.worst_upper)
    figure = TextStyle(10.5, bold=True)
    sheet.cut(sheet.left, y + 7, channel.name, STRONG, room)
    width = sheet.cut(
        sheet.left, y + 20, value_text(channel.worst_value, channel.unit, spread), figure, room
    )
    difference = difference_text(channel.worst_value, channel.worst_expected, spread)
    if difference != NO_DATA:
        sheet.cut(
            sheet.left + width + 6,
            y + 20,
            difference,
            replace(STRONG, colour=FLAGGED),
            room - width,
        )
    wanted = expected_text(channel.worst_expected, channel.worst_lower, channel.worst_upper)
    lines = [
        f"expected {wanted}" if wanted != NO_DATA else "no expected value",
        _share_line(channel, incident, zone),
    ]
    for i, text in enumerate(lines):
        sheet.cut(sheet.left, y + 30 + 9.5 * i, text, SMALL, room)


def _share_line(channel: ChannelSeries, incident: IncidentPage, zone: str) -> str:
    share = (
        f"{share_text(channel.error_share)} of the error" if is_known(channel.error_share) else ""
    )
    at = f"at {moment_text(channel, incident, zone)}" if channel.worst_at else ""
    return ", ".join(part for part in (at, share) if part)


def moment_text(channel: ChannelSeries, incident: IncidentPage, zone: str) -> str:
    """When a channel was worst: the clock time, with the day where it is not the day on which the
    incident began.
    """
    if channel.worst_at is None:
        return NO_DATA
    same_day = (
        local_time(channel.worst_at, zone).date() == local_time(incident.started_at, zone).date()
    )
    return clock_text(channel.worst_at, zone) if same_day else time_text(channel.worst_at, zone)


def _draw_heat(
    sheet: Sheet,
    incident: IncidentPage,
    order: list[int],
    layout: Layout,
    frame: Frame,
    ended_s: float,
) -> float:
    """Draws the heat map with its labels; returns the height below it."""
    shown = order[: layout.n_heat_rows]
    if incident.heat is None or not shown:
        return frame.y - _PANEL_GAP
    frame = frame.lowered(frame.y, len(shown) * layout.heat_row_height)
    for place, i in enumerate(shown):
        _draw_heat_label(
            sheet,
            incident.channels[i],
            frame,
            frame.y + place * layout.heat_row_height,
            layout,
            place,
        )
    draw_heat_rows(sheet, frame, incident.heat, shown, layout.heat_row_height)
    left, right = frame.clip(incident.started_at.timestamp()), frame.clip(ended_s)
    sheet.rect(left, frame.y, max(right - left, 1.0), frame.height, stroke=FLAGGED, line_width=0.7)
    return frame.bottom


def _draw_heat_label(
    sheet: Sheet, channel: ChannelSeries, frame: Frame, y: float, layout: Layout, place: int
) -> None:
    height, baseline = layout.heat_row_height, y + layout.heat_row_height / 2 + 2.5
    style = replace(SMALL, bold=place < _N_PANELS, colour=(0.075, 0.1, 0.15))
    sheet.cut(sheet.left, baseline, channel.name, style, _LABEL_WIDTH - 44)
    sheet.text(frame.x - 4, baseline, share_text(channel.error_share), style, "right")
    sheet.line(frame.x, y + height, frame.x + frame.width, y + height, GRID, 0.4)


def _legend(incident: IncidentPage, order: list[int], layout: Layout) -> list[LegendEntry]:
    top = [incident.channels[i] for i in order[:_N_PANELS]]
    entries = [ACTUAL_ENTRY] if top else [ERROR_ENTRY]
    entries += [FLAGGED_ENTRY, FIRST_FLAG_ENTRY, THRESHOLD_ENTRY]
    entries += [RANGE_ENTRY] if any(channel.lower is not None for channel in top) else []
    entries += (
        [EXPECTED_ENTRY] if any(c.expected is not None and c.lower is None for c in top) else []
    )
    entries += [INCIDENT_ENTRY, MISSING_ENTRY]
    return entries + (
        [heat_entry(_heat_name(incident.heat))]
        if incident.heat is not None and layout.n_heat_rows
        else []
    )


def _heat_name(heat: HeatMap) -> str:
    return f"error per {duration_text(heat.bucket_s)}, 0 to {figure_text(heat.highest)}, square-root scale"


_COLUMNS = (
    TableColumn("Channel", 1.0),
    TableColumn("Share", align="right", width=44),
    TableColumn("Actual", align="right", width=70),
    TableColumn("Expected", align="right", width=80),
    TableColumn("Difference", align="right", width=54),
    TableColumn("Worst at", align="right", width=58),
)


def _draw_table(
    sheet: Sheet, incident: IncidentPage, order: list[int], zone: str, layout: Layout, y: float
) -> None:
    shown = [incident.channels[i] for i in order[: layout.n_table_rows]]
    rows = [_channel_row(one, incident, zone) for one in shown]
    y = draw_blocks(sheet, table_blocks(_COLUMNS, rows, sheet.inner_width), y)
    rest = [incident.channels[i].error_share for i in order[layout.n_table_rows :]]
    if rest:
        carried = math.fsum(share for share in rest if is_known(share))
        text = f"{len(shown)} of {counted(len(order), 'channel')}; the others carry {share_text(carried)} together."
        if 0 < layout.n_heat_rows < len(order):
            text += f" The heat map shows the first {layout.n_heat_rows}."
        sheet.text(sheet.left, y + 10, text, TINY)


def _channel_row(channel: ChannelSeries, incident: IncidentPage, zone: str) -> Row:
    spread = half_width(channel.worst_lower, channel.worst_upper)
    return Row(
        [
            channel.name,
            share_text(channel.error_share),
            value_text(channel.worst_value, channel.unit, spread),
            expected_text(channel.worst_expected, channel.worst_lower, channel.worst_upper),
            difference_text(channel.worst_value, channel.worst_expected, spread),
            moment_text(channel, incident, zone),
        ]
    )
