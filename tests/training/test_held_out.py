"""Calibration and injection on held-out readings that are few, or of a machine that stands half of
the time.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.detectors.network_of_zeros import zero_detector
from tests.plants.trained import config as trained_config
from tsad_tasks.base.errors import BadInput
from tsad_tasks.model.budget import AIM, AlarmBudget
from tsad_tasks.model.features import Scaler
from tsad_tasks.model.incidents import IncidentRule
from tsad_tasks.model.injection import PLAIN_KINDS
from tsad_tasks.model.spec import FeatureSpec, ModelSpec
from tsad_tasks.model.thresholds import ThresholdSettings
from tsad_tasks.model.windows import gather
from tsad_tasks.scoring.series import series_errors, series_windows
from tsad_tasks.training.held_out import (
    HeldOut,
    held_out_errors,
    is_extreme,
    of_some_times,
    seen_by_window,
)
from tsad_tasks.training.injected import JudgedSeries, judge
from tsad_tasks.training.judge import alarm_budget
from tsad_tasks.training.limits import calibrated_spec
from tsad_tasks.training.reader import training_range
from tsad_tasks.training.rules.base import share_of
from tsad_tasks.training.windows import PreparedTraining, with_dead_channels

SETTINGS = ThresholdSettings("mean_std", 99.9, 6.0, 100, 50, 0.5, 0, 6.0)
RULE = IncidentRule(7200, 604800)
FEATURES = FeatureSpec(("load",), (0,), 3600, "UTC", 3, 0.5, None, 0, (), (), (), ())


def daily(n_steps: int) -> NDArray[np.float64]:
    """A day's wave and a little noise, hour by hour, (n_steps, 1)."""
    wave = np.sin(2 * np.pi * np.arange(n_steps) / 24)
    return (wave + np.random.default_rng(1).normal(0, 0.1, n_steps))[:, None]


def held_out(values: NDArray[np.float64], n_learned: int, *, is_short: bool = True) -> HeldOut:
    """The first steps were learned from, half of the rest is for the gate."""
    steps = np.arange(len(values))
    judged, middle = steps >= n_learned, (len(values) + n_learned) // 2
    return HeldOut(
        "m", values, 0, judged, judged & (steps >= middle), (steps < n_learned) & is_short
    )


def model(part: HeldOut, features: FeatureSpec = FEATURES, width: int = 3) -> ModelSpec:
    scaler = Scaler((0.0,), (1.0,), 100)
    detector = zero_detector(width=width, n_channels=1)
    return calibrated_spec(
        replace(features, width=width), {"m": scaler}, scaler, SETTINGS, detector, [part]
    )


def test_few_held_out_errors_are_joined_by_learned_ones() -> None:
    alone, joined = (model(held_out(daily(400), 200, is_short=short)) for short in (False, True))
    assert alone.pooled_calibration.n_errors == 100
    assert joined.pooled_calibration.n_errors == 300 - 2


def test_a_short_gate_with_room_for_one_anomaly_still_tests_all_kinds() -> None:
    part = held_out(daily(300), 200)
    verdicts = judge(
        model(part),
        zero_detector(),
        [part],
        n_injected=12,
        seed=7,
        reference=model(part),
        rule=RULE,
    )
    assert min(verdicts.n_injected[kind] for kind in PLAIN_KINDS) > 0


@pytest.mark.parametrize(("wander", "is_tested"), [(0.0, True), (4.0, False)])
def test_contextual_anomalies_are_tested_only_where_days_are_alike(
    wander: float, is_tested: bool
) -> None:
    level = np.random.default_rng(2).normal(0, 1, 17).repeat(24)[:400, None]
    part = held_out(daily(400) + wander * level, 200)
    verdicts = judge(
        model(part),
        zero_detector(),
        [part],
        n_injected=12,
        seed=7,
        reference=model(part),
        rule=RULE,
    )
    assert (verdicts.n_injected["contextual"] > 0) is is_tested
    assert verdicts.n_injected["point"] > 0


@pytest.mark.parametrize(("running_when", "n_expected"), [("load > 90", 0), ("load > -90", 12)])
def test_anomalies_are_counted_only_while_the_machine_runs(
    running_when: str, n_expected: int
) -> None:
    part = held_out(daily(400), 200)
    spec = model(part)
    running = replace(spec, features=replace(spec.features, running_when=running_when))
    verdicts = judge(
        running, zero_detector(), [part], n_injected=12, seed=7, reference=running, rule=RULE
    )
    assert sum(verdicts.n_injected.values()) == n_expected


