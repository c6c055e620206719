"""The masked autoencoder: it fills in stretches of a window that it does not see, and so learns
without any label.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.detectors.base import Loss
from tsad_tasks.detectors.neural import self_attention
from tsad_tasks.detectors.neural.autoencoder import Autoencoder
from tsad_tasks.detectors.neural.seeded_layers import dense, dense_size
from tsad_tasks.detectors.neural.transformer_autoencoder import multiple_of_heads
from tsad_tasks.detectors.parameters import whole_number


class MaskedAutoencoder(Autoencoder):
    """Transformer blocks over a window of which one stretch after the other is hidden.

    A window is seen once per stretch; what the network makes of a step is what it makes where the
    step is hidden. So there is nothing to copy, and no bottleneck. Training and scoring hide the
    same stretches: nothing is random. Source: Zerveas et al., A Transformer-based framework for
    multivariate time series representation learning, 2021.

    Parameters
    ----------
    units : int
        Numbers for each step inside; a multiple of `heads`.
    heads, blocks : int
        Heads of a block, and blocks.
    stretches : int
        In how many stretches of steps a window is hidden, at most the window's width.

    >>> MaskedAutoencoder(width=10, n_channels=1, n_inputs=1).n_parameters
    8673
    """

    name = "masked_autoencoder"

    def __init__(
        self,
        width: int,
        n_channels: int,
        n_inputs: int,
        units: int = 32,
        heads: int = 4,
        blocks: int = 1,
        stretches: int = 4,
        input_limit: float = 2.0,
        error: Loss | None = None,
    ) -> None:
        super().__init__(width, n_channels, n_inputs, input_limit, error)
        self.units, self.heads = multiple_of_heads(units, heads)
        self.blocks, self.stretches = (
            whole_number("blocks", blocks),
            whole_number("stretches", stretches, least=2),
        )

    @property
    def params(self) -> dict[str, Any]:
        return {
            "units": self.units,
            "heads": self.heads,
            "blocks": self.blocks,
            "stretches": self.stretches,
        }

    @property
    def n_parameters(self) -> int:
        ends = dense_size(self.n_inputs + 1, self.units) + dense_size(self.units, self.n_channels)
        return ends + self.blocks * self_attention.block_size(self.units)

    def network(self, keras: Any, windows: Any, seed: int) -> Any:
        ops, hidden = keras.ops, hidden_steps(self.width, self.stretches)
        copies = ops.repeat(ops.expand_dims(windows, 1), len(hidden), axis=1)
        seen = ops.concatenate(
            [copies * (1 - hidden), ops.zeros_like(copies[:, :, :, :1]) + hidden], axis=-1
        )
        seen = ops.reshape(seen, (-1, self.width, self.n_inputs + 1))
        steps = dense(keras, self.units, seed, "steps")(seen) + self_attention.positions(
            self.width, self.units
        )
        for place in range(self.blocks):
            first = seed + 10 + place * self_attention.N_SEEDS
            steps = self_attention.block(keras, steps, self.heads, first, f"block_{place}")
        made = dense(keras, self.n_channels, seed + 1, "sensors")(steps)
        made = ops.reshape(made, (-1, len(hidden), self.width, self.n_channels))
        stretch_of = hidden[:, :, 0].argmax(axis=0)
        return ops.stack(
            [made[:, stretch, step] for step, stretch in enumerate(stretch_of.tolist())], axis=1
        )


def hidden_steps(width: int, n_stretches: int) -> NDArray[np.float32]:
    """1 where a step is hidden, (n_stretches, width, 1): each step in one of the stretches, which
    are about as long.

    >>> hidden_steps(3, 2)[:, :, 0].tolist()
    [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    n_masks = min(n_stretches, width)
    of_step = np.arange(width) * n_masks // width
    return np.asarray(of_step == np.arange(n_masks)[:, None], dtype=np.float32)[:, :, None]
