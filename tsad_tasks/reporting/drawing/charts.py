"""Plots drawn straight onto a sheet: series with their expected range, errors with their threshold,
heat maps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tsad_tasks.reporting.drawing.fonts import width_of
from tsad_tasks.reporting.drawing.scales import (
    Indices,
    Span,
    flags_at,
    kept_indices,
    nice_ticks,
    runs_of,
    tick_texts,
    time_ticks,
    unix_s,
    usual_step_s,
    value_limits,
)
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.drawing.theme import (
    ACTUAL,
    BAND,
    FLAGGED,
    GRID,
    HEAT,
    INCIDENT_GROUND,
    INK,
    MUTED,
    PAPER,
    RULE,
    SMALL,
    TINY,
    Colour,
)
from tsad_tasks.reporting.period.content import ChannelSeries, Flags, Floats, HeatMap, ScoreSeries

Seconds = npt.NDArray[np.float64]
_COLUMN_WIDTH = 1.0
_GAP_STEPS = 2.5


@dataclass(frozen=True)
class Frame:
    """A plot's rectangle on the sheet and the time span that its width shows, in seconds since
    1970.
    """

    x: float
    y: float
    width: float
    height: float
    start_s: float
    end_s: float
    air_s: float = 0.0

    @cached_property
    def times(self) -> Span:
        """Seconds to x."""
        return Span(self.start_s, self.end_s, self.x, self.x + self.width)

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.y + self.height

    def values(self, low: float, high: float) -> Span:
        """Values to y."""
        return Span(low, high, self.bottom, self.y)

    def clip(self, seconds: float) -> float:
        """The x of a time, at most at the frame's edge."""
        return min(max(self.times.place(seconds), self.x), self.x + self.width)

    def lowered(self, y: float, height: float) -> Frame:
        """The same span and width at another height."""
        return Frame(self.x, y, self.width, height, self.start_s, self.end_s, self.air_s)


@dataclass(frozen=True)
class Trace:
    """A series reduced to the points that are drawn; `breaks[i]` is true where no line leads to
    point i.
    """

    xs: Seconds
    kept: Indices
    breaks: Flags


def trace(
    frame: Frame, seconds: Seconds, values: Floats, flags: Flags, strange: Floats | None = None
) -> Trace:
    """The points of a series worth drawing: each column's extremes and worst flag; gaps stay
    gaps.
    """
    xs = frame.times.places(seconds)
    columns = np.maximum(((xs - frame.x) / _COLUMN_WIDTH).astype(np.intp), 0)
    kept = np.arange(len(values))
    if len(values) > 2 * frame.width / _COLUMN_WIDTH:
        kept = kept_indices(values, columns, flags, strange)
    pauses = np.cumsum(np.diff(seconds, prepend=seconds[:1]) > _GAP_STEPS * usual_step_s(seconds))
    unknown = ~np.isfinite(values[kept])
    breaks = np.diff(pauses[kept], prepend=0) > 0
    breaks[1:] |= unknown[:-1]
    return Trace(xs[kept], kept, breaks | unknown)


def draw_time_grid(sheet: Sheet, frame: Frame, ticks: list[tuple[float, str]]) -> None:
    """Faint vertical lines at round times."""
    for at_s, _ in ticks:
        x = frame.times.place(at_s)
        sheet.line(x, frame.y, x, frame.bottom, GRID, 0.5)


def draw_time_labels(sheet: Sheet, frame: Frame, y: float, zone: str) -> None:
    """Round times under a plot, in the site zone."""
    for at_s, label in frame_ticks(frame, zone):
        half = width_of(label, SMALL) / 2
        sheet.text(min(frame.times.place(at_s), sheet.right - half), y, label, SMALL, "centre")


def frame_ticks(frame: Frame, zone: str) -> list[tuple[float, str]]:
    """The time ticks that fit a frame."""
    return time_ticks(frame.start_s, frame.end_s, zone, max(2, int(frame.width / 50)))


def draw_ground(sheet: Sheet, frame: Frame, started_s: float, ended_s: float) -> None:
    """The tinted ground of an incident, at least a hair wide."""
    left, right = frame.clip(started_s), frame.clip(ended_s)
    sheet.rect(left, frame.y, max(right - left, 1.0), frame.height, fill=INCIDENT_GROUND)


