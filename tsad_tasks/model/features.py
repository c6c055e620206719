"""What a detector sees: held, scaled and derived channels, times, whether the machine runs.

Everything looks back a declared number of steps and never ahead: a value depends neither on where
the array starts, beyond that history, nor on where it ends. Arrays are (..., n_steps, n_channels)
on the grid, NaN where unknown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsad_tasks.base.arrays import Flags, Floats32, Floats64, Ints
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.expression import channels_of, compile_expression
from tsad_tasks.model.circle import MIN_RESULTANT, Circle, signed_turn, sine_cosine, turns_of
from tsad_tasks.model.windows import OFF, RUNNING_UNKNOWN, STARTUP

_FLOAT32 = np.finfo(np.float32)
# Values that differ by less than this share of themselves are one value: so much, about 4,000 times
# the resolution of a float64, is lost where thousands of equal readings become their mean.
RESOLUTION = 2.0**-40
_DAY_MINUTES = 1440
SCALINGS = ("robust", "minmax", "standard", "none")
# In radians: directions from all sides have sines and cosines of this standard deviation.
WIDEST_ANGLE = math.sqrt(0.5)
SUNDAY = 6
_ANSCOMBE = 3 / 8


def held(values: Floats64, hold_steps: ArrayLike) -> Floats64:
    """Values (..., n_steps, n_channels), gaps filled by the last for `hold_steps` after its own.

    `hold_steps` are grid steps by channel. What is not finite counts as not read. History: the
    largest of `hold_steps`.

    >>> held(np.array([[1.0], [np.nan], [np.nan]]), [1])[:, 0].tolist()
    [1.0, 1.0, nan]
    """
    hold = np.asarray(hold_steps, np.int64)
    known = np.isfinite(values)
    if not hold.any():
        return np.where(known, values, np.nan)
    steps = np.arange(values.shape[-2], dtype=np.int64)[:, None]
    source = np.maximum.accumulate(np.where(known, steps, np.int64(-1)), axis=-2)
    last = np.take_along_axis(values, source.clip(min=0), axis=-2)
    return np.where((source >= 0) & (steps - source <= hold), last, np.nan)


@dataclass(frozen=True)
class Scaler:
    """Centre and scale of each channel of an entity, and from how many readings they were taken.

    A channel that never moved has the scale 0: nothing says how far it moves when it does.

    Attributes
    ----------
    not_fitted : positions of channels that the entity does not have; their terms mean nothing.
    known_from, known_to : by channel, between which values a channel without a scale, or a
        condition, has been seen; empty: at its centre only. On a circle they lie around the centre,
        and so perhaps beyond an end.
    circles : of channels whose values are on one, by position, None for others; empty: no channel
        is. Their scaled values go no further than half a turn from the centre.
    counts : positions of channels whose values are numbers of events. Their noise grows with the
        mean; that of `stabilised` does not, and centre and scale are of these.
    conditions : positions of channels that the entity has and the others are judged under; they
        are not fitted, since they are not judged.
    """

    center: tuple[float, ...]
    scale: tuple[float, ...]
    n_readings: int
    not_fitted: tuple[int, ...] = ()
    known_from: tuple[float, ...] = ()
    known_to: tuple[float, ...] = ()
    circles: tuple[Circle | None, ...] = ()
    counts: tuple[int, ...] = ()
    conditions: tuple[int, ...] = ()

    @property
    def fitted(self) -> Flags:
        """Which channels (n_channels,) the entity has."""
        fitted = np.ones(len(self.center), np.bool_)
        fitted[[*self.not_fitted]] = False
        return fitted

    def transform(self, values: Floats64) -> Floats32:
        """(values − centre) / scale as float32, within what it can hold; 0 without a scale.

        NaN where a value is not finite, and in channels that are not fitted.

        >>> Scaler((10.0,), (2.0,), 5).transform(np.array([[14.0], [np.nan]]))[:, 0].tolist()
        [2.0, nan]
        """
        values = stabilised(values, self.counts)
        with np.errstate(all="ignore"):
            scaled = self._nearest(values - np.array(self.center)) / np.array(self.scale)
            if 0.0 in self.scale:
                scaled = np.where(self.never_moved, 0.0, scaled)
            scaled = np.clip(scaled, float(_FLOAT32.min), float(_FLOAT32.max))
        known = np.isfinite(values) & self.fitted if self.not_fitted else np.isfinite(values)
        return np.where(known, scaled, np.nan).astype(np.float32)

    @property
    def never_moved(self) -> Flags:
        """Which channels (n_channels,) the entity has and has seen at one value only."""
        return np.asarray(self.fitted & (np.array(self.scale) == 0.0), np.bool_)

    def moved(self, values: Floats64) -> Flags:
        """Where channels that never moved are elsewhere, of the values' shape (..., n_channels).

        Equal is what rounding alone explains, whatever the unit: `RESOLUTION`.

        >>> Scaler((2e-3,), (0.0,), 5).moved(np.array([[2e-3], [2.001e-3], [np.nan]]))[:, 0]
        array([False,  True, False])
        """
        values = stabilised(values, self.counts)
        low = np.array(self.known_from or self.center)
        high = np.array(self.known_to or self.center)
        with np.errstate(invalid="ignore"):
            slack = 2 * RESOLUTION * np.maximum(np.abs(values), np.maximum(abs(low), abs(high)))
            away = np.maximum(low - values, values - high)
            for at, circle in enumerate(self.circles):
                if circle is not None:
                    # The nearer end counts, and a small angle has the rounding of its circle.
                    behind, known = values[..., at] - low[at], high[at] - low[at]
                    behind -= np.floor(behind / circle.period) * circle.period
                    away[..., at] = np.minimum(behind - known, circle.period - behind)
                    slack[..., at] = 2 * RESOLUTION * circle.period
            found = np.isfinite(values) & (away > slack)
        return np.asarray(found & self.never_moved, np.bool_)

    def seen_between(self, low: Floats64, high: Floats64) -> Scaler:
        """The same, for which channels that never moved are known from low to high, (n_channels,);
        on circles these are `around_centers`.

        >>> Scaler((2.0,), (0.0,), 5).seen_between(np.array([1.0]), np.array([1.5])).known_from
        (1.0,)
        """
        center, still = np.array(self.center), self.never_moved
        first, last = (np.array(end or center) for end in (self.known_from, self.known_to))
        low, high = stabilised(low, self.counts), stabilised(high, self.counts)
        known_from = np.where(still, np.fmin(first, low), first)
        known_to = np.where(still, np.fmax(last, high), last)
        if (known_from == center).all() and (known_to == center).all():
            return self
        ends = tuple(known_from.tolist()), tuple(known_to.tolist())
        return replace(self, known_from=ends[0], known_to=ends[1])

    def under(
        self, conditions: Sequence[int], has: Sequence[int], low: Floats64, high: Floats64
    ) -> Scaler:
        """The same, not judging conditions, some of which the entity has; ends are (n_channels,).

        >>> Scaler((2.0,), (1.0,), 5).under([0], [0], np.array([1.0]), np.array([9.0])).fitted
        array([False])
        """
        not_fitted = tuple(sorted({*self.not_fitted, *conditions}))
        ends = tuple(low.tolist()), tuple(high.tolist())
        return replace(
            self, not_fitted=not_fitted, known_from=ends[0], known_to=ends[1], conditions=tuple(has)
        )

    @property
    def step_of(self) -> tuple[float, ...]:
        """How far each channel moves: its scale; one that never did, by its own size, or by 1.

        An angle moves by a twentieth of a turn at most: ten of them are no more than half a turn,
        from where on it is nearer again.

        >>> Scaler((10.0, 5.0, 0.0), (2.0, 0.0, 0.0), 5).step_of
        (2.0, 5.0, 1.0)
        """
        circles = self.circles or [None] * len(self.scale)
        found = [
            scale or abs(center) or 1.0
            if circle is None
            else min(scale or circle.period, circle.period / 20)
            for center, scale, circle in zip(self.center, self.scale, circles, strict=True)
        ]
        for position in self.counts:
            # Where it is as wide in events as it is there.
            found[position] *= max(self.center[position], 1.0) / 2
        return tuple(found)

    def inverse(self, scaled: Floats32) -> Floats64:
        """Values in the channels' units.

        >>> Scaler((10.0,), (2.0,), 5).inverse(np.array([[2.0]], np.float32)).tolist()
        [[14.0]]
        """
        wide = scaled.astype(np.float64)
        found = self.on_circles(wide * np.array(self.scale) + np.array(self.center))
        return counted_again(found, self.counts)

    def residuals(self, scaled: Floats32, expected: Floats32) -> Floats32:
        """Scaled values less expected ones, (..., n_channels), on circles the shorter way."""
        with np.errstate(invalid="ignore"):
            differences = scaled - expected
        for position, circle in enumerate(self.circles):
            # Without a scale both are 0, or what a detector made of it.
            if circle is not None and self.scale[position]:
                period = circle.period / self.scale[position]
                turned = signed_turn(differences[..., position].astype(np.float64), period)
                differences[..., position] = turned
        return differences

    def distances(self, values: Floats64, others: Floats64) -> Floats64:
        """How far values (..., n_channels) are from others, on circles the shorter way."""
        return np.abs(self._nearest(np.asarray(values - others, np.float64)))

    def on_circles(self, values: Floats64) -> Floats64:
        """Values (..., n_channels) in their units, those on circles between the circle's ends."""
        found = np.asarray(values, np.float64)
        for position, circle in enumerate(self.circles):
            if circle is not None:
                found[..., position] = circle.within(found[..., position])
        return found

    def around_centers(self, values: Floats64) -> Floats64:
        """Values (..., n_channels) in their units, those on circles on the turn whose middle is
        the centre: at most half a turn from it, and so perhaps beyond an end of the circle.

        >>> Scaler((350.0,), (0.0,), 5, circles=(Circle(360.0),)).around_centers(np.array([30.0]))
        array([390.])
        """
        if not any(self.circles):
            return values
        found = np.array(values, np.float64)
        for position, circle in enumerate(self.circles):
            if circle is not None:
                center = self.center[position]
                found[..., position] = center + circle.difference(found[..., position], center)
        return found

    def _nearest(self, differences: Floats64) -> Floats64:
        """Differences (..., n_channels) in their units, on circles the shorter way."""
        for position, circle in enumerate(self.circles):
            if circle is not None:
                turned = signed_turn(differences[..., position], circle.period)
                differences[..., position] = turned
        return differences

    def to_json(self) -> dict[str, Any]:
        """The scaler as a JSON object."""
        terms: dict[str, Any] = {"center": [*self.center], "scale": [*self.scale]}
        terms["n_readings"] = self.n_readings
        more = ("not_fitted", "known_from", "known_to", "conditions")
        terms |= {name: [*found] for name in more if (found := getattr(self, name))}
        if self.counts:
            terms["counts"] = [*self.counts]
        if any(self.circles):
            terms["circles"] = [one and [one.period, one.start] for one in self.circles]
        return terms

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Scaler:
        """The scaler of a JSON object, to the bit."""
        center, scale = (tuple(map(float, fields[name])) for name in ("center", "scale"))
        names = ("not_fitted", "known_from", "known_to", "conditions")
        more: dict[str, Any] = {name: tuple(fields.get(name, ())) for name in names}
        more["circles"] = tuple(one and Circle(*one) for one in fields.get("circles", ()))
        more["counts"] = tuple(fields.get("counts", ()))
        return cls(center, scale, int(fields["n_readings"]), **more)


