"""Steps of counters that have less than was consumed, since the total began anew in them.

What they show is stored; what was consumed is unknown, and so no model judges it or learns from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.interval import unix_s
from tsad_tasks.scoring.queries import SELECT_PARTIAL_HOURS
from tsad_tasks.storage.store import Store


def without_partial(
    store: Store,
    channels: Sequence[str],
    step_s: int,
    entity_ids: Sequence[int],
    values: NDArray[np.float64],
    values_at: datetime,
) -> NDArray[np.float64]:
    """Values (n_entities, n_steps, n_channels) from a whole hour on without those of steps that are
    partial.

    Of an hour it is known how many there are: the lowest ones, as only what is too low misleads.
    """
    end_at = values_at + timedelta(seconds=values.shape[1] * step_s)
    span = {"start_at": values_at, "end_at": end_at}
    found = store.rows(SELECT_PARTIAL_HOURS, entity_ids=list(entity_ids), **span)
    if not found:
        return values
    seen, per_hour = values.copy(), 3600 // step_s
    place, names = list(entity_ids), list(channels)
    for one in found:
        if one.channel in names:
            first = (unix_s(one.hour_at) - unix_s(values_at)) // step_s
            entity, channel = place.index(one.entity_id), names.index(one.channel)
            hour = seen[entity, first : first + per_hour, channel]
            hour[np.argsort(hour, kind="stable")[: one.n_steps]] = np.nan
    return seen
