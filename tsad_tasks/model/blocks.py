"""What the highest values of usual six hours say of rarer ones: Gumbel's distribution of maxima.

Its place and width are taken from the middle and the upper quarter of the maxima, so that faults in
up to a quarter of these hours say little.

Source: Gumbel (1958), Statistics of Extremes.
"""

from __future__ import annotations

import math

import numpy as np

from tsad_tasks.base.arrays import Floats64

BLOCK_S, MIN_BLOCKS = 21600, 56
# Levels of blocks' maxima that location and width are taken from.
MIDDLE, HIGH = 0.5, 0.75
# Variance of a width, as a share of its square, times the number of maxima.
WIDTH_VARIANCE = 3.58


def block_steps(n_steps: int, step_s: int) -> int:
    """Steps of six hours, or of less where there would be fewer than 56 times that.

    >>> block_steps(100_000, 60), block_steps(2880, 60), block_steps(7, 60)
    (360, 51, 1)
    """
    return max(1, min(BLOCK_S // step_s, n_steps // MIN_BLOCKS))


def gumbel_of(maxima: Floats64) -> tuple[Floats64, Floats64]:
    """Location and width of the distribution of maxima (n_blocks, …), both (…).

    >>> location, width = gumbel_of(np.random.default_rng(7).gumbel(5.0, 2.0, (9999, 1)))
    >>> location.round(1).tolist(), width.round(1).tolist()
    ([5.0], [2.0])
    """
    middle, high = np.quantile(maxima, [MIDDLE, HIGH], axis=0)
    width = (high - middle) / (gumbel_level(HIGH) - gumbel_level(MIDDLE))
    return np.asarray(middle - width * gumbel_level(MIDDLE)), np.asarray(width)


def as_seldom(beyond: float, n_blocks: float) -> float:
    """How many widths beyond the location, of a width that so many maxima gave, are exceeded as
    seldom as `beyond` true ones: the mean over what the width may be.

    The measured share of the true width is taken for a gamma variable of mean 1 and of the variance
    that two quantiles of so many values leave.

    >>> round(as_seldom(8.0, 56), 2), round(as_seldom(8.0, 1e9), 2)
    (10.44, 8.0)
    """
    variance = WIDTH_VARIANCE / n_blocks
    return math.expm1(min(beyond * variance, 100.0)) / variance


def gumbel_level(share: float) -> float:
    """Quantile of the standard Gumbel distribution.

    >>> round(gumbel_level(0.5), 3)
    0.367
    """
    return -math.log(-math.log(share))
