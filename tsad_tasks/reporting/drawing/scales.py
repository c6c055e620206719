"""From readings to points on paper: nice ticks, and fewer points that still show every extreme."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from tsad_tasks.base.arrays import Floats64
from tsad_tasks.reporting.drawing.series import Flags, Floats, Times
from tsad_tasks.text.formats import MONTHS, number_text, zone_of

Indices = npt.NDArray[np.intp]
Ticks = list[tuple[float, str]]
_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080, 20160)
_DAY_S = 86400


def unix_s(times: Times) -> Floats64:
    """Seconds since 1970 of UTC times.

    >>> unix_s(np.array(["1970-01-01T00:01", "1970-01-02"], dtype="datetime64[s]"))
    array([6.00e+01, 8.64e+04])
    """
    return times.astype("datetime64[us]").astype(np.int64) / 1e6


@dataclass(frozen=True)
class Span:
    """A linear map from [low, high] to [start, end] on paper.

    >>> Span(0, 10, 100, 200).place(2.5)
    125.0
    """

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        """Where one value lies."""
        return self.start + (value - self.low) * self._scale

    def places(self, values: npt.NDArray[np.floating]) -> Floats64:
        """Where values lie."""
        return np.asarray(self.start + (values - self.low) * self._scale, dtype=np.float64)

    @property
    def _scale(self) -> float:
        return (self.end - self.start) / ((self.high - self.low) or 1.0)


def value_limits(*arrays: Floats | None, include_zero: bool = False) -> tuple[float, float]:
    """Lowest and highest known value with a little air around them; (0, 1) where nothing is known.

    >>> value_limits(np.array([0.0, np.nan, 10.0])), value_limits(np.array([np.nan]))
    ((-0.6, 10.6), (0.0, 1.0))
    """
    known = [array[np.isfinite(array)] for array in arrays if array is not None]
    values = np.concatenate(known) if known else np.empty(0)
    if values.size == 0:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    low = min(low, 0.0) if include_zero else low
    air = 0.06 * (high - low) if high > low else max(0.05 * abs(high), 0.5)
    return (0.0 if include_zero and low == 0 else low - air), high + air


def nice_ticks(low: float, high: float, n_wanted: int) -> tuple[list[float], int]:
    """Round values inside [low, high], about so many, and the decimals that they need.

    >>> nice_ticks(-0.3, 5.2, 3)
    ([0.0, 2.0, 4.0], 0)
    """
    rough = (high - low) / max(n_wanted, 1)
    step = 1.0
    if math.isfinite(rough) and rough > 0:
        magnitude = 10.0 ** math.floor(math.log10(rough))
        step = next(n for n in (1, 2, 5, 10) if rough <= n * magnitude * 1.0001) * magnitude
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    n_decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return [round(i * step, 12) for i in range(first, last + 1)], n_decimals


def tick_texts(ticks: list[float], n_decimals: int) -> list[str]:
    """The ticks as text; thousands and millions shortened, so that they fit beside a plot.

    >>> tick_texts([0.0, 2_000_000.0], 0), tick_texts([0.5], 1)
    (['0', '2 M'], ['0.5'])
    """
    largest = max((abs(tick) for tick in ticks), default=0.0)
    for limit, divisor, name in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if limit <= largest < 1e12:
            scaled = [tick / divisor for tick in ticks]
            digits = max((n_decimals_needed(value) for value in scaled), default=0)
            return [f"{number_text(value, digits)} {name}" if value else "0" for value in scaled]
    return [number_text(tick, n_decimals) for tick in ticks]


def n_decimals_needed(value: float) -> int:
    """Decimals after which nothing but zeros follows, at most three.

    >>> n_decimals_needed(2.0), n_decimals_needed(2.5), n_decimals_needed(1 / 3)
    (0, 1, 3)
    """
    return next((n for n in range(3) if round(value, n) == round(value, 6)), 3)


def value_ticks(limits: tuple[float, float], n_wanted: int) -> Ticks:
    """Round values inside the limits, with their texts.

    >>> value_ticks((0.0, 1.0), 2)
    [(0.0, '0.0'), (0.5, '0.5'), (1.0, '1.0')]
    """
    values, n_decimals = nice_ticks(*limits, n_wanted)
    return list(zip(values, tick_texts(values, n_decimals), strict=True))


def time_ticks(start_s: float, end_s: float, zone: str, n_wanted: int) -> Ticks:
    """Round local times in a span: seconds since 1970 and a label, for midnights the day.

    >>> time_ticks(0, 4 * 3600, "UTC", 4)[1:3]
    [(3600.0, '01:00'), (7200.0, '02:00')]
    """
    wanted, zone_info = (end_s - start_s) / max(n_wanted, 1), zone_of(zone)
    step_s = next((60 * minutes for minutes in _MINUTES if 60 * minutes >= wanted * 0.7), None)
    if step_s is None:
        step_s = _DAY_S * max(1, math.ceil(wanted / _DAY_S))
    local = datetime.fromtimestamp(start_s, UTC).astimezone(zone_info)
    wall = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    # By the wall clock: a time that the clocks skip or repeat comes once.
    moments = set()
    while (at_s := wall.replace(tzinfo=zone_info).timestamp()) <= end_s:
        moments.add(at_s)
        wall += timedelta(seconds=step_s)
    ticks = []
    for at_s in sorted(at_s for at_s in moments if at_s >= start_s):
        local = datetime.fromtimestamp(at_s, UTC).astimezone(zone_info)
        is_day = step_s >= _DAY_S or (local.hour == 0 and local.minute == 0)
        day, clock = f"{local.day} {MONTHS[local.month - 1]}", f"{local:%H:%M}"
        ticks.append((at_s, day if is_day else clock))
    return ticks


def kept_indices(
    values: Floats, columns: Indices, flags: Flags | None = None, strange: Floats | None = None
) -> Indices:
    """Which readings to draw: of each column both extremes and the worst flag, of an empty one any.

    Parameters
    ----------
    values, columns, flags, strange : (n,)
        Readings, their columns on paper (ascending), which are flagged, how far off each is.

    >>> kept_indices(np.array([1.0, 5.0, 2.0, 3.0, 3.5, 9.0]), np.array([0, 0, 0, 0, 0, 1]))
    array([0, 1, 5])
    """
    is_known = np.isfinite(values)
    known, unknown = np.flatnonzero(is_known), np.flatnonzero(~is_known)
    empty = unknown[~np.isin(columns[unknown], np.unique(columns[is_known]))]
    firsts = empty[np.unique(columns[empty], return_index=True)[1]]
    kept = [firsts, *_ends_by_column(values, columns, known)]
    if flags is not None:
        heights = values if strange is None else np.nan_to_num(strange)
        kept.append(_ends_by_column(heights, columns, known[flags[known]])[1])
    return np.unique(np.concatenate([*kept, known[:1], known[-1:]]))


def _ends_by_column(values: Floats, columns: Indices, chosen: Indices) -> tuple[Indices, Indices]:
    """Of the chosen readings, those with the lowest and with the highest value of each column."""
    order = chosen[np.lexsort((values[chosen], columns[chosen]))]
    starts = np.flatnonzero(np.diff(columns[order], prepend=-1))
    ends = np.append(starts[1:], len(order)) - 1 if len(order) else starts
    return order[starts], order[ends]


def runs_of(mask: Flags) -> list[tuple[int, int]]:
    """Half-open index ranges in which a mask is true.

    >>> runs_of(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def usual_step_s(seconds: Floats64) -> float:
    """The median distance of times, in seconds; 60 where there is only one.

    >>> usual_step_s(np.array([0.0, 60.0, 120.0, 600.0]))
    60.0
    """
    return float(np.median(np.diff(seconds))) if len(seconds) > 1 else 60.0


def flags_at(seconds: Floats64, flag_seconds: Floats64, flags: Flags) -> Flags:
    """The flag at each time: that of the latest scored reading, if not older than one step.

    >>> flags_at(np.array([0.0, 60.0, 90.0]), np.array([0.0, 60.0]), np.array([False, True]))
    array([False,  True,  True])
    """
    if len(flag_seconds) == 0:
        return np.zeros(len(seconds), dtype=bool)
    latest = np.searchsorted(flag_seconds, seconds, side="right") - 1
    fresh = (latest >= 0) & (seconds - flag_seconds[latest] < usual_step_s(flag_seconds))
    return np.asarray(flags[latest] & fresh, dtype=bool)


def thinned(values: Floats, flags: Flags, width: int) -> Indices:
    """Positions of two readings of every `width`: the lowest and the highest, in the order of time.

    Of parts with flags only flagged readings stay; of those without known ones, the first twice.

    Parameters
    ----------
    values, flags : (n,), NaN where unknown.
    width : even number of readings, at least 2; a last, shorter part counts as well.

    >>> thinned(np.array([1.0, 5.0, 2.0, 9.0]), np.array([False, False, True, True]), 4).tolist()
    [2, 3]
    """
    n_parts = -(-len(values) // width)
    parts, raised = np.full((n_parts, width), np.nan), np.zeros((n_parts, width), bool)
    parts.ravel()[: len(values)], raised.ravel()[: len(values)] = values, flags
    known = np.isfinite(parts)
    wanted = known & (raised | ~(raised & known).any(axis=1, keepdims=True))
    lowest = np.where(wanted, parts, np.inf).argmin(axis=1)
    highest = np.where(wanted, parts, -np.inf).argmax(axis=1)
    both = np.sort(np.stack([lowest, highest], 1), axis=1) + width * np.arange(n_parts)[:, None]
    return np.minimum(both, len(values) - 1).ravel()
