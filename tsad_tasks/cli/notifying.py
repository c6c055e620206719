"""The command `tsad notify`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tsad_tasks.base.clock import utc_now
from tsad_tasks.cli import session
from tsad_tasks.cli.screen import say, say_counts, table
from tsad_tasks.config import DatasetConfig
from tsad_tasks.storage.datasets import select_dataset
from tsad_tasks.storage.paths import config_of
from tsad_tasks.storage.store import Store

_COLUMNS = (
    "created_at",
    "event",
    "entity",
    "version",
    "severity",
    "to",
    "state",
    "attempts",
    "next_attempt_at",
    "last_error",
)


def notify(
    dataset: Annotated[str, typer.Argument(help="Name of a dataset file, such as server_room.")],
    pending: Annotated[
        bool, typer.Option("--pending", help="Only list what waits or failed; send nothing.")
    ] = False,
    n: Annotated[int, typer.Option("-n", min=1, help="List at most so many.")] = 30,
) -> None:
    """Tell the dataset's targets what became of live incidents and models, and list the messages,
    newest first.
    """
    config = config_of(dataset)
    with session.open_store() as store:
        if not pending:
            _notify(store, config)
        with store.transaction():
            select_dataset(store, dataset)
            params = {"dataset": dataset, "undelivered": pending, "n": n}
            rows = store.records("select_notifications", params)
    if rows:
        table(f"{dataset}, UTC", _COLUMNS, [_shown(row) for row in rows], right=("attempts",))
    else:
        say("No messages wait." if pending else "No messages.")


def _notify(store: Store, config: DatasetConfig) -> None:
    from tsad_tasks.notifications import notify
    from tsad_tasks.notifications.channels.senders import sender
    from tsad_tasks.storage.database import connection_uri

    if not config.notifications.targets:
        say("This dataset's file names no notifications.targets: nobody is told.")
        return
    say_counts("notify", notify.notify(store, config, sender(connection_uri), end_at=utc_now()))


def _shown(row: dict[str, Any]) -> tuple[Any, ...]:
    to = row["address"] or row["connection"]
    return tuple((row | {"to": to})[name] for name in _COLUMNS)
