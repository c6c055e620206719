"""Tasks of `<dataset>.promote`: a challenger's shadow beside its champion, rule by rule, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tsad_tasks.config import DatasetConfig
from tsad_tasks.config import Shadow as ShadowRules
from tsad_tasks.core.confidence import SURE, chance_of_losing
from tsad_tasks.core.interval import hour_ceil
from tsad_tasks.errors import NothingToDo
from tsad_tasks.steps.champions import Change, end_shadow, promote
from tsad_tasks.storage.rows import ChampionScope, DatasetRow, GateRow, Shadow
from tsad_tasks.storage.store import Store

BY_RULE = "shadow"


@dataclass(frozen=True)
class Paired:
    """What challenger and champion made of the same hours.

    Attributes
    ----------
    n_hours, n_steps : that both have scored; of the steps, on how many they agree, and what each flags
    n_incidents, n_labels_found : of the challenger and of the champion
    """

    n_hours: int
    n_steps: int
    n_agreed: int
    n_flags: tuple[int, int]
    n_incidents: tuple[int, int]
    n_labels: int
    n_labels_found: tuple[int, int]


@dataclass(frozen=True)
class Comparison:
    """A challenger's shadow up to a moment.

    Attributes
    ----------
    is_complete : whether both have scored enough for a decision
    """

    scope: ChampionScope
    shadow: Shadow
    paired: Paired
    rows: list[GateRow]
    is_complete: bool

    @property
    def failed(self) -> list[str]:
        """Names of the rules that were not met."""
        return [row.rule for row in self.rows if not row.passed]


def compare(store: Store, config: DatasetConfig, *, end_at: datetime, lineage: str = "live") -> list[Comparison]:
    """Every open shadow of the lineage on the whole hours before `end_at`.

    Raises
    ------
    NothingToDo
        When no challenger is in the shadow.
    """
    dataset = store.select_dataset(config.dataset)
    shadows = store.select_shadows(dataset.dataset_id, lineage)
    if not shadows:
        raise NothingToDo(f"No challenger of {config.dataset} is in the shadow.")
    return [_comparison(store, config, dataset, shadow, end_at, lineage) for shadow in shadows]


def _comparison(
    store: Store, config: DatasetConfig, dataset: DatasetRow, shadow: Shadow, end_at: datetime, lineage: str
) -> Comparison:
    paired = paired_hours(store, dataset, shadow, end_at, lineage)
    rows = shadow_rules(config, paired)
    is_complete = all(row.passed for row in rows[:2])
    scope = ChampionScope(dataset.dataset_id, shadow.scope_entity_id, lineage)
    return Comparison(scope, shadow, paired, rows, is_complete)


def paired_hours(store: Store, dataset: DatasetRow, shadow: Shadow, end_at: datetime, lineage: str) -> Paired:
    """Challenger and champion on the hours from the shadow's beginning to `end_at`."""
    ids = [shadow.scope_entity_id] if shadow.scope_entity_id else [*store.select_entities(dataset.dataset_id).values()]
    params: dict[str, Any] = {"start_at": shadow.valid_from, "end_at": end_at, "lineage": lineage, "entity_ids": ids}
    params |= {"dataset": dataset.name, "version": shadow.version, "model_id": shadow.model_id}
    n_hours, n_steps, n_agreed, *n_flags = store.select("select_shadow_pairs", params)[0]
    incidents = store.select("select_shadow_incidents", params)[0]
    n_labels, *found = store.select("select_shadow_labels", params)[0]
    return Paired(n_hours, n_steps, n_agreed, _two(n_flags), _two(incidents), n_labels, _two(found))


def _two(numbers: Sequence[int]) -> tuple[int, int]:
    first, second = numbers
    return first, second


def shadow_rules(config: DatasetConfig, paired: Paired) -> list[GateRow]:
    """The rules of a shadow; the first two say whether it has lasted long enough."""
    rules = config.shadow
    return [
        _at_least("hours", paired.n_hours, rules.hours, "hours that challenger and champion both scored"),
        _at_least("windows", paired.n_steps, config.shadow_windows, "steps that both scored"),
        _flag_share(rules, paired),
        _incidents(rules, paired),
        _agreement(rules, paired),
        _labels(paired),
    ]


def _at_least(rule: str, value: float, limit: float, note: str) -> GateRow:
    return GateRow(rule, value, limit, None, value >= limit, note)


def _flag_share(rules: ShadowRules, paired: Paired) -> GateRow:
    n = max(paired.n_steps, 1)
    value, old = paired.n_flags[0] / n, paired.n_flags[1] / n
    limit = max(rules.max_flag_share, 2 * old)
    return GateRow("flag_share", value, limit, old, value <= limit, f"flagged share of {paired.n_steps} steps")


