"""What channels are because of conditions that they are under: setpoints, loads, weather.

A condition acts through its powers up to the third, each as it is now and averaged over some times;
what a channel's calendar says beside it is fitted with it and left to `model.calendar_profile`, so
that weather which follows the day is no reason for what the day brings. Conditions are (n_units,
n_steps, n_conditions) on a scale of about 1, NaN where unknown, and as far as training saw them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tsad_tasks.base.arrays import Arrays, Flags, Floats64, Ints
from tsad_tasks.model.calendar_profile import DAY_MINUTES, LEAST_DAYS, MAD, day_waves

N_POWERS = 3
# Small: what is now and averages of it differ for an hour after a change alone.
RIDGE = 1e-6
# A row counts as a fault where a channel is so many spreads off, and as many rows at most.
FAULT_SPREADS, MOST_FAULTS = 6.0, 0.3
# From so many days on work days and weekends are told apart.
TWO_WEEKS = 14


def no_driven_model(n_units: int, n_channels: int, n_conditions: int, n_averages: int) -> Arrays:
    """Weights of conditions of which nothing is known; first axis the unit.

    >>> no_driven_model(2, 3, 1, 4)["driven"].shape
    (2, 3, 3, 5)
    """
    shape = (n_units, n_channels, n_conditions * N_POWERS, 1 + n_averages)
    return {"driven": np.zeros(shape, np.float32)}


def no_driven_averages(n_units: int, n_conditions: int, n_averages: int) -> Arrays:
    """Averages of conditions that were never known; first axis the unit.

    >>> np.isnan(no_driven_averages(1, 1, 2)["driven"]).all()
    np.True_
    """
    return {"driven": np.full((n_units, n_conditions * N_POWERS, n_averages), np.nan)}


def driving(averages: Arrays, gains: Sequence[float], conditions: Floats64) -> Floats64:
    """Powers of conditions and their averages, (n_units, n_steps, powers, 1 + averages), which join
    the state; where a condition is unknown they rest, and what is now is 0.

    >>> averages, conditions = no_driven_averages(1, 1, 1), np.array([[[2.0], [4.0], [np.nan]]])
    >>> driving(averages, [0.5], conditions)[0, :, 0].tolist()
    [[2.0, 2.0], [4.0, 3.0], [0.0, 3.0]]
    """
    powers = np.concatenate([conditions**power for power in range(1, N_POWERS + 1)], axis=2)
    known, mean, gain = np.isfinite(powers), averages["driven"], np.array(gains)
    now = np.where(known, powers, 0.0)
    found = np.empty((*now.shape, 1 + len(gain)))
    found[..., 0] = now
    for t in range(now.shape[1]):
        of_step = now[:, t, :, None]
        began = np.where(np.isnan(mean), of_step, mean + gain * (of_step - mean))
        mean = np.where(known[:, t, :, None], began, mean)
        found[:, t, :, 1:] = np.where(np.isnan(mean), 0.0, mean)
    averages["driven"] = mean
    return found


def driven(weights: Floats64, features: Floats64) -> Floats64:
    """What conditions let expect of channels, (n_units, n_steps, n_channels).

    >>> driven(np.full((1, 1, 1, 2), 0.5), np.array([[[[2.0, 4.0]]]])).tolist()
    [[[3.0]]]
    """
    found = np.zeros((*features.shape[:2], weights.shape[1]))
    # Term by term: a product of matrices adds in an order that depends on its shape.
    for power in range(features.shape[2]):
        for average in range(features.shape[3]):
            weight = weights[:, None, :, power, average].astype(np.float64)
            found += weight * features[:, :, power, average, None]
    return found


def fit_driven(
    units: Floats64, features: Floats64, minutes: Ints, parts: Sequence[slice]
) -> tuple[Floats64, Floats64]:
    """Weights (n_channels, powers, 1 + averages) of one unit, and what those that left a row's part
    out expect of it, (n_rows, n_channels).

    Parameters
    ----------
    units : (n_rows, n_channels), NaN where unknown; `features` (n_rows, powers, 1 + averages).
    minutes : of the week, (n_rows,).
    parts : stretches of rows that cover all of them; each is left out once.

    >>> load = np.random.default_rng(7).normal(0, 1, (1, 4000, 1))
    >>> features = driving(no_driven_averages(1, 1, 0), [], load)[0]
    >>> parts = [slice(0, 2000), slice(2000, 4000)]
    >>> weights, expected = fit_driven(2 * load[0], features, np.arange(4000), parts)
    >>> abs(float(weights[0, 0, 0]) - 2) < 0.01, float(np.abs(expected - 2 * load[0]).max()) < 0.1
    (True, True)
    """
    flat, beside = features.reshape(len(features), -1), _calendar(minutes)
    inputs, known = np.concatenate([flat, beside], axis=1), np.isfinite(units)
    middle = np.where(known, units, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    targets, n_terms = np.where(known, units - middle, 0.0), flat.shape[1]
    off = _off(targets - inputs @ _solved(inputs, targets, n_terms), known)
    most = float(np.quantile(off, 1 - MOST_FAULTS))
    usual = off <= max(FAULT_SPREADS, most)
    whole = known.any(axis=1) & usual
    expected = np.empty_like(targets)
    for part in parts:
        others = whole.copy()
        others[part] = False
        chosen = others if others.any() else whole
        found = _solved(inputs[chosen], targets[chosen], n_terms)
        expected[part] = flat[part] @ found[:n_terms]
    weights = _solved(inputs[whole], targets[whole], n_terms)[:n_terms].T
    return weights.reshape(len(weights), *features.shape[1:]), expected


def _calendar(minutes: Ints) -> Floats64:
    """What the time of day, of work days and of weekends, may say beside conditions; 1 alone where
    days are few.
    """
    days = minutes // DAY_MINUTES
    n_days = int(np.count_nonzero(np.diff(days))) + 1
    if n_days < LEAST_DAYS:
        return np.ones((len(minutes), 1))
    waves = day_waves(minutes % DAY_MINUTES)
    if n_days < TWO_WEEKS:
        return waves
    is_weekend = (days >= 5)[:, None]
    return np.concatenate([np.where(is_weekend, 0.0, waves), np.where(is_weekend, waves, 0.0)], 1)


def _solved(inputs: Floats64, targets: Floats64, n_terms: int) -> Floats64:
    """Ridge weights (n_inputs, n_channels); what is beside conditions is hardly damped."""
    products = inputs.T @ inputs
    diagonal = np.diag(products)
    floor = 1e-9 * max(float(diagonal.max(initial=0.0)), 1e-9)
    share = np.where(np.arange(len(diagonal)) < n_terms, RIDGE, 1e-9)
    return np.asarray(
        np.linalg.solve(products + np.diag(share * diagonal + floor), inputs.T @ targets)
    )


def _off(rest: Floats64, known: Flags) -> Floats64:
    """By how many robust spreads a row's farthest channel is off, (n_rows,)."""
    found = np.zeros(len(rest))
    for column, has in zip(np.abs(rest).T, known.T, strict=True):
        if has.any():
            spread = max(MAD * float(np.median(column[has])), 1e-9)
            found = np.maximum(found, np.where(has, column / spread, 0.0))
    return found
