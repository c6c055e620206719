"""One embedded PostgreSQL for the whole test session, shared by all xdist workers; a fresh database
for each test.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from psycopg2 import sql

from devstack.postgres import (
    BROWSER,
    ON_CALL,
    OWNER,
    PIPELINE,
    Cluster,
    administration,
    ensure_running,
    remove,
)
from devstack.private import locked
from tests.plants.fixtures import databases, empty_plant, filed_plant, plant, trained_template
from tsad_tasks.storage.migrate import migrate

__all__ = ["databases", "empty_plant", "filed_plant", "plant", "trained_template"]

SESSION_FOLDER = "TSAD_TEST_SESSION_FOLDER"
TEMPLATE = "tsad_template"


def pytest_configure(config: pytest.Config) -> None:
    """Choose the session's folder in the controller; workers inherit it through the environment."""
    if _is_worker(config):
        return
    folder = Path(tempfile.mkdtemp(prefix="tsad-tests-"))
    folder.chmod(0o711)
    os.environ[SESSION_FOLDER] = str(folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server when the controller ends, which it does after its workers."""
    folder = Path(os.environ[SESSION_FOLDER])
    if _is_worker(config) or not folder.exists():
        return
    remove(folder / "postgres")
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The session's server."""
    return ensure_running(Path(os.environ[SESSION_FOLDER]) / "postgres", durable=False)


@pytest.fixture(scope="session")
def template_database(cluster: Cluster) -> str:
    """Name of a database with the newest schema, to clone from."""
    return made_once(
        cluster,
        TEMPLATE,
        lambda uri: migrate(uri, writer=PIPELINE, reader=BROWSER, operator=ON_CALL),
    )


def made_once(
    cluster: Cluster, name: str, make: Callable[[str], object], owner: str = OWNER
) -> str:
    """The name of a database to clone from; whichever worker comes first makes it."""
    with locked(cluster.folder / name):
        if not _has_database(cluster, name):
            cluster.drop_database(f"{name}_part")
            make(cluster.create_database(f"{name}_part", owner=owner))
            _rename_database(cluster, f"{name}_part", name)
    return name


@pytest.fixture
def warehouse_uri(cluster: Cluster, template_database: str) -> Iterator[str]:
    """URI of the owner of a warehouse with the newest schema and no rows; dropped after the
    test.
    """
    name = f"test_{uuid4().hex}"
    yield cluster.create_database(name, template=template_database)
    cluster.drop_database(name)


@pytest.fixture
def empty_database_uri(cluster: Cluster) -> Iterator[str]:
    """URI of the owner of a database with nothing in it; dropped after the test."""
    name = f"test_{uuid4().hex}"
    yield cluster.create_database(name)
    cluster.drop_database(name)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _has_database(cluster: Cluster, name: str) -> bool:
    with administration(cluster) as server, server.cursor() as cursor:
        cursor.execute("select 1 from pg_database where datname = %s", (name,))
        return cursor.fetchone() is not None


def _rename_database(cluster: Cluster, old: str, new: str) -> None:
    with administration(cluster) as server, server.cursor() as cursor:
        cursor.execute(
            sql.SQL("alter database {} rename to {}").format(
                sql.Identifier(old), sql.Identifier(new)
            )
        )
