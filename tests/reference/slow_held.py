"""The obvious way to hold values: look at each moment, and at all that was said up to it.

Times are whole numbers, whatever they count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tests.reference.slow_grid import Row, _winner

UNTIL_CHANGED = -1


def slow_held(
    rows: Sequence[Row],
    steps: Sequence[int],
    step_length: int,
    aggregates: Sequence[str],
    valid: Sequence[int],
    silence: int,
) -> dict[tuple[int, int, int], float]:
    """Value by entity, step and channel; absent where nothing holds at any moment of the step."""
    found = {}
    for entity in {row.entity for row in rows}:
        heard = {row.time_s for row in rows if row.entity == entity}
        for channel, length in enumerate(valid):
            said: dict[int, list[Row]] = {}
            for row in rows:
                if (row.entity, row.channel) == (entity, channel):
                    said.setdefault(row.time_s, []).append(row)
            words = {time_s: _winner(rivals) for time_s, rivals in said.items()}
            for step in steps:
                moments = range(step * step_length, (step + 1) * step_length)
                held = [_at(at, words, heard, length, silence) for at in moments]
                if any(value is not None for value in held):
                    n_rows = sum(at in words and not math.isnan(words[at]) for at in moments)
                    value = _aggregate(aggregates[channel], held, n_rows)
                    found[entity, step, channel] = value
    return found


def _at(
    moment: int, words: dict[int, float], heard: set[int], valid: int, silence: int
) -> float | None:
    """What holds at a moment; None where nothing was said that still does."""
    last_at = max((time_s for time_s in words if time_s <= moment), default=None)
    if last_at is None:
        return None
    if valid == UNTIL_CHANGED:
        heard_at = max(time_s for time_s in heard if time_s <= moment)
        return words[last_at] if moment - heard_at < silence else None
    return words[last_at] if moment - last_at < valid else None


def _aggregate(how: str, held: Sequence[float | None], n_rows: int) -> float:
    if how == "count":
        return n_rows
    if how == "last":
        return math.nan if held[-1] is None else held[-1]
    known = [value for value in held if value is not None and not math.isnan(value)]
    if not known:
        return math.nan
    return {"mean": lambda v: sum(v) / len(v), "min": min, "max": max}[how](known)
