"""Messages sent in Airflow over its connections, to real servers that misbehave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.environment import Places, airflow_environment, ensure_secrets
from devstack.postgres import ROLES, Cluster
from tests.receivers import BUSY, DROPPED, UNKNOWN, Running, mail_server, plain_text, webhook
from tsad_tasks.base.places import project_folder

MESSAGE = {
    "key": "k-1",
    "address": "shift@example.com",
    "subject": "hall: ü",
    "text": "Kühlraum <1>: 9 °C\n",
    "payload": {"event": "opened", "thread": "t-1"},
}
MAIL, WEB = {"medium": "email", "connection": "mail"}, {"medium": "webhook", "connection": "web"}
SENT = [
    MAIL,
    MAIL,
    MAIL,
    WEB,
    WEB,
    WEB,
    WEB,
    {**MAIL, "connection": "none"},
    {**WEB, "connection": "none"},
]


@pytest.fixture(scope="module")
def mail() -> Iterator[Running]:
    with mail_server() as running:
        running.receiver.faults = [UNKNOWN, DROPPED]
        yield running


@pytest.fixture(scope="module")
def web() -> Iterator[Running]:
    with webhook() as running:
        running.receiver.faults = [UNKNOWN, BUSY, DROPPED]
        yield running


@pytest.fixture(scope="module")
def said(
    tmp_path_factory: pytest.TempPathFactory, mail: Running, web: Running
) -> subprocess.CompletedProcess[str]:
    home = tmp_path_factory.mktemp("home")
    places, (kept, _) = Places.of(project_folder(), home), ensure_secrets(home)
    nobody = Cluster(home, home, 9, dict.fromkeys(ROLES, "unused"))
    options = {
        "from_email": "tsad@example.com",
        "disable_ssl": True,
        "disable_tls": True,
        "retry_limit": 0,
    }
    connections = {
        "AIRFLOW_CONN_MAIL": {
            "conn_type": "smtp",
            "host": "127.0.0.1",
            "port": mail.port,
            "extra": options,
        },
        "AIRFLOW_CONN_WEB": {
            "conn_type": "http",
            "host": f"http://127.0.0.1:{web.port}/hooks/to-ken",
        },
    }
    environment = airflow_environment(places, kept, nobody, os.environ)
    environment |= {name: json.dumps(connection) for name, connection in connections.items()}
    environment["PYTHONPATH"] = str(project_folder() / "plugins")
    program = [sys.executable, str(Path(__file__).with_name("send_by_airflow.py"))]
    messages = json.dumps([MESSAGE | to for to in SENT])
    run = subprocess.run(
        program, env=environment, input=messages, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-4000:]
    return run


def test_each_answer_becomes_one_of_ours(said: subprocess.CompletedProcess[str]) -> None:
    assert [line.split(":")[0] for line in said.stdout.splitlines()[: len(SENT)]] == [
        "Refused",
        "Unreachable",
        "sent",
        "Refused",
        "Undelivered",
        "Unreachable",
        "sent",
        "Unreachable",
        "Unreachable",
    ]


def test_both_carry_the_key_and_the_text(
    said: subprocess.CompletedProcess[str], mail: Running, web: Running
) -> None:
    email, content = mail.receiver.said[-1], web.receiver.said[-1]
    assert (email["Message-ID"], email["Subject"], email["To"]) == (
        "<k-1@notification.tsad>",
        "hall: ü",
        "shift@example.com",
    )
    assert "Kühlraum <1>: 9 °C" in plain_text(email)
    assert (content["headers"]["Idempotency-Key"], content["text"], content["event"]) == (
        "k-1",
        MESSAGE["text"],
        "opened",
    )


def test_the_secret_of_a_webhook_is_told_nowhere(said: subprocess.CompletedProcess[str]) -> None:
    assert "to-ken" not in said.stdout + said.stderr


def test_neither_a_backfill_nor_a_replay_notifies(said: subprocess.CompletedProcess[str]) -> None:
    assert set(said.stdout.splitlines()[len(SENT) :]) == {
        "Replays notify nobody, and backfills only with notify: true."
    }
