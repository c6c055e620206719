"""Transformer blocks, with layers that have names and seeds of their own.

Source: Vaswani et al., Attention is all you need, 2017.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from tsad_tasks.base.arrays import Floats32
from tsad_tasks.base.lazy import np
from tsad_tasks.base.settings import wrong
from tsad_tasks.detectors.neural.network import NetworkSettings, Size
from tsad_tasks.detectors.neural.seeded_layers import dense, dense_size

N_SEEDS = 6
WIDENING = 2


class TransformerSettings(NetworkSettings):
    """What networks of Transformer blocks have in common."""

    units: Size = Field(32, description="Numbers for each step inside; a multiple of heads.")
    heads: Size = Field(4, description="Heads of a block.")
    blocks: Size = Field(1, description="Blocks, one after the other.")

    @model_validator(mode="after")
    def _units_for_all_heads(self) -> TransformerSettings:
        if self.units % self.heads:
            raise wrong(f"a multiple of heads ({self.heads})", self.units, "units")
        return self


def positions(n_steps: int, units: int) -> Floats32:
    """Sines and cosines that tell the steps apart, (n_steps, units).

    >>> positions(2, 2).round(2).tolist()
    [[0.0, 1.0], [0.8399999737739563, 0.5400000214576721]]
    """
    rates = 10_000.0 ** (-2 * (np.arange(units) // 2) / units)
    angles = np.arange(n_steps)[:, None] * rates
    return np.where(np.arange(units) % 2 == 0, np.sin(angles), np.cos(angles)).astype(np.float32)


def blocks(
    keras: Any, steps: Any, settings: TransformerSettings, seed: int, name: str
) -> tuple[Any, int]:
    """Steps (n, n_steps, units) after all blocks, and how many seeds that took."""
    for place in range(settings.blocks):
        steps = _block(keras, steps, settings.heads, seed + place * N_SEEDS, f"{name}_{place}")
    return steps, settings.blocks * N_SEEDS


def _block(keras: Any, steps: Any, n_heads: int, seed: int, name: str) -> Any:
    """Each step sees all others, then passes two dense layers."""
    n_steps, units = steps.shape[1:]
    normed = keras.layers.LayerNormalization(name=f"{name}_norm_before")(steps)
    queries, keys, values = (
        _heads(keras, dense(keras, units, seed + place, f"{name}_{part}")(normed), n_heads)
        for place, part in enumerate(("queries", "keys", "values"))
    )
    agreement = keras.ops.matmul(queries, keras.ops.transpose(keys, (0, 1, 3, 2)))
    weights = keras.ops.softmax(agreement / np.sqrt(units // n_heads), axis=-1)
    mixed = keras.ops.transpose(keras.ops.matmul(weights, values), (0, 2, 1, 3))
    joined = keras.ops.reshape(mixed, (-1, n_steps, units))
    steps = steps + dense(keras, units, seed + 3, f"{name}_joined")(joined)
    normed = keras.layers.LayerNormalization(name=f"{name}_norm_after")(steps)
    wide = dense(keras, WIDENING * units, seed + 4, f"{name}_wide", "relu")(normed)
    return steps + dense(keras, units, seed + 5, f"{name}_narrow")(wide)


def block_size(units: int) -> int:
    """Trainable numbers of a block.

    >>> block_size(32)
    8544
    """
    wide = dense_size(units, WIDENING * units) + dense_size(WIDENING * units, units)
    return 4 * dense_size(units, units) + 2 * 2 * units + wide


def _heads(keras: Any, steps: Any, n_heads: int) -> Any:
    """Steps as (n, n_heads, n_steps, units / n_heads)."""
    n_steps, units = steps.shape[1:]
    split = keras.ops.reshape(steps, (-1, n_steps, n_heads, units // n_heads))
    return keras.ops.transpose(split, (0, 2, 1, 3))
