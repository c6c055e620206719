"""One score for a whole window: it counts in every live channel, and each value of the window owes
a part of it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.detectors.base import Floats, Reconstruction, as_shares
from tsad_tasks.detectors.inference.onnx_session import BATCH_SIZE
from tsad_tasks.model.windows import batches, gather

ScoresOf = Callable[[Floats], Floats]


def one_score_each(
    inputs: Floats, ends: NDArray[np.int64], width: int, n_channels: int, scores_of: ScoresOf
) -> Reconstruction:
    """The score of each window as the error of all its live channels; nothing is expected."""
    errors = np.full((len(ends), n_channels), np.nan, dtype=np.float32)
    for part in batches(len(ends), BATCH_SIZE):
        windows = gather(inputs, ends[part], width)
        live = np.isfinite(windows[:, :, :n_channels]).all(axis=1)
        errors[part] = np.where(live, scores_of(windows)[:, None], np.float32(np.nan))
    return Reconstruction(errors, np.full_like(errors, np.nan))


def occluded(
    inputs: Floats, ends: NDArray[np.int64], width: int, blank: Floats, scores_of: ScoresOf
) -> Floats:
    """The `occlusion_shares` of the windows that end at `ends`, (n_windows, width, n_channels)."""
    n_channels = len(blank)
    parts = [
        occlusion_shares(gather(inputs, ends[part], width), n_channels, blank, scores_of)
        for part in batches(len(ends), BATCH_SIZE)
    ]
    return np.concatenate([np.empty((0, width, n_channels), dtype=np.float32), *parts])


def taken_away(
    seen: Floats,
    live: NDArray[np.bool_],
    usual: Floats,
    columns: NDArray[np.bool_],
    scores_of: ScoresOf,
) -> Floats:
    """How far scores fall when a channel is taken away, as shares (n, n_channels): see `as_shares`.

    Parameters
    ----------
    seen : (n, ..., n_columns), at most `BATCH_SIZE`
        What is scored.
    live : (n, n_channels)
        A dead channel has no share.
    usual : (n_columns,)
        What stands in a column's place.
    columns : (n_channels, n_columns)
        Which columns go with a channel.

    >>> seen, both = np.array([[1.0, 3.0]], dtype=np.float32), np.ones((1, 2), bool)
    >>> taken_away(seen, both, np.zeros(2, np.float32), np.eye(2, dtype=bool), lambda seen: seen.sum(axis=1)).tolist()
    [[0.25, 0.75]]
    """
    whole = scores_of(seen)
    falls = [whole - scores_of(np.where(taken, usual, seen)) for taken in columns]
    return as_shares(np.where(live, np.stack(falls, axis=1), np.float32(0)))


def channels_taken_away(
    inputs: Floats,
    ends: NDArray[np.int64],
    width: int,
    usual: Floats,
    columns: NDArray[np.bool_],
    seen_of: ScoresOf,
    scores_of: ScoresOf,
) -> Floats:
    """The shares of `taken_away` in the windows that end at `ends`, (n_windows, n_channels).

    `seen_of` makes of windows what is scored, the windows themselves or features of them.
    """
    n_channels = len(columns)
    parts = [np.empty((0, n_channels), np.float32)]
    for part in batches(len(ends), BATCH_SIZE):
        windows = gather(inputs, ends[part], width)
        live = np.asarray(np.isfinite(windows[:, :, :n_channels]).all(axis=1))
        parts.append(taken_away(seen_of(windows), live, usual, columns, scores_of))
    return np.concatenate(parts)


def own_columns(n_channels: int, n_inputs: int) -> NDArray[np.bool_]:
    """Inputs that go with each channel, (n_channels, n_inputs), when nothing is derived from it."""
    return np.eye(n_channels, n_inputs, dtype=bool)


def occlusion_shares(
    windows: Floats, n_channels: int, blank: Floats, scores_of: ScoresOf
) -> Floats:
    """How far scores fall when one value is taken away, (n, width, n_channels), 0 and up.

    0 in channels of a window that hold a non-finite value.
    Source: Zeiler and Fergus, Visualizing and understanding convolutional networks, 2014, section
    4.2.

    Parameters
    ----------
    windows : (n, width, n_inputs)
    blank : (n_channels,)
        What stands in a value's place.
    scores_of : callable
        Scores (n,) of windows.

    >>> windows = np.array([[[1.0], [3.0]]], dtype=np.float32)
    >>> occlusion_shares(windows, 1, np.zeros(1, np.float32), lambda seen: seen.sum(axis=(1, 2))).tolist()
    [[[1.0], [3.0]]]
    """
    n, width = windows.shape[:2]
    found, whole = np.zeros((n, width, n_channels), dtype=np.float32), scores_of(windows)
    for step in range(width):
        for channel in range(n_channels):
            seen = windows.copy()
            seen[:, step, channel] = blank[channel]
            found[:, step, channel] = np.maximum(whole - scores_of(seen), 0)
    return np.where(
        np.isfinite(windows[:, :, :n_channels]).all(axis=1, keepdims=True), found, np.float32(0)
    )
