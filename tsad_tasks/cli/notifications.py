"""`tsad notify`: messages to people."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from devstack import local
from tsad_tasks.cli.options import Dataset
from tsad_tasks.cli.rows import lists
from tsad_tasks.cli.screen import Listing, list_rows, say, say_counts
from tsad_tasks.config import config_of
from tsad_tasks.storage.database import connection_uri
from tsad_tasks.storage.datasets import select_dataset
from tsad_tasks.storage.store import Query

MESSAGES = Query("cli/select_notifications", dict)
LISTED = Listing(
    "messages",
    (
        "created_at", "event", "entity", "version", "severity", "to", "state", "attempts",
        "next_attempt_at", "last_error",
    ),
    right=("attempts",),
)  # fmt: skip


@lists(LISTED)
def notify(
    dataset: Dataset,
    pending: Annotated[
        bool, Option("--pending", help="Only list what waits or failed; send nothing.")
    ] = False,
    n: Annotated[int, Option("-n", min=1, help="List at most so many.")] = 30,
) -> None:
    """Tell the dataset's targets what became of live incidents and models, and list the messages,
    newest first.
    """
    from tsad_tasks.notifications import notify
    from tsad_tasks.notifications.channels.base import sender
    from tsad_tasks.reporting.period.one_incident import incident_picture

    config = config_of(dataset)
    with local.open_store() as store:
        if not pending and config.notifications.is_told:
            draw = incident_picture(store, config.site_zone)
            send, end_at = sender(connection_uri), store.now()
            told = notify.notify(store, config, send, end_at=end_at, picture=draw)
            say_counts("notify", told)
        elif not pending:
            say("This dataset's file names no notifications.targets: nobody is told.")
        with store.transaction():
            select_dataset(store, dataset)
            rows = store.rows(MESSAGES, dataset=dataset, undelivered=pending, n=n)
    nothing = "No messages wait." if pending else "No messages."
    list_rows(LISTED, f"{dataset}, UTC", rows, nothing)
