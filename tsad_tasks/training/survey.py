"""A first look at the readings of a training range, and the scales that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.arrays import Flags
from tsad_tasks.base.errors import BadInput
from tsad_tasks.config import DEFAULT_WINDOW, DatasetConfig
from tsad_tasks.ingest.proposed_events import Rate, rare_events
from tsad_tasks.ingest.signals import channel_circles
from tsad_tasks.model.experience import with_conditions
from tsad_tasks.model.features import Scaler, fit_scaler, held, pooled_scaler
from tsad_tasks.model.weekdays import dates_seen, times_seen
from tsad_tasks.training.commissioning import Commissioning, Level, enough_s
from tsad_tasks.training.exclusions import NOTHING, OTHER_SETTINGS, LeftOut, counted, left_out_of
from tsad_tasks.training.queries import Exclusion
from tsad_tasks.training.reader import Scope, TrainingRange, TrainingReader

SHORTEST_PERIOD, LONGEST_PERIOD, MAX_PERIOD_ENTITIES = 5, 60, 24
# What a channel that never moved does for less than this, all in all, is no new place of it.
LASTING_S = 3600


@dataclass(frozen=True)
class Survey:
    """What a first look at the readings of a scope says.

    Attributes
    ----------
    exclusions : what is left out.
    left_out : how much that is.
    hours : by entity name, running hours that are learned from.
    scalers : by entity name, of all that ran.
    levels : channels beside their commissioning references.
    weekdays : how often each weekday was seen by some entity, on the clocks of the site; Monday
        comes first.
    events : by channel of events how many there were, in how long.
    """

    exclusions: list[Exclusion]
    left_out: LeftOut
    hours: dict[str, float]
    scalers: dict[str, Scaler]
    levels: list[Level]
    weekdays: list[int] = field(default_factory=list)
    events: dict[str, Rate] = field(default_factory=dict)

    def rare_events(self, config: DatasetConfig) -> list[str]:
        """What to say of events of which nearly no step has one."""
        found = [rare_events(config, name, rate) for name, rate in self.events.items()]
        return [one for one in found if one]


def surveyed(
    reader: TrainingReader,
    scope: Scope,
    commissioning: Commissioning | None = None,
    look: Callable[[int, NDArray[np.float64]], None] | None = None,
) -> Survey:
    """A first look at the readings of a scope, entity by entity.

    Parameters
    ----------
    look : is told each entity's id and what is learned, (n_steps, n_channels), NaN: left out.
    """
    config, split = reader.config, reader.step(reader.span.split_at)
    n_enough = int(enough_s(config)) // config.step_s
    lost = counted(reader.exclusions, config)
    found, left_out = Survey(list(reader.exclusions), NOTHING, {}, {}, []), NOTHING
    local_s, dates = reader.local_hours, np.zeros(0, np.int64)
    for name, key, values in reader.whole_ranges(scope.entities):
        running = reader.running(values)
        usable = running & ~reader.excluded(key, reader.span.whole)
        clean = np.where(usable[:, None], values, np.nan)
        left_out += left_out_of(reader, key, running, lost)
        is_read = np.asarray(np.isfinite(values).any(axis=1), np.bool_)
        off = hourly(is_read, config) & ~hourly(running, config)
        dates = np.union1d(dates, dates_seen(hourly(usable, config), off, local_s))
        found.hours[name] = float(usable[:split].sum()) * config.step_s / 3600
        for channel, position in zip(config.event_channels, config.event_positions, strict=True):
            known = clean[:split, position][np.isfinite(clean[:split, position])]
            before = found.events.get(channel, Rate(0, 0.0))
            found.events[channel] = Rate(
                before.n_events + int(known.sum()),
                before.seconds + float(len(known) * config.step_s),
            )
        if usable[:split].any():
            learned = clean[:split], config.features.scaling, n_enough
            scaler = fit_scaler(
                *learned, channel_circles(config, config.model_names), config.event_positions
            )
            scaler = _with_later(scaler, held(clean[split:], reader.spec.hold_steps), config.step_s)
            if config.conditions:
                scaler = with_conditions(scaler, reader.spec, clean)
            if unseen := reader.spec.unseen.tolist():
                # No entity has what no input is made of.
                scaler = replace(scaler, not_fitted=tuple(sorted({*scaler.not_fitted, *unseen})))
            found.scalers[name] = scaler
        if commissioning is not None:
            found.levels.extend(commissioning.levels(reader, (name, key), clean))
        if look is not None:
            look(key, clean[:split])
    return replace(found, left_out=left_out, weekdays=times_seen(dates))


def hourly(steps: Flags, config: DatasetConfig) -> Flags:
    """Whether some step of each hour is marked, (n_hours,)."""
    return np.asarray(steps.reshape(-1, 3600 // config.step_s).any(axis=1), np.bool_)


def _with_later(scaler: Scaler, values: NDArray[np.float64], step_s: int) -> Scaler:
    """The scaler, knowing where channels that never moved went after the split, and stayed.

    It has no scale for that, as nothing was learned of it; but it is no news any more.
    """
    if 0.0 not in scaler.scale:
        return scaler
    moved, values = scaler.moved(values), scaler.around_centers(values)
    moved &= np.count_nonzero(moved, axis=0) * step_s >= LASTING_S
    low, high = (np.where(moved, values, end) for end in (np.inf, -np.inf))
    return scaler.seen_between(low.min(axis=0, initial=np.inf), high.max(axis=0, initial=-np.inf))


@dataclass(frozen=True)
class Scales:
    """Scales of a training range.

    Attributes
    ----------
    own : by entity name, of entities with enough running time of their own.
    pooled : for all others.
    running_hours : by entity name, in the part that is learned from.
    """

    own: Mapping[str, Scaler]
    pooled: Scaler
    running_hours: Mapping[str, float]

    def of(self, entity: str) -> Scaler:
        """The scaler of an entity: its own, or the pooled one."""
        return self.own.get(entity, self.pooled)


def scales_of(config: DatasetConfig, span: TrainingRange, survey: Survey) -> Scales:
    """Scales from the part of the range that is learned from.

    Raises
    ------
    BadInput
        When there is less running time than `training.min_hours`.
    """
    n_hours = sum(survey.hours.values())
    if n_hours < config.training.min_hours:
        again = (
            " What was read by other settings is left out; how it is read again: "
            f"tsad datasets check {config.dataset}"
        )
        raise BadInput(
            f"Expected at least {config.training.min_hours:g} running hours of {config.dataset} in "
            f"[{span.start_at:%Y-%m-%d %H:%M}, {span.split_at:%Y-%m-%d %H:%M}) UTC. "
            f"Received: {n_hours:.1f}. Set a training.range that readings fill, or lower "
            "training.min_hours." + again * (OTHER_SETTINGS in survey.left_out.by_reason)
        )
    needed_s, hours = enough_s(config), survey.hours
    own = {name: one for name, one in survey.scalers.items() if hours[name] * 3600 >= needed_s}
    pooled = pooled_scaler(list(survey.scalers.values()), config.features.scaling)
    return Scales(own, pooled, survey.hours)


def period_window(n_entities: int, periods: Sequence[int | None]) -> int:
    """Steps of a window that holds the usual period; the default where most entities have none.

    >>> period_window(3, [12, None, 13]), period_window(3, [12, None, None]) == DEFAULT_WINDOW
    (13, True)
    """
    known = sorted(one for one in periods if one is not None and one >= SHORTEST_PERIOD)
    return known[len(known) // 2] if 2 * len(known) > n_entities else DEFAULT_WINDOW