def test_reusing_the_errors_of_untouched_windows_changes_no_error() -> None:
    part = held_out(daily(400), 200)
    spec, changed = model(part), part.values.copy()
    changed[[250, 251, 320]] += 5.0
    found = series_errors(spec.features, spec.scaler("m"), zero_detector(), changed, part.start_s)
    whole = found.combined(spec, "m")
    judged = JudgedSeries(spec, zero_detector(), part)
    np.testing.assert_array_equal(judged._errors_of(*judged.seen(changed)), whole)


def test_a_model_that_flags_everything_finds_nothing() -> None:
    part = held_out(daily(400), 200)
    spec = model(part)
    deaf, nervous = ({"m": replace(spec.pooled_calibration, limit=limit)} for limit in (1e9, 1e-9))
    for calibrations in (deaf, nervous):
        changed = replace(spec, calibrations=calibrations)
        verdicts = judge(
            changed, zero_detector(), [part], n_injected=12, seed=7, reference=spec, rule=RULE
        )
        assert share_of(verdicts.all_delays) == 0


NOISY = replace(SETTINGS, kind="evt")
BUDGET = AlarmBudget(1.0, 1.0, 1, RULE, 3600)


def budgeted(part: HeldOut, **changes: Any) -> ModelSpec:
    scaler = Scaler((0.0,), (1.0,), 100)
    chosen: dict[str, Any] = {"combine": "top_k", "budget": BUDGET} | changes
    return calibrated_spec(
        FEATURES, {"m": scaler}, scaler, NOISY, zero_detector(), [part], **chosen
    )


def test_a_budget_gives_a_limit_in_nats_and_what_to_expect() -> None:
    spec = budgeted(held_out(daily(900), 200))
    assert spec.tails is not None
    assert spec.combine == "top_k"
    assert spec.expected_incidents_per_day is not None
    assert 0.0 < spec.expected_incidents_per_day <= AIM
    assert 2.0 < spec.pooled_calibration.limit < 12.0


def test_without_a_budget_there_is_no_threshold_of_kind_evt() -> None:
    with pytest.raises(BadInput, match="Expected an alarm budget"):
        budgeted(held_out(daily(400), 200), budget=None)


def test_limits_come_from_the_calibration_part_alone() -> None:
    part = held_out(daily(900), 200, is_short=False)
    spoilt = replace(
        part, values=np.where((part.gated | (np.arange(900) < 190))[:, None], 5.0, part.values)
    )
    assert budgeted(spoilt) == budgeted(part)


def test_a_reading_out_of_the_question_is_not_calibrated_with() -> None:
    part = held_out(daily(900), 200)
    spoilt = replace(part, values=part.values.copy())
    spoilt.values[[300, 420]] *= 1000.0
    assert budgeted(spoilt).pooled_calibration.limit == pytest.approx(
        budgeted(part).pooled_calibration.limit, rel=0.15
    )


def test_what_is_far_off_regularly_is_a_state_and_no_reading_out_of_the_question() -> None:
    values = daily(900)
    values[::48] = 60.0
    once = daily(900)
    once[400] = 60.0
    counts = []
    for each in (values, once):
        features, _ = series_windows(FEATURES, Scaler((0.0,), (1.0,), 100), each, 0)
        counts.append(int(seen_by_window(is_extreme(features, 1), FEATURES.width).sum()))
    assert counts == [0, 3]


def test_a_threshold_from_training_errors_sees_nothing_else() -> None:
    part = held_out(daily(900), 400)
    spoilt = replace(part, values=np.where((np.arange(900) >= 405)[:, None], 3.0, part.values))
    scaler = Scaler((0.0,), (1.0,), 100)
    how = replace(SETTINGS, kind="training")
    limits = [
        calibrated_spec(FEATURES, {}, scaler, how, zero_detector(), [each]).pooled_calibration.limit
        for each in (part, spoilt)
    ]
    assert limits[0] == limits[1]


def test_f1_best_takes_labelled_readings_of_the_calibration_part() -> None:
    part, at = held_out(daily(900), 200), slice(300, 310)
    values, labels = part.values.copy(), np.zeros(900, bool)
    values[at], labels[at] = 6.0, True
    judged = part.judged & ~labels
    known = replace(part, values=values, judged=judged, learned=part.learned, labels=labels)
    scaler = Scaler((0.0,), (1.0,), 100)
    how = replace(SETTINGS, kind="f1_best")
    limit = calibrated_spec(
        FEATURES, {}, scaler, how, zero_detector(), [known]
    ).pooled_calibration.limit
    assert 2.0 < limit < 36.0


