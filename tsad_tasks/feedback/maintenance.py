"""Maintenance windows: when they are, which incidents they hold, and the words that add and
withdraw them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from tsad_tasks.base.enums import Lineage
from tsad_tasks.base.errors import BadInput
from tsad_tasks.feedback.recurrence import occurrences
from tsad_tasks.storage.rows import DatasetRow, StandingIncident
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
        """Whether all of the incident is inside, but for the steps whose windows still hold
        readings of it.
        """
        is_of_it = self.entity_id is None or self.entity_id == incident.entity_id
        end_at = self.end_at + incident.memory_steps * step
        return (
            is_of_it
            and self.start_at <= incident.started_at
            and incident.last_flag_at + step <= end_at
        )


def maintenance_of(
    store: Store, dataset_id: int, start_at: datetime, end_at: datetime
) -> list[Maintenance]:
    """All times of the dataset's maintenance windows that touch [start_at, end_at), the oldest
    window first.

    Raises
    ------
    BadInput
        When a window's rule cannot be read, which the functions that add one do not let through.
    """
    found = []
    for key, entity_id, *span, rule, zone, before_s, after_s, title in store.select(
        "select_maintenance_windows", {"dataset_id": dataset_id}
    ):
        before, after = timedelta(seconds=before_s), timedelta(seconds=after_s)
        within = (start_at - after, end_at + before)
        times = occurrences((span[0], span[1]), rule, ZoneInfo(zone), within)
        found += [
            Maintenance(entity_id, a - before, b + after, f"maintenance {key}: {title}")
            for a, b in times
        ]
    return found


def suppress_incidents(store: Store, dataset: DatasetRow, lineage: str) -> int:
    """Standing incidents of a lineage that maintenance began or ceased to hold, now marked so;
    needs their lock.
    """
    standing = store.select_incidents(
        lineage, sorted(store.select_entities(dataset.dataset_id).values()), *ALWAYS
    )
    if not standing:
        return 0
    step = timedelta(seconds=dataset.step_s)
    first_at, last_at = (
        min(one.started_at for one in standing),
        max(one.last_flag_at for one in standing) + step,
    )
    windows = maintenance_of(store, dataset.dataset_id, first_at, last_at)
    held = [_holder(windows, one, step) for one in standing]
    params = {"incident_id": [one.incident_id for one in standing], "suppressed_by": held}
    return store.execute("update_suppressed_by", params)


def _holder(
    windows: Sequence[Maintenance], incident: StandingIncident, step: timedelta
) -> str | None:
    return next((window.name for window in windows if window.holds(incident, step)), None)


def apply_maintenance(store: Store, name: str) -> int:
    """Incidents of a dataset that are marked otherwise than before, by its maintenance windows as
    they are now.
    """
    dataset, n_changed = store.select_dataset(name), 0
    with store.transaction():
        for lineage in Lineage:
            store.lock_dataset(dataset.dataset_id, f"incidents {lineage}")
            n_changed += suppress_incidents(store, dataset, lineage)
    return n_changed


def known_zone(name: str | None) -> str | None:
    """The zone's name.

    Raises
    ------
    BadInput
        When there is no such zone.
    """
    try:
        return ZoneInfo(name).key if name else None
    except (KeyError, ValueError, OSError) as error:
        raise BadInput(
            f"Expected an IANA time zone such as Europe/Berlin. Received: {name}."
        ) from error
