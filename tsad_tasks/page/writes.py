"""What people say on the page; the SQL functions behind it check each word and note the login."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tsad_tasks.base.enums import Verdict
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import ordered
from tsad_tasks.feedback import labels, maintenance, verdicts
from tsad_tasks.page.queries import INSERT_TRIAGE, ListedIncident
from tsad_tasks.page.render import local_moment
from tsad_tasks.storage.store import Store

Words = Annotated[str, Field(max_length=4000)]
Wall = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?$")]


class Said(BaseModel):
    """What one request says; nothing else is taken."""

    model_config = ConfigDict(extra="forbid")


class SaidVerdict(Said):
    """What an incident was; None takes the standing verdict back."""

    verdict: Verdict | None
    note: Words = ""


class SaidTriage(Said):
    """Who has it in hand, and for how long it is snoozed; None leaves nobody, or wakes it."""

    taken: bool
    snooze_h: Annotated[int, Field(ge=1, le=24 * 31)] | None = None


class SaidMaintenance(Said):
    """A maintenance window of the incident's machine, on the wall clock of the site."""

    start: Wall
    end: Wall
    title: Annotated[str, Field(min_length=1, max_length=250)]


class SaidLabel(Said):
    """A known anomaly of the incident's machine, on the wall clock of the site."""

    start: Wall
    end: Wall
    kind: Annotated[str, Field(min_length=1, max_length=250)] = "anomaly"
    note: Words = ""


def say_verdict(store: Store, row: ListedIncident, said: SaidVerdict, *, by: str) -> int:
    """Number of the verdict that was said, or taken back."""
    if said.verdict is None:
        return verdicts.withdraw_verdict(store, row.incident_id)
    verdict = verdicts.set_verdict(
        store, row.incident_id, said.verdict, said_by=by, note=said.note.strip()
    )
    return int(verdict["verdict_id"])


def say_triage(store: Store, row: ListedIncident, said: SaidTriage, *, by: str) -> int:
    """Number of the word on who has the incident in hand, and until when it is snoozed."""
    hours = said.snooze_h
    until: datetime | None = store.now() + timedelta(hours=hours) if hours else None
    taken_by = by if said.taken else None
    with store.transaction():
        return store.one(
            INSERT_TRIAGE,
            incident_id=row.incident_id,
            taken_by=taken_by,
            snoozed_until=until,
            said_by=by,
        )


def say_maintenance(
    store: Store, row: ListedIncident, said: SaidMaintenance, zone: str, *, by: str
) -> int:
    """Number of the maintenance window; the next scoring run marks the incidents that it holds."""
    span = _span(said.start, said.end, zone)
    return maintenance.record_maintenance(
        store, row.dataset, *span, said.title, entity=row.entity, created_by=by
    )


def say_label(store: Store, row: ListedIncident, said: SaidLabel, zone: str, *, by: str) -> int:
    """Number of the label, whose note names who set it."""
    note = f"{said.note.strip()} ({by})".strip()
    span = _span(said.start, said.end, zone)
    return labels.add_label(store, row.dataset, row.entity, *span, kind=said.kind, note=note)


def _span(start: str, end: str, zone: str) -> tuple[datetime, datetime]:
    try:
        return ordered(local_moment(start, zone), local_moment(end, zone))
    except ValueError as error:
        raise BadInput(f"Expected days that the calendar has. Received: {error}.") from error
