"""How late rows come into a source, by looking again and again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from tsad_tasks.base.errors import SourceError
from tsad_tasks.base.interval import unix_us
from tsad_tasks.config import DatasetConfig
from tsad_tasks.config.written import written_duration
from tsad_tasks.ingest.sources.base import OpenPart, SourceRows

# A look takes in so much of the past: what comes later than this is not seen.
LOOKED_BACK = timedelta(hours=1)
_AHEAD = timedelta(days=1)
_ROUND_S = (1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)


@dataclass(frozen=True)
class Lateness:
    """Of the rows of one table, or one channel of a long one; in seconds, by the source's clock."""

    what: str
    n_rows: int
    median_s: float
    most_s: float
    longest_s: float


class Watch:
    """Rows that were seen in a source, and how late each came. `look` once before what counts.

    Raises `SourceError` where a look would be one at all rows of a large table.

    A row is as late as the time from its own to the look that first showed it: looks that are far
    apart make rows late.
    """

    def __init__(self, part: OpenPart) -> None:
        self._part = part
        self._seen: dict[str, set[tuple[str, str, int]]] = defaultdict(set)
        self._late_s: dict[str, list[float]] = defaultdict(list)
        self._has_begun = False
        with part.asked() as source:
            if refusal := source.refuses(unix_us(source.now())):
                raise SourceError(refusal)

    def look(self) -> int:
        """How many rows are new."""
        with self._part.asked() as source:
            now_at = source.now()
            start_us = unix_us(now_at - LOOKED_BACK)
            rows = source.read(start_us, unix_us(now_at + _AHEAD))
        n_new = 0
        for what, key in _keys(rows):
            # What is older says what still holds: it is read once its machine is heard of again.
            if key[2] >= start_us and key not in self._seen[what]:
                self._seen[what].add(key)
                n_new += 1
                if self._has_begun:
                    late_s = now_at.timestamp() - key[2] / 1e6
                    self._late_s[what].append(max(0.0, late_s))
        self._has_begun = True
        return n_new

    def found(self) -> list[Lateness]:
        """Of each table or channel of which rows came."""
        return [
            Lateness(what, len(late), *np.percentile(late, [50, 95, 100]).tolist())
            for what, late in sorted(self._late_s.items())
        ]


def proposals(config: DatasetConfig, found: Sequence[Lateness]) -> list[str]:
    """What the dataset file should say, by what was seen."""
    if not found:
        return ["No row came: watch for longer than the source's step."]
    longest_s = max(one.longest_s for one in found)
    wait_s = next((one for one in _ROUND_S if one >= longest_s), 3600 * (1 + longest_s // 3600))
    said = "is as the file says"
    if config.wait_for_rows_s < wait_s:
        said = f"instead of {written_duration(config.wait_for_rows_s)} takes in all that was seen"
    late_s = config.late_rows_within_s
    return [
        f"wait_for_rows: {written_duration(int(wait_s))} {said}; with a smaller one, later runs "
        f"read what came late, for {written_duration(late_s)} (late_rows_within).",
        f"What comes more than {written_duration(int(LOOKED_BACK.total_seconds()))} late is not "
        "seen here: a gateway that sends what it kept during an outage needs a late_rows_within as "
        "long as its outages.",
    ]


def _keys(rows: SourceRows) -> Iterator[tuple[str, tuple[str, str, int]]]:
    """Of each row the table or channel that it counts for, and what tells it from others."""
    channels = np.full(len(rows.times_us), -1) if rows.channel is None else rows.channel
    columns = rows.table, rows.entity, channels, rows.times_us
    for at, entity, channel, us in zip(*(one.tolist() for one in columns), strict=True):
        table = rows.tables[at].title
        name = rows.channel_names[channel] if channel >= 0 else table
        yield name, (rows.entity_names[entity] if entity >= 0 else "", table, us)
