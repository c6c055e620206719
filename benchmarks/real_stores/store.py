"""A database that another system fills, and a login that may only read it."""

from __future__ import annotations

import secrets
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from devstack.postgres import HOST, Cluster
from tsad_tasks.storage.database import connect

N_DAYS = 8
_READER = """
CREATE ROLE {reader} LOGIN PASSWORD {password};
GRANT USAGE ON SCHEMA public TO {reader};
GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader};
"""


@dataclass(frozen=True)
class Database:
    """One of the cluster, named as its system."""

    cluster: Cluster
    name: str
    uri: str

    @classmethod
    def made(cls, cluster: Cluster, name: str) -> Database:
        """An empty one."""
        return cls(cluster, name, cluster.create_database(name))

    def run(self, text: str) -> None:
        """Run statements as the database's owner."""
        with closing(connect(self.uri)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(text)

    def row(self, text: str) -> tuple[Any, ...]:
        """The first row of a statement."""
        with closing(connect(self.uri)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(text)
            (row,) = cursor.fetchmany(1)
            return tuple(row)

    def reader_uri(self) -> str:
        """A new login that may read all its tables, and write none."""
        reader, password = f"{self.name}_reader", secrets.token_hex(16)
        names = {"reader": sql.Identifier(reader), "password": sql.Literal(password)}
        with closing(connect(self.uri)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(sql.SQL(_READER).format(**names))
        return f"postgresql://{reader}:{password}@{HOST}:{self.cluster.port}/{self.name}"
