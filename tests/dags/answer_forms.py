"""Run in a process of its own, in Airflow's environment: waits for forms, one after another, and
answers them.

Each argument is an option that somebody called ada chooses, as the api-server would write it, or
`nobody`, for which the scheduler's own sweep takes the form's default. The forms' bodies go to
stdout as a JSON list.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

NOBODY = "nobody"


def main(answers: list[str]) -> None:
    """A form for each answer."""
    from airflow.utils.session import create_session

    bodies = []
    for answer in answers:
        with create_session() as session:
            waiting = _waiting(session)
            bodies.append(waiting.hitl_detail.body)
            if answer != NOBODY:
                _respond(waiting, answer, session)
        if answer == NOBODY:
            _sweep()
    print(json.dumps(bodies))


def _waiting(session: Any) -> Any:
    """The task that waits for its form; the next one comes within two minutes."""
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select
    from sqlalchemy.exc import ProgrammingError
    from sqlalchemy.orm import joinedload

    deadline_s = time.monotonic() + 120
    while time.monotonic() < deadline_s:
        with suppress(ProgrammingError):  # Airflow's tables are still being made.
            waits = select(TaskInstance).where(TaskInstance.state == "awaiting_input")
            found = session.scalars(waits.options(joinedload(TaskInstance.hitl_detail))).first()
            if found is not None:
                return found
        session.rollback()
        time.sleep(0.3)
    raise TimeoutError("Expected a form within 120 s. Received: none.")


def _respond(waiting: Any, option: str, session: Any) -> None:
    """What the api-server does with a person's answer."""
    from airflow._shared.timezones import timezone
    from airflow.models.trigger import handle_event_submit
    from airflow.triggers.base import TriggerEvent

    form = waiting.hitl_detail
    form.responded_at, form.responded_by = timezone.utcnow(), {"id": "1", "name": "ada"}
    form.chosen_options, form.params_input = [option], {}
    handle_event_submit(
        TriggerEvent(form.as_resume_event_payload()), task_instance=waiting, session=session
    )


def _sweep() -> None:
    """The scheduler's sweep of forms whose time is up, until it found the one that waits."""
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    scheduler: Any = SimpleNamespace(log=logging.getLogger("sweep"))
    n_waiting = 1
    while n_waiting:
        time.sleep(0.5)
        with create_session() as session:
            SchedulerJobRunner.check_awaiting_input_timeouts(scheduler, session=session)
        with create_session() as session:
            n_waiting = session.scalar(
                select(func.count()).where(TaskInstance.state == "awaiting_input")
            )


if __name__ == "__main__":
    main(sys.argv[1:])
