"""Rows of one job, from its errors: scores by hour, anomalies, and what carries them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.enums import Severity
from tsad_tasks.base.interval import hours_later, unix_s
from tsad_tasks.detectors.base import Detector, as_shares
from tsad_tasks.model.experience import INSIDE, OUTSIDE
from tsad_tasks.model.features import counted_again, counts_within, held
from tsad_tasks.model.scoring import MOVED_SCORE, Windows, entity_scores, hour_status
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.model.windows import NOT_FINITE, PENDING, SCORED
from tsad_tasks.scoring.columns import (
    channel_shares,
    channel_values,
    explained,
    is_share,
    within_shares,
)
from tsad_tasks.scoring.fold import StateAfter
from tsad_tasks.scoring.plan import with_pending
from tsad_tasks.scoring.reach import window_reach
from tsad_tasks.scoring.shard import FeatureShard
from tsad_tasks.storage.datasets import DatasetRow, Layout
from tsad_tasks.storage.scores import AnomalyRows, AttributionRows, ScoreRows

TOP_CHANNELS = 5
MIN_SHARE = 0.01
_TINY = np.finfo(np.float64).tiny

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Computed:
    """Errors of the wanted windows on the shard's steps, NaN elsewhere; states of a fold."""

    errors: NDArray[np.float32]
    channel_errors: NDArray[np.float32]
    expected: NDArray[np.float32]
    states: list[StateAfter]


