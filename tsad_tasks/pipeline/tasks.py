"""The table of tasks: each is declared once, by the function that does its work.

The DAG file makes Airflow's tasks of `TASKS`, in this order; the bridge in plugins/ runs them by
`run_task`; docs/tasks.md is printed from them (`python -m tsad_tasks.pipeline.tasks`). A function's
docstring is what people read of the task in Airflow. Each imports what it needs when it runs:
Airflow imports this file whenever it looks at the DAGs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from tsad_tasks.base.enums import Lineage, TrainingDecision
from tsad_tasks.base.errors import BadInput, NothingToDo
from tsad_tasks.base.interval import Interval, moment, ordered
from tsad_tasks.config import DatasetConfig
from tsad_tasks.pipeline.task import ALL_DONE, NONE_FAILED, TASKS, Task, TaskRun, always, does, log
from tsad_tasks.storage.artifacts import artifacts_root, run_folder

if TYPE_CHECKING:
    from tsad_tasks.storage.store import Store
    from tsad_tasks.training.retrain import Retraining


def asks_before_training(config: DatasetConfig) -> bool:
    """Whether a person sees what would be learned, and says whether it is."""
    return config.training.preview == "manual"


def asks_before_promotion(config: DatasetConfig) -> bool:
    """Whether a person promotes or rejects a challenger."""
    return config.shadow.approve == "manual"


_training_asks = partial(Task, "retrain", when=asks_before_training)
_promotion_asks = partial(Task, "promote", when=asks_before_promotion)


def retrains_early(config: DatasetConfig) -> bool:
    """Whether drift starts a retraining."""
    return config.drift.retrain_above is not None


# <dataset>.score: one run per interval.


@does(Task("score", "ingest"))
def ingest(store: Store, run: TaskRun) -> Any:
    """Readings from the source tables: only hours that are missing or may have changed, those too
    that no run came to.
    """
    from tsad_tasks.ingest.ingest import IngestSummary, ingest_interval
    from tsad_tasks.ingest.late import nothing_read
    from tsad_tasks.scoring.plan import history_s

    of, summary = (store, run.config, run.source_uris), IngestSummary()
    for span in run.spans:
        # Scores look back on readings before the interval.
        needed_s = history_s(store, run.config, lineage=run.lineage, **span)
        summary += ingest_interval(*of, history_s=needed_s, comes_again=True, **span)
    if nothing := nothing_read(*of, **run.span):
        raise NothingToDo(nothing)
    return summary


# What stands for an hour without readings is decided there too: a gap.
@does(Task("score", "features", trigger_rule=NONE_FAILED))
def features(store: Store, run: TaskRun) -> Any:
    """What must be scored, and the detector's inputs for it; says why where nothing is scored."""
    from tsad_tasks.champions.no_champion import no_champion
    from tsad_tasks.scoring.features import FeatureSummary, build_features
    from tsad_tasks.storage.datasets import select_dataset, select_entities

    folder = run_folder(run.dag_id, run.run_id)
    n_shards = int(os.environ.get("TSAD_SHARDS") or os.cpu_count() or 1)
    options: dict[str, Any] = {"lineage": run.lineage, "n_shards": n_shards}
    summary = FeatureSummary()
    for number, span in enumerate(run.spans):
        options["folder"] = folder / f"part_{number}" if number else folder
        summary += build_features(store, run.config, **span, **options)
    if not summary.n_hours and not summary.n_current and not summary.n_failed:
        with store.transaction():
            dataset = select_dataset(store, run.config.dataset)
            missing = no_champion(store, dataset, lineage=run.lineage, **run.span)
            entities = select_entities(store, dataset.dataset_id)
        if missing is not None:
            raise NothingToDo(*missing.text.splitlines())
        if not summary.shards:
            why = "every entity of it is silent, see v_entity" if entities else "no readings yet"
            raise NothingToDo(f"Nothing is scored of {run.config.dataset}: {why}.")
    return summary


@does(Task("score", "windows", takes={"shards": "features.shards"}, hands_on="shards"))
def windows(_store: Store, run: TaskRun) -> Any:
    """Which windows are complete enough: an index and a validity mask. Gives the shards to be
    scored.
    """
    from tsad_tasks.scoring.windows import build_windows

    return build_windows(run.inputs["shards"])


