"""Errors of a folding model: states go on hour by hour, and are remembered where it saves time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.interval import hours_later, unix_s
from tsad_tasks.detectors.base import Detector, Reconstruction
from tsad_tasks.detectors.folding.fold import (
    AssetReconstruction,
    Series,
    State,
    at_ends,
)
from tsad_tasks.detectors.folding.series_fold import FoldDetector
from tsad_tasks.detectors.folding.stored_state import joined_state, states_bytes
from tsad_tasks.model.features import rest_days, site_seconds
from tsad_tasks.model.scoring import InputSet, of_channels
from tsad_tasks.model.spec import FeatureSpec, ModelSpec
from tsad_tasks.scoring.columns import in_channels, of_windows
from tsad_tasks.scoring.shard import FeatureShard, FoldStarts
from tsad_tasks.storage.folds import FoldStates, write_fold_states
from tsad_tasks.storage.store import Store

# Older states go, but for one a day: a late row makes at most a day be folded again.
REMEMBERED_HOURS = 6
# States of so many series are in memory together: more at once would gain nothing, a step costs as
# much as 40 of them.
SERIES_TOGETHER = 4000


class StateAfter(NamedTuple):
    """An entity's state after an hour: its place in the job, the hour from `errors_at`, bytes."""

    entity: int
    hour: int
    content: bytes


def series_of(spec: FeatureSpec, features: InputSet, start_s: int) -> Series:
    """What a folding detector sees: scaled columns, unknown while the machine does not run."""
    present = features.present if spec.is_plain else features.present[..., spec.column_channels]
    known = present & (features.running == 0)[..., None]
    values = np.where(known, features.inputs[..., : spec.n_columns].astype(np.float64), np.nan)
    times_s = start_s + np.arange(values.shape[1], dtype=np.int64) * spec.step_s
    local_s = site_seconds(times_s, spec.zone)
    conditions = None
    if spec.folds_under:
        inputs = features.inputs[..., spec.condition_columns].astype(np.float64)
        conditions = np.where(features.context_ok[..., None], inputs, np.nan)
    weekdays = rest_days(local_s, *spec.calendar)
    return Series(values, local_s, spec.step_s, weekdays, conditions=conditions)


def entity_reconstruction(
    spec: FeatureSpec,
    detector: Detector,
    entity: str,
    features: InputSet,
    start_s: int,
    ends: NDArray[np.int64],
    seen_so_far: tuple[int, State] | None = None,
) -> Reconstruction:
    """What a detector makes of one entity's windows; a fold's first step is its anchor.

    Parameters
    ----------
    seen_so_far : a fold's state after so many steps, which are unknown then; None: from the first.
    """
    if not detector.folds:
        found = detector.reconstruct(features.inputs[0], ends)
    else:
        folding = cast(FoldDetector, detector)
        n_seen, state = seen_so_far or (0, folding.start([entity]))
        series = part_of(series_of(spec, features, start_s), slice(None), slice(n_seen, None))
        found = at_ends(after_unknown(n_seen, folding.advance(state, series)[1]), ends)
    return of_windows(spec, detector, found, features, ends)


class Folded(NamedTuple):
    """What a detector makes of entities that fold on the same steps: (n_entities, n_steps,
    n_channels) where a channel was known, and what was found; and their states after that.
    """

    entities: Sequence[str]
    known: NDArray[np.bool_]
    made: Reconstruction
    state: State


def fold_entities(
    spec: FeatureSpec,
    detector: FoldDetector,
    entities: Sequence[str],
    features: Sequence[InputSet],
    start_s: int,
) -> Folded:
    """Entities folded from the anchor on, each on its own features of the same steps."""
    series = side_by_side([series_of(spec, one, start_s) for one in features])
    state, made = detector.advance(detector.start(entities), series)
    made = in_channels(spec, detector, made, _radians_of(features))
    return Folded(entities, known_channels(spec, series), made, state)


def known_channels(spec: FeatureSpec, series: Series) -> NDArray[np.bool_]:
    """Whether there is a value, (n_entities, n_steps, n_channels)."""
    known = np.isfinite(series.values)
    return known if spec.is_plain else of_channels(spec, known, np.bool_(False))


def _radians_of(features: Sequence[InputSet]) -> NDArray[np.float64]:
    """Scales of angles, to broadcast to the steps of entities that follow one another."""
    return np.concatenate([one.radians for one in features])[:, None]


