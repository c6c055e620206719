"""Scoring through real Airflow: a task for each shard, and the steps that a run leaves."""

from __future__ import annotations

from pathlib import Path

from devstack.headless import headless
from devstack.postgres import Cluster
from tests.dags.airflow_plants import airflow_plant
from tests.plants.weeks import CONFIG, Weeks, week
from tests.statements import run
from tsad_tasks.base.interval import HOUR


def test_a_run_scores_its_interval_shard_by_shard(
    warehouse_uri: str, cluster: Cluster, tmp_path: Path
) -> None:
    weeks = Weeks.filled(warehouse_uri, tmp_path)
    weeks.train(week(1))
    plant = airflow_plant(cluster, warehouse_uri, tmp_path, CONFIG)
    with headless(plant.places, plant.environment) as airflow:
        (scored,) = airflow.runs(["plant.score"], week(1), week(1) + HOUR, HOUR)
    assert (scored["state"], scored["n_tasks"]) == ("success", 6)
    assert run(plant.uri, "SELECT hour_at, status FROM tsad.v_status") == [(week(1), "scored")]
    states = "SELECT step, state FROM tsad.run_status ORDER BY finished_at"
    tasks = ("ingest", "features", "windows", "score", "incidents", "notify")
    assert [step for step, state in run(plant.uri, states) if state == "done"] == [*tasks]
    handed = "SELECT value FROM xcom WHERE task_id = 'windows' AND key = 'return_value'"
    ((shards,),) = run(plant.metadata_uri, handed)
    assert len(shards) == 1
    assert isinstance(shards[0], list)
