"""Binary COPY against a slow twin, and against what psycopg2 reads and writes."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from psycopg2.extensions import connection as Connection

from devstack.postgres import Cluster
from tsad_tasks.storage import copy_binary as binary
from tsad_tasks.storage.database import connect

OIDS = {"h": 21, "f": 700, "d": 701}
NULL = struct.pack(">i", -1)
ODD = [math.nan, math.inf, -math.inf, -0.0, 0.0, 5e-324, 1.7976931348623157e308]
DOUBLES = st.one_of(st.sampled_from(ODD), st.floats())
REALS = st.one_of(st.sampled_from([math.nan, math.inf, -math.inf, -0.0]), st.floats(width=32))
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)


def slow_field(code: str, value: Any) -> bytes:
    """One number, or NULL."""
    return (
        NULL
        if value is None
        else struct.pack(">i", struct.calcsize(f">{code}")) + struct.pack(f">{code}", value)
    )


def slow_array(code: str, values: Any, *, nullable: bool) -> bytes:
    """One array of one or two dimensions, or NULL."""
    if values is None:
        return NULL
    flat = [
        None if nullable and math.isnan(value) else value for value in np.ravel(values).tolist()
    ]
    head = struct.pack(">iii", np.ndim(values), any(value is None for value in flat), OIDS[code])
    head += b"".join(struct.pack(">ii", n, 1) for n in np.shape(values))
    body = head + b"".join(slow_field(code, value) for value in flat)
    return struct.pack(">i", len(body)) + body


def slow_text(value: str) -> bytes:
    return struct.pack(">i", len(value.encode())) + value.encode()


def slow_stream(rows: Sequence[Sequence[bytes]]) -> bytes:
    """Rows of encoded fields."""
    body = b"".join(struct.pack(">h", len(row)) + b"".join(row) for row in rows)
    return binary.HEADER + body + binary.TRAILER


def _blocks(strategy: st.SearchStrategy[float], dtype: type) -> st.SearchStrategy[Any]:
    shapes = hnp.array_shapes(min_dims=2, max_dims=3, max_side=4)
    return hnp.arrays(dtype, shapes, elements=strategy)


@given(_blocks(DOUBLES, np.float64), st.booleans())
def test_arrays_of_doubles_are_the_slow_twins(values: Any, nullable: bool) -> None:
    made = binary.encode([binary.array(values, "f8", nullable=nullable)])
    assert made == slow_stream([[slow_array("d", row, nullable=nullable)] for row in values])


@given(_blocks(REALS, np.float32), st.data())
def test_absent_arrays_and_null_elements_are_the_slow_twins(
    values: Any, data: st.DataObject
) -> None:
    absent = data.draw(hnp.arrays(bool, len(values)))
    made = binary.encode([binary.array(values, "f4", nullable=True, absent=absent)])
    rows = [None if gone else row for gone, row in zip(absent, values, strict=True)]
    assert made == slow_stream([[slow_array("f", row, nullable=True)] for row in rows])


@given(
    st.lists(st.tuples(TEXTS, st.integers(-(2**31), 2**31 - 1), DOUBLES, st.booleans()), max_size=5)
)
def test_rows_of_texts_numbers_and_nulls_are_the_slow_twins(
    rows: list[tuple[str, int, float, bool]],
) -> None:
    texts = [row[0] for row in rows]
    integers, doubles, flags = ([row[i] for row in rows] for i in (1, 2, 3))
    columns = [
        binary.text(texts),
        binary.number(integers, "i4"),
        binary.nullable(np.array(doubles, float)),
    ]
    fields = [
        [
            slow_text(t),
            slow_field("i", n),
            slow_field("d", None if math.isnan(x) else x),
            slow_field("b", flag),
        ]
        for t, n, x, flag in rows
    ]
    assert binary.encode([*columns, binary.number(flags, "i1")]) == slow_stream(fields)


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(0, 3), st.just(2), st.just(3)), elements=DOUBLES)
)
def test_what_is_encoded_is_decoded_to_the_bit(values: Any) -> None:
    times_s = np.arange(len(values)) * 3600
    stream = binary.encode([binary.timestamptz(times_s), binary.array(values, "f8")])
    found = binary.decode(stream, [binary.Field("at", "i8"), binary.Field("values", "f8", (2, 3))])
    assert binary.unix_s(found["at"]).tolist() == times_s.tolist()
    assert found["values"].tobytes() == values.tobytes()


def test_no_rows_are_a_header_and_a_trailer() -> None:
    columns = [
        binary.text([]),
        binary.number([], "i4"),
        binary.nullable(np.zeros(0)),
        binary.array(np.zeros((0, 2, 3)), "f8"),
        binary.array(np.zeros((0, 2)), "f4", nullable=True, absent=np.zeros(0, bool)),
    ]
    assert binary.encode(columns) == binary.HEADER + binary.TRAILER


def test_a_text_with_a_null_character_is_refused_since_postgres_has_none() -> None:
    with pytest.raises(
        ValueError, match=r"Expected texts without a NUL character. Received: 'pump\\x00'"
    ):
        binary.text(["fan", "pump\0"])


def test_rows_that_are_not_of_the_expected_shape_are_refused() -> None:
    stream = binary.encode([binary.array(np.array([[1.0, math.nan]]), "f8", nullable=True)])
    with pytest.raises(ValueError, match="Expected rows of 50 bytes"):
        binary.decode(stream, [binary.Field("values", "f8", (2,))])
    seven_rows_as_wide_as_eight = binary.encode(
        [binary.number(range(7), "i4"), binary.number(range(7), "i2")]
    )
    with pytest.raises(ValueError, match="Expected 1 columns in every row"):
        binary.decode(seven_rows_as_wide_as_eight, [binary.Field("n", "i8")])


def test_arrays_of_another_shape_or_with_nulls_are_not_mistaken_for_numbers() -> None:
    turned = binary.encode([binary.array(np.arange(6.0).reshape(1, 3, 2), "f8")])
    with pytest.raises(ValueError, match=r"Expected values of shape \(2, 3\), without NULL"):
        binary.decode(turned, [binary.Field("values", "f8", (2, 3))])
    three_nulls_as_wide_as_a_double = binary.encode(
        [binary.array(np.full((1, 4), np.nan), "f4", nullable=True)]
    )
    with pytest.raises(ValueError, match=r"Expected errors of shape \(2,\), without NULL"):
        binary.decode(three_nulls_as_wide_as_a_double, [binary.Field("errors", "f4", (2,))])


@pytest.fixture(scope="module")
def database(cluster: Cluster) -> Iterator[Connection]:
    """A connection with one table of all kinds."""
    connection = connect(cluster.create_database(f"copy_binary_{uuid4().hex}"))
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE sample (n int, at timestamptz, name text, x float8, flags "
            "smallint[], "
            "readings float8[], errors real[])"
        )
    yield connection
    connection.close()
    cluster.drop_database("copy_binary")


ROWS = st.lists(
    st.tuples(
        st.integers(-(2**31), 2**31 - 1),
        st.integers(-2_000_000_000, 4_000_000_000),
        TEXTS,
        DOUBLES,
        hnp.arrays(np.int16, 2),
        hnp.arrays(np.float64, (2, 2), elements=DOUBLES),
        hnp.arrays(np.float32, 2, elements=REALS),
        st.booleans(),
    ),
    max_size=4,
)


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_psycopg2_reads_what_was_copied(database: Connection, rows: list[Any]) -> None:
    n, times_s, names, x, flags, readings, errors, absent = (
        zip(*rows, strict=True) if rows else [()] * 8
    )
    _copy_in(
        database,
        [
            binary.number(n, "i4"),
            binary.timestamptz(times_s),
            binary.text(names),
            binary.nullable(np.array(x, float)),
            binary.array(np.array(flags, np.int16).reshape(-1, 2), "i2"),
            binary.array(np.array(readings, float).reshape(-1, 2, 2), "f8"),
            binary.array(
                np.array(errors, np.float32).reshape(-1, 2),
                "f4",
                nullable=True,
                absent=np.array(absent, bool),
            ),
        ],
    )
    found = _select(
        database, "SELECT n, at, name, x, flags, readings, errors::float8[] FROM sample"
    )
    assert repr(found) == repr([_as_read(*row) for row in rows])


def _as_read(
    n: int, at_s: int, name: str, x: float, flags: Any, readings: Any, errors: Any, absent: bool
) -> Any:
    known = [None if math.isnan(error) else error for error in errors.tolist()]
    at = datetime.fromtimestamp(at_s, UTC)
    last = None if absent else known
    return n, at, name, None if math.isnan(x) else x, flags.tolist(), readings.tolist(), last


@settings(max_examples=20, deadline=None)
@given(hnp.arrays(np.float64, st.tuples(st.integers(0, 3), st.just(2)), elements=DOUBLES))
def test_what_psycopg2_wrote_is_decoded_to_the_bit(database: Connection, values: Any) -> None:
    with database.cursor() as cursor:
        cursor.execute("TRUNCATE sample")
        for i, row in enumerate(values):
            text = "{" + ",".join(repr(value) for value in row.tolist()) + "}"
            cursor.execute("INSERT INTO sample (n, readings) VALUES (%s, %s)", (i, text))
        stream = io.BytesIO()
        cursor.copy_expert(
            "COPY (SELECT n, readings FROM sample ORDER BY n) TO STDOUT (FORMAT binary)", stream
        )
    found = binary.decode(
        stream.getvalue(), [binary.Field("n", "i4"), binary.Field("values", "f8", (2,))]
    )
    assert found["n"].tolist() == list(range(len(values)))
    assert repr(found["values"].tolist()) == repr(values.tolist())


def _copy_in(connection: Connection, columns: list[binary.Column]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE sample")
        cursor.copy_expert(
            "COPY sample FROM STDIN (FORMAT binary)", io.BytesIO(binary.encode(columns))
        )


def _select(connection: Connection, statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())
