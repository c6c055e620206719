"""What a detector sees of an angle is circular, whatever is derived of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tsad_tasks.model.circle import Circle
from tsad_tasks.model.features import Scaler, circle_values, fit_scaler, pooled_scaler
from tsad_tasks.model.scoring import InputSet, entity_features
from tsad_tasks.model.spec import FeatureSpec

Float = NDArray[np.float64]
NORTH = Circle(360.0)


def _spec(**changed: Any) -> FeatureSpec:
    fields: dict[str, Any] = {
        "channels": ("wind",), "hold_steps": (0,), "step_s": 300, "site_zone": "UTC", "width": 4,
        "min_coverage": 0.5, "running_when": None, "grace_steps": 0, "rolling_mean": (), "lag": (),
        "diff": (), "cyclic": (), "signals": ("angle",),
    }  # fmt: skip
    return FeatureSpec(**fields | changed)


def _seen(wind: Float, center: float = 0.0, **changed: Any) -> InputSet:
    scaler = Scaler((center,), (20.0,), 1, circles=(NORTH,))
    return entity_features(_spec(**changed), [scaler], wind[None, :, None], 0)


def _directions(first: Float, second: Float) -> Float:
    return np.asarray(circle_values(first, second, np.array(20 * np.pi / 180)) * 20)


def test_a_rolling_mean_across_north_is_north() -> None:
    found = _seen(np.array([350.0, 10.0, 355.0, 5.0]), rolling_mean=(2,)).inputs[0]
    assert found.shape == (4, 4)
    means = _directions(found[1:, 2].astype(float), found[1:, 3].astype(float))
    np.testing.assert_allclose(means, [0.0, 2.5, 0.0], atol=1e-3)


def test_lags_and_differences_know_no_jump_at_north() -> None:
    around = np.arange(0, 1080, 1.0) % 360
    found = _seen(around, lag=(3,), diff=(1,)).inputs[0]
    np.testing.assert_allclose(found[3:, 2:4], found[:-3, :2], atol=1e-6)
    assert np.abs(found[1:, 4:6]).max() < 0.06


def test_a_step_without_direction_is_a_gap_of_both_columns_and_of_its_window() -> None:
    wind = np.array([350.0, np.nan, 10.0, 5.0])
    found = _seen(wind)
    assert found.inputs.shape == (1, 4, 2)
    assert not found.inputs[0, 1].any()
    assert found.present[0, :, 0].tolist() == [True, False, True, True]


@pytest.mark.parametrize("turned", [0.0, 90.0, 180.0, 300.0])
def test_where_zero_lies_changes_no_column(turned: float) -> None:
    wind = 20 * np.sin(np.arange(200) / 9)
    usual, other = (
        fit_scaler(NORTH.within(wind + by)[:, None], "robust", circles=[NORTH])
        for by in (0.0, turned)
    )
    assert other.scale == pytest.approx(usual.scale)
    assert NORTH.difference(np.array(other.center), turned + usual.center[0]) == pytest.approx(0)
    columns = [
        entity_features(_spec(), [scaler], NORTH.within(wind + by)[None, :, None], 0).inputs
        for scaler, by in ((usual, 0.0), (other, turned))
    ]
    np.testing.assert_allclose(columns[1], columns[0], atol=1e-5)


def test_a_wind_from_everywhere_has_a_scale_and_a_vane_that_stands_has_none() -> None:
    everywhere = fit_scaler(np.arange(0.0, 360.0)[:, None], "robust", circles=[NORTH])
    assert everywhere.scale[0] == pytest.approx(360 / (2 * np.pi) * np.sqrt(0.5))
    still = fit_scaler(np.full((5, 1), 359.5), "robust", circles=[NORTH])
    assert (still.center[0], still.scale[0]) == (359.5, 0.0)


def test_a_vane_that_stood_is_elsewhere_the_shorter_way_round() -> None:
    wind = np.array([359.5, -0.5, 0.5, 179.5, np.nan])[:, None]
    still = fit_scaler(np.full((5, 1), 359.5), "robust", circles=[NORTH])
    expected = [False, False, True, True, False]
    assert still.moved(wind)[:, 0].tolist() == expected
    known = still.seen_between(*(still.around_centers(np.array([end])) for end in (350.0, 20.0)))
    places = np.array([349.0, 350.0, 0.0, 20.0, 21.0, 180.0])[:, None]
    assert known.moved(places)[:, 0].tolist() == [True, False, False, False, True, True]
    assert Scaler.from_json(known.to_json()) == known


def test_what_a_detector_sees_of_a_vane_that_stood_is_nothing() -> None:
    still = fit_scaler(np.full((5, 1), 359.5), "robust", circles=[NORTH])
    found = entity_features(_spec(), [still], np.array([[[359.5], [90.0], [np.nan]]]), 0)
    assert not found.inputs.any()
    assert found.moved[0, :, 0].tolist() == [False, True, False]
    assert found.present[0, :, 0].tolist() == [True, True, False]
    assert circle_values(np.array([0.3]), np.array([0.2]), np.array([0.0])).tolist() == [0.0]
    scaled, expected = np.zeros((1, 1), np.float32), np.full((1, 1), 0.25, np.float32)
    assert still.residuals(scaled, expected).tolist() == [[-0.25]]


def test_vanes_that_stood_everywhere_are_pooled_around_north() -> None:
    masts = [Scaler((center,), (0.0,), 9, circles=(NORTH,)) for center in (355.0, 5.0)]
    pooled = pooled_scaler(masts, "robust")
    assert pooled.scale == (0.0,)
    places = np.array([354.0, 355.0, 0.0, 5.0, 6.0])[:, None]
    assert pooled.moved(places)[:, 0].tolist() == [True, False, False, False, True]


def test_a_new_mast_is_scaled_by_all_around_north() -> None:
    masts = [Scaler((center,), (5.0,), 9, circles=(NORTH,)) for center in (355.0, 5.0)]
    pooled = pooled_scaler(masts, "robust")
    assert pooled.circles == (NORTH,)
    assert NORTH.difference(np.array(pooled.center), 0.0)[0] == pytest.approx(0, abs=1e-9)
    assert 5 < pooled.scale[0] < 15


def test_residuals_go_the_shorter_way_and_expected_values_are_on_the_circle() -> None:
    scaler = Scaler((350.0, 1.0), (10.0, 2.0), 9, circles=(NORTH, None))
    seen, expected = np.array([[17.0, 1.0]], np.float32), np.array([[-17.0, 3.0]], np.float32)
    assert scaler.residuals(seen, expected).tolist() == [[-2.0, -2.0]]
    assert scaler.inverse(np.array([[4.0, 4.0]], np.float32)).tolist() == [[30.0, 9.0]]
    assert Scaler.from_json(scaler.to_json()) == scaler
