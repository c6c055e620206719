"""Training with Keras, in the one process that needs it: fast, quiet, and the same to the bit for the same seed.

Nothing here is imported from Keras before a function is called: it costs four seconds and 700 MB.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.core.windows import batches, gather
from tsad_tasks.detectors.base import Budget, Progress, Stopped, TrainingHistory, TrainingSet
from tsad_tasks.errors import BadInput

# XLA takes about five seconds to compile an LSTM, and saves 3.5 microseconds per step of a window after that.
MIN_COMPILED_STEPS = 1_500_000
FINAL_RATE_SHARE = 0.02
VALIDATION_BATCH = 256

TrainStep = Callable[[NDArray[np.float32]], float]


def start_keras() -> Any:
    """Keras on TensorFlow, one thread, deterministic operations, without the chatter of its libraries."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():
        import keras
        import tensorflow

        if tensorflow.config.threading.get_intra_op_parallelism_threads() != 1:
            tensorflow.config.threading.set_intra_op_parallelism_threads(1)
            tensorflow.config.threading.set_inter_op_parallelism_threads(1)
        tensorflow.config.experimental.enable_op_determinism()
    return keras


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what C++ libraries write to standard error; shown only if the block fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def train(
    model: Any,
    training: TrainingSet,
    *,
    budget: Budget,
    seed: int,
    progress: Progress | None = None,
    jit: bool | None = None,
) -> TrainingHistory:
    """Fit a Keras model of windows (n, width, n_inputs) to their sensors (n, width, n_channels); the best weights stay.

    Parameters
    ----------
    jit : bool, optional
        Whether XLA compiles the training step; by default where the budget is large enough for it to pay.

    Raises
    ------
    BadInput
        Where there is no window to train or to validate on, or an input is not finite.
    """
    check_finite_windows(training)
    run = _Run(model, training, budget, np.random.default_rng(seed))
    with quiet_stderr():
        run.prepare(pays_to_compile(training, budget) if jit is None else jit)
    while run.stopped is None:
        run.epoch()
        if progress is not None:
            progress(len(run.loss), run.loss[-1], run.validation_loss[-1])
    model.set_weights(run.best_weights)
    return TrainingHistory(
        tuple(run.loss), tuple(run.validation_loss), len(training.ends), time.monotonic() - run.started, run.stopped
    )


def onnx_bytes(model: Any) -> bytes:
    """The model as an ONNX graph for any number of windows."""
    from tsad_tasks.detectors.onnx_graph import canonical_graph

    model(np.zeros((1, *model.input_shape[1:]), dtype=np.float32))  # Keras refuses to export what was never called.
    with tempfile.TemporaryDirectory() as folder, quiet_stderr():
        path = Path(folder) / "model.onnx"
        model.export(path, format="onnx", verbose=False)
        return canonical_graph(path.read_bytes())


def learning_rate(budget: Budget, epoch: int) -> float:
    """Rate of an epoch (from 0): half a cosine from the budget's rate down to a fiftieth of it.

    >>> budget = Budget(epochs=3, learning_rate=0.01)
    >>> [round(learning_rate(budget, epoch), 4) for epoch in range(3)]
    [0.01, 0.0075, 0.0025]
    """
    share = 0.5 * (1 + math.cos(math.pi * epoch / budget.epochs))
    return budget.learning_rate * max(share, FINAL_RATE_SHARE)


def pays_to_compile(training: TrainingSet, budget: Budget) -> bool:
    """Whether so much will be computed that compiling the training step saves time."""
    return budget.epochs * len(training.ends) * training.width >= MIN_COMPILED_STEPS


def check_finite_windows(training: TrainingSet) -> None:
    """Raise BadInput where there is no window to train or to validate on, or an input is not finite."""
    if not (len(training.ends) and len(training.validation_ends)):
        received = f"{len(training.ends)} and {len(training.validation_ends)}"
        raise BadInput(f"Expected windows to train and to validate on. Received: {received}. Widen training.range.")
    if not np.isfinite(training.inputs).all():
        raise BadInput("Expected finite inputs. Received: NaN or Inf; replace what is unknown by 0 before training.")


@dataclass
class _Run:
    """One training: its state from epoch to epoch."""

    model: Any
    training: TrainingSet
    budget: Budget
    random: np.random.Generator
    started: float = field(default_factory=time.monotonic)
    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    best_weights: list[NDArray[np.float32]] = field(default_factory=list)
    stopped: Stopped | None = None

    def prepare(self, jit: bool) -> None:
        self.batch_size = min(self.budget.batch_size, len(self.training.ends))
        self.best_weights = self.model.get_weights()
        self.optimizer, self.step, self.measure = compiled(
            self.model, self.budget.loss, self.training.n_channels, jit=jit
        )

    def epoch(self) -> None:
        self.optimizer.learning_rate.assign(learning_rate(self.budget, len(self.loss)))
        self.loss.append(self._train())
        self.validation_loss.append(self._validate())
        if self.validation_loss[-1] <= min(self.validation_loss):
            self.best_weights = self.model.get_weights()
        self.stopped = self._reason()

    def _train(self) -> float:
        order = self.random.permutation(self.training.ends)
        losses = []
        # Whole batches only: another size would be compiled anew.
        for first in range(0, len(order) - self.batch_size + 1, self.batch_size):
            losses.append(float(self.step(self._windows(order[first : first + self.batch_size]))))
            if self._late():
                break
        return float(np.mean(losses))

    def _validate(self) -> float:
        ends = self.training.validation_ends
        parts = list(batches(len(ends), VALIDATION_BATCH))
        losses = [float(self.measure(self._windows(ends[part]))) for part in parts]
        return float(np.average(losses, weights=[part.stop - part.start for part in parts]))

    def _windows(self, ends: NDArray[np.int64]) -> NDArray[np.float32]:
        return gather(self.training.inputs, ends, self.training.width)

    def _late(self) -> bool:
        return time.monotonic() - self.started > 60 * self.budget.max_minutes

    def _reason(self) -> Stopped | None:
        if not math.isfinite(self.loss[-1] + self.validation_loss[-1]):
            return "diverged"
        if self._late():
            return "minutes"
        if len(self.loss) == self.budget.epochs:
            return "epochs"
        n_since_best = len(self.loss) - 1 - int(np.argmin(self.validation_loss))
        return "patience" if n_since_best >= self.budget.patience else None


def compiled(model: Any, loss: str, n_channels: int, *, jit: bool) -> tuple[Any, TrainStep, TrainStep]:
    """Optimizer, training step and loss of a model, each taking a batch of windows.

    Keras's own `fit` is slower (benchmarks/train.py), compiles again for the last, smaller batch of an epoch, and does
    not stop within an epoch when the minutes are used up.
    """
    import keras
    import tensorflow

    optimizer, error_of = keras.optimizers.Adam(global_clipnorm=1.0), keras.losses.get(loss)
    optimizer.build(model.trainable_variables)

    def mean_error(windows: Any, training: bool) -> Any:
        return tensorflow.reduce_mean(error_of(windows[:, :, :n_channels], model(windows, training=training)))

    def step(windows: Any) -> Any:
        with tensorflow.GradientTape() as tape:
            error = mean_error(windows, training=True)
        optimizer.apply(tape.gradient(error, model.trainable_variables), model.trainable_variables)
        return error

    shape = tensorflow.TensorSpec((None, *model.input_shape[1:]), tensorflow.float32)
    measure = tensorflow.function(lambda windows: mean_error(windows, training=False), input_signature=[shape])
    return optimizer, tensorflow.function(step, jit_compile=jit), measure
