"""A sensor that cannot be trusted is named, a machine that behaves oddly is not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from devstack.simulate import server_room
from tests.plants.plant import SOURCE
from tsad_tasks.base.errors import BadInput
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.quality import SensorFinding, quality_verdicts
from tsad_tasks.ingest.sensor_quality import reported_on_change

USUAL = {"reference_median": np.array([25.0]), "reference_spread": np.array([1.0])}


def usual(n: int, level: float = 25.0, spread: float = 1.0) -> NDArray[np.float64]:
    return np.random.default_rng(n).normal(level, spread, (n, 1))


def verdicts(
    hour: NDArray[np.float64], previous: NDArray[np.float64] | None = None, **known: Any
) -> list[SensorFinding]:
    return quality_verdicts(hour, usual(60) if previous is None else previous, **{**USUAL, **known})


def names(found: list[SensorFinding]) -> list[str]:
    return [verdict.verdict for verdict in found]


def test_an_ordinary_hour_has_no_verdict() -> None:
    assert verdicts(usual(61)) == []


def test_nothing_but_one_value_is_constant_when_the_channel_usually_varies() -> None:
    flat = np.full((60, 1), 25.0)
    assert verdicts(flat, flat)[0][:3] == (0, "constant", 60)
    assert verdicts(flat, flat, reference_spread=np.array([0.0])) == []
    assert verdicts(flat, flat, reference_median=None, reference_spread=None) == []


def test_what_is_told_of_when_it_changes_is_neither_constant_nor_stuck() -> None:
    flat, hour = np.full((60, 1), 25.0), usual(60)
    hour[20:55] = 25.5
    may_stay = {"on_change": np.array([True])}
    assert verdicts(flat, flat, **may_stay) == verdicts(hour, **may_stay) == []
    assert names(verdicts(flat * 1.8 + 32, **may_stay)) == ["unit_jump"]


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
    assert verdicts(hour)[0][:3] == (0, "stuck", 35)


def test_a_run_that_began_before_the_hour_counts_with_its_whole_length() -> None:
    hour, previous = usual(60), usual(61)
    hour[:10] = previous[-25:] = 25.5
    assert verdicts(hour, previous)[0][:3] == (0, "stuck", 10)
    previous = usual(61)
    hour[:10] = previous[-15:] = 25.5
    assert verdicts(hour, previous) == []


def test_a_channel_that_usually_changes_in_long_steps_is_not_stuck() -> None:
    steps = np.repeat(np.arange(25.0, 30.0), 24)[:, None]
    hour = np.concatenate([np.full((35, 1), 24.0), np.full((25, 1), 26.0)])
    assert verdicts(hour, steps) == []


def test_a_channel_that_fell_silent_beside_others_is_dead() -> None:
    hour = np.column_stack([usual(60), np.full(60, np.nan)])
    found = quality_verdicts(hour, np.zeros((0, 2)))
    assert [verdict[:3] for verdict in found] == [(1, "dead", 60)]


def test_an_hour_without_anything_has_no_dead_sensors() -> None:
    assert quality_verdicts(np.full((60, 2), np.nan), np.zeros((0, 2))) == []


def test_values_outside_the_range_and_on_its_ends_are_told_apart() -> None:
    hour = usual(60)
    hour[:3], hour[10:30] = -40.0, 30.0
    found = verdicts(hour, low=np.array([0.0]), high=np.array([30.0]))
    assert [(v.verdict, v.n_steps) for v in found if v.verdict != "stuck"] == [
        ("out_of_range", 3),
        ("at_limit", 20),
    ]
    assert found[0].detail.startswith("-40 to ")


@pytest.mark.parametrize(
    ("unit", "factor", "offset"),
    [
        ("× 1.8 + 32", 1.8, 32.0),
        ("− 32, ÷ 1.8", 1 / 1.8, -32 / 1.8),
        ("× 1000", 1000.0, 0.0),
        ("÷ 1000", 0.001, 0.0),
        ("× 100", 100.0, 0.0),
        ("÷ 100", 0.01, 0.0),
    ],
)
@pytest.mark.parametrize("later", [False, True])
def test_another_unit_is_recognised_in_its_first_hour_and_later(
    unit: str, factor: float, offset: float, later: bool
) -> None:
    hour, before = usual(60, 65.0) * factor + offset, usual(61, 65.0)
    previous = before * factor + offset if later else before
    found = verdicts(hour, previous, reference_median=np.array([65.0]))
    assert names(found) == ["unit_jump"]
    assert unit in found[0].detail


@pytest.mark.parametrize("level", [15.0, 35.0, 45.0, 55.0, 65.0, 100.0, 500.0, 0.0, -25.0])
def test_a_mere_shift_of_the_level_is_no_unit_jump(level: float) -> None:
    assert verdicts(usual(60, level)) == []


def test_a_channel_around_zero_or_with_a_wide_spread_never_jumps_units() -> None:
    assert verdicts(usual(60, 3.0), reference_median=np.array([0.0])) == []
    assert verdicts(usual(60, 77.0), usual(61), reference_spread=np.array([20.0])) == []


def test_an_hour_of_few_values_says_nothing_about_its_level() -> None:
    hour = np.full((60, 1), np.nan)
    hour[:4] = 77.0
    assert verdicts(hour) == []


def test_channels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadInput, match="Expected 1 channels everywhere"):
        quality_verdicts(usual(60), np.zeros((0, 2)))


def test_a_healthy_server_room_has_no_verdicts() -> None:
    room = server_room(days=5, hosts=2, start_at=datetime(2024, 5, 6, tzinfo=UTC), seed=7)
    clean = room.values[:, : 3 * 1440]
    for host in clean:
        known = {"reference_median": np.median(host, axis=0), "reference_spread": host.std(axis=0)}
        hours = range(60, len(host), 60)
        assert [
            v
            for at in hours
            for v in quality_verdicts(host[at : at + 60], host[at - 60 : at], **known)
        ] == []
