"""Figures of an evaluation agree with scikit-learn and with slow twins; what is unknown counts
nowhere.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from document_figures.best_threshold import best_f1_threshold
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics

from tests.reference.slow_evaluation import slow_best_f1, slow_events, slow_soft_label, slow_vus
from tsad_tasks.base.errors import BadInput
from tsad_tasks.model.evaluation import (
    AlertSchedule,
    Confusion,
    Judged,
    buffered_labels,
    classification_report,
    confusion,
    detection,
    event_report,
    point_adjusted_f1,
    pr_curve,
    reliability,
    roc_curve,
    volume_under_surface,
)

quick = settings(max_examples=50, deadline=None, derandomize=True)
MINUTE = AlertSchedule(60, interval_s=60)
# Few different scores, so that ties are the rule.
steps = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.25, 0.5, 1.0, math.nan])),
    min_size=1,
    max_size=40,
)


def labels_and_scores(
    drawn: list[tuple[bool, float]], kind: type = np.float32
) -> tuple[NDArray[np.bool_], NDArray[np.floating]]:
    return np.array([label for label, _ in drawn]), np.array([score for _, score in drawn], kind)


def of_both_classes(
    drawn: list[tuple[bool, float]],
) -> tuple[NDArray[np.bool_], NDArray[np.floating]]:
    labels, scores = labels_and_scores(drawn)
    known = ~np.isnan(scores)
    assume(len(set(labels[known].tolist())) == 2)
    return labels, scores


@quick
@given(steps)
def test_areas_under_both_curves_are_scikit_learns(drawn: list[tuple[bool, float]]) -> None:
    labels, scores = of_both_classes(drawn)
    known = ~np.isnan(scores)
    assert roc_curve(labels, scores).auc == pytest.approx(
        metrics.roc_auc_score(labels[known], scores[known])
    )
    expected = metrics.average_precision_score(labels[known], scores[known])
    assert pr_curve(labels, scores).average_precision == pytest.approx(expected)


@quick
@given(steps)
def test_the_points_of_both_curves_are_scikit_learns(drawn: list[tuple[bool, float]]) -> None:
    labels, scores = of_both_classes(drawn)
    known = ~np.isnan(scores)
    false, true, thresholds = metrics.roc_curve(
        labels[known], scores[known], drop_intermediate=False
    )
    roc = roc_curve(labels, scores)
    np.testing.assert_allclose(
        [roc.false_positive_share, roc.true_positive_share, roc.thresholds],
        [false, true, thresholds],
    )
    precision, recall, _ = metrics.precision_recall_curve(labels[known], scores[known])
    pr = pr_curve(labels, scores)
    np.testing.assert_allclose([pr.precision, pr.recall], [precision[::-1], recall[::-1]])


@quick
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_the_report_by_class_is_scikit_learns(drawn: list[tuple[bool, bool]]) -> None:
    labels, flags = (np.array(column) for column in zip(*drawn, strict=True))
    found = classification_report(confusion(labels, flags))
    expected = metrics.classification_report(
        labels, flags, labels=[False, True], output_dict=True, zero_division=math.nan
    )
    for mine, its in ((found.normal, expected["False"]), (found.anomaly, expected["True"])):
        np.testing.assert_allclose([mine.precision, mine.recall], [its["precision"], its["recall"]])
        assert mine.n_steps == its["support"]
    assert found.accuracy == pytest.approx(metrics.accuracy_score(labels, flags))


def test_what_has_no_score_is_counted_and_counts_nowhere_else() -> None:
    labels, flags = np.array([True, True, False, False]), np.array([True, True, True, False])
    found = confusion(labels, flags, np.array([True, False, False, True]))
    assert found == Confusion(1, 0, 0, 1, n_unknown=2)
    scores = np.array([0.9, np.nan, np.nan, 0.1])
    assert (roc_curve(labels, scores).auc, roc_curve(labels, scores).n_unknown) == (1.0, 2)
    assert pr_curve(labels, scores).n_unknown == 2


def test_a_share_of_nothing_is_unknown_and_not_zero() -> None:
    quiet = confusion(np.zeros(3, bool), np.zeros(3, bool))
    assert all(math.isnan(value) for value in (quiet.precision, quiet.recall, quiet.f1))
    one_class, nothing = np.zeros(3, bool), np.zeros(0, bool)
    assert math.isnan(roc_curve(one_class, np.arange(3.0)).auc)
    assert math.isnan(pr_curve(one_class, np.arange(3.0)).average_precision)
    assert math.isnan(pr_curve(nothing, np.zeros(0)).average_precision)
    assert math.isnan(volume_under_surface(one_class, np.arange(3.0), max_buffer_steps=2).pr)


def test_who_never_flags_is_right_where_anomalies_are_rare() -> None:
    found = confusion(np.arange(100) < 10, np.zeros(100, bool))
    assert (found.accuracy, found.always_normal_accuracy, found.recall) == (0.9, 0.9, 0.0)


@quick
@given(steps)
def test_the_best_threshold_reaches_the_highest_f1_when_what_is_greater_is_flagged(
    drawn: list[tuple[bool, float]],
) -> None:
    labels, scores = labels_and_scores(drawn)
    assume((labels & ~np.isnan(scores)).any())
    best = best_f1_threshold(labels, scores)
    flagged = scores > np.float32(best.threshold)
    found = confusion(labels, flagged, ~np.isnan(scores))
    assert best.f1 == pytest.approx(slow_best_f1(labels.tolist(), scores.tolist()))
    assert (found.precision, found.recall) == pytest.approx((best.precision, best.recall))


def test_a_best_threshold_parts_neighbouring_float32_scores() -> None:
    low = np.float32(1.0)
    scores = np.array([low, np.nextafter(low, np.float32(2))], np.float32)
    best = best_f1_threshold(np.array([False, True]), scores)
    assert (scores > np.float32(best.threshold)).tolist() == [False, True]


def test_without_a_scored_anomaly_there_is_no_best_threshold() -> None:
    with pytest.raises(
        BadInput, match=r"Expected scored steps that are anomalies\. Received: none of 2\."
    ):
        best_f1_threshold(np.array([False, True]), np.array([1.0, np.nan]))


event_steps = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.sampled_from([True, True, False])),
    min_size=1,
    max_size=40,
)


@quick
@given(event_steps, st.integers(0, 3), st.integers(0, 3))
def test_events_agree_with_the_slow_twin(
    drawn: list[tuple[bool, bool, bool]], gap: int, early: int
) -> None:
    labels, flags, known = (np.array(column) for column in zip(*drawn, strict=True))
    found = event_report(
        labels, flags, known, schedule=MINUTE, merge_gap_steps=gap, early_steps=early
    )
    expected = slow_events(labels.tolist(), flags.tolist(), known.tolist(), gap, early)
    assert (
        found.n_events,
        found.n_found,
        found.n_unseen,
        found.n_alarms,
        found.n_false,
    ) == expected
    assert len(found.delay_s) == len(found.lead_s) == found.n_found


def test_an_alert_comes_at_the_end_of_its_interval_and_after_the_settle_delay() -> None:
    labels, flags = np.zeros(240, bool), np.zeros(240, bool)
    labels[20:200], flags[25] = True, True
    found = event_report(labels, flags, schedule=AlertSchedule(60, interval_s=3600, settle_s=300))
    assert found.delay_s == (3600 + 300 - 20 * 60,)
    assert found.lead_s == (200 * 60 - 3900,)
    late = event_report(
        labels, flags, schedule=AlertSchedule(60, interval_s=3600, settle_s=300, start_s=7200 - 60)
    )
    assert late.delay_s == (7200 + 3600 + 300 - (7140 + 20 * 60),)


def test_a_warning_shortly_before_an_event_finds_it_and_leads_by_more() -> None:
    labels, flags = np.zeros(20, bool), np.zeros(20, bool)
    labels[10:15], flags[7] = True, True
    none = event_report(labels, flags, schedule=MINUTE)
    early = event_report(labels, flags, schedule=MINUTE, early_steps=3)
    assert (none.n_found, none.n_false, early.n_found, early.n_false) == (0, 1, 1, 0)
    assert (early.delay_s, early.lead_s) == ((-120,), (7 * 60,))


def test_an_alarm_while_the_window_still_holds_the_event_is_late_and_not_false() -> None:
    labels, flags = np.zeros(20, bool), np.zeros(20, bool)
    labels[5], flags[7:9] = True, True
    found = event_report(labels, flags, schedule=MINUTE, late_steps=3)
    assert (found.n_found, found.n_false, found.lead_s) == (1, 0, (-120,))
    assert event_report(labels, flags, schedule=MINUTE, late_steps=1).n_false == 1
    part = Judged(labels, np.where(flags, 2.0, 0.1), flags)
    figures = detection([part], schedule=MINUTE, max_buffer_steps=2, late_steps=3)
    assert (figures.steps.false_positive, figures.steps.n_unknown) == (0, 3)


def test_false_alarms_are_counted_by_day_with_scores() -> None:
    flags, known = np.zeros(2880, bool), np.ones(2880, bool)
    flags[[10, 500, 510]], known[1440:] = True, False
    found = event_report(np.zeros(2880, bool), flags, known, schedule=MINUTE, merge_gap_steps=20)
    assert (found.n_alarms, found.days, found.false_alarms_per_day) == (2, 1.0, 2.0)


def test_point_adjusting_makes_one_lucky_flag_worth_a_whole_event() -> None:
    labels, flags = np.zeros(100, bool), np.zeros(100, bool)
    labels[40:90], flags[[60, 95]] = True, True
    assert confusion(labels, flags).recall == 0.02
    assert point_adjusted_f1(labels, flags) == pytest.approx(2 * 50 / (51 + 50))


@quick
@given(st.lists(st.booleans(), min_size=1, max_size=25), st.integers(0, 9))
def test_buffered_labels_agree_with_the_slow_twin(drawn: list[bool], buffer: int) -> None:
    expected = [slow_soft_label(drawn, i, buffer) for i in range(len(drawn))]
    np.testing.assert_allclose(buffered_labels(np.array(drawn), buffer), expected)


@settings(quick, max_examples=40)
@given(steps, st.integers(0, 6))
def test_volumes_agree_with_the_slow_twin(drawn: list[tuple[bool, float]], buffer: int) -> None:
    labels, scores = labels_and_scores(drawn, np.float64)
    known = ~np.isnan(scores)
    soft = buffered_labels(labels, buffer)[known]
    assume(labels[known].any() and (labels[known].sum() + soft.sum()) / 2 < known.sum())
    found = volume_under_surface(labels, scores, max_buffer_steps=buffer)
    assert (found.pr, found.roc) == pytest.approx(
        slow_vus(labels.tolist(), scores.tolist(), buffer)
    )


def test_a_score_that_comes_a_little_late_keeps_most_of_its_volume() -> None:
    labels, scores = np.zeros(400, bool), np.zeros(400)
    labels[200:220], scores[205:225] = True, 1.0
    far = np.roll(scores, 100)
    near_by = volume_under_surface(labels, scores, max_buffer_steps=20).pr
    assert near_by > pr_curve(labels, scores).average_precision
    assert volume_under_surface(labels, far, max_buffer_steps=20).pr < 0.2


def test_a_boast_has_a_higher_brier_score_and_error_than_an_honest_probability() -> None:
    rng = np.random.default_rng(7)
    truth = rng.uniform(size=20_000)
    labels = rng.uniform(size=20_000) < truth
    honest, boast = reliability(labels, truth), reliability(labels, truth**3)
    assert honest.calibration_error < 0.02 < 0.15 < boast.calibration_error
    assert honest.brier == pytest.approx(metrics.brier_score_loss(labels, truth))


def test_a_probability_that_nobody_states_is_counted_and_no_curve() -> None:
    with pytest.raises(BadInput, match="Expected probabilities from 0 to 1"):
        reliability(np.array([True, False]), np.array([0.1, 1.5]))
    found = reliability(np.array([True, False]), np.array([1.0, np.nan]))
    assert (found.brier, found.n_unknown) == (0.0, 1)
    nothing = reliability(np.array([True]), np.array([np.nan]))
    assert (nothing.curve, nothing.n_unknown) == (None, 1)


def test_entities_are_pooled_without_events_or_buffers_across_their_edge() -> None:
    labels, scores = np.array([False, False, True]), np.array([0.0, 0.2, 0.9])
    other = np.array([True, False, False]), np.array([0.8, 0.1, 0.0])
    parts = [Judged(part, marks, marks > 0.5) for part, marks in ((labels, scores), other)]
    found = detection(parts, schedule=MINUTE, max_buffer_steps=2)
    assert (found.events.n_events, found.events.n_found, found.steps.n) == (2, 2, 6)
    laid = [*labels, *[False] * 3, *other[0]], [*scores, *[math.nan] * 3, *other[1]]
    assert (found.vus_pr, found.vus_roc) == pytest.approx(slow_vus(*laid, 2))
    assert found.to_json()["steps"]["f1"] == 1.0


def test_arrays_of_different_lengths_are_refused() -> None:
    with pytest.raises(
        BadInput,
        match=r"Expected arrays of one length, \(n_steps,\) each\. Received: \(2,\), \(3,\)\.",
    ):
        roc_curve(np.zeros(2, bool), np.zeros(3))
