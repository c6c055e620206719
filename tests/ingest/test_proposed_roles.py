"""A role that name and values speak for is proposed, and never set."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.plants.plant import DAY, Plant
from tsad_tasks.ingest.check import check_dataset

FILL = """
CREATE TABLE reading AS
SELECT t AS at, 'm' || m AS machine, 20 + random() AS temp, random() AS noisy_sp,
  CASE WHEN t < '2024-05-01 20:00Z' THEN 21 ELSE 17 END AS temp_sp, 8 + random() AS outdoor_temp
FROM generate_series('2024-05-01 00:00Z'::timestamptz, '2024-05-01 23:59Z', '10 min') t,
  generate_series(1, 2) m"""
NAMES = ("temp", "noisy_sp", "temp_sp", "outdoor_temp")


@pytest.fixture
def plant(empty_plant: Plant) -> Plant:
    empty_plant.now_at = DAY + timedelta(days=1)
    empty_plant.run(FILL)
    return empty_plant


def _proposed(plant: Plant, **roles: dict[str, Any]) -> list[str]:
    channels = {name: roles.get(name, {}) for name in NAMES}
    config = plant.config(channels=channels)
    found = check_dataset(config, plant.source_uri, now_at=plant.now_at)
    return [one.text for one in found if "say role" in one.text]


def test_setpoints_and_weather_are_proposed_with_what_speaks_for_it(plant: Plant) -> None:
    setpoint, outdoors = _proposed(plant)
    assert setpoint == (
        "temp_sp may be what the others are judged under: its name says so, and 97% of its values "
        "are the one before. If it is, say role: setpoint; it then raises nothing itself."
    )
    assert outdoors.startswith("outdoor_temp may be")
    assert "say role: ambient" in outdoors


def test_what_the_file_says_is_not_proposed(plant: Plant) -> None:
    said = {"temp_sp": {"role": "setpoint"}, "outdoor_temp": {"role": "measured"}}
    assert _proposed(plant, **said) == []
