"""A trained plant, made once per session and cloned for each test; and source tables of their own
for each file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from psycopg2 import sql

from devstack.postgres import Cluster, administration
from devstack.private import locked
from tests.plants.plant import Plant as SourcePlant
from tests.plants.plant import opened_plant
from tests.plants.trained import TEMPLATE, Plant, artifacts_folder, config, fill, train


@pytest.fixture(scope="session")
def trained_template(cluster: Cluster, template_database: str) -> str:
    """Name of the database with the trained plant; whichever worker comes first makes it."""
    with locked(cluster.folder / "trained"):
        with administration(cluster) as server, server.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (TEMPLATE,))
            is_there = cursor.fetchone() is not None
        if not is_there:
            cluster.drop_database(f"{TEMPLATE}_part")
            uri = cluster.create_database(f"{TEMPLATE}_part", template=template_database)
            fill(uri)
            train(uri, artifacts_folder())
            with administration(cluster) as server, server.cursor() as cursor:
                names = sql.Identifier(f"{TEMPLATE}_part"), sql.Identifier(TEMPLATE)
                cursor.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*names))
    return TEMPLATE


@pytest.fixture
def plant(cluster: Cluster, trained_template: str) -> Iterator[Plant]:
    """A copy of the trained plant, dropped after the test."""
    name = f"plant_{uuid4().hex}"
    yield Plant(cluster.create_database(name, template=trained_template), config())
    cluster.drop_database(name)


@pytest.fixture(scope="module")
def databases(cluster: Cluster, template_database: str) -> Iterator[SourcePlant]:
    """Source and warehouse for all tests of one file."""
    with opened_plant(cluster, template_database) as plant:
        yield plant


@pytest.fixture
def empty_plant(databases: SourcePlant) -> SourcePlant:
    """Source and warehouse without a row."""
    plant = replace(databases)
    plant.clear()
    return plant


@pytest.fixture
def filed_plant(
    empty_plant: SourcePlant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SourcePlant:
    """An empty one, whose dataset files and tags files are in the test's folder."""
    monkeypatch.setenv("TSAD_DATASETS", str(tmp_path))
    return empty_plant
