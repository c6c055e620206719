"""News of models through real Airflow: what a retraining and a promotion tell, and that telling hides no failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from receivers import Running, webhook
from statements import run
from steps.weeks import CONFIG, MACHINE, WEEK, Weeks, week
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

    def states(self, *jobs: dict[str, Any]) -> list[tuple[str, list[str]]]:
        """States of headless runs, one process for all, and the tasks of each that failed."""
        command = [sys.executable, str(project_folder() / "plugins" / "tsad_headless.py"), "--jobs"]
        lines = "\n".join(map(json.dumps, jobs))
        said = subprocess.run(command, input=lines, env=self.environment, capture_output=True, text=True, check=False)
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


def test_a_retraining_that_failed_stays_red_one_that_failed_the_gate_is_green_and_both_are_told_once(
    newsroom: Newsroom,
) -> None:
    assert newsroom.states(
        job("retrain", week(1), 2 * WEEK),
        job("promote", week(3), timedelta(hours=1), step="1h"),
        job("retrain", week(3), WEEK, conf={"lineage": "replay"}),
    ) == [("failed", ["exclusions"]), ("success", []), ("success", []), ("success", [])]
    assert newsroom.told() == ["plant: a training was stopped", "plant: version 2 failed the gate"]
    assert newsroom.chat.receiver.said[1]["failed_rules"][0]["rule"] == "latency_ms"
    decided = "SELECT lineage FROM tsad.v_model_history WHERE decision = 'gate_failed' ORDER BY decided_at"
    assert run(newsroom.uri, decided) == [("live",), ("replay",)]
    states = "SELECT state, counts ->> 'n_delivered' FROM tsad.run_status WHERE step = 'notify' ORDER BY finished_at"
    assert run(newsroom.uri, states) == [("done", "1"), ("done", "1"), ("done", "0"), ("nothing_to_do", None)]


def job(kind: str, start_at: datetime, length: timedelta, *, step: str = "7d", **options: Any) -> dict[str, Any]:
    """Headless runs of one of the plant's DAGs."""
    span = {"start": start_at.isoformat(), "end": (start_at + length).isoformat(), "step": step}
    return {"dag": [f"plant.{kind}"]} | span | options
