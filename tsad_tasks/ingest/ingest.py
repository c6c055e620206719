"""Task `ingest`: from the source tables to blocks of readings, only what is missing or may still
change.

Each chunk of hours is one transaction: take the locks of its hours, read the source, merge, write.
Since the source is read under the locks, whoever writes later has seen the source later, and the
order of runs does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.clock import utc_now
from tsad_tasks.base.errors import NotYet
from tsad_tasks.base.interval import HOUR, from_unix_s, hour_floor, hours_between, unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.accepted_rows import Taken, count_tables, taken
from tsad_tasks.ingest.queries import (
    DELETE_INGEST_ISSUES,
    INSERT_INGEST_ISSUES,
    SELECT_INGEST_HOURS,
    UPSERT_INGEST_HOURS,
    UPSERT_LABELS,
    IngestHour,
    IngestIssue,
    Label,
)
from tsad_tasks.ingest.sensor_changes import learn_levels
from tsad_tasks.ingest.sensor_quality import dependent_hours, judge_hours
from tsad_tasks.ingest.sources.postgres import HourCount, Source, open_source
from tsad_tasks.ingest.tally import Tally
from tsad_tasks.storage.datasets import (
    Layout,
    ensure_entities,
    ensure_layout,
    lock_hours,
    select_entities,
    upsert_dataset,
)
from tsad_tasks.storage.readings import read_raw_blocks, write_blocks
from tsad_tasks.storage.store import Store, columns

Mask = NDArray[np.bool_]
Float = NDArray[np.float64]

_CHUNK_BYTES = 256 << 20
_CHUNK_HOURS = 24


@dataclass(frozen=True)
class IngestSummary:
    """What ingesting did. `lag_s` is None when nothing was read live; `issues` counts rows by
    name.
    """

    n_hours_read: int = 0
    n_hours_skipped: int = 0
    n_rows: int = 0
    n_readings: int = 0
    n_blocks_changed: int = 0
    n_entities: int = 0
    n_verdicts: int = 0
    lag_s: float | None = None
    issues: dict[str, int] = field(default_factory=dict)
    changed_hours: tuple[datetime, ...] = ()
    n_levels_learned: int = 0

    def __add__(self, other: IngestSummary) -> IngestSummary:
        names = sorted({*self.issues, *other.issues})
        lags = [lag for lag in (self.lag_s, other.lag_s) if lag is not None]
        return IngestSummary(
            self.n_hours_read + other.n_hours_read,
            self.n_hours_skipped + other.n_hours_skipped,
            self.n_rows + other.n_rows,
            self.n_readings + other.n_readings,
            self.n_blocks_changed + other.n_blocks_changed,
            max(self.n_entities, other.n_entities),
            self.n_verdicts + other.n_verdicts,
            min(lags, default=None),
            {name: self.issues.get(name, 0) + other.issues.get(name, 0) for name in names},
            tuple(sorted({*self.changed_hours, *other.changed_hours})),
            self.n_levels_learned + other.n_levels_learned,
        )


@dataclass(frozen=True)
class LateHour:
    """An hour in which the source no longer agrees with what was read.

    `command` reads and scores it again; it is empty when rows are merely gone, since absence does
    not erase.
    """

    hour_at: datetime
    n_rows_read: int
    n_rows_now: int
    updated_at: datetime | None
    command: str


def ingest_interval(
    store: Store,
    config: DatasetConfig,
    source_uri: str,
    *,
    start_at: datetime,
    end_at: datetime,
    history_s: int = 0,
    now: Callable[[], datetime] = utc_now,
    force: bool = False,
) -> IngestSummary:
    """Counts of bringing the readings up to `end_at` into the warehouse.

    Reads the hours since `start_at` less the mutability period (or less `history_s`, if that is
    longer) which the ledger does not have, has not as far, or has from a time when their rows could
    still change.

    Parameters
    ----------
    history_s : how far before `start_at` readings are needed.
    force : read the hours of [start_at, end_at) whatever the ledger says.

    Raises
    ------
    NotYet
        The interval has not settled yet.
    SourceError, AccessDenied, Unavailable
        See `open_source`.
    """
    _require_settled(config, end_at, now())
    with store.transaction():
        dataset = upsert_dataset(store, config)
        layout = ensure_layout(store, dataset.dataset_id, config)
    first_at = start_at - timedelta(seconds=max(history_s, config.source.mutability_s))
    wanted = [
        hour for hour in hours_between(first_at, end_at) if hour >= (dataset.retired_before or hour)
    ]
    forced = set(hours_between(start_at, end_at)) if force else set()
    ingest = _Ingest(store, config, dataset.dataset_id, layout, end_at, frozenset(forced), now)
    due = ingest.due_hours(wanted)
    summary = IngestSummary(n_hours_skipped=len(wanted) - len(due))
    if due:
        with open_source(source_uri, config) as source:
            summary += ingest.read_hours(source, due)
    return replace(summary, n_levels_learned=learn_levels(store, config))


def _require_settled(config: DatasetConfig, end_at: datetime, now_at: datetime) -> None:
    settled_at = end_at + timedelta(seconds=config.source.settle_s)
    if now_at < settled_at:
        raise NotYet(
            f"Expected {config.dataset} to have settled until {end_at:%Y-%m-%d %H:%M} UTC, which "
            "is so at "
            f"{settled_at:%Y-%m-%d %H:%M:%S} UTC. Received: {now_at:%Y-%m-%d %H:%M:%S} UTC.",
            settled_at,
        )


@dataclass(frozen=True)
class _Ingest:
    """What all chunks of one call share."""

    store: Store
    config: DatasetConfig
    dataset_id: int
    layout: Layout
    end_at: datetime
    forced: frozenset[datetime]
    now: Callable[[], datetime]

    def due_hours(self, hours: Sequence[datetime]) -> list[datetime]:
        """Those of `hours`, ascending, that must be read."""
        if not hours:
            return []
        with self.store.transaction():
            ledger = self._ledger(hours)
        return self._due(hours, ledger)

    def _ledger(self, hours: Sequence[datetime]) -> dict[datetime, IngestHour]:
        rows = self.store.rows(
            SELECT_INGEST_HOURS,
            dataset_id=self.dataset_id,
            start_at=hours[0],
            end_at=hours[-1] + HOUR,
        )
        return {row.hour_at: row for row in rows}

    def _due(self, hours: Sequence[datetime], ledger: dict[datetime, IngestHour]) -> list[datetime]:
        return [
            hour for hour in hours if hour in self.forced or self._is_due(hour, ledger.get(hour))
        ]

    def _is_due(self, hour: datetime, row: IngestHour | None) -> bool:
        """Never read, not read far enough, or read when rows could still change."""
        final_at = hour + HOUR + timedelta(seconds=self.config.source.mutability_s)
        return (
            row is None or row.read_until < min(hour + HOUR, self.end_at) or row.read_at < final_at
        )

    def read_hours(self, source: Source, hours: Sequence[datetime]) -> IngestSummary:
        """Read `hours` chunk by chunk; chunks grow as long as they fit into memory."""
        summary, n_hours, rows_per_hour = IngestSummary(), 1, 1
        null_times = source.count_null_times(cheaply=True)
        for run in _runs(hours):
            at = 0
            while at < len(run):
                chunk = run[at : at + n_hours]
                is_last = chunk[-1] == hours[-1]
                done = self._read_chunk(source, chunk, null_times if is_last else 0)
                summary, at = summary + done, at + len(chunk)
                rows_per_hour = max(rows_per_hour, done.n_rows // len(chunk))
                n_hours = min(
                    2 * n_hours,
                    _CHUNK_HOURS,
                    self._affordable_hours(rows_per_hour, done.n_entities),
                )
        return summary

    def _affordable_hours(self, rows_per_hour: int, n_entities: int) -> int:
        n_channels = len(self.layout.channel_ids)
        row_bytes = 4 * (60 + 8 * n_channels)
        block_bytes = 6 * 8 * n_channels * self.layout.n_steps
        return max(1, _CHUNK_BYTES // (rows_per_hour * row_bytes + n_entities * block_bytes))

    def _read_chunk(
        self, source: Source, chunk: Sequence[datetime], null_times: int
    ) -> IngestSummary:
        with self.store.transaction():
            lock_hours(self.store, self.dataset_id, dependent_hours(chunk))
            ledger = self._ledger(chunk)
            due = self._due(chunk, ledger)
            if not due:
                return IngestSummary(n_hours_skipped=len(chunk))
            # Hours between the first and the last due one are read along: that changes nothing, and
            # asks once.
            hours = hours_between(due[0], due[-1] + HOUR)
            tally = Tally()
            tally.add_count(
                "null_time",
                unix_s(hours[-1]) * 1_000_000,
                null_times,
                detail="in the whole source; not taken",
            )
            summary = _Chunk(self, source, hours, ledger, tally).take()
            return replace(summary, n_hours_skipped=len(chunk) - len(hours))


@dataclass(frozen=True)
class _Chunk:
    """Consecutive hours whose locks are held."""

    ingest: _Ingest
    source: Source
    hours: list[datetime]
    ledger: dict[datetime, IngestHour]
    tally: Tally

    def take(self) -> IngestSummary:
        """Read, merge, write."""
        store, dataset_id, layout = self.ingest.store, self.ingest.dataset_id, self.ingest.layout
        known = select_entities(store, dataset_id)
        read_at = self.ingest.now()
        read = self._read(known)
        ids = ensure_entities(store, dataset_id, read.entity_names)
        self._count_new(read, known)
        entity_ids = [ids[name] for name in read.entity_names]
        n_blocks, changed = self._merge(layout, entity_ids, read)
        rows = self._ledger_rows(read, read_at)
        store.execute(UPSERT_INGEST_HOURS, dataset_id=dataset_id, **columns(rows, IngestHour))
        labels = _labels(self.hours, self.read_until, layout, entity_ids, read.labelled)
        store.execute(UPSERT_LABELS, **columns(labels, Label))
        n_verdicts = self._judge(np.array(entity_ids), changed)
        store.execute(DELETE_INGEST_ISSUES, dataset_id=dataset_id, hours=list(self.hours))
        issues = columns(self._issues(), IngestIssue)
        store.execute(INSERT_INGEST_ISSUES, dataset_id=dataset_id, **issues)
        lags = [row.lag_s for row in rows if row.lag_s is not None]
        return IngestSummary(
            n_hours_read=len(self.hours),
            n_rows=int(read.n_rows.sum()),
            n_readings=int(read.n_readings.sum()),
            n_blocks_changed=n_blocks,
            n_entities=len(ids),
            n_verdicts=n_verdicts,
            lag_s=min(lags, default=None),
            issues=self.tally.totals(),
            changed_hours=tuple(self.hours[i] for i in np.flatnonzero(changed.any(axis=0))),
        )

    @property
    def read_until(self) -> datetime:
        """How far the last hour is read: to the interval's end, and never less far than before."""
        last = self.hours[-1]
        before = self.ledger[last].read_until if last in self.ledger else last
        return min(last + HOUR, max(self.ingest.end_at, before))

    def _read(self, known: dict[str, int]) -> Taken:
        start_us, end_us = (unix_s(at) * 1_000_000 for at in (self.hours[0], self.read_until))
        rows = self.source.read(start_us, end_us, known)
        if self.source.faults:
            count_tables(
                self.source.faults, [unix_s(hour) * 1_000_000 for hour in self.hours], self.tally
            )
        # Readings of all known entities are compared where an hour was read before: some may have
        # vanished.
        shown = known if any(hour in self.ledger for hour in self.hours) else ()
        grid_end_us = unix_s(self.hours[-1] + HOUR) * 1_000_000
        return taken(rows, self.ingest.config, list(shown), (start_us, grid_end_us), self.tally)

    def _count_new(self, read: Taken, known: dict[str, int]) -> None:
        for position, name in enumerate(read.entity_names):
            if name not in known:
                first = (
                    int(read.gridded.present[position].any(axis=1).argmax())
                    * self.ingest.config.source.step_s
                )
                hour_us = (unix_s(self.hours[0]) + first) // 3600 * 3_600_000_000
                self.tally.add_count(
                    "new_entity", hour_us, 1, entity=name, detail="not seen before"
                )

    def _merge(self, layout: Layout, entity_ids: list[int], read: Taken) -> tuple[int, Mask]:
        """Blocks changed, and which (n_entities, n_hours): what the source says wins, else all
        stays.
        """
        if not entity_ids:
            return 0, np.zeros((0, len(self.hours)), bool)
        blocks = read_raw_blocks(
            self.ingest.store, layout, entity_ids, self.hours[0], self.hours[-1] + HOUR
        )
        columns = [layout.channel_names.index(name) for name in self.ingest.config.channel_names]
        before, present = blocks.values[:, :, columns], read.gridded.present
        after = np.where(present, read.gridded.values, before)
        self._count_vanished(before, present, read.entity_names)
        differs = ~((after == before) | (np.isnan(after) & np.isnan(before)))
        is_new = (blocks.checksums == 0) & self._by_hour(present)
        changed: Mask = np.logical_or(self._by_hour(differs), is_new)
        merged = blocks.values
        merged[:, :, columns] = after
        entity, hour = np.nonzero(changed)
        by_hour = merged.reshape(len(entity_ids), len(self.hours), layout.n_steps, -1)[entity, hour]
        hours = [self.hours[i] for i in hour.tolist()]
        return write_blocks(
            self.ingest.store, layout, [entity_ids[i] for i in entity.tolist()], hours, by_hour
        ), changed

    def _by_hour(self, cells: Mask) -> Mask:
        """Whether anything is true, (n_entities, n_hours), in (n_entities, n_steps, n_channels)."""
        anything: Mask = np.logical_or.reduce(
            cells.reshape(len(cells), len(self.hours), -1), axis=2
        )
        return anything

    def _count_vanished(self, before: Float, present: Mask, names: Sequence[str]) -> None:
        n_seen = (unix_s(self.read_until) - unix_s(self.hours[0])) // self.ingest.layout.step_s
        gone = ~np.isnan(before) & ~present & self._offered()
        gone[:, n_seen:] = False
        for entity, step in np.argwhere(gone.any(axis=2)).tolist():
            hour_us = (
                (unix_s(self.hours[0]) + step * self.ingest.layout.step_s) // 3600 * 3_600_000_000
            )
            self.tally.add_count(
                "vanished", hour_us, 1, entity=names[entity], detail="gone from the source; kept"
            )

    def _offered(self) -> Mask:
        """Channels that at least one table has: of the others nothing can vanish."""
        offered = np.zeros(len(self.ingest.config.channel_names), bool)
        for plan in self.source.plans:
            offered[[position for position, _ in plan.channels]] = True
        return np.ones_like(offered) if self.ingest.config.source.shape == "long" else offered

    def _ledger_rows(self, read: Taken, read_at: datetime) -> list[IngestHour]:
        return [self._ledger_row(i, hour, read, read_at) for i, hour in enumerate(self.hours)]

    def _ledger_row(self, i: int, hour: datetime, read: Taken, read_at: datetime) -> IngestHour:
        read_until = min(hour + HOUR, self.read_until)
        newest_us = int(read.newest_us[i])
        newest_at = (
            from_unix_s(newest_us // 1_000_000) if read.n_rows[i] and newest_us > 0 else None
        )
        before = self.ledger.get(hour)
        is_first = before is None or before.read_until < read_until
        is_live = read_at < hour + HOUR + timedelta(seconds=self.ingest.config.source.mutability_s)
        lag_s = (
            (read_at - newest_at).total_seconds() if newest_at and is_first and is_live else None
        )
        return IngestHour(
            hour,
            read_until,
            read_at,
            int(read.n_rows[i]),
            int(read.n_readings[i]),
            newest_at,
            lag_s,
        )

    def _judge(self, entity_ids: NDArray[np.int64], changed: Mask) -> int:
        ingest = self.ingest
        hours = [self.hours[i] for i in np.flatnonzero(changed.any(axis=0))]
        if not hours:
            return 0
        ledger = ingest._ledger(dependent_hours(hours))
        judged = [hour for hour in dependent_hours(hours) if hour in ledger]
        of_changed = entity_ids[changed.any(axis=1)].tolist()
        return judge_hours(ingest.store, ingest.config, ingest.layout, of_changed, judged)

    def _issues(self) -> list[IngestIssue]:
        return [
            IngestIssue(
                from_unix_s(n.hour_us // 1_000_000),
                n.entity,
                n.channel,
                n.issue,
                n.n_rows,
                n.detail,
            )
            for n in self.tally.counts()
        ]


def _runs(hours: Sequence[datetime]) -> Iterator[Sequence[datetime]]:
    """Consecutive hours together."""
    start = 0
    for i in range(1, len(hours) + 1):
        if i == len(hours) or hours[i] - hours[i - 1] != HOUR:
            yield hours[start:i]
            start = i


def _labels(
    hours: Sequence[datetime],
    read_until: datetime,
    layout: Layout,
    entity_ids: Sequence[int],
    labelled: Mask,
) -> list[Label]:
    """Labelled steps as intervals, cut at each hour so that they do not depend on what was read
    together.
    """
    found = []
    for i, entity_id in enumerate(entity_ids):
        for k in range(len(hours) if labelled[i].any() else 0):
            if hours[k] + HOUR <= read_until:
                steps = labelled[i, k * layout.n_steps : (k + 1) * layout.n_steps]
                found += [
                    Label(entity_id, *span, "anomaly", "source")
                    for span in _label_spans(hours[k], layout.step_s, steps)
                ]
    return found


def _label_spans(hour: datetime, step_s: int, steps: Mask) -> Iterator[tuple[datetime, datetime]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], steps, [False]]).astype(int)))
    for first, end in edges.reshape(-1, 2).tolist():
        yield hour + timedelta(seconds=first * step_s), hour + timedelta(seconds=end * step_s)


