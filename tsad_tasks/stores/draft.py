"""A dataset file, and its tags file, for series of a store; each value says where it is from."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from math import ceil
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from tsad_tasks.base.interval import hour_floor, unix_s
from tsad_tasks.base.settings import duration_s
from tsad_tasks.base.shown import visible
from tsad_tasks.config import DatasetConfig
from tsad_tasks.config.checks import MAX_CHANNEL_BYTES, is_channel_name
from tsad_tasks.config.written import written_duration, written_value
from tsad_tasks.ingest.check import proposed_step
from tsad_tasks.ingest.proposals import proposed_countdown, proposed_ticks, proposed_total
from tsad_tasks.ingest.proposed_events import proposed_events
from tsad_tasks.ingest.proposed_signals import proposed_signal
from tsad_tasks.ingest.sources.base import Tag
from tsad_tasks.ingest.sources.postgres import PostgresSource
from tsad_tasks.stores.recipes import Recipe, SensorStore, Series
from tsad_tasks.stores.rhythm import Rhythm, measured

_SAMPLED_OF_CHANNEL, _SAMPLED = 5, 200
_LOOKED_BACK = (timedelta(days=1), timedelta(days=7))
DEFAULT_STEP_S = 60
_TRAINING_DAYS, _OLDEST_TABLES = 30, 5
# On disk for each value: 7 of its reading and 6 of its score and error, as `make demo` leaves them.
_BYTES = 13.0
# CPU of a run's six tasks (README, Airflow's own included), and of each value (score_batch.py).
_RUN_S, _VALUE_S = 4.0, 35e-6


@dataclass(frozen=True)
class Draft:
    """Texts of the two files, and what a person should know of them."""

    dataset: str
    tags: str
    told: tuple[str, ...]

    def as_values(self) -> dict[str, Any]:
        """For programs: what the files say, where each value is from, and what is to be checked."""
        remarks = [*_remarks(self.dataset)]
        noted = [f"{'.'.join(place)}: {why}" for place, why in remarks]
        return {
            "dataset": yaml.safe_load(self.dataset),
            "from": [{"place": place, "why": why} for place, why in remarks],
            "tags": list(csv.DictReader(io.StringIO(self.tags))),
            "told": list(self.told),
            "to_check": [one for one in [*noted, *self.told] if "CHECK" in one],
        }


def _remarks(text: str) -> Iterator[tuple[list[str], str]]:
    """What stands behind values, or below a mapping's key, and of which.

    >>> [*_remarks("source:\\n  step: 1h  # said\\n  'a  # b': {}\\n")]
    [(['source', 'step'], 'said')]
    """
    above, block = list[tuple[int, str]](), None
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip())
        if block is not None and indent > block:
            continue
        above = [one for one in above if one[0] < indent]
        said, _, why = line.rpartition("  # ")
        if line.lstrip().startswith("# "):
            said, why = "", line.strip()[2:]
        elif key := _key(said) or _key(line):
            above.append((indent, key))
        if above and why and (_key(said) or not said.strip()) and why != line:
            yield [key for _, key in above], why
        block = indent if line.endswith(": |") else None


def _key(line: str) -> str:
    """The key of a line of YAML; empty where it is none."""
    try:
        said = yaml.safe_load(line)
    except yaml.YAMLError:
        return ""
    return str(next(iter(said))) if isinstance(said, dict) and said else ""


@dataclass(frozen=True)
class _Channel:
    """A channel of the dataset: its name here and there, its series, and how they came."""

    name: str
    series: Sequence[Series]
    rhythm: Rhythm

    def said(self, field: str) -> Any:
        """What the store says of its series; None where it says nothing, or several things."""
        said = {getattr(one, field) for one in self.series}
        return said.pop() if len(said) == 1 else None

    @property
    def is_on_change(self) -> bool:
        return bool(self.said("is_on_change")) or self.rhythm.is_irregular

    @property
    def apart_s(self) -> float | None:
        """Time between values: as measured, else as the store says."""
        step_s: int | None = self.said("step_s")
        return self.rhythm.apart_s or step_s


def drafted(
    uri: str, store: SensorStore, series: Sequence[Series], *, connection: str, name: str
) -> Draft:
    """The files for these series, their rhythm measured on the last day, or week, of some of them.

    `connection` and `name` are what the file says.
    """
    recipe, now_at = store.recipe, store.now_at
    names = channel_names(one.channel for one in series)
    source = recipe.source | {"connection": connection, "tags": f"{name}.tags.csv"}
    if reads := [one.read for one in series if one.read]:
        source["query"] = "\nUNION ALL\n".join(reads)
    source["channels"] = {one: {} for one in names.values()}
    config = DatasetConfig.model_validate({"dataset": name, "source": source})
    sampled = [*islice(_sample(series), _SAMPLED)]
    rhythms, oldest_at = _looked_at(uri, config, sampled, names, now_at)
    channels = [
        _Channel(mine, [one for one in series if one.channel == theirs], rhythms[theirs])
        for theirs, mine in names.items()
    ]
    step_s = _step_s(channels)
    lines = [
        f"# Drafted on {now_at:%Y-%m-%d} from {visible(store.title)}.",
        "# Behind a value stands where it is from: said by the store, measured, guessed, default.",
        f"dataset: {written_value(name)}",
        "source:",
        f"  connection: {written_value(connection)}",
        *_source_lines(recipe, source),
        f"  tags: {name}.tags.csv  # {len(series):,} series",
        f"  step: {written_duration(step_s)}  # {_step_reason(channels, step_s)}",
        "  channels:",
    ]
    for channel in channels:
        lines += _channel_lines(channel, step_s)
    lines += training_lines(oldest_at, now_at)
    text = "\n".join(lines) + "\n"
    told = [
        *_told(channels, now_at, has_archive=recipe.archive is not None),
        cost(len(series), step_s),
    ]
    return Draft(text, _tags_text(recipe, series, names), tuple(told))


def channel_names(every: Iterable[str]) -> dict[str, str]:
    """Names of channels here by their names there; a long one ends in a hash of it."""
    names: dict[str, str] = {}
    for theirs in sorted({*every}):
        mine = "".join(letter if letter.isprintable() else "_" for letter in theirs).strip()
        if not is_channel_name(mine) or mine in names.values():
            end = "_" + hashlib.sha256(theirs.encode()).hexdigest()[:6]
            mine = mine.encode()[: MAX_CHANNEL_BYTES - len(end)].decode(errors="ignore") + end
        names[theirs] = mine
    return names


def _sample(series: Sequence[Series]) -> Iterator[Series]:
    """A few series of each channel, one of each channel first."""
    of_channel: dict[str, list[Series]] = {}
    for one in series:
        of_channel.setdefault(one.channel, []).append(one)
    for at in range(_SAMPLED_OF_CHANNEL):
        yield from (all_of[at] for all_of in of_channel.values() if at < len(all_of))


def _looked_at(
    uri: str,
    config: DatasetConfig,
    sampled: Sequence[Series],
    names: Mapping[str, str],
    now_at: datetime,
) -> tuple[dict[str, Rhythm], datetime | None]:
    """How the values of each channel came of late, by the store's name; time of the oldest one."""
    tags = [Tag(one.series, one.entity, names[one.channel], 1.0, 0.0) for one in sampled]
    end_us = (unix_s(hour_floor(now_at)) + 3600) * 1_000_000
    with closing(PostgresSource(uri, config, sorted(tags, key=lambda tag: tag.series))) as source:
        for back in _LOOKED_BACK:
            rows = source.read(end_us - back // timedelta(microseconds=1), end_us)
            if len(rows.times_us):
                break
        # Of tables over time the first by name hold the oldest values.
        bounds = [source.time_bounds(one, now_at)[0] for one in source.tables[:_OLDEST_TABLES]]
    found = {
        theirs: measured(rows, [at for at, tag in enumerate(rows.tags) if tag.channel == mine])
        for theirs, mine in names.items()
    }
    return found, min((at for at in bounds if at is not None), default=None)


def _step_s(channels: Sequence[_Channel]) -> int:
    """Of channels whose values come regularly the middle one decides."""
    regular = [one.apart_s for one in channels if not one.is_on_change and one.apart_s]
    return fitting_step_s(float(np.median(regular)) if regular else float(DEFAULT_STEP_S))


def fitting_step_s(apart_s: float) -> int:
    """The shortest step for readings so far apart; an hour where they are farther."""
    return duration_s(proposed_step(apart_s, 3600) or "1h")


def _step_reason(channels: Sequence[_Channel], step_s: int) -> str:
    regular = [one for one in channels if not one.is_on_change]
    n_measured = sum(one.rhythm.apart_s is not None for one in regular)
    if n_measured:
        return f"measured: so far apart are values of {n_measured} of {len(channels)} channels"
    if any(one.said("step_s") for one in regular):
        return "said by the store; no value of the last week was found to measure"
    return "default; CHECK: how often should there be a reading?"


def _source_lines(recipe: Recipe, source: Mapping[str, Any]) -> Iterator[str]:
    for key, value in recipe.source.items():
        yield f"  {key}: {written_value(value)}"
    if "query" in source:
        yield "  query: |"
        yield from (f"    {line}" for line in source["query"].splitlines())


def _channel_lines(channel: _Channel, step_s: int) -> Iterator[str]:
    settings = [*_settings(channel, step_s)]
    rhythm = channel.rhythm
    seen = f"{rhythm.n_values:,} values of {rhythm.n_series} series looked at"
    empty = "" if any(name for name, _, _ in settings) else " {}"
    yield f"    {written_value(channel.name)}:{empty}  # {len(channel.series)} series; {seen}"
    for name, value, why in settings:
        yield f"      {name}: {value}  # {why}" if name else f"      # {why}"


def _settings(channel: _Channel, step_s: int) -> Iterator[tuple[str, str, str]]:
    """Name, value and where it is from; a remark has no name."""
    rhythm = channel.rhythm
    units = sorted({str(one.unit) for one in channel.series})
    if len(units) > 1:
        few = visible(", ".join(units[:5]))
        why = f"CHECK: units differ ({few}): say scale and offset in the tags file"
        yield "", "", why
    elif (unit := channel.said("unit")) is not None:
        yield "unit", written_value(unit), "said by the store"
    series = [*zip(rhythm.times_s, rhythm.values, strict=True)]
    if remark := signal_remark(channel.name, channel.said("unit"), series):
        yield "", "", remark
    elif rhythm.never_falls:
        yield "", "", "CHECK: values only rose; a counter?"
    lasts_s = 0
    if channel.is_on_change:
        yield "aggregate", "last", "values are written when they change"
        heartbeat_s = channel.said("heartbeat_s")
        if heartbeat_s:
            lasts_s = -(-11 * heartbeat_s // 10)
            why = "said by the store: its heartbeat and a tenth"
        else:
            why = "guessed; CHECK: does a value hold until the next one is written?"
            yield "valid_for", "until_changed", why
    elif rhythm.longest_s is not None and rhythm.longest_s > step_s:
        lasts_s = ceil(rhythm.longest_s / step_s + 0.5) * step_s
        why = f"measured: 99 % of values follow within {rhythm.longest_s:.0f} s"
    if lasts_s:
        yield "valid_for", written_duration(lasts_s), why


def signal_remark(
    name: str,
    unit: str | None,
    series: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
    *,
    are_texts: bool = False,
) -> str:
    """What to ask about a channel whose values look like those of no gauge; empty: nothing.

    Parameters
    ----------
    series : times in seconds and known values of each series, in the order of time; of texts
        numbers that stand for them.

    >>> signal_remark("kwh", None, [(np.arange(40.0), np.floor(np.arange(40) ** 1.1))])
    'CHECK: a counter? signal: counter (100.0% of 39 differences do not fall; its name kwh)'
    """
    events = proposed_events(name, series, are_texts=are_texts)
    if events or are_texts:
        return visible(f"CHECK: events? {events}" if events else "")
    values = [known for _, known in series]
    proposed = proposed_signal(name, unit, values)
    if proposed:
        return f"CHECK: {'an angle' if 'angle' in proposed else 'states'}? {proposed}"
    in_us = [((1e6 * times).astype(np.int64), known) for times, known in series]
    if proposed := proposed_ticks(in_us):
        return visible(f"CHECK: a row a tick? {proposed}")
    if proposed := proposed_total(name, unit, series):
        return visible(f"CHECK: a counter? {proposed}")
    if proposed := proposed_countdown(name, unit, values):
        return visible(f"CHECK: {proposed}")
    return ""


def training_lines(oldest_at: datetime | None, now_at: datetime) -> Iterator[str]:
    """A training learns from what there is, as long as it is less than the default."""
    wanted = timedelta(days=_TRAINING_DAYS)
    if oldest_at is None or now_at - oldest_at >= wanted:
        return
    days, whole_at = max((now_at - oldest_at).days, 1), oldest_at + wanted
    yield "training:"
    why = f"measured: values begin on {oldest_at:%Y-%m-%d}; take it out from {whole_at:%Y-%m-%d} on"
    yield f"  range: {days}d  # {why}"


def _told(channels: Sequence[_Channel], now_at: datetime, *, has_archive: bool) -> Iterator[str]:
    silent = [one.name for one in channels if not one.rhythm.n_values]
    if silent:
        few = ", ".join(silent[:5])
        yield f"CHECK: no value in the last week: {few}" + (" and more" if silent[5:] else "") + "."
    kept = [one.keeps_s for channel in channels for one in channel.series if one.keeps_s]
    if kept and min(kept) < _TRAINING_DAYS * 86400:
        days = min(kept) / 86400
        at = now_at + timedelta(days=_TRAINING_DAYS - days)
        short = [one.name for one in channels if min(kept) in {of.keeps_s for of in one.series}]
        few = ", ".join(short[:3]) + (" and more" if short[3:] else "")
        of = f" of {few}" if len(short) < len(channels) else ""
        yield (
            f"The store keeps {days:g} days{of}; what is read stays here, so that a training has "
            f"its {_TRAINING_DAYS} days on {at:%Y-%m-%d} if reading begins today."
        )
        if has_archive:
            yield "Its archive of hours reaches further back: tsad datasets draft … --archive."


def cost(n_series: int, step_s: int) -> str:
    """What so many series cost, by what the demo's and the benchmark's cost."""
    n_an_hour = n_series * 3600 / step_s
    megabytes, cpu_s = n_an_hour * 720 * _BYTES / 1e6, _RUN_S + n_an_hour * _VALUE_S
    size = "less than 1" if megabytes < 1 else f"{megabytes:,.0f}"
    return (
        f"Estimated for {n_series:,} series at {written_duration(step_s)}: {size} MB a "
        f"month in the warehouse, {cpu_s:,.0f} CPU-seconds an hour to read and score."
    )


def _tags_text(recipe: Recipe, series: Sequence[Series], names: Mapping[str, str]) -> str:
    """The tags file, with the store's own name where the channel has another."""
    has_times = any(one.valid_from or one.valid_to for one in series)
    times = ["valid_from", "valid_to"] * has_times
    lines = [[*recipe.columns, "entity", "channel", "unit", *times, "source_name"]]
    for one in series:
        span = [at.isoformat() if at else "" for at in (one.valid_from, one.valid_to)] * has_times
        mine = names[one.channel]
        theirs = one.channel if mine != one.channel else ""
        lines.append([*one.series, one.entity, mine, one.unit or "", *span, theirs])
    return csv_text(lines)


def csv_text(lines: Iterable[Sequence[str]]) -> str:
    """A CSV file of these cells."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def dataset_name(text: str) -> str:
    """A name that a dataset may have, of any text.

    >>> dataset_name("Linux servers/Berlin"), dataset_name("7 pumps")
    ('linux_servers_berlin', 'd_7_pumps')
    """
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:40] or "dataset"
    return name if name[0].isalpha() else f"d_{name}"
