"""Task `score`: errors by ONNX Runtime, thresholds, scores, anomalies; a transaction per job."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

import numpy as np

from tsad_tasks.base.enums import Lineage
from tsad_tasks.base.errors import BundleError, Unavailable
from tsad_tasks.base.interval import Interval, hours_later, unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.base import Detector
from tsad_tasks.detectors.folding.fold import at_ends, channel_weights
from tsad_tasks.detectors.folding.series_fold import FoldDetector
from tsad_tasks.model.scoring import Windows, combined_errors
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.scoring.canary import check_canary
from tsad_tasks.scoring.columns import of_windows
from tsad_tasks.scoring.features import load_model, mark_failed, planned_shards
from tsad_tasks.scoring.fitted import fitted_since, with_fitted
from tsad_tasks.scoring.fold import StateAfter, fold_shard, remember_states
from tsad_tasks.scoring.own_scales import later_scales
from tsad_tasks.scoring.plan import SHADOW_SUFFIX, Job, read_ledger
from tsad_tasks.scoring.queries import champions_in
from tsad_tasks.scoring.reach import is_alive, score_reach, window_hours, window_reach
from tsad_tasks.scoring.rows import Computed, JobRows, Memo
from tsad_tasks.scoring.shard import FeatureShard
from tsad_tasks.scoring.windows import windows_of_shard, windows_path
from tsad_tasks.storage import datasets
from tsad_tasks.storage.arrays import read_arrays
from tsad_tasks.storage.artifacts import artifact_path
from tsad_tasks.storage.datasets import DatasetRow, lock_champions, select_dataset
from tsad_tasks.storage.readings import read_checksums
from tsad_tasks.storage.scores import read_score_memo, write_scores, write_unscored_hours
from tsad_tasks.storage.store import Store

log = logging.getLogger("tsad")

MAX_ATTEMPTS = 5
MAX_SEEN_HOURS = 24 * 14


@dataclass(frozen=True)
class ScoreSummary:
    """What scoring wrote; `n_failed` models could not be used, `n_current` hours stood."""

    n_hours: int = 0
    n_written: int = 0
    n_superseded: int = 0
    n_windows: int = 0
    n_flags: int = 0
    n_anomalies: int = 0
    n_failed: int = 0
    n_current: int = 0

    @property
    def all_failed(self) -> bool:
        """Whether there was something to score, and no model that could be used."""
        return bool(self.n_failed) and not self.n_hours and not self.n_current

    def __add__(self, other: ScoreSummary) -> ScoreSummary:
        return ScoreSummary(
            *(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True))
        )


def score_shard(store: Store, config: DatasetConfig, paths: Sequence[str]) -> ScoreSummary:
    """Scores the feature files of one shard and their windows.

    Raises
    ------
    BundleError
        When a champion is broken; its hours are marked as failed, those of the others are scored.
    """
    files = (artifact_path(name) for name in paths)
    jobs = (
        (FeatureShard.load(path), Windows(**read_arrays(windows_path(path))[0])) for path in files
    )
    return _score_all(store, config, jobs)


def score_interval(
    store: Store,
    config: DatasetConfig,
    *,
    start_at: datetime,
    end_at: datetime,
    lineage: str = Lineage.LIVE,
    entity_names: Sequence[str] | None = None,
    n_attempts: int = 0,
) -> ScoreSummary:
    """Features, windows and scores of [start_at, end_at) in memory: the rows of the three tasks.

    Raises
    ------
    BundleError
        As `score_shard`.
    """
    dataset, span = select_dataset(store, config.dataset), Interval(start_at, end_at)
    shards, plans, n_failed = planned_shards(store, config, dataset, span, lineage, entity_names)
    scored = _score_all(store, config, ((shard, None) for shard in shards), n_attempts)
    n_current = sum(plan.n_current for plan in plans)
    return scored + ScoreSummary(n_failed=n_failed, n_current=n_current)


def _score_all(
    store: Store,
    config: DatasetConfig,
    jobs: Iterable[tuple[FeatureShard, Windows | None]],
    n_attempts: int = 0,
) -> ScoreSummary:
    summary, broken = ScoreSummary(), []
    dataset = select_dataset(store, config.dataset)
    for shard, windows in jobs:
        try:
            summary += score_job(store, config, shard, windows, n_attempts=n_attempts)
        except BundleError as error:
            log.error(str(error))
            _mark_broken(store, dataset, shard.job, str(error))
            # A broken challenger is never promoted: its hours are not scored. It does not stop the
            # champions.
            broken += [] if shard.job.lineage.endswith(SHADOW_SUFFIX) else [str(error)]
    if broken:
        raise BundleError("; ".join(broken))
    return summary


def _mark_broken(store: Store, dataset: DatasetRow, job: Job, message: str) -> None:
    with store.transaction():
        lock_champions(store, dataset.dataset_id)
        if _is_champion(store, dataset, job):
            mark_failed(store, job, message)


def score_job(
    store: Store,
    config: DatasetConfig,
    shard: FeatureShard,
    windows: Windows | None = None,
    *,
    n_attempts: int = 0,
) -> ScoreSummary:
    """Scores one job; plans and scores its hours again where readings or champion change meanwhile.

    Parameters
    ----------
    windows : of the shard; None: they are found here.

    Raises
    ------
    BundleError
        When the champion cannot be read, or does not find its canary.
    Unavailable
        When readings or champion keep changing.
    """
    dataset, job = select_dataset(store, config.dataset), shard.job
    spec, bundle = load_model(job.champion)
    check_canary(f"{config.dataset} v{job.champion.version}", spec, bundle)
    found = windows_of_shard(shard, spec.features) if windows is None else windows
    computed = computed_errors(shard, found, spec, bundle.detector)
    written = _written(store, dataset, shard, found, (spec, bundle.detector), computed)
    if written is not None:
        return written
    if n_attempts >= MAX_ATTEMPTS:
        expected = f"Expected the readings of {config.dataset} to stand still for a moment."
        raise Unavailable(f"{expected} Received: changes.")
    names, ends = [name for name, _ in job.entities], job.span._asdict()
    again: dict[str, Any] = {"entity_names": names, "n_attempts": n_attempts + 1}
    return score_interval(store, config, lineage=job.lineage, **ends, **again)


def computed_errors(
    shard: FeatureShard, windows: Windows, spec: ModelSpec, detector: Detector
) -> Computed:
    """What the detector makes of the shard's windows."""
    n_entities, n_steps, n_inputs = shard.features.inputs.shape
    n_channels, states = len(spec.features.channels), list[StateAfter]()
    if shard.folds is None:
        found = detector.reconstruct(shard.features.inputs.reshape(-1, n_inputs), windows.ends)
        found = of_windows(spec.features, detector, found, shard.features, windows.ends)
    else:
        folded, states = fold_shard(shard, shard.folds, spec, cast(FoldDetector, detector))
        found = at_ends(folded, windows.ends)
    if shard.growth is not None and spec.noise_power:
        # A mean of fewer readings is noisier: limits hold for errors as they were learned.
        growth = shard.growth.reshape(-1, n_channels)[windows.ends]
        found = replace(found, channel_errors=found.channel_errors / growth)
    errors = np.full(n_entities * n_steps, np.nan, np.float32)
    channel_errors, expected = np.full((2, len(errors), n_channels), np.nan, np.float32)
    names = [name for name, _ in shard.job.entities]
    seen = found.channel_errors, windows.live, windows.fitted
    made = combined_errors(spec, names, windows.ends // n_steps, *seen)
    errors[windows.ends], channel_errors[windows.ends] = made[0], made[1] * channel_weights(found)
    expected[windows.ends] = found.expected
    shape = n_entities, n_steps
    by_channel = channel_errors.reshape(*shape, n_channels), expected.reshape(*shape, n_channels)
    return Computed(errors.reshape(shape), *by_channel, states)


def _written(
    store: Store,
    dataset: DatasetRow,
    shard: FeatureShard,
    windows: Windows,
    model: tuple[ModelSpec, Detector],
    computed: Computed,
) -> ScoreSummary | None:
    """Writes the job under the hours' locks; None: its readings or its champion have changed."""
    job, (spec, detector) = shard.job, model
    at = [hours_later(shard.errors_at, hour) for hour in range(shard.wanted.shape[1])]
    with store.transaction():
        lock_champions(store, dataset.dataset_id)
        # A fold sees too many hours to lock them all: what changes an old one is noticed by the
        # digests of the next run.
        first = max(-spec.features.reach_hours, len(at) - MAX_SEEN_HOURS)
        seen = [hours_later(shard.errors_at, hour) for hour in range(first, len(at))]
        wanted = [at[hour] for hour in np.flatnonzero(shard.wanted.any(axis=0))]
        datasets.lock_hours(store, dataset.dataset_id, wanted, seen=seen)
        if not _is_champion(store, dataset, job):
            return None
        memo = _memo_under_lock(store, shard, spec)
        ledger = read_ledger(store, dataset, job.span)
        if memo is None or (ledger.n_pending != job.n_pending).any():
            return None
        rows = JobRows(shard, windows, spec, computed, memo, dataset)
        layout = datasets.select_layouts(store, dataset.dataset_id)[0]
        attributions = rows.attribution_rows(layout, detector)
        written = write_scores(store, rows.score_rows(layout), rows.anomaly_rows(), attributions)
        remember_states(store, shard, computed.states, memo.window_digests)
        # These hours have a score now: what they were without one no longer holds.
        ids, hours = job.target_hours()
        write_unscored_hours(store, job.lineage, ids, hours, [None] * len(ids), "")
    return ScoreSummary(
        n_hours=len(ids),
        n_written=written.n_new,
        n_superseded=written.n_superseded,
        n_windows=len(windows.ends),
        n_flags=int(rows.flags.sum()),
        n_anomalies=written.n_anomalies,
    )


def _is_champion(store: Store, dataset: DatasetRow, job: Job) -> bool:
    champions = champions_in(store, dataset.dataset_id, job.lineage, job.span)
    hours = np.flatnonzero(job.targets.any(axis=0))
    first_at, last_at = (hours_later(job.first_at, int(hours[i])) for i in (0, -1))
    return any(
        champion.model_id == job.champion.model_id
        and champion.valid_from <= first_at
        and (champion.valid_to is None or champion.valid_to > last_at)
        for champion in champions
    )


def _memo_under_lock(store: Store, shard: FeatureShard, spec: ModelSpec) -> Memo | None:
    """What is stored of the look-back; None when any of it, or of what was seen, has changed."""
    job, champion, n_steps = shard.job, shard.job.champion, 3600 // spec.features.step_s
    of_model = champion.model_id, job.entity_ids
    if (later_scales(store, *of_model), fitted_since(store, *of_model)) != (job.scales, job.fitted):
        return None
    of = champion.model_id, job.entity_ids, shard.errors_at, job.end_at
    memo = read_score_memo(store, *of, n_steps)
    reaches = window_reach(champion, spec), score_reach(champion)
    from_at = min(reaches[0].first(shard.errors_at), reaches[1].first(job.first_at))
    back_hours = window_hours(champion)
    from_at = min(from_at, hours_later(shard.errors_at, -back_hours))
    checksums = read_checksums(store, job.entity_ids, from_at, job.end_at)
    heard = is_alive(checksums, back_hours)[:, -shard.wanted.shape[1] :]
    checksums = with_fitted(checksums, job.fitted, unix_s(from_at))
    # Those of scores hold for the job's own hours.
    found = (reach.digests(checksums, from_at)[:, -shard.wanted.shape[1] :] for reach in reaches)
    now, score_digests = (job.salted(part, shard.errors_at) for part in found)
    scoped = job.scoped(shard.errors_at, now.shape[1])
    needed = np.logical_or.reduce(job.targets, axis=1)[:, None] & (now != 0) & scoped & heard
    is_stale = needed & (~memo.stored | (memo.window_digests != now))
    if np.where(shard.wanted, shard.digests != now, is_stale).any():
        return None
    # Errors of hours that another scale is for do not compare: they count as unknown.
    kept = memo.stored & ~shard.wanted & scoped
    errors = np.where(kept[..., None], memo.errors, np.float32(np.nan))
    return Memo(errors.reshape(len(errors), -1), now, score_digests)
