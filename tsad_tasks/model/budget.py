"""Thresholds from an alarm budget: how many incidents a day there may be while nothing is wrong.

Held-out readings say how many there are at low thresholds, an extreme-value tail of their peaks how
few are left at a higher one. Incidents are counted, not flags: neighbours belong together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
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
UNLIKELY, MIN_OWN_PEAKS = 4.0, 20
_DAY_S = 86400


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
    """

    pooled: Calibration
    own: Mapping[str, Calibration]
    incidents_per_day: float


def budget_limits(
    errors: Mapping[str, Floats32],
    judged_steps: Mapping[str, int],
    settings: ThresholdSettings,
    budget: AlarmBudget,
) -> BudgetLimits:
    """Limits by which held-out readings would have raised half as many incidents as allowed.

    Single errors and moving averages get half of it each, where there are moving averages.

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
    days = {name: n * budget.step_s / _DAY_S for name, n in judged_steps.items()}
    pooled = calibrate(np.concatenate(list(errors.values())), settings=settings)
    n_kinds = 2 if settings.collective_width else 1
    point = _limits_of(errors, days, budget, budget.aim / n_kinds)
    if n_kinds == 1:
        return _joined(pooled, point, None, budget)
    lasting = {}
    for name, part in errors.items():
        capped_at = Calibration(0.0, 0.0, point.limit(name), 0.0, 0.0, point.limit(name), 0)
        lasting[name] = lasting_errors(part, collective_series(part, capped_at, settings))
    collective = _limits_of(lasting, days, budget, budget.aim / n_kinds)
    # One error alone, however large, must not lift the moving average over its limit.
    capped = COLLECTIVE_CAP * point.pooled - pooled.mean
    lowest = min(pooled.mean + capped / settings.collective_width, point.pooled)
    raised = replace(collective, pooled=max(collective.pooled, lowest))
    return _joined(pooled, point, raised, budget)


@dataclass(frozen=True)
class _Limits:
    """Limits of one kind of error, and incidents per entity and day expected at the pooled one."""

    pooled: float
    own: Mapping[str, float]
    rate: float

    def limit(self, name: str) -> float:
        return stored_limit(max(self.pooled, self.own.get(name, 0.0)))


def _joined(
    pooled: Calibration, point: _Limits, collective: _Limits | None, budget: AlarmBudget
) -> BudgetLimits:
    lasting = point if collective is None else collective
    own = {
        name: replace(pooled, limit=point.limit(name), collective_limit=lasting.limit(name))
        for name in sorted(set(point.own) | set(lasting.own))
    }
    rate = point.rate + (0.0 if collective is None else collective.rate)
    common = replace(pooled, limit=point.limit(""), collective_limit=lasting.limit(""))
    return BudgetLimits(common, own, float(f"{rate * budget.n_entities:.6g}"))


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
            few = excesses.size < MIN_OWN_PEAKS
            its = tail if few else _PeakTail.of(excesses, tail.start)
            own[name] = its.limit(wanted * share, excesses.size)
    own = {name: limit for name, limit in own.items() if limit > pooled}
    return _Limits(pooled, own, tail.n_above(pooled) / n_days)


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
