"""Small drawn words: severity marks, the entries of legends, and tiles with the first figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tsad_tasks.base.enums import Severity
from tsad_tasks.reporting.drawing import theme
from tsad_tasks.reporting.drawing.flow import Block
from tsad_tasks.reporting.drawing.fonts import width_of
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.drawing.theme import Colour, TextStyle


@dataclass(frozen=True)
class LegendEntry:
    """A drawing `width` wide, drawn from its left end at the middle of the text, and its name."""

    width: float
    draw: Callable[[Sheet, float, float], object]
    name: str


def draw_severity(sheet: Sheet, x: float, y: float, severity: Severity, style: TextStyle) -> float:
    """Draws shape and word with the baseline at `y`; returns the x behind them."""
    mark, size = theme.SEVERITY_MARKS[severity], style.size
    sheet.marker(mark.shape, x + size * 0.42, y - size * 0.36, size * 0.84, mark.colour)
    x += size * 1.1
    return x + sheet.text(x, y, mark.word, replace(style, colour=mark.colour))


def draw_legend(
    sheet: Sheet, y: float, entries: Sequence[LegendEntry], x: float | None = None
) -> float:
    """Draws entries side by side, on lines as needed; returns the baseline of the last one."""
    left = x = sheet.left if x is None else x
    for entry in entries:
        width = entry.width + 5 + width_of(entry.name, theme.SMALL)
        if x > left and x + width > sheet.right:
            x, y = left, y + 12
        entry.draw(sheet, x, y - 2.5)
        sheet.text(x + entry.width + 5, y, entry.name, theme.SMALL)
        x += width + 14
    return y


def legend_block(entries: Sequence[LegendEntry], height: float = 18, first: float = 8) -> Block:
    """A legend over what it explains; `first` is the baseline of its first line."""
    return Block(height, lambda sheet, y: draw_legend(sheet, y + first, entries), True)


def line_entry(name: str, colour: Colour, width: float, dash: str = "") -> LegendEntry:
    """A legend entry with a short line."""
    return LegendEntry(
        18, lambda sheet, x, y: sheet.line(x, y, x + 18, y, colour, width, dash), name
    )


def ground_entry(name: str, fill: Colour) -> LegendEntry:
    """A legend entry with a filled box."""
    return LegendEntry(18, lambda sheet, x, y: sheet.rect(x, y - 4, 18, 8, fill=fill), name)


def ramp_entry(name: str, shades: Sequence[Colour], step: float, gap: float = 0.0) -> LegendEntry:
    """A legend entry with all shades side by side, one each `step` points."""

    def draw(sheet: Sheet, x: float, y: float) -> None:
        for i, fill in enumerate(shades):
            sheet.rect(x + step * i, y - 4, step - gap, 8, fill=fill)

    return LegendEntry(step * len(shades), draw, name)


def severity_entry(severity: Severity) -> LegendEntry:
    """A legend entry with a severity's shape."""
    mark = theme.SEVERITY_MARKS[severity]

    def draw(sheet: Sheet, x: float, y: float) -> None:
        sheet.marker(mark.shape, x + 4, y, 7.5, mark.colour)

    return LegendEntry(8, draw, mark.word.lower())


def _draw_hatch(sheet: Sheet, x: float, y: float) -> None:
    sheet.hatch(x, y - 4, 18, 8)
    sheet.rect(x, y - 4, 18, 8, stroke=theme.HATCH, line_width=0.3)


_COURSE = np.array([[0, 1], [6, -1], [12, 1], [18, -1]])
ACTUAL_ENTRY = LegendEntry(
    18, lambda sheet, x, y: sheet.polyline(np.add(_COURSE, (x, y)), theme.ACTUAL), "actual"
)
FLAGGED_ENTRY = line_entry("flagged", theme.FLAGGED, 1.7)
THRESHOLD_ENTRY = line_entry("threshold", theme.FLAGGED, 0.8, "3 2")
FIRST_FLAG_ENTRY = LegendEntry(
    7, lambda sheet, x, y: sheet.marker("triangle", x + 3.5, y, 6, theme.FLAGGED), "first flag"
)
RANGE_ENTRY = ground_entry("expected range", theme.BAND)
EXPECTED_ENTRY = line_entry("expected", theme.MUTED, 0.7, "1 1.5")
INCIDENT_ENTRY = ground_entry("incident", theme.INCIDENT_GROUND)
MISSING_ENTRY = LegendEntry(18, _draw_hatch, "no data")
ERROR_ENTRY = line_entry("error", theme.INK, 0.8)

_FIGURE = TextStyle(19, bold=True)
_GAP = 8.0
# Figure, its name, and lines that explain it, of which empty ones are left out.
Tile = tuple[str, str, list[str]]


def draw_tiles(
    sheet: Sheet, tiles: Sequence[Tile], y: float, *, height: float, first: float, leading: float
) -> float:
    """Draws tiles side by side from `y` down; returns where they end.

    Parameters
    ----------
    first, leading : from the tile's top to its first small line, and from line to line.
    """
    width = (sheet.inner_width - _GAP * (len(tiles) - 1)) / len(tiles)
    for i, (figure, name, lines) in enumerate(tiles):
        x = sheet.left + i * (width + _GAP)
        sheet.rect(x, y, width, height, fill=theme.PANEL)
        sheet.cut(x + 8, y + 25, figure, _FIGURE, width - 12)
        sheet.cut(x + 8, y + 38, name, theme.STRONG, width - 12)
        for k, line in enumerate(filter(None, lines)):
            sheet.cut(x + 8, y + first + leading * k, line, theme.SMALL, width - 12)
    return y + height
