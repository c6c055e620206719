"""The same machines written in other units: do incidents and scores stay? `units.py [--small]`.

Two machines of four channels, one of which never moves until the last day but one: a daily cycle in
°C, a load in shares of 1, a pressure in bar, and a relief flow that is 0. Then the same readings in
K, in thousandths, in thousands, and in thousands above an offset. Every registered detector, with
the settings of its guide, is trained on both, with robust and with standard scaling, and scores two
days with faults. Fails where an incident differs, or a score by more than 1e-4 of itself, or of a
threshold. `--small`: three detectors (`--only` names others).
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from tsad_tasks.base.interval import Interval, unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.base import Detector
from tsad_tasks.detectors.registry import DETECTORS
from tsad_tasks.model.incidents import incident_spans
from tsad_tasks.model.scoring import entity_scores
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.scoring.alarm_rule import incident_rule
from tsad_tasks.scoring.series import series_errors
from tsad_tasks.training.fit import fit_detector, fit_folding, move_to_anchor, spec_after
from tsad_tasks.training.held_out import held_out_errors
from tsad_tasks.training.judge import calibrate_model, held_out_readings
from tsad_tasks.training.kept import prepare_training
from tsad_tasks.training.queries import Exclusion
from tsad_tasks.training.reader import FoldGroup, Scope, TrainingReader, training_range
from tsad_tasks.training.survey import scales_of, surveyed

Floats = NDArray[np.float64]
GUIDES = Path(__file__).resolve().parents[1] / "docs" / "guides" / "detectors"
SMALL = ("dense_autoencoder", "isolation_forest", "event_head")
STEP_S, TRAIN_DAYS, SCORE_DAYS = 600, 12, 2
START_AT = datetime(2026, 3, 2, tzinfo=UTC)
TRAINED_AT = START_AT + timedelta(days=TRAIN_DAYS)
NAMES = ("a", "b")
CHANNELS = ("temperature", "load", "pressure", "relief")
# What a reading becomes: × factor + offset.
FACTORS, OFFSETS = np.array([1.0, 1e-3, 1e3, 1e3]), np.array([273.15, 0.0, 0.0, 5e3])
MOST_APART = 1e-4
KNOWN = Interval(START_AT + timedelta(days=3), START_AT + timedelta(days=3, hours=6))
KNOWN_LATER = Interval(START_AT + timedelta(days=9), START_AT + timedelta(days=9, hours=6))


def readings(seed: int = 5) -> Floats:
    """Readings (n_machines, n_steps, n_channels), with faults in the last two days."""
    rng, n_steps = np.random.default_rng(seed), (TRAIN_DAYS + SCORE_DAYS) * 86400 // STEP_S
    hours = np.arange(n_steps) * STEP_S / 3600
    cycle = np.sin(2 * np.pi * hours / 24) + 0.2 * rng.normal(size=(2, n_steps))
    values = np.zeros((2, n_steps, len(CHANNELS)))
    values[..., 0] = np.round(20 + 3 * cycle, 2)
    values[..., 1] = np.round(0.5 + 0.1 * cycle + 0.02 * rng.normal(size=cycle.shape), 4)
    values[..., 2] = np.round(4 - 0.5 * cycle + 0.1 * rng.normal(size=cycle.shape), 3)
    scored = TRAIN_DAYS * 86400 // STEP_S
    values[0, scored + 20 : scored + 40, 0] += 12
    values[1, scored + 60, 1] += 1
    values[0, scored + 144 :, 3] = 0.4
    # Known anomalies, for a detector that learns from them.
    for known in (KNOWN, KNOWN_LATER):
        first, end = ((unix_s(at) - unix_s(START_AT)) // STEP_S for at in known)
        values[0, first:end, 2] += 3
    return values


def config_of(name: str, scaling: str) -> DatasetConfig:
    """The settings of a detector's guide, and little to learn from."""
    own = yaml.safe_load((GUIDES / f"{name}.md").read_text().split("```yaml")[1].split("```")[0])
    source: dict[str, Any] = {
        "connection": "plant",
        "tables": "plant",
        "time": {"column": "at"},
        "entity": {"column": "machine"},
        "step": STEP_S,
        "channels": {channel: {} for channel in CHANNELS},
    }
    training = {"range": f"{TRAIN_DAYS}d", "epochs": 3, "max_windows": 1500}
    fields = {"dataset": "units", "source": source, "features": {"scaling": scaling}} | own
    return DatasetConfig.model_validate(
        fields | {"training": training | own.get("training", {}), "features": {"scaling": scaling}}
    )


