"""Thresholds and moving averages, one step at a time, in double precision."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tsad_tasks.model.thresholds import COLLECTIVE_CAP, Calibration, ThresholdSettings


def slow_thresholds(
    errors: Sequence[float], calibration: Calibration, settings: ThresholdSettings
) -> list[float]:
    """Threshold of each step from the errors before it."""
    return [
        _threshold(errors[max(0, t - settings.look_back_steps) : t], calibration, settings)
        for t in range(len(errors))
    ]


def _threshold(
    before: Sequence[float], calibration: Calibration, settings: ThresholdSettings
) -> float:
    usable = [error for error in before if error <= calibration.limit]
    if settings.kind not in ("adaptive", "rolling_percentile") or len(usable) < max(
        settings.min_count, 1
    ):
        return calibration.limit
    if settings.kind == "rolling_percentile":
        return max(_percentile(usable, settings.percentile), settings.floor * calibration.limit)
    mean = sum(usable) / len(usable)
    std = math.sqrt(sum((error - mean) ** 2 for error in usable) / len(usable))
    return min(max(mean + settings.k * std, settings.floor * calibration.limit), calibration.limit)


def _percentile(errors: Sequence[float], percentile: float) -> float:
    """The lowest error that at least so many per cent of the errors are not above."""
    return min(
        error
        for error in errors
        if 100 * sum(other <= error for other in errors) >= percentile * len(errors)
    )


def slow_averages(
    errors: Sequence[float], calibration: Calibration, settings: ThresholdSettings
) -> list[float]:
    """Moving average that ends at each step."""
    width, cap = settings.collective_width, COLLECTIVE_CAP * calibration.limit
    averages = []
    for t in range(len(errors)):
        last = errors[max(0, t - width + 1) : t + 1]
        known = len(last) == width and width and all(math.isfinite(error) for error in last)
        averages.append(sum(min(error, cap) for error in last) / width if known else math.nan)
    return averages