def stabilised(values: Floats64, counts: Sequence[int]) -> Floats64:
    """Values (..., n_channels) with 2 √(n + 3/8) for n of the channels at positions `counts`.

    Source: Anscombe, 1948: of a Poisson variable that has a variance of 1, whatever its mean.

    >>> stabilised(np.array([[0.625, 10.0]]), [0]).tolist()
    [[2.0, 10.0]]
    """
    if not len(counts):
        return values
    found, at = np.array(values, np.float64), [*counts]
    found[..., at] = 2 * np.sqrt(np.maximum(found[..., at], 0) + _ANSCOMBE)
    return found


def counted_again(values: Floats64, counts: Sequence[int]) -> Floats64:
    """Numbers of events that `stabilised` ones stand for, no fewer than none.

    >>> counted_again(np.array([[2.0, 10.0]]), [0]).tolist()
    [[0.625, 10.0]]
    """
    if not len(counts):
        return values
    found, at = np.array(values, np.float64), [*counts]
    found[..., at] = np.maximum((np.maximum(found[..., at], 0) / 2) ** 2 - _ANSCOMBE, 0)
    return found


def counts_within(expected: Floats64, spread: Floats64) -> Floats64:
    """How many events more or fewer than expected a half-width of stabilised ones stands for.

    >>> counts_within(np.array([15.625]), np.array([2.0])).tolist()
    [8.0]
    """
    return np.asarray(spread * np.sqrt(np.maximum(expected, 0) + _ANSCOMBE))


