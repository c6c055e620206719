"""Sends the messages of a JSON list on stdin by Airflow's hooks; a line of stdout for each says
what came of it.

Run by test_senders.py in a process of its own, as Airflow's tasks are.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from tsad_tasks.base.errors import NothingToDo, Undelivered
from tsad_tasks.notifications.channels.base import Message


def main() -> None:
    from tsad_senders import send

    for fields in json.load(sys.stdin):
        try:
            send(Message(**fields))
            print("sent")
        except Undelivered as error:
            print(f"{type(error).__name__}: {error}")
    for is_backfill, lineage in ((True, "live"), (False, "replay")):
        print(_notified(is_backfill, lineage))


def _notified(is_backfill: bool, lineage: str) -> str:
    """What the task of such a run says without asking any dataset or store."""
    from tsad_senders import send
    from tsad_tasks.pipeline.task import TaskRun
    from tsad_tasks.pipeline.tasks import notify

    at = datetime(2026, 3, 1, tzinfo=UTC)
    config: Any = SimpleNamespace()
    run = TaskRun(
        config,
        "room.score",
        "run",
        at,
        at,
        params={"lineage": lineage, "notify": False},
        inputs={},
        is_backfill=is_backfill,
        shard=-1,
        started_by="ada",
        uri_of=str,
        send=send,
    )
    store: Any = None
    try:
        return str(notify(store, run))
    except NothingToDo as nothing:
        return str(nothing)


if __name__ == "__main__":
    main()
