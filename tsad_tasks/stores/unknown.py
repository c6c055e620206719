"""A dataset file for a table of which nothing is known but its columns and some of its rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from psycopg2 import extensions, sql

from tsad_tasks.base.errors import BadInput, TsadError
from tsad_tasks.base.shown import visible
from tsad_tasks.config import DatasetConfig
from tsad_tasks.config.written import written_duration, written_value
from tsad_tasks.ingest.proposed_events import STEPS_S, proposed_events
from tsad_tasks.ingest.sources.base import MAX_NAME_BYTES, SERIES_JOINT, Tag
from tsad_tasks.ingest.sources.postgres import PostgresSource
from tsad_tasks.ingest.sources.postgres_tables.connection import (
    LOOK_S,
    clock,
    connect_source,
    explained_errors,
    limits,
)
from tsad_tasks.ingest.sources.postgres_tables.statements import UNITS_NS, plausible_unit
from tsad_tasks.ingest.sources.postgres_tables.tables import (
    CLOCKS,
    NUMBERS,
    FoundTable,
    SourceColumn,
    tables_named,
)
from tsad_tasks.stores.draft import (
    DEFAULT_STEP_S,
    Draft,
    channel_names,
    cost,
    csv_text,
    fitting_step_s,
    signal_remark,
    training_lines,
)

_QUERIES = Path(__file__).parents[2] / "sql" / "source"
_FIRST_LOOK, _LOOK, _MOST_NAMES, _LARGE_ROWS = 200, 5_000, 5_000, 1_000_000
_SEPARATORS = re.compile(r"^(.+)[/.:|]([^/.:|]+)$")
# Names that say what a column is.
_TIME = re.compile(
    r"(^|_)(time|timestamp|ts|t_stamp|at|date|datetime|clock|epoch|zeit|datum)(_|$)|time", re.I
)
_CHANGED = re.compile(r"updat|modif|chang|insert|creat|receiv", re.I)
_CHANNEL = re.compile(
    r"tag|channel|sensor|metric|param|variable|signal|measure|point|key|quantity", re.I
)
_ENTITY = re.compile(
    r"host|machine|device|entity|asset|unit|station|equipment|node|room|pump|line|anlage", re.I
)
_VALUE = re.compile(r"(^|_)(val|value|reading|v|wert|messwert)(_|$)", re.I)
_WHOLE = re.compile(r"(^|[-_ ])(total|all|sum|gesamt)([-_ ]|$)", re.I)
_QUALITY = re.compile(r"qual|status|integrity|valid", re.I)
_LABEL = re.compile(r"label|anomal|fault|is_bad", re.I)
_EVENT = re.compile(r"code|error|event|fault|alarm|message|msg|reason|type|level|severity", re.I)
_NUMBER = re.compile(r"(^|_)(id|no|nr|number|pk|seq|row)$", re.I)
_EVENT_ID = re.compile(r"(^|_)(id|uuid|guid|key|no|nr)$", re.I)
_DIGITS = re.compile(r"\s*[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?\s*")
# A column of names repeats them.
_DIFFERENT = 0.5
_MOST_CODES = 10
# Rows of one machine, channel and time are several series where there are so many of them.
_SEVERAL = 1.2


def _time_or_none(text: str | bytes | None, cursor: extensions.cursor) -> Any:
    """A time as Python has it, in the years 1 to 9999."""
    try:
        return extensions.PYDATETIMETZ(text, cursor)
    except ValueError:
        return None


# Of timestamps, with a zone and without.
_TIMES = extensions.new_type((1114, 1184), "TIMES", _time_or_none)


@dataclass(frozen=True)
class _Sample:
    """Rows of a table by column, the newest where that was cheap."""

    table: FoundTable
    rows: Sequence[tuple[Any, ...]]
    are_newest: bool
    now_at: datetime

    @cached_property
    def cells(self) -> dict[str, list[Any]]:
        names = list(self.table.columns)
        return dict(zip(names, map(list, zip(*self.rows, strict=True)), strict=True))

    def different(self, column: SourceColumn) -> int:
        return len({cell for cell in self.cells[column.name] if cell is not None})

    def unit(self, column: SourceColumn) -> str | None:
        """Of times that are numbers the unit in which all are plausible."""
        return plausible_unit(self.cells[column.name], self.now_at)


@dataclass(frozen=True)
class _Roles:
    """What the columns of a table seem to be."""

    time: SourceColumn
    unit: str | None
    entity: SourceColumn | None
    channel: SourceColumn | None
    values: tuple[SourceColumn, ...]
    quality: SourceColumn | None
    updated_at: SourceColumn | None
    label: SourceColumn | None
    # Rows are events, of which a column of texts says the kind.
    are_texts: bool = False

    @property
    def is_long(self) -> bool:
        return self.channel is not None


def drafted_table(uri: str, table: str, *, connection: str, name: str) -> Draft:
    """The files for a table, by its columns and at most a few thousand of its rows.

    Raises `BadInput` where the table has no time or no numbers, and what `connect_source` raises.
    """
    with (
        closing(connect_source(uri, read_only=True)) as source,
        explained_errors(source),
        source.cursor() as cursor,
    ):
        found = tables_named(cursor, [table])
        if len(found) != 1:
            received = ", ".join(one.title for one in found[:5])
            raise BadInput(f"Expected one table. Received: {received}.")
        first = _sample(cursor, found[0], None, _FIRST_LOOK)
        if not first.rows:
            raise BadInput(f"Expected rows in {found[0].title}. Received: none.")
        roles = _roles(first)
        sample = _sample(cursor, found[0], roles.time, _LOOK)
        named = _tags(cursor, sample, roles) if roles.is_long and roles.entity is None else []
    tags = [one for one in named if _is_taggable(*one)]
    lines = [
        f"# Drafted on {sample.now_at:%Y-%m-%d} from {visible(found[0].title)}.",
        "# Behind a value stands where it is from: measured, guessed, default.",
        f"dataset: {written_value(name)}",
        "source:",
        f"  connection: {written_value(connection)}",
        f"  tables: {written_value(_table_name(found[0]))}",
        *_source_lines(sample, roles, name, tags),
    ]
    is_small = found[0].may_have_index and found[0].n_rows_estimate < _LARGE_ROWS
    if is_small or roles.time.has_index:
        lines += training_lines(_oldest_at(uri, lines, tags, sample.now_at), sample.now_at)
    told = [*_told(sample, roles), *_left_out(len(named) - len(tags))]
    return Draft("\n".join(lines) + "\n", _tags_text(roles, tags), tuple(told))


def _table_name(table: FoundTable) -> str:
    """Schema and name as a dataset file has them."""
    return ".".join(f'"{one}"' if "." in one else one for one in (table.schema, table.name))


def _sample(
    cursor: extensions.cursor, table: FoundTable, time: SourceColumn | None, most: int
) -> _Sample:
    is_cheap = time is not None and time.has_index
    order = (
        sql.SQL("ORDER BY {} DESC NULLS LAST").format(sql.Identifier(time.name))
        if is_cheap and time
        else sql.SQL("")
    )
    columns = sql.SQL(", ").join(sql.Identifier(column) for column in table.columns)
    text = sql.SQL((_QUERIES / "sample_rows.sql").read_text(encoding="utf-8"))
    cursor.execute(limits(LOOK_S))
    extensions.register_type(_TIMES, cursor)
    cursor.execute(
        text.format(columns=columns, table=table.relation, order=order, most=sql.Literal(most))
    )
    return _Sample(table, cursor.fetchall(), is_cheap, clock(cursor))


def _roles(sample: _Sample) -> _Roles:
    columns = list(sample.table.columns.values())
    time = _time(sample, columns)
    rest = [one for one in columns if one is not time]
    updated_at = _first(rest, _CHANGED, lambda one: one.family in {"timestamptz", "timestamp"})
    label = _first(rest, _LABEL, lambda one: _is_label(sample, one))
    quality = _first(rest, _QUALITY, lambda one: one is not label and _is_code(sample, one))
    rest = [one for one in rest if one not in (updated_at, label, quality)]
    most = max(1, _DIFFERENT * len(sample.rows))
    repeated = [one for one in rest if 0 < sample.different(one) <= most]
    names = [one for one in repeated if one.family == "text" and not _is_numeric(sample, one)]
    ids = [one for one in rest if one.family == "integer" and _NUMBER.search(one.name)]
    spoken = _spoken_values(rest, names)
    names = [one for one in names if one not in spoken]
    values = [one for one in rest if one not in ids + names and _holds_numbers(sample, one)]
    values += [one for one in spoken if one not in values]
    said = [one for one in values if _VALUE.search(one.name)]
    channel = _first(names, _CHANNEL, bool) or (names[-1] if said and len(names) > 1 else None)
    if said or len(values) == 1:
        values = said or values
    else:
        channel = None
    entities = [*names, *(one for one in ids if one in repeated)]
    entities = [one for one in entities if one is not channel]
    entity = _first(entities, _ENTITY, bool) or next(iter(entities), None)
    are_texts = False
    if not values:
        values, channel, are_texts = _event_texts(sample, time, rest, entity), None, True
        entity = None if entity in values else entity
    if not values:
        raise _missing(sample, "columns of numbers (or rows that are events: signal: event_count)")
    unit = sample.unit(time) if time.family in NUMBERS else None
    of = time, unit, entity, channel, tuple(values), quality, updated_at, label
    return _Roles(*of, are_texts=are_texts)


def _spoken_values(
    columns: Sequence[SourceColumn], names: Sequence[SourceColumn]
) -> list[SourceColumn]:
    """Columns of texts that are values by their name, beside one that names channels: of some
    channels they are numbers, of others states or messages.
    """
    texts = [one for one in columns if one.family == "text" and _VALUE.search(one.name)]
    has_channels = any(one not in texts and _CHANNEL.search(one.name) for one in names)
    return texts if has_channels else []


def _event_texts(
    sample: _Sample,
    time: SourceColumn,
    columns: Sequence[SourceColumn],
    entity: SourceColumn | None,
) -> list[SourceColumn]:
    """The column of texts of a table whose rows look like events; empty: they do not, or none."""
    named = entity if entity is not None and _ENTITY.search(entity.name) else None
    texts = [one for one in columns if one.family == "text" and one is not named]
    texts.sort(key=lambda one: (not _EVENT.search(one.name), one is entity))
    unit = sample.unit(time) if time.family in NUMBERS else None
    for one in texts:
        whose = None if one is entity else entity
        roles = _Roles(time, unit, whose, None, (one,), None, None, None, are_texts=True)
        if proposed_events(one.name, _series_of(sample, roles, one.name), are_texts=True):
            return [one]
    return []


def _first(
    columns: Sequence[SourceColumn], name: re.Pattern[str], fits: Callable[[SourceColumn], bool]
) -> SourceColumn | None:
    return next((one for one in columns if name.search(one.name) and fits(one)), None)


def _missing(sample: _Sample, what: str) -> BadInput:
    columns = [*sample.table.columns.values()][:12]
    received = ", ".join(f"{one.name} {one.type_name}" for one in columns)
    return BadInput(f"Expected {what} in {sample.table.title}. Received: {received}.")


def _is_code(sample: _Sample, column: SourceColumn) -> bool:
    return column.family in {"integer", "text"} and sample.different(column) <= _MOST_CODES


def _holds_numbers(sample: _Sample, column: SourceColumn) -> bool:
    is_number = column.family in {*NUMBERS, "bool"}
    return is_number or (column.family == "text" and _is_numeric(sample, column))


def _time(sample: _Sample, columns: Sequence[SourceColumn]) -> SourceColumn:
    clocks = [one for one in columns if one.family in CLOCKS]
    numbers = [
        one for one in columns
        if one.family in NUMBERS - {"real"} and _TIME.search(one.name) and sample.unit(one)
    ]  # fmt: skip
    found = [*clocks, *numbers]
    if not found:
        raise _missing(sample, "a column of times")
    return min(
        found,
        key=lambda one: (
            bool(_CHANGED.search(one.name)),
            not _TIME.search(one.name),
            not one.has_index,
        ),
    )


def _is_numeric(sample: _Sample, column: SourceColumn) -> bool:
    cells = [cell for cell in sample.cells[column.name] if cell]
    numbers = sum(
        bool(re.fullmatch(r"\s*[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?\s*", str(cell))) for cell in cells
    )
    return numbers > len(cells) / 2


def _is_label(sample: _Sample, column: SourceColumn) -> bool:
    said = {str(cell).lower() for cell in sample.cells[column.name] if cell is not None}
    return column.family == "bool" or (
        bool(said) and said <= {"0", "1", "true", "false", "yes", "no"}
    )


def _tags(cursor: extensions.cursor, sample: _Sample, roles: _Roles) -> list[tuple[str, str, str]]:
    """Series of a table of tags, as (tag, entity, channel): the part after the last separator."""
    column = roles.channel
    assert column is not None
    names = {str(cell) for cell in sample.cells[column.name] if cell}
    if column.has_index:
        text = sql.SQL((_QUERIES / "distinct_names.sql").read_text(encoding="utf-8"))
        found = text.format(
            column=sql.Identifier(column.name), table=sample.table.relation,
            most=sql.Literal(_MOST_NAMES),
        )  # fmt: skip
        cursor.execute(found)
        names |= {str(row[0]) for row in cursor.fetchall()}
    parts = {name: _SEPARATORS.match(name) for name in names}
    guessed = [
        (name, match[1].strip(), match[2]) if match else (name, "plant", name)
        for name, match in sorted(parts.items())
    ]
    mine = channel_names(channel for _, _, channel in guessed)
    return [(name, entity, mine[channel]) for name, entity, channel in guessed]


def _is_taggable(*names: str) -> bool:
    """Whether a line of a tags file can hold these."""
    return all(
        one == one.strip() and SERIES_JOINT not in one and 0 < len(one.encode()) <= MAX_NAME_BYTES
        for one in names
    )


def _source_lines(
    sample: _Sample, roles: _Roles, name: str, tags: Sequence[tuple[str, str, str]]
) -> Iterator[str]:
    time = {"column": roles.time.name} | ({"unit": roles.unit} if roles.unit else {})
    why = (
        "measured: the unit in which its times are plausible"
        if roles.unit
        else visible(roles.time.type_name)
    )
    if roles.time.family == "timestamp":
        why = "CHECK: times without a zone are read as UTC; else say zone: Europe/Berlin"
    yield f"  time: {written_value(time)}  # {why}"
    if roles.is_long:
        assert roles.channel is not None
        if tags:
            yield f"  series: {written_value(roles.channel.name)}"
            yield f"  tags: {name}.tags.csv  # CHECK: machines and channels are guessed from names"
        else:
            yield "  shape: long"
            yield f"  channel_column: {written_value(roles.channel.name)}  # guessed by its name"
        yield f"  value_column: {written_value([one.name for one in roles.values])}"
    if roles.entity is not None:
        n = sample.different(roles.entity)
        seen = f"guessed: {n} names in {len(sample.rows):,} rows"
        yield f"  entity: {written_value({'column': roles.entity.name})}  # {seen}"
    elif not tags:
        seen = "CHECK: no column seems to name machines"
        yield f"  entity: {written_value({'constant': name})}  # {seen}"
    if (apart := _told_apart(sample, roles)) is not None:
        column, chosen, n_values = apart
        seen = f"CHECK: of {n_values} series at a time one is read; or draft a file for each"
        yield f"  rows_where: {written_value({column.name: chosen})}  # {seen}"
    if roles.quality is not None:
        codes = Counter(cell for cell in sample.cells[roles.quality.name] if cell is not None)
        most = codes.most_common(1)[0][0] if codes else 192
        good = {"column": roles.quality.name, "good": [most]}
        seen = f"CHECK: guessed: the most frequent of {len(codes)} codes"
        yield f"  quality: {written_value(good)}  # {seen}"
    if roles.updated_at is not None:
        yield f"  updated_at: {written_value(roles.updated_at.name)}  # guessed by its name"
    if roles.label is not None:
        seen = "CHECK: known anomalies? guessed by its name"
        yield f"  label: {written_value(roles.label.name)}  # {seen}"
    step_s, said = _step(sample, roles)
    yield f"  step: {written_duration(step_s)}  # {said}"
    yield "  channels:"
    if tags:
        of_channel: dict[str, list[str]] = {}
        for tag, _, channel in tags:
            of_channel.setdefault(channel, []).append(tag)
        for mine in sorted(of_channel):
            yield _channel_line(sample, roles, mine, mine, of_channel[mine])
        return
    channels = [one.name for one in roles.values]
    if roles.channel is not None:
        channels = sorted({str(cell) for cell in sample.cells[roles.channel.name] if cell})
    mine_of = channel_names(channels)
    for theirs in channels:
        yield _channel_line(sample, roles, mine_of[theirs], theirs, [theirs])


def _channel_line(
    sample: _Sample, roles: _Roles, mine: str, column: str, names: Sequence[str]
) -> str:
    """A channel, with what is to be asked about it; `names` are those of its rows."""
    series = [one for name in names for one in _series_of(sample, roles, name)]
    remark = signal_remark(mine, None, series, are_texts=roles.are_texts)
    if not series and roles.is_long:
        remark = _texts_remark(sample, roles, names)
    renamed = {} if mine == column else {"column": column}
    why = f"  # {remark}" if remark else ""
    return f"    {written_value(mine)}: {written_value(renamed)}{why}"


def _series_of(
    sample: _Sample, roles: _Roles, theirs: str
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Times in seconds and values of a channel of each machine in the sample, in order of time."""
    column = roles.values[0].name if roles.channel is not None else theirs
    entity = [0] * len(sample.rows) if roles.entity is None else sample.cells[roles.entity.name]
    channel = [theirs] * len(sample.rows)
    if roles.channel is not None:
        channel = [str(cell) for cell in sample.cells[roles.channel.name]]
    found: dict[Any, list[tuple[float, float]]] = {}
    of_text = dict[str, float]()
    cells = zip(sample.cells[roles.time.name], entity, channel, sample.cells[column], strict=True)
    for at, whose, name, cell in cells:
        if at is not None and name == theirs and (value := _number(cell)) is not None:
            found.setdefault(whose, []).append((_seconds(at, roles.unit), value))
        elif at is not None and roles.are_texts and name == theirs and cell:
            code = of_text.setdefault(str(cell), float(len(of_text)))
            found.setdefault(whose, []).append((_seconds(at, roles.unit), code))
    pairs = [np.array(sorted(one), np.float64).reshape(-1, 2) for one in found.values()]
    return [(one[:, 0], one[:, 1]) for one in pairs]