def fit_scaler(
    values: Floats64,
    kind: str,
    n_enough: int = 1,
    circles: Sequence[Circle | None] = (),
    counts: Sequence[int] = (),
) -> Scaler:
    """Centre and scale of each channel.

    robust is the median and the wider of the quartile range / 1.349 and the range of the middle 98
    % / 4.65 (both the standard deviation of a normal distribution), which a spike cannot move;
    where these meet, the standard deviation. The quartiles alone would put a state that a machine
    is in for a tenth of its time, such as a break, fifty spreads off. minmax is lowest and range,
    standard is mean and standard deviation, none changes nothing. A channel that never moved has no
    scale (0), but with none. A channel without any value is not fitted, nor is one that began too
    late. Another unit gives the same, × 1000 as well as °C in K. On a circle the centre is the
    circular mean, and the scale that of the differences from it: at most `WIDEST_ANGLE`.

    Parameters
    ----------
    values : (n_readings, n_channels), NaN where nothing was read.
    n_enough : of so many readings, or half of all, a channel has the first one at the latest.
    circles : by channel; None for one whose values are not on a circle; empty: none are.
    counts : positions of channels whose values are numbers of events.

    Raises
    ------
    BadInput
        When the kind is none of these.

    >>> fit_scaler(np.array([[1.0], [2.0], [3.0], [4.0], [500.0]]), "minmax").scale
    (499.0,)
    >>> late = np.array([[1.0, np.nan], [2.0, np.nan], [3.0, 9.0]])
    >>> fit_scaler(late, "standard", n_enough=2).not_fitted
    (1,)
    >>> fit_scaler(np.full((3, 1), 0.002), "robust").scale
    (0.0,)
    """
    if kind not in SCALINGS:
        raise BadInput(f"Expected a scaling of {', '.join(SCALINGS)}. Received: {kind}.")
    values = stabilised(values, counts)
    finite = np.isfinite(values)
    # Readings from each channel's first value on.
    is_read = finite.any(axis=1)
    n_readings, has_begun = int(is_read.sum()), np.logical_or.accumulate(finite, axis=0)
    n_since = np.count_nonzero(has_begun[is_read], axis=0)
    is_fitted = n_since >= max(1.0, min(n_enough, n_readings / 2))
    columns = (column[known] for column, known in zip(values.T, finite.T, strict=True))
    pairs = zip(columns, is_fitted.tolist(), strict=True)
    of_channels = circles or [None] * values.shape[1]
    fitted = [
        ((0.0, 1.0) if not its else _fit(column, kind) if circle is None
         else _fit_circle(column, kind, circle))
        for (column, its), circle in zip(pairs, of_channels, strict=True)
    ]  # fmt: skip
    centers, scales = (tuple(float(terms[part]) for terms in fitted) for part in (0, 1))
    not_fitted = tuple(np.flatnonzero(~is_fitted).tolist())
    found = Scaler(centers, scales, n_readings, not_fitted, circles=tuple(circles))
    return replace(found, counts=tuple(counts)) if len(counts) else found


