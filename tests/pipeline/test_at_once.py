"""Two schedulers' worth of runs on one dataset at the same time: no deadlock, no lost update, one
champion.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from upath import UPath

from devstack.postgres import Cluster
from tests.plants.weeks import START_AT, WEEK, Weeks, week
from tsad_tasks.base.errors import BadInput, NothingToDo, Unavailable
from tsad_tasks.base.interval import HOUR
from tsad_tasks.champions.champions import promote, roll_back
from tsad_tasks.champions.shadow import compare_shadows, promote_ready
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.score import score_interval
from tsad_tasks.storage.store import Store
from tsad_tasks.training.retrain import Retraining

HOURS = [week(1) + i * HOUR for i in range(36)]
SEEN = {
    "statuses": "SELECT entity, hour_at, status, model_id FROM tsad.v_status WHERE lineage = "
    "'live' ORDER BY 1, 2",
    "anomalies": "SELECT entity, at, score, model_id FROM tsad.v_anomaly WHERE lineage = 'live' "
    "ORDER BY 1, 2",
    "incidents": "SELECT incident_id, n_flags FROM tsad.v_incident WHERE lineage = 'live' ORDER BY "
    "1",
}


@pytest.fixture
def weeks(cluster: Cluster, template_database: str, tmp_path: Path) -> Iterator[Weeks]:
    name = f"weeks_{uuid4().hex}"
    shadow = {"hours": 2, "min_windows": 5}
    made = Weeks.filled(
        cluster.create_database(name, template=template_database), tmp_path, shadow=shadow
    )
    made.shift(week(1, 20), week(1, 22))
    assert made.train(week(1)).promoted
    yield made
    cluster.drop_database(name)


def tried_again(score: Callable[[dict[str, Any]], object], span: dict[str, Any]) -> None:
    """A champion that changes all the time is `Unavailable`, which Airflow tries twice more."""
    for _ in range(2):
        with suppress(Unavailable):
            score(span)
            return
    score(span)


def scored(weeks: Weeks, hours: list[datetime]) -> Callable[[], None]:
    def work() -> None:
        for hour in hours:
            span: dict[str, Any] = {"start_at": hour, "end_at": hour + HOUR}
            with Store.connect(weeks.uri) as store:
                ingest_interval(store, weeks.config, weeks.uri, **span)
                tried_again(lambda at: score_interval(store, weeks.config, **at), span)
                build_incidents(store, weeks.config, **span)

    return work


def retrained(weeks: Weeks, seeds: list[int]) -> Callable[[], None]:
    def work() -> None:
        for seed in seeds:
            folder = UPath(weeks.folder / f"at_once_{seed}")
            with Store.connect(weeks.uri) as store:
                ingest_interval(
                    store, weeks.config, weeks.uri, start_at=START_AT, end_at=START_AT + WEEK
                )
                retrain(
                    Retraining(store, weeks.config, week(1), folder, UPath(weeks.folder), seed=seed)
                )

    return work


def promoted(weeks: Weeks, n_times: int) -> Callable[[], None]:
    """What the promote DAG and a hasty person do, over and over."""
    choices = random.Random(5)

    def work() -> None:
        for _ in range(n_times):
            with Store.connect(weeks.uri) as store:
                try:
                    _one_decision(store, weeks, choices.random())
                except (BadInput, NothingToDo):
                    store.rollback()

    return work


def _one_decision(store: Store, weeks: Weeks, chance: float) -> None:
    if chance < 0.6:
        found = compare_shadows(store, weeks.config, end_at=HOURS[-1])
        promote_ready(store, weeks.config, found.ready, end_at=HOURS[2], by="rule")
    elif chance < 0.8:
        promote(store, weeks.config, 2, by="ada", reason="hasty")
    else:
        roll_back(store, weeks.config, by="ada", reason="hasty")


def run_at_once(*works: Callable[[], None]) -> list[BaseException]:
    failures: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(200)
    assert not any(thread.is_alive() for thread in threads)
    return failures


def test_live_runs_backfills_retrainings_and_promotions_at_once_leave_what_a_quiet_run_leaves(
    weeks: Weeks,
) -> None:
    shuffled = random.Random(3).sample(HOURS, len(HOURS))
    works = scored(weeks, HOURS), scored(weeks, HOURS[::-1]), scored(weeks, shuffled)
    assert run_at_once(*works, retrained(weeks, [11, 12]), promoted(weeks, 25)) == []
    open_ended = """
      SELECT lineage, count(*) FROM tsad.champion_period WHERE valid_to = 'infinity'
      GROUP BY 1 ORDER BY 1"""
    assert ("live", 1) in weeks.execute(open_ended)
    assert all(n == 1 for _, n in weeks.execute(open_ended))
    doubles = """
      SELECT count(*) - count(DISTINCT (entity_id, hour_at, model_id)) FROM tsad.score_block
      WHERE superseded_at = 'infinity'"""
    assert weeks.execute(doubles) == [(0,)]
    weeks.score(HOURS[0], HOURS[-1] + HOUR)
    settled = {name: weeks.execute(statement) for name, statement in SEEN.items()}
    assert len(settled["statuses"]) == len(HOURS)
    weeks.execute("TRUNCATE tsad.score_block, tsad.anomaly, tsad.attribution, tsad.incident")
    weeks.score(HOURS[0], HOURS[-1] + HOUR)
    assert {name: weeks.execute(statement) for name, statement in SEEN.items()} == settled
