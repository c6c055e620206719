"""Views read what they are asked for: plans over a few thousand flags, and the same rows as the
obvious way to say it gives.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from lab.fleet_rows import CHANNELS
from psycopg2.extensions import connection as Connection

from devstack.postgres import Cluster
from tests.benchmark_modules import benchmark

load = benchmark("load")
N_MACHINES, N_DAYS = 5, 9
# The views as one would say them first.
ANOMALIES = """
  SELECT d.name, e.name, a.at, p.lineage, a.kind, a.severity, a.score, a.error, a.threshold,
    t.channel, t.share, t.actual, t.expected, t.unit, a.provisional, a.model_id, a.revision,
    a.known_from
  FROM tsad.anomaly a
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.champion_period p ON p.model_id = a.model_id AND a.hour_at >= p.valid_from
    AND a.hour_at < p.valid_to AND p.lineage IN ('live', 'replay')
  LEFT JOIN LATERAL (
    SELECT c.name AS channel, c.unit, r.share, r.actual, r.expected
    FROM tsad.attribution r JOIN tsad.channel c USING (channel_id)
    WHERE r.entity_id = a.entity_id AND r.at = a.at AND r.model_id = a.model_id
    ORDER BY r.share DESC, r.channel_id LIMIT 1) t ON true
  WHERE a.superseded_at = 'infinity'"""
ATTRIBUTIONS = """
  SELECT d.name, e.name, r.at, c.name, c.unit, r.share, r.actual, r.expected, r.spread, r.model_id,
    top.step, top.share, p.lineage
  FROM tsad.attribution r
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.channel c USING (channel_id)
  JOIN tsad.champion_period p ON p.model_id = r.model_id AND r.at >= p.valid_from
    AND r.at < p.valid_to AND p.lineage IN ('live', 'replay')
  LEFT JOIN LATERAL (
    SELECT s.step::int AS step, s.share
    FROM unnest(r.step_shares) WITH ORDINALITY AS s (share, step)
    ORDER BY s.share DESC, s.step DESC LIMIT 1) top ON true"""
INCIDENTS = """
  SELECT i.incident_id, d.name, e.name, i.lineage, i.severity, i.kind,
    CASE WHEN h.scored_until IS NULL
      OR i.last_flag_at + make_interval(secs => d.merge_gap_s) >= h.scored_until
      THEN 'open' ELSE 'closed' END,
    i.started_at, i.last_flag_at, i.n_flags, i.peak_score, i.peak_at, c.name, i.sentence,
    i.provisional, i.policy_version, i.model_id, i.updated_at, w.verdict, i.suppressed_by,
    i.continues
  FROM tsad.incident i
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  LEFT JOIN tsad.channel c ON c.channel_id = i.top_channel_id
  LEFT JOIN LATERAL (
    SELECT max(b.hour_at) + interval '1 hour' AS scored_until FROM tsad.score_block b
    WHERE b.entity_id = i.entity_id AND b.superseded_at = 'infinity'
      AND b.status IN ('scored', 'partial', 'unknown_entity_scale') AND b.thresholds IS NOT NULL
      AND b.hour_at >= i.last_flag_at - interval '1 hour') h ON true
  LEFT JOIN LATERAL (
    SELECT v.verdict FROM tsad.verdict v
    WHERE v.entity_id = i.entity_id AND v.withdrawn_at IS NULL AND v.start_at <= i.last_flag_at
      AND v.end_at > i.started_at
    ORDER BY v.verdict_id DESC LIMIT 1) w ON true
  WHERE i.superseded_by IS NULL AND i.withdrawn_at IS NULL AND i.lineage IN ('live', 'replay')"""
# Flags without channels, channels of equal shares, pauses after which some hours have no scores.
ODD = """
  DELETE FROM tsad.attribution WHERE extract(minute FROM at) = 10;
  UPDATE tsad.attribution SET share = .25, step_shares = '{.1,.1,.05}'
  WHERE extract(minute FROM at) = 20;
  UPDATE tsad.attribution SET step_shares = NULL WHERE extract(minute FROM at) = 30;
  DELETE FROM tsad.anomaly WHERE extract(hour FROM at) IN (9, 10) AND entity_id = 2;
  DELETE FROM tsad.anomaly WHERE entity_id = 3 AND at >= %(at)s + interval '8 d';
  DELETE FROM tsad.score_block WHERE entity_id = 3 AND hour_at >= %(at)s + interval '8 d';
  UPDATE tsad.score_block SET status = 'gap'
  WHERE entity_id = 2 AND extract(hour FROM hour_at) = 10"""


@pytest.fixture(scope="module")
def fleet(cluster: Cluster, template_database: str) -> Iterator[Connection]:
    """Machines that were flagged all the time, and their incidents."""
    name = f"plans_{uuid4().hex}"
    uri = cluster.create_database(name, template=template_database)
    load.fill(uri, Namespace(machines=N_MACHINES, days=N_DAYS, step_min=10))
    with closing(psycopg2.connect(uri)) as connection:
        with connection, connection.cursor() as cursor:
            cursor.execute(ODD, {"at": load.START_AT})
        load.merged(uri, 10, 0, N_DAYS * 24)
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT tsad.set_verdict(incident_id, 'expected') FROM tsad.v_incident "
                "WHERE entity = 'machine-0001' AND n_flags < 140 ORDER BY started_at LIMIT 3"
            )
            cursor.execute("ANALYZE")
        yield connection
    cluster.drop_database(name)


def _nodes(connection: Connection, statement: str) -> list[dict[str, Any]]:
    """All parts of a statement's plan, as it went."""
    with connection, connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}")
        ((found,),) = cursor.fetchall()
    plan = found if isinstance(found, list) else json.loads(found)

    def below(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield node
        for part in node.get("Plans", []):
            yield from below(part)

    return list(below(plan[0]["Plan"]))


def _tables(nodes: list[dict[str, Any]]) -> set[str]:
    return {node["Relation Name"] for node in nodes if "Relation Name" in node}


@pytest.mark.parametrize(
    ("asked", "needless"),
    [
        ("count(*) FROM tsad.v_anomaly", {"attribution", "channel"}),
        ("at, entity, score FROM tsad.v_anomaly", {"attribution", "channel"}),
        ("severity, count(*) FROM tsad.v_anomaly GROUP BY 1", {"attribution", "channel"}),
        ("incident_id, sentence FROM tsad.v_incident", {"score_block", "channel", "verdict"}),
        ("count(*) FROM tsad.v_incident WHERE severity = 'HIGH'", {"score_block", "verdict"}),
        ("count(*) FROM tsad.v_status", {"channel", "channel_epoch", "entity_scale", "model"}),
        ("hour_at, entity, status FROM tsad.v_status", {"channel", "channel_epoch", "model"}),
    ],
)
def test_what_nobody_asks_for_is_not_looked_up(
    fleet: Connection, asked: str, needless: set[str]
) -> None:
    tables = {table.split("_2")[0] for table in _tables(_nodes(fleet, f"SELECT {asked}"))}
    assert tables & needless == set()
    assert tables & {"anomaly", "incident", "score_block"}


def test_hours_are_counted_without_reading_their_scores(fleet: Connection) -> None:
    with fleet, fleet.cursor() as cursor:
        # A few small blocks are as quickly read as an index; a year of them is not.
        cursor.execute("SET enable_seqscan = off")
    try:
        nodes = _nodes(fleet, "SELECT count(*) FROM tsad.v_status WHERE coverage >= 0")
        by_value = [n for n in nodes if n.get("Alias", "").startswith("b_") and "Index Name" in n]
        nodes = _nodes(fleet, "SELECT count(*) FROM tsad.v_status")
    finally:
        with fleet, fleet.cursor() as cursor:
            cursor.execute("RESET enable_seqscan")
    assert {node["Node Type"] for node in by_value} != {"Index Only Scan"}
    scans = [n for n in nodes if "score_block" in n.get("Relation Name", "") and n["Actual Loops"]]
    assert {node["Node Type"] for node in scans} == {"Index Only Scan"}
    with fleet, fleet.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM tsad.v_status")
        counted = cursor.fetchall()
        cursor.execute("SELECT count(*) FROM tsad.score_block")
        # A machine has no scores of one hour a day or so; all others are current.
        assert counted == cursor.fetchall()
    assert (N_MACHINES - 1) * N_DAYS * 24 < counted[0][0] < N_MACHINES * N_DAYS * 24


def test_all_channels_at_a_peak_are_looked_up_by_the_key(fleet: Connection) -> None:
    nodes = _nodes(fleet, load.PEAK)
    (scan,) = [node for node in nodes if node.get("Relation Name") == "attribution"]
    assert "entity_id = " in scan["Index Cond"]
    assert ".at = " in scan["Index Cond"].replace("(at = ", "(r.at = ")
    assert scan["Actual Loops"] == 1
    assert nodes[0]["Shared Hit Blocks"] + nodes[0]["Shared Read Blocks"] < 100
    assert nodes[0]["Actual Rows"] == len(CHANNELS)


def test_an_incident_is_open_or_closed_by_one_hour_of_its_entity(fleet: Connection) -> None:
    nodes = _nodes(fleet, "SELECT state FROM tsad.v_incident")
    (n_incidents,) = {node["Actual Rows"] for node in nodes if node.get("Alias") == "i"}
    scans = [node for node in nodes if "score_block" in node.get("Relation Name", "")]
    assert all("Index Cond" in node for node in scans)
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in scans) <= n_incidents


