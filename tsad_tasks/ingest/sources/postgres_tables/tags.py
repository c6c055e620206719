"""The tags file of a dataset: what the source calls a series, and whose channel that is since when.

A CSV file beside the dataset's own. Its columns are the source's own that name a series
(`source.series`), `entity`, `channel`, and where they are needed `scale` and `offset` (value =
raw × scale + offset) and `valid_from` and `valid_to` (a series that was renamed or moved has a line
for each name). Other columns are for people.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from difflib import get_close_matches
from itertools import groupby, pairwise
from operator import attrgetter
from pathlib import Path
from zoneinfo import ZoneInfo

from tsad_tasks.base.errors import ConfigError, SourceError, TsadError
from tsad_tasks.base.files import is_endless
from tsad_tasks.base.shown import shown
from tsad_tasks.config import DatasetConfig, datasets_folder
from tsad_tasks.ingest.sources.base import ALWAYS_US, MAX_NAME_BYTES, SERIES_JOINT, Tag

_MAX_BYTES, MAX_TAGS, _MAX_COLUMNS = 50_000_000, 100_000, 1_000
_DICTIONARY = "source.dictionary"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ALWAYS_YEARS = (MINYEAR, MAXYEAR)
_MEASURES, _ENDS = ("scale", "offset"), ("valid_from", "valid_to")
_AS_MANY = "as many cells as there are columns"


def read_tags(config: DatasetConfig) -> tuple[Tag, ...]:
    """The tags of the dataset, by series and time.

    Raises `ConfigError` with file, line, column, what was expected and what was received.
    """
    path = datasets_folder() / str(config.source.tags)
    try:
        if is_endless(path):
            raise _error(path, 1, "a file that can be read", "a pipe, socket or device")
        if path.stat().st_size > _MAX_BYTES:
            raise _error(path, 1, f"at most {_MAX_BYTES:,} bytes", "more")
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            tags = list(_tags(config, path, reader.fieldnames or (), _lines(path, reader)))
    except OSError as error:
        raise _error(path, 1, "the tags file, beside the dataset's", str(error.strerror)) from None
    except csv.Error as error:
        raise _error(path, 1, "CSV, separated by commas", str(error)) from None
    except UnicodeDecodeError:
        raise _error(path, 1, "a file in UTF-8", "other bytes") from None
    return checked(config, path, tags)


def tags_of_rows(
    config: DatasetConfig, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> tuple[Tag, ...]:
    """The tags that a dictionary's rows are, as far as they are of channels of the dataset.

    Raises `SourceError` with the row's number, what was expected and what was received.
    """
    mine = {theirs: name for name, theirs in config.source.channel_columns().items()}
    needed = (*config.source.series_columns, "entity", "channel")

    def lines() -> Iterator[tuple[int, dict[str, str | None]]]:
        for number, row in enumerate(rows, 1):
            cells = {name: _text(cell) for name, cell in zip(columns, row, strict=True)}
            channel = mine.get(cells.get("channel") or "")
            if channel is not None and all(cells.get(name) for name in needed):
                yield number, cells | {"channel": channel}

    return checked(config, _DICTIONARY, list(_tags(config, _DICTIONARY, columns, lines())))


def _text(cell: object) -> str | None:
    """A cell of a result as a tags file would have it."""
    if isinstance(cell, datetime):
        return cell.isoformat()
    return None if cell is None else str(cell)


def checked(config: DatasetConfig, path: Path | str, tags: Sequence[Tag]) -> tuple[Tag, ...]:
    """The tags by series and time, of which no two hold at once for one series, or one channel."""
    if not tags:
        raise _error(path, 1, "a line for each series", "none")
    ordered = sorted(tags, key=lambda tag: (tag.series, tag.start_us))
    for one, other in pairwise(ordered):
        if one.series == other.series and other.start_us < one.end_us:
            expected = f"one name at a time for the series {'/'.join(map(shown, one.series))}"
            raise _error(path, other.line, expected, f"another one in line {one.line}")
    _check_across(config, path, ordered)
    return tuple(ordered)


def _check_across(config: DatasetConfig, path: Path | str, tags: Sequence[Tag]) -> None:
    """Several series at a time become one channel only as the dataset file says."""
    whose = attrgetter("entity", "channel")
    for (entity, channel), fed in groupby(sorted(tags, key=whose), whose):
        known = config.channels.get(channel)
        if known is None or known.across is not None:
            continue
        for one, other in pairwise(sorted(fed, key=attrgetter("start_us", "line"))):
            if other.start_us < one.end_us:
                expected = (
                    f"one series at a time for {channel} of {shown(entity)}, or "
                    f"across: sum, mean, max or min on the channel {channel}"
                )
                raise _error(path, other.line, expected, f"another one in line {one.line}")


def _lines(
    path: Path, reader: csv.DictReader[str]
) -> Iterator[tuple[int, Mapping[str, str | None]]]:
    try:
        for cells in reader:
            # A scale that is cut off with its line would be none.
            if None in cells.values():
                raise _error(path, reader.line_num, _AS_MANY, "fewer")
            yield reader.line_num, cells
    except csv.Error as error:
        raise _error(path, reader.line_num, "CSV, separated by commas", str(error)) from None


def _tags(
    config: DatasetConfig,
    path: Path | str,
    names: Sequence[str],
    lines: Iterable[tuple[int, Mapping[str, str | None]]],
) -> Iterator[Tag]:
    needed = [*config.source.series_columns, "entity", "channel"]
    missing = [name for name in needed if name not in names]
    if missing or len(set(names)) < len(names):
        expected = f"the columns {', '.join(needed)}, each once"
        raise _error(path, 1, expected, shown(", ".join(map(str, names))))
    if len(names) > _MAX_COLUMNS:
        raise _error(path, 1, f"at most {_MAX_COLUMNS:,} columns", f"{len(names):,}")
    for name in names:
        if name not in (*needed, *_MEASURES, *_ENDS) and (meant := _meant(name)):
            raise _error(path, 1, f"{meant}, or a column for people", shown(name))
    for n_tags, (line, cells) in enumerate(lines, 1):
        if n_tags > MAX_TAGS:
            raise _error(path, line, f"at most {MAX_TAGS:,} series", "more")
        yield _tag(config, path, line, cells)


def _meant(name: str) -> str:
    """The column that another one is a misspelling of; empty where it is none.

    >>> [_meant(name) for name in ("Scale", "valid from ", "vaild_to", "unit", "source_name")]
    ['scale', 'valid_from', 'valid_to', '', '']
    """
    plain = re.sub(r"[^a-z]+", "_", name.lower()).strip("_")
    return next(iter(get_close_matches(plain, (*_MEASURES, *_ENDS), 1, 0.8)), "")


def _tag(
    config: DatasetConfig, path: Path | str, line: int, cells: Mapping[str, str | None]
) -> Tag:
    def said(name: str) -> str:
        return (cells.get(name) or "").strip()

    columns = config.source.series_columns
    for name in (*columns, "entity", "channel"):
        if not said(name) or len(said(name).encode()) > MAX_NAME_BYTES:
            raise _error(path, line, f"{name} of 1 to {MAX_NAME_BYTES} bytes", shown(said(name)))
        if "\0" in said(name) or SERIES_JOINT in said(name):
            raise _error(path, line, f"text as {name}", shown(said(name)))
    series = tuple(map(said, columns))
    if len("".join(series).encode()) > MAX_NAME_BYTES:
        expected = f"{', '.join(columns)} of {MAX_NAME_BYTES} bytes together"
        raise _error(path, line, expected, shown("/".join(series)))
    if None in cells:
        raise _error(path, line, _AS_MANY, "more")
    numbers = {"scale": 1.0, "offset": 0.0}
    for name in _MEASURES:
        if said(name):
            try:
                numbers[name] = float(said(name))
            except ValueError:
                numbers[name] = float("nan")
            if not abs(numbers[name]) < float("inf") or (name, numbers[name]) == ("scale", 0.0):
                expected = f"a finite number as {name}, not a scale of 0"
                raise _error(path, line, expected, shown(said(name)))
    times_us = list(ALWAYS_US)
    for end, name in enumerate(_ENDS):
        if said(name):
            try:
                at = datetime.fromisoformat(said(name))
            except ValueError:
                expected = f"a time such as 2026-05-01 06:00 as {name}"
                raise _error(path, line, expected, shown(said(name))) from None
            # The first and the last year mean always, as infinity does to a database.
            if at.year in _ALWAYS_YEARS:
                times_us[end] = ALWAYS_US[_ALWAYS_YEARS.index(at.year)]
                continue
            zoned = at if at.tzinfo else at.replace(tzinfo=ZoneInfo(config.source.time.zone))
            times_us[end] = (zoned - _EPOCH) // timedelta(microseconds=1)
    if times_us[0] >= times_us[1]:
        raise _error(path, line, "valid_to after valid_from", shown(said("valid_to")))
    return Tag(series, said("entity"), said("channel"), **numbers,
               start_us=times_us[0], end_us=times_us[1], line=line)  # fmt: skip


def _error(path: Path | str, line: int, expected: str, received: str) -> TsadError:
    kind = ConfigError if isinstance(path, Path) else SourceError
    return kind(f"{path}:{line}: Expected {expected}. Received: {received}.")
