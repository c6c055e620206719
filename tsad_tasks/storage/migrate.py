"""Brings a warehouse to the newest schema, with Alembic over numbered SQL files."""

from __future__ import annotations

import re
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

_SCHEMA = Path(__file__).parents[2] / "sql" / "schema"
_MIGRATION_LOCK = 7_105_001


def migrate(uri: str, *, writer: str | None = None, reader: str | None = None) -> str:
    """Name of the newest revision, after bringing the warehouse at `uri` to it.

    Parameters
    ----------
    uri : of a role that may create schemas and roles.
    writer, reader : login roles to put into `tsad_writer` and `tsad_reader`.
    """
    engine = create_engine(re.sub(r"^postgres(ql)?(\+\w+)?:", "postgresql+psycopg2:", uri), poolclass=NullPool)
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
        revision = connection.execute(text("SELECT version_num FROM tsad_version")).scalar_one()
    engine.dispose()
    return str(revision)


def _grant(connection, group: str, login: str | None) -> None:  # type: ignore[no-untyped-def]
    if login is not None:
        quoted = connection.dialect.identifier_preparer.quote(login)
        connection.execute(text(f"GRANT {group} TO {quoted}"))
        connection.commit()
