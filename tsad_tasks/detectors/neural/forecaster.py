"""The forecaster: it predicts the last steps of a window from those before, and so learns without
any label.
"""

from __future__ import annotations

from typing import Any

from tsad_tasks.detectors.base import Loss
from tsad_tasks.detectors.neural.autoencoder import Autoencoder
from tsad_tasks.detectors.neural.seeded_layers import dense, dense_size, lstm, lstm_size
from tsad_tasks.detectors.parameters import whole_number


class Forecaster(Autoencoder):
    """An LSTM over the first steps of a window, and a dense layer to the last ones; only those have
    errors.

    Source: Hundman et al., Detecting spacecraft anomalies using LSTMs and nonparametric dynamic
    thresholding, 2018.

    Parameters
    ----------
    units : int
        Width of the LSTM.
    horizon : int, optional
        How many last steps are predicted; a fifth of the window by default.

    >>> Forecaster(width=10, n_channels=1, n_inputs=1).n_parameters
    17026
    """

    name = "forecaster"

    def __init__(
        self,
        width: int,
        n_channels: int,
        n_inputs: int,
        units: int = 64,
        horizon: int | None = None,
        input_limit: float = 2.0,
        error: Loss | None = None,
    ) -> None:
        super().__init__(width, n_channels, n_inputs, input_limit, error)
        self.units = whole_number("units", units)
        self.horizon = (
            max(1, width // 5)
            if horizon is None
            else whole_number("horizon", horizon, most=width - 1)
        )

    @property
    def params(self) -> dict[str, Any]:
        return {"units": self.units, "horizon": self.horizon}

    @property
    def n_parameters(self) -> int:
        return lstm_size(self.n_inputs, self.units) + dense_size(
            self.units, self.horizon * self.n_channels
        )

    def network(self, keras: Any, windows: Any, seed: int) -> Any:
        known = windows[:, : -self.horizon]
        seen = lstm(keras, self.units, seed, "past", return_sequences=False)(known)
        made = dense(keras, self.horizon * self.n_channels, seed + 1, "sensors")(seen)
        return keras.layers.Reshape((self.horizon, self.n_channels), name="future")(made)
