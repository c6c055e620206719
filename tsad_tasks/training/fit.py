"""Task `train`: a detector that has learned from what was prepared, of windows or by folding."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.enums import Lineage
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import Interval, unix_s
from tsad_tasks.base.places import Folder
from tsad_tasks.config import DatasetConfig, deprecations_of
from tsad_tasks.detectors.base import Budget, Detector, Progress, TrainingHistory, TrainingSet
from tsad_tasks.detectors.bundle import read_bundle
from tsad_tasks.detectors.folding.fold import Series
from tsad_tasks.detectors.folding.series_fold import FoldDetector
from tsad_tasks.detectors.registry import build_detector, detector_class
from tsad_tasks.model.scoring import combined_errors
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.model.thresholds import FOLDING_KINDS, starts_after
from tsad_tasks.model.windows import SCORED, window_reasons
from tsad_tasks.scoring.columns import channel_errors
from tsad_tasks.scoring.fold import Folded, known_channels
from tsad_tasks.storage.arrays import arrays_reader, read_arrays, write_arrays
from tsad_tasks.storage.artifacts import artifact_path
from tsad_tasks.storage.json_files import from_json_value, json_value
from tsad_tasks.text.formats import counted
from tsad_tasks.training.fold_groups import few_together, fold_start, learns_alone, together
from tsad_tasks.training.kept import kept_windows
from tsad_tasks.training.reader import Entities, FoldGroup, Scope, TrainingReader, feature_spec_of
from tsad_tasks.training.retrain import Retraining, champion_at, with_chosen_window
from tsad_tasks.training.survey import Scales
from tsad_tasks.training.windows import PreparedTraining

log = logging.getLogger("tsad")


def fit_detector(
    config: DatasetConfig,
    prepared: PreparedTraining,
    *,
    seed: int,
    progress: Progress | None = None,
    warm_start: Detector | None = None,
) -> tuple[Detector, TrainingHistory]:
    """A detector that has learned from the prepared windows, from `warm_start`'s weights on."""
    settings, spec = config.detector, feature_spec_of(config)
    width, n_channels = settings.n_steps, spec.n_columns
    sizes = {"width": width, "n_channels": n_channels, "n_inputs": spec.n_inputs}
    detector = build_detector(settings.name, **sizes, params=settings.params)
    windows = prepared.inputs, prepared.ends, prepared.validation_ends
    labels = prepared.labels if detector.supervised else None
    fitted = None if prepared.fitted is None else prepared.fitted @ spec.channel_inputs
    if fitted is not None:
        # The clock goes with no channel, and everybody has it.
        fitted |= ~spec.channel_inputs.any(axis=0)
        fitted = None if fitted.all() else fitted
    training = TrainingSet(*windows, n_channels, width, labels, fitted)
    limits = {"epochs", "patience", "batch_size", "learning_rate", "loss", "timeout_s"}
    budget = Budget(**config.training.model_dump(include=limits))
    return detector, detector.fit(
        training, budget=budget, seed=seed, progress=progress, warm_start=warm_start
    )


def scope_series(
    reader: TrainingReader, entities: Entities, scales: Scales, ends: Interval
) -> tuple[list[str], Series]:
    """Names and series of entities, for a folding detector."""
    (name, key), *others = entities
    first = reader.series(key, scales.of(name), ends)
    values = np.empty((len(entities), *first.values.shape[1:]))
    values[0] = first.values[0]
    conditions = [] if first.conditions is None else [first.conditions]
    for number, (name, key) in enumerate(others, 1):
        own = reader.series(key, scales.of(name), ends)
        values[number] = own.values[0]
        conditions += [] if own.conditions is None else [own.conditions]
    under = np.concatenate(conditions) if conditions else None
    return [name for name, _ in entities], replace(first, values=values, conditions=under)


@dataclass(frozen=True)
class FoldErrors:
    """Errors of what a folding detector learned from, each judged by the readings before it.

    Attributes
    ----------
    start_at : where it began to learn.
    channel_errors : float32 (n_entities, n_steps, n_channels), in the order of the group's; of no
        step where each entity is learned from alone, which judges none.
    known : bool, as `channel_errors`, whether there is a reading to learn from.
    """

    start_at: datetime
    channel_errors: NDArray[np.float32]
    known: NDArray[np.bool_]


