"""Connections to Postgres, with errors that say what to do."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import parse_dsn

from tsad_tasks.base.errors import AccessDenied, BadInput, NoSpace, TsadError, Unavailable
from tsad_tasks.base.masking import learn, masked

# What a statement may raise.
DatabaseError = psycopg2.Error

# A busy machine may need seconds to answer.
CONNECT_TIMEOUT_S = 30
# The last net: whoever waits for people is helped far earlier (see waiting), and a backfill may
# wait for the one before it for minutes.
LOCK_TIMEOUT_S = 900
STATEMENT_TIMEOUT_S = 3600
# A server that is gone without a word is noticed after a minute and a half.
KEEPALIVES: dict[str, Any] = {
    "keepalives_idle": 60,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
# And a client by its server, which else would keep the locks of a machine that is gone for hours.
SERVER_KEEPALIVES = {f"tcp_{name}": value for name, value in KEEPALIVES.items()}
_QUERIES = Path(__file__).parents[2] / "sql" / "queries"
_DENIED = re.compile(
    r"password authentication failed|no password supplied|role .* does not exist|not permitted",
    re.I,
)
_LETS_IN = {
    "writer": "tsad migrate --writer <login>",
    "operator": "tsad migrate --operator <login>",
}
_OF_ANOTHER_SCHEMA = (
    psycopg2.errors.UndefinedTable,
    psycopg2.errors.UndefinedColumn,
    psycopg2.errors.UndefinedFunction,
)
_HOST = re.compile(r"[^@?#\s]*")
_NOT_SHOWN = "something else (not shown, it may hold a password)"


def warehouse_uri() -> str:
    """URI of the warehouse: `TSAD_DATABASE_URI`.

    Raises `BadInput` when it is not set.
    """
    uri = os.environ.get("TSAD_DATABASE_URI", "")
    if not uri:
        raise BadInput(
            "Expected the warehouse's URI in TSAD_DATABASE_URI, such as "
            "postgresql://user:password@host:5432/warehouse. "
            "Received: nothing. `tsad up` starts an embedded server and `tsad` finds it by itself."
        )
    return uri


def connection_uri(connection_id: str) -> str:
    """URI of a connection, read anew from `TSAD_CONNECTION_<ID>` or `AIRFLOW_CONN_<ID>`."""
    name = f"TSAD_CONNECTION_{connection_id.upper()}"
    uri = os.environ.get(name) or os.environ.get(f"AIRFLOW_CONN_{connection_id.upper()}")
    if not uri:
        raise BadInput(
            f"Expected the URI of connection {connection_id!r} in {name} (or an Airflow "
            "connection of that id). Received: nothing."
        )
    return uri


def shown_place(given: Mapping[str, Any]) -> str:
    """A URI of libpq's parameters as it may be shown: where, who and what, and no more.

    Raises `BadInput` where a part holds what shows that a password was not percent-encoded.

    >>> shown_place({"user": "me", "password": "x", "host": "a,::1", "port": "1,2", "dbname": "d"})
    'postgresql://me:***@a:1,[::1]:2/d'
    """
    user, host, port, name = (
        str(given.get(part) or "") for part in ("user", "host", "port", "dbname")
    )
    is_odd = not (_HOST.fullmatch(host) and re.fullmatch(r"[\d,]*", port)) or "@" in name
    if is_odd or ("/" in host and not host.startswith("/")):
        raise BadInput(
            "Expected a URI such as postgresql://user:password@host:5432/database, its password "
            f"percent-encoded (%40 for @, %2F for /). Received: {_NOT_SHOWN}."
        )
    ports = port.split(",")
    hosts = [f"[{one}]" if ":" in one else one for one in host.split(",")]
    places = [
        f"{one}:{ports[min(i, len(ports) - 1)]}" if port else one for i, one in enumerate(hosts)
    ]
    login = f"{user}{':***' if given.get('password') else ''}@"
    service = f"?service={given['service']}" if given.get("service") else ""
    return f"postgresql://{login if login != '@' else ''}{','.join(places)}/{name}{service}"


def parsed_uri(uri: str) -> dict[str, str]:
    """libpq's parameters in a URI or a connection string, which is learned and never shown.

    Raises `BadInput` when it is neither.
    """
    learn(uri)
    plain = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", uri)
    try:
        return dict(parse_dsn(plain))
    except (psycopg2.Error, ValueError):
        pass
    # Outside, lest the driver's words stand in a traceback.
    raise BadInput(
        "Expected a URI such as postgresql://user:password@host:5432/database. Received: "
        f"{_NOT_SHOWN}."
    )


def connect(
    uri: str,
    *,
    lock_timeout_s: int = LOCK_TIMEOUT_S,
    statement_timeout_s: int = STATEMENT_TIMEOUT_S,
) -> Connection:
    """An open connection, UTC, application name `tsad`, on which nothing waits for ever.

    Raises
    ------
    BadInput
        The text is no URI; it is not shown.
    AccessDenied
        The server refused the login.
    Unavailable
        The server did not answer.
    """
    given = parsed_uri(uri)
    where = shown_place(given)
    # Compiling a statement of ours takes longer than it: chains are few, and taken for many.
    options = (
        "-c timezone=UTC -c extra_float_digits=3 -c jit=off "
        "-c idle_in_transaction_session_timeout=0 "
        f"-c statement_timeout={statement_timeout_s * 1000} -c lock_timeout={lock_timeout_s * 1000}"
    )
    options += "".join(f" -c {name}={value}" for name, value in SERVER_KEEPALIVES.items())
    parameters: dict[str, Any] = given | {"application_name": "tsad", "options": options}
    parameters |= {"connect_timeout": CONNECT_TIMEOUT_S} | KEEPALIVES
    try:
        connection: Connection = psycopg2.connect(**parameters)
        return connection
    except (psycopg2.Error, ValueError) as error:
        raise _explained(where, error) from error


def _explained(where: str, error: Exception) -> AccessDenied | Unavailable | BadInput:
    said = " ".join(str(error).split())
    if _DENIED.search(said):
        return AccessDenied(f"Expected a login that {where} accepts. Received: {said}")
    if "database" in said and "does not exist" in said:
        return BadInput(f"Expected a database that exists at {where}. Received: {said}")
    if not isinstance(error, psycopg2.OperationalError):
        return BadInput(f"Expected a connection that libpq knows, to {where}. Received: {said}")
    return Unavailable(f"Expected a Postgres server at {where}. Received: {said}")


def database_error(error: Exception, *, role: str = "writer") -> TsadError:
    """What a database said to a statement, as one of our errors; SQLAlchemy's hold psycopg2's.

    Parameters
    ----------
    role : what a login needs that may not do what was asked.
    """
    cause = getattr(error, "orig", error)
    said = (masked(str(cause)).splitlines() or [type(cause).__name__])[0]
    if isinstance(cause, psycopg2.errors.InsufficientPrivilege):
        return BadInput(
            f"Expected a login that may use the warehouse. Received: {said}. "
            f"The warehouse's owner lets one in with: {_LETS_IN[role]}"
        )
    if isinstance(cause, (psycopg2.errors.DiskFull, psycopg2.errors.OutOfMemory)):
        return _no_space(cause, "that was asked")
    if isinstance(cause, (psycopg2.OperationalError, psycopg2.InterfaceError)):
        return Unavailable(f"Expected a database that answers. Received: {said}.")
    received = f"{type(cause).__name__}: {said}"
    # Of another version's schema something is missing, or called otherwise.
    if isinstance(cause, _OF_ANOTHER_SCHEMA):
        return BadInput(
            f"Expected a warehouse with the schema of this version. Received: {received}. Where it "
            "was not brought to it yet, its owner runs: tsad migrate"
        )
    return TsadError(f"Expected a database that takes our statements. Received: {received}.")


@contextmanager
def database_space(connection: Connection) -> Iterator[None]:
    """Says of what fails inside for want of space whose server is full.

    Raises
    ------
    NoSpace
        Where the server's disk is full, or its memory.
    """
    try:
        yield
    except (psycopg2.errors.DiskFull, psycopg2.errors.OutOfMemory) as error:
        raise _no_space(error, f"{connection.info.dbname} at {connection.info.host}") from error


def _no_space(error: Exception, which: str) -> NoSpace:
    said = str(error).splitlines()[0]
    return NoSpace(
        f"Expected room on the server of the database {which}. Received: {said}. Make room there "
        "(its folder of rows, its logs, or max_locks_per_transaction where it says shared memory): "
        "what was not written whole was not written, and the next try does it."
    )


@cache
def statement_text(path: str) -> str:
    """The statement of `sql/queries/<path>.sql`."""
    return _QUERIES.joinpath(f"{path}.sql").read_text(encoding="utf-8")


@cache
def shown_statement(name: str) -> str:
    """`sql/shown/<name>.sql`, for people to look further; they replace what begins with `$`."""
    return _QUERIES.with_name("shown").joinpath(f"{name}.sql").read_text(encoding="utf-8").strip()
