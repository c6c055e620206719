"""Task `audit`: what champions and challengers did in a week, by labels and verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tsad_tasks.base.enums import Lineage
from tsad_tasks.base.errors import NothingToDo
from tsad_tasks.config import DatasetConfig
from tsad_tasks.monitoring.queries import UPSERT_AUDIT
from tsad_tasks.storage.datasets import select_dataset
from tsad_tasks.storage.store import Store

WEEK = timedelta(days=7)


@dataclass(frozen=True)
class AuditSummary:
    """The week that was audited, and how many models were in it."""

    week_at: datetime
    n_models: int


def week_before(end_at: datetime) -> datetime:
    """Monday, 00:00 UTC, of the last whole week before a moment.

    >>> from datetime import UTC
    >>> [week_before(datetime(2026, 3, day, 23, tzinfo=UTC)).day for day in (9, 15, 16)]
    [2, 2, 9]
    """
    midnight = end_at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=end_at.weekday()) - WEEK


def audit_week(
    store: Store, config: DatasetConfig, *, end_at: datetime, lineage: str = Lineage.LIVE
) -> AuditSummary:
    """Counts the last whole week before `end_at`; again, by what is known by then.

    Raises
    ------
    NothingToDo
        When no model was champion or in the shadow.
    """
    week_at, dataset = week_before(end_at), select_dataset(store, config.dataset)
    whose = {"dataset_id": dataset.dataset_id, "lineage": lineage}
    with store.transaction():
        n_models = store.execute(UPSERT_AUDIT, start_at=week_at, end_at=week_at + WEEK, **whose)
    if not n_models:
        raise NothingToDo(
            f"No model of {config.dataset} was champion in the week from {week_at:%Y-%m-%d}."
        )
    return AuditSummary(week_at, n_models)
