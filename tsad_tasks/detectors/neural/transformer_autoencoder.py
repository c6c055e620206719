"""The Transformer autoencoder: every step sees all others on the way to a code and back."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tsad_tasks.detectors.neural.autoencoder import Autoencoder
from tsad_tasks.detectors.neural.network import Size
from tsad_tasks.detectors.neural.seeded_layers import dense, dense_size
from tsad_tasks.detectors.neural.self_attention import (
    TransformerSettings,
    block_size,
    blocks,
    positions,
)
from tsad_tasks.detectors.registry import register


class TransformerAutoencoderSettings(TransformerSettings):
    """Settings of `transformer_autoencoder`; there are as many blocks on each side of the code."""

    code: Size = Field(16, description="Numbers in the code.")


@register("transformer_autoencoder")
class TransformerAutoencoder(Autoencoder):
    """Transformer blocks, a code of the window, the code and its position per step, blocks again.

    Source: Vaswani et al., Attention is all you need, 2017, for the blocks.

    >>> TransformerAutoencoder(width=10, n_channels=1, n_inputs=1).n_parameters
    22865
    """

    settings_model = TransformerAutoencoderSettings
    settings: TransformerAutoencoderSettings

    @property
    def n_parameters(self) -> int:
        units, n_code = self.settings.units, self.settings.code
        ends = dense_size(self.n_inputs, units) + dense_size(units, self.n_channels)
        code = dense_size(self.width * units, n_code) + dense_size(n_code, units)
        return ends + code + 2 * self.settings.blocks * block_size(units)

    def network(self, keras: Any, windows: Any, seed: int) -> Any:
        units, n_code = self.settings.units, self.settings.code
        places = positions(self.width, units)
        steps = dense(keras, units, seed, "steps")(windows) + places
        steps, n_seeds = blocks(keras, steps, self.settings, seed + 10, "encoder")
        code = dense(keras, n_code, seed + 1, "code")(keras.layers.Flatten(name="flat")(steps))
        repeated = keras.layers.RepeatVector(self.width, name="repeat")(code)
        steps = dense(keras, units, seed + 2, "steps_again")(repeated) + places
        steps, _ = blocks(keras, steps, self.settings, seed + 10 + n_seeds, "decoder")
        return dense(keras, self.n_channels, seed + 3, "sensors")(steps)
