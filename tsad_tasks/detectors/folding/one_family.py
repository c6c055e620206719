"""Baselines: one kind of surprise each."""

from __future__ import annotations

from tsad_tasks.detectors.folding.surprise import OneFamily
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
