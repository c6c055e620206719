"""Last of three steps: limits from held-out readings, the bundle, and the gate's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from tsad_tasks.base.rule import RuleResult
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.base import Detector
from tsad_tasks.detectors.bundle import Bundle, read_bundle, store_bundle
from tsad_tasks.detectors.folding.series_fold import FoldDetector
from tsad_tasks.detectors.registry import detector_class, load_detector
from tsad_tasks.model.budget import AlarmBudget
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.model.thresholds import ThresholdSettings
from tsad_tasks.model.weekdays import held_weekdays
from tsad_tasks.scoring.alarm_rule import incident_rule
from tsad_tasks.scoring.fold import Folded
from tsad_tasks.scoring.series import SeriesErrors
from tsad_tasks.storage.arrays import arrays_reader, write_arrays
from tsad_tasks.storage.artifacts import artifact_path
from tsad_tasks.storage.datasets import select_dataset
from tsad_tasks.storage.json_files import from_json_value, json_value
from tsad_tasks.training.canary import canary_of
from tsad_tasks.training.exclusions import extreme_values
from tsad_tasks.training.fit import Trained, move_to_anchor, spec_after, training_history
from tsad_tasks.training.gate import gate_entities, run_gate
from tsad_tasks.training.held_out import HeldOut, HeldOutErrors, held_out_errors, of_some_times
from tsad_tasks.training.kept import Kept
from tsad_tasks.training.limits import calibrated_spec
from tsad_tasks.training.noise import learned_noise, readings_per_step
from tsad_tasks.training.queries import Exclusion, NewModel
from tsad_tasks.training.reader import (
    FoldGroup,
    Scope,
    TrainingReader,
    feature_spec_of,
    training_scopes,
)
from tsad_tasks.training.retrain import Count, Retraining, ScopeFolder, with_chosen_window
from tsad_tasks.training.survey import Scales, Survey

CALIBRATED_FILE = "calibrated.npz"
_ERRORS = ("channel_errors", "residuals", "live", "moved", "farthest")


def calibrate(run: Retraining) -> Count:
    """Task `calibrate`: limits from held-out readings, and the finished bundle."""
    run, uris = with_chosen_window(run), []
    n_entities = sum(len(scope.entities) for scope in training_scopes(run.store, run.config))
    for scope, folder in run.scopes():
        part = run.of(scope)
        detector, scales = load_detector(folder.path / "detector"), folder.read("scales", Scales)
        trained = Trained.load(folder.path / "trained.npz")
        at_split = None
        with folder.kept(part.config) as (kept, read, _):
            reader = part.reader(read, folder)
            held_out = calibrating_readings(reader, kept)
            folds: list[Folded] = []
            errors = held_out_errors(reader.spec, scales.of, detector, held_out, folds)
            spec = calibrate_model(
                part.config, scales, detector, held_out, n_entities=n_entities, known=errors
            )
            # Only a folding detector has left errors.
            for group, learned in zip(kept.groups, trained.errors, strict=False):
                spec = spec_after(spec, [name for name, _ in group.entities], learned)
            if detector.folds:
                # The bundle holds states where scoring begins; the gate judges from the split on.
                at_split = spec.to_json()
                folding = cast(FoldDetector, detector)
                spec = move_to_anchor(folding, reader, kept.groups, scales, spec, folds)
        if detector.noise_power or detector.follows_noise:
            with part.store.transaction():
                counts = readings_per_step(part.store, part.config, scope.entities, part.span)
            noise = learned_noise(counts, held_out, errors, spec)
            spec = replace(spec, noise=noise, noise_power=detector.noise_power)
        card = model_card(part, scope, scales, kept, detector, trained)
        card["expected_incidents_per_day"] = spec.expected_incidents_per_day
        rare = folder.read("survey", Survey).rare_events(part.config)
        if spec.limit_notes or rare:
            card["notes"] = [*card.get("notes", []), *spec.limit_notes, *rare]
        canary = canary_of(spec, detector, held_out)
        contents = spec.to_json(), card, canary.to_json() if canary else None
        uri, sha256 = store_bundle(run.artifacts / run.config.dataset, detector, *contents)
        # The gate goes through folds again; of windows it needs these errors.
        judged = set() if detector.folds else gate_entities(kept.held_out)
        arrays = {
            f"{kind}_{name}": getattr(errors[name], kind) for name in judged for kind in _ERRORS
        }
        made = CalibratedModel(str(uri), sha256, at_split, sorted(judged))
        write_arrays(folder.path / CALIBRATED_FILE, arrays, json_value(made))
        uris.append(str(uri))
    return {"bundles": uris}


def gate(run: Retraining) -> Count:
    """Task `gate`: the challenger's numbers beside the champion's, rule by rule."""
    run, failed = with_chosen_window(run), {}
    for scope, folder in run.scopes():
        found = challenger_of(folder)
        with arrays_reader(folder.path / CALIBRATED_FILE) as (arrays, _):
            known = {
                name: SeriesErrors(*(arrays[f"{kind}_{name}"] for kind in _ERRORS))
                for name in found.made.errors_of
            }
        part = run.of(scope)
        with folder.kept(part.config) as (kept, read, _):
            chosen, group = gate_entities(kept.held_out), kept.groups[0]
            judged = tuple(pair for pair in group.entities if pair[0] in chosen)
            held_out = held_out_readings(part.reader(read, folder), replace(group, entities=judged))
        rows = run_gate(
            part.config,
            found.spec,
            found.judged,
            training_history(folder.path / "trained.npz"),
            held_out,
            run.champion(scope),
            seed=run.chosen_seed,
            levels=folder.read("survey", Survey).levels,
            known=known,
            n_entities=len(scope.entities),
            is_young=run.share(scope).is_young,
        )
        folder.write("gate", rows, list[RuleResult])
        failed[scope.name] = [row.rule for row in rows if not row.passed]
    return {"failed_rules": failed}


@dataclass(frozen=True)
class CalibratedModel:
    """What task `calibrate` leaves beside the bundle itself.

    Attributes
    ----------
    spec_at_split : of a folding detector, where held-out readings begin; None for others.
    errors_of : entities whose errors on held-out readings are kept for the gate.
    """

    uri: str
    sha256: str
    spec_at_split: dict[str, Any] | None
    errors_of: list[str]

    @classmethod
    def load(cls, folder: ScopeFolder) -> CalibratedModel:
        """What the task left of the scope of a folder."""
        with arrays_reader(folder.path / CALIBRATED_FILE) as (_, facts):
            return from_json_value(facts, cls)


@dataclass(frozen=True)
class Challenger:
    """A calibrated model that is not registered yet; `spec` and `judged` as at the split."""

    made: CalibratedModel
    bundle: Bundle
    spec: ModelSpec
    judged: Detector


def challenger_of(folder: ScopeFolder) -> Challenger:
    """What task `calibrate` made for the scope of a folder."""
    made = CalibratedModel.load(folder)
    bundle = read_bundle(artifact_path(made.uri), expected_sha256=made.sha256)
    if made.spec_at_split is None:
        return Challenger(made, bundle, ModelSpec.from_json(bundle.spec), bundle.detector)
    spec = ModelSpec.from_json(made.spec_at_split)
    return Challenger(made, bundle, spec, load_detector(folder.path / "detector"))


def judged_model(
    run: Retraining, scope: Scope, folder: ScopeFolder
) -> tuple[NewModel, list[RuleResult], list[Exclusion]]:
    """The row of a model that the gate has judged, its rules, and what it did not learn from."""
    share, found = run.share(scope), folder.read("survey", Survey)
    run = run.with_share(share)
    made, config = CalibratedModel.load(folder), run.config
    bundle = read_bundle(artifact_path(made.uri), expected_sha256=made.sha256)
    spec, parent = ModelSpec.from_json(bundle.spec), run.champion(scope)
    history = training_history(folder.path / "trained.npz")
    # How long the training took is no part of the bundle.
    timed = {"training": bundle.card["training"] | {"seconds": history.seconds}}
    model = NewModel(
        dataset_id=select_dataset(run.store, config.dataset).dataset_id,
        scope_entity_id=scope.entity_id,
        lineage=run.lineage,
        parent_model_id=parent.model_id if parent else None,
        detector=config.detector.name,
        seed=run.chosen_seed,
        train_start_at=run.span.start_at,
        train_end_at=run.span.end_at,
        config_hash=config.model_hash,
        window_reach_s=spec.features.reach_hours * 3600,
        score_reach_s=spec.score_reach_hours * 3600,
        n_parameters=int(bundle.card["n_parameters"]),
        artifact_uri=made.uri,
        sha256=made.sha256,
        card=bundle.card | timed,
        folds=detector_class(config.detector.name).folds,
        is_young=share.is_young,
        weekdays_seen=found.weekdays,
        weekdays_held=held_weekdays(found.weekdays, spec.features.rest_weekday)
        if share.is_young
        else None,
    )
    left_out = list(found.exclusions)
    if not model.folds:
        with folder.kept(config) as (kept, _, _):
            left_out += extreme_values(kept.n_extreme, scope, run.span)
    return model, folder.read("gate", list[RuleResult]), left_out


def held_out_readings(reader: TrainingReader, group: FoldGroup) -> list[HeldOut]:
    """Held-out readings of a group's entities."""
    of_group = reader.on(group.span)
    found = (of_group.held_out(name, key) for name, key in group.entities)
    return [part for part in found if part is not None]


