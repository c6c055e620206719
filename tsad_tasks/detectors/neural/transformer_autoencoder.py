"""The Transformer autoencoder: every step sees all others on the way to one code, and on the way
back.
"""

from __future__ import annotations

from typing import Any

from tsad_tasks.base.errors import ConfigError
from tsad_tasks.detectors.base import Loss
from tsad_tasks.detectors.neural import self_attention
from tsad_tasks.detectors.neural.autoencoder import Autoencoder
from tsad_tasks.detectors.neural.seeded_layers import dense, dense_size
from tsad_tasks.detectors.parameters import whole_number


class TransformerAutoencoder(Autoencoder):
    """Transformer blocks, a code of the whole window, the code for every step with its position,
    and blocks again.

    Source: Vaswani et al., Attention is all you need, 2017, for the blocks.

    Parameters
    ----------
    units : int
        Numbers for each step inside; a multiple of `heads`.
    heads, blocks : int
        Heads of a block, and blocks on each side of the code.
    code : int
        Numbers in the code.

    >>> TransformerAutoencoder(width=10, n_channels=1, n_inputs=1).n_parameters
    22865
    """

    name = "transformer_autoencoder"

    def __init__(
        self,
        width: int,
        n_channels: int,
        n_inputs: int,
        units: int = 32,
        heads: int = 4,
        blocks: int = 1,
        code: int = 16,
        input_limit: float = 2.0,
        error: Loss | None = None,
    ) -> None:
        super().__init__(width, n_channels, n_inputs, input_limit, error)
        self.units, self.heads = multiple_of_heads(units, heads)
        self.blocks, self.code = whole_number("blocks", blocks), whole_number("code", code)

    @property
    def params(self) -> dict[str, Any]:
        return {"units": self.units, "heads": self.heads, "blocks": self.blocks, "code": self.code}

    @property
    def n_parameters(self) -> int:
        ends = dense_size(self.n_inputs, self.units) + dense_size(self.units, self.n_channels)
        code = dense_size(self.width * self.units, self.code) + dense_size(self.code, self.units)
        return ends + code + 2 * self.blocks * self_attention.block_size(self.units)

    def network(self, keras: Any, windows: Any, seed: int) -> Any:
        places = self_attention.positions(self.width, self.units)
        steps = dense(keras, self.units, seed, "steps")(windows) + places
        steps = self._blocks(keras, steps, seed + 10, "encoder")
        code = dense(keras, self.code, seed + 1, "code")(keras.layers.Flatten(name="flat")(steps))
        repeated = keras.layers.RepeatVector(self.width, name="repeat")(code)
        steps = dense(keras, self.units, seed + 2, "steps_again")(repeated) + places
        steps = self._blocks(
            keras, steps, seed + 10 + self.blocks * self_attention.N_SEEDS, "decoder"
        )
        return dense(keras, self.n_channels, seed + 3, "sensors")(steps)

    def _blocks(self, keras: Any, steps: Any, seed: int, name: str) -> Any:
        for place in range(self.blocks):
            first = seed + place * self_attention.N_SEEDS
            steps = self_attention.block(keras, steps, self.heads, first, f"{name}_{place}")
        return steps


def multiple_of_heads(units: Any, heads: Any) -> tuple[int, int]:
    """Both numbers, where the first is a multiple of the second.

    >>> multiple_of_heads(32, 4)
    (32, 4)
    """
    n_units, n_heads = whole_number("units", units), whole_number("heads", heads)
    if n_units % n_heads:
        raise ConfigError(
            f"detector.params.units: Expected a multiple of heads ({heads}). Received: {units}."
        )
    return n_units, n_heads