def _fit_circle(column: Floats64, kind: str, circle: Circle) -> tuple[float, float]:
    """Centre and scale of known values (n,) on a circle."""
    up, along = (float(part.mean()) for part in sine_cosine(column / circle.period))
    turn = float(turns_of(np.array([up]), np.array([along]))[0])
    center = float(circle.within(np.array([turn * circle.period]))[0])
    radian = circle.period / (2 * math.pi)
    if kind == "none":
        return center, radian
    differences = circle.difference(column, center)
    if np.ptp(differences) <= RESOLUTION * circle.period:
        # What never moved was there to the bit, and not where arithmetic puts it.
        return float(column[0]), 0.0
    return center, min(_fit(differences, kind)[1], WIDEST_ANGLE * radian)


def circle_columns(
    values: Floats64, centers: Floats64, scales: Floats64, periods: Floats64
) -> tuple[Floats64, Floats64]:
    """Sine, and cosine less 1, of angles from their centres, both over the scale in radians.

    Near the centre the first is nearly the difference in scales, and the second nearly 0; their
    squared differences add up to that of two points on the circle. Both are 0 without a scale. All
    broadcast together.

    >>> first, second = circle_columns(*map(np.array, ([10.0, 190.0], 10.0, 36.0, 360.0)))
    >>> first.tolist(), second.round(3).tolist()
    ([0.0, 0.0], [0.0, -3.183])
    """
    with np.errstate(invalid="ignore"):
        sine, cosine = sine_cosine((values - centers) / periods)
        radians = scales * (2 * math.pi / periods)
        moves, over = radians > 0, np.where(radians > 0, radians, 1.0)
    return np.where(moves, sine / over, 0.0), np.where(moves, (cosine - 1) / over, 0.0)


