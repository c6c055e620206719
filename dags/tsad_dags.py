"""One set of DAGs per dataset file: `<dataset>.score`, `.retrain`, `.promote`, `.report`,
`.verdict`, `.rescore`.

Of all datasets: `tsad.maintain`.

A file that cannot be used becomes a DAG `<dataset>.config_error` that fails with the reason, and
touches no other.
"""

from __future__ import annotations

import re
import traceback
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import DAG, CronDataIntervalTimetable, Param, get_current_context, task

from tsad_bridge import run_step, run_word
from tsad_tasks.base.errors import ConfigError
from tsad_tasks.config import DatasetConfig
from tsad_tasks.storage.paths import dataset_paths, named_config

START = pendulum.datetime(2000, 1, 1, tz="UTC")
DEFAULTS: dict[str, Any] = {"owner": "tsad", "retries": 2, "retry_delay": timedelta(seconds=30)}
CRONS = {300: "*/5 * * * *", 900: "*/15 * * * *", 3600: "0 * * * *"}
MAX_FORMS = 32
LINEAGE = Param(
    "live",
    enum=["live", "replay"],
    description="Whose champions score: what people see, or a replay.",
)
END = "End of the training range; empty: that of the run's interval."
NOTIFY = Param(
    False,
    type="boolean",
    description="In a backfill: tell people as well. Scheduled runs always do.",
)

NOTIFY_DOC = "Tells the dataset's targets what was decided on models; see v_notification."

SCORE_DOC = """
### Score {dataset}
{description}

Ingests what is missing or changed, builds features and windows, scores with the champion of the hour and merges flags
into incidents, of which it tells whom the dataset names, as of models. **Backfill any range from the UI**: re-runs,
retries and backfills in any order leave the same rows.

SQL: `SELECT * FROM tsad.v_incident WHERE dataset = '{dataset}' ORDER BY started_at DESC` – also `tsad.v_anomaly`,
`tsad.v_status`, `tsad.v_notification`, `tsad.readings_{dataset}`.
"""
RETRAIN_TASKS = (
    "ingest_history",
    "exclusions",
    "features",
    "windows",
    "train",
    "calibrate",
    "gate",
    "register",
    "evaluate",
)
RETRAIN_DOC = """
### Retrain {dataset}
Trains a challenger on the rolling range that ends with the interval, calibrates it on held-out readings and, when it
passes the gate, scores it in the champion's shadow until `{dataset}.promote` decides. A backfilled run writes to the
lineage `replay`, never to `live`. Task `evaluate` writes a PDF on the challenger: curves, confusion matrices,
losses, reconstructions. Task `notify` tells whom the dataset names where the gate, exclusions or a person said no.
{approval}

SQL: `SELECT * FROM tsad.v_model_decision WHERE dataset = '{dataset}' ORDER BY decided_at DESC` – also `tsad.v_model`,
`tsad.v_training_decision`.
"""
PROMOTE_DOC = """
### Promote {dataset}
Compares the challenger in the shadow with the champion on the hours that both have scored. After {hours} such hours the
rules decide: who meets them takes over from the next hour that is not scored yet, who does not leaves the shadow.
{approval}

SQL: `SELECT * FROM tsad.v_shadow WHERE dataset = '{dataset}'` – also `tsad.v_model_decision` (stage shadow),
`tsad.v_model_history`. By hand: `tsad promote`, `tsad rollback`.
"""
REPORT_DOC = """
### Report {dataset}
Renders the PDF of the period that ends with the interval. The path is in the task's log and its XCom.
"""
VERDICTS = ["confirmed", "expected", "false_alarm", "new_normal", "sensor_fault"]
RESCORE_DOC = """
### Rescore {dataset}
By hand. **as_of** reads a range again from the source and scores what has changed, with the champion of each hour; what
was known before stays readable by `tsad.scores_as_known_at`. **what_if** scores it with a version of your choice, under
a lineage of its own: what people see stays as it is. Neither notifies anybody.

SQL: `SELECT * FROM tsad.compare_lineages('{dataset}', 'what_if/<run>', 'live', from, to)`.
"""
VERDICT_DOC = """
### Verdict on an incident of {dataset}
Trigger it and fill in the form: what was the incident? The latest word counts. Retrainings leave out what is confirmed,
expected or a sensor fault, and learn what is a false alarm or the new normal.

SQL: `SELECT incident_id, sentence, verdict FROM tsad.v_incident WHERE dataset = '{dataset}' ORDER BY started_at DESC`.
The same by SQL: `SELECT tsad.set_verdict(incident_id, verdict, said_by, note)`, and as a command: `tsad verdict`.
"""
MAINTAIN_DOC = """
### Maintain
Retention of readings, scores, bundles and alerts where a dataset asks for it, files of old runs, rows that changed
after the mutability period, and datasets that have had no score for long.
"""


