"""Task `evaluate`: how a model does on training, validation and test readings, as a PDF and as JSON.

Judged against the dataset's labels where there are, else against anomalies that are put into clean readings.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from upath import UPath

from tsad_tasks.config import DatasetConfig
from tsad_tasks.core.evaluation import (
    AlertSchedule,
    Judged,
    Reliability,
    classification_report,
    detection,
    echo,
    pooled_steps,
    pr_curve,
    reliability_curve,
    roc_curve,
    runs,
)
from tsad_tasks.core.exploration import histogram
from tsad_tasks.core.incidents import IncidentRule, incident_spans
from tsad_tasks.core.injection import Injection, inject_all, injection_plan
from tsad_tasks.core.interval import epoch_s, from_epoch_s
from tsad_tasks.core.scoring import entity_features, entity_scores, entity_windows
from tsad_tasks.core.spec import ModelSpec
from tsad_tasks.detectors.base import Detector
from tsad_tasks.detectors.bundle import read_bundle
from tsad_tasks.detectors.registry import load_detector
from tsad_tasks.errors import BadInput
from tsad_tasks.reports.document import write_whole
from tsad_tasks.reports.evaluation_content import EvaluatedModel, EvaluationContent, Evidence, PartResult
from tsad_tasks.reports.evaluation_pages import evaluation_bytes, headline_text
from tsad_tasks.reports.formats import duration_text
from tsad_tasks.steps.clock import utc_now
from tsad_tasks.steps.evaluate import series_errors
from tsad_tasks.steps.explore import LabelRange, label_marks, newest_end, preview_of
from tsad_tasks.steps.report_models import threshold_text
from tsad_tasks.steps.retrain import Retraining
from tsad_tasks.steps.training import (
    LABEL_REASON,
    Scope,
    TrainingRange,
    TrainingReader,
    evenly,
    exclusions_of,
    training_scopes,
)
from tsad_tasks.storage.store import Store, whole_hours

MAX_ENTITIES = 24
MAX_SINCE = timedelta(days=30)
CONTEXT_FACTOR = 3.0
RATIO_EDGES = np.linspace(-3.0, 3.0, 61)
_DAY_S = 86400


@dataclass(frozen=True, eq=False)
class Subject:
    """A model to be judged.

    Attributes
    ----------
    span : its training range.
    first_at : where judging can begin: for a folding detector not before the time of its state.
    """

    spec: ModelSpec
    detector: Detector
    card: Mapping[str, Any]
    version: str
    sha256: str
    scope: Scope
    span: TrainingRange
    first_at: datetime


@dataclass(frozen=True, eq=False)
class Stretch:
    """One entity's readings with what is known of them, and what the model made of them.

    Attributes
    ----------
    values : float64 (n_steps, n_channels)
    labels, ignored : bool (n_steps,); what is ignored is judged neither way.
    events : kind, first step and end of each label.
    errors, thresholds, scores : float32 (n_steps,), NaN where unknown.
    flags, alarms : bool (n_steps,); alarms are the flags that the alarm policy lets through.
    """

    entity: str
    start_s: int
    values: NDArray[np.float64]
    labels: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    events: tuple[tuple[str, int, int], ...] = ()
    errors: NDArray[np.float32] | None = None
    thresholds: NDArray[np.float32] | None = None
    scores: NDArray[np.float32] | None = None
    flags: NDArray[np.bool_] | None = None
    alarms: NDArray[np.bool_] | None = None
