"""What a source last said of a channel, for as long as it is valid.

A row's word holds from its own time until the next row of its series, the end of its validity, or
the silence of its entity; a row without a value has a word too, which is that there is none. So
what holds at a time follows from the rows up to it alone: from the last of each series, and, of its
entity, from that of any channel. No range has to be read from its beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.config import DatasetConfig

Float = NDArray[np.float64]
Int64 = NDArray[np.int64]
Index = NDArray[np.intp]

UNTIL_CHANGED = -1


@dataclass(frozen=True)
class Spans:
    """Times [start, end) of entities in microseconds since 1970, of each in order and apart."""

    entity: Index
    start_us: Int64
    end_us: Int64


@dataclass(frozen=True)
class Validity:
    """How long words hold.

    Attributes
    ----------
    valid_us : (n_channels,) from their own time; 0: in their step alone; `UNTIL_CHANGED`: while the
        entity is heard of.
    heard : when entities are; they are positions in the grid.
    until_us : what is not known yet holds nothing: no word goes on beyond this time.
    """

    valid_us: Int64
    heard: Spans
    until_us: int

    def of_series(self, channel: int, entity_of: Index) -> Validity:
        """Of one channel of which each series is on its own, (n_series,) of these entities."""
        heard = [np.flatnonzero(self.heard.entity == entity) for entity in entity_of.tolist()]
        own = np.repeat(np.arange(len(heard)), [len(one) for one in heard])
        at = np.concatenate(heard) if heard else np.zeros(0, np.intp)
        spans = Spans(own, self.heard.start_us[at], self.heard.end_us[at])
        return Validity(self.valid_us[[channel]], spans, self.until_us)


def valid_us_of(config: DatasetConfig) -> Int64:
    """How long words of each channel hold, (n_channels,), as `Validity` has it."""
    given = [channel.valid_for_s for channel in config.channels.values()]
    return np.array([UNTIL_CHANGED if isinstance(s, str) else s * 1_000_000 for s in given])


def heard_spans(entity: Index, times_us: Int64, silence_us: int) -> Spans:
    """When entities are heard of: from each of their rows for so long.

    >>> found = heard_spans(np.array([0, 0, 0]), np.array([0, 5, 30]), 10)
    >>> found.start_us.tolist(), found.end_us.tolist()
    ([0, 30], [15, 40])
    """
    order = np.lexsort((times_us, entity))
    whose, at_us = entity[order], times_us[order]
    is_apart = (np.diff(whose) != 0) | (np.diff(at_us) > silence_us)
    first = np.flatnonzero(np.append(len(order) > 0, is_apart))
    last = np.append(first[1:], len(order))[: len(first)] - 1
    return Spans(whose[first], at_us[first], at_us[last] + silence_us)


@dataclass(frozen=True)
class Pieces:
    """Parts of steps in which one word holds, of each entity in order of time.

    Attributes
    ----------
    word : (n_pieces,) which of the words.
    cell : (n_pieces,) position of the step, of all entities' laid end to end.
    weight : (n_pieces,) microseconds.
    at_end : (n_pieces,) it holds at the end of the step.
    """

    word: Index
    cell: Int64
    weight: Float
    at_end: NDArray[np.bool_]


def pieces(words: Spans, start_us: int, end_us: int, step_us: int) -> Pieces:
    """Words, each of which holds over a span within [start, end), cut at the steps of a grid."""
    first = (words.start_us - start_us) // step_us
    n_touched = (words.end_us - 1 - start_us) // step_us - first + 1
    word = np.repeat(np.arange(len(first)), n_touched)
    step = np.repeat(first, n_touched) + _counted(n_touched)
    step_start = start_us + step * step_us
    begin = np.maximum(words.start_us[word], step_start)
    end = np.minimum(words.end_us[word], step_start + step_us)
    cell = words.entity[word] * ((end_us - start_us) // step_us) + step
    return Pieces(word, cell, (end - begin).astype(np.float64), end == step_start + step_us)


def word_spans(
    entity: Index, times_us: Int64, valid_us: int, validity: Validity, start_us: int
) -> tuple[Index, Spans]:
    """Which of the words hold within [start, `until_us`), and when; one may hold more than once.

    `entity` and `times_us` (n_words,) are in order, each moment of an entity once.
    """
    begin = np.maximum(times_us, start_us)
    end = np.full(len(times_us), validity.until_us)
    is_followed = np.diff(entity) == 0
    end[:-1][is_followed] = np.minimum(times_us[1:], validity.until_us)[is_followed]
    if valid_us != UNTIL_CHANGED:
        end = np.minimum(end, times_us + valid_us)
    holds = np.flatnonzero(end > begin)
    found = Spans(entity[holds], begin[holds], end[holds])
    if valid_us != UNTIL_CHANGED:
        return holds, found
    within, common = _common(found, validity.heard, start_us, validity.until_us)
    return holds[within], common


def _common(spans: Spans, others: Spans, start_us: int, end_us: int) -> tuple[Index, Spans]:
    """Where spans, all within [start, end), and others have times in common, and which they are."""
    width = end_us - start_us + 1
    touches = (others.end_us > start_us) & (others.start_us < end_us)
    whose = others.entity[touches].astype(np.int64) * width - start_us
    begins = np.maximum(others.start_us[touches], start_us) + whose
    ends = np.minimum(others.end_us[touches], end_us) + whose
    own = spans.entity.astype(np.int64) * width - start_us
    first = np.searchsorted(ends, spans.start_us + own, side="right")
    n_common = np.searchsorted(begins, spans.end_us + own, side="left") - first
    span = np.repeat(np.arange(len(first)), n_common)
    other = np.repeat(first, n_common) + _counted(n_common)
    begin = np.maximum(spans.start_us[span], begins[other] - own[span])
    end = np.minimum(spans.end_us[span], ends[other] - own[span])
    return span, Spans(spans.entity[span], begin, end)


def _counted(numbers: Sequence[int] | Index | Int64) -> Int64:
    """0 to n − 1 for each of these numbers, one after the other.

    >>> _counted(np.array([2, 0, 3])).tolist()
    [0, 1, 0, 1, 2]
    """
    ends = np.cumsum(numbers)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - numbers, numbers)
