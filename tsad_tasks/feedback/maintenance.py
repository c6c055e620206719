"""Maintenance windows: added and withdrawn, when they are, and which incidents they hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tsad_tasks.base.enums import Lineage
from tsad_tasks.base.errors import BadInput
from tsad_tasks.feedback import queries
from tsad_tasks.feedback.recurrence import occurrences
from tsad_tasks.storage.datasets import DatasetRow, lock_dataset, select_dataset, select_entities
from tsad_tasks.storage.scores import SELECT_INCIDENTS, StandingIncident
from tsad_tasks.storage.store import Store

ALWAYS = (datetime.fromisoformat("1900-01-01T00:00Z"), datetime.fromisoformat("2200-01-01T00:00Z"))


@dataclass(frozen=True)
class Maintenance:
    """One time of a maintenance window, with its margins; `entity_id` None is every entity."""

    entity_id: int | None
    start_at: datetime
    end_at: datetime
    name: str

    def holds(self, incident: StandingIncident, step: timedelta) -> bool:
        """Whether the incident is inside, but for steps whose windows still hold readings of it."""
        ends_at = incident.last_flag_at + step - incident.memory_steps * step
        return self.covers(incident.entity_id, incident.started_at, ends_at)

    def covers(self, entity_id: int, start_at: datetime, end_at: datetime) -> bool:
        """Whether all of a time of an entity is inside."""
        is_its = self.entity_id in (None, entity_id)
        return is_its and self.start_at <= start_at and end_at <= self.end_at


def add_maintenance(
    store: Store,
    dataset: str,
    start_at: datetime,
    end_at: datetime,
    title: str,
    **more: Any,
) -> tuple[int, int]:
    """Number of a new maintenance window, and of the incidents that it suppresses at once.

    Takes and raises what `record_maintenance` does.
    """
    window_id = record_maintenance(store, dataset, start_at, end_at, title, **more)
    return window_id, apply_maintenance(store, dataset)


def record_maintenance(
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
) -> int:
    """Number of a new maintenance window; the next run marks the incidents that it holds.

    An operator's login may do this much.

    Raises
    ------
    BadInput
        When dataset, entity, range, zone or rule are not what they should be.
    """
    try:
        known_zone = ZoneInfo(zone).key if zone else None
    except (KeyError, ValueError, OSError) as error:
        raise BadInput(
            f"Expected an IANA time zone such as Europe/Berlin. Received: {zone}."
        ) from error
    window = {"dataset": dataset, "entity": entity, "start_at": start_at, "end_at": end_at}
    window |= {"title": title, "rrule": rrule, "zone": known_zone, "created_by": created_by}
    margins = {"margin_before_s": margin_before_s, "margin_after_s": margin_after_s}
    with store.transaction():
        return store.one(queries.INSERT_MAINTENANCE, **window, **margins)


def withdraw_maintenance(store: Store, dataset: str, window_id: int) -> int:
    """Incidents that count again, after a maintenance window of the dataset was taken back.

    Raises
    ------
    BadInput
        When the dataset has no such window, or it was taken back before.
    """
    with store.transaction():
        if store.first(queries.SELECT_MAINTENANCE_DATASET, window_id=window_id) != dataset:
            raise BadInput(
                f"Expected the number of a maintenance window of {dataset}. Received: {window_id}."
            )
        store.execute(queries.WITHDRAW_MAINTENANCE, window_id=window_id)
    return apply_maintenance(store, dataset)


def maintenance_of(
    store: Store, dataset_id: int, start_at: datetime, end_at: datetime
) -> list[Maintenance]:
    """All times of maintenance windows that touch [start_at, end_at), the oldest window first.

    Raises
    ------
    BadInput
        When a window's rule cannot be read, which the functions that add one do not let through.
    """
    found = []
    for window in store.rows(queries.SELECT_MAINTENANCE_WINDOWS, dataset_id=dataset_id):
        before = timedelta(seconds=window.margin_before_s)
        after = timedelta(seconds=window.margin_after_s)
        first, zone = (window.start_at, window.end_at), ZoneInfo(window.zone)
        times = occurrences(first, window.rrule, zone, (start_at - after, end_at + before))
        name = f"maintenance {window.window_id}: {window.title}"
        found += [Maintenance(window.entity_id, a - before, b + after, name) for a, b in times]
    return found


def suppress_incidents(store: Store, dataset: DatasetRow, lineage: str) -> int:
    """Marks incidents that maintenance began or ceased to hold; how many. Needs their lock."""
    entity_ids = sorted(select_entities(store, dataset.dataset_id).values())
    span = {"start_at": ALWAYS[0], "end_at": ALWAYS[1]}
    standing = store.rows(SELECT_INCIDENTS, lineage=lineage, entity_ids=entity_ids, **span)
    if not standing:
        return 0
    step = timedelta(seconds=dataset.step_s)
    first_at = min(one.started_at for one in standing)
    last_at = max(one.last_flag_at for one in standing) + step
    windows = maintenance_of(store, dataset.dataset_id, first_at, last_at)
    holders = [
        next((window.name for window in windows if window.holds(one, step)), None)
        for one in standing
    ]
    ids = [one.incident_id for one in standing]
    return store.execute(queries.UPDATE_SUPPRESSED_BY, incident_id=ids, suppressed_by=holders)


def apply_maintenance(store: Store, name: str) -> int:
    """Incidents of a dataset that its maintenance windows, as they are now, mark otherwise."""
    dataset, n_changed = select_dataset(store, name), 0
    with store.transaction():
        for lineage in Lineage:
            lock_dataset(store, dataset.dataset_id, f"incidents {lineage}")
            n_changed += suppress_incidents(store, dataset, lineage)
    return n_changed
