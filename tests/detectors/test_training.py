"""When training stops, what it keeps, and what it leaves alone; on a network small enough to
compile at once.
"""

from __future__ import annotations

import os
import time
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tsad_tasks.base.errors import BadInput, BundleError, ConfigError
from tsad_tasks.detectors import fitting
from tsad_tasks.detectors.base import (
    Budget,
    TrainingHistory,
    TrainingPlan,
    TrainingSet,
    channel_errors,
)
from tsad_tasks.detectors.neural import network as neural
from tsad_tasks.detectors.neural.dense_autoencoder import DenseAutoencoder
from tsad_tasks.detectors.neural.training import keras_training
from tsad_tasks.detectors.neural.training.keras_training import (
    compiled,
    learning_rate,
    pays_to_compile,
)
from tsad_tasks.detectors.neural.training.quiet_keras import quiet_stderr, start_keras
from tsad_tasks.detectors.neural.training.weights import start_from, weights_from, weights_of
from tsad_tasks.detectors.registry import build_detector
from tsad_tasks.model.windows import gather

WIDTH = 2


@pytest.fixture
def model() -> Any:
    keras = start_keras()
    zeros = keras.initializers.Zeros()
    return keras.Sequential(
        [keras.Input((WIDTH, 1)), keras.layers.Dense(1, kernel_initializer=zeros)]
    )


def train(
    model: Any, training: TrainingSet, *, budget: Budget, seed: int, jit: bool = False
) -> TrainingHistory:
    detector: Any = build_detector("dense_autoencoder", width=WIDTH, n_channels=1, n_inputs=1)
    learner = compiled(model, detector.objective(start_keras(), budget.loss), jit=jit)
    return keras_training.train(learner, training, TrainingPlan(budget, seed))


def make_training(scale: float = 1.0) -> TrainingSet:
    inputs = (scale * np.random.default_rng(0).normal(size=(200, 1))).astype(np.float32)
    return TrainingSet(inputs, np.arange(1, 150), np.arange(151, 200), 1, WIDTH)


def test_a_timeout_is_an_error_that_says_what_to_lower(model: Any) -> None:
    budget = Budget(timeout_s=1e-9, epochs=12, batch_size=10)
    with pytest.raises(
        BadInput,
        match=r"epoch 1 of 12, 149 windows\)\. Lower training\.max_windows or .*epochs, or raise",
    ):
        train(model, make_training(), budget=budget, seed=1)


def test_a_machine_on_which_every_batch_takes_a_minute_learns_the_same(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh, budget = model.get_weights(), Budget(epochs=3, batch_size=10)
    quick = train(model, make_training(), budget=budget, seed=1)
    model.set_weights(fresh)
    clock = count(step=60)
    monkeypatch.setattr(
        fitting, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + next(clock))
    )
    slow = train(model, make_training(), budget=budget, seed=1)
    assert (slow.loss, slow.validation_loss, slow.stopped) == (
        quick.loss,
        quick.validation_loss,
        "epochs",
    )


@pytest.mark.parametrize("name", ["dense_autoencoder", "isolation_forest", "ensemble"])
def test_a_training_that_timed_out_is_no_model(name: str) -> None:
    members = [{"name": "dense_autoencoder"}, {"name": "isolation_forest"}]
    params = {"members": members} if name == "ensemble" else None
    detector: Any = build_detector(name, width=WIDTH, n_channels=1, n_inputs=1, params=params)
    with pytest.raises(BadInput, match=r"training\.timeout"):
        detector.fit(make_training(), budget=Budget(timeout_s=1e-9), seed=1)
    with pytest.raises(BadInput, match="one that has not learned"):
        detector.to_files()


def test_patience_counts_epochs_since_the_best(model: Any) -> None:
    history = train(model, make_training(), budget=Budget(patience=2, learning_rate=1e-30), seed=1)
    assert (len(history.loss), history.stopped) == (3, "patience")


def test_a_loss_that_is_not_finite_ends_training(model: Any) -> None:
    history = train(model, make_training(scale=1e25), budget=Budget(), seed=1)
    assert (len(history.loss), history.stopped) == (1, "diverged")


def test_the_best_weights_stay(model: Any) -> None:
    training = make_training()
    history = train(
        model,
        training,
        budget=Budget(epochs=12, learning_rate=0.9, patience=12, batch_size=149),
        seed=1,
    )
    windows = gather(training.inputs, training.validation_ends, WIDTH)
    kept = float(np.square(windows - np.asarray(model(windows))).mean())
    assert kept == pytest.approx(min(history.validation_loss), rel=1e-4)
    assert history.validation_loss[-1] > min(history.validation_loss)


