"""Plots keep to their axes, and what is thinned keeps its ends."""

from __future__ import annotations

import numpy as np

from tsad_tasks.reporting.drawing.plots import (
    Axes,
    LineLook,
    draw_bars,
    draw_confusion,
    draw_curve,
    log_heights,
    power_ticks,
)
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.drawing.theme import INK


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
