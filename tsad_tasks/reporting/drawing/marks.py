"""Small drawn words: severity marks and the entries of legends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tsad_tasks.reporting.drawing.fonts import width_of
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.drawing.theme import (
    ACTUAL,
    BAND,
    FLAGGED,
    HATCH,
    HEAT,
    INCIDENT_GROUND,
    INK,
    MUTED,
    SEVERITY_MARKS,
    SMALL,
    TextStyle,
)
from tsad_tasks.reporting.period.content import Severity

Drawing = Callable[[Sheet, float, float], None]


@dataclass(frozen=True)
class LegendEntry:
    """A drawing `width` wide, drawn from its left end at the middle of the text, and its name."""

    width: float
    draw: Drawing
    name: str


def draw_severity(sheet: Sheet, x: float, y: float, severity: Severity, style: TextStyle) -> float:
    """Draws shape and word with the baseline at `y`; returns the x behind them."""
    mark = SEVERITY_MARKS[severity]
    sheet.marker(
        mark.shape, x + style.size * 0.42, y - style.size * 0.36, style.size * 0.84, mark.colour
    )
    return (
        x
        + style.size * 1.1
        + sheet.text(x + style.size * 1.1, y, mark.word, style.but(colour=mark.colour))
    )


def draw_legend(
    sheet: Sheet, y: float, entries: Sequence[LegendEntry], x: float | None = None
) -> float:
    """Draws entries side by side, on as many lines as they need; returns the baseline of the last
    line.
    """
    left = x = sheet.left if x is None else x
    for entry in entries:
        width = entry.width + 5 + width_of(entry.name, SMALL)
        if x > left and x + width > sheet.right:
            x, y = left, y + 12
        entry.draw(sheet, x, y - 2.5)
        sheet.text(x + entry.width + 5, y, entry.name, SMALL)
        x += width + 14
    return y


def line_entry(
    name: str, colour: tuple[float, float, float], width: float, dash: str = ""
) -> LegendEntry:
    """A legend entry with a short line."""
    return LegendEntry(
        18, lambda sheet, x, y: sheet.line(x, y, x + 18, y, colour, width, dash), name
    )


def ground_entry(name: str, fill: tuple[float, float, float]) -> LegendEntry:
    """A legend entry with a filled box."""
    return LegendEntry(18, lambda sheet, x, y: sheet.rect(x, y - 4, 18, 8, fill=fill), name)


def severity_entry(severity: Severity, name: str = "") -> LegendEntry:
    """A legend entry with a severity's shape."""
    mark = SEVERITY_MARKS[severity]
    return LegendEntry(
        8,
        lambda sheet, x, y: sheet.marker(mark.shape, x + 4, y, 7.5, mark.colour),
        name or mark.word.lower(),
    )


def _draw_ramp(sheet: Sheet, x: float, y: float) -> None:
    for i, fill in enumerate(HEAT):
        sheet.rect(x + 4 * i, y - 4, 4, 8, fill=fill)


def _draw_hatch(sheet: Sheet, x: float, y: float) -> None:
    sheet.hatch(x, y - 4, 18, 8)
    sheet.rect(x, y - 4, 18, 8, stroke=HATCH, line_width=0.3)


def _draw_stroke_sample(sheet: Sheet, x: float, y: float) -> None:
    sheet.polyline(
        np.array([[x, y + 1], [x + 6, y - 1], [x + 12, y + 1], [x + 18, y - 1]]), ACTUAL, 0.8
    )


ACTUAL_ENTRY = LegendEntry(18, _draw_stroke_sample, "actual")
FLAGGED_ENTRY = line_entry("flagged", FLAGGED, 1.7)
THRESHOLD_ENTRY = line_entry("threshold", FLAGGED, 0.8, "3 2")
FIRST_FLAG_ENTRY = LegendEntry(
    7, lambda sheet, x, y: sheet.marker("triangle", x + 3.5, y, 6, FLAGGED), "first flag"
)
RANGE_ENTRY = ground_entry("expected range", BAND)
EXPECTED_ENTRY = line_entry("expected", MUTED, 0.7, "1 1.5")
INCIDENT_ENTRY = ground_entry("incident", INCIDENT_GROUND)
MISSING_ENTRY = LegendEntry(18, _draw_hatch, "no data")
ERROR_ENTRY = line_entry("error", INK, 0.8)


def heat_entry(name: str) -> LegendEntry:
    """The legend entry of the heat map."""
    return LegendEntry(4.0 * len(HEAT), _draw_ramp, name)
