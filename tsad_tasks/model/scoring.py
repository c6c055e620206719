"""From readings to errors to scores: pure functions of readings and of one model's spec.

Arrays of several entities are (n_entities, n_steps, ...) on one grid that starts at a whole hour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.arrays import Flags, Floats32, Floats64, Ints
from tsad_tasks.base.enums import HourStatus
from tsad_tasks.model import windows
from tsad_tasks.model.experience import (
    INSIDE,
    KNOWN,
    above_usual,
    condition_inputs,
    experience,
    settling,
)
from tsad_tasks.model.features import (
    Scaler,
    circle_columns,
    cyclic_time,
    days_off,
    derived,
    held,
    running_state,
)
from tsad_tasks.model.spec import FeatureSpec, ModelSpec
from tsad_tasks.model.tails import top_mean
from tsad_tasks.model.thresholds import (
    HIGH_SCORE,
    MEDIUM_SCORE,
    Limits,
    anomaly_scores,
    collective_series,
    combined_scores,
    flag,
    severities,
    threshold_series,
)

# Entities are computed together, as many as keep each temporary array in the caches and a long
# range in memory.
_CELLS = 1 << 18
# A channel that never moved in training moves: nobody knows how far is far. The highest score that
# is not HIGH, since what is HIGH for long is no part of the next training.
MOVED_SCORE = np.float32(HIGH_SCORE)
# Under conditions that training never saw nobody knows how the others behave: the highest score
# that is still LOW.
BEYOND_SCORE = np.float32(MEDIUM_SCORE)
# The step from which a channel counts that the entity does not have.
NEVER = np.iinfo(np.int64).max


Marks: TypeAlias = "Flags | bool"


@dataclass(frozen=True)
class InputSet:
    """What the detector sees of some entities.

    Attributes
    ----------
    inputs : float32 (n_entities, n_steps, n_inputs), 0 where unknown.
    present : bool (n_entities, n_steps, n_channels), whether a value is known, held ones included.
    running : int8 (n_entities, n_steps), 0 or the reason why the step is not scored.
    context_ok : bool (n_entities, n_steps), whether derived columns are known where their channel
        is.
    fitted_from : int64 (n_entities, n_channels), the step from which on the entity has the channel;
        `NEVER` where it is not fitted.
    moved : bool (n_entities, n_steps, n_channels), channels that never moved in training and are
        elsewhere; or empty in the last axis: there is none.
    radians : float64 (n_entities, n_angles), scales of the channels that are angles.
    experience : int8 (n_entities, n_steps, n_conditions), see `experience.experience`.
    """

    inputs: Floats32
    present: Flags
    running: NDArray[np.int8]
    context_ok: Flags
    fitted_from: Ints
    moved: Flags
    radians: Floats64
    experience: NDArray[np.int8]

    def fitted(self, entity: Ints, step: Ints) -> Flags:
        """Which channels (n, n_channels) entities have at steps, (n,) each."""
        return np.asarray(self.fitted_from[entity] <= step[:, None], np.bool_)

    @property
    def has_moved(self) -> Flags:
        """Where any channel is elsewhere that never moved in training, (n_entities, n_steps)."""
        return np.asarray(self.moved.any(axis=2), np.bool_)

    @property
    def farthest(self) -> NDArray[np.int8]:
        """The condition farthest from what training saw, int8 (n_entities, n_steps)."""
        return np.asarray(self.experience.max(axis=2, initial=INSIDE), np.int8)

    @property
    def n_fitted(self) -> Ints:
        """How many channels entities have, (n_entities, n_steps), or (n_entities, 1) where that
        does not change.
        """
        always, n_steps = self.fitted_from <= 0, self.inputs.shape[1]
        if (always | (self.fitted_from >= n_steps)).all():
            return np.asarray(np.count_nonzero(always, axis=1)[:, None])
        steps = np.arange(n_steps)[:, None]
        return np.asarray(np.count_nonzero(self.fitted_from[:, None, :] <= steps, axis=2))


def entity_features(
    spec: FeatureSpec, scalers: Sequence[Scaler], values: Floats64, start_s: int
) -> InputSet:
    """Features of entities from their readings (n_entities, n_steps, n_channels), NaN: not read.

    There is a scaler for each entity; `start_s` is the first step in Unix seconds.
    """
    n_entities, n_steps, _ = values.shape
    known = held(values, spec.hold_steps)
    running = running_state(known, spec.running_when, spec.channels, spec.grace_steps)
    running = settling(spec, known, running)
    scaled = columns_of(spec, scalers, known)
    more = derived(scaled, rolling_mean=spec.rolling_mean, lag=spec.lag, diff=spec.diff)
    clock = _clock(spec, start_s, n_steps)
    clock = np.broadcast_to(clock, (n_entities, *clock.shape))
    conditions, is_told = condition_inputs(spec, scalers, known)
    inputs = np.concatenate([scaled, more, conditions, clock], axis=-1, dtype=np.float32)
    # Derived columns of a channel that is dead do not count against the others.
    seen = np.isfinite(scaled)
    by_column = np.isfinite(more).reshape(*more.shape[:-1], -1, scaled.shape[-1])
    unknown = ~by_column & seen[..., None, :]
    present = seen if spec.is_plain else of_channels(spec, seen, np.bool_(False))
    context_ok = np.asarray(~unknown.any(axis=(-1, -2)) & is_told, np.bool_)
    fitted_from = np.array([np.where(scaler.fitted, 0, NEVER) for scaler in scalers], np.int64)
    seen_inputs, moved = np.nan_to_num(inputs, nan=0.0), _moved(scalers, known)
    radians = radians_of(spec, scalers)
    seen_before = experience(spec, scalers, known, running)
    return InputSet(
        seen_inputs, present, running, context_ok, fitted_from, moved, radians, seen_before
    )


def columns_of(spec: FeatureSpec, scalers: Sequence[Scaler], known: Floats64) -> Floats32:
    """Columns (n_entities, n_steps, n_columns) that a detector reconstructs, NaN where unknown.

    An angle is two: see `circle_columns`. `known` (n_entities, n_steps, n_channels) are in the
    channels' units, held.
    """
    scaled = np.stack([scaler.transform(part) for scaler, part in zip(scalers, known, strict=True)])
    if spec.is_plain:
        return scaled
    found, angles = scaled[..., spec.column_channels], spec.angles
    if not len(angles):
        return found
    centers, scales = (
        np.array([getattr(scaler, name) for scaler in scalers])[:, None, angles]
        for name in ("center", "scale")
    )
    periods = np.array([_period(scalers[0], at) for at in angles])
    is_known = np.isfinite(scaled[..., angles])
    n_seen, first = found.shape[-1] - len(angles), np.flatnonzero(np.isin(spec.seen, angles))
    parts = circle_columns(known[..., angles], centers, scales, periods)
    for at, part in zip((first, np.arange(n_seen, found.shape[-1])), parts, strict=True):
        found[..., at] = np.where(is_known, part, np.nan).astype(np.float32)
    return found


def _period(scaler: Scaler, channel: int) -> float:
    circle = scaler.circles[channel]
    assert circle is not None
    return circle.period


def radians_of(spec: FeatureSpec, scalers: Sequence[Scaler]) -> Floats64:
    """Scales of the angles in radians, (n_entities, n_angles)."""
    found = [
        [scaler.scale[at] * (2 * math.pi / _period(scaler, at)) for at in spec.angles]
        for scaler in scalers
    ]
    return np.array(found, np.float64).reshape(len(scalers), len(spec.angles))


def of_channels(spec: FeatureSpec, columns: NDArray[Any], unseen: np.generic) -> NDArray[Any]:
    """What columns (..., n_columns) say of channels, (..., n_channels): an angle's first one."""
    found = np.full((*columns.shape[:-1], len(spec.channels)), unseen, columns.dtype)
    found[..., spec.seen] = columns[..., : len(spec.seen)]
    return found


