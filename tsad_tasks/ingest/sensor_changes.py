"""Part of task `ingest`: what is learned of changed sensors and of new machines, once enough
running hours were read.

A pure function of the readings: of the first running steps since the change, beside those at the
same times of day in the week before it; of a new machine, of its first running steps. What was
learned stands until one of these changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.digest import mix
from tsad_tasks.base.interval import HOUR, from_unix_s, hour_ceil, hour_floor, hours_later, unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.queries import (
    SELECT_FIRST_HOURS,
    SELECT_NEWEST_LEDGER_HOUR,
    SELECT_UNSCALED_ENTITIES,
    UPDATE_CHANNEL_EPOCH,
    UPSERT_ENTITY_SCALE,
    LearnedChange,
    LearnedScale,
    UnscaledEntity,
)
from tsad_tasks.model.features import fit_scaler, held, running_state
from tsad_tasks.model.sensor_change import conversion, same_time_of_day
from tsad_tasks.storage.datasets import (
    DatasetRow,
    lock_dataset,
    select_dataset,
    select_entities,
    select_layouts,
)
from tsad_tasks.storage.readings import SensorChange, read_blocks, read_checksums, sensor_changes
from tsad_tasks.storage.store import Store

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]

REFERENCE = timedelta(days=7)
MIN_REFERENCE = 30


def learn_levels(store: Store, config: DatasetConfig) -> int:
    """How many changed sensors and new machines are known better than before."""
    with store.transaction():
        dataset = select_dataset(store, config.dataset)
        lock_dataset(store, dataset.dataset_id, "levels")
        learner = _Learner(store, config, dataset)
        return learner.learn_epochs() + learner.learn_scales()


@dataclass(frozen=True)
class _Readings:
    """Consecutive hours of one entity, in the configured channels, and which steps count as
    running.

    Attributes
    ----------
    values : float64 (n_steps, n_channels)
    running : bool (n_steps,)
    checksums : int64 (n_hours,)
    """

    start_at: datetime
    values: Float
    running: Mask
    checksums: NDArray[np.int64]

    def times_s(self, step_s: int) -> NDArray[np.int64]:
        return unix_s(self.start_at) + step_s * np.arange(len(self.values), dtype=np.int64)


def readings_digest(checksums: NDArray[np.int64], start_at: datetime) -> int:
    """One number for consecutive blocks from `start_at` on."""
    hours = unix_s(start_at) // 3600 + np.arange(len(checksums))
    return int(mix(checksums, hours).sum(dtype=np.uint64).view(np.int64))


class _Learner:
    def __init__(self, store: Store, config: DatasetConfig, dataset: DatasetRow) -> None:
        self._store, self._config, self._dataset = store, config, dataset
        dataset_id = dataset.dataset_id
        self._step_s = config.source.step_s
        self._layout = select_layouts(store, dataset_id)[0]
        self._columns = [self._layout.channel_names.index(name) for name in config.channel_names]
        self._ids = list(select_entities(store, dataset_id).values())
        read_until = store.one(SELECT_NEWEST_LEDGER_HOUR, dataset=config.dataset)
        self._read_until: datetime | None = read_until and hour_ceil(read_until)
        before_at = self._read_until or from_unix_s(0)
        self._epochs = sensor_changes(store, self._ids, before_at) if self._ids else []

    def learn_epochs(self) -> int:
        """How many changed sensors are known better; each sees only those that changed before
        it.
        """
        n_changed = 0
        for position, epoch in enumerate(self._epochs):
            is_fixed = (
                epoch.declared
                or self._layout.channel_ids.index(epoch.channel_id) not in self._columns
            )
            learned = None if is_fixed else self._learned_epoch(position)
            if learned is not None:
                n_changed += self._store.execute(UPDATE_CHANNEL_EPOCH, **asdict(learned))
                self._epochs[position] = replace(
                    epoch, scale=learned.scale, offset=learned.offset, usable_at=learned.usable_at
                )
        return n_changed

    def _learned_epoch(self, position: int) -> LearnedChange | None:
        """What is known of a sensor now; None: its readings are those that it was learned from."""
        epoch = self._epochs[position]
        before = [one for one in self._epochs[:position] if one.entity_id == epoch.entity_id]
        start_at = hour_floor(epoch.from_at) - REFERENCE
        learned = start_at, epoch.usable_at, epoch.learned_from
        if self._is_retired(*learned[:2]) or self._stands(epoch.entity_id, *learned, before):
            return None
        needed_hours = epoch.needed_hours or self._config.features.rebaseline_after_s / 3600
        end_at = min((one.from_at for one in self._later(position)), default=None)

        def marked(readings: _Readings) -> Mask:
            return self._between(readings, epoch, epoch.from_at, end_at)

        found = self._read(
            epoch.entity_id, start_at, (before, end_at), marked, self._n_steps(needed_hours)
        )
        return self._conversion(epoch, found, marked(found), needed_hours)

    def _between(
        self, readings: _Readings, epoch: SensorChange, start_at: datetime, end_at: datetime | None
    ) -> Mask:
        """bool (n_steps,), where the changed sensor was read while the machine ran, in [start_at,
        end_at).
        """
        times_s = readings.times_s(self._step_s)
        known = np.isfinite(readings.values[:, self._column(epoch.channel_id)]) & readings.running
        known &= times_s >= unix_s(start_at)
        return np.asarray(known if end_at is None else known & (times_s < unix_s(end_at)), np.bool_)

    def _conversion(
        self, epoch: SensorChange, found: _Readings, after: Mask, needed_hours: float
    ) -> LearnedChange:
        chosen = np.flatnonzero(after)[: self._n_steps(needed_hours)]
        n_hours = len(chosen) * self._step_s / 3600
        before = np.flatnonzero(
            self._between(found, epoch, epoch.from_at - REFERENCE, epoch.from_at)
        )
        if len(chosen) < self._n_steps(needed_hours) or len(before) < MIN_REFERENCE:
            return LearnedChange(epoch.epoch_id, None, None, None, n_hours, needed_hours, None)
        usable_at, digest = self._usable(found, int(chosen[-1]))
        values = found.values[:, self._column(epoch.channel_id)]
        # A machine that rests at night is not compared with its nights, nor one day's cycle with
        # another part of it.
        times_s = found.times_s(self._step_s)
        alike = before[same_time_of_day(times_s[before], times_s[chosen])]
        before = alike if len(alike) >= MIN_REFERENCE else before
        scale, offset = conversion(values[before], values[chosen])
        return LearnedChange(
            epoch.epoch_id, scale, offset, usable_at, n_hours, needed_hours, digest
        )

    def _later(self, position: int) -> list[SensorChange]:
        """Later changes of the same sensor."""
        epoch = self._epochs[position]
        same = (epoch.entity_id, epoch.channel_id)
        return [
            one for one in self._epochs[position + 1 :] if (one.entity_id, one.channel_id) == same
        ]

    def learn_scales(self) -> int:
        """How many machines that a champion has no scale for are known better."""
        found = self._store.rows(SELECT_UNSCALED_ENTITIES, dataset_id=self._dataset.dataset_id)
        ids = [one.entity_id for one in found]
        first_hours = dict(self._store.rows(SELECT_FIRST_HOURS, entity_ids=ids))
        learned = (self._learned_scale(one, first_hours[one.entity_id]) for one in found)
        scales = (asdict(one) for one in learned if one is not None)
        return sum(self._store.execute(UPSERT_ENTITY_SCALE, **scale) for scale in scales)

    def _learned_scale(
        self, entity: UnscaledEntity, start_at: datetime | None
    ) -> LearnedScale | None:
        """What is known of a machine now; None: nothing was read, or what it was learned from
        stands.
        """
        epochs = [one for one in self._epochs if one.entity_id == entity.entity_id]
        if start_at is None or self._is_retired(entity.from_at, entity.usable_at):
            return None
        if self._stands(entity.entity_id, start_at, entity.usable_at, entity.learned_from, epochs):
            return None
        config = self._config
        needed_hours = (
            entity.needed_hours
            or min(config.features.min_own_scale_s, config.training.range_s / 2) / 3600
        )

        def marked(readings: _Readings) -> Mask:
            return np.asarray(readings.running & np.isfinite(readings.values).any(axis=1), np.bool_)

        found = self._read(
            entity.entity_id, start_at, (epochs, None), marked, self._n_steps(needed_hours)
        )
        scaling = entity.scaling or config.features.scaling
        return self._scale(entity.entity_id, found, marked(found), needed_hours, scaling)

    def _scale(
        self, entity_id: int, found: _Readings, marked: Mask, needed_hours: float, scaling: str
    ) -> LearnedScale:
        chosen = np.flatnonzero(marked)[: self._n_steps(needed_hours)]
        n_hours = len(chosen) * self._step_s / 3600
        if len(chosen) < self._n_steps(needed_hours):
            return LearnedScale(
                entity_id, [], [], [], scaling, found.start_at, None, n_hours, needed_hours, None
            )
        values = found.values[chosen]
        scaler, shown = fit_scaler(values, scaling), np.isfinite(values).any(axis=0)
        usable_at, digest = self._usable(found, int(chosen[-1]))
        centers, scales = (
            np.where(shown, part, np.nan).tolist() for part in (scaler.center, scaler.scale)
        )
        ids = [self._layout.channel_ids[i] for i in self._columns]
        span = found.start_at, usable_at
        return LearnedScale(
            entity_id, ids, centers, scales, scaling, *span, n_hours, needed_hours, digest
        )

    def _stands(
        self,
        entity_id: int,
        start_at: datetime,
        usable_at: datetime | None,
        learned_from: int | None,
        epochs: Sequence[SensorChange],
    ) -> bool:
        """Whether what was learned was learned from the readings as they are now."""
        if usable_at is None:
            return False
        checksums = read_checksums(
            self._store, [entity_id], start_at, max(usable_at, start_at), changes=epochs
        )
        return readings_digest(checksums[0], start_at) == learned_from

    def _is_retired(self, start_at: datetime | None, usable_at: datetime | None) -> bool:
        """Whether retention has dropped some of what was learned from: what was learned stays."""
        retired = self._dataset.retired_before
        return bool(start_at and usable_at and retired and start_at < retired)

    def _usable(self, found: _Readings, last: int) -> tuple[datetime, int]:
        """The whole hour after a step, and the digest of what was read before it."""
        usable_at = hour_ceil(found.start_at + timedelta(seconds=(last + 1) * self._step_s))
        return usable_at, readings_digest(
            found.checksums[: (usable_at - found.start_at) // HOUR], found.start_at
        )

    def _read(
        self,
        entity_id: int,
        start_at: datetime,
        seen: tuple[Sequence[SensorChange], datetime | None],
        marked: Callable[[_Readings], Mask],
        n_needed: int,
    ) -> _Readings:
        """Readings from `start_at` on, as far as it takes to have so many marked steps, if there
        are.
        """
        epochs, end_at = seen
        assert self._read_until is not None
        last_at = max(
            start_at, min(self._read_until, hour_ceil(end_at) if end_at else self._read_until)
        )
        n_hours = REFERENCE // HOUR + 2 * -(-n_needed * self._step_s // 3600)
        while True:
            until_at = min(hours_later(start_at, n_hours), last_at)
            found = self._readings(entity_id, start_at, until_at, epochs)
            if until_at == last_at or np.count_nonzero(marked(found)) >= n_needed:
                return found
            n_hours *= 2

    def _readings(
        self, entity_id: int, start_at: datetime, end_at: datetime, epochs: Sequence[SensorChange]
    ) -> _Readings:
        config = self._config
        blocks = read_blocks(
            self._store, self._layout, [entity_id], start_at, end_at, changes=epochs
        )
        values = np.asarray(blocks.values[0][:, self._columns], np.float64)
        hold_steps = [channel.hold_s // self._step_s for channel in config.source.channels.values()]
        grace = config.startup_grace_s // self._step_s
        state = running_state(
            held(values, hold_steps), config.running_when, config.channel_names, grace
        )
        return _Readings(start_at, values, np.asarray(state == 0, np.bool_), blocks.checksums[0])

    def _n_steps(self, hours: float) -> int:
        return max(1, -(-int(hours * 3600) // self._step_s))

    def _column(self, channel_id: int) -> int:
        return self._columns.index(self._layout.channel_ids.index(channel_id))
