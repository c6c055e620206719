"""A digest changes exactly when something changed that the hour can see."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsad_tasks.base.digest import block_checksum, digests, mix
from tsad_tasks.base.errors import BadInput

quick = settings(max_examples=60, deadline=None, derandomize=True)
VALUES = np.array([[1.0, np.nan], [0.0, 4.0]])


def test_a_checksum_is_the_same_in_another_process() -> None:
    program = (
        "import numpy as np; from tsad_tasks.base.digest import block_checksum;"
        "print(block_checksum(np.array([[1.0, np.nan], [0.0, 4.0]]), [3, 5]))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert int(found.stdout) == block_checksum(VALUES, [3, 5])


def test_nans_and_zeros_of_any_kind_and_memory_layouts_are_alike() -> None:
    other = np.asfortranarray(VALUES)
    other[0, 1] = np.frombuffer(np.uint64(0x7FF8DEADBEEF0001).tobytes(), np.float64)[0]
    other[1, 0] = -0.0
    assert block_checksum(other, [3, 5]) == block_checksum(VALUES, [3, 5])


def test_values_channels_and_shape_each_change_a_checksum() -> None:
    found = {
        block_checksum(VALUES, [3, 5]),
        block_checksum(np.nextafter(VALUES, np.inf), [3, 5]),
        block_checksum(VALUES, [5, 3]),
        block_checksum(VALUES.reshape(1, 4), [1, 2, 3, 5]),
        block_checksum(VALUES.reshape(4, 1), [3]),
    }
    assert len(found) == 5
    assert 0 not in found


def test_a_checksum_leaves_the_readings_untouched() -> None:
    values = np.array([[-0.0, 1.0]])
    block_checksum(values, [1, 2])
    assert np.signbit(values[0, 0])


@quick
@given(st.integers(0, 10_000), st.integers(0, 10), st.integers(0, 30))
def test_a_change_is_seen_in_exactly_the_hours_within_reach(
    seed: int, reach: int, changed: int
) -> None:
    checksums = np.random.default_rng(seed).integers(-(2**63), 2**63, (2, 40))
    hours = 480_000 + np.arange(40)
    other = checksums.copy()
    other[0, changed] += 1
    differ = digests(checksums, hours, reach) != digests(other, hours, reach)
    assert np.flatnonzero(differ[0]).tolist() == list(range(changed, min(changed + reach, 39) + 1))
    assert not differ[1].any()


@quick
@given(st.integers(0, 10_000), st.integers(0, 10), st.integers(0, 20))
def test_digests_do_not_depend_on_where_reading_starts(seed: int, reach: int, start: int) -> None:
    checksums = np.random.default_rng(seed).integers(-(2**63), 2**63, 40)
    hours = 480_000 + np.arange(40)
    part = digests(checksums[start:], hours[start:], reach)
    assert (part[reach:] == digests(checksums, hours, reach)[start + reach :]).all()


def test_absent_blocks_count_for_nothing_and_equal_blocks_swapped_between_hours_do() -> None:
    hours = np.array([10, 11, 12])
    assert digests(np.array([0, 0, 0]), hours, 2).tolist() == [0, 0, 0]
    assert digests(np.array([5, 6, 0]), hours, 2)[2] != digests(np.array([6, 5, 0]), hours, 2)[2]
    assert mix(np.array([5]), np.array([1]))[0] != mix(np.array([5]), np.array([2]))[0]


def test_hours_with_a_gap_are_refused() -> None:
    with pytest.raises(BadInput, match="consecutive hours"):
        digests(np.array([1, 2, 3]), np.array([1, 2, 4]), 1)


def test_channels_that_do_not_fit_the_block_are_refused() -> None:
    with pytest.raises(BadInput, match="a column of values per channel"):
        block_checksum(VALUES, [1])
