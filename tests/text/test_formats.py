"""One formatter: rounded once, half up; what is unknown is never shown as 0."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsad_tasks.text import formats

quick = settings(max_examples=100, deadline=None, derandomize=True)
numbers = st.floats(min_value=-1e8, max_value=1e8, allow_nan=False)


@quick
@given(numbers, st.integers(0, 4))
def test_a_number_is_off_by_at_most_half_of_its_last_digit(value: float, n_decimals: int) -> None:
    if value != 0 and abs(value) < 1e-4:
        return
    text = (
        formats.number_text(value, n_decimals)
        .replace(formats.MINUS, "-")
        .replace(formats.THIN_SPACE, "")
    )
    assert abs(Decimal(text) - Decimal(repr(value))) <= Decimal(1).scaleb(-n_decimals) / 2


@quick
@given(st.floats(0, 1))
def test_a_share_never_reads_zero_or_all_unless_it_is(share: float) -> None:
    text = formats.share_text(share)
    assert (text == "0 %") == (share == 0)
    assert (text == "100 %") == (share == 1)
    assert not text.startswith(("0.0 ", "100.0 "))


@quick
@given(st.floats(min_value=0, max_value=1e8), st.floats(min_value=0, max_value=1e8))
def test_a_longer_duration_never_reads_shorter(one_s: float, other_s: float) -> None:
    low, high = sorted((one_s, other_s))
    assert _seconds(formats.duration_text(low)) <= _seconds(formats.duration_text(high))


def _seconds(text: str) -> int:
    if text == "< 1 s":
        return 0
    units = {"d": 86400, "h": 3600, "min": 60, "s": 1}
    words = text.split()
    return sum(int(n) * units[unit] for n, unit in zip(words[::2], words[1::2], strict=True))


@pytest.mark.parametrize("unknown", [None, math.nan])
def test_what_is_unknown_reads_no_data(unknown: float | None) -> None:
    texts = [
        formats.number_text(unknown),
        formats.value_text(unknown, "bar"),
        formats.share_text(unknown),
        formats.duration_text(unknown),
        formats.ratio_text(unknown),
        formats.difference_text(unknown, 1.0),
        formats.expected_text(unknown, None, None, "bar"),
    ]
    assert set(texts) == {"no data"}


def test_halves_are_rounded_up_and_only_once() -> None:
    assert formats.number_text(50.65, 1) == "50.7"
    assert formats.number_text(2.675, 2) == "2.68"
    assert formats.number_text(-0.5) == "−1"
    assert formats.difference_text(2.8649, 5.0357, 0.38) == "−2.17"


def test_a_rounded_zero_has_no_sign() -> None:
    assert formats.number_text(-0.001, 1) == "0.0"
    assert formats.signed_text(-0.001, 1) == formats.signed_text(0.001, 1) == "0.0"


def test_very_large_and_very_small_numbers_become_powers_of_ten() -> None:
    assert formats.number_text(1.2e12) == "1.20 × 10¹²"
    assert formats.number_text(-3e-7) == "−3.00 × 10⁻⁷"
    assert formats.number_text(9.999e-5) == "1.00 × 10⁻⁴"
    assert formats.number_text(math.inf) == "∞"


def test_both_hours_of_the_autumn_change_are_labelled() -> None:
    first, second = (
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
    )
    assert formats.clock_text(first, "Europe/Berlin") == "02:30 (UTC+2)"
    assert formats.clock_text(second, "Europe/Berlin") == "02:30 (UTC+1)"
    assert formats.clock_text(second + timedelta(hours=1), "Europe/Berlin") == "03:30"


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="Expected a time with a zone"):
        formats.clock_text(datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None), "UTC")


def test_formatting_needs_only_the_standard_library() -> None:
    code = "import tsad_tasks.text.formats, sys;"
    code += "print({'numpy', 'reportlab', 'pandas'} & set(sys.modules))"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        == "set()\n"
    )
