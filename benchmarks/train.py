"""CPU-seconds per training epoch, ours against Keras defaults, in one run: `python benchmarks/train.py [--small]`.

Both train the documents' LSTM autoencoder on the same windows of a noisy sine, on one thread, with the learning rates
that they default to. "Keras" is what one writes first: windows as an array, `compile("adam", "mse")`, `fit` with its
batches of 32. Set-up is what comes before the first whole epoch: tracing, compiling, the optimizer. Losses are on the
same held-out windows after the same number of epochs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np

from tsad_tasks.core.windows import gather
from tsad_tasks.detectors.base import Budget, TrainingSet
from tsad_tasks.detectors.keras_training import quiet_stderr, train
from tsad_tasks.detectors.registry import build_detector

WIDTH = 10
Measured = tuple[float, float, float]
Method = Callable[[TrainingSet, int], Measured]


@dataclass
class EpochClock:
    """CPU-seconds of each epoch; the first one holds the set-up."""

    laps: list[float]
    last: float

    def lap(self, *_: object) -> None:
        now = time.process_time()
        self.laps.append(now - self.last)
        self.last = now

    @property
    def epoch_s(self) -> float:
        return float(np.min(self.laps[1:]))

    @property
    def set_up_s(self) -> float:
        return max(self.laps[0] - self.epoch_s, 0.0)


def make_training(n_windows: int, n_channels: int) -> TrainingSet:
    n_validation = n_windows // 10
    steps = np.arange(WIDTH - 1 + n_windows + n_validation)[:, None]
    noise = np.random.default_rng(0).normal(0, 0.1, (len(steps), n_channels))
    inputs = (np.sin(steps * 2 * np.pi / 1440 + np.arange(n_channels)) + noise).astype(np.float32)
    ends = np.arange(WIDTH - 1, len(steps))
    return TrainingSet(inputs, ends[:n_windows], ends[n_windows:], n_channels, WIDTH)


def ours(training: TrainingSet, n_epochs: int) -> Measured:
    detector: Any = build_detector(
        "lstm_autoencoder", width=WIDTH, n_channels=training.n_channels, n_inputs=training.n_channels
    )
    model = detector.keras_model(seed=7)
    clock = EpochClock([], time.process_time())
    train(model, training, budget=Budget(epochs=n_epochs), seed=7, progress=clock.lap, jit=True)
    return clock.set_up_s, clock.epoch_s, held_out_loss(model, training)


def keras_defaults(training: TrainingSet, n_epochs: int) -> Measured:
    with quiet_stderr():
        import keras
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(1)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
        keras.utils.set_random_seed(7)
        keras.ops.zeros(1)  # TensorFlow looks for a GPU at its first tensor, and complains.
    layers, n = keras.layers, training.n_channels
    model = keras.Sequential([keras.Input((WIDTH, n)), layers.LSTM(64, return_sequences=True), layers.LSTM(32)])
    for layer in (
        layers.RepeatVector(WIDTH),
        layers.LSTM(32, return_sequences=True),
        layers.LSTM(64, return_sequences=True),
    ):
        model.add(layer)
    model.add(layers.TimeDistributed(layers.Dense(n)))
    model.compile("adam", "mse")
    windows, held_out = (gather(training.inputs, ends, WIDTH) for ends in (training.ends, training.validation_ends))
    clock = EpochClock([], time.process_time())
    lap = keras.callbacks.LambdaCallback(on_epoch_end=clock.lap)
    model.fit(windows, windows, validation_data=(held_out, held_out), epochs=n_epochs, verbose=0, callbacks=[lap])
    return clock.set_up_s, clock.epoch_s, held_out_loss(model, training)


def in_own_process(method: Method, training: TrainingSet, n_epochs: int) -> Measured:
    """What a method measures where nothing that the other one set is left behind."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(method, training, n_epochs).result()


def held_out_loss(model: Any, training: TrainingSet) -> float:
    windows = gather(training.inputs, training.validation_ends, WIDTH)
    return float(np.square(windows - np.asarray(model(windows))).mean())


def row(name: str, n_channels: int, measured: Measured, than: Measured) -> str:
    set_up_s, epoch_s, loss = measured
    return f"{n_channels:>8} {name:<16}{set_up_s:>10.1f}{epoch_s:>10.2f}{than[1] / epoch_s:>9.2f} x{loss:>12.5f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU-seconds per training epoch, ours against Keras defaults.")
    parser.add_argument("--small", action="store_true", help="a tenth of the windows, for CI")
    n_windows, n_epochs = (4_320, 3) if parser.parse_args().small else (43_200, 4)
    print(
        f"{n_windows:,} windows of {WIDTH}, {n_windows // 10:,} held out, {n_epochs} epochs (the fastest but the first)"
    )
    print(f"{'channels':>8} {'':<16}{'set-up s':>10}{'epoch s':>10}{'faster':>11}{'held-out':>12}")
    methods: dict[str, Method] = {"Keras defaults": keras_defaults, "ours": ours}
    for n_channels in (1, 17):
        training = make_training(n_windows, n_channels)
        measured = {name: in_own_process(method, training, n_epochs) for name, method in methods.items()}
        for name, figures in measured.items():
            print(row(name, n_channels, figures, measured["Keras defaults"]), flush=True)


if __name__ == "__main__":
    main()
