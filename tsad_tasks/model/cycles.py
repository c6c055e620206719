"""Channels beside a cycle of their own that is no day: a stroke, a batch, a heartbeat.

A cycle is a shape of readings over phases. Where in it a channel is, its last readings say: of each
phase it is known how far it missed them, on average over a part of a cycle and over some cycles.
Of both a channel keeps its phase until another one misses by much less, and whichever of the two
comes nearer is expected: after a stop the quick one is right soon, after a fault the slow one
still. All is a fold, element by element: the same to the bit however readings are cut.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tsad_tasks.base.arrays import Arrays, Flags, Floats32, Floats64, Ints

N_PHASES = 128
# So many channels of a unit have a cycle at most.
MOST_CYCLES = 8
# What missed readings is forgotten within, in cycles, quick and slow, and in steps at least.
REMEMBERED, LEAST_STEPS = (0.25, 2.0), 4
# Another phase is right where it misses by less than so much of what the present one does.
SWITCH = np.array([[[0.5], [0.8]]], np.float32)
# What a phase misses one reading by counts as far as this, in spreads.
MISSED = np.float32(3.0)
# A cycle is lost after so many cycles, or what a new regime takes, that are so much unlike it.
LOST_CYCLES, UNLIKE = 6, 3.0
_NEXT = np.array([0, 1, -1])
_CELLS = 1 << 20
CYCLE = ("cycle", "cycle_steps", "cycle_reach", "cycle_off", "cycle_share")
_PHASES = ("turned", "phase", "missed", "off", "astray")


def n_cycles(n_channels: int) -> int:
    """For how many cycles a unit has room.

    >>> n_cycles(3), n_cycles(17)
    (3, 8)
    """
    return min(n_channels, MOST_CYCLES)


def no_cycles(n_units: int, n_channels: int) -> Arrays:
    """Cycles of units that have none; first axis the unit, second the cycle.

    `cycle_of` is the channel, -1 where there is none; `cycle_steps` how long the cycle is; `cycle`
    its shape; `cycle_reach` by how many phases readings may be early or late; `cycle_off` how far
    from it readings are on average; `cycle_share` how much less they deviate from it than from the
    calendar.

    >>> no_cycles(2, 3)["cycle"].shape
    (2, 3, 128)
    """
    shape = n_units, n_cycles(n_channels)
    return {
        "cycle_of": np.full(shape, -1, np.int16),
        "cycle_steps": np.ones(shape),
        "cycle": np.zeros((*shape, N_PHASES), np.float32),
        "cycle_reach": np.ones(shape, np.int16),
        "cycle_off": np.ones(shape, np.float32),
        "cycle_share": np.ones(shape, np.float32),
    }


def no_phases(n_units: int, n_channels: int) -> Arrays:
    """Where units are in their cycles, before any reading.

    `turned` are phases that have passed, `phase` how far the channel is beside that, quick and
    slow; `missed` by how much each phase missed the last readings; `off` how far readings were from
    what was expected, over a cycle; `astray` for how many steps that is unlike the cycle.

    >>> no_phases(2, 3)["missed"].shape
    (2, 3, 2, 128)
    """
    shape = n_units, n_cycles(n_channels)
    return {
        "turned": np.zeros(shape),
        "phase": np.zeros((*shape, 2), np.int16),
        "missed": np.zeros((*shape, 2, N_PHASES), np.float32),
        "off": np.zeros(shape, np.float32),
        "astray": np.zeros(shape, np.int32),
    }


class Cycle(NamedTuple):
    """What is known of cycles; first axis the cycle."""

    shape: Floats32
    steps: Floats64
    reach: Ints
    off: Floats32
    share: Floats32


def cycled(model: Arrays, averages: Arrays, away: Floats64, patience: int) -> Floats64 | None:
    """What cycles let expect of readings beside the calendar (n_units, n_steps, n_channels), 0 of
    channels without one; phases join the averages. None: no channel has one.

    A cycle that is lost explains nothing: readings then count by so much less as they deviated from
    the calendar by more.

    >>> model, averages = no_cycles(1, 1), no_phases(1, 1)
    >>> cycled(model, averages, np.zeros((1, 5, 1)), 60)
    """
    # Models from before that was learned.
    if "cycle_of" not in model or not (model["cycle_of"] >= 0).any():
        return None
    unit, of = np.nonzero(model["cycle_of"] >= 0)
    channel = model["cycle_of"][unit, of]
    cycle = Cycle(*(model[name][unit, of] for name in CYCLE))
    phases = {name: averages[name][unit, of] for name in _PHASES}
    found = np.zeros(away.shape)
    found[unit, :, channel] = followed(cycle, phases, away[unit, :, channel], patience).expected
    for name, array in phases.items():
        averages[name][unit, of] = array
    return found


class Followed(NamedTuple):
    """Of readings (n, n_steps): what their cycles let expect, and at which phases they were, quick
    and slow, (n, n_steps, 2).
    """

    expected: Floats64
    at: Floats64


def followed(cycle: Cycle, phases: Arrays, away: Floats64, patience: int) -> Followed:
    """What is expected of readings (n, n_steps) that follow cycles, each from those before it.

    They join `phases`, those of `no_phases` without the axis of units.

    >>> model = no_cycles(1, 1) | {"cycle_steps": np.array([[8.0]])}
    >>> model["cycle"][0, 0] = np.sin(2 * np.pi * np.arange(128) / 128)
    >>> cycle = Cycle(*(model[name][0] for name in CYCLE))
    >>> phases = {name: part[0] for name, part in no_phases(1, 1).items()}
    >>> found = followed(cycle, phases, np.sin(2 * np.pi * np.arange(3) / 8)[None], 60)
    >>> found.expected.round(2).tolist(), found.at[0, :, 0].tolist()
    ([[0.0, 0.71, 1.0]], [0.0, 16.0, 32.0])
    """
    n, n_steps = away.shape
    together = max(1, _CELLS // (max(n, 1) * N_PHASES))
    parts = [
        _stretch(cycle, phases, away[:, first : first + together], patience)
        for first in range(0, n_steps, together)
    ]
    if not parts:
        return Followed(np.zeros((n, 0)), np.zeros((n, 0, 2)))
    return Followed(*(np.concatenate(part, axis=1) for part in zip(*parts, strict=True)))


def _stretch(cycle: Cycle, phases: Arrays, away: Floats64, patience: int) -> Followed:
    known, turned = np.isfinite(away), _turned(cycle, phases, away.shape[1])
    value = np.where(known, away, 0.0).astype(np.float32)
    misses = np.minimum(np.abs(value[..., None] - _drawn(cycle.shape, turned)), MISSED)
    at = (turned[..., None] + _held(cycle, phases, misses, known)) % N_PHASES
    expected = nearest(cycle, at, value, known)
    lost = _lost(cycle, phases, value - expected, known, patience)
    expected = np.where(lost & known, value * (1 - cycle.share[:, None]), expected)
    return Followed(expected.astype(np.float64), at)


def _turned(cycle: Cycle, phases: Arrays, n_steps: int) -> Floats64:
    """Phases that have passed at each step, (n, n_steps)."""
    found, pace = np.empty((len(cycle.steps), n_steps)), N_PHASES / cycle.steps
    turned = phases["turned"]
    for t in range(n_steps):
        found[:, t] = turned
        turned = (turned + pace) % N_PHASES
    phases["turned"] = turned
    return found


def _drawn(shape: Floats32, turned: Floats64) -> Floats32:
    """Readings of each phase beside what has passed, (n, n_steps, phase)."""
    whole = np.floor(turned)
    part = (turned - whole).astype(np.float32)[..., None]
    at = (whole.astype(np.int64)[..., None] + np.arange(N_PHASES + 1)) % N_PHASES
    found = np.take_along_axis(shape[:, None], at, axis=2)
    return np.asarray((1 - part) * found[..., :-1] + part * found[..., 1:])


def _held(cycle: Cycle, phases: Arrays, misses: Floats32, known: Flags) -> Ints:
    """The phase before each reading, quick and slow, (n, n_steps, 2)."""
    memory = np.maximum(np.array(REMEMBERED) * cycle.steps[:, None], LEAST_STEPS)
    gains = (1 / memory).astype(np.float32)[..., None]
    missed, phase = phases["missed"], phases["phase"].astype(np.int64)
    found = np.empty((*known.shape, 2), np.int64)
    for t in range(known.shape[1]):
        found[:, t] = phase
        moving = gains * known[:, t, None, None]
        missed = missed + moving * (misses[:, t, None] - missed)
        beside = (phase[..., None] + _NEXT) % N_PHASES
        of_these = np.take_along_axis(missed, beside, axis=2)
        near = of_these.argmin(axis=2)[..., None]
        best = missed.argmin(axis=2)[..., None]
        is_far = np.take_along_axis(missed, best, axis=2) < SWITCH * of_these.min(
            axis=2, keepdims=True
        )
        phase = np.where(is_far, best, np.take_along_axis(beside, near, axis=2))[..., 0]
    phases["missed"], phases["phase"] = missed, phase.astype(np.int16)
    return found


def nearest(cycle: Cycle, at: Floats64, value: Floats32, known: Flags) -> Floats32:
    """Of what is expected at both phases, as early or late as readings may be, what is nearest.

    >>> model = no_cycles(1, 1)
    >>> model["cycle"][0, 0, 32] = 5
    >>> cycle = Cycle(*(model[name][0] for name in CYCLE))
    >>> value, known = np.array([[4.0, 9.0]], np.float32), np.array([[True, False]])
    >>> nearest(cycle, np.full((1, 2, 2), 31.0), value, known).tolist()
    [[4.0, 0.0]]
    """
    rows, phase = np.arange(len(at))[:, None, None], at.astype(np.int64)
    lows, highs = _reached(cycle)
    near = np.clip(value[..., None], lows[rows, phase], highs[rows, phase])
    quick, slow = near[..., 0], near[..., 1]
    found = np.where(np.abs(value - quick) < np.abs(value - slow), quick, slow)
    part, after = (at - phase).astype(np.float32), (phase + 1) % N_PHASES
    drawn = (1 - part) * cycle.shape[rows, phase] + part * cycle.shape[rows, after]
    return np.asarray(np.where(known, found, drawn[..., 1]))


def _reached(cycle: Cycle) -> tuple[Floats32, Floats32]:
    """Lowest and highest readings from each phase to the next, and as far beyond as is reached."""
    lows = highs = cycle.shape
    for step in range(-int(cycle.reach.max()), int(cycle.reach.max()) + 2):
        is_near = ((-cycle.reach <= step) & (step <= cycle.reach + 1))[:, None]
        beside = np.where(is_near, np.roll(cycle.shape, -step, axis=1), cycle.shape)
        lows, highs = np.minimum(lows, beside), np.maximum(highs, beside)
    return lows, highs


def _lost(cycle: Cycle, phases: Arrays, left: Floats32, known: Flags, patience: int) -> Flags:
    """Whether readings have been unlike their cycle for long, (n, n_steps)."""
    gains = (1 / np.maximum(cycle.steps, LEAST_STEPS)).astype(np.float32)
    most, size = np.float32(UNLIKE) * cycle.off, np.minimum(np.abs(left), MISSED)
    least = np.maximum(patience, LOST_CYCLES * cycle.steps)
    found, off, astray = np.empty(known.shape, np.bool_), phases["off"], phases["astray"]
    for t in range(known.shape[1]):
        off = off + gains * known[:, t] * (size[:, t] - off)
        astray = np.where(known[:, t], np.where(off > most, astray + 1, 0), astray)
        found[:, t] = astray > least
    phases["off"], phases["astray"] = (
        off,
        np.minimum(astray, np.iinfo(np.int32).max // 2).astype(np.int32),
    )
    return found
