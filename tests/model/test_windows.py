"""Windows agree with their slow twin, and depend on nothing before or after them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.model.window_index import window_index
from tests.reference.slow_windows import slow_windows
from tsad_tasks.base.errors import BadInput
from tsad_tasks.model.windows import batches, gather, window_errors

quick = settings(max_examples=80, deadline=None, derandomize=True)


def series(
    seed: int, n_steps: int = 40, n_channels: int = 3
) -> tuple[NDArray[np.bool_], NDArray[np.int8], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    present = rng.random((n_steps, n_channels)) < rng.choice([0.5, 0.9, 1.0])
    running = rng.choice([0, 3, 4, 5], n_steps, p=[0.88, 0.04, 0.04, 0.04]).astype(np.int8)
    return present, running, rng.random(n_steps) < 0.97


@quick
@given(st.integers(0, 10_000), st.integers(1, 6), st.sampled_from([0.0, 0.5, 0.67, 1.0]))
def test_windows_agree_with_the_slow_twin(seed: int, width: int, min_coverage: float) -> None:
    present, running, context_ok = series(seed)
    found = window_index(present, running, context_ok, width=width, min_coverage=min_coverage)
    ends, live, reasons = slow_windows(
        present.tolist(),
        running.tolist(),
        context_ok.tolist(),
        width=width,
        min_coverage=min_coverage,
    )
    assert found.ends.tolist() == ends
    assert found.live.tolist() == live
    assert found.reasons.tolist() == reasons


@quick
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(0, 30), st.integers(31, 40))
def test_windows_depend_only_on_their_own_steps(
    seed: int, width: int, start: int, end: int
) -> None:
    present, running, context_ok = series(seed)
    whole = window_index(present, running, context_ok, width=width, min_coverage=0.5)
    part = window_index(
        present[start:end],
        running[start:end],
        context_ok[start:end],
        width=width,
        min_coverage=0.5,
        first_step=width - 1,
    )
    first = start + width - 1
    assert (part.reasons[width - 1 :] == whole.reasons[first:end]).all()
    inside = (whole.ends >= first) & (whole.ends < end)
    assert (part.ends + start == whole.ends[inside]).all()
    assert (part.live == whole.live[inside]).all()


def test_a_step_without_any_reading_is_missing_even_when_running_is_unknown() -> None:
    present = np.array([[True], [False]])
    running = np.array([0, 5], np.int8)
    assert window_index(
        present, running, np.ones(2, bool), width=1, min_coverage=0.5
    ).reasons.tolist() == [0, 1]


def test_an_off_step_stays_off_though_nothing_was_read() -> None:
    present, running = np.array([[True], [False]]), np.array([0, 3], np.int8)
    assert window_index(
        present, running, np.ones(2, bool), width=1, min_coverage=0.5
    ).reasons.tolist() == [0, 3]


def test_a_dead_channel_does_not_stop_the_others() -> None:
    present = np.array([[True, False]] * 4)
    index = window_index(present, np.zeros(4, np.int8), np.ones(4, bool), width=2, min_coverage=0.5)
    assert index.ends.tolist() == [1, 2, 3]
    assert index.live.tolist() == [[True, False]] * 3


def test_all_dead_is_never_scored_even_when_no_coverage_is_asked_for() -> None:
    index = window_index(
        np.zeros((4, 2), bool), np.zeros(4, np.int8), np.ones(4, bool), width=2, min_coverage=0.0
    )
    assert index.ends.size == 0


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadInput, match="Expected shapes"):
        window_index(
            np.ones((4, 2), bool), np.zeros(3, np.int8), np.ones(4, bool), width=2, min_coverage=0.5
        )
    with pytest.raises(BadInput, match="at least 1 step"):
        window_index(
            np.ones((4, 2), bool), np.zeros(4, np.int8), np.ones(4, bool), width=0, min_coverage=0.5
        )


def test_gathered_windows_are_the_readings_up_to_their_ends() -> None:
    inputs = np.arange(12, dtype=np.float32).reshape(6, 2)
    windows = gather(inputs, np.array([2, 5]), 3)
    assert windows.shape == (2, 3, 2)
    assert windows.dtype == np.float32
    assert (windows[0] == inputs[0:3]).all()
    assert (windows[1] == inputs[3:6]).all()


def test_a_window_that_reaches_before_the_start_is_refused() -> None:
    with pytest.raises(BadInput, match="position 2 or later"):
        gather(np.zeros((5, 1)), np.array([1, 4]), 3)


def test_batches_cover_everything_once() -> None:
    assert [i for part in batches(10, 4) for i in range(10)[part]] == list(range(10))
    assert list(batches(0, 4)) == []


@quick
@given(st.integers(0, 10_000), st.integers(1, 20))
def test_an_error_does_not_depend_on_its_neighbours(seed: int, n_channels: int) -> None:
    rng = np.random.default_rng(seed)
    channel_errors = rng.lognormal(0, 3, (50, n_channels)).astype(np.float32)
    live = rng.random((50, n_channels)) < 0.7
    channel_errors[~live] = np.nan
    together = window_errors(channel_errors, live)
    alone = np.concatenate(
        [window_errors(channel_errors[i : i + 1], live[i : i + 1]) for i in range(50)]
    )
    assert together.tobytes() == alone.tobytes()
    expected = [
        np.mean(row[ok].astype(float)) if ok.any() else np.nan
        for row, ok in zip(channel_errors, live, strict=True)
    ]
    np.testing.assert_allclose(together, expected, rtol=1e-6)


def test_an_infinite_channel_error_is_not_hidden() -> None:
    errors = window_errors(np.array([[1.0, np.inf]], np.float32), np.array([[True, True]]))
    assert not np.isfinite(errors).any()
