"""Tasks of `<dataset>.promote`: a challenger's shadow, rule by rule, and what follows from it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from tsad_tasks.base.enums import Decision, Lineage, Stage
from tsad_tasks.base.errors import NothingToDo
from tsad_tasks.base.interval import hour_ceil, hours_later
from tsad_tasks.base.rule import RuleResult, rules_of
from tsad_tasks.champions import queries
from tsad_tasks.champions.champions import (
    ChampionChange,
    Places,
    end_shadow,
    promote,
    replace_old_shadow,
)
from tsad_tasks.champions.queries import KnownCounts, OpenShadow
from tsad_tasks.champions.rules.base import ShadowComparison, ShadowEvidence, ShadowRule, Trial
from tsad_tasks.champions.trial import shadow_trial
from tsad_tasks.config import DatasetConfig
from tsad_tasks.storage.datasets import lock_dataset, select_dataset, select_entities
from tsad_tasks.storage.store import Store
from tsad_tasks.text.rules import RULE_COLUMNS, markdown_table, table_rows
from tsad_tasks.training.queries import ChampionScope

BY_RULE = str(Stage.SHADOW)
# A form takes its default by itself; so much later its run is broken, and another one asks.
FORM_MARGIN_S = 3600


@dataclass(frozen=True)
class JudgedShadow:
    """A challenger's shadow up to a moment; `is_complete` where it suffices for a decision."""

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
    """Every open shadow of the lineage on the whole hours before `end_at`, but of some versions.

    Raises
    ------
    NothingToDo
        When no challenger is in the shadow.
    """
    shadows = _open_shadows(store, config, lineage)
    if not shadows:
        raise NothingToDo(f"No challenger of {config.dataset} is in the shadow.")
    chosen = [(scope, one) for scope, one in shadows if one.version not in leaving_out]
    return [_judged(store, config, scope, shadow, end_at) for scope, shadow in chosen]


def _open_shadows(
    store: Store, config: DatasetConfig, lineage: str
) -> list[tuple[ChampionScope, OpenShadow]]:
    dataset_id = select_dataset(store, config.dataset).dataset_id
    found = store.rows(queries.SELECT_SHADOWS, dataset_id=dataset_id, lineage=lineage)
    return [(ChampionScope(dataset_id, one.scope_entity_id, lineage), one) for one in found]


def _judged(
    store: Store, config: DatasetConfig, scope: ChampionScope, shadow: OpenShadow, end_at: datetime
) -> JudgedShadow:
    compared = compared_hours(store, config.dataset, scope, shadow, end_at)
    last_at = compared.last_hour_at
    if not all(row.passed for row in shadow_results(config, compared, only_waits=True)):
        return JudgedShadow(scope, shadow, compared, shadow_results(config, compared), False)
    trial = None
    if last_at is not None:
        trial = shadow_trial(store, config, scope, shadow, end_at=hours_later(last_at, 1))
    results = shadow_results(config, compared, trial, with_trial=True)
    return JudgedShadow(scope, shadow, compared, results, True)


def compared_hours(
    store: Store, dataset: str, scope: ChampionScope, shadow: OpenShadow, end_at: datetime
) -> ShadowComparison:
    """Challenger and champion on the hours from the shadow's beginning to `end_at`."""
    own_id, lineage = scope.scope_entity_id, scope.lineage
    ids = [own_id] if own_id else [*select_entities(store, scope.dataset_id).values()]
    span: dict[str, Any] = {"start_at": shadow.valid_from, "end_at": end_at, "lineage": lineage}
    version = {"dataset": dataset, "version": shadow.version}
    scored = store.one(queries.SELECT_SHADOW_PAIRS, **version, **span)
    incidents = store.one(queries.SELECT_SHADOW_INCIDENTS, entity_ids=ids, **span)
    known_of = {"entity_ids": ids, "model_id": shadow.model_id}
    rows = store.rows(queries.SELECT_SHADOW_KNOWN, **known_of, **span)
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
        for rule in cast("list[ShadowRule]", rules_of(Stage.SHADOW))
        if (rule.is_wait or not only_waits) and (with_trial or not rule.needs_trial)
    ]


