"""What units learn of their calendar and of their channels: `model.conditional`'s models.

Each unit learns from its own readings alone. Profiles and weights that are judged by have not seen
the stretch that they judge: rows are cut into parts, each of which is left out once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from tsad_tasks.base.arrays import Arrays, Flags, Floats32, Floats64, Ints
from tsad_tasks.model.blocks import BLOCK_S, MIDDLE, block_steps, gumbel_level, gumbel_of
from tsad_tasks.model.calendar_profile import MAD, WEEK_MINUTES, fit_profile
from tsad_tasks.model.conditional import (
    CALENDAR,
    MOVED,
    OTHERS,
    Deviations,
    Pace,
    deviations,
    lasting,
    no_averages,
    no_model,
    residuals,
    standardised,
)
from tsad_tasks.model.cycles_fit import fit_cycles
from tsad_tasks.model.driven import (
    driving,
    fit_driven,
    no_driven_averages,
    no_driven_model,
)
from tsad_tasks.model.sample_size import n_independent, student_factor
from tsad_tasks.model.windows import batches

N_PARTS = 5
RIDGE = 1e-3
# A row counts as a fault where a residual is so many spreads off, and as many rows at most.
FAULT_SPREADS, MOST_FAULTS = 6.0, 0.3
# Inputs lie within the middle 98 % and four times its width beyond.
BEYOND, NORMAL_98 = 4.0, 4.652695748
# Widths are at least so many spreads.
LEAST_WIDTH = 0.01
# Of what one value more or less brings, such as one event, a width has so much at least.
OF_ONE = 0.3
# A statistic's highest in six hours is taken for so many spreads, and values count as far as that.
FEWEST_SPREADS, MOST_SPREADS = 1.0, 4.0
# Six hours in a week.
IN_A_WEEK = 28
ROWS_TOGETHER = 4096
GROWTH_ROWS, GROWTH_QUANTILE, MOST_GROWTH = 4000, 0.95, 30.0


class Learned(NamedTuple):
    """What units have learned; first axis the unit."""

    model: Arrays
    profile: Arrays
    averages: Arrays


def fit_units(
    readings: Sequence[Floats64],
    minutes: Sequence[Ints],
    pace: Pace,
    step_s: int,
    conditions: Sequence[Floats64] | None = None,
) -> Learned:
    """What units learn, each from its own rows (n_rows, n_channels), at least one value in each.

    Together, since a step of all of them costs hardly more than one of one: each comes to what it
    would alone, to the bit. `conditions` of the rows are those of `model.driven`.

    >>> rows, pace = np.random.default_rng(7).normal(20, 2, (2000, 1)), Pace.of([], [], 9, 9, 60)
    >>> learned = fit_units([rows], [np.arange(2000)], pace, 60)
    >>> learned.model["scale"].round().tolist(), learned.profile["known_of_days"].tolist()
    ([[2.0]], [[0]])
    """
    n_units, n_channels = len(readings), readings[0].shape[1]
    model, averages = no_model(n_units, n_channels, pace), no_averages(n_units, n_channels, pace)
    if conditions is not None:
        model |= no_driven_model(n_units, n_channels, conditions[0].shape[1], len(pace.driven))
    # Rows follow one another here, and what a unit lacks at the end is no silence.
    unseen = averages.pop("unseen")
    of_unit = [{name: array[[unit]] for name, array in model.items()} for unit in range(n_units)]
    # Rows that a unit has not are unknown, and move nothing.
    rest = np.full((n_units, max(map(len, readings)), n_channels), np.nan)
    profiles, courses, still = list[Arrays](), list[Arrays](), []
    noises = list[Floats64]()
    for its, mine, rows, at in zip(of_unit, rest, readings, minutes, strict=True):
        _set_scales(its, rows)
        units = standardised(its, rows[None])[0]
        if conditions is not None:
            course, units = _without_driven(its, units, conditions[len(profiles)], at, pace)
            courses.append(course)
        profile, mine[: len(rows)] = fit_profile(units, at, _parts(len(rows)))
        profiles.append(profile)
        still.append(_still(rows))
    beside = [mine[: len(rows)] for mine, rows in zip(rest, readings, strict=True)]
    parts = [_parts(len(rows)) for rows in readings]
    fit_cycles(of_unit, averages, beside, parts, minutes, step_s)
    for its, left, stays in zip(of_unit, beside, still, strict=True):
        its["spread"][0, CALENDAR] = _spreads(left, stays)
    own = deviations(_joined(of_unit), averages, pace, rest, np.zeros(rest.shape))
    knowns = [own.known[unit, : len(rows)] for unit, rows in enumerate(readings)]
    expected = rest
    learning = zip(of_unit, expected, own.features, knowns, still, strict=True)
    for its, mine, features, known, stays in learning:
        n = len(known)
        mine[:n] = found = _set_weights(its, features[:n], known, stays, _parts(n))
        away = np.where(known, features[:n, :, 0], np.nan)
        left = away - found
        its["spread"][0, OTHERS] = _spreads(left, stays)
        noises.append(np.stack([_noise(away, stays), _noise(left, stays)]))
    some = [_some_rows(known) for known in knowns]
    seen = _seen(_joined(of_unit), averages, pace, own, expected, some)
    gains = np.array([1.0, *pace.scales])
    of_units = zip(of_unit, readings, seen.statistics, knowns, still, strict=True)
    for its, rows, statistics, known, stays in of_units:
        least = OF_ONE * gains[:, None] * _of_one(its, rows)
        of_rows = statistics[: len(known)]
        _set_limits(its, np.abs(of_rows), known, least, step_s)
        _widen_limits(its, of_rows, known, stays)
    rated = zip(of_unit, knowns, seen.of_some, some, noises, still, strict=True)
    for its, known, (statistics, terms), chosen, noise, stays in rated:
        _set_growth(its, statistics[:, OTHERS, 0], terms)
        live = known[chosen, None, None]
        _set_noise(its, np.where(live, statistics, np.nan), noise, stays, pace)
    averages |= {"unseen": unseen} | _joined(courses)
    return Learned(_joined(of_unit), _joined(profiles), averages)


def _joined(of_unit: Sequence[Arrays]) -> Arrays:
    names = of_unit[0] if of_unit else ()
    return {name: np.concatenate([its[name] for its in of_unit]) for name in names}


def _without_driven(
    model: Arrays, units: Floats64, conditions: Floats64, minutes: Ints, pace: Pace
) -> tuple[Arrays, Floats64]:
    """Averages of conditions after the rows, and rows minus what conditions let expect of them."""
    course = no_driven_averages(1, conditions.shape[1], len(pace.driven))
    features = driving(course, pace.driven, conditions[None])[0]
    model["driven"][0], expected = fit_driven(
        units, features, minutes % WEEK_MINUTES, _parts(len(units))
    )
    return course, units - expected


def _parts(n_rows: int) -> list[slice]:
    bounds = np.linspace(0, n_rows, N_PARTS + 1).round().astype(int).tolist()
    return [slice(a, b) for a, b in pairwise(bounds) if b > a]


def _set_scales(model: Arrays, readings: Floats64) -> None:
    """Middle, spread and range of each channel; of one that never moved, the spread is 0."""
    for channel, column in enumerate(readings.T):
        known = column[np.isfinite(column)]
        if not known.size:
            continue
        low, middle, high = np.quantile(known, [0.01, 0.5, 0.99]).tolist()
        width, moves = high - low, float(np.ptp(known)) > 1e-9 * abs(middle)
        width_98 = width if width > 1e-9 * abs(middle) else 0.0
        if moves and not width_98:
            width = max(float(known.std()) * NORMAL_98, float(np.ptp(known)) / 10)
            low, high = middle - width / 2, middle + width / 2
        scale = width / NORMAL_98 if moves else 0.0
        model["center"][0, channel], model["scale"][0, channel] = middle, scale
        ends = (-MOVED, MOVED)
        if moves:
            # Of what is nearly always at one value the width says little: it goes as far as it did.
            beyond = BEYOND * (width if width_98 else max(width, float(np.ptp(known))))
            ends = (low - beyond - middle) / scale, (high + beyond - middle) / scale
        model["low"][0, channel], model["high"][0, channel] = ends


def _still(readings: Floats64) -> Flags:
    """Which channels (n_channels,) have one value most of the time, as events that are rare.

    >>> _still(np.array([[0.0, 1.0], [0.0, 2.0], [9.0, 3.0]]))
    array([ True, False])
    """
    found = np.zeros(readings.shape[1], np.bool_)
    for channel, column in enumerate(readings.T):
        known = column[np.isfinite(column)]
        if known.size:
            away = np.abs(known - float(np.median(known)))
            found[channel] = float(np.median(away)) <= 1e-9 * float(away.max())
    return found


def _of_one(model: Arrays, readings: Floats64) -> Floats64:
    """How far apart neighbouring values of each channel are (n_channels,), in spreads, at the
    median; about 0 of what is not whole numbers.
    """
    found, scale = np.zeros(readings.shape[1]), model["scale"][0]
    for channel, column in enumerate(readings.T):
        gaps = np.diff(np.unique(column[np.isfinite(column)]))
        # What rounding alone makes different is one value.
        gaps = gaps[gaps > 1e-9 * gaps.sum()]
        if gaps.size and scale[channel] > 0:
            found[channel] = float(np.median(gaps)) / scale[channel]
    return found


def _spreads(rest: Floats64, still: Flags) -> Floats64:
    """Robust standard deviations around 0 (n_channels,), `LEAST_WIDTH` at least; plain ones of
    channels that are `still`, where more than half of what is left says nothing.
    """
    found = np.full(rest.shape[1], 1.0)
    for channel, column in enumerate(np.abs(rest).T):
        known = column[np.isfinite(column)]
        if known.size:
            middle = MAD * float(np.median(known))
            plain = float(np.sqrt(np.mean(known * known))) if still[channel] else 0.0
            found[channel] = max(middle, plain)
    return np.asarray(np.maximum(found, LEAST_WIDTH))


def _set_weights(
    model: Arrays, features: Floats64, known: Flags, still: Flags, parts: list[slice]
) -> Floats64:
    """Weights of other channels, and what those that left a row's part out expect of it.

    Rows that look like faults are left out of a second regression: an input that fails would
    otherwise teach that it says nothing.
    """
    n_rows, n_channels, n_memories = features.shape
    has = np.isfinite(model["scale"][0])
    whole = (known | ~has).all(axis=1)
    used = whole if 2 * np.count_nonzero(whole) >= n_rows else np.ones(n_rows, np.bool_)
    flat, targets = features.reshape(n_rows, -1), features[..., 0]
    weights = _weights(_Products.of(flat, targets, used), n_channels, n_memories)
    rest = np.abs(targets - flat @ weights.T)
    sizes = (rest / _spreads(np.where(known, rest, np.nan), still)).max(axis=1)
    most = float(np.quantile(sizes, 1 - MOST_FAULTS)) if n_rows else 0.0
    usual = used & (sizes <= max(FAULT_SPREADS, most))
    products = [_Products.of(flat[part], targets[part], usual[part]) for part in parts]
    total = _Products.sum(products)
    expected = np.empty_like(targets)
    for part, its in zip(parts, products, strict=True):
        others = total.minus(its) if len(parts) > 1 else total
        expected[part] = flat[part] @ _weights(others, n_channels, n_memories).T
    found = _weights(total, n_channels, n_memories).reshape(n_channels, n_channels, n_memories)
    model["weights"][0] = found.astype(np.float32)
    return expected


class _Products(NamedTuple):
    """Sums of products of inputs with one another and with targets."""

    inputs: Floats64
    targets: Floats64

    @classmethod
    def of(cls, flat: Floats64, targets: Floats64, used: Flags) -> _Products:
        chosen = flat[used]
        return cls(chosen.T @ chosen, chosen.T @ targets[used])

    @classmethod
    def sum(cls, parts: list[_Products]) -> _Products:
        inputs = np.stack([part.inputs for part in parts]).sum(axis=0)
        return cls(inputs, np.stack([part.targets for part in parts]).sum(axis=0))

    def minus(self, part: _Products) -> _Products:
        return _Products(self.inputs - part.inputs, self.targets - part.targets)


def _weights(products: _Products, n_channels: int, n_memories: int) -> Floats64:
    """Ridge weights (n_channels, n_channels × n_memories); of its own inputs a channel has 0."""
    diagonal = np.diag(products.inputs)
    floor = 1e-9 * max(float(diagonal.max(initial=0.0)), 1e-9)
    damped = products.inputs + np.diag(RIDGE * diagonal + floor)
    owner = np.repeat(np.arange(n_channels), n_memories)
    found = np.zeros((n_channels, n_channels * n_memories))
    moves = diagonal > floor
    for channel in range(n_channels):
        chosen = np.flatnonzero((owner != channel) & moves)
        if chosen.size and products.targets[:, channel].any():
            its = damped[np.ix_(chosen, chosen)]
            found[channel, chosen] = np.linalg.solve(its, products.targets[chosen, channel])
    return found


class _Seen(NamedTuple):
    """Statistics that last, float32 (n_units, n_rows, kind, scale, channel); and of some rows of
    each unit its statistics and averages of residuals.
    """

    statistics: Floats32
    of_some: list[tuple[Floats64, Floats64]]


def _seen(
    model: Arrays,
    averages: Arrays,
    pace: Pace,
    own: Deviations,
    expected: Floats64,
    some: Sequence[Ints],
) -> _Seen:
    """What units' rows bring, part by part to save memory; `some` are the rows to keep of each."""
    found, kept = [], [list[tuple[Floats64, Floats64]]() for _ in some]
    for part in batches(own.known.shape[1], ROWS_TOGETHER):
        of_part = own.of_steps(part)
        made = residuals(model, averages, pace, of_part, expected[:, part])
        found.append(lasting(made.statistics).astype(np.float32))
        for unit, rows in enumerate(some):
            at = rows[(rows >= part.start) & (rows < part.stop)] - part.start
            kept[unit].append((made.statistics[unit, at], made.spreading[unit, at, 0]))
    joined = [
        (
            np.concatenate([statistics for statistics, _ in of_unit]),
            np.concatenate([mean for _, mean in of_unit]),
        )
        for of_unit in kept
    ]
    return _Seen(np.concatenate(found, axis=1), joined)


