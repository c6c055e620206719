"""A meter that begins anew is no incident."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from tests.plants.weeks import CONFIG, Weeks
from tsad_tasks.base.interval import HOUR
from tsad_tasks.config import DatasetConfig
from tsad_tasks.storage.datasets import select_dataset, select_entities
from tsad_tasks.storage.store import Store
from tsad_tasks.training.reader import stored_readings

START_AT = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
METERS = """
CREATE SCHEMA plant;
CREATE TABLE plant.meter (at timestamptz, machine text, total float8, power float8);
INSERT INTO plant.meter
SELECT at, machine, used - CASE WHEN at < '2026-03-11 10:00Z' THEN 0
  WHEN machine = 'm2' THEN 7000
  ELSE max(used) FILTER (WHERE at <= '2026-03-11 10:00Z') OVER (PARTITION BY machine) END, power
FROM (
  SELECT at, machine, power, 9000 + sum(power / 6) OVER (PARTITION BY machine ORDER BY at) AS used
  FROM (
    SELECT at, machine, 6 + (extract(epoch FROM at)::bigint / 600 * 7919 %% 100) / 100.0 AS power
    FROM generate_series('2026-03-02 00:00Z'::timestamptz, '2026-03-11 23:59Z', '10min') at,
      unnest(ARRAY['m1', 'm2']) machine) AS each) AS summed
"""
SOURCE: dict[str, Any] = {
    "connection": "plant",
    "tables": "plant.meter",
    "time": {"column": "at"},
    "entity": {"column": "machine"},
    "step": "10min",
    "late_rows_within": 0,
    "channels": {"total": {"unit": "kWh", "signal": "counter", "per": "hour"}, "power": {}},
}


def test_a_reset_and_another_meter_are_told_and_no_incident(
    warehouse_uri: str, tmp_path: Path
) -> None:
    features = {"min_own_scale": "1d"}
    config = DatasetConfig.model_validate(CONFIG | {"source": SOURCE, "features": features})
    made = Weeks(warehouse_uri, tmp_path, config)
    made.execute(METERS)
    assert made.train(START_AT + 8 * DAY).gate_passed
    made.score(START_AT + 9 * DAY, START_AT + 10 * DAY)
    told = made.execute("SELECT entity, hour_at, verdict, n_steps FROM tsad.v_quality ORDER BY 1")
    at = datetime(2026, 3, 11, 10, tzinfo=UTC)
    assert told == [("m1", at, "counter_reset", 1), ("m2", at, "meter_replaced", 1)]
    reset = "SELECT value FROM tsad.readings('plant', 'm1', %s, %s) WHERE channel = 'total'"
    values = [value for (value,) in made.execute(reset, at, at + timedelta(hours=1))]
    assert values[0] == 0
    assert min(values[1:]) > 6
    assert made.execute("SELECT sentence FROM tsad.v_incident WHERE started_at >= %s", at) == []
    assert made.execute("SELECT count(*)::int FROM tsad.v_status WHERE status = 'scored'") == [
        (48,)
    ]
    # No model learns from it either.
    with Store.connect(made.uri) as store:
        ids = select_entities(store, select_dataset(store, "plant").dataset_id)
        read = stored_readings(store, config)
        learned = read([ids["m1"], ids["m2"]], at - HOUR, at + HOUR)[:, :, 0]
    assert np.argwhere(np.isnan(learned)).tolist() == [[0, 6], [1, 6]]
