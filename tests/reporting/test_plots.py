"""Plots keep to their axes, and what is thinned keeps its ends."""

from __future__ import annotations

import numpy as np

from tsad_tasks.reporting.drawing.charts import Frame, draw_sparkline
from tsad_tasks.reporting.drawing.plots import (
    Axes,
    LineLook,
    draw_bars,
    draw_confusion,
    draw_curve,
    log_heights,
    power_ticks,
)
from tsad_tasks.reporting.drawing.series import ScoreSeries
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.drawing.theme import FLAGGED, INK, Colour


def size_of(n: int) -> int:
    """Bytes of a page with a curve of so many points."""
    sheet = Sheet(compressed=False)
    xs = np.linspace(0, 1, n)
    draw_curve(sheet, Axes(50, 50, 200, 200, (0, 1), (0, 1)), xs, xs**2, LineLook(INK, 1))
    return len(sheet.finish())


def test_a_curve_of_a_million_points_is_as_small_as_one_of_thousands() -> None:
    assert size_of(1_000_000) < 1.5 * size_of(3_000)


def test_a_bar_of_nothing_is_not_drawn() -> None:
    sheet = Sheet(compressed=False)
    axes = Axes(50, 50, 200, 100, (0, 3), (-0.3, 2))
    draw_bars(sheet, axes, np.array([0.0, 1, 2, 3]), log_heights(np.array([0, 10, 0])), INK)
    assert sheet.finish().count(b" re ") == 1


def test_powers_are_thinned_where_there_are_many() -> None:
    assert len(power_ticks((-3.0, 30.0))) <= 8
    assert power_ticks((0.1, 0.9)) == []


def test_a_confusion_matrix_without_anomalies_has_no_shares_of_them() -> None:
    sheet = Sheet(compressed=False)
    assert draw_confusion(sheet, 50, 50, 200, (0, 3, 0, 97)) > 130
    assert b"97" in sheet.finish()


class LinesKept(Sheet):
    """A sheet that keeps its dashed lines in the colour of flags, which are thresholds."""

    def __init__(self) -> None:
        super().__init__(compressed=False)
        self.thresholds: list[np.ndarray] = []

    def polyline(
        self, points: np.ndarray, colour: Colour, width: float = 0.8, dash: str = ""
    ) -> None:
        if colour == FLAGGED and dash:
            self.thresholds.append(points)
        super().polyline(points, colour, width, dash)


def test_a_sparkline_has_the_threshold_that_applied_at_each_step() -> None:
    n = 6
    times = np.datetime64("2026-03-01T00:00:00") + 60 * np.arange(n).astype("timedelta64[s]")
    errors, thresholds = np.array([1.0, 1, 3, 3, 1, 1]), np.array([2.0, 2, 2, 2, 8, 8])
    sheet = LinesKept()
    frame = Frame(0, 0, 100, 80, float(times[0].astype(int)), float(times[-1].astype(int)))
    draw_sparkline(sheet, frame, ScoreSeries(times, errors, thresholds, errors > thresholds))
    (line,) = sheet.thresholds
    # From the top: 8 is the highest of all, 0 the lowest.
    heights = 8 * (frame.bottom - line[:, 1]) / (frame.bottom - line[-1, 1])
    assert np.allclose(heights, thresholds)
    # What is flagged lies above the line.
    assert (errors > heights).tolist() == [False, False, True, True, False, False]
