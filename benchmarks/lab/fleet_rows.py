"""A fleet whose warehouse is filled by SQL: its dataset file, its champion, and its rows."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import psycopg2

from tsad_tasks.config import DatasetConfig
from tsad_tasks.storage.datasets import ensure_entities, ensure_layout, upsert_dataset
from tsad_tasks.storage.store import Store

CHANNELS = ("temperature", "load", "current", "speed")
# In whose environment a process of a benchmark's own finds its warehouse: on a command line others
# could read the password.
URI_VARIABLE = "TSAD_BENCH_URI"
_CHAMPION = """
INSERT INTO tsad.model (dataset_id, version, lineage, detector, seed, train_start_at, train_end_at,
  config_hash, window_reach_s, score_reach_s, n_parameters, artifact_uri, sha256, card, gate_passed)
VALUES (1, 1, 'live', 'none', 7, %(start_at)s - interval '30 d', %(start_at)s, '', 0, 0, 0, '', '',
  '{}', true);
INSERT INTO tsad.champion_record (lineage, dataset_id, model_id, valid_from)
VALUES ('live', 1, 1, %(start_at)s);
"""


def fleet_config(step_min: int) -> DatasetConfig:
    """The fleet's dataset file, all but the step by default."""
    source: dict[str, Any] = {"connection": "fleet", "tables": "reading", "time": {"column": "at"}}
    source |= {"entity": {"column": "machine"}, "step": f"{step_min}min"}
    source |= {"channels": {name: {} for name in CHANNELS}}
    return DatasetConfig.model_validate({"dataset": "fleet", "source": source})


def fill_fleet(
    uri: str,
    config: DatasetConfig,
    n_machines: int,
    scored: tuple[datetime, int],
    statements: str,
    values: Mapping[str, Any],
) -> None:
    """The fleet, its champion from `start_at` of the values on, and what the statements insert.

    Parameters
    ----------
    scored : since when, and on how many days, hours are scored: months have partitions.
    """
    with Store.connect(uri) as store, store.transaction():
        dataset_id = upsert_dataset(store, config).dataset_id
        ensure_layout(store, dataset_id, config)
        ensure_entities(store, dataset_id, [f"machine-{n:04d}" for n in range(n_machines)])
    first_at, n_days = scored
    months = {(first_at + timedelta(days=day)).replace(day=1) for day in range(n_days + 1)}
    with closing(psycopg2.connect(uri)) as connection:
        with connection, connection.cursor() as cursor:
            for at in months:
                cursor.execute("SELECT tsad.ensure_partition('score_block', %s)", (at,))
            cursor.execute(_CHAMPION + statements, values)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
