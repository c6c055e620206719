"""Folds of large fleets: a choice is judged at length, all are calibrated, and small fleets are as
they always were.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from tsad_tasks.base.interval import unix_s
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.folding.series_fold import FoldDetector
from tsad_tasks.detectors.registry import detector_from_files
from tsad_tasks.model.incidents import IncidentRule
from tsad_tasks.model.scoring import entity_scores
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.scoring.fold import Copy, entity_reconstruction, reconstructions
from tsad_tasks.scoring.series import series_errors, series_windows
from tsad_tasks.storage.json_files import from_json_value, json_value
from tsad_tasks.training.fit import fit_folding, move_to_anchor
from tsad_tasks.training.fold_groups import MIN_CHOSEN, fold_groups, fold_start
from tsad_tasks.training.gate import run_gate
from tsad_tasks.training.held_out import HeldOut, held_out_errors
from tsad_tasks.training.injected import JudgedSeries, judge, series_folds
from tsad_tasks.training.judge import calibrate_model, held_out_readings
from tsad_tasks.training.queries import Exclusion
from tsad_tasks.training.reader import (
    FoldGroup,
    Scope,
    TrainingReader,
    feature_spec_of,
    training_range,
)
from tsad_tasks.training.survey import Scales, scales_of, surveyed

START_AT, N_DAYS, STEP_S = datetime(2026, 3, 2, tzinfo=UTC), 5, 600
END_AT = START_AT + timedelta(days=N_DAYS)
KNOWN, LIVELY = 3, 9


def config(n_values: int, detector: str = "three_sigma", **training: Any) -> DatasetConfig:
    source = {
        "connection": "plant",
        "tables": "t",
        "time": {"column": "at"},
        "entity": {"column": "host"},
    }
    return DatasetConfig.model_validate(
        {
            "dataset": "fleet",
            "source": source | {"step": "10min", "channels": {"cpu": {}, "fan": {}}},
            "detector": {"name": detector},
            "threshold": {"kind": "percentile", "combine": "top_k"},
            "training": {"range": "5d", "min_hours": 10, "max_fold_values": n_values} | training,
            "gate": {"n_injected": 10},
        }
    )


@dataclass(frozen=True)
class Fleet:
    """Machines of two channels, of which one has a known anomaly near the end."""

    config: DatasetConfig
    n: int

    @property
    def scope(self) -> Scope:
        return Scope(0, "all", tuple((f"m{i:02d}", i) for i in range(self.n)))

    @property
    def reader(self) -> TrainingReader:
        values = np.random.default_rng(4).normal(0, 1, (self.n, N_DAYS * 144, 2)) + 20
        # Later on all of them are livelier, one of them most.
        values[:, 450:] += np.random.default_rng(5).normal(0, 0.2, values[:, 450:].shape)
        values[LIVELY % self.n, 450:] += np.random.default_rng(6).normal(
            0, 5, values[0, 450:].shape
        )

        def read(entities: Sequence[int], start_at: datetime, end_at: datetime) -> np.ndarray:
            first, end = ((unix_s(at) - unix_s(START_AT)) // STEP_S for at in (start_at, end_at))
            return np.asarray(values[list(entities), first:end])

        known = Exclusion(
            KNOWN, END_AT - timedelta(hours=9), END_AT - timedelta(hours=6), "label: fault", 18
        )
        return TrainingReader(read, self.config, training_range(self.config, END_AT), [known])

    @property
    def scales(self) -> Scales:
        return scales_of(self.config, self.reader.span, surveyed(self.reader, self.scope))

    def groups(self, seed: int = 7) -> list[FoldGroup]:
        hours = {name: float(i % 5) for i, (name, _) in enumerate(self.scope.entities)}
        return fold_groups(self.reader, self.scope, hours, seed=seed)


@dataclass(frozen=True)
class Trained:
    """A model at the split, with what it was calibrated on, and after its states were moved to the
    anchor.
    """

    fleet: Fleet
    groups: list[FoldGroup]
    held_out: list[HeldOut]
    spec: ModelSpec
    at_split: FoldDetector
    moved: FoldDetector

    @classmethod
    def of(cls, fleet: Fleet) -> Trained:
        groups, scales = fleet.groups(), fleet.scales
        detector, _, _ = fit_folding(fleet.reader, groups, scales, seed=7)
        held_out = [part for group in groups for part in held_out_readings(fleet.reader, group)]
        spec = calibrate_model(fleet.config, scales, detector, held_out)
        at_split: Any = detector_from_files(detector.to_files())
        move_to_anchor(detector, fleet.reader, groups, scales, spec)
        return cls(fleet, groups, held_out, spec, at_split, detector)

    def gate(self) -> dict[str, RuleResult]:
        history = fit_folding(self.fleet.reader, self.groups[:1], self.fleet.scales, seed=7)[1]
        judged = held_out_readings(self.fleet.reader, self.groups[0])
        rows = run_gate(
            self.fleet.config,
            self.spec,
            self.at_split,
            history,
            judged,
            None,
            seed=7,
            n_entities=self.fleet.n,
        )
        return {row.rule: row for row in rows}


LARGE, SMALL = Fleet(config(1000), 40), Fleet(config(1_000_000), 4)


@pytest.fixture(scope="module")
def large() -> Trained:
    return Trained.of(LARGE)


@pytest.fixture(scope="module")
def small() -> Trained:
    return Trained.of(SMALL)


def test_the_choice_is_the_same_for_the_same_seed_and_as_mixed_as_the_fleet() -> None:
    chosen, others = LARGE.groups()
    assert LARGE.groups() == [chosen, others]
    assert LARGE.groups(seed=8)[0] != chosen
    assert len(chosen.entities) == MIN_CHOSEN
    assert sorted(chosen.entities + others.entities) == list(LARGE.scope.entities)
    assert KNOWN in {key for _, key in chosen.entities}
    hours = [key % 5 for _, key in chosen.entities]
    assert {hours.count(each) for each in range(5)} <= {4, 5, 6}


def test_the_others_are_held_out_for_a_day_and_a_group_survives_its_file() -> None:
    chosen, others = LARGE.groups()
    assert chosen.span == LARGE.reader.span
    assert (
        others.span.split_at
        == others.span.gate_at - timedelta(days=1)
        == END_AT - timedelta(days=1)
    )
    assert from_json_value(json.loads(json.dumps(json_value(others))), FoldGroup) == others


def test_a_small_fleet_is_one_group_and_so_is_one_held_out_for_a_day() -> None:
    whole = [FoldGroup(SMALL.scope.entities, SMALL.reader.span)]
    assert SMALL.groups() == whole
    short = Fleet(config(1000, validation_share=0.2), 40)
    assert short.groups() == [FoldGroup(short.scope.entities, short.reader.span)]


def test_every_entity_has_a_state_at_the_anchor_and_a_unit_of_its_own(large: Trained) -> None:
    names = {name for name, _ in LARGE.scope.entities}
    assert set(large.moved.trained) == set(large.at_split.trained) == names
    assert large.spec.tails is not None
    assert set(large.spec.tails.units) == names
    # That of the machine which became livelier, and is held out for a day only.
    assert LIVELY in dict(large.groups[1].entities).values()
    assert min(large.spec.tails.unit(f"m{LIVELY:02d}")) > 1.5 * max(large.spec.tails.pooled_unit)


def test_a_model_of_a_large_fleet_is_the_same_again(large: Trained) -> None:
    again = Trained.of(LARGE)
    assert again.spec.to_json() == large.spec.to_json()
    assert again.moved.to_files() == large.moved.to_files()


def test_the_gate_judges_the_choice_and_says_so(large: Trained, small: Trained) -> None:
    rows = large.gate()
    assert rows["false_alarm_share"].note.endswith("; on 24 of 40 entities")
    assert "injected point anomalies" in rows["point_share"].note
    assert rows["point_share"].note.endswith("; on 24 of 40 entities")
    assert "entities" not in rows["finite_loss"].note
    assert not any("entities" in row.note for row in small.gate().values())


@pytest.mark.parametrize("detector", ["three_sigma", "event_head", "state_head"])
def test_together_the_errors_are_to_the_bit_those_of_one_entity_after_the_other(
    detector: str,
) -> None:
    fleet = Fleet(config(1_000_000, detector), 3)
    made, scales = fit_folding(fleet.reader, fleet.groups(), fleet.scales, seed=7)[0], fleet.scales
    held_out, spec = (
        held_out_readings(fleet.reader, fleet.groups()[0]),
        feature_spec_of(fleet.config),
    )
    found = held_out_errors(spec, lambda name: scales.own.get(name, scales.pooled), made, held_out)
    for part in held_out:
        scaler = scales.own.get(part.entity, scales.pooled)
        alone = series_errors(spec, scaler, made, part.values, part.start_s, part.entity)
        assert found[part.entity].channel_errors.tobytes() == alone.channel_errors.tobytes()
        assert found[part.entity].residuals.tobytes() == alone.residuals.tobytes()
        assert np.isfinite(alone.channel_errors).any()


@pytest.mark.parametrize("first", ["after the gate's first step", "before it"])
def test_going_on_from_the_gate_gives_to_the_bit_the_scores_of_going_through_everything(
    small: Trained, first: str
) -> None:
    part, spec = small.held_out[0], small.spec
    at = int(np.argmax(part.gated)) + (5 if first.startswith("after") else -5)
    values = part.values.copy()
    values[at : at + 3, 1] += 30
    judged = JudgedSeries(spec, small.at_split, part)
    found = judged.flags(*judged.seen(values))
    errors = series_errors(
        spec.features, spec.scaler(part.entity), small.at_split, values, part.start_s, part.entity
    ).combined(spec, part.entity)
    assert (
        found.scores.tobytes()
        == entity_scores(spec, [part.entity], errors[None]).scores[0].tobytes()
    )
    assert found.raised[at : at + 3].all()


@pytest.fixture(scope="module", params=["three_sigma", "event_head"])
def several(request: pytest.FixtureRequest) -> Trained:
    return Trained.of(Fleet(config(1_000_000, request.param), 4))


def test_copies_give_together_to_the_bit_what_a_fold_of_each_from_its_anchor_gives(
    several: Trained,
) -> None:
    spec, detector = several.spec.features, several.at_split
    folds = series_folds(several.spec, detector, several.held_out)
    copies, expected = [], []
    # The last one is as usual; of the others one differs before the step that the folds stand at.
    for part, after in zip(several.held_out, (5, -5, 40, None), strict=True):
        values, scaler = part.values.copy(), several.spec.scaler(part.entity)
        if after is not None:
            at = int(np.argmax(part.gated)) + after
            values[at : at + 3, 1] += 30
        features, index = series_windows(spec, scaler, values, part.start_s)
        copies.append(Copy(folds[part.entity], features, index.ends))
        alone = entity_reconstruction(
            spec, detector, part.entity, features, part.start_s, index.ends
        )
        expected.append(alone)
    for found, alone in zip(reconstructions(copies), expected, strict=True):
        assert found.channel_errors.tobytes() == alone.channel_errors.tobytes()
        assert found.expected.tobytes() == alone.expected.tobytes()
        assert np.isfinite(found.channel_errors).any()


def test_entities_judged_together_have_what_each_has_alone(
    several: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judged() -> dict[str, Any]:
        result = judge(
            several.spec,
            several.at_split,
            several.held_out,
            n_injected=24,
            seed=7,
            reference=several.spec,
            rule=IncidentRule(7200, 604800),
        )
        return vars(result) | {"scores": result.scores.tobytes()}

    together = judged()
    monkeypatch.setattr("tsad_tasks.training.injected.ENTITIES_TOGETHER", 1)
    assert judged() == together
    assert sum(len(found) for found in together["delays"].values()) >= 24
    assert any(delay is not None for delay in together["delays"]["point"])


def test_what_is_learned_alone_has_its_whole_range_part_by_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fleet = Fleet(config(1000, "conditional_residuals"), 3)
    names = [name for name, _ in fleet.scope.entities]
    [group] = fleet.groups()
    assert fold_start(fleet.config, fleet.n, group.span) == START_AT
    whole, history, [errors] = fit_folding(fleet.reader, [group], fleet.scales, seed=7)
    assert history.n_windows == 3 * 504
    assert errors.channel_errors.shape == (3, 0, 2)
    monkeypatch.setattr("tsad_tasks.training.fold_groups.LEARNED_TOGETHER", 1)
    parts, _, [errors] = fit_folding(fleet.reader, [group], fleet.scales, seed=7)
    assert errors.known.shape == (3, 0, 2)
    assert list(whole.trained) == list(parts.trained) == names
    assert whole.to_files() == parts.to_files()
