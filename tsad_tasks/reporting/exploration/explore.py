"""What the readings of a dataset look like, and what a training would learn; reads only."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from upath import UPath

from tsad_tasks.base.enums import Lineage
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import day_chunks, from_unix_s, hour_ceil, unix_s, whole_hours
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.base import make_folder
from tsad_tasks.detectors.bundle import read_bundle
from tsad_tasks.ingest.accepted_rows import accepted_rows
from tsad_tasks.ingest.queries import SELECT_LABELS, SELECT_LEDGER_ENDS
from tsad_tasks.ingest.sources.base import open_source
from tsad_tasks.ingest.tally import Tally
from tsad_tasks.model.evaluation import runs
from tsad_tasks.model.features import Scaler
from tsad_tasks.model.periods import autocorrelation, dominant_period, varies
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.reporting.drawing.document import write_whole
from tsad_tasks.reporting.drawing.thinning import thinned
from tsad_tasks.reporting.exploration.content import (
    ChannelPreview,
    ChannelView,
    ExcludedRange,
    ExplorationContent,
    Jump,
    KeySeries,
    LabelRange,
    TrainingPreview,
)
from tsad_tasks.reporting.exploration.pages import exploration_bytes
from tsad_tasks.reporting.exploration.statistics import (
    channel_summary,
    correlations,
    distance_of_distributions,
    extreme,
    histogram,
    missing_shares,
)
from tsad_tasks.scoring.queries import SELECT_FLAGS, SELECT_LATEST_SCORED_HOUR
from tsad_tasks.storage.artifacts import place
from tsad_tasks.storage.datasets import select_dataset, select_entities, select_layouts
from tsad_tasks.storage.readings import read_blocks
from tsad_tasks.storage.store import Store
from tsad_tasks.training.exclusions import (
    LeftOut,
    counted,
    exclusions_of,
    extreme_values,
    left_out,
)
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
from tsad_tasks.training.survey import scales_of, surveyed

Number = TypeVar("Number", bound=np.generic)

MAX_ENTITIES = 24
MAX_SERIES = 6
MAX_JUMPS = 5
FAR_AWAY = datetime(2200, 1, 1, tzinfo=UTC)
MAX_LAG_S = 8 * 86400
SERIES_POINTS = 1000


@dataclass(frozen=True, eq=False)
class Explored:
    """Readings of some entities on one grid.

    Attributes
    ----------
    values : float64 (n_entities, n_steps, n_channels), NaN where nothing was read.
    labelled : bool (n_entities, n_steps)
    labels : the same as ranges.
    flag_times_s : Unix seconds of the champions' flags, all entities; None where nothing was
        scored.
    """

    entities: tuple[str, ...]
    n_all_entities: int
    start_at: datetime
    end_at: datetime
    step_s: int
    values: NDArray[np.float64]
    labelled: NDArray[np.bool_]
    labels: tuple[LabelRange, ...]
    flag_times_s: NDArray[np.int64] | None
    from_source: bool

    @property
    def times_s(self) -> NDArray[np.int64]:
        """Unix seconds of the steps."""
        return unix_s(self.start_at) + np.arange(self.values.shape[1], dtype=np.int64) * self.step_s


def explored_range(
    store: Store, config: DatasetConfig, start_at: datetime | None, end_at: datetime | None
) -> tuple[datetime, datetime]:
    """Whole hours to explore: as asked, else the training range before the newest reading.

    Raises
    ------
    BadInput
        When nothing was ingested yet, or the range is empty.
    """
    with store.transaction():
        end = end_at or newest_end(store, config)
    start = start_at or end - timedelta(seconds=config.training.range_s)
    if start >= end:
        raise BadInput(f"Expected a range that starts before its end. Received: {start} to {end}.")
    return whole_hours(start, end)


def newest_end(store: Store, config: DatasetConfig) -> datetime:
    dataset = select_dataset(store, config.dataset)
    _, newest_at = store.one(SELECT_LEDGER_ENDS, dataset_id=dataset.dataset_id, before_at=FAR_AWAY)
    if newest_at is None:
        raise BadInput(
            f"Expected readings of {config.dataset}. Received: none yet. Run: tsad ingest "
            f"{config.dataset}"
        )
    return hour_ceil(newest_at + timedelta(seconds=1))


def warehouse_readings(
    store: Store,
    config: DatasetConfig,
    start_at: datetime,
    end_at: datetime,
    entity: str | None = None,
) -> Explored:
    """Readings, labels and flags of [start_at, end_at), whole hours, as the warehouse has them.

    Raises
    ------
    BadInput
        When the dataset was never ingested, or has no such entity.
    """
    with store.snapshot():
        dataset = select_dataset(store, config.dataset)
        known = select_entities(store, dataset.dataset_id)
        names = _chosen(sorted(known), entity)
        layout = select_layouts(store, dataset.dataset_id)[0]
        columns = [layout.channel_names.index(name) for name in config.channel_names]
        ids = [known[name] for name in names]
        blocks = read_blocks(store, layout, ids, start_at, end_at)
        labels = store.rows(
            SELECT_LABELS, dataset_id=dataset.dataset_id, start_at=start_at, end_at=end_at
        )
        flags = store.rows(
            SELECT_FLAGS, lineage=Lineage.LIVE, entity_ids=ids, start_at=start_at, end_at=end_at
        )
        is_scored = (
            store.one(
                SELECT_LATEST_SCORED_HOUR,
                dataset_id=dataset.dataset_id,
                scope_entity_id=0,
                lineage=Lineage.LIVE,
            )
            is not None
        )
    named = {key: name for name, key in known.items()}
    ranges = tuple(
        LabelRange(named[label.entity_id], label.start_at, label.end_at, label.kind)
        for label in labels
        if label.entity_id in ids
    )
    return Explored(
        entities=tuple(names),
        n_all_entities=len(known),
        start_at=start_at,
        end_at=end_at,
        step_s=layout.step_s,
        values=np.asarray(blocks.values[:, :, columns], np.float64),
        labelled=label_marks(names, ranges, start_at, blocks.values.shape[1], layout.step_s),
        labels=ranges,
        flag_times_s=np.array([unix_s(flag.at) for flag in flags], np.int64) if is_scored else None,
        from_source=False,
    )


def source_readings(
    config: DatasetConfig,
    source_uri: str,
    start_at: datetime,
    end_at: datetime,
    entity: str | None = None,
) -> Explored:
    """The same straight from the source table, for a dataset that was not ingested yet."""
    parts = []
    with open_source(source_uri, config) as source:
        for first_at, last_at in day_chunks(start_at, end_at):
            span_us = (unix_s(first_at) * 1_000_000, unix_s(last_at) * 1_000_000)
            read = source.read(*span_us)
            parts.append(accepted_rows(read, config, (), span_us, Tally()))
    every = sorted({name for part in parts for name in part.entity_names})
    names, step_s = _chosen(every, entity), config.source.step_s
    values, marks = [], []
    for part in parts:
        position = {name: i for i, name in enumerate(part.entity_names)}
        rows = [position.get(name, -1) for name in names]
        values.append(_rows(part.gridded.values, rows, np.nan))
        marks.append(_rows(part.labelled, rows, False))
    labelled = np.concatenate(marks, axis=1)
    return Explored(
        entities=tuple(names),
        n_all_entities=len(every),
        start_at=start_at,
        end_at=end_at,
        step_s=step_s,
        values=np.concatenate(values, axis=1),
        labelled=labelled,
        labels=tuple(
            LabelRange(
                name,
                start_at + timedelta(seconds=first * step_s),
                start_at + timedelta(seconds=end * step_s),
                "source",
            )
            for name, row in zip(names, labelled, strict=True)
            for first, end in runs(row).tolist()
        ),
        flag_times_s=None,
        from_source=True,
    )


def _chosen(names: Sequence[str], entity: str | None) -> list[str]:
    """The entity that was asked for, else at most 24, evenly over their names."""
    if entity is not None and entity in names:
        return [entity]
    if entity is not None or not names:
        known = ", ".join(names[:8]) + (" …" if len(names) > 8 else "") or "none"
        raise BadInput(
            f"Expected an entity with readings ({known}). Received: "
            f"{entity or 'no readings in this range'}."
        )
    return [names[i] for i in evenly(np.arange(len(names)), MAX_ENTITIES)]


def _rows(array: NDArray[Number], rows: Sequence[int], nothing: float) -> NDArray[Number]:
    """Rows of an array, -1 for one of nothing."""
    chosen = np.full((len(rows), *array.shape[1:]), nothing, array.dtype)
    for at, row in enumerate(rows):
        if row >= 0:
            chosen[at] = array[row]
    return chosen


def label_marks(
    names: Sequence[str],
    labels: Sequence[LabelRange],
    start_at: datetime,
    n_steps: int,
    step_s: int,
) -> NDArray[np.bool_]:
    """bool (n_entities, n_steps), which steps lie in a label."""
    marks, start_s = np.zeros((len(names), n_steps), bool), unix_s(start_at)
    for label in labels:
        if label.entity in names:
            ends = [-(-(unix_s(at) - start_s) // step_s) for at in (label.start_at, label.end_at)]
            marks[list(names).index(label.entity), max(ends[0], 0) : max(ends[1], 0)] = True
    return marks


def explored_content(
    config: DatasetConfig,
    found: Explored,
    *,
    generated_at: datetime,
    preview: TrainingPreview | None = None,
) -> ExplorationContent:
    """Everything that an exploration shows of these readings."""
    # The site's days: no zone changes within an hour, so hours are the unit.
    per_hour = 3600 // found.step_s
    hours = found.times_s[::per_hour].tolist()
    local = [from_unix_s(hour).astimezone(config.zone).date() for hour in hours]
    days = tuple(sorted(set(local)))
    position = {day: i for i, day in enumerate(days)}
    day_of = np.repeat(np.array([position[day] for day in local], np.int64), per_hour)
    n_steps = np.maximum(np.bincount(day_of, minlength=len(days)), 1)
    n_anomalies = None
    if found.flag_times_s is not None:
        steps = (found.flag_times_s - unix_s(found.start_at)) // found.step_s
        n_anomalies = np.bincount(day_of[steps], minlength=len(days)).astype(np.float64)
    # The median over entities, pair by pair, of those that know it.
    stacked = np.stack([correlations(part) for part in found.values])
    known = np.isfinite(stacked).any(axis=0)
    medians = np.nanmedian(np.where(known, stacked, 0.0), axis=0)
    channels = tuple(_channel_view(config, found, i) for i in range(len(config.channel_names)))
    return ExplorationContent(
        dataset=config.dataset,
        description=config.description.rstrip("."),
        zone=config.site_zone,
        generated_at=generated_at,
        start_at=found.start_at,
        end_at=found.end_at,
        step_s=found.step_s,
        entities=found.entities,
        n_all_entities=found.n_all_entities,
        from_source=found.from_source,
        channels=channels,
        correlations=np.where(known, medians, np.nan),
        days=days,
        missing=missing_shares(found.values, day_of),
        labels=found.labels,
        labelled_share=np.bincount(day_of, found.labelled.mean(axis=0), len(days)) / n_steps,
        n_anomalies=n_anomalies,
        series=_key_series(found, channels),
        preview=preview,
    )


def _channel_view(config: DatasetConfig, found: Explored, channel: int) -> ChannelView:
    name = config.channel_names[channel]
    values, marks = found.values[:, :, channel], found.labelled
    shown = histogram(values)
    lags = min(values.shape[1] // 2, MAX_LAG_S // found.step_s)
    unknown = np.full(lags + 1, np.nan)
    alike = np.stack([autocorrelation(row, lags) if varies(row) else unknown for row in values])
    n_known = np.isfinite(alike).sum(axis=0)
    mean = np.nansum(alike, axis=0) / np.maximum(n_known, 1)
    period = dominant_period(values.T, lags) if lags > 1 else None
    return ChannelView(
        name=name,
        unit=config.source.channels[name].unit or "",
        summary=channel_summary(values.ravel()),
        histogram=shown,
        labelled=histogram(values[marks], edges=shown.edges) if marks.any() else None,
        autocorrelation=np.where(n_known > 0, mean, np.nan),
        lag_s=float(found.step_s),
        period_s=None if period is None else float(period * found.step_s),
    )


def _key_series(found: Explored, channels: Sequence[ChannelView]) -> tuple[KeySeries, ...]:
    """The channels of the entity with the most labels, else readings: what to look at first."""
    n_readings = np.isfinite(found.values).sum(axis=(1, 2))
    entity = int(np.argmax(found.labelled.sum(axis=1) * 10**9 + n_readings))
    name, marks, times = found.entities[entity], found.labelled[entity], found.times_s
    series = []
    for i, view in enumerate(channels):
        if view.summary.n_known and not view.summary.is_constant:
            values, kept = found.values[entity, :, i], np.arange(len(times))
            if len(times) > SERIES_POINTS:
                kept = thinned(values, marks, max(2, 2 * -(-len(values) // SERIES_POINTS)))
            shown = times[kept].astype("datetime64[s]")
            series.append(KeySeries(name, view.name, view.unit, shown, values[kept]))
    return tuple(series[:MAX_SERIES])


def training_preview(
    store: Store, config: DatasetConfig, end_at: datetime, lineage: str = Lineage.LIVE
) -> TrainingPreview:
    """What a training of a lineage that ends at `end_at` would learn from, all entities together.

    Raises
    ------
    NothingToDo
        When the dataset has no entity yet.
    BadInput
        When there are too few running hours to train.
    """
    with store.transaction():
        span, scope = training_range(config, end_at), _whole_scope(store, config)
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


def prepared_preview(run: Retraining) -> TrainingPreview:
    """The same of a retraining whose windows are made: from its files."""
    names: dict[int, str] = {}
    exclusions: list[Exclusion] = []
    hours: dict[str, float] = {}
    own: dict[str, Scaler] = {}
    lost, n_windows, n_available = LeftOut(0, 0, {}), 0, 0
    for scope, folder in run.scopes():
        survey, scales = folder.survey(), folder.scales()
        with folder.kept(run.config) as (kept, _, _):
            counts = kept.n_windows, kept.n_available, kept.n_extreme
        n_windows, n_available = n_windows + counts[0], n_available + counts[1]
        exclusions += survey.exclusions
        if counts[2]:
            exclusions += extreme_values(counts[2], scope, run.span)
        lost += survey.left_out
        hours |= scales.running_hours
        own |= scales.own
        names |= {key: name for name, key in scope.entities}
    scope = Scope(0, "all", tuple(sorted((name, key) for key, name in names.items())))
    reader = TrainingReader.of_store(run.store, run.config, run.span, exclusions)
    lost = lost.with_extremes(exclusions)
    preview = preview_of(reader, scope, exclusions, hours, (n_windows, n_available), lost)
    return replace(preview, jumps=jumps(run.store, run.config, run.span, own, run.lineage))


def jumps(
    store: Store,
    config: DatasetConfig,
    span: TrainingRange,
    own: Mapping[str, Scaler],
    lineage: str,
) -> tuple[Jump, ...]:
    """The channels that moved most since the champion was trained, of entities with their own scale
    then and now.
    """
    dataset_id = select_dataset(store, config.dataset).dataset_id
    found: list[Jump] = []
    for scope in training_scopes(store, config):
        champion = store.first(
            SELECT_CHAMPION_AT,
            dataset_id=dataset_id,
            scope_entity_id=scope.entity_id,
            lineage=lineage,
            at=span.end_at,
        )
        if champion is not None:
            bundle = read_bundle(place(champion.artifact_uri), expected_sha256=champion.sha256)
            former = ModelSpec.from_json(bundle.spec)
            both = [name for name, _ in scope.entities if name in former.scalers and name in own]
            found += [
                jump
                for name in both
                for jump in _jumps_of(name, config.channel_names, former, own[name])
            ]
    return tuple(sorted(found, key=lambda jump: -abs(jump.shift))[:MAX_JUMPS])


def _jumps_of(
    entity: str, channel_names: Sequence[str], former: ModelSpec, scaler: Scaler
) -> Iterator[Jump]:
    old = former.scalers[entity]
    for channel, now in zip(channel_names, scaler.center, strict=True):
        if channel in former.features.channels:
            position = former.features.channels.index(channel)
            before, scale = old.center[position], old.scale[position]
            shift = (now - before) / scale
            if math.isfinite(shift):
                yield Jump(entity, channel, before, now, shift)


def _whole_scope(store: Store, config: DatasetConfig) -> Scope:
    scopes = training_scopes(store, config)
    return Scope(0, "all", tuple(pair for scope in scopes for pair in scope.entities))


def preview_of(
    reader: TrainingReader,
    scope: Scope,
    exclusions: Sequence[Exclusion],
    running_hours: Mapping[str, float],
    n_windows: tuple[int, int],
    lost: LeftOut | None = None,
) -> TrainingPreview:
    """A training range for a person to look at; `n_windows` are those learned from, and those that
    there are.

    Parameters
    ----------
    lost : how much is left out; None: that is read.
    """
    config, span = reader.config, reader.span
    names = {key: name for name, key in scope.entities}
    excluded = tuple(
        ExcludedRange(names[one.entity_id], one.start_at, one.end_at, one.reason, one.n_steps)
        for one in exclusions
    )
    out = [reader.excluded(key, span.start_at, span.end_at) for _, key in scope.entities]
    sides = _Sides.of(reader, scope)
    lost = lost or left_out(reader, scope, counted(exclusions, config))
    return TrainingPreview(
        start_at=span.start_at,
        split_at=span.split_at,
        gate_at=span.gate_at,
        end_at=span.end_at,
        n_windows=n_windows[0],
        n_available=n_windows[1],
        window=feature_spec_of(config).width,
        excluded=excluded,
        excluded_share=float(np.mean(out)),
        running_hours=tuple(sorted(running_hours.items(), key=lambda pair: pair[1])),
        n_entities=len(scope.entities),
        hours_possible=(unix_s(span.split_at) - unix_s(span.start_at)) / 3600,
        channels=tuple(
            sides.preview(reader, channel) for channel in range(len(config.channel_names))
        ),
        n_readings=lost.n_running - lost.n_excluded,
        left_out_share=lost.share,
        left_out=lost.ranking(),
        stops=lost.share > config.training.max_excluded_share,
    )


@dataclass(frozen=True, eq=False)
class _Sides:
    """What is learned from and what is held out, NaN where a training leaves it out."""

    entities: Sequence[str]
    learned: NDArray[np.float64]
    held_out: NDArray[np.float64]

    @classmethod
    def of(cls, reader: TrainingReader, scope: Scope) -> _Sides:
        chosen = [scope.entities[i] for i in evenly(np.arange(len(scope.entities)), MAX_ENTITIES)]
        span, sides = reader.span, []
        for ends in ((span.start_at, span.split_at), (span.split_at, span.end_at)):
            found = [reader.clean(key, *ends) for _, key in chosen]
            sides.append(
                np.stack([np.where(usable[:, None], values, np.nan) for values, usable in found])
            )
        return cls([name for name, _ in chosen], *sides)

    def preview(self, reader: TrainingReader, channel: int) -> ChannelPreview:
        """One channel of both sides."""
        name = reader.config.channel_names[channel]
        first, second = self.learned[:, :, channel], self.held_out[:, :, channel]
        shown, known = histogram(first), first[np.isfinite(first)]
        entity, step = _farthest(first)
        at = from_unix_s(unix_s(reader.span.start_at) + step * reader.config.source.step_s)
        return ChannelPreview(
            name=name,
            unit=reader.config.source.channels[name].unit or "",
            learned=shown,
            held_out=histogram(second, edges=shown.edges),
            distance=distance_of_distributions(first.ravel(), second.ravel()),
            n_extreme=sum(int(extreme(row).sum()) for row in first),
            median=float(np.median(known)) if known.size else math.nan,
            worst=float(first[entity, step]),
            worst_entity=self.entities[entity],
            worst_at=at if known.size else None,
        )


def _farthest(rows: NDArray[np.float64]) -> tuple[int, int]:
    """Row and column of the value farthest from its row's median; the first where none is known."""
    known = (row[np.isfinite(row)] for row in rows)
    medians = np.array([[np.median(row) if row.size else 0.0] for row in known])
    distances = np.abs(rows - medians)
    worst = int(np.argmax(np.where(np.isfinite(distances), distances, -1.0)))
    return worst // rows.shape[1], worst % rows.shape[1]


def write_exploration(
    config: DatasetConfig, content: ExplorationContent, path: UPath
) -> tuple[str, int]:
    """Where the PDF of an exploration is, and its pages."""
    document, n_pages = exploration_bytes(content, page_size=config.report.page_size)
    make_folder(path.parent)
    write_whole(document, path)
    return str(path), n_pages
