"""Connections to the database of a source, and what its errors mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import psycopg2
from psycopg2 import extensions

from tsad_tasks.base.errors import (
    AccessDenied,
    BadInput,
    Interrupted,
    SourceError,
    TsadError,
    Unavailable,
)
from tsad_tasks.base.masking import learn, masked
from tsad_tasks.storage.database import (
    CONNECT_TIMEOUT_S,
    KEEPALIVES,
    SERVER_KEEPALIVES,
    shown_place,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

# Of the options in a URI those that libpq knows: Airflow adds others.
_LIBPQ = re.compile(
    r"^(ssl\w+|gss\w+|keepalives\w*|connect_timeout|target_session_attrs|options|channel_binding"
    r"|service)$"
)
_MOST_SAID = 300
# A look at somebody's tables, which nobody asked to wait for, takes no longer.
LOOK_S = 5
# What was not answered within `limits`, by Postgres's code.
_TOO_LATE = {
    "55P03": "Expected source tables that may be read within source.statement_timeout. "
    "Received: a lock that another session there holds, as ALTER TABLE, TRUNCATE and "
    "VACUUM FULL do until they are committed; pg_locks of the source says which. The "
    "next run goes on from here.",
    "57014": "Expected the source to answer within source.statement_timeout. Received: no "
    "answer in time. `tsad datasets check` says whether the time column lacks an index.",
}
# A standby ends reads of what its primary has cleaned up.
_IN_THE_WAY = (
    "Expected a standby that lets a read end. Received: it was cancelled, since it was in the way "
    "of recovery. What was read so far is kept, and less is read at a time; longer reads are let "
    "be by max_standby_streaming_delay, or hot_standby_feedback = on."
)
# Of what a standby of the source has not replayed yet nothing newer than this can be read.
_BEHIND_SINCE = """
SELECT CASE WHEN pg_is_in_recovery() AND NOT coalesce(
    pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn()
    AND EXISTS (SELECT FROM pg_stat_wal_receiver), false)
  THEN coalesce(pg_last_xact_replay_timestamp(), '1970-01-01Z') END
"""
_DENIED = re.compile(
    r"authenti|password|pg_hba|role .* does not exist|permission denied", re.IGNORECASE
)
_DENIED_OF = re.compile(r"permission denied for (schema|table|view|materialized view) (\S+)")


def connect_source(uri: str, *, read_only: bool) -> extensions.connection:
    """A new connection to the source's database; a changed password counts at once.

    Raises
    ------
    BadInput
        The text is no URI of Postgres. It is not shown, since it may hold a password.
    AccessDenied, Unavailable, SourceError
        See `Source`.
    """
    url = _url(uri)
    try:
        connection: extensions.connection = psycopg2.connect(**_parameters(url))
    except (psycopg2.Error, ValueError) as error:
        raise _refused(url, error) from None
    level = "REPEATABLE READ" if read_only else "READ COMMITTED"
    connection.set_session(isolation_level=level, readonly=read_only)
    return connection


def clock(cursor: extensions.cursor) -> datetime:
    """What the source's clock shows."""
    cursor.execute("SELECT now()")
    (now_at,) = cast("tuple[datetime]", cursor.fetchone())
    return now_at


def behind_since(cursor: extensions.cursor) -> datetime | None:
    """The newest commit that a standby has replayed; None on a primary, and where it has all."""
    cursor.execute(_BEHIND_SINCE)
    (replayed_at,) = cast("tuple[datetime | None]", cursor.fetchone())
    return replayed_at


def limits(timeout_s: int) -> str:
    """What ends the statements of a transaction, and the transaction of a machine that is gone; who
    waits for a lock until then hears of it.
    """
    timeout_ms = timeout_s * 1000
    settings = {"statement_timeout": timeout_ms, "lock_timeout": int(0.9 * timeout_ms)}
    settings |= SERVER_KEEPALIVES
    return "; ".join(f"SET LOCAL {name} = {value}" for name, value in settings.items())


