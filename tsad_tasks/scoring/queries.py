"""Statements on champions, flags and incidents, and what one row of each is."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from tsad_tasks.base.interval import Interval
from tsad_tasks.storage.store import Query, Statement, Store


class Champion(NamedTuple):
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


class FittedRow(NamedTuple):
    """Since which hour an entity has a channel; None: it has not."""

    entity_id: int
    name: str
    first_hour_at: datetime | None


class Flag(NamedTuple):
    """A flagged reading."""

    entity_id: int
    at: datetime
    score: float
    error: float
    kind: str
    severity: str
    model_id: int
    provisional: bool


class PartialHour(NamedTuple):
    """An hour in which so many steps of a counter have less than was consumed."""

    entity_id: int
    hour_at: datetime
    channel: str
    n_steps: int


class TopAttribution(NamedTuple):
    """The leading channel of a flagged reading, with what was read and what was expected."""

    entity_id: int
    at: datetime
    channel_id: int
    name: str
    unit: str | None
    share: float
    actual: float | None
    expected: float | None
    spread: float | None


class OutsideConditions(NamedTuple):
    """What training never saw in the hours of an incident, of a list that is numbered from 1."""

    number: int
    channels: str


class IncidentRow(NamedTuple):
    """An incident to be written."""

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
    continues: str | None = None
    unknown_weekdays: str | None = None
    held: bool = False
    direction: str | None = None
    moved: str | None = None


class BeginningRow(NamedTuple):
    """The first flag of an incident, and what its sentence tells."""

    entity: str
    incident_id: str
    started_at: datetime
    top_channel_id: int | None
    moved: str | None


class GroupRow(NamedTuple):
    """Incidents that began together, to be written."""

    group_id: str
    started_at: datetime
    n_entities: int
    n_all_entities: int
    headline: str


class YoungModel(NamedTuple):
    """How often a young model has seen the weekdays, and on which nobody is told; 0 is Monday."""

    model_id: int
    weekdays_seen: list[int]
    weekdays_held: list[int]


class ModelDetector(NamedTuple):
    """A model, and the name of its detector."""

    model_id: int
    detector: str


class StandingPart(NamedTuple):
    """An incident that stands, as far as a rebuilding cares."""

    incident_id: str
    entity_id: int
    policy_version: str
    started_at: datetime
    last_flag_at: datetime
    n_flags: int
    continues: str | None = None


class LaterScale(NamedTuple):
    """Centre and scale of an entity's channel, which may be used from a moment on."""

    entity_id: int
    usable_at: datetime
    name: str
    center: float
    scale: float


SELECT_LATER_SCALES = Query("scoring/select_later_scales", LaterScale)
SELECT_FITTED_SINCE = Query("scoring/select_fitted_since", FittedRow)
SELECT_LEARNING_ENTITIES = Query("scoring/select_learning_entities", int)
SELECT_CHAMPIONS = Query("scoring/select_champions", Champion)
SELECT_LATEST_SCORED_HOUR: Query[datetime | None] = Query(
    "scoring/select_latest_scored_hour", datetime
)
SELECT_FLAGS = Query("scoring/select_flags", Flag)
SELECT_FLAGGED_ENTITIES = Query("scoring/select_flagged_entities", int)
SELECT_MODEL_DETECTORS = Query("scoring/select_model_detectors", ModelDetector)
SELECT_YOUNG_MODELS = Query("scoring/select_young_models", YoungModel)
SELECT_STANDING_INCIDENTS = Query("scoring/select_standing_incidents", StandingPart)
SELECT_BEGINNINGS = Query("scoring/select_beginnings", BeginningRow)
SELECT_LIVING_COUNTS = Query("scoring/select_living_counts", int)
DELETE_OTHER_GROUPS = Statement("scoring/delete_other_groups")
UPSERT_GROUPS = Statement("scoring/upsert_groups")
UPDATE_GROUPED_INCIDENTS = Statement("scoring/update_grouped_incidents")
INSERT_SCORE_HOURS = Statement("scoring/insert_score_hours")
SELECT_SCORE_HOURS = Query("scoring/select_score_hours", datetime)
UPDATE_SCORE_HOURS_DONE = Statement("scoring/update_score_hours_done")
SELECT_LATE_SPAN = Query("scoring/select_late_span", Interval)
SELECT_MARKED_HOURS = Query("scoring/select_marked_hours", datetime)
READ_FLAGS = Statement("scoring/read_flags")
READ_ATTRIBUTED_FLAGS = Statement("scoring/read_attributed_flags")
SELECT_OUTSIDE_CONDITIONS = Query("scoring/select_outside_conditions", OutsideConditions)
SELECT_PARTIAL_HOURS = Query("scoring/select_partial_hours", PartialHour)
SELECT_TOP_ATTRIBUTIONS = Query("scoring/select_top_attributions", TopAttribution)
SELECT_OTHER_ATTRIBUTIONS = Query("scoring/select_other_attributions", TopAttribution)
SELECT_STATE_ATTRIBUTIONS = Query("scoring/select_state_attributions", TopAttribution)
UPSERT_INCIDENTS = Statement("scoring/upsert_incidents")
WITHDRAW_INCIDENTS = Statement("scoring/withdraw_incidents")


def champions_in(store: Store, dataset_id: int, lineage: str, span: Interval) -> list[Champion]:
    """Champions of the lineage at any time of a span, each with its period."""
    of = {"dataset_id": dataset_id, "lineage": lineage}
    return store.rows(SELECT_CHAMPIONS, **of, **span._asdict())
