"""What all autoencoders share: a window's error is the difference between it and what the network
makes of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.detectors.base import Floats, Loss, Reconstruction, channel_errors, step_errors
from tsad_tasks.detectors.neural.keras_training import Objective
from tsad_tasks.detectors.neural.network import NeuralDetector
from tsad_tasks.detectors.onnx_session import BATCH_SIZE
from tsad_tasks.model.windows import batches, gather


class Autoencoder(NeuralDetector):
    """A network from windows (n, width, n_inputs) to their sensors (n, width, n_channels).

    A network may make the last steps of a window alone; then only those count.
    """

    def objective(self, keras: Any, loss: Loss) -> Objective:
        error_of = keras.losses.get(loss)

        def mean_error(made: Any, windows: Any, labels: Any) -> Any:
            sensors = windows[:, -made.shape[1] :, : self.n_channels]
            return keras.ops.mean(error_of(sensors, made))

        return mean_error

    def reconstruct(self, inputs: Floats, ends: NDArray[np.int64]) -> Reconstruction:
        parts = [
            self.of_windows(gather(inputs, ends[part], self.width))
            for part in batches(len(ends), BATCH_SIZE)
        ]
        if not parts:
            return Reconstruction(
                *(np.empty((0, self.n_channels), dtype=np.float32) for _ in range(2))
            )
        return Reconstruction(
            np.concatenate([part.channel_errors for part in parts]),
            np.concatenate([part.expected for part in parts]),
        )

    def explain(self, inputs: Floats, ends: NDArray[np.int64]) -> Floats:
        parts = [
            self.shares_of(gather(inputs, ends[part], self.width))
            for part in batches(len(ends), BATCH_SIZE)
        ]
        return np.concatenate(
            [np.empty((0, self.width, self.n_channels), dtype=np.float32), *parts]
        )

    def of_windows(self, windows: Floats) -> Reconstruction:
        """Errors and expected values of windows (n, width, n_inputs) as they are."""
        differences, expected = self.differences(windows)
        errors = channel_errors(differences, np.zeros_like(differences), self.error)
        errors[~_live(windows[:, :, : self.n_channels])] = np.nan
        return Reconstruction(errors, np.where(np.isnan(errors), np.float32(np.nan), expected))

    def shares_of(self, windows: Floats) -> Floats:
        """What each step and channel added, (n, width, n_channels)."""
        return step_shares(
            windows[:, :, : self.n_channels], self.differences(windows)[0], self.error
        )

    def differences(self, windows: Floats) -> tuple[Floats, Floats]:
        """What is left of the last steps, (n, n_last_steps, n_channels), and the last step as
        expected.
        """
        made = self.outputs(windows)
        sensors = windows[:, -made.shape[1] :, : self.n_channels]
        with np.errstate(over="ignore", invalid="ignore"):
            return sensors - made, made[:, -1]


def step_shares(sensors: Floats, differences: Floats, kind: Loss) -> Floats:
    """Errors of steps, 0 where the network makes nothing and in channels that hold a non-finite
    value.

    Parameters
    ----------
    sensors : (n, width, n_channels)
    differences : (n, n_last_steps, n_channels)

    >>> sensors = np.array([[[1.0, 2.0], [3.0, np.nan]]], dtype=np.float32)
    >>> step_shares(sensors, sensors, "mse").tolist()
    [[[1.0, 0.0], [9.0, 0.0]]]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        errors = np.minimum(step_errors(differences, kind), np.finfo(np.float32).max)
    found = np.zeros(sensors.shape, dtype=np.float32)
    found[:, -differences.shape[1] :] = np.where(_live(sensors)[:, None], errors, np.float32(0))
    return found


def _live(sensors: Floats) -> NDArray[np.bool_]:
    """Which channels (n, n_channels) of windows hold finite values only."""
    return np.asarray(np.isfinite(sensors).all(axis=1))
