"""The documents' protocol on the project's code: scale, train on clean windows, errors, thresholds,
figures.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from document_figures.figures import Sizes
from tsad_tasks.config import DatasetConfig
from tsad_tasks.config.presets import preset_text
from tsad_tasks.detectors.base import Budget, Detector, TrainingHistory, TrainingSet
from tsad_tasks.detectors.registry import build_detector
from tsad_tasks.model.evaluation import (
    AlertSchedule,
    Confusion,
    EventReport,
    confusion,
    event_report,
    pr_curve,
    roc_curve,
    runs,
)
from tsad_tasks.model.features import Scaler, fit_scaler
from tsad_tasks.model.thresholds import ThresholdSettings, calibrate, flag

Bools = NDArray[np.bool_]
Errors = NDArray[np.float32]
Values = NDArray[np.float64]
STEP_S = 60
HELD_OUT_SHARE = 0.1


def preset(name: str) -> DatasetConfig:
    """The dataset file of a document."""
    return DatasetConfig.model_validate(yaml.safe_load(preset_text(name)))


def budget_of(config: DatasetConfig, sizes: Sizes, **changed: Any) -> Budget:
    """The preset's training budget, cut to what the sizes have time for."""
    training = config.training
    epochs, patience = min(training.epochs, sizes.epochs), min(training.patience, sizes.patience)
    budget = Budget(epochs, patience, training.batch_size, training.learning_rate, training.loss)
    return replace(budget, **changed)


@dataclass(frozen=True)
class Fitted:
    """A detector, its scaler, and how its training went."""

    detector: Detector
    scaler: Scaler
    history: TrainingHistory

    def errors(self, values: Values, context: Errors | None = None) -> Errors:
        """Error of the window that ends at each reading, (n_steps,); NaN for the first ones."""
        return self.detector.score(self.scaler.transform(values), context)


def fit_clean(
    name: str,
    values: Values,
    *,
    width: int,
    budget: Budget,
    seed: int,
    scaling: str = "minmax",
    context: Errors | None = None,
    params: Mapping[str, Any] | None = None,
    ends: NDArray[np.int64] | None = None,
    **more: Any,
) -> Fitted:
    """A detector trained on readings taken for normal; the last tenth stops the training and is not
    learned.

    Parameters
    ----------
    values : (n_steps, n_channels)
    context : (n_steps, n_context), optional
    ends : which windows to learn from, in random order; by default all
    """
    scaler = fit_scaler(values, scaling)
    inputs = scaler.transform(values)
    inputs = inputs if context is None else np.concatenate([inputs, context], axis=1)
    learned, held_out = _parted(len(values), width) if ends is None else _parted_at_random(ends)
    n_channels = values.shape[1]
    training = TrainingSet(inputs, learned, held_out, n_channels, width)
    detector = build_detector(
        name, width=width, n_channels=n_channels, n_inputs=inputs.shape[1], params=params
    )
    return Fitted(detector, scaler, detector.fit(training, budget=budget, seed=seed, **more))


Positions = NDArray[np.int64]


def _parted(n_steps: int, width: int) -> tuple[Positions, Positions]:
    ends, first = np.arange(width - 1, n_steps, dtype=np.int64), held_out_from(n_steps)
    # An embargo of one window: no reading is both learned and held out.
    return ends[ends < first], ends[ends >= first + width - 1]


def _parted_at_random(ends: Positions) -> tuple[Positions, Positions]:
    first = held_out_from(len(ends))
    return ends[:first], ends[first:]


def held_out_from(n_steps: int) -> int:
    """First step of the tenth of the clean readings that is held out."""
    return round(n_steps * (1 - HELD_OUT_SHARE))


def settings(
    kind: str, k: float = 3.0, percentile: float = 95.0, **changed: Any
) -> ThresholdSettings:
    """Threshold settings as the documents have them: no moving average, a look-back of 1,000."""
    chosen = {
        "look_back_steps": 1000,
        "min_count": 200,
        "floor": 0.5,
        "collective_width": 0,
        "collective_k": 3.0,
    }
    return ThresholdSettings(kind, percentile, k, **(chosen | changed))


def fixed_limit(errors: Errors, k: float = 3.0) -> float:
    """Mean + k standard deviations of errors of normal readings."""
    return calibrate(errors, settings=settings("mean_std", k)).limit


def window_labels(labels: Bools, width: int) -> Bools:
    """Whether the window of `width` that ends at a step holds an anomalous step, (n_steps,): the
    documents' labels.
    """
    sums = np.concatenate([[0], np.cumsum(labels)])
    ends = np.arange(1, labels.size + 1)
    return np.asarray(sums[ends] > sums[np.maximum(ends - width, 0)])


@dataclass(frozen=True)
class Judgement:
    """Errors against labels at one threshold."""

    steps: Confusion
    events: EventReport
    roc_auc: float
    average_precision: float

    def named(self, prefix: str) -> dict[str, float]:
        """The figures by name."""
        return {
            f"{prefix}precision": self.steps.precision,
            f"{prefix}recall": self.steps.recall,
            f"{prefix}f1": self.steps.f1,
            f"{prefix}accuracy": self.steps.accuracy,
            f"{prefix}always_normal": self.steps.always_normal_accuracy,
            f"{prefix}roc_auc": self.roc_auc,
            f"{prefix}pr_auc": self.average_precision,
            f"{prefix}event_recall": self.events.recall,
            f"{prefix}false_alarms_per_day": self.events.false_alarms_per_day,
        }


def judge(
    labels: Bools, errors: Errors, threshold: float, step_s: int = STEP_S, merge_gap_steps: int = 30
) -> Judgement:
    """How errors over a threshold stand against labels; unknown errors are left out."""
    known = np.isfinite(errors)
    flags = flag(errors, threshold)
    return Judgement(
        confusion(labels, flags, known),
        event_report(
            labels,
            flags,
            known,
            schedule=AlertSchedule(step_s, step_s),
            merge_gap_steps=merge_gap_steps,
        ),
        roc_curve(labels, errors).auc,
        pr_curve(labels, errors).average_precision,
    )


def threshold_for_recall(labels: Bools, errors: Errors, recall: float) -> float:
    """The highest threshold at which at least this share of the events has a flag."""
    heights = [
        np.nanmax(errors[first:end])
        for first, end in runs(labels)
        if np.isfinite(errors[first:end]).any()
    ]
    n_needed = max(1, int(np.ceil(recall * len(heights) - 1e-9)))
    return float(
        np.nextafter(
            np.sort(np.array(heights, np.float32))[::-1][n_needed - 1], np.float32(-np.inf)
        )
    )


def one_window_ms(fitted: Fitted, values: Values, n_inputs: int | None = None) -> float:
    """Median milliseconds to score one window."""
    detector = fitted.detector
    readings = fitted.scaler.transform(values)
    inputs = np.zeros((len(readings), n_inputs or detector.n_inputs), np.float32)
    inputs[:, : readings.shape[1]] = readings
    laps = []
    for end in range(detector.width, detector.width + 200):
        began = time.perf_counter()
        detector.reconstruct(inputs, np.array([end], np.int64))
        laps.append(time.perf_counter() - began)
    return 1000 * float(np.median(laps))
