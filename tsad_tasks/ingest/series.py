"""What the source's series are called, kept with since when: an hour keeps the names that it had.

Who says what a series is (a tags file, a dictionary of the source) mostly says what it is now. So
the first name of a series holds from the beginning, and another one from the end of what had been
read when it was first seen: whichever hours are read after that, and in whatever order, each gets
the name of its time. A line that says its own times is taken at its word.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby, pairwise
from operator import attrgetter
from typing import NamedTuple

from tsad_tasks.base.interval import hour_ceil
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest import queries
from tsad_tasks.ingest.sources.base import (
    ALWAYS_US,
    HOUR_US,
    SERIES_JOINT,
    Tag,
    Uris,
    series_title,
    tags_said,
    uris_of,
)
from tsad_tasks.ingest.tally import Tally
from tsad_tasks.storage.datasets import lock_dataset
from tsad_tasks.storage.store import Store, columns

_EPOCH, _US = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
Name = tuple[str, str]


class HeldTags(NamedTuple):
    """Tags that hold, and the version of them by which it is seen that they do no longer.

    `former_version` is that of before something new was noted of them. `source` says where ids are
    from, and `rescaled` how those were scaled that are scaled otherwise since these tags.
    """

    tags: tuple[Tag, ...]
    version: int
    former_version: int
    source: str
    rescaled: tuple[queries.SeriesScale, ...] = ()


class HeldSeries(NamedTuple):
    """Tags that hold in each of a dataset's sources, None where it says what is what itself.

    `version` is None where all do. `scales` are those of series that were scaled otherwise once:
    scale and offset of each of a series' lines.
    """

    tags: Sequence[Sequence[Tag] | None]
    version: int | None
    scales: Mapping[str, Sequence[float]]


class Told(NamedTuple):
    """What became of a series, under which name, and what to say of it."""

    issue: str
    name: Name
    detail: str


def series_held(store: Store, config: DatasetConfig, dataset_id: int, uris: Uris) -> HeldSeries:
    """The tags by which hours are read from each of the dataset's sources; what is new is noted.

    Not inside a transaction.
    """
    while True:
        held = list[HeldTags | None]()
        for part, uri, name in uris_of(uris, config):
            say = partial(tags_said, uri, part, "" if len(config.parts) == 1 else name)
            of_part = store, part, dataset_id, _whose(part, name), say
            held.append(tags_held(*of_part) if part.source.series else None)
        noted = [one for one in held if one is not None]
        # A new version that is this run's own is no news: there are dictionaries that say
        # something else each time they are asked.
        if all(one.version == other.former_version for one, other in pairwise(noted)):
            tags = [(one and one.tags) or None for one in held]
            scales = _scales(store, dataset_id, noted) if noted else {}
            return HeldSeries(tags, noted[-1].version if noted else None, scales)


def _whose(part: DatasetConfig, name: str) -> str:
    """Of which source names are kept, of the one that is called so."""
    # One tags file says the same of each source of its connection, in whatever order.
    return name if part.source.tags is None else part.source.connection


def scales_said(
    store: Store, config: DatasetConfig, dataset_id: int, uris: Uris
) -> Mapping[str, Sequence[float]]:
    """The scales by which hours would be read now, as `HeldSeries` has them; nothing is noted."""
    held = list[HeldTags]()
    for part, uri, name in uris_of(uris, config):
        if part.source.series:
            said = tags_said(uri, part, "" if len(config.parts) == 1 else name)
            with store.transaction():
                held.append(_held(store, part, dataset_id, _whose(part, name), said)[0])
    return _scales(store, dataset_id, held) if held else {}


def _scales(store: Store, dataset_id: int, known: Sequence[HeldTags]) -> dict[str, Sequence[float]]:
    """Of series whose scale or offset was another once, by what they are called."""
    with store.transaction():
        first = store.rows(queries.SELECT_SERIES_SCALES, dataset_id=dataset_id)
    noted = {one[:4] for one in first}
    first += [row for one in known for row in one.rescaled if row[:4] not in noted]
    if not first:
        return {}
    now = {one.source: _measures(one.tags) for one in known}
    found = dict[str, Sequence[float]]()
    for row in first:
        measures = now.get(row.source, {}).get(row[1:4])
        if measures is not None and measures != row.measures:
            found[f"{series_title(row.series)} ({row.entity} {row.channel})"] = measures
    return found


def _measures(tags: Iterable[Tag]) -> dict[tuple[str, str, str], list[float]]:
    """Scale and offset of each line of a series under one name, by id, entity and channel."""
    found = dict[tuple[str, str, str], list[float]]()
    for tag in sorted(tags, key=attrgetter("series", "start_us")):
        key = SERIES_JOINT.join(tag.series), tag.entity, tag.channel
        found.setdefault(key, []).extend([tag.scale, tag.offset])
    return found


def rescaled(
    names: Sequence[Tag], stored: Sequence[Tag], until_us: int
) -> set[tuple[str, str, str]]:
    """Series, by id, entity and channel, whose values are scaled otherwise than what was read.

    >>> always = {"entity": "p1", "channel": "flow", "line": 0}
    >>> old, new = (Tag(("7",), scale=scale, offset=0.0, **always) for scale in (1.0, 0.1))
    >>> rescaled([new], [old], 9), rescaled([old], [old], 9)
    ({('7', 'p1', 'flow')}, set())
    """
    before = dict[tuple[str, str, str], list[Tag]]()
    for tag in stored:
        before.setdefault((SERIES_JOINT.join(tag.series), *_name(tag)), []).append(tag)
    found = set[tuple[str, str, str]]()
    for tag in names:
        key = SERIES_JOINT.join(tag.series), *_name(tag)
        for was in before.get(key, ()):
            is_other = (was.scale, was.offset) != (tag.scale, tag.offset)
            end_us = min(was.end_us, tag.end_us, until_us)
            if is_other and max(was.start_us, tag.start_us) < end_us:
                found.add(key)
    return found


def tags_held(
    store: Store,
    config: DatasetConfig,
    dataset_id: int,
    source_name: str,
    said: Callable[[], Sequence[Tag]],
) -> HeldTags:
    """The tags by which hours are read, of those that are `said` now; what is new is noted.

    `said` is asked once more under a lock where it says something new, so that of two who ask it
    the one that noted it later asked later. Not inside a transaction.
    """
    with store.transaction():
        held, is_news = _held(store, config, dataset_id, source_name, said())
    if is_news:
        with store.transaction():
            lock_dataset(store, dataset_id, "series")
            held, _ = _held(store, config, dataset_id, source_name, said(), notes=True)
    return held


def _held(
    store: Store,
    config: DatasetConfig,
    dataset_id: int,
    source_name: str,
    said: Sequence[Tag],
    *,
    notes: bool = False,
) -> tuple[HeldTags, bool]:
    # Where ids are from: they name the same series as long as this is the same.
    source = " ".join([source_name, config.source.names_from, *config.source.series_columns])
    where = {"dataset_id": dataset_id, "source": source}
    version = store.one(queries.SELECT_SERIES_VERSION, dataset_id=dataset_id)
    rows = [*map(_as_row, said)]
    asked = {"series": [row.series for row in rows], "entities": [row.entity for row in rows]}
    found = store.rows(queries.SELECT_SERIES, **where, **asked)
    # As mostly: nothing is new, and nothing ever was.
    if {*found} == {*rows}:
        return HeldTags(tuple(said), version, version, source), False
    stored = [*map(_as_tag, found)]
    until_at = store.first(queries.SELECT_NEWEST_LEDGER_HOUR, dataset=config.dataset)
    if until_at is not None:
        # A clock that was ahead once has left hours that are not over.
        until_at = min(until_at, hour_ceil(store.now()))
    until_us = None if until_at is None else (until_at - _EPOCH) // _US
    across = {name for name, one in config.channels.items() if one.across is not None}
    names = names_over_time(said, stored, until_us, across)
    news = {tag.series for tag in {*map(_unlined, names)} ^ {*stored}}
    other = rescaled(names, stored, until_us) if news and until_us is not None else ()
    of_stored = _measures(stored) if other else {}
    first = tuple(queries.SeriesScale(source, *key, of_stored[key]) for key in sorted(other))
    former_version = version
    if news and notes:
        if first:
            told = columns(first, queries.SeriesScale)
            told["measures"] = [f"{{{','.join(map(repr, row.measures))}}}" for row in first]
            store.execute(queries.INSERT_SERIES_SCALES, dataset_id=dataset_id, **told)
        noted = [_as_row(tag) for tag in names if tag.series in news]
        gone = [SERIES_JOINT.join(one) for one in news]
        store.execute(queries.DELETE_SERIES, **where, series=gone)
        store.execute(queries.INSERT_SERIES, **where, **columns(noted, queries.SeriesName))
        store.execute(queries.UPDATE_SERIES_VERSION, dataset_id=dataset_id)
        version += 1
        if stored and until_us is not None:
            _tell(store, dataset_id, told_of(names, stored), until_us)
    now = {tag.series for tag in said}
    held = tuple(tag for tag in names if tag.series in now)
    return HeldTags(held, version, former_version, source, first), bool(news)


def names_over_time(
    said: Sequence[Tag], stored: Sequence[Tag], until_us: int | None, across: Container[str]
) -> list[Tag]:
    """What series are and were called, by series and time.

    Parameters
    ----------
    said : what is said now; of a series one tag that always holds, or several with their times.
    stored : what was found so before.
    until_us : the end of what was read; None: nothing was.
    across : channels that may have several series at a time.

    >>> always = {"scale": 1.0, "offset": 0.0, "line": 0}
    >>> old, new = (Tag(("7",), name, "flow", **always) for name in ("p1", "p2"))
    >>> [(tag.entity, tag.start_us == ALWAYS_US[0]) for tag in names_over_time([new], [old], 9, ())]
    [('p1', True), ('p2', False)]
    """
    dated, now = dict[tuple[str, ...], list[Tag]](), dict[tuple[str, ...], Tag]()
    for series, tags in _by_series(said):
        if len(tags) == 1 and _span(tags[0]) == ALWAYS_US:
            now[series] = tags[0]
        else:
            dated[series] = tags
    if until_us is None:
        stored = []
    former, last = list[Tag](), dict[tuple[str, ...], Tag]()
    for series, tags in _by_series(stored):
        if series not in dated:
            former += tags
            last[series] = tags[-1]
    goes_on = {at for at, one in now.items() if at in last and _name(last[at]) == _name(one)}
    closed = [
        replace(tag, end_us=min(tag.end_us, until_us))
        for tag in former
        if until_us is not None and not (tag.series in goes_on and tag is last[tag.series])
    ]
    claimed = [tag for tags in dated.values() for tag in tags if tag.channel not in across]
    closed = [tag for tag in _without(closed, claimed, across) if tag.start_us < tag.end_us]
    taken = dict[Name, int]()
    for tag in closed:
        if tag.channel not in across:
            taken[_name(tag)] = max(tag.end_us, taken.get(_name(tag), ALWAYS_US[0]))
    found = [*closed, *claimed]
    found += [tag for tags in dated.values() for tag in tags if tag.channel in across]
    for series, tag in now.items():
        before, free_us = last.get(series), taken.get(_name(tag), ALWAYS_US[0])
        if series in goes_on and before is not None:
            if before.end_us < free_us:
                found.append(before)
                before = replace(before, start_us=free_us)
            start_us = before.start_us
        else:
            start_us = free_us if before is None or until_us is None else max(until_us, free_us)
        found.append(replace(tag, start_us=start_us))
    return _joined(sorted(found, key=lambda tag: (tag.series, tag.start_us)))


def _without(closed: Sequence[Tag], claimed: Sequence[Tag], across: Container[str]) -> list[Tag]:
    """Former tags, cut where a line with its own times says that the name is another series'."""
    first_us = dict[Name, int]()
    for tag in claimed:
        first_us[_name(tag)] = min(tag.start_us, first_us.get(_name(tag), ALWAYS_US[1]))
    return [
        tag
        if tag.channel in across
        else replace(tag, end_us=min(tag.end_us, first_us.get(_name(tag), tag.end_us)))
        for tag in closed
    ]


