"""Wall-clock times as UTC; hours that occur twice or never are told apart."""

from __future__ import annotations

from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.interval import from_unix_s

US_PER_S = 1_000_000
_DAY_S = 86_400
_PROBE_S = 21_600

Int64 = NDArray[np.int64]
Mask = NDArray[np.bool_]


class UtcTimes(NamedTuple):
    """Times in UTC, shape (n,), and what was odd about them.

    `nonexistent` ones are placed with the offset before the clocks changed, which says to which
    hour they are counted.
    """

    times_us: Int64
    ambiguous: Mask
    nonexistent: Mask


def utc_from_local(
    local_us: Int64, zone: ZoneInfo, ambiguous: Literal["first", "second"] = "first"
) -> UtcTimes:
    """UTC times of wall-clock times.

    Parameters
    ----------
    local_us : (n,) microseconds since 1970-01-01 00:00 on the zone's own clock.
    ambiguous : which of the two times is meant when clocks were set back.

    >>> noon = 1_735_732_800_000_000
    >>> found = utc_from_local(np.array([noon]), ZoneInfo("Europe/Berlin"))
    >>> int(found.times_us[0] - noon) // 3_600_000_000
    -1
    """
    if not len(local_us):
        return UtcTimes(local_us, np.zeros(0, bool), np.zeros(0, bool))
    starts, offsets = zone_offsets(
        int(local_us.min()) - _DAY_S * US_PER_S, int(local_us.max()) + _DAY_S * US_PER_S, zone
    )
    ends = np.append(starts[1:], np.iinfo(np.int64).max)
    guesses = local_us[:, None] - offsets[None, :]
    fits = (guesses >= starts) & (guesses < ends)
    n_fits = fits.sum(axis=1)
    first, last = fits.argmax(axis=1), len(offsets) - 1 - fits[:, ::-1].argmax(axis=1)
    # No segment fits where the clock was set forward: the last one that had begun counts.
    before = np.maximum((guesses >= starts).sum(axis=1) - 1, 0)
    chosen = np.where(n_fits == 0, before, first if ambiguous == "first" else last)
    return UtcTimes(guesses[np.arange(len(chosen)), chosen], n_fits > 1, n_fits == 0)


def local_range(start_us: int, end_us: int, zone: ZoneInfo) -> tuple[int, int]:
    """Wall-clock range, in microseconds, of every local time of a UTC range and an hour around it.

    >>> [us // 3_600_000_000 for us in local_range(0, 3_600_000_000, ZoneInfo("UTC"))]
    [-1, 2]
    """
    hour_us = 3600 * US_PER_S
    _, offsets = zone_offsets(start_us - hour_us, end_us + hour_us, zone)
    return start_us - hour_us + int(offsets.min()), end_us + hour_us + int(offsets.max())


def zone_offsets(start_us: int, end_us: int, zone: ZoneInfo) -> tuple[Int64, Int64]:
    """When each offset from UTC begins within a UTC range, and the offsets, both in microseconds.

    >>> span_us = 1_743_200_000_000_000, 1_743_300_000_000_000
    >>> starts, offsets = zone_offsets(*span_us, ZoneInfo("Europe/Berlin"))
    >>> (offsets // 3_600_000_000).tolist()
    [1, 2]
    """
    first_s, last_s = start_us // US_PER_S, -(-end_us // US_PER_S)
    starts, offsets = [first_s], [_offset_s(first_s, zone)]
    for probe_s in range(first_s, last_s, _PROBE_S):
        until_s = min(probe_s + _PROBE_S, last_s)
        if _offset_s(until_s, zone) != offsets[-1]:
            low_s, high_s = probe_s, until_s
            while high_s - low_s > 1:
                middle_s = (low_s + high_s) // 2
                is_before = _offset_s(middle_s, zone) == offsets[-1]
                low_s, high_s = (middle_s, high_s) if is_before else (low_s, middle_s)
            starts.append(high_s)
            offsets.append(_offset_s(until_s, zone))
    return np.array(starts, np.int64) * US_PER_S, np.array(offsets, np.int64) * US_PER_S


def _offset_s(utc_s: int, zone: ZoneInfo) -> int:
    offset = from_unix_s(utc_s).astimezone(zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())
