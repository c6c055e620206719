"""A dataset's YAML file: read, and wrong with file, line, field, what was expected and received."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tsad_tasks.base.errors import ConfigError
from tsad_tasks.base.files import is_endless
from tsad_tasks.base.lazy import LazyModule
from tsad_tasks.base.settings import Problem, former_names, problems
from tsad_tasks.base.shown import on_one_line
from tsad_tasks.config.dataset import DatasetConfig
from tsad_tasks.config.sections import FORMER_ENDS, SourceSection
from tsad_tasks.config.several import in_list

# A process that is given its dataset, and reads no file, has no need of it.
if TYPE_CHECKING:
    import yaml
else:
    yaml = LazyModule("yaml")

_MAX_PROBLEMS = 20
_HOLD = (
    "Rename it when you retrain: a value is then held where rows are read, and a row without one "
    "ends it."
)


def load_config(path: Path) -> DatasetConfig:
    """The dataset of one YAML file.

    Raises `ConfigError` with file, line, field, what was expected and what was received.
    """
    root, values = _read(path)
    if not isinstance(root, yaml.MappingNode):
        received = "nothing" if root is None else root.tag.removeprefix("tag:yaml.org,2002:")
        raise file_error(path, 1, Problem((), "a mapping with dataset and source", received))
    try:
        return DatasetConfig.model_validate(values)
    except ValidationError as error:
        given = problems(error, DatasetConfig, _MAX_PROBLEMS)
        found = [one._replace(field=_as_given(values, one.field)) for one in given]
        lines = [str(file_error(path, _line(root, one.field), one)) for one in found]
        n_more = error.error_count() - len(found)
        lines += [f"{shown_path(path)}: and {n_more:,} more."] * (n_more > 0)
        raise ConfigError(*lines) from error


def _as_given(values: Mapping[str, Any], field: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Where a field is in the file, in which one source is no list."""
    is_alone = field[:2] == ("source", 0) and not isinstance(values.get("source"), list)
    return (field[0], *field[2:]) if is_alone else field


def file_error(path: Path, line: int, problem: Problem) -> ConfigError:
    """An error on a line of a file."""
    return ConfigError(f"{shown_path(path)}:{line}: {problem}")


def shown_path(path: Path) -> str:
    """The path as people may see it: a name may hold any byte, and any control character."""
    return on_one_line(os.fsencode(path).decode("utf-8", "backslashreplace"), 5000)


def deprecations(config: DatasetConfig, path: Path | None = None) -> list[str]:
    """A line on each field that counts no more, or has another name: where it is, and what to use.

    `path`: of the dataset's file, if it has one.
    """
    root, values = (None, {}) if path is None else _read(path)
    found = []
    for place, former, name in _former_names(values):
        problem = Problem((*place, former), f"{name}, its new name", "the former one")
        found.append((problem, _HOLD if former == "hold" else "Rename it."))
    if config.training.max_minutes is not None:
        problem = Problem(
            ("training", "max_minutes"),
            "training.max_windows and training.epochs, which end a training however busy the "
            "machine is",
            f"{config.training.max_minutes:g}, which is deprecated and ignored",
        )
        found.append((problem, "Remove it; see training.timeout."))
    where = path or config.dataset
    lines = ["" if root is None else f":{_line(root, problem.field)}" for problem, _ in found]
    return [f"{where}{line}: {said} {do}" for line, (said, do) in zip(lines, found, strict=True)]


def _former_names(values: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Where a file says a name that a field had before, which one, and what it is called now."""
    given, sections = values.get("source", {}), former_names(SourceSection)
    channels = dict.fromkeys(FORMER_ENDS, "sensor_range: [low, high]") | {"hold": "valid_for"}
    for at, source in enumerate(in_list(given)):
        place: tuple[str | int, ...] = ("source", at) if isinstance(given, list) else ("source",)
        yield from ((place, name, sections[name]) for name in source if name in sections)
        for channel, section in source.get("channels", {}).items():
            below = (*place, "channels", channel)
            yield from ((below, name, channels[name]) for name in section if name in channels)


def source_text(path: Path, position: int) -> str:
    """What a file says of one of its several sources, as it would stand if there were no other;
    empty where it is not written line by line.
    """
    root, _ = _read(path)
    assert root is not None
    given = next(node for key, node in root.value if key.value == "source")
    source = given.value[position]
    if not isinstance(given, yaml.SequenceNode) or given.flow_style or source.flow_style:
        return ""
    lines = path.read_text(encoding="utf-8").splitlines()
    first, left = source.start_mark.line, source.start_mark.column
    below = takewhile(lambda line: not line[:left].strip(), lines[first + 1 :])
    said = [f"  {line[left:]}" if line.strip() else "" for line in (lines[first], *below)]
    return "\n".join(["source:", *said]).rstrip() + "\n"


def _read(path: Path) -> tuple[yaml.Node | None, Any]:
    """Root and value of the file's document."""
    from tsad_tasks.config.bounded_yaml import MAX_BYTES, MisreadError, read_yaml

    unread = "a file that can be read"
    try:
        if is_endless(path):
            raise file_error(path, 1, Problem((), unread, "a pipe, socket or device"))
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise file_error(path, 1, Problem((), unread, str(error.strerror))) from error
    if len(content) > MAX_BYTES:
        raise file_error(path, 1, Problem((), f"at most {MAX_BYTES:,} bytes", "more"))
    try:
        return read_yaml(content.decode("utf-8").removeprefix("\ufeff"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        received = f"the byte {content[error.start]:#x}"
        raise file_error(path, line, Problem((), "a file in UTF-8", received)) from error
    except MisreadError as error:
        raise file_error(path, error.line, error.problem) from error


def _line(node: Any, field: Sequence[Any]) -> int:
    """Where a field is, or the nearest of the mappings around it that is there."""
    line: int = node.start_mark.line + 1
    for part in field:
        if isinstance(node, yaml.MappingNode):
            named = (pair for pair in node.value if pair[0].value == str(part))
            key, node = next(named, (None, None))
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            key = node = node.value[part] if part < len(node.value) else None
        else:
            return line
        if key is None:
            return line
        line = key.start_mark.line + 1
    return line
