"""Totals that count up: what was consumed in each step, and what is told of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference.slow_counter import slow_rates
from tsad_tasks.ingest.counter import MARKS, N_BEFORE, Meter, Totals, metered

HOUR_S, STEP_S = 3600, 300
START_S = 1_700_000_000 // HOUR_S * HOUR_S
NAN = float("nan")


def _of(
    pairs: Sequence[tuple[int, float]], n_hours: int = 1, **meter: float
) -> tuple[dict[int, float], dict[tuple[int, str], int]]:
    """Rates per second by step of a meter's totals (second, total), and what is told, by hour."""
    times, values = (np.array(part) for part in zip(*pairs, strict=True))
    totals = Totals(np.zeros(len(times), np.intp), times * 1_000_000, values.astype(np.float64))
    span = (START_S * 1_000_000, (START_S + n_hours * HOUR_S) * 1_000_000, STEP_S * 1_000_000)
    found = metered(totals, Meter(1_000_000, **meter), *span, 1)
    rates = dict(zip(found.cells.tolist(), found.values.tolist(), strict=True))
    assert len(rates) == len(found.cells)
    told = {
        (hour, str(mark)): int(found.marks[number, 0, hour])
        for number, mark in enumerate(MARKS)
        for hour in range(n_hours)
        if found.marks[number, 0, hour]
    }
    return rates, told


def _every(step_s: int, values: Sequence[float], first: int = -1) -> list[tuple[int, float]]:
    """A total each so many seconds, the first of them so many before the hour."""
    return [(START_S + (first + at) * step_s, value) for at, value in enumerate(values)]


def test_consumption_is_the_difference_of_totals() -> None:
    rates, told = _of(_every(STEP_S, [100, 103, 106, 106, 112]))
    assert rates == {0: 3 / 300, 1: 3 / 300, 2: 0, 3: 6 / 300}
    assert told == {}


def test_the_first_total_says_nothing_of_consumption() -> None:
    assert _of(_every(STEP_S, [100, 103], first=3))[0] == {4: 3 / 300}


def test_a_reset_has_at_least_what_was_counted_since() -> None:
    rates, told = _of(_every(STEP_S, [1000, 1003, 1006, 2, 5]))
    assert rates[2] == 2 / 300
    assert rates[3] == 3 / 300
    assert told == {(0, "counter_reset"): 1}


def test_two_resets_in_one_hour_are_both_told() -> None:
    rates, told = _of(_every(STEP_S, [1000, 1003, 0, 3, 6, 1, 4]))
    assert [rates[step] * 300 for step in range(6)] == [3, 0, 3, 3, 1, 3]
    assert told == {(0, "counter_reset"): 2}


@pytest.mark.parametrize("total", [12, 700.0, 90_000.0, 200_000.0])
def test_another_meter_is_no_consumption(total: float) -> None:
    values = [90_412.2 + 0.5 * at for at in range(6)]
    rates, told = _of(_every(STEP_S, [*values, total, total + 0.5, total + 1]))
    assert np.isnan(rates[5])
    assert [rates[step] * 300 for step in (4, 6, 7)] == pytest.approx([0.5] * 3)
    assert told == {(0, "meter_replaced"): 1}


@pytest.mark.parametrize(
    ("total", "expected", "mark"),
    [(40, 40, "counter_reset"), (61, NAN, "meter_replaced"), (1062, NAN, "meter_replaced")],
)
def test_a_declared_highest_rate_decides(total: float, expected: float, mark: str) -> None:
    rates, told = _of(_every(STEP_S, [1000, 1001, total, total]), max_rate=60 / 300)
    assert rates[1] * 300 == pytest.approx(expected, nan_ok=True)
    assert told == {(0, mark): 1}


def test_a_rise_within_the_highest_rate_is_consumption() -> None:
    assert _of(_every(STEP_S, [1000, 1001, 1060]), max_rate=60 / 300)[1] == {}


@pytest.mark.parametrize("wraps_at", [2**16, 2**32, 1e6])
def test_a_wrap_of_known_width_is_consumption(wraps_at: float) -> None:
    values = [(wraps_at - 250 + 100 * at) % wraps_at for at in range(7)]
    rates, told = _of(_every(STEP_S, values), wraps_at=wraps_at)
    assert [rates[step] * 300 for step in range(6)] == pytest.approx([100] * 6)
    assert told == {}


