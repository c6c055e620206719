"""Rows on a grid: against the slow twin, and the promises of its docstring."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference.slow_grid import Row, slow_grid
from tsad_tasks.ingest.grid import HOUR_US, Grid, Rows, to_grid

quick = settings(max_examples=80, deadline=None, derandomize=True)

AGGREGATES = ("last", "mean", "min", "max", "count")
STEP_S = 600
GRID = Grid(0, 2 * HOUR_US, STEP_S, n_entities=2, n_channels=5)

VALUES = st.sampled_from([-1.5, -0.0, 0.0, 1.0, 2.25, 1e9, float("nan")])
WIDE = st.lists(
    st.tuples(
        st.integers(0, 7199),
        st.integers(0, 1),
        st.integers(0, 2),
        st.lists(VALUES, min_size=5, max_size=5),
    ),
    max_size=30,
)


def _wide(content):
    columns = (
        [np.array(column) for column in zip(*content, strict=True)]
        if content
        else [np.zeros(0, int)] * 4
    )
    values = np.array(columns[3], float).reshape(len(content), 5)
    return Rows(
        columns[0].astype(np.int64) * 1_000_000,
        columns[1].astype(np.intp),
        columns[2].astype(np.int64),
        values,
    )


def _long(content):
    rows = [(t, e, u, c, v[c]) for t, e, u, v in content for c in range(5)]
    t, e, u, c, v = (
        (np.array(column) for column in zip(*rows, strict=True)) if rows else [np.zeros(0)] * 5
    )
    times_us = t.astype(np.int64) * 1_000_000
    return Rows(
        times_us, e.astype(np.intp), u.astype(np.int64), v.astype(float), channel=c.astype(np.intp)
    )


def _slow_values(content):
    rows = [Row(t, e, c, u, v[c]) for t, e, u, v in content for c in range(5)]
    values = np.full((2, GRID.n_steps, 5), np.nan)
    present = np.zeros(values.shape, bool)
    for key, value in slow_grid(rows, STEP_S, AGGREGATES).items():
        values[key], present[key] = value, True
    return values, present


@quick
@given(WIDE)
def test_wide_rows_equal_the_slow_twin(content):
    values, present = _slow_values(content)
    gridded = to_grid(_wide(content), GRID, AGGREGATES)
    np.testing.assert_allclose(gridded.values, values, rtol=1e-12)
    np.testing.assert_array_equal(gridded.present, present)


@quick
@given(WIDE)
def test_long_rows_give_the_bits_of_wide_rows(content):
    wide, long = (
        to_grid(_wide(content), GRID, AGGREGATES),
        to_grid(_long(content), GRID, AGGREGATES),
    )
    np.testing.assert_array_equal(long.values, wide.values)
    np.testing.assert_array_equal(long.present, wide.present)


@quick
@given(WIDE, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_change_a_bit(content, random):
    shuffled = random.sample(content, len(content))
    one, other = (
        to_grid(_wide(content), GRID, AGGREGATES),
        to_grid(_wide(shuffled), GRID, AGGREGATES),
    )
    assert (one.values + 0.0).tobytes() == (other.values + 0.0).tobytes()
    np.testing.assert_array_equal(one.duplicate, other.duplicate)


@quick
@given(WIDE)
def test_every_row_is_taken_or_counted(content):
    gridded = to_grid(_wide(content), GRID, AGGREGATES)
    n_cells = gridded.present.any(axis=2).sum()
    assert n_cells + gridded.duplicate.sum() + gridded.resampled.sum() == len(content)


def test_an_entity_gets_the_same_bits_with_and_without_the_others():
    rng = np.random.default_rng(1)
    n = 5000
    times_us, entity = rng.integers(0, 7200, n) * 1_000_000, rng.integers(0, 2, n)
    rows = Rows(times_us, entity, np.arange(n), rng.normal(size=(n, 5)))
    own = entity == 1
    alone = Rows(times_us[own], entity[own] * 0, np.arange(n)[own], rows.values[own])
    together = to_grid(rows, GRID, AGGREGATES).values[1]
    assert (
        together.tobytes()
        == to_grid(alone, Grid(0, 2 * HOUR_US, STEP_S, 1, 5), AGGREGATES).values[0].tobytes()
    )


def test_a_table_without_a_channel_says_nothing_about_it():
    times_us = np.array([0, 0])
    values = np.array([[1.0, np.nan], [9.0, 2.0]])
    offered = np.array([[True, False], [False, True]])
    rows = Rows(
        times_us,
        np.zeros(2, np.intp),
        np.zeros(2, np.int64),
        values,
        table=np.array([0, 1]),
        offered=offered,
    )
    gridded = to_grid(rows, Grid(0, HOUR_US, 3600, 1, 2), ["last", "last"])
    assert gridded.values.ravel().tolist() == [1.0, 2.0]
    assert gridded.duplicate.sum() == 0


@pytest.mark.parametrize(("time_s", "n_off_grid"), [(600, 0), (601, 1)])
def test_a_lone_row_beside_the_grid_is_counted(time_s, n_off_grid):
    rows = Rows(
        np.array([time_s * 1_000_000]),
        np.zeros(1, np.intp),
        np.zeros(1, np.int64),
        np.array([[7.0]]),
    )
    gridded = to_grid(rows, Grid(0, HOUR_US, 600, 1, 1), ["mean"])
    assert gridded.values[0, 1, 0] == 7.0
    assert gridded.off_grid.sum() == n_off_grid
