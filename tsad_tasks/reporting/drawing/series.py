"""What plots are drawn from, as plain arrays: errors with their thresholds, channels, heat maps.

Arrays of times are `datetime64` in UTC, single times are aware datetimes; NaN is an unknown number.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]
Times = npt.NDArray[np.datetime64]


@dataclass(frozen=True, eq=False)
class ScoreSeries:
    """Errors with their thresholds and flags; all of one length, times ascending."""

    times: Times
    errors: Floats
    thresholds: Floats
    flags: Flags

    def __post_init__(self) -> None:
        expect_lengths("ScoreSeries", len(self.times), self.errors, self.thresholds, self.flags)


@dataclass(frozen=True, eq=False)
class ChannelSeries:
    """One channel around an incident: readings, what was expected, and its share of the error.

    `expected`, `lower` and `upper` may be missing. `worst_*` describe the flagged reading farthest
    from expectation.
    """

    name: str
    unit: str
    times: Times
    values: Floats
    expected: Floats | None = None
    lower: Floats | None = None
    upper: Floats | None = None
    error_share: float = float("nan")
    worst_value: float | None = None
    worst_expected: float | None = None
    worst_lower: float | None = None
    worst_upper: float | None = None
    worst_at: datetime | None = None
    worst_difference: float | None = None

    def __post_init__(self) -> None:
        optional = (band for band in (self.expected, self.lower, self.upper) if band is not None)
        expect_lengths(f"ChannelSeries {self.name!r}", len(self.times), self.values, *optional)


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Errors (n_channels, n_buckets) in the order of the channels; NaN is missing."""

    bucket_starts: Times
    bucket_s: float
    errors: Floats

    def __post_init__(self) -> None:
        if self.errors.ndim != 2 or self.errors.shape[1] != len(self.bucket_starts):
            raise ValueError(
                f"Expected errors of shape (n_channels, {len(self.bucket_starts)}). Received: "
                f"{self.errors.shape}. Give one column for each bucket start."
            )

    @property
    def highest(self) -> float:
        """The largest known error, 0 where there is none.

        >>> nothing = np.array([[np.nan]])
        >>> HeatMap(np.array(["2026-01-01"], dtype="datetime64[s]"), 60, nothing).highest
        0.0
        """
        return float(np.max(self.errors, where=np.isfinite(self.errors), initial=0.0))


def expect_lengths(what: str, n: int, *arrays: npt.NDArray[np.generic]) -> None:
    """Refuses arrays that are not all of length n."""
    lengths = [len(array) for array in arrays]
    if any(length != n for length in lengths):
        raise ValueError(f"Expected arrays of length {n} in {what}. Received: {lengths}.")


NO_SCORES = ScoreSeries(
    np.array([], dtype="datetime64[s]"), np.array([]), np.array([]), np.array([], dtype=bool)
)