def score_dag(config: DatasetConfig) -> DAG:
    """Ingest, features, windows, score, incidents; one run per interval."""
    with DAG(
        f"{config.dataset}.score",
        schedule=CronDataIntervalTimetable(CRONS[config.interval_s], timezone="UTC"),
        start_date=START,
        catchup=False,
        max_active_runs=4,
        default_args=DEFAULTS,
        params={"lineage": LINEAGE, "notify": NOTIFY},
        tags=["tsad", config.dataset, "score"],
        doc_md=SCORE_DOC.format(dataset=config.dataset, description=config.description),
    ) as dag:

        @task(
            doc_md="Readings from the source tables: only hours that are missing or may have "
            "changed."
        )
        def ingest() -> dict[str, Any]:
            from tsad_airflow_tasks import ingest

            return run_step(config, "ingest", ingest(config), get_current_context())

        @task(
            multiple_outputs=True, doc_md="What must be scored, and the detector's inputs for it."
        )
        def features() -> dict[str, Any]:
            from tsad_airflow_tasks import features

            return run_step(config, "features", features(config), get_current_context())

        @task(
            doc_md="Which windows are complete enough: an index and a validity mask. Gives the "
            "shards to be scored."
        )
        def windows(shards: list[list[str]]) -> list[list[str]]:
            from tsad_airflow_tasks import windows

            run_step(config, "windows", windows(shards), get_current_context())
            return shards

        @task(
            doc_md="Errors, thresholds, scores and anomalies, written in one transaction per model."
        )
        def score(shard: list[str]) -> dict[str, Any]:
            from tsad_airflow_tasks import score

            return run_step(config, "score", score(config, shard), get_current_context())

        @task(trigger_rule="none_failed", doc_md="Flags merged into incidents.")
        def incidents() -> dict[str, Any]:
            from tsad_airflow_tasks import incidents

            return run_step(config, "incidents", incidents(config), get_current_context())

        @task(
            trigger_rule="none_failed",
            doc_md="Tells the dataset's targets of live incidents; see v_notification.",
        )
        def notify() -> dict[str, Any]:
            from tsad_airflow_tasks import notify

            return run_step(config, "notify", notify(config), get_current_context())

        made = features()
        ingest() >> made
        score.expand(shard=windows(made["shards"])) >> incidents() >> notify()
    return dag


def retrain_dag(config: DatasetConfig) -> DAG:
    """A challenger, its gate, and the champion's period if it passes."""
    approval = (
        "A person sees on the form of task `approve` what would be learned."
        if _asks(config)
        else ""
    )
    with DAG(
        f"{config.dataset}.retrain",
        schedule=CronDataIntervalTimetable(config.training.schedule, timezone="UTC"),
        start_date=START,
        catchup=False,
        max_active_runs=1,
        default_args=DEFAULTS,
        params={
            "lineage": Param(
                "live",
                enum=["live", "replay"],
                description="Backfilled runs always write to replay.",
            ),
            "seed": Param(
                config.training.seed,
                type="integer",
                description="Seed of weights, batches and injections.",
            ),
            "end": Param(None, type=["null", "string"], format="date-time", description=END),
        },
        tags=["tsad", config.dataset, "retrain"],
        doc_md=RETRAIN_DOC.format(dataset=config.dataset, approval=approval),
    ) as dag:
        last = None
        for name in RETRAIN_TASKS:
            current = _retrain_task(config, name)
            if last is not None:
                last >> current
            last = current
            if name == "register":
                # Not last, lest it hides what failed: a run is as green as its last tasks.
                current >> _notify_task(config, "all_done")
            if name == "exclusions" and _asks(config):
                last = _asked(config, current)
    return dag


