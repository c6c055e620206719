"""Which hours of which entities a run must score, with which model, and what it can reuse.

A run owns the hours of its interval. It also scores anew every hour that was scored before and
whose readings have changed since, as the digests say (a late row, a backfill in reverse order).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.enums import Lineage
from tsad_tasks.base.interval import Interval, from_unix_s, hours_later, unix_s, whole_hours
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.queries import SELECT_FIRST_HOURS, SELECT_INGEST_HOURS
from tsad_tasks.model.features import Scaler
from tsad_tasks.model.spec import FeatureSpec, ModelSpec
from tsad_tasks.scoring import queries
from tsad_tasks.scoring.fitted import FittedSince, fitted_since
from tsad_tasks.scoring.own_scales import OwnScale, later_scales
from tsad_tasks.scoring.queries import Champion, champions_in
from tsad_tasks.scoring.reach import anchor_at, is_alive, score_reach, window_hours
from tsad_tasks.storage.datasets import DatasetRow, upsert_dataset
from tsad_tasks.storage.lives import counted_entities, living_entities, stored_entities
from tsad_tasks.storage.readings import read_checksums
from tsad_tasks.storage.scores import READ_SCORE_DIGESTS, read_digests
from tsad_tasks.storage.store import Store

VISIBLE_LINEAGES = frozenset(Lineage)
_PENDING_SALT = 0x2545F4914F6CDD1D

SHADOW_SUFFIX = "/shadow"


@dataclass(frozen=True)
class Job:
    """Hours that one model must score.

    Attributes
    ----------
    lineage : whose champion the model is.
    first_at, end_at : whole hours that the job spans.
    entities : name and id of the entities in it.
    targets : bool (n_entities, n_hours), which of them are written.
    n_pending : int (n_hours,), steps at the end of the hour that were not read yet.
    scales : by entity, where it was learned after the champion; None: the champion's.
    fitted : by entity, its channels where the champion has no scale for it; None: the champion's.
    is_later : whether the job scores with these, in hours from which on they are usable; else it
        scores the hours before with the champion's.
    """

    champion: Champion
    lineage: str
    first_at: datetime
    end_at: datetime
    entities: tuple[tuple[str, int], ...]
    targets: NDArray[np.bool_]
    n_pending: NDArray[np.int64]
    scales: tuple[OwnScale | None, ...]
    fitted: tuple[FittedSince | None, ...]
    is_later: bool = False

    @property
    def entity_ids(self) -> list[int]:
        return [entity_id for _, entity_id in self.entities]

    @property
    def span(self) -> Interval:
        return Interval(self.first_at, self.end_at)

    def target_hours(self) -> tuple[list[int], list[datetime]]:
        """Entity ids and hours of all that is written."""
        pairs, ids = np.argwhere(self.targets).tolist(), self.entity_ids
        hours = [hours_later(self.first_at, hour) for _, hour in pairs]
        return [ids[entity] for entity, _ in pairs], hours

    def scalers(self, spec: ModelSpec) -> list[Scaler]:
        """What each entity's readings are scaled with, whatever hour is looked back from."""
        pairs = zip(self.entities, self.scales, strict=True)
        return [
            scale.scaler(spec) if scale and self.is_later else spec.scaler(name)
            for (name, _), scale in pairs
        ]

    def fitted_from(self, spec: FeatureSpec, from_at: datetime) -> NDArray[np.int64]:
        """int64 (n_entities, n_channels), since which step an entity without a scale has a channel;
        0 where that does not matter.
        """
        found = np.zeros((len(self.entities), len(spec.channels)), np.int64)
        for position, since in enumerate(self.fitted):
            if since is not None and not self.is_later:
                found[position] = since.first_steps(spec, unix_s(from_at))
        return found

    def provisional(self, spec: ModelSpec) -> NDArray[np.bool_]:
        """bool (n_entities,), whether the job scores an entity with the pooled scale."""
        pairs = zip(self.entities, self.scales, strict=True)
        known = [(scale and self.is_later, spec.is_provisional(name)) for (name, _), scale in pairs]
        return np.array([pooled and not own for own, pooled in known], np.bool_)

    def scoped(self, from_at: datetime, n_hours: int) -> NDArray[np.bool_]:
        """bool (n_entities, n_hours), the hours that are scored with the scales of this job."""
        usable = _usable(self.scales, unix_s(from_at), n_hours)
        return usable if self.is_later else ~usable

    def salted(self, digests: NDArray[np.int64], from_at: datetime) -> NDArray[np.int64]:
        """Digests (n_entities, n_hours) that also tell with which scale the hour is scored."""
        return _salted(digests, self.scales, unix_s(from_at))


