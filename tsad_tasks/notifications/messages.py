"""What a notification says: the payload that a webhook gets, and the same as a short e-mail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from tsad_tasks.base.shown import visible
from tsad_tasks.notifications.groups import Told
from tsad_tasks.notifications.letter import Letter, Listed
from tsad_tasks.notifications.news import (
    NEWS,
    Payload,
    news_letter,
    news_line,
    news_parts,
    news_subject,
)
from tsad_tasks.notifications.outside import OUTSIDE, outside_letter, outside_subject
from tsad_tasks.notifications.sensors import OUT_OF_ORDER, sensors_letter, sensors_subject
from tsad_tasks.notifications.silences import SILENCES, silence_letter, silence_subject
from tsad_tasks.storage.database import shown_statement
from tsad_tasks.text.formats import counted, joined, named, span_text, stamp_text
from tsad_tasks.text.links import incident_link

_MOST_LISTED = 50
_SHOWN = {OUTSIDE: "outside", OUT_OF_ORDER: "findings"}
_SUBJECTS = {
    "opened": "{severity} incident at {entity}",
    "escalated": "now {severity}: incident at {entity}",
    "taken": "{taken_by} has it in hand: incident at {entity}",
    "closed": "closed: incident at {entity}",
    "withdrawn": "withdrawn: incident at {entity}",
}
_GROUP_SUBJECTS = {
    "opened": "{severity}: {headline}",
    "escalated": "now {severity}: {headline}",
    "taken": "{taken_by} has {whose} in hand: {headline}",
    "closed": "closed: {headline}",
    "withdrawn": "withdrawn: {headline}",
}
_TRIALS = {"test": "test message", "test_over": "the test is over"}
_REHEARSAL = "A rehearsal: this goes to you alone, and to none of the targets."
_LATE = "It was not known when it happened: its readings came late, or no run had come to them."
_WITHDRAWN = (
    "There is nothing to be alarmed about any more: readings that came late, or a maintenance "
    "window, left no incident."
)


def event_payload(dataset: str, zone: str, step_s: int, told: Told) -> Payload:
    """What is told of one event of an alert, or of a group of them: nothing secret, and nothing to
    be looked up.
    """
    alert, event = told.alert, told.event
    payload: Payload = {
        "event": event,
        "dataset": dataset,
        "entity": alert.entity,
        "severity": alert.severity,
        "state": alert.state,
        "started_at": alert.start_at.isoformat(),
        "last_flag_at": alert.end_at.isoformat(),
        "end_at": (alert.end_at + timedelta(seconds=step_s)).isoformat(),
        "sentence": alert.sentence,
        "incident_id": alert.incident_id,
        "thread": alert.thread,
        "zone": zone,
        "sql": shown_statement("incident").replace("$incident", alert.incident_id),
    }
    if alert.channel is not None:
        payload["channel"] = alert.channel
    if event == "taken":
        payload["taken_by"] = alert.taken_by
    if told.severity_before is not None:
        payload["severity_before"] = told.severity_before
    if told.headline is not None:
        payload |= {"headline": told.headline, "entities": [*told.entities]}
    if told.is_late:
        payload["found_late"] = True
    return payload


def trial_payload(dataset: str, zone: str, thread: str, event: str, sent_at: datetime) -> Payload:
    """A test message, or what ends it; nothing happened."""
    over = " is over" if event == "test_over" else ""
    return {
        "event": event,
        "dataset": dataset,
        "sentence": f"This test message of {dataset}{over}; nothing happened",
        "started_at": sent_at.isoformat(),
        "thread": thread,
        "zone": zone,
        "sql": shown_statement("incidents").replace("$dataset", dataset),
    }


def with_link(payload: Payload, base_url: str | None) -> Payload:
    """The payload with where the page shows it, and each event of a digest with its own.

    >>> said = {"event": "opened", "dataset": "room", "incident_id": "INC-1"}
    >>> with_link(said, "https://a.example/tsad")["link"], "link" in with_link(said, None)
    ('https://a.example/tsad/incidents/INC-1', False)
    """
    if base_url is None:
        return payload
    if payload["event"] in NEWS:
        link = f"{base_url}/models/{quote(payload['dataset'], safe='')}"
    elif "incident_id" in payload:
        link = incident_link(base_url, payload["incident_id"])
    else:
        link = f"{base_url}/?{urlencode({'dataset': payload['dataset']})}"
    events = [with_link(one, base_url) for one in payload.get("events", ())]
    return payload | {"link": link} | ({"events": events} if events else {})


def digest_payload(dataset: str, zone: str, events: Sequence[Payload]) -> Payload:
    """Many events of incidents, many news of models, many silences or many conditions outside
    of experience, in one message.
    """
    # Of what is not alike, what is most asked for.
    kinds = [event["event"] for event in events]
    first = next((kind for kind in kinds if kind in _SUBJECTS), kinds[0])
    shown = "entities" if first in SILENCES else _SHOWN.get(first, "incidents")
    sql = shown_statement("model_history" if first in NEWS else shown)
    is_late = all(event.get("found_late") for event in events)
    return {
        "event": "digest",
        "dataset": dataset,
        "n_events": len(events),
        "n_by_event": dict(Counter(event["event"] for event in events)),
        "events": list(events),
        "zone": zone,
        "sql": sql.replace("$dataset", dataset),
        **({"found_late": True} if is_late else {}),
    }


def subject(payload: Payload) -> str:
    """The subject of the e-mail: one line, whatever the names hold.

    >>> subject({"event": "opened", "dataset": "room", "entity": "host-1", "severity": "HIGH"})
    'room: HIGH incident at host-1'
    """
    payload = _seen(payload)
    if payload["event"] == "digest":
        said = f"{counted(payload['n_events'], 'event')}: {_counts(payload)}"
        if payload.get("found_late"):
            said = f"{payload['n_events']} incidents found late"
    elif payload["event"] in NEWS:
        said = news_subject(payload)
    elif payload["event"] in SILENCES:
        said = silence_subject(payload)
    elif payload["event"] == OUTSIDE:
        said = outside_subject(payload)
    elif payload["event"] == OUT_OF_ORDER:
        said = sensors_subject(payload)
    elif payload["event"] in _TRIALS:
        said = _TRIALS[payload["event"]]
    else:
        said = "found late: " * bool(payload.get("found_late"))
        said += _subject_of(payload)
    mark = "[rehearsal] " * bool(payload.get("rehearsal"))
    return " ".join(f"{mark}{payload['dataset']}: {said}".split())


def _subject_of(payload: Payload) -> str:
    """The subject of an event; of a group it names no machine but what somebody took.

    >>> said = {"event": "taken", "taken_by": "ada", "entities": ["a", "b"]}
    >>> _subject_of(said | {"headline": "6 of 30 machines: fan fell"})
    'ada has a and b in hand: 6 of 30 machines: fan fell'
    """
    if "headline" not in payload:
        return _SUBJECTS[payload["event"]].format(**payload)
    whose = named(payload["entities"], len(payload["entities"]))
    return _GROUP_SUBJECTS[payload["event"]].format(**payload, whose=whose)


def _seen(value: Any) -> Any:
    """The value with names and notes as text: none of them begins a line of its own."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {name: _seen(item) for name, item in value.items()}
    return [_seen(item) for item in value] if isinstance(value, list | tuple) else value