def _moved(scalers: Sequence[Scaler], known: Floats64) -> Flags:
    """Where channels are elsewhere that never moved in training, of known values; empty: nowhere.

    What they are scaled to says nothing of it: it stays 0.
    """
    if any(0.0 in scaler.scale for scaler in scalers):
        moved = np.stack([one.moved(part) for one, part in zip(scalers, known, strict=True)])
        if moved.any():
            return moved
    return np.zeros((*known.shape[:-1], 0), np.bool_)


# Entities are often seen one by one on the same steps, and each quarter of an hour asks the zone.
@lru_cache(maxsize=4)
def _clock(spec: FeatureSpec, start_s: int, n_steps: int) -> Floats32:
    """Inputs that all entities share, (n_steps, n); not to be changed."""
    times_s = start_s + np.arange(n_steps, dtype=np.int64) * spec.step_s
    cyclic = cyclic_time(times_s, spec.zone, spec.cyclic, spec.holidays, spec.rest_weekday)
    if not spec.holidays:
        return cyclic
    return np.concatenate(
        [cyclic, days_off(times_s, spec.zone, spec.holidays, spec.rest_weekday)], axis=1
    )


@dataclass(frozen=True)
class Windows:
    """Windows that need an error, as positions in all entities' steps laid end to end.

    Attributes
    ----------
    ends : int64 (n_windows,)
    live : bool (n_windows, n_channels)
    reasons : int16 (n_entities, n_steps)
    fitted : bool (n_windows, n_channels), which channels the entity has.
    """

    ends: Ints
    live: Flags
    reasons: NDArray[np.int16]
    fitted: Flags


