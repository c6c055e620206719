"""Statements of the page, which runs under an operator's login, and what one row of each is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from tsad_tasks.base.enums import priority_of
from tsad_tasks.storage.store import Query


class PageDataset(NamedTuple):
    """A dataset, with the clocks of its site."""

    dataset_id: int
    name: str
    site_zone: str
    step_s: int


class Successor(NamedTuple):
    """The incident that stands in the place of one that is gone."""

    incident_id: str
    dataset: str


@dataclass(frozen=True)
class Watching:
    """Whether a dataset is scored in time, and if not, why."""

    dataset: str
    state: str
    scored_until: datetime | None
    late_s: int | None
    why: str | None
    newest_reading_at: datetime | None
    n_live: int
    n_silent: int
    n_retired: int
    champion: str | None

    @property
    def has_ended(self) -> bool:
        """Whether all is scored that was read, and nothing came for a day: its source, or whoever
        runs it, has stopped.
        """
        if self.newest_reading_at is None or self.scored_until is None or not self.late_s:
            return False
        return self.late_s > 86400 and self.newest_reading_at < self.scored_until


@dataclass(frozen=True)
class ListedIncident:
    """An incident as lists show it, with who has it in hand."""

    incident_id: str
    dataset: str
    entity: str
    severity: str
    kind: str
    state: str
    started_at: datetime
    last_flag_at: datetime
    end_at: datetime
    n_flags: int
    peak_score: float
    peak_at: datetime
    channel: str | None
    sentence: str
    verdict: str | None
    suppressed_by: str | None
    held: bool
    model_id: int
    taken_by: str | None
    snoozed_until: datetime | None
    sensor_suspected: bool
    n_parts: int
    priority: int

    @property
    def is_rated(self) -> bool:
        """Whether more or less than usual depends on it, so that its priority says more than its
        severity.
        """
        return self.priority != priority_of(self.severity)


@dataclass(frozen=True)
class CountedIncident(ListedIncident):
    """One of those that are asked for, and how many there are."""

    n_all: int


@dataclass(frozen=True)
class NeedingIncident(CountedIncident):
    """One that needs a person, alone or the worst of a group.

    Attributes
    ----------
    headline : of the group; None: it is alone.
    n_needing : incidents of the group that need a person.
    """

    group_id: str | None
    headline: str | None
    n_needing: int


@dataclass(frozen=True)
class ShownIncident(ListedIncident):
    """One with all of its parts, and the group with which it began; None: there is none."""

    group_id: str | None
    headline: str | None


class ShownPart(NamedTuple):
    """A part of an incident that lasts longer than one may."""

    incident_id: str
    severity: str
    started_at: datetime
    end_at: datetime
    n_flags: int
    peak_score: float
    sentence: str


class LaneIncident(NamedTuple):
    """An incident in the lane of its machine."""

    incident_id: str
    entity: str
    severity: str
    started_at: datetime
    end_at: datetime
    peak_score: float
    sentence: str
    suppressed: bool


@dataclass(frozen=True)
class UnwatchedHours:
    """Hours of a machine in a row that have no score, for one reason."""

    entity: str
    status: str
    from_at: datetime
    to_at: datetime
    detail: str | None


@dataclass(frozen=True)
class Machine:
    """An entity: alive, silent or retired."""

    entity: str
    state: str
    silent_since: datetime | None
    last_seen_at: datetime | None
    retired_why: str | None
    carrier: str | None


class SparkScores(NamedTuple):
    """Scores of one hour of a sparkline; NULL where unknown."""

    incident_id: str
    hour_at: datetime
    scores: list[float | None]


class OutsideNow(NamedTuple):
    """A setpoint, load or ambient condition outside of what training saw."""

    entity: str
    channel: str
    started_at: datetime
    ended_at: datetime


@dataclass(frozen=True)
class SaidVerdict:
    """What somebody said of a machine at a time."""

    verdict_id: int
    verdict: str
    channel: str | None
    said_by: str
    said_at: datetime
    note: str
    withdrawn_at: datetime | None
    incident_id: str | None


@dataclass(frozen=True)
class ShownLabel:
    """A known anomaly."""

    label_id: int
    start_at: datetime
    end_at: datetime
    kind: str
    origin: str
    note: str | None


@dataclass(frozen=True)
class PeakShare:
    """What one channel carried of the error at the peak of an incident."""

    incident_id: str
    entity: str
    started_at: datetime
    sentence: str
    verdict: str | None
    severity: str
    channel: str
    share: float
    actual: float | None
    expected: float | None


class SeenSoFar(NamedTuple):
    """What a model has seen since it is champion or in the shadow; `n_incidents` of a champion."""

    version: int
    state: str
    since_at: datetime
    n_hours: int
    n_incidents: int | None


class MeanwhileIncident(NamedTuple):
    """An incident of another machine at the time."""

    incident_id: str
    entity: str
    severity: str
    started_at: datetime
    sentence: str


class ToldMessage(NamedTuple):
    """A message about an incident."""

    event: str
    medium: str
    address: str
    state: str
    created_at: datetime
    delivered_at: datetime | None


SELECT_PAGE_DATASETS = Query("page/select_page_datasets", PageDataset)
SELECT_WATCHING = Query("page/select_watching", Watching)
SELECT_NEEDING_INCIDENTS = Query("page/select_needing_incidents", NeedingIncident)
SELECT_LISTED_INCIDENTS = Query("page/select_listed_incidents", CountedIncident)
SELECT_LANE_INCIDENTS = Query("page/select_lane_incidents", LaneIncident)
SELECT_UNWATCHED_HOURS = Query("page/select_unwatched_hours", UnwatchedHours)
SELECT_MACHINES = Query("page/select_machines", Machine)
SELECT_SPARK_SCORES = Query("page/select_spark_scores", SparkScores)
SELECT_OUTSIDE_NOW = Query("page/select_outside_now", OutsideNow)

SELECT_SHOWN_INCIDENT = Query("page/select_shown_incident", ShownIncident)
SELECT_SHOWN_PARTS = Query("page/select_shown_parts", ShownPart)
SELECT_SUCCESSOR = Query("page/select_successor", Successor)
SELECT_SAID_VERDICTS = Query("page/select_said_verdicts", SaidVerdict)
SELECT_SHOWN_LABELS = Query("page/select_shown_labels", ShownLabel)
SELECT_PEAK_SHARES = Query("page/select_peak_shares", PeakShare)
SELECT_MEANWHILE = Query("page/select_meanwhile", MeanwhileIncident)
SELECT_TOLD_MESSAGES = Query("page/select_told_messages", ToldMessage)
INSERT_TRIAGE = Query("page/insert_triage", int)

SELECT_SHOWN_MODELS: Query[dict[str, Any]] = Query("page/select_shown_models", dict)
SELECT_SHOWN_RULES: Query[dict[str, Any]] = Query("page/select_shown_rules", dict)
SELECT_DECIDED_MODELS: Query[dict[str, Any]] = Query("page/select_decided_models", dict)
SELECT_SEEN_SO_FAR = Query("page/select_seen_so_far", SeenSoFar)
SELECT_WORST_DRIFT: Query[dict[str, Any]] = Query("page/select_worst_drift", dict)

SELECT_FOUND_QUALITY: Query[dict[str, Any]] = Query("page/select_found_quality", dict)
SELECT_READ_HOURS: Query[dict[str, Any]] = Query("page/select_read_hours", dict)
SELECT_HOUR_COVERAGE: Query[dict[str, Any]] = Query("page/select_hour_coverage", dict)
