"""The series of documents B and D have the noise, the anomalies and the labels that they are said
to have.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from simulators.simulate_documents import anomalous_steps, noisy_sine, server_metrics

from devstack.simulate import SimulatedAnomaly, SimulatedPlant
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import unix_s

START_AT = datetime(2024, 4, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def plant() -> SimulatedPlant:
    return server_metrics(start_at=START_AT, seed=7, n_steps=40_000)


def _rows(plant: SimulatedPlant, one: SimulatedAnomaly) -> slice:
    first, end = np.searchsorted(plant.times_s, [unix_s(one.start_at), unix_s(one.end_at)])
    return slice(int(first), int(end))


def test_the_noise_floor_of_a_sine_is_the_error_of_who_knows_the_sine() -> None:
    made = noisy_sine(20_000, noise=0.2, seed=7)
    assert np.mean((made.values - made.clean) ** 2) == pytest.approx(made.noise_floor, rel=0.03)
    scaled = (made.values - made.values.min()) / np.ptp(made.values)
    expected = (made.clean - made.values.min()) / np.ptp(made.values)
    assert np.mean((scaled - expected) ** 2) == pytest.approx(made.scaled_noise_floor, rel=0.03)


def test_times_of_a_sine_are_whole_numbers() -> None:
    assert noisy_sine(5, seed=7).times.dtype == np.int64


def test_the_same_seed_gives_the_same_load_and_another_seed_another() -> None:
    first, again, other = (server_metrics(start_at=START_AT, seed=seed) for seed in (7, 7, 8))
    assert first.values.tobytes() == again.values.tobytes()
    assert first.anomalies == again.anomalies
    assert not np.array_equal(first.values, other.values)


def test_five_to_ten_percent_of_the_steps_after_the_clean_ones_are_abnormal(
    plant: SimulatedPlant,
) -> None:
    labels = anomalous_steps(plant)[0]
    assert not labels[:8_000].any()
    assert 0.05 < labels[8_000:].mean() < 0.10


def test_clean_load_is_a_daily_sine_with_noise_and_a_drift(plant: SimulatedPlant) -> None:
    clean = server_metrics(start_at=START_AT, seed=7, n_steps=28_800, clean_steps=28_800).values[
        0, :, 0
    ]
    days = clean.reshape(20, 1440)
    assert np.diff(clean).std() == pytest.approx(0.1 * np.sqrt(2), rel=0.03)
    assert days[:, 690:750].mean() - days[:, :30].mean() == pytest.approx(2.0, abs=0.05)
    assert days[-1].mean() - days[0].mean() == pytest.approx(0.1 * 19 * 1440 / 10_000, abs=0.02)


def test_every_kind_occurs_and_none_touches_another(plant: SimulatedPlant) -> None:
    kinds = {one.kind for one in plant.anomalies}
    assert kinds == {"point", "contextual", "collective", "degradation", "failure"}
    gaps = [
        after.start_at - before.end_at
        for before, after in zip(plant.anomalies, plant.anomalies[1:], strict=False)
    ]
    assert all(gap.total_seconds() >= 0 for gap in gaps)


def test_a_point_is_one_step_three_standard_deviations_off(plant: SimulatedPlant) -> None:
    clean = server_metrics(start_at=START_AT, seed=7, n_steps=40_000, anomaly_share=0.0).values[
        0, :, 0
    ]
    points = [_rows(plant, one) for one in plant.anomalies if one.kind == "point"]
    sizes = np.array([plant.values[0, rows, 0] - clean[rows] for rows in points])
    assert len(points) > 100
    assert np.allclose(np.abs(sizes), 3 * np.sqrt(0.51))


def test_contextual_anomalies_lie_at_night_within_the_usual_range(plant: SimulatedPlant) -> None:
    usual = plant.values[0, :8_000, 0]
    nightly = [one for one in plant.anomalies if one.kind == "contextual"]
    assert len(nightly) >= 10
    assert all(one.start_at.hour < 3 for one in nightly)
    assert all(plant.values[0, _rows(plant, one), 0].mean() < usual.max() for one in nightly)


def test_every_degradation_grows_for_45_minutes_and_ends_where_a_failure_starts(
    plant: SimulatedPlant,
) -> None:
    failures = {one.start_at for one in plant.anomalies if one.kind == "failure"}
    ramps = [one for one in plant.anomalies if one.kind == "degradation"]
    assert len(ramps) >= 5
    assert {one.end_at for one in ramps} == failures
    assert all((one.end_at - one.start_at).total_seconds() == 45 * 60 for one in ramps)


@pytest.mark.parametrize(
    "wrong", [{"clean_steps": 20_000}, {"anomaly_share": 0.5}, {"n_steps": 0, "clean_steps": 0}]
)
def test_impossible_sizes_of_a_load_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="Expected clean_steps"):
        server_metrics(start_at=START_AT, seed=7, **wrong)
