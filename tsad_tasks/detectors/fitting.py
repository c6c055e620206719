"""Whether a training set fits a detector, and whether its saved files are all there."""

from __future__ import annotations

import time
from collections.abc import Collection

import numpy as np

from tsad_tasks.base.errors import BadInput, BundleError, ConfigError
from tsad_tasks.detectors.base import Budget, TrainingSet


def check_sizes(width: int, n_channels: int, n_inputs: int) -> None:
    """Raise ConfigError where no window can have these sizes."""
    if width < 2 or not 1 <= n_channels <= n_inputs:
        received = f"width {width}, n_channels {n_channels}, n_inputs {n_inputs}"
        raise ConfigError(
            f"Expected width >= 2 and 1 <= n_channels <= n_inputs. Received: {received}."
        )


def check_finite_windows(training: TrainingSet) -> None:
    """Raise BadInput where there is no window to train or to validate on, or an input is not
    finite.
    """
    if not (len(training.ends) and len(training.validation_ends)):
        received = f"{len(training.ends)} and {len(training.validation_ends)}"
        raise BadInput(
            f"Expected windows to train and to validate on. Received: {received}. Widen "
            "training.range."
        )
    if not np.isfinite(training.inputs).all():
        raise BadInput(
            "Expected finite inputs. Received: NaN or Inf; replace what is unknown by 0 before "
            "training."
        )


def check_fits(training: TrainingSet, width: int, n_channels: int, n_inputs: int) -> None:
    """Raise BadInput where the windows are not as `check_finite_windows` wants them, or of other
    sizes.
    """
    check_finite_windows(training)
    expected, received = (
        (width, n_channels, n_inputs),
        (training.width, training.n_channels, training.inputs.shape[1]),
    )
    if expected != received:
        raise BadInput(f"Expected width, n_channels, n_inputs {expected}. Received: {received}.")


def check_time(started: float, budget: Budget, n_windows: int, epoch: int = 1) -> None:
    """Raise BadInput where a training has lasted longer than its timeout.

    Parameters
    ----------
    started : of `time.monotonic`.
    epoch : that is being learned, from 1.
    """
    lasted_s = time.monotonic() - started
    if lasted_s > budget.timeout_s:
        raise BadInput(
            f"Expected a training within training.timeout, {budget.timeout_s:,g} s. Received: "
            f"{lasted_s:,.0f} s (epoch "
            f"{epoch} of {budget.epochs}, {n_windows:,} windows). Lower training.max_windows or "
            "training.epochs, or "
            "raise training.timeout."
        )


def check_files(files: Collection[str], *needed: str) -> None:
    """Raise BundleError where one of a detector's files is missing."""
    missing = sorted(set(needed) - set(files))
    if missing:
        raise BundleError(f"Expected {' and '.join(needed)}. Missing: {', '.join(missing)}.")
