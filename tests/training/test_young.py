"""A dataset whose readings begin: a first model after a week, a new one daily, and then weekly."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from tests.plants.weeks import MACHINE, START_AT, Weeks, config_of
from tsad_tasks.base.errors import NothingToDo
from tsad_tasks.base.interval import HOUR
from tsad_tasks.champions.champions import RegisterSummary
from tsad_tasks.champions.no_champion import no_champion
from tsad_tasks.cli.champions import MODELS as MODEL_LIST
from tsad_tasks.cli.champions import with_weekdays
from tsad_tasks.cli.training import show_retraining
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.notifications.notify import enqueue
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.pipeline.schedule import check_due, daily_schedule, is_moment
from tsad_tasks.storage.datasets import select_dataset
from tsad_tasks.storage.store import Store
from tsad_tasks.training.retrain import Retraining

DAY = timedelta(days=1)
TRAINING = {"range": "30d", "min_hours": 10, "young_detector": "level", "fallback": []}
SHADOW = {"hours": 24}
PERIODS = """
  SELECT m.train_end_at, p.valid_from, nullif(p.valid_to, 'infinity'), m.detector, m.is_young
  FROM tsad.champion_period p JOIN tsad.model m USING (model_id)
  WHERE p.lineage = %s ORDER BY p.valid_from"""
MODELS = "SELECT train_end_at, young, unknown_weekdays, weekdays_seen FROM tsad.v_model ORDER BY 1"


def day(number: int, hours: float = 3) -> datetime:
    """A moment: so many hours into a day, of which the first is 0, a Monday."""
    return START_AT + number * DAY + timedelta(hours=hours)


def trained(weeks: Weeks, end_at: datetime, **of: Any) -> list[RegisterSummary]:
    """What the run of `plant.retrain` leaves whose interval ends then."""
    weeks.n_trained += 1
    folder = UPath(weeks.folder / f"run_{weeks.n_trained}")
    of = {"only_young": not is_moment(weeks.config.training.schedule, end_at)} | of
    with Store.connect(weeks.uri) as store:
        run = Retraining(store, weeks.config, end_at, folder, UPath(weeks.folder), **of)
        check_due(run)
        ends: Any = run.span.whole._asdict()
        ingest_interval(store, weeks.config, weeks.uri, **ends)
        return retrain(run)


def lived(weeks: Weeks, first: int, last: int, **of: Any) -> None:
    """The runs of days at 03:00 UTC, those that are skipped among them."""
    for number in range(first, last + 1):
        with suppress(NothingToDo):
            trained(weeks, day(number), **of)


def begun(weeks: Weeks, at: datetime) -> Weeks:
    """The same, whose readings begin later."""
    weeks.execute("DELETE FROM plant.metrics WHERE at < %s", at)
    return weeks


@pytest.fixture
def weeks(warehouse_uri: str, tmp_path: Path) -> Weeks:
    return Weeks.filled(warehouse_uri, tmp_path, training=TRAINING, shadow=SHADOW)


def test_the_first_model_comes_with_exactly_seven_days_and_no_sooner(weeks: Weeks) -> None:
    with pytest.raises(NothingToDo) as caught:
        trained(weeks, day(6), only_young=True)
    assert str(caught.value) == (
        "Expected 7 days of readings of plant for a first model (training.young_from). Received: "
        "6.1, from 2026-03-02 00:00 UTC on. The daily run of plant.retrain after 2026-03-09 00:00 "
        "UTC trains it."
    )
    (summary,) = trained(weeks, day(7, 0), only_young=True)
    assert (summary.gate_passed, summary.valid_from) == (True, day(7, 0))
    every = "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday unknown"
    assert weeks.execute(MODELS) == [(day(7, 0), True, every, [1] * 7)]
    weeks.score(day(7, 0), day(7, 2))
    status = "SELECT hour_at, status, unknown_weekday FROM tsad.v_status ORDER BY 1"
    assert weeks.execute(status) == [(day(7, i), "scored", "Monday") for i in (0, 1)]


def test_eight_days_from_a_thursday_show_it_twice(weeks: Weeks) -> None:
    begun(weeks, day(3, 0))
    trained(weeks, day(11, 0))
    ((_, is_young, text, seen),) = weeks.execute(MODELS)
    assert (is_young, seen) == (True, [1, 1, 1, 2, 1, 1, 1])
    assert text.endswith("Saturday, Sunday unknown")
    (start,) = weeks.execute("SELECT train_start_at FROM tsad.v_model")
    assert start == (day(3, 0),)


def test_a_model_every_day_until_each_weekday_was_seen_three_times_then_weekly(
    weeks: Weeks,
) -> None:
    lived(weeks, 1, 31)
    expected = [
        (day(n), day(n), day(n + 1), "level" if n < 21 else "three_sigma", n < 21)
        for n in range(7, 22)
    ]
    expected[-1] = (day(21), day(21), None, "three_sigma", False)
    assert weeks.execute(PERIODS, "live") == expected
    unknown = "SELECT unknown_weekdays FROM tsad.v_model WHERE train_end_at = %s"
    assert weeks.execute(unknown, day(19)) == [("Saturday, Sunday unknown",)]
    assert weeks.execute(unknown, day(20)) == [("Sunday unknown",)]
    assert weeks.execute(unknown, day(21)) == [(None,)]
    # The Monday after that: a challenger, as scheduled, in the champion's shadow.
    states = "SELECT train_end_at, state FROM tsad.v_model WHERE train_end_at > %s ORDER BY 1"
    assert weeks.execute(states, day(21)) == [(day(28), "shadow")]
    # A backfill of the first 20 days says the same of its own lineage, in the same hours.
    lived(weeks, 1, 20, lineage="replay")
    replayed = weeks.execute(PERIODS, "replay")
    assert replayed[:-1] == expected[:13]
    assert replayed[-1][:2] == (day(20), day(20))
    # Every hour since the first model has a score.
    weeks.score(day(7), day(31))
    statuses = "SELECT status, count(*), min(hour_at) FROM tsad.v_status WHERE lineage = 'live'"
    assert weeks.execute(f"{statuses} GROUP BY 1") == [("scored", 24 * 24, day(7))]
    # And what was trained is not trained again.
    n_models = weeks.execute("SELECT count(*) FROM tsad.model")
    lived(weeks, 1, 20, lineage="replay")
    assert weeks.execute("SELECT count(*) FROM tsad.model") == n_models


def test_by_hand_in_the_young_time_counts_from_its_hour_and_the_next_day_goes_on(
    weeks: Weeks,
) -> None:
    lived(weeks, 7, 8)
    weeks.score(day(8), day(8, 12))
    (summary,) = trained(weeks, day(8, 10), only_young=False, seed=9)
    assert summary.valid_from == day(8, 12)
    lived(weeks, 9, 9)
    assert [row[1:3] for row in weeks.execute(PERIODS, "live")] == [
        (day(7), day(8)),
        (day(8), day(8, 12)),
        (day(8, 12), day(9)),
        (day(9), None),
    ]


def test_a_person_reads_that_a_model_is_young_and_how_often_it_saw_each_weekday(
    weeks: Weeks, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = UPath(weeks.folder / "run"), UPath(weeks.folder)
    with Store.connect(weeks.uri) as store:
        run = Retraining(store, weeks.config, day(10, 0), *folders)
        ends: Any = run.span.whole._asdict()
        ingest_interval(store, weeks.config, weeks.uri, **ends)
        show_retraining(run, asks=False)
        with store.transaction():
            (row,) = store.rows(MODEL_LIST, dataset="plant", n=9)
    said = "a model of 10 days: young, trained daily until each weekday was seen three times\n"
    assert said in capsys.readouterr().out
    seen = "Monday to Wednesday seen twice, Thursday to Sunday once (known from three on)"
    assert with_weekdays(row)["weekdays"] == f"young: {seen}"


def test_a_refusal_has_one_reason_and_the_next_day_tries_again(weeks: Weeks) -> None:
    weeks.config = config_of(training=TRAINING, shadow=SHADOW, gate={"max_latency_ms": 1e-9})
    for number in (7, 8):
        ((failed, promoted),) = [
            (one.failed_rules, one.promoted) for one in trained(weeks, day(number))
        ]
        assert ("latency_ms" in failed, promoted) == (True, False)
    with Store.connect(weeks.uri) as store, store.transaction():
        missing = no_champion(store, select_dataset(store, "plant"))
    assert missing is not None
    assert missing.sentence == (
        "plant has no champion, so nothing is scored: version 2 did not pass its gate."
    )
    assert "It is young: the daily runs of plant.retrain try again." in missing.text
    weeks.config = config_of(training=TRAINING, shadow=SHADOW)
    assert trained(weeks, day(9))[0].valid_from == day(9)


def test_a_range_of_five_days_is_trained_as_ever_and_never_young(weeks: Weeks) -> None:
    weeks.config = config_of(training=TRAINING | {"range": "5d"}, shadow=SHADOW)
    assert daily_schedule(weeks.config) == "0 3 * * 1"
    trained(weeks, day(5, 0), only_young=False)
    sql = "SELECT train_start_at, detector, young, unknown_weekdays FROM tsad.v_model"
    ((start_at, detector, is_young, text),) = weeks.execute(sql)
    assert (start_at, detector, is_young) == (day(0, 0), "three_sigma", False)
    assert text.endswith("Saturday, Sunday unknown (Saturday, Sunday never seen)")


def test_readings_that_fill_the_range_are_trained_as_ever(weeks: Weeks) -> None:
    with Store.connect(weeks.uri) as store:
        span: Any = {"start_at": day(0, 0), "end_at": day(31)}
        ingest_interval(store, weeks.config, weeks.uri, **span)
    with pytest.raises(NothingToDo, match="Nothing of plant is young"):
        trained(weeks, day(31), only_young=True)
    (summary,) = trained(weeks, day(31), only_young=False)
    card = "SELECT detector, train_start_at, young, card ->> 'config_hash' FROM tsad.v_model"
    assert weeks.execute(card) == [("three_sigma", day(1), False, weeks.config.model_hash)]
    other = config_of(training=TRAINING | {"young_from": "8d", "young_until": "9d"})
    assert other.model_hash == weeks.config.model_hash
    assert summary.valid_from == day(31)


def test_what_nobody_knows_of_a_weekend_pages_nobody_and_is_learned(weeks: Weeks) -> None:
    weeks.config = config_of(
        training=TRAINING,
        shadow=SHADOW,
        notifications={"targets": [{"email": ["shift@example.com"]}], "max_age": "36500d"},
    )
    # A fault on a Thursday, and a Saturday on which the machine is run otherwise.
    weeks.shift(day(10, 12), day(10, 14))
    weeks.shift(day(12, 0), day(13, 0))
    for number in range(7, 14):
        with suppress(NothingToDo):
            trained(weeks, day(number))
        weeks.score(day(number), day(number + 1))
    sql = """
      SELECT severity, held, unknown_weekdays, provisional, sentence FROM tsad.v_incident
      WHERE started_at >= %s AND started_at < %s ORDER BY n_flags DESC LIMIT 1"""
    ((severity, held, names, _, _),) = weeks.execute(sql, day(10, 11), day(10, 15))
    assert (severity, held, names) == ("HIGH", False, "Thursday")
    ((severity, held, names, provisional, sentence),) = weeks.execute(sql, day(12, 0), day(13, 0))
    assert (severity, held, names, provisional) == ("LOW", True, "Saturday", True)
    assert sentence.endswith("; Saturday unknown to its young model")
    with Store.connect(weeks.uri) as store:
        enqueue(store, weeks.config, end_at=day(14))
    told = "SELECT payload ->> 'sentence' FROM tsad.notification WHERE event = 'opened'"
    assert [text for (text,) in weeks.execute(told) if "Saturday unknown" in text] == []
    assert [text for (text,) in weeks.execute(told) if "Thursday unknown" in text] != []
    # The Saturday was HIGH for a day, and is learned all the same.
    ((model_id,),) = weeks.execute("SELECT max(model_id) FROM tsad.model")
    assert weeks.excluded(model_id) == {}


def test_a_weekday_on_which_nothing_runs_ends_youth_in_time(weeks: Weeks) -> None:
    weeks.execute(
        "UPDATE plant.metrics SET load = 0 WHERE extract(isodow FROM at AT TIME ZONE "
        "'Europe/Berlin') > 5"
    )
    limits = {"young_until": "12d"}
    weeks.config = config_of(
        training=TRAINING | limits, shadow=SHADOW, running_when="load > 1", startup_grace=0
    )
    lived(weeks, 11, 13)
    trained(weeks, day(14))
    rows = weeks.execute(MODELS)
    never = "Saturday, Sunday unknown (Saturday, Sunday never seen)"
    assert [(row[0], row[1]) for row in rows] == [(day(11), True), (day(14), False)]
    assert {row[2].split("Friday, ")[-1] for row in rows} == {never}


def test_a_machine_that_comes_later_is_young_where_it_has_a_model_of_its_own(
    weeks: Weeks,
) -> None:
    weeks.execute(
        "INSERT INTO plant.metrics SELECT at, 'm-2', temperature, load FROM plant.metrics WHERE "
        "at >= %s",
        day(20, 0),
    )
    trained(weeks, day(31), only_young=False)
    sql = "SELECT entity, young, train_start_at FROM tsad.v_model ORDER BY model_id"
    assert weeks.execute(sql) == [(None, False, day(1))]
    own = {"name": "three_sigma", "scope": "entity"}
    weeks.config = config_of(training=TRAINING, shadow=SHADOW, detector=own)
    trained(weeks, day(31), only_young=False)
    trained(weeks, day(32))
    assert weeks.execute(sql)[1:] == [
        (MACHINE, False, day(1)),
        ("m-2", True, day(20, 0)),
        ("m-2", True, day(20, 0)),
    ]


def test_a_day_with_a_gap_or_a_label_is_not_seen(weeks: Weeks) -> None:
    weeks.execute("DELETE FROM plant.metrics WHERE at >= %s AND at < %s", day(1, 6), day(1, 20))
    with Store.connect(weeks.uri) as store:
        span: Any = {"start_at": day(0, 0), "end_at": day(8)}
        ingest_interval(store, weeks.config, weeks.uri, **span)
    label = "SELECT tsad.add_label('plant', %s, %s, %s, 'leak')"
    weeks.config = config_of(training=TRAINING | {"max_excluded_share": 1}, shadow=SHADOW)
    weeks.execute(label, MACHINE, day(2, 3), day(2, 18))
    trained(weeks, day(8))
    assert weeks.execute("SELECT weekdays_seen FROM tsad.v_model") == [([2, 0, 0, 1, 1, 1, 1],)]


@pytest.mark.parametrize(
    ("schedule", "daily"),
    [
        ("0 3 * * 1", "0 3 * * *"),
        ("30 2 1 * *", "30 2 * * *"),
        ("@weekly", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
    ],
)
def test_the_daily_runs_hold_all_moments_of_the_schedule(schedule: str, daily: str) -> None:
    assert daily_schedule(config_of(training={"schedule": schedule})) == daily
    at = START_AT
    moments = [at + i * HOUR / 2 for i in range(2 * 24 * 40)]
    assert {one for one in moments if is_moment(schedule, one)} <= {
        one for one in moments if is_moment(daily, one)
    }