def test_same_seed_same_history_and_another_seed_another(model: Any) -> None:
    fresh = model.get_weights()
    found = []
    for seed in (1, 1, 2):
        model.set_weights(fresh)
        found.append(
            train(model, make_training(), budget=Budget(epochs=2, batch_size=10), seed=seed).loss
        )
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_the_validation_loss_is_the_mean_of_the_channel_errors(model: Any, loss: Any) -> None:
    training = make_training(scale=2.0)
    history = train(model, training, budget=Budget(epochs=1, loss=loss), seed=1)
    windows = gather(training.inputs, training.validation_ends, WIDTH)
    errors = channel_errors(windows, np.asarray(model(windows)), loss)
    assert float(errors.mean()) == pytest.approx(history.validation_loss[0], rel=1e-5)


def test_compiled_and_plain_steps_learn_the_same(model: Any) -> None:
    fresh = model.get_weights()
    found = []
    for jit in (False, True):
        model.set_weights(fresh)
        found.append(
            train(
                model, make_training(), budget=Budget(epochs=3, batch_size=10), seed=1, jit=jit
            ).loss
        )
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_compiling_waits_for_a_budget_that_pays() -> None:
    training = make_training()
    assert not pays_to_compile(training, Budget(epochs=30))
    assert pays_to_compile(training, Budget(epochs=30_000))


def test_a_plateau_halves_the_learning_rate() -> None:
    budget = Budget(learning_rate=0.008, patience=4, schedule="plateau")
    rates = [
        learning_rate(budget, epoch, [3.0, 2.0, 2.0, 2.0, 1.0, 1.5, 1.5][:epoch])
        for epoch in range(8)
    ]
    assert rates == [0.008] * 4 + [0.004] * 3 + [0.002]


def test_another_entity_is_not_traced_anew_and_learns_as_in_a_fresh_process() -> None:
    detectors: list[Any] = [
        build_detector("dense_autoencoder", width=WIDTH, n_channels=1, n_inputs=1) for _ in "abc"
    ]
    neural._learner.cache_clear()
    for detector, scale in zip(detectors, (1.0, 2.0, 1.0), strict=True):
        detector.fit(make_training(scale), budget=Budget(epochs=1), seed=1)
    assert neural._learner.cache_info().misses == 1
    assert detectors[0].to_files() == detectors[2].to_files() != detectors[1].to_files()


def test_layers_that_see_other_channels_keep_what_their_seed_gave() -> None:
    one, two = (DenseAutoencoder(width=WIDTH, n_channels=n, n_inputs=n) for n in (1, 2))
    one.fit(make_training(), budget=Budget(epochs=1), seed=1)
    model: Any = two.keras_model(seed=2)
    fresh = weights_of(model)
    assert start_from(model, one.weights()) == [
        "dense_0.0.kernel",
        "sensors.0.kernel",
        "sensors.1.bias",
    ]
    started = weights_of(model)
    assert np.array_equal(started["dense_0.0.kernel"], fresh["dense_0.0.kernel"])
    assert np.array_equal(started["dense_1.0.kernel"], one.weights()["dense_1.0.kernel"])


def test_weights_of_which_none_fits_are_refused(model: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"Expected a model with a layer of the same .*a\.0\.kernel \(3,\)"
    ):
        start_from(model, {"a.0.kernel": np.zeros(3, np.float32)})


def test_weights_that_are_no_archive_are_a_bundle_error() -> None:
    with pytest.raises(BundleError, match=r"Expected weights\.npz with arrays"):
        weights_from(b"nonsense")


def test_nothing_to_validate_on_is_bad_input(model: Any) -> None:
    training = make_training()
    empty = TrainingSet(training.inputs, training.ends, np.arange(0), 1, WIDTH)
    with pytest.raises(BadInput, match="Received: 149 and 0"):
        train(model, empty, budget=Budget(), seed=1)


def test_inputs_that_are_not_finite_are_bad_input(model: Any) -> None:
    training = make_training()
    training.inputs[3] = np.nan
    with pytest.raises(BadInput, match="Expected finite inputs"):
        train(model, training, budget=Budget(), seed=1)


def test_global_random_state_is_left_alone(model: Any) -> None:
    before = np.random.get_state()[1].tolist()
    train(model, make_training(), budget=Budget(epochs=1), seed=1)
    assert np.random.get_state()[1].tolist() == before


def test_chatter_is_shown_only_where_something_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_stderr():
        os.write(2, b"chatter")
    assert capfd.readouterr().err == ""
    with pytest.raises(ZeroDivisionError), quiet_stderr():
        os.write(2, b"the reason") / 0
    assert capfd.readouterr().err == "the reason"
