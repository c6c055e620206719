"""The example datasets from simulated tables to listed incidents, by the commands that a person
types.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from devstack.plants import START_AT
from tsad_tasks.base.interval import HOUR
from tsad_tasks.base.places import project_folder
from tsad_tasks.cli.commands import app
from tsad_tasks.storage.database import connect

N_DAYS = 3
END_AT = START_AT + timedelta(days=N_DAYS)
DURING_THE_OPEN_DOOR = """
SELECT entity FROM tsad.v_incident WHERE started_at >= '2026-09-01 02:00Z'
  AND started_at < '2026-09-01 04:30Z'"""
# A budget of seconds, a network that is made quickly, and a gate that lets any model pass: what is
# tested is the way, not how well it detects.
SMALL = {
    "detector": {"name": "dense_autoencoder"},
    "features": {"min_own_scale": "6h"},
    "training": {"range": "1d", "max_windows": 2000, "epochs": 20},
    "gate": {
        "min_point_share": 0,
        "min_contextual_share": 0,
        "min_collective_share": 0,
        "max_false_alarm_share": 1,
        "max_incidents_per_entity_week": 1000,
        "n_injected": 10,
    },
}


@pytest.fixture
def small_datasets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warehouse_uri: str, empty_database_uri: str
) -> None:
    """The project's dataset files with a small budget, databases of their own, and a folder for
    models.
    """
    for path in (project_folder() / "dags" / "datasets").glob("*.yaml"):
        fields: dict[str, Any] = yaml.safe_load(path.read_text())
        changed = {name: {**fields.get(name, {}), **part} for name, part in SMALL.items()}
        (tmp_path / path.name).write_text(yaml.safe_dump(fields | changed))
    for name, value in {
        "TSAD_DATASETS": str(tmp_path),
        "TSAD_ARTIFACTS": str(tmp_path / "artifacts"),
        "TSAD_DATABASE_URI": warehouse_uri,
        "AIRFLOW_CONN_TSAD_DEMO": empty_database_uri,
    }.items():
        monkeypatch.setenv(name, value)


def tsad(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "250"}, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def found(dataset: str, source_uri: str, hours_before_end: tuple[int, int]) -> str:
    """What `tsad anomalies` lists after all commands before it were run."""
    span = [f"{END_AT - n * HOUR:%Y-%m-%dT%H:%M}" for n in hours_before_end]
    tsad("simulate", dataset, "--days", str(N_DAYS), "--uri", source_uri)
    assert "error" not in tsad("datasets", "check", dataset)
    assert "is champion from 2026-09-01 00:00" in tsad("retrain", dataset, "--end", "2026-09-01")
    tsad("score", dataset, "--from", span[0], "--to", span[1])
    return tsad("anomalies", dataset)


@pytest.mark.usefixtures("small_datasets")
def test_thirty_tables_by_pattern_are_thirty_entities_and_a_failing_motor_is_an_incident(
    warehouse_uri: str, empty_database_uri: str
) -> None:
    assert "pump_02: current rose" in found("pumps", empty_database_uri, (11, 9))
    assert rows(warehouse_uri, "SELECT count(*), min(name), max(name) FROM tsad.entity") == [
        (30, "pump_01", "pump_30")
    ]


@pytest.mark.usefixtures("small_datasets")
def test_a_long_table_in_local_time_lands_on_utc_hours_and_an_open_door_is_an_incident(
    warehouse_uri: str, empty_database_uri: str
) -> None:
    assert "room-1" in found("cold_store", empty_database_uri, (48, 42))
    assert ("room-1",) in rows(warehouse_uri, DURING_THE_OPEN_DOOR)
    assert (
        str(rows(empty_database_uri, "SELECT min(read_at) FROM plant.cold_store_log")[0][0])
        == "2026-08-31 02:00:00"
    )
    assert rows(warehouse_uri, "SELECT min(hour_at) FROM tsad.reading_block") == [(START_AT,)]


def rows(uri: str, statement: str) -> list[tuple[Any, ...]]:
    connection = connect(uri)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())
    finally:
        connection.close()