def _asks(config: DatasetConfig) -> bool:
    return config.training.preview == "manual"


def _asked(config: DatasetConfig, exclusions: Any) -> Any:
    """Tasks `preview`, `approve` and `approved`, after which the training goes on."""
    from airflow.providers.standard.operators.hitl import HITLOperator

    @task(
        doc_md="What would be learned: range, what is left out, what is missing, what moved; the "
        "PDF is in the log."
    )
    def preview() -> dict[str, Any]:
        from tsad_airflow_tasks import preview

        return run_step(config, "preview", preview(config), get_current_context())

    @task(
        trigger_rule="none_failed",
        doc_md="Writes who approved or stopped it; see v_training_decision.",
    )
    def approved(found: Any, answer: Any) -> dict[str, Any]:
        from tsad_airflow_tasks import approved

        return run_step(config, "approved", approved(config, found, answer), get_current_context())

    asked = HITLOperator(
        task_id="approve",
        subject=f"{config.dataset}: train on this?",
        body="{{ ti.xcom_pull(task_ids='preview')['table'] }}",
        options=["Train", "Stop"],
        defaults=config.training.unanswered.capitalize(),
        response_timeout=timedelta(seconds=config.training.answer_within_s),
        doc_md="A form that shows what would be learned.",
    )
    exclusions >> preview() >> asked
    return approved(exclusions, asked.output)


def _retrain_task(config: DatasetConfig, name: str) -> Any:
    @task(task_id=name)
    def run() -> dict[str, Any]:
        from tsad_airflow_tasks import retraining

        return run_step(config, name, retraining(config, name), get_current_context())

    return run()


def _notify_task(config: DatasetConfig, trigger_rule: str) -> Any:
    @task(trigger_rule=trigger_rule, doc_md=NOTIFY_DOC)
    def notify() -> dict[str, Any]:
        from tsad_airflow_tasks import notify_of_models

        return run_step(config, "notify", notify_of_models(config), get_current_context())

    return notify()


def promote_dag(config: DatasetConfig) -> DAG:
    """A challenger's shadow beside its champion, and who is champion then."""
    is_manual = config.shadow.approve == "manual"
    approval = (
        "A person promotes or rejects on the form of task `approve`; it is opened once."
        if is_manual
        else ""
    )
    with DAG(
        f"{config.dataset}.promote",
        # Half an hour after the hour, when it has been scored.
        schedule=CronDataIntervalTimetable("30 * * * *", timezone="UTC"),
        start_date=START,
        catchup=False,
        # A run whose form waits for a person does not hold back those after it.
        max_active_runs=MAX_FORMS if is_manual else 1,
        default_args=DEFAULTS,
        params={"lineage": LINEAGE},
        tags=["tsad", config.dataset, "promote"],
        doc_md=PROMOTE_DOC.format(
            dataset=config.dataset, hours=config.shadow.hours, approval=approval
        ),
    ) as dag:

        @task(
            multiple_outputs=True, doc_md="The rules of every shadow that has lasted long enough."
        )
        def compare() -> dict[str, Any]:
            from tsad_airflow_tasks import compare

            return run_step(config, "compare", compare(config), get_current_context())

        @task(doc_md="Makes champions of the challengers that may be.")
        def promote(ready: list[int], answer: Any = None) -> dict[str, Any]:
            from tsad_airflow_tasks import promote

            return run_step(
                config, "promote", promote(config, ready, answer), get_current_context()
            )

        compared = compare()
        ready = compared["ready"]
        if not is_manual:
            promote(ready) >> _notify_task(config, "none_failed")
            return dag

        @task.short_circuit(
            ignore_downstream_trigger_rules=False, doc_md="Whether there is anything to approve."
        )
        def is_ready(ready: list[int]) -> bool:
            return bool(ready)

        @task(
            trigger_rule="none_failed",
            doc_md="Takes challengers that were rejected out of the shadow.",
        )
        def decline(ready: list[int], answer: Any) -> dict[str, Any]:
            from tsad_airflow_tasks import decline

            return run_step(
                config, "decline", decline(config, ready, answer), get_current_context()
            )

        asked = _approval(config)
        is_ready(ready) >> asked
        (
            promote(ready, asked.output)
            >> decline(ready, asked.output)
            >> _notify_task(config, "none_failed")
        )
    return dag


