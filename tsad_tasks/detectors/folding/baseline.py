"""What compares channels with slow baselines of their own shares: commissioning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsad_tasks.base.arrays import Floats32, Floats64, Ints
from tsad_tasks.base.lazy import np
from tsad_tasks.detectors.folding.series_fold import FoldDetector, Units

if TYPE_CHECKING:
    from tsad_tasks.model.drift import Baseline


class BaselineDetector(FoldDetector):
    """Channels and their slow averages (`model.drift`)."""

    baseline: Baseline

    def empty(self, n_units: int) -> Units:
        from tsad_tasks.model.drift import no_baseline

        return {"baseline": no_baseline(n_units, self._columns, self.baseline)}

    def commission_units(self, units: Units, rows: Ints, readings: Floats64) -> None:
        from tsad_tasks.model.drift import commission

        commission(units["baseline"], rows, readings, self.baseline)

    def replay(self, units: Units, rows: Ints, values: Floats64, half_hours: Ints) -> Floats32:
        """Commissioning has folded them already, and judges none."""
        return np.full(values.shape, np.nan, np.float32)
