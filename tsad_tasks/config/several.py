"""Several sources of one dataset: what they must agree on, and what each says for itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue

from tsad_tasks.base.settings import wrong
from tsad_tasks.base.shown import shown
from tsad_tasks.config.sections import ChannelSection, SourceSection
from tsad_tasks.config.written import written_duration, written_value

# Said by one of the sources they count for all: of the dataset, and of a channel.
_OF_ALL = ("step_s", "wait_for_rows_s", "late_rows_within_s", "late_s")
_OF_CHANNEL = (
    "unit", "aggregate", "signal", "per", "wraps_at", "max_rate", "period", "states", "role",
    "settles_within_s", "across", "valid_for_s", "hold_s", "sensor_range",
)  # fmt: skip


class OneOrSeveral:
    """To editors: a list may be one of its items instead."""

    def __get_pydantic_json_schema__(
        self, core: Any, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        several = handler(core)
        return {"anyOf": [several["items"], several]}


def in_list(given: Any) -> Sequence[Any]:
    """A list, of what may stand in a file for a list of one."""
    if isinstance(given, list | tuple) and not given:
        raise wrong("at least one", "[]")
    return given if isinstance(given, list | tuple) else [given]


def agreed(sources: Sequence[SourceSection]) -> tuple[SourceSection, ...]:
    """The sources with what one of them says for all, and with whole channels.

    Raises an error about the field in which they do not agree.
    """
    common = _common(sources, [("source", at) for at in range(len(sources))], _OF_ALL)
    shared = dict[str, dict[str, Any]]()
    for name in {name for source in sources for name in source.channels}:
        having = [at for at, source in enumerate(sources) if name in source.channels]
        if len(having) > 1:
            places = [("source", at, "channels", name) for at in having]
            same = [sources[at].channels[name] for at in having]
            shared[name] = _common(same, places, _OF_CHANNEL)
    found = [_with_common(source, common, shared) for source in sources]
    for at, source in enumerate(found):
        others = found[:at] + found[at + 1 :]
        for name in source.channels:
            _check_channel(at, source, name, [one for one in others if name in one.channels])
    return tuple(found)


def _with_common(
    source: SourceSection, common: dict[str, Any], shared: dict[str, dict[str, Any]]
) -> SourceSection:
    channels = {
        name: own.model_copy(update=shared[name]) if name in shared else own
        for name, own in source.channels.items()
    }
    return source.model_copy(update=common | {"channels": channels})


def _common(
    sections: Sequence[SourceSection | ChannelSection],
    places: Sequence[tuple[str | int, ...]],
    names: Sequence[str],
) -> dict[str, Any]:
    """What the sections say of these fields, of which each is said once, or the same everywhere."""
    found = {}
    for name in names:
        said = [at for at, one in enumerate(sections) if name in one.model_fields_set]
        for at in said:
            first, own = getattr(sections[said[0]], name), getattr(sections[at], name)
            if own != first:
                where = ".".join(map(str, places[said[0]]))
                expected = f"what {where} says, {_written(first, name)}, or nothing"
                received = _written(own, name)
                raise wrong(expected, received, *places[at], name.removesuffix("_s"))
        if said:
            found[name] = getattr(sections[said[0]], name)
    return found


def _written(value: Any, name: str) -> str:
    is_duration = name.endswith("_s") and isinstance(value, int)
    return written_duration(value) if is_duration else written_value(value)


def _check_channel(
    at: int, source: SourceSection, name: str, others: Sequence[SourceSection]
) -> None:
    """A channel of one entity is that of one series, or `across` says how several are one."""
    channel, place = source.channels[name], ("source", at, "channels", name)
    if channel.valid_for_s and channel.hold_s:
        raise wrong("valid_for alone, which is its new name", "both", *place, "hold")
    channel.check_signal(*place)
    if channel.across is not None and not source.series and not others:
        raise wrong("series, which across is about", "none", *place, "across")
    if channel.across == "sum" and others and not source.series:
        expected = "mean, max or min, or series in each source of the channel"
        raise wrong(expected, "sum", *place, "across")
    constant = source.entity.constant
    if channel.across is None and constant is not None:
        for other in others:
            if other.entity.constant == constant:
                expected = f"{name} of {shown(constant)} in one source, or across"
                raise wrong(expected, "it in several", *place)


def names_of(sources: Sequence[SourceSection]) -> tuple[str, ...]:
    """What to call each: by its connection, with a number where several have the same.

    >>> names_of([SourceSection.model_construct(connection=name) for name in ("a", "b", "a")])
    ('a', 'b', 'a 2')
    """
    names = list[str]()
    for source in sources:
        n_before = sum(name.partition(" ")[0] == source.connection for name in names)
        names.append(f"{source.connection} {n_before + 1}" if n_before else source.connection)
    return tuple(names)
