"""Conditions that a machine is run under, setpoints, loads, weather, beside what training saw.

Where a condition is outside of it, nobody knows how the others behave: scores there count less.
Arrays are (n_entities, n_steps, ...) on the grid; conditions are those of `FeatureSpec.conditions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.arrays import Flags, Floats32, Floats64
from tsad_tasks.model.circle import Circle, sine_cosine
from tsad_tasks.model.features import RESOLUTION, Scaler, stabilised
from tsad_tasks.model.spec import FeatureSpec
from tsad_tasks.model.windows import OFF, STARTUP

# How far beyond what training saw a condition is still inside, as a share of that range.
MARGIN = 0.1
# Of a thousand readings the lowest and the highest may be errors.
SEEN_QUANTILES = (0.001, 0.999)
# A circle is cut in so many parts; where training was is all but the longest row of empty ones.
N_PARTS = 36
# Inside of what training saw; beyond, but known by now; outside.
INSIDE, KNOWN, OUTSIDE = range(3)
# So much of the look-back must be known for a condition to be learned.
LEARNED_SHARE = 0.9


def with_conditions(scaler: Scaler, spec: FeatureSpec, values: Floats64) -> Scaler:
    """The scaler, whose conditions are judged no more, with their range in readings of training.

    `values` (n_steps, n_channels) are what was not left out, NaN elsewhere.

    >>> from dataclasses import replace
    >>> spec = FeatureSpec(("a", "b"), (0, 0), 60, "UTC", 1, 0.5, None, 0, (), (), (), ())
    >>> spec, scaler = replace(spec, roles=("load", "measured")), Scaler((1.0, 5.0), (1.0, 1.0), 9)
    >>> made = with_conditions(scaler, spec, np.tile([[0.0, 4.0], [2.0, 6.0]], (9, 1)))
    >>> made.conditions, made.not_fitted, made.known_from, made.known_to
    ((0,), (0,), (0.0, 5.0), (2.0, 5.0))
    """
    at = [int(one) for one in spec.conditions if scaler.fitted[one]]
    low, high = (np.array(ends or scaler.center) for ends in (scaler.known_from, scaler.known_to))
    # In the channel's unit, as conditions are looked at.
    for one in at:
        column, circle = values[np.isfinite(values[:, one]), one], _circle(scaler, one)
        if column.size:
            seen = np.quantile(column, SEEN_QUANTILES).tolist() if circle is None else None
            low[one], high[one] = seen or _arc(column, circle or Circle(1.0))
    return scaler.under(spec.conditions.tolist(), at, low, high)


def _circle(scaler: Scaler, channel: int) -> Circle | None:
    return scaler.circles[channel] if scaler.circles else None


def _arc(values: Floats64, circle: Circle) -> tuple[float, float]:
    """Where known values (n,) are on a circle; the second end may lie beyond the circle's own.

    >>> _arc(np.array([350.0, 5.0, 15.0]), Circle(360.0))
    (350.0, 380.0)
    """
    length = circle.period / N_PARTS
    parts = ((circle.within(values) - circle.start) // length).astype(np.int64).clip(0, N_PARTS - 1)
    counts = np.bincount(parts, minlength=N_PARTS)
    taken = np.flatnonzero(counts > SEEN_QUANTILES[0] * len(values))
    gaps = np.diff(np.append(taken, taken[0] + N_PARTS))
    after = int(gaps.argmax())
    first = int(taken[(after + 1) % len(taken)])
    n_parts = N_PARTS - int(gaps[after]) + 1
    low = circle.start + first * length
    return low, low + n_parts * length


class _Terms(NamedTuple):
    """Of one condition: centres, scales, ends of what was seen, whether it has it, (n, 1) each."""

    center: Floats64
    scale: Floats64
    low: Floats64
    high: Floats64
    has: Flags
    circle: Circle | None


def _terms(scalers: Sequence[Scaler], channel: int) -> _Terms:
    names = ("center", "scale", "known_from", "known_to")
    found = ([(getattr(one, name) or one.center)[channel] for one in scalers] for name in names)
    center, scale, low, high = (np.array(part, np.float64)[:, None] for part in found)
    has = np.array([channel in one.conditions for one in scalers], np.bool_)[:, None]
    return _Terms(center, scale, low, high, has, _circle(scalers[0], channel))


def _beyond(values: Floats64, of: _Terms) -> tuple[Floats64, Floats64]:
    """How far values (n_entities, n_steps) are before, and behind, what training saw."""
    if of.circle is None:
        return of.low - values, values - of.high
    period, behind = of.circle.period, values - of.low
    behind -= np.floor(behind / period) * period
    # On a circle what is behind is before as well: the nearer end counts.
    behind = np.where(of.high - of.low < period, behind - (of.high - of.low), 0.0)
    before = period - (of.high - of.low) - behind
    is_behind = behind <= before
    return np.where(is_behind, -1.0, before), np.where(is_behind, behind, -1.0)


def condition_inputs(
    spec: FeatureSpec, scalers: Sequence[Scaler], known: Floats64
) -> tuple[Floats32, Flags]:
    """Conditions as a detector sees them, and bool (n_entities, n_steps): all are known.

    Scaled, and no farther than training saw them; sine and cosine of a direction. 0 where unknown,
    or where the entity has none. Most detectors that fold see none, and wait for none.

    >>> from dataclasses import replace
    >>> spec = FeatureSpec(("a", "b"), (0, 0), 60, "UTC", 2, 0.5, None, 0, (), (), (), ())
    >>> spec, scaler = replace(spec, roles=("load", "measured")), Scaler((1.0, 5.0), (2.0, 1.0), 9)
    >>> scaler = scaler.under([0], [0], np.array([0.0, 5.0]), np.array([3.0, 5.0]))
    >>> inputs, is_told = condition_inputs(spec, [scaler], np.array([[[9.0, 5.0], [np.nan, 5.0]]]))
    >>> inputs.tolist(), is_told.tolist()
    ([[[1.0], [0.0]]], [[True, False]])
    """
    shape = known.shape[:2]
    found, is_told = [np.zeros((*shape, 0), np.float32)], np.ones(shape, np.bool_)
    for channel in spec.conditions.tolist():
        of, values = _terms(scalers, channel), known[..., channel]
        is_known = np.isfinite(values)
        is_told &= is_known | ~of.has | (spec.width == 1 and not spec.folds_under)
        with np.errstate(invalid="ignore"):
            before, behind = _beyond(values, of)
            # Few curves go on for as far as is still inside; a network makes nothing of it.
            more = MARGIN * (of.high - of.low) * (spec.folds_under and of.circle is None)
            low, high = of.low - more, of.high + more
            inside = np.where(before > more, low, np.where(behind > more, high, values))
            if channel in scalers[0].counts:
                inside = stabilised(inside[..., None], [0])[..., 0]
            columns = [(inside - of.center) / np.where(of.scale > 0, of.scale, 1.0)]
            if of.circle is not None:
                columns = [*sine_cosine(inside / of.circle.period)]
        used = is_known & of.has & ((of.scale > 0) | (of.circle is not None))
        found += [np.where(used, one, 0.0).astype(np.float32)[..., None] for one in columns]
    return np.concatenate(found, axis=-1), is_told


def experience(
    spec: FeatureSpec, scalers: Sequence[Scaler], known: Floats64, running: NDArray[np.int8]
) -> NDArray[np.int8]:
    """Where conditions (n_entities, n_steps, n_conditions) are, beside what training saw.

    `INSIDE`, also while the machine is off; beyond, `OUTSIDE` until that has lasted for
    `spec.learned_steps`, and `KNOWN` from then on. History: `spec.learned_steps`.

    >>> from dataclasses import replace
    >>> spec = FeatureSpec(("a", "b"), (0, 0), 60, "UTC", 1, 0.5, None, 0, (), (), (), ())
    >>> spec = replace(spec, roles=("load", "measured"), learned_steps=1)
    >>> scaler = Scaler((1.0, 5.0), (2.0, 1.0), 9)
    >>> scaler = scaler.under([0], [0], np.array([0.0, 5.0]), np.array([3.0, 5.0]))
    >>> load = np.array([[[3.2, 5.0], [9.0, 5.0], [9.0, 5.0]]])
    >>> experience(spec, [scaler], load, np.zeros((1, 3), np.int8)).tolist()
    [[[0], [2], [1]]]
    """
    found = np.zeros((*known.shape[:2], len(spec.conditions)), np.int8)
    for position, channel in enumerate(spec.conditions.tolist()):
        of, values = _terms(scalers, channel), known[..., channel]
        with np.errstate(invalid="ignore"):
            size = np.maximum(np.abs(values), np.maximum(np.abs(of.low), np.abs(of.high)))
            margin = np.maximum(MARGIN * (of.high - of.low), 2 * RESOLUTION * size)
            away = (np.maximum(*_beyond(values, of)) > margin) & of.has
        if away.any():
            lasted = _lasted(away, np.isfinite(values), spec.learned_steps)
            where = np.where(lasted, KNOWN, OUTSIDE)
            found[..., position] = np.where(away & (running != OFF), where, INSIDE)
    return found


def above_usual(
    errors: Floats32, thresholds: Floats32, wanted: Flags, n_back: int, n_apart: int, per_hour: int
) -> Floats32:
    """By how much channels' errors (n_steps, n_channels) exceed what is usual by now; 0 elsewhere.

    Of each hour with wanted steps, bool (n_steps,), the `n_back` steps before it count, but for the
    last `n_apart`, since windows see a fault by and by. A channel that was normal there is taken as
    it is; of one that was not, only what exceeds its highest error there by as much as that exceeds
    their median, and then comes near the threshold. Half of the steps must be known.
    History: `n_back` steps before the hour.

    >>> errors = np.array([[0.2, 9.0], [0.1, 9.0], [3.0, 9.5]], np.float32)
    >>> above_usual(errors, np.ones(3, np.float32), np.array([0, 0, 1], bool), 2, 0, 1).tolist()
    [[0.0, 0.0], [0.0, 0.0], [3.0, 1.5]]
    """
    excess = np.zeros_like(errors)
    for hour in np.unique(np.flatnonzero(wanted) // per_hour).tolist():
        first = hour * per_hour
        now = slice(first, first + per_hour)
        last = max(first - min(n_apart, n_back - 1), 0)
        before = errors[max(first - n_back, 0) : last].astype(np.float64)
        n_known = np.count_nonzero(np.isfinite(before), axis=0)
        is_enough = 2 * n_known >= max(n_back - n_apart, 1)
        if not is_enough.any():
            continue
        before = before[:, is_enough]
        usual = 2 * np.nanmax(before, axis=0) - np.nanmedian(before, axis=0)
        with np.errstate(invalid="ignore"):
            usual = np.maximum(usual - thresholds[now, None], 0)
            above = np.maximum(errors[now][:, is_enough] - usual, 0)
        of_hour = excess[now]
        of_hour[:, is_enough] = np.where(wanted[now, None], np.nan_to_num(above), 0)
    return excess


def _lasted(away: Flags, known: Flags, n_steps: int) -> Flags:
    """Where all that is known of the last `n_steps` + 1 steps was away, and that is most of them.

    >>> away = np.array([[False, True, True, True]])
    >>> _lasted(away, np.ones((1, 4), bool), 2).tolist()
    [[False, False, False, True]]
    """
    n_away, n_known = (_in_last(part, n_steps + 1) for part in (away, known))
    return np.asarray((n_away == n_known) & (n_known >= LEARNED_SHARE * (n_steps + 1)), np.bool_)


def _in_last(marks: Flags, n_steps: int) -> NDArray[np.int64]:
    """How many marks the last steps hold, the step itself included."""
    total = np.cumsum(marks, axis=1, dtype=np.int64)
    before = np.zeros_like(total)
    before[:, n_steps:] = total[:, : max(total.shape[1] - n_steps, 0)]
    return total - before


def settling(spec: FeatureSpec, known: Floats64, running: NDArray[np.int8]) -> NDArray[np.int8]:
    """`running`, with the reason of a start-up while a setpoint's change settles.

    A change is between two neighbouring steps that are known. History: the longest of
    `spec.settle_steps`.

    >>> from dataclasses import replace
    >>> spec = FeatureSpec(("a",), (0,), 60, "UTC", 1, 0.5, None, 0, (), (), (), ())
    >>> wish = np.array([[[17.0], [21.0], [21.0], [21.0]]])
    >>> settling(replace(spec, settle_steps=(2,)), wish, np.zeros((1, 4), np.int8)).tolist()
    [[0, 4, 4, 0]]
    """
    if not any(spec.settle_steps):
        return running
    on_its_way = np.zeros(running.shape, np.bool_)
    steps = np.arange(running.shape[1], dtype=np.int64)
    for channel, n_steps in enumerate(spec.settle_steps):
        if n_steps:
            before, now = known[:, :-1, channel], known[:, 1:, channel]
            with np.errstate(invalid="ignore"):
                size = np.maximum(np.abs(before), np.abs(now))
                is_new = np.abs(now - before) > RESOLUTION * size
            changed = np.where(is_new, steps[1:], np.int64(-1))
            changed = np.pad(changed, ((0, 0), (1, 0)), constant_values=-1)
            last = np.maximum.accumulate(changed, axis=1)
            on_its_way |= (last >= 0) & (steps - last < n_steps)
    return np.where((running == 0) & on_its_way, STARTUP, running).astype(np.int8)
