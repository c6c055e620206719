"""Who may do what, and names that were meant to do more than name something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from psycopg2.errors import InsufficientPrivilege, ObjectNotInPrerequisiteState, WrongObjectType

from devstack.postgres import BROWSER, OWNER, PIPELINE, Cluster
from tests.statements import run
from tests.storage.rooms import (
    HOUR_AT,
    Room,
    anomaly_rows,
    attribution_rows,
    new_model,
    opened_room,
    room_config,
    score_rows,
)
from tsad_tasks.champions.records import insert_model, open_period
from tsad_tasks.config import ChannelSection, DatasetConfig
from tsad_tasks.storage.datasets import lock_hours, select_entities
from tsad_tasks.storage.migrate import advice, bound_logins
from tsad_tasks.storage.scores import write_scores

RANGE = "'room', 'a', '2026-03-01', '2026-03-02'"
HOSTILE = [
    "a, b",
    "x'; DROP TABLE tsad.reading_block; --",
    'say "hi", now',
    "50%% of %s and %(name)s",
    "$$; SELECT 1; $$",
    "température °C – Ω",
    "back\\slash \\' tick`",
    "i",
    "v1",
    "n" * 63,
]


@pytest.fixture(scope="module")
def database(cluster: Cluster, template_database: str) -> Iterator[str]:
    """Name of a database with one scored hour, written by the pipeline's own role."""
    name = f"roles_{uuid4().hex}"
    cluster.create_database(name, template=template_database)
    with opened_room(cluster.uri(name, PIPELINE)) as room:
        _write_everything(room)
    yield name
    cluster.drop_database(name)


def _write_everything(room: Room) -> None:
    model = new_model(room)
    room.write(HOUR_AT, [[1, 2], [3, 4]])
    with room.store.transaction():
        model_id = insert_model(room.store, model).model_id
        open_period(room.store, model.scope, model_id, valid_from=HOUR_AT, reason="first")
        write_scores(
            room.store,
            score_rows(room, model_id, [2.0, 0.0]),
            anomaly_rows(room, 0),
            attribution_rows(room, 0),
        )


def _run(cluster: Cluster, database: str, role: str, statement: str) -> list[tuple[Any, ...]]:
    return run(cluster.uri(database, role), statement)


def _names(cluster: Cluster, database: str, kinds: str) -> list[str]:
    """Tables (`rp`) or views (`v`) of the schema."""
    statement = (
        "SELECT format('tsad.%I', relname), relkind FROM pg_class WHERE relnamespace = "
        "'tsad'::regnamespace"
    )
    return [name for name, kind in _run(cluster, database, OWNER, statement) if kind in kinds]


def test_the_pipeline_needs_no_more_than_its_own_role(cluster: Cluster, database: str) -> None:
    assert _run(cluster, database, PIPELINE, "SELECT severity, channel FROM tsad.v_anomaly") == [
        ("HIGH", "cpu")
    ]


def test_a_reader_reads_every_view(cluster: Cluster, database: str) -> None:
    views = _names(cluster, database, "v")
    assert "tsad.readings_room" in views
    for view in views:
        _run(cluster, database, BROWSER, f"TABLE {view}")


@pytest.mark.parametrize(
    ("call", "n_rows"),
    [
        (f"readings({RANGE})", 4),
        (f"scores({RANGE})", 2),
        (f"scores_as_known_at('infinity', {RANGE})", 0),
    ],
)
def test_a_reader_calls_the_public_functions(
    cluster: Cluster, database: str, call: str, n_rows: int
) -> None:
    assert len(_run(cluster, database, BROWSER, f"SELECT tsad.{call}")) == n_rows


