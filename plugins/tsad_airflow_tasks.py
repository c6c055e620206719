"""What each Airflow task calls: a step of tsad_tasks with the arguments that its run's interval gives it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from tsad_bridge import TaskInterval, log, source_uri
from tsad_tasks.config import DatasetConfig
from tsad_tasks.steps.paths import artifacts_root, run_folder

Work = Callable[[Any, TaskInterval], Any]


def ingest(config: DatasetConfig) -> Work:
    """Readings of the interval and of the history that its scores look back on."""

    def work(store: Any, interval: TaskInterval) -> Any:
        from tsad_tasks.steps.ingest import ingest_interval
        from tsad_tasks.steps.plan import history_s

        span: dict[str, Any] = {"start_at": interval.start_at, "end_at": interval.end_at}
        needed_s = history_s(store, config, lineage=interval.params["lineage"], **span)
        return ingest_interval(store, config, source_uri(config), history_s=needed_s, **span)

    return work


def features(config: DatasetConfig) -> Work:
    """Feature files of the interval, a shard per core at most."""

    def work(store: Any, interval: TaskInterval) -> Any:
        from tsad_tasks.steps.features import build_features

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
        from tsad_tasks.steps.windows import build_windows

        return build_windows(shards)

    return work


def score(config: DatasetConfig, shard: list[str]) -> Work:
    """Scores of one shard."""

    def work(store: Any, interval: TaskInterval) -> Any:
        from tsad_tasks.steps.score import score_shard

        return score_shard(store, config, shard, lineage=interval.params["lineage"])

    return work


def incidents(config: DatasetConfig) -> Work:
    """Incidents that the interval touches."""

    def work(store: Any, interval: TaskInterval) -> Any:
        from tsad_tasks.steps.incidents import build_incidents

        span: dict[str, Any] = {"start_at": interval.start_at, "end_at": interval.end_at}
        return build_incidents(store, config, lineage=interval.params["lineage"], **span)

    return work


def retraining(config: DatasetConfig, task: str) -> Work:
    """One task of a retraining whose range ends with the interval."""

    def work(store: Any, interval: TaskInterval) -> Any:
        from tsad_tasks.steps import retrain

        run = retrain.Retraining(
            store,
            config,
            interval.end_at,
            run_folder(interval.dag_id, interval.run_id),
            artifacts_root(),
            lineage="replay" if interval.is_backfill else interval.params["lineage"],
            seed=interval.params["seed"],
        )
        if task == "ingest_history":
            return retrain.ingest_history(run, source_uri(config))
        if task == "train":
            return retrain.train(run, lambda *epoch: log.info("epoch %d: loss %.5f, validation %.5f", *epoch))
        if task == "evaluate":
            from tsad_tasks.steps.assess import evaluate_run

            return evaluate_run(run)
        return retrain.TASKS[task](run)

    return work


def report(config: DatasetConfig) -> Work:
    """The PDF of the report's period, which ends with the interval."""

    def work(store: Any, interval: TaskInterval) -> Any:
        from tsad_tasks.steps.report import render_period

        return render_period(store, config, end_at=interval.end_at, lineage=interval.params["lineage"])

    return work


def maintain(config: DatasetConfig) -> Work:
    """Housekeeping of one dataset."""

    def work(store: Any, interval: TaskInterval) -> Any:
        from tsad_tasks.steps.maintain import maintain_dataset

        return maintain_dataset(store, config, source_uri(config), at=interval.end_at)

    return work
