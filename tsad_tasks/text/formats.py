"""The one formatter of numbers, shares, durations and times, for mail, page, PDF and command line.

A value is rounded once, half up (away from zero), and leaves as a string. What is unknown reads "no
data", never 0. Numbers need only the standard library.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

NO_DATA = "no data"
MINUS = "\u2212"
THIN_SPACE = "\u202f"
EN_DASH = "\u2013"

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_SMALLEST_PLAIN = 1e-4
_LARGEST_PLAIN = 1e9
_MOST_DECIMALS = 6
_UNITS = [(86400, "d"), (3600, "h"), (60, "min"), (1, "s")]
_UTC_TIME = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d)(?::\d\d)? ?(?:UTC\b|Z\b)")
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def is_known(value: float | None) -> bool:
    """Whether a value is a number: neither None nor NaN.

    >>> is_known(0.0), is_known(float("nan")), is_known(None)
    (True, False, False)
    """
    return value is not None and not math.isnan(value)


def round_half_up(value: float, n_decimals: int) -> Decimal:
    """A finite value rounded once, halves away from zero, from its shortest notation.

    >>> round_half_up(50.65, 1), round_half_up(-2.165, 2), round_half_up(0.5, 0)
    (Decimal('50.7'), Decimal('-2.17'), Decimal('1'))
    """
    number = Decimal(repr(float(value)))
    if number.adjusted() + n_decimals > 26:
        return number
    return number.quantize(Decimal(1).scaleb(-n_decimals), rounding=ROUND_HALF_UP)


def n_decimals_for(spread: float | None, value: float | None = None) -> int:
    """Decimals that show two digits of the spread; without one, three of the value.

    >>> n_decimals_for(0.38), n_decimals_for(3.0), n_decimals_for(27.0), n_decimals_for(None, 4.213)
    (2, 1, 0, 2)
    """
    if spread is not None and math.isfinite(spread) and spread > 0:
        return min(max(1 - _exponent(spread), 0), _MOST_DECIMALS)
    if value is not None and math.isfinite(value) and value != 0:
        return min(max(2 - _exponent(value), 0), _MOST_DECIMALS)
    return 1


def number_text(value: float | None, n_decimals: int = 0) -> str:
    """A number with a true minus sign and thousands set apart; extreme ones as powers of ten.

    >>> number_text(-2.165, 2), number_text(1234567), number_text(None), number_text(-0.04, 1)
    ('−2.17', '1\u202f234\u202f567', 'no data', '0.0')
    """
    if value is None or math.isnan(value):
        return NO_DATA
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if value != 0 and not _SMALLEST_PLAIN <= abs(value) < _LARGEST_PLAIN:
        return _power_text(value)
    rounded = round_half_up(value, n_decimals)
    text = _group(f"{abs(rounded):f}")
    return f"{MINUS}{text}" if rounded < 0 else text


def _power_text(value: float) -> str:
    exponent = _exponent(value)
    mantissa = round_half_up(value / 10.0**exponent, 2) if exponent > -300 else Decimal(0)
    if abs(mantissa) >= 10:
        mantissa, exponent = mantissa / 10, exponent + 1
    sign = MINUS if mantissa < 0 else ""
    return f"{sign}{abs(mantissa):.2f} × 10{str(exponent).translate(SUPERSCRIPT)}"


def count_text(n: int) -> str:
    """A count with its thousands set apart, in full whatever its size.

    >>> count_text(24438)
    '24\u202f438'
    """
    return _group(str(n)) if n >= 0 else f"{MINUS}{_group(str(-n))}"


def counted(n: int, noun: str) -> str:
    """A count and its noun.

    >>> counted(1, "incident"), counted(2, "day"), counted(0, "entity")
    ('1 incident', '2 days', '0 entities')
    """
    plural = f"{noun[:-1]}ies" if noun[-1] == "y" and noun[-2] not in "aeiou" else f"{noun}s"
    return f"{count_text(n)} {noun if n == 1 else plural}"


def counted_of(n: int, n_all: int, noun: str) -> str:
    """A count and its noun, and of how many, where there are more.

    >>> counted_of(3, 300, "entity"), counted_of(1, 1, "entity")
    ('3 entities of 300', '1 entity')
    """
    return counted(n, noun) + (f" of {count_text(n_all)}" if n < n_all else "")


def channel_text(name: str, unit: str | None) -> str:
    """A channel's name with its unit, as over a plot.

    >>> channel_text("pressure", "bar"), channel_text("state", None)
    ('pressure in bar', 'state')
    """
    return f"{name} in {unit}" if unit else name


def value_text(value: float | None, unit: str | None = None, spread: float | None = None) -> str:
    """A reading with its unit, as exact as the expected spread warrants.

    >>> value_text(2.8649, "bar", 0.38), value_text(97.14, "%", 3.0), value_text(math.nan, "bar")
    ('2.86 bar', '97.1 %', 'no data')
    """
    return with_unit(number_text(value, n_decimals_for(spread, value)), unit)


def angle_text(value: float, unit: str | None, spread: float | None, period: float) -> str:
    """An angle with its unit; degrees to the degree, unless their spread is smaller.

    >>> angle_text(349.62, "°", 12.3, 360.0), angle_text(0.3491, "rad", 0.21, 6.2832)
    ('350°', '0.35 rad')
    """
    exact = spread if spread and math.isfinite(spread) else period / 10
    n_decimals = n_decimals_for(exact) - (exact >= 1)
    text = number_text(value, max(n_decimals, 0))
    return f"{text}{unit}" if unit == "°" else with_unit(text, unit)


def with_unit(text: str, unit: str | None) -> str:
    """A number's text and its unit; "no data" stays without a unit."""
    return f"{text} {unit}" if unit and text != NO_DATA else text


