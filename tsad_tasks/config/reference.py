"""The reference of dataset files, docs/reference/dataset_file.md, made of what sections declare."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple, get_args

from pydantic.fields import FieldInfo

from tsad_tasks.base.enums import Stage
from tsad_tasks.base.rule import rules_of
from tsad_tasks.base.settings import DURATION_JSON, Section, counts_of_readings, usual_times
from tsad_tasks.base.variants import CHANNELS, SOURCES
from tsad_tasks.config.dataset import DatasetConfig
from tsad_tasks.config.descriptions import descriptions, examples, key_of, summary
from tsad_tasks.config.sections import FileSection
from tsad_tasks.config.written import written_duration, written_value
from tsad_tasks.detectors.registry import DETECTORS

_HEAD = """# The dataset file

Every key of `dags/datasets/<dataset>.yaml`. Printed from the sections in `tsad_tasks/config` and
the settings of detectors by `tsad datasets reference > docs/reference/dataset_file.md`; a file is
checked with `tsad datasets check <dataset>`, and an editor knows all of it from `schema.json`
(`tsad datasets schema`).

A *duration* is a number with a unit, such as `30s`, `5min`, `1h`, `30d` or `2w`; a number alone
counts seconds. A *step* is the distance of two readings, `source.step`. Keys that are not here are
errors. Only `dataset` and `source` must be there."""
_BY_DEFAULT = re.compile(r" ?By default (?:it is )?(.+)\.$")
_BOUNDS = {
    "exclusiveMinimum": "above", "minimum": "at least",
    "exclusiveMaximum": "below", "maximum": "at most",
}  # fmt: skip
_PLAIN = {
    "string": "text", "boolean": "`true` or `false`", "integer": "whole number",
    "number": "number", "null": "`null`",
}  # fmt: skip


class Block(NamedTuple):
    """A mapping in a dataset file: where it is, and the section that says what may stand in it."""

    place: str
    section: type[Section]


def blocks(section: type[Section] = DatasetConfig, place: str = "") -> Iterator[Block]:
    """The section and all below it, in the order of the file.

    >>> [block.place for block in blocks()][:4]
    ['', 'source', 'source.time', 'source.entity']
    """
    yield Block(place, section)
    for name, field in section.model_fields.items():
        for found in _sections_in(field.annotation):
            yield from blocks(found, _place_below(section, place, name))


def _place_below(section: type[Section], place: str, name: str) -> str:
    key = key_of(section, name)
    kind = str(section.model_fields[name].annotation).partition("[")[0]
    each = {"dict": f".<{key.removesuffix('s')}>", "list": "[]"}.get(kind, "")
    return f"{place}.{key}{each}".removeprefix(".")


def _sections_in(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and not get_args(annotation):
        if issubclass(annotation, Section):
            yield annotation
        return
    for part in get_args(annotation):
        yield from _sections_in(part)


def keys_page() -> str:
    """The page, in Markdown."""
    parts: list[tuple[str, list[str]]] = []
    for block in blocks():
        title = f"`{block.place}`" if block.place else "Top of the file"
        parts.append((title, _block_lines(block)))
        parts.extend(_variants(block.place))
    contents = [f"- [{title}](#{_anchor(title)})" for title, _ in parts]
    lines = [_HEAD, "", *contents]
    for title, said in parts:
        lines += ["", f"## {title}", "", *said]
    return "\n".join([*lines, ""])


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-")


def _block_lines(block: Block) -> list[str]:
    assert issubclass(block.section, FileSection)
    shown = [f"```yaml\n{one}\n```" for one in examples(block.section)]
    between = "or\n"
    lines = [summary(block.section), "", *_table(block), ""]
    for i, one in enumerate(shown):
        lines += [between] * (i > 0) + [one, ""]
    return lines[:-1]


def _table(block: Block) -> list[str]:
    section, told = block.section, descriptions(block.section)
    schema, usual = section.model_json_schema(by_alias=True), usual_times(section)
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for name, field in section.model_fields.items():
        key = key_of(section, name)
        meaning, by_default = _BY_DEFAULT.sub("", told[key]), _BY_DEFAULT.search(told[key])
        default = by_default[1] if by_default else _default(name, field)
        if name in usual:
            default = f"`{written_duration(usual[name].seconds)}`"
        value = _value(schema["properties"][key], schema.get("$defs", {}))
        if issubclass(section, FileSection) and any(_sections_in(field.annotation)):
            value = f"[{value}](#{_anchor(_place_below(section, block.place, name))})"
        if name in counts_of_readings(section):
            value = "whole number of readings, or duration"
        cells = (f"`{key}`", value, default, meaning)
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return lines


def _cell(text: str) -> str:
    outside = re.split(r"(`[^`]*`)", text.replace("|", "\\|"))
    return "".join(part if part[:1] == "`" else part.replace("<", "\\<") for part in outside)


def _default(name: str, field: FieldInfo) -> str:
    if field.is_required():
        return "must be there"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Section):
        return "its keys' own"
    if name.endswith("_s"):
        return f"`{written_duration(value)}`"
    return f"`{written_value(value)}`" if value != "" else "empty"


def _value(schema: dict[str, Any], defined: dict[str, Any]) -> str:
    """What a JSON schema lets through, in words."""
    if "$ref" in schema:
        found = defined[schema["$ref"].rpartition("/")[2]]
        return _value(found, defined) if "enum" in found else "mapping"
    if "anyOf" in schema:
        known = [one for one in schema["anyOf"] if one.get("type") != "null"]
        if known == DURATION_JSON["anyOf"]:
            return "duration"
        return " or ".join(dict.fromkeys(_value(one, defined) for one in known))
    if "enum" in schema or "const" in schema:
        some = [f"`{one}`" for one in schema.get("enum", [schema.get("const")])]
        return " or ".join([", ".join(some[:-1])] * (len(some) > 1) + some[-1:])
    if schema.get("type") == "array":
        if "prefixItems" in schema:
            each = [_value(one, defined) for one in schema["prefixItems"]]
            return f"[{', '.join(each)}]"
        return f"list of {_value(schema['items'], defined)}" if "items" in schema else "list"
    if schema.get("type") == "object":
        values = schema.get("additionalProperties")
        inner = _value(values, defined) if isinstance(values, dict) else ""
        return f"mapping to {inner}" if inner and inner != "anything" else "mapping"
    plain = _PLAIN.get(schema.get("type", ""), "anything")
    if schema.keys() >= {"minimum", "maximum"}:
        return f"{plain} from {schema['minimum']:,g} to {schema['maximum']:,g}"
    bounds = [f"{word} {schema[key]:,g}" for key, word in _BOUNDS.items() if key in schema]
    return f"{plain} {' and '.join(bounds)}" if bounds else plain


def _variants(place: str) -> Iterator[tuple[str, list[str]]]:
    """What follows a block of which some keys depend on a variant."""
    if place == "source.channels.<channel>":
        for kind in SOURCES:
            table = _settings(SOURCES[kind].settings_model) or ["It has none."]
            yield f"`source.params` of kind `{kind}`", table
    if place == "detector":
        models = sorted(DETECTORS, key=lambda name: (_model(name).__name__, name))
        for model, grouped in groupby(models, _model):
            names = [*grouped]
            title = f"`detector.params` of {', '.join(f'`{name}`' for name in names)}"
            guides = [f"[{name}](../guides/detectors/{name}.md)" for name in names]
            about = f"{'Guides' if len(names) > 1 else 'Guide'}: {', '.join(guides)}."
            shown = f"```yaml\n{settings_example(names[0])}```"
            yield title, [about, "", *_settings(model), "", shown]
    if place in ("gate", "shadow"):
        own = [f"`{rule.name}`" for rule in rules_of(Stage(place)) if isinstance(rule.limit, float)]
        if own:
            yield f"Rules with a limit in `{place}.limits`", [", ".join(own)]
    if place == "notifications.targets[]":
        lines = ["| channel | connection by default |", "|---|---|"]
        for name in CHANNELS:
            default = CHANNELS[name].default_connection
            lines.append(f"| `{name}` | {f'`{default}`' if default else 'must be named'} |")
        yield "`channel` of a target", lines


def _model(name: str) -> type[Section]:
    return DETECTORS[name].settings_model


def _settings(model: type[Section]) -> list[str]:
    """The table of a variant's settings, and of those below them."""
    lines: list[str] = []
    for block in blocks(model):
        if block.section.model_fields:
            lines += [f"\nEach of `{block.place}`:\n"] * bool(block.place) + _table(block)
    return lines


def settings_example(name: str) -> str:
    """YAML of a detector that says all its settings: as by default, or as their example says."""
    fields = _model(name).model_fields.items()
    params = {
        setting: field.examples[0]
        if field.examples
        else field.get_default(call_default_factory=True)
        for setting, field in fields
    }
    return "\n".join(
        ["detector:", f"  name: {name}", "  params:"]
        + [f"    {setting}: {written_value(value)}" for setting, value in params.items()]
        + [""]
    )
