"""Maintenance keeps to the wall clock, whatever clocks do."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsad_tasks.base.errors import BadInput
from tsad_tasks.feedback.recurrence import occurrences

BERLIN = ZoneInfo("Europe/Berlin")
YEAR = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def _local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def _shown(found: list[tuple[datetime, datetime]]) -> list[str]:
    return [
        f"{a.astimezone(BERLIN):%m-%d %H:%M} {(b - a) / timedelta(hours=1):g} h" for a, b in found
    ]


def test_a_window_recurs_at_the_same_wall_clock_time_before_and_after_clocks_change() -> None:
    span = (_local("2026-03-21 22:00"), _local("2026-03-22 06:00"))
    found = occurrences(span, "FREQ=WEEKLY;BYDAY=SA;COUNT=3", BERLIN, YEAR)
    assert _shown(found) == ["03-21 22:00 8 h", "03-28 22:00 7 h", "04-04 22:00 8 h"]
    autumn = (_local("2026-10-17 22:00"), _local("2026-10-18 06:00"))
    assert _shown(occurrences(autumn, "FREQ=WEEKLY;COUNT=2", BERLIN, YEAR)) == [
        "10-17 22:00 8 h",
        "10-24 22:00 9 h",
    ]


def test_an_hour_that_clocks_skip_or_show_twice_is_inside() -> None:
    night = (_local("2026-03-28 02:00"), _local("2026-03-28 02:30"))
    assert _shown(occurrences(night, "FREQ=DAILY;COUNT=2", BERLIN, YEAR)) == [
        "03-28 02:00 0.5 h",
        "03-29 03:00 0.5 h",
    ]
    autumn = (_local("2026-10-24 02:00"), _local("2026-10-24 02:30"))
    assert _shown(occurrences(autumn, "FREQ=DAILY;COUNT=2", BERLIN, YEAR)) == [
        "10-24 02:00 0.5 h",
        "10-25 02:00 1.5 h",
    ]


def test_the_end_of_a_rule_is_a_moment_and_not_a_wall_clock_time() -> None:
    span = (_local("2026-06-01 01:00"), _local("2026-06-01 02:00"))
    rule = "FREQ=DAILY;UNTIL=20260602T230000Z"
    assert _shown(occurrences(span, rule, BERLIN, YEAR)) == [
        "06-01 01:00 1 h",
        "06-02 01:00 1 h",
        "06-03 01:00 1 h",
    ]


def test_without_a_rule_it_is_once_and_only_what_touches_the_range_is_found() -> None:
    span = (_local("2026-06-01 01:00"), _local("2026-06-01 02:00"))
    assert occurrences(span, None, BERLIN, YEAR) == [tuple(at.astimezone(UTC) for at in span)]
    assert occurrences(span, None, BERLIN, (span[1], YEAR[1])) == []


@pytest.mark.parametrize("rule", ["FREQ=SOMETIMES", "every sunday", "FREQ=WEEKLY;BYDAY=XX", ""])
def test_a_rule_that_cannot_be_read_is_bad_input(rule: str) -> None:
    span = (_local("2026-06-01 01:00"), _local("2026-06-01 02:00"))
    with pytest.raises(BadInput, match="Expected a rule of RFC 5545"):
        occurrences(span, rule, BERLIN, YEAR)


@given(st.integers(0, 364), st.integers(1, 40), st.integers(0, 23), st.integers(1, 96))
def test_a_part_of_the_year_has_the_times_of_the_whole_year_that_touch_it(
    first: int, days: int, hour: int, quarters: int
) -> None:
    start = _local(f"2025-12-28 {hour:02}:00")
    span = (start, start + timedelta(minutes=15 * quarters))
    within = (YEAR[0] + timedelta(days=first), YEAR[0] + timedelta(days=first + days))
    whole = occurrences(
        span, "FREQ=DAILY", BERLIN, (YEAR[0] - timedelta(days=9), YEAR[1] + timedelta(days=60))
    )
    expected = [(a, b) for a, b in whole if b > within[0] and a < within[1]]
    assert occurrences(span, "FREQ=DAILY", BERLIN, within) == expected


@pytest.mark.parametrize("days", ["", "BYDAY=MO,WE,SU;BYSETPOS=2", "BYDAY=TU;WKST=SU"])
@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("frequency", ["DAILY", "WEEKLY"])
def test_a_first_time_long_ago_changes_nothing_and_costs_nothing(
    frequency: str, every: int, days: str
) -> None:
    """As it goes on from the first time, which is what a range that begins before it looks at."""
    span = (_local("2026-01-07 02:00"), _local("2026-01-07 03:00"))
    is_set = frequency == "DAILY" and "BYSETPOS" in days
    rule = f"FREQ={frequency};INTERVAL={every};{'BYDAY=MO' if is_set else days}".rstrip(";")
    whole = occurrences(span, rule, BERLIN, YEAR)
    for month in range(1, 12):
        within = (YEAR[0].replace(month=month), YEAR[0].replace(month=month + 1))
        assert occurrences(span, rule, BERLIN, within) == [
            one for one in whole if one[1] > within[0] and one[0] < within[1]
        ]
    ancient = (datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, 1, tzinfo=UTC))
    started_s = time.process_time()
    occurrences(ancient, "FREQ=DAILY", BERLIN, YEAR)
    assert time.process_time() - started_s < 0.1