def circle_values(first: Floats64, second: Floats64, radians: Floats64) -> Floats64:
    """Differences from the centre in scales, of the columns that `circle_columns` made.

    `radians` are the scales; without one it is the centre. NaN where the columns are so near the
    middle of the circle that they point nowhere.

    >>> circle_values(*map(np.array, ([0.5, 0.0], [-0.5, -1.0], 1.0))).round(3).tolist()
    [0.785, nan]
    """
    sine, cosine = first * radians, 1 + second * radians
    with np.errstate(invalid="ignore"):
        points = sine * sine + cosine * cosine >= MIN_RESULTANT * MIN_RESULTANT
        over = np.where(radians > 0, radians, 1.0)
        return np.where(points, turns_of(sine, cosine) * (2 * math.pi) / over, np.nan)


def stands_still(column: Floats64) -> bool:
    """Whether known values (n,) are one value, but for rounding.

    >>> stands_still(np.array([0.1 + 0.2, 0.3])), stands_still(np.array([1e7, 1e7 + 0.001]))
    (True, False)
    """
    return bool(np.ptp(column) <= RESOLUTION * np.abs(column).max())


def _fit(column: Floats64, kind: str) -> tuple[float, float]:
    """Centre and scale of known values (n,)."""
    if kind == "none":
        return 0.0, 1.0
    if stands_still(column):
        return float(np.median(column)), 0.0
    if kind == "minmax":
        return float(column.min()), _finite(np.ptp(column))
    if kind == "standard":
        return float(column.mean()), _finite(column.std())
    p1, q1, median, q3, p99 = np.percentile(column, [1, 25, 50, 75, 99]).tolist()
    spreads = (max((q3 - q1) / 1.349, (p99 - p1) / 4.65), float(column.std()))
    # What is nothing but rounding noise is no spread.
    noise = RESOLUTION * float(np.abs(column).max())
    return median, _finite(next((one for one in spreads if one > noise), float(np.ptp(column))))


def _finite(scale: float | np.floating[Any]) -> float:
    """The scale, or 1 where values lie so far apart that there is none."""
    return float(scale) if math.isfinite(scale) else 1.0


