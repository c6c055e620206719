"""The level detector, a baseline."""

from __future__ import annotations

from tsad_tasks.detectors.folding.surprise import OneFamily
from tsad_tasks.detectors.registry import register


@register("level")
class LevelDetector(OneFamily):
    """How surprising a reading's distance from the middle is."""

    families = ("level",)
