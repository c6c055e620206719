"""Housekeeping removes what was asked for and nothing else, and says what a person should look
at.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from upath import UPath

from tests.plants.trained import END_AT, SPLIT_AT, Plant
from tsad_tasks.base.errors import AccessDenied, Unavailable
from tsad_tasks.base.interval import HOUR
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.monitoring.maintain import (
    MaintainSummary,
    SilentEntity,
    delete_run_folders,
    maintain_dataset,
)
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.score import ScoreSummary, score_interval
from tsad_tasks.storage.datasets import ensure_entities, ensure_layout, upsert_dataset
from tsad_tasks.storage.readings import write_blocks
from tsad_tasks.storage.store import Store

NOW = datetime(2026, 3, 9, tzinfo=UTC)
JANUARY = datetime(2026, 1, 10, tzinfo=UTC)
BLOCKS = """
    SELECT d.name, count(*) FROM tsad.reading_block
    JOIN tsad.entity e USING (entity_id) JOIN tsad.dataset d USING (dataset_id)
    GROUP BY 1 ORDER BY 1"""


@pytest.fixture(autouse=True)
def artifacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An artifacts folder of the test's own, so that no other run's files are touched."""
    monkeypatch.setenv("TSAD_ARTIFACTS", str(tmp_path))
    return tmp_path


def ingest(plant: Plant, until_at: datetime = END_AT) -> Plant:
    with Store.connect(plant.uri) as store:
        ingest_interval(store, plant.config, plant.uri, start_at=SPLIT_AT, end_at=until_at)
    return plant


def score(plant: Plant, until_at: datetime = END_AT) -> ScoreSummary:
    with Store.connect(plant.uri) as store:
        found = score_interval(store, plant.config, start_at=SPLIT_AT, end_at=until_at)
        build_incidents(store, plant.config, start_at=SPLIT_AT, end_at=until_at)
    return found


def keeping(plant: Plant, **retention: str) -> Plant:
    """The same plant, whose dataset file asks for retention."""
    config = plant.config.model_dump(by_alias=True) | {"retention": retention}
    return Plant(plant.uri, type(plant.config).model_validate(config))


def maintain(plant: Plant, **options: Any) -> MaintainSummary:
    with Store.connect(plant.uri) as store:
        return maintain_dataset(
            store,
            plant.config,
            plant.uri,
            **{"at": END_AT, "now": lambda: NOW} | options,  # type: ignore[arg-type]
        )


def add_january(plant: Plant, dataset: str) -> None:
    """A day of readings in a month of its own, of a dataset that is made when there is none of the
    name.
    """
    config = plant.config.model_copy(update={"dataset": dataset})
    with Store.connect(plant.uri) as store, store.transaction():
        row = upsert_dataset(store, config)
        layout, ids = (
            ensure_layout(store, row.dataset_id, config),
            ensure_entities(store, row.dataset_id, ["host-01"]),
        )
        hours = [JANUARY + i * HOUR for i in range(24)]
        write_blocks(store, layout, [ids["host-01"]] * 24, hours, np.ones((24, 12, 2)))


def test_without_retention_nothing_is_removed(plant: Plant) -> None:
    score(ingest(plant))
    before = plant.rows()
    summary = maintain(plant)
    assert (
        summary.n_reading_blocks_deleted,
        summary.n_score_blocks_deleted,
        summary.months_dropped,
    ) == (0, 0, ())
    assert plant.rows() == before


def test_retired_readings_go_and_what_was_scored_stays(plant: Plant) -> None:
    score(ingest(plant))
    before, old = plant.rows(), keeping(plant, readings="6h")
    summary = maintain(old)
    after = plant.rows()
    assert summary.readings_before == END_AT - 7 * HOUR
    assert summary.n_reading_blocks_deleted == len(before["readings"]) - len(after["readings"])
    assert [row[1] for row in after["readings"]] == 2 * [END_AT + i * HOUR for i in range(-7, 0)]
    assert {name: rows for name, rows in after.items() if name != "readings"} == {
        name: rows for name, rows in before.items() if name != "readings"
    }


def test_scoring_again_after_retention_changes_nothing(plant: Plant) -> None:
    score(ingest(plant))
    maintain(keeping(plant, readings="6h"))
    after = plant.rows()
    again = score(plant)
    assert (again.n_written, again.n_superseded) == (0, 0)
    assert plant.rows() == after


def test_retired_readings_stay_away_even_when_they_are_asked_for_again(plant: Plant) -> None:
    maintain(keeping(ingest(plant), readings="6h"))
    kept = plant.execute(BLOCKS)
    with Store.connect(plant.uri) as store:
        ingest_interval(
            store, plant.config, plant.uri, start_at=SPLIT_AT, end_at=END_AT, force=True
        )
    assert plant.execute(BLOCKS) == kept


def test_a_second_run_finds_nothing_to_remove(plant: Plant) -> None:
    old = keeping(ingest(plant), readings="2d", scores="6h")
    score(plant)
    assert maintain(old).n_score_blocks_deleted > 0
    again = maintain(old)
    assert (again.n_reading_blocks_deleted, again.n_score_blocks_deleted) == (0, 0)


def test_retired_scores_leave_anomalies_and_incidents(plant: Plant) -> None:
    score(ingest(plant))
    before = plant.rows()
    summary = maintain(keeping(plant, scores="3h"))
    after = plant.rows()
    assert summary.n_score_blocks_deleted > 0
    assert min(row[1] for row in after["scores"]) == summary.scores_before == END_AT - 4 * HOUR
    assert (after["anomalies"], after["attributions"]) == (
        before["anomalies"],
        before["attributions"],
    )
    assert [row[0] for row in after["incidents"]] == [row[0] for row in before["incidents"]]


