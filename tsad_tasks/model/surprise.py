"""How surprising an error is among all errors before it, in nats, with a memory of fixed size.

The memory of one kind of error ("member") of one series: how many past errors fell into each of 256
bins of nearly equal ratio, and the 128 largest as they were. Above the 98 % quantile the tail is
exponential, fitted to the largest errors; beyond 6,400 errors the 128 stand for the share that they
are. Source: Siffer et al., Anomaly detection in streams with extreme value theory, 2017.
"""

from __future__ import annotations

import numpy as np

from tsad_tasks.base.arrays import Arrays, Floats32, Floats64, Ints

N_TOP = 128
# Sixteen groups of sixteen bins: a count below a bin reads 32 numbers.
GROUP = 16
N_BINS = GROUP * GROUP
PER_OCTAVE = 8
# Errors below 2^-12 share the first bin.
FIRST_OCTAVE = -12
MIN_ERRORS, REFIT_EVERY = 50, 25
TAIL_SHARE = 0.02
# A probability of e^-50 is as good as none, and the sum of members is not drowned by one.
LARGEST = 50.0

# A series' tails are refitted together, this many series at once, so that the temporaries stay in
# the caches.
_CHUNK = 64
_PLACES = np.arange(GROUP)
# Rows of weights for what lies below a place, and for twice that with half of the place itself.
_BELOW = (_PLACES[:, None] > _PLACES).astype(np.int32)
_BELOW_TWICE = _BELOW + (_PLACES[:, None] >= _PLACES).astype(np.int32)


def no_past(n_series: int, n_members: int) -> Arrays:
    """The memory of series that have seen nothing; first axis the series.

    >>> {name: array.shape for name, array in no_past(2, 3).items()}["top"]
    (2, 3, 128)
    """
    shape = (n_series, n_members)
    return {
        "n": np.zeros(n_series, np.int32),
        "counts": np.zeros((*shape, GROUP, GROUP), np.int32),
        "groups": np.zeros((*shape, GROUP), np.int32),
        "top": np.full((*shape, N_TOP), -1, np.float32),
        "least": np.full(shape, np.inf, np.float32),
        "quantile": np.zeros(shape),
        "excess": np.ones(shape),
        "at_quantile": np.zeros(shape),
    }


def surprises(past: Arrays, rows: Ints, errors: Floats32) -> Floats64:
    """−ln of the probability of errors as large, (n_rows, n_members), which then become past ones.

    0 for the first 50 errors; tails are fitted anew every 25. The `past` of `no_past` is changed in
    place; `rows` are the series, each once; errors are finite, 0 and up.

    >>> past, one = no_past(1, 1), np.array([0])
    >>> errors = np.array([*range(1, 61), 30, 900], np.float32)[:, None, None]
    >>> found = [surprises(past, one, error).item() for error in errors]
    >>> found[0], round(found[-2], 1), found[-1] > 20
    (0.0, 0.7, True)
    """
    n = past["n"][rows]
    due = rows[(n >= MIN_ERRORS) & (n % REFIT_EVERY == 0)]
    for first in range(0, len(due), _CHUNK):
        _refit_together(past, due[first : first + _CHUNK])
    group, place = np.divmod(_bins(errors), GROUP)
    series, member = rows[:, None], np.arange(errors.shape[1])
    # Errors in lower bins and half of those in the same; none for the first bin, which holds what
    # is nearly 0.
    cells = (series * errors.shape[1] + member).ravel()
    groups = past["groups"].reshape(-1, GROUP).take(cells, axis=0)
    below = np.einsum("ij,ij->i", groups, _BELOW.take(group.ravel(), axis=0))
    counts = past["counts"].reshape(-1, GROUP).take(cells * GROUP + group.ravel(), axis=0)
    twice = np.einsum("ij,ij->i", counts, _BELOW_TWICE.take(place.ravel(), axis=0))
    n_below = (below + 0.5 * twice).reshape(errors.shape)
    n_below[(group == 0) & (place == 0)] = 0.0
    at_quantile = past["at_quantile"][rows]
    over = errors - past["quantile"][rows]
    in_tail = at_quantile + over / past["excess"][rows]
    share = np.maximum(1.0 - n_below / (n + 1.0)[:, None], 1e-9)
    in_body = np.minimum(-np.log(share), at_quantile)
    found = np.minimum(np.where(over > 0, in_tail, in_body), LARGEST)
    found[n < MIN_ERRORS] = 0.0
    past["groups"][series, member, group] += 1
    past["counts"][series, member, group, place] += 1
    _keep_largest(past["top"], rows, errors)
    past["least"][rows] = np.minimum(past["least"][rows], errors)
    past["n"][rows] = n + 1
    return found


def _refit_together(past: Arrays, rows: Ints) -> None:
    n, top = past["n"][rows].astype(np.int64), past["top"][rows].astype(np.float64)
    above = n - 1 - np.floor((1 - TAIL_SHARE) * (n - 1)).astype(np.int64)
    # Beyond 6,400 errors the largest 128 are less than 2 %, and count as the share that they are.
    all_kept = above < N_TOP
    probability = np.where(all_kept, TAIL_SHARE, N_TOP / (n + 1.0))
    above = np.minimum(above, N_TOP - 1)
    quantile = np.take_along_axis(top, above[:, None, None], axis=2)
    excess = np.where(np.arange(N_TOP) < above[:, None, None], top - quantile, 0.0)
    # Added up one after the other, whatever the shape: NumPy's own sum chooses its order.
    total = np.add.accumulate(excess, axis=2)[:, :, -1]
    mean = total / np.maximum(np.count_nonzero(excess, axis=2), 1)
    spread = top[:, :, 0] - past["least"][rows]
    floors = np.maximum(1e-3 * spread, 1e-9 * np.maximum(1.0, quantile[:, :, 0]))
    past["quantile"][rows] = quantile[:, :, 0]
    past["excess"][rows] = np.maximum(mean, floors)
    past["at_quantile"][rows] = -np.log(probability)[:, None]


def _bins(errors: Floats32) -> Ints:
    """Bin of each error; by its bits, so that no rounding decides."""
    fraction, exponent = np.frexp(errors)
    inner = ((fraction - np.float32(0.5)) * np.float32(2 * PER_OCTAVE)).astype(np.int64)
    bins = 1 + (exponent.astype(np.int64) - 1 - FIRST_OCTAVE) * PER_OCTAVE + inner
    return np.where(errors < np.float32(2.0**FIRST_OCTAVE), 0, np.minimum(bins, N_BINS - 1))


def _keep_largest(top: Floats32, rows: Ints, errors: Floats32) -> None:
    """Put errors into the descending lists of the largest, where they are among them."""
    row, member = np.nonzero(errors > top[rows, :, -1])
    if not row.size:
        return
    series, new = rows[row], errors[row, member][:, None]
    kept = top[series, member]
    moved = np.concatenate([new, kept[:, :-1]], axis=1)
    # Larger ones stay, the new one comes after them, smaller ones move down.
    top[series, member] = np.where(kept >= new, kept, np.minimum(moved, new))