def _set_limits(model: Arrays, sizes: Floats32, known: Flags, least: Floats64, step_s: int) -> None:
    """Location and width of each statistic's maxima over six hours; `least` are widths at least,
    (scale, channel).
    """
    length = block_steps(len(sizes), step_s)
    # Of shorter times the highest is lower: so many widths, where these are few.
    rarer = max(math.log(BLOCK_S / (length * step_s)), 0.0)
    starts = np.arange(0, len(sizes), length)
    counted = np.where(known[:, None, None], sizes, -np.inf)
    maxima = np.maximum.reduceat(counted, starts, axis=0) if len(sizes) else counted
    for channel in np.flatnonzero(known.any(axis=0)).tolist():
        of_blocks = maxima[..., channel]
        is_read = np.isfinite(of_blocks).all(axis=(1, 2))
        if not is_read.any():
            continue
        middle = np.quantile(of_blocks[is_read], MIDDLE, axis=0)
        _, width = gumbel_of(of_blocks[is_read])
        width = np.maximum(width, np.maximum(0.05 * middle, LEAST_WIDTH))
        width = np.maximum(width, least[:, channel])
        location = middle + width * (rarer - gumbel_level(MIDDLE))
        if not model["scale"][0, channel] > 0:
            location, width = np.zeros_like(location), np.ones_like(width)
        model["location"][0, ..., channel] = location
        model["width"][0, ..., channel] = width


