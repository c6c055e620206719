"""Tasks `calibrate`, `gate` and `register` of a retraining: limits, rules, and the row that
decides.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypeVar

import numpy as np

from tsad_tasks.base.enums import Stage
from tsad_tasks.base.rule import RuleResult, rules_of
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.base import Detector, TrainingHistory
from tsad_tasks.detectors.bundle import read_bundle
from tsad_tasks.detectors.registry import detector_class
from tsad_tasks.model.budget import AlarmBudget
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.model.thresholds import ThresholdSettings
from tsad_tasks.scoring.alarm_rule import incident_rule
from tsad_tasks.storage.artifacts import place
from tsad_tasks.training.commissioning import Level
from tsad_tasks.training.fit import (
    FoldGroup,
    PreparedTraining,
    Scales,
    Scope,
    TrainingRange,
    TrainingReader,
    evenly,
    feature_spec_of,
)
from tsad_tasks.training.held_out import (
    DetectionResult,
    HeldOut,
    calibrated_spec,
    judge,
    series_errors,
)
from tsad_tasks.training.queries import ChampionAt, NewModel
from tsad_tasks.training.rules.base import GateEvidence

MAX_GATE_ENTITIES = 24
TIMED_STEPS, N_TIMED = 256, 5
Value = TypeVar("Value")


def held_out_readings(reader: TrainingReader, group: FoldGroup) -> list[HeldOut]:
    """Held-out readings of a group's entities."""
    reader = reader.on(group.span)
    return [
        part for name, key in group.entities if (part := reader.held_out(name, key)) is not None
    ]


def calibrate_model(
    config: DatasetConfig,
    scales: Scales,
    detector: Detector,
    held_out: Sequence[HeldOut],
    *,
    n_entities: int | None = None,
) -> ModelSpec:
    """The model's spec with calibrated limits.

    Parameters
    ----------
    n_entities : of the whole dataset, which share its alarm budget; None: the model is for all of
        them.
    """
    threshold, step_s = config.threshold, config.source.step_s
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
    )


def alarm_budget(
    config: DatasetConfig, n_modelled: int, n_entities: int | None = None
) -> AlarmBudget:
    """The share of the dataset's alarm budget that a model of so many of its entities has."""
    policy = config.alarm_policy
    rule = incident_rule(policy)
    per_day = policy.budget_per_day * n_modelled / (n_entities or n_modelled)
    return AlarmBudget(
        per_day, policy.budget_per_entity_week / 7, n_modelled, rule, config.source.step_s
    )


@dataclass(frozen=True)
class GateOutcome:
    """The gate's rules and what it measured."""

    rows: list[RuleResult]
    challenger: DetectionResult
    champion: DetectionResult | None

    @property
    def passed(self) -> bool:
        return all(row.passed for row in self.rows)


def run_gate(
    config: DatasetConfig,
    spec: ModelSpec,
    detector: Detector,
    history: TrainingHistory,
    held_out: Sequence[HeldOut],
    champion: ChampionAt | None,
    *,
    seed: int,
    levels: Sequence[Level] = (),
    n_entities: int | None = None,
) -> GateOutcome:
    """The challenger's numbers beside the champion's, rule by rule.

    Parameters
    ----------
    levels : channels of the training range beside their commissioning references.
    n_entities : that the model is for, where they are not those of `held_out`; notes say on how
        many of them it was.
    """
    numbers = np.arange(len(held_out))
    known = np.array([part.known is not None and bool(part.known.any()) for part in held_out], bool)
    # Some entities, evenly, and as many with known anomalies.
    chosen = [
        held_out[i]
        for i in np.union1d(
            evenly(numbers, MAX_GATE_ENTITIES), evenly(numbers[known], MAX_GATE_ENTITIES)
        ).tolist()
    ]
    settings: dict[str, Any] = {
        "n_injected": config.gate.n_injected,
        "seed": seed,
        "reference": spec,
        "rule": incident_rule(config.alarm_policy),
    }
    models = [(spec, detector)]
    if champion is not None and (old := comparable_model(champion, spec)) is not None:
        models.append(old)
    results = [judge(*model, chosen, **settings) for model in models]
    latency_ms = [window_milliseconds(*model, chosen[0]) if chosen else None for model in models]
    n_bytes = [sum(map(len, detector.to_files().values())) for _, detector in models]
    evidence = GateEvidence(
        config,
        *_pair(results),
        history,
        levels,
        _pair(latency_ms),
        _pair(n_bytes),
        len(chosen),
        n_entities or len(held_out),
    )
    rows = [rule.judge(evidence, config) for rule in rules_of(Stage.GATE)]
    return GateOutcome(rows, evidence.challenger, evidence.champion)


