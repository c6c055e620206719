"""Directions of a source as they are stored: means on the circle, in the range that the source
uses, none where they cancel.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.plants.plant import SOURCE, Plant
from tests.reference.slow_circle import apart, slow_mean
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.grid import HOUR_US, Grid, Rows, to_grid
from tsad_tasks.ingest.held import UNTIL_CHANGED, Validity, heard_spans
from tsad_tasks.model.circle import Circle

quick = settings(max_examples=80, deadline=None, derandomize=True)
GRID = Grid(0, HOUR_US, 600, n_entities=1, n_channels=1)
READINGS = st.dictionaries(
    st.integers(0, 3599), st.sampled_from([0.0, 10.0, 90.0, 180.0, 200.0, 355.5, math.nan])
)


def _rows(content: dict[int, float]) -> Rows:
    n = len(content)
    nothing = np.zeros(n, np.intp), np.zeros(n, np.int64)
    values = np.array([*content.values()], float)[:, None]
    return Rows(np.array([*content], np.int64) * 1_000_000, *nothing, values)


def _is_near(found: float, wanted: float) -> bool:
    both = math.isnan(found) and math.isnan(wanted)
    return both or apart(found, wanted, 360.0) < 1e-9


@quick
@given(READINGS)
def test_a_step_holds_the_circular_mean_of_its_readings(content: dict[int, float]) -> None:
    found = to_grid(_rows(content), GRID, [Circle(360.0)]).values[0, :, 0]
    for step in range(GRID.n_steps):
        of_step = [value for time, value in content.items() if time // 600 == step]
        wanted = slow_mean(of_step, 360.0, 0.0, [1.0] * len(of_step))
        assert _is_near(found[step], wanted)


@quick
@given(READINGS)
def test_of_values_that_stay_valid_each_counts_for_as_long_as_it_held(
    content: dict[int, float],
) -> None:
    rows = _rows(content)
    heard = heard_spans(rows.entity, rows.times_us, 2 * HOUR_US)
    validity = Validity(np.array([UNTIL_CHANGED]), heard, HOUR_US)
    found = to_grid(rows, GRID, [Circle(360.0)], validity).values[0, :, 0]
    times = sorted(content)
    for step in range(GRID.n_steps):
        held = []
        for time, end in pairwise([*times, 3600]):
            seconds = min(end, 600 * (step + 1)) - max(time, 600 * step)
            held += [(content[time], float(seconds))] if seconds > 0 else []
        wanted = slow_mean([v for v, _ in held], 360.0, 0.0, [s for _, s in held])
        assert _is_near(found[step], wanted)


def _config(**channel: Any) -> DatasetConfig:
    source = SOURCE | {"channels": {"wind": {"signal": "angle", **channel}}}
    return DatasetConfig.model_validate({"dataset": "plant", "source": source})


@pytest.mark.parametrize(
    ("channel", "named"),
    [
        ({"aggregate": "min"}, "mean or last, since on a circle"),
        ({"aggregate": "max"}, "mean or last, since on a circle"),
        ({"aggregate": "count"}, "mean or last, since on a circle"),
        ({"period": 0}, "a number above 0, or 2pi"),
        ({"period": "once"}, "period"),
        ({"sensor_range": [-180, 180], "period": 24}, "ends at most a period of 24 apart"),
        ({"sensor_range": [0, 400]}, "ends at most a period of 360 apart .say period., or whole"),
        ({"sensor_range": [0, 360], "period": "2pi"}, "ends at most a period of 6.28319 apart"),
        ({"across": "sum"}, "mean, since directions have no sum"),
        ({"signal": "gauge", "period": 360}, "no such field, since the channel is no angle"),
    ],
)
def test_what_does_not_go_with_an_angle_is_a_clear_error(
    channel: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValidationError, match=named):
        _config(**channel)


@pytest.mark.parametrize(
    ("channel", "circle"),
    [
        ({}, (360.0, 0.0)),
        ({"sensor_range": [0, 360]}, (360.0, 0.0)),
        ({"sensor_range": [-180, 180]}, (360.0, -180.0)),
        ({"sensor_range": [0, 540]}, (360.0, 0.0)),
        ({"sensor_range": [-180, 540]}, (360.0, 0.0)),
        ({"sensor_range": [-360, 360]}, (360.0, 0.0)),
        ({"sensor_range": [None, 540]}, (360.0, 0.0)),
        ({"period": "2pi"}, (math.tau, 0.0)),
        ({"period": 6.2832, "low": -3.1416, "high": 3.1416}, (6.2832, -3.1416)),
        ({"period": 400}, (400.0, 0.0)),
        ({"period": 24}, (24.0, 0.0)),
    ],
)
def test_where_a_circle_begins_and_ends(
    channel: dict[str, Any], circle: tuple[float, float]
) -> None:
    assert _config(**channel).channels["wind"].circle == circle


TABLE = "CREATE TABLE reading (at timestamptz, machine text, wind float8)"


def _stored(plant: Plant, readings: str, **channel: Any) -> dict[str, float]:
    """Values of one hour by time, of readings such as `08:00 350, 08:05 10`."""
    rows = ", ".join(
        f"('2024-05-01 {time}Z', 'm1', {value})"
        for time, value in (one.split() for one in readings.split(","))
    )
    plant.run(f"{TABLE}; INSERT INTO reading VALUES {rows}")  # noqa: S608
    plant.ingest("08:00", "09:00", plant.config(channels={"wind": {"signal": "angle", **channel}}))
    return {time: value for (_, time, _), value in plant.readings().items()}


def test_stored_directions_are_directions(empty_plant: Plant) -> None:
    found = _stored(
        empty_plant,
        "08:00 350,08:05 10,08:10 90,08:15 270,08:20 355,08:25 5,08:26 0,08:30 360,08:40 -10",
    )
    assert found == {"08:00": pytest.approx(0, abs=1e-9), "08:20": pytest.approx(0, abs=1e-9),
                     "08:30": 0.0, "08:40": 350.0}  # fmt: skip


def test_radians_and_longitudes_are_stored_in_the_range_of_the_source(empty_plant: Plant) -> None:
    yaw = {"period": "2pi", "sensor_range": [-3.1416, 3.1416]}
    found = _stored(empty_plant, "08:00 3.1,08:05 -3.1,08:10 -1.5,08:20 3.1,08:25 -3.0", **yaw)
    assert abs(found["08:00"]) == pytest.approx(math.pi, abs=1e-9)
    assert found["08:10"] == -1.5
    assert found["08:20"] == pytest.approx(-3.0916, abs=1e-4)


def test_hours_of_the_day_go_around_in_24(empty_plant: Plant) -> None:
    found = _stored(empty_plant, "08:00 23.5,08:05 0.5,08:10 6,08:15 8,08:20 12", period=24)
    assert found == {"08:00": pytest.approx(0, abs=1e-9), "08:10": 7.0, "08:20": 12.0}


def test_calm_has_no_direction(empty_plant: Plant) -> None:
    found = _stored(empty_plant, "08:00 0,08:05 90,08:10 0,08:20 360,08:25 10", no_value=0)
    assert found == {"08:00": 90.0, "08:20": pytest.approx(5.0)}


def test_what_is_on_no_circle_is_no_angle_and_counted(empty_plant: Plant) -> None:
    found = _stored(empty_plant, "08:00 999,08:05 90,08:10 365,08:20 361,08:30 45,08:40 -181.9")
    assert found == {"08:00": 90.0, "08:20": 1.0, "08:30": 45.0, "08:40": pytest.approx(178.1)}
    assert empty_plant.issues()[("off_circle", "m1", "wind")] == 2
    said = "SELECT detail FROM tsad.ingest_issue WHERE issue = 'off_circle'"
    assert empty_plant.rows(said) == [("365, 999: not from -180 to 360; read as NULL",)]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, {"08:00": 0.0, "08:20": 270.0, "08:30": 350.0}),
        ({"sensor_range": [0, 360]}, {"08:00": 0.0, "08:20": 270.0, "08:30": 350.0}),
        ({"sensor_range": [0, 540]}, {"08:00": 0.0, "08:10": 5.0, "08:20": 270.0, "08:30": 350.0}),
        ({"sensor_range": [-180, 180]}, {"08:00": 0.0, "08:20": -90.0, "08:30": -10.0}),
    ],
)
def test_north_is_0_and_360_and_what_counts_on_says_how_far(
    empty_plant: Plant, keys: dict[str, Any], expected: dict[str, float]
) -> None:
    found = _stored(empty_plant, "08:00 360,08:10 365,08:20 270,08:30 -10,08:40 541", **keys)
    if keys.get("sensor_range") == [0, 540]:
        # So much is rounding.
        assert found.pop("08:40") == 181.0
    assert found == expected


def test_the_last_direction_of_a_step_is_one_that_was_read(empty_plant: Plant) -> None:
    assert _stored(empty_plant, "08:00 350,08:05 10", aggregate="last") == {"08:00": 10.0}


def test_wind_from_north_is_neither_at_a_limit_nor_a_unit_jump(empty_plant: Plant) -> None:
    # Exactly at 0 for half of each hour, and on the last morning from the other side.
    empty_plant.run(
        "CREATE TABLE reading (at timestamptz, machine text, wind float8, speed float8);"
        "INSERT INTO reading SELECT t, 'm1', CASE WHEN t > '2024-05-01 19:00Z' THEN 180 "
        "WHEN extract(minute FROM t)::int % 2 = 0 THEN 0 ELSE 350 END, random() "
        "FROM generate_series('2024-04-23 00:00Z'::timestamptz, '2024-05-01 20:00Z', '1 min') t"
    )
    wind = {"signal": "angle", "sensor_range": [0, 360]}
    config = empty_plant.config(channels={"wind": wind, "speed": {}}, step="1min")
    empty_plant.ingest("18:00", "19:00", config, history_s=8 * 86400)
    assert empty_plant.rows("SELECT DISTINCT verdict FROM tsad.v_quality") == []
