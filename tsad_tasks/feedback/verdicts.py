"""Verdicts of people: what an incident was, or a range that no incident tells."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tsad_tasks.base.errors import BadInput
from tsad_tasks.feedback.queries import (
    INSERT_INCIDENT_VERDICT,
    INSERT_RANGE_VERDICT,
    SELECT_INCIDENT_DATASET,
    WITHDRAW_VERDICT,
)
from tsad_tasks.storage.store import Store


def set_verdict(
    store: Store,
    incident_id: str,
    verdict: str,
    *,
    said_by: str,
    note: str = "",
    channel: str | None = None,
) -> dict[str, Any]:
    """Number of a verdict on an incident.

    Raises
    ------
    BadInput
        When there is no such incident, verdict or channel.
    """
    said = {"verdict": verdict, "said_by": said_by, "note": note, "channel": channel}
    with store.transaction():
        return {"verdict_id": store.one(INSERT_INCIDENT_VERDICT, incident_id=incident_id, **said)}


def set_verdict_in(
    store: Store, dataset: str, incident_id: str, verdict: str, **said: Any
) -> dict[str, Any]:
    """The same on an incident of one dataset.

    Raises
    ------
    BadInput
        Also when the incident is another dataset's.
    """
    with store.transaction():
        found = store.first(SELECT_INCIDENT_DATASET, incident_id=incident_id)
    if found != dataset:
        raise BadInput(
            f"Expected the incident_id of an incident of {dataset}. Received: {incident_id}."
        )
    return set_verdict(store, incident_id, verdict, **said)


def withdraw_verdict(store: Store, incident_id: str) -> int:
    """Number of the verdict that was taken back: the one on the incident that counted."""
    with store.transaction():
        return store.one(WITHDRAW_VERDICT, incident_id=incident_id)


def add_verdict(
    store: Store,
    dataset: str,
    entity: str,
    start_at: datetime,
    end_at: datetime,
    verdict: str,
    *,
    said_by: str,
    note: str = "",
    channel: str | None = None,
) -> int:
    """Number of a verdict on a range that no incident tells."""
    where = {"dataset": dataset, "entity": entity, "start_at": start_at, "end_at": end_at}
    said = {"verdict": verdict, "said_by": said_by, "note": note, "channel": channel}
    with store.transaction():
        return store.one(INSERT_RANGE_VERDICT, **where, **said)
