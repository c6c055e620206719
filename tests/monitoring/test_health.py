"""Whether a dataset is scored in time, for somebody else's monitoring."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from devstack.postgres import BROWSER, Cluster
from tests.cli.test_commands import Tsad, tsad
from tests.storage.rooms import (
    Room,
    anomaly_rows,
    attribution_rows,
    new_model,
    opened_room,
    score_rows,
)
from tsad_tasks.base.clock import utc_now
from tsad_tasks.base.interval import HOUR, hour_floor
from tsad_tasks.champions.records import insert_model, open_period
from tsad_tasks.cli.scoring import say_failed
from tsad_tasks.storage.lives import note_lives
from tsad_tasks.storage.scores import write_scores, write_unscored_hours
from tsad_tasks.storage.store import Store

__all__ = ["tsad"]

BROKEN = "Expected a bundle. Received: none."


@pytest.fixture
def room(cluster: Cluster, template_database: str) -> Iterator[Room]:
    name = f"health_{uuid4().hex}"
    uri = cluster.create_database(name, template=template_database)
    with opened_room(uri) as opened:
        yield opened
    cluster.drop_database(name)


def scored(
    room: Room, until_at: datetime, read_until: datetime | None = None, *, n_hours: int = 5
) -> int:
    """A champion was asked for the hours up to one, and has scored the first entity in the first
    `n_hours` of five; the entity lived in each of ten days. Returns the id of the model.
    """
    model = new_model(room)
    hours = [until_at - i * HOUR for i in range(1, 241)]
    with room.store.transaction():
        model_id = insert_model(room.store, model).model_id
        open_period(room.store, model.scope, model_id, valid_from=hours[-1], reason="first")
        note_lives(room.store, room.entity_ids[:1], hours, np.ones((1, 240), bool))
    for hour_at in hours[:5]:
        room.rows("INSERT INTO tsad.score_hour VALUES (%s, %s, true)", model_id, hour_at)
    for hour_at in hours[5 - n_hours : 5]:
        score_hour(room, model_id, hour_at)
    room.rows(
        "INSERT INTO tsad.ingest_hour (dataset_id, hour_at, read_until, read_at, n_rows, "
        "n_readings, newest_at) VALUES (%s, %s, %s, now(), 1, 1, %s)",
        room.dataset_id,
        hours[0],
        read_until or until_at,
        until_at - timedelta(minutes=5),
    )
    return model_id


def score_hour(room: Room, model_id: int, hour_at: datetime) -> None:
    """The model has a score of the first entity in an hour."""
    hours_s = np.array([int(hour_at.timestamp())])
    with room.store.transaction():
        rows = score_rows(room, model_id, [0.1, 0.1], hours_s=hours_s)
        write_scores(room.store, rows, anomaly_rows(room), attribution_rows(room))


def failed(room: Room, *hours: datetime, entities: int = 1, detail: str = BROKEN) -> None:
    """Hours of the first entities are marked as failed."""
    with room.store.transaction():
        for entity_id in room.entity_ids[:entities]:
            of = [entity_id] * len(hours), hours, ["failed"] * len(hours), detail
            write_unscored_hours(room.store, "live", *of)


def step(room: Room, step: str, state: str, message: str = "", ago: int = 0) -> None:
    room.rows(
        "INSERT INTO tsad.run_status (dataset_id, run_id, step, state, message, finished_at) "
        "VALUES (%s, %s, %s, %s, %s, now() - %s * interval '1 minute')",
        room.dataset_id,
        f"{uuid4()}",
        step,
        state,
        message,
        ago,
    )


def seen(room: Room, *columns: str) -> tuple[Any, ...]:
    (row,) = room.rows(f"SELECT {', '.join(columns)} FROM tsad.v_health")  # noqa: S608
    return row


def test_a_dataset_that_was_scored_in_time_is_ok(room: Room) -> None:
    now = hour_floor(utc_now())
    scored(room, now)
    step(room, "score", "done")
    columns = ("state", "why", "scored_until", "n_live", "n_silent", "n_retired", "champion")
    assert seen(room, *columns) == ("ok", None, now, 1, 1, 0, "version 1")


@pytest.mark.parametrize(
    ("n_hours", "state"), [(0, "ok"), (3, "late"), (5, "late"), (9, "not_scoring")]
)
def test_how_late_it_is_says_how_bad_it_is(room: Room, n_hours: int, state: str) -> None:
    scored(room, hour_floor(utc_now()) - n_hours * HOUR)
    step(room, "score", "done", ago=60 * n_hours)
    found = seen(room, "state", "late_s", "why")
    assert found[0] == state
    if n_hours:
        assert (n_hours - 1) * 3600 <= found[1] <= n_hours * 3600
        assert found[2].startswith("no run has come further; the last one ended at ")


def test_hours_that_failed_are_not_scored(
    room: Room, tsad: Tsad, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = hour_floor(utc_now())
    scored(room, now, n_hours=2)
    failed(room, *(now - i * HOUR for i in (1, 2, 3)), entities=2)
    why = f"its newest hours failed: {BROKEN}"
    said = seen(room, "state", "why", "scored_until")
    assert said == ("not_scoring", why, now - 3 * HOUR)
    monkeypatch.setenv("TSAD_DATABASE_URI", room.uri)
    found = tsad("health", "room")
    assert (found.code, why in found.out) == (2, True)


def test_failed_hours_of_one_of_several_entities_degrade(room: Room) -> None:
    now = hour_floor(utc_now())
    model_id = scored(room, now)
    with room.store.transaction():
        of = [room.entity_ids[1]], [now - HOUR], ["failed"], BROKEN
        write_unscored_hours(room.store, "live", *of)
    why = f"the newest hours of 1 of its entities failed: {BROKEN}"
    assert seen(room, "state", "why", "scored_until") == ("degraded", why, now)
    # Marks of hours that the champion has scored, in its shadow say, say nothing.
    room.rows("DELETE FROM tsad.unscored_hour")
    failed(room, now - HOUR)
    assert seen(room, "state", "why", "scored_until") == ("ok", None, now)
    status = "SELECT status, model_id FROM tsad.v_status WHERE hour_at = %s AND entity = 'a'"
    assert room.rows(status, now - HOUR) == [("scored", model_id)]


def test_scoring_by_hand_says_which_hours_failed_and_what_to_do(
    room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    now = hour_floor(utc_now())
    scored(room, now, n_hours=0)
    failed(room, now - HOUR, now - 2 * HOUR, entities=2)
    say_failed(room.store, "room", "live", now - 9 * HOUR, now)
    again = f"tsad retrain room --end {now:%Y-%m-%dT%H:%M}"
    assert capsys.readouterr().out == (
        f"4 hours of entities failed: {BROKEN}\nRestore the model, or train again: {again}\n"
    )
    say_failed(room.store, "room", "live", now - 9 * HOUR, now - 2 * HOUR)
    assert capsys.readouterr().out == ""


def test_silence_of_all_is_scored(room: Room) -> None:
    now = hour_floor(utc_now())
    scored(room, now, n_hours=1)
    assert seen(room, "state", "scored_until") == ("ok", now)


def test_a_champion_that_never_scored_is_not_scoring(room: Room) -> None:
    scored(room, hour_floor(utc_now()), n_hours=0)
    why = "its champion has not scored an hour yet"
    assert seen(room, "state", "why", "scored_until") == ("not_scoring", why, None)


def test_an_interval_that_is_not_settled_is_not_late(room: Room) -> None:
    scored(room, hour_floor(utc_now()) - 3 * HOUR)
    room.rows("UPDATE tsad.dataset SET wait_s = 4 * 3600")
    assert seen(room, "state", "late_s") == ("ok", 0)


def test_a_failure_is_named_until_it_is_made_good(room: Room) -> None:
    scored(room, hour_floor(utc_now()))
    step(room, "ingest", "source_error", "Expected a table. Received: none.", ago=5)
    said = "ingest: source_error Expected a table. Received: none."
    assert seen(room, "state", "why", "last_error") == ("degraded", said, said)
    step(room, "ingest", "done")
    assert seen(room, "state", "why", "last_error") == ("ok", None, None)
    # When it was is kept.
    ((failed_at,),) = room.rows("SELECT finished_at FROM tsad.run_status WHERE message <> ''")
    assert seen(room, "last_error_at") == (failed_at,)


def test_a_failure_that_was_made_good_does_not_hide_one_that_was_not(room: Room) -> None:
    scored(room, hour_floor(utc_now()))
    step(room, "train", "bad_input", "Expected rows. Received: none.", ago=50)
    step(room, "ingest", "source_error", "Expected a table. Received: none.", ago=30)
    step(room, "ingest", "done", ago=10)
    said = "train: bad_input Expected rows. Received: none."
    assert seen(room, "state", "why", "last_error") == ("degraded", said, said)


def test_another_shard_of_the_same_run_makes_nothing_good(room: Room) -> None:
    scored(room, hour_floor(utc_now()))
    step(room, "score", "unavailable", "No answer.", ago=9)
    room.rows(
        "INSERT INTO tsad.run_status (dataset_id, run_id, step, shard, state) "
        "SELECT dataset_id, run_id, step, 1, 'done' FROM tsad.run_status"
    )
    assert seen(room, "state") == ("degraded",)
    step(room, "score", "done")
    assert seen(room, "state", "last_error") == ("ok", None)


def test_without_a_champion_nothing_is_scored(room: Room) -> None:
    scored(room, hour_floor(utc_now()))
    room.rows("UPDATE tsad.champion_period SET valid_to = now()")
    assert seen(room, "state", "why") == (
        "not_scoring",
        "it has no champion, so nothing is scored",
    )


def test_a_dataset_that_was_only_registered_is_not_scoring(room: Room) -> None:
    assert seen(room, "state", "why") == ("not_scoring", "nothing was read from its source yet")


def test_a_dataset_of_which_nothing_is_alive_is_degraded(room: Room) -> None:
    scored(room, hour_floor(utc_now()))
    room.rows("DELETE FROM tsad.entity_life")
    assert seen(room, "state", "why") == ("degraded", "none of its entities is alive")


@pytest.mark.parametrize(
    ("n_days", "quiet_h", "code"),
    [(10, 1, 0), (10, 30, 1), (1, 30, 0)],
    ids=["reports", "usually reports", "never reported for long"],
)
def test_a_silent_machine_that_usually_reports_degrades_until_it_is_retired(
    room: Room, tsad: Tsad, monkeypatch: pytest.MonkeyPatch, n_days: int, quiet_h: int, code: int
) -> None:
    monkeypatch.setenv("TSAD_DATABASE_URI", room.uri)
    now = hour_floor(utc_now())
    scored(room, now)
    step(room, "score", "done")
    hours = [now - (quiet_h + i) * HOUR for i in range(24 * n_days)]
    with room.store.transaction():
        note_lives(room.store, room.entity_ids[1:2], hours, np.ones((1, len(hours)), bool))
    last = f"{hours[0] + HOUR:%Y-%m-%d %H:%M}"
    why = f"1 of its entities silent: b since {last} UTC; see tsad entities, and tsad retire of "
    why += "what is gone"
    said = ("degraded", why, 1, "ok") if code else ("ok", None, 0, "ok")
    assert seen(room, "state", "why", "n_missed", "scoring_state") == said
    assert tsad("health", "room").code == code
    ignored = tsad("health", "room", "--json", "--ignore-silent")
    (row,) = json.loads(ignored.out)
    assert (ignored.code, row["state"], row["why"], row["n_missed"]) == (0, "ok", None, said[2])
    assert tsad("retire", "room", "b", "--why", "sold").code == 0
    assert (tsad("health", "room").code, seen(room, "n_missed")) == (0, (0,))


def test_silence_hides_nothing_graver(room: Room) -> None:
    now = hour_floor(utc_now())
    scored(room, now - 3 * HOUR)
    hours = [now - (40 + i) * HOUR for i in range(240)]
    with room.store.transaction():
        note_lives(room.store, room.entity_ids[1:2], hours, np.ones((1, len(hours)), bool))
    state, why, n_missed = seen(room, "state", "why", "n_missed")
    assert (state, n_missed) == ("late", 1)
    assert why.startswith("no run has come further")


def test_who_reads_may_ask(room: Room, cluster: Cluster) -> None:
    scored(room, hour_floor(utc_now()))
    name = room.uri.rpartition("/")[2].split("?")[0]
    with Store.connect(cluster.uri(name, BROWSER)) as store, store.transaction():
        from tsad_tasks.cli.health import HEALTH

        assert [row["state"] for row in store.rows(HEALTH, dataset=None)] == ["ok"]


@pytest.mark.parametrize(("n_hours", "code"), [(0, 0), (3, 1), (9, 2)])
def test_the_exit_code_says_it(
    room: Room, tsad: Tsad, monkeypatch: pytest.MonkeyPatch, n_hours: int, code: int
) -> None:
    monkeypatch.setenv("TSAD_DATABASE_URI", room.uri)
    scored(room, hour_floor(utc_now()) - n_hours * HOUR)
    step(room, "score", "done")
    plain, as_json = tsad("health"), tsad("health", "room", "--json")
    assert (plain.code, as_json.code) == (code, code)
    (row,) = json.loads(as_json.out)
    assert (row["dataset"], row["n_live"]) == ("room", 1)
    assert plain.out.startswith(f"room {row['state'].upper()}")


def test_an_unknown_dataset_and_an_empty_warehouse_are_no_good_health(
    room: Room, tsad: Tsad, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TSAD_DATABASE_URI", room.uri)
    assert tsad("health", "rome").code == 2
    room.rows("TRUNCATE tsad.dataset CASCADE")
    assert tsad("health").code == 2


def test_a_person_retires_on_a_terminal_and_takes_it_back(
    room: Room, tsad: Tsad, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TSAD_DATABASE_URI", room.uri)
    scored(room, hour_floor(utc_now()))
    assert "b" in tsad("entities", "room", "--state", "silent").out
    assert tsad("retire", "room", "b", "--why", "sold", "--by", "anna").code == 0
    assert seen(room, "n_live", "n_silent", "n_retired") == (1, 0, 1)
    assert "sold" in tsad("entities", "room", "--state", "retired").out
    again = tsad("retire", "room", "b", "--why", "broken", "--by", "ben")
    assert again.code == 0
    assert f"b is retired since {hour_floor(utc_now()):%Y-%m-%d %H}" in again.out
    assert "UTC by anna (sold); that stands." in again.out
    assert "broken" not in tsad("entities", "room", "--state", "retired").out
    assert tsad("unretire", "room", "b", "--why", "it was another").code == 0
    again = tsad("unretire", "room", "b", "--why", "again")
    assert (again.code, again.out) == (0, "b is not retired: nothing to take back.\n")
    assert tsad("unretire", "room", "c", "--why", "it was another").code == 2
