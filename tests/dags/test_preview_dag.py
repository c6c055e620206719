"""A retraining that asks, through real Airflow: what the form shows, and what each answer leaves
behind.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from devstack.headless import headless
from devstack.postgres import Cluster
from tests.dags.airflow_plants import AirflowPlant, airflow_plant
from tests.plants.weeks import CONFIG, WEEK, Weeks, week
from tests.statements import run

ASKING = CONFIG["training"] | {"preview": "manual", "answer_within": "1s", "unanswered": "train"}


def answered(asking: AirflowPlant, n_weeks: int, *answers: str) -> tuple[list[str], list[str]]:
    """States of retrainings of the first weeks, and the forms that were answered so."""
    people = [sys.executable, str(Path(__file__).with_name("answer_forms.py")), *answers]
    with (
        subprocess.Popen(people, env=asking.environment, stdout=subprocess.PIPE, text=True) as said,
        headless(asking.places, asking.environment) as airflow,
    ):
        states = [
            one["state"] for one in airflow.runs(["plant.retrain"], week(0), week(n_weeks), WEEK)
        ]
        forms, _ = said.communicate(timeout=60)
    return states, json.loads(forms.splitlines()[-1])


@pytest.fixture
def asking(warehouse_uri: str, cluster: Cluster, tmp_path: Path) -> AirflowPlant:
    Weeks.filled(warehouse_uri, tmp_path)
    return airflow_plant(cluster, warehouse_uri, tmp_path, CONFIG | {"training": ASKING})


def test_a_person_stops_one_training_and_nobody_the_next(asking: AirflowPlant) -> None:
    states, (first, second) = answered(asking, 2, "Stop", "nobody")
    assert states == ["success", "success"]
    assert "1\u202f008 readings of 1 entity, 0 % of the running ones left out" in first
    assert "| temperature | 0 % |" in first
    assert f"{week(1):%Y-%m-%d %H:%M} to {week(2):%Y-%m-%d %H:%M} UTC" in second
    said = run(
        asking.uri,
        "SELECT end_at, decision, decided_by, reason FROM tsad.v_training_decision ORDER BY 1",
    )
    assert said == [
        (week(1), "stopped", "ada", "answered on the form"),
        (week(2), "approved", "nobody", "nobody answered, training.unanswered: train"),
    ]
    assert run(asking.uri, "SELECT train_end_at FROM tsad.v_model") == [(week(2),)]
    stopped = "SELECT state, message FROM tsad.run_status WHERE step = 'approved' AND end_at = %s"
    assert run(asking.uri, stopped, (week(1),)) == [
        ("nothing_to_do", "The training of plant was stopped by ada (answered on the form).")
    ]
    ((pdf,),) = run(
        asking.uri, "SELECT pdf FROM tsad.v_training_decision WHERE end_at = %s", (week(1),)
    )
    assert Path(pdf).read_bytes().startswith(b"%PDF")


def test_of_a_replay_nobody_is_asked_and_nothing_new_asks_nobody(asking: AirflowPlant) -> None:
    conf = {"lineage": "replay", "end": week(2).isoformat()}
    with headless(asking.places, asking.environment) as airflow:
        list(airflow.runs(["plant.retrain"], week(0), week(1), WEEK, conf))
        assert run(asking.uri, "SELECT lineage, train_end_at FROM tsad.v_model") == [
            ("replay", week(2))
        ]
        assert run(asking.uri, "SELECT count(*) FROM tsad.v_training_decision") == [(0,)]
        list(airflow.runs(["plant.retrain"], week(0), week(1), WEEK, conf))
    states = "SELECT state FROM tsad.run_status WHERE step IN ('exclusions', 'approved')"
    assert run(asking.uri, states) == [("nothing_to_do",)] * 2
