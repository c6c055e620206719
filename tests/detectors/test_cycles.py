"""What conditional residuals make of a press whose strokes are no part of the calendar."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tsad_tasks.base.arrays import Floats32, Floats64
from tsad_tasks.detectors.folding.fold import AssetReconstruction, Series, channel_weights
from tsad_tasks.detectors.folding.series_fold import FoldDetector
from tsad_tasks.detectors.registry import build_detector
from tsad_tasks.model.conditional import Pace
from tsad_tasks.model.conditional_fit import fit_units

STEP_S, DAY, STROKE = 60, 1440, 37
MONDAY_S = 4 * 86400
FORCE, OIL = range(2)
PACE = Pace.of([300, 900, 1800, 3600], [900, 3600, 14400], 259200, 86400, STEP_S)


def stroke(turns: Floats64) -> Floats64:
    """Force rises, is held and falls within a turn."""
    at = turns % 1
    return np.interp(at, [0, 0.3, 0.7, 0.75, 1], [5, 8, 8, 5.6, 5])


def press(n_steps: int, seed: int, turns: Floats64 | None = None) -> Floats64:
    """Force of strokes, and oil that is as warm as it is, (n_steps, 2)."""
    rng = np.random.default_rng(seed)
    force = stroke(np.arange(n_steps) / STROKE if turns is None else turns)
    return np.stack([force + rng.normal(0, 0.05, n_steps), rng.normal(40, 1, n_steps)], axis=1)


def series(values: Floats64) -> Series:
    local_s = MONDAY_S + STEP_S * np.arange(len(values), dtype=np.int64)
    return Series(values[None], local_s, STEP_S)


def built() -> Any:
    return build_detector("conditional_residuals", width=1, n_channels=2, n_inputs=2)


def learned(values: Floats64) -> FoldDetector:
    found = built()
    found.fit_series(["press"], series(values), seed=0)
    assert isinstance(found, FoldDetector)
    return found


@pytest.fixture(scope="module")
def detector() -> FoldDetector:
    return learned(press(7 * DAY, 1))


def judged(detector: FoldDetector, values: Floats64, entity: str = "press") -> AssetReconstruction:
    found = detector.advance(detector.start([entity]), series(values))[1]
    assert isinstance(found, AssetReconstruction)
    return found


def errors(detector: FoldDetector, values: Floats64) -> Floats32:
    return np.nan_to_num(judged(detector, values).channel_errors[0]).max(axis=1)


def usual(detector: FoldDetector) -> float:
    found = detector.usual_error(0.5 / 7)
    assert found is not None
    return found


def backwards(values: Floats64, first: int) -> Floats64:
    """Values with one stroke that falls as it should rise, within the same range."""
    found = values.copy()
    found[first : first + STROKE, FORCE] = found[first : first + STROKE, FORCE][::-1]
    return found


AFTER = np.arange(7 * DAY, 9 * DAY) / STROKE
LATER = press(2 * DAY, 2, AFTER)


def test_the_stroke_is_the_cycle_of_its_channel_alone(detector: FoldDetector) -> None:
    state = detector.start(["press"])
    assert state["model.cycle_of"][0].tolist() == [FORCE, -1]
    assert state["model.cycle_steps"][0, 0] == pytest.approx(STROKE, abs=0.05)


def test_usual_strokes_are_usual_and_expected_to_the_noise(detector: FoldDetector) -> None:
    assert errors(detector, LATER).max() < usual(detector)
    left = LATER[:, FORCE] - judged(detector, LATER).expected[0, :, FORCE]
    assert np.abs(left).mean() < 0.06


def test_a_stroke_of_another_shape_within_its_range_is_found_and_named(
    detector: FoldDetector,
) -> None:
    values = backwards(LATER, 30 * STROKE)
    during = slice(30 * STROKE, 31 * STROKE)
    found = judged(detector, values)
    worst = during.start + int(np.nanargmax(found.channel_errors[0, during].max(axis=1)))
    assert np.nanmax(found.channel_errors[0, worst]) > 2 * usual(detector)
    assert channel_weights(found)[0, worst].argmax() == FORCE


def test_without_cycles_it_is_not_found_and_older_models_know_none() -> None:
    older = built()
    older.knows_cycles = False
    rows = press(7 * DAY, 1)
    rows = rows[shuffled(len(rows))]
    older.fit_series(["press"], series(rows), seed=0)
    details = {name: value for name, value in older.learned().items() if name != "knows_cycles"}
    again = built()
    again.recall(details, older.to_files())
    state = again.start(["press", "new"])
    assert not [name for name in state if "cycle" in name or name == "averages.turned"]
    assert errors(again, backwards(LATER, 30 * STROKE)).max() < usual(again)


def shuffled(n_rows: int) -> Any:
    """An order of rows in which nothing follows anything."""
    return np.random.default_rng(5).permutation(n_rows)


def test_hour_by_hour_or_at_once_is_the_same_to_the_bit(detector: FoldDetector) -> None:
    values = backwards(LATER[:900], 10 * STROKE)
    values[500:520] = np.nan
    values[600:640, FORCE] = np.nan
    whole = judged(detector, values)
    state, found = detector.start(["press"]), []
    for first, end in pairwise([0, 60, 61, 180, 505, 610, 612, 900]):
        part = series(values)
        cut = replace(part, values=part.values[:, first:end], local_s=part.local_s[first:end])
        state, made = detector.advance(state, cut)
        found.append(made)
    for name in ("channel_errors", "expected"):
        joined = np.concatenate([getattr(one, name) for one in found], axis=1)
        assert np.array_equal(joined, getattr(whole, name), equal_nan=True)


def test_among_other_machines_it_is_the_same_to_the_bit(detector: FoldDetector) -> None:
    alone = judged(detector, LATER[:300])
    among = series(LATER[:300])
    three = np.concatenate([press(300, 9)[None], among.values, press(300, 10)[None]])
    state = detector.start(["new", "press", "press"])
    found = detector.advance(state, replace(among, values=three))[1]
    assert np.array_equal(found.channel_errors[1], alone.channel_errors[0], equal_nan=True)


def test_machines_learn_together_what_they_would_alone() -> None:
    rows = [press(3 * DAY, 3), press(4 * DAY, 4, np.arange(4 * DAY) / 52), LATER * [0, 1]]
    at = [np.arange(len(its)) % 10080 for its in rows]
    whole = fit_units(rows, at, PACE, STEP_S)
    assert whole.model["cycle_of"][:, 0].tolist() == [FORCE, FORCE, -1]
    for unit, (its, minutes) in enumerate(zip(rows, at, strict=True)):
        alone = fit_units([its], [minutes], PACE, STEP_S)
        for name in ("cycle", "cycle_steps", "cycle_reach", "cycle_off", "location"):
            assert np.array_equal(alone.model[name][0], whole.model[name][unit]), name
        assert np.array_equal(alone.averages["missed"][0], whole.averages["missed"][unit])


def test_a_channel_that_was_away_for_days_of_the_training_has_its_cycle_all_the_same() -> None:
    values = press(6 * DAY, 1)
    values[: 2 * DAY, FORCE] = np.nan
    values[3 * DAY : 3 * DAY + 5, FORCE] = np.nan
    found = learned(values)
    state = found.start(["press"])
    assert state["model.cycle_of"][0].tolist() == [FORCE, -1]
    after = press(DAY, 2, np.arange(6 * DAY, 7 * DAY) / STROKE)
    assert errors(found, after).max() < usual(found)
    values[: 4 * DAY, FORCE] = np.nan
    assert learned(values).start(["press"])["model.cycle_of"][0].tolist() == [-1, -1]


def test_what_keeps_to_half_hours_is_the_calendars() -> None:
    values = press(5 * DAY, 1, np.arange(5 * DAY) / 30)
    assert learned(values).start(["press"])["model.cycle_of"][0].tolist() == [-1, -1]


def test_after_an_interruption_a_press_is_usual_wherever_it_begins(
    detector: FoldDetector,
) -> None:
    turns = AFTER.copy()
    turns[700:] += 0.4
    values = press(2 * DAY, 2, turns)
    values[600:700] = np.nan
    found = errors(detector, values)
    assert found[700 + 3 * STROKE :].max() < usual(detector)


def test_strokes_that_are_now_and_then_early_or_late_are_usual() -> None:
    rng = np.random.default_rng(6)
    paces = np.repeat(1 + 0.03 * rng.normal(0, 1, 9 * DAY // STROKE + 1), STROKE)[: 9 * DAY]
    turns = (1 / (STROKE * paces)).cumsum()
    found = learned(press(7 * DAY, 1, turns[: 7 * DAY]))
    later = press(2 * DAY, 2, turns[7 * DAY :])
    assert found.start(["press"])["model.cycle_of"][0, 0] == FORCE
    assert errors(found, later).max() < usual(found)
    later[1000 : 1000 + STROKE, FORCE] = 6.5
    assert errors(found, later)[1000 : 1000 + STROKE].max() > 2 * usual(found)


def test_another_cycle_is_strange_for_a_day_and_then_accepted(detector: FoldDetector) -> None:
    found = errors(detector, press(3 * DAY, 2, np.arange(3 * DAY) / 61))
    assert np.quantile(found[:DAY], 0.5) > usual(detector)
    assert found[2 * DAY :].max() < usual(detector)


def test_a_press_that_was_not_trained_on_learns_its_own_stroke(detector: FoldDetector) -> None:
    turns = np.arange(4 * DAY) / 23
    values = press(4 * DAY, 8, turns)
    first = 3 * DAY
    values[first : first + 23, FORCE] = values[first : first + 23, FORCE][::-1]
    found = judged(detector, values, "new")
    of_steps = np.nanmax(found.channel_errors[0, 2 * DAY + 60 :], axis=1)
    assert of_steps[: DAY - 60].max() < usual(detector)
    assert of_steps[DAY - 60 : DAY - 37].max() > 2 * usual(detector)


def test_shifts_of_a_machine_that_is_off_between_them_are_no_cycle() -> None:
    rng, shift = np.random.default_rng(5), 157
    # A shift a day that begins when it likes: laid end to end they are a cycle of 157 rows.
    begins = [DAY * day + int(rng.integers(0, DAY - shift)) for day in range(20)]
    at = np.concatenate([np.arange(begin, begin + shift) for begin in begins])
    force = 5 + np.tile(np.arange(shift), 20) / 50 + rng.normal(0, 0.05, len(at))
    off = fit_units([force[:, None]], [at % (7 * DAY)], PACE, STEP_S)
    without_a_break = fit_units([force[:, None]], [np.arange(len(at)) % (7 * DAY)], PACE, STEP_S)
    assert off.model["cycle_of"].max() == -1
    assert without_a_break.model["cycle_steps"].max() == shift
