"""Thresholds from an alarm budget: how many incidents a day there may be while nothing is wrong.

Held-out readings say how many there are at low thresholds, an extreme-value tail of their peaks how
few are left at a higher one. Incidents are counted, not flags: neighbours belong together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tsad_tasks.base.arrays import Floats32, Floats64
from tsad_tasks.model.incidents import IncidentRule
from tsad_tasks.model.tails import cluster_starts, generalized_pareto
from tsad_tasks.model.thresholds import (
    COLLECTIVE_CAP,
    Calibration,
    ThresholdSettings,
    calibrate,
    collective_series,
    lasting_errors,
    stored_limit,
)

# Training days do not show everything that is normal, so half of the budget is aimed at.
AIM = 0.5
# The tail starts where so many more peaks are left than wanted, and so many at least.
MORE_PEAKS, MIN_PEAKS = 4.0, 50
# No more than a hundredth of the steps may lie above a limit, however large the budget.
LOWEST_QUANTILE = 0.99
_START_QUANTILES = (0.999, 0.998, 0.995, 0.99, 0.98, 0.95, 0.9, 0.8)
# An entity with so many peaks that chance does not explain them gets a limit of its own.
UNLIKELY = 4.0
# Its own tail weighs as much as the fleet's where it has so many peaks, and its limit rises to so
# many times the fleet's at most: a machine may be faulty itself.
SHRINK_PEAKS, MOST_RISE = 20.0, 2.0
_DAY_S = 86400
# Episodes above this quantile are compared by how high and long they are together; one is taken for
# a fault that is so many times as large as the sixth part that is largest, or further away than
# that is from the usual one. So many steps may be faults, of all and of one machine; where more
# were, it is how they are.
EPISODE_QUANTILE, LARGE_QUANTILE, FAR_FACTOR, FAR_SPREADS = 0.8, 0.84, 12.0, 1.25
MOST_FAULTY, MOST_OF_ONE = 0.15, 0.4
_MIN_EPISODES, _N_PASSES = 30, 3
# What is strange just before and after an episode belongs to it, as a share of its length.
_MARGIN = 0.25
_N_NAMED = 5


@dataclass(frozen=True)
class AlarmBudget:
    """How many incidents may be raised while nothing is wrong, and what counts as one.

    Attributes
    ----------
    per_day : of all entities together, however many there are.
    per_entity_day : of one entity; what is lower holds.
    n_entities : that the model is for.
    """

    per_day: float
    per_entity_day: float
    n_entities: int
    rule: IncidentRule
    step_s: int

    @property
    def aim(self) -> float:
        """Incidents per entity and day that the limits are made for.

        >>> AlarmBudget(5.0, 0.1, 100, IncidentRule(0, 3600), 60).aim
        0.025
        """
        return AIM * min(self.per_day / max(self.n_entities, 1), self.per_entity_day)

    @property
    def gap_steps(self) -> int:
        """Flags at most this far apart are one incident."""
        return self.rule.merge_gap_s // self.step_s


@dataclass(frozen=True)
class BudgetLimits:
    """Limits that keep to a budget.

    Attributes
    ----------
    pooled : for every entity, but for those in `own`.
    own : by name, of entities that raise more than the others.
    incidents_per_day : of all entities together, as expected while nothing is wrong.
    notes : sentences on what set no limit, and whose limit would be higher.
    """

    pooled: Calibration
    own: Mapping[str, Calibration]
    incidents_per_day: float
    notes: tuple[str, ...] = ()


def budget_limits(
    errors: Mapping[str, Floats32],
    judged_steps: Mapping[str, int],
    settings: ThresholdSettings,
    budget: AlarmBudget,
) -> BudgetLimits:
    """Limits by which held-out readings raise half as many incidents as allowed, while healthy.

    What looks like a fault there sets none (`without_faults`). Single errors and moving averages
    get half of it each, where there are moving averages.

    Errors (n_steps,) are held-out ones on the grid, by entity name, NaN where unknown;
    `judged_steps` how many steps they stand for, those included in which the machine was off.

    Raises
    ------
    BadInput
        When fewer than 50 errors are finite.

    Source: Pickands (1975), peaks over threshold; Smith and Weissman (1994), declustering.

    >>> rule = IncidentRule(merge_gap_s=0, max_length_s=86400)
    >>> settings = ThresholdSettings("evt", 99.9, 6.0, 1000, 200, 0.5, 0, 6.0)
    >>> errors = {"a": np.random.default_rng(7).exponential(1.0, 86400).astype(np.float32)}
    >>> limits = budget_limits(errors, {"a": 86400}, settings, AlarmBudget(24.0, 24.0, 1, rule, 60))
    >>> 4.6 < limits.pooled.limit < 5.0, limits.incidents_per_day
    (True, 12.0)
    """
    healthy = without_faults(errors)
    faulty = {name: _n_known(part) - _n_known(healthy[name]) for name, part in errors.items()}
    errors, notes = healthy, _faulty_notes(faulty, budget)
    days = {name: n * budget.step_s / _DAY_S for name, n in judged_steps.items()}
    pooled = calibrate(np.concatenate(list(errors.values())), settings=settings)
    n_kinds = 2 if settings.collective_width else 1
    point = _limits_of(errors, days, budget, budget.aim / n_kinds)
    if n_kinds == 1:
        return _joined(pooled, point, None, budget, notes)
    lasting = {}
    for name, part in errors.items():
        capped_at = Calibration(0.0, 0.0, point.limit(name), 0.0, 0.0, point.limit(name), 0)
        lasting[name] = lasting_errors(part, collective_series(part, capped_at, settings))
    collective = _limits_of(lasting, days, budget, budget.aim / n_kinds)
    # One error alone, however large, must not lift the moving average over its limit.
    capped = COLLECTIVE_CAP * point.pooled - pooled.mean
    lowest = min(pooled.mean + capped / settings.collective_width, point.pooled)
    raised = replace(collective, pooled=max(collective.pooled, lowest))
    return _joined(pooled, point, raised, budget, notes)


def with_raised(
    limits: BudgetLimits,
    errors: Mapping[str, Floats32],
    judged_steps: Mapping[str, int],
    budget: AlarmBudget,
) -> BudgetLimits:
    """Limits that were made without an eye on the budget, with what held-out errors raise at them:
    expected are as many as without what looks like a fault. A note says how many with that, where
    these are more than the budget allows.

    Arguments are those of `budget_limits`.

    >>> rule = IncidentRule(merge_gap_s=0, max_length_s=86400)
    >>> settings = ThresholdSettings("evt", 99.9, 6.0, 1000, 200, 0.5, 0, 6.0)
    >>> errors = {"a": np.random.default_rng(7).exponential(1.0, 86400).astype(np.float32)}
    >>> of = errors, {"a": 86400}, settings, AlarmBudget(24.0, 24.0, 1, rule, 60)
    >>> limits = budget_limits(*of)
    >>> low = replace(limits, pooled=replace(limits.pooled, limit=3.0), own={})
    >>> found = with_raised(low, errors, {"a": 86400}, of[3])
    >>> 60 < found.incidents_per_day < 80, len(found.notes)
    (True, 1)
    """
    days = sum(judged_steps.values()) * budget.step_s / _DAY_S
    if not days:
        return limits

    def per_day(of: Mapping[str, Floats32]) -> float:
        n = 0
        for name, part in of.items():
            limit = limits.own.get(name, limits.pooled).limit
            n += _Series.of(part.astype(np.float64), budget).peaks(limit).size
        return float(f"{n / days * budget.n_entities:.6g}")

    healthy, raised = per_day(without_faults(errors)), per_day(errors)
    allowed, notes = budget.aim / AIM * budget.n_entities, limits.notes
    if raised > allowed:
        said = f"raise {raised:.3g} incidents a day, what looks like a fault included"
        rule = "limits are bounded by the detector's own scale and what most hours say"
        notes += (f"Held-out readings {said}, where {allowed:.3g} are allowed: {rule}.",)
    return replace(limits, incidents_per_day=max(limits.incidents_per_day, healthy), notes=notes)


def without_faults(errors: Mapping[str, Floats32]) -> dict[str, Floats32]:
    """Held-out errors (n_steps,) by name, NaN in episodes that look like faults of these machines.

    A budget is for a healthy fleet: an unmarked fault in the week that sets the limit would hide
    later ones. An episode is a run of errors above the 80 % quantile, its size how far they are
    above it all together. Nothing is left out where that were more than a seventh of the steps, nor
    of a machine that would be faulty for two fifths of its time.

    >>> quiet = np.tile(np.array([1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3], np.float32), 200)
    >>> spoilt = quiet.copy()
    >>> spoilt[500:560] = 9
    >>> kept = without_faults({"a": quiet, "b": spoilt})
    >>> bool(np.isnan(kept["b"][500:560]).all()), bool(np.isnan(kept["a"]).any())
    (True, False)
    """
    n_most = MOST_FAULTY * sum(int(np.isfinite(part).sum()) for part in errors.values())
    kept, n_faulty = dict(errors), 0
    # What was hidden by larger faults is seen without them.
    for _ in range(_N_PASSES):
        faults = _faults(kept)
        n_faulty += sum(end - first for _, first, end in faults)
        if n_faulty > n_most:
            return dict(errors)
        for name, first, end in faults:
            margin = math.ceil(_MARGIN * (end - first))
            part = kept[name].copy()
            part[max(first - margin, 0) : end + margin] = np.nan
            kept[name] = part
    return kept


def _faults(errors: Mapping[str, Floats32]) -> list[tuple[str, int, int]]:
    """Name, first step and end of episodes that are far larger than others are."""
    known = np.concatenate([part[np.isfinite(part)] for part in errors.values()])
    if not known.size:
        return []
    level = float(np.quantile(known, EPISODE_QUANTILE))
    episodes = [(name, *one) for name, part in errors.items() for one in _episodes(part, level)]
    if len(episodes) < _MIN_EPISODES:
        return []
    sizes = np.log([size for *_, size in episodes])
    usual, large = np.quantile(sizes, (0.5, LARGE_QUANTILE)).tolist()
    limit = large + max(FAR_SPREADS * (large - usual), math.log(FAR_FACTOR))
    found: dict[str, list[tuple[int, int]]] = {}
    for (name, first, end, _), size in zip(episodes, sizes.tolist(), strict=True):
        if size > limit:
            found.setdefault(name, []).append((first, end))
    return [
        (name, first, end)
        for name, spans in found.items()
        if sum(end - first for first, end in spans) <= MOST_OF_ONE * _n_known(errors[name])
        for first, end in spans
    ]


def _episodes(errors: Floats32, level: float) -> list[tuple[int, int, float]]:
    """First step, end and size of each run of errors (n_steps,) above a level."""
    over = np.where(errors > level, errors.astype(np.float64) - level, 0.0)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], over > 0, [0]]).astype(np.int8)))
    sums = np.concatenate([[0.0], np.cumsum(over)])
    pairs = edges.reshape(-1, 2).tolist()
    return [(first, end, float(sums[end] - sums[first])) for first, end in pairs]


@dataclass(frozen=True)
class _Limits:
    """Limits of one kind of error, and incidents per entity and day expected at the pooled one."""

    pooled: float
    own: Mapping[str, float]
    rate: float
    capped: tuple[str, ...] = ()

    def limit(self, name: str) -> float:
        return stored_limit(max(self.pooled, self.own.get(name, 0.0)))


def _joined(
    pooled: Calibration,
    point: _Limits,
    collective: _Limits | None,
    budget: AlarmBudget,
    notes: tuple[str, ...],
) -> BudgetLimits:
    lasting = point if collective is None else collective
    own = {
        name: replace(pooled, limit=point.limit(name), collective_limit=lasting.limit(name))
        for name in sorted(set(point.own) | set(lasting.own))
    }
    rate = point.rate + (0.0 if collective is None else collective.rate)
    common = replace(pooled, limit=point.limit(""), collective_limit=lasting.limit(""))
    if capped := sorted({*point.capped, *lasting.capped}):
        said = f"{MOST_RISE:g} times the fleet's and not higher, whatever was held out"
        notes += (f"Limits of {named(capped)} are {said}: they may raise more than their share.",)
    return BudgetLimits(common, own, float(f"{rate * budget.n_entities:.6g}"), notes)


def _n_known(errors: Floats32) -> int:
    return int(np.count_nonzero(np.isfinite(errors)))


def _faulty_notes(n_faulty: Mapping[str, int], budget: AlarmBudget) -> tuple[str, ...]:
    """What was taken for faults among held-out readings."""
    names = sorted(name for name, n in n_faulty.items() if n)
    if not names:
        return ()
    hours = sum(n_faulty.values()) * budget.step_s / 3600
    return (
        f"{hours:.1f} hours of held-out readings of {named(names)} look like faults, and set no "
        "limit: look at them, and label them if they are.",
    )


def named(names: Sequence[str]) -> str:
    """The first names, and how many more there are.

    >>> named(["a", "b"]), named([f"m{i}" for i in range(1, 1010)]).endswith(" more")
    ('a, b', True)
    """
    more = f" and {len(names) - _N_NAMED:,} more" if len(names) > _N_NAMED else ""
    return ", ".join(names[:_N_NAMED]) + more


def _limits_of(
    errors: Mapping[str, Floats32], days: Mapping[str, float], budget: AlarmBudget, aim: float
) -> _Limits:
    """Limits at which each entity is expected to raise `aim` incidents a day."""
    series = {name: _Series.of(part.astype(np.float64), budget) for name, part in errors.items()}
    known = np.concatenate([part.errors[np.isfinite(part.errors)] for part in series.values()])
    if not known.size:
        return _Limits(0.0, {}, 0.0)
    n_days = sum(days.values())
    wanted = aim * n_days
    # The highest level with so many peaks above it, or the lowest one that can count as a tail.
    n_peaks = max(MORE_PEAKS * wanted, MIN_PEAKS)
    for start in np.quantile(known, _START_QUANTILES).tolist():
        if sum(part.peaks(start).size for part in series.values()) >= n_peaks:
            break
    peaks = {name: part.peaks(start) - start for name, part in series.items()}
    tail = _PeakTail.of(np.concatenate(list(peaks.values())), start)
    lowest = float(np.quantile(known, LOWEST_QUANTILE))
    pooled = max(tail.limit(wanted), lowest)
    own = {}
    for name, excesses in peaks.items():
        # More peaks than an entity's share of all, and than chance explains, is a limit of its own.
        share = days[name] / n_days
        usual = tail.n * share
        if excesses.size > usual + UNLIKELY * math.sqrt(usual) + UNLIKELY:
            few, many = (
                one.limit(wanted * share, excesses.size)
                for one in (tail, _PeakTail.of(excesses, tail.start))
            )
            weight = excesses.size / (excesses.size + SHRINK_PEAKS)
            own[name] = weight * many + (1 - weight) * few
    own = {name: limit for name, limit in own.items() if limit > pooled}
    highest = MOST_RISE * pooled
    capped = tuple(sorted(name for name, limit in own.items() if limit > highest))
    own = {name: min(limit, highest) for name, limit in own.items()}
    return _Limits(pooled, own, tail.n_above(pooled) / n_days, capped)


@dataclass(frozen=True)
class _Series:
    """Errors (n_steps,), and the lowest of as many in a row as an incident needs; NaN: unknown."""

    errors: Floats64
    rows: Floats64
    budget: AlarmBudget

    @classmethod
    def of(cls, errors: Floats64, budget: AlarmBudget) -> _Series:
        n, rows = budget.rule.consecutive, np.full(errors.size, np.nan)
        if errors.size >= n:
            rows[n - 1 :] = np.lib.stride_tricks.sliding_window_view(errors, n).min(axis=1)
        return cls(errors, rows, budget)

    def peaks(self, level: float) -> Floats64:
        """Thresholds above the level below which each run of errors above it is an incident."""
        above = np.flatnonzero(self.errors > level)
        if not above.size:
            return np.empty(0)
        starts = cluster_starts(above, self.budget.gap_steps)
        highest = np.maximum.reduceat(self.errors[above], starts)
        row = np.maximum.reduceat(np.nan_to_num(self.rows[above], nan=-np.inf), starts)
        found = np.minimum(row, highest / (1 + self.budget.rule.min_score))
        return found[found > level]


@dataclass(frozen=True)
class _PeakTail:
    """How many peaks are left above a level: `n` above the start, then a Pareto tail."""

    start: float
    n: int
    scale: float
    shape: float

    @classmethod
    def of(cls, excesses: Floats64, start: float) -> _PeakTail:
        scale, shape = generalized_pareto(excesses)
        return cls(start, excesses.size, max(scale, 1e-3 * start, 1e-12), shape)

    def limit(self, wanted: float, n: int | None = None) -> float:
        """The level above which `wanted` peaks are left of `n` above the start."""
        ratio = math.log(max((self.n if n is None else n) / wanted, 1.0))
        above = math.expm1(self.shape * ratio) / self.shape if self.shape else ratio
        return self.start + self.scale * above

    def n_above(self, level: float) -> float:
        """How many peaks are left above a level."""
        excess = max(level - self.start, 0.0) / self.scale
        log_share = -math.log1p(self.shape * excess) / self.shape if self.shape else -excess
        return float(self.n * math.exp(log_share))
