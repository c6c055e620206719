"""Hours that were read before and depend on rows of earlier ones: what held then, totals since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.interval import HOUR, unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.counter import HOUR_US, N_BEFORE, OLDEST_US
from tsad_tasks.ingest.held import UNTIL_CHANGED, valid_us_of
from tsad_tasks.ingest.joined import shared_channels
from tsad_tasks.model.windows import batches
from tsad_tasks.storage.datasets import Layout
from tsad_tasks.storage.readings import read_counts
from tsad_tasks.storage.store import Store

Mask = NDArray[np.bool_]
Int64 = NDArray[np.int64]

_EVER = 1 << 40
NEVER = -(1 << 41)
# So many hours are looked through at once.
_LOOKED_HOURS = 168


@dataclass(frozen=True)
class Needs:
    """How long rows of channels decide what later hours hold, (n_channels,) each.

    Attributes
    ----------
    n_hours : so many hours after their own at most; 0: none.
    n_rows : until there were so many later values of the same series.
    n_hours_heard : so many hours after any row of the entity, since values hold while it is heard.
    """

    n_hours: Int64
    n_rows: Int64
    n_hours_heard: int

    @classmethod
    def of(cls, config: DatasetConfig) -> Needs:
        """Those of a dataset."""
        valid_us, channels = valid_us_of(config), config.channels.values()
        is_counter = np.array([one.is_counter for one in channels])
        n_hours = np.where(valid_us == UNTIL_CHANGED, _EVER, -(-valid_us // HOUR_US))
        n_hours = np.where(is_counter, OLDEST_US // HOUR_US, n_hours)
        n_rows = np.where(is_counter, N_BEFORE, 1)
        # Of several series one may have rows and the others none.
        apart, shared = [one.across is not None for one in channels], shared_channels(config)
        n_rows[np.array(apart) | np.isin(config.channel_names, shared)] = _EVER
        silences = [-(-part.source.silence_s // 3600) for part in config.parts]
        is_changing = (valid_us == UNTIL_CHANGED).any()
        return cls(n_hours, n_rows, max(silences) if is_changing else 0)

    @property
    def longest(self) -> int:
        """So many hours may depend on one before them."""
        return max(int(self.n_hours.max(initial=0)), self.n_hours_heard)


def dependent_on(
    needs: Needs, n_rows: Int64, since: Int64, heard_since: Int64, before: Int64
) -> tuple[Mask, Int64]:
    """Which of some consecutive hours depend on earlier ones that have changed, and `before` at
    their end.

    Parameters
    ----------
    n_rows : (n_entities, n_hours, n_channels) values of each series in these hours.
    since : (n_entities, n_channels) the last hour in which a series changed, counted from the first
        of these, negative before it; `NEVER`: it has not.
    heard_since : (n_entities,) the same of any series of the entity.
    before : (n_entities, n_channels) values since then, before these hours.

    >>> needs = Needs(np.array([6]), np.array([1]), 0)
    >>> n_rows = np.array([[[0], [0], [2], [1]]])
    >>> one = np.ones((1, 1), int)
    >>> dependent_on(needs, n_rows, -one, -one[0], 0 * one)[0].tolist()
    [True, True, True, False]
    """
    hour = np.arange(n_rows.shape[1])[None, :, None]
    at, at_heard = hour - since[:, None, :], hour - heard_since[:, None, None]
    of_later = np.where(at > 0, n_rows, 0)
    n_until = before[:, None, :] + np.cumsum(of_later, axis=1)
    is_open = (n_until - of_later < needs.n_rows) & (at > 0) & (at <= needs.n_hours)
    is_heard = (needs.n_hours == _EVER) & (at_heard > 0) & (at_heard <= needs.n_hours_heard)
    found: Mask = (is_open | is_heard).any(axis=(0, 2))
    return found, n_until[:, -1, :]


def dependent_hours_after(
    store: Store,
    config: DatasetConfig,
    layout: Layout,
    entity_ids: Sequence[int],
    hours: Sequence[datetime],
    changed: Mask,
    others: Sequence[datetime],
) -> list[datetime]:
    """Those of `others`, hours that were read before, that depend on what changed in `hours`.

    Parameters
    ----------
    hours : consecutive ones.
    changed : (n_entities, n_hours, n_channels)
    others : ascending, after the first of `hours`.
    """
    whose = np.flatnonzero(changed.any(axis=(1, 2)))
    if not others or not len(whose):
        return []
    needs, of_these = Needs.of(config), changed[whose]
    positions = [layout.channel_names.index(name) for name in config.channel_names]
    n_hours = len(hours)
    heard_since = n_hours - 1 - of_these[:, ::-1].any(axis=2).argmax(axis=1)
    since = n_hours - 1 - of_these[:, ::-1].argmax(axis=1)
    since = np.where(of_these.any(axis=1), since, NEVER)
    before, found, wanted = np.zeros(since.shape, np.int64), list[datetime](), set(others)
    n_most = min((unix_s(others[-1] + HOUR) - unix_s(hours[0])) // 3600, n_hours + needs.longest)
    ids = [entity_ids[at] for at in whose.tolist()]
    for part in batches(n_most, _LOOKED_HOURS):
        span = hours[0] + part.start * HOUR, hours[0] + part.stop * HOUR
        counts = read_counts(store, layout, ids, *span).counts[:, :, positions]
        by_hour = counts.reshape(len(ids), -1, layout.n_steps, len(positions))
        n_rows = by_hour.sum(axis=2, dtype=np.int64)
        of_part = since - part.start, heard_since - part.start, before
        depends, before = dependent_on(needs, n_rows, *of_part)
        looked = [span[0] + at * HOUR for at in np.flatnonzero(depends).tolist()]
        found += [hour for hour in looked if hour in wanted]
        if part.stop > n_hours and not depends[-1]:
            break
    return found
