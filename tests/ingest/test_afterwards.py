"""Rows that come late change the hours after their own that depend on them: whatever arrives in
whatever order, runs that were there meanwhile leave what one backfill of everything does.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from devstack.postgres import Cluster
from tests.plants.emptied import empty
from tests.plants.plant import DAY, Plant, opened_plant
from tests.statements import run
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.storage.store import Store

N_HOURS = 24
KINDS: dict[str, dict[str, Any]] = {
    "valid for hours": {"temp": {"valid_for": "6h"}, "load": {}},
    "valid until changed": {"temp": {"valid_for": "until_changed"}, "load": {}},
    "counter": {"temp": {"signal": "counter"}, "load": {}},
    "events": {"temp": {"signal": "event_count"}, "load": {}},
    "states": {
        "temp": {"signal": "discrete", "states": [100, 104, 108], "valid_for": "3h"},
        "load": {"valid_for": "until_changed"},
    },
}
STATE = """
SELECT e.name, b.hour_at, b.values::text, encode(b.n_values, 'hex') FROM tsad.reading_block b
JOIN tsad.entity e USING (entity_id) ORDER BY 1, 2"""
FINDINGS = """
SELECT e.name, q.hour_at, c.name, q.verdict, q.n_steps FROM tsad.quality q
JOIN tsad.entity e USING (entity_id) JOIN tsad.channel c USING (channel_id) ORDER BY 1, 2, 3, 4"""
LEDGER = "SELECT hour_at, n_rows, n_readings FROM tsad.ingest_hour ORDER BY 1"
LIVES = """
SELECT e.name, l.month_at, l.hours::text FROM tsad.entity_life l
JOIN tsad.entity e USING (entity_id) ORDER BY 1, 2"""

Row = tuple[datetime, str, str, float | None]


def hour(number: float) -> datetime:
    return DAY + timedelta(hours=number)


@pytest.fixture(scope="module")
def plant(cluster: Cluster, template_database: str) -> Iterator[Plant]:
    with opened_plant(cluster, template_database) as opened:
        yield opened


def _config(plant: Plant, channels: dict[str, Any], late: str | int = "1h") -> DatasetConfig:
    long = {"shape": "long", "channel_column": "sensor", "value_column": "value"}
    return plant.config(**long, channels=channels, late_rows_within=late)


def _begin(plant: Plant) -> None:
    plant.clear()
    plant.run(
        "CREATE TABLE reading (at timestamptz, machine text, sensor text, value float8);"
        "CREATE INDEX ON reading (machine, sensor, at)"
    )


def _insert(plant: Plant, rows: list[Row]) -> None:
    statement = "INSERT INTO reading SELECT * FROM unnest(%s, %s, %s, %s::float8[])"
    if rows:
        run(plant.source_uri, statement, [list(column) for column in zip(*rows, strict=True)])


def _ingest(plant: Plant, config: DatasetConfig, first: float, last: float) -> None:
    with Store.connect(plant.warehouse_uri) as store:
        ingest_interval(
            store,
            config,
            plant.source_uri,
            start_at=hour(first),
            end_at=hour(last),
            now=lambda: plant.now_at,
        )


def _live(plant: Plant, config: DatasetConfig, rows: list[Row], arrivals: list[int]) -> None:
    """A run an hour, each of which sees the rows that arrived in hours up to its own."""
    for number in range(N_HOURS):
        _insert(plant, [row for row, at in zip(rows, arrivals, strict=True) if at == number])
        plant.now_at = hour(number + 1) + timedelta(minutes=1)
        _ingest(plant, config, number, number + 1)


def _state(plant: Plant) -> list[Any]:
    return [plant.rows(statement) for statement in (STATE, FINDINGS, LEDGER, LIVES)]


def _backfilled(plant: Plant, config: DatasetConfig) -> list[Any]:
    empty(plant.warehouse_uri)
    plant.now_at = DAY + timedelta(days=300)
    _ingest(plant, config, 0, N_HOURS)
    return _state(plant)


def _rows(rng: np.random.Generator, *, sparse: bool) -> list[Row]:
    """Rows of two machines, of which `temp` of the second comes seldom where it is sparse."""
    found, total = list[Row](), 100.0
    for minute in range(0, N_HOURS * 60, 10):
        total += float(rng.integers(0, 9))
        found += [(hour(minute / 60), "m1", "load", 1.0), (hour(minute / 60), "m2", "load", 2.0)]
        found += [(hour(minute / 60), "m1", "temp", total)] * (minute % 20 == 0)
        is_null = not rng.integers(0, 12)
        value = None if is_null else total
        found += [(hour(minute / 60), "m2", "temp", value)] * bool(
            rng.random() < 0.05 or not sparse
        )
    return found


def test_a_value_that_was_missing_holds_in_the_hours_after_the_gap(plant: Plant) -> None:
    _begin(plant)
    config = _config(plant, {"temp": {"valid_for": "6h"}, "load": {}})
    rows: list[Row] = [(hour(at / 6), "m1", "temp", float(at)) for at in range(60)]
    rows += [(hour(at), "m1", "load", 1.0) for at in range(20, N_HOURS)]
    # The rows of hours 2 to 10 come in hour 15; after them nothing is told of it any more.
    arrivals = [15 if 2 <= (at - DAY).seconds / 3600 < 10 else int((at - DAY) / timedelta(hours=1))
                for at, *_ in rows]  # fmt: skip
    _live(plant, config, rows, arrivals)
    temps = {time: value for (_, time, channel), value in plant.readings().items()
             if channel == "temp"}  # fmt: skip
    assert (temps["10:00"], temps["15:40"], "16:00" in temps) == (59, 59, False)
    live = _state(plant)
    assert live == _backfilled(plant, config)


def test_a_total_hours_after_a_gap_counts_from_the_one_that_came_late(plant: Plant) -> None:
    _begin(plant)
    config = _config(plant, {"temp": {"signal": "counter", "per": "step"}, "load": {}})
    totals = {0: 100, 1: 106, 4: 124, 12: 220, 12.5: 223, 20: 300}
    rows: list[Row] = [(hour(at), "m1", "temp", float(total)) for at, total in totals.items()]
    _live(plant, config, rows, [15 if at == 4 else int(at) for at in totals])
    rates = {time: value for (*_, time, _), value in plant.readings().items()}
    # 96 in 48 steps from 4 to 12, where 114 in 66 had been known before.
    assert rates["12:00"] == 2
    live = _state(plant)
    assert live == _backfilled(plant, config)


def test_what_held_before_a_long_silence_holds_again_in_a_run_of_its_own(plant: Plant) -> None:
    _begin(plant)
    config = _config(plant, {"temp": {"valid_for": "until_changed"}, "load": {}})
    rows: list[Row] = [(hour(2), "m1", "temp", 7.0)]
    # Silent from 3 to 20, and one that is never heard of again.
    rows += [(hour(at), "m1", "load", 1.0) for at in (2.5, 20.5)] + [(hour(1), "m2", "temp", 8.0)]
    _live(plant, config, rows, [int((at - DAY) / timedelta(hours=1)) for at, *_ in rows])
    temps = {(machine, time): value for (machine, time, channel), value in plant.readings().items()
             if channel == "temp"}  # fmt: skip
    assert ("m1", "20:20") not in temps
    assert (temps["m1", "20:30"], ("m2", "20:30") in temps) == (7, False)
    live = _state(plant)
    assert live == _backfilled(plant, config)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [1, 2])
def test_rows_in_any_order_leave_what_a_backfill_does(plant: Plant, kind: str, seed: int) -> None:
    _begin(plant)
    rng = np.random.default_rng([seed, *map(ord, kind)])
    config = _config(plant, KINDS[kind])
    rows = _rows(rng, sparse=bool(seed % 2))
    arrivals = [int((at - DAY) / timedelta(hours=1)) for at, *_ in rows]
    for machine in ("m1", "m2"):
        start, n_hours = int(rng.integers(1, 6)), int(rng.integers(2, 7))
        back = start + n_hours + int(rng.integers(0, 3))
        # All at once, or hour by hour and not in order.
        delays = rng.integers(0, 4, N_HOURS) * (seed > 1)
        for at, (time, whose, *_) in enumerate(rows):
            if whose == machine and hour(start) <= time < hour(start + n_hours):
                arrivals[at] = back + int(delays[arrivals[at]])
    _live(plant, config, rows, arrivals)
    live = _state(plant)
    assert live == _backfilled(plant, config)


def _backwards(
    plant: Plant, config: DatasetConfig, rows: list[Row], order: list[int], n_an_hour: int = 1
) -> None:
    """A run for each interval in this order, whose rows the source gets just before it, long after
    these times: the past is brought in, piece by piece.
    """
    plant.now_at = DAY + timedelta(days=300)
    for number in order:
        first, end = number / n_an_hour, (number + 1) / n_an_hour
        _insert(plant, [row for row in rows if hour(first) <= row[0] < hour(end)])
        _ingest(plant, config, first, end)


def test_a_past_that_comes_after_later_hours_is_followed_to_them(plant: Plant) -> None:
    _begin(plant)
    config = _config(plant, {"temp": {"valid_for": "6h"}, "load": {"signal": "counter"}}, 0)
    rows: list[Row] = [(hour(2), "m1", "temp", 7.0), (hour(9), "m1", "temp", 9.0)]
    rows += [(hour(at), "m1", "load", 3600.0 * at) for at in (2, 5, 6)]
    _backwards(plant, config, rows, [*range(4, N_HOURS), 3, 2, 1, 0])
    found = {(time, name): value for (_, time, name), value in plant.readings().items()}
    # 7 holds from 2 to 8, in hours that were read before it was there; so is the total of 2 for 5.
    assert [found.get((time, "temp")) for time in ("04:00", "07:50", "08:00", "09:00")] == [
        7, 7, None, 9,
    ]  # fmt: skip
    assert (found["05:00", "load"], found["06:00", "load"]) == (1, 1)
    assert _state(plant) == _backfilled(plant, config)


@pytest.mark.parametrize(
    ("kind", "late"), [*((kind, "0s") for kind in KINDS), ("counter", "2h"), ("events", "2h")]
)
def test_intervals_in_any_order_leave_what_a_backfill_does(
    plant: Plant, kind: str, late: str
) -> None:
    _begin(plant)
    rng = np.random.default_rng([*map(ord, kind)])
    config = _config(plant, KINDS[kind], late)
    order = rng.permutation(N_HOURS).tolist()
    _backwards(plant, config, _rows(rng, sparse=True), order)
    assert _state(plant) == _backfilled(plant, config)


def test_an_hour_that_others_looked_back_at_is_read_by_its_own_run(plant: Plant) -> None:
    _begin(plant)
    config = _config(plant, {"temp": {}}, "2h")
    rows: list[Row] = [(hour(at), "m1", "temp", at) for at in (3.0, 4.0, 4.5, 5.0)]
    n_rows = "SELECT n_rows::int FROM tsad.ingest_hour ORDER BY hour_at DESC LIMIT 3"
    _backwards(plant, config, rows, [5])
    assert plant.rows(n_rows) == [(1,), (0,), (0,)]
    _backwards(plant, config, rows, [4, 3])
    assert plant.rows(n_rows) == [(1,), (2,), (1,)]
    assert [*plant.readings().values()] == [3.0, 4.0, 4.5, 5.0]
    # Each reads its own once: what comes after that is late, counted and told.
    _insert(plant, [(hour(4.75), "m1", "temp", 7.0)])
    _ingest(plant, config, 4, 5)
    assert plant.rows(n_rows) == [(1,), (2,), (1,)]


def test_quarters_of_an_hour_in_any_order_leave_what_a_backfill_does(plant: Plant) -> None:
    _begin(plant)
    config = _config(plant, {"temp": {}}, "2h").model_copy(update={"interval": "15min"})
    rows: list[Row] = [(hour(at / 6), "m1", "temp", float(at)) for at in range(18)]
    order = np.random.default_rng(4).permutation(12).tolist()
    _backwards(plant, config, rows, order, n_an_hour=4)
    assert [*plant.readings().values()] == [float(at) for at in range(18)]
