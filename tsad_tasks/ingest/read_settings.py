"""By what an hour is read: what of a dataset file decides which values the hour gets.

A connection, a time limit or a unit's text decides none; what is at its default is left out, so
that a field that is new here makes no hour that was read before it another one. Names of series are
kept with their times (`series.py`), and so is no setting; their scales are one where they change.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from tsad_tasks.base.errors import ConfigError
from tsad_tasks.config import DatasetConfig
from tsad_tasks.config.sections import SourceSection, config_hash

Scales = Mapping[str, Sequence[float]]

# Fields of a source, and of a channel, that decide no value.
NO_VALUES = {
    "connection", "tags", "dictionary", "inventory", "label", "wait_for_rows_s",
    "late_rows_within_s", "late_s", "statement_timeout_s", "full_scan", "max_connections",
}  # fmt: skip
NO_VALUES_OF_CHANNEL = {"unit", "hold_s", "role", "settles_within_s", "alert_on"}
# Of a channel: what decides verdicts on its values, and not the values.
_JUDGED = ("sensor_range",)
_LISTED = ("tables", "tables_except", "series", "value_column")
_UNTIL_CHANGED = "until_changed"


class ReadSettings(NamedTuple):
    """Settings by which hours are read, and what they are told apart by.

    `settings`: `sources`, of each what it says and its connection, which is not in the digest, and
    `scales` of series, where they were others once.
    """

    digest: str
    settings: dict[str, Any]


def read_settings(config: DatasetConfig, scales: Scales) -> ReadSettings:
    """The settings by which the dataset's hours are read now."""
    sources = [*map(_said, config.sources)]
    parts = {"sources": sorted(map(_text, sources)), "scales": scales}
    named = [
        {"connection": source.connection, **said}
        for source, said in zip(config.sources, sources, strict=True)
    ]
    return ReadSettings(config_hash(parts)[:16], {"sources": named, "scales": dict(scales)})


def _said(source: SourceSection) -> dict[str, Any]:
    """What the source's section says of values, in one of the ways in which it may say it."""
    said = source.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=NO_VALUES)
    for name in said.keys() & {*_LISTED}:
        said[name] = [said[name]] if isinstance(said[name], str) else said[name]
    if source.query is not None:
        said["query"] = source.select
    said["channels"] = {
        name: {
            key: value
            for key, value in channel.model_dump(
                mode="json", by_alias=True, exclude_defaults=True, exclude=NO_VALUES_OF_CHANNEL
            ).items()
            if (key, value) != ("column", name)
        }
        for name, channel in source.channels.items()
    }
    # Only values that are valid until they change ask whether anything is heard of an entity.
    silence = said.pop("silent_after", None)
    is_asked = any(one.valid_for_s == _UNTIL_CHANGED for one in source.channels.values())
    default_s = source.model_copy(update={"silent_after_s": None}).silence_s
    if silence is not None and is_asked and source.silence_s != default_s:
        said["silent_after"] = silence
    return said


def former_config(config: DatasetConfig, settings: Mapping[str, Any]) -> DatasetConfig | None:
    """The dataset as it was read by former settings, over today's connections; None where it cannot
    be, since other sources made it up.
    """
    former = settings["sources"]
    if len(former) != len(config.sources):
        return None
    try:
        sources = [*map(_former_source, config.sources, former)]
    except (ValidationError, ConfigError):
        return None
    return config.model_copy(update={"sources": tuple(sources)})


def _former_source(source: SourceSection, said: Mapping[str, Any]) -> SourceSection:
    names = {"connection", "tags", "dictionary"} if "series" in said else {"connection"}
    given = {name: getattr(source, name) for name in names}
    former = SourceSection.model_validate({**said, **given})
    return former.model_copy(update={name: getattr(source, name) for name in NO_VALUES})


class Difference(NamedTuple):
    """A key of the dataset file that is another, and of which of its sources; None: of all."""

    source: int | None
    key: str


def differences(former: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """Which keys of the dataset file say something else than they did.

    A source or a channel that is there no more is none: what was read of it is not asked for.
    """
    return [*_of_sources(former["sources"], now["sources"]), *_of_scales(former, now)]


def value_differences(former: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """Which keys of the dataset file gave channels other values than they would now.

    A channel that is new was not read before, and so not otherwise; a range of a sensor decides
    what is said of values, not the values.
    """
    known = {name for one in former["sources"] for name in one["channels"]}
    sources = [_of_channels(one, known) for one in now["sources"]]
    was = [_of_channels(one, known) for one in former["sources"]]
    return differences(
        {**former, "sources": was}, {**now, "sources": [one for one in sources if one["channels"]]}
    )


def _of_channels(source: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """What a source says of these channels, but for their ranges."""
    channels = {
        name: {key: value for key, value in said.items() if key not in _JUDGED}
        for name, said in source["channels"].items()
        if name in names
    }
    return {**source, "channels": channels}


def _of_sources(
    former: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]
) -> Iterator[Difference]:
    before, rest = [_unconnected(one) for one in former], list[tuple[int, dict[str, Any]]]()
    for at, one in enumerate(map(_unconnected, now)):
        if one in before:
            before.remove(one)
        else:
            rest.append((at, one))
    if not before:
        yield from (Difference(at, f"source.{at}") for at, _ in rest)
        return
    if len(before) != len(rest):
        names = {name for one in now for name in one["channels"]}
        if rest or any(names & one["channels"].keys() for one in before):
            yield Difference(None, "source")
        return
    is_alone = len(now) == 1
    for was, (at, one) in zip(before, rest, strict=True):
        place = "" if is_alone else f"source.{at}."
        was = was | {"channels": {name: was["channels"].get(name) for name in one["channels"]}}
        for key in _different(was, one):
            yield Difference(at, f"{place}{key}")


def _of_scales(former: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    names = former["scales"].keys() | now["scales"].keys()
    changed = [one for one in names if former["scales"].get(one) != now["scales"].get(one)]
    for name in sorted(changed):
        yield Difference(None, f"scale or offset of series {name}")


def _different(was: Any, one: Any) -> Iterator[str]:
    """Keys, with those above them, that only one of two mappings has or that differ in them."""
    for key in sorted(was.keys() | one.keys()):
        pair = was.get(key), one.get(key)
        if all(isinstance(side, dict) for side in pair):
            yield from (f"{key}.{below}" for below in _different(*pair))
        elif key not in was or key not in one or pair[0] != pair[1]:
            yield key


def _unconnected(source: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in source.items() if key != "connection"}


def _text(said: Mapping[str, Any]) -> str:
    return json.dumps(said, sort_keys=True, ensure_ascii=False)
