"""A retraining from its readings to its registration: the tasks of the table in a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tsad_tasks.champions.champions import RegisterSummary
from tsad_tasks.detectors.base import Progress
from tsad_tasks.pipeline.register import register, register_fallback
from tsad_tasks.pipeline.tasks import STEPS
from tsad_tasks.training.retrain import Count, Retraining


def retrain(
    run: Retraining,
    *,
    progress: Progress | None = None,
    say: Callable[[str, Count], None] | None = None,
    approve: Callable[[], None] | None = None,
) -> list[RegisterSummary]:
    """The tasks that make a challenger, in a row, and its registration; and others in its place
    where it was refused and there is no champion.

    Parameters
    ----------
    approve : called when it is known what will be learned; what it raises stops the training.
    """
    run = replace(run, progress=progress)
    for name, step in STEPS.items():
        if name == "train" and approve is not None:
            approve()
        count = step(run)
        if say is not None:
            say(name, count)
    return register(run) + register_fallback(run, STEPS)
