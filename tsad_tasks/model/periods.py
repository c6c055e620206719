"""The period of a series, so that a window can be as long as what repeats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.arrays import Floats64
from tsad_tasks.base.errors import BadInput

# A period repeats at least so often in the series, and the series agrees with itself one period
# later at least so well.
MIN_REPEATS = 3
MIN_CORRELATION = 0.3
# A whole fraction of the best lag is the period where its correlation comes this close, within so
# much of the fraction.
CLOSE, TOLERANCE = 0.8, 0.05
# Deviations are cut off at so many robust spreads.
CUT = 4.0


def dominant_period(values: NDArray[np.floating], max_steps: int) -> int | None:
    """The number of steps after which a series agrees best with itself; None: it repeats nothing.

    The strongest peak of the autocorrelation that follows its first dip, or a whole fraction of it
    that is nearly as strong, since a series of period 24 also has the period 48. A straight trend
    is taken out, and values far out are cut off. Of channels, (n_steps, n_channels),
    autocorrelations are averaged; NaN is unknown. At most `max_steps`, and a third of the series.

    >>> dominant_period(np.sin(2 * np.pi * np.arange(100) / 12), max_steps=30)
    12
    >>> dominant_period(np.arange(100.0), max_steps=30) is None
    True
    """
    series = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    if max_steps < 2:
        raise BadInput(f"Expected max_steps of at least 2. Received: {max_steps}.")
    longest = min(max_steps, len(series) // MIN_REPEATS)
    found = [autocorrelation(column, longest + 1) for column in series.T if varies(column)]
    if not found or longest < 2:
        return None
    return _strongest_lag(np.mean(found, axis=0))


def autocorrelation(values: NDArray[np.floating], max_lag: int) -> Floats64:
    """How well a series without trend agrees with itself steps later, (max_lag + 1,), -1 to 1.

    Pairs of steps with an unknown value (NaN) do not count. Source: Wiener (1930) and Khinchin
    (1934): the inverse transform of the power spectrum, here of the known values.

    >>> autocorrelation(np.tile([1.0, -1.0, -1.0, 1.0], 2), 2).round(1).tolist()
    [1.0, -0.1, -1.0]
    """
    centred, known = _without_trend(np.asarray(values, dtype=np.float64))
    length = 1 << int(2 * len(centred) - 1).bit_length()
    products = _lagged(centred, centred, length)[: max_lag + 1]
    energies = (
        _lagged(centred**2, known, length)[: max_lag + 1],
        _lagged(known, centred**2, length)[: max_lag + 1],
    )
    scale = np.sqrt(np.maximum(energies[0], 0) * np.maximum(energies[1], 0))
    found = np.divide(
        products, scale, out=np.zeros_like(scale), where=scale > 1e-12 * energies[0][0]
    )
    return np.asarray(np.clip(found, -1, 1))


def _lagged(first: Floats64, second: Floats64, length: int) -> Floats64:
    """Sums over steps of `first` times `second` some steps later."""
    spectrum = np.conj(np.fft.rfft(first, length)) * np.fft.rfft(second, length)
    return np.fft.irfft(spectrum, length)


def varies(values: Floats64) -> bool:
    """Whether a series has three known values, and not all alike.

    >>> varies(np.array([1.0, np.nan, 1.0, 1.0])), varies(np.array([1.0, 2.0, 1.0]))
    (False, True)
    """
    known = values[np.isfinite(values)]
    return known.size > 2 and bool(np.ptp(known) > 0)


def _without_trend(values: Floats64) -> tuple[Floats64, Floats64]:
    """Deviations from a line, cut off where far out, 0 where unknown; and 1 where known."""
    known, steps = np.isfinite(values), np.arange(len(values), dtype=np.float64)
    # The slope between the medians of the first and the last third.
    # Source: Tukey, Exploratory data analysis, 1977: the resistant line.
    at, read = steps[known], values[known]
    third = max(1, len(at) // 3)
    rise = np.median(read[-third:]) - np.median(read[:third])
    slope = float(rise / (np.median(at[-third:]) - np.median(at[:third])))
    rest = np.where(known, values - slope * steps, 0.0)
    rest = np.where(known, rest - np.median(rest[known]), 0.0)
    spread = float(np.median(np.abs(rest[known]))) / 0.6745
    cut = np.clip(rest, -CUT * spread, CUT * spread) if spread > 0 else rest
    cut = np.where(known, cut - cut[known].mean(), 0.0)
    # What rounding leaves of a perfect line repeats nothing.
    tiny = 1e-9 * max(1.0, float(np.abs(values[known]).max()))
    return np.where(np.abs(cut) > tiny, cut, 0.0), known.astype(np.float64)


def _strongest_lag(correlation: Floats64) -> int | None:
    """The strongest peak after the first dip, or a fraction of it that is nearly as strong."""
    inner = correlation[1:-1]
    lags = np.flatnonzero((inner >= correlation[:-2]) & (inner > correlation[2:])) + 1
    dip = np.flatnonzero(correlation < MIN_CORRELATION)
    if not dip.size:
        dip = np.flatnonzero(np.diff(correlation) > 0)
    first = dip[0] if dip.size else len(correlation)
    lags = lags[(lags >= first) & (correlation[lags] >= MIN_CORRELATION)]
    if not lags.size:
        return None
    best = int(lags[correlation[lags].argmax()])
    for n_parts in range(best // int(lags[0]) + 1, 1, -1):
        near = lags[np.abs(lags - best / n_parts) <= max(1.0, TOLERANCE * best / n_parts)]
        near = near[correlation[near] >= CLOSE * correlation[best]]
        if near.size:
            return int(near[correlation[near].argmax()])
    return best
