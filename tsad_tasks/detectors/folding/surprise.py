"""What is judged by a fusion of surprises shares: the scale of commissioning, and the step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tsad_tasks.base.arrays import Arrays, Floats64, Ints
from tsad_tasks.base.lazy import np
from tsad_tasks.detectors.folding.series_fold import FoldDetector, Found, Units

if TYPE_CHECKING:
    from tsad_tasks.model.surprise_fusion import Fusion


class SurpriseDetector(FoldDetector):
    """Readings in robust scales of commissioning, judged by the subclass's fusion of surprises.

    What these detectors call an error is surprise among all past errors already.
    """

    on_one_scale: ClassVar[bool] = True
    fusion: Fusion

    def empty(self, n_units: int) -> Units:
        return self.fusion.empty(n_units) | unscaled(n_units)

    def commission(self, units: Units, unit: int, readings: Floats64) -> None:
        from tsad_tasks.model.drift import scale_of
        from tsad_tasks.model.novelty import block_lengths
        from tsad_tasks.model.surprise_families import units_of

        center, scale = scale_of(readings[:, 0], 25)
        units["scaling"]["center"][unit], units["scaling"]["scale"][unit] = center, scale
        if "novelty" in units:
            extremes = np.array([readings.min(), readings.max()])
            known = units_of(extremes, np.full(2, center), np.full(2, scale or 1.0))
            units["novelty"]["low"][unit], units["novelty"]["high"][unit] = known
            units["novelty"]["length"][unit] = block_lengths(len(readings))

    def step(self, units: Units, rows: Ints, readings: Floats64, half_hour: Ints) -> Found:
        from tsad_tasks.model.surprise_families import Now, units_of
        from tsad_tasks.model.surprise_fusion import expected_level

        center, scale = scales_now(units["scaling"], rows, readings[:, 0])
        now = Now(units_of(readings[:, 0], center, scale), half_hour)
        expected = center + scale * expected_level(units, rows, half_hour)
        member = np.asarray(readings[:, 1], np.float32) if self._depth > 1 else None
        return self.fusion.errors(units, rows, now, member)[:, None], expected[:, None]


class OneFamily(SurpriseDetector):
    """A baseline: one kind of surprise, weighed as in the event head, without range bonus."""

    families: ClassVar[tuple[str, ...]]

    def __init__(self, width: int, n_channels: int, n_inputs: int, **params: Any) -> None:
        from tsad_tasks.model.surprise_fusion import WEIGHTS, Fusion

        super().__init__(width, n_channels, n_inputs, **params)
        weights = {name: WEIGHTS[name] / WEIGHTS[self.families[0]] for name in self.families}
        self.fusion = Fusion(weights, range_bonus=0.0, second_level=False)


def unscaled(n_units: int) -> Units:
    """Centres and scales of units that are not commissioned yet."""
    return {"scaling": {"center": np.zeros(n_units), "scale": np.zeros(n_units)}}


def scales_now(scaling: Arrays, rows: Ints, readings: Floats64) -> tuple[Floats64, Floats64]:
    """Centres, and scales above 0, (n_rows,); a constant's first departure becomes its scale."""
    center, scale = scaling["center"][rows], scaling["scale"][rows]
    found = np.where(scale > 0, scale, np.abs(readings - center))
    scaling["scale"][rows] = found
    return center, np.where(found > 0, found, 1.0)
