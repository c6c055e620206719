"""Statements on source tables. Predicates are on the bare time column, so that its index serves.

COPY writes fixed-width columns. A value that is not a finite number travels as a mark, so that it
costs only itself and can be counted: NaN is NULL, +Infinity was NaN or infinite, -Infinity was no
number at all, `YES` and `NO` were words that say so, marks below them are names of states: which
number these are only their channel knows. Names of entities and channels travel as hashes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

from psycopg2 import sql

from tsad_tasks.base.interval import unix_s
from tsad_tasks.base.local_time import local_range
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.sources.base import MAX_NAME_BYTES, PLAUSIBLE_AHEAD, PLAUSIBLE_FROM
from tsad_tasks.ingest.sources.postgres_tables.tables import NUMBERS, SourceColumn, TablePlan

if TYPE_CHECKING:
    from tsad_tasks.config.sections import ChannelSection, QualityColumn

ORIGIN = datetime(1970, 1, 1)  # noqa: DTZ001
# Zones change their offset at whole quarters of an hour, so a quarter of wall-clock time lies in
# one UTC hour.
QUARTER_US = 900_000_000
NEVER = -(2**63)
NOTHING = sql.SQL("false")
_EVENT = sql.SQL("1::float8")
# A boolean as a text is what it is in a column of its own. Of states without names other words say
# the same; in any other channel they are texts.
TRUTHS: dict[str, float | None] = {"true": 1.0, "false": 0.0}
YES, NO = -1.1e308, -1.2e308
YES_WORDS, NO_WORDS = ("t", "y", "yes", "on"), ("f", "n", "no", "off")
_ENCODING = "(CASE getdatabaseencoding() WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END)::name"
# Names of states, one after the other, apart by so much.
_STATE_MARKS, _MARK_STEP = -1.3e308, 1e303
# Marks of texts are not above this.
TEXT_MARKS = -1e308
UNITS_NS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}

_NUMBER = r"^[ \t\r\n]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?[ \t\r\n]*$"
_NOT_FINITE = r"^[ \t\r\n]*[+-]?(nan|inf|infinity)[ \t\r\n]*$"
_CLAMPED = (
    "WHEN abs({c}) > 1e300 THEN 'Infinity' WHEN abs({c}) < 1e-300 THEN 0 ELSE {c}::float8 END"
)
_FINITE = "CASE WHEN abs({c}) <= 1e300 THEN {value} WHEN {c} IS NULL THEN 'NaN' ELSE 'Infinity' END"
_VALUES = {
    "integer": "coalesce({c}::float8, 'NaN')",
    "bool": "coalesce({c}::int::float8, 'NaN')",
    "float": _FINITE.replace("{value}", "{c}"),
    # By way of its digits: 0.1 is 0.1, and not 0.10000000149, which is above a limit of 0.1.
    "real": _FINITE.replace("{value}", "{c}::text::float8"),
    "numeric": "CASE WHEN {c} IS NULL THEN 'NaN'::float8 WHEN {c} = 'NaN' THEN 'Infinity' "
    + _CLAMPED,
    "text": "CASE WHEN {c} IS NULL OR {c}::text ~ '^[ \\t\\r\\n]*$' THEN 'NaN'::float8 "
    "WHEN {c}::text ~* {not_finite} THEN 'Infinity' "
    "WHEN length({c}::text) > 300 OR {c}::text !~ {number} THEN '-Infinity' "
    + _CLAMPED.replace("{c}", "{c}::text::numeric"),
}
_HASH = "coalesce(hashtextextended(nullif({c}::text, ''), 0), 0)"
# Of labels 1 is yes, 0 is no, and 2 is whatever nobody knows, such as NaN, -1 and 'maybe'.
UNKNOWN_LABEL = 2
# Of a table in the wrong unit every row has an implausible time: it is enough to know of so many.
_MOST_IMPLAUSIBLE = 100_000
_LATEST_CHANGE_US = 4_102_444_800_000_000  # 2100
_LABELS = {
    "bool": "coalesce({c}::int, 0)::int2",
    "integer": "CASE WHEN {c} > 0 THEN 1 WHEN {c} < 0 THEN 2 ELSE 0 END::int2",
    **dict.fromkeys(
        ("float", "real", "numeric"),
        "CASE WHEN {c} > 0 AND {c} <= 1e300 THEN 1 WHEN {c} <> 0 THEN 2 ELSE 0 END::int2",
    ),
    "text": "CASE WHEN lower(btrim({c}::text, E' \\t\\r\\n')) IN "
    "('1', '1.0', 't', 'true', 'y', 'yes') THEN 1 "
    "WHEN lower(btrim({c}::text, E' \\t\\r\\n')) NOT IN "
    "('', '0', '0.0', 'f', 'false', 'n', 'no') THEN 2 ELSE 0 END::int2",
}


def about(plan: TablePlan, text: str, **parts: sql.Composable) -> sql.Composable:
    """A statement on a table, `{table}`, whose time is `{at}`."""
    at = sql.Identifier(plan.time.name)
    return sql.SQL(text).format(table=plan.table.relation, at=at, **parts)


def plausible_us(now_at: datetime) -> tuple[int, int]:
    """Plausible times as of a moment, [start, end) in microseconds since 1970."""
    start_s, end_s = unix_s(PLAUSIBLE_FROM), unix_s(now_at + PLAUSIBLE_AHEAD)
    return start_s * 1_000_000, end_s * 1_000_000


def plausible_unit(times: Iterable[Any], now_at: datetime) -> str | None:
    """The unit in which all of these numbers are plausible times; None where there is none."""
    low_us, high_us = plausible_us(now_at)
    known = [time for time in times if time is not None]
    for unit, ns in UNITS_NS.items():
        if known and all(low_us * 1000 <= time * ns < high_us * 1000 for time in known):
            return unit
    return None


def unit_ns(config: DatasetConfig) -> int:
    """Nanoseconds of one unit of the times that are numbers."""
    return UNITS_NS[config.source.time.unit or "s"]


def no_change(updated_at: SourceColumn) -> sql.Composable:
    """What stands for a missing time of change: it is before all others."""
    return sql.Literal(NEVER) if updated_at.family == "integer" else sql.SQL("'-infinity'")


def expression(template: str, column: str | sql.Composable) -> sql.Composable:
    """SQL on a column, `{c}` in the template."""
    number, not_finite = sql.Literal(_NUMBER), sql.Literal(_NOT_FINITE)
    c = sql.Identifier(column) if isinstance(column, str) else column
    return sql.SQL(template).format(c=c, number=number, not_finite=not_finite)


def series_hash(columns: Sequence[sql.Composable]) -> sql.Composable:
    """What stands for a series in a COPY, of the columns that name it."""
    parts = sql.SQL(" || E'\\x1f' || ").join(columns)
    return sql.SQL("coalesce(hashtextextended({}, 0), 0)").format(parts)


def series_names(columns: Sequence[SourceColumn]) -> list[sql.Composable]:
    """Of each of these columns the text that tells series apart."""
    return [sql.SQL("{}::text").format(sql.Identifier(column.name)) for column in columns]


def series_statement(
    columns: Sequence[SourceColumn], series: Sequence[Sequence[str]]
) -> sql.Composable:
    """Hash and text of series, as they are where the columns hold them."""
    given = [sql.Identifier(f"c{at}") for at in range(len(columns))]
    arrays = [sql.Literal([one[at] for one in series]) for at in range(len(columns))]
    # A type's name comes from Postgres, which has quoted it.
    typed = [
        sql.SQL("{}::{}::text").format(name, sql.SQL(column.type_name))
        for name, column in zip(given, columns, strict=True)
    ]
    text = "SELECT {hash}, concat_ws(E'\\x1f', {names}) FROM ROWS FROM ({arrays}) AS s({names})"
    listed = [sql.SQL("unnest({}::text[])").format(array) for array in arrays]
    comma = sql.SQL(", ")
    return sql.SQL(text).format(
        hash=series_hash(typed), names=comma.join(given), arrays=comma.join(listed)
    )


def state_marks(config: DatasetConfig) -> dict[str, float]:
    """What stands for each text that is a state of some channel, and no number by itself."""
    of_channels = [one.state_words for one in config.channels.values()]
    names = {
        word
        for words in of_channels
        for word, code in words.items()
        if word not in config.source.words and plain_number(word) != code
    }
    return {word: _STATE_MARKS - at * _MARK_STEP for at, word in enumerate(sorted(names))}


def plain_number(word: str) -> float | None:
    """The number that a text in small letters is without further words; None: it is none."""
    if word in TRUTHS:
        return TRUTHS[word]
    return float(word) if re.fullmatch(_NUMBER, word) else None


def number_of_word(channel: ChannelSection, word: str) -> float | None:
    """The number that a text in small letters is of a channel; None: it is none."""
    if channel.has_plain_states and word in (*YES_WORDS, *NO_WORDS):
        return float(word in YES_WORDS)
    return channel.state_words.get(word, plain_number(word))


def value_expression(config: DatasetConfig, column: SourceColumn) -> sql.Composable:
    """A value, or the mark for what is none, or for a word that is a state of some channel; `words`
    of the dataset are numbers.
    """
    c: sql.Composable = sql.Identifier(column.name)
    if column.family not in {"json", "text"}:
        return expression(_VALUES[column.family], c)
    if column.family == "json":
        c = sql.SQL("({} #>> '{{}}')").format(c)
    value, known = expression(_VALUES["text"], c), dict(TRUTHS)
    if any(one.has_plain_states for one in config.channels.values()):
        known |= dict.fromkeys(YES_WORDS, YES) | dict.fromkeys(NO_WORDS, NO)
    known |= state_marks(config) | config.source.words
    words = [
        sql.SQL("WHEN {} THEN {}::float8").format(
            sql.Literal(word), sql.Literal("NaN" if number is None else number)
        )
        for word, number in known.items()
    ]
    text = "CASE lower(btrim({c}::text, E' \\t\\r\\n')) {words} ELSE {value} END"
    return sql.SQL(text).format(c=c, words=sql.SQL(" ").join(words), value=value)


def first_value(config: DatasetConfig, columns: Sequence[SourceColumn]) -> sql.Composable:
    """The value of the first of these columns that is not NULL."""
    if len(columns) == 1:
        return value_expression(config, columns[0])
    cases = [
        sql.SQL("WHEN {} IS NOT NULL THEN {}").format(
            sql.Identifier(column.name), value_expression(config, column)
        )
        for column in columns
    ]
    return sql.SQL("CASE {} ELSE 'NaN'::float8 END").format(sql.SQL(" ").join(cases))


def is_bad(config: DatasetConfig, column: SourceColumn) -> sql.Composable:
    """1 where the quality column holds none of the good codes, else 0."""
    quality = cast("QualityColumn", config.source.quality)
    c, is_number = expression("{c}", column.name), column.family in NUMBERS
    if column.family == "bool":
        c, is_number = expression("{c}::int", column.name), True
    if not is_number:
        c = expression("lower(btrim({c}::text))", column.name)
    good = []
    for code in quality.good:
        if isinstance(code, tuple):
            low, high = map(sql.Literal, code)
            good.append(sql.SQL("{} BETWEEN {} AND {}").format(c, low, high))
        elif is_number and isinstance(code, (int, float)):
            good.append(sql.SQL("{} = {}").format(c, sql.Literal(code + 0)))
        elif not is_number:
            good.append(sql.SQL("{} = {}").format(c, sql.Literal(str(code).strip().lower())))
    any_good = sql.SQL(" OR ").join(good or [sql.SQL("false")])
    return sql.SQL("CASE WHEN {} THEN 0 ELSE 1 END::int2").format(any_good)


def in_range(
    config: DatasetConfig, time: SourceColumn, start_us: int, end_us: int
) -> sql.Composable:
    """Predicate for times in [start_us, end_us); wider than asked for naive times and dates."""
    bounds = _bounds(config, time, start_us, end_us)
    return sql.SQL("{c} >= {low} AND {c} < {high}").format(
        c=sql.Identifier(time.name), low=sql.Literal(bounds[0]), high=sql.Literal(bounds[1])
    )


def before(
    config: DatasetConfig, time: SourceColumn, start_us: int, lasting_us: int
) -> sql.Composable:
    """Predicate for times that `in_range` is too late for, no longer before it than so long."""
    low, high = (_bounds(config, time, at, at + 1)[0] for at in (start_us - lasting_us, start_us))
    return sql.SQL("{c} >= {low} AND {c} < {high}").format(
        c=sql.Identifier(time.name), low=sql.Literal(low), high=sql.Literal(high)
    )


def _bounds(
    config: DatasetConfig, time: SourceColumn, start_us: int, end_us: int
) -> tuple[Any, Any]:
    """The first time of a range as the column says it, and the first one after it."""
    bounds: tuple[Any, Any]
    if time.family in NUMBERS:
        bounds = -(-start_us * 1000 // unit_ns(config)), -(-end_us * 1000 // unit_ns(config))
    else:
        if time.family != "timestamptz":
            zone = ZoneInfo(config.source.time.zone)
            start_us, end_us = local_range(start_us, end_us, zone)
        low, high = (ORIGIN + timedelta(microseconds=us) for us in (start_us, end_us))
        bounds = low, high
        if time.family == "timestamptz":
            bounds = low.replace(tzinfo=UTC), high.replace(tzinfo=UTC)
        elif time.family == "date":
            bounds = low.date(), high.date() + timedelta(days=1)
    return bounds


@dataclass(frozen=True)
class CopyField:
    """One fixed-width column of a COPY, or as many as there are expressions."""

    name: str
    expressions: list[sql.Composable]
    kind: str

    @property
    def dtype(self) -> tuple[str, Any, Any]:
        element = [("length", ">i4"), ("content", self.kind)]
        return self.name, element, (len(self.expressions),)


def copy_fields(config: DatasetConfig, plan: TablePlan) -> list[CopyField]:
    """What is read of a table: its time, whom it is of, and values as numbers or marks."""
    time = plan.time
    if time.family == "numeric":
        us_per_unit = sql.Literal(unit_ns(config) / 1000)
        at: sql.Composable = sql.SQL("floor({c} * {us})::int8").format(
            c=sql.Identifier(time.name), us=us_per_unit
        )
    else:
        cast = {"integer": "{c}::int8", "date": "{c}::timestamp"}.get(time.family, "{c}")
        at = expression(cast, time.name)
    fields = [CopyField("time", [at], ">f8" if time.family == "float" else ">i8")]
    if plan.nanoseconds is not None:
        ns = expression("coalesce({c}::int8, 0)", plan.nanoseconds.name)
        fields.append(CopyField("nanoseconds", [ns], ">i8"))
    if plan.series:
        fields.append(CopyField("series", [series_hash(series_names(plan.series))], ">i8"))
    names = ("entity", config.source.entity.column), ("channel", config.source.channel_column)
    fields += [CopyField(name, [expression(_HASH, col)], ">i8") for name, col in names if col]
    if plan.quality is not None:
        fields.append(CopyField("bad", [is_bad(config, plan.quality)], ">i2"))
    if (updated := plan.updated_at) is not None:
        cast = "{c}::int8" if updated.family == "integer" else "{c}"
        known = sql.SQL("coalesce({known}, {none})").format(
            known=expression(cast, updated.name), none=no_change(updated)
        )
        fields.append(CopyField("updated", [known], ">i8"))
    if plan.label is not None:
        label = expression(_LABELS[plan.label.family], plan.label.name)
        fields.append(CopyField("label", [label], ">i2"))
    if (event_id := config.source.event_id) is not None:
        fields.append(CopyField("event", [expression(_HASH, event_id)], ">i8"))
    if plan.values:
        values = [_of_channel(config, first_value(config, plan.values))]
    else:
        places = zip(plan.channels, plan.columns, strict=True)
        values = [
            _EVENT if config.channels[config.channel_names[at]].counts_events
            else value_expression(config, column) for at, column in places
        ]  # fmt: skip
    return [*fields, CopyField("value", values, ">f8")]


def _of_channel(config: DatasetConfig, value: sql.Composable) -> sql.Composable:
    """The value of a row of a long table, where rows of events have one whatever they say."""
    source = config.source
    names = [name for name, channel in source.channels.items() if channel.counts_events]
    if not names or source.channel_column is None:
        return value
    columns = [source.channel_columns()[name] for name in names]
    text = "CASE WHEN {channel}::text = ANY({columns}) THEN {event} ELSE {value} END"
    return sql.SQL(text).format(
        channel=sql.Identifier(source.channel_column),
        columns=sql.Literal(columns),
        event=_EVENT,
        value=value,
    )


def rows_statement(
    config: DatasetConfig, plan: TablePlan, fields: list[CopyField], start_us: int, end_us: int
) -> sql.Composable:
    """SELECT of the rows of a range."""
    columns = sql.SQL(", ").join(one for field in fields for one in field.expressions)
    where = in_range(config, plan.time, start_us, end_us)
    return about(plan, "SELECT {columns} FROM {table} WHERE {where}", columns=columns, where=where)


def copy_statement(
    config: DatasetConfig, plan: TablePlan, fields: list[CopyField], start_us: int, end_us: int
) -> sql.Composable:
    """COPY of the rows of a range."""
    rows = rows_statement(config, plan, fields, start_us, end_us)
    return sql.SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(rows)


def copy_of(fields: list[CopyField], rows: sql.Composable) -> sql.Composable:
    """COPY of the rows of a query that has the columns of the table."""
    columns = sql.SQL(", ").join(one for field in fields for one in field.expressions)
    text = "COPY (SELECT {columns} FROM ({rows}) AS rows) TO STDOUT (FORMAT binary)"
    return sql.SQL(text).format(columns=columns, rows=rows)


def count_statement(
    config: DatasetConfig, plan: TablePlan, start_us: int, end_us: int
) -> sql.Composable:
    """Rows of a range, and their newest change, by quarter of an hour."""
    if plan.time.family in NUMBERS:
        quarter = sql.Literal(QUARTER_US * 1000 // unit_ns(config))
        # A float8 as numeric has fifteen digits only.
        exact = "float8" if plan.time.family == "float" else "numeric"
        bucket = about(plan, f"floor({{at}}::{exact} / {{quarter}})::int8", quarter=quarter)
    else:
        bucket = about(plan, "floor(extract(epoch FROM {at}) / 900)::int8")
    newest: sql.Composable = sql.SQL("NULL")
    if plan.updated_at is not None and plan.updated_at.family in {"timestamptz", "timestamp"}:
        # A time of change that is none, such as infinity, would be news for ever.
        newest = sql.SQL("max({c}) FILTER (WHERE {known})").format(
            c=sql.Identifier(plan.updated_at.name),
            known=in_range(config, plan.updated_at, 0, _LATEST_CHANGE_US),
        )
    where = in_range(config, plan.time, start_us, end_us)
    text = "SELECT {bucket}, count(*), {newest} FROM {table} WHERE {where} GROUP BY 1"
    return about(plan, text, bucket=bucket, newest=newest, where=where)


def null_times_statement(plan: TablePlan) -> sql.Composable:
    """How many rows of a table have no time."""
    return about(plan, "SELECT count(*) FROM {table} WHERE {at} IS NULL")


def explained(statement: sql.Composable) -> sql.Composable:
    """How Postgres would answer a statement, and what that costs."""
    return sql.SQL("EXPLAIN (FORMAT JSON) {}").format(statement)


def measured(statement: sql.Composable) -> sql.Composable:
    """How Postgres answers a statement, what it reads for that, and how long it takes."""
    return sql.SQL("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {}").format(statement)


def sample_keys_statement(plan: TablePlan, names: Sequence[str], most: int) -> sql.Composable:
    """Rows of a table, `most` of them at most, and how many differ by `names`."""
    key = sql.SQL(", ").join([*map(sql.Identifier, names), sql.SQL("true")])
    text = (
        "SELECT count(*), count(DISTINCT key) FROM "
        "(SELECT ROW({key})::text AS key FROM {table} LIMIT {most}) AS sample"
    )
    return about(plan, text, key=key, most=sql.Literal(most))


def distinct_statement(
    config: DatasetConfig,
    plan: TablePlan,
    names: Sequence[str],
    tells: Sequence[SourceColumn],
    span: tuple[int, int],
) -> sql.Composable:
    """Rows of a range; how many differ by `names`, by these and each of `tells`, by it alone."""
    key = [sql.Identifier(name) for name in names]
    of = [sql.Identifier(column.name) for column in tells]
    counts = [sql.SQL("count(*), count(DISTINCT ({}))").format(sql.SQL(", ").join(key))]
    for one in of:
        both = sql.SQL(", ").join([*key, one])
        counts.append(sql.SQL("count(DISTINCT ({})), count(DISTINCT {})").format(both, one))
    where = in_range(config, plan.time, *span)
    text = "SELECT {counts} FROM {table} WHERE {where}"
    return about(plan, text, counts=sql.SQL(", ").join(counts), where=where)


def bounds_statement(
    config: DatasetConfig, plan: TablePlan, span: tuple[int, int], series: Sequence[Sequence[str]]
) -> sql.Composable:
    """Oldest and newest time of a table in a range; of these series each by the store's own key."""
    where = in_range(config, plan.time, *span)
    if series:
        ends = []
        for one in series:
            pairs = zip(plan.series, one, strict=True)
            same = [
                sql.SQL("{} = {}").format(sql.Identifier(c.name), sql.Literal(v)) for c, v in pairs
            ]
            rows = sql.SQL(" AND ").join([*same, where])
            for way in ("ASC", "DESC"):
                text = "(SELECT {at} AS at FROM {table} WHERE {rows} ORDER BY {at} {way} LIMIT 1)"
                ends.append(about(plan, text, rows=rows, way=sql.SQL(way)))
        union = sql.SQL(" UNION ALL ").join(ends)
        return sql.SQL("SELECT min(at), max(at) FROM ({}) AS ends").format(union)
    text = "SELECT min({at}), max({at}) FROM {table} WHERE {where}"
    return about(plan, text, where=where)


