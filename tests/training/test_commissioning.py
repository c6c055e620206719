"""A fault that creeps is not retrained into normal, unless a person says that it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plants.weeks import CONFIG, MACHINE, WEEK, Weeks, config_of, week
from tsad_tasks.feedback.verdicts import add_verdict
from tsad_tasks.storage.store import Store

DRIFT = 5.0


@pytest.fixture
def drifting(warehouse_uri: str, tmp_path: Path) -> Weeks:
    """A machine that is five degrees warmer each week than the week before, from the second one
    on.
    """
    made = Weeks.filled(warehouse_uri, tmp_path)
    for number in range(1, 6):
        made.shift(week(number), week(6), by=DRIFT)
    return made


def _rule(weeks: Weeks, model_id: int) -> tuple[float | None, bool, str]:
    query = """
      SELECT value, passed, note FROM tsad.v_model_decision
      WHERE model_id = %s AND rule = 'commissioning_shift'"""
    ((value, passed, note),) = weeks.execute(query, model_id)
    return value, passed, note


def _references(weeks: Weeks) -> list[tuple[object, ...]]:
    return weeks.execute(
        "SELECT channel, round(median::numeric), from_at, to_at, verdict_id FROM tsad.v_reference "
        "WHERE replaced_at IS NULL ORDER BY channel DESC"
    )


def test_a_drift_over_three_retrainings_is_blocked_until_it_is_the_new_normal(
    drifting: Weeks,
) -> None:
    first, second, third = (drifting.train(week(number)) for number in (1, 2, 3))
    assert [summary.gate_passed for summary in (first, second, third)] == [True, True, False]
    assert third.failed_rules == ["commissioning_shift"]
    value, _, note = _rule(drifting, third.model_id)
    assert value is not None
    assert value > 3
    assert note.startswith("m-1 temperature: median 30")
    assert "tsad new-normal plant m-1" in note
    with Store.connect(drifting.uri) as store:
        add_verdict(store, "plant", MACHINE, week(3), week(3, 1), "new_normal", said_by="ada")
    assert drifting.train(week(4)).gate_passed
    assert _references(drifting) == [
        ("temperature", 35, week(3), week(4), 1),
        ("load", 50, week(3), week(4), 1),
    ]


def test_the_reference_is_frozen_at_the_first_training_that_passes(drifting: Weeks) -> None:
    drifting.config = drifting.config.model_copy(
        update={"gate": drifting.config.gate.model_copy(update={"max_false_alarm_share": -1.0})}
    )
    assert not drifting.train(week(1)).gate_passed
    assert _references(drifting) == []
    drifting.config = config_of()
    for number in (2, 3):
        drifting.train(week(number))
        assert _references(drifting) == [
            ("temperature", 25, week(1), week(2), None),
            ("load", 50, week(1), week(2), None),
        ]


def test_a_verdict_on_one_channel_leaves_the_others_as_they_were(drifting: Weeks) -> None:
    drifting.train(week(1))
    with Store.connect(drifting.uri) as store:
        said = {"said_by": "ada", "channel": "temperature"}
        add_verdict(store, "plant", MACHINE, week(2), week(2, 1), "new_normal", **said)
    assert drifting.train(week(3)).gate_passed
    assert _references(drifting) == [
        ("temperature", 30, week(2), week(3), 1),
        ("load", 50, week(0), week(1), None),
    ]


def test_too_little_of_a_new_normal_is_no_reference_yet(drifting: Weeks) -> None:
    drifting.train(week(1))
    with Store.connect(drifting.uri) as store:
        add_verdict(
            store, "plant", MACHINE, week(2, 160), week(2, 161), "new_normal", said_by="ada"
        )
    assert drifting.train(week(3)).gate_passed
    assert _references(drifting) == [
        ("temperature", 20, week(0), week(1), None),
        ("load", 50, week(0), week(1), None),
    ]
    assert drifting.train(week(3) + WEEK / 7).gate_passed
    assert [row[2] for row in _references(drifting)] == [week(2, 160)] * 2


def test_an_archive_that_was_garbled_is_not_learned(warehouse_uri: str, tmp_path: Path) -> None:
    weeks = Weeks.filled(warehouse_uri, tmp_path)
    weeks.config = config_of(gate=CONFIG["gate"] | {"max_incidents_per_entity_week": 1000})
    assert weeks.train(week(1)).gate_passed
    garble = (
        "UPDATE plant.metrics SET load = load + 100 * (random() - 0.5) WHERE at >= %s AND at < %s"
    )
    weeks.execute(garble, week(1), week(2))
    summary = weeks.train(week(2))
    assert "commissioning_spread" in summary.failed_rules
    said = """
      SELECT value > 3, note FROM tsad.v_model_decision
      WHERE model_id = %s AND rule = 'commissioning_spread'"""
    assert weeks.execute(said, summary.model_id) == [
        (True, "m-1 load: its spread as a multiple of the one at commissioning")
    ]
