"""Rows as they go in and out of the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class DatasetRow:
    dataset_id: int
    name: str
    step_s: int
    merge_gap_s: int
    site_zone: str
    retired_before: datetime | None


@dataclass(frozen=True)
class Layout:
    """What the columns of a block mean."""

    layout_id: int
    step_s: int
    channel_ids: tuple[int, ...]
    channel_names: tuple[str, ...]

    @property
    def n_steps(self) -> int:
        """Steps of one hour."""
        return 3600 // self.step_s


@dataclass(frozen=True)
class Blocks:
    """Readings of some entities on one grid.

    Attributes
    ----------
    values : float64 (n_entities, n_hours × steps, n_channels), NaN where nothing was read.
    checksums : int64 (n_entities, n_hours), 0 where there is no block.
    """

    values: NDArray[np.float64]
    checksums: NDArray[np.int64]


@dataclass(frozen=True)
class IngestHour:
    hour_at: datetime
    read_until: datetime
    read_at: datetime
    n_rows: int
    n_readings: int
    newest_at: datetime | None
    lag_s: float | None


@dataclass(frozen=True)
class IngestIssue:
    hour_at: datetime
    entity: str
    channel: str
    issue: str
    n_rows: int
    detail: str = ""


@dataclass(frozen=True)
class QualityVerdict:
    entity_id: int
    hour_at: datetime
    channel_id: int
    verdict: str
    n_steps: int
    detail: str = ""


@dataclass(frozen=True)
class Label:
    entity_id: int
    start_at: datetime
    end_at: datetime
    kind: str
    origin: str
    note: str = ""


@dataclass(frozen=True)
class ChannelEpoch:
    """From `from_at` on a sensor is another one; scale and offset are None until they are known."""

    epoch_id: int
    entity_id: int
    channel_id: int
    from_at: datetime
    usable_at: datetime | None
    scale: float | None
    offset: float | None
    declared: bool
    needed_hours: float | None
    learned_from: int | None


@dataclass(frozen=True)
class LearnedEpoch:
    """What was learned of a changed sensor so far."""

    epoch_id: int
    scale: float | None
    offset: float | None
    usable_at: datetime | None
    n_running_hours: float
    needed_hours: float
    learned_from: int | None


@dataclass(frozen=True)
class UnscaledEntity:
    """An entity that a champion has no scale for, and what was learned of it so far; None: nothing
    yet.
    """

    entity_id: int
    from_at: datetime | None
    usable_at: datetime | None
    scaling: str | None
    needed_hours: float | None
    learned_from: int | None


@dataclass(frozen=True)
class LearnedScale:
    """Centre and scale of an entity's channels, NaN where a channel never showed a value."""

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


@dataclass(frozen=True)
class Champion:
    """A champion's period, with what scoring needs to know of the model."""

    scope_entity_id: int
    model_id: int
    valid_from: datetime
    valid_to: datetime | None
    train_end_at: datetime
    window_reach_s: int
    score_reach_s: int
    artifact_uri: str
    sha256: str
    version: int
    folds: bool


@dataclass(frozen=True)
class FoldStates:
    """States of a folding model after some hours, one element each."""

    entity_ids: list[int]
    hours: list[datetime]
    digests: list[int]
    states: list[bytes]


@dataclass(frozen=True)
class ScoreMemo:
    """Stored errors of one model, on the hours' grid of a range.

    Attributes
    ----------
    errors : float32 (n_entities, n_hours × steps), NaN where unknown.
    window_digests : int64 (n_entities, n_hours); 0 where nothing is stored.
    stored : bool (n_entities, n_hours): a row is there.
    """

    errors: NDArray[np.float32]
    window_digests: NDArray[np.int64]
    stored: NDArray[np.bool_]


@dataclass(frozen=True)
class ScoreRows:
    """Hours to be written, one row each (n); steps × channels of the model.

    `thresholds` and `scores` are ignored where `memo` is true: such a row only remembers errors.
    """

    model_id: int
    entity_ids: NDArray[np.int64]
    hours_s: NDArray[np.int64]
    errors: NDArray[np.float32]
    thresholds: NDArray[np.float32]
    scores: NDArray[np.float32]
    reasons: NDArray[np.int16]
    channel_errors: NDArray[np.float32]
    has_flags: NDArray[np.bool_]
    memo: NDArray[np.bool_]
    status: list[str]
    coverage: NDArray[np.float32]
    n_needed: NDArray[np.int64]
    n_seen: NDArray[np.int64]
    window_digests: NDArray[np.int64]
    score_digests: NDArray[np.int64]


@dataclass(frozen=True)
class AnomalyRows:
    """Flagged readings of the hours in a `ScoreRows`, one element each."""

    entity_ids: NDArray[np.int64]
    times_s: NDArray[np.int64]
    kind: list[str]
    severity: list[str]
    error: NDArray[np.float32]
    threshold: NDArray[np.float32]
    score: NDArray[np.float32]
    provisional: NDArray[np.bool_]


