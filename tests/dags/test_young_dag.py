"""The retrain DAG of a dataset whose readings begin, through real Airflow: which runs train."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from devstack.headless import headless
from devstack.postgres import Cluster
from tests.dags.airflow_plants import airflow_plant
from tests.plants.weeks import CONFIG, START_AT, Weeks
from tests.statements import run

DAY = timedelta(days=1)
TRAINING = {"range": "30d", "min_hours": 10, "young_detector": "level"}
PERIODS = """
  SELECT p.lineage, p.valid_from, m.is_young FROM tsad.champion_period p
  JOIN tsad.model m USING (model_id) ORDER BY 1, 2"""


def test_daily_runs_train_what_is_young_and_are_skipped_else(
    warehouse_uri: str, cluster: Cluster, tmp_path: Path
) -> None:
    Weeks.filled(warehouse_uri, tmp_path)
    plant = airflow_plant(cluster, warehouse_uri, tmp_path, CONFIG | {"training": TRAINING})
    ends = (START_AT + timedelta(days=n, hours=3) for n in (5, 9))
    retrain: Any = ["plant.retrain"], *ends, DAY

    def states() -> dict[str, str]:
        sql = """
          SELECT to_char(end_at AT TIME ZONE 'UTC', 'MM-DD'), state, message FROM tsad.run_status
          WHERE step IN ('ingest_history', 'exclusions') ORDER BY 1, finished_at"""
        return {day: state for day, state, _ in run(plant.uri, sql)}

    with headless(plant.places, plant.environment) as airflow:
        scheduled = list(airflow.runs(*retrain, scheduled=True))
        assert {one["state"] for one in scheduled} == {"success"}
        # Six days, then seven at the weekly moment, eight and nine.
        first = {"03-08": "nothing_to_do", "03-09": "done", "03-10": "done", "03-11": "done"}
        assert states() == first
        backfilled = list(airflow.runs(*retrain, backfill=True))
        assert {one["state"] for one in backfilled} == {"success"}
        later: Any = (START_AT + timedelta(days=n, hours=3) for n in (30, 32))
        (thirty_one, _) = airflow.runs(["plant.retrain"], *later, DAY, scheduled=True)
    days = [START_AT + timedelta(days=n, hours=3) for n in (7, 8, 9)]
    assert run(plant.uri, PERIODS) == [
        (lineage, at, True) for lineage in ("live", "replay") for at in days
    ]
    assert thirty_one["state"] == "success"
    assert states()["04-02"] == "nothing_to_do"
