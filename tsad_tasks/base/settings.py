"""What settings are made of: sections of a dataset file, durations, and what is wrong with them.

Datasets and variants (detectors, sources, …) describe their settings as sections; this module
loads pydantic, and nothing slower.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, get_args

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from tsad_tasks.base.masking import HIDDEN, is_secret_name
from tsad_tasks.base.shown import on_one_line, shown

_MIN_S, _HOUR_S, _DAY_S = 60, 3600, 86400
_UNITS_S = {
    "s": 1, "sec": 1, "min": _MIN_S, "m": _MIN_S, "h": _HOUR_S,
    "d": _DAY_S, "day": _DAY_S, "days": _DAY_S, "w": 7 * _DAY_S,
}  # fmt: skip
_DURATION = re.compile(r"^\s*(\d+)\s*([a-z]+)\s*$")
_CENTURY_S = 100 * 366 * _DAY_S


class Section(BaseModel):
    """A mapping in a dataset file: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False
    )


def duration_s(text: object) -> int:
    """Seconds of a duration such as `90`, `"5min"`, `"1h"` or `"30d"`.

    >>> duration_s("5min"), duration_s("30d"), duration_s(90)
    (300, 2592000, 90)
    """
    seconds = text if isinstance(text, int) and not isinstance(text, bool) else None
    match = _DURATION.match(text) if isinstance(text, str) else None
    if match and match[2] in _UNITS_S:
        seconds = int(match[1]) * _UNITS_S[match[2]]
    if seconds is None or not 0 <= seconds <= _CENTURY_S:
        wanted = "a duration such as 30s, 5min, 1h, 30d"
        raise ValueError(f"{wanted} (a number without unit counts seconds)")
    return seconds


def _lasting_s(text: object) -> int:
    seconds = duration_s(text)
    if seconds == 0:
        raise ValueError("a duration longer than zero, such as 5min, 1h, 30d")
    return seconds


_UNIT_PATTERN = rf"^\s*\d+\s*({'|'.join(_UNITS_S)})\s*$"
DURATION_JSON = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": _UNIT_PATTERN}]
}
DurationS = Annotated[int, BeforeValidator(duration_s), WithJsonSchema(DURATION_JSON)]
LastingS = Annotated[int, BeforeValidator(_lasting_s), WithJsonSchema(DURATION_JSON)]

_COUNTS_READINGS = "counts readings"
# A number of readings, for which a dataset file may give a duration, such as 6h.
Readings = Annotated[int, Field(ge=1), WithJsonSchema(DURATION_JSON), _COUNTS_READINGS]


@dataclass(frozen=True)
class UsualTime:
    """Beside `Readings`: what counts where a dataset file says nothing is a time, not a number.

    The field's own default is that time in readings of a minute.

    Attributes
    ----------
    least, most : readings, however long or short a step is: fewer say nothing, and more would make
        a state long to keep and to go through.
    within : a setting that this one is no longer than.
    """

    seconds: int
    least: int = 1
    most: int = 3600
    within: str = ""

    def readings(self, step_s: int) -> int:
        """Readings in the time.

        >>> [UsualTime(9000, 50).readings(step_s) for step_s in (1, 60, 3600)]
        [3600, 150, 50]
        """
        return min(max(round(self.seconds / step_s), self.least), self.most)


def usual_times(section: type[Section]) -> dict[str, UsualTime]:
    """Those settings whose default is a time.

    >>> class Smoothing(Section):
    ...     memory: Annotated[Readings, UsualTime(9000)] = 150
    >>> usual_times(Smoothing)["memory"].seconds
    9000
    """
    return {
        name: one
        for name, field in section.model_fields.items()
        for one in field.metadata
        if isinstance(one, UsualTime)
    }


def counts_of_readings(section: type[Section]) -> tuple[str, ...]:
    """Names of the settings that count readings: a dataset file may give them as durations.

    >>> class Smoothing(Section):
    ...     memory: Readings = 150
    ...     limit: float = 5.0
    >>> counts_of_readings(Smoothing)
    ('memory',)
    """
    fields = section.model_fields.items()
    return tuple(name for name, field in fields if _COUNTS_READINGS in field.metadata)


def n_readings(text: str, step_s: int, *field: str) -> int:
    """Readings in a duration.

    >>> n_readings("6h", 60)
    360
    """
    try:
        seconds = duration_s(text)
    except ValueError:
        seconds = 0
    if seconds == 0 or seconds % step_s:
        expected = "a number of readings, or a duration that is a multiple of the step of"
        raise wrong(f"{expected} {step_s} s", text, *field)
    return seconds // step_s