def _number(cell: Any) -> float | None:
    """The number of a cell, also of a text that is one; None: it is none."""
    if isinstance(cell, bool | int | float | Decimal):
        return float(cell)
    if isinstance(cell, str) and _DIGITS.fullmatch(cell):
        return float(cell.replace(",", "."))
    return None


def _texts_remark(sample: _Sample, roles: _Roles, names: Sequence[str]) -> str:
    """What to ask about a channel of a long table that says nothing but texts; empty: nothing."""
    as_texts = replace(roles, are_texts=True)
    series = [one for name in names for one in _series_of(sample, as_texts, name)]
    if events := signal_remark(names[0], None, series, are_texts=True):
        return events
    assert roles.channel is not None
    column = sample.cells[roles.values[0].name]
    channel = map(str, sample.cells[roles.channel.name])
    texts = sorted(
        {str(cell) for name, cell in zip(channel, column, strict=True) if cell and name in names}
    )
    if not texts or len(texts) > _MOST_CODES:
        return ""
    states = written_value({text: code for code, text in enumerate(texts)})
    n_values = sum(len(values) for _, values in series)
    return visible(
        f"CHECK: states? signal: discrete, states: {states} ({n_values:,} values, all of them "
        f"{'these texts' if len(texts) > 1 else 'this text'})"
    )


