"""Which earlier incidents are like one: by which channels carried the error, and which way."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from tsad_tasks.page.queries import PeakShare

LEAST_ALIKE = 0.5


@dataclass(frozen=True)
class AlikeIncident:
    """An earlier incident, and how alike it is, 0 to 1."""

    incident_id: str
    entity: str
    severity: str
    started_at: datetime
    sentence: str
    verdict: str | None
    likeness: float


def nearest(incident_id: str, shares: Iterable[PeakShare], n: int) -> list[AlikeIncident]:
    """The earlier incidents most like one, the most alike first; none is less than half alike.

    Parameters
    ----------
    shares : of it and of those before it, the rows of one incident together.
    """
    every = {key: list(rows) for key, rows in groupby(shares, lambda one: one.incident_id)}
    own = signed(every.pop(incident_id, []))
    found = []
    for rows in every.values():
        first, likeness = rows[0], alike(own, signed(rows))
        if likeness >= LEAST_ALIKE:
            what = (first.incident_id, first.entity, first.severity, first.started_at)
            found.append(AlikeIncident(*what, first.sentence, first.verdict, likeness))
    return sorted(found, key=lambda one: (-one.likeness, -one.started_at.timestamp()))[:n]


def signed(shares: Iterable[PeakShare]) -> dict[str, float]:
    """Shares by channel; below 0 where the reading was below what was expected."""
    return {
        one.channel: -one.share
        if one.actual is not None and one.expected is not None and one.actual < one.expected
        else one.share
        for one in shares
    }


def alike(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """How alike two incidents are: the cosine of their signed shares, 0 where they disagree.

    >>> round(alike({"cpu": 0.9, "disk": 0.1}, {"cpu": 0.9, "disk": 0.1}), 9)
    1.0
    >>> alike({"cpu": 0.9}, {"disk": 0.9}), alike({"cpu": 0.9}, {"cpu": -0.9}), alike({}, {})
    (0.0, 0.0, 0.0)
    """
    lengths = math.hypot(*one.values()) * math.hypot(*other.values())
    if not lengths:
        return 0.0
    return max(sum(value * other.get(name, 0.0) for name, value in one.items()) / lengths, 0.0)
