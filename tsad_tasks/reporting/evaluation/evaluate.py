"""Task `evaluate`: how a model does on training, validation and test readings, as PDF and JSON.

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

from tsad_tasks.base.enums import Lineage
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.files import make_folder, write_whole
from tsad_tasks.base.interval import whole_hours
from tsad_tasks.base.places import Folder
from tsad_tasks.champions.champions import check_bundle
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.bundle import read_bundle
from tsad_tasks.model import evaluation
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.reporting.evaluation.content import (
    EvaluatedModel,
    EvaluationContent,
    Evidence,
    OtherThreshold,
    PartResult,
    headline_text,
)
from tsad_tasks.reporting.evaluation.examples import examples
from tsad_tasks.reporting.evaluation.judged_readings import (
    JudgedPart,
    Scored,
    Stretch,
    Subject,
    injected,
    judged_parts,
    scored,
    stretches,
)
from tsad_tasks.reporting.evaluation.pages import evaluation_bytes
from tsad_tasks.reporting.exploration.explore import newest_end
from tsad_tasks.reporting.exploration.statistics import histogram
from tsad_tasks.reporting.exploration.training_preview import preview_of
from tsad_tasks.reporting.period.models import threshold_text
from tsad_tasks.storage.artifacts import artifact_path
from tsad_tasks.storage.datasets import select_dataset, select_entities
from tsad_tasks.storage.store import Query, Store
from tsad_tasks.text.formats import duration_text
from tsad_tasks.training.exclusions import exclusions_of
from tsad_tasks.training.judge import challenger_of
from tsad_tasks.training.reader import Scope, TrainingRange, TrainingReader, training_scopes
from tsad_tasks.training.retrain import Retraining, with_chosen_window

MAX_SINCE = timedelta(days=30)
MULTIPLES = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)
RATIO_EDGES = np.linspace(-3.0, 3.0, 61)


def part_result(
    config: DatasetConfig, scored_stretches: Sequence[Scored], part: JudgedPart, width: int
) -> PartResult:
    """How the model did on one part of all stretches, `width` steps being what a window sees."""
    step_s, late = config.step_s, width - 1
    rules: dict[str, Any] = {
        "schedule": evaluation.AlertSchedule(step_s, config.interval_s, config.wait_for_rows_s),
        "merge_gap_steps": config.alarm_policy.merge_gap_s // step_s,
        "late_steps": late,
    }

    def judged(those: Sequence[Scored]) -> list[evaluation.Judged]:
        return [one.judged(part.steps(one.stretch.start_s, step_s), step_s) for one in those]

    def other(multiple: float) -> OtherThreshold:
        changed = judged([one.at_multiple(config, multiple) for one in scored_stretches])
        events = evaluation.event_total(changed, **rules)
        steps = evaluation.step_total(changed, late_steps=late)
        found = (events.n_found, events.n_events, events.false_alarms_per_day)
        return OtherThreshold(multiple, *found, steps.precision, steps.recall)

    by_kind: dict[str, list[bool]] = {}
    for one in scored_stretches:
        steps = part.steps(one.stretch.start_s, step_s)
        for event in one.stretch.events:
            kind, first, end = event
            is_scored = np.isfinite(one.scores[first : end + late]).any()
            if steps.start <= first < steps.stop and is_scored:
                by_kind.setdefault(kind, []).append(one.raises(event, late))
    own = judged(scored_stretches)
    figures = evaluation.detection(own, max_buffer_steps=width, **rules)
    pooled = evaluation.pooled_steps(
        [
            replace(one, scores=np.where(evaluation.echo(one.labels, late), np.nan, one.scores))
            for one in own
        ]
    )
    ratios = np.log10(np.clip(1 + pooled.scores, 10 ** RATIO_EDGES[0], 10 ** RATIO_EDGES[-1]))
    multiples = () if part.name == "training" else MULTIPLES
    return PartResult(
        name=part.name,
        start_at=part.start_at,
        end_at=part.end_at,
        figures=figures,
        report=evaluation.classification_report(figures.steps),
        roc=evaluation.roc_curve(pooled.labels, pooled.scores),
        pr=evaluation.pr_curve(pooled.labels, pooled.scores),
        normal=histogram(ratios[~pooled.labels], edges=RATIO_EDGES),
        anomalous=histogram(ratios[pooled.labels], edges=RATIO_EDGES),
        by_kind=tuple((kind, sum(hits), len(hits)) for kind, hits in sorted(by_kind.items())),
        others=tuple(map(other, multiples)),
    )


def reliability_of(
    scored_stretches: Sequence[Scored], parts: Sequence[JudgedPart], step_s: int
) -> evaluation.Reliability | None:
    """How far stated probabilities hold on what was not learned from; None without any."""
    labels, stated = [], []
    for one in scored_stretches:
        for part in parts:
            if one.probability is not None and part.name != "training":
                steps = part.steps(one.stretch.start_s, step_s)
                known = np.where(one.stretch.ignored, np.nan, one.probability)
                labels.append(one.stretch.labels[steps])
                stated.append(known[steps])
    return (
        evaluation.reliability(np.concatenate(labels), np.concatenate(stated)) if labels else None
    )


def evidence_of(found: Sequence[Stretch], parts: Sequence[JudgedPart], step_s: int) -> Evidence:
    """Labels, where a part that was not learned from has any; else anomalies must be injected."""
    marked = any(
        (one.labels & ~one.ignored)[part.steps(one.start_s, step_s)].any()
        for one in found
        for part in parts
        if part.name != "training"
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
            "model by: its state has seen all before. Received: none up to "
            f"{until_at:%Y-%m-%d %H:%M} UTC. Ingest more, or give --to."
        )
    step_s, width = subject.spec.features.step_s, subject.spec.features.width
    shown = stretches(store, config, subject, until_at)
    evidence = evidence_of(shown, parts, step_s)
    if evidence == "injected":
        n = max(3, -(-config.gate.n_injected // len(shown)))
        shown = [
            injected(config, subject, one, parts, n, (seed, number))
            for number, one in enumerate(shown)
        ]
    scored_stretches = [scored(config, subject, one) for one in shown]
    dataset = select_dataset(store, config.dataset)
    wait = f"runs every {duration_text(config.interval_s)}"
    if config.wait_for_rows_s:
        wait += f" and the wait for rows of {duration_text(config.wait_for_rows_s)}"
    exclusions = exclusions_of(store, config, subject.scope, subject.span)
    reader = TrainingReader.of_store(store, config, subject.span, exclusions)
    card, hours = subject.card, subject.card.get("running_hours", {})
    n_used, n_available = (int(card.get(f"n_windows_{x}") or 0) for x in ("used", "available"))
    return EvaluationContent(
        dataset=config.dataset,
        description=config.description.rstrip("."),
        zone=config.site_zone,
        generated_at=generated_at,
        model=model_facts(config, subject),
        start_at=parts[0].start_at,
        end_at=parts[-1].end_at,
        evidence=evidence,
        n_entities=len(shown),
        n_all_entities=len(select_entities(store, dataset.dataset_id)),
        step_s=step_s,
        alert_wait=wait,
        parts=tuple(part_result(config, scored_stretches, part, width) for part in parts),
        examples=tuple(examples(config, subject, scored_stretches, parts)),
        max_flagged_share=config.gate.max_false_alarm_share,
        reliability=reliability_of(scored_stretches, parts, step_s),
        preview=preview_of(reader, subject.scope, exclusions, hours, (n_used, n_available)),
    )


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


@dataclass(frozen=True)
class DatasetModel:
    """A model of a dataset, with the latest time from which it was champion of a lineage."""

    model_id: int
    version: int
    scope_entity_id: int
    artifact_uri: str
    sha256: str
    pruned_at: datetime | None
    valid_from: datetime | None


SELECT_MODELS = Query("reporting/select_models", DatasetModel)


@dataclass(frozen=True)
class EvaluationSummary:
    """Where the report is, and its first sentence; whether its PDF was there before."""

    pdf: str
    json: str
    n_pages: int
    finding: str
    seconds: float
    replaced: bool = False


def evaluate_model(
    store: Store,
    config: DatasetConfig,
    subject: Subject,
    *,
    folder: Folder,
    until_at: datetime,
    seed: int,
    pdf: Folder | None = None,
    now: Callable[[], datetime] | None = None,
) -> tuple[EvaluationContent, EvaluationSummary]:
    """The report on a model as `evaluation.pdf` and `evaluation.json` in a folder.

    Parameters
    ----------
    until_at : readings up to then count; those after the training range are a part of their own.
    pdf : another place for the PDF.
    now : tells when the report was generated, by default by the warehouse's clock; nothing else
        depends on it.
    """
    began = time.monotonic()
    with store.snapshot():
        content = evaluation_content(
            store, config, subject, until_at=until_at, seed=seed, generated_at=(now or store.now)()
        )
    document, n_pages = evaluation_bytes(content, page_size=config.report.page_size)
    target = pdf or folder / "evaluation.pdf"
    for needed in {folder, target.parent}:
        make_folder(needed)
    was_there = target.exists()
    write_whole(target, document)
    figures = folder / "evaluation.json"
    write_whole(figures, json.dumps(evaluation_json(content), indent=2))
    seconds = round(time.monotonic() - began, 1)
    return content, EvaluationSummary(
        str(target), str(figures), n_pages, headline_text(content), seconds, was_there
    )


def evaluation_json(content: EvaluationContent) -> dict[str, Any]:
    """The figures of a report, as JSON."""
    parts = [
        {"name": part.name, "start_at": part.start_at.isoformat()}
        | {"end_at": part.end_at.isoformat()}
        | part.figures.to_json()
        | {"by_kind": {kind: {"n_found": found, "n": n} for kind, found, n in part.by_kind}}
        for part in content.parts
    ]
    names = ("version", "detector", "n_parameters", "sha256", "seed")
    return {
        "dataset": content.dataset,
        "model": {name: getattr(content.model, name) for name in names},
        "evidence": content.evidence,
        "n_entities": content.n_entities,
        "finding": headline_text(content),
        "parts": parts,
    }


def evaluate_run(run: Retraining) -> dict[str, Any]:
    """Task `evaluate` of a retraining: a report on each challenger, kept beside the bundles."""
    run, findings = with_chosen_window(run), {}
    for scope, folder in run.scopes():
        found, span = challenger_of(folder), run.of(scope).span
        subject = Subject(
            spec=found.spec,
            detector=found.judged,
            card=found.bundle.card,
            version="challenger",
            sha256=found.bundle.sha256,
            scope=scope,
            span=span,
            first_at=span.split_at if found.judged.folds else span.start_at,
        )
        name = f"{run.span.end_at:%Y-%m-%dT%H}_{subject.sha256[:8]}"
        kept = run.artifacts / "evaluations" / run.config.dataset / name
        end_at, seed = run.span.end_at, run.chosen_seed
        _, summary = evaluate_model(
            run.store, run.config, subject, folder=kept, until_at=end_at, seed=seed
        )
        findings[scope.name] = {"pdf": summary.pdf, "finding": summary.finding}
    return {"reports": findings}


def registered_subject(
    store: Store,
    config: DatasetConfig,
    *,
    version: int | None = None,
    entity: str | None = None,
    lineage: str = Lineage.LIVE,
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
        ids = select_entities(store, dataset.dataset_id)
        if entity is not None and entity not in ids:
            known = ", ".join(sorted(ids)[:8])
            raise BadInput(f"Expected an entity of {config.dataset} ({known}). Received: {entity}.")
        rows = store.rows(SELECT_MODELS, dataset_id=dataset.dataset_id, lineage=lineage)
        scopes = {scope.entity_id: scope for scope in training_scopes(store, config)}
    row = _chosen(config, rows, version, None if entity is None else ids[entity])
    check_bundle(config, row.version, row.pruned_at)
    scope = scopes.get(row.scope_entity_id)
    if scope is None:
        # As it was when the model was trained, whatever the dataset file says now.
        own = [pair for pair in ids.items() if row.scope_entity_id in (0, pair[1])]
        name = own[0][0] if row.scope_entity_id else "all"
        scope = Scope(row.scope_entity_id, name, tuple(sorted(own)))
    bundle = read_bundle(artifact_path(row.artifact_uri), expected_sha256=row.sha256)
    span = span_of_card(bundle.card)
    return Subject(
        spec=ModelSpec.from_json(bundle.spec),
        detector=bundle.detector,
        card=bundle.card,
        version=f"v{row.version}",
        sha256=row.sha256,
        scope=scope,
        span=span,
        first_at=span.end_at if bundle.detector.folds else span.start_at,
    )


def _chosen(
    config: DatasetConfig, rows: Sequence[DatasetModel], version: int | None, entity_id: int | None
) -> DatasetModel:
    """The row of a version, else of the latest champion, of one entity where one is named."""
    if version is None:
        wanted, received = f"a champion of {config.dataset}", f"none of {len(rows)} models"
        scopes = {row.scope_entity_id for row in rows} if entity_id is None else {0, entity_id}
        began = {row: row.valid_from for row in rows if row.scope_entity_id in scopes}
        champions = {row: at for row, at in began.items() if at is not None}
        chosen = max(champions, key=champions.__getitem__, default=None)
    else:
        known = ", ".join(f"v{row.version}" for row in rows[:8]) or "none"
        wanted, received = f"a model of {config.dataset} ({known})", f"v{version}"
        chosen = next((row for row in rows if row.version == version), None)
    if chosen is None:
        raise BadInput(
            f"Expected {wanted}. Received: {received}. Train one: tsad retrain {config.dataset} "
            "--end <end of its readings>"
        )
    return chosen


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
    """Up to when readings count: as asked, else the newest, at most 30 days after the training."""
    with store.transaction():
        newest = end_at or newest_end(store, config)
    limit = subject.span.end_at + MAX_SINCE
    return whole_hours(newest, max(min(newest, limit), subject.span.end_at))[1]
