"""What a score owes to each value of a window: how far it falls when the value is taken away."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tsad_tasks.detectors.base import Floats


def occlusion_shares(windows: Floats, n_channels: int, blank: Floats, scores_of: Callable[[Floats], Floats]) -> Floats:
    """How far scores fall when one value is taken away, (n, width, n_channels), 0 and up.

    0 in channels of a window that hold a non-finite value.
    Source: Zeiler and Fergus, Visualizing and understanding convolutional networks, 2014, section 4.2.

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
    return np.where(np.isfinite(windows[:, :, :n_channels]).all(axis=1, keepdims=True), found, np.float32(0))