class EntityFold:
    """What a folding detector makes of one entity's readings, and of copies that differ late.

    Parameters
    ----------
    usual : the readings as they are; the first step is the anchor.
    at : the step from which copies may differ. Others are gone through as a whole.
    state, found : after `at` steps, and of all steps.
    """

    def __init__(
        self,
        spec: FeatureSpec,
        detector: FoldDetector,
        entity: str,
        start_s: int,
        usual: Series,
        at: int,
        state: State,
        found: Reconstruction,
    ) -> None:
        self.spec, self.detector, self.entity, self.start_s = spec, detector, entity, start_s
        self.at, self.state, self.found, self._usual = at, state, found, usual

    def reconstruction(self, features: InputSet, ends: NDArray[np.int64]) -> Reconstruction:
        """Errors and expected values of a copy at `ends`."""
        return reconstructions([Copy(self, features, ends)])[0]

    def first_new(self, series: Series) -> int | None:
        """The step from which a copy has to be gone through; None: it is as usual."""
        ours, usual = series.values, self._usual.values
        is_usual = (ours == usual) | (np.isnan(ours) & np.isnan(usual))
        if is_usual.all():
            return None
        return self.at if is_usual[:, : self.at].all() else 0


class Copy(NamedTuple):
    """Readings that differ from those of a fold, and the steps at which errors are wanted."""

    fold: EntityFold
    features: InputSet
    ends: NDArray[np.int64]


def reconstructions(copies: Sequence[Copy]) -> list[Reconstruction]:
    """Errors and expected values of copies, each at its `ends`.

    Those that go on from the same step go through the fold together, whosever they are: a step of
    many costs little more than one of one, and what each comes to is the same to the bit.
    """
    each = [series_of(fold.spec, features, fold.start_s) for fold, features, _ in copies]
    found = [fold.found for fold, _, _ in copies]
    together: dict[tuple[int, int, int], list[int]] = {}
    for number, ((fold, _, _), series) in enumerate(zip(copies, each, strict=True)):
        if (first := fold.first_new(series)) is not None:
            on_steps = fold.start_s, len(series.local_s), first
            together.setdefault(on_steps, []).append(number)
    for (*_, first), numbers in together.items():
        folds = [copies[number].fold for number in numbers]
        detector = folds[0].detector
        later = side_by_side(
            [part_of(each[number], slice(None), slice(first, None)) for number in numbers]
        )
        state = (
            {name: np.concatenate([one.state[name] for one in folds]) for name in folds[0].state}
            if first
            else detector.start([fold.entity for fold in folds])
        )
        _, after = detector.advance(state, later)
        for place, (number, fold) in enumerate(zip(numbers, folds, strict=True)):
            own = entities_of(after, slice(place, place + 1))
            before = steps_of(fold.found, slice(first))
            found[number] = one_after_the_other(before, own)
    return [
        of_windows(fold.spec, fold.detector, at_ends(made, ends), features, ends)
        for (fold, features, ends), made in zip(copies, found, strict=True)
    ]


def entity_folds(
    spec: FeatureSpec,
    detector: FoldDetector,
    entities: Sequence[str],
    features: Sequence[InputSet],
    start_s: int,
    at: int,
) -> list[EntityFold]:
    """Folds of entities on the same steps, gone through together."""
    each = [series_of(spec, one, start_s) for one in features]
    series = side_by_side(each)
    first, rest = (part_of(series, slice(None), part) for part in (slice(at), slice(at, None)))
    state, before = detector.advance(detector.start(entities), first)
    found = one_after_the_other(before, detector.advance(state, rest)[1])
    folds = []
    for number, (entity, usual) in enumerate(zip(entities, each, strict=True)):
        own = slice(number, number + 1)
        of_it = entities_of(found, own)
        its_state = {name: array[own] for name, array in state.items()}
        folds.append(EntityFold(spec, detector, entity, start_s, usual, at, its_state, of_it))
    return folds


def entities_of(found: Reconstruction, entities: slice) -> Reconstruction:
    """What was found of some of the entities."""
    return type(found)(**{name: part[entities] for name, part in vars(found).items()})


def steps_of(found: Reconstruction, steps: slice) -> Reconstruction:
    """What was found on some of the steps."""
    return type(found)(**{name: part[:, steps] for name, part in vars(found).items()})


def one_after_the_other(first: Reconstruction, then: Reconstruction) -> Reconstruction:
    """What was found on steps and those after them."""
    parts = vars(first), vars(then)
    return type(first)(
        **{name: np.concatenate([one[name] for one in parts], axis=1) for name in parts[0]}
    )


