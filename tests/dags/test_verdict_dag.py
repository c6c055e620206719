"""The form `<dataset>.verdict` through real Airflow: what a person fills in is a verdict in the warehouse."""

from __future__ import annotations

import json
import os
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from local.test_headless import run_headless
from statements import run
from steps.weeks import CONFIG, config_of
from storage.rooms import HOUR_AT, new_model, opened_room
from tsad_tasks.local.environment import DATABASE_URI, METADATA_URI, Places, airflow_environment, ensure_secrets
from tsad_tasks.local.places import project_folder
from tsad_tasks.local.postgres import AIRFLOW, PIPELINE, Cluster
from tsad_tasks.storage.rows import IncidentRow

INCIDENT = "INC-1"


@pytest.fixture
def uri(warehouse_uri: str, cluster: Cluster) -> str:
    """The pipeline's login to a warehouse with one incident."""
    with opened_room(warehouse_uri, config_of(), ("m-1",)) as room, room.store.transaction():
        model_id = room.store.insert_model(new_model(room)).model_id
        times = {"started_at": HOUR_AT, "last_flag_at": HOUR_AT, "peak_at": HOUR_AT}
        incident = IncidentRow(
            INCIDENT, room.entity_ids[0], model_id, n_flags=1, kind="point", severity="HIGH", peak_score=2.0,
            top_channel_id=None, sentence="It got hot.", provisional=False, **times,
        )  # fmt: skip
        room.store.upsert_incidents("live", "policy", [incident])
    return cluster.uri(warehouse_uri.rsplit("/", 1)[1], PIPELINE)


def test_a_form_becomes_a_verdict_of_who_filled_it_in(uri: str, cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "plant.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    kept, _ = ensure_secrets(tmp_path / "home")
    places = Places.of(project_folder(), tmp_path / "home")
    metadata_uri = cluster.create_database(f"verdict_{uuid4().hex}", owner=AIRFLOW)
    environment = airflow_environment(places, kept, cluster, os.environ, headless=True)
    environment |= {METADATA_URI: metadata_uri, DATABASE_URI: uri, "TSAD_DATASETS": str(tmp_path / "datasets")}
    hour = ("--start", "2026-05-01T00:00Z", "--end", "2026-05-01T01:00Z")
    conf = json.dumps({"incident": INCIDENT, "verdict": "new_normal", "note": "fan"})
    ended = run_headless("--dag", "plant.verdict", *hour, "--conf", conf, environment=environment)
    assert ended.returncode == 0, ended.stderr[-3000:]
    said = run(uri, "SELECT incident_id, verdict, said_by, note FROM tsad.v_verdict")
    assert said == [(INCIDENT, "new_normal", "tsad_headless", "fan")]
    assert run(uri, "SELECT step, state, counts FROM tsad.run_status") == [("verdict", "done", {"verdict_id": 1})]
