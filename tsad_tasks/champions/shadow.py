"""Tasks of `<dataset>.promote`: a challenger's shadow beside its champion, rule by rule, and what
follows from it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from tsad_tasks.base.enums import Decision, Lineage, Stage
from tsad_tasks.base.errors import NothingToDo
from tsad_tasks.base.interval import hour_ceil, hours_later
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.champions.champions import ChampionChange, end_shadow, promote, replace_old_shadow
from tsad_tasks.champions.queries import (
    INSERT_MODEL_DECISION,
    SELECT_OPEN_FORMS,
    SELECT_SHADOW_INCIDENTS,
    SELECT_SHADOW_KNOWN,
    SELECT_SHADOW_PAIRS,
    SELECT_SHADOWS,
    KnownCounts,
    ModelDecision,
    OpenShadow,
    write_rule_results,
)
from tsad_tasks.champions.rules.base import ShadowComparison, ShadowEvidence, Trial, shadow_rules
from tsad_tasks.champions.trial import shadow_trial
from tsad_tasks.config import DatasetConfig
from tsad_tasks.storage.datasets import DatasetRow, lock_dataset, select_dataset, select_entities
from tsad_tasks.storage.store import Store
from tsad_tasks.text.rules import RULE_COLUMNS, markdown_table, table_rows
from tsad_tasks.training.queries import ChampionScope

BY_RULE = str(Stage.SHADOW)
# A form takes its default by itself; so much later its run is broken, and another one asks.
FORM_MARGIN_S = 3600


@dataclass(frozen=True)
class JudgedShadow:
    """A challenger's shadow up to a moment.

    Attributes
    ----------
    is_complete : whether both have scored enough for a decision
    """

    scope: ChampionScope
    shadow: OpenShadow
    compared: ShadowComparison
    rows: list[RuleResult]
    is_complete: bool

    @property
    def failed(self) -> list[str]:
        """Names of the rules that were not met."""
        return [row.rule for row in self.rows if not row.passed]


def judged_shadows(
    store: Store,
    config: DatasetConfig,
    *,
    end_at: datetime,
    lineage: str = Lineage.LIVE,
    leaving_out: Collection[int] = (),
) -> list[JudgedShadow]:
    """Every open shadow of the lineage on the whole hours before `end_at`, but for those of some
    versions.

    Raises
    ------
    NothingToDo
        When no challenger is in the shadow.
    """
    dataset = select_dataset(store, config.dataset)
    shadows = store.rows(SELECT_SHADOWS, dataset_id=dataset.dataset_id, lineage=lineage)
    if not shadows:
        raise NothingToDo(f"No challenger of {config.dataset} is in the shadow.")
    chosen = [shadow for shadow in shadows if shadow.version not in leaving_out]
    return [_judged(store, config, dataset, shadow, end_at, lineage) for shadow in chosen]


def _judged(
    store: Store,
    config: DatasetConfig,
    dataset: DatasetRow,
    shadow: OpenShadow,
    end_at: datetime,
    lineage: str,
) -> JudgedShadow:
    compared = compared_hours(store, dataset, shadow, end_at, lineage)
    scope = ChampionScope(dataset.dataset_id, shadow.scope_entity_id, lineage)
    is_complete = all(row.passed for row in shadow_results(config, compared, only_waits=True))
    if not is_complete:
        return JudgedShadow(scope, shadow, compared, shadow_results(config, compared), False)
    last_at = compared.last_hour_at
    until = {"end_at": hours_later(last_at, 1)} if last_at else {}
    trial = shadow_trial(store, config, scope, shadow, **until) if until else None
    results = shadow_results(config, compared, trial, with_trial=True)
    return JudgedShadow(scope, shadow, compared, results, True)


def compared_hours(
    store: Store, dataset: DatasetRow, shadow: OpenShadow, end_at: datetime, lineage: str
) -> ShadowComparison:
    """Challenger and champion on the hours from the shadow's beginning to `end_at`."""
    scope_id = shadow.scope_entity_id
    ids = [scope_id] if scope_id else [*select_entities(store, dataset.dataset_id).values()]
    span: dict[str, Any] = {"start_at": shadow.valid_from, "end_at": end_at, "lineage": lineage}
    scored = store.one(SELECT_SHADOW_PAIRS, dataset=dataset.name, version=shadow.version, **span)
    incidents = store.one(SELECT_SHADOW_INCIDENTS, entity_ids=ids, **span)
    rows = store.rows(SELECT_SHADOW_KNOWN, entity_ids=ids, model_id=shadow.model_id, **span)
    known = {row.known_by: row for row in rows}
    labels, words = (known.get(by, KnownCounts(by, 0, 0, 0)) for by in ("label", "verdict"))
    return ShadowComparison(
        scored.n_hours,
        scored.n_paired,
        scored.n_agreed,
        (scored.n_challenger_flags, scored.n_champion_flags),
        (incidents.n_challenger, incidents.n_champion),
        labels.n_known,
        (labels.n_challenger, labels.n_champion),
        words.n_known,
        (words.n_challenger, words.n_champion),
        (incidents.n_false_challenger, incidents.n_false_champion),
        scored.last_hour_at,
    )


