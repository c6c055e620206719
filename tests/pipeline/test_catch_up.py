"""No interval is lost, however long rows are waited for, Airflow is down or a DAG is paused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.score_runs import run_score
from tests.pipeline.test_same_rows import HOURS, Rows, run_interval
from tests.plants.trained import CONFIG, END_AT, SPLIT_AT, Plant, config
from tsad_tasks.base.errors import NotYet
from tsad_tasks.base.interval import HOUR, Interval
from tsad_tasks.config import DatasetConfig
from tsad_tasks.pipeline import catch_up
from tsad_tasks.pipeline.catch_up import newest_end
from tsad_tasks.storage.store import Store

DONE = "SELECT done_until, taken_by FROM tsad.scoring_progress"


@pytest.fixture(autouse=True)
def artifacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSAD_ARTIFACTS", str(tmp_path))


def at(hours: float) -> datetime:
    return SPLIT_AT + timedelta(hours=hours)


def waiting(every: str, wait: str) -> DatasetConfig:
    source = CONFIG["source"] | {"wait_for_rows": wait}
    return config(score_every=every, source=source)


def scored(plant: Plant) -> list[tuple[Any, ...]]:
    statement = (
        "SELECT DISTINCT hour_at FROM tsad.v_status WHERE status NOT IN ('waiting', 'not_run') "
        "ORDER BY 1"
    )
    return [hour for (hour,) in plant.execute(statement)]


# Which interval a run scores
# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("every", "wait", "expected_min"),
    [("5min", "40min", 40), ("15min", "2h", 120), ("15min", "0s", 0), ("1h", "3h", 180)],
)
def test_a_run_scores_at_once_what_has_settled_by_then(
    every: str, wait: str, expected_min: int
) -> None:
    dataset = waiting(every, wait)
    newest = newest_end(dataset, at(0), at(0) + timedelta(seconds=3))
    assert at(0) - newest == timedelta(minutes=expected_min)


def test_a_run_waits_for_what_settles_before_the_next_one_and_never_longer() -> None:
    with pytest.raises(NotYet) as raised:
        newest_end(waiting("1h", "10min"), at(0), at(0))
    assert raised.value.wait == timedelta(minutes=10)
    with pytest.raises(NotYet) as raised:
        newest_end(waiting("5min", "7min"), at(0), at(0))
    assert raised.value.wait == timedelta(minutes=2)
    assert newest_end(waiting("5min", "7min"), at(0), at(0.05)) == at(0) - timedelta(minutes=5)


def test_every_interval_is_scored_once_by_runs_on_time() -> None:
    dataset, step = waiting("5min", "42min"), timedelta(minutes=5)
    ends = []
    for number in range(24):
        due_at = at(0) + number * step
        with pytest.raises(NotYet) as raised:
            newest_end(dataset, due_at, due_at)
        ends.append(newest_end(dataset, due_at, due_at + raised.value.wait))
    assert {later - earlier for earlier, later in pairwise(ends)} == {step}


def test_a_run_that_is_cleared_scores_its_own_interval() -> None:
    assert newest_end(waiting("5min", "40min"), at(0), at(9)) == at(0)


def test_a_clock_that_is_behind_holds_no_run() -> None:
    assert newest_end(waiting("1h", "0s"), at(3), at(0.5)) == at(0)


# Runs
# -------------------------------------------------------------------------------------------------


@pytest.fixture
def expected(cluster: Any, trained_template: str) -> Iterator[Rows]:
    made = Plant(cluster.create_database("caught_up", template=trained_template), config())
    run_interval(made, SPLIT_AT, END_AT)
    yield made.rows()
    cluster.drop_database("caught_up")


def test_the_first_run_scores_its_own_interval_and_the_next_what_was_left_out(
    plant: Plant, expected: Rows
) -> None:
    run_score(plant, at(0), at(1))
    assert scored(plant) == [at(0)]
    # Eight hours without a run.
    run_score(plant, at(9), at(10))
    assert scored(plant) == HOURS[:10]
    for hour in HOURS[10:]:
        run_score(plant, hour, hour + HOUR)
    assert plant.execute(DONE) == [(END_AT, None)]
    rows = plant.rows()
    assert rows | {"status": [row for row in rows["status"] if row[1] < END_AT]} == expected


def test_what_is_long_ago_is_made_up_bit_by_bit_beside_the_newest_interval(
    plant: Plant, expected: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up, "MOST", 3 * HOUR)
    run_score(plant, at(0), at(1))
    run_score(plant, at(9), at(10))
    assert scored(plant) == [at(0), at(1), at(2), at(3), at(9)]
    assert plant.execute(DONE) == [(at(4), None)]
    spans = (
        "SELECT DISTINCT start_at, end_at FROM tsad.run_status WHERE run_id LIKE %s "
        "AND start_at < %s"
    )
    assert plant.execute(spans, f"%{at(9).isoformat()}", at(9)) == [(at(1), at(10))]
    run_score(plant, at(10), at(11))
    assert scored(plant) == [*HOURS[:7], at(9), at(10)]
    run_score(plant, at(11), at(12))
    assert scored(plant) == [*HOURS[:10], at(10), at(11)]
    run_score(plant, at(11), at(12))
    rows = plant.rows()
    assert rows | {"status": [row for row in rows["status"] if row[1] < END_AT]} == expected


@pytest.mark.parametrize("task", ["features", "score", "incidents", "notify"])
def test_what_a_run_that_was_killed_has_left_is_made_up(plant: Plant, task: str) -> None:
    run_score(plant, at(0), at(1))
    run_score(plant, at(1), at(2), stops_before=task)
    plant.execute("UPDATE tsad.scoring_progress SET taken_at = taken_at - interval '1 hour'")
    run_score(plant, at(4), at(5))
    assert scored(plant) == HOURS[:5]
    assert plant.execute(DONE) == [(at(5), None)]


def test_two_runs_do_not_make_up_the_same(plant: Plant) -> None:
    run_score(plant, at(0), at(1))
    run_score(plant, at(4), at(5), stops_before="features")
    run_score(plant, at(5), at(6))
    assert scored(plant) == [at(0), at(5)]
    assert plant.execute("SELECT done_until FROM tsad.scoring_progress") == [(at(1),)]
    run_score(plant, at(4), at(5))
    assert scored(plant) == HOURS[:6]
    assert plant.execute(DONE) == [(at(5), None)]


def test_backfills_and_people_score_their_own_interval_alone(plant: Plant) -> None:
    run_score(plant, at(0), at(1))
    run_score(plant, at(5), at(6), "backfill")
    run_score(plant, at(7), at(8), "manual")
    assert scored(plant) == [at(0), at(5), at(7)]
    assert plant.execute(DONE) == [(at(1), None)]
    # What comes next to what is done counts as done.
    run_score(plant, at(1), at(2), "backfill")
    assert plant.execute(DONE) == [(at(2), None)]
    run_score(plant, at(8), at(9))
    assert scored(plant) == HOURS[:9]


def test_a_run_that_is_cleared_scores_no_other_interval(plant: Plant) -> None:
    run_score(plant, at(0), at(1))
    run_score(plant, at(1), at(2))
    before = plant.execute("SELECT xmin::text, * FROM tsad.score_block ORDER BY 2, 3, 4")
    run_score(plant, at(0), at(1))
    assert plant.execute("SELECT xmin::text, * FROM tsad.score_block ORDER BY 2, 3, 4") == before
    assert plant.execute(DONE) == [(at(2), None)]


def test_the_first_run_after_an_upgrade_goes_on_where_the_runs_before_it_ended(
    plant: Plant,
) -> None:
    run_score(plant, at(0), at(1))
    plant.execute("DELETE FROM tsad.scoring_progress")
    run_score(plant, at(3), at(4))
    assert scored(plant) == HOURS[:4]


def test_what_fails_is_left_to_the_next_run(plant: Plant) -> None:
    run_score(plant, at(0), at(1))
    gone = Plant(plant.uri, plant.config)
    plant.execute("ALTER TABLE plant.metrics RENAME TO away")
    with pytest.raises(Exception, match="metrics"):
        run_score(gone, at(1), at(2))
    plant.execute("ALTER TABLE plant.away RENAME TO metrics")
    run_score(plant, at(2), at(3))
    assert scored(plant) == HOURS[:3]


def test_hours_that_no_run_came_to_say_so_until_one_does(plant: Plant) -> None:
    statement = (
        "SELECT hour_at, status, detail, revision FROM tsad.v_status WHERE entity = 'host-01' "
        "AND hour_at >= %s AND hour_at < %s ORDER BY 1"
    )
    run_score(plant, at(0), at(1))
    detail = "scheduled runs have come to 2026-03-07 13:00 UTC; the next one goes on from there"
    assert plant.execute(statement, at(1), at(3)) == [
        (at(1), "not_run", detail, None),
        (at(2), "not_run", detail, None),
    ]
    plant.execute("UPDATE tsad.dataset SET wait_s = 86400 * 10000")
    (row,) = plant.execute(statement, at(1), at(2))
    assert row[1:3] == ("waiting", "its rows are waited for until 2053-07-23 14:00 UTC")
    run_score(plant, at(2), at(3))
    assert [row[1] for row in plant.execute(statement, at(1), at(3))] == ["scored"] * 2
    assert plant.execute(statement, at(3), at(4))[0][1] == "not_run"


def test_an_entity_that_was_long_silent_is_not_missed(plant: Plant) -> None:
    plant.execute(
        "UPDATE plant.metrics SET host = 'gone' WHERE host = 'host-02' AND at >= %s", at(-30)
    )
    plant.execute("DELETE FROM tsad.reading_block WHERE hour_at >= %s", at(-30))
    plant.execute("DELETE FROM tsad.entity_life")
    plant.execute("DELETE FROM tsad.ingest_hour WHERE hour_at >= %s", at(-30))
    run_interval(plant, at(-30), at(0))
    run_score(plant, at(0), at(1))
    statement = "SELECT DISTINCT entity FROM tsad.v_status WHERE status = 'not_run' ORDER BY 1"
    assert plant.execute(statement) == [("gone",), ("host-01",)]


def test_parts_know_no_more_than_a_week(plant: Plant) -> None:
    own = Interval(at(24 * 365), at(24 * 365 + 1))
    first, last = catch_up.parts(at(0), own)
    assert (first, last) == (Interval(at(0), at(168)), own)
    with Store.connect(plant.uri) as store:
        assert catch_up._most(store, plant.config) == timedelta(days=7)
