"""Which hours of which entities a run must score, with which model, and what it can reuse.

A run owns the hours of its interval. It also scores anew every hour that was scored before and
whose readings have changed since (a late row, or a backfill in reverse order): the digests say
which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.enums import Lineage
from tsad_tasks.base.interval import from_unix_s, hour_ceil, hour_floor, hours_later, unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.queries import SELECT_FIRST_HOURS, SELECT_INGEST_HOURS
from tsad_tasks.model.features import Scaler
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.scoring.own_scales import OwnScale, later_scales
from tsad_tasks.scoring.queries import (
    SELECT_CHAMPIONS,
    SELECT_LATEST_SCORED_HOUR,
    SELECT_LEARNING_ENTITIES,
    Champion,
)
from tsad_tasks.scoring.reach import anchor_at, score_reach
from tsad_tasks.storage.datasets import DatasetRow, select_entities, upsert_dataset
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
    scales : by entity, where it was learned after the champion; None: the champion's own or pooled
        one.
    is_later : whether these scales are what the job scores with, in hours from which on they are
        usable; else it scores the hours before with the champion's.
    """

    champion: Champion
    lineage: str
    first_at: datetime
    end_at: datetime
    entities: tuple[tuple[str, int], ...]
    targets: NDArray[np.bool_]
    n_pending: NDArray[np.int64]
    scales: tuple[OwnScale | None, ...]
    is_later: bool = False

    @property
    def entity_ids(self) -> list[int]:
        return [entity_id for _, entity_id in self.entities]

    def target_hours(self) -> tuple[list[int], list[datetime]]:
        """Entity ids and hours of all that is written."""
        pairs = np.argwhere(self.targets).tolist()
        ids = self.entity_ids
        hours = [hours_later(self.first_at, hour) for _, hour in pairs]
        return [ids[entity] for entity, _ in pairs], hours

    @property
    def is_shadow(self) -> bool:
        """Whether the model is a challenger beside a champion."""
        return self.lineage.endswith(SHADOW_SUFFIX)

    def scalers(self, spec: ModelSpec) -> list[Scaler]:
        """What each entity's readings are scaled with, whatever hour is looked back from."""
        pairs = zip(self.entities, self.scales, strict=True)
        return [
            scale.scaler(spec) if scale and self.is_later else spec.scaler(name)
            for (name, _), scale in pairs
        ]

    def provisional(self, spec: ModelSpec) -> NDArray[np.bool_]:
        """bool (n_entities,), whether the job scores an entity with the pooled scale."""
        pairs = zip(self.entities, self.scales, strict=True)
        known = [
            not (scale and self.is_later) and spec.is_provisional(name)
            for (name, _), scale in pairs
        ]
        return np.array(known, np.bool_)

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
    return np.where(
        is_salted, digests.view(np.uint64) + salts[:, None], digests.view(np.uint64)
    ).view(np.int64)


def split_by_scale(job: Job) -> list[Job]:
    """A job as one of the champion's scales, and one of those that were learned later."""
    own = _usable(job.scales, unix_s(job.first_at), job.targets.shape[1]) & job.targets
    later = np.flatnonzero(own.any(axis=1)).tolist()
    if not later:
        return [job]
    entities, scales = tuple(job.entities[i] for i in later), tuple(job.scales[i] for i in later)
    with_own = replace(job, entities=entities, scales=scales, targets=own[later], is_later=True)
    others = job.targets & ~own
    return [replace(job, targets=others), with_own] if others.any() else [with_own]


@dataclass(frozen=True)
class Plan:
    """Jobs, and (entity, hour) pairs of the interval that have no champion."""

    jobs: tuple[Job, ...]
    unchampioned: tuple[tuple[int, datetime], ...]
    n_current: int
    n_not_ingested: int


