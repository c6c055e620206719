"""A dataset's DAGs: `<dataset>.score`, `.retrain`, `.promote`, `.report`, `.verdict`, `.rescore`.

Of all datasets: `tsad.maintain`. Their tasks are those of the table tsad_tasks/pipeline/tasks.py;
here is what Airflow needs beside it: schedules, forms, texts, and the operators of its own.

A file that cannot be used, or takes too long, becomes a DAG `<dataset>.config_error` that fails
with the reason, and touches no other. A task's process makes the DAGs of its own dataset alone.
"""

from __future__ import annotations

import gc
import re
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta
from inspect import signature
from pathlib import Path
from textwrap import indent
from typing import Any

import attrs
import pendulum
from airflow.sdk import (
    DAG,
    CronDataIntervalTimetable,
    Param,
    get_current_context,
    get_parsing_context,
    task,
)

from tsad_bridge import run_in_airflow
from tsad_tasks.base.cpu_limit import cpu_limit
from tsad_tasks.base.enums import Lineage, ReportDetail, Verdict
from tsad_tasks.base.errors import ConfigError
from tsad_tasks.base.masking import masked
from tsad_tasks.base.settings import Problem
from tsad_tasks.base.shown import as_markdown, visible
from tsad_tasks.base.variants import CHANNELS, SOURCES
from tsad_tasks.config import (
    DatasetConfig,
    dataset_paths,
    file_error,
    is_absent_example,
    named_config,
    shown_path,
)
from tsad_tasks.detectors.registry import DETECTORS
from tsad_tasks.pipeline.schedule import daily_schedule
from tsad_tasks.pipeline.task import PROMOTE, ROLL_BACK, Task
from tsad_tasks.pipeline.tasks import asks_before_promotion, asks_before_training, tasks_of

START = pendulum.datetime(2000, 1, 1, tz="UTC")
DEFAULTS: dict[str, Any] = {"owner": "tsad", "retries": 2, "retry_delay": timedelta(seconds=30)}
CRONS = {300: "*/5 * * * *", 900: "*/15 * * * *", 3600: "0 * * * *"}
MAX_FORMS = 32
# The last net, far above what a busy machine needs: a run that catches up works for hours.
LONGEST = timedelta(hours=12)
# CPU-seconds for one file, which takes hundredths of one.
FILE_S = 3
RUN_TAKES = signature(lambda inputs, item=None: None)

DOCS = {
    "score": """
### Score {dataset}
{description}

Ingests what is missing or changed, builds features and windows, scores with the champion of the
hour and merges flags into incidents, of which it tells whom the dataset names, as of models.
A scheduled run also makes up what no run came to, a week at most; the status of such hours is
`not_run`, or `waiting`.
**Backfill any range from the UI**: re-runs, retries and backfills in any order leave the same
rows.

SQL: `SELECT * FROM tsad.v_incident WHERE dataset = '{dataset}' ORDER BY started_at DESC` – also
`tsad.v_anomaly`, `tsad.v_status`, `tsad.v_notification`, `tsad.readings_{dataset}`.
""",
    "retrain": """
### Retrain {dataset}
Trains a challenger on the rolling range that ends with the interval, calibrates it on held-out
readings and, when it passes the gate, scores it in the champion's shadow until `{dataset}.promote`
decides. A backfilled run writes to the lineage `replay`, never to `live`. Task `evaluate` writes a
PDF on the challenger: curves, confusion matrices, losses, reconstructions. Task `notify` tells
whom the dataset names where the gate, exclusions or a person said no. {daily} {approval}

SQL: `SELECT * FROM tsad.v_model_decision WHERE dataset = '{dataset}' ORDER BY decided_at DESC` –
also `tsad.v_model`, `tsad.v_training_decision`.
""",
    "promote": """
### Promote {dataset}
Compares the challenger in the shadow with the champion on the hours that both have scored. After
{hours} such hours the rules decide: a challenger that meets them takes over from the next hour that
is not scored yet; one that does not leaves the shadow. {approval}

SQL: `SELECT * FROM tsad.v_shadow WHERE dataset = '{dataset}'` – also `tsad.v_model_decision`
(stage shadow), `tsad.v_model_history`. By hand: `tsad promote`, `tsad rollback`.
""",
    "report": """
### Report {dataset}
Renders the PDF of the period that ends with the interval, and CSV files of what it leaves out. The
paths are in the task's log and its XCom.
""",
    "rescore": """
### Rescore {dataset}
By hand. **as_of** reads a range again from the source and scores what has changed, with the
champion of each hour; what was known before stays readable by `tsad.scores_as_known_at`.
**what_if** scores it with a version of your choice, under a lineage of its own: what people see
stays as it is. Neither notifies anybody.

SQL, of a week: `SELECT * FROM tsad.compare_lineages('{dataset}', 'what_if/<run>', 'live',
'2026-03-01', '2026-03-08')`.
""",
    "champion": """
### Make a version champion of {dataset}
By hand. **roll_back** makes a former champion champion again, from the hour at which the present
one took over; the hours since then are scored again by it. **promote** makes a version champion
from the next hour that is not scored yet, whatever its shadow says.

SQL: `SELECT * FROM tsad.v_model_history WHERE dataset = '{dataset}' ORDER BY decided_at DESC` – as
commands: `tsad rollback`, `tsad promote`; as buttons: the page *Anomalies*, Models.
""",
    "verdict": """
### Verdict on an incident of {dataset}
Trigger it and fill in the form: what was the incident? The latest word counts. Retrainings leave
out what is confirmed, expected or a sensor fault, and learn what is a false alarm or the new
normal.

SQL: `SELECT incident_id, sentence, verdict FROM tsad.v_incident WHERE dataset = '{dataset}'
ORDER BY started_at DESC`.
The same by SQL: `SELECT tsad.set_verdict('INC-0', 'confirmed', 'ada', 'bearing, replaced')`, and
as a command: `tsad verdict INC-0 confirmed --note bearing`.
""",
    "maintain": """
### Maintain
Retention of readings, scores, bundles and alerts where a dataset asks for it, files of old runs,
rows that changed after `late_rows_within`, and datasets that have had no score for long.
""",
}
DAILY = (
    "It runs every day and is skipped but at the moments of `{}` (training.schedule), unless a "
    "model is young: then it is trained anew every day, and takes over without a shadow."
)
TRAINING_APPROVAL = "A person sees on the form of task `approve` what would be learned."
PROMOTION_APPROVAL = (
    "A person promotes or rejects on the form of task `approve`; it is opened once."
)
NOTIFY = "In a backfill: tell people as well. Scheduled runs always do."
CHANNEL = "The channel that is meant; empty: all of the entity."
WHOSE = "Whose champions score: what people see, or a replay."
DETAIL = "brief: at most 8 pages; full: each incident, rule and flagged reading."
MODE = "With the champions of then, or a version."


