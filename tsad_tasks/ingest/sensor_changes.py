"""What task `ingest` learns of changed sensors and new machines, after enough running hours.

A pure function of the readings: of the first running steps since the change, beside those at the
same times of day in the week before it; of a new machine, of its first running steps. What was
learned stands until one of these changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.digest import mix
from tsad_tasks.base.interval import (
    HOUR,
    Interval,
    from_unix_s,
    hour_ceil,
    hour_floor,
    hours_later,
    unix_s,
)
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest import queries
from tsad_tasks.ingest.signals import channel_circles
from tsad_tasks.model.features import fit_scaler, held, running_state
from tsad_tasks.model.sensor_change import conversion, same_time_of_day
from tsad_tasks.storage import datasets
from tsad_tasks.storage.lives import living_entities
from tsad_tasks.storage.readings import SensorChange, read_blocks, read_checksums, sensor_changes
from tsad_tasks.storage.store import Store

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]

REFERENCE = timedelta(days=7)
MIN_REFERENCE = 30


def learn_sensors(store: Store, config: DatasetConfig, read: Interval | None = None) -> int:
    """How many changed sensors and new machines are known better than before.

    `read`: what was read since the last time; of machines without rows in it nothing more can be
    known, but for those that were never looked at. None: anything may be new.
    """
    with store.transaction():
        dataset = datasets.select_dataset(store, config.dataset)
        datasets.lock_dataset(store, dataset.dataset_id, "levels")
        learner = _Learner(store, config, dataset, read)
        return learner.learn_changes() + learner.learn_scales()


@dataclass(frozen=True)
class _Readings:
    """Consecutive hours of one entity in the configured channels.

    Attributes
    ----------
    times_s : int64 (n_steps,)
    values : float64 (n_steps, n_channels)
    running : bool (n_steps,)
    checksums : int64 (n_hours,)
    """

    start_at: datetime
    times_s: NDArray[np.int64]
    values: Float
    running: Mask
    checksums: NDArray[np.int64]

    def usable(self, n_steps: int, step_s: int) -> tuple[datetime, int]:
        """The whole hour after so many steps, and the digest of what was read before it."""
        usable_at = hour_ceil(self.start_at + timedelta(seconds=n_steps * step_s))
        n_hours = (usable_at - self.start_at) // HOUR
        return usable_at, readings_digest(self.checksums[:n_hours], self.start_at)


def readings_digest(checksums: NDArray[np.int64], start_at: datetime) -> int:
    """One number for consecutive blocks from `start_at` on."""
    hours = unix_s(start_at) // 3600 + np.arange(len(checksums))
    return int(mix(checksums, hours).sum(dtype=np.uint64).view(np.int64))


class _Learner:
    def __init__(
        self,
        store: Store,
        config: DatasetConfig,
        dataset: datasets.DatasetRow,
        read: Interval | None,
    ) -> None:
        self._store, self._config, self._dataset = store, config, dataset
        self._heard: set[int] | None = None
        if read is not None:
            self._heard = {*living_entities(store, dataset.dataset_id, *read).values()}
        dataset_id = dataset.dataset_id
        self._step_s = config.step_s
        self._layout = datasets.select_layouts(store, dataset_id)[0]
        self._names = config.stored_names
        self._columns = [self._layout.channel_names.index(name) for name in self._names]
        self._channel_ids = [self._layout.channel_ids[i] for i in self._columns]
        ids = list(datasets.select_entities(store, dataset_id).values())
        read_until = store.one(queries.SELECT_NEWEST_LEDGER_HOUR, dataset=config.dataset)
        self._read_until: datetime | None = read_until and hour_ceil(read_until)
        before_at = self._read_until or from_unix_s(0)
        self._changes = sensor_changes(store, ids, before_at)

    def learn_changes(self) -> int:
        """How many changed sensors are known better; each sees only those before it."""
        n_changed = 0
        for position, change in enumerate(self._changes):
            is_known = change.declared or change.channel_id not in self._channel_ids
            learned = None if is_known else self._learned_change(position)
            if learned is not None:
                n_changed += self._store.execute(queries.UPDATE_CHANNEL_EPOCH, **learned._asdict())
                terms = {name: getattr(learned, name) for name in ("scale", "offset", "usable_at")}
                self._changes[position] = replace(change, **terms)
        return n_changed

    def _learned_change(self, position: int) -> queries.LearnedChange | None:
        """What is known of a sensor now; None: its readings are those that it was learned from."""
        change = self._changes[position]
        whose = change.entity_id, change.channel_id
        before = [one for one in self._changes[:position] if one.entity_id == change.entity_id]
        start_at = hour_floor(change.from_at) - REFERENCE
        learned = start_at, change.usable_at
        if self._is_retired(*learned) or self._stands(
            change.entity_id, *learned, change.learned_from, before
        ):
            return None
        needed_hours = change.needed_hours or self._config.features.rebaseline_after_s / 3600
        later = self._changes[position + 1 :]
        end_at = min(
            (one.from_at for one in later if (one.entity_id, one.channel_id) == whose), default=None
        )
        column = self._channel_ids.index(change.channel_id)

        def read_while_running(
            readings: _Readings, from_at: datetime, to_at: datetime | None
        ) -> Mask:
            known: Mask = np.isfinite(readings.values[:, column]) & readings.running
            known &= readings.times_s >= unix_s(from_at)
            return known if to_at is None else known & (readings.times_s < unix_s(to_at))

        def after(readings: _Readings) -> Mask:
            return read_while_running(readings, change.from_at, end_at)

        n_needed = self._n_steps(needed_hours)
        found = self._read(change.entity_id, start_at, end_at, before, after, n_needed)
        chosen = np.flatnonzero(after(found))[:n_needed]
        n_hours = len(chosen) * self._step_s / 3600
        former = np.flatnonzero(
            read_while_running(found, change.from_at - REFERENCE, change.from_at)
        )
        if len(chosen) < n_needed or len(former) < MIN_REFERENCE:
            hours = n_hours, needed_hours
            return queries.LearnedChange(change.epoch_id, None, None, None, *hours, None)
        usable_at, digest = found.usable(int(chosen[-1]) + 1, self._step_s)
        # A machine that rests at night is not compared with its nights, nor one day's cycle with
        # another part of it.
        alike = former[same_time_of_day(found.times_s[former], found.times_s[chosen])]
        former = alike if len(alike) >= MIN_REFERENCE else former
        circles = channel_circles(self._config, self._names)
        values = found.values[former, column], found.values[chosen, column]
        terms = conversion(*values, circles[column] if circles else None)
        hours = n_hours, needed_hours
        return queries.LearnedChange(change.epoch_id, *terms, usable_at, *hours, digest)

    def learn_scales(self) -> int:
        """How many machines that a champion has no scale for are known better."""
        dataset_id = self._dataset.dataset_id
        unscaled = self._store.rows(queries.SELECT_UNSCALED_ENTITIES, dataset_id=dataset_id)
        unscaled = [one for one in unscaled if self._may_be_new(one)]
        ids = [one.entity_id for one in unscaled]
        first = dict(self._store.rows(queries.SELECT_FIRST_HOURS, entity_ids=ids))
        learned = (self._learned_scale(one, first[one.entity_id]) for one in unscaled)
        scales = (one._asdict() for one in learned if one is not None)
        return sum(self._store.execute(queries.UPSERT_ENTITY_SCALE, **scale) for scale in scales)

    def _may_be_new(self, entity: queries.UnscaledEntity) -> bool:
        """Whether rows came, a sensor changed, or it was never looked at."""
        if self._heard is None or entity.from_at is None or entity.entity_id in self._heard:
            return True
        return any(one.entity_id == entity.entity_id for one in self._changes)

    def _learned_scale(
        self, entity: queries.UnscaledEntity, start_at: datetime | None
    ) -> queries.LearnedScale | None:
        """What is known of a machine now; None: nothing was read, or what was learned stands."""
        entity_id, features = entity.entity_id, self._config.features
        changes = [one for one in self._changes if one.entity_id == entity_id]
        if start_at is None or self._is_retired(entity.from_at, entity.usable_at):
            return None
        if self._stands(entity_id, start_at, entity.usable_at, entity.learned_from, changes):
            return None
        usual_s = min(features.min_own_scale_s, self._config.training.range_s / 2)
        needed_hours = entity.needed_hours or usual_s / 3600
        n_needed, scaling = self._n_steps(needed_hours), entity.scaling or features.scaling

        def marked(readings: _Readings) -> Mask:
            return np.asarray(readings.running & np.isfinite(readings.values).any(axis=1), np.bool_)

        found = self._read(entity_id, start_at, None, changes, marked, n_needed)
        chosen = np.flatnonzero(marked(found))[:n_needed]
        hours = len(chosen) * self._step_s / 3600, needed_hours
        if len(chosen) < n_needed:
            since = scaling, found.start_at, None
            return queries.LearnedScale(entity_id, [], [], [], *since, *hours, None)
        values = found.values[chosen]
        circles = channel_circles(self._config, self._names)
        counts = tuple(self._names.index(name) for name in self._config.event_channels)
        scaler = fit_scaler(values, scaling, n_needed, circles, counts)
        usable_at, digest = found.usable(int(chosen[-1]) + 1, self._step_s)
        centers, scales = (
            np.where(scaler.fitted, part, np.nan).tolist() for part in (scaler.center, scaler.scale)
        )
        terms = self._channel_ids, centers, scales, scaling
        return queries.LearnedScale(entity_id, *terms, found.start_at, usable_at, *hours, digest)

    def _stands(
        self,
        entity_id: int,
        start_at: datetime,
        usable_at: datetime | None,
        learned_from: int | None,
        changes: Sequence[SensorChange],
    ) -> bool:
        """Whether what was learned was learned from the readings as they are now."""
        if usable_at is None:
            return False
        until_at = max(usable_at, start_at)
        checksums = read_checksums(self._store, [entity_id], start_at, until_at, changes=changes)
        return readings_digest(checksums[0], start_at) == learned_from

    def _is_retired(self, start_at: datetime | None, usable_at: datetime | None) -> bool:
        """Whether retention has dropped some of what was learned from: what was learned stays."""
        retired = self._dataset.retired_before
        return bool(start_at and usable_at and retired and start_at < retired)

    def _read(
        self,
        entity_id: int,
        start_at: datetime,
        end_at: datetime | None,
        changes: Sequence[SensorChange],
        marked: Callable[[_Readings], Mask],
        n_needed: int,
    ) -> _Readings:
        """Readings from `start_at` on, until so many steps are marked, or none are left."""
        assert self._read_until is not None
        read_until = min(self._read_until, hour_ceil(end_at) if end_at else self._read_until)
        last_at = max(start_at, read_until)
        hold_steps = self._config.hold_steps(self._names)
        grace, running_when = self._config.startup_grace_s, self._config.running_when
        n_hours = REFERENCE // HOUR + 2 * -(-n_needed * self._step_s // 3600)
        while True:
            until_at = min(hours_later(start_at, n_hours), last_at)
            blocks = read_blocks(
                self._store, self._layout, [entity_id], start_at, until_at, changes=changes
            )
            values = np.asarray(blocks.values[0][:, self._columns], np.float64)
            names, grace_steps = self._names, grace // self._step_s
            state = running_state(held(values, hold_steps), running_when, names, grace_steps)
            times_s = unix_s(start_at) + self._step_s * np.arange(len(values), dtype=np.int64)
            running = np.asarray(state == 0, np.bool_)
            found = _Readings(start_at, times_s, values, running, blocks.checksums[0])
            if until_at == last_at or np.count_nonzero(marked(found)) >= n_needed:
                return found
            n_hours *= 2

    def _n_steps(self, hours: float) -> int:
        return max(1, -(-int(hours * 3600) // self._step_s))
