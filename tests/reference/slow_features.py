"""Features of one channel, one step at a time; NaN is unknown."""

from __future__ import annotations

import math
from collections.abc import Sequence


def slow_held(values: Sequence[float], hold_steps: int) -> list[float]:
    """The youngest known value that is at most `hold_steps` old."""
    return [
        next(
            (
                value
                for value in values[max(0, t - hold_steps) : t + 1][::-1]
                if math.isfinite(value)
            ),
            math.nan,
        )
        for t in range(len(values))
    ]


def slow_rolling_mean(values: Sequence[float], width: int) -> list[float]:
    """Mean of the known ones of the last `width` values, where half of them are known."""
    means = []
    for t in range(len(values)):
        known = [value for value in values[max(0, t - width + 1) : t + 1] if math.isfinite(value)]
        enough = t >= width - 1 and 2 * len(known) >= width
        means.append(math.fsum(known) / len(known) if enough and known else math.nan)
    return means


def slow_running(on: Sequence[bool | None], grace_steps: int) -> list[int]:
    """Code of each step; None is unknown."""
    return [_state(on[max(0, t - grace_steps) : t], on[t]) for t in range(len(on))]


def _state(before: Sequence[bool | None], now: bool | None) -> int:
    if now is None:
        return 5
    if not now:
        return 3
    return 4 if False in before else 0
