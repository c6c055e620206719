"""Between Airflow and tsad_tasks: connections to stores, our errors to Airflow's, runs.

Only this folder knows both sides. Heavy modules are imported inside the task that needs them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import exceptions

from tsad_tasks.base.errors import BadInput, NothingToDo, NotYet
from tsad_tasks.base.logs import guard_logs
from tsad_tasks.base.masking import masked_errors
from tsad_tasks.config import DatasetConfig
from tsad_tasks.pipeline.task import Task, TaskRun, run_task

if TYPE_CHECKING:
    from tsad_tasks.notifications.channels.base import Message

log = logging.getLogger("tsad")
WAREHOUSE_CONNECTION = "tsad_warehouse"


@contextmanager
def airflow_errors() -> Iterator[None]:
    """Our families as Airflow's: bad input fails for good, nothing to do skips, not yet waits."""
    try:
        # Airflow logs an error's text, with those of the errors that it came from.
        with masked_errors():
            yield
    except NotYet as error:
        log.info("%s", error)
        # By the clock of Airflow, which wakes the task.
        retry_at = datetime.now(UTC) + error.wait
        raise exceptions.AirflowRescheduleException(retry_at) from error
    except NothingToDo as error:
        raise exceptions.AirflowSkipException(str(error)) from error
    except BadInput as error:
        raise exceptions.AirflowFailException(str(error)) from error


def warehouse_uri() -> str:
    """`TSAD_DATABASE_URI`, else the Airflow connection `tsad_warehouse`."""
    return os.environ.get("TSAD_DATABASE_URI") or connection_uri(WAREHOUSE_CONNECTION)


def connection_uri(connection_id: str) -> str:
    """URI of an Airflow connection, read anew at each call.

    Raises `BadInput` when there is none of that id.
    """
    uri: str = airflow_connection(connection_id).get_uri()
    return uri


def airflow_connection(connection_id: str) -> Any:
    """The connection as Airflow has it now; raises as `connection_uri` does."""
    from airflow.sdk import BaseHook

    try:
        return BaseHook.get_connection(connection_id)
    except exceptions.AirflowNotFoundException as error:
        raise BadInput(
            f"Expected an Airflow connection named {connection_id!r}. Received: none of that name."
        ) from error


def run_in_airflow(
    task: Task, config: DatasetConfig, inputs: Mapping[str, Any], context: Any
) -> Any:
    """What a task hands on; what goes wrong becomes Airflow's."""
    guard_logs()
    with airflow_errors():
        return run_task(task, task_run(config, inputs, context), warehouse_uri())


def task_run(config: DatasetConfig, inputs: Mapping[str, Any], context: Any) -> TaskRun:
    """What the task of a context works on."""
    run = context["dag_run"]
    kind = str(getattr(run.run_type, "value", run.run_type))
    start_at, end_at = context.get("data_interval_start"), context.get("data_interval_end")
    return TaskRun(
        config,
        context["dag"].dag_id,
        run.run_id,
        start_at and _plain_utc(start_at),
        end_at and _plain_utc(end_at),
        params=dict(context["params"]),
        inputs=inputs,
        is_backfill=kind == "backfill",
        is_scheduled=kind == "scheduled",
        shard=context["ti"].map_index,
        started_by=run.triggering_user_name or "airflow",
        uri_of=connection_uri,
        send=_send,
    )


def _plain_utc(at: Any) -> datetime:
    """Airflow's pendulum time as a datetime, whose arithmetic ours relies on."""
    return datetime.fromtimestamp(at.timestamp(), UTC)


def _send(message: Message) -> None:
    from tsad_senders import send

    send(message)
