"""A condition that training never saw is told once, however long it lasts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from devstack.postgres import Cluster
from tests.plants.mortal import FOREVER, Killed, MortalStore
from tests.plants.signals import Signals, day, signals, steps
from tests.scoring.test_conditions import SIGMA, by_hours, heated
from tsad_tasks.base.arrays import Floats64
from tsad_tasks.notifications.channels.base import Message
from tsad_tasks.notifications.notify import enqueue_outside, notify
from tsad_tasks.storage.store import Store

TRAINED = 10
Open = Callable[..., AbstractContextManager[Signals]]


@pytest.fixture
def plant_of(cluster: Cluster, template_database: str, tmp_path: Path) -> Open:
    def plant(values: Floats64, role: str, **notifications: Any) -> AbstractContextManager[Signals]:
        channels: dict[str, dict[str, Any]] = {"target": {"role": role}, "temp": {}, "flow": {}}
        told = {"targets": [{"webhook": "web"}], "silence": False} | notifications
        more = SIGMA | {"notifications": told}
        return signals(cluster, template_database, tmp_path, channels, values, **more)

    return plant


def outside(*spans: tuple[float, float], entity: int | None = None) -> Floats64:
    """Rooms whose target is far beyond what training saw in some days; one of them, or both."""
    target = by_hours()
    both = heated(target)
    for start, end in spans:
        rooms = slice(None) if entity is None else slice(entity, entity + 1)
        both[rooms, steps(start) : steps(end), 0] = 35.0
    return both


def told(plant: Signals, until: float) -> list[Message]:
    """What a run tells that ends there."""
    messages: list[Message] = []
    with Store.connect(plant.uri) as store:
        notify(store, plant.config, messages.append, end_at=day(until))
    return [one for one in messages if one.payload["event"] == "outside_experience"]


def told_by(plant: Signals, cuts: list[float]) -> list[tuple[float, str]]:
    """After which day what was told, by runs one after the other."""
    found = []
    for start, end in pairwise(cuts):
        plant.score(start, end)
        found += [(end, one.subject) for one in told(plant, end)]
    return found


def test_three_days_outside_are_one_message_about_both_rooms(plant_of: Open) -> None:
    with plant_of(outside((11, 14)), "setpoint") as plant:
        plant.train(TRAINED)
        plant.score(10, 11.25)
        (message,) = told(plant, 11.25)
        said = (
            "target of 2 entities is outside of what training saw since 13 Mar 00:00: "
            "incidents there are LOW at most"
        )
        assert message.payload["sentence"] == said
        assert message.payload["entities"] == ["u1", "u2"]
        assert message.subject == ("signals: target of 2 entities is outside of what training saw")
        assert message.text.startswith(f"{said}.\n\nNobody knows")
        assert "FROM tsad.v_outside_experience WHERE dataset = 'signals'" in message.text
        assert told_by(plant, [11.25, 11.5, 12, 13, 15]) == []


def test_each_time_is_told(plant_of: Open) -> None:
    with plant_of(outside((11, 11.5), (14, 14.5), entity=0), "load") as plant:
        plant.train(TRAINED)
        said = "signals: target of u1 is outside of what training saw"
        cuts = [10, 11.25, 12, 13, 14.25, 15]
        assert told_by(plant, cuts) == [(11.25, said), (14.25, said)]


@pytest.mark.parametrize(("role", "n_more"), [("ambient", 0), ("load", 1)])
def test_weather_is_told_once_a_day_though_it_comes_to_others_later(
    plant_of: Open, role: str, n_more: int
) -> None:
    values = outside((11, 12.5), entity=0)
    values[1, steps(11.25) : steps(12.5), 0] = 35.0
    with plant_of(values, role) as plant:
        plant.train(TRAINED)
        assert [at for at, _ in told_by(plant, [10, 11.2])] == [11.2]
        assert len(told_by(plant, [11.2, 11.5, 12, 13])) == n_more


@pytest.mark.parametrize("how", ["off", "old", "maintenance"])
def test_what_nobody_wants_to_hear_is_not_told(plant_of: Open, how: str) -> None:
    wanted = {"outside_experience": False} if how == "off" else {}
    with plant_of(outside((11, 12)), "setpoint", **wanted) as plant:
        plant.train(TRAINED)
        plant.score(10, 15)
        if how == "maintenance":
            add = "SELECT tsad.add_maintenance('signals', %s, %s, 'trials')"
            plant.execute(add, day(10.5), day(12.5))
        assert told(plant, 15 if how == "old" else 12) == []


@pytest.mark.parametrize("n_moment", range(5))
def test_a_kill_loses_no_message_and_doubles_none(plant_of: Open, n_moment: int) -> None:
    with plant_of(outside((11, 12)), "setpoint") as plant:
        plant.train(TRAINED)
        plant.score(10, 11.5)
        for n_left in (n_moment, FOREVER):
            with MortalStore.connect(plant.uri) as store, suppress(Killed):
                store.n_left = n_left
                enqueue_outside(store, plant.config, end_at=day(11.5))
        assert len(told(plant, 12)) == 1