def _counts(payload: Payload) -> str:
    return joined([f"{n} {event}" for event, n in payload["n_by_event"].items()])


def letter(payload: Payload) -> Letter:
    """What the message says: what, since when, and where to look further."""
    payload = _seen(payload)
    if payload["event"] == "digest":
        said = _digest_letter(payload)
    elif payload["event"] in NEWS:
        said = news_letter(payload)
    elif payload["event"] in SILENCES:
        said = silence_letter(payload)
    elif payload["event"] == OUTSIDE:
        said = outside_letter(payload)
    elif payload["event"] == OUT_OF_ORDER:
        said = sensors_letter(payload)
    elif payload["event"] in _TRIALS:
        sent_at = datetime.fromisoformat(payload["started_at"])
        facts = {"Dataset": payload["dataset"], "Sent": stamp_text(sent_at, payload["zone"])}
        said = Letter(f"{payload['sentence']}.", facts=facts)
    else:
        said = _event_letter(payload)
    kicker = " · ".join(filter(None, [said.kicker, payload["dataset"]]))
    if payload.get("rehearsal"):
        kicker = f"rehearsal · {kicker}"
        said = replace(said, paragraphs=[_REHEARSAL, *said.paragraphs])
    return replace(said, kicker=kicker, link=payload.get("link", ""), sql=payload["sql"])


