"""Messages of the outbox in Airflow: sent by our channels over Airflow's connections."""

from __future__ import annotations

from urllib.parse import quote

from tsad_bridge import airflow_connection
from tsad_tasks.notifications.channels.base import Connection, sender


def connection_of(connection_id: str) -> Connection:
    """Airflow's connection as channels take it.

    Not `get_uri()`: of an http connection whose host is a whole URL, as Airflow wants it, that
    makes `http://https://host%2Fpath`.

    Raises `BadInput` when there is none of that id.
    """
    found = airflow_connection(connection_id)
    scheme = (found.schema or "http") if found.conn_type == "http" else found.conn_type
    host = found.host or ""
    scheme, _, place = (host if "://" in host else f"{scheme}://{host}").partition("://")
    login = ":".join(quote(part or "", safe="") for part in (found.login, found.password))
    port = f":{found.port}" if found.port else ""
    uri = f"{scheme}://{login + '@' if found.login or found.password else ''}{place}{port}"
    return Connection(uri, found.extra_dejson)


send = sender(connection_of)
