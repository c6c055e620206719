"""The bridge between Airflow and tsad_tasks: connections to stores, our errors to Airflow's, task
context to arguments.

Only this folder knows both sides. Heavy modules are imported inside the task that needs them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
)

from tsad_tasks.base.errors import BadInput, NothingToDo, NotYet
from tsad_tasks.config import DatasetConfig

log = logging.getLogger("tsad")
WAREHOUSE_CONNECTION = "tsad_warehouse"


@contextmanager
def airflow_errors() -> Iterator[None]:
    """Translates the families: bad input fails without retry, nothing to do skips, not yet comes
    back later.
    """
    try:
        yield
    except NotYet as error:
        log.info("%s", error)
        raise AirflowRescheduleException(error.retry_at) from error
    except NothingToDo as error:
        raise AirflowSkipException(str(error)) from error
    except BadInput as error:
        raise AirflowFailException(str(error)) from error


def warehouse_uri() -> str:
    """`TSAD_DATABASE_URI`, else the Airflow connection `tsad_warehouse`."""
    return os.environ.get("TSAD_DATABASE_URI") or _connection_uri(WAREHOUSE_CONNECTION)


def source_uri(config: DatasetConfig) -> str:
    """URI of the dataset's source, read anew at each run."""
    return _connection_uri(config.source.connection)


def _connection_uri(connection_id: str) -> str:
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        uri: str = BaseHook.get_connection(connection_id).get_uri()
    except AirflowNotFoundException as error:
        said = (
            f"Expected an Airflow connection named {connection_id!r}. Received: none of that name."
        )
        raise BadInput(said) from error
    return uri


@dataclass(frozen=True)
class TaskInterval:
    """What a task works on: run, interval, and the run's params."""

    run_id: str
    dag_id: str
    start_at: datetime
    end_at: datetime
    params: dict[str, Any]
    is_backfill: bool
    map_index: int


def task_interval(context: Any) -> TaskInterval:
    """The interval of the task's run.

    Raises
    ------
    BadInput
        When the run was triggered without a logical date, and so has no interval.
    """
    start_at, end_at = context.get("data_interval_start"), context.get("data_interval_end")
    if start_at is None or end_at is None or start_at == end_at:
        raise BadInput(
            "Expected a run with a data interval. Received: none. "
            "Trigger with a logical date (its interval ends there), or start a backfill."
        )
    run = context["dag_run"]
    run_type = str(getattr(run.run_type, "value", run.run_type))
    return TaskInterval(
        run_id=run.run_id,
        dag_id=context["dag"].dag_id,
        start_at=_plain_utc(start_at),
        end_at=_plain_utc(end_at),
        params=dict(context["params"]),
        is_backfill=run_type == "backfill",
        map_index=context["ti"].map_index,
    )


def _plain_utc(at: Any) -> datetime:
    """Airflow's pendulum time as a datetime, whose arithmetic ours relies on."""
    return datetime.fromtimestamp(at.timestamp(), UTC)


def run_step(
    config: DatasetConfig, step: str, work: Callable[[Any, TaskInterval], Any], context: Any
) -> dict[str, Any]:
    """Counts of one step, run in the warehouse and recorded there; what goes wrong becomes
    Airflow's.
    """
    from tsad_tasks.pipeline.record import recorded
    from tsad_tasks.storage.store import Store

    with airflow_errors():
        interval = task_interval(context)
        span: dict[str, Any] = {
            "start_at": interval.start_at,
            "end_at": interval.end_at,
            "shard": interval.map_index,
        }
        run_id = f"{interval.dag_id}/{interval.run_id}"
        with (
            Store.open(warehouse_uri()) as store,
            recorded(store, config, step, run_id=run_id, **span) as record,
        ):
            counts = record.add(work(store, interval))
        log.info("%s %s: %s", config.dataset, step, counts)
        said: dict[str, Any] = plain(counts)
        return said


def run_word(
    config: DatasetConfig, step: str, work: Callable[[Any, dict[str, Any], str], Any], context: Any
) -> dict[str, Any]:
    """Counts of what a person says on a form: no interval, but params and the person's name."""
    from tsad_tasks.pipeline.record import recorded
    from tsad_tasks.storage.store import Store

    with airflow_errors():
        run = context["dag_run"]
        run_id, who = f"{context['dag'].dag_id}/{run.run_id}", run.triggering_user_name or "airflow"
        with (
            Store.open(warehouse_uri()) as store,
            recorded(store, config, step, run_id=run_id) as record,
        ):
            counts = record.add(work(store, dict(context["params"]), who))
        log.info("%s %s: %s", config.dataset, step, counts)
        said: dict[str, Any] = plain(counts)
        return said


def plain(value: Any) -> Any:
    """The value as XCom takes it: times as ISO text."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value
