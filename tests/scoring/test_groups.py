"""Incidents that begin together: one headline, the same in whatever order hours come."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from tests.scoring.test_long_incidents import Fleet, config
from tests.storage.rooms import HOUR_AT, new_model, opened_room
from tsad_tasks.champions.records import insert_model, open_period
from tsad_tasks.model.incident_groups import Beginning, incident_groups
from tsad_tasks.training.queries import ChampionScope

MACHINES = tuple("abcdef")
GROUPS = """
  SELECT group_id, headline, started_at, n_entities, n_all_entities FROM tsad.incident_group
  ORDER BY started_at"""
GROUPED = """
  SELECT incident_id, group_id FROM tsad.incident
  WHERE superseded_by IS NULL AND withdrawn_at IS NULL ORDER BY 1"""
# Rows of a machine came in every hour.
ALIVE = """
  INSERT INTO tsad.entity_life (entity_id, month_at, hours)
  SELECT entity_id, '2026-03-01', tstzmultirange(tstzrange('2026-03-01', '2026-03-09'))
  FROM tsad.entity"""


@pytest.fixture
def fleet(warehouse_uri: str) -> Iterator[Fleet]:
    with opened_room(warehouse_uri, config(), MACHINES) as room:
        with room.store.transaction():
            model = insert_model(room.store, new_model(room, score_reach_s=0))
            scope = ChampionScope(room.dataset_id, 0, "live")
            open_period(room.store, scope, model.model_id, valid_from=HOUR_AT, reason="first")
        fleet = Fleet(room, room.config)
        fleet.ask(ALIVE)
        yield fleet


def at(minutes: int) -> Any:
    return HOUR_AT + timedelta(minutes=minutes)


def test_three_machines_within_a_quarter_of_an_hour_have_one_headline(fleet: Fleet) -> None:
    for entity, step in enumerate([1, 2, 2, 3]):
        fleet.flag([step], entity)
    fleet.build(0)
    ((key, headline, started_at, n, n_all),) = fleet.ask(GROUPS)
    assert headline == "3 of 6 machines: cpu rose, since 1 Mar 05:10"
    assert (started_at, n, n_all) == (at(10), 3, 6)
    members = dict(fleet.ask("SELECT entity, group_id FROM tsad.v_incident"))
    assert members == {"a": key, "b": key, "c": key, "d": None}
    of = "SELECT group_id, severity, state, last_flag_at, n_incidents, priority "
    of += "FROM tsad.v_incident_group"
    assert fleet.ask(of) == [(key, "LOW", "open", at(20), 3, 4)]
    fleet.ask("UPDATE tsad.entity SET criticality = 'high' WHERE name = 'b'")
    assert fleet.ask(of)[0][-1] == 3
    assert set(fleet.ask("SELECT direction FROM tsad.v_incident")) == {("rise",)}


def test_two_machines_are_no_group_and_one_that_is_found_late_moves_it(fleet: Fleet) -> None:
    fleet.flag([7], 0)
    fleet.flag([8], 1)
    fleet.build(1)
    assert fleet.ask(GROUPS) == []
    fleet.flag([7], 3)
    fleet.build(1)
    ((key, headline, started_at, *_),) = fleet.ask(GROUPS)
    assert (headline, started_at) == ("3 of 6 machines: cpu rose, since 1 Mar 06:10", at(70))
    # Two that are found late began first: of the others one began more than a quarter later.
    fleet.flag([5], 2)
    fleet.flag([6], 4)
    fleet.flag([6], 5)
    fleet.build(0)
    fleet.build(1)
    groups = [row[:4] for row in fleet.ask(GROUPS)]
    assert [row[2:] for row in groups] == [(at(50), 3), (at(70), 3)]
    fleet.ask("DELETE FROM tsad.anomaly WHERE at < %(at)s", at=at(70))
    fleet.build(0)
    fleet.build(1)
    ((again, headline, started_at, n, _),) = fleet.ask(GROUPS)
    assert (again, started_at, n) == (key, at(70), 3)
    assert {row[1] for row in fleet.ask(GROUPED)} == {key}


def test_hours_in_any_order_leave_the_same_groups(fleet: Fleet) -> None:
    random = np.random.default_rng(11)
    n_hours = 6
    flagged = random.random((len(MACHINES), n_hours * 6)) < 0.05
    for step in (5, 17, 23):
        flagged[random.permutation(len(MACHINES))[:4], step + random.integers(2, size=4)] = True
    flags = [np.flatnonzero(steps) for steps in flagged]
    found = []
    for order in (range(n_hours), range(n_hours)[::-1], random.permutation(n_hours)):
        fleet.clear()
        fleet.ask("DELETE FROM tsad.incident_group")
        for hour in order:
            for entity, steps in enumerate(flags):
                fleet.flag(steps[steps // 6 == hour], entity)
            fleet.build(int(hour))
        found.append((fleet.ask(GROUPS), fleet.ask(GROUPED)))
    assert found[0] == found[1] == found[2]
    assert len(found[0][0]) >= 2


def test_what_lasts_is_one_row_of_the_chain_and_of_its_group(fleet: Fleet) -> None:
    for entity in range(3):
        fleet.flag(range(9 * 6), entity)
    fleet.build(0, 9)
    assert len(fleet.rows) == 9
    chains = fleet.ask(
        "SELECT entity, n_parts, n_flags, started_at, last_flag_at, sentence LIKE '%%continues%%' "
        "FROM tsad.v_incident_chain ORDER BY entity"
    )
    assert chains == [(name, 3, 54, HOUR_AT, at(530), False) for name in "abc"]
    ((n, last_at),) = fleet.ask("SELECT n_incidents, last_flag_at FROM tsad.v_incident_group")
    assert (n, last_at) == (3, at(530))
    worst = fleet.ask("SELECT max(peak_score) FROM tsad.incident")
    assert fleet.ask("SELECT DISTINCT peak_score FROM tsad.v_incident_chain") == worst


def test_of_a_storm_of_days_a_group_depends_on_two_days_before_it() -> None:
    random = np.random.default_rng(2)
    starts = np.cumsum(random.integers(30, 800, size=700))
    storm = [Beginning(int(s), str(random.integers(30)), f"i{s}") for s in starts]
    assert starts[-1] > 3 * 86400
    whole = incident_groups(storm)
    for first_s in random.integers(0, starts[-1], size=20):
        read = [one for one in storm if one.at_s >= first_s - 2 * 86400 - 900]
        late = [group for group in incident_groups(read) if group[0].at_s >= first_s]
        assert late == [group for group in whole if group[0].at_s >= first_s]


def test_a_group_says_what_most_of_its_machines_have_in_common(fleet: Fleet) -> None:
    for entity in range(3):
        fleet.flag([1], entity)
    fleet.ask(
        "UPDATE tsad.attribution SET actual = 8.5 - share WHERE entity_id = %(last)s",
        last=fleet.room.entity_ids[2],
    )
    fleet.build(0)
    ((_, headline, *_),) = fleet.ask(GROUPS)
    assert headline == "3 of 6 machines: mostly cpu rose, since 1 Mar 05:10"


def test_unchanged_incidents_write_no_group_again(fleet: Fleet) -> None:
    for entity in range(3):
        fleet.flag([0], entity)
    fleet.build(0)
    written = "SELECT xmin::text, updated_at FROM tsad.incident_group"
    before, rows = fleet.ask(written), fleet.ask("SELECT xmin::text FROM tsad.incident")
    fleet.build(0)
    fleet.build(0, 5)
    assert fleet.ask(written) == before
    assert fleet.ask("SELECT xmin::text FROM tsad.incident") == rows
