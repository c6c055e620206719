"""What all neural autoencoders share: training by Keras, scoring by ONNX Runtime, and their files."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
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
from tsad_tasks.detectors.keras_training import onnx_bytes, start_keras, train
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
        The network sees inputs cut to this many scaled units, so that one broken sensor does not drown its
        neighbours; errors are measured on the uncut readings.
    """

    name: str

    def __init__(self, width: int, n_channels: int, n_inputs: int, input_limit: float = 10.0) -> None:
        if width < 2 or not 1 <= n_channels <= n_inputs:
            received = f"width {width}, n_channels {n_channels}, n_inputs {n_inputs}"
            raise ConfigError(f"Expected width >= 2 and 1 <= n_channels <= n_inputs. Received: {received}.")
        if not input_limit > 0:
            raise ConfigError(f"detector.params.input_limit: Expected a number above 0. Received: {input_limit}.")
        self.width, self.n_channels, self.n_inputs, self.input_limit = width, n_channels, n_inputs, input_limit
        self.error: Loss = "mse"
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
        model = self.keras_model(seed)
        history = train(model, self._limited(training), budget=budget, seed=seed, progress=progress)
        self._use(onnx_bytes(model), budget.loss)
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
        return {MODEL_FILE: self._fitted(), DETAILS_FILE: json.dumps(details, sort_keys=True, indent=2).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        missing = sorted({MODEL_FILE, DETAILS_FILE} - set(files))
        if missing:
            raise BundleError(f"Expected {MODEL_FILE} and {DETAILS_FILE}. Missing: {', '.join(missing)}.")
        details = json.loads(files[DETAILS_FILE])
        sizes = {key: details[key] for key in ("width", "n_channels", "n_inputs")}
        detector = cls(**sizes, **details["params"])
        detector._use(files[MODEL_FILE], details["error"])
        return detector

    @cached_property
    def _session(self) -> OnnxSession:
        return OnnxSession(self._fitted())

    def _fitted(self) -> bytes:
        if self._graph is None:
            raise BadInput("Expected a fitted detector. Received: one that has not learned; call fit or load.")
        return self._graph

    def _use(self, graph: bytes, error: Loss) -> None:
        self._graph, self.error = graph, error
        self.__dict__.pop("_session", None)

    def _reconstruct(self, windows: Floats) -> Reconstruction:
        # A recurrent network in ONNX turns NaN into an ordinary number: it sees 0, and the errors below bring NaN back.
        known = np.where(np.isfinite(windows), windows, np.float32(0))
        made = self._session.run(np.clip(known, -self.input_limit, self.input_limit, dtype=np.float32))
        errors = channel_errors(windows[:, :, : self.n_channels], made, self.error)
        return Reconstruction(errors, np.where(np.isnan(errors), np.float32(np.nan), made[:, -1]))

    def _limited(self, training: TrainingSet) -> TrainingSet:
        inputs = np.clip(training.inputs, -self.input_limit, self.input_limit)
        return TrainingSet(inputs, training.ends, training.validation_ends, training.n_channels, training.width)

    def _check(self, training: TrainingSet) -> None:
        expected = (self.width, self.n_channels, self.n_inputs)
        received = (training.width, training.n_channels, training.inputs.shape[1])
        if expected != received:
            raise BadInput(f"Expected width, n_channels, n_inputs {expected}. Received: {received}.")
