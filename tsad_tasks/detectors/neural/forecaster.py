"""The forecaster: it predicts the last steps of a window from those before, without labels."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tsad_tasks.base.errors import ConfigError
from tsad_tasks.detectors.neural.autoencoder import Autoencoder
from tsad_tasks.detectors.neural.network import NetworkSettings, Size
from tsad_tasks.detectors.neural.seeded_layers import dense, dense_size, lstm, lstm_size
from tsad_tasks.detectors.registry import register


class ForecasterSettings(NetworkSettings):
    """Settings of `forecaster`."""

    units: Size = Field(64, description="Width of the LSTM.")
    horizon: Size | None = Field(
        None,
        examples=[2],
        description="How many last steps are predicted; null takes a fifth of the window.",
    )


@register("forecaster")
class Forecaster(Autoencoder):
    """An LSTM over the first steps of a window, a dense layer to the last ones, which have errors.

    Source: Hundman et al., Detecting spacecraft anomalies using LSTMs and nonparametric dynamic
    thresholding, 2018.

    >>> Forecaster(width=10, n_channels=1, n_inputs=1).n_parameters
    17026
    """

    settings_model = ForecasterSettings
    settings: ForecasterSettings

    def __init__(self, width: int, n_channels: int, n_inputs: int, **params: Any) -> None:
        super().__init__(width, n_channels, n_inputs, **params)
        self.horizon = self.settings.horizon or max(1, width // 5)
        if self.horizon >= width:
            expected = f"Expected fewer steps than the window has ({width})."
            raise ConfigError(f"detector.params.horizon: {expected} Received: {self.horizon}.")

    @property
    def params(self) -> dict[str, Any]:
        return super().params | {"horizon": self.horizon}

    @property
    def n_parameters(self) -> int:
        units, n_made = self.settings.units, self.horizon * self.n_channels
        return lstm_size(self.n_inputs, units) + dense_size(units, n_made)

    def network(self, keras: Any, windows: Any, seed: int) -> Any:
        past = lstm(keras, self.settings.units, seed, "past", return_sequences=False)
        seen = past(windows[:, : -self.horizon])
        made = dense(keras, self.horizon * self.n_channels, seed + 1, "sensors")(seen)
        return keras.layers.Reshape((self.horizon, self.n_channels), name="future")(made)
