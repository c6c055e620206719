"""The UI stack for real: up, its health and login over REST, a run, a killed scheduler, down,
nothing left.
"""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from devstack import postgres, stack
from devstack.environment import Places
from tests.modes import open_to_others
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.places import project_folder

TOY = """
from pendulum import datetime
from airflow.sdk import DAG, CronDataIntervalTimetable, task

with DAG(
    "toy",
    schedule=CronDataIntervalTimetable("0 * * * *", timezone="UTC"),
    start_date=datetime(2024, 1, 1),
    catchup=False,
    is_paused_upon_creation=False,
):

    @task
    def sleep_long():
        import time

        time.sleep(600)

    sleep_long()
"""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    folder = tmp_path_factory.mktemp("a stack")
    dags = folder / "dags"
    dags.mkdir()
    (dags / "toy.py").write_text(TOY, encoding="utf-8")
    chosen = Places.of(project_folder(), folder / "home", dags)
    yield chosen
    stack.down(chosen.home)
    postgres.remove(chosen.home / "postgres")


@pytest.fixture(scope="module")
def running(places: Places) -> stack.StackStatus:
    return stack.up(places, port=postgres.free_port())


def request(
    running: stack.StackStatus,
    path: str,
    content: dict[str, Any] | None = None,
    token: str | None = None,
) -> dict[str, Any]:
    headers = {"content-type": "application/json"} | (
        {"authorization": f"Bearer {token}"} if token else {}
    )
    body = None if content is None else json.dumps(content).encode()
    with urllib.request.urlopen(
        urllib.request.Request(running.url + path, body, headers), timeout=20
    ) as response:
        return dict(json.load(response))


def token_of(running: stack.StackStatus, password: str | None) -> str:
    return str(
        request(running, "/auth/token", {"username": "admin", "password": password})["access_token"]
    )


def component_pids(places: Places) -> dict[str, int]:
    paths = {name: places.home / "run" / f"{name}.json" for name in stack.COMPONENTS}
    return {
        name: int(json.loads(path.read_text(encoding="utf-8"))["pid"])
        for name, path in paths.items()
    }


def session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def test_up_is_ready_and_shows_the_admin_password_once(
    running: stack.StackStatus, places: Places
) -> None:
    assert running.is_ready
    assert running.new_admin_password
    started = component_pids(places)
    again = stack.up(places)
    assert (again.port, again.new_admin_password) == (running.port, None)
    assert component_pids(places) == started


def test_the_password_logs_in_and_another_does_not(running: stack.StackStatus) -> None:
    token = token_of(running, running.new_admin_password)
    assert request(running, "/api/v2/dags", token=token)["dags"][0]["dag_id"] == "toy"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        token_of(running, "guessed")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        request(running, "/api/v2/dags")


@pytest.mark.usefixtures("running")
def test_what_the_stack_writes_is_for_nobody_else_to_read(places: Places) -> None:
    assert (places.home / "logs" / "scheduler.log").exists()
    assert open_to_others(places.home) == []


def test_a_taken_port_is_one_clear_error(running: stack.StackStatus, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"Expected port {running.port} to be free"):
        stack.up(Places.of(project_folder(), tmp_path), port=running.port)


def test_down_ends_everything_even_what_a_killed_scheduler_left(
    running: stack.StackStatus, places: Places
) -> None:
    token = token_of(running, running.new_admin_password)
    request(running, "/api/v2/dags/toy/dagRuns", {"logical_date": "2024-05-01T06:00:00Z"}, token)
    wait_for_running_task(running, token)
    leaders = component_pids(places)
    started = {one.pid for one in psutil.process_iter() if session_of(one.pid) in leaders.values()}
    os.kill(leaders["scheduler"], signal.SIGKILL)
    assert stack.down(places.home) > 3
    assert len(started) > 6
    assert not [pid for pid in started if is_alive(pid)]
    assert postgres.running_cluster(places.home / "postgres") is None


def wait_for_running_task(running: stack.StackStatus, token: str) -> None:
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        found = request(
            running, "/api/v2/dags/toy/dagRuns/~/taskInstances?state=running", token=token
        )
        if found["total_entries"]:
            return
        time.sleep(0.5)
    raise AssertionError("no task started within a minute")


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
