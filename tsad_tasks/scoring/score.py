"""Task `score`: errors by ONNX Runtime, thresholds, scores, anomalies; written in one transaction
per job.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.enums import Lineage, Severity
from tsad_tasks.base.errors import BundleError, Unavailable
from tsad_tasks.base.interval import hours_later, unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.base import Detector, as_shares
from tsad_tasks.detectors.folding.fold import FoldDetector, at_ends, channel_weights
from tsad_tasks.model.scoring import (
    Windows,
    combined_errors,
    entity_scores,
    hour_status,
)
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.model.windows import NOT_FINITE, PENDING, SCORED
from tsad_tasks.scoring.canary import check_canary
from tsad_tasks.scoring.features import load_model, mark_failed, planned_shards
from tsad_tasks.scoring.fold import StateAfter, fold_shard, remember_states
from tsad_tasks.scoring.own_scales import later_scales
from tsad_tasks.scoring.plan import Job, read_ledger, with_pending
from tsad_tasks.scoring.queries import SELECT_CHAMPIONS
from tsad_tasks.scoring.reach import Reach, score_reach, window_reach
from tsad_tasks.scoring.shard import FeatureShard, load_windows
from tsad_tasks.scoring.windows import windows_of_shard, windows_path
from tsad_tasks.storage.artifacts import artifact_path
from tsad_tasks.storage.datasets import (
    DatasetRow,
    lock_champions,
    lock_hours,
    select_dataset,
    select_layouts,
)
from tsad_tasks.storage.readings import read_checksums
from tsad_tasks.storage.scores import (
    AnomalyRows,
    AttributionRows,
    ScoreRows,
    read_score_memo,
    write_scores,
    write_unscored_hours,
)
from tsad_tasks.storage.store import Store

log = logging.getLogger("tsad")

MAX_ATTEMPTS = 5
MAX_SEEN_HOURS = 24 * 14
TOP_CHANNELS = 5
MIN_SHARE = 0.01


@dataclass(frozen=True)
class ScoreSummary:
    """What scoring wrote."""

    n_hours: int = 0
    n_written: int = 0
    n_superseded: int = 0
    n_windows: int = 0
    n_flags: int = 0
    n_anomalies: int = 0

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
    return _score_all(
        store,
        config,
        ((FeatureShard.load(path), load_windows(windows_path(path))) for path in files),
    )


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
    """Features, windows and scores of [start_at, end_at) in one go, in memory; leaves the rows of
    the three tasks.

    Raises
    ------
    BundleError
        As `score_shard`.
    """
    span: dict[str, Any] = {"start_at": start_at, "end_at": end_at, "entity_names": entity_names}
    shards, _, _ = planned_shards(
        store, config, select_dataset(store, config.dataset), lineage=lineage, **span
    )
    return _score_all(store, config, ((shard, None) for shard in shards), n_attempts)


def _score_all(
    store: Store,
    config: DatasetConfig,
    jobs: Iterable[tuple[FeatureShard, Windows | None]],
    n_attempts: int = 0,
) -> ScoreSummary:
    summary, broken = ScoreSummary(), []
    for shard, windows in jobs:
        try:
            summary += score_job(store, config, shard, windows, n_attempts=n_attempts)
        except BundleError as error:
            _fail_hours(store, config, shard.job, str(error))
            # A broken challenger is never promoted: its hours are not scored. It does not stop the
            # champions.
            broken += [] if shard.job.is_shadow else [str(error)]
    if broken:
        raise BundleError("; ".join(broken))
    return summary


def _fail_hours(store: Store, config: DatasetConfig, job: Job, message: str) -> None:
    log.error(message)
    dataset = select_dataset(store, config.dataset)
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
    """Scores one job; when its readings or its champion change meanwhile, plans and scores these
    hours again.

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
    computed = _compute(shard, found, spec, bundle.detector)
    written = _write(store, dataset, shard, found, (spec, bundle.detector), computed)
    if written is not None:
        return written
    if n_attempts >= MAX_ATTEMPTS:
        raise Unavailable(
            f"Expected the readings of {config.dataset} to stand still for a moment. Received: "
            "changes."
        )
    names = [name for name, _ in job.entities]
    span: dict[str, Any] = {"start_at": job.first_at, "end_at": job.end_at, "entity_names": names}
    return score_interval(store, config, lineage=job.lineage, n_attempts=n_attempts + 1, **span)


