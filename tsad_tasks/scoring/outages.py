"""Which incidents of a channel of events are outages, and how many events are usual there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tsad_tasks.base.arrays import Floats64
from tsad_tasks.model.features import counts_within

# Fewer events than these a step: that there are none says little.
_MIN_USUAL = 2.0
# Of a normal distribution, so many standard deviations to either side hold 95 %.
_HALF_WIDTH = 1.96


class UsualCount(NamedTuple):
    """Events in a step, and by how many more or fewer they differ: what chance alone does."""

    expected: float
    spread: float


def usual_count(before: Floats64) -> UsualCount | None:
    """What is usual by the readings (n_steps,) before an outage, NaN unknown; None: too few.

    >>> usual_count(np.array([27.0, 25.0, np.nan, 24.0, 0.0]))
    UsualCount(expected=25.0, spread=9.9)
    >>> usual_count(np.array([0.0, 0.0]))
    """
    known = before[np.isfinite(before)]
    # The outage may have begun before its first flag.
    known = known[: int(np.flatnonzero(known)[-1]) + 1] if known.any() else known[:0]
    middle = float(np.median(known)) if known.size else 0.0
    if middle < _MIN_USUAL:
        return None
    spread = counts_within(np.array([middle]), np.array([_HALF_WIDTH]))
    return UsualCount(middle, round(float(spread[0]), 1))


def may_be_outage(actual: Floats64) -> bool:
    """Numbers of events (n_flags,) begin with none, after a step at most, or most are none.

    >>> may_be_outage(np.array([9.0, 0.0, 30.0, 30.0])), may_be_outage(np.array([30.0, 30.0, 0.0]))
    (True, False)
    """
    is_none = actual == 0
    return bool(is_none[:2].any() or 2 * np.count_nonzero(is_none) > is_none.size)


def outage_flag(actual: Floats64, expected: Floats64, usual: UsualCount) -> int | None:
    """The flag without events where most were expected; None: more events came than were missing.

    Parameters
    ----------
    actual, expected : (n_flags,) events of the flagged steps.

    >>> usual = UsualCount(25.0, 9.9)
    >>> outage_flag(np.array([0.0, 0.0, 0.0, 60.0]), np.array([19.0, 20.0, 0.2, 9.0]), usual)
    1
    >>> outage_flag(np.array([0.0, 400.0]), np.array([25.0, 25.0]), usual)
    """
    none = np.flatnonzero(actual == 0)
    n_more = np.maximum(actual - usual.expected, 0).sum()
    if not none.size or n_more > none.size * usual.expected:
        return None
    return int(none[np.argmax(np.nan_to_num(expected[none], nan=-np.inf))])
