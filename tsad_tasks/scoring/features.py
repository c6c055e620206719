"""Task `features`: plans what must be scored, and turns readings into the detector's inputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.enums import HourStatus, Lineage, Signal
from tsad_tasks.base.errors import BundleError
from tsad_tasks.base.interval import Interval, from_unix_s, hours_between, hours_later, unix_s
from tsad_tasks.base.places import Folder
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.bundle import Bundle, read_bundle
from tsad_tasks.model.experience import KNOWN
from tsad_tasks.model.noise import ChannelNoise, noise_growth
from tsad_tasks.model.scoring import entity_features
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.scoring import queries
from tsad_tasks.scoring.fitted import with_fitted
from tsad_tasks.scoring.partial import without_partial
from tsad_tasks.scoring.plan import (
    Job,
    Plan,
    ScoredHour,
    entities_with_life,
    plan_interval,
    scored_lineages,
)
from tsad_tasks.scoring.queries import Champion
from tsad_tasks.scoring.reach import Seen, anchor_at, window_hours, window_reach
from tsad_tasks.scoring.shard import FeatureShard, FoldStarts, entity_shards
from tsad_tasks.storage import datasets
from tsad_tasks.storage.artifacts import artifact_path
from tsad_tasks.storage.datasets import DatasetRow, lock_champions
from tsad_tasks.storage.folds import READ_FOLD_DIGESTS, read_fold_states
from tsad_tasks.storage.readings import read_blocks, read_checksums, read_counts
from tsad_tasks.storage.scores import (
    READ_WINDOW_DIGESTS,
    SUPERSEDE_OTHER_MARKS,
    SUPERSEDE_SILENT_SCORES,
    read_digests,
    write_unscored_hours,
)
from tsad_tasks.storage.store import Store


@dataclass(frozen=True)
class FeatureSummary:
    """What the task made: one file per job and shard, and what it found nothing to do for."""

    shards: list[list[str]] = field(default_factory=list)
    n_hours: int = 0
    n_current: int = 0
    n_no_champion: int = 0
    n_failed: int = 0
    n_not_ingested: int = 0
    n_bytes: int = 0

    @property
    def all_failed(self) -> bool:
        """Whether there was something to score, and no model that could be used."""
        return bool(self.n_failed) and not any(self.shards) and not self.n_current

    def __add__(self, other: FeatureSummary) -> FeatureSummary:
        nothing: list[str] = []
        paired = zip_longest(self.shards, other.shards, fillvalue=nothing)
        sums = (a + b for a, b in zip(self._counts, other._counts, strict=True))
        return FeatureSummary([[*own, *its] for own, its in paired], *sums)

    @property
    def _counts(self) -> tuple[int, ...]:
        return astuple(self)[1:]


def build_features(
    store: Store,
    config: DatasetConfig,
    *,
    start_at: datetime,
    end_at: datetime,
    folder: Folder,
    lineage: str = Lineage.LIVE,
    n_shards: int = 1,
) -> FeatureSummary:
    """Feature files of all jobs of [start_at, end_at), in `folder`."""
    dataset = datasets.select_dataset(store, config.dataset)
    span = Interval(start_at, end_at)
    # Those that a challenger with a longer reach still sees are of one of the shards, too.
    living = [
        entities_with_life(store, config, dataset, span, name)
        for name in scored_lineages(store, dataset.dataset_id, lineage, span)
    ]
    names = sorted({name for each in living for name in each})
    paths, plans, n_failed = [], [], 0
    for number, part in enumerate(entity_shards(names, n_shards)):
        shards, made, n_bad = planned_shards(store, config, dataset, span, lineage, part)
        files = [folder / f"features_{number}_{place}.npz" for place in range(len(shards))]
        for shard, path in zip(shards, files, strict=True):
            shard.save(path)
        paths.append([str(path) for path in files])
        plans += made
        n_failed += n_bad
    return FeatureSummary(
        shards=paths if names else [],
        n_hours=sum(int(job.targets.sum()) for plan in plans for job in plan.jobs),
        n_current=sum(plan.n_current for plan in plans),
        n_no_champion=sum(len(plan.unchampioned) for plan in plans),
        n_failed=n_failed,
        n_not_ingested=max((plan.n_not_ingested for plan in plans), default=0),
        n_bytes=sum(artifact_path(path).stat().st_size for part in paths for path in part),
    )


def planned_shards(
    store: Store,
    config: DatasetConfig,
    dataset: DatasetRow,
    span: Interval,
    lineage: str,
    entity_names: Sequence[str] | None = None,
) -> tuple[list[FeatureShard], list[Plan], int]:
    """Features of all jobs of champions and their shadows, and how many jobs' bundles failed."""
    shards, plans, n_failed = [], [], 0
    with store.transaction():
        lock_champions(store, dataset.dataset_id)
        for name in scored_lineages(store, dataset.dataset_id, lineage, span):
            plan = plan_interval(store, config, dataset, span, name, entity_names)
            ids, hours = [key for key, _ in plan.unchampioned], [at for _, at in plan.unchampioned]
            statuses = [HourStatus.NO_CHAMPION] * len(ids)
            why = "No model was champion at this hour."
            write_unscored_hours(store, name, ids, hours, statuses, why)
            close_other_marks(store, dataset.dataset_id, name, plan)
            note_asked(store, plan.asked)
            plans.append(plan)
        close_emptied(store, dataset.dataset_id, [one for plan in plans for one in plan.emptied])
        for job in (job for plan in plans for job in plan.jobs):
            try:
                spec, _ = load_model(job.champion)
            except BundleError as error:
                mark_failed(store, job, str(error))
                n_failed += 1
            else:
                if said := other_signals(spec, config):
                    mark_failed(store, job, said)
                    n_failed += 1
                    continue
                shards.append(features_of_job(store, dataset, job, spec))
    return shards, plans, n_failed


