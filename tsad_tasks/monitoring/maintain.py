"""Housekeeping of one dataset: retention, files of old runs, rows that came too late, entities
without scores.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from upath import UPath

from tsad_tasks.base.clock import utc_now
from tsad_tasks.base.enums import Lineage
from tsad_tasks.base.interval import HOUR, day_chunks, hour_floor, hours_between
from tsad_tasks.champions.prune import prune_bundles
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.ingest import LateHour, late_changes
from tsad_tasks.notifications.notify import retire_alerts
from tsad_tasks.storage.folders import remove_folder, written_at
from tsad_tasks.storage.paths import artifacts_root
from tsad_tasks.storage.rows import DatasetRow
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
        dataset = store.upsert_dataset(config)
        newest_hour_at, newest_at = _ledger_ends(store, dataset, at)
        former = {"dataset_id": dataset.dataset_id, "before_at": at - FORMER_STATES_AGE}
        store.execute("delete_former_states", former)
        silent = (
            ()
            if newest_hour_at is None
            else silent_entities(store, config, dataset, newest_hour_at)
        )
    n_folders = delete_run_folders(artifacts_root() / "runs", config.dataset, now() - RUN_FILES_AGE)
    retired = MaintainSummary() if newest_at is None else retire(store, config, dataset, newest_at)
    if newest_at is not None:
        more = _pruned(store, config, newest_at, now) | _alerts_retired(store, config, newest_at)
        retired = replace(retired, **more)
    late = [] if newest_at is None else _late(store, config, source_uri, newest_at)
    commands = [one.command for one in late if one.command]
    summary = MaintainSummary(
        **vars(retired)
        | {
            "n_run_folders_deleted": n_folders,
            "silent": silent,
            "n_late_hours": len(commands),
            "n_vanished_hours": len(late) - len(commands),
            "late_commands": tuple(commands[:MAX_COMMANDS]),
        }
    )
    _tell(config.dataset, summary)
    return summary


def _ledger_ends(
    store: Store, dataset: DatasetRow, at: datetime
) -> tuple[datetime | None, datetime | None]:
    """The newest hour read from the source, and the newest reading found."""
    hour_at, newest_at = store.select(
        "select_ledger_ends", {"dataset_id": dataset.dataset_id, "before_at": at}
    )[0]
    return hour_at, newest_at


def _tell(dataset: str, summary: MaintainSummary) -> None:
    for one in summary.silent:
        since = "was never scored" if one.hours is None else f"has had no score for {one.hours} h"
        log.warning("%s: %s %s (%s)", dataset, one.entity, since, one.status)
    if summary.n_late_hours:
        commands = "\n".join(summary.late_commands)
        log.warning(
            "%s: %d hours changed after they were read. To take them:\n%s",
            dataset,
            summary.n_late_hours,
            commands,
        )


def retire(
    store: Store, config: DatasetConfig, dataset: DatasetRow, newest_at: datetime
) -> MaintainSummary:
    """Removes readings and scores older than the retention, counted from the dataset's newest
    reading.

    Anomalies, incidents and decisions stay. That readings are retired is noted first, so that
    whoever scores meanwhile keeps what was scored; a kill at any moment leaves the rest to the next
    run.
    """
    readings_before = _horizon(newest_at, config.retention.readings_s)
    scores_before = _horizon(newest_at, config.retention.scores_s)
    if readings_before is not None:
        with store.transaction():
            store.execute(
                "update_retired_before", {"dataset_id": dataset.dataset_id, "at": readings_before}
            )
    months = _dropped(store, "drop_reading_months") if readings_before else ()
    months += _dropped(store, "drop_score_months") if scores_before else ()
    return MaintainSummary(
        readings_before=readings_before,
        scores_before=scores_before,
        n_reading_blocks_deleted=_delete(store, dataset, "readings", readings_before),
        n_score_blocks_deleted=_delete(store, dataset, "scores", scores_before),
        months_dropped=months,
    )


def _pruned(
    store: Store, config: DatasetConfig, newest_at: datetime, now: Callable[[], datetime]
) -> dict[str, Any]:
    """Versions and leftovers whose bundles went, where the dataset asks for it."""
    kept_s = config.retention.models_s
    if kept_s is None:
        return {}
    found = prune_bundles(
        store, config, artifacts_root(), newest_at=newest_at, kept_s=kept_s, now=now
    )
    return {"versions_pruned": found.pruned, "n_leftovers_deleted": len(found.leftovers)}


def _alerts_retired(store: Store, config: DatasetConfig, newest_at: datetime) -> dict[str, Any]:
    """Messages that went with their alerts, where the dataset asks for it."""
    kept_s = config.retention.notifications_s
    if kept_s is None:
        return {}
    return {
        "n_notifications_deleted": retire_alerts(store, config, newest_at=newest_at, kept_s=kept_s)
    }


def _horizon(newest_at: datetime, kept_s: int | None) -> datetime | None:
    return None if kept_s is None else hour_floor(newest_at - timedelta(seconds=kept_s))


def _dropped(store: Store, name: str) -> tuple[str, ...]:
    """Whole months that all datasets are done with: dropping them is far cheaper than deleting
    their rows.
    """
    with store.transaction():
        return tuple(month for (month,) in store.select(name, {}))


def _delete(store: Store, dataset: DatasetRow, what: str, before_at: datetime | None) -> int:
    """Blocks of the dataset that were removed, a day per transaction."""
    if before_at is None:
        return 0
    first_hours, delete = {
        "readings": ("select_first_hours", store.delete_reading_blocks),
        "scores": ("select_first_score_hours", store.delete_score_blocks),
    }[what]
    with store.transaction():
        entity_ids = list(store.select_entities(dataset.dataset_id).values())
        first = [
            hour
            for _, hour in store.select(first_hours, {"entity_ids": entity_ids})
            if hour is not None
        ]
    n_deleted = 0
    for start_at, end_at in day_chunks(min(first, default=before_at), before_at):
        with store.transaction():
            store.lock_hours(dataset.dataset_id, hours_between(start_at, end_at))
            n_deleted += delete(entity_ids, start_at, end_at)
    return n_deleted


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
    params = {
        "dataset_id": dataset.dataset_id,
        "lineage": Lineage.LIVE,
        "newest_hour_at": newest_hour_at,
    }
    allowed = max(SILENT_INTERVALS * timedelta(seconds=config.interval_s), SILENT_LEAST)
    found = []
    for entity, known_at, status in store.select("select_last_known_hours", params):
        if known_at is None or newest_hour_at - known_at >= allowed:
            hours = None if known_at is None else (newest_hour_at - known_at) // HOUR
            found.append(SilentEntity(entity, hours, status or "not_scored"))
    return tuple(found)


def _late(
    store: Store, config: DatasetConfig, source_uri: str, newest_at: datetime
) -> list[LateHour]:
    """Late rows of the last week in which rows no longer count by themselves."""
    with store.transaction():
        dataset = store.select_dataset(config.dataset)
    end_at = hour_floor(newest_at - timedelta(seconds=config.source.mutability_s))
    start_at = max(end_at - LATE_RANGE, dataset.retired_before or end_at - LATE_RANGE)
    return (
        late_changes(store, config, source_uri, start_at=start_at, end_at=end_at)
        if start_at < end_at
        else []
    )
