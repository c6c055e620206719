"""Verdicts on sensors for hours whose readings changed, from the hour itself and a fixed look-back.

What is usual for a sensor is taken from the same hour of the seven days before; what came just
before, from the hour before. So a change in one hour may change the verdicts of the next hour and
of the same hour of the next seven days. A channel is dead only from the hour of its first value on:
before that the entity does not have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.interval import HOUR, from_unix_s, unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.quality import MOVED_SPREADS, STUCK_STEPS, quality_verdicts
from tsad_tasks.ingest.queries import DELETE_QUALITY, INSERT_QUALITY, SensorVerdict
from tsad_tasks.ingest.signals import channel_circles
from tsad_tasks.model.circle import Circle
from tsad_tasks.storage.datasets import Layout
from tsad_tasks.storage.fitted import first_values
from tsad_tasks.storage.readings import read_raw_blocks
from tsad_tasks.storage.store import Store, columns

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]

PREVIOUS_H = 1
REFERENCE_H = tuple(24 * day for day in range(1, 8))
_SEEN_H = (0, PREVIOUS_H, *REFERENCE_H)
MIN_REFERENCE = 30
_GROUP_BYTES = 64 << 20


def dependent_hours(hours: Sequence[datetime]) -> list[datetime]:
    """`hours` and those whose verdicts look back at them, ascending."""
    return sorted({hour + n * HOUR for hour in hours for n in _SEEN_H})


def judge_hours(
    store: Store,
    config: DatasetConfig,
    layout: Layout,
    entity_ids: Sequence[int],
    hours: Sequence[datetime],
) -> int:
    """How many verdicts on these entities and hours, replacing former ones. Needs their locks."""
    if not len(entity_ids) or not hours:
        return 0
    needed = sorted({unix_s(hour - n * HOUR) for hour in hours for n in _SEEN_H})
    runs = np.split(np.array(needed), np.flatnonzero(np.diff(needed) != 3600) + 1)
    size = max(1, _GROUP_BYTES // (len(needed) * layout.n_steps * len(layout.channel_ids) * 8))
    verdicts: list[SensorVerdict] = []
    for first in range(0, len(entity_ids), size):
        ids = entity_ids[first : first + size]
        blocks: dict[datetime, Float] = {}
        for run in runs:
            start_at, end_at = from_unix_s(run[0]), from_unix_s(run[-1]) + HOUR
            values = read_raw_blocks(store, layout, ids, start_at, end_at).values
            for at_s, block in zip(run, np.split(values, len(run), axis=1), strict=True):
                blocks[from_unix_s(at_s)] = block
        first_s = first_values(store, ids, layout.channel_ids)
        for hour in hours:
            fitted = first_s <= unix_s(hour)
            verdicts += _hour_verdicts(config, layout, ids, hour, blocks, fitted)
    store.execute(DELETE_QUALITY, entity_ids=list(entity_ids), hours=list(hours))
    store.execute(INSERT_QUALITY, **columns(verdicts, SensorVerdict))
    return len(verdicts)


def _hour_verdicts(
    config: DatasetConfig,
    layout: Layout,
    entity_ids: Sequence[int],
    hour: datetime,
    blocks: dict[datetime, Float],
    fitted: Mask,
) -> list[SensorVerdict]:
    """Verdicts on one hour, of blocks by hour, each (n_entities, n_steps, n_channels); `fitted`
    (n_entities, n_channels) says which channels the entities have by then.
    """
    columns = [layout.channel_names.index(name) for name in config.channel_names]
    circles = channel_circles(config)
    is_angle = np.array([circle is not None for circle in circles] or [False] * len(columns))
    ranges = [channel.sensor_range for channel in config.channels.values()]
    # Of an angle one end of the range is the other; what is no angle was not taken.
    low, high = np.where(is_angle, np.nan, np.array(ranges, np.float64).T)
    on_change = reported_on_change(config)
    values, previous = (blocks[hour - n * HOUR][:, :, columns] for n in (0, PREVIOUS_H))
    reference = [blocks[hour - n * HOUR][:, :, columns] for n in REFERENCE_H]
    median, spread = usual_level(_turned(np.concatenate(reference, axis=1), circles))
    # Its level tells nothing of its unit.
    median = np.where(is_angle, np.nan, median)
    verdicts = []
    fitted = fitted[:, columns]
    looked_at = suspects(values, previous, low, high, median, spread, fitted)
    for i in np.flatnonzero(looked_at).tolist():
        usual = {"reference_median": median[i], "reference_spread": spread[i], "fitted": fitted[i]}
        usual["on_change"] = on_change
        for found in quality_verdicts(values[i], previous[i], low=low, high=high, **usual):
            channel_id = layout.channel_ids[columns[found.channel_index]]
            verdicts.append(SensorVerdict(entity_ids[i], hour, channel_id, *found[1:]))
    return verdicts


def _turned(reference: Float, circles: Sequence[Circle | None]) -> Float:
    """Values (n_entities, n_steps, n_channels), of angles how far they are from the first one."""
    for position, circle in enumerate(circles):
        if circle is not None:
            column = reference[:, :, position]
            first = (~np.isnan(column)).argmax(axis=1)[:, None]
            turned = circle.difference(column, np.take_along_axis(column, first, axis=1))
            reference[:, :, position] = turned
    return reference


def reported_on_change(config: DatasetConfig) -> Mask:
    """Channels (n_channels,) of which a value that stays for an hour says nothing.

    They are valid until they change, or for so long that a sensor would be called stuck; or they
    are conditions, which nobody judges.
    """
    enough_s = min(STUCK_STEPS * config.step_s, HOUR.total_seconds())
    given = [channel.valid_for_s for channel in config.channels.values()]
    stays = np.array([isinstance(valid_s, str) or valid_s >= enough_s for valid_s in given])
    is_condition = [one.role.is_condition for one in config.channels.values()]
    return np.asarray(stays | np.array(is_condition), np.bool_)


def suspects(
    values: Float,
    previous: Float,
    low: Float,
    high: Float,
    median: Float,
    spread: Float,
    fitted: Mask,
) -> Mask:
    """Entities (n_entities,) that may have a verdict at all: a quick look before the thorough one.

    Parameters
    ----------
    values, previous : (n_entities, n_steps, n_channels)
    low, high : (n_channels,)
    median, spread, fitted : (n_entities, n_channels)
    """
    both = np.concatenate([previous, values], axis=1)
    has_gaps = np.isnan(both).any(axis=1) & fitted
    at_range = ((values <= low) | (values >= high)).any(axis=1)
    n_equal = (np.diff(both, axis=1) == 0).sum(axis=1)
    is_still = (n_equal >= STUCK_STEPS - 1) | (n_equal == both.shape[1] - 1)
    level, before = np.median(values, axis=1), np.median(previous, axis=1)
    has_moved = np.maximum(np.abs(level - median), np.abs(level - before)) > MOVED_SPREADS * spread
    found: Mask = (has_gaps | at_range | is_still | has_moved).any(axis=1)
    return found


def usual_level(reference: Float) -> tuple[Float, Float]:
    """Median and robust standard deviation by entity and channel; NaN with fewer than 30 values.

    >>> median, spread = usual_level(np.arange(40.0).reshape(1, 40, 1))
    >>> float(median[0, 0]), round(float(spread[0, 0]), 2)
    (19.5, 14.83)
    """
    n_values = (~np.isnan(reference)).sum(axis=1)
    median = _medians(reference, n_values)
    spread = 1.4826 * _medians(np.abs(reference - median[:, None, :]), n_values)
    known = n_values >= MIN_REFERENCE
    return np.where(known, median, np.nan), np.where(known, spread, np.nan)


def _medians(values: Float, n_values: NDArray[np.int64]) -> Float:
    # NaN sorts last, so the first n_values of each are the known ones.
    ordered = np.sort(values, axis=1)
    places = (np.maximum(n_values + k, 0)[:, None, :] // 2 for k in (-1, 0))
    low, high = (np.take_along_axis(ordered, place, axis=1)[:, 0, :] for place in places)
    medians: Float = np.where(n_values > 0, (low + high) / 2, np.nan)
    return medians
