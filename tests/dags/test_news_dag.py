"""News of models through real Airflow: what a retraining and a promotion tell, and that telling
hides no failure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from devstack.headless import Headless, headless
from devstack.postgres import Cluster
from tests.dags.airflow_plants import AirflowPlant, airflow_plant
from tests.plants.weeks import CONFIG, MACHINE, WEEK, Weeks, week
from tests.receivers import Running, webhook
from tests.statements import run
from tsad_tasks.base.errors import TsadError
from tsad_tasks.base.interval import HOUR

# No challenger is that fast.
STRICT = {
    "gate": CONFIG["gate"] | {"max_latency_ms": 1e-9},
    "notifications": {"targets": [{"webhook": "chat"}]},
}


@pytest.fixture
def chat() -> Iterator[Running]:
    with webhook() as running:
        yield running


@pytest.fixture
def newsroom(warehouse_uri: str, cluster: Cluster, tmp_path: Path, chat: Running) -> AirflowPlant:
    """A champion of the first week, and a day of the second that is a known fault; a chat is
    told.
    """
    weeks = Weeks.filled(warehouse_uri, tmp_path)
    weeks.train(week(1))
    weeks.execute("SELECT tsad.add_label('plant', %s, %s, %s)", MACHINE, week(1, 24), week(1, 48))
    plant = airflow_plant(cluster, warehouse_uri, tmp_path, CONFIG | STRICT)
    url = {"conn_type": "http", "host": f"http://127.0.0.1:{chat.port}/hooks/to-ken"}
    plant.environment["AIRFLOW_CONN_CHAT"] = json.dumps(url)
    return plant


def outcomes(airflow: Headless, *job: Any) -> list[tuple[str, list[str]]]:
    """State of each run, and the tasks of it that failed."""
    found = []
    with suppress(TsadError):
        for outcome in airflow.runs(*job):
            found.append((outcome["state"], outcome["failed_tasks"]))
    return found


def test_a_failed_retraining_stays_red_one_that_failed_the_gate_is_green_and_both_are_told_once(
    newsroom: AirflowPlant, chat: Running
) -> None:
    with headless(newsroom.places, newsroom.environment) as airflow:
        trained = outcomes(airflow, ["plant.retrain"], week(1), week(3), WEEK)
        assert trained == [("failed", ["exclusions"]), ("success", [])]
        assert outcomes(airflow, ["plant.promote"], week(3), week(3, 1), HOUR) == [("success", [])]
        replay = {"lineage": "replay"}
        assert outcomes(airflow, ["plant.retrain"], week(3), week(4), WEEK, replay) == [
            ("success", [])
        ]
    assert [said["subject"] for said in chat.receiver.said] == [
        "plant: a training was stopped",
        "plant: version 2 failed the gate",
    ]
    assert chat.receiver.said[1]["failed_rules"][0]["rule"] == "latency_ms"
    decided = (
        "SELECT lineage FROM tsad.v_model_history WHERE decision = 'gate_failed' ORDER BY "
        "decided_at"
    )
    assert run(newsroom.uri, decided) == [("live",), ("replay",)]
    states = (
        "SELECT state, counts ->> 'n_delivered' FROM tsad.run_status WHERE step = 'notify' ORDER "
        "BY finished_at"
    )
    assert run(newsroom.uri, states) == [
        ("done", "1"),
        ("done", "1"),
        ("done", "0"),
        ("nothing_to_do", None),
    ]


def test_a_first_model_that_failed_the_gate_is_red_and_scoring_says_why(
    warehouse_uri: str, cluster: Cluster, tmp_path: Path, chat: Running
) -> None:
    Weeks.filled(warehouse_uri, tmp_path)
    plant = airflow_plant(cluster, warehouse_uri, tmp_path, CONFIG | STRICT)
    url = {"conn_type": "http", "host": f"http://127.0.0.1:{chat.port}/hooks/to-ken"}
    plant.environment["AIRFLOW_CONN_CHAT"] = json.dumps(url)
    with headless(plant.places, plant.environment) as airflow:
        trained = outcomes(airflow, ["plant.retrain"], week(0), week(1), WEEK)
        assert outcomes(airflow, ["plant.score"], week(1), week(1) + HOUR, HOUR) == [
            ("success", [])
        ]
        # The source ends before it.
        outcomes(airflow, ["plant.score"], week(7), week(7) + HOUR, HOUR)
    assert trained == [("failed", ["champion"])]
    assert "There is no champion, so nothing is scored." in chat.receiver.said[0]["sentence"]
    said = "SELECT step, state, message FROM tsad.run_status WHERE state <> 'done' ORDER BY 1, 2, 3"
    why = {(step, state): message for step, state, message in run(plant.uri, said)}
    assert why["champion", "bad_input"] == why["features", "nothing_to_do"]
    assert "  latency_ms: " in why["champion", "bad_input"]
    assert "tsad promote plant 1 --why" in why["champion", "bad_input"]
    assert why["ingest", "nothing_to_do"].startswith(
        "The source of plant gave no row for 2026-04-20 00:00 to 2026-04-20 01:00 UTC; it has "
        "readings from 2026-03-02 00:00 to 2026-04-12 23:50 UTC. Look: tsad datasets check plant"
    )
