"""What conditional residuals make of setpoints, loads and weather that machines are run under."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tsad_tasks.base.arrays import Floats32
from tsad_tasks.detectors.folding.fold import AssetReconstruction, Series, channel_weights
from tsad_tasks.detectors.folding.series_fold import FoldDetector
from tsad_tasks.detectors.registry import build_detector

STEP_S, DAY = 600, 144
MONDAY_S = 4 * 86400
FLOW, WARM = range(2)


def machine(n_days: int, seed: int) -> Series:
    """A speed that somebody sets every 3 to 30 hours and the weather; a flow and what it warms."""
    rng, n_steps = np.random.default_rng(seed), n_days * DAY
    at = np.arange(n_steps)
    hours = rng.uniform(3, 30, n_days * 8 + 1).cumsum()
    speed = rng.uniform(-1.5, 1.5, len(hours) + 1)[np.searchsorted(hours, np.arange(n_steps) / 6)]
    weather = np.sin(2 * np.pi * at / DAY) + 0.05 * rng.normal(0, 1, n_steps).cumsum()
    conditions = np.stack([speed, weather.clip(-3, 3)], axis=1)
    flow = 20 + 4 * speed + speed**2 + rng.normal(0, 0.3, n_steps)
    warm, kept = np.empty(n_steps), np.exp(-STEP_S / 2700)
    behind = flow[0]
    for i in range(n_steps):
        behind = kept * behind + (1 - kept) * flow[i]
        warm[i] = 2 * behind + 1.5 * conditions[i, 1] + rng.normal(0, 0.3)
    values = np.stack([flow, warm], axis=1)
    local_s = (MONDAY_S + at * STEP_S).astype(np.int64)
    return Series(values[None], local_s, STEP_S, conditions=conditions[None])


def of_days(series: Series, first: int, end: int) -> Series:
    days = slice(first * DAY, end * DAY)
    assert series.conditions is not None
    conditions = series.conditions[:, days]
    return Series(series.values[:, days], series.local_s[days], STEP_S, conditions=conditions)


WHOLE = machine(35, 1)
MONTH, LATER = of_days(WHOLE, 0, 28), of_days(WHOLE, 28, 35)


def built(**params: Any) -> Any:
    return build_detector("conditional_residuals", width=1, n_channels=2, n_inputs=2, params=params)


def learned(series: Series) -> FoldDetector:
    found = built()
    found.fit_series(["m"], series, seed=0)
    assert isinstance(found, FoldDetector)
    return found


@pytest.fixture(scope="module")
def detector() -> FoldDetector:
    return learned(MONTH)


def judged(detector: FoldDetector, series: Series, entity: str = "m") -> AssetReconstruction:
    found = detector.advance(detector.start([entity]), series)[1]
    assert isinstance(found, AssetReconstruction)
    return found


def errors(detector: FoldDetector, series: Series) -> Floats32:
    """The error of each step, (n_steps,); NaN where nothing is known."""
    channels = judged(detector, series).channel_errors[0]
    highest = np.where(np.isfinite(channels), channels, -np.inf).max(axis=1)
    return np.where(highest > -np.inf, highest, np.float32(np.nan))


def usual(detector: FoldDetector) -> float:
    found = detector.usual_error(1 / 14)
    assert found is not None
    return found


def test_what_was_set_is_no_news_and_is_without_its_condition(detector: FoldDetector) -> None:
    assert errors(detector, LATER).max() < usual(detector)
    blind = learned(replace(MONTH, conditions=None))
    spread = np.std(LATER.values[0] - judged(blind, LATER).expected[0], axis=0)
    with_it = np.std(LATER.values[0] - judged(detector, LATER).expected[0], axis=0)
    # Of the noise of readings alone, .3, little more is left.
    assert (with_it < 0.5).all()
    assert spread[WARM] > 2 * with_it[WARM]


@pytest.mark.parametrize("channel", [FLOW, WARM])
def test_a_channel_that_does_not_follow_its_condition_is_named_first(
    detector: FoldDetector, channel: int
) -> None:
    values = LATER.values.copy()
    values[0, 300:340, channel] *= 0.85
    found = judged(detector, replace(LATER, values=values))
    assert np.nanmax(found.channel_errors[0, 300:340]) > 2 * usual(detector)
    named = channel_weights(found)[0, 305:340].argmax(axis=1)
    assert (named == channel).mean() > 0.9


def test_nothing_moves_when_something_was_set_is_strange(detector: FoldDetector) -> None:
    """All channels stay where they were, as with a broken drive; to each other they are as ever."""
    changes = np.flatnonzero(np.abs(np.diff(LATER.conditions[0, :, 0])) > 1) + 1  # type: ignore[index]
    first = int(changes[changes > 200][0])
    values = LATER.values.copy()
    values[0, first : first + 18] = values[0, first - 18 : first]
    assert errors(detector, replace(LATER, values=values))[first : first + 18].max() > usual(
        detector
    )


def test_while_a_condition_is_unknown_nothing_is_judged_and_it_is_judged_after(
    detector: FoldDetector,
) -> None:
    assert LATER.conditions is not None
    conditions = LATER.conditions.copy()
    conditions[0, 100:130, 1] = np.nan
    found = errors(detector, replace(LATER, conditions=conditions))
    assert np.flatnonzero(np.isnan(found)).tolist() == list(range(100, 130))
    assert np.nanmax(found) < usual(detector)


@pytest.mark.parametrize("cuts", [(1, 60, 61, 200)])
def test_cut_anywhere_results_are_the_same_to_the_bit(
    detector: FoldDetector, cuts: tuple[int, ...]
) -> None:
    assert LATER.conditions is not None
    conditions, values = LATER.conditions.copy(), LATER.values.copy()
    conditions[0, 50:70, 0], values[0, 300::7, FLOW] = np.nan, np.nan
    series = replace(LATER, conditions=conditions, values=values)
    whole, state, found = judged(detector, series), detector.start(["m"]), []
    for first, end in zip((0, *cuts), (*cuts, len(LATER.local_s)), strict=True):
        part = replace(
            series,
            values=values[:, first:end],
            local_s=LATER.local_s[first:end],
            conditions=conditions[:, first:end],
        )
        state, made = detector.advance(state, part)
        found.append(made)
    for name, array in vars(whole).items():
        joined = np.concatenate([vars(one)[name] for one in found], axis=1)
        assert joined.tobytes() == array.tobytes(), name


def test_machines_learned_together_are_as_each_alone_to_the_bit() -> None:
    each = [machine(14, seed) for seed in (1, 2)]
    values = np.concatenate([one.values for one in each])
    values[1, :300] = np.nan
    under = np.concatenate([one.conditions for one in each if one.conditions is not None])
    together = built()
    together.fit_series(["a", "b"], replace(each[0], values=values, conditions=under), seed=0)
    for number, name in enumerate("ab"):
        own = slice(number, number + 1)
        alone = built()
        series = replace(each[0], values=values[own], conditions=under[own])
        alone.fit_series([name], series, seed=0)
        assert alone.trained[name] == together.trained[name], name


def test_a_machine_that_was_not_trained_on_learns_its_conditions_itself() -> None:
    found = built(n_commission=14 * DAY)
    found.fit_series(["m"], machine(14, 1), seed=0)
    weeks = machine(21, 3)
    made = judged(found, weeks, "new").channel_errors[0]
    assert np.isnan(made[: 14 * DAY]).all()
    assert np.nanmax(made[14 * DAY :]) < 1.5 * usual(found)


def test_a_model_that_saw_no_conditions_goes_on_without_them() -> None:
    older = learned(replace(machine(14, 1), conditions=None))
    again = built()
    details = older.learned()
    details.pop("n_conditions")
    again.recall(details, older.to_files())
    without = errors(older, replace(LATER, conditions=None))
    assert errors(again, LATER).tobytes() == without.tobytes()
    loaded = built()
    fresh = learned(machine(14, 1))
    loaded.recall(fresh.learned(), fresh.to_files())
    assert errors(loaded, LATER).tobytes() == errors(fresh, LATER).tobytes()
