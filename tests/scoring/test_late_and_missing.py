"""Late rows, missing rows, broken bundles, new entities: nothing unknown looks normal, and nothing
known is lost.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from tests.pipeline.test_same_rows import run_hours, run_interval
from tests.plants.trained import END_AT, SPLIT_AT, Plant, config
from tsad_tasks.base.interval import HOUR

STATUS = (
    "SELECT entity, status, n_seen FROM tsad.v_status WHERE hour_at = %s ORDER BY entity, status"
)


def statuses(plant: Plant, hour: datetime) -> list[tuple[Any, ...]]:
    return plant.execute(STATUS, hour)


def at(hours: float) -> datetime:
    return SPLIT_AT + timedelta(hours=hours)


def age_ledger(plant: Plant, since: datetime) -> None:
    """Makes hours look as if they had been read right after they ended, as live runs read them."""
    plant.execute(
        "UPDATE tsad.ingest_hour SET read_at = hour_at + interval '61 minutes' WHERE hour_at >= %s",
        since,
    )


def test_a_late_row_gives_the_hours_that_it_touches_a_new_revision(plant: Plant) -> None:
    run_hours(plant, [at(0), at(1), at(2)])
    known_at = datetime.now(UTC)
    before = plant.execute("SELECT * FROM tsad.scores('room', 'host-01', %s, %s)", at(1), at(2))
    plant.execute(
        "UPDATE plant.metrics SET cpu = cpu + 80 WHERE host = 'host-01' AND at = %s", at(1.5)
    )
    age_ledger(plant, at(1))
    run_hours(plant, [at(3)])
    after = plant.execute("SELECT * FROM tsad.scores('room', 'host-01', %s, %s)", at(1), at(2))
    assert {row[-1] for row in before} == {1}
    assert {row[-1] for row in after} == {2}
    assert any(row[4] for row in after)
    assert (
        plant.execute(
            "SELECT * FROM tsad.scores_as_known_at(%s, 'room', 'host-01', %s, %s)",
            known_at,
            at(1),
            at(2),
        )
        == before
    )
    other = plant.execute(
        "SELECT max(revision) FROM tsad.score_block JOIN tsad.entity USING (entity_id) WHERE name "
        "= 'host-02'"
    )
    assert other == [(1,)]


def test_late_rows_leave_the_rows_of_a_run_that_saw_them_in_time(
    plant: Plant, cluster: Any, trained_template: str
) -> None:
    late = """
      UPDATE plant.metrics SET temperature = temperature + 30
      WHERE host = 'host-02' AND at >= %s AND at < %s"""
    cluster.create_database("plant_in_time", template=trained_template)
    in_time = Plant(cluster.uri("plant_in_time"), config())
    in_time.execute(late, at(2), at(2.5))
    run_interval(in_time, SPLIT_AT, END_AT)
    run_hours(plant, [at(i) for i in range(4)])
    plant.execute(late, at(2), at(2.5))
    age_ledger(plant, at(2))
    run_hours(plant, [at(i) for i in range(4, 12)])
    assert plant.rows() == in_time.rows()
    cluster.drop_database("plant_in_time")


def test_an_incident_that_late_rows_extend_backwards_names_its_successor(plant: Plant) -> None:
    spike = "UPDATE plant.metrics SET cpu = cpu + 80 WHERE host = 'host-01' AND at = %s"
    plant.execute("UPDATE plant.metrics SET cpu = 20 WHERE host = 'host-01' AND at >= %s", at(0))
    plant.execute(spike, at(2))
    run_hours(plant, [at(i) for i in range(3)])
    (old,) = plant.execute(
        "SELECT incident_id, started_at FROM tsad.v_incident WHERE entity = 'host-01'"
    )
    plant.execute(spike, at(1.75))
    age_ledger(plant, at(1))
    run_hours(plant, [at(3)])
    (new,) = plant.execute(
        "SELECT incident_id, started_at FROM tsad.v_incident WHERE entity = 'host-01'"
    )
    assert new[1] == at(1.75)
    assert plant.execute(
        "SELECT superseded_by FROM tsad.incident WHERE incident_id = %s", old[0]
    ) == [(new[0],)]


def test_rows_that_the_source_has_deleted_stay_and_scores_with_them(plant: Plant) -> None:
    run_hours(plant, [at(0), at(1)])
    before = plant.rows()
    plant.execute("DELETE FROM plant.metrics")
    age_ledger(plant, at(0))
    run_hours(plant, [at(0), at(1)])
    assert plant.rows() == before


def test_a_gap_is_a_gap_and_not_a_zero(plant: Plant) -> None:
    plant.execute("DELETE FROM plant.metrics WHERE host = 'host-01' AND at >= %s", at(1))
    run_hours(plant, [at(1)])
    assert statuses(plant, at(1)) == [("host-01", "gap", 0), ("host-02", "scored", 12)]
    scores = plant.execute(
        "SELECT score, reason FROM tsad.scores('room', 'host-01', %s, %s)", at(1), at(2)
    )
    assert scores == [(None, "missing")] * 12


def test_a_dead_channel_is_masked_and_the_others_go_on(plant: Plant) -> None:
    plant.execute(
        "UPDATE plant.metrics SET temperature = NULL WHERE host = 'host-01' AND at >= %s", at(0)
    )
    run_hours(plant, [at(0), at(1)])
    assert statuses(plant, at(1))[0] == ("host-01", "scored", 12)
    assert plant.execute(
        "SELECT coverage FROM tsad.v_status WHERE entity = 'host-01' AND hour_at = %s", at(1)
    ) == [(0.5,)]


def test_an_hour_without_champion_says_so(plant: Plant) -> None:
    run_hours(plant, [SPLIT_AT - HOUR])
    assert statuses(plant, SPLIT_AT - HOUR) == [
        ("host-01", "no_champion", 0),
        ("host-02", "no_champion", 0),
    ]


def test_an_hour_is_scored_once_it_has_a_champion(plant: Plant) -> None:
    run_hours(plant, [SPLIT_AT - HOUR])
    plant.execute("UPDATE tsad.champion_period SET valid_from = %s", SPLIT_AT - HOUR)
    plant.execute("UPDATE tsad.model SET train_end_at = %s", SPLIT_AT - HOUR)
    run_hours(plant, [SPLIT_AT - HOUR])
    assert [row[1] for row in statuses(plant, SPLIT_AT - HOUR)] == ["scored", "scored"]


def test_a_bundle_that_was_tampered_with_fails_its_hours_only(plant: Plant) -> None:
    run_hours(plant, [at(0)])
    plant.execute("UPDATE tsad.model SET sha256 = 'other'")
    run_hours(plant, [at(1)])
    assert [row[1] for row in statuses(plant, at(0))] == ["scored", "scored"]
    assert [row[1] for row in statuses(plant, at(1))] == ["failed", "failed"]
    detail = plant.execute("SELECT DISTINCT detail FROM tsad.v_status WHERE hour_at = %s", at(1))[
        0
    ][0]
    assert "Expected sha256 other" in detail


def test_a_new_entity_is_scored_by_the_pooled_scale_and_marked_provisional(plant: Plant) -> None:
    plant.execute(
        "INSERT INTO plant.metrics SELECT at, 'host-03', cpu, temperature FROM plant.metrics "
        "WHERE host = 'host-02' AND at >= %s",
        at(0),
    )
    run_hours(plant, [at(0), at(1)])
    assert statuses(plant, at(1))[-1] == ("host-03", "unknown_entity_scale", 12)
    provisional = """
      SELECT DISTINCT provisional FROM tsad.v_status
      WHERE entity = 'host-03' AND status = 'unknown_entity_scale'"""
    assert plant.execute(provisional) == [(True,)]


def test_the_first_hour_of_an_entity_lacks_history(plant: Plant) -> None:
    plant.execute("INSERT INTO plant.metrics SELECT %s, 'host-03', 20, 25", at(0))
    run_hours(plant, [at(0)])
    assert statuses(plant, at(0))[-1] == ("host-03", "insufficient_history", 0)


def test_a_fault_of_24_hours_stays_one_open_incident(plant: Plant) -> None:
    plant.execute(
        "UPDATE plant.metrics SET temperature = temperature + 25 WHERE host = 'host-01' AND at >= "
        "%s",
        at(1),
    )
    run_interval(plant, at(0), at(25))
    incidents = plant.execute(
        "SELECT state, last_flag_at, n_flags FROM tsad.v_incident WHERE entity = 'host-01' AND "
        "last_flag_at >= %s",
        at(2),
    )
    assert incidents == [("open", at(25) - timedelta(minutes=5), 24 * 12)]


def test_bundles_are_onnx_json_and_arrays_without_objects_only(plant: Plant) -> None:
    ((uri,),) = plant.execute("SELECT artifact_uri FROM tsad.model")
    assert {path.suffix for path in Path(uri).iterdir()} == {".onnx", ".json", ".npz"}
    for path in Path(uri).glob("*.npz"):
        with np.load(path, allow_pickle=False) as arrays:
            assert all(arrays[name].dtype.kind in "fiu" for name in arrays.files)


def test_the_share_of_a_channel_is_told_step_by_step(plant: Plant) -> None:
    run_interval(plant, at(0), at(10))
    totals = plant.execute(
        "SELECT max(a.share), sum(s.share), count(*), max(s.step_at) = max(s.at) FROM "
        "tsad.v_attribution a"
        " JOIN tsad.v_attribution_step s USING (entity, at, channel) GROUP BY entity, at, channel"
    )
    assert totals
    assert all(
        abs(share - by_step) < 1e-5 and n == 6 and is_last for share, by_step, n, is_last in totals
    )
