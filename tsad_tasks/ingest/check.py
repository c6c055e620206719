"""Command `datasets check`: what a dataset file says against what its source tables are, before
anything runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from tsad_tasks.base.clock import utc_now
from tsad_tasks.base.errors import TsadError
from tsad_tasks.base.interval import from_unix_s, hour_floor, unix_s
from tsad_tasks.config import DatasetConfig, deprecations_of
from tsad_tasks.ingest.sources.postgres import Source, SourceRows, open_source
from tsad_tasks.ingest.sources.tables import TablePlan, unused_columns

Level = Literal["error", "warning", "info"]

_INDEX_MATTERS_ROWS = 10_000
_SAMPLE_TABLES = 5
_SAMPLE_HOURS = 6
_OLD_DAYS = 2


@dataclass(frozen=True)
class Finding:
    """One line for the person who wrote the dataset file."""

    level: Level
    text: str


def check_dataset(
    config: DatasetConfig, source_uri: str, *, now: Callable[[], datetime] = utc_now
) -> list[Finding]:
    """Findings about the dataset's file and live tables, errors first; the last six hours of
    readings are looked at.

    Whatever keeps the tables from being read, such as a wrong password, is a finding and not
    raised.
    """
    try:
        with open_source(source_uri, config) as source:
            found = [
                *_columns(config, source),
                *_indexes(config, source),
                *_readings(config, source, now()),
            ]
    except TsadError as error:
        found = [Finding("error", str(error))]
    found += [Finding("warning", text) for text in deprecations_of(config)]
    return sorted(found, key=lambda finding: ("error", "warning", "info").index(finding.level))


def _columns(config: DatasetConfig, source: Source) -> Iterator[Finding]:
    yield Finding(
        "info",
        f"{len(source.plans)} of {len(source.plans) + len(source.faults)} tables can be read.",
    )
    for fault in source.faults[:_SAMPLE_TABLES]:
        yield Finding("error", f"{fault.table}: {fault.detail}")
    yield from _once(
        [(fault.detail, fault.table, "error") for plan in source.plans for fault in plan.faults],
    )
    unused = [(plan, unused_columns(config, plan)) for plan in source.plans]
    texts = [
        (f"Columns that are not used: {', '.join(names)}.", plan.table.title)
        for plan, names in unused
        if names
    ]
    yield from _once([(text, table, "info") for text, table in texts])
    yield from _texts(config, source.plans)


def _texts(config: DatasetConfig, plans: Sequence[TablePlan]) -> Iterator[Finding]:
    columns = [
        (column.name, plan.table.title)
        for plan in plans
        for _, column in plan.channels
        if column.family == "text"
    ]
    columns += [
        (plan.value.name, plan.table.title)
        for plan in plans
        if plan.value and plan.value.family == "text"
    ]
    text = "{}: Expected numbers. Received: texts; those that are no number are read as NULL and counted as not_numeric."
    yield from _once([(text.format(name), table, "warning") for name, table in columns])
    if config.source.time.unit is not None:
        timed = [plan for plan in plans if plan.time.family in {"timestamptz", "timestamp", "date"}]
        rule = "Expected no time.unit, since {} is a {}. Received: {}; it is ignored."
        details = [
            rule.format(plan.time.name, plan.time.family, config.source.time.unit) for plan in timed
        ]
        yield from _once(
            [(text, plan.table.title, "warning") for text, plan in zip(details, timed, strict=True)]
        )


def _once(found: Sequence[tuple[str, str, Level]]) -> Iterator[Finding]:
    """The same finding about many tables, said once."""
    tables: dict[tuple[Level, str], list[str]] = {}
    for text, table, level in found:
        tables.setdefault((level, text), []).append(table)
    for (level, text), names in tables.items():
        more = f" and {len(names) - 1} more tables" if len(names) > 1 else ""
        yield Finding(level, f"{names[0]}{more}: {text}")


def _indexes(config: DatasetConfig, source: Source) -> Iterator[Finding]:
    found: list[tuple[str, str, Level]] = []
    for plan in source.plans:
        if plan.table.may_have_index and not plan.time.has_index:
            level: Level = (
                "warning" if plan.table.n_rows_estimate >= _INDEX_MATTERS_ROWS else "info"
            )
            statement = (
                f'CREATE INDEX ON "{plan.table.schema}"."{plan.table.name}" ("{plan.time.name}");'
            )
            found.append(
                (
                    f"No index begins with {plan.time.name}: every run reads the whole table.",
                    statement,
                    level,
                )
            )
    for level in ("warning", "info"):
        of_level = [(text, statement) for text, statement, its_level in found if its_level == level]
        if of_level:
            more = f" So do {len(of_level) - 1} more tables." if len(of_level) > 1 else ""
            yield Finding(level, f"{of_level[0][0]} Make one: {of_level[0][1]}{more}")


def _readings(config: DatasetConfig, source: Source, now_at: datetime) -> Iterator[Finding]:
    bounds = [source.time_bounds(plan) for plan in source.plans[:_SAMPLE_TABLES]]
    newest_at = max((high for _, high in bounds if high is not None), default=None)
    if newest_at is None:
        yield Finding("warning", "Expected rows. Received: empty tables.")
        return
    oldest_at = min(low for low, _ in bounds if low is not None)
    yield Finding(
        "info", f"Readings from {oldest_at:%Y-%m-%d %H:%M} to {newest_at:%Y-%m-%d %H:%M} UTC."
    )
    yield from _age(config, newest_at, now_at)
    null_times = source.count_null_times()
    if null_times:
        yield Finding(
            "warning",
            f"{config.source.time.column}: {null_times} rows without a time; they are not taken.",
        )
    end_at = hour_floor(newest_at) + timedelta(hours=1)
    start_at = end_at - timedelta(hours=_SAMPLE_HOURS)
    rows = source.read(unix_s(start_at) * 1_000_000, unix_s(end_at) * 1_000_000)
    yield from _sample(config, rows)


def _age(config: DatasetConfig, newest_at: datetime, now_at: datetime) -> Iterator[Finding]:
    hint = " Is time.unit right?" if config.source.time.unit else " Is time.zone right?"
    if newest_at > now_at + timedelta(minutes=5):
        yield Finding(
            "warning",
            f"Expected no readings from the future. Received: {newest_at:%Y-%m-%d %H:%M} "
            f"UTC.{hint}",
        )
    if newest_at < now_at - timedelta(days=_OLD_DAYS):
        age = (now_at - newest_at).days
        yield Finding(
            "warning", f"The newest reading is {age} days old: live runs will find a gap."
        )


def _sample(config: DatasetConfig, rows: SourceRows) -> Iterator[Finding]:
    if not len(rows.times_us):
        return
    yield Finding(
        "info", f"{len(rows.entity_names)} entities, such as {', '.join(rows.entity_names[:3])}."
    )
    if (rows.entity < 0).any():
        yield Finding(
            "warning", f"{int((rows.entity < 0).sum())} rows without an entity; they are not taken."
        )
    yield from _rate(config, rows)
    yield from _channels(config, rows)


def _rate(config: DatasetConfig, rows: SourceRows) -> Iterator[Finding]:
    """How far apart readings are, against the step."""
    of_first = np.unique(rows.times_us[rows.entity == rows.entity.max()])
    if len(of_first) < 3:
        return
    apart_s = float(np.median(np.diff(of_first))) / 1e6
    step_s = config.source.step_s
    text = f"Readings are {apart_s:g} s apart, the step is {step_s} s"
    if apart_s > 1.5 * step_s:
        yield Finding(
            "warning",
            f"{text}: most steps will be empty. Set step: {apart_s:g}s, or hold on the channels.",
        )
    elif apart_s < step_s / 1.5:
        yield Finding(
            "info", f"{text}: readings of a step are made one by the channel's aggregate."
        )
    off_grid = float(np.mean(of_first % (step_s * 1_000_000) != 0))
    if off_grid > 0.5 and apart_s > step_s / 1.5:
        yield Finding(
            "info",
            f"{off_grid:.0%} of the times are not on the grid; they are moved to the step they are "
            "in.",
        )


def _channels(config: DatasetConfig, rows: SourceRows) -> Iterator[Finding]:
    unknown = rows.channel_names[len(config.channel_names) :]
    if unknown:
        yield Finding(
            "info", f"Channels of the source that are not used: {', '.join(unknown[:10])}."
        )
    for position, (name, channel) in enumerate(config.source.channels.items()):
        values = (
            rows.values[:, position]
            if rows.channel is None
            else rows.values[rows.channel == position]
        )
        known = values[np.isfinite(values)]
        if not len(known):
            yield Finding("warning", f"{name}: no value in the last {_SAMPLE_HOURS} hours.")
            continue
        low = -np.inf if channel.low is None else channel.low
        high = np.inf if channel.high is None else channel.high
        outside = float(np.mean((known < low) | (known > high)))
        if outside > 0:
            span = f"{known.min():g} to {known.max():g}, range {low:g} to {high:g}"
            yield Finding(
                "warning", f"{name}: {outside:.1%} of the values are out of range ({span})."
            )


def newest_hour(config: DatasetConfig, source_uri: str) -> datetime | None:
    """End of the hour that holds the newest reading of the dataset, for demos and replays.

    Raises
    ------
    SourceError, AccessDenied, Unavailable
        See `open_source`.
    """
    with open_source(source_uri, config) as source:
        highs = [source.time_bounds(plan)[1] for plan in source.plans]
    newest_at = max((high for high in highs if high is not None), default=None)
    return None if newest_at is None else from_unix_s(unix_s(newest_at) // 3600 * 3600 + 3600)
