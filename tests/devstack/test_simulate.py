"""The server room looks like one, and its anomalies are where it says."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from devstack.simulate import CHANNELS, SimulatedPlant, server_room, sine
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import unix_s

START_AT = datetime(2024, 4, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def room() -> SimulatedPlant:
    return server_room(days=45, hosts=4, start_at=START_AT, seed=7)


def test_the_demo_is_made_in_less_than_two_seconds() -> None:
    began = time.process_time()
    server_room(days=45, hosts=4, start_at=START_AT, seed=7)
    assert time.process_time() - began < 2.0


def test_the_same_seed_gives_the_same_readings_and_another_seed_others(
    room: SimulatedPlant,
) -> None:
    again, other = (server_room(days=45, hosts=4, start_at=START_AT, seed=seed) for seed in (7, 8))
    assert room.values.tobytes() == again.values.tobytes()
    assert room.anomalies == again.anomalies
    assert not np.array_equal(room.values, other.values)


def test_readings_are_complete_and_physically_possible(room: SimulatedPlant) -> None:
    assert room.values.shape == (4, 64_800, 5)
    assert np.isfinite(room.values).all()
    assert (np.diff(room.times_s) == 60).all()
    assert room.times_s[0] == unix_s(START_AT)
    assert (room.values >= 0).all()
    assert (room.values[..., :2] <= 100).all()
    assert room.values[..., 4].min() > 15
    assert room.values[..., 4].max() < 60


def test_working_days_are_busier_than_nights_and_weekends(room: SimulatedPlant) -> None:
    cpu = room.values[:, :, 0].mean(axis=0)
    hour, weekday = room.times_s // 3600 % 24, (room.times_s // 86400 + 3) % 7
    noon = cpu[(hour == 10) & (weekday < 5)].mean()
    assert noon > 2 * cpu[(hour == 22)].mean()
    assert noon > 1.5 * cpu[(hour == 10) & (weekday >= 5)].mean()


def test_temperature_follows_the_load_with_a_delay(room: SimulatedPlant) -> None:
    cpu, temperature = np.diff(room.values[0, ::5, 0]), np.diff(room.values[0, ::5, 4])
    cpu_level, temperature_level = room.values[0, :, 0], room.values[0, :, 4]
    assert np.corrcoef(cpu_level[:-15], temperature_level[15:])[0, 1] > 0.9
    assert np.corrcoef(cpu[:-1], temperature[1:])[0, 1] > 0


def test_anomalies_are_mostly_in_the_last_48_hours_and_two_in_the_training_range(
    room: SimulatedPlant,
) -> None:
    end_at = START_AT + timedelta(days=45)
    recent = [one for one in room.anomalies if one.start_at >= end_at - timedelta(hours=48)]
    assert len(recent) == 6
    assert len(room.anomalies) == 8
    assert {one.kind for one in recent} == {"point", "contextual", "collective", "degradation"}
    assert all(START_AT < one.start_at < one.end_at <= end_at for one in room.anomalies)
    assert all(
        one.entity in room.entities and set(one.channels) <= set(CHANNELS) for one in room.anomalies
    )


def test_each_anomaly_lies_outside_what_the_same_clock_time_usually_shows(
    room: SimulatedPlant,
) -> None:
    for one in room.anomalies:
        host = room.values[room.entities.index(one.entity)]
        rows = np.flatnonzero(
            (room.times_s >= unix_s(one.start_at)) & (room.times_s < unix_s(one.end_at))
        )
        channel = CHANNELS.index(one.channels[0])
        usual = np.stack([host[rows - week * 10_080, channel] for week in (1, 2, 3)])
        deviation = np.abs(host[rows, channel] - usual.mean(axis=0)).max()
        assert deviation > 2.5 * np.abs(usual - usual.mean(axis=0)).std(), one.description


def test_few_hosts_share_the_anomalies_and_a_coarse_grid_keeps_them() -> None:
    small = server_room(days=3, hosts=1, start_at=START_AT, seed=1, step_s=300)
    assert len(small.anomalies) == 6
    assert {one.entity for one in small.anomalies} == {"host-01"}
    assert all(unix_s(one.start_at) % 300 == 0 for one in small.anomalies)


@pytest.mark.parametrize("wrong", [{"days": 2}, {"hosts": 0}, {"hosts": 100}, {"step_s": 7}])
def test_impossible_sizes_are_refused(wrong: dict[str, int]) -> None:
    sizes = {"days": 3, "hosts": 1, "seed": 1, "step_s": 60} | wrong
    with pytest.raises(BadInput, match="Expected 3 days or more"):
        server_room(start_at=START_AT, **sizes)


def test_a_sine_has_the_stated_noise() -> None:
    noise = sine(10_000, 0.1, 7) - sine(10_000, 0.0, 7)
    assert noise.std() == pytest.approx(0.1, rel=0.05)