def _widen_limits(model: Arrays, statistics: Floats32, known: Flags, still: Flags) -> None:
    """Limits as far off as so few independent values can vouch for: what a few times a statistic's
    memory has seen of its spread may be too small by far.

    By Student's factor, where the highest of six hours is and where a week's of all statistics.
    """
    _, n_kinds, n_scales, n_channels = statistics.shape
    beyond = math.log(IN_A_WEEK * n_kinds * n_scales * n_channels)
    moves = np.isfinite(model["location"][0, 0, 0]) & (model["scale"][0] > 0)
    for channel in np.flatnonzero(moves).tolist():
        rows = statistics[known[:, channel], ..., channel].astype(np.float64)
        flat = rows.reshape(len(rows), -1)
        spread = _spreads(flat, np.full(flat.shape[1], still[channel]))
        most = MOST_SPREADS * spread
        n = n_independent(np.clip(flat, -most, most)).reshape(n_kinds, n_scales)
        location, width = (model[name][0, ..., channel] for name in ("location", "width"))
        spreads = location / spread.reshape(n_kinds, n_scales)
        usual = np.clip(spreads, FEWEST_SPREADS, MOST_SPREADS).astype(np.float64)
        # Of a normal distribution, e to the power of `beyond` is so much rarer there.
        rare = np.sqrt(usual * usual + 2 * beyond)
        top = (location + beyond * width) * student_factor(rare, n)
        location = location * student_factor(usual, n)
        model["location"][0, ..., channel] = location
        model["width"][0, ..., channel] = (top - location) / beyond


