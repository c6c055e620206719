"""What clean readings of a channel reach: at each hour, on which numbers, within which ends.

What lies beyond is an anomaly of that channel, and nothing else is sure to be one. Arrays are
(n_steps, n_channels) on the grid, NaN where unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsad_tasks.base.arrays import Flags, Floats64, Ints
from tsad_tasks.model.features import RESOLUTION

N_HOURS = 24
# Of what a channel does the outermost is chance, or nobody's label.
MIDDLE = (0.005, 0.995)
# What a side is at least, of the other one.
OTHER_SIDE = 0.25


@dataclass(frozen=True)
class HourExtremes:
    """Lowest and highest clean values by hour of the day and of its neighbours.

    Attributes
    ----------
    low, high : (24, n_channels), NaN where nothing was read.
    n_days : (24, n_channels), on how many days something was.
    """

    low: Floats64
    high: Floats64
    n_days: Ints

    @classmethod
    def of(cls, values: Floats64, clean: Flags, hours: Ints, dates: Ints) -> HourExtremes:
        """Those of the clean steps.

        Parameters
        ----------
        clean : (n_steps,)
        hours, dates : (n_steps,) of each step, on the clocks of the site.

        >>> values, hours = np.array([[1.0], [5.0], [3.0]]), np.array([4, 4, 9])
        >>> found = HourExtremes.of(values, np.ones(3, bool), hours, np.array([0, 1, 1]))
        >>> found.low[[4, 5, 9], 0].tolist(), found.high[5].tolist()
        ([1.0, 1.0, 3.0], [5.0])
        >>> found.n_days[[3, 9], 0].tolist()
        [2, 1]
        """
        n_channels = values.shape[1]
        low, high = np.full((2, N_HOURS, n_channels), np.nan)
        n_days = np.zeros((N_HOURS, n_channels), np.int64)
        of_hour = [np.flatnonzero(clean & (hours == hour)) for hour in range(N_HOURS)]
        for hour in range(N_HOURS):
            # What is usual an hour earlier or later may come a little early or late.
            near = np.concatenate([of_hour[(hour + by) % N_HOURS] for by in (-1, 0, 1)])
            if not near.size:
                continue
            read = values[near]
            low[hour], high[hour] = np.fmin.reduce(read), np.fmax.reduce(read)
            days, position = np.unique(dates[near], return_inverse=True)
            seen = np.zeros((len(days), n_channels), bool)
            np.logical_or.at(seen, position, np.isfinite(read))
            n_days[hour] = seen.sum(axis=0)
        return cls(low, high, n_days)


def side_widths(values: Floats64, clean: Flags) -> Floats64:
    """How far the middle of clean values goes below and above its median, (2, n_channels).

    Of a channel that is at one value nearly always, how far all of them go; a side on which it
    hardly moves has a share of the other. 0 where it never moved, or nothing is known.

    >>> zeros = np.zeros((1000, 1))
    >>> zeros[::500] = 6.0
    >>> side_widths(zeros, np.ones(1000, bool))[:, 0].tolist()
    [1.5, 6.0]
    >>> side_widths(zeros * 0, np.ones(1000, bool))[:, 0].tolist()
    [0.0, 0.0]
    """
    found = np.zeros((2, values.shape[1]))
    for channel, column in enumerate(values[clean].T):
        known = column[np.isfinite(column)]
        if not known.size:
            continue
        first, middle, last = np.quantile(known, [MIDDLE[0], 0.5, MIDDLE[1]])
        if first == last:
            first, last = known.min(), known.max()
        found[:, channel] = middle - first, last - middle
    return np.asarray(np.maximum(found, OTHER_SIDE * found[::-1]), np.float64)


def resolutions(values: Floats64, clean: Flags) -> Floats64:
    """The distance between two values that a channel can have, (n_channels,); 0 where it may have
    any.

    >>> read = np.array([[21.0, 0.1], [20.5, 0.7331], [23.0, 0.21]])
    >>> resolutions(read, np.ones(3, bool)).tolist()
    [0.5, 0.0]
    """
    found = np.zeros(values.shape[1])
    for channel, column in enumerate(values[clean].T):
        known = np.unique(column[np.isfinite(column)])
        if known.size < 2:
            continue
        apart = np.diff(known)
        apart = apart[apart > RESOLUTION * np.abs(known).max()]
        if not apart.size:
            continue
        n_steps = (known - known[0]) / apart.min()
        if np.abs(n_steps - np.round(n_steps)).max() < 1e-3:
            found[channel] = apart.min()
    return found


def natural_ends(values: Floats64, clean: Flags) -> tuple[Floats64, Floats64]:
    """Between which ends each channel stays, as far as its clean values tell, (n_channels,) each.

    What was never negative does not become it; what has two values only is one of them.

    >>> read = np.array([[3.0, -2.0, 0.0], [9.0, 5.0, 100.0], [4.0, 1.0, 0.0]])
    >>> [end.tolist() for end in natural_ends(read, np.ones(3, bool))]
    [[0.0, -inf, 0.0], [inf, inf, 100.0]]
    """
    lowest, highest = np.full((2, values.shape[1]), np.inf)
    lowest = -lowest
    for channel, column in enumerate(values[clean].T):
        known = np.unique(column[np.isfinite(column)])
        if not known.size:
            continue
        if known[0] >= 0:
            lowest[channel] = 0.0
        if known.size <= 2:
            lowest[channel], highest[channel] = known[0], known[-1]
    return lowest, highest
