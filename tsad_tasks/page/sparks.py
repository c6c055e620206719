"""Sparklines of a list as paths for SVG: the error around an incident by its threshold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from tsad_tasks.base.arrays import Floats64
from tsad_tasks.base.interval import HOUR, hour_ceil, hour_floor, unix_s
from tsad_tasks.page import queries
from tsad_tasks.page.queries import ListedIncident
from tsad_tasks.reporting.drawing.scales import runs_of
from tsad_tasks.storage.store import Store

WIDTH, HEIGHT, N_POINTS = 96.0, 24.0, 48
# Of what lasts longer, this last part.
LONGEST = timedelta(days=7)


@dataclass(frozen=True)
class Spark:
    """One line: all of it, its flagged part, and the height of the threshold; on 96 × 24."""

    line: str
    flagged: str
    threshold_y: float


def spans_of(rows: Iterable[ListedIncident]) -> dict[str, tuple[datetime, datetime]]:
    """The hours of each sparkline: the incident, and half of it (an hour at least) before it."""
    spans = {}
    for row in rows:
        until_at = hour_ceil(row.last_flag_at + HOUR)
        lead = max(HOUR, (row.last_flag_at - row.started_at) / 2)
        from_at = max(hour_floor(row.started_at - lead), until_at - LONGEST)
        spans[row.incident_id] = from_at, until_at
    return spans


def read_sparks(store: Store, rows: Sequence[ListedIncident]) -> dict[str, Spark]:
    """Sparklines of incidents by their ids; none of those whose scores are gone."""
    spans = spans_of(rows)
    asked = {
        "incident_ids": list(spans),
        "from_at": [one[0] for one in spans.values()],
        "to_at": [one[1] for one in spans.values()],
    }
    ratios: dict[str, Floats64] = {}
    for incident_id, hour_at, scores in store.rows(queries.SELECT_SPARK_SCORES, **asked):
        from_at, to_at = spans[incident_id]
        n_hours, n = (unix_s(to_at) - unix_s(from_at)) // 3600, len(scores)
        own = ratios.setdefault(incident_id, np.full(n_hours * n, np.nan))
        # An hour of another step, which a dataset file may change, is left out.
        if len(own) == n_hours * n:
            first = (unix_s(hour_at) - unix_s(from_at)) // 3600 * n
            own[first : first + n] = 1 + np.array(scores, np.float64)
    return {key: spark_of(values) for key, values in ratios.items()}


def spark_of(ratios: Floats64) -> Spark:
    """The line of errors by their thresholds, one in the middle of each of 48 stretches at most.

    >>> spark_of(np.array([0.5, 0.5, 2.0, np.nan])).line
    'M12 17 L36 17 L60 2'
    """
    width = -(-len(ratios) // N_POINTS)
    parts = np.full(-(-len(ratios) // width) * width, -np.inf)
    parts[: len(ratios)] = np.where(np.isfinite(ratios), ratios, -np.inf)
    highest = parts.reshape(-1, width).max(axis=1)
    known = np.isfinite(highest)
    top = max(float(highest.max(initial=0.0)), 1.25)
    xs = (np.arange(len(highest)) + 0.5) * WIDTH / len(highest)

    def y_of(ratio: float) -> float:
        return HEIGHT - 2 - (HEIGHT - 4) * max(ratio, 0.0) / top

    def path(wanted: np.ndarray) -> str:
        strokes = []
        for start, end in runs_of(wanted):
            spots = [f"{xs[i]:.4g} {y_of(highest[i]):.3g}" for i in range(start, end)]
            # A single point becomes a dot.
            spots += [f"{xs[start] + 0.5:.4g} {y_of(highest[start]):.3g}"] * (end - start == 1)
            strokes.append("M" + " L".join(spots))
        return " ".join(strokes)

    return Spark(path(known), path(known & (highest > 1)), round(y_of(1.0), 1))
