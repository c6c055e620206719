"""The range detector, a baseline."""

from __future__ import annotations

from typing import ClassVar

from tsad_tasks.base.arrays import Floats64, Ints
from tsad_tasks.base.lazy import np
from tsad_tasks.detectors.folding.series_fold import Found, Units
from tsad_tasks.detectors.folding.surprise import OneFamily, scales_now
from tsad_tasks.detectors.registry import register


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
