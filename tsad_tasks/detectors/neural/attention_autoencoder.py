"""The attention autoencoder: it says which steps of a window its code was made from."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tsad_tasks.base.arrays import Floats32
from tsad_tasks.base.lazy import np
from tsad_tasks.detectors.base import LARGEST, Loss, Objective
from tsad_tasks.detectors.neural.autoencoder import Autoencoder
from tsad_tasks.detectors.neural.network import NetworkSettings, TwoSizes
from tsad_tasks.detectors.neural.seeded_layers import dense, dense_size, lstm, lstm_size
from tsad_tasks.detectors.registry import register


class AttentionAutoencoderSettings(NetworkSettings):
    """Settings of `attention_autoencoder`."""

    units: TwoSizes = Field([64, 32], description="Width of the LSTM layers, and of the code.")


@register("attention_autoencoder")
class AttentionAutoencoder(Autoencoder):
    """An LSTM over the window, a weighted sum of its steps as the code, and an LSTM back up.

    Its second output is the weights of the steps, which add up to 1; an explanation is the error of
    each step times its weight. Source: Bahdanau, Cho and Bengio, Neural machine translation by
    jointly learning to align, 2015.

    >>> AttentionAutoencoder(width=10, n_channels=1, n_inputs=1).n_parameters
    45986
    """

    settings_model = AttentionAutoencoderSettings
    settings: AttentionAutoencoderSettings

    @property
    def n_parameters(self) -> int:
        outer, code = self.settings.units
        attention = dense_size(outer, code) + dense_size(code, 1)
        recurrent = lstm_size(self.n_inputs, outer) + lstm_size(code, outer)
        return recurrent + attention + dense_size(outer, code) + dense_size(outer, self.n_channels)

    def network(self, keras: Any, windows: Any, seed: int) -> Any:
        outer, code = self.settings.units
        seen = lstm(keras, outer, seed, "encoder", return_sequences=True)(windows)
        energy = dense(keras, code, seed + 1, "attention_inner", "tanh")(seen)
        weights = keras.ops.softmax(dense(keras, 1, seed + 2, "attention")(energy), axis=1)
        # A product of matrices: in ONNX Runtime a sum over the steps depends on the size of the
        # batch.
        summed = keras.ops.matmul(keras.ops.transpose(weights, (0, 2, 1)), seen)[:, 0]
        repeat = keras.layers.RepeatVector(self.width, name="repeat")
        repeated = repeat(dense(keras, code, seed + 3, "code")(summed))
        made = lstm(keras, outer, seed + 4, "decoder", return_sequences=True)(repeated)
        return [dense(keras, self.n_channels, seed + 5, "sensors")(made), weights[:, :, 0]]

    def objective(self, keras: Any, loss: Loss) -> Objective:
        mean_error = super().objective(keras, loss)
        return lambda outputs, *seen: mean_error(outputs[0], *seen)

    def attention(self, windows: Floats32) -> Floats32:
        """The weights (n, width) of the steps of windows (n, width, n_inputs), adding up to 1."""
        return self.outputs(windows, 1)

    def shares_of(self, windows: Floats32) -> Floats32:
        errors = super().shares_of(windows)
        with np.errstate(over="ignore"):
            weighted = errors * (self.attention(windows) * np.float32(self.width))[:, :, None]
        return np.minimum(weighted, np.float32(LARGEST))
