"""Verdicts on sensors for hours whose readings changed, from the hour itself and a fixed look-back.

What is usual for a sensor is taken from summaries of the hours `AGES` before, which are stored with
the readings: a verdict is a function of the readings up to its hour. So a change in one hour may
change the verdicts of the hours that look back at it. A channel is dead only from the hour of its
first value on: before that the entity does not have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.enums import QualityVerdict
from tsad_tasks.base.interval import HOUR, from_unix_s, unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.config.dataset import OTHER
from tsad_tasks.ingest.counter import DETAILS, MARKS
from tsad_tasks.ingest.grid import Gridded
from tsad_tasks.ingest.quality import (
    AGES,
    STUCK_STEPS,
    LookBack,
    SensorFinding,
    sensor_findings,
)
from tsad_tasks.ingest.queries import (
    DELETE_MARKS,
    DELETE_QUALITY,
    INSERT_QUALITY,
    SensorVerdict,
)
from tsad_tasks.model.hour_summary import SUMMARY
from tsad_tasks.storage.datasets import Layout
from tsad_tasks.storage.fitted import NEVER_S, first_values
from tsad_tasks.storage.readings import read_raw_blocks, read_summaries
from tsad_tasks.storage.store import Store, columns

Mask = NDArray[np.bool_]

_SEEN_H = (0, *AGES)
_GROUP_BYTES = 64 << 20
_SATURDAY = 5


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
    needed_s = np.array(sorted({unix_s(hour - n * HOUR) for hour in hours for n in _SEEN_H}))
    needed = [from_unix_s(at_s) for at_s in needed_s.tolist()]
    of_entity = (len(needed) + len(AGES)) * len(layout.channel_ids) * SUMMARY.itemsize
    size = max(1, _GROUP_BYTES // of_entity)
    # A state that nobody knows may have no number: what is known of a discrete channel is a share.
    shares = {one.channel: one.name for one in config.state_columns if one.state == OTHER}
    names = [shares.get(name, name) for name in config.channel_names]
    own = [layout.channel_names.index(name) for name in names]
    ids_of = dict(zip(layout.channel_names, layout.channel_ids, strict=True))
    channel_ids = [ids_of[name] for name in config.channel_names]
    verdicts: list[SensorVerdict] = []
    for first in range(0, len(entity_ids), size):
        ids = entity_ids[first : first + size]
        seen = read_summaries(store, layout, ids, needed)[:, :, own]
        first_s = first_values(store, ids, layout.channel_ids)[:, own]
        for hour in hours:
            at = np.searchsorted(needed_s, [unix_s(hour - n * HOUR) for n in _SEEN_H])
            look = _look_back(config, layout, hour, seen[:, at], first_s)
            found = _with_steps_outside(store, layout, ids, hour, own, look)
            for one in found:
                channel_id = channel_ids[one.channel_index]
                said = one.verdict, one.n_steps, one.detail
                verdicts.append(SensorVerdict(ids[one.entity_index], hour, channel_id, *said))
    kept = [str(one) for one in MARKS]
    store.execute(DELETE_QUALITY, entity_ids=list(entity_ids), hours=list(hours), kept=kept)
    store.execute(INSERT_QUALITY, **columns(verdicts, SensorVerdict))
    return len(verdicts)


def mark_hours(
    store: Store,
    config: DatasetConfig,
    layout: Layout,
    entity_ids: Sequence[int],
    hours: Sequence[datetime],
    gridded: Gridded,
) -> int:
    """How many marks on counters of entities and hours that were read, replacing former ones.

    Needs their locks. Hours in which an entity has no row keep what was said of them.
    """
    n_cells = gridded.present.size // max(1, len(entity_ids) * len(hours))
    by_hour = (len(entity_ids), len(hours), n_cells)
    entity, hour = np.nonzero(gridded.present.reshape(by_hour).any(axis=2))
    whose = [entity_ids[i] for i in entity.tolist()], [hours[i] for i in hour.tolist()]
    words = [str(one) for one in MARKS]
    store.execute(DELETE_MARKS, entity_ids=whose[0], hours=whose[1], marks=words)
    if gridded.marks is None:
        return 0
    ids = [layout.channel_ids[layout.channel_names.index(name)] for name in config.channel_names]
    found = [
        SensorVerdict(entity_ids[i], hours[h], ids[k], MARKS[mark], n, DETAILS[MARKS[mark]])
        for mark, i, h, k in np.argwhere(gridded.marks).tolist()
        if (n := int(gridded.marks[mark, i, h, k]))
    ]
    store.execute(INSERT_QUALITY, **columns(found, SensorVerdict))
    return len(found)


def _look_back(
    config: DatasetConfig,
    layout: Layout,
    hour: datetime,
    seen: NDArray[np.void],
    first_s: NDArray[np.int64],
) -> LookBack:
    """Of summaries (n_entities, 1 + n_ages, n_channels) of an hour and of those before it."""
    ranges = [channel.sensor_range for channel in config.channels.values()]
    channels = config.channels.values()
    # What is stored of a total or of events is no level that a sensor could be stuck at.
    is_amount = np.array([one.is_counter or one.counts_events for one in channels])
    # Of an angle one end of the range is the other, and what is no angle was not taken; states have
    # neither a range nor a level.
    no_level = is_amount | [one.circle is not None or bool(one.state_codes) for one in channels]
    low, high = np.where(no_level, np.nan, np.array(ranges, np.float64).T)
    hold_s = np.array([channel.hold_s for channel in config.channels.values()], np.float64)
    return LookBack(
        seen[:, 0],
        seen[:, 1:],
        layout.n_steps,
        low,
        high,
        np.where(first_s < NEVER_S, (unix_s(hour) - first_s) // 3600, -1),
        reported_on_change(config) | is_amount,
        hold_s / 3600,
        hour.astimezone(ZoneInfo(config.site_zone)).weekday() >= _SATURDAY,
        no_level,
    )


def _with_steps_outside(
    store: Store,
    layout: Layout,
    entity_ids: Sequence[int],
    hour: datetime,
    own: Sequence[int],
    look: LookBack,
) -> list[SensorFinding]:
    """The findings; how many steps are outside of a range is counted in the readings themselves."""
    found = sensor_findings(look)
    outside = [one for one in found if one.verdict is QualityVerdict.OUT_OF_RANGE]
    if not outside:
        return found
    places = sorted({one.entity_index for one in outside})
    ids = [entity_ids[place] for place in places]
    values = read_raw_blocks(store, layout, ids, hour, hour + HOUR).values[:, :, own]
    n_outside = ((values < look.low) | (values > look.high)).sum(axis=1)
    return [
        one._replace(n_steps=int(n_outside[places.index(one.entity_index), one.channel_index]))
        if one.verdict is QualityVerdict.OUT_OF_RANGE
        else one
        for one in found
    ]


def reported_on_change(config: DatasetConfig) -> Mask:
    """Channels (n_channels,) of which a value that stays for an hour says nothing.

    They are valid until they change, or for so long that a sensor would be called stuck; or they
    are states, or conditions, which nobody judges.
    """
    enough_s = min(STUCK_STEPS * config.step_s, HOUR.total_seconds())
    channels = config.channels.values()
    given = [channel.valid_for_s for channel in channels]
    stays = [isinstance(valid_s, str) or valid_s >= enough_s for valid_s in given]
    unjudged = [bool(one.state_codes) or one.role.is_condition for one in channels]
    return np.asarray(np.array(stays) | np.array(unjudged), np.bool_)
