"""That an hour has no score is said as long as it holds, and in `run_status` as well."""

from __future__ import annotations

from typing import Any

from tests.pipeline.score_runs import run_score
from tests.pipeline.test_same_rows import run_hours
from tests.plants.trained import Plant
from tests.scoring.test_silence import at, silence
from tsad_tasks.base.interval import HOUR
from tsad_tasks.pipeline.ranges import RangeRun
from tsad_tasks.storage.scores import write_unscored_hours
from tsad_tasks.storage.store import Store

MARKS = (
    "SELECT e.name, u.hour_at, u.status, u.detail FROM tsad.unscored_hour u JOIN tsad.entity e "
    "USING (entity_id) WHERE u.superseded_at = 'infinity' ORDER BY 1, 2"
)
STATES = "SELECT step, state, message FROM tsad.run_status WHERE step IN ('features', 'score')"
SPOILT = "UPDATE tsad.model SET sha256 = repeat('0', 64)"
UNUSABLE = "None of its models could be used: see the status failed in tsad.v_status."


def mark(plant: Plant, entity: str, hours: range, detail: str = "lost") -> None:
    ids = dict(plant.execute("SELECT name, entity_id FROM tsad.entity"))
    with Store.connect(plant.uri) as store, store.transaction():
        of = "live", [ids[entity]] * len(hours), [at(hour) for hour in hours]
        write_unscored_hours(store, *of, ["failed"] * len(hours), detail)


def test_a_mark_ends_with_the_run_that_finds_a_score_or_silence_in_its_hour(plant: Plant) -> None:
    silence(plant, 2)
    run_hours(plant, [at(i) for i in range(6)])
    # host-01 is a gap in hour 2 and silent from hour 3 on; host-02 is scored.
    for entity in ("host-01", "host-02"):
        mark(plant, entity, range(6))
    run_hours(plant, [at(i) for i in range(5)])
    left = [("host-01", at(5), "failed", "lost"), ("host-02", at(5), "failed", "lost")]
    assert plant.execute(MARKS) == left


def test_a_mark_of_what_cannot_be_scored_still_stays_and_says_the_newest_reason(
    plant: Plant,
) -> None:
    run_hours(plant, [at(0)])
    mark(plant, "host-01", range(1, 2))
    plant.execute(SPOILT)
    run_hours(plant, [at(1)])
    found = plant.execute(MARKS)
    assert [row[:3] for row in found] == [
        ("host-01", at(1), "failed"),
        ("host-02", at(1), "failed"),
    ]
    assert len({row[3] for row in found}) == 1
    assert "sha256" in found[0][3]


def test_a_run_whose_models_all_failed_is_not_done(plant: Plant) -> None:
    plant.execute(SPOILT)
    run_score(plant, at(0), at(1))
    (features, *scores) = plant.execute(f"{STATES} ORDER BY step, shard")
    assert features == ("features", "bundle_error", UNUSABLE)
    assert {state for _, state, _ in scores} <= {"nothing_to_do"}
    failed = "SELECT DISTINCT status FROM tsad.v_status WHERE hour_at = %s"
    assert plant.execute(failed, at(0)) == [("failed",)]


def test_a_range_whose_models_all_failed_is_not_done(plant: Plant) -> None:
    plant.execute(SPOILT)
    _score_range(plant)
    assert plant.execute(STATES) == [("score", "bundle_error", UNUSABLE)]


def test_a_range_that_stands_is_done(plant: Plant) -> None:
    run_hours(plant, [at(0)])
    _score_range(plant)
    assert plant.execute(STATES) == [("score", "done", "")]


def _score_range(plant: Plant) -> None:
    def told(*_: Any) -> None:
        pass

    class Quiet:
        def __init__(self, *_: Any) -> None:
            pass

        def __enter__(self) -> Any:
            return told

        def __exit__(self, *_: Any) -> None:
            pass

    with Store.connect(plant.uri) as store:
        of = store, plant.config, plant.uri, at(0), at(0) + HOUR
        RangeRun(*of, Quiet, told, told).score("live")
