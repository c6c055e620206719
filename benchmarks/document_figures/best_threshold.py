"""The threshold that suits labels best: what papers report, and no one knows beforehand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tsad_tasks.base.arrays import Flags
from tsad_tasks.base.errors import BadInput
from tsad_tasks.model.evaluation import Floats


@dataclass(frozen=True)
class BestThreshold:
    """The threshold with the highest F1: flag what is greater."""

    threshold: float
    precision: float
    recall: float
    f1: float


def best_f1_threshold(labels: Flags, scores: Floats) -> BestThreshold:
    """The threshold with the highest F1, half way to the next lower score; of several the highest.

    Parameters
    ----------
    labels : (n_steps,), of validation readings: chosen on the test readings it flatters.
    scores : (n_steps,), higher is stranger, NaN where unknown

    Raises
    ------
    BadInput
        When no step with a score is an anomaly.

    >>> best_f1_threshold(np.array([False, True, True]), np.array([1.0, 2.0, 5.0]))
    BestThreshold(threshold=1.5, precision=1.0, recall=1.0, f1=1.0)
    """
    from sklearn.metrics import confusion_matrix_at_thresholds

    known = ~np.isnan(scores)
    n_positive = int(labels[known].sum())
    if not n_positive:
        raise BadInput(
            f"Expected scored steps that are anomalies. Received: none of {len(labels)}. Use other "
            "labels."
        )
    judged = labels[known], scores[known].astype(np.float64)
    _, false, _, true, thresholds = confusion_matrix_at_thresholds(*judged, pos_label=True)
    f1 = 2 * true / (true + false + n_positive)
    best = int(np.argmax(f1))
    found, n_flagged = float(true[best]), float(true[best] + false[best])
    # A number of the scores' own precision below this score, and not below the next one.
    at, kind = thresholds[best], scores.dtype
    if best + 1 == len(thresholds):
        threshold = float(np.nextafter(at.astype(kind), kind.type(-math.inf)))
    else:
        following = thresholds[best + 1]
        middle = float(((at + following) / 2).astype(kind))
        threshold = middle if following <= middle < at else float(following)
    return BestThreshold(threshold, found / n_flagged, found / n_positive, float(f1[best]))
