"""A command's warehouse and source: the environment's, else the embedded server's."""

from __future__ import annotations

import os
from contextlib import closing
from datetime import datetime
from typing import NamedTuple

from psycopg2 import sql

from devstack import postgres
from devstack.environment import DATABASE_URI, MIGRATE_URI, Places
from devstack.statements import statement
from tsad_tasks.base.clock import utc_now
from tsad_tasks.base.files import FILE_MODE, make_folder
from tsad_tasks.base.places import absent_folder, home_folder, postgres_folder, project_folder
from tsad_tasks.config import DEMO_CONNECTION, DatasetConfig
from tsad_tasks.storage.database import connect, connection_uri
from tsad_tasks.storage.migrate import advice, bound_logins, ensure_schema
from tsad_tasks.storage.store import Store

PLANT = "plant"
# A table of each example, by which one sees whether it was filled.
TABLES = {
    "server_room": "plant.server_metrics",
    "cold_store": "plant.cold_store_log",
    "pumps": "plant.pump_01",
}
DEMO_VARIABLE = f"AIRFLOW_CONN_{DEMO_CONNECTION.upper()}"


def places() -> Places:
    """The folders of the local stack."""
    return Places.of(project_folder(), home_folder())


class Warehouse(NamedTuple):
    """URIs of the pipeline's and of the owner's login."""

    uri: str
    owner_uri: str


def warehouse() -> Warehouse:
    """The warehouse of the environment, else the embedded server's, started and migrated."""
    chosen = os.environ.get(DATABASE_URI)
    if chosen:
        return Warehouse(chosen, os.environ.get(MIGRATE_URI) or chosen)
    cluster = postgres.ensure_running(postgres_folder())
    owner_uri = cluster.uri(postgres.WAREHOUSE, postgres.OWNER)
    logins = {
        "writer": postgres.PIPELINE,
        "reader": postgres.BROWSER,
        "operator": postgres.ON_CALL,
    }
    # Logins that somebody let in since then are bounded too.
    if ensure_schema(owner_uri, **logins) or advice(owner_uri):
        bound_logins(owner_uri)
    return Warehouse(cluster.uri(postgres.WAREHOUSE, postgres.PIPELINE), owner_uri)


def has_own_warehouse() -> bool:
    """Whether the environment names a warehouse."""
    return bool(os.environ.get(DATABASE_URI))


def open_store() -> Store:
    """The warehouse's store.

    Raises
    ------
    BadInput : when the warehouse has no schema yet.
    """
    return Store.open(warehouse().uri)


def now() -> datetime:
    """The time by the warehouse's clock; by this machine's where there is no warehouse yet."""
    if not has_warehouse():
        return utc_now()
    with Store.connect(warehouse().uri) as store:
        return store.now()


def has_warehouse() -> bool:
    """Whether there is a warehouse, without making one."""
    return has_own_warehouse() or postgres_folder().exists()


def source_uris(config: DatasetConfig) -> tuple[str, ...]:
    """URI of each of the dataset's sources; the demo's own plant needs no configuration."""
    return tuple(source_uri(source.connection) for source in config.sources)


def source_uri(connection: str) -> str:
    """URI of a connection; of the demo's plant also where nobody named one."""
    if connection == DEMO_CONNECTION and DEMO_VARIABLE not in os.environ:
        return ensure_plant().reader_uri
    return connection_uri(connection)


class Plant(NamedTuple):
    """The embedded source database: who fills it, and who may only read it."""

    owner_uri: str
    reader_uri: str


def ensure_plant() -> Plant:
    """The database `plant` of the embedded server, made on the first call."""
    cluster = postgres.ensure_running(postgres_folder())
    plant = Plant(cluster.uri(PLANT, postgres.OWNER), cluster.uri(PLANT, postgres.PIPELINE))
    if not has_plant(cluster):
        cluster.create_database(PLANT)
        reader = sql.Identifier(postgres.PIPELINE)
        with closing(connect(plant.owner_uri)) as owner, owner, owner.cursor() as cursor:
            cursor.execute(sql.SQL(statement("plant_schema")).format(reader=reader))
    return plant


def let_read(schema: str | None, table: str) -> None:
    """Lets the pipeline's login read a table of the plant, whatever its schema."""
    names = {"schema": schema or "public", "table": table, "reader": postgres.PIPELINE}
    quoted = {key: sql.Identifier(one) for key, one in names.items()}
    with closing(connect(ensure_plant().owner_uri)) as owner, owner, owner.cursor() as cursor:
        cursor.execute(sql.SQL(statement("let_read")).format(**quoted))


def has_plant(cluster: postgres.Cluster) -> bool:
    """Whether the embedded server has the demo's plant."""
    with postgres.administration(cluster) as server, server.cursor() as cursor:
        cursor.execute(statement("has_database"), (PLANT,))
        return cursor.fetchone() == (True,)


def offer_plant() -> None:
    """Lets Airflow's programs find the demo's plant, when there is one."""
    if DEMO_VARIABLE in os.environ or not postgres_folder().exists():
        return
    cluster = postgres.ensure_running(postgres_folder())
    if has_plant(cluster):
        os.environ[DEMO_VARIABLE] = cluster.uri(PLANT, postgres.PIPELINE)
    mark_absent_examples(cluster)


def mark_absent_examples(cluster: postgres.Cluster) -> None:
    """Notes which examples have no tables yet: nobody lists their DAGs."""
    present: set[str] = set()
    if has_plant(cluster):
        with closing(connect(cluster.uri(PLANT, postgres.OWNER))) as owner, owner.cursor() as one:
            for name, table in TABLES.items():
                one.execute(statement("has_table"), (table,))
                present |= {name} if one.fetchone() == (True,) else set()
    folder = absent_folder()
    make_folder(folder)
    for name in TABLES:
        if name in present:
            (folder / name).unlink(missing_ok=True)
        else:
            (folder / name).touch(FILE_MODE)
