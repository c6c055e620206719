"""What a training would learn from: of the warehouse, or of a retraining's files; reads only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime

import numpy as np

from tsad_tasks.base.arrays import Floats64
from tsad_tasks.base.enums import Lineage
from tsad_tasks.base.interval import from_unix_s, unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.bundle import read_bundle
from tsad_tasks.model.features import Scaler
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.reporting.exploration import content, statistics
from tsad_tasks.reporting.exploration.explore import MAX_ENTITIES
from tsad_tasks.storage.artifacts import artifact_path
from tsad_tasks.storage.datasets import select_dataset
from tsad_tasks.storage.store import Store
from tsad_tasks.training.exclusions import LeftOut, counted, exclusions_of, extreme_values, left_out
from tsad_tasks.training.kept import prepare_training
from tsad_tasks.training.queries import SELECT_CHAMPION_AT, Exclusion
from tsad_tasks.training.reader import (
    Scope,
    TrainingRange,
    TrainingReader,
    evenly,
    feature_spec_of,
    training_range,
    training_scopes,
)
from tsad_tasks.training.retrain import Retraining
from tsad_tasks.training.survey import Scales, Survey, scales_of, surveyed
from tsad_tasks.training.youth import Share, ages_s, config_of_share, length_s

MAX_JUMPS = 5


def training_preview(
    store: Store, config: DatasetConfig, end_at: datetime, lineage: str = Lineage.LIVE
) -> content.TrainingPreview:
    """What a training of a lineage that ends at `end_at` would learn from, all entities together.

    Raises
    ------
    NothingToDo
        When the dataset has no entity yet.
    BadInput
        When there are too few running hours to train.
    """
    with store.transaction():
        scopes = training_scopes(store, config)
        scope = Scope(0, "all", tuple(pair for scope in scopes for pair in scope.entities))
        length = length_s(config, ages_s(store, config, [scope], end_at)[0], end_at)
        config = config_of_share(config, Share(length or config.training.range_s))
        span = training_range(config, end_at)
        exclusions = exclusions_of(store, config, scope, span, lineage)
        reader = TrainingReader.of_store(store, config, span, exclusions)
        survey = surveyed(reader, scope)
        scales = scales_of(config, span, survey)
        prepared = prepare_training(reader, scope, scales)
        if not reader.folds:
            exclusions = [*exclusions, *extreme_values(prepared.n_extreme.tolist(), scope, span)]
        counts = len(prepared.ends), prepared.n_available
        lost = survey.left_out.with_extremes(exclusions)
        preview = preview_of(reader, scope, exclusions, scales.running_hours, counts, lost)
        return replace(preview, jumps=jumps(store, config, span, scales.own, lineage))


def prepared_preview(run: Retraining) -> content.TrainingPreview:
    """The same of a retraining whose windows are made: from its files."""
    entities: set[tuple[str, int]] = set()
    exclusions: list[Exclusion] = []
    hours: dict[str, float] = {}
    own: dict[str, Scaler] = {}
    lost, n_windows, n_available = LeftOut(0, 0, {}), 0, 0
    scopes = [*run.scopes()]
    # The widest range, where scopes have some of their own.
    longest = max((run.share(scope).range_s for scope, _ in scopes), default=0)
    run = run.with_share(Share(longest)) if longest else run
    for scope, folder in scopes:
        survey, scales = folder.read("survey", Survey), folder.read("scales", Scales)
        exclusions += survey.exclusions
        with folder.kept(run.config) as (kept, _, _):
            n_windows, n_available = n_windows + kept.n_windows, n_available + kept.n_available
            if kept.n_extreme:
                exclusions += extreme_values(kept.n_extreme, scope, run.of(scope).span)
        lost += survey.left_out
        hours |= scales.running_hours
        own |= scales.own
        entities |= set(scope.entities)
    everybody = Scope(0, "all", tuple(sorted(entities)))
    reader = TrainingReader.of_store(run.store, run.config, run.span, exclusions)
    lost, counts = lost.with_extremes(exclusions), (n_windows, n_available)
    preview = preview_of(reader, everybody, exclusions, hours, counts, lost)
    return replace(preview, jumps=jumps(run.store, run.config, run.span, own, run.lineage))


def jumps(
    store: Store,
    config: DatasetConfig,
    span: TrainingRange,
    own: Mapping[str, Scaler],
    lineage: str,
) -> tuple[content.Jump, ...]:
    """The channels that moved most since the champion was trained, by each entity's own scale."""
    dataset_id = select_dataset(store, config.dataset).dataset_id
    moved: list[content.Jump] = []
    for scope in training_scopes(store, config):
        asked = {"dataset_id": dataset_id, "lineage": lineage, "at": span.end_at}
        champion = store.first(SELECT_CHAMPION_AT, scope_entity_id=scope.entity_id, **asked)
        if champion is None:
            continue
        bundle = read_bundle(artifact_path(champion.artifact_uri), expected_sha256=champion.sha256)
        former = ModelSpec.from_json(bundle.spec)
        for name in [name for name, _ in scope.entities if name in former.scalers and name in own]:
            # By how much a channel moved that never had is a number in its unit alone.
            scales = (scale or math.nan for scale in former.scalers[name].scale)
            old = zip(former.scalers[name].center, scales, strict=True)
            before = dict(zip(former.features.channels, old, strict=True))
            for channel, now in zip(config.model_names, own[name].center, strict=True):
                center, scale = before.get(channel, (math.nan, math.nan))
                moved.append(content.Jump(name, channel, center, now, (now - center) / scale))
    known = [jump for jump in moved if math.isfinite(jump.shift)]
    return tuple(sorted(known, key=lambda jump: -abs(jump.shift))[:MAX_JUMPS])


