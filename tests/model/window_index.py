"""The windows of one entity that can be scored, as tests look at them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.model.windows import SCORED, window_reasons


class WindowIndex(NamedTuple):
    """Positions of windows' last readings, their live channels, and the reasons of all steps."""

    ends: NDArray[np.int64]
    live: NDArray[np.bool_]
    reasons: NDArray[np.int16]


def window_index(
    *seen: NDArray[Any], width: int, min_coverage: float, first_step: int = 0
) -> WindowIndex:
    """Of `present`, `running` and `context_ok`; windows before `first_step` are not listed."""
    live, reasons = window_reasons(*seen, width=width, min_coverage=min_coverage)
    ends = np.flatnonzero(reasons[first_step:] == SCORED).astype(np.int64) + first_step
    return WindowIndex(ends, live[ends], reasons)
