"""Statements on models in training, and what one row of each is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tsad_tasks.storage.store import Query, Statement


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
    """A trained model, to be registered.

    Attributes
    ----------
    weekdays_seen : how often its training range shows each weekday; Monday comes first.
    weekdays_held : of a young one, those on which nobody is told of what it finds; 0 is Monday.
    """

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
    is_young: bool = False
    weekdays_seen: list[int] | None = None
    weekdays_held: list[int] | None = None

    @property
    def scope(self) -> ChampionScope:
        """Whose champion it may become."""
        return ChampionScope(self.dataset_id, self.scope_entity_id, self.lineage)


@dataclass(frozen=True)
class TrainedModel:
    """A registered model; `gate_passed` is None until it was judged."""

    model_id: int
    version: int
    gate_passed: bool | None


@dataclass(frozen=True)
class ChampionAt:
    """The champion of a scope at one moment."""

    model_id: int
    valid_from: datetime
    valid_to: datetime | None
    artifact_uri: str
    sha256: str
    version: int
    train_end_at: datetime
    is_young: bool = False


@dataclass(frozen=True)
class YoungPeriod:
    """Hours of a young champion, and how often it has seen each weekday; Monday comes first."""

    scope_entity_id: int
    start_at: datetime
    end_at: datetime
    weekdays_seen: list[int]


@dataclass(frozen=True)
class Exclusion:
    """Readings of an entity that a training left out, and why; of all its channels, or of one."""

    entity_id: int
    start_at: datetime
    end_at: datetime
    reason: str
    n_steps: int
    channel: str | None = None


@dataclass(frozen=True)
class BadHour:
    """An hour in which a sensor of an entity was out of order."""

    entity_id: int
    hour_at: datetime
    verdict: str
    channel: str


@dataclass(frozen=True)
class HourSettings:
    """By what settings an hour was read."""

    hour_at: datetime
    digest: str


SELECT_HOUR_SETTINGS = Query("training/select_hour_settings", HourSettings)
SELECT_BAD_HOURS = Query("training/select_bad_hours", BadHour)
INSERT_TRAINING_DECISION = Statement("training/insert_training_decision")
SELECT_TRAINED_MODEL = Query("training/select_trained_model", TrainedModel)
SELECT_YOUNG_PERIODS = Query("training/select_young_periods", YoungPeriod)
SELECT_CHAMPION_AT = Query("training/select_champion_at", ChampionAt)
