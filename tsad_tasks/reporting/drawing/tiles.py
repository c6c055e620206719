"""Tiles: a few figures that a reader sees first."""

from __future__ import annotations

from collections.abc import Sequence

from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.drawing.theme import PANEL, SMALL, STRONG, TextStyle

FIGURE = TextStyle(19, bold=True)
GAP = 8.0
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
    width = (sheet.inner_width - GAP * (len(tiles) - 1)) / len(tiles)
    for i, (figure, name, lines) in enumerate(tiles):
        x = sheet.left + i * (width + GAP)
        sheet.rect(x, y, width, height, fill=PANEL)
        sheet.cut(x + 8, y + 25, figure, FIGURE, width - 12)
        sheet.cut(x + 8, y + 38, name, STRONG, width - 12)
        for k, line in enumerate(filter(None, lines)):
            sheet.cut(x + 8, y + first + leading * k, line, SMALL, width - 12)
    return y + height
