"""Statements on models, champions and shadows, and what one row of each is."""

from __future__ import annotations

from collections.abc import Sequence
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


SELECT_RULE_RESULTS = Query("champions/select_gate_decisions", RuleResult)
INSERT_RULE_RESULTS = Statement("champions/insert_gate_decisions")
DELETE_REFUSAL = Statement("champions/delete_gate_decisions")
UPDATE_GATE_PASSED = Statement("champions/update_gate_passed")

SELECT_CHAMPION_PERIODS = Query("champions/select_champion_periods", Period)
SELECT_MODEL = Query("champions/select_model", dict)
SELECT_MODEL_VERSION = Query("champions/select_model_version", KnownModel)
SELECT_WAITED_FOR: Query[int | None] = Query("champions/select_waited_for", int)
SELECT_WAITING_MODEL = Query("champions/select_waiting_model", Waiting)
UPDATE_PRUNED_MODELS = Statement("champions/update_pruned_models")

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
