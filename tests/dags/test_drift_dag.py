"""The report DAG through real Airflow: drift and audit leave rows, and drift above the limit starts
a retraining.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from devstack.headless import headless
from devstack.postgres import Cluster
from tests.dags.airflow_plants import AirflowPlant, airflow_plant
from tests.plants.weeks import CONFIG, WEEK, Weeks, week
from tests.statements import run


@pytest.fixture
def watched(warehouse_uri: str, cluster: Cluster, tmp_path: Path) -> AirflowPlant:
    """A champion of the first week, a week that is like it, and one that is five degrees warmer."""
    changes = {"drift": {"retrain_above": 0.5}}
    weeks = Weeks.filled(warehouse_uri, tmp_path, **changes)
    weeks.train(week(1))
    weeks.shift(week(2), week(3), by=5)
    weeks.score(week(1), week(3))
    return airflow_plant(cluster, warehouse_uri, tmp_path, CONFIG | changes)


def test_drift_above_the_limit_starts_a_retraining_and_drift_below_does_not(
    watched: AirflowPlant,
) -> None:
    with headless(watched.places, watched.environment) as airflow:
        list(airflow.runs(["plant.report"], week(1), week(3), WEEK))
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
    started = (
        "SELECT logical_date, (conf ->> 'end')::timestamptz FROM dag_run WHERE dag_id = "
        "'plant.retrain'"
    )
    assert run(watched.metadata_uri, started) == [(week(3), week(3))]