def _incidents(rules: ShadowRules, paired: Paired) -> GateRow:
    """Fails only where chance does not explain the challenger's incidents: few of them decide nothing."""
    value, old = paired.n_incidents
    chance = chance_of_losing(value, old, rules.max_alert_ratio)
    note = f"incidents; a {rules.max_alert_ratio:g} times noisier challenger has as many with a chance of {chance:.0%}"
    return GateRow("incidents", value, None, old, chance >= SURE, note)


def _agreement(rules: ShadowRules, paired: Paired) -> GateRow:
    value = paired.n_agreed / max(paired.n_steps, 1)
    note = "share of steps that both flag, or neither"
    return GateRow("agreement", value, rules.min_agreement, None, value >= rules.min_agreement, note)


def _labels(paired: Paired) -> GateRow:
    value, old = paired.n_labels_found
    if not paired.n_labels:
        return GateRow("labels_found", None, None, None, True, "not tested: no known anomaly in these hours")
    note = f"of {paired.n_labels} known anomalies in these hours"
    return GateRow("labels_found", value, old, old, value >= old, note)


@dataclass(frozen=True)
class CompareSummary:
    """What a comparison found, for the form and the log; the challengers that may be promoted by version."""

    ready: list[int]
    waiting: dict[int, str]
    failed: dict[int, list[str]]
    table: str


def compare_shadows(store: Store, config: DatasetConfig, *, end_at: datetime, lineage: str = "live") -> CompareSummary:
    """Task `compare`: challengers that have been in the shadow long enough get their rules; who fails one leaves it."""
    found = compare(store, config, end_at=end_at, lineage=lineage)
    complete = [one for one in found if one.is_complete]
    for one in complete:
        with store.transaction():
            store.insert_gate_decisions(one.shadow.model_id, one.rows, "shadow")
        if one.failed:
            reason = ", ".join(one.failed)
            end_shadow(
                store, one.scope, one.shadow, at=hour_ceil(end_at), decision="shadow_failed", by=BY_RULE, reason=reason
            )
    return CompareSummary(
        ready=[one.shadow.version for one in complete if not one.failed],
        waiting={one.shadow.version: waiting_for(config, one.paired) for one in found if not one.is_complete},
        failed={one.shadow.version: one.failed for one in complete if one.failed},
        table="\n\n".join(markdown(one) for one in found),
    )


def waiting_for(config: DatasetConfig, paired: Paired) -> str:
    """What a shadow lacks, in words."""
    hours = f"{paired.n_hours} of {config.shadow.hours} hours"
    return f"{hours} and {paired.n_steps} of {config.shadow_windows} steps scored by both"


def markdown(comparison: Comparison) -> str:
    """The numbers of a comparison as a Markdown table, for the approval form."""
    lines = [
        f"Version {comparison.shadow.version}",
        "",
        "| rule | challenger | champion | limit | |",
        "|---|---|---|---|---|",
    ]
    for row in comparison.rows:
        numbers = (_number(row.value), _number(row.champion_value), _number(row.limit_value))
        lines.append(f"| {row.rule} | {' | '.join(numbers)} | {'met' if row.passed else 'not met'}: {row.note} |")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def promote_ready(
    store: Store, config: DatasetConfig, versions: Sequence[int], *, end_at: datetime, by: str, lineage: str = "live"
) -> list[Change]:
    """Task `promote`: makes champions of those that may be.

    Raises
    ------
    NothingToDo
        When there is none.
    """
    if not versions:
        raise NothingToDo(f"No challenger of {config.dataset} has passed its shadow.")
    reason = "passed gate and shadow"
    settings: dict[str, Any] = {"by": by, "reason": reason, "at": hour_ceil(end_at), "lineage": lineage}
    return [promote(store, config, version, **settings) for version in versions]


def decline(
    store: Store, config: DatasetConfig, versions: Sequence[int], *, end_at: datetime, by: str, lineage: str = "live"
) -> list[int]:
    """Task `decline`: takes challengers that a person did not want out of the shadow."""
    dataset, declined = store.select_dataset(config.dataset), []
    for shadow in store.select_shadows(dataset.dataset_id, lineage):
        if shadow.version in versions:
            scope = ChampionScope(dataset.dataset_id, shadow.scope_entity_id, lineage)
            end_shadow(
                store, scope, shadow, at=hour_ceil(end_at), decision="declined", by=by, reason="rejected on the form"
            )
            declined.append(shadow.version)
    return declined
