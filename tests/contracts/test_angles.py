"""What every registered detector promises of a channel that is an angle: it is led by its own
fault, and where its zero lies changes nothing.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from tsad_tasks.detectors.base import Budget, TrainingSet
from tsad_tasks.detectors.folding.series_fold import FoldDetector
from tsad_tasks.detectors.registry import DETECTORS, build_detector, detector_class
from tsad_tasks.model.circle import Circle
from tsad_tasks.model.features import Scaler, fit_scaler
from tsad_tasks.model.scoring import columns_of
from tsad_tasks.model.spec import FeatureSpec
from tsad_tasks.scoring.columns import channel_shares
from tsad_tasks.scoring.fold import series_of
from tsad_tasks.scoring.series import SeriesErrors, series_errors, series_windows

Float = NDArray[np.float64]

STEP_S, WIDTH, N_TRAINING, N_STEPS = 300, 8, 900, 1100
FAULT = slice(1000, 1012)
WIND, SPEED = 0, 1
CIRCLES = (Circle(360.0), None)
BUDGET = Budget(epochs=4, batch_size=64, learning_rate=0.005)
PARAMS: dict[str, Any] = {
    "ensemble": {"members": [{"name": "dense_autoencoder"}, {"name": "isolation_forest"}]}
}

pytestmark = pytest.mark.xdist_group("angles")


def _readings(turned: float) -> Float:
    """Wind that swings around north, and its speed; the wind's zero lies elsewhere by `turned`."""
    rng, steps = np.random.default_rng(5), np.arange(N_STEPS)
    swing = np.sin(2 * np.pi * steps / 144)
    wind = 25 * swing + rng.normal(0, 4, N_STEPS)
    speed = 6 + 2 * swing + rng.normal(0, 0.4, N_STEPS)
    return np.column_stack([(wind + turned) % 360, speed])


class _Learned:
    """A detector that has learned from these readings."""

    def __init__(self, name: str, turned: float) -> None:
        kind = detector_class(name)
        self.values = _readings(turned)
        self.spec = FeatureSpec(
            channels=("wind", "speed"), hold_steps=(0, 0), step_s=STEP_S, site_zone="UTC",
            width=1 if kind.folds else WIDTH, min_coverage=0.5, running_when=None, grace_steps=0,
            rolling_mean=(), lag=(), diff=(), cyclic=(), signals=("angle", "gauge"),
        )  # fmt: skip
        self.scaler = fit_scaler(self.values[:N_TRAINING], "robust", circles=CIRCLES)
        sizes = {"width": self.spec.width, "n_channels": 3, "n_inputs": self.spec.n_inputs}
        params = PARAMS.get(name, {"n_commission": N_TRAINING} if kind.folds else {})
        self.detector = build_detector(name, **sizes, params=params)
        self._learn()

    def _learn(self) -> None:
        features, index = series_windows(self.spec, self.scaler, self.values[:N_TRAINING], 0)
        if self.detector.folds:
            folding = cast(FoldDetector, self.detector)
            folding.fit_series(["mast"], series_of(self.spec, features, 0), seed=3)
            return
        labels = np.zeros(N_TRAINING, bool)
        inputs = features.inputs[0]
        if self.detector.supervised:
            labels[100:800:20] = True
            known = self.values[:N_TRAINING].copy()
            known[labels, WIND] = (known[labels, WIND] + 150) % 360
            inputs = series_windows(self.spec, self.scaler, known, 0)[0].inputs[0]
        train, held_out = index.ends[:700], index.ends[720:]
        training = TrainingSet(inputs, train, held_out, 3, WIDTH, labels)
        self.detector.fit(training, budget=BUDGET, seed=3)

    def errors(self, values: Float) -> SeriesErrors:
        """Of readings that follow those that were learned from; a fold has gone through them."""
        later = slice(N_TRAINING - WIDTH, None)
        if self.detector.folds:
            later = slice(N_TRAINING, None)
        return series_errors(
            self.spec, self.scaler, self.detector, values[later], later.start * STEP_S, "mast"
        )

    def with_fault(self, channel: int) -> Float:
        """The readings with a fault: the wind from the other side, or six spreads of the speed."""
        values = self.values.copy()
        values[FAULT, channel] += 180 if channel == WIND else 6 * self.scaler.scale[SPEED]
        values[:, WIND] %= 360
        return values


