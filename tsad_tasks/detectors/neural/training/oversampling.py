"""Rare windows more often: oversampling of what is trained on, and of nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tsad_tasks.base.arrays import Flags, Floats32
from tsad_tasks.base.errors import BadInput
from tsad_tasks.detectors.base import TrainingSet
from tsad_tasks.model.windows import gather

MIN_TRAINED, MIN_VALIDATED = 10, 1
N_NEIGHBOURS = 5


def window_labels(training: TrainingSet) -> tuple[Flags, Flags]:
    """Labels of the windows to train and to validate on: those of their last steps.

    Raises
    ------
    BadInput
        Where there are no labels, or too few anomalous windows.
    """
    if training.labels is None:
        advice = "name a label column, or give verdicts"
        raise BadInput(f"Expected labels to learn from. Received: none; {advice}.")
    trained, validated = training.labels[training.ends], training.labels[training.validation_ends]
    if trained.sum() < MIN_TRAINED or validated.sum() < MIN_VALIDATED or trained.all():
        received = f"{trained.sum()} of {len(trained)} and {validated.sum()} of {len(validated)}"
        raise BadInput(
            f"Expected at least {MIN_TRAINED} anomalous windows and a normal one to train on, and "
            f"{MIN_VALIDATED} to validate on. Received: {received}. Label more anomalies, or widen "
            "training.range."
        )
    return trained, validated


def repeated(training: TrainingSet, ratio: float, seed: int) -> TrainingSet:
    """Repeated anomalous windows, until there are `ratio` times as many as normal ones."""
    from imblearn.over_sampling import RandomOverSampler

    labels, _ = window_labels(training)
    if _ratio(labels) >= ratio:
        return training
    sampler = RandomOverSampler(sampling_strategy=ratio, random_state=seed)
    ends, _ = sampler.fit_resample(training.ends[:, None], labels)
    return replace(training, ends=ends[:, 0].astype(np.int64))


def interpolated(training: TrainingSet, ratio: float, seed: int) -> TrainingSet:
    """New anomalous windows between known ones, up to `ratio` times as many as normal ones.

    Source: Chawla et al., SMOTE: synthetic minority over-sampling technique, 2002.
    """
    from imblearn.over_sampling import SMOTE

    labels, _ = window_labels(training)
    if _ratio(labels) >= ratio:
        return training
    sampler = SMOTE(
        sampling_strategy=ratio,
        random_state=seed,
        k_neighbors=min(N_NEIGHBOURS, int(labels.sum()) - 1),
    )
    rows = gather(training.inputs, training.ends, training.width).reshape(len(labels), -1)
    made = sampler.fit_resample(rows, labels)[0][len(labels) :].astype(np.float32)
    return _with_windows(training, made.reshape(len(made), training.width, -1))


def _ratio(labels: Flags) -> float:
    return float(labels.sum() / (~labels).sum())


def _with_windows(training: TrainingSet, windows: Floats32) -> TrainingSet:
    """Anomalous windows (n, width, n_inputs) after all steps, and among those to train on."""
    n_steps, (n_windows, width, n_inputs) = len(training.inputs), windows.shape
    known = np.zeros(n_steps, bool) if training.labels is None else training.labels
    fitted = training.fitted
    if fitted is not None:
        fitted = np.concatenate([fitted, np.ones((n_windows * width, n_inputs), bool)])
    return replace(
        training,
        inputs=np.concatenate([training.inputs, windows.reshape(n_windows * width, n_inputs)]),
        ends=np.concatenate([training.ends, n_steps - 1 + width * np.arange(1, n_windows + 1)]),
        labels=np.concatenate([known, np.ones(n_windows * width, bool)]),
        fitted=fitted,
    )