def draw_value_axis(sheet: Sheet, frame: Frame, span: Span, n_wanted: int) -> None:
    """Round values left of a plot, with faint lines across it."""
    ticks, n_decimals = nice_ticks(span.low, span.high, n_wanted)
    for value, text in zip(ticks, tick_texts(ticks, n_decimals), strict=True):
        y = span.place(value)
        sheet.line(frame.x, y, frame.x + frame.width, y, GRID, 0.5)
        sheet.text(frame.x - 4, y + 2.4, text, SMALL, "right")


def draw_error_panel(sheet: Sheet, frame: Frame, scores: ScoreSeries, label: str) -> None:
    """Errors, their dashed threshold, and a triangle where each run of flags begins."""
    seconds = unix_s(scores.times)
    span = frame.values(*value_limits(scores.errors, scores.thresholds, include_zero=True))
    draw_value_axis(sheet, frame, span, max(3, int(frame.height / 14)))
    draw_unknown(sheet, frame, seconds, scores.errors)
    draw_line(sheet, frame, span, seconds, scores.errors, scores.flags, INK)
    _draw_threshold(sheet, frame, span, seconds, scores.thresholds, label)
    draw_first_flags(sheet, frame, span, seconds, scores.errors, scores.flags)


def _draw_threshold(
    sheet: Sheet, frame: Frame, span: Span, seconds: Seconds, thresholds: Floats, label: str
) -> None:
    for start, end in runs_of(np.isfinite(thresholds)):
        steps = _thinned(frame, seconds[start:end], thresholds[start:end])
        sheet.polyline(np.column_stack([steps[0], span.places(steps[1])]), FLAGGED, 0.8, "3 2")
    known = thresholds[np.isfinite(thresholds)]
    if known.size:
        sheet.text(frame.x + 3, span.place(float(known[0])) - 2.5, label, TINY.but(colour=FLAGGED))


def _thinned(frame: Frame, seconds: Seconds, values: Floats) -> tuple[Seconds, Floats]:
    """x and value of a line, with the highest and lowest value of each column; a single value spans
    the frame.
    """
    kept = trace(frame, seconds, values, np.zeros(len(values), dtype=bool))
    xs, shown = kept.xs, values[kept.kept]
    if len(shown) == 1:
        return np.array([frame.x, frame.x + frame.width]), np.repeat(shown, 2)
    return xs, shown


def draw_channel_panel(
    sheet: Sheet, frame: Frame, channel: ChannelSeries, scores: ScoreSeries
) -> None:
    """Readings over their expected range; flagged readings thick and in the flag's colour; gaps
    hatched.
    """
    seconds = unix_s(channel.times)
    span = frame.values(
        *value_limits(channel.values, channel.lower, channel.upper, channel.expected)
    )
    flags = flags_at(seconds, unix_s(scores.times), scores.flags)
    if not np.isfinite(channel.values).any():
        draw_nothing(sheet, frame)
        return
    draw_value_axis(sheet, frame, span, max(3, int(frame.height / 14)))
    strange = None if channel.expected is None else np.abs(channel.values - channel.expected)
    points = trace(frame, seconds, channel.values, flags, strange)
    _draw_expected(sheet, span, points, channel)
    draw_unknown(sheet, frame, seconds, channel.values)
    _draw_trace(sheet, span, points, channel.values, flags, ACTUAL)
    draw_first_flags(sheet, frame, span, seconds, channel.values, flags)


def draw_nothing(sheet: Sheet, frame: Frame) -> None:
    """A hatched plot that says that there was nothing to draw."""
    sheet.hatch(frame.x, frame.y, frame.width, frame.height, 4)
    text, middle = "no data in this span", frame.y + frame.height / 2
    sheet.rect(frame.x + frame.width / 2 - 48, middle - 7, 96, 13, fill=(1, 1, 1))
    sheet.text(frame.x + frame.width / 2, middle + 2.5, text, SMALL, "centre")


def draw_unknown(sheet: Sheet, frame: Frame, seconds: Seconds, values: Floats) -> None:
    """Hatches spans without readings that are wide enough to see."""
    for start_s, end_s in unknown_spans(frame, seconds, values):
        left, right = frame.clip(start_s), frame.clip(end_s)
        if right - left >= 2:
            sheet.hatch(left, frame.y, right - left, frame.height)


