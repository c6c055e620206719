"""Statements on models, champions and shadows, and what one row of each is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from tsad_tasks.base.enums import Stage
from tsad_tasks.base.rule import RuleResult, in_order
from tsad_tasks.storage.store import Query, Statement, Store, columns


class Period(NamedTuple):
    """A champion, from its first hour to its end."""

    model_id: int
    valid_from: datetime
    valid_to: datetime
    is_young: bool


class Waiting(NamedTuple):
    """A challenger that waits for its place in the shadow."""

    model_id: int
    version: int
    train_end_at: datetime


class KnownModel(NamedTuple):
    """A version of a dataset, and whether its bundle is still there."""

    model_id: int
    version: int
    scope_entity_id: int
    lineage: str
    gate_passed: bool | None
    train_end_at: datetime
    pruned_at: datetime | None


class NewestModel(NamedTuple):
    """The newest model of a scope without a champion in a range, and from when on it has one."""

    model_id: int
    version: int
    entity: str | None
    train_end_at: datetime
    folds: bool
    is_young: bool
    champion_from: datetime | None
    waits_for_person: bool


class OpenForm(NamedTuple):
    """A version whose form waits for a person, and the run that asked."""

    version: int
    decided_by: str


class ScoredByBoth(NamedTuple):
    """What challenger and champion made of the same hours: see `ShadowComparison`."""

    n_hours: int
    n_paired: int
    n_agreed: int
    n_challenger_flags: int
    n_champion_flags: int
    last_hour_at: datetime | None


class IncidentCounts(NamedTuple):
    """Incidents of challenger and champion, and those of them that people called no fault."""

    n_challenger: int
    n_champion: int
    n_false_challenger: int
    n_false_champion: int


class KnownCounts(NamedTuple):
    """Known anomalies by where they are known from: all, and those flagged by each."""

    known_by: str
    n_known: int
    n_challenger: int
    n_champion: int


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


SELECT_RULE_RESULTS = Query("champions/select_gate_decisions", RuleResult)
INSERT_RULE_RESULTS = Statement("champions/insert_gate_decisions")
DELETE_REFUSAL = Statement("champions/delete_gate_decisions")
UPDATE_GATE_PASSED = Statement("champions/update_gate_passed")

INSERT_MODEL = Statement("champions/insert_model")
INSERT_EXCLUSIONS = Statement("champions/insert_exclusions")
INSERT_MODEL_DECISION = Statement("champions/insert_model_decision")
SELECT_MODEL_USES = Query("champions/select_model_uses", ModelUse)

SELECT_UNCHAMPIONED = Query("champions/select_unchampioned", NewestModel)
SELECT_HAS_CHAMPION = Query("champions/select_has_champion", bool)
INSERT_CHAMPION_PERIOD = Statement("champions/insert_champion_period")
CLOSE_CHAMPION_PERIOD = Statement("champions/close_champion_period")
CLOSE_CHAMPION_PERIODS = Statement("champions/close_champion_periods")
SELECT_CHAMPION_PERIODS = Query("champions/select_champion_periods", Period)
SELECT_MODEL = Query("champions/select_model", dict)
SELECT_MODEL_VERSION = Query("champions/select_model_version", KnownModel)
SELECT_WAITED_FOR: Query[int | None] = Query("champions/select_waited_for", int)
SELECT_WAITING_MODEL = Query("champions/select_waiting_model", Waiting)
UPDATE_PRUNED_MODELS = Statement("champions/update_pruned_models")

SELECT_SHADOWS = Query("champions/select_shadows", OpenShadow)
SELECT_SHADOW_BEGUN = Query("champions/select_shadow_begun", bool)
SELECT_SHADOW_PAIRS = Query("champions/select_shadow_pairs", ScoredByBoth)
SELECT_SHADOW_INCIDENTS = Query("champions/select_shadow_incidents", IncidentCounts)
SELECT_SHADOW_KNOWN = Query("champions/select_shadow_known", KnownCounts)
SELECT_OPEN_FORMS = Query("champions/select_open_forms", OpenForm)


def rule_results(store: Store, model_id: int, stage: Stage = Stage.GATE) -> list[RuleResult]:
    """The rules of one stage for one model, in the order in which they are shown."""
    return in_order(store.rows(SELECT_RULE_RESULTS, model_id=model_id, stage=stage))


def write_rule_results(store: Store, model_id: int, results: Sequence[RuleResult]) -> None:
    """Writes rules of one stage, and the gate's verdict on the model."""
    written = columns(results, RuleResult) | {"passed": [one.passed for one in results]}
    store.execute(INSERT_RULE_RESULTS, model_id=model_id, **written)
    if any(one.stage is Stage.GATE for one in results):
        passed = all(one.passed for one in results)
        store.execute(UPDATE_GATE_PASSED, model_id=model_id, gate_passed=passed)
