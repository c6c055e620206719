from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg2
import pytest

from devstack import account as accounts
from devstack.postgres import (
    AIRFLOW,
    BROWSER,
    METADATA,
    PIPELINE,
    WAREHOUSE,
    Cluster,
    ClusterRunning,
    ensure_running,
    main,
    remove,
    start,
    stop,
)
from tsad_tasks.base.errors import BadInput


@pytest.fixture(scope="module")
def made_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where one server is made for all tests of this file, at the first start."""
    chosen = tmp_path_factory.mktemp("a path with spaces") / ("long" * 30) / "postgres"
    yield chosen
    remove(chosen)


@pytest.fixture
def folder(made_folder: Path) -> Iterator[Path]:
    """The server's folder; it does not run before a test, and not after it."""
    yield made_folder
    stop(made_folder)


def query(uri: str, statement: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(uri, connect_timeout=5)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def servers_of(cluster: Cluster) -> list[psutil.Process]:
    """Every process that works in the cluster's data folder, found without the code under test."""
    found = []
    for candidate in psutil.process_iter():
        try:
            if candidate.cwd() == str(cluster.data_folder.resolve()):
                found.append(candidate)
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
    return found


def postmaster_pid(cluster: Cluster) -> int:
    return int((cluster.data_folder / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])


def wait_until_dead(pid: int) -> None:
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)


def test_a_restart_keeps_rows_port_and_passwords(folder: Path) -> None:
    first = start(folder, durable=False)
    query(first.uri(), "create table kept as select 42 as answer")
    stop(folder)
    second = start(folder, durable=False)
    assert (second.port, second.passwords) == (first.port, first.passwords)
    assert query(second.uri(), "select answer from kept") == [(42,)]


def test_stop_leaves_no_process(folder: Path) -> None:
    cluster = start(folder, durable=False)
    assert servers_of(cluster)
    assert stop(folder)
    assert servers_of(cluster) == []
    assert not stop(folder)


def test_a_second_start_says_that_the_server_runs_and_ensure_running_uses_it(folder: Path) -> None:
    cluster = start(folder, durable=False)
    with pytest.raises(ClusterRunning, match=rf"runs on port {cluster.port}"):
        start(folder, durable=False)
    assert ensure_running(folder, durable=False) == cluster


def test_a_committed_row_survives_kill_9_of_the_server(folder: Path) -> None:
    cluster = start(folder)
    query(cluster.uri(), "create table survives as select 42 as answer")
    pid = postmaster_pid(cluster)
    os.kill(pid, signal.SIGKILL)
    wait_until_dead(pid)
    again = start(folder)
    assert query(again.uri(), "select answer from survives") == [(42,)]


def test_a_stale_pid_file_that_names_another_living_program_does_not_stop_a_start(
    folder: Path,
) -> None:
    cluster = start(folder, durable=False)
    stop(folder)
    stale = cluster.data_folder / "postmaster.pid"
    stale.write_text(f"{os.getpid()}\n{cluster.data_folder}\n", encoding="utf-8")
    assert query(start(folder, durable=False).uri(), "select 1") == [(1,)]


def test_a_server_that_was_killed_while_a_query_ran_starts_again(folder: Path) -> None:
    cluster = start(folder, durable=False)
    program = (
        f"import psycopg2; psycopg2.connect({cluster.uri()!r}).cursor().execute('select "
        "pg_sleep(600)')"
    )
    sleeper = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    while not query(
        cluster.uri(), "select 1 from pg_stat_activity where query = 'select pg_sleep(600)'"
    ):
        time.sleep(0.02)
    pid = postmaster_pid(cluster)
    os.kill(pid, signal.SIGKILL)
    wait_until_dead(pid)
    start(folder, durable=False)
    assert sleeper.wait(timeout=10) != 0


def test_a_wrong_password_is_refused(cluster: Cluster) -> None:
    stranger = replace(cluster, passwords=cluster.passwords | {PIPELINE: "guessed"})
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        query(stranger.uri(WAREHOUSE, PIPELINE), "select 1")
    assert query(cluster.uri(), "show password_encryption") == [("scram-sha-256",)]


