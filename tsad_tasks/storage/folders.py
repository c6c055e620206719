"""What lies in folders of artifacts, local or in an object store: how much, and how old."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

from tsad_tasks.base.files import make_folder, write_whole
from tsad_tasks.base.places import Folder


class Contents(NamedTuple):
    """Bytes of a folder's files, and when the newest of them was written."""

    n_bytes: int
    written_at: datetime


def folders_below(place: Folder) -> dict[str, Contents]:
    """Contents of each folder in a place that has files, by name; one listing for all."""
    if not place.exists():
        return {}
    found: dict[str, Contents] = {}
    for path, size, at in _files_below(place):
        name, inner, _ = path.partition("/")
        if inner:
            known = found.get(name, Contents(0, at))
            found[name] = Contents(known.n_bytes + size, max(known.written_at, at))
    return found


def written_at(folder: Folder) -> datetime:
    """When the newest file was written; an empty folder counts as written when it was made."""
    times = [at for _, _, at in _files_below(folder)]
    if isinstance(folder, Path):
        return max(times, default=datetime.fromtimestamp(folder.stat().st_mtime, UTC))
    return max(times or [_file_written_at(folder.fs.info(folder.path))])


def place_now(place: Folder) -> datetime:
    """The time now by the clock that a place stamps its files with: a file written there tells.

    Ages of files are told by this clock alone, which may be another machine's.
    """
    make_folder(place)
    probe = place / f".clock-{secrets.token_hex(4)}"
    write_whole(probe, b"?")
    try:
        if isinstance(probe, Path):
            return datetime.fromtimestamp(probe.stat().st_mtime, UTC)
        return _file_written_at(probe.fs.info(probe.path))
    finally:
        probe.unlink()


def remove_folder(folder: Folder) -> None:
    """Removes a folder and everything in it."""
    if isinstance(folder, Path):
        shutil.rmtree(folder)
    else:
        folder.fs.rm(folder.path, recursive=True)


def _files_below(place: Folder) -> Iterator[tuple[str, int, datetime]]:
    """Each file's path below a place, bytes, and when it was written."""
    if isinstance(place, Path):
        for file in place.rglob("*"):
            # What another process removes meanwhile is not there.
            with suppress(FileNotFoundError):
                facts = file.stat()
                if S_ISREG(facts.st_mode):
                    at = datetime.fromtimestamp(facts.st_mtime, UTC)
                    yield file.relative_to(place).as_posix(), facts.st_size, at
        return
    start = f"{place.path.rstrip('/')}/"
    for path, known in place.fs.find(place.path, detail=True).items():
        yield path.removeprefix(start), int(known["size"]), _file_written_at(known)


def _file_written_at(facts: Mapping[str, object]) -> datetime:
    """When a file was written; s3 and memory have names of their own for it."""
    found = facts.get("mtime") or facts.get("LastModified") or facts.get("created")
    if isinstance(found, datetime):
        return found
    # What tells no time is not old.
    if not isinstance(found, (int, float)):
        return datetime.max.replace(tzinfo=UTC)
    return datetime.fromtimestamp(found, UTC)
