"""Tasks `calibrate`, `gate` and `register` of a retraining: limits, rules, and the row that
decides.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from tsad_tasks.base.confidence import (
    SURE,
    chance_of_losing,
    count_interval,
    share_interval,
    stability_index,
)
from tsad_tasks.config import DatasetConfig, Gate
from tsad_tasks.detectors.base import Detector, TrainingHistory
from tsad_tasks.detectors.bundle import read_bundle
from tsad_tasks.detectors.registry import detector_class
from tsad_tasks.model.budget import AlarmBudget
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.model.thresholds import ThresholdSettings
from tsad_tasks.scoring.alarm_rule import incident_rule
from tsad_tasks.storage.artifacts import place
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
    Delays,
    DetectionResult,
    HeldOut,
    calibrated_spec,
    judge,
    n_found,
    series_errors,
)
from tsad_tasks.training.queries import ChampionAt, NewModel, RuleResult

MAX_GATE_ENTITIES = 24
TIMED_STEPS, N_TIMED = 256, 5


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
    also: Sequence[RuleResult] = (),
    n_entities: int | None = None,
) -> GateOutcome:
    """The challenger's numbers beside the champion's, rule by rule.

    Parameters
    ----------
    also : rules that were judged elsewhere.
    n_entities : that the model is for, where they are not those of `held_out`; notes say on how
        many of them it was.
    """
    chosen = _judged_parts(held_out)
    rule = incident_rule(config.alarm_policy)
    settings: dict[str, Any] = {
        "n_injected": config.gate.n_injected,
        "seed": seed,
        "reference": spec,
        "rule": rule,
    }
    challenger = judge(spec, detector, chosen, **settings)
    incumbent, old = None, None if champion is None else comparable_model(champion, spec)
    if old is not None:
        incumbent = judge(*old, chosen, **settings)
    rows = _rules(config, challenger, incumbent, history)
    rows = _saying_on_whom(rows, len(chosen), n_entities or len(held_out))
    costs = [_latency(config.gate, spec, detector, chosen, old), _size(detector, old)]
    return GateOutcome([*rows, *costs, *also], challenger, incumbent)


def _saying_on_whom(rows: Sequence[RuleResult], n_judged: int, n_entities: int) -> list[RuleResult]:
    """The rows, whose notes say on how many entities they are, where these are not all; the loss is
    of all windows.
    """
    if n_judged == n_entities:
        return list(rows)
    on_whom = f"; on {n_judged:,} of {n_entities:,} entities"
    return [
        row if row.rule == "finite_loss" else replace(row, note=row.note + on_whom) for row in rows
    ]


def _judged_parts(held_out: Sequence[HeldOut]) -> list[HeldOut]:
    """Some entities, evenly, and as many with known anomalies."""
    numbers = np.arange(len(held_out))
    known = np.array([part.known is not None and bool(part.known.any()) for part in held_out], bool)
    chosen = np.union1d(
        evenly(numbers, MAX_GATE_ENTITIES), evenly(numbers[known], MAX_GATE_ENTITIES)
    )
    return [held_out[int(i)] for i in chosen]


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


def _rules(
    config: DatasetConfig,
    challenger: DetectionResult,
    champion: DetectionResult | None,
    history: TrainingHistory,
) -> list[RuleResult]:
    gate = config.gate
    rows = [_finite_loss(history), _held_out_error(challenger, champion)]
    for kind, limit in (
        ("point", gate.min_point_share),
        ("contextual", gate.min_contextual_share),
        ("collective", gate.min_collective_share),
    ):
        rows.append(_injected_found(kind, challenger, champion, limit, gate.margin))
    per_week = gate.max_incidents_per_entity_week
    if per_week is None and config.threshold.kind == "evt":
        per_week = 2 * config.alarm_policy.budget_per_entity_week
    return [
        *rows,
        _known_found(challenger, champion, gate),
        _false_alarms(challenger, champion, gate, config.detector.n_steps),
        _false_incidents(challenger, champion, per_week),
        not_worse(challenger, champion, gate),
        _delay(challenger, champion, config.source.step_s),
        _score_drift(challenger, champion, gate.max_score_drift),
    ]


def _finite_loss(history: TrainingHistory) -> RuleResult:
    if not history.validation_loss:
        return RuleResult(
            "finite_loss",
            None,
            None,
            None,
            True,
            "not tested: this detector counts, and has no loss",
        )
    loss = history.validation_loss[-1]
    finite = bool(np.isfinite(loss)) and history.stopped != "diverged"
    return RuleResult(
        "finite_loss", loss if np.isfinite(loss) else None, None, None, finite, "validation loss"
    )


def _held_out_error(challenger: DetectionResult, champion: DetectionResult | None) -> RuleResult:
    """Shown: losses of other scales or other kinds of detectors do not compare."""
    old = champion.mean_error if champion else None
    note = "mean error of the same held-out windows; shown"
    return RuleResult("held_out_error", challenger.mean_error, None, old, True, note)


def _injected_found(
    kind: str,
    challenger: DetectionResult,
    champion: DetectionResult | None,
    limit: float,
    margin: float,
) -> RuleResult:
    found, old = challenger.delays[kind], _share(champion.delays[kind]) if champion else None
    value = _share(found)
    if value is None:
        return RuleResult(
            f"{kind}_share",
            None,
            limit,
            old,
            True,
            "not tested: too few held-out days, or none alike",
        )
    low, high = share_interval(n_found(found), len(found))
    passed = high >= limit and value >= limit - margin
    note = f"share found of {len(found)} injected {kind} anomalies"
    return RuleResult(f"{kind}_share", value, limit, old, passed, note, low, high)


def _share(delays: Delays) -> float | None:
    return n_found(delays) / len(delays) if delays else None


def _known_found(
    challenger: DetectionResult, champion: DetectionResult | None, gate: Gate
) -> RuleResult:
    """Labels and verdicts in held-out readings; fails only where chance does not explain it."""
    found, limit, old = (
        challenger.known,
        gate.min_known_share,
        _share(champion.known) if champion else None,
    )
    value, n = _share(found), len(found)
    if n < gate.min_known:
        return RuleResult(
            "known_share", value, limit, old, True, f"too few known anomalies: {n}; decides nothing"
        )
    low, high = share_interval(n_found(found), n)
    chance = _chance(found, champion.known) if champion else 1.0
    note = f"share found of {n} known anomalies" + (
        f"; {_against(found, champion.known)}" if champion else ""
    )
    return RuleResult(
        "known_share", value, limit, old, high >= limit and chance > SURE, note, low, high
    )


def _chance(found: Delays, old: Delays) -> float:
    """Probability that a challenger as good as the champion loses so many pairs."""
    return chance_of_losing(*_discordant(found, old))


def _discordant(found: Delays, old: Delays) -> tuple[int, int]:
    """Anomalies that only the champion finds, and that only the challenger finds."""
    pairs = [(new is not None, before is not None) for new, before in zip(found, old, strict=True)]
    return pairs.count((False, True)), pairs.count((True, False))


def _against(found: Delays, old: Delays) -> str:
    lost, won = _discordant(found, old)
    return f"{lost} that only the champion finds, {won} only the challenger, by chance with {_chance(found, old):.0%}"


def _false_alarms(
    challenger: DetectionResult, champion: DetectionResult | None, gate: Gate, width: int
) -> RuleResult:
    """Windows overlap: as many steps as a window has count as one."""
    value, old = challenger.false_alarm_share, champion.false_alarm_share if champion else None
    limit, n = gate.max_false_alarm_share, challenger.n_judged
    note = f"flagged share of {n} clean held-out steps"
    if value is None:
        return RuleResult("false_alarm_share", None, limit, old, False, note)
    low, high = share_interval(challenger.n_flags / width, n / width)
    passed = low <= limit and value <= limit * gate.max_excess
    return RuleResult("false_alarm_share", value, limit, old, passed, note, low, high)


def _false_incidents(
    challenger: DetectionResult, champion: DetectionResult | None, limit: float | None
) -> RuleResult:
    """Fails only where chance does not explain the incidents: a short held-out range holds few."""
    if not challenger.n_weeks:
        return RuleResult(
            "incidents_per_entity_week", None, limit, None, True, "not tested: nothing was judged"
        )
    n, weeks = challenger.n_incidents, challenger.n_weeks
    low, high = (end / weeks for end in count_interval(n))
    old = champion.n_incidents / champion.n_weeks if champion and champion.n_weeks else None
    note = f"{n} incidents in {weeks:.2g} clean held-out weeks of one entity"
    passed = limit is None or low <= limit
    return RuleResult("incidents_per_entity_week", n / weeks, limit, old, passed, note, low, high)


def not_worse(
    challenger: DetectionResult, champion: DetectionResult | None, gate: Gate
) -> RuleResult:
    """The same anomalies, in pairs: worse than tolerated fails where chance does not explain it, or
    they are many.
    """
    value, old = challenger.overall, champion.overall if champion else None
    if champion is None or value is None or old is None:
        return RuleResult(
            "not_worse",
            value,
            None,
            old,
            True,
            "no champion to compare with" if not champion else "not tested",
        )
    false_alarms = champion.false_alarm_share
    if false_alarms is not None and false_alarms > gate.max_false_alarm_share:
        note = f"no standard: the champion flags {false_alarms:.1%} of the clean held-out steps"
        return RuleResult("not_worse", value, None, old, True, note)
    found, before = challenger.all_delays, champion.all_delays
    limit, n = old - gate.tolerance, len(found)
    passed = value >= limit or (_chance(found, before) > SURE and n < gate.min_pairs)
    note = f"share found of the same {n} injected anomalies; {_against(found, before)}"
    return RuleResult(
        "not_worse", value, limit, old, passed, note, *share_interval(n_found(found), n)
    )


def _delay(
    challenger: DetectionResult, champion: DetectionResult | None, step_s: int
) -> RuleResult:
    value, old = (_median_delay(one, step_s) if one else None for one in (challenger, champion))
    return RuleResult(
        "delay_s",
        value,
        None,
        old,
        True,
        "median seconds from an injected anomaly to its flag; shown",
    )


def _median_delay(result: DetectionResult, step_s: int) -> float | None:
    delays = [each for each in result.all_delays if each is not None]
    return float(np.median(delays)) * step_s if delays else None


def _score_drift(
    challenger: DetectionResult, champion: DetectionResult | None, limit: float
) -> RuleResult:
    value = stability_index(champion.scores, challenger.scores) if champion else None
    note = "PSI of scores on clean held-out steps against the champion's; shown"
    return RuleResult(
        "score_drift", value, limit, None, True, note if champion else "no champion to compare with"
    )


Model = tuple[ModelSpec, Detector]


def _latency(
    gate: Gate, spec: ModelSpec, detector: Detector, held_out: Sequence[HeldOut], old: Model | None
) -> RuleResult:
    """CPU time, since a wall clock tells how busy the machine was; the limit is generous."""
    if not held_out:
        return RuleResult(
            "latency_ms", None, gate.max_latency_ms, None, True, "not tested: nothing was judged"
        )
    value = window_milliseconds(spec, detector, held_out[0])
    before = window_milliseconds(*old, held_out[0]) if old else None
    note = "CPU milliseconds from readings to an error, per window, median"
    return RuleResult(
        "latency_ms", value, gate.max_latency_ms, before, value <= gate.max_latency_ms, note
    )


def window_milliseconds(spec: ModelSpec, detector: Detector, part: HeldOut) -> float:
    """CPU milliseconds of this process from readings to an error, per window: median of some runs
    over one entity.

    What other programs make it wait does not count.
    """
    values, scaler, taken = part.values[:TIMED_STEPS], spec.scaler(part.entity), []
    for _ in range(N_TIMED):
        began = time.process_time()
        series_errors(spec.features, scaler, detector, values, part.start_s, part.entity)
        taken.append(time.process_time() - began)
    return float(np.median(taken)) / len(values) * 1000


def _size(detector: Detector, old: Model | None) -> RuleResult:
    sizes = [
        sum(map(len, one.to_files().values())) for one in ([detector] + ([old[1]] if old else []))
    ]
    before = float(sizes[1]) if old else None
    return RuleResult(
        "size_bytes", float(sizes[0]), None, before, True, "bytes of the detector's files; shown"
    )


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
