"""What the readings of a dataset look like, of the warehouse or of the source; reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.arrays import Flags, Floats64, Ints
from tsad_tasks.base.enums import Lineage
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.files import make_folder, write_whole
from tsad_tasks.base.interval import day_chunks, from_unix_s, hour_ceil, unix_s, whole_hours
from tsad_tasks.base.places import Folder
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.joined import read_together
from tsad_tasks.ingest.queries import SELECT_LABELS, SELECT_LEDGER_ENDS, Label
from tsad_tasks.ingest.sources.base import Uris, open_sources
from tsad_tasks.ingest.tally import Tally
from tsad_tasks.model.evaluation import runs
from tsad_tasks.model.periods import autocorrelation, dominant_period, varies
from tsad_tasks.reporting.drawing.scales import thinned
from tsad_tasks.reporting.exploration import statistics
from tsad_tasks.reporting.exploration.content import (
    ChannelView,
    ExplorationContent,
    KeySeries,
    LabelRange,
    TrainingPreview,
)
from tsad_tasks.reporting.exploration.pages import exploration_bytes
from tsad_tasks.scoring.queries import SELECT_FLAGS, SELECT_LATEST_SCORED_HOUR
from tsad_tasks.storage.datasets import select_dataset, select_entities, select_layouts
from tsad_tasks.storage.fitted import first_values
from tsad_tasks.storage.readings import read_blocks
from tsad_tasks.storage.store import Store
from tsad_tasks.training.reader import evenly

Number = TypeVar("Number", bound=np.generic)

MAX_ENTITIES = 24
MAX_SERIES = 6
FAR_AWAY = datetime(2200, 1, 1, tzinfo=UTC)
MAX_LAG_S = 8 * 86400
SERIES_POINTS = 1000


@dataclass(frozen=True, eq=False)
class Explored:
    """Readings of some entities on one grid."""

    entities: tuple[str, ...]
    n_all_entities: int
    start_at: datetime
    end_at: datetime
    step_s: int
    # (n_entities, n_steps, n_channels), NaN where nothing was read
    values: Floats64
    labelled: Flags  # bool (n_entities, n_steps)
    labels: tuple[LabelRange, ...]  # the same as ranges
    # Unix seconds of the champions' flags, all entities; None where nothing was scored
    flag_times_s: Ints | None
    from_source: bool
    # bool (n_entities, n_channels), which channels the entities have: of the source, in this range
    fitted: Flags

    @property
    def times_s(self) -> Ints:
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
            f"{config.dataset} --from <start> --to <end>"
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
        first_s = first_values(store, ids, layout.channel_ids)[:, columns]
        span, live = {"start_at": start_at, "end_at": end_at}, {"lineage": Lineage.LIVE}
        labels = store.rows(SELECT_LABELS, dataset_id=dataset.dataset_id, **span)
        flags = store.rows(SELECT_FLAGS, entity_ids=ids, **live, **span)
        scored = {"dataset_id": dataset.dataset_id, "scope_entity_id": 0}
        is_scored = store.one(SELECT_LATEST_SCORED_HOUR, **scored, **live) is not None
    ranges = tuple(label_ranges(labels, dict(zip(ids, names, strict=True))))
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
        fitted=np.asarray(first_s < unix_s(end_at), np.bool_),
    )


def source_readings(
    config: DatasetConfig,
    uris: Uris,
    start_at: datetime,
    end_at: datetime,
    entity: str | None = None,
) -> Explored:
    """The same straight from the source table, for a dataset that was not ingested yet."""
    parts = []
    with open_sources(uris, config) as sources:
        for first_at, last_at in day_chunks(start_at, end_at):
            span_us = (unix_s(first_at) * 1_000_000, unix_s(last_at) * 1_000_000)
            parts.append(read_together(config, sources, span_us, Tally()))
    every = sorted({name for part in parts for name in part.entity_names})
    names, step_s = _chosen(every, entity), config.step_s
    values, marks = [], []
    for part in parts:
        position = {name: i for i, name in enumerate(part.entity_names)}
        rows = [position.get(name, -1) for name in names]
        values.append(_rows(part.gridded.values, rows, np.nan))
        marks.append(_rows(part.labelled, rows, False))
    labelled, step = np.concatenate(marks, axis=1), timedelta(seconds=step_s)
    every_value = np.concatenate(values, axis=1)[:, :, : len(config.channel_names)]
    return Explored(
        entities=tuple(names),
        n_all_entities=len(every),
        start_at=start_at,
        end_at=end_at,
        step_s=step_s,
        values=every_value,
        labelled=labelled,
        labels=tuple(
            LabelRange(name, start_at + first * step, start_at + end * step, "source")
            for name, row in zip(names, labelled, strict=True)
            for first, end in runs(row).tolist()
        ),
        flag_times_s=None,
        from_source=True,
        fitted=np.asarray(np.isfinite(every_value).any(axis=1), np.bool_),
    )


def label_ranges(labels: Sequence[Label], names: Mapping[int, str]) -> list[LabelRange]:
    """The labels of the named entities."""
    return [
        LabelRange(names[label.entity_id], label.start_at, label.end_at, label.kind)
        for label in labels
        if label.entity_id in names
    ]


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
) -> Flags:
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
    stacked = np.stack([statistics.correlations(part) for part in found.values])
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
        missing=statistics.missing_shares(found.values, day_of, found.fitted),
        labels=found.labels,
        labelled_share=np.bincount(day_of, found.labelled.mean(axis=0), len(days)) / n_steps,
        n_anomalies=n_anomalies,
        series=_key_series(found, channels),
        preview=preview,
    )


def _channel_view(config: DatasetConfig, found: Explored, channel: int) -> ChannelView:
    name = config.channel_names[channel]
    values, marks, fitted = found.values[:, :, channel], found.labelled, found.fitted[:, channel]
    shown = statistics.histogram(values)
    lags = min(values.shape[1] // 2, MAX_LAG_S // found.step_s)
    unknown = np.full(lags + 1, np.nan)
    alike = np.stack([autocorrelation(row, lags) if varies(row) else unknown for row in values])
    n_known = np.isfinite(alike).sum(axis=0)
    mean = np.nansum(alike, axis=0) / np.maximum(n_known, 1)
    period = dominant_period(values.T, lags) if lags > 1 else None
    return ChannelView(
        name=name,
        unit=config.channels[name].shown_unit or "",
        summary=statistics.channel_summary((values[fitted] if fitted.any() else values).ravel()),
        histogram=shown,
        labelled=statistics.histogram(values[marks], edges=shown.edges) if marks.any() else None,
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


def write_exploration(
    config: DatasetConfig, content: ExplorationContent, path: Folder
) -> tuple[str, int]:
    """Where the PDF of an exploration is, and its pages."""
    document, n_pages = exploration_bytes(content, page_size=config.report.page_size)
    make_folder(path.parent)
    write_whole(path, document)
    return str(path), n_pages
