"""What each Airflow task calls: a step of tsad_tasks with the arguments that its run's interval
gives it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from tsad_bridge import TaskInterval, log, source_uri
from tsad_tasks.base.errors import BadInput, NothingToDo
from tsad_tasks.base.interval import moment
from tsad_tasks.config import DatasetConfig
from tsad_tasks.storage.paths import artifacts_root, run_folder

Work = Callable[[Any, TaskInterval], Any]


def ingest(config: DatasetConfig) -> Work:
    """Readings of the interval and of the history that its scores look back on."""

    def work(store: Any, interval: TaskInterval) -> Any:
        from tsad_tasks.ingest.ingest import ingest_interval
        from tsad_tasks.scoring.plan import history_s

        span: dict[str, Any] = {"start_at": interval.start_at, "end_at": interval.end_at}
        needed_s = history_s(store, config, lineage=interval.params["lineage"], **span)
        return ingest_interval(store, config, source_uri(config), history_s=needed_s, **span)

    return work


def features(config: DatasetConfig) -> Work:
    """Feature files of the interval, a shard per core at most."""

    def work(store: Any, interval: TaskInterval) -> Any:
        from tsad_tasks.scoring.features import build_features

        return build_features(
            store,
            config,
            start_at=interval.start_at,
            end_at=interval.end_at,
            folder=run_folder(interval.dag_id, interval.run_id),
            lineage=interval.params["lineage"],
            n_shards=int(os.environ.get("TSAD_SHARDS") or os.cpu_count() or 1),
        )

    return work


def windows(shards: list[list[str]]) -> Work:
    """Window files beside the feature files."""

    def work(_store: Any, _interval: TaskInterval) -> Any:
        from tsad_tasks.scoring.windows import build_windows

        return build_windows(shards)

    return work


def score(config: DatasetConfig, shard: list[str]) -> Work:
    """Scores of one shard."""

    def work(store: Any, _interval: TaskInterval) -> Any:
        from tsad_tasks.scoring.score import score_shard

        return score_shard(store, config, shard)

    return work


def incidents(config: DatasetConfig) -> Work:
    """Incidents that the interval touches."""

    def work(store: Any, interval: TaskInterval) -> Any:
        from tsad_tasks.scoring.incidents import build_incidents

        span: dict[str, Any] = {"start_at": interval.start_at, "end_at": interval.end_at}
        return build_incidents(store, config, lineage=interval.params["lineage"], **span)

    return work


def notify(config: DatasetConfig) -> Work:
    """What became of incidents and models, told to the dataset's targets; in a backfill only if its
    form says so.
    """

    def work(store: Any, interval: TaskInterval) -> Any:
        from tsad_senders import send
        from tsad_tasks.notifications import notify

        if interval.params["lineage"] != "live" or (
            interval.is_backfill and not interval.params["notify"]
        ):
            raise NothingToDo("Replays notify nobody, and backfills only with notify: true.")
        return notify.notify(store, config, send, end_at=interval.end_at)

    return work


def notify_of_models(config: DatasetConfig) -> Work:
    """What was decided on models, told to the dataset's targets; of a backfill the next scheduled
    run tells.
    """

    def work(store: Any, interval: TaskInterval) -> Any:
        from tsad_senders import send
        from tsad_tasks.notifications import notify

        if interval.params["lineage"] != "live" or interval.is_backfill:
            raise NothingToDo("Replays and backfills notify nobody.")
        return notify.notify_of_models(store, config, send)

    return work


def retraining(config: DatasetConfig, task: str) -> Work:
    """One task of a retraining whose range ends with the interval, or where its form says."""

    def work(store: Any, interval: TaskInterval) -> Any:
        from tsad_tasks.training import retrain

        run = _retraining_of(config, store, interval)
        if task == "ingest_history":
            return retrain.ingest_history(run, source_uri(config))
        if task == "train":
            return retrain.train(
                run, lambda *epoch: log.info("epoch %d: loss %.5f, validation %.5f", *epoch)
            )
        if task == "evaluate":
            from tsad_tasks.reporting.evaluation.evaluate import evaluate_run

            return evaluate_run(run)
        return retrain.TASKS[task](run)

    return work


def _retraining_of(config: DatasetConfig, store: Any, interval: TaskInterval) -> Any:
    from tsad_tasks.training.retrain import Retraining

    end = interval.params["end"]
    return Retraining(
        store,
        config,
        moment(end) if end else interval.end_at,
        run_folder(interval.dag_id, interval.run_id),
        artifacts_root(),
        lineage="replay" if interval.is_backfill else interval.params["lineage"],
        seed=interval.params["seed"],
    )


def preview(config: DatasetConfig) -> Work:
    """What the retraining would learn from, for a person; nobody is asked about a replay."""

    def work(store: Any, interval: TaskInterval) -> Any:
        from tsad_tasks.reporting.exploration.preview import preview_run

        run = _retraining_of(config, store, interval)
        if run.lineage != "live":
            raise NothingToDo("Nobody is asked about a replay.")
        return preview_run(run)

    return work


def approved(config: DatasetConfig, found: Any, answer: Any) -> Work:
    """Whether the retraining goes on, as a person or the default of the form said; a replay does.

    Parameters
    ----------
    found, answer : of the tasks `exclusions` and `approve`; None where they were skipped.
    """

    def work(store: Any, interval: TaskInterval) -> Any:
        from tsad_tasks.reporting.exploration.preview import Answer, decide_training

        if found is None:
            raise NothingToDo("There is nothing to train.")
        if answer is None:
            return {"approved_by": "nobody is asked about a replay"}
        by = _answered_by(answer)
        reason = (
            "answered on the form"
            if by
            else f"nobody answered, training.unanswered: {config.training.unanswered}"
        )
        said = Answer(
            "Train" in answer["chosen_options"], by or "nobody", reason, answer["responded_at"]
        )
        return decide_training(_retraining_of(config, store, interval), said)

    return work


def compare(config: DatasetConfig) -> Work:
    """The shadows of a lineage, as far as both have scored by the end of the interval; a form is
    opened once.
    """

    def work(store: Any, interval: TaskInterval) -> Any:
        from tsad_tasks.champions.shadow import compare_shadows

        run_id = (
            f"{interval.dag_id}/{interval.run_id}" if config.shadow.approve == "manual" else None
        )
        lineage = interval.params["lineage"]
        return compare_shadows(
            store, config, end_at=interval.end_at, lineage=lineage, run_id=run_id
        )

    return work


def promote(config: DatasetConfig, versions: list[int], answer: Any) -> Work:
    """Promotion of the challengers that passed, by rule or by the person who answered."""

    def work(store: Any, interval: TaskInterval) -> Any:
        from tsad_tasks.champions.shadow import BY_RULE, promote_ready

        by, lineage = _answered_by(answer) or BY_RULE, interval.params["lineage"]
        changes = promote_ready(
            store, config, versions, end_at=interval.end_at, by=by, lineage=lineage
        )
        return {"promoted": [asdict(change) for change in changes]}

    return work


def decline(config: DatasetConfig, versions: list[int], answer: Any) -> Work:
    """The end of the shadow of challengers that a person, or the default of the form, rejected."""

    def work(store: Any, interval: TaskInterval) -> Any:
        from tsad_tasks.champions.shadow import decline

        rejected = versions if answer and "Reject" in answer["chosen_options"] else []
        by, lineage = _answered_by(answer) or "nobody answered", interval.params["lineage"]
        return {
            "declined": decline(
                store, config, rejected, end_at=interval.end_at, by=by, lineage=lineage
            )
        }

    return work


def _answered_by(answer: Any) -> str | None:
    """Name of the person who filled in the form; None where there was none, or its default was
    taken.
    """
    user = answer and answer.get("responded_by_user")
    return str(user["name"]) if user else None


def rescore(config: DatasetConfig, run_id: str) -> Callable[[Any, dict[str, Any], str], Any]:
    """A range scored again, as of then or by another version, as the form says."""

    def work(store: Any, params: dict[str, Any], _who: str) -> Any:
        from tsad_tasks.pipeline.rescore import rescore_as_of, score_what_if

        span: dict[str, Any] = {"start_at": moment(params["from"]), "end_at": moment(params["to"])}
        if params["mode"] == "as_of":
            return rescore_as_of(store, config, source_uri(config), **span)
        if params["version"] is None:
            raise BadInput("version: Expected the version of a model, for what_if. Received: none.")
        return score_what_if(store, config, params["version"], run_id=run_id, **span)

    return work


def verdict(config: DatasetConfig) -> Callable[[Any, dict[str, Any], str], Any]:
    """A person's word on an incident of the dataset, from the form."""

    def work(store: Any, params: dict[str, Any], who: str) -> Any:
        from tsad_tasks.feedback.words import set_verdict_in

        words = {"said_by": who, "note": params["note"], "channel": params["channel"] or None}
        return set_verdict_in(store, config.dataset, params["incident"], params["verdict"], **words)

    return work


def report(config: DatasetConfig) -> Work:
    """The PDF of the report's period, which ends with the interval."""

    def work(store: Any, interval: TaskInterval) -> Any:
        from tsad_tasks.reporting.period.report import render_period

        return render_period(
            store, config, end_at=interval.end_at, lineage=interval.params["lineage"]
        )

    return work


def watch(config: DatasetConfig, task: str) -> Work:
    """Drift, an early retraining, or the audit of the last whole week before the interval's end."""

    def work(store: Any, interval: TaskInterval) -> Any:
        from tsad_tasks.monitoring.audit import audit_week
        from tsad_tasks.monitoring.drift import measure_drift, retrain_if_drifted

        steps = {"drift": measure_drift, "audit": audit_week, "retrain_early": retrain_if_drifted}
        return steps[task](
            store, config, end_at=interval.end_at, lineage=interval.params["lineage"]
        )

    return work


def maintain(config: DatasetConfig) -> Work:
    """Housekeeping of one dataset."""

    def work(store: Any, interval: TaskInterval) -> Any:
        from tsad_tasks.monitoring.maintain import maintain_dataset

        return maintain_dataset(store, config, source_uri(config), at=interval.end_at)

    return work
