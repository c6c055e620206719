"""What a machine is run under is judged by nobody, and told once where training never saw it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devstack.postgres import Cluster
from tests.plants.signals import Signals, day, signals, steps
from tsad_tasks.base.arrays import Floats64

N_DAYS, TRAINED = 16, 10
DENSE: dict[str, Any] = {
    "detector": {"name": "dense_autoencoder", "window": 6},
    "threshold": {},
    "features": {"min_own_scale": "1d", "cyclic": []},
    "training": {"range": "10d", "min_hours": 10, "epochs": 15},
}
SIGMA: dict[str, Any] = {"training": {"range": "10d", "min_hours": 10}}
RESIDUALS: dict[str, Any] = {"detector": {"name": "conditional_residuals"}} | SIGMA
EPISODES = """
  SELECT entity, channel, started_at, ended_at, n_hours FROM tsad.v_outside_experience
  WHERE lineage = 'live' ORDER BY 1, 2, 3"""
OpenPlant = Callable[..., AbstractContextManager[Signals]]


@pytest.fixture
def plant_of(cluster: Cluster, template_database: str, tmp_path: Path) -> OpenPlant:
    def plant(
        values: Floats64, role: dict[str, Any], **changes: Any
    ) -> AbstractContextManager[Signals]:
        channels: dict[str, dict[str, Any]] = {"target": role, "temp": {"unit": "°C"}, "flow": {}}
        return signals(cluster, template_database, tmp_path, channels, values, **changes)

    return plant


def heated(target: Floats64, seed: int = 4) -> Floats64:
    """Two rooms (2, n_steps, 3): the target, a temperature that follows it, and a flow."""
    rng, n_steps = np.random.default_rng(seed), len(target)
    values = np.empty((2, n_steps, 3))
    for room in values:
        room[:, 0] = target
        room[:, 1] = target + rng.normal(0, 0.2, n_steps)
        room[:, 2] = 5 + rng.normal(0, 0.5, n_steps)
    return values


def by_hours(seed: int = 3, low: float = 17.0, high: float = 21.0) -> Floats64:
    """A target that changes every few hours, at no fixed time."""
    rng, target = np.random.default_rng(seed), np.empty(steps(N_DAYS))
    at = 0
    while at < len(target):
        length = int(rng.integers(12, 40))
        target[at : at + length] = rng.choice([low, high, (low + high) / 2])
        at += length
    return target


@pytest.mark.parametrize("changes", [DENSE, SIGMA])
@pytest.mark.parametrize("role", ["setpoint", "load", "ambient"])
def test_a_fault_of_a_condition_raises_nothing(
    plant_of: OpenPlant, role: str, changes: dict[str, Any]
) -> None:
    values = heated(by_hours())
    now = slice(steps(11), steps(11.5))
    values[:, now, 0] = np.random.default_rng(9).choice([17.0, 21.0, np.nan], now.stop - now.start)
    values[:, now, 1] = 19.0
    with plant_of(values, {"role": role}, **changes) as plant:
        plant.train(TRAINED)
        plant.score(TRAINED, 13)
        assert [row for row in plant.incidents() if row[4] == "target"] == []
        assert plant.execute("SELECT * FROM tsad.v_attribution WHERE channel = 'target'") == []
        assert plant.execute(EPISODES) == []


@pytest.mark.parametrize("changes", [DENSE, RESIDUALS])
def test_what_follows_the_target_raises_nothing_while_it_moves_as_it_did(
    plant_of: OpenPlant, changes: dict[str, Any]
) -> None:
    target = by_hours()
    target[steps(11) : steps(14)] = by_hours(seed=8)[: steps(3)]
    with plant_of(heated(target), {"role": "setpoint"}, **changes) as plant:
        plant.train(TRAINED)
        plant.score(TRAINED, 14)
        assert [row for row in plant.incidents() if row[3] == "HIGH"] == []
        assert plant.execute(EPISODES) == []


def test_what_no_longer_follows_the_target_is_found_by_residuals(plant_of: OpenPlant) -> None:
    """A temperature that stays at 19 is one of the usual ones, but not at this target."""
    values = heated(by_hours())
    now = slice(steps(11), steps(11.5))
    values[0, now, 1] = np.random.default_rng(5).normal(19.0, 0.2, now.stop - now.start)
    with plant_of(values, {"role": "setpoint"}, **RESIDUALS) as plant:
        plant.train(TRAINED)
        plant.score(TRAINED, 12)
        worst = "SELECT DISTINCT entity, channel, severity::text FROM tsad.v_anomaly WHERE at >= %s"
        assert ("u1", "temp", "HIGH") in plant.execute(worst, day(11))
        assert [row for row in plant.execute(worst, day(10)) if row[0] == "u2"] == []


@pytest.mark.parametrize("changes", [DENSE, SIGMA])
def test_three_days_outside_are_told_once_and_known_after_one(
    plant_of: OpenPlant, changes: dict[str, Any]
) -> None:
    target = by_hours()
    target[steps(11) : steps(14)] = 35.0
    with plant_of(heated(target), {"role": "setpoint", "unit": "°C"}, **changes) as plant:
        plant.train(TRAINED)
        plant.score(TRAINED, 15)
        told = ["target", day(11), day(12), 24]
        assert plant.execute(EPISODES) == [("u1", *told), ("u2", *told)]
        during = "SELECT DISTINCT severity FROM tsad.v_anomaly WHERE at >= %s AND at < %s"
        assert {row[0] for row in plant.execute(during, day(11), day(12))} <= {"LOW"}
        named = "SELECT DISTINCT outside_experience, status FROM tsad.v_status WHERE hour_at >= %s "
        hours = plant.execute(named + "AND hour_at < %s", day(11), day(12))
        assert {name for name, _ in hours} == {"target"}
        after = plant.execute(named + "AND hour_at < %s", day(12.1), day(14))
        assert {name for name, _ in after} == {None}


def test_how_long_until_it_is_known_is_said_in_the_file(plant_of: OpenPlant) -> None:
    target = by_hours()
    target[steps(11) : steps(13)] = 35.0
    changes = SIGMA | {"features": {"min_own_scale": "1d", "learned_after": "6h"}}
    with plant_of(heated(target), {"role": "load"}, **changes) as plant:
        plant.train(TRAINED)
        plant.score(TRAINED, 14)
        assert [row[2:4] for row in plant.execute(EPISODES)] == [(day(11), day(11.25))] * 2


def test_a_colder_month_and_half_the_load_raise_nothing(plant_of: OpenPlant) -> None:
    hours = np.arange(steps(N_DAYS)) / 6
    outdoors = 12 + 4 * np.sin(2 * np.pi * hours / 24)
    outdoors[steps(11) :] -= 15
    values = heated(outdoors)
    values[..., 1] = 20 + np.random.default_rng(8).normal(0, 0.2, values.shape[:2])
    with plant_of(values, {"role": "ambient"}, **DENSE) as plant:
        plant.train(TRAINED)
        plant.score(TRAINED, 15)
        assert [row for row in plant.incidents() if row[3] != "LOW"] == []
        assert [row[2] for row in plant.execute(EPISODES)] == [day(11)] * 2


def test_what_settles_after_a_change_is_not_scored(plant_of: OpenPlant) -> None:
    target = np.full(steps(N_DAYS), 17.0)
    for number in range(N_DAYS):
        target[steps(number + 0.25) : steps(number + 0.75)] = 21.0
    values = heated(target)
    # It takes an hour to follow.
    values[:, 6:, 1] = target[:-6] + np.random.default_rng(2).normal(0, 0.2, (2, len(target) - 6))
    role = {"role": "setpoint", "settles_within": "1h"}
    with plant_of(values, role, **SIGMA) as plant:
        plant.train(TRAINED)
        plant.score(TRAINED, 12)
        status = "SELECT status, n_needed FROM tsad.v_status WHERE entity = 'u1' AND hour_at = %s"
        assert plant.execute(status, day(11.25)) == [("off", 0)]
        assert plant.execute(status, day(11.5)) == [("scored", 6)]
        reasons = "SELECT DISTINCT reason FROM tsad.scores('signals', 'u1', %s, %s)"
        assert plant.execute(reasons, day(11.25), day(11.25 + 1 / 24)) == [("startup",)]


@pytest.mark.parametrize("changes", [DENSE, RESIDUALS])
def test_an_unknown_condition_masks_and_is_no_loss_of_coverage(
    plant_of: OpenPlant, changes: dict[str, Any]
) -> None:
    values = heated(by_hours())
    values[0, steps(11) : steps(11.5), 0] = np.nan
    with plant_of(values, {"role": "ambient"}, **changes) as plant:
        plant.train(TRAINED)
        plant.score(TRAINED, 12)
        hours = (
            "SELECT status, max(coverage) FROM tsad.v_status WHERE entity = 'u1' "
            "AND hour_at >= %s AND hour_at < %s GROUP BY 1"
        )
        unknown = plant.execute(hours, day(11.1), day(11.5))
        assert [status for status, _ in unknown] == ["insufficient_history"]
        assert plant.execute(hours, day(11.6), day(12)) == [("scored", 1.0)]
        assert [row for row in plant.incidents() if row[1] >= day(11)] == []


def test_late_and_split_runs_leave_the_same_rows(plant_of: OpenPlant) -> None:
    target = by_hours()
    target[steps(11) : steps(13)] = 35.0
    rows = (
        "SELECT entity_id, hour_at, scores, errors, reasons, outside, status FROM tsad.score_block "
        "WHERE superseded_at = 'infinity' AND thresholds IS NOT NULL ORDER BY 1, 2"
    )
    found = []
    for cuts in ([(10, 14)], [(10, 11.25), (11.25, 12), (12, 14)], [(12, 14), (10, 12)]):
        with plant_of(heated(target), {"role": "load"}, **SIGMA) as plant:
            plant.train(TRAINED)
            for start, end in cuts:
                plant.score(start, end)
            found.append((plant.execute(rows), plant.execute(EPISODES)))
    assert found[0] == found[1] == found[2]


def test_a_fault_in_what_is_known_by_now_is_found_and_the_new_regime_itself_is_not(
    plant_of: OpenPlant,
) -> None:
    target = by_hours()
    target[steps(11) : steps(15)] = 35.0
    values = heated(target)
    values[1, steps(13) : steps(13.25), 1] += 30
    with plant_of(values, {"role": "setpoint"}, **DENSE) as plant:
        plant.train(TRAINED)
        plant.score(TRAINED, 15)
        worst = "SELECT entity, max(severity::text) FILTER (WHERE at < %s), "
        worst += "bool_or(severity = 'HIGH') FILTER (WHERE at >= %s) "
        worst += "FROM tsad.v_anomaly WHERE at >= %s AND channel = 'temp' GROUP BY 1 ORDER BY 1"
        found = plant.execute(worst, day(13), day(13), day(11))
        assert found == [("u1", "LOW", False), ("u2", "LOW", True)]


@pytest.mark.parametrize("changes", [DENSE, SIGMA])
def test_so_is_one_of_a_channel_that_the_condition_does_not_move_whatever_the_others_do(
    plant_of: OpenPlant, changes: dict[str, Any]
) -> None:
    """Its error is small beside that of the temperature, which is far off all the time."""
    target = by_hours()
    target[steps(11) : steps(15)] = 35.0
    values = heated(target)
    values[..., 1] += np.where(target == 35.0, 60.0, 0.0)
    values[1, steps(13) : steps(13.25), 2] += 8
    with plant_of(values, {"role": "setpoint"}, **changes) as plant:
        plant.train(TRAINED)
        plant.score(TRAINED, 15)
        worst = (
            "SELECT entity, bool_or(severity = 'HIGH'), min(at) FILTER (WHERE severity = 'HIGH') "
        )
        worst += "FROM tsad.v_anomaly WHERE at >= %s GROUP BY 1 ORDER BY 1"
        (first, second) = plant.execute(worst, day(11))
        assert first == ("u1", False, None)
        assert second[1]
        assert day(13) <= second[2] < day(13) + timedelta(hours=1)


def test_what_is_known_is_judged_alike_hour_by_hour_and_at_once(plant_of: OpenPlant) -> None:
    target = by_hours()
    target[steps(11) : steps(14)] = 35.0
    values = heated(target)
    values[1, steps(13) : steps(13.25), 2] += 8
    rows = (
        "SELECT entity_id, hour_at, scores, errors, reasons, status FROM tsad.score_block "
        "WHERE superseded_at = 'infinity' AND thresholds IS NOT NULL ORDER BY 1, 2"
    )
    found = []
    for hours in ([], list(range(56, 90))):
        with plant_of(values, {"role": "setpoint"}, **DENSE) as plant:
            plant.train(TRAINED)
            for hour in hours:
                plant.score(TRAINED + hour / 24, TRAINED + (hour + 1) / 24)
            plant.score(TRAINED, 14)
            found.append(plant.execute(rows))
    assert found[0] == found[1]


def test_an_incident_there_says_so(plant_of: OpenPlant) -> None:
    target = by_hours()
    target[steps(11) : steps(12)] = 35.0
    with plant_of(heated(target), {"role": "setpoint"}, **DENSE) as plant:
        plant.train(TRAINED)
        plant.score(TRAINED, 12)
        said = "SELECT sentence, outside_experience FROM tsad.v_incident WHERE started_at >= %s"
        found = plant.execute(said, day(11))
        assert found
        assert {row[1] for row in found} == {"target"}
        assert all(row[0].endswith("; training never saw such target") for row in found)
