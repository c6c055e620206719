"""Fewer points on paper still show every extreme; ticks are round in the site zone."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tsad_tasks.reporting.drawing.scales import (
    kept_indices,
    nice_ticks,
    runs_of,
    tick_texts,
    time_ticks,
)
from tsad_tasks.reporting.drawing.series import Flags, Floats

quick = settings(max_examples=100, deadline=None, derandomize=True)
readings = st.lists(
    st.tuples(st.floats(-1e6, 1e6) | st.just(math.nan), st.integers(0, 4), st.booleans()),
    min_size=1,
    max_size=40,
)


def slow_kept(values: Floats, columns: np.ndarray, flags: Flags) -> set[float]:
    """The values that must be drawn, column by column."""
    wanted = set()
    for column in set(columns):
        inside = [
            i for i in range(len(values)) if columns[i] == column and math.isfinite(values[i])
        ]
        flagged = [values[i] for i in inside if flags[i]]
        wanted |= {f(values[i] for i in inside) for f in (min, max) if inside} | (
            {max(flagged)} if flagged else set()
        )
    return wanted


@quick
@given(readings)
def test_downsampling_keeps_lowest_highest_and_worst_flagged_of_each_column(
    rows: list[tuple[float, int, bool]],
) -> None:
    rows = sorted(rows, key=lambda row: row[1])
    values, columns = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    flags = np.array([row[2] for row in rows])
    kept = kept_indices(values, columns, flags)
    assert slow_kept(values, columns, flags) <= set(values[kept])
    assert np.all(np.diff(kept) > 0)


def test_the_worst_flagged_reading_stays_though_it_is_no_extreme() -> None:
    values, expected = np.array([0.0, 5.0, 9.0, 10.0]), np.array([0.0, 0.0, 9.0, 10.0])
    flags, columns = np.array([False, True, True, False]), np.zeros(4, dtype=np.intp)
    assert 1 in kept_indices(values, columns, flags, np.abs(values - expected))


def test_a_column_without_readings_keeps_its_gap() -> None:
    values = np.array([1.0, np.nan, np.nan, 2.0])
    kept = kept_indices(values, np.array([0, 1, 1, 2]))
    assert np.isnan(values[kept]).sum() == 1


@quick
@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_lie_inside_and_read_differently(low: float, width: float) -> None:
    ticks, _ = nice_ticks(low, low + width, 4)
    assert all(low - 1e-6 * width <= tick <= low + width * (1 + 1e-6) for tick in ticks)
    assert len(ticks) <= 6


def test_ticks_of_thousands_are_shortened() -> None:
    assert tick_texts([0.0, 2500.0, 20000.0], 0) == ["0", "2.5 k", "20.0 k"]
    assert tick_texts([0.0, 2e6], 0) == ["0", "2 M"]


def test_time_ticks_are_round_in_the_site_zone_across_the_clock_change() -> None:
    start = datetime(2026, 10, 24, 22, tzinfo=UTC).timestamp()
    labels = [label for _, label in time_ticks(start, start + 25 * 3600, "Europe/Berlin", 5)]
    assert labels == ["25 Oct", "06:00", "12:00", "18:00", "26 Oct"]


def test_runs_at_both_ends_are_found() -> None:
    assert runs_of(np.array([True, False, True])) == [(0, 1), (2, 3)]
    assert runs_of(np.array([], dtype=bool)) == []
