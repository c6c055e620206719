"""A standby of an embedded server, and a pooler in front of one, as sources elsewhere have them."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devstack import postgres
from devstack.account import reachable_package, server_account
from lab.room import asked
from tsad_tasks.base.errors import Unavailable

REPLICATION = "host replication all 127.0.0.1/32 scram-sha-256\n"


@dataclass(frozen=True)
class Standby:
    """A server that replays what its primary writes."""

    primary: postgres.Cluster
    port: int

    def uri(self, database: str, role: str) -> str:
        """The URI that logs `role` in to `database` of the standby."""
        return self.primary.uri(database, role).replace(f":{self.primary.port}/", f":{self.port}/")

    def wait(self, database: str) -> None:
        """Until all that the primary has written is replayed."""
        owner = postgres.OWNER
        ((written,),) = asked(self.primary.uri(database, owner), "SELECT pg_current_wal_lsn()")
        for _ in range(1200):
            ((replayed,),) = asked(
                self.uri(database, owner), "SELECT pg_last_wal_replay_lsn() >= %s", (written,)
            )
            if replayed:
                return
            time.sleep(0.05)
        raise Unavailable("Expected a standby that follows within a minute. Received: none.")


@contextmanager
def standby_of(primary: postgres.Cluster, **settings: str) -> Iterator[Standby]:
    """A copy of the primary's rows that follows it, with settings of its own."""
    with postgres.administration(primary) as server, server.cursor() as cursor:
        cursor.execute("ALTER SYSTEM SET wal_level = 'replica'")
        cursor.execute("ALTER SYSTEM SET max_wal_senders = 4")
    postgres.stop(primary.folder)
    postgres.start(primary.folder, durable=False)
    access = primary.data_folder / "pg_hba.conf"
    access.write_text(access.read_text("utf-8") + REPLICATION, encoding="utf-8")
    asked(primary.uri(postgres.WAREHOUSE), "SELECT pg_reload_conf()")
    # The account of the server may not reach the folder of this one.
    rows, port = primary.data_folder.with_name("standby"), postgres.free_port()
    shutil.rmtree(rows, ignore_errors=True)
    account = server_account(primary.data_folder)
    account.own(rows)
    package = reachable_package(Path(postgres.psql_path()).parents[2], account, primary.folder)
    bin_folder = package / postgres.PROGRAMS
    login = primary.uri("postgres").rsplit("/", 1)[0]

    def run(name: str, *arguments: object) -> None:
        options: dict[str, Any] = {"cwd": "/", **account.subprocess_options}
        command = [str(bin_folder / name), *map(str, arguments)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, **options)
        if done.returncode:
            raise Unavailable(f"Expected {name} to succeed. Received: {done.stderr.strip()}")

    run("pg_basebackup", "-D", rows, "-d", login, "-R", "-X", "stream", "--checkpoint=fast")
    own = {"port": str(port), **settings}
    text = "".join(f"{name} = '{value}'\n" for name, value in own.items())
    with (rows / "postgresql.conf").open("a", encoding="utf-8") as stream:
        stream.write(text)
    run("pg_ctl", "start", "-w", "-D", rows, "-l", rows / "server.log")
    try:
        yield Standby(primary, port)
    finally:
        run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", rows)
        shutil.rmtree(rows, ignore_errors=True)


@contextmanager
def pooler(
    cluster: postgres.Cluster, folder: Path, roles: Sequence[str], size: int
) -> Iterator[int]:
    """The port of a PgBouncer that gives each transaction any of `size` sessions."""
    port, folder = postgres.free_port(), folder / "pooler"
    folder.mkdir()
    users, settings = folder / "users", folder / "settings"
    users.write_text("".join(f'"{role}" "{cluster.passwords[role]}"\n' for role in roles))
    settings.write_text(
        f"[databases]\n* = host=127.0.0.1 port={cluster.port}\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = plain\nauth_file = {users}\npool_mode = transaction\n"
        f"default_pool_size = {size}\n"
    )
    for path in (users, settings):
        path.chmod(0o644)
    log = folder / "log"
    as_nobody = ["-u", "nobody"] if os.geteuid() == 0 else []
    with log.open("wb") as stream:
        process = subprocess.Popen(["pgbouncer", *as_nobody, str(settings)], stderr=stream)
    try:
        for _ in range(200):
            if not postgres.is_free(port):
                break
            time.sleep(0.05)
        else:
            raise Unavailable("Expected a pooler within 10 s. Received: none.", log.read_text())
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)