@dataclass(frozen=True)
class AttributionRows:
    """Shares of channels in the errors of flagged readings, one element each.

    `step_shares` (n, width): the share by step of the window, oldest first.
    """

    entity_ids: NDArray[np.int64]
    times_s: NDArray[np.int64]
    channel_ids: NDArray[np.int64]
    share: NDArray[np.float32]
    actual: NDArray[np.float64]
    expected: NDArray[np.float64]
    spread: NDArray[np.float64]
    step_shares: NDArray[np.float32]


@dataclass(frozen=True)
class ScoreWrite:
    """What writing scores changed."""

    n_new: int
    n_superseded: int
    n_anomalies: int


@dataclass(frozen=True)
class Flag:
    entity_id: int
    at: datetime
    score: float
    error: float
    kind: str
    severity: str
    model_id: int
    provisional: bool


@dataclass(frozen=True)
class TopAttribution:
    entity_id: int
    at: datetime
    channel_id: int
    name: str
    unit: str | None
    share: float
    actual: float | None
    expected: float | None
    spread: float | None


@dataclass(frozen=True)
class StandingIncident:
    """An incident that counts; `memory_steps`: for how many steps its model's windows hold a
    reading that is over.
    """

    incident_id: str
    entity_id: int
    started_at: datetime
    last_flag_at: datetime
    memory_steps: int


@dataclass(frozen=True)
class IncidentRow:
    incident_id: str
    entity_id: int
    model_id: int
    started_at: datetime
    last_flag_at: datetime
    n_flags: int
    kind: str
    severity: str
    peak_score: float
    peak_at: datetime
    top_channel_id: int | None
    sentence: str
    provisional: bool


@dataclass(frozen=True)
class ChampionScope:
    """Whose champion: of a dataset (scope 0) or of one entity, in a lineage."""

    dataset_id: int
    scope_entity_id: int
    lineage: str

    @property
    def shadow(self) -> ChampionScope:
        """The same for the challenger that is scored beside the champion."""
        return ChampionScope(self.dataset_id, self.scope_entity_id, f"{self.lineage}/shadow")


@dataclass(frozen=True)
class NewModel:
    dataset_id: int
    scope_entity_id: int
    lineage: str
    parent_model_id: int | None
    detector: str
    seed: int
    train_start_at: datetime
    train_end_at: datetime
    config_hash: str
    window_reach_s: int
    score_reach_s: int
    n_parameters: int
    artifact_uri: str
    sha256: str
    card: dict[str, Any]
    folds: bool = False

    @property
    def scope(self) -> ChampionScope:
        """Whose champion it may become."""
        return ChampionScope(self.dataset_id, self.scope_entity_id, self.lineage)


@dataclass(frozen=True)
class ModelUse:
    """What still refers to a model.

    Attributes
    ----------
    is_pruned : its bundle was given up.
    is_in_use : champion, or in the shadow, until further notice; in any lineage.
    is_waiting : another challenger has its place in the shadow.
    place : 1 for the newest champion of its scope and lineage, 2 for the one before; None: never
        champion, or rolled back.
    is_parent_in_use : one of its children is in use.
    scored_until : the end of the last range that it scored as champion or by request.
    used_until : the end of its training, or of the last range that it scored, in the shadow too.
    """

    model_id: int
    version: int
    artifact_uri: str
    is_pruned: bool
    is_in_use: bool
    is_waiting: bool
    place: int | None
    is_parent_in_use: bool
    scored_until: datetime | None
    used_until: datetime

    @property
    def folder_name(self) -> str:
        """Name of its bundle's folder, however the place of all bundles is spelled."""
        return self.artifact_uri.rstrip("/").rpartition("/")[2]


@dataclass(frozen=True)
class TrainedModel:
    model_id: int
    version: int
    gate_passed: bool | None


@dataclass(frozen=True)
class ChampionAt:
    model_id: int
    valid_from: datetime
    valid_to: datetime | None
    artifact_uri: str
    sha256: str
    version: int
    train_end_at: datetime


@dataclass(frozen=True)
class DriftRow:
    """How far a week of a channel (0: of the scores) lies from its reference; None where it is not
    known.
    """

    model_id: int
    entity_id: int
    channel_id: int
    psi: float | None
    shift: float | None
    missing_share: float | None
    n_steps: int


@dataclass(frozen=True)
class OpenShadow:
    """A challenger that is scored beside the champion."""

    scope_entity_id: int
    model_id: int
    version: int
    valid_from: datetime


@dataclass(frozen=True)
class ModelDecision:
    """What was decided on a model, by whom and why."""

    model_id: int
    lineage: str
    decision: str
    decided_by: str
    reason: str
    valid_from: datetime | None = None
    former_model_id: int | None = None


@dataclass(frozen=True)
class Exclusion:
    entity_id: int
    start_at: datetime
    end_at: datetime
    reason: str
    n_steps: int


@dataclass(frozen=True)
class ScoreSteps:
    """Errors, thresholds and scores of one entity, all float32 (n_steps,), NaN where unknown."""

    errors: NDArray[np.float32]
    thresholds: NDArray[np.float32]
    scores: NDArray[np.float32]
