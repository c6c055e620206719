"""The first screen: is the watching working, what needs a person, and what is not watched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar

from tsad_tasks.base.enums import Severity, Verdict, severity_rank
from tsad_tasks.base.errors import BadInput, TsadError
from tsad_tasks.base.interval import HOUR, from_unix_s, unix_s
from tsad_tasks.feedback.maintenance import maintenance_of
from tsad_tasks.page import queries
from tsad_tasks.page.queries import (
    LaneIncident,
    ListedIncident,
    Machine,
    NeedingIncident,
    PageDataset,
    UnwatchedHours,
    Watching,
)
from tsad_tasks.page.sparks import Spark, read_sparks
from tsad_tasks.storage.database import DatabaseError, database_error
from tsad_tasks.storage.datasets import select_entities
from tsad_tasks.storage.store import Store
from tsad_tasks.text import formats
from tsad_tasks.text.words import status_title

Block = TypeVar("Block")
OfEntity = TypeVar("OfEntity", LaneIncident, UnwatchedHours)

# The machines of a dataset, read once a page.
MachinesOf = Callable[[str], list[Machine]]

N_NEEDING, N_LISTED, N_LANES, N_LANE_INCIDENTS = 12, 25, 40, 5000
MOST_COUNTED = 10_000
DAYS = (1, 3, 7, 14, 30, 90)
STATES = ("open", "closed")
NO_VERDICT = "none"
# A page that is looked at again within so long is the same visit.
VISIT = timedelta(minutes=30)


@dataclass(frozen=True)
class Filters:
    """What a person asks the list for, as it stands in the address."""

    dataset: str | None = None
    entity: str | None = None
    severity: str | None = None
    state: str | None = None
    verdict: str | None = None
    word: str | None = None
    group: str | None = None
    days: int = 14
    before: str | None = None

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> Filters:
        """The filters of an address.

        Raises
        ------
        BadInput
            Where a value is none of those that there are.

        >>> Filters.of({"severity": "HIGH", "q": " pump ", "entity": ""}).word
        'pump'
        """
        given = {name: value.strip() or None for name, value in asked.items()}
        choices: dict[str, tuple[str, ...]] = {
            "severity": tuple(Severity),
            "state": STATES,
            "verdict": (NO_VERDICT, *Verdict),
            "days": tuple(map(str, DAYS)),
        }
        for name, known in choices.items():
            if (value := given.get(name)) is not None and value not in known:
                raise BadInput(
                    f"Expected {name} to be one of {', '.join(known)}. Received: {value}."
                )
        dataset = given.get("dataset")
        if dataset is None and (dag_id := given.get("dag_id")):
            dataset = dag_id.rpartition(".")[0]
        chosen = {name: given.get(name) for name in ("entity", "severity", "state", "verdict")}
        days = int(given.get("days") or cls.days)
        rest = {"word": given.get("q"), "group": given.get("group"), "before": given.get("before")}
        return cls(dataset, **chosen, **rest, days=days)

    def address(self, **changed: Any) -> dict[str, str]:
        """The parameters of an address that asks for the same, but for what is changed."""
        own = {"q": self.word, "before": None} | {
            name: getattr(self, name)
            for name in ("dataset", "entity", "severity", "state", "verdict", "group", "days")
        }
        if self.days == Filters.days:
            own["days"] = None
        return {name: str(value) for name, value in (own | changed).items() if value is not None}


@dataclass(frozen=True)
class Visit:
    """Up to where scores had gone when somebody last looked; kept in the browser.

    Attributes
    ----------
    seen_until : by the visit before this one; None: this is the first.
    """

    seen_until: datetime | None
    now_until: datetime | None
    at: datetime

    @classmethod
    def of(cls, cookie: str | None, scored_until: datetime | None, now: datetime) -> Visit:
        """The visit that goes on, or a new one; a cookie that cannot be read is none.

        >>> first = Visit.of(None, from_unix_s(7200), from_unix_s(9000))
        >>> first.seen_until, first.cookie
        (None, '0.7200.9000')
        >>> Visit.of("0.7200.9000", from_unix_s(10800), from_unix_s(9060)).cookie
        '0.7200.9000'
        >>> Visit.of("0.7200.9000", from_unix_s(14400), from_unix_s(14500)).cookie
        '7200.14400.14500'
        """
        try:
            seen, until, at = (int(part) for part in (cookie or "").split("."))
            ends = [from_unix_s(one) if one else None for one in (seen, until)]
            former = cls(ends[0], ends[1], from_unix_s(at))
        except (ValueError, OverflowError):
            return cls(None, scored_until, now)
        if timedelta(0) <= now - former.at < VISIT:
            return former
        return cls(former.now_until, scored_until, now)

    @property
    def cookie(self) -> str:
        """What the browser keeps."""
        ends = (self.seen_until, self.now_until)
        return ".".join(str(unix_s(at)) if at else "0" for at in (*ends, self.at))

    def news_of(self, row: ListedIncident) -> str:
        """New, worse or ended since the visit before; empty: as it was."""
        if self.seen_until is None:
            return ""
        if row.started_at >= self.seen_until:
            return "new"
        if row.peak_at >= self.seen_until:
            return "worse"
        ended = row.state == "closed" and row.last_flag_at >= self.seen_until - HOUR
        return "ended" if ended else ""


@dataclass(frozen=True)
class Unwatched:
    """A machine, or all of a dataset, that is not watched as it should be, and why."""

    dataset: str
    entity: str | None
    why: str


@dataclass(frozen=True)
class Lane:
    """The incidents of one machine along time, with the hours that were not scored."""

    entity: str
    incidents: tuple[LaneIncident, ...]
    unscored: tuple[UnwatchedHours, ...]


@dataclass(frozen=True)
class Listed:
    """A page of the list, and how to go on."""

    rows: tuple[ListedIncident, ...]
    n_all: int
    next_key: str | None

    @property
    def count(self) -> str:
        """How many there are; beyond the limit nobody counts."""
        if self.n_all > MOST_COUNTED:
            return f"{formats.count_text(MOST_COUNTED)}+"
        return formats.count_text(self.n_all)


@dataclass(frozen=True)
class Failed:
    """A block that could not be read; the others stay."""

    why: str


@dataclass(frozen=True)
class Overview:
    """The blocks of the first screen."""

    datasets: tuple[PageDataset, ...]
    chosen: PageDataset | None
    filters: Filters
    visit: Visit
    from_at: datetime
    to_at: datetime
    watching: tuple[Watching, ...] | Failed
    needing: tuple[NeedingIncident, ...] | Failed
    listed: Listed | Failed
    unwatched: tuple[Unwatched, ...] | Failed
    lanes: tuple[Lane, ...] | Failed
    n_machines: int = 0
    sparks: Mapping[str, Spark] = field(default_factory=dict)

    @property
    def incidents(self) -> list[ListedIncident]:
        """What both lists show, each once."""
        listed = () if isinstance(self.listed, Failed) else self.listed.rows
        needing = () if isinstance(self.needing, Failed) else self.needing
        return list({one.incident_id: one for one in (*needing, *listed)}.values())


def read_overview(
    store: Store, datasets: Sequence[PageDataset], filters: Filters, cookie: str | None
) -> Overview:
    """The first screen of the datasets that somebody may see; a block that fails says so.

    Raises
    ------
    BadInput
        When another dataset is asked for.
    """
    chosen = _chosen(datasets, filters.dataset)
    shown = [chosen] if chosen else list(datasets)
    names, now = [one.name for one in shown], store.now()
    watching = _block(store, lambda: tuple(store.rows(queries.SELECT_WATCHING, datasets=names)))
    rows = () if isinstance(watching, Failed) else watching
    ends = [one.scored_until for one in rows if one.scored_until and one.state != "not_scoring"]
    newest = [one.scored_until for one in rows if one.scored_until]
    # Scores of a demo or a replay end long before the clock.
    to_at = min(max(newest, default=now), now)
    from_at = to_at - timedelta(days=filters.days)
    visit = Visit.of(cookie, min(ends, default=max(newest, default=None)), now)
    span = {"datasets": names, "from_at": from_at, "to_at": to_at + HOUR}
    first = chosen or (datasets[0] if len(datasets) == 1 else None)

    @cache
    def machines(dataset: str) -> list[Machine]:
        return store.rows(queries.SELECT_MACHINES, dataset=dataset)

    lanes = _block(store, lambda: _lanes(store, first, machines, from_at, to_at))
    made = Overview(
        datasets=tuple(datasets),
        chosen=first,
        filters=filters,
        visit=visit,
        from_at=from_at,
        to_at=to_at,
        watching=watching,
        needing=_block(store, lambda: _needing(store, now, span)),
        listed=_block(store, lambda: _listed(store, filters, span)),
        unwatched=_block(
            store, lambda: tuple(one for d in shown for one in _unwatched(store, d, machines, rows))
        ),
        lanes=lanes if isinstance(lanes, Failed) else lanes[:N_LANES],
        n_machines=0 if isinstance(lanes, Failed) else len(lanes),
    )
    sparks = _block(store, lambda: read_sparks(store, made.incidents))
    return made if isinstance(sparks, Failed) else replace(made, sparks=sparks)


def _chosen(datasets: Sequence[PageDataset], name: str | None) -> PageDataset | None:
    if name is None:
        return None
    found = next((one for one in datasets if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in datasets) or "(none that you may see)"
        raise BadInput(f"Expected one of the datasets {known}. Received: {name}.")
    return found


def _block(store: Store, read: Callable[[], Block]) -> Block | Failed:
    try:
        with store.snapshot():
            return read()
    except DatabaseError as error:
        return Failed(str(database_error(error, role="operator")))
    except TsadError as error:
        return Failed(str(error))


def _needing(store: Store, now: datetime, span: dict[str, Any]) -> tuple[NeedingIncident, ...]:
    return tuple(store.rows(queries.SELECT_NEEDING_INCIDENTS, **span, now=now, n=N_NEEDING))


def _listed(store: Store, filters: Filters, span: dict[str, Any]) -> Listed:
    asked = span | {
        name: getattr(filters, name) for name in ("entity", "severity", "state", "verdict", "word")
    }
    asked |= {"group_id": filters.group}
    key: dict[str, Any] = {"before_at": None, "before_id": None}
    if filters.before:
        seconds, _, incident_id = filters.before.partition(".")
        if not seconds.isascii() or not seconds.isdigit() or len(seconds) > 10:
            raise BadInput(f"Expected a place in the list. Received: {filters.before}.")
        key = {"before_at": from_unix_s(int(seconds)), "before_id": incident_id}
    most = {"n": N_LISTED + 1, "most": MOST_COUNTED + 1}
    rows = store.rows(queries.SELECT_LISTED_INCIDENTS, **most, **asked, **key)
    n_all = rows[0].n_all if rows else 0
    last = rows[N_LISTED - 1] if len(rows) > N_LISTED else None
    next_key = f"{unix_s(last.started_at)}.{last.incident_id}" if last else None
    return Listed(tuple(rows[:N_LISTED]), n_all, next_key)


def _unwatched(
    store: Store, dataset: PageDataset, machines: MachinesOf, watching: Sequence[Watching]
) -> list[Unwatched]:
    """What is not watched just now, and why."""
    state = next((one for one in watching if one.dataset == dataset.name), None)
    if state is None or state.scored_until is None or state.champion is None:
        return [Unwatched(dataset.name, None, (state and state.why) or "nothing was scored yet")]
    until, zone = state.scored_until, dataset.site_zone
    found = []
    for machine in machines(dataset.name):
        if why := _silence(machine, zone):
            found.append(Unwatched(dataset.name, machine.entity, why))
    span = {"dataset": dataset.name, "from_at": until - timedelta(days=1), "to_at": until}
    silent = {one.entity for one in found}
    for hours in store.rows(queries.SELECT_UNWATCHED_HOURS, **span):
        if hours.to_at >= until and hours.entity not in silent:
            since = formats.time_text(hours.from_at, zone)
            detail = f": {hours.detail}" if hours.detail else ""
            why = f"{status_title(hours.status)} since {since}{detail}"
            found.append(Unwatched(dataset.name, hours.entity, why))
    names = {number: name for name, number in select_entities(store, dataset.dataset_id).items()}
    for window in maintenance_of(store, dataset.dataset_id, until - HOUR, until):
        entity = names.get(window.entity_id) if window.entity_id else None
        why = f"{window.name}, until {formats.time_text(window.end_at, zone)}: nobody is told"
        found.append(Unwatched(dataset.name, entity, why))
    for outside in store.rows(
        queries.SELECT_OUTSIDE_NOW, dataset=dataset.name, from_at=until - HOUR
    ):
        since = formats.time_text(outside.started_at, zone)
        why = (
            f"{outside.channel} outside of what training saw since {since}: scores are LOW at most"
        )
        found.append(Unwatched(dataset.name, outside.entity, why))
    return found


def _silence(machine: Machine, zone: str) -> str:
    """Why nothing comes of a machine; empty: it speaks, or is gone for good."""
    if machine.state != "silent":
        return ""
    carrier = f", its readings come by {machine.carrier}" if machine.carrier else ""
    return f"silent since {formats.time_text(machine.silent_since, zone)}{carrier}"


def _by_entity(rows: Iterable[OfEntity]) -> defaultdict[str, list[OfEntity]]:
    found: defaultdict[str, list[OfEntity]] = defaultdict(list)
    for one in rows:
        found[one.entity].append(one)
    return found


def _lanes(
    store: Store,
    dataset: PageDataset | None,
    machines: MachinesOf,
    from_at: datetime,
    to_at: datetime,
) -> tuple[Lane, ...]:
    """The machines of a dataset, those with the worst incidents first, then by name."""
    if dataset is None:
        return ()
    span = {"dataset": dataset.name, "from_at": from_at, "to_at": to_at}
    incidents = store.rows(queries.SELECT_LANE_INCIDENTS, n=N_LANE_INCIDENTS, **span)
    unscored = store.rows(queries.SELECT_UNWATCHED_HOURS, **span)
    own, gaps = _by_entity(incidents), _by_entity(unscored)
    lanes = [
        Lane(name, tuple(own[name]), tuple(gaps[name]))
        for name, state in ((one.entity, one.state) for one in machines(dataset.name))
        if state != "retired" or own[name]
    ]

    def order(lane: Lane) -> tuple[object, ...]:
        ranks = [(severity_rank(one.severity), one.peak_score) for one in lane.incidents]
        worst, score = max(ranks, default=(0, 0.0))
        return -worst, -score, lane.entity

    return tuple(sorted(lanes, key=order))
