"""Slow baselines of smoothed channels: how far a reading is from what was usual before.

Each channel is smoothed over ten readings and compared with a slow average as it was twenty
readings before, so that an onset does not lift its own baseline. Smoothed values are in scales of
commissioning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsad_tasks.base.arrays import Arrays, Floats64, Ints

UNIT = 2.0**-20
_CLIP = 50.0
_SMALLEST_SPREAD = 0.1
# Of a normal distribution without tails of so many percent, in standard deviations.
_RANGES = {10: 2.563, 25: 1.349}
_P90_SCALE = 1.645
N_LAST = 3


@dataclass(frozen=True)
class Baseline:
    """Readings: smoothed over `smooth`, followed with gain 1 / `memory`, used `delay` late."""

    smooth: int = 10
    memory: int = 150
    delay: int = 20


def no_baseline(n_units: int, n_channels: int, rule: Baseline) -> Arrays:
    """State of channels before commissioning; first axes unit and channel.

    >>> no_baseline(2, 3, Baseline())["ring"].shape
    (2, 3, 10)
    """
    shape = (n_units, n_channels)
    return {
        "center": np.zeros(shape),
        "scale": np.zeros(shape),
        "spread": np.ones(shape),
        "ring": np.zeros((*shape, rule.smooth), np.int32),
        "n": np.zeros(shape, np.int32),
        "last": np.zeros((*shape, N_LAST)),
        "usual": np.zeros(shape),
        "delayed": np.zeros((*shape, rule.delay)),
    }


def scale_of(readings: Floats64, tail: int = 10) -> tuple[float, float]:
    """Median, and the range without tails of 10 or 25 % as a standard deviation, else that itself;
    0 for constants.

    >>> scale_of(np.array([0.0, 5.0, 5.0, 5.0, 5.0]))[0], scale_of(np.ones(3))[1]
    (5.0, 0.0)
    """
    low, center, high = np.percentile(readings, [tail, 50, 100 - tail]).tolist()
    spread = (high - low) / _RANGES[tail] if high > low else float(readings.std())
    return center, spread if readings.max() > readings.min() else 0.0


def smoothed(state: Arrays, rows: Ints, readings: Floats64) -> Floats64:
    """Smoothed readings (n_rows, n_channels) in scales; an unknown one changes nothing.

    A channel that was constant while commissioning gets its first departure as scale.

    >>> state = no_baseline(1, 1, Baseline(smooth=2))
    >>> [smoothed(state, np.array([0]), np.array([[x]])).item() for x in (0.0, 7.0, np.nan)]
    [0.0, 0.5, 0.5]
    """
    known = np.isfinite(readings)
    away = np.where(known, readings - state["center"][rows], 0.0)
    scale = np.where(state["scale"][rows] > 0, state["scale"][rows], np.abs(away))
    state["scale"][rows] = scale
    clipped = np.clip(away / np.where(scale > 0, scale, 1.0), -_CLIP, _CLIP)
    units = np.rint(clipped / UNIT).astype(np.int32)
    before = state["ring"][rows]
    pushed = np.concatenate([before[..., 1:], units[..., None]], axis=-1)
    ring = np.where(known[:, :, None], pushed, before)
    n = state["n"][rows] + known
    state["ring"][rows], state["n"][rows] = ring, n
    # Whole numbers, so that the sum is the same in any order.
    means = ring.sum(axis=-1, dtype=np.int64) / np.maximum(np.minimum(n, ring.shape[-1]), 1) * UNIT
    last = state["last"][rows]
    pushed = np.concatenate([last[..., 1:], means[..., None]], axis=-1)
    state["last"][rows] = np.where(known[:, :, None], pushed, last)
    return np.asarray(means)


def follow(state: Arrays, rows: Ints, means: Floats64, gain: Floats64) -> None:
    """Move baselines towards smoothed readings by a share `gain`, (n_rows, n_channels) both.

    >>> state = no_baseline(1, 1, Baseline(delay=2))
    >>> follow(state, np.array([0]), np.array([[4.0]]), np.array([[0.5]]))
    >>> state["usual"].tolist(), state["delayed"].tolist()
    ([[2.0]], [[[0.0, 2.0]]])
    """
    usual = state["usual"][rows] + gain * (means - state["usual"][rows])
    state["usual"][rows] = usual
    delayed = state["delayed"][rows][..., 1:]
    state["delayed"][rows] = np.concatenate([delayed, usual[..., None]], axis=-1)


def settle(state: Arrays, rows: Ints, level: Floats64 | None = None) -> None:
    """Set the delayed baselines to the baseline, or both to a level (n_rows, n_channels).

    >>> state = no_baseline(1, 1, Baseline(delay=2))
    >>> settle(state, np.array([0]), np.array([[4.0]]))
    >>> state["usual"].tolist(), state["delayed"].tolist()
    ([[4.0]], [[[4.0, 4.0]]])
    """
    if level is not None:
        state["usual"][rows] = level
    state["delayed"][rows] = state["usual"][rows][..., None]


def commission(state: Arrays, rows: Ints, readings: Floats64, rule: Baseline) -> list[Floats64]:
    """Scales, baselines and spreads from readings of units (n_rows, n_readings, n_channels).

    A step of which a unit has read nothing is none for it. What comes back are distances from the
    baseline in spreads, (n, n_channels) of each unit, from where they say something on.

    >>> state = no_baseline(1, 1, Baseline())
    >>> found = commission(state, np.array([0]), np.tile([[0.0], [2.0]], (1, 200, 1)), Baseline())
    >>> state["center"].item(), state["spread"].item(), found[0].shape
    (1.0, 0.1, (380, 1))
    """
    for unit, of_unit in zip(rows.tolist(), readings, strict=True):
        for channel, column in enumerate(of_unit.T):
            known = column[np.isfinite(column)]
            if known.size:
                state["center"][unit, channel], state["scale"][unit, channel] = scale_of(known)
    found, n = np.zeros(readings.shape), np.zeros(len(rows), np.int64)
    for i in range(readings.shape[1]):
        now = np.flatnonzero(np.isfinite(readings[:, i]).any(axis=1))
        found[now, n[now]] = _first_deviations(state, rows[now], readings[now, i], rule, n[now])
        n[now] += 1
    distances = []
    for unit, count, of_unit in zip(rows.tolist(), n.tolist(), found, strict=True):
        settled = of_unit[rule.delay : count]
        if len(settled):
            spread = np.percentile(settled, 90, axis=0) / _P90_SCALE
            state["spread"][unit] = np.maximum(spread, _SMALLEST_SPREAD)
        distances.append(settled / state["spread"][unit])
    return distances


def _first_deviations(
    state: Arrays, rows: Ints, readings: Floats64, rule: Baseline, n_before: Ints
) -> Floats64:
    """Distances (n_rows, n_channels) from the baseline, which early readings move more."""
    fresh = state["n"][rows] == 0
    means = smoothed(state, rows, readings)
    if fresh.any():
        state["usual"][rows] = np.where(fresh, means, state["usual"][rows])
        delayed = state["delayed"][rows]
        state["delayed"][rows] = np.where(fresh[..., None], means[..., None], delayed)
    away: Floats64 = np.abs(means - state["delayed"][rows][..., 0])
    gain = np.maximum(1.0 / rule.memory, 1.0 / (n_before + 1))
    follow(state, rows, means, np.where(np.isfinite(readings), gain[:, None], 0.0))
    return away


def deviations(state: Arrays, rows: Ints, means: Floats64) -> Floats64:
    """Distance (n_rows, n_channels) from the delayed baseline, in spreads.

    >>> state = no_baseline(1, 1, Baseline())
    >>> deviations(state, np.array([0]), np.array([[-4.0]])).tolist()
    [[4.0]]
    """
    return np.asarray(np.abs(means - state["delayed"][rows][..., 0]) / state["spread"][rows])


def expected_value(state: Arrays, rows: Ints) -> Floats64:
    """Where the delayed baseline says that readings (n_rows, n_channels) are, in their own unit.

    >>> expected_value(no_baseline(1, 1, Baseline()), np.array([0])).tolist()
    [[0.0]]
    """
    return np.asarray(state["center"][rows] + state["scale"][rows] * state["delayed"][rows][..., 0])


def roughness(readings: Floats64) -> Floats64:
    """Half the mean squared step over the variance, by channel: 1 for noise, near 0 for slow ones.

    Readings are (n_readings, n_channels), NaN where unknown. NaN for a constant channel, or one
    with fewer than two readings. Source: von Neumann, 1941.

    >>> roughness(np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 2.0], [1.0, 3.0]])).tolist()
    [2.0, 0.4]
    """
    found = np.full(readings.shape[1], np.nan)
    for channel, column in enumerate(readings.T):
        known = column[np.isfinite(column)]
        if known.size > 1 and known.max() > known.min():
            found[channel] = np.mean(np.diff(known) ** 2) / (2 * known.var())
    return found
