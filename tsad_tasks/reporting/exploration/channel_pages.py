"""What was read: channels in numbers, day by day, and as series."""

from __future__ import annotations

from collections import Counter

import numpy as np

from tsad_tasks.reporting.drawing import charts, flow, marks, theme
from tsad_tasks.reporting.drawing.plots import Axes, draw_axes, draw_bars
from tsad_tasks.reporting.drawing.scales import Ticks, unix_s, value_limits, value_ticks
from tsad_tasks.reporting.drawing.series import Floats
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.exploration.content import ExplorationContent, KeySeries
from tsad_tasks.text.formats import (
    channel_text,
    count_text,
    counted,
    counted_of,
    day_text,
    duration_text,
    figure_text,
    joined,
    period_text,
    share_text,
    time_text,
    with_unit,
)

_CHANNEL_COLUMNS = (
    flow.TableColumn("Channel", 1.0),
    *flow.figure_columns(
        "Missing", "Lowest", "1 %", "Median", "99 %", "Highest", "Extreme", "Period"
    ),
)
_LABEL_COLUMNS = (
    flow.TableColumn("Kind", 0.5),
    *flow.figure_columns("Labels", "Time"),
    flow.TableColumn("First", 0.5),
)
_SHADES = (
    (0.0, "all there"),
    (0.01, "a trace missing"),
    (0.2, "some"),
    (0.5, "much"),
    (1.0, "nothing there"),
)


def overview_text(content: ExplorationContent) -> str:
    """What stands out of all channels, in a sentence."""
    missing = [view.summary.missing_share for view in content.channels]
    parts = [f"{share_text(float(1 - np.mean(missing)))} of the readings are there"]
    flat = [view.name for view in content.channels if view.summary.is_constant]
    if flat:
        parts.append(f"{joined(flat[:4])} never {'changes' if len(flat) == 1 else 'change'}")
    silent = [view.name for view in content.channels if not view.summary.n_known]
    if silent:
        parts.append(f"{joined(silent[:4])} {'has' if len(silent) == 1 else 'have'} no readings")
    n_extreme = sum(view.summary.n_extreme for view in content.channels)
    if n_extreme:
        are = "is" if n_extreme == 1 else "are"
        parts.append(f"{counted(n_extreme, 'reading')} {are} far out")
    return f"{joined(parts)}."


def channel_blocks(content: ExplorationContent, width: float) -> list[flow.Block]:
    """What was read, and each channel in numbers."""
    period = period_text(content.start_at, content.end_at, content.zone)
    where = "as the warehouse has them"
    if content.from_source:
        where = "straight from the source table, not ingested yet"
    n_entities = counted_of(len(content.entities), content.n_all_entities, "entity")
    names = ", ".join(content.entities[:8]) + (" …" if len(content.entities) > 8 else "")
    facts = [
        ("Readings", f"{period}, {where}"),
        ("Entities", f"{n_entities}: {names}"),
        ("Step", duration_text(content.step_s)),
        ("Known anomalies", counted(len(content.labels), "label") if content.labels else "none"),
    ]
    rows = []
    for view in content.channels:
        found = view.summary
        values = (found.low, found.quantiles[0], found.median, found.quantiles[4], found.high)
        rows.append(
            [
                with_unit(view.name, f"({view.unit})" if view.unit else None),
                share_text(found.missing_share),
                *map(figure_text, values),
                count_text(found.n_extreme),
                duration_text(view.period_s) if view.period_s else "none",
            ]
        )
    text = (
        "Extreme readings are farther from the median than ten robust standard deviations (the "
        "interquartile range over 1.349). The period is where the autocorrelation has its highest "
        "peak."
    )
    return [
        flow.finding(overview_text(content), width),
        *flow.facts_blocks(facts),
        flow.gap(8),
        *flow.table_blocks(_CHANNEL_COLUMNS, rows, width, flow.TableLook(gap=8)),
        flow.gap(4),
        flow.paragraph(text, width),
    ]


def day_blocks(content: ExplorationContent, width: float) -> list[flow.Block]:
    """What is known of each day: labels, flags and gaps."""
    worst = np.nanmax(content.missing, axis=0) if content.missing.size else np.zeros(0)
    n_bad, labels = int(np.count_nonzero(worst > 0.5)), "No known anomaly"
    if content.labels:
        labels = counted(len(content.labels), "known anomaly")
    gaps = f"{counted(n_bad, 'day') if n_bad else 'no day'} with a channel mostly missing"
    blocks = [flow.finding(f"{labels}; {gaps}.", width)]
    if content.labels:
        shares = content.labelled_share
        blocks.append(_day_bars(content, width, shares, "share of readings labelled"))
    if content.n_anomalies is not None:
        blocks.append(_day_bars(content, width, content.n_anomalies, "flagged readings"))
    rows = []
    for kind, n in Counter(label.kind for label in content.labels).most_common(12):
        own = [label for label in content.labels if label.kind == kind]
        seconds = sum((label.end_at - label.start_at).total_seconds() for label in own)
        first = min(own, key=lambda label: label.start_at)
        at = f"{time_text(first.start_at, content.zone)}, {first.entity}"
        rows.append([kind.replace("_", " "), count_text(n), duration_text(seconds), at])
    blocks += [*flow.table_blocks(_LABEL_COLUMNS, rows, width), flow.gap(6)]
    return [*blocks, _missing_block(content, width)]


