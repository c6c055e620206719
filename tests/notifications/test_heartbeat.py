"""After each interval that was scored whoever watches us gets a sign of life."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.monitoring.test_health import room, scored
from tests.receivers import BUSY, Running, webhook
from tests.storage.rooms import Room
from tsad_tasks.base.clock import utc_now
from tsad_tasks.base.interval import HOUR, hour_floor
from tsad_tasks.config import NotificationsSection
from tsad_tasks.notifications.channels.base import sender
from tsad_tasks.notifications.notify import notify

__all__ = ["room"]

NOW = hour_floor(utc_now())


@pytest.fixture
def monitor() -> Iterator[Running]:
    with webhook() as running:
        yield running


def run(room: Room, monitor: Running, method: str = "get", end_at: datetime = NOW) -> Any:
    """What arrives after the interval that ends then."""
    said = {"heartbeat": {"connection": "kuma", "method": method}}
    told = NotificationsSection.model_validate(said)
    config = room.config.model_copy(update={"notifications": told})
    send = sender(lambda _: f"http://127.0.0.1:{monitor.port}/api/push/42?status=up")
    counts = notify(room.store, config, send, end_at=end_at)
    found = monitor.receiver.said
    assert counts["n_heartbeats"] == len(found)
    return found


def test_a_plain_get_is_enough_for_most(room: Room, monitor: Running) -> None:
    scored(room, NOW)
    (found,) = run(room, monitor)
    assert found["path"] == "/api/push/42?status=up"


def test_or_json_that_says_how_the_dataset_is(room: Room, monitor: Running) -> None:
    scored(room, NOW)
    (found,) = run(room, monitor, "post")
    said = {name: found[name] for name in ("event", "dataset", "state", "scored_until", "n_live")}
    assert said == {
        "event": "heartbeat",
        "dataset": "room",
        "state": "ok",
        "scored_until": NOW.isoformat(),
        "n_live": 1,
    }


def test_or_what_a_pushgateway_takes(room: Room, monitor: Running) -> None:
    scored(room, NOW)
    (found,) = run(room, monitor, "metrics")
    lines = found["text"].splitlines()
    assert lines[0] == f'tsad_scored_until_seconds{{dataset="room"}} {int(NOW.timestamp())}'
    assert found["headers"]["Content-Type"].startswith("text/plain")


def test_an_interval_that_was_not_scored_has_none(room: Room, monitor: Running) -> None:
    scored(room, NOW - HOUR)
    assert run(room, monitor) == []
    assert len(run(room, monitor, end_at=NOW - HOUR)) == 1


def test_one_that_is_not_taken_stops_nothing_and_is_logged_without_its_address(
    room: Room, monitor: Running, caplog: pytest.LogCaptureFixture
) -> None:
    scored(room, NOW)
    monitor.receiver.faults = [BUSY]
    with caplog.at_level(logging.WARNING, "tsad"):
        assert run(room, monitor) == []
    assert "room: the heartbeat was not taken: Expected 2xx of the webhook kuma" in caplog.text
    assert "push/42" not in caplog.text
