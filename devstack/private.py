"""Files that only their owner may read, and a lock that one folder's changes take turns under."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tsad_tasks.base.errors import AccessDenied
from tsad_tasks.base.files import FILE_MODE, FOLDER_MODE, make_folder, write_whole

# Of root's: the account that the database server runs under walks through and lists nothing.
PASSED_THROUGH = 0o711
# Of programs that are not ours: what they write is for nobody else to read.
UMASK = 0o077


def write_private(path: Path, text: str) -> None:
    """Write `text` to `path` with mode 0600; a reader sees the old text or the new one."""
    make_folder(path.parent)
    write_whole(path, text)


def write_private_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` as JSON to `path` with mode 0600."""
    write_private(path, json.dumps(content, indent=2) + "\n")


def read_private_json(path: Path) -> dict[str, Any]:
    """What `write_private_json` left at `path`.

    Raises
    ------
    AccessDenied : another user made the file.
    """
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except PermissionError as error:
        received = f"owner {path.stat().st_uid}, mode 0600"
        raise AccessDenied(
            f"Expected {path} to be readable by user id {os.geteuid()}. Received: {received}. Run "
            "as that user, or choose another folder with TSAD_HOME."
        ) from error


def private_log(path: Path) -> BinaryIO:
    """A log of mode 0600 to append to."""
    make_folder(path.parent)
    return os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, FILE_MODE), "ab")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which falls with the process that holds it.

    Raises
    ------
    AccessDenied : the folder cannot be made or written.
    """
    try:
        make_folder(folder, PASSED_THROUGH if os.geteuid() == 0 else FOLDER_MODE)
        flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC
        descriptor = os.open(folder / "lock", flags, FILE_MODE)
    except PermissionError as error:
        raise AccessDenied(
            f"Expected {folder} to be writable by user id {os.geteuid()}. Received: permission "
            "denied. Run as the user who made it, or choose another folder with TSAD_HOME."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
