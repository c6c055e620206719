"""How often the values of a series come, measured on those of the last day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.ingest.sources.base import SourceRows

# Fewer values say nothing about a rhythm.
_MIN_VALUES = 5
# Values that come so much less regularly than their median come when something changes.
_IRREGULAR = 3.0
_MONOTONE_MOVES = 10


@dataclass(frozen=True)
class Rhythm:
    """Of the series of one channel.

    Attributes
    ----------
    n_series, n_values : that were looked at.
    apart_s : median time between values; None where there are too few.
    longest_s : 99th percentile of it.
    never_repeats : no value follows an equal one.
    never_falls : all of many moves are upwards.
    values : of each series in the order of time.
    times_s : their times, seconds since 1970.
    """

    n_series: int
    n_values: int
    apart_s: float | None
    longest_s: float | None
    never_repeats: bool
    never_falls: bool
    values: tuple[NDArray[np.float64], ...] = ()
    times_s: tuple[NDArray[np.float64], ...] = ()

    @property
    def is_irregular(self) -> bool:
        """Whether values seem to come when something changes."""
        if self.apart_s is None or self.longest_s is None:
            return False
        return self.never_repeats and self.longest_s > _IRREGULAR * self.apart_s


def measured(rows: SourceRows, tags: Sequence[int]) -> Rhythm:
    """The rhythm of the series at these positions of `rows.tags`."""
    assert rows.tag is not None
    gaps, moves, seen, seen_s, n_values = [], [], [], [], 0
    for position in tags:
        chosen = np.flatnonzero(rows.tag == position)
        order = chosen[np.argsort(rows.times_us[chosen], kind="stable")]
        values = rows.values[order]
        n_values += int(np.isfinite(values).sum())
        if len(order) >= _MIN_VALUES:
            gaps.append(np.diff(rows.times_us[order]) / 1e6)
            known = values[np.isfinite(values)]
            moves.append(np.diff(known))
            seen.append(known)
            seen_s.append(rows.times_us[order][np.isfinite(values)] / 1e6)
    if not gaps:
        return Rhythm(len(tags), n_values, None, None, False, False)
    apart, moved = np.concatenate(gaps), np.concatenate(moves)
    rises = int((moved > 0).sum())
    return Rhythm(
        len(tags), n_values, float(np.median(apart)), float(np.percentile(apart, 99)),
        len(moved) > 0 and not bool((moved == 0).any()),
        rises >= _MONOTONE_MOVES and not bool((moved < 0).any()),
        tuple(seen), tuple(seen_s),
    )  # fmt: skip
