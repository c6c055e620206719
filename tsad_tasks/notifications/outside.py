"""Conditions outside of what training saw: which are told together, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tsad_tasks.feedback.maintenance import Maintenance
from tsad_tasks.notifications.letter import Letter
from tsad_tasks.storage.database import shown_statement
from tsad_tasks.text.formats import counted, named, stamp_text, time_text

Payload = dict[str, Any]
OUTSIDE = "outside_experience"
_MOST_NAMED = 50


@dataclass(frozen=True)
class OutsideExperience:
    """One time that a condition of an entity was outside of what training saw; nobody was told.

    `is_told_elsewhere`: people were told of the channel at other entities of that day.
    """

    entity_id: int
    entity: str
    channel_id: int
    channel: str
    started_at: datetime
    ended_at: datetime
    is_told_elsewhere: bool

    def is_held(self, windows: Sequence[Maintenance]) -> bool:
        """Whether all of it lies in a maintenance window."""
        return any(each.covers(self.entity_id, self.started_at, self.ended_at) for each in windows)


def by_channel(found: Sequence[OutsideExperience]) -> dict[int, list[OutsideExperience]]:
    """What is told together, by channel."""
    parts: dict[int, list[OutsideExperience]] = {}
    for one in found:
        parts.setdefault(one.channel_id, []).append(one)
    return parts


def outside_payload(
    dataset: str, zone: str, thread: str, found: Sequence[OutsideExperience]
) -> Payload:
    """What is told of a channel that is outside; nothing in it is secret, and it needs no more
    look-up.
    """
    names = sorted({one.entity for one in found})
    payload: Payload = {
        "event": OUTSIDE,
        "dataset": dataset,
        "channel": found[0].channel,
        "n_entities": len(names),
        "entities": names[:_MOST_NAMED],
        "since_at": min(one.started_at for one in found).isoformat(),
        "thread": thread,
        "zone": zone,
        "sql": shown_statement("outside").replace("$dataset", dataset),
    }
    since = time_text(datetime.fromisoformat(payload["since_at"]), zone)
    said = f"{outside_subject(payload)} since {since}: incidents there are LOW at most"
    return payload | {"sentence": said}


def outside_subject(payload: Mapping[str, Any]) -> str:
    """Which condition is outside, and where.

    >>> outside_subject({"channel": "target", "entities": ["u1"], "n_entities": 1})
    'target of u1 is outside of what training saw'
    """
    n = payload["n_entities"]
    who = payload["entities"][0] if n == 1 else counted(n, "entity")
    return f"{payload['channel']} of {who} is outside of what training saw"


def outside_letter(payload: Mapping[str, Any]) -> Letter:
    """What the message says, up to what to look at further."""
    facts = {
        "Dataset": payload["dataset"],
        "Channel": payload["channel"],
        "Since": stamp_text(datetime.fromisoformat(payload["since_at"]), payload["zone"]),
        "Entities": named(payload["entities"], payload["n_entities"]),
    }
    unknown = "Nobody knows how the others behave there until a training has seen it."
    return Letter(f"{payload['sentence']}.", [unknown], facts)