def pooled_scaler(scalers: Sequence[Scaler], kind: str) -> Scaler:
    """One scaler for entities that have none of their own yet, from the scalers of all the others.

    minmax covers the ranges of all. The others take the median centre; the scale holds the median
    scale and the spread between the centres, so that a new entity at an unusual but plausible level
    does not look strange. An entity that does not have a channel has no say, nor, where it moves
    elsewhere, has one in which it never moved; where it never moved anywhere, all that was seen is
    known. A channel that none of them has is not fitted.

    Raises
    ------
    BadInput
        When there is no scaler.

    >>> pooled_scaler([Scaler((0.0,), (2.0,), 9), Scaler((3.0,), (4.0,), 9)], "minmax").scale
    (7.0,)
    >>> pooled_scaler([Scaler((5.0,), (0.0,), 9), Scaler((7.0,), (0.0,), 9)], "robust").known_to
    (7.0,)
    """
    if not scalers:
        expected = "Expected the scaler of at least one entity."
        raise BadInput(f"{expected} Received: none. Train on more readings.")
    centers, scales, lows, highs = (
        np.array([getattr(one, name) or one.center for one in scalers]).T
        for name in ("center", "scale", "known_from", "known_to")
    )
    judged = np.array([one.fitted for one in scalers]).T
    conditions = sorted({at for one in scalers for at in one.conditions})
    fitted = judged.copy()
    for position, one in enumerate(scalers):
        fitted[[*one.conditions], position] = True
    circles, moves = scalers[0].circles, fitted & (scales != 0.0)
    pooled = []
    for channel, has_it in enumerate(fitted):
        said = moves[channel] if moves[channel].any() else has_it
        its, circle = (centers[channel][said], scales[channel][said]), circles and circles[channel]
        pooled.append(_pool_circle(*its, circle) if circle else _pool(*its, kind))
    n_readings = sum(one.n_readings for one in scalers)
    terms = tuple(c for c, _ in pooled), tuple(s for _, s in pooled)
    nobody, counts = tuple(np.flatnonzero(~judged.any(axis=1)).tolist()), scalers[0].counts
    made = Scaler(*terms, n_readings, nobody, circles=circles, counts=counts)
    if 0.0 not in made.scale and not conditions:
        return made
    for channel, circle in enumerate(circles):
        if circle is not None:
            center, low = made.center[channel], lows[channel].copy()
            lows[channel] = center + circle.difference(low, center)
            highs[channel] += lows[channel] - low
    known_from = np.where(fitted, lows, np.inf).min(axis=1, initial=np.inf)
    known_to = np.where(fitted, highs, -np.inf).max(axis=1, initial=-np.inf)
    if conditions:
        known = np.isfinite(known_from)
        ends = (np.where(known, end, made.center) for end in (known_from, known_to))
        made = made.under(nobody, conditions, *ends)
    return made.seen_between(*(counted_again(end, counts) for end in (known_from, known_to)))


def _pool_circle(centers: Floats64, scales: Floats64, circle: Circle) -> tuple[float, float]:
    """As `_pool`, of a channel on a circle: the circular mean of the centres, and both spreads."""
    if not centers.size:
        return circle.start, circle.period / 360
    center, between = _fit_circle(centers, "robust", circle)
    if not scales.any():
        return center, 0.0
    widest = WIDEST_ANGLE * circle.period / (2 * math.pi)
    return center, min(math.hypot(float(np.median(scales)), between), widest)


def _pool(centers: Floats64, scales: Floats64, kind: str) -> tuple[float, float]:
    """Centre and scale of one channel, from those of entities that have it, (n,) each."""
    if not centers.size:
        return 0.0, 1.0
    if not scales.any():
        return float(np.median(centers)), 0.0
    if kind == "minmax":
        return float(centers.min()), float((centers + scales).max() - centers.min())
    between = np.ptp(np.percentile(centers, [25, 75])) / 1.349
    return float(np.median(centers)), math.hypot(float(np.median(scales)), float(between))


def derived_history(
    *, rolling_mean: Sequence[int] = (), lag: Sequence[int] = (), diff: Sequence[int] = ()
) -> int:
    """How many steps `derived` looks back.

    >>> derived_history(rolling_mean=[10], lag=[3])
    9
    """
    return max([0, *(width - 1 for width in rolling_mean), *lag, *diff])