@does(Task("score", "score", takes={"shard": "windows"}, for_each="shard"))
def score(store: Store, run: TaskRun) -> Any:
    """Errors, thresholds, scores and anomalies, written in one transaction per model."""
    from tsad_tasks.scoring.score import score_shard

    if not run.inputs["shard"]:
        raise NothingToDo("Its hours stand as they are, or no model of them could be used.")
    return score_shard(store, run.config, run.inputs["shard"])


@does(Task("score", "incidents", trigger_rule=NONE_FAILED))
def incidents(store: Store, run: TaskRun) -> Any:
    """Flags merged into incidents."""
    from tsad_tasks.pipeline.catch_up import note_done
    from tsad_tasks.scoring.incidents import IncidentSummary, build_incidents

    summary = IncidentSummary(0, 0, 0)
    for span in run.spans:
        summary += build_incidents(store, run.config, lineage=run.lineage, **span)
    if run.lineage == Lineage.LIVE and not run.is_scheduled:
        note_done(store, run.config, [Interval(**run.span)])
    return summary


@does(Task("score", "notify", trigger_rule=NONE_FAILED))
def notify(store: Store, run: TaskRun) -> Any:
    """Tells the dataset's targets of live incidents; see v_notification."""
    if run.lineage != Lineage.LIVE or (run.is_backfill and not run.params["notify"]):
        raise NothingToDo("Replays notify nobody, and backfills only with notify: true.")
    from tsad_tasks.notifications import notify
    from tsad_tasks.pipeline.catch_up import give_back, made_up, note_done

    ends: dict[str, Any] = {"end_at": run.span["end_at"], "picture": _picture(store, run)}
    if run.is_scheduled and made_up(run.config, run.parts):
        ends["made_up_from"] = run.parts[0].start_at
    counts = notify.notify(store, run.config, run.send, **ends)
    if run.is_scheduled:
        # What was found in them is told: only now they are done.
        note_done(store, run.config, run.parts)
        give_back(store, run.config, run_id=run.id)
    return counts


def _picture(store: Store, run: TaskRun) -> Callable[[Mapping[str, Any]], bytes | None]:
    """Draws incidents for messages; what draws is imported when one is to be drawn."""

    def draw(payload: Mapping[str, Any]) -> bytes | None:
        from tsad_tasks.reporting.period.one_incident import incident_picture

        return incident_picture(store, run.config.site_zone)(payload)

    return draw


# <dataset>.retrain: a challenger, its gate, and the shadow if it passes.


def retraining(store: Store, run: TaskRun) -> Retraining:
    """The retraining that ends with the interval, or where the form says; backfills are replays.

    Of the daily runs those at the moments of `training.schedule` train everything, the others what
    is young.
    """
    from tsad_tasks.pipeline.schedule import is_moment
    from tsad_tasks.training.retrain import Retraining

    end, folder = run.params["end"], run_folder(run.dag_id, run.run_id)
    is_asked = bool(end) or not (run.is_scheduled or run.is_backfill)
    return Retraining(
        store,
        run.config,
        moment(end) if end else run.span["end_at"],
        folder,
        artifacts_root(),
        lineage=Lineage.REPLAY if run.is_backfill else run.lineage,
        seed=run.params["seed"],
        only_young=not is_asked and not is_moment(run.config.training.schedule, run.span["end_at"]),
    )


# Tasks that make a challenger of readings, in their order: `tsad retrain` runs them in a row.
STEPS: dict[str, Callable[[Retraining], Any]] = {}


def trains(name: str) -> Callable[[Callable[[Retraining], Any]], Callable[[Retraining], Any]]:
    """A decorator that declares a task of `STEPS`."""

    def declared(step: Callable[[Retraining], Any]) -> Callable[[Retraining], Any]:
        @does(Task("retrain", name))
        @wraps(step)
        def work(store: Store, run: TaskRun) -> Any:
            return step(retraining(store, run))

        STEPS[name] = step
        return step

    return declared