def _joined(tags: Iterable[Tag]) -> list[Tag]:
    """Tags of which one that goes on as the next one begins is one with it."""
    found: list[Tag] = []
    for tag in tags:
        last = found[-1] if found else None
        if last is not None and (last.series, _name(last), last.end_us) == (
            tag.series, _name(tag), tag.start_us,
        ):  # fmt: skip
            found[-1] = replace(tag, start_us=last.start_us)
        else:
            found.append(tag)
    return found


def told_of(names: Sequence[Tag], stored: Sequence[Tag]) -> Iterator[Told]:
    """What people are told of series that are new, are called otherwise, or are gone."""
    before = {series: tags[-1] for series, tags in _by_series(stored)}
    for series, tags in _by_series(names):
        one, former = tags[-1], before.get(series)
        title, is_open = series_title(SERIES_JOINT.join(series)), one.end_us == ALWAYS_US[1]
        if former is None:
            yield Told("new_series", _name(one), f"series {title}, not seen before")
        elif former.end_us == ALWAYS_US[1] and not is_open:
            how = "is not named any more; what was read of it stays"
            yield Told("vanished_series", _name(one), f"series {title} {how}")
        elif _name(former) != _name(one):
            was = f"was {former.entity} {former.channel}; hours read so far keep that name"
            yield Told("renamed_series", _name(one), f"series {title} {was}")