def preview_of(
    reader: TrainingReader,
    scope: Scope,
    exclusions: Sequence[Exclusion],
    running_hours: Mapping[str, float],
    n_windows: tuple[int, int],
    lost: LeftOut | None = None,
) -> content.TrainingPreview:
    """A training range for a person to look at.

    `n_windows` are those used and those there are; how much is left out (`lost`) is read if None.
    """
    config, span = reader.config, reader.span
    names = {key: name for name, key in scope.entities}
    excluded = []
    for one in exclusions:
        rest = (one.start_at, one.end_at, one.reason, one.n_steps)
        excluded.append(content.ExcludedRange(names[one.entity_id], *rest))
    out = [reader.excluded(key, span.whole) for _, key in scope.entities]
    lost = lost or left_out(reader, scope, counted(exclusions, config))
    chosen = [scope.entities[i] for i in evenly(np.arange(len(scope.entities)), MAX_ENTITIES)]
    # What is learned from and what is held out, NaN where a training leaves it out.
    sides = []
    for ends in (span.whole._replace(end_at=span.split_at), span.held_out):
        read = [reader.clean(key, ends) for _, key in chosen]
        rows = [np.where(usable[:, None], values, np.nan) for values, usable in read]
        sides.append(np.stack(rows))
    entities = [name for name, _ in chosen]
    channels = [
        _channel_preview(reader, entities, channel, *(side[:, :, channel] for side in sides))
        for channel in range(len(config.model_names))
    ]
    return content.TrainingPreview(
        **asdict(span),
        n_windows=n_windows[0],
        n_available=n_windows[1],
        window=feature_spec_of(config).width,
        excluded=tuple(excluded),
        excluded_share=float(np.mean(out)),
        running_hours=tuple(sorted(running_hours.items(), key=lambda pair: pair[1])),
        n_entities=len(scope.entities),
        hours_possible=(unix_s(span.split_at) - unix_s(span.start_at)) / 3600,
        channels=tuple(channels),
        n_readings=lost.n_running - lost.n_excluded,
        left_out_share=lost.share,
        left_out=lost.ranking(),
        stops=lost.doubtful_share > config.training.max_excluded_share,
    )


def _channel_preview(
    reader: TrainingReader,
    entities: Sequence[str],
    channel: int,
    learned: Floats64,
    held_out: Floats64,
) -> content.ChannelPreview:
    """One channel of both sides, (n_entities, n_steps) each."""
    name, known = reader.config.model_names[channel], np.isfinite(learned)
    # The reading farthest from its entity's median; the first one where nothing is known.
    medians = [
        np.median(row[of]) if of.any() else 0.0 for row, of in zip(learned, known, strict=True)
    ]
    distances = np.where(known, np.abs(learned - np.array(medians)[:, None]), -1.0)
    entity, step = divmod(int(np.argmax(distances)), learned.shape[1])
    at = from_unix_s(unix_s(reader.span.start_at) + step * reader.config.step_s)
    shown = statistics.histogram(learned)
    return content.ChannelPreview(
        name=name,
        unit=reader.config.unit_of(name),
        learned=shown,
        held_out=statistics.histogram(held_out, edges=shown.edges),
        distance=statistics.distance_of_distributions(learned.ravel(), held_out.ravel()),
        n_extreme=sum(int(statistics.extreme(row).sum()) for row in learned),
        median=float(np.median(learned[known])) if known.any() else math.nan,
        worst=float(learned[entity, step]),
        worst_entity=entities[entity],
        worst_at=at if known.any() else None,
    )