def entity_windows(spec: FeatureSpec, features: InputSet, wanted: Flags) -> Windows:
    """Windows of the wanted steps, bool (n_entities, n_steps)."""
    n_steps, n_channels = features.present.shape[1:]
    reasons = np.zeros(wanted.shape, np.int16)
    ends, lives = [np.zeros(0, np.int64)], [np.zeros((0, n_channels), bool)]
    entities, n_fitted = np.flatnonzero(wanted.any(axis=1)), features.n_fitted
    for part in windows.batches(len(entities), _n_together(n_steps * n_channels)):
        chosen = entities[part]
        live, reasons[chosen] = windows.window_reasons(
            features.present[chosen],
            features.running[chosen],
            features.context_ok[chosen],
            width=spec.width,
            min_coverage=spec.min_coverage,
            n_fitted=n_fitted[chosen],
        )
        entity, step = np.nonzero(wanted[chosen] & (reasons[chosen] == windows.SCORED))
        ends.append(chosen[entity] * n_steps + step)
        lives.append(live[entity, step])
    joined = np.concatenate(ends)
    fitted = features.fitted(joined // max(n_steps, 1), joined % max(n_steps, 1))
    return Windows(joined, np.concatenate(lives), reasons, fitted)


def _n_together(n_cells: int) -> int:
    """How many entities of so many array cells each are computed at once."""
    return max(1, _CELLS // max(1, n_cells))


def combined_errors(
    spec: ModelSpec,
    entities: Sequence[str],
    entity_of: Ints,
    channel_errors: Floats32,
    live: Flags,
    fitted: Flags | None = None,
) -> tuple[Floats32, Floats32]:
    """Errors of windows (n,) and channels (n, n_channels) on the model's scale; NaN: unknown.

    Without tails that is the detector's own scale, with them it is surprise in nats. `entity_of`
    (n,) says of which of the entities a window is, `live` which of its channels count, `fitted`
    which channels its entity has (None: all): only those can be dead.
    """
    found = channel_errors
    if spec.tails is not None:
        units = np.array([spec.tails.unit(name) for name in entities], np.float64)
        units = units.reshape(len(entities), -1)
        not_dead = live if fitted is None else live | ~fitted
        grown = spec.tails.grown(not_dead)
        found = spec.tails.surprises_in(channel_errors, units[entity_of] * grown)
    errors = _one_error(spec, found, live)
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(errors), errors, np.float32(np.nan)), np.where(
            live, found, np.float32(np.nan)
        )


def _one_error(spec: ModelSpec, channel_errors: Floats32, live: Flags) -> Floats32:
    """Errors (n,) of live channels (n, n_channels) as one."""
    if spec.combine == "mean":
        return windows.window_errors(channel_errors, live)
    return top_mean(channel_errors, live, spec.top_k if spec.combine == "top_k" else 1)


@dataclass(frozen=True)
class Scores:
    """Thresholds, scores and flags of some entities, all (n_entities, n_steps)."""

    thresholds: Floats32
    scores: Floats32
    flags: Flags
    collective: Flags
    severity: NDArray[np.int8]


def entity_scores(
    spec: ModelSpec,
    entities: Sequence[str],
    errors: Floats32,
    first_step: int = 0,
    moved: Flags | None = None,
    farthest: NDArray[np.int8] | None = None,
    channel_errors: Floats32 | None = None,
) -> Scores:
    """Scores from errors, float32 (n_entities, n_steps), NaN where unknown.

    Steps before `first_step` are only looked back at, and get neither threshold nor score. The
    first `spec.threshold.history_steps` steps have less to look back at: their scores are not to be
    used. Where a channel moved for the first time, bool of the errors' shape, a known score is at
    least `MOVED_SCORE`; no error changes, so that no threshold follows it. Where a condition is
    beyond what training saw (`InputSet.farthest`) it is at most `BEYOND_SCORE`. Where that is known
    by now it is as high as what `channel_errors` (n_entities, n_steps, n_channels), on the model's
    scale, exceed what is usual there (`experience.above_usual`); without them it stays capped.
    """
    thresholds = np.full_like(errors, np.nan)
    scores = np.full_like(errors, np.nan)
    collective = np.zeros(errors.shape, bool)
    for part in windows.batches(len(entities), _n_together(errors.shape[1])):
        limits = Limits.of([spec.calibration(name) for name in entities[part]])
        judged = part, slice(first_step, None)
        thresholds[judged] = threshold_series(errors[part], limits, spec.threshold, first_step)
        # A moving average sees the steps of its own width only.
        n_before = min(first_step, max(spec.threshold.collective_width - 1, 0))
        moving = collective_series(errors[part, first_step - n_before :], limits, spec.threshold)[
            :, n_before:
        ]
        scores[judged], collective[judged] = combined_scores(
            errors[judged], thresholds[judged], moving, limits.collective_limit
        )
    if moved is not None and moved.any():
        scores = np.where(moved, np.maximum(scores, MOVED_SCORE), scores)
    if farthest is not None and farthest.any():
        scores = np.where(farthest != INSIDE, np.minimum(scores, BEYOND_SCORE), scores)
        known = (farthest == KNOWN) & np.isfinite(thresholds)
        known &= channel_errors is not None
        for entity in np.flatnonzero(known.any(axis=1)):
            assert channel_errors is not None
            own = channel_errors[entity], thresholds[entity], known[entity]
            found = _known_scores(spec, *own, None if moved is None else moved[entity])
            scores[entity] = np.where(known[entity], np.fmax(scores[entity], found), scores[entity])
    flags = flag(scores)
    return Scores(thresholds, scores, flags, collective, severities(scores))


def _known_scores(
    spec: ModelSpec,
    channel_errors: Floats32,
    thresholds: Floats32,
    known: Flags,
    moved: Flags | None,
) -> Floats32:
    """Scores (n_steps,) of one entity of what stands out from the hours before, NaN where unknown.

    `known` are steps under conditions beyond training that are known by now. What moves there for
    the first time, and had not in those hours, stands out.
    """
    features, per_hour = spec.features, 3600 // spec.features.step_s
    n_back = max(features.learned_steps, 1)
    back = n_back, features.width, per_hour
    excess = above_usual(channel_errors, thresholds, known, *back)
    one = _one_error(spec, excess, np.isfinite(channel_errors))
    scores = anomaly_scores(one, thresholds)
    if moved is not None and moved.any():
        began = above_usual(
            moved[:, None].astype(np.float32), np.zeros_like(thresholds), known, *back
        )
        scores = np.where(began[:, 0] > 0, np.fmax(scores, MOVED_SCORE), scores)
    return scores


# Of several the first one holds; the order is that of the rules in `hour_status`.
_STATUSES = np.array(
    [
        HourStatus.OFF,
        HourStatus.UNKNOWN_ENTITY_SCALE,
        HourStatus.SCORED,
        HourStatus.PARTIAL,
        HourStatus.INPUTS_RETIRED,
        HourStatus.STALE,
        HourStatus.GAP,
        HourStatus.INSUFFICIENT_HISTORY,
    ]
)


def hour_status(
    reasons: NDArray[np.int16], present: Flags, *, provisional: Marks, silent: Marks, retired: Marks
) -> tuple[NDArray[np.str_], Ints, Ints]:
    """Status of entities' hours, steps needed, steps seen, (...) each.

    Parameters
    ----------
    reasons : int16 (..., n_steps) of the hour; 0 where there is a score.
    present : bool (..., n_steps), whether anything was read at the step.
    provisional : (...), the entity has no scale of its own.
    silent : (...), nothing was read in the hours before either.
    retired : (...), readings that the hour needs were dropped by retention.

    >>> reasons, read = np.array([[0, 2], [3, 3]], np.int16), np.ones((2, 2), bool)
    >>> found = hour_status(reasons, read, provisional=False, silent=False, retired=False)
    >>> tuple(part.tolist() for part in found)
    (['partial', 'off'], [2, 0], [1, 0])
    """
    n_needed = np.count_nonzero(
        ~np.isin(reasons, (windows.OFF, windows.STARTUP, windows.PENDING)), axis=-1
    )
    n_seen = np.count_nonzero(reasons == windows.SCORED, axis=-1)
    unread, any_seen = ~present.any(axis=-1), n_seen > 0
    rules = [
        n_needed == 0,
        any_seen & provisional,
        n_seen == n_needed,
        any_seen,
        retired,
        unread & silent,
        unread,
    ]
    first = np.select(np.broadcast_arrays(*rules), list(range(len(rules))), len(rules))
    return _STATUSES[first], np.asarray(n_needed), np.asarray(n_seen)
