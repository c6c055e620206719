"""What channels may be, as their rows look: proposed with the evidence, and never set.

That values only grow is no proof of a total: a tank fills, a battery charges, a clock runs. What
grows for a week is no tank, what grows evenly is a clock, and names and units say the rest.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.enums import Signal
from tsad_tasks.config import DatasetConfig
from tsad_tasks.config.written import written_duration
from tsad_tasks.ingest.proposed_events import STEPS_S, Rate, proposed_events, rare_events
from tsad_tasks.ingest.proposed_widths import Width, is_wrap_of, proposed_width
from tsad_tasks.ingest.sources.base import HOUR_US, Source, SourceRows, open_source

_TOTAL = re.compile(
    r"total|count|kwh|mwh|energy|meter|consum|bytes|packets|octets|pulse|impulse|zähler|zaehler",
    re.IGNORECASE,
)
_UNITS = {"kwh", "mwh", "wh", "gwh", "kvarh", "kvah"}
_OTHER = re.compile(
    r"level|tank|fill|battery|charge|soc\b|uptime|age\b|since|clock|epoch|seq", re.IGNORECASE
)
# Of the differences so many do not fall but for resets; one is to at most this share of before.
_GROWING, _RESET_SHARE = 0.999, 0.02
# Hours so long ago are looked at as well, of several times of day: what is filled or charged every
# day has been at each of its levels before.
_AGO_H = (168, 61, 29, 11)
_MIN_ROWS, _MIN_RISING, _MIN_FALLING = 30, 0.05, 0.05
# What a total that counts down is filled up by is so many of its usual falls.
_FILLED = 20
# A clock's rates differ by no more than this share.
_EVEN = 0.01
_SAMPLED_ENTITIES = 20
# Fewer ticks in a step scatter by half of what they are; a rise is whole ticks but for so much.
_ENOUGH_TICKS, _MIN_TICKS, _WHOLE = 5, 3, 0.02
# Rows at each tick come irregularly, and but for resets each counts the same.
_IRREGULAR, _MOST_TICKS = 0.3, 0.98
# Of events so few one looks further back, so many hours, while the source has no more rows of them.
_ENOUGH_ROWS = 100
_FEW_EVENTS, _FURTHER_H, _MANY_ROWS = 20, (24, 96, 384, 672), 2_000
_MOST_ROWS = 200_000


_TOTALS = (Signal.GAUGE, Signal.COUNTER)


class _Course(NamedTuple):
    """How a channel went, over some entities: numbers of differences."""

    n: int
    n_rising: int
    n_falling: int
    n_resets: int
    n_to_zero: int
    is_even: bool
    width: Width | None

    @property
    def grows(self) -> bool:
        others = self.n_falling - self.n_resets
        share = 1 - others / max(1, self.n)
        return self.n >= _MIN_ROWS and share >= _GROWING and self.n_rising >= _MIN_RISING * self.n


def signal_proposals(
    config: DatasetConfig, source: Source, rows: SourceRows, span_us: tuple[int, int]
) -> Iterator[str]:
    """What each channel that says nothing may be, of rows of a span; and of counters that tick
    less than once a step, and events of which few steps have one.
    """
    earlier: list[SourceRows] | None = None
    for position, (name, channel) in enumerate(config.channels.items()):
        series = _series(rows, position, span_us)
        if channel.signal in _TOTALS and (said := proposed_ticks(series)):
            yield (
                f"{name} looks like rows of ticks: {_evidence(said)}. Is it {_key(said)}? Each row "
                "counts then, and no row is 0; as a counter, steps without one are unknown."
            )
        elif channel.is_counter:
            yield from _ticks(config, name, series)
            yield from _falls_of_declared(config, name, series)
        elif channel.counts_events:
            if said := rare_events(config, name, _rate_of(source, rows, position, span_us)):
                yield said
        elif channel.aggregate == "count" and channel.signal is Signal.GAUGE:
            yield from _events(name, rows, span_us)
        elif channel.signal is Signal.GAUGE and (course := _course(series)).grows:
            if _OTHER.search(name) or course.is_even:
                continue
            if earlier is None:
                starts = [span_us[1] - (ago_h + 1) * HOUR_US for ago_h in _AGO_H]
                earlier = [source.read(at, at + HOUR_US) for at in starts]
            levels = _levels(rows, position, span_us)
            yield from _total(config, name, position, course, levels, earlier)
        elif channel.signal is Signal.GAUGE and (said := _countdown(name, channel.unit, series)):
            yield f"{name} may be {said}"


def _series(
    rows: SourceRows, position: int, span_us: tuple[int, int] | None
) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Times and values of a channel of some entities, in order of time."""
    return [(times_us, values) for _, times_us, values in _keyed_series(rows, position, span_us)]


