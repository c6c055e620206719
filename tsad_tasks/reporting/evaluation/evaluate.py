"""Task `evaluate`: how a model does on training, validation and test readings, as a PDF and as
JSON.

Judged against the dataset's labels where there are, else against anomalies that are put into clean
readings.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from upath import UPath

from tsad_tasks.base.clock import utc_now
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import whole_hours
from tsad_tasks.champions.champions import check_bundle
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.base import make_folder
from tsad_tasks.detectors.bundle import read_bundle
from tsad_tasks.model.evaluation import (
    AlertSchedule,
    Reliability,
    classification_report,
    detection,
    echo,
    event_total,
    pooled_steps,
    pr_curve,
    reliability,
    roc_curve,
    step_total,
)
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.reporting.drawing.document import write_whole
from tsad_tasks.reporting.evaluation.content import (
    EvaluatedModel,
    EvaluationContent,
    Evidence,
    OtherThreshold,
    PartResult,
)
from tsad_tasks.reporting.evaluation.examples import examples
from tsad_tasks.reporting.evaluation.judged_readings import (
    Part,
    Scored,
    Stretch,
    Subject,
    injected,
    judged_parts,
    scored,
    stretches,
)
from tsad_tasks.reporting.evaluation.pages import evaluation_bytes, headline_text
from tsad_tasks.reporting.exploration.content import TrainingPreview
from tsad_tasks.reporting.exploration.explore import newest_end, preview_of
from tsad_tasks.reporting.exploration.statistics import histogram
from tsad_tasks.reporting.period.models import threshold_text
from tsad_tasks.storage.artifacts import place
from tsad_tasks.storage.datasets import select_dataset, select_entities
from tsad_tasks.storage.store import Store
from tsad_tasks.text.formats import duration_text
from tsad_tasks.training.exclusions import exclusions_of
from tsad_tasks.training.fit import Scope, TrainingRange, TrainingReader, training_scopes
from tsad_tasks.training.retrain import Retraining, settled

MAX_SINCE = timedelta(days=30)
MULTIPLES = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)
RATIO_EDGES = np.linspace(-3.0, 3.0, 61)


def part_result(
    config: DatasetConfig, found: Sequence[Scored], part: Part, width: int
) -> PartResult:
    """How the model did on one part of all stretches."""
    step_s, late = config.source.step_s, width - 1
    slices = [part.steps(one.stretch.start_s, step_s) for one in found]
    judged = [one.judged(steps, step_s) for one, steps in zip(found, slices, strict=True)]
    figures = detection(judged, max_buffer_steps=width, **_rules(config, width))
    pooled = pooled_steps(
        [
            replace(one, scores=np.where(echo(one.labels, late), np.nan, one.scores))
            for one in judged
        ]
    )
    ratios = np.log10(np.clip(1 + pooled.scores, 10 ** RATIO_EDGES[0], 10 ** RATIO_EDGES[-1]))
    return PartResult(
        name=part.name,
        start_at=part.start_at,
        end_at=part.end_at,
        figures=figures,
        report=classification_report(figures.steps),
        roc=roc_curve(pooled.labels, pooled.scores),
        pr=pr_curve(pooled.labels, pooled.scores),
        normal=histogram(ratios[~pooled.labels], edges=RATIO_EDGES),
        anomalous=histogram(ratios[pooled.labels], edges=RATIO_EDGES),
        by_kind=_by_kind(found, slices, late),
        others=()
        if part.name == "training"
        else tuple(_other(config, found, slices, width, m) for m in MULTIPLES),
    )


def _rules(config: DatasetConfig, width: int) -> dict[str, Any]:
    """When alerts come, and which flags and steps belong together."""
    step_s = config.source.step_s
    schedule = AlertSchedule(step_s, config.interval_s, config.source.settle_s)
    return {
        "schedule": schedule,
        "merge_gap_steps": config.alarm_policy.merge_gap_s // step_s,
        "late_steps": width - 1,
    }


def _other(
    config: DatasetConfig,
    found: Sequence[Scored],
    slices: Sequence[slice],
    width: int,
    multiple: float,
) -> OtherThreshold:
    """What this many times the threshold would have found, and at what price."""
    changed = [one.at_multiple(config, multiple) for one in found]
    judged = [
        one.judged(steps, config.source.step_s) for one, steps in zip(changed, slices, strict=True)
    ]
    events, steps = (
        event_total(judged, **_rules(config, width)),
        step_total(judged, late_steps=width - 1),
    )
    return OtherThreshold(
        multiple,
        events.n_found,
        events.n_events,
        events.false_alarms_per_day,
        steps.precision,
        steps.recall,
    )


def _by_kind(
    found: Sequence[Scored], slices: Sequence[slice], late: int
) -> tuple[tuple[str, int, int], ...]:
    counts: dict[str, list[int]] = {}
    for one, steps in zip(found, slices, strict=True):
        for event in one.stretch.events:
            if (
                steps.start <= event[1] < steps.stop
                and np.isfinite(one.scores[event[1] : event[2] + late]).any()
            ):
                count = counts.setdefault(event[0], [0, 0])
                count[0] += one.raises(event, late)
                count[1] += 1
    return tuple((kind, hits, n) for kind, (hits, n) in sorted(counts.items()))


def reliability_of(
    found: Sequence[Scored], parts: Sequence[Part], step_s: int
) -> Reliability | None:
    """How far stated probabilities hold on readings that were not learned from; None where none are
    stated.
    """
    pairs = []
    for one in found:
        for part in parts:
            steps = part.steps(one.stretch.start_s, step_s)
            if one.probability is not None and part.name != "training":
                known = np.where(one.stretch.ignored, np.nan, one.probability)[steps]
                pairs.append((one.stretch.labels[steps], known))
    if not pairs:
        return None
    labels, stated = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return reliability(labels, stated)


def evidence_of(found: Sequence[Stretch], parts: Sequence[Part], step_s: int) -> Evidence:
    """Labels, where a part that was not learned from has any; else anomalies must be injected."""
    held_out = [part for part in parts if part.name != "training"]
    marked = any(
        (one.labels & ~one.ignored)[part.steps(one.start_s, step_s)].any()
        for one in found
        for part in held_out
    )
    return "labels" if marked else "injected"


def evaluation_content(
    store: Store,
    config: DatasetConfig,
    subject: Subject,
    *,
    until_at: datetime,
    seed: int,
    generated_at: datetime,
) -> EvaluationContent:
    """Everything that the report on a model shows.

    Raises
    ------
    BadInput
        When nothing is left to judge it by.
    """
    parts = judged_parts(subject, until_at)
    if not parts:
        raise BadInput(
            f"Expected readings after {subject.first_at:%Y-%m-%d %H:%M} UTC to judge a folding "
            "model by: its state has "
            f"seen all before. Received: none up to {until_at:%Y-%m-%d %H:%M} UTC. Ingest more, or "
            "give --to."
        )
    step_s = subject.spec.features.step_s
    clean = stretches(store, config, subject, until_at)
    evidence = evidence_of(clean, parts, step_s)
    if evidence == "injected":
        n = max(3, -(-config.gate.n_injected // len(clean)))
        clean = [
            injected(config, subject, one, parts, n, (seed, number))
            for number, one in enumerate(clean)
        ]
    found = [scored(config, subject, one) for one in clean]
    dataset = select_dataset(store, config.dataset)
    return EvaluationContent(
        dataset=config.dataset,
        description=config.description.rstrip("."),
        zone=config.site_zone,
        generated_at=generated_at,
        model=model_facts(config, subject),
        start_at=parts[0].start_at,
        end_at=parts[-1].end_at,
        evidence=evidence,
        n_entities=len(found),
        n_all_entities=len(select_entities(store, dataset.dataset_id)),
        step_s=step_s,
        alert_wait=_alert_wait(config),
        parts=tuple(
            part_result(config, found, part, subject.spec.features.width) for part in parts
        ),
        examples=tuple(examples(config, subject, found, parts)),
        reliability=reliability_of(found, parts, step_s),
        preview=_preview(store, config, subject),
    )


def _alert_wait(config: DatasetConfig) -> str:
    settle = (
        f" and a settle delay of {duration_text(config.source.settle_s)}"
        if config.source.settle_s
        else ""
    )
    return f"runs every {duration_text(config.interval_s)}{settle}"


def model_facts(config: DatasetConfig, subject: Subject) -> EvaluatedModel:
    """The model in words and numbers."""
    card, detector = subject.card, subject.detector
    training = card.get("training", {})
    scope = f" ({subject.scope.name})" if subject.scope.entity_id else ""
    return EvaluatedModel(
        name=f"{config.dataset} {subject.version}{scope}",
        version=subject.version,
        detector=detector.name,
        n_parameters=detector.n_parameters,
        n_channels=detector.n_channels,
        window=subject.spec.features.width,
        seed=card.get("seed"),
        sha256=subject.sha256,
        threshold_text=threshold_text(dict(card)),
        n_windows=card.get("n_windows_used"),
        used_share=card.get("used_share"),
        loss=tuple(training.get("loss", ())),
        validation_loss=tuple(training.get("validation_loss", ())),
        stopped=training.get("stopped", ""),
        seconds=training.get("seconds"),
    )


def _preview(store: Store, config: DatasetConfig, subject: Subject) -> TrainingPreview:
    exclusions = exclusions_of(store, config, subject.scope, subject.span)
    reader = TrainingReader.of_store(store, config, subject.span, exclusions)
    card = subject.card
    counts = (int(card.get("n_windows_used") or 0), int(card.get("n_windows_available") or 0))
    return preview_of(reader, subject.scope, exclusions, card.get("running_hours", {}), counts)


@dataclass(frozen=True)
class EvaluationSummary:
    """Where the report is, and its first sentence."""

    pdf: str
    json: str
    n_pages: int
    finding: str
    seconds: float


def evaluate_model(
    store: Store,
    config: DatasetConfig,
    subject: Subject,
    *,
    folder: UPath,
    until_at: datetime,
    seed: int,
    pdf: UPath | None = None,
    now: Callable[[], datetime] = utc_now,
) -> tuple[EvaluationContent, EvaluationSummary]:
    """The report on a model as `evaluation.pdf` and `evaluation.json` in a folder.

    Parameters
    ----------
    until_at : readings up to then count; those after the training range are a part of their own.
    pdf : another place for the PDF.
    now : tells when the report was generated; nothing else depends on it.
    """
    began = time.monotonic()
    with store.snapshot():
        content = evaluation_content(
            store, config, subject, until_at=until_at, seed=seed, generated_at=now()
        )
    document, n_pages = evaluation_bytes(content, page_size=config.report.page_size)
    target = pdf or folder / "evaluation.pdf"
    for needed in {folder, target.parent}:
        make_folder(needed)
    write_whole(document, target)
    figures = folder / "evaluation.json"
    figures.write_text(json.dumps(evaluation_json(content), indent=2))
    seconds = round(time.monotonic() - began, 1)
    return content, EvaluationSummary(
        str(target), str(figures), n_pages, headline_text(content), seconds
    )


def evaluation_json(content: EvaluationContent) -> dict[str, Any]:
    """The figures of a report, as JSON."""
    model = content.model
    parts = [
        {
            "name": part.name,
            "start_at": part.start_at.isoformat(),
            "end_at": part.end_at.isoformat(),
        }
        | part.figures.to_json()
        | {"by_kind": {kind: {"n_found": found, "n": n} for kind, found, n in part.by_kind}}
        for part in content.parts
    ]
    return {
        "dataset": content.dataset,
        "model": {
            "version": model.version,
            "detector": model.detector,
            "n_parameters": model.n_parameters,
            "sha256": model.sha256,
            "seed": model.seed,
        },
        "evidence": content.evidence,
        "n_entities": content.n_entities,
        "finding": headline_text(content),
        "parts": parts,
    }


def evaluate_run(run: Retraining) -> dict[str, Any]:
    """Task `evaluate` of a retraining: a report on each challenger, kept beside the bundles."""
    run, findings = settled(run), {}
    for scope, folder in run.scopes():
        found = run.challenger(folder)
        subject = Subject(
            spec=found.spec,
            detector=found.judged,
            card=found.bundle.card,
            version="challenger",
            sha256=found.bundle.sha256,
            scope=scope,
            span=run.span,
            first_at=run.span.split_at if found.judged.folds else run.span.start_at,
        )
        name = f"{run.span.end_at:%Y-%m-%dT%H}_{subject.sha256[:8]}"
        kept = run.artifacts / "evaluations" / run.config.dataset / name
        _, summary = evaluate_model(
            run.store,
            run.config,
            subject,
            folder=kept,
            until_at=run.span.end_at,
            seed=run.chosen_seed,
        )
        findings[scope.name] = {"pdf": summary.pdf, "finding": summary.finding}
    return {"reports": findings}


def registered_subject(
    store: Store,
    config: DatasetConfig,
    *,
    version: int | None = None,
    entity: str | None = None,
    lineage: str = "live",
) -> Subject:
    """A registered model, by default the newest champion.

    Raises
    ------
    BadInput
        When there is no such model, no champion, or no such entity, or its bundle was pruned.
    BundleError
        When its bundle is not as it was registered.
    """
    with store.transaction():
        dataset = select_dataset(store, config.dataset)
        rows = store.records(
            "select_models", {"dataset_id": dataset.dataset_id, "lineage": lineage}
        )
        row = _model_row(config, rows, version, _scope_id(store, config, entity))
        check_bundle(config, row["version"], row["pruned_at"])
        scopes = {scope.entity_id: scope for scope in training_scopes(store, config)}
        entities = tuple(sorted(select_entities(store, dataset.dataset_id).items()))
    scope = scopes.get(row["scope_entity_id"]) or _scope_of(row["scope_entity_id"], entities)
    bundle = read_bundle(place(row["artifact_uri"]), expected_sha256=row["sha256"])
    span = span_of_card(bundle.card)
    first_at = span.end_at if bundle.detector.folds else span.start_at
    spec, name = ModelSpec.from_json(bundle.spec), f"v{row['version']}"
    return Subject(spec, bundle.detector, bundle.card, name, row["sha256"], scope, span, first_at)


def _scope_id(store: Store, config: DatasetConfig, entity: str | None) -> int | None:
    if entity is None:
        return None
    known = select_entities(store, select_dataset(store, config.dataset).dataset_id)
    if entity not in known:
        raise BadInput(
            f"Expected an entity of {config.dataset} ({', '.join(sorted(known)[:8])}). Received: "
            f"{entity}."
        )
    return known[entity]


def _scope_of(entity_id: int, entities: tuple[tuple[str, int], ...]) -> Scope:
    """A scope as it was when the model was trained, whatever the dataset file says now."""
    if entity_id == 0:
        return Scope(0, "all", entities)
    name = next(name for name, key in entities if key == entity_id)
    return Scope(entity_id, name, ((name, entity_id),))


def _model_row(
    config: DatasetConfig,
    rows: Sequence[dict[str, Any]],
    version: int | None,
    entity_id: int | None,
) -> dict[str, Any]:
    """The row of a version, else of the latest champion, of one entity where one is named."""
    if version is not None:
        chosen = [row for row in rows if row["version"] == version]
        known = ", ".join(f"v{row['version']}" for row in rows[:8]) or "none"
        wanted = f"a model of {config.dataset} ({known})", f"v{version}"
    else:
        champions = [row for row in rows if row["valid_from"] is not None]
        own = [
            row
            for row in champions
            if entity_id is None or row["scope_entity_id"] in (0, entity_id)
        ]
        chosen = sorted(own, key=lambda row: row["valid_from"], reverse=True)
        wanted = f"a champion of {config.dataset}", f"none of {len(rows)} models"
    if not chosen:
        raise BadInput(
            f"Expected {wanted[0]}. Received: {wanted[1]}. Train one: tsad retrain {config.dataset}"
        )
    return chosen[0]


def span_of_card(card: Mapping[str, Any]) -> TrainingRange:
    """The training range that a card names."""
    start, split, end = (
        datetime.fromisoformat(card[name])
        for name in ("train_start_at", "train_split_at", "train_end_at")
    )
    return TrainingRange(start, split, split + (end - split) / 2, end)


def evaluated_until(
    store: Store, config: DatasetConfig, subject: Subject, end_at: datetime | None
) -> datetime:
    """Up to when readings count: what was asked for, else the newest, at most 30 days after the
    training range.
    """
    with store.transaction():
        newest = end_at or newest_end(store, config)
    limit = subject.span.end_at + MAX_SINCE
    return whole_hours(newest, max(min(newest, limit), subject.span.end_at))[1]
