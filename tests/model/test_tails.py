"""Surprise is a tail probability: monotone, finite, alone, small as a file, and not moved by one
long episode.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tsad_tasks.base.errors import BadInput
from tsad_tasks.model.tails import (
    ChannelTails,
    cluster_peaks,
    fit_tails,
    generalized_pareto,
    top_mean,
)

quick = settings(max_examples=60, deadline=None, derandomize=True)


def exponential(seed: int, n: int, n_channels: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).exponential(1.0, (n, n_channels)).astype(np.float32)


FITTED = fit_tails({"a": exponential(1, 5000, 3), "b": 4 * exponential(2, 5000, 3)}, gap_steps=0)


def test_a_surprise_of_s_nats_is_as_rare_as_it_says() -> None:
    fresh = exponential(3, 200_000)
    surprises = fit_tails(exponential(1, 20_000), gap_steps=0).surprises(fresh)
    for nats in (0.5, 2.0, 4.0, 6.0):
        assert (surprises > nats).mean() == pytest.approx(np.exp(-nats), rel=0.25)


def test_each_entity_is_judged_by_its_own_unit_and_a_stranger_by_the_usual_one() -> None:
    loud = np.full((3, 3), 8.0, np.float32)
    a, b, stranger = FITTED.surprises(loud, ["a", "b", "c"])[:, 0]
    assert b < stranger < a
    assert b == pytest.approx(2.0, rel=0.2)


@quick
@given(arrays(np.float32, 20, elements=st.floats(0, 2.0**100, width=32)))
def test_a_larger_error_is_never_less_surprising_and_no_surprise_is_infinite(
    errors: NDArray[np.float32],
) -> None:
    surprises = FITTED.surprises(np.repeat(np.sort(errors)[:, None], 3, axis=1))
    assert np.isfinite(surprises).all()
    assert (np.diff(surprises, axis=0) >= 0).all()


def test_the_largest_number_is_finite_and_what_is_unknown_stays_unknown() -> None:
    odd = np.array([[np.finfo(np.float32).max, np.nan, np.inf]], np.float32)
    assert np.isfinite(FITTED.surprises(odd)[0]).tolist() == [True, False, False]
    assert np.isnan(FITTED.surprises(odd)[0, 1:]).all()


@quick
@given(st.integers(0, 10_000), st.integers(1, 60))
def test_the_surprise_of_an_error_does_not_depend_on_its_batch(seed: int, size: int) -> None:
    errors, names = exponential(seed, 60, 3), ["b", "a", "c"] * 20
    whole = FITTED.surprises(errors, names)
    parts = [
        FITTED.surprises(errors[i : i + size], names[i : i + size]) for i in range(0, 60, size)
    ]
    assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert FITTED.surprises(np.asfortranarray(errors), names).tobytes() == whole.tobytes()


def test_one_long_episode_is_not_taken_for_many() -> None:
    errors = exponential(1, 10_000)
    episode = errors.copy()
    episode[5000:5100] = 9.0
    once = errors.copy()
    once[5000] = 9.0
    (one,), (many,), (plain,) = (
        fit_tails(each, gap_steps=10).surprises(np.full((1, 1), 12, np.float32))[0]
        for each in (once, episode, errors)
    )
    assert many == pytest.approx(one, rel=0.1)
    assert many == pytest.approx(plain, rel=0.2)


def test_an_anomaly_among_the_held_out_errors_does_not_blind_the_scale() -> None:
    errors = exponential(1, 10_000)
    spoilt = errors.copy()
    spoilt[4000:4010] = 1e6
    clean, dirty = (
        fit_tails(each).surprises(np.full((1, 1), 20, np.float32))[0, 0]
        for each in (errors, spoilt)
    )
    assert dirty > 0.5 * clean


def test_a_channel_that_was_dead_takes_what_the_others_show() -> None:
    errors = exponential(1, 2000, 3)
    errors[:, 2] = np.nan
    surprises = fit_tails(errors).surprises(np.full((1, 3), 5, np.float32))[0]
    assert surprises[2] == pytest.approx(surprises[0], rel=0.2)


def test_units_grow_only_where_a_channel_is_dead_and_a_surprise_is_then_less() -> None:
    tails = replace(FITTED, growth=((1.0, 4.0, 1.0), (2.0, 1.0, 1.0), (1.0, 1.0, 1.0)))
    live = np.array([[True, True, True], [False, True, True], [False, False, True]])
    assert tails.grown(live).tolist() == [[1, 1, 1], [1, 4, 1], [2, 4, 1]]
    assert ChannelTails.from_json(json.loads(json.dumps(tails.to_json()))) == tails
    assert FITTED.grown(live).tolist() == np.ones((3, 3)).tolist()


def test_a_channel_that_never_erred_is_surprising_when_it_does() -> None:
    errors = exponential(1, 2000, 2)
    errors[:, 1] = 0.0
    assert fit_tails(errors).surprises(np.array([[0.0, 0.0], [0.0, 1.0]], np.float32))[1, 1] > 10


def test_errors_that_are_all_equal_give_a_rising_scale() -> None:
    surprises = fit_tails(np.ones((100, 1), np.float32)).surprises(
        np.array([[0.5], [1.0], [2.0]], np.float32)
    )
    assert (np.diff(surprises[:, 0]) > 0).all()


def test_too_few_errors_say_what_to_do() -> None:
    with pytest.raises(BadInput, match=r"Received: 49\. Use a longer training range"):
        fit_tails(exponential(1, 49))
    with pytest.raises(BadInput, match="Received: 0"):
        fit_tails({})


def test_tails_of_300_machines_are_less_than_a_megabyte_and_come_back_to_the_bit() -> None:
    tails = fit_tails({f"machine_{i:04d}": exponential(i, 120, 17) for i in range(300)})
    text = json.dumps(tails.to_json(), indent=2)
    assert len(text) < 1_000_000
    assert ChannelTails.from_json(json.loads(text)) == tails


def test_clusters_do_not_reach_from_one_series_into_the_next() -> None:
    ends, starts = np.array([0.0, 5.0]), np.array([6.0, 0.0])
    assert cluster_peaks([ends, starts], 1.0, 10).tolist() == [5.0, 6.0]


@pytest.mark.parametrize(("shape", "is_heavy"), [(0.0, False), (0.3, True)])
def test_moments_find_scale_and_shape(shape: float, is_heavy: bool) -> None:
    uniform = np.random.default_rng(7).random(50_000)
    excesses = -np.log(uniform) if shape == 0 else (uniform**-shape - 1) / shape
    scale, found = generalized_pareto(2.0 * excesses)
    assert scale == pytest.approx(2.0, rel=0.1)
    assert (found > 0.1) == is_heavy


@quick
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_the_top_mean_is_that_of_a_sorted_list(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    surprises, live = rng.exponential(1, (5, 4)).astype(np.float32), rng.random((5, 4)) < 0.7
    expected = [
        np.mean(sorted(row[mask].tolist())[-k:]) if mask.any() else np.nan
        for row, mask in zip(surprises, live, strict=True)
    ]
    np.testing.assert_allclose(top_mean(surprises, live, k), expected, rtol=1e-6)


def test_a_fault_of_one_channel_is_not_diluted_by_sixteen_healthy_ones() -> None:
    surprises = np.ones((1, 17), np.float32)
    surprises[0, 5] = 30.0
    assert top_mean(surprises, np.ones((1, 17), bool), 2)[0] == 15.5