def test_roles_log_in_and_only_airflow_reaches_the_metadata(cluster: Cluster) -> None:
    """Nor the server's own databases, in which nothing bounds what somebody stores."""
    for role in (PIPELINE, BROWSER):
        assert query(cluster.uri(WAREHOUSE, role), "select current_user") == [(role,)]
        for database in (METADATA, "postgres", "template1"):
            with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
                query(cluster.uri(database, role), "select 1")
    assert query(cluster.uri(METADATA, AIRFLOW), "select current_user") == [(AIRFLOW,)]


def test_the_server_listens_on_loopback_only(cluster: Cluster) -> None:
    assert query(cluster.uri(), "show listen_addresses") == [("127.0.0.1",)]
    assert query(cluster.uri(), "show unix_socket_directories") == [("",)]


def test_passwords_are_readable_by_their_owner_only(folder: Path) -> None:
    start(folder, durable=False)
    assert stat.S_IMODE((folder / "cluster.json").stat().st_mode) == 0o600


def test_a_port_that_somebody_else_took_is_replaced(folder: Path) -> None:
    cluster = start(folder, durable=False)
    stop(folder)
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", cluster.port))
        squatter.listen()
        moved = start(folder, durable=False)
    assert moved.port != cluster.port
    assert query(moved.uri(), "select 1") == [(1,)]


def test_lost_passwords_are_one_clear_error(folder: Path) -> None:
    start(folder, durable=False)
    stop(folder)
    state = folder / "cluster.json"
    kept = state.read_text(encoding="utf-8")
    state.unlink()
    with pytest.raises(BadInput, match="Expected the passwords of"):
        start(folder, durable=False)
    state.write_text(kept, encoding="utf-8")


def test_a_half_made_server_is_made_anew(folder: Path) -> None:
    cluster = start(folder, durable=False)
    stop(folder)
    cluster.data_folder.rename(cluster.data_folder.with_name("rows.part"))
    assert query(start(folder, durable=False).uri(), "select 1") == [(1,)]


def test_a_cloned_database_has_the_rows_of_its_template(cluster: Cluster) -> None:
    query(cluster.create_database("origin"), "create table kept as select 42 as answer")
    clone_uri = cluster.create_database("clone", template="origin")
    assert query(clone_uri, "select answer from kept") == [(42,)]
    cluster.drop_database("clone")
    cluster.drop_database("origin")
    with pytest.raises(psycopg2.OperationalError, match="does not exist"):
        query(clone_uri, "select 1")


def test_the_command_line_starts_tells_and_stops(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--folder", str(folder)]) == 3
    assert main(["start", "--folder", str(folder)]) == 0
    assert main(["start", "--folder", str(folder)]) == 2
    assert main(["uri", "--folder", str(folder), "--role", BROWSER]) == 0
    assert main(["stop", "--folder", str(folder)]) == 0
    printed = capsys.readouterr()
    assert f"postgresql://{BROWSER}:" in printed.out
    assert "Received: one that runs on port" in printed.err


def test_programs_that_the_account_cannot_reach_are_copied_to_where_it_can(tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "bin").mkdir(parents=True)
    (package / "bin" / "postgres").write_text("program", encoding="utf-8")
    (tmp_path / "package.libs").mkdir()
    tmp_path.chmod(0o700)
    stranger = accounts.Account(65534, 65534, drops_root=True)
    copy = accounts.reachable_package(package, stranger, tmp_path)
    try:
        assert stranger.reaches(copy / "bin")
        assert (copy / "bin" / "postgres").read_text(encoding="utf-8") == "program"
        assert copy.with_name("package.libs").is_dir()
    finally:
        accounts.remove_shelter(tmp_path)


def test_a_package_that_the_account_reaches_is_used_where_it_is() -> None:
    stranger = accounts.Account(65534, 65534, drops_root=True)
    assert accounts.reachable_package(Path("/usr"), stranger, Path("/usr")) == Path("/usr")