def unknown_spans(frame: Frame, seconds: Seconds, values: Floats) -> list[tuple[float, float]]:
    """Times between which nothing was read: between two readings, and at the ends of what was asked
    for.
    """
    known = seconds[np.isfinite(values)]
    if len(known) == 0:
        return [(frame.start_s + frame.air_s, frame.end_s - frame.air_s)]
    step_s = usual_step_s(seconds)
    wide = np.flatnonzero(np.diff(known) > _GAP_STEPS * step_s)
    inner = [(float(known[i]), float(known[i + 1])) for i in wide]
    ends = [
        (frame.start_s + frame.air_s, float(known[0])),
        (float(known[-1]), frame.end_s - frame.air_s),
    ]
    return inner + [span for span in ends if span[1] - span[0] > _GAP_STEPS * step_s]


def draw_line(
    sheet: Sheet,
    frame: Frame,
    span: Span,
    seconds: Seconds,
    values: Floats,
    flags: Flags,
    colour: Colour,
) -> None:
    """A series with its flagged part thick; readings without neighbours become dots."""
    _draw_trace(sheet, span, trace(frame, seconds, values, flags), values, flags, colour)


def _draw_trace(
    sheet: Sheet, span: Span, points: Trace, values: Floats, flags: Flags, colour: Colour
) -> None:
    shown, flagged = values[points.kept], flags[points.kept]
    spots = np.column_stack([points.xs, span.places(shown)])
    for start, end in _strokes(points, np.isfinite(shown)):
        _draw_stroke(sheet, spots[start:end], colour, 0.8)
    for start, end in _strokes(points, np.isfinite(shown) & flagged):
        _draw_stroke(sheet, spots[start:end], FLAGGED, 1.7)


def _strokes(points: Trace, wanted: Flags) -> list[tuple[int, int]]:
    """Ranges of wanted points that one line may join."""
    strokes = []
    for start, end in runs_of(wanted):
        cuts = [start, *(start + 1 + np.flatnonzero(points.breaks[start + 1 : end])), end]
        strokes += [(int(a), int(b)) for a, b in pairwise(cuts)]
    return strokes


def _draw_stroke(
    sheet: Sheet, spots: npt.NDArray[np.float64], colour: Colour, width: float
) -> None:
    if len(spots) == 1:
        sheet.marker("circle", float(spots[0, 0]), float(spots[0, 1]), 2.2 * width, colour)
    sheet.polyline(spots, colour, width)


def _draw_expected(sheet: Sheet, span: Span, points: Trace, channel: ChannelSeries) -> None:
    if channel.lower is None or channel.upper is None:
        _draw_expected_line(sheet, span, points, channel.expected)
        return
    lower, upper = channel.lower[points.kept], channel.upper[points.kept]
    for start, end in runs_of(np.isfinite(lower) & np.isfinite(upper)):
        xs, low, high = (
            points.xs[start:end],
            span.places(lower[start:end]),
            span.places(upper[start:end]),
        )
        if len(xs) == 1:
            xs, high, low = np.array([xs[0] - 3, xs[0] + 3]), np.repeat(high, 2), np.repeat(low, 2)
        outline = np.concatenate([np.column_stack([xs, high]), np.column_stack([xs, low])[::-1]])
        sheet.polygon(outline, BAND, 0.75)


def _draw_expected_line(sheet: Sheet, span: Span, points: Trace, expected: Floats | None) -> None:
    if expected is None:
        return
    shown = expected[points.kept]
    for start, end in runs_of(np.isfinite(shown)):
        sheet.polyline(
            np.column_stack([points.xs[start:end], span.places(shown[start:end])]),
            MUTED,
            0.7,
            "1 1.5",
        )


def draw_first_flags(
    sheet: Sheet,
    frame: Frame,
    span: Span,
    seconds: Seconds,
    values: Floats,
    flags: Flags,
    n_most: int = 12,
) -> None:
    """A triangle at the first reading of each run of flags, the longest runs first where there are
    many.
    """
    runs = sorted(runs_of(flags & np.isfinite(values)), key=lambda run: run[0] - run[1])[:n_most]
    for start, _ in runs:
        x, y = frame.clip(float(seconds[start])), span.place(float(values[start]))
        sheet.marker("triangle", x, y, 8.5, PAPER)
        sheet.marker("triangle", x, y, 6, FLAGGED)