def fit_folding(
    reader: TrainingReader, groups: Sequence[FoldGroup], scales: Scales, *, seed: int
) -> tuple[FoldDetector, TrainingHistory, list[FoldErrors]]:
    """A folding detector with the states of each group's split, and its errors until then.

    What is the same for all entities it learns from the first group; those of the others are
    commissioned beside it.

    Raises
    ------
    BadInput
        When it takes longer than `training.timeout`.
    """
    config, n_channels, started = reader.config, reader.spec.n_columns, time.monotonic()
    sizes = {"width": 1, "n_channels": n_channels, "n_inputs": n_channels}
    detector = cast(
        FoldDetector, build_detector(config.detector.name, **sizes, params=config.detector.params)
    )
    found: list[FoldErrors] = []
    n_steps, alone = 0, learns_alone(config)
    for group in groups:
        start_at = fold_start(config, len(group.entities), group.span)
        ends = Interval(start_at, group.span.split_at)
        errors, known = list[NDArray[np.float32]](), list[NDArray[np.bool_]]()
        for part in _learned_together(reader, group, ends, is_first=not found):
            names, series = scope_series(reader, part, scales, ends)
            if errors or found:
                of_part = detector.join_series(names, series)
            else:
                detector.fit_series(names, series, seed=seed)
                of_part = detector.training_errors
            is_known = known_channels(reader.spec, series)
            n_steps += int(is_known.any(axis=2).sum())
            kept = slice(0) if alone else slice(None)
            errors.append(channel_errors(reader.spec, detector, of_part[:, kept]))
            known.append(is_known[:, kept])
            _check_time(config, len(group.entities), started)
        found.append(FoldErrors(start_at, np.concatenate(errors), np.concatenate(known)))
    return detector, TrainingHistory((), (), n_steps, time.monotonic() - started, "epochs"), found


def _learned_together(
    reader: TrainingReader, group: FoldGroup, ends: Interval, *, is_first: bool
) -> Iterator[Entities]:
    """Entities whose readings are in memory at once, in the order of the group's."""
    if learns_alone(reader.config):
        n_steps = (unix_s(ends.end_at) - unix_s(ends.start_at)) // reader.spec.step_s
        yield from few_together(group.entities, n_steps * reader.spec.n_columns)
    elif is_first:
        yield group.entities
    else:
        yield from together(group.entities, reader.spec.n_columns)


def _check_time(config: DatasetConfig, n_entities: int, started: float) -> None:
    lasted_s, timeout_s = time.monotonic() - started, config.training.timeout_s
    if lasted_s > timeout_s:
        what = "training.range" if learns_alone(config) else "training.max_fold_values"
        raise BadInput(
            f"Expected a training within training.timeout, {timeout_s:,} s. Received: "
            f"{lasted_s:,.0f} s (after {counted(n_entities, 'entity')}). "
            f"Lower {what}, or raise training.timeout."
        )


def spec_after(spec: ModelSpec, entities: Sequence[str], found: FoldErrors) -> ModelSpec:
    """The spec, whose folding thresholds have seen the errors of a stretch more."""
    if spec.threshold.kind not in FOLDING_KINDS:
        return spec
    shape, n_channels = found.known.shape[:2], found.known.shape[2]
    running, context_ok = np.zeros(shape, np.int8), np.ones(shape, bool)
    share = spec.features.min_coverage
    n_fitted = np.array([np.count_nonzero(spec.scaler(name).fitted) for name in entities])
    live, reasons = window_reasons(
        found.known, running, context_ok, width=1, min_coverage=share, n_fitted=n_fitted[:, None]
    )
    of_entity = np.repeat(np.arange(shape[0]), shape[1])
    parts = (found.channel_errors.reshape(-1, n_channels), live.reshape(-1, n_channels))
    combined = combined_errors(spec, entities, of_entity, *parts)[0].reshape(shape)
    # Nothing where it would not score.
    errors = np.where(reasons == SCORED, combined, np.float32(np.nan))
    limits = [spec.calibration(name) for name in entities]
    starts = starts_after(errors, [each.start for each in limits], spec.threshold)
    began = (replace(one, start=start) for one, start in zip(limits, starts, strict=True))
    return replace(
        spec, calibrations={**spec.calibrations, **dict(zip(entities, began, strict=True))}
    )


def move_to_anchor(
    detector: FoldDetector,
    reader: TrainingReader,
    groups: Sequence[FoldGroup],
    scales: Scales,
    spec: ModelSpec,
    folds: Sequence[Folded] = (),
) -> ModelSpec:
    """The spec after a folding detector went on from each group's split to where scoring begins.

    Parameters
    ----------
    folds : of entities with which it has gone there already.
    """
    there = {name for folded in folds for name in folded.entities}
    start_at = {name: group.span.split_at for group in groups for name, _ in group.entities}
    for folded in folds:
        detector.restart(folded.entities, folded.state)
        found = FoldErrors(start_at[folded.entities[0]], folded.made.channel_errors, folded.known)
        spec = spec_after(spec, folded.entities, found)
    for group in groups:
        ends = group.span.held_out
        left = tuple(pair for pair in group.entities if pair[0] not in there)
        for part in together(left, spec.features.n_columns):
            names, series = scope_series(reader, part, scales, ends)
            state, made = detector.advance(detector.start(names), series)
            detector.restart(names, state)
            of_part = channel_errors(spec.features, detector, made.channel_errors)
            found = FoldErrors(ends.start_at, of_part, known_channels(spec.features, series))
            spec = spec_after(spec, names, found)
    return spec


