"""Task `ingest`: blocks of readings from the source, only what is missing or may change.

Each chunk of hours is one transaction: take the locks of its hours, read the source, merge, write.
Since the source is read under the locks, whoever writes later has seen the source later, and the
order of runs does not matter.
"""

from __future__ import annotations

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.errors import BadInput, Interrupted, NotYet, SourceError
from tsad_tasks.base.interval import (
    HOUR,
    Interval,
    from_unix_s,
    hour_floor,
    hours_between,
    unix_s,
    unix_us,
)
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest import queries
from tsad_tasks.ingest.accepted_rows import AcceptedRows, accepted_rows, may_lack
from tsad_tasks.ingest.afterwards import Needs, dependent_hours_after
from tsad_tasks.ingest.awaited import awaited_ranges, hours_with_more
from tsad_tasks.ingest.entity_tables import Heard, names_its_tables, note_tables, tables_heard
from tsad_tasks.ingest.events import (
    EventCells,
    EventHours,
    hours_of_retirements,
    note_retirements_read,
    unread_retirements,
)
from tsad_tasks.ingest.inventory import note_inventory
from tsad_tasks.ingest.joined import joined, series_apart
from tsad_tasks.ingest.late import NO_CHANGE
from tsad_tasks.ingest.quality import DAY_H
from tsad_tasks.ingest.read_settings import ReadSettings, former_config, read_settings
from tsad_tasks.ingest.sensor_changes import learn_sensors
from tsad_tasks.ingest.sensor_quality import dependent_hours, judge_hours, mark_hours
from tsad_tasks.ingest.series import series_held
from tsad_tasks.ingest.sources.base import (
    HOUR_US,
    PLAUSIBLE_FROM,
    HourCount,
    OpenPart,
    Tag,
    Uris,
    open_sources,
)
from tsad_tasks.ingest.tally import Tally
from tsad_tasks.model.windows import batches
from tsad_tasks.storage import datasets
from tsad_tasks.storage.fitted import EarlierValue, first_values
from tsad_tasks.storage.lives import (
    counted_entities,
    life_ends,
    living_entities,
    note_lives,
    note_source_lives,
)
from tsad_tasks.storage.readings import (
    WrittenBlocks,
    delete_blocks,
    read_counts,
    read_raw_blocks,
    write_blocks,
)
from tsad_tasks.storage.store import Store, columns
from tsad_tasks.storage.turns import source_turn

log = logging.getLogger("tsad")

Mask = NDArray[np.bool_]

_CHUNK_BYTES = 256 << 20
_CHUNK_HOURS = 24
# What is read in one go is committed after about so long; a snapshot of the source lasts no longer.
_CHUNK_S = 20.0
# So often a single hour is asked for whose read the source ends.
_N_TRIES = 3
# A copy of the source that is behind is waited for, and looked at again after so long.
_LOOK_AGAIN = timedelta(minutes=1)
# So many hours of one entity are judged again at once, when a sensor was there earlier than known.
_JUDGED_HOURS = 168
_LATEST_AT = datetime(2100, 1, 1, tzinfo=UTC)
# So long after its first value a sensor that never moved is told of.
_TOLD_WITHIN = timedelta(hours=2 * DAY_H + 1)


@dataclass(frozen=True)
class IngestSummary:
    """What ingesting did. `lag_s`: None when nothing was read live; `issues`: rows by name."""

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
        names = [one.name for one in fields(self) if one.type == "int"]
        sums = {name: getattr(self, name) + getattr(other, name) for name in names}
        lags = [lag for lag in (self.lag_s, other.lag_s) if lag is not None]
        issues = Counter(self.issues) + Counter(other.issues)
        return IngestSummary(
            **sums | {"n_entities": max(self.n_entities, other.n_entities)},
            lag_s=min(lags, default=None),
            issues=dict(sorted(issues.items())),
            changed_hours=tuple(sorted({*self.changed_hours, *other.changed_hours})),
        )