def _step(sample: _Sample, roles: _Roles) -> tuple[int, str]:
    """The step in seconds, and where it is from. Events are counted: a step holds one or more."""
    apart_s = _apart_s(sample, roles)
    if not apart_s:
        return fitting_step_s(DEFAULT_STEP_S), "default; CHECK"
    if roles.are_texts:
        step_s = next((one for one in STEPS_S if one >= apart_s), STEPS_S[-1])
        return step_s, f"guessed: events come {apart_s:g} s apart"
    step_s, said = fitting_step_s(apart_s), f"measured: readings are {apart_s:g} s apart"
    if apart_s > STEPS_S[-1] * 1.5:
        said += "; CHECK: no step is longer, so a level needs a valid_for to count meanwhile"
    return step_s, said


def _apart_s(sample: _Sample, roles: _Roles) -> float | None:
    """Median time between readings of one machine, or series."""
    keys = [one for one in (roles.entity, roles.channel) if one is not None]
    times: dict[tuple[Any, ...], list[float]] = {}
    for at, *key in zip(
        sample.cells[roles.time.name], *(sample.cells[one.name] for one in keys), strict=True
    ):
        if at is not None:
            times.setdefault(tuple(key), []).append(_seconds(at, roles.unit))
    gaps = [np.diff(np.unique(at)) for at in times.values()]
    together = np.concatenate(gaps) if gaps else np.array([])
    return round(float(np.median(together)), 3) if len(together) else None