def _name(column: str) -> sql.Composable:
    """So much of a text that its reader sees that it is too long, as bytes of UTF-8.

    A database without an encoding holds bytes that are no text: `rows.as_text` shows these too.
    """
    text = "convert_to(left({c}::text, {most}), " + _ENCODING + ")"
    return sql.SQL(text).format(c=sql.Identifier(column), most=sql.Literal(MAX_NAME_BYTES + 1))


def names_statement(
    config: DatasetConfig,
    plan: TablePlan,
    column: str,
    hashes: list[int],
    span: tuple[int, int],
    broken: sql.Composable = NOTHING,
) -> sql.Composable:
    """Hash and name of those names in a range that have one of these hashes.

    `broken` are rows of which the name cannot be read.
    """
    text = (
        "SELECT DISTINCT hashtextextended({c}::text, 0), {name} FROM {table} "
        "WHERE {where} AND CASE WHEN {broken} THEN false "
        "ELSE hashtextextended({c}::text, 0) = ANY({new}) END"
    )
    new, where = sql.Literal(hashes), in_range(config, plan.time, *span)
    said = {"c": sql.Identifier(column), "name": _name(column)}
    return about(plan, text, new=new, where=where, broken=broken, **said)


def heard_statement(
    config: DatasetConfig, plan: TablePlan, column: str, start_us: int, lasting_us: int
) -> sql.Composable:
    """Hash and name of those heard of for so long before a range."""
    text = (
        "SELECT DISTINCT hashtextextended({c}::text, 0), {name} FROM {table} "
        "WHERE {where} AND {c} IS NOT NULL"
    )
    said = {"c": sql.Identifier(column), "name": _name(column)}
    return about(plan, text, where=before(config, plan.time, start_us, lasting_us), **said)


