"""What units learn of their channels' own cycles: the shapes of `model.cycles`.

A channel has one where readings a cycle apart are alike, and where what the cycle expects of parts
that its shape has not seen leaves much less of them than the calendar does, of the usual ones and
of the highest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from tsad_tasks.base.arrays import Arrays, Floats32, Floats64, Ints
from tsad_tasks.model.calendar_profile import DAY_MINUTES, SLOT_MINUTES, WEEK_MINUTES
from tsad_tasks.model.cycles import (
    CYCLE,
    MISSED,
    N_PHASES,
    Cycle,
    followed,
    n_cycles,
    nearest,
    no_phases,
)

# Correlation of readings a cycle apart: at least, of the best of all lengths, and above the lowest
# of shorter ones.
ALIKE, OF_BEST, DIP = 0.5, 0.8, 0.2
# A cycle is seen so often at least, and has so many steps.
LEAST_CYCLES, LEAST_STEPS = 10, 8
# Within a day, what is within so much of whole half hours is the calendar's, of which the edges of
# half hours leave something.
SLOTS_NEAR = 0.005
# Half of the rows are in stretches of so many cycles at least, without a pause of more than so much
# of one: the shifts of a machine, laid end to end, are no cycle.
IN_A_ROW, PAUSE = 3, 1 / 8
# Values count as far as so many standard deviations.
COUNTED = 4.0
# What the cycle may leave of usual and of high deviations.
LEFT, LEFT_HIGH, HIGH = 0.6, 0.8, 0.99
# A shape begins as the best of so many cycles, by what it misses of the first ones, and is drawn
# anew so often from so many cycles of each part.
TRIED, BY_CYCLES, TIMES, CYCLES_OF_PART = 8, 12, 3, 40
# Readings are early or late by a step or so many times that, and so much of a cycle; the least is
# taken by which those that the most of it explains are off by little more than then, in parts
# that are not off by more than so many times as much as others.
REACHES, MOST_REACH, LITTLE = (1, 2, 3, 4, 6, 8, 12, 16), 1 / 8, 4.0
LITTLE_OFF = 2.0
# Phases are found in the first cycles, and then once more; after the rows by the last ones.
FOUND_IN, LAST = 2.0, 8.0
# Of the distances over a cycle so many are usual.
USUAL = 0.9
NEVER = 1 << 30


class _Candidate(NamedTuple):
    """A channel of a unit that may have a cycle, and its rows by part (part, n_rows)."""

    unit: int
    channel: int
    steps: float
    cut: Floats64


def fit_cycles(
    models: Sequence[Arrays],
    averages: Arrays,
    rests: Sequence[Floats64],
    parts: Sequence[Sequence[slice]],
    minutes: Sequence[Ints],
    step_s: int,
) -> None:
    """Learns cycles into models, and takes what they expect from `rests` (n_rows, n_channels),
    which are rows beside the calendar, at minutes (n_rows,) of the week; the averages' phases are
    those after the rows.

    Each part of rows is judged by a shape of the others.

    >>> from tsad_tasks.model.cycles import no_cycles
    >>> rows = np.arange(2000) % 37 + np.random.default_rng(7).normal(0, 1, 2000)
    >>> model, averages, rest = no_cycles(1, 1), no_phases(1, 1), rows[:, None] - 18
    >>> halves = [slice(0, 1000), slice(1000, 2000)]
    >>> fit_cycles([model], averages, [rest], [halves], [np.arange(2000)], 60)
    >>> model["cycle_steps"].tolist(), bool(np.abs(rest).mean() < 1)
    ([[37.0]], True)
    """
    found = [
        _Candidate(unit, channel, steps, _cut(column, its))
        for unit, (rest, its, at) in enumerate(zip(rests, parts, minutes, strict=True))
        for channel, column in enumerate(rest.T)
        if (steps := steps_of_cycle(column)) > 0
        and not _is_of_calendar(steps * step_s)
        and is_in_a_row(at, steps, step_s)
    ]
    if not found:
        return
    shapes = _drawn_shapes(found)
    lengths = np.repeat([one.steps for one in found], [len(one.cut) for one in found])
    made = _followed(_without(shapes), lengths, [one.cut for one in found])
    n_kept = [0] * len(models)
    for one, of_parts, (_, at) in zip(found, shapes, made, strict=True):
        reach, its = _reached(one, of_parts[:-1], at)
        before = one.cut[np.isfinite(one.cut)]
        after = (one.cut - its)[np.isfinite(one.cut)]
        left, high = _left(before, after)
        slot, model = n_kept[one.unit], models[one.unit]
        if left > LEFT or high > LEFT_HIGH or slot == n_cycles(rests[one.unit].shape[1]):
            continue
        n_kept[one.unit] += 1
        model["cycle_of"][0, slot], model["cycle_steps"][0, slot] = one.channel, one.steps
        model["cycle_reach"][0, slot] = reach
        model["cycle"][0, slot], model["cycle_share"][0, slot] = of_parts[-1], high
        model["cycle_off"][0, slot] = _usual_off(after, one.steps)
        column = rests[one.unit][:, one.channel]
        _set_phases(averages, model, one.unit, slot, column)
        for part, of_part in zip(parts[one.unit], its, strict=True):
            column[part] -= of_part[: part.stop - part.start]


def _is_of_calendar(cycle_s: float) -> bool:
    """Whether a cycle is some half hours, a day at most.

    >>> [_is_of_calendar(60 * minutes) for minutes in (30, 37, 360, 1440, 2880)]
    [True, False, True, True, False]
    """
    slots = cycle_s / (60 * SLOT_MINUTES)
    near = abs(slots - round(slots)) <= SLOTS_NEAR * slots
    return near and round(slots) <= DAY_MINUTES // SLOT_MINUTES


def is_in_a_row(minutes: Ints, steps: float, step_s: int) -> bool:
    """Whether rows at minutes (n_rows,) of the week are so close that cycles follow one another.

    >>> whole = np.arange(4000)
    >>> is_in_a_row(whole, 100.0, 60), is_in_a_row(whole[whole % 500 < 150], 100.0, 60)
    (True, False)
    """
    pause_s = 60 * (np.diff(minutes) % WEEK_MINUTES) - step_s
    ends = np.flatnonzero(pause_s > PAUSE * steps * step_s + 60) + 1
    lengths = np.diff(np.concatenate([[0], ends, [len(minutes)]]))
    return bool(2 * lengths[lengths >= IN_A_ROW * steps].sum() >= len(minutes))


def steps_of_cycle(column: Floats64) -> float:
    """Steps after which a column (n_rows,) is much like itself, 0 where there are none.

    >>> steps_of_cycle(np.sin(np.arange(2000) * 2 * np.pi / 12.5)).__round__(2)
    12.5
    >>> steps_of_cycle(np.random.default_rng(7).normal(0, 1, 2000))
    0.0
    """
    alike = _alikeness(column)
    lags = np.arange(LEAST_STEPS, len(alike) - 1)
    if not lags.size:
        return 0.0
    is_peak = (alike[lags] > alike[lags - 1]) & (alike[lags] >= alike[lags + 1])
    deep = alike[lags] - np.minimum.accumulate(alike)[lags] >= DIP
    peaks = lags[is_peak & deep & (alike[lags] >= ALIKE)]
    if not peaks.size:
        return 0.0
    return _refined(alike, int(peaks[alike[peaks] >= OF_BEST * alike[peaks].max()][0]))


def _alikeness(column: Floats64) -> Floats64:
    """Correlation of the column with itself by lag, up to the longest cycle that there may be."""
    known = np.isfinite(column)
    # What is known now and then shows no shape.
    is_enough = 2 * np.count_nonzero(known) >= len(column) > 0
    spread = float(np.std(column[known])) if is_enough else 0.0
    if not spread > 0:
        return np.zeros(0)
    rows = np.where(known, np.clip(column, -COUNTED * spread, COUNTED * spread), 0.0)
    rows = np.where(known, rows - rows[known].mean(), 0.0)
    n, most = len(rows), len(rows) // LEAST_CYCLES
    size = 1 << (2 * n - 1).bit_length()
    found = np.fft.irfft(np.abs(np.fft.rfft(rows, size)) ** 2, size)[: most + 2]
    return np.asarray(found / found[0] * n / (n - np.arange(len(found))))


def _refined(alike: Floats64, lag: int) -> float:
    """The length by how long two, four, … cycles are, as long as these are alike, too."""
    found, times, reach = float(lag), 1, max(1, lag // 4)
    while (near := round(2 * times * found)) + reach < len(alike):
        window = alike[near - reach : near + reach + 1]
        at = near - reach + int(window.argmax())
        if window.max() < ALIKE or abs(at - near) > 2:
            break
        times *= 2
        found = at / times
    return found


def _cut(column: Floats64, parts: Sequence[slice]) -> Floats64:
    found = np.full((len(parts), max(part.stop - part.start for part in parts)), np.nan)
    for row, part in zip(found, parts, strict=True):
        row[: part.stop - part.start] = column[part]
    return found


def _stacked(cuts: Sequence[Floats64]) -> Floats64:
    """Rows below one another, as long as the longest; the rest is unknown."""
    found = np.full((sum(map(len, cuts)), max(cut.shape[1] for cut in cuts)), np.nan)
    first = 0
    for cut in cuts:
        found[first : first + len(cut), : cut.shape[1]] = cut
        first += len(cut)
    return found


def _drawn_shapes(found: Sequence[_Candidate]) -> list[Floats32]:
    """Of each candidate its shape without each of the parts, and of all, (part + 1, phase)."""
    short = [one.cut[:, : round(CYCLES_OF_PART * one.steps)] for one in found]
    shapes = [
        np.repeat(first, len(one.cut) + 1, axis=0)
        for one, first in zip(found, _first_shapes(found), strict=True)
    ]
    steps = np.repeat([one.steps for one in found], [len(one.cut) for one in found])
    for _ in range(TIMES):
        made = _followed(_without(shapes), steps, short)
        shapes = [_shapes(at[..., 1], cut) for (_, at), cut in zip(made, short, strict=True)]
    return shapes


def _without(shapes: Sequence[Floats32]) -> Floats32:
    return np.concatenate([each[:-1] for each in shapes])


def _first_shapes(found: Sequence[_Candidate]) -> list[Floats32]:
    """Of each candidate the cycle (1, phase) that misses least of the first ones."""
    tried, first = list[Floats32](), list[Floats64]()
    for one in found:
        column = one.cut.ravel()[np.isfinite(one.cut.ravel())]
        starts = np.linspace(0, max(0, len(column) - one.steps - 2), TRIED).round()
        at = starts[:, None] + one.steps * np.arange(N_PHASES) / N_PHASES
        tried.append(np.interp(at, np.arange(len(column)), column).astype(np.float32))
        first.append(np.repeat(column[None, : round(BY_CYCLES * one.steps)], TRIED, axis=0))
    steps = np.repeat([one.steps for one in found], TRIED)
    made = _followed(np.concatenate(tried), steps, first)
    kept = []
    for shapes, rows, (its, _) in zip(tried, first, made, strict=True):
        missed = [float(np.mean(np.minimum(one, MISSED))) for one in np.abs(rows - its)]
        kept.append(shapes[[int(np.argmin(missed))]])
    return kept


def _followed(
    shapes: Floats32, steps: Floats64, cuts: Sequence[Floats64]
) -> list[tuple[Floats64, Floats64]]:
    """What shapes (n, phase) expect of the rows of all cuts, and the phases, cut by cut."""
    rows, n, ones = _stacked(cuts), len(steps), np.ones(len(steps), np.float32)
    cycle, phases = Cycle(shapes, steps, _of_a_step(steps), ones, ones), _no_phases(n)
    first = np.where(np.arange(rows.shape[1]) < FOUND_IN * steps[:, None], rows, np.nan)
    followed(cycle, phases, first[:, : math.ceil(FOUND_IN * steps.max())], NEVER)
    phases |= {"turned": np.zeros(n), "phase": phases["missed"].argmin(axis=2)}
    made = followed(cycle, phases, rows, NEVER)
    ends = np.cumsum([0, *map(len, cuts)]).tolist()
    return [
        (made.expected[a:b, : cut.shape[1]], made.at[a:b, : cut.shape[1]])
        for (a, b), cut in zip(pairwise(ends), cuts, strict=True)
    ]


def _of_a_step(steps: Floats64) -> Ints:
    return np.maximum(1, np.round(N_PHASES / steps)).astype(np.int64)


def _reached(one: _Candidate, shapes: Floats32, at: Floats64) -> tuple[int, Floats64]:
    """By how many phases readings may be early or late, and what is expected of them then."""
    known, n = np.isfinite(one.cut), len(one.cut)
    value, ones = np.where(known, one.cut, 0.0).astype(np.float32), np.ones(n, np.float32)
    steps = np.full(n, one.steps)
    least = int(_of_a_step(steps)[0])
    tried = [min(times * least, max(least, int(MOST_REACH * N_PHASES))) for times in REACHES]
    cycles = [Cycle(shapes, steps, np.full(n, reach), ones, ones) for reach in tried]
    made = [nearest(cycle, at, value, known).astype(np.float64) for cycle in cycles]
    sizes = np.stack([np.where(known, np.abs(one.cut - its), 0.0) for its in made])
    most = sizes[-1][known]
    high = LITTLE * max(np.quantile(most, HIGH), np.quantile(sizes[0][known], USUAL))
    more = np.where(sizes[-1] <= high, sizes - sizes[-1], 0.0)
    off = np.minimum(sizes[0], MISSED).mean(axis=1)
    late = more[:, off <= LITTLE_OFF * np.median(off)].max(axis=(1, 2)).tolist()
    best = next(i for i, its in enumerate(late) if its <= high or i == len(late) - 1)
    # Who is late now and then will be later.
    best = min(2 * best, len(tried) - 1)
    return tried[best], made[best]


def _no_phases(n: int) -> Arrays:
    return {name: array[:, 0] for name, array in no_phases(n, 1).items()}


def _left(before: Floats64, after: Floats64) -> tuple[float, float]:
    """What is left of usual and of high deviations, as shares."""
    sizes = np.abs(before), np.abs(after)
    means = [float(np.mean(np.minimum(size, MISSED))) for size in sizes]
    highest = [float(np.quantile(size, HIGH)) for size in sizes]
    return means[1] / means[0], highest[1] / max(highest[0], 1e-9)


def _usual_off(after: Floats64, steps: float) -> float:
    """Mean distance over a cycle, as it usually is at most."""
    length = max(1, round(steps))
    whole = np.minimum(np.abs(after), MISSED)[: len(after) // length * length]
    return float(np.quantile(whole.reshape(-1, length).mean(axis=1), USUAL))


def _set_phases(averages: Arrays, model: Arrays, unit: int, slot: int, column: Floats64) -> None:
    """Where the channel is in its cycle after its rows."""
    phases = _no_phases(1)
    last = column[None, -math.ceil(LAST * model["cycle_steps"][0, slot]) :]
    followed(Cycle(*(model[name][0, [slot]] for name in CYCLE)), phases, last, NEVER)
    for name, array in phases.items():
        averages[name][unit, slot] = array[0]
    averages["phase"][unit, slot] = phases["missed"][0].argmin(axis=1)
    averages["astray"][unit, slot] = 0


def _shapes(phases: Floats64, cut: Floats64) -> Floats32:
    """Of the parts' readings at phases the shape without each of them, and of all."""
    every = range(len(cut))
    without = [[of for of in every if of != part or len(cut) == 1] for part in every]
    return np.stack([_shape(phases[of], cut[of]) for of in [*without, list(every)]])


def _shape(phases: Floats64, rows: Floats64) -> Floats32:
    """Medians of readings by phase, drawn straight over phases without any."""
    known = np.isfinite(rows)
    at = np.round(phases[known]).astype(np.int64) % N_PHASES
    order = np.argsort(at, kind="stable")
    bounds = np.searchsorted(at[order], np.arange(N_PHASES + 1))
    ordered, read = rows[known][order], np.flatnonzero(np.diff(bounds))
    if not read.size:
        return np.zeros(N_PHASES, np.float32)
    medians = [np.median(ordered[bounds[i] : bounds[i + 1]]) for i in read.tolist()]
    return np.interp(np.arange(N_PHASES), read, medians, period=N_PHASES).astype(np.float32)