@dataclass(frozen=True)
class Trained:
    """What task `train` leaves beside the detector's own files.

    Attributes
    ----------
    errors : of a folding detector, by group, as far as its thresholds will see them.
    learned_from : where a folding detector began to learn, by group.
    """

    history: TrainingHistory
    learned_from: list[datetime]
    errors: list[FoldErrors]

    def save(self, path: Folder) -> None:
        """Writes it as one file."""
        arrays: dict[str, NDArray[Any]] = {}
        for number, part in enumerate(self.errors):
            arrays[f"channel_errors_{number}"] = part.channel_errors
            arrays[f"known_{number}"] = part.known
        starts = json_value(self.learned_from, list[datetime])
        write_arrays(path, arrays, {"history": json_value(self.history), "learned_from": starts})

    @classmethod
    def load(cls, path: Folder) -> Trained:
        """What is in a file."""
        arrays, facts = read_arrays(path)
        starts = from_json_value(facts["learned_from"], list[datetime])
        errors = [
            FoldErrors(at, arrays[f"channel_errors_{number}"], arrays[f"known_{number}"])
            for number, at in enumerate(starts)
            if arrays
        ]
        return cls(from_json_value(facts["history"], TrainingHistory), starts, errors)


def training_history(path: Folder) -> TrainingHistory:
    """The history alone of what task `train` left: errors are long."""
    with arrays_reader(path) as (_, facts):
        return from_json_value(facts["history"], TrainingHistory)


def train(run: Retraining, progress: Progress | None = None) -> dict[str, Any]:
    """Task `train`: fits a detector for each scope.

    Raises
    ------
    BadInput
        Where one takes longer than `training.timeout`; it leaves no model.
    """
    for text in deprecations_of(run.config):
        log.warning("%s", text)
    run, late_at = with_chosen_window(run), run.span.start_at
    n_epochs, seconds, n_entities, n_judged = 0, 0.0, 0, 0
    for scope, folder in run.scopes():
        found: list[FoldErrors] = []
        part = run.of(scope)
        with folder.kept(part.config) as (kept, read, arrays):
            detector: Detector
            if detector_class(part.config.detector.name).folds:
                reader, scales = part.reader(read, folder), folder.read("scales", Scales)
                detector, history, found = fit_folding(
                    reader, kept.groups, scales, seed=run.chosen_seed
                )
            else:
                windows, first = kept_windows(kept, arrays), _warm_start(part, scope)
                how: dict[str, Any] = {"seed": run.chosen_seed, "progress": progress}
                detector, history = fit_detector(part.config, windows, warm_start=first, **how)
        detector.save(folder.path / "detector")
        starts = [part.start_at for part in found]
        # The errors are long: only thresholds with a state see them.
        errors = found if part.config.threshold.kind in FOLDING_KINDS else []
        Trained(history, starts, errors).save(folder.path / "trained.npz")
        n_epochs += len(history.loss)
        seconds += history.seconds
        # Where readings do not reach further back nothing was cut.
        late_at = max([late_at, *(at for at in starts if at > part.span.start_at)])
        n_entities += len(scope.entities)
        n_judged += len(kept.groups[0].entities)
    said: dict[str, Any] = {"n_epochs": n_epochs, "seconds": round(seconds, 1)}
    if late_at > run.span.start_at:
        said["learned_from"] = f"{late_at:%Y-%m-%d %H:%M} UTC (training.max_fold_values)"
    if n_judged < n_entities:
        said["judged"] = f"{n_judged:,} of {n_entities:,} entities (training.max_fold_values)"
    return said


def _warm_start(run: Retraining, scope: Scope) -> Detector | None:
    """The champion whose weights come first; its own first model has none to begin with."""
    name = run.config.training.warm_start_from
    if name is None:
        return None
    if name == "champion":
        champion = run.champion(scope)
        if champion is not None and champion.is_young:
            # Of another detector, or of readings that knew no weekends.
            return None
    else:
        champion = champion_at(run.store, name, 0, Lineage.LIVE, run.span.end_at)
        if champion is None:
            raise BadInput(
                f"training.warm_start_from: Expected a dataset with a champion. Received: {name}, "
                "without."
            )
    if champion is None:
        return None
    uri, sha256 = artifact_path(champion.artifact_uri), champion.sha256
    detector, wanted = read_bundle(uri, expected_sha256=sha256).detector, run.config.detector.name
    if name == "champion" and detector.name != wanted:
        log.info("A %s begins anew: the champion is a %s.", wanted, detector.name)
        return None
    return detector
