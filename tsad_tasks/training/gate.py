"""The gate's rules: a challenger's numbers beside the champion's."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from tsad_tasks.base.enums import Stage
from tsad_tasks.base.rule import RuleResult, rules_of
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.base import Detector, TrainingHistory
from tsad_tasks.detectors.bundle import read_bundle
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.scoring.alarm_rule import incident_rule
from tsad_tasks.scoring.series import SeriesErrors, series_errors
from tsad_tasks.storage.artifacts import artifact_path
from tsad_tasks.training.commissioning import Level
from tsad_tasks.training.held_out import HeldOut
from tsad_tasks.training.injected import judge, value_ends
from tsad_tasks.training.queries import ChampionAt
from tsad_tasks.training.reader import evenly
from tsad_tasks.training.rules.base import GateEvidence

MAX_GATE_ENTITIES = 24
TIMED_STEPS, N_TIMED = 256, 5
Value = TypeVar("Value")


def gate_entities(known: Mapping[str, bool]) -> set[str]:
    """Which entities are judged: some, evenly, and as many with known anomalies.

    Parameters
    ----------
    known : of all that have held-out readings, whether known anomalies are in them.
    """
    names, has_known = list(known), np.array(list(known.values()), bool)
    numbers = np.arange(len(names))
    chosen = [*evenly(numbers, MAX_GATE_ENTITIES), *evenly(numbers[has_known], MAX_GATE_ENTITIES)]
    return {names[i] for i in chosen}


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
    known: Mapping[str, SeriesErrors] | None = None,
    n_entities: int | None = None,
    is_young: bool = False,
) -> list[RuleResult]:
    """The challenger's numbers beside the champion's, rule by rule.

    Parameters
    ----------
    held_out : of the entities that are judged, as `gate_entities` chooses them.
    levels : channels of the training range beside their commissioning references.
    known : the challenger's errors on the readings as they are, as far as they were computed.
    n_entities : that the model is for, where they are not those of `held_out`.
    is_young : of readings so few that there may be nothing to judge.
    """
    settings: dict[str, Any] = {"n_injected": config.gate.n_injected, "seed": seed}
    settings |= {"reference": spec, "rule": incident_rule(config.alarm_policy)}
    settings |= {"ends": value_ends(config, spec.features.channels)}
    models = [(spec, detector)]
    if champion is not None and (old := comparable_model(champion, spec)) is not None:
        models.append(old)
    results = [judge(spec, detector, held_out, known=known, **settings)]
    results += [judge(*model, held_out, **settings) for model in models[1:]]
    part = held_out[0] if held_out else None
    latency_ms = [window_milliseconds(*model, part) if part else None for model in models]
    n_bytes = [sum(map(len, detector.to_files().values())) for _, detector in models]
    costs, n_judged = (_pair(latency_ms), _pair(n_bytes)), len(held_out)
    evidence = GateEvidence(
        config, *_pair(results), history, levels, *costs, n_judged, n_entities or n_judged, is_young
    )
    return [rule.judge(evidence, config) for rule in rules_of(Stage.GATE)]


def _pair(of_models: Sequence[Value]) -> tuple[Value, Value | None]:
    """What there is of the challenger, and of the champion where it can be compared."""
    return of_models[0], of_models[1] if len(of_models) > 1 else None


def comparable_model(champion: ChampionAt, spec: ModelSpec) -> tuple[ModelSpec, Detector] | None:
    """Spec and detector of the champion; None where it sees other channels or steps, or where
    their values were something else.
    """
    bundle = read_bundle(artifact_path(champion.artifact_uri), expected_sha256=champion.sha256)
    old = ModelSpec.from_json(bundle.spec)
    seen, seen_then = ((one.features.channels, one.features.step_s) for one in (spec, old))
    if seen != seen_then or old.features.changes(spec.features.signal_of, spec.features.unit_of):
        return None
    return old, bundle.detector


def window_milliseconds(spec: ModelSpec, detector: Detector, part: HeldOut) -> float:
    """CPU milliseconds from readings to an error, per window: median of runs over one entity.

    What other programs make it wait does not count: a wall clock tells how busy the machine is.
    """
    values, scaler, taken = part.values[:TIMED_STEPS], spec.scaler(part.entity), []
    for _ in range(N_TIMED):
        began = time.process_time()
        series_errors(spec.features, scaler, detector, values, part.start_s, part.entity)
        taken.append(time.process_time() - began)
    return float(np.median(taken)) / len(values) * 1000
