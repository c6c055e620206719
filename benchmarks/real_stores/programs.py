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

Environment = dict[str, str]
_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
_STOPS_WITHIN_S = 600
_WAITS_S = 300


@dataclass(frozen=True)
class Programs:
    """The root of what was unpacked.

    Attributes
    ----------
    has_loader : its C library is newer than this machine's, and lies there, too.
    """

    root: Path
    has_loader: bool = False

    def _command(self, program: str, arguments: Sequence[object]) -> tuple[list[str], Environment]:
        """The command of a program and an environment, with which it finds its libraries."""
        folders = ":".join(sorted({str(one.parent) for one in self.root.glob("usr/lib/**/*.so.*")}))
        command = [str(self.root / program), *map(str, arguments)]
        environment = os.environ | {"LC_ALL": "C.UTF-8"}
        if not self.has_loader:
            return command, environment | {"LD_LIBRARY_PATH": folders}
        (loader,) = self.root.glob("usr/lib/*/ld-linux-*.so.*")
        return [str(loader), "--library-path", folders, *command], environment

    def run(self, program: str, *arguments: object) -> str:
        """What a program printed; the benchmark ends where it fails."""
        command, environment = self._command(program, arguments)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"Expected {program} to succeed. Received: {done.stdout}{done.stderr}")
        return done.stdout

    @contextmanager
    def running(
        self, log: Path, program: str, *arguments: object
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A program in the foreground of a process of its own, ended afterwards."""
        command, environment = self._command(program, arguments)
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command, env=environment, stdout=stream, stderr=subprocess.STDOUT
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(_STOPS_WITHIN_S)


def unpacked(
    folder: Path, packages: Sequence[str], *, may_download: bool, suite: str = ""
) -> Programs:
    """These packages, and what they need and this machine has not, unpacked below `folder`.

    Of another `suite` of Debian than this machine's all that they need is unpacked, its C library
    included.
    """
    root, marks = folder / "root", [folder / f"{name}.unpacked" for name in packages]
    programs = Programs(root, has_loader=bool(suite))
    if all(mark.exists() for mark in marks):
        return programs
    if not may_download:
        sys.exit(f"Expected --download, or {', '.join(packages)} below {folder}. Received: none.")
    folder.mkdir(parents=True, exist_ok=True)
    apt = ["apt-get", "--quiet", *(_of_suite(folder, suite) if suite else ())]
    install = [*apt, "install", "--simulate", "--no-install-recommends", *packages]
    planned = subprocess.run(install, capture_output=True, text=True, check=True).stdout
    missing = [line.split()[1] for line in planned.splitlines() if line.startswith("Inst ")]
    subprocess.run([*apt, "download", *missing], cwd=folder, check=True)
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", package, root], check=True)
        package.unlink()
    for mark in marks:
        mark.touch()
    return programs


def _of_suite(folder: Path, suite: str) -> list[str]:
    """What makes apt-get look at another suite, on a machine where nothing is installed."""
    apt = folder / "apt"
    for part in ("lists/partial", "cache/archives/partial"):
        (apt / part).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    (apt / "list").write_text(
        f"deb [signed-by={_KEYS}] http://deb.debian.org/debian {suite} main\n", encoding="utf-8"
    )
    settings = {
        "Dir::Etc::SourceList": apt / "list", "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": apt / "lists", "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache", "APT::Sandbox::User": "root",
    }  # fmt: skip
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    subprocess.run(["apt-get", "--quiet", *options, "update"], check=True, capture_output=True)
    return options


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
