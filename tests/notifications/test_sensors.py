"""A sensor that is out of order is told once, to who looks after sensors."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devstack.postgres import Cluster
from tests.plants.mortal import FOREVER, Killed, MortalStore
from tests.plants.signals import Signals, day, signals, steps
from tests.plants.weeks import CONFIG
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.notifications.channels.base import Message
from tsad_tasks.notifications.messages import body, digest_payload
from tsad_tasks.notifications.notify import enqueue_sensors, notify
from tsad_tasks.notifications.sensors import (
    TroubledSensor,
    looked_span,
    sensors_payload,
    told_of_sensors,
)
from tsad_tasks.storage.store import Store

Open = Callable[..., AbstractContextManager[Signals]]
OWNER = {"owner": "ada@example.com"}
SHIFT, DAILY = {"webhook": "shift"}, {"email": ["plant@example.com"], "digest": "0 5 * * *"}


@pytest.fixture
def plant_of(cluster: Cluster, template_database: str, tmp_path: Path) -> Open:
    def plant(*spans: tuple[float, float], **told: Any) -> AbstractContextManager[Signals]:
        """Two machines of two sensors; the vane of u1 stands still in some days."""
        values = np.random.default_rng(7).normal(50, 5, (2, steps(14), 2))
        for start, end in spans:
            values[0, steps(start) : steps(end), 0] = 41.5
        wanted = {"targets": [SHIFT], "silence": False} | OWNER | told
        channels: dict[str, dict[str, Any]] = {"vane": {}, "flow": {}}
        return signals(cluster, template_database, tmp_path, channels, values, notifications=wanted)

    return plant


def read(plant: Signals, start: float, end: float) -> None:
    with Store.connect(plant.uri) as store:
        ingest_interval(store, plant.config, plant.uri, start_at=day(start), end_at=day(end))


def told(plant: Signals, until: float) -> list[Message]:
    """What a run tells that ends there."""
    messages: list[Message] = []
    with Store.connect(plant.uri) as store:
        notify(store, plant.config, messages.append, end_at=day(until))
    return messages


def test_a_vane_that_stands_still_is_told_once_to_the_owner(plant_of: Open) -> None:
    with plant_of((3, 9)) as plant:
        read(plant, 0, 3.04)
        assert told(plant, 3.04) == []
        read(plant, 3.04, 4)
        (message,) = told(plant, 4)
        ((since_at, verdict),) = plant.execute(
            "SELECT min(hour_at), (array_agg(verdict ORDER BY hour_at DESC))[1] FROM tsad.v_quality"
        )
        words = {"stuck": "is stuck at one value", "constant": "does not move"}[verdict]
        said = f"u1: vane {words} since {since_at:%-d %b %H:%M}"
        assert message.address == "ada@example.com"
        assert message.subject == "signals: sensor vane of u1 is out of order"
        assert message.text.startswith(f"{said}.\n\nIt is about sensors, not machines")
        assert "FROM tsad.v_quality WHERE dataset = 'signals'" in message.text
        for start, end in ((4, 4.5), (4.5, 6), (6, 8.5)):
            read(plant, start, end)
            assert told(plant, end) == []


@pytest.mark.parametrize("max_age", ["1h", "2d", "14d"])
def test_one_that_was_well_for_a_week_is_told_again(plant_of: Open, max_age: str) -> None:
    with plant_of((2, 3), (11.5, 13), max_age=max_age) as plant:
        read(plant, 0, 3)
        assert len(told(plant, 3)) == 1
        read(plant, 3, 11.5)
        assert told(plant, 11.5) == []
        read(plant, 11.5, 13)
        assert len(told(plant, 13)) == 1


def test_what_is_over_when_it_is_told_is_told_as_what_was(plant_of: Open) -> None:
    with plant_of((3, 3.5)) as plant:
        read(plant, 0, 4)
        (message,) = told(plant, 4)
    assert message.subject == "signals: sensor vane of u1 was out of order"
    assert message.text.startswith("u1: vane did not move from 5 Mar 01:00 to 5 Mar 12:00.")


def test_a_digest_names_the_sensors_that_were_found_together() -> None:
    found = [
        TroubledSensor(i // 2, f"u{i // 2}", i, f"c{i}", "dead", day(3), day(4), None)
        for i in range(7)
    ]
    looked = looked_span(day(4), 172800)
    events = [
        sensors_payload("signals", "UTC", "thread", some, looked) for some in (found, found[:1])
    ]
    text = body(digest_payload("signals", "UTC", events))
    together = "c0 of u0, c1 of u0, c2 of u1, c3 of u1, c4 of u2 and 2 more"
    assert f"7 sensors of 4 machines are out of order: {together}" in text
    assert "u0: c0 gives no values since 5 Mar 00:00" in text


def test_a_run_over_the_past_tells_no_history(plant_of: Open) -> None:
    with plant_of((2, 3)) as plant:
        read(plant, 0, 8)
        assert told(plant, 3) == []


@pytest.mark.parametrize("how", ["off", "over", "maintenance", "routed"])
def test_what_nobody_wants_to_hear_is_not_told(plant_of: Open, how: str) -> None:
    wanted: dict[str, Any] = {"sensors": False} if how == "off" else {}
    if how == "routed":
        wanted = {"owner": None, "targets": [SHIFT | {"entities": ["u2"]}]}
    with plant_of((3, 4), **wanted) as plant:
        read(plant, 0, 5.5 if how == "over" else 4)
        if how == "maintenance":
            add = "SELECT tsad.add_maintenance('signals', %s, %s, 'trials')"
            plant.execute(add, day(2.5), day(4.5))
        assert told(plant, 5.5 if how == "over" else 4) == []


@pytest.mark.parametrize(
    ("notifications", "addresses"),
    [
        (OWNER | {"targets": [SHIFT, DAILY]}, ["ada@example.com", "plant@example.com"]),
        ({"targets": [SHIFT, DAILY]}, ["plant@example.com"]),
        ({"targets": [SHIFT, {"channel": "pagerduty", "connection": "pager"}]}, ["shift"]),
        (OWNER | {"targets": []}, ["ada@example.com"]),
        (OWNER | {"targets": [SHIFT], "mode": "rehearsal"}, ["ada@example.com"]),
        ({"targets": []}, []),
    ],
)
def test_it_goes_to_who_looks_after_sensors(
    notifications: dict[str, Any], addresses: list[str]
) -> None:
    fields = CONFIG | {"dataset": "signals", "notifications": notifications}
    config = DatasetConfig.model_validate(fields)
    found = told_of_sensors(config)
    assert [one.to.address or one.to.connection for one in found] == addresses


@pytest.mark.parametrize("n_moment", range(5))
def test_a_kill_loses_no_message_and_doubles_none(plant_of: Open, n_moment: int) -> None:
    with plant_of((3, 9)) as plant:
        read(plant, 0, 4)
        for n_left in (n_moment, FOREVER):
            with MortalStore.connect(plant.uri) as store, suppress(Killed):
                store.n_left = n_left
                enqueue_sensors(store, plant.config, end_at=day(4))
        assert len(told(plant, 4.1)) == 1