def late_changes(
    store: Store, config: DatasetConfig, source_uri: str, *, start_at: datetime, end_at: datetime
) -> list[LateHour]:
    """Wholly read hours of [start_at, end_at) in which the source now has other rows than were
    read.

    More rows, or rows updated since they were read (with `updated_at` configured), come with the
    command that reads and scores them again; fewer rows are only told.

    Raises
    ------
    SourceError, AccessDenied, Unavailable
        See `open_source`.
    """
    with store.transaction():
        dataset = upsert_dataset(store, config)
        first_at, last_at = (
            hour_floor(start_at),
            hour_floor(end_at - timedelta(microseconds=1)) + HOUR,
        )
        ledger = store.rows(
            SELECT_INGEST_HOURS, dataset_id=dataset.dataset_id, start_at=first_at, end_at=last_at
        )
    with open_source(source_uri, config) as source:
        now = source.count_hours(unix_s(first_at) * 1_000_000, unix_s(last_at) * 1_000_000)
    found = (
        _late_hour(config, row, now.get(unix_s(row.hour_at) * 1_000_000, HourCount(0, None)))
        for row in ledger
    )
    return [late for late in found if late is not None]


def _late_hour(config: DatasetConfig, row: IngestHour, now: HourCount) -> LateHour | None:
    is_updated = now.updated_at is not None and now.updated_at > row.read_at
    if row.read_until < row.hour_at + HOUR or (now.n_rows == row.n_rows and not is_updated):
        return None
    span = f"--from {row.hour_at:%Y-%m-%dT%H:%MZ} --to {row.hour_at + HOUR:%Y-%m-%dT%H:%MZ}"
    command = (
        f"tsad ingest {config.dataset} {span} --force"
        if now.n_rows > row.n_rows or is_updated
        else ""
    )
    return LateHour(row.hour_at, row.n_rows, now.n_rows, now.updated_at, command)
