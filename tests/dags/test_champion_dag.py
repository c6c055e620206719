"""The form `<dataset>.champion` through real Airflow: back to a former champion, whose hours are
scored again, and on to a challenger.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from devstack.headless import headless
from devstack.postgres import PIPELINE, Cluster
from tests.dags.airflow_plants import airflow_plant
from tests.plants.challengers import challenger
from tests.plants.weeks import CONFIG, Weeks, filled_weeks, week
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import HOUR
from tsad_tasks.champions.champions import promote
from tsad_tasks.pipeline.champion import make_champion
from tsad_tasks.storage.store import Store

CHAMPION = "SELECT version FROM tsad.v_model WHERE champion"
FLAGS = "SELECT entity, at, score FROM tsad.v_anomaly ORDER BY at"
STEPS = (
    "SELECT step, state, counts -> 'version', counts -> 'n_written' > '0' FROM tsad.run_status "
    "WHERE run_id LIKE 'plant.champion/%%' ORDER BY step"
)
SAID = (
    "SELECT version, decision, decided_by, reason FROM tsad.v_model_history "
    "ORDER BY decided_at DESC LIMIT 1"
)


@pytest.fixture
def weeks(cluster: Cluster, template_database: str, tmp_path: Path) -> Iterator[Weeks]:
    """A machine whose second champion cries wolf, and has scored half of six hours."""
    with filled_weeks(cluster, template_database, tmp_path) as weeks:
        weeks.train(week(1))
        weeks.score(week(1), week(1, 3))
        challenger(weeks, nervous_in=tmp_path, end_at=week(1, 3))
        with Store.connect(weeks.uri) as store:
            promote(store, weeks.config, 2, by="ada", reason="in a hurry")
        weeks.score(week(1, 3), week(1, 6))
        yield weeks


def form(action: str, version: int) -> dict[str, Any]:
    return {"action": action, "version": version, "why": "cries wolf"}


def test_a_form_rolls_back_and_scores_again_and_promotes(
    weeks: Weeks, cluster: Cluster, tmp_path: Path
) -> None:
    assert weeks.execute(CHAMPION) == [(2,)]
    n_by_second = len(weeks.execute(FLAGS))
    uri = cluster.uri(weeks.uri.rsplit("/", 1)[1], PIPELINE)
    plant = airflow_plant(cluster, uri, tmp_path, CONFIG)
    at = week(1, 6)
    with headless(plant.places, plant.environment) as airflow:
        list(airflow.runs(["plant.champion"], at, at + HOUR, HOUR, form("roll_back", 1)))
        assert weeks.execute(CHAMPION) == [(1,)]
        assert weeks.execute(SAID) == [(1, "rolled_back", "tsad_headless", "cries wolf")]
        assert weeks.execute(STEPS) == [
            ("champion", "done", 1, None),
            ("score", "done", None, True),
        ]
        assert len(weeks.execute(FLAGS)) < n_by_second
        at += timedelta(minutes=1)
        list(airflow.runs(["plant.champion"], at, at + HOUR, HOUR, form("promote", 2)))
    assert weeks.execute(SAID) == [(2, "promoted", "tsad_headless", "cries wolf")]
    assert weeks.execute("SELECT max(valid_from) FROM tsad.v_model WHERE champion") == [
        (week(1, 6),)
    ]


def test_a_task_that_runs_again_decides_nothing_anew(weeks: Weeks) -> None:
    history = "SELECT count(*) FROM tsad.v_model_history"
    asked: dict[str, Any] = {"by": "ada", "reason": "again"}
    with Store.connect(weeks.uri) as store:
        first = make_champion(store, weeks.config, "roll_back", 1, **asked)
        n = weeks.execute(history)
        again = make_champion(store, weeks.config, "roll_back", 1, **asked)
        assert (first.version, first.valid_from, first.former_version) == (1, week(1, 3), 2)
        assert (again.version, again.valid_from) == (1, week(1, 3))
        assert weeks.execute(history) == n
        with pytest.raises(BadInput, match="Received: 9"):
            make_champion(store, weeks.config, "promote", 9, **asked)
