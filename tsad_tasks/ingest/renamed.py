"""Series that are called otherwise from some time on: what they said before holds by the new name.

The map of series to names is that of the hour: what a series said under its old name ends when that
does, and holds on as what the new one says it is, though the series has no row at that moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.ingest.sources.base import SourceRows

Index = NDArray[np.intp]

# A row of the source at the same moment counts, whenever it was changed.
_BEFORE_ALL = np.iinfo(np.int64).min
# Which row says something again, by which tag, when, and whether it says that there is no value.
_Said = tuple[int, int, int, bool]


def renamed_rows(rows: SourceRows, until_us: int) -> SourceRows | None:
    """Rows at the moments before `until_us` at which names of series begin and end; None for none.

    They are no rows of the source, and are not to be counted.
    """
    said = [*_said_again(rows, until_us)] if rows.tag is not None else []
    if not said:
        return None
    row, tag = np.array([one[0] for one in said]), np.array([one[1] for one in said])
    entity = {name: position for position, name in enumerate(rows.entity_names)}
    channel = {name: position for position, name in enumerate(rows.channel_names)}
    is_end = np.array([one[3] for one in said])
    nothing = np.zeros(len(said), bool)
    return replace(
        rows,
        times_us=np.array([one[2] for one in said], np.int64),
        entity=np.array([entity[rows.tags[at].entity] for at in tag.tolist()], np.intp),
        channel=np.array([channel[rows.tags[at].channel] for at in tag.tolist()], np.intp),
        updated_us=np.full(len(said), _BEFORE_ALL),
        label=nothing,
        values=np.where(is_end, np.nan, rows.values[row]),
        table=rows.table[row],
        ambiguous=nothing,
        nonexistent=nothing,
        unknown_label=None,
        bad=None if rows.bad is None else rows.bad[row],
        tag=tag.astype(np.intp),
        event=None if rows.event is None else np.zeros(len(said), np.int64),
    )


def _said_again(rows: SourceRows, until_us: int) -> Iterator[_Said]:
    assert rows.tag is not None
    order = np.argsort(rows.tag, kind="stable")
    found, starts = np.unique(rows.tag[order], return_index=True)
    rows_of = dict(zip(found.tolist(), np.split(order, starts[1:]), strict=False))
    for _, same in groupby(range(len(rows.tags)), lambda at: rows.tags[at].series):
        last: list[int] = []
        for at in same:
            tag, own = rows.tags[at], rows_of.get(at)
            if tag.start_us < until_us:
                yield from ((row, at, tag.start_us, False) for row in last)
            if own is not None:
                newest = own[rows.times_us[own] == rows.times_us[own].max()]
                changed_us = rows.updated_us[newest]
                last = newest[changed_us == changed_us.max()].tolist()
            if last and tag.end_us < until_us:
                yield last[0], at, tag.end_us, True
