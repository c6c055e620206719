"""The LSTM autoencoder: two layers down to a code, the code for every step, two layers back up."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tsad_tasks.detectors.neural.autoencoder import Autoencoder
from tsad_tasks.detectors.neural.network import NetworkSettings, TwoSizes
from tsad_tasks.detectors.neural.seeded_layers import dense, dense_size, lstm, lstm_size
from tsad_tasks.detectors.registry import register


class LstmAutoencoderSettings(NetworkSettings):
    """Settings of `lstm_autoencoder`."""

    units: TwoSizes = Field(
        [64, 32], description="Outer and inner width of the encoder; the decoder mirrors it."
    )


@register("lstm_autoencoder")
class LstmAutoencoder(Autoencoder):
    """LSTM 64, LSTM 32, repeat, LSTM 32, LSTM 64, dense: 62,529 parameters at one channel.

    Source: Malhotra et al., LSTM-based encoder-decoder for multi-sensor anomaly detection, 2016.

    >>> LstmAutoencoder(width=10, n_channels=1, n_inputs=1).n_parameters
    62529
    """

    settings_model = LstmAutoencoderSettings
    settings: LstmAutoencoderSettings

    @property
    def n_parameters(self) -> int:
        outer, inner = self.settings.units
        layers = [(self.n_inputs, outer), (outer, inner), (inner, inner), (inner, outer)]
        return sum(lstm_size(*layer) for layer in layers) + dense_size(outer, self.n_channels)

    def network(self, keras: Any, windows: Any, seed: int) -> Any:
        outer, inner = self.settings.units
        seen = lstm(keras, outer, seed, "encoder_outer", return_sequences=True)(windows)
        code = lstm(keras, inner, seed + 1, "encoder_inner", return_sequences=False)(seen)
        repeated = keras.layers.RepeatVector(self.width, name="repeat")(code)
        made = lstm(keras, inner, seed + 2, "decoder_inner", return_sequences=True)(repeated)
        made = lstm(keras, outer, seed + 3, "decoder_outer", return_sequences=True)(made)
        return dense(keras, self.n_channels, seed + 4, "sensors")(made)
