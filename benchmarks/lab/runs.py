"""Runs of a dataset's DAGs, task by task, each in a process of its own, as Airflow runs them."""

from __future__ import annotations

import json
import os
import resource
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from lab.room import Room
from tsad_tasks.base.errors import BadInput, NothingToDo, Undelivered
from tsad_tasks.notifications.channels.base import Message, Send, sender
from tsad_tasks.pipeline.task import ALL_SUCCESS, Task, TaskRun, run_task
from tsad_tasks.pipeline.tasks import tasks_of

DONE, SKIPPED, FAILED, RETRY, KILLED = "done", "skipped", "failed", "retry", "killed"
FORM: dict[str, Any] = {"lineage": "live", "notify": True, "end": None, "seed": None}
IMPORTED_BY_TASKS = (
    *("numpy.ma", "reportlab.platypus", "sklearn.metrics", "tsad_tasks.champions.shadow"),
    *("tsad_tasks.ingest.ingest", "tsad_tasks.monitoring.maintain", "tsad_tasks.pipeline.record"),
    *("tsad_tasks.notifications.notify", "tsad_tasks.pipeline.register"),
    *("tsad_tasks.pipeline.rescore", "tsad_tasks.reporting.evaluation.evaluate"),
    *("tsad_tasks.reporting.period.report", "tsad_tasks.scoring.incidents"),
    *("tsad_tasks.scoring.score", "tsad_tasks.scoring.windows", "tsad_tasks.training.fit"),
    *("tsad_tasks.training.judge", "tsad_tasks.training.prepare"),
)
# A task that takes longer hangs.
LONGEST_S = 300.0
POLL_S = 0.005


class Failed(Exception):
    """A task failed as Airflow does not try it again."""


@dataclass(frozen=True)
class Outcome:
    """How a task ended: one of `DONE` …, what it handed on or said, and the seconds it took."""

    state: str
    value: Any
    seconds: float


Attempt = Callable[[Task, Callable[[], Any]], Outcome]


class Child:
    """Some work in a child process of this one; `prepare` is called there before it."""

    def __init__(self, work: Callable[[], Any], prepare: Callable[[], None] | None = None) -> None:
        self._began = time.monotonic()
        # Closed where its end is seen.
        self._answer = tempfile.NamedTemporaryFile(prefix="tsad-bench-outcome-")  # noqa: SIM115
        self.pid = os.fork()
        if self.pid == 0:
            _work_and_leave(work, prepare, Path(self._answer.name))

    @property
    def age_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    def poll(self) -> Outcome | None:
        """How it ended; None as long as it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return None
        seconds = self.age_s
        with self._answer as answer:
            said = answer.read()
        if os.WIFSIGNALED(status):
            return Outcome(KILLED, None, seconds)
        state, value = json.loads(said)
        return Outcome(state, value, seconds)

    def outcome(
        self, limit_s: float = LONGEST_S, while_running: Callable[[Child], None] | None = None
    ) -> Outcome:
        """Waits until it has ended, and calls `while_running` every few milliseconds.

        Raises
        ------
        TimeoutError
            When it did not end; it is killed.
        """
        while (ended := self.poll()) is None:
            if self.age_s > limit_s:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise TimeoutError(f"Expected an end within {limit_s:g} s. Received: none.")
            if while_running is not None:
                while_running(self)
            time.sleep(POLL_S)
        return ended


def _work_and_leave(
    work: Callable[[], Any], prepare: Callable[[], None] | None, answer: Path
) -> None:
    try:
        if prepare is not None:
            prepare()
        ended = (DONE, work())
    except NothingToDo as error:
        ended = (SKIPPED, str(error))
    except BadInput as error:
        ended = (FAILED, f"{type(error).__name__}: {error}")
    except BaseException as error:
        said = (str(error).splitlines() or [""])[0]
        ended = (RETRY, f"{type(error).__name__}: {said}\n{traceback.format_exc()}")
    try:
        # The work may have been done with bounds on what may be written.
        whole = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (whole, whole))
        answer.write_text(json.dumps(ended, default=str), encoding="utf-8")
    finally:
        os._exit(0)


def attempted_once(_task: Task, work: Callable[[], Any]) -> Outcome:
    """The task in a child process, left alone."""
    return Child(work).outcome()


@dataclass(frozen=True)
class Pipeline:
    """The DAGs of a room.

    Attributes
    ----------
    hook : URL to which messages are sent; None: they cannot be sent.
    attempt : makes of a task's work an outcome.
    """

    room: Room
    hook: str | None = None
    attempt: Attempt = attempted_once
    states: dict[str, str] = field(default_factory=dict)

    def run(
        self,
        dag: str,
        start_at: datetime | None = None,
        end_at: datetime | None = None,
        run_id: str = "run",
        *,
        is_backfill: bool = False,
        **form: Any,
    ) -> dict[str, Any]:
        """What each task of a run handed on; a task that was skipped is not among them.

        Raises
        ------
        Failed
            When a task failed for good, or was not tried again until it succeeded.
        """
        ends = start_at, end_at, is_backfill
        given: dict[str, Any] = {}
        before: str | None = None
        for task in tasks_of(dag, self.room.config):
            follows = task.after if task.after is not None else (before,) if before else ()
            before = task.name
            if task.trigger_rule == ALL_SUCCESS and not set(follows) <= set(given):
                continue
            inputs = {name: _handed_on(given, source) for name, source in task.takes.items()}
            items = inputs.pop(task.for_each) if task.for_each else [None]
            for shard, item in enumerate(items or ()):
                one = inputs | ({task.for_each: item} if task.for_each else {})
                number = shard if task.for_each else -1
                outcome = self._ended(task, self._run(dag, run_id, ends, one, number, form))
                self.states[f"{dag} {run_id} {task.name} {number}"] = outcome.state
                if outcome.state == DONE:
                    given[task.name] = outcome.value
                elif outcome.state != SKIPPED:
                    raise Failed(f"{dag} {task.name}: {outcome.value}")
        return given

    def _ended(self, task: Task, run: TaskRun) -> Outcome:
        uri = self.room.uri()
        return self.attempt(task, lambda: run_task(task, run, uri))

    def _run(
        self,
        dag: str,
        run_id: str,
        ends: tuple[datetime | None, datetime | None, bool],
        inputs: Mapping[str, Any],
        shard: int,
        form: dict[str, Any],
    ) -> TaskRun:
        dag_id = "tsad.maintain" if dag == "maintain" else f"{self.room.config.dataset}.{dag}"
        return TaskRun(
            self.room.config,
            dag_id,
            run_id,
            *ends[:2],
            params=FORM | form,
            inputs=inputs,
            is_backfill=ends[2],
            shard=shard,
            started_by="benchmark",
            uri_of=lambda _: self.room.source_uri,
            send=self._sender(),
        )

    def _sender(self) -> Send:
        hook = self.hook
        return _sends_nothing if hook is None else sender(lambda _: hook)


def _sends_nothing(_message: Message) -> None:
    raise Undelivered("Expected a benchmark that takes messages. Received: another.")


def _handed_on(given: Mapping[str, Any], source: str) -> Any:
    name, _, key = source.partition(".")
    value = given.get(name)
    return value[key] if key and value is not None else value


def preload() -> None:
    """Imports what tasks import when they run, so that not every child has to do so."""
    for name in IMPORTED_BY_TASKS:
        import_module(name)
