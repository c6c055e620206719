"""Everything that an evaluation report shows, as plain values, and its findings in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tsad_tasks.model import evaluation
from tsad_tasks.reporting.drawing.document import DatedContent
from tsad_tasks.reporting.drawing.series import ChannelSeries, ScoreSeries
from tsad_tasks.reporting.exploration.content import TrainingPreview
from tsad_tasks.reporting.exploration.statistics import Histogram
from tsad_tasks.text.formats import (
    count_text,
    counted,
    counted_of,
    figure_text,
    number_text,
    share_text,
)

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
    """How a model did on one part of the readings."""

    name: str  # training, validation, test, or later for what came after the training range
    start_at: datetime
    end_at: datetime
    figures: evaluation.Detection
    report: evaluation.ClassificationReport
    roc: evaluation.RocCurve
    pr: evaluation.PrCurve
    normal: Histogram  # normal and anomalous: distributions of log10(error / threshold)
    anomalous: Histogram
    # Kind of anomaly, how many were found, how many there are
    by_kind: tuple[tuple[str, int, int], ...] = ()
    others: tuple[OtherThreshold, ...] = ()

    @property
    def flagged_share(self) -> float:
        """Share of the normal steps that are flagged; 0 where there are none."""
        steps = self.figures.steps
        n_normal = steps.false_positive + steps.true_negative
        return steps.false_positive / n_normal if n_normal else 0.0


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


@dataclass(frozen=True, eq=False, kw_only=True)
class EvaluationContent(DatedContent):
    """A whole evaluation report; the headline is that of the test part."""

    model: EvaluatedModel
    evidence: Evidence  # labels of the dataset, or anomalies that were injected because it has none
    n_entities: int  # n_entities and n_all_entities: judged, and all of the dataset
    n_all_entities: int
    step_s: int
    alert_wait: str  # how long after a reading its alert comes at the latest, in words
    parts: tuple[PartResult, ...]
    examples: tuple[Example, ...] = ()
    # Which share of normal steps the gate lets a model flag
    max_flagged_share: float = 1.0
    reliability: evaluation.Reliability | None = None
    preview: TrainingPreview | None = None

    @property
    def headline(self) -> PartResult:
        """The part that speaks for the model: test; without events there, the latest held out."""
        held_out = [part for part in self.parts if part.name != "training"] or list(self.parts)
        judged = [part for part in held_out if part.figures.events.n_events] or held_out
        return next((part for part in judged if part.name == "test"), judged[-1])


def headline_text(content: EvaluationContent) -> str:
    """The report in one sentence."""
    part = content.headline
    events, what = part.figures.events, EVIDENCE_WORDS[content.evidence]
    false = f"{figure_text(events.false_alarms_per_day)} false alarms per entity and day"
    if not events.n_false:
        false = f"no false alarm in {number_text(events.days, 1)} entity-days"
    if (flagged := part.flagged_share) > content.max_flagged_share:
        # Flags around anomalies are one alarm with them: alarms alone would not tell.
        most, shown = (share_text(one) for one in (content.max_flagged_share, flagged))
        alarms = f"{false}, and " if events.n_false else ""
        false = f"{alarms}{shown} of the normal steps flagged (gate: {most} at most)"
    if not events.n_events:
        return f"No {what} anomaly could be judged; {false}."
    of_all = "all" if events.n_found == events.n_events else f"{count_text(events.n_found)} of"
    found = f"{of_all} {counted(events.n_events, f'{what} anomaly')}"
    return f"Finds {found} in the {part.name} readings, with {false}."


def evidence_text(content: EvaluationContent) -> str:
    """What the model was judged by, so that nobody takes the one for the other."""
    text = (
        "Judged by injected anomalies, because no reading after the training part is labelled: "
        "spikes, values of half a day away, lasting shifts, ramps, freezes and dips, slow ramps, "
        "decoupled channels and other weekdays' values, put into the readings as the gate does. "
        "Real faults may be easier or harder to find; one among these "
        "readings counts as a false alarm."
    )
    if content.evidence == "labels":
        text = (
            "Judged by the dataset's own labels: known anomalies from its label column, its files "
            "or its people."
        )
    who = counted_of(content.n_entities, content.n_all_entities, "entity")
    text += f" {who.capitalize()}."
    if any(part.name == "training" for part in content.parts):
        text += " Training readings were learned from: their figures flatter."
    return text
