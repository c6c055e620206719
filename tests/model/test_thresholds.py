"""Thresholds agree with their slow twin, do not care where a series starts, and cannot be
silenced.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.reference.slow_thresholds import slow_averages, slow_thresholds
from tsad_tasks.base.errors import BadInput
from tsad_tasks.config import ThresholdSection
from tsad_tasks.model.thresholds import (
    FOLDING_KINDS,
    KINDS,
    ROLLING_KINDS,
    Calibration,
    ThresholdSettings,
    anomaly_scores,
    calibrate,
    collective_series,
    combined_scores,
    f1_best_limit,
    flag,
    severities,
    threshold_series,
)

quick = settings(max_examples=60, deadline=None, derandomize=True)
ADAPTIVE = ThresholdSettings.on_grid(
    ThresholdSection.model_validate({"kind": "adaptive"}).model_dump(), 60
)
SMALL = replace(ADAPTIVE, look_back_steps=40, min_count=10, collective_width=5)
ROLLING = replace(SMALL, kind="rolling_percentile", percentile=90.0)
LIMITS = Calibration(1.0, 0.5, 4.0, 1.0, 0.2, 2.0, 1000)


def errors_of(seed: int, *shape: int) -> NDArray[np.float32]:
    """Normal errors with some spikes and some unknown ones."""
    rng = np.random.default_rng(seed)
    errors = rng.gamma(4.0, 0.25, shape)
    errors[rng.random(shape) < 0.02] *= 30
    errors[rng.random(shape) < 0.05] = np.nan
    return errors.astype(np.float32)


def normal(seed: int, n: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).gamma(4.0, 0.25, n).astype(np.float32)


def flags_of(
    errors: NDArray[np.float32], calibration: Calibration, how: ThresholdSettings
) -> NDArray[np.bool_]:
    averages = collective_series(errors, calibration, how)
    scores, _ = combined_scores(
        errors, threshold_series(errors, calibration, how), averages, calibration.collective_limit
    )
    return flag(scores)


@quick
@given(
    st.integers(0, 10_000),
    st.sampled_from([1, 7, 40, 500]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([1.0, 6.0]),
)
def test_thresholds_agree_with_the_slow_twin(
    seed: int, look_back: int, floor: float, k: float
) -> None:
    how = replace(SMALL, look_back_steps=look_back, floor=floor, k=k, min_count=3)
    errors = errors_of(seed, 200)
    expected = slow_thresholds(errors.astype(float).tolist(), LIMITS, how)
    np.testing.assert_allclose(threshold_series(errors, LIMITS, how), expected, rtol=1e-6)


@quick
@given(
    st.integers(0, 10_000),
    st.sampled_from([1, 7, 40, 500]),
    st.sampled_from([0.0, 0.5]),
    st.integers(51, 99),
)
def test_rolling_percentiles_agree_with_the_slow_twin(
    seed: int, look_back: int, floor: float, percentile: int
) -> None:
    how = replace(
        ROLLING, look_back_steps=look_back, floor=floor, percentile=float(percentile), min_count=3
    )
    errors = errors_of(seed, 120)
    expected = slow_thresholds(errors.astype(float).tolist(), LIMITS, how)
    np.testing.assert_array_equal(
        threshold_series(errors, LIMITS, how), np.array(expected, np.float32)
    )


@quick
@given(st.integers(0, 10_000), st.sampled_from([0, 1, 5, 30]))
def test_moving_averages_agree_with_the_slow_twin(seed: int, width: int) -> None:
    how = replace(SMALL, collective_width=width)
    errors = errors_of(seed, 100)
    expected = slow_averages(errors.astype(float).tolist(), LIMITS, how)
    np.testing.assert_allclose(collective_series(errors, LIMITS, how), expected, rtol=1e-6)


@quick
@given(
    st.integers(0, 10_000),
    st.integers(0, 150),
    st.integers(151, 300),
    st.sampled_from([SMALL, ROLLING]),
)
def test_series_do_not_depend_on_start_or_end_to_the_bit(
    seed: int, start: int, end: int, how: ThresholdSettings
) -> None:
    errors, h = errors_of(seed, 3, 300), how.history_steps
    for series in (threshold_series, collective_series):
        whole, part = series(errors, LIMITS, how), series(errors[:, start:end], LIMITS, how)
        assert part[:, h:].tobytes() == whole[:, start + h : end].tobytes()
        assert (
            series(errors[:, :end], LIMITS, how).tobytes()
            == np.ascontiguousarray(whole[:, :end]).tobytes()
        )


@quick
@given(st.integers(0, 10_000), st.integers(0, 299), st.sampled_from([SMALL, ROLLING]))
def test_one_late_error_changes_only_what_looks_back_at_it(
    seed: int, late: int, how: ThresholdSettings
) -> None:
    errors = errors_of(seed, 300)
    changed = errors.copy()
    changed[late] = 3.9
    differ = np.flatnonzero(
        threshold_series(errors, LIMITS, how) != threshold_series(changed, LIMITS, how)
    )
    assert all(late < step <= late + how.look_back_steps for step in differ)


@quick
@given(st.integers(0, 10_000), st.integers(0, 199), st.sampled_from([SMALL, ROLLING]))
def test_steps_that_are_only_looked_back_at_change_no_threshold(
    seed: int, first: int, how: ThresholdSettings
) -> None:
    errors = errors_of(seed, 2, 200)
    whole = np.ascontiguousarray(threshold_series(errors, LIMITS, how)[:, first:])
    assert threshold_series(errors, LIMITS, how, first).tobytes() == whole.tobytes()


@pytest.mark.parametrize("kind", ROLLING_KINDS)
@pytest.mark.parametrize("n_days", [1, 7])
@pytest.mark.parametrize("strength", [1.01, 1.5, 50.0])
def test_a_lasting_fault_stays_flagged_from_its_first_to_its_last_minute(
    kind: str, n_days: int, strength: float
) -> None:
    how = replace(ADAPTIVE, kind=kind)
    calibration = calibrate(normal(1, 10_000), settings=how)
    errors = np.concatenate([normal(2, 2000), np.zeros(n_days * 1440, np.float32), normal(3, 2000)])
    fault = slice(2000, 2000 + n_days * 1440)
    errors[fault] = calibration.limit * strength
    assert flags_of(errors, calibration, how)[fault].all()


def test_a_fault_that_hovers_around_the_limit_does_not_lift_the_threshold_over_it() -> None:
    rng = np.random.default_rng(4)
    errors = rng.uniform(0.0, 2 * LIMITS.limit, 5000).astype(np.float32)
    flags = flags_of(errors, LIMITS, replace(ADAPTIVE, min_count=10))
    assert flags[errors > LIMITS.limit].all()


def test_a_quiet_time_makes_the_adaptive_threshold_more_sensitive_down_to_the_floor() -> None:
    quiet = np.full(2000, 0.1, np.float32)
    thresholds = threshold_series(quiet, LIMITS, ADAPTIVE)
    assert thresholds[0] == 4.0
    assert thresholds[-1] == 2.0


def test_unknown_errors_leave_the_calibrated_limit() -> None:
    assert (threshold_series(np.full(3000, np.nan, np.float32), LIMITS, ADAPTIVE) == 4.0).all()


@pytest.mark.parametrize("kind", sorted(set(KINDS) - set(ROLLING_KINDS) - set(FOLDING_KINDS)))
def test_fixed_kinds_are_the_limit_everywhere_and_need_no_look_back(kind: str) -> None:
    how = replace(ADAPTIVE, kind=kind, collective_width=0)
    assert (threshold_series(errors_of(1, 2, 50), LIMITS, how) == 4.0).all()
    assert how.history_steps == 0


def test_the_longest_look_back_of_one_second_data_does_not_overflow() -> None:
    how = replace(ADAPTIVE, look_back_steps=2_592_000, k=1.0)
    errors = np.full(200_000, 4.0, np.float32)
    assert (threshold_series(errors, LIMITS, how)[-10:] == 4.0).all()


def test_a_spike_is_a_point_and_its_normal_successors_are_not_flagged() -> None:
    calibration = calibrate(normal(1, 10_000), settings=ADAPTIVE)
    errors = np.full(100, 1.0, np.float32)
    errors[50] = 1e6
    averages = collective_series(errors, calibration, ADAPTIVE)
    thresholds = threshold_series(errors, calibration, ADAPTIVE)
    scores, collective = combined_scores(errors, thresholds, averages, calibration.collective_limit)
    assert np.flatnonzero(flag(scores)).tolist() == [50]
    assert not collective.any()


def test_errors_that_stay_moderately_high_become_a_collective_anomaly() -> None:
    calibration = calibrate(normal(1, 10_000), settings=ADAPTIVE)
    errors = np.concatenate([normal(2, 500), np.full(40, 0.8 * calibration.limit, np.float32)])
    thresholds = np.full(540, calibration.limit, np.float32)
    averages = collective_series(errors, calibration, ADAPTIVE)
    scores, collective = combined_scores(errors, thresholds, averages, calibration.collective_limit)
    assert not (errors > thresholds)[500:].any()
    assert collective[515:].all()
    assert flag(scores)[515:].all()


def test_normal_errors_are_hardly_ever_flagged() -> None:
    calibration = calibrate(normal(1, 10_000), settings=ADAPTIVE)
    assert flags_of(normal(5, 50_000), calibration, ADAPTIVE).mean() < 2e-3


positive = st.floats(float(np.float32(1e-12)), float(np.float32(1e30)), width=32)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.floats(0, allow_infinity=False, width=32), positive, st.integers(-2, 2))
def test_a_score_is_above_zero_exactly_where_the_error_is_above_the_threshold(
    error: float, threshold: float, near: int
) -> None:
    thresholds = np.array([threshold, threshold], np.float32)
    beside = thresholds[0]
    for _ in range(abs(near)):
        beside = np.nextafter(beside, np.float32(np.inf if near > 0 else 0))
    errors = np.array([error, beside], np.float32)
    scores = anomaly_scores(errors, thresholds)
    assert np.isfinite(scores).all()
    assert (flag(scores) == (errors > thresholds)).all()


def test_what_is_not_finite_has_no_score_and_no_flag() -> None:
    errors = np.array([np.nan, np.inf, 1.0], np.float32)
    scores, collective = combined_scores(
        errors, np.full(3, 2, np.float32), np.full(3, 9, np.float32), 0.5
    )
    assert np.isnan(scores[:2]).all()
    assert scores[2] == 1.0
    assert collective.tolist() == [False, False, True]


def test_severities_follow_the_documents() -> None:
    scores = np.array([-1, 0, 1e-6, 0.5, 0.51, 1.0, 1.01, np.nan], np.float32)
    assert severities(scores).tolist() == [0, 0, 1, 1, 2, 2, 3, 0]


def test_anomalies_among_the_calibration_errors_do_not_lift_the_limit() -> None:
    clean = normal(1, 10_000)
    dirty = clean.copy()
    dirty[::100] = 20.0
    for kind in ("percentile", "mean_std", "adaptive"):
        how = replace(ADAPTIVE, kind=kind)
        before, after = calibrate(clean, settings=how), calibrate(dirty, settings=how)
        assert after.limit == pytest.approx(before.limit, rel=0.05)
        assert after.collective_limit == pytest.approx(before.collective_limit, rel=0.6)


def test_a_single_error_cannot_lift_the_moving_average_over_the_collective_limit() -> None:
    calibration = calibrate(np.tile(np.array([1.0, 1.2], np.float32), 500), settings=ADAPTIVE)
    errors = np.full(15, calibration.mean, np.float32)
    errors[7] = 1e9
    assert collective_series(errors, calibration, ADAPTIVE)[-1] <= np.nextafter(
        calibration.collective_limit, np.inf
    ) * (1 + 1e-6)


def test_errors_that_are_all_zero_give_a_limit_above_zero() -> None:
    calibration = calibrate(np.zeros(100, np.float32), settings=ADAPTIVE)
    assert calibration.limit > 0
    assert calibration.collective_limit > 0
    assert flags_of(np.array([0.0, 1.0], np.float32), calibration, ADAPTIVE).tolist() == [
        False,
        True,
    ]


def test_a_further_error_is_over_the_conformal_limit_as_seldom_as_guaranteed() -> None:
    how = replace(ADAPTIVE, kind="conformal", percentile=95.0, collective_width=0)
    rng = np.random.default_rng(7)
    over = 0
    for _ in range(3000):
        *known, further = rng.gamma(4.0, 0.25, 60).astype(np.float32)
        over += further > calibrate(np.array(known), settings=how).limit
    assert 0.02 < over / 3000 <= 0.05 + 0.01


@pytest.mark.parametrize(("percentile", "needed"), [(99.0, 99), (99.9, 999)])
def test_conformal_needs_enough_errors_for_its_guarantee(percentile: float, needed: int) -> None:
    how = replace(ADAPTIVE, kind="conformal", percentile=percentile, collective_width=0)
    assert calibrate(normal(1, needed), settings=how).limit == normal(1, needed).max()
    with pytest.raises(BadInput, match=f"at least {needed} errors"):
        calibrate(normal(1, needed - 1), settings=how)


@quick
@given(st.integers(0, 10_000))
def test_no_other_limit_has_a_better_f1(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.random(60) < 0.2
    labels[0] = True
    errors = (rng.integers(0, 20, 60) / 4 + labels * rng.integers(0, 3, 60)).astype(np.float32)
    f1 = [_f1(errors, labels, limit) for limit in np.unique(errors) - 0.01]
    assert _f1(errors, labels, f1_best_limit(errors, labels)) == max(f1)


def _f1(errors: NDArray[np.float32], labels: NDArray[np.bool_], limit: float) -> float:
    flags = errors > limit
    return float(2 * (flags & labels).sum() / (flags.sum() + labels.sum()))


def test_f1_best_without_labels_says_what_to_do() -> None:
    with pytest.raises(
        BadInput, match=r"Expected labelled anomalies .* Received: none\. Name the label column"
    ):
        calibrate(normal(1, 100), settings=replace(ADAPTIVE, kind="f1_best"))


def test_labelled_anomalies_are_not_taken_for_normal_errors() -> None:
    errors, labels = normal(1, 1000), np.arange(1000) >= 700
    errors[labels] = 5.0
    for kind in set(KINDS) - {"conformal", *FOLDING_KINDS}:
        calibration = calibrate(errors, settings=replace(ADAPTIVE, kind=kind), labels=labels)
        assert calibration.mean < 1.2
        assert calibration.limit < 5.0


def test_too_few_errors_to_calibrate_say_what_to_do() -> None:
    with pytest.raises(BadInput, match=r"Received: 49\. Use a longer training range"):
        calibrate(np.append(normal(1, 49), np.float32(np.nan)), settings=ADAPTIVE)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(BadInput, match="Received: magic"):
        replace(ADAPTIVE, kind="magic")


def test_settings_and_calibration_go_through_json_to_the_bit() -> None:
    calibration = calibrate(normal(1, 1000), settings=ADAPTIVE)
    assert Calibration(**json.loads(json.dumps(asdict(calibration)))) == calibration
    assert ThresholdSettings(**json.loads(json.dumps(asdict(ADAPTIVE)))) == ADAPTIVE
    assert calibration.limit == float(np.float32(calibration.limit))


def test_the_look_back_covers_the_least_time_on_coarse_and_fine_grids() -> None:
    fields = ThresholdSection.model_validate({}).model_dump()
    assert [
        ThresholdSettings.on_grid(fields, step_s).look_back_steps for step_s in (1, 60, 3600)
    ] == [
        86400,
        1440,
        1000,
    ]
