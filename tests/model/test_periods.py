"""The period is found under noise, trend, gaps and outliers, and none is found where there is
none.
"""

from __future__ import annotations

import numpy as np
import pytest

from tsad_tasks.base.errors import BadInput
from tsad_tasks.model.periods import autocorrelation, dominant_period


def wave(n: int, period: int, noise: float, seed: int = 0) -> np.ndarray:
    steps = np.arange(n)
    shape = np.sin(2 * np.pi * steps / period) + 0.4 * np.sin(4 * np.pi * steps / period + 1)
    return shape + noise * np.random.default_rng(seed).normal(size=n)


@pytest.mark.parametrize("period", [7, 24, 60, 288])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_a_period_is_found_under_noise(period: int, noise: float) -> None:
    found = dominant_period(wave(8 * period, period, noise), max_steps=2 * period + 5)
    assert found == pytest.approx(period, rel=0.04)


def test_a_trend_does_not_hide_the_period() -> None:
    assert dominant_period(wave(480, 24, 0.3) + 0.1 * np.arange(480), 100) == pytest.approx(
        24, abs=1
    )


def test_gaps_and_outliers_do_not_hide_the_period() -> None:
    values = wave(480, 24, 0.3)
    values[100:140] = np.nan
    values[[7, 200, 333]] = 1e6
    assert dominant_period(values, 100) == pytest.approx(24, abs=1)


def test_channels_vote_together() -> None:
    values = np.stack([wave(480, 24, 1.0, seed) for seed in range(8)] + [np.full(480, 3.0)], axis=1)
    assert dominant_period(values, 100) == pytest.approx(24, abs=1)


@pytest.mark.parametrize("seed", range(5))
def test_noise_has_no_period(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(size=600)
    assert dominant_period(noise, 150) is None


def test_what_never_changes_or_is_too_short_has_no_period() -> None:
    assert dominant_period(np.full(100, 5.0), 30) is None
    assert dominant_period(np.full(100, np.nan), 30) is None
    assert dominant_period(wave(5, 2, 0.0), 30) is None
    assert dominant_period(wave(48, 24, 0.0), 30) is None


def test_a_longest_period_below_two_steps_is_bad_input() -> None:
    with pytest.raises(BadInput, match=r"Expected max_steps of at least 2\. Received: 1"):
        dominant_period(wave(48, 24, 0.0), 1)


def test_autocorrelation_equals_its_definition() -> None:
    values = np.random.default_rng(1).permutation(np.repeat([0.5, 1.0, 3.0], 20))
    values[[3, 30]] = np.nan
    centred = values - np.nanmean(values)
    expected = []
    for lag in range(10):
        first, second = centred[: 60 - lag], centred[lag:]
        known = np.isfinite(first + second)
        first, second = first[known], second[known]
        expected.append((first @ second) / np.sqrt((first @ first) * (second @ second)))
    assert autocorrelation(values, 9).tolist() == pytest.approx(expected, abs=1e-9)