def _approval(config: DatasetConfig) -> Any:
    from airflow.providers.standard.operators.hitl import ApprovalOperator

    return ApprovalOperator(
        task_id="approve",
        subject=f"{config.dataset}: promote the challenger?",
        body="{{ ti.xcom_pull(task_ids='compare')['table'] }}",
        defaults=ApprovalOperator.APPROVE
        if config.shadow.unanswered == "promote"
        else ApprovalOperator.REJECT,
        response_timeout=timedelta(seconds=config.shadow.answer_within_s),
        doc_md="A form with the numbers of challenger and champion.",
    )


def report_dag(config: DatasetConfig) -> DAG:
    """The PDF of a period."""
    with DAG(
        f"{config.dataset}.report",
        schedule=CronDataIntervalTimetable(config.report.schedule, timezone="UTC"),
        start_date=START,
        catchup=False,
        max_active_runs=1,
        default_args=DEFAULTS,
        params={"lineage": LINEAGE},
        tags=["tsad", config.dataset, "report"],
        doc_md=REPORT_DOC.format(dataset=config.dataset),
    ) as dag:

        @task(trigger_rule="none_failed", doc_md="Collects the period and renders the PDF.")
        def report() -> dict[str, Any]:
            from tsad_airflow_tasks import report

            return run_step(config, "report", report(config), get_current_context())

        drift = _watch_task(
            config,
            "drift",
            "How far the last week's readings lie from the training range; v_drift.",
        )
        audit = _watch_task(
            config, "audit", "Precision, recall and alarm rate of the last week; v_audit."
        )
        [drift, audit] >> report()
        if config.drift.retrain_above is not None:
            early = _watch_task(
                config,
                "retrain_early",
                "Goes on where readings drifted beyond drift.retrain_above.",
            )
            drift >> early >> _retrain_now(config)
    return dag


def rescore_dag(config: DatasetConfig) -> DAG:
    """A range scored again, or by another version."""
    with DAG(
        f"{config.dataset}.rescore",
        schedule=None,
        start_date=START,
        catchup=False,
        max_active_runs=1,
        default_args=DEFAULTS,
        params={
            "from": Param(type="string", format="date-time", description="Beginning of the range."),
            "to": Param(
                type="string", format="date-time", description="End of the range, not included."
            ),
            "mode": Param(
                "as_of",
                enum=["as_of", "what_if"],
                description="With the champions of then, or a version.",
            ),
            "version": Param(
                None, type=["null", "integer"], description="Of what_if: see tsad.v_model."
            ),
        },
        tags=["tsad", config.dataset, "rescore"],
        doc_md=RESCORE_DOC.format(dataset=config.dataset),
    ) as dag:

        @task(doc_md="Scores the range, a day at a time.")
        def rescore() -> dict[str, Any]:
            from tsad_airflow_tasks import rescore

            context = get_current_context()
            return run_word(config, "rescore", rescore(config, context["dag_run"].run_id), context)

        rescore()
    return dag


def _watch_task(config: DatasetConfig, name: str, doc: str) -> Any:
    @task(task_id=name, doc_md=doc)
    def run() -> dict[str, Any]:
        from tsad_airflow_tasks import watch

        return run_step(config, name, watch(config, name), get_current_context())

    return run()


