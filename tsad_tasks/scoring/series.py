"""Errors of one entity's series of readings, window by window, as scoring computes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.detectors.base import Detector, Reconstruction
from tsad_tasks.model import scoring
from tsad_tasks.model.features import Scaler
from tsad_tasks.model.scoring import InputSet, Windows
from tsad_tasks.model.spec import FeatureSpec, ModelSpec
from tsad_tasks.scoring.columns import channel_values
from tsad_tasks.scoring.fold import entity_reconstruction


@dataclass(frozen=True)
class SeriesErrors:
    """Errors of one entity's channels as the detector gives them, and residuals in scaled units.

    Attributes
    ----------
    channel_errors, residuals : (n_steps, n_channels), NaN where unknown.
    live : bool (n_steps, n_channels), channels that count; none where no window ends.
    moved : bool (n_steps,), where a channel is elsewhere that never moved in training.
    farthest : int8 (n_steps,), how far a condition is from what training saw.
    """

    channel_errors: NDArray[np.float32]
    residuals: NDArray[np.float32]
    live: NDArray[np.bool_]
    moved: NDArray[np.bool_]
    farthest: NDArray[np.int8]

    def combined(self, spec: ModelSpec, entity: str) -> NDArray[np.float32]:
        """Errors (n_steps,) on the model's scale; NaN where unknown."""
        found, known = np.full(len(self.live), np.nan, np.float32), self.live.any(axis=1)
        of_it = np.zeros(np.count_nonzero(known), np.int64)
        seen = self.channel_errors[known], self.live[known], spec.scaler(entity).fitted
        found[known], _ = scoring.combined_errors(spec, [entity], of_it, *seen)
        return found


def series_windows(
    spec: FeatureSpec,
    scaler: Scaler,
    values: NDArray[np.float64],
    start_s: int,
    wanted: NDArray[np.bool_] | None = None,
) -> tuple[InputSet, Windows]:
    """Features of one entity's readings (n_steps, n_channels), and the windows that end at wanted
    steps (n_steps,), or at all.
    """
    features = scoring.entity_features(spec, [scaler], values[None], start_s)
    ends = np.ones(len(values), bool) if wanted is None else wanted
    return features, scoring.entity_windows(spec, features, ends[None])


def on_steps(
    spec: FeatureSpec,
    scaler: Scaler,
    features: InputSet,
    index: Windows,
    found: Reconstruction,
) -> SeriesErrors:
    """What was found of one entity's windows, of its channels, on its steps."""
    n_channels = len(spec.channels)
    shape = features.inputs.shape[1], n_channels
    channel_errors, residuals = np.full((2, *shape), np.nan, np.float32)
    live = np.zeros(shape, bool)
    live[index.ends], channel_errors[index.ends] = index.live, found.channel_errors
    sensors = channel_values(spec, features)[0, index.ends]
    left = scaler.residuals(sensors, found.expected)
    residuals[index.ends] = np.where(index.live, left, np.nan)
    return SeriesErrors(
        channel_errors, residuals, live, features.has_moved[0], features.farthest[0]
    )


def series_errors(
    spec: FeatureSpec,
    scaler: Scaler,
    detector: Detector,
    values: NDArray[np.float64],
    start_s: int,
    entity: str = "",
) -> SeriesErrors:
    """Errors of one entity's readings (n_steps, n_channels), the first of them at `start_s`."""
    features, index = series_windows(spec, scaler, values, start_s)
    found = entity_reconstruction(spec, detector, entity, features, start_s, index.ends)
    return on_steps(spec, scaler, features, index, found)
