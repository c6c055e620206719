"""Kinds of errors of one series against its own past: level, slow change, season, variance.

Readings are whole units of 2^-20 commissioning scales: sums over a look-back, in readings, are
exact, and another unit (°C to °F) changes nothing. A part's state is arrays whose first axis is
the series, changed in place; `rows` says which series have a reading, each once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.arrays import Arrays, Floats64, Ints
from tsad_tasks.model.features import weekdays_of

UNIT = 2.0**-20
# Beyond ten scales a reading counts as ten in every mean, so that one spike does not fill it.
_CLIP = 10 * 2**20
_LARGEST = 2.0**40

HALF_HOURS = 336


@dataclass(frozen=True)
class Now:
    """The readings of some series at one step.

    Attributes
    ----------
    units : int64 (n_rows,), in units of 2^-20 scales.
    half_hour : int64 (n_rows,), half hour of the week, 0 on Monday at midnight.
    """

    units: Ints
    half_hour: Ints

    @cached_property
    def clipped(self) -> Ints:
        """Units within ten scales."""
        return np.maximum(np.minimum(self.units, _CLIP), -_CLIP)


def units_of(readings: Floats64, center: Floats64, scale: Floats64) -> Ints:
    """Readings in whole units of 2^-20 scales from the center.

    >>> units_of(np.array([3.0, 1e300]), np.ones(2), np.full(2, 4.0)).tolist() == [2**19, 2**40]
    True
    """
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (readings - center) / scale / UNIT
    # Where reading and scale are both beyond what a number holds, nothing is known; that counts as
    # the middle.
    known = np.where(np.isnan(scaled), 0.0, scaled)
    return np.rint(np.maximum(np.minimum(known, _LARGEST), -_LARGEST)).astype(np.int64)


def half_hour_of_week(local_s: Ints) -> Ints:
    """Half hour of the week, 0 to 335, of seconds since 1970 on the wall clock.

    >>> half_hour_of_week(np.array([0, 4 * 86400 + 1800])).tolist()
    [144, 1]
    """
    return np.asarray(weekdays_of(local_s // 86400) * 48 + local_s % 86400 // 1800)


class Part(Protocol):
    """One kind of errors, in columns."""

    @property
    def members(self) -> tuple[str, ...]:
        """Families of the columns."""

    def empty(self, n_series: int) -> Arrays:
        """State of series that have seen nothing."""

    def errors(self, state: Arrays, rows: Ints, now: Now) -> Floats64:
        """Errors (n_rows, n_members) of the readings, which then become part of the state."""


class Distance:
    """How far a reading is from the middle of commissioning."""

    members: tuple[str, ...] = ("level",)

    def empty(self, n_series: int) -> Arrays:
        return {}

    def errors(self, state: Arrays, rows: Ints, now: Now) -> Floats64:
        return np.asarray(np.abs(now.units * UNIT)[:, None])


class Slow:
    """How far means of 12 and 36 readings are from a slow average, and from the middle."""

    members: tuple[str, ...] = ("slow", "slow")
    widths: ClassVar = (12, 36)
    gain: ClassVar = 0.002

    def empty(self, n_series: int) -> Arrays:
        return _trailing(n_series, max(self.widths)) | _averages(n_series, 1)

    def errors(self, state: Arrays, rows: Ints, now: Now) -> Floats64:
        ring = _push(state, rows, now.clipped)
        short, long = (_mean(ring, state["n"][rows], width) for width in self.widths)
        scaled = np.asarray(now.clipped[:, None] * UNIT, np.float64)
        usual = averages_before(state, rows, scaled, self.gain)[:, 0]
        return np.asarray(np.abs(_columns(short - usual, long)))


class Change:
    """How far logs of spread (24, 12, 72 readings) and roughness are from slow averages of them."""

    members: tuple[str, ...] = ("change",) * 4
    widths: ClassVar = (24, 12, 72)
    n_differences: ClassVar = 24
    gain: ClassVar = 0.002
    floor: ClassVar = 0.05

    def empty(self, n_series: int) -> Arrays:
        return _trailing(n_series, max(self.widths) + 1) | _averages(n_series, 4)

    def errors(self, state: Arrays, rows: Ints, now: Now) -> Floats64:
        ring = _push(state, rows, now.clipped)
        n = state["n"][rows]
        spreads = [_std(ring, n, width) for width in self.widths]
        logs = np.log(_columns(*spreads, self._roughness(ring, n)) + self.floor)
        return np.abs(logs - averages_before(state, rows, logs, self.gain))

    def _roughness(self, ring: Ints, n: Ints) -> Floats64:
        """Mean of the last absolute differences; the first reading differs from none."""
        steps = np.abs(np.diff(ring[:, -self.n_differences - 1 :], axis=1))
        known = np.arange(-self.n_differences, 0) >= 1 - n[:, None]
        total = np.where(known, steps, 0).sum(axis=1)
        return np.asarray(total / np.minimum(n, self.n_differences) * UNIT)


class Season:
    """How far readings, and means of them, are from what is usual at this time of day and week.

    Profiles: half hour of the day, hour of the week, hour of workday or weekend, hour of the day;
    each a slow average per slot that starts at the slot's first reading.
    """

    members: tuple[str, ...] = ("season",) * 3 + ("season12",) * 3 + ("season36",) * 2
    gains: ClassVar = np.array([0.03, 0.1, 0.03, 0.03])
    sizes: ClassVar = (48, 168, 48, 24)

    def empty(self, n_series: int) -> Arrays:
        shape = (n_series, sum(self.sizes))
        profiles: Arrays = {"usual": np.zeros(shape), "visits": np.zeros(shape, np.int32)}
        return _trailing(n_series, 36, 4) | profiles

    def usual(self, state: Arrays, rows: Ints, half_hour: Ints) -> Floats64:
        """Mean of the first three profiles that have been before, in scales; 0 where none has."""
        slots = (rows[:, None], _slots(half_hour)[:, :3])
        seen, usual = state["visits"][slots] > 0, state["usual"][slots]
        total = sum((np.where(seen[:, i], usual[:, i], 0.0) for i in range(3)), np.zeros(len(rows)))
        return np.asarray(total / np.maximum(seen.sum(axis=1), 1))

    def errors(self, state: Arrays, rows: Ints, now: Now) -> Floats64:
        residuals = self._residuals(state, rows, now)
        ring = _push(state, rows, np.rint(residuals / UNIT).astype(np.int64))
        n = state["n"][rows]
        three = [_mean(np.abs(ring[:, i, -3:]), n, 3) for i in range(3)]
        twelve = [_mean(ring[:, i], n, 12) for i in range(3)]
        long = _mean(ring[:, 0], n, 36), _mean(ring[:, 3], n, 24)
        return np.asarray(np.abs(_columns(*three, *twelve, *long)))

    def _residuals(self, state: Arrays, rows: Ints, now: Now) -> Floats64:
        slots = (rows[:, None], _slots(now.half_hour))
        visits, usual = state["visits"][slots], state["usual"][slots]
        reading = np.asarray(now.clipped[:, None] * UNIT, np.float64)
        residuals: Floats64 = reading - np.where(visits == 0, reading, usual)
        moved = usual + np.maximum(self.gains, 1.0 / (visits + 1)) * residuals
        state["usual"][slots] = np.where(visits == 0, reading, moved)
        state["visits"][slots] = visits + 1
        return residuals


def _slots(half_hour: Ints) -> Ints:
    """Positions in the four profiles, laid end to end."""
    of_day, hour = half_hour % 48, half_hour // 2
    weekend = half_hour >= 240
    return _columns(of_day, 48 + hour, 216 + hour % 24 * 2 + weekend, 264 + hour % 24)


def _columns(*columns: NDArray[Any]) -> NDArray[Any]:
    return np.stack(columns, axis=1)


def _trailing(n_series: int, width: int, *signals: int) -> Arrays:
    return {
        "ring": np.zeros((n_series, *signals, width), np.int32),
        "n": np.zeros(n_series, np.int32),
    }


def _push(state: Arrays, rows: Ints, units: Ints) -> Ints:
    """The last readings, newest last, after one more."""
    ring = np.concatenate(
        [state["ring"][rows][..., 1:], units[..., None].astype(np.int32)], axis=-1
    )
    state["ring"][rows] = ring
    state["n"][rows] += 1
    return ring.astype(np.int64)


def _mean(ring: Ints, n: Ints, width: int) -> Floats64:
    """Mean of the last `width` readings, or of all there are; whole numbers, so exact."""
    return np.asarray(ring[:, -width:].sum(axis=1) / np.minimum(n, width) * UNIT)


def _std(ring: Ints, n: Ints, width: int) -> Floats64:
    """Standard deviation likewise; exactly 0 for readings that are all the same."""
    last, count = ring[:, -width:], np.minimum(n, width).astype(np.int64)
    total, squares = last.sum(axis=1), (last * last).sum(axis=1)
    variance = (count * squares - total * total).astype(np.float64)
    return np.asarray(np.sqrt(variance) / count * UNIT)


def _averages(n_series: int, n_signals: int) -> Arrays:
    return {"slow": np.zeros((n_series, n_signals)), "slow_n": np.zeros(n_series, np.int32)}


def averages_before(state: Arrays, rows: Ints, signals: Floats64, gain: float) -> Floats64:
    """Slow averages (n_rows, n_signals) before the signals, which then move them.

    The i-th signal moves its average by at least 1 / i of the difference, so that early ones count
    alike.

    >>> state = {"slow": np.zeros((1, 1)), "slow_n": np.zeros(1, np.int32)}
    >>> one, signals = np.array([0]), np.array([[[4.0]], [[8.0]], [[0.0]]])
    >>> [averages_before(state, one, signal, 0.1).item() for signal in signals]
    [4.0, 4.0, 6.0]
    """
    n = state["slow_n"][rows]
    before = np.where(n[:, None] == 0, signals, state["slow"][rows])
    state["slow"][rows] = before + np.maximum(gain, 1.0 / (n + 1))[:, None] * (signals - before)
    state["slow_n"][rows] = n + 1
    return before
