"""Of which silent machines people are told: not of those that are off or in maintenance."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from tsad_tasks.base.interval import HOUR, hour_floor, unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.feedback.maintenance import Maintenance, maintenance_of
from tsad_tasks.model.features import running_state
from tsad_tasks.model.windows import OFF, RUNNING_UNKNOWN
from tsad_tasks.notifications.silences import QuietEntity
from tsad_tasks.storage.datasets import DatasetRow, select_layouts
from tsad_tasks.storage.readings import read_blocks
from tsad_tasks.storage.store import Store

# So long before its last hour with rows the last word on whether a machine runs is looked for.
_RUNNING_BACK = timedelta(hours=24)


def worth_telling(
    store: Store,
    config: DatasetConfig,
    dataset: DatasetRow,
    quiet: Sequence[QuietEntity],
    max_age: timedelta,
) -> list[QuietEntity]:
    """Those of quiet entities whose silence is news: it counts as one since `max_age` at most.

    Nobody is told while a maintenance window is in force; who stopped in one is missed from its end
    on. Who said that it was off before it fell silent is not missed.
    """
    if not quiet:
        return []
    until_at = quiet[0].known_until
    first_at = min(one.last_at for one in quiet) - HOUR
    windows = maintenance_of(store, dataset.dataset_id, first_at, until_at + HOUR)
    windows.sort(key=lambda each: each.start_at)
    news = [one for one in quiet if _is_news(one, windows, max_age)]
    off = _off(store, config, dataset, news)
    return [one for one in news if one.entity_id not in off]


def _is_news(one: QuietEntity, windows: Sequence[Maintenance], max_age: timedelta) -> bool:
    """Whether people may be told of it, as far as maintenance windows, oldest first, go."""
    until_at, missed_at = one.known_until, one.last_at
    own = [each for each in windows if each.entity_id in (None, one.entity_id)]
    if any(each.start_at <= until_at < each.end_at for each in own):
        return False
    for each in own:
        # Rows of an hour are known by the hour: it stopped somewhere in the last one.
        if each.start_at <= missed_at and each.end_at > missed_at - HOUR:
            missed_at = max(missed_at, each.end_at)
    silent_from = missed_at + ((one.silent_from or one.last_at) - one.last_at)
    is_held = missed_at > one.last_at and until_at < silent_from
    # What could not be told since another window was in force is no older than that window's end.
    for each in own:
        if each.start_at <= silent_from < each.end_at:
            silent_from = each.end_at
    return until_at - max_age < silent_from and not is_held


def _off(
    store: Store, config: DatasetConfig, dataset: DatasetRow, quiet: Sequence[QuietEntity]
) -> set[int]:
    if config.running_when is None or not quiet:
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
