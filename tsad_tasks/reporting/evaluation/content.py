"""Everything that an evaluation report shows, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tsad_tasks.model.evaluation import (
    ClassificationReport,
    Detection,
    PrCurve,
    Reliability,
    RocCurve,
)
from tsad_tasks.reporting.drawing.series import ChannelSeries, ScoreSeries
from tsad_tasks.reporting.exploration.content import TrainingPreview
from tsad_tasks.reporting.exploration.statistics import Histogram

Evidence = Literal["labels", "injected"]
EVIDENCE_WORDS: dict[Evidence, str] = {"labels": "labelled", "injected": "injected"}


@dataclass(frozen=True)
class OtherThreshold:
    """What a multiple of the threshold would have done, by event and by step."""

    multiple: float
    n_found: int
    n_events: int
    false_alarms_per_day: float
    precision: float
    recall: float


@dataclass(frozen=True, eq=False)
class PartResult:
    """How a model did on one part of the readings.

    Attributes
    ----------
    name : training, validation, test, or later for what came after the training range
    normal, anomalous : distributions of log10(error / threshold)
    by_kind : kind of anomaly, how many were found, how many there are
    """

    name: str
    start_at: datetime
    end_at: datetime
    figures: Detection
    report: ClassificationReport
    roc: RocCurve
    pr: PrCurve
    normal: Histogram
    anomalous: Histogram
    by_kind: tuple[tuple[str, int, int], ...] = ()
    others: tuple[OtherThreshold, ...] = ()


@dataclass(frozen=True, eq=False)
class Example:
    """A stretch of one channel as the model saw it, with the anomalies in it."""

    title: str
    entity: str
    channel: ChannelSeries
    scores: ScoreSeries
    anomalies: tuple[tuple[datetime, datetime], ...]


@dataclass(frozen=True)
class EvaluatedModel:
    """What is judged, in words and numbers."""

    name: str
    version: str
    detector: str
    n_parameters: int
    n_channels: int
    window: int
    seed: int | None
    sha256: str
    threshold_text: str
    n_windows: int | None
    used_share: float | None
    loss: tuple[float, ...] = ()
    validation_loss: tuple[float, ...] = ()
    stopped: str = ""
    seconds: float | None = None


@dataclass(frozen=True, eq=False)
class EvaluationContent:
    """A whole evaluation report; the headline is that of the test part.

    Attributes
    ----------
    evidence : labels of the dataset, or anomalies that were injected because it has none
    n_entities, n_all_entities : judged, and all of the dataset
    alert_wait : how long after a reading its alert comes at the latest, in words
    """

    dataset: str
    description: str
    zone: str
    generated_at: datetime
    model: EvaluatedModel
    start_at: datetime
    end_at: datetime
    evidence: Evidence
    n_entities: int
    n_all_entities: int
    step_s: int
    alert_wait: str
    parts: tuple[PartResult, ...]
    examples: tuple[Example, ...] = ()
    reliability: Reliability | None = None
    preview: TrainingPreview | None = None

    @property
    def headline(self) -> PartResult:
        """The part that speaks for the model: test; without events there, the latest held out."""
        held_out = [part for part in self.parts if part.name != "training"] or list(self.parts)
        judged = [part for part in held_out if part.figures.events.n_events] or held_out
        return next((part for part in judged if part.name == "test"), judged[-1])
