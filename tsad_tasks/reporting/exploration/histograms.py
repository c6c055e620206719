"""Small histograms side by side, one distribution filled and the other as an outline over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.reporting.drawing.flow import Block
from tsad_tasks.reporting.drawing.plots import (
    Axes,
    LineLook,
    draw_axes,
    draw_bars,
    draw_steps,
    draw_upright,
)
from tsad_tasks.reporting.drawing.scales import value_ticks
from tsad_tasks.reporting.drawing.series import Floats
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.drawing.theme import STRONG, Colour
from tsad_tasks.reporting.exploration.statistics import Histogram

_PER_ROW = 3
_GAP = 18


@dataclass(frozen=True, eq=False)
class HistogramPlot:
    """A channel's distribution, and another one of it as an outline."""

    title: str
    filled: Histogram
    fill: Colour
    outlined: Histogram | None
    look: LineLook
    marked: float | None = None  # a value with an upright line; None for none

    def draw(self, sheet: Sheet, x: float, y: float, width: float) -> None:
        """Draws it in a width; each distribution is as high as its own highest bar."""
        edges = self.filled.edges
        limits = (float(edges[0]), float(edges[-1]))
        axes = Axes(x, y + 22, width, 70, limits, (0.0, 1.08))
        draw_axes(sheet, axes, value_ticks(limits, 4), [])
        sheet.cut(axes.x, axes.y - 6, self.title, STRONG, width)
        draw_bars(sheet, axes, edges, _relative(self.filled.counts), self.fill)
        if self.outlined is not None:
            draw_steps(sheet, axes, edges, _relative(self.outlined.counts), self.look)
        if self.marked is not None:
            draw_upright(sheet, axes, float(np.clip(self.marked, *limits)), "")


def _relative(counts: NDArray[np.int64]) -> Floats:
    return counts / max(int(counts.max(initial=0)), 1)


def histogram_rows(plots: Sequence[HistogramPlot], width: float) -> list[Block]:
    """The plots, three in a row."""
    side = (width - (_PER_ROW - 1) * _GAP) / _PER_ROW

    def row(shown: Sequence[HistogramPlot]) -> Block:
        def draw(sheet: Sheet, y: float) -> None:
            for i, plot in enumerate(shown):
                plot.draw(sheet, sheet.left + i * (side + _GAP), y, side)

        return Block(118, draw)

    return [row(plots[i : i + _PER_ROW]) for i in range(0, len(plots), _PER_ROW)]
