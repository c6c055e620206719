"""Lives of entities: what is silent, retired and alive is derived from the hours with rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import permutations

import psycopg2
import pytest

from tests.plants.lives import DAYS, MONDAY, Lives, hours, opened_lives
from tests.plants.plant import Plant
from tsad_tasks.base.interval import HOUR
from tsad_tasks.storage.lives import counted_hours, living_entities


@pytest.fixture
def lives(empty_plant: Plant) -> Iterator[Lives]:
    with opened_lives(empty_plant) as lives:
        yield lives


def test_lives_are_the_same_in_any_order_of_runs(lives: Lives) -> None:
    """Over the end of a month, with a gap, and read twice."""
    chunks = [hours(datetime(2026, 3, 31, 20, tzinfo=UTC) + i * 3 * HOUR, 3) for i in range(4)]
    found = set()
    for order in permutations([*chunks[:1], *chunks[2:], chunks[0]]):
        for number, chunk in enumerate(order):
            lives.live("host", chunk[number % 2 :] if number < 0 else chunk)
        found.add(
            str(lives.run("SELECT month_at, hours::text FROM tsad.entity_life ORDER BY month_at"))
        )
        lives.run("DELETE FROM tsad.entity_life")
    assert len(found) == 1
    assert "2026-04-01 08:00:00+00" in found.pop()


def test_what_is_known_already_writes_nothing(lives: Lives) -> None:
    lives.live("host", hours(MONDAY, 5))
    before = lives.run("SELECT xmin::text, hours::text FROM tsad.entity_life")
    lives.live("host", hours(MONDAY, 3))
    assert lives.run("SELECT xmin::text, hours::text FROM tsad.entity_life") == before


def test_a_host_is_silent_after_three_hours_and_alive_with_its_next_rows(lives: Lives) -> None:
    lives.live("host", hours(MONDAY, 96))
    last_at = MONDAY + 4 * DAYS
    lives.read_until(last_at + 2 * HOUR)
    assert lives.states() == {"host": "alive"}
    lives.read_until(last_at + 3 * HOUR)
    assert lives.run("SELECT state, silent_since, retired_at FROM tsad.v_entity") == [
        ("silent", last_at, None)
    ]
    lives.live("host", [last_at + 72 * HOUR])
    lives.read_until(last_at + 73 * HOUR)
    assert lives.states() == {"host": "alive"}


def test_a_sensor_that_reports_once_a_day_is_not_silent_within_a_day(lives: Lives) -> None:
    lives.live("daily", hours(MONDAY, 6, every=24))
    last_at = MONDAY + 5 * DAYS + HOUR
    for n_hours, state in ((1, "alive"), (24, "alive"), (34, "alive"), (35, "silent")):
        lives.read_until(last_at + n_hours * HOUR)
        assert lives.states() == {"daily": state}


def test_a_monthly_meter_is_not_silent_after_a_month(lives: Lives) -> None:
    lives.live("meter", hours(MONDAY, 3, every=720))
    lives.read_until(MONDAY + 90 * DAYS + HOUR)
    assert lives.states() == {"meter": "alive"}


def weekdays(n_weeks: int) -> list[datetime]:
    every = hours(MONDAY, 24 * 7 * n_weeks)
    return [at for at in every if at.weekday() < 5]


def test_a_machine_that_is_off_every_weekend_is_not_silent_then(lives: Lives) -> None:
    lives.live("press", weekdays(3))
    lives.read_until(MONDAY + 21 * DAYS)
    assert lives.states() == {"press": "alive"}


def test_and_that_it_stays_away_on_monday_is_seen_within_three_hours(lives: Lives) -> None:
    lives.live("press", weekdays(3))
    lives.read_until(MONDAY + 21 * DAYS + 2 * HOUR)
    assert lives.states() == {"press": "alive"}
    lives.read_until(MONDAY + 21 * DAYS + 3 * HOUR)
    assert lives.states() == {"press": "silent"}


def test_one_outage_is_no_habit(lives: Lives) -> None:
    lives.live("host", [*hours(MONDAY, 240), *hours(MONDAY + 13 * DAYS, 240)])
    lives.read_until(MONDAY + 23 * DAYS + 3 * HOUR)
    assert lives.states() == {"host": "silent"}


def test_an_entity_that_only_ever_sent_one_row_is_silent_and_has_no_habit(lives: Lives) -> None:
    lives.live("once", [MONDAY])
    lives.read_until(MONDAY + 40 * DAYS)
    assert lives.run("SELECT state, silent_since, has_habit FROM tsad.v_entity") == [
        ("silent", MONDAY + HOUR, False)
    ]


def test_hosts_of_an_autoscaling_group_are_retired_by_their_proven_short_life(lives: Lives) -> None:
    for number in range(12):
        lives.live(f"i-{number:02}", hours(MONDAY + 5 * number * HOUR, 4))
    lives.live("base", hours(MONDAY, 96))
    lives.read_until(MONDAY + 96 * HOUR)
    states = lives.states()
    assert states.pop("base") == "alive"
    assert set(states.values()) == {"retired"}
    by = lives.run("SELECT DISTINCT retired_by, retired_why FROM tsad.v_entity WHERE retired_by IS "
                   "NOT NULL")  # fmt: skip
    assert by == [("short life", "lived for 4 h, as others of this dataset do")]


def test_sensors_that_one_gateway_took_along_are_not_retired(lives: Lives) -> None:
    """However young: forty that end in one hour are one event, and no habit."""
    for number in range(40):
        lives.live(f"s-{number}", hours(MONDAY, 30))
    lives.live("other", hours(MONDAY, 200))
    lives.read_until(MONDAY + 200 * HOUR)
    states = lives.states()
    assert (states.pop("other"), set(states.values())) == ("alive", {"silent"})


def retire(lives: Lives, entity: str, why: str = "scrapped", **more: object) -> None:
    names = ", ".join(f"{name} => %s" for name in more)
    asked = "SELECT tsad.retire_entity('plant', %s, %s" + (f", {names})" if names else ")")
    lives.run(asked, entity, why, *more.values())


def test_who_retires_an_entity_says_why_and_it_is_alive_again_with_its_next_rows(
    lives: Lives,
) -> None:
    lives.live("host", hours(MONDAY, 96))
    lives.read_until(MONDAY + 120 * HOUR)
    retire(lives, "host", said_by="anna")
    assert lives.run(
        "SELECT state, retired_at, retired_by, retired_why, silent_since FROM tsad.v_entity"
    ) == [("retired", MONDAY + 120 * HOUR, "anna", "scrapped", None)]
    lives.live("host", [MONDAY + 130 * HOUR])
    lives.read_until(MONDAY + 131 * HOUR)
    assert lives.states() == {"host": "alive"}


def test_who_will_be_retired_is_not_yet(lives: Lives) -> None:
    lives.live("host", hours(MONDAY, 96))
    lives.read_until(MONDAY + 96 * HOUR)
    retire(lives, "host", from_at="2099-01-01 00:00Z")
    assert lives.states() == {"host": "alive"}
    lives.read_until(MONDAY + 120 * HOUR)
    assert lives.states() == {"host": "silent"}


def test_a_retirement_can_be_taken_back(lives: Lives) -> None:
    lives.live("host", hours(MONDAY, 96))
    lives.read_until(MONDAY + 120 * HOUR)
    retire(lives, "host")
    lives.run("SELECT tsad.unretire_entity('plant', 'host', 'only in repair', 'ben')")
    assert lives.states() == {"host": "silent"}
    assert lives.run("SELECT withdrawn_by, withdrawn_why FROM tsad.retirement") == [
        ("ben", "only in repair")
    ]


def test_another_reason_keeps_the_former_one_and_since_when_it_is_gone(lives: Lives) -> None:
    lives.live("host", hours(MONDAY, 96))
    lives.read_until(MONDAY + 120 * HOUR)
    retire(lives, "host", why="scrapped", said_by="anna")
    lives.read_until(MONDAY + 121 * HOUR)
    retire(lives, "host", why="sold", said_by="ben")
    assert lives.run("SELECT retired_at, retired_by, retired_why FROM tsad.v_entity") == [
        (MONDAY + 120 * HOUR, "ben", "sold")
    ]
    assert lives.run(
        "SELECT why, said_by, withdrawn_by, withdrawn_why FROM tsad.retirement ORDER BY 1"
    ) == [("scrapped", "anna", "ben", "another reason was given"), ("sold", "ben", None, None)]


def test_a_time_that_is_said_anew_counts(lives: Lives) -> None:
    lives.live("host", hours(MONDAY, 96))
    lives.read_until(MONDAY + 120 * HOUR)
    retire(lives, "host")
    retire(lives, "host", from_at=str(MONDAY + 100 * HOUR))
    assert lives.run("SELECT retired_at FROM tsad.v_entity") == [(MONDAY + 100 * HOUR,)]
    lives.run("SELECT tsad.unretire_entity('plant', 'host', 'only in repair', 'ben')")
    assert lives.states() == {"host": "silent"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("tsad.retire_entity('plant', 'hots', 'gone')", "Expected an entity of the dataset plant"),
        ("tsad.retire_entity('plant', 'host', '')", "Expected a reason"),
        (
            "tsad.retire_entity('plant', 'host', 'gone', '2026-03-02 05:00Z')",
            "Expected a time after the last rows of host",
        ),
        ("tsad.unretire_entity('plant', 'host', 'back')", "Expected an entity of the dataset"),
    ],
)
def test_what_cannot_be_is_refused_by_name(lives: Lives, asked: str, said: str) -> None:
    lives.live("host", hours(MONDAY, 96))
    lives.read_until(MONDAY + 100 * HOUR)
    with pytest.raises(psycopg2.Error, match=said):
        lives.run(f"SELECT {asked}")


def test_living_entities_are_those_with_rows_since(lives: Lives) -> None:
    lives.live("gone", hours(MONDAY, 5))
    host = lives.live("host", hours(MONDAY, 50))
    with lives.store.transaction():
        found = living_entities(lives.store, lives.dataset_id, MONDAY + 5 * HOUR)
    assert found == {"host": host}


def test_hours_without_events_are_counted_from_the_first_row_until_retired(lives: Lives) -> None:
    host, shop = (
        lives.live("host", [MONDAY + HOUR]),
        lives.live("shop", [MONDAY, MONDAY + 7 * HOUR]),
    )
    lives.read_until(MONDAY + 4 * HOUR)
    lives.run(
        "INSERT INTO tsad.retirement (entity_id, from_at, origin, why, said_by) "
        "VALUES (%s, %s, 'person', 'moved', 'anna')",
        shop,
        MONDAY + 4 * HOUR,
    )
    with lives.store.transaction():
        counted = counted_hours(lives.store, [host, shop], MONDAY - HOUR, MONDAY + 9 * HOUR)
    assert counted.astype(int).tolist() == [
        [0, 0, 1, 1, 1, 1, 1, 1, 1, 1],
        [0, 1, 1, 1, 1, 0, 0, 0, 1, 1],
    ]