def test_a_reader_reads_no_table(cluster: Cluster, database: str) -> None:
    tables = _names(cluster, database, "rp")
    assert {"tsad.reading_block", "tsad.score_block_2026_03", "tsad.dataset"} < set(tables)
    for table in tables:
        with pytest.raises(InsufficientPrivilege):
            _run(cluster, database, BROWSER, f"SELECT FROM {table}")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO tsad.reason VALUES (99, 'x', 'x')",
        "UPDATE tsad.v_quality SET detail = ''",
        "DELETE FROM tsad.v_status",
        "TRUNCATE tsad.anomaly",
        "DROP VIEW tsad.v_anomaly",
        "CREATE TABLE tsad.mine (n int)",
        "CREATE TABLE public.mine (n int)",
        "SELECT tsad.ensure_partition('reading_block', now())",
        "SELECT tsad.drop_partitions_before('reading_block', now())",
        "SELECT tsad.refresh_dataset_view(1)",
    ],
)
def test_a_reader_changes_nothing(cluster: Cluster, database: str, statement: str) -> None:
    with pytest.raises((InsufficientPrivilege, ObjectNotInPrerequisiteState, WrongObjectType)):
        _run(cluster, database, BROWSER, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE tsad.mine (n int)",
        "CREATE TABLE public.mine (n int)",
        "CREATE TABLE tsad.part PARTITION OF tsad.reading_block FOR VALUES FROM ('2030-01-01') TO "
        "('2030-02-01')",
        "DROP TABLE tsad.anomaly",
        "DROP TABLE tsad.reading_block_2026_03",
        "ALTER TABLE tsad.anomaly ADD COLUMN mine int",
        "TRUNCATE tsad.anomaly",
        "DROP VIEW tsad.readings_room",
        "CREATE OR REPLACE FUNCTION tsad.readings(int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DROP SCHEMA tsad CASCADE",
    ],
)
def test_a_writer_writes_rows_and_changes_no_object(
    cluster: Cluster, database: str, statement: str
) -> None:
    with pytest.raises(InsufficientPrivilege):
        _run(cluster, database, PIPELINE, statement)


def test_a_writer_gives_nobody_a_right(cluster: Cluster, database: str) -> None:
    _run(cluster, database, PIPELINE, "GRANT SELECT ON tsad.anomaly TO PUBLIC")
    allowed = _run(
        cluster,
        database,
        PIPELINE,
        f"SELECT has_table_privilege('{BROWSER}', 'tsad.anomaly', 'SELECT')",
    )
    assert allowed == [(False,)]


def test_a_writer_gets_partitions_of_the_two_block_tables_only(
    cluster: Cluster, database: str
) -> None:
    _run(
        cluster,
        database,
        PIPELINE,
        "SELECT tsad.ensure_partition('score_block', '2031-12-31 23:59Z')",
    )
    assert "tsad.score_block_2031_12" in _names(cluster, database, "r")
    for parent in ("anomaly", "reading_block; DROP TABLE tsad.anomaly"):
        with pytest.raises(
            psycopg2.errors.RaiseException, match="Expected reading_block or score_block"
        ):
            _run(cluster, database, PIPELINE, f"SELECT tsad.ensure_partition('{parent}', now())")


def _hostile_config() -> DatasetConfig:
    """A dataset that no file can describe: its names have passed no check."""
    plain = room_config("cpu")
    source = plain.source.model_copy(
        update={"channels": {name: ChannelSection(unit="%'; --") for name in HOSTILE}}
    )
    name = "x\"'; DROP SCHEMA tsad CASCADE; --%s é"
    return plain.model_copy(update={"dataset": name, "sources": (source,), "description": "'); --"})


def test_hostile_names_are_nothing_but_names(cluster: Cluster, warehouse_uri: str) -> None:
    config, entities = _hostile_config(), ("e'; DELETE FROM tsad.entity; --", 'e"%s', "e, f")
    with opened_room(
        cluster.uri(warehouse_uri.rsplit("/", 1)[1], PIPELINE), config, entities
    ) as room:
        values = [
            [float(10 * step + channel) for channel in range(len(HOSTILE))] for step in range(2)
        ]
        room.write(HOUR_AT, values)
        view = 'tsad."readings_' + config.dataset.replace('"', '""') + '"'
        found = room.rows(f"TABLE {view} ORDER BY at")
        assert [(row[0], *row[3:]) for row in found] == [(entities[0], *row) for row in values]
        columns = room.rows(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass ORDER BY attnum",
            view,
        )
        assert [name for (name,) in columns[3:]] == HOSTILE
        by_name = room.rows(
            "SELECT DISTINCT channel FROM tsad.readings(%s, %s, '2026-03-01', '2026-03-02')",
            config.dataset,
            entities[0],
        )
        assert {name for (name,) in by_name} == set(HOSTILE)
        assert sorted(select_entities(room.store, room.dataset_id)) == sorted(entities)