def field(description: str, *default: Any, **schema: Any) -> Param:
    """A field of a form; without a default it must be filled in."""
    return Param(*default, description=description, **schema)


def lineage_field(description: str = WHOSE) -> Param:
    """The field of a form that chooses a lineage."""
    return field(description, Lineage.LIVE.value, enum=[one.value for one in Lineage])


def dataset_dags(config: DatasetConfig) -> list[DAG]:
    """All DAGs of one dataset: their forms, schedules and texts."""
    seed, by_seed = config.training.seed, "Seed of weights, batches and injections."
    end = "End of the training range; empty: that of the run's interval."
    details = [one.value for one in ReportDetail]
    verdicts, time = [one.value for one in Verdict], {"type": "string", "format": "date-time"}
    forms: dict[str, dict[str, Param]] = {
        "score": {"lineage": lineage_field(), "notify": field(NOTIFY, False, type="boolean")},
        "retrain": {
            "lineage": lineage_field("Backfilled runs always write to replay."),
            "seed": field(by_seed, seed, type="integer"),
            "end": field(end, None, type=["null", "string"], format="date-time"),
        },
        "promote": {"lineage": lineage_field()},
        "report": {
            "lineage": lineage_field(),
            "detail": field(DETAIL, config.report.detail.value, enum=details),
        },
        "verdict": {
            "incident": field("incident_id, as in tsad.v_incident.", type="string", minLength=1),
            "verdict": field("What it was.", Verdict.CONFIRMED.value, enum=verdicts),
            # Airflow asks for whatever may not be empty.
            "note": field("More in words.", None, type=["null", "string"]),
            "channel": field(CHANNEL, None, type=["null", "string"]),
        },
        "rescore": {
            "from": field("Beginning of the range.", **time),
            "to": field("End of the range, not included.", **time),
            "mode": field(MODE, "as_of", enum=["as_of", "what_if"]),
            "version": field("Of what_if: see tsad.v_model.", None, type=["null", "integer"]),
        },
        "champion": {
            "action": field("Back, or forward.", ROLL_BACK, enum=[ROLL_BACK, PROMOTE]),
            "version": field("See tsad.v_model.", type="integer", minimum=1),
            "why": field("Stands in tsad.v_model_history.", type="string", minLength=1),
        },
    }
    crons = {
        "score": CRONS[config.interval_s],
        "retrain": daily_schedule(config),
        # Half an hour after the hour, when it has been scored.
        "promote": "30 * * * *",
        "report": config.report.schedule,
    }
    is_manual = asks_before_promotion(config)
    approvals = {
        "retrain": TRAINING_APPROVAL if asks_before_training(config) else "",
        "promote": PROMOTION_APPROVAL if is_manual else "",
    }
    # A promotion whose form waits for a person does not hold back those after it.
    most_runs = {"score": 4, "verdict": 4, "promote": MAX_FORMS if is_manual else 1}
    words: dict[str, Any] = {"dataset": config.dataset}
    words["description"] = as_markdown(masked(" ".join(config.description.split())))
    words["hours"] = config.shadow.hours
    is_daily = crons["retrain"] != config.training.schedule
    words["daily"] = DAILY.format(config.training.schedule) if is_daily else ""
    dags = []
    for kind, form in forms.items():
        doc = DOCS[kind].format(**words, approval=approvals.get(kind, ""))
        how = crons.get(kind), most_runs.get(kind, 1)
        with tsad_dag(config.dataset, kind, doc, *how) as dag:
            add_tasks(config, kind)
        # Given earlier, the form would be copied into every task; and Airflow compares its own
        # schemas with that of schemas, for every dataset again. Either costs an eighth of all.
        with attrs.validators.disabled():
            dag.params = form
        dags.append(dag)
    return dags


