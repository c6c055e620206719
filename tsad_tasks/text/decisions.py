"""What became of models, in words for people who run the plant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from tsad_tasks.base.enums import Decision
from tsad_tasks.text.formats import date_text, joined

_WORDS = {
    Decision.GATE_FAILED: "failed its gate",
    Decision.WAITS_FOR_PERSON: "waits for a person to decide",
    Decision.WAITING: "waits for its turn",
    Decision.SHADOW_STARTED: "runs beside the champion on trial",
    Decision.ASKED: "waits for the answer of a person",
    Decision.SHADOW_FAILED: "failed its trial beside the champion",
    Decision.SUPERSEDED: "gave way to a newer one",
    Decision.DECLINED: "was turned down by a person",
    Decision.PROMOTED: "became champion",
    Decision.ROLLED_BACK: "is champion again",
}
_N_NAMED = 4


class Decided(Protocol):
    """What was decided on a version, in the order of time."""

    @property
    def version(self) -> int: ...
    @property
    def entity(self) -> str | None: ...
    @property
    def decision(self) -> str: ...
    @property
    def former_version(self) -> int | None: ...
    @property
    def decided_at(self) -> datetime: ...


def changes_sentence(decided: Sequence[Decided], zone: str) -> str:
    """What changed with models, one clause for each by its last decision; empty: nothing did.

    >>> from types import SimpleNamespace as Row
    >>> at = datetime.fromisoformat("2026-11-18T17:30Z")
    >>> made = Row(version=15, entity=None, decision="promoted", former_version=14, decided_at=at)
    >>> changes_sentence([made], "Europe/Berlin")
    'v15 became champion in place of v14 on 18 Nov 2026.'
    """
    last = list({one.version: one for one in decided}.values())
    clauses = [_clause(one, zone) for one in last[-_N_NAMED:]]
    if len(last) > _N_NAMED:
        clauses.append(f"{len(last) - _N_NAMED} more were decided on before")
    return f"{joined(clauses)}." if clauses else ""


def _clause(one: Decided, zone: str) -> str:
    decision = Decision(one.decision)
    whose = f" of {one.entity}" if one.entity else ""
    place = ""
    if one.former_version and decision in (Decision.PROMOTED, Decision.ROLLED_BACK):
        place = f" in place of v{one.former_version}"
    return f"v{one.version}{whose} {_WORDS[decision]}{place} on {date_text(one.decided_at, zone)}"
