"""Every detector of windows side by side: `python benchmarks/detectors.py [--small]`.

Trainable numbers (trees: nodes), the largest difference between ONNX Runtime and Keras on held-out
windows, CPU-seconds to train (with what is compiled and converted once for all entities, and
without: "again"), and CPU-microseconds per window to score and, where it is flagged, to explain;
one thread. Fails where ONNX Runtime and Keras differ by more than 1e-5.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.arrays import Floats32
from tsad_tasks.detectors.base import Budget, Detector, TrainingSet
from tsad_tasks.detectors.neural.network import NeuralDetector
from tsad_tasks.detectors.neural.training.weights import start_from
from tsad_tasks.detectors.registry import DETECTORS, build_detector, detector_class
from tsad_tasks.model.windows import gather

WIDTH, N_CHANNELS, N_CONTEXT = 10, 5, 4
LARGEST_DIFFERENCE = 1e-5
# Enough to see that the command works: tests/contracts/test_detectors.py compares ONNX Runtime with
# Keras for every network, and each takes five seconds to trace and convert.
SMALL = ("dense_autoencoder", "isolation_forest")


def make_training(n_windows: int) -> TrainingSet:
    """Noisy daily waves with labelled spikes, which only the supervised detector trains on."""
    steps = np.arange(n_windows + n_windows // 4)[:, None]
    random = np.random.default_rng(0)
    sensors = np.sin(2 * np.pi * steps / 144 + np.arange(N_CHANNELS)) + random.normal(
        0, 0.1, (len(steps), N_CHANNELS)
    )
    labels = random.random(len(steps)) < 0.03
    sensors[labels, 0] += 3
    context = np.sin(2 * np.pi * steps / 144 + np.arange(N_CONTEXT) * np.pi / 2)
    inputs = np.concatenate([sensors, context], axis=1).astype(np.float32)
    ends = np.arange(WIDTH - 1, n_windows), np.arange(n_windows + WIDTH, len(steps))
    return TrainingSet(inputs, *ends, N_CHANNELS, WIDTH, labels)


def cpu_s(act: Callable[[], object]) -> float:
    """CPU-seconds of one call."""
    started = time.process_time()
    act()
    return time.process_time() - started


def difference(detector: NeuralDetector, training: TrainingSet) -> float:
    """The largest difference between ONNX Runtime's and Keras's outputs."""
    model = detector.keras_model(seed=0)
    start_from(model, detector.weights())
    windows = gather(training.inputs, training.validation_ends[:1000], WIDTH)
    made = model(detector.seen(windows))
    outputs = made if isinstance(made, list) else [made]
    return max(
        float(np.abs(detector.outputs(windows, at) - one).max()) for at, one in enumerate(outputs)
    )


def built(name: str) -> Detector:
    return build_detector(name, width=WIDTH, n_channels=N_CHANNELS, n_inputs=N_CHANNELS + N_CONTEXT)


def explain(detector: Detector, inputs: Floats32, ends: NDArray[np.int64]) -> None:
    """What scoring does for flagged windows: steps, and channels where errors do not tell them
    apart.
    """
    detector.explain(inputs, ends)
    if detector.judges_windows:
        detector.channel_shares(inputs, ends)


def row(name: str, training: TrainingSet, budget: Budget) -> tuple[str, float]:
    """A line of the table, and the difference in it (0 where there is no Keras)."""
    detector, another = built(name), built(name)
    first_s, again_s = (
        cpu_s(partial(one.fit, training, budget=budget, seed=1)) for one in (detector, another)
    )
    ends = training.validation_ends[:2000]
    score_us = 1e6 * cpu_s(lambda: detector.reconstruct(training.inputs, ends)) / len(ends)
    explain_us = 1e6 * cpu_s(partial(explain, detector, training.inputs, ends[:100])) / 100
    differs = difference(detector, training) if isinstance(detector, NeuralDetector) else 0.0
    shown = f"{differs:.1e}" if isinstance(detector, NeuralDetector) else "–"
    learning = f"{detector.n_parameters:>12,}{shown:>12}{first_s:>10.1f}{again_s:>8.1f}"
    return f"{name:<26}{learning}{score_us:>10.1f}{explain_us:>12.1f}", differs


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Parameters, exactness and speed of every detector of windows."
    )
    parser.add_argument(
        "--small", action="store_true", help="two detectors, one epoch of 1,000 windows, for CI"
    )
    is_small = parser.parse_args().small
    n_windows, n_epochs = (1_000, 1) if is_small else (10_000, 5)
    names = (
        SMALL
        if is_small
        else [name for name in sorted(DETECTORS) if not detector_class(name).folds]
    )
    training = make_training(n_windows)
    # Importing Keras counts for none of them.
    built("dense_autoencoder").fit(training, budget=Budget(epochs=1), seed=0)
    print(
        f"{n_windows:,} windows of {WIDTH}, {N_CHANNELS} channels, {N_CONTEXT} context columns, "
        f"{n_epochs} epochs"
    )
    print(
        f"{'':<26}{'parameters':>12}{'ONNX–Keras':>12}{'train s':>10}{'again':>8}"
        f"{'score us':>10}{'explain us':>12}"
    )
    worst = 0.0
    for name in names:
        line, differs = row(name, training, Budget(epochs=n_epochs, patience=n_epochs))
        print(line, flush=True)
        worst = max(worst, differs)
    print(f"largest difference {worst:.1e}, promised {LARGEST_DIFFERENCE:.0e}")
    return 0 if worst <= LARGEST_DIFFERENCE else 1


if __name__ == "__main__":
    raise SystemExit(main())
