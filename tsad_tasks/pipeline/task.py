"""What a task of a DAG is, and how it is run: the same with Airflow and without.

A task is declared in `pipeline/tasks.py`. The DAG file reads the declarations and must load fast,
so nothing slow is imported here at the top.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from inspect import getdoc
from typing import TYPE_CHECKING, Any, TypeVar

from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import Interval
from tsad_tasks.config import DatasetConfig

if TYPE_CHECKING:
    from tsad_tasks.notifications.channels.base import Message
    from tsad_tasks.storage.store import Store

log = logging.getLogger("tsad")

# DAGs that people start, with a form and without an interval.
BY_HAND = ("verdict", "rescore", "champion")
ROLL_BACK, PROMOTE = "roll_back", "promote"
ALL_SUCCESS, NONE_FAILED, ALL_DONE = "all_success", "none_failed", "all_done"


@dataclass(frozen=True)
class TaskRun:
    """What a task works on: dataset, run and interval, the run's form, and what it was handed.

    Attributes
    ----------
    start_at, end_at : of the run's interval, in UTC; both None where a person's run has none.
    parts : what it works on, oldest first; empty: its interval. See `catch_up.py`.
    params : what the run's form says.
    inputs : what earlier tasks handed on, by the names of `Task.takes`.
    is_scheduled : neither a person nor a backfill started it.
    shard : number of the task among those that run beside it, -1 where it is alone.
    started_by : name of the person who started the run.
    uri_of : URI of a connection by its id, asked anew in each run.
    send : sends a message of the outbox.
    """

    config: DatasetConfig
    dag_id: str
    run_id: str
    start_at: datetime | None
    end_at: datetime | None
    params: Mapping[str, Any]
    inputs: Mapping[str, Any]
    is_backfill: bool
    shard: int
    started_by: str
    uri_of: Callable[[str], str]
    send: Callable[[Message], None]
    is_scheduled: bool = False
    parts: tuple[Interval, ...] = ()

    @property
    def span(self) -> dict[str, Any]:
        """`start_at` and `end_at`, as keywords.

        Raises
        ------
        BadInput
            When the run has no interval.
        """
        if self.start_at is None or self.end_at is None or self.start_at == self.end_at:
            backfill = f"airflow backfill create --dag-id {self.dag_id}"
            raise BadInput(
                "Expected a run with a data interval. Received: none. Trigger it in the UI with a "
                "logical date, at which its interval ends, or start a backfill, there or by: "
                f"{backfill} --from-date <start> --to-date <last start>. (airflow dags trigger "
                "takes the interval before now, whatever date it is given.)"
            )
        return {"start_at": self.start_at, "end_at": self.end_at}

    @property
    def spans(self) -> list[dict[str, Any]]:
        """The same of each part that the run works on."""
        return [part._asdict() for part in self.parts] or [self.span]

    @property
    def id(self) -> str:
        """The run's name among those of all DAGs."""
        return f"{self.dag_id}/{self.run_id}"

    @property
    def until(self) -> dict[str, Any]:
        """End of the interval and lineage, as keywords."""
        return {"end_at": self.span["end_at"], "lineage": self.lineage}

    @property
    def lineage(self) -> str:
        """Whose champions count, as the form says."""
        return str(self.params["lineage"])

    @property
    def source_uris(self) -> tuple[str, ...]:
        """URI of each of the dataset's sources."""
        return tuple(self.uri_of(source.connection) for source in self.config.sources)


Work = Callable[["Store", TaskRun], Any]
Declared = TypeVar("Declared", bound=Work)


def always(_config: DatasetConfig) -> bool:
    """Whether a dataset has the task: every one does."""
    return True


@dataclass(frozen=True)
class Task:
    """One task of the DAG `<dataset>.<dag>`.

    Attributes
    ----------
    doc : what people read of it in Airflow.
    work : gives the counts that `run_status` keeps and the XCom carries; None: Airflow's operator.
    trigger_rule : of Airflow: when it starts, by how the tasks before it ended.
    after : names of the tasks that it follows; None: the one declared before it.
    takes : its inputs: a task's name, or `<task>.<key>` for one part of what that hands on.
    for_each : the input that is a list, of which it gets one item, and runs once for each.
    hands_on : the input that it hands on in place of its counts.
    when : whether a dataset has it.
    """

    dag: str
    name: str
    doc: str = ""
    work: Work | None = None
    trigger_rule: str = ALL_SUCCESS
    after: tuple[str, ...] | None = None
    takes: Mapping[str, str] = field(default_factory=dict)
    for_each: str | None = None
    hands_on: str | None = None
    when: Callable[[DatasetConfig], bool] = always


TASKS: list[Task] = []


def does(task: Task) -> Callable[[Declared], Declared]:
    """A decorator that declares a task: the function does its work, its docstring is its doc."""

    def declared(work: Declared) -> Declared:
        TASKS.append(replace(task, doc=" ".join((getdoc(work) or "").split()), work=work))
        return work

    return declared


def run_task(task: Task, run: TaskRun, warehouse_uri: str) -> Any:
    """What a task hands on, as JSON has it; the warehouse keeps what became of it.

    Raises
    ------
    BadInput
        When the task works on an interval and the run has none. The work says what else.
    """
    from tsad_tasks.pipeline.record import recorded
    from tsad_tasks.storage.store import Store

    assert task.work is not None
    span: dict[str, Any] = {} if task.dag in BY_HAND else {**run.span, "shard": run.shard}
    with (
        Store.open(warehouse_uri) as store,
        recorded(store, run.config, task.name, run_id=run.id, **span) as record,
        scheduled(store, task, run) as run,
    ):
        record.works_on(run.parts)
        counts = record.add(task.work(store, run))
    log.info("%s %s: %s", run.config.dataset, task.name, counts)
    return plain(run.inputs[task.hands_on] if task.hands_on else counts)


@contextmanager
def scheduled(store: Store, task: Task, run: TaskRun) -> Iterator[TaskRun]:
    """The run with what it works on; where one of the schedule fails, others may go on with it."""
    if not (run.is_scheduled and task.dag == "score"):
        yield run
        return
    from tsad_tasks.pipeline import catch_up

    own = Interval(**run.span)
    of_run: dict[str, Any] = {"run_id": run.id, "own": own}
    try:
        if task.name == "ingest":
            parts = catch_up.taken_parts(store, run.config, **of_run)
        else:
            parts = catch_up.known_parts(store, run.config, **of_run)
        yield replace(run, parts=parts, start_at=parts[0].start_at, end_at=parts[-1].end_at)
    except Exception:
        catch_up.give_back(store, run.config, run_id=run.id)
        raise


def plain(value: Any) -> Any:
    """The value as JSON takes it: times as ISO text.

    >>> plain({"at": (datetime(2026, 3, 1),), 7: None})
    {'at': ['2026-03-01T00:00:00'], '7': None}
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value
