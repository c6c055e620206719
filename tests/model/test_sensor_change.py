"""How readings of changed sensors are seen, and what tells that they are seen otherwise."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tsad_tasks.model.sensor_change import Piece, conversion, convert, pieces, salted, salts

STEP_S, N_HOURS = 600, 12
BEGAN = st.tuples(
    st.integers(1, 2),
    st.integers(-5, 80).map(lambda n: n * STEP_S),
    st.integers(0, 30).map(lambda n: n * STEP_S),
    st.sampled_from([1.0, 2.0]),
    st.sampled_from([0.0, 3.0]),
    st.booleans(),
)


def _pieces(drawn: list[tuple[int, int, int, float, float, bool]]) -> list[Piece]:
    """Changes in the order of their beginning, some of which are not known yet."""
    ordered = sorted(drawn, key=lambda one: one[1])
    return pieces(
        [
            (channel, from_s, from_s + wait_s, scale, offset)
            if known
            else (channel, from_s, None, None, None)
            for channel, from_s, wait_s, scale, offset, known in ordered
        ]
    )


def _seen(parts: list[Piece], channel: int) -> np.ndarray:
    values = np.arange(1.0, 1 + N_HOURS * 6)
    convert(values, [part for part in parts if part.channel_id == channel], 0, STEP_S)
    return values.reshape(N_HOURS, 6)


@settings(deadline=None)
@given(st.lists(BEGAN, max_size=5))
def test_the_latest_change_that_began_decides_alone(
    drawn: list[tuple[int, int, int, float, float, bool]],
) -> None:
    ordered, seen = sorted(drawn, key=lambda one: one[1]), _seen(_pieces(drawn), 1).reshape(-1)
    for step, value in enumerate(seen.tolist()):
        deciding = [one for one in ordered if one[0] == 1 and one[1] <= step * STEP_S][-1:]
        expected = step + 1.0
        for _, from_s, wait_s, scale, offset, known in deciding:
            usable = known and step * STEP_S >= from_s + wait_s
            expected = expected * scale + offset if usable else np.nan
        np.testing.assert_equal(value, expected)


@settings(deadline=None)
@given(st.lists(BEGAN, max_size=4), st.lists(BEGAN, max_size=4))
def test_hours_that_are_seen_otherwise_have_another_salt(
    one: list[tuple[int, int, int, float, float, bool]],
    other: list[tuple[int, int, int, float, float, bool]],
) -> None:
    hours_s = 3600 * np.arange(N_HOURS)
    before, after = _pieces(one), _pieces(other)
    same = salts(before, hours_s) == salts(after, hours_s)
    for channel in (1, 2):
        np.testing.assert_array_equal(_seen(before, channel)[same], _seen(after, channel)[same])


def test_salts_leave_no_block_unknown_and_none_known() -> None:
    checksums = np.array([0, 1, -1, 5])
    salt = np.array([3, 3, 3, 0], np.uint64)
    assert (salted(checksums, salt) == 0).tolist() == [True, False, False, False]
    assert salted(checksums, salt)[3] == 5


def test_a_sensor_that_stands_still_is_only_moved() -> None:
    assert conversion(np.full(5, 4.0), np.array([9.0, 10.0, 11.0])) == (1.0, -6.0)
