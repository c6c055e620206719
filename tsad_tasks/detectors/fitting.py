"""Whether a training set fits a detector, and whether its saved files are all there."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from tsad_tasks.detectors.base import TrainingSet
from tsad_tasks.errors import BadInput, BundleError, ConfigError


def check_sizes(width: int, n_channels: int, n_inputs: int) -> None:
    """Raise ConfigError where no window can have these sizes."""
    if width < 2 or not 1 <= n_channels <= n_inputs:
        received = f"width {width}, n_channels {n_channels}, n_inputs {n_inputs}"
        raise ConfigError(f"Expected width >= 2 and 1 <= n_channels <= n_inputs. Received: {received}.")


def check_finite_windows(training: TrainingSet) -> None:
    """Raise BadInput where there is no window to train or to validate on, or an input is not finite."""
    if not (len(training.ends) and len(training.validation_ends)):
        received = f"{len(training.ends)} and {len(training.validation_ends)}"
        raise BadInput(f"Expected windows to train and to validate on. Received: {received}. Widen training.range.")
    if not np.isfinite(training.inputs).all():
        raise BadInput("Expected finite inputs. Received: NaN or Inf; replace what is unknown by 0 before training.")


def check_fits(training: TrainingSet, width: int, n_channels: int, n_inputs: int) -> None:
    """Raise BadInput where the windows are not as `check_finite_windows` wants them, or of other sizes."""
    check_finite_windows(training)
    expected, received = (width, n_channels, n_inputs), (training.width, training.n_channels, training.inputs.shape[1])
    if expected != received:
        raise BadInput(f"Expected width, n_channels, n_inputs {expected}. Received: {received}.")


def check_files(files: Collection[str], *needed: str) -> None:
    """Raise BundleError where one of a detector's files is missing."""
    missing = sorted(set(needed) - set(files))
    if missing:
        raise BundleError(f"Expected {' and '.join(needed)}. Missing: {', '.join(missing)}.")
