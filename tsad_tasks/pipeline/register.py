"""The end of a retraining, for which training and champions meet."""

from __future__ import annotations

from tsad_tasks.champions.champions import RegisterSummary, register_model
from tsad_tasks.training.commissioning import freeze_references
from tsad_tasks.training.judge import judged_model
from tsad_tasks.training.retrain import Retraining, with_chosen_window
from tsad_tasks.training.survey import Survey
from tsad_tasks.training.youth import age_limit_s


def register(run: Retraining) -> list[RegisterSummary]:
    """Task `register`: the models' rows, with gate and exclusions, and who is champion from
    when.
    """
    run, summaries = with_chosen_window(run), []
    for scope, folder in run.scopes():
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
        summaries.append(summary)
    return summaries
