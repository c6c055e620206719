"""The seasonal profile, a baseline."""

from __future__ import annotations

from tsad_tasks.detectors.folding.surprise import OneFamily
from tsad_tasks.detectors.registry import register


@register("seasonal_profile")
class SeasonalProfile(OneFamily):
    """How surprising a reading is for its time of day and week."""

    families = ("season", "season12", "season36")
