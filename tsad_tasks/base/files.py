"""Files that are whole or absent, after a kill and after a power cut, and nobody else's to read.

One place writes what the product reads again or hands on: readers see the former file or the new
one, never a half, and a full disk leaves the former one.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from tsad_tasks.base.errors import BadInput, NoSpace
from tsad_tasks.base.places import Folder

FILE_MODE, FOLDER_MODE = 0o600, 0o700

# They have no folders; asked to make one they list the whole bucket.
_WITHOUT_FOLDERS = ("s3", "s3a", "gs", "gcs", "az", "abfs", "memory")
# The disk, the account's share of it, and the longest file that is allowed.
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def make_folder(folder: Folder, mode: int = FOLDER_MODE) -> None:
    """Makes a folder and those above it, for its owner alone, where the place has folders."""
    if not isinstance(folder, Path):
        if folder.protocol not in _WITHOUT_FOLDERS:
            folder.mkdir(parents=True, exist_ok=True)
        return
    # `Path.mkdir` gives its mode to the last one only.
    missing = [one for one in (folder, *folder.parents) if not one.is_dir()]
    with space_at(folder):
        for one in reversed(missing):
            one.mkdir(mode, exist_ok=True)
            sync_folder(one.parent)


def is_endless(path: Path) -> bool:
    """Whether reading it may never end: a pipe waits for its other end, and a device goes on.

    Raises `OSError` where it is not there.
    """
    kind = path.stat().st_mode
    return not stat.S_ISREG(kind) and not stat.S_ISDIR(kind)


def write_whole(path: Folder, content: bytes | str) -> None:
    """Writes a file whole, or leaves what was there; its folder exists.

    Raises
    ------
    NoSpace
        When the disk, or one's share of it, is full.
    BadInput
        When a pipe, socket or device is there.
    """
    with whole_file(path) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_file(path: Folder) -> Iterator[BinaryIO]:
    """A stream whose bytes become the file once all of them are written; raises as `write_whole`.

    An object store shows a file when it has all of it, and is given it at once.
    """
    if not isinstance(path, Path):
        with tempfile.TemporaryFile() as spool:
            with space_at(Path(tempfile.gettempdir())):
                yield cast(BinaryIO, spool)
                spool.seek(0)
            with path.open("wb") as stream:
                shutil.copyfileobj(spool, stream, 1 << 20)
        return
    if path.exists() and is_endless(path):
        # A file put in its place would take /dev/null from everybody.
        raise BadInput(f"Expected a place for a file. Received: {path}, a pipe, socket or device.")
    part = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}")
    try:
        with space_at(path.parent):
            descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE)
            with os.fdopen(descriptor, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(path)
            sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """What was made, renamed or removed in a folder stays so after a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def space_at(folder: Path) -> Iterator[None]:
    """Says of what fails inside for want of space which disk is full.

    Raises
    ------
    NoSpace
        Where the system said that there is no space left.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        named = Path(error.filename).parent if isinstance(error.filename, str) else folder
        raise no_space(error, named) from error


def no_space(error: OSError, folder: Path) -> NoSpace:
    """The error that names the full disk, by the folder and by where it is mounted."""
    folder = folder.absolute()
    place = next(one for one in (folder, *folder.parents) if one.exists())
    mount = next(one for one in (place, *place.parents) if one.is_mount())
    said, free = os.strerror(error.errno or 0), shutil.disk_usage(place).free
    return NoSpace(
        f"Expected room to write in {folder}. Received: {said}, on the disk that is mounted at "
        f"{mount} ({free / 1e6:.1f} MB free). Make room: what was there before stays, and the next "
        "try writes the rest."
    )