def _keyed_series(
    rows: SourceRows, position: int, span_us: tuple[int, int] | None
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float64]]]:
    """The same with the number of the entity, or of the tag."""
    column = rows.values if rows.channel is not None else rows.values[:, position]
    chosen = np.isfinite(column) & (rows.entity >= 0)
    if rows.channel is not None:
        chosen &= rows.channel == position
    if span_us is not None:
        chosen &= rows.times_us >= span_us[0]
    whose = rows.entity if rows.tag is None else rows.tag
    for key in np.unique(whose[chosen])[:_SAMPLED_ENTITIES].tolist():
        own = np.flatnonzero(chosen & (whose == key))
        own = own[np.argsort(rows.times_us[own], kind="stable")]
        yield key, rows.times_us[own], column[own]


def event_proposals(
    config: DatasetConfig, uri: str, source: Source, rows: SourceRows, span_us: tuple[int, int]
) -> dict[str, str]:
    """What to write of gauges whose rows look like events, of numbers or texts, by channel; of a
    source of few rows those before the span say so, too.
    """
    found = dict[str, str]()
    for hours in _FURTHER_H:
        if np.count_nonzero(rows.times_us >= span_us[0]) > _ENOUGH_ROWS:
            break
        span_us = span_us[1] - hours * HOUR_US, span_us[1]
        rows = source.read(*span_us)
    for position, (name, channel) in enumerate(config.channels.items()):
        if channel.signal is not Signal.GAUGE or channel.aggregate == "count":
            continue
        series, are_texts = _series(rows, position, span_us), False
        if not series and _has_texts(rows, position):
            series, are_texts = _series_of_texts(config, uri, name, span_us), True
        known = [(times_us / 1e6, values) for times_us, values in series]
        if said := proposed_events(name, known, are_texts=are_texts):
            found[name] = said
    return found


def looked_further(source: Source, rows: SourceRows, span_us: tuple[int, int]) -> SourceRows:
    """Rows of up to four weeks before the end of a span, of which `rows` are: as long as there are
    not too many.
    """
    hours = (span_us[1] - span_us[0]) / HOUR_US
    n_an_hour = np.count_nonzero(rows.times_us >= span_us[0]) / hours
    longer = [one for one in _FURTHER_H if one > hours and one * n_an_hour <= _MOST_ROWS]
    return source.read(span_us[1] - longer[-1] * HOUR_US, span_us[1]) if longer else rows


def _has_texts(rows: SourceRows, position: int) -> bool:
    """Whether some value of the channel is no number."""
    values = (
        rows.values[:, position] if rows.channel is None else rows.values[rows.channel == position]
    )
    return bool(np.isneginf(values).any())


def _series_of_texts(
    config: DatasetConfig, uri: str, name: str, span_us: tuple[int, int]
) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Times of a channel's texts and a number for each text, of some entities."""
    source, channel = config.source, config.channels[name]
    column = channel.column or name if source.channel_column is None else source.value_columns[0]
    events = channel.model_copy(update={"signal": Signal.EVENT_COUNT, "event_id": column})
    alone = config.model_copy(
        update={"sources": (source.model_copy(update={"channels": {name: events}}),)}
    )
    with open_source(uri, alone) as opened:
        rows = opened.read(*span_us)
    if rows.event is None:
        return []
    texts = np.unique(rows.event, return_inverse=True)[1].astype(np.float64)
    values = texts if rows.channel is not None else texts[:, None]
    return _series(replace(rows, values=values), 0, span_us)