@pytest.mark.parametrize("name", ["", "at", "hour_at", "entity", "n" * 64, "é" * 32])
def test_a_channel_that_cannot_be_a_column_of_the_datasets_view_is_refused(
    warehouse_uri: str, name: str
) -> None:
    plain = room_config("cpu")
    source = plain.source.model_copy(update={"channels": {name: ChannelSection()}})
    with (
        pytest.raises(psycopg2.errors.CheckViolation),
        opened_room(warehouse_uri, plain.model_copy(update={"sources": (source,)})),
    ):
        pass


def test_a_grown_layout_keeps_what_people_have_built_on_the_view(warehouse_uri: str) -> None:
    with opened_room(warehouse_uri, room_config("cpu")) as room:
        room.rows("CREATE VIEW public.mine AS SELECT max(cpu) AS cpu FROM tsad.readings_room")
        room.write(HOUR_AT, [[1], [2]])
        grown = room.grown(room_config("cpu", "a, b"))
        grown.write(HOUR_AT, [[1, 5], [3, 6]])
        assert room.rows("SELECT cpu FROM public.mine") == [(3.0,)]
        assert room.rows('SELECT cpu, "a, b" FROM tsad.readings_room ORDER BY at') == [
            (1.0, 5.0),
            (3.0, 6.0),
        ]


def test_a_deleted_dataset_leaves_its_view_to_the_next_one_of_that_name(warehouse_uri: str) -> None:
    with opened_room(warehouse_uri, room_config("cpu", "load")) as room:
        room.rows("TRUNCATE tsad.dataset CASCADE")
    with opened_room(warehouse_uri, room_config("fan")) as room:
        room.write(HOUR_AT, [[1], [2]])
        assert room.rows("SELECT fan FROM tsad.readings_room ORDER BY at") == [(1.0,), (2.0,)]


@pytest.mark.parametrize(
    "call",
    [
        "CREATE TEMP TABLE mine (n int)",
        "SELECT lo_create(0)",
        "SELECT pg_advisory_lock(n) FROM generate_series(1, 2) AS n",
        "SELECT pg_try_advisory_xact_lock_shared(1, 2)",
    ],
)
def test_what_is_advised_keeps_readers_from_using_up_the_server(
    cluster: Cluster, database: str, call: str
) -> None:
    """A million advisory locks take all the memory for locks, and nobody can log in any more."""
    owner_uri = cluster.uri(database)
    # Limits of roles would hold for the tests beside this one.
    for statement in [one for one in advice(owner_uri) if not one.startswith("ALTER ROLE")]:
        run(owner_uri, statement)
    with pytest.raises(InsufficientPrivilege):
        _run(cluster, database, BROWSER, call)
    with opened_room(cluster.uri(database, PIPELINE)) as room, room.store.transaction():
        lock_hours(room.store, room.dataset_id, [HOUR_AT])


def test_a_login_that_comes_later_is_bounded_and_its_connections_at_the_next_look(
    cluster: Cluster, database: str
) -> None:
    uri, name, password = cluster.uri(database), f"late_{uuid4().hex}", uuid4().hex
    bound_logins(uri)
    assert advice(uri) == []
    run(uri, f"CREATE ROLE {name} LOGIN PASSWORD '{password}' IN ROLE tsad_operator")
    try:
        owner = f"{OWNER}:{cluster.passwords[OWNER]}"
        own = uri.replace(owner, f"{name}:{password}")
        shown = "SELECT current_setting('temp_file_limit'), has_database_privilege({}, 'TEMPORARY')"
        assert run(own, shown.format("current_database()")) == [("1GB", False)]
        with closing(psycopg2.connect(own)) as idle, idle.cursor() as cursor:
            cursor.execute("SELECT current_setting('idle_in_transaction_session_timeout')")
            assert cursor.fetchone() == ("10min",)
        assert run(cluster.uri(database, PIPELINE), "SHOW temp_file_limit") == [("-1",)]
        assert advice(uri) == [f"ALTER ROLE {name} CONNECTION LIMIT 20"]
        bound_logins(uri)
        assert advice(uri) == []
    finally:
        run(uri, f"DROP ROLE {name}")