def ingest_interval(
    store: Store,
    config: DatasetConfig,
    uris: Uris,
    *,
    start_at: datetime,
    end_at: datetime,
    history_s: int = 0,
    now: Callable[[], datetime] | None = None,
    force: bool = False,
    comes_again: bool = False,
) -> IngestSummary:
    """Counts of bringing the readings up to `end_at` into the warehouse.

    Reads the hours since `start_at` less `late_rows_within` (or less `history_s`, if that is
    longer) which the ledger does not have, has not as far, or has from a time when their rows could
    still change; and hours of `late` before these of which rows have come (`awaited.py`). Of
    several sources all are read, or nothing is written.

    Parameters
    ----------
    uris : of the source's connection, or of each of several.
    history_s : how far before `start_at` readings are needed.
    now : tells when the interval has settled and until when rows may change: by default the
        warehouse's clock, whatever the one of this machine says.
    force : read the hours of [start_at, end_at) whatever the ledger says, and no others late.
    comes_again : whoever asks comes again, and need not wait here until others have read.

    Raises
    ------
    NotYet
        The interval has not settled yet; or, where one comes again, others are reading.
    SourceError, AccessDenied, Unavailable
        See `open_sources`.
    """
    clock = now or store.now
    now_at = clock()
    settled_at = _settled_at(config, end_at, now_at)
    with store.transaction():
        dataset = datasets.upsert_dataset(store, config)
        layout = datasets.ensure_layout(store, dataset.dataset_id, config)
    first_at = start_at - timedelta(seconds=max(history_s, config.late_rows_within_s))
    wanted = [
        hour for hour in hours_between(first_at, end_at) if hour >= (dataset.retired_before or hour)
    ]
    forced = frozenset(hours_between(start_at, end_at) if force else ())
    settings = read_settings(config, {})
    own = Interval(start_at, end_at)
    ingest = _Ingest(store, config, dataset.dataset_id, layout, own, forced, clock, settings)
    ingest = replace(ingest, comes_again=comes_again)

    def check(part: OpenPart) -> None:
        _check_replayed(part, end_at, settled_at, now_at)

    if not force:
        back_s = config.interval_s + config.late_rows_within_s
        ingest = replace(ingest, late_before=hour_floor(end_at - timedelta(seconds=back_s)))
        unread = unread_retirements(store, config, dataset.dataset_id)
        hours = hours_of_retirements(store, dataset.dataset_id, unread)
        hours = [hour for hour in hours if hour >= (dataset.retired_before or hour)]
        ingest = replace(ingest, forced=ingest.forced | frozenset(hours))
        wanted = sorted({*wanted, *hours})
    summary = ingest.read(uris, wanted, check)
    if not force:
        note_retirements_read(store, unread)
        ranges = awaited_ranges(store, config, dataset.dataset_id, own, ingest.back)
        if ranges:
            with ingest.turns():
                hours = hours_with_more(store, config, uris, ranges)
            again = replace(ingest, forced=frozenset(hours))
            summary += again.read(uris, hours, check)
    note_inventory(store, config, dataset.dataset_id, uris)
    # With what a run that was killed after it had read may have left to learn.
    late_at = start_at - timedelta(seconds=config.late_rows_within_s)
    read = Interval(min([late_at, *ingest.first_due]), end_at)
    return replace(summary, n_levels_learned=learn_sensors(store, config, read))


def _settled_at(config: DatasetConfig, end_at: datetime, now_at: datetime) -> datetime:
    """When the interval had settled; raises `NotYet` where that is still to come."""
    settled_at = end_at + timedelta(seconds=config.wait_for_rows_s)
    if now_at < settled_at:
        rule = f"{config.dataset} to have settled until {end_at:%Y-%m-%d %H:%M} UTC"
        at, received = (f"{one:%Y-%m-%d %H:%M:%S} UTC" for one in (settled_at, now_at))
        said = f"Expected {rule}, which is so at {at}. Received: {received}."
        raise NotYet(said, settled_at - now_at)
    return settled_at


def _turns(config: DatasetConfig) -> dict[str, int]:
    """How many may read at once from each of the dataset's connections."""
    found = dict[str, int]()
    for one in config.sources:
        most = found.get(one.connection, one.max_connections)
        found[one.connection] = min(most, one.max_connections)
    return found


def _check_replayed(
    part: OpenPart, end_at: datetime, settled_at: datetime, now_at: datetime
) -> None:
    """Waits for a standby that has not replayed what the primary had by the time of settling.

    Not for ever: what comes later than `late_rows_within` is not read by itself anyway.
    """
    with part.asked() as source:
        behind_since = source.behind_since()
    if behind_since is None or behind_since >= settled_at:
        return
    if now_at < end_at + timedelta(seconds=part.config.late_rows_within_s):
        raise NotYet(
            f"Expected the standby that {part.config.dataset}'s {part.title} is read from to have "
            f"replayed what was written until {settled_at:%Y-%m-%d %H:%M:%S} UTC. Received: a "
            f"standby that is at {behind_since:%Y-%m-%d %H:%M:%S} UTC.",
            _LOOK_AGAIN,
        )


class Former(NamedTuple):
    """A dataset's sources as other settings read them."""

    config: DatasetConfig
    parts: Sequence[OpenPart]