def _rate_of(source: Source, rows: SourceRows, position: int, span_us: tuple[int, int]) -> Rate:
    """Events of a machine in as long as it takes to see some."""
    found = _rate(rows, position, span_us)
    for hours in _FURTHER_H:
        if found.n_events >= _FEW_EVENTS or len(rows.times_us) > _MANY_ROWS:
            break
        span_us = span_us[1] - hours * HOUR_US, span_us[1]
        rows = source.read(*span_us)
        found = _rate(rows, position, span_us)
    return found


def _rate(rows: SourceRows, position: int, span_us: tuple[int, int]) -> Rate:
    """Events of a machine, after a first one, from the first row of any to the last."""
    inside = (rows.times_us >= span_us[0]) & (rows.entity >= 0)
    if not inside.any():
        return Rate(0, 0.0)
    n_entities = len(np.unique(rows.entity[inside]))
    n_events = sum(len(times_us) - 1 for times_us, _ in _series(rows, position, span_us))
    seconds = float(np.ptp(rows.times_us[inside])) / 1e6
    return Rate(n_events, seconds * min(n_entities, _SAMPLED_ENTITIES))


def _course(series: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]]) -> _Course:
    counts, rates = np.zeros(5, np.int64), list[NDArray[np.float64]]()
    width = proposed_width([values for _, values in series])
    for times_us, values in series:
        rise, before, apart_us = np.diff(values), values[:-1], np.diff(times_us)
        is_reset = (rise < 0) & (values[1:] <= _RESET_SHARE * before)
        if width is not None:
            is_reset |= is_wrap_of(width.wraps_at, values)
        to_zero = is_reset & (values[1:] == 0)
        kinds = (rise, rise > 0, rise < 0, is_reset, to_zero)
        counts += [len(kinds[0]), *(int(one.sum()) for one in kinds[1:])]
        counted = (apart_us > 0) & (rise >= 0)
        rates.append(rise[counted] / apart_us[counted])
    every = np.concatenate(rates) if rates else np.zeros(0)
    middle = float(np.median(every)) if len(every) else 0.0
    spread = float(np.percentile(np.abs(every - middle), 90)) if len(every) else 0.0
    is_even = middle > 0 and spread <= _EVEN * middle
    n, n_rising, n_falling, n_resets, n_to_zero = counts.tolist()
    return _Course(n, n_rising, n_falling, n_resets, n_to_zero, is_even, width)


def _total(
    config: DatasetConfig,
    name: str,
    position: int,
    course: _Course,
    levels: Mapping[Hashable, float],
    earlier: Sequence[SourceRows],
) -> Iterator[str]:
    """`levels` are now those of each meter, `earlier` rows of some hours before, in their order."""
    hint = _hint(name, config.channels[name].unit)
    lasting = _has_grown([*(_levels(one, position) for one in earlier), levels])
    if not (hint or lasting or course.n_to_zero or course.width):
        return
    # What is given back by day falls then: a total of what was taken less what was given.
    before = [_course(_series(one, position, None)) for one in earlier]
    if any(one.n_falling - one.n_resets > _MIN_FALLING * one.n for one in before if one.n):
        return
    said = [*_falls(course)]
    if lasting:
        said.append("it has grown for a week")
    said += [hint] * bool(hint)
    yield (
        f"{name} may be a total that counts up ({'; '.join(said)}). If so, say "
        f"{_written(course)}: what is consumed is stored then, and the total judged no more."
    )


def _levels(
    rows: SourceRows, position: int, span_us: tuple[int, int] | None = None
) -> dict[Hashable, float]:
    """The median of a channel's values of each series, by what the source calls it."""
    found = dict[Hashable, float]()
    for key, _, values in _keyed_series(rows, position, span_us):
        name = rows.entity_names[key] if rows.tag is None else rows.tags[key].series
        found[name] = float(np.median(values))
    return found


def _has_grown(levels: Sequence[Mapping[Hashable, float]]) -> bool:
    """Whether most of what was there each time was higher each time; of a few meters some may have
    begun anew meanwhile.
    """
    always = [key for key in levels[-1] if all(key in one for one in levels)]
    courses = [[one[key] for one in levels] for key in always]
    n_grown = sum(course == sorted(set(course)) for course in courses)
    return n_grown > len(courses) / 2


