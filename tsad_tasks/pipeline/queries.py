"""Statements that only runs of tasks ask, and what one row of each is."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from tsad_tasks.storage.store import Query, Statement


class PairedSteps(NamedTuple):
    """Hours and steps that a lineage and the one that people see have both scored."""

    n_hours: int
    n_paired: int
    n_agreed: int
    n_flags: int
    n_other_flags: int


class PairedIncidents(NamedTuple):
    """Incidents of a lineage, and of the one that people see."""

    n_incidents: int
    n_live_incidents: int


class Taken(NamedTuple):
    """Up to when every interval is done, and whether the run that asked may go on from there."""

    done_until: datetime
    is_taken: bool


class RunRange(NamedTuple):
    """What a run works on; `caught_up_until`: the end of its first part where it has two."""

    start_at: datetime
    end_at: datetime
    caught_up_until: datetime | None


class LedgerSpan(NamedTuple):
    """The first and the last hour of a range that had readings; None where none had."""

    first_at: datetime | None
    last_at: datetime | None


class RehearsedHour(NamedTuple):
    """An hour of an entity that a rehearsal scored; lists have a value a step, None: unknown."""

    hour_at: datetime
    model_id: int
    errors: list[float | None]
    thresholds: list[float | None]
    scores: list[float | None]


class RehearsedIncident(NamedTuple):
    """An incident of a rehearsal."""

    incident_id: str
    entity: str
    severity: str
    started_at: datetime
    last_flag_at: datetime
    peak_score: float
    sentence: str


UPSERT_RUN_STATUS = Statement("pipeline/upsert_run_status")
SELECT_WHAT_IF = Query("pipeline/select_what_if", PairedSteps)
SELECT_WHAT_IF_INCIDENTS = Query("pipeline/select_what_if_incidents", PairedIncidents)
UPSERT_PROGRESS = Query("pipeline/upsert_progress", Taken)
UPDATE_PROGRESS_DONE = Statement("pipeline/update_progress_done")
UPDATE_PROGRESS_FREE = Statement("pipeline/update_progress_free")
UPDATE_PROGRESS_HEARD = Statement("pipeline/update_progress_heard")
SELECT_RUN_RANGE = Query("pipeline/select_run_range", RunRange)
SELECT_LEDGER_SPAN = Query("pipeline/select_ledger_span", LedgerSpan)
SELECT_REHEARSED_ERRORS = Query("pipeline/select_rehearsed_errors", RehearsedHour)
SELECT_REHEARSED_INCIDENTS = Query("pipeline/select_rehearsed_incidents", RehearsedIncident)
DELETE_REHEARSAL = Statement("pipeline/delete_rehearsal")
