"""Dataclasses in JSON files, as one task leaves them for the next: they come back to the bit."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

from tsad_tasks.base.files import make_folder, write_whole
from tsad_tasks.base.places import Folder

Value = TypeVar("Value")


# Each is built once: it takes milliseconds.
_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


def json_value(value: Any, kind: Any = None) -> Any:
    """What JSON says of a dataclass, or of another kind that is named: `list[Exclusion]`."""
    return _adapter(kind or type(value)).dump_python(value, mode="json")


def from_json_value(content: Any, kind: type[Value]) -> Value:
    """The value of which JSON says so."""
    value: Value = _adapter(kind).validate_python(content)
    return value


def write_json(path: Folder, value: Any, kind: Any = None) -> None:
    """Writes a dataclass, or a value of another kind that is named, into a file."""
    make_folder(path.parent)
    write_whole(path, _adapter(kind or type(value)).dump_json(value))


def read_json(path: Folder, kind: type[Value]) -> Value:
    """The value in a file."""
    value: Value = _adapter(kind).validate_json(path.read_bytes())
    return value