def _pair(of_models: Sequence[Value]) -> tuple[Value, Value | None]:
    """What there is of the challenger, and of the champion where it can be compared."""
    return of_models[0], of_models[1] if len(of_models) > 1 else None


def comparable_model(champion: ChampionAt, spec: ModelSpec) -> tuple[ModelSpec, Detector] | None:
    """Spec and detector of the champion; None where it does not see the same channels in the same
    steps.
    """
    bundle = read_bundle(place(champion.artifact_uri), expected_sha256=champion.sha256)
    old = ModelSpec.from_json(bundle.spec)
    same = (
        old.features.channels == spec.features.channels
        and old.features.step_s == spec.features.step_s
    )
    return (old, bundle.detector) if same else None


def window_milliseconds(spec: ModelSpec, detector: Detector, part: HeldOut) -> float:
    """CPU milliseconds of this process from readings to an error, per window: median of some runs
    over one entity.

    What other programs make it wait does not count: a wall clock tells how busy the machine is.
    """
    values, scaler, taken = part.values[:TIMED_STEPS], spec.scaler(part.entity), []
    for _ in range(N_TIMED):
        began = time.process_time()
        series_errors(spec.features, scaler, detector, values, part.start_s, part.entity)
        taken.append(time.process_time() - began)
    return float(np.median(taken)) / len(values) * 1000


def model_card(
    config: DatasetConfig,
    scope: Scope,
    span: TrainingRange,
    scales: Scales,
    prepared: PreparedTraining,
    detector: Detector,
    history: TrainingHistory,
    *,
    seed: int,
    learned_from_at: datetime | None = None,
    incidents_per_day: float | None = None,
) -> dict[str, Any]:
    """What a person wants to know of a model: sizes, range, share of windows used, losses, limits.

    Nothing that was measured with a clock: the same training is the same bundle.

    Parameters
    ----------
    learned_from_at : where a folding detector began to learn, every step from there to the split;
        others take samples.
    incidents_per_day : expected while nothing is wrong; None where the limits are not made for a
        budget.
    """
    n_used = (
        len(prepared.ends)
        if learned_from_at is None
        else min(history.n_windows, prepared.n_available)
    )
    return {
        "dataset": config.dataset,
        "scope": scope.name,
        "detector": config.detector.name,
        "n_parameters": detector.n_parameters,
        "channels": list(config.channel_names),
        "window": detector.width,
        "train_start_at": span.start_at.isoformat(),
        "learned_from_at": (learned_from_at or span.start_at).isoformat(),
        "train_split_at": span.split_at.isoformat(),
        "train_end_at": span.end_at.isoformat(),
        "n_windows_available": prepared.n_available,
        "n_windows_used": n_used,
        "used_share": n_used / prepared.n_available if prepared.n_available else None,
        "running_hours": dict(scales.running_hours),
        "entities_with_own_scale": sorted(scales.own),
        "seed": seed,
        "training": {name: value for name, value in asdict(history).items() if name != "seconds"},
        "threshold": config.threshold.model_dump(),
        "config_hash": config.model_hash,
        "expected_incidents_per_day": incidents_per_day,
    }


def new_model(
    config: DatasetConfig,
    scope: Scope,
    span: TrainingRange,
    spec: ModelSpec,
    *,
    dataset_id: int,
    lineage: str,
    parent: ChampionAt | None,
    seed: int,
    artifact_uri: str,
    sha256: str,
    card: dict[str, Any],
) -> NewModel:
    """The row of a trained model."""
    return NewModel(
        dataset_id=dataset_id,
        scope_entity_id=scope.entity_id,
        lineage=lineage,
        parent_model_id=parent.model_id if parent else None,
        detector=config.detector.name,
        seed=seed,
        train_start_at=span.start_at,
        train_end_at=span.end_at,
        config_hash=config.model_hash,
        window_reach_s=spec.features.reach_hours * 3600,
        score_reach_s=spec.score_reach_hours * 3600,
        n_parameters=int(card["n_parameters"]),
        artifact_uri=artifact_uri,
        sha256=sha256,
        card=card,
        folds=detector_class(config.detector.name).folds,
    )
