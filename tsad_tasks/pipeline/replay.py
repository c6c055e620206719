"""A stretch of the past, as if the pipeline had run all along: retrainings, promotions, scores.

It writes to the lineage `replay` only. Every hour is scored by the model that would have been
champion then, and no model sees a reading of its future. Killed, it goes on where it stopped.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from tsad_tasks.base.enums import Lineage
from tsad_tasks.base.errors import BadInput, NothingToDo, TsadError
from tsad_tasks.base.interval import HOUR, hour_ceil, hours_later
from tsad_tasks.base.places import Folder
from tsad_tasks.champions.champions import ChampionChange, RegisterSummary
from tsad_tasks.champions.queries import SELECT_SHADOWS
from tsad_tasks.champions.shadow import compare_shadows, promote_ready
from tsad_tasks.config import DatasetConfig
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.queries import SELECT_LATEST_SCORED_HOUR
from tsad_tasks.scoring.score import score_interval
from tsad_tasks.storage.datasets import select_dataset
from tsad_tasks.storage.store import Store
from tsad_tasks.training.reader import training_scopes
from tsad_tasks.training.retrain import Retraining
from tsad_tasks.training.youth import age_limit_s, ages_s

LINEAGE, DAY = Lineage.REPLAY, timedelta(days=1)
Say = Callable[[str], None]
Advance = Callable[[datetime], None]
Trained = Callable[[Retraining, RegisterSummary], None]


@dataclass
class Replay:
    """One replay of [start_at, end_at), with a retraining `every` so often once a range is full.

    Of a dataset whose readings begin, what is young is trained daily before that.

    Attributes
    ----------
    trained : told of each model that was registered, while the files of its training are there.
    in_youth : whether what is young is trained before a range is full.
    """

    store: Store
    config: DatasetConfig
    start_at: datetime
    end_at: datetime
    artifacts: Folder
    every: timedelta
    chunk: timedelta = timedelta(days=1)
    say: Say = print
    advance: Advance = lambda _at: None
    lineage: str = LINEAGE
    trained: Trained = lambda _run, _summary: None
    in_youth: bool = True
    registered: list[RegisterSummary] = field(default_factory=list)
    promoted: list[ChampionChange] = field(default_factory=list)
    rejected: dict[int, list[str]] = field(default_factory=dict)

    @property
    def first_at(self) -> datetime:
        """End of the first training on a whole range."""
        return hour_ceil(self.start_at + timedelta(seconds=self.config.training.range_s))

    @cached_property
    def young_at(self) -> datetime | None:
        """End of the first training of a dataset whose readings begin; None: they are older."""
        config = self.config
        if not self.in_youth:
            return None
        with self.store.transaction():
            try:
                scopes = training_scopes(self.store, config)
            except TsadError:
                return None
            ages = ages_s(self.store, config, scopes, self.start_at)
        known = [age for age in ages.values() if age is not None]
        if not known or None in ages.values():
            return None
        begun_at = hour_ceil(self.start_at) - timedelta(seconds=max(known))
        from_at = max(self.start_at, begun_at + timedelta(seconds=config.training.young_from_s))
        until_at = begun_at + timedelta(seconds=age_limit_s(config))
        return from_at if from_at < min(until_at, self.first_at) else None

    @property
    def begins_at(self) -> datetime:
        """End of the first training."""
        return self.young_at or self.first_at

    def run(self) -> Replay:
        """Retrains, scores, compares and promotes, hour by hour of the past.

        Raises
        ------
        BadInput
            When the range is too short for one training and an hour after it.
        """
        if self.begins_at >= self.end_at:
            needed = (self.begins_at - self.start_at) / DAY
            raise BadInput(
                f"Expected more than the training range of {self.config.dataset} "
                f"({needed:g} days). Received: {self.start_at} to {self.end_at}."
            )
        with self.store.transaction():
            scope = {
                "dataset_id": self._dataset_id,
                "scope_entity_id": None,
                "lineage": self.lineage,
            }
            latest_at = self.store.one(SELECT_LATEST_SCORED_HOUR, **scope)
        resumed_at = hours_later(latest_at, 1) if latest_at else self.begins_at
        now = min(max(resumed_at, self.begins_at), self.end_at)
        self._merge(max(self.begins_at, now - self.chunk), now)
        while now < self.end_at:
            self._decide(now)
            if now >= self.first_at:
                if (now - self.first_at) % self.every == timedelta(0):
                    self._retrain(now)
            elif (now - self.begins_at) % DAY == timedelta(0):
                self._retrain(now, only_young=True)
            until = self._next_stop(now)
            score_interval(
                self.store, self.config, start_at=now, end_at=until, lineage=self.lineage
            )
            self._merge(now, until)
            self.advance(until)
            now = until
        self._decide(now)
        return self

    @property
    def _dataset_id(self) -> int:
        return select_dataset(self.store, self.config.dataset).dataset_id

    def _next_stop(self, now: datetime) -> datetime:
        """Where something has to be decided again, a chunk from here at most."""
        n_done = (now - self.first_at) // self.every
        stops = [self.end_at, now + self.chunk, self.first_at + (n_done + 1) * self.every]
        if now < self.first_at:
            n_days = (now - self.begins_at) // DAY
            stops += [self.first_at, self.begins_at + (n_days + 1) * DAY]
        with self.store.transaction():
            of = {"dataset_id": self._dataset_id, "lineage": self.lineage}
            shadows = self.store.rows(SELECT_SHADOWS, **of)
        ends = [hours_later(shadow.valid_from, self.config.shadow.hours) for shadow in shadows]
        return min([*stops, *(max(at, now + HOUR) for at in ends)])

    def _retrain(self, at: datetime, *, only_young: bool = False) -> None:
        with tempfile.TemporaryDirectory(prefix="tsad-replay-", ignore_cleanup_errors=True) as name:
            folders = Path(name), self.artifacts
            of: dict[str, Any] = {"lineage": self.lineage, "only_young": only_young}
            run = Retraining(self.store, self.config, at, *folders, **of)
            try:
                for summary in retrain(run):
                    self.registered.append(summary)
                    self.trained(run, summary)
                    self._say(at, f"{_named(summary.version)} {_outcome(summary)}")
            except NothingToDo:
                pass  # It was registered before this replay was interrupted, or is young no more.
            except BadInput as error:
                self.store.rollback()
                self._say(at, f"no retraining: {error}")

    def _decide(self, at: datetime) -> None:
        until: dict[str, Any] = {"end_at": at, "lineage": self.lineage}
        try:
            compared = compare_shadows(self.store, self.config, **until)
            for version, rules in compared.failed.items():
                self.rejected[version] = rules
                self._say(at, f"{_named(version)} leaves the shadow: {', '.join(rules)}")
            ready = compared.ready
            changes = promote_ready(self.store, self.config, ready, by=str(self.lineage), **until)
        except NothingToDo:
            self.store.rollback()
            return
        for change in changes:
            self.promoted.append(change)
            self._say(at, f"{_named(change.version)} takes over")

    def _say(self, at: datetime, text: str) -> None:
        self.say(f"{at:%Y-%m-%d %H:%M}  {text}")

    def _merge(self, start_at: datetime, end_at: datetime) -> None:
        if start_at < end_at:
            ends = {"start_at": start_at, "end_at": end_at}
            build_incidents(self.store, self.config, **ends, lineage=self.lineage)


def _named(version: int) -> str:
    """A model for people; those of a rehearsal count down from -1.

    >>> _named(3), _named(-1)
    ('version 3', 'rehearsed model 1')
    """
    return f"version {version}" if version > 0 else f"rehearsed model {-version}"


def _outcome(summary: RegisterSummary) -> str:
    if not summary.gate_passed:
        return f"did not pass the gate: {', '.join(summary.failed_rules)}"
    if summary.waits_for_person:
        return "waits for a person: no injected anomaly could be tested"
    if summary.promoted:
        return "is champion"
    if summary.waits_for is not None:
        return f"passed the gate and waits: {_named(summary.waits_for)} is in the shadow"
    return "passed the gate and is in the shadow"
