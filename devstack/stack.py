"""Airflow with its UI on one machine: its three programs as processes of our own.

Every process of a stack, and whatever it starts, carries the stack's home folder in its
environment. That mark finds them all again: a task leaves its scheduler's process group, and a
scheduler that is killed leaves workers behind. Airflow hides the environment of the processes that
run tasks from ordinary users; those are known by their session.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from devstack import postgres
from devstack.ending import end_all, is_alive, signal_all, survivors_after
from devstack.environment import (
    ADMIN,
    DATABASE_URI,
    METADATA_URI,
    Places,
    airflow_environment,
    ensure_secrets,
)
from devstack.private import UMASK, locked, private_log, read_private_json, write_private_json
from tsad_tasks.base.errors import BadInput, Unavailable
from tsad_tasks.base.files import FILE_MODE

MARK = "TSAD_STACK"
API_SERVER, DAG_PROCESSOR, SCHEDULER = "api-server", "dag-processor", "scheduler"
COMPONENTS = (API_SERVER, DAG_PROCESSOR, SCHEDULER)
# The api-server reads the logs of LocalExecutor's tasks from the disk: no log server on an open
# port.
OPTIONS = {SCHEDULER: ["--skip-serve-logs"]}
DEFAULT_PORT = 8080
# Generous: a machine with ten times as much to do as it has cores takes ten times as long.
READY_TIMEOUT_S = 1800
PATIENCE_S = 30
HEALTH_TIMEOUT_S = 120

Progress = Callable[[str], None]


@dataclass(frozen=True)
class StackStatus:
    """What runs: components that are healthy, where the UI is, and the server of both databases."""

    port: int
    healthy: tuple[str, ...]
    n_processes: int
    postgres_port: int | None
    admin: str = ADMIN
    new_admin_password: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Where the UI is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_ready(self) -> bool:
        """Whether every component is healthy."""
        return set(self.healthy) == set(COMPONENTS)


def up(
    places: Places, *, port: int = DEFAULT_PORT, progress: Progress = lambda step: None
) -> StackStatus:
    """Start what does not run yet and wait until all of it is healthy.

    Parameters
    ----------
    port : tCP port of the UI on 127.0.0.1; a stack that runs already stays on its own.
    progress : called with a few words before each step that takes time.

    Returns
    -------
    StackStatus : with the admin's password if this call generated it, and only then.

    Raises
    ------
    BadInput : the port is taken.
    Unavailable : a component ended or was not healthy in time; the message ends with its log.
    """
    with locked(places.home / "stack"):
        running = status(places.home)
        if running.is_ready:
            return running
        end_processes(places.home)
        if not postgres.is_free(port):
            raise BadInput(
                f"Expected port {port} to be free. Received: another program listens on it. "
                "Stop that program, or choose another port: tsad up --port 8081"
            )
        try:
            return _start(places, port, progress)
        except BaseException:
            # Also for Ctrl-C: a stack that is half up is no stack.
            end_processes(places.home)
            raise


def down(home: Path) -> int:
    """Stop the stack of `home` and its PostgreSQL; the number of Airflow processes ended."""
    with locked(home / "stack"):
        n_ended = end_processes(home)
        postgres.stop(home / "postgres")
        return n_ended


def status(home: Path) -> StackStatus:
    """What runs of the stack of `home`."""
    remembered = home / "run" / "stack.json"
    port = int(read_private_json(remembered)["port"]) if remembered.exists() else DEFAULT_PORT
    n_processes = len(stack_processes(home))
    cluster = postgres.running_cluster(home / "postgres")
    return StackStatus(
        port=port,
        healthy=_healthy_components(home, port) if n_processes else (),
        n_processes=n_processes,
        postgres_port=cluster.port if cluster else None,
    )


def stack_environment(
    places: Places,
    *,
    port: int = DEFAULT_PORT,
    inherited: Mapping[str, str] = os.environ,
    headless: bool = False,
) -> dict[str, str]:
    """The environment of the stack's Airflow programs; starts the embedded server if need be."""
    is_embedded = headless or not (inherited.get(DATABASE_URI) and inherited.get(METADATA_URI))
    cluster = postgres.ensure_running(places.home / "postgres") if is_embedded else None
    kept, _ = ensure_secrets(places.home)
    return airflow_environment(places, kept, cluster, inherited, api_port=port, headless=headless)


