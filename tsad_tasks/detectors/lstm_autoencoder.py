"""The LSTM autoencoder: two LSTM layers down to a code, the code repeated for every step, two LSTM layers back up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tsad_tasks.detectors.autoencoder import Autoencoder
from tsad_tasks.errors import ConfigError


class LstmAutoencoder(Autoencoder):
    """LSTM 64, LSTM 32, repeat, LSTM 32, LSTM 64, dense: 62,529 parameters at one channel.

    Source: Malhotra et al., LSTM-based encoder-decoder for multi-sensor anomaly detection, 2016.

    Parameters
    ----------
    units : (int, int)
        Outer and inner width of the encoder; the decoder mirrors it.

    >>> LstmAutoencoder(width=10, n_channels=1, n_inputs=1).n_parameters
    62529
    """

    name = "lstm_autoencoder"

    def __init__(
        self,
        width: int,
        n_channels: int,
        n_inputs: int,
        units: Sequence[int] = (64, 32),
        input_limit: float = 2.0,
    ) -> None:
        super().__init__(width, n_channels, n_inputs, input_limit)
        self.units = _two_sizes(units)

    @property
    def params(self) -> dict[str, Any]:
        return {"units": list(self.units)}

    @property
    def n_parameters(self) -> int:
        outer, inner = self.units
        sizes = [(self.n_inputs, outer), (outer, inner), (inner, inner), (inner, outer)]
        return sum(4 * (seen + size + 1) * size for seen, size in sizes) + (outer + 1) * self.n_channels

    def layers(self, keras: Any, seed: int) -> list[Any]:
        outer, inner = self.units
        return [
            _lstm(keras, outer, seed, return_sequences=True),
            _lstm(keras, inner, seed + 1, return_sequences=False),
            keras.layers.RepeatVector(self.width),
            _lstm(keras, inner, seed + 2, return_sequences=True),
            _lstm(keras, outer, seed + 3, return_sequences=True),
            keras.layers.TimeDistributed(
                keras.layers.Dense(self.n_channels, kernel_initializer=keras.initializers.GlorotUniform(seed + 4))
            ),
        ]


def _two_sizes(units: Any) -> tuple[int, int]:
    match units:
        case (int() as outer, int() as inner) if min(outer, inner) > 0:
            return outer, inner
    raise ConfigError(f"detector.params.units: Expected two whole numbers above 0. Received: {units}.")


def _lstm(keras: Any, units: int, seed: int, *, return_sequences: bool) -> Any:
    return keras.layers.LSTM(
        units,
        return_sequences=return_sequences,
        kernel_initializer=keras.initializers.GlorotUniform(seed),
        recurrent_initializer=keras.initializers.Orthogonal(seed=seed),
        use_cudnn=False,  # XLA cannot compile the fused kernel, and compiled is faster.
    )
