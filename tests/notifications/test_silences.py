"""A machine that usually reports and stops is told once, and once when it is back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from tests.plants.lives import DAYS, MONDAY, Lives, hours, opened_lives
from tests.plants.mortal import FOREVER, Killed, MortalStore
from tests.plants.plant import Plant
from tsad_tasks.base.errors import Undelivered
from tsad_tasks.base.interval import HOUR
from tsad_tasks.config import DatasetConfig, NotificationsSection
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.ingest.queries import (
    INSERT_INVENTORY_RETIREMENTS,
    WITHDRAW_INVENTORY_RETIREMENTS,
)
from tsad_tasks.notifications.channels.base import Message
from tsad_tasks.notifications.notify import enqueue_silences, notify
from tsad_tasks.storage.store import Store

TOLD = {"targets": [{"webhook": "web"}]}
END = MONDAY + 10 * DAYS


@dataclass
class Watch:
    """Lives, and what people were told of them."""

    lives: Lives
    config: DatasetConfig
    told: list[str] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    def run(self, until_at: datetime) -> list[str]:
        """What a run tells that comes after everything was read up to a moment."""
        self.lives.read_until(until_at)

        def send(message: Message) -> None:
            self.messages.append(message)
            self.told.append(message.subject)

        n_before = len(self.told)
        notify(self.lives.store, self.config, send, end_at=until_at)
        return self.told[n_before:]

    def run_hours(self, start_at: datetime, n: int) -> list[tuple[int, str]]:
        """The same run by run, with after how many hours it was told."""
        return [(i, said) for i in range(n + 1) for said in self.run(start_at + i * HOUR)]


def configured(plant: Plant, **changes: Any) -> DatasetConfig:
    chosen = NotificationsSection.model_validate(TOLD | changes.pop("notifications", {}))
    return plant.config().model_copy(update={"notifications": chosen, **changes})


@pytest.fixture
def watch(empty_plant: Plant) -> Iterator[Watch]:
    with opened_lives(empty_plant) as lives:
        lives.live("other", hours(MONDAY, 24 * 90))
        yield Watch(lives, configured(empty_plant))


def test_a_host_that_stops_is_told_once_and_once_that_it_is_back(watch: Watch) -> None:
    watch.lives.live("host", hours(MONDAY, 240))
    assert watch.run_hours(END, 72) == [(3, "plant: host is silent")]
    watch.lives.live("host", [END + 72 * HOUR])
    assert watch.run(END + 73 * HOUR) == ["plant: host is back"]
    assert watch.run_hours(END + 74 * HOUR, 2) == []


def test_what_is_told_says_who_and_since_when(watch: Watch) -> None:
    watch.lives.live("host", hours(MONDAY, 240))
    watch.run(END + 3 * HOUR)
    (message,) = watch.messages
    said = "host is silent: nothing has come since 12 Mar 00:00, longer than is usual"
    assert message.payload["sentence"] == said
    assert message.text.startswith(
        f"{said}.\n\nDataset:   plant\nSince:     12 Mar 2026 00:00 (UTC"
    )
    assert message.payload["sql"].startswith("SELECT entity, state, silent_since, carrier")


def test_forty_sensors_behind_one_gateway_are_one_message(watch: Watch) -> None:
    """Though the last rows of half of them lie in the hour after."""
    for number in range(40):
        watch.lives.live(f"s-{number:02}", hours(MONDAY, 240 + number % 2))
    assert watch.run_hours(END, 48) == [(3, "plant: 40 entities are silent")]
    for number in range(40):
        watch.lives.live(f"s-{number:02}", [END + 48 * HOUR])
    assert watch.run(END + 49 * HOUR) == ["plant: 40 entities are back"]


def carried(watch: Watch, name: str, carrier: str, at: list[datetime]) -> None:
    key = watch.lives.live(name, at)
    watch.lives.run("INSERT INTO tsad.inventory (entity_id, carrier) VALUES (%s, %s)", key, carrier)


def test_what_two_gateways_carry_is_two_messages_that_name_them(watch: Watch) -> None:
    for number in range(6):
        carried(watch, f"s-{number}", f"gw-{number % 2}", hours(MONDAY, 240))
    assert sorted(watch.run(END + 3 * HOUR)) == [
        "plant: 3 entities behind gw-0 are silent",
        "plant: 3 entities behind gw-1 are silent",
    ]


def test_a_slower_sensor_of_a_gateway_that_is_told_adds_no_message(watch: Watch) -> None:
    carried(watch, "fast", "gw-1", hours(MONDAY, 240))
    carried(watch, "daily", "gw-1", hours(MONDAY, 10, every=24))
    assert watch.run_hours(END, 48) == [(3, "plant: fast behind gw-1 is silent")]
    assert watch.lives.run("SELECT count(*) FROM tsad.silent_entity") == [(2,)]
    for name in ("fast", "daily"):
        watch.lives.live(name, [END + 48 * HOUR])
    assert watch.run(END + 49 * HOUR) == ["plant: 2 entities behind gw-1 are back"]


def test_another_machine_that_stops_later_is_told_by_itself(watch: Watch) -> None:
    watch.lives.live("a", hours(MONDAY, 240))
    watch.lives.live("b", hours(MONDAY, 264))
    assert watch.run_hours(END, 48) == [(3, "plant: a is silent"), (27, "plant: b is silent")]


def test_a_dataset_of_which_nothing_is_heard_is_one_message_about_it(empty_plant: Plant) -> None:
    with opened_lives(empty_plant) as lives:
        watch = Watch(lives, configured(empty_plant))
        for number in range(30):
            carried(watch, f"m-{number}", f"gw-{number % 3}", hours(MONDAY, 240))
        watch.lives.live("daily", hours(MONDAY, 10, every=24))
        said = "plant: nothing is heard of any of 30 entities"
        assert watch.run_hours(END, 60) == [(3, said)]
        for number in range(30):
            lives.live(f"m-{number}", [END + 60 * HOUR])
        lives.live("daily", [END + 60 * HOUR])
        assert watch.run(END + 61 * HOUR) == ["plant: 31 entities are back"]


def test_some_that_stay_away_do_not_hold_back_that_the_others_are_there(watch: Watch) -> None:
    for number in range(4):
        watch.lives.live(f"s-{number}", hours(MONDAY, 240))
    watch.run(END + 3 * HOUR)
    for number in range(3):
        watch.lives.live(f"s-{number}", hours(END + 10 * HOUR, 9))
    assert watch.run_hours(END + 11 * HOUR, 6) == [(3, "plant: 3 entities are back")]
    assert watch.messages[-1].payload["still_silent"] == ["s-3"]
    watch.lives.live("s-3", [END + 20 * HOUR])
    watch.lives.live("s-0", hours(END + 19 * HOUR, 2))
    watch.lives.live("s-1", hours(END + 19 * HOUR, 2))
    watch.lives.live("s-2", hours(END + 19 * HOUR, 2))
    assert watch.run(END + 21 * HOUR) == ["plant: s-3 is back"]


def test_short_lived_hosts_and_one_that_sent_one_row_are_not_told(watch: Watch) -> None:
    for number in range(20):
        watch.lives.live(f"i-{number}", hours(MONDAY + number * 9 * HOUR, 5))
    watch.lives.live("once", [END])
    assert watch.run_hours(MONDAY + 100 * HOUR, 240) == []


def test_a_press_that_is_off_every_weekend_is_not_told_and_its_absence_on_tuesday_is(
    watch: Watch,
) -> None:
    weeks = [at for at in hours(MONDAY, 24 * 35) if at.weekday() < 5]
    stops_at = MONDAY + 22 * DAYS + 10 * HOUR
    watch.lives.live("press", [at for at in weeks if at < stops_at])
    told = watch.run_hours(MONDAY + 14 * DAYS, 24 * 9)
    assert told == [(8 * 24 + 10 + 3, "plant: press is silent")]


def test_a_sensor_that_reports_once_a_day_is_told_after_it_missed_one(watch: Watch) -> None:
    watch.lives.live("daily", hours(MONDAY, 10, every=24))
    last_at = MONDAY + 9 * DAYS + HOUR
    assert watch.run_hours(last_at, 40) == [(35, "plant: daily is silent")]


def test_what_fell_silent_long_ago_is_no_news(watch: Watch) -> None:
    watch.lives.live("host", hours(MONDAY, 240))
    assert watch.run(END + 60 * HOUR) == []


def test_a_dataset_that_wants_no_word_of_silence_gets_none(watch: Watch) -> None:
    watch.config = configured(watch.lives.plant, notifications={"silence": False})
    watch.lives.live("host", hours(MONDAY, 240))
    assert watch.run(END + 3 * HOUR) == []


def test_a_machine_that_is_retired_while_it_is_silent_is_not_back(watch: Watch) -> None:
    watch.lives.live("host", hours(MONDAY, 240))
    watch.run(END + 3 * HOUR)
    watch.lives.run("SELECT tsad.retire_entity('plant', 'host', 'scrapped')")
    assert watch.run_hours(END + 4 * HOUR, 5) == []
    assert watch.lives.run("SELECT is_back FROM tsad.silent_entity") == [(False,)]


def maintain(watch: Watch, start_at: datetime, n_hours: int, entity: str | None = "host") -> None:
    watch.lives.run(
        "SELECT tsad.add_maintenance('plant', %s, %s, 'overhaul', entity => %s)",
        start_at,
        start_at + n_hours * HOUR,
        entity,
    )


@pytest.mark.parametrize("entity", ["host", None])
def test_one_that_stops_in_maintenance_and_is_back_with_its_end_is_not_told(
    watch: Watch, entity: str | None
) -> None:
    watch.lives.live("host", [*hours(MONDAY, 240), *hours(END + 10 * HOUR, 24)])
    maintain(watch, END - HOUR / 2, 10, entity)
    assert watch.run_hours(END, 30) == []


@pytest.mark.parametrize("n_hours", [10, 24 * 7])
@pytest.mark.parametrize("stops_at", [END - HOUR / 2, END - 2 * DAYS])
def test_one_that_stops_in_maintenance_and_stays_away_is_told_after_it(
    watch: Watch, stops_at: datetime, n_hours: int
) -> None:
    """As long after the window's end as it is usually quiet, however long the window was."""
    watch.lives.live("host", hours(MONDAY, 240))
    maintain(watch, stops_at, n_hours)
    missed_from = max(END, stops_at + n_hours * HOUR)
    first_run = math.ceil((missed_from + 3 * HOUR - END) / HOUR)
    assert watch.run_hours(END, 24 * 8) == [(first_run, "plant: host is silent")]


