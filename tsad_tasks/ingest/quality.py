"""Verdicts on sensors, beside the verdict on the machine: is the reading itself to be trusted?

A sensor is compared with its own habits: with summaries of the day before, of the same time on the
six days before, and of the same time and weekday in the four weeks before. What happens at that
time of the week anyway is no finding; where no habit is known, none is said but by the range.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.enums import QualityVerdict
from tsad_tasks.model.hour_summary import NO_DECIMALS

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
Records = NDArray[np.void]

# Hours looked back at: the day before; the same time, an hour more or less, on six days before; and
# in four weeks before.
RECENT_H, DAY_H, WEEK_H = 24, 24, 168
_AROUND = (-1, 0, 1)
_DAILY = tuple(DAY_H * day + near for day in range(1, 7) for near in _AROUND)
_WEEKLY = tuple(WEEK_H * week + near for week in range(1, 5) for near in _AROUND)
AGES = tuple(sorted({*range(1, RECENT_H + 1), *_DAILY, *_WEEKLY}))

# Fewer values of an hour than this say nothing about its level or variation, unless the grid has
# no more.
MIN_VALUES = 5
# Habits are known from so many values, or from so many hours of a slow sensor.
MIN_KNOWN, MIN_HOURS = 30, 12
# Equal values in a row are stuck: so many, or so many hours of a slower sensor but at least six;
# so improbable by the habits; and so many times as long as any run that was usual.
STUCK_STEPS, STUCK_HOURS, MIN_STUCK = 30, 2, 6
IMPROBABLE, LONGER = 1e-8, 1.5
# Whose resolution has just become coarser is stuck after so many hours.
COARSE_HOURS = 12
# Hours without a value, of a sensor that is silent for whole hours now and then.
IMPROBABLE_SILENCE = 1e-6
# Values on the end of the range: at least MIN_VALUES and this share of the hour.
AT_LIMIT_SHARE = 0.25
# A level has moved when it is this many usual spreads away; it fits a unit within so many spreads,
# and at most 5 % of what the readings just before lead to expect, or 10 % of what is usual.
MOVED_SPREADS, FITTING_SPREADS, FITTING_SHARES = 8.0, 3.0, (0.05, 0.10)
# Tenfold readings have tenfold noise: at least this share of it.
SCATTER_SHARE = 0.25
# Two rates are one rate within the first of these, and another one beyond the second.
SAME_RATE, OTHER_RATE = 1.15, 1.5
# So many of the hours before have one rate, or resolution, of which it is then the usual one.
STEADY_SHARE = 0.8
# A resolution became coarser only where an hour usually has so many values that differ.
MANY_DISTINCT = 8

_UNITS = (
    ("× 1.8 + 32", 1.8, 32.0),
    ("− 32, ÷ 1.8", 1 / 1.8, -32 / 1.8),
    ("× 1000", 1000.0, 0.0),
    ("÷ 1000", 0.001, 0.0),
    ("× 100", 100.0, 0.0),
    ("÷ 100", 0.01, 0.0),
    ("× 10", 10.0, 0.0),
    ("÷ 10", 0.1, 0.0),
)


class SensorFinding(NamedTuple):
    """One verdict: on which entity and channel, for how many steps, and why."""

    entity_index: int
    channel_index: int
    verdict: QualityVerdict
    n_steps: int
    detail: str


@dataclass(frozen=True)
class LookBack:
    """One hour of some entities, and the hours before it that say what is usual.

    Attributes
    ----------
    hour : summaries (n_entities, n_channels).
    before : summaries (n_entities, n_ages, n_channels) of the hours `AGES` before it.
    n_steps : steps of an hour.
    low, high : (n_channels,) ends of each sensor's range; NaN where not stated.
    age_h : (n_entities, n_channels) hours since the sensor's first value; below 0: not fitted yet.
    on_change : (n_channels,) a value that stays says nothing: it may be neither constant nor stuck.
    hold_h : (n_channels,) so many hours without a value say nothing.
    is_weekend : of the site, by the clock of its zone.
    is_angle : (n_channels,) an angle, or a state: its level tells nothing of its unit; None: no
        channel is one.
    """

    hour: Records
    before: Records
    n_steps: int
    low: Float
    high: Float
    age_h: NDArray[np.int64]
    on_change: Mask
    hold_h: Float
    is_weekend: bool = False
    is_angle: Mask | None = None
    ages: NDArray[np.int64] = field(default_factory=lambda: np.array(AGES))

    @cached_property
    def n(self) -> Float:
        """Values of the hour (n_entities, n_channels)."""
        return self.hour["n"].astype(np.float64)

    @cached_property
    def seen(self) -> Mask:
        """Which of the hours before have values, (n_entities, n_ages, n_channels)."""
        return np.asarray(self.before["n"] > 0)

    @cached_property
    def is_weekly(self) -> Mask:
        """Which of `ages` are of the same time and weekday."""
        return np.isin(self.ages, _WEEKLY)

    @cached_property
    def is_same_time(self) -> Mask:
        """Which of `ages` are of the same time of day."""
        return np.isin(self.ages, (*_DAILY, *_WEEKLY))

    @cached_property
    def is_unknown_day(self) -> Mask:
        """(n_entities, n_channels): a Saturday or Sunday before which there was none."""
        weekly = self.ages % WEEK_H == 0
        return np.asarray(~self.seen[:, weekly].any(axis=1) & self.is_weekend)

    def at_time(self, period_h: int) -> list[Mask]:
        """Which of `ages` are so many hours before, or a multiple; an hour later and earlier apart,
        since what begins or ends at this time does not always do so to the minute.
        """
        of = _WEEKLY if period_h == WEEK_H else (*_DAILY, *_WEEKLY)
        wanted = ((near, [age for age in of if (age - near) % period_h == 0]) for near in _AROUND)
        return [np.isin(self.ages, ages) for _, ages in wanted]

    @property
    def enough(self) -> float:
        """Values that say something about an hour's level."""
        return min(MIN_VALUES, self.n_steps)

    def of(self, entities: NDArray[np.intp]) -> LookBack:
        """Of some of the entities."""
        own = {one.name: getattr(self, one.name) for one in fields(self)}
        for name in ("hour", "before", "age_h"):
            own[name] = own[name][entities]
        return LookBack(**own)


