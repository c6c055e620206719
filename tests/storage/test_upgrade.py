"""What the previous version left is read by this one: its rows mean the same, and its champion
scores on.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from devstack.postgres import Cluster
from tests.plants.trained import SPLIT_AT, Plant, config
from tsad_tasks.base.interval import HOUR
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.score import score_interval
from tsad_tasks.storage.database import connect
from tsad_tasks.storage.migrate import migrate, upgrade
from tsad_tasks.storage.store import Store

PREVIOUS = Path(__file__).parents[1] / "previous"
N_HOURS = 10
SEEN = {
    "anomalies": "SELECT entity, at, lineage, severity, score, channel, share FROM tsad.v_anomaly "
    "ORDER BY 1, 2",
    "statuses": "SELECT entity, hour_at, lineage, status, coverage, model_id FROM tsad.v_status "
    "ORDER BY 1, 2",
    "incidents": "SELECT incident_id, severity, state, started_at, n_flags, sentence FROM "
    "tsad.v_incident ORDER BY 1",
    "champions": "SELECT version, lineage, valid_from, nullif(valid_to, 'infinity'), champion "
    "FROM tsad.v_model ORDER BY 1",
}


def migrate_to(uri: str, revision: str) -> None:
    """The schema as an earlier version had it."""
    engine = create_engine(
        "postgresql+psycopg2://", creator=lambda: connect(uri), poolclass=NullPool
    )
    with engine.begin() as opened:
        upgrade(opened, revision)
    engine.dispose()


def fill(uri: str, text: str, bundle: Path) -> None:
    """The rows of an earlier version, its champion's bundle where it is now."""
    connection = connect(uri)
    with connection, connection.cursor() as cursor:
        for month in ("2026-03-01",):
            cursor.execute(
                "SELECT tsad.ensure_partition(p, %s) FROM unnest(ARRAY['reading_block', "
                "'score_block']) p",
                (month,),
            )
        for table, columns, rows in re.findall(
            r"-- (\w+) \(([^)]*)\)\n(.*?)\\\.\n", text, re.DOTALL
        ):
            cursor.copy_expert(f"COPY tsad.{table} ({columns}) FROM STDIN", io.StringIO(rows))
        cursor.execute("UPDATE tsad.model SET artifact_uri = %s", (str(bundle),))
        cursor.execute("SELECT setval('tsad.model_model_id_seq', 100)")
    connection.close()


@pytest.fixture(params=sorted(path.name for path in PREVIOUS.iterdir() if path.is_dir()))
def revision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def plant(cluster: Cluster, revision: str) -> Iterator[Plant]:
    """A warehouse of the earlier version, not yet brought to the newest schema."""
    name = f"upgrade_{uuid4().hex}"
    uri = cluster.create_database(name)
    migrate_to(uri, revision)
    fill(
        uri,
        (PREVIOUS / revision / "rows.copy").read_text(encoding="utf-8"),
        PREVIOUS / revision / "bundle",
    )
    yield Plant(uri, config())
    cluster.drop_database(name)


def test_rows_mean_the_same_after_the_upgrade(plant: Plant) -> None:
    before = {name: plant.execute(statement) for name, statement in SEEN.items()}
    migrate(plant.uri)
    assert {name: plant.execute(statement) for name, statement in SEEN.items()} == before
    assert len(before["statuses"]) == 2 * N_HOURS
    assert before["anomalies"]


def test_what_was_known_before_the_upgrade_can_still_be_read(plant: Plant) -> None:
    known = (
        "SELECT count(*), sum(flag::int) FROM tsad.scores_as_known_at(%s, 'room', 'host-01', %s, "
        "%s)"
    )
    span = (datetime.now(UTC), SPLIT_AT, SPLIT_AT + N_HOURS * HOUR)
    before = plant.execute(known, *span)
    migrate(plant.uri)
    assert plant.execute(known, *span) == before
    assert before[0][1] > 0


def test_its_champion_gives_the_same_rows_again(plant: Plant) -> None:
    """Scored anew by this version: the same errors to 1e-6, the same flags."""
    scores = (
        "SELECT entity_id, hour_at, errors, reasons FROM tsad.score_block WHERE hour_at >= %s "
        "ORDER BY 1, 2"
    )
    before = plant.execute(scores, SPLIT_AT)
    flags = plant.execute("SELECT entity, at FROM tsad.v_anomaly ORDER BY 1, 2")
    migrate(plant.uri)
    plant.execute("TRUNCATE tsad.score_block, tsad.anomaly, tsad.attribution, tsad.incident")
    span = {"start_at": SPLIT_AT, "end_at": SPLIT_AT + N_HOURS * HOUR}
    with Store.connect(plant.uri) as store:
        score_interval(store, plant.config, **span)
        build_incidents(store, plant.config, **span)
    after = plant.execute(scores, SPLIT_AT)
    assert [row[:2] + row[3:] for row in after] == [row[:2] + row[3:] for row in before]
    assert [row[2] for row in after] == [
        pytest.approx(row[2], abs=1e-6, nan_ok=True) for row in before
    ]
    assert plant.execute("SELECT entity, at FROM tsad.v_anomaly ORDER BY 1, 2") == flags


