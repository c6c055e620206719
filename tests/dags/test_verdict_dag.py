"""The form `<dataset>.verdict` through real Airflow: what a person fills in is a verdict in the
warehouse.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from devstack.headless import headless
from devstack.postgres import PIPELINE, Cluster
from tests.dags.airflow_plants import airflow_plant
from tests.plants.weeks import CONFIG, config_of
from tests.statements import run
from tests.storage.rooms import HOUR_AT, new_model, opened_room
from tsad_tasks.base.interval import HOUR
from tsad_tasks.champions.records import insert_model
from tsad_tasks.scoring.queries import UPSERT_INCIDENTS, IncidentRow
from tsad_tasks.storage.store import columns

INCIDENT = "INC-1"


@pytest.fixture
def uri(warehouse_uri: str, cluster: Cluster) -> str:
    """The pipeline's login to a warehouse with one incident."""
    with opened_room(warehouse_uri, config_of(), ("m-1",)) as room, room.store.transaction():
        model_id = insert_model(room.store, new_model(room)).model_id
        times = {"started_at": HOUR_AT, "last_flag_at": HOUR_AT, "peak_at": HOUR_AT}
        incident = IncidentRow(
            INCIDENT,
            room.entity_ids[0],
            model_id,
            n_flags=1,
            kind="point",
            severity="HIGH",
            peak_score=2.0,
            top_channel_id=None,
            sentence="It got hot.",
            provisional=False,
            **times,
        )
        room.store.execute(
            UPSERT_INCIDENTS,
            lineage="live",
            policy_version="policy",
            **columns([incident], IncidentRow),
        )
    return cluster.uri(warehouse_uri.rsplit("/", 1)[1], PIPELINE)


def test_a_form_becomes_a_verdict_of_who_filled_it_in(
    uri: str, cluster: Cluster, tmp_path: Path
) -> None:
    plant = airflow_plant(cluster, uri, tmp_path, CONFIG)
    at, conf = HOUR_AT, {"incident": INCIDENT, "verdict": "new_normal", "note": "fan"}
    with headless(plant.places, plant.environment) as airflow:
        list(airflow.runs(["plant.verdict"], at, at + HOUR, HOUR, conf))
    said = run(uri, "SELECT incident_id, verdict, said_by, note FROM tsad.v_verdict")
    assert said == [(INCIDENT, "new_normal", "tsad_headless", "fan")]
    assert run(uri, "SELECT step, state, counts FROM tsad.run_status") == [
        ("verdict", "done", {"verdict_id": 1})
    ]