def sensor_findings(look: LookBack) -> list[SensorFinding]:
    """What is wrong with the sensors in one hour, and unusual for them.

    out_of_range: values outside the sensor's range, whatever is usual. at_limit: a quarter of the
    hour lies exactly on an end of it. constant: one value in this hour and before; stuck: one value
    for long. unit_jump: the level is that of another unit (°F for °C, ten-, hundred- or
    thousandfold, or back) since a moment before which it never was at this time. dead: nothing was
    read while other channels were. sampling_changed: readings come at another pace than they
    always did, or with another resolution; told once, in the second hour.

    >>> from tsad_tasks.model.hour_summary import summaries
    >>> values = np.where(np.arange(24 * 30) < 24 * 29, 5.0, 50.0) + np.arange(24 * 30) % 2 / 10
    >>> known = summaries(values.reshape(-1, 1, 1))
    >>> ages, ends = np.array(AGES), np.full(1, np.nan)
    >>> age_h, no = np.full((1, 1), 719), np.zeros(1, bool)
    >>> look = LookBack(known[None, 719], known[None, 719 - ages], 1, ends, ends, age_h, no, no)
    >>> [(str(found.verdict), found.detail) for found in sensor_findings(look)]
    [('unit_jump', 'median 50.1 is the former 5 × 10')]
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        found = [*_out_of_range(look), *_at_limit(look), *_unchanging(look)]
        found += [*_unit(look), *_dead(look), *_sampling(look)]
    return sorted(found)


def _cells(which: Mask) -> Iterator[tuple[int, int]]:
    yield from zip(*(part.tolist() for part in np.nonzero(which)), strict=True)


def _out_of_range(look: LookBack) -> Iterator[SensorFinding]:
    least, greatest = look.hour["least"], look.hour["greatest"]
    for i, k in _cells((least < look.low) | (greatest > look.high)):
        seen = f"{least[i, k]:.6g} to {greatest[i, k]:.6g}"
        detail = f"{seen}, range {look.low[k]:.6g} to {look.high[k]:.6g}"
        yield SensorFinding(i, k, QualityVerdict.OUT_OF_RANGE, int(look.n[i, k]), detail)


def _at_limit(look: LookBack) -> Iterator[SensorFinding]:
    ends = (("low", look.low, "least"), ("high", look.high, "greatest"))
    for name, end, of in ends:
        if np.isnan(end).all():
            continue
        n_there = np.where(look.hour[of] == end, look.hour[f"n_{of}"], 0)
        is_there = n_there >= np.maximum(look.enough, AT_LIMIT_SHARE * look.n)
        if not is_there.any():
            continue
        former = np.where(look.before[of] == end, look.before[f"n_{of}"], 0)
        was_there = look.seen & (former >= AT_LIMIT_SHARE * look.before["n"])
        was_there &= former > 0
        for i, k in _cells(is_there & ~_usual_end(look, was_there, end)):
            detail = f"at the {name} end of the range, {end[k]:.6g}"
            yield SensorFinding(i, k, QualityVerdict.AT_LIMIT, int(n_there[i, k]), detail)


def _usual_end(look: LookBack, was_there: Mask, end: Float) -> Mask:
    """Whether it is usual to be at an end of the range, (n_entities, n_channels)."""
    days = [np.isin(look.ages, [DAY_H * d + near for near in _AROUND]) for d in range(1, 7)]
    n_known = sum(look.seen[:, day].any(axis=1).astype(int) for day in days)
    n_there = sum(was_there[:, day].any(axis=1).astype(int) for day in days)
    usual = was_there[:, look.is_weekly].any(axis=1)
    usual |= (n_there > 0) & (2 * n_there >= n_known)
    # Before anything is known, zero is where counts and flows begin.
    return np.asarray(usual | ((n_known == 0) & (end == 0)) | look.is_unknown_day)


class _Run(NamedTuple):
    """The longest run of equal values that touches the hour, (n_entities, n_channels) each.

    `within`: (n_entities, n_ages, n_channels) hours before that are part of it. `is_before`: the
    hour before with values is wholly part of it.
    """

    value: Float
    length: Float
    n_steps: Float
    within: Mask
    is_before: Mask


def _run(look: LookBack) -> _Run:
    hour, before, seen = look.hour, look.before, look.seen
    value = hour["first"]
    carried, within = np.zeros(value.shape), np.zeros(seen.shape, bool)
    goes_on, is_before = look.n > 0, np.zeros(value.shape, bool)
    is_first = np.ones(value.shape, bool)
    for at in range(seen.shape[1]):
        part = before[:, at]
        matches = goes_on & seen[:, at] & (part["last"] == value)
        is_whole = part["tail"] == part["n"]
        carried += np.where(matches, part["tail"], 0)
        within[:, at] = matches
        is_before |= matches & is_whole & is_first
        is_first &= ~seen[:, at]
        goes_on &= ~seen[:, at] | (matches & is_whole)
        if not goes_on.any():
            break
    lead = hour["lead"] + carried
    leads = lead >= hour["longest"]
    return _Run(
        np.where(leads, value, hour["run_value"]),
        np.where(leads, lead, hour["longest"]),
        np.where(leads, hour["lead"], hour["longest"]),
        within & leads[:, None],
        is_before & leads,
    )


def _unchanging(look: LookBack) -> Iterator[SensorFinding]:
    hour = look.hour
    least = min(STUCK_STEPS, STUCK_HOURS * look.n_steps)
    run = _run(look)
    may_be = (run.length >= max(MIN_STUCK, least)) & ~look.on_change
    entities = np.flatnonzero(may_be.any(axis=1))
    if not len(entities):
        return
    needed, usual = np.full(may_be.shape, np.inf), np.zeros(may_be.shape)
    of = look.of(entities), run.value[entities], run.within[entities]
    needed[entities], usual[entities] = _needed_run(*of)
    is_still = hour["longest"] == hour["n"]
    is_odd = may_be & (run.length >= needed) & ~look.is_unknown_day
    is_new = may_be & is_still & _is_told_now(look, run)
    for i, k in _cells(is_odd | is_new):
        n_steps, value = int(run.n_steps[i, k]), f"{run.value[i, k]:.6g}"
        n_equal = int(run.length[i, k])
        if is_new[i, k]:
            detail = f"only {value} in all {n_equal} readings since the first one; told once"
            yield SensorFinding(i, k, QualityVerdict.CONSTANT, n_steps, detail)
            continue
        usually = f"usually at most {int(usual[i, k])}"
        if is_still[i, k] and run.is_before[i, k] and look.n_steps >= MIN_VALUES:
            detail = f"only {value} in {n_equal} readings, {usually} in a row"
            yield SensorFinding(i, k, QualityVerdict.CONSTANT, n_steps, detail)
        else:
            detail = f"{value} in {n_equal} readings in a row, {usually}"
            yield SensorFinding(i, k, QualityVerdict.STUCK, n_steps, detail)


def _needed_run(look: LookBack, value: Float, within: Mask) -> tuple[Float, Float]:
    """How long a run of a value must be to be improbable, and the longest usual one; infinite: not
    known. Hours `within` the run itself say nothing of habits.
    """
    before, is_zero = look.before, value == 0
    usable = look.seen & ~within
    zero, n = is_zero[:, None], before["n"].astype(np.float64)
    pairs_zero = before["pairs_zero"]
    equal = np.where(zero, before["equal_zero"], before["equal_other"]) * usable
    pairs = np.where(zero, pairs_zero, np.maximum(n - 1, 0) - pairs_zero) * usable
    # Neighbours in two hours: all there are of a sensor with one reading an hour.
    follows = np.zeros(usable.shape, bool)
    follows[:, :-1] = usable[:, :-1] & usable[:, 1:] & (np.diff(look.ages) == 1)[:, None]
    older = np.roll(before["last"], -1, axis=1)
    of_class = (older == 0) == zero
    pairs = pairs + (follows & of_class)
    equal = equal + (follows & of_class & (older == before["first"]))
    longest = np.where(usable & ((before["run_value"] == 0) == zero), before["longest"], 0)

    weekly, recent = look.is_weekly, look.ages <= RECENT_H
    n_weekly, n_all, n_recent = (
        part.sum(axis=1) for part in (pairs[:, weekly], pairs, pairs[:, recent])
    )
    by_week = n_weekly >= MIN_KNOWN
    same = np.where(by_week, equal[:, weekly].sum(axis=1), equal.sum(axis=1))
    share = (same + 1) / (np.where(by_week, n_weekly, n_all) + 2)
    # What is so at this time of every week, or of every day before that is known, or has been so of
    # late, is usual.
    by_day = ~(usable & (look.ages % WEEK_H == 0)[:, None]).any(axis=1)
    for period_h, counts in ((WEEK_H, ~by_day), (DAY_H, by_day)):
        for at in look.at_time(period_h):
            n_at_time = pairs[:, at].sum(axis=1)
            of_time = equal[:, at].sum(axis=1) / n_at_time
            # Of one or two pairs one is equal by chance.
            counts_here = counts & ((n_at_time >= MIN_KNOWN) | (of_time >= STEADY_SHARE))
            share = np.fmax(share, np.where(counts_here, of_time, 0))
    lately = np.where(n_recent >= MIN_KNOWN, equal[:, recent].sum(axis=1) / n_recent, 0)
    usual = np.where(by_week, longest[:, weekly].max(axis=1), longest.max(axis=1))
    # Who was never at 0, or never elsewhere, stands still there as it does where it was.
    is_new = n_all == 0
    anywhere, longest_anywhere = _still_anywhere(look, usable)
    share = np.fmax(share, np.where(is_new, anywhere, 0))
    usual = np.fmax(usual, np.where(is_new, longest_anywhere, 0))
    share = np.minimum(np.fmax(share, lately), 1 - 1e-12)
    needed = np.maximum(1 + np.log(IMPROBABLE) / np.log(share), LONGER * usual)
    needed = np.where(_is_coarser(look), np.maximum(needed, COARSE_HOURS * look.n_steps), needed)
    n_known, n_hours = (n * usable).sum(axis=1), usable.sum(axis=1)
    is_known = (n_known >= MIN_KNOWN) | (n_hours >= MIN_HOURS)
    is_known &= (usable & look.is_same_time[:, None]).any(axis=1)
    return np.where(is_known, needed, np.inf), usual


def _still_anywhere(look: LookBack, usable: Mask) -> tuple[Float, Float]:
    """The share of neighbours that were equal, at 0 or elsewhere, and the longest run."""
    before = look.before
    pairs = np.maximum(before["n"].astype(np.float64) - 1, 0) * usable
    equal = (before["equal_zero"] + before["equal_other"]) * usable
    n_pairs = pairs.sum(axis=1)
    share = np.divide(equal.sum(axis=1), n_pairs, out=np.zeros(n_pairs.shape), where=n_pairs > 0)
    return share, np.where(usable, before["longest"], 0).max(axis=1)


def _is_coarser(look: LookBack) -> Mask:
    """Whether the resolution has become coarser than it was: runs are longer then, and of how long
    they are nothing is known. The newest two hours of the day before say what it is.
    """
    known = look.before["decimals"] != NO_DECIMALS
    digits = np.where(known, look.before["decimals"], -np.inf)
    recent = (look.ages <= RECENT_H)[:, None]
    is_newest = known & recent & (np.cumsum(known, axis=1) <= 2)
    finest = np.where(is_newest, digits, -np.inf).max(axis=1)
    return np.asarray(np.isfinite(finest) & (finest < digits.max(axis=1)))


def _is_told_now(look: LookBack, run: _Run) -> Mask:
    """Whether a sensor that never had another value is told of in this hour: in its first one with
    a value a day after its first value of all.
    """
    is_due = (look.age_h >= DAY_H) & (look.age_h <= 2 * DAY_H)
    never = ~(look.seen & ~run.within).any(axis=1)
    later = look.ages[:, None] <= (look.age_h - DAY_H)[:, None]
    return np.asarray(is_due & never & ~(look.seen & later).any(axis=1))


def _unit(look: LookBack) -> Iterator[SensorFinding]:
    """The first unit that fits, where the level has gone far from its own, once and for all."""
    # Of a slow sensor three readings in a row.
    same_time, weekly = look.is_same_time, look.is_weekly
    level = look.hour["median"].astype(np.float64)
    median = look.before["median"].astype(np.float64)
    enough = look.before["n"] >= look.enough
    at_time = enough & same_time[:, None]
    is_new = np.abs(median - level[:, None]) <= FITTING_SHARES[1] * np.abs(level[:, None])
    old = at_time & ~is_new
    # From the newest to the oldest: only new ones, then only old ones.
    once = ~(np.logical_or.accumulate(old, axis=1) & at_time & is_new).any(axis=1)
    is_judged = (look.n >= look.enough) & old.any(axis=1) & once & ~look.is_unknown_day
    if look.is_angle is not None:
        is_judged &= ~look.is_angle
    if look.n_steps < MIN_VALUES:
        for at in (0, 1):
            is_judged &= is_new[:, at] & enough[:, at]
    entities = np.flatnonzero(is_judged.any(axis=1))
    if not len(entities):
        return
    part, mine = look.of(entities), old[entities]
    weekly_old = mine & weekly[:, None]
    by_week = weekly_old.sum(axis=1) * look.n_steps >= MIN_KNOWN
    used = np.where(by_week[:, None], weekly_old, mine)
    n_used = (used * part.before["n"]).sum(axis=1)
    own = _median(np.where(used, median[entities], np.nan))
    noise = (part.before["q3"] - part.before["q1"]) / 1.349
    noise = _median(np.where(used, noise, np.nan))
    away = np.abs(median[entities] - own[:, None])
    spread = np.fmax(noise, 1.4826 * _median(np.where(used, away, np.nan)))
    is_known = is_judged[entities] & ((n_used >= MIN_KNOWN) | (used.sum(axis=1) >= MIN_HOURS))
    share = np.full(own.shape, FITTING_SHARES[1])
    # Just before, where that was usual, is better than what is usual.
    just = enough[entities, 0] & (np.abs(median[entities, 0] - own) <= MOVED_SPREADS * spread)
    own = np.where(just, median[entities, 0], own)
    share = np.where(just, FITTING_SHARES[0], share)
    yield from _fitting_units(part, entities, is_known, own, spread, noise, share)


def _fitting_units(
    look: LookBack,
    entities: NDArray[np.intp],
    is_known: Mask,
    own: Float,
    spread: Float,
    noise: Float,
    share: Float,
) -> Iterator[SensorFinding]:
    level = look.hour["median"].astype(np.float64)
    scatter = (look.hour["q3"] - look.hour["q1"]) / 1.349
    left = is_known.copy()
    for name, factor, offset in _UNITS:
        expected = own * factor + offset
        open_to = np.maximum(FITTING_SPREADS * spread * factor, 0.01 * np.abs(expected))
        tolerance = np.minimum(open_to, share * np.abs(expected))
        # The move is also four times what the fit leaves open, and the scatter has changed along
        # with the level: else a shift of the level explains it as well.
        far = np.maximum(MOVED_SPREADS * spread, 4 * tolerance)
        moved = np.abs(level - own) > np.maximum(far, 0.1 * np.abs(own))
        fits = (np.abs(level - expected) <= tolerance) & (expected != 0)
        fits &= scatter <= FITTING_SPREADS * spread * factor
        if factor >= 10:
            fits &= (scatter >= SCATTER_SHARE * noise * factor) | (look.n < MIN_VALUES)
        for i, k in _cells(left & moved & fits):
            detail = f"median {level[i, k]:.6g} is the former {own[i, k]:.6g} {name}"
            n_steps = int(look.n[i, k])
            yield SensorFinding(int(entities[i]), k, QualityVerdict.UNIT_JUMP, n_steps, detail)
        left &= ~(moved & fits)


def _dead(look: LookBack) -> Iterator[SensorFinding]:
    n_read = look.n.max(axis=1)
    silent = (look.n == 0) & (n_read >= look.enough)[:, None] & (look.age_h >= 0)
    if not silent.any():
        return
    heard = look.seen.any(axis=2, keepdims=True)
    has_any = look.seen.any(axis=1)
    newest = np.where(has_any, look.seen.argmax(axis=1), len(look.ages))
    gap = np.arange(len(look.ages))[:, None] < newest[:, None]
    last_h = np.append(look.ages, np.iinfo(np.int32).max)[newest]
    is_recent = (look.ages <= RECENT_H)[:, None]
    n_silent = 1.0 + (gap & heard & is_recent).sum(axis=1) + np.maximum(last_h - RECENT_H - 1, 0)
    usable = heard & ~gap
    n_usable = usable.sum(axis=1)
    fewest = np.where(usable, look.before["n"], np.iinfo(np.int32).max).min(axis=1)
    n_none = (usable & ~look.seen).sum(axis=1)
    needed = np.log(IMPROBABLE_SILENCE) / np.log((n_none + 0.5) / (n_usable + 1))
    # Who always has many values an hour, and of whom nothing else is known, is dead at once.
    is_dense = (fewest >= MIN_VALUES) | (n_usable < 3)
    is_usual = np.zeros(silent.shape, bool)
    for at in look.at_time(WEEK_H):
        is_usual |= usable[:, at].any(axis=1) & ~(usable & look.seen)[:, at].any(axis=1)
    is_dead = silent & (is_dense | (n_silent >= needed)) & ~is_usual & (n_silent > look.hold_h)
    for i, k in _cells(is_dead):
        n_steps = int(n_read[i])
        detail = f"nothing read at {n_steps} steps at which other channels were"
        yield SensorFinding(i, k, QualityVerdict.DEAD, n_steps, detail)


def _sampling(look: LookBack) -> Iterator[SensorFinding]:
    rates = _changed_rates(look)
    digits = _changed_resolutions(look, rates)
    for i, k in sorted({*rates, *digits}):
        said = [part[i, k] for part in (rates, digits) if (i, k) in part]
        n_steps = int(look.n[i, k])
        yield SensorFinding(i, k, QualityVerdict.SAMPLING_CHANGED, n_steps, "; ".join(said))


def _changed_rates(look: LookBack) -> dict[tuple[int, int], str]:
    now = look.hour["n_rows"].astype(np.float64)
    rates = look.before["n_rows"].astype(np.float64)
    rates = np.where(rates > 0, rates, np.nan)
    first, second = rates[:, 0], rates[:, 1]

    def same(a: Float, b: Float) -> Mask:
        return np.asarray((a <= SAME_RATE * b) & (b <= SAME_RATE * a))

    older = rates.copy()
    older[:, 0] = np.nan
    may_be = same(now, first) & ~same(now, second)
    n_known = np.isfinite(older).sum(axis=1)
    may_be &= n_known >= MIN_HOURS
    if not may_be.any():
        return {}
    usual = _median(older)
    n_usual = same(older, usual[:, None]).sum(axis=1)
    is_other = (now > OTHER_RATE * usual) | (usual > OTHER_RATE * now)
    # What comes at this pace at this time of the day or week is a habit.
    was_so = (same(rates, now[:, None]) & look.is_same_time[:, None]).any(axis=1)
    found = may_be & is_other & (n_usual >= STEADY_SHARE * n_known) & ~was_so
    return {(i, k): _rate_text(look, i, k, usual[i, k]) for i, k in _cells(found)}


def _rate_text(look: LookBack, i: int, k: int, usual: float) -> str:
    now = float(look.hour["n_rows"][i, k])
    n_before = look.before["n"][i, :, k][look.before["n_rows"][i, :, k] > 0][1:]
    per_step = usual / max(float(np.median(n_before)), 1.0)
    text = f"a reading every {_every(usual)} before, every {_every(now)} for two hours"
    after = now / max(float(look.n[i, k]), 1.0)
    if max(per_step, after) < OTHER_RATE:
        return text
    return f"{text}; readings per step {per_step:.3g} before, {after:.3g} now"


def _every(per_hour: float) -> str:
    seconds = 3600 / per_hour
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def _changed_resolutions(
    look: LookBack, rates: dict[tuple[int, int], str]
) -> dict[tuple[int, int], str]:
    now = look.hour["decimals"].astype(np.int64)
    digits = look.before["decimals"].astype(np.int64)
    known = digits != NO_DECIMALS
    place = np.where(known, np.cumsum(known, axis=1), 0)
    first = np.where(place == 1, digits, 0).sum(axis=1)
    second = np.where(place == 2, digits, 0).sum(axis=1)
    older = place > 1
    n_known = older.sum(axis=1)
    may_be = (now != NO_DECIMALS) & (now == first) & (now != second) & (n_known >= MIN_HOURS)
    may_be &= look.n >= look.enough
    if not may_be.any():
        return {}
    usual = _median(np.where(older, digits, np.nan))
    n_usual = (older & (digits == usual[:, None])).sum(axis=1)
    distinct = _median(np.where(older, look.before["n_distinct"], np.nan))
    is_other = (now > usual) | ((now < usual) & (distinct >= MANY_DISTINCT))
    found = may_be & is_other & (n_usual >= STEADY_SHARE * n_known)
    return {
        (i, k): f"resolution {10.0 ** -usual[i, k]:g} before, {10.0 ** -now[i, k]:g} now"
        for i, k in _cells(found)
        if (i, k) not in rates
    }


def _median(values: Float) -> Float:
    """Medians (n_entities, n_channels) over the hours before; NaN of none."""
    ordered = np.sort(values, axis=1)
    n = np.isfinite(values).sum(axis=1)
    low, high = (np.maximum(n + k, 0)[:, None] // 2 for k in (-1, 0))
    last = values.shape[1] - 1
    parts = [np.take_along_axis(ordered, np.minimum(at, last), axis=1)[:, 0] for at in (low, high)]
    found: Float = np.where(n > 0, (parts[0] + parts[1]) / 2, np.nan)
    return found