def test_the_newest_flags_are_found_without_looking_at_the_others(fleet: Connection) -> None:
    nodes = _nodes(fleet, "SELECT * FROM tsad.v_anomaly ORDER BY at DESC LIMIT 10")
    (scan,) = [node for node in nodes if node.get("Relation Name") == "anomaly"]
    assert scan["Actual Rows"] <= 20


@pytest.mark.parametrize(
    ("view", "obvious"),
    [
        ("v_anomaly", ANOMALIES),
        ("v_attribution", ATTRIBUTIONS),
        ("v_incident", INCIDENTS),
    ],
)
def test_a_view_gives_what_the_obvious_way_gives(
    fleet: Connection, view: str, obvious: str
) -> None:
    found = []
    for statement in (obvious, f"TABLE tsad.{view}"):
        with fleet, fleet.cursor() as cursor:
            cursor.execute(statement)
            found.append(cursor.fetchall())
    # Columns are only appended.
    n_columns = len(found[0][0])
    assert Counter(repr(row[:n_columns]) for row in found[1]) == Counter(map(repr, found[0]))
    assert len(found[1]) == len(found[0]) > N_MACHINES


def test_the_incidents_here_are_of_every_kind(fleet: Connection) -> None:
    with fleet, fleet.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FILTER (WHERE state = 'open') > 0, "
            "count(*) FILTER (WHERE state = 'closed') > 0, count(verdict), "
            "count(continues) FROM tsad.v_incident"
        )
        assert cursor.fetchall() == [(True, True, 3, N_MACHINES - 1)]