def _counts(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numbers of events (n,) that stabilised ones stand for."""
    return counted_again(values[:, None], (0,))[:, 0]


@dataclass(frozen=True)
class Memo:
    """What is stored, as it is under the locks.

    Attributes
    ----------
    errors : (n_entities, n_steps from errors_at), NaN where they are computed anew.
    window_digests, score_digests : (n_entities, n_hours from errors_at), of the readings.
    """

    errors: NDArray[np.float32]
    window_digests: NDArray[np.int64]
    score_digests: NDArray[np.int64]


class JobRows:
    """Rows of one job, from its errors. Steps of the error series start at `errors_at`."""

    def __init__(
        self,
        shard: FeatureShard,
        windows: Windows,
        spec: ModelSpec,
        computed: Computed,
        memo: Memo,
        dataset: DatasetRow,
    ) -> None:
        self.shard, self.spec, self.memo, self.dataset = shard, spec, memo, dataset
        self.job, job = shard.job, shard.job
        self.per_hour = 3600 // spec.features.step_s
        self.offset = (unix_s(shard.values_at) - unix_s(shard.errors_at)) // 3600 * self.per_hour
        self.entity_ids = np.array(job.entity_ids)
        n_hours = job.targets.shape[1]
        self.targets: NDArray[np.bool_] = np.zeros(shard.wanted.shape, bool)
        self.targets[:, -n_hours:] = job.targets
        wanted_steps = np.repeat(shard.wanted, self.per_hour, axis=1)
        made = self._on_series(computed.errors, np.nan)
        errors = np.where(wanted_steps, made, memo.errors)
        self.errors: NDArray[np.float32] = errors.astype(np.float32)
        self.channel_errors = self._on_series(computed.channel_errors, np.nan)
        self.expected = self._on_series(computed.expected, np.nan)
        self.values = self._on_series(shard.values, np.nan)
        self.scaled = self._on_series(channel_values(spec.features, shard.features), 0.0)
        known, is_nan = self._on_series(windows.reasons, 0), np.isnan(self.errors)
        reasons: Any = np.where((known == 0) & is_nan, NOT_FINITE, known)
        for hour in np.flatnonzero(job.n_pending):
            end = (shard.wanted.shape[1] - n_hours + int(hour) + 1) * self.per_hour
            tail = slice(end - int(job.n_pending[hour]), end)
            reasons[:, tail] = np.where(is_nan[:, tail], PENDING, reasons[:, tail])
        self.reasons = reasons.astype(np.int16)
        self.provisional = job.provisional(spec)
        names, first = [name for name, _ in job.entities], shard.wanted.shape[1] - n_hours
        self.moved = self._on_series(shard.features.moved, 0)
        has_moved = self._on_series(shard.features.has_moved, 0)
        self.experience = self._on_series(shard.features.experience, INSIDE)
        farthest = self._on_series(shard.features.farthest, INSIDE)
        scored = spec, names, self.errors, first * self.per_hour
        self.scores = entity_scores(*scored, has_moved, farthest, self.channel_errors)
        self.flags = self.scores.flags & np.repeat(self.targets, self.per_hour, axis=1)

    def _on_series(self, array: NDArray[Any], fill: float) -> NDArray[Any]:
        """The part of an array that lies on the error series, padded where it starts later."""
        if self.offset <= 0:
            return array[:, -self.offset :]
        padding = np.full((len(array), self.offset, *array.shape[2:]), fill, array.dtype)
        return np.concatenate([padding, array], axis=1)

    def _by_hour(self, array: NDArray[Any]) -> NDArray[Any]:
        return array.reshape(len(array), -1, self.per_hour, *array.shape[2:])

    def score_rows(self, layout: Layout) -> ScoreRows:
        """Targets with scores, and other computed hours as memos of errors."""
        entity, hour = np.nonzero(self.shard.kept)
        n_hours = self.job.targets.shape[1]
        digests = np.zeros(self.targets.shape, np.int64)
        latest = self.memo.score_digests[:, -n_hours:]
        digests[:, -n_hours:] = with_pending(latest, self.job.n_pending)
        status, n_needed, n_seen = self._status(entity, hour)
        reasons = self._by_hour(self.reasons)[entity, hour]
        # The share of the entity's channels that were live in the steps that needed a score.
        live = np.isfinite(self._by_hour(self.channel_errors)[entity, hour])
        live &= (reasons == SCORED)[..., None]
        n_live = np.count_nonzero(live, axis=(1, 2))
        first_step = hour * self.per_hour - self.offset
        n_fitted = np.count_nonzero(self.shard.features.fitted(entity, first_step), axis=1)
        return ScoreRows(
            model_id=self.job.champion.model_id,
            entity_ids=self.entity_ids[entity],
            hours_s=unix_s(self.shard.errors_at) + 3600 * hour,
            errors=self._by_hour(self.errors)[entity, hour],
            thresholds=self._by_hour(self.scores.thresholds)[entity, hour],
            scores=self._by_hour(self.scores.scores)[entity, hour],
            reasons=reasons,
            channel_errors=self._by_hour(self.channel_errors)[entity, hour],
            has_flags=np.logical_or.reduce(self._by_hour(self.flags)[entity, hour], axis=1),
            memo=~self.targets[entity, hour],
            status=status.tolist(),
            coverage=np.asarray(n_live / np.maximum(n_needed * n_fitted, 1), np.float32),
            n_needed=n_needed,
            n_seen=n_seen,
            window_digests=self.memo.window_digests[entity, hour],
            score_digests=digests[entity, hour],
            outside=self._outside(layout, entity, hour),
        )

    def _outside(self, layout: Layout, entity: Positions, hour: Positions) -> list[str]:
        """Ids of conditions that were outside of what training saw for half of some hours."""
        if not self.experience.any():
            return []
        outside = self._by_hour(self.experience)[entity, hour] == OUTSIDE
        n_outside = np.count_nonzero(outside, axis=1)
        ids = self._channel_ids(layout)[self.spec.features.conditions]
        lasts = 2 * n_outside >= self.per_hour
        return [",".join(map(str, sorted(ids[of_hour].tolist()))) for of_hour in lasts]

    def _channel_ids(self, layout: Layout) -> Positions:
        """Ids (n_channels,) of the model's channels."""
        ids = dict(zip(layout.channel_names, layout.channel_ids, strict=True))
        return np.array([ids[name] for name in self.spec.features.channels], np.int64)

    def _status(
        self, entity: Positions, hour: Positions
    ) -> tuple[NDArray[np.str_], Positions, Positions]:
        """Status, steps needed and steps seen of some hours of entities."""
        judged = np.delete(self.shard.values, self.spec.features.conditions, axis=2)
        read = self._by_hour(np.asarray(np.isfinite(judged).any(axis=2)))
        n_before = np.cumsum(read.any(axis=2), axis=1, dtype=np.int64)
        n_before = np.concatenate([np.zeros_like(n_before[:, :1]), n_before], axis=1)
        reach_hours = max(self.spec.features.reach_hours, 1)
        # What was read begins before the first of the hours whose errors are computed.
        at = hour - self.offset // self.per_hour
        before = n_before[entity, np.maximum(at - reach_hours, 0)]
        retired, retired_at = np.zeros(self.targets.shape[1], bool), self.dataset.retired_before
        if retired_at is not None:
            reach, hours = window_reach(self.job.champion, self.spec), range(len(retired))
            starts = (reach.first(hours_later(self.shard.errors_at, one)) for one in hours)
            retired[:] = [first_at < retired_at for first_at in starts]
        return hour_status(
            self._by_hour(self.reasons)[entity, hour],
            read[entity, at],
            provisional=self.provisional[entity],
            silent=n_before[entity, at + 1] == before,
            retired=retired[hour],
        )

    def anomaly_rows(self) -> AnomalyRows:
        """One row per flagged step of the targets."""
        entity, step = np.nonzero(self.flags)
        is_collective = self.scores.collective[entity, step]
        names = [one.value for one in Severity]
        return AnomalyRows(
            entity_ids=self.entity_ids[entity],
            times_s=self._times(step),
            kind=["collective" if one else "point" for one in is_collective],
            severity=[names[level - 1] for level in self.scores.severity[entity, step]],
            error=self.errors[entity, step],
            threshold=self.scores.thresholds[entity, step],
            score=self.scores.scores[entity, step],
            provisional=self.provisional[entity],
        )

    def _times(self, steps: Positions) -> Positions:
        return unix_s(self.shard.errors_at) + steps * self.spec.features.step_s

    def attribution_rows(self, layout: Layout, detector: Detector) -> AttributionRows:
        """The channels that carry most of each flagged step's error, in their units; by step."""
        entity, step = np.nonzero(self.flags)
        share, by_step = self._shares(detector, entity, step)
        rank = np.argsort(np.argsort(-share, axis=1, kind="stable"), axis=1, kind="stable")
        row, channel = np.nonzero((rank < TOP_CHANNELS) & (share >= MIN_SHARE))
        entity, step, scalers = entity[row], step[row], self.job.scalers(self.spec)
        center = np.array([scaler.center for scaler in scalers])[entity, channel]
        scale = np.array([scaler.scale for scaler in scalers])[entity, channel]
        read, scaled = self.values[entity, step, channel], self.scaled[entity, step, channel]
        actual = np.where(np.isfinite(read), read, scaled * scale + center)
        is_still = scale == 0.0
        if is_still.any():
            # What is held of a channel without a scale is not in the detector's inputs.
            actual[is_still] = self._held()[entity, step, channel][is_still]
        spread = np.where(is_still, np.nan, np.array(self.spec.spreads)[channel] * scale)
        expected = self.expected[entity, step, channel].astype(np.float64)
        expected = np.where(is_still, center, expected * scale + center)
        is_count = np.isin(channel, self.spec.pooled_scaler.counts)
        if is_count.any():
            held = is_count & ~np.isfinite(read) & ~is_still
            actual[held] = _counts(actual[held])
            expected[is_count] = _counts(expected[is_count])
            spread[is_count] = counts_within(expected[is_count], spread[is_count])
        shares = is_share(self.spec.features.channels)[channel]
        return AttributionRows(
            entity_ids=self.entity_ids[entity],
            times_s=self._times(step),
            channel_ids=self._channel_ids(layout)[channel],
            share=share[row, channel].astype(np.float32),
            actual=self._on_circles(actual, channel),
            expected=self._on_circles(within_shares(expected, shares), channel),
            spread=spread,
            step_shares=by_step[row, :, channel] * share[row, channel, None].astype(np.float32),
        )

    def _on_circles(self, values: NDArray[np.float64], channel: Positions) -> NDArray[np.float64]:
        """Values (n,) of channels in their units, those of angles between their circle's ends."""
        for position, circle in enumerate(self.spec.pooled_scaler.circles):
            if circle is not None:
                values = np.where(channel == position, circle.within(values), values)
        return values

    def _shares(
        self, detector: Detector, entity: Positions, step: Positions
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Shares of flagged channels (n, n_channels), and of their steps (n, width, n_channels)."""
        width, errors = self.spec.features.width, self.channel_errors[entity, step]
        # Inputs of all entities' steps laid end to end, and where the windows end in them.
        inputs = self.shard.features.inputs.reshape(-1, self.shard.features.inputs.shape[-1])
        ends = entity * self.shard.values.shape[1] + step - self.offset
        if detector.judges_windows and len(entity):
            # Not what a dead channel owes: the 0 that stands for it is no reading.
            found = channel_shares(self.spec.features, detector, inputs, ends)
            found = as_shares(np.where(np.isfinite(errors), found, 0))
            shares = np.asarray(found, np.float64)
        else:
            parts = np.nan_to_num(errors.astype(np.float64))
            shares = parts / np.maximum(parts.sum(axis=1, keepdims=True), _TINY)
        shares = self._with_moved(shares, entity, step)
        by_step = np.full((len(ends), width, self.values.shape[-1]), 1 / width)
        if width > 1 and len(ends):
            added = explained(self.spec.features, detector, inputs, ends)
            total = added.sum(axis=1, dtype=np.float64, keepdims=True)
            by_step = np.where(total > 0, added / np.maximum(total, _TINY), by_step)
        row, channel = np.nonzero(self.moved[entity, step])
        # A move is seen at once.
        by_step[row, :, channel] = np.arange(width) == width - 1
        return shares, by_step.astype(np.float32)

    def _with_moved(
        self, shares: NDArray[np.float64], entity: Positions, step: Positions
    ) -> NDArray[np.float64]:
        """The shares, of which channels that moved for the first time take theirs.

        Both weigh as many thresholds as they come to, the detector's error and the move.
        """
        moved = self.moved[entity, step]
        n_moved = np.count_nonzero(moved, axis=1)
        if not n_moved.any():
            return shares
        thresholds = self.scores.thresholds[entity, step].astype(np.float64)
        error = self.errors[entity, step] / thresholds
        weight = (1.0 + float(MOVED_SCORE)) / (1.0 + float(MOVED_SCORE) + error)
        weight = np.where(n_moved > 0, weight, 0.0)[:, None]
        own = moved / np.maximum(n_moved, 1)[:, None]
        return np.asarray((1 - weight) * np.nan_to_num(shares) + weight * own)

    def _held(self) -> NDArray[np.float64]:
        """Values (n_entities, n_steps, n_channels) as the features hold them."""
        return self._on_series(held(self.shard.values, self.spec.features.hold_steps), np.nan)
