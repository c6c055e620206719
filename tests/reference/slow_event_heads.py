"""Surprise among all past errors, ranked thresholds, hysteresis: everything remembered, one number
at a time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median_low

import numpy as np

from tsad_tasks.model.event_rule import RankRule
from tsad_tasks.model.hysteresis import HysteresisRule


def slow_surprises(errors: Sequence[float]) -> list[float]:
    """Surprise of each error among all before it; ties count half."""
    found, quantile, excess = [], 0.0, 1.0
    for n, error in enumerate(errors):
        past = sorted(errors[:n])
        if n >= 50 and n % 25 == 0:
            quantile, excess = _tail(past)
        below = sum(each < error for each in past) + 0.5 * sum(each == error for each in past)
        body = min(-math.log(max(1 - below / (n + 1), 1e-9)), -math.log(0.02))
        surprise = -math.log(0.02) + (error - quantile) / excess if error > quantile else body
        found.append(min(surprise, 50.0) if n >= 50 else 0.0)
    return found


def _tail(past: Sequence[float]) -> tuple[float, float]:
    quantile = past[math.floor(0.98 * (len(past) - 1))]
    above = [each - quantile for each in past if each > quantile]
    mean = sum(above) / len(above) if above else 0.0
    return quantile, max(mean, 1e-3 * (past[-1] - past[0]), 1e-9 * max(1.0, quantile))


def slow_ranked_thresholds(errors: Sequence[float], rule: RankRule) -> list[float]:
    """Threshold of each step from all events that were over before it."""
    found = []
    for n, error in enumerate(errors):
        high = [i for i in range(n) if errors[i] > rule.event_error]
        events: list[list[int]] = []
        for i in high:
            if events and i - events[-1][-1] < rule.event_gap:
                events[-1].append(i)
            else:
                events.append([i])
        over_for = [n - event[-1] - rule.event_gap for event in events]
        peaks = [
            max(errors[i] for i in event)
            for event, since in zip(events, over_for, strict=True)
            if since >= 0 and (not rule.memory or since <= rule.memory)
        ]
        n_higher = sum(peak >= error for peak in peaks)
        known = math.isfinite(error)
        found.append(
            float(
                np.float32(rule.limit + rule.penalty * math.log1p(n_higher))
                if known
                else rule.limit
            )
        )
    return found


def slow_flags(errors: Sequence[float], rule: HysteresisRule) -> list[bool]:
    """Whether each step is in an alarm."""
    alarm: list[float] = []
    found = []
    for error in errors:
        limit = max(rule.leave, rule.leave_share * median_low(alarm)) if alarm else rule.limit
        alarm = [*alarm, error] if error > limit else []
        found.append(bool(alarm))
        low = sum(each <= rule.limit for each in alarm[-rule.recent :])
        stale = rule.fresh and len(alarm) >= rule.fresh and max(alarm[-rule.fresh :]) <= rule.limit
        many = len(alarm) >= rule.recent and 2 * low > rule.recent
        if len(alarm) >= rule.longest or many or stale:
            alarm = []
    return found
