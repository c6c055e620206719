"""Statements that say what people said; the SQL functions behind them check each word."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from tsad_tasks.storage.store import Query, Statement

INSERT_INCIDENT_VERDICT = Query("feedback/insert_incident_verdict", int)
INSERT_RANGE_VERDICT = Query("feedback/insert_range_verdict", int)
SELECT_INCIDENT_DATASET = Query("feedback/select_incident_dataset", str)
WITHDRAW_VERDICT = Query("feedback/withdraw_verdict", int)

INSERT_LABEL = Query("feedback/insert_label", int)
SELECT_LABEL_DATASET = Query("feedback/select_label_dataset", str)
WITHDRAW_LABEL = Statement("feedback/withdraw_label")

INSERT_CHANNEL_EPOCH = Query("feedback/insert_channel_epoch", int)
SELECT_CHANNEL_EPOCH_DATASET = Query("feedback/select_channel_epoch_dataset", str)
WITHDRAW_CHANNEL_EPOCH = Statement("feedback/withdraw_channel_epoch")


class MaintenanceWindow(NamedTuple):
    """A maintenance window that holds: when it is first, and how it recurs."""

    window_id: int
    entity_id: int | None
    start_at: datetime
    end_at: datetime
    rrule: str | None
    zone: str
    margin_before_s: int
    margin_after_s: int
    title: str


INSERT_MAINTENANCE = Query("feedback/insert_maintenance", int)
SELECT_MAINTENANCE_DATASET = Query("feedback/select_maintenance_dataset", str)
SELECT_MAINTENANCE_WINDOWS = Query("feedback/select_maintenance_windows", MaintenanceWindow)
WITHDRAW_MAINTENANCE = Statement("feedback/withdraw_maintenance")
UPDATE_SUPPRESSED_BY = Statement("feedback/update_suppressed_by")

INSERT_RETIREMENT = Query("feedback/insert_retirement", int)
WITHDRAW_RETIREMENT = Query("feedback/withdraw_retirement", int)
