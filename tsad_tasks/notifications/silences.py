"""Machines that usually report and have stopped: which are told together, and what is said of them.

What one thing carries stops at one time, and is told in one message. Which entities are silent
`v_entity` says, by the habit of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tsad_tasks.base.enums import SilenceEvent
from tsad_tasks.base.interval import HOUR
from tsad_tasks.notifications.letter import Letter
from tsad_tasks.storage.database import shown_statement
from tsad_tasks.text.formats import counted, named, stamp_text, time_text

Payload = dict[str, Any]
SILENCES = frozenset(SilenceEvent)
_MOST_NAMED = 50


@dataclass(frozen=True)
class QuietEntity:
    """An entity that is silent or will be within the hour, or was told to be silent.

    Attributes
    ----------
    carrier : what carries its readings, such as a gateway; empty: not said.
    last_at : end of its last hour with rows; the habit lets it be silent until `silent_from`.
    is_new : it has a habit, is quiet, and nobody was told.
    newest_at : end of the last hour with rows of any entity of the dataset.
    n_entities : those of the dataset with a habit that are not retired.
    """

    entity_id: int
    entity: str
    carrier: str
    state: str
    last_at: datetime
    silent_from: datetime | None
    known_until: datetime
    is_new: bool
    silence_id: int | None
    told_since_at: datetime | None
    newest_at: datetime
    n_entities: int

    @property
    def is_back(self) -> bool:
        """Whether rows came of it since it was told to be silent."""
        told_at = self.told_since_at
        return self.state == "alive" and told_at is not None and self.last_at > told_at

    def may_have_stopped(self, at: datetime) -> bool:
        """Whether it may have stopped at a time, as far as its rows and habit tell."""
        until_at = self.silent_from or self.last_at
        return self.last_at <= at + HOUR and at <= max(until_at, self.last_at + HOUR)


@dataclass(frozen=True)
class OpenSilence:
    """A silence that people were told of, of which some entity is still a part."""

    silence_id: int
    thread: str
    carrier: str
    is_whole: bool
    since_at: datetime
    n_entities: int
    n_back: int
    first_back_at: datetime | None

    def takes(self, one: QuietEntity) -> bool:
        """Whether what people were told says it of this entity as well."""
        is_same = self.is_whole or (self.carrier != "" and self.carrier == one.carrier)
        return is_same and one.may_have_stopped(self.since_at)


@dataclass(frozen=True)
class NewSilence:
    """Entities that are told in one message."""

    carrier: str
    is_whole: bool
    entities: tuple[QuietEntity, ...]

    @property
    def since_at(self) -> datetime:
        return max(one.last_at for one in self.entities)


def new_silences(quiet: Sequence[QuietEntity]) -> list[NewSilence]:
    """What is to be told of entities that nobody was told of.

    Those that will be silent within the hour are told with those that stopped when they did: the
    hours of machines that one thing took along may differ by one. One that nothing is said to carry
    is told with others that stopped within the hour.
    """
    silent = [one for one in quiet if one.state == "silent"]
    if not silent:
        return []
    newest_at = silent[0].newest_at
    together = tuple(one for one in quiet if one.may_have_stopped(newest_at))
    # As long as anything is heard of later than of these, the source itself is there.
    if len(together) > 1 and any(one in together for one in silent):
        last_at = max(one.last_at for one in together)
        if newest_at <= last_at and len(together) == len(quiet):
            return [NewSilence("", True, together)]
    found, left = [], list(quiet)
    for first in silent:
        if first not in left:
            continue
        if first.carrier:
            at = max(one.last_at for one in silent if one.carrier == first.carrier)
            at = at if first.may_have_stopped(at) else first.last_at
            own = [one for one in left if one.carrier == first.carrier and one.may_have_stopped(at)]
        else:
            near = first.last_at + HOUR
            own = [one for one in left if not one.carrier and first.last_at <= one.last_at <= near]
        left = [one for one in left if one not in own]
        found.append(NewSilence(first.carrier, False, tuple(own)))
    return found


def silence_payload(
    dataset: str,
    zone: str,
    thread: str,
    event: SilenceEvent,
    said: NewSilence | OpenSilence,
    names: Sequence[str],
    still_silent: Sequence[str] = (),
) -> Payload:
    """What is told of a silence; nothing in it is secret, and it needs no more look-up.

    Parameters
    ----------
    names : the entities that are silent, or back.
    still_silent : of the same silence.
    """
    payload: Payload = {
        "event": event,
        "dataset": dataset,
        "carrier": said.carrier or None,
        "is_whole_dataset": said.is_whole,
        "n_entities": len(names),
        "entities": list(names[:_MOST_NAMED]),
        "since_at": said.since_at.isoformat(),
        "still_silent": list(still_silent[:_MOST_NAMED]),
        "n_still_silent": len(still_silent),
        "thread": thread,
        "zone": zone,
        "sql": shown_statement("entities").replace("$dataset", dataset),
    }
    return payload | {"sentence": _sentence(payload)}


def silence_subject(payload: Payload) -> str:
    """Who is silent, or back.

    >>> silence_subject({"event": "silent", "entities": ["a"], "n_entities": 1,
    ...     "carrier": None, "is_whole_dataset": False})
    'a is silent'
    """
    who, is_one = _who(payload), payload["n_entities"] == 1
    if payload["event"] == SilenceEvent.BACK:
        return f"{who} {'is' if is_one else 'are'} back"
    if payload["is_whole_dataset"]:
        return f"nothing is heard of any of {counted(payload['n_entities'], 'entity')}"
    return f"{who} {'is' if is_one else 'are'} silent"


def _who(payload: Payload) -> str:
    behind = f" behind {payload['carrier']}" if payload["carrier"] else ""
    if payload["n_entities"] == 1:
        return f"{payload['entities'][0]}{behind}"
    return f"{counted(payload['n_entities'], 'entity')}{behind}"


def _sentence(payload: Payload) -> str:
    since = time_text(datetime.fromisoformat(payload["since_at"]), payload["zone"])
    if payload["event"] == SilenceEvent.BACK:
        said = f"{silence_subject(payload)}; nothing had come since {since}"
        if n_left := payload["n_still_silent"]:
            said += f". Still silent: {named(payload['still_silent'], n_left)}"
        return said[0].upper() + said[1:] if payload["n_entities"] > 1 else said
    if payload["is_whole_dataset"]:
        return f"Nothing has come since {since}. Look whether the source is filled"
    return f"{silence_subject(payload)}: nothing has come since {since}, longer than is usual"


def silence_letter(payload: Payload) -> Letter:
    """What the message says, up to what to look at further."""
    since = stamp_text(datetime.fromisoformat(payload["since_at"]), payload["zone"])
    names, n = payload["entities"], payload["n_entities"]
    facts = {
        "Dataset": payload["dataset"],
        "Carrier": payload["carrier"],
        "Since": since,
        "Entities": named(names, n) if n > 1 else names[0],
    }
    known = {name: text for name, text in facts.items() if text}
    return Letter(f"{payload['sentence']}.", facts=known)
