"""Fingerprints of readings: did anything change that a score may depend on?

The digest of an hour is the wrapping sum of one mixed number per (hour, block) over the hours that
a score can see. Integer sums are exact, so a digest does not depend on where the look-back started
to be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.errors import BadInput

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def block_checksum(values: NDArray[np.float64], channel_ids: Sequence[int]) -> int:
    """Fingerprint of a block as a signed 64-bit number, never 0; equal in every process.

    All NaNs are alike, and so are 0.0 and -0.0.

    Parameters
    ----------
    values : (n_steps, n_channels)
    channel_ids : (n_channels,)

    >>> one, other = np.array([[0.0, np.nan]]), np.array([[-0.0, -np.nan]])
    >>> block_checksum(one, [1, 2]) == block_checksum(other, [1, 2])
    True
    """
    return int(block_checksums(values[None], channel_ids)[0])


def block_checksums(
    blocks: NDArray[np.float64],
    channel_ids: Sequence[int],
    n_values: NDArray[np.uint8] | None = None,
) -> NDArray[np.int64]:
    """The `block_checksum` of each of several blocks, (n_blocks, n_steps, n_channels).

    `n_values`, of the same shape, are part of it where steps are made from several readings.

    >>> blocks = np.array([[[1.0]], [[2.0]]])
    >>> int(block_checksums(blocks, [7])[1]) == block_checksum(blocks[1], [7])
    True
    """
    if blocks.ndim != 3 or blocks.shape[2] != len(channel_ids):
        received = f"{blocks.shape[1:]} for {len(channel_ids)}"
        raise BadInput(f"Expected a column of values per channel. Received: {received}.")
    canonical = np.ascontiguousarray(blocks, dtype="<f8") + 0.0
    canonical[np.isnan(canonical)] = np.nan
    head = blake2b(np.array([*blocks.shape[1:], *channel_ids], "<i8").tobytes(), digest_size=8)
    found = np.empty(len(blocks), "<i8")
    several = np.zeros(len(blocks), bool)
    if n_values is not None:
        several = np.asarray((n_values > 1).any(axis=(1, 2)))
    for i, content in enumerate(canonical.reshape(len(blocks), blocks.shape[1] * blocks.shape[2])):
        digest = head.copy()
        digest.update(content.data)
        if n_values is not None and several[i]:
            digest.update(np.ascontiguousarray(n_values[i]).data)
        found[i] = int.from_bytes(digest.digest(), "little", signed=True) or 1
    return found


def mix(checksums: NDArray[np.int64], unix_hours: NDArray[np.int64]) -> NDArray[np.uint64]:
    """One well-mixed number per block and hour; 0 where the checksum is 0, which means: no block.

    Parameters
    ----------
    checksums : (..., n_hours)
    unix_hours : (n_hours,)
        A number of each hour that never changes, such as hours since 1970.

    Source: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators" (the finaliser
    of SplitMix64).

    >>> mixed = mix(np.array([0, 7, 7]), np.array([1, 1, 2]))
    >>> int(mixed[0]), bool(mixed[1] != mixed[2])
    (0, True)
    """
    blocks = np.asarray(checksums, np.int64).view(np.uint64)
    salts = _scramble(np.asarray(unix_hours, np.int64).view(np.uint64))
    return np.where(blocks == 0, np.uint64(0), _scramble(blocks ^ salts))


def digests(
    checksums: NDArray[np.int64], unix_hours: NDArray[np.int64], reach_hours: int
) -> NDArray[np.int64]:
    """The fingerprint of all blocks in `[hour - reach_hours, hour]`, for each hour.

    Parameters
    ----------
    checksums : (..., n_hours)
        One per consecutive hour; 0 where there is no block.
    unix_hours : (n_hours,)
        Evenly spaced numbers of these hours.

    Raises `BadInput` when the hours are not evenly spaced.

    >>> known = digests(np.array([5, 6, 7]), np.array([1, 2, 3]), 1)
    >>> bool(known[2] == digests(np.array([6, 7]), np.array([2, 3]), 1)[1])
    True
    """
    hours = np.asarray(unix_hours, np.int64)
    if hours.size > 2 and np.ptp(np.diff(hours)) != 0:
        wanted = "consecutive hours (0 as the checksum of an hour without a block)"
        raise BadInput(f"Expected {wanted}. Received: a gap.")
    sums = np.cumsum(mix(checksums, hours), axis=-1, dtype=np.uint64)
    seen = sums.copy()
    seen[..., reach_hours + 1 :] -= sums[..., : -(reach_hours + 1)]
    return seen.view(np.int64)


def _scramble(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = numbers + _GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    return mixed ^ (mixed >> np.uint64(31))
