"""Which intervals a scheduled run scores: the newest one that settles before the next run starts,
and all before it that no run came to.

So none is lost, whatever Airflow drops: a dataset that waits for its rows for longer than an
interval, an outage, a DAG that was paused. Runs that people start, and backfills, work on their own
interval alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tsad_tasks.base.errors import NotYet, Unavailable
from tsad_tasks.base.interval import Interval, from_unix_s, hour_floor, unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.pipeline import queries
from tsad_tasks.storage.database import DatabaseError
from tsad_tasks.storage.datasets import select_dataset, upsert_dataset

if TYPE_CHECKING:
    from tsad_tasks.storage.store import Store

# What one run makes up, oldest first; the rest is left to the next ones.
MOST, _LEAST = timedelta(days=7), timedelta(days=1)


def newest_end(config: DatasetConfig, end_at: datetime, now_at: datetime) -> datetime:
    """End of the newest interval that a run, whose own one ends at `end_at`, scores.

    Raises
    ------
    NotYet
        It has not settled, and will before the next run starts.
    """
    interval, wait = timedelta(seconds=config.interval_s), timedelta(seconds=config.wait_for_rows_s)
    # The next run starts when its own interval ends.
    last_moment = end_at + interval - timedelta(microseconds=1)
    newest = min(end_at, _ended(config, max(now_at, last_moment) - wait))
    left = newest + wait - now_at
    if left <= timedelta(0):
        return newest
    if left < interval:
        until, received = (f"{at:%Y-%m-%d %H:%M:%S} UTC" for at in (newest + wait, now_at))
        rule = f"{config.dataset} to have settled until {newest:%Y-%m-%d %H:%M} UTC"
        raise NotYet(f"Expected {rule}, which is so at {until}. Received: {received}.", left)
    # A clock that is far behind is not waited for: later runs come to what is left.
    return _ended(config, now_at - wait)


def _ended(config: DatasetConfig, at: datetime) -> datetime:
    """The end of the last interval that had ended by then."""
    return from_unix_s(unix_s(at) // config.interval_s * config.interval_s)


def parts(done_until: datetime, own: Interval, most: timedelta = MOST) -> tuple[Interval, ...]:
    """What a run works on: all from `done_until` to the end of its own interval, or, where that is
    long, the beginning of it and its own interval.

    >>> at = [from_unix_s(3600 * hour) for hour in range(9)]
    >>> [(a.hour, b.hour) for a, b in parts(at[5], Interval(at[7], at[8]))]
    [(5, 8)]
    >>> [(a.hour, b.hour) for a, b in parts(at[1], Interval(at[7], at[8]), timedelta(hours=3))]
    [(1, 4), (7, 8)]
    """
    first_at = min(done_until, own.start_at)
    if own.start_at - first_at <= most:
        return (Interval(first_at, own.end_at),)
    return Interval(first_at, hour_floor(first_at + most)), own


def taken_parts(
    store: Store, config: DatasetConfig, *, run_id: str, own: Interval
) -> tuple[Interval, ...]:
    """What a scheduled run works on; no other one works on what it makes up meanwhile.

    Raises
    ------
    NotYet
        As `newest_end`.
    """
    newest = newest_end(config, own.end_at, store.now())
    own = Interval(newest - timedelta(seconds=config.interval_s), newest)
    with store.transaction():
        taken = store.one(
            queries.UPSERT_PROGRESS,
            dataset_id=upsert_dataset(store, config).dataset_id,
            first_at=own.start_at,
            run_id=run_id,
            scheduled=f"{config.dataset}.score/scheduled\\_\\_%",
        )
    if not taken.is_taken:
        return (own,)
    is_short = own.start_at - taken.done_until <= _LEAST
    return parts(taken.done_until, own, MOST if is_short else _most(store, config))


def _most(store: Store, config: DatasetConfig) -> timedelta:
    """What one run makes up at most: a week, of large fleets what fits into its memory."""
    from tsad_tasks.pipeline.ranges import chunk_days

    return min(MOST, timedelta(days=chunk_days(store, config)))


def known_parts(
    store: Store, config: DatasetConfig, *, run_id: str, own: Interval
) -> tuple[Interval, ...]:
    """What the first task of a run took, which its later tasks work on, too."""
    with store.transaction():
        of_run = {"dataset_id": select_dataset(store, config.dataset).dataset_id, "run_id": run_id}
        store.execute(queries.UPDATE_PROGRESS_HEARD, **of_run)
        found = store.first(queries.SELECT_RUN_RANGE, **of_run, step="ingest")
    if found is None:
        return (own,)
    if found.caught_up_until is None:
        return (Interval(found.start_at, found.end_at),)
    newest = Interval(found.end_at - timedelta(seconds=config.interval_s), found.end_at)
    return Interval(found.start_at, found.caught_up_until), newest


def made_up(config: DatasetConfig, parts: Sequence[Interval]) -> bool:
    """Whether a run works on more than its own interval."""
    own = timedelta(seconds=config.interval_s)
    return bool(parts) and parts[-1].end_at - parts[0].start_at > own


def note_done(store: Store, config: DatasetConfig, done: Sequence[Interval]) -> None:
    """Notes that ranges were scored, and what was found in them told."""
    with store.transaction():
        dataset_id = select_dataset(store, config.dataset).dataset_id
        for one in done:
            store.execute(queries.UPDATE_PROGRESS_DONE, dataset_id=dataset_id, **one._asdict())


def give_back(store: Store, config: DatasetConfig, *, run_id: str) -> None:
    """Lets other runs go on with what a run had taken."""
    # Where the warehouse is gone, they do so after half an hour.
    with suppress(DatabaseError, Unavailable):
        store.rollback()
        with store.transaction():
            dataset_id = upsert_dataset(store, config).dataset_id
            store.execute(queries.UPDATE_PROGRESS_FREE, dataset_id=dataset_id, run_id=run_id)
