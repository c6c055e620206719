"""What a time of day and of the week usually brings: harmonics of the day, then half hours, and how
far some of these go from it on most days.

Channels choose alone how much they know of weekdays: nothing, work days and weekends, or all seven;
what predicts days that were left out best. Readings are rows (n_rows, n_channels), NaN where
unknown; minutes are of the week on the site's clocks, `minutes_at` says which a holiday's are. A
holiday is as the day of rest, or as its weekday, by what those that were seen were like; as either
of the two before one was.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from tsad_tasks.base.arrays import Arrays, Flags, Floats64, Ints
from tsad_tasks.model.features import weekdays_of

DAY_MINUTES, SLOT_MINUTES = 1440, 30
WEEK_MINUTES = 7 * DAY_MINUTES
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
# A half hour is restless where a channel goes so many spreads from the usual in it on half of at
# least so many days, or, one of the week, in half of them and so many weeks; so many of a day may
# be, else the channel is, and no half hour of it.
RESTLESS, MOST_RESTLESS = 6.0, 2
# Where so many channels go far, the unit does, as it starts or stops: all have their reach then,
# in up to so many half hours of a day.
LEAST_TOGETHER, SHARE_TOGETHER, MOST_TOGETHER = 3, 0.2, 8
REST_DAYS, REST_WEEKS, REST_SHARE = 7, 3, 0.5
# How far is usual there: as far as on so many of the days, or, of few, as on any.
REACH_SHARE = 0.75
RESTLESS_PARTS = ("lows", "highs")
# What a channel's holidays are like.
AS_EITHER, AS_REST_DAY, AS_WEEKDAY = range(3)
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
        "holidays": np.full((n_units, n_channels), AS_EITHER, np.int8),
    }


def minutes_at(local_s: Ints, weekdays: Ints) -> Ints:
    """Minutes of the week; a holiday's are those of its `weekdays`, the day of rest, and a number
    of weeks by which its own weekday is known.

    >>> thursday = np.array([0, 60])
    >>> minutes_at(thursday, np.array([3, 6])).tolist(), 6 * DAY_MINUTES + 1 + 4 * WEEK_MINUTES
    ([4320, 48961], 48961)
    """
    minutes = weekdays * DAY_MINUTES + local_s % 86400 // 60
    own = weekdays_of(local_s // 86400)
    return np.asarray(minutes + np.where(own == weekdays, 0, WEEK_MINUTES * (1 + own)), np.int64)


def usual_at(profile: Arrays, minutes: Ints, rows: Floats64) -> Floats64:
    """What is usual, as near to rows (n_units, n_steps, n_channels) as it is on most days.

    >>> profile = no_profile(1, 1)
    >>> profile["highs"][0, 1] = 70
    >>> rows = np.array([[[65.0], [65.0], [90.0], [-5.0], [np.nan]]])
    >>> usual_at(profile, np.array([5, 35, 36, 37, 38]), rows).ravel().tolist()
    [0.0, 65.0, 70.0, 0.0, 0.0]
    """
    found = _nearest(profile, minutes % WEEK_MINUTES, rows)
    is_holiday = np.broadcast_to(minutes >= WEEK_MINUTES, rows.shape[:2])[..., None]
    if not is_holiday.any():
        return found
    own = _nearest(profile, _weekday_minutes(minutes), rows)
    return np.where(is_holiday, _on_holidays(profile["holidays"][:, None], rows, found, own), found)


def _weekday_minutes(minutes: Ints) -> Ints:
    """Minutes of the week, a holiday's those of its own weekday."""
    own = minutes // WEEK_MINUTES - 1
    at = own * DAY_MINUTES + minutes % DAY_MINUTES
    return np.where(own < 0, minutes, at)


