"""The last row of each series before a range: what it says may still hold in the range.

Where values are valid for a duration it is looked for no further back than that. Where they are
valid until they change it is one seek for each series, which an index on series and time answers
however long ago the row is; series are those of the entities that were heard of just before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from psycopg2 import extensions, sql

from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.sources.postgres_tables import statements
from tsad_tasks.ingest.sources.postgres_tables.broken import BROKEN, attempt
from tsad_tasks.ingest.sources.postgres_tables.rows import Part, copied_by
from tsad_tasks.ingest.sources.postgres_tables.tables import TablePlan

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


def lasting_us(config: DatasetConfig) -> int:
    """So long before a range rows may be that say who may still have values in it; 0: nobody."""
    source = config.source
    given = [channel.valid_for_s for channel in source.channels.values()]
    lasting = [source.silence_s if isinstance(one, str) else one for one in given]
    return max(lasting) * 1_000_000


def is_sought(config: DatasetConfig) -> bool:
    """Whether the last rows may be from any time."""
    return any(isinstance(one.valid_for_s, str) for one in config.source.channels.values())


def with_carried(
    cursor: extensions.cursor,
    config: DatasetConfig,
    plan: TablePlan,
    part: Part,
    start_us: int,
    entities: Sequence[str],
) -> Part:
    """A table's rows, with the last of each series before them.

    `entities` are those heard of just before; they are needed where last rows are sought.
    """
    fields = statements.copy_fields(config, plan)
    for keys in (_KEYS, _KEYS_AS_TEXT):
        rows = _last_rows(config, plan, start_us, entities, keys)
        try:
            with attempt(cursor):
                before = copied_by(cursor, plan, fields, rows)
        except BROKEN:
            # The name of a channel need not be one that the column's type can hold.
            continue
        return {name: np.concatenate([before[name], part[name]]) for name in part}
    return part


def _last_rows(
    config: DatasetConfig, plan: TablePlan, start_us: int, entities: Sequence[str], array: str
) -> sql.Composable:
    source = config.source
    known: list[tuple[str, Sequence[str]]] = []
    if source.entity.column is not None:
        known.append((source.entity.column, entities))
    if source.channel_column is not None:
        known.append((source.channel_column, list(source.channel_columns().values())))
    columns = [sql.Identifier(name) for name, _ in known]
    if not is_sought(config):
        recent = statements.before(config, plan.time, start_us, lasting_us(config))
        text = _RECENT if known else _LAST
        return statements.about(plan, text, rows=recent, keys=sql.SQL(", ").join(columns))
    any_time = statements.before(config, plan.time, start_us, _FAR_US)
    if not known:
        return statements.about(plan, _LAST, rows=any_time)
    # Every entity with every channel, a column for each of the keys.
    series = np.meshgrid(*(np.arange(len(words)) for _, words in known))
    names = [sql.Identifier(f"key_{at}") for at in range(len(known))]
    arrays, rows = list[sql.Composable](), [any_time]
    for (_, words), at, column, name in zip(known, series, columns, names, strict=True):
        texts = sql.Literal(array_text([words[i] for i in at.ravel().tolist()]))
        arrays.append(statements.about(plan, array, c=column, texts=texts))
        same = "{} = known.{}" if array == _KEYS else "{}::text = known.{}"
        rows.append(sql.SQL(same).format(column, name))
    comma, both = sql.SQL(", "), sql.SQL(" AND ")
    said = {"keys": comma.join(arrays), "names": comma.join(names), "rows": both.join(rows)}
    return statements.about(plan, _OF_SERIES, **said)


def array_text(words: Sequence[str]) -> str:
    """An array as Postgres reads it, of a type that what it is compared with decides.

    >>> array_text(["1", 'a, "b"'])
    '{"1","a, \\\\"b\\\\""}'
    """
    escaped = (word.replace("\\", "\\\\").replace('"', '\\"') for word in words)
    return "{" + ",".join(f'"{word}"' for word in escaped) + "}"
