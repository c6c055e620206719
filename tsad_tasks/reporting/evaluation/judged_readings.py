"""Readings to judge a model by: what is known of them, what is put into them, and what the model
makes of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.base import Detector
from tsad_tasks.ingest.queries import SELECT_LABELS
from tsad_tasks.model.evaluation import Judged, runs
from tsad_tasks.model.incidents import incident_spans
from tsad_tasks.model.injection import Injection, inject_all, injection_plan
from tsad_tasks.model.scoring import entity_scores
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.model.thresholds import flag
from tsad_tasks.model.windows import window_errors
from tsad_tasks.reporting.exploration.content import LabelRange
from tsad_tasks.reporting.exploration.explore import label_marks
from tsad_tasks.scoring.alarm_rule import incident_rule
from tsad_tasks.storage.datasets import select_dataset, select_layouts
from tsad_tasks.storage.readings import read_blocks
from tsad_tasks.storage.store import Store
from tsad_tasks.training.fit import Scope, TrainingRange, evenly
from tsad_tasks.training.held_out import series_errors

MAX_ENTITIES = 24
CONTEXT_FACTOR = 3.0
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
    """One entity's readings, and what is known of them.

    Attributes
    ----------
    values : float64 (n_steps, n_channels)
    labels, ignored : bool (n_steps,); what is ignored is judged neither way.
    events : kind, first step and end of each known anomaly.
    """

    entity: str
    start_s: int
    values: NDArray[np.float64]
    labels: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    events: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True, eq=False)
class Scored:
    """A stretch and what the model made of it.

    Attributes
    ----------
    errors, thresholds, scores : float32 (n_steps,), NaN where unknown.
    flags, alarms : bool (n_steps,); alarms are the flags that the alarm policy lets through.
    probability : (n_steps,) of an anomaly; None where the detector states none.
    """

    stretch: Stretch
    errors: NDArray[np.float32]
    thresholds: NDArray[np.float32]
    scores: NDArray[np.float32]
    flags: NDArray[np.bool_]
    alarms: NDArray[np.bool_]
    probability: NDArray[np.float64] | None

    def at_multiple(self, config: DatasetConfig, multiple: float) -> Scored:
        """What this many times the threshold would have made of the stretch."""
        scores = ((1 + self.scores) / np.float32(multiple) - 1).astype(np.float32)
        raised = flag(scores)
        return replace(
            self, scores=scores, flags=raised, alarms=alarms_of(config, raised, scores, self.errors)
        )

    def judged(self, part: slice, step_s: int) -> Judged:
        """The steps of one part, to be judged."""
        scores = np.where(self.stretch.ignored, np.float32(np.nan), self.scores)[part]
        start_s = self.stretch.start_s + part.start * step_s
        return Judged(
            self.stretch.labels[part], scores, self.flags[part], start_s, self.alarms[part]
        )

    def raises(self, event: tuple[str, int, int], late_steps: int) -> bool:
        """Whether an alarm finds a known anomaly, while it lasts or while windows still hold it."""
        return bool(
            (self.alarms & np.isfinite(self.scores))[event[1] : event[2] + late_steps].any()
        )


@dataclass(frozen=True)
class Part:
    """A part of the judged range, without the embargo at its beginning."""

    name: str
    start_at: datetime
    end_at: datetime

    def steps(self, start_s: int, step_s: int) -> slice:
        """Its steps in a stretch that starts at `start_s`."""
        return slice(*((unix_s(at) - start_s) // step_s for at in (self.start_at, self.end_at)))


def judged_parts(subject: Subject, until_at: datetime) -> list[Part]:
    """Training, validation, test and what came later, each a window's width after the cut, as far
    as there is any.
    """
    span, width = (
        subject.span,
        timedelta(seconds=subject.spec.features.width * subject.spec.features.step_s),
    )
    parts = [
        Part("training", span.start_at, span.split_at),
        Part("validation", span.split_at + width, span.gate_at),
        Part("test", span.gate_at + width, span.end_at),
        Part("later", span.end_at, until_at),
    ]
    return [
        part for part in parts if part.start_at >= subject.first_at and part.end_at > part.start_at
    ]


def stretches(
    store: Store, config: DatasetConfig, subject: Subject, until_at: datetime
) -> list[Stretch]:
    """Readings of at most 24 of the model's entities, those with labels first, from where judging
    can begin.
    """
    start_at, step_s = subject.first_at, subject.spec.features.step_s
    dataset = select_dataset(store, config.dataset)
    layout = select_layouts(store, dataset.dataset_id)[0]
    columns = [layout.channel_names.index(name) for name in subject.spec.features.channels]
    names = {key: name for name, key in subject.scope.entities}
    labels = [
        LabelRange(names[label.entity_id], label.start_at, label.end_at, label.kind)
        for label in store.rows(
            SELECT_LABELS, dataset_id=dataset.dataset_id, start_at=start_at, end_at=until_at
        )
        if label.entity_id in names
    ]
    chosen = _chosen(subject.scope.entities, {label.entity for label in labels})
    params = {"entity_ids": [key for _, key in chosen], "start_at": start_at, "end_at": until_at}
    bad = [
        LabelRange(names[key], hour_at, hour_at + timedelta(hours=1), verdict)
        for key, hour_at, verdict in store.select("select_bad_hours", params)
    ]
    found = []
    for name, key in chosen:
        values = np.asarray(
            read_blocks(store, layout, [key], start_at, until_at).values[0][:, columns], np.float64
        )
        own = [label for label in labels if label.entity == name]
        marks, ignored = (
            label_marks([name], ranges, start_at, len(values), step_s)[0] for ranges in (own, bad)
        )
        found.append(
            Stretch(
                name,
                unix_s(start_at),
                values,
                marks,
                ignored,
                _events(own, marks, start_at, step_s),
            )
        )
    return found


def _chosen(entities: Sequence[tuple[str, int]], labelled: set[str]) -> list[tuple[str, int]]:
    with_labels = [pair for pair in entities if pair[0] in labelled][:MAX_ENTITIES]
    others = [pair for pair in entities if pair[0] not in labelled]
    n_others = MAX_ENTITIES - len(with_labels)
    return sorted(
        with_labels + [others[i] for i in evenly(np.arange(len(others)), n_others)]
        if n_others
        else with_labels
    )


def _events(
    labels: Sequence[LabelRange], marks: NDArray[np.bool_], start_at: datetime, step_s: int
) -> tuple[tuple[str, int, int], ...]:
    """Each run of labelled steps, with the kind of the label that it starts in."""
    starts = [
        ((unix_s(label.start_at) - unix_s(start_at)) // step_s, label.kind) for label in labels
    ]
    return tuple(
        (max((start, kind) for start, kind in starts if start <= first)[1], first, end)
        for first, end in runs(marks).tolist()
    )


def scored(config: DatasetConfig, subject: Subject, stretch: Stretch) -> Scored:
    """What the model makes of a stretch, as scoring computes it."""
    spec, entity = subject.spec, stretch.entity
    found = series_errors(
        spec.features,
        spec.scaler(entity),
        subject.detector,
        stretch.values,
        stretch.start_s,
        entity,
    )
    errors = found.combined(spec, entity)
    made = entity_scores(spec, [entity], errors[None])
    flags = made.flags[0]
    probability = _probabilities(subject.detector, found.channel_errors, found.live)
    return Scored(
        stretch,
        errors,
        made.thresholds[0],
        made.scores[0],
        flags,
        alarms_of(config, flags, made.scores[0], errors),
        probability,
    )


def alarms_of(
    config: DatasetConfig,
    flags: NDArray[np.bool_],
    scores: NDArray[np.float32],
    errors: NDArray[np.float32],
) -> NDArray[np.bool_]:
    """Flags that belong to an incident by number and height; deviation and direction are not looked
    at.
    """
    policy, step_s = config.alarm_policy, config.source.step_s
    at = np.flatnonzero(flags)
    rule = incident_rule(policy)
    alarms = np.zeros(len(flags), bool)
    for span in incident_spans(at * step_s, scores[at], rule, step_s, errors[at]):
        alarms[at[span.first : span.last + 1]] = True
    return alarms


def _probabilities(
    detector: Detector, channel_errors: NDArray[np.float32], live: NDArray[np.bool_]
) -> NDArray[np.float64] | None:
    """The probabilities (n_steps,) of those detectors that state any, from the scores that they
    give themselves.
    """
    state = getattr(detector, "probability", None)
    if state is None:
        return None
    probabilities: NDArray[np.float64] = state(
        window_errors(np.where(live, channel_errors, np.float32(0)), live)
    )
    return probabilities


def injected(
    config: DatasetConfig,
    subject: Subject,
    stretch: Stretch,
    parts: Sequence[Part],
    n: int,
    seed: tuple[int, int],
) -> Stretch:
    """The stretch with anomalies in every part, as the gate puts them; readings that are labelled
    are ignored.
    """
    spec, rng = subject.spec.features, np.random.default_rng(seed)
    channels = [
        i for i in range(stretch.values.shape[1]) if np.isfinite(stretch.values[:, i]).any()
    ]
    daily, plan = _DAY_S // spec.step_s, []
    for part in parts:
        steps = part.steps(stretch.start_s, spec.step_s)
        plan += _plan(steps, channels, n, spec.width, daily, rng)
    scale = subject.spec.scaler(stretch.entity).scale
    values = inject_all(stretch.values, plan, spread=scale, rng=rng, daily_steps=daily)
    kept = [one for one in plan if _is_anomaly(subject, stretch, values, one, daily)]
    for one in set(plan) - set(kept):
        rows = slice(one.at, one.at + one.length)
        values[rows, one.channel] = stretch.values[rows, one.channel]
    marks = np.zeros(len(values), bool)
    for one in kept:
        marks[one.at : one.at + one.length] = True
    events = tuple(
        (one.kind, one.at, one.at + one.length) for one in sorted(kept, key=lambda one: one.at)
    )
    return replace(
        stretch,
        values=values,
        labels=marks,
        ignored=stretch.ignored | stretch.labels,
        events=events,
    )


def _plan(
    steps: slice, channels: Sequence[int], n: int, width: int, daily: int, rng: np.random.Generator
) -> list[Injection]:
    try:
        plan = injection_plan(
            steps.stop - steps.start, channels, n, width, rng=rng, daily_steps=daily
        )
    except BadInput:
        return []
    return [replace(one, at=one.at + steps.start) for one in plan]


def _is_anomaly(
    subject: Subject, stretch: Stretch, values: NDArray[np.float64], one: Injection, daily: int
) -> bool:
    """Whether anything was read there, and a contextual one moves the channel by more than days
    differ.
    """
    rows = slice(one.at, one.at + one.length)
    clean = stretch.values[:, one.channel]
    moved = np.abs(values[rows, one.channel] - clean[rows])
    if not np.isfinite(moved).any() or stretch.ignored[rows].all():
        return False
    if one.kind != "contextual":
        return True
    usual = np.abs(clean[daily:] - clean[:-daily])
    known = usual[np.isfinite(usual)]
    return bool(np.nanmedian(moved) > CONTEXT_FACTOR * (np.median(known) if known.size else 0.0))
