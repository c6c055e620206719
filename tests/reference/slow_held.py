"""The obvious way to hold values: look at each second, and at all that was said up to it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tests.reference.slow_grid import Row, _winner

UNTIL_CHANGED = -1


def slow_held(
    rows: Sequence[Row],
    steps: Sequence[int],
    step_s: int,
    aggregates: Sequence[str],
    valid_s: Sequence[int],
    silence_s: int,
) -> dict[tuple[int, int, int], float]:
    """Value by entity, step and channel; absent where nothing holds at any second of the step."""
    found = {}
    for entity in {row.entity for row in rows}:
        heard = {row.time_s for row in rows if row.entity == entity}
        for channel, valid in enumerate(valid_s):
            said: dict[int, list[Row]] = {}
            for row in rows:
                if (row.entity, row.channel) == (entity, channel):
                    said.setdefault(row.time_s, []).append(row)
            words = {time_s: _winner(rivals) for time_s, rivals in said.items()}
            for step in steps:
                seconds = range(step * step_s, (step + 1) * step_s)
                held = [_at(s, words, heard, valid, silence_s) for s in seconds]
                if any(value is not None for value in held):
                    n_rows = sum(s in words and not math.isnan(words[s]) for s in seconds)
                    value = _aggregate(aggregates[channel], held, n_rows)
                    found[entity, step, channel] = value
    return found


def _at(
    second: int, words: dict[int, float], heard: set[int], valid_s: int, silence_s: int
) -> float | None:
    """What holds at a second; None where nothing was said that still does."""
    last_s = max((time_s for time_s in words if time_s <= second), default=None)
    if last_s is None:
        return None
    if valid_s == UNTIL_CHANGED:
        heard_s = max(time_s for time_s in heard if time_s <= second)
        return words[last_s] if second - heard_s < silence_s else None
    return words[last_s] if second - last_s < valid_s else None


def _aggregate(how: str, held: Sequence[float | None], n_rows: int) -> float:
    if how == "count":
        return n_rows
    if how == "last":
        return math.nan if held[-1] is None else held[-1]
    known = [value for value in held if value is not None and not math.isnan(value)]
    if not known:
        return math.nan
    return {"mean": lambda v: sum(v) / len(v), "min": min, "max": max}[how](known)
