"""What a time of day and of the week usually brings: harmonics of the day, then half hours, and how
far some of these go from it on most days.

Channels choose alone how much they know of weekdays: nothing, work days and weekends, or all seven;
what predicts days that were left out best. Readings are rows (n_rows, n_channels), NaN where
unknown; minutes are of the week on the site's clocks, a holiday's those of the day of rest.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from tsad_tasks.base.arrays import Arrays, Flags, Floats64, Ints

DAY_MINUTES, SLOT_MINUTES = 1440, 30
N_SLOTS = 7 * DAY_MINUTES // SLOT_MINUTES
HARMONICS = 4
N_BASIS = 1 + 2 * HARMONICS
# Days that are alike, Monday first, by how much is known of weekdays.
GROUPS = ((0,) * 7, (0, 0, 0, 0, 0, 1, 1), (0, 1, 2, 3, 4, 5, 6))
KNOWN_OF_DAYS = ("nothing", "the time of day", "work days and weekends", "all weekdays")
# So many days, and of each group so many, before a profile may be told from chance.
LEAST_DAYS, LEAST_OF_GROUP = 3, 2
# A profile that says more must be better by so much on days left out.
BETTER = 0.98
RIDGE, BEND = 1e-3, 3.0
MAD = 1.4826
# A half hour is restless where it goes so many spreads from the usual in it on half of at least so
# many days, or, one of the week, in half of them and so many weeks; so many of a day may be, else
# the channel is, and no half hour of it.
RESTLESS, MOST_RESTLESS = 6.0, 2
REST_DAYS, REST_WEEKS, REST_SHARE = 7, 3, 0.5
RESTLESS_PARTS = ("lows", "highs")
_DAY_SLOTS = DAY_MINUTES // SLOT_MINUTES


@lru_cache(maxsize=1)
def _basis() -> Floats64:
    """1, sine and cosine of the harmonics by minute of the day, (1440, 9); a table, as `_circle`
    of `model.features`.
    """
    turns = [2 * math.pi * minute / DAY_MINUTES for minute in range(DAY_MINUTES)]
    harmonics = range(1, HARMONICS + 1)
    waves = [[f(h * turn) for h in harmonics for f in (math.sin, math.cos)] for turn in turns]
    return np.array([[1.0, *map(_twelve, wave)] for wave in waves])


def day_waves(minutes: Ints) -> Floats64:
    """1 and the harmonics at minutes of the day (n_rows,), (n_rows, 9).

    >>> day_waves(np.array([0, 720]))[:, :3].tolist()
    [[1.0, 0.0, 1.0], [1.0, 0.0, -1.0]]
    """
    return np.asarray(_basis()[minutes])


def _twelve(value: float) -> float:
    return round(value, 12)


def no_profile(n_units: int, n_channels: int) -> Arrays:
    """Profiles of units that know no calendar: 0 at all times; first axis the unit.

    >>> no_profile(2, 3)["half_hours"].shape
    (2, 336, 3)
    """
    return {
        "waves": np.zeros((n_units, 7, n_channels, N_BASIS), np.float32),
        "half_hours": np.zeros((n_units, N_SLOTS, n_channels), np.float32),
        "known_of_days": np.zeros((n_units, n_channels), np.int8),
        # So far below and above its usual value a reading of a half hour of the week is usual, too.
        "lows": np.zeros((n_units, N_SLOTS, n_channels), np.float32),
        "highs": np.zeros((n_units, N_SLOTS, n_channels), np.float32),
    }


def usual_at(profile: Arrays, minutes: Ints, rows: Floats64) -> Floats64:
    """What is usual, as near to rows (n_units, n_steps, n_channels) as it is on most days.

    >>> profile = no_profile(1, 1)
    >>> profile["highs"][0, 1] = 70
    >>> rows = np.array([[[65.0], [65.0], [90.0], [-5.0], [np.nan]]])
    >>> usual_at(profile, np.array([5, 35, 36, 37, 38]), rows).ravel().tolist()
    [0.0, 65.0, 70.0, 0.0, 0.0]
    """
    found = profile_at(profile, minutes)
    # Models from before that was learned.
    if "highs" not in profile or not any(profile[name].any() for name in RESTLESS_PARTS):
        return found
    units = np.arange(len(found))[:, None]
    slots = np.broadcast_to(minutes, found.shape[:2]) // SLOT_MINUTES
    lows, highs = (profile[name][units, slots].astype(np.float64) for name in RESTLESS_PARTS)
    return found + np.nan_to_num(np.clip(rows - found, lows, highs), nan=0.0)


def profile_at(profile: Arrays, minutes: Ints) -> Floats64:
    """Usual values (n_units, n_steps, n_channels) at minutes of the week (n_steps,) or
    (n_units, n_steps).

    >>> profile_at(no_profile(1, 2), np.array([0, 61])).tolist()
    [[[0.0, 0.0], [0.0, 0.0]]]
    """
    n_units = len(profile["waves"])
    units = np.arange(n_units)[:, None]
    at = np.broadcast_to(minutes, (n_units, minutes.shape[-1]))
    days, slots = at // DAY_MINUTES, at // SLOT_MINUTES
    basis = _basis()[at % DAY_MINUTES]
    found = profile["half_hours"][units, slots].astype(np.float64)
    waves = profile["waves"][units, days]
    # Term by term: a product of matrices adds in an order that depends on its shape.
    for term in range(N_BASIS):
        found += basis[:, :, term, None] * waves[:, :, :, term]
    return found


def fit_profile(rows: Floats64, minutes: Ints, parts: Sequence[slice]) -> tuple[Arrays, Floats64]:
    """The profile of one unit, and rows minus what the profile of the other parts expects.

    Parameters
    ----------
    parts : stretches of rows that cover all of them; each is left out once.

    >>> minutes = np.arange(4 * 1440) % 10080
    >>> rows = np.where(minutes % 1440 < 720, 1.0, 5.0)[:, None]
    >>> found, rest = fit_profile(rows, minutes, [slice(0, 2880), slice(2880, None)])
    >>> found["known_of_days"].tolist(), float(np.abs(rest).max()) < 0.5
    ([[1]], True)
    """
    n_channels = rows.shape[1]
    kept = no_profile(1, n_channels)
    whole = _constant(rows)
    kept["waves"][0, :, :, 0] = whole
    rest = np.empty_like(rows)
    for part in parts:
        rest[part] = rows[part] - _constant(_without(rows, part))
    spread = np.maximum(_spread(rest), 1e-9)
    best = _mean_size(rest, spread)
    for level, groups in enumerate(GROUPS, 1):
        if not _is_enough(minutes, groups):
            break
        tried = np.empty_like(rows)
        for part in parts:
            others = _fitted(_without(rows, part), _minutes_without(minutes, part), groups)
            tried[part] = rows[part] - profile_at(others, minutes[part])[0]
        size = _mean_size(tried, spread)
        better = size < BETTER * best
        if better.any():
            found = _fitted(rows, minutes, groups)
            for name in ("waves", "half_hours"):
                _take_channels(kept[name], found[name], better, name)
            kept["known_of_days"][0, better] = level
            rest[:, better], best = tried[:, better], np.where(better, size, best)
    lows, highs = _restless(rest, minutes)
    kept["lows"][0], kept["highs"][0] = lows, highs
    slots = minutes // SLOT_MINUTES
    return kept, rest - np.clip(rest, lows[slots], highs[slots])


def _restless(rest: Floats64, minutes: Ints) -> Floats64:
    """How far from the usual half hours go down and up, (2, 336, n_channels), where they do so on
    most days or in most weeks, and far; else 0.

    A job of ten minutes at six each morning is no part of a half hour's median, nor is the last
    reading before a machine stops on Sundays; and neither is news.
    """
    slots, found = minutes // SLOT_MINUTES, np.zeros((2, N_SLOTS, rest.shape[1]))
    if not len(rest):
        return found
    starts = np.flatnonzero(np.diff(slots, prepend=-1) != 0)
    below, above = np.where(np.isfinite(rest), rest, 0.0), np.where(np.isfinite(rest), rest, 0.0)
    lowest, highest = np.minimum.reduceat(below, starts), np.maximum.reduceat(above, starts)
    is_read = np.logical_or.reduceat(np.isfinite(rest), starts)
    ends, far = np.stack([-lowest, highest]), RESTLESS * np.maximum(_spread(rest), 1e-9)
    day = slots[starts] % _DAY_SLOTS
    for of_slots, every, least in (
        (day, _DAY_SLOTS, math.ceil(REST_SHARE * REST_DAYS)),
        (slots[starts], N_SLOTS, REST_WEEKS),
    ):
        for slot in np.unique(of_slots).tolist():
            mine = of_slots == slot
            its = np.where(is_read[mine], ends[:, mine], np.nan)
            n_far = np.count_nonzero(its > far, axis=1)
            often = np.maximum(least, REST_SHARE * np.count_nonzero(is_read[mine], axis=0))
            usual = np.stack([_constant(one) for one in its]) * (n_far >= often)
            found[:, slot::every] = np.maximum(found[:, slot::every], usual[:, None])
    is_restless = found.any(axis=0)
    found[:, :, is_restless.sum(axis=0) > 7 * MOST_RESTLESS] = 0.0
    found[0] *= -1
    return found


def _take_channels(kept: Floats64, found: Floats64, chosen: Flags, name: str) -> None:
    axis = (slice(None), slice(None), chosen) + ((slice(None),) if name == "waves" else ())
    kept[axis] = found[axis]


def _without(rows: Floats64, part: slice) -> Floats64:
    left = np.concatenate([rows[: part.start], rows[part.stop :]])
    return left if len(left) else rows


def _minutes_without(minutes: Ints, part: slice) -> Ints:
    left = np.concatenate([minutes[: part.start], minutes[part.stop :]])
    return left if len(left) else minutes


def _is_enough(minutes: Ints, groups: tuple[int, ...]) -> bool:
    """Whether there are enough days, and of each group enough times that it came."""
    days = minutes // DAY_MINUTES
    starts = np.flatnonzero(np.diff(days, prepend=-1) != 0)
    if len(starts) < LEAST_DAYS:
        return False
    # What is seen of a day's first and last quarter is seen of the day; neighbours of one group
    # came once.
    of_group = np.asarray(groups)[days[starts]]
    came = of_group[np.flatnonzero(np.diff(of_group, prepend=-1) != 0)]
    n_groups = max(groups) + 1
    if n_groups == 1:
        return True
    return bool((np.bincount(came, minlength=n_groups) >= LEAST_OF_GROUP).all())


def _fitted(rows: Floats64, minutes: Ints, groups: tuple[int, ...]) -> Arrays:
    """A profile that takes the days of a group for alike."""
    profile = no_profile(1, rows.shape[1])
    of_row = np.asarray(groups)[minutes // DAY_MINUTES]
    basis = _basis()[minutes % DAY_MINUTES]
    for group in range(max(groups) + 1):
        chosen = of_row == group
        days = [day for day in range(7) if groups[day] == group]
        waves = _waves(rows[chosen], basis[chosen])
        profile["waves"][0, days] = waves.T.astype(np.float32)
        left = rows[chosen] - basis[chosen] @ waves
        slots = minutes[chosen] % DAY_MINUTES // SLOT_MINUTES
        medians = _medians(left, slots, DAY_MINUTES // SLOT_MINUTES)
        for day in days:
            first = day * DAY_MINUTES // SLOT_MINUTES
            profile["half_hours"][0, first : first + len(medians)] = medians
    return profile


def _waves(rows: Floats64, basis: Floats64) -> Floats64:
    """Coefficients (9, n_channels), by ridge regression; what lies far off is drawn near once.

    Source: Huber (1981), section 7.8, pseudo-values.
    """
    known = np.isfinite(rows)
    middle = _constant(rows)
    near = np.where(known, rows, middle)
    gram = basis.T @ basis + RIDGE * max(len(rows), 1) * np.diag([1e-6, *[1.0] * (N_BASIS - 1)])
    found = np.linalg.solve(gram, basis.T @ near)
    fitted = basis @ found
    left = near - fitted
    bend = BEND * np.maximum(_spread(left), 1e-9)
    return np.asarray(np.linalg.solve(gram, basis.T @ (fitted + np.clip(left, -bend, bend))))


def _medians(rows: Floats64, slots: Ints, n_slots: int) -> Floats64:
    """Median of each slot's rows, (n_slots, n_channels); 0 of a slot without any."""
    order = np.argsort(slots, kind="stable")
    bounds = np.searchsorted(slots[order], np.arange(n_slots + 1))
    ordered, found = rows[order], np.zeros((n_slots, rows.shape[1]))
    for slot in np.flatnonzero(np.diff(bounds)).tolist():
        found[slot] = _constant(ordered[bounds[slot] : bounds[slot + 1]])
    return found


def _constant(rows: Floats64) -> Floats64:
    """Medians of the known values (n_channels,), 0 where there are none."""
    if not np.isnan(rows).any():
        return np.asarray(np.median(rows, axis=0)) if len(rows) else np.zeros(rows.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nan_to_num(np.nanmedian(rows, axis=0), nan=0.0)


def _spread(rows: Floats64) -> Floats64:
    """Robust standard deviations around 0, (n_channels,); of what is nearly always 0, a tenth."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        plain = np.nan_to_num(np.nanstd(rows, axis=0), nan=0.0)
    return np.asarray(np.maximum(MAD * _constant(np.abs(rows)), 0.1 * plain))


def _mean_size(rows: Floats64, spread: Floats64) -> Floats64:
    """Mean distance from 0 (n_channels,), of which no row counts for much."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        means = np.nanmean(np.minimum(np.abs(rows), BEND * spread), axis=0)
    return np.asarray(np.nan_to_num(means, nan=0.0))
