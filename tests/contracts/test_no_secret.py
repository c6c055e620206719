"""No secret in any message: whatever form a connection has, whatever a driver says of it, and by
whichever way it leaves.
"""

from __future__ import annotations

import io
import json
import logging
import smtplib
import socketserver
import traceback
import urllib.request
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import psycopg2
import pytest

from devstack.postgres import PIPELINE, Cluster, free_port
from tests.cli.test_commands import Tsad, tsad
from tests.contracts.secret_forms import (
    APPRISE,
    POSTGRES,
    SAID,
    SECRET,
    SMTP,
    STORES,
    WEBHOOK,
    traces,
)
from tests.storage.rooms import HOUR_AT, Room, opened_room
from tsad_tasks.base import masking
from tsad_tasks.base.errors import TsadError
from tsad_tasks.base.interval import HOUR
from tsad_tasks.base.logs import guard_logs
from tsad_tasks.base.masking import masked, masked_errors
from tsad_tasks.base.places import project_folder
from tsad_tasks.notifications.channels.base import Connection, sender
from tsad_tasks.notifications.notify import deliver
from tsad_tasks.notifications.queries import INSERT_NOTIFICATIONS, NewNotification
from tsad_tasks.pipeline.record import recorded
from tsad_tasks.pipeline.task import TASKS, TaskRun, run_task
from tsad_tasks.reporting.drawing import fonts
from tsad_tasks.storage.artifacts import artifact_path
from tsad_tasks.storage.store import columns

__all__ = ["tsad"]
DIGEST: dict[str, Any] = {
    "event": "digest", "dataset": "room", "n_events": 0, "n_by_event": {}, "events": [],
    "zone": "UTC", "sql": "",
}  # fmt: skip
(INGEST,) = (task for task in TASKS if (task.dag, task.name) == ("score", "ingest"))


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one form taught must not help the next one."""
    monkeypatch.setattr(masking, "_known", {})
    masking._known_pattern.cache_clear()
    fonts.clean_text.cache_clear()


@pytest.fixture(scope="module")
def room(cluster: Cluster, template_database: str) -> Iterator[Room]:
    name = f"no_secret_{uuid4().hex}"
    with opened_room(cluster.create_database(name, template=template_database)) as room:
        yield room
    cluster.drop_database(name)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a handler of anybody's writes."""
    monkeypatch.setattr(logging, "_logRecordFactory", logging.LogRecord)
    guard_logs()
    stream, root = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


@pytest.fixture
def filled(cluster: Cluster, room: Room, tmp_path: Path) -> Callable[[str], str]:
    """Puts places and names into a form."""
    port, passfile = free_port(), tmp_path / "passfile"
    passfile.write_text(f"*:*:*:*:{SECRET}\n")
    passfile.chmod(0o600)
    server = room.uri.partition("@")[2]
    words = {"at": f"127.0.0.1:{port}", "port": str(port), "passfile": str(passfile)}
    words |= {"server": server.rpartition("/")[0], "database": server.rpartition("/")[2]}
    words |= {"login": PIPELINE}

    def fill(form: str) -> str:
        for name, word in words.items():
            form = form.replace(f"{{{name}}}", word)
        return form

    return fill


def _read(log: io.StringIO) -> str:
    said = log.getvalue()
    log.seek(0)
    log.truncate()
    return said


