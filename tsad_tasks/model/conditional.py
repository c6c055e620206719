"""Channels beside what the calendar and the other channels let expect of them.

A channel's deviation is its distance from its profile (`model.calendar_profile`), a cycle of its
own (`model.cycles`) and a slow level; its residual is what the deviations of the other channels,
now and averaged over some minutes, leave of that. Both are judged as they are and averaged over
longer times. All is a fold: a step's result depends on the state before it and on the step alone,
element by element, hence is the same to the bit however readings are cut.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tsad_tasks.base.arrays import Arrays, Flags, Floats64, Ints
from tsad_tasks.model.calendar_profile import usual_at
from tsad_tasks.model.cycles import cycled, no_cycles, no_phases
from tsad_tasks.model.driven import driven, driving

CALENDAR, OTHERS = 0, 1
# A channel that never moved is so many spreads off when it does, in whatever unit.
MOVED = 12.0
# What a slow level follows of one reading, in spreads.
FOLLOWED = 1.5
# A level rests while the shortest average is so many nats beyond usual; that of a new regime
# follows within this share of the time until it is one.
CALM, ACCEPTED = 2.0, 0.25
# An average is at most so much of what is usual of the next shorter one beyond that.
BESIDE = 0.5
# What an average counts of one reading, in spreads.
COUNTED = 20.0
# From this error on it is found out which channel explains it; expected values are those of the
# calendar from this excess on.
EXPLAINED, STRANGE = 4.0, 3.0
HIGHEST = 1e6
_CELLS = 1 << 19


@dataclass(frozen=True)
class Pace:
    """How fast averages follow, as the share of a new reading.

    Attributes
    ----------
    memories : of other channels, beside their reading of now.
    scales : of deviations and residuals, beside those of now.
    level, accepted : of the slow level, and of that of a new regime.
    patience : steps after which what is strange is a new regime.
    """

    memories: tuple[float, ...]
    scales: tuple[float, ...]
    level: float
    accepted: float
    patience: int

    @property
    def driven(self) -> tuple[float, ...]:
        """Of conditions, beside what they are now: as of other channels, and the longest scale."""
        return (*self.memories, *self.scales[-1:])

    @classmethod
    def of(
        cls,
        memories_s: Sequence[int],
        scales_s: Sequence[int],
        level_s: int,
        patience_s: int,
        step_s: int,
    ) -> Pace:
        """The pace of exponential averages over times; those within a step are left out.

        >>> Pace.of([300, 900], [3600], 86400, 86400, 300).memories
        (0.28346868942621073,)
        """
        memories, scales = (
            tuple(_share(each, step_s) for each in times if each > step_s)
            for times in (memories_s, scales_s)
        )
        accepted = _share(ACCEPTED * patience_s, step_s)
        patience = -(-patience_s // step_s)
        return cls(memories, scales, _share(level_s, step_s), accepted, patience)


def _share(time_s: float, step_s: int) -> float:
    return 1 - math.exp(-step_s / time_s)


def horizons(gains: Sequence[float]) -> Ints:
    """Steps (n_gains,) over which averages go.

    >>> horizons(Pace.of([], [900, 14400], 86400, 86400, 300).scales).tolist()
    [3, 48]
    """
    return np.array([max(1, round(-1 / math.log1p(-gain))) for gain in gains], np.int64)


def no_model(n_units: int, n_channels: int, pace: Pace) -> Arrays:
    """What units know before they learn; first axis the unit.

    scale is 0 of a channel that never moved, NaN of one that the unit does not have. `weights` are
    (n_units, channel, other channel, memory), `location` and `width` (n_units, kind, scale,
    channel), `growth` (n_units, missing channel, channel); `noise` as `location` is the share of a
    statistic's variance that is noise of readings, of which `sources` (n_units, channel, other
    channel) is each channel's part in a residual's.

    >>> no_model(1, 2, Pace.of([300], [3600], 86400, 86400, 60))["weights"].shape
    (1, 2, 2, 2)
    """
    n_memories, n_scales = 1 + len(pace.memories), 1 + len(pace.scales)
    found = {name: np.zeros((n_units, n_channels)) for name in ("center", "low", "high")}
    limits = (n_units, 2, n_scales, n_channels)
    found |= no_cycles(n_units, n_channels)
    return found | {
        "scale": np.full((n_units, n_channels), np.nan),
        "weights": np.zeros((n_units, n_channels, n_channels, n_memories), np.float32),
        "spread": np.ones((n_units, 2, n_channels)),
        # Nothing is strange before it is known what is usual.
        "location": np.full(limits, np.inf, np.float32),
        "width": np.ones(limits, np.float32),
        "growth": np.ones((n_units, n_channels, n_channels), np.float32),
        "noise": np.zeros(limits, np.float32),
        "sources": np.zeros((n_units, n_channels, n_channels), np.float32),
    }


def no_averages(n_units: int, n_channels: int, pace: Pace) -> Arrays:
    """Averages of units that have seen nothing; first axis the unit.

    `level` is (n_units, kind, channel), `strange` for how many steps it has rested; `memory` and
    `own` are averages of deviations and residuals (n_units, channel, memory), `scales` of both
    (n_units, kind, scale, channel), `spreading` those of each residual's averages (n_units, scale,
    channel, memory); `noise`, as `scales`, how many times as noisy what is in them is as usual;
    `unseen` (n_units, channel) for how many steps nothing was known of a channel.

    >>> no_averages(3, 2, Pace.of([300], [3600], 86400, 86400, 60))["scales"].shape
    (3, 2, 1, 2)
    """
    n_memories, n_scales = len(pace.memories), len(pace.scales)
    return no_phases(n_units, n_channels) | {
        "level": np.zeros((n_units, 2, n_channels)),
        "strange": np.zeros((n_units, 2, n_channels), np.int32),
        "memory": np.zeros((n_units, n_channels, n_memories)),
        "own": np.zeros((n_units, n_channels, n_memories)),
        "scales": np.zeros((n_units, 2, n_scales, n_channels)),
        "spreading": np.zeros((n_units, n_scales, n_channels, 1 + n_memories)),
        "noise": np.ones((n_units, 2, n_scales, n_channels)),
        "unseen": np.zeros((n_units, n_channels), np.int32),
    }


def standardised(model: Arrays, readings: Floats64) -> Floats64:
    """Readings (n_units, n_steps, n_channels) in spreads from the middle, within their range.

    NaN where unknown, and in channels that the unit does not have.

    >>> model = {"center": np.array([[10.0]]), "scale": np.array([[2.0]])}
    >>> model |= {"low": np.array([[-3.0]]), "high": np.array([[3.0]])}
    >>> standardised(model, np.array([[[14.0], [99.0], [np.nan]]]))[0, :, 0].tolist()
    [2.0, 3.0, nan]
    """
    center, scale = model["center"][:, None], model["scale"][:, None]
    with np.errstate(all="ignore"):
        away = readings - center
        moved = np.where(np.abs(away) > 1e-6 * np.abs(center), MOVED * np.sign(away), 0.0)
        units = np.where(scale > 0, away / np.where(scale > 0, scale, 1.0), moved)
        units = np.clip(units, model["low"][:, None], model["high"][:, None])
    return np.where(np.isfinite(readings) & np.isfinite(scale), units, np.nan)


def widened(
    model: Arrays, averages: Arrays, pace: Pace, noise: Floats64 | None, known: Flags
) -> Floats64:
    """By how much noise of readings widens statistics, (n_units, n_steps, kind, scale, channel).

    `noise` (n_units, n_steps, n_channels) is how many times the usual variance it has, None: once.
    It joins the averages: a longer one holds readings from before for as long as it does.

    >>> pace = Pace.of([], [120], 86400, 86400, 60)
    >>> model, averages = no_model(1, 1, pace), no_averages(1, 1, pace)
    >>> model["noise"] += 1
    >>> noise, known = np.array([[[1.0], [9.0], [9.0]]]), np.ones((1, 3, 1), bool)
    >>> widened(model, averages, pace, noise, known)[0, :, CALENDAR, :, 0].round(2).tolist()
    [[1.0, 1.0], [3.0, 2.46], [3.0, 2.81]]
    """
    n_units, n_steps, n_channels = known.shape
    is_usual = noise is None and (averages.get("noise", 1.0) == np.float64(1)).all()
    if is_usual or "noise" not in model:
        return np.ones((1, 1, 2, 1 + len(pace.scales), 1))
    shares, mean = model["noise"].astype(np.float64), averages["noise"]
    more = np.where(known, noise - 1.0, 0.0) if noise is not None else np.zeros(known.shape)
    of_others = np.zeros(more.shape)
    # Term by term, as in `predicted`.
    for other in range(n_channels):
        of_others += model["sources"][:, None, :, other].astype(np.float64) * more[..., other, None]
    now = 1.0 + np.stack([more, of_others], axis=2)
    # The variance of an average forgets twice as fast as the average.
    gains = 1.0 - (1.0 - np.array(pace.scales)[:, None]) ** 2
    found = np.empty((n_units, n_steps, *shares.shape[1:]))
    for t in range(n_steps):
        mean = mean + gains * known[:, t, None, None] * (now[:, t, :, None] - mean)
        found[:, t, :, 0], found[:, t, :, 1:] = now[:, t], mean
    averages["noise"] = mean
    return np.asarray(np.sqrt(1.0 + shares[:, None] * (found - 1.0)))


class _Course:
    """Slow level and averages of one kind of deviation, step by step.

    What is strange moves no level, lest the fault be usual afterwards; from `Pace.patience` steps
    on it does, and quickly: a new regime. An average is never further off than the next shorter
    one, of its sign, by more than is usual of that: where the fault is over, nothing is high for
    long, and what lasts stays. Where nothing was known for as long as an average goes, it is none.
    """

    def __init__(self, model: Arrays, averages: Arrays, pace: Pace, kind: int) -> None:
        self.level, self.scales, self.strange = (
            averages[name][:, kind] for name in ("level", "scales", "strange")
        )
        spread, location = model["spread"][:, kind], model["location"][:, kind].astype(np.float64)
        self._bend, self._top = FOLLOWED * spread, (COUNTED * spread)[:, None]
        self._pace, self._gains = pace, np.array(pace.scales)[:, None]
        self._horizons = horizons(pace.scales)[:, None]
        self._usual = np.maximum(location, 0.0)
        self._is_judged = bool(np.isfinite(self._usual).any())
        self._first = first = min(1, len(pace.scales))
        self._calm = location[:, first] + CALM * model["width"][:, kind, first]

    def forget(self, unseen: Ints) -> None:
        """Averages over no longer than nothing was known, so many steps (n_units, channel)."""
        if not len(self._horizons):
            return
        is_over = unseen[:, None] >= self._horizons
        self.scales = np.where(is_over, 0.0, self.scales)
        self.strange = np.where(is_over[:, -1], 0, self.strange)

    def follow(self, away: Floats64, known: Flags, wider: Floats64) -> Floats64:
        """Deviations from the level, 0 where unknown, which then join level and averages.

        What is usual is so much `wider` (n_units, scale, channel) than was learned.
        """
        now = np.where(known, away - self.level, 0.0)
        pull = np.maximum(np.minimum(now[:, None], self._top), -self._top) - self.scales
        self.scales = self.scales + self._gains * known[:, None] * pull
        usual = self._usual * wider
        self.left = self._bounded(now, known, usual) if self._is_judged else None
        first = self.scales[:, 0] if len(self._gains) else now
        is_strange = np.abs(first) > self._calm * wider[:, self._first]
        # A new regime is followed until the longest average is usual, too.
        lasts = np.abs(self.scales[:, -1]) > usual[:, -1] if len(self._gains) else is_strange
        counts = is_strange | (lasts & (self.strange > self._pace.patience))
        self.strange = np.where(known, np.where(counts, self.strange + 1, 0), self.strange)
        accepted = self.strange > self._pace.patience
        slow = self._pace.level * np.maximum(np.minimum(now, self._bend), -self._bend)
        self.level = self.level + np.where(accepted, self._pace.accepted * now, slow * ~is_strange)
        return now

    def _bounded(self, now: Floats64, known: Flags, usual: Floats64) -> Floats64 | None:
        """What is left of averages, as a share; None: all."""
        shorter = np.concatenate([now[:, None], self.scales[:, :-1]], axis=1)
        size = np.abs(self.scales)
        most = np.maximum(shorter * np.sign(self.scales), 0.0) + BESIDE * usual[:, :-1]
        over = (size > most) & known[:, None]
        if not over.any():
            return None
        left = np.where(over, most / np.where(over, size, 1.0), 1.0)
        self.scales = self.scales * left
        return left

    def end(self, averages: Arrays, kind: int) -> None:
        """Put where it ended into the state."""
        for name in ("level", "scales", "strange"):
            averages[name][:, kind] = getattr(self, name)


class Deviations(NamedTuple):
    """Deviations of one stretch.

    Attributes
    ----------
    features : (n_units, n_steps, n_channels, 1 + memories), deviations and their averages; of an
        unknown channel what the others let expect.
    statistics : (n_units, n_steps, scale, channel), deviations and their averages over `scales`.
    usual : (n_units, n_steps, n_channels), what the calendar and the slow level expect.
    known : bool, as `usual`.
    wider : as `widened` says, or 1 for all units, steps and channels.
    unseen : (n_units, n_steps, n_channels), for how many steps nothing is known of a channel; None:
        of nothing for long.
    """

    features: Floats64
    statistics: Floats64
    usual: Floats64
    known: Flags
    wider: Floats64
    unseen: Ints | None

    def of_steps(self, part: slice) -> Deviations:
        """Those of some steps."""
        return Deviations(
            self.features[:, part],
            self.statistics[:, part],
            self.usual[:, part],
            self.known[:, part],
            self.wider if self.wider.shape[1] == 1 else self.wider[:, part],
            None if self.unseen is None else self.unseen[:, part],
        )


def deviations(
    model: Arrays,
    averages: Arrays,
    pace: Pace,
    units: Floats64,
    usual: Floats64,
    noise: Floats64 | None = None,
) -> Deviations:
    """Deviations of standardised readings, which join the averages; `noise` is that of `widened`.

    >>> pace = Pace.of([], [], 86400, 86400, 60)
    >>> model = no_model(1, 1, pace) | {"scale": np.ones((1, 1))}
    >>> units, usual = np.array([[[5.0], [np.nan]]]), np.full((1, 2, 1), 2.0)
    >>> deviations(model, no_averages(1, 1, pace), pace, units, usual).features.ravel().tolist()
    [3.0, 0.0]
    """
    known = np.isfinite(units)
    active = np.asarray(known.any(axis=2))[..., None]
    owned = np.isfinite(model["scale"])[:, None]
    is_whole = np.asarray((known | ~owned | ~active).all(axis=(0, 2)))
    away = np.where(known, units - usual, 0.0)
    course, memory = _Course(model, averages, pace, CALENDAR), averages["memory"]
    wider = widened(model, averages, pace, noise, known)
    of_step = np.broadcast_to(wider[:, :, CALENDAR], (len(wider), units.shape[1], *wider.shape[3:]))
    gains, (n_units, n_steps, n_channels) = np.array(pace.memories), away.shape
    levels = np.empty_like(away)
    features = np.empty((*away.shape, 1 + len(gains)))
    statistics = np.empty((n_units, n_steps, 1 + len(pace.scales), n_channels))
    unseen = _unseen(averages, known)
    for t in range(n_steps):
        if unseen is not None and unseen[:, t].any():
            course.forget(unseen[:, t])
            memory = _remembered(memory, unseen[:, t], pace)
        levels[:, t] = course.level
        now = course.follow(away[:, t], known[:, t], of_step[:, t])
        statistics[:, t, 0], statistics[:, t, 1:] = now, course.scales
        if not is_whole[t]:
            _impute(model, memory, gains, now, known[:, t])
        memory = memory + gains * active[:, t, :, None] * (now[..., None] - memory)
        features[:, t, :, 0], features[:, t, :, 1:] = now, memory
    averages["memory"] = memory
    course.end(averages, CALENDAR)
    return Deviations(features, statistics, usual + levels, known, wider, unseen)


def _unseen(averages: Arrays, known: Flags) -> Ints | None:
    """For how many steps nothing is known of channels, (n_units, n_steps, n_channels), which joins
    the state; None: nowhere, or of a model from before that was counted.
    """
    if "unseen" not in averages:
        return None
    before = averages["unseen"].astype(np.int64)
    if known.all() and not before.any():
        return None
    steps = np.arange(1, known.shape[1] + 1)[None, :, None]
    seen_at = np.maximum.accumulate(np.where(known, steps, 0), axis=1)
    found = np.where(seen_at > 0, steps - seen_at, before[:, None] + steps)
    averages["unseen"] = np.minimum(found[:, -1], np.iinfo(np.int32).max).astype(np.int32)
    # What is read after a time without anything comes after that time.
    earlier = np.concatenate([before[:, None], found[:, :-1]], axis=1)
    return np.asarray(np.where(known, earlier, found))


def _remembered(memory: Floats64, unseen: Ints, pace: Pace) -> Floats64:
    """Averages (n_units, …, memory) of units of which anything was known for as long as they go."""
    is_over = unseen.min(axis=1)[:, None] >= horizons(pace.memories)
    axes = (slice(None), *[None] * (memory.ndim - 2), slice(None))
    return np.where(is_over[axes], 0.0, memory)


def _impute(model: Arrays, memory: Floats64, gains: Floats64, now: Floats64, known: Flags) -> None:
    """Put what the known channels let expect in place of what is unknown."""
    rows = np.flatnonzero(known.any(axis=1) & ~known.all(axis=1))
    if not rows.size:
        return
    seen = known[rows][..., None]
    after = memory[rows] + gains * (now[rows][..., None] - memory[rows])
    features = np.concatenate([now[rows][..., None], after], axis=2) * seen
    expected = predicted(model["weights"][rows], features[:, None])[:, 0]
    low, high = model["low"][rows], model["high"][rows]
    now[rows] = np.where(known[rows], now[rows], np.clip(expected, low, high))


def predicted(weights: Floats64, features: Floats64) -> Floats64:
    """What other channels let expect, (n_units, n_steps, n_channels).

    >>> weights = np.zeros((1, 2, 2, 1), np.float32)
    >>> weights[0, 0, 1, 0] = 2
    >>> predicted(weights, np.array([[[[3.0], [5.0]]]])).tolist()
    [[[10.0, 0.0]]]
    """
    found = np.zeros(features.shape[:3])
    # Term by term: a product of matrices adds in an order that depends on its shape.
    for other in range(features.shape[2]):
        for memory in range(features.shape[3]):
            column = weights[:, None, :, other, memory].astype(np.float64)
            if column.any():
                found += column * features[:, :, other, memory, None]
    return found


class Residuals(NamedTuple):
    """Statistics of one stretch, (n_units, n_steps, kind, scale, channel); and of residuals.

    Attributes
    ----------
    spreading : (n_units, n_steps, scale, channel, memory), averages of each residual's averages:
        what taking a channel back to its expectation changes.
    levels : (n_units, n_steps, n_channels), slow levels of residuals.
    """

    statistics: Floats64
    spreading: Floats64
    levels: Floats64


def residuals(
    model: Arrays, averages: Arrays, pace: Pace, found: Deviations, expected: Floats64
) -> Residuals:
    """Averages of deviations and residuals, which join the state.

    >>> pace = Pace.of([], [], 86400, 86400, 60)
    >>> model, averages = no_model(1, 1, pace), no_averages(1, 1, pace)
    >>> found = deviations(model, averages, pace, np.full((1, 1, 1), 5.0), np.full((1, 1, 1), 2.0))
    >>> residuals(model, averages, pace, found, np.full((1, 1, 1), 0.5)).statistics.ravel().tolist()
    [3.0, 2.5]
    """
    known, now = found.known, found.features[..., 0]
    active = np.asarray(known.any(axis=2))[..., None]
    away = np.where(known, now - expected, 0.0)
    course, own = _Course(model, averages, pace, OTHERS), averages["own"]
    wider = found.wider[:, :, OTHERS]
    of_step = np.broadcast_to(wider, (len(wider), away.shape[1], *wider.shape[2:]))
    gains, own_gains = np.array(pace.scales)[:, None, None], np.array(pace.memories)
    spreading, levels = averages["spreading"], np.empty_like(away)
    statistics = np.empty((*found.statistics.shape[:2], 2, *found.statistics.shape[2:]))
    statistics[:, :, CALENDAR] = found.statistics
    spread = np.empty((*found.statistics.shape, 1 + len(own_gains)))
    for t in range(away.shape[1]):
        if found.unseen is not None and (unseen := found.unseen[:, t]).any():
            course.forget(unseen)
            own = _remembered(own, unseen, pace)
            spreading = _spread_over(spreading, unseen, pace)
        levels[:, t] = course.level
        mine = course.follow(away[:, t], known[:, t], of_step[:, t])
        own = own + own_gains * active[:, t, :, None] * (mine[..., None] - own)
        terms = np.concatenate([mine[..., None], own], axis=2)
        moving = gains * active[:, t, :, None, None]
        spreading = spreading + moving * (terms[:, None] - spreading)
        if course.left is not None:
            spreading = spreading * course.left[..., None]
        statistics[:, t, OTHERS, 0], statistics[:, t, OTHERS, 1:] = mine, course.scales
        spread[:, t, 0], spread[:, t, 1:] = terms, spreading
    averages["own"], averages["spreading"] = own, spreading
    course.end(averages, OTHERS)
    return Residuals(statistics, spread, levels)


def _spread_over(spreading: Floats64, unseen: Ints, pace: Pace) -> Floats64:
    """Averages of averages (n_units, scale, channel, memory), as far as anything was known."""
    is_over = unseen.min(axis=1)[:, None] >= horizons(pace.scales)
    return np.where(is_over[:, :, None, None], 0.0, spreading)


def lasting(statistics: Floats64) -> Floats64:
    """Statistics (…, scale, channel) of what still is: an average over a longer time counts nothing
    where the next shorter one has the other sign.

    >>> lasting(np.array([[9.0], [-1.0], [1.0], [8.0]]))[:, 0].tolist()
    [9.0, -1.0, 0.0, 0.0]
    >>> lasting(np.array([[9.0], [3.0], [7.0], [8.0]]))[:, 0].tolist()
    [9.0, 3.0, 7.0, 8.0]
    """
    found = statistics.copy()
    for scale in range(2, found.shape[-2]):
        shorter, mine = found[..., scale - 1, :], found[..., scale, :]
        found[..., scale, :] = np.where(shorter * mine > 0, mine, 0.0)
    return found


def excesses(
    model: Arrays, statistics: Floats64, known: Flags, wider: Floats64 | float = 1.0
) -> Floats64:
    """How far statistics are beyond usual ones, in nats; 0 is the highest of usual six hours.

    −`HIGHEST` where the channel is unknown. A residual counts less while a channel is missing that
    it was explained by, and all where noise makes them `wider`.

    >>> model = no_model(1, 1, Pace.of([], [], 86400, 86400, 60))
    >>> model |= {"location": np.ones((1, 2, 1, 1)), "width": np.full((1, 2, 1, 1), 0.5)}
    >>> statistics = np.array([3.0, 2.5]).reshape(1, 1, 2, 1, 1)
    >>> excesses(model, statistics, np.ones((1, 1, 1), bool)).ravel().tolist()
    [4.0, 3.0]
    """
    missing = ~known & np.isfinite(model["scale"])[:, None]
    if missing.any():
        blind = np.ones(known.shape)
        for channel in range(known.shape[2]):
            more = model["growth"][:, None, channel].astype(np.float64)
            blind += missing[:, :, channel, None] * (more * more - 1.0)
        statistics = statistics.copy()
        statistics[:, :, OTHERS] /= np.sqrt(blind)[:, :, None]
    size = np.abs(lasting(statistics)) / wider
    found = (size - model["location"][:, None]) / model["width"][:, None]
    return np.where(known[:, :, None, None, :], np.clip(found, -HIGHEST, HIGHEST), -HIGHEST)


def soft(excess: Floats64) -> Floats64:
    """A rising map to above 0, that leaves high values as they are.

    >>> soft(np.array([-1e6, 0.0, 20.0])).round(2).tolist()
    [0.0, 1.0, 20.05]
    """
    half = excess / 2
    # Of two forms each is exact where the other one cancels.
    size = np.abs(half) + np.sqrt(half * half + 1)
    return np.where(half > 0, size, 1 / size)


class Judged(NamedTuple):
    """What was found of one stretch: (n_units, n_steps), and twice (n_units, n_steps,
    n_channels): errors, expected values in the units of the readings, and how much of the error
    each channel explains. NaN where nothing is known.
    """

    errors: Floats64
    expected: Floats64
    explained: Floats64


def judged(
    model: Arrays,
    profile: Arrays,
    averages: Arrays,
    pace: Pace,
    readings: Floats64,
    minutes: Ints,
    noise: Floats64 | None = None,
    least_error: float = 0.0,
    conditions: Floats64 | None = None,
) -> Judged:
    """What readings (n_units, n_steps, n_channels) are, which then join the averages.

    `minutes` are of the week, (n_steps,) or (n_units, n_steps); `noise` is that of `widened`. Below
    `least_error` nobody is surprised: there the others say what is expected. `conditions` are those
    of `driving`, None: there are none.

    >>> from tsad_tasks.model.conditional_fit import fit_units
    >>> rows, pace = np.random.default_rng(7).normal(0, 1, (2000, 1)), Pace.of([], [], 9, 9, 60)
    >>> learned = fit_units([rows], [np.arange(2000)], pace, 60)
    >>> made = judged(*learned, pace, np.array([[[0.1], [np.nan], [9.0]]]), np.arange(3))
    >>> (made.errors[0] > 5).tolist()
    [False, False, True]
    """
    n_units, n_steps, n_channels = readings.shape
    together = max(1, _CELLS // max(1, n_units * n_channels * (2 + len(pace.scales)) * 4))
    at = np.broadcast_to(minutes, (n_units, n_steps))
    cut = [slice(i, i + together) for i in range(0, n_steps, together)]
    under = None
    if conditions is not None:
        under = driven(model["driven"], driving(averages, pace.driven, conditions))
    of = model, profile, averages, pace
    parts = [
        _stretch(
            *of,
            readings[:, part],
            at[:, part],
            None if under is None else under[:, part],
            None if noise is None else noise[:, part],
            least_error,
        )
        for part in cut
    ]
    if not parts:
        nothing = np.empty((n_units, 0, n_channels))
        return Judged(np.empty((n_units, 0)), nothing, nothing)
    return Judged(*(np.concatenate(part, axis=1) for part in zip(*parts, strict=True)))


def _stretch(
    model: Arrays,
    profile: Arrays,
    averages: Arrays,
    pace: Pace,
    readings: Floats64,
    minutes: Ints,
    under: Floats64 | None,
    noise: Floats64 | None,
    least_error: float,
) -> Judged:
    units = standardised(model, readings)
    usual = usual_at(profile, minutes, units if under is None else units - under)
    if under is not None:
        usual = usual + under
    if (cycles := cycled(model, averages, units - usual, pace.patience)) is not None:
        usual = usual + cycles
    found = deviations(model, averages, pace, units, usual, noise)
    others = predicted(model["weights"], found.features)
    seen = residuals(model, averages, pace, found, others)
    beyond = excesses(model, seen.statistics, found.known, found.wider)
    of_channels = beyond.max(axis=3)
    highest = of_channels.max(axis=(2, 3))
    errors = np.where(found.known.any(axis=2), soft(highest), np.nan)
    # What is expected is what the surprise is about: the calendar's value, or the others'.
    strange, kinds = of_channels[:, :, CALENDAR], of_channels[:, :, OTHERS]
    surprises = errors.astype(np.float32) >= np.float32(least_error)
    by_calendar = (strange > kinds) & (strange > STRANGE) & surprises[..., None]
    expected = found.usual + np.where(by_calendar, 0.0, others + seen.levels)
    scale = np.where(model["scale"] > 0, model["scale"], 0.0)[:, None]
    center = np.where(np.isfinite(model["scale"]), model["center"], np.nan)[:, None]
    explained = np.maximum(of_channels.max(axis=2), 0.0)
    unit, step = np.nonzero(highest > EXPLAINED)
    if unit.size:
        explained[unit, step] = _explained(model, seen, found, unit, step)
    explained = np.where(found.known, explained, 0.0)
    return Judged(errors, center + scale * expected, explained)


def _explained(
    model: Arrays, seen: Residuals, given: Deviations, unit: Ints, step: Ints
) -> Floats64:
    """How much less strange all channels are with one of them at its expectation,
    (n, n_channels).
    """
    its = {name: model[name][unit] for name in ("weights", "location", "width", "scale", "growth")}
    statistics, live = seen.statistics[unit, step][:, None], given.known[unit, step][:, None]
    n_units, n_steps = given.known.shape[:2]
    wider = np.broadcast_to(given.wider, (n_units, n_steps, *given.wider.shape[2:]))
    wider = wider[unit, step][:, None]
    spreading, weights = seen.spreading[unit, step], its["weights"]
    before = _strangeness(its, statistics, live, wider)
    found = np.zeros((len(unit), live.shape[2]))
    for channel in range(live.shape[2]):
        back = statistics.copy()
        back[:, 0, CALENDAR, :, channel] -= statistics[:, 0, OTHERS, :, channel]
        for memory in range(weights.shape[3]):
            change = spreading[:, :, channel, memory, None]
            back[:, 0, OTHERS] += change * weights[:, None, :, channel, memory]
        back[:, 0, OTHERS, :, channel] = 0.0
        found[:, channel] = before - _strangeness(its, back, live, wider)
    best = found.max(axis=1, keepdims=True)
    own = np.maximum(excesses(its, statistics, live, wider)[:, 0].max(axis=(1, 2)), 0.0)
    return np.where(best > 0, np.maximum(found, 0.0), own)


def _strangeness(model: Arrays, statistics: Floats64, known: Flags, wider: Floats64) -> Floats64:
    """Sum over the channels of the excess of each, (n,)."""
    excess = excesses(model, statistics, known, wider)[:, 0]
    of_channels = np.maximum(excess.max(axis=(1, 2)), 0.0)
    total = np.zeros(len(of_channels))
    for column in of_channels.T:
        total += column
    return total
