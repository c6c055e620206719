"""Statements on models, their rules and their decisions, and what one row of each is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tsad_tasks.storage.store import Query, Statement
from tsad_tasks.training.queries import RuleResult


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


INSERT_MODEL = Statement("champions/insert_model")
INSERT_EXCLUSIONS = Statement("champions/insert_exclusions")
SELECT_GATE_DECISIONS = Query("champions/select_gate_decisions", RuleResult)
INSERT_GATE_DECISIONS = Statement("champions/insert_gate_decisions")
DELETE_GATE_DECISIONS = Statement("champions/delete_gate_decisions")
UPDATE_GATE_PASSED = Statement("champions/update_gate_passed")
INSERT_MODEL_DECISION = Statement("champions/insert_model_decision")
SELECT_SHADOWS = Query("champions/select_shadows", OpenShadow)
SELECT_MODEL_USES = Query("champions/select_model_uses", ModelUse)
INSERT_CHAMPION_PERIOD = Statement("champions/insert_champion_period")
CLOSE_CHAMPION_PERIOD = Statement("champions/close_champion_period")
CLOSE_CHAMPION_PERIODS = Statement("champions/close_champion_periods")
