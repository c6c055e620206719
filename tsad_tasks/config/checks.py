"""Kinds of values in a dataset file, and what is expected of each."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from datetime import date, time
from functools import cache
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from tsad_tasks.base.settings import DURATION_JSON, DurationS, duration_s, wrong
from tsad_tasks.base.variants import CHANNELS
from tsad_tasks.detectors.registry import DETECTORS

_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
A_DATASET_NAME = "a name of up to 48 small letters, digits and _, a letter first"
_HOLIDAY_YEARS = (1990, 2061)
_SUNDAY = 6
_MAX_CRON_CHARACTERS = 500
_SCORE_EVERY = {"5min": 300, "15min": 900, "1h": 3600}
# So long a column of a view may be.
MAX_CHANNEL_BYTES = 63
_VIEW_COLUMNS = ("entity", "hour_at", "at")
_TEXT_JSON = WithJsonSchema({"type": "string"})


_all_zones = cache(available_timezones)


def _only(
    is_right: Callable[[Any], object], expected: str, received: Callable[[Any], str] | None = None
) -> Callable[[Any], Any]:
    """Lets through what is right; `received` says what an error shows of what is not."""

    def checked(value: Any) -> Any:
        if is_right(value):
            return value
        raise wrong(expected, received(value)) if received else ValueError(expected)

    return checked


def _text(
    is_right: Callable[[str], object], expected: str, received: Callable[[Any], str] | None = None
) -> BeforeValidator:
    return BeforeValidator(
        _only(lambda value: isinstance(value, str) and is_right(value), expected, received)
    )


def check_known(name: str, known: Iterable[str], *field: str) -> str:
    """The name, if it is one of those known."""
    names = list(known)
    if name not in names:
        raise wrong(f"one of {', '.join(names)}", name, *field)
    return name


def _are_tables(tables: object) -> bool:
    names = tables if isinstance(tables, list) else [tables]
    return bool(names) and all(isinstance(one, str) and one.strip() for one in names)


def is_dataset_name(name: str) -> bool:
    """Whether a dataset, and so its file, may have this name."""
    return _NAME.fullmatch(name) is not None


def is_channel_name(name: str) -> bool:
    """Whether a channel may have this name."""
    n_bytes = len(name.encode())
    is_name = 1 <= n_bytes <= MAX_CHANNEL_BYTES and name.isprintable()
    return is_name and name not in _VIEW_COLUMNS


def _is_cron(expression: str) -> bool:
    """Whether it is a cron expression of five fields, or a name of one.

    >>> _is_cron("30 3,15 * * MON-FRI"), _is_cron("@daily"), _is_cron("30 3 * *")
    (True, True, False)
    """
    # Imported here, since most files keep the schedules that are set.
    from croniter import CroniterError, croniter

    # croniter also takes seconds and years, and R, which is another time at each look.
    n_fields = 5 - 4 * expression.startswith("@")
    is_short = len(expression) <= _MAX_CRON_CHARACTERS
    if is_short and len(expression.split()) == n_fields and "R " not in expression:
        try:
            croniter(expression, 0).get_next()
            return True
        except CroniterError:
            pass
    return False


def _json_values(params: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(params, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError("text, finite numbers, true, false, lists and mappings only") from None
    return params


def _valid_for(text: object) -> int | str:
    if text == "until_changed":
        return "until_changed"
    try:
        return duration_s(text)
    except ValueError as error:
        raise ValueError(f"until_changed, or {error}") from None


def _is_number_or_range(code: Any) -> bool:
    """Whether it is a finite number, or two of which the first is not the greater.

    >>> [_is_number_or_range(one) for one in (-9999, [0, 1.5], [2, 1], "-9999", True)]
    [True, True, False, False, False]
    """
    is_range = isinstance(code, (list, tuple)) and len(code) == 2
    low, high = code if is_range else (code, code)
    if any(isinstance(end, bool) or not isinstance(end, (int, float)) for end in (low, high)):
        return False
    return bool(-math.inf < low <= high < math.inf)


def _mail_address(text: object) -> str:
    CHANNELS["email"]().check_address(text if isinstance(text, str) else "")
    return str(text)


def _is_page_url(text: str) -> bool:
    """Whether messages may say it: a whole address, without a login, a query or a fragment.

    >>> _is_page_url("https://airflow.example.com/plugin/anomalies/tsad")
    True
    >>> [_is_page_url(text) for text in ("https://me:pw@a.example", "a.example/tsad", "http://a b")]
    [False, False, False]
    """
    return _PAGE_URL.fullmatch(text) is not None


def _wall_time(text: object) -> time:
    """A time of day; YAML may have read 22:00 as 22 times 60.

    >>> [str(_wall_time(text)) for text in ("06:30", "6:30", 1320)]
    ['06:30:00', '06:30:00', '22:00:00']
    """
    if isinstance(text, time):
        return text
    if isinstance(text, int) and not isinstance(text, bool) and 0 <= text < 1440:
        return time(text // 60, text % 60)
    found = re.fullmatch(r"(\d{1,2}):(\d\d)", text) if isinstance(text, str) else None
    if found is None or int(found[1]) > 23 or int(found[2]) > 59:
        raise ValueError('a time of day such as "22:00"')
    return time(int(found[1]), int(found[2]))


@cache
def holidays_of(code: str) -> tuple[tuple[int, ...], int]:
    """Holidays of a country or region as days since 1970, and its weekly day of rest (0 is Monday).

    Without any holiday, nobody knows the code.

    >>> days, rest_weekday = holidays_of("DE")
    >>> (date(2024, 12, 25) - date(1970, 1, 1)).days in days, rest_weekday, holidays_of("XX")[0]
    (True, 6, ())
    """
    # Imported here, since most datasets name no country.
    import holidays

    country, _, region = code.partition("-")
    years = range(*_HOLIDAY_YEARS)
    try:
        found = holidays.country_holidays(country, subdiv=region or None, years=years)
    except (NotImplementedError, TypeError):
        # The library takes whatever it has of that name, months and constants too, for a country.
        return (), _SUNDAY
    days = sorted((day - date(1970, 1, 1)).days for day in found)
    return tuple(days), max(found.weekend, default=_SUNDAY)


Named = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Cyclic = Literal["hour", "weekday"]
Steps = Annotated[int, Field(ge=1, le=1440)]
Width = Annotated[int, Field(ge=2, le=1440)]
StepS = Annotated[
    DurationS,
    AfterValidator(
        _only(
            lambda step_s: step_s <= 3600,
            "a step of at most 1h, since an hour is what is stored; where readings come less "
            "often, step: 1h, and on their channels how long each counts, such as valid_for: 30h "
            "for one a day",
        )
    ),
    AfterValidator(
        _only(
            lambda step_s: step_s and not 3600 % step_s,
            "a step that divides one hour, such as 1s, 1min, 5min, 1h",
        )
    ),
]
IntervalS = Annotated[
    DurationS,
    AfterValidator(_only(lambda s: s in _SCORE_EVERY.values(), "5min, 15min or 1h")),
    WithJsonSchema({"enum": [*_SCORE_EVERY]}),
]
_ZONE = "an IANA time zone such as UTC or Europe/Berlin"
ZoneName = Annotated[str, _text(lambda name: name in _all_zones(), _ZONE), _TEXT_JSON]
_CRON = (
    "a cron expression: minute hour day month weekday, such as '0 3 * * 1', '0 3 * * MON' or "
    "@weekly"
)
Cron = Annotated[str, _text(_is_cron, _CRON), _TEXT_JSON]
ConnectionId = Annotated[
    str,
    _text(
        re.compile(r"[A-Za-z0-9_.-]+").fullmatch,
        "the id of a connection (letters, digits, _ . -)",
        lambda _: "something else (not shown, it may hold a password)",
    ),
    _TEXT_JSON,
]
MailAddress = Annotated[str, BeforeValidator(_mail_address), _TEXT_JSON]
WallTime = Annotated[
    time,
    BeforeValidator(_wall_time),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,2}:\d\d$"}),
]
_PAGE_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[A-Za-z0-9._~!$&'()*+,;=:%-]*)*")
PageUrl = Annotated[
    str,
    _text(
        _is_page_url,
        "the page's address, such as https://airflow.example.com/plugin/anomalies/tsad",
        lambda _: "something else (not shown, it may hold a password)",
    ),
    AfterValidator(lambda url: url.rstrip("/")),
    _TEXT_JSON,
]
DatasetName = Annotated[
    str,
    _text(_NAME.fullmatch, A_DATASET_NAME),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"}),
]
_TABLES = "a table, a list of tables, or a pattern with * such as plant.machine_*"
TableNames = Annotated[str | list[str], BeforeValidator(_only(_are_tables, _TABLES))]
ValidFor = Annotated[
    int | Literal["until_changed"],
    BeforeValidator(_valid_for),
    WithJsonSchema({"anyOf": [DURATION_JSON, {"const": "until_changed"}]}),
]
_POWER = re.compile(r"\s*(\d{1,3})\s*(?:\^|\*\*)\s*(\d{1,3})\s*")


def _wraps_at(given: Any) -> Any:
    """A number above 0, which may be a power.

    >>> _wraps_at("2^32"), _wraps_at(10000)
    (4294967296.0, 10000)
    """
    match = _POWER.fullmatch(given) if isinstance(given, str) else None
    value = math.pow(int(match[1]), int(match[2])) if match and int(match[2]) <= 64 else given
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < 1e30:
        raise ValueError("a number above 0, or a power such as 2^32")
    return value


WrapsAt = Annotated[
    float,
    BeforeValidator(_wraps_at),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": _POWER.pattern}]}),
]
# A cell as a source has it: what a column is compared with.
Word = bool | int | float | str
_CODES = "a value, or a list of values and of ranges such as [-9999, [32767, 65535]]"
_NUMBERS = "a number, or a list of numbers and of ranges such as [-9999, [32767, 65535]]"
Code = Word | tuple[float, float]
Codes = Annotated[
    tuple[Code, ...],
    BeforeValidator(lambda codes: codes if isinstance(codes, (list, tuple)) else [codes]),
    AfterValidator(
        _only(
            lambda codes: all(not isinstance(one, tuple) or one[0] <= one[1] for one in codes),
            _CODES,
        )
    ),
]
# Of numbers alone: no text is ever one of them, a quoted number neither.
Numbers = Annotated[
    tuple[float | tuple[float, float], ...],
    # Of two the later one comes first.
    BeforeValidator(_only(lambda codes: all(map(_is_number_or_range, codes)), _NUMBERS)),
    BeforeValidator(lambda codes: codes if isinstance(codes, (list, tuple)) else [codes]),
]
Words = Annotated[
    dict[str, float | None],
    AfterValidator(lambda words: {name.strip().lower(): value for name, value in words.items()}),
]
_TAGS = "the name of a CSV file beside this one, such as pumps.tags.csv"
TagsFile = Annotated[str, _text(re.compile(r"[^/\\\s.][^/\\]*\.csv").fullmatch, _TAGS), _TEXT_JSON]
_RANGE = "two numbers, as in [0, 100], or null for an end that is open"
SensorRange = Annotated[
    tuple[float | None, float | None],
    BeforeValidator(_only(lambda ends: isinstance(ends, list | tuple) and len(ends) == 2, _RANGE)),
]
MAX_STATES = 20
_YAML: dict[Any, str] = {True: "on", False: "off"}
_STATES = "a list of numbers such as [0, 1], or numbers by name such as {closed: 0, open: 1}"


def _states(given: Any) -> Any:
    """Codes by name, of a list of codes or of codes by name; YAML takes on and off for truths."""
    if isinstance(given, dict):
        names = (_YAML[name] if isinstance(name, bool) else str(name) for name in given)
        return dict(zip(names, given.values(), strict=True))
    codes = given if isinstance(given, (list, tuple)) and given else [None]
    if any(isinstance(code, bool) or not isinstance(code, (int, float)) for code in codes):
        raise ValueError(_STATES)
    if len({*codes}) < len(codes):
        raise ValueError("states of different numbers")
    return {f"{code:g}": code for code in codes}


def _are_states(states: dict[str, float]) -> bool:
    """Whether they have names of their own and codes of their own, not too many."""
    names = {name.strip().lower() for name in states} - {"other", ""}
    return len(names) == len({*states.values()}) == len(states) <= MAX_STATES


States = Annotated[
    dict[str, float],
    AfterValidator(
        _only(
            _are_states,
            f"1 to {MAX_STATES} states of different names (none of them other) and numbers",
            lambda states: ", ".join(f"{name}: {code:g}" for name, code in states.items()),
        )
    ),
    BeforeValidator(_states),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "number"}},
                {"type": "object", "additionalProperties": {"type": "number"}},
            ]
        }
    ),
]
_PERIOD = "a number above 0, or 2pi"
Period = Annotated[
    float,
    AfterValidator(_only(lambda period: 0 < period < math.inf, _PERIOD)),
    BeforeValidator(lambda period: math.tau if period in ("2pi", "2π") else period),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"const": "2pi"}]}),
]
_CHANNEL = (
    "a channel's name of 1 to 63 bytes, printable, not entity, hour_at or at "
    "(use column: for the source's name)"
)
ChannelName = Annotated[str, AfterValidator(_only(is_channel_name, _CHANNEL))]
_COUNTRY = "a country such as DE or US, or a region of it such as DE-BY"
Country = Annotated[str, AfterValidator(_only(lambda code: holidays_of(code)[0], _COUNTRY, str))]
DetectorName = Annotated[str, AfterValidator(lambda name: check_known(name, DETECTORS))]
Params = Annotated[dict[str, Any], AfterValidator(_json_values)]