def trace_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize("form", POSTGRES)
def test_a_warehouse_that_is_not_reached_is_told_without_its_secret(
    tsad: Tsad, filled: Callable[[str], str], form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TSAD_DATABASE_URI", filled(POSTGRES[form]).replace("\0", ""))
    said = tsad("anomalies", "room")
    assert said.code in (1, 2)
    assert said.err.startswith("Error: Expected ")
    assert traces(said.out + said.err) == []


@pytest.mark.parametrize("form", POSTGRES)
def test_a_source_that_is_not_reached_is_told_without_its_secret(
    room: Room, filled: Callable[[str], str], form: str, log: io.StringIO
) -> None:
    run = TaskRun(
        room.config, "room.score", form, HOUR_AT, HOUR_AT + HOUR, {"lineage": "live"}, {},
        is_backfill=False, shard=-1, started_by="ada", send=print,
        uri_of=lambda _: filled(POSTGRES[form]),
    )  # fmt: skip
    with pytest.raises(TsadError) as raised, masked_errors():
        run_task(INGEST, run, room.uri)
    logging.getLogger("airflow.task").exception("failed", exc_info=raised.value)
    rows = room.rows("SELECT message FROM tsad.run_status WHERE run_id = %s", f"room.score/{form}")
    assert rows
    assert rows[0][0].startswith("Expected ")
    assert traces(trace_of(raised.value) + log.getvalue() + str(rows)) == []


def test_the_check_of_a_source_is_told_without_its_secret(
    tsad: Tsad, filled: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("plain", "with @", "no scheme", "DSN left open"):
        monkeypatch.setenv("TSAD_CONNECTION_ROOM", filled(POSTGRES[name]))
        said = tsad("datasets", "check", "room")
        assert (said.code, "Expected" in said.out) == (2, True)
        assert traces(said.out + said.err) == []


class Telltale(socketserver.StreamRequestHandler):
    """A mail server, or what takes itself for a web server, that says what it was told."""

    def handle(self) -> None:
        self.connection.settimeout(2)
        self.wfile.write(b"220 here\r\n")
        with suppress(OSError):
            while line := self.rfile.readline():
                if line.startswith(b"POST"):
                    break
                word = line.split()[-1] if line.split() else b""
                with suppress(ValueError):
                    word += b" " + b64decode(word).replace(b"\0", b":")
                is_login = line.upper().startswith(b"AUTH")
                said = b"535 no login for " + word if is_login else b"250-here\r\n250 AUTH PLAIN"
                self.wfile.write(said + b"\r\n")


@pytest.fixture(scope="module")
def telltale() -> Iterator[str]:
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Telltale)
    server.daemon_threads = True
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def delivered(room: Room, medium: str, connections: dict[str, Any], log: io.StringIO) -> str:
    """What the outbox, tracebacks and the log say of a message through each connection."""
    rows = [
        NewNotification(None, "digest", name, medium, name, "a@example.com", DIGEST)
        for name in connections
    ]
    unnested = columns(rows, NewNotification)
    unnested["payload"] = [json.dumps(row.payload) for row in rows]
    with room.store.transaction():
        room.store.execute(INSERT_NOTIFICATIONS, dataset_id=room.dataset_id, **unnested)
    said = []
    for _ in connections:
        try:
            with masked_errors():
                deliver(room.store, room.config, sender(connections.__getitem__))
        except Exception as error:
            logging.getLogger("airflow.task").exception("failed")
            said.append(trace_of(error))
    outbox = room.rows("SELECT connection, attempts, last_error FROM tsad.notification")
    room.rows("DELETE FROM tsad.notification")
    assert {name for name, attempts, error in outbox if attempts and error} == set(connections)
    return "\n".join([*said, _read(log), *(error for _, _, error in outbox)])


@pytest.mark.parametrize(
    ("medium", "forms"),
    [
        ("email", SMTP),
        ("webhook", WEBHOOK),
        ("slack", WEBHOOK),
        ("pagerduty", WEBHOOK),
        ("apprise", APPRISE),
    ],
)
def test_a_receiver_that_is_not_reached_is_told_without_the_secret(
    room: Room,
    filled: Callable[[str], str],
    telltale: str,
    log: io.StringIO,
    medium: str,
    forms: dict[str, str],
) -> None:
    uris = {name: filled(form.replace("{server}", telltale)) for name, form in forms.items()}
    for name, uri in uris.items():
        masking._known.clear()
        masking._known_pattern.cache_clear()
        assert traces(delivered(room, medium, {name: uri}, log)) == [], name


@pytest.mark.parametrize(
    "extras",
    [
        {"Authorization": f"Bearer {SECRET}"},
        {"X-Api-Key": SECRET},
        {"X-Auth-Token": f"{SECRET}\n"},
        {"proxies": {"http": f"http://me:{SECRET}@127.0.0.1:1"}},
        {"proxies": {"http": f"http://me:a/{SECRET}@127.0.0.1:x"}},
        {"timeout": SECRET, "password": SECRET},
        {"cert": f"/nowhere/{SECRET}", "client_secret": SECRET},
    ],
    ids=str,
)
def test_what_stands_beside_a_connection_is_not_told(
    room: Room, telltale: str, log: io.StringIO, extras: dict[str, Any]
) -> None:
    connection = Connection(f"http://{telltale}/x", extras)
    assert traces(delivered(room, "webhook", {"web": connection}, log)) == []


@pytest.mark.parametrize("form", STORES)
def test_an_object_store_that_is_not_reached_is_told_without_its_secret(
    filled: Callable[[str], str],
    log: io.StringIO,
    form: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place, variables = STORES[form]
    always = {"AWS_ENDPOINT_URL_S3": "http://{at}", "AWS_SECRET_ACCESS_KEY": "x"}
    always |= {"AWS_ACCESS_KEY_ID": "me", "AWS_MAX_ATTEMPTS": "1", "AWS_DEFAULT_REGION": "eu"}
    for name, value in (always | variables).items():
        monkeypatch.setenv(name, filled(value))
    with pytest.raises(Exception) as raised, masked_errors():  # noqa: PT011
        artifact_path(filled(place)).joinpath("x").read_bytes()
    logging.getLogger("airflow.task").exception("failed", exc_info=raised.value)
    assert traces(trace_of(raised.value) + _read(log)) == []


def _refused(port: int) -> Iterator[BaseException]:
    """What drivers and clients say, each with a secret that nobody has learned."""
    import botocore.session
    import httpx
    import requests
    import sqlalchemy
    from botocore.config import Config
    from pydantic import BaseModel

    class Place(BaseModel):
        """What a library of somebody's may check."""

        port: int

    at = f"127.0.0.1:{port}"
    once = Config(retries={"total_max_attempts": 1}, connect_timeout=1)
    keys = {"aws_access_key_id": "me", "aws_secret_access_key": SECRET, "region_name": "eu-west-1"}
    s3 = botocore.session.Session().create_client(
        "s3", endpoint_url=f"http://me:{SECRET}@{at}", config=once, **keys
    )
    presigned = f"http://{at}/b/k?X-Amz-Credential={SECRET}&X-Amz-Signature={SECRET}"
    engine = sqlalchemy.create_engine("sqlite://")
    asked = sqlalchemy.text(f"ALTER ROLE me PASSWORD '{SECRET}'")
    calls: list[Callable[[], object]] = [
        lambda: requests.get(presigned, timeout=1),
        lambda: requests.post(f"http://{at}/services/T0/B0/{SECRET}", timeout=1),
        lambda: requests.get(f"http://me:{SECRET}@[::1:{port}", timeout=1),
        lambda: requests.get(presigned, proxies={"http": f"http://me:{SECRET}@{at}"}, timeout=1),
        lambda: httpx.get(presigned),
        lambda: httpx.get(f"http://me:{SECRET}@127.0.0.1:x/"),
        lambda: urllib.request.urlopen(f"http://me:{SECRET}@127.0.0.1:x/"),
        lambda: s3.list_objects_v2(Bucket="b"),
        lambda: psycopg2.connect(f"postgresql://me:a@{SECRET}@{at}:x/d"),
        lambda: psycopg2.connect(f"postgresql//me:{SECRET}@{at}/d"),
        lambda: sqlalchemy.make_url(f"postgresql://me:{SECRET}@{at}:x/d"),
        lambda: engine.connect().execute(asked),
        lambda: Place.model_validate({"port": f"postgresql://me:{SECRET}@{at}"}),
        lambda: {}[f"postgresql://me:{SECRET}@{at}"],
        lambda: Path(f"/nowhere/postgresql:/me:{SECRET}@{at}").read_text(),
        lambda: int(f"postgresql://me:{SECRET}@{at}"),
        lambda: f"token={SECRET}".encode().decode("utf-16"),
        lambda: json.loads(f"password={SECRET}"),
        lambda: smtplib.SMTP(f"me:{SECRET}@127.0.0.1", port, timeout=1),
    ]
    for call in calls:
        try:
            call()
        except Exception as error:
            yield error
    refused = smtplib.SMTPAuthenticationError(535, f"AUTH PLAIN password={SECRET}".encode())
    yield refused
    yield ExceptionGroup("both", [ValueError(f"token={SECRET}"), refused])
    noted = ValueError("no")
    noted.add_note(f"while asking postgresql://me:{SECRET}@{at}")
    yield noted


def _exits(error: Exception, room: Room, log: io.StringIO) -> dict[str, str]:
    """What is said of an error, by each way out."""
    said: dict[str, str] = {}
    with suppress(Exception), recorded(room.store, room.config, "exit", run_id="exits"):
        raise error
    said["row"] = str(room.rows("SELECT message FROM tsad.run_status WHERE run_id = 'exits'"))
    logging.getLogger("tsad").warning("%s", error)
    logging.getLogger("botocore").error("seen: %r", error)
    said["PDF"] = fonts.clean_text(str(error))
    try:
        try:
            raise TsadError(f"Expected nothing. Received: {error}.") from error
        except TsadError as ours:
            said["ours"] = str(ours)
            with masked_errors():
                raise
    except TsadError as shown:
        logging.getLogger("airflow.task").exception("failed", exc_info=shown)
        said["traceback"] = trace_of(shown)
    said["log"] = _read(log)
    return said


def _telling(said: dict[str, str]) -> list[str]:
    return [f"{way}: {found}" for way, text in said.items() for found in traces(text)]


def test_what_a_driver_says_leaves_without_its_secret(room: Room, log: io.StringIO) -> None:
    n_telling = 0
    for error in _refused(free_port()):
        kind = f"{type(error).__module__}.{type(error).__name__}: {error}"
        n_telling += traces(trace_of(error)) != []
        assert _telling(_exits(error, room, log)) == [], kind
    # The net is worth something: most of them do tell.
    assert n_telling >= 12


@pytest.mark.parametrize("form", SAID)
def test_a_secret_is_known_by_its_form(room: Room, log: io.StringIO, form: str) -> None:
    assert traces(SAID[form])
    assert traces(masked(SAID[form])) == []
    assert traces(masked(f"Received: {SAID[form]}. Try again.")) == []
    assert _telling(_exits(RuntimeError(SAID[form]), room, log)) == []


READABLE = [
    'connection to server at "127.0.0.1", port 5432 failed: Connection refused',
    'FATAL: password authentication failed for user "me"',
    'FATAL: no pg_hba.conf entry for host "10.0.0.7", user "me", database "plant", no encryption',
    "Expected a Postgres server at postgresql://me@h1:5432,h2:5433/plant?sslmode=require",
    "postgresql://[::1]:5432/plant",
    "http://127.0.0.1:9000/bucket/key.onnx?versionId=7",
    "s3://bucket/tsad/bundles/0f3c/model.onnx",
    "HTTPConnectionPool(host='127.0.0.1', port=9): Max retries exceeded with url: /bucket/key",
    "550 5.1.1 <nobody@example.com> no such user",
    "mailto:ada@example.com",
    "Key (dataset_id, key)=(1, k-1) already exists.",
    "room.yaml:11: training.max_minutes: Expected training.max_windows. Received: 5.",
    "2026-03-01T00:00:00+00:00 12:30 host-01: CPU rose to 97.1 %; 41.8 ± 3.0 % was expected",
    "a basic understanding of bearers",
    "tsad rescore plant --from 2024-05-01T09:00Z --to 2024-05-01T10:00Z",
]


@pytest.mark.parametrize("text", READABLE)
def test_a_text_without_a_secret_stays_as_it_is(text: str) -> None:
    masking.learn("postgresql://postgres:postgres@127.0.0.1:5432/plant")
    masking.learn("postgresql://me:plant@127.0.0.1:5432/plant")
    assert masked(text) == text


def test_every_message_of_the_pages_stays_as_it_is() -> None:
    for path in (project_folder() / "docs").rglob("*.md"):
        lines = path.read_text(encoding="utf-8").splitlines()
        changed = [line for line in lines if masked(line) != line and ":password@" not in line]
        assert changed == [], path


def test_host_port_user_and_database_are_said(
    tsad: Tsad, filled: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(form: str) -> str:
        monkeypatch.setenv("TSAD_DATABASE_URI", filled(POSTGRES[form]))
        return tsad("anomalies", "room").err

    at = filled("{at}")
    for form in ("plain", "encoded", "with a colon", "DSN", "DSN in quotes", "DSN with spaces"):
        assert f"postgresql://me:***@{at}/plant" in said(form)
    assert f"postgresql://me:***@{at},{at}/plant" in said("hosts")
    assert "percent-encoded" in said("with @")


def test_a_large_text_is_masked_in_no_time() -> None:
    for part in ("x", "a:", "://", "password", "'", "password='", "url: /", '{"pass": "', "\\"):
        masked(part * (20_000 // len(part)))
