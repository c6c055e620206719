"""What all neural detectors share: training by Keras, scoring by ONNX Runtime, and their files."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from tsad_tasks.base.arrays import Floats32
from tsad_tasks.base.errors import ConfigError
from tsad_tasks.base.lazy import np
from tsad_tasks.detectors.base import (
    WEIGHTS_FILE,
    Budget,
    DetectorSettings,
    Loss,
    Objective,
    Schedule,
    TrainingHistory,
    TrainingPlan,
    TrainingSet,
)
from tsad_tasks.detectors.fitting import check_fits, fitted
from tsad_tasks.detectors.inference.onnx_detector import OnnxDetector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tsad_tasks.detectors.neural.training.keras_training import Learner
    from tsad_tasks.detectors.neural.training.weights import Weights

N_KEPT_LEARNERS = 4


def _sizes(value: Any) -> list[int]:
    sizes = list(value) if isinstance(value, list | tuple) else []
    # True is a number to Python, and none to people.
    if not sizes or not all(type(size) is int and size > 0 for size in sizes):
        raise ValueError("a list of whole numbers above 0")
    return sizes


def _two_sizes(value: Any) -> list[int]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError("two whole numbers above 0")
    return _sizes(value)


Size = Annotated[int, Field(ge=1)]
Sizes = Annotated[list[int], BeforeValidator(_sizes)]
TwoSizes = Annotated[list[int], BeforeValidator(_two_sizes)]


class NetworkSettings(DetectorSettings):
    """What all networks have in common."""

    input_limit: float = Field(
        2.0,
        gt=0,
        description="An input beyond this many times the training's 99.9th percentile (of absolute "
        "values) is implausible: the network sees 0, as for a dead channel, so that one broken "
        "sensor does not drown its neighbours. Errors are measured on the readings as they are.",
    )
    error: Loss | None = Field(
        None,
        examples=["mae"],
        description="What the error of a step is; null takes the loss that was trained on.",
    )


class NeuralDetector(OnnxDetector):
    """A network that sees windows (n, width, n_inputs).

    A subclass says `settings_model`, `n_parameters`, `network` and `objective`.
    """

    settings_model: ClassVar[type[DetectorSettings]] = NetworkSettings
    settings: NetworkSettings
    starts_warm: ClassVar[bool] = True
    schedule: ClassVar[Schedule | None] = None

    def __init__(self, width: int, n_channels: int, n_inputs: int, **params: Any) -> None:
        super().__init__(width, n_channels, n_inputs, **params)
        self.error: Loss = self.settings.error or "mse"
        self.limits = np.full(n_inputs, np.inf, dtype=np.float32)
        self._weights: bytes | None = None

    @property
    def drops_out(self) -> bool:
        """Whether training draws a number for every value: six times slower by XLA."""
        return False

    @abstractmethod
    def network(self, keras: Any, windows: Any, seed: int) -> Any:
        """The output, or a list of them, for a symbolic input (n, width, n_inputs)."""

    @abstractmethod
    def objective(self, keras: Any, loss: Loss) -> Objective:
        """What learning makes small."""

    def keras_model(self, seed: int) -> Any:
        """The network with the weights that a seed gives."""
        from tsad_tasks.detectors.neural.training.quiet_keras import start_keras

        keras = start_keras()
        windows = keras.Input((self.width, self.n_inputs), name="windows")
        return keras.Model(windows, self.network(keras, windows, seed))

    def learn(self, training: TrainingSet, plan: TrainingPlan) -> TrainingHistory:
        from tsad_tasks.detectors.neural.training import weights
        from tsad_tasks.detectors.neural.training.keras_training import pays_to_compile, train
        from tsad_tasks.detectors.neural.training.quiet_keras import quiet_stderr

        check_fits(training, self)
        usual = usual_size(training)
        self.limits = np.maximum(usual * self.settings.input_limit, 1.0).astype(np.float32)
        prepared = self.prepared(replace(training, inputs=self.seen(training.inputs)), plan.seed)
        budget = replace(plan.budget, schedule=self.schedule or plan.budget.schedule)
        with quiet_stderr():
            jit = not self.drops_out and pays_to_compile(training, budget)
            is_masked = training.fitted is not None
            learner = self.learner(budget, plan.seed, jit=jit, is_masked=is_masked)
        if isinstance(plan.warm_start, type(self)):
            weights.start_from(learner.model, plan.warm_start.weights())
        elif plan.warm_start is not None:
            expected, received = f"Expected a {self.name}.", f"Received: a {plan.warm_start.name}."
            raise ConfigError(f"warm_start: {expected} {received}")
        history = train(learner, prepared, plan._replace(budget=budget))
        self.use_graph(learner.graph.filled())
        self._weights = weights.weights_bytes(weights.weights_of(learner.model))
        self.error = self.settings.error or budget.loss
        self.calibrate(training)
        return replace(history, n_windows=len(training.ends))

    def prepared(self, training: TrainingSet, seed: int) -> TrainingSet:
        """What is trained on, of windows as the network sees them; by default all of them."""
        return training

    def calibrate(self, training: TrainingSet) -> None:
        """What a fitted network learns from the validation windows; nothing by default."""

    def seen(self, inputs: Floats32) -> Floats32:
        """What the network sees of inputs (..., n_inputs): 0 for what is implausible."""
        with np.errstate(invalid="ignore"):
            return np.where(np.abs(inputs) <= self.limits, inputs, np.float32(0))

    def outputs(self, windows: Floats32, output: int = 0) -> Floats32:
        """One of the network's outputs for windows (n, width, n_inputs) as they are."""
        # A recurrent network in ONNX turns NaN into an ordinary number: it sees 0, and the errors
        # bring NaN back.
        return self._session.run(self.seen(windows), output)

    def to_files(self) -> dict[str, bytes]:
        files = super().to_files()
        return files if self._weights is None else files | {WEIGHTS_FILE: self._weights}

    def learned(self) -> dict[str, Any]:
        return {"error": self.error, "limits": self.limits.tolist()}

    def recall(self, details: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        super().recall(details, files)
        self._weights, self.error = files.get(WEIGHTS_FILE), self.settings.error or details["error"]
        self.limits = np.array(details["limits"], dtype=np.float32)

    def weights(self) -> Weights:
        """The trained weights by name.

        Raises
        ------
        ConfigError
            Where the detector was saved by a version that did not keep them.
        """
        from tsad_tasks.detectors.neural.training.weights import weights_from

        fitted(self._graph)
        if self._weights is None:
            expected = f"warm_start: Expected a model with {WEIGHTS_FILE}."
            raise ConfigError(f"{expected} Received: one from before it was kept; retrain it.")
        return weights_from(self._weights)

    def learner(self, budget: Budget, seed: int, *, jit: bool, is_masked: bool = False) -> Learner:
        """The compiled network with a seed's weights; the next of its kind uses it too."""
        params = json.dumps(self.params, sort_keys=True)
        sizes = self.width, self.n_channels, self.n_inputs
        kind: Any = type(self)
        learner = _learner(kind, sizes, params, budget.loss, jit, is_masked)
        learner.restart(self.keras_model(seed))
        return learner


def usual_size(training: TrainingSet) -> NDArray[np.floating[Any]]:
    """The 99.9th percentile of each input's absolute values, (n_inputs,), where it is fitted."""
    size = np.abs(training.inputs[training.ends])
    if training.fitted is None:
        return np.asarray(np.quantile(size, 0.999, axis=0))
    columns = zip(size.T, training.fitted[training.ends].T, strict=True)
    known = (column[fitted] for column, fitted in columns)
    return np.array([np.quantile(column, 0.999) if column.size else 0.0 for column in known])


@lru_cache(maxsize=N_KEPT_LEARNERS)
def _learner(
    kind: type[NeuralDetector],
    sizes: tuple[int, int, int],
    params: str,
    loss: Loss,
    jit: bool,
    is_masked: bool,
) -> Learner:
    """The compiled network of an architecture: tracing takes seconds, and entities share it."""
    from tsad_tasks.detectors.neural.training.keras_training import compiled
    from tsad_tasks.detectors.neural.training.quiet_keras import start_keras

    # Python finds the garbage when there is enough of it; a search at once costs half a second.
    start_keras().backend.clear_session(free_memory=False)
    detector = kind(*sizes, **json.loads(params))
    objective = detector.objective(start_keras(), loss)
    return compiled(detector.keras_model(0), objective, jit=jit, is_masked=is_masked)
