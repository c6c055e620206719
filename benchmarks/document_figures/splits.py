"""Which windows train, validate and test: by time with an embargo, or at random with the leak that
this brings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.errors import BadInput

Positions = NDArray[np.int64]
SHARES = (0.7, 0.15, 0.15)


@dataclass(frozen=True, eq=False)
class Split:
    """Positions of windows by what they are for, ascending; `n_embargoed` windows are for
    nothing.
    """

    train: Positions
    validation: Positions
    test: Positions
    n_embargoed: int = 0


def split_by_time(
    steps: NDArray[np.int64],
    *,
    width: int,
    shares: tuple[float, float, float] = SHARES,
    embargo_steps: int | None = None,
) -> Split:
    """The earliest windows to train on, the latest to test on, and an embargo after each cut.

    All entities are cut at the same steps. With the default embargo of one window no reading is in
    two parts.

    Parameters
    ----------
    steps : (n_windows,)
        Grid step (of a clock that all entities share) that ends each window, in any order.
    width : int
        Steps in a window.
    shares : of the windows, for training, validation and test
    embargo_steps : int, optional
        Windows that end in so many steps after a cut are left out; by default `width`.

    Raises
    ------
    BadInput
        When the shares do not add up to 1.

    >>> split = split_by_time(np.arange(20), width=2, shares=(0.5, 0.25, 0.25))
    >>> split.validation.tolist(), split.test.tolist()
    ([12, 13, 14], [17, 18, 19])
    """
    _check_shares(shares)
    embargo = width if embargo_steps is None else embargo_steps
    if not len(steps):
        return Split(steps, steps, steps)
    ordered = np.sort(steps)
    first, second = (_cut(ordered, share) for share in (shares[0], shares[0] + shares[1]))
    train = steps < first
    validation = (steps >= first + embargo) & (steps < second)
    test = steps >= second + embargo
    n_embargoed = int(np.count_nonzero(~(train | validation | test)))
    return Split(
        np.flatnonzero(train), np.flatnonzero(validation), np.flatnonzero(test), n_embargoed
    )


def _cut(ordered: NDArray[np.int64], share: float) -> int:
    """The step before which the given share of windows ends."""
    at = round(share * len(ordered))
    return int(ordered[at]) if at < len(ordered) else int(ordered[-1]) + 1


def split_at_random(
    labels: NDArray[np.bool_], *, shares: tuple[float, float, float] = SHARES, seed: int
) -> Split:
    """A stratified random split, as the documents do it: each part has the same share of anomalous
    windows.

    Overlapping windows leak from training into test (`overlap_share` says how many), and the
    figures flatter.

    Parameters
    ----------
    labels : (n_windows,)
    shares : of the windows of each class, for training, validation and test

    >>> split = split_at_random(np.arange(20) % 5 == 0, shares=(0.5, 0.25, 0.25), seed=7)
    >>> len(split.train), len(split.validation), len(split.test)
    (10, 5, 5)
    """
    _check_shares(shares)
    rng = np.random.default_rng(seed)
    parts: tuple[list[Positions], ...] = ([], [], [])
    for label in (False, True):
        mixed = rng.permutation(np.flatnonzero(labels == label))
        cuts = np.round(np.cumsum(shares[:2]) * len(mixed)).astype(np.int64)
        for part, found in zip(parts, np.split(mixed, cuts), strict=True):
            part.append(found)
    train, validation, test = (np.sort(np.concatenate(part)) for part in parts)
    return Split(train, validation, test)


def overlap_share(
    split: Split, steps: NDArray[np.int64], *, width: int, entities: NDArray[np.int64] | None = None
) -> float:
    """Share of the test windows that share a reading with a training window: the leak; NaN without
    test windows.

    Parameters
    ----------
    steps : (n_windows,)
        Grid step that ends each window.
    entities : (n_windows,), optional
        Whose window it is; by default all are of one entity.

    >>> steps = np.arange(6)
    >>> overlap_share(Split(np.array([0, 1]), np.array([], int), np.array([2, 5])), steps, width=2)
    0.5
    """
    if not len(split.test):
        return math.nan
    whose = np.zeros(len(steps), np.int64) if entities is None else entities
    # Entities laid end to end, so far apart that no window reaches from one into the next.
    laid = (steps - steps.min()) + whose * (int(np.ptp(steps)) + 2 * width)
    distance = _nearest(np.sort(laid[split.train]), laid[split.test])
    return float(np.mean(distance < width))


def _nearest(ordered: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Distance of each wanted number to the nearest of the ordered ones."""
    far = np.iinfo(np.int64).max // 2
    padded = np.concatenate(([-far], ordered, [far]))
    at = np.searchsorted(padded, wanted)
    return np.minimum(wanted - padded[at - 1], padded[at] - wanted)


def _check_shares(shares: tuple[float, float, float]) -> None:
    if min(shares) < 0 or not math.isclose(sum(shares), 1.0, abs_tol=1e-9):
        raise BadInput(f"Expected three shares that add up to 1. Received: {shares}.")