def expected_text(
    expected: float | None, lower: float | None, upper: float | None, unit: str | None = None
) -> str:
    """What was expected: with ±, as a range where the sides differ, or without a range alone.

    >>> expected_text(41.84, 38.84, 44.84, "%"), expected_text(5.0, 4.0, 9.0, "bar")
    ('41.8 ± 3.0 %', '4.0 to 9.0 bar')
    >>> expected_text(3.68e9, 3.66e9, 3.70e9, "B")
    '3.68 × 10⁹ ± 2.00 × 10⁷ B'
    """
    spread = half_width(lower, upper)
    if spread is None or lower is None or upper is None:
        return value_text(expected, unit)
    n_decimals = n_decimals_for(spread, upper)
    middle = math.nan if expected is None else expected
    below, above = middle - lower, upper - middle
    # Written so that NaN is not in the middle.
    if not abs(below - above) <= 0.1 * max(abs(below), abs(above)):
        ends = [number_text(value, n_decimals) for value in (lower, upper)]
        return with_unit(" to ".join(ends), unit)
    parts = [number_text(value, n_decimals) for value in (middle, spread)]
    if spread and abs(middle) >= _LARGEST_PLAIN:
        parts = [_power_text(value) for value in (middle, spread)]
    return with_unit(" ± ".join(parts), unit)


def half_width(lower: float | None, upper: float | None) -> float | None:
    """Half the width of an expected range, or None where an end is unknown.

    >>> half_width(4.66, 5.42), half_width(None, 5.0)
    (0.38, None)
    """
    if lower is None or upper is None or not (math.isfinite(lower) and math.isfinite(upper)):
        return None
    return float(f"{(upper - lower) / 2:.12g}")


def difference_text(
    actual: float | None, expected: float | None, spread: float | None = None
) -> str:
    """Actual minus expected with its sign, rounded once from the unrounded difference.

    >>> difference_text(2.8649, 5.0357, 0.38), difference_text(50.65, 41.84, 3.0)
    ('−2.17', '+8.8')
    """
    if actual is None or expected is None:
        return NO_DATA
    return signed_text(actual - expected, n_decimals_for(spread, actual - expected))


def signed_text(value: float | None, n_decimals: int) -> str:
    """A number with + or −; a rounded zero has no sign.

    >>> signed_text(1.85, 2), signed_text(-0.001, 2)
    ('+1.85', '0.00')
    """
    text = number_text(value, n_decimals)
    is_above = value is not None and value > 0 and any(digit in text for digit in "123456789∞")
    return f"+{text}" if is_above else text


def share_text(share: float | None) -> str:
    """A fraction as per cent; a trace is never shown as 0.0 %, nor almost everything as 100 %.

    >>> share_text(0.588), share_text(0.0002), share_text(0.0), share_text(0.9998), share_text(1.0)
    ('58.8 %', '< 0.1 %', '0 %', '> 99.9 %', '100 %')
    """
    if share is None or math.isnan(share):
        return NO_DATA
    if share in (0.0, 1.0):
        return f"{int(share) * 100} %"
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{number_text(share * 100, 1)} %"


def figure_text(value: float | None) -> str:
    """An error, a threshold or a metric in three significant digits.

    >>> figure_text(0.43512), figure_text(12.345), figure_text(None)
    ('0.435', '12.3', 'no data')
    """
    return number_text(value, n_decimals_for(None, value))


def cell_text(value: float | None, n_decimals: int | None = None) -> str:
    """A figure in a table: so many decimals or three digits; a dash where it is unknown.

    >>> cell_text(0.5, 2), cell_text(0.0), cell_text(float("nan")), cell_text(None)
    ('0.50', '0', '–', '–')
    """
    if value is None or not math.isfinite(value):
        return EN_DASH
    if n_decimals is None:
        return figure_text(value) if value else "0"
    return number_text(value, n_decimals)


