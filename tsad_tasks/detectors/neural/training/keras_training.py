"""Training with Keras: fast, quiet, and the same to the bit for the same seed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from tsad_tasks.base.arrays import Floats32, Ints
from tsad_tasks.detectors.base import (
    Budget,
    Objective,
    Stopped,
    TrainingHistory,
    TrainingPlan,
    TrainingSet,
)
from tsad_tasks.detectors.fitting import check_finite_windows, check_time
from tsad_tasks.detectors.neural.training.onnx_template import GraphTemplate
from tsad_tasks.detectors.neural.training.quiet_keras import quiet_stderr
from tsad_tasks.model.windows import batches, gather

# XLA takes about five seconds to compile an LSTM, and saves 3.5 microseconds per step of a window
# after that.
MIN_COMPILED_STEPS = 1_500_000
FINAL_RATE_SHARE = 0.02
VALIDATION_BATCH = 256

# Windows, labels and, where entities do not have the same channels, which inputs they have.
TrainStep = Callable[..., float]


@dataclass(frozen=True)
class Learner:
    """A network with its compiled training step, ready to learn again and again.

    `step` and `measure` give the loss of a batch; only the first learns from it.
    """

    model: Any
    optimizer: Any
    step: TrainStep
    measure: TrainStep

    def restart(self, fresh: Any) -> None:
        """Take weights and random states of a model of the same kind; forget all moments."""
        for mine, theirs in zip(self.model.variables, fresh.variables, strict=True):
            mine.assign(theirs)
        for moment in self.optimizer.variables:
            moment.assign(np.zeros(moment.shape))

    @cached_property
    def graph(self) -> GraphTemplate:
        """The network as ONNX, converted once for all weights that it will have."""
        return GraphTemplate(self.model)


def compiled(model: Any, objective: Objective, *, jit: bool, is_masked: bool = False) -> Learner:
    """A network with its training step; `jit` says whether XLA compiles it.

    `is_masked`: batches say which inputs are fitted.

    Keras's own `fit` is slower (benchmarks/train.py), compiles again for the last, smaller batch of
    an epoch, and does not look at the timeout within an epoch.
    """
    import keras
    import tensorflow

    optimizer = keras.optimizers.Adam(global_clipnorm=1.0)
    optimizer.build(model.trainable_variables)

    def step(windows: Any, labels: Any, fitted: Any = None) -> Any:
        with tensorflow.GradientTape() as tape:
            loss = objective(model(windows, training=True), windows, labels, fitted)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    def measure(windows: Any, labels: Any, fitted: Any = None) -> Any:
        return objective(model(windows, training=False), windows, labels, fitted)

    shapes = [(None, *model.input_shape[1:]), (None,)]
    shapes += [(None, model.input_shape[-1])] if is_masked else []
    signature = [tensorflow.TensorSpec(shape, tensorflow.float32) for shape in shapes]
    learn = tensorflow.function(step, jit_compile=jit)
    return Learner(model, optimizer, learn, tensorflow.function(measure, input_signature=signature))


def train(learner: Learner, training: TrainingSet, plan: TrainingPlan) -> TrainingHistory:
    """Let a network learn from the weights that it has; those of the smallest validation loss stay.

    Raises
    ------
    BadInput
        Where there is no window to train or to validate on, an input is not finite, or the timeout
        has passed.
    """
    check_finite_windows(training)
    run = _Run(learner, training, plan.budget, np.random.default_rng(plan.seed))
    while run.stopped is None:
        with quiet_stderr():
            run.epoch()
        if plan.progress is not None:
            plan.progress(len(run.loss), run.loss[-1], run.validation_loss[-1])
    learner.model.set_weights(run.best_weights)
    seconds, losses = time.monotonic() - run.started, (tuple(run.loss), tuple(run.validation_loss))
    return TrainingHistory(*losses, len(training.ends), seconds, run.stopped)


def learning_rate(budget: Budget, epoch: int, validation_loss: Sequence[float] = ()) -> float:
    """Rate of an epoch (from 0).

    "cosine": half a cosine from the budget's rate down to a fiftieth of it. "plateau": halved
    whenever the validation loss was not lowered for half the budget's patience. "constant": the
    budget's rate.

    >>> budget = Budget(epochs=3, learning_rate=0.01)
    >>> [round(learning_rate(budget, epoch), 4) for epoch in range(3)]
    [0.01, 0.0075, 0.0025]
    >>> plateau = Budget(patience=2, learning_rate=0.01, schedule="plateau")
    >>> learning_rate(plateau, 3, [0.5, 0.6, 0.4])
    0.005
    """
    share = 1.0
    if budget.schedule == "cosine":
        share = 0.5 * (1 + math.cos(math.pi * epoch / budget.epochs))
    best, n_since = math.inf, 0
    for loss in validation_loss if budget.schedule == "plateau" else ():
        n_since = 0 if loss < best else n_since + 1
        best = min(best, loss)
        if n_since == max(1, budget.patience // 2):
            share, n_since = share / 2, 0
    return budget.learning_rate * max(share, FINAL_RATE_SHARE)


def pays_to_compile(training: TrainingSet, budget: Budget) -> bool:
    """Whether so much will be computed that compiling the training step saves time."""
    return budget.epochs * len(training.ends) * training.width >= MIN_COMPILED_STEPS


@dataclass
class _Run:
    """One training: its state from epoch to epoch."""

    learner: Learner
    training: TrainingSet
    budget: Budget
    random: np.random.Generator
    started: float = field(default_factory=time.monotonic)
    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    best_weights: list[Floats32] = field(default_factory=list)
    stopped: Stopped | None = None

    def __post_init__(self) -> None:
        self.batch_size = min(self.budget.batch_size, len(self.training.ends))
        self.best_weights = self.learner.model.get_weights()
        labels = self.training.labels
        n_steps = len(self.training.inputs)
        self.labels = np.zeros(n_steps, np.float32) if labels is None else labels.astype(np.float32)

    def epoch(self) -> None:
        """Learns from each window once, and looks how well that did."""
        rate = learning_rate(self.budget, len(self.loss), self.validation_loss)
        self.learner.optimizer.learning_rate.assign(rate)
        order, losses = self.random.permutation(self.training.ends), []
        # Whole batches only: another size would be compiled anew.
        for first in range(0, len(order) - self.batch_size + 1, self.batch_size):
            batch = self._batch(order[first : first + self.batch_size])
            losses.append(float(self.learner.step(*batch)))
            check_time(self.started, self.budget, len(order), len(self.loss) + 1)
        self.loss.append(float(np.mean(losses)))
        ends = self.training.validation_ends
        parts = list(batches(len(ends), VALIDATION_BATCH))
        losses = [float(self.learner.measure(*self._batch(ends[part]))) for part in parts]
        sizes = [part.stop - part.start for part in parts]
        self.validation_loss.append(float(np.average(losses, weights=sizes)))
        if self.validation_loss[-1] <= min(self.validation_loss):
            self.best_weights = self.learner.model.get_weights()
        n_since_best = len(self.loss) - 1 - int(np.argmin(self.validation_loss))
        if not math.isfinite(self.loss[-1] + self.validation_loss[-1]):
            self.stopped = "diverged"
        elif len(self.loss) == self.budget.epochs:
            self.stopped = "epochs"
        elif n_since_best >= self.budget.patience:
            self.stopped = "patience"

    def _batch(self, ends: Ints) -> tuple[Floats32, ...]:
        windows = gather(self.training.inputs, ends, self.training.width)
        fitted = self.training.fitted
        masks = () if fitted is None else (fitted[ends].astype(np.float32),)
        return windows, self.labels[ends], *masks
