"""The plant of document A has its 17 channels, hides its faults, and couples what is said to be
coupled.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

import numpy as np
import pytest
from simulators.simulate_cats import (
    CATEGORIES,
    CHANNELS,
    NOISE,
    TELEMETRY,
    cats_plant,
    first_order,
    planned_segments,
    second_order,
)
from simulators.simulate_documents import anomalous_steps

from devstack.simulate import SimulatedPlant
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import unix_s

START_AT = datetime(2023, 1, 1, tzinfo=UTC)
N_ROWS = 200_000


@pytest.fixture(scope="module")
def plant() -> SimulatedPlant:
    return cats_plant(N_ROWS, start_at=START_AT, seed=7, n_segments=200)


@pytest.fixture(scope="module")
def clean() -> SimulatedPlant:
    return cats_plant(N_ROWS, start_at=START_AT, seed=7, n_segments=0)


def _rows(plant: SimulatedPlant) -> list[slice]:
    edges = [(unix_s(one.start_at), unix_s(one.end_at)) for one in plant.anomalies]
    return [slice(*np.searchsorted(plant.times_s, pair).tolist()) for pair in edges]


def _column(plant: SimulatedPlant, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return plant.values[0, :, CHANNELS.index(name)]


def test_there_are_17_named_channels_at_one_hertz(plant: SimulatedPlant) -> None:
    assert plant.values.shape == (1, N_ROWS, 17)
    assert plant.channels[:4] == ("aimp", "amud", "adbr", "adfl")
    assert (np.diff(plant.times_s) == 1).all()
    assert np.isfinite(plant.values).all()


def test_the_first_fifth_is_nominal_and_3_8_percent_of_the_rows_are_abnormal(
    plant: SimulatedPlant,
) -> None:
    labels = anomalous_steps(plant)[0]
    assert not labels[: N_ROWS // 5].any()
    assert labels.mean() == pytest.approx(0.038, abs=0.0005)
    assert len(plant.anomalies) == 200


def test_segments_grow_with_the_length_and_200_belong_to_five_million_rows() -> None:
    assert len(cats_plant(100_000, start_at=START_AT, seed=1).anomalies) == 4
    assert len(planned_segments(5_000_000, 200, np.random.default_rng(1))) == 200


def test_the_same_seed_gives_the_same_plant_and_another_seed_another() -> None:
    first, again, other = (cats_plant(5_000, start_at=START_AT, seed=seed) for seed in (7, 7, 8))
    assert first.values.tobytes() == again.values.tobytes()
    assert first.anomalies == again.anomalies
    assert not np.array_equal(first.values, other.values)


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_at_most_a_third_of_the_segments_leave_the_nominal_range_of_a_channel(seed: int) -> None:
    made = cats_plant(N_ROWS, start_at=START_AT, seed=seed, n_segments=200)
    values = made.values[0]
    low, high = values[: N_ROWS // 5].min(axis=0), values[: N_ROWS // 5].max(axis=0)
    outside = ((values < low) | (values > high)).any(axis=1)
    assert 0.02 < np.mean([outside[rows].any() for rows in _rows(made)]) < 1 / 3


def test_readings_before_the_first_segment_are_those_of_a_plant_without_any(
    plant: SimulatedPlant, clean: SimulatedPlant
) -> None:
    first = _rows(plant)[0].start
    assert np.array_equal(plant.values[0, :first], clean.values[0, :first])


def test_segments_change_what_is_read_by_more_than_its_noise(
    plant: SimulatedPlant, clean: SimulatedPlant
) -> None:
    changed = np.abs(plant.values[0] - clean.values[0])
    sizes = np.array([changed[rows].max() for rows in _rows(plant)])
    assert sizes.min() > 0
    assert np.mean(sizes > 2 * NOISE) > 0.95


def test_every_segment_names_its_root_cause_and_category(plant: SimulatedPlant) -> None:
    assert {one.kind for one in plant.anomalies} == set(CATEGORIES)
    assert all(len(one.channels) == 1 and one.channels[0] in CHANNELS for one in plant.anomalies)


def test_a_fault_upstream_shows_downstream(plant: SimulatedPlant, clean: SimulatedPlant) -> None:
    difference = np.abs(_column(plant, "cso1") - _column(clean, "cso1"))
    upstream = [
        rows
        for rows, one in zip(_rows(plant), plant.anomalies, strict=True)
        if one.channels == ("bso1",) and one.kind == "offset"
    ]
    assert upstream
    assert all(difference[rows].max() > 0.1 for rows in upstream)


def test_a_command_that_is_not_obeyed_is_recorded_as_given(
    plant: SimulatedPlant, clean: SimulatedPlant
) -> None:
    commanded = [
        rows
        for rows, one in zip(_rows(plant), plant.anomalies, strict=True)
        if one.channels == ("amud",)
    ]
    assert np.array_equal(_column(plant, "amud"), _column(clean, "amud"))
    changed = np.abs(_column(plant, "bso1") - _column(clean, "bso1"))
    assert commanded
    assert all(changed[rows].max() > 0.1 for rows in commanded)


def test_telemetry_follows_its_command_with_a_delay(clean: SimulatedPlant) -> None:
    command, reading = _column(clean, "amud"), _column(clean, "bso1")
    late = np.corrcoef(command[:-8], reading[8:])[0, 1]
    assert late > 0.95
    assert late > np.corrcoef(command, reading)[0, 1]


def test_every_telemetry_channel_is_explained_by_nothing_alone(clean: SimulatedPlant) -> None:
    correlation = np.abs(np.corrcoef(clean.values[0].T)) - np.eye(17)
    telemetry = [CHANNELS.index(name) for name in TELEMETRY]
    assert correlation[telemetry].max(axis=1).min() > 0.3
    assert correlation[telemetry].max() < 0.99


@pytest.mark.parametrize(("lag_steps", "period_steps"), [(3.0, None), (5.0, 12.0)])
def test_filters_equal_their_recursion(lag_steps: float, period_steps: float | None) -> None:
    x = np.random.default_rng(7).normal(size=50)
    pole = np.exp(complex(-1 / lag_steps, 0 if period_steps is None else 2 * np.pi / period_steps))
    slow, state = [], complex(x[0])
    for value in x:
        state = pole * state + (1 - pole) * value
        slow.append(state.real)
    fast = (
        first_order(x, lag_steps)
        if period_steps is None
        else second_order(x, period_steps, lag_steps)
    )
    assert np.allclose(fast, slow)


def test_a_million_rows_take_less_than_ten_seconds() -> None:
    began = time.process_time()
    assert cats_plant(1_000_000, start_at=START_AT, seed=7).values.nbytes == 17 * 8 * 1_000_000
    assert time.process_time() - began < 10


@pytest.mark.parametrize(("n_rows", "n_segments"), [(1_000, None), (5_000_001, None), (10_000, 51)])
def test_impossible_sizes_of_a_plant_are_refused(n_rows: int, n_segments: int | None) -> None:
    with pytest.raises(BadInput, match="Expected 2,000 to 5,000,000 rows"):
        cats_plant(n_rows, start_at=START_AT, seed=7, n_segments=n_segments)