def stack_processes(home: Path) -> list[psutil.Process]:
    """Every living process of the stack of `home`."""
    recorded = [_recorded(home, name) for name in COMPONENTS]
    # Each component leads a session, whose number is not given anew while one member lives.
    sessions = {one["pid"] for one in recorded if one and one["created_s"] > psutil.boot_time()}

    def belongs(candidate: psutil.Process) -> bool:
        try:
            return is_alive(candidate) and candidate.environ().get(MARK) == str(home.absolute())
        except psutil.AccessDenied:
            with suppress(psutil.Error, OSError):
                is_own = candidate.uids().real == os.getuid()
                return is_own and os.getsid(candidate.pid) in sessions
            return False
        except (psutil.NoSuchProcess, OSError):
            return False

    return [candidate for candidate in psutil.process_iter() if belongs(candidate)]


def end_processes(home: Path) -> int:
    """End the stack's Airflow processes, politely first; how many there were."""
    n_found = len(stack_processes(home))
    # The api-server goes last, since tasks that end report to it.
    for names in ((SCHEDULER, DAG_PROCESSOR), (API_SERVER,)):
        leaders = [leader for name in names if (leader := _leader(home, name))]
        end_all(leaders, patience_s=PATIENCE_S)
    deadline_s = time.monotonic() + PATIENCE_S
    while (survivors := stack_processes(home)) and time.monotonic() < deadline_s:
        signal_all(survivors, psutil.Process.kill)
        survivors_after(survivors, 1)
    for name in COMPONENTS:
        (home / "run" / f"{name}.json").unlink(missing_ok=True)
    return n_found


def _start(places: Places, port: int, progress: Progress) -> StackStatus:
    progress("PostgreSQL")
    mark = {MARK: str(places.home.absolute()), "SPT_NOENV": "1"}
    environment = stack_environment(places, port=port) | mark
    _ensure_metadata(places, environment, progress)
    write_private_json(places.home / "run" / "stack.json", {"port": port})
    progress("API server and DAG processor")
    for name in (API_SERVER, DAG_PROCESSOR):
        _spawn(places, name, environment)
    # A scheduler that finds tasks to resume fails them while the api-server does not answer.
    _wait_until_healthy(places.home, port, (API_SERVER,))
    progress("scheduler")
    _spawn(places, SCHEDULER, environment)
    _wait_until_healthy(places.home, port, COMPONENTS)
    kept, _ = ensure_secrets(places.home)
    shown = places.home / "run" / "password-shown"
    new_password = None if shown.exists() else kept.admin_password
    shown.touch(FILE_MODE)
    return replace(status(places.home), new_admin_password=new_password)


def _ensure_metadata(places: Places, environment: Mapping[str, str], progress: Progress) -> None:
    """Bring Airflow's tables to its version, and note that: asking Airflow costs seconds."""
    stamp = places.home / "run" / "metadata.json"
    uri = environment[METADATA_URI]
    if stamp.exists() and read_private_json(stamp) == _metadata_state(uri):
        return
    progress("Airflow's metadata tables")
    log, program = _log_path(places.home, "initdb"), "from airflow.utils import db; db.initdb()"
    with private_log(log) as output:
        finished = subprocess.run(
            [sys.executable, "-c", program],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            umask=UMASK,
            check=False,
        )
    if finished.returncode != 0:
        raise Unavailable(
            f"Expected Airflow's initdb to succeed. Received: exit code {finished.returncode}. "
            f"The end of {log}:\n{postgres.log_tail(log)}"
        )
    write_private_json(stamp, _metadata_state(uri))