def plan_interval(
    store: Store,
    config: DatasetConfig,
    dataset: DatasetRow,
    *,
    lineage: str,
    start_at: datetime,
    end_at: datetime,
    entity_names: Sequence[str] | None = None,
) -> Plan:
    """What is to be scored for [start_at, end_at).

    Parameters
    ----------
    entity_names : only these (a shard); None: all.
    """
    first_at, last_at = hour_floor(start_at), hour_ceil(end_at)
    known = select_entities(store, dataset.dataset_id)
    chosen_names = known if entity_names is None else set(entity_names)
    entities = {name: key for name, key in known.items() if name in chosen_names}
    if not entities:
        return Plan((), (), 0, 0)
    changed_from = hours_later(first_at, -(config.source.mutability_s // 3600))
    champions = store.rows(
        SELECT_CHAMPIONS,
        dataset_id=dataset.dataset_id,
        lineage=lineage,
        start_at=changed_from,
        end_at=hours_later(last_at, 24 * 60),
    )
    is_learning = learns(store, list(entities.values()), min(changed_from, first_at), last_at)
    until_at = seen_until(store, dataset, lineage, champions, last_at, is_learning=is_learning)
    bounds = changed_from, first_at, last_at, until_at
    span = _Span(store, dataset, entities, bounds, lineage, is_learning=is_learning)
    read, ids = span.ingested[span.mine], list(entities.values())
    jobs, covered, n_current = [], np.zeros((len(ids), len(read)), bool), 0
    # A model of the entity's own goes before the dataset's.
    own = {champion.scope_entity_id for champion in champions if champion.scope_entity_id}
    for champion in champions:
        scope = champion.scope_entity_id
        is_its = np.array([key == scope if scope else key not in own for key in ids], bool)
        if is_its.any():
            pairs = zip(entities.items(), is_its, strict=True)
            job, n_kept = span.job(champion, tuple(pair for pair, its in pairs if its))
            n_current += n_kept
            covered[is_its] |= _within(span.hours[span.mine], champion)[None, :]
            jobs += split_by_scale(job) if job is not None else []
    # Only of what people see an hour without a champion is worth a word.
    is_open = (
        ~covered & read[None, :] & span.began(ids)[:, span.mine] & (lineage in VISIBLE_LINEAGES)
    )
    unchampioned = tuple(
        (ids[entity], hours_later(first_at, int(hour))) for entity, hour in np.argwhere(is_open)
    )
    return Plan(tuple(jobs), unchampioned, n_current, int((~read).sum()))


def scored_lineages(
    store: Store, dataset_id: int, lineage: str, start_at: datetime, end_at: datetime
) -> tuple[str, ...]:
    """The lineage, and its shadow where a challenger is in it at any time of [start_at, end_at)."""
    shadow, ends = lineage + SHADOW_SUFFIX, {"start_at": start_at, "end_at": end_at}
    in_shadow = store.rows(SELECT_CHAMPIONS, dataset_id=dataset_id, lineage=shadow, **ends)
    return (lineage, shadow) if in_shadow else (lineage,)


def learns(store: Store, entity_ids: Sequence[int], start_at: datetime, end_at: datetime) -> bool:
    """Whether readings of [start_at, end_at) may decide how some entity's later ones are seen."""
    ends = {"start_at": start_at, "end_at": end_at}
    return bool(store.rows(SELECT_LEARNING_ENTITIES, entity_ids=list(entity_ids), **ends))


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
    for champion in champions:
        if champion.folds or is_learning:
            newest_at = store.one(
                SELECT_LATEST_SCORED_HOUR,
                dataset_id=dataset.dataset_id,
                scope_entity_id=champion.scope_entity_id,
                lineage=lineage,
            )
            ends += [hours_later(newest_at, 1)] if newest_at else []
    return max(ends)


def _n_hours(first_at: datetime, last_at: datetime) -> int:
    return (unix_s(last_at) - unix_s(first_at)) // 3600


@dataclass(frozen=True)
class Ledger:
    """What was read of consecutive hours.

    Attributes
    ----------
    ingested : bool (n_hours,)
    n_pending : int (n_hours,), steps at the end of each hour that were not read yet; 0 where
        nothing was read.
    """

    ingested: NDArray[np.bool_]
    n_pending: NDArray[np.int64]


def read_ledger(store: Store, dataset: DatasetRow, start_at: datetime, end_at: datetime) -> Ledger:
    """The ledger of the whole hours of [start_at, end_at)."""
    n_hours = _n_hours(start_at, end_at)
    found = Ledger(np.zeros(n_hours, bool), np.zeros(n_hours, np.int64))
    for row in store.rows(
        SELECT_INGEST_HOURS, dataset_id=dataset.dataset_id, start_at=start_at, end_at=end_at
    ):
        at = _n_hours(start_at, row.hour_at)
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
        bounds: tuple[datetime, datetime, datetime, datetime],
        lineage: str,
        *,
        is_learning: bool,
    ) -> None:
        changed_from, first_at, last_at, until_at = bounds
        self._is_learning = is_learning
        self._store, self._dataset, self._lineage = store, dataset, lineage
        self._from_at = min(changed_from, first_at)
        ledger = read_ledger(store, dataset, self._from_at, until_at)
        self.ingested, self._pending = ledger.ingested, ledger.n_pending
        self.hours = unix_s(self._from_at) + 3600 * np.arange(len(self.ingested))
        self.mine = slice(_n_hours(self._from_at, first_at), _n_hours(self._from_at, last_at))
        self._first_hours = dict(store.rows(SELECT_FIRST_HOURS, entity_ids=list(entities.values())))

    def began(self, entity_ids: Sequence[int]) -> NDArray[np.bool_]:
        """bool (n_entities, n_hours): from the entity's first reading on."""
        first = [self._first_hours[key] for key in entity_ids]
        first_s = np.array([np.inf if at is None else unix_s(at) for at in first])
        return self.hours[None, :] >= first_s[:, None]

    def job(
        self, champion: Champion, entities: tuple[tuple[str, int], ...]
    ) -> tuple[Job | None, int]:
        """The hours that a champion must score, and how many of the interval stand as they are."""
        reach = score_reach(champion)
        n_hours = min(self.mine.stop + reach.hours, len(self.hours))
        if champion.folds or self._is_learning:
            n_hours = len(self.hours)
        until_at, hours = hours_later(self._from_at, n_hours), self.hours[:n_hours]
        ids = [key for _, key in entities]
        scored, stored = read_digests(
            self._store, READ_SCORE_DIGESTS, champion.model_id, ids, self._from_at, until_at
        )
        scales = later_scales(self._store, champion.model_id, ids)
        digests = reach.of_blocks(self._store, ids, self._from_at, until_at)
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
        targets = usable & ((mine[None, :] & ~scored) | changed)
        n_current = int((mine[None, :] & scored & ~changed).sum())
        touched = np.flatnonzero(targets.any(axis=0))
        if not touched.size:
            return None, n_current
        first, last = int(touched[0]), int(touched[-1]) + 1
        span, found_at = slice(first, last), hours_later(self._from_at, first)
        of_hours = targets[:, span], self._pending[span]
        until_at = hours_later(self._from_at, last)
        return Job(
            champion, self._lineage, found_at, until_at, entities, *of_hours, scales
        ), n_current


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
    with store.transaction():
        dataset_id = upsert_dataset(store, config).dataset_id
        lineages = scored_lineages(store, dataset_id, lineage, start_at, end_at)
        champions = [
            one
            for name in lineages
            for one in store.rows(
                SELECT_CHAMPIONS,
                dataset_id=dataset_id,
                lineage=name,
                start_at=start_at,
                end_at=end_at,
            )
        ]
    since_s = [
        unix_s(start_at) - unix_s(anchor_at(champion)) for champion in champions if champion.folds
    ]
    return max([0, *since_s, *(champion.score_reach_s for champion in champions)])