def after_unknown(n_steps: int, found: Reconstruction) -> Reconstruction:
    """What was found, after steps of which nothing is known."""
    unknown = {
        name: np.full((len(part), n_steps, *part.shape[2:]), np.nan, part.dtype)
        for name, part in vars(found).items()
    }
    return one_after_the_other(type(found)(**unknown), found)


def side_by_side(each: Sequence[Series]) -> Series:
    """Series of the same steps as one."""
    conditions = [one.conditions for one in each if one.conditions is not None]
    return replace(
        each[0],
        values=np.concatenate([one.values for one in each]),
        conditions=np.concatenate(conditions) if conditions else None,
    )


def part_of(series: Series, entities: NDArray[np.int64] | slice, steps: slice) -> Series:
    """Some entities and steps of a series."""
    weekdays = None if series.weekdays is None else series.weekdays[steps]
    noise = None if series.noise is None else series.noise[entities, steps]
    under = None if series.conditions is None else series.conditions[entities, steps]
    values, local_s = series.values[entities, steps], series.local_s[steps]
    return Series(values, local_s, series.step_s, weekdays, noise, under)


def fold_shard(
    shard: FeatureShard, starts: FoldStarts, spec: ModelSpec, detector: FoldDetector
) -> tuple[Reconstruction, list[StateAfter]]:
    """What was found, (n_entities, n_steps, n_channels) from each entity's start on; its states."""
    series = series_of(spec.features, shard.features, unix_s(shard.values_at))
    if shard.growth is not None and not spec.noise_power:
        of = spec.features
        by_column = shard.growth if of.is_plain else shard.growth[..., of.column_channels]
        series = replace(series, noise=by_column)
    n_hours, per_hour = shard.wanted.shape[1], 3600 // series.step_s
    offset = (unix_s(shard.errors_at) - unix_s(shard.values_at)) // 3600
    unknown = np.full(shard.features.present.shape, np.nan, np.float32)
    radians = shard.features.radians[:, None]
    found = {name: unknown.copy() for name in ("channel_errors", "expected")}
    states: list[StateAfter] = []
    for first in np.unique(starts.hours[starts.hours < n_hours]).tolist():
        entities = np.flatnonzero(starts.hours == first)
        contents = [starts.states[entity] for entity in entities]
        names = [shard.job.entities[entity][0] for entity in entities]
        state = joined_state(contents) if all(contents) else detector.start(names)
        for hour in range(first, n_hours):
            steps = slice((hour + offset) * per_hour, (hour + offset + 1) * per_hour)
            state, made = detector.advance(state, part_of(series, entities, steps))
            made = in_channels(spec.features, detector, made, radians[entities])
            for name, part in vars(made).items():
                found.setdefault(name, unknown.copy())[entities, steps] = part
            if _is_remembered(shard, hour):
                hours = [hour] * len(entities)
                states += map(StateAfter, entities.tolist(), hours, states_bytes(state))
    kind = AssetReconstruction if "deviations" in found else Reconstruction
    return kind(**found), states


def _is_remembered(shard: FeatureShard, hour: int) -> bool:
    """The last hours, as far as they were read to their end, and the last one of each day."""
    n_hours, n_pending = shard.wanted.shape[1], shard.job.n_pending
    at = hour - (n_hours - len(n_pending))
    is_whole = at < 0 or n_pending[at] == 0
    is_last = hour >= n_hours - 2 or hours_later(shard.errors_at, hour).hour == 23
    return bool(is_whole and is_last)


def remember_states(
    store: Store, shard: FeatureShard, states: Sequence[StateAfter], digests: NDArray[np.int64]
) -> None:
    """Writes states with the digests found under the locks, (n_entities, n_hours)."""
    # Of hours that another scale is for, the state is only passed through.
    scoped = shard.job.scoped(shard.errors_at, digests.shape[1])
    kept = [one for one in states if scoped[one.entity, one.hour]]
    if not kept:
        return
    ids = [shard.job.entity_ids[one.entity] for one in kept]
    hours = [hours_later(shard.errors_at, one.hour) for one in kept]
    of_hours = [int(digests[one.entity, one.hour]) for one in kept]
    rows = FoldStates(ids, hours, of_hours, [one.content for one in kept])
    forgotten_at = hours_later(max(hours), -REMEMBERED_HOURS)
    write_fold_states(store, shard.job.champion.model_id, rows, forgotten_at)
