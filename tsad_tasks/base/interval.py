"""Half-open time intervals `[start_at, end_at)` in UTC: hours, days and Unix seconds.

A time without a zone is `BadInput` everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from tsad_tasks.base.errors import BadInput

HOUR = timedelta(hours=1)
# What people may type, as tsad.check_range has it.
_TYPED = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Span = tuple[datetime, datetime]


class Interval(NamedTuple):
    """A stretch of time; `_asdict()` gives what a query calls its ends."""

    start_at: datetime
    end_at: datetime


def ordered(start_at: datetime, end_at: datetime) -> Interval:
    """The range, if it starts before its end.

    >>> ordered(EPOCH, EPOCH + HOUR).end_at.hour
    1
    """
    if start_at >= end_at:
        ends = " to ".join(f"{at:%Y-%m-%d %H:%M}" for at in (start_at, end_at))
        raise BadInput(f"Expected a range that starts before its end. Received: {ends} UTC.")
    return Interval(start_at, end_at)


def unix_s(at: datetime) -> int:
    """Whole seconds since 1970 in UTC, rounded down.

    >>> unix_s(datetime(1970, 1, 2, tzinfo=UTC))
    86400
    """
    return (_in_utc(at) - EPOCH) // timedelta(seconds=1)


def unix_us(at: datetime) -> int:
    """Microseconds since 1970 in UTC, of whole seconds, rounded down.

    >>> unix_us(datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC))
    2000000
    """
    return unix_s(at) * 1_000_000


def from_unix_s(s: int) -> datetime:
    """The time, in UTC, that is `s` seconds after 1970.

    >>> from_unix_s(3600).isoformat()
    '1970-01-01T01:00:00+00:00'
    """
    return EPOCH + timedelta(seconds=int(s))


def hour_floor(at: datetime) -> datetime:
    """The UTC hour that holds `at`.

    >>> hour_floor(datetime(2024, 5, 1, 7, 59, tzinfo=UTC)).hour
    7
    """
    return _in_utc(at).replace(minute=0, second=0, microsecond=0)


def hour_ceil(at: datetime) -> datetime:
    """The first UTC hour at or after `at`.

    >>> hour_ceil(datetime(2024, 5, 1, 7, 1, tzinfo=UTC)).hour
    8
    """
    floor = hour_floor(at)
    # In UTC: elsewhere, while clocks are set back, Python calls a time unequal to everything.
    return floor if floor == _in_utc(at) else floor + HOUR


def hours_between(start_at: datetime, end_at: datetime) -> list[datetime]:
    """The UTC hours that `[start_at, end_at)` touches, ascending; none when the interval is empty.

    >>> end_at = datetime(2024, 5, 1, 9, tzinfo=UTC)
    >>> [at.hour for at in hours_between(end_at.replace(hour=7, minute=30), end_at)]
    [7, 8]
    """
    first, end = hour_floor(start_at), _in_utc(end_at)
    if end <= _in_utc(start_at):
        return []
    return [first + i * HOUR for i in range(-((first - end) // HOUR))]


def day_chunks(start_at: datetime, end_at: datetime, days: int = 1) -> list[Span]:
    """`[start_at, end_at)` cut at UTC midnights, `days` (at least 1) apart from the one before it.

    >>> start_at = datetime(2024, 5, 1, 7, tzinfo=UTC)
    >>> chunks = day_chunks(start_at, start_at.replace(day=2, hour=3))
    >>> [(a.hour, b.hour) for a, b in chunks]
    [(7, 0), (0, 3)]
    """
    if days < 1:
        raise BadInput(f"Expected at least 1 day per chunk. Received: {days}.")
    start, end = _in_utc(start_at), _in_utc(end_at)
    cuts, midnight = [start], start.replace(hour=0, minute=0, second=0, microsecond=0)
    while (cut := midnight + len(cuts) * timedelta(days=days)) < end:
        cuts.append(cut)
    return list(pairwise([*cuts, end])) if start < end else []


def _in_utc(at: datetime) -> datetime:
    if at.utcoffset() is None:
        wanted = "a time with a zone, such as 2024-05-01T00:00+00:00"
        raise BadInput(f"Expected {wanted}. Received: {at.isoformat()}.")
    return at.astimezone(UTC)


def moment(text: str) -> datetime:
    """The time that a person typed, in UTC when it has no offset.

    Raises `BadInput` for what is none, or lies outside of 1970 to 2100: around the ends of the
    calendar nothing can be reckoned, and centuries have millions of hours.

    >>> moment("2026-03-01 06:00").isoformat()
    '2026-03-01T06:00:00+00:00'
    """
    try:
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        wanted = "a time such as 2026-03-01T06:00 (UTC) or 2026-03-01T06:00+01:00"
        raise BadInput(f"Expected {wanted}. Received: {text}.") from error
    if not _TYPED[0] <= at <= _TYPED[1]:
        raise BadInput(f"Expected a time from 1970 to 2100. Received: {text}.")
    return at


def whole_hours(start_at: datetime, end_at: datetime) -> Span:
    """The whole hours that cover [start_at, end_at).

    >>> start_at, end_at = whole_hours(from_unix_s(3601), from_unix_s(7201))
    >>> start_at.hour, end_at.hour
    (1, 3)
    """
    return hour_floor(start_at), hour_ceil(end_at)


def hours_later(at: datetime, n_hours: int) -> datetime:
    """`at` and so many hours.

    >>> hours_later(from_unix_s(3600), 2).hour
    3
    """
    return at + n_hours * HOUR


def without(span: Span, cuts: Iterable[Span]) -> list[Span]:
    """What is left of a range, ascending.

    >>> at = [datetime(2026, 3, day) for day in range(1, 7)]
    >>> [(a.day, b.day) for a, b in without((at[0], at[5]), [(at[1], at[2]), (at[4], at[5])])]
    [(1, 2), (3, 5)]
    """
    parts = [span]
    for start, end in cuts:
        pieces = [piece for a, b in parts for piece in ((a, min(b, start)), (max(a, end), b))]
        parts = [(a, b) for a, b in pieces if a < b]
    return sorted(parts)


def merged(spans: Sequence[Span], gap: timedelta = timedelta(0)) -> list[Span]:
    """The ranges, those joined that overlap or are at most `gap` apart, ascending.

    >>> at = [datetime(2026, 3, day) for day in range(1, 7)]
    >>> [(a.day, b.day) for a, b in merged([(at[3], at[5]), (at[0], at[2]), (at[1], at[3])])]
    [(1, 6)]
    """
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1] + gap:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found
