"""Document A's experiments: a bidirectional LSTM classifier with context on a plant with the
channels of CATS.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from simulators.simulate_cats import cats_plant
from simulators.simulate_documents import anomalous_steps

from document_figures.best_threshold import best_f1_threshold
from document_figures.cats_file import read_cats
from document_figures.figures import Say, Sizes
from document_figures.fitting import Bools, Errors, Values, budget_of, judge, preset
from document_figures.splits import Split, overlap_share, split_at_random, split_by_time
from tsad_tasks.detectors.base import Detector, TrainingSet
from tsad_tasks.detectors.neural.training.oversampling import repeated
from tsad_tasks.detectors.registry import build_detector
from tsad_tasks.model.evaluation import (
    classification_report,
    confusion,
    roc_curve,
)
from tsad_tasks.model.features import cyclic_time, derived, fit_scaler
from tsad_tasks.model.tails import fit_tails
from tsad_tasks.model.thresholds import flag

START_AT = datetime(2023, 1, 2, tzinfo=UTC)
PRESET = preset("document_a")
WIDTH = PRESET.detector.window
UTC_ZONE = ZoneInfo("UTC")
TOP_K = 2
# The document's supports: rows, and anomalous ones among them, of its training set before
# oversampling.
DOCUMENT_TRAINING, DOCUMENT_ANOMALIES = 280_000, 10_545


@dataclass(frozen=True)
class Plant:
    """Readings, what the network sees beside them, labels, and whether they are the published
    ones.
    """

    times_s: NDArray[np.int64]
    values: Values
    labels: Bools
    is_real: bool

    @property
    def n_nominal(self) -> int:
        """Rows before the first anomaly."""
        return int(np.argmax(self.labels))


@lru_cache(maxsize=2)
def plant(sizes: Sizes, seed: int) -> Plant:
    """The published file where TSAD_BENCH_DATA holds cats/data.csv or .parquet, else a plant of our
    own making.
    """
    for name in ("data.parquet", "data.csv"):
        path = Path(os.environ.get("TSAD_BENCH_DATA", "")) / "cats" / name
        if os.environ.get("TSAD_BENCH_DATA") and path.is_file():
            # From the last fifth of the nominal million on.
            found = read_cats(path, start=1_000_000 - sizes.cats_rows // 5, n_rows=sizes.cats_rows)
            return Plant(found.times_s, found.values, found.labels, True)
    made = cats_plant(sizes.cats_rows, start_at=START_AT, seed=seed, n_segments=sizes.cats_segments)
    return Plant(made.times_s, np.asarray(made.values[0]), anomalous_steps(made)[0], False)


@lru_cache(maxsize=3)
def inputs_of(sizes: Sizes, seed: int, context: str, n_train: int) -> Errors:
    """Scaled channels, and with context hour and weekday, and with features also rolling means and
    differences.

    The scale is that of the first `n_train` rows.
    """
    source = plant(sizes, seed)
    scaled = fit_scaler(source.values[:n_train], PRESET.features.scaling).transform(source.values)
    parts = [np.nan_to_num(scaled)]
    if context == "features":
        features = PRESET.features
        parts += [
            derived(
                scaled, rolling_mean=features.rolling_mean, lag=features.lag, diff=features.diff
            )
        ]
    if context in ("features", "clock"):
        parts += [cyclic_time(source.times_s, UTC_ZONE, PRESET.features.cyclic)]
    return np.nan_to_num(np.concatenate(parts, axis=1))


@dataclass(frozen=True)
class Trained:
    """A classifier with the windows that it was trained, tuned and tested on."""

    detector: Detector
    inputs: Errors
    split: Split
    learned: NDArray[np.int64]
    threshold: float
    epochs: int
    seconds: float

    def scores(self, ends: NDArray[np.int64]) -> Errors:
        """−ln(1 − p) of windows, (n,)."""
        return np.asarray(self.detector.reconstruct(self.inputs, ends).channel_errors[:, 0])


def split_windows(source: Plant, seed: int, *, at_random: bool) -> Split:
    """Windows by what they are for, as the steps that end them."""
    ends = np.arange(WIDTH - 1, len(source.labels), dtype=np.int64)
    found = (
        split_at_random(source.labels[ends], seed=seed)
        if at_random
        else split_by_time(ends, width=WIDTH)
    )
    return Split(ends[found.train], ends[found.validation], ends[found.test], found.n_embargoed)


def train_on(
    sizes: Sizes, seed: int, *, at_random: bool, context: str, oversampling: float | None
) -> Trained:
    """A classifier of every `cats_stride`-th window of the training part; its threshold is F1-best
    on validation.
    """
    source = plant(sizes, seed)
    split = split_windows(source, seed, at_random=at_random)
    inputs = inputs_of(sizes, seed, context, round(0.7 * len(source.labels)))
    few = slice(None, None, sizes.cats_stride)
    chosen = (
        split.train[few]
        if not at_random
        else np.random.default_rng(seed).permutation(split.train)[few]
    )
    training = TrainingSet(
        inputs, chosen, split.validation[few], source.values.shape[1], WIDTH, source.labels
    )
    params = dict(PRESET.detector.params) | {"oversampling": oversampling}
    sizes_of = {"width": WIDTH, "n_channels": training.n_channels, "n_inputs": inputs.shape[1]}
    detector: Any = build_detector(PRESET.detector.name, params=params, **sizes_of)
    budget = budget_of(PRESET, sizes, epochs=sizes.cats_epochs)
    history = detector.fit(training, budget=budget, seed=seed)
    learned = training.ends if oversampling is None else repeated(training, oversampling, seed).ends
    made = Trained(detector, inputs, split, learned, 0.0, len(history.loss), history.seconds)
    scores = made.scores(split.validation)
    return replace(
        made, threshold=best_f1_threshold(source.labels[split.validation], scores).threshold
    )


@lru_cache(maxsize=1)
def _main(sizes: Sizes, seed: int, at_random: bool) -> Trained:
    return train_on(sizes, seed, at_random=at_random, context="features", oversampling=0.3)


def _reports(trained: Trained, labels: Bools) -> dict[str, float]:
    """Precision, recall, F1, accuracy and macro F1 of the training (oversampled), validation and
    test part.
    """
    parts = {
        "train": trained.learned,
        "validation": trained.split.validation,
        "test": trained.split.test,
    }
    found: dict[str, float] = {}
    for name, ends in parts.items():
        scores = trained.scores(ends)
        report = classification_report(confusion(labels[ends], flag(scores, trained.threshold)))
        found |= {
            f"{name}_{key}": getattr(report.anomaly, key) for key in ("precision", "recall", "f1")
        }
        found |= {f"{name}_accuracy": report.accuracy, f"{name}_macro_f1": report.macro.f1}
        found |= {
            f"{name}_roc_auc": roc_curve(labels[ends], scores).auc,
            f"{name}_n": float(len(ends)),
        }
        found[f"{name}_always_normal"] = 1 - float(labels[ends].mean())
    found["gap"] = found["train_f1"] - found["test_f1"]
    return found


def random_split(sizes: Sizes, seed: int, say: Say) -> dict[str, float]:
    """The document's split: stratified at random, so that a test window overlaps windows that were
    learned.
    """
    source = plant(sizes, seed)
    say(
        "the published file"
        if source.is_real
        else "a plant of our own making: TSAD_BENCH_DATA holds no cats/"
    )
    trained = _main(sizes, seed, True)
    say(f"{trained.epochs} epochs on {len(trained.learned):,} windows: {trained.seconds:.0f} s")
    found = _reports(trained, source.labels)
    learned = np.unique(trained.learned)
    found["leak"] = overlap_share(
        Split(learned, learned[:0], trained.split.test), np.arange(len(source.labels)), width=WIDTH
    )
    found["no_overfitting"] = float(found["gap"] < 0.06)
    found |= {"parameters": float(trained.detector.n_parameters), "is_real": float(source.is_real)}
    return found | {"stride": float(sizes.cats_stride)}


def time_split(sizes: Sizes, seed: int, say: Say) -> dict[str, float]:
    """Split by time with an embargo of one window: no reading is both learned and tested."""
    source = plant(sizes, seed)
    trained = _main(sizes, seed, False)
    say(f"{trained.epochs} epochs on {len(trained.learned):,} windows: {trained.seconds:.0f} s")
    found = _reports(trained, source.labels)
    test = np.arange(trained.split.test[0], trained.split.test[-1] + 1)
    scores = trained.scores(test)
    events = judge(source.labels[test], scores, trained.threshold, step_s=1, merge_gap_steps=60)
    found |= {"event_recall": events.events.recall, "event_precision": events.events.precision}
    learned = np.unique(trained.learned)
    found["leak"] = overlap_share(
        Split(learned, learned[:0], trained.split.test), np.arange(len(source.labels)), width=WIDTH
    )
    found["no_overfitting"] = float(found["gap"] < 0.06)
    return found | range_rule(source, trained.split)


def range_rule(source: Plant, split: Split) -> dict[str, float]:
    """What a limit per channel finds: the lowest and highest nominal value."""
    nominal = source.values[: source.n_nominal]
    outside = ((source.values < nominal.min(axis=0)) | (source.values > nominal.max(axis=0))).any(
        axis=1
    )
    found = confusion(source.labels[split.test], outside[split.test])
    return {
        "range_rule_f1": found.f1,
        "range_rule_recall": found.recall,
        "range_rule_precision": found.precision,
    }


def ablations(sizes: Sizes, seed: int, say: Say) -> dict[str, float]:
    """Split by time: all context, hour and weekday only, no context; without oversampling."""
    source, found = plant(sizes, seed), {}
    variants = {
        "all": None,
        "clock": {"context": "clock", "oversampling": 0.3},
        "none": {"context": "none", "oversampling": 0.3},
        "no_oversampling": {"context": "features", "oversampling": None},
    }
    chosen = ("all", "no_oversampling") if sizes.is_small else tuple(variants)
    for name in chosen:
        changed = variants[name]
        made = (
            _main(sizes, seed, False)
            if changed is None
            else train_on(sizes, seed, at_random=False, **changed)
        )  # type: ignore[arg-type]
        say(f"{name}: {made.seconds:.0f} s")
        reports = _reports(made, source.labels)
        found |= {
            f"{name}_{key}": value for key, value in reports.items() if key.startswith("test_")
        }
    for gain, better, worse in _GAINS:
        found[gain] = found.get(f"{better}_test_f1", np.nan) - found.get(f"{worse}_test_f1", np.nan)
    found["context_helps"] = float(found["features_gain"] > 0)
    found["oversampling_helps"] = float(found["oversampling_gain"] > 0)
    return found


_GAINS = (
    ("clock_gain", "clock", "none"),
    ("features_gain", "all", "none"),
    ("oversampling_gain", "all", "no_oversampling"),
)


def counts(sizes: Sizes, seed: int, say: Say) -> dict[str, float]:
    """The document's row counts by production's oversampling, and what the last four fifths of the
    plant hold.
    """
    labels = np.arange(DOCUMENT_TRAINING) < DOCUMENT_ANOMALIES
    ends = np.arange(DOCUMENT_TRAINING, dtype=np.int64)
    made = repeated(
        TrainingSet(np.zeros((DOCUMENT_TRAINING, 1), np.float32), ends, ends[:1], 1, 1, labels),
        0.3,
        seed,
    )
    source = plant(sizes, seed)
    split = split_windows(source, seed, at_random=True)
    rest = source.labels[len(source.labels) // 5 :]
    return {
        "oversampled": float(len(made.ends)),
        "oversampled_normal": float(np.sum(~labels[made.ends])),
        "oversampled_anomalous": float(np.sum(labels[made.ends])),
        "validation_n": float(len(split.validation)),
        "test_n": float(len(split.test)),
        "test_anomalous": float(source.labels[split.test].sum()),
        "positive_share": float(source.labels.mean()),
        "rest_anomalous_share": float(rest.mean()),
        "nominal_anomalous": float(source.labels[: len(source.labels) // 5].sum()),
    }


def unsupervised(sizes: Sizes, seed: int, say: Say) -> dict[str, float]:
    """Future work of the document: detectors that learn from the nominal fifth alone, on the test
    part by time.
    """
    source, found = plant(sizes, seed), {}
    split = split_windows(source, seed, at_random=False)
    inputs = inputs_of(sizes, seed, "none", round(0.7 * len(source.labels)))
    first, last = round(0.8 * source.n_nominal), source.n_nominal
    few = np.arange(WIDTH - 1, first, sizes.cats_stride, dtype=np.int64)
    held_out = np.arange(first + WIDTH, last, dtype=np.int64)
    n_channels = source.values.shape[1]
    for name in ("forecaster",) if sizes.is_small else ("forecaster", "transformer_autoencoder"):
        detector = build_detector(name, width=WIDTH, n_channels=n_channels, n_inputs=n_channels)
        training = TrainingSet(inputs, few, held_out[:: sizes.cats_stride], n_channels, WIDTH)
        history = detector.fit(
            training, budget=budget_of(PRESET, sizes, epochs=sizes.cats_epochs), seed=seed
        )
        say(f"{name}: {history.seconds:.0f} s")
        tails = fit_tails(detector.reconstruct(inputs, held_out).channel_errors, gap_steps=WIDTH)
        scores = {
            part: _top(tails.surprises(detector.reconstruct(inputs, ends).channel_errors))
            for part, ends in (("validation", split.validation), ("test", split.test))
        }
        labels = source.labels
        limit = best_f1_threshold(labels[split.validation], scores["validation"]).threshold
        judged = judge(labels[split.test], scores["test"], limit, step_s=1, merge_gap_steps=60)
        found |= judged.named(f"{name}_")
    return found


def _top(surprises: Errors) -> Errors:
    """Mean of the two most surprising channels."""
    return np.sort(surprises, axis=1)[:, -TOP_K:].mean(axis=1, dtype=np.float32)
