"""Incidents that last: cut where flags near them say, the same rows in whatever order they come,
and one alert.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from tests.storage.rooms import HOUR_AT, Room, new_model, opened_room, room_config
from tsad_tasks.base.interval import HOUR
from tsad_tasks.champions.records import insert_model, open_period
from tsad_tasks.config import DatasetConfig
from tsad_tasks.feedback.maintenance import apply_maintenance
from tsad_tasks.notifications.notify import enqueue
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.storage.store import Store
from tsad_tasks.training.queries import ChampionScope

N_HOURS = 40
STEPS_PER_HOUR = 6
LENGTH = {"max_length": "4h"}

FLAG = """
  INSERT INTO tsad.anomaly (entity_id, at, hour_at, model_id, kind, severity, error, threshold,
    score, provisional)
  SELECT %(entity_id)s, u.at, date_trunc('hour', u.at), m.model_id, 'point', 'LOW', 1 + u.score, 1,
    u.score, false
  FROM unnest(%(at)s::timestamptz[], %(score)s::real[]) AS u(at, score) CROSS JOIN tsad.model m;
  INSERT INTO tsad.attribution (entity_id, at, model_id, channel_id, share, actual, expected,
    spread)
  SELECT %(entity_id)s, u.at, m.model_id, c.channel_id, CASE c.name WHEN 'cpu' THEN .7 ELSE .3 END,
    10 + u.score, 10, 1
  FROM unnest(%(at)s::timestamptz[], %(score)s::real[]) AS u(at, score) CROSS JOIN tsad.model m
  CROSS JOIN tsad.channel c"""
STANDING = """
  SELECT incident_id, entity_id, policy_version, started_at, last_flag_at, n_flags, kind, severity,
    peak_score, peak_at, top_channel_id, sentence, provisional, continues
  FROM tsad.incident WHERE superseded_by IS NULL AND withdrawn_at IS NULL ORDER BY 2, 4"""


def config(**policy: Any) -> DatasetConfig:
    whole = room_config(step="10min").model_dump(exclude_unset=True)
    targets = {"targets": [{"email": ["shift@example.com"], "connection": "mail"}]}
    whole["sources"][0]["late_rows_within"] = 0
    return DatasetConfig.model_validate(
        whole | {"alarm_policy": LENGTH | policy, "notifications": targets}
    )


@dataclass
class Fleet:
    """Two machines with a champion, whose flags a test sets."""

    room: Room
    config: DatasetConfig = field(default_factory=config)

    def ask(self, statement: str, **params: Any) -> list[tuple[Any, ...]]:
        with self.room.store.transaction():
            cursor = self.room.store._connection.cursor()
            cursor.execute(statement, params or None)
            return list(cursor.fetchall()) if cursor.description else []

    def clear(self) -> None:
        self.ask(
            "DELETE FROM tsad.anomaly; DELETE FROM tsad.attribution; DELETE FROM tsad.incident"
        )

    def flag(self, steps: Any, entity: int = 0) -> None:
        at = [HOUR_AT + int(step) * timedelta(minutes=10) for step in steps]
        score = [float(1 + int(step) * 7919 % 100 / 64) for step in steps]
        self.ask(FLAG, entity_id=self.room.entity_ids[entity], at=at, score=score)

    def build(self, hour: int, n_hours: int = 1) -> Any:
        start_at, end_at = HOUR_AT + hour * HOUR, HOUR_AT + (hour + n_hours) * HOUR
        return build_incidents(self.room.store, self.config, start_at=start_at, end_at=end_at)

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        return self.ask(STANDING)


@pytest.fixture
def fleet(warehouse_uri: str) -> Iterator[Fleet]:
    with opened_room(warehouse_uri, config()) as room:
        with room.store.transaction():
            model = insert_model(room.store, new_model(room, score_reach_s=0))
            scope = ChampionScope(room.dataset_id, 0, "live")
            open_period(room.store, scope, model.model_id, valid_from=HOUR_AT, reason="first")
        yield Fleet(room)


def flagged_steps() -> dict[int, np.ndarray]:
    """Of the first machine nearly all, of the second runs with pauses."""
    random = np.random.default_rng(3)
    steps = np.arange(N_HOURS * STEPS_PER_HOUR)
    second = (random.random(steps.size) < 0.5) & (steps % 70 < 55)
    return {0: steps[(random.random(steps.size) < 0.9) & (steps != 100)], 1: steps[second]}


def test_hours_in_any_order_and_a_rebuilding_leave_the_same_rows(fleet: Fleet) -> None:
    flags = flagged_steps()
    found = []
    orders = [range(N_HOURS), range(N_HOURS)[::-1], np.random.default_rng(5).permutation(N_HOURS)]
    for order in orders:
        fleet.clear()
        for hour in order:
            for entity, steps in flags.items():
                fleet.flag(steps[steps // STEPS_PER_HOUR == hour], entity)
            fleet.build(int(hour))
        found.append(fleet.rows)
    fleet.ask("DELETE FROM tsad.incident")
    fleet.build(0, N_HOURS)
    assert found == [fleet.rows] * len(orders)
    assert fleet.build(0, N_HOURS).n_written == 0
    assert fleet.build(N_HOURS // 2).n_written == 0
    assert len(fleet.rows) > 2 * N_HOURS / 4


@pytest.mark.parametrize(
    "policy",
    [
        {"consecutive": 4, "min_score": 1.9},
        {"refractory": "50min", "escalation": 0.5},
        {"direction": "high", "min_deviation": {"cpu": 1.4}},
        {"merge_gap": "3h"},
    ],
    ids=["rows of flags", "alarms", "deviation", "long pauses"],
)
def test_a_policy_of_any_kind_leaves_the_same_rows(fleet: Fleet, policy: dict[str, Any]) -> None:
    fleet.config, flags = config(**policy), flagged_steps()
    order = [0, 30, 10, 20]
    for hour in order:
        for entity, steps in flags.items():
            fleet.flag(steps[steps // (10 * STEPS_PER_HOUR) == hour // 10], entity)
        fleet.build(hour, 10)
    found = fleet.rows
    fleet.ask("DELETE FROM tsad.incident")
    fleet.build(0, N_HOURS)
    assert found == fleet.rows != []


def test_flags_that_went_take_their_part_along_and_leave_the_others(fleet: Fleet) -> None:
    fleet.flag(range(N_HOURS * STEPS_PER_HOUR))
    fleet.build(0, N_HOURS)
    before = fleet.rows
    fleet.ask(
        "DELETE FROM tsad.anomaly WHERE at >= %(a)s AND at < %(b)s",
        a=HOUR_AT + 10 * HOUR,
        b=HOUR_AT + 11 * HOUR,
    )
    fleet.build(10)
    after = fleet.rows
    fleet.ask("DELETE FROM tsad.incident")
    fleet.build(0, N_HOURS)
    assert after == fleet.rows
    assert set(before[:2]) <= set(after)
    assert set(before[-4:]) <= set(after)


def test_an_hour_reads_as_much_of_a_fault_of_months_as_of_one_of_weeks(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    copy_out = Store.copy_out

    def counting(*asked: Any, **params: Any) -> Any:
        found = copy_out(*asked, **params)
        read.append(len(found["at"]))
        return found

    monkeypatch.setattr(Store, "copy_out", counting)
    n_read = []
    for n_days in (3, 30):
        fleet.clear()
        fleet.flag(range(-n_days * 24 * STEPS_PER_HOUR, STEPS_PER_HOUR))
        fleet.ask("UPDATE tsad.champion_record SET valid_from = '2025-01-01'")
        read.clear()
        fleet.build(0)
        n_read.append(sum(read))
    assert n_read[0] == n_read[1] < 36 * STEPS_PER_HOUR


def test_parts_say_what_they_continue_in_the_view_and_in_their_sentence(fleet: Fleet) -> None:
    fleet.flag(range(9 * STEPS_PER_HOUR))
    fleet.build(0, 9)
    rows = fleet.ask(
        "SELECT incident_id, continues, sentence, state FROM tsad.v_incident ORDER BY started_at"
    )
    ids = [row[0] for row in rows]
    assert [row[1] for row in rows] == [None, *ids[:-1]]
    assert "continues" not in rows[0][2]
    assert rows[1][2].endswith(f"10.0 ± 1.0 % was expected; continues {ids[0]}")


def test_after_a_change_of_policy_a_part_continues_what_stands(fleet: Fleet) -> None:
    fleet.flag(range(21 * STEPS_PER_HOUR))
    fleet.build(0, 21)
    former = [row[0] for row in fleet.rows]
    fleet.config = config(min_score=0.1)
    fleet.build(20)
    now = fleet.rows
    assert [row[0] for row in now[:-1]] == former[:-1]
    assert now[-1][0] not in former
    assert now[-1][-1] == former[-2]


def test_a_cut_opens_no_alert_and_words_and_maintenance_keep_their_parts(fleet: Fleet) -> None:
    for hour in range(6):
        fleet.flag(range(hour * STEPS_PER_HOUR, (hour + 1) * STEPS_PER_HOUR))
        fleet.build(hour)
        enqueue(fleet.room.store, fleet.config, end_at=HOUR_AT + (hour + 1) * HOUR)
        if hour == 2:
            (first,) = fleet.rows
            fleet.ask("SELECT tsad.set_verdict(%(name)s, 'expected')", name=first[0])
    assert fleet.ask("SELECT event, count(*) FROM tsad.notification GROUP BY event") == [
        ("opened", 1)
    ]
    assert fleet.ask("SELECT start_at, end_at FROM tsad.alert") == [
        (HOUR_AT, HOUR_AT + 6 * HOUR - timedelta(minutes=10))
    ]
    told = "SELECT verdict, suppressed_by IS NULL FROM tsad.v_incident ORDER BY started_at"
    assert fleet.ask(told) == [("expected", True), (None, True)]
    fleet.ask(
        "SELECT tsad.add_maintenance('room', %(a)s, %(b)s, 'works')",
        a=HOUR_AT - HOUR,
        b=HOUR_AT + 5 * HOUR,
    )
    assert apply_maintenance(fleet.room.store, "room") == 1
    assert fleet.ask(told) == [("expected", False), (None, True)]
    fleet.build(5)
    assert fleet.ask(told) == [("expected", False), (None, True)]