def _told_apart(sample: _Sample, roles: _Roles) -> tuple[SourceColumn, Any, int] | None:
    """A column that tells apart the rows of one machine, channel and time, which value of it is to
    be read (one of all together, if there is one), and how many it has.
    """
    keys = [one for one in (roles.time, roles.entity, roles.channel) if one is not None]
    cells = [sample.cells[one.name] for one in keys]
    n_rows, n_keys = len(sample.rows), len(set(zip(*cells, strict=True)))
    if n_rows < _SEVERAL * n_keys:
        return None
    for column in sample.table.columns.values():
        said = Counter(one for one in sample.cells[column.name] if one is not None)
        is_name = column.family in {"text", "integer", "bool"} and column not in roles.values
        if not is_name or column in keys or not said or len(said) > _DIFFERENT * n_rows:
            continue
        if len(set(zip(*cells, sample.cells[column.name], strict=True))) > n_rows / _SEVERAL:
            whole = next((one for one in said if _WHOLE.search(str(one))), None)
            return column, said.most_common(1)[0][0] if whole is None else whole, len(said)
    return None


def _seconds(at: Any, unit: str | None) -> float:
    if isinstance(at, datetime):
        return at.replace(tzinfo=at.tzinfo or UTC).timestamp()
    if isinstance(at, date):
        return datetime(at.year, at.month, at.day, tzinfo=UTC).timestamp()
    return float(at) * UNITS_NS[unit or "s"] / 1e9 if isinstance(at, int | float | Decimal) else 0.0


