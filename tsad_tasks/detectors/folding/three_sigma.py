"""The fixed threshold of old: three standard deviations."""

from __future__ import annotations

from tsad_tasks.base.arrays import Floats64, Ints
from tsad_tasks.base.lazy import np
from tsad_tasks.detectors.folding.series_fold import Found, SeriesFold, Units
from tsad_tasks.detectors.folding.surprise import scales_now, unscaled
from tsad_tasks.detectors.registry import register


@register("three_sigma")
class ThreeSigma(SeriesFold):
    """Standard deviations from the mean of commissioning: 3 is the fixed threshold of old."""

    def empty(self, n_units: int) -> Units:
        return unscaled(n_units)

    def commission(self, units: Units, unit: int, readings: Floats64) -> None:
        scaling, varies = units["scaling"], readings.max() > readings.min()
        scaling["center"][unit] = readings.mean() if varies else readings[0, 0]
        scaling["scale"][unit] = readings.std() if varies else 0.0

    def step(self, units: Units, rows: Ints, readings: Floats64, half_hour: Ints) -> Found:
        from tsad_tasks.model.surprise_families import UNIT, units_of

        center, scale = scales_now(units["scaling"], rows, readings[:, 0])
        distance = np.abs(units_of(readings[:, 0], center, scale) * UNIT)
        return distance[:, None], center[:, None]
