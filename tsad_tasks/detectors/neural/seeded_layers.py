"""Keras layers with a name, to find weights again, and a seed of their own; and their sizes.

Keras is an argument, since it is imported only where something is trained.
"""

from __future__ import annotations

from typing import Any


def dense(keras: Any, units: int, seed: int, name: str, activation: str | None = None) -> Any:
    """A dense layer on the last axis."""
    start = keras.initializers.GlorotUniform(seed)
    return keras.layers.Dense(units, activation, kernel_initializer=start, name=name)


def lstm(keras: Any, units: int, seed: int, name: str, *, return_sequences: bool) -> Any:
    """An LSTM layer."""
    return keras.layers.LSTM(
        units,
        return_sequences=return_sequences,
        kernel_initializer=keras.initializers.GlorotUniform(seed),
        recurrent_initializer=keras.initializers.Orthogonal(seed=seed),
        use_cudnn=False,  # XLA cannot compile the fused kernel, and compiled is faster.
        name=name,
    )


def bidirectional_lstm(
    keras: Any, units: int, seed: int, name: str, *, return_sequences: bool
) -> Any:
    """An LSTM layer forwards and another backwards, side by side; it takes two seeds."""
    forward = lstm(keras, units, seed, f"{name}_forward", return_sequences=return_sequences)
    backward = lstm(keras, units, seed + 1, f"{name}_backward", return_sequences=return_sequences)
    backward.go_backwards = True
    return keras.layers.Bidirectional(forward, backward_layer=backward, name=name)


def dense_size(n_inputs: int, units: int) -> int:
    """Trainable numbers of a dense layer.

    >>> dense_size(64, 1)
    65
    """
    return (n_inputs + 1) * units


def lstm_size(n_inputs: int, units: int) -> int:
    """Trainable numbers of an LSTM layer.

    >>> lstm_size(1, 64)
    16896
    """
    return 4 * (n_inputs + units + 1) * units
