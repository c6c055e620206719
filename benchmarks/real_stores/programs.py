"""Programs of Debian, unpacked below a folder of ours: nothing is installed, root not needed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_STOPS_WITHIN_S = 600
_WAITS_S = 300


@dataclass(frozen=True)
class Programs:
    """The root of what was unpacked."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which its programs find their libraries."""
        folders = sorted({str(one.parent) for one in self.root.glob("usr/lib/**/*.so.*")})
        return os.environ | {"LD_LIBRARY_PATH": ":".join(folders), "LC_ALL": "C.UTF-8"}

    def run(self, program: str, *arguments: object) -> str:
        """What a program printed; the benchmark ends where it fails."""
        command = [str(self.root / program), *map(str, arguments)]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"Expected {program} to succeed. Received: {done.stdout}{done.stderr}")
        return done.stdout

    @contextmanager
    def running(
        self, log: Path, program: str, *arguments: object
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A program in the foreground of a process of its own, ended afterwards."""
        command = [str(self.root / program), *map(str, arguments)]
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command, env=self.environment, stdout=stream, stderr=subprocess.STDOUT
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(_STOPS_WITHIN_S)


def unpacked(folder: Path, packages: Sequence[str], *, may_download: bool) -> Programs:
    """These packages, and what they need and this machine has not, unpacked below `folder`."""
    root, marks = folder / "root", [folder / f"{name}.unpacked" for name in packages]
    if all(mark.exists() for mark in marks):
        return Programs(root)
    if not may_download:
        sys.exit(f"Expected --download, or {', '.join(packages)} below {folder}. Received: none.")
    folder.mkdir(parents=True, exist_ok=True)
    install = ["apt-get", "install", "--simulate", "--no-install-recommends", *packages]
    planned = subprocess.run(install, capture_output=True, text=True, check=True).stdout
    missing = [line.split()[1] for line in planned.splitlines() if line.startswith("Inst ")]
    subprocess.run(["apt-get", "download", "--quiet", *missing], cwd=folder, check=True)
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", package, root], check=True)
        package.unlink()
    for mark in marks:
        mark.touch()
    return Programs(root)


def free_port() -> int:
    """A port of this machine that nobody listens on, of those that Zabbix takes."""
    return next(port for port in range(20_000, 32_767) if not listens(port))


def wait_until(holds: Callable[[], bool], what: str, process: subprocess.Popen[bytes]) -> None:
    """Waits until something holds; the benchmark ends where it never does, or the process has."""
    ends_s = time.monotonic() + _WAITS_S
    while not holds():
        if time.monotonic() > ends_s or process.poll() is not None:
            sys.exit(f"Expected {what} within {_WAITS_S} s. Received: none; see its out.log.")
        time.sleep(0.5)


def listens(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