@dataclass(frozen=True)
class _Ingest:
    """What all chunks of one call share.

    Attributes
    ----------
    own : the interval of the run.
    forced : hours that are read whatever the ledger says.
    late_before : before this, what changes of an hour that was read is noted as late; None: of no
        hour.
    back : entities and hours of which rows were read for the first time; chunks add to it.
    first_due : the first of the hours that were due, each time when some were.
    due : hours that are read one after the other.
    """

    store: Store
    config: DatasetConfig
    dataset_id: int
    layout: datasets.Layout
    own: Interval
    forced: frozenset[datetime]
    now: Callable[[], datetime]
    settings: ReadSettings
    former_parts: Mapping[str, Former] = field(default_factory=dict)
    # Hours that other ones have made due again.
    again: set[datetime] = field(default_factory=set)
    late_before: datetime | None = None
    comes_again: bool = False
    back: set[tuple[int, datetime]] = field(default_factory=set)
    first_due: set[datetime] = field(default_factory=set)
    due: frozenset[datetime] = frozenset()

    @property
    def end_at(self) -> datetime:
        """The end of the run's interval."""
        return self.own.end_at

    def own_part(self, hour: datetime) -> Interval | None:
        """What of an hour is of the run's interval; None: it only looks back, or beyond."""
        start_at, end_at = max(hour, self.own.start_at), min(hour + HOUR, self.own.end_at)
        return Interval(start_at, end_at) if start_at < end_at else None

    @contextmanager
    def turns(self) -> Iterator[None]:
        """A turn at each of the dataset's sources."""
        with ExitStack() as stack:
            # In one order for all, lest two wait for each other.
            for connection, n_turns in sorted(_turns(self.config).items()):
                of = self.store, connection, n_turns, self.dataset_id
                turn = source_turn(*of, comes_again=self.comes_again)
                stack.enter_context(turn)
            yield

    def read(
        self, uris: Uris, wanted: Sequence[datetime], check: Callable[[OpenPart], None]
    ) -> IngestSummary:
        """Reads those of the hours that are due. `check` looks at each source before."""
        due, digests = list[datetime](), set[str]()
        if wanted:
            with self.store.transaction():
                ledger = self.ledger(wanted)
            due = self.due_hours(wanted, ledger)
            known = [ledger[hour].settings for hour in due if hour in ledger]
            digests = {digest for digest in known if digest is not None}
        summary = IngestSummary(n_hours_skipped=len(wanted) - len(due))
        ingest = self
        self.first_due.update(due[:1])
        while due:
            with self.turns(), ExitStack() as stack:
                held = series_held(self.store, self.config, self.dataset_id, uris)
                parts = stack.enter_context(open_sources(uris, self.config, held.tags))
                for part in parts:
                    check(part)
                    with part.asked() as source:
                        if refusal := source.refuses(unix_us(due[-1])):
                            raise SourceError(refusal)
                settings = read_settings(self.config, held.scales)
                former = self.former(digests - {settings.digest}, uris, held.tags, stack)
                reading = replace(ingest, settings=settings, former_parts=former)
                reading = replace(reading, due=frozenset(due))
                done, due = reading.read_hours(parts, due, held.version)
            summary += done
            if ingest.again:
                due = sorted({*due, *ingest.again})
                self.first_due.update(due[:1])
                ingest = replace(ingest, forced=ingest.forced | ingest.again, again=set())
        return summary

    def former(
        self,
        digests: Collection[str],
        uris: Uris,
        tags: Sequence[Sequence[Tag] | None],
        stack: ExitStack,
    ) -> dict[str, Former]:
        """The sources as other settings read them, open; without those that cannot be read so any
        more.
        """
        if not digests:
            return {}
        with self.store.transaction():
            asked = {"dataset_id": self.dataset_id, "digests": sorted(digests)}
            rows = self.store.rows(queries.SELECT_FORMER_SETTINGS, **asked)
        found = dict[str, Former]()
        for digest, said in rows:
            config = former_config(self.config, said)
            if config is None or config.step_s != self.config.step_s:
                continue
            given = [
                own if part.source.series_columns == now.source.series_columns else None
                for own, part, now in zip(tags, config.parts, self.config.parts, strict=True)
            ]
            with suppress(BadInput):
                parts = stack.enter_context(open_sources(uris, config, given))
                found[digest] = Former(config, parts)
        return found

    def ledger(self, hours: Sequence[datetime]) -> dict[datetime, queries.IngestHour]:
        """What was read of these hours, and of those between them."""
        span = {"start_at": hours[0], "end_at": hours[-1] + HOUR}
        rows = self.store.rows(queries.SELECT_INGEST_HOURS, dataset_id=self.dataset_id, **span)
        return {row.hour_at: row for row in rows}

    def due_hours(
        self, hours: Sequence[datetime], ledger: dict[datetime, queries.IngestHour]
    ) -> list[datetime]:
        """Those never read, not read far enough, or read when rows could still change; of the run's
        own interval also those that only others have read, which looked back.
        """
        late_within = timedelta(seconds=self.config.late_rows_within_s)
        due = []
        for hour in hours:
            row, hour_end = ledger.get(hour), hour + HOUR
            is_read = row is not None and row.read_until >= min(hour_end, self.end_at)
            is_final = row is not None and row.read_at >= hour_end + late_within
            is_asked = row is not None and _holds(row.asked, self.own_part(hour))
            if hour in self.forced or not (is_read and is_final and is_asked):
                due.append(hour)
        return due

    def read_hours(
        self, parts: Sequence[OpenPart], hours: Sequence[datetime], version: int | None = None
    ) -> tuple[IngestSummary, list[datetime]]:
        """Read `hours` chunk by chunk; chunks grow as long as they fit into memory and time.

        What a source ends, since it lasted too long for it, is read again in halves. `version` is
        that of the names of series. Hours that are left are to be read by others.
        """
        summary, rows_per_hour, n_tried = IngestSummary(), 1, 0
        n_hours, n_most = 1, _CHUNK_HOURS
        outside = [one for part in parts for one in self._outside_of_time(part, hours[0])]
        n_channels = len(self.layout.channel_ids)
        row_bytes, block_bytes = 4 * (60 + 8 * n_channels), 48 * n_channels * self.layout.n_steps
        runs = np.flatnonzero(np.diff([unix_s(hour) for hour in hours]) != 3600) + 1
        for run in np.split(np.array(hours, object), runs):
            at = 0
            while at < len(run):
                chunk = run[at : at + n_hours].tolist()
                is_last, began_s = chunk[-1] == hours[-1], monotonic()
                try:
                    with self.store.transaction():
                        datasets.lock_hours(self.store, self.dataset_id, dependent_hours(chunk))
                        if not self._is_named(version):
                            return summary, [hour for hour in hours if hour >= chunk[0]]
                        done = self._read_chunk(parts, chunk, outside if is_last else [])
                except Interrupted as error:
                    n_tried += 1
                    if len(chunk) == 1 and not (error.by_chance and n_tried < _N_TRIES):
                        raise
                    log.warning("%s", error)
                    n_most = n_hours = max(1, len(chunk) // 2)
                    continue
                n_tried = 0
                summary, at = summary + done, at + len(chunk)
                rows_per_hour = max(rows_per_hour, done.n_rows // len(chunk))
                hour_bytes = rows_per_hour * row_bytes + done.n_entities * block_bytes
                timely = int(len(chunk) * _CHUNK_S / (monotonic() - began_s))
                n_fitting = max(1, min(_CHUNK_BYTES // hour_bytes, timely))
                n_hours = min(2 * n_hours, n_most, n_fitting)
        return summary, []

    def _is_named(self, version: int | None) -> bool:
        """Whether series are still called what they were, which then stays so until the chunk's
        end; None: they have no names of their own.
        """
        if version is None:
            return True
        self.store.execute(queries.LOCK_SERIES, dataset_id=self.dataset_id)
        now = self.store.one(queries.SELECT_SERIES_VERSION, dataset_id=self.dataset_id)
        return now == version

    def _outside_of_time(
        self, part: OpenPart, first_at: datetime
    ) -> list[tuple[str, str, int, str]]:
        """Rows that no interval ever asks for: issue, entity, how many, and a detail."""
        where = f"in the whole {part.title}; not taken"
        with part.asked() as source:
            found = [("null_time", "", source.count_null_times(cheaply=True), where)]
            # Whoever reads the seventies means them.
            if first_at >= PLAUSIBLE_FROM:
                counts = source.implausible_times(self.now(), cheaply=True).items()
                detail = f"before {PLAUSIBLE_FROM:%Y} or more than a day ahead, {where}"
                found += [("implausible_time", name, n_rows, detail) for name, n_rows in counts]
        return found

    def _read_chunk(
        self,
        parts: Sequence[OpenPart],
        chunk: Sequence[datetime],
        outside: Sequence[tuple[str, str, int, str]],
    ) -> IngestSummary:
        ledger = self.ledger(chunk)
        due = self.due_hours(chunk, ledger)
        if not due:
            return IngestSummary(n_hours_skipped=len(chunk))
        # Hours between the first and the last due one are read along: that asks once.
        hours = hours_between(due[0], due[-1] + HOUR)
        tally = Tally()
        for issue, entity, n_rows, detail in outside:
            tally.add_count(issue, unix_us(hours[-1]), n_rows, entity=entity, detail=detail)
        summary = _Chunk(self, parts, hours, ledger, tally).ingest_hours()
        return replace(summary, n_hours_skipped=len(chunk) - len(hours))


def _holds(asked: Interval, part: Interval | None) -> bool:
    return part is None or asked.start_at <= part.start_at < part.end_at <= asked.end_at


def _asked_with(before: Interval, part: Interval | None) -> Interval:
    """A stretch with what is read of it now; of two that are apart the latter: the former is read
    once more, if it is asked for.
    """
    if part is None:
        return before
    if part.end_at < before.start_at or before.end_at < part.start_at:
        return part
    return Interval(min(before.start_at, part.start_at), max(before.end_at, part.end_at))


def _newest_at(n_rows: int, newest_us: int) -> datetime | None:
    return from_unix_s(newest_us // 1_000_000) if n_rows and newest_us > 0 else None


class _Merged(NamedTuple):
    """What was written, which blocks changed (n_entities, n_hours), in which channels (n_entities,
    n_hours, n_channels), and of which hours (n_hours,) the source has no beginning any more, so
    that former readings stay.
    """

    written: WrittenBlocks
    changed: Mask
    of_channels: Mask
    is_cut: Mask


@dataclass(frozen=True)
class _Chunk:
    """Consecutive hours whose locks are held.

    Attributes
    ----------
    unread : channels of which some table could not be read.
    heard_in : by source, in which of its tables rows of entities were read.
    """

    ingest: _Ingest
    parts: Sequence[OpenPart]
    hours: list[datetime]
    ledger: dict[datetime, queries.IngestHour]
    tally: Tally
    unread: set[str] = field(default_factory=set)
    heard_in: dict[str, Heard] = field(default_factory=dict)

    def ingest_hours(self) -> IngestSummary:
        """Read, merge, write."""
        store, dataset_id, layout = self.ingest.store, self.ingest.dataset_id, self.ingest.layout
        known = datasets.select_entities(store, dataset_id)
        read_at, updated = self.ingest.now(), self._updated_until()
        every = self._read(self._living())
        read = joined(self.ingest.config, every, self.span_us, self.tally)
        self._tell_new(known, read)
        ids = datasets.ensure_entities(store, dataset_id, read.entity_names)
        entity_ids = [ids[name] for name in read.entity_names]
        events = self._events(entity_ids, read)
        cells = events.cells() if events else None
        self._tell_lost(read, cells)
        merged = self._merge(layout, entity_ids, read, known, cells)
        written, changed = merged.written, merged.changed
        rows = self._keep_ledger(read, every, merged.is_cut, read_at, updated)
        self._note_late(entity_ids, changed)
        self.ingest.again.update(self._dependent(layout, entity_ids, read, merged.of_channels))
        labels = list(self._labels(entity_ids, read.labelled))
        store.execute(queries.UPSERT_LABELS, **columns(labels, queries.Label))
        changed_hours = [self.hours[i] for i in np.flatnonzero(changed.any(axis=0))]
        n_verdicts = 0
        # What a sensor is said to do depends on settings, too.
        anew = [hour for hour in self.hours if self._is_other(hour)]
        if changed_hours or anew:
            whose = entity_ids if anew else np.array(entity_ids)[changed.any(axis=1)].tolist()
            judged = dependent_hours([*changed_hours, *anew])
            known_hours = [*filter(self.ingest.ledger(judged).get, judged)]
            n_verdicts = judge_hours(store, self.ingest.config, layout, whose, known_hours)
            n_verdicts += self._judge_since(layout, written.earlier, judged)
        if read.gridded.marks is not None or anew:
            grid = entity_ids, self.hours, read.gridded
            n_verdicts += mark_hours(store, self.ingest.config, layout, *grid)
        told = columns(queries.issues_of(self.tally), queries.IngestIssue)
        store.execute(queries.DELETE_INGEST_ISSUES, dataset_id=dataset_id, hours=self.hours)
        store.execute(queries.INSERT_INGEST_ISSUES, dataset_id=dataset_id, **told)
        found = Counter(self.tally.totals())
        if events is not None:
            # Of two that read other hours of an entity the later one sees what the first has read.
            datasets.lock_dataset(store, dataset_id, "lives")
            self.ingest.again.update(self._counted_otherwise(events))
            self.ingest.again.update(events.counted_meanwhile(dataset_id))
            for part in self.parts:
                note_tables(store, part, ids, self.heard_in.get(part.name, {}))
        # Last, since whoever reads other hours of the same month waits for the end of this.
        grown = set(note_lives(store, entity_ids, self.hours, read.is_heard))
        for part, (_, of_part) in zip(self.parts, every, strict=True):
            if not part.is_alone:
                own = [ids[name] for name in of_part.entity_names]
                note_source_lives(store, part.name, own, self.hours, of_part.is_heard)
        self.ingest.back.update(
            (entity_ids[i], self.hours[k])
            for i, k in np.argwhere(read.is_heard).tolist()
            if entity_ids[i] in grown
        )
        if began := sorted({one.entity_id for one in written.earlier}):
            found["new_channel"] = store.execute(queries.REFRESH_NEW_CHANNELS, entity_ids=began)
        return IngestSummary(
            n_hours_read=len(self.hours),
            n_rows=int(read.n_rows.sum()),
            n_readings=int(read.n_readings.sum()),
            n_blocks_changed=written.n_changed,
            n_entities=len(ids),
            n_verdicts=n_verdicts,
            lag_s=min((row.lag_s for row in rows if row.lag_s is not None), default=None),
            issues=dict(sorted((+found).items())),
            changed_hours=tuple(changed_hours),
        )

    def _dependent(
        self,
        layout: datasets.Layout,
        entity_ids: Sequence[int],
        read: AcceptedRows,
        changed: Mask,
    ) -> list[datetime]:
        """Hours that were read before, and are not read after these anyway, of which rows of these
        decide that were not there when they were read.

        Those are rows of changed hours, and of hours that are read for the first time, after later
        ones.
        """
        config, known = self.ingest.config, self.hours
        n_hours_after = Needs.of(config).longest
        if not (n_hours_after and entity_ids):
            return []
        of_before, gridded = [self.ledger.get(hour) for hour in known], read.gridded
        shape = (len(entity_ids), len(known), layout.n_steps, -1)
        # What only holds there is said by rows before it, which may have been known.
        is_said = np.any(gridded.n_values.reshape(shape), axis=2)
        is_first = np.array([row is None for row in of_before])
        of_channels: Mask = np.where(is_first[:, None], is_said, changed)
        n_before = [0 if row is None else row.n_rows for row in of_before]
        is_other: Mask = np.not_equal(n_before, read.n_rows)
        if is_other.any():
            # A word that there is no value may end one that holds much later.
            is_none = (gridded.present & np.isnan(gridded.values)).reshape(shape)
            of_channels |= np.any(is_none, axis=2) & is_other[:, None]
        of_channels = of_channels[:, :, : len(config.channel_names)]
        if not of_channels.any():
            return []
        last_at = known[-1] + min(n_hours_after, (_LATEST_AT - known[-1]) // HOUR - 1) * HOUR
        others = sorted(set(self.ingest.ledger([known[0], last_at])) - {*known} - self.ingest.due)
        others = [hour for hour in others if hour > known[0]]
        return dependent_hours_after(
            self.ingest.store, config, layout, entity_ids, known, of_channels, others
        )

    def _note_late(self, entity_ids: Sequence[int], changed: Mask) -> None:
        """Notes which of the changed hours (n_entities, n_hours) no run scores again by itself."""
        before, end_at = self.ingest.late_before, self.ingest.end_at
        if before is None:
            return
        rows = [self.ledger.get(hour) for hour in self.hours]
        is_late = [
            row is not None and row.read_until >= hour + HOUR and (hour < before or hour >= end_at)
            for hour, row in zip(self.hours, rows, strict=True)
        ]
        entity, hour = np.nonzero(changed & np.array(is_late))
        if not len(entity):
            return
        self.ingest.store.execute(
            queries.INSERT_LATE_HOURS,
            arrived_at=self.ingest.end_at,
            entity_id=[entity_ids[i] for i in entity.tolist()],
            hour_at=[self.hours[k] for k in hour.tolist()],
        )

    def _keep_ledger(
        self,
        read: AcceptedRows,
        every: Sequence[tuple[DatasetConfig, AcceptedRows]],
        is_cut: Mask,
        read_at: datetime,
        updated: Sequence[dict[int, datetime]],
    ) -> list[queries.IngestHour]:
        """What the ledger says of the hours now, of all sources and, where there are several, of
        each.
        """
        settings = self.ingest.settings
        rows = [
            self._ledger_row(i, hour, read, read_at)._replace(
                updated_until=updated[0].get(unix_us(hour)) if len(updated) == 1 else None,
                settings=None if is_cut[i] else settings.digest,
            )
            for i, hour in enumerate(self.hours)
        ]
        self.ingest.store.execute(
            queries.UPSERT_INGEST_HOURS,
            dataset_id=self.ingest.dataset_id,
            digest=settings.digest,
            said=json.dumps(settings.settings),
            **columns(rows, queries.IngestHour),
        )
        if len(self.parts) > 1:
            of_sources = [*self._source_rows([one for _, one in every], updated)]
            self.ingest.store.execute(
                queries.UPSERT_INGEST_SOURCES,
                dataset_id=self.ingest.dataset_id,
                **columns(of_sources, queries.IngestSource),
            )
        return rows

    @property
    def span_us(self) -> tuple[int, int]:
        """[start, end) of the hours, in microseconds since 1970."""
        return unix_us(self.hours[0]), unix_us(self.hours[-1] + HOUR)

    @property
    def read_until(self) -> datetime:
        """How far the last hour is read: to the interval's end, and never less far than before."""
        last = self.hours[-1]
        before = self.ledger[last].read_until if last in self.ledger else last
        return min(last + HOUR, max(self.ingest.end_at, before))

    def _updated_until(self) -> list[dict[int, datetime]]:
        """Of each source the newest change of each hour's rows, as its own clock has it, if it says
        so.

        Asked before the rows are read: what changes meanwhile is told as late, and never missed.
        """
        return [self._updated_in(part) for part in self.parts]

    def _updated_in(self, part: OpenPart) -> dict[int, datetime]:
        if part.config.source.updated_at is None:
            return {}
        try:
            with part.asked() as source:
                counts = source.count_hours(unix_us(self.hours[0]), unix_us(self.read_until))
        except SourceError:
            # A view that cannot say it of one row says it of none.
            return {}
        return {
            unix_us(hour): counts.get(unix_us(hour), HourCount(0)).updated_at or NO_CHANGE
            for hour in self.hours
        }

    def _living(self) -> dict[str, int]:
        """Entities that may have readings of these hours already, or values that still hold."""
        back_s = max(one.source.longest_valid_s for one in self.ingest.config.parts)
        first_at = self.hours[0] - timedelta(seconds=back_s) - HOUR
        return living_entities(self.ingest.store, self.ingest.dataset_id, first_at)

    def _events(self, entity_ids: Sequence[int], read: AcceptedRows) -> EventHours | None:
        """The hours where rows are events; None: there are no such channels."""
        ingest = self.ingest
        if not ingest.config.event_channels:
            return None
        of_chunk = self.parts, self.hours, self.read_until, ingest.now(), frozenset(self.unread)
        ends = life_ends(ingest.store, entity_ids)
        return EventHours(
            ingest.store, ingest.config, *of_chunk, entity_ids, read, ends, self.heard_in
        )

    def _tell_lost(self, read: AcceptedRows, cells: EventCells | None) -> None:
        """Counts what is not known since a table is gone."""
        for position, hour, table in () if cells is None else cells.lost:
            said = f"{table.name}: it had its rows until {table.last_day}, and is gone"
            where = {"entity": read.entity_names[position], "detail": f"{said}; no row is no 0"}
            self.tally.add_count("unusable_table", unix_us(self.hours[hour]), 1, **where)

    def _counted_otherwise(self, events: EventHours) -> list[datetime]:
        """Hours that were read before, in which entities now count otherwise."""
        spans = events.counted_otherwise()
        if not spans:
            return []
        asked = [min(first for first, _ in spans), max(until for _, until in spans)]
        hours = set(self.ingest.ledger(asked)) - set(self.hours)
        return [hour for hour in hours if any(first < hour <= until for first, until in spans)]

    def _read(self, known: dict[str, int]) -> list[tuple[DatasetConfig, AcceptedRows]]:
        """What each source says of the hours."""
        # All known entities are compared where an hour was read before: some may have vanished.
        shown = list(known) if any(hour in self.ledger for hour in self.hours) else []
        if self.ingest.config.event_channels:
            ends = self.hours[0], self.hours[-1] + HOUR
            of_dataset = self.ingest.store, self.ingest.dataset_id
            counted = counted_entities(*of_dataset, *ends, with_gone=bool(shown))
            shown = [*{*shown, *counted}]
        return [(part.config, self._read_part(part, known, shown)) for part in self.parts]

    def _read_part(
        self, part: OpenPart, known: dict[str, int], shown: Sequence[str]
    ) -> AcceptedRows:
        span_us, until_us = self.span_us, unix_us(self.read_until)
        with part.asked() as source:
            rows = source.read(span_us[0], until_us, known)
            faults = (*source.faults, *rows.faults)
        if names_its_tables(part):
            self.heard_in[part.name] = tables_heard(rows, span_us[0])
        self.unread.update(part.config.stored_names if faults else ())
        self.unread.update(
            fault.channel
            for table in rows.tables
            for fault in table.faults
            if not may_lack(part.config, table, fault, rows.tables)
        )
        detail = "; ".join(f"{fault.table}: {fault.detail}" for fault in faults[:3])
        for hour in self.hours:
            self.tally.add_count("unusable_table", unix_us(hour), len(faults), detail=detail)
        fitted = self._fitted(known) if any(table.faults for table in rows.tables) else set()
        apart = series_apart(self.ingest.config, part.config)
        return accepted_rows(rows, part.config, shown, span_us, self.tally, until_us, fitted, apart)

    def _tell_new(self, known: dict[str, int], read: AcceptedRows) -> None:
        for position, name in enumerate(read.entity_names):
            if name not in known:
                first = int(read.gridded.present[position].any(axis=1).argmax())
                self._count("new_entity", name, first, "not seen before")

    def _fitted(self, known: dict[str, int]) -> set[tuple[str, str]]:
        """Names of entities and of channels that they have, read in these hours or before."""
        layout, names = self.ingest.layout, list(known)
        first_s = first_values(self.ingest.store, list(known.values()), layout.channel_ids)
        entity, channel = np.nonzero(first_s <= unix_s(self.hours[-1]))
        pairs = zip(entity.tolist(), channel.tolist(), strict=True)
        return {(names[i], layout.channel_names[k]) for i, k in pairs}

    def _count(self, issue: str, entity: str, step: int, detail: str) -> None:
        """Count one row at a step of the chunk."""
        at_us = unix_us(self.hours[0]) + step * self.ingest.layout.step_s * 1_000_000
        hour_us = at_us // HOUR_US * HOUR_US
        self.tally.add_count(issue, hour_us, 1, entity=entity, detail=detail)

    def _is_other(self, hour: datetime) -> bool:
        """Whether an hour is known to have been read by other settings."""
        before = self.ledger.get(hour)
        return before is not None and before.settings not in (None, self.ingest.settings.digest)

    def _merge(
        self,
        layout: datasets.Layout,
        entity_ids: list[int],
        read: AcceptedRows,
        known: dict[str, int],
        events: EventCells | None = None,
    ) -> _Merged:
        """What the source says wins; what it does not say stays, unless other settings made it, or
        it is no event of an entity that is retired.
        """
        n_hours = len(self.hours)
        if not entity_ids:
            nothing = np.zeros((0, n_hours), bool), np.zeros((0, n_hours, 0), bool)
            return _Merged(WrittenBlocks(0, []), *nothing, np.zeros(n_hours, bool))
        store, span = self.ingest.store, (self.hours[0], self.hours[-1] + HOUR)
        blocks = read_raw_blocks(store, layout, entity_ids, *span)
        positions = [layout.channel_names.index(name) for name in self.ingest.config.stored_names]
        before, present = blocks.values[:, :, positions], read.gridded.present
        n_seen = (unix_s(self.read_until) - unix_s(self.hours[0])) // layout.step_s
        # Of channels that no table has nothing can vanish, and what was not read is not gone.
        offered = self._offered() & read.is_whole
        ended = self._ended(read, known) & offered
        after = np.where(present, read.gridded.values, np.where(ended, np.nan, before))
        if events is not None:
            # What was counted and has no row any more stays: absence does not erase.
            after = np.where(events.is_none & ~present & np.isnan(after), 0.0, after)
            ended |= events.is_gone & ~present & (before == 0)
            after = np.where(ended, np.nan, after)
        kept = ~np.isnan(before) & ~present & ~ended
        if events is not None:
            kept &= ~(events.is_none & (before == 0))
        gone = (kept & offered)[:, :n_seen].any(axis=2)
        for entity, step in np.argwhere(gone).tolist():
            name = read.entity_names[entity]
            self._count("vanished", name, step, "gone from the source; kept")
        differs = ~((after == before) | (np.isnan(after) & np.isnan(before)))
        former = read_counts(store, layout, entity_ids, *span)
        counts = former.counts
        n_before = counts[:, :, positions]
        n_after = np.where(present | ended, read.gridded.n_values, n_before)
        if events is not None:
            n_after = np.where(events.is_none & ~present & ~np.isnan(after), 1, n_after)
            present = present | (events.is_none & ~np.isnan(after))
        differs |= n_after != n_before
        by_hour = (len(entity_ids), n_hours, -1)
        of_channels = differs.reshape(*by_hour, len(positions)).any(axis=2)
        changed: Mask = of_channels.any(axis=2)
        changed |= (blocks.checksums != 0) & ~former.known
        changed |= (blocks.checksums == 0) & present.reshape(by_hour).any(axis=2)
        merged = blocks.values
        merged[:, :, positions], counts[:, :, positions] = after, n_after
        is_empty = (np.isnan(merged) & (counts == 0)).reshape(*by_hour, merged.shape[2])
        emptied: Mask = changed & is_empty.all(axis=(2, 3)) & ~present.reshape(by_hour).any(axis=2)
        n_emptied = self._delete(entity_ids, emptied)
        at_entity, at_hour = np.nonzero(changed & ~emptied)
        shape = (len(entity_ids), n_hours, layout.n_steps, -1)
        whose = [entity_ids[i] for i in at_entity.tolist()]
        hours = [self.hours[i] for i in at_hour.tolist()]
        written = merged.reshape(shape)[at_entity, at_hour]
        n_written = counts.reshape(shape)[at_entity, at_hour]
        is_cut = self._is_cut(kept, present)
        of = write_blocks(store, layout, whose, hours, written, n_written)
        of = of._replace(n_changed=of.n_changed + n_emptied)
        return _Merged(of, changed, of_channels, is_cut)

    def _delete(self, entity_ids: Sequence[int], emptied: Mask) -> int:
        """Removes blocks (n_entities, n_hours) in which nothing is left, as of zeros of events once
        the entity was gone by then: whoever reads these hours first makes none either.
        """
        entity, hour = (at.tolist() for at in np.nonzero(emptied))
        whose, hours = [entity_ids[i] for i in entity], [self.hours[k] for k in hour]
        return delete_blocks(self.ingest.store, whose, hours)

    def _is_cut(self, kept: Mask, present: Mask) -> Mask:
        """Hours (n_hours,) of which a source's own retention has left the end, or nothing, of cells
        (n_entities, n_steps, n_channels) that are kept and that the sources say.
        """
        names, is_cut = self.ingest.config.stored_names, np.zeros(len(self.hours), bool)
        for part in self.parts:
            own = [names.index(name) for name in part.config.stored_names]
            is_kept, is_said = (
                np.any(cells[:, :, own], axis=(0, 2)).reshape(len(self.hours), -1)
                for cells in (kept, present)
            )
            is_later = np.logical_or.accumulate(is_said, axis=1)
            is_cut |= np.any(is_kept, axis=1) & ~np.any(is_kept & is_later, axis=1)
        return is_cut

    def _ended(self, read: AcceptedRows, known: dict[str, int]) -> Mask:
        """Cells that the source's rows gave by former settings and that today's have no word on."""
        ended = np.zeros(read.gridded.present.shape, bool)
        n_steps = self.ingest.layout.n_steps
        place = {name: at for at, name in enumerate(read.entity_names)}
        for digest, former in self.ingest.former_parts.items():
            rows = [self.ledger.get(hour) for hour in self.hours]
            is_so = np.array([row is not None and row.settings == digest for row in rows])
            if not is_so.any():
                continue
            ingest = replace(self.ingest, config=former.config)
            chunk = replace(self, ingest=ingest, parts=former.parts, tally=Tally())
            with suppress(BadInput):
                then = joined(former.config, chunk._read(known), self.span_us, chunk.tally)
                whose = [name for name in then.entity_names if name in place]
                of_entity = [then.entity_names.index(name) for name in whose]
                names, former_names = self.ingest.config.stored_names, former.config.stored_names
                for at, name in enumerate(names):
                    if name not in former_names:
                        continue
                    said = then.gridded.present[of_entity, :, former_names.index(name)]
                    ended[[place[one] for one in whose], :, at] |= said & np.repeat(is_so, n_steps)
        return ended & ~read.gridded.present

    def _offered(self) -> Mask:
        """Channels (n_channels,) that a table of any source has."""
        names = set[str]()
        for part in self.parts:
            if part.config.source.shape == "long":
                names.update(part.config.channel_names)
            for table in part.source.tables:
                names.update(part.config.channel_names[at] for at in table.channels)
        names |= {one.name for one in self.ingest.config.state_columns if one.channel in names}
        return np.array([name in names for name in self.ingest.config.stored_names])

    def _judge_since(
        self,
        layout: datasets.Layout,
        earlier: Sequence[EarlierValue],
        judged: Sequence[datetime],
    ) -> int:
        """How many verdicts on hours that were read before, of sensors that are now known to have
        been there by then: where nothing was read of them they are dead, and what never moved since
        is told of once.
        """
        until = [one.known_at + _TOLD_WITHIN if one.known_at else _LATEST_AT for one in earlier]
        if not until:
            return 0
        ledger = self.ingest.ledger([min(one.hour_at for one in earlier), max(until) - HOUR])
        others = sorted(set(ledger) - set(judged))
        hours_of: dict[int, set[datetime]] = defaultdict(set)
        for one, end_at in zip(earlier, until, strict=True) if others else ():
            hours_of[one.entity_id].update(hour for hour in others if one.hour_at < hour < end_at)
        n_verdicts = 0
        for entity_id, chosen in hours_of.items():
            hours = sorted(chosen)
            for part in batches(len(hours), _JUDGED_HOURS):
                of_part = self.ingest.config, layout, [entity_id], hours[part]
                n_verdicts += judge_hours(self.ingest.store, *of_part)
        return n_verdicts

    def _ledger_row(
        self, i: int, hour: datetime, read: AcceptedRows, read_at: datetime
    ) -> queries.IngestHour:
        read_until, before = min(hour + HOUR, self.read_until), self.ledger.get(hour)
        n_rows, newest_us = int(read.n_rows[i]), int(read.newest_us[i])
        newest_at = _newest_at(n_rows, newest_us)
        late_within = timedelta(seconds=self.ingest.config.late_rows_within_s)
        # How late readings are is known from an hour that was read first while it was fresh.
        is_first = before is None or before.read_until < read_until
        is_live = is_first and read_at < hour + HOUR + late_within
        lag_s = (read_at - newest_at).total_seconds() if newest_at and is_live else None
        n_readings = int(read.n_readings[i])
        asked = Interval(hour, hour) if before is None else before.asked
        asked = _asked_with(asked, self.ingest.own_part(hour))
        row = queries.IngestHour(hour, read_until, read_at, n_rows, n_readings, newest_at, lag_s)
        return row._replace(asked_from=asked.start_at, asked_until=asked.end_at)

    def _source_rows(
        self, every: Sequence[AcceptedRows], updated: Sequence[dict[int, datetime]]
    ) -> Iterator[queries.IngestSource]:
        """What each of several sources had of the hours."""
        for part, read, changed in zip(self.parts, every, updated, strict=True):
            for i, hour in enumerate(self.hours):
                n_rows = int(read.n_rows[i])
                newest_at = _newest_at(n_rows, int(read.newest_us[i]))
                yield queries.IngestSource(
                    hour, part.name, n_rows, newest_at, changed.get(unix_us(hour))
                )

    def _labels(self, entity_ids: Sequence[int], labelled: Mask) -> Iterator[queries.Label]:
        """Labelled steps of wholly read hours, cut at each hour, whatever was read together."""
        layout = self.ingest.layout
        step = timedelta(seconds=layout.step_s)
        by_hour = labelled.reshape(len(labelled), len(self.hours), layout.n_steps)
        for i, k in np.argwhere(by_hour.any(axis=2)).tolist():
            if self.hours[k] + HOUR <= self.read_until:
                edges = np.flatnonzero(np.diff(by_hour[i, k].astype(int), prepend=0, append=0))
                for first, end in edges.reshape(-1, 2).tolist():
                    span = self.hours[k] + first * step, self.hours[k] + end * step
                    yield queries.Label(entity_ids[i], *span, "anomaly", "source")
