"""How good scores and flags are against labels: by step, event, threshold, volume, probability.

Steps without a score (NaN) are left out and counted. A share of nothing is NaN, never 0. Where
labels are ranges, look at events first: a step-wise figure rewards long anomalies, and
point-adjusted F1 rewards chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.arrays import Flags, Floats64, Ints
from tsad_tasks.base.errors import BadInput
from tsad_tasks.model.reliability import ReliabilityCurve, reliability_curve

Floats = NDArray[np.floating[Any]]
DAY_S = 86400


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _sums(one: object, other: object) -> Iterator[Any]:
    """Field by field."""
    return (a + b for a, b in zip(vars(one).values(), vars(other).values(), strict=True))


def runs(flags: Flags) -> Ints:
    """First step and end (not included) of each run of true values, (n_runs, 2), ascending.

    >>> runs(np.array([True, True, False, True])).tolist()
    [[0, 2], [3, 4]]
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False]))))
    return edges.reshape(-1, 2).astype(np.int64)


@dataclass(frozen=True)
class Confusion:
    """Steps by what they are and what was said of them; `n_unknown` without a score beside them."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int
    n_unknown: int = 0

    @property
    def n(self) -> int:
        """Steps that were judged."""
        return self.true_positive + self.false_positive + self.false_negative + self.true_negative

    @property
    def precision(self) -> float:
        """Share of the flagged steps that are anomalies."""
        return _share(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """Share of the anomalous steps that are flagged."""
        return _share(self.true_positive, self.true_positive + self.false_negative)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        found = 2 * self.true_positive
        return _share(found, found + self.false_positive + self.false_negative)

    @property
    def accuracy(self) -> float:
        """Share of the steps that were judged rightly."""
        return _share(self.true_positive + self.true_negative, self.n)

    @property
    def always_normal_accuracy(self) -> float:
        """Accuracy of who never flags: what an accuracy has to be held against."""
        return _share(self.true_negative + self.false_positive, self.n)

    def swapped(self) -> Confusion:
        """The same with the normal steps as the class to be found."""
        missed, false = self.false_negative, self.false_positive
        return Confusion(self.true_negative, missed, false, self.true_positive, self.n_unknown)

    def __add__(self, other: Confusion) -> Confusion:
        """Both together, such as two entities."""
        return Confusion(*_sums(self, other))


def confusion(labels: Flags, flags: Flags, known: Flags | None = None) -> Confusion:
    """The confusion matrix of flags, (n_steps,) as labels; `known`: whether a step has a score.

    >>> found = confusion(np.array([True, True, False]), np.array([True, False, False]))
    >>> found.precision, found.recall
    (1.0, 0.5)
    """
    _check_lengths(labels, flags, *(() if known is None else (known,)))
    judged = np.ones(labels.shape, bool) if known is None else known
    cells = [labels & flags, ~labels & flags, labels & ~flags, ~labels & ~flags]
    hit, false, missed, quiet = (int(np.count_nonzero(cell & judged)) for cell in cells)
    return Confusion(hit, false, missed, quiet, int(np.count_nonzero(~judged)))


@dataclass(frozen=True)
class ClassScores:
    """Precision, recall and F1 of one class; `n_steps` that are of it."""

    precision: float
    recall: float
    f1: float
    n_steps: int


@dataclass(frozen=True)
class ClassificationReport:
    """Scores of both classes, their plain mean, and the share judged rightly."""

    normal: ClassScores
    anomaly: ClassScores
    macro: ClassScores
    accuracy: float
    n_unknown: int


def classification_report(found: Confusion) -> ClassificationReport:
    """The report by class of a confusion matrix.

    >>> report = classification_report(Confusion(1, 1, 0, 2))
    >>> report.anomaly.precision, report.normal.precision, report.macro.precision
    (0.5, 1.0, 0.75)
    """
    normal, anomaly = (
        ClassScores(of.precision, of.recall, of.f1, of.true_positive + of.false_negative)
        for of in (found.swapped(), found)
    )
    precision, recall, f1 = (
        (getattr(normal, name) + getattr(anomaly, name)) / 2
        for name in ("precision", "recall", "f1")
    )
    macro = ClassScores(precision, recall, f1, found.n)
    return ClassificationReport(normal, anomaly, macro, found.accuracy, found.n_unknown)


@dataclass(frozen=True, eq=False)
class RocCurve:
    """The share of normal steps flagged wrongly against the share of anomalous steps found.

    Attributes
    ----------
    false_positive_share, true_positive_share : (n_points,), from (0, 0) to (1, 1)
    thresholds : (n_points,), descending from infinity; a step with a score at or above it is
        flagged
    auc : area under the curve; NaN where one class is missing
    n_unknown : steps left out for want of a score
    """

    false_positive_share: Floats64
    true_positive_share: Floats64
    thresholds: Floats64
    auc: float
    n_unknown: int


@dataclass(frozen=True, eq=False)
class PrCurve:
    """Precision against recall.

    Attributes
    ----------
    precision, recall : (n_points,), by descending threshold; without a flag precision is 1
    thresholds, n_unknown : as of `RocCurve`
    average_precision : mean precision over recall, in steps, which flatters less than trapezoids
    anomaly_share : the precision of who flags at random

    Source: Davis and Goadrich, 2006 (why no linear interpolation).
    """

    precision: Floats64
    recall: Floats64
    thresholds: Floats64
    average_precision: float
    anomaly_share: float
    n_unknown: int


@dataclass(frozen=True, eq=False)
class _Ranked:
    """Counts of flagged steps at each distinct score, from the highest on."""

    true_positive: Floats64
    n_flagged: Floats64
    thresholds: Floats64
    n_positive: int
    n_unknown: int


def _ranked(labels: Flags, scores: Floats) -> _Ranked:
    # Imported here, since it takes a second, and nothing that is scored is ranked.
    from sklearn.metrics import confusion_matrix_at_thresholds

    _check_lengths(labels, scores)
    known = ~np.isnan(scores)
    n_unknown = int((~known).sum())
    if not known.any():
        nothing = np.empty(0)
        return _Ranked(nothing, nothing, nothing, 0, n_unknown)
    judged = labels[known], scores[known].astype(np.float64)
    _, false, _, found, thresholds = confusion_matrix_at_thresholds(*judged, pos_label=True)
    return _Ranked(found, found + false, thresholds, int(judged[0].sum()), n_unknown)


def roc_curve(labels: Flags, scores: Floats) -> RocCurve:
    """The ROC curve of scores (n_steps,), NaN where unknown, and its area; ties are one point.

    >>> roc_curve(np.array([False, True, False, True]), np.array([0.1, 0.4, 0.4, 0.8])).auc
    0.875
    """
    ranked = _ranked(labels, scores)
    n_normal = (ranked.n_flagged[-1] if len(ranked.n_flagged) else 0) - ranked.n_positive
    with np.errstate(invalid="ignore", divide="ignore"):
        false = np.append(0.0, (ranked.n_flagged - ranked.true_positive) / np.float64(n_normal))
        true = np.append(0.0, ranked.true_positive / np.float64(ranked.n_positive))
    both = n_normal > 0 and ranked.n_positive > 0
    auc = float(np.trapezoid(true, false)) if both else math.nan
    return RocCurve(false, true, np.append(math.inf, ranked.thresholds), auc, ranked.n_unknown)


def pr_curve(labels: Flags, scores: Floats) -> PrCurve:
    """The precision-recall curve of scores (n_steps,), NaN where unknown, and average precision.

    >>> labels = np.array([False, True, False, True])
    >>> pr_curve(labels, np.array([0.1, 0.4, 0.3, 0.8])).average_precision
    1.0
    """
    ranked = _ranked(labels, scores)
    n_known = int(ranked.n_flagged[-1]) if len(ranked.n_flagged) else 0
    precision = np.append(1.0, ranked.true_positive / ranked.n_flagged)
    with np.errstate(invalid="ignore"):
        recall = np.append(0.0, ranked.true_positive / np.float64(ranked.n_positive))
    average = float(np.sum(np.diff(recall) * precision[1:])) if ranked.n_positive else math.nan
    thresholds, share = np.append(math.inf, ranked.thresholds), _share(ranked.n_positive, n_known)
    return PrCurve(precision, recall, thresholds, average, share, ranked.n_unknown)


@dataclass(frozen=True)
class AlertSchedule:
    """When a step's flag reaches a person: its scoring interval's end and the settle delay later.

    Attributes
    ----------
    step_s : grid step
    interval_s : how often is scored; intervals begin at whole multiples since 1970
    settle_s : how long late readings are waited for, the run's own time included
    start_s : Unix seconds of step 0
    """

    step_s: int
    interval_s: int = 3600
    settle_s: int = 0
    start_s: int = 0

    def alert_s(self, step: int) -> int:
        """Unix seconds of the alert for a step.

        >>> AlertSchedule(step_s=60, interval_s=900, settle_s=120).alert_s(16)
        1920
        """
        at = self.start_s + step * self.step_s
        return (at // self.interval_s + 1) * self.interval_s + self.settle_s


@dataclass(frozen=True)
class EventReport:
    """Labelled events against alarms, which are runs of flags.

    Attributes
    ----------
    n_events, n_found : events with at least one score, and those with a flag inside (or shortly
        before)
    n_unseen : events without any score; they count nowhere else
    n_alarms, n_false : runs of flags, and those that touch no event
    days : time with scores
    delay_s : by found event, from its beginning to the alert, the schedule's wait included
    lead_s : by found event, from the alert to its end (the failure, where labels are degradations);
        below 0 is too late
    """

    n_events: int
    n_found: int
    n_unseen: int
    n_alarms: int
    n_false: int
    days: float
    delay_s: tuple[int, ...] = ()
    lead_s: tuple[int, ...] = ()

    @property
    def precision(self) -> float:
        """Share of the alarms that touch an event."""
        return _share(self.n_alarms - self.n_false, self.n_alarms)

    @property
    def recall(self) -> float:
        """Share of the events that were found."""
        return _share(self.n_found, self.n_events)

    @property
    def f1(self) -> float:
        """Harmonic mean of both; 0 when events and alarms never meet, NaN without an event."""
        if not self.n_events:
            return math.nan
        precision, recall = np.nan_to_num([self.precision, self.recall]).tolist()
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    @property
    def false_alarms_per_day(self) -> float:
        """Alarms without an event, per day with scores."""
        return _share(self.n_false, self.days)

    @property
    def median_delay_s(self) -> float:
        """Median delay of the found events."""
        return float(np.median(self.delay_s)) if self.delay_s else math.nan

    @property
    def median_lead_s(self) -> float:
        """Median lead time of the found events."""
        return float(np.median(self.lead_s)) if self.lead_s else math.nan

    def __add__(self, other: EventReport) -> EventReport:
        """Both together, such as two entities."""
        return EventReport(*_sums(self, other))


NO_EVENTS = EventReport(0, 0, 0, 0, 0, 0.0)


def event_report(
    labels: Flags,
    flags: Flags,
    known: Flags | None = None,
    *,
    schedule: AlertSchedule,
    merge_gap_steps: int = 0,
    early_steps: int = 0,
    late_steps: int = 0,
) -> EventReport:
    """Events (runs of labels) of one entity against its alarms (runs of flags).

    `known` says which steps have a score; flags elsewhere do not count. Flags with at most
    `merge_gap_steps` other steps between them are one alarm. An alarm up to `early_steps` before an
    event is a warning and up to `late_steps` after it still of it (its window holds the event):
    neither is false. Labels, flags and known are (n_steps,).

    >>> labels = np.array([False, False, True, True, True, False, False, False])
    >>> flags = np.array([True, False, False, True, False, False, False, False])
    >>> found = event_report(labels, flags, schedule=AlertSchedule(60, interval_s=60))
    >>> found.n_found, found.n_false, found.delay_s, found.lead_s
    (1, 1, (120,), (60,))
    """
    _check_lengths(labels, flags, *(() if known is None else (known,)))
    scored = np.ones(labels.shape, bool) if known is None else known
    events, raised = runs(labels), flags & scored
    watched = np.clip(events + np.array([-early_steps, late_steps]), 0, len(labels))
    hits = _first_inside(np.flatnonzero(raised), watched)
    is_found = hits >= 0
    is_seen = is_found | (_first_inside(np.flatnonzero(scored), events) >= 0)
    alarms = runs(raised)
    if len(alarms):
        parted = alarms[1:, 0] - alarms[:-1, 1] > merge_gap_steps
        starts, ends = alarms[np.append(True, parted), 0], alarms[np.append(parted, True), 1]
        alarms = np.column_stack([starts, ends])
    if len(watched):
        # The first watched span that ends after an alarm's beginning: does it begin in time?
        at = np.searchsorted(watched[:, 1], alarms[:, 0], side="right")
        is_false = np.append(watched[:, 0], np.iinfo(np.int64).max)[at] >= alarms[:, 1]
    else:
        is_false = np.ones(len(alarms), bool)
    alerts = [schedule.alert_s(hit) - schedule.start_s for hit in hits[is_found].tolist()]
    bounds = list(zip(alerts, (events[is_found] * schedule.step_s).tolist(), strict=True))
    return EventReport(
        n_events=int(is_seen.sum()),
        n_found=int(is_found.sum()),
        n_unseen=int((~is_seen).sum()),
        n_alarms=len(alarms),
        n_false=int(is_false.sum()),
        days=float(scored.sum()) * schedule.step_s / DAY_S,
        delay_s=tuple(alert - first for alert, (first, _) in bounds),
        lead_s=tuple(end - alert for alert, (_, end) in bounds),
    )


def _first_inside(steps: Ints, spans: Ints) -> Ints:
    """The first of the ascending steps inside each span, -1 where none is."""
    padded = np.append(steps, np.iinfo(np.int64).max)
    first = padded[np.searchsorted(steps, spans[:, 0])]
    return np.where(first < spans[:, 1], first, np.int64(-1))


def echo(labels: Flags, late_steps: int) -> Flags:
    """The steps (n_steps,) after events whose windows hold them: no flag is right or wrong there.

    >>> echo(np.array([False, True, False, False, False]), 2).tolist()
    [False, False, True, True, False]
    """
    steps = np.arange(len(labels))
    since = steps - np.maximum.accumulate(np.where(labels, steps, -late_steps - 1))
    return np.asarray(~labels & (since <= late_steps), np.bool_)


def point_adjusted_f1(labels: Flags, flags: Flags, known: Flags | None = None) -> float:
    """F1 by step after every step of an event that was hit once is taken for found.

    Only to compare with papers, and never alone: one lucky flag in a long event is worth all of it.
    Source: Xu et al., 2018; Kim et al., 2022 (what is wrong with it).

    >>> point_adjusted_f1(np.array([True, True, False]), np.array([False, True, False]))
    1.0
    """
    scored = np.ones(labels.shape, bool) if known is None else known
    adjusted = flags & scored
    for first, end in runs(labels)[_first_inside(np.flatnonzero(adjusted), runs(labels)) >= 0]:
        adjusted[first:end] = True
    return confusion(labels, adjusted, scored).f1


@dataclass(frozen=True)
class Volume:
    """Volumes under the precision-recall and the ROC surface; NaN where a class is missing."""

    pr: float
    roc: float
    n_unknown: int


def buffered_labels(labels: Flags, buffer_steps: int) -> Floats64:
    """Labels that fade out over half a buffer beside each event: sqrt(1 - distance / buffer).

    Source: Paparrizos et al., 2022, section 4 (where two fade-outs meet they add up).

    >>> buffered_labels(np.array([False, False, True, False, False]), 2).round(3).tolist()
    [0.0, 0.707, 1.0, 0.707, 0.0]
    """
    soft = labels.astype(np.float64)
    half = buffer_steps // 2
    for first, end in runs(labels).tolist():
        before = np.arange(max(first - half, 0), first)
        after = np.arange(end, min(end + half, len(labels)))
        soft[before] += np.sqrt(1 - (first - before) / buffer_steps)
        soft[after] += np.sqrt(1 - (after - end + 1) / buffer_steps)
    return np.minimum(soft, 1.0)


def volume_under_surface(
    labels: Flags, scores: Floats, *, max_buffer_steps: int, n_buffers: int = 25
) -> Volume:
    """VUS-PR and VUS-ROC of scores (n_steps,), NaN where unknown: mean areas over buffers.

    A score that rises a little early or late is not a miss, and no threshold has to be chosen. Up
    to `n_buffers` buffers from 0 to `max_buffer_steps`, about the length of a usual event, are
    tried, with all thresholds (the authors' code samples 250). Source: Paparrizos et al., Volume
    Under the Surface, PVLDB 15(11), 2022.

    >>> labels = np.array([False, False, True, True, False, False])
    >>> volume_under_surface(labels, np.array([0, 0, 9.0, 9, 0, 0]), max_buffer_steps=0).pr
    1.0
    """
    _check_lengths(labels, scores)
    known = ~np.isnan(scores)
    order = np.argsort(-scores[known], kind="stable")
    descending = scores[known][order]
    # The last of each run of equal scores: a threshold cannot part what is equal.
    differs = np.append(descending[1:] != descending[:-1], True)[: len(descending)]
    last = np.flatnonzero(differs)
    n_tried = min(n_buffers, max_buffer_steps + 1)
    buffers = np.unique(np.linspace(0, max_buffer_steps, n_tried).round().astype(np.int64))
    soft = (buffered_labels(labels, int(buffer)) for buffer in buffers)
    areas = [_areas(labels, one, known, order, last) for one in soft]
    pr, roc = np.mean(areas, axis=0).tolist()
    return Volume(pr, roc, int((~known).sum()))


def _areas(
    labels: Flags, soft: Floats64, known: Flags, order: Ints, last: Ints
) -> tuple[float, float]:
    """Areas under the range-based precision-recall and ROC curves with one buffer."""
    weight = soft[known]
    n_positive = (float(labels[known].sum()) + float(weight.sum())) / 2
    n_normal = len(weight) - n_positive
    if not (labels[known].any() and n_normal > 0):
        return math.nan, math.nan
    # Share of the buffered events with a flagged step, at each rank; those without any score are
    # left out.
    ranks = np.full(len(soft) + 1, np.iinfo(np.int64).max)
    ranks[np.flatnonzero(known)[order]] = np.arange(len(order))
    first = np.minimum.reduceat(ranks, runs(soft > 0).ravel())[::2]
    first = np.sort(first[first < len(order)])
    existence = np.searchsorted(first, last, side="right") / len(first)
    found, n_flagged = np.cumsum(weight[order])[last], last + 1.0
    recall = np.minimum(found / n_positive, 1.0) * existence
    false = np.concatenate(([0.0], (n_flagged - found) / n_normal, [1.0]))
    pr = np.trapezoid(np.append(1.0, found / n_flagged), np.append(0.0, recall))
    return float(pr), float(np.trapezoid(np.concatenate(([0.0], recall, [1.0])), false))


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often steps of a stated probability are anomalies.

    Attributes
    ----------
    curve : by bin; None where nothing is known
    brier : mean squared distance of probability and label; lower is better
    n_unknown : steps left out for want of a probability
    """

    curve: ReliabilityCurve | None
    brier: float
    n_unknown: int

    @property
    def calibration_error(self) -> float:
        """Mean distance of stated probability and share of anomalies, by steps."""
        return self.curve.error if self.curve else math.nan


def reliability(labels: Flags, probabilities: Floats, *, n_bins: int = 10) -> Reliability:
    """The reliability of probabilities (n_steps,) that were stated, NaN where unknown.

    Source: Brier, 1950.

    Raises
    ------
    BadInput
        When a probability is below 0 or above 1.

    >>> round(reliability(np.array([False, True]), np.array([0.1, 0.9])).brier, 3)
    0.01
    """
    _check_lengths(labels, probabilities)
    known = ~np.isnan(probabilities)
    n_unknown = int(np.count_nonzero(~known))
    if not known.any():
        return Reliability(None, math.nan, n_unknown)
    curve = reliability_curve(probabilities[known], labels[known], n_bins)
    brier = float(np.mean((probabilities[known] - labels[known]) ** 2))
    return Reliability(curve, brier, n_unknown)


@dataclass(frozen=True)
class Detection:
    """All that readings say about scores and flags; point-adjusted F1 is only an extra."""

    steps: Confusion
    events: EventReport
    roc_auc: float
    average_precision: float
    anomaly_share: float
    vus_pr: float
    vus_roc: float
    point_adjusted_f1: float

    def to_json(self) -> dict[str, Any]:
        """The figures as a JSON object, None where a share of nothing was asked for."""
        names = ("precision", "recall", "f1", "accuracy", "always_normal_accuracy")
        waits = ("false_alarms_per_day", "median_delay_s", "median_lead_s")
        event_names = ("precision", "recall", "f1", *waits)
        steps = asdict(self.steps) | {name: getattr(self.steps, name) for name in names}
        events = asdict(self.events) | {name: getattr(self.events, name) for name in event_names}
        rest = {name: value for name, value in vars(self).items() if isinstance(value, float)}
        return {"steps": _plain(steps), "events": _plain(events), **_plain(rest)}


def _plain(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in figures.items()
    }


@dataclass(frozen=True, eq=False)
class Judged:
    """One entity's labels, scores (NaN where unknown) and flags, (n_steps,) each.

    `alarms` are the flags that an alarm policy lets through to people: events are judged by them;
    None: all.
    """

    labels: Flags
    scores: Floats
    flags: Flags
    start_s: int = 0
    alarms: Flags | None = None


def detection(
    parts: Sequence[Judged],
    *,
    schedule: AlertSchedule,
    max_buffer_steps: int,
    late_steps: int = 0,
    **rules: int,
) -> Detection:
    """All figures of some entities: steps are pooled, no event reaches into another entity.

    The `start_s` of `schedule` gives way to each part's own. `max_buffer_steps` is that of VUS,
    `rules` are those of `event_report`; by step, the echo of an event counts neither way.

    >>> part = Judged(np.array([False, True]), np.array([0.5, 2.0]), np.array([False, True]))
    >>> found = detection([part], schedule=AlertSchedule(60), max_buffer_steps=2)
    >>> found.steps.f1, found.events.f1, found.roc_auc
    (1.0, 1.0, 1.0)
    """
    events = event_total(parts, schedule=schedule, late_steps=late_steps, **rules)
    silenced = [_silenced(part, late_steps) for part in parts]
    pooled = pooled_steps(silenced)
    known, curve = ~np.isnan(pooled.scores), pr_curve(pooled.labels, pooled.scores)
    volume = Volume(math.nan, math.nan, 0)
    if parts:
        # Unknown steps between the parts, for the buffers to fade into.
        pause = np.full(max_buffer_steps + 1, math.nan)
        labels = [side for part in silenced for side in (part.labels, np.zeros(len(pause), bool))]
        scores = [side for part in silenced for side in (part.scores.astype(np.float64), pause)]
        all_steps = np.concatenate(labels), np.concatenate(scores)
        volume = volume_under_surface(*all_steps, max_buffer_steps=max_buffer_steps)
    return Detection(
        steps=confusion(pooled.labels, pooled.flags, known),
        events=events,
        roc_auc=roc_curve(pooled.labels, pooled.scores).auc,
        average_precision=curve.average_precision,
        anomaly_share=curve.anomaly_share,
        vus_pr=volume.pr,
        vus_roc=volume.roc,
        point_adjusted_f1=point_adjusted_f1(pooled.labels, pooled.flags, known),
    )


def _silenced(part: Judged, late_steps: int) -> Judged:
    """The part without scores in the echo of events."""
    return replace(part, scores=np.where(echo(part.labels, late_steps), np.nan, part.scores))


def event_total(parts: Sequence[Judged], *, schedule: AlertSchedule, **rules: int) -> EventReport:
    """Events and alarms of all parts; `rules` are those of `event_report`.

    >>> part = Judged(np.array([False, True]), np.array([0.5, 2.0]), np.array([False, True]))
    >>> event_total([part, part], schedule=AlertSchedule(60)).n_found
    2
    """
    found = NO_EVENTS
    for part in parts:
        alarms = part.flags if part.alarms is None else part.alarms
        clock = replace(schedule, start_s=part.start_s)
        found += event_report(part.labels, alarms, ~np.isnan(part.scores), schedule=clock, **rules)
    return found


def step_total(parts: Sequence[Judged], *, late_steps: int = 0) -> Confusion:
    """The confusion matrix of all parts, where the echo of an event counts neither way.

    >>> part = Judged(np.array([True, False]), np.array([2.0, 1.5]), np.array([True, True]))
    >>> step_total([part], late_steps=1).precision
    1.0
    """
    pooled = pooled_steps([_silenced(part, late_steps) for part in parts])
    return confusion(pooled.labels, pooled.flags, ~np.isnan(pooled.scores))


def pooled_steps(parts: Sequence[Judged]) -> Judged:
    """The steps of all entities, one after the other: for figures that know no order.

    >>> part = Judged(np.array([True]), np.array([1.0]), np.array([True]))
    >>> pooled_steps([part, part]).labels.tolist()
    [True, True]
    """
    if not parts:
        return Judged(np.zeros(0, bool), np.zeros(0), np.zeros(0, bool))
    labels, scores, flags = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("labels", "scores", "flags")
    )
    return Judged(labels, scores, flags)


def _check_lengths(*arrays: NDArray[Any]) -> None:
    shapes = [array.shape for array in arrays]
    if len(set(shapes)) != 1 or len(shapes[0]) != 1:
        received = ", ".join(map(str, shapes))
        raise BadInput(f"Expected arrays of one length, (n_steps,) each. Received: {received}.")
