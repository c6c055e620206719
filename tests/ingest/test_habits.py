"""A sensor is judged by its own habits: what it does each week is no finding, what it never did
is one.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest

from tests.ingest.sensors import MONDAY, findings, hours_of, said, verdicts

HOUR = timedelta(hours=1)


def test_a_channel_of_zeros_is_not_at_its_limit() -> None:
    def errors(_: datetime, rng: np.random.Generator) -> float:
        return float(rng.integers(1, 4)) if rng.random() < 0.04 else 0.0

    assert said(hours_of(errors, days=21), low=0) == []


def test_a_burst_channel_that_stays_at_a_value_is_stuck() -> None:
    def errors(at: datetime, rng: np.random.Generator) -> float:
        if at >= MONDAY + timedelta(days=18, hours=10):
            return 3.0
        return float(rng.integers(1, 4)) if rng.random() < 0.04 else 0.0

    found = said(hours_of(errors, days=19), low=0)
    assert {verdict for *_, verdict in found} <= {"stuck", "constant"}
    assert found[0][0] == MONDAY + timedelta(days=18, hours=11)
    assert len(found) == 13


def test_a_counter_that_never_counted_is_told_of_once() -> None:
    found = said(np.zeros((24 * 21, 12, 1)), low=0)
    assert found == [(MONDAY + timedelta(days=1), 0, "constant")]


def test_a_sensor_stuck_since_before_the_first_reading_is_told_of_once() -> None:
    found = said(hours_of(lambda at, rng: [21.3, rng.normal(20, 1)], days=30))
    assert found == [(MONDAY + timedelta(days=1), 0, "constant")]


def test_once_is_in_the_first_hour_with_readings_after_a_day() -> None:
    values = np.full((60, 12, 1), 21.3)
    values[20:30] = np.nan
    assert said(values) == [(MONDAY + 30 * HOUR, 0, "constant")]


def _machine(stuck: tuple[datetime, datetime] | None = None, rest: float = 0.0):
    """At rest in the weekend, and where it is stuck."""

    def value(at: datetime, rng: np.random.Generator) -> float:
        usual = rng.normal(50, 2) if at.weekday() < 5 else rest
        return 47.25 if stuck and stuck[0] <= at < stuck[1] else usual

    return value


@pytest.mark.parametrize("rest", [0.0, 12.5])
@pytest.mark.parametrize("step_min", [1, 5, 15, 60])
def test_a_machine_that_stands_still_each_weekend_is_not_constant(
    rest: float, step_min: int
) -> None:
    assert said(hours_of(_machine(rest=rest), days=35, step_min=step_min)) == []


@pytest.mark.parametrize("rest", [0.0, 12.5])
def test_the_same_machine_is_constant_on_a_tuesday(rest: float) -> None:
    began = MONDAY + timedelta(days=22, hours=8)
    value = _machine((began, began + 6 * HOUR), rest)
    found = said(hours_of(value, days=35))
    assert [at for at, *_ in found] == [began + n * HOUR for n in range(1, 6)]
    assert {verdict for *_, verdict in found} == {"constant"}


def test_a_sensor_with_one_reading_an_hour_that_sticks_is_stuck() -> None:
    began = MONDAY + timedelta(days=15, hours=3)

    def value(at: datetime, rng: np.random.Generator) -> float:
        return 8.4 if at >= began else round(rng.normal(8, 0.5), 1)

    found = said(hours_of(value, days=17, step_min=60))
    assert found[0] == (began + 8 * HOUR, 0, "stuck")
    assert len(found) == 37


def test_hourly_readings_get_the_checks_that_others_get() -> None:
    began = MONDAY + timedelta(days=15, hours=3)

    def value(at: datetime, rng: np.random.Generator) -> list[float]:
        late = at >= began
        level = rng.normal(400, 4) if late else rng.normal(40, 0.4)
        return [
            level,
            90.0 if late else rng.normal(50, 3),
            np.nan if late else rng.normal(3, 1),
            rng.normal(5, 1),
        ]

    found = said(hours_of(value, days=16, step_min=60), high=90)
    assert {(channel, verdict) for _, channel, verdict in found} >= {
        (0, "unit_jump"),
        (1, "at_limit"),
        (2, "dead"),
    }
    assert min(at for at, *_ in found) == began


def _two_levels(at: datetime, rng: np.random.Generator) -> list[float]:
    """A night set-back: as a set point without noise, and as a temperature with it."""
    level = 21.0 if 6 <= at.hour < 22 and at.weekday() < 5 else 17.0
    return [level, level + rng.normal(0, 0.1), 10 * level - 160 + rng.normal(0, 0.5)]


@pytest.mark.parametrize("step_min", [5, 60])
def test_a_night_set_back_every_week_is_no_finding(step_min: int) -> None:
    assert said(hours_of(_two_levels, days=35, step_min=step_min)) == []


def test_a_load_that_is_a_tenth_each_weekend_is_no_unit_jump() -> None:
    def load(at: datetime, rng: np.random.Generator) -> list[float]:
        share = rng.normal(1, 0.02)
        return [share * (95 if at.weekday() < 5 else 9.5), share * (1000 if at.hour < 8 else 1)]

    assert said(hours_of(load, days=35)) == []


@pytest.mark.parametrize("factor", [10.0, 0.1, 100.0, 0.01, 1000.0, 0.001])
def test_a_unit_jump_that_stays_is_told_of_for_weeks(factor: float) -> None:
    began = MONDAY + timedelta(days=24, hours=9)

    def value(at: datetime, rng: np.random.Generator) -> list[float]:
        flow = rng.normal(5, 0.2)
        return [flow * (factor if at >= began else 1), flow]

    found = said(hours_of(value, days=38))
    assert found == [(began + n * HOUR, 0, "unit_jump") for n in range(24 * 14 - 9)]


def test_a_unit_jump_of_a_sensor_with_a_daily_cycle_is_told_of_at_every_hour() -> None:
    began = MONDAY + timedelta(days=24, hours=9)

    def value(at: datetime, rng: np.random.Generator) -> float:
        celsius = 20 + 4 * np.sin(2 * np.pi * at.hour / 24) + rng.normal(0, 0.2)
        return celsius * 1.8 + 32 if at >= began else celsius

    found = said(hours_of(value, days=28))
    assert found == [(began + n * HOUR, 0, "unit_jump") for n in range(24 * 4 - 9)]


def test_a_level_that_comes_back_is_no_unit_jump() -> None:
    def batches(at: datetime, rng: np.random.Generator) -> float:
        running = (at - MONDAY).days % 3 == 0
        return rng.normal(1, 0.02) * (95 if running else 9.5)

    late = [at for at, *_ in said(hours_of(batches, days=35)) if at >= MONDAY + timedelta(days=7)]
    assert late == []


def test_a_sensor_at_its_upper_limit_every_night_is_no_finding_from_the_second_on() -> None:
    def level(at: datetime, rng: np.random.Generator) -> float:
        return 100.0 if at.hour >= 22 or at.hour < 5 else rng.uniform(60, 95)

    assert verdicts(hours_of(level, days=21), high=100, from_hour=24) == []


def test_a_sensor_at_its_limit_by_day_for_once_is_at_its_limit() -> None:
    began = MONDAY + timedelta(days=15, hours=12)

    def level(at: datetime, rng: np.random.Generator) -> float:
        is_there = at.hour >= 22 or at.hour < 5 or began <= at < began + 2 * HOUR
        return 100.0 if is_there else rng.uniform(60, 95)

    found = said(hours_of(level, days=21), high=100, from_hour=24)
    assert [(at, verdict) for at, _, verdict in found if verdict == "at_limit"] == [
        (began, "at_limit"),
        (began + HOUR, "at_limit"),
    ]


def test_what_is_out_of_range_is_so_every_night() -> None:
    def level(at: datetime, rng: np.random.Generator) -> float:
        return 101.5 if at.hour == 3 else rng.uniform(60, 95)

    found = [one for one in said(hours_of(level, days=21), high=100) if one[2] == "out_of_range"]
    assert len(found) == 21


def test_what_is_written_when_it_changes_is_not_dead() -> None:
    def room(at: datetime, rng: np.random.Generator) -> list[float]:
        setpoint = {6: 21.0, 22: 17.0}.get(at.hour, np.nan) if at.minute == 0 else np.nan
        valve = 100.0 if rng.random() < 0.02 else np.nan
        return [setpoint if at > MONDAY + timedelta(days=1) else 17.0, valve, rng.normal(20, 1)]

    values = hours_of(room, days=35)
    assert [one for one in said(values, from_hour=72) if one[2] == "dead"] == []


def test_one_channel_that_falls_silent_is_dead_as_long_as_it_is() -> None:
    began = MONDAY + timedelta(days=15)
    values = hours_of(
        lambda at, rng: [np.nan if at >= began else rng.normal(5, 1), rng.normal(5, 1)], days=60
    )
    assert said(values) == [(began + n * HOUR, 0, "dead") for n in range(24 * 45)]


def test_one_that_is_silent_every_weekend_is_not_dead() -> None:
    def value(at: datetime, rng: np.random.Generator) -> list[float]:
        return [np.nan if at.weekday() >= 5 else rng.normal(5, 1), rng.normal(5, 1)]

    assert said(hours_of(value, days=35), from_hour=24 * 9) == []


def test_what_a_model_may_hold_is_not_dead_meanwhile() -> None:
    values = hours_of(
        lambda at, rng: [np.nan if at.hour >= 2 else rng.normal(5, 1), rng.normal(5, 1)], days=3
    )
    assert said(values, hold_h=24) == []


def test_a_resolution_that_becomes_coarser_is_told_of_once() -> None:
    began = MONDAY + timedelta(days=15, hours=3)

    def value(at: datetime, rng: np.random.Generator) -> float:
        return round(rng.normal(20, 1.5), 0 if at >= began else 2)

    found = findings(hours_of(value, days=25))
    assert [(at, one.verdict) for at, one in found] == [(began + HOUR, "sampling_changed")]
    assert found[0][1].detail == "resolution 0.01 before, 1 now"


def test_the_longer_runs_of_a_coarser_resolution_are_not_stuck() -> None:
    began = MONDAY + timedelta(days=15, hours=3)

    def value(at: datetime, rng: np.random.Generator) -> float:
        level = 20 + 5 * np.sin(2 * np.pi * (at.hour + at.minute / 60) / 24)
        return round(level + rng.normal(0, 0.2), 0 if at >= began else 2)

    found = said(hours_of(value, days=25, step_min=1))
    assert found[0][0] >= began
    assert [verdict for *_, verdict in found].count("sampling_changed") == 1
    # Of the first hours nothing tells a coarser sensor from one that is stuck.
    assert all(at < began + 3 * HOUR for at, *_ in found)


def test_a_resolution_that_becomes_finer_is_told_of_once() -> None:
    began = MONDAY + timedelta(days=15, hours=3)

    def value(at: datetime, rng: np.random.Generator) -> float:
        return round(rng.normal(20, 1.5), 2 if at >= began else 0)

    found = findings(hours_of(value, days=25))
    assert [(at, one.verdict) for at, one in found] == [(began + HOUR, "sampling_changed")]
    assert found[0][1].detail == "resolution 1 before, 0.01 now"


@pytest.mark.parametrize("step_min", [1, 5])
def test_half_degrees_are_no_change_of_resolution(step_min: int) -> None:
    def value(at: datetime, rng: np.random.Generator) -> float:
        return round(2 * (20 + 3 * np.sin(at.hour / 4) + rng.normal(0, 0.8))) / 2

    assert said(hours_of(value, days=35, step_min=step_min)) == []


@pytest.mark.parametrize(
    ("step_min", "before", "after", "detail"),
    [
        (1, 6, 1, "a reading every 10 s before, every 1 min for two hours; readings per step 6 "
                  "before, 1 now"),
        (1, 1, 6, "a reading every 1 min before, every 10 s for two hours; readings per step 1 "
                  "before, 6 now"),
        (5, 5, 1, "a reading every 1 min before, every 5 min for two hours; readings per step 5 "
                  "before, 1 now"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("minute", [0, 30])
def test_another_sampling_rate_is_told_of_once_with_before_and_after(
    step_min: int, before: int, after: int, detail: str, minute: int
) -> None:
    began = MONDAY + timedelta(days=15, hours=3, minutes=minute)
    counts = hours_of(lambda at, _: after if at >= began else before, days=25, step_min=step_min)
    values = hours_of(lambda _, rng: round(rng.normal(20, 1.5), 3), days=25, step_min=step_min)
    found = findings(values, counts.astype(np.uint8))
    wanted = MONDAY + timedelta(days=15, hours=4 if minute == 0 else 5)
    assert [(at, one.verdict) for at, one in found] == [(wanted, "sampling_changed")]
    assert found[0][1].detail == detail


def test_a_logger_slower_than_the_step_is_another_rate() -> None:
    began = MONDAY + timedelta(days=15, hours=3)

    def value(at: datetime, rng: np.random.Generator) -> float:
        return rng.normal(20, 1) if at < began or at.minute % 5 == 0 else np.nan

    found = findings(hours_of(value, days=25, step_min=1))
    assert [at for at, _ in found] == [began + HOUR]
    assert found[0][1].detail == "a reading every 1 min before, every 5 min for two hours"


def test_a_rate_of_each_night_and_one_that_varies_are_no_change() -> None:
    def counts(at: datetime, rng: np.random.Generator) -> list[float]:
        return [1 if at.hour in (1, 2, 3) else 6, rng.integers(1, 20)]

    values = hours_of(lambda _, rng: rng.normal(20, 1.5, 2), days=25)
    rates = hours_of(counts, days=25).astype(np.uint8)
    assert said(values, rates, from_hour=24) == []


def test_without_known_numbers_of_readings_nothing_is_said_of_them() -> None:
    values = hours_of(lambda at, rng: rng.normal(20, 1.5), days=25)
    values[:, 1:, :][300:] = np.nan
    assert said(values, np.zeros(values.shape, np.uint8)) == []


def test_a_healthy_sensor_that_moves_slowly_has_no_finding() -> None:
    rng = np.random.default_rng(5)
    walk = np.cumsum(rng.normal(0, 0.02, 24 * 28 * 60)).reshape(-1, 60, 1)
    assert said(20 + walk.round(1)) == []