def _oldest_at(
    uri: str, lines: Sequence[str], tags: Sequence[tuple[str, str, str]], now_at: datetime
) -> datetime | None:
    """Time of the table's oldest row, found as a run of the drafted file would find it."""
    series = [Tag((name,), entity, channel, 1.0, 0.0) for name, entity, channel in tags]
    # A file that needs a person first is a draft, too.
    with suppress(ValueError, TsadError):
        config = DatasetConfig.model_validate(yaml.safe_load("\n".join(lines)))
        with closing(PostgresSource(uri, config, series)) as source:
            return source.time_bounds(source.tables[0], now_at)[0] if source.tables else None
    return None


def _told(sample: _Sample, roles: _Roles) -> Iterator[str]:
    if not sample.are_newest:
        yield (
            f"No index begins with {roles.time.name}: the rows that were looked at are any "
            f"{len(sample.rows):,}, not the newest."
        )
    n_entities = max(1, sample.different(roles.entity)) if roles.entity else 1
    n_channels = sample.different(roles.channel) if roles.channel else len(roles.values)
    yield cost(n_entities * n_channels, _step(sample, roles)[0])
    used = {roles.time, roles.entity, roles.channel, *roles.values}
    used |= {roles.quality, roles.updated_at, roles.label}
    if (apart := _told_apart(sample, roles)) is not None:
        used.add(apart[0])
    if unused := [name for name, one in sample.table.columns.items() if one not in used]:
        yield f"Left out: {', '.join(unused[:12])}."
    for name in unused[:12]:
        if said := _states_left_out(sample, sample.table.columns[name]):
            yield said
        if roles.are_texts and (said := _event_id_left_out(sample, name)):
            yield said