def shadow_results(
    config: DatasetConfig,
    compared: ShadowComparison,
    trial: Trial | None = None,
    *,
    only_waits: bool = False,
    with_trial: bool = False,
) -> list[RuleResult]:
    """The shadow's rules in order.

    Parameters
    ----------
    only_waits : those that say whether the shadow has lasted long enough.
    with_trial : those of the trial as well, which has been made.
    """
    evidence = ShadowEvidence(config, compared, trial)
    return [
        rule.judge(evidence, config)
        for rule in shadow_rules()
        if (rule.is_wait or not only_waits) and (with_trial or not rule.needs_trial)
    ]


@dataclass(frozen=True)
class ShadowSummary:
    """What a comparison found, for the form and the log; the challengers that may be promoted by
    version.

    Attributes
    ----------
    asked : the run whose form waits for a person already, by version; these are not compared again
    replaced : the waiting challenger that took the place of one that was undecided for too long
    """

    ready: list[int]
    waiting: dict[int, str]
    failed: dict[int, list[str]]
    table: str
    asked: dict[int, str] = field(default_factory=dict)
    replaced: dict[int, int] = field(default_factory=dict)


def compare_shadows(
    store: Store,
    config: DatasetConfig,
    *,
    end_at: datetime,
    lineage: str = Lineage.LIVE,
    run_id: str | None = None,
) -> ShadowSummary:
    """Task `compare`: challengers that have been in the shadow long enough get their rules; who
    fails one leaves it.

    Parameters
    ----------
    run_id : of the run that asks a person about those that are ready; None: nobody is asked.

    Raises
    ------
    NothingToDo
        When no challenger is in the shadow.
    """
    asked = {} if run_id is None else _of_others(_open_forms(store, config, lineage), run_id)
    found = judged_shadows(store, config, end_at=end_at, lineage=lineage, leaving_out=asked)
    for one in found:
        if one.is_complete:
            _decide(store, one, end_at)
    ready = [one for one in found if one.is_complete and not one.failed]
    if run_id is not None:
        asked |= _ask(store, config, ready, lineage, run_id)
        ready = [one for one in ready if one.shadow.version not in asked]
    return ShadowSummary(
        ready=[one.shadow.version for one in ready],
        waiting={
            one.shadow.version: waiting_for(config, one.compared)
            for one in found
            if not one.is_complete
        },
        failed={one.shadow.version: one.failed for one in found if one.is_complete and one.failed},
        table="\n\n".join(markdown(one) for one in found if one.shadow.version not in asked),
        asked=asked,
        replaced=_replaced(store, [one for one in found if not one.is_complete], end_at),
    )


def _decide(store: Store, one: JudgedShadow, end_at: datetime) -> None:
    with store.transaction():
        write_rule_results(store, one.shadow.model_id, one.rows)
    if one.failed:
        settings: dict[str, Any] = {
            "decision": Decision.SHADOW_FAILED,
            "by": BY_RULE,
            "reason": ", ".join(one.failed),
        }
        end_shadow(store, one.scope, one.shadow, at=hour_ceil(end_at), **settings)


