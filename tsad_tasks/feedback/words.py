"""What people say: verdicts on incidents and ranges, labels, maintenance windows; SQL functions
check each word.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2

from tsad_tasks.base.enums import Verdict
from tsad_tasks.base.errors import BadInput
from tsad_tasks.feedback.maintenance import apply_maintenance, known_zone
from tsad_tasks.storage.store import Store

VERDICTS = tuple(one.value for one in Verdict)
LABEL_COLUMNS = ("entity", "start_at", "end_at", "kind", "note")


@contextmanager
def _checked() -> Iterator[None]:
    """What the warehouse refuses is bad input."""
    try:
        yield
    except psycopg2.DataError as error:
        raise BadInput(str(error).splitlines()[0]) from error


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
    params = {
        "incident_id": incident_id,
        "verdict": verdict,
        "said_by": said_by,
        "note": note,
        "channel": channel,
    }
    with _checked(), store.transaction():
        return {"verdict_id": store.select("insert_incident_verdict", params)[0][0]}


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
        found = store.select_or_none("select_incident_dataset", {"incident_id": incident_id})
    if found != (dataset,):
        raise BadInput(
            f"Expected the incident_id of an incident of {dataset}. Received: {incident_id}."
        )
    return set_verdict(store, incident_id, verdict, **said)


def withdraw_verdict(store: Store, incident_id: str) -> int:
    """Number of the verdict that was taken back: the one on the incident that counted."""
    with _checked(), store.transaction():
        return int(store.select("withdraw_verdict", {"incident_id": incident_id})[0][0])


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
    params = {
        "dataset": dataset,
        "entity": entity,
        "start_at": start_at,
        "end_at": end_at,
        "verdict": verdict,
    }
    params |= {"said_by": said_by, "note": note, "channel": channel}
    with _checked(), store.transaction():
        return int(store.select("insert_range_verdict", params)[0][0])


def add_label(
    store: Store,
    dataset: str,
    entity: str,
    start_at: datetime,
    end_at: datetime,
    *,
    kind: str = "anomaly",
    note: str = "",
) -> int:
    """Number of a label that a person says."""
    label = {"entity": entity, "start_at": start_at, "end_at": end_at, "kind": kind, "note": note}
    with _checked(), store.transaction():
        return int(
            store.select("insert_label", label | {"dataset": dataset, "origin": "person"})[0][0]
        )


def add_labels(store: Store, dataset: str, path: Path, moment: Any) -> int:
    """Labels of a CSV file with the columns entity, start_at, end_at, kind and note; all of them or
    none.

    Parameters
    ----------
    moment : reads a time that a person wrote.

    Raises
    ------
    BadInput
        Naming the line that is wrong.
    """
    n_labels = 0
    with path.open(encoding="utf-8-sig", newline="") as lines, store.transaction():
        rows = csv.DictReader(lines)
        missing = sorted(set(LABEL_COLUMNS[:3]) - set(rows.fieldnames or ()))
        if missing:
            raise BadInput(
                f"{path}: Expected the columns {', '.join(LABEL_COLUMNS)}. Received: no "
                f"{missing[0]}."
            )
        for n_labels, row in enumerate(rows, 1):  # noqa: B007
            with _located(f"{path}:{rows.line_num}"):
                _insert_label(store, dataset, row, moment)
    return n_labels


@contextmanager
def _located(place: str) -> Iterator[None]:
    try:
        with _checked():
            yield
    except BadInput as error:
        raise BadInput(f"{place}: {error}") from error


def _insert_label(store: Store, dataset: str, row: Mapping[str, str | None], moment: Any) -> None:
    times = {name: moment(row[name] or "") for name in ("start_at", "end_at")}
    words = {
        "entity": row["entity"],
        "kind": row.get("kind") or "anomaly",
        "note": row.get("note") or "",
    }
    store.select("insert_label", {"dataset": dataset, "origin": "file"} | words | times)


def withdraw_label(store: Store, dataset: str, label_id: int, *, withdrawn_by: str) -> None:
    """Takes back a label of the dataset, whoever set it; it stays, with who took it back and when.

    Raises
    ------
    BadInput
        When the dataset has no such label, or it was taken back before.
    """
    with _checked(), store.transaction():
        if store.select_or_none("select_label_dataset", {"label_id": label_id}) != (dataset,):
            raise BadInput(f"Expected the number of a label of {dataset}. Received: {label_id}.")
        store.select("withdraw_label", {"label_id": label_id, "withdrawn_by": withdrawn_by})


def add_maintenance(
    store: Store,
    dataset: str,
    start_at: datetime,
    end_at: datetime,
    title: str,
    *,
    entity: str | None = None,
    rrule: str | None = None,
    zone: str | None = None,
    margin_before_s: int = 0,
    margin_after_s: int = 0,
    created_by: str,
) -> tuple[int, int]:
    """Number of a new maintenance window, and of the incidents that it suppresses at once.

    Raises
    ------
    BadInput
        When dataset, entity, range, zone or rule are not what they should be.
    """
    params: dict[str, Any] = {
        "dataset": dataset,
        "entity": entity,
        "start_at": start_at,
        "end_at": end_at,
    }
    params |= {"title": title, "rrule": rrule, "zone": known_zone(zone), "created_by": created_by}
    params |= {"margin_before_s": margin_before_s, "margin_after_s": margin_after_s}
    with _checked(), store.transaction():
        window_id = int(store.select("insert_maintenance", params)[0][0])
    return window_id, apply_maintenance(store, dataset)


def withdraw_maintenance(store: Store, dataset: str, window_id: int) -> int:
    """Incidents that count again, after a maintenance window of the dataset was taken back."""
    with _checked(), store.transaction():
        if store.select_or_none("select_maintenance_dataset", {"window_id": window_id}) != (
            dataset,
        ):
            raise BadInput(
                f"Expected the number of a maintenance window of {dataset}. Received: {window_id}."
            )
        store.select("withdraw_maintenance", {"window_id": window_id})
    return apply_maintenance(store, dataset)


def set_channel_epoch(
    store: Store,
    dataset: str,
    entity: str,
    channel: str,
    from_at: datetime,
    kind: str,
    reason: str,
    *,
    scale: float | None = None,
    offset: float | None = None,
    said_by: str,
) -> int:
    """Number of a change of a sensor; it counts from the next run on.

    Raises
    ------
    BadInput
        When there is no such dataset, entity, channel or kind, or scale and offset are no numbers
        to convert with.
    """
    params = {
        "dataset": dataset,
        "entity": entity,
        "channel": channel,
        "from_at": from_at,
        "kind": kind,
    }
    params |= {"reason": reason, "scale": scale, "offset": offset, "said_by": said_by}
    with _checked(), store.transaction():
        return int(store.select("insert_channel_epoch", params)[0][0])


def withdraw_channel_epoch(store: Store, dataset: str, epoch_id: int) -> None:
    """Takes back a change of a sensor of the dataset."""
    with _checked(), store.transaction():
        if store.select_or_none("select_channel_epoch_dataset", {"epoch_id": epoch_id}) != (
            dataset,
        ):
            raise BadInput(
                f"Expected the number of a change of a sensor of {dataset}. Received: {epoch_id}."
            )
        store.select("withdraw_channel_epoch", {"epoch_id": epoch_id})
