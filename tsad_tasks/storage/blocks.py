"""What blocks of readings and scores have in common: key, grid of hours, monthly partitions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.interval import from_unix_s, unix_s
from tsad_tasks.storage import copy_binary as binary
from tsad_tasks.storage.store import Statement, Store

KEY = (binary.Field("entity_id", "i4"), binary.Field("hour_at", "i8"))
ENSURE_PARTITIONS = Statement("storage/ensure_partitions")


def n_hours(start_at: datetime, end_at: datetime) -> int:
    """Hours of [start_at, end_at)."""
    return (unix_s(end_at) - unix_s(start_at)) // 3600


def read_hours(
    store: Store,
    statement: Statement,
    columns: Sequence[binary.Field],
    entity_ids: Sequence[int],
    span: tuple[datetime, datetime],
    **params: object,
) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], dict[str, NDArray[Any]]]:
    """Columns after `KEY` of a range's blocks, and where each block is in (n_entities, n_hours)."""
    start_at, end_at = span
    params |= {"entity_ids": list(entity_ids), "start_at": start_at, "end_at": end_at}
    rows = store.copy_out(statement, [*KEY, *columns], **params)
    order = np.argsort(np.asarray(entity_ids))
    entity = order[np.searchsorted(np.asarray(entity_ids), rows["entity_id"], sorter=order)]
    return (entity, (binary.unix_s(rows["hour_at"]) - unix_s(start_at)) // 3600), rows


def ensure_partitions(store: Store, parent: str, hours_s: NDArray[np.int64]) -> None:
    """Makes the partitions of a table for the months of some hours (Unix seconds)."""
    days = {from_unix_s(int(day) * 86400) for day in np.unique(hours_s // 86400)}
    months = sorted({day.replace(day=1) for day in days})
    store.execute(ENSURE_PARTITIONS, parent=parent, months=months)
