"""The end of a retraining, for which training and champions meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tsad_tasks.base.rule import RuleResult
from tsad_tasks.champions.champions import RegisterSummary, register_model
from tsad_tasks.training.commissioning import freeze_references
from tsad_tasks.training.judge import judged_model
from tsad_tasks.training.reader import Scope
from tsad_tasks.training.retrain import Retraining, ScopeFolder, with_chosen_window
from tsad_tasks.training.survey import Survey
from tsad_tasks.training.youth import age_limit_s

Steps = Mapping[str, Callable[[Retraining], Any]]


def register(run: Retraining) -> list[RegisterSummary]:
    """Task `register`: the models' rows, with gate and exclusions, and who is champion from
    when.
    """
    run = with_chosen_window(run)
    return [_registered(run, scope, folder) for scope, folder in run.scopes()]


def _registered(run: Retraining, scope: Scope, folder: ScopeFolder) -> RegisterSummary:
    model, rows, left_out = judged_model(run, scope, folder)
    ways = {
        "in_shadow": run.config.shadow.hours > 0,
        "in_youth": run.share(scope).range_s < age_limit_s(run.config),
    }
    summary = register_model(run.store, model, rows, left_out, config=run.config, **ways)
    # What a machine was like in its first days is no reference for years.
    if summary.gate_passed and not model.is_young:
        with run.store.transaction():
            levels = folder.read("survey", Survey).levels
            freeze_references(run.store, run.lineage, summary.model_id, levels)
    return summary


def register_fallback(run: Retraining, steps: Steps) -> list[RegisterSummary]:
    """Task `fallback`: for each scope that has no champion and whose challenger the gate refused,
    the detectors of `training.fallback`, one after the other, until one passes.

    Parameters
    ----------
    steps : what makes a challenger of readings, by task; `exclusions` was done.
    """
    found = []
    for scope, folder in run.scopes():
        refused = not all(row.passed for row in folder.read("gate", list[RuleResult]))
        tried = run.of(scope).config.detector.name
        for name in run.config.training.fallback if refused else ():
            if name == tried or run.champion(scope) is not None:
                continue
            made = run.instead(scope, name)
            for task, step in steps.items():
                if task != "exclusions":
                    step(made)
            found += register(made)
            if found[-1].gate_passed:
                # It is champion, or a person is asked.
                break
    return found
