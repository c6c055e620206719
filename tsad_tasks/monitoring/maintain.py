"""Housekeeping of one dataset: retention, files of old runs, rows that came too late, entities
without scores.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from upath import UPath

from tsad_tasks.base.clock import utc_now
from tsad_tasks.base.enums import Lineage
from tsad_tasks.base.interval import HOUR, day_chunks, hour_floor, hours_between
from tsad_tasks.champions.prune import prune_bundles
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.ingest import late_changes
from tsad_tasks.ingest.queries import SELECT_FIRST_HOURS, SELECT_LEDGER_ENDS, FirstHour
from tsad_tasks.monitoring.queries import (
    DELETE_FORMER_STATES,
    DELETE_READING_BLOCKS,
    DELETE_SCORE_BLOCKS,
    DROP_READING_MONTHS,
    DROP_SCORE_MONTHS,
    SELECT_FIRST_SCORE_HOURS,
    SELECT_LAST_KNOWN_HOURS,
    UPDATE_RETIRED_BEFORE,
    FirstScoreHour,
)
from tsad_tasks.notifications.notify import retire_alerts
from tsad_tasks.storage.artifacts import artifacts_root
from tsad_tasks.storage.datasets import (
    DatasetRow,
    lock_hours,
    select_dataset,
    select_entities,
    upsert_dataset,
)
from tsad_tasks.storage.folders import remove_folder, written_at
from tsad_tasks.storage.store import Store

RUN_FILES_AGE = timedelta(days=2)
FORMER_STATES_AGE = timedelta(days=7)
LATE_RANGE = timedelta(days=7)
SILENT_INTERVALS = 3
SILENT_LEAST = timedelta(hours=3)
MAX_COMMANDS = 50

log = logging.getLogger("tsad")


@dataclass(frozen=True)
class SilentEntity:
    """An entity without a score for long: `hours` is None when it never had one, `status` that of
    the newest hour.
    """

    entity: str
    hours: int | None
    status: str


@dataclass(frozen=True)
class MaintainSummary:
    """What was cleared away, and what a person should look at.

    `late_commands` read and score late hours again, at most 50 of them; hours whose rows are merely
    gone have none.
    """

    readings_before: datetime | None = None
    scores_before: datetime | None = None
    n_reading_blocks_deleted: int = 0
    n_score_blocks_deleted: int = 0
    months_dropped: tuple[str, ...] = ()
    n_run_folders_deleted: int = 0
    versions_pruned: tuple[int, ...] = ()
    n_leftovers_deleted: int = 0
    n_notifications_deleted: int = 0
    silent: tuple[SilentEntity, ...] = ()
    n_late_hours: int = 0
    n_vanished_hours: int = 0
    late_commands: tuple[str, ...] = ()


def maintain_dataset(
    store: Store,
    config: DatasetConfig,
    source_uri: str,
    *,
    at: datetime,
    now: Callable[[], datetime] = utc_now,
) -> MaintainSummary:
    """Counts of one dataset's housekeeping; what needs no source is done before the source is
    asked.

    Parameters
    ----------
    at : nothing that was read from the source for hours after this counts.
    now : tells how old the files of runs are.

    Raises
    ------
    SourceError, AccessDenied, Unavailable
        See `open_source`.
    """
    with store.transaction():
        dataset = upsert_dataset(store, config)
        dataset_id = dataset.dataset_id
        ends = store.one(SELECT_LEDGER_ENDS, dataset_id=dataset_id, before_at=at)
        before_at = at - FORMER_STATES_AGE
        store.execute(DELETE_FORMER_STATES, dataset_id=dataset_id, before_at=before_at)
        silent: tuple[SilentEntity, ...] = ()
        if ends.hour_at is not None:
            silent = silent_entities(store, config, dataset, ends.hour_at)
    runs = artifacts_root() / "runs"
    n_folders = delete_run_folders(runs, config.dataset, now() - RUN_FILES_AGE)
    done: dict[str, Any] = {"n_run_folders_deleted": n_folders, "silent": silent}
    if ends.newest_at is not None:
        done |= retire(store, config, dataset, ends.newest_at, now)
        done |= _late(store, config, source_uri, ends.newest_at)
    summary = MaintainSummary(**done)
    for one in summary.silent:
        since = "was never scored" if one.hours is None else f"has had no score for {one.hours} h"
        log.warning("%s: %s %s (%s)", config.dataset, one.entity, since, one.status)
    if summary.n_late_hours:
        said = "%s: %d hours changed after they were read. To take them:\n%s"
        commands = "\n".join(summary.late_commands)
        log.warning(said, config.dataset, summary.n_late_hours, commands)
    return summary


def retire(
    store: Store,
    config: DatasetConfig,
    dataset: DatasetRow,
    newest_at: datetime,
    now: Callable[[], datetime],
) -> dict[str, Any]:
    """Removes what is older than the retention, counted from the dataset's newest reading; fields
    of the summary.

    Anomalies, incidents and decisions stay. That readings are retired is noted first, so that
    whoever scores meanwhile keeps what was scored; a kill at any moment leaves the rest to the next
    run.
    """
    done: dict[str, Any] = {"months_dropped": ()}
    done |= {"n_reading_blocks_deleted": 0, "n_score_blocks_deleted": 0}
    kept, dataset_id = config.retention, dataset.dataset_id
    if kept.readings_s is not None:
        readings_before = hour_floor(newest_at - timedelta(seconds=kept.readings_s))
        done["readings_before"] = readings_before
        with store.transaction():
            store.execute(UPDATE_RETIRED_BEFORE, dataset_id=dataset_id, at=readings_before)
        # Whole months that all datasets are done with: dropping them is far cheaper than deleting
        # their rows.
        with store.transaction():
            done["months_dropped"] += tuple(store.rows(DROP_READING_MONTHS))
    if kept.scores_s is not None:
        done["scores_before"] = hour_floor(newest_at - timedelta(seconds=kept.scores_s))
        with store.transaction():
            done["months_dropped"] += tuple(store.rows(DROP_SCORE_MONTHS))
    with store.transaction():
        ids = list(select_entities(store, dataset_id).values())
        first_readings = store.rows(SELECT_FIRST_HOURS, entity_ids=ids)
        first_scores = store.rows(SELECT_FIRST_SCORE_HOURS, entity_ids=ids)
    for start_at, end_at in _days(first_readings, done.get("readings_before")):
        with store.transaction():
            lock_hours(store, dataset_id, hours_between(start_at, end_at))
            done["n_reading_blocks_deleted"] += store.execute(
                DELETE_READING_BLOCKS, entity_ids=ids, start_at=start_at, end_at=end_at
            )
    for start_at, end_at in _days(first_scores, done.get("scores_before")):
        with store.transaction():
            lock_hours(store, dataset_id, hours_between(start_at, end_at))
            done["n_score_blocks_deleted"] += store.execute(
                DELETE_SCORE_BLOCKS, entity_ids=ids, start_at=start_at, end_at=end_at
            )
    if (kept_s := kept.models_s) is not None:
        root = artifacts_root()
        pruned = prune_bundles(store, config, root, newest_at=newest_at, kept_s=kept_s, now=now)
        done["versions_pruned"] = pruned.pruned
        done["n_leftovers_deleted"] = len(pruned.leftovers)
    if (kept_s := kept.notifications_s) is not None:
        n_deleted = retire_alerts(store, config, newest_at=newest_at, kept_s=kept_s)
        done["n_notifications_deleted"] = n_deleted
    return done


def _days(
    first: Sequence[FirstHour | FirstScoreHour], before_at: datetime | None
) -> list[tuple[datetime, datetime]]:
    """The days of what is to be deleted, a transaction each."""
    known = [row.hour_at for row in first if row.hour_at is not None]
    if before_at is None:
        return []
    return day_chunks(min(known, default=before_at), before_at)


def delete_run_folders(runs: UPath, dataset: str, before_at: datetime) -> int:
    """Run folders of a dataset's DAGs that were deleted, since nothing in them was written after
    `before_at`.
    """
    if not runs.exists():
        return 0
    dags = [folder for folder in runs.iterdir() if folder.name.startswith(f"{dataset}.")]
    old = [run for dag in dags for run in dag.iterdir() if written_at(run) < before_at]
    for run in old:
        remove_folder(run)
    return len(old)


def silent_entities(
    store: Store, config: DatasetConfig, dataset: DatasetRow, newest_hour_at: datetime
) -> tuple[SilentEntity, ...]:
    """Entities that live champions gave no score, though they were not off, for three intervals and
    three hours.
    """
    allowed = max(SILENT_INTERVALS * timedelta(seconds=config.interval_s), SILENT_LEAST)
    silent = []
    for row in store.rows(
        SELECT_LAST_KNOWN_HOURS,
        dataset_id=dataset.dataset_id,
        lineage=Lineage.LIVE,
        newest_hour_at=newest_hour_at,
    ):
        since = None if row.known_at is None else newest_hour_at - row.known_at
        if since is None or since >= allowed:
            hours = None if since is None else since // HOUR
            silent.append(SilentEntity(row.entity, hours, row.status or "not_scored"))
    return tuple(silent)


def _late(
    store: Store, config: DatasetConfig, source_uri: str, newest_at: datetime
) -> dict[str, Any]:
    """Late rows of the last week in which rows no longer count by themselves; fields of the
    summary.
    """
    with store.transaction():
        dataset = select_dataset(store, config.dataset)
    end_at = hour_floor(newest_at - timedelta(seconds=config.source.mutability_s))
    start_at = max(end_at - LATE_RANGE, dataset.retired_before or end_at - LATE_RANGE)
    if start_at >= end_at:
        return {}
    late = late_changes(store, config, source_uri, start_at=start_at, end_at=end_at)
    commands = [one.command for one in late if one.command]
    return {
        "n_late_hours": len(commands),
        "n_vanished_hours": len(late) - len(commands),
        "late_commands": tuple(commands[:MAX_COMMANDS]),
    }
