"""A summary says of an hour what one would count by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tsad_tasks.model.hour_summary import NO_DECIMALS, summaries


def _by_hand(hour: np.ndarray) -> dict[str, float]:
    """The same, one value after the other."""
    values = [value for value in hour.tolist() if not np.isnan(value)]
    runs: list[list[float]] = []
    for value in values:
        if runs and runs[-1][-1] == value:
            runs[-1].append(value)
        else:
            runs.append([value])
    pairs = list(pairwise(values))
    longest = max(runs, key=len)
    return {
        "n": len(values), "n_distinct": len(set(values)), "first": values[0], "last": values[-1],
        "least": min(values), "greatest": max(values), "median": float(np.median(values)),
        "n_least": values.count(min(values)), "n_greatest": values.count(max(values)),
        "longest": len(longest), "run_value": longest[0], "lead": len(runs[0]),
        "tail": len(runs[-1]), "pairs_zero": sum(a == 0 for a, _ in pairs),
        "equal_zero": sum(a == b == 0 for a, b in pairs),
        "equal_other": sum(a == b != 0 for a, b in pairs),
    }  # fmt: skip


def test_it_is_what_one_counts_by_hand() -> None:
    rng = np.random.default_rng(4)
    hours = rng.integers(0, 4, (40, 12, 3)).astype(float)
    hours[rng.random(hours.shape) < 0.2] = np.nan
    found = summaries(hours)
    for i, k in np.ndindex(40, 3):
        wanted = _by_hand(hours[i, :, k])
        assert {name: float(found[i, k][name]) for name in wanted} == wanted
    assert np.isnan(found["n_rows"]).all()


def test_an_hour_without_readings_has_none() -> None:
    found = summaries(np.full((1, 12, 1), np.nan), np.zeros((1, 12, 1), np.uint8))[0, 0]
    assert (found["n"], found["n_rows"], found["decimals"]) == (0, 0, NO_DECIMALS)
    assert np.isnan(found["median"])


@pytest.mark.parametrize(
    ("values", "decimals"),
    [
        ([20.0, 21.0, 25.0], 0),
        ([20.5, 21.0, 25.0], 1),
        ([20.25, 21.0, 25.0], 2),
        ([1200.0, 1300.0, 2500.0], -2),
        ([0.0, 0.001, 1234567.891], 3),
        ([*np.float32([20.1, 20.2, 0.3])], 1),
        ([np.pi, np.e, 1.0], NO_DECIMALS),
        ([3.25, 3.25, 3.25], NO_DECIMALS),
    ],
)
def test_decimals_are_those_of_all_values(values: list[float], decimals: int) -> None:
    assert summaries(np.array(values)[None, :, None])[0, 0]["decimals"] == decimals


def test_a_mean_of_six_readings_has_their_decimals() -> None:
    read = np.random.default_rng(5).normal(20, 1, (60, 6)).round(2)
    hour = read.mean(axis=1)[None, :, None]
    counts = np.full(hour.shape, 6, np.uint8)
    assert summaries(hour)[0, 0]["decimals"] == NO_DECIMALS
    assert summaries(hour, counts)[0, 0]["decimals"] == 2
    assert summaries(hour, counts)[0, 0]["n_rows"] == 360