def _on_holidays(kinds: Ints, rows: Floats64, of_rest: Floats64, of_weekday: Floats64) -> Floats64:
    """What is usual on holidays, by what is on the day of rest and on the weekday.

    Where it is not known which: the reading itself from one to the other, else the nearer one.

    >>> rows, kinds = np.array([[1.0], [4.0], [9.0]]), np.array([AS_EITHER])
    >>> _on_holidays(kinds, rows, np.full((3, 1), 2.0), np.full((3, 1), 5.0)).ravel().tolist()
    [2.0, 4.0, 5.0]
    """
    low, high = np.minimum(of_rest, of_weekday), np.maximum(of_rest, of_weekday)
    either = np.where(np.isfinite(rows), np.clip(rows, low, high), of_rest)
    known = np.where(kinds == AS_WEEKDAY, of_weekday, of_rest)
    return np.where(kinds == AS_EITHER, either, known)


def _nearest(profile: Arrays, minutes: Ints, rows: Floats64) -> Floats64:
    """What is usual at minutes of the week, as near to rows as it is on most days."""
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
    # Holidays say nothing of other days, unless there are hardly any.
    usual = minutes < WEEK_MINUTES
    if 2 * np.count_nonzero(usual) < len(minutes):
        minutes = minutes % WEEK_MINUTES
        usual = np.ones(len(minutes), np.bool_)
    others = [_others(usual, part) for part in parts]
    at, own_at = minutes % WEEK_MINUTES, _weekday_minutes(minutes)
    kept["waves"][0, :, :, 0] = _constant(rows[usual])
    # By the day of rest and, of holidays, by the weekday.
    rest = np.empty_like(rows)
    for part, chosen in zip(parts, others, strict=True):
        rest[part] = rows[part] - _constant(rows[chosen])
    by_weekday = rest.copy()
    spread = np.maximum(_spread(rest[usual]), 1e-9)
    best = _mean_size(rest[usual], spread)
    for level, groups in enumerate(GROUPS, 1):
        if not _is_enough(minutes[usual], groups):
            break
        tried, tried_own = np.empty_like(rows), np.empty_like(rows)
        for part, chosen in zip(parts, others, strict=True):
            found = _fitted(rows[chosen], minutes[chosen], groups)
            tried[part] = rows[part] - profile_at(found, at[part])[0]
            tried_own[part] = rows[part] - profile_at(found, own_at[part])[0]
        size = _mean_size(tried[usual], spread)
        better = size < BETTER * best
        if better.any():
            found = _fitted(rows[usual], minutes[usual], groups)
            for name in ("waves", "half_hours"):
                _take_channels(kept[name], found[name], better, name)
            kept["known_of_days"][0, better] = level
            rest[:, better], best = tried[:, better], np.where(better, size, best)
            by_weekday[:, better] = tried_own[:, better]
    lows, highs = _restless(rest[usual], minutes[usual])
    kept["lows"][0], kept["highs"][0] = lows, highs
    rest, by_weekday = (
        one - np.clip(one, lows[of_time // SLOT_MINUTES], highs[of_time // SLOT_MINUTES])
        for one, of_time in ((rest, at), (by_weekday, own_at))
    )
    if not usual.all():
        kept["holidays"][0] = kinds = _kinds_of_holidays(rest[~usual], by_weekday[~usual], spread)
        rest[~usual] = _left_on_holidays(kinds, rest[~usual], by_weekday[~usual])
    return kept, rest


def _kinds_of_holidays(of_rest: Floats64, of_weekday: Floats64, spread: Floats64) -> Ints:
    """What holidays are like, by what the day of rest and the weekday leave of their readings."""
    known = np.isfinite(of_rest).any(axis=0)
    one, other = (_mean_size(part, spread) for part in (of_rest, of_weekday))
    found = np.where(other < BETTER * one, AS_WEEKDAY, AS_EITHER)
    return np.where(known & (one < BETTER * other), AS_REST_DAY, found)


def _left_on_holidays(kinds: Ints, of_rest: Floats64, of_weekday: Floats64) -> Floats64:
    """What is left of readings on holidays, by what is left by the day of rest and by the weekday.

    >>> one, other = np.array([[3.0, 3.0]]), np.array([[-1.0, 2.0]])
    >>> _left_on_holidays(np.array([AS_EITHER, AS_EITHER]), one, other).tolist()
    [[0.0, 2.0]]
    """
    nearer = np.where(np.abs(of_weekday) < np.abs(of_rest), of_weekday, of_rest)
    either = np.where(of_rest * of_weekday < 0, 0.0, nearer)
    known = np.where(kinds == AS_WEEKDAY, of_weekday, of_rest)
    return np.where(kinds == AS_EITHER, either, known)


def _restless(rest: Floats64, minutes: Ints) -> Floats64:
    """How far from the usual half hours go down and up, (2, 336, n_channels), where some channel
    does so on most days or in most weeks, and far; else 0.

    A job of ten minutes at six each morning is no part of a half hour's median, nor is the last
    reading before a machine stops on Sundays; and neither is news. All channels have their reach
    there: one that kept to its median would be strange beside others that do not.
    """
    slots, n_channels = minutes // SLOT_MINUTES, rest.shape[1]
    if not len(rest):
        return np.zeros((2, N_SLOTS, n_channels))
    starts = np.flatnonzero(np.diff(slots, prepend=-1) != 0)
    known = np.where(np.isfinite(rest), rest, 0.0)
    lowest, highest = np.minimum.reduceat(known, starts), np.maximum.reduceat(known, starts)
    is_read = np.logical_or.reduceat(np.isfinite(rest), starts)
    ends, far = np.stack([-lowest, highest]), RESTLESS * np.maximum(_spread(rest), 1e-9)
    ends = np.where(is_read, ends, np.nan)
    is_far, reach = np.zeros((N_SLOTS, n_channels), np.bool_), np.zeros((2, N_SLOTS, n_channels))
    day = slots[starts] % _DAY_SLOTS
    for of_slots, every, least in (
        (day, _DAY_SLOTS, math.ceil(REST_SHARE * REST_DAYS)),
        (slots[starts], N_SLOTS, REST_WEEKS),
    ):
        for slot in np.unique(of_slots).tolist():
            its = ends[:, of_slots == slot]
            often = np.maximum(least, REST_SHARE * np.count_nonzero(np.isfinite(its[0]), axis=0))
            goes_far = (np.count_nonzero(its > far, axis=1) >= often).any(axis=0)
            if goes_far.any():
                is_far[slot::every] |= goes_far
                reach[:, slot::every] = np.maximum(reach[:, slot::every], _reach(its)[:, None])
    together = is_far.sum(axis=1) >= max(LEAST_TOGETHER, SHARE_TOGETHER * n_channels)
    if together.sum() > 7 * MOST_TOGETHER:
        together[:] = False
    is_far[together] = False
    is_far[:, is_far.sum(axis=0) > 7 * MOST_RESTLESS] = False
    restless = together | is_far.any(axis=1)
    found = np.where(restless[:, None], reach, 0.0)
    found[0] *= -1
    return found


def _reach(ends: Floats64) -> Floats64:
    """How far is usual (2, n_channels), by how far each day went (2, n_days, n_channels)."""
    share = REACH_SHARE if ends.shape[1] >= REST_DAYS else 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nan_to_num(np.nanquantile(ends, share, axis=1), nan=0.0))


def _take_channels(kept: Floats64, found: Floats64, chosen: Flags, name: str) -> None:
    axis = (slice(None), slice(None), chosen) + ((slice(None),) if name == "waves" else ())
    kept[axis] = found[axis]


def _others(usual: Flags, part: slice) -> Flags:
    """Usual rows outside of a part; all of them where that is none."""
    found = usual.copy()
    found[part] = False
    return found if found.any() else usual


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
