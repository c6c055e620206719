"""Readings to judge a model by: what is known of them, put into them, and made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from tsad_tasks.base.arrays import Flags, Floats32, Floats64
from tsad_tasks.base.interval import HOUR, unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.base import Detector
from tsad_tasks.ingest.queries import SELECT_LABELS
from tsad_tasks.model.evaluation import Judged, runs
from tsad_tasks.model.incidents import incident_spans
from tsad_tasks.model.injection import Injection, inject_all, injection_plan
from tsad_tasks.model.injection_site import Site
from tsad_tasks.model.scoring import entity_scores
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.model.thresholds import flag
from tsad_tasks.model.windows import window_errors
from tsad_tasks.reporting.exploration.content import LabelRange
from tsad_tasks.reporting.exploration.explore import label_marks, label_ranges
from tsad_tasks.scoring.alarm_rule import incident_rule
from tsad_tasks.scoring.columns import state_columns
from tsad_tasks.scoring.series import series_errors
from tsad_tasks.storage.datasets import select_dataset, select_layouts
from tsad_tasks.storage.readings import read_blocks
from tsad_tasks.storage.store import Store
from tsad_tasks.training.injected import value_ends
from tsad_tasks.training.queries import SELECT_BAD_HOURS
from tsad_tasks.training.reader import Scope, TrainingRange, evenly

MAX_ENTITIES = 24


@dataclass(frozen=True, eq=False)
class Subject:
    """A model to be judged."""

    spec: ModelSpec
    detector: Detector
    card: Mapping[str, Any]
    version: str
    sha256: str
    scope: Scope
    span: TrainingRange
    # Where judging can begin: for a folding detector not before the time of its state
    first_at: datetime


@dataclass(frozen=True, eq=False)
class Stretch:
    """One entity's readings, and what is known of them."""

    entity: str
    start_s: int
    values: Floats64  # (n_steps, n_channels)
    # labels and ignored: bool (n_steps,); what is ignored is judged neither way
    labels: Flags
    ignored: Flags
    events: tuple[tuple[str, int, int], ...] = ()  # kind, first step and end of each known anomaly


@dataclass(frozen=True, eq=False)
class Scored:
    """A stretch and what the model made of it."""

    stretch: Stretch
    # errors, thresholds and scores: float32 (n_steps,), NaN where unknown
    errors: Floats32
    thresholds: Floats32
    scores: Floats32
    # flags and alarms: bool (n_steps,); alarms are the flags that the alarm policy lets through
    flags: Flags
    alarms: Flags
    # (n_steps,) of an anomaly; None where the detector states none
    probability: Floats64 | None

    def at_multiple(self, config: DatasetConfig, multiple: float) -> Scored:
        """What this many times the threshold would have made of the stretch."""
        scores = ((1 + self.scores) / np.float32(multiple) - 1).astype(np.float32)
        raised = flag(scores)
        alarms = alarms_of(config, raised, scores, self.errors)
        return replace(self, scores=scores, flags=raised, alarms=alarms)

    def judged(self, part: slice, step_s: int) -> Judged:
        """The steps of one part, to be judged."""
        scores = np.where(self.stretch.ignored, np.float32(np.nan), self.scores)[part]
        start_s, labels = self.stretch.start_s + part.start * step_s, self.stretch.labels[part]
        return Judged(labels, scores, self.flags[part], start_s, self.alarms[part])

    def raises(self, event: tuple[str, int, int], late_steps: int) -> bool:
        """Whether an alarm finds a known anomaly, while it lasts or while windows still hold it."""
        _, first, end = event
        return bool((self.alarms & np.isfinite(self.scores))[first : end + late_steps].any())


