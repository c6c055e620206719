"""The dense autoencoder: a window as one row of numbers, through narrower layers to a code and
back.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tsad_tasks.detectors.base import Loss
from tsad_tasks.detectors.neural.autoencoder import Autoencoder
from tsad_tasks.detectors.neural.seeded_layers import dense, dense_size
from tsad_tasks.detectors.parameters import sizes


class DenseAutoencoder(Autoencoder):
    """Dense layers with ReLU down to a code, and mirrored layers back up.

    Source: Hinton and Salakhutdinov, Reducing the dimensionality of data with neural networks,
    2006.

    Parameters
    ----------
    units : (int, ...)
        Widths of the encoder's layers, the code last; the decoder mirrors them.

    >>> DenseAutoencoder(width=10, n_channels=1, n_inputs=1).n_parameters
    3482
    """

    name = "dense_autoencoder"

    def __init__(
        self,
        width: int,
        n_channels: int,
        n_inputs: int,
        units: Sequence[int] = (64, 16),
        input_limit: float = 2.0,
        error: Loss | None = None,
    ) -> None:
        super().__init__(width, n_channels, n_inputs, input_limit, error)
        self.units = sizes("units", units)

    @property
    def params(self) -> dict[str, Any]:
        return {"units": list(self.units)}

    @property
    def n_parameters(self) -> int:
        widths = [
            self.width * self.n_inputs,
            *self.units,
            *self.units[-2::-1],
            self.width * self.n_channels,
        ]
        return sum(dense_size(*layer) for layer in pairwise(widths))

    def network(self, keras: Any, windows: Any, seed: int) -> Any:
        made = keras.layers.Flatten(name="flat")(windows)
        for place, units in enumerate([*self.units, *self.units[-2::-1]]):
            made = dense(keras, units, seed + place, f"dense_{place}", "relu")(made)
        made = dense(keras, self.width * self.n_channels, seed + 2 * len(self.units), "sensors")(
            made
        )
        return keras.layers.Reshape((self.width, self.n_channels), name="windows_made")(made)