def calibrating_readings(reader: TrainingReader, kept: Kept) -> list[HeldOut]:
    """Held-out readings as calibration needs their errors: a fold goes through all; windows are
    scored of the entities that the gate judges, and of the others at some times.
    """
    found = [part for group in kept.groups for part in held_out_readings(reader, group)]
    if reader.folds:
        return found
    return of_some_times(found, gate_entities(kept.held_out), reader.spec.step_s)


def calibrate_model(
    config: DatasetConfig,
    scales: Scales,
    detector: Detector,
    held_out: Sequence[HeldOut],
    *,
    n_entities: int | None = None,
    known: Mapping[str, HeldOutErrors] | None = None,
) -> ModelSpec:
    """The model's spec with calibrated limits.

    Parameters
    ----------
    n_entities : of the whole dataset, which share its alarm budget; None: those of the model.
    known : the detector's errors, by entity; None: they are computed.
    """
    threshold, step_s = config.threshold, config.step_s
    return calibrated_spec(
        feature_spec_of(config),
        scales.own,
        scales.pooled,
        ThresholdSettings.on_grid(threshold.model_dump(), step_s),
        detector,
        held_out,
        combine=threshold.combination,
        top_k=threshold.top_k,
        budget=alarm_budget(config, len(scales.running_hours), n_entities),
        known=known,
    )


