"""What every registered detector promises, trained for a moment on readings made here."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tsad_tasks.detectors.base import Budget, Detector, Floats, TrainingHistory, TrainingSet
from tsad_tasks.detectors.bundle import read_bundle, write_bundle
from tsad_tasks.detectors.keras_training import onnx_bytes
from tsad_tasks.detectors.onnx_session import OnnxSession
from tsad_tasks.detectors.registry import DETECTORS, build_detector, load_detector
from tsad_tasks.errors import BadInput

WIDTH = 8
HISTORY = WIDTH - 1
BUDGET = Budget(epochs=2, batch_size=64, learning_rate=0.003)
CASES = [(name, n_channels, n_context) for name in sorted(DETECTORS) for n_channels, n_context in ((1, 0), (3, 2))]

pytestmark = pytest.mark.xdist_group("detectors")


@dataclass
class Fitted:
    """A trained detector and readings that it has not seen."""

    detector: Detector
    training: TrainingSet
    history: TrainingHistory
    progress: list[tuple[int, float, float]]
    readings: Floats
    context: Floats | None

    def score(self, part: slice = slice(None), readings: Floats | None = None) -> Floats:
        chosen = self.readings if readings is None else readings
        return self.detector.score(chosen[part], None if self.context is None else self.context[part])

    def residuals(self, readings: Floats) -> Floats:
        return self.detector.residuals(readings, self.context)


def make_readings(n: int, n_channels: int, n_context: int, seed: int) -> tuple[Floats, Floats | None]:
    phases = 2 * np.pi * np.arange(n)[:, None] / 50
    noise = np.random.default_rng(seed).normal(0, 0.05, (n, n_channels))
    readings = (np.sin(phases + np.arange(n_channels)) + noise).astype(np.float32)
    context = np.concatenate([np.sin(phases), np.cos(phases)], axis=1).astype(np.float32)[:, :n_context]
    return readings, context if n_context else None


def make_training(n_channels: int, n_context: int) -> TrainingSet:
    readings, context = make_readings(800, n_channels, n_context, seed=1)
    inputs = readings if context is None else np.concatenate([readings, context], axis=1)
    return TrainingSet(inputs, np.arange(HISTORY, 600), np.arange(620, 800), n_channels, WIDTH)


def fit(name: str, n_channels: int, n_context: int) -> Fitted:
    training, progress = make_training(n_channels, n_context), []
    detector = build_detector(name, width=WIDTH, n_channels=n_channels, n_inputs=n_channels + n_context)
    history = detector.fit(training, budget=BUDGET, seed=5, progress=lambda *epoch: progress.append(epoch))
    return Fitted(detector, training, history, progress, *make_readings(300, n_channels, n_context, seed=2))


fit_once = functools.cache(fit)


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}+{case[2]}")
def fitted(request: pytest.FixtureRequest) -> Fitted:
    return fit_once(*request.param)


def equal(left: Floats, right: Floats) -> bool:
    """Whether two arrays agree to the bit, NaN included."""
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


def test_a_score_for_every_reading_and_nan_for_exactly_history(fitted: Fitted) -> None:
    scores = fitted.score()
    assert scores.shape == (300,)
    assert scores.dtype == np.float32
    assert np.isnan(scores).tolist() == [True] * fitted.detector.history + [False] * (300 - fitted.detector.history)


def test_fewer_readings_than_a_window_have_no_score(fitted: Fitted) -> None:
    assert np.isnan(fitted.score(slice(0, fitted.detector.history))).all()
    assert fitted.score(slice(0, 0)).shape == (0,)


@pytest.mark.parametrize("n", [1, HISTORY, WIDTH, 100, 299])
def test_scores_of_a_prefix_are_the_prefix_of_the_scores(fitted: Fitted, n: int) -> None:
    assert equal(fitted.score(slice(0, n)), fitted.score()[:n])


@pytest.mark.parametrize("start", [1, 37, 150, 292])
def test_scores_do_not_depend_on_where_the_readings_start(fitted: Fitted, start: int) -> None:
    h = fitted.detector.history
    assert equal(fitted.score(slice(start, None))[h:], fitted.score()[start + h :])


def test_batches_of_1_60_and_256_agree_to_the_bit(fitted: Fitted) -> None:
    inputs = fitted.readings if fitted.context is None else np.concatenate([fitted.readings, fitted.context], axis=1)
    ends = np.arange(HISTORY, 300)
    whole = fitted.detector.reconstruct(inputs, ends)
    for size in (1, 60, 256):
        parts = [fitted.detector.reconstruct(inputs, ends[i : i + size]) for i in range(0, len(ends), size)]
        assert equal(np.concatenate([part.channel_errors for part in parts]), whole.channel_errors)
        assert equal(np.concatenate([part.expected for part in parts]), whole.expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_in_all_channels_makes_its_windows_unknown(fitted: Fitted, bad: float) -> None:
    readings = fitted.readings.copy()
    readings[100] = bad
    unknown = np.isnan(fitted.score(readings=readings))
    assert np.flatnonzero(unknown[HISTORY:]).tolist() == list(range(100 - HISTORY, 101))
    assert np.isnan(fitted.residuals(readings)[100 : 100 + WIDTH]).all()


def test_readings_that_are_all_nan_are_unknown(fitted: Fitted) -> None:
    assert np.isnan(fitted.score(readings=np.full_like(fitted.readings, np.nan))).all()


def test_a_dead_channel_is_masked_and_the_others_go_on(fitted: Fitted) -> None:
    readings = fitted.readings.copy()
    readings[:, 0] = np.nan
    alone = fitted.detector.n_channels == 1
    assert np.isnan(fitted.score(readings=readings)[HISTORY:]).all() == alone
    assert np.isnan(fitted.residuals(readings)[HISTORY:]).all(axis=0).tolist() == [True] + [False] * (not alone) * 2


def test_a_huge_value_has_a_huge_finite_score(fitted: Fitted) -> None:
    readings = fitted.readings.copy()
    readings[100] = 3e38
    scores = fitted.score(readings=readings)[HISTORY:]
    assert np.isfinite(scores).all()
    assert scores.max() > 1e30


def test_residuals_are_reading_minus_expected(fitted: Fitted) -> None:
    higher = fitted.readings.copy()
    higher[200] += 5
    assert fitted.residuals(higher).shape == fitted.readings.shape
    assert (fitted.residuals(higher)[200] - fitted.residuals(fitted.readings)[200] > 3).all()


def test_input_is_untouched(fitted: Fitted) -> None:
    readings = fitted.readings.copy()
    readings[3] = np.nan
    kept = readings.copy()
    fitted.score(readings=readings)
    fitted.residuals(readings)
    assert equal(readings, kept)


def test_an_injected_spike_scores_higher_than_any_clean_window(fitted: Fitted) -> None:
    readings, clean = fitted.readings.copy(), fitted.score()
    readings[150, 0] += 8
    assert fitted.score(readings=readings)[150] > np.nanmax(clean)


def test_saved_and_loaded_scores_are_equal(fitted: Fitted, tmp_path: Path) -> None:
    fitted.detector.save(tmp_path / "model")
    for loaded in (load_detector(tmp_path / "model"), type(fitted.detector).load(tmp_path / "model")):
        assert equal(loaded.score(fitted.readings, fitted.context), fitted.score())
        assert loaded.to_files() == fitted.detector.to_files()


def test_a_bundle_holds_only_onnx_and_json(fitted: Fitted, tmp_path: Path) -> None:
    sha256 = write_bundle(tmp_path / "bundle", fitted.detector, {"threshold": 0.1}, {"rows": 3})
    bundle = read_bundle(tmp_path / "bundle", expected_sha256=sha256)
    assert equal(bundle.detector.score(fitted.readings, fitted.context), fitted.score())
    for path in (tmp_path / "bundle").iterdir():
        assert path.suffix == ".onnx" or json.loads(path.read_text(encoding="utf-8"))


def test_history_and_progress_tell_every_epoch(fitted: Fitted) -> None:
    assert [epoch for epoch, _, _ in fitted.progress] == [1, 2]
    assert [loss for _, loss, _ in fitted.progress] == list(fitted.history.loss)
    assert [loss for _, _, loss in fitted.progress] == list(fitted.history.validation_loss)
    assert fitted.history.validation_loss[1] < fitted.history.validation_loss[0]
    assert (fitted.history.stopped, fitted.history.n_windows) == ("epochs", 600 - HISTORY)


def test_a_training_set_that_does_not_fit_is_bad_input(fitted: Fitted) -> None:
    narrower = replace(fitted.training, width=WIDTH - 1)
    unknown = replace(fitted.training, inputs=np.full_like(fitted.training.inputs, np.nan))
    for training in (narrower, unknown):
        with pytest.raises(BadInput, match="Expected"):
            fitted.detector.fit(training, budget=BUDGET, seed=5)


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_same_seed_same_files_to_the_byte(name: str) -> None:
    assert fit(name, 1, 0).detector.to_files() == fit_once(name, 1, 0).detector.to_files()


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_onnx_equals_keras(name: str) -> None:
    detector: Any = build_detector(name, width=WIDTH, n_channels=3, n_inputs=5)
    model = detector.keras_model(seed=11)
    random = np.random.default_rng(0)
    model.set_weights([weights + random.normal(0, 0.3, weights.shape) for weights in model.get_weights()])
    windows = random.normal(0, 1, (300, WIDTH, 5)).astype(np.float32)
    difference = OnnxSession(onnx_bytes(model)).run(windows) - np.asarray(model(windows))
    assert np.abs(difference).max() <= 1e-5
    assert model.count_params() == detector.n_parameters
