"""What all neural autoencoders share: training by Keras, scoring by ONNX Runtime, and their files."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.core.windows import batches, gather
from tsad_tasks.detectors.base import (
    DETAILS_FILE,
    Budget,
    Floats,
    Loss,
    Progress,
    Reconstruction,
    TrainingHistory,
    TrainingSet,
    WindowScores,
    channel_errors,
)
from tsad_tasks.detectors.keras_training import check_finite_windows, onnx_bytes, start_keras, train
from tsad_tasks.detectors.onnx_session import BATCH_SIZE, OnnxSession
from tsad_tasks.errors import BadInput, BundleError, ConfigError

MODEL_FILE = "model.onnx"


class Autoencoder(WindowScores):
    """A network from windows (n, width, n_inputs) to their sensors (n, width, n_channels).

    A subclass says `name`, `n_parameters`, `params` (its own, JSON) and `layers`.

    Parameters
    ----------
    width : int
        Steps in a window.
    n_channels, n_inputs : int
        Sensors, and sensors plus context and derived columns.
    input_limit : float
        An input beyond this many times the training's 99.9th percentile (of absolute values, by input) is implausible:
        the network sees 0, as for a dead channel, so that one broken sensor does not drown its neighbours.
        Errors are measured on the readings as they are.
    """

    name: str

    def __init__(self, width: int, n_channels: int, n_inputs: int, input_limit: float = 2.0) -> None:
        if width < 2 or not 1 <= n_channels <= n_inputs:
            received = f"width {width}, n_channels {n_channels}, n_inputs {n_inputs}"
            raise ConfigError(f"Expected width >= 2 and 1 <= n_channels <= n_inputs. Received: {received}.")
        if not (isinstance(input_limit, int | float) and input_limit > 0):
            raise ConfigError(f"detector.params.input_limit: Expected a number above 0. Received: {input_limit}.")
        self.width, self.n_channels, self.n_inputs, self.input_limit = width, n_channels, n_inputs, input_limit
        self.error: Loss = "mse"
        self.limits = np.full(n_inputs, np.inf, dtype=np.float32)
        self._graph: bytes | None = None

    @property
    @abstractmethod
    def n_parameters(self) -> int:
        """Trainable numbers."""

    @property
    @abstractmethod
    def params(self) -> dict[str, Any]:
        """Own parameters, JSON."""

    @abstractmethod
    def layers(self, keras: Any, seed: int) -> list[Any]:
        """Keras layers between the input and the sensors."""

    def keras_model(self, seed: int) -> Any:
        """The network with the weights that a seed gives."""
        keras = start_keras()
        return keras.Sequential([keras.Input((self.width, self.n_inputs)), *self.layers(keras, seed)])

    def fit(
        self, training: TrainingSet, *, budget: Budget, seed: int, progress: Progress | None = None
    ) -> TrainingHistory:
        self._check(training)
        model, limits = self.keras_model(seed), self._limits(training)
        plausible = replace(training, inputs=_plausible(training.inputs, limits))
        history = train(model, plausible, budget=budget, seed=seed, progress=progress)
        self._use(onnx_bytes(model), budget.loss, limits)
        start_keras().backend.clear_session()
        return history

    def reconstruct(self, inputs: Floats, ends: NDArray[np.int64]) -> Reconstruction:
        parts = [self._reconstruct(gather(inputs, ends[part], self.width)) for part in batches(len(ends), BATCH_SIZE)]
        if not parts:
            return Reconstruction(*(np.empty((0, self.n_channels), dtype=np.float32) for _ in range(2)))
        return Reconstruction(
            np.concatenate([part.channel_errors for part in parts]), np.concatenate([part.expected for part in parts])
        )

    def to_files(self) -> dict[str, bytes]:
        details = {"name": self.name, "width": self.width, "n_channels": self.n_channels, "n_inputs": self.n_inputs}
        details |= {"params": self.params | {"input_limit": self.input_limit}, "error": self.error}
        details |= {"limits": self.limits.tolist()}
        return {MODEL_FILE: self._fitted(), DETAILS_FILE: json.dumps(details, sort_keys=True, indent=2).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        missing = sorted({MODEL_FILE, DETAILS_FILE} - set(files))
        if missing:
            raise BundleError(f"Expected {MODEL_FILE} and {DETAILS_FILE}. Missing: {', '.join(missing)}.")
        details = json.loads(files[DETAILS_FILE])
        sizes = {key: details[key] for key in ("width", "n_channels", "n_inputs")}
        detector = cls(**sizes, **details["params"])
        detector._use(files[MODEL_FILE], details["error"], np.array(details["limits"], dtype=np.float32))
        return detector

    @cached_property
    def _session(self) -> OnnxSession:
        return OnnxSession(self._fitted())

    def _fitted(self) -> bytes:
        if self._graph is None:
            raise BadInput("Expected a fitted detector. Received: one that has not learned; call fit or load.")
        return self._graph

    def _use(self, graph: bytes, error: Loss, limits: Floats) -> None:
        self._graph, self.error, self.limits = graph, error, limits
        self.__dict__.pop("_session", None)

    def _reconstruct(self, windows: Floats) -> Reconstruction:
        # A recurrent network in ONNX turns NaN into an ordinary number: it sees 0, and the errors bring NaN back.
        made = self._session.run(_plausible(windows, self.limits))
        errors = channel_errors(windows[:, :, : self.n_channels], made, self.error)
        return Reconstruction(errors, np.where(np.isnan(errors), np.float32(np.nan), made[:, -1]))

    def _limits(self, training: TrainingSet) -> Floats:
        usual = np.quantile(np.abs(training.inputs[training.ends]), 0.999, axis=0)
        return np.maximum(usual * self.input_limit, 1.0).astype(np.float32)

    def _check(self, training: TrainingSet) -> None:
        check_finite_windows(training)
        expected = (self.width, self.n_channels, self.n_inputs)
        received = (training.width, training.n_channels, training.inputs.shape[1])
        if expected != received:
            raise BadInput(f"Expected width, n_channels, n_inputs {expected}. Received: {received}.")


def _plausible(inputs: Floats, limits: Floats) -> Floats:
    """Inputs with 0 in place of what is not finite or beyond the limits."""
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(inputs) <= limits, inputs, np.float32(0))
