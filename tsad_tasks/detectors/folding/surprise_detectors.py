"""Baselines, per channel: each family of surprises alone, the distance from a fixed mean, the past
range.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.detectors.folding.series_fold import Arrays, Found, Rows, SeriesFold, Units
from tsad_tasks.model.novelty import block_lengths
from tsad_tasks.model.surprise_families import UNIT, Now, units_of
from tsad_tasks.model.surprise_fusion import WEIGHTS, Fusion, expected_level, range_excess


class SurpriseDetector(SeriesFold):
    """Readings in robust scales of commissioning, judged by a fusion of surprises; a subclass says
    which.

    What these detectors call an error is −ln of a probability already: surprise among all past
    errors.
    """

    on_one_scale: ClassVar[bool] = True
    fusion: Fusion

    def empty(self, n_units: int) -> Units:
        return self.fusion.empty(n_units) | {
            "scaling": {"center": np.zeros(n_units), "scale": np.zeros(n_units)}
        }

    def commission(self, units: Units, unit: int, readings: NDArray[np.float64]) -> None:
        center, scale = robust_scale(readings[:, 0])
        units["scaling"]["center"][unit], units["scaling"]["scale"][unit] = center, scale
        if "novelty" in units:
            extremes = np.array([readings.min(), readings.max()])
            known = units_of(extremes, np.full(2, center), np.full(2, scale or 1.0))
            units["novelty"]["low"][unit], units["novelty"]["high"][unit] = known
            units["novelty"]["length"][unit] = block_lengths(len(readings))

    def step(
        self, units: Units, rows: Rows, readings: NDArray[np.float64], half_hour: Rows
    ) -> Found:
        center, scale = (
            units["scaling"]["center"][rows],
            scales_now(units["scaling"], rows, readings[:, 0]),
        )
        now = Now(units_of(readings[:, 0], center, scale), half_hour)
        expected = center + scale * expected_level(units, rows, half_hour)
        member = np.asarray(readings[:, 1], np.float32) if self._depth > 1 else None
        return self.fusion.errors(units, rows, now, member)[:, None], expected[:, None]


def robust_scale(readings: NDArray[np.float64]) -> tuple[float, float]:
    """Median, and interquartile range as a standard deviation, or the standard deviation; 0 for
    constant readings.

    >>> robust_scale(np.array([1.0, 1.0, 1.0]))
    (1.0, 0.0)
    """
    low, center, high = np.percentile(readings, [25, 50, 75]).tolist()
    spread = (high - low) / 1.349 if high > low else float(readings.std())
    return center, spread if readings.max() > readings.min() else 0.0


def scales_now(scaling: Arrays, rows: Rows, readings: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scales (n_rows,), above 0. A channel that was constant while commissioning gets its first
    departure as scale.
    """
    scale, away = scaling["scale"][rows], np.abs(readings - scaling["center"][rows])
    found = np.where(scale > 0, scale, away)
    scaling["scale"][rows] = found
    return np.where(found > 0, found, 1.0)


class _Family(SurpriseDetector):
    """A baseline: one kind of surprise, without range bonus and second level."""

    weights: ClassVar[Mapping[str, float]]

    def __init__(self, width: int, n_channels: int, n_inputs: int, n_commission: int = 750) -> None:
        super().__init__(width, n_channels, n_inputs, n_commission)
        self.fusion = Fusion(dict(self.weights), range_bonus=0.0, second_level=False)

    @property
    def params(self) -> dict[str, Any]:
        return {}


class LevelDetector(_Family):
    """How surprising a reading's distance from the middle is."""

    name = "level"
    weights: ClassVar = {"level": 1.0}


class SeasonalProfile(_Family):
    """How surprising a reading is for its time of day and week."""

    name = "seasonal_profile"
    weights: ClassVar = {family: WEIGHTS[family] for family in ("season", "season12", "season36")}


class VarianceChange(_Family):
    """How surprising a change of spread or roughness is."""

    name = "variance_change"
    weights: ClassVar = {"change": 1.0}


class NoveltyDetector(_Family):
    """How surprising the shape of the last readings is."""

    name = "novelty"
    weights: ClassVar = {"novelty": 1.0}


class ThreeSigma(SeriesFold):
    """Distance from the mean of commissioning, in standard deviations: 3 is the fixed threshold of
    old.
    """

    name = "three_sigma"

    @property
    def params(self) -> dict[str, Any]:
        return {}

    def empty(self, n_units: int) -> Units:
        return {"scaling": {"center": np.zeros(n_units), "scale": np.zeros(n_units)}}

    def commission(self, units: Units, unit: int, readings: NDArray[np.float64]) -> None:
        scaling, varies = units["scaling"], readings.max() > readings.min()
        scaling["center"][unit] = readings.mean() if varies else readings[0, 0]
        scaling["scale"][unit] = readings.std() if varies else 0.0

    def step(
        self, units: Units, rows: Rows, readings: NDArray[np.float64], half_hour: Rows
    ) -> Found:
        center, scale = (
            units["scaling"]["center"][rows],
            scales_now(units["scaling"], rows, readings[:, 0]),
        )
        return np.abs(units_of(readings[:, 0], center, scale) * UNIT)[:, None], center[:, None]


class RangeDetector(_Family):
    """How far a reading leaves the range of all before it, as a share of that range."""

    name = "range"
    on_one_scale: ClassVar[bool] = False
    weights: ClassVar = {}

    def step(
        self, units: Units, rows: Rows, readings: NDArray[np.float64], half_hour: Rows
    ) -> Found:
        center, scale = (
            units["scaling"]["center"][rows],
            scales_now(units["scaling"], rows, readings[:, 0]),
        )
        low, high = (
            np.where(
                units["range"]["low"][rows] > units["range"]["high"][rows],
                0,
                units["range"][end][rows],
            )
            for end in ("low", "high")
        )
        expected = center + scale * (low + high) / 2 * UNIT
        excess = range_excess(units["range"], rows, units_of(readings[:, 0], center, scale))
        return excess[:, None], expected[:, None]