def _day_bars(content: ExplorationContent, width: float, heights: Floats, label: str) -> flow.Block:
    n_days, highest = len(content.days), max(float(np.max(heights, initial=0.0)), 1e-9)

    def draw(sheet: Sheet, y: float) -> None:
        limits = (0.0, highest * 1.08)
        axes = Axes(sheet.left + 84, y + 20, width - 84, 70, (0.0, float(n_days)), limits)
        ticks = value_ticks(limits, 3) if np.any(heights > 0) else [(0.0, "0")]
        draw_axes(sheet, axes, _day_ticks(content), ticks, "", label)
        draw_bars(sheet, axes, np.arange(n_days + 1.0), heights, theme.FLAGGED)

    return flow.Block(112, draw)


def _day_ticks(content: ExplorationContent) -> Ticks:
    every = max(1, -(-len(content.days) // 10))
    return [(i + 0.5, day_text(day)) for i, day in enumerate(content.days) if i % every == 0]


def _missing_block(content: ExplorationContent, width: float) -> flow.Block:
    row_height = min(14.0, 380 / max(len(content.channels), 1))

    def draw(sheet: Sheet, y: float) -> None:
        sheet.text(sheet.left, y + 9, "Missing readings by channel and day", theme.STRONG)
        top, left = y + 18, sheet.left + 84
        side = (width - 84) / max(len(content.days), 1)
        for i, view in enumerate(content.channels):
            sheet.cut(sheet.left, top + (i + 0.5) * row_height + 2.5, view.name, theme.CELL, 78)
            for k, share in enumerate(content.missing[i]):
                box = (left + k * side, top + i * row_height, max(side - 0.6, 0.4), row_height - 1)
                sheet.rect(*box, fill=missing_shade(float(share)))
        bottom = top + len(content.channels) * row_height
        for at, text in _day_ticks(content):
            sheet.text(left + at * side, bottom + 10, text, theme.SMALL, "centre")
        entries = [marks.ground_entry(name, missing_shade(share)) for share, name in _SHADES]
        marks.draw_legend(sheet, bottom + 26, entries)

    return flow.Block(18 + len(content.channels) * row_height + 34, draw)


def missing_shade(share: float) -> tuple[float, float, float]:
    """The darker, the more is missing; a complete day is nearly white.

    >>> missing_shade(0.0) == theme.COVERAGE[0], missing_shade(1.0) == theme.HEAT[-1]
    (True, True)
    """
    if share <= 0:
        return theme.COVERAGE[0]
    return theme.HEAT[min(1 + int(share * (len(theme.HEAT) - 2)), len(theme.HEAT) - 1)]


def series_blocks(content: ExplorationContent, width: float) -> list[flow.Block]:
    """The channels of one entity over the range."""
    if not content.series:
        return []
    names = joined([series.channel for series in content.series])
    text = (
        "Lowest and highest reading of each stretch; the ground is tinted where an anomaly is "
        "known."
    )
    entries = [marks.ground_entry("known anomaly", theme.INCIDENT_GROUND), marks.MISSING_ENTRY]
    return [
        flow.finding(f"{names} of {content.series[0].entity} over the range.", width),
        flow.paragraph(text, width),
        marks.legend_block(entries, 20),
        *(_series_block(content, each, width) for each in content.series),
    ]


def _series_block(content: ExplorationContent, one: KeySeries, width: float) -> flow.Block:
    start_s, end_s = content.start_at.timestamp(), content.end_at.timestamp()
    seconds, nowhere = unix_s(one.times), np.zeros(len(one.values), bool)

    def draw(sheet: Sheet, y: float) -> None:
        frame = charts.Frame(sheet.left + 44, y + 14, width - 44, 66, start_s, end_s)
        for label in content.labels:
            began_s, ended_s = label.start_at.timestamp(), label.end_at.timestamp()
            left, right = frame.clip(began_s), frame.clip(ended_s)
            is_seen = right > left or start_s <= began_s < end_s
            if label.entity == one.entity and is_seen:
                room = (max(right - left, 1.2), frame.height)
                sheet.rect(left, frame.y, *room, fill=theme.INCIDENT_GROUND)
        charts.draw_time_grid(sheet, frame, frame.ticks(content.zone))
        span = frame.values(value_limits(one.values))
        charts.draw_value_axis(sheet, frame, span, 4)
        charts.draw_unknown(sheet, frame, seconds, one.values)
        points = charts.trace(frame, seconds, one.values, nowhere)
        charts.draw_line(sheet, span, points, one.values, nowhere, theme.ACTUAL)
        sheet.cut(frame.x, frame.y - 4, channel_text(one.channel, one.unit), theme.STRONG, width)
        charts.draw_time_labels(sheet, frame, frame.bottom + 10, content.zone)

    return flow.Block(100, draw)
