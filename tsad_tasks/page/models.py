"""The model page: versions, what each had to meet, what was decided, and how far they drifted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tsad_tasks.base.enums import Outcome, Stage
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.page import queries
from tsad_tasks.storage.store import Store
from tsad_tasks.text import formats, rules

N_MODELS, N_DECISIONS, N_DRIFT, N_RULED = 30, 40, 12, 4


@dataclass(frozen=True)
class RuleRow:
    """A rule of a version with its numbers, as texts."""

    title: str
    outcome: str
    value: str
    limit: str
    champion: str
    note: str
    decides: bool


@dataclass(frozen=True)
class RuledModel:
    """A version with the rules that it met, failed, or was not tested by."""

    version: int
    state: str
    stages: dict[str, list[RuleRow]]


@dataclass(frozen=True)
class ModelsContent:
    """What the page shows of a dataset's models, newest first."""

    models: list[dict[str, Any]]
    ruled: list[RuledModel]
    decisions: list[dict[str, Any]]
    drift: list[dict[str, Any]]

    @property
    def former(self) -> list[dict[str, Any]]:
        """Versions that were champion and can be again."""
        return self._usable("former champion")

    @property
    def shadows(self) -> list[dict[str, Any]]:
        """Versions in the shadow."""
        return self._usable("shadow")

    @property
    def challengers(self) -> list[dict[str, Any]]:
        """Versions that passed the gate or wait for a person, and never were champion."""
        return [
            one
            for one in self._usable()
            if one["state"] not in ("champion", "former champion", "gate failed")
        ]

    def _usable(self, *states: str) -> list[dict[str, Any]]:
        """Each version once, though it was champion several times; without those pruned."""
        once = list({one["version"]: one for one in reversed(self.models)}.values())[::-1]
        kept = [one for one in once if not one["pruned_at"]]
        return [one for one in kept if one["state"] in states] if states else kept


def read_models(store: Store, dataset: str) -> ModelsContent:
    """What there is to say of a dataset's models."""
    with store.snapshot():
        models = store.rows(queries.SELECT_SHOWN_MODELS, dataset=dataset, n=N_MODELS)
        versions = list(dict.fromkeys((one["version"], one["state"]) for one in models))
        return ModelsContent(
            models,
            [_ruled(store, dataset, *version) for version in versions[:N_RULED]],
            store.rows(queries.SELECT_DECIDED_MODELS, dataset=dataset, n=N_DECISIONS),
            store.rows(queries.SELECT_WORST_DRIFT, dataset=dataset, n=N_DRIFT),
        )


def _ruled(store: Store, dataset: str, version: int, state: str) -> RuledModel:
    stages: dict[str, list[RuleRow]] = {stage.value: [] for stage in Stage}
    for row in store.rows(queries.SELECT_SHOWN_RULES, dataset=dataset, version=version):
        stages.setdefault(row["stage"], []).append(_rule_row(row))
    # What stops a model is read first.
    order = {"failed": 0, "not tested": 1}
    for rows in stages.values():
        rows.sort(key=lambda one: (not one.decides, order.get(one.outcome, 2)))
    return RuledModel(version, state, {stage: rows for stage, rows in stages.items() if rows})


def _rule_row(row: dict[str, Any]) -> RuleRow:
    names = ("value", "limit_value", "champion_value", "note", "low", "high", "n", "n_found")
    given = {name: row[name] for name in (*names, "decides")}
    result = RuleResult(row["rule"], Outcome(row["outcome"]), **given)
    unit = result.declaration.unit

    def figure(value: float | None) -> str:
        named = None if unit == "share" else unit
        return "–" if value is None else formats.with_unit(formats.figure_text(value), named)

    return RuleRow(
        result.declaration.title,
        rules.outcome_text(result),
        figure(result.value),
        rules.limit_text(result),
        figure(result.champion_value),
        rules.brief_note(result),
        result.decides,
    )


def title_of(model: dict[str, Any]) -> str:
    """A version in a few words."""
    return f"v{model['version']}, trained to {formats.date_text(model['train_end_at'])}"
