"""Limits keep to an alarm budget, whatever the fleet's size, and one bad machine or reading does
not spoil them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tsad_tasks.base.errors import BadInput
from tsad_tasks.config import ThresholdSection
from tsad_tasks.model.budget import AlarmBudget, BudgetLimits, budget_limits, with_raised
from tsad_tasks.model.incidents import IncidentRule, incident_spans
from tsad_tasks.model.thresholds import (
    Calibration,
    ThresholdSettings,
    collective_series,
    combined_scores,
    flag,
    threshold_series,
)

RULE = IncidentRule(merge_gap_s=1800, max_length_s=604800)
EVT = ThresholdSettings.on_grid(ThresholdSection.model_validate({}).model_dump(), 300)
POINTS_ONLY = replace(EVT, collective_width=0)
DAY = 288


def fleet(seed: int, n_machines: int, n_days: int) -> dict[str, NDArray[np.float32]]:
    """Errors that hang together for about ten steps, as those of overlapping windows do."""
    rng = np.random.default_rng(seed)
    white = rng.exponential(1.0, (n_machines, n_days * DAY + 9))
    errors = (
        np.lib.stride_tricks.sliding_window_view(white, 10, axis=1).mean(axis=2).astype(np.float32)
    )
    return {f"m{i}": row for i, row in enumerate(errors)}


def limits_of(
    errors: dict[str, NDArray[np.float32]], budget: AlarmBudget, how: ThresholdSettings
) -> BudgetLimits:
    return budget_limits(errors, {name: row.size for name, row in errors.items()}, how, budget)


def incidents(
    errors: NDArray[np.float32], limits: Calibration, how: ThresholdSettings, rule: IncidentRule
) -> int:
    moving = collective_series(errors, limits, how)
    scores, _ = combined_scores(
        errors, threshold_series(errors, limits, how), moving, limits.collective_limit
    )
    steps = np.flatnonzero(flag(scores))
    return len(incident_spans(steps * 300, scores[steps], rule, 300))


@pytest.mark.parametrize("how", [EVT, POINTS_ONLY], ids=["with moving averages", "without"])
@pytest.mark.parametrize("n_machines", [10, 100])
def test_a_fleet_of_any_size_raises_at_most_what_the_budget_allows(
    n_machines: int, how: ThresholdSettings
) -> None:
    budget = AlarmBudget(5.0, 1.0, n_machines, RULE, 300)
    limits = limits_of(fleet(1, n_machines, 3), budget, how)
    n = sum(incidents(row, limits.pooled, how, RULE) for row in fleet(2, n_machines, 14).values())
    assert 0.5 <= n / 14 <= 5.0
    assert limits.incidents_per_day == pytest.approx(2.5, rel=0.01)


def test_a_single_machine_does_not_use_up_the_budget_of_a_fleet() -> None:
    limits = limits_of(fleet(1, 1, 6), AlarmBudget(5.0, 1 / 7, 1, RULE, 300), EVT)
    assert limits.incidents_per_day <= 1 / 7
    assert incidents(fleet(2, 1, 70)["m0"], limits.pooled, EVT, RULE) <= 10


def test_a_larger_budget_never_gives_a_higher_limit() -> None:
    errors = fleet(1, 20, 3)
    found = [
        limits_of(errors, AlarmBudget(n, 9.0, 20, RULE, 300), POINTS_ONLY).pooled.limit
        for n in (1.0, 5.0, 50.0)
    ]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize(
    "rule", [replace(RULE, consecutive=4), replace(RULE, min_score=0.3)], ids=["rows", "score"]
)
def test_what_an_incident_needs_lowers_the_limit_and_the_budget_still_holds(
    rule: IncidentRule,
) -> None:
    usual = limits_of(fleet(1, 100, 3), AlarmBudget(5.0, 1.0, 100, RULE, 300), POINTS_ONLY)
    limits = limits_of(fleet(1, 100, 3), AlarmBudget(5.0, 1.0, 100, rule, 300), POINTS_ONLY)
    assert limits.pooled.limit < usual.pooled.limit
    n = sum(incidents(row, limits.pooled, POINTS_ONLY, rule) for row in fleet(2, 100, 14).values())
    assert n / 14 <= 5.0


def test_a_machine_with_a_heavier_tail_than_the_others_gets_a_limit_of_its_own() -> None:
    errors = fleet(1, 50, 3)
    errors["m7"] = errors["m7"] * np.float32(1.6)
    limits = limits_of(errors, AlarmBudget(5.0, 1.0, 50, RULE, 300), EVT)
    assert list(limits.own) == ["m7"]
    assert limits.own["m7"].limit > 1.2 * limits.pooled.limit


def test_huge_errors_of_one_machine_do_not_blind_the_others() -> None:
    errors = fleet(1, 50, 3)
    spoilt = errors | {"m7": errors["m7"].copy()}
    spoilt["m7"][100:110] = 1e6
    budget = AlarmBudget(5.0, 1.0, 50, RULE, 300)
    clean, dirty = (limits_of(each, budget, EVT).pooled.limit for each in (errors, spoilt))
    assert dirty < 1.3 * clean


def with_faults(
    errors: dict[str, NDArray[np.float32]], share: float, seed: int
) -> dict[str, NDArray[np.float32]]:
    """Faults of one to six hours that nobody marked, in so large a share of the steps."""
    rng, spoilt = np.random.default_rng(seed), {name: row.copy() for name, row in errors.items()}
    n = 0
    while n < share * sum(row.size for row in errors.values()):
        row, length = spoilt[f"m{rng.integers(len(errors))}"], int(rng.integers(12, 72))
        first = int(rng.integers(0, row.size - length))
        row[first : first + length] += np.float32(rng.uniform(2, 8))
        n += length
    return spoilt


@pytest.mark.parametrize("share", [0.05, 0.1])
@pytest.mark.parametrize("n_machines", [5, 100])
def test_unmarked_faults_among_held_out_readings_hardly_move_the_limit(
    n_machines: int, share: float
) -> None:
    errors = fleet(1, n_machines, 7)
    budget = AlarmBudget(5.0, 1.0, n_machines, RULE, 300)
    clean = limits_of(errors, budget, EVT)
    dirty = limits_of(with_faults(errors, share, 3), budget, EVT)
    assert dirty.pooled.limit < 1.15 * clean.pooled.limit
    assert dirty.pooled.collective_limit < 1.15 * clean.pooled.collective_limit
    later = fleet(2, n_machines, 14)
    n = sum(incidents(row, dirty.pooled, EVT, RULE) for row in later.values())
    assert n / 14 <= 5.0
    assert "look like faults, and set no limit" in dirty.notes[0]
    assert clean.notes == ()


def test_what_lower_limits_raise_of_held_out_readings_is_expected_and_said() -> None:
    """Ten machines for a week: one peak of 4 a day each, and one of five hours in all."""
    errors = {name: np.minimum(row, np.float32(2)) for name, row in fleet(1, 10, 7).items()}
    for row in errors.values():
        row[100::DAY] = 4
    errors["m3"][500:560] = 9
    budget = AlarmBudget(5.0, 1.0, 20, RULE, 300)
    made = limits_of(errors, budget, POINTS_ONLY)
    low = replace(made, pooled=replace(made.pooled, limit=3.0), own={})
    steps = {name: row.size for name, row in errors.items()}
    raised = with_raised(low, errors, steps, budget)
    # Of twenty machines, of which half were seen.
    assert raised.incidents_per_day == pytest.approx(20)
    assert "raise 20.3 incidents a day, what looks like a fault included" in raised.notes[-1]
    assert "where 5 are allowed" in raised.notes[-1]
    high = replace(low, pooled=replace(made.pooled, limit=99.0))
    assert with_raised(high, errors, steps, budget) == high


def test_a_heavy_tail_of_a_whole_fleet_is_no_fault() -> None:
    errors = {name: row**2 for name, row in fleet(1, 50, 7).items()}
    budget = AlarmBudget(5.0, 1.0, 50, RULE, 300)
    limits = limits_of(errors, budget, EVT)
    assert limits.notes == ()
    later = {name: row**2 for name, row in fleet(2, 50, 14).items()}
    assert sum(incidents(row, limits.pooled, EVT, RULE) for row in later.values()) / 14 <= 5.0


def test_the_limit_of_a_bad_machine_rises_to_twice_that_of_the_fleet_and_that_is_said() -> None:
    errors = fleet(1, 50, 3)
    errors["m7"] = errors["m7"] * np.float32(3)
    limits = limits_of(errors, AlarmBudget(5.0, 1.0, 50, RULE, 300), POINTS_ONLY)
    assert limits.own["m7"].limit == pytest.approx(2 * limits.pooled.limit)
    assert limits.notes[-1].startswith("Limits of m7 are 2 times the fleet's and not higher")


def test_no_more_than_a_hundredth_of_the_steps_lies_above_the_limit_however_large_the_budget() -> (
    None
):
    errors = fleet(1, 5, 3)
    limits = limits_of(errors, AlarmBudget(1e6, 1e6, 5, RULE, 300), EVT)
    joined = np.concatenate(list(errors.values()))
    assert (joined > limits.pooled.limit).mean() <= 0.011


def test_hours_off_count_as_time_but_not_as_errors() -> None:
    errors = fleet(1, 50, 3)
    halved = {
        name: np.where(np.arange(row.size) % DAY < DAY // 2, row, np.float32(np.nan))
        for name, row in errors.items()
    }
    budget = AlarmBudget(5.0, 1.0, 50, RULE, 300)
    assert (
        limits_of(halved, budget, POINTS_ONLY).pooled.limit
        < limits_of(errors, budget, POINTS_ONLY).pooled.limit
    )


def test_errors_that_are_all_zero_give_limits_above_zero() -> None:
    limits = limits_of({"a": np.zeros(1000, np.float32)}, AlarmBudget(5.0, 1.0, 1, RULE, 300), EVT)
    assert min(limits.pooled.limit, limits.pooled.collective_limit) > 0


def test_too_few_errors_say_what_to_do() -> None:
    with pytest.raises(BadInput, match=r"Received: 49\. Use a longer training range"):
        limits_of({"a": np.ones(49, np.float32)}, AlarmBudget(5.0, 1.0, 1, RULE, 300), EVT)
