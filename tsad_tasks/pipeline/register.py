"""The end of a retraining, for which training and champions meet."""

from __future__ import annotations

from tsad_tasks.champions.champions import RegisterSummary, register_model
from tsad_tasks.training.commissioning import freeze_references
from tsad_tasks.training.judge import judged_model
from tsad_tasks.training.retrain import Retraining, with_chosen_window
from tsad_tasks.training.survey import Survey


def register(run: Retraining) -> list[RegisterSummary]:
    """Task `register`: the models' rows, with gate and exclusions, and who is champion from
    when.
    """
    run, summaries = with_chosen_window(run), []
    for scope, folder in run.scopes():
        model, rows, left_out = judged_model(run, scope, folder)
        in_shadow = run.config.shadow.hours > 0
        summary = register_model(run.store, model, rows, left_out, in_shadow=in_shadow)
        if summary.gate_passed:
            with run.store.transaction():
                levels = folder.read("survey", Survey).levels
                freeze_references(run.store, run.lineage, summary.model_id, levels)
        summaries.append(summary)
    return summaries
