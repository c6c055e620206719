"""Windows as positions and a mask: which readings end one to be scored, and why others do not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.arrays import Flags, Floats32, Ints
from tsad_tasks.base.errors import BadInput

SCORED, MISSING, INCOMPLETE, OFF, STARTUP, RUNNING_UNKNOWN, NOT_FINITE, PENDING, BEFORE_HISTORY = (
    range(9)
)

Number = TypeVar("Number", bound=np.generic)


def window_reasons(
    present: Flags,
    running: NDArray[np.int8],
    context_ok: Flags,
    *,
    width: int,
    min_coverage: float,
    n_fitted: Ints | None = None,
) -> tuple[Flags, NDArray[np.int16]]:
    """Which channels are live in the window that ends at each step, and why it is not scored.

    A channel is live when all its values are there. A window counts when the machine ran and the
    context was known at each of its steps, and the share of live channels among those that the
    entity has is at least `min_coverage` (and not 0). Of several reasons the first holds: 3 off and
    4 startup (of the last step), 1 missing (nothing was read at it), 5 running_unknown (at it), 8
    before_history, 2 incomplete_window. Live is (..., n_steps, n_channels); reasons are
    (..., n_steps), 0 where a window can be scored. History: `width - 1` steps.

    Parameters
    ----------
    present : (..., n_steps, n_channels), whether there is a value, after holding.
    running : (..., n_steps), 0 where the machine runs, else the reason (`features.running_state`).
    context_ok : (..., n_steps), whether all inputs that are no channels are known.
    n_fitted : (..., n_steps) or broadcast to it, how many channels the entity has; None: all.

    >>> present = np.array([[True], [True], [False], [True], [True]])
    >>> on, ok = np.zeros(5, np.int8), np.ones(5, bool)
    >>> window_reasons(present, on, ok, width=2, min_coverage=0.5)[1].tolist()
    [8, 0, 1, 2, 0]
    """
    if width < 1:
        raise BadInput(f"Expected a window of at least 1 step. Received: {width}.")
    if not running.shape == context_ok.shape == present.shape[:-1]:
        received = present.shape, running.shape, context_ok.shape
        expected = "Expected shapes (n_steps, n_channels), (n_steps,) twice."
        raise BadInput(f"{expected} Received: {received}.")
    live = _all_of_last(present, width)
    usable = _all_of_last(((running == 0) & context_ok)[..., None], width)[..., 0]
    counted = np.array(present.shape[-1]) if n_fitted is None else n_fitted
    n_needed = np.maximum(1, np.ceil(min_coverage * counted - 1e-9))
    scored = usable & (np.count_nonzero(live, axis=-1) >= n_needed)
    before = np.broadcast_to(np.arange(present.shape[-2]) < width - 1, scored.shape)
    reasons = np.select(
        [
            scored,
            (running == OFF) | (running == STARTUP),
            ~present.any(axis=-1),
            running != 0,
            before,
        ],
        [SCORED, running, MISSING, running, BEFORE_HISTORY],
        INCOMPLETE,
    )
    return live, reasons.astype(np.int16)


def _all_of_last(present: Flags, width: int) -> Flags:
    """Whether all of the last `width` steps are true; false where there are fewer steps."""
    steps = np.arange(present.shape[-2], dtype=np.int64)[:, None]
    last_gap = np.maximum.accumulate(np.where(present, np.int64(-1), steps), axis=-2)
    return steps - last_gap >= width


def gather(inputs: NDArray[Number], ends: Ints, width: int) -> NDArray[Number]:
    """The windows that end at `ends`, (n, width, n_inputs): only here do they exist as values.

    Each end is at least `width - 1`. Give one batch at a time.

    >>> gather(np.array([[1.0], [2.0], [3.0]]), np.array([1, 2]), 2)[:, :, 0].tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """
    if ends.size and int(ends.min()) < width - 1:
        expected = f"Expected windows that end at position {width - 1} or later."
        raise BadInput(f"{expected} Received: {int(ends.min())}.")
    return np.take(inputs, ends[:, None] + np.arange(1 - width, 1, dtype=np.int64), axis=0)


def batches(n: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover `range(n)` in order.

    >>> list(batches(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def window_errors(channel_errors: Floats32, live: Flags) -> Floats32:
    """The error (n,) of each window: the mean over its live channels; NaN where none is live.

    Channels are added one after the other in double precision, so that an error does not depend on
    its neighbours; what stands in channels that are not live does not matter.

    >>> errors = np.array([[1, 3], [1, np.nan]], np.float32)
    >>> window_errors(errors, np.isfinite(errors)).tolist()
    [2.0, 1.0]
    """
    total = np.zeros(channel_errors.shape[0], np.float64)
    for channel in range(channel_errors.shape[1]):
        total += np.where(live[:, channel], channel_errors[:, channel].astype(np.float64), 0.0)
    n_live = np.count_nonzero(live, axis=1)
    with np.errstate(over="ignore"):
        return np.where(n_live > 0, total / np.maximum(n_live, 1), np.nan).astype(np.float32)
