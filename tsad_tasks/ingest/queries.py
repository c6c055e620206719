"""Statements on what was read from the source, and what one row of each is."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from tsad_tasks.base.enums import QualityVerdict
from tsad_tasks.base.interval import Interval, from_unix_s
from tsad_tasks.storage.store import Query, Statement

if TYPE_CHECKING:
    from tsad_tasks.ingest.tally import Tally


class IngestHour(NamedTuple):
    """One hour of the ledger: until when and when it was read, and what was in it.

    `updated_until` is the newest change of its rows by the source's own clock; None: not asked.
    `settings` is the digest of those that it was read by; None: not known, or to stay as it is.
    From `asked_from` to `asked_until` it was read by runs whose interval that is; None: only by
    others, that look back.
    """

    hour_at: datetime
    read_until: datetime
    read_at: datetime
    n_rows: int
    n_readings: int
    newest_at: datetime | None
    lag_s: float | None
    updated_until: datetime | None = None
    settings: str | None = None
    asked_from: datetime | None = None
    asked_until: datetime | None = None

    @property
    def asked(self) -> Interval:
        """What of it runs have read whose interval that is; empty: nothing."""
        if self.asked_from is None or self.asked_until is None:
            return Interval(self.hour_at, self.hour_at)
        return Interval(self.asked_from, self.asked_until)


class FormerSettings(NamedTuple):
    """By what hours were read once, see `read_settings`."""

    digest: str
    settings: dict[str, Any]


class OtherHour(NamedTuple):
    """An hour that was read by other settings than today's, and how far."""

    digest: str
    hour_at: datetime
    read_until: datetime


class SeriesScale(NamedTuple):
    """How a series was scaled at first under its name: scale and offset of each of its lines."""

    source: str
    series: str
    entity: str
    channel: str
    measures: list[float]


class IngestSource(NamedTuple):
    """What one of several sources had of an hour; `updated_until` by its own clock, as above."""

    hour_at: datetime
    source: str
    n_rows: int
    newest_at: datetime | None
    updated_until: datetime | None = None


class IngestIssue(NamedTuple):
    """Rows of one hour that were not taken as they came, counted."""

    hour_at: datetime
    entity: str
    channel: str
    issue: str
    n_rows: int
    detail: str = ""


