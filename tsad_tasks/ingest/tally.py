"""Counts of what was not taken as it came, by hour, entity, channel and issue."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

HOUR_US = 3_600_000_000
MAX_NAMES = 20
MAX_LETTERS = 63


def shortened(name: str) -> str:
    """A name as it is told, with its length where it was cut.

    >>> shortened("m1"), shortened("x" * 10_000)[-21:]
    ('m1', 'x… (10000 characters)')
    """
    cut = f"{name[:MAX_LETTERS]}… ({len(name)} characters)"
    return name if len(name) <= MAX_LETTERS else cut


class Count(NamedTuple):
    """Rows of an hour (microseconds since 1970); '' stands for several entities or channels."""

    hour_us: int
    entity: str
    channel: str
    issue: str
    n_rows: int
    detail: str


class Tally:
    """Adds up rows by hour, entity, channel and issue.

    >>> tally = Tally()
    >>> tally.add("off_grid", np.array([0, 5, HOUR_US]), np.array([0, 0, 1]), ["m1", "m2"])
    >>> [(count.hour_us, count.entity, count.n_rows) for count in tally.counts()]
    [(0, 'm1', 2), (3600000000, 'm2', 1)]
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[int, str, str, str]] = Counter()
        self._details: dict[tuple[str, str, str], str] = {}

    def add(
        self,
        issue: str,
        times_us: NDArray[np.int64],
        entity: NDArray[np.intp] | None = None,
        entity_names: Sequence[str] = (),
        *,
        channel: str = "",
        detail: str = "",
    ) -> None:
        """Count one row for each time; -1 in `entity`, a position in `entity_names`, is nobody."""
        if not len(times_us):
            return
        n_names = len(entity_names) + 1
        who = np.full(len(times_us), -1, np.int64) if entity is None else entity.astype(np.int64)
        keys, n_rows = np.unique(times_us // HOUR_US * n_names + who + 1, return_counts=True)
        names = ["", *entity_names]
        for key, n in zip(keys.tolist(), n_rows.tolist(), strict=True):
            hour, name = key // n_names * HOUR_US, names[key % n_names]
            self.add_count(issue, hour, n, entity=name, channel=channel, detail=detail)

    def add_count(
        self,
        issue: str,
        hour_us: int,
        n_rows: int,
        *,
        entity: str = "",
        channel: str = "",
        detail: str = "",
    ) -> None:
        """Count so many rows of one hour."""
        if n_rows:
            # What a row of the warehouse counts fits into its index.
            entity, channel = shortened(entity), shortened(channel)
            self._counts[hour_us, entity, channel, issue] += int(n_rows)
            if detail:
                self._details[entity, channel, issue] = detail

    def totals(self) -> dict[str, int]:
        """Rows by issue."""
        found: Counter[str] = Counter()
        for (_, _, _, issue), n_rows in self._counts.items():
            found[issue] += n_rows
        return dict(sorted(found.items()))

    def counts(self) -> Iterator[Count]:
        """Each count; of more than 20 places in one hour one sum, which names a few."""
        groups: defaultdict[tuple[int, str], list[Count]] = defaultdict(list)
        for (hour_us, entity, channel, issue), n_rows in sorted(self._counts.items()):
            detail = self._details.get((entity, channel, issue), "")
            groups[hour_us, issue].append(Count(hour_us, entity, channel, issue, n_rows, detail))
        for group in groups.values():
            if len(group) <= MAX_NAMES:
                yield from group
                continue
            places = [" ".join(filter(None, (count.entity, count.channel))) for count in group]
            few, said = ", ".join(places[:3]), group[0].detail
            detail = f"{len(places)} places, such as {few}. {said}".rstrip()
            n_rows = sum(count.n_rows for count in group)
            yield group[0]._replace(entity="", channel="", n_rows=n_rows, detail=detail)
