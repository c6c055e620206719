"""Which hours a run scores again since rows of them, or of what they depend on, were found late."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from devstack.postgres import Cluster
from tests.plants.trained import CURRENT
from tests.plants.weeks import CONFIG, Weeks, config_of, copied_weeks, week
from tests.statements import run
from tsad_tasks.base.interval import Interval
from tsad_tasks.pipeline.rescore import rescore_as_of
from tsad_tasks.scoring.plan import late_span
from tsad_tasks.storage.datasets import upsert_dataset
from tsad_tasks.storage.store import Store

# A temperature holds for six hours, unless another row follows.
CHANNELS = {"temperature": {"unit": "°C", "valid_for": "6h"}, "load": {"unit": "%"}}
SOURCE = CONFIG["source"] | {"channels": CHANNELS}
N_HOURS = 12


def at(hours: float) -> datetime:
    return week(2, hours)


@pytest.fixture(scope="module")
def trained(cluster: Cluster, template_database: str, tmp_path_factory: Any) -> Iterator[Weeks]:
    name = f"late_span_{uuid4().hex}"
    uri = cluster.create_database(name, template=template_database)
    weeks = Weeks.filled(uri, tmp_path_factory.mktemp("late_span"), source=SOURCE)
    # Between 4 and 10 o'clock nothing was measured: the temperature of 3:50 holds.
    weeks.execute("DELETE FROM plant.metrics WHERE at >= %s AND at < %s", at(4), at(10))
    weeks.train(week(2))
    yield weeks
    cluster.drop_database(name)


@contextmanager
def copied(cluster: Cluster, trained: Weeks, folder: Path) -> Iterator[Weeks]:
    with copied_weeks(cluster, trained, folder) as own:
        yield replace(own, folder=trained.folder)


def rows(weeks: Weeks) -> dict[str, list[tuple[Any, ...]]]:
    found = {name: weeks.execute(statement) for name, statement in CURRENT.items()}
    # NaN is not itself; checksums say the same of values.
    return found | {"readings": [row[:3] for row in found["readings"]]}


def of_backfill(
    cluster: Cluster, trained: Weeks, folder: Path, change: str = ""
) -> dict[str, list[tuple[Any, ...]]]:
    """What one backfill of all hours leaves."""
    with copied(cluster, trained, folder) as once:
        if change:
            once.execute(change)
        once.score(at(0), at(N_HOURS))
        return rows(once)


def hold_back(weeks: Weeks, start: float, end: float) -> None:
    statement = """
        WITH gone AS (DELETE FROM plant.metrics WHERE at >= %s AND at < %s RETURNING *)
        INSERT INTO plant.held SELECT * FROM gone"""
    weeks.execute("CREATE TABLE plant.held (LIKE plant.metrics)")
    weeks.execute(statement, at(start), at(end))


def arrive(weeks: Weeks) -> None:
    weeks.execute("WITH come AS (DELETE FROM plant.held RETURNING *) "
                  "INSERT INTO plant.metrics SELECT * FROM come")  # fmt: skip


def run_ranges(weeks: Weeks, *ranges: tuple[int, int]) -> None:
    for first, last in ranges:
        weeks.score(at(first), at(last))


def test_hours_after_a_gap_that_fills_are_scored_again_as_far_as_values_hold(
    cluster: Cluster, trained: Weeks, tmp_path: Path
) -> None:
    with copied(cluster, trained, tmp_path) as live:
        hold_back(live, 2, 4)
        run_ranges(live, (0, 10), (10, 11))
        # What was said at 1:50 holds until 7:50, in the middle of the eighth hour.
        scored = "SELECT count(*) FROM tsad.v_status WHERE hour_at < %s AND status = 'scored'"
        assert live.execute(scored, at(10)) == [(7,)]
        arrive(live)
        run_ranges(live, (11, N_HOURS))
        assert rows(live) == of_backfill(cluster, trained, tmp_path)


def test_a_past_that_is_run_after_later_hours_scores_these_again(
    cluster: Cluster, trained: Weeks, tmp_path: Path
) -> None:
    with copied(cluster, trained, tmp_path) as live:
        hold_back(live, 2, 4)
        run_ranges(live, (0, 2), (4, N_HOURS))
        arrive(live)
        run_ranges(live, (3, 4), (2, 3))
        assert rows(live) == of_backfill(cluster, trained, tmp_path)


def test_rescoring_a_range_scores_later_hours_that_depend_on_it(
    cluster: Cluster, trained: Weeks, tmp_path: Path
) -> None:
    change = f"UPDATE plant.metrics SET temperature = 48 WHERE at = '{at(3 + 5 / 6)}'"  # noqa: S608
    with copied(cluster, trained, tmp_path) as live:
        run_ranges(live, (0, N_HOURS))
        live.execute(change)
        with Store.connect(live.uri) as store:
            rescore_as_of(store, live.config, live.uri, start_at=at(3), end_at=at(4))
        assert rows(live) == of_backfill(cluster, trained, tmp_path, change)
        ends = "SELECT max(last_flag_at) FROM tsad.v_incident WHERE started_at >= %s"
        # Six hours from 3:50 on.
        assert live.execute(ends, at(3)) == [(at(9 + 4 / 6),)]


def test_rows_that_come_late_without_a_champion_are_marked_so(
    cluster: Cluster, trained: Weeks, tmp_path: Path
) -> None:
    marked = "SELECT hour_at FROM tsad.v_status WHERE entity = 'm-2' ORDER BY 1"
    with copied(cluster, trained, tmp_path) as live:
        live.execute("DELETE FROM tsad.champion_period")
        other = "SELECT at, 'm-2', temperature, load FROM plant.metrics WHERE at >= %s AND at < %s"
        live.execute(f"INSERT INTO plant.metrics {other}", at(0), at(1))
        live.execute(f"INSERT INTO plant.metrics {other}", at(10), at(N_HOURS))
        run_ranges(live, (0, 10), (10, 11))
        # What was said at 0:50 holds until 6:50, and the hour after that is still spoken of.
        assert live.execute(marked) == [(at(hour),) for hour in (*range(8), 10)]
        live.execute(f"INSERT INTO plant.metrics {other}", at(1), at(4))
        run_ranges(live, (11, N_HOURS))
        assert live.execute(marked) == [(at(hour),) for hour in range(N_HOURS)]


# Which hours are found
# -------------------------------------------------------------------------------------------------


@pytest.fixture
def store(warehouse_uri: str) -> Iterator[Store]:
    with Store.connect(warehouse_uri) as opened:
        yield opened


def span_of(store: Store, first: int, end: int, lineage: str = "live") -> Interval | None:
    with store.transaction():
        dataset = upsert_dataset(store, config_of())
        return late_span(store, config_of(), dataset, Interval(at(first), at(end)), lineage)


def note(uri: str, hour: int, arrived: int) -> None:
    machine = (
        "INSERT INTO tsad.entity (dataset_id, name) SELECT dataset_id, 'm-1' FROM tsad.dataset"
    )
    run(uri, f"{machine} ON CONFLICT DO NOTHING")
    insert = "INSERT INTO tsad.late_hour SELECT entity_id, %s, %s FROM tsad.entity"
    run(uri, insert, (at(hour), at(arrived)))


def test_hours_that_the_run_or_the_one_before_it_noted_are_in_the_span(
    store: Store, warehouse_uri: str
) -> None:
    assert span_of(store, 30, 31) is None
    note(warehouse_uri, 2, 29)
    assert span_of(store, 30, 31) is None
    # That one may have died before it scored them.
    note(warehouse_uri, 5, 30)
    assert span_of(store, 30, 31) == Interval(at(5), at(6))
    note(warehouse_uri, 9, 31)
    assert span_of(store, 30, 31) == Interval(at(5), at(10))
    assert span_of(store, 31, 32) == Interval(at(9), at(10))
    assert span_of(store, 32, 33) is None


def test_a_run_in_the_past_takes_later_hours_that_it_noted_itself(
    store: Store, warehouse_uri: str
) -> None:
    assert span_of(store, 3, 4) is None
    # A newer run noted one before the end of this one, and one after it.
    note(warehouse_uri, 1, 31)
    note(warehouse_uri, 8, 31)
    assert span_of(store, 3, 4) == Interval(at(1), at(2))
    # The same hour is noted by both.
    note(warehouse_uri, 8, 4)
    assert span_of(store, 3, 4) == Interval(at(1), at(9))
    assert span_of(store, 30, 31) == Interval(at(1), at(9))


def test_only_what_follows_live_champions_has_late_hours(store: Store, warehouse_uri: str) -> None:
    assert span_of(store, 30, 31) is None
    note(warehouse_uri, 5, 31)
    assert span_of(store, 30, 31, "live/shadow") == Interval(at(5), at(6))
    assert span_of(store, 30, 31, "replay") is None
    assert span_of(store, 30, 31, "what_if/one") is None
