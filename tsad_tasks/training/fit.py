"""Tasks of a retraining up to the fitted detector: exclusions, features, windows, train."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from upath import UPath

from tsad_tasks.base.errors import BadInput, NothingToDo
from tsad_tasks.base.interval import from_unix_s, hour_ceil, hours_later, unix_s
from tsad_tasks.config import DEFAULT_WINDOW, DatasetConfig, holidays_of
from tsad_tasks.detectors.base import Budget, Detector, Progress, TrainingHistory, TrainingSet
from tsad_tasks.detectors.folding.fold import FoldDetector, Series
from tsad_tasks.detectors.registry import build_detector, detector_class
from tsad_tasks.model.features import SUNDAY, Scaler, fit_scaler, pooled_scaler
from tsad_tasks.model.periods import dominant_period
from tsad_tasks.model.scoring import combined_errors, entity_features, entity_windows
from tsad_tasks.model.spec import FeatureSpec, ModelSpec
from tsad_tasks.model.thresholds import FOLDING_KINDS, starts_after
from tsad_tasks.model.windows import SCORED, Number, batches, gather, window_reasons
from tsad_tasks.scoring.fold import SERIES_TOGETHER, series_of
from tsad_tasks.scoring.shard import read_arrays, write_arrays
from tsad_tasks.storage.datasets import Layout, select_dataset, select_entities, select_layouts
from tsad_tasks.storage.readings import read_blocks
from tsad_tasks.storage.store import Store
from tsad_tasks.text.formats import counted
from tsad_tasks.training.held_out import HeldOut, is_extreme, seen_by_window
from tsad_tasks.training.queries import Exclusion

LABEL_MARGIN_S, LABEL_REASON, CONFIRMED_REASON = 1800, "label: ", "verdict: confirmed"
# Counted, not a range: windows with such a value are not learned from.
EXTREME_REASON = "extreme values"
FEW_WINDOWS = 50
# A folding detector learns from at least three days. Each of its steps costs as much as so many
# series in it.
MIN_FOLD_S, STEP_SERIES = 259200, 40
SHORTEST_PERIOD, LONGEST_PERIOD, MAX_PERIOD_ENTITIES = 5, 60, 24
DAY_S, WEEK_S = 86400, 604800


# Names and ids.
Entities = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Scope:
    """What one model is for: all entities (entity_id 0) or one of them."""

    entity_id: int
    name: str
    entities: Entities


def training_scopes(store: Store, config: DatasetConfig) -> list[Scope]:
    """The scopes that a retraining of the dataset has."""
    dataset = select_dataset(store, config.dataset)
    entities = tuple(sorted(select_entities(store, dataset.dataset_id).items()))
    if not entities:
        raise NothingToDo(
            f"Expected readings of {config.dataset} to train on. Received: no entity yet; ingest "
            "first."
        )
    if config.detector.scope == "dataset":
        return [Scope(0, "all", entities)]
    return [Scope(key, name, ((name, key),)) for name, key in entities]


@dataclass(frozen=True)
class TrainingRange:
    """A training range, cut by time: learn from [start_at, split_at), calibrate and gate on
    [split_at, end_at).
    """

    start_at: datetime
    split_at: datetime
    gate_at: datetime
    end_at: datetime


def training_range(config: DatasetConfig, end_at: datetime) -> TrainingRange:
    """The rolling range that ends at `end_at`, whole hours, of which the last `validation_share` is
    held out.

    The first half of that is for calibration, or a whole week where that leaves the gate a day or
    more: a week has Mondays and Sundays, and limits that have not seen them cry wolf on them. The
    rest is only for the gate.
    """
    end = hour_ceil(end_at)
    held_s = max(
        int(config.training.range_s * config.training.validation_share) // 7200 * 7200, 7200
    )
    gate_s = held_s // 2
    if held_s >= WEEK_S + DAY_S:
        gate_s = min(gate_s, held_s - WEEK_S)
    start = end - timedelta(seconds=config.training.range_s)
    return TrainingRange(
        hour_ceil(start), end - timedelta(seconds=held_s), end - timedelta(seconds=gate_s), end
    )


@dataclass(frozen=True)
class FoldGroup:
    """Entities, by name and id, that share one range to learn from and to be held out."""

    entities: Entities
    span: TrainingRange

    def to_json(self) -> dict[str, Any]:
        """The group as a JSON object."""
        return {
            "entities": self.entities,
            "span": {name: unix_s(at) for name, at in vars(self.span).items()},
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> FoldGroup:
        """The group of a JSON object."""
        span = TrainingRange(**{name: from_unix_s(at_s) for name, at_s in fields["span"].items()})
        return cls(tuple((name, key) for name, key in fields["entities"]), span)


def feature_spec_of(config: DatasetConfig) -> FeatureSpec:
    """The features that a model trained now would have."""
    step_s, source = config.source.step_s, config.source
    country = config.features.holidays
    holidays, rest_weekday = holidays_of(country) if country else ((), SUNDAY)
    return FeatureSpec(
        channels=config.channel_names,
        hold_steps=tuple(channel.hold_s // step_s for channel in source.channels.values()),
        step_s=step_s,
        site_zone=config.site_zone,
        width=1 if detector_class(config.detector.name).folds else config.detector.n_steps,
        min_coverage=config.detector.min_coverage,
        running_when=config.running_when,
        grace_steps=config.startup_grace_s // step_s,
        rolling_mean=tuple(config.features.rolling_mean),
        lag=tuple(config.features.lag),
        diff=tuple(config.features.diff),
        cyclic=tuple(config.features.cyclic),
        holidays=holidays,
        rest_weekday=rest_weekday,
    )


@dataclass(frozen=True)
class PreparedTraining:
    """Windows to train on.

    Attributes
    ----------
    inputs, ends, validation_ends, labels : as in `TrainingSet`; only the steps that some window
        needs are kept.
    n_available : windows that the range offers; the sampled share of them is trained on.
    n_extreme : (n_entities,), steps that no window may hold for a value that is out of the
        question.
    """

    inputs: NDArray[np.float32]
    ends: NDArray[np.int64]
    validation_ends: NDArray[np.int64]
    labels: NDArray[np.bool_]
    n_available: int
    n_extreme: NDArray[np.int64]

    def save(self, path: UPath) -> None:
        """Writes the windows as one file."""
        arrays: dict[str, NDArray[Any]] = {
            "inputs": self.inputs,
            "ends": self.ends,
            "labels": self.labels,
        }
        arrays |= {"validation_ends": self.validation_ends, "n_extreme": self.n_extreme}
        write_arrays(path, arrays, {"n_available": self.n_available})

    @classmethod
    def load(cls, path: UPath) -> PreparedTraining:
        """The windows of a file."""
        arrays, facts = read_arrays(path)
        return cls(n_available=facts["n_available"], **arrays)


@dataclass(frozen=True)
class Scales:
    """Scales of a training range.

    Attributes
    ----------
    own : by entity name, of entities with enough running time of their own.
    pooled : for all others.
    running_hours : by entity name, in the part that is learned from.
    """

    own: Mapping[str, Scaler]
    pooled: Scaler
    running_hours: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """The scales as a JSON object."""
        own = {name: scaler.to_json() for name, scaler in self.own.items()}
        return {
            "own": own,
            "pooled": self.pooled.to_json(),
            "running_hours": dict(self.running_hours),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Scales:
        """The scales of a JSON object, to the bit."""
        own = {name: Scaler.from_json(part) for name, part in fields["own"].items()}
        return cls(own, Scaler.from_json(fields["pooled"]), fields["running_hours"])


def fit_scales(reader: TrainingReader, scope: Scope) -> Scales:
    """Scales from the part of the range that is learned from.

    Raises
    ------
    BadInput
        When there is less running time than `training.min_hours`.
    """
    config, span = reader.config, reader.span
    scalers, hours = {}, {}
    for name, entity_id in scope.entities:
        values, usable = reader.clean(entity_id, span.start_at, span.split_at)
        hours[name] = float(usable.sum()) * config.source.step_s / 3600
        if usable.any():
            scalers[name] = fit_scaler(
                np.where(usable[:, None], values, np.nan), config.features.scaling
            )
    _check_hours(config, span, hours)
    enough_s = min(config.features.min_own_scale_s, config.training.range_s / 2)
    own = {name: scaler for name, scaler in scalers.items() if hours[name] * 3600 >= enough_s}
    return Scales(own, pooled_scaler(list(scalers.values()), config.features.scaling), hours)


def prepare_training(reader: TrainingReader, scope: Scope, scales: Scales) -> PreparedTraining:
    """Windows of the range, sampled evenly over entities and time.

    Raises
    ------
    BadInput
        When there is no complete window.
    """
    quota = max(1, reader.config.training.max_windows // len(scope.entities))
    parts = [
        reader.windows(key, scales.own.get(name, scales.pooled), quota)
        for name, key in scope.entities
    ]
    return _joined(reader.config, parts)


def _check_hours(config: DatasetConfig, span: TrainingRange, hours: Mapping[str, float]) -> None:
    if sum(hours.values()) < config.training.min_hours:
        raise BadInput(
            f"Expected at least {config.training.min_hours:g} running hours of {config.dataset} in "
            f"[{span.start_at:%Y-%m-%d %H:%M}, {span.split_at:%Y-%m-%d %H:%M}) UTC. "
            f"Received: {sum(hours.values()):.1f}. Ingest more, or lower training.min_hours."
        )


@dataclass(frozen=True)
class _EntityWindows:
    inputs: NDArray[np.float32]
    ends: NDArray[np.int64]
    validation_ends: NDArray[np.int64]
    labels: NDArray[np.bool_]
    n_available: int
    n_extreme: int


class TrainingReader:
    """Readings of a training range, entity by entity, without what is excluded.

    Parameters
    ----------
    read : readings float64 (n_steps, n_channels) of an entity id in [start_at, end_at), whole
        hours.
    """

    def __init__(
        self,
        read: Callable[[int, datetime, datetime], NDArray[np.float64]],
        config: DatasetConfig,
        span: TrainingRange,
        exclusions: Sequence[Exclusion],
    ) -> None:
        self.values, self.config, self.span = read, config, span
        self._spec, self._exclusions = feature_spec_of(config), exclusions
        found = detector_class(config.detector.name)
        self._is_supervised, self._folds = found.supervised, found.folds

    @classmethod
    def of_store(
        cls,
        store: Store,
        config: DatasetConfig,
        span: TrainingRange,
        exclusions: Sequence[Exclusion],
        channels: Sequence[str] | None = None,
    ) -> TrainingReader:
        """What was ingested; of the dataset's channels, unless others are named."""
        dataset = select_dataset(store, config.dataset)
        layout: Layout = select_layouts(store, dataset.dataset_id)[0]
        columns = [layout.channel_names.index(name) for name in channels or config.channel_names]

        def read(entity_id: int, start_at: datetime, end_at: datetime) -> NDArray[np.float64]:
            blocks = read_blocks(store, layout, [entity_id], start_at, end_at)
            return np.asarray(blocks.values[0][:, columns], np.float64)

        return cls(read, config, span, exclusions)

    def leaving_out(self, exclusions: Sequence[Exclusion]) -> TrainingReader:
        """The same readings without something else."""
        return TrainingReader(self.values, self.config, self.span, exclusions)

    def on(self, span: TrainingRange) -> TrainingReader:
        """The same readings, cut at other times."""
        return TrainingReader(self.values, self.config, span, self._exclusions)

    def excluded(self, entity_id: int, start_at: datetime, end_at: datetime) -> NDArray[np.bool_]:
        """bool (n_steps,), which steps of an entity are left out."""
        ranges = [part for part in self._exclusions if part.reason != EXTREME_REASON]
        return self._marked(entity_id, start_at, end_at, ranges, 0)

    def labelled(self, entity_id: int, start_at: datetime, end_at: datetime) -> NDArray[np.bool_]:
        """bool (n_steps,), which steps of an entity are known anomalies, without the margin that is
        excluded.
        """
        labels = [part for part in self._exclusions if is_known(part)]
        return self._marked(entity_id, start_at, end_at, labels, LABEL_MARGIN_S)

    def _marked(
        self,
        entity_id: int,
        start_at: datetime,
        end_at: datetime,
        parts: Sequence[Exclusion],
        margin_s: int,
    ) -> NDArray[np.bool_]:
        first_s, step_s = unix_s(start_at), self._spec.step_s
        marked = np.zeros((unix_s(end_at) - first_s) // step_s, bool)
        for part in parts:
            if part.entity_id == entity_id:
                first = (unix_s(part.start_at) + margin_s - first_s) // step_s
                end = -(-(unix_s(part.end_at) - margin_s - first_s) // step_s)
                marked[max(0, first) : max(0, end)] = True
        return marked

    def clean(
        self, entity_id: int, start_at: datetime, end_at: datetime
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Readings, and which steps are read, running and not excluded."""
        values = self.values(entity_id, start_at, end_at)
        unscaled = Scaler((0.0,) * values.shape[1], (1.0,) * values.shape[1], 0)
        features = entity_features(self._spec, [unscaled], values[None], unix_s(start_at))
        usable = features.present[0].any(axis=1) & (features.running[0] == 0)
        return values, usable & ~self.excluded(entity_id, start_at, end_at)

    def windows(self, entity_id: int, scaler: Scaler, quota: int) -> _EntityWindows:
        """Evenly sampled windows of an entity, none across the split, over an excluded step or from
        before the range.

        A model thus depends on the readings of its range alone, not on what was ingested before.
        """
        span, spec = self.span, self._spec
        from_at = span.start_at
        values = self.values(entity_id, from_at, span.gate_at)
        features = entity_features(spec, [scaler], values[None], unix_s(from_at))
        out = self._not_learned(entity_id, from_at, span.gate_at)
        labels = self.labelled(entity_id, from_at, span.gate_at)
        extreme = is_extreme(features, len(spec.channels))
        bad = out | extreme
        index = entity_windows(spec, features, np.ones((1, len(values)), bool))
        ever = features.present[0].any(axis=0)
        ends = index.ends[
            index.live[:, ever].all(axis=1) & ~seen_by_window(bad, spec.width)[index.ends]
        ]
        split = (unix_s(span.split_at) - unix_s(from_at)) // spec.step_s
        train = ends[ends < split]
        held = ends[ends >= split + spec.width]
        chosen = with_labels(train, labels, quota), with_labels(held, labels, max(1, quota // 5))
        return _EntityWindows(
            features.inputs[0], *chosen, labels, len(train), int((extreme & ~out).sum())
        )

    def _not_learned(
        self, entity_id: int, start_at: datetime, end_at: datetime
    ) -> NDArray[np.bool_]:
        """bool (n_steps,), which steps no window to learn from may hold; labels teach a supervised
        detector.
        """
        if not self._is_supervised:
            return self.excluded(entity_id, start_at, end_at)
        others = [part for part in self._exclusions if not is_known(part)]
        return self._marked(entity_id, start_at, end_at, others, 0)

    def series(
        self, entity_id: int, scaler: Scaler, start_at: datetime, end_at: datetime
    ) -> Series:
        """What a folding detector learns from: an entity's readings, unknown where they are
        excluded.
        """
        values = self.values(entity_id, start_at, end_at)
        features = entity_features(self._spec, [scaler], values[None], unix_s(start_at))
        found = series_of(self._spec, features, unix_s(start_at))
        found.values[0, self.excluded(entity_id, start_at, end_at)] = np.nan
        return found

    def held_out(self, name: str, entity_id: int) -> HeldOut | None:
        """Readings from the split on, and those before it where few are held out; None when there
        are none.

        A few days of an hourly sensor are a handful of windows that do not overlap: they say too
        little about what is normal, and what was learned from says more, if somewhat too
        favourably.
        """
        span, spec = self.span, self._spec
        is_short = (
            unix_s(span.gate_at) - unix_s(span.split_at) < FEW_WINDOWS * spec.width * spec.step_s
        )
        # A folding detector's state is that of the split.
        with_learned = (is_short or self.config.threshold.kind == "training") and not self._folds
        reach_hours = 0 if self._folds else spec.reach_hours
        from_at = (
            span.start_at
            if with_learned
            else max(span.start_at, hours_later(span.split_at, -reach_hours))
        )
        values = self.values(entity_id, from_at, span.end_at)
        first, gate = (
            (unix_s(at) - unix_s(from_at)) // spec.step_s for at in (span.split_at, span.gate_at)
        )
        steps = np.arange(len(values))
        clean = ~self.excluded(entity_id, from_at, span.end_at)
        # One window between what was learned and what is judged, so that no reading is in both.
        after = steps >= first + spec.width
        judged = clean & after
        if not np.isfinite(values[judged]).any():
            return None
        learned = clean & (steps < first) if with_learned else np.zeros(len(values), bool)
        known = self.labelled(entity_id, from_at, span.end_at) & after
        gated = judged & (steps >= gate)
        return HeldOut(
            name, values, unix_s(from_at), judged, gated, learned, known & (steps < gate), known
        )


def is_known(part: Exclusion) -> bool:
    """Whether an exclusion is a known anomaly, from which a supervised detector learns."""
    return part.reason.startswith(LABEL_REASON) or part.reason == CONFIRMED_REASON


def evenly(ends: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """At most `n` of the ends, evenly over time.

    >>> evenly(np.arange(10), 4)
    array([0, 3, 6, 9])
    """
    if len(ends) <= n:
        return ends
    return ends[np.unique(np.linspace(0, len(ends) - 1, n).round().astype(np.int64))]


def with_labels(ends: NDArray[np.int64], labels: NDArray[np.bool_], n: int) -> NDArray[np.int64]:
    """All ends that are labelled, and at most `n` of the others, evenly over time.

    >>> with_labels(np.arange(6), np.array([0, 0, 1, 0, 0, 0], bool), 2)
    array([0, 2, 5])
    """
    known = labels[ends]
    return np.sort(np.concatenate([ends[known], evenly(ends[~known], n)]))


def _joined(config: DatasetConfig, parts: Sequence[_EntityWindows]) -> PreparedTraining:
    width = config.detector.n_steps
    compacted = [compact(part.inputs, [part.ends, part.validation_ends], width) for part in parts]
    offsets = np.concatenate(([0], np.cumsum([len(inputs) for inputs, _ in compacted])))
    ends = [found[0] + offset for (_, found), offset in zip(compacted, offsets, strict=False)]
    held = [found[1] + offset for (_, found), offset in zip(compacted, offsets, strict=False)]
    joined = np.concatenate(ends)
    if not len(joined):
        raise BadInput(
            f"Expected windows of {width} complete steps of {config.dataset}. Received: none. "
            "Set hold for channels that report rarely, or a coarser step."
        )
    inputs = np.concatenate([inputs for inputs, _ in compacted])
    labels = [compact(part.labels, [part.ends, part.validation_ends], width)[0] for part in parts]
    n_available = sum(part.n_available for part in parts)
    n_extreme = np.array([part.n_extreme for part in parts], np.int64)
    prepared = PreparedTraining(
        inputs, joined, np.concatenate(held), np.concatenate(labels), n_available, n_extreme
    )
    return with_dead_channels(prepared, feature_spec_of(config), config.training.dead_channel_share)


def with_dead_channels(
    prepared: PreparedTraining, spec: FeatureSpec, share: float
) -> PreparedTraining:
    """The windows, in a share of which one channel is dead: unknown at all steps, each channel in
    turn.

    Sensors fail. A detector that always saw all of them takes the 0 that stands for one that is
    dead for a reading, and finds the others strange; one that has seen dead ones does not.
    Validation windows stay as they are.
    """
    n_dead, width, n_channels = int(share * len(prepared.ends)), spec.width, len(spec.channels)
    if n_channels < 2 or not n_dead:
        return prepared
    chosen = np.linspace(0, len(prepared.ends) - 1, n_dead).round().astype(np.int64)
    inputs = gather(prepared.inputs, prepared.ends[chosen], width)
    dead = spec.channel_inputs[np.arange(n_dead) % n_channels]
    inputs *= ~dead[:, None, :]
    ends = prepared.ends.copy()
    ends[chosen] = len(prepared.inputs) + width * np.arange(1, n_dead + 1) - 1
    labels = gather(prepared.labels[:, None], prepared.ends[chosen], width)
    return replace(
        prepared,
        inputs=np.concatenate([prepared.inputs, inputs.reshape(-1, inputs.shape[2])]),
        ends=ends,
        labels=np.concatenate([prepared.labels, labels.reshape(-1)]),
    )


def compact(
    inputs: NDArray[Number], groups: Sequence[NDArray[np.int64]], width: int
) -> tuple[NDArray[Number], list[NDArray[np.int64]]]:
    """Only the steps that some window needs, and where the windows end among them.

    >>> kept, (ends,) = compact(np.arange(9.0, dtype=np.float32)[:, None], [np.array([2, 8])], 2)
    >>> kept[:, 0].tolist(), ends.tolist()
    ([1.0, 2.0, 7.0, 8.0], [1, 3])
    """
    marks = np.zeros(len(inputs) + 1, np.int64)
    for ends in groups:
        np.add.at(marks, ends - width + 1, 1)
        np.add.at(marks, ends + 1, -1)
    used = np.cumsum(marks[:-1]) > 0
    position = np.cumsum(used) - 1
    return inputs[used], [position[ends] for ends in groups]


def period_window(reader: TrainingReader, scope: Scope) -> int:
    """Steps of a window that holds a period of the readings: the usual one of some entities, or the
    default.
    """
    span = reader.span
    chosen = [
        scope.entities[i] for i in evenly(np.arange(len(scope.entities)), MAX_PERIOD_ENTITIES)
    ]
    periods = []
    for _, key in chosen:
        values, usable = reader.clean(key, span.start_at, span.split_at)
        periods.append(dominant_period(np.where(usable[:, None], values, np.nan), LONGEST_PERIOD))
    found = sorted(period for period in periods if period is not None and period >= SHORTEST_PERIOD)
    return found[len(found) // 2] if 2 * len(found) > len(chosen) else DEFAULT_WINDOW


def fit_detector(
    config: DatasetConfig,
    prepared: PreparedTraining,
    *,
    seed: int,
    progress: Progress | None = None,
    warm_start: Detector | None = None,
) -> tuple[Detector, TrainingHistory]:
    """A detector that has learned from the prepared windows, from the weights of `warm_start`
    on.
    """
    settings, budget, spec = config.detector, config.training, feature_spec_of(config)
    detector = build_detector(
        settings.name,
        width=settings.n_steps,
        n_channels=len(spec.channels),
        n_inputs=spec.n_inputs,
        params=settings.params,
    )
    training = TrainingSet(
        prepared.inputs,
        prepared.ends,
        prepared.validation_ends,
        len(spec.channels),
        settings.n_steps,
        prepared.labels if detector.supervised else None,
    )
    limits = Budget(
        budget.epochs,
        budget.patience,
        budget.batch_size,
        budget.learning_rate,
        budget.loss,
        timeout_s=budget.timeout_s,
    )
    return detector, detector.fit(
        training, budget=limits, seed=seed, progress=progress, warm_start=warm_start
    )


def scope_series(
    reader: TrainingReader, entities: Entities, scales: Scales, start_at: datetime, end_at: datetime
) -> tuple[list[str], Series]:
    """Names and series of entities in [start_at, end_at), for a folding detector."""
    parts = [
        reader.series(key, scales.own.get(name, scales.pooled), start_at, end_at)
        for name, key in entities
    ]
    values = np.concatenate([part.values for part in parts])
    return [name for name, _ in entities], Series(values, parts[0].local_s, parts[0].step_s)


def together(entities: Entities, n_channels: int) -> Iterator[Entities]:
    """The entities, in parts of at most 4,000 series."""
    for part in batches(len(entities), max(1, SERIES_TOGETHER // n_channels)):
        yield entities[part]


def fold_start(config: DatasetConfig, n_entities: int, span: TrainingRange) -> datetime:
    """Where a folding detector begins to learn: the newest part of the range up to the split that
    it can afford.

    Whole hours that hold at most `training.max_fold_values` values, of all entities, channels and
    steps; but three days at least, as far as the range has them. Measured (event_head, one core):
    32 us a value, and 40 values more a step.
    """
    n_values = n_entities * len(config.channel_names) + STEP_SERIES
    affordable_s = config.training.max_fold_values // n_values * config.source.step_s // 3600 * 3600
    return max(span.start_at, span.split_at - timedelta(seconds=max(affordable_s, MIN_FOLD_S)))


def affordable_entities(config: DatasetConfig, n_steps: int) -> int:
    """How many entities can be folded over so many steps for `training.max_fold_values`."""
    return (config.training.max_fold_values // n_steps - STEP_SERIES) // len(config.channel_names)


def fit_folding(
    reader: TrainingReader, groups: Sequence[FoldGroup], scales: Scales, *, seed: int
) -> tuple[FoldDetector, TrainingHistory, list[FoldErrors]]:
    """A folding detector whose states are those of each group's split, and its errors of what it
    learned from.

    What is the same for all entities it learns from the first group.
    """
    config, spec, started = reader.config, feature_spec_of(reader.config), time.monotonic()
    sizes = {"width": 1, "n_channels": len(spec.channels), "n_inputs": len(spec.channels)}
    detector = cast(
        FoldDetector, build_detector(config.detector.name, **sizes, params=config.detector.params)
    )
    first, *others = groups
    start_at = fold_start(config, len(first.entities), first.span)
    names, series = scope_series(reader, first.entities, scales, start_at, first.span.split_at)
    detector.fit_series(names, series, seed=seed)
    _check_time(config, started, first)
    found = [FoldErrors(start_at, detector.training_errors, np.isfinite(series.values))]
    for group in others:
        found.append(_joined_in(detector, reader, group, scales))
        _check_time(config, started, group)
    n_steps = sum(int(part.known.any(axis=2).sum()) for part in found)
    return detector, TrainingHistory((), (), n_steps, time.monotonic() - started, "epochs"), found


def _check_time(config: DatasetConfig, started: float, group: FoldGroup) -> None:
    lasted_s, timeout_s = time.monotonic() - started, config.training.timeout_s
    if lasted_s > timeout_s:
        n_entities = counted(len(group.entities), "entity", "entities")
        raise BadInput(
            f"Expected a training within training.timeout, {timeout_s:,} s. Received: "
            f"{lasted_s:,.0f} s (after "
            f"{n_entities}). Lower training.max_fold_values, or raise training.timeout."
        )


def _joined_in(
    detector: FoldDetector, reader: TrainingReader, group: FoldGroup, scales: Scales
) -> FoldErrors:
    """Commissions a group's entities beside those that the detector was fitted on."""
    start_at, errors, known = fold_start(reader.config, len(group.entities), group.span), [], []
    for part in together(group.entities, len(reader.config.channel_names)):
        names, series = scope_series(reader, part, scales, start_at, group.span.split_at)
        errors.append(detector.join_series(names, series))
        known.append(np.isfinite(series.values))
    return FoldErrors(start_at, np.concatenate(errors), np.concatenate(known))


@dataclass(frozen=True)
class FoldErrors:
    """Errors of what a folding detector learned from, each judged by the readings before it alone.

    Attributes
    ----------
    start_at : where it began to learn.
    channel_errors : float32 (n_entities, n_steps, n_channels), in the order of the group's
        entities.
    known : bool, as `channel_errors`, whether there is a reading to learn from.
    """

    start_at: datetime
    channel_errors: NDArray[np.float32]
    known: NDArray[np.bool_]

    def save(self, path: UPath) -> None:
        """Writes the errors as one file."""
        arrays = {"channel_errors": self.channel_errors, "known": self.known}
        write_arrays(path, arrays, {"start_s": unix_s(self.start_at)})

    @classmethod
    def load(cls, path: UPath) -> FoldErrors:
        """The errors of a file."""
        arrays, facts = read_arrays(path)
        return cls(from_unix_s(facts["start_s"]), **arrays)


def spec_after(spec: ModelSpec, entities: Sequence[str], found: FoldErrors) -> ModelSpec:
    """The spec, whose folding thresholds have seen the errors of a stretch more; other kinds have
    no state.
    """
    if spec.threshold.kind not in FOLDING_KINDS:
        return spec
    errors = _entity_errors(spec, entities, found)
    limits = [spec.calibration(name) for name in entities]
    starts = starts_after(errors, [each.start for each in limits], spec.threshold)
    began = {
        name: replace(one, start=start)
        for name, one, start in zip(entities, limits, starts, strict=True)
    }
    return replace(spec, calibrations={**spec.calibrations, **began})


def _entity_errors(
    spec: ModelSpec, entities: Sequence[str], found: FoldErrors
) -> NDArray[np.float32]:
    """Errors (n_entities, n_steps) of a stretch, combined as scoring does; NaN where it would not
    score.
    """
    shape, n_channels = found.known.shape[:2], found.known.shape[2]
    live, reasons = window_reasons(
        found.known,
        np.zeros(shape, np.int8),
        np.ones(shape, bool),
        width=1,
        min_coverage=spec.features.min_coverage,
    )
    of_entity = np.repeat(np.arange(shape[0]), shape[1])
    parts = (found.channel_errors.reshape(-1, n_channels), live.reshape(-1, n_channels))
    errors = combined_errors(spec, entities, of_entity, *parts)[0].reshape(shape)
    return np.where(reasons == SCORED, errors, np.float32(np.nan))


def move_to_anchor(
    detector: FoldDetector,
    reader: TrainingReader,
    groups: Sequence[FoldGroup],
    scales: Scales,
    spec: ModelSpec,
) -> ModelSpec:
    """Carries a folding detector's states from each group's split to the end of its range, where
    scoring begins.

    Returns the spec with the thresholds as they are then.
    """
    for group in groups:
        split_at, end_at = group.span.split_at, group.span.end_at
        for part in together(group.entities, len(spec.features.channels)):
            names, series = scope_series(reader, part, scales, split_at, end_at)
            state, made = detector.advance(detector.start(names), series)
            detector.restart(names, state)
            spec = spec_after(
                spec, names, FoldErrors(split_at, made.channel_errors, np.isfinite(series.values))
            )
    return spec
