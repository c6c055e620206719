"""What all neural detectors share: training by Keras, scoring by ONNX Runtime, and their files."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field

from tsad_tasks.base.errors import ConfigError
from tsad_tasks.base.lazy import np
from tsad_tasks.detectors.base import (
    DETAILS_FILE,
    MODEL_FILE,
    WEIGHTS_FILE,
    Budget,
    Detector,
    DetectorBase,
    DetectorSettings,
    Floats,
    Loss,
    Objective,
    Progress,
    Schedule,
    TrainingHistory,
    TrainingSet,
)
from tsad_tasks.detectors.fitting import check_fits, fitted

if TYPE_CHECKING:
    from tsad_tasks.detectors.inference.onnx_session import OnnxSession
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
        None, description="What the error of a step is; null takes the loss that was trained on."
    )


class NeuralDetector(DetectorBase):
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
        from tsad_tasks.detectors.neural.training.quiet_keras import start_keras

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
        from tsad_tasks.detectors.neural.training.keras_training import pays_to_compile, train
        from tsad_tasks.detectors.neural.training.quiet_keras import quiet_stderr
        from tsad_tasks.detectors.neural.training.weights import (
            start_from,
            weights_bytes,
            weights_of,
        )

        check_fits(training, self)
        usual = np.quantile(np.abs(training.inputs[training.ends]), 0.999, axis=0)
        self.limits = np.maximum(usual * self.settings.input_limit, 1.0).astype(np.float32)
        prepared = self.prepared(replace(training, inputs=self.seen(training.inputs)), seed)
        budget = replace(budget, schedule=self.schedule or budget.schedule)
        with quiet_stderr():
            jit = not self.drops_out and pays_to_compile(training, budget)
            learner = self.learner(budget, seed, jit=jit)
        if isinstance(warm_start, type(self)):
            start_from(learner.model, warm_start.weights())
        elif warm_start is not None:
            expected, received = f"Expected a {self.name}.", f"Received: a {warm_start.name}."
            raise ConfigError(f"warm_start: {expected} {received}")
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
        learned = {"error": self.error, "limits": self.limits.tolist(), **self.learned()}
        files = {MODEL_FILE: fitted(self._graph), DETAILS_FILE: self.details(**learned)}
        return files if self._weights is None else files | {WEIGHTS_FILE: self._weights}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        detector, details = cls.from_details(files, MODEL_FILE)
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
        from tsad_tasks.detectors.neural.training.weights import weights_from

        fitted(self._graph)
        if self._weights is None:
            raise ConfigError(
                f"warm_start: Expected a model with {WEIGHTS_FILE}. Received: one from before it "
                "was kept; retrain it."
            )
        return weights_from(self._weights)

    @cached_property
    def _session(self) -> OnnxSession:
        from tsad_tasks.detectors.inference.onnx_session import OnnxSession

        return OnnxSession(fitted(self._graph))

    def learner(self, budget: Budget, seed: int, *, jit: bool) -> Learner:
        """The compiled network, with the weights that a seed gives; it is the next one's of this
        architecture too.
        """
        params = json.dumps(self.params, sort_keys=True)
        sizes = self.width, self.n_channels, self.n_inputs
        kind: Any = type(self)
        learner = _learner(kind, sizes, params, budget.loss, jit)
        learner.restart(self.keras_model(seed))
        return learner

    def _use(self, graph: bytes, weights: bytes | None, trained_on: Loss) -> None:
        self._graph, self._weights, self.error = graph, weights, self.settings.error or trained_on
        self.__dict__.pop("_session", None)


@lru_cache(maxsize=N_KEPT_LEARNERS)
def _learner(
    kind: type[NeuralDetector], sizes: tuple[int, int, int], params: str, loss: Loss, jit: bool
) -> Learner:
    """The compiled network of an architecture: tracing it takes seconds, and many entities train
    the same one.
    """
    from tsad_tasks.detectors.neural.training.keras_training import compiled
    from tsad_tasks.detectors.neural.training.quiet_keras import start_keras

    start_keras().backend.clear_session()
    detector = kind(*sizes, **json.loads(params))
    return compiled(detector.keras_model(0), detector.objective(start_keras(), loss), jit=jit)