def add_tasks(config: DatasetConfig, kind: str) -> None:
    """The tasks of the DAG that is open, each after those that it follows."""
    made: dict[str, Any] = {}
    for declared in tasks_of(kind, config):
        names = [*made][-1:] if declared.after is None else declared.after
        made[declared.name] = airflow_task(config, declared, made)
        for name in names:
            made[name] >> made[declared.name]


def tsad_dag(name: str, kind: str, doc: str, cron: str | None, max_active_runs: int) -> DAG:
    """The DAG `<name>.<kind>`, without form and tasks yet."""
    return DAG(
        f"{name}.{kind}",
        schedule=CronDataIntervalTimetable(cron, timezone="UTC") if cron else None,
        start_date=START,
        catchup=False,
        max_active_runs=max_active_runs,
        default_args=DEFAULTS,
        tags=list(dict.fromkeys(["tsad", name, kind])),
        doc_md=doc,
    )


def airflow_task(
    config: DatasetConfig, declared: Task, made: dict[str, Any], task_id: str | None = None
) -> Any:
    """What a task of the table gives in Airflow; `made` has what those before it give."""
    if declared.work is None:
        return OPERATORS[declared.dag, declared.name](config, declared, made)
    inputs = {name: handed_on(made, source) for name, source in declared.takes.items()}

    def run(inputs: dict[str, Any], item: Any = None) -> Any:
        of_item = {declared.for_each: item} if declared.for_each else {}
        return run_in_airflow(declared, config, inputs | of_item, get_current_context())

    # Airflow asks each function five times what it takes.
    vars(run)["__signature__"] = RUN_TAKES
    made_by = task(
        task_id=task_id or declared.name,
        multiple_outputs=declared.hands_on is None,
        trigger_rule=declared.trigger_rule,
        # A training ends by itself, with what to lower.
        execution_timeout=LONGEST + timedelta(seconds=config.training.timeout_s),
        doc_md=declared.doc,
    )(run)
    if declared.for_each:
        return made_by.partial(inputs={}).expand(item=inputs[declared.for_each])
    return made_by(inputs)


def handed_on(made: dict[str, Any], source: str) -> Any:
    """What a task hands on, or one part of it: `<task>.<key>`; None where the task is not there."""
    name, _, key = source.partition(".")
    output = made.get(name)
    return output[key] if key and output is not None else output


def training_form(config: DatasetConfig, declared: Task, _made: dict[str, Any]) -> Any:
    """Asks whether to train; shows what `preview` found."""
    from airflow.providers.standard.operators.hitl import HITLOperator

    return HITLOperator(
        task_id=declared.name,
        subject=f"{config.dataset}: train on this?",
        body="{{ ti.xcom_pull(task_ids='preview')['table'] }}",
        options=["Train", "Stop"],
        defaults=config.training.unanswered.capitalize(),
        response_timeout=timedelta(seconds=config.training.answer_within_s),
        doc_md=declared.doc,
    ).output


def promotion_form(config: DatasetConfig, declared: Task, _made: dict[str, Any]) -> Any:
    """Asks whether to promote; shows what `compare` found."""
    from airflow.providers.standard.operators.hitl import ApprovalOperator as Approval

    promotes = config.shadow.unanswered == "promote"
    return Approval(
        task_id=declared.name,
        subject=f"{config.dataset}: promote the challenger?",
        body="{{ ti.xcom_pull(task_ids='compare')['table'] }}",
        defaults=Approval.APPROVE if promotes else Approval.REJECT,
        response_timeout=timedelta(seconds=config.shadow.answer_within_s),
        doc_md=declared.doc,
    ).output