def label_words_statement(
    config: DatasetConfig,
    plan: TablePlan,
    label: SourceColumn,
    span: tuple[int, int],
    broken: sql.Composable = NOTHING,
) -> sql.Composable:
    """A few labels of a range that say neither yes nor no."""
    text = (
        "SELECT DISTINCT {name} FROM {table} "
        "WHERE {where} AND CASE WHEN {broken} THEN false ELSE {mark} = 2 END LIMIT 3"
    )
    where, mark = in_range(config, plan.time, *span), expression(_LABELS[label.family], label.name)
    said = {"where": where, "mark": mark, "broken": broken}
    return about(plan, text, name=_name(label.name), **said)


def state_words_statement(
    config: DatasetConfig,
    plan: TablePlan,
    column: SourceColumn,
    span: tuple[int, int],
    rows: sql.Composable,
    most: int,
    known: Sequence[str] = (),
) -> sql.Composable:
    """Name and text of what is no number in a column of values, in small letters, of some rows of a
    range; at most so many pairs, without those that are `known`.
    """
    name = config.source.channel_column
    text = (
        "SELECT DISTINCT {name}, convert_to(left(lower(btrim({c}, E' \\t\\r\\n')), 200), {code}) "
        "FROM {table} WHERE {where} AND {rows} AND {value} <= {highest} "
        "AND lower(btrim({c}, E' \\t\\r\\n')) <> ALL({known}::text[]) LIMIT {most}"
    )
    said = {
        "name": sql.SQL("NULL") if name is None else _name(name),
        "c": text_of(column),
        "code": sql.SQL(_ENCODING),
        "where": in_range(config, plan.time, *span),
        "rows": rows,
        "value": value_expression(config, column),
        "highest": sql.SQL("{}::float8").format(sql.Literal(str(TEXT_MARKS))),
        "known": sql.Literal([*known]),
        "most": sql.Literal(most),
    }
    return about(plan, text, **said)