def _replaced(store: Store, undecided: Sequence[JudgedShadow], end_at: datetime) -> dict[int, int]:
    newer = {
        one.shadow.version: replace_old_shadow(store, one.scope, one.shadow, at=end_at)
        for one in undecided
    }
    return {old: new for old, new in newer.items() if new is not None}


def _open_forms(store: Store, config: DatasetConfig, lineage: str) -> dict[int, str]:
    """Runs whose form waits for a person, by version."""
    dataset, open_s = (
        select_dataset(store, config.dataset),
        config.shadow.answer_within_s + FORM_MARGIN_S,
    )
    params = {"dataset_id": dataset.dataset_id, "lineage": lineage, "open_s": open_s}
    return {one.version: one.decided_by for one in store.rows(SELECT_OPEN_FORMS, **params)}


def _of_others(forms: dict[int, str], run_id: str) -> dict[int, str]:
    """A run that is tried again asks again."""
    return {version: run for version, run in forms.items() if run != run_id}


def _ask(
    store: Store, config: DatasetConfig, ready: Sequence[JudgedShadow], lineage: str, run_id: str
) -> dict[int, str]:
    """Notes that this run asks about these; those that another run asks about meanwhile come
    back.
    """
    with store.transaction():
        lock_dataset(store, select_dataset(store, config.dataset).dataset_id, "champion")
        forms = _open_forms(store, config, lineage)
        for one in ready:
            if one.shadow.version not in forms:
                said = "a person is asked on the form of this run"
                store.execute(
                    INSERT_MODEL_DECISION,
                    **asdict(
                        ModelDecision(one.shadow.model_id, lineage, Decision.ASKED, run_id, said)
                    ),
                )
    return _of_others(forms, run_id)


def waiting_for(config: DatasetConfig, compared: ShadowComparison) -> str:
    """What a shadow lacks, in words."""
    hours = f"{compared.n_hours} of {config.shadow.hours} hours"
    return f"{hours} and {compared.n_steps} of {config.shadow_windows} steps scored by both"


def markdown(judged: JudgedShadow) -> str:
    """The rules of a shadow as a Markdown table, for the approval form."""
    return f"Version {judged.shadow.version}\n\n{markdown_table(RULE_COLUMNS, table_rows(judged.rows))}"


def promote_ready(
    store: Store,
    config: DatasetConfig,
    versions: Sequence[int],
    *,
    end_at: datetime,
    by: str,
    lineage: str = Lineage.LIVE,
) -> list[ChampionChange]:
    """Task `promote`: makes champions of those that may be, as far as they are still in the shadow.

    Raises
    ------
    NothingToDo
        When there is none.
    """
    at, dataset = hour_ceil(end_at), select_dataset(store, config.dataset)
    there = [
        one.version
        for one in store.rows(SELECT_SHADOWS, dataset_id=dataset.dataset_id, lineage=lineage)
    ]
    settings: dict[str, Any] = {
        "by": by,
        "reason": "passed gate and shadow",
        "at": at,
        "lineage": lineage,
    }
    changes = [
        promote(store, config, version, **settings) for version in versions if version in there
    ]
    if not changes:
        raise NothingToDo(f"No challenger of {config.dataset} that has passed is in the shadow.")
    return changes


def decline(
    store: Store,
    config: DatasetConfig,
    versions: Sequence[int],
    *,
    end_at: datetime,
    by: str,
    lineage: str = Lineage.LIVE,
) -> list[int]:
    """Task `decline`: takes challengers that a person did not want out of the shadow."""
    dataset, declined = select_dataset(store, config.dataset), []
    for shadow in store.rows(SELECT_SHADOWS, dataset_id=dataset.dataset_id, lineage=lineage):
        if shadow.version in versions:
            scope = ChampionScope(dataset.dataset_id, shadow.scope_entity_id, lineage)
            end_shadow(
                store,
                scope,
                shadow,
                at=hour_ceil(end_at),
                decision=Decision.DECLINED,
                by=by,
                reason="rejected on the form",
            )
            declined.append(shadow.version)
    return declined
