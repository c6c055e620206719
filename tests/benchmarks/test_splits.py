"""Splits: by time nothing is seen twice, at random nearly everything is, and the measure says
so.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from document_figures.splits import Split, overlap_share, split_at_random, split_by_time
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference.slow_evaluation import slow_overlap
from tsad_tasks.base.errors import BadInput

quick = settings(max_examples=60, deadline=None, derandomize=True)
ends = st.lists(st.integers(0, 120), min_size=3, max_size=60, unique=True).map(np.array)


@quick
@given(ends, st.integers(1, 8))
def test_by_time_no_reading_is_in_two_parts(steps: np.ndarray, width: int) -> None:
    split = split_by_time(steps, width=width, shares=(0.5, 0.25, 0.25))
    readings = [
        {step - back for step in steps[part].tolist() for back in range(width)}
        for part in (split.train, split.validation, split.test)
    ]
    assert sum(map(len, readings)) == len(set.union(*readings))
    assert sum(map(len, (split.train, split.validation, split.test))) + split.n_embargoed == len(
        steps
    )
    assert not len(split.test) or overlap_share(split, steps, width=width) == 0.0


def test_by_time_all_entities_are_cut_at_the_same_step() -> None:
    steps = np.concatenate([np.arange(100), np.arange(100)])
    split = split_by_time(steps, width=5)
    assert steps[split.train].max() == 69
    assert (steps[split.validation].min(), steps[split.validation].max()) == (75, 84)
    assert (steps[split.test].min(), split.n_embargoed) == (90, 20)


def test_at_random_every_part_has_the_share_of_anomalies_and_no_window_is_lost() -> None:
    labels = np.arange(1000) % 25 == 0
    split = split_at_random(labels, seed=1)
    parts = (split.train, split.validation, split.test)
    assert [len(part) for part in parts] == [700, 150, 150]
    assert [int(labels[part].sum()) for part in parts] == [28, 6, 6]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(1000))
    assert np.array_equal(split_at_random(labels, seed=1).test, split.test)
    assert not np.array_equal(split_at_random(labels, seed=2).test, split.test)


def test_at_random_nearly_every_test_window_leaks() -> None:
    split = split_at_random(np.zeros(5000, bool), seed=1)
    assert overlap_share(split, np.arange(5000), width=10) > 0.999


@quick
@given(ends, st.integers(1, 8), st.integers(0, 5))
def test_the_leak_agrees_with_the_slow_twin(steps: np.ndarray, width: int, seed: int) -> None:
    split = split_at_random(np.zeros(len(steps), bool), shares=(0.4, 0.2, 0.4), seed=seed)
    if len(split.test):
        expected = slow_overlap(steps[split.train].tolist(), steps[split.test].tolist(), width)
        assert overlap_share(split, steps, width=width) == expected


def test_windows_of_another_entity_are_no_leak() -> None:
    steps, whose = np.array([5, 5, 6]), np.array([0, 1, 1])
    split = Split(np.array([0]), np.array([], np.int64), np.array([1, 2]))
    assert overlap_share(split, steps, width=4, entities=whose) == 0.0
    assert overlap_share(split, steps, width=4) == 1.0


def test_shares_must_add_up_and_a_leak_of_nothing_is_unknown() -> None:
    with pytest.raises(
        BadInput, match=r"Expected three shares that add up to 1\. Received: \(0.5, 0.5, 0.5\)\."
    ):
        split_by_time(np.arange(9), width=2, shares=(0.5, 0.5, 0.5))
    empty = np.array([], np.int64)
    assert math.isnan(overlap_share(Split(np.arange(3), empty, empty), np.arange(3), width=2))
    assert len(split_by_time(empty, width=2).train) == 0
