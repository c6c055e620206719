"""The services of docker-compose.yml as plain processes: the same commands, settings and health
checks.

Only hosts, ports and folders are those of this machine; everything else is read from the file
itself.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import yaml

from devstack.compose_secrets import write_compose_secrets
from devstack.ending import is_alive, signal_all, survivors_after
from devstack.postgres import free_port
from tests.e2e.rest import wait_for
from tsad_tasks.base.places import project_folder

COMPOSE_FILE = project_folder() / "docker-compose.yml"
STOP_S = 8
CODE, STATE = "/opt/tsad", "/var/lib/tsad"
_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?::([-?])([^}]*))?\})")


@dataclass(frozen=True)
class Service:
    """What one service of the file runs, and how its health is asked for."""

    command: list[str]
    environment: dict[str, str]
    healthcheck: list[str]


def interpolated(value: Any, variables: dict[str, str]) -> Any:
    """The value as compose would read it: `${NAME}`, `${NAME:-default}`, `${NAME:?message}` and
    `$$`.
    """
    if isinstance(value, dict):
        return {key: interpolated(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolated(item, variables) for item in value]
    return (
        _VARIABLE.sub(lambda found: _value_of(found, variables), value)
        if isinstance(value, str)
        else value
    )


def _value_of(found: re.Match[str], variables: dict[str, str]) -> str:
    if found[1]:
        return "$"
    value = variables.get(found[2]) or (found[4] if found[3] == "-" else None)
    assert value is not None, f"{found[2]} is in no env file: {found[4]}"
    return value


def read_env_file(path: Path) -> dict[str, str]:
    """Names and values."""
    return dict(line.split("=", 1) for line in path.read_text(encoding="utf-8").splitlines())


@dataclass
class Composed:
    """The file's services on this machine; state goes below `folder`."""

    folder: Path
    dataset_folder: Path
    postgres_port: int
    api_port: int = field(default_factory=free_port)
    redis_port: int = field(default_factory=free_port)
    sessions: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        write_compose_secrets(self.folder / ".env")
        self.secrets = read_env_file(self.folder / ".env") | {"TSAD_UI_PORT": str(self.api_port)}
        # As text, since a path or a port of the test may look like another one's replacement.
        content = interpolated(
            yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8")), self.secrets
        )
        self.services = {
            name: self._service(fields) for name, fields in content["services"].items()
        }
        for name in ("airflow", "artifacts", "logs"):
            (self.folder / name).mkdir()

    def _service(self, fields: dict[str, Any]) -> Service:
        # A name without a value is handed on from a shell; nobody sets those here.
        given = {
            name: value
            for name, value in fields.get("environment", {}).items()
            if value is not None
        }
        environment = {name: self._here(str(value)) for name, value in given.items()}
        command = [self._here(part) for part in fields.get("command", [])]
        return Service(
            command,
            environment,
            [self._here(part) for part in fields.get("healthcheck", {}).get("test", [])],
        )

    def _here(self, text: str) -> str:
        replacements = {
            f"{CODE}/dags/datasets": str(self.dataset_folder),
            CODE: str(project_folder()),
            STATE: str(self.folder),
            "/usr/local/bin/tsad-redis": str(project_folder() / "docker" / "redis.sh"),
            "postgres:5432": f"127.0.0.1:{self.postgres_port}",
            "redis:6379": f"127.0.0.1:{self.redis_port}",
            "api-server:8080": f"127.0.0.1:{self.api_port}",
        }
        pattern = "|".join(re.escape(part) for part in replacements)
        return re.sub(pattern, lambda found: replacements[found[0]], text)

    def environment(self, name: str) -> dict[str, str]:
        """The whole environment of a service: the file's, and what a container or its port mapping
        would give.
        """
        machine = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "REDIS_BIND": "127.0.0.1",
            "REDIS_PORT": str(self.redis_port),
        }
        listen = {"AIRFLOW__API__HOST": "127.0.0.1", "AIRFLOW__API__PORT": str(self.api_port)}
        return machine | self.services[name].environment | (listen if name == "api-server" else {})

    def run(self, name: str) -> None:
        """Run a service that ends."""
        with self._log(name).open("ab") as log:
            finished = subprocess.run(
                self.services[name].command,
                env=self.environment(name),
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=180,
            )
        assert finished.returncode == 0, self._tail(name)

    def start(self, *names: str) -> None:
        """Start services in sessions of their own, which their children stay in."""
        for name in names:
            with self._log(name).open("ab") as log:
                child = subprocess.Popen(
                    self.services[name].command,
                    env=self.environment(name),
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self.sessions[name] = child.pid

    def wait_until_healthy(self, *names: str, timeout_s: float = 120) -> None:
        """Ask the file's own health checks."""
        for name in names:
            wait_for(f"{name} to be healthy", partial(self._is_healthy, name), timeout_s=timeout_s)

    def _is_healthy(self, name: str) -> bool:
        assert self.members(name), f"{name} ended: {self._tail(name)}"
        kind, *command = self.services[name].healthcheck
        command = ["sh", "-c", *command] if kind == "CMD-SHELL" else command
        asked = subprocess.run(
            command, env=self.environment(name), capture_output=True, check=False
        )
        return asked.returncode == 0

    def members(self, name: str) -> list[psutil.Process]:
        """The living processes of a service."""
        return [
            one
            for one in psutil.process_iter()
            if is_alive(one) and _session(one.pid) == self.sessions[name]
        ]

    def kill(self, name: str) -> None:
        """`kill -9` for all of a service at once, as when its container or machine is lost."""
        signal_all(self.members(name), psutil.Process.kill)
        assert not survivors_after(self.members(name), 10)

    def stop(self) -> None:
        """End everything, politely first."""
        for leader in self.sessions.values():
            with suppress(ProcessLookupError):
                os.killpg(leader, signal.SIGTERM)
        remaining = survivors_after(
            [one for name in self.sessions for one in self.members(name)], STOP_S
        )
        signal_all(
            [*remaining, *(one for name in self.sessions for one in self.members(name))],
            psutil.Process.kill,
        )

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _tail(self, name: str) -> str:
        path = self._log(name)
        return (
            path.read_text(encoding="utf-8", errors="replace")[-3000:]
            if path.exists()
            else "(no log)"
        )


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None
