"""Whether rows are events, and how many a step has of them: proposed with the evidence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.config import DatasetConfig
from tsad_tasks.config.written import written_duration

Float = NDArray[np.float64]

# Events come at random: gaps scatter by about their mean, those of a clock by nearly nothing.
_MIN_GAPS, _IRREGULAR = 20, 0.5
# What is written when it changes differs from the row before it; of events so much of what chance
# brings, at least and, where no name says that they are, at most, is the same again.
_LEAST_AGAIN, _MOST_AGAIN = 0.5, 1.5
_NAMES = re.compile(
    r"(?<![a-z])(code|errors?|err|events?|faults?|alarms?|exception|warnings?|messages?|msg|login|"
    r"logins|reason)(?![a-z])",
    re.IGNORECASE,
)
# A step that holds fewer events than this on average says next to nothing, one that holds so many
# can be told from its neighbours.
RARE, ENOUGH = 0.05, 0.2
STEPS_S = (60, 120, 300, 600, 900, 1200, 1800, 3600)


def proposed_events(
    name: str, series: Sequence[tuple[Float, Float]], *, are_texts: bool = False
) -> str:
    """What to write of a channel whose rows look like events, and why; empty: they do not.

    Rows of events come when they do, and say one of a few things, again and again. `series` are
    times in seconds and known values of each series, in the order of time; of texts any numbers
    that stand for them.

    >>> times = np.cumsum(np.arange(30.0) ** 2 % 37)
    >>> proposed_events("x", [(times, np.ones(30))])
    'signal: event_count (30 rows all say 1, and come irregularly)'
    >>> proposed_events("error_code", [(times, np.arange(30) // 2 % 3 + 500.0)])
    'signal: event_count (30 rows say 3 codes, 15 the same as the row before, and come irregularly)'
    >>> proposed_events("valve", [(times, np.arange(30) % 2 * 1.0)])
    ''
    """
    gaps = np.concatenate([np.diff(times) for times, _ in series] or [np.zeros(0)])
    every = np.concatenate([values for _, values in series] or [np.zeros(0)])
    if len(gaps) < _MIN_GAPS or gaps.mean() <= 0 or gaps.std() < _IRREGULAR * gaps.mean():
        return ""
    codes, of_code = np.unique(every, return_counts=True)
    n_again = sum(int(np.count_nonzero(np.diff(values) == 0)) for _, values in series)
    if len(codes) > 1 and not _come_by_chance(name, every, of_code, n_again, are_texts=are_texts):
        return ""
    if len(codes) == 1:
        what = "all say the same" if are_texts else f"all say {codes[0]:g}"
    else:
        kind = "texts" if are_texts else "codes"
        what = f"say {len(codes)} {kind}, {n_again:,} the same as the row before,"
    n_same = int(np.count_nonzero(gaps == 0))
    same = f", {n_same:,} with the time of another one" * bool(n_same)
    return f"signal: event_count ({len(every):,} rows {what}{_and(what)} come irregularly{same})"


def _and(what: str) -> str:
    return " and" if what.endswith(",") else ", and"


def _come_by_chance(
    name: str, values: Float, of_code: NDArray[np.intp], n_again: int, *, are_texts: bool
) -> bool:
    """Whether codes follow one another as events do: neither as levels, nor as states."""
    is_named = bool(_NAMES.search(name))
    if not (are_texts or is_named) or 2 * len(of_code) > len(values):
        return False
    if not are_texts and (values != np.rint(values)).any():
        return False
    by_chance = float(np.sum((of_code / len(values)) ** 2)) * len(values)
    is_often = is_named or n_again <= _MOST_AGAIN * by_chance
    return is_often and n_again >= max(1.0, _LEAST_AGAIN * by_chance)


class Rate(NamedTuple):
    """So many events in so long, of all entities together."""

    n_events: int
    seconds: float


def rare_events(config: DatasetConfig, name: str, rate: Rate) -> str:
    """What to say of events of which nearly no step has one; empty: enough have, or no step may be
    longer.

    >>> channels = {"errors": {"signal": "event_count"}}
    >>> source = {"connection": "x", "tables": "x", "entity": {"column": "m"}, "step": "1min"}
    >>> source |= {"time": {"column": "at"}, "channels": channels}
    >>> config = DatasetConfig.model_validate({"dataset": "x", "source": source})
    >>> rare_events(config, "errors", Rate(7, 7 * 86400.0))[:71]
    'errors: 7 events in 7 days of one machine, the step is 60 s: 1 of 1,440'
    """
    longer = [one for one in STEPS_S if config.step_s < one <= config.interval_s]
    of_step = rate.n_events * config.step_s / rate.seconds if rate.seconds > 0 else RARE
    if of_step >= RARE or not longer:
        return ""
    enough = [one for one in longer if of_step * one / config.step_s >= ENOUGH]
    step_s = enough[0] if enough else longer[-1]
    share = f"1 of {1 / of_step:,.0f} steps has one" if of_step else "no step has one"
    then = f" (1 of {max(1.0, config.step_s / of_step / step_s):,.0f})" if of_step else ""
    return (
        f"{name}: {rate.n_events:,} events in {rate.seconds / 86400:.3g} days of one machine, the "
        f"step is {config.step_s} s: {share}, of which little can be learned. Set step: "
        f"{written_duration(step_s)}{then}; where other channels want the shorter one, in a "
        "dataset of their own."
    )
