"""Statements of housekeeping, drift and audit."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from tsad_tasks.storage.store import Query, Statement


class FirstScoreHour(NamedTuple):
    """The first hour with scores of an entity; None where there is none."""

    entity_id: int
    hour_at: datetime | None


class LastKnownHour(NamedTuple):
    """The newest hour of an entity that has a score or was off, and its status at the newest hour of
    the dataset.
    """

    entity: str
    known_at: datetime | None
    status: str | None


DELETE_FORMER_STATES = Statement("monitoring/delete_former_states")
DELETE_READING_BLOCKS = Statement("monitoring/delete_reading_blocks")
DELETE_SCORE_BLOCKS = Statement("monitoring/delete_score_blocks")
DROP_READING_MONTHS = Query("monitoring/drop_reading_months", str)
DROP_SCORE_MONTHS = Query("monitoring/drop_score_months", str)
SELECT_FIRST_SCORE_HOURS = Query("monitoring/select_first_score_hours", FirstScoreHour)
SELECT_LAST_KNOWN_HOURS = Query("monitoring/select_last_known_hours", LastKnownHour)
UPDATE_RETIRED_BEFORE = Statement("monitoring/update_retired_before")

UPSERT_AUDIT = Statement("monitoring/upsert_audit")
UPSERT_DRIFT = Statement("monitoring/upsert_drift")