@does(Task("retrain", "ingest_history"))
def ingest_history(store: Store, run: TaskRun) -> Any:
    """Readings of the whole range that are not there yet; daily runs go on where a dataset is
    young.
    """
    from tsad_tasks.ingest.ingest import ingest_interval
    from tsad_tasks.pipeline.schedule import check_due

    made = retraining(store, run)
    check_due(made)
    ends = made.span.whole._asdict()
    return ingest_interval(store, run.config, run.source_uris, comes_again=True, **ends)


@trains("exclusions")
def exclusions(run: Retraining) -> Any:
    """What the training leaves out, and why; too much stops it."""
    from tsad_tasks.training import prepare

    return prepare.find_exclusions(run)


@trains("features")
def training_features(run: Retraining) -> Any:
    """Scales, fitted on training readings only."""
    from tsad_tasks.training import prepare

    return prepare.make_features(run)


@trains("windows")
def training_windows(run: Retraining) -> Any:
    """Windows to learn from, sampled evenly over entities and time."""
    from tsad_tasks.training import prepare

    return prepare.make_windows(run)


@does(_training_asks("preview"))
def preview(store: Store, run: TaskRun) -> Any:
    """What would be learned: range, what is left out, what is missing, what moved; the PDF is in
    the log.
    """
    from tsad_tasks.reporting.exploration.preview import preview_run

    made = retraining(store, run)
    if made.lineage != Lineage.LIVE:
        raise NothingToDo("Nobody is asked about a replay.")
    return preview_run(made)


_SHOWN = "A form that shows what would be learned."
TASKS.append(_training_asks("approve", _SHOWN))
_TRAINING_FORM = {"windows": "windows", "answer": "approve"}


@does(_training_asks(TrainingDecision.APPROVED, trigger_rule=NONE_FAILED, takes=_TRAINING_FORM))
def approved(store: Store, run: TaskRun) -> Any:
    """Writes who approved or stopped it; see v_training_decision."""
    from tsad_tasks.reporting.exploration import preview

    if run.inputs["windows"] is None:
        raise NothingToDo("There is nothing to train.")
    answer = run.inputs["answer"]
    if answer is None:
        return {"approved_by": "nobody is asked about a replay"}
    by = answered_by(answer)
    default = f"nobody answered, training.unanswered: {run.config.training.unanswered}"
    reason = "answered on the form" if by else default
    is_approved, at = "Train" in answer["chosen_options"], answer["responded_at"]
    decided = preview.Answer(is_approved, by or "nobody", reason, at)
    return preview.decide_training(retraining(store, run), decided)


def answered_by(answer: dict[str, Any] | None) -> str | None:
    """Name of the person who filled in a form; None where nobody did."""
    user = answer and answer.get("responded_by_user")
    return str(user["name"]) if user else None


def log_epoch(number: int, loss: float, validation_loss: float) -> None:
    """An epoch as a line of the task's log."""
    log.info("epoch %d: loss %.5f, validation %.5f", number, loss, validation_loss)


@trains("train")
def train(run: Retraining) -> Any:
    """Fits the detector; each epoch is in the log."""
    from tsad_tasks.training import fit

    return fit.train(run, run.progress or log_epoch)


@trains("calibrate")
def calibrate(run: Retraining) -> Any:
    """Thresholds from held-out readings, and the finished bundle."""
    from tsad_tasks.training import judge

    return judge.calibrate(run)


@trains("gate")
def gate(run: Retraining) -> Any:
    """The challenger's numbers beside the champion's, rule by rule."""
    from tsad_tasks.training import judge

    return judge.gate(run)


@does(Task("retrain", "register"))
def register(store: Store, run: TaskRun) -> Any:
    """The model's row with its gate; what passed goes into the champion's shadow."""
    from tsad_tasks.pipeline.register import register

    return {"models": [asdict(one) for one in register(retraining(store, run))]}


@does(Task("retrain", "fallback"))
def fallback(store: Store, run: TaskRun) -> Any:
    """Without a champion, where the gate refused the challenger: `training.fallback`, one detector
    after the other until one passes.
    """
    from tsad_tasks.pipeline.register import register_fallback

    return {"models": [asdict(one) for one in register_fallback(retraining(store, run), STEPS)]}


