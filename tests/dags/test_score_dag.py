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


def test_a_dag_that_was_paused_over_a_weekend_makes_up_every_hour(
    warehouse_uri: str, cluster: Cluster, tmp_path: Path
) -> None:
    weeks = Weeks.filled(warehouse_uri, tmp_path)
    weeks.train(week(1))
    plant = airflow_plant(cluster, warehouse_uri, tmp_path, CONFIG)
    with headless(plant.places, plant.environment) as airflow:
        for first_at in (week(1), week(1, 61)):
            span = first_at, first_at + HOUR, HOUR
            (scored,) = airflow.runs(["plant.score"], *span, scheduled=True)
            assert (scored["state"], scored["n_tasks"]) == ("success", 6)
        # Unpaused after months: a week of them, and the newest hour.
        span = week(4), week(4, 1), HOUR
        (scored,) = airflow.runs(["plant.score"], *span, scheduled=True)
        assert (scored["state"], scored["n_tasks"]) == ("success", 6)
        (scored,) = airflow.runs(["plant.score"], week(5), week(5, 1), HOUR)
        assert (scored["state"], scored["n_tasks"]) == ("success", 6)
    statuses = "SELECT hour_at FROM tsad.v_status WHERE status = 'scored' ORDER BY 1"
    made_up = [week(1) + i * HOUR for i in range(62 + 168)]
    assert [hour for (hour,) in run(plant.uri, statuses)] == [*made_up, week(4), week(5)]
    done = "SELECT done_until, taken_by FROM tsad.scoring_progress"
    assert run(plant.uri, done) == [(made_up[-1] + HOUR, None)]
