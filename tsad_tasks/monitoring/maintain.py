"""Housekeeping of a dataset: retention, old runs' files, late rows, entities without scores."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from tsad_tasks.base.enums import Lineage
from tsad_tasks.base.interval import HOUR, day_chunks, hour_floor, hours_between, merged
from tsad_tasks.base.places import Folder
from tsad_tasks.champions.prune import prune_bundles
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.late import late_changes, rescore_command
from tsad_tasks.ingest.queries import SELECT_FIRST_HOURS, SELECT_LEDGER_ENDS, FirstHour
from tsad_tasks.ingest.sources.base import Uris
from tsad_tasks.monitoring import queries
from tsad_tasks.notifications.notify import retire_alerts
from tsad_tasks.storage import datasets
from tsad_tasks.storage.artifacts import artifacts_root
from tsad_tasks.storage.folders import place_now, remove_folder, written_at
from tsad_tasks.storage.store import Query, Statement, Store

RUN_FILES_AGE = timedelta(days=2)
FORMER_STATES_AGE = timedelta(days=7)
LATE_RANGE = timedelta(days=7)
SILENT_INTERVALS = 3
SILENT_LEAST = timedelta(hours=3)
MAX_COMMANDS = 50

log = logging.getLogger("tsad")


@dataclass(frozen=True)
class SilentEntity:
    """An entity long without a score (`hours` None: ever), and the newest hour's status, or that it
    is silent.
    """

    entity: str
    hours: int | None
    status: str


@dataclass(frozen=True)
class MaintainSummary:
    """What was cleared away, and what a person should look at.

    `late_commands` (at most 50, one for each stretch of hours) read and score late hours again, but
    those whose rows are gone.
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
    uris: Uris,
    *,
    at: datetime,
    now: Callable[[], datetime] | None = None,
) -> MaintainSummary:
    """Does a dataset's housekeeping; what needs no source comes before the source is asked.

    Parameters
    ----------
    at : nothing that was read from the source for hours after this counts.
    now : tells how old files are, by default by the clock that stamps them.

    Raises
    ------
    SourceError, AccessDenied, Unavailable
        See `open_sources`.
    """
    with store.transaction():
        dataset = datasets.upsert_dataset(store, config)
        dataset_id = dataset.dataset_id
        ends = store.one(SELECT_LEDGER_ENDS, dataset_id=dataset_id, before_at=at)
        before_at = at - FORMER_STATES_AGE
        store.execute(queries.DELETE_FORMER_STATES, dataset_id=dataset_id, before_at=before_at)
        silent: tuple[SilentEntity, ...] = ()
        if ends.hour_at is not None:
            silent = silent_entities(store, config, dataset, ends.hour_at)
    runs = artifacts_root() / "runs"
    files_now = now or partial(place_now, artifacts_root())
    n_folders = delete_run_folders(runs, config.dataset, files_now() - RUN_FILES_AGE)
    done: dict[str, Any] = {"n_run_folders_deleted": n_folders, "silent": silent}
    if ends.newest_at is not None:
        done |= retire(store, config, dataset, ends.newest_at, files_now)
        done |= _late(store, config, uris, ends.newest_at)
    summary = MaintainSummary(**done)
    for one in summary.silent:
        since = "was never scored" if one.hours is None else f"has had no score for {one.hours} h"
        log.warning("%s: %s %s (%s)", config.dataset, one.entity, since, one.status)
    if summary.n_late_hours:
        said = "%s: %d hours changed after they were read. To take them: %s"
        commands = " ; ".join(summary.late_commands)
        log.warning(said, config.dataset, summary.n_late_hours, commands)
    return summary


