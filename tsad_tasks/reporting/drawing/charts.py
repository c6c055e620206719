"""Plots over time: series with their expected range, errors with their threshold, heat maps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tsad_tasks.base.arrays import Floats64
from tsad_tasks.reporting.drawing import scales, theme
from tsad_tasks.reporting.drawing.flow import Box
from tsad_tasks.reporting.drawing.fonts import width_of
from tsad_tasks.reporting.drawing.series import ChannelSeries, Flags, Floats, HeatMap, ScoreSeries
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.drawing.theme import Colour

_COLUMN_WIDTH = 1.0
_GAP_STEPS = 2.5
_MOST_FIRST_FLAGS = 12


@dataclass(frozen=True)
class Frame(Box):
    """A plot's rectangle, and the time span that its width shows, in seconds since 1970.

    `air_s` at both ends is without readings because none were asked for.
    """

    start_s: float
    end_s: float
    air_s: float = 0.0

    @cached_property
    def times(self) -> scales.Span:
        """Floats64 to x."""
        return scales.Span(self.start_s, self.end_s, self.x, self.x + self.width)

    def values(self, limits: tuple[float, float]) -> scales.Span:
        """Values to y."""
        return scales.Span(*limits, self.bottom, self.y)

    def clip(self, seconds: float) -> float:
        """The x of a time, at most at the frame's edge."""
        return min(max(self.times.place(seconds), self.x), self.x + self.width)

    def lowered(self, y: float, height: float) -> Frame:
        """The same span and width at another height."""
        return replace(self, y=y, height=height)

    def ticks(self, zone: str) -> scales.Ticks:
        """The time ticks that fit its width."""
        return scales.time_ticks(self.start_s, self.end_s, zone, max(2, int(self.width / 50)))


@dataclass(frozen=True)
class Trace:
    """The points of a series that are drawn; no line leads to point i where `breaks[i]`."""

    xs: Floats64
    kept: scales.Indices
    breaks: Flags

    def strokes(self, wanted: Flags) -> Iterator[tuple[int, int]]:
        """Ranges of wanted points that one line may join."""
        for start, end in scales.runs_of(wanted):
            cuts = start + 1 + np.flatnonzero(self.breaks[start + 1 : end])
            yield from pairwise([start, *cuts.tolist(), end])


def trace(
    frame: Frame, seconds: Floats64, values: Floats, flags: Flags, strange: Floats | None = None
) -> Trace:
    """The points worth drawing: each column's extremes and worst flag; gaps stay gaps."""
    xs = frame.times.places(seconds)
    columns = np.maximum(((xs - frame.x) / _COLUMN_WIDTH).astype(np.intp), 0)
    kept = np.arange(len(values))
    if len(values) > 2 * frame.width / _COLUMN_WIDTH:
        kept = scales.kept_indices(values, columns, flags, strange)
    pauses = np.cumsum(
        np.diff(seconds, prepend=seconds[:1]) > _GAP_STEPS * scales.usual_step_s(seconds)
    )
    unknown = ~np.isfinite(values[kept])
    breaks = np.diff(pauses[kept], prepend=0) > 0
    breaks[1:] |= unknown[:-1]
    return Trace(xs[kept], kept, breaks | unknown)


def draw_time_grid(sheet: Sheet, frame: Frame, ticks: scales.Ticks) -> None:
    """Faint vertical lines at round times."""
    for at_s, _ in ticks:
        x = frame.times.place(at_s)
        sheet.line(x, frame.y, x, frame.bottom, theme.GRID, 0.5)


def draw_time_labels(sheet: Sheet, frame: Frame, y: float, zone: str) -> None:
    """Round times under a plot, in the site zone."""
    for at_s, label in frame.ticks(zone):
        x = min(frame.times.place(at_s), sheet.right - width_of(label, theme.SMALL) / 2)
        sheet.text(x, y, label, theme.SMALL, "centre")


def draw_ground(sheet: Sheet, frame: Frame, started_s: float, ended_s: float) -> None:
    """The tinted ground of an incident, at least a hair wide."""
    left, right = frame.clip(started_s), frame.clip(ended_s)
    sheet.rect(left, frame.y, max(right - left, 1.0), frame.height, fill=theme.INCIDENT_GROUND)


def draw_value_axis(sheet: Sheet, frame: Frame, span: scales.Span, n_wanted: int) -> None:
    """Round values left of a plot, with faint lines across it."""
    for value, text in scales.value_ticks((span.low, span.high), n_wanted):
        y = span.place(value)
        sheet.line(frame.x, y, frame.x + frame.width, y, theme.GRID, 0.5)
        sheet.text(frame.x - 4, y + 2.4, text, theme.SMALL, "right")


