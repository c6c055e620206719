"""The last row of each series before a range: what it says may still hold in the range.

Where values are valid for a duration it is looked for no further back than that. Where they are
valid until they change it is one seek for each series, which an index on series and time answers
however long ago the row is; series are those of the entities that were heard of just before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import numpy as np
from psycopg2 import extensions, sql

from tsad_tasks.config import DatasetConfig
from tsad_tasks.config.checks import Numbers
from tsad_tasks.ingest.counter import N_BEFORE, OLDEST_US
from tsad_tasks.ingest.sources.base import Tag
from tsad_tasks.ingest.sources.postgres_tables import statements
from tsad_tasks.ingest.sources.postgres_tables.broken import BROKEN, attempt
from tsad_tasks.ingest.sources.postgres_tables.rows import Part, copied_by
from tsad_tasks.ingest.sources.postgres_tables.tables import TablePlan, array_text

_FAR_US = 3600 * 24 * 3660 * 1_000_000
# Not LIMIT: of rows of one moment which one counts is decided elsewhere.
_LAST = "SELECT * FROM {table} WHERE {rows} AND {at} = (SELECT max({at}) FROM {table} WHERE {rows})"
_OF_SERIES = (
    "SELECT carried.* FROM ROWS FROM ({keys}) AS known({names}), "
    "LATERAL (SELECT max({at}) AS last_of_tsad FROM {table} WHERE {rows}) AS newest, "
    "LATERAL (SELECT * FROM {table} WHERE {rows} AND {at} = newest.last_of_tsad) AS carried"
)
_RECENT = (
    "SELECT * FROM (SELECT *, rank() OVER (PARTITION BY {keys} ORDER BY {at} DESC) "
    "AS rank_of_tsad FROM {table} WHERE {rows}) AS ranked WHERE rank_of_tsad = 1"
)
# An array of the column's own type, whichever that is, so that its index serves.
_KEYS = "unnest(CASE WHEN false THEN ARRAY(SELECT {c} FROM {table}) ELSE {texts} END)"
_KEYS_AS_TEXT = "unnest({texts}::text[])"

# Of series with rows in a range the last totals before it. Not LIMIT, as above.
_TOTALS = (
    "SELECT carried.* FROM (SELECT DISTINCT {columns} FROM {table} WHERE {within}) "
    "AS known({names}), LATERAL (SELECT * FROM {table} WHERE {rows} ORDER BY {at} DESC "
    "FETCH FIRST {n} ROWS WITH TIES) AS carried"
)
_TOTALS_OF_ONE = (
    "SELECT * FROM {table} WHERE {rows} ORDER BY {at} DESC FETCH FIRST {n} ROWS WITH TIES"
)
_IS_NUMBER = "({v} > '-Infinity'::float8 AND {v} < 'Infinity'::float8 AND abs({v}) <= 1e300)"


def lasting_us(config: DatasetConfig) -> int:
    """So long before a range rows may be that say who may still have values in it; 0: nobody."""
    source = config.source
    given = [channel.valid_for_s for channel in source.channels.values()]
    lasting = [source.silence_s if isinstance(one, str) else one for one in given]
    return max(lasting) * 1_000_000


def is_sought(config: DatasetConfig) -> bool:
    """Whether the last rows may be from any time."""
    return any(isinstance(one.valid_for_s, str) for one in config.channels.values())


def with_carried(
    cursor: extensions.cursor,
    config: DatasetConfig,
    plan: TablePlan,
    part: Part,
    start_us: int,
    entities: Sequence[str],
    tags: Sequence[Tag] = (),
) -> Part:
    """A table's rows, with the last of each series before them.

    `entities` are those heard of just before them or by them; where last rows are sought these or
    `tags` say which series there may be.
    """
    fields = statements.copy_fields(config, plan)
    known = _known(config, plan, entities, tags)
    for keys in (_KEYS, _KEYS_AS_TEXT):
        rows = _last_rows(config, plan, start_us, known, keys)
        try:
            with attempt(cursor):
                before = copied_by(cursor, plan, fields, rows)
        except BROKEN:
            # The name of a channel need not be one that the column's type can hold.
            continue
        return {name: np.concatenate([before[name], part[name]]) for name in part}
    return part


def _known(
    config: DatasetConfig, plan: TablePlan, entities: Sequence[str], tags: Sequence[Tag]
) -> dict[str, list[str]]:
    """The columns that tell series apart, and what each of them says of every series."""
    if plan.series:
        said = zip(*sorted({tag.series for tag in tags}), strict=True)
        return {column.name: [*words] for column, words in zip(plan.series, said, strict=True)}
    source, parts = config.source, dict[str, Sequence[str]]()
    if source.entity.column is not None:
        parts[source.entity.column] = entities
    if source.channel_column is not None:
        parts[source.channel_column] = [*source.channel_columns().values()]
    every = [*product(*parts.values())]
    return {name: [words[at] for words in every] for at, name in enumerate(parts)}


def _last_rows(
    config: DatasetConfig,
    plan: TablePlan,
    start_us: int,
    known: Mapping[str, Sequence[str]],
    array: str,
) -> sql.Composable:
    longest_us = _FAR_US if is_sought(config) else lasting_us(config)
    when = statements.before(config, plan.time, start_us, longest_us)
    columns, comma = [sql.Identifier(name) for name in known], sql.SQL(", ")
    if not known:
        return statements.about(plan, _LAST, rows=when)
    if not is_sought(config) and not plan.series:
        return statements.about(plan, _RECENT, rows=when, keys=comma.join(columns))
    names = [sql.Identifier(f"key_{at}") for at in range(len(known))]
    arrays, rows = list[sql.Composable](), [when]
    same = "{} = known.{}" if array == _KEYS else "{}::text = known.{}"
    for words, column, name in zip(known.values(), columns, names, strict=True):
        texts = sql.Literal(array_text(words))
        arrays.append(statements.about(plan, array, c=column, texts=texts))
        rows.append(sql.SQL(same).format(column, name))
    said = {"keys": comma.join(arrays), "names": comma.join(names)}
    return statements.about(plan, _OF_SERIES, rows=sql.SQL(" AND ").join(rows), **said)


def with_totals(
    cursor: extensions.cursor,
    config: DatasetConfig,
    plan: TablePlan,
    part: Part,
    span_us: tuple[int, int],
    tags: Sequence[Tag] = (),
) -> Part:
    """A table's rows, with the last known totals before them of each counter that has any."""
    fields, found = statements.copy_fields(config, plan), [part]
    for rows in _totals(config, plan, span_us, tags):
        try:
            with attempt(cursor):
                found.append(copied_by(cursor, plan, fields, rows))
        except BROKEN:
            # What cannot be read is told of where it is read itself.
            continue
    return {name: np.concatenate([one[name] for one in found[::-1]]) for name in part}


