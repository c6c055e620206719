"""Hours and days are UTC, half-open and complete."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import (
    day_chunks,
    from_unix_s,
    hour_ceil,
    hour_floor,
    hours_between,
    moment,
    unix_s,
)

quick = settings(max_examples=60, deadline=None, derandomize=True)
NAIVE_AT = datetime(2024, 5, 1, tzinfo=UTC).replace(tzinfo=None)
times = st.builds(
    lambda s, zone: datetime.fromtimestamp(s, zone),
    st.floats(1_577_000_000, 1_893_000_000),
    st.sampled_from([UTC, ZoneInfo("Europe/Berlin")]),
)


@pytest.mark.parametrize("ask", [unix_s, hour_floor, hour_ceil])
def test_a_time_without_zone_is_refused(ask: object) -> None:
    with pytest.raises(BadInput, match="Expected a time with a zone"):
        ask(NAIVE_AT)  # type: ignore[operator]


@quick
@given(times)
def test_floor_and_ceil_enclose_a_time_in_one_utc_hour(at: datetime) -> None:
    assert hour_floor(at) <= at <= hour_ceil(at) <= hour_floor(at) + timedelta(hours=1)
    assert hour_ceil(at).utcoffset() == timedelta(0)
    assert unix_s(hour_floor(at)) % 3600 == 0


@quick
@given(times, st.integers(0, 100_000))
def test_hours_between_cover_the_interval_and_no_more(start_at: datetime, length_s: int) -> None:
    end_at = start_at.astimezone(UTC) + timedelta(seconds=length_s)
    hours = hours_between(start_at, end_at)
    assert all(later - hour == timedelta(hours=1) for hour, later in pairwise(hours))
    assert bool(hours) == (length_s > 0)
    if hours:
        assert hours[0] == hour_floor(start_at)
        assert hours[-1] < end_at <= hours[-1] + timedelta(hours=1)


@quick
@given(times, st.integers(1, 1_000_000), st.integers(1, 4))
def test_day_chunks_join_seamlessly_and_cut_at_midnight(
    start_at: datetime, length_s: int, days: int
) -> None:
    end_at = start_at.astimezone(UTC) + timedelta(seconds=length_s)
    chunks = day_chunks(start_at, end_at, days)
    assert chunks[0][0] == start_at.astimezone(UTC)
    assert chunks[-1][1] == end_at
    assert [b for _, b in chunks[:-1]] == [a for a, _ in chunks[1:]]
    assert all(unix_s(a) % 86400 == 0 and a.microsecond == 0 for a, _ in chunks[1:])
    assert all(a < b <= a + timedelta(days=days) for a, b in chunks)


@pytest.mark.parametrize("fold", [0, 1])
def test_both_hours_of_the_autumn_change_are_told_apart(fold: int) -> None:
    at = datetime(2024, 10, 27, 2, tzinfo=ZoneInfo("Europe/Berlin"), fold=fold)
    assert hour_floor(at).hour == hour_ceil(at).hour == fold
    assert day_chunks(at, datetime(2024, 10, 28, tzinfo=UTC))[0][0].hour == fold
    assert len(hours_between(at, datetime(2024, 10, 27, 3, tzinfo=UTC))) == 3 - fold


def test_an_empty_interval_has_no_hours_and_no_chunks() -> None:
    at = datetime(2024, 5, 1, 7, 30, tzinfo=UTC)
    assert hours_between(at, at) == []
    assert day_chunks(at, at) == []


@quick
@given(st.integers(-(10**9), 4 * 10**9))
def test_unix_seconds_go_there_and_back(s: int) -> None:
    assert unix_s(from_unix_s(s)) == s


def test_a_chunk_of_no_days_is_refused() -> None:
    at = datetime(2024, 5, 1, tzinfo=UTC)
    with pytest.raises(BadInput, match="at least 1 day"):
        day_chunks(at, at, 0)


@pytest.mark.parametrize("text", ["0001-01-01", "1969-12-31", "2100-01-01T00:01", "9999-12-31"])
def test_a_time_beyond_what_sensors_live_through_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="Expected a time from 1970 to 2100. Received: " + text):
        moment(text)