def renamed(name: str, former: str, default: Any) -> Any:
    """A field that is also read under the name that it had before, which is told of."""
    return Field(default, validation_alias=AliasChoices(name, former))


def former_names(section: type[Section]) -> dict[str, str]:
    """Names that fields had before, and what they are called now.

    >>> class Wait(Section):
    ...     wait_for_rows: int = renamed("wait_for_rows", "settle", 0)
    >>> former_names(Wait), Wait(**{"settle": 5}).wait_for_rows
    ({'settle': 'wait_for_rows'}, 5)
    """
    found = {}
    for field in section.model_fields.values():
        if isinstance(field.validation_alias, AliasChoices):
            name, *former = map(str, field.validation_alias.choices)
            found.update(dict.fromkeys(former, name))
    return found


def wrong(expected: str, received: object, *field: str | int) -> PydanticCustomError:
    """An error about a field, further down where `field` says so, with what was received there."""
    context = {"expected": expected, "received": str(received), "field": field}
    return PydanticCustomError("wrong", "{expected}", context)


class Problem(NamedTuple):
    """What is wrong with one field of a section; as text, a line of an error.

    >>> str(Problem(("detector", "window"), "a whole number", "'ten'"))
    "detector.window: Expected a whole number. Received: 'ten'."
    """

    field: tuple[str | int, ...]
    expected: str
    received: str

    def __str__(self) -> str:
        field = on_one_line(".".join(map(str, self.field)) or "(file)", 300)
        expected, received = on_one_line(self.expected, 1000), on_one_line(self.received, 200)
        if is_secret_name(".".join(map(str, self.field[-1:]))):
            received = HIDDEN
        return f"{field}: Expected {expected}. Received: {received}."


_EXPECTED = {
    "missing": "this field",
    **dict.fromkeys(("dict_type", "model_type"), "a mapping"),
    "list_type": "a list",
    "string_type": "text (in quotes, where YAML would see a number, a date or a truth)",
    "string_too_short": "a name",
    "too_short": "at least one",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    "bool_type": "true or false",
}


def problems(
    error: ValidationError, section: type[Section], most: int | None = None
) -> list[Problem]:
    """What pydantic found wrong with a section, in our words; of very much only the first."""
    return [_problem(dict(found), section) for found in error.errors(include_url=False)[:most]]


def validated(section: type[Section], given: object, *field: str | int) -> Section:
    """The settings of a variant; an error about them is one about the field that holds them."""
    try:
        return section.model_validate(given)
    except ValidationError as error:
        first = problems(error, section, 1)[0]
        raise wrong(first.expected, first.received, *field, *first.field) from None


def _problem(found: dict[str, Any], section: type[Section]) -> Problem:
    context = found.get("ctx", {})
    field = *(part for part in found["loc"] if part != "[key]"), *context.get("field", ())
    received = context.get("received") or shown(found["input"])
    if found["type"] == "missing":
        received = "nothing"
    if found["type"] == "extra_forbidden":
        if (name := former_names(section_at(section, field[:-1])).get(str(field[-1]))) is not None:
            return Problem(field, f"{name} alone, which is its new name", "both")
        from difflib import get_close_matches

        known = known_fields(section, field[:-1])
        similar = get_close_matches(str(field[-1]), known, 1)
        hint = f" (did you mean {similar[0]}?)" if similar else ""
        expected = f"one of {', '.join(known)}{hint}" if known else "no such field"
        return Problem(field, expected, received)
    said = str(found["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    return Problem(field, _EXPECTED.get(found["type"], said), received)


def known_fields(section: type[Section], place: Sequence[str | int] = ()) -> list[str]:
    """Names that the mapping at a place below a section may have; not those that are deprecated."""
    named = section_at(section, place).model_fields.items()
    return [field.alias or name for name, field in named if not field.json_schema_extra]


def section_at(section: type[Section], place: Sequence[str | int]) -> type[Section]:
    """The section at a place below another one."""
    for part in place:
        fields = {field.alias or name: field for name, field in section.model_fields.items()}
        annotation = fields[str(part)].annotation if str(part) in fields else None
        # The section that the field is, or holds a list or mapping of.
        for found in (annotation, *get_args(annotation)):
            if isinstance(found, type) and issubclass(found, Section):
                section = found
    return section
