"""An entity that is silent leaves no rows and costs no work, until its rows come."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.pipeline.test_same_rows import run_hours, run_interval
from tests.plants.trained import END_AT, SPLIT_AT, Plant, config
from tests.scoring.test_late_and_missing import age_ledger
from tsad_tasks.base.interval import HOUR
from tsad_tasks.scoring.features import build_features
from tsad_tasks.storage.store import Store


def at(hours: int) -> datetime:
    return SPLIT_AT + hours * HOUR


def statuses(plant: Plant, entity: str = "host-01") -> list[tuple[int, str]]:
    rows = plant.execute(
        "SELECT hour_at, status FROM tsad.v_status WHERE entity = %s AND hour_at >= %s ORDER BY 1",
        entity,
        SPLIT_AT,
    )
    return [((hour_at - SPLIT_AT) // HOUR, status) for hour_at, status in rows]


def silence(plant: Plant, first: int, end: int = 99) -> list[tuple[Any, ...]]:
    """Takes the rows of host-01 of some hours away; gives them."""
    return plant.execute(
        "DELETE FROM plant.metrics WHERE host = 'host-01' AND at >= %s AND at < %s "
        "RETURNING at, host, cpu, temperature",
        at(first),
        at(end),
    )


def send(plant: Plant, rows: list[tuple[Any, ...]]) -> None:
    for row in rows:
        plant.execute(
            "INSERT INTO plant.metrics (at, host, cpu, temperature) VALUES (%s, %s, %s, %s)", *row
        )


def test_hours_are_gaps_while_windows_remember_and_then_none(plant: Plant) -> None:
    silence(plant, 2)
    run_hours(plant, [at(i) for i in range(8)])
    assert statuses(plant) == [(0, "scored"), (1, "scored"), (2, "gap")]
    assert [status for _, status in statuses(plant, "host-02")] == ["scored"] * 8


def test_a_host_that_is_back_is_scored_and_the_time_between_has_no_rows(plant: Plant) -> None:
    silence(plant, 2, 8)
    run_hours(plant, [at(i) for i in range(10)])
    assert [hour for hour, _ in statuses(plant)] == [0, 1, 2, 8, 9]


def test_rows_are_the_same_whether_hours_run_one_by_one_backwards_or_at_once(
    plant: Plant, cluster: Any, trained_template: str
) -> None:
    found = []
    for name, hours in (("ahead", range(12)), ("backwards", range(11, -1, -1)), ("once", ())):
        cluster.create_database(f"silence_{name}", template=trained_template)
        own = Plant(cluster.uri(f"silence_{name}"), config())
        silence(own, 2, 8)
        run_hours(own, [at(i) for i in hours])
        if not hours:
            run_interval(own, SPLIT_AT, END_AT)
        lives = own.execute(
            "SELECT entity_id, month_at, hours::text FROM tsad.entity_life ORDER BY 1, 2"
        )
        found.append((own.rows(), lives))
        cluster.drop_database(f"silence_{name}")
    assert found[0] == found[1] == found[2]


def test_rows_that_come_late_for_silent_hours_leave_what_they_would_have_left_in_time(
    plant: Plant, cluster: Any, trained_template: str
) -> None:
    cluster.create_database("silence_in_time", template=trained_template)
    in_time = Plant(cluster.uri("silence_in_time"), config())
    run_interval(in_time, SPLIT_AT, END_AT)
    missing = silence(plant, 2, 5)
    run_hours(plant, [at(i) for i in range(5)])
    assert statuses(plant) == [(0, "scored"), (1, "scored"), (2, "gap")]
    send(plant, missing)
    age_ledger(plant, at(0))
    run_hours(plant, [at(i) for i in range(5, 12)])
    assert plant.rows() == in_time.rows()
    cluster.drop_database("silence_in_time")


def test_so_do_rows_of_hours_in_which_every_entity_was_silent(plant: Plant) -> None:
    plant.execute("DELETE FROM plant.metrics WHERE host = 'host-02'")
    missing = silence(plant, 2, 5)
    run_hours(plant, [at(i) for i in range(5)])
    send(plant, missing)
    age_ledger(plant, at(0))
    run_hours(plant, [at(5)])
    assert statuses(plant) == [(i, "scored") for i in range(6)]


def test_hours_that_no_run_was_asked_for_are_not_scored(plant: Plant) -> None:
    run_hours(plant, [at(3)])
    assert statuses(plant) == [(3, "scored")]


def test_no_work_is_planned_where_every_entity_is_silent(plant: Plant, tmp_path: Any) -> None:
    plant.execute("DELETE FROM plant.metrics WHERE at >= %s", at(1))
    run_hours(plant, [at(i) for i in range(9)])
    with Store.connect(plant.uri) as store:
        span = {"start_at": at(8), "end_at": at(9)}
        summary = build_features(store, plant.config, **span, folder=tmp_path)
    assert (summary.shards, summary.n_hours) == ([], 0)
    asked = plant.execute(
        "SELECT count(*), bool_and(is_done) FROM tsad.score_hour WHERE hour_at >= %s", SPLIT_AT
    )
    assert asked == [(9, True)]
