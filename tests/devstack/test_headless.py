"""The headless runner for real: one process, a DAG of its own, a metadata database of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from devstack.environment import METADATA_URI, Places, airflow_environment, ensure_secrets
from devstack.headless import Outcome, headless
from devstack.postgres import AIRFLOW, Cluster
from tests.dags.airflow_plants import metadata
from tests.modes import open_to_others
from tsad_tasks.base.errors import TsadError
from tsad_tasks.base.places import project_folder

TOY = """
from pathlib import Path

from airflow.sdk import DAG, CronDataIntervalTimetable, task
from pendulum import datetime

with DAG(
    "toy.score",
    schedule=CronDataIntervalTimetable("0 * * * *", timezone="UTC"),
    start_date=datetime(2024, 1, 1),
    catchup=False,
    params={"fail_hour": -1},
):

    @task
    def shards(data_interval_start=None, data_interval_end=None, logical_date=None, params=None):
        line = f"{data_interval_start} {data_interval_end} {logical_date}"
        with Path(__file__).with_name("intervals.txt").open("a") as stream:
            stream.write(line + "\\n")
        if data_interval_start.hour == params["fail_hour"]:
            raise ValueError("asked to fail")
        return [1, 2]

    @task
    def score(shard):
        return shard * 10

    @task
    def total(parts):
        with Path(__file__).with_name("totals.txt").open("a") as stream:
            stream.write(f"{sum(parts)}\\n")

    total(score.expand(shard=shards()))
"""


def run_headless(
    *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    program = project_folder() / "plugins" / "tsad_headless.py"
    command = [sys.executable, str(program), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chosen = tmp_path_factory.mktemp("some dags")
    (chosen / "toy.py").write_text(TOY, encoding="utf-8")
    return chosen


@pytest.fixture(scope="module")
def places(folder: Path) -> Places:
    return Places.of(project_folder(), folder.with_name("home"), folder)


@pytest.fixture(scope="module")
def environment(cluster: Cluster, places: Places) -> dict[str, str]:
    kept, _ = ensure_secrets(places.home)
    made = airflow_environment(places, kept, cluster, os.environ, headless=True)
    name = f"headless_{uuid4().hex}"
    return made | {METADATA_URI: cluster.create_database(name, metadata(cluster, made), AIRFLOW)}


@dataclass
class Session:
    """What one process that runs jobs answered, and what was said of the jobs that failed."""

    outcomes: list[Outcome] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def session(places: Places, environment: dict[str, str]) -> Session:
    """Two hours, an hour that fails, one that does not, and at last a DAG that there is not."""
    at, hour, seen = datetime(2024, 5, 2, tzinfo=UTC), timedelta(hours=1), Session()

    def run(dag_id: str, first: int, last: int, **conf: int) -> None:
        span = at + first * hour, at + last * hour
        for outcome in airflow.runs([dag_id], *span, hour, conf):
            seen.outcomes.append(outcome)

    try:
        with headless(places, environment) as airflow:
            run("toy.score", 0, 2)
            with pytest.raises(TsadError) as failed:
                run("toy.score", 0, 1, fail_hour=0)
            seen.errors.append(str(failed.value))
            run("toy.score", 2, 3)
            run("nobody.score", 0, 1)
    except TsadError as error:
        seen.errors.append(str(error))
    assert airflow.child.poll() is not None
    return seen


@pytest.fixture(scope="module")
def finished(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Three hours, newest first; the one that starts at 1:00 fails."""
    hours = ["--start", "2024-05-01T00:00Z", "--end", "2024-05-01T03:00Z", "--reverse"]
    return run_headless(
        "--dag", "toy.score", *hours, "--conf", '{"fail_hour": 1}', environment=environment
    )


def test_each_run_has_exactly_the_interval_asked_for(
    finished: subprocess.CompletedProcess[str], folder: Path
) -> None:
    seen = (folder / "intervals.txt").read_text(encoding="utf-8").splitlines()
    day = "2024-05-01"
    assert seen == [
        f"{day} {hour:02}:00:00+00:00 {day} {hour + 1:02}:00:00+00:00 {day} {hour:02}:00:00+00:00"
        for hour in (2, 1, 0)
    ]


@pytest.mark.usefixtures("finished")
def test_what_airflow_and_its_tasks_wrote_is_for_nobody_else_to_read(places: Places) -> None:
    assert (places.home / "logs" / "headless.log").stat().st_size > 0
    assert list(places.airflow_home.iterdir())
    assert open_to_others(places.home) == []


def test_stdout_is_one_json_line_for_each_run_and_nothing_else(
    finished: subprocess.CompletedProcess[str],
) -> None:
    outcomes: list[dict[str, Any]] = [json.loads(line) for line in finished.stdout.splitlines()]
    assert [one["interval_start"][11:13] for one in outcomes] == ["02", "01", "00"]
    assert [one["state"] for one in outcomes] == ["success", "failed", "success"]
    assert [one["failed_tasks"] for one in outcomes] == [[], ["shards"], []]
    assert all(one["seconds"] > 0 for one in outcomes)


def test_one_failed_run_makes_the_exit_code_1_and_does_not_stop_the_others(
    finished: subprocess.CompletedProcess[str], folder: Path
) -> None:
    assert finished.returncode == 1
    assert (folder / "totals.txt").read_text(encoding="utf-8") == "30\n30\n"


def test_one_process_runs_one_job_after_the_other(session: Session) -> None:
    seen = [(one["interval_start"][11:13], one["state"]) for one in session.outcomes]
    assert seen == [("00", "success"), ("01", "success"), ("00", "failed"), ("02", "success")]
    failed = "Expected all 1 runs to succeed. Received: 1 failed (toy.score: shards)."
    assert session.errors[0] == failed


def test_a_job_that_cannot_be_run_ends_the_process_with_an_error(session: Session) -> None:
    assert session.errors[1:] == ["Expected 1 runs. Received: 0, then Airflow's process ended."]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--start", "yesterday", "--end", "2024-05-02"], "Expected a time such as"),
        (
            ["--start", "2024-05-02", "--end", "2024-05-01"],
            "Expected --end at least one step after --start",
        ),
        (
            ["--start", "2024-05-01", "--end", "2024-05-02", "--step", "0h"],
            "Expected --step such as",
        ),
        (
            ["--start", "2024-05-01", "--end", "2024-05-02", "--conf", "[]"],
            "Expected a JSON object",
        ),
    ],
)
def test_bad_arguments_are_one_clear_line_and_exit_code_2(
    arguments: list[str], message: str
) -> None:
    refused = run_headless("--dag", "toy.score", *arguments)
    assert refused.returncode == 2
    assert refused.stderr.startswith(message)
    assert len(refused.stderr.splitlines()) == 1
