"""A retraining on the screen: tasks, epochs, and the gate's rules."""

from __future__ import annotations

import getpass
import shutil
import tempfile
from datetime import datetime
from pathlib import Path

import typer
from upath import UPath

from tsad_tasks.base.clock import utc_now
from tsad_tasks.champions.champions import RegisterSummary
from tsad_tasks.champions.queries import SELECT_GATE_DECISIONS
from tsad_tasks.cli.screen import console, say, say_counts, say_markdown, table
from tsad_tasks.config import DatasetConfig
from tsad_tasks.storage.store import Store
from tsad_tasks.training.retrain import Retraining, retrain
from tsad_tasks.training.rule_notes import full_note


def show_retraining(
    store: Store,
    config: DatasetConfig,
    end_at: datetime,
    artifacts: UPath,
    *,
    lineage: str,
    seed: int | None,
    preview: bool = False,
) -> list[RegisterSummary]:
    """Runs a retraining and shows what it decides; with `preview` it first asks whether it may."""
    scratch = Path(tempfile.mkdtemp(prefix="tsad-retrain-"))
    run = Retraining(store, config, end_at, UPath(scratch), artifacts, lineage=lineage, seed=seed)
    try:
        summaries = _shown(run, asks=preview)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    for summary in summaries:
        show_gate(store, summary)
    return summaries


def _shown(run: Retraining, *, asks: bool) -> list[RegisterSummary]:
    """The retraining under a line that says how far it is, which makes room for the question."""
    with console.status("training") as shown:

        def epoch(number: int, loss: float, validation_loss: float) -> None:
            text = f"epoch {number}: loss {loss:.5f}, validation {validation_loss:.5f}"
            shown.update(text)
            if not console.is_terminal:
                say(text)

        def approve() -> None:
            shown.stop()
            ask_about(run)
            shown.start()

        return retrain(run, progress=epoch, say=say_counts, approve=approve if asks else None)


def ask_about(run: Retraining) -> None:
    """Shows what will be learned, asks, and writes the answer.

    Raises
    ------
    NothingToDo
        When it is not yes.
    """
    from tsad_tasks.reporting.exploration.preview import Answer, decide_training, preview_run

    say_markdown(preview_run(run).table)
    is_approved = typer.confirm("Train on this?", default=False)
    decide_training(
        run, Answer(is_approved, getpass.getuser(), "answered tsad retrain --preview", utc_now())
    )


def show_gate(store: Store, summary: RegisterSummary) -> None:
    """The gate's rules of one model and its outcome."""
    with store.transaction():
        rows = store.rows(SELECT_GATE_DECISIONS, model_id=summary.model_id, stage="gate")
    shown = [
        (
            "passed" if row.passed else "FAILED",
            row.rule,
            row.value,
            row.limit_value,
            row.champion_value,
            full_note(row),
        )
        for row in rows
    ]
    table(
        f"Gate of model {summary.version}",
        ("", "rule", "value", "limit", "champion", ""),
        shown,
        right=("value", "limit"),
    )
    say(_outcome(summary))


def _outcome(summary: RegisterSummary) -> str:
    if not summary.gate_passed:
        return f"Model {summary.version} did not pass ({', '.join(summary.failed_rules)}); the champion stays."
    if summary.waits_for is not None:
        return f"Model {summary.version} passed: it waits, version {summary.waits_for} is in the shadow."
    if summary.valid_from is None and summary.shadow_from is not None:
        return f"Model {summary.version} passed: in the shadow from {summary.shadow_from:%Y-%m-%d %H:%M} UTC on."
    if summary.valid_from is None:
        return (
            f"Model {summary.version} passed, but another model is champion from the same hour on."
        )
    return f"Model {summary.version} is champion from {summary.valid_from:%Y-%m-%d %H:%M} UTC on."
