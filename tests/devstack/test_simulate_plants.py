"""The cold store and the pumps look like what they are called, and their anomalies are where they
say.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from devstack.simulate import SimulatedPlant
from devstack.simulate_plants import cold_store, pump_hall
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import unix_s

START_AT = datetime(2024, 4, 1, tzinfo=UTC)
SPEED, FLOW, CURRENT = 0, 1, 3


@pytest.fixture(scope="module")
def hall() -> SimulatedPlant:
    return pump_hall(days=8, start_at=START_AT, seed=7)


@pytest.fixture(scope="module")
def store() -> SimulatedPlant:
    return cold_store(days=8, start_at=START_AT, seed=7)


@pytest.mark.parametrize("make", [cold_store, pump_hall])
def test_the_same_seed_gives_the_same_readings_and_another_seed_others(
    make: type[SimulatedPlant],
) -> None:
    first, again, other = (
        make(days=3, start_at=START_AT, seed=seed, step_s=600) for seed in (7, 7, 8)
    )  # type: ignore[call-arg]
    assert first.values.tobytes() == again.values.tobytes()
    assert first.anomalies == again.anomalies
    assert not np.array_equal(first.values, other.values)


def test_a_standing_pump_moves_and_draws_nothing(hall: SimulatedPlant) -> None:
    stands = hall.values[..., SPEED] < 1
    assert 0.2 < stands.mean() < 0.5
    assert hall.values[stands][:, FLOW].max() < 0.1
    assert hall.values[stands][:, CURRENT].max() < 0.1


def test_a_faulty_pump_runs_while_its_anomaly_lasts(hall: SimulatedPlant) -> None:
    for one in hall.anomalies:
        rows = (hall.times_s >= unix_s(one.start_at)) & (hall.times_s < unix_s(one.end_at))
        assert hall.values[hall.entities.index(one.entity), rows, SPEED].min() > 1000, (
            one.description
        )


def test_a_cold_room_stays_cold_and_uses_power(store: SimulatedPlant) -> None:
    assert -22 < np.median(store.values[..., 0]) < -17
    assert store.values[..., 0].max() < -5
    assert store.values[..., 1:].min() > 0


def test_a_stuck_humidity_sensor_shows_one_value(store: SimulatedPlant) -> None:
    (stuck,) = (one for one in store.anomalies if "stuck" in one.description)
    rows = (store.times_s >= unix_s(stuck.start_at)) & (store.times_s < unix_s(stuck.end_at))
    assert np.ptp(store.values[store.entities.index(stuck.entity), rows, 1]) == 0


@pytest.mark.parametrize("name", ["hall", "store"])
def test_anomalies_lie_in_the_last_48_hours(name: str, request: pytest.FixtureRequest) -> None:
    plant: SimulatedPlant = request.getfixturevalue(name)
    end_at = START_AT + timedelta(days=8)
    assert len(plant.anomalies) >= 4
    assert all(
        end_at - timedelta(hours=48) <= one.start_at < one.end_at <= end_at
        for one in plant.anomalies
    )


@pytest.mark.parametrize("wrong", [{"days": 2}, {"pumps": 0}, {"step_s": 7}])
def test_impossible_sizes_are_refused(wrong: dict[str, int]) -> None:
    sizes = {"days": 3, "pumps": 1, "seed": 1, "step_s": 60} | wrong
    with pytest.raises(BadInput, match="Expected 3 days or more"):
        pump_hall(start_at=START_AT, **sizes)