def draw_error_panel(sheet: Sheet, frame: Frame, scores: ScoreSeries, label: str) -> None:
    """Errors, their dashed threshold, and a triangle where each run of flags begins."""
    seconds, thresholds = scales.unix_s(scores.times), scores.thresholds
    span = frame.values(scales.value_limits(scores.errors, thresholds, include_zero=True))
    draw_value_axis(sheet, frame, span, max(3, int(frame.height / 14)))
    draw_unknown(sheet, frame, seconds, scores.errors)
    points = trace(frame, seconds, scores.errors, scores.flags)
    draw_line(sheet, span, points, scores.errors, scores.flags, theme.INK)
    _draw_threshold(sheet, frame, span, scores, 0.8, "3 2")
    known = thresholds[np.isfinite(thresholds)]
    if known.size:
        y = span.place(float(known[0])) - 2.5
        sheet.text(frame.x + 3, y, label, replace(theme.TINY, colour=theme.FLAGGED))
    _draw_first_flags(sheet, frame, span, seconds, scores.errors, scores.flags)


def _draw_threshold(
    sheet: Sheet, frame: Frame, span: scales.Span, scores: ScoreSeries, width: float, dash: str
) -> None:
    """The threshold that applied at each step; one known at a single step goes all along."""
    seconds, thresholds = scales.unix_s(scores.times), scores.thresholds
    for start, end in scales.runs_of(np.isfinite(thresholds)):
        run = thresholds[start:end]
        points = trace(frame, seconds[start:end], run, np.zeros(len(run), dtype=bool))
        xs, shown = points.xs, run[points.kept]
        if len(shown) == 1:
            xs, shown = np.array([frame.x, frame.x + frame.width]), np.repeat(shown, 2)
        sheet.polyline(np.column_stack([xs, span.places(shown)]), theme.FLAGGED, width, dash)


def draw_channel_panel(
    sheet: Sheet, frame: Frame, channel: ChannelSeries, scores: ScoreSeries
) -> None:
    """Readings over their expected range: flagged ones thick and coloured, gaps hatched."""
    seconds, values, expected = scales.unix_s(channel.times), channel.values, channel.expected
    if not np.isfinite(values).any():
        draw_nothing(sheet, frame)
        return
    span = frame.values(scales.value_limits(values, channel.lower, channel.upper, expected))
    flags = scales.flags_at(seconds, scales.unix_s(scores.times), scores.flags)
    draw_value_axis(sheet, frame, span, max(3, int(frame.height / 14)))
    strange = None if expected is None else np.abs(values - expected)
    points = trace(frame, seconds, values, flags, strange)
    _draw_expected(sheet, span, points, channel)
    draw_unknown(sheet, frame, seconds, values)
    draw_line(sheet, span, points, values, flags, theme.ACTUAL)
    _draw_first_flags(sheet, frame, span, seconds, values, flags)


def draw_nothing(sheet: Sheet, frame: Frame) -> None:
    """A hatched plot that says that there was nothing to draw."""
    sheet.hatch(frame.x, frame.y, frame.width, frame.height, 4)
    x, y = frame.x + frame.width / 2, frame.y + frame.height / 2
    sheet.rect(x - 48, y - 7, 96, 13, fill=theme.PAPER)
    sheet.text(x, y + 2.5, "no data in this span", theme.SMALL, "centre")


def draw_unknown(sheet: Sheet, frame: Frame, seconds: Floats64, values: Floats) -> None:
    """Hatches what is wide enough to see between two readings, and at both ends."""
    known = seconds[np.isfinite(values)]
    first_s, last_s = frame.start_s + frame.air_s, frame.end_s - frame.air_s
    spans = [(first_s, last_s)]
    if len(known):
        widest_s = _GAP_STEPS * scales.usual_step_s(seconds)
        inner = [pair for pair in pairwise(known.tolist()) if pair[1] - pair[0] > widest_s]
        ends = [(first_s, float(known[0])), (float(known[-1]), last_s)]
        spans = inner + [span for span in ends if span[1] - span[0] > widest_s]
    for start_s, end_s in spans:
        left, right = frame.clip(start_s), frame.clip(end_s)
        if right - left >= 2:
            sheet.hatch(left, frame.y, right - left, frame.height)


def draw_line(
    sheet: Sheet, span: scales.Span, points: Trace, values: Floats, flags: Flags, colour: Colour
) -> None:
    """A series with its flagged part thick; readings without neighbours become dots."""
    shown = values[points.kept]
    spots, known = np.column_stack([points.xs, span.places(shown)]), np.isfinite(shown)
    for wanted, ink, width in (
        (known, colour, 0.8),
        (known & flags[points.kept], theme.FLAGGED, 1.7),
    ):
        for start, end in points.strokes(wanted):
            if end - start == 1:
                x, y = spots[start].tolist()
                sheet.marker("circle", x, y, 2.2 * width, ink)
            sheet.polyline(spots[start:end], ink, width)


