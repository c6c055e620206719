"""Statements on drift, audits and retention, and what one row of each is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from tsad_tasks.ingest.queries import FirstHour
from tsad_tasks.storage.store import Query, Statement


@dataclass(frozen=True)
class DriftRow:
    """How far a week of a channel (0: of the scores) lies from its reference; None is unknown."""

    model_id: int
    entity_id: int
    channel_id: int
    psi: float | None
    shift: float | None
    missing_share: float | None
    n_steps: int


class LastKnownHour(NamedTuple):
    """An entity's newest hour with a score or off, and the status of the dataset's newest hour, or
    that the entity is silent.
    """

    entity: str
    known_at: datetime | None
    status: str | None


UPSERT_DRIFT = Statement("monitoring/upsert_drift")
UPSERT_AUDIT = Statement("monitoring/upsert_audit")
SELECT_LAST_KNOWN_HOURS = Query("monitoring/select_last_known_hours", LastKnownHour)

UPDATE_RETIRED_BEFORE = Statement("monitoring/update_retired_before")
SELECT_FIRST_SCORE_HOURS = Query("monitoring/select_first_score_hours", FirstHour)
DELETE_READING_BLOCKS = Statement("monitoring/delete_reading_blocks")
DELETE_SCORE_BLOCKS = Statement("monitoring/delete_score_blocks")
DELETE_FORMER_STATES = Statement("monitoring/delete_former_states")
DROP_READING_MONTHS = Query("monitoring/drop_reading_months", str)
DROP_SCORE_MONTHS = Query("monitoring/drop_score_months", str)