def draw_heat_rows(
    sheet: Sheet, frame: Frame, heat: HeatMap, rows: list[int], row_height: float
) -> None:
    """Errors of chosen channels as luminance of one hue on a square-root scale; missing buckets are
    hatched.
    """
    starts = unix_s(heat.bucket_starts)
    lefts = np.clip(frame.times.places(starts), frame.x, frame.x + frame.width)
    rights = np.clip(frame.times.places(starts + heat.bucket_s), frame.x, frame.x + frame.width)
    highest = highest_error(heat)
    boxes: dict[int, list[tuple[float, float, float, float]]] = {}
    for place, row in enumerate(rows):
        y, levels = frame.y + place * row_height, heat_levels(heat.errors[row], highest)
        for i in np.flatnonzero((levels >= 0) & (rights > lefts)):
            box = (lefts[i] + 0.15, y + 0.4, rights[i] - lefts[i] - 0.3, row_height - 0.8)
            boxes.setdefault(int(levels[i]), []).append(box)
        _hatch_missing(sheet, heat.errors[row], lefts, rights, y, row_height)
    for level in sorted(boxes):
        sheet.rects(boxes[level], HEAT[level])


def _hatch_missing(
    sheet: Sheet, errors: Floats, lefts: Seconds, rights: Seconds, y: float, row_height: float
) -> None:
    for start, end in runs_of(np.isnan(errors)):
        sheet.hatch(
            float(lefts[start]), y + 0.4, float(rights[end - 1] - lefts[start]), row_height - 0.8
        )


def highest_error(heat: HeatMap) -> float:
    """The largest known error of a heat map, 0 where there is none.

    >>> highest_error(HeatMap(np.array(["2026-01-01"], dtype="datetime64[s]"), 60, np.array([[np.nan]])))
    0.0
    """
    known = heat.errors[np.isfinite(heat.errors)]
    return float(known.max()) if known.size else 0.0


def heat_levels(errors: Floats, highest: float) -> npt.NDArray[np.intp]:
    """The luminance step of each error on a square-root scale; −1 draws nothing (no error to speak
    of, or missing).

    >>> heat_levels(np.array([0.0, 0.25, 1.0, np.nan]), 1.0)
    array([-1,  4,  8, -1])
    """
    if highest <= 0:
        return np.full(len(errors), -1)
    share = np.sqrt(np.clip(np.nan_to_num(errors / highest, nan=0.0, posinf=1.0), 0, 1))
    return np.where(
        share < 0.04, -1, np.minimum((share * len(HEAT)).astype(np.intp), len(HEAT) - 1)
    )


def draw_sparkline(sheet: Sheet, frame: Frame, scores: ScoreSeries) -> None:
    """Errors over their threshold in the height of a table row."""
    seconds = unix_s(scores.times)
    if not np.isfinite(scores.errors).any():
        sheet.hatch(frame.x, frame.y, frame.width, frame.height)
        return
    span = frame.values(*value_limits(scores.errors, scores.thresholds, include_zero=True))
    draw_line(sheet, frame, span, seconds, scores.errors, scores.flags, MUTED)
    known = scores.thresholds[np.isfinite(scores.thresholds)]
    if known.size:
        y = span.place(float(known[-1]))
        sheet.line(frame.x, y, frame.x + frame.width, y, FLAGGED, 0.5, "2 1.5")


def draw_histories(
    sheet: Sheet, x: float, y: float, width: float, height: float, lines: list[tuple[Floats, str]]
) -> None:
    """Training and validation loss by epoch; solid and dashed."""
    frame = Frame(x, y, width, height, 1, max(2, *(len(values) for values, _ in lines)))
    span = frame.values(*value_limits(*(values for values, _ in lines), include_zero=True))
    draw_value_axis(sheet, frame, span, 3)
    sheet.line(x, y + height, x + width, y + height, RULE)
    for values, dash in lines:
        xs = frame.times.places(np.arange(1, len(values) + 1, dtype=np.float64))
        known = np.isfinite(values)
        sheet.polyline(np.column_stack([xs[known], span.places(values[known])]), INK, 0.9, dash)
    sheet.text(x, y + height + 9, "epoch 1", SMALL)
    sheet.text(x + width, y + height + 9, f"{int(frame.end_s)}", SMALL, "right")