def issues_of(tally: Tally) -> list[IngestIssue]:
    """What was counted, as rows."""
    return [IngestIssue(from_unix_s(one.hour_us // 1_000_000), *one[1:]) for one in tally.counts()]


class SeriesName(NamedTuple):
    """What a series of the source is called from when to when; None: always."""

    series: str
    entity: str
    channel: str
    scale: float
    offset: float
    valid_from: datetime | None
    valid_to: datetime | None


class SensorVerdict(NamedTuple):
    """What is wrong with a sensor in one hour, and in how many steps."""

    entity_id: int
    hour_at: datetime
    channel_id: int
    verdict: QualityVerdict
    n_steps: int
    detail: str = ""


class Label(NamedTuple):
    """A known anomaly of an entity in [start_at, end_at)."""

    entity_id: int
    start_at: datetime
    end_at: datetime
    kind: str
    origin: str
    note: str = ""


class LearnedChange(NamedTuple):
    """What was learned of a changed sensor so far."""

    epoch_id: int
    scale: float | None
    offset: float | None
    usable_at: datetime | None
    n_running_hours: float
    needed_hours: float
    learned_from: int | None


class UnscaledEntity(NamedTuple):
    """An entity without a champion's scale, and what was learned of it so far (None: nothing)."""

    entity_id: int
    from_at: datetime | None
    usable_at: datetime | None
    scaling: str | None
    needed_hours: float | None
    learned_from: int | None


class LearnedScale(NamedTuple):
    """Centre and scale of an entity's channels, NaN where it does not have a channel."""

    entity_id: int
    channel_ids: list[int]
    centers: list[float]
    scales: list[float]
    scaling: str
    from_at: datetime
    usable_at: datetime | None
    n_running_hours: float
    needed_hours: float
    learned_from: int | None


class FirstHour(NamedTuple):
    """The first hour with readings of an entity."""

    entity_id: int
    hour_at: datetime | None


class Gap(NamedTuple):
    """A stretch in which an entity was silent; whether that is over, and the end of the interval by
    whose run rows of the entity were found late, the newest one; None: none ever were.
    """

    entity_id: int
    start_at: datetime
    end_at: datetime
    is_over: bool
    arrived_at: datetime | None


class UnreadRetirement(NamedTuple):
    """A retirement that was said, or taken back, since hours were read; `back_at`: when its entity
    spoke again, None: it has not.
    """

    retirement_id: int
    from_at: datetime
    holds: bool
    back_at: datetime | None


class EntityTable(NamedTuple):
    """A table in which rows of an entity came, and the first hour and last day with any."""

    entity_id: int
    table_name: str
    first_at: datetime
    last_day: date


class LedgerEnds(NamedTuple):
    """The newest hour that was read from the source, and the newest reading found."""

    hour_at: datetime | None
    newest_at: datetime | None


SELECT_FIRST_HOURS = Query("ingest/select_first_hours", FirstHour)
SELECT_LEDGER_ENDS = Query("ingest/select_ledger_ends", LedgerEnds)
SELECT_NEWEST_LEDGER_HOUR = Query.or_null("ingest/select_newest_ledger_hour", datetime)
SELECT_ENTITY_TABLES = Query("ingest/select_entity_tables", EntityTable)
UPSERT_ENTITY_TABLES = Statement("ingest/upsert_entity_tables")
SELECT_GAPS = Query("ingest/select_gaps", Gap)
INSERT_LATE_HOURS = Statement("ingest/insert_late_hours")
SELECT_INGEST_HOURS = Query("ingest/select_ingest_hours", IngestHour)
UPSERT_INGEST_HOURS = Statement("ingest/upsert_ingest_hours")
SELECT_HAS_SETTINGS = Query("ingest/select_has_settings", bool)
SELECT_OTHER_HOURS = Query("ingest/select_other_hours", OtherHour)
SELECT_FORMER_SETTINGS = Query("ingest/select_former_settings", FormerSettings)
SELECT_INGEST_SOURCES = Query("ingest/select_ingest_sources", IngestSource)
UPSERT_INGEST_SOURCES = Statement("ingest/upsert_ingest_sources")
DELETE_INGEST_ISSUES = Statement("ingest/delete_ingest_issues")
REFRESH_NEW_CHANNELS = Statement("ingest/refresh_new_channels")
INSERT_INGEST_ISSUES = Statement("ingest/insert_ingest_issues")
DELETE_QUALITY = Statement("ingest/delete_quality")
DELETE_MARKS = Statement("ingest/delete_marks")
INSERT_QUALITY = Statement("ingest/insert_quality")
SELECT_SERIES = Query("ingest/select_series", SeriesName)
DELETE_SERIES = Statement("ingest/delete_series")
INSERT_SERIES = Statement("ingest/insert_series")
SELECT_SERIES_SCALES = Query("ingest/select_series_scales", SeriesScale)
INSERT_SERIES_SCALES = Statement("ingest/insert_series_scales")
LOCK_SERIES = Statement("ingest/lock_series")
SELECT_SERIES_VERSION = Query("ingest/select_series_version", int)
UPDATE_SERIES_VERSION = Statement("ingest/update_series_version")
UPSERT_SERIES_ISSUES = Statement("ingest/upsert_series_issues")
SELECT_LABELS = Query("ingest/select_labels", Label)
UPSERT_LABELS = Statement("ingest/upsert_labels")
UPDATE_CHANNEL_EPOCH = Statement("ingest/update_channel_epoch")
SELECT_UNSCALED_ENTITIES = Query("ingest/select_unscaled_entities", UnscaledEntity)
UPSERT_ENTITY_SCALE = Statement("ingest/upsert_entity_scale")

UPSERT_INVENTORY = Statement("ingest/upsert_inventory")
INSERT_INVENTORY_RETIREMENTS = Statement("ingest/insert_inventory_retirements")
WITHDRAW_INVENTORY_RETIREMENTS = Statement("ingest/withdraw_inventory_retirements")
SELECT_UNREAD_RETIREMENTS = Query("ingest/select_unread_retirements", UnreadRetirement)
UPDATE_RETIREMENTS_READ = Statement("ingest/update_retirements_read")
