"""How far what was counted may be from the truth: 95 % intervals, pairs, and shifts."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import comb, exp, sqrt

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
# What is less likely than this is not put down to chance.
SURE = 1 - CONFIDENCE
_Z = 1.959963984540054
# So large a Poisson count is as good as normal.
MANY = 400
PSI_BINS, PSI_SMALLEST = 10, 1e-4
# What is usual for the index: below 0.1 nothing has moved, above 0.25 it is another population.
PSI_SLIGHT, PSI_LARGE = 0.1, 0.25


def share_interval(n_hits: float, n: float) -> tuple[float, float]:
    """Where a share may well lie of which `n_hits` of `n` were seen, 95 %.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, 1927.

    >>> [round(end, 3) for end in share_interval(8, 10)], share_interval(0, 0)
    ([0.49, 0.943], (0.0, 1.0))
    """
    if not n:
        return 0.0, 1.0
    share, more = n_hits / n, _Z * _Z / n
    middle = (share + more / 2) / (1 + more)
    half = _Z * sqrt(share * (1 - share) / n + more / (4 * n)) / (1 + more)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def count_interval(n: int) -> tuple[float, float]:
    """Where the mean of a Poisson count may well lie of which `n` was seen, 95 %.

    Source: Garwood, Fiducial limits for the Poisson distribution, 1936.

    >>> [round(end, 3) for end in count_interval(0)], [round(end, 3) for end in count_interval(4)]
    ([0.0, 3.689], [1.09, 10.242])
    """
    if n > MANY:
        return n - _Z * sqrt(n), n + _Z * sqrt(n)
    tail = (1 - CONFIDENCE) / 2
    high = _root(lambda mean: _at_most(n, mean) - tail, n + 10 * sqrt(n + 1) + 10)
    low = _root(lambda mean: tail - (1 - _at_most(n - 1, mean)), n + 1.0) if n else 0.0
    return low, high


def _at_most(n: int, mean: float) -> float:
    """Probability that a Poisson count of that mean is at most `n`."""
    term = total = exp(-mean)
    for k in range(1, n + 1):
        term *= mean / k
        total += term
    return total


def _root(falling: Callable[[float], float], high: float) -> float:
    """Where a falling function of [0, high] is 0."""
    low = 0.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2


def chance_of_losing(n_lost: int, n_won: int, odds: float = 1.0) -> float:
    """Probability of so many losses or more, where losing is `odds` times as likely as winning.

    With odds of 1 it is the test of pairs of which one side is right; with other odds it compares
    two Poisson counts. Computed in whole numbers: any count will do.

    Source: McNemar, Note on the sampling error of the difference between correlated proportions,
    1947; exact form. Przyborowski and Wilenski, Homogeneity of results in testing samples from
    Poisson series, 1940.

    >>> chance_of_losing(5, 0), chance_of_losing(0, 0), chance_of_losing(2, 2)
    (0.03125, 1.0, 0.6875)
    >>> [round(chance_of_losing(*pair, 2.0), 3) for pair in ((3, 1), (14, 1), (0, 2000))]
    [0.593, 0.019, 1.0]
    """
    n, (lost, won) = n_lost + n_won, Fraction(odds).as_integer_ratio()
    n_ways = sum(comb(n, k) * lost**k * won ** (n - k) for k in range(n_lost, n + 1))
    return float(n_ways / (lost + won) ** n)


def stability_index(reference: NDArray[np.floating], seen: NDArray[np.floating]) -> float | None:
    """Population stability index (PSI); None where either side has fewer than 10 known values.

    0: distributed alike; above 0.1 a slight, above 0.25 a large shift. Bins: the reference's 10ths.

    Source: Siddiqi, Credit risk scorecards, 2006 (index and bounds).

    >>> values = np.arange(100.0)
    >>> stability_index(values, values), stability_index(values, np.array([1.0]))
    (0.0, None)
    >>> stability_index(values, values + 50) > PSI_LARGE
    True
    """
    known = [values[np.isfinite(values)] for values in (reference, seen)]
    if min(part.size for part in known) < PSI_BINS:
        return None
    edges = bin_edges(known[0])
    return index_of_shares(bin_shares(known[0], edges), bin_shares(known[1], edges))


def bin_edges(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Edges between the tenths of known values, each once, (at most 9,).

    >>> bin_edges(np.array([0.0, 0.0, 1.0])).tolist()
    [0.0, 0.2, 0.4, 0.6, 0.8]
    """
    quantiles = np.quantile(values.astype(np.float64), np.linspace(0, 1, PSI_BINS + 1)[1:-1])
    return np.unique(quantiles.round(12))


def bin_shares(values: NDArray[np.floating], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of known values in each bin; a value on an edge is in the bin below it.

    >>> bin_shares(np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0])).tolist()
    [0.5, 0.5]
    """
    bins = np.searchsorted(edges, values, side="left")
    return np.asarray(np.bincount(bins, minlength=len(edges) + 1) / max(values.size, 1), np.float64)


def index_of_shares(reference: NDArray[np.float64], seen: NDArray[np.float64]) -> float:
    """Population stability index from the shares of bins.

    >>> round(index_of_shares(np.array([0.5, 0.5]), np.array([0.25, 0.75])), 3)
    0.275
    """
    a, b = np.maximum(reference, PSI_SMALLEST), np.maximum(seen, PSI_SMALLEST)
    return float(((b - a) * np.log(b / a)).sum())
