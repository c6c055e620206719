"""Machines need not carry the same sensors: what an entity does not have is neither dead nor
missing, and the order of runs does not matter for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.plants.plant import Plant, at

TABLE = "CREATE TABLE reading (at timestamptz, machine text, channel text, value float8)"
# m1 has no `load`; of m2 `load` dies at 06:00 of the first day, m3 gets its own a day later.
FILL = """
INSERT INTO reading SELECT t, m, c, extract(epoch FROM t) % 977
FROM generate_series('2024-05-01 04:00Z'::timestamptz, '2024-05-02 08:55Z', '10 min') t,
  unnest(ARRAY['m1', 'm2', 'm3']) m, unnest(ARRAY['temp', 'load']) c
WHERE c = 'temp' OR (m = 'm2' AND t < '2024-05-01 06:00Z')
  OR (m = 'm3' AND t >= '2024-05-02 06:00Z')
"""
LONG = {
    "shape": "long",
    "channel_column": "channel",
    "value_column": "value",
    "step": "10min",
    "channels": {"temp": {}, "load": {}},
}
RUNS = [
    ("2024-05-01 04:00", "2024-05-01 06:00"),
    ("2024-05-01 06:00", "2024-05-01 08:00"),
    ("2024-05-01 08:00", "2024-05-02 05:00"),
    ("2024-05-02 05:00", "2024-05-02 09:00"),
]
FOUND = {
    "verdicts": "SELECT entity, channel, hour_at, verdict, n_steps FROM tsad.v_quality "
    "ORDER BY 1, 2, 3, 4",
    "fitted": "SELECT entity, channel, fitted, first_hour_at FROM tsad.v_fitted_channel "
    "ORDER BY 1, 2",
    "issues": "SELECT entity, channel, hour_at FROM tsad.ingest_issue WHERE issue = 'new_channel'",
}


@pytest.fixture
def plant(empty_plant: Plant) -> Plant:
    """Three machines of two sensors, of which each lacks one at some time."""
    empty_plant.run(TABLE)
    empty_plant.run(FILL)
    return empty_plant


def found(plant: Plant) -> dict[str, list[tuple[Any, ...]]]:
    return {name: plant.rows(statement) for name, statement in FOUND.items()}


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 1, 0, 2, 3, 0]])
def test_what_an_entity_does_not_have_is_not_dead_in_any_order_of_runs(
    plant: Plant, order: list[int]
) -> None:
    for number in order:
        plant.ingest(*RUNS[number], plant.config(**LONG), force=True)
    rows = found(plant)
    died, began = at("2024-05-01 06:00"), at("2024-05-02 06:00")
    dead = [(entity, channel, hour) for entity, channel, hour, *_ in rows["verdicts"]]
    assert dead == [("m2", "load", died + i * (at("01:00") - at("00:00"))) for i in range(27)]
    assert {row[3] for row in rows["verdicts"]} == {"dead"}
    assert rows["fitted"] == [
        ("m1", "load", False, None),
        ("m1", "temp", True, at("2024-05-01 04:00")),
        ("m2", "load", True, at("2024-05-01 04:00")),
        ("m2", "temp", True, at("2024-05-01 04:00")),
        ("m3", "load", True, began),
        ("m3", "temp", True, at("2024-05-01 04:00")),
    ]
    assert rows["issues"] == [("m3", "load", began)]


def test_a_first_value_that_comes_late_makes_the_hours_after_it_dead(plant: Plant) -> None:
    config = plant.config(**LONG)
    plant.ingest("2024-05-01 04:00", "2024-05-01 12:00", config)
    plant.run("INSERT INTO reading VALUES ('2024-05-01 05:00Z', 'm1', 'load', 1)")
    plant.ingest("2024-05-01 05:00", "2024-05-01 06:00", config, force=True)
    hours = plant.rows(
        "SELECT hour_at FROM tsad.v_quality WHERE entity = 'm1' AND channel = 'load' ORDER BY 1"
    )
    assert [hour for (hour,) in hours] == [at(f"2024-05-01 {hour:02}:00") for hour in range(6, 12)]


def test_retention_does_not_forget_what_an_entity_has(plant: Plant) -> None:
    plant.ingest(*RUNS[0], plant.config(**LONG))
    plant.rows("DELETE FROM tsad.reading_block RETURNING 1")
    plant.ingest(*RUNS[1], plant.config(**LONG))
    assert [row[:2] for row in found(plant)["verdicts"]] == [("m2", "load")] * 2
    assert np.unique([row[3] for row in found(plant)["verdicts"]]).tolist() == ["dead"]