def ratio_text(ratio: float | None) -> str:
    """How many times something is something else, in about three digits.

    >>> ratio_text(0.41), ratio_text(4.207), ratio_text(31.4), ratio_text(float("inf"))
    ('0.41', '4.21', '31.4', '∞')
    """
    if ratio is not None and 0 < ratio < 0.01:
        return "< 0.01"
    return number_text(ratio, min(2, n_decimals_for(None, ratio)) if ratio else 0)


def times_text(ratio: float | None) -> str:
    """How strange something is: its error by the threshold; the one scale that people see.

    >>> times_text(16.84), times_text(1.04), times_text(None)
    ('16.8 × its threshold', '1.04 × its threshold', 'no data')
    """
    text = ratio_text(ratio)
    return text if text == NO_DATA else f"{text} × its threshold"


def score_text(score: float | None) -> str:
    """A score as people see it: it is by how much the error is over its threshold.

    >>> score_text(15.84), score_text(0.0398)
    ('16.8 × its threshold', '1.04 × its threshold')
    """
    return times_text(None if score is None else 1 + score)


def duration_text(seconds: float | None) -> str:
    """A duration in its two largest units, rounded once.

    >>> [duration_text(seconds) for seconds in (8880, 45, 0.4, 270000, 3599.6)]
    ['2 h 28 min', '45 s', '< 1 s', '3 d 3 h', '1 h']
    """
    if seconds is None or not math.isfinite(seconds):
        return NO_DATA
    if seconds < 0:
        return MINUS + duration_text(-seconds)
    if 0 < seconds < 1:
        return "< 1 s"
    # Whole seconds below an hour, whole minutes below two days, then whole hours.
    for limit_s, unit_s in ((3600, 1), (172800, 60), (math.inf, 3600)):
        rest = int(round_half_up(seconds / unit_s, 0)) * unit_s
        if rest < limit_s:
            break
    shown = []
    for unit_s, name in _UNITS if rest >= 172800 else _UNITS[1:]:
        n, rest = divmod(rest, unit_s)
        shown += [f"{n} {name}"] if n else []
    return " ".join(shown[:2]) or "0 s"


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    """The site zone of that name."""
    return ZoneInfo(name)


def local_time(at: datetime, zone: str) -> datetime:
    """A moment in the site zone; naive times are refused, for they may mean any."""
    if at.tzinfo is None:
        raise ValueError(
            f"Expected a time with a zone. Received: {at!r}. Attach UTC where the time was read."
        )
    return at.astimezone(zone_of(zone))


def clock_text(at: datetime | None, zone: str) -> str:
    """Hours and minutes in the site zone; in the hour that occurs twice, with its offset.

    >>> clock_text(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "Europe/Berlin")
    '02:30 (UTC+2)'
    """
    if at is None:
        return NO_DATA
    local = local_time(at, zone)
    text, wall = f"{local:%H:%M}", local.replace(tzinfo=None)
    first, second = (local.replace(fold=fold).utcoffset() for fold in (0, 1))
    if first == second:
        return text
    # Offsets differ also where the clocks skip an hour: that time does not come back as it was.
    exists = local.astimezone(UTC).astimezone(local.tzinfo).replace(tzinfo=None) == wall
    return f"{text} ({offset_text(at, zone)})" if exists else text


def day_text(at: datetime | date, zone: str = "UTC") -> str:
    """Day and month.

    >>> day_text(datetime(2026, 11, 20, 23, 30, tzinfo=UTC), "Europe/Berlin")
    '21 Nov'
    """
    day = local_time(at, zone) if isinstance(at, datetime) else at
    return f"{day.day} {MONTHS[day.month - 1]}"


def date_text(at: datetime | date, zone: str = "UTC") -> str:
    """Day, month and year.

    >>> date_text(date(2026, 11, 2))
    '2 Nov 2026'
    """
    day = local_time(at, zone) if isinstance(at, datetime) else at
    return f"{day_text(at, zone)} {day.year}"


def time_text(at: datetime | None, zone: str) -> str:
    """Day, month and clock time in the site zone.

    >>> time_text(datetime(2026, 11, 20, 12, 21, tzinfo=UTC), "Europe/Berlin")
    '20 Nov 13:21'
    """
    return NO_DATA if at is None else f"{day_text(at, zone)} {clock_text(at, zone)}"