def _usable(scales: Sequence[OwnScale | None], from_s: int, n_hours: int) -> NDArray[np.bool_]:
    usable_s = np.array([np.inf if scale is None else scale.usable_s for scale in scales])
    return np.asarray(from_s + 3600 * np.arange(n_hours)[None, :] >= usable_s[:, None], np.bool_)


def _salted(
    digests: NDArray[np.int64], scales: Sequence[OwnScale | None], from_s: int
) -> NDArray[np.int64]:
    salts = np.array([0 if scale is None else scale.salt for scale in scales], np.uint64)
    is_salted = _usable(scales, from_s, digests.shape[1]) & (digests != 0)
    bits = digests.view(np.uint64)
    return np.where(is_salted, bits + salts[:, None], bits).view(np.int64)


def split_by_scale(job: Job) -> list[Job]:
    """A job as one of the champion's scales, and one of those that were learned later."""
    own = _usable(job.scales, unix_s(job.first_at), job.targets.shape[1]) & job.targets
    later = np.flatnonzero(own.any(axis=1)).tolist()
    if not later:
        return [job]
    of_later: dict[str, Any] = {
        name: tuple(getattr(job, name)[i] for i in later)
        for name in ("entities", "scales", "fitted")
    }
    with_own = replace(job, **of_later, targets=own[later], is_later=True)
    others = job.targets & ~own
    return [replace(job, targets=others), with_own] if others.any() else [with_own]


class ScoredHour(NamedTuple):
    """An hour of an entity that a model has scored, and how many before it its windows see."""

    model_id: int
    entity_id: int
    hour_at: datetime
    back_hours: int


@dataclass(frozen=True)
class Plan:
    """Jobs, (entity, hour) pairs of the interval that have no champion, and the hours that each
    model is asked to score, even where all entities are silent.

    Attributes
    ----------
    hours : hours of the interval that were read, and others that late rows may have changed, of
        which was said that they had no champion.
    others : ids of entities with life that another shard plans for.
    emptied : scored hours whose windows see no readings any more, since these were taken back.
    """

    jobs: tuple[Job, ...]
    unchampioned: tuple[tuple[int, datetime], ...]
    n_current: int
    n_not_ingested: int
    asked: tuple[tuple[int, datetime], ...]
    hours: tuple[datetime, ...]
    others: tuple[int, ...]
    emptied: tuple[ScoredHour, ...]

    @property
    def open_hours(self) -> tuple[list[int], list[datetime]]:
        """Entity ids and hours that have no score that stands, or none that holds."""
        pairs = [pair for job in self.jobs for pair in zip(*job.target_hours(), strict=True)]
        pairs += self.unchampioned
        return [key for key, _ in pairs], [at for _, at in pairs]


def entities_with_life(
    store: Store, config: DatasetConfig, dataset: DatasetRow, span: Interval, lineage: str
) -> dict[str, int]:
    """Entities, by name, of which a run of an interval may have something to say: rows came of them
    so lately, or blocks are stored of them, that its hours, or those that late rows still change,
    see any.
    """
    changed_from, _, last_at, late_until = _ends(store, config, dataset, span, lineage)
    champions = _champions(store, dataset, lineage, changed_from, last_at)
    back_hours = max((window_hours(one) for one in champions), default=1)
    of_dataset, first_at = (store, dataset.dataset_id), hours_later(changed_from, -back_hours)
    stored = stored_entities(*of_dataset, first_at, late_until)
    if config.event_channels:
        # Where rows are events their absence is a reading, however long it lasts.
        return stored | counted_entities(*of_dataset, first_at, last_at)
    return stored | living_entities(*of_dataset, first_at)