def _some_rows(known: Flags) -> Ints:
    """Rows that say how residuals grow: evenly, whole ones where there are any."""
    rows = np.arange(0, len(known), max(1, len(known) // GROWTH_ROWS))
    is_whole = known[rows].all(axis=1)
    return rows[is_whole] if known.all(axis=1).any() else rows[known[rows].any(axis=1)]


def _set_growth(model: Arrays, rest: Floats64, terms: Floats64) -> None:
    """By how much residuals grow while another channel is missing and imputed.

    Its deviations from what the others expect, and their averages, `terms` (n_rows, channel,
    memory), are then what the others' residuals do not know.
    """
    if not len(rest):
        return
    usual = np.maximum(np.quantile(np.abs(rest), GROWTH_QUANTILE, axis=0), LEAST_WIDTH)
    weights = model["weights"][0].astype(np.float64)
    for missing in range(rest.shape[1]):
        without = rest + terms[:, missing] @ weights[:, missing].T
        ratio = np.quantile(np.abs(without), GROWTH_QUANTILE, axis=0) / usual
        ratio[missing] = 1.0
        model["growth"][0, missing] = np.clip(ratio, 1.0, MOST_GROWTH)


def _noise(away: Floats64, still: Flags) -> Floats64:
    """Variance of noise (n_channels,), by what neighbours of (n_rows, n_channels) differ by."""
    return np.asarray(_spreads(np.diff(away, axis=0), still) ** 2 / 2)


def _set_noise(
    model: Arrays, statistics: Floats64, noise: Floats64, still: Flags, pace: Pace
) -> None:
    """Of statistics (n_rows, kind, scale, channel) the share of the variance that is noise of
    readings.

    `noise` (kind, channel) are variances of that of deviations and residuals now. Of what others
    explain a residual has their noise, too, and averages of it, which last longer than its own.
    """
    energies = _energies(pace)
    weights = model["weights"][0].astype(np.float64)
    of_others = np.einsum("com,smn,con->sco", weights, energies, weights)
    own = np.arange(len(weights))
    of_others[:, own, own] += energies[:, 0, 0, None]
    parts = of_others * noise[CALENDAR]
    total = parts.sum(axis=2)
    model["sources"][0] = parts[0] / total[0][:, None]
    for scale in range(len(energies)):
        lasts = energies[scale, 0, 0], total[scale] / total[0]
        for kind, left in zip((CALENDAR, OTHERS), lasts, strict=True):
            spread = _spreads(statistics[:, kind, scale], still)
            model["noise"][0, kind, scale] = np.minimum(noise[kind] * left / spread**2, 1.0)


def _energies(pace: Pace) -> Floats64:
    """Covariances (scale, memory, memory) of memories of noise of variance 1, averaged over scales.

    The first memory and the first scale are what is now.

    >>> _energies(Pace.of([], [60 / math.log(2)], 1, 1, 60)).round(3).ravel().tolist()
    [1.0, 0.333]
    """
    found = []
    for scale in (1.0, *pace.scales):
        for memory in (1.0, *pace.memories):
            kept = 1.0 - scale, 1.0 - memory
            found.append((scale * memory, *kept))
    n_memories = 1 + len(pace.memories)
    products = np.array([[_covariance(a, b) for b in found] for a in found])
    blocks = range(0, len(found), n_memories)
    return np.stack([products[i : i + n_memories, i : i + n_memories] for i in blocks])


def _covariance(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    """Of two chains of two averages each, (gain, kept share, kept share), of the same noise."""
    (gain, a, b), (of_other, c, d) = one, other
    # Sum over the steps of products of sums of geometric series: the poles of one in the other.
    top = 1.0 - a * b * c * d
    return gain * of_other * top / ((1 - a * c) * (1 - a * d) * (1 - b * c) * (1 - b * d))
