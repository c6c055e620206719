"""The trained weights by name, so that another training can begin with them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from tsad_tasks.base.arrays import Floats32
from tsad_tasks.base.errors import BundleError, ConfigError
from tsad_tasks.detectors.base import WEIGHTS_FILE

Weights = dict[str, Floats32]


def weights_of(model: Any) -> Weights:
    """All weights of a Keras model, by layer, place in the layer, and name."""
    return {name: np.asarray(weight) for name, weight in _named(model).items()}


def weights_bytes(weights: Weights) -> bytes:
    """The weights as one file, equal ones as equal bytes: NumPy's archives carry no date."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **{name: weights[name] for name in sorted(weights)})
    return content.getvalue()


def weights_from(content: bytes) -> Weights:
    """The weights of a file.

    Raises
    ------
    BundleError
        Where the content is no such file.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except (ValueError, OSError, EOFError) as error:
        raise BundleError(f"Expected {WEIGHTS_FILE} with arrays. Received: {error}.") from error


def start_from(model: Any, weights: Mapping[str, Floats32]) -> list[str]:
    """Copy weights whose name and shape agree into a model; the names of those that stayed.

    A layer that sees another number of inputs or channels keeps what its seed gave.

    Raises
    ------
    ConfigError
        Where nothing agrees.
    """
    mine, shapes = _named(model), {name: weight.shape for name, weight in weights.items()}
    agreed = [name for name, weight in mine.items() if shapes.get(name) == weight.shape]
    if not agreed:
        expected = "a model with a layer of the same name and shape"
        received = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ConfigError(f"warm_start: Expected {expected}. Received: {received}.")
    for name in agreed:
        mine[name].assign(weights[name])
    return [name for name in mine if name not in agreed]


def _named(model: Any) -> dict[str, Any]:
    return {
        f"{layer.name}.{place}.{weight.name}": weight
        for layer in model.layers
        for place, weight in enumerate(layer.weights)
    }
