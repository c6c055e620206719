from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.reference.slow_event_heads import slow_flags, slow_ranked_thresholds, slow_surprises
from tsad_tasks.model.event_rule import (
    AlarmRule,
    RankRule,
    alarm_starts,
    no_events,
    ranked_thresholds,
)
from tsad_tasks.model.hysteresis import HysteresisRule, hysteresis_thresholds, no_alarm
from tsad_tasks.model.novelty import MIN_BLOCKS, N_BLOCKS, no_blocks, novelty_surprises
from tsad_tasks.model.surprise import N_TOP, no_past, surprises
from tsad_tasks.model.surprise_families import Change, Now, Season, Slow
from tsad_tasks.model.thresholds import anomaly_scores, flag

ONE = np.array([0])
SHORT = RankRule(event_gap=4)
FORGETS = RankRule(event_gap=4, memory=9)
QUICK = HysteresisRule(longest=12, recent=6, fresh=3)
NATS = arrays(np.float32, st.integers(1, 60), elements=st.floats(0, 16, width=32))


def found_surprises(errors: np.ndarray) -> np.ndarray:
    past = no_past(1, 1)
    return np.array(
        [surprises(past, ONE, np.array([[error]], np.float32)).item() for error in errors]
    )


@pytest.mark.parametrize("draw", ["exponential", "standard_t", "integers"])
def test_surprise_is_that_among_all_past_errors_within_a_bin(draw: str) -> None:
    random = np.random.default_rng(3)
    options = {"exponential": (1.0,), "standard_t": (3.0,), "integers": (0, 40)}[draw]
    errors = np.abs(getattr(random, draw)(*options, size=600)).astype(np.float32)
    found, wanted = found_surprises(errors), np.array(slow_surprises(errors.tolist()))
    in_tail = wanted > -np.log(0.02) + 1e-9
    np.testing.assert_allclose(found[in_tail], wanted[in_tail], rtol=1e-6)
    assert np.abs(np.exp(-found) - np.exp(-wanted))[50:].max() < 0.08


def test_more_errors_than_are_kept_leave_the_tail_as_it_is() -> None:
    errors = np.random.default_rng(5).exponential(size=9000).astype(np.float32)
    found = found_surprises(np.append(errors, np.float32(12.0)))
    assert N_TOP / 9000 < 0.02
    assert found[-1] == pytest.approx(12.0, rel=0.15)


@pytest.mark.parametrize("rule", [SHORT, FORGETS], ids=["for good", "forgets"])
@settings(deadline=None)
@given(NATS)
def test_ranked_thresholds_are_those_of_the_slow_twin(rule: RankRule, errors: np.ndarray) -> None:
    found = ranked_thresholds(no_events(1, rule), errors[None], rule)[1][0]
    np.testing.assert_allclose(found, slow_ranked_thresholds(errors.tolist(), rule), rtol=1e-6)


def test_more_events_than_are_remembered_are_forgotten_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tsad_tasks.model.event_rule.N_PEAKS", 3)
    errors = np.tile(np.array([9, 0, 0, 0, 0], np.float32), 8)
    errors = np.concatenate([errors, np.zeros(20, np.float32), [8]]).astype(np.float32)
    rule = RankRule(limit=3.0, penalty=1.0, event_gap=4, memory=14)
    thresholds = ranked_thresholds(no_events(1, rule), errors[None], rule)[1][0]
    assert thresholds[35] == pytest.approx(3 + np.log(4))
    assert thresholds[-1] == pytest.approx(3.0)


@settings(deadline=None)
@given(NATS)
def test_hysteresis_flags_are_those_of_the_slow_twin(errors: np.ndarray) -> None:
    thresholds = hysteresis_thresholds(no_alarm(1, QUICK), errors[None], QUICK)[1][0]
    in_steps = slow_flags([float(error) for error in errors], QUICK)
    doubtful = np.isclose(errors, thresholds, rtol=1e-5)
    if not doubtful.any():
        assert flag(anomaly_scores(errors, thresholds)).tolist() == in_steps


@settings(max_examples=30, deadline=None)
@given(NATS, st.integers(0, 60))
def test_thresholds_do_not_depend_on_where_errors_are_cut(errors: np.ndarray, at: int) -> None:
    for state, fold, rule in (
        (no_events(1), ranked_thresholds, SHORT),
        (no_events(1, FORGETS), ranked_thresholds, FORGETS),
        (no_alarm(1, QUICK), hysteresis_thresholds, QUICK),
    ):
        after, first = fold(state, errors[None, :at], rule)
        parts = np.concatenate([first, fold(after, errors[None, at:], rule)[1]], axis=1)
        assert parts.tobytes() == fold(state, errors[None], rule)[1].tobytes()


def test_a_second_event_as_high_needs_more_and_a_higher_one_does_not() -> None:
    errors = np.zeros((1, 300), np.float32)
    errors[0, [50, 150, 250]] = 4.0, 4.0, 5.0
    thresholds = ranked_thresholds(no_events(1), errors, RankRule())[1][0]
    assert thresholds[[50, 150, 250]].tolist() == pytest.approx([3.7, 3.7 + 0.5 * np.log(2), 3.7])


def test_alarms_wait_out_the_refractory_time_unless_it_gets_worse() -> None:
    times = np.array([0, 60, 120, 600, 661, 5000])
    errors = np.array([4, 5, 7.5, 9, 4, 4], np.float32)
    assert alarm_starts(times, errors, AlarmRule(refractory_s=600)) == [0, 2, 5]
    assert alarm_starts(times, errors, AlarmRule(refractory_s=0)) == [0, 1, 2, 3, 4, 5]


def test_a_shape_seen_before_is_near_and_a_new_one_is_far() -> None:
    state, wave = no_blocks(1), np.tile([0, 1, 3, 6, 6, 3, 1, 0], 20) * 2**20
    state["high"][:] = 6 * 2**20
    for value in [*wave, *wave[:4], 0, 6 * 2**20, 0, 6 * 2**20]:
        surprise = novelty_surprises(state, ONE, np.array([value]))
    assert surprise[0, 0] > 4
    assert len(wave) > MIN_BLOCKS + N_BLOCKS


@pytest.mark.parametrize("part", [Slow(), Change(), Season()])
def test_readings_that_never_change_have_no_error(part: Slow | Change | Season) -> None:
    state = part.empty(1)
    for i in range(100):
        errors = part.errors(state, ONE, Now(np.array([0]), np.array([i % 336])))
    assert errors.tolist() == [[0.0] * len(part.members)]