def text_of(column: SourceColumn) -> sql.Composable:
    """A text that a column of values holds."""
    c = sql.Identifier(column.name)
    of_json = sql.SQL("({} #>> '{{}}')").format(c)
    return of_json if column.family == "json" else sql.SQL("{}::text").format(c)


def value_words_statement(
    config: DatasetConfig, plan: TablePlan, column: SourceColumn, span: tuple[int, int], most: int
) -> sql.Composable:
    """Texts of a range in a column of values, in small letters, at most so many."""
    text = (
        "SELECT DISTINCT lower(btrim({c}, E' \\t\\r\\n')) FROM {table} "
        "WHERE {where} AND {c} IS NOT NULL LIMIT {most}"
    )
    where, c = in_range(config, plan.time, *span), sql.Identifier(column.name)
    return about(plan, text, c=c, where=where, most=sql.Literal(most))


def implausible_statement(
    config: DatasetConfig, plan: TablePlan, span: tuple[int, int]
) -> sql.Composable:
    """Rows by entity with a time outside of a range; of very many not all."""
    column = config.source.entity.column
    entity = sql.Literal(plan.entity or "") if column is None else _name(column)
    text = (
        "SELECT coalesce(entity, ''), count(*) FROM "
        "(SELECT {entity} AS entity FROM {table} WHERE NOT ({where}) LIMIT {most}) s GROUP BY 1"
    )
    where, most = in_range(config, plan.time, *span), sql.Literal(_MOST_IMPLAUSIBLE)
    return about(plan, text, entity=entity, where=where, most=most)
