"""Kinds of values in a dataset file, and what is expected of each."""

from __future__ import annotations

import json
import re
from datetime import date
from functools import cache
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from tsad_tasks.base.settings import DURATION_JSON, duration_s, wrong
from tsad_tasks.base.variants import CHANNELS
from tsad_tasks.detectors.registry import DETECTORS

_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
_CONNECTION = re.compile(r"[A-Za-z0-9_.-]+")
_HOLIDAY_YEARS = (1990, 2061)
_SUNDAY = 6
_SCORE_EVERY = {"5min": 300, "15min": 900, "1h": 3600}
_VIEW_COLUMNS = ("entity", "hour_at", "at")
_TEXT_JSON = WithJsonSchema({"type": "string"})


def _step_s(text: object) -> int:
    seconds = duration_s(text)
    if seconds < 1 or 3600 % seconds:
        raise ValueError("a step that divides one hour, such as 1s, 1min, 5min, 1h")
    return seconds


def _interval_s(text: object) -> int:
    if duration_s(text) not in _SCORE_EVERY.values():
        raise ValueError("5min, 15min or 1h")
    return duration_s(text)


_all_zones = cache(available_timezones)


def _known_zone(name: object) -> str:
    if not isinstance(name, str) or name not in _all_zones():
        raise ValueError("an IANA time zone such as UTC or Europe/Berlin")
    return name


def _dataset_name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError("a name of up to 48 small letters, digits and _, a letter first")
    return name


def _connection_id(name: object) -> str:
    if not isinstance(name, str) or not _CONNECTION.fullmatch(name):
        expected = "the id of a connection (letters, digits, _ . -)"
        raise wrong(expected, "something else (not shown, it may hold a password)")
    return name


def _table_names(tables: object) -> object:
    names = [tables] if isinstance(tables, str) else tables
    are_names = isinstance(names, list) and all(
        isinstance(one, str) and one.strip() for one in names
    )
    if not names or not are_names:
        raise ValueError("a table, a list of tables, or a pattern with * such as plant.machine_*")
    return tables


def _channel_name(name: str) -> str:
    if not 1 <= len(name.encode()) <= 63 or not name.isprintable() or name in _VIEW_COLUMNS:
        raise ValueError(
            "a channel's name of 1 to 63 bytes, printable, not entity, hour_at or at "
            "(use column: for the source's name)"
        )
    return name


def _cron(text: object) -> str:
    """The text, if it is a cron expression of five fields, or a name of one.

    >>> _cron("30 3,15 * * MON-FRI"), _cron("@daily")
    ('30 3,15 * * MON-FRI', '@daily')
    """
    # Imported here, since most files keep the schedules that are set.
    from croniter import CroniterError, croniter

    expression = text if isinstance(text, str) else ""
    # croniter also takes seconds and years, and R, which is another time at each look.
    if len(expression.split()) == 5 - 4 * expression.startswith("@") and "R " not in expression:
        try:
            croniter(expression, 0).get_next()
            return expression
        except CroniterError:
            pass
    raise ValueError(
        "a cron expression: minute hour day month weekday, such as '0 3 * * 1', '0 3 * * MON' or "
        "@weekly"
    )


def _json_values(params: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(params, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError("text, finite numbers, true, false, lists and mappings only") from None
    return params


def _detector_name(name: str) -> str:
    if name not in DETECTORS:
        raise wrong(f"one of {', '.join(DETECTORS)}", name)
    return name


def _mail_address(text: object) -> str:
    CHANNELS["email"]().check_address(text if isinstance(text, str) else "")
    return str(text)


def _country(code: str) -> str:
    if not holidays_of(code)[0]:
        raise wrong("a country such as DE or US, or a region of it such as DE-BY", code)
    return code


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
    except NotImplementedError:
        return (), _SUNDAY
    days = sorted((day - date(1970, 1, 1)).days for day in found)
    return tuple(days), max(found.weekend, default=_SUNDAY)


Named = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Cyclic = Literal["hour", "weekday"]
Steps = Annotated[int, Field(ge=1, le=1440)]
Width = Annotated[int, Field(ge=2, le=1440)]
StepS = Annotated[int, BeforeValidator(_step_s), WithJsonSchema(DURATION_JSON)]
IntervalS = Annotated[int, BeforeValidator(_interval_s), WithJsonSchema({"enum": [*_SCORE_EVERY]})]
ZoneName = Annotated[str, BeforeValidator(_known_zone), _TEXT_JSON]
Cron = Annotated[str, BeforeValidator(_cron), _TEXT_JSON]
ConnectionId = Annotated[str, BeforeValidator(_connection_id), _TEXT_JSON]
MailAddress = Annotated[str, BeforeValidator(_mail_address), _TEXT_JSON]
DatasetName = Annotated[
    str,
    BeforeValidator(_dataset_name),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"}),
]
TableNames = Annotated[str | list[str], BeforeValidator(_table_names)]
ChannelName = Annotated[str, AfterValidator(_channel_name)]
Country = Annotated[str, AfterValidator(_country)]
DetectorName = Annotated[str, AfterValidator(_detector_name)]
Params = Annotated[dict[str, Any], AfterValidator(_json_values)]
