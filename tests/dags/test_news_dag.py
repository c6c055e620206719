"""News of models through real Airflow: what a retraining and a promotion tell, and that telling hides no failure."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from local.test_headless import run_headless
from receivers import Running, webhook
from statements import run
from steps.weeks import CONFIG, MACHINE, Weeks, week
from tsad_tasks.local.environment import DATABASE_URI, METADATA_URI, Places, airflow_environment, ensure_secrets
from tsad_tasks.local.places import project_folder
from tsad_tasks.local.postgres import AIRFLOW, PIPELINE, Cluster

# No challenger is that fast.
STRICT = {"gate": CONFIG["gate"] | {"max_latency_ms": 1e-9}, "notifications": {"targets": [{"webhook": "chat"}]}}


@dataclass(frozen=True)
class Newsroom:
    """A plant with a strict gate, Airflow's environment for it, and the chat that is told."""

    uri: str
    environment: dict[str, str]
    chat: Running

    def states(self, dag_id: str, *arguments: str) -> list[tuple[str, list[str]]]:
        """States of headless runs, and the tasks of each that failed."""
        said = run_headless("--dag", dag_id, *arguments, environment=self.environment)
        assert said.returncode < 2, said.stderr[-3000:]
        outcomes: list[dict[str, Any]] = [json.loads(line) for line in said.stdout.splitlines()]
        return [(outcome["state"], outcome["failed_tasks"]) for outcome in outcomes]

    def told(self) -> list[str]:
        return [said["subject"] for said in self.chat.receiver.said]


@pytest.fixture
def newsroom(warehouse_uri: str, cluster: Cluster, tmp_path: Path) -> Iterator[Newsroom]:
    """A champion of the first week, and a day of the second that is a known fault."""
    weeks = Weeks.filled(warehouse_uri, tmp_path)
    weeks.train(week(1))
    weeks.execute("SELECT tsad.add_label('plant', %s, %s, %s)", MACHINE, week(1, 24), week(1, 48))
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "plant.yaml").write_text(yaml.safe_dump(CONFIG | STRICT), encoding="utf-8")
    kept, _ = ensure_secrets(tmp_path / "home")
    environment = airflow_environment(
        Places.of(project_folder(), tmp_path / "home"), kept, cluster, os.environ, headless=True
    )
    metadata_uri = cluster.create_database(f"news_{uuid4().hex}", owner=AIRFLOW)
    environment |= {METADATA_URI: metadata_uri, "TSAD_DATASETS": str(tmp_path / "datasets")}
    environment |= {DATABASE_URI: cluster.uri(warehouse_uri.rsplit("/", 1)[1], PIPELINE)}
    with webhook() as chat:
        url = {"conn_type": "http", "host": f"http://127.0.0.1:{chat.port}/hooks/to-ken"}
        environment |= {"AIRFLOW_CONN_PLANT": warehouse_uri, "AIRFLOW_CONN_CHAT": json.dumps(url)}
        yield Newsroom(warehouse_uri, environment, chat)


def test_a_retraining_that_failed_stays_red_and_one_that_failed_the_gate_green_and_both_are_told(
    newsroom: Newsroom,
) -> None:
    weekly = ("--start", week(1).isoformat(), "--end", week(3).isoformat(), "--step", "7d")
    assert newsroom.states("plant.retrain", *weekly) == [("failed", ["exclusions"]), ("success", [])]
    told = ["plant: a training was stopped", "plant: version 2 failed the gate"]
    assert newsroom.told() == told
    assert newsroom.chat.receiver.said[1]["failed_rules"][0]["rule"] == "latency_ms"
    hourly = ("--start", week(3).isoformat(), "--end", (week(3) + timedelta(hours=1)).isoformat())
    assert newsroom.states("plant.promote", *hourly) == [("success", [])]
    assert newsroom.told() == told
    states = "SELECT state, counts ->> 'n_delivered' FROM tsad.run_status WHERE step = 'notify' ORDER BY end_at"
    assert run(newsroom.uri, states) == [("done", "1"), ("done", "1"), ("done", "0")]


def test_a_replayed_retraining_tells_nobody(newsroom: Newsroom) -> None:
    weekly = ("--start", week(2).isoformat(), "--end", week(3).isoformat(), "--step", "7d")
    replay = ("--conf", json.dumps({"lineage": "replay"}))
    assert newsroom.states("plant.retrain", *weekly, *replay) == [("success", [])]
    assert run(newsroom.uri, "SELECT lineage, decision FROM tsad.v_model_history ORDER BY decided_at DESC LIMIT 1") == [
        ("replay", "gate_failed")
    ]
    assert newsroom.told() == []
