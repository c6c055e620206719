"""A new channel of notifications is one file: a pinboard, registered and told of an incident."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.notifications.test_notify import Hall, Span, hall, opened_hall
from tsad_tasks.base.errors import ConfigError, Unreachable
from tsad_tasks.base.variants import CHANNELS
from tsad_tasks.cli import main
from tsad_tasks.config import load_config
from tsad_tasks.notifications.channels.base import (
    Connection,
    Message,
    NotificationChannel,
    register,
    sender,
)

__all__ = ["hall", "opened_hall"]


class Pinboard(NotificationChannel):
    """A slip of paper a message, in a folder; an address is the name of a board."""

    def check_address(self, address: str) -> None:
        if not address.isalpha():
            raise ValueError("the name of a board, in letters")

    def send(self, message: Message, connection: Connection) -> None:
        board = Path(urlsplit(connection.uri).path) / message.address
        if not board.is_dir():
            raise Unreachable(f"Expected a board at connection {message.connection}.")
        board.joinpath(message.key).write_text(f"{message.subject}\n{message.text}")


@pytest.fixture
def room(hall: Hall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset file that tells the board `hallway`, and the board's folder."""
    monkeypatch.setattr(CHANNELS, "_variants", {name: CHANNELS[name] for name in CHANNELS})
    register("pinboard")(Pinboard)
    monkeypatch.setenv("TSAD_DATASETS", str(tmp_path))
    monkeypatch.setenv("TSAD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TSAD_DATABASE_URI", hall.room.uri)
    monkeypatch.setenv("TSAD_CONNECTION_BOARDS", f"file://{tmp_path}")
    _write(tmp_path, {"channel": "pinboard", "to": ["hallway"], "connection": "boards"})
    return tmp_path


def _write(folder: Path, target: dict[str, Any]) -> Path:
    source = {"connection": "room", "tables": "reading", "time": {"column": "at"}}
    source |= {"entity": {"column": "host"}, "channels": {"cpu": {}}, "step": "30min"}
    told = {"targets": [target], "max_age": "36500d"}
    path = folder / "room.yaml"
    path.write_text(yaml.safe_dump({"dataset": "room", "source": source, "notifications": told}))
    return path


def _notify(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["tsad", "notify", "room"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code


def test_a_new_channel_is_told_of_an_incident_by_the_command(
    hall: Hall, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hall.becomes(Span(0, 1, "HIGH"))
    _notify(monkeypatch)
    sent = hall.rows("medium", "connection", "address", "state", "last_error")
    assert sent == [
        ("pinboard", "boards", "hallway", "pending", "Expected a board at connection boards.")
    ]
    room.joinpath("hallway").mkdir()
    hall.ask("UPDATE tsad.notification SET next_attempt_at = '-infinity'")
    _notify(monkeypatch)
    (slip,) = room.joinpath("hallway").iterdir()
    assert slip.read_text().startswith("room: HIGH incident at a\n")


def test_a_trial_by_the_command_says_what_came_of_it_and_leaves_no_row(
    hall: Hall, room: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def tried() -> object:
        monkeypatch.setattr(sys, "argv", ["tsad", "notify", "room", "--try"])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    assert tried() == 2
    said = capsys.readouterr()
    assert "Expected a board at connection boards." in said.out
    assert "Received: 1 of 1 not taken." in said.err
    room.joinpath("hallway").mkdir()
    assert not tried()
    (slip,) = room.joinpath("hallway").iterdir()
    assert slip.read_text().startswith("room: test message\nThis test message of room;")
    assert hall.rows("event") == []


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (
            {"channel": "pin_board", "connection": "boards"},
            "channel: Expected one of apprise, email, pagerduty, pinboard, slack, webhook. "
            "Received: pin_board.",
        ),
        (
            {"channel": "pinboard", "to": ["hall 7"], "connection": "boards"},
            "to.0: Expected the name of a board, in letters. Received: hall 7.",
        ),
        (
            {"channel": "pinboard", "to": ["hallway"]},
            "connection: Expected the id of the channel's connection. Received: nothing.",
        ),
        ({"webhook": "chat", "to": ["x"]}, "to: Expected no such field without channel. Received"),
    ],
)
def test_a_wrong_target_is_found_when_the_file_is_read(
    room: Path, target: dict[str, Any], text: str
) -> None:
    with pytest.raises(ConfigError, match=r"notifications\.targets\.0") as caught:
        load_config(_write(room, target))
    assert text in str(caught.value)


def test_a_message_of_a_channel_that_is_gone_waits_and_says_so() -> None:
    message = Message("k", "fax", "there", "1", "s", "t", {})
    with pytest.raises(
        Unreachable,
        match="Expected a notification channel: apprise, email, pagerduty, slack, webhook",
    ):
        sender(lambda _: "file:///")(message)