def _events(name: str, rows: SourceRows, span_us: tuple[int, int]) -> Iterator[str]:
    inside = rows.times_us >= span_us[0]
    keys = np.stack([rows.entity[inside], rows.times_us[inside]])
    n_same = keys.shape[1] - np.unique(keys, axis=1).shape[1]
    yield (
        f"{name} counts rows, of which {n_same:,} of {keys.shape[1]:,} have the time of another "
        "one, and give way to it. If rows are events, say signal: event_count: each counts, and "
        "where there is none it is 0."
    )


def proposed_total(
    name: str,
    unit: str | None,
    series: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> str:
    """What to write of a channel that looks like a total that counts up, and why; empty: it does
    not. `series` are times in seconds and known values of each series, in the order of time.

    >>> proposed_total("kwh", None, [(np.arange(40.0), np.floor(np.arange(40) ** 1.1))])
    'signal: counter (100.0% of 39 differences do not fall; its name kwh)'
    >>> proposed_total("tank", None, [(np.arange(40.0), np.floor(np.arange(40) ** 1.1))])
    ''
    """
    course = _course([((1e6 * times).astype(np.int64), values) for times, values in series])
    hint = _hint(name, unit)
    if not course.grows or course.is_even or _OTHER.search(name):
        return ""
    if not (hint or course.n_to_zero or course.width):
        return ""
    return f"{_written(course)} ({'; '.join([*_falls(course), *[hint] * bool(hint)])})"


def proposed_countdown(name: str, unit: str | None, series: Sequence[NDArray[np.float64]]) -> str:
    """What to write of a channel that looks like a total that counts down, and why; empty: it does
    not.

    >>> proposed_countdown("credit_kwh", None, [500 - np.floor(np.arange(40) ** 1.1)])[:67]
    'a total that counts down (100.0% of 39 differences do not rise; its'
    """
    return _countdown(name, unit, [(np.arange(len(one)), one) for one in series])


def _countdown(
    name: str, unit: str | None, series: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]]
) -> str:
    """A total that counts down and is filled up now and then, such as a credit."""
    hint = _hint(name, unit)
    every = np.concatenate([np.diff(values) for _, values in series] or [np.zeros(0)])
    falls = -every[every < 0]
    if not hint or _OTHER.search(name) or len(every) < _MIN_ROWS:
        return ""
    if len(falls) < _MIN_RISING * len(every):
        return ""
    rises = every[every > 0]
    n_filled = int((rises >= _FILLED * np.median(falls)).sum())
    share = 1 - (len(rises) - n_filled) / len(every)
    if share < _GROWING:
        return ""
    filled = f", but for {n_filled} by which it is filled up" * bool(n_filled)
    return (
        f"a total that counts down ({share:.1%} of {len(every):,} differences do not rise{filled}; "
        f"{hint}). If so, turn its sign by a query, and say signal: counter."
    )


def _written(course: _Course) -> str:
    """How a dataset file says what such totals are."""
    return "signal: counter" + (f", wraps_at: {course.width.written}" if course.width else "")


def _key(said: str) -> str:
    """What a proposal says to write."""
    return said.partition(" (")[0]


def _evidence(said: str) -> str:
    """What a proposal has seen."""
    return said.partition(" (")[2].removesuffix(")")


def _hint(name: str, unit: str | None) -> str:
    """What of a channel's name or unit says that it is a total."""
    if _TOTAL.search(name):
        return f"its name {name}"
    return f"its unit {unit}" if (unit or "").lower() in _UNITS else ""


def _falls(course: _Course) -> Iterator[str]:
    share = 1 - course.n_falling / max(1, course.n)
    yield f"{share:.1%} of {course.n:,} differences do not fall"
    if course.width:
        yield f"it {course.width.evidence}"
    elif course.n_falling:
        yield f"{course.n_falling} falls, {course.n_to_zero} of them to 0"