def test_a_month_that_another_dataset_keeps_loses_only_ones_own_rows(plant: Plant) -> None:
    ingest(plant)
    add_january(plant, "room")
    add_january(plant, "other")
    summary = maintain(keeping(plant, readings="1d"))
    assert summary.months_dropped == ()
    assert plant.execute(BLOCKS) == [("other", 24), ("room", 2 * 25)]


def test_a_month_that_all_datasets_have_retired_is_dropped_whole(plant: Plant) -> None:
    ingest(plant)
    add_january(plant, "room")
    add_january(plant, "other")
    plant.execute("UPDATE tsad.dataset SET retired_before = '2026-02-01Z' WHERE name = 'other'")
    summary = maintain(keeping(plant, readings="1d"))
    assert summary.months_dropped == ("reading_block_2026_01",)
    assert plant.execute(BLOCKS) == [("room", 2 * 25)]
    assert plant.execute("SELECT to_regclass('tsad.reading_block_2026_01')") == [(None,)]


def test_run_files_go_after_two_days_and_only_those_of_the_dataset(
    plant: Plant, artifacts: Path
) -> None:
    for name, age_days in (
        ("room.score/old", 3),
        ("room.score/new", 1),
        ("room2.score/old", 3),
        ("roomy/old", 3),
    ):
        made = artifacts / "runs" / name / "shard" / "features.npz"
        made.parent.mkdir(parents=True)
        made.write_bytes(b"x")
        then = (NOW - timedelta(days=age_days)).timestamp()
        os.utime(made, (then, then))
    assert maintain(ingest(plant)).n_run_folders_deleted == 1
    left = {str(path.relative_to(artifacts / "runs")) for path in (artifacts / "runs").glob("*/*")}
    assert left == {"room.score/new", "room2.score/old", "roomy/old"}


def test_run_files_in_an_object_store_go_as_well() -> None:
    runs = UPath("memory://maintain/runs")
    (runs / "room.score" / "one" / "features.npz").write_bytes(b"x")
    now = datetime.now(UTC)
    assert delete_run_folders(runs, "room", now - timedelta(days=2)) == 0
    assert delete_run_folders(runs, "room", now + timedelta(days=2)) == 1
    assert not (runs / "room.score" / "one").exists()


@pytest.mark.parametrize(("n_hours", "expected"), [(2, ()), (3, ("host-01", "host-02"))])
def test_three_hours_without_a_score_are_told(
    plant: Plant, n_hours: int, expected: tuple[str, ...]
) -> None:
    score(ingest(plant), END_AT - n_hours * HOUR)
    silent = maintain(plant).silent
    assert tuple(one.entity for one in silent) == expected
    assert all((one.hours, one.status) == (3, "not_scored") for one in silent)


def test_an_entity_that_fell_silent_is_told_and_one_that_is_off_is_not(plant: Plant) -> None:
    plant.execute(
        "DELETE FROM plant.metrics WHERE host = 'host-02' AND at >= %s", SPLIT_AT + 6 * HOUR
    )
    score(ingest(plant))
    assert maintain(plant).silent == (SilentEntity("host-02", 6, "silent"),)
    last_at = SPLIT_AT + 5 * HOUR
    plant.execute(
        "UPDATE tsad.score_block SET status = 'off' WHERE hour_at = %s AND status = 'scored'",
        last_at,
    )
    assert maintain(plant).silent == ()


def test_an_entity_that_was_retired_is_not_told(plant: Plant) -> None:
    plant.execute(
        "DELETE FROM plant.metrics WHERE host = 'host-02' AND at >= %s", SPLIT_AT + 6 * HOUR
    )
    score(ingest(plant))
    plant.execute("SELECT tsad.retire_entity('room', 'host-02', 'scrapped')")
    assert maintain(plant).silent == ()


def test_an_entity_that_never_had_a_score_is_told(plant: Plant) -> None:
    assert [one.hours for one in maintain(ingest(plant)).silent] == [None, None]


def test_rows_that_came_too_late_are_listed_with_their_command(plant: Plant) -> None:
    ingest(plant)
    assert maintain(plant).n_late_hours == 0
    plant.execute("INSERT INTO plant.metrics VALUES ('2026-03-07 14:03Z', 'host-01', 1, 1)")
    plant.execute("DELETE FROM plant.metrics WHERE at = '2026-03-07 15:00Z'")
    summary = maintain(plant)
    assert (summary.n_late_hours, summary.n_vanished_hours) == (1, 1)
    assert summary.late_commands == (
        "tsad rescore room --from 2026-03-07T14:00Z --to 2026-03-07T15:00Z",
    )


def test_what_needs_no_source_is_done_while_the_source_is_down(plant: Plant) -> None:
    old = keeping(ingest(plant), readings="1d")
    with Store.connect(plant.uri) as store, pytest.raises((Unavailable, AccessDenied)):
        maintain_dataset(store, old.config, "postgresql://nobody:x@127.0.0.1:1/none", at=END_AT)
    assert plant.execute(BLOCKS) == [("room", 2 * 25)]


def test_a_dataset_that_was_never_ingested_needs_nothing(plant: Plant) -> None:
    fresh = Plant(plant.uri, plant.config.model_copy(update={"dataset": "fresh"}))
    assert maintain(keeping(fresh, readings="1d", scores="1d")) == MaintainSummary()
