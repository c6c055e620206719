"""Plots of numbers: curves, histograms, matrices; colours differ in shape or weight as well."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tsad_tasks.base.arrays import Floats64, Ints
from tsad_tasks.reporting.drawing import theme
from tsad_tasks.reporting.drawing.flow import Box
from tsad_tasks.reporting.drawing.marks import LegendEntry, line_entry
from tsad_tasks.reporting.drawing.scales import Span, Ticks
from tsad_tasks.reporting.drawing.series import Floats
from tsad_tasks.reporting.drawing.sheet import Align, Sheet
from tsad_tasks.text.formats import MINUS, SUPERSCRIPT, count_text, number_text, share_text

_NEAREST = 0.3


@dataclass(frozen=True)
class LineLook:
    """Colour, width and dashes of a line, so that it can be told apart in grey as well."""

    colour: theme.Colour
    width: float
    dash: str = ""

    def entry(self, name: str) -> LegendEntry:
        """A legend entry with such a line."""
        return line_entry(name, self.colour, self.width, self.dash)


LOOKS = (
    LineLook(theme.MUTED, 0.8, "1 1.6"),
    LineLook(theme.INK, 0.9, "4 2"),
    LineLook(theme.ACTUAL, 1.6),
    LineLook(theme.FLAGGED, 1.2, "7 2 1.5 2"),
)


@dataclass(frozen=True)
class Axes(Box):
    """A plot's rectangle on the sheet, and the values that its width and height show."""

    x_limits: tuple[float, float]
    y_limits: tuple[float, float]

    @property
    def across(self) -> Span:
        """Values to x."""
        return Span(*self.x_limits, self.x, self.x + self.width)

    @property
    def up(self) -> Span:
        """Values to y."""
        return Span(*self.y_limits, self.y + self.height, self.y)


