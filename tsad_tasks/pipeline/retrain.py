"""A retraining in a row, and the task of it that champions are asked for: `register`."""

from __future__ import annotations

from collections.abc import Callable

from tsad_tasks.champions.champions import RegisterSummary, register_model
from tsad_tasks.detectors.base import Progress
from tsad_tasks.training.commissioning import freeze_references
from tsad_tasks.training.fit import train
from tsad_tasks.training.judge import calibrate, gate, judged_model
from tsad_tasks.training.prepare import find_exclusions, make_features, make_windows
from tsad_tasks.training.retrain import Count, Retraining, with_chosen_window
from tsad_tasks.training.survey import Survey


def register(run: Retraining) -> list[RegisterSummary]:
    """Task `register`: the models' rows with gate and exclusions, and who is champion from when."""
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


def retrain(
    run: Retraining,
    *,
    progress: Progress | None = None,
    say: Callable[[str, Count], None] | None = None,
    approve: Callable[[], None] | None = None,
) -> list[RegisterSummary]:
    """All tasks in a row, as the CLI runs them.

    Parameters
    ----------
    approve : called when it is known what will be learned; what it raises stops the training.
    """
    tell = say or (lambda _task, _count: None)
    tell("exclusions", find_exclusions(run))
    tell("features", make_features(run))
    tell("windows", make_windows(run))
    if approve is not None:
        approve()
    tell("train", train(run, progress))
    tell("calibrate", calibrate(run))
    tell("gate", gate(run))
    return register(run)
