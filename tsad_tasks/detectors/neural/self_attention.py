"""Transformer blocks, with layers that have names and seeds of their own.

Source: Vaswani et al., Attention is all you need, 2017.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.detectors.neural.seeded_layers import dense, dense_size

N_SEEDS = 6
WIDENING = 2


def positions(n_steps: int, units: int) -> NDArray[np.float32]:
    """Sines and cosines that tell the steps apart, (n_steps, units).

    >>> positions(2, 2).round(2).tolist()
    [[0.0, 1.0], [0.8399999737739563, 0.5400000214576721]]
    """
    rates = 10_000.0 ** (-2 * (np.arange(units) // 2) / units)
    angles = np.arange(n_steps)[:, None] * rates
    return np.where(np.arange(units) % 2 == 0, np.sin(angles), np.cos(angles)).astype(np.float32)


def block(keras: Any, steps: Any, n_heads: int, seed: int, name: str) -> Any:
    """Steps (n, n_steps, units) after one block: each sees all others, then passes two dense
    layers.
    """
    units = steps.shape[-1]
    normed = keras.layers.LayerNormalization(name=f"{name}_norm_before")(steps)
    steps = steps + _attention(keras, normed, n_heads, seed, name)
    normed = keras.layers.LayerNormalization(name=f"{name}_norm_after")(steps)
    wide = dense(keras, WIDENING * units, seed + 4, f"{name}_wide", "relu")(normed)
    return steps + dense(keras, units, seed + 5, f"{name}_narrow")(wide)


def block_size(units: int) -> int:
    """Trainable numbers of a block.

    >>> block_size(32)
    8544
    """
    norms = 2 * 2 * units
    return (
        4 * dense_size(units, units)
        + norms
        + dense_size(units, WIDENING * units)
        + dense_size(WIDENING * units, units)
    )


def _attention(keras: Any, steps: Any, n_heads: int, seed: int, name: str) -> Any:
    n_steps, units = steps.shape[1:]
    queries, keys, values = (
        _heads(keras, dense(keras, units, seed + place, f"{name}_{part}")(steps), n_heads)
        for place, part in enumerate(("queries", "keys", "values"))
    )
    agreement = keras.ops.matmul(queries, keras.ops.transpose(keys, (0, 1, 3, 2))) / np.sqrt(
        units // n_heads
    )
    mixed = keras.ops.matmul(keras.ops.softmax(agreement, axis=-1), values)
    joined = keras.ops.reshape(keras.ops.transpose(mixed, (0, 2, 1, 3)), (-1, n_steps, units))
    return dense(keras, units, seed + 3, f"{name}_joined")(joined)


def _heads(keras: Any, steps: Any, n_heads: int) -> Any:
    """Steps as (n, n_heads, n_steps, units / n_heads)."""
    n_steps, units = steps.shape[1:]
    return keras.ops.transpose(
        keras.ops.reshape(steps, (-1, n_steps, n_heads, units // n_heads)), (0, 2, 1, 3)
    )
