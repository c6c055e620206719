"""A run of the score DAG without Airflow: its tasks in their order, what they hand on and skip."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.plants.trained import Plant
from tsad_tasks.base.errors import NothingToDo
from tsad_tasks.notifications.channels.base import Message
from tsad_tasks.pipeline.task import TaskRun, run_task
from tsad_tasks.pipeline.tasks import tasks_of


def run_score(
    plant: Plant,
    start_at: datetime,
    end_at: datetime,
    kind: str = "scheduled",
    *,
    stops_before: str = "",
    send: Callable[[Message], None] = lambda _message: None,
) -> dict[str, Any]:
    """What each task handed on; None where it was skipped. `stops_before`: as if it were killed."""
    made: dict[str, Any] = {}
    for task in tasks_of("score", plant.config):
        if task.name == stops_before:
            break
        sources = {name: source.split(".") for name, source in task.takes.items()}
        if any(made[task_name] is None for task_name, *_ in sources.values()):
            made[task.name] = None
            continue
        inputs = {
            name: made[source][key[0]] if key else made[source]
            for name, (source, *key) in sources.items()
        }
        many = inputs[task.for_each] if task.for_each else [None]
        given = []
        for shard, item in enumerate(many):
            of_item = {task.for_each: item} if task.for_each else {}
            run = TaskRun(
                plant.config, f"{plant.config.dataset}.score", f"{kind}__{start_at.isoformat()}",
                start_at, end_at, {"lineage": "live", "notify": False}, inputs | of_item,
                is_backfill=kind == "backfill", shard=shard if task.for_each else -1,
                started_by="airflow", uri_of=lambda _id: plant.uri, send=send,
                is_scheduled=kind == "scheduled",
            )  # fmt: skip
            try:
                given.append(run_task(task, run, plant.uri))
            except NothingToDo:
                given.append(None)
        made[task.name] = given if task.for_each else given[0]
    return made
