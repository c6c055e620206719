"""What readings look like: extremes, distributions, correlations, gaps.

Values are (n_steps, n_channels) on a grid, NaN where nothing was read. What is not known stays NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.arrays import Flags, Floats64, Ints

QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)
# A normal distribution's interquartile range in standard deviations.
IQR_STDS = 1.349
EXTREME_SPREADS = 10.0
MIN_PAIRS = 10


@dataclass(frozen=True)
class ChannelSummary:
    """One channel in numbers; NaN where nothing is known."""

    n_known: int  # steps with a finite value
    missing_share: float  # of all steps
    mean: float  # mean, std, low and high: of the known values
    std: float
    low: float
    high: float
    quantiles: tuple[float, ...]  # at 1, 25, 50, 75 and 99 %
    n_extreme: int  # values farther from the median than 10 robust standard deviations

    @property
    def median(self) -> float:
        """The middle value."""
        return self.quantiles[2]

    @property
    def is_constant(self) -> bool:
        """Whether all known values are the same."""
        return self.n_known > 0 and self.low == self.high


def channel_summary(values: Floats64) -> ChannelSummary:
    """One channel, (n,), in numbers.

    >>> found = channel_summary(np.array([1.0, 2.0, 3.0, np.nan]))
    >>> found.median, found.missing_share, found.n_extreme
    (2.0, 0.25, 0)
    """
    known = values[np.isfinite(values)]
    missing = 1 - known.size / values.size if values.size else math.nan
    if not known.size:
        return ChannelSummary(0, missing, *(math.nan,) * 4, (math.nan,) * len(QUANTILES), 0)
    return ChannelSummary(
        n_known=known.size,
        missing_share=missing,
        mean=float(known.mean()),
        std=float(known.std()),
        low=float(known.min()),
        high=float(known.max()),
        quantiles=tuple(np.quantile(known, QUANTILES).tolist()),
        n_extreme=int(np.count_nonzero(extreme(known))),
    )


def extreme(values: Floats64) -> Flags:
    """Whether each value, (n,), is more than ten robust deviations off the median.

    The spread is the interquartile range over 1.349; where that is 0, the standard deviation.

    >>> extreme(np.array([1.0, 2.0, 3.0, 2.0, 900.0])).tolist()
    [False, False, False, False, True]
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return np.zeros(values.shape, bool)
    first, middle, third = np.quantile(known, (0.25, 0.5, 0.75)).tolist()
    spread = (third - first) / IQR_STDS or float(known.std())
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(values - middle) > EXTREME_SPREADS * spread, np.bool_)


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts (n_bins,) between edges (n_bins + 1,), and how many lie below and above."""

    counts: Ints
    edges: Floats64
    n_below: int = 0
    n_above: int = 0


def histogram(
    values: NDArray[np.floating[Any]], *, n_bins: int = 40, edges: Floats64 | None = None
) -> Histogram:
    """The distribution of known values, by default of the middle 99.8 %: no spike flattens it.

    >>> values, edges = np.array([0.0, 1.0, 1.0, np.nan]), np.array([0.0, 0.5, 1.0])
    >>> histogram(values, edges=edges).counts.tolist()
    [1, 2]
    """
    known = values[np.isfinite(values)].astype(np.float64)
    if edges is None:
        low, high = np.quantile(known, (0.001, 0.999)).tolist() if known.size else (0.0, 1.0)
        if low == high:
            low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
        edges = np.linspace(low, high, n_bins + 1)
    counts, _ = np.histogram(known, edges)
    below, above = (int(np.count_nonzero(side)) for side in (known < edges[0], known > edges[-1]))
    return Histogram(counts.astype(np.int64), edges, below, above)


def distance_of_distributions(first: Floats64, second: Floats64) -> float:
    """The Kolmogorov–Smirnov statistic: the largest difference of two distributions, 0 to 1.

    Unknown values are left out; NaN where one side has none. Neighbouring readings resemble one
    another, so no p-value is given: it would be far too small.

    Source: Smirnov, 1939.

    >>> distance_of_distributions(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    0.5
    """
    a, b = (np.sort(side[np.isfinite(side)]) for side in (first, second))
    if not (a.size and b.size):
        return math.nan
    both = np.concatenate([a, b])
    shares = [np.searchsorted(side, both, side="right") / side.size for side in (a, b)]
    return float(np.abs(shares[0] - shares[1]).max())


def correlations(values: Floats64) -> Floats64:
    """Pearson correlations, (n_channels, n_channels), over the steps that both channels know.

    NaN where fewer than 10 steps are shared or a channel does not vary in them.

    Parameters
    ----------
    values : (n_steps, n_channels)

    >>> wave = np.sin(np.arange(50.0))
    >>> correlations(np.column_stack([wave, -wave, np.ones(50)])).round(2).tolist()[0]
    [1.0, -1.0, nan]
    """
    known = np.isfinite(values)
    means = np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, values - means, 0.0)
    marks = known.astype(np.float64)
    n = marks.T @ marks
    with np.errstate(invalid="ignore", divide="ignore"):
        # Sums of a over the steps where b is known too: the pair's own means, not those of all
        # steps.
        own, square = centred.T @ marks, (centred**2).T @ marks
        variance = square / n - (own / n) ** 2
        covariance = centred.T @ centred / n - own * own.T / n**2
        found = covariance / np.sqrt(variance * variance.T)
        varies = variance > 1e-12 * np.maximum(square / n, 1e-300)
    usable = (n >= MIN_PAIRS) & varies & varies.T
    return np.where(usable, np.clip(found, -1.0, 1.0), np.nan)


def missing_shares(values: Floats64, days: Ints, fitted: Flags) -> Floats64:
    """Share of steps without a value, (n_channels, n_days), of the entities that have a channel.

    Parameters
    ----------
    values : (n_entities, n_steps, n_channels)
    days : (n_steps,)
        Position of each step's day, from 0.
    fitted : (n_entities, n_channels)
        Which channels entities have; a channel that none of them has is missing in all.

    >>> values = np.array([[[1.0], [np.nan], [2.0]], [[np.nan], [np.nan], [np.nan]]])
    >>> missing_shares(values, np.array([0, 0, 1]), np.array([[True], [False]])).tolist()
    [[0.5, 0.0]]
    """
    counted = fitted | ~fitted.any(axis=0)
    missing = ~np.isfinite(values) & counted[:, None, :]
    share = missing.sum(axis=0) / np.maximum(np.count_nonzero(counted, axis=0), 1)
    n_days = int(days.max()) + 1 if days.size else 0
    steps = np.bincount(days, minlength=n_days)
    columns = [np.bincount(days, weights=column, minlength=n_days) for column in share.T]
    shares = np.array([column / np.maximum(steps, 1) for column in columns])
    return shares.reshape(share.shape[1], n_days)