def _falls_of_declared(
    config: DatasetConfig,
    name: str,
    series: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]],
) -> Iterator[str]:
    """What a declared counter does that its declaration does not say."""
    course = _course(series)
    if course.n >= _MIN_ROWS and course.n_falling > max(course.n_rising, course.n / 2):
        yield (
            f"{name} falls in {course.n_falling:,} of {course.n:,} differences, while signal: "
            "counter is a total that counts up. One that counts down, such as a credit, counts up "
            "once a query turns its sign; what goes up and down is no total."
        )
    elif course.width and config.channels[name].wraps_at is None:
        yield (
            f"{name} {course.width.evidence}: a register that is full then? If so, say wraps_at: "
            f"{course.width.written}; a step then has what was consumed, not only what it has at "
            "least."
        )


def _ticks(
    config: DatasetConfig,
    name: str,
    series: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]],
) -> Iterator[str]:
    """A longer step for a meter of which a step holds few ticks: which of them fall into it is most
    of what it shows.
    """
    found = [tick for times_us, values in series if (tick := _tick_of(times_us, values))]
    if not found:
        return
    size, apart_s = max(found, key=lambda tick: tick[1])
    if apart_s * _ENOUGH_TICKS <= config.step_s:
        return
    longer = [one for one in STEPS_S if one <= config.interval_s]
    enough = [one for one in longer if one >= apart_s * _ENOUGH_TICKS]
    step_s = enough[0] if enough else longer[-1]
    step = written_duration(step_s)
    what = f"Set step: {step}" if step_s > config.step_s else f"No step is longer than {step}"
    per = config.channels[name].per
    rate = "; per: hour says what it then shows in numbers that people know"
    yield (
        f"{name} ticks every {apart_s:,.0f} s, by {size:g}, the step is {config.step_s} s: it "
        f"holds {config.step_s / apart_s:.1f} ticks, and which fall into it is most of what it "
        f"shows. {what} ({step_s / apart_s:.1f} ticks){rate if per == 'second' else ''}."
    )


def _is_irregular(times_us: NDArray[np.int64]) -> bool:
    gaps = np.diff(times_us).astype(np.float64)
    return bool(len(gaps) and gaps.mean() > 0 and gaps.std() >= _IRREGULAR * gaps.mean())


def proposed_ticks(series: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]]) -> str:
    """What to write of a total of which each row is one tick, and why; empty: it is none.

    Such a meter writes nothing while nothing is consumed: no row is then 0, and no gap.

    >>> times_us = 1_000_000 * np.cumsum(np.arange(40) ** 2 % 37)
    >>> proposed_ticks([(times_us, 100 + 10.0 * np.arange(40))])
    'signal: event_count (each of 40 rows counts 10 more, and they come irregularly)'
    >>> proposed_ticks([(60_000_000 * np.arange(40), 100 + 10.0 * np.arange(40))])
    ''
    """
    rises = np.concatenate([np.diff(values) for _, values in series] or [np.zeros(0)])
    n_rows = sum(len(values) for _, values in series)
    if len(rises) < _MIN_ROWS or not any(_is_irregular(times_us) for times_us, _ in series):
        return ""
    tick = float(np.median(rises))
    is_tick = np.abs(rises - tick) <= _WHOLE * tick
    if tick <= 0 or is_tick.mean() < _MOST_TICKS:
        return ""
    return (
        f"signal: event_count (each of {n_rows:,} rows counts {tick:g} more, and they come "
        "irregularly)"
    )


def _tick_of(
    times_us: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[float, float] | None:
    """By how much a total grows at a time, and how many seconds apart; None: not by whole ticks."""
    differences = np.diff(values)
    rises = differences[differences > 0]
    # What rises by the same at even times may do so by one tick, or by thousands.
    is_even = np.ptp(differences[differences >= 0]) == 0 and not _is_irregular(times_us)
    if len(rises) < _MIN_TICKS or is_even:
        return None
    size = float(rises.min())
    n_ticks = rises / size
    if np.abs(n_ticks - np.rint(n_ticks)).max() > _WHOLE:
        return None
    return size, float(times_us[-1] - times_us[0]) / 1e6 / float(np.rint(n_ticks).sum())
