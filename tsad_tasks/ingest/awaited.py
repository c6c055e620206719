"""Hours that were empty and are counted again at the source, for `source.late`.

A gap is a stretch in which an entity was silent. When its entity comes back, and at growing
distances after that, the source is asked whether rows of it have come; once a day also while the
entity is still silent. What is found resets the distances: what trickles in is soon followed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from tsad_tasks.base.interval import HOUR, Interval, hour_floor, merged
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest import queries
from tsad_tasks.ingest.late import late_changes
from tsad_tasks.ingest.queries import Gap
from tsad_tasks.ingest.sources.base import Uris
from tsad_tasks.storage.store import Store

# Ranges that are so near are counted in one query.
_NEAR = timedelta(hours=6)


def awaited_ranges(
    store: Store,
    config: DatasetConfig,
    dataset_id: int,
    run: Interval,
    back: Collection[tuple[int, datetime]],
) -> list[tuple[datetime, datetime]]:
    """Ranges of whole hours that a run counts again: gaps older than what it reads again anyway.

    Parameters
    ----------
    run : the interval of the run.
    back : entities and hours that it has read rows of for the first time.
    """
    last_at = hour_floor(run.start_at - timedelta(seconds=config.late_rows_within_s))
    first_at = hour_floor(run.end_at - timedelta(seconds=config.late_s))
    if first_at >= last_at:
        return []
    with store.transaction():
        asked = {"dataset_id": dataset_id, "start_at": first_at, "end_at": run.end_at}
        gaps = store.rows(queries.SELECT_GAPS, **asked)
    step = timedelta(seconds=config.interval_s)
    # Of the hour before a gap there may be more, too.
    due = [
        (max(gap.start_at - HOUR, first_at), min(gap.end_at, last_at))
        for gap in gaps
        if gap.start_at < last_at
        and ((gap.entity_id, gap.end_at) in back or is_counted(gap, run, step))
    ]
    return merged(due, _NEAR)


def is_counted(gap: Gap, run: Interval, step: timedelta) -> bool:
    """Whether a run counts the hours of a gap again.

    Of one that is over it does so in the run in which the entity speaks again, and one, two, four,
    eight … intervals after that, or after the run that found rows last; of one that is not, once a
    day.

    >>> at = [datetime(2026, 3, 1, tzinfo=UTC) + i * HOUR for i in range(40)]
    >>> gap = Gap(7, at[0], at[10], True, None)
    >>> [i for i in range(10, 30) if is_counted(gap, Interval(at[i], at[i + 1]), HOUR)]
    [10, 11, 13, 17, 25]
    >>> found = gap._replace(arrived_at=at[18])
    >>> [i for i in range(16, 30) if is_counted(found, Interval(at[i], at[i + 1]), HOUR)]
    [16, 17, 18, 19, 21, 25]
    """
    if not gap.is_over:
        return run.start_at.astimezone(UTC).date() < run.end_at.astimezone(UTC).date()
    since = max(gap.end_at, gap.arrived_at or gap.end_at)
    before, now = ((at - since) // step for at in run)
    return before <= 0 or before.bit_length() < now.bit_length()


def hours_with_more(
    store: Store,
    config: DatasetConfig,
    uris: Uris,
    ranges: Sequence[tuple[datetime, datetime]],
) -> list[datetime]:
    """Hours of ranges of which the source has rows now that it had not when they were read."""
    found = list[datetime]()
    for start_at, end_at in ranges:
        late = late_changes(store, config, uris, start_at=start_at, end_at=end_at)
        found += [one.hour_at for one in late if one.command]
    return sorted(set(found))