def test_a_window_over_the_hour_that_misses_it_does_not_make_it_old(watch: Watch) -> None:
    watch.lives.live("host", hours(MONDAY, 240))
    maintain(watch, END + 2 * HOUR, 24 * 7)
    assert watch.run_hours(END, 24 * 8) == [(24 * 7 + 2, "plant: host is silent")]


def test_one_that_stopped_before_a_window_is_told_after_it(watch: Watch) -> None:
    watch.lives.live("host", hours(MONDAY, 240))
    maintain(watch, END + 2 * HOUR, 8)
    assert watch.run_hours(END, 30) == [(10, "plant: host is silent")]


def write_rows(plant: Plant) -> None:
    plant.run(
        "CREATE TABLE reading (at timestamptz, machine text, temp float8, load float8);"
        "INSERT INTO reading SELECT '2026-03-02 00:05Z'::timestamptz + i * interval '10 minutes', "
        "m, 20, CASE WHEN m = 'press' AND i >= 590 THEN 0 ELSE 5 END "
        "FROM generate_series(0, 599) i, unnest(ARRAY['press', 'pump']) m;"
        "INSERT INTO reading SELECT at + i * interval '10 minutes', 'other', 20, 5 FROM "
        "(SELECT max(at) AS at FROM reading) r, generate_series(-600, 300) i"
    )


