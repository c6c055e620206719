"""`tsad datasets check`: what a dataset file says against what its source is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from itertools import combinations, groupby
from math import ceil, inf
from operator import attrgetter
from typing import Literal, NamedTuple
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.enums import Signal
from tsad_tasks.base.errors import SourceError, TsadError
from tsad_tasks.base.interval import hour_floor, unix_s
from tsad_tasks.base.shown import shown
from tsad_tasks.config import DatasetConfig, deprecations_of
from tsad_tasks.ingest.accepted_rows import accepted_rows, may_lack
from tsad_tasks.ingest.joined import joined, read_each
from tsad_tasks.ingest.proposals import event_proposals, looked_further, signal_proposals
from tsad_tasks.ingest.proposed_roles import proposed_roles
from tsad_tasks.ingest.proposed_signals import proposed_signal
from tsad_tasks.ingest.sources.base import (
    HOUR_US,
    PLAUSIBLE_FROM,
    Hint,
    Source,
    SourceRows,
    SourceTable,
    Uris,
    open_source,
    open_sources,
    uris_of,
)
from tsad_tasks.ingest.tally import Tally, shortened

Level = Literal["error", "warning", "info"]

_SAMPLE_TABLES, _SAMPLE_HOURS, _OLD_DAYS, _SHOWN = 5, 6, 2, 5
# Of so few values of a channel the weeks before say more: a state may last for days.
_FEW_VALUES = 200
# Of those that divide an hour, those that people say.
_PARTS = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)
_STEPS_S = (*_PARTS, *(60 * part for part in _PARTS), 3600)
_TOLD_ISSUES = {
    "long_name", "nonexistent_time", "not_finite", "not_numeric", "null_channel", "off_circle",
    "unknown_label", "unknown_state",
}  # fmt: skip


# How the finding begins that nothing has come for days.
NOT_LIVE = "The newest reading is"
# And the one that says over which time there are readings.
READINGS_FROM = "Readings from "

_Bounds = tuple[datetime | None, datetime | None]


class Finding(NamedTuple):
    """One line for the person who wrote the dataset file."""

    level: Level
    text: str


class Checked(NamedTuple):
    """Findings under a heading, errors first: of one source, or (no heading) of the dataset."""

    heading: str
    findings: list[Finding]


def check_sources(config: DatasetConfig, uris: Uris, *, now_at: datetime) -> list[Checked]:
    """Findings about each of the dataset's sources, and about its file and all of them.

    Whatever keeps tables from being read, such as a wrong password, is a finding and not raised.
    """
    found, is_alone = list[Checked](), len(config.sources) == 1
    for part, uri, name in uris_of(uris, config):
        what = part.source.select or ", ".join(part.source.table_names)
        heading = "" if is_alone else f"source {name}: {shown(what)}"
        found.append(Checked(heading, _ordered(_source_findings(part, uri, now_at))))
    of_all = [Finding("warning", text) for text in deprecations_of(config)]
    if is_alone:
        return [Checked("", _ordered([*found[0].findings, *of_all]))]
    of_all += _shared(config, uris, now_at)
    return [*found, Checked("", _ordered(of_all))] if of_all else found


def readings_range(found: Iterable[Checked]) -> tuple[datetime, datetime] | None:
    """The minutes of the oldest and the newest reading that a check of the sources tells of; None:
    of none.
    """
    texts = [text for _, findings in found for _, text in findings]
    said = [text.removeprefix(READINGS_FROM) for text in texts if text.startswith(READINGS_FROM)]
    ends = [at for text in said for at in text.removesuffix(" UTC.").split(" to ")]
    times = [datetime.strptime(at, "%Y-%m-%d %H:%M").replace(tzinfo=UTC) for at in ends]
    return (min(times), max(times)) if times else None


def check_dataset(config: DatasetConfig, uris: Uris, *, now_at: datetime) -> list[Finding]:
    """The findings of all sources, without headings."""
    return [
        finding for part in check_sources(config, uris, now_at=now_at) for finding in part.findings
    ]


def _ordered(found: Iterable[Finding]) -> list[Finding]:
    return sorted(found, key=lambda finding: ("error", "warning", "info").index(finding.level))


def _source_findings(config: DatasetConfig, uri: str, now_at: datetime) -> list[Finding]:
    """About the tables of one source and their last six hours."""
    try:
        with open_source(uri, config) as source:
            return [*_tables(config, source), *_readings(config, uri, source, now_at)]
    except TsadError as error:
        return [Finding("error", str(error))]


def _shared(config: DatasetConfig, uris: Uris, now_at: datetime) -> Iterator[Finding]:
    """Of the last six hours which all sources have: machines that are in one of them alone, and
    channels of a machine that several gave, where nothing says how several become one.
    """
    # What keeps a source from being read is told of the source.
    with suppress(TsadError), open_sources(uris, config) as parts:
        newest = []
        for part in parts:
            bounds = [part.source.time_bounds(table, now_at) for table in part.source.tables]
            newest.append(max((high for _, high in bounds if high is not None), default=None))
        known = [at for at in newest if at is not None]
        if len(known) < len(newest):
            return
        end_s, tally = unix_s(hour_floor(min(known))) + 3600, Tally()
        span_us = (end_s - _SAMPLE_HOURS * 3600) * 1_000_000, end_s * 1_000_000
        every = read_each(config, parts, span_us, tally)
        joined(config, every, span_us, tally)
        kind = attrgetter("channel", "detail")
        told = sorted((one for one in tally.counts() if one.issue == "several_sources"), key=kind)
        for (channel, detail), counts in groupby(told, kind):
            whose = ", ".join(sorted({shortened(one.entity) for one in counts})[:3])
            hint = f"Say across on the channel {channel}, or leave it out of one source."
            yield Finding("error", f"{channel} ({whose}): {detail} (several_sources). {hint}")
        named = [
            [name for name, had in zip(read.entity_names, read.gridded.present, strict=True)
             if had.any()]
            for _, read in every
        ]  # fmt: skip
        yield from _named_apart(config, named)


def _named_apart(config: DatasetConfig, named: Sequence[Sequence[str]]) -> Iterator[Finding]:
    """What to say of machines of several sources (names of each) that are none of the same name."""
    sources_of = dict[str, list[str]]()
    for source, names in zip(config.source_names, named, strict=True):
        for name in names:
            sources_of.setdefault(name, []).append(source)
    alike = dict[str, list[str]]()
    for name in sorted(sources_of):
        alike.setdefault(normalize("NFKC", name).strip().casefold(), []).append(name)
    near = [names for names in alike.values() if len(names) > 1]
    hint = "A tags file, or a query that renames, brings them together."
    for names in near[:_SHOWN]:
        where = ", ".join(f"{shown(one)} ({' and '.join(sources_of[one])})" for one in names)
        yield Finding("warning", f"{where}: different machines, since their names differ. {hint}")
    is_shared = any(len(sources) > 1 for sources in sources_of.values())
    kinds = {frozenset(source.channels) for source in config.sources}
    if not near and not is_shared and len(kinds) > 1 and all(named):
        firsts = zip(named, config.source_names, strict=True)
        where = ", ".join(f"{shown(names[0])} ({source})" for names, source in firsts)
        yield Finding(
            "warning",
            f"No machine is in several of the sources, such as {where}: none has the channels of "
            f"all. {hint}",
        )


def _tables(config: DatasetConfig, source: Source) -> Iterator[Finding]:
    n_readable, n_all = len(source.tables), len(source.tables) + len(source.faults)
    yield Finding("info", f"{n_readable} of {n_all} tables can be read.")
    for fault in source.faults[:_SAMPLE_TABLES]:
        yield Finding("error", f"{fault.table}: {fault.detail}")
    said: list[Hint] = []
    for table in source.tables:
        for fault in table.faults:
            level: Level = "error"
            if may_lack(config, table, fault, source.tables):
                # A machine may do without a sensor; a name that is nearly right is a mistake.
                level = "warning" if "Did you mean" in fault.detail else "info"
            said.append((level, fault.detail, fault.table))
    for table in source.tables:
        if table.unused:
            columns = f"Columns that are not used: {', '.join(table.unused)}."
            said.append(("info", columns, table.title))
    yield from _said_once([*said, *source.hints()])


def _said_once(said: Iterable[Hint]) -> Iterator[Finding]:
    """The same about many tables is said once."""
    tables: dict[tuple[Level, str], list[str]] = {}
    for level, text, title in said:
        tables.setdefault((level, text), []).append(title)
    for (level, text), titles in tables.items():
        more = f" and {len(titles) - 1} more tables" if len(titles) > 1 else ""
        yield Finding(level, f"{titles[0]}{more}: {text}" if titles[0] else text)


def _readings(
    config: DatasetConfig, uri: str, source: Source, now_at: datetime
) -> Iterator[Finding]:
    found: list[tuple[SourceTable, _Bounds]] = []
    # By name the last ones are the newest of tables over time.
    for table in source.tables[-_SAMPLE_TABLES:]:
        try:
            found.append((table, source.time_bounds(table, now_at)))
        except SourceError as error:
            yield Finding("error", f"{table.title}: {error}")
    bounds = [of_table for _, of_table in found]
    if config.source.entity.constant is not None:
        yield from _at_one_time(config, found)
    newest_at = max((high for _, high in bounds if high is not None), default=None)
    if implausible := source.implausible_times(now_at):
        few = ", ".join(f"{shortened(name)} {n}" for name, n in sorted(implausible.items())[:5])
        text = f"Expected times from {PLAUSIBLE_FROM:%Y} to a day ahead. Received: others in"
        hint = "Is time.unit right?" if config.source.time.unit else "Which clock is wrong?"
        if (unit := source.fitting_unit(now_at)) is not None:
            hint = f"They would be plausible in time.unit: {unit}."
        text += f" {sum(implausible.values())} rows ({few}); they are not taken"
        yield Finding("warning", f"{text} (implausible_time). {hint}")
    elif newest_at is None and bounds:
        what = f"none of a series of {config.source.names_from}"
        received = what if config.source.series else "empty tables"
        yield Finding("warning", f"Expected rows. Received: {received}.")
    if newest_at is None:
        return
    oldest_at = min(low for low, _ in bounds if low is not None)
    seen = f"{oldest_at:%Y-%m-%d %H:%M} to {newest_at:%Y-%m-%d %H:%M} UTC"
    yield Finding("info", f"{READINGS_FROM}{seen}.")
    if newest_at > now_at + timedelta(minutes=5):
        received = f"{newest_at:%Y-%m-%d %H:%M} UTC"
        hint = "Is time.unit right?" if config.source.time.unit else "Is time.zone right?"
        text = f"Expected no readings from the future. Received: {received}. {hint}"
        yield Finding("warning", text)
    if newest_at < now_at - timedelta(days=_OLD_DAYS):
        age = f"{(now_at - newest_at).days} days old"
        yield Finding("warning", f"{NOT_LIVE} {age}: live runs will find a gap.")
    if n_null := source.count_null_times():
        what = f"{n_null} rows without a time; they are not taken."
        yield Finding("warning", f"{config.source.time.column}: {what}")
    end_s = unix_s(hour_floor(newest_at)) + 3600
    span_us = (end_s - _SAMPLE_HOURS * 3600) * 1_000_000, end_s * 1_000_000
    yield from _said_once(source.advice(span_us[1] - HOUR_US, span_us[1]))
    rows = source.read(*span_us)
    for fault in rows.faults:
        yield Finding("error", f"{fault.table}: {fault.detail}")
    is_inside = rows.times_us >= span_us[0]
    if is_inside.any():
        few = ", ".join(map(shortened, rows.entity_names[:3]))
        yield Finding("info", f"{len(rows.entity_names)} entities, such as {few}.")
        yield from _not_taken(config, rows, span_us)
        if n_nobody := int((rows.entity < 0).sum()):
            yield Finding("warning", f"{n_nobody} rows without an entity; they are not taken.")
        yield from _silent_series(rows, span_us)
        events = event_proposals(config, uri, source, rows, span_us)
        no_rhythm = {*events, *config.event_channels, *_of_texts(config, rows)}
        yield from _rates(config, rows, is_inside, no_rhythm)
        yield from _channels(config, source, rows, span_us, events)
        yield from _roles(config, rows)
        for text in signal_proposals(config, source, rows, span_us):
            yield Finding("info", text)


def _silent_series(rows: SourceRows, span_us: tuple[int, int]) -> Iterator[Finding]:
    """Series that have a name now and no row: their id may be mistaken."""
    if rows.tag is None:
        return
    heard = {rows.tags[at].series for at in np.unique(rows.tag).tolist() if at >= 0}
    named = {
        tag.series: tag
        for tag in rows.tags
        if tag.start_us < span_us[1] and tag.end_us > span_us[0]
    }
    silent = [tag for series, tag in named.items() if series not in heard]
    if silent:
        few = ", ".join(
            f"{shown('/'.join(tag.series))} ({shortened(tag.entity)} {tag.channel})"
            for tag in silent[:_SHOWN]
        )
        text = f"{len(silent)} of {len(named)} series had no row in the last {_SAMPLE_HOURS} hours"
        yield Finding("warning", f"{text}, such as {few}. Is the id right?")


def _at_one_time(
    config: DatasetConfig, found: Sequence[tuple[SourceTable, _Bounds]]
) -> Iterator[Finding]:
    """Tables that say the same channel of one machine over the same time; one after another is
    well.
    """
    for (one, (low, high)), (other, (from_at, to_at)) in combinations(found, 2):
        both = sorted({*one.channels} & {*other.channels})
        if not both or low is None or high is None or from_at is None or to_at is None:
            continue
        if low < to_at and from_at < high:
            names = ", ".join(config.channel_names[at] for at in both)
            yield Finding(
                "error",
                f"{one.title} and {other.title} both say {names} of "
                f"{config.source.entity.constant} until {min(high, to_at):%Y-%m-%d %H:%M}: they "
                "would be mixed. Name machines by entity: {from_table: …}, or name one table.",
            )
            return


def _not_taken(
    config: DatasetConfig, rows: SourceRows, span_us: tuple[int, int]
) -> Iterator[Finding]:
    """What a run would count of these rows, as far as nothing else here tells it."""
    tally = Tally()
    accepted_rows(rows, config, (), span_us, tally)
    kind = attrgetter("issue", "channel", "detail")
    told = sorted((one for one in tally.counts() if one.issue in _TOLD_ISSUES), key=kind)
    for (issue, channel, detail), counts in groupby(told, kind):
        same = list(counts)
        whose = ", ".join(sorted({one.entity for one in same})[:3])
        what = f"{channel}: " * bool(channel) + f"{sum(one.n_rows for one in same)} rows"
        what += f" ({whose})" * bool(whose) + f" in the last {_SAMPLE_HOURS} hours"
        yield Finding("warning", f"{what}: {detail} ({issue}).")


def _of_texts(config: DatasetConfig, rows: SourceRows) -> Iterator[str]:
    """Channels of a long table that say nothing but texts: what they are is to be said first."""
    for position, name in enumerate(config.channel_names):
        if rows.channel is not None:
            values = rows.values[rows.channel == position]
            if np.isneginf(values).any() and not np.isfinite(values).any():
                yield name


def _rates(
    config: DatasetConfig, rows: SourceRows, is_inside: NDArray[np.bool_], events: set[str]
) -> Iterator[Finding]:
    """How far apart readings are, against the step; of long tables in each channel. Events come
    when they do.
    """
    channels = config.channels
    if rows.channel is None:
        if {*channels} - events:
            yield from _rate(config, rows, is_inside, [*channels])
        return
    said: dict[Finding, list[str]] = {}
    for position, name in enumerate(channels):
        if name in events:
            continue
        for found in _rate(config, rows, is_inside & (rows.channel == position), [name]):
            said.setdefault(found, []).append(name)
    for (level, text), names in said.items():
        yield Finding(level, f"{_few(names)}: {text}")


def _rate(
    config: DatasetConfig, rows: SourceRows, chosen: NDArray[np.bool_], channels: Sequence[str]
) -> Iterator[Finding]:
    """How far apart the chosen readings of one series are, which are of these channels."""
    series = rows.entity if rows.tag is None else rows.tag
    of_one = chosen & (series == series.max(initial=-1, where=chosen))
    times_us = np.unique(rows.times_us[of_one])
    if len(times_us) < 3:
        return
    apart_s, step_s = float(np.median(np.diff(times_us))) / 1e6, config.step_s
    shown_s = round(apart_s, 0 if apart_s > 10 else 2)
    text = f"Readings are {shown_s:g} s apart, the step is {step_s} s"
    given = [config.channels[name].valid_for_s for name in channels]
    valid_s = min(inf if isinstance(one, str) else one for one in given)
    if apart_s > max(1.5 * step_s, valid_s):
        valid = f"valid_for: {ceil(apart_s)}s on the channels"
        step = proposed_step(apart_s, config.interval_s)
        what = f"step: {step}, or {valid}" if step else valid
        yield Finding("warning", f"{text}: most steps will be empty. Set {what}.")
    elif apart_s < step_s / 1.5:
        yield Finding(
            "info", f"{text}: readings of a step are made one by the channel's aggregate."
        )
    off_grid = float(np.mean(times_us % (step_s * 1_000_000) != 0))
    if off_grid > 0.5 and apart_s > step_s / 1.5:
        share = f"{off_grid:.0%} of the times are not on the grid"
        yield Finding("info", f"{share}; they are moved to the step they are in.")


def proposed_step(apart_s: float, longest_s: int) -> str | None:
    """The shortest step for readings so far apart; None where a run's interval is shorter.

    >>> [proposed_step(apart_s, 3600) for apart_s in (7, 61.3, 600.2, 7200)]
    ['10s', '2min', '10min', None]
    """
    fit = [step_s for step_s in _STEPS_S if apart_s <= step_s * 1.01 and step_s <= longest_s]
    if not fit:
        return None
    return f"{fit[0] // 60}min" if fit[0] >= 60 else f"{fit[0]}s"


def _channels(
    config: DatasetConfig,
    source: Source,
    rows: SourceRows,
    span_us: tuple[int, int],
    events: Mapping[str, str],
) -> Iterator[Finding]:
    """What the values of channels say; of few ones those of the weeks before, too."""
    if unknown := rows.channel_names[len(config.channel_names) :]:
        names = ", ".join(map(shortened, unknown[:10]))
        yield Finding("info", f"Channels of the source that are not used: {names}.")
    silent = []
    further = cache(partial(looked_further, source, rows, span_us))
    for position, (name, channel) in enumerate(config.channels.items()):
        if name in events:
            yield _asked(name, events[name], "like events", " Each row counts then; no row is 0.")
            continue
        is_long = rows.channel is not None
        values = rows.values[rows.channel == position] if is_long else rows.values[:, position]
        known = values[np.isfinite(values)]
        if channel.signal == Signal.GAUGE and channel.aggregate != "count":
            looked_at = rows if len(known) >= _FEW_VALUES else further()
            yield from _proposed(name, channel.unit, _by_series(looked_at, position))
        if not len(known):
            silent.append(name)
            continue
        low, high = channel.sensor_range
        low, high = -np.inf if low is None else low, np.inf if high is None else high
        if outside := float(np.mean((known < low) | (known > high))):
            span = f"{known.min():g} to {known.max():g}, range {low:g} to {high:g}"
            text = f"{name}: {outside:.1%} of the values are out of range ({span})."
            yield Finding("warning", text)
    if silent:
        text = f"{_few(silent)}: no value in the last {_SAMPLE_HOURS} hours."
        yield Finding("warning", text)


def _by_series(rows: SourceRows, position: int) -> list[NDArray[np.float64]]:
    """Values of a channel of each series, in the order of time."""
    chosen = np.arange(len(rows.times_us))
    if rows.channel is not None:
        chosen = chosen[rows.channel == position]
    values = rows.values[chosen] if rows.channel is not None else rows.values[:, position]
    series = (rows.entity if rows.tag is None else rows.tag)[chosen]
    order = np.lexsort((rows.times_us[chosen], series))
    cuts = np.flatnonzero(np.diff(series[order])) + 1
    return np.split(np.where(np.isfinite(values), values, np.nan)[order], cuts)


def _proposed(name: str, unit: str | None, series: list[NDArray[np.float64]]) -> Iterator[Finding]:
    """What the channel's values may be, where they are no level."""
    if said := proposed_signal(name, unit, series):
        yield _asked(name, said, "like no level")


def _asked(name: str, said: str, what: str, then: str = "") -> Finding:
    written, _, evidence = said.partition(" (")
    text = f"{name}: These look {what}: {evidence.removesuffix(')')}."
    return Finding("warning", f"{text} Is it {written}?{then}")


def _roles(config: DatasetConfig, rows: SourceRows) -> Iterator[Finding]:
    for name, role, evidence in proposed_roles(config, rows):
        text = f"{name} may be what the others are judged under: {evidence}."
        yield Finding("info", f"{text} If it is, say role: {role}; it then raises nothing itself.")


def _few(names: Sequence[str]) -> str:
    """Some channels' names, and how many there are besides."""
    more = f" and {len(names) - _SHOWN} more channels" if names[_SHOWN:] else ""
    return ", ".join(map(shortened, names[:_SHOWN])) + more
