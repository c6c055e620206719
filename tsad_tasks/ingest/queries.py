"""Statements on what was read from sources."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from tsad_tasks.storage.store import Query


class FirstHour(NamedTuple):
    """The first hour with readings of an entity; None where there is none."""

    entity_id: int
    hour_at: datetime | None


class LedgerEnds(NamedTuple):
    """The newest hour that was read from the source, and the newest reading found."""

    hour_at: datetime | None
    newest_at: datetime | None


SELECT_FIRST_HOURS = Query("ingest/select_first_hours", FirstHour)
SELECT_LEDGER_ENDS = Query("ingest/select_ledger_ends", LedgerEnds)
SELECT_NEWEST_LEDGER_HOUR: Query[datetime | None] = Query(
    "ingest/select_newest_ledger_hour", datetime
)
