"""What a notification says: the payload that a webhook gets, and the same as a short e-mail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tsad_tasks.notifications.alerts import Change
from tsad_tasks.notifications.model_messages import (
    HISTORY_SQL,
    NEWS,
    news_line,
    news_lines,
    news_subject,
)
from tsad_tasks.text.formats import joined, span_text, stamp_text

Payload = dict[str, Any]
_MOST_LISTED = 50
_SUBJECTS = {
    "opened": "{severity} incident at {entity}",
    "escalated": "now {severity}: incident at {entity}",
    "closed": "closed: incident at {entity}",
    "withdrawn": "withdrawn: incident at {entity}",
}
_WITHDRAWN = "Please forget it: readings that came late, or a maintenance window, left nothing to be alarmed about."
# Shown to people, never run from here.
_INCIDENT_SQL = "SELECT * FROM tsad.v_incident WHERE incident_id = '$incident'"
_DATASET_SQL = "SELECT * FROM tsad.v_incident WHERE dataset = '$dataset' AND lineage = 'live' ORDER BY started_at DESC"


def event_payload(dataset: str, zone: str, change: Change, event: str) -> Payload:
    """What is told of one event of an alert; nothing in it is secret, and it needs no more
    look-up.
    """
    alert = change.alert
    payload: Payload = {
        "event": event,
        "dataset": dataset,
        "entity": alert.entity,
        "severity": alert.severity,
        "state": alert.state,
        "started_at": alert.start_at.isoformat(),
        "last_flag_at": alert.end_at.isoformat(),
        "sentence": alert.sentence,
        "incident_id": alert.incident_id,
        "thread": alert.thread,
        "zone": zone,
        "sql": _INCIDENT_SQL.replace("$incident", alert.incident_id),
    }
    if event == "escalated" and change.former is not None:
        payload["severity_before"] = change.former.severity
    return payload


def digest_payload(dataset: str, zone: str, events: Sequence[Payload]) -> Payload:
    """Many events of incidents, or many news of models, in one message."""
    sql = HISTORY_SQL if events[0]["event"] in NEWS else _DATASET_SQL
    return {
        "event": "digest",
        "dataset": dataset,
        "n_events": len(events),
        "n_by_event": dict(Counter(event["event"] for event in events)),
        "events": list(events),
        "zone": zone,
        "sql": sql.replace("$dataset", dataset),
    }


def subject(payload: Payload) -> str:
    """The subject of the e-mail: one line, whatever the names hold.

    >>> subject({"event": "opened", "dataset": "room", "entity": "host-1", "severity": "HIGH"})
    'room: HIGH incident at host-1'
    """
    if payload["event"] == "digest":
        said = f"{payload['n_events']} events: {_counts(payload)}"
    elif payload["event"] in NEWS:
        said = news_subject(payload)
    else:
        said = _SUBJECTS[payload["event"]].format(**payload)
    return " ".join(f"{payload['dataset']}: {said}".split())


def _counts(payload: Payload) -> str:
    return joined([f"{n} {event}" for event, n in payload["n_by_event"].items()])


def body(payload: Payload) -> str:
    """The text of the e-mail: what, since when, and where to look further."""
    return "\n".join([*_lines(payload), "", "Look further:", f"  {payload['sql']};", ""])


def _lines(payload: Payload) -> list[str]:
    if payload["event"] == "digest":
        return _digest_lines(payload)
    return news_lines(payload) if payload["event"] in NEWS else _event_lines(payload)


def _event_lines(payload: Payload) -> list[str]:
    labelled = {
        "Dataset": payload["dataset"],
        "Entity": payload["entity"],
        "Severity": _severity(payload),
        "Since": stamp_text(datetime.fromisoformat(payload["started_at"]), payload["zone"]),
        "Last flag": stamp_text(datetime.fromisoformat(payload["last_flag_at"]), payload["zone"]),
    }
    return [
        f"{payload['sentence']}.",
        "",
        *_said(payload),
        *(f"{name + ':':<10} {text}" for name, text in labelled.items()),
    ]


def _severity(payload: Payload) -> str:
    before = payload.get("severity_before")
    return f"{payload['severity']} (was {before})" if before else str(payload["severity"])


def _said(payload: Payload) -> list[str]:
    """A sentence where the event needs one, and an empty line after it."""
    if payload["event"] == "withdrawn":
        return [_WITHDRAWN, ""]
    if payload["event"] == "closed":
        return ["Readings have been normal again for longer than the merge gap.", ""]
    if payload["state"] == "closed":
        return ["It has ended already.", ""]
    return []


def _digest_lines(payload: Payload) -> list[str]:
    shown = payload["events"][:_MOST_LISTED]
    lines = [
        f"{payload['n_events']} events in one run: {_counts(payload)}.",
        "",
        *map(_event_line, shown),
    ]
    n_left = payload["n_events"] - len(shown)
    return [*lines, f"… and {n_left} more."] if n_left else lines


def _event_line(event: Payload) -> str:
    if event["event"] in NEWS:
        return news_line(event)
    started_at, last_flag_at = (
        datetime.fromisoformat(event[name]) for name in ("started_at", "last_flag_at")
    )
    span = span_text(started_at, last_flag_at, event["zone"])
    return f"{event['event']:<9} {event['severity']:<6} {span}: {event['sentence']}"
