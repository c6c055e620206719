"""What the source has by now of hours that were read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from tsad_tasks.base.interval import HOUR, unix_us, whole_hours
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest import queries
from tsad_tasks.ingest.sources.base import HourCount, Uris, open_sources
from tsad_tasks.storage import datasets
from tsad_tasks.storage.store import Store

# Of an hour whose rows have a time of change, and none has changed; of one that was not asked.
NO_CHANGE, LAST_CHANGE = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class LateHour:
    """An hour in which the source no longer agrees with what was read.

    `command` reads and scores it again, and later hours that depend on it; it is empty when rows
    are merely gone, since absence does not erase.
    """

    hour_at: datetime
    n_rows_read: int
    n_rows_now: int
    updated_at: datetime | None
    command: str


def rescore_command(dataset: str, start_at: datetime, end_at: datetime) -> str:
    """The command that reads and scores a range again."""
    from_text, to_text = (f"{at:%Y-%m-%dT%H:%MZ}" for at in (start_at, end_at))
    return f"tsad rescore {dataset} --from {from_text} --to {to_text}"


def nothing_read(
    store: Store, config: DatasetConfig, uris: Uris, *, start_at: datetime, end_at: datetime
) -> str:
    """What to say of an interval of which the source gave no row; empty where it gave some.

    Raises `SourceError`, `AccessDenied` or `Unavailable`: see `open_sources`.
    """
    with store.transaction():
        dataset = datasets.upsert_dataset(store, config)
        first_at, last_at = whole_hours(start_at, end_at)
        span = {"start_at": first_at, "end_at": last_at}
        ledger = store.rows(queries.SELECT_INGEST_HOURS, dataset_id=dataset.dataset_id, **span)
    if any(row.n_rows for row in ledger) or not ledger:
        return ""
    now_at, bounds = store.now(), []
    with open_sources(uris, config) as parts:
        for part in parts:
            with part.asked() as source:
                bounds += [source.time_bounds(table, now_at) for table in source.tables]
    ends = [at for pair in bounds for at in pair if at is not None]
    range_text = " to ".join(f"{at:%Y-%m-%d %H:%M}" for at in (start_at, end_at))
    known = " to ".join(f"{at:%Y-%m-%d %H:%M}" for at in (min(ends), max(ends))) if ends else ""
    what = f"has readings from {known} UTC" if known else "is empty"
    said = f"The source of {config.dataset} gave no row for {range_text} UTC; it {what}."
    return f"{said} Look: tsad datasets check {config.dataset}"


def late_changes(
    store: Store, config: DatasetConfig, uris: Uris, *, start_at: datetime, end_at: datetime
) -> list[LateHour]:
    """Wholly read hours of [start_at, end_at) in which the source now has other rows.

    More rows, or rows updated since they were read (with `updated_at` configured), come with the
    command that reads and scores them again; fewer rows are only told.

    Raises `SourceError` or `AccessDenied` or `Unavailable`: see `open_sources`.
    """
    with store.transaction():
        dataset = datasets.upsert_dataset(store, config)
        first_at, last_at = whole_hours(start_at, end_at)
        span = {"start_at": first_at, "end_at": last_at}
        ledger = store.rows(queries.SELECT_INGEST_HOURS, dataset_id=dataset.dataset_id, **span)
        of_sources = store.rows(
            queries.SELECT_INGEST_SOURCES, dataset_id=dataset.dataset_id, **span
        )
    counts = dict[str, dict[int, HourCount]]()
    with open_sources(uris, config) as parts:
        for part in parts:
            with part.asked() as source:
                counts[part.name] = source.count_hours(unix_us(first_at), unix_us(last_at))
    late, known = [], {(one.hour_at, one.source): one for one in of_sources}
    for row in ledger:
        hour_end = row.hour_at + HOUR
        had = {name: known.get((row.hour_at, name)) for name in counts} if len(counts) > 1 else {}
        compared = [_Compared.of(row, [counts[name] for name in counts])]
        if had and all(had.values()):
            compared = [_Compared.of(one, [counts[name]]) for name, one in had.items() if one]
        if row.read_until >= hour_end and any(one.is_other for one in compared):
            again = rescore_command(config.dataset, row.hour_at, hour_end)
            command = again if any(one.is_more for one in compared) else ""
            now = sum((one.now for one in compared), HourCount(0))
            said = row.n_rows, now.n_rows, now.updated_at, command
            late.append(LateHour(row.hour_at, *said))
    return late


class _Compared(NamedTuple):
    """What was read of an hour, of all sources or of one, and what there is now."""

    n_rows: int
    now: HourCount
    is_updated: bool

    @classmethod
    def of(
        cls,
        row: queries.IngestHour | queries.IngestSource,
        counts: Sequence[dict[int, HourCount]],
    ) -> _Compared:
        now = sum((one.get(unix_us(row.hour_at), HourCount(0)) for one in counts), HourCount(0))
        # Both by the source's clock: when the warehouse read it says another one.
        is_updated = (now.updated_at or NO_CHANGE) > (row.updated_until or LAST_CHANGE)
        return cls(row.n_rows, now, is_updated)

    @property
    def is_more(self) -> bool:
        return self.now.n_rows > self.n_rows or self.is_updated

    @property
    def is_other(self) -> bool:
        return self.now.n_rows != self.n_rows or self.is_updated
