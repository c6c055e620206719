"""What channels may be, as their rows look: proposed with the evidence, and never set.

That values only grow is no proof of a total: a tank fills, a battery charges, a clock runs. What
grows for a week is no tank, what grows evenly is a clock, and names and units say the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.enums import Signal
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.sources.base import HOUR_US, Source, SourceRows

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
# A clock's rates differ by no more than this share.
_EVEN = 0.01
_SAMPLED_ENTITIES = 20


class _Course(NamedTuple):
    """How a channel went, over some entities: numbers of differences."""

    n: int
    n_rising: int
    n_falling: int
    n_resets: int
    n_to_zero: int
    is_even: bool

    @property
    def grows(self) -> bool:
        others = self.n_falling - self.n_resets
        share = 1 - others / max(1, self.n)
        return self.n >= _MIN_ROWS and share >= _GROWING and self.n_rising >= _MIN_RISING * self.n


def signal_proposals(
    config: DatasetConfig, source: Source, rows: SourceRows, span_us: tuple[int, int]
) -> Iterator[str]:
    """What each channel that says nothing may be, of rows of a span; and of counters that tick
    less than once a step.
    """
    earlier: list[SourceRows] | None = None
    for position, (name, channel) in enumerate(config.channels.items()):
        series = _series(rows, position, span_us)
        if channel.is_counter:
            yield from _ticks(config, name, series)
        elif channel.aggregate == "count" and channel.signal is Signal.GAUGE:
            yield from _events(name, rows, span_us)
        elif channel.signal is Signal.GAUGE and (course := _course(series)).grows:
            if _OTHER.search(name) or course.is_even:
                continue
            if earlier is None:
                starts = [span_us[1] - (ago_h + 1) * HOUR_US for ago_h in _AGO_H]
                earlier = [source.read(at, at + HOUR_US) for at in starts]
            yield from _total(config, name, position, course, series, earlier)


def _series(
    rows: SourceRows, position: int, span_us: tuple[int, int] | None
) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Times and values of a channel of some entities, in order of time."""
    column = rows.values if rows.channel is not None else rows.values[:, position]
    chosen = np.isfinite(column) & (rows.entity >= 0)
    if rows.channel is not None:
        chosen &= rows.channel == position
    if span_us is not None:
        chosen &= rows.times_us >= span_us[0]
    whose = rows.entity if rows.tag is None else rows.tag
    found = []
    for key in np.unique(whose[chosen])[:_SAMPLED_ENTITIES].tolist():
        own = np.flatnonzero(chosen & (whose == key))
        own = own[np.argsort(rows.times_us[own], kind="stable")]
        found.append((rows.times_us[own], column[own]))
    return found


def _course(series: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]]) -> _Course:
    counts, rates = np.zeros(5, np.int64), list[NDArray[np.float64]]()
    for times_us, values in series:
        rise, before, apart_us = np.diff(values), values[:-1], np.diff(times_us)
        is_reset = (rise < 0) & (values[1:] <= _RESET_SHARE * before)
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
    return _Course(n, n_rising, n_falling, n_resets, n_to_zero, is_even)


def _total(
    config: DatasetConfig,
    name: str,
    position: int,
    course: _Course,
    series: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]],
    earlier: Sequence[SourceRows],
) -> Iterator[str]:
    unit = (config.channels[name].unit or "").lower()
    hint = f"its name {name}" if _TOTAL.search(name) else ""
    hint = hint or (f"its unit {config.channels[name].unit}" if unit in _UNITS else "")
    levels = [[np.median(values) for _, values in _series(one, position, None)] for one in earlier]
    levels.append([np.median(values) for _, values in series])
    known = [float(np.median(one)) for one in levels if one]
    lasting = len(known) == len(levels) and known == sorted(set(known))
    if not (hint or lasting or course.n_to_zero):
        return
    # What is given back by day falls then: a total of what was taken less what was given.
    before = [_course(_series(one, position, None)) for one in earlier]
    if any(one.n_falling - one.n_resets > _MIN_FALLING * one.n for one in before if one.n):
        return
    share = 1 - course.n_falling / max(1, course.n)
    said = [f"{share:.1%} of {course.n:,} differences do not fall"]
    if course.n_falling:
        said.append(f"{course.n_falling} falls, {course.n_to_zero} of them to 0")
    if lasting:
        said.append("it has grown for a week")
    said += [hint] * bool(hint)
    yield (
        f"{name} may be a total that counts up ({'; '.join(said)}). If so, say signal: counter: "
        "what is consumed is stored then, and the total judged no more."
    )


def _events(name: str, rows: SourceRows, span_us: tuple[int, int]) -> Iterator[str]:
    inside = rows.times_us >= span_us[0]
    keys = np.stack([rows.entity[inside], rows.times_us[inside]])
    n_same = keys.shape[1] - np.unique(keys, axis=1).shape[1]
    yield (
        f"{name} counts rows, of which {n_same:,} of {keys.shape[1]:,} have the time of another "
        "one, and give way to it. If rows are events, say signal: event_count: each counts, and "
        "where there is none it is 0."
    )


def _ticks(
    config: DatasetConfig,
    name: str,
    series: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]],
) -> Iterator[str]:
    """A longer step for a meter that ticks less than once a step."""
    apart, step_us = list[float](), config.step_s * 1_000_000
    for times_us, values in series:
        rises = np.flatnonzero(np.diff(values) > 0) + 1
        if len(rises) >= 3:
            apart.append(float(np.median(np.diff(times_us[rises]))))
    longest_us = max(apart, default=0.0)
    if longest_us > 1.5 * step_us:
        yield (
            f"{name} ticks every {longest_us / 1e6:,.0f} s, the step is {config.step_s} s: most "
            "steps show nothing, and some a whole tick. Set a step of several ticks."
        )
