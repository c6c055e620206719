"""Numbered migrations: one line of revisions, and as many migrations at once as one likes."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import psycopg2
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from devstack.postgres import BROWSER, PIPELINE, Cluster, free_port
from tests.statements import run
from tests.storage.catalogue import catalogue
from tests.storage.test_upgrade import migrate_to
from tsad_tasks.base.errors import AccessDenied, BadInput, Unavailable
from tsad_tasks.base.places import project_folder
from tsad_tasks.storage.database import database_error
from tsad_tasks.storage.migrate import (
    SELECT_REVISION,
    UPSERT_PUBLIC_SQL,
    ensure_schema,
    migrate,
)
from tsad_tasks.storage.public import public_digest
from tsad_tasks.storage.store import Store

MIGRATIONS = project_folder() / "sql" / "migrations"
NEWEST = max((MIGRATIONS / "versions").glob("*.py")).stem.split("_")[0]


def test_revisions_form_one_line_of_numbers_and_each_has_its_sql_file() -> None:
    options = Config()
    options.set_main_option("script_location", str(MIGRATIONS))
    options.set_main_option("path_separator", "os")
    line = [script.revision for script in ScriptDirectory.from_config(options).walk_revisions()][
        ::-1
    ]
    assert line == [f"{number:04}" for number in range(1, len(line) + 1)]
    assert line == [path.name[:4] for path in sorted(MIGRATIONS.glob("*.sql"))]
    assert line == [path.name[:4] for path in sorted((MIGRATIONS / "versions").glob("*.py"))]


def test_a_second_migration_changes_nothing(warehouse_uri: str) -> None:
    before = catalogue(warehouse_uri)
    assert len(before) > 200
    assert migrate(warehouse_uri, writer=PIPELINE, reader=BROWSER) == NEWEST
    assert catalogue(warehouse_uri) == before


def test_a_migration_that_changes_nothing_public_is_run_all_the_same(
    empty_database_uri: str,
) -> None:
    """As one that adds a column which no view shows, to a warehouse whose views are the newest."""
    migrate_to(empty_database_uri, f"{int(NEWEST) - 1:04}")
    with Store.connect(empty_database_uri) as store, store.transaction():
        store.execute(UPSERT_PUBLIC_SQL, digest=public_digest())
    assert ensure_schema(empty_database_uri)
    with Store.connect(empty_database_uri) as store, store.transaction():
        assert store.one(SELECT_REVISION) == NEWEST
    assert not ensure_schema(empty_database_uri)


def test_a_schema_of_another_version_is_said_with_the_command(warehouse_uri: str) -> None:
    with pytest.raises(psycopg2.errors.UndefinedColumn) as raised:
        run(warehouse_uri, "SELECT not_there_yet FROM tsad.dataset")
    said = database_error(raised.value)
    assert isinstance(said, BadInput)
    assert "not_there_yet" in str(said)
    assert str(said).endswith("its owner runs: tsad migrate")


def test_two_processes_may_migrate_at_once(warehouse_uri: str, empty_database_uri: str) -> None:
    context = multiprocessing.get_context("spawn")
    roles = {"writer": PIPELINE, "reader": BROWSER}
    workers = [
        context.Process(target=migrate, args=(empty_database_uri,), kwargs=roles) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert catalogue(empty_database_uri) == catalogue(warehouse_uri)


def test_a_failed_migration_leaves_nothing_and_the_next_one_works(empty_database_uri: str) -> None:
    connection = psycopg2.connect(empty_database_uri)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA tsad")
    with pytest.raises(psycopg2.errors.DuplicateSchema):
        migrate(empty_database_uri)
    with connection, connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA tsad")
    connection.close()
    assert migrate(empty_database_uri) == NEWEST


def test_a_server_that_does_not_answer_or_refuses_is_our_error_without_the_password(
    empty_database_uri: str,
) -> None:
    port = free_port()
    with pytest.raises(
        Unavailable,
        match=rf"Expected a Postgres server at postgresql://me:\*\*\*@127.0.0.1:{port}/w",
    ):
        migrate(f"postgresql://me:secret@127.0.0.1:{port}/w")
    head, tail = empty_database_uri.split("@")
    wrong = f"{head.rsplit(':', 1)[0]}:wrong@{tail}"
    with pytest.raises(
        AccessDenied, match=r"Expected a login that postgresql://tsad_owner:\*\*\*@"
    ):
        migrate(wrong)


def test_a_login_that_may_not_make_schemas_is_told_so(
    cluster: Cluster, empty_database_uri: str
) -> None:
    uri = cluster.uri(empty_database_uri.rsplit("/", 1)[1], PIPELINE)
    with pytest.raises(
        BadInput,
        match=r"may create extensions, schemas and roles at .* Received: permission denied",
    ):
        migrate(uri)


def test_an_unknown_login_role_is_told_by_name(empty_database_uri: str) -> None:
    with pytest.raises(
        BadInput, match=r'Expected login roles that exist.*role "nobody_here" does not exist'
    ):
        migrate(empty_database_uri, writer="nobody_here")


def test_every_schema_file_is_packed_with_its_migration() -> None:
    for path in sorted((MIGRATIONS / "versions").glob("*.py")):
        assert f'"{_sql_of(path)}"' in path.read_text(encoding="utf-8")


def _sql_of(version: Path) -> str:
    return MIGRATIONS.joinpath(f"{version.stem}.sql").name