IMPOSSIBLE = """
INSERT INTO tsad.dataset (name, site_zone, step_s, policy_version, merge_gap_s, config)
VALUES ('room', 'UTC', 1800, '1', 3600, '{}');
INSERT INTO tsad.entity (dataset_id, name) SELECT dataset_id, 'a' FROM tsad.dataset;
INSERT INTO tsad.channel (dataset_id, name) SELECT dataset_id, 'cpu' FROM tsad.dataset;
SELECT tsad.add_verdict('room', 'a', '4000-01-01 BC', '2026-03-03', 'new_normal', 'me', 'long');
SELECT tsad.add_label('room', 'a', '2026-01-01', '20000-01-01');
SELECT tsad.add_maintenance('room', '4000-01-01 BC', '20000-01-01', 'for good');
SELECT tsad.add_maintenance('room', '2026-01-01', '2026-01-02', 'x', margin_after_s => 2000000000);
SELECT tsad.set_channel_epoch('room', 'a', 'cpu', '20000-01-01', 'unit', 'kPa', 2, 1);
SELECT tsad.set_channel_epoch('room', 'a', 'cpu', '2026-01-01', 'unit', 'odd', 1e300, 1e308);
SELECT tsad.add_label('room', 'a', '2026-01-01', '2026-01-02');
"""
SAID = [
    "SELECT note, withdrawn_at, v.* FROM tsad.v_verdict v",
    "SELECT note, withdrawn_at, v.* FROM tsad.v_label v",
    "SELECT title, withdrawn_at, v.* FROM tsad.v_maintenance v",
    "SELECT reason, withdrawn_at, v.* FROM tsad.v_channel_epoch v",
]


def test_what_was_said_of_impossible_times_holds_no_longer_and_can_be_read(
    empty_database_uri: str,
) -> None:
    migrate_to(empty_database_uri, "0014")
    connection = connect(empty_database_uri)
    with connection, connection.cursor() as cursor:
        cursor.execute(IMPOSSIBLE)
    migrate(empty_database_uri)
    holding = []
    with connection, connection.cursor() as cursor:
        for statement in SAID:
            # psycopg2 reads no year of five digits.
            cursor.execute(statement)
            rows = cursor.fetchall()
            assert rows
            holding += [words for words, withdrawn_at, *_ in rows if withdrawn_at is None]
        cursor.execute("SELECT note FROM tsad.v_verdict")
        assert cursor.fetchone() == (
            "long (said of 4000-01-01 00:00:00+00 BC to 2026-03-03 00:00:00+00)",
        )
    connection.close()
    assert holding == [""]


def test_what_stood_as_stale_goes_and_lives_are_those_of_the_readings(plant: Plant) -> None:
    """Silence is derived now; hours that were scored before are known to have been."""
    last_at = SPLIT_AT + (N_HOURS - 2) * HOUR
    plant.execute(
        "UPDATE tsad.score_block SET status = 'stale' WHERE hour_at >= %s AND entity_id = "
        "(SELECT entity_id FROM tsad.entity WHERE name = 'host-01')",
        last_at,
    )
    blocks = plant.execute("SELECT entity_id, hour_at FROM tsad.reading_block ORDER BY 1, 2")
    asked = plant.execute(
        "SELECT DISTINCT hour_at FROM tsad.score_block WHERE thresholds IS NOT NULL ORDER BY 1"
    )
    migrate(plant.uri)
    left = plant.execute("SELECT entity, count(*) FROM tsad.v_status GROUP BY 1 ORDER BY 1")
    assert left == [("host-01", N_HOURS - 2), ("host-02", N_HOURS)]
    hours = plant.execute(
        "SELECT entity_id, generate_series(lower(r), upper(r) - interval '1 hour', interval '1 "
        "hour') FROM tsad.entity_life, unnest(hours) r ORDER BY 1, 2"
    )
    assert hours == blocks
    assert plant.execute("SELECT hour_at FROM tsad.score_hour ORDER BY 1") == asked