def test_a_16_bit_counter_that_wraps_every_40_minutes() -> None:
    rate = 2**16 / 2400
    values = [int(rate * 60 * at) % 2**16 for at in range(181)]
    rates, told = _of(_every(60, values), n_hours=3, wraps_at=2**16)
    assert list(rates.values()) == pytest.approx([rate] * 36, rel=1e-3)
    assert told == {}


@pytest.mark.parametrize("share", [0.3, 0.55, 0.7, 0.9, 0.95])
@pytest.mark.parametrize("max_share", [None, 0.99, 50.0])
def test_a_step_that_uses_most_of_the_width_is_consumption(
    share: float, max_share: float | None
) -> None:
    used = round(share * 2**16)
    meter = {} if max_share is None else {"max_rate": max_share * 2**16 / STEP_S}
    values = [(2000.0 + used * at) % 2**16 for at in range(-40, 12)]
    rates, told = _of(_every(STEP_S, values, first=-40), wraps_at=2**16, **meter)
    assert [rates[step] * 300 for step in range(12)] == pytest.approx([used] * 12)
    assert told == {}


def test_a_burst_that_the_highest_rate_allows_is_a_wrap_however_little_is_usual() -> None:
    values = [50_000.0 + 10 * at for at in range(12)]
    burst = [(values[-1] + 40_000) % 2**16, (values[-1] + 40_010) % 2**16]
    meter = {"wraps_at": 2**16, "max_rate": 70_000 / STEP_S}
    rates, told = _of(_every(STEP_S, [*values[2:], *burst]), **meter)
    assert [rates[step] * 300 for step in (8, 9, 10)] == pytest.approx([10, 40_000, 10])
    assert told == {}


@pytest.mark.parametrize("max_rate", [None, 1.0, 1e9])
@pytest.mark.parametrize("fall", [0.01, 0.3, 1.0])
def test_noise_of_a_counter_that_wraps_is_no_wrap(max_rate: float | None, fall: float) -> None:
    meter = {} if max_rate is None else {"max_rate": max_rate}
    values = [500 + 0.4 * at for at in range(8)]
    rates, told = _of(_every(STEP_S, [*values, 502.8 - fall, 503.6]), wraps_at=1e5, **meter)
    assert [rates[step] * 300 for step in (6, 7, 8)] == pytest.approx([0.4, 0, 0.8])
    assert told == {}


def test_a_large_fall_that_is_no_plausible_wrap_is_unknown() -> None:
    values = [60_000.0 + 500 * at for at in range(6)]
    rates, told = _of(_every(STEP_S, [*values, 50_000, 50_500]), wraps_at=2**16, max_rate=30.0)
    assert np.isnan(rates[5])
    assert rates[6] * 300 == pytest.approx(500)
    assert told == {(0, "meter_replaced"): 1}


def test_a_reset_of_a_counter_that_wraps_is_no_wrap() -> None:
    rates, told = _of(_every(STEP_S, [3.9e9, 3.9e9 + 100, 3.9e9 + 200, 40, 140]), wraps_at=2**32)
    assert rates[2] * 300 == 40
    assert told == {(0, "counter_reset"): 1}


def test_a_gap_in_which_it_may_have_wrapped_twice_is_unknown() -> None:
    before = [(START_S - 20_000 + 300 * at, 8192.0 * at % 2**16) for at in range(6)]
    rates, told = _of([*before, (START_S + 600, 5000)], wraps_at=2**16)
    assert np.isnan([rates[step] for step in range(3)]).all()
    assert told == {(0, "wraps_unknown"): 1}


def test_noise_of_the_last_digit_is_no_reset_and_adds_nothing() -> None:
    rng = np.random.default_rng(3)
    true = 500 + np.cumsum(np.where(np.arange(61) % 20 < 8, 0.0, 0.4))
    read = true + rng.choice([-0.01, 0, 0.01], 61)
    rates, told = _of(_every(60, read.round(2).tolist()))
    assert told == {}
    assert min(rates.values()) >= 0
    assert sum(rates.values()) * 300 == pytest.approx(true[-1] - true[0], abs=0.05)


