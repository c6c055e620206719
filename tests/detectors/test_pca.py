"""What principal components tell apart: a load that all channels share, and one that is off."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from tsad_tasks.base.arrays import Floats32
from tsad_tasks.detectors.base import Budget, TrainingSet
from tsad_tasks.detectors.registry import build_detector

WIDTH, N_CHANNELS, N_STEPS = 2, 5, 2000
GAINS = np.array([1.0, 0.9, -0.8, 1.1, -1.0])


def readings(n_steps: int, seed: int) -> Floats32:
    """Channels that one slow load moves, each with noise of its own."""
    random = np.random.default_rng(seed)
    load = np.zeros(n_steps)
    for i in range(1, n_steps):
        load[i] = 0.7 * load[i - 1] + random.normal(0, 0.7)
    values = load[:, None] * GAINS + random.normal(0, 0.1, (n_steps, N_CHANNELS))
    return np.asarray(values, np.float32)


@functools.cache
def fitted(quantile: float = 0.99) -> Any:
    inputs, ends = readings(N_STEPS, 1), np.arange(WIDTH - 1, N_STEPS)
    sizes = {"width": WIDTH, "n_channels": N_CHANNELS, "n_inputs": N_CHANNELS}
    detector = build_detector("pca", **sizes, params={"quantile": quantile, "variance": 0.95})
    training = TrainingSet(inputs, ends[:1600], ends[1600:], N_CHANNELS, WIDTH)
    detector.fit(training, budget=Budget(), seed=0)
    return detector


def test_a_load_beyond_training_is_strange_and_every_channel_as_the_others_say() -> None:
    values = readings(200, 2)
    values[100:] += (8 * GAINS).astype(np.float32)
    found = fitted().reconstruct(values, np.arange(110, 200))
    assert found.channel_errors.min() > 1.5
    assert np.abs(values[110:] - found.expected).max() < 1.0


def test_a_channel_that_leaves_the_others_has_the_error_and_is_expected_with_them() -> None:
    values = readings(200, 2)
    before = values.copy()
    values[150:, 2] += 2.0
    ends = np.arange(152, 200)
    found = fitted().reconstruct(values, ends)
    assert found.channel_errors.min() > 1.5
    shares = fitted().channel_shares(values, ends)
    assert (shares.argmax(axis=1) == 2).all()
    assert np.abs(found.expected[:, 2] - before[152:, 2]).mean() < 0.5


@pytest.mark.parametrize("quantile", [0.9, 0.99])
def test_the_limit_is_kept_on_readings_that_nobody_learned_from(quantile: float) -> None:
    errors = fitted(quantile).score(readings(4000, 3))
    above = float(np.mean(errors[WIDTH - 1 :] > 1))
    assert 0.3 * (1 - quantile) < above < 3 * (1 - quantile)
