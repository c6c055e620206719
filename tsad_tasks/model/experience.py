"""Conditions that a machine is run under, setpoints, loads, weather, beside what training saw.

Where a condition is outside of it, nobody knows how the others behave: scores there count less.
Arrays are (n_entities, n_steps, ...) on the grid; conditions are those of `FeatureSpec.conditions`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.arrays import Flags, Floats32, Floats64
from tsad_tasks.model.features import RESOLUTION, Scaler
from tsad_tasks.model.spec import FeatureSpec
from tsad_tasks.model.windows import OFF, STARTUP

# How far beyond the range that training saw a condition is still inside, as a share of that range.
MARGIN = 0.1
# Of a thousand readings the lowest and the highest may be errors.
SEEN_QUANTILES = (0.001, 0.999)
# So much of the look-back must be known for a condition to be learned.
LEARNED_SHARE = 0.9


def with_conditions(scaler: Scaler, spec: FeatureSpec, values: Floats64) -> Scaler:
    """The scaler, whose conditions are judged no more, with their range in readings of training.

    `values` (n_steps, n_channels) are what was not left out, NaN elsewhere.
    """
    at = [int(one) for one in spec.conditions if scaler.fitted[one]]
    low, high = (np.array(ends or scaler.center) for ends in (scaler.known_from, scaler.known_to))
    for one in at:
        column = values[np.isfinite(values[:, one]), one]
        if column.size:
            low[one], high[one] = np.quantile(column, SEEN_QUANTILES).tolist()
    return scaler.under(spec.conditions.tolist(), at, low, high)


def condition_inputs(
    spec: FeatureSpec, scalers: Sequence[Scaler], known: Floats64
) -> tuple[Floats32, Flags]:
    """Conditions as a detector sees them, and bool (n_entities, n_steps): all are known.

    Scaled, and no farther than training saw them; 0 where unknown, or where the entity has none.
    """
    at = spec.conditions
    center, scale, low, high, has = _terms(spec, scalers)
    values = known[..., at]
    is_known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        seen = np.clip(values, low[:, None], high[:, None])
        scaled = (seen - center[:, None]) / np.where(scale > 0, scale, 1.0)[:, None]
    used = is_known & (has & (scale > 0))[:, None]
    inputs = np.where(used, scaled, 0.0).astype(np.float32)
    return inputs, np.asarray((is_known | ~has[:, None]).all(axis=-1), np.bool_)


def outside_experience(
    spec: FeatureSpec, scalers: Sequence[Scaler], known: Floats64, running: NDArray[np.int8]
) -> Flags:
    """Where conditions (n_entities, n_steps, n_conditions) are outside of what training saw.

    Those that have been so for `spec.learned_steps` are outside no more. While the machine is off
    nothing is. History: `spec.learned_steps`.
    """
    *_, low, high, has = _terms(spec, scalers)
    values = known[..., spec.conditions]
    with np.errstate(invalid="ignore"):
        rounding = 2 * RESOLUTION * np.maximum(np.abs(values), np.maximum(abs(low), abs(high))[:, None])
        margin = np.maximum(MARGIN * (high - low)[:, None], rounding)
        away = np.maximum(low[:, None] - values, values - high[:, None]) > margin
    away &= has[:, None]
    if not away.any():
        return np.asarray(away, np.bool_)
    runs = (running != OFF)[..., None]
    return np.asarray(away & runs & ~_lasted(away, np.isfinite(values), spec.learned_steps), np.bool_)


def _lasted(away: Flags, known: Flags, n_steps: int) -> Flags:
    """Where all that is known of the last `n_steps` + 1 steps was away, and that is most of them."""
    n_away, n_known = (_in_last(part, n_steps + 1) for part in (away, known))
    return np.asarray((n_away == n_known) & (n_known >= LEARNED_SHARE * (n_steps + 1)), np.bool_)


def _in_last(marks: Flags, n_steps: int) -> NDArray[np.int64]:
    """How many marks the last steps hold, the step itself included."""
    total = np.cumsum(marks, axis=1, dtype=np.int64)
    total[:, n_steps:] -= total[:, :-n_steps].copy()
    return total


def settling(spec: FeatureSpec, known: Floats64, running: NDArray[np.int8]) -> NDArray[np.int8]:
    """`running`, with the reason of a start-up while a setpoint's change settles.

    A change is between two neighbouring steps that are known. History: the longest of
    `spec.settle_steps`.
    """
    if not any(spec.settle_steps):
        return running
    on_its_way = np.zeros(running.shape, np.bool_)
    steps = np.arange(running.shape[1], dtype=np.int64)
    for channel, n_steps in enumerate(spec.settle_steps):
        if n_steps:
            column = known[..., channel]
            with np.errstate(invalid="ignore"):
                size = np.maximum(np.abs(column[:, 1:]), np.abs(column[:, :-1]))
                is_new = np.abs(np.diff(column, axis=1)) > RESOLUTION * size
            marked = np.where(is_new, steps[1:], np.int64(-1))
            last = np.maximum.accumulate(np.pad(marked, ((0, 0), (1, 0)), constant_values=-1), axis=1)
            on_its_way |= (last >= 0) & (steps - last < n_steps)
    return np.where((running == 0) & on_its_way, STARTUP, running).astype(np.int8)


def _terms(
    spec: FeatureSpec, scalers: Sequence[Scaler]
) -> tuple[Floats64, Floats64, Floats64, Floats64, Flags]:
    """Centres, scales, ends of what was seen, and whether it has them, (n_entities, n_conditions)."""
    at = spec.conditions
    found = [
        np.array([getattr(one, name) or one.center for one in scalers], np.float64)[:, at]
        for name in ("center", "scale", "known_from", "known_to")
    ]
    has = np.array([np.isin(at, one.conditions) for one in scalers], np.bool_)
    return found[0], found[1], found[2], found[3], has.reshape(len(scalers), len(at))