def is_ready(_config: DatasetConfig, declared: Task, made: dict[str, Any]) -> Any:
    """Skips the form where no challenger is ready."""

    @task.short_circuit(ignore_downstream_trigger_rules=False, doc_md=declared.doc)
    def is_ready(ready: list[int]) -> bool:
        return bool(ready)

    return is_ready(handed_on(made, declared.takes["ready"]))


def retrain_now(config: DatasetConfig, declared: Task, _made: dict[str, Any]) -> Any:
    """Starts the DAG `<dataset>.retrain`."""
    from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

    return TriggerDagRunOperator(
        task_id=declared.name,
        trigger_dag_id=f"{config.dataset}.retrain",
        logical_date="{{ data_interval_end.isoformat() }}",
        # Else Airflow gives the run the interval that was trained on already.
        conf={"end": "{{ data_interval_end.isoformat() }}"},
        skip_when_already_exists=True,
        doc_md=declared.doc,
    ).output


OPERATORS: dict[tuple[str, str], Callable[[DatasetConfig, Task, dict[str, Any]], Any]] = {
    ("retrain", "approve"): training_form,
    ("promote", "is_ready"): is_ready,
    ("promote", "approve"): promotion_form,
    ("report", "retrain"): retrain_now,
}


def maintain_dag(configs: list[DatasetConfig]) -> DAG:
    """Daily housekeeping of all datasets, each on its own."""
    with tsad_dag("tsad", "maintain", DOCS["maintain"], "30 1 * * *", 1) as dag:
        for config in configs:
            for declared in tasks_of("maintain", config):
                airflow_task(config, declared, {}, task_id=config.dataset)
    return dag


def config_error_id(path: Path) -> str:
    """The DAG's name: the file's, in the letters that Airflow takes."""
    return re.sub(r"[^\w.-]", "_", path.stem, flags=re.ASCII)[:200] + ".config_error"


def config_error_dag(dag_id: str, message: str) -> DAG:
    """A DAG that fails with what is wrong in a dataset file, or in files named alike."""
    with DAG(
        dag_id,
        schedule=timedelta(days=1),
        start_date=datetime(2026, 1, 1, tzinfo=pendulum.UTC),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        default_args=DEFAULTS | {"retries": 0},
        tags=["tsad", "config_error"],
        # Indented, not between fences, which a value in the message could close.
        doc_md="### This dataset file cannot be used\n\n" + indent(message, "    "),
    ) as dag:

        @task(task_id="explain")
        def explain() -> None:
            from airflow.sdk.exceptions import AirflowFailException

            raise AirflowFailException(message)

        explain()
    return dag


def _wanted_paths() -> list[Path]:
    """The files whose DAGs this process needs: all, or where it runs one task, that task's.

    Files of one dataset, `room.yaml` and `room.yml`, are taken together, as everywhere.
    """
    context, paths = get_parsing_context(), dataset_paths()
    name, _, kind = (context.dag_id or "").rpartition(".")
    if (name, kind) == ("tsad", "maintain"):
        # Its tasks are named as the datasets.
        name = context.task_id or ""
    own = [path for path in paths if name in (path.stem, config_error_id(path).rpartition(".")[0])]
    return own or paths


def _all_dags() -> list[DAG]:
    for variants in (DETECTORS, SOURCES, CHANNELS):
        # Found here, since an import that a file's limit cut short would be half of one.
        list(variants)
    dags: list[DAG] = []
    configs: list[DatasetConfig] = []
    broken: dict[str, list[str]] = {}
    for path in _wanted_paths():
        slow = Problem((), f"a file that takes at most {FILE_S} s of CPU", "a longer one")
        try:
            with cpu_limit(FILE_S, file_error(path, 1, slow)):
                config = named_config(path)
                if config.dataset in [other.dataset for other in configs]:
                    again = Problem(("dataset",), "one file per dataset", f"{config.dataset} again")
                    raise file_error(path, 1, again)
                if is_absent_example(config):
                    continue
                dags += dataset_dags(config)
                configs.append(config)
            continue
        except ConfigError as error:
            message = str(error)
        except Exception:
            # A fault of ours, which must not take the other datasets' DAGs away either.
            trace = masked(traceback.format_exc()).splitlines()
            said = [f"{shown_path(path)}: this file cannot be used.", *trace]
            message = "\n".join(map(visible, said))
        broken.setdefault(config_error_id(path), []).append(message)
    dags += [config_error_dag(name, "\n".join(said)) for name, said in broken.items()]
    return [*dags, maintain_dag(configs)]


# All that is made here is kept: looking for garbage meanwhile costs a tenth.
gc.disable()
try:
    for made in _all_dags():
        globals()[made.dag_id.replace(".", "_")] = made
finally:
    gc.enable()