def derived(
    scaled: Floats32,
    *,
    rolling_mean: Sequence[int] = (),
    lag: Sequence[int] = (),
    diff: Sequence[int] = (),
) -> Floats32:
    """Rolling means, lagged values and differences, (..., n_steps, n_derived), of channels.

    Columns: all channels for each rolling mean, then for each lag, then for each difference, in the
    order given, each a length in grid steps. A rolling mean is that of the known values, NaN when
    less than half of them are known. History: `derived_history`; earlier steps are NaN.

    >>> derived(np.array([[1], [3], [7]], np.float32), rolling_mean=[2], diff=[1]).tolist()
    [[nan, nan], [2.0, 2.0], [5.0, 4.0]]
    """
    means = [_rolling_mean(scaled, width) for width in rolling_mean]
    lags = [_shifted(scaled, steps) for steps in lag]
    with np.errstate(over="ignore", invalid="ignore"):
        diffs = [scaled - _shifted(scaled, steps) for steps in diff]
    nothing = np.empty((*scaled.shape[:-1], 0), np.float32)
    return np.concatenate([nothing, *means, *lags, *diffs], axis=-1)


def _shifted(scaled: Floats32, steps: int) -> Floats32:
    shifted = np.full_like(scaled, np.nan)
    shifted[..., steps:, :] = scaled[..., : max(scaled.shape[-2] - steps, 0), :]
    return shifted


def _rolling_mean(scaled: Floats32, width: int) -> Floats32:
    means = np.full_like(scaled, np.nan)
    if scaled.shape[-2] < width:
        return means
    known = np.isfinite(scaled)
    counts = _sliding_sum(known.astype(np.int64), width)
    sums = _sliding_sum(np.where(known, scaled, 0.0).astype(np.float64), width)
    means[..., width - 1 :, :] = np.where(2 * counts >= width, sums / np.maximum(counts, 1), np.nan)
    return means


def _sliding_sum(values: NDArray[Any], width: int) -> NDArray[Any]:
    """Sums of `width` neighbours along the steps, each added up in the same order wherever it lies.

    Blocks of 1, 2, 4, … steps are added to one another, so 1,440 steps take 11 additions, and no
    running sum drifts.
    """
    n_sums = values.shape[-2] - width + 1
    block, length, offset = values, 1, 0
    total = np.zeros((*values.shape[:-2], n_sums, values.shape[-1]), values.dtype)
    while True:
        if width & length:
            total = total + block[..., offset : offset + n_sums, :]
            offset += length
        if 2 * length > width:
            return total
        block = block[..., :-length, :] + block[..., length:, :]
        length *= 2


def cyclic_time(
    times_s: Ints,
    zone: ZoneInfo,
    kinds: Sequence[str],
    holidays: Sequence[int] = (),
    rest_weekday: int = SUNDAY,
) -> Floats32:
    """Sine and cosine of times of day and weekdays at the site, (n_steps, 2 × len(kinds)).

    hour runs once around per day, minute by minute; weekday has seven positions, and a holiday has
    that of the weekly day of rest, 0 is Monday. On the days when clocks are changed this follows
    the clocks. `times_s` are Unix seconds, `holidays` days since 1970. History: none.

    >>> cyclic_time(np.array([6 * 3600]), ZoneInfo("UTC"), ["hour"]).tolist()
    [[1.0, 0.0]]
    """
    unknown = [kind for kind in kinds if kind not in ("hour", "weekday")]
    if unknown:
        raise BadInput(f"Expected hour or weekday. Received: {unknown[0]}.")
    minutes = _site_minutes(np.asarray(times_s, np.int64), zone)
    days = minutes // _DAY_MINUTES
    weekdays = np.where(_among(days, holidays), rest_weekday, weekdays_of(days))
    hour = _circle(_DAY_MINUTES)[minutes % _DAY_MINUTES]
    columns = {"hour": hour, "weekday": _circle(7)[weekdays]}
    nothing = np.empty((minutes.size, 0), np.float32)
    return np.concatenate([nothing, *(columns[kind] for kind in kinds)], axis=1)


def days_off(
    times_s: Ints, zone: ZoneInfo, holidays: Sequence[int], rest_weekday: int = SUNDAY
) -> Floats32:
    """1 on holidays and weekly days of rest of the site's calendar, else 0; (n_steps, 1).

    A training range may hold no holiday at all: a detector then knows from the days of rest what
    this input means. Parameters as of `cyclic_time`. History: none.

    >>> days_off(np.array([0, 86400, 3 * 86400]), ZoneInfo("UTC"), [1])[:, 0].tolist()
    [0.0, 1.0, 1.0]
    """
    days = _site_minutes(np.asarray(times_s, np.int64), zone) // _DAY_MINUTES
    is_off = _among(days, holidays) | (weekdays_of(days) == rest_weekday)
    return np.asarray(is_off[:, None], np.float32)


