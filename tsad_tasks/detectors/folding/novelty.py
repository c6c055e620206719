"""The novelty detector, a baseline."""

from __future__ import annotations

from tsad_tasks.detectors.folding.surprise import OneFamily
from tsad_tasks.detectors.registry import register


@register("novelty")
class NoveltyDetector(OneFamily):
    """How surprising the shape of the last readings is."""

    families = ("novelty",)