@dataclass(frozen=True)
class Told:
    """Scores (n_machines, n_steps) of the last days, and first and last step of each incident."""

    scores: NDArray[np.float32]
    incidents: list[list[tuple[int, int]]]


def told(config: DatasetConfig, values: Floats, seed: int = 7) -> Told:
    """What a model that is trained on these readings tells of the last days."""
    return told_by(config, *trained(config, values, seed), values)


def trained(config: DatasetConfig, values: Floats, seed: int = 7) -> tuple[ModelSpec, Detector]:
    """The model of these readings' first days, calibrated."""
    start_s = unix_s(START_AT)

    def read(machines: Any, start_at: datetime, end_at: datetime) -> Floats:
        first, end = ((unix_s(at) - start_s) // STEP_S for at in (start_at, end_at))
        return values[list(machines), first:end]

    scope = Scope(0, "all", tuple((name, number) for number, name in enumerate(NAMES)))
    known = [Exclusion(0, *span, "label: fault", 36) for span in (KNOWN, KNOWN_LATER)]
    reader = TrainingReader(read, config, training_range(config, TRAINED_AT), known)
    return _model(reader, scope, seed)


def told_by(config: DatasetConfig, spec: ModelSpec, detector: Detector, values: Floats) -> Told:
    """What a model tells of these readings' last days."""
    start_s = unix_s(START_AT)
    reach = 0 if detector.folds else spec.features.reach_steps + spec.threshold.history_steps
    first = TRAIN_DAYS * 86400 // STEP_S
    scores, incidents = [], []
    for number, name in enumerate(NAMES):
        seen, at_s = values[number, first - reach :], start_s + (first - reach) * STEP_S
        found = series_errors(spec.features, spec.scaler(name), detector, seen, at_s, name)
        errors = found.combined(spec, name)
        made = entity_scores(
            spec, [name], errors[None], moved=found.moved[None], farthest=found.farthest[None]
        )
        steps = np.flatnonzero(made.flags[0, reach:])
        own = made.scores[0, reach:]
        rule = incident_rule(config.alarm_policy)
        spans = incident_spans(steps * STEP_S, own[steps], rule, STEP_S, errors[reach:][steps])
        scores.append(own)
        incidents.append([(int(steps[one.first]), int(steps[one.last])) for one in spans])
    return Told(np.stack(scores), incidents)


def _model(reader: TrainingReader, scope: Scope, seed: int) -> tuple[ModelSpec, Detector]:
    config, group = reader.config, FoldGroup(scope.entities, reader.span)
    scales = scales_of(config, reader.span, surveyed(reader, scope))
    held_out = held_out_readings(reader, group)
    if not reader.folds:
        detector, _ = fit_detector(config, prepare_training(reader, scope, scales), seed=seed)
        return calibrate_model(config, scales, detector, held_out), detector
    folding, _, learned = fit_folding(reader, [group], scales, seed=seed)
    folds: Any = []
    errors = held_out_errors(reader.spec, scales.of, folding, held_out, folds)
    spec = calibrate_model(config, scales, folding, held_out, known=errors)
    spec = spec_after(spec, NAMES, learned[0])
    return move_to_anchor(folding, reader, [group], scales, spec, folds), folding


def apart(here: Told, there: Told) -> float:
    """The largest difference of scores, as a share of the score where that is above 1."""
    same = np.isfinite(here.scores) == np.isfinite(there.scores)
    if not same.all():
        return float("inf")
    known = np.isfinite(here.scores)
    one, other = (part.scores[known].astype(np.float64) for part in (here, there))
    return float((np.abs(one - other) / np.maximum(np.abs(one), 1.0)).max(initial=0.0))


def compared(name: str, scaling: str) -> tuple[float, Told, Told]:
    """How far apart scores are of one detector, and what it tells in both units."""
    values, config = readings(), config_of(name, scaling)
    here, there = told(config, values), told(config, values * FACTORS + OFFSETS)
    return apart(here, there), here, there


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", nargs="+", metavar="NAME")
    asked = parser.parse_args()
    n_failed = 0
    print(f"{'detector':24} {'scaling':9} {'apart':>9} {'incidents':>9}")
    for name in asked.only or (SMALL if asked.small else [*DETECTORS]):
        for scaling in ("robust", "standard"):
            difference, here, there = compared(name, scaling)
            holds = difference <= MOST_APART and here.incidents == there.incidents
            n_failed += not holds
            n_incidents = sum(map(len, here.incidents))
            said = "" if holds else f"  FAILED: {here.incidents} and {there.incidents}"
            print(f"{name:24} {scaling:9} {difference:9.1e} {n_incidents:9}{said}", flush=True)
    sys.exit(1 if n_failed else 0)


if __name__ == "__main__":
    main()