@dataclass(frozen=True)
class _Computed:
    """Errors of the wanted windows, on the steps of the shard's values, NaN elsewhere; states of a
    folding model.
    """

    errors: NDArray[np.float32]
    channel_errors: NDArray[np.float32]
    expected: NDArray[np.float32]
    states: Sequence[StateAfter]


def _compute(
    shard: FeatureShard, windows: Windows, spec: ModelSpec, detector: Detector
) -> _Computed:
    n_entities, n_steps, n_inputs = shard.features.inputs.shape
    n_channels = len(spec.features.channels)
    states: Sequence[StateAfter] = ()
    if shard.folds is None:
        found = detector.reconstruct(shard.features.inputs.reshape(-1, n_inputs), windows.ends)
    else:
        folded, states = fold_shard(shard, shard.folds, spec, cast(FoldDetector, detector))
        found = at_ends(folded, windows.ends)
    errors = np.full(n_entities * n_steps, np.nan, np.float32)
    channel_errors = np.full((n_entities * n_steps, n_channels), np.nan, np.float32)
    expected = np.full((n_entities * n_steps, n_channels), np.nan, np.float32)
    names = [name for name, _ in shard.job.entities]
    made = combined_errors(spec, names, windows.ends // n_steps, found.channel_errors, windows.live)
    errors[windows.ends], channel_errors[windows.ends] = made[0], made[1] * channel_weights(found)
    expected[windows.ends] = found.expected
    shape = (n_entities, n_steps)
    return _Computed(
        errors.reshape(shape),
        channel_errors.reshape(*shape, -1),
        expected.reshape(*shape, -1),
        states,
    )


def _write(
    store: Store,
    dataset: DatasetRow,
    shard: FeatureShard,
    windows: Windows,
    model: tuple[ModelSpec, Detector],
    computed: _Computed,
) -> ScoreSummary | None:
    """Writes the job under the hours' locks; None when its readings or its champion are no longer
    what they were.
    """
    job, (spec, detector) = shard.job, model
    with store.transaction():
        lock_champions(store, dataset.dataset_id)
        _lock(store, dataset, shard, spec)
        if not _is_champion(store, dataset, job):
            return None
        memo = _memo_under_lock(store, shard, spec)
        ledger = read_ledger(store, dataset, job.first_at, job.end_at)
        if memo is None or (ledger.n_pending != job.n_pending).any():
            return None
        hours = _Hours(shard, windows, spec, computed, memo, dataset)
        written = write_scores(
            store, hours.score_rows(), hours.anomaly_rows(), hours.attribution_rows(store, detector)
        )
        remember_states(store, shard, computed.states, memo.window_digests)
        _unmark(store, job)
    n_hours = int(job.targets.sum())
    return ScoreSummary(
        n_hours,
        written.n_new,
        written.n_superseded,
        len(windows.ends),
        hours.n_flags,
        written.n_anomalies,
    )


def _lock(store: Store, dataset: DatasetRow, shard: FeatureShard, spec: ModelSpec) -> None:
    # A fold sees too many hours to lock them all: what changes an old one is noticed by the digests
    # of the next run.
    n_hours, reach = shard.wanted.shape[1], spec.features.reach_hours
    written = [
        hours_later(shard.errors_at, int(i)) for i in np.flatnonzero(shard.wanted.any(axis=0))
    ]
    seen = [
        hours_later(shard.errors_at, i)
        for i in range(max(-reach, n_hours - MAX_SEEN_HOURS), n_hours)
    ]
    lock_hours(store, dataset.dataset_id, written, seen=seen)


def _is_champion(store: Store, dataset: DatasetRow, job: Job) -> bool:
    champions = store.rows(
        SELECT_CHAMPIONS,
        dataset_id=dataset.dataset_id,
        lineage=job.lineage,
        start_at=job.first_at,
        end_at=job.end_at,
    )
    hours = np.flatnonzero(job.targets.any(axis=0))
    first_at, last_at = (hours_later(job.first_at, int(hours[i])) for i in (0, -1))
    return any(
        champion.model_id == job.champion.model_id
        and champion.valid_from <= first_at
        and (champion.valid_to is None or champion.valid_to > last_at)
        for champion in champions
    )


@dataclass(frozen=True)
class _Memo:
    """What is stored, as it is under the locks.

    Attributes
    ----------
    errors : (n_entities, n_steps from errors_at), NaN where they are computed anew.
    window_digests, score_digests : (n_entities, n_hours from errors_at), of the readings.
    """

    errors: NDArray[np.float32]
    window_digests: NDArray[np.int64]
    score_digests: NDArray[np.int64]


def _memo_under_lock(store: Store, shard: FeatureShard, spec: ModelSpec) -> _Memo | None:
    """What is stored of the look-back; None when any of it, or of what the features saw, has
    changed.

    Errors of hours that another scale is for do not compare: they count as unknown.
    """
    job, n_steps = shard.job, 3600 // spec.features.step_s
    if later_scales(store, job.champion.model_id, job.entity_ids) != job.scales:
        return None
    memo = read_score_memo(
        store, job.champion.model_id, job.entity_ids, shard.errors_at, job.end_at, n_steps
    )
    now, score_digests = _digests_under_lock(store, shard, spec)
    scoped = job.scoped(shard.errors_at, now.shape[1])
    needed = np.logical_or.reduce(job.targets, axis=1)[:, None] & (now != 0) & scoped
    moved = np.where(
        shard.wanted, shard.digests != now, needed & (~memo.stored | (memo.window_digests != now))
    )
    if moved.any():
        return None
    kept = memo.stored & ~shard.wanted & scoped
    errors = np.where(kept[..., None], memo.errors, np.float32(np.nan))
    return _Memo(errors.reshape(len(errors), -1), now, score_digests)


def _digests_under_lock(
    store: Store, shard: FeatureShard, spec: ModelSpec
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Window and score digests (n_entities, n_hours from errors_at); the latter hold for the job's
    hours.
    """
    champion = shard.job.champion
    reaches = window_reach(champion, spec), score_reach(champion)
    from_at = min(reaches[0].first(shard.errors_at), reaches[1].first(shard.job.first_at))
    checksums = read_checksums(store, shard.job.entity_ids, from_at, shard.job.end_at)
    found = (reach.digests(checksums, from_at)[:, -shard.wanted.shape[1] :] for reach in reaches)
    windows, scores = (shard.job.salted(part, shard.errors_at) for part in found)
    return windows, scores


def _unmark(store: Store, job: Job) -> None:
    entity, hour = np.nonzero(job.targets)
    hours = [hours_later(job.first_at, i) for i in range(job.targets.shape[1])]
    ids = np.array(job.entity_ids)[entity].tolist()
    write_unscored_hours(
        store, job.lineage, ids, [hours[i] for i in hour.tolist()], [None] * len(ids), ""
    )


class _Hours:
    """Rows of one job, from its errors. Steps of the error series start at `errors_at`."""

    def __init__(
        self,
        shard: FeatureShard,
        windows: Windows,
        spec: ModelSpec,
        computed: _Computed,
        memo: _Memo,
        dataset: DatasetRow,
    ) -> None:
        self.shard, self.spec, self.memo, self.dataset = shard, spec, memo, dataset
        self.job = shard.job
        self.per_hour = 3600 // spec.features.step_s
        self.offset = (unix_s(shard.values_at) - unix_s(shard.errors_at)) // 3600 * self.per_hour
        self.wanted_steps = np.repeat(shard.wanted, self.per_hour, axis=1)
        self.targets: NDArray[np.bool_] = np.zeros(shard.wanted.shape, bool)
        self.targets[:, -self.job.targets.shape[1] :] = self.job.targets
        on_series = self._on_series
        self.errors = np.where(
            self.wanted_steps, on_series(computed.errors, np.nan), memo.errors
        ).astype(np.float32)
        self.channel_errors = on_series(computed.channel_errors, np.nan)
        self.expected = on_series(computed.expected, np.nan)
        self.values = on_series(shard.values, np.nan)
        self.inputs = on_series(shard.features.inputs[..., : len(spec.features.channels)], 0.0)
        self.reasons = self._reasons(on_series(windows.reasons, 0))
        names = [name for name, _ in self.job.entities]
        self.provisional = self.job.provisional(spec)
        first_hour = shard.wanted.shape[1] - self.job.targets.shape[1]
        self.scores = entity_scores(spec, names, self.errors, first_hour * self.per_hour)
        self.flags = self.scores.flags & np.repeat(self.targets, self.per_hour, axis=1)
        self.n_flags = int(self.flags.sum())

    def _on_series(self, array: NDArray[Any], fill: float) -> NDArray[Any]:
        """The part of an array of the shard's steps that lies on the error series, padded where it
        starts later.
        """
        if self.offset <= 0:
            return array[:, -self.offset :]
        padding = np.full((len(array), self.offset, *array.shape[2:]), fill, array.dtype)
        return np.concatenate([padding, array], axis=1)

    def _reasons(self, reasons: NDArray[np.int16]) -> NDArray[np.int16]:
        unknown = (reasons == 0) & np.isnan(self.errors)
        found = np.where(unknown, NOT_FINITE, reasons)
        n_hours = self.job.targets.shape[1]
        for hour in np.flatnonzero(self.job.n_pending):
            end = (self.targets.shape[1] - n_hours + int(hour) + 1) * self.per_hour
            tail = slice(end - int(self.job.n_pending[hour]), end)
            found[:, tail] = np.where(np.isnan(self.errors[:, tail]), PENDING, found[:, tail])
        return found.astype(np.int16)

    def _by_hour(self, array: NDArray[Any]) -> NDArray[Any]:
        return array.reshape(len(array), -1, self.per_hour, *array.shape[2:])

    def score_rows(self) -> ScoreRows:
        """Targets with scores, and other computed hours as memos of errors."""
        entity, hour = np.nonzero(self.shard.wanted)
        n_hours = self.job.targets.shape[1]
        score_digests = np.zeros(self.targets.shape, np.int64)
        score_digests[:, -n_hours:] = with_pending(
            self.memo.score_digests[:, -n_hours:], self.job.n_pending
        )
        status, n_needed, n_seen = self._status(entity, hour)
        return ScoreRows(
            model_id=self.job.champion.model_id,
            entity_ids=np.array(self.job.entity_ids)[entity],
            hours_s=unix_s(self.shard.errors_at) + 3600 * hour,
            errors=self._by_hour(self.errors)[entity, hour],
            thresholds=self._by_hour(self.scores.thresholds)[entity, hour],
            scores=self._by_hour(self.scores.scores)[entity, hour],
            reasons=self._by_hour(self.reasons)[entity, hour],
            channel_errors=self._by_hour(self.channel_errors)[entity, hour],
            has_flags=np.logical_or.reduce(self._by_hour(self.flags)[entity, hour], axis=1),
            memo=~self.targets[entity, hour],
            status=status.tolist(),
            coverage=self._coverage(entity, hour, n_needed),
            n_needed=n_needed,
            n_seen=n_seen,
            window_digests=self.memo.window_digests[entity, hour],
            score_digests=score_digests[entity, hour],
        )

    def _status(
        self, entity: NDArray[np.int64], hour: NDArray[np.int64]
    ) -> tuple[NDArray[np.str_], NDArray[np.int64], NDArray[np.int64]]:
        """Status, steps needed and steps seen of some hours of entities."""
        read = self._by_hour(np.isfinite(self.values).any(axis=2))
        n_before = np.cumsum(read.any(axis=2), axis=1, dtype=np.int64)
        n_before = np.concatenate([np.zeros_like(n_before[:, :1]), n_before], axis=1)
        reach = max(self.spec.features.reach_hours, 1)
        silent = n_before[entity, hour + 1] == n_before[entity, np.maximum(hour - reach, 0)]
        retired = np.array([self._is_retired(i) for i in range(read.shape[1])], bool)
        marks = {
            "provisional": self.provisional[entity],
            "silent": silent,
            "retired": retired[hour],
        }
        return hour_status(self._by_hour(self.reasons)[entity, hour], read[entity, hour], **marks)

    def _coverage(
        self, entity: NDArray[np.int64], hour: NDArray[np.int64], n_needed: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Share of channels that were live in the steps that needed a score."""
        live = np.isfinite(self._by_hour(self.channel_errors)[entity, hour])
        live &= (self._by_hour(self.reasons)[entity, hour] == SCORED)[..., None]
        n_live = np.count_nonzero(live, axis=(1, 2))
        return np.asarray(n_live / np.maximum(n_needed * live.shape[2], 1), np.float32)

    def _is_retired(self, hour: int) -> bool:
        reach: Reach = window_reach(self.job.champion, self.spec)
        first_at = reach.first(hours_later(self.shard.errors_at, hour))
        return self.dataset.retired_before is not None and first_at < self.dataset.retired_before

    def anomaly_rows(self) -> AnomalyRows:
        """One row per flagged step of the targets."""
        entity, step = np.nonzero(self.flags)
        names = [one.value for one in Severity]
        return AnomalyRows(
            entity_ids=np.array(self.job.entity_ids)[entity],
            times_s=self._times(step),
            kind=[
                "collective" if found else "point" for found in self.scores.collective[entity, step]
            ],
            severity=[names[level - 1] for level in self.scores.severity[entity, step]],
            error=self.errors[entity, step],
            threshold=self.scores.thresholds[entity, step],
            score=self.scores.scores[entity, step],
            provisional=self.provisional[entity],
        )

    def _times(self, steps: NDArray[np.int64]) -> NDArray[np.int64]:
        return unix_s(self.shard.errors_at) + steps * self.spec.features.step_s

    def attribution_rows(self, store: Store, detector: Detector) -> AttributionRows:
        """The channels that carry most of the error of each flagged step, in the sensors' units,
        and in which steps.
        """
        entity, step = np.nonzero(self.flags)
        share = self._shares(detector, entity, step)
        rank = np.argsort(np.argsort(-share, axis=1, kind="stable"), axis=1, kind="stable")
        row, channel = np.nonzero((rank < TOP_CHANNELS) & (share >= MIN_SHARE))
        actual, expected, spread = self._in_units(entity[row], step[row], channel)
        ids, by_step = self._channel_ids(store), self._step_shares(detector, entity, step)
        return AttributionRows(
            entity_ids=np.array(self.job.entity_ids)[entity[row]],
            times_s=self._times(step[row]),
            channel_ids=ids[channel],
            share=share[row, channel].astype(np.float32),
            actual=actual,
            expected=expected,
            spread=spread,
            step_shares=by_step[row, :, channel] * share[row, channel, None].astype(np.float32),
        )

    def _shares(
        self, detector: Detector, entity: NDArray[np.int64], step: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Share of each channel in the error of flagged steps, (n, n_channels); NaN in rows where
        it is unknown.
        """
        errors = self.channel_errors[entity, step].astype(np.float64)
        if detector.judges_windows and len(entity):
            # Not what a dead channel owes: the 0 that stands for it is no reading.
            found = detector.channel_shares(
                *self._flagged(entity, step), self.spec.features.channel_inputs
            )
            return np.asarray(as_shares(np.where(np.isfinite(errors), found, 0)), np.float64)
        parts = np.nan_to_num(errors)
        return np.asarray(
            parts / np.maximum(parts.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny),
            np.float64,
        )

    def _flagged(
        self, entity: NDArray[np.int64], step: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Inputs of all entities' steps laid end to end, and where the windows of flagged steps end
        in them.
        """
        inputs = self.shard.features.inputs
        return inputs.reshape(-1, inputs.shape[-1]), entity * self.shard.values.shape[
            1
        ] + step - self.offset

    def _step_shares(
        self, detector: Detector, entity: NDArray[np.int64], step: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """(n, width, n_channels): which steps of their windows carry a channel's error; each
        channel's sum is 1.
        """
        width, (inputs, ends) = self.spec.features.width, self._flagged(entity, step)
        parts = detector.explain(inputs, ends) if width > 1 and len(ends) else None
        if parts is None:
            return np.full((len(ends), width, self.values.shape[-1]), 1 / width, np.float32)
        total = parts.sum(axis=1, dtype=np.float64, keepdims=True)
        shares = np.where(
            total > 0, parts / np.maximum(total, np.finfo(np.float64).tiny), 1 / width
        )
        return shares.astype(np.float32)

    def _in_units(
        self, entity: NDArray[np.int64], step: NDArray[np.int64], channel: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        scalers = self.job.scalers(self.spec)
        center = np.array([scaler.center for scaler in scalers])[entity, channel]
        scale = np.array([scaler.scale for scaler in scalers])[entity, channel]
        read = self.values[entity, step, channel]
        actual = np.where(
            np.isfinite(read), read, self.inputs[entity, step, channel] * scale + center
        )
        expected = self.expected[entity, step, channel].astype(np.float64) * scale + center
        return actual, expected, np.array(self.spec.spreads)[channel] * scale

    def _channel_ids(self, store: Store) -> NDArray[np.int64]:
        layout = select_layouts(store, self.dataset.dataset_id)[0]
        return np.array(
            [
                layout.channel_ids[layout.channel_names.index(name)]
                for name in self.spec.features.channels
            ]
        )
