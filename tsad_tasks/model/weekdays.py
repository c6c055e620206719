"""Which weekdays readings show, on the clocks of the site; Monday is 0."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from tsad_tasks.base.arrays import Flags, Ints
from tsad_tasks.model.features import SUNDAY, weekdays_of

NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# Seen so often a weekday is known.
SEEN_ENOUGH = 3
DAY_S = 86400
_TIMES = ("never", "once", "twice")


def dates_seen(used: Flags, off: Flags, local_s: Ints) -> Ints:
    """Dates, in days since 1970, of which readings show at least half of what there was to see.

    Parameters
    ----------
    used : (n_hours,), hours of which some reading is learned from.
    off : (n_hours,), hours that were read, in which nothing ran: there was nothing to see.
    local_s : (n_hours,), the hours' beginnings on the clocks of the site.

    >>> local_s = 3600 * np.arange(48)
    >>> used, off = np.isin(np.arange(48), [8, 9, 30, 31]), np.arange(48) < 20
    >>> used[10:20] = False
    >>> dates_seen(used, off & ~used, local_s).tolist()
    []
    >>> dates_seen(used | (np.arange(48) > 36), off & ~used, local_s).tolist()
    [1]
    """
    dates, position = np.unique(local_s // DAY_S, return_inverse=True)
    n_used = np.bincount(position, used, len(dates))
    n_off = np.bincount(position, off, len(dates))
    return np.asarray(dates[(n_used > 0) & (2 * n_used >= 24 - n_off)], np.int64)


def times_seen(dates: Ints) -> list[int]:
    """How often each weekday is among dates, in days since 1970.

    >>> times_seen(np.array([0, 4, 7]))
    [1, 0, 0, 2, 0, 0, 0]
    """
    counts: list[int] = np.bincount(weekdays_of(dates), minlength=7).tolist()
    return counts


def unknown_weekdays(seen: Sequence[int]) -> list[int]:
    """Weekdays that were seen too seldom.

    >>> unknown_weekdays([3, 3, 3, 3, 3, 2, 0])
    [5, 6]
    """
    return [day for day, n in enumerate(seen) if n < SEEN_ENOUGH]


def held_weekdays(seen: Sequence[int], rest_weekday: int = SUNDAY) -> list[int]:
    """Unknown weekdays on which an alarm may well be none: the weekend, and what was never seen.

    Workdays are much like each other: one that was seen once is judged as they are. The weekend is
    the site's weekly day of rest and the day before.

    >>> held_weekdays([2, 1, 1, 1, 0, 1, 1]), held_weekdays([3, 3, 3, 3, 3, 3, 2])
    ([4, 5, 6], [6])
    """
    rest = {rest_weekday, (rest_weekday - 1) % 7}
    return [day for day in unknown_weekdays(seen) if day in rest or not seen[day]]


def weekdays_text(days: Sequence[int]) -> str:
    """Names of weekdays.

    >>> weekdays_text([5, 6])
    'Saturday, Sunday'
    """
    return ", ".join(NAMES[day] for day in days)


def seen_text(seen: Sequence[int]) -> str:
    """How often the weekdays that are not known yet were seen, Monday first; empty where all are.

    >>> seen_text([1, 1, 1, 1, 1, 1, 2])
    'Monday to Saturday seen once, Sunday twice (known from three on)'
    >>> seen_text([3, 3, 3, 3, 3, 0, 0]), seen_text([3] * 7)
    ('Saturday and Sunday never seen (known from three on)', '')
    """
    unknown = [(day, n) for day, n in enumerate(seen) if n < SEEN_ENOUGH]
    parts = list[str]()
    # Days in a row with one count are one part.
    for _, run in groupby(enumerate(unknown), lambda one: (one[1][0] - one[0], one[1][1])):
        days = [found for _, found in run]
        times = _TIMES[days[0][1]]
        if not parts:
            times = f"{times} seen" if times == "never" else f"seen {times}"
        between = " and " if len(days) == 2 else " to "
        ends = dict.fromkeys((NAMES[days[0][0]], NAMES[days[-1][0]]))
        parts.append(f"{between.join(ends)} {times}")
    return f"{', '.join(parts)} (known from three on)" if parts else ""
