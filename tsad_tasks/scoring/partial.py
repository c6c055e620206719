"""Steps of counters that have less than was consumed, since the total began anew in them.

What they show is stored; what was consumed is unknown, and so no model judges it.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.enums import Signal
from tsad_tasks.base.interval import unix_s
from tsad_tasks.model.spec import FeatureSpec
from tsad_tasks.scoring.plan import Job
from tsad_tasks.scoring.queries import SELECT_PARTIAL_HOURS
from tsad_tasks.storage.store import Store


def without_partial(
    store: Store, job: Job, spec: FeatureSpec, values: NDArray[np.float64], values_at: datetime
) -> NDArray[np.float64]:
    """Values (n_entities, n_steps, n_channels) without those of steps that are partial.

    Of an hour it is known how many there are: the lowest ones, as only what is too low misleads.
    """
    if Signal.COUNTER not in spec.signals:
        return values
    span = {"start_at": values_at, "end_at": job.end_at}
    found = store.rows(SELECT_PARTIAL_HOURS, entity_ids=job.entity_ids, **span)
    if not found:
        return values
    seen, per_hour = values.copy(), 3600 // spec.step_s
    for one in found:
        if one.channel in spec.channels:
            first = (unix_s(one.hour_at) - unix_s(values_at)) // spec.step_s
            entity, channel = job.entity_ids.index(one.entity_id), spec.channels.index(one.channel)
            hour = seen[entity, first : first + per_hour, channel]
            hour[np.argsort(hour, kind="stable")[: one.n_steps]] = np.nan
    return seen