def _tell(store: Store, dataset_id: int, told: Iterable[Told], until_us: int) -> None:
    tally, hour_us = Tally(), until_us // HOUR_US * HOUR_US
    for one in told:
        entity, channel = one.name
        what = {"entity": entity, "channel": channel, "detail": one.detail}
        tally.add_count(one.issue, hour_us, 1, **what)
    said = columns(queries.issues_of(tally), queries.IngestIssue)
    store.execute(queries.UPSERT_SERIES_ISSUES, dataset_id=dataset_id, **said)


def _by_series(tags: Iterable[Tag]) -> Iterator[tuple[tuple[str, ...], list[Tag]]]:
    ordered = sorted(tags, key=lambda tag: (tag.series, tag.start_us))
    for series, same in groupby(ordered, attrgetter("series")):
        yield series, list(same)


def _name(tag: Tag) -> Name:
    return tag.entity, tag.channel


def _span(tag: Tag) -> tuple[int, int]:
    return tag.start_us, tag.end_us


def _unlined(tag: Tag) -> Tag:
    return replace(tag, line=0)


def _as_tag(row: queries.SeriesName) -> Tag:
    start_us, end_us = (
        always if at is None else (at - _EPOCH) // _US
        for at, always in zip((row.valid_from, row.valid_to), ALWAYS_US, strict=True)
    )
    series = tuple(row.series.split(SERIES_JOINT))
    return Tag(series, *row[1:5], start_us=start_us, end_us=end_us, line=0)


def _as_row(tag: Tag) -> queries.SeriesName:
    start_at, end_at = (
        None if us == always else _EPOCH + us * _US
        for us, always in zip(_span(tag), ALWAYS_US, strict=True)
    )
    said = tag.entity, tag.channel, tag.scale, tag.offset
    return queries.SeriesName(SERIES_JOINT.join(tag.series), *said, start_at, end_at)
