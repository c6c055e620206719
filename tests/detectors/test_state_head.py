"""What the state head's limit means for many channels, and for models from before it did."""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
import pytest

from tsad_tasks.base.arrays import Floats32
from tsad_tasks.detectors.base import DETAILS_FILE
from tsad_tasks.detectors.folding.fold import Series
from tsad_tasks.detectors.registry import build_detector, detector_from_files

STEP_S, N_TRAINING, N_STEPS = 60, 600, 1500


def noise(n_steps: int, n_channels: int, seed: int, first: int = 0) -> Series:
    """Channels that follow slow noise of their own, and nothing else."""
    random = np.random.default_rng(seed)
    values = np.zeros((1, n_steps, n_channels))
    for i in range(1, n_steps):
        values[:, i] = 0.5 * values[:, i - 1] + random.normal(0, 1, (1, n_channels))
    return Series(values, (first + np.arange(n_steps)) * STEP_S, STEP_S)


@functools.cache
def head(n_channels: int) -> Any:
    sizes = {"width": 1, "n_channels": n_channels, "n_inputs": n_channels}
    detector: Any = build_detector("state_head", **sizes, params={"slow_ratio": 0.0})
    detector.fit_series(["pump"], noise(N_TRAINING, n_channels, 1), seed=0)
    return detector


def errors_of(detector: Any, series: Series) -> Floats32:
    found: Floats32 = detector.advance(detector.start(["pump"]), series)[1].channel_errors[0, :, 0]
    return found


@pytest.mark.parametrize("n_channels", [6, 60])
def test_a_clean_run_has_few_errors_above_the_limit_however_many_channels(n_channels: int) -> None:
    errors = errors_of(head(n_channels), noise(N_STEPS, n_channels, 2, N_TRAINING))
    assert np.nanmean(errors > 5) < 0.02
    assert 1.2 < np.nanmedian(errors) < 2.3


def test_one_channel_of_sixty_that_moves_away_is_an_alarm() -> None:
    series = noise(N_STEPS, 60, 2, N_TRAINING)
    series.values[:, 500:540, 7] += 12
    errors = errors_of(head(60), series)
    assert np.nanmin(errors[512:540]) > 5


def test_a_model_from_before_keeps_its_scale_and_its_rule() -> None:
    sizes = {"width": 1, "n_channels": 60, "n_inputs": 60}
    before: Any = build_detector("state_head", **sizes, params={"slow_ratio": 0.0})
    before.own_scale = False
    before.fit_series(["pump"], noise(N_TRAINING, 60, 1), seed=0)
    files = before.to_files()
    details = json.loads(files[DETAILS_FILE])
    del details["own_scale"], details["params"]["fresh"]
    read: Any = detector_from_files(files | {DETAILS_FILE: json.dumps(details).encode()})
    assert read.rule.fresh == 0
    series = noise(N_STEPS, 60, 2, N_TRAINING)
    assert not [name for name in read.start(["pump", "new"]) if name.startswith("usual")]
    # Sixty channels alone are above a limit that six were never near.
    assert np.nanmedian(errors_of(read, series)) > 3
