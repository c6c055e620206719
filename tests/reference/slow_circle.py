"""The obvious way to average directions: as points on the circle, one after another."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence

CANCELS_BELOW = 0.1


def slow_mean(
    values: Sequence[float], period: float, start: float, weights: Sequence[float]
) -> float:
    """Circular mean in [start, start + period); NaN where nothing is known or directions cancel."""
    known = [(v, w) for v, w in zip(values, weights, strict=True) if not math.isnan(v)]
    if not known:
        return math.nan
    points = [w * cmath.exp(2j * math.pi * v / period) for v, w in known]
    middle = sum(points) / sum(w for _, w in known)
    if abs(middle) < CANCELS_BELOW:
        return math.nan
    turn = cmath.phase(middle) / (2 * math.pi) * period
    return start + (turn - start) % period


def apart(one: float, other: float, period: float) -> float:
    """How far two directions are from each other, the shorter way; NaN where one is none."""
    way = abs(one - other) % period
    return min(way, period - way)