def described(
    uri: str, query: str, timeout_s: int, field: str = "source.query"
) -> list[tuple[str, int]]:
    """Name and type (its oid) of each column that one SELECT gives; it is prepared and not run.

    The extended protocol takes one statement at a time: what it has taken does not become several
    within brackets. Raises `SourceError` for what is none, `Unavailable` where that is not known
    in time, and what `connect_source` raises.
    """
    # Imported here, since the other driver, which has no such protocol, does all the rest.
    import psycopg

    url = _url(uri)
    try:
        with psycopg.connect(**_parameters(url)) as connection:
            connection.execute(limits(timeout_s).encode())
            server = connection.pgconn
            within = f"SELECT * FROM (\n{query}\n) AS query"  # noqa: S608
            # Without a name: a pooler gives the session to others, and names would stay with it.
            for text in (query, within):
                prepared = server.prepare(b"", text.encode())
                if prepared.status != psycopg.pq.ExecStatus.COMMAND_OK:
                    state = prepared.error_field(psycopg.pq.DiagnosticField.SQLSTATE) or b""
                    if state.decode() in _TOO_LATE:
                        raise Unavailable(_TOO_LATE[state.decode()])
                    said = prepared.get_error_message().split("\n", 1)[0][:_MOST_SAID]
                    wanted = f"{field} to be one SELECT that the source understands"
                    raise SourceError(f"Expected {wanted}. Received: {said}.")
            columns = server.describe_prepared(b"")
            found = (columns.fname(at) or b"" for at in range(columns.nfields))
            names = [name.decode(errors="backslashreplace") for name in found]
            return [(name, columns.ftype(at)) for at, name in enumerate(names)]
    except psycopg.Error as error:
        raise _refused(url, error) from None


def _url(uri: str) -> URL:
    # Imported by what reads a source: most commands read none.
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    learn(uri)
    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        url = None
    if url is None or not re.fullmatch(r"postgres(ql)?(\+\w+)?", url.drivername):
        raise BadInput(
            "Expected the source connection as a URI such as postgresql://user:password@host:5432/"
            "database. Received: something else (not shown, it may hold a password)."
        )
    shown_place(_login(url))
    return url


def _login(url: URL) -> dict[str, Any]:
    return url.translate_connect_args(username="user", database="dbname")


def _parameters(url: URL) -> dict[str, Any]:
    """What libpq needs to know for a connection."""
    options: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "tsad"}
    options |= KEEPALIVES
    options |= {name: value for name, value in url.query.items() if _LIBPQ.match(name)}
    # Names go there and back as UTF-8, whatever the database keeps them in.
    return _login(url) | options | {"client_encoding": "UTF8"}


def _refused(url: URL, error: Exception) -> TsadError:
    where = shown_place(_login(url))
    said = " ".join(str(error).split())
    if _DENIED.search(said):
        return AccessDenied(
            f"Expected a login that {where} accepts. Received: {said}. Check user and password of "
            "the source connection; it is read anew on each run."
        )
    if re.search(r"database .* does not exist", said):
        wanted = f"a database that exists at {where}. Received: {url.database!r}"
        return SourceError(f"Expected {wanted}. There is: {', '.join(_databases(url))}.")
    if isinstance(error, (psycopg2.ProgrammingError, ValueError)):
        return BadInput(f"Expected a connection that libpq knows, to {where}. Received: {said}")
    return Unavailable(f"Expected a PostgreSQL server at {where}. Received: {said}")


def _databases(url: URL) -> list[str]:
    """Databases of the server that `url` names, as far as its login may look."""
    try:
        connection = psycopg2.connect(**_login(url.set(database="postgres")), connect_timeout=5)
    except psycopg2.Error:
        return ["unknown (this login may not look)"]
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY "
                "1 LIMIT 20"
            )
            return [str(row[0]) for row in cursor.fetchall()]
    finally:
        connection.close()


def first_line(error: psycopg2.Error) -> str:
    """What Postgres says; it quotes values, of any size."""
    return masked(str(error).strip().split("\n", 1)[0])[:_MOST_SAID]


def _grant(connection: extensions.connection, said: str) -> str:
    """What the owner of the tables has to run, of what Postgres says."""
    found = _DENIED_OF.search(said)
    kind, name = found.groups() if found else ("table", "<table>")
    schema, login = name if kind == "schema" else "<its schema>", connection.info.user
    statements = f"GRANT USAGE ON SCHEMA {schema} TO {login}; "
    statements += f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {login};"
    return f"As the owner of {kind} {name} run: {statements}"


@contextmanager
def explained_errors(connection: extensions.connection) -> Iterator[None]:
    """What Postgres says, as the error family that decides between failing and trying again."""
    try:
        yield
    except psycopg2.Error as error:
        said = first_line(error)
        if error.pgcode in _TOO_LATE:
            raise Interrupted(_TOO_LATE[error.pgcode]) from error
        if isinstance(error, psycopg2.errors.SerializationFailure):
            raise Interrupted(_IN_THE_WAY, by_chance=True) from error
        if isinstance(error, psycopg2.errors.InsufficientPrivilege):
            wanted = "a login that may read the source tables"
            grant = _grant(connection, said)
            raise AccessDenied(f"Expected {wanted}. Received: {said}. {grant}") from error
        if isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError)):
            # A standby closes the session of who is in its way and asks nothing at that moment.
            text = f"Expected the source to answer. Received: {said}"
            if connection.closed:
                raise Interrupted(text, by_chance=True) from error
            raise Unavailable(text) from error
        raise SourceError(f"Expected rows from the source. Received: {said}") from error