def _draw_expected(sheet: Sheet, span: scales.Span, points: Trace, channel: ChannelSeries) -> None:
    """The expected range as a band, or what was expected as a line where no range is known."""
    if channel.lower is not None and channel.upper is not None:
        lower, upper = channel.lower[points.kept], channel.upper[points.kept]
        for start, end in scales.runs_of(np.isfinite(lower) & np.isfinite(upper)):
            xs = points.xs[start:end]
            low, high = span.places(lower[start:end]), span.places(upper[start:end])
            if len(xs) == 1:
                xs = np.array([xs[0] - 3, xs[0] + 3])
                low, high = np.repeat(low, 2), np.repeat(high, 2)
            sides = [np.column_stack([xs, high]), np.column_stack([xs, low])[::-1]]
            sheet.polygon(np.concatenate(sides), theme.BAND, 0.75)
    elif channel.expected is not None:
        shown = channel.expected[points.kept]
        spots = np.column_stack([points.xs, span.places(shown)])
        for start, end in scales.runs_of(np.isfinite(shown)):
            sheet.polyline(spots[start:end], theme.MUTED, 0.7, "1 1.5")


def _draw_first_flags(
    sheet: Sheet, frame: Frame, span: scales.Span, seconds: Floats64, values: Floats, flags: Flags
) -> None:
    """A triangle where each run of flags begins; where there are many, the longest runs'."""
    runs = sorted(scales.runs_of(flags & np.isfinite(values)), key=lambda run: run[0] - run[1])
    for start, _ in runs[:_MOST_FIRST_FLAGS]:
        x, y = frame.clip(float(seconds[start])), span.place(float(values[start]))
        sheet.marker("triangle", x, y, 8.5, theme.PAPER)
        sheet.marker("triangle", x, y, 6, theme.FLAGGED)


def draw_heat_rows(
    sheet: Sheet, frame: Frame, heat: HeatMap, rows: list[int], row_height: float
) -> None:
    """Errors of some channels as luminance of one hue (square root); missing ones hatched."""
    starts = scales.unix_s(heat.bucket_starts)
    lefts = np.clip(frame.times.places(starts), frame.x, frame.x + frame.width)
    rights = np.clip(frame.times.places(starts + heat.bucket_s), frame.x, frame.x + frame.width)
    boxes: dict[int, list[tuple[float, float, float, float]]] = {}
    for place, row in enumerate(rows):
        y, levels = frame.y + place * row_height, heat_levels(heat.errors[row], heat.highest)
        for i in np.flatnonzero((levels >= 0) & (rights > lefts)):
            box = (lefts[i] + 0.15, y + 0.4, rights[i] - lefts[i] - 0.3, row_height - 0.8)
            boxes.setdefault(int(levels[i]), []).append(box)
        for start, end in scales.runs_of(np.isnan(heat.errors[row])):
            width = float(rights[end - 1] - lefts[start])
            sheet.hatch(float(lefts[start]), y + 0.4, width, row_height - 0.8)
    for level in sorted(boxes):
        sheet.rects(boxes[level], theme.HEAT[level])


def heat_levels(errors: Floats, highest: float) -> npt.NDArray[np.intp]:
    """The luminance step of each error (square root); −1, which draws nothing, for (almost) none.

    >>> heat_levels(np.array([0.0, 0.25, 1.0, np.nan]), 1.0)
    array([-1,  4,  8, -1])
    """
    if highest <= 0:
        return np.full(len(errors), -1)
    share = np.sqrt(np.clip(np.nan_to_num(errors / highest, nan=0.0, posinf=1.0), 0, 1))
    levels = np.minimum((share * len(theme.HEAT)).astype(np.intp), len(theme.HEAT) - 1)
    return np.where(share < 0.04, -1, levels)


def draw_sparkline(sheet: Sheet, frame: Frame, scores: ScoreSeries) -> None:
    """Errors over their threshold in the height of a table row."""
    if not np.isfinite(scores.errors).any():
        sheet.hatch(frame.x, frame.y, frame.width, frame.height)
        return
    span = frame.values(scales.value_limits(scores.errors, scores.thresholds, include_zero=True))
    points = trace(frame, scales.unix_s(scores.times), scores.errors, scores.flags)
    draw_line(sheet, span, points, scores.errors, scores.flags, theme.MUTED)
    _draw_threshold(sheet, frame, span, scores, 0.5, "2 1.5")


def draw_histories(
    sheet: Sheet, x: float, y: float, width: float, height: float, lines: list[tuple[Floats, str]]
) -> None:
    """Training and validation loss by epoch; solid and dashed."""
    frame = Frame(x, y, width, height, 1, max(2, *(len(values) for values, _ in lines)))
    span = frame.values(scales.value_limits(*(values for values, _ in lines), include_zero=True))
    draw_value_axis(sheet, frame, span, 3)
    sheet.line(x, y + height, x + width, y + height, theme.RULE)
    for values, dash in lines:
        xs = frame.times.places(np.arange(1, len(values) + 1, dtype=np.float64))
        known = np.isfinite(values)
        sheet.polyline(
            np.column_stack([xs[known], span.places(values[known])]), theme.INK, 0.9, dash
        )
    sheet.text(x, y + height + 9, "epoch 1", theme.SMALL)
    sheet.text(x + width, y + height + 9, f"{int(frame.end_s)}", theme.SMALL, "right")
