"""What all neural detectors share: training by Keras, scoring by ONNX Runtime, and their files."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Self

import numpy as np

from tsad_tasks.base.errors import BadInput, ConfigError
from tsad_tasks.detectors.base import (
    DETAILS_FILE,
    Budget,
    Detector,
    Floats,
    Loss,
    Progress,
    Schedule,
    TrainingHistory,
    TrainingSet,
    WindowScores,
)
from tsad_tasks.detectors.fitting import check_files, check_fits, check_sizes
from tsad_tasks.detectors.neural.keras_training import (
    Learner,
    Objective,
    compiled,
    pays_to_compile,
    quiet_stderr,
    start_keras,
    train,
)
from tsad_tasks.detectors.neural.weights import (
    WEIGHTS_FILE,
    Weights,
    start_from,
    weights_bytes,
    weights_from,
    weights_of,
)
from tsad_tasks.detectors.onnx_session import OnnxSession
from tsad_tasks.detectors.parameters import choice, number
from tsad_tasks.detectors.registry import build_detector

MODEL_FILE = "model.onnx"
N_KEPT_LEARNERS = 4


class NeuralDetector(WindowScores):
    """A network that sees windows (n, width, n_inputs).

    A subclass says `name`, `n_parameters`, `params` (its own, JSON), `network` and `objective`.

    Parameters
    ----------
    width : int
        Steps in a window.
    n_channels, n_inputs : int
        Sensors, and sensors plus context and derived columns.
    input_limit : float
        An input beyond this many times the training's 99.9th percentile (of absolute values, by
        input) is implausible: the network sees 0, as for a dead channel, so that one broken sensor
        does not drown its neighbours. Errors are measured on the readings as they are.
    error : mse, mae or huber, optional
        What the error of a step is; by default that which was trained on (the budget's loss).
    """

    name: str
    n_inputs: int
    schedule: ClassVar[Schedule | None] = None

    def __init__(
        self,
        width: int,
        n_channels: int,
        n_inputs: int,
        input_limit: float = 2.0,
        error: Loss | None = None,
    ) -> None:
        check_sizes(width, n_channels, n_inputs)
        self.width, self.n_channels, self.n_inputs = width, n_channels, n_inputs
        self.input_limit = number("input_limit", input_limit)
        self.chosen_error: Loss | None = choice("error", error, ("mse", "mae", "huber", None))
        self.error: Loss = self.chosen_error or "mse"
        self.limits = np.full(n_inputs, np.inf, dtype=np.float32)
        self._graph: bytes | None = None
        self._weights: bytes | None = None

    @property
    def drops_out(self) -> bool:
        """Whether training draws a random number for every value: compiled by XLA that is six times
        slower.
        """
        return False

    @property
    @abstractmethod
    def n_parameters(self) -> int:
        """Trainable numbers."""

    @property
    @abstractmethod
    def params(self) -> dict[str, Any]:
        """Own parameters, JSON."""

    @abstractmethod
    def network(self, keras: Any, windows: Any, seed: int) -> Any:
        """The output, or a list of outputs, of the network for a symbolic input (n, width,
        n_inputs).
        """

    @abstractmethod
    def objective(self, keras: Any, loss: Loss) -> Objective:
        """What learning makes small."""

    def keras_model(self, seed: int) -> Any:
        """The network with the weights that a seed gives."""
        keras = start_keras()
        windows = keras.Input((self.width, self.n_inputs), name="windows")
        return keras.Model(windows, self.network(keras, windows, seed))

    def fit(
        self,
        training: TrainingSet,
        *,
        budget: Budget,
        seed: int,
        progress: Progress | None = None,
        warm_start: Detector | None = None,
    ) -> TrainingHistory:
        check_fits(training, self.width, self.n_channels, self.n_inputs)
        self.limits = self._limits(training)
        prepared = self.prepared(replace(training, inputs=self.seen(training.inputs)), seed)
        budget = replace(budget, schedule=self.schedule or budget.schedule)
        with quiet_stderr():
            learner = self.learner(
                budget, seed, jit=not self.drops_out and pays_to_compile(training, budget)
            )
        if warm_start is not None:
            start_from(learner.model, self._weights_of(warm_start))
        history = train(learner, prepared, budget=budget, seed=seed, progress=progress)
        self._use(learner.graph.filled(), weights_bytes(weights_of(learner.model)), budget.loss)
        self.calibrate(training)
        return replace(history, n_windows=len(training.ends))

    def prepared(self, training: TrainingSet, seed: int) -> TrainingSet:
        """What is trained on, of windows as the network sees them; by default all of them."""
        return training

    def calibrate(self, training: TrainingSet) -> None:
        """What is learned from the validation windows once the network is fitted; nothing by
        default.
        """

    def seen(self, inputs: Floats) -> Floats:
        """What the network sees of inputs (..., n_inputs): 0 in place of what is not finite or
        beyond the limits.
        """
        with np.errstate(invalid="ignore"):
            return np.where(np.abs(inputs) <= self.limits, inputs, np.float32(0))

    def outputs(self, windows: Floats, output: int = 0) -> Floats:
        """One of the network's outputs for windows (n, width, n_inputs) as they are."""
        # A recurrent network in ONNX turns NaN into an ordinary number: it sees 0, and the errors
        # bring NaN back.
        return self._session.run(self.seen(windows), output)

    def to_files(self) -> dict[str, bytes]:
        details = {
            "name": self.name,
            "width": self.width,
            "n_channels": self.n_channels,
            "n_inputs": self.n_inputs,
        }
        details |= {
            "params": self.params | {"input_limit": self.input_limit, "error": self.chosen_error}
        }
        details |= {"error": self.error, "limits": self.limits.tolist(), **self.learned()}
        files = {
            MODEL_FILE: self._fitted(),
            DETAILS_FILE: json.dumps(details, sort_keys=True, indent=2).encode(),
        }
        return files if self._weights is None else files | {WEIGHTS_FILE: self._weights}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        check_files(files, MODEL_FILE, DETAILS_FILE)
        details = json.loads(files[DETAILS_FILE])
        detector = cls(
            *(details[key] for key in ("width", "n_channels", "n_inputs")), **details["params"]
        )
        detector._use(files[MODEL_FILE], files.get(WEIGHTS_FILE), details["error"])
        detector.limits = np.array(details["limits"], dtype=np.float32)
        detector.recall(details)
        return detector

    def learned(self) -> dict[str, Any]:
        """What was learned beside the network, for detector.json."""
        return {}

    def recall(self, details: Mapping[str, Any]) -> None:
        """Take what `learned` gave."""

    def weights(self) -> Weights:
        """The trained weights by name.

        Raises
        ------
        ConfigError
            Where the detector was saved by a version that did not keep them.
        """
        self._fitted()
        if self._weights is None:
            raise ConfigError(
                f"warm_start: Expected a model with {WEIGHTS_FILE}. Received: one from before it "
                "was kept; retrain it."
            )
        return weights_from(self._weights)

    @cached_property
    def _session(self) -> OnnxSession:
        return OnnxSession(self._fitted())

    def learner(self, budget: Budget, seed: int, *, jit: bool) -> Learner:
        """The compiled network, with the weights that a seed gives; it is the next one's of this
        architecture too.
        """
        sizes = self.width, self.n_channels, self.n_inputs
        learner = _learner(
            self.name, sizes, json.dumps(self.params, sort_keys=True), budget.loss, jit
        )
        learner.restart(self.keras_model(seed))
        return learner

    def _weights_of(self, other: Detector) -> Weights:
        if isinstance(other, type(self)):
            return other.weights()
        raise ConfigError(f"warm_start: Expected a {self.name}. Received: a {other.name}.")

    def _fitted(self) -> bytes:
        if self._graph is None:
            raise BadInput(
                "Expected a fitted detector. Received: one that has not learned; call fit or load."
            )
        return self._graph

    def _use(self, graph: bytes, weights: bytes | None, trained_on: Loss) -> None:
        self._graph, self._weights, self.error = graph, weights, self.chosen_error or trained_on
        self.__dict__.pop("_session", None)

    def _limits(self, training: TrainingSet) -> Floats:
        usual = np.quantile(np.abs(training.inputs[training.ends]), 0.999, axis=0)
        return np.maximum(usual * self.input_limit, 1.0).astype(np.float32)


@lru_cache(maxsize=N_KEPT_LEARNERS)
def _learner(name: str, sizes: tuple[int, int, int], params: str, loss: Loss, jit: bool) -> Learner:
    """The compiled network of an architecture: tracing it takes seconds, and many entities train
    the same one.
    """
    start_keras().backend.clear_session()
    width, n_channels, n_inputs = sizes
    detector: Any = build_detector(
        name, width=width, n_channels=n_channels, n_inputs=n_inputs, params=json.loads(params)
    )
    return compiled(detector.keras_model(0), detector.objective(start_keras(), loss), jit=jit)