def _ends(
    store: Store, config: DatasetConfig, dataset: DatasetRow, span: Interval, lineage: str
) -> tuple[datetime, datetime, datetime, datetime]:
    """From when on late rows may have changed hours, the first and last whole hour, and until when
    late rows have.
    """
    first_at, last_at = whole_hours(*span)
    changed_from = hours_later(first_at, -(config.late_rows_within_s // 3600))
    late = late_span(store, config, dataset, span, lineage) or Interval(changed_from, last_at)
    return min(changed_from, late.start_at), first_at, last_at, max(last_at, late.end_at)


def late_span(
    store: Store, config: DatasetConfig, dataset: DatasetRow, span: Interval, lineage: str
) -> Interval | None:
    """From the first to the last hour that was found late by a run of the interval, or of the one
    before it, which may have died since; None: there is none, or the lineage is none that follows
    them.

    It may end after the interval: hours that were read before depend on what has come.
    """
    if lineage.removesuffix(SHADOW_SUFFIX) != Lineage.LIVE:
        return None
    since = span.start_at - timedelta(seconds=config.interval_s)
    asked = {"dataset_id": dataset.dataset_id, "since": since, "end_at": span.end_at}
    return store.first(queries.SELECT_LATE_SPAN, **asked)


def _champions(
    store: Store, dataset: DatasetRow, lineage: str, changed_from: datetime, last_at: datetime
) -> list[Champion]:
    around = Interval(changed_from, hours_later(last_at, 24 * 60))
    return champions_in(store, dataset.dataset_id, lineage, around)


def plan_interval(
    store: Store,
    config: DatasetConfig,
    dataset: DatasetRow,
    asked: Interval,
    lineage: str,
    entity_names: Sequence[str] | None = None,
) -> Plan:
    """What is to be scored for the interval that is asked for.

    Parameters
    ----------
    entity_names : only these (a shard); None: all.
    """
    changed_from, first_at, last_at, late_until = _ends(store, config, dataset, asked, lineage)
    champions = _champions(store, dataset, lineage, changed_from, last_at)
    known = entities_with_life(store, config, dataset, asked, lineage)
    chosen_names = known if entity_names is None else set(entity_names)
    entities = {name: key for name, key in known.items() if name in chosen_names}
    learning = {"start_at": min(changed_from, first_at), "end_at": last_at}
    # Whether readings of these hours may decide how all later ones of some entity are seen.
    is_learning = bool(
        store.rows(queries.SELECT_LEARNING_ENTITIES, entity_ids=list(entities.values()), **learning)
    )
    until_at = seen_until(store, dataset, lineage, champions, late_until, is_learning=is_learning)
    bounds = changed_from, first_at, last_at, late_until, until_at
    span = _Span(store, dataset, entities, bounds, lineage, is_learning=is_learning)
    looked, ids = span.looked_at(), list(entities.values())
    jobs, covered, n_current = [], np.zeros((len(ids), len(looked)), bool), 0
    asked_of, emptied = list[tuple[int, datetime]](), list[ScoredHour]()
    # A model of the entity's own goes before the dataset's.
    own = {champion.scope_entity_id for champion in champions if champion.scope_entity_id}
    for champion in champions:
        asked_of += [(champion.model_id, at) for at in span.asked_of(champion)]
        scope = champion.scope_entity_id
        is_its = np.array([key == scope if scope else key not in own for key in ids], bool)
        if is_its.any():
            pairs = zip(entities.items(), is_its, strict=True)
            chosen = tuple(pair for pair, its in pairs if its)
            job, n_kept, of_none = span.job(champion, chosen)
            n_current += n_kept
            emptied += of_none
            covered[is_its] |= _within(span.hours[looked], champion)[None, :]
            jobs += split_by_scale(job) if job is not None else []
    # Only of what people see an hour without a champion is worth a word.
    is_open = ~covered & span.ingested[looked][None, :] & span.began(ids)[:, looked]
    is_open &= lineage in VISIBLE_LINEAGES
    if is_open.any():
        is_open &= span.has_blocks(ids)[:, looked]
    at = [from_unix_s(hour) for hour in span.hours[looked].tolist()]
    unchampioned = tuple((ids[i], at[k]) for i, k in np.argwhere(is_open).tolist())
    hours = tuple(at[k] for k in np.flatnonzero(span.ingested[looked]).tolist())
    others = tuple(key for name, key in known.items() if name not in chosen_names)
    n_not_ingested = int((~span.ingested[span.mine]).sum())
    made = tuple(jobs), unchampioned, n_current, n_not_ingested, tuple(asked_of)
    return Plan(*made, hours, others, tuple(emptied))


def scored_lineages(store: Store, dataset_id: int, lineage: str, span: Interval) -> tuple[str, ...]:
    """The lineage, and its shadow where a challenger is in it at any time of the span."""
    shadow = lineage + SHADOW_SUFFIX
    in_shadow = champions_in(store, dataset_id, shadow, span)
    return (lineage, shadow) if in_shadow else (lineage,)


def seen_until(
    store: Store,
    dataset: DatasetRow,
    lineage: str,
    champions: Sequence[Champion],
    last_at: datetime,
    *,
    is_learning: bool = False,
) -> datetime:
    """The end of the hours whose scores may depend on readings before `last_at`."""
    reach_s = max((champion.score_reach_s for champion in champions), default=0)
    ends = [hours_later(last_at, reach_s // 3600)]
    of = {"dataset_id": dataset.dataset_id, "lineage": lineage}
    for scope_id in (one.scope_entity_id for one in champions if one.folds or is_learning):
        newest_at = store.one(queries.SELECT_LATEST_SCORED_HOUR, **of, scope_entity_id=scope_id)
        ends += [hours_later(newest_at, 1)] if newest_at else []
    return max(ends)


def _n_hours(first_at: datetime, last_at: datetime) -> int:
    return (unix_s(last_at) - unix_s(first_at)) // 3600


class Ledger(NamedTuple):
    """What was read of consecutive hours.

    Attributes
    ----------
    ingested : bool (n_hours,)
    n_pending : int (n_hours,), steps at each hour's end not read yet; 0: nothing was read.
    """

    ingested: NDArray[np.bool_]
    n_pending: NDArray[np.int64]


def read_ledger(store: Store, dataset: DatasetRow, span: Interval) -> Ledger:
    """The ledger of the whole hours of a span."""
    n_hours, of = _n_hours(*span), {"dataset_id": dataset.dataset_id} | span._asdict()
    found = Ledger(np.zeros(n_hours, bool), np.zeros(n_hours, np.int64))
    for row in store.rows(SELECT_INGEST_HOURS, **of):
        at = _n_hours(span.start_at, row.hour_at)
        unread_s = max(0, unix_s(row.hour_at) + 3600 - unix_s(row.read_until))
        found.ingested[at], found.n_pending[at] = True, unread_s // dataset.step_s
    return found


class _Span:
    """The hours that an interval's scores reach: what was read of them, and what was scored.

    Attributes
    ----------
    hours : int64 (n_hours,), Unix seconds.
    mine : where the interval's own hours are among them.
    """

    def __init__(
        self,
        store: Store,
        dataset: DatasetRow,
        entities: Mapping[str, int],
        bounds: tuple[datetime, datetime, datetime, datetime, datetime],
        lineage: str,
        *,
        is_learning: bool,
    ) -> None:
        changed_from, first_at, last_at, late_until, until_at = bounds
        self._store, self._dataset, self._lineage = store, dataset, lineage
        self._is_learning, self._from_at = is_learning, min(changed_from, first_at)
        ends = Interval(self._from_at, until_at)
        self.ingested, self._pending = read_ledger(store, dataset, ends)
        self.hours = unix_s(self._from_at) + 3600 * np.arange(len(self.ingested))
        self.mine = slice(_n_hours(self._from_at, first_at), _n_hours(self._from_at, last_at))
        self._n_changed = _n_hours(self._from_at, late_until)
        self._first_hours = dict(store.rows(SELECT_FIRST_HOURS, entity_ids=list(entities.values())))

    def looked_at(self) -> NDArray[np.intp]:
        """Positions of the interval's own hours, and of those before and after it that late rows
        may have changed, and of which a run has said that they have no champion.
        """
        changed_until = hours_later(self._from_at, self._n_changed)
        asked = {"dataset_id": self._dataset.dataset_id, "lineage": self._lineage}
        ends = {"start_at": self._from_at, "end_at": changed_until}
        marked = self._store.rows(queries.SELECT_MARKED_HOURS, **asked, **ends)
        mine = np.arange(len(self.hours))[self.mine]
        others = [_n_hours(self._from_at, hour_at) for hour_at in marked]
        return np.union1d(mine, np.array(others, np.intp))

    def has_blocks(self, entity_ids: Sequence[int]) -> NDArray[np.bool_]:
        """bool (n_entities, n_hours): there is a block in the hour or the one before it."""
        until_at = hours_later(self._from_at, len(self.hours))
        span = hours_later(self._from_at, -1), until_at
        return is_alive(read_checksums(self._store, entity_ids, *span), 1)[:, 1:]

    def began(self, entity_ids: Sequence[int]) -> NDArray[np.bool_]:
        """bool (n_entities, n_hours): from the entity's first reading on."""
        first = [self._first_hours[key] for key in entity_ids]
        first_s = np.array([np.inf if at is None else unix_s(at) for at in first])
        return self.hours[None, :] >= first_s[:, None]

    def asked_of(self, champion: Champion) -> list[datetime]:
        """Hours of the interval that a champion is asked to score."""
        mine = self.hours[self.mine]
        chosen = _within(mine, champion) & self.ingested[self.mine]
        return [from_unix_s(hour) for hour in mine[chosen].tolist()]

    def _asked_before(self, champion: Champion, n_hours: int) -> NDArray[np.bool_]:
        """bool (n_hours,): hours that a run has asked the champion to score."""
        ends = Interval(self._from_at, hours_later(self._from_at, n_hours))
        asked = {"model_id": champion.model_id} | ends._asdict()
        found = np.zeros(n_hours, bool)
        for hour_at in self._store.rows(queries.SELECT_SCORE_HOURS, **asked):
            found[_n_hours(self._from_at, hour_at)] = True
        return found

    def job(
        self, champion: Champion, entities: tuple[tuple[str, int], ...]
    ) -> tuple[Job | None, int, list[ScoredHour]]:
        """The hours that a champion must score, how many of the interval stand as they are, and
        those that it has scored and that have no readings any more.
        """
        reach = score_reach(champion)
        n_hours = min(self._n_changed + reach.hours, len(self.hours))
        if champion.folds or self._is_learning:
            n_hours = len(self.hours)
        hours, ids = self.hours[:n_hours], [key for _, key in entities]
        ends = Interval(self._from_at, hours_later(self._from_at, n_hours))
        of_model = champion.model_id, ids
        scored, stored = read_digests(self._store, READ_SCORE_DIGESTS, *of_model, *ends)
        scales = later_scales(self._store, *of_model)
        fitted = fitted_since(self._store, *of_model)
        back_hours = window_hours(champion)
        digests, alive = reach.of_blocks(self._store, ids, *ends, fitted, back_hours)
        found = _salted(digests, scales, unix_s(self._from_at))
        changed = scored & (stored != with_pending(found, self._pending[:n_hours]))
        mine = np.zeros(n_hours, bool)
        mine[self.mine] = True
        usable = (_within(hours, champion) & self.ingested[:n_hours])[None, :]
        usable = usable & self.began(ids)[:, :n_hours]
        if self._dataset.retired_before is not None:
            # Hours whose readings retention has dropped: what was scored stays.
            first_s = [unix_s(reach.first(from_unix_s(hour))) for hour in hours.tolist()]
            usable &= ~(scored & (np.array(first_s) < unix_s(self._dataset.retired_before))[None])
            # Of hours whose readings retention has dropped it is not known that there were none.
            alive |= hours - 3600 * back_hours < unix_s(self._dataset.retired_before)
        # Entities that were silent when an hour was scored, and of which rows have come since.
        asked = mine | self._asked_before(champion, n_hours)
        targets = usable & alive & ((asked[None, :] & ~scored) | changed)
        emptied = [
            ScoredHour(champion.model_id, ids[i], from_unix_s(int(hours[k])), back_hours)
            for i, k in np.argwhere(usable & scored & ~alive).tolist()
        ]
        n_current = int((mine[None, :] & scored & ~changed).sum())
        touched = np.flatnonzero(targets.any(axis=0))
        if not touched.size:
            return None, n_current, emptied
        first, last = int(touched[0]), int(touched[-1]) + 1
        bounds = hours_later(self._from_at, first), hours_later(self._from_at, last)
        of_hours = targets[:, first:last], self._pending[first:last]
        known = scales, fitted
        job = Job(champion, self._lineage, *bounds, entities, *of_hours, *known)
        return job, n_current, emptied


def with_pending(found: NDArray[np.int64], n_pending: NDArray[np.int64]) -> NDArray[np.int64]:
    """Digests that also tell how much of the hour was read."""
    salts = n_pending.astype(np.uint64) * np.uint64(_PENDING_SALT)
    return (found.view(np.uint64) + salts[None, :]).view(np.int64)


def _within(hours: NDArray[np.int64], champion: Champion) -> NDArray[np.bool_]:
    end = np.inf if champion.valid_to is None else unix_s(champion.valid_to)
    inside: NDArray[np.bool_] = (hours >= unix_s(champion.valid_from)) & (hours < end)
    return inside


def history_s(
    store: Store,
    config: DatasetConfig,
    *,
    start_at: datetime,
    end_at: datetime,
    lineage: str = Lineage.LIVE,
) -> int:
    """How far before the interval the scores of its champions look back; 0 without a champion."""
    span = Interval(start_at, end_at)
    with store.transaction():
        dataset_id = upsert_dataset(store, config).dataset_id
        lineages = scored_lineages(store, dataset_id, lineage, span)
        found = [champions_in(store, dataset_id, name, span) for name in lineages]
    champions = [one for each in found for one in each]
    since_s = (unix_s(start_at) - unix_s(anchor_at(one)) for one in champions if one.folds)
    return max([0, *since_s, *(one.score_reach_s for one in champions)])
