"""Tasks of a retraining up to the fitted detector: exclusions, features, windows, train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from upath import UPath

from tsad_tasks.config import DatasetConfig
from tsad_tasks.core.features import Scaler, fit_scaler, pooled_scaler
from tsad_tasks.core.interval import epoch_s, hour_ceil
from tsad_tasks.core.scoring import entity_features, entity_windows
from tsad_tasks.core.spec import FeatureSpec
from tsad_tasks.detectors.base import Budget, Detector, Progress, TrainingHistory, TrainingSet
from tsad_tasks.detectors.registry import build_detector
from tsad_tasks.errors import BadInput, NothingToDo
from tsad_tasks.steps.evaluate import HeldOut
from tsad_tasks.steps.shard import read_arrays, write_arrays
from tsad_tasks.storage.rows import Exclusion, Layout
from tsad_tasks.storage.store import Store, hours_later

EXTREME_SPREADS = 50.0
LABEL_MARGIN_S = 1800
FEW_WINDOWS = 50


@dataclass(frozen=True)
class Scope:
    """What one model is for: all entities (entity_id 0) or one of them."""

    entity_id: int
    name: str
    entities: tuple[tuple[str, int], ...]


def training_scopes(store: Store, config: DatasetConfig) -> list[Scope]:
    """The scopes that a retraining of the dataset has."""
    dataset = store.select_dataset(config.dataset)
    entities = tuple(sorted(store.select_entities(dataset.dataset_id).items()))
    if not entities:
        raise NothingToDo(f"Expected readings of {config.dataset} to train on. Received: no entity yet; ingest first.")
    if config.detector.scope == "dataset":
        return [Scope(0, "all", entities)]
    return [Scope(key, name, ((name, key),)) for name, key in entities]


@dataclass(frozen=True)
class TrainingRange:
    """A training range, cut by time: learn from [start_at, split_at), calibrate and gate on [split_at, end_at)."""

    start_at: datetime
    split_at: datetime
    gate_at: datetime
    end_at: datetime


def training_range(config: DatasetConfig, end_at: datetime) -> TrainingRange:
    """The rolling range that ends at `end_at`, whole hours. The last `validation_share` is held out; its second half
    only for the gate."""
    end = hour_ceil(end_at)
    held_s = int(config.training.range_s * config.training.validation_share) // 7200 * 7200
    held_s = max(held_s, 7200)
    start = end - timedelta(seconds=config.training.range_s)
    return TrainingRange(hour_ceil(start), end - timedelta(seconds=held_s), end - timedelta(seconds=held_s // 2), end)


def exclusions_of(store: Store, config: DatasetConfig, scope: Scope, span: TrainingRange) -> list[Exclusion]:
    """Ranges that a training leaves out: known anomalies with a margin, and hours of sensors out of order."""
    dataset = store.select_dataset(config.dataset)
    ids = {key for _, key in scope.entities}
    margin = timedelta(seconds=LABEL_MARGIN_S)
    found = [
        _exclusion(config, label.entity_id, max(label.start_at - margin, span.start_at),
                   min(label.end_at + margin, span.end_at), f"label: {label.kind}")
        for label in store.select_labels(dataset.dataset_id, span.start_at, span.end_at)
        if label.entity_id in ids
    ]  # fmt: skip
    params = {"entity_ids": sorted(ids), "start_at": span.start_at, "end_at": span.end_at}
    for entity_id, hour_at, verdict in store.select("select_bad_hours", params):
        found.append(_exclusion(config, entity_id, hour_at, hour_at + timedelta(hours=1), f"quality: {verdict}"))
    return found


def _exclusion(config: DatasetConfig, entity_id: int, start_at: datetime, end_at: datetime, reason: str) -> Exclusion:
    return Exclusion(entity_id, start_at, end_at, reason, (epoch_s(end_at) - epoch_s(start_at)) // config.source.step_s)


def feature_spec_of(config: DatasetConfig) -> FeatureSpec:
    """The features that a model trained now would have."""
    step_s, source = config.source.step_s, config.source
    return FeatureSpec(
        channels=config.channel_names,
        hold_steps=tuple(channel.hold_s // step_s for channel in source.channels.values()),
        step_s=step_s,
        site_zone=config.site_zone,
        width=config.detector.window,
        min_coverage=config.detector.min_coverage,
        running_when=config.running_when,
        grace_steps=config.startup_grace_s // step_s,
        rolling_mean=tuple(config.features.rolling_mean),
        lag=tuple(config.features.lag),
        diff=tuple(config.features.diff),
        cyclic=tuple(config.features.cyclic),
    )


@dataclass(frozen=True)
class PreparedTraining:
    """Windows to train on.

    Attributes
    ----------
    inputs, ends, validation_ends : as in `TrainingSet`; only the steps that some window needs are kept.
    n_available : windows that the range offers; the sampled share of them is trained on.
    """

    inputs: NDArray[np.float32]
    ends: NDArray[np.int64]
    validation_ends: NDArray[np.int64]
    n_available: int

    def save(self, path: UPath) -> None:
        """Writes the windows as one file."""
        arrays: dict[str, NDArray[Any]] = {"inputs": self.inputs, "ends": self.ends}
        write_arrays(path, arrays | {"validation_ends": self.validation_ends}, {"n_available": self.n_available})

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
        return {"own": own, "pooled": self.pooled.to_json(), "running_hours": dict(self.running_hours)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Scales:
        """The scales of a JSON object, to the bit."""
        own = {name: Scaler.from_json(part) for name, part in fields["own"].items()}
        return cls(own, Scaler.from_json(fields["pooled"]), fields["running_hours"])


def fit_scales(
    store: Store, config: DatasetConfig, scope: Scope, span: TrainingRange, exclusions: Sequence[Exclusion]
) -> Scales:
    """Scales from the part of the range that is learned from.

    Raises
    ------
    BadInput
        When there is less running time than `training.min_hours`.
    """
    reader = TrainingReader(store, config, span, exclusions)
    scalers, hours = {}, {}
    for name, entity_id in scope.entities:
        values, usable = reader.clean(entity_id, span.start_at, span.split_at)
        hours[name] = float(usable.sum()) * config.source.step_s / 3600
        if usable.any():
            scalers[name] = fit_scaler(np.where(usable[:, None], values, np.nan), config.features.scaling)
    _check_hours(config, span, hours)
    enough_s = min(config.features.min_own_scale_s, config.training.range_s / 2)
    own = {name: scaler for name, scaler in scalers.items() if hours[name] * 3600 >= enough_s}
    return Scales(own, pooled_scaler(list(scalers.values()), config.features.scaling), hours)


def prepare_training(
    store: Store,
    config: DatasetConfig,
    scope: Scope,
    span: TrainingRange,
    exclusions: Sequence[Exclusion],
    scales: Scales,
) -> PreparedTraining:
    """Windows of the range, sampled evenly over entities and time.

    Raises
    ------
    BadInput
        When there is no complete window.
    """
    reader = TrainingReader(store, config, span, exclusions)
    quota = max(1, config.training.max_windows // len(scope.entities))
    parts = [reader.windows(key, scales.own.get(name, scales.pooled), quota) for name, key in scope.entities]
    return _joined(config, parts)


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
    n_available: int


class TrainingReader:
    """Readings of a training range, entity by entity, without what is excluded."""

    def __init__(
        self, store: Store, config: DatasetConfig, span: TrainingRange, exclusions: Sequence[Exclusion]
    ) -> None:
        self._store, self._spec, self._span = store, feature_spec_of(config), span
        dataset = store.select_dataset(config.dataset)
        self._layout: Layout = store.select_layouts(dataset.dataset_id)[0]
        self._columns = [self._layout.channel_names.index(name) for name in config.channel_names]
        self._exclusions = exclusions

    def values(self, entity_id: int, start_at: datetime, end_at: datetime) -> NDArray[np.float64]:
        """Readings (n_steps, n_channels) of an entity."""
        blocks = self._store.read_blocks(self._layout, [entity_id], start_at, end_at)
        return np.asarray(blocks.values[0][:, self._columns], np.float64)

    def excluded(self, entity_id: int, start_at: datetime, end_at: datetime) -> NDArray[np.bool_]:
        """bool (n_steps,), which steps of an entity are left out."""
        first_s, step_s = epoch_s(start_at), self._spec.step_s
        out = np.zeros((epoch_s(end_at) - first_s) // step_s, bool)
        for part in self._exclusions:
            if part.entity_id == entity_id:
                out[
                    max(0, (epoch_s(part.start_at) - first_s) // step_s) : max(
                        0, -(-(epoch_s(part.end_at) - first_s) // step_s)
                    )
                ] = True
        return out

    def clean(
        self, entity_id: int, start_at: datetime, end_at: datetime
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Readings, and which steps are read, running and not excluded."""
        values = self.values(entity_id, start_at, end_at)
        unscaled = Scaler((0.0,) * values.shape[1], (1.0,) * values.shape[1], 0)
        features = entity_features(self._spec, [unscaled], values[None], epoch_s(start_at))
        usable = features.present[0].any(axis=1) & (features.running[0] == 0)
        return values, usable & ~self.excluded(entity_id, start_at, end_at)

    def windows(self, entity_id: int, scaler: Scaler, quota: int) -> _EntityWindows:
        """Evenly sampled windows of an entity, none across the split, over an excluded step or from before the range.

        A model thus depends on the readings of its range alone, not on what was ingested before.
        """
        span, spec = self._span, self._spec
        from_at = span.start_at
        values = self.values(entity_id, from_at, span.gate_at)
        features = entity_features(spec, [scaler], values[None], epoch_s(from_at))
        out = self.excluded(entity_id, from_at, span.gate_at)
        extreme = (np.abs(features.inputs[0, :, : len(spec.channels)]) > EXTREME_SPREADS).any(axis=1)
        index = entity_windows(spec, features, np.ones((1, len(values)), bool))
        bad = np.concatenate(([0], np.cumsum(out | extreme)))
        ever = features.present[0].any(axis=0)
        whole = index.live[:, ever].all(axis=1) & (
            bad[index.ends + 1] - bad[np.maximum(index.ends - spec.width + 1, 0)] == 0
        )
        ends = index.ends[whole]
        split = (epoch_s(span.split_at) - epoch_s(from_at)) // spec.step_s
        train = ends[ends < split]
        held = ends[ends >= split + spec.width]
        return _EntityWindows(features.inputs[0], evenly(train, quota), evenly(held, max(1, quota // 5)), len(train))

    def held_out(self, name: str, entity_id: int) -> HeldOut | None:
        """Readings from the split on, and those before it where few are held out; None when there are none.

        A few days of an hourly sensor are a handful of windows that do not overlap: they say too little about what is
        normal, and what was learned from says more, if somewhat too favourably.
        """
        span, spec = self._span, self._spec
        is_short = epoch_s(span.gate_at) - epoch_s(span.split_at) < FEW_WINDOWS * spec.width * spec.step_s
        from_at = span.start_at if is_short else max(span.start_at, hours_later(span.split_at, -spec.reach_hours))
        values = self.values(entity_id, from_at, span.end_at)
        first, gate = ((epoch_s(at) - epoch_s(from_at)) // spec.step_s for at in (span.split_at, span.gate_at))
        steps = np.arange(len(values))
        clean = ~self.excluded(entity_id, from_at, span.end_at)
        # One window between what was learned and what is judged, so that no reading is in both.
        judged = clean & (steps >= first + spec.width)
        if not np.isfinite(values[judged]).any():
            return None
        learned = clean & (steps < first) if is_short else np.zeros(len(values), bool)
        return HeldOut(name, values, epoch_s(from_at), judged, judged & (steps >= gate), learned)


def evenly(ends: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """At most `n` of the ends, evenly over time.

    >>> evenly(np.arange(10), 4)
    array([0, 3, 6, 9])
    """
    if len(ends) <= n:
        return ends
    return ends[np.unique(np.linspace(0, len(ends) - 1, n).round().astype(np.int64))]


def _joined(config: DatasetConfig, parts: Sequence[_EntityWindows]) -> PreparedTraining:
    width = config.detector.window
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
    return PreparedTraining(inputs, joined, np.concatenate(held), sum(part.n_available for part in parts))


def compact(
    inputs: NDArray[np.float32], groups: Sequence[NDArray[np.int64]], width: int
) -> tuple[NDArray[np.float32], list[NDArray[np.int64]]]:
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


def fit_detector(
    config: DatasetConfig, prepared: PreparedTraining, *, seed: int, progress: Progress | None = None
) -> tuple[Detector, TrainingHistory]:
    """A detector that has learned from the prepared windows."""
    settings, budget, spec = config.detector, config.training, feature_spec_of(config)
    detector = build_detector(
        settings.name,
        width=settings.window,
        n_channels=len(spec.channels),
        n_inputs=spec.n_inputs,
        params=settings.params,
    )
    training = TrainingSet(
        prepared.inputs, prepared.ends, prepared.validation_ends, len(spec.channels), settings.window
    )
    limits = Budget(
        budget.epochs, budget.max_minutes, budget.patience, budget.batch_size, budget.learning_rate, budget.loss
    )
    return detector, detector.fit(training, budget=limits, seed=seed, progress=progress)
