"""Tasks `calibrate`, `gate` and `register` of a retraining: limits, rules, and the row that decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
from upath import UPath

from tsad_tasks.config import DatasetConfig, Gate
from tsad_tasks.core.budget import AlarmBudget
from tsad_tasks.core.spec import ModelSpec
from tsad_tasks.core.thresholds import ThresholdSettings
from tsad_tasks.detectors.base import Detector, TrainingHistory
from tsad_tasks.detectors.bundle import read_bundle
from tsad_tasks.detectors.registry import detector_class
from tsad_tasks.steps.evaluate import HeldOut, Verdicts, calibrated_spec, judge
from tsad_tasks.steps.policy import incident_rule
from tsad_tasks.steps.training import (
    PreparedTraining,
    Scales,
    Scope,
    TrainingRange,
    TrainingReader,
    evenly,
    feature_spec_of,
)
from tsad_tasks.storage.rows import ChampionAt, GateRow, NewModel

MAX_GATE_ENTITIES = 24


def held_out_readings(reader: TrainingReader, scope: Scope) -> list[HeldOut]:
    """Held-out readings of the scope's entities."""
    return [part for name, key in scope.entities if (part := reader.held_out(name, key)) is not None]


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
    n_entities : of the whole dataset, which share its alarm budget; None: the model is for all of them.
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


def alarm_budget(config: DatasetConfig, n_modelled: int, n_entities: int | None = None) -> AlarmBudget:
    """The share of the dataset's alarm budget that a model of so many of its entities has."""
    policy = config.alarm_policy
    rule = incident_rule(policy)
    per_day = policy.budget_per_day * n_modelled / (n_entities or n_modelled)
    return AlarmBudget(per_day, policy.budget_per_entity_week / 7, n_modelled, rule, config.source.step_s)


@dataclass(frozen=True)
class GateOutcome:
    """The gate's rules and what it measured."""

    rows: list[GateRow]
    challenger: Verdicts
    champion: Verdicts | None

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
    also: Sequence[GateRow] = (),
) -> GateOutcome:
    """The challenger's numbers beside the champion's, rule by rule; `also` are rules that were judged elsewhere."""
    chosen = [held_out[i] for i in evenly(np.arange(len(held_out)), MAX_GATE_ENTITIES)]
    settings = {"n_injected": config.gate.n_injected, "seed": seed, "reference": spec}
    challenger = judge(spec, detector, chosen, **settings)  # type: ignore[arg-type]
    incumbent = None
    if champion is not None:
        bundle = read_bundle(UPath(champion.artifact_uri), expected_sha256=champion.sha256)
        old = ModelSpec.from_json(bundle.spec)
        if old.features.channels == spec.features.channels and old.features.step_s == spec.features.step_s:
            incumbent = judge(old, bundle.detector, chosen, **settings)  # type: ignore[arg-type]
    return GateOutcome([*_rules(config, challenger, incumbent, history), *also], challenger, incumbent)


def _rules(
    config: DatasetConfig, challenger: Verdicts, champion: Verdicts | None, history: TrainingHistory
) -> list[GateRow]:
    gate = config.gate
    rows = [_finite_loss(history)]
    for kind, limit in (
        ("point", gate.min_point_share),
        ("contextual", gate.min_contextual_share),
        ("collective", gate.min_collective_share),
    ):
        rows.append(_at_least(f"{kind}_share", challenger, champion, kind, limit))
    rows.append(_false_alarms(challenger, champion, gate.max_false_alarm_share))
    rows.append(_not_worse(challenger, champion, gate))
    return rows


def _finite_loss(history: TrainingHistory) -> GateRow:
    if not history.validation_loss:
        return GateRow("finite_loss", None, None, None, True, "not tested: this detector counts, and has no loss")
    loss = history.validation_loss[-1]
    finite = bool(np.isfinite(loss)) and history.stopped != "diverged"
    return GateRow("finite_loss", loss if np.isfinite(loss) else None, None, None, finite, "validation loss")


def _at_least(rule: str, challenger: Verdicts, champion: Verdicts | None, kind: str, limit: float) -> GateRow:
    n, value = challenger.n_injected[kind], challenger.found_share[kind]
    old = champion.found_share[kind] if champion else None
    if value is None:
        return GateRow(rule, None, limit, old, True, "not tested: too few held-out days, or none alike")
    return GateRow(rule, value, limit, old, value >= limit, f"share found of {n} injected {kind} anomalies")


def _false_alarms(challenger: Verdicts, champion: Verdicts | None, limit: float) -> GateRow:
    value, old = challenger.false_alarm_share, champion.false_alarm_share if champion else None
    note = f"flagged share of {challenger.n_judged} clean held-out steps"
    return GateRow("false_alarm_share", value, limit, old, value is not None and value <= limit, note)


def _not_worse(challenger: Verdicts, champion: Verdicts | None, gate: Gate) -> GateRow:
    value, old = challenger.overall, champion.overall if champion else None
    if champion is None or value is None or old is None:
        return GateRow(
            "not_worse", value, None, old, True, "no champion to compare with" if not champion else "not tested"
        )
    false_alarms = champion.false_alarm_share
    if false_alarms is not None and false_alarms > gate.max_false_alarm_share:
        note = f"no standard: the champion flags {false_alarms:.1%} of the clean held-out steps"
        return GateRow("not_worse", value, None, old, True, note)
    note = f"share found of the same injected anomalies, at most {gate.tolerance:g} below the champion's"
    return GateRow("not_worse", value, old - gate.tolerance, old, value >= old - gate.tolerance, note)


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
) -> dict[str, Any]:
    """What a person wants to know of a model: sizes, range, share of windows used, losses, limits.

    Parameters
    ----------
    learned_from_at : where a folding detector began to learn, every step from there to the split; others take samples.
    """
    n_used = len(prepared.ends) if learned_from_at is None else min(history.n_windows, prepared.n_available)
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
        "training": asdict(history),
        "threshold": config.threshold.model_dump(),
        "config_hash": config.model_hash,
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