def _retrain_now(config: DatasetConfig) -> Any:
    from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

    return TriggerDagRunOperator(
        task_id="retrain",
        trigger_dag_id=f"{config.dataset}.retrain",
        logical_date="{{ data_interval_end.isoformat() }}",
        # Airflow gives the run the interval that its own schedule ended last: what that trained on
        # already.
        conf={"end": "{{ data_interval_end.isoformat() }}"},
        skip_when_already_exists=True,
        doc_md="Starts a retraining on the range that ends with this interval.",
    )


def verdict_dag(config: DatasetConfig) -> DAG:
    """A form for a person's word on an incident."""
    with DAG(
        f"{config.dataset}.verdict",
        schedule=None,
        start_date=START,
        catchup=False,
        max_active_runs=4,
        default_args=DEFAULTS,
        params={
            "incident": Param(
                type="string", minLength=1, description="incident_id, as in tsad.v_incident."
            ),
            "verdict": Param("confirmed", enum=VERDICTS, description="What it was."),
            "note": Param("", type="string", description="More in words."),
            "channel": Param(
                "",
                type="string",
                description="The channel that is meant; empty: all of the entity.",
            ),
        },
        tags=["tsad", config.dataset, "verdict"],
        doc_md=VERDICT_DOC.format(dataset=config.dataset),
    ) as dag:

        @task(doc_md="Writes the verdict.")
        def verdict() -> dict[str, Any]:
            from tsad_airflow_tasks import verdict

            return run_word(config, "verdict", verdict(config), get_current_context())

        verdict()
    return dag


def maintain_dag(configs: list[DatasetConfig]) -> DAG:
    """Daily housekeeping of all datasets, each on its own."""
    with DAG(
        "tsad.maintain",
        schedule=CronDataIntervalTimetable("30 1 * * *", timezone="UTC"),
        start_date=START,
        catchup=False,
        max_active_runs=1,
        default_args=DEFAULTS,
        tags=["tsad", "maintain"],
        doc_md=MAINTAIN_DOC,
    ) as dag:
        for config in configs:
            _maintain_task(config)
    return dag


def _maintain_task(config: DatasetConfig) -> None:
    @task(task_id=config.dataset)
    def maintain() -> dict[str, Any]:
        from tsad_airflow_tasks import maintain

        return run_step(config, "maintain", maintain(config), get_current_context())

    maintain()


def config_error_id(path: Path) -> str:
    """The DAG's name: the file's, in the letters that Airflow takes."""
    return re.sub(r"[^\w.-]", "_", path.stem, flags=re.ASCII)[:200] + ".config_error"


def config_error_dag(path: Path, message: str) -> DAG:
    """A DAG that fails with what is wrong in a dataset file."""
    with DAG(
        config_error_id(path),
        schedule=timedelta(days=1),
        start_date=datetime(2026, 1, 1, tzinfo=pendulum.UTC),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        default_args=DEFAULTS | {"retries": 0},
        tags=["tsad", "config_error"],
        doc_md=f"### {path.name} cannot be used\n```\n{message}\n```",
    ) as dag:

        @task(task_id="explain")
        def explain() -> None:
            from airflow.sdk.exceptions import AirflowFailException

            raise AirflowFailException(message)

        explain()
    return dag


def _all_dags() -> list[DAG]:
    dags: list[DAG] = []
    configs: list[DatasetConfig] = []
    for path in dataset_paths():
        try:
            config = named_config(path)
            if config.dataset in [other.dataset for other in configs]:
                said = f"dataset: Expected one file per dataset. Received: {config.dataset} again."
                raise ConfigError(f"{path}:1: {said}")
            dags += [
                score_dag(config),
                retrain_dag(config),
                promote_dag(config),
                report_dag(config),
            ]
            dags += [verdict_dag(config), rescore_dag(config)]
            configs.append(config)
        except ConfigError as error:
            dags.append(config_error_dag(path, str(error)))
        except Exception:
            # A fault of ours, which must not take the other datasets' DAGs away either.
            dags.append(
                config_error_dag(
                    path, f"{path}: this file cannot be used.\n{traceback.format_exc()}"
                )
            )
    return [*dags, maintain_dag(configs)]


for made in _all_dags():
    globals()[made.dag_id.replace(".", "_")] = made
