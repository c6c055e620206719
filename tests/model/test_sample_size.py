"""How much few values say, against what is known of normal and Gumbel's distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tsad_tasks.model.blocks import as_seldom, gumbel_of
from tsad_tasks.model.sample_size import LEAST, n_independent, student_factor


@pytest.mark.parametrize("keeps", [0.0, 0.5, 0.9])
def test_of_a_first_order_series_as_many_are_independent_as_theory_says(keeps: float) -> None:
    """Sum of the squares of its correlations: n (1 - keeps²) / (1 + keeps²)."""
    rng, rows = np.random.default_rng(7), np.zeros((8000, 8))
    for i in range(1, len(rows)):
        rows[i] = keeps * rows[i - 1] + rng.normal(0, 1, 8)
    theory = 8000 * (1 - keeps**2) / (1 + keeps**2)
    assert n_independent(rows).mean() == pytest.approx(theory, rel=0.05)


def test_what_never_moves_says_next_to_nothing() -> None:
    assert n_independent(np.zeros((100, 2))).tolist() == [LEAST, LEAST]
    assert n_independent(np.ones((100, 1))).tolist() == [LEAST]


# Quantiles of Student's distribution, which a table has, where the normal one's is the deviate.
@pytest.mark.parametrize(
    ("deviate", "n", "quantile"),
    [(3.0, 5, 5.507), (3.0, 10, 3.957), (4.0, 10, 6.567), (4.5, 20, 6.029), (2.0, 1e6, 2.0)],
)
def test_a_deviate_of_few_values_is_students(deviate: float, n: float, quantile: float) -> None:
    found = deviate * student_factor(np.array(deviate), np.array(float(n)))
    assert float(found) == pytest.approx(quantile, rel=0.02)


@pytest.mark.parametrize("n_blocks", [28, 56, 112])
def test_with_a_width_of_few_maxima_a_level_is_exceeded_as_seldom_as_was_aimed_at(
    n_blocks: int,
) -> None:
    maxima = np.random.default_rng(7).gumbel(0.0, 1.0, (n_blocks, 20_000))
    _, width = gumbel_of(maxima)
    as_often = np.exp(-as_seldom(6.0, n_blocks) * width).mean() / math.exp(-6)
    plainly = np.exp(-6.0 * width).mean() / math.exp(-6)
    assert as_often == pytest.approx(1.0, abs=0.2)
    assert plainly > 1.5
