"""Labels of people: known anomalies, which are kept out of trainings and test models."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from tsad_tasks.base.errors import BadInput
from tsad_tasks.feedback.queries import INSERT_LABEL, SELECT_LABEL_DATASET, WITHDRAW_LABEL
from tsad_tasks.storage.store import Store

LABEL_COLUMNS = ("entity", "start_at", "end_at", "kind", "note")


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
    with store.transaction():
        return store.one(INSERT_LABEL, dataset=dataset, origin="person", **label)


def add_labels(store: Store, dataset: str, path: Path, moment: Any) -> int:
    """Adds the labels of a CSV file with the columns `LABEL_COLUMNS`: all of them or none.

    Parameters
    ----------
    moment : reads a time that a person wrote.

    Raises
    ------
    BadInput
        Naming the line that is wrong.
    """
    try:
        return _loaded_labels(store, dataset, path, moment)
    except UnicodeDecodeError:
        raise BadInput(f"{path}: Expected a file in UTF-8. Received: other bytes.") from None
    except csv.Error as error:
        raise BadInput(f"{path}: Expected CSV, separated by commas. Received: {error}.") from error


def _loaded_labels(
    store: Store, dataset: str, path: Path, moment: Callable[[str], datetime]
) -> int:
    n_labels = 0
    with path.open(encoding="utf-8-sig", newline="") as lines, store.transaction():
        rows = csv.DictReader(lines)
        missing = sorted(set(LABEL_COLUMNS[:3]) - set(rows.fieldnames or ()))
        if missing:
            expected = f"Expected the columns {', '.join(LABEL_COLUMNS)}"
            raise BadInput(f"{path}: {expected}. Received: no {missing[0]}.")
        for row in rows:
            try:
                span = {name: moment(row[name] or "") for name in ("start_at", "end_at")}
                said = {"kind": row.get("kind") or "anomaly", "note": row.get("note") or ""}
                label = {"dataset": dataset, "entity": row["entity"], "origin": "file"}
                store.one(INSERT_LABEL, **label, **span, **said)
            except BadInput as error:
                raise BadInput(f"{path}:{rows.line_num}: {error}") from error
            n_labels += 1
    return n_labels


def withdraw_label(store: Store, dataset: str, label_id: int, *, withdrawn_by: str) -> None:
    """Takes back a label of the dataset, whoever set it; it stays, with who took it back and when.

    Raises
    ------
    BadInput
        When the dataset has no such label, or it was taken back before.
    """
    with store.transaction():
        if store.first(SELECT_LABEL_DATASET, label_id=label_id) != dataset:
            raise BadInput(f"Expected the number of a label of {dataset}. Received: {label_id}.")
        store.execute(WITHDRAW_LABEL, label_id=label_id, withdrawn_by=withdrawn_by)
