"""The simulated fleet: the same for the same seed, machines that differ, shifts that stop, faults
where said.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from simulators.simulate_fleet import FLEET_CHANNELS, machine_fleet, with_faults

from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import unix_s

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
FLEET = machine_fleet(days=9, machines=6, start_at=MONDAY, seed=7)
WORKS = FLEET.values[:, :, 0].reshape(6, 9, 288) > 100


def test_the_same_arguments_give_the_same_numbers_and_another_seed_others() -> None:
    again = machine_fleet(days=9, machines=6, start_at=MONDAY, seed=7)
    assert again.values.tobytes() == FLEET.values.tobytes()
    assert (machine_fleet(days=9, machines=6, start_at=MONDAY, seed=8).values != FLEET.values).any()


def test_a_machine_is_the_same_in_a_larger_fleet() -> None:
    assert (
        machine_fleet(days=9, machines=2, start_at=MONDAY, seed=7).values.tobytes()
        == FLEET.values[:2].tobytes()
    )


def test_some_machines_never_stand_and_the_others_do_at_night_and_on_sundays() -> None:
    assert WORKS[0].mean() > 0.95
    assert not WORKS[[1, 2, 4, 5], 6, 12:].any()
    assert not WORKS[[1, 2, 4, 5], :, 20:60].any()


def test_on_a_holiday_only_those_around_the_clock_work() -> None:
    wednesday = unix_s(MONDAY) // 86400 + 2
    fleet = machine_fleet(days=4, machines=3, start_at=MONDAY, seed=7, holidays=[wednesday])
    works = fleet.values[:, :, 0].reshape(3, 4, 288)[:, 2, 12:] > 100
    assert works.any(axis=1).tolist() == [True, False, False]


def test_machines_have_levels_of_their_own() -> None:
    power = FLEET.values[:, :, FLEET_CHANNELS.index("power")]
    usual = [np.median(power[machine][WORKS[machine].ravel()]) for machine in range(6)]
    assert np.ptp(usual) > 0.5


def test_faults_are_where_their_labels_are_and_of_the_size_that_is_asked_for() -> None:
    spreads = np.full((6, 17), 2.0)
    faulty = with_faults(FLEET, size=3.0, from_step=288, spreads=spreads, seed=7)
    assert {one.kind for one in faulty.anomalies} == {"point", "shift", "ramp"}
    changed = np.argwhere(faulty.values != FLEET.values)
    assert (
        len({(machine, channel) for machine, _, channel in changed.tolist()})
        == len(faulty.anomalies)
        == 6
    )
    for one in faulty.anomalies:
        machine, channel = FLEET.entities.index(one.entity), FLEET_CHANNELS.index(one.channels[0])
        offset = np.abs(faulty.values - FLEET.values)[machine, :, channel]
        first, end = ((unix_s(at) - unix_s(MONDAY)) // 300 for at in (one.start_at, one.end_at))
        assert offset.max() == pytest.approx(6.0)
        assert np.flatnonzero(offset).min() >= first >= 288
        assert np.flatnonzero(offset).max() == end - 1


def test_a_machine_that_never_works_gets_no_fault() -> None:
    still = machine_fleet(days=1, machines=3, start_at=datetime(2026, 3, 8, tzinfo=UTC), seed=7)
    faulty = with_faults(still, size=3.0, from_step=0, spreads=np.ones((3, 17)), seed=7)
    assert {one.entity for one in faulty.anomalies} <= {"machine_0001"}


def test_sizes_that_make_no_sense_are_refused() -> None:
    with pytest.raises(BadInput, match="Received: 0, 6, 300"):
        machine_fleet(days=0, machines=6, start_at=MONDAY, seed=7)
