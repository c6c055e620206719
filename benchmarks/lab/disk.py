"""File systems that are full."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Disk:
    """A file system of its own, which can be filled but for some bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def full(self, room: int) -> Iterator[None]:
        """No more than `room` bytes are free, as the system counts them."""
        free = os.statvfs(self.folder)
        block, n_blocks = free.f_frsize, free.f_bavail - room // free.f_frsize
        # Several processes may fill it at once.
        ballast = self.folder / f"ballast-{os.getpid()}"
        with ballast.open("wb") as stream, suppress(OSError):
            os.posix_fallocate(stream.fileno(), 0, max(1, n_blocks) * block)
        try:
            yield
        finally:
            ballast.unlink()


class Bounded(Disk):
    """In place of a disk: no file of this process may be longer than the room."""

    @contextmanager
    def full(self, room: int) -> Iterator[None]:
        former = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (max(room, 1), former[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, former)


@contextmanager
def tmpfs(folder: Path, n_bytes: int) -> Iterator[Disk | None]:
    """A small file system at `folder`, or None where nobody may mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={n_bytes},mode=0755", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