def _metadata_state(uri: str) -> dict[str, str | None]:
    """Airflow's version, and the revision of its tables at `uri` if there are any."""
    plain, timeout_s = uri.replace("+psycopg2", "", 1), postgres.CONNECT_TIMEOUT_S
    with (
        closing(psycopg2.connect(plain, connect_timeout=timeout_s)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("select to_regclass('alembic_version') is not null")
        has_tables = (cursor.fetchone() or (False,))[0]
        cursor.execute("select version_num from alembic_version" if has_tables else "select null")
        revision = (cursor.fetchone() or (None,))[0]
    return {"airflow": version("apache-airflow"), "revision": revision}


def _spawn(places: Places, name: str, environment: Mapping[str, str]) -> None:
    """Start one component in a session of its own, so that it outlives this terminal."""
    with private_log(_log_path(places.home, name)) as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "airflow", name, *OPTIONS.get(name, [])],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            umask=UMASK,
            start_new_session=True,
        )
    state = {"pid": child.pid, "created_s": psutil.Process(child.pid).create_time()}
    write_private_json(places.home / "run" / f"{name}.json", state)


def _wait_until_healthy(home: Path, port: int, names: Sequence[str]) -> None:
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    while not set(names) <= set(_healthy_components(home, port)):
        for name in names:
            if _leader(home, name) is None:
                raise _ended(home, name, "it ended")
        if time.monotonic() > deadline_s:
            raise _ended(home, names[-1], f"not healthy after {READY_TIMEOUT_S} s")
        time.sleep(0.25)


def _ended(home: Path, name: str, what: str) -> Unavailable:
    log = _log_path(home, name)
    return Unavailable(
        f"Expected Airflow's {name} to run. Received: {what}. The end of {log}:\n"
        f"{postgres.log_tail(log)}"
    )


def _healthy_components(home: Path, port: int) -> tuple[str, ...]:
    leaders = {name: leader for name in COMPONENTS if (leader := _leader(home, name))}
    try:
        # The first request for a task builds the routes of all versions, for seconds in which
        # nobody is answered.
        _answer(port, "execution/health")
        health = _answer(port, "api/v2/monitor/health")
    except (OSError, ValueError):
        return ()

    def is_healthy(name: str, leader: psutil.Process) -> bool:
        if name == API_SERVER:
            return bool(health["metadatabase"]["status"] == "healthy")
        key = name.replace("-", "_")
        beat = health[key][f"latest_{key}_heartbeat"]
        # After a kill the last heartbeat of the one before still looks healthy for half a minute.
        is_own = beat and datetime.fromisoformat(beat).timestamp() >= leader.create_time()
        return bool(is_own and health[key]["status"] == "healthy")

    return tuple(name for name, leader in leaders.items() if is_healthy(name, leader))


def _answer(port: int, path: str) -> dict[str, Any]:
    """What the api-server says, whatever proxy the environment names."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    url = f"http://{postgres.HOST}:{port}/{path}"
    with opener.open(url, timeout=HEALTH_TIMEOUT_S) as response:
        return dict(json.load(response))


def _leader(home: Path, name: str) -> psutil.Process | None:
    """The living process of a component's pid file; a recycled number has another creation time."""
    recorded = _recorded(home, name)
    if recorded is None:
        return None
    try:
        leader = psutil.Process(recorded["pid"])
    except psutil.NoSuchProcess:
        return None
    is_same = abs(leader.create_time() - recorded["created_s"]) < 1
    return leader if is_same and is_alive(leader) else None


def _recorded(home: Path, name: str) -> dict[str, Any] | None:
    path = home / "run" / f"{name}.json"
    return read_private_json(path) if path.exists() else None


def _log_path(home: Path, name: str) -> Path:
    return home / "logs" / f"{name}.log"