@functools.cache
def learned(name: str, turned: float = 0.0) -> _Learned:
    return _Learned(name, turned)


def _leading(one: _Learned, values: Float) -> int:
    """The channel that carries most of the fault's error, in its own usual errors."""
    usual, found = one.errors(one.values), one.errors(values)
    first = FAULT.start - (N_TRAINING if one.detector.folds else N_TRAINING - WIDTH)
    steps = slice(first, first + FAULT.stop - FAULT.start)
    if one.detector.judges_windows:
        later = slice(N_TRAINING - WIDTH, None)
        features, _ = series_windows(one.spec, one.scaler, values[later], 0)
        ends = np.arange(steps.start, steps.stop)
        shares = channel_shares(one.spec, one.detector, features.inputs[0], ends)
        return int(np.nansum(shares, axis=0).argmax())
    more = np.nanmax(found.channel_errors[steps], axis=0)
    # Of a range the usual error is 0.
    return int((more / (np.nanquantile(usual.channel_errors, 0.95, axis=0) + 1e-9)).argmax())


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_an_angle_is_led_by_its_own_fault(name: str) -> None:
    one = learned(name)
    usual, found = one.errors(one.values), one.errors(one.with_fault(WIND))
    assert found.channel_errors.shape == (len(found.live), 2)
    assert np.nanmax(found.channel_errors[:, WIND]) > np.nanmax(usual.channel_errors[:, WIND])
    assert _leading(one, one.with_fault(WIND)) == WIND


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_where_zero_lies_changes_nothing(name: str) -> None:
    one, other = learned(name), learned(name, 137.0)
    assert other.scaler.scale == pytest.approx(one.scaler.scale)
    found, turned = (each.errors(each.with_fault(WIND)) for each in (one, other))
    assert np.array_equal(found.live, turned.live)
    np.testing.assert_allclose(turned.channel_errors, found.channel_errors, rtol=0.02, atol=1e-3)
    np.testing.assert_allclose(turned.residuals, found.residuals, rtol=0.02, atol=5e-3)


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_one_step_across_north_is_nothing(name: str) -> None:
    one = learned(name)
    near = one.values.copy()
    # The same directions, a turn further: 370 for 10.
    near[:, WIND] += 360
    before, after = one.errors(one.values), one.errors(near)
    np.testing.assert_allclose(after.channel_errors, before.channel_errors, rtol=1e-4, atol=1e-5)


def test_columns_of_an_angle_have_no_jump() -> None:
    scaler = Scaler((0.0, 0.0), (20.0, 1.0), 1, circles=CIRCLES)
    spec = learned("three_sigma").spec
    around = np.column_stack([np.arange(0, 720, 0.5) % 360, np.zeros(1440)])
    columns = columns_of(spec, [scaler], around[None])[0]
    assert columns.shape == (1440, 3)
    assert np.abs(np.diff(columns, axis=0)).max() < 0.03
    other = columns_of(replace(spec, signals=()), [replace(scaler, circles=())], around[None])[0]
    assert other.shape == (1440, 2)
    assert np.abs(np.diff(other, axis=0)).max() > 17


def test_what_is_expected_of_an_angle_is_on_its_circle() -> None:
    one = learned("three_sigma")
    expected = one.scaler.inverse(np.array([[9.0, 0.0], [-9.0, 0.0]], np.float32))
    assert ((expected[:, WIND] >= 0) & (expected[:, WIND] < 360)).all()
    residuals = one.errors(one.with_fault(WIND)).residuals
    assert np.nanmax(np.abs(residuals[:, WIND])) * one.scaler.scale[WIND] <= 180