def test_half_of_what_is_held_out_is_for_the_gate_or_all_but_a_week() -> None:
    end_at = datetime(2026, 3, 30, tzinfo=UTC)
    spans = {}
    for range_days in ("5d", "30d"):
        config = trained_config(training={"range": range_days})
        spans[range_days] = training_range(config, end_at)
    whole, short = spans["30d"], spans["5d"]
    assert (whole.gate_at - whole.split_at, whole.end_at - whole.gate_at) == (
        timedelta(days=7),
        timedelta(days=2),
    )
    assert short.gate_at - short.split_at == short.end_at - short.gate_at == timedelta(hours=18)


def test_models_of_single_machines_share_the_budget_of_their_dataset() -> None:
    whole, one = alarm_budget(trained_config(), 300), alarm_budget(trained_config(), 1, 300)
    assert one.aim == whole.aim == pytest.approx(AIM * 5 / 300)


TWO = replace(
    FEATURES, channels=("load", "heat"), hold_steps=(0, 0), lag=(1,), cyclic=("hour", "weekday")
)


def test_a_share_of_windows_loses_one_channel_each_with_all_that_is_derived_from_it() -> None:
    inputs = np.ones((40, TWO.n_inputs), np.float32)
    ends, labels = np.arange(2, 40), np.zeros(40, bool)
    prepared = PreparedTraining(inputs, ends, ends[:3], labels, 38, np.zeros(1, np.int64))
    made = with_dead_channels(prepared, TWO, 0.25)
    windows = gather(made.inputs, made.ends, TWO.width)
    assert (len(made.ends), len(made.labels)) == (38, len(made.inputs))
    dead = windows[(windows == 0).any(axis=(1, 2))]
    assert len(dead) == 9
    assert (dead == dead[:, :1]).all()
    assert {tuple(row) for row in dead[:, 0].tolist()} == {
        (0, 1, 0, 1, 1, 1, 1, 1),
        (1, 0, 1, 0, 1, 1, 1, 1),
    }
    assert (gather(made.inputs, made.validation_ends, TWO.width) == 1).all()


@pytest.mark.parametrize(
    ("spec", "share"), [(FEATURES, 0.5), (TWO, 0.0)], ids=["one channel", "no share"]
)
def test_windows_stay_as_they_are_where_no_channel_can_die(spec: FeatureSpec, share: float) -> None:
    inputs, ends = np.ones((9, spec.n_inputs), np.float32), np.arange(2, 9)
    prepared = PreparedTraining(inputs, ends, ends, np.zeros(9, bool), 7, np.zeros(1, np.int64))
    assert with_dead_channels(prepared, spec, share) is prepared


def test_a_fleet_calibrates_with_errors_of_some_times_that_are_those_of_all() -> None:
    scaler, detector = Scaler((0.0,), (1.0,), 100), zero_detector(width=3, n_channels=1)
    parts = [
        replace(held_out(daily(24 * 40), 24 * 20, is_short=False), entity=f"m{number}")
        for number in range(8)
    ]
    # Ten days of seven others calibrate, a third of them is enough.
    some = of_some_times(parts, {"m0"}, 3600, most_s=70 * 86400 / 3)
    every, found = (
        held_out_errors(FEATURES, lambda _: scaler, detector, of) for of in (parts, some)
    )
    n_used = [int(np.count_nonzero(part.calibrating)) for part in some]
    assert n_used[0] == 240
    # Thirteen or fourteen of forty times of six hours.
    assert set(n_used[1:]) == {78, 84}
    np.testing.assert_array_equal(found["m0"].channel_errors, every["m0"].channel_errors)
    hours = set()
    for part in some[1:]:
        used = part.calibrating
        errors = found[part.entity].channel_errors
        np.testing.assert_array_equal(errors[used], every[part.entity].channel_errors[used])
        assert np.isnan(errors[~used]).all()
        assert not found[part.entity].live[~used].any()
        hours |= set((np.flatnonzero(used) % 24).tolist())
    assert hours == set(range(24))


@pytest.mark.parametrize("one_in", [2, 3, 4, 5, 7])
def test_each_machine_of_a_fleet_calibrates_with_all_hours_of_a_week(one_in: int) -> None:
    week = held_out(daily(24 * 14), 0, is_short=False)
    parts = [replace(week, entity=name) for name in "abcdef"]
    known_s = 3600 * 6 * np.count_nonzero(week.calibrating)
    for part in of_some_times(parts, set(), 3600, most_s=known_s / one_in):
        used = np.flatnonzero(part.calibrating)
        assert set((used % 24).tolist()) == set(range(24)), part.entity


def test_labelled_steps_of_a_fleet_are_scored_at_all_times() -> None:
    labels = np.zeros(400, bool)
    labels[250:262] = True
    parts = [replace(held_out(daily(400), 200), entity=name, labels=labels) for name in "abcd"]
    some = of_some_times(parts, set(), 3600, most_s=86400)
    assert all(part.scored is not None and part.scored[labels].all() for part in some)
