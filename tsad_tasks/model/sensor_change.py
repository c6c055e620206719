"""Sensors that changed: what they send is converted to the terms before, or unknown till then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.arrays import Floats64, Ints
from tsad_tasks.model.circle import Circle
from tsad_tasks.model.features import fit_scaler

_HOUR_S, _DAY_S = 3600, 86400
_NEVER_S = np.iinfo(np.int64).max
# Below this share of each other's, two spreads are not of one quantity: a sensor that stands still
# has none.
_FLAT = 1e-6


@dataclass(frozen=True)
class Piece:
    """How the values of one channel in [from_s, until_s), Unix seconds, are seen.

    Attributes
    ----------
    usable_s : values before it are unknown; later ones are value * scale + offset.
    """

    channel_id: int
    from_s: int
    until_s: int
    usable_s: int
    scale: float
    offset: float


def pieces(began: Sequence[tuple[int, int, int | None, float | None, float | None]]) -> list[Piece]:
    """The pieces of changes (channel_id, from_s, usable_s, scale, offset), oldest first; the latest
    one decides alone.

    >>> found = pieces([(1, 0, 0, 2.0, 0.0), (1, 50, None, None, None)])
    >>> [(piece.from_s, piece.until_s, piece.usable_s == found[1].until_s) for piece in found][0]
    (0, 50, False)
    """
    ends: dict[int, int] = {}
    found = []
    for channel_id, from_s, usable_s, scale, offset in reversed(began):
        until_s = ends.get(channel_id, _NEVER_S)
        known = scale is not None and offset is not None and usable_s is not None
        usable = min(max(from_s, usable_s), until_s) if known and usable_s is not None else until_s
        if from_s < until_s:
            found.append(Piece(channel_id, from_s, until_s, usable, scale or 1.0, offset or 0.0))
        ends[channel_id] = min(from_s, until_s)
    return found[::-1]


def convert(values: Floats64, parts: Sequence[Piece], start_s: int, step_s: int) -> None:
    """Changes the values (n_steps,) of one channel, whose first step is at `start_s`, in place.

    >>> speed = np.array([1.0, 1.0, 1.0])
    >>> convert(speed, pieces([(1, 60, 120, 2.0, 3.0)]), 0, 60)
    >>> speed.tolist()
    [1.0, nan, 5.0]
    """
    for part in parts:
        first, usable, end = (
            min(max(0, -(-(s - start_s) // step_s)), len(values))
            for s in (part.from_s, part.usable_s, part.until_s)
        )
        values[first:usable] = np.nan
        values[usable:end] = values[usable:end] * part.scale + part.offset


def salts(parts: Sequence[Piece], hours_s: Ints) -> NDArray[np.uint64]:
    """Numbers (n_hours,) of how each hour's values are seen: 0 where they are taken as they came.

    >>> salts(pieces([(1, 3600, 3600, 2.0, 0.0)]), np.array([0, 3600, 7200])).astype(bool).tolist()
    [False, True, True]
    """
    found = np.zeros(len(hours_s), np.uint64)
    for part in parts:
        edges = np.stack([edge - hours_s for edge in (part.from_s, part.usable_s, part.until_s)], 1)
        keys, which = np.unique(edges.clip(0, _HOUR_S), axis=0, return_inverse=True)
        numbers = [_salt(part, *key) for key in keys.tolist()]
        found += np.array(numbers, np.uint64)[which.reshape(-1)]
    return found


def _salt(part: Piece, from_s: int, usable_s: int, until_s: int) -> int:
    """The number of an hour that a piece covers from second to second."""
    is_as_it_came = usable_s <= from_s and (part.scale, part.offset) == (1.0, 0.0)
    if from_s >= until_s or is_as_it_came:
        return 0
    terms = (part.scale, part.offset) if usable_s < until_s else (1.0, 0.0)
    edges = np.array([part.channel_id, from_s, usable_s, until_s], "<i8")
    content = edges.tobytes() + np.array(terms, "<f8").tobytes()
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "little")


def salted(checksums: Ints, salt: NDArray[np.uint64]) -> Ints:
    """Checksums that also tell how the values are seen; 0, which means no block, stays 0.

    >>> salted(np.array([0, 5]), np.array([7, 0], np.uint64)).tolist()
    [0, 5]
    """
    # Odd times a salt, so that checksums which differ in a bit do not meet.
    mixed = checksums.view(np.uint64) + salt * np.uint64(0x9E3779B97F4A7C15)
    mixed = np.where(mixed == 0, np.uint64(1), mixed)
    return np.where(checksums == 0, 0, mixed.view(np.int64))


def conversion(
    before: Floats64, after: Floats64, circle: Circle | None = None
) -> tuple[float, float]:
    """Scale and offset that give a changed sensor the median and robust spread from before.

    Where one of both stands still there is no spread to compare: then the offset alone is fitted.
    So it is of an angle, whose `circle` is given: it turns the shorter way.

    >>> conversion(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([12.0, 14.0, 16.0, 18.0, 20.0]))
    (0.5, -5.0)
    """
    if circle is not None:
        means = (circle.mean(values[np.isfinite(values)]) for values in (before, after))
        return 1.0, float(np.nan_to_num(circle.difference(*map(np.array, means))))
    old, new = (fit_scaler(values[:, None], "robust") for values in (before, after))
    is_flat = not (old.scale[0] and new.scale[0])
    scale = 1.0 if is_flat else old.scale[0] / new.scale[0]
    scale = scale if _FLAT < scale < 1 / _FLAT else 1.0
    return scale, old.center[0] - scale * new.center[0]


def same_time_of_day(before_s: Ints, after_s: Ints) -> Ints:
    """Positions in `before_s` at the times of day of `after_s`, as often as there; Unix seconds.

    >>> same_time_of_day(np.array([0, 3600, 86400]), np.array([172800, 180000])).tolist()
    [0, 2]
    """
    times, counts = np.unique(after_s % _DAY_S, return_counts=True)
    found = np.searchsorted(times, before_s % _DAY_S).clip(max=len(times) - 1)
    n_times = np.where(times[found] == before_s % _DAY_S, counts[found], 0)
    return np.repeat(np.arange(len(before_s)), n_times)
