"""Live runs, re-runs, retries, kills and backfills in any order leave the same rows."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from upath import UPath

from devstack.postgres import Cluster
from tests.plants.trained import CONFIG, END_AT, SPLIT_AT, Plant, artifacts_folder, config
from tests.statements import run
from tsad_tasks.base.interval import HOUR
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.ingest.sources.base import Uris
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.scoring.features import build_features
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.plan import history_s
from tsad_tasks.scoring.score import score_interval, score_shard
from tsad_tasks.scoring.windows import build_windows
from tsad_tasks.storage.store import Store
from tsad_tasks.training.retrain import Retraining

Rows = dict[str, list[tuple[Any, ...]]]
HOURS = [SPLIT_AT + i * HOUR for i in range((END_AT - SPLIT_AT) // HOUR)]


def run_interval(
    plant: Plant,
    start_at: datetime,
    end_at: datetime,
    lineage: str = "live",
    uris: Uris | None = None,
) -> None:
    """What one run of the score DAG does, in one process; by default all is in one database."""
    with Store.connect(plant.uri) as store:
        span: dict[str, Any] = {"start_at": start_at, "end_at": end_at}
        needed_s = history_s(store, plant.config, lineage=lineage, **span)
        ingest_interval(store, plant.config, uris or plant.uri, history_s=needed_s, **span)
        score_interval(store, plant.config, lineage=lineage, **span)
        build_incidents(store, plant.config, lineage=lineage, **span)


def run_hours(plant: Plant, hours: list[datetime], lineage: str = "live") -> None:
    for hour in hours:
        run_interval(plant, hour, hour + HOUR, lineage)


@pytest.fixture(scope="module")
def expected(cluster: Cluster, trained_template: str) -> Iterator[Rows]:
    name = f"expected_{uuid4().hex}"
    plant = Plant(cluster.create_database(name, template=trained_template), config())
    run_interval(plant, SPLIT_AT, END_AT)
    yield plant.rows()
    cluster.drop_database(name)


def test_the_bulk_run_scores_every_hour_and_finds_anomalies(expected: Rows) -> None:
    assert len(expected["status"]) == 2 * len(HOURS)
    assert {row[3] for row in expected["status"]} == {"scored"}
    assert expected["anomalies"]
    assert expected["incidents"]


def test_two_sources_on_two_connections_leave_the_rows_of_one_table(
    plant: Plant, expected: Rows, cluster: Cluster
) -> None:
    moved = plant.execute(
        "SELECT json_agg(m) FROM (SELECT at, host, temperature FROM plant.metrics) m"
    )
    name = f"climate_{uuid4().hex}"
    other_uri = cluster.create_database(name)
    run(other_uri, "CREATE TABLE climate (at timestamptz, host text, temperature float8)")
    insert = "INSERT INTO climate SELECT * FROM json_populate_recordset(NULL::climate, %s)"
    run(other_uri, insert, [json.dumps(moved[0][0])])
    plant.execute("ALTER TABLE plant.metrics DROP COLUMN temperature")
    room = CONFIG["source"]
    channels = room["channels"]
    first = room | {"channels": {"cpu": channels["cpu"]}}
    climate = {
        "connection": "climate",
        "query": "SELECT at, host, 'T' AS sensor, temperature AS value FROM climate",
        "shape": "long",
        "channel_column": "sensor",
        "value_column": "value",
        "time": {"column": "at"},
        "entity": {"column": "host"},
        "channels": {"temperature": channels["temperature"] | {"column": "T"}},
    }
    both = Plant(plant.uri, config(source=[first, climate]))
    for hour in HOURS:
        run_interval(both, hour, hour + HOUR, uris=[plant.uri, other_uri])
    cluster.drop_database(name)
    assert both.rows() == expected


@pytest.mark.parametrize("order", ["forward", "reverse", "shuffled"])
def test_hourly_runs_in_any_order_leave_the_rows_of_the_bulk_run(
    plant: Plant, expected: Rows, order: str
) -> None:
    hours = {
        "forward": HOURS,
        "reverse": HOURS[::-1],
        "shuffled": list(np.random.default_rng(7).permutation(HOURS)),
    }
    run_hours(plant, hours[order])
    assert plant.rows() == expected


def test_a_second_run_writes_nothing(plant: Plant) -> None:
    run_hours(plant, HOURS[:4])
    before = plant.execute(
        "SELECT xmin::text, * FROM tsad.score_block ORDER BY entity_id, hour_at, model_id"
    )
    run_hours(plant, HOURS[:4])
    assert (
        plant.execute(
            "SELECT xmin::text, * FROM tsad.score_block ORDER BY entity_id, hour_at, model_id"
        )
        == before
    )


def test_intervals_of_fifteen_minutes_leave_the_rows_of_the_bulk_run(
    plant: Plant, expected: Rows
) -> None:
    edges = [SPLIT_AT + timedelta(minutes=15 * i) for i in range(4 * len(HOURS) + 1)]
    for start_at, end_at in pairwise(edges):
        run_interval(plant, start_at, end_at)
    assert plant.rows() == expected


def test_the_tasks_with_their_files_leave_the_rows_of_the_bulk_run(
    plant: Plant, expected: Rows, tmp_path: Path
) -> None:
    span = {"start_at": SPLIT_AT, "end_at": END_AT}
    with Store.connect(plant.uri) as store:
        ingest_interval(
            store, plant.config, plant.uri, history_s=history_s(store, plant.config, **span), **span
        )
        made = build_features(store, plant.config, folder=UPath(tmp_path), n_shards=2, **span)
        build_windows(made.shards)
        for shard in made.shards:
            score_shard(store, plant.config, shard)
        build_incidents(store, plant.config, **span)
    assert len(made.shards) == 2
    assert plant.rows() == expected


def test_workers_killed_in_the_middle_leave_the_rows_of_the_bulk_run(
    plant: Plant, expected: Rows
) -> None:
    context = multiprocessing.get_context("spawn")
    n_scored = []
    for moment_s in (0.0, 0.02, 0.05):
        worker = context.Process(target=run_hours, args=(plant, HOURS[::-1]))
        worker.start()
        _wait_for_more_scores(plant)
        time.sleep(moment_s)
        os.kill(worker.pid, signal.SIGKILL)  # type: ignore[arg-type]
        worker.join()
        n_scored.append(_n_scored(plant))
    assert n_scored[-1] < 2 * len(HOURS)
    run_hours(plant, HOURS[::-1])
    assert plant.rows() == expected


def _n_scored(plant: Plant) -> int:
    count: int = plant.execute("SELECT count(*) FROM tsad.v_status")[0][0]
    return count


def _wait_for_more_scores(plant: Plant) -> None:
    before, deadline_s = _n_scored(plant), time.monotonic() + 60
    while _n_scored(plant) == before:
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def _train_replay(plant: Plant) -> None:
    short = plant.config.training.model_copy(update={"epochs": 3})
    with Store.connect(plant.uri) as store:
        folder = artifacts_folder() / f"race-{os.getpid()}"
        retrain(
            Retraining(
                store,
                plant.config.model_copy(update={"training": short}),
                SPLIT_AT,
                UPath(folder),
                UPath(artifacts_folder()),
                lineage="replay",
            )
        )


def test_live_backfill_and_retraining_at_once_leave_the_rows_of_the_bulk_run(
    plant: Plant, expected: Rows
) -> None:
    context = multiprocessing.get_context("spawn")
    orders = [HOURS, HOURS[::-1], HOURS[6:] + HOURS[:6]]
    workers = [context.Process(target=run_hours, args=(plant, hours)) for hours in orders]
    workers.append(context.Process(target=_train_replay, args=(plant,)))
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    live = {
        name: [row for row in rows if "replay" not in row] for name, rows in plant.rows().items()
    }
    assert live | {"scores": plant.rows()["scores"]} == expected
    periods = plant.execute(
        "SELECT lineage, count(*) FROM tsad.champion_period GROUP BY 1 ORDER BY 1"
    )
    assert periods == [("live", 1), ("replay", 1)]
