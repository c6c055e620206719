"""Sensors change and machines are added: what can be converted is, the rest is unknown until enough
was read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from upath import UPath

from devstack.postgres import Cluster
from tests.plants.weeks import MACHINE, Weeks, copied_weeks, filled_weeks, week
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import HOUR
from tsad_tasks.feedback.sensor_changes import add_sensor_change, withdraw_sensor_change
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.scoring.features import build_features
from tsad_tasks.scoring.score import score_shard
from tsad_tasks.scoring.windows import build_windows
from tsad_tasks.storage.store import Store

CHANGED_AT, FAULT = week(1, 10), (week(1, 40), week(1, 43))
# The hours around a change that are scored in any order, where half a day is learned from.
HOURS = [CHANGED_AT + i * HOUR for i in range(-2, 18)]
ORDERS = {
    "forward": HOURS,
    "reverse": HOURS[::-1],
    "shuffled": list(np.random.default_rng(3).permutation(HOURS)),
}
TO_CELSIUS = {"scale": 5 / 9, "offset": -160 / 9}
CHANGES: dict[str, Any] = {"features": {"min_own_scale": "1d", "rebaseline_after": "24h"}}
ROWS = """
    SELECT entity_id, hour_at, model_id, errors, thresholds, scores, reasons, status, coverage
    FROM tsad.score_block WHERE superseded_at = 'infinity' AND thresholds IS NOT NULL ORDER BY 1,
      2, 3"""


@contextmanager
def _trained(cluster: Cluster, template: str, folder: Path, **changes: Any) -> Iterator[Weeks]:
    """A machine whose first week was learned."""
    with filled_weeks(cluster, template, folder, **CHANGES | changes) as made:
        made.train(week(1))
        yield made


@pytest.fixture(scope="module")
def trained(
    cluster: Cluster, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Weeks]:
    """A machine learned by a detector that carries a state."""
    with _trained(cluster, template_database, tmp_path_factory.mktemp("epochs")) as made:
        yield made


@pytest.fixture(scope="module")
def forest(
    cluster: Cluster, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Weeks]:
    """A machine learned by one that looks back a fixed time, as its threshold does."""
    detector = {"detector": {"name": "isolation_forest", "window": 3}}
    threshold = {"kind": "adaptive", "k": 3, "look_back": 60, "min_span": "6h", "min_count": 20}
    folder = tmp_path_factory.mktemp("forest")
    with _trained(cluster, template_database, folder, threshold=threshold, **detector) as made:
        yield made


@pytest.fixture
def weeks(cluster: Cluster, trained: Weeks, tmp_path: Path) -> Iterator[Weeks]:
    with copied_weeks(cluster, trained, tmp_path) as made:
        yield made


@pytest.fixture
def wood(cluster: Cluster, forest: Weeks, tmp_path: Path) -> Iterator[Weeks]:
    with copied_weeks(cluster, forest, tmp_path) as made:
        yield made


def _send(weeks: Weeks, scale: float, offset: float) -> None:
    """The sensor sends in other terms from CHANGED_AT on."""
    change = "UPDATE plant.metrics SET temperature = temperature * %s + %s WHERE at >= %s"
    weeks.execute(change, scale, offset, CHANGED_AT)


def _say(weeks: Weeks, kind: str, **terms: float) -> int:
    with Store.connect(weeks.uri) as store:
        return add_sensor_change(
            store,
            "plant",
            MACHINE,
            "temperature",
            CHANGED_AT,
            kind,
            "new sensor",
            said_by="ada",
            **terms,
        )


def _learns_from_half_a_day(weeks: Weeks) -> None:
    """A sensor's level and a machine's own scale are known in half the time."""
    half_a_day = dict.fromkeys(("min_own_scale_s", "rebaseline_after_s"), 12 * 3600)
    features = weeks.config.features.model_copy(update=half_a_day)
    weeks.config = weeks.config.model_copy(update={"features": features})


def _scores(
    weeks: Weeks, start_at: datetime, end_at: datetime, entity: str = MACHINE
) -> np.ndarray:
    scores = "SELECT score::float8 FROM tsad.scores('plant', %s, %s, %s) ORDER BY at"
    return np.array([row[0] for row in weeks.execute(scores, entity, start_at, end_at)], float)


def _statuses(
    weeks: Weeks, start_at: datetime, end_at: datetime, entity: str = MACHINE
) -> set[tuple[str, float]]:
    query = (
        "SELECT status, coverage FROM tsad.v_status WHERE entity = %s AND hour_at >= %s AND "
        "hour_at < %s"
    )
    return {
        (status, round(coverage, 2))
        for status, coverage in weeks.execute(query, entity, start_at, end_at)
    }


def test_a_converted_sensor_leaves_the_scores_of_the_former_one(weeks: Weeks) -> None:
    weeks.shift(*FAULT)
    weeks.score(week(1), week(1, 48))
    expected = _scores(weeks, week(1), week(1, 48))
    _send(weeks, 1.8, 32.0)
    _say(weeks, "unit", **TO_CELSIUS)
    weeks.score(week(1), week(1, 48), force=True)
    np.testing.assert_allclose(_scores(weeks, week(1), week(1, 48)), expected, atol=1e-5, rtol=1e-5)
    assert weeks.flagged_share(*FAULT) > 0.9


def test_a_replaced_sensor_is_unknown_until_it_was_learned_and_its_neighbours_go_on(
    weeks: Weeks,
) -> None:
    weeks.shift(*FAULT)
    _send(weeks, 1.3, 40.0)
    _say(weeks, "replaced")
    weeks.score(week(1), week(1, 60))
    usable_at = CHANGED_AT + 24 * HOUR
    assert weeks.execute("SELECT usable_at, n_running_hours FROM tsad.v_channel_epoch") == [
        (usable_at, 24.0)
    ]
    detail = "SELECT DISTINCT detail FROM tsad.v_status WHERE hour_at >= %s AND hour_at < %s"
    assert weeks.execute(detail, CHANGED_AT, usable_at) == [
        ("temperature replaced, known from 2026-03-10 10:00 UTC on",)
    ]
    assert weeks.execute(detail, usable_at, week(1, 60)) == [("",)]
    assert _statuses(weeks, week(1), CHANGED_AT) == {("scored", 1.0)}
    assert _statuses(weeks, CHANGED_AT, usable_at) == {("scored", 0.5)}
    assert _statuses(weeks, usable_at, week(1, 60)) == {("scored", 1.0)}
    (started_at,) = [row[3] for row in weeks.incidents() if row[3] >= CHANGED_AT]
    assert FAULT[0] <= started_at < FAULT[1]
    assert weeks.flagged_share(*FAULT) > 0.9


@pytest.mark.parametrize("detector", ["weeks", "wood"])
@pytest.mark.parametrize("order", ORDERS)
def test_hours_in_any_order_and_a_late_word_leave_the_same_rows(
    request: pytest.FixtureRequest, detector: str, order: str
) -> None:
    weeks: Weeks = request.getfixturevalue(detector)
    _learns_from_half_a_day(weeks)
    _send(weeks, 1.3, 40.0)
    if order == "forward":
        weeks.score(HOURS[0], HOURS[-1] + HOUR)
    _say(weeks, "replaced")
    for hour in ORDERS[order]:
        weeks.score(hour, hour + HOUR, force=order == "forward")
    usable_at = "SELECT usable_at FROM tsad.v_channel_epoch"
    assert weeks.execute(usable_at) == [(CHANGED_AT + 12 * HOUR,)]
    assert weeks.execute(ROWS) == _bulk(weeks, HOURS)


def _bulk(weeks: Weeks, hours: list[datetime]) -> list[tuple[Any, ...]]:
    """Rows of one run over all hours, after everything that was scored and learned is forgotten."""
    weeks.execute(
        "TRUNCATE tsad.score_block, tsad.fold_state, tsad.entity_scale, tsad.incident, "
        "tsad.ingest_hour"
    )
    weeks.execute("DELETE FROM tsad.reading_block WHERE hour_at >= %s", hours[0])
    weeks.execute(
        'UPDATE tsad.channel_epoch SET scale = NULL, "offset" = NULL, usable_at = NULL, '
        "n_running_hours = NULL "
        "WHERE NOT declared"
    )
    weeks.score(hours[0], hours[-1] + HOUR)
    return weeks.execute(ROWS)


@pytest.mark.parametrize("detector", ["weeks", "wood"])
def test_runs_of_half_an_hour_leave_the_same_rows(
    request: pytest.FixtureRequest, detector: str
) -> None:
    weeks: Weeks = request.getfixturevalue(detector)
    _send(weeks, 1.3, 40.0)
    _say(weeks, "replaced")
    _add_machine(weeks, CHANGED_AT + HOUR / 2)
    hours = [CHANGED_AT + i * HOUR for i in range(-2, 28)]
    weeks.score(hours[0], hours[22])
    for half in range(12):
        start_at = hours[22] + half * HOUR / 2
        weeks.score(start_at, start_at + HOUR / 2)
    assert weeks.execute(ROWS) == _bulk(weeks, hours[:28])


def test_late_readings_of_the_learned_hours_are_learned_again(weeks: Weeks) -> None:
    _send(weeks, 1.3, 40.0)
    _say(weeks, "replaced")
    hours = [CHANGED_AT + i * HOUR for i in range(-2, 30)]
    weeks.score(hours[0], hours[-1] + HOUR)
    before = weeks.execute("SELECT scale FROM tsad.v_channel_epoch")
    weeks.execute(
        "UPDATE plant.metrics SET temperature = temperature + 30 WHERE at >= %s AND at < %s",
        CHANGED_AT + 3 * HOUR,
        CHANGED_AT + 9 * HOUR,
    )
    weeks.score(CHANGED_AT + 3 * HOUR, CHANGED_AT + 9 * HOUR, force=True)
    assert weeks.execute("SELECT scale FROM tsad.v_channel_epoch") != before
    assert weeks.execute(ROWS) == _bulk(weeks, hours)


def test_only_running_hours_count(weeks: Weeks) -> None:
    weeks.config = weeks.config.model_copy(update={"running_when": "load > 1"})
    idle = (CHANGED_AT + 2 * HOUR, CHANGED_AT + 8 * HOUR)
    weeks.execute(
        "UPDATE plant.metrics SET load = 0, temperature = 0 WHERE at >= %s AND at < %s", *idle
    )
    _send(weeks, 1.3, 40.0)
    _say(weeks, "replaced")
    weeks.score(week(1), CHANGED_AT + 10 * HOUR)
    assert weeks.execute("SELECT usable_at, n_running_hours FROM tsad.v_channel_epoch") == [
        (None, 4.0)
    ]
    weeks.score(CHANGED_AT + 10 * HOUR, week(1, 60))
    (learned,) = weeks.execute('SELECT usable_at, scale, "offset" FROM tsad.v_channel_epoch')
    assert learned[0] == CHANGED_AT + 30 * HOUR
    np.testing.assert_allclose(learned[1:], (1 / 1.3, -40 / 1.3), rtol=0.1)


def test_a_withdrawn_change_gives_the_former_rows_back(weeks: Weeks) -> None:
    weeks.score(week(1), week(1, 20))
    before = weeks.execute(ROWS)
    number = _say(weeks, "unit", **TO_CELSIUS)
    weeks.score(week(1), week(1, 20))
    assert weeks.execute(ROWS) != before
    with Store.connect(weeks.uri) as store:
        withdraw_sensor_change(store, "plant", number)
    weeks.score(week(1), week(1, 20))
    assert weeks.execute(ROWS) == before


def test_hours_before_a_change_are_not_scored_anew(weeks: Weeks) -> None:
    weeks.score(week(1), week(1, 20))
    _say(weeks, "unit", **TO_CELSIUS)
    weeks.score(week(1), week(1, 20))
    anew = weeks.execute(
        "SELECT min(hour_at), count(*)::int FROM tsad.score_block WHERE revision = 2"
    )
    assert anew == [(CHANGED_AT, 10)]


def test_a_training_over_a_change_learns_one_sensor(weeks: Weeks) -> None:
    weeks.shift(week(2, 40), week(2, 43))
    _send(weeks, 1.8, 32.0)
    _say(weeks, "unit", **TO_CELSIUS)
    weeks.score(week(1), week(2))
    summary = weeks.train(week(2))
    assert summary.gate_passed
    assert weeks.excluded(summary.model_id) == {}
    weeks.score(week(2), week(2, 48))
    assert weeks.flagged_share(week(2, 40), week(2, 43)) > 0.9
    assert weeks.flagged_share(week(2), week(2, 39)) < 0.02


def _add_machine(weeks: Weeks, start_at: datetime) -> None:
    """A machine like the first one, but at another level and livelier."""
    weeks.execute(
        "INSERT INTO plant.metrics SELECT at + interval '7 days', 'm-2', temperature * 3 + 100, "
        "load * 2 "
        "FROM plant.metrics WHERE at >= %s AND machine = %s",
        start_at - timedelta(days=7),
        MACHINE,
    )
    fault = (
        "SET temperature = temperature + 60, load = load + 60 WHERE machine = 'm-2' AND at >= %s "
        "AND at < %s"
    )
    weeks.execute(f"UPDATE plant.metrics {fault}", *FAULT)


def test_a_new_machine_counts_down_and_then_has_a_scale_of_its_own(wood: Weeks) -> None:
    _add_machine(wood, CHANGED_AT)
    wood.score(week(1), CHANGED_AT + 6 * HOUR)
    detail = "SELECT DISTINCT status, detail FROM tsad.v_status WHERE entity = 'm-2'"
    assert wood.execute(detail) == [("unknown_entity_scale", "own scale in 18.0 running hours")]
    wood.score(CHANGED_AT + 6 * HOUR, week(1, 60))
    usable_at = CHANGED_AT + 24 * HOUR
    assert {status for status, _ in _statuses(wood, usable_at, week(1, 60), "m-2")} == {"scored"}
    assert {status for status, _ in _statuses(wood, CHANGED_AT, usable_at, "m-2")} == {
        "unknown_entity_scale"
    }
    flagged = (
        "SELECT avg(flag::int)::float8 FROM tsad.scores('plant', 'm-2', %s, %s) WHERE score IS "
        "NOT NULL"
    )
    assert wood.execute(flagged, *FAULT)[0][0] > 0.9
    assert wood.execute(flagged, usable_at, FAULT[0])[0][0] < 0.02


@pytest.mark.parametrize("order", ORDERS)
def test_a_new_machine_has_the_same_rows_in_any_order(wood: Weeks, order: str) -> None:
    _learns_from_half_a_day(wood)
    _add_machine(wood, CHANGED_AT)
    for hour in ORDERS[order]:
        wood.score(hour, hour + HOUR)
    usable_at = "SELECT usable_at FROM tsad.entity_scale"
    assert wood.execute(usable_at) == [(CHANGED_AT + 12 * HOUR,)]
    assert wood.execute(ROWS) == _bulk(wood, HOURS)


def test_the_tasks_with_their_files_leave_the_rows_of_one_go(wood: Weeks, tmp_path: Path) -> None:
    _add_machine(wood, CHANGED_AT)
    hours = [CHANGED_AT + i * HOUR for i in range(-2, 30)]
    span: dict[str, Any] = {"start_at": hours[0], "end_at": hours[-1] + HOUR}
    with Store.connect(wood.uri) as store:
        ingest_interval(store, wood.config, wood.uri, **span)
        made = build_features(store, wood.config, folder=UPath(tmp_path), n_shards=2, **span)
        build_windows(made.shards)
        for shard in made.shards:
            score_shard(store, wood.config, shard)
    assert wood.execute(ROWS) == _bulk(wood, hours)


@pytest.mark.parametrize("order", ["forward", "reverse"])
def test_a_state_begins_anew_with_a_machines_own_scale_in_any_order(
    weeks: Weeks, order: str
) -> None:
    _add_machine(weeks, week(1))
    days = [week(1, 24 * i) for i in range(6)]
    for day in days if order == "forward" else days[::-1]:
        weeks.score(day, day + 24 * HOUR)
    assert ("scored", 1.0) in _statuses(weeks, days[0], days[-1] + 24 * HOUR, "m-2")
    assert weeks.execute(ROWS) == _bulk(weeks, [days[0], days[-1] + 23 * HOUR])


def test_what_was_learned_stays_when_retention_drops_what_it_was_learned_from(wood: Weeks) -> None:
    _add_machine(wood, CHANGED_AT)
    _send(wood, 1.3, 40.0)
    _say(wood, "replaced")
    wood.score(week(1), week(1, 40))
    known = (
        "SELECT scale, usable_at FROM tsad.v_channel_epoch UNION ALL SELECT scales[1], usable_at "
        "FROM tsad.entity_scale"
    )
    before = wood.execute(known)
    wood.execute("UPDATE tsad.dataset SET retired_before = %s", week(1, 36))
    wood.execute("DELETE FROM tsad.reading_block WHERE hour_at < %s", week(1, 36))
    wood.score(week(1, 40), week(1, 42))
    assert wood.execute(known) == before
    assert all(usable_at for _, usable_at in before)
    assert {status for status, _ in _statuses(wood, week(1, 40), week(1, 42), "m-2")} == {"scored"}


WRONG = {
    "an unknown machine": (
        {"entity": "m-9"},
        "Expected an entity of the dataset plant. Received: m-9.",
    ),
    "an unknown channel": (
        {"channel": "speed"},
        "Expected a channel of the dataset. Received: speed.",
    ),
    "an unknown kind": (
        {"kind": "moved"},
        "Expected replaced, recalibrated or unit. Received: moved.",
    ),
    "a unit without terms": (
        {"kind": "unit"},
        "Expected the scale and offset of the new unit. Received: none.",
    ),
    "no reason": ({"reason": ""}, "Expected a reason. Received: nothing."),
    "a scale of nothing": (
        {"scale": 0.0},
        "Expected a scale from 1e-12 to 1e12, positive or negative, and an offset up to 1e15. "
        "Received: 0 and <NULL>.",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_word_on_a_sensor_is_refused(trained: Weeks, name: str) -> None:
    changes, message = WRONG[name]
    said: dict[str, Any] = {
        "entity": MACHINE,
        "channel": "temperature",
        "from_at": CHANGED_AT,
        "kind": "replaced",
    }
    said |= {"reason": "broke", "said_by": "ada"} | changes
    with Store.connect(trained.uri) as store, pytest.raises(BadInput) as refused:
        add_sensor_change(store, "plant", **said)
    assert str(refused.value) == message


def test_only_a_change_that_holds_can_be_withdrawn(weeks: Weeks) -> None:
    number = _say(weeks, "replaced")
    with Store.connect(weeks.uri) as store:
        withdraw_sensor_change(store, "plant", number)
        with pytest.raises(
            BadInput, match="Expected the epoch_id of a change of a sensor that holds"
        ):
            withdraw_sensor_change(store, "plant", number)
        with pytest.raises(
            BadInput, match=r"Expected the number of a change of a sensor of plant\. Received: 99"
        ):
            withdraw_sensor_change(store, "plant", 99)
