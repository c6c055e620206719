"""A small plant with a trained champion: source table, readings and model in one database, cloned
for each test.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from upath import UPath

from devstack.simulate import server_room
from tests.statements import run
from tsad_tasks.base.interval import HOUR
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.storage import copy_binary as binary
from tsad_tasks.storage.database import connect
from tsad_tasks.storage.store import Store
from tsad_tasks.training.retrain import Retraining

TEMPLATE = "tsad_trained"
START_AT = datetime(2026, 3, 2, tzinfo=UTC)
N_DAYS = 7
SPLIT_AT = START_AT + timedelta(days=5.5)
END_AT = SPLIT_AT + 12 * HOUR
CONFIG: dict[str, Any] = {
    "dataset": "room",
    "source": {
        "connection": "room",
        "tables": "plant.metrics",
        "time": {"column": "at"},
        "entity": {"column": "host"},
        "step": "5min",
        "late_rows_within": "3h",
        "channels": {"cpu": {"unit": "%"}, "temperature": {"unit": "°C"}},
    },
    "detector": {"name": "lstm_autoencoder", "window": 6},
    "threshold": {
        "kind": "adaptive",
        "k": 6,
        "look_back": 100,
        "min_span": "6h",
        "min_count": 30,
        "collective_width": 4,
    },
    "training": {
        "range": "5d",
        "max_windows": 2500,
        "epochs": 25,
        "min_hours": 10,
        "fallback": [],
    },
    "features": {"min_own_scale": "1d", "cyclic": []},
    "gate": {
        "min_point_share": 0,
        "min_contextual_share": 0,
        "min_collective_share": 0,
        "max_false_alarm_share": 1,
        "n_injected": 10,
    },
}


def config(**changes: Any) -> DatasetConfig:
    """The plant's dataset, with top-level fields changed."""
    return DatasetConfig.model_validate(CONFIG | changes)


def fill(uri: str) -> None:
    """A week of two hosts, every five minutes; known faults after SPLIT_AT."""
    room = server_room(days=N_DAYS, hosts=2, start_at=START_AT, seed=7, step_s=300)
    values = room.values[:, :, [0, 4]]
    n_hosts, n_steps, _ = values.shape
    split = int((SPLIT_AT - START_AT).total_seconds()) // 300
    values[0, split + 40 : split + 43, 0] += 60.0
    values[1, split + 70 : split + 100, 1] += 25.0
    columns = [
        binary.timestamptz(np.repeat(room.times_s, n_hosts)),
        binary.text(list(room.entities) * n_steps),
    ]
    columns += [binary.nullable(column) for column in values.transpose(1, 0, 2).reshape(-1, 2).T]
    connection = connect(uri)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA plant")
        cursor.execute(
            "CREATE TABLE plant.metrics (at timestamptz, host text, cpu double precision, "
            "temperature double precision)"
        )
        cursor.copy_expert(
            "COPY plant.metrics FROM STDIN (FORMAT binary)", io.BytesIO(binary.encode(columns))
        )
    connection.close()


def train(uri: str, artifacts: Path) -> None:
    """Ingests the training range and makes its model champion from SPLIT_AT on."""
    with Store.connect(uri) as store:
        ingest_interval(store, config(), uri, start_at=START_AT, end_at=SPLIT_AT)
        run = Retraining(store, config(), SPLIT_AT, UPath(artifacts / "run"), UPath(artifacts))
        (summary,) = retrain(run)
    assert summary.valid_from == SPLIT_AT


@dataclass(frozen=True)
class Plant:
    """One test's own copy."""

    uri: str
    config: DatasetConfig

    def execute(self, statement: str, *params: object) -> list[tuple[Any, ...]]:
        """Rows of a statement."""
        return run(self.uri, statement, params)

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """What people see now: without revisions, bookkeeping times and run ids."""
        return {name: self.execute(statement) for name, statement in CURRENT.items()}


CURRENT = {
    "readings": "SELECT entity_id, hour_at, checksum, values FROM tsad.reading_block ORDER BY 1, 2",
    "scores": """
        SELECT entity_id, hour_at, model_id, errors, thresholds, scores, reasons, channel_errors,
          status, coverage,
          n_needed, n_seen
        FROM tsad.score_block WHERE superseded_at = 'infinity' AND thresholds IS NOT NULL
          ORDER BY 1, 2, 3""",
    "status": """
        SELECT entity, hour_at, lineage, status, coverage, n_needed, n_seen, model_id
        FROM tsad.v_status ORDER BY 1, 2, 3""",
    "anomalies": """
        SELECT entity, at, lineage, kind, severity, score, error, threshold, channel, share,
          actual, expected, model_id
        FROM tsad.v_anomaly ORDER BY 1, 2, 3""",
    "attributions": """
        SELECT entity, at, channel, share, actual, expected, spread
          FROM tsad.v_attribution ORDER BY 1, 2, 3""",
    "incidents": """
        SELECT incident_id, entity, lineage, severity, kind, state, started_at, last_flag_at,
          n_flags, peak_score,
          peak_at, sentence
        FROM tsad.v_incident ORDER BY 1""",
}


def artifacts_folder() -> Path:
    """Where the session's bundles are."""
    return Path(os.environ["TSAD_TEST_SESSION_FOLDER"]) / "artifacts"
