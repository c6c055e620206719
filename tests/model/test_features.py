"""Features agree with their slow twins, and depend neither on where readings start nor on where
they end.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.reference.slow_features import slow_held, slow_rolling_mean, slow_running
from tsad_tasks.base.errors import BadInput
from tsad_tasks.model.features import (
    Scaler,
    cyclic_time,
    days_off,
    derived,
    derived_history,
    fit_scaler,
    held,
    pooled_scaler,
    running_state,
)

quick = settings(max_examples=60, deadline=None, derandomize=True)
LENGTHS = {"rolling_mean": [2, 7, 13], "lag": [1, 5], "diff": [1, 12]}


def readings(seed: int, n_steps: int = 60, n_channels: int = 2) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    values = rng.normal(50, 10, (n_steps, n_channels))
    values[rng.random(values.shape) < 0.25] = np.nan
    return values


@quick
@given(st.integers(0, 10_000), st.integers(0, 6), st.integers(0, 70))
def test_held_values_agree_with_the_slow_twin(seed: int, first: int, second: int) -> None:
    values = readings(seed)
    found = held(values, [first, second])
    for channel, hold_steps in enumerate((first, second)):
        np.testing.assert_array_equal(
            found[:, channel], slow_held(values[:, channel].tolist(), hold_steps)
        )


@quick
@given(st.integers(0, 10_000), st.integers(1, 60))
def test_rolling_means_agree_with_the_slow_twin(seed: int, width: int) -> None:
    values = readings(seed).astype(np.float32)
    found = derived(values, rolling_mean=[width])
    for channel in range(2):
        expected = slow_rolling_mean(values[:, channel].astype(float).tolist(), width)
        np.testing.assert_allclose(found[:, channel], expected, rtol=1e-6)


@quick
@given(
    st.lists(st.sampled_from([True, True, True, False, None]), min_size=1, max_size=50),
    st.integers(0, 12),
)
def test_running_state_agrees_with_the_slow_twin(on: list[bool | None], grace_steps: int) -> None:
    speed = np.array([[{True: 9.0, False: 0.0, None: np.nan}[state]] for state in on])
    assert running_state(speed, "speed > 1", ["speed"], grace_steps).tolist() == slow_running(
        on, grace_steps
    )


Function = Callable[[NDArray[np.float64]], NDArray[np.generic]]
FUNCTIONS: list[tuple[Function, int]] = [
    (lambda values: held(values, [4, 9]), 9),
    (lambda values: derived(values.astype(np.float32), **LENGTHS), derived_history(**LENGTHS)),
    (lambda values: running_state(values, "a > 45 and b > 30", ["a", "b"], 8), 8),
]


@pytest.mark.parametrize(
    ("function", "history"), FUNCTIONS, ids=["held", "derived", "running_state"]
)
@quick
@given(seed=st.integers(0, 10_000), start=st.integers(0, 40), end=st.integers(41, 60))
def test_features_do_not_depend_on_start_or_end_to_the_bit(
    function: Function, history: int, seed: int, start: int, end: int
) -> None:
    values = readings(seed)
    whole, part = function(values), function(values[start:end])
    assert part[history:].tobytes() == whole[start + history : end].tobytes()
    assert function(values[:end]).tobytes() == whole[:end].tobytes()


@pytest.mark.parametrize(
    "function", [function for function, _ in FUNCTIONS], ids=["held", "derived", "running_state"]
)
def test_many_entities_at_once_are_the_same_as_one_by_one(function: Function) -> None:
    values = np.stack([readings(seed) for seed in range(4)])
    together = function(values)
    assert all(together[i].tobytes() == function(values[i]).tobytes() for i in range(4))


def test_a_long_rolling_mean_is_the_same_in_the_middle_of_huge_values() -> None:
    values = np.random.default_rng(1).lognormal(0, 20, (3000, 1)).astype(np.float32)
    whole, part = derived(values, rolling_mean=[1440]), derived(values[1000:], rolling_mean=[1440])
    assert part[1439:].tobytes() == whole[2439:].tobytes()


def test_derived_columns_come_in_the_stated_order() -> None:
    ramp = np.stack([np.arange(20), 100 + 2 * np.arange(20)], axis=1).astype(np.float32)
    last = derived(ramp, rolling_mean=[3], lag=[1, 2], diff=[4])[-1]
    assert last.tolist() == [18, 136, 18, 136, 17, 134, 4, 8]
    assert last.size == 2 * 4


def test_lengths_beyond_the_series_give_unknown_values_only() -> None:
    short = np.ones((3, 1), np.float32)
    assert np.isnan(derived(short, rolling_mean=[9], lag=[3, 9], diff=[9])).all()
    assert derived(short).shape == (3, 0)


def test_what_is_not_finite_is_unknown_and_can_be_held_over() -> None:
    assert held(np.array([[1.0], [np.inf], [-np.inf]]), [1])[:2, 0].tolist() == [1.0, 1.0]
    assert np.isnan(held(np.array([[np.inf]]), [0])).all()
    assert np.isnan(Scaler((0.0,), (1.0,), 1).transform(np.array([[np.inf], [np.nan]]))).all()


def test_a_hundredfold_spike_does_not_blind_the_robust_scaler() -> None:
    clean = np.random.default_rng(1).normal(20, 2, (5000, 1))
    spiked = clean.copy()
    spiked[100] *= 100
    before, after = fit_scaler(clean, "robust"), fit_scaler(spiked, "robust")
    assert after.scale[0] == pytest.approx(before.scale[0], rel=1e-2)
    assert after.scale[0] == pytest.approx(2.0, rel=0.05)
    assert after.transform(spiked)[100, 0] > 500


@pytest.mark.parametrize("kind", ["robust", "minmax", "standard"])
@pytest.mark.parametrize("level", [0.0, 1e-9, 0.1, -273.15, 1e7, 1e12])
def test_a_constant_channel_has_no_scale_and_any_move_of_it_is_seen(
    kind: str, level: float
) -> None:
    scaler = fit_scaler(np.full((1000, 1), level), kind)
    assert scaler.scale == (0.0,)
    seen = np.array([[level], [level + 1e-9 * (abs(level) or 1.0)], [np.nan]])
    assert scaler.transform(seen)[:2, 0].tolist() == [0.0, 0.0]
    assert scaler.moved(seen)[:, 0].tolist() == [False, True, False]


@pytest.mark.parametrize("kind", ["robust", "minmax", "standard"])
@pytest.mark.parametrize("unit", [(1000.0, 0.0), (0.001, 0.0), (1.0, 273.15), (1.8, 32.0)])
def test_another_unit_scales_to_the_same(kind: str, unit: tuple[float, float]) -> None:
    values = readings(5)
    values[:, 0], values[:, 1] = 20.5, 0.0
    values[7:9, 1] = 1e-3
    factor, offset = unit
    here, there = values, values * factor + offset
    scaled = [fit_scaler(one, kind).transform(one) for one in (here, there)]
    np.testing.assert_allclose(*scaled, atol=1e-6)
    assert (
        fit_scaler(there, kind).never_moved.tolist() == fit_scaler(here, kind).never_moved.tolist()
    )


def test_means_of_equal_readings_are_one_value() -> None:
    parts = [np.full(n, 0.1).cumsum()[-1] / n for n in range(1, 3600, 7)]
    assert len(set(parts)) > 100
    assert fit_scaler(np.array(parts)[:, None], "robust").scale == (0.0,)


def test_where_a_still_channel_went_later_is_known() -> None:
    scaler = Scaler((1.0, 0.0), (0.0, 2.0), 9).seen_between(
        np.array([0.5, 9.0]), np.array([2, 9.0])
    )
    assert scaler.moved(np.array([[0.4, 99.0], [0.5, 99.0], [2.0, 0.0], [2.1, 0.0]])).tolist() == [
        [True, False],
        [False, False],
        [False, False],
        [True, False],
    ]
    assert Scaler.from_json(json.loads(json.dumps(scaler.to_json()))) == scaler


def test_a_bundle_that_gave_a_constant_the_scale_1_scales_as_it_did() -> None:
    former = Scaler.from_json({"center": [0.002], "scale": [1.0], "n_readings": 9})
    assert former.transform(np.array([[0.35]]))[0, 0] == np.float32(0.348)
    assert not former.moved(np.array([[0.35]])).any()


def test_a_channel_that_rarely_moves_keeps_a_scale_of_its_own() -> None:
    values = np.zeros((1000, 1))
    values[:40] = 5.0
    assert fit_scaler(values, "robust").scale[0] == pytest.approx(5 / 4.65)
    values[5:] = 0.0
    assert 0.3 < fit_scaler(values, "robust").scale[0] < 0.4


def test_a_channel_without_values_is_left_as_it_is_and_counts_for_nothing() -> None:
    values = np.array([[np.nan, 1.0], [np.nan, 3.0], [np.nan, np.nan]])
    assert fit_scaler(values, "minmax") == Scaler((0.0, 1.0), (1.0, 2.0), 2, not_fitted=(0,))


@pytest.mark.parametrize(("n_before", "is_fitted"), [(0, True), (50, True), (51, False)])
def test_a_channel_that_began_too_late_is_not_fitted(n_before: int, is_fitted: bool) -> None:
    values = np.arange(200.0).reshape(100, 2)
    values[:n_before, 1] = np.nan
    scaler = fit_scaler(values, "robust", n_enough=80)
    assert scaler.fitted.tolist() == [True, is_fitted]
    assert np.isfinite(scaler.transform(values)[-1]).tolist() == [True, is_fitted]
    assert Scaler.from_json(json.loads(json.dumps(scaler.to_json()))) == scaler


def test_the_largest_reading_scales_to_a_finite_number() -> None:
    scaled = Scaler((0.0, 0.0), (1e-3, 1.0), 1).transform(np.array([[1e308, -1e308]]))
    assert np.isfinite(scaled).all()


@quick
@given(st.integers(0, 10_000), st.sampled_from(["robust", "minmax", "standard", "none"]))
def test_scaling_can_be_undone_and_goes_through_json_to_the_bit(seed: int, kind: str) -> None:
    values = readings(seed)
    scaler = fit_scaler(values, kind)
    np.testing.assert_allclose(
        scaler.inverse(scaler.transform(values)), values, rtol=1e-4, atol=1e-4
    )
    assert Scaler.from_json(json.loads(json.dumps(scaler.to_json()))) == scaler


def test_an_unknown_scaling_is_refused() -> None:
    with pytest.raises(BadInput, match="Received: magic"):
        fit_scaler(np.ones((2, 1)), "magic")


def test_a_pooled_scaler_finds_every_known_entity_plausible() -> None:
    scalers = [Scaler((level, 0.0), (2.0, 1.0), 100) for level in (10.0, 20.0, 30.0, 40.0)]
    pooled = pooled_scaler(scalers, "robust")
    assert (abs(pooled.transform(np.array([[10.0, 0.0], [40.0, 0.0]]))) < 2).all()
    assert pooled.scale[1] == 1.0
    assert pooled.n_readings == 400


def test_a_channel_that_an_entity_never_showed_has_no_say_in_the_pool() -> None:
    shown = Scaler((100.0,), (5.0,), 9)
    pooled = pooled_scaler([shown, Scaler((0.0,), (1.0,), 9, not_fitted=(0,)), shown], "robust")
    assert pooled.center == (100.0,)
    assert pooled.scale == (5.0,)


def test_a_channel_that_no_entity_has_is_not_fitted_in_the_pool() -> None:
    own = [fit_scaler(np.array([[1.0, a, np.nan]]), "standard") for a in (2.0, np.nan)]
    assert pooled_scaler(own, "standard").fitted.tolist() == [True, True, False]


def test_a_pool_moves_as_those_do_that_move_and_knows_all_places_of_those_that_do_not() -> None:
    still, moves = Scaler((100.0,), (0.0,), 9), Scaler((10.0,), (5.0,), 9)
    assert pooled_scaler([still, moves], "robust").scale == (5.0,)
    both = pooled_scaler([still, Scaler((70.0,), (0.0,), 9)], "robust")
    assert both.scale == (0.0,)
    assert both.moved(np.array([[69.0], [80.0], [101.0]]))[:, 0].tolist() == [True, False, True]


def test_a_pool_of_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match="at least one entity"):
        pooled_scaler([], "robust")


@pytest.mark.parametrize(
    "day",
    [
        datetime(2024, 3, 31, tzinfo=UTC),
        datetime(2024, 10, 27, tzinfo=UTC),
        datetime(2024, 7, 7, tzinfo=UTC),
    ],
)
@pytest.mark.parametrize("name", ["Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"])
def test_hour_and_weekday_follow_the_clocks_of_the_site_through_clock_changes(
    day: datetime, name: str
) -> None:
    zone = ZoneInfo(name)
    ats = [day + timedelta(minutes=7 * i) for i in range(300)]
    found = cyclic_time(np.array([int(at.timestamp()) for at in ats]), zone, ["hour", "weekday"])
    local = [at.astimezone(zone) for at in ats]
    hour = np.array([at.hour + at.minute / 60 for at in local]) * 2 * np.pi / 24
    weekday = np.array([at.weekday() for at in local]) * 2 * np.pi / 7
    expected = np.stack([np.sin(hour), np.cos(hour), np.sin(weekday), np.cos(weekday)], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_time_of_day_is_the_same_to_the_bit_wherever_it_is_asked() -> None:
    times_s = 1_700_000_000 + 60 * np.arange(3000)
    whole = cyclic_time(times_s, ZoneInfo("Europe/Berlin"), ["weekday", "hour"])
    alone = [
        cyclic_time(times_s[i : i + 1], ZoneInfo("Europe/Berlin"), ["weekday", "hour"])
        for i in range(0, 3000, 97)
    ]
    assert np.concatenate(alone).tobytes() == whole[::97].tobytes()
    assert cyclic_time(times_s, ZoneInfo("UTC"), []).shape == (3000, 0)


def test_an_unknown_clock_is_refused() -> None:
    with pytest.raises(BadInput, match="Received: month"):
        cyclic_time(np.array([0]), ZoneInfo("UTC"), ["month"])


def test_without_an_expression_the_machine_always_runs() -> None:
    assert running_state(np.full((3, 1), np.nan), None, ["speed"], 5).tolist() == [0, 0, 0]


def test_only_channels_of_the_expression_make_running_unknown() -> None:
    values = np.array([[9.0, np.nan], [np.nan, 1.0]])
    assert running_state(values, "speed > 1", ["speed", "door"], 0).tolist() == [0, 5]


def test_a_restart_counts_the_grace_from_the_last_step_that_was_off() -> None:
    speed = np.array([[9.0], [0.0], [9.0], [0.0], [9.0], [9.0], [9.0]])
    assert running_state(speed, "speed > 1", ["speed"], 2).tolist() == [0, 3, 4, 3, 4, 4, 0]


BERLIN = ZoneInfo("Europe/Berlin")
MAY_DAY = 20574  # 2026-05-01, a Friday
A_WEEK_S = (MAY_DAY - 4) * 86400 + np.arange(7 * 24, dtype=np.int64) * 3600


def test_a_holiday_looks_like_the_day_of_rest_from_midnight_to_midnight_of_the_site() -> None:
    usual, holiday = (cyclic_time(A_WEEK_S, BERLIN, ["weekday"], days) for days in ((), (MAY_DAY,)))
    differ = np.flatnonzero((usual != holiday).any(axis=1))
    assert differ.tolist() == list(range(4 * 24 - 2, 5 * 24 - 2))
    assert (holiday[differ] == usual[6 * 24]).all()


def test_days_off_are_holidays_and_days_of_rest() -> None:
    off = days_off(A_WEEK_S, ZoneInfo("UTC"), [MAY_DAY])[:, 0].reshape(7, 24)
    assert off.all(axis=1).tolist() == off.any(axis=1).tolist() == [False] * 4 + [True, False, True]
    assert days_off(A_WEEK_S, ZoneInfo("UTC"), [], rest_weekday=5)[:, 0].reshape(7, 24)[
        :, 0
    ].tolist() == [
        0,
        0,
        0,
        0,
        0,
        1,
        0,
    ]


def test_numbers_of_events_are_seen_with_noise_that_does_not_grow() -> None:
    rng = np.random.default_rng(2)
    few, many = (rng.poisson(mean, 4000).astype(float) for mean in (9, 400))
    scalers = [fit_scaler(one[:, None], "standard", counts=[0]) for one in (few, many)]
    assert [round(one.scale[0], 1) for one in scalers] == [1.0, 1.0]
    found = scalers[1].inverse(scalers[1].transform(many[:, None]))
    assert found[:, 0] == pytest.approx(many, rel=1e-5)
    assert scalers[0].inverse(np.array([[-99.0]], np.float32)).tolist() == [[0.0]]
    assert Scaler.from_json(scalers[0].to_json()) == scalers[0]
    assert "counts" not in fit_scaler(few[:, None], "standard").to_json()
    assert scalers[1].step_of[0] == pytest.approx(20, rel=0.05)