def test_one_that_was_off_before_it_fell_silent_is_not_told(empty_plant: Plant) -> None:
    write_rows(empty_plant)
    config = configured(empty_plant, running_when="load > 1")
    told: list[str] = []
    with Store.connect(empty_plant.warehouse_uri) as store:
        of = store, config, empty_plant.source_uri
        ingest_interval(*of, start_at=MONDAY, end_at=MONDAY + 104 * HOUR)
        notify(store, config, lambda one: told.append(one.subject), end_at=MONDAY + 104 * HOUR)
    assert told == ["plant: pump is silent"]


def test_late_rows_after_it_was_told_neither_repeat_nor_end_it(watch: Watch) -> None:
    watch.lives.live("host", hours(MONDAY, 240))
    watch.run(END + 3 * HOUR)
    watch.lives.live("host", [END + HOUR])
    assert watch.run_hours(END + 5 * HOUR, 3) == []


@pytest.mark.parametrize("n_moment", range(5))
def test_a_kill_loses_no_message_and_doubles_none(watch: Watch, n_moment: int) -> None:
    watch.lives.live("host", hours(MONDAY, 240))
    watch.lives.read_until(END + 3 * HOUR)
    for n_left in (n_moment, FOREVER):
        with MortalStore.connect(watch.lives.plant.warehouse_uri) as store, suppress(Killed):
            store.n_left = n_left
            enqueue_silences(store, watch.config)
    assert watch.run(END + 4 * HOUR) == ["plant: host is silent"]


