"""Task `features`: plans what must be scored, and turns readings into the detector's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from upath import UPath

from tsad_tasks.config import DatasetConfig
from tsad_tasks.core.digest import digests
from tsad_tasks.core.interval import epoch_s
from tsad_tasks.core.scoring import entity_features
from tsad_tasks.core.spec import ModelSpec
from tsad_tasks.detectors.bundle import Bundle, read_bundle
from tsad_tasks.errors import BundleError
from tsad_tasks.steps.plan import Job, Plan, anchor_at, block_digests, plan_interval
from tsad_tasks.steps.shard import FeatureShard, entity_shards
from tsad_tasks.storage.rows import Blocks, Champion, DatasetRow, Layout
from tsad_tasks.storage.store import Store, hours_later


@dataclass(frozen=True)
class FeatureSummary:
    """What the task made: one file per job and shard, and what it found nothing to do for."""

    shards: list[list[str]]
    n_hours: int
    n_current: int
    n_no_champion: int
    n_failed: int
    n_not_ingested: int
    n_bytes: int


def build_features(
    store: Store,
    config: DatasetConfig,
    *,
    start_at: datetime,
    end_at: datetime,
    folder: UPath,
    lineage: str = "live",
    n_shards: int = 1,
) -> FeatureSummary:
    """Feature files of all jobs of [start_at, end_at), in `folder`."""
    dataset = store.select_dataset(config.dataset)
    names = sorted(store.select_entities(dataset.dataset_id))
    paths, plans, n_failed = [], [], 0
    for number, part in enumerate(entity_shards(names, n_shards) if names else []):
        with store.transaction():
            store.lock_champions(dataset.dataset_id)
            plan = plan_interval(
                store, config, dataset, lineage=lineage, start_at=start_at, end_at=end_at, entity_names=part
            )
            mark_unchampioned(store, lineage, plan)
            shards, n_bad = job_features(store, dataset, lineage, plan)
        paths.append(_save(shards, folder, number))
        plans.append(plan)
        n_failed += n_bad
    return FeatureSummary(
        shards=paths,
        n_hours=sum(int(job.targets.sum()) for plan in plans for job in plan.jobs),
        n_current=sum(plan.n_current for plan in plans),
        n_no_champion=sum(len(plan.unchampioned) for plan in plans),
        n_failed=n_failed,
        n_not_ingested=max((plan.n_not_ingested for plan in plans), default=0),
        n_bytes=sum(UPath(path).stat().st_size for part in paths for path in part),
    )


def _save(shards: Sequence[FeatureShard], folder: UPath, number: int) -> list[str]:
    paths = [folder / f"features_{number}_{position}.npz" for position in range(len(shards))]
    for shard, path in zip(shards, paths, strict=True):
        shard.save(path)
    return [str(path) for path in paths]


def mark_unchampioned(store: Store, lineage: str, plan: Plan) -> None:
    """Gives the hours without a champion their status."""
    ids, hours = [key for key, _ in plan.unchampioned], [hour for _, hour in plan.unchampioned]
    store.write_unscored_hours(lineage, ids, hours, ["no_champion"] * len(ids), "No model was champion at this hour.")


def job_features(store: Store, dataset: DatasetRow, lineage: str, plan: Plan) -> tuple[list[FeatureShard], int]:
    """Features of each job, and how many jobs failed for their bundle; these hours are marked as failed."""
    shards, n_failed = [], 0
    for job in plan.jobs:
        try:
            spec, _ = load_model(job.champion)
        except BundleError as error:
            _mark_failed(store, lineage, job, str(error))
            n_failed += 1
        else:
            shards.append(features_of_job(store, dataset, job, spec))
    return shards, n_failed


def _mark_failed(store: Store, lineage: str, job: Job, message: str) -> None:
    pairs = np.argwhere(job.targets)
    ids = [job.entity_ids[entity] for entity, _ in pairs]
    hours = [hours_later(job.first_at, int(hour)) for _, hour in pairs]
    store.write_unscored_hours(lineage, ids, hours, ["failed"] * len(ids), message)


def load_model(champion: Champion) -> tuple[ModelSpec, Bundle]:
    """Spec and bundle of a champion, checked against the registered sha256."""
    bundle = read_bundle(UPath(champion.artifact_uri), expected_sha256=champion.sha256)
    return ModelSpec.from_json(bundle.spec), bundle


def features_of_job(store: Store, dataset: DatasetRow, job: Job, spec: ModelSpec) -> FeatureShard:
    """The job's features over the hours whose errors must be computed, and the reach of their windows."""
    look_back = spec.score_reach_hours - spec.features.reach_hours
    errors_at = max(min(anchor_at(job.champion), job.first_at), hours_later(job.first_at, -look_back))
    wanted = _wanted(store, job, spec, errors_at)
    reach = spec.features.reach_hours
    values_at = hours_later(errors_at, int(np.argmax(wanted.any(axis=0))) - reach)
    layout = store.select_layouts(dataset.dataset_id)[0]
    blocks = store.read_blocks(layout, job.entity_ids, values_at, job.end_at)
    values = blocks.values[:, :, _columns(layout, spec)]
    scalers = [spec.scaler(name) for name, _ in job.entities]
    features = entity_features(spec.features, scalers, values, epoch_s(values_at))
    return FeatureShard(job, values_at, errors_at, values, wanted, _seen(blocks, values_at, reach, wanted), features)


def _seen(blocks: Blocks, values_at: datetime, reach: int, wanted: NDArray[np.bool_]) -> NDArray[np.int64]:
    hours = epoch_s(values_at) // 3600 + np.arange(blocks.checksums.shape[1])
    seen = np.zeros(wanted.shape, np.int64)
    n_seen = blocks.checksums.shape[1] - reach
    seen[:, wanted.shape[1] - n_seen :] = digests(blocks.checksums, hours, reach)[:, reach:]
    return seen


def _columns(layout: Layout, spec: ModelSpec) -> list[int]:
    return [layout.channel_names.index(name) for name in spec.features.channels]


def _wanted(store: Store, job: Job, spec: ModelSpec, errors_at: datetime) -> NDArray[np.bool_]:
    """bool (n_entities, n_hours from errors_at): targets, and look-back hours without valid stored errors."""
    reach = spec.features.reach_hours
    ids = job.entity_ids
    stored, digests_then = store.read_window_digests(job.champion.model_id, ids, errors_at, job.end_at)
    current = block_digests(store, ids, errors_at, job.end_at, reach)
    stale = ~stored | (digests_then != current)
    some_readings = current != 0
    has_target: NDArray[np.bool_] = np.logical_or.reduce(job.targets, axis=1)
    wanted: NDArray[np.bool_] = stale & some_readings & has_target[:, None]
    wanted[:, -job.targets.shape[1] :] |= job.targets
    return wanted
