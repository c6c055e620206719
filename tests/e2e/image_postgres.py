"""The embedded server turned into what compose's postgres image is: one superuser, then the init
script.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import closing

import psycopg2
from psycopg2 import sql

from devstack.postgres import DATABASE_OWNERS, OWNER, ROLES, Cluster, psql_path
from tsad_tasks.base.places import project_folder

SUPERUSER = "postgres"
_HELPING = "renamer"


def superuser_uri(port: int, password: str, database: str = "postgres") -> str:
    """URI of the image's superuser."""
    return f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/{database}"


def run_sql(uri: str, statements: Sequence[sql.Composable]) -> None:
    """Run statements, each on its own."""
    with closing(psycopg2.connect(uri)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


def become_image(cluster: Cluster, passwords: dict[str, str]) -> None:
    """Leave one superuser `postgres` and no database of ours, then run the file's init script."""
    secret, new = sql.Literal(passwords["POSTGRES_PASSWORD"]), sql.Identifier(SUPERUSER)
    # A login cannot rename itself, so another one does it.
    helping = sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}").format(
        sql.Identifier(_HELPING), secret
    )
    run_sql(cluster.uri("postgres", OWNER), [helping])
    uri = f"postgresql://{_HELPING}:{passwords['POSTGRES_PASSWORD']}@127.0.0.1:{cluster.port}/postgres"
    databases = [
        sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)) for name in DATABASE_OWNERS
    ]
    roles = [
        sql.SQL("DROP ROLE {}").format(sql.Identifier(name)) for name in ROLES if name != OWNER
    ]
    renaming = sql.SQL("ALTER ROLE {} RENAME TO {}").format(sql.Identifier(OWNER), new)
    run_sql(
        uri,
        [*databases, *roles, renaming, sql.SQL("ALTER ROLE {} PASSWORD {}").format(new, secret)],
    )
    run_sql(
        superuser_uri(cluster.port, passwords["POSTGRES_PASSWORD"]),
        [sql.SQL("DROP ROLE {}").format(sql.Identifier(_HELPING))],
    )
    _run_init_script(cluster.port, passwords)


def _run_init_script(port: int, passwords: dict[str, str]) -> None:
    environment = passwords | {
        "PATH": f"{psql_path().parent}{os.pathsep}{os.environ['PATH']}",
        "POSTGRES_USER": SUPERUSER,
        "PGHOST": "127.0.0.1",
        "PGPORT": str(port),
        "PGPASSWORD": passwords["POSTGRES_PASSWORD"],
        "TSAD_BOUND_LOGINS": str(project_folder() / "sql" / "database" / "bound_logins.sql"),
    }
    script = project_folder() / "docker" / "postgres_init.sh"
    subprocess.run(["bash", str(script)], env=environment, check=True)