def test_the_difference_over_a_gap_is_spread_evenly_and_told() -> None:
    pairs = [(START_S - 4 * HOUR_S, 100.0), (START_S + HOUR_S + 1200, 100.0 + 19_200 / 60)]
    rates, told = _of(pairs, n_hours=2)
    # Its last hour alone: when the others were over nothing was known of it.
    assert rates == dict.fromkeys(range(12, 17), 1 / 60)
    assert told == {(1, "spread_over_gap"): 5}


def test_a_total_that_is_a_week_old_says_nothing() -> None:
    pairs = [(START_S - 8 * 24 * HOUR_S, 100.0), (START_S + 900, 200.0), (START_S + 1200, 201.0)]
    assert _of(pairs)[0] == {4: 1 / 300}


def test_totals_of_any_magnitude_are_subtracted_exactly() -> None:
    rates, told = _of(_every(STEP_S, [1e12 + 0.5 * at for at in range(6)]))
    assert set(rates.values()) == {0.5 / 300}
    assert told == {}


def test_several_rows_of_a_step_are_one_rate() -> None:
    pairs = [(START_S + s, 100 + v) for s, v in ((-60, 0), (0, 6), (60, 12), (120, 12), (240, 24))]
    assert _of(pairs)[0] == {0: pytest.approx(24 / 300)}


@st.composite
def _meters(draw: st.DrawFn) -> list[tuple[int, float]]:
    n = draw(st.integers(2, 60))
    gaps = draw(st.lists(st.sampled_from([60, 60, 90, 300, 300, 310, 2000, 20_000]),
                         min_size=n, max_size=n))  # fmt: skip
    every = ["up"] * 8 + ["idle", "noise", "reset", "other", "jump", "most", "most"]
    kinds = draw(st.lists(st.sampled_from(every), min_size=n, max_size=n))
    total, pairs = float(draw(st.sampled_from([0, 50, 60_000, 1_000_000]))), []
    at = START_S - draw(st.integers(0, 40_000))
    for gap, kind in zip(gaps, kinds, strict=True):
        at += gap
        rise = {"up": gap / 64, "noise": -1 / 128, "jump": 5e5}.get(kind, 0.0)
        total = {"reset": gap / 128, "other": 12_345.0, "most": (total + 40_000) % 65_536}.get(
            kind, max(0.0, total + rise)
        )
        pairs.append((at, total))
    return pairs


METERS = st.sampled_from(
    [
        {},
        {"wraps_at": 65536.0},
        {"max_rate": 0.05},
        {"wraps_at": 65536.0, "max_rate": 300.0},
        {"wraps_at": 64.0},
    ]
)


@settings(max_examples=300, deadline=None)
@given(_meters(), METERS)
def test_the_arithmetic_is_that_of_its_slow_twin(
    pairs: list[tuple[int, float]], meter: dict[str, float]
) -> None:
    rates, told = _of(pairs, n_hours=400, **meter)
    expected, marks = slow_rates(pairs, START_S, START_S + 400 * HOUR_S, STEP_S, **meter)
    assert rates.keys() == expected.keys()
    for step, rate in rates.items():
        assert rate == pytest.approx(expected[step], rel=1e-9, abs=1e-15, nan_ok=True)
    assert told == dict(marks)


@settings(max_examples=100, deadline=None)
@given(_meters(), METERS)
def test_an_hour_is_the_same_whether_it_is_read_alone_or_with_others(
    pairs: list[tuple[int, float]], meter: dict[str, float]
) -> None:
    whole, _ = _of(pairs, n_hours=400, **meter)
    hour_s = pairs[-1][0] // HOUR_S * HOUR_S
    if hour_s < START_S:
        return
    alone = [one for one in pairs if one[0] < hour_s][-N_BEFORE:]
    alone += [one for one in pairs if one[0] >= hour_s]
    rates, _ = _of(alone, n_hours=400, **meter)
    first = (hour_s - START_S) // STEP_S
    steps = [step for step in whole if step >= first]
    assert steps
    for step in steps:
        assert np.array_equal(rates[step], whole[step], equal_nan=True)