def power_ticks(limits: tuple[float, float]) -> Ticks:
    """Whole powers of ten inside limits that are logarithms, at most about seven of them.

    >>> power_ticks((-1.5, 2.0))
    [(-1.0, '0.1'), (0.0, '1'), (1.0, '10'), (2.0, '100')]
    """
    first, last = math.ceil(limits[0] - 1e-9), math.floor(limits[1] + 1e-9)
    every = max(1, -(-(last - first) // 7))
    ticks = []
    for power in range(first, last + 1):
        text = f"10{str(power).translate(SUPERSCRIPT)}"
        if -3 <= power <= 5:
            text = count_text(10**power) if power >= 0 else f"{10.0**power:g}"
        ticks.append((float(power), text))
    return [tick for tick in ticks if tick[0] % every == 0]


def log_ticks(limits: tuple[float, float]) -> Ticks:
    """Values at 1, 2 and 5 times powers of ten inside limits that are logarithms.

    >>> [text for _, text in log_ticks((-1.0, 0.5))]
    ['0.1', '0.2', '0.5', '1', '2']
    """
    low, high = 10 ** limits[0], 10 ** limits[1]
    powers = range(math.floor(limits[0]), math.ceil(limits[1]) + 1)
    values = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    return [(math.log10(value), f"{value:.3g}") for value in values if low <= value <= high]


def draw_axes(
    sheet: Sheet, axes: Axes, x_ticks: Ticks, y_ticks: Ticks, x_label: str = "", y_label: str = ""
) -> None:
    """Faint lines with their values, and what the axes show: below, and at the upper left."""
    for value, text in y_ticks:
        y = axes.up.place(value)
        sheet.line(axes.x, y, axes.x + axes.width, y, theme.GRID, 0.5)
        sheet.text(axes.x - 4, y + 2.4, text, theme.SMALL, "right")
    for value, text in x_ticks:
        x = axes.across.place(value)
        sheet.line(x, axes.y, x, axes.bottom, theme.GRID, 0.5)
        sheet.text(x, axes.bottom + 10, text, theme.SMALL, "centre")
    sheet.line(axes.x, axes.bottom, axes.x + axes.width, axes.bottom, theme.RULE, 0.8)
    sheet.cut(axes.x + axes.width / 2, axes.bottom + 21, x_label, theme.SMALL, axes.width, "centre")
    sheet.cut(axes.x, axes.y - 5, y_label, theme.SMALL, axes.width)


def draw_curve(sheet: Sheet, axes: Axes, xs: Floats, ys: Floats, look: LineLook) -> None:
    """A line through known points, those left out that would not be seen."""
    known = np.isfinite(xs) & np.isfinite(ys)
    points = np.column_stack([axes.across.places(xs[known]), axes.up.places(ys[known])])
    if len(points) >= 400:
        # Points that cannot be told apart are one; the first and the last stay.
        cells = np.round(points / _NEAREST).astype(np.int64)
        moved = np.append(True, (np.diff(cells, axis=0) != 0).any(axis=1))
        moved[-1] = True
        points = points[moved]
    sheet.polyline(points, look.colour, look.width, look.dash)


def draw_bars(sheet: Sheet, axes: Axes, edges: Floats, heights: Floats, fill: theme.Colour) -> None:
    """Filled bars between edges; nothing for what is at or below the axis."""
    lefts, tops = axes.across.places(edges), axes.up.places(np.maximum(heights, axes.y_limits[0]))
    boxes = [
        (float(left), float(top), float(max(right - left - 0.25, 0.3)), float(axes.bottom - top))
        for left, right, top in zip(lefts[:-1], lefts[1:], tops, strict=True)
        if top < axes.bottom
    ]
    sheet.rects(boxes, fill)


def draw_steps(sheet: Sheet, axes: Axes, edges: Floats, heights: Floats, look: LineLook) -> None:
    """The outline of a histogram, which stays visible over filled bars."""
    xs = np.repeat(axes.across.places(edges), 2)
    tops = np.repeat(axes.up.places(np.maximum(heights, axes.y_limits[0])), 2)
    ys = np.concatenate([[axes.bottom], tops, [axes.bottom]])
    sheet.polyline(np.column_stack([xs, ys]), look.colour, look.width, look.dash)


def draw_upright(sheet: Sheet, axes: Axes, value: float, text: str) -> None:
    """A dashed upright line, such as a threshold, with its name beside its upper end."""
    x = axes.across.place(value)
    sheet.line(x, axes.y - 2, x, axes.bottom, theme.FLAGGED, 0.9, "3 2")
    side: Align = "right" if x > axes.x + 0.7 * axes.width else "left"
    style, offset = replace(theme.TINY, colour=theme.FLAGGED), -3 if side == "right" else 3
    sheet.text(x + offset, axes.y + 5, text, style, side)


def log_heights(counts: Ints) -> Floats64:
    """Heights of counts on a logarithmic axis that begins at half a count.

    >>> log_heights(np.array([0, 1, 100])).round(1).tolist()
    [-0.3, 0.0, 2.0]
    """
    return np.asarray(np.log10(np.maximum(counts, 0.5)), np.float64)


def draw_confusion(
    sheet: Sheet, x: float, y: float, width: float, cells: tuple[int, int, int, int]
) -> float:
    """Hits, false flags, misses and quiet steps, shaded by row; returns the lower end."""
    hit, false, missed, quiet = cells
    label, height = 46.0, 42.0
    side = (width - label) / 2
    for i, name in enumerate(("flagged", "not flagged")):
        sheet.text(x + label + side * (i + 0.5), y + 8, name, theme.SMALL, "centre")
    for row, (name, pair) in enumerate((("anomaly", (hit, missed)), ("normal", (false, quiet)))):
        top = y + 12 + row * (height + 2)
        sheet.text(x, top + height / 2 + 2.5, name, theme.SMALL)
        for i, count in enumerate(pair):
            share = count / sum(pair) if sum(pair) else math.nan
            shades = theme.COVERAGE if row == i else theme.HEAT
            level = min(int(np.nan_to_num(share) * len(theme.COVERAGE)), len(theme.COVERAGE) - 1)
            ink = theme.PAPER if level >= 4 else theme.INK
            left, middle = x + label + side * i, x + label + side * i + (side - 2) / 2
            sheet.rect(left, top, side - 2, height, fill=shades[level])
            style, room = replace(theme.STRONG, colour=ink), side - 6
            sheet.cut(middle, top + height / 2, count_text(count), style, room, "centre")
            text = "–" if math.isnan(share) else share_text(share)
            small = replace(theme.TINY, colour=ink)
            sheet.cut(middle, top + height / 2 + 11, text, small, room, "centre")
    return y + 12 + 2 * (height + 2)


def draw_correlations(
    sheet: Sheet, x: float, y: float, width: float, found: Floats, names: Sequence[str]
) -> float:
    """Correlations as cells: blue positive, orange negative, dark strong, hatched unknown."""
    label = 84.0
    side = min((width - label) / max(len(names), 1), 30.0)
    for i, name in enumerate(names):
        top = y + i * side
        sheet.cut(x, top + side / 2 + 2.4, f"{i + 1}  {name}", theme.CELL, label - 6)
        for k in range(i + 1):
            _draw_correlation(sheet, x + label + k * side, top, side - 1, float(found[i, k]))
    bottom = y + len(names) * side
    for k in range(len(names)):
        sheet.text(x + label + (k + 0.5) * side, bottom + 9, str(k + 1), theme.SMALL, "centre")
    return bottom + 14


def _draw_correlation(sheet: Sheet, x: float, y: float, side: float, value: float) -> None:
    if math.isnan(value):
        sheet.hatch(x, y, side, side)
        return
    shades = theme.COVERAGE if value >= 0 else theme.HEAT[: len(theme.COVERAGE)]
    level = min(int(abs(value) * len(shades)), len(shades) - 1)
    sheet.rect(x, y, side, side, fill=shades[level])
    text = number_text(abs(value), 2).removeprefix("0") if abs(value) < 0.995 else "1"
    sign = MINUS if value < -0.005 else ""
    style = theme.TextStyle(min(6.5, side * 0.36), colour=theme.PAPER if level >= 4 else theme.INK)
    sheet.text(x + side / 2, y + side / 2 + 2.2, f"{sign}{text}", style, "centre")
