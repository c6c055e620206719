"""Whether a training set fits a detector, and ends in time."""

from __future__ import annotations

import time
from typing import TypeVar

from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.lazy import np
from tsad_tasks.detectors.base import Budget, Detector, TrainingSet

Learned = TypeVar("Learned")


def check_finite_windows(training: TrainingSet) -> None:
    """Raise BadInput without windows to train or validate on, or where an input is not finite."""
    if not (len(training.ends) and len(training.validation_ends)):
        received = f"{len(training.ends)} and {len(training.validation_ends)}"
        expected = "Expected windows to train and to validate on."
        raise BadInput(f"{expected} Received: {received}. Widen training.range.")
    if not np.isfinite(training.inputs).all():
        advice = "replace what is unknown by 0 before training."
        raise BadInput(f"Expected finite inputs. Received: NaN or Inf; {advice}")


def check_fits(training: TrainingSet, detector: Detector) -> None:
    """Raise BadInput as `check_finite_windows`, or where sizes are not the detector's."""
    check_finite_windows(training)
    expected = detector.width, detector.n_channels, detector.n_inputs
    received = training.width, training.n_channels, training.inputs.shape[1]
    if expected != received:
        raise BadInput(f"Expected width, n_channels, n_inputs {expected}. Received: {received}.")


def check_time(started: float, budget: Budget, n_windows: int, epoch: int = 1) -> None:
    """Raise BadInput where a training has lasted longer than its timeout.

    `started` is of `time.monotonic`, `epoch` the one that is being learned, from 1.
    """
    lasted_s = time.monotonic() - started
    if lasted_s > budget.timeout_s:
        raise BadInput(
            f"Expected a training within training.timeout, {budget.timeout_s:,g} s. Received: "
            f"{lasted_s:,.0f} s (epoch {epoch} of {budget.epochs}, {n_windows:,} windows). "
            "Lower training.max_windows or training.epochs, or raise training.timeout."
        )


def fitted(learned: Learned | None) -> Learned:
    """What was learned; raise BadInput where nothing was."""
    if not learned:
        what = "one that has not learned; call fit or load"
        raise BadInput(f"Expected a fitted detector. Received: {what}.")
    return learned
