"""When an event is worth an alarm: rarer than earlier events, and no repetition of an alarm.

A threshold rises with the number of earlier events that were as high ("ranked", a fold of fixed
size); flags that begin an alarm are chosen by a refractory time, broken by an escalation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsad_tasks.base.arrays import Arrays, Floats32, Ints

# Peaks of earlier events that are remembered; at one a day that is years.
N_PEAKS = 1000


@dataclass(frozen=True)
class RankRule:
    """How a threshold rises with what was seen before, errors in nats, times in grid steps.

    Attributes
    ----------
    limit : threshold of an error that no earlier event reached.
    penalty : factor of ln(1 + number of earlier events at least as high).
    event_error : errors above it form events.
    event_gap : steps after its last such error at which an event is over.
    memory : steps after which an event that is over no longer counts; 0: it counts for good.
    """

    limit: float = 3.7
    penalty: float = 0.5
    event_error: float = 2.0
    event_gap: int = 75
    memory: int = 0


@dataclass(frozen=True)
class AlarmRule:
    """A flag within `refractory_s` of an alarm begins none, unless higher by `escalation`."""

    refractory_s: int
    escalation: float = 2.0


def no_events(n_entities: int, rule: RankRule | None = None) -> Arrays:
    """State of entities without any event; first axis the entity. A rule that forgets needs more.

    >>> no_events(2)["peaks"].shape
    (2, 1000)
    """
    state: Arrays = {
        "peak": np.zeros(n_entities, np.float32),
        "since": np.zeros(n_entities, np.int32),
        "peaks": np.zeros((n_entities, N_PEAKS), np.float32),
        "n_peaks": np.zeros(n_entities, np.int64),
    }
    if rule is not None and rule.memory:
        state["n_steps"] = np.zeros(n_entities, np.int64)
        state["n_forgotten"] = np.zeros(n_entities, np.int64)
        state["over_at"] = np.zeros((n_entities, N_PEAKS), np.int64)
    return state


def ranked_thresholds(state: Arrays, errors: Floats32, rule: RankRule) -> tuple[Arrays, Floats32]:
    """State after errors (n_entities, n_steps), as stored, and the threshold of each step.

    limit + penalty × ln(1 + number of closed earlier events whose peak was at least this error), of
    those that the rule still remembers: what comes back after years is news. Unknown errors (NaN)
    let time pass and get the limit. The given state stays as it is.

    >>> rule = RankRule(limit=3.0, penalty=1.0, event_gap=2)
    >>> errors = np.array([[9, 0, 0, 8, 0, 0, 10]], np.float32)
    >>> ranked_thresholds(no_events(1), errors, rule)[1].astype(float).round(1).tolist()
    [[3.0, 3.0, 3.7, 3.7, 3.7, 4.1, 3.0]]
    >>> rule = RankRule(limit=3.0, penalty=1.0, event_gap=2, memory=2)
    >>> ranked_thresholds(no_events(1, rule), errors, rule)[1].astype(float).round(1).tolist()
    [[3.0, 3.0, 3.7, 3.7, 3.7, 3.7, 3.0]]
    """
    after = {name: array.copy() for name, array in state.items()}
    thresholds = np.full(errors.shape, rule.limit, np.float32)
    for i in range(errors.shape[1]):
        error = np.where(np.isfinite(errors[:, i]), errors[:, i], np.float32(0))
        after["since"] += 1
        over = np.flatnonzero((after["peak"] > 0) & (after["since"] >= rule.event_gap))
        if rule.memory:
            _forget(after, over, rule.memory)
        after["peaks"][over, after["n_peaks"][over] % N_PEAKS] = after["peak"][over]
        after["n_peaks"][over] += 1
        after["peak"][over] = 0
        high = error > rule.event_error
        after["peak"][high] = np.maximum(after["peak"], error)[high]
        after["since"][high] = 0
        least = np.maximum(error, np.float32(1e-30))[:, None]
        n_higher = np.count_nonzero(after["peaks"] >= least, axis=1)
        thresholds[:, i] = rule.limit + rule.penalty * np.log1p(n_higher)
    return after, np.where(np.isfinite(errors), thresholds, np.float32(rule.limit))


def _forget(state: Arrays, over: Ints, memory: int) -> None:
    """Let a step pass, in which the events of `over` end, and old ones are forgotten.

    Events end at least a gap apart, so that one a step is enough.
    """
    state["n_steps"] += 1
    state["over_at"][over, state["n_peaks"][over] % N_PEAKS] = state["n_steps"][over]
    first = np.maximum(state["n_forgotten"], state["n_peaks"] - N_PEAKS)
    rows = np.arange(len(first))
    age = state["n_steps"] - state["over_at"][rows, first % N_PEAKS]
    due = rows[(first < state["n_peaks"]) & (age > memory)]
    state["peaks"][due, first[due] % N_PEAKS] = 0
    first[due] += 1
    state["n_forgotten"][...] = first


def alarm_starts(times_s: Ints, errors: Floats32, rule: AlarmRule) -> list[int]:
    """Positions of the flags of one entity that begin an alarm, ascending, of all its flags.

    The first one does; then each that comes more than `refractory_s` after the last alarm, or whose
    error is at least `escalation` above all since then. A pause of more than `refractory_s` between
    flags starts afresh: whole chains of flags (`incidents.connected_range`) are enough to know.

    >>> errors = np.array([4, 5, 9, 4], np.float32)
    >>> alarm_starts(np.array([0, 60, 120, 900]), errors, AlarmRule(refractory_s=600))
    [0, 2, 3]
    """
    starts: list[int] = []
    began, highest = -(2**62), 0.0
    for position, (time_s, error) in enumerate(zip(times_s.tolist(), errors.tolist(), strict=True)):
        if time_s - began > rule.refractory_s or error >= highest + rule.escalation:
            starts.append(position)
            began, highest = time_s, error
        highest = max(highest, error)
    return starts
