"""Files that only their owner may read, and a lock that one folder's changes take turns under."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tsad_tasks.base.errors import AccessDenied


def write_private(path: Path, text: str) -> None:
    """Write `text` to `path` with mode 0600; a reader sees the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    new.replace(path)


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


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which falls with the process that holds it.

    Raises
    ------
    AccessDenied : the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
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
