"""Statements that only runs of tasks ask, and what one row of each is."""

from __future__ import annotations

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


UPSERT_RUN_STATUS = Statement("pipeline/upsert_run_status")
SELECT_WHAT_IF = Query("pipeline/select_what_if", PairedSteps)
SELECT_WHAT_IF_INCIDENTS = Query("pipeline/select_what_if_incidents", PairedIncidents)