def other_signals(spec: ModelSpec, config: DatasetConfig) -> str:
    """What to say of a model whose channels were something else when it was trained: their values
    mean nothing to it; empty where they are what they were.
    """
    signals = {name: one.signal.value for name, one in config.channels.items()}
    units = dict(zip(config.model_names, config.signal_units, strict=False))
    changed = spec.features.changes(signals, units)
    if not changed:
        return ""
    return (
        "Expected a model of channels as the dataset file says them. Received: one from before "
        f"they changed ({', '.join(changed)}). Train again: run the DAG {config.dataset}.retrain"
    )


def close_other_marks(store: Store, dataset_id: int, lineage: str, plan: Plan) -> None:
    """Takes back that hours have no score where they have one, or the entity is silent."""
    if plan.hours:
        ids, hours = plan.open_hours
        kept = {"entity_id": ids, "hour_at": hours, "others": list(plan.others)}
        of = {"dataset_id": dataset_id, "lineage": lineage, "hours": list(plan.hours)}
        store.execute(SUPERSEDE_OTHER_MARKS, **of, **kept, decided_at=store.now())


def close_emptied(store: Store, dataset_id: int, emptied: Sequence[ScoredHour]) -> None:
    """Takes back scores of hours whose windows see no readings any more: an entity's zeros, say,
    after it was said that it had been gone by then. There is nothing to say of such an hour.
    """
    hours = sorted({one.hour_at for one in emptied})
    if not hours:
        return
    first_at = hours_later(hours[0], -max(one.back_hours for one in emptied))
    seen = [at for at in hours_between(first_at, hours_later(hours[-1], 1)) if at not in hours]
    datasets.lock_hours(store, dataset_id, hours, seen=seen)
    ids = sorted({one.entity_id for one in emptied})
    checksums = read_checksums(store, ids, first_at, hours_later(hours[-1], 1))
    # Rows may have come until the locks were there.
    rows = [
        (one.model_id, one.entity_id, one.hour_at)
        for one in emptied
        for end in [(unix_s(one.hour_at) - unix_s(first_at)) // 3600 + 1]
        if not checksums[ids.index(one.entity_id), end - 1 - one.back_hours : end].any()
    ]
    if rows:
        models, whose, gone = (list(column) for column in zip(*rows, strict=True))
        of = {"model_id": models, "entity_id": whose, "hour_at": gone}
        store.execute(SUPERSEDE_SILENT_SCORES, **of, decided_at=store.now())


def note_asked(store: Store, asked: Sequence[tuple[int, datetime]]) -> None:
    """Notes which hours models are asked to score: rows that come for them later count too."""
    if asked:
        models, hours = zip(*asked, strict=True)
        store.execute(queries.INSERT_SCORE_HOURS, model_id=[*models], hour_at=[*hours])


def mark_failed(store: Store, job: Job, message: str) -> None:
    """Gives the job's hours the status of a model that could not be used."""
    ids, hours = job.target_hours()
    write_unscored_hours(store, job.lineage, ids, hours, [HourStatus.FAILED] * len(ids), message)


def load_model(champion: Champion) -> tuple[ModelSpec, Bundle]:
    """Spec and bundle of a champion, checked against the registered sha256."""
    bundle = read_bundle(artifact_path(champion.artifact_uri), expected_sha256=champion.sha256)
    return ModelSpec.from_json(bundle.spec), bundle


def features_of_job(store: Store, dataset: DatasetRow, job: Job, spec: ModelSpec) -> FeatureShard:
    """The job's features over the hours whose errors it needs, and what these look back to."""
    # Thresholds look back so far, those of a folding model to its anchor.
    errors_at = min(anchor_at(job.champion), job.first_at)
    if not job.champion.folds:
        n_back = spec.score_reach_hours - spec.features.reach_hours
        errors_at = max(errors_at, hours_later(job.first_at, -n_back))
    # Digests first: readings that change before they are read themselves then do not fit them.
    reach = window_reach(job.champion, spec)
    span = errors_at, job.end_at
    back_hours = window_hours(job.champion)
    known, is_alive = reach.of_blocks(store, job.entity_ids, *span, job.fitted, back_hours)
    current = job.salted(known, errors_at)
    seen = Seen(current, is_alive)
    wanted = _wanted(store, job, errors_at, seen)
    made = _shard(store, dataset, job, spec, errors_at, wanted, current)
    looked_back = _looked_back(made, spec, seen) & ~wanted
    if not looked_back.any():
        return made
    again = wanted | looked_back
    made = _shard(store, dataset, job, spec, errors_at, again, current)
    return replace(made, looked_back=looked_back)


def _looked_back(shard: FeatureShard, spec: ModelSpec, seen: Seen) -> NDArray[np.bool_]:
    """bool (n_entities, n_hours), hours before targets under conditions that are beyond training
    and known by now: there errors of channels count, and what is stored is the one that they make.
    """
    per_hour, job = 3600 // spec.features.step_s, shard.job
    n_hours = job.targets.shape[1]
    known = np.zeros(job.targets.shape, np.bool_)
    # Features begin where an hour is wanted, which may be after the first target.
    read = shard.features.farthest[:, -n_hours * per_hour :] == KNOWN
    read = read.reshape(len(read), -1, per_hour).any(axis=2)
    known[:, n_hours - read.shape[1] :] = read & job.targets[:, n_hours - read.shape[1] :]
    found, n_all = np.zeros_like(shard.wanted), shard.wanted.shape[1]
    n_most = math.ceil(spec.features.learned_steps / per_hour)
    for n_back in range(1, min(n_most, n_all - 1) + 1):
        end = n_all - n_back
        first = max(end - n_hours, 0)
        found[:, first:end] |= known[:, n_hours - (end - first) :]
    found &= (seen.digests != 0) & seen.is_alive
    return found & job.scoped(shard.errors_at, n_all)


def _shard(
    store: Store,
    dataset: DatasetRow,
    job: Job,
    spec: ModelSpec,
    errors_at: datetime,
    wanted: NDArray[np.bool_],
    current: NDArray[np.int64],
) -> FeatureShard:
    """The job's features over the hours that are wanted and what they look back to; see
    `FeatureShard`.
    """
    reach = window_reach(job.champion, spec)
    first_hour, folds = int(np.argmax(wanted.any(axis=0))), None
    if job.champion.folds:
        folds = fold_starts(store, job, errors_at, wanted, current)
        first_hour = int(folds.hours.min())
    # Where windows are of one hour, the one before still tells a gap from silence.
    back_hours = max(spec.features.reach_hours, 1)
    values_at = hours_later(errors_at, first_hour - back_hours)
    layout = datasets.select_layouts(store, dataset.dataset_id)[0]
    columns = [layout.channel_names.index(name) for name in spec.features.channels]
    blocks = read_blocks(store, layout, job.entity_ids, values_at, job.end_at)
    values = blocks.values[:, :, columns]
    judged = values
    if Signal.COUNTER in spec.features.signals:
        of_features = spec.features.channels, spec.features.step_s
        judged = without_partial(store, *of_features, job.entity_ids, values, values_at)
    features = entity_features(spec.features, job.scalers(spec), judged, unix_s(values_at))
    fitted_from = np.maximum(features.fitted_from, job.fitted_from(spec.features, values_at))
    features = replace(features, fitted_from=fitted_from)
    seen = current
    if folds is None:
        # Of what was read just now, in case it has changed since.
        checksums = with_fitted(blocks.checksums, job.fitted, unix_s(values_at))
        found = reach.digests(checksums, values_at)[:, back_hours:]
        seen = np.zeros(wanted.shape, np.int64)
        seen[:, wanted.shape[1] - found.shape[1] :] = found
        seen = job.salted(seen, errors_at)
    growth = _growth(store, layout, job, values_at, columns, spec)
    return FeatureShard(job, values_at, errors_at, values, wanted, seen, features, folds, growth)


def _growth(
    store: Store,
    layout: datasets.Layout,
    job: Job,
    values_at: datetime,
    columns: Sequence[int],
    spec: ModelSpec,
) -> NDArray[np.float32] | None:
    """The growth of errors, see `FeatureShard`, by how the model's errors follow noise."""
    if not spec.noise:
        return None
    nothing = ChannelNoise((0.0,) * len(columns), (0.0,) * len(columns))
    noise = [spec.noise.get(name, nothing) for name, _ in job.entities]
    learned, shares = (
        np.array([getattr(one, part) for one in noise]) for part in ("readings", "shares")
    )
    found = read_counts(store, layout, job.entity_ids, values_at, job.end_at)
    known = np.repeat(found.known, layout.n_steps, axis=1)
    counts = found.counts[:, :, columns]
    how = spec.features.width, spec.noise_power
    growth = noise_growth(counts, known, learned, shares, *how)
    return growth if (growth > 1).any() else None


def _wanted(store: Store, job: Job, errors_at: datetime, seen: Seen) -> NDArray[np.bool_]:
    """bool (n_entities, n_hours): targets, and look-back hours without valid stored errors."""
    of = job.champion.model_id, job.entity_ids, errors_at, job.end_at
    stored, digests_then = read_digests(store, READ_WINDOW_DIGESTS, *of)
    is_known = stored & (digests_then == seen.digests)
    wanted: NDArray[np.bool_] = ~is_known & (seen.digests != 0) & seen.is_alive
    wanted &= np.logical_or.reduce(job.targets, axis=1)[:, None]
    wanted &= job.scoped(errors_at, wanted.shape[1])
    wanted[:, -job.targets.shape[1] :] |= job.targets
    return wanted


def fold_starts(
    store: Store,
    job: Job,
    errors_at: datetime,
    wanted: NDArray[np.bool_],
    current: NDArray[np.int64],
) -> FoldStarts:
    """Each entity's start: after the last state remembered before what is wanted, or the anchor."""
    n_hours = wanted.shape[1]
    first = np.where(wanted.any(axis=1), wanted.argmax(axis=1), n_hours)
    model_id, ids = job.champion.model_id, job.entity_ids
    of = model_id, ids, errors_at, job.end_at
    remembered, digests = read_digests(store, READ_FOLD_DIGESTS, *of)
    hours = np.arange(n_hours)
    usable = remembered & (digests == current) & job.scoped(errors_at, n_hours)
    usable &= (hours < first[:, None]) & (first < n_hours)[:, None]
    after = np.where(usable, hours + 1, 0).max(axis=1)
    known = [(key, int(hour)) for key, hour in zip(ids, after, strict=True) if hour]
    ends = [from_unix_s(unix_s(errors_at) + 3600 * (hour - 1)) for _, hour in known]
    states = read_fold_states(store, model_id, [key for key, _ in known], ends)
    starts = np.where(first < n_hours, after, n_hours)
    return FoldStarts(starts, tuple(states.get(key, b"") for key in ids))
