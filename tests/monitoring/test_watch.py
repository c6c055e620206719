"""Drift and the self-audit: what moved, and how models did, week by week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.test_same_rows import run_interval
from tests.plants.challengers import challenger
from tests.plants.trained import END_AT, SPLIT_AT, Plant, config
from tsad_tasks.base.errors import NothingToDo
from tsad_tasks.base.interval import HOUR
from tsad_tasks.monitoring.audit import audit_week, week_before
from tsad_tasks.monitoring.drift import measure_drift, retrain_if_drifted
from tsad_tasks.storage.store import Store

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
NEXT = MONDAY + timedelta(days=7, hours=6)
DRIFT = """
    SELECT entity, channel, psi, drift, shift, missing_share
    FROM tsad.v_drift WHERE channel IS NOT NULL ORDER BY 1, 2"""
AUDIT = """
    SELECT lineage, n_known, n_found, n_incidents, n_right, n_wrong, median_delay_s
    FROM tsad.v_audit ORDER BY 1"""


def watched(plant: Plant, step: Any = measure_drift, **changes: Any) -> Any:
    with Store.connect(plant.uri) as store:
        return step(store, config(**changes), end_at=NEXT)


def test_a_week_is_the_last_whole_one() -> None:
    assert week_before(NEXT) == MONDAY
    assert week_before(NEXT + timedelta(days=6)) == MONDAY


def test_a_channel_that_moved_has_drifted_and_the_others_have_not(plant: Plant) -> None:
    plant.execute(
        "UPDATE plant.metrics SET temperature = temperature + 40 WHERE host = 'host-01' AND at >= "
        "%s",
        SPLIT_AT,
    )
    run_interval(plant, SPLIT_AT, SPLIT_AT + 36 * HOUR)
    first = watched(plant)
    found = {(row[0], row[1]): row for row in plant.execute(DRIFT)}
    assert len(found) == 4
    moved, still = found["host-01", "temperature"], found["host-02", "temperature"]
    assert moved[2] > 2 * still[2]
    assert moved[3] == "large"
    assert moved[4] > 2 > abs(still[4])
    assert first.where == "temperature of host-01"
    assert all(0 <= row[5] < 0.05 for row in found.values())
    assert (
        watched(plant).n_rows
        == first.n_rows
        == plant.execute("SELECT count(*) FROM tsad.drift")[0][0]
    )


def test_an_early_retraining_starts_only_where_it_is_asked_for_and_drift_is_large(
    plant: Plant,
) -> None:
    run_interval(plant, SPLIT_AT, END_AT)
    with pytest.raises(NothingToDo, match="not set"):
        watched(plant, retrain_if_drifted)
    with pytest.raises(NothingToDo, match="not above 90"):
        watched(plant, retrain_if_drifted, drift={"retrain_above": 90})
    assert watched(plant, retrain_if_drifted, drift={"retrain_above": 1e-9}).highest > 0


def test_the_audit_counts_known_anomalies_and_what_people_said(
    plant: Plant, tmp_path: Path
) -> None:
    run_interval(plant, SPLIT_AT, SPLIT_AT + HOUR)
    challenger(plant, end_at=SPLIT_AT, nervous_in=tmp_path)
    run_interval(plant, SPLIT_AT, END_AT)
    incidents = plant.execute(
        "SELECT incident_id, entity, started_at, last_flag_at FROM tsad.v_incident ORDER BY 3"
    )
    first, entity, started_at, last_at = next(row for row in incidents if row[2] > SPLIT_AT + HOUR)
    other = next(
        row[0] for row in incidents if row[0] != first and not row[3] > started_at - HOUR / 2
    )
    plant.execute(
        "SELECT tsad.add_label('room', %s, %s, %s)",
        entity,
        started_at - HOUR / 2,
        last_at + HOUR / 12,
    )
    plant.execute(
        "SELECT tsad.add_label('room', 'host-02', %s, %s)", SPLIT_AT + HOUR, SPLIT_AT + HOUR * 1.1
    )
    plant.execute("SELECT tsad.set_verdict(%s, 'confirmed', 'me')", first)
    plant.execute("SELECT tsad.set_verdict(%s, 'false_alarm', 'me')", other)
    assert watched(plant, audit_week).n_models == 2
    watched(plant, audit_week)
    live, shadow = plant.execute(AUDIT)
    assert live == ("live", 2, 1, len(incidents), 1, 1, 1800.0)
    assert shadow[0] == "live/shadow"
    days = plant.execute(
        "SELECT days, incidents_per_day * days FROM tsad.v_audit WHERE lineage = 'live'"
    )[0]
    assert days == (0.5, pytest.approx(len(incidents)))


def test_without_a_champion_there_is_nothing_to_watch(plant: Plant) -> None:
    plant.execute("UPDATE tsad.champion_record SET replaced_at = now()")
    for step in (measure_drift, audit_week):
        with pytest.raises(NothingToDo, match="was champion in the week from 2026-03-02"):
            watched(plant, step)
