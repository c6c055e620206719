"""A dataset's YAML file: read, and wrong with file, line, field, what was expected and received."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tsad_tasks.base.errors import ConfigError
from tsad_tasks.base.settings import Problem, problems
from tsad_tasks.config.dataset import DatasetConfig


def load_config(path: Path) -> DatasetConfig:
    """The dataset of one YAML file.

    Raises `ConfigError` with file, line, field, what was expected and what was received.
    """
    text = _text(path)
    root = _composed(path, text)
    if not isinstance(root, yaml.MappingNode):
        received = "nothing" if root is None else root.tag.removeprefix("tag:yaml.org,2002:")
        raise _error(path, 1, "(file)", "a mapping with dataset and source", received)
    _check_nodes(path, root, set())
    try:
        return DatasetConfig.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise _yaml_error(path, error) from error
    except ValidationError as error:
        found = problems(error, DatasetConfig)
        lines = (f"{path}:{_line(root, problem.field)}: {problem}" for problem in found)
        raise ConfigError("\n".join(lines)) from error


def deprecations(config: DatasetConfig, path: Path | None = None) -> list[str]:
    """A line on each field that counts no more: where it is, and what to use in its place.

    `path`: of the dataset's file, if it has one.
    """
    if config.training.max_minutes is None:
        return []
    field = ("training", "max_minutes")
    line = "" if path is None else f":{_line(_composed(path, _text(path)), field)}"
    problem = Problem(
        field,
        "training.max_windows and training.epochs, which end a training however busy the machine "
        "is",
        f"{config.training.max_minutes:g}, which is deprecated and ignored",
    )
    return [f"{path or config.dataset}{line}: {problem} Remove it; see training.timeout."]


def _error(path: Path, line: int, field: str, expected: str, received: str) -> ConfigError:
    return ConfigError(f"{path}:{line}: {Problem((field,), expected, received)}")


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _error(path, 1, "(file)", "a file that can be read", str(error.strerror)) from error
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        received = f"the byte {content[error.start]:#x}"
        raise _error(path, line, "(file)", "a file in UTF-8", received) from error


def _composed(path: Path, text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        received = repr(text[error.position])
        raise _error(path, line, "(file)", "text without control characters", received) from error
    except yaml.YAMLError as error:
        raise _yaml_error(path, error) from error
    except RecursionError as error:
        expected, received = "a mapping a few levels deep", "one too deep to be read"
        raise _error(path, 1, "(file)", expected, received) from error


def _yaml_error(path: Path, error: yaml.YAMLError) -> ConfigError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    return _error(
        path, mark.line + 1 if mark else 1, "(file)", "YAML, indented with spaces", problem
    )


def _check_nodes(path: Path, node: Any, seen: set[int]) -> None:
    """YAML lets a second key replace the first without a word, and Postgres takes no NUL.

    All nodes below one are looked at, each once, however often and deep anchors refer to it.
    """
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode) and "\0" in node.value:
        line, what = node.start_mark.line + 1, "text without control characters"
        raise _error(path, line, "(file)", what, repr(node.value))
    below = node.value if isinstance(node, yaml.CollectionNode) else []
    if isinstance(node, yaml.MappingNode):
        keys = [key for key, _ in below]
        for i, key in enumerate(keys):
            is_twice = key.value in [other.value for other in keys[:i]]
            if isinstance(key, yaml.ScalarNode) and is_twice:
                line = key.start_mark.line + 1
                raise _error(path, line, key.value, "each key once", "a second one")
        below = [part for pair in below for part in pair]
    for child in below:
        _check_nodes(path, child, seen)


def _line(node: Any, field: Sequence[Any]) -> int:
    """Where a field is, or the nearest of the mappings around it that is there."""
    line: int = node.start_mark.line + 1
    for part in field:
        if isinstance(node, yaml.MappingNode):
            pairs = {key.value: (key, value) for key, value in node.value}
            key, node = pairs.get(str(part), (None, None))
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            key = node = node.value[part] if part < len(node.value) else None
        else:
            return line
        if key is None:
            return line
        line = key.start_mark.line + 1
    return line
