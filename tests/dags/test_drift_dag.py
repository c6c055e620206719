"""The report DAG through real Airflow: drift and audit leave rows, and drift above the limit starts a retraining."""

from __future__ import annotations

import os
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


@dataclass(frozen=True)
class Watched:
    """A plant that is retrained where it drifts, Airflow's environment for it, and Airflow's own database."""

    uri: str
    metadata_uri: str
    environment: dict[str, str]


@pytest.fixture
def watched(warehouse_uri: str, cluster: Cluster, tmp_path: Path) -> Watched:
    """A champion of the first week, a week that is like it, and one that is five degrees warmer."""
    changes = {"drift": {"retrain_above": 0.5}}
    weeks = Weeks.filled(warehouse_uri, tmp_path, **changes)
    weeks.train(week(1))
    weeks.shift(week(2), week(3), by=5)
    weeks.score(week(1), week(3))
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "plant.yaml").write_text(yaml.safe_dump(CONFIG | changes), encoding="utf-8")
    kept, _ = ensure_secrets(tmp_path / "home")
    places = Places.of(project_folder(), tmp_path / "home")
    metadata_uri = cluster.create_database(f"drift_{uuid4().hex}", owner=AIRFLOW)
    environment = airflow_environment(places, kept, cluster, os.environ, headless=True)
    environment |= {METADATA_URI: metadata_uri, "TSAD_DATASETS": str(tmp_path / "datasets")}
    uri = cluster.uri(warehouse_uri.rsplit("/", 1)[1], PIPELINE)
    return Watched(warehouse_uri, metadata_uri, environment | {DATABASE_URI: uri, "AIRFLOW_CONN_PLANT": warehouse_uri})


def test_drift_above_the_limit_starts_a_retraining_on_what_drifted_and_drift_below_does_not(watched: Watched) -> None:
    span = ("--start", week(1).isoformat(), "--end", week(3).isoformat(), "--step", "7d")
    ended = run_headless("--dag", "plant.report", *span, environment=watched.environment)
    assert ended.returncode == 0, ended.stderr[-3000:]
    drift = "SELECT week_at, psi > 0.5 FROM tsad.v_drift WHERE channel = 'temperature' ORDER BY 1"
    assert run(watched.uri, drift) == [(week(1), False), (week(2), True)]
    states = "SELECT end_at, state FROM tsad.run_status WHERE step = 'retrain_early' ORDER BY 1"
    assert run(watched.uri, states) == [(week(2), "nothing_to_do"), (week(3), "done")]
    audited = """
        SELECT week_at, version, n_incidents = (
          SELECT count(*) FROM tsad.v_incident
          WHERE started_at >= week_at AND started_at < week_at + interval '7 days')
        FROM tsad.v_audit ORDER BY 1"""
    assert run(watched.uri, audited) == [(week(1), 1, True), (week(2), 1, True)]
    started = "SELECT logical_date, (conf ->> 'end')::timestamptz FROM dag_run WHERE dag_id = 'plant.retrain'"
    assert run(watched.metadata_uri, started) == [(week(3), week(3))]
