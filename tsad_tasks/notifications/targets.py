"""Who hears what, and when: least severity, routes, quiet hours and digests of targets."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import NamedTuple

from tsad_tasks.base.enums import Severity, severity_rank
from tsad_tasks.base.variants import CHANNELS
from tsad_tasks.config import DatasetConfig, NotificationTarget, QuietHours
from tsad_tasks.text.formats import zone_of

# What ends an alert, or says that somebody has it: who keeps the alert open is told at once.
FOLLOWING = ("taken", "closed", "withdrawn", "back")


class Address(NamedTuple):
    """Where a message goes: by which channel, through which connection, to whom there."""

    medium: str
    connection: str
    address: str


@dataclass(frozen=True)
class Subject:
    """What a message is about, as far as routes go.

    Attributes
    ----------
    severity : empty: it has none.
    entities : none: it is about the whole dataset.
    channel : None: it is about none, or nobody knows which.
    priority : 1 is the most urgent; None: it has none.
    snoozed_until : until when somebody snoozed it, whatever targets say; None: nobody did.
    """

    event: str
    severity: str = ""
    entities: Sequence[str] = ()
    channel: str | None = None
    priority: int | None = None
    snoozed_until: datetime | None = None


class Heard(NamedTuple):
    """What a target asks for of what a message is about."""

    target: NotificationTarget
    of: Subject


def hears(target: NotificationTarget, of: Subject) -> bool:
    """Whether a target asks for it; of what is unknown, rather a message too many.

    >>> pumps = NotificationTarget(webhook="chat", entities=["P-*"], least_severity="MEDIUM")
    >>> [hears(pumps, Subject("opened", *of)) for of in (("HIGH", ["P-7"]), ("LOW", ["P-7"]),
    ...     ("HIGH", ["fan"]), ("", ["fan", "P-1"]))]
    [True, False, False, True]
    """
    if of.severity and severity_rank(of.severity) < target.least_severity.rank:
        return False
    if of.priority is not None and of.priority > target.least_priority:
        return False
    if of.channel is not None and not _matches(target.channels, [of.channel]):
        return False
    return not of.entities or _matches(target.entities, of.entities)


def _matches(patterns: Sequence[str] | None, names: Collection[str]) -> bool:
    if patterns is None:
        return True
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


@dataclass(frozen=True)
class Recipient:
    """An address, with all targets that name it."""

    to: Address
    targets: tuple[NotificationTarget, ...]

    @property
    def keeps_state(self) -> bool:
        """Whether its channel holds each alert open until it hears that it ended."""
        return bool(CHANNELS[self.to.medium].keeps_state)

    @property
    def takes_html(self) -> bool:
        """Whether its channel shows HTML."""
        return bool(CHANNELS[self.to.medium].takes_html)

    def heard(self, about: Sequence[Subject], *, was_told: bool = False) -> list[Heard]:
        """What its targets ask for; what follows goes to all once the address was told.

        Parameters
        ----------
        about : of machines that are told together, each.
        """
        every = [Heard(target, of) for target in self.targets for of in about]
        chosen = [one for one in every if hears(*one)] or (every if was_told else [])
        return [one for one in chosen if one.of.event != "taken" or one.target.tells_taken]

    def held_until(self, heard: Sequence[Heard], now_at: datetime, zone: str) -> datetime | None:
        """Until when what is heard waits; None: it does not. The most impatient target counts, and
        of machines that are told together the one that waits least.
        """
        if self.keeps_state and any(one.of.event in FOLLOWING for one in heard):
            return None
        at = min(_held(*one, max(now_at, one.of.snoozed_until or now_at), zone) for one in heard)
        return at if at > now_at else None


def recipients(config: DatasetConfig) -> list[Recipient]:
    """Each address once, in the order of the file; in a rehearsal its owner alone, for all."""
    told = config.notifications
    if told.mode == "rehearsal" and told.owner is not None:
        news = {event for one in told.targets for event in one.news}
        chosen = {"news": sorted(news)} if told.targets else {}
        email = {"email": [told.owner], "connection": told.owner_connection}
        owner = NotificationTarget.model_validate(email | chosen)
        return [Recipient(Address(owner.medium, owner.connection_id, told.owner), (owner,))]
    found: dict[Address, tuple[NotificationTarget, ...]] = {}
    for target in config.notifications.targets:
        for address in target.addresses:
            to = Address(target.medium, target.connection_id, address)
            found[to] = (*found.get(to, ()), target)
    return [Recipient(*one) for one in found.items()]


def _held(target: NotificationTarget, of: Subject, now_at: datetime, zone: str) -> datetime:
    """Until when a target wants it to wait; now: it does not."""
    at = now_at
    if target.digest is not None:
        # Imported here, since most targets have no digest.
        from croniter import croniter

        at = croniter(target.digest, now_at).get_next(datetime)
    quiet = target.quiet_hours
    if quiet is None or (of.severity and _is_told(quiet.still_told, of.severity)):
        return at
    return quiet_end(quiet, at, zone) or at


def _is_told(least: Severity | None, severity: str) -> bool:
    return least is not None and severity_rank(severity) >= least.rank


def quiet_end(quiet: QuietHours, at: datetime, zone: str) -> datetime | None:
    """When quiet hours end that a moment lies in, on the clock of the site; None: in none.

    >>> from datetime import UTC
    >>> night = QuietHours(start="22:00", end="06:00")
    >>> quiet_end(night, datetime(2026, 3, 1, 23, tzinfo=UTC), "UTC").isoformat()
    '2026-03-02T06:00:00+00:00'
    >>> quiet_end(night, datetime(2026, 3, 1, 7, tzinfo=UTC), "UTC") is None
    True
    """
    local = at.astimezone(zone_of(zone))
    now, start, end = local.time().replace(tzinfo=None), quiet.start, quiet.end
    is_over_midnight = start >= end
    is_quiet = (now >= start or now < end) if is_over_midnight else start <= now < end
    if not is_quiet:
        return None
    day = local.date() + timedelta(days=int(is_over_midnight and now >= start))
    return datetime.combine(day, end, local.tzinfo).astimezone(at.tzinfo)
