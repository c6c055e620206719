"""What every registered detector of windows promises, trained for a moment on readings made here.

Detectors that carry a state from reading to reading have contracts of their own
(test_fold_detectors.py).
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tsad_tasks.base.arrays import Floats32
from tsad_tasks.base.errors import BadInput, ConfigError
from tsad_tasks.detectors.base import Budget, Detector, TrainingHistory, TrainingSet
from tsad_tasks.detectors.bundle import read_bundle, write_bundle
from tsad_tasks.detectors.inference.onnx_detector import WindowJudge
from tsad_tasks.detectors.inference.onnx_session import OnnxSession
from tsad_tasks.detectors.neural.network import NeuralDetector
from tsad_tasks.detectors.neural.training.quiet_keras import start_keras
from tsad_tasks.detectors.registry import DETECTORS, build_detector, detector_class, load_detector
from tsad_tasks.model.windows import gather

WIDTH = 8
HISTORY = WIDTH - 1
BUDGET = Budget(epochs=2, batch_size=64, learning_rate=0.003)
NAMES = [name for name in sorted(DETECTORS) if not detector_class(name).folds]
NEURAL = [name for name in NAMES if issubclass(detector_class(name), NeuralDetector)]
PARAMS = {
    "ensemble": {
        "members": [{"name": "dense_autoencoder", "weight": 2}, {"name": "isolation_forest"}]
    }
}
# These say how strange a window is between two bounds, and not what they would have expected.
BOUNDED = {name for name in NAMES if issubclass(detector_class(name), WindowJudge)}
# Sensors, and context and derived columns. One sensor alone is tried where it may be another case.
ALONE = {"dense_autoencoder", "isolation_forest", "lstm_autoencoder"}
CASES = [
    (name, *shape)
    for name in NAMES
    for shape in ((3, 2), (1, 0))
    if shape == (3, 2) or name in ALONE
]

pytestmark = pytest.mark.xdist_group("detectors")


@dataclass
class Fitted:
    """A trained detector and readings that it has not seen."""

    detector: Detector
    training: TrainingSet
    history: TrainingHistory
    progress: list[tuple[int, float, float]]
    readings: Floats32
    context: Floats32 | None

    def score(self, part: slice = slice(None), readings: Floats32 | None = None) -> Floats32:
        chosen = self.readings if readings is None else readings
        return self.detector.score(
            chosen[part], None if self.context is None else self.context[part]
        )

    def again(self, warm_start: Detector | None = None) -> Fitted:
        detector = self.detector
        return fit(
            detector.name, detector.n_channels, detector.n_inputs - detector.n_channels, warm_start
        )

    def residuals(self, readings: Floats32) -> Floats32:
        return self.detector.residuals(readings, self.context)

    def inputs(self, readings: Floats32) -> Floats32:
        return (
            readings if self.context is None else np.concatenate([readings, self.context], axis=1)
        )

    def explained(self, readings: Floats32, *ends: int) -> Floats32:
        return self.detector.explain(self.inputs(readings), np.array(ends, dtype=np.int64))


def make_readings(
    n: int, n_channels: int, n_context: int, seed: int
) -> tuple[Floats32, Floats32 | None]:
    phases = 2 * np.pi * np.arange(n)[:, None] / 50
    noise = np.random.default_rng(seed).normal(0, 0.05, (n, n_channels))
    readings = (np.sin(phases + np.arange(n_channels)) + noise).astype(np.float32)
    context = np.concatenate([np.sin(phases), np.cos(phases)], axis=1).astype(np.float32)[
        :, :n_context
    ]
    return readings, context if n_context else None


def make_training(n_channels: int, n_context: int, *, labelled: bool) -> TrainingSet:
    readings, context = make_readings(800, n_channels, n_context, seed=1)
    labels = np.arange(800) % 20 == 7
    if labelled:
        readings[labels, 0] += 6
    inputs = readings if context is None else np.concatenate([readings, context], axis=1)
    ends = np.arange(HISTORY, 600), np.arange(620, 800)
    return TrainingSet(inputs, *ends, n_channels, WIDTH, labels if labelled else None)


def build(name: str, n_channels: int, n_context: int) -> Detector:
    sizes = {"width": WIDTH, "n_channels": n_channels, "n_inputs": n_channels + n_context}
    return build_detector(name, **sizes, params=PARAMS.get(name))


def fit(name: str, n_channels: int, n_context: int, warm_start: Detector | None = None) -> Fitted:
    detector, progress = build(name, n_channels, n_context), []
    training = make_training(n_channels, n_context, labelled=detector.supervised)
    history = detector.fit(
        training,
        budget=BUDGET,
        seed=5,
        progress=lambda *epoch: progress.append(epoch),
        warm_start=warm_start,
    )
    return Fitted(
        detector, training, history, progress, *make_readings(300, n_channels, n_context, seed=2)
    )


def case_name(case: tuple[str, int, int]) -> str:
    return f"{case[0]}-{case[1]}+{case[2]}"


# Of a module, so that all tests of a detector follow each other, and its network is compiled once.
@pytest.fixture(params=CASES, scope="module", ids=case_name)
def fitted(request: pytest.FixtureRequest) -> Fitted:
    return fit(*request.param)


def only(names: Collection[str]) -> pytest.MarkDecorator:
    """The detectors that a promise is about."""
    cases = [case for case in CASES if case[0] in names]
    return pytest.mark.parametrize("fitted", cases, indirect=True, ids=case_name)


def able_to(ability: str) -> pytest.MarkDecorator:
    """The detectors that have a method beyond the protocol."""
    return only([name for name in NAMES if hasattr(detector_class(name), ability)])


def equal(left: Floats32, right: Floats32) -> bool:
    """Whether two arrays agree to the bit, NaN included."""
    return (
        left.dtype == right.dtype
        and left.shape == right.shape
        and left.tobytes() == right.tobytes()
    )


@pytest.mark.parametrize("name", ["attention_autoencoder", "dense_autoencoder", "lstm_vae"])
def test_what_an_entity_does_not_have_is_no_part_of_the_loss(name: str) -> None:
    detector: Any = build_detector(name, width=WIDTH, n_channels=3, n_inputs=3)
    objective = detector.objective(start_keras(), "mse")
    windows = np.random.default_rng(0).normal(size=(5, WIDTH, 3)).astype(np.float32)
    outputs, labels = detector.keras_model(0)(windows), np.zeros(5, np.float32)

    def loss(seen: Floats32, fitted: Floats32 | None) -> float:
        return float(objective(outputs, seen, labels, fitted))

    every, fitted, other = np.ones((5, 3), np.float32), np.ones((5, 3), np.float32), windows.copy()
    fitted[:3, 2] = 0
    other[:3, :, 2] += 9
    assert loss(other, fitted) == loss(windows, fitted)
    assert loss(other, every) > loss(windows, every) == pytest.approx(loss(windows, None))


def test_a_score_for_every_reading_and_nan_for_exactly_history(fitted: Fitted) -> None:
    scores = fitted.score()
    assert scores.shape == (300,)
    assert scores.dtype == np.float32
    assert np.isnan(scores).tolist() == [True] * fitted.detector.history + [False] * (
        300 - fitted.detector.history
    )


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
    inputs, ends = fitted.inputs(fitted.readings), np.arange(HISTORY, 300)
    whole = fitted.detector.reconstruct(inputs, ends)
    for size in (1, 60, 256):
        parts = [
            fitted.detector.reconstruct(inputs, ends[i : i + size])
            for i in range(0, len(ends), size)
        ]
        assert equal(np.concatenate([part.channel_errors for part in parts]), whole.channel_errors)
        assert equal(np.concatenate([part.expected for part in parts]), whole.expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_in_all_channels_makes_its_windows_unknown(
    fitted: Fitted, bad: float
) -> None:
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


@only(set(NAMES) - BOUNDED)
def test_a_dead_channel_has_no_residuals_and_the_others_do(fitted: Fitted) -> None:
    readings = fitted.readings.copy()
    readings[:, 0] = np.nan
    known = np.isfinite(fitted.residuals(readings)[HISTORY:])
    assert known.all(axis=0).tolist() == [False] + [True] * (fitted.detector.n_channels - 1)


def test_a_huge_value_has_a_finite_score(fitted: Fitted) -> None:
    readings = fitted.readings.copy()
    readings[100] = 3e38
    scores = fitted.score(readings=readings)[HISTORY:]
    assert np.isfinite(scores).all()
    assert scores.max() > (
        fitted.score()[HISTORY:].max() if fitted.detector.name in BOUNDED else 1e30
    )


@only(set(NAMES) - BOUNDED)
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
    for loaded in (
        load_detector(tmp_path / "model"),
        type(fitted.detector).load(tmp_path / "model"),
    ):
        assert equal(loaded.score(fitted.readings, fitted.context), fitted.score())
        assert loaded.to_files() == fitted.detector.to_files()


def test_a_bundle_holds_only_onnx_json_and_plain_arrays(fitted: Fitted, tmp_path: Path) -> None:
    sha256 = write_bundle(tmp_path / "bundle", fitted.detector, {"threshold": 0.1}, {"rows": 3})
    bundle = read_bundle(tmp_path / "bundle", expected_sha256=sha256)
    assert equal(bundle.detector.score(fitted.readings, fitted.context), fitted.score())
    for path in (tmp_path / "bundle").iterdir():
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                assert all(arrays[name].dtype == np.float32 for name in arrays.files)
        else:
            assert path.suffix == ".onnx" or json.loads(path.read_text(encoding="utf-8"))


def test_an_explanation_is_finite_and_not_negative(fitted: Fitted) -> None:
    readings = fitted.readings.copy()
    readings[100] = 3e38
    readings[200, 0] = np.nan
    found = fitted.explained(readings, 50, 100, 103, 200, 204)
    assert (found.shape, found.dtype) == ((5, WIDTH, fitted.detector.n_channels), np.float32)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert not found[3:, :, 0].any()


def test_an_explanation_names_the_step_and_the_channel_of_a_spike(fitted: Fitted) -> None:
    readings = fitted.readings.copy()
    readings[150, 0] += 8
    found = fitted.explained(readings, 150)[0]
    assert np.unravel_index(np.argmax(found), found.shape) == (HISTORY, 0)
    assert fitted.explained(readings).shape == (0, *found.shape)


def test_a_fault_of_one_channel_is_led_by_that_channel(fitted: Fitted) -> None:
    n_channels = fitted.detector.n_channels
    # What is supervised knows the faults that it was shown, which are in the first channel.
    for channel in range(1 if fitted.detector.supervised else n_channels):
        readings = fitted.readings.copy()
        readings[148:151, channel] += 8
        shares = fitted.detector.channel_shares(fitted.inputs(readings), np.array([150]))
        assert shares.dtype == np.float32
        assert shares.sum(axis=1) == pytest.approx(1, abs=1e-6)
        assert shares[0].argmax() == channel
        assert shares[0, channel] > (0.5 if n_channels > 1 else 0.99)


def test_shares_are_unknown_where_nothing_is_live_and_a_dead_channel_has_none(
    fitted: Fitted,
) -> None:
    readings = fitted.readings.copy()
    readings[150] = np.nan
    readings[250, 0] = np.nan
    readings[250, 1:] += 8
    shares = fitted.detector.channel_shares(fitted.inputs(readings), np.array([150, 250]))
    assert np.isnan(shares[0]).all()
    assert not np.nan_to_num(shares[1, 0])
    assert fitted.detector.channel_shares(
        fitted.inputs(readings), np.array([], np.int64)
    ).shape == (0, shares.shape[1])


def test_taking_away_what_is_derived_from_a_channel_as_well_is_possible(fitted: Fitted) -> None:
    detector, readings = fitted.detector, fitted.readings.copy()
    readings[150, 0] += 8
    columns = (
        np.arange(detector.n_inputs) % detector.n_channels
        == np.arange(detector.n_channels)[:, None]
    )
    assert (
        detector.channel_shares(fitted.inputs(readings), np.array([150]), columns)[0].argmax() == 0
    )


@able_to("probability")
def test_a_probability_is_from_0_to_1_and_rises_with_the_score(fitted: Fitted) -> None:
    scores = np.append(np.sort(fitted.score()[HISTORY:]), np.float32([1e30, np.nan]))
    found = fitted.detector.probability(scores)
    assert (np.diff(found[:-1]) >= 0).all()
    assert 0 <= found[0] < 0.5 < found[-2] <= 1
    assert np.isnan(found[-1])


@able_to("interval")
def test_an_interval_holds_as_many_readings_as_it_says(fitted: Fitted) -> None:
    for inputs, ends, tolerance in (
        (fitted.training.inputs, fitted.training.validation_ends, 0.02),
        (fitted.inputs(fitted.readings), np.arange(HISTORY, 300), 0.08),
    ):
        lower, upper = fitted.detector.interval(inputs, ends, 0.9)
        last = inputs[ends, : fitted.detector.n_channels]
        assert ((lower <= last) & (last <= upper)).mean(axis=0) == pytest.approx(0.9, abs=tolerance)


@able_to("attention")
def test_attention_adds_up_to_one(fitted: Fitted) -> None:
    windows = gather(fitted.inputs(fitted.readings), np.arange(HISTORY, 300), WIDTH)
    assert fitted.detector.attention(windows).shape == (300 - HISTORY, WIDTH)
    assert fitted.detector.attention(windows).sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_history_and_progress_tell_every_epoch(fitted: Fitted) -> None:
    assert [epoch for epoch, _, _ in fitted.progress] == list(
        range(1, len(fitted.history.loss) + 1)
    )
    assert [loss for _, loss, _ in fitted.progress] == list(fitted.history.loss)
    assert [loss for _, _, loss in fitted.progress] == list(fitted.history.validation_loss)
    assert (fitted.history.stopped, fitted.history.n_windows) == ("epochs", 600 - HISTORY)
    if fitted.detector.name in NEURAL:
        assert fitted.history.validation_loss[1] < fitted.history.validation_loss[0]


def test_a_training_set_that_does_not_fit_is_bad_input(fitted: Fitted) -> None:
    narrower = replace(fitted.training, width=WIDTH - 1)
    unknown = replace(fitted.training, inputs=np.full_like(fitted.training.inputs, np.nan))
    for training in (narrower, unknown):
        with pytest.raises(BadInput, match="Expected"):
            fitted.detector.fit(training, budget=BUDGET, seed=5)


def test_same_seed_same_files_to_the_byte(fitted: Fitted) -> None:
    assert fitted.again().detector.to_files() == fitted.detector.to_files()


@only(NEURAL)
def test_training_may_begin_with_the_weights_of_another_model(fitted: Fitted) -> None:
    warm = fitted.again(warm_start=fitted.detector)
    assert warm.history.validation_loss[0] < fitted.history.validation_loss[0]


def test_training_does_not_begin_with_another_kind_of_detector(fitted: Fitted) -> None:
    other = (
        "dense_autoencoder" if fitted.detector.name != "dense_autoencoder" else "lstm_autoencoder"
    )
    with pytest.raises(ConfigError, match=f"warm_start: Expected .*Received: a {other}"):
        fitted.again(warm_start=build(other, 1, 0))


@only(NEURAL)
def test_a_model_saved_without_its_weights_scores_but_starts_no_training(fitted: Fitted) -> None:
    files = {
        file: content
        for file, content in fitted.detector.to_files().items()
        if file != "weights.npz"
    }
    old = type(fitted.detector).from_files(files)
    assert equal(old.score(fitted.readings, fitted.context), fitted.score())
    assert old.to_files() == files
    with pytest.raises(ConfigError, match=r"warm_start: Expected a model with weights\.npz"):
        fitted.again(warm_start=old)


@only(NEURAL)
def test_onnx_equals_keras(fitted: Fitted) -> None:
    detector: Any = fitted.detector
    learner, random = detector.learner(BUDGET, 11, jit=False), np.random.default_rng(0)
    for weight in learner.model.weights:
        moved = np.asarray(weight) + random.normal(0, 0.1, weight.shape)
        weight.assign(np.abs(moved) if "variance" in weight.name else moved)
    windows = random.normal(0, 1, (300, WIDTH, detector.n_inputs)).astype(np.float32)
    made, session = learner.model(windows), OnnxSession(learner.graph.filled())
    outputs = made if isinstance(made, list) else [made]
    assert (
        max(
            np.abs(session.run(windows, place) - output).max()
            for place, output in enumerate(outputs)
        )
        <= 1e-5
    )
    assert (
        sum(np.size(weight) for weight in learner.model.trainable_variables)
        == detector.n_parameters
    )
