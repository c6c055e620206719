"""What one hour of a sensor was like, in few numbers: what its habits are made of.

A summary is a function of the hour's readings alone, and is stored with them. So the habits of many
hours are known without a reading of theirs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Ints = NDArray[np.int64]
Records = NDArray[np.void]

# Of one hour and channel. `n`: steps with a value. `n_rows`: readings of the source, NaN: unknown.
# `longest`, `lead` and `tail`: equal values in a row, at most, at the beginning and at the end;
# `run_value`: the value of the longest. `pairs_zero`: neighbours of which the first is zero;
# `equal_zero`, `equal_other`: of these, and of the others, the equal ones. `decimals`: digits after
# the point, negative before it, of all values; `NO_DECIMALS`: one value alone, or not known.
SUMMARY = np.dtype(
    [
        ("first", "<f8"), ("last", "<f8"), ("least", "<f8"), ("greatest", "<f8"),
        ("run_value", "<f8"), ("q1", "<f4"), ("median", "<f4"), ("q3", "<f4"), ("n_rows", "<f4"),
        ("n", "<u2"), ("n_distinct", "<u2"), ("n_least", "<u2"), ("n_greatest", "<u2"),
        ("longest", "<u2"), ("lead", "<u2"), ("tail", "<u2"), ("pairs_zero", "<u2"),
        ("equal_zero", "<u2"), ("equal_other", "<u2"), ("decimals", "i1"), ("spare", "u1"),
    ]
)  # fmt: skip
NO_DECIMALS = 127
_DECIMALS = range(-3, 7)
# So many hours, steps and channels are looked at together.
_CELLS = 1 << 19


def no_summaries(shape: tuple[int, ...]) -> Records:
    """Summaries of hours of which nothing is known.

    >>> int(no_summaries((1,))["n"][0])
    0
    """
    found = np.zeros(shape, SUMMARY)
    for name in ("first", "last", "least", "greatest", "run_value", "q1", "median", "q3", "n_rows"):
        found[name] = np.nan
    found["decimals"] = NO_DECIMALS
    return found


def summaries(values: Float, n_values: NDArray[np.uint8] | None = None) -> Records:
    """Summaries (n, n_channels) of hours (n, n_steps, n_channels), NaN where nothing was read.

    Parameters
    ----------
    n_values : of the same shape, readings of the source in each step; None: not known.

    >>> hour = np.array([[[20.5], [20.5], [np.nan], [21.0]]])
    >>> one = summaries(hour)[0, 0]
    >>> int(one["n"]), int(one["longest"]), float(one["run_value"]), int(one["decimals"])
    (3, 2, 20.5, 1)
    """
    found = no_summaries((len(values), values.shape[2]))
    size = max(1, _CELLS // max(1, values.shape[1] * values.shape[2]))
    for first in range(0, len(values), size):
        part = slice(first, first + size)
        counts = None if n_values is None else np.moveaxis(n_values[part], 1, 2)
        rows = np.ascontiguousarray(np.moveaxis(values[part], 1, 2), np.float64)
        _fill(found[part].reshape(-1), rows.reshape(-1, rows.shape[2]), counts)
    return found


def _fill(found: Records, rows: Float, counts: NDArray[np.uint8] | None) -> None:
    """Writes summaries (n,) of series (n, n_steps)."""
    known = np.isfinite(rows)
    n = known.sum(axis=1)
    found["n"] = n
    if counts is not None:
        found["n_rows"] = counts.reshape(rows.shape).sum(axis=1)
    some = np.flatnonzero(n)
    if len(some):
        part = found[some]
        _runs(part, rows[some], known[some], n[some])
        _levels(part, rows[some], n[some])
        varied = np.flatnonzero(part["n_distinct"] > 1)
        given = None if counts is None else counts.reshape(rows.shape)[some][varied]
        part["decimals"][varied] = _decimals(rows[some][varied], given)
        found[some] = part


def _runs(found: Records, rows: Float, known: NDArray[np.bool_], n: Ints) -> None:
    steps = np.arange(rows.shape[1])
    upto = np.maximum.accumulate(np.where(known, steps, -1), axis=1)
    before = np.concatenate([np.full((len(rows), 1), -1), upto[:, :-1]], axis=1)
    former = np.take_along_axis(rows, np.maximum(before, 0), axis=1)
    is_pair = known & (before >= 0)
    equal = is_pair & (rows == former)
    place = np.cumsum(known, axis=1)
    start = np.maximum.accumulate(np.where(known & ~equal, place, 0), axis=1)
    length = np.where(known, place - start + 1, 0)
    each, at, last = np.arange(len(rows)), length.argmax(axis=1), upto[:, -1]
    first = known.argmax(axis=1)
    found["first"], found["last"] = rows[each, first], rows[each, last]
    found["longest"], found["run_value"] = length[each, at], rows[each, at]
    found["lead"] = (known & (start == 1)).sum(axis=1)
    found["tail"] = length[each, last]
    is_zero = is_pair & (former == 0)
    found["pairs_zero"] = is_zero.sum(axis=1)
    found["equal_zero"] = (equal & is_zero).sum(axis=1)
    found["equal_other"] = (equal & ~is_zero).sum(axis=1)
    found["n"] = n


def _levels(found: Records, rows: Float, n: Ints) -> None:
    # NaN sorts last, so the first n of each are the known ones.
    ordered = np.sort(rows, axis=1)
    each = np.arange(len(rows))
    found["least"], found["greatest"] = ordered[:, 0], ordered[each, n - 1]
    found["n_least"] = (rows == ordered[:, :1]).sum(axis=1)
    found["n_greatest"] = (rows == ordered[each, n - 1][:, None]).sum(axis=1)
    inside = np.arange(1, rows.shape[1]) < n[:, None]
    found["n_distinct"] = 1 + ((np.diff(ordered, axis=1) > 0) & inside).sum(axis=1)
    for name, share in (("q1", 0.25), ("median", 0.5), ("q3", 0.75)):
        place = (n - 1) * share
        low = place.astype(np.int64)
        a, b = ordered[each, low], ordered[each, np.minimum(low + 1, n - 1)]
        with np.errstate(over="ignore", invalid="ignore"):
            found[name] = a + (b - a) * (place - low)


def _decimals(rows: Float, counts: NDArray[np.uint8] | None) -> NDArray[np.int8]:
    """Decimals (n,) of series (n, n_steps); a mean of k readings has those of k times itself."""
    found = _decimals_of(rows)
    if counts is not None:
        k = counts.max(axis=1)
        is_even = ((counts == k[:, None]) | np.isnan(rows)).all(axis=1)
        left = np.flatnonzero((found == NO_DECIMALS) & (k > 1) & is_even)
        if len(left):
            found[left] = _decimals_of(rows[left] * k[left, None])
    return found


def _decimals_of(rows: Float) -> NDArray[np.int8]:
    found = np.full(len(rows), NO_DECIMALS, np.int8)
    with np.errstate(over="ignore", invalid="ignore"):
        single = ((rows.astype(np.float32) == rows) | np.isnan(rows)).all(axis=1)
    # What is left of a number that was stored in 64 or in 32 bits.
    rest = np.where(single, 1.2e-7, 1e-15)
    left = np.arange(len(rows))
    for digits in _DECIMALS:
        scaled = rows[left] * 10.0**digits
        allowed = 1e-6 + rest[left, None] * np.abs(scaled)
        fits = np.abs(scaled - np.rint(scaled)) <= allowed
        is_so = ((fits & (allowed < 0.05)) | np.isnan(scaled)).all(axis=1)
        found[left[is_so]] = digits
        left = left[~is_so]
        if not len(left):
            break
    return found
