"""The gate's rules: what was counted, how sure that is, and that noise does not decide."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from upath import UPath

from tests.detectors.network_of_zeros import zero_detector
from tests.plants.trained import SPLIT_AT, Plant, config
from tests.training.test_held_out import RULE, daily, held_out, model
from tsad_tasks.base.enums import Outcome, Stage
from tsad_tasks.base.interval import HOUR
from tsad_tasks.base.rule import RULES, RuleResult, rules_of
from tsad_tasks.champions.queries import rule_results
from tsad_tasks.detectors.base import TrainingHistory
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.scoring.series import series_errors
from tsad_tasks.storage.store import Store
from tsad_tasks.training import gate
from tsad_tasks.training.gate import (
    N_TIMED,
    TIMED_STEPS,
    run_gate,
    window_milliseconds,
)
from tsad_tasks.training.injected import Delays, DetectionResult, judge
from tsad_tasks.training.retrain import Retraining
from tsad_tasks.training.rules.base import GateEvidence

HISTORY = TrainingHistory((0.2,), (0.1,), 100, 1.0, "epochs")
KINDS = ("point", "contextual", "collective")


def delays(n_found: int, n: int) -> Delays:
    return (0,) * n_found + (None,) * (n - n_found)


def verdicts(n_found: int, n: int, **changes: Any) -> DetectionResult:
    """So many of n injected anomalies of each kind found, and no false alarm."""
    facts: dict[str, Any] = {"n_flags": 0, "n_judged": 1000, "n_weeks": 1.0}
    return DetectionResult(dict.fromkeys(KINDS, delays(n_found, n)), **facts | changes)


def judged(
    rule: str, challenger: DetectionResult, champion: DetectionResult | None = None, **gate: Any
) -> RuleResult:
    """A rule's result, with the gate's settings changed."""
    changed = config(gate=gate)
    evidence = GateEvidence(changed, challenger, champion, HISTORY)
    return RULES[Stage.GATE][rule].judge(evidence, changed)


@pytest.mark.parametrize(
    ("n_found", "n", "passes"),
    [
        (18, 20, True),
        (17, 20, True),
        (15, 20, False),
        (85, 100, True),
        (79, 100, False),
        (830, 1000, False),
    ],
)
def test_a_share_fails_when_its_limit_is_above_the_interval_or_the_margin_is_used_up(
    n_found: int, n: int, passes: bool
) -> None:
    row = judged("point_share", verdicts(n_found, n), min_point_share=0.9)
    assert row.passed is passes
    assert (row.low or 0) < (row.value or 0) < (row.high or 0)


@pytest.mark.parametrize(("n_flags", "passes"), [(5, True), (15, True), (21, False), (None, False)])
def test_false_alarms_fail_beyond_chance_or_beyond_a_multiple_of_the_limit(
    n_flags: int | None, passes: bool
) -> None:
    facts = {"n_judged": 0} if n_flags is None else {"n_flags": n_flags}
    row = judged("false_alarm_share", verdicts(20, 20, **facts))
    assert row.passed is passes


@pytest.mark.parametrize(
    ("n_incidents", "weeks", "passes"), [(3, 0.1, False), (1, 0.1, True), (6, 2.0, True)]
)
def test_incidents_fail_only_where_chance_does_not_explain_them(
    n_incidents: int, weeks: float, passes: bool
) -> None:
    found = verdicts(20, 20, n_incidents=n_incidents, n_weeks=weeks)
    row = judged("incidents_per_entity_week", found, max_incidents_per_entity_week=2.0)
    assert row.passed is passes


def paired(lost: int, won: int, n: int) -> tuple[DetectionResult, DetectionResult]:
    """A challenger and a champion: what only one of them finds, of n anomalies."""
    both = delays(n - lost - won, n - lost - won)
    tails = (None,) * lost + (0,) * won, (0,) * lost + (None,) * won
    new, old = (DetectionResult({"point": both + tail}, 0, 1000) for tail in tails)
    return new, old


@pytest.mark.parametrize(
    ("lost", "won", "n", "passes"),
    [(4, 0, 60, True), (5, 0, 60, False), (8, 3, 60, True), (13, 1, 200, False)],
)
def test_a_challenger_fails_when_it_loses_more_pairs_than_chance_explains(
    lost: int, won: int, n: int, passes: bool
) -> None:
    assert judged("not_worse", *paired(lost, won, n)).passed is passes


@pytest.mark.parametrize(
    ("gate", "passes"), [({}, False), ({"tolerance": 0.06}, True), ({"min_pairs": 500}, True)]
)
def test_the_tolerance_decides_where_many_anomalies_were_injected(
    gate: dict[str, Any], passes: bool
) -> None:
    assert judged("not_worse", *paired(120, 99, 400), **gate).passed is passes


@pytest.mark.parametrize(("n_flags", "outcome"), [(2, Outcome.FAILED), (300, Outcome.NOT_TESTED)])
def test_a_champion_that_cries_wolf_is_no_standard(n_flags: int, outcome: Outcome) -> None:
    champion = verdicts(20, 20, n_flags=n_flags)
    assert judged("not_worse", verdicts(16, 20), champion).outcome is outcome


@pytest.mark.parametrize(
    ("found", "old", "outcome", "note"),
    [
        ((None,), (0,), Outcome.NOT_TESTED, "not tested: too few are known in these readings: 1"),
        ((None,) * 6, (0,) * 6, Outcome.FAILED, "share found of 6 known anomalies"),
        ((0, 0, None), (0, 0, 0), Outcome.MET, "share found of 3 known anomalies"),
    ],
)
def test_known_anomalies_decide_where_there_are_enough(
    found: Delays, old: Delays, outcome: Outcome, note: str
) -> None:
    row = judged("known_share", verdicts(20, 20, known=found), verdicts(20, 20, known=old))
    assert (row.outcome, row.passed) == (outcome, outcome is not Outcome.FAILED)
    assert note in row.note


def test_two_models_are_given_the_same_anomalies_and_a_known_one_is_looked_for() -> None:
    part = held_out(daily(400), 200)
    values, known = part.values.copy(), np.zeros(400, bool)
    values[250:253], known[250:253] = 9.0, True
    part = replace(
        part, values=values, judged=part.judged & ~known, gated=part.gated & ~known, known=known
    )
    spec = model(part)
    deaf = replace(spec, calibrations={"m": replace(spec.pooled_calibration, limit=1e9)})
    settings: dict[str, Any] = {"n_injected": 12, "seed": 7, "reference": spec, "rule": RULE}
    good, bad = (judge(one, zero_detector(), [part], **settings) for one in (spec, deaf))
    assert good.n_injected == bad.n_injected
    assert good.known == (0,)
    assert bad.known == (None,)
    assert not any(found is not None for found in bad.all_delays)


def test_every_rule_is_a_row_with_its_numbers() -> None:
    part = held_out(daily(400), 200)
    spec = model(part)
    rows = {
        row.rule: row
        for row in run_gate(config(), spec, zero_detector(), HISTORY, [part], None, seed=7)
    }
    assert list(rows) == [rule.name for rule in rules_of(Stage.GATE)]
    assert rows["known_share"].note == "not tested: too few are known in these readings: 0"
    assert rows["commissioning_shift"].outcome is Outcome.NOT_TESTED
    assert 0 < (rows["latency_ms"].value or 0) < 50
    assert rows["held_out_error"].value is not None


def test_a_machine_that_makes_a_model_wait_does_not_make_it_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part = held_out(daily(400), 200)

    def interrupted(*arguments: Any) -> Any:
        time.sleep(0.2)
        return series_errors(*arguments)

    monkeypatch.setattr(gate, "series_errors", interrupted)
    began = time.perf_counter()
    value = window_milliseconds(model(part), zero_detector(), part)
    assert time.perf_counter() - began > N_TIMED * 0.2
    assert value * TIMED_STEPS / 1000 < 0.1


def test_a_retraining_meets_its_champion_on_the_same_readings_and_known_anomalies(
    plant: Plant, tmp_path: Path
) -> None:
    for hours in (10, 7, 4):
        start_at = SPLIT_AT - hours * HOUR
        plant.execute(
            "SELECT tsad.add_label('room', 'host-01', %s, %s)", start_at, start_at + HOUR / 6
        )
    short = plant.config.training.model_copy(update={"epochs": 3})
    config = plant.config.model_copy(update={"training": short})
    with Store.connect(plant.uri) as store:
        run = Retraining(store, config, SPLIT_AT, UPath(tmp_path / "run"), UPath(tmp_path), seed=9)
        (summary,) = retrain(run)
        rows = {row.rule: row for row in rule_results(store, summary.model_id)}
    assert "of 3 known anomalies" in rows["known_share"].note
    both = (
        "known_share",
        "held_out_error",
        "not_worse",
        "false_alarm_share",
        "incidents_per_entity_week",
        "latency_ms",
    )
    assert [rule for rule in both if rows[rule].champion_value is None] == []
    assert (rows["score_drift"].value or 0) > 0
    assert (rows["not_worse"].low or 0) < (rows["not_worse"].value or 0)


def test_a_rule_that_fails_names_machine_and_channel_with_numbers() -> None:
    places = ["host-1 cpu"] * 10 + ["host-2 fan"] * 10
    found = verdicts(
        12, 20, n_flags=90, n_incidents=9, places=dict.fromkeys((*KINDS, "known"), places),
        flagged_at={"host-2 fan": 80, "host-1 cpu": 10}, incidents_at={"host-2": 9, "host-1": 0},
        known=delays(2, 20),
    )  # fmt: skip
    notes = {
        rule: judged(rule, found, max_incidents_per_entity_week=1.0, min_point_share=0.9).note
        for rule in ("point_share", "known_share", "false_alarm_share", "incidents_per_entity_week")
    }
    assert [notes[rule].rpartition(". ")[2] for rule in notes] == [
        "Fewest found: host-2 fan 2 of 10",
        "Fewest found: host-2 fan 0 of 10, host-1 cpu 2 of 10",
        "Most: host-2 fan 80, host-1 cpu 10",
        "Most: host-2 9",
    ]
    lost = judged("not_worse", found, verdicts(20, 20))
    assert lost.note.endswith("Fewest found: host-2 fan 6 of 30")


def test_a_rule_that_is_met_blames_nobody() -> None:
    found = verdicts(19, 20, places=dict.fromkeys(KINDS, ["host-1 cpu"] * 20))
    assert "host-1" not in judged("point_share", found).note