@does(Task("retrain", "evaluate", after=("register",)))
def evaluate(store: Store, run: TaskRun) -> Any:
    """A PDF on the challenger: curves, confusion matrices, losses, reconstructions."""
    from tsad_tasks.reporting.evaluation.evaluate import evaluate_run

    return evaluate_run(retraining(store, run))


# Beside `evaluate`, not after it, lest it hides what failed: a run is as green as its last tasks.
@does(Task("retrain", "notify", trigger_rule=ALL_DONE, after=("fallback",)))
def notify_of_models(store: Store, run: TaskRun) -> Any:
    """Tells the dataset's targets what was decided on models; see v_notification."""
    if run.lineage != Lineage.LIVE or run.is_backfill:
        # Of a backfill the next scheduled run tells.
        raise NothingToDo("Replays and backfills notify nobody.")
    from tsad_tasks.notifications import notify

    return notify.notify_of_models(store, run.config, run.send, _picture(store, run))


# Red where nothing can be scored, and beside `evaluate`, whose PDF shows why.
@does(Task("retrain", "champion", after=("fallback",)))
def champion(store: Store, run: TaskRun) -> Any:
    """Fails where there is no champion, so that nothing is scored: which rules were not met, and
    what to do.
    """
    from tsad_tasks.champions.no_champion import no_champion
    from tsad_tasks.storage.datasets import select_dataset

    made = retraining(store, run)
    if made.lineage != Lineage.LIVE:
        raise NothingToDo("Nobody looks at the scores of a replay while it runs.")
    with store.transaction():
        missing = no_champion(store, select_dataset(store, run.config.dataset))
    if missing is not None and missing.is_whole:
        raise BadInput(*missing.text.splitlines())
    return {"some_have_no_champion": missing.text if missing else ""}


# <dataset>.promote: the shadow beside its champion, and who is champion then.


@does(Task("promote", "compare"))
def compare(store: Store, run: TaskRun) -> Any:
    """The rules of every shadow that has lasted long enough."""
    from tsad_tasks.champions.shadow import compare_shadows

    # A form is opened once.
    run_id = f"{run.dag_id}/{run.run_id}" if asks_before_promotion(run.config) else None
    return compare_shadows(store, run.config, run_id=run_id, **run.until)


_READY = {"ready": "compare.ready"}
TASKS += [
    _promotion_asks("is_ready", "Whether there is anything to approve.", takes=_READY),
    _promotion_asks("approve", "A form with the numbers of challenger and champion."),
]
_PROMOTION_FORM = _READY | {"answer": "approve"}


@does(Task("promote", "promote", takes=_PROMOTION_FORM))
def promote(store: Store, run: TaskRun) -> Any:
    """Makes champions of the challengers that may be."""
    from tsad_tasks.champions.shadow import BY_RULE, promote_ready

    by = answered_by(run.inputs["answer"]) or BY_RULE
    changes = promote_ready(store, run.config, run.inputs["ready"], by=by, **run.until)
    return {"promoted": [asdict(change) for change in changes]}


@does(_promotion_asks("decline", trigger_rule=NONE_FAILED, takes=_PROMOTION_FORM))
def decline(store: Store, run: TaskRun) -> Any:
    """Takes challengers that were rejected out of the shadow."""
    from tsad_tasks.champions import shadow

    answer = run.inputs["answer"]
    rejected = run.inputs["ready"] if answer and "Reject" in answer["chosen_options"] else []
    by = answered_by(answer) or "nobody answered"
    return {"declined": shadow.decline(store, run.config, rejected, by=by, **run.until)}


does(Task("promote", "notify", trigger_rule=NONE_FAILED))(notify_of_models)


# <dataset>.report: the PDF of a period, and how far the world has moved.


@does(Task("report", "drift"))
def drift(store: Store, run: TaskRun) -> Any:
    """How far the last week's readings lie from the training range; v_drift."""
    from tsad_tasks.monitoring.drift import measure_drift

    return measure_drift(store, run.config, **run.until)


