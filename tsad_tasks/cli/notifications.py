"""`tsad notify`: messages to people."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from typer import Option

from devstack import local
from tsad_tasks.base.errors import BadInput
from tsad_tasks.cli.options import Dataset
from tsad_tasks.cli.rows import lists
from tsad_tasks.cli.screen import Listing, list_rows, say, say_counts
from tsad_tasks.config import DatasetConfig, config_of
from tsad_tasks.storage.database import connection_uri
from tsad_tasks.storage.datasets import select_dataset
from tsad_tasks.storage.store import Query

MESSAGES = Query("cli/select_notifications", dict)
TRIED = Listing("tried", ("medium", "connection", "address", "state", "answer"))
LISTED = Listing(
    "messages",
    (
        "created_at", "event", "entity", "version", "severity", "to", "state", "attempts",
        "next_attempt_at", "last_error",
    ),
    right=("attempts",),
)  # fmt: skip


@lists(LISTED, TRIED)
def notify(
    dataset: Dataset,
    pending: Annotated[
        bool, Option("--pending", help="Only list what waits or failed; send nothing.")
    ] = False,
    trial: Annotated[
        bool,
        Option("--try", help="Send a test message to each target, and say what came of it."),
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
        if trial:
            send_trial(config, store.now())
            return
        if not pending and config.notifications.is_told:
            draw = incident_picture(store, config.site_zone)
            send, end_at = sender(connection_uri), store.now()
            told = notify.notify(store, config, send, end_at=end_at, picture=draw)
            say_counts("notify", told)
        elif not pending:
            whom = "neither notifications.targets nor an owner"
            say(f"This dataset's file names {whom}: nobody is told.")
        with store.transaction():
            select_dataset(store, dataset)
            rows = store.rows(MESSAGES, dataset=dataset, undelivered=pending, n=n)
    nothing = "No messages wait." if pending else "No messages."
    list_rows(LISTED, dataset, rows, nothing)


def send_trial(config: DatasetConfig, now_at: datetime) -> None:
    """Tells each address that this is a test, beside the outbox.

    Raises `BadInput` when one was not taken.
    """
    from tsad_tasks.notifications.channels.base import sender
    from tsad_tasks.notifications.trial import try_targets

    tried = list(try_targets(config, sender(connection_uri), now_at=now_at))
    rows = [
        {
            "medium": one.medium,
            "connection": one.connection,
            "address": one.address,
            "state": "taken" if one.taken else "not taken",
            "answer": one.answer,
        }
        for one in tried
    ]
    nobody = "This dataset's file names no notifications.targets: nobody is told."
    list_rows(TRIED, f"{config.dataset}: test messages", rows, nobody)
    n_failed = sum(not one.taken for one in tried)
    if n_failed:
        raise BadInput(
            "Expected a test message that each target takes. Received: "
            f"{n_failed} of {len(tried)} not taken."
        )