@dataclass(frozen=True)
class ShadowSummary:
    """What a comparison found, for the form and the log, by version.

    Attributes
    ----------
    ready : those that may be promoted.
    asked : the run whose form waits for a person already; these are not compared again.
    replaced : the waiting challenger that took the place of one that was undecided for too long.
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
    ready, failed = [], {}
    for one in (one for one in found if one.is_complete):
        with store.transaction():
            queries.write_rule_results(store, one.shadow.model_id, one.rows)
        if not one.failed:
            ready.append(one)
            continue
        failed[one.shadow.version] = one.failed
        at, why = hour_ceil(end_at), {"by": BY_RULE, "reason": ", ".join(one.failed)}
        end_shadow(store, one.scope, one.shadow, at=at, decision=Decision.SHADOW_FAILED, **why)
    if run_id is not None:
        asked |= _ask(store, config, ready, lineage, run_id)
        ready = [one for one in ready if one.shadow.version not in asked]
    waiting = [one for one in found if not one.is_complete]
    newer = {
        one.shadow.version: replace_old_shadow(store, one.scope, one.shadow, at=end_at)
        for one in waiting
    }
    return ShadowSummary(
        [one.shadow.version for one in ready],
        {one.shadow.version: waiting_for(config, one.compared) for one in waiting},
        failed,
        "\n\n".join(markdown(one) for one in found if one.shadow.version not in asked),
        asked,
        {old: new for old, new in newer.items() if new is not None},
    )


def _open_forms(store: Store, config: DatasetConfig, lineage: str) -> dict[int, str]:
    """Runs whose form waits for a person, by version."""
    dataset_id = select_dataset(store, config.dataset).dataset_id
    open_s = config.shadow.answer_within_s + FORM_MARGIN_S
    params = {"dataset_id": dataset_id, "lineage": lineage, "open_s": open_s}
    return {one.version: one.decided_by for one in store.rows(queries.SELECT_OPEN_FORMS, **params)}


def _of_others(forms: dict[int, str], run_id: str) -> dict[int, str]:
    """A run that is tried again asks again."""
    return {version: run for version, run in forms.items() if run != run_id}


def _ask(
    store: Store, config: DatasetConfig, ready: Sequence[JudgedShadow], lineage: str, run_id: str
) -> dict[int, str]:
    """Notes that this run asks about these; those that another run asks about come back."""
    said = "a person is asked on the form of this run"
    with store.transaction():
        lock_dataset(store, select_dataset(store, config.dataset).dataset_id, "champion")
        forms = _open_forms(store, config, lineage)
        for one in (one for one in ready if one.shadow.version not in forms):
            Places(store, one.scope).decide(one.shadow.model_id, Decision.ASKED, said, run_id)
    return _of_others(forms, run_id)


def waiting_for(config: DatasetConfig, compared: ShadowComparison) -> str:
    """What a shadow lacks, in words."""
    hours = f"{compared.n_hours} of {config.shadow.hours} hours"
    return f"{hours} and {compared.n_steps} of {config.shadow_windows} steps scored by both"


def markdown(judged: JudgedShadow) -> str:
    """The rules of a shadow as a Markdown table, for the approval form."""
    table = markdown_table(RULE_COLUMNS, table_rows(judged.rows))
    return f"Version {judged.shadow.version}\n\n{table}"


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
    there = [shadow.version for _, shadow in _open_shadows(store, config, lineage)]
    why: dict[str, Any] = {"by": by, "reason": "passed gate and shadow", "lineage": lineage}
    changes = [
        promote(store, config, version, at=hour_ceil(end_at), **why)
        for version in versions
        if version in there
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
    at, why = hour_ceil(end_at), {"by": by, "reason": "rejected on the form"}
    shadows = _open_shadows(store, config, lineage)
    declined = [(scope, shadow) for scope, shadow in shadows if shadow.version in versions]
    for scope, shadow in declined:
        end_shadow(store, scope, shadow, at=at, decision=Decision.DECLINED, **why)
    return [shadow.version for _, shadow in declined]