@does(Task("report", "audit", after=()))
def audit(store: Store, run: TaskRun) -> Any:
    """Precision, recall and alarm rate of the last week; v_audit."""
    from tsad_tasks.monitoring.audit import audit_week

    return audit_week(store, run.config, **run.until)


@does(Task("report", "report", trigger_rule=NONE_FAILED, after=("drift", "audit")))
def report(store: Store, run: TaskRun) -> Any:
    """Collects the period and renders the PDF, with CSV files of what it leaves out."""
    from tsad_tasks.reporting.period.report import render_period

    return render_period(store, run.config, **run.until, detail=run.params.get("detail"))


@does(Task("report", "retrain_early", after=("drift",), when=retrains_early))
def retrain_early(store: Store, run: TaskRun) -> Any:
    """Goes on where readings drifted beyond drift.retrain_above."""
    from tsad_tasks.monitoring.drift import retrain_if_drifted

    return retrain_if_drifted(store, run.config, **run.until)


_EARLY = "Starts a retraining on the range that ends with this interval."
TASKS.append(Task("report", "retrain", _EARLY, when=retrains_early))


# By hand, each with a form.


@does(Task("verdict", "verdict"))
def verdict(store: Store, run: TaskRun) -> Any:
    """Writes the verdict."""
    from tsad_tasks.feedback.verdicts import set_verdict_in

    form = run.params
    said = {"said_by": run.started_by, "note": form["note"] or ""}
    said["channel"] = form["channel"] or None
    return set_verdict_in(store, run.config.dataset, form["incident"], form["verdict"], **said)


@does(Task("rescore", "rescore"))
def rescore(store: Store, run: TaskRun) -> Any:
    """Scores the range, a day at a time."""
    from tsad_tasks.pipeline.rescore import rescore_as_of, score_what_if

    form = run.params
    span = ordered(moment(form["from"]), moment(form["to"]))._asdict()
    if form["mode"] == "as_of":
        return rescore_as_of(store, run.config, run.source_uris, **span)
    if form["version"] is None:
        raise BadInput("version: Expected the version of a model, for what_if. Received: none.")
    return score_what_if(store, run.config, form["version"], run_id=run.run_id, **span)


@does(Task("champion", "champion"))
def make_champion(store: Store, run: TaskRun) -> Any:
    """Makes the version of the form champion, in the name of who started the run."""
    from tsad_tasks.pipeline import champion

    form, by = run.params, run.started_by
    asked = form["action"], form["version"]
    return champion.make_champion(store, run.config, *asked, by=by, reason=form["why"])


@does(Task("champion", "score"))
def score_since(store: Store, run: TaskRun) -> Any:
    """Scores the hours since then again, by the version that is back."""
    from tsad_tasks.pipeline import champion

    return champion.score_since(store, run.config, run.source_uris, run.params["version"])


# tsad.maintain: one task per dataset, named as it.


@does(Task("maintain", "maintain"))
def maintain(store: Store, run: TaskRun) -> Any:
    """Housekeeping of one dataset: what its file lets go, what changed too late, what is stale."""
    from tsad_tasks.monitoring.maintain import maintain_dataset

    return maintain_dataset(store, run.config, run.source_uris, at=run.span["end_at"])


def tasks_of(dag: str, config: DatasetConfig) -> list[Task]:
    """The tasks that a dataset has in one of its DAGs, in the order of the table."""
    return [task for task in TASKS if task.dag == dag and task.when(config)]


def tasks_page() -> str:
    """docs/tasks.md: every task of every DAG."""
    dags = dict.fromkeys(task.dag for task in TASKS)
    how = "Printed from tsad_tasks/pipeline/tasks.py by `python -m tsad_tasks.pipeline.tasks`."
    lines = ["# Tasks", "", how, "A task in *italics* is there where the dataset file asks for it."]
    for dag in dags:
        title = "tsad.maintain" if dag == "maintain" else f"<dataset>.{dag}"
        lines += ["", f"## `{title}`", "", "| task | what it does |", "|---|---|"]
        for task in TASKS:
            if task.dag == dag:
                name = task.name if task.when is always else f"*{task.name}*"
                lines.append(f"| {name} | {task.doc} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    print(tasks_page(), end="")
