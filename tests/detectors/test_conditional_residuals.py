"""What the detector of residuals knows of days and of other channels, and what it forgets."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tsad_tasks.base.arrays import Floats32, Floats64
from tsad_tasks.detectors.folding.fold import AssetReconstruction, Series, channel_weights
from tsad_tasks.detectors.folding.series_fold import FoldDetector
from tsad_tasks.detectors.registry import build_detector
from tsad_tasks.model.blocks import as_seldom
from tsad_tasks.model.budget import AlarmBudget, BudgetLimits, without_faults
from tsad_tasks.model.conditional import OTHERS, Pace
from tsad_tasks.model.conditional_fit import fit_units
from tsad_tasks.model.features import rest_days, stabilised
from tsad_tasks.model.incidents import IncidentRule
from tsad_tasks.model.thresholds import Calibration, ThresholdSettings
from tsad_tasks.training.limits import limits_in_budget, no_higher, usual_highest

STEP_S, DAY = 600, 144
LOAD, FLOW, AIR = range(3)
MONDAY_S = 4 * 86400


def office(n_days: int, seed: int = 1, first_day: int = 0) -> Series:
    """Load on work days from 7 to 18, a flow that follows it, and air that follows the day."""
    steps = (first_day * DAY + np.arange(n_days * DAY)).astype(np.int64)
    local_s, rng = MONDAY_S + steps * STEP_S, np.random.default_rng(seed)
    hour, day = local_s % 86400 / 3600, steps // DAY
    works = (day % 7 < 5) & (hour >= 7) & (hour < 18)
    demand = rng.normal(0, 1, len(steps)).cumsum() * 0.02
    demand -= np.convolve(demand, np.ones(DAY) / DAY, "same")
    load = np.where(works, 95, 22) + 10 * demand + rng.normal(0, 1, len(steps))
    flow = 2 * load + rng.normal(0, 1, len(steps))
    air = 20 + 3 * np.sin(2 * np.pi * hour / 24) + rng.normal(0, 0.3, len(steps))
    return Series(np.stack([load, flow, air], axis=1)[None], local_s, STEP_S)


def learned(series: Series, **params: Any) -> FoldDetector:
    found: Any = build_detector(
        "conditional_residuals", width=1, n_channels=3, n_inputs=3, params=params
    )
    found.fit_series(["office"], series, seed=0)
    assert isinstance(found, FoldDetector)
    return found


@pytest.fixture(scope="module")
def detector() -> FoldDetector:
    return learned(office(28))


def judged(detector: FoldDetector, series: Series) -> AssetReconstruction:
    found = detector.advance(detector.start(["office"]), series)[1]
    assert isinstance(found, AssetReconstruction)
    return found


def errors(detector: FoldDetector, series: Series) -> Floats32:
    """The error of each step, (n_steps,)."""
    return np.asarray(np.nanmax(judged(detector, series).channel_errors[0], axis=1))


def changed(series: Series, values: Floats64) -> Series:
    return replace(series, values=values)


WEEK = office(7, seed=2, first_day=28)
MONDAY, SATURDAY = slice(42, 108), slice(5 * DAY + 60, 5 * DAY + 84)


def test_usual_days_are_below_what_is_told_of(detector: FoldDetector) -> None:
    usual = detector.usual_error(0.5 / 7)
    assert usual is not None
    assert errors(detector, WEEK).max() < usual


def test_all_channels_at_work_on_a_saturday_are_strange(detector: FoldDetector) -> None:
    values = WEEK.values.copy()
    values[0, SATURDAY] = values[0, DAY + 60 : DAY + 84]
    assert errors(detector, changed(WEEK, values))[SATURDAY].min() > 20


def test_nobody_at_work_on_a_monday_is_strange(detector: FoldDetector) -> None:
    values = WEEK.values.copy()
    values[0, MONDAY] = values[0, 5 * DAY + 42 : 5 * DAY + 108]
    assert errors(detector, changed(WEEK, values))[MONDAY].min() > 20


def test_of_readings_that_nobody_is_told_of_the_others_say_what_is_expected(
    detector: FoldDetector,
) -> None:
    values = WEEK.values.copy()
    # The load of a Saturday, and a flow that goes with it: only the calendar is surprised.
    values[0, SATURDAY, LOAD] += 30
    values[0, SATURDAY, FLOW] += 60
    told, quiet = judged(detector, changed(WEEK, values)), copy(detector)
    quiet.least_error = np.inf
    untold = judged(quiet, changed(WEEK, values))
    np.testing.assert_array_equal(untold.channel_errors, told.channel_errors)
    off = [np.abs(values - one.expected)[0, SATURDAY, FLOW].mean() for one in (told, untold)]
    assert off[0] > 50
    assert off[1] < 25
    quiet.least_error = float(np.nanmin(told.channel_errors[0, SATURDAY]))
    some = judged(quiet, changed(WEEK, values)).expected[0, SATURDAY]
    np.testing.assert_array_equal(some, told.expected[0, SATURDAY])


def test_a_monday_that_is_a_holiday_is_as_a_sunday(detector: FoldDetector) -> None:
    values = WEEK.values.copy()
    values[0, :DAY] = values[0, 6 * DAY :]
    holiday = int(WEEK.local_s[0] // 86400)
    off = replace(WEEK, values=values, weekdays=rest_days(WEEK.local_s, [holiday], 6))
    assert errors(detector, off)[:DAY].max() < 10 < errors(detector, changed(WEEK, values))[60]


def with_holidays(series: Series, days: Sequence[int]) -> Series:
    """The series with some of its days, counted from the first, as holidays on the calendar."""
    first = int(series.local_s[0] // 86400)
    weekdays = rest_days(series.local_s, [first + day for day in days], 6)
    return replace(series, weekdays=weekdays)


def at_rest(series: Series, days: Sequence[int]) -> Series:
    """The series with some of its days as the Sunday of their week."""
    values = series.values.copy()
    for day in days:
        sunday = day - day % 7 + 6
        values[0, day * DAY : (day + 1) * DAY] = values[0, sunday * DAY : (sunday + 1) * DAY]
    return replace(series, values=values)


@pytest.mark.parametrize("rested", [False, True], ids=["worked through", "rested"])
def test_holidays_are_as_those_that_were_seen(rested: bool) -> None:
    """A Friday and a Monday in training; then a Tuesday, as they were and the other way."""
    month = with_holidays(office(28), [18, 21])
    detector = learned(at_rest(month, [18, 21]) if rested else month)
    tuesday, off = slice(DAY + 60, DAY + 84), with_holidays(WEEK, [1])
    worked, stood = errors(detector, off)[tuesday], errors(detector, at_rest(off, [1]))[tuesday]
    alike, other = (stood, worked) if rested else (worked, stood)
    assert alike.max() < 10 < 20 < other.min()


def test_holidays_teach_nothing_of_sundays() -> None:
    """All channels at work on a Sunday are strange, although two holidays were worked through."""
    detector, values = learned(with_holidays(office(28), [18, 21])), WEEK.values.copy()
    sunday = slice(6 * DAY + 60, 6 * DAY + 84)
    values[0, sunday] = values[0, DAY + 60 : DAY + 84]
    assert errors(detector, changed(WEEK, values))[sunday].min() > 20


def test_the_first_holiday_may_be_either_and_what_is_neither_is_strange(
    detector: FoldDetector,
) -> None:
    off, noon = with_holidays(WEEK, [1]), slice(DAY + 60, DAY + 84)
    assert errors(detector, off)[noon].max() < 10
    assert errors(detector, at_rest(off, [1]))[noon].max() < 10
    values = off.values.copy()
    values[0, noon, :2] *= 2
    assert errors(detector, changed(off, values))[noon].min() > 20


def test_a_holiday_is_the_same_however_readings_are_cut() -> None:
    detector = learned(with_holidays(office(28), [18, 21]))
    off = with_holidays(WEEK, [1])
    whole, state, found = judged(detector, off), detector.start(["office"]), []
    for part in (slice(0, 150), slice(150, 200), slice(200, None)):
        assert off.weekdays is not None
        cut = Series(off.values[:, part], off.local_s[part], STEP_S, off.weekdays[part])
        state, made = detector.advance(state, cut)
        found.append(made.channel_errors)
    assert np.array_equal(np.concatenate(found, axis=1), whole.channel_errors, equal_nan=True)


def test_a_model_from_before_takes_a_holiday_for_a_sunday() -> None:
    month, off = with_holidays(office(28), [18, 21]), with_holidays(WEEK, [1])
    older: Any = learned(month)
    older.knows_holidays = False
    older.fit_series(["office"], month, seed=0)
    assert not [name for name in older.start(["office", "new"]) if name.endswith("holidays")]
    details = {name: value for name, value in older.learned().items() if name != "knows_holidays"}
    again: Any = build_detector("conditional_residuals", width=1, n_channels=3, n_inputs=3)
    again.recall(details, older.to_files())
    assert errors(again, off)[DAY + 60 : DAY + 84].min() > 20


def test_of_a_week_no_weekday_is_known_and_that_is_said() -> None:
    [note] = learned(office(7)).notes
    assert "weekday" not in note
    assert "weekends" not in note
    [note] = learned(office(28)).notes
    assert "work days and weekends: 2" in note


@pytest.mark.parametrize("channel", [LOAD, FLOW])
def test_a_channel_that_leaves_the_others_is_the_first_named(
    detector: FoldDetector, channel: int
) -> None:
    values = WEEK.values.copy()
    values[0, 70:90, channel] *= 0.85
    found = judged(detector, changed(WEEK, values))
    assert np.nanmax(found.channel_errors[0, 70:90]) > 10
    weights = channel_weights(found)[0, 75:90]
    assert (weights.argmax(axis=1) == channel).mean() > 0.9


def test_a_missing_channel_is_left_out_of_the_design_and_not_zero(detector: FoldDetector) -> None:
    gone, low = WEEK.values.copy(), WEEK.values.copy()
    gone[0, 50:100, FLOW], low[0, 50:100, FLOW] = np.nan, 0.0
    without = judged(detector, changed(WEEK, gone)).channel_errors[0, 50:100]
    assert np.isnan(without[:, FLOW]).all()
    assert np.nanmax(without) < 10 < np.nanmax(errors(detector, changed(WEEK, low))[50:100])


@pytest.mark.parametrize("cuts", [(1, 60, 61, 200)])
def test_cut_anywhere_in_a_gap_of_one_channel_errors_are_the_same_to_the_bit(
    detector: FoldDetector, cuts: tuple[int, ...]
) -> None:
    values = WEEK.values.copy()
    values[0, 50:100, FLOW] = values[0, 55:70, AIR] = values[0, 300::7, LOAD] = np.nan
    whole, state, found = judged(detector, changed(WEEK, values)), detector.start(["office"]), []
    for first, end in zip((0, *cuts), (*cuts, len(WEEK.local_s)), strict=True):
        part = Series(values[:, first:end], WEEK.local_s[first:end], STEP_S)
        state, made = detector.advance(state, part)
        found.append(made)
    for name, array in vars(whole).items():
        joined = np.concatenate([vars(one)[name] for one in found], axis=1)
        assert joined.tobytes() == array.tobytes(), name


def test_a_fault_moves_no_level_and_what_stays_is_usual_after_days() -> None:
    detector, weeks = learned(office(28)), office(14, seed=3, first_day=28)
    fault, stays = weeks.values.copy(), weeks.values.copy()
    fault[0, 200:230, AIR] += 12
    stays[0, 200:, AIR] += 12
    after = errors(detector, changed(weeks, fault))[300:]
    assert np.abs(after - errors(detector, weeks)[300:]).max() < 2
    lasting = errors(detector, changed(weeks, stays))
    assert lasting[200 : 200 + DAY].min() > 20
    assert np.median(lasting[200 + 6 * DAY :]) < 5


def test_a_drift_is_followed_and_strange_to_what_follows_nothing(detector: FoldDetector) -> None:
    """Three spreads of the air in four weeks: three days behind it is a third of one."""
    weeks = office(28, seed=4, first_day=28)
    values = weeks.values.copy()
    values[0, :, AIR] += np.linspace(0, 0.9, 28 * DAY)
    drifts = changed(weeks, values)
    late = slice(21 * DAY, None)
    assert np.median(errors(detector, drifts)[late]) < 5
    fixed = learned(office(28), level_memory=100 * 86400)
    assert np.median(errors(fixed, drifts)[late]) > 10


def test_limits_are_no_higher_than_the_scale_says(detector: FoldDetector) -> None:
    limit = Calibration(1.0, 1.0, 40.0, 1.0, 1.0, 35.0, 100)
    budget = AlarmBudget(5.0, 1 / 7, 1, IncidentRule(0, 3600), STEP_S)
    usual, few = detector.usual_error(budget.aim), {"office": np.ones(36, np.float32)}
    assert usual is not None
    capped = no_higher(BudgetLimits(limit, {"office": limit}, 0.1), detector, budget, few)
    for one in (capped.pooled, capped.own["office"]):
        assert one.limit == one.collective_limit == pytest.approx(usual)
    low = replace(limit, limit=3.0, collective_limit=2.0)
    assert no_higher(BudgetLimits(low, {}, 0.1), detector, budget, few).pooled == low


@pytest.mark.parametrize(
    ("factor", "every", "limit"), [(1, 1, 9.03), (3, 1, 27.1), (3, 10, 10.4), (30, 10, 10.4)]
)
def test_limits_rise_with_a_tail_that_most_hours_have_and_little_with_faults(
    detector: FoldDetector, factor: float, every: int, limit: float
) -> None:
    """Highest errors of 500 times six hours are Gumbel's around 5: once in 14 days 5 + ln 56.

    Of one time in ten that is faulty, the middle is what 55.6 % of the others are below, and the
    upper quarter what 83.3 % are: 5.53 and 6.70.
    """
    highest = 5 - np.log(-np.log((np.arange(500) + 0.5) / 500))
    highest[::every] *= factor
    errors = {"office": np.repeat(highest, 36).astype(np.float32)}
    budget = AlarmBudget(5.0, 1 / 7, 1, IncidentRule(0, 3600), STEP_S)
    above = Calibration(1.0, 1.0, 99.0, 1.0, 1.0, 99.0, 100)
    capped = no_higher(BudgetLimits(above, {}, 0.1), detector, budget, errors)
    assert capped.pooled.limit == pytest.approx(limit, rel=0.02)


def test_few_days_of_many_machines_bound_less_than_many_days_of_few() -> None:
    """The same 112 highest errors of six hours: of 28 machines in a day, of 4 in a week."""
    highest = (5 - np.log(-np.log((np.arange(112) + 0.5) / 112))).astype(np.float32)
    found = []
    for n_machines in (4, 28):
        of_machines = np.repeat(highest, 36).reshape(n_machines, -1)
        errors = {str(number): part for number, part in enumerate(of_machines)}
        found.append(usual_highest(errors, STEP_S, 4 / 56))
    # A width of 1, and what is exceeded once in 56 times six hours.
    assert found == pytest.approx([5 + as_seldom(np.log(56), n) for n in (28, 4)], rel=0.02)
    assert found[1] > found[0]


def of_fleet(n_machines: int, loud: int = 0) -> dict[str, Floats32]:
    """Errors of machines in a week, by six a hour, whose highest of six hours are Gumbel's around 5
    and of width 1; three times as high of some.
    """
    rng = np.random.default_rng(7)
    errors = (rng.exponential(1, (n_machines, 7 * DAY)) + 5 - np.log(36)).astype(np.float32)
    errors[:loud] *= 3
    return {f"m{i:02d}": one for i, one in enumerate(errors)}


def limits_of(errors: dict[str, Floats32], detector: FoldDetector) -> BudgetLimits:
    settings = ThresholdSettings("evt", 99.9, 6.0, 1000, 200, 0.5, 0, 6.0)
    budget = AlarmBudget(0.5, 1 / 7, len(errors), IncidentRule(0, 3600), STEP_S)
    steps = {name: len(part) for name, part in errors.items()}
    return limits_in_budget(errors, steps, settings, detector, budget)


def test_a_fleets_limit_rises_with_what_its_machines_raise_capped_and_said(
    detector: FoldDetector,
) -> None:
    errors, rng = of_fleet(40), np.random.default_rng(8)
    # Three single readings of each.
    for part in errors.values():
        part[rng.integers(0, len(part), 3)] += rng.exponential(20, 3) + 10
    bound = usual_highest(without_faults(errors), STEP_S, 0.5 * 0.5 / 40)
    assert bound is not None
    few = dict(list(errors.items())[:4])
    alone, fleet = limits_of(few, detector), limits_of(errors, detector)
    usual = detector.usual_error(0.5 * 0.5 / 40)
    assert usual is not None
    assert 1.4 * bound > 2 * usual
    assert fleet.pooled.limit == pytest.approx(2 * usual)
    [note] = [one for one in fleet.notes if "2 at most" in one]
    assert "40 machines" in note
    assert alone.pooled.limit < bound
    assert not [one for one in alone.notes if "detector's own scale, 2 at most" in one]
    assert fleet.pooled.collective_limit >= 0.6 * fleet.pooled.limit


def test_a_fleets_limit_that_is_cut_to_twice_the_scale_says_so_whatever_most_hours_say(
    detector: FoldDetector,
) -> None:
    errors = {name: 3 * part for name, part in of_fleet(40).items()}
    budget = AlarmBudget(0.5, 1 / 7, len(errors), IncidentRule(0, 3600), STEP_S)
    usual, bound = detector.usual_error(budget.aim), usual_highest(errors, STEP_S, budget.aim)
    assert usual is not None
    assert bound is not None
    wanted = (2 * usual + bound) / 2
    assert 2 * usual < wanted < bound
    limit = Calibration(1.0, 1.0, wanted, 1.0, 1.0, wanted, 100)
    capped = no_higher(BudgetLimits(limit, {}, 0.1), detector, budget, errors)
    assert capped.pooled.limit == pytest.approx(2 * usual)
    [note] = capped.notes
    assert "is 2 times the detector's own scale, 2 at most" in note


def test_a_machine_that_errs_more_has_a_limit_of_its_own_and_that_is_said(
    detector: FoldDetector,
) -> None:
    limits = limits_of(of_fleet(40, loud=1), detector)
    times = {name: one.limit / limits.pooled.limit for name, one in limits.own.items()}
    assert times.pop("m00") == pytest.approx(2)
    assert max(times.values()) < 1.1
    [note] = [one for one in limits.notes if "Limits of m00" in one]
    assert "2 are allowed" in note


@pytest.mark.parametrize("share", [0.05, 0.1])
def test_faults_in_the_held_out_week_hardly_move_a_fleets_limits(
    detector: FoldDetector, share: float
) -> None:
    """Of six hours each, of two to twenty times the usual, in so many of them."""
    errors, rng = of_fleet(40), np.random.default_rng(9)
    healthy = limits_of(errors, detector)
    faulty = {name: part.copy() for name, part in errors.items()}
    for part in faulty.values():
        for block in np.flatnonzero(rng.random(28) < share).tolist():
            part[36 * block : 36 * block + 36] *= rng.uniform(2, 20)
    limits = limits_of(faulty, detector)
    was, now = (
        np.array([one.own.get(name, one.pooled).limit for name in errors])
        for one in (healthy, limits)
    )
    assert (now / was).max() < 1.1


def test_the_scale_of_two_days_is_that_of_ten() -> None:
    """Noise: two days have the highest of three hours, 16 times; that of six is .7 widths above."""
    pace, rng = Pace.of([], [], 10**9, 86400, 60), np.random.default_rng(7)
    noise, minutes = rng.normal(0, 1, (14400, 12)), np.arange(14400) % 10080
    short, long = (fit_units([noise[:n]], [minutes[:n]], pace, 60).model for n in (2880, 14400))
    apart = (short["location"] - long["location"]) / long["width"]
    assert abs(apart[0, OTHERS].mean()) < 0.4


def slow_plant(n_steps: int, seed: int, mixing: int) -> Floats64:
    """Twelve channels that three slow causes move: a cause is half forgotten after 34 steps."""
    rng, causes = np.random.default_rng(seed), np.zeros((n_steps, 3))
    for i in range(1, n_steps):
        causes[i] = 0.98 * causes[i - 1] + rng.normal(0, 0.2, 3)
    weights = np.random.default_rng(mixing).normal(0, 1, (3, 12))
    return np.asarray(50 + causes @ weights + rng.normal(0, 0.3, (n_steps, 12)))


@pytest.mark.parametrize("seed", [1, 3])
def test_a_day_of_slow_channels_vouches_for_little_and_faults_are_found(seed: int) -> None:
    """With limits of what was seen, however little that was, 56 and 24 % were false."""
    found: Any = build_detector("conditional_residuals", width=1, n_channels=12, n_inputs=12)
    local_s = MONDAY_S + 180 * np.arange(980, dtype=np.int64)
    found.fit_series(["p"], Series(slow_plant(500, seed, seed)[None], local_s[:500], 180), seed=0)
    later = np.stack([slow_plant(480, seed + 10, seed)] * 2)
    later[1, 160:, 4] += 4
    made = found.advance(found.start(["p", "p"]), Series(later, local_s[500:], 180))[1]
    clean, faulty = np.nanmax(made.channel_errors, axis=2) > found.usual_error(1 / 7)
    assert clean.mean() < 0.1
    assert faulty[160:].mean() > 0.8


def test_the_fewer_six_hours_were_learned_from_the_higher_is_the_usual_error() -> None:
    week, month = learned(office(7)), learned(office(28))
    few, many = week.usual_error(1 / 7), month.usual_error(1 / 7)
    assert few is not None
    assert many is not None
    # Four times, two kinds and three channels, each 28 times a week.
    plain = np.log(28 * 24)
    assert (few, many) == pytest.approx((as_seldom(plain, 56), as_seldom(plain, 112)))
    assert few > many
    again: Any = build_detector("conditional_residuals", width=1, n_channels=3, n_inputs=3)
    again.recall(week.learned(), week.to_files())
    assert again.usual_error(1 / 7) == few
    again.recall({"step_s": STEP_S}, week.to_files())
    assert again.usual_error(1 / 7) == pytest.approx(as_seldom(plain, 84))


def test_readings_of_an_hour_have_their_own_times() -> None:
    hourly = office(28)
    thin = Series(hourly.values[:, ::6], hourly.local_s[::6], 3600)
    detector = learned(thin, scales=["4h", "1d"], memories=["4h"])
    week = Series(WEEK.values[:, ::6], WEEK.local_s[::6], 3600)
    values = week.values.copy()
    values[0, 60:72, AIR] += 4
    assert errors(detector, changed(week, values))[60:72].max() > 10 > errors(detector, week).max()


def test_entities_learned_together_are_as_each_alone_to_the_bit() -> None:
    weeks = [office(21, seed=seed) for seed in (1, 2, 3)]
    values = np.concatenate([one.values for one in weeks])
    # One that began late, one of which a channel and some hours are missing.
    values[1, :500], values[2, 40:90], values[2, 700:900, FLOW] = np.nan, np.nan, np.nan
    names, together = ["a", "b", "c"], learned(weeks[0])
    together.fit_series(names, replace(weeks[0], values=values), seed=0)
    for number, name in enumerate(names):
        alone = learned(weeks[0])
        alone.fit_series([name], replace(weeks[0], values=values[[number]]), seed=0)
        assert alone.trained[name] == together.trained[name], name


@pytest.mark.parametrize("size", [4, 40])
def test_what_averages_know_of_a_large_fault_is_over_with_it(
    detector: FoldDetector, size: float
) -> None:
    values = WEEK.values.copy()
    values[0, 300:324, AIR] += size
    found = errors(detector, changed(WEEK, values))
    assert found[300:324].min() > 10
    # Six steps are an hour; the longest average is of four.
    assert found[330:].max() < 10


def test_what_is_small_and_lasts_is_still_found(detector: FoldDetector) -> None:
    values = WEEK.values.copy()
    values[0, 300:400, AIR] += 0.7
    found = errors(detector, changed(WEEK, values))
    assert found[:300].max() < 10 < found[300:360].max()


def with_job(series: Series, size: float = 12, first: int = 36, n_steps: int = 1) -> Series:
    """Something that warms the air for so many steps from a time of each day on, six by default."""
    values, of_day = series.values.copy(), np.arange(len(series.local_s)) % DAY
    values[0, (of_day >= first) & (of_day < first + n_steps), AIR] += size
    return changed(series, values)


@pytest.fixture(scope="module")
def beside_a_job() -> FoldDetector:
    return learned(with_job(office(28)))


def test_a_job_that_comes_each_morning_is_no_news(beside_a_job: FoldDetector) -> None:
    assert errors(beside_a_job, with_job(WEEK)).max() < 10
    assert errors(beside_a_job, WEEK).max() < 10


@pytest.mark.parametrize(
    "strange",
    [{"first": 72}, {"size": 24}, {"size": -12}, {"n_steps": 6}],
    ids=["at noon", "twice as much", "the other way", "for an hour"],
)
def test_what_such_a_job_does_otherwise_is_told(
    beside_a_job: FoldDetector, strange: dict[str, Any]
) -> None:
    assert errors(beside_a_job, with_job(WEEK, **strange)).max() > 20


def test_a_job_of_each_sunday_is_no_news_on_sundays_alone() -> None:
    """At two in the morning, for ten minutes."""
    month, week, other = office(28), WEEK.values.copy(), WEEK.values.copy()
    values = month.values.copy()
    values[0, 6 * DAY + 12 :: 7 * DAY, AIR] += 12
    week[0, 6 * DAY + 12, AIR] += 12
    other[0, 2 * DAY + 12, AIR] += 12
    detector = learned(changed(month, values))
    found, strange = errors(detector, changed(WEEK, week)), errors(detector, changed(WEEK, other))
    assert found.max() < 10
    assert strange[2 * DAY + 12] > 20


def test_where_a_machine_goes_for_a_moment_all_its_channels_may() -> None:
    """Ten minutes at six: air goes far each morning, load and flow together on some of them."""

    def paused(series: Series, every: int) -> Series:
        values = with_job(series).values
        values[0, 36 :: every * DAY, :2] -= 15, 30
        return changed(series, values)

    detector = learned(paused(office(28), every=3))
    assert errors(detector, paused(WEEK, every=1)).max() < 10


def test_a_channel_that_is_restless_all_day_is_judged_by_how_long() -> None:
    """A pump that runs for one of three steps, at random; then for ten hours."""
    month, week = (
        changed(one, one.values + 40 * (np.random.default_rng(8).random(one.values.shape) < 1 / 3))
        for one in (office(28), WEEK)
    )
    detector, values = learned(month), week.values.copy()
    values[0, 300:360, AIR] = WEEK.values[0, 300:360, AIR] + 40
    found = errors(detector, changed(week, values))
    assert found[:300].max() < 10 < found[300:360].max()


def with_counts(series: Series, counts: NDArray[np.int64], first: int = 0) -> Floats64:
    """Values with so many events from a step on in place of air, as a model sees them."""
    values = series.values.copy()
    values[0, first : first + len(counts), AIR] = stabilised(
        counts[:, None].astype(np.float64), [0]
    )[:, 0]
    return values


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_burst_of_rare_events_beside_gauges_is_told_and_clean_weeks_are_not(seed: int) -> None:
    # One error in 50 minutes on average.
    rng = np.random.default_rng(seed)
    month, week = (
        changed(one, with_counts(one, rng.poisson(0.2, len(one.local_s))))
        for one in (office(28), WEEK)
    )
    detector = learned(month)
    usual = detector.usual_error(0.5 / 7)
    assert usual is not None
    assert errors(detector, week).max() < usual
    # Two in each ten minutes of two hours, ten times as many: chance alone does that never.
    first, last = 3 * DAY + 70, 3 * DAY + 81
    burst = changed(week, with_counts(week, np.full(12, 2), first))
    found = judged(detector, burst)
    assert np.nanmax(found.channel_errors[0, last]) > usual
    assert channel_weights(found)[0, last].argmax() == AIR


def test_two_rare_events_at_once_are_no_news_where_one_was_the_most() -> None:
    # One each 70 minutes and never two at once, so that the most of six hours is always the same.
    counts = np.zeros(28 * DAY, np.int64)
    counts[::7] = 1
    detector = learned(changed(office(28), with_counts(office(28), counts)))
    usual = detector.usual_error(0.5 / 7)
    assert usual is not None
    counts[140] = 2
    two = changed(WEEK, with_counts(WEEK, counts[: 7 * DAY]))
    assert errors(detector, two)[140] < usual


def silent(series: Series, steps: slice, channels: slice = slice(None)) -> Series:
    values = series.values.copy()
    values[0, steps, channels] = np.nan
    return changed(series, values)


def warm_until(step: int) -> Series:
    """Air that is far too warm for three hours, and usual afterwards."""
    values = WEEK.values.copy()
    values[0, step - 18 : step, AIR] += 6
    return changed(WEEK, values)


@pytest.mark.parametrize("channels", [slice(None), slice(AIR, None)])
def test_a_machine_that_comes_back_is_not_judged_by_what_was_before_it_went(
    detector: FoldDetector, channels: slice
) -> None:
    """It overheats, is off for a day, and is well; so is a sensor that was away."""
    usual, went, back = detector.usual_error(0.5 / 7), DAY + 60, 2 * DAY + 60
    assert usual is not None
    off = slice(went, back)
    found, well = (
        judged(detector, silent(series, off, channels)).channel_errors[0, :, AIR]
        for series in (warm_until(went), WEEK)
    )
    assert found[went - 18 : went].max() > 2 * usual
    assert found[back:].max() < usual
    assert found[back:] == pytest.approx(well[back:], abs=0.5)


def test_a_few_readings_that_are_missing_forget_nothing(detector: FoldDetector) -> None:
    usual, until = detector.usual_error(0.5 / 7), DAY + 60
    assert usual is not None
    series, air = warm_until(until), slice(AIR, None)
    whole = judged(detector, series).channel_errors[0, until - 2, AIR]
    found = judged(detector, silent(series, slice(until - 3, until - 2), air))
    assert whole > 2 * usual
    assert found.channel_errors[0, until - 2, AIR] > 0.8 * whole


def test_silence_is_forgotten_the_same_however_readings_are_cut(detector: FoldDetector) -> None:
    series = silent(warm_until(DAY), slice(DAY, DAY + 40))
    series = silent(series, slice(DAY + 60, DAY + 75), slice(LOAD, FLOW))
    whole = judged(detector, series)
    state, found = detector.start(["office"]), []
    for first, last in ((0, 100), (100, 150), (150, 170), (170, 184), (184, 215), (215, 7 * DAY)):
        part = slice(first, last)
        cut = Series(series.values[:, part], series.local_s[part], STEP_S)
        state, made = detector.advance(state, cut)
        found.append(made.channel_errors)
    assert np.array_equal(np.concatenate(found, axis=1), whole.channel_errors, equal_nan=True)


def gauges(n_days: int, n_readings: int, seed: int, first_day: int = 0) -> Series:
    """Means of so many readings: a wave of the day, what follows it, and noise alone."""
    steps = (first_day * DAY + np.arange(n_days * DAY)).astype(np.int64)
    rng, wave = np.random.default_rng(seed), 3 * np.sin(2 * np.pi * steps / DAY)
    noise = rng.normal(0, 1 / np.sqrt(n_readings), (len(steps), 3))
    values = np.stack([wave, 2 * wave, np.zeros(len(steps))], axis=1) + noise
    return Series(values[None], MONDAY_S + steps * STEP_S, STEP_S)


@pytest.fixture(scope="module")
def of_six() -> FoldDetector:
    return learned(gauges(28, 6, 1))


def noisier(series: Series, times: float) -> Series:
    return replace(series, noise=np.full(series.values.shape, times, np.float32))


def test_of_noise_alone_all_is_noise_now_and_averaged(of_six: FoldDetector) -> None:
    shares = of_six.start(["office"])["model.noise"][0, ..., AIR]
    assert shares == pytest.approx(np.ones(shares.shape), abs=0.25)


def test_steps_of_one_reading_are_usual_where_six_were_and_a_fault_is_not(
    of_six: FoldDetector,
) -> None:
    usual, later = of_six.usual_error(0.5 / 7), gauges(7, 1, 2, first_day=28)
    assert usual is not None
    assert (errors(of_six, later) > usual).mean() > 0.1
    assert errors(of_six, noisier(later, 6)).max() < usual
    values = later.values.copy()
    values[0, 500:506, AIR] += 6
    found = judged(of_six, noisier(changed(later, values), 6))
    assert np.nanmax(found.channel_errors[0, 500:506]) > 2 * usual
    assert (channel_weights(found)[0, 502:506].argmax(axis=1) == AIR).all()


def test_noise_joins_what_was_before_and_is_the_same_however_readings_are_cut(
    of_six: FoldDetector,
) -> None:
    series = gauges(2, 1, 3, first_day=28)
    noise = np.ones(series.values.shape, np.float32)
    noise[0, 50:120, :2] = 6
    values = series.values.copy()
    values[0, 90:100, LOAD] = np.nan
    whole = judged(of_six, replace(series, values=values, noise=noise))
    state, found = of_six.start(["office"]), []
    for part in (slice(0, 30), slice(30, 77), slice(77, 95), slice(95, 150), slice(150, None)):
        its = noise[:, part] if (noise[:, part] > 1).any() else None
        cut = Series(values[:, part], series.local_s[part], STEP_S, noise=its)
        state, made = of_six.advance(state, cut)
        found.append(made.channel_errors)
    assert np.array_equal(np.concatenate(found, axis=1), whole.channel_errors, equal_nan=True)


def test_a_model_that_has_learned_no_noise_takes_none(of_six: FoldDetector) -> None:
    older: Any = build_detector("conditional_residuals", width=1, n_channels=3, n_inputs=3)
    older.knows_noise = older.knows_restless = older.forgets = False
    older.knows_cycles = older.knows_holidays = False
    older.fit_series(["office"], gauges(28, 6, 1), seed=0)
    details = {"step_s": older.learned()["step_s"]}
    again: Any = build_detector("conditional_residuals", width=1, n_channels=3, n_inputs=3)
    again.recall(details, older.to_files())
    assert isinstance(again, FoldDetector)
    state = again.start(["office", "new"])
    assert not [name for name in state if name.endswith(".noise")]
    later = gauges(1, 6, 2, first_day=28)
    assert np.array_equal(errors(again, noisier(later, 6)), errors(of_six, later))