def test_what_is_not_taken_is_tried_again(watch: Watch) -> None:
    watch.lives.live("host", hours(MONDAY, 240))
    watch.lives.read_until(END + 3 * HOUR)

    def refuse(_: Message) -> None:
        raise Undelivered("busy")

    notify(watch.lives.store, watch.config, refuse, end_at=END)
    watch.lives.run("UPDATE tsad.notification SET next_attempt_at = '-infinity'")
    assert watch.run(END + 4 * HOUR) == ["plant: host is silent"]


def test_more_silences_than_a_run_may_tell_are_one_digest(watch: Watch) -> None:
    watch.config = configured(watch.lives.plant, notifications={"max_per_run": 2})
    for number in range(3):
        carried(watch, f"s-{number}", f"gw-{number}", hours(MONDAY, 240))
    assert watch.run(END + 3 * HOUR) == ["plant: 3 events: 3 silent"]
    assert "s-1 behind gw-1 is silent" in watch.messages[0].text


def test_a_renamed_host_is_one_that_stopped_and_a_new_one(watch: Watch) -> None:
    """In a plain table nothing says that they are one; a person may retire the old name."""
    watch.lives.live("old", hours(MONDAY, 240))
    watch.lives.live("new", hours(END, 80))
    assert watch.run_hours(END, 72) == [(3, "plant: old is silent")]
    watch.lives.run("SELECT tsad.retire_entity('plant', 'old', 'is called new')")
    assert watch.run_hours(END + 73 * HOUR, 3) == []


def test_one_whose_series_have_another_name_by_the_dictionary_is_retired(watch: Watch) -> None:
    watch.lives.live("old", hours(MONDAY, 240))
    watch.lives.live("new", hours(END, 80))
    dataset_id = watch.lives.dataset_id
    for name, span in (("old", (None, END)), ("new", (END, None))):
        watch.lives.run(
            "INSERT INTO tsad.series VALUES (%s, 'plant', '7', %s, 'temp', 1, 0, %s, %s)",
            dataset_id,
            name,
            *span,
        )
    with watch.lives.store.transaction():
        of = {"dataset_id": dataset_id}
        watch.lives.store.execute(INSERT_INVENTORY_RETIREMENTS, **of)
        watch.lives.store.execute(WITHDRAW_INVENTORY_RETIREMENTS, **of)
    assert watch.run_hours(END, 24) == []
    assert watch.lives.states() == {"new": "alive", "old": "retired", "other": "alive"}
