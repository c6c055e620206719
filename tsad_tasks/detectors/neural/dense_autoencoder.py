"""The dense autoencoder: a window as one row of numbers, through narrower layers and back."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from pydantic import Field

from tsad_tasks.detectors.neural.autoencoder import Autoencoder
from tsad_tasks.detectors.neural.network import NetworkSettings, Sizes
from tsad_tasks.detectors.neural.seeded_layers import dense, dense_size
from tsad_tasks.detectors.registry import register


class DenseAutoencoderSettings(NetworkSettings):
    """Settings of `dense_autoencoder`."""

    units: Sizes = Field(
        [64, 16],
        description="Widths of the encoder's layers, the code last; the decoder mirrors them.",
    )


@register("dense_autoencoder")
class DenseAutoencoder(Autoencoder):
    """Dense layers with ReLU down to a code, and mirrored layers back up.

    Source: Hinton and Salakhutdinov, Reducing the dimensionality of data with neural networks,
    2006.

    >>> DenseAutoencoder(width=10, n_channels=1, n_inputs=1).n_parameters
    3482
    """

    settings_model = DenseAutoencoderSettings
    settings: DenseAutoencoderSettings

    @property
    def n_parameters(self) -> int:
        n_seen, n_made = self.width * self.n_inputs, self.width * self.n_channels
        widths = [n_seen, *self._hidden, n_made]
        return sum(dense_size(*layer) for layer in pairwise(widths))

    @property
    def _hidden(self) -> list[int]:
        units = self.settings.units
        return [*units, *units[-2::-1]]

    def network(self, keras: Any, windows: Any, seed: int) -> Any:
        made, n_made = keras.layers.Flatten(name="flat")(windows), self.width * self.n_channels
        for place, units in enumerate(self._hidden):
            made = dense(keras, units, seed + place, f"dense_{place}", "relu")(made)
        made = dense(keras, n_made, seed + 2 * len(self.settings.units), "sensors")(made)
        return keras.layers.Reshape((self.width, self.n_channels), name="windows_made")(made)