def _event_id_left_out(sample: _Sample, name: str) -> str:
    """What to write where a column may say which event a row is of; empty: each row is its own."""
    cells = [cell for cell in sample.cells[name] if cell is not None]
    n_events = len(set(cells))
    is_repeated = len(cells) / 2 < n_events < len(cells)
    if not _EVENT_ID.search(name) or not is_repeated:
        return ""
    return visible(
        f"CHECK: {name} may say which event a row is of: {len(cells):,} rows say {n_events:,}. If "
        f"so, add event_id: {written_value(name)} to the channel, and each event counts once."
    )


def _states_left_out(sample: _Sample, column: SourceColumn) -> str:
    """What to write where a column of a few texts that is no channel may be states; empty: it is
    none.
    """
    texts = sorted({str(cell) for cell in sample.cells[column.name] if cell})
    if column.family != "text" or not 2 <= len(texts) <= _MOST_CODES:
        return ""
    states = written_value({text: code for code, text in enumerate(texts)})
    return visible(
        f"CHECK: {column.name} says one of {len(texts)} texts. If these are states, add to "
        f"channels: {written_value(column.name)}: {{signal: discrete, states: {states}}}"
    )


def _left_out(n_tags: int) -> Iterator[str]:
    if n_tags:
        yield (
            f"CHECK: {n_tags:,} tags are left out: a tags file has no blanks at the ends of names, "
            "and no long ones. A query may trim them."
        )


def _tags_text(roles: _Roles, tags: Sequence[tuple[str, str, str]]) -> str:
    if not tags or roles.channel is None:
        return ""
    return csv_text([(roles.channel.name, "entity", "channel"), *tags])
