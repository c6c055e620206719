"""A sensor that cannot be trusted is named, a machine that behaves oddly is not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from devstack.simulate import server_room
from tests.ingest.sensors import findings, said
from tests.plants.plant import SOURCE, at
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.quality import SensorFinding
from tsad_tasks.ingest.sensor_quality import dependent_hours, reported_on_change

# Three ordinary days of minutes.
N_BEFORE = 72


def usual(n: int, level: float = 25.0, spread: float = 1.0) -> NDArray[np.float64]:
    return np.random.default_rng(n).normal(level, spread, (n, 1))


def last(*hours: NDArray[np.float64], level: float = 25.0, **known: Any) -> list[SensorFinding]:
    """What is said of the last of the hours (n_steps, n_channels), after three ordinary days."""
    n_steps, n_channels = hours[0].shape
    before = usual(N_BEFORE * n_steps * n_channels, level).reshape(N_BEFORE, n_steps, n_channels)
    values = np.concatenate([before, np.stack(hours)])
    return [one for _, one in findings(values, from_hour=len(values) - 1, **known)]


def names(found: list[SensorFinding]) -> list[str]:
    return [str(one.verdict) for one in found]


def test_an_ordinary_hour_has_no_verdict() -> None:
    assert last(usual(60)) == []


def test_nothing_but_one_value_is_constant_when_the_channel_usually_varies() -> None:
    flat = np.full((60, 1), 25.0)
    (found,) = last(flat, flat)
    assert found[:4] == (0, 0, "constant", 60)
    assert found.detail == "only 25 in 120 readings, usually at most 1 in a row"


def test_what_always_stood_still_may_stand_still_elsewhere() -> None:
    """A relief flow at 0 for days is at 0.4 from then on: no sensor that is stuck."""
    values = np.zeros((N_BEFORE + 12, 60, 1))
    values[N_BEFORE:] = 0.4
    assert findings(values, from_hour=N_BEFORE) == []


def test_a_sensor_that_fails_to_0_is_stuck_where_it_was_never_before() -> None:
    hour = usual(60)
    hour[20:] = 0.0
    (found,) = last(hour)
    assert found.verdict == "stuck"
    assert found.detail == "0 in 40 readings in a row, usually at most 1"


def test_what_is_told_of_when_it_changes_is_neither_constant_nor_stuck() -> None:
    flat, hour = np.full((60, 1), 25.0), usual(60)
    hour[20:55] = 25.5
    assert last(flat, flat, on_change=True) == last(hour, on_change=True) == []
    assert names(last(flat * 1.8 + 32, on_change=True)) == ["unit_jump"]


@pytest.mark.parametrize(
    ("valid_for", "step", "wanted"),
    [
        (0, "1min", False),
        ("2min", "1min", False),
        ("30min", "1min", True),
        ("59min", "5min", False),
        ("65min", "5min", True),
        ("until_changed", "1min", True),
    ],
)
def test_which_channels_may_stay_as_they_are(valid_for: object, step: str, wanted: bool) -> None:
    channels = {"valve": {"valid_for": valid_for}}
    source = SOURCE | {"channels": channels, "step": step}
    config = DatasetConfig.model_validate({"dataset": "plant", "source": source})
    assert reported_on_change(config).tolist() == [wanted]


def test_half_an_hour_of_the_same_value_is_stuck() -> None:
    hour = usual(60)
    hour[20:55] = 25.5
    assert last(hour)[0][:4] == (0, 0, "stuck", 35)


def test_a_run_that_began_before_the_hour_counts_with_its_whole_length() -> None:
    hour, previous = usual(60), usual(61)[:60]
    hour[:10] = previous[-25:] = 25.5
    assert last(previous, hour)[0][:4] == (0, 0, "stuck", 10)
    previous = usual(61)[:60]
    hour[:10] = previous[-15:] = 25.5
    assert last(previous, hour) == []


def test_a_channel_that_fell_silent_beside_others_is_dead() -> None:
    hour = np.column_stack([usual(60), np.full(60, np.nan)])
    assert [one[:4] for one in last(hour)] == [(0, 1, "dead", 60)]


def test_an_hour_without_anything_has_no_dead_sensors() -> None:
    assert last(np.full((60, 2), np.nan)) == []


def test_values_outside_the_range_and_on_its_ends_are_told_apart() -> None:
    hour = usual(60)
    hour[:3], hour[10:30] = -40.0, 30.0
    found = last(hour, low=0.0, high=30.0)
    assert names(found) == ["at_limit", "out_of_range"]
    assert found[0].n_steps == 20
    assert found[1].detail.startswith("-40 to ")


UNITS = [
    ("× 1.8 + 32", 1.8, 32.0),
    ("− 32, ÷ 1.8", 1 / 1.8, -32 / 1.8),
    ("× 1000", 1000.0, 0.0),
    ("÷ 1000", 0.001, 0.0),
    ("× 100", 100.0, 0.0),
    ("÷ 100", 0.01, 0.0),
    ("× 10", 10.0, 0.0),
    ("÷ 10", 0.1, 0.0),
]


@pytest.mark.parametrize(("unit", "factor", "offset"), UNITS)
@pytest.mark.parametrize("later", [False, True])
def test_another_unit_is_recognised_in_its_first_hour_and_later(
    unit: str, factor: float, offset: float, later: bool
) -> None:
    hour, before = usual(60, 65.0) * factor + offset, usual(61, 65.0)[:60]
    found = last(before * factor + offset if later else before, hour, level=65.0)
    assert names(found) == ["unit_jump"]
    assert unit in found[0].detail


@pytest.mark.parametrize("level", [15.0, 35.0, 45.0, 55.0, 65.0, 100.0, 250.0, 500.0, 0.0, -25.0])
def test_a_mere_shift_of_the_level_is_no_unit_jump(level: float) -> None:
    assert last(usual(60, level)) == []


def test_a_channel_around_zero_never_jumps_units() -> None:
    assert last(usual(60, 3.0), level=0.0) == []


def test_an_hour_of_few_values_says_nothing_about_its_level() -> None:
    hour = np.full((60, 1), np.nan)
    hour[:4] = 77.0
    assert last(hour) == []


def test_a_healthy_server_room_has_no_verdicts() -> None:
    room = server_room(days=5, hosts=2, start_at=datetime(2024, 5, 6, tzinfo=UTC), seed=7)
    clean = room.values[:, : 3 * 1440]
    for host in clean:
        hours = host.reshape(-1, 60, host.shape[1])
        assert said(hours, start_at=datetime(2024, 5, 6, tzinfo=UTC)) == []


def test_a_change_reaches_the_next_day_six_days_and_four_weeks() -> None:
    reached = dependent_hours([at("2024-05-01 10:00")])
    assert len(reached) == 1 + 24 + 5 * 3 + 1 + 4 * 3
    days = sorted({(hour - reached[0]).days for hour in reached})
    assert days == [0, 1, 2, 3, 4, 5, 6, 7, 13, 14, 20, 21, 27, 28]
