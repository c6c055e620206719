"""The model page: versions, what each had to meet, what was decided, and how far they drifted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tsad_tasks.base.enums import Outcome, Stage
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.monitoring.audit import WEEK, week_before
from tsad_tasks.page import queries
from tsad_tasks.page.queries import SeenSoFar
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
    seen: list[SeenSoFar]

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
        drift = store.rows(queries.SELECT_WORST_DRIFT, dataset=dataset, n=N_DRIFT)
        # A version that was champion several times is as it is now.
        versions = {one["version"]: one["state"] for one in reversed(models)}
        return ModelsContent(
            models,
            [_ruled(store, dataset, *one) for one in list(versions.items())[::-1][:N_RULED]],
            store.rows(queries.SELECT_DECIDED_MODELS, dataset=dataset, n=N_DECISIONS),
            drift,
            [] if drift else store.rows(queries.SELECT_SEEN_SO_FAR, dataset=dataset),
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


def seen_text(seen: SeenSoFar, dataset: str, zone: str) -> str:
    """What is known of a model of which no week was measured yet, and when one will be.

    >>> from datetime import UTC, datetime
    >>> seen = SeenSoFar(2, "champion", datetime(2026, 3, 7, 12, tzinfo=UTC), 12, 1)
    >>> for sentence in seen_text(seen, "pumps", "UTC").split(". "):
    ...     print(sentence)
    v2, champion since 7 Mar 12:00: 12 hours scored, 1 incident
    Its first week, to 9 Mar 2026, is measured by a run of pumps.report after that.
    >>> seen_text(seen._replace(state="shadow", n_incidents=None), "pumps", "UTC")
    'v2, in the shadow since 7 Mar 12:00: 12 hours scored.'
    """
    state = "in the shadow" if seen.n_incidents is None else "champion"
    since = formats.time_text(seen.since_at, zone)
    said = f"v{seen.version}, {state} since {since}: {formats.counted(seen.n_hours, 'hour')} scored"
    if seen.n_incidents is None:
        return f"{said}."
    ends = formats.date_text(week_before(seen.since_at) + 2 * WEEK)
    measured = f"Its first week, to {ends}, is measured by a run of {dataset}.report after that."
    return f"{said}, {formats.counted(seen.n_incidents, 'incident')}. {measured}"


def title_of(model: dict[str, Any]) -> str:
    """A version in a few words."""
    return f"v{model['version']}, trained to {formats.date_text(model['train_end_at'])}"