def alarm_budget(
    config: DatasetConfig, n_modelled: int, n_entities: int | None = None
) -> AlarmBudget:
    """The share of the dataset's alarm budget that a model of so many of its entities has."""
    policy = config.alarm_policy
    per_day = policy.budget_per_day * n_modelled / (n_entities or n_modelled)
    per_entity_day, rule = policy.budget_per_entity_week / 7, incident_rule(policy)
    return AlarmBudget(per_day, per_entity_day, n_modelled, rule, config.step_s)


def model_card(
    run: Retraining,
    scope: Scope,
    scales: Scales,
    kept: Kept,
    detector: Detector,
    trained: Trained,
) -> dict[str, Any]:
    """What a person wants to know of a model: sizes, range, share of windows used, losses, limits.

    Nothing that was measured with a clock: the same training is the same bundle.
    """
    config, span, history = run.config, run.span, trained.history
    n_used, learned_from_at = kept.n_windows, span.start_at
    if detector.folds:
        # It takes every step from there to the split; others take samples.
        n_used, learned_from_at = min(history.n_windows, kept.n_available), trained.learned_from[0]
    return {
        "dataset": config.dataset,
        "scope": scope.name,
        "detector": config.detector.name,
        "n_parameters": detector.n_parameters,
        "channels": list(config.model_names),
        "window": detector.width,
        "train_start_at": span.start_at.isoformat(),
        "learned_from_at": learned_from_at.isoformat(),
        "train_split_at": span.split_at.isoformat(),
        "train_end_at": span.end_at.isoformat(),
        "n_windows_available": kept.n_available,
        "n_windows_used": n_used,
        "used_share": n_used / kept.n_available if kept.n_available else None,
        "running_hours": dict(scales.running_hours),
        "entities_with_own_scale": sorted(scales.own),
        "seed": run.chosen_seed,
        "training": {name: value for name, value in asdict(history).items() if name != "seconds"},
        "threshold": config.threshold.model_dump(),
        "config_hash": config.model_hash,
    } | ({"notes": detector.notes} if detector.notes else {})
