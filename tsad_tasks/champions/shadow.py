"""Tasks of `<dataset>.promote`: a challenger's shadow beside its champion, rule by rule, and what
follows from it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from tsad_tasks.base.confidence import SURE, chance_of_losing
from tsad_tasks.base.errors import NothingToDo
from tsad_tasks.base.interval import hour_ceil, hours_later
from tsad_tasks.champions.champions import ChampionChange, end_shadow, promote, replace_old_shadow
from tsad_tasks.champions.queries import (
    INSERT_MODEL_DECISION,
    SELECT_SHADOWS,
    ModelDecision,
    OpenShadow,
)
from tsad_tasks.champions.records import insert_rule_results
from tsad_tasks.champions.trial import shadow_trial, trial_rules
from tsad_tasks.config import DatasetConfig, Shadow
from tsad_tasks.storage.datasets import DatasetRow, lock_dataset, select_dataset, select_entities
from tsad_tasks.storage.store import Store
from tsad_tasks.training.queries import ChampionScope, RuleResult
from tsad_tasks.training.rule_notes import full_note

BY_RULE = "shadow"
# A form takes its default by itself; so much later its run is broken, and another one asks.
FORM_MARGIN_S = 3600


@dataclass(frozen=True)
class ShadowComparison:
    """What challenger and champion made of the same hours.

    Attributes
    ----------
    n_hours, n_steps : that both have scored; of the steps, on how many they agree, and what each
        flags
    n_incidents : of the challenger and of the champion, without those in maintenance windows
    n_labels, n_labels_found : labels in these hours, and those that challenger and champion flag
    n_confirmed, n_confirmed_found : the same of incidents that people confirmed, as far as no label
        is there
    n_false : incidents of challenger and champion that overlap in time what people called
        false_alarm or expected
    last_hour_at : the last of the hours
    """

    n_hours: int
    n_steps: int
    n_agreed: int
    n_flags: tuple[int, int]
    n_incidents: tuple[int, int]
    n_labels: int
    n_labels_found: tuple[int, int]
    n_confirmed: int = 0
    n_confirmed_found: tuple[int, int] = (0, 0)
    n_false: tuple[int, int] = (0, 0)
    last_hour_at: datetime | None = None


@dataclass(frozen=True)
class JudgedShadow:
    """A challenger's shadow up to a moment.

    Attributes
    ----------
    is_complete : whether both have scored enough for a decision
    """

    scope: ChampionScope
    shadow: OpenShadow
    paired: ShadowComparison
    rows: list[RuleResult]
    is_complete: bool

    @property
    def failed(self) -> list[str]:
        """Names of the rules that were not met."""
        return [row.rule for row in self.rows if not row.passed]


def compare(
    store: Store,
    config: DatasetConfig,
    *,
    end_at: datetime,
    lineage: str = "live",
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
    return [_comparison(store, config, dataset, shadow, end_at, lineage) for shadow in chosen]


def _comparison(
    store: Store,
    config: DatasetConfig,
    dataset: DatasetRow,
    shadow: OpenShadow,
    end_at: datetime,
    lineage: str,
) -> JudgedShadow:
    paired = paired_hours(store, dataset, shadow, end_at, lineage)
    rows = shadow_rules(config, paired)
    is_complete = all(row.passed for row in rows[:2])
    scope = ChampionScope(dataset.dataset_id, shadow.scope_entity_id, lineage)
    if is_complete:
        last_at = paired.last_hour_at
        trial = (
            shadow_trial(store, config, scope, shadow, end_at=hours_later(last_at, 1))
            if last_at
            else None
        )
        rows += trial_rules(config, trial)
    return JudgedShadow(scope, shadow, paired, rows, is_complete)


def paired_hours(
    store: Store, dataset: DatasetRow, shadow: OpenShadow, end_at: datetime, lineage: str
) -> ShadowComparison:
    """Challenger and champion on the hours from the shadow's beginning to `end_at`."""
    ids = (
        [shadow.scope_entity_id]
        if shadow.scope_entity_id
        else [*select_entities(store, dataset.dataset_id).values()]
    )
    params: dict[str, Any] = {
        "start_at": shadow.valid_from,
        "end_at": end_at,
        "lineage": lineage,
        "entity_ids": ids,
    }
    params |= {"dataset": dataset.name, "version": shadow.version, "model_id": shadow.model_id}
    n_hours, n_steps, n_agreed, *n_flags, last_hour_at = store.select(
        "select_shadow_pairs", params
    )[0]
    incidents = store.select("select_shadow_incidents", params)[0]
    known = {by: found for by, *found in store.select("select_shadow_known", params)}
    n_labels, *labels = known.get("label", (0, 0, 0))
    n_confirmed, *confirmed = known.get("verdict", (0, 0, 0))
    found = (n_labels, _two(labels), n_confirmed, _two(confirmed))
    return ShadowComparison(
        n_hours,
        n_steps,
        n_agreed,
        _two(n_flags),
        _two(incidents[:2]),
        *found,
        _two(incidents[2:]),
        last_hour_at,
    )


def _two(numbers: Sequence[int]) -> tuple[int, int]:
    first, second = numbers
    return first, second


