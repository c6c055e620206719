"""What a training reads: for which entities, over which range, and without what is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.errors import NothingToDo
from tsad_tasks.base.interval import Interval, hour_ceil, hours_later, unix_s
from tsad_tasks.config import DatasetConfig, holidays_of
from tsad_tasks.detectors.folding.fold import Series
from tsad_tasks.detectors.registry import detector_class
from tsad_tasks.model.experience import condition_inputs, settling
from tsad_tasks.model.features import SUNDAY, Scaler, held, rest_days, running_state, site_seconds
from tsad_tasks.model.scoring import columns_of
from tsad_tasks.model.spec import FeatureSpec
from tsad_tasks.model.windows import batches
from tsad_tasks.scoring.partial import without_partial
from tsad_tasks.storage.datasets import select_dataset, select_entities, select_layouts
from tsad_tasks.storage.readings import read_blocks
from tsad_tasks.storage.store import Store
from tsad_tasks.training.held_out import HeldOut
from tsad_tasks.training.queries import Exclusion

LABEL_MARGIN_S, LABEL_REASON, CONFIRMED_REASON = 1800, "label: ", "verdict: confirmed"
# Counted, not a range: windows with such a value are not learned from.
EXTREME_REASON = "extreme values"
FEW_WINDOWS = 50
DAY_S, WEEK_S = 86400, 604800
# As many entities are read at once as have so many values: each query costs some milliseconds, and
# three copies of what it gives are in memory for a moment.
VALUES_TOGETHER = 1 << 20

# Names and ids.
Entities = tuple[tuple[str, int], ...]
# Readings float64 (n_entities, n_steps, n_channels) of entity ids, from one whole hour to another.
Read = Callable[[Sequence[int], datetime, datetime], NDArray[np.float64]]


@dataclass(frozen=True)
class Scope:
    """What one model is for: all entities (entity_id 0) or one of them."""

    entity_id: int
    name: str
    entities: Entities


def training_scopes(store: Store, config: DatasetConfig) -> list[Scope]:
    """The scopes that a retraining of the dataset has."""
    dataset = select_dataset(store, config.dataset)
    entities = tuple(sorted(select_entities(store, dataset.dataset_id).items()))
    if not entities:
        expected = f"Expected readings of {config.dataset} to train on."
        raise NothingToDo(f"{expected} Received: no entity yet; ingest first.")
    if config.detector.scope == "dataset":
        return [Scope(0, "all", entities)]
    return [Scope(key, name, ((name, key),)) for name, key in entities]


@dataclass(frozen=True)
class TrainingRange:
    """A range, cut by time: learn from [start_at, split_at), calibrate and gate on the rest."""

    start_at: datetime
    split_at: datetime
    gate_at: datetime
    end_at: datetime

    @property
    def whole(self) -> Interval:
        """All of it."""
        return Interval(self.start_at, self.end_at)

    @property
    def held_out(self) -> Interval:
        """What is not learned from."""
        return Interval(self.split_at, self.end_at)


def training_range(config: DatasetConfig, end_at: datetime) -> TrainingRange:
    """The rolling range up to `end_at`, whole hours; the last `validation_share` is held out.

    The first half of that is for calibration, or a whole week where that leaves the gate a day or
    more: a week has Mondays and Sundays, and limits that have not seen them cry wolf on them. The
    rest is only for the gate.
    """
    training, end = config.training, hour_ceil(end_at)
    held_s = max(int(training.range_s * training.validation_share) // 7200 * 7200, 7200)
    gate_s = held_s // 2
    if held_s >= WEEK_S + DAY_S:
        gate_s = min(gate_s, held_s - WEEK_S)
    return TrainingRange(
        hour_ceil(end - timedelta(seconds=training.range_s)),
        end - timedelta(seconds=held_s),
        end - timedelta(seconds=gate_s),
        end,
    )


@dataclass(frozen=True)
class FoldGroup:
    """Entities, by name and id, that share one range to learn from and to be held out."""

    entities: Entities
    span: TrainingRange


def feature_spec_of(config: DatasetConfig) -> FeatureSpec:
    """The features that a model trained now would have."""
    step_s, features = config.step_s, config.features
    holidays, rest_weekday = holidays_of(features.holidays) if features.holidays else ((), SUNDAY)
    return FeatureSpec(
        channels=config.model_names,
        hold_steps=config.hold_steps(config.model_names),
        step_s=step_s,
        site_zone=config.site_zone,
        width=1 if detector_class(config.detector.name).folds else config.detector.n_steps,
        min_coverage=config.detector.min_coverage,
        running_when=config.running_when,
        grace_steps=config.startup_grace_s // step_s,
        rolling_mean=tuple(features.rolling_mean),
        lag=tuple(features.lag),
        diff=tuple(features.diff),
        cyclic=tuple(features.cyclic),
        holidays=holidays,
        rest_weekday=rest_weekday,
        signals=config.signals,
        units=config.signal_units,
        roles=config.roles,
        settle_steps=config.settle_steps,
        learned_steps=config.features.learned_after_s // step_s if config.roles else 0,
        folds_under=bool(config.conditions) and detector_class(config.detector.name).folds_under,
    )


def is_known(part: Exclusion) -> bool:
    """Whether an exclusion is a known anomaly, from which a supervised detector learns."""
    return part.reason.startswith(LABEL_REASON) or part.reason == CONFIRMED_REASON


def evenly(ends: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """At most `n` of the ends, evenly over time.

    >>> evenly(np.arange(10), 4)
    array([0, 3, 6, 9])
    """
    if len(ends) <= n:
        return ends
    return ends[np.unique(np.linspace(0, len(ends) - 1, n).round().astype(np.int64))]


def stored_readings(
    store: Store, config: DatasetConfig, channels: Sequence[str] | None = None
) -> Read:
    """What was ingested, but steps of counters that are partial; of the dataset's channels, unless
    others are named.
    """
    dataset, names = select_dataset(store, config.dataset), channels or config.model_names
    layout = select_layouts(store, dataset.dataset_id)[0]
    columns = [layout.channel_names.index(name) for name in names]

    def read(
        entity_ids: Sequence[int], start_at: datetime, end_at: datetime
    ) -> NDArray[np.float64]:
        values = read_blocks(store, layout, entity_ids, start_at, end_at).values
        is_whole = columns == list(range(values.shape[2]))
        chosen = values if is_whole else np.ascontiguousarray(values[:, :, columns])
        # No model judges them, and none is to learn that so little is consumed.
        of_step = names, config.step_s, entity_ids
        has_partial = any(one.is_counter for one in config.channels.values())
        return without_partial(store, *of_step, chosen, start_at) if has_partial else chosen

    return read


class TrainingReader:
    """Readings of a training range, without what is left out."""

    def __init__(
        self,
        read: Read,
        config: DatasetConfig,
        span: TrainingRange,
        exclusions: Sequence[Exclusion],
        channels: Sequence[str] | None = None,
    ) -> None:
        self.channels = tuple(channels or config.model_names)
        self.config, self.span, self.exclusions = config, span, exclusions
        self.of_channels = [part for part in exclusions if part.channel is not None]
        self.read = self._without_channels(read) if self.of_channels else read
        self.spec = feature_spec_of(config)
        kind = detector_class(config.detector.name)
        self.is_supervised, self.folds = kind.supervised, kind.folds

    @classmethod
    def of_store(
        cls,
        store: Store,
        config: DatasetConfig,
        span: TrainingRange,
        exclusions: Sequence[Exclusion],
        channels: Sequence[str] | None = None,
    ) -> TrainingReader:
        """What was ingested; of the dataset's channels, unless others are named."""
        return cls(stored_readings(store, config, channels), config, span, exclusions, channels)

    def _without_channels(self, read: Read) -> Read:
        """The same readings, unknown where one channel of an entity is left out."""

        def without(
            entity_ids: Sequence[int], start_at: datetime, end_at: datetime
        ) -> NDArray[np.float64]:
            values = read(entity_ids, start_at, end_at).copy()
            for values_of, entity_id in zip(values, entity_ids, strict=True):
                values_of[self.channels_out(entity_id, Interval(start_at, end_at))] = np.nan
            return values

        return without

    def channels_out(self, entity_id: int, ends: Interval) -> NDArray[np.bool_]:
        """bool (n_steps, n_channels), where one channel of an entity is left out."""
        names = self.channels
        n_steps = (unix_s(ends.end_at) - unix_s(ends.start_at)) // self.config.step_s
        found = np.zeros((n_steps, len(names)), bool)
        for name in {part.channel for part in self.of_channels} & {*names}:
            own = [replace(part, channel=None) for part in self.of_channels if part.channel == name]
            found[:, names.index(name)] = self._marked(entity_id, ends, own, 0)
        return found

    def on(self, span: TrainingRange) -> TrainingReader:
        """The same readings, cut at other times."""
        return TrainingReader(self.read, self.config, span, self.exclusions, self.channels)

    def step(self, at: datetime) -> int:
        """How many steps after the beginning of the range a moment is."""
        return (unix_s(at) - unix_s(self.span.start_at)) // self.spec.step_s

    @property
    def local_hours(self) -> NDArray[np.int64]:
        """Seconds since 1970 on the clocks of the site of each hour of the range, (n_hours,)."""
        first_s, end_s = (unix_s(at) for at in self.span.whole)
        return site_seconds(np.arange(first_s, end_s, 3600, dtype=np.int64), self.spec.zone)

    def whole_ranges(self, entities: Entities) -> Iterator[tuple[str, int, NDArray[np.float64]]]:
        """Name, id and readings (n_steps, n_channels) of each entity over the range, read once."""
        n_values = max(1, self.step(self.span.end_at) * len(self.spec.channels))
        for part in batches(len(entities), max(1, VALUES_TOGETHER // n_values)):
            chosen = entities[part]
            keys = [key for _, key in chosen]
            values = self.read(keys, *self.span.whole)
            for (name, key), of_it in zip(chosen, values, strict=True):
                yield name, key, of_it

    def values(self, entity_id: int, ends: Interval) -> NDArray[np.float64]:
        """Readings (n_steps, n_channels) of an entity, of whole hours."""
        return np.asarray(self.read([entity_id], *ends)[0], np.float64)

    def excluded(
        self, entity_id: int, ends: Interval, exclusions: Sequence[Exclusion] | None = None
    ) -> NDArray[np.bool_]:
        """bool (n_steps,), which steps of an entity are left out; for all reasons, or for some."""
        chosen = self.exclusions if exclusions is None else exclusions
        ranges = [part for part in chosen if part.reason != EXTREME_REASON and part.channel is None]
        return self._marked(entity_id, ends, ranges, 0)

    def labelled(self, entity_id: int, ends: Interval) -> NDArray[np.bool_]:
        """bool (n_steps,), which steps are known anomalies, without the margin that is excluded."""
        labels = [part for part in self.exclusions if is_known(part)]
        return self._marked(entity_id, ends, labels, LABEL_MARGIN_S)

    def _marked(
        self, entity_id: int, ends: Interval, parts: Sequence[Exclusion], margin_s: int
    ) -> NDArray[np.bool_]:
        first_s, step_s = unix_s(ends.start_at), self.config.step_s
        marked = np.zeros((unix_s(ends.end_at) - first_s) // step_s, bool)
        for part in (part for part in parts if part.entity_id == entity_id):
            first = (unix_s(part.start_at) + margin_s - first_s) // step_s
            end = -(-(unix_s(part.end_at) - margin_s - first_s) // step_s)
            marked[max(0, first) : max(0, end)] = True
        return marked

    def not_learned(self, entity_id: int, ends: Interval) -> NDArray[np.bool_]:
        """bool (n_steps,), no window to learn from may hold it; labels teach who is supervised."""
        others = [part for part in self.exclusions if not (self.is_supervised and is_known(part))]
        return self.excluded(entity_id, ends, others)

    def _known(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Readings held as long as they may be, and which steps (n_steps,) the machine runs."""
        spec, known = self.spec, held(values, self.spec.hold_steps)
        state = running_state(known, spec.running_when, spec.channels, spec.grace_steps)
        state = settling(spec, known[None], state[None])[0]
        return known, np.asarray(state == 0, np.bool_)

    def running(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """bool (n_steps,), which of readings (n_steps, n_channels) are of the running machine."""
        known, runs = self._known(values)
        return np.asarray(np.isfinite(known).any(axis=1) & runs, np.bool_)

    def clean(
        self, entity_id: int, ends: Interval
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Readings, and which steps are read, running and not excluded."""
        values = self.values(entity_id, ends)
        return values, self.running(values) & ~self.excluded(entity_id, ends)

    def series(self, entity_id: int, scaler: Scaler, ends: Interval) -> Series:
        """What a folding detector learns from: readings, unknown where they are excluded."""
        known, runs = self._known(self.values(entity_id, ends))
        is_seen = runs & ~self.excluded(entity_id, ends)
        columns = columns_of(self.spec, [scaler], known[None])[0]
        seen = np.where(is_seen[:, None], columns, np.float32(np.nan))
        step_s = self.spec.step_s
        times_s = unix_s(ends.start_at) + np.arange(len(seen), dtype=np.int64) * step_s
        local_s = site_seconds(times_s, self.spec.zone)
        weekdays = rest_days(local_s, *self.spec.calendar)
        conditions = None
        if self.spec.folds_under:
            inputs, is_told = condition_inputs(self.spec, [scaler], known[None])
            conditions = np.where(is_told[..., None], inputs.astype(np.float64), np.nan)
        values = seen[None].astype(np.float64)
        return Series(values, local_s, step_s, weekdays, conditions=conditions)

    @property
    def calibrates_on_learned(self) -> bool:
        """Whether calibration sees what was learned from, too.

        A few days of an hourly sensor are a handful of windows that do not overlap: they say too
        little about what is normal. What was learned from says more, if too favourably.
        """
        few_s = FEW_WINDOWS * self.spec.width * self.spec.step_s
        is_short = unix_s(self.span.gate_at) - unix_s(self.span.split_at) < few_s
        # A folding detector's state is that of the split.
        return (is_short or self.config.threshold.kind == "training") and not self.folds

    @property
    def held_out_from(self) -> datetime:
        """Where held-out readings begin, with those that calibration and windows look back at."""
        if self.calibrates_on_learned:
            return self.span.start_at
        reach_hours = 0 if self.folds else self.spec.reach_hours
        return max(self.span.start_at, hours_later(self.span.split_at, -reach_hours))

    def held_out(
        self, name: str, entity_id: int, values: NDArray[np.float64] | None = None
    ) -> HeldOut | None:
        """Held-out readings of an entity, with those before them that they need; None: none.

        Parameters
        ----------
        values : (n_steps, n_channels) from `held_out_from` on; None: they are read.
        """
        span, spec = self.span, self.spec
        ends = Interval(self.held_out_from, span.end_at)
        if values is None:
            values = self.values(entity_id, ends)
        start_s = unix_s(ends.start_at)
        first, gate = (
            (unix_s(at) - start_s) // spec.step_s for at in (span.split_at, span.gate_at)
        )
        steps = np.arange(len(values))
        clean = ~self.excluded(entity_id, ends)
        # One window between what was learned and what is judged, so that no reading is in both.
        after = steps >= first + spec.width
        judged = clean & after
        if not np.isfinite(values[judged]).any():
            return None
        learned = clean & (steps < first) & self.calibrates_on_learned
        known = self.labelled(entity_id, ends) & after
        gated, labels = judged & (steps >= gate), known & (steps < gate)
        return HeldOut(name, values, start_s, judged, gated, learned, labels, known)