def _among(days: Ints, holidays: Sequence[int]) -> Flags:
    return np.isin(days, np.asarray(holidays, np.int64))


def site_seconds(times_s: Ints, zone: ZoneInfo) -> Ints:
    """Seconds since 1970 on the clocks of the site, (n_steps,); modulo 86,400 the time of day.

    >>> site_seconds(np.array([0, 3600]), ZoneInfo("Europe/Berlin")).tolist()
    [3600, 7200]
    """
    return _site_minutes(times_s, zone) * 60 + times_s % 60


def weekdays_of(dates: Ints) -> Ints:
    """Weekdays of dates in days since 1970, which began on a Thursday; 0 is Monday.

    >>> weekdays_of(np.array([0, 4])).tolist()
    [3, 0]
    """
    return (dates + 3) % 7


def rest_days(local_s: Ints, holidays: Sequence[int], rest_weekday: int) -> Ints | None:
    """Weekday of each moment on the site's clocks, (n_steps,), a holiday's that of the day of rest.

    None without holidays: then the calendar says it.

    >>> rest_days(np.array([0, 86400]), [1], 6).tolist()
    [3, 6]
    """
    if not holidays:
        return None
    days = local_s // 86400
    return np.where(_among(days, holidays), np.int64(rest_weekday), weekdays_of(days))


def _site_minutes(times_s: Ints, zone: ZoneInfo) -> Ints:
    """Minutes since 1970 on the clocks of the site; 1970-01-01 was a Thursday."""
    # Offsets change at full quarters of an hour, UTC, in every zone of today.
    quarters, position = np.unique(times_s // 900, return_inverse=True)
    at = (datetime.fromtimestamp(quarter * 900, zone) for quarter in quarters.tolist())
    offsets = [round((one.utcoffset() or timedelta()).total_seconds() / 60) for one in at]
    return times_s // 60 + np.array(offsets, np.int64)[position]


@lru_cache(maxsize=4)
def _circle(n_positions: int) -> Floats32:
    """Sine and cosine of positions; a table, since np.sin's last bit may depend on the layout."""
    angles = [2 * math.pi * position / n_positions for position in range(n_positions)]
    # Rounded to 12 places, so that a quarter turn gives 0 and not 6e-17.
    return np.array([(round(math.sin(a), 12), round(math.cos(a), 12)) for a in angles], np.float32)


def running_state(
    values: Floats64, expression: str | None, channel_names: Sequence[str], grace_steps: int
) -> NDArray[np.int8]:
    """0 where the machine runs, else `tsad.reason`: 3 off, 4 startup, 5 running_unknown.

    `expression` says what is true of values (..., n_steps, n_channels), in the channels' units,
    held, while the machine runs; None: always. Start-up are the first `grace_steps` steps after one
    that was off. Before the first known step the machine counts as running for long; unknown steps
    neither start nor end a grace. History: `grace_steps`.

    Raises
    ------
    ConfigError
        When the expression is wrong.

    >>> speed = np.array([[0.0], [9.0], [9.0], [np.nan]])
    >>> running_state(speed, "speed > 1", ["speed"], 1).tolist()
    [3, 4, 0, 5]
    """
    if expression is None:
        return np.zeros(values.shape[:-1], np.int8)
    channels = {name: values[..., position] for position, name in enumerate(channel_names)}
    on = np.broadcast_to(compile_expression(expression, channel_names)(channels), values.shape[:-1])
    unknown = np.zeros(values.shape[:-1], np.bool_)
    for name in channels_of(expression):
        unknown |= ~np.isfinite(channels[name])
    off = ~on & ~unknown
    steps = np.arange(values.shape[-2], dtype=np.int64)
    last_off = np.maximum.accumulate(np.where(off, steps, np.int64(-1)), axis=-1)
    starting = (last_off >= 0) & (steps - last_off <= grace_steps)
    return np.select([unknown, off, starting], [RUNNING_UNKNOWN, OFF, STARTUP], 0).astype(np.int8)
