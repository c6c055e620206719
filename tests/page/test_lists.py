"""The page's lists of incidents: what lasts into a span of time is in it, and years before it cost
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.scoring.test_groups import at, fleet
from tests.scoring.test_long_incidents import Fleet
from tsad_tasks.base.interval import HOUR
from tsad_tasks.config.sections import CriticalitySection
from tsad_tasks.page import queries

__all__ = ["fleet"]

YEARS = """
  INSERT INTO tsad.incident (incident_id, lineage, entity_id, policy_version, model_id, started_at,
    last_flag_at, n_flags, kind, severity, peak_score, peak_at, sentence)
  SELECT 'INC-' || n, 'live', %(entity_id)s, 'p', 1, old.at, old.at, 1, 'point', 'HIGH', 9, old.at,
    'long ago'
  FROM generate_series(1, 5000) n CROSS JOIN LATERAL (
    SELECT %(before_at)s - n * interval '1 hour' AS at) old;
  ANALYZE tsad.incident"""
NEEDING = queries.SELECT_NEEDING_INCIDENTS
LISTED = queries.SELECT_LISTED_INCIDENTS


def asked(from_at: datetime, now: datetime | None = None) -> dict[str, Any]:
    """What the page asks for, of all incidents since then."""
    names = ("entity", "severity", "state", "verdict", "word", "group_id", "before_at", "before_id")
    span = {"datasets": ["room"], "from_at": from_at, "to_at": at(24 * 60)}
    return dict.fromkeys(names) | span | {"now": now or at(24 * 60), "n": 10, "most": 10}


def lists(fleet: Fleet, asked: dict[str, Any]) -> list[list[Any]]:
    store = fleet.room.store
    needing = [(one.entity, one.n_parts) for one in store.rows(NEEDING, **asked)]
    rows = store.rows(LISTED, **asked)
    listed = [(one.entity, one.n_parts) for one in rows]
    return [needing, listed, [one.n_all for one in rows]]


@pytest.fixture
def long_one(fleet: Fleet) -> Fleet:
    """Nine hours of a machine's flags in three parts, and an hour of another one's."""
    fleet.flag(range(9 * 6), 0)
    fleet.flag(range(2 * 6, 3 * 6), 1)
    fleet.build(0, 9)
    return fleet


@pytest.mark.parametrize(
    ("from_at", "names"),
    [(at(-60), ["b", "a"]), (at(100), ["b", "a"]), (at(520), ["a"]), (at(531), [])],
)
def test_what_lasts_into_a_span_is_listed_once(
    long_one: Fleet, from_at: datetime, names: list[str]
) -> None:
    parts = {"a": 3, "b": 1}
    rows = [(name, parts[name]) for name in names]
    needing, listed, counted = lists(long_one, asked(from_at))
    assert sorted(needing) == sorted(rows)
    assert (listed, counted) == (rows, [len(rows)] * len(rows))


def test_what_was_said_last_of_an_incident_holds(long_one: Fleet) -> None:
    ((worst,),) = long_one.ask("SELECT incident_id FROM tsad.v_incident_chain WHERE entity = 'a'")
    say = "SELECT tsad.set_triage(%(worst)s, %(who)s, %(until)s, 'ada')"
    long_one.ask(say, worst=worst, who="ben", until=at(48 * 60))
    assert lists(long_one, asked(at(0)))[0] == [("b", 1)]
    assert len(lists(long_one, asked(at(0), at(48 * 60)))[0]) == 2
    long_one.ask(say, worst=worst, who="ada", until=None)
    found = long_one.room.store.rows(NEEDING, **asked(at(0)))
    assert {(one.entity, one.taken_by) for one in found} == {("a", "ada"), ("b", None)}


def read_incidents(node: dict[str, Any]) -> Iterator[int]:
    """Rows of incidents that each part of a plan read."""
    if node.get("Relation Name") == "incident":
        n = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        yield n * node["Actual Loops"]
    for part in node.get("Plans", []):
        yield from read_incidents(part)


@pytest.mark.parametrize("query", [NEEDING, LISTED], ids=lambda one: one.path)
def test_incidents_of_years_before_are_not_read(long_one: Fleet, query: Any) -> None:
    entity_id = long_one.room.entity_ids[2]
    long_one.ask(YEARS, entity_id=entity_id, before_at=at(0) - timedelta(days=1))
    statement = f"EXPLAIN (ANALYZE, FORMAT JSON) {query.text}"
    ((found,),) = long_one.ask(statement, **asked(at(0) - HOUR))
    assert sum(read_incidents(found[0]["Plan"])) < 200


CHAINS = """
  SELECT {columns} FROM tsad.incident_chains(ARRAY['room'], 'live', %(from_at)s, %(to_at)s)
  ORDER BY incident_id"""
VIEWED = """
  SELECT {columns} FROM tsad.v_incident_chain
  WHERE lineage = 'live' AND last_flag_at >= %(from_at)s AND started_at < %(to_at)s
  ORDER BY incident_id"""
SAME = (
    *("incident_id", "entity", "dataset", "severity", "state", "started_at", "last_flag_at"),
    *(
        "priority",
        "peak_score",
        "sentence",
        "verdict",
        "coalesce(held, false)",
        "group_id",
        "snoozed_until",
    ),
)


@pytest.mark.parametrize("minutes", [(-60, 600), (100, 600), (100, 130), (520, 530), (531, 900)])
def test_chains_of_a_span_are_those_of_the_view(long_one: Fleet, minutes: tuple[int, int]) -> None:
    for entity in range(2, 5):
        long_one.flag(range(entity, entity + 2), entity)
    long_one.build(0, 9)
    ids = [one for (one,) in long_one.ask("SELECT incident_id FROM tsad.v_incident_chain")]
    for key, verdict in zip(ids[1:], ("confirmed", "false_alarm"), strict=False):
        said = {"key": key, "verdict": verdict, "until": at(3000)}
        long_one.ask("SELECT tsad.set_verdict(%(key)s, %(verdict)s, 'ada')", **said)
        long_one.ask("SELECT tsad.set_triage(%(key)s, 'ada', %(until)s, 'ada')", **said)
    asked = {"from_at": at(minutes[0]), "to_at": at(minutes[1]), "columns": ", ".join(SAME)}
    found = [
        long_one.ask(query.format(**asked), from_at=asked["from_at"], to_at=asked["to_at"])
        for query in (CHAINS, VIEWED)
    ]
    assert found[0] == found[1]
    assert bool(found[0]) == (minutes[0] < 531)


def test_what_more_depends_on_comes_first_and_says_its_priority(fleet: Fleet) -> None:
    for entity, severity in enumerate(["HIGH", "MEDIUM", "MEDIUM", "LOW"]):
        fleet.flag([9 * entity + 1], entity)
        fleet.ask("UPDATE tsad.anomaly SET severity = %(severity)s WHERE entity_id = %(id)s",
            severity=severity, id=fleet.room.entity_ids[entity])  # fmt: skip
    # Far enough off for what is told as HIGH.
    fleet.ask("UPDATE tsad.attribution SET actual = 90")

    def needing(said: dict[str, Any]) -> list[tuple[str, int, bool]]:
        section = CriticalitySection.model_validate(said)
        fleet.config = fleet.config.model_copy(update={"criticality": section})
        fleet.build(0, 6)
        found = fleet.room.store.rows(NEEDING, **asked(at(0)))
        of_views = dict(fleet.ask("SELECT entity, priority FROM tsad.v_incident"))
        assert of_views == dict(fleet.ask("SELECT entity, priority FROM tsad.v_incident_chain"))
        assert of_views == {one.entity: one.priority for one in found}
        for one in found:
            assert one.priority == section.priority(one.severity, one.entity, one.channel)
        return [(one.entity, one.priority, one.is_rated) for one in found]

    assert [row[1:] for row in needing({})] == [(2, False), (3, False), (3, False), (4, False)]
    said = {"entities": {"c": "normal", "[bc]": "high", "a": "low", "d": "low"}}
    # Of equal priority the more severe comes first.
    assert [row[0] for row in needing(said)][:1] == ["b"]
    assert dict(row[:2] for row in needing(said)) == {"a": 3, "b": 2, "c": 3, "d": 5}
    assert [row[0] for row in needing(said)] == ["b", "a", "c", "d"]
    of_channel = said | {"channels": {"cpu": "high"}}
    assert dict(row[:2] for row in needing(of_channel)) == {"a": 2, "b": 2, "c": 2, "d": 4}
    assert [row[1:] for row in needing({})] == [(2, False), (3, False), (3, False), (4, False)]


# An hour of a machine each, scored but for one.
HOURS = """
  SELECT tsad.ensure_partition('score_block', %(from_at)s);
  INSERT INTO tsad.score_block (entity_id, hour_at, model_id, errors, thresholds, reasons, status,
    coverage, n_needed, n_seen, window_digest)
  SELECT %(entity_id)s, %(from_at)s + n * interval '1 hour', m.model_id, '{0}', '{1}', '{0}',
    CASE n WHEN 70 THEN 'stale' ELSE 'scored' END, 1, 6, 6, 0
  FROM generate_series(0, 499) n, tsad.model m;
  ANALYZE tsad.score_block; SET LOCAL enable_seqscan = off;"""


def test_hours_that_were_scored_are_not_read_to_find_those_that_were_not(fleet: Fleet) -> None:
    asked = {"dataset": "room", "from_at": at(0), "to_at": at(500 * 60)}
    filled = asked | {"entity_id": fleet.room.entity_ids[0]}
    query = queries.SELECT_UNWATCHED_HOURS
    ((found,),) = fleet.ask(f"{HOURS} EXPLAIN (ANALYZE, FORMAT JSON) {query.text}", **filled)

    def left_out(node: dict[str, Any]) -> int:
        own = node.get("Rows Removed by Filter", 0) if "hour_at" in str(node) else 0
        return own + sum(left_out(part) for part in node.get("Plans", []))

    assert left_out(found[0]["Plan"]) == 0
    (row,) = fleet.room.store.rows(query, **asked)
    assert (row.entity, row.status, row.from_at) == ("a", "stale", at(70 * 60))