@dataclass(frozen=True)
class JudgedPart:
    """A part of the judged range, without the embargo at its beginning."""

    name: str
    start_at: datetime
    end_at: datetime

    def steps(self, start_s: int, step_s: int) -> slice:
        """Its steps in a stretch that starts at `start_s`."""
        return slice(*((unix_s(at) - start_s) // step_s for at in (self.start_at, self.end_at)))


def judged_parts(subject: Subject, until_at: datetime) -> list[JudgedPart]:
    """Training, validation, test and later, a window apart; those without readings left out."""
    span, features = subject.span, subject.spec.features
    width = timedelta(seconds=features.width * features.step_s)
    parts = [
        JudgedPart("training", span.start_at, span.split_at),
        JudgedPart("validation", span.split_at + width, span.gate_at),
        JudgedPart("test", span.gate_at + width, span.end_at),
        JudgedPart("later", span.end_at, until_at),
    ]
    return [one for one in parts if one.start_at >= subject.first_at and one.end_at > one.start_at]


def stretches(
    store: Store, config: DatasetConfig, subject: Subject, until_at: datetime
) -> list[Stretch]:
    """Readings of at most 24 of the model's entities, those with labels first."""
    start_at, step_s = subject.first_at, subject.spec.features.step_s
    dataset = select_dataset(store, config.dataset)
    layout = select_layouts(store, dataset.dataset_id)[0]
    columns = [layout.channel_names.index(name) for name in subject.spec.features.channels]
    names = {key: name for name, key in subject.scope.entities}
    span = {"start_at": start_at, "end_at": until_at}
    found = store.rows(SELECT_LABELS, dataset_id=dataset.dataset_id, **span)
    labels = label_ranges(found, names)
    labelled = {label.entity for label in labels}
    chosen = [pair for pair in subject.scope.entities if pair[0] in labelled][:MAX_ENTITIES]
    others = [pair for pair in subject.scope.entities if pair[0] not in labelled]
    if len(chosen) < MAX_ENTITIES:
        places = evenly(np.arange(len(others)), MAX_ENTITIES - len(chosen))
        chosen += [others[i] for i in places]
    ids = [key for _, key in chosen]
    bad = [
        LabelRange(names[hour.entity_id], hour.hour_at, hour.hour_at + HOUR, hour.verdict)
        for hour in store.rows(SELECT_BAD_HOURS, entity_ids=ids, **span)
    ]
    start_s, made = unix_s(start_at), []
    for name, key in sorted(chosen):
        blocks = read_blocks(store, layout, [key], start_at, until_at)
        values = np.asarray(blocks.values[0][:, columns], np.float64)
        own = [label for label in labels if label.entity == name]
        marks, ignored = (
            label_marks([name], ranges, start_at, len(values), step_s)[0] for ranges in (own, bad)
        )
        # Each run of labelled steps has the kind of the label that it starts in.
        starts = [((unix_s(label.start_at) - start_s) // step_s, label.kind) for label in own]
        events = tuple(
            (max(one for one in starts if one[0] <= first)[1], first, end)
            for first, end in runs(marks).tolist()
        )
        made.append(Stretch(name, start_s, values, marks, ignored, events))
    return made


def scored(config: DatasetConfig, subject: Subject, stretch: Stretch) -> Scored:
    """What the model makes of a stretch, as scoring computes it."""
    spec, detector, entity = subject.spec, subject.detector, stretch.entity
    found = series_errors(
        spec.features, spec.scaler(entity), detector, stretch.values, stretch.start_s, entity
    )
    errors = found.combined(spec, entity)
    made = entity_scores(
        spec, [entity], errors[None], moved=found.moved[None], farthest=found.farthest[None]
    )
    flags, scores = made.flags[0], made.scores[0]
    alarms = alarms_of(config, flags, scores, errors)
    probability: Floats64 | None = None
    if hasattr(detector, "probability"):
        # From the scores that the detector gives itself, before they are combined.
        own = np.where(found.live, found.channel_errors, np.float32(0))
        probability = detector.probability(window_errors(own, found.live))
    return Scored(stretch, errors, made.thresholds[0], scores, flags, alarms, probability)


def alarms_of(config: DatasetConfig, flags: Flags, scores: Floats32, errors: Floats32) -> Flags:
    """Flags that make an incident by number and height, whatever the deviation and direction."""
    at, step_s = np.flatnonzero(flags), config.step_s
    rule = incident_rule(config.alarm_policy)
    alarms = np.zeros(len(flags), bool)
    for span in incident_spans(at * step_s, scores[at], rule, step_s, errors[at]):
        alarms[at[span.first : span.last + 1]] = True
    return alarms


def injected(
    config: DatasetConfig,
    subject: Subject,
    stretch: Stretch,
    parts: Sequence[JudgedPart],
    n: int,
    seed: tuple[int, int],
) -> Stretch:
    """The stretch with anomalies in every part, as the gate puts them, but for labels."""
    spec, rng = subject.spec.features, np.random.default_rng(seed)
    ignored = stretch.ignored | stretch.labels
    site = Site(
        spec,
        subject.spec.scaler(stretch.entity),
        stretch.values,
        stretch.start_s,
        ~ignored,
        value_ends(config, spec.channels),
        state_columns(spec.channels),
    )
    plan: list[Injection] = []
    for part in parts:
        usable = np.zeros(len(ignored), bool)
        usable[part.steps(stretch.start_s, spec.step_s)] = True
        usable &= ~ignored & np.isfinite(site.values).any(axis=1)
        # Kinds take turns: a part after the other, so that a short one has them all in time.
        own, _ = injection_plan(site, usable, n, spec.width, rng=rng, n_before=len(plan))
        plan += own
    values, marks = inject_all(site, plan), np.zeros(len(ignored), bool)
    events = tuple((one.kind, one.at, one.at + one.length) for one in plan)
    for one in plan:
        marks[one.steps] = True
    return replace(stretch, values=values, labels=marks, ignored=ignored, events=events)