def body(payload: Payload) -> str:
    """The text of the message."""
    return letter(payload).as_text()


def _digest_letter(payload: Payload) -> Letter:
    events = counted(payload["n_events"], "event")
    when = "that waited" if payload.get("waited") else "in one run"
    return Letter(
        f"{events} {when}: {_counts(payload)}.",
        listed=[_listed(event) for event in payload["events"][:_MOST_LISTED]],
        n_left=max(0, payload["n_events"] - _MOST_LISTED),
    )


def _listed(event: Payload) -> Listed:
    """One event of a digest."""
    named, link = event["event"], event.get("link", "")
    if named in NEWS:
        return Listed(news_line(event), named, "", *news_parts(event), link)
    if named in (*SILENCES, OUTSIDE, OUT_OF_ORDER):
        line = f"{named:<9} {event['sentence']}"
        return Listed(line, named, "", "", event["sentence"], link)
    span = span_text(*_span(event), event["zone"])
    what = "found late: " * bool(event.get("found_late"))
    what += event["headline"] if "headline" in event else event["sentence"]
    line = f"{named:<9} {event['severity']:<6} {span}: {what}"
    return Listed(line, named, event["severity"], span, what, link)


def _event_letter(payload: Payload) -> Letter:
    since_at, end_at = _span(payload)
    before, is_open = payload.get("severity_before"), payload["state"] == "open"
    facts = {
        "Dataset": payload["dataset"],
        **_who(payload),
        "Severity": payload["severity"] + (f" (was {before})" if before else ""),
        **({"Priority": f"{payload['priority']} of 5"} if "priority" in payload else {}),
        "Since": stamp_text(since_at, payload["zone"]),
        "Until": stamp_text(end_at, payload["zone"]) + ", so far" * is_open,
    }
    is_late = bool(payload.get("found_late"))
    paragraphs = [_LATE] if is_late else []
    if payload["event"] == "taken":
        facts["In hand"] = payload["taken_by"]
    if payload["event"] == "withdrawn":
        paragraphs.append(_WITHDRAWN)
    elif payload["event"] == "closed":
        paragraphs.append("Readings have been normal again for longer than the merge gap.")
    elif payload["state"] == "closed":
        paragraphs.append("It has ended already.")
    sentence = f"{'found late: ' * is_late}{payload.get('headline', payload['sentence'])}."
    if "headline" in payload:
        paragraphs.insert(0, f"The worst: {payload['sentence']}.")
    state = "going on" if is_open else "over"
    if payload["event"] in ("closed", "withdrawn"):
        state = payload["event"]
    kicker = f"{state}, was {before}" if before else state
    return Letter(sentence, paragraphs, facts, kicker=kicker, severity=payload["severity"])


def _who(payload: Payload) -> dict[str, str]:
    """The machine, or those of a group."""
    if "entities" not in payload:
        return {"Entity": payload["entity"]}
    return {"Entities": named(payload["entities"], len(payload["entities"]))}


def _span(event: Payload) -> tuple[datetime, datetime]:
    """From the first flag to the end of the last one's step; what has waited since before that was
    in a payload has its last flag alone.
    """
    started_at, end_at = event["started_at"], event.get("end_at") or event["last_flag_at"]
    return datetime.fromisoformat(started_at), datetime.fromisoformat(end_at)
