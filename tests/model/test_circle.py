"""Directions: against the slow twin, and the same to the bit wherever they stand in an array."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.reference.slow_circle import CANCELS_BELOW, apart, slow_mean
from tsad_tasks.model.circle import MIN_RESULTANT, Circle, means, sine_cosine, turns_of

quick = settings(max_examples=150, deadline=None, derandomize=True)

CIRCLES = [
    Circle(360.0),
    Circle(360.0, -180.0),
    Circle(math.tau),
    Circle(math.tau, -math.pi),
    Circle(400.0),
    Circle(24.0),
]
DIRECTIONS = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0.01, 300)), min_size=1, max_size=8
)


@quick
@given(st.sampled_from(CIRCLES), DIRECTIONS)
def test_a_mean_is_that_of_points_on_the_circle(circle: Circle, given_: list) -> None:
    turns, weights = (np.array(part) for part in zip(*given_, strict=True))
    values = circle.within(turns * circle.period)
    wanted = slow_mean(values.tolist(), circle.period, circle.start, weights.tolist())
    length = abs(np.average(np.exp(2j * np.pi * turns), weights=weights))
    assume(abs(length - CANCELS_BELOW) > 1e-6)
    found = means(circle, values, np.zeros(1, np.intp), weights)[0]
    assert np.isnan(found) == np.isnan(wanted)
    if not np.isnan(wanted):
        assert apart(found, wanted, circle.period) < 1e-9 * circle.period
        assert circle.start <= found < circle.start + circle.period


def test_the_documented_limit() -> None:
    assert MIN_RESULTANT == CANCELS_BELOW == 0.1


@pytest.mark.parametrize("circle", CIRCLES)
@pytest.mark.parametrize("turn", [0.0, 0.123, 0.499, 0.75])
def test_opposite_directions_have_no_mean(circle: Circle, turn: float) -> None:
    values = circle.within(np.array([turn, turn + 0.5]) * circle.period)
    assert math.isnan(circle.mean(values))
    four = circle.within((np.arange(4) / 4 + turn) * circle.period)
    assert math.isnan(circle.mean(four))
    assert not math.isnan(circle.mean(np.append(values, values[0])))


@pytest.mark.parametrize("value", [0.0, 0.1, 359.99999999999994, 123.456])
def test_what_does_not_change_is_its_own_mean_to_the_bit(value: float) -> None:
    assert Circle(360.0).mean(np.full(7, value)) == value


def test_a_value_gives_the_same_wherever_it_stands() -> None:
    turns = np.random.default_rng(3).uniform(-3, 3, 1003)
    whole = sine_cosine(turns)
    for first in (1, 2, 3, 5):
        for part, of_all in zip(sine_cosine(turns[first::first]), whole, strict=True):
            assert (part == of_all[first::first]).all()
    angles = turns_of(*whole)
    assert (turns_of(whole[0][7:], whole[1][7:]) == angles[7:]).all()


def test_sines_and_angles_are_right_to_the_last_bits() -> None:
    turns = np.random.default_rng(4).uniform(-0.5, 0.5, 5000)
    sine, cosine = sine_cosine(turns)
    assert np.abs(sine - np.sin(2 * np.pi * turns)).max() < 4e-16
    assert np.abs(cosine - np.cos(2 * np.pi * turns)).max() < 4e-16
    assert np.abs(turns_of(sine, cosine) - turns).max() < 2e-16


def test_differences_go_the_shorter_way() -> None:
    circle = Circle(360.0)
    assert circle.difference(np.array([30.0, 350.0, 170.0]), 350.0).tolist() == [40.0, 0.0, 180.0]
    hours = Circle(24.0).difference(np.array([1.0, 23.0]), np.array([23.0, 1.0]))
    assert hours.tolist() == [2.0, -2.0]


@quick
@given(st.sampled_from(CIRCLES), st.floats(-1e4, 1e4))
def test_a_place_on_the_circle_is_between_its_ends(circle: Circle, value: float) -> None:
    found = float(circle.within(np.array([value]))[0])
    assert circle.start <= found < circle.start + circle.period
    assert apart(found, value, circle.period) < 1e-11 * (1 + abs(value))