def stamp_text(at: datetime, zone: str) -> str:
    """A full date and time with its zone, for "generated at".

    >>> at = datetime(2026, 11, 20, 12, 21, tzinfo=UTC)
    >>> stamp_text(at, "Europe/Berlin"), stamp_text(at, "UTC")
    ('20 Nov 2026 13:21 (Europe/Berlin, UTC+1)', '20 Nov 2026 12:21 (UTC)')
    """
    clock, offset = f"{local_time(at, zone):%H:%M}", offset_text(at, zone)
    named = zone if zone == offset else f"{zone}, {offset}"
    return f"{date_text(at, zone)} {clock} ({named})"


def span_text(started_at: datetime, ended_at: datetime | None, zone: str) -> str:
    """From when to when; the day is repeated only where it changes, and an open end says so.

    >>> start, end = (datetime(2026, 11, 20, hour, tzinfo=UTC) for hour in (12, 14))
    >>> span_text(start, end, "Europe/Berlin"), span_text(start, None, "UTC")
    ('20 Nov 13:00 to 15:00', 'since 20 Nov 12:00')
    """
    if ended_at is None:
        return f"since {time_text(started_at, zone)}"
    same_day = local_time(started_at, zone).date() == local_time(ended_at, zone).date()
    end = clock_text(ended_at, zone) if same_day else time_text(ended_at, zone)
    return f"{time_text(started_at, zone)} to {end}"


def period_text(start_at: datetime, end_at: datetime, zone: str) -> str:
    """The days of a half-open period, with times where it is not from midnight to midnight.

    >>> start, end = (datetime(2026, 11, day, 23, tzinfo=UTC) for day in (15, 22))
    >>> period_text(start, end, "Europe/Berlin"), period_text(start, end, "UTC")
    ('16–22 Nov 2026', '15 Nov 2026 23:00 to 22 Nov 2026 23:00')
    """
    ends = [local_time(at, zone) for at in (start_at, end_at)]
    first, last = ends[0].date(), ends[1].date() - timedelta(days=1)
    if any((at.hour, at.minute) != (0, 0) for at in ends) or last < first:
        return " to ".join(f"{date_text(at, zone)} {clock_text(at, zone)}" for at in ends)
    if first == last:
        return date_text(first)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}{EN_DASH}{date_text(last)}"
    start = day_text(first) if first.year == last.year else date_text(first)
    return f"{start} {EN_DASH} {date_text(last)}"


def in_site_zone(text: str, zone: str) -> str:
    """A text with its UTC times, as statements of the warehouse write them, in the site zone.

    >>> in_site_zone("the last one ended at 2026-11-20 12:21 UTC", "Europe/Berlin")
    'the last one ended at 20 Nov 2026 13:21'
    """

    def local(found: re.Match[str]) -> str:
        try:
            at = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
        except ValueError:
            return found[0]
        return f"{date_text(at, zone)} {clock_text(at, zone)}"

    return _UTC_TIME.sub(local, text)


def offset_text(at: datetime, zone: str) -> str:
    """The zone's offset from UTC at a moment.

    >>> offset_text(datetime(2026, 7, 1, tzinfo=UTC), "Asia/Kolkata")
    'UTC+5:30'
    """
    minutes = int((local_time(at, zone).utcoffset() or timedelta()).total_seconds() // 60)
    hours, rest = divmod(abs(minutes), 60)
    sign = "+" if minutes >= 0 else MINUS
    return "UTC" if minutes == 0 else f"UTC{sign}{hours}" + (f":{rest:02d}" if rest else "")


def zone_text(zone: str, start_at: datetime, end_at: datetime) -> str:
    """The site zone with its offset, or with both where the clocks change within the period.

    >>> days = datetime(2026, 10, 20, tzinfo=UTC), datetime(2026, 10, 27, tzinfo=UTC)
    >>> zone_text("Europe/Berlin", *days)
    'Europe/Berlin (UTC+2, later UTC+1)'
    """
    first, last = offset_text(start_at, zone), offset_text(end_at, zone)
    if first == last:
        return zone if zone == first else f"{zone} ({first})"
    return f"{zone} ({first}, later {last})"


def joined(words: list[str]) -> str:
    """Words as one would say them.

    >>> joined(["CPU", "memory", "disk"])
    'CPU, memory and disk'
    """
    return ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else "".join(words)


def named(names: Sequence[str], n: int, n_most: int = 5) -> str:
    """The first of `n` names as one would say them.

    >>> named(["a", "b"], 2), named([*"abcdefgh"], 20)
    ('a and b', 'a, b, c, d, e and 15 more')
    """
    few = list(names[:n_most])
    return joined(few) if n <= len(few) else f"{', '.join(few)} and {n - len(few)} more"


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value)))


def _group(digits: str) -> str:
    whole, point, fraction = digits.partition(".")
    grouped = f"{int(whole):,}".replace(",", THIN_SPACE)
    return grouped + point + fraction
