"""Swim lanes as numbers for an SVG: which stretch of a machine's lane is what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tsad_tasks.base.interval import unix_s
from tsad_tasks.page.overview import Lane
from tsad_tasks.page.queries import UnwatchedHours
from tsad_tasks.reporting.drawing.scales import time_ticks
from tsad_tasks.text import formats
from tsad_tasks.text.words import status_title

WIDTH, ROW, LEAST = 1000.0, 22.0, 3.0
# No label fits nearer to the ends.
EDGE = 20.0


@dataclass(frozen=True)
class Bar:
    """A stretch of a lane; `incident_id` None is a stretch without scores."""

    x: float
    width: float
    look: str
    title: str
    incident_id: str | None = None


@dataclass(frozen=True)
class DrawnLane:
    """One machine's lane at a height."""

    entity: str
    y: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class DrawnLanes:
    """All lanes, with the ticks of their time axis as (x, label)."""

    lanes: tuple[DrawnLane, ...]
    ticks: tuple[tuple[float, str], ...]
    height: float


def drawn_lanes(lanes: Sequence[Lane], from_at: datetime, to_at: datetime, zone: str) -> DrawnLanes:
    """Lanes on a width of 1000, however long the range is; the worst incident is drawn last."""
    start_s, end_s = unix_s(from_at), unix_s(to_at)

    def x_of(at: datetime) -> float:
        share = (unix_s(at) - start_s) / max(end_s - start_s, 1)
        return round(WIDTH * min(max(share, 0.0), 1.0), 1)

    def bar(began: datetime, ended: datetime, look: str, title: str, key: str | None) -> Bar:
        x = min(x_of(began), WIDTH - LEAST)
        return Bar(x, round(max(x_of(ended) - x, LEAST if key else 0.5), 1), look, title, key)

    drawn = []
    for place, lane in enumerate(lanes):
        bars = [
            bar(one.from_at, one.to_at, "unscored", _unscored_title(one, zone), None)
            for one in lane.unscored
        ]
        for one in sorted(lane.incidents, key=lambda one: one.peak_score):
            when = formats.span_text(one.started_at, one.end_at, zone)
            look = "suppressed" if one.suppressed else one.severity
            title = f"{one.severity.capitalize()}: {one.sentence} ({when})"
            bars.append(bar(one.started_at, one.end_at, look, title, one.incident_id))
        drawn.append(DrawnLane(lane.entity, ROW * place, tuple(bars)))
    ticks = time_ticks(start_s, end_s, zone, 8)
    scale = WIDTH / max(end_s - start_s, 1)
    shown = [(round(scale * (at - start_s), 1), text) for at, text in ticks]
    shown = [one for one in shown if EDGE < one[0] < WIDTH - EDGE]
    return DrawnLanes(tuple(drawn), tuple(shown), ROW * max(len(lanes), 1))


def _unscored_title(hours: UnwatchedHours, zone: str) -> str:
    when = formats.span_text(hours.from_at, hours.to_at, zone)
    return f"Not scored: {status_title(hours.status)} ({when})"
