"""When something recurs: a range of time and a rule of RFC 5545, on the wall clock of a zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import Span

_DAY = timedelta(days=1)
_COMPACT = "%Y%m%dT%H%M%S"
_UNTIL = re.compile(r"UNTIL=(\d{8}T\d{6})Z")


def occurrences(span: Span, rule: str | None, zone: ZoneInfo, within: Span) -> list[Span]:
    """The times at which [start, end) recurs that touch `within`, ascending, in UTC.

    Each begins and ends at the same wall-clock times as the first, whatever clocks do. Of a time
    that clocks show twice, the first one begins it and the second one ends it; a time that they
    skip counts with the offset before.

    Parameters
    ----------
    rule : such as FREQ=WEEKLY;BYDAY=SU; None: it does not recur.

    Raises
    ------
    BadInput
        When the rule cannot be read.

    Source: RFC 5545, section 3.3.10.

    >>> start, end = datetime(2026, 3, 22, 1, tzinfo=UTC), datetime(2026, 3, 22, 2, tzinfo=UTC)
    >>> year = (start, datetime(2027, 1, 1, tzinfo=UTC))
    >>> found = occurrences((start, end), "FREQ=WEEKLY;COUNT=3", ZoneInfo("Europe/Berlin"), year)
    >>> [(a.day, a.hour) for a, _ in found]
    [(22, 1), (29, 1), (5, 0)]
    """
    found = [span]
    if rule is not None:
        from dateutil.rrule import rrulestr

        first, end = (at.astimezone(zone).replace(tzinfo=None) for at in span)
        # Wider than `within`, since the wall clock of a zone is less than a day from UTC.
        from_at = (within[0] - (span[1] - span[0]) - _DAY).astimezone(UTC).replace(tzinfo=None)
        until_at = (within[1] + _DAY).astimezone(UTC).replace(tzinfo=None)
        local_rule = rule
        try:
            # The rule's end is in UTC, its times are on the wall clock.
            if (said := _UNTIL.search(rule)) is not None:
                until = datetime.strptime(said[1], _COMPACT).replace(tzinfo=UTC).astimezone(zone)
                local_rule = rule.replace(said[0], f"UNTIL={until:{_COMPACT}}")
            begin = _nearer(first, local_rule, from_at)
            starts = rrulestr(local_rule, dtstart=begin).between(from_at, until_at, inc=True)
        except (ValueError, TypeError) as error:
            raise BadInput(
                "Expected a rule of RFC 5545 such as FREQ=WEEKLY;BYDAY=SU. Received: "
                f"{rule} ({error})."
            ) from error
        found = []
        for at in starts:
            start = at.replace(tzinfo=zone).astimezone(UTC)
            stop = (at + (end - first)).replace(tzinfo=zone, fold=1).astimezone(UTC)
            # Where clocks skip all of it, it lasts as long as the first.
            found.append((start, stop if stop > start else start + (span[1] - span[0])))
    return [
        (a.astimezone(UTC), b.astimezone(UTC)) for a, b in found if b > within[0] and a < within[1]
    ]


def _nearer(first: datetime, rule: str, from_at: datetime) -> datetime:
    """A time from which the rule goes on, after `from_at`, as it does from the first.

    Each day since a first time decades ago would be gone through for every hour that is scored.
    """
    parts = dict(part.split("=", 1) for part in rule.split(";"))
    n_days = {"DAILY": 1, "WEEKLY": 7}.get(parts.get("FREQ", ""))
    if n_days is None or "COUNT" in parts:
        return first
    every = timedelta(days=n_days * int(parts.get("INTERVAL", "1")))
    # One turn is left: of the week in which a rule begins, BYSETPOS sees only the rest.
    return first + max((from_at - first) // every - 1, 0) * every
