"""Windows to learn from, evenly over entities and time, and only the steps that they need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import Interval, unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.model.features import Scaler
from tsad_tasks.model.scoring import entity_features, entity_windows
from tsad_tasks.model.spec import FeatureSpec
from tsad_tasks.model.windows import Number, gather
from tsad_tasks.training.held_out import is_extreme, seen_by_window
from tsad_tasks.training.reader import TrainingReader, evenly, feature_spec_of


@dataclass(frozen=True)
class PreparedTraining:
    """Windows to train on.

    Attributes
    ----------
    inputs, ends, validation_ends, labels : as in `TrainingSet`; only steps that a window needs.
    fitted : (n_steps, n_channels), the channels of the entity; None: all entities have all.
    n_available : windows that the range offers; the sampled share of them is trained on.
    n_extreme : (n_entities,), steps that no window may hold for an extreme value.
    """

    inputs: NDArray[np.float32]
    ends: NDArray[np.int64]
    validation_ends: NDArray[np.int64]
    labels: NDArray[np.bool_]
    n_available: int
    n_extreme: NDArray[np.int64]
    fitted: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class EntityWindows:
    """Where windows of one entity end: those to train on, and those to validate on.

    Attributes
    ----------
    inputs, labels : (n_steps, …), of the steps that windows may hold.
    n_available, n_extreme : as in `PreparedTraining`.
    fitted : (n_channels,), the channels that the entity has.
    """

    inputs: NDArray[np.float32]
    ends: NDArray[np.int64]
    validation_ends: NDArray[np.int64]
    labels: NDArray[np.bool_]
    n_available: int
    n_extreme: int
    fitted: NDArray[np.bool_]

    def compacted(self, width: int) -> EntityWindows:
        """The same windows on the steps that some of them hold."""
        groups = [self.ends, self.validation_ends]
        inputs, (ends, validation_ends) = compact(self.inputs, groups, width)
        labels, _ = compact(self.labels, groups, width)
        return replace(
            self, inputs=inputs, ends=ends, validation_ends=validation_ends, labels=labels
        )

    def counts(self) -> EntityWindows:
        """The same without inputs and labels, where only numbers are wanted."""
        return replace(self, inputs=self.inputs[:0], labels=self.labels[:0])


def entity_training(
    reader: TrainingReader, entity_id: int, scaler: Scaler, quota: int, values: NDArray[np.float64]
) -> EntityWindows:
    """Evenly sampled windows of an entity, none across the split, an exclusion, or the beginning.

    A model thus depends on the readings of its range alone, not on what was ingested before.

    Parameters
    ----------
    quota : how many at most to train on; a fifth of that to validate on.
    values : float64 (n_steps, n_channels) of the range; what is held out for the gate is not used.
    """
    span, spec = reader.span, reader.spec
    values = values[: reader.step(span.gate_at)]
    features = entity_features(spec, [scaler], values[None], unix_s(span.start_at))
    ends = Interval(span.start_at, span.gate_at)
    out, labels = reader.not_learned(entity_id, ends), reader.labelled(entity_id, ends)
    extreme = is_extreme(features, spec.n_columns)
    index = entity_windows(spec, features, np.ones((1, len(values)), bool))
    ever = features.present[0].any(axis=0)
    live = index.live
    if reader.of_channels:
        # A sensor out of order is as one that is dead in the whole window: the others are learned.
        n_out = np.cumsum(reader.channels_out(entity_id, ends), axis=0)
        before = np.concatenate([np.zeros((spec.width, n_out.shape[1])), n_out])[: len(n_out)]
        live = live | ((n_out - before)[index.ends] == spec.width)
    is_whole = live[:, ever].all(axis=1)
    usable = index.ends[is_whole & ~seen_by_window(out | extreme, spec.width)[index.ends]]
    split = reader.step(span.split_at)
    train, later = usable[usable < split], usable[usable >= split + spec.width]
    to_validate = with_labels(later, labels, max(1, quota // 5))
    chosen = with_labels(train, labels, quota), to_validate
    n_extreme = int((extreme & ~out).sum())
    # What is no column, no entity lacks.
    ever[spec.unseen] = True
    return EntityWindows(features.inputs[0], *chosen, labels, len(train), n_extreme, ever)


def with_labels(ends: NDArray[np.int64], labels: NDArray[np.bool_], n: int) -> NDArray[np.int64]:
    """All ends that are labelled, and at most `n` of the others, evenly over time.

    >>> with_labels(np.arange(6), np.array([0, 0, 1, 0, 0, 0], bool), 2)
    array([0, 2, 5])
    """
    known = labels[ends]
    return np.sort(np.concatenate([ends[known], evenly(ends[~known], n)]))


def check_any(config: DatasetConfig, n_windows: int) -> None:
    """Raises BadInput where there is no window to learn from."""
    if not n_windows:
        raise BadInput(
            f"Expected windows of {config.detector.n_steps} complete steps of {config.dataset}. "
            "Received: none. Set valid_for for channels that report rarely, or a coarser step."
        )


def joined_windows(config: DatasetConfig, parts: Sequence[EntityWindows]) -> PreparedTraining:
    """The compacted windows of all entities, in a share of which one channel is dead.

    Raises
    ------
    BadInput
        When there is none.
    """
    offsets = np.concatenate(([0], np.cumsum([len(part.inputs) for part in parts])[:-1]))
    pairs = list(zip(parts, offsets, strict=True))
    check_any(config, sum(len(part.ends) for part in parts))
    prepared = PreparedTraining(
        np.concatenate([part.inputs for part in parts]),
        np.concatenate([part.ends + offset for part, offset in pairs]),
        np.concatenate([part.validation_ends + offset for part, offset in pairs]),
        np.concatenate([part.labels for part in parts]),
        sum(part.n_available for part in parts),
        np.array([part.n_extreme for part in parts], np.int64),
        fitted_of(parts),
    )
    return with_dead_channels(prepared, feature_spec_of(config), config.training.dead_channel_share)


def fitted_of(parts: Sequence[EntityWindows]) -> NDArray[np.bool_] | None:
    """Which channels entities have, at all their steps end to end; None: all have all."""
    used = [part for part in parts if len(part.inputs)]
    if all(part.fitted.all() for part in used):
        return None
    return np.repeat(
        np.stack([part.fitted for part in used]), [len(part.inputs) for part in used], axis=0
    )


def with_dead_channels(
    prepared: PreparedTraining, spec: FeatureSpec, share: float
) -> PreparedTraining:
    """The windows, in a share of which one channel is unknown at all steps, each in turn.

    Sensors fail. A detector that always saw all of them takes the 0 that stands for one that is
    dead for a reading, and finds the others strange; one that has seen dead ones does not.
    Validation windows stay as they are.
    """
    n_dead, width, seen = int(share * len(prepared.ends)), spec.width, spec.seen
    if len(seen) < 2 or not n_dead:
        return prepared
    chosen = np.linspace(0, len(prepared.ends) - 1, n_dead).round().astype(np.int64)
    inputs, fitted = gather(prepared.inputs, prepared.ends[chosen], width), prepared.fitted
    dies = seen[np.arange(n_dead) % len(seen)]
    if fitted is not None:
        # Of an entity's own channels each in turn.
        own = fitted[prepared.ends[chosen]].copy()
        own[:, spec.unseen] = False
        order = np.argsort(~own, axis=1, kind="stable")
        dies = order[np.arange(n_dead), np.arange(n_dead) % np.count_nonzero(own, axis=1)]
        fitted = np.concatenate([fitted, np.repeat(own, width, axis=0)])
    inputs *= ~spec.channel_inputs[dies][:, None, :]
    ends = prepared.ends.copy()
    ends[chosen] = len(prepared.inputs) + width * np.arange(1, n_dead + 1) - 1
    labels = gather(prepared.labels[:, None], prepared.ends[chosen], width)
    return replace(
        prepared,
        inputs=np.concatenate([prepared.inputs, inputs.reshape(-1, inputs.shape[2])]),
        ends=ends,
        labels=np.concatenate([prepared.labels, labels.reshape(-1)]),
        fitted=fitted,
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
