"""Models with a state: whatever the order, whatever is remembered, the rows are the same."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from upath import UPath

from devstack.postgres import Cluster
from tests.pipeline import test_same_rows
from tests.plants.trained import SPLIT_AT, Plant, artifacts_folder, config
from tsad_tasks.base.interval import HOUR
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.reporting.period.incidents import registered_model
from tsad_tasks.scoring.expected import expected_in_range
from tsad_tasks.scoring.features import build_features
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.score import score_shard
from tsad_tasks.scoring.windows import build_windows
from tsad_tasks.storage.datasets import select_dataset, select_layouts
from tsad_tasks.storage.store import Store
from tsad_tasks.training.retrain import Retraining

Rows = dict[str, list[tuple[Any, ...]]]
LINEAGE = "replay"
HOURS = [SPLIT_AT + i * HOUR for i in range(8)]
END_AT = HOURS[-1] + HOUR


run_interval = functools.partial(test_same_rows.run_interval, lineage=LINEAGE)
run_hours = functools.partial(test_same_rows.run_hours, lineage=LINEAGE)


@pytest.fixture(scope="module")
def folding_template(cluster: Cluster, trained_template: str) -> Iterator[str]:
    """A database whose champion of lineage replay carries a state."""
    name = f"folding_{uuid4().hex}"
    uri = cluster.create_database(name, template=trained_template)
    folding = config(detector={"name": "drift_aware"})
    with Store.connect(uri) as store:
        folder = UPath(artifacts_folder() / name)
        (summary,) = retrain(Retraining(store, folding, SPLIT_AT, folder, folder, lineage=LINEAGE))
    assert summary.valid_from == SPLIT_AT
    yield name
    cluster.drop_database(name)


@pytest.fixture
def folding(cluster: Cluster, folding_template: str) -> Iterator[Plant]:
    name = f"fold_{uuid4().hex}"
    uri = cluster.create_database(name, template=folding_template)
    yield Plant(uri, config(detector={"name": "drift_aware"}))
    cluster.drop_database(name)


@pytest.fixture(scope="module")
def expected(cluster: Cluster, folding_template: str) -> Iterator[Rows]:
    """The rows of one run over all hours."""
    name = f"fold_{uuid4().hex}"
    plant = Plant(
        cluster.create_database(name, template=folding_template),
        config(detector={"name": "drift_aware"}),
    )
    run_interval(plant, SPLIT_AT, END_AT)
    yield plant.rows()
    cluster.drop_database(name)


def test_every_hour_is_scored_and_a_lasting_fault_is_found(expected: Rows) -> None:
    assert [row[3] for row in expected["status"]] == ["scored"] * 2 * len(HOURS)
    assert "host-02" in {row[0] for row in expected["anomalies"]}


@pytest.mark.parametrize("order", ["forward", "reverse", "shuffled"])
def test_hourly_runs_in_any_order_leave_the_rows_of_the_bulk_run(
    folding: Plant, expected: Rows, order: str
) -> None:
    hours = {
        "forward": HOURS,
        "reverse": HOURS[::-1],
        "shuffled": list(np.random.default_rng(7).permutation(HOURS)),
    }
    run_hours(folding, hours[order])
    assert folding.rows() == expected


def test_the_tasks_with_their_files_leave_the_rows_of_the_bulk_run(
    folding: Plant, expected: Rows, tmp_path: Any
) -> None:
    span: dict[str, Any] = {"start_at": SPLIT_AT + 4 * HOUR, "end_at": END_AT}
    run_hours(folding, HOURS[:4])
    with Store.connect(folding.uri) as store:
        ingest_interval(store, folding.config, folding.uri, **span)
        made = build_features(
            store, folding.config, folder=UPath(tmp_path), n_shards=2, lineage=LINEAGE, **span
        )
        build_windows(made.shards)
        for shard in made.shards:
            score_shard(store, folding.config, shard)
        build_incidents(store, folding.config, lineage=LINEAGE, **span)
    assert folding.rows() == expected


def test_states_that_are_lost_or_worthless_change_nothing(folding: Plant, expected: Rows) -> None:
    run_hours(folding, HOURS[:3])
    assert folding.execute("SELECT count(*) > 0 FROM tsad.fold_state") == [(True,)]
    folding.execute("DELETE FROM tsad.fold_state")
    run_hours(folding, HOURS[3:5])
    folding.execute("UPDATE tsad.fold_state SET digest = digest + 1, state = 'worthless'")
    run_hours(folding, HOURS[5:])
    assert folding.rows() == expected


def expected_then(plant: Plant) -> tuple[Any, ...]:
    """What the model expected of a machine in the sixth hour, as the page draws it."""
    ((model_id, entity_id),) = plant.execute(
        "SELECT model_id, entity_id FROM tsad.champion_period, tsad.entity "
        "WHERE lineage = %s AND name = 'host-02'",
        LINEAGE,
    )
    with Store.connect(plant.uri) as store, store.snapshot():
        layout = select_layouts(store, select_dataset(store, "room").dataset_id)[0]
        model = registered_model(store, model_id)
        assert model.spec
        assert model.detector
        whose = model_id, model.spec, model.detector, ("host-02", entity_id)
        found = expected_in_range(store, layout, *whose, HOURS[5], HOURS[6], SPLIT_AT, None)
    return found.actual, found.expected, found.channel_errors


def test_what_was_expected_goes_on_from_the_last_state_that_still_holds(folding: Plant) -> None:
    run_hours(folding, HOURS[:6])
    resumed = expected_then(folding)
    assert np.isfinite(resumed[1]).all()
    other = "UPDATE tsad.fold_state s SET state = o.state FROM tsad.fold_state o "
    other += "WHERE o.entity_id = s.entity_id AND o.hour_at = %s AND s.hour_at = %s"
    folding.execute(other, HOURS[0], HOURS[4])
    assert not np.array_equal(expected_then(folding)[1], resumed[1])
    for worthless in (
        "UPDATE tsad.fold_state SET digest = digest + 1",
        "DELETE FROM tsad.fold_state",
    ):
        folding.execute(worthless)
        for found, before in zip(expected_then(folding), resumed, strict=True):
            np.testing.assert_array_equal(found, before)


def test_few_states_are_remembered(folding: Plant) -> None:
    run_hours(folding, HOURS)
    ((most, newest),) = folding.execute(
        "SELECT max(n), max(newest) FROM (SELECT count(*) AS n, max(hour_at) AS newest FROM "
        "tsad.fold_state"
        " GROUP BY entity_id) by_entity"
    )
    assert most <= 8
    assert newest == HOURS[-1]


def test_a_late_row_scores_all_later_hours_again_as_if_it_had_been_there_in_time(
    folding: Plant, cluster: Cluster, folding_template: str
) -> None:
    late = "UPDATE plant.metrics SET cpu = cpu + 40 WHERE host = 'host-02' AND at >= %s AND at < %s"
    span = (HOURS[3], HOURS[3] + timedelta(minutes=20))
    in_time = Plant(
        cluster.create_database(f"in_time_{uuid4().hex}", template=folding_template), folding.config
    )
    in_time.execute(late, *span)
    run_interval(in_time, SPLIT_AT, END_AT)
    run_hours(folding, HOURS[:6])
    folding.execute(late, *span)
    folding.execute("UPDATE tsad.ingest_hour SET read_at = hour_at + interval '61 minutes'")
    run_hours(folding, HOURS[6:])
    assert folding.rows() == in_time.rows()
    revisions = folding.execute(
        "SELECT name, max(revision) FROM tsad.score_block JOIN tsad.entity USING (entity_id)"
        " WHERE model_id = (SELECT max(model_id) FROM tsad.model) GROUP BY 1 ORDER BY 1"
    )
    assert revisions == [("host-01", 1), ("host-02", 2)]
