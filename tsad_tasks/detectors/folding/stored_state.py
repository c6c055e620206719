"""States of entities as bytes, to be stored: a list of arrays and their content, no pickle.

One frame of Zstandard holds how long the list is, the list as JSON (names, types, shapes), and the
arrays one after the other. Older states are archives of NumPy.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

from tsad_tasks.base.arrays import Arrays
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.lazy import np
from tsad_tasks.detectors.folding.fold import State

_FRAME, _ARCHIVE = b"\x28\xb5\x2f\xfd", b"PK"
_LENGTH = struct.Struct("<I")


class _Part(NamedTuple):
    """Where an array lies among the bytes of one entity."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    first: int
    end: int


def states_bytes(state: State) -> list[bytes]:
    """The state of each entity, the first axis of its arrays; a checksum goes with it."""
    from backports.zstd import CompressionParameter, ZstdCompressor

    stored = {name: _stored(array) for name, array in state.items()}
    described = json.dumps(
        [[name, array.dtype.str, array.shape[1:]] for name, array in stored.items()]
    ).encode()
    head = _LENGTH.pack(len(described)) + described
    options = dict[int, int](
        {CompressionParameter.compression_level: 1, CompressionParameter.checksum_flag: 1}
    )
    n_entities = len(next(iter(stored.values())))
    return [
        ZstdCompressor(options=options).compress(
            b"".join([head, *(array[entity].tobytes() for array in stored.values())]),
            ZstdCompressor.FLUSH_FRAME,
        )
        for entity in range(n_entities)
    ]


def joined_state(contents: Sequence[bytes]) -> State:
    """The state of several entities from the bytes of each.

    Raises `BadInput` where bytes are no state, or states of two kinds.
    """
    from backports.zstd import ZstdError, decompress

    state: Arrays = {}
    for entity, content in enumerate(contents):
        if content[:2] == _ARCHIVE:
            arrays = _archive(content)
        elif content[:4] == _FRAME:
            try:
                arrays = _arrays(decompress(content))
            except ZstdError as error:
                raise BadInput(f"Expected a whole state. Received: {error}.") from error
        else:
            raise BadInput(f"Expected a state. Received: {len(content)} other bytes.")
        if not entity:
            state = {
                name: np.empty((len(contents), *array.shape), array.dtype)
                for name, array in arrays.items()
            }
        if state.keys() != arrays.keys():
            raise BadInput("Expected states of one detector. Received: states of two.")
        for name, array in arrays.items():
            state[name][entity] = array
    return state


def _stored(array: Any) -> Any:
    """The array as it is stored: in one piece, the low byte first."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))


def _arrays(content: bytes) -> Arrays:
    (length,) = _LENGTH.unpack_from(content)
    start = _LENGTH.size + length
    return {
        part.name: np.frombuffer(content, part.dtype, prod(part.shape), start + part.first).reshape(
            part.shape
        )
        for part in _parts(content[_LENGTH.size : start])
    }


@lru_cache(maxsize=16)
def _parts(described: bytes) -> tuple[_Part, ...]:
    """Where the arrays of a list lie; all entities of a model have the same."""
    parts, first = [], 0
    for name, dtype, shape in json.loads(described):
        end = first + np.dtype(dtype).itemsize * prod(shape)
        parts.append(_Part(name, dtype, tuple(shape), first, end))
        first = end
    return tuple(parts)


def _archive(content: bytes) -> Arrays:
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        return {name: found[name] for name in found.files}
