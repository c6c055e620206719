"""Brings a warehouse to the newest schema: Alembic's migrations, then all of sql/public."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from psycopg2 import errors, sql
from psycopg2.extensions import connection as Connection

from tsad_tasks.base.errors import BadInput
from tsad_tasks.storage.database import connect, parsed_uri, shown_place
from tsad_tasks.storage.public import SELECT_GRANTS, public_digest, put_in_place
from tsad_tasks.storage.store import END_BLOCKERS, Query, Statement, Store
from tsad_tasks.storage.waiting import LockWatch

# SQLAlchemy and Alembic are imported by what migrates: each `tsad` command imports this module.
if TYPE_CHECKING:
    from sqlalchemy import Connection as SqlConnection

_MIGRATIONS = Path(__file__).parents[2] / "sql" / "migrations"
_BOUND_LOGINS = _MIGRATIONS.with_name("database") / "bound_logins.sql"
_MIGRATION_LOCK = 7_105_001
LOCK_MIGRATIONS = Statement("storage/lock_migrations")
SELECT_REVISION = Query("storage/select_revision", str)
GRANT_GROUP = Statement("storage/grant_group")
SELECT_PUBLIC_SQL = Query("storage/select_public_sql", str)
UPSERT_PUBLIC_SQL = Statement("storage/upsert_public_sql")
SELECT_ADVICE = Query("storage/select_advice", str)


def migrate(
    uri: str,
    *,
    writer: str | None = None,
    reader: str | None = None,
    operator: str | None = None,
) -> str:
    """Name of the newest revision, after bringing the warehouse at `uri` to it, all or nothing.

    Parameters
    ----------
    uri : of a role that may create schemas and roles.
    writer, reader, operator : login roles to put into `tsad_writer`, `tsad_reader` and
        `tsad_operator`.

    Raises
    ------
    BadInput
        The login may not create what a warehouse needs, a login role does not exist, or something
        that is not ours depends on what has to change.
    AccessDenied, Unavailable
        As `database.connect`.
    """
    groups = {"tsad_writer": writer, "tsad_reader": reader, "tsad_operator": operator}
    try:
        with _opened(uri) as opened:
            watch = LockWatch(
                cast(Connection, opened.connection.driver_connection), uri, END_BLOCKERS.text
            )
            with watch.over():
                return _migrate(opened, groups)
    except errors.DependentObjectsStillExist as error:
        wanted = "nothing that depends on what the upgrade has to drop"
        said = "; ".join(str(error.diag.message_detail).splitlines())
        hint = "Drop it, upgrade, and make it anew."
        raise BadInput(f"Expected {wanted}. Received: {said}. {hint}") from error
    except errors.InsufficientPrivilege as error:
        where = shown_place(parsed_uri(uri))
        wanted = f"a login that may create extensions, schemas and roles at {where}"
        raise BadInput(f"Expected {wanted}. Received: {_first_line(error)}.") from error


@contextmanager
def _opened(uri: str) -> Iterator[SqlConnection]:
    """A connection of SQLAlchemy's, as Alembic wants it; errors are those of Postgres."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    own = {"creator": lambda: connect(uri, statement_timeout_s=0), "poolclass": NullPool}
    engine = create_engine("postgresql+psycopg2://", **own)
    try:
        with engine.connect() as opened:
            yield opened
    except DBAPIError as error:
        raise (error.orig or error) from error
    finally:
        engine.dispose()


def newest_revision() -> str:
    """The number of the newest migration.

    >>> newest_revision() >= "0044"
    True
    """
    return max(path.name for path in _MIGRATIONS.glob("[0-9]*.sql"))[:4]


def ensure_schema(uri: str, **logins: str) -> bool:
    """Whether the warehouse had to be brought to the newest schema; where its own was newest
    already, nothing was locked. Raises and takes logins as `migrate`.
    """
    try:
        with Store.connect(uri) as store, store.transaction():
            # A migration need not change anything that is public.
            has = store.first(SELECT_REVISION), store.first(SELECT_PUBLIC_SQL)
            if has == (newest_revision(), public_digest()):
                return False
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        pass
    migrate(uri, **logins)
    return True


def advice(uri: str) -> list[str]:
    """Statements that a superuser should still run in a migrated warehouse, so that no login uses
    up the server or holds up the pipeline; none where `bound_logins` was run.
    """
    with Store.connect(uri) as store, store.transaction():
        return store.rows(SELECT_ADVICE)


def bound_logins(uri: str) -> None:
    """Bounds what people's logins may use up of a server that is the warehouse's alone; needs a
    superuser.
    """
    with closing(connect(uri)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(_BOUND_LOGINS.read_text(encoding="utf-8"))


def _migrate(opened: SqlConnection, logins: Mapping[str, str | None]) -> str:
    """Everything in one transaction, but for logins into groups."""
    connection = cast(Connection, opened.connection.driver_connection)
    store = Store(connection)
    with store.transaction():
        store.execute(LOCK_MIGRATIONS, key=_MIGRATION_LOCK)
    # Alembic leaves a transaction to whoever began it.
    with opened.begin(), connection.cursor() as cursor:
        granted = store.rows(SELECT_GRANTS)
        upgrade(opened, "head")
        put_in_place(connection)
        store.execute(UPSERT_PUBLIC_SQL, digest=public_digest())
        # What a migration dropped and public made anew has lost what people granted on it.
        for statement in granted:
            cursor.execute(statement)
    for group, login in logins.items():
        if login is not None:
            _grant(connection, group, login)
    return store.one(SELECT_REVISION)


def upgrade(opened: SqlConnection, revision: str) -> None:
    """Runs the migrations up to a revision."""
    from alembic import command
    from alembic.config import Config

    options = Config()
    options.set_main_option("script_location", str(_MIGRATIONS))
    options.set_main_option("path_separator", "os")
    options.attributes["connection"] = opened
    command.upgrade(options, revision)


def _grant(connection: Connection, group: str, login: str) -> None:
    names = {"group": sql.Identifier(group), "login": sql.Identifier(login)}
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql.SQL(GRANT_GROUP.text).format(**names))
    except errors.UndefinedObject as error:
        wanted = "login roles that exist, for --writer, --reader and --operator"
        raise BadInput(f"Expected {wanted}. Received: {_first_line(error)}.") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
