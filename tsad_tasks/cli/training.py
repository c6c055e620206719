"""`tsad retrain`: tasks, epochs and the gate's rules on the screen."""

from __future__ import annotations

import getpass
import shutil
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Option

from devstack import local
from tsad_tasks.base.interval import moment
from tsad_tasks.base.rule import RuleResult, in_order
from tsad_tasks.champions.champions import RegisterSummary
from tsad_tasks.champions.no_champion import no_champion
from tsad_tasks.champions.queries import rule_results
from tsad_tasks.cli.ingest import range_run
from tsad_tasks.cli.options import LIVE, Dataset, Lineage, lineage_of
from tsad_tasks.cli.rows import lists
from tsad_tasks.cli.screen import (
    Listing,
    Shown,
    is_for_programs,
    say,
    say_counts,
    say_lines,
    say_markdown,
    table,
    working,
)
from tsad_tasks.config import config_of
from tsad_tasks.pipeline.retrain import retrain as run_retraining
from tsad_tasks.storage.artifacts import artifacts_root
from tsad_tasks.storage.datasets import select_dataset
from tsad_tasks.storage.store import Store
from tsad_tasks.text.formats import counted
from tsad_tasks.text.rules import RULE_COLUMNS, table_rows, tally
from tsad_tasks.training.retrain import Count, Retraining

# Neither an error (1), nor bad input (2).
REFUSED = 3
RULES = Listing(
    "rules",
    ("outcome", "rule", "challenger", "champion", "limit", "note", "low", "high", "decides"),
    RULE_COLUMNS,
    right=("challenger", "champion", "limit"),
    of=("version",),
)


@lists(RULES)
def retrain(
    dataset: Dataset,
    end: Annotated[str, Option("--end", help="End of the rolling training range.")],
    lineage: Lineage = LIVE,
    seed: Annotated[int | None, Option(help="Seed; default: the dataset file's.")] = None,
    preview: Annotated[
        bool, Option("--preview", help="Show what would be learned, and ask.")
    ] = False,
) -> None:
    """Train a challenger on the rolling range; what passes the gate goes into the champion's
    shadow. Exit code 3: a model was trained, and its gate refused it.
    """
    config, end_at, chosen = config_of(dataset), moment(end), lineage_of(lineage)
    start_at = end_at - timedelta(seconds=config.training.range_s)
    with local.open_store() as store:
        range_run(store, config, start_at, end_at).ingest()
        scratch = Path(tempfile.mkdtemp(prefix="tsad-retrain-"))
        folders = (Path(scratch), artifacts_root())
        try:
            run = Retraining(store, config, end_at, *folders, lineage=chosen, seed=seed)
            summaries = show_retraining(run, asks=preview)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        for summary in summaries:
            show_gate(store, dataset, summary, chosen)
    if not all(summary.gate_passed for summary in summaries):
        raise typer.Exit(REFUSED)


def show_retraining(run: Retraining, *, asks: bool) -> list[RegisterSummary]:
    """Runs a retraining under a line that says how far it is; asks before it learns."""
    with working("training") as shown:

        def epoch(number: int, loss: float, validation_loss: float) -> None:
            text = f"epoch {number}: loss {loss:.5f}, validation {validation_loss:.5f}"
            shown.update(text)

        def approve() -> None:
            shown.stop()
            ask_about(run)
            shown.start()

        approval = approve if asks else None

        def said(name: str, counts: Count) -> None:
            say_counts(name, {key: one for key, one in counts.items() if key != "rare_events"})
            for line in counts.get("rare_events", []):
                say(line)
            if counts.get("n_young"):
                say(_young_text(run))

        return run_retraining(run, progress=epoch, say=said, approve=approval)


def _young_text(run: Retraining) -> str:
    """What it means that what is trained is young."""
    shares = [run.share(scope) for scope, _ in run.scopes()]
    days = max(share.range_s for share in shares if share.is_young) // 86400
    until = "trained daily until each weekday was seen three times"
    return f"a model of {counted(days, 'day')}: young, {until}"


def ask_about(run: Retraining) -> None:
    """Shows what will be learned, asks, and writes the answer; `NothingToDo` when it is not yes."""
    from tsad_tasks.reporting.exploration.preview import Answer, decide_training, preview_run

    say_markdown(preview_run(run).table)
    is_approved, who = _is_approved(), getpass.getuser()
    said = is_approved, who, "answered tsad retrain --preview"
    decide_training(run, Answer(*said, run.store.now()))


def _is_approved() -> bool:
    return typer.confirm("Train on this?", default=False, err=is_for_programs())


def rule_rows(results: Sequence[RuleResult]) -> list[tuple[Any, ...]]:
    """Results of rules, in order, as `RULES` lists them."""
    rows = []
    for one, texts in zip(in_order(list(results)), table_rows(results), strict=True):
        outcome, _, challenger, champion, limit, note = texts
        numbers = (
            Shown(one.value, challenger),
            Shown(one.champion_value, champion),
            Shown(one.limit_value, limit),
        )
        more = note, one.low, one.high, one.decides
        rows.append((Shown(one.outcome.value, outcome), one.rule, *numbers, *more))
    return rows


def show_gate(
    store: Store, dataset_name: str, summary: RegisterSummary, lineage: str = LIVE
) -> None:
    """The gate's rules of one model and its outcome; without a champion, why, and what to do."""
    with store.transaction():
        results = rule_results(store, summary.model_id)
        dataset = select_dataset(store, dataset_name)
        missing = no_champion(store, dataset, lineage=lineage)
    title = f"Gate of model {summary.version}: {tally(results)}"
    table(RULES, title, rule_rows(results), of={"version": summary.version})
    stays = "" if missing and missing.is_whole else "; the champion stays"
    say(f"Model {summary.version} {_outcome_text(summary, stays)}.")
    if missing is not None:
        say_lines(missing.text)


def _outcome_text(summary: RegisterSummary, stays: str) -> str:
    """What became of a model that was registered."""
    if not summary.gate_passed:
        return f"did not pass ({', '.join(summary.failed_rules)}){stays}"
    if summary.waits_for_person:
        return "waits for you: no injected anomaly could be tested (tsad promote makes it champion)"
    if summary.waits_for is not None:
        return f"passed: it waits, version {summary.waits_for} is in the shadow"
    if summary.valid_from is not None:
        return f"is champion from {summary.valid_from:%Y-%m-%d %H:%M} UTC on"
    if summary.shadow_from is not None:
        return f"passed: in the shadow from {summary.shadow_from:%Y-%m-%d %H:%M} UTC on"
    return "passed, but another model is champion from the same hour on"
