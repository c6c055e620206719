"""The drift-aware detector, a baseline."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tsad_tasks.base.arrays import Floats64, Ints
from tsad_tasks.base.lazy import np
from tsad_tasks.base.settings import Readings
from tsad_tasks.detectors.folding.baseline import BaselineDetector
from tsad_tasks.detectors.folding.series_fold import FoldSettings, Found, Units
from tsad_tasks.detectors.registry import register


class DriftAwareSettings(FoldSettings):
    """Settings of `drift_aware`."""

    n_commission: Readings = Field(
        400, description="Readings that commission an entity that was not trained on."
    )
    memory: Readings = Field(150, description="Readings over which the baseline averages.")


@register("drift_aware")
class DriftAware(BaselineDetector):
    """A baseline: each channel's distance from its own slow average, in spreads of it."""

    settings_model = DriftAwareSettings
    settings: DriftAwareSettings

    def __init__(self, width: int, n_channels: int, n_inputs: int, **params: Any) -> None:
        from tsad_tasks.model.drift import Baseline

        super().__init__(width, n_channels, n_inputs, **params)
        self.baseline = Baseline(memory=self.settings.memory)

    def step(self, units: Units, rows: Ints, readings: Floats64, half_hour: Ints) -> Found:
        from tsad_tasks.model import drift

        baseline = units["baseline"]
        means = drift.smoothed(baseline, rows, readings)
        expected = drift.expected_value(baseline, rows)
        errors = drift.deviations(baseline, rows, means)
        drift.follow(baseline, rows, means, np.full(means.shape, 1.0 / self.baseline.memory))
        return errors, expected
