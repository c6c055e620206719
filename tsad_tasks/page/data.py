"""The data page: what is wrong with sensors, what was read, and what was scored of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from tsad_tasks.base.enums import HourStatus
from tsad_tasks.base.interval import HOUR
from tsad_tasks.page import queries
from tsad_tasks.storage.store import Store

N_FINDINGS, N_HOURS, N_RUNS = 200, 168, 24
RANGE = timedelta(days=7)


@dataclass(frozen=True)
class Coverage:
    """Hours of one machine by what became of them."""

    entity: str
    n_scored: int
    n_hours: int
    others: list[tuple[str, int]]

    @property
    def share(self) -> float | None:
        """The scored share of the hours in which it ran; None where it did not."""
        return self.n_scored / self.n_hours if self.n_hours else None


@dataclass(frozen=True)
class ReadHours:
    """Hours in a row of which as much was read of each."""

    from_at: datetime
    to_at: datetime
    n_rows: int
    n_readings: int
    issues: dict[str, int] | None

    @property
    def n_hours(self) -> int:
        """How many."""
        return (self.to_at - self.from_at) // HOUR


@dataclass(frozen=True)
class DataContent:
    """What the page shows of a dataset's readings."""

    from_at: datetime
    to_at: datetime
    findings: list[dict[str, Any]]
    hours: list[ReadHours]
    coverage: list[Coverage]
    machines: list[queries.Machine]


def read_data(store: Store, dataset: str) -> DataContent:
    """The last week of a dataset's readings, up to where it was scored."""
    with store.snapshot():
        (state,) = store.rows(queries.SELECT_WATCHING, datasets=[dataset])
        to_at = state.scored_until or store.now()
        from_at = to_at - RANGE
        span = {"dataset": dataset, "from_at": from_at, "to_at": to_at}
        return DataContent(
            from_at,
            to_at,
            store.rows(queries.SELECT_FOUND_QUALITY, n=N_FINDINGS, **span),
            _runs(store.rows(queries.SELECT_READ_HOURS, dataset=dataset, n=N_HOURS))[:N_RUNS],
            _coverage(store.rows(queries.SELECT_HOUR_COVERAGE, **span)),
            store.rows(queries.SELECT_MACHINES, dataset=dataset),
        )


def _runs(rows: list[dict[str, Any]]) -> list[ReadHours]:
    """Hours, the newest first, as runs of those alike."""
    runs: list[ReadHours] = []
    for row in rows:
        read = ReadHours(
            row["hour_at"], row["hour_at"] + HOUR, row["n_rows"], row["n_readings"], row["issues"]
        )
        alike = bool(runs) and replace(runs[-1], from_at=read.from_at, to_at=read.to_at) == read
        if alike and runs[-1].from_at == read.to_at:
            runs[-1] = replace(runs[-1], from_at=read.from_at)
        else:
            runs.append(read)
    return runs


def _coverage(rows: list[dict[str, Any]]) -> list[Coverage]:
    """By machine, the least covered first."""
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        counts.setdefault(row["entity"], Counter())[row["status"]] += row["n_hours"]
    found = []
    for entity, by_status in counts.items():
        n_scored = sum(n for status, n in by_status.items() if HourStatus(status).has_scores)
        n_hours = sum(n for status, n in by_status.items() if status != HourStatus.OFF)
        others = [(s, n) for s, n in by_status.most_common() if not HourStatus(s).has_scores]
        found.append(Coverage(entity, n_scored, n_hours, others))
    return sorted(found, key=lambda one: (one.share if one.share is not None else 1, one.entity))