def _totals(
    config: DatasetConfig, plan: TablePlan, span_us: tuple[int, int], tags: Sequence[Tag]
) -> Iterator[sql.Composable]:
    """A query for each column of totals; of a long table or of series there is one."""
    source = config.source
    names = [name for name, channel in source.channels.items() if channel.is_counter]
    if source.shape == "long":
        values = statements.first_value(config, plan.values)
        codes = {source.channels[name].no_value for name in names}
        known = _is_known(config, plan, values, codes.pop() if len(codes) == 1 else ())
        yield _last_totals(config, plan, span_us, known, _of_counters(config, plan, names, tags))
        return
    for name in names:
        position = config.channel_names.index(name)
        if position in plan.channels:
            column = plan.columns[plan.channels.index(position)]
            value = statements.value_expression(config, column)
            known = _is_known(config, plan, value, source.channels[name].no_value)
            yield _last_totals(config, plan, span_us, known, known)


def _is_known(
    config: DatasetConfig, plan: TablePlan, value: sql.Composable, codes: Numbers
) -> sql.Composable:
    """Predicate for rows whose value is a number that is to be trusted."""
    parts = [sql.SQL(_IS_NUMBER).format(v=value)]
    for code in codes:
        low, high = code if isinstance(code, tuple) else (code, code)
        parts.append(
            sql.SQL("NOT ({v} BETWEEN {low}::float8 AND {high}::float8)").format(
                v=value, low=sql.Literal(low), high=sql.Literal(high)
            )
        )
    if plan.quality is not None:
        parts.append(sql.SQL("{} = 0").format(statements.is_bad(config, plan.quality)))
    return sql.SQL(" AND ").join(parts)


def _of_counters(
    config: DatasetConfig, plan: TablePlan, names: Sequence[str], tags: Sequence[Tag]
) -> sql.Composable:
    """Predicate for rows of counters, where a row is of one channel."""
    if plan.series:
        texts = sql.SQL(", ").join(statements.series_names(plan.series))
        series = sorted({tag.series for tag in tags if tag.channel in names})
        listed = sql.SQL(", ").join(
            sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, one))) for one in series
        )
        if not series:
            return statements.NOTHING
        return sql.SQL("({}) IN (VALUES {})").format(texts, listed)
    columns = [config.source.channel_columns()[name] for name in names]
    column = sql.Identifier(str(config.source.channel_column))
    return sql.SQL("{}::text = ANY({})").format(column, sql.Literal(columns))


def _last_totals(
    config: DatasetConfig,
    plan: TablePlan,
    span_us: tuple[int, int],
    known: sql.Composable,
    chosen: sql.Composable,
) -> sql.Composable:
    """The last totals before a range, of series with rows in it that are `chosen`."""
    source, both = config.source, sql.SQL(" AND ")
    earlier = statements.before(config, plan.time, span_us[0], 2 * OLDEST_US)
    given = (source.entity.column, source.channel_column)
    keys = [one.name for one in plan.series] or [name for name in given if name is not None]
    rows, n = [earlier, known], sql.Literal(N_BEFORE)
    if not keys:
        return statements.about(plan, _TOTALS_OF_ONE, rows=both.join(rows), n=n)
    columns = [sql.Identifier(name) for name in keys]
    names = [sql.Identifier(f"key_{at}") for at in range(len(keys))]
    rows += [sql.SQL("{} = known.{}").format(*pair) for pair in zip(columns, names, strict=True)]
    within = both.join([statements.in_range(config, plan.time, *span_us), chosen])
    comma = sql.SQL(", ")
    parts = {"columns": comma.join(columns), "names": comma.join(names), "within": within}
    return statements.about(plan, _TOTALS, rows=both.join(rows), n=n, **parts)
