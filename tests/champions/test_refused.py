"""A training is done when its model passed the gate; one that was refused is done again when it is
asked for again.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from upath import UPath

from tests.plants.challengers import FAILED as FAILED_GATE
from tests.plants.challengers import PASSED, challenger
from tests.plants.trained import CONFIG as ROOM
from tests.plants.trained import SPLIT_AT, Plant, config
from tests.plants.weeks import CONFIG, MACHINE, Weeks, config_of, week
from tsad_tasks.base.errors import BadInput, NothingToDo
from tsad_tasks.champions.prune import prune_bundles
from tsad_tasks.cli import demo
from tsad_tasks.detectors import fitting, isolation_forest
from tsad_tasks.detectors.bundle import read_bundle
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.storage.store import Store
from tsad_tasks.training import fit as training
from tsad_tasks.training.retrain import Retraining

GATE = CONFIG["gate"]
# No model takes that little.
STRICT = config_of(gate=GATE | {"max_latency_ms": 1e-9})
MODELS = "SELECT version, state, gate_passed FROM tsad.v_model ORDER BY version"
HISTORY = "SELECT version, decision, reason FROM tsad.v_model_history ORDER BY decided_at"
FAILED = "SELECT version, rule FROM tsad.v_model_decision WHERE NOT passed ORDER BY 1, 2"
RULES = "SELECT version, count(*) FROM tsad.v_model_decision GROUP BY 1 ORDER BY 1"


@pytest.fixture
def refused(warehouse_uri: str, tmp_path: Path) -> Weeks:
    """A week that was trained on, and whose model the gate refused."""
    made = Weeks.filled(warehouse_uri, tmp_path)
    made.config = STRICT
    assert made.train(week(1)).failed_rules == ["latency_ms"]
    return made


def test_the_same_bundle_again_is_the_same_row_and_no_further_decision(refused: Weeks) -> None:
    before = refused.execute(MODELS), refused.execute(HISTORY), refused.execute(RULES)
    again = refused.train(week(1))
    assert (again.version, again.gate_passed, again.failed_rules) == (1, False, ["latency_ms"])
    assert (refused.execute(MODELS), refused.execute(HISTORY), refused.execute(RULES)) == before
    assert before[1] == [(1, "gate_failed", "latency_ms")]


def test_a_gate_that_asks_for_less_judges_the_same_bundle_anew(refused: Weeks) -> None:
    refused.config = config_of()
    again = refused.train(week(1))
    assert (again.version, again.gate_passed, again.valid_from) == (1, True, week(1))
    assert refused.execute(MODELS) == [(1, "champion", True)]
    assert refused.execute(FAILED) == []
    assert refused.execute(HISTORY) == [
        (1, "gate_failed", "latency_ms"),
        (1, "promoted", "the first champion"),
    ]


def test_what_passed_is_done(refused: Weeks) -> None:
    refused.config = config_of()
    refused.train(week(1))
    refused.config = STRICT
    with pytest.raises(NothingToDo, match="before; its model passed the gate"):
        refused.train(week(1))
    assert refused.execute(MODELS) == [(1, "champion", True)]


def test_another_bundle_is_another_version_with_decisions_of_its_own(refused: Weeks) -> None:
    before = refused.execute(RULES)
    refused.execute("SELECT tsad.add_label('plant', %s, %s, %s)", MACHINE, week(0, 24), week(0, 28))
    refused.config = config_of()
    assert refused.train(week(1)).version == 2
    assert refused.execute(MODELS) == [(1, "gate failed", False), (2, "champion", True)]
    assert refused.execute(RULES) == [*before, (2, before[0][1])]
    assert refused.execute(FAILED) == [(1, "latency_ms")]
    assert [row[:2] for row in refused.execute(HISTORY)] == [(1, "gate_failed"), (2, "promoted")]


def test_other_rules_that_fail_are_another_decision(plant: Plant) -> None:
    other = [replace(FAILED_GATE[0], rule="collective_share")]
    assert [
        challenger(plant, gate=gate).version for gate in (FAILED_GATE, FAILED_GATE, other, PASSED)
    ] == [2] * 4
    assert plant.execute(HISTORY)[1:3] == [
        (2, "gate_failed", "point_share"),
        (2, "gate_failed", "collective_share"),
    ]
    assert [row[1] for row in plant.execute(HISTORY)[3:]] == ["shadow_started"]
    assert plant.execute(MODELS)[1:] == [(2, "shadow", True)]
    # What passed stays so, whatever a late retry of a task brings.
    assert challenger(plant, gate=FAILED_GATE).gate_passed


def test_a_bundle_that_was_pruned_meanwhile_is_there_again_once_it_passes(refused: Weeks) -> None:
    with Store.connect(refused.uri) as store:
        prune_bundles(store, refused.config, UPath(refused.folder), newest_at=week(6), kept_s=86400)
    assert refused.execute("SELECT count(*) FROM tsad.model WHERE pruned_at IS NOT NULL") == [(1,)]
    refused.config = config_of()
    refused.train(week(1))
    ((uri, sha256, pruned_at),) = refused.execute(
        "SELECT artifact_uri, sha256, pruned_at FROM tsad.model"
    )
    assert pruned_at is None
    assert read_bundle(UPath(uri), expected_sha256=sha256).card["n_parameters"] >= 0


def test_a_network_that_learned_the_same_again_is_the_same_bundle(
    plant: Plant, tmp_path: Path
) -> None:
    strict = config(
        gate=ROOM["gate"] | {"max_latency_ms": 1e-9},
        training=ROOM["training"] | {"epochs": 2, "max_windows": 300},
    )
    with Store.connect(plant.uri) as store:
        for name in ("first", "second"):
            run = Retraining(
                store, strict, SPLIT_AT, UPath(tmp_path / name), UPath(tmp_path / "artifacts")
            )
            assert [summary.version for summary in retrain(run)] == [2]
    ((seconds,),) = plant.execute(
        "SELECT card -> 'training' -> 'seconds' FROM tsad.model WHERE version = 2"
    )
    assert seconds > 0


def test_the_demo_names_the_rules_that_failed_with_their_numbers(
    refused: Weeks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "DATASET", "plant")
    with Store.connect(refused.uri) as store:
        said = demo.refusal(store)
    assert said.startswith(
        "Expected a model that passes the gate. Received: version 1, which failed latency_ms: "
    )
    assert (
        "limit at most 1.00 × 10⁻⁹ ms (CPU milliseconds from readings to an error, per window, "
        "median)" in said
    )
    assert said.count("limit") == 1


FOLDING = {"detector": {"name": "state_head"}, "threshold": {"kind": "hysteresis"}}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (
            {"detector": {"name": "isolation_forest"}},
            r"\(epoch 1 of 1, [\d,]+ windows\)\. Lower training\.max_windows",
        ),
        (
            FOLDING,
            r"\(after 1 entity\)\. Lower training\.max_fold_values, or raise training\.timeout",
        ),
    ],
)
def test_a_training_that_timed_out_registers_no_model(
    warehouse_uri: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    parts: dict[str, Any],
    said: str,
) -> None:
    made = Weeks.filled(warehouse_uri, tmp_path, **parts)
    # A day passes whenever somebody looks at the clock.
    clock = count(0, 86400)
    for module in (fitting, isolation_forest, training):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    with pytest.raises(BadInput, match=rf"Received: 86,400 s {said}"):
        made.train(week(1))
    assert made.execute(MODELS) == []


def test_a_field_that_counts_no_more_is_said_once_when_a_training_runs(
    warehouse_uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = Weeks.filled(warehouse_uri, tmp_path, training=CONFIG["training"] | {"max_minutes": 1e-9})
    with caplog.at_level(logging.WARNING, "tsad"):
        assert old.train(week(1)).gate_passed
    said = [text for text in caplog.messages if "max_minutes" in text]
    assert len(said) == 1
    assert said[0].startswith(
        "plant: training.max_minutes: Expected training.max_windows and training.epochs"
    )
