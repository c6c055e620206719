"""Why nobody is told that a machine is silent: it was off, or in maintenance, when it stopped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from tsad_tasks.base.interval import HOUR, hour_floor, unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.feedback.maintenance import maintenance_of
from tsad_tasks.model.features import running_state
from tsad_tasks.model.windows import OFF, RUNNING_UNKNOWN
from tsad_tasks.notifications.silences import QuietEntity
from tsad_tasks.storage.datasets import DatasetRow, select_layouts
from tsad_tasks.storage.readings import read_blocks
from tsad_tasks.storage.store import Store

# So long before its last hour with rows the last word on whether a machine runs is looked for.
_RUNNING_BACK = timedelta(hours=24)


def excused(
    store: Store, config: DatasetConfig, dataset: DatasetRow, quiet: Sequence[QuietEntity]
) -> set[int]:
    """Ids of those of the entities that nobody is told of now.

    They said that they were off before they fell silent; or a maintenance window was in force then,
    or is now.
    """
    if not quiet:
        return set()
    return _in_maintenance(store, dataset, quiet) | _off(store, config, dataset, quiet)


def _in_maintenance(store: Store, dataset: DatasetRow, quiet: Sequence[QuietEntity]) -> set[int]:
    until_at = quiet[0].known_until
    first_at = min(one.last_at for one in quiet) - HOUR
    windows = maintenance_of(store, dataset.dataset_id, first_at, until_at + HOUR)

    def is_held(one: QuietEntity) -> bool:
        own = [each for each in windows if each.entity_id in (None, one.entity_id)]
        # Rows of an hour are known by the hour: it stopped somewhere in the last one.
        stopped = (
            each.start_at <= one.last_at and each.end_at > one.last_at - HOUR for each in own
        )
        return any(stopped) or any(each.start_at <= until_at < each.end_at for each in own)

    return {one.entity_id for one in quiet if is_held(one)}


def _off(
    store: Store, config: DatasetConfig, dataset: DatasetRow, quiet: Sequence[QuietEntity]
) -> set[int]:
    if config.running_when is None:
        return set()
    layout = select_layouts(store, dataset.dataset_id)[0]
    start_at = hour_floor(min(one.last_at for one in quiet) - _RUNNING_BACK)
    end_at = max(one.last_at for one in quiet)
    ids = [one.entity_id for one in quiet]
    values = read_blocks(store, layout, ids, start_at, end_at).values
    columns = [layout.channel_names.index(name) for name in config.channel_names]
    names = list(config.channel_names)
    state = running_state(values[:, :, columns], config.running_when, names, 0)
    times_s = unix_s(start_at) + layout.step_s * np.arange(state.shape[1])
    last_s = np.array([unix_s(one.last_at) for one in quiet])
    is_known = (state != RUNNING_UNKNOWN) & (times_s < last_s[:, None])
    last = state.shape[1] - 1 - is_known[:, ::-1].argmax(axis=1)
    is_off = is_known.any(axis=1) & (state[np.arange(len(ids)), last] == OFF)
    return {ids[at] for at in np.flatnonzero(is_off).tolist()}


def stopped_lately(one: QuietEntity, max_age: timedelta) -> bool:
    """Whether its silence is news: it counts as silent since no longer than `max_age`."""
    silent_from: datetime = one.silent_from or one.last_at
    return silent_from > one.known_until - max_age
