"""Wall-clock times as UTC, on the two days of the year that are not 24 hours long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsad_tasks.base.local_time import local_range, utc_from_local

quick = settings(max_examples=80, deadline=None, derandomize=True)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
]


def _local_us(text: str) -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


def _converted(text: str, ambiguous: str = "first"):
    found = utc_from_local(np.array([_local_us(text)]), BERLIN, ambiguous)
    at = EPOCH + timedelta(microseconds=int(found.times_us[0]))
    return f"{at:%H:%M}", bool(found.ambiguous[0]), bool(found.nonexistent[0])


@pytest.mark.parametrize(
    ("text", "rule", "expected"),
    [
        ("2024-10-27 01:59", "first", ("23:59", False, False)),
        ("2024-10-27 02:30", "first", ("00:30", True, False)),
        ("2024-10-27 02:30", "second", ("01:30", True, False)),
        ("2024-10-27 03:00", "first", ("02:00", False, False)),
        ("2024-03-31 01:59", "first", ("00:59", False, False)),
        ("2024-03-31 02:30", "first", ("01:30", False, True)),
        ("2024-03-31 03:00", "first", ("01:00", False, False)),
    ],
)
def test_days_of_clock_changes(text, rule, expected):
    assert _converted(text, rule) == expected


@quick
@given(st.integers(0, 2_000_000_000), st.sampled_from(ZONES))
def test_every_utc_time_is_found_again(utc_s, zone):
    at = datetime.fromtimestamp(utc_s, ZoneInfo(zone))
    local_us = (at.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
    rule = "second" if at.fold else "first"
    found = utc_from_local(np.array([local_us]), ZoneInfo(zone), rule)
    assert int(found.times_us[0]) == utc_s * 1_000_000
    assert not found.nonexistent[0]


@quick
@given(st.integers(0, 500_000), st.sampled_from(ZONES))
def test_the_local_range_holds_every_time_of_the_hour(hour, zone):
    start_s = hour * 3600
    low_us, high_us = local_range(start_s * 1_000_000, (start_s + 3600) * 1_000_000, ZoneInfo(zone))
    for utc_s in (start_s, start_s + 1800, start_s + 3599):
        local = datetime.fromtimestamp(utc_s, ZoneInfo(zone)).replace(tzinfo=UTC)
        assert low_us <= (local - EPOCH) // timedelta(microseconds=1) < high_us
