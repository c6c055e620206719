"""The obvious way to put rows on a grid: one dictionary, one row after another."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One value of one channel: seconds, position of the entity, position of the channel, number of
    the update.
    """

    time_s: int
    entity: int
    channel: int
    updated: int
    value: float


def slow_grid(
    rows: Sequence[Row], step_s: int, aggregates: Sequence[str]
) -> dict[tuple[int, int, int], float]:
    """Value by entity, step and channel; a cell without rows is absent, one without values NaN (or
    a count of 0).
    """
    same_time: dict[tuple[int, int, int], list[Row]] = defaultdict(list)
    for row in rows:
        same_time[row.entity, row.channel, row.time_s].append(row)
    cells: dict[tuple[int, int, int], list[tuple[int, float]]] = defaultdict(list)
    for (entity, channel, time_s), rivals in sorted(same_time.items()):
        cells[entity, time_s // step_s, channel].append((time_s, _winner(rivals)))
    return {key: _aggregate(aggregates[key[2]], found) for key, found in cells.items()}


def _winner(rivals: Sequence[Row]) -> float:
    newest = max(row.updated for row in rivals)
    known = [row.value for row in rivals if row.updated == newest and not math.isnan(row.value)]
    return max(known, default=math.nan)


def _aggregate(name: str, found: Sequence[tuple[int, float]]) -> float:
    values = [value for _, value in sorted(found) if not math.isnan(value)]
    if name == "count":
        return float(len(values))
    if not values:
        return math.nan
    chosen = {
        "last": values[-1],
        "min": min(values),
        "max": max(values),
        "mean": sum(values) / len(values),
    }
    return chosen[name]