def retire(
    store: Store,
    config: DatasetConfig,
    dataset: datasets.DatasetRow,
    newest_at: datetime,
    now: Callable[[], datetime],
) -> dict[str, Any]:
    """Removes what is older, from the newest reading, than the retention; fields of the summary.

    Anomalies, incidents and decisions stay. That readings are retired is noted first: who scores
    meanwhile keeps what was scored, and a kill at any moment leaves the rest to the next run.
    """
    done: dict[str, Any] = {"months_dropped": ()}
    kept, dataset_id = config.retention, dataset.dataset_id
    if kept.readings_s is not None:
        readings_before = hour_floor(newest_at - timedelta(seconds=kept.readings_s))
        done["readings_before"] = readings_before
        with store.transaction():
            store.execute(queries.UPDATE_RETIRED_BEFORE, dataset_id=dataset_id, at=readings_before)
        # Whole months that all datasets are done with: dropping them is far cheaper than deleting
        # their rows.
        with store.transaction():
            done["months_dropped"] += tuple(store.rows(queries.DROP_READING_MONTHS))
    if kept.scores_s is not None:
        done["scores_before"] = hour_floor(newest_at - timedelta(seconds=kept.scores_s))
        with store.transaction():
            done["months_dropped"] += tuple(store.rows(queries.DROP_SCORE_MONTHS))

    def deleted(first: Query[FirstHour], delete: Statement, before_at: datetime | None) -> int:
        """Blocks up to then, a transaction for each of their days."""
        if before_at is None:
            return 0
        with store.transaction():
            ids = list(datasets.select_entities(store, dataset_id).values())
            hours = [row.hour_at for row in store.rows(first, entity_ids=ids)]
        n_deleted, known = 0, [at for at in hours if at is not None]
        for start_at, end_at in day_chunks(min(known, default=before_at), before_at):
            day = {"start_at": start_at, "end_at": end_at}
            with store.transaction():
                datasets.lock_hours(store, dataset_id, hours_between(**day))
                n_deleted += store.execute(delete, entity_ids=ids, **day)
        return n_deleted

    done["n_reading_blocks_deleted"] = deleted(
        SELECT_FIRST_HOURS, queries.DELETE_READING_BLOCKS, done.get("readings_before")
    )
    done["n_score_blocks_deleted"] = deleted(
        queries.SELECT_FIRST_SCORE_HOURS, queries.DELETE_SCORE_BLOCKS, done.get("scores_before")
    )
    if kept.models_s is not None:
        pruned = prune_bundles(
            store, config, artifacts_root(), newest_at=newest_at, kept_s=kept.models_s, now=now
        )
        done |= {"versions_pruned": pruned.pruned, "n_leftovers_deleted": len(pruned.leftovers)}
    if (kept_s := kept.notifications_s) is not None:
        n_deleted = retire_alerts(store, config, newest_at=newest_at, kept_s=kept_s)
        done["n_notifications_deleted"] = n_deleted
    return done


def delete_run_folders(runs: Folder, dataset: str, before_at: datetime) -> int:
    """Deletes run folders of a dataset's DAGs in which nothing was written since `before_at`."""
    if not runs.exists():
        return 0
    dags = [folder for folder in runs.iterdir() if folder.name.startswith(f"{dataset}.")]
    old = [run for dag in dags for run in dag.iterdir() if written_at(run) < before_at]
    for run in old:
        remove_folder(run)
    return len(old)


def silent_entities(
    store: Store, config: DatasetConfig, dataset: datasets.DatasetRow, newest_hour_at: datetime
) -> tuple[SilentEntity, ...]:
    """Entities, not off or retired, without a live score for three intervals and three hours."""
    allowed = max(SILENT_INTERVALS * timedelta(seconds=config.interval_s), SILENT_LEAST)
    silent = []
    for row in store.rows(
        queries.SELECT_LAST_KNOWN_HOURS,
        dataset_id=dataset.dataset_id,
        lineage=Lineage.LIVE,
        newest_hour_at=newest_hour_at,
    ):
        since = None if row.known_at is None else newest_hour_at - row.known_at
        if since is None or since >= allowed:
            hours = None if since is None else since // HOUR
            silent.append(SilentEntity(row.entity, hours, row.status or "not_scored"))
    return tuple(silent)


def _late(store: Store, config: DatasetConfig, uris: Uris, newest_at: datetime) -> dict[str, Any]:
    """Late rows that no longer count by themselves, of two weeks (a week more than `late`); fields
    of the summary.
    """
    with store.transaction():
        dataset = datasets.select_dataset(store, config.dataset)
    end_at = hour_floor(newest_at - timedelta(seconds=config.late_rows_within_s))
    first_at = end_at - LATE_RANGE - timedelta(seconds=config.late_s)
    start_at = max(hour_floor(first_at), dataset.retired_before or hour_floor(first_at))
    if start_at >= end_at:
        return {}
    late = late_changes(store, config, uris, start_at=start_at, end_at=end_at)
    spans = [(one.hour_at, one.hour_at + HOUR) for one in late if one.command]
    commands = [rescore_command(config.dataset, *span) for span in merged(spans)]
    return {
        "n_late_hours": len(spans),
        "n_vanished_hours": len(late) - len(spans),
        "late_commands": tuple(commands[:MAX_COMMANDS]),
    }
