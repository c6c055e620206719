"""Shapes that were not seen before: the last eight blocks against all stretches of eight.

Blocks are scaled by what commissioning ranged over; eight make a shape (their orthonormal Haar
transform) and a level (themselves). Its distance to the nearest stretch that ended eight blocks
before or earlier is the error; its surprise among past distances counts until the next block.
Source of the idea: Hampton, Adaptive resonance theory for time series (ARTime), 2022.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.arrays import Arrays, Floats32, Floats64, Ints
from tsad_tasks.model.surprise import no_past, surprises
from tsad_tasks.model.surprise_families import UNIT

N_BLOCKS, N_KEPT = 8, 512
# A fold judges no shape before this many blocks.
MIN_BLOCKS = 20
# Below this height a shape is not stretched to full height: it is nearly flat.
_FLAT = 0.1
_MIDDLE_GAIN = 0.1
_SPIKE = 0.05
_CHUNK = 32


@dataclass(frozen=True)
class Variant:
    """Blocks are 1 / `divisor` of commissioning; `spikes` keeps extremes; `level_weight`."""

    divisor: int
    spikes: bool
    level_weight: float


VARIANTS = (
    Variant(104, False, 1),
    Variant(104, True, 1),
    Variant(104, True, 4),
    Variant(208, False, 1),
)
_N = len(VARIANTS)
_SPIKES = np.array([variant.spikes for variant in VARIANTS])
_WEIGHTS = np.array([variant.level_weight for variant in VARIANTS], np.float32)


def block_lengths(n_readings: int) -> list[int]:
    """Readings per block of each variant, from the number of commissioning readings.

    >>> block_lengths(750)
    [7, 7, 7, 4]
    """
    return [max(1, round(n_readings / variant.divisor)) for variant in VARIANTS]


def no_blocks(n_series: int) -> Arrays:
    """State of series that have seen nothing; first axis the series, second the variant.

    >>> no_blocks(2)["blocks"].shape
    (2, 4, 512)
    """
    shape, far = (n_series, _N), np.int64(2**62)
    past = {
        f"past_{name}": array.reshape(*shape, *array.shape[1:])
        for name, array in no_past(n_series * _N, 1).items()
    }
    return past | {
        "length": np.ones(shape, np.int32),
        "low": np.zeros(n_series, np.int64),
        "high": np.zeros(n_series, np.int64),
        "n_in_block": np.zeros(shape, np.int32),
        "total": np.zeros(shape, np.int64),
        "largest": np.full(shape, -far),
        "smallest": np.full(shape, far),
        "n_blocks": np.zeros(shape, np.int32),
        "middle": np.zeros(shape),
        "blocks": np.zeros((*shape, N_KEPT), np.float32),
        "surprise": np.zeros(shape),
    }


def novelty_surprises(state: Arrays, rows: Ints, units: Ints) -> Floats64:
    """Surprise (n_rows, 4) at the shape of the last complete blocks; 0 for the first ones.

    The state of `no_blocks` is changed in place; `rows` are the series, each once, `units`
    (n_rows,) their readings in units of 2^-20 scales.

    >>> state = no_blocks(1)
    >>> novelty_surprises(state, np.array([0]), np.array([5])).tolist(), state["n_blocks"].tolist()
    ([[0.0, 0.0, 0.0, 0.0]], [[1, 1, 1, 1]])
    """
    reading = units[:, None]
    state["total"][rows] += reading
    state["n_in_block"][rows] += 1
    state["largest"][rows] = np.maximum(state["largest"][rows], reading)
    state["smallest"][rows] = np.minimum(state["smallest"][rows], reading)
    row, variant = np.nonzero(state["n_in_block"][rows] == state["length"][rows])
    if row.size:
        _complete(state, rows[row], variant)
    return np.asarray(state["surprise"][rows])


def _complete(state: Arrays, series: Ints, variant: Ints) -> None:
    """Take the blocks that these series and variants have just completed."""
    at = (series, variant)
    low, mean = state["low"][series], state["total"][at] / state["length"][at]
    span, before = state["high"][series] - low, state["middle"][at]
    middle = np.where(state["n_blocks"][at] == 0, mean, before + _MIDDLE_GAIN * (mean - before))
    state["middle"][at] = middle
    # A spike is the extreme farther from the running middle, if the mean is not nearly the same.
    largest, smallest = state["largest"][at], state["smallest"][at]
    extreme = np.where(largest - middle >= middle - smallest, largest, smallest)
    spike = np.where(np.abs(extreme - mean) <= _SPIKE * span, mean, extreme)
    # What was constant while commissioning is measured in scales.
    value = np.where(_SPIKES[variant], spike, mean)
    scaled = np.clip((value - low) / np.where(span > 0, span, 1.0 / UNIT), -1.0, 2.0)
    kept = state["blocks"][at][:, 1:]
    state["blocks"][at] = np.concatenate([kept, scaled.astype(np.float32)[:, None]], axis=1)
    state["n_blocks"][at] += 1
    fresh = no_blocks(1)
    for name in ("n_in_block", "total", "largest", "smallest"):
        state[name][at] = fresh[name][0, 0]
    judged = state["n_blocks"][at] >= MIN_BLOCKS
    series, variant = series[judged], variant[judged]
    if not series.size:
        return
    blocks, n_blocks = state["blocks"][series, variant], state["n_blocks"][series, variant]
    parts = [slice(first, first + _CHUNK) for first in range(0, len(blocks), _CHUNK)]
    distances = np.concatenate(
        [_nearest(blocks[part], n_blocks[part], _WEIGHTS[variant[part]]) for part in parts]
    )
    # The memory of distances, first axis series and variant; a view.
    past = {
        name.removeprefix("past_"): array.reshape(-1, *array.shape[2:])
        for name, array in state.items()
        if name.startswith("past_")
    }
    found = surprises(past, series * _N + variant, distances[:, None])
    state["surprise"][series, variant] = found[:, 0]


def _nearest(blocks: Floats32, n_blocks: NDArray[np.int32], weights: Floats32) -> Floats32:
    """Distance (n,) of the last eight blocks to the nearest eight that ended at least eight blocks
    before.
    """
    n_seen = np.minimum(n_blocks, N_KEPT)
    first = N_KEPT - int(n_seen.max())
    n_windows = N_KEPT - first - 2 * N_BLOCKS + 1
    past = [blocks[:, first + i : first + i + n_windows] for i in range(N_BLOCKS)]
    last = [blocks[:, N_KEPT - N_BLOCKS + i][:, None] for i in range(N_BLOCKS)]
    level = _total_difference(past, last)
    shape = _total_difference(_shape(past), _shape(last)) / np.float32(5.66)
    distance = (shape + weights[:, None] * level) / np.float32(2 * N_BLOCKS)
    known = first + np.arange(n_windows) >= (N_KEPT - n_seen)[:, None]
    return np.asarray(np.where(known, distance, np.float32(np.inf)).min(axis=1))


def _total_difference(left: list[Floats32], right: list[Floats32]) -> Floats32:
    """Sum of absolute differences, term by term in one order."""
    total = np.abs(left[0] - right[0])
    for a, b in zip(left[1:], right[1:], strict=True):
        total += np.abs(a - b)
    return np.asarray(total)


def _shape(values: list[Floats32]) -> list[Floats32]:
    """Orthonormal Haar transform of eight values from 0 to their height."""
    smallest, largest = values[0], values[0]
    for value in values[1:]:
        smallest, largest = np.minimum(smallest, value), np.maximum(largest, value)
    height = np.maximum(largest - smallest, np.float32(_FLAT))
    return _haar([(value - smallest) / height for value in values])


def _haar(values: list[Floats32]) -> list[Floats32]:
    """Source: Haar, Zur Theorie der orthogonalen Funktionensysteme, 1910."""
    if len(values) == 1:
        return values
    root = np.float32(math.sqrt(0.5))
    pairs = list(zip(values[::2], values[1::2], strict=True))
    return _haar([(a + b) * root for a, b in pairs]) + [(a - b) * root for a, b in pairs]
