"""Long series on a coarser, still regular grid: two real readings stand for many."""

from __future__ import annotations

import numpy as np

from tsad_tasks.reporting.drawing.scales import Indices
from tsad_tasks.reporting.drawing.series import Flags, Floats


def thinned(values: Floats, flags: Flags, width: int) -> Indices:
    """Positions of two readings of every `width`: the lowest and the highest, in the order of time.

    Where some of them are flagged, only these are looked at, so that the worst flagged reading
    stays.

    Parameters
    ----------
    values : (n,)
        NaN where unknown; where nothing is known the first reading stands twice.
    flags : bool (n,)
    width : even number of readings, at least 2; a last, shorter part counts as well.

    Returns
    -------
    (2 × ceil(n / width),)

    >>> thinned(np.array([1.0, 5.0, 2.0, 9.0]), np.array([False, False, True, True]), 4).tolist()
    [2, 3]
    """
    n_parts = -(-len(values) // width)
    parts, raised = np.full((n_parts, width), np.nan), np.zeros((n_parts, width), bool)
    parts.ravel()[: len(values)], raised.ravel()[: len(values)] = values, flags
    known = np.isfinite(parts)
    wanted = known & (raised | ~(raised & known).any(axis=1, keepdims=True))
    ends = [
        np.where(wanted, parts, np.inf).argmin(axis=1),
        np.where(wanted, parts, -np.inf).argmax(axis=1),
    ]
    both = np.sort(np.stack(ends, axis=1), axis=1) + width * np.arange(n_parts)[:, None]
    return np.minimum(both, len(values) - 1).ravel()
