"""What the heads are compared with: one kind of surprise each, a range, a fixed threshold."""

from __future__ import annotations

from typing import ClassVar

from tsad_tasks.base.arrays import Floats64, Ints
from tsad_tasks.base.lazy import np
from tsad_tasks.detectors.folding.series_fold import FoldDetector, Found, Units
from tsad_tasks.detectors.folding.surprise import OneFamily, scales_now, unscaled
from tsad_tasks.detectors.registry import register


@register("level")
class LevelDetector(OneFamily):
    """How surprising a reading's distance from the middle is."""

    families = ("level",)


@register("novelty")
class NoveltyDetector(OneFamily):
    """How surprising the shape of the last readings is."""

    families = ("novelty",)


@register("seasonal_profile")
class SeasonalProfile(OneFamily):
    """How surprising a reading is for its time of day and week."""

    families = ("season", "season12", "season36")


@register("variance_change")
class VarianceChange(OneFamily):
    """How surprising a change of spread or roughness is."""

    families = ("change",)


@register("range")
class RangeDetector(OneFamily):
    """How far a reading leaves the range of all before it, as a share of that range."""

    on_one_scale: ClassVar[bool] = False
    families = ()

    def step(self, units: Units, rows: Ints, readings: Floats64, half_hour: Ints) -> Found:
        from tsad_tasks.model.surprise_families import UNIT, units_of
        from tsad_tasks.model.surprise_fusion import range_excess

        center, scale = scales_now(units["scaling"], rows, readings[:, 0])
        low, high = (units["range"][end][rows] for end in ("low", "high"))
        # Before the first reading the range is empty, its low end above its high one.
        expected = center + scale * np.where(low > high, 0, low + high) / 2 * UNIT
        excess = range_excess(units["range"], rows, units_of(readings[:, 0], center, scale))
        return excess[:, None], expected[:, None]


@register("three_sigma")
class ThreeSigma(FoldDetector):
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
