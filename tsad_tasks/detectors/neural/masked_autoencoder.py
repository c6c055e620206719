"""The masked autoencoder: it fills in stretches of a window that it does not see."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tsad_tasks.base.arrays import Floats32
from tsad_tasks.base.lazy import np
from tsad_tasks.detectors.neural.autoencoder import Autoencoder
from tsad_tasks.detectors.neural.seeded_layers import dense, dense_size
from tsad_tasks.detectors.neural.self_attention import (
    TransformerSettings,
    block_size,
    blocks,
    positions,
)
from tsad_tasks.detectors.registry import register


class MaskedAutoencoderSettings(TransformerSettings):
    """Settings of `masked_autoencoder`."""

    stretches: int = Field(
        4,
        ge=2,
        description="In how many stretches of steps a window is hidden, at most the window's "
        "width.",
    )


@register("masked_autoencoder")
class MaskedAutoencoder(Autoencoder):
    """Transformer blocks over a window of which one stretch after the other is hidden.

    A window is seen once per stretch; what the network makes of a step is what it makes where the
    step is hidden. So there is nothing to copy, and no bottleneck. Training and scoring hide the
    same stretches: nothing is random. Source: Zerveas et al., A Transformer-based framework for
    multivariate time series representation learning, 2021.

    >>> MaskedAutoencoder(width=10, n_channels=1, n_inputs=1).n_parameters
    8673
    """

    settings_model = MaskedAutoencoderSettings
    settings: MaskedAutoencoderSettings

    @property
    def n_parameters(self) -> int:
        units = self.settings.units
        ends = dense_size(self.n_inputs + 1, units) + dense_size(units, self.n_channels)
        return ends + self.settings.blocks * block_size(units)

    def network(self, keras: Any, windows: Any, seed: int) -> Any:
        ops, units = keras.ops, self.settings.units
        hidden = hidden_steps(self.width, self.settings.stretches)
        copies = ops.repeat(ops.expand_dims(windows, 1), len(hidden), axis=1)
        is_hidden = ops.zeros_like(copies[:, :, :, :1]) + hidden
        seen = ops.concatenate([copies * (1 - hidden), is_hidden], axis=-1)
        seen = ops.reshape(seen, (-1, self.width, self.n_inputs + 1))
        steps = dense(keras, units, seed, "steps")(seen) + positions(self.width, units)
        steps, _ = blocks(keras, steps, self.settings, seed + 10, "block")
        made = dense(keras, self.n_channels, seed + 1, "sensors")(steps)
        made = ops.reshape(made, (-1, len(hidden), self.width, self.n_channels))
        stretch_of = hidden[:, :, 0].argmax(axis=0).tolist()
        parts = [made[:, stretch, step] for step, stretch in enumerate(stretch_of)]
        return ops.stack(parts, axis=1)


def hidden_steps(width: int, n_stretches: int) -> Floats32:
    """1 where a step is hidden, (n_stretches, width, 1): in one stretch of about equal ones.

    >>> hidden_steps(3, 2)[:, :, 0].tolist()
    [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    n_masks = min(n_stretches, width)
    of_step = np.arange(width) * n_masks // width
    return np.asarray(of_step == np.arange(n_masks)[:, None], dtype=np.float32)[:, :, None]