def shadow_rules(config: DatasetConfig, paired: ShadowComparison) -> list[RuleResult]:
    """The rules that count what both have scored; the first two say whether the shadow has lasted
    long enough.
    """
    rules = config.shadow
    return [
        _at_least(
            "hours", paired.n_hours, rules.hours, "hours that challenger and champion both scored"
        ),
        _at_least("windows", paired.n_steps, config.shadow_windows, "steps that both scored"),
        _flag_share(rules, paired),
        _incidents(rules, paired),
        _agreement(rules, paired),
        _known_found("labels_found", "labels", paired.n_labels, paired.n_labels_found),
        _known_found(
            "confirmed_found", "confirmed incidents", paired.n_confirmed, paired.n_confirmed_found
        ),
        _false_alarms(rules, paired),
    ]


def _at_least(rule: str, value: float, limit: float, note: str) -> RuleResult:
    return RuleResult(rule, value, limit, None, value >= limit, note)


def _flag_share(rules: Shadow, paired: ShadowComparison) -> RuleResult:
    n = max(paired.n_steps, 1)
    value, old = paired.n_flags[0] / n, paired.n_flags[1] / n
    limit = max(rules.max_flag_share, 2 * old)
    return RuleResult(
        "flag_share", value, limit, old, value <= limit, f"flagged share of {paired.n_steps} steps"
    )


def _incidents(rules: Shadow, paired: ShadowComparison) -> RuleResult:
    """Fails only where chance does not explain the challenger's incidents: few of them decide
    nothing.
    """
    value, old = paired.n_incidents
    chance = chance_of_losing(value, old, rules.max_alert_ratio)
    note = f"incidents; a {rules.max_alert_ratio:g} times noisier challenger has as many with a chance of {chance:.0%}"
    return RuleResult("incidents", value, None, old, chance >= SURE, note)


def _agreement(rules: Shadow, paired: ShadowComparison) -> RuleResult:
    value = paired.n_agreed / max(paired.n_steps, 1)
    note = "share of steps that both flag, or neither"
    return RuleResult(
        "agreement", value, rules.min_agreement, None, value >= rules.min_agreement, note
    )


def _known_found(rule: str, what: str, n: int, found: tuple[int, int]) -> RuleResult:
    """Each was a fault: who finds fewer of them than the champion is not put down to chance."""
    if not n:
        return RuleResult(rule, None, None, None, True, f"not tested: no {what} in these hours")
    value, old = found
    return RuleResult(rule, value, old, old, value >= old, f"flagged, of {n} {what} in these hours")


def _false_alarms(rules: Shadow, paired: ShadowComparison) -> RuleResult:
    """By people's words on the champion's incidents, at whatever time and entity the challenger has
    one too.
    """
    value, old = paired.n_false
    if not (value or old):
        note = "not tested: nobody called an incident of these hours a false alarm or expected"
        return RuleResult("false_alarms", None, None, None, True, note)
    chance = chance_of_losing(value, old, rules.max_alert_ratio)
    note = f"incidents that people called false alarms or expected; as many by chance with {chance:.0%}"
    return RuleResult("false_alarms", value, None, old, chance >= SURE, note)


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
    lineage: str = "live",
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
    found = compare(store, config, end_at=end_at, lineage=lineage, leaving_out=asked)
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
            one.shadow.version: waiting_for(config, one.paired)
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
        insert_rule_results(store, one.shadow.model_id, one.rows, "shadow")
    if one.failed:
        settings: dict[str, Any] = {
            "decision": "shadow_failed",
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
    return dict(store.select("select_open_forms", params))


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
                    **asdict(ModelDecision(one.shadow.model_id, lineage, "asked", run_id, said)),
                )
    return _of_others(forms, run_id)


def waiting_for(config: DatasetConfig, paired: ShadowComparison) -> str:
    """What a shadow lacks, in words."""
    hours = f"{paired.n_hours} of {config.shadow.hours} hours"
    return f"{hours} and {paired.n_steps} of {config.shadow_windows} steps scored by both"


def markdown(comparison: JudgedShadow) -> str:
    """The numbers of a comparison as a Markdown table, for the approval form."""
    lines = [
        f"Version {comparison.shadow.version}",
        "",
        "| rule | challenger | champion | limit | |",
        "|---|---|---|---|---|",
    ]
    for row in comparison.rows:
        numbers = (_number(row.value), _number(row.champion_value), _number(row.limit_value))
        lines.append(f"| {row.rule} | {' | '.join(numbers)} | {_outcome(row)} |")
    return "\n".join(lines)


def _outcome(row: RuleResult) -> str:
    note = full_note(row)
    if note.startswith("not tested"):
        return note
    return f"{'met' if row.passed else 'not met'}: {note}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def promote_ready(
    store: Store,
    config: DatasetConfig,
    versions: Sequence[int],
    *,
    end_at: datetime,
    by: str,
    lineage: str = "live",
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
    lineage: str = "live",
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
                decision="declined",
                by=by,
                reason="rejected on the form",
            )
            declined.append(shadow.version)
    return declined
