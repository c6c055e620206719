"""What autoencoders share: an error is the difference from what the network makes of a window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tsad_tasks.base.arrays import Flags, Floats32, Ints
from tsad_tasks.base.lazy import np
from tsad_tasks.detectors.base import (
    LARGEST,
    Loss,
    Objective,
    Reconstruction,
    channel_errors,
    step_errors,
)
from tsad_tasks.detectors.neural.network import NeuralDetector


class Autoencoder(NeuralDetector):
    """A network from windows (n, width, n_inputs) to their sensors (n, width, n_channels).

    A network may make the last steps of a window alone; then only those count.
    """

    @property
    def noise_power(self) -> int:
        return 1 if self.error == "mae" else 2

    def objective(self, keras: Any, loss: Loss) -> Objective:
        error_of = keras.losses.get(loss)

        def mean_error(made: Any, windows: Any, labels: Any, fitted: Any) -> Any:
            sensors = windows[:, -made.shape[1] :, : self.n_channels]
            if fitted is None:
                return keras.ops.mean(error_of(sensors, made))
            # Of each value: these losses are means over the last axis.
            errors = error_of(sensors[..., None], made[..., None])
            return mean_of_fitted(keras.ops, errors, fitted)

        return mean_error

    def reconstruct(self, inputs: Floats32, ends: Ints) -> Reconstruction:
        found = self._by_batch(self.of_windows, inputs, ends)
        nothing = np.empty((0, self.n_channels), dtype=np.float32)
        errors, expected = (
            np.concatenate([nothing, *(getattr(part, name) for part in found)])
            for name in ("channel_errors", "expected")
        )
        return Reconstruction(errors, expected)

    def explain(self, inputs: Floats32, ends: Ints) -> Floats32:
        nothing = np.empty((0, self.width, self.n_channels), dtype=np.float32)
        return np.concatenate([nothing, *self._by_batch(self.shares_of, inputs, ends)])

    def _by_batch(
        self, compute: Callable[[Floats32], Any], inputs: Floats32, ends: Ints
    ) -> list[Any]:
        """What is computed of the windows that end at `ends`, batch by batch."""
        from tsad_tasks.detectors.inference.onnx_session import BATCH_SIZE
        from tsad_tasks.model.windows import batches, gather

        parts = batches(len(ends), BATCH_SIZE)
        return [compute(gather(inputs, ends[part], self.width)) for part in parts]

    def of_windows(self, windows: Floats32) -> Reconstruction:
        """Errors and expected values of windows (n, width, n_inputs) as they are."""
        differences, expected = self.differences(windows)
        errors = channel_errors(differences, np.zeros_like(differences), self.error)
        errors[~_live(windows[:, :, : self.n_channels])] = np.nan
        return Reconstruction(errors, np.where(np.isnan(errors), np.float32(np.nan), expected))

    def shares_of(self, windows: Floats32) -> Floats32:
        """What each step and channel added, (n, width, n_channels)."""
        sensors = windows[:, :, : self.n_channels]
        return step_shares(sensors, self.differences(windows)[0], self.error)

    def differences(self, windows: Floats32) -> tuple[Floats32, Floats32]:
        """What is left of the last steps, (n, n_last_steps, n_channels), and the last expected."""
        made = self.outputs(windows)
        sensors = windows[:, -made.shape[1] :, : self.n_channels]
        with np.errstate(over="ignore", invalid="ignore"):
            return sensors - made, made[:, -1]


def mean_of_fitted(ops: Any, parts: Any, fitted: Any) -> Any:
    """The mean of tensors (n, n_steps, n_channels) over the channels that each window's entity has.

    `fitted` (n, n_inputs) is 1 for these channels, which come first, and 0 for others.
    """
    weights = ops.broadcast_to(fitted[:, None, : parts.shape[-1]], ops.shape(parts))
    return ops.sum(parts * weights) / ops.sum(weights)


def step_shares(sensors: Floats32, differences: Floats32, kind: Loss) -> Floats32:
    """Errors of steps, (n, width, n_channels); 0 in dead channels and where nothing is made.

    `differences` are of the last steps, (n, n_last_steps, n_channels).

    >>> sensors = np.array([[[1.0, 2.0], [3.0, np.nan]]], dtype=np.float32)
    >>> step_shares(sensors, sensors, "mse").tolist()
    [[[1.0, 0.0], [9.0, 0.0]]]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        errors = np.minimum(step_errors(differences, kind), np.float32(LARGEST))
    found = np.zeros(sensors.shape, dtype=np.float32)
    found[:, -differences.shape[1] :] = np.where(_live(sensors)[:, None], errors, np.float32(0))
    return found


def _live(sensors: Floats32) -> Flags:
    """Which channels (n, n_channels) of windows hold finite values only."""
    return np.asarray(np.isfinite(sensors).all(axis=1))
