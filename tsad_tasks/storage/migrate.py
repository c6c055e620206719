"""Brings a warehouse to the newest schema, with Alembic over numbered SQL files."""

from __future__ import annotations

from pathlib import Path

import psycopg2
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.pool import NullPool

from tsad_tasks.base.errors import BadInput
from tsad_tasks.storage.database import connect, without_password

_SCHEMA = Path(__file__).parents[2] / "sql" / "schema"
_MIGRATION_LOCK = 7_105_001


def migrate(uri: str, *, writer: str | None = None, reader: str | None = None) -> str:
    """Name of the newest revision, after bringing the warehouse at `uri` to it.

    Parameters
    ----------
    uri : of a role that may create schemas and roles.
    writer, reader : login roles to put into `tsad_writer` and `tsad_reader`.

    Raises
    ------
    BadInput
        The login may not create what a warehouse needs, or a login role does not exist.
    AccessDenied, Unavailable
        As `database.connect`.
    """
    engine = create_engine(
        "postgresql+psycopg2://", creator=lambda: connect(uri), poolclass=NullPool
    )
    try:
        return _migrate(engine, writer, reader)
    except (psycopg2.errors.InsufficientPrivilege, ProgrammingError) as error:
        if not isinstance(getattr(error, "orig", error), psycopg2.errors.InsufficientPrivilege):
            raise
        raise BadInput(
            "Expected a login that may create extensions, schemas and roles at "
            f"{without_password(uri)}. "
            f"Received: {_first_line(error)}."
        ) from error
    finally:
        engine.dispose()


def _migrate(engine: Engine, writer: str | None, reader: str | None) -> str:
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
        connection.commit()
        options = Config()
        options.set_main_option("script_location", str(_SCHEMA))
        options.set_main_option("path_separator", "os")
        options.attributes["connection"] = connection
        command.upgrade(options, "head")
        connection.commit()
        _grant(connection, "tsad_writer", writer)
        _grant(connection, "tsad_reader", reader)
        return str(connection.execute(text("SELECT version_num FROM tsad_version")).scalar_one())


def _grant(connection: Connection, group: str, login: str | None) -> None:
    if login is None:
        return
    quoted = connection.dialect.identifier_preparer.quote(login)
    try:
        connection.execute(text(f"GRANT {group} TO {quoted}"))
    except ProgrammingError as error:
        raise BadInput(
            "Expected login roles that exist, for --writer and --reader. Received: "
            f"{_first_line(error)}."
        ) from error
    connection.commit()


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", error)).splitlines()[0]
