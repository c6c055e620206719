"""An alarm with a state: easy to hold, hard to enter, left for good when a regime has come to stay.

The threshold is a fold over stored errors: the limit while normal, and in an alarm lower, relative
to how high the alarm was so far. Errors persist by themselves (`held_error`), so that a flag, error
over threshold, is the alarm's state at that step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsad_tasks.base.arrays import Arrays, Flags, Floats32, Ints


@dataclass(frozen=True)
class HysteresisRule:
    """When an alarm begins and ends; times in readings.

    Attributes
    ----------
    limit : an error above it begins an alarm.
    leave, leave_share : it ends at an error of at most `leave`, or this share of the alarm's median
        error if higher.
    longest : after so many readings the new regime is accepted.
    recent : it also ends when most of so many last readings were not above the limit.
    fresh : it also ends when none of so many last readings was: what is held needs fresh evidence.
        0: it does not.
    """

    limit: float = 5.0
    leave: float = 2.5
    leave_share: float = 0.55
    longest: int = 600
    recent: int = 90
    fresh: int = 0


def no_alarm(n_entities: int, rule: HysteresisRule) -> Arrays:
    """State of entities that are normal; first axis the entity.

    >>> no_alarm(2, HysteresisRule())["errors"].shape
    (2, 600)
    """
    return {
        "alarm": np.zeros(n_entities, np.bool_),
        "n": np.zeros(n_entities, np.int32),
        "errors": np.zeros((n_entities, rule.longest), np.float32),
    }


def held_error(alarm: Flags, last: Floats32) -> Floats32:
    """The lower of the last two deviations while normal, the highest of three in an alarm.

    `alarm` is (n_rows,), `last` (n_rows, 3), newest last.

    >>> held_error(np.array([False, True]), np.array([[9, 7, 8], [9, 7, 8]], np.float32)).tolist()
    [7.0, 9.0]
    """
    return np.asarray(np.where(alarm, last.max(axis=1), last[:, 1:].min(axis=1)))


def hysteresis_step(state: Arrays, rows: Ints, errors: Floats32, rule: HysteresisRule) -> Floats32:
    """Threshold (n_rows,) of one error per row, which then begins, keeps or ends the alarm.

    The state of `no_alarm` is changed in place; `rows` are the entities, each once.

    >>> rule = HysteresisRule(limit=5.0, leave=2.0, leave_share=0.5)
    >>> state, one = no_alarm(1, rule), np.array([0])
    >>> errors = np.array([[4], [8], [6], [3], [3]], np.float32)
    >>> [hysteresis_step(state, one, error, rule).item() for error in errors]
    [5.0, 5.0, 4.0, 3.0, 5.0]
    """
    threshold = np.full(len(rows), rule.limit, np.float32)
    held = state["alarm"][rows]
    if held.any():
        n, so_far = state["n"][rows[held]], state["errors"][rows[held]]
        known = np.where(np.arange(rule.longest) < n[:, None], so_far, np.float32(np.inf))
        median = np.take_along_axis(np.sort(known, axis=1), ((n - 1) // 2)[:, None], axis=1)[:, 0]
        leave_share = np.float32(rule.leave_share)
        threshold[held] = np.maximum(np.float32(rule.leave), median * leave_share)
    flagged = errors > threshold
    alarmed = rows[flagged]
    n = state["n"][alarmed]
    state["alarm"][alarmed] = True
    state["errors"][alarmed, n] = errors[flagged]
    state["n"][alarmed] = n + 1
    _release(state, alarmed[_ends(state, alarmed, rule)])
    _release(state, rows[held & ~flagged])
    return threshold


def _ends(state: Arrays, rows: Ints, rule: HysteresisRule) -> Flags:
    """Whether alarms end after this reading, (n_rows,), whatever comes next."""
    n = state["n"][rows]
    ends: Flags = n >= rule.longest
    for width, most in ((rule.recent, rule.recent // 2 + 1), (rule.fresh, rule.fresh)):
        long = np.flatnonzero(n >= width) if width else np.empty(0, np.int64)
        if long.size:
            last = n[long, None] - 1 - np.arange(width)
            is_low = state["errors"][rows[long, None], last] <= rule.limit
            ends[long] |= np.count_nonzero(is_low, axis=1) >= most
    return ends


def _release(state: Arrays, rows: Ints) -> None:
    state["alarm"][rows], state["n"][rows], state["errors"][rows] = False, 0, 0


def hysteresis_thresholds(
    state: Arrays, errors: Floats32, rule: HysteresisRule
) -> tuple[Arrays, Floats32]:
    """State after errors (n_entities, n_steps), as stored, and the threshold of each step.

    Unknown errors (NaN) change nothing and get the limit. The given state stays as it is.

    >>> errors = np.array([[4, 8, 6, np.nan, 4.5]], np.float32)
    >>> rule = HysteresisRule(leave_share=0.5)
    >>> hysteresis_thresholds(no_alarm(1, rule), errors, rule)[1].tolist()
    [[5.0, 5.0, 4.0, 5.0, 3.0]]
    """
    after = {name: array.copy() for name, array in state.items()}
    thresholds = np.full(errors.shape, rule.limit, np.float32)
    for i in range(errors.shape[1]):
        rows = np.flatnonzero(np.isfinite(errors[:, i]))
        if rows.size:
            thresholds[rows, i] = hysteresis_step(after, rows, errors[rows, i], rule)
    return after, thresholds
