"""What lies in folders of artifacts, local or in an object store: how much, and how old."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from upath import UPath


class Contents(NamedTuple):
    """Bytes of a folder's files, and when the newest of them was written."""

    n_bytes: int
    written_at: datetime


def folders_below(place: UPath) -> dict[str, Contents]:
    """Contents of each folder in a place that has files, by name; one listing for all."""
    if not place.exists():
        return {}
    start = f"{place.path.rstrip('/')}/"
    found: dict[str, Contents] = {}
    for path, facts in place.fs.find(place.path, detail=True).items():
        name, inner, _ = path.removeprefix(start).partition("/")
        if inner:
            size, at = int(facts["size"]), _file_written_at(facts)
            known = found.get(name, Contents(0, at))
            found[name] = Contents(known.n_bytes + size, max(known.written_at, at))
    return found


def written_at(folder: UPath) -> datetime:
    """When the newest file was written; an empty folder counts as written when it was made."""
    files = folder.fs.find(folder.path, detail=True).values()
    return max(map(_file_written_at, files or [folder.fs.info(folder.path)]))


def remove_folder(folder: UPath) -> None:
    """Removes a folder and everything in it."""
    folder.fs.rm(folder.path, recursive=True)


def _file_written_at(facts: Mapping[str, object]) -> datetime:
    """When a file was written; local, s3 and memory each have a name of their own for it."""
    found = facts.get("mtime") or facts.get("LastModified") or facts.get("created")
    if isinstance(found, datetime):
        return found
    # What tells no time is not old.
    if not isinstance(found, (int, float)):
        return datetime.max.replace(tzinfo=UTC)
    return datetime.fromtimestamp(found, UTC)
