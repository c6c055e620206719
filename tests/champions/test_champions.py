"""A challenger's shadow, its promotion or rejection, and the way back."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.test_same_rows import run_hours, run_interval
from tests.plants.challengers import FAILED, challenger
from tests.plants.trained import CONFIG, SPLIT_AT, Plant, config
from tests.plants.weeks import Weeks
from tsad_tasks.base.errors import BadInput, NothingToDo
from tsad_tasks.base.interval import HOUR
from tsad_tasks.champions.champions import promote, roll_back
from tsad_tasks.champions.rules.base import ShadowComparison
from tsad_tasks.champions.shadow import (
    compare_shadows,
    decline,
    promote_ready,
    shadow_results,
)
from tsad_tasks.storage.store import Store

DAY_END = SPLIT_AT + 26 * HOUR
STATES = "SELECT version, state FROM tsad.v_model ORDER BY version"
HISTORY = (
    "SELECT version, decision, former_version, valid_from FROM tsad.v_model_history "
    "ORDER BY decided_at"
)
CHAMPIONS = """
  SELECT m.version, p.valid_from FROM tsad.champion_period p JOIN tsad.model m USING (model_id)
  WHERE p.lineage = 'live' ORDER BY p.valid_from"""


def compared(plant: Plant | Weeks, end_at: datetime, lineage: str = "live") -> Any:
    with Store.connect(plant.uri) as store:
        return compare_shadows(store, plant.config, end_at=end_at, lineage=lineage)


def promoted(plant: Plant, versions: list[int], end_at: datetime, lineage: str = "live") -> Any:
    with Store.connect(plant.uri) as store:
        return promote_ready(
            store, plant.config, versions, end_at=end_at, by="shadow", lineage=lineage
        )


def test_what_passes_the_gate_goes_into_the_shadow_and_what_fails_does_not(plant: Plant) -> None:
    run_interval(plant, SPLIT_AT, SPLIT_AT + 2 * HOUR)
    good, bad = challenger(plant), challenger(plant, seed=9, gate=FAILED)
    assert (good.promoted, good.shadow_from) == (False, SPLIT_AT + 2 * HOUR)
    assert (bad.promoted, bad.shadow_from) == (False, None)
    assert plant.execute(STATES) == [(1, "champion"), (2, "shadow"), (3, "gate failed")]
    assert [row[:2] for row in plant.execute(HISTORY)] == [
        (1, "promoted"),
        (2, "shadow_started"),
        (3, "gate_failed"),
    ]


def test_a_shadow_is_scored_beside_the_champion_and_nobody_sees_it(
    plant: Plant, tmp_path: Path
) -> None:
    run_interval(plant, SPLIT_AT, SPLIT_AT + HOUR)
    challenger(plant, nervous_in=tmp_path)
    run_hours(plant, [SPLIT_AT + i * HOUR for i in range(1, 4)])
    pairs = plant.execute(
        "SELECT entity, hour_at, n_paired, challenger_version FROM tsad.v_shadow ORDER BY 1, 2"
    )
    assert len(pairs) == 2 * 3
    assert {row[2:] for row in pairs} == {(12, 2)}
    flags, shadow_flags = plant.execute(
        "SELECT sum(n_champion_flags), sum(n_challenger_flags) FROM tsad.v_shadow"
    )[0]
    seen = plant.execute("SELECT count(*) FROM tsad.v_anomaly WHERE at >= %s", SPLIT_AT + HOUR)[0][
        0
    ]
    assert flags == seen < shadow_flags
    assert {row[0] for row in plant.execute("SELECT DISTINCT lineage FROM tsad.v_incident")} <= {
        "live"
    }
    assert plant.execute("SELECT count(*) FROM tsad.unscored_hour")[0][0] == 0


def test_the_rows_that_people_see_are_the_same_with_and_without_a_shadow(
    plant: Plant, cluster: Any
) -> None:
    twin = Plant(cluster.create_database("twin_of_shadow", template="tsad_trained"), config())
    challenger(plant)
    for one in (plant, twin):
        run_hours(one, [SPLIT_AT + i * HOUR for i in range(3)])
    assert {name: rows for name, rows in plant.rows().items() if name != "scores"} == {
        name: rows for name, rows in twin.rows().items() if name != "scores"
    }
    cluster.drop_database("twin_of_shadow")


def test_a_good_challenger_takes_over_after_a_day_and_no_sooner(plant: Plant) -> None:
    run_interval(plant, SPLIT_AT, SPLIT_AT + 2 * HOUR)
    challenger(plant)
    run_interval(plant, SPLIT_AT + 2 * HOUR, SPLIT_AT + 20 * HOUR)
    early = compared(plant, SPLIT_AT + 20 * HOUR)
    assert (early.ready, early.waiting) == (
        [],
        {2: "18 of 24 hours and 432 of 144 steps scored by both"},
    )
    assert plant.execute("SELECT count(*) FROM tsad.gate_decision WHERE stage = 'shadow'") == [(0,)]
    run_interval(plant, SPLIT_AT + 20 * HOUR, DAY_END)
    late = compared(plant, DAY_END)
    assert (late.ready, late.waiting, late.failed) == ([2], {}, {})
    (change,) = promoted(plant, late.ready, DAY_END)
    assert (change.version, change.valid_from, change.former_version) == (2, DAY_END, 1)
    assert plant.execute(STATES) == [(1, "former champion"), (2, "champion")]
    assert plant.execute(CHAMPIONS) == [(1, SPLIT_AT), (2, DAY_END)]
    with pytest.raises(NothingToDo):
        compared(plant, DAY_END + HOUR)


def test_hours_that_nothing_was_read_in_lengthen_the_shadow(plant: Plant) -> None:
    run_interval(plant, SPLIT_AT, SPLIT_AT + 2 * HOUR)
    challenger(plant)
    first, last = SPLIT_AT + 5 * HOUR, SPLIT_AT + 9 * HOUR
    plant.execute("DELETE FROM plant.metrics WHERE at >= %s AND at < %s", first, last)
    run_interval(plant, SPLIT_AT + 2 * HOUR, DAY_END)
    assert compared(plant, DAY_END).waiting == {
        2: "20 of 24 hours and 470 of 144 steps scored by both"
    }


def test_a_nervous_challenger_leaves_the_shadow_and_the_champion_stays(
    plant: Plant, tmp_path: Path
) -> None:
    run_interval(plant, SPLIT_AT, SPLIT_AT + 2 * HOUR)
    challenger(plant, nervous_in=tmp_path)
    run_interval(plant, SPLIT_AT + 2 * HOUR, DAY_END)
    found = compared(plant, DAY_END)
    assert found.ready == []
    assert "flag_share" in found.failed[2]
    assert plant.execute(STATES) == [(1, "champion"), (2, "shadow failed")]
    rules = plant.execute(
        "SELECT rule, passed FROM tsad.v_model_decision WHERE stage = 'shadow' AND version = 2"
    )
    assert {("flag_share", False), ("hours", True)} <= {*rules}
    with pytest.raises(NothingToDo):
        promoted(plant, found.ready, DAY_END)


def test_the_same_retraining_again_changes_nothing(plant: Plant) -> None:
    run_interval(plant, SPLIT_AT, SPLIT_AT + 2 * HOUR)
    first = challenger(plant)
    before = (
        plant.execute("SELECT * FROM tsad.champion_record ORDER BY 1, 5"),
        plant.execute(HISTORY),
    )
    run_interval(plant, SPLIT_AT + 2 * HOUR, SPLIT_AT + 3 * HOUR)
    assert challenger(plant) == first
    assert (
        plant.execute("SELECT * FROM tsad.champion_record ORDER BY 1, 5"),
        plant.execute(HISTORY),
    ) == before


def test_a_person_may_reject_what_passed(plant: Plant) -> None:
    run_interval(plant, SPLIT_AT, SPLIT_AT + 2 * HOUR)
    challenger(plant)
    with Store.connect(plant.uri) as store:
        assert decline(store, plant.config, [2], end_at=SPLIT_AT + 3 * HOUR, by="ada") == [2]
        assert decline(store, plant.config, [2], end_at=SPLIT_AT + 3 * HOUR, by="ada") == []
    assert plant.execute(STATES) == [(1, "champion"), (2, "declined")]


def test_rolling_back_gives_the_rows_their_former_meaning(plant: Plant, tmp_path: Path) -> None:
    hours = [SPLIT_AT + i * HOUR for i in range(6)]
    run_hours(plant, hours)
    before = plant.rows()
    plant.execute("DELETE FROM tsad.score_block WHERE hour_at >= %s", hours[3])
    plant.execute("DELETE FROM tsad.anomaly WHERE hour_at >= %s", hours[3])
    challenger(plant, nervous_in=tmp_path)
    with Store.connect(plant.uri) as store:
        promote(store, plant.config, 2, by="ada", reason="in a hurry")
    run_hours(plant, hours[3:])
    worse, (worse_at,) = plant.rows(), plant.execute("SELECT clock_timestamp()")[0]
    assert len(worse["anomalies"]) > len(before["anomalies"])
    with Store.connect(plant.uri) as store:
        change = roll_back(store, plant.config, by="ada", reason="cries wolf")
    assert (change.version, change.valid_from, change.former_version) == (1, hours[3], 2)
    run_interval(plant, hours[3], hours[-1] + HOUR)
    assert _seen(plant) == {name: rows for name, rows in before.items() if name != "scores"}
    known = "SELECT count(*) FROM tsad.scores_as_known_at(%s, 'room', 'host-01', %s, %s) WHERE flag"
    flags_then = plant.execute(known, worse_at, hours[3], hours[-1] + HOUR)
    assert flags_then[0][0] == sum(
        row[0] == "host-01" and row[1] >= hours[3] for row in worse["anomalies"]
    )
    assert [row[1] for row in plant.execute(HISTORY)] == [
        "promoted",
        "shadow_started",
        "promoted",
        "rolled_back",
    ]


def _seen(plant: Plant) -> dict[str, Any]:
    return {name: rows for name, rows in plant.rows().items() if name != "scores"}


def test_there_is_no_way_back_from_the_first_champion(plant: Plant) -> None:
    with Store.connect(plant.uri) as store, pytest.raises(BadInput, match="it is the first"):
        roll_back(store, plant.config, by="ada", reason="no")
    with Store.connect(plant.uri) as store, pytest.raises(BadInput, match="Received: 9"):
        promote(store, plant.config, 9, by="ada", reason="no")
    with Store.connect(plant.uri) as store, pytest.raises(BadInput, match="Received: 1, which is"):
        promote(store, plant.config, 1, by="ada", reason="no")


def test_promotions_at_once_leave_one_champion(plant: Plant) -> None:
    run_interval(plant, SPLIT_AT, SPLIT_AT + 2 * HOUR)
    for seed in (8, 9, 10):
        challenger(plant, seed=seed)
    failures: list[Exception] = []

    def work(version: int) -> None:
        try:
            with Store.connect(plant.uri) as store:
                promote(store, plant.config, version, by="ada", reason="race")
        except BadInput as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(version,)) for version in (2, 3, 4, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    periods = plant.execute(
        "SELECT valid_from, valid_to FROM tsad.champion_period WHERE lineage = 'live' ORDER BY 1"
    )
    assert [start for start, _ in periods[1:]] == [end for _, end in periods[:-1]]
    assert plant.execute(
        "SELECT count(*) FROM tsad.champion_period WHERE valid_to = 'infinity' AND lineage = 'live'"
    ) == [(1,)]


def test_a_replay_has_shadows_of_its_own(plant: Plant) -> None:
    challenger(plant, lineage="replay", end_at=SPLIT_AT)
    second = challenger(plant, lineage="replay", seed=9, end_at=SPLIT_AT + HOUR)
    assert (second.promoted, second.shadow_from) == (False, SPLIT_AT + HOUR)
    run_interval(plant, SPLIT_AT, DAY_END, "replay")
    found = compared(plant, DAY_END, "replay")
    (change,) = promoted(plant, found.ready, DAY_END, "replay")
    assert change.valid_from == DAY_END
    assert plant.execute(CHAMPIONS) == [(1, SPLIT_AT)]


def test_an_hourly_sensor_need_not_wait_for_weeks() -> None:
    steps = {"5min": 144, "1min": 500, "1h": 12}
    for step, n in steps.items():
        assert config(source={**CONFIG["source"], "step": step}).shadow_windows == n


def test_few_incidents_decide_nothing_and_many_do() -> None:
    def failed(incidents: tuple[int, int]) -> list[str]:
        paired = ShadowComparison(24, 5000, 5000, (0, 0), incidents, 3, (2, 2))
        return [row.rule for row in shadow_results(config(), paired) if not row.passed]

    assert failed((4, 1)) == failed((0, 9)) == []
    assert failed((20, 1)) == ["incidents"]


def test_a_challenger_that_misses_a_known_anomaly_fails() -> None:
    paired = ShadowComparison(24, 5000, 4990, (10, 20), (1, 2), 3, (1, 2))
    assert [row.rule for row in shadow_results(config(), paired) if not row.passed] == [
        "labels_found"
    ]
