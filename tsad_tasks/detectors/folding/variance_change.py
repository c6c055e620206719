"""The variance change, a baseline."""

from __future__ import annotations

from tsad_tasks.detectors.folding.surprise import OneFamily
from tsad_tasks.detectors.registry import register


@register("variance_change")
class VarianceChange(OneFamily):
    """How surprising a change of spread or roughness is."""

    families = ("change",)
