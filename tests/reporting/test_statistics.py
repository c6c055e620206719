"""What exploring says of readings agrees with slow and obvious ways to find it, gaps included."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tsad_tasks.reporting.exploration.statistics import (
    channel_summary,
    correlations,
    distance_of_distributions,
    extreme,
    histogram,
    missing_shares,
)

quick = settings(max_examples=40, deadline=None, derandomize=True)


def gappy(seed: int, n_steps: int = 60, n_channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = 1000 + rng.normal(size=(n_steps, n_channels)).cumsum(axis=0)
    values[rng.uniform(size=values.shape) < 0.3] = np.nan
    return values


@quick
@given(st.integers(0, 1000))
def test_correlations_are_those_of_the_steps_that_a_pair_shares(seed: int) -> None:
    values, expected = gappy(seed), np.full((3, 3), np.nan)
    for i in range(3):
        for j in range(3):
            both = np.isfinite(values[:, [i, j]]).all(axis=1)
            if both.sum() >= 10:
                expected[i, j] = np.corrcoef(values[both, i], values[both, j])[0, 1]
    np.testing.assert_allclose(correlations(values), expected, atol=1e-9)


def test_a_constant_or_unknown_channel_has_no_correlation() -> None:
    values = np.column_stack([np.arange(50.0), np.full(50, 7.3), np.full(50, np.nan)])
    found = correlations(values)
    assert found[0, 0] == pytest.approx(1.0)
    assert np.isnan(found[1:]).all()
    assert np.isnan(found[:, 1:]).all()


@quick
@given(st.integers(0, 1000))
def test_the_distance_of_distributions_is_scipys(seed: int) -> None:
    first, second = gappy(seed)[:, 0].round(), gappy(seed + 1)[:, 0].round()
    expected = stats.ks_2samp(first[np.isfinite(first)], second[np.isfinite(second)]).statistic
    assert distance_of_distributions(first, second) == pytest.approx(expected)
    assert math.isnan(distance_of_distributions(first, np.array([np.nan])))


def test_a_channel_in_numbers_counts_what_is_missing_constant_and_extreme() -> None:
    found = channel_summary(np.array([1.0, 2.0, np.nan, 3.0, 2.0, np.inf, 9000.0, 2.0]))
    assert (found.n_known, found.missing_share, found.n_extreme) == (6, 0.25, 1)
    assert (found.low, found.median, found.high, found.is_constant) == (1.0, 2.0, 9000.0, False)
    nothing, flat = channel_summary(np.array([np.nan])), channel_summary(np.full(5, 2.0))
    assert (nothing.n_known, nothing.missing_share, math.isnan(nothing.mean)) == (0, 1.0, True)
    assert (flat.is_constant, flat.n_extreme) == (True, 0)


def test_nothing_is_extreme_where_nothing_is_known_and_unknown_is_not_extreme() -> None:
    assert not extreme(np.array([np.nan, np.nan])).any()
    assert np.flatnonzero(extreme(np.array([0.0, 0.1, 0.2, 0.1, 0.2, 50.0, np.nan]))).tolist() == [
        5
    ]


def test_one_spike_does_not_flatten_a_histogram_and_is_counted() -> None:
    values = np.append(np.linspace(0, 1, 5000), 1e6)
    found = histogram(values, n_bins=10)
    assert found.edges[-1] < 1.01
    assert found.n_above >= 1
    assert found.counts.sum() + found.n_below + found.n_above == 5001
    assert histogram(np.array([])).counts.sum() == 0
    assert histogram(np.full(3, 2.0)).counts.sum() == 3


def test_missing_shares_are_by_channel_and_day_over_the_entities_that_have_the_channel() -> None:
    values = np.ones((2, 4, 3))
    values[0, :2, 0] = np.nan
    values[1, 0, 0] = np.nan
    values[:, 3, 1] = np.nan
    values[1, :, 1] = np.nan
    values[:, :, 2] = np.nan
    fitted = np.array([[True, True, False], [True, False, False]])
    found = missing_shares(values, np.array([0, 0, 1, 1]), fitted)
    assert found.tolist() == [[0.75, 0.0], [0.0, 0.5], [1.0, 1.0]]
