"""A retraining that asks, through real Airflow: what the form shows, and what each answer leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from local.test_headless import run_headless
from statements import run
from steps.weeks import CONFIG, Weeks, week
from tsad_tasks.local.environment import DATABASE_URI, METADATA_URI, Places, airflow_environment, ensure_secrets
from tsad_tasks.local.places import project_folder
from tsad_tasks.local.postgres import AIRFLOW, PIPELINE, Cluster

ASKING = CONFIG["training"] | {"preview": "manual", "answer_within": "1s", "unanswered": "train"}


@dataclass(frozen=True)
class Asking:
    """A plant whose retrainings ask, and Airflow's environment for it."""

    uri: str
    environment: dict[str, str]

    def arguments(self, n_weeks: int, **conf: str) -> list[str]:
        """Of headless retrainings of the first weeks, one after another."""
        span = ["--start", week(0).isoformat(), "--end", week(n_weeks).isoformat(), "--step", "7d"]
        return ["--dag", "plant.retrain", *span, "--conf", json.dumps(conf)]

    def answered(self, n_weeks: int, *answers: str) -> tuple[list[str], list[str]]:
        """States of these retrainings, and the forms that were answered so."""
        headless = [sys.executable, str(project_folder() / "plugins" / "tsad_headless.py"), *self.arguments(n_weeks)]
        people = [sys.executable, str(Path(__file__).with_name("answer_forms.py")), *answers]
        with subprocess.Popen(headless, env=self.environment, stdout=subprocess.PIPE, text=True) as runs:
            try:
                said = subprocess.run(people, env=self.environment, capture_output=True, text=True, check=False)
                assert said.returncode == 0, said.stderr[-3000:]
                outcomes, _ = runs.communicate(timeout=120)
            finally:
                runs.kill()
        return [json.loads(line)["state"] for line in outcomes.splitlines()], json.loads(said.stdout.splitlines()[-1])


@pytest.fixture
def asking(warehouse_uri: str, cluster: Cluster, tmp_path: Path) -> Asking:
    Weeks.filled(warehouse_uri, tmp_path)
    (tmp_path / "datasets").mkdir()
    file = yaml.safe_dump(CONFIG | {"training": ASKING})
    (tmp_path / "datasets" / "plant.yaml").write_text(file, encoding="utf-8")
    kept, _ = ensure_secrets(tmp_path / "home")
    places = Places.of(project_folder(), tmp_path / "home")
    metadata_uri = cluster.create_database(f"preview_{uuid4().hex}", owner=AIRFLOW)
    environment = airflow_environment(places, kept, cluster, os.environ, headless=True)
    environment |= {METADATA_URI: metadata_uri, "TSAD_DATASETS": str(tmp_path / "datasets")}
    uri = cluster.uri(warehouse_uri.rsplit("/", 1)[1], PIPELINE)
    return Asking(warehouse_uri, environment | {DATABASE_URI: uri, "AIRFLOW_CONN_PLANT": warehouse_uri})


def test_a_person_stops_one_training_and_nobody_the_next(asking: Asking) -> None:
    states, (first, second) = asking.answered(2, "Stop", "nobody")
    assert states == ["success", "success"]
    assert "1\u202f008 readings of 1 entity, 0 % of the running ones left out" in first
    assert "| temperature | 0 % |" in first
    assert f"{week(1):%Y-%m-%d %H:%M} to {week(2):%Y-%m-%d %H:%M} UTC" in second
    said = run(asking.uri, "SELECT end_at, decision, decided_by, reason FROM tsad.v_training_decision ORDER BY 1")
    assert said == [
        (week(1), "stopped", "ada", "answered on the form"),
        (week(2), "approved", "nobody", "nobody answered, training.unanswered: train"),
    ]
    assert run(asking.uri, "SELECT train_end_at FROM tsad.v_model") == [(week(2),)]
    stopped = "SELECT state, message FROM tsad.run_status WHERE step = 'approved' AND end_at = %s"
    assert run(asking.uri, stopped, (week(1),)) == [
        ("nothing_to_do", "The training of plant was stopped by ada (answered on the form).")
    ]
    ((pdf,),) = run(asking.uri, "SELECT pdf FROM tsad.v_training_decision WHERE end_at = %s", (week(1),))
    assert Path(pdf).read_bytes().startswith(b"%PDF")


def test_of_a_replay_nobody_is_asked_and_nothing_new_asks_nobody(asking: Asking) -> None:
    replayed = asking.arguments(1, lineage="replay", end=week(2).isoformat())
    ended = run_headless(*replayed, environment=asking.environment)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert run(asking.uri, "SELECT lineage, train_end_at FROM tsad.v_model") == [("replay", week(2))]
    assert run(asking.uri, "SELECT count(*) FROM tsad.v_training_decision") == [(0,)]
    again = run_headless(*replayed, environment=asking.environment)
    assert again.returncode == 0, again.stderr[-3000:]
    states = "SELECT state FROM tsad.run_status WHERE step IN ('exclusions', 'approved')"
    assert run(asking.uri, states) == [("nothing_to_do",)] * 2
