"""PostgreSQL's binary COPY format, encoded and decoded column by column in NumPy.

Every encoder gives the bytes of one column for all rows, and a mask of the bytes that count, since
NULLs and texts make rows of different lengths. Source: PostgreSQL documentation, COPY, "Binary
Format"; array_recv in src/backend/utils/adt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
POSTGRES_ORIGIN_S = 946_684_800
_OIDS = {"i2": 21, "f4": 700, "f8": 701}

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Column:
    """Bytes of one column, shape (n_rows, width), and which of them are sent."""

    content: Bytes
    kept: NDArray[np.bool_] | None = None


def _as_bytes(values: NDArray[Any]) -> Bytes:
    shape = len(values), values.dtype.itemsize * math.prod(values.shape[1:])
    return np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8).reshape(shape)


def _prefixed(values: NDArray[Any], n_bytes: NDArray[Any] | int) -> Bytes:
    body = _as_bytes(values)
    lengths = np.broadcast_to(np.asarray(n_bytes, ">i4"), (len(body),))
    return np.hstack([_as_bytes(lengths.astype(">i4")[:, None]), body])


def number(values: Any, kind: str) -> Column:
    """A column of fixed-width numbers; kind is a NumPy code such as `i4`, `i8`, `f4`, `f8`."""
    array = np.asarray(values).astype(f">{kind}")[:, None]
    return Column(_prefixed(array, array.dtype.itemsize))


def nullable(values: NDArray[np.float64]) -> Column:
    """A column of double precision, NULL where NaN."""
    null = np.isnan(values)
    content = _prefixed(np.where(null, 0.0, values).astype(">f8")[:, None], np.where(null, -1, 8))
    kept = np.ones(content.shape, bool)
    kept[:, 4:] &= ~null[:, None]
    return Column(content, kept)


def timestamptz(unix_s: Any) -> Column:
    """A timestamptz column from seconds since 1970."""
    return number((np.asarray(unix_s, np.int64) - POSTGRES_ORIGIN_S) * 1_000_000, "i8")


def text(values: Sequence[str]) -> Column:
    """A text column.

    Raises `ValueError` when a text holds a NUL character, which Postgres cannot store.
    """
    refused = next((value for value in values if "\0" in value), None)
    if refused is not None:
        raise ValueError(f"Expected texts without a NUL character. Received: {refused!r}.")
    encoded = np.array([value.encode() for value in values], dtype=np.bytes_)[:, None]
    lengths = np.char.str_len(encoded[:, 0])
    content = _prefixed(encoded, lengths)
    return Column(content, np.arange(content.shape[1])[None, :] < lengths[:, None] + 4)


def octets(values: NDArray[Any]) -> Column:
    """A bytea column: the bytes of each row of an array, (n_rows, ...)."""
    body = _as_bytes(values)
    return Column(_prefixed(body, body.shape[1]))


def array(
    values: NDArray[Any],
    kind: str,
    *,
    nullable: bool = False,
    absent: NDArray[np.bool_] | None = None,
) -> Column:
    """A column of arrays of one shape.

    Parameters
    ----------
    values : (n_rows, ...) one or two dimensions per row.
    kind : `i2`, `f4` or `f8`.
    nullable : NaN elements become NULL elements.
    absent : (n_rows,) rows whose whole array is NULL.
    """
    n_rows, shape = len(values), values.shape[1:]
    size = int(kind[1])
    flat = values.reshape(n_rows, math.prod(shape))
    null = np.isnan(flat) if nullable else np.zeros(flat.shape, bool)
    elements = np.zeros(flat.shape, np.dtype([("n", ">i4"), ("v", f">{kind}")]))
    elements["n"] = np.where(null, -1, size)
    elements["v"] = np.where(null, 0, flat)
    head = [len(shape), 0, _OIDS[kind], *(part for n in shape for part in (n, 1))]
    heads = np.tile(np.array(head, ">i4"), (n_rows, 1))
    heads[:, 1] = null.any(axis=1)
    body = np.hstack([_as_bytes(heads), _as_bytes(elements)])
    lengths = body.shape[1] - size * null.sum(axis=1)
    return _array_column(body, lengths, null, 4 * len(head), size, absent)


def _array_column(
    body: Bytes,
    lengths: NDArray[Any],
    null: NDArray[np.bool_],
    n_head: int,
    size: int,
    absent: NDArray[np.bool_] | None,
) -> Column:
    if absent is None and not null.any():
        return Column(_prefixed(body, lengths))
    gone = np.zeros(len(body), bool) if absent is None else absent
    content = _prefixed(body, np.where(gone, -1, lengths))
    kept = np.ones(content.shape, bool)
    values_kept = np.ones((*null.shape, 4 + size), bool)
    values_kept[..., 4:] = ~null[..., None]
    kept[:, 4 + n_head :] = values_kept.reshape(len(body), math.prod(values_kept.shape[1:]))
    kept[:, 4:] &= ~gone[:, None]
    return Column(content, kept)


def encode(columns: Sequence[Column]) -> bytes:
    """The whole COPY stream of rows made of `columns`."""
    n_rows = len(columns[0].content)
    n_fields = np.tile(_as_bytes(np.array([[len(columns)]], ">i2")), (n_rows, 1))
    content = np.hstack([n_fields, *(column.content for column in columns)])
    if all(column.kept is None for column in columns):
        return bytes(HEADER + content.tobytes() + TRAILER)
    parts = [np.ones(column.content.shape, bool) for column in (Column(n_fields), *columns)]
    for part, column in zip(parts[1:], columns, strict=True):
        part &= True if column.kept is None else column.kept
    return bytes(HEADER + content[np.hstack(parts)].tobytes() + TRAILER)


@dataclass(frozen=True)
class Field:
    """One fixed-width column to decode: a NumPy code, and the shape of arrays (NULL-free).

    Of a bytea the kind is `V` with its number of bytes.
    """

    name: str
    kind: str
    shape: tuple[int, ...] = ()

    @property
    def dtype(self) -> list[Any]:
        length: Any = (f"{self.name}_n", ">i4")
        if not self.shape:
            order = "" if self.kind.startswith("V") else ">"
            return [length, (self.name, f"{order}{self.kind}")]
        head = (f"{self.name}_head", ">i4", (3 + 2 * len(self.shape),))
        element = np.dtype([("n", ">i4"), ("v", f">{self.kind}")])
        return [length, head, (self.name, element, self.shape)]


def decode(stream: bytes, fields: Sequence[Field]) -> dict[str, NDArray[Any]]:
    """Columns by name, in native byte order.

    Raises `ValueError` when the rows are not what `fields` say: other widths, a NULL, or arrays
    of another shape.
    """
    dtype = np.dtype([("n_fields", ">i2"), *(part for field in fields for part in field.dtype)])
    body = memoryview(stream)[len(HEADER) : -len(TRAILER)]
    if len(body) % dtype.itemsize:
        raise ValueError(f"Expected rows of {dtype.itemsize} bytes. Received: {len(body)} bytes.")
    rows = np.frombuffer(body, dtype)
    if len(rows) and not (rows["n_fields"] == len(fields)).all():
        raise ValueError(
            f"Expected {len(fields)} columns in every row. Received: rows of another width."
        )
    for field in fields:
        _check_field(field, rows)
    found = {one.name: rows[one.name]["v"] if one.shape else rows[one.name] for one in fields}
    return {name: at.astype(at.dtype.newbyteorder("=")) for name, at in found.items()}


def _check_field(field: Field, rows: NDArray[Any]) -> None:
    """A turned array is as wide as the right one, and some NULLs are as wide as some numbers."""
    if not field.shape:
        fits = rows[f"{field.name}_n"] == rows.dtype[field.name].itemsize
    else:
        head = rows[f"{field.name}_head"]
        said = head[:, [0, 1, *range(3, head.shape[1], 2)]]
        fits = (said == (len(field.shape), 0, *field.shape)).all(axis=1)
    if not fits.all():
        raise ValueError(
            f"Expected {field.name} of shape {field.shape}, without NULL. Received: something else."
        )


def unix_s(pg_micros: NDArray[Any]) -> NDArray[np.int64]:
    """Seconds since 1970 of a decoded timestamptz column."""
    return np.asarray(pg_micros // 1_000_000 + POSTGRES_ORIGIN_S, np.int64)
