"""Texts of discrete channels that are no state, by name: what is missing in the dataset file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from psycopg2 import extensions, sql

from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.sources.base import SourceRows
from tsad_tasks.ingest.sources.postgres_tables import statements
from tsad_tasks.ingest.sources.postgres_tables.broken import BROKEN, attempt
from tsad_tasks.ingest.sources.postgres_tables.rows import as_text
from tsad_tasks.ingest.sources.postgres_tables.tables import SourceColumn, TablePlan

# So many texts of a channel are named, of so many tables and series at most.
MOST_WORDS, _MOST_TABLES, _MOST_SERIES = 3, 5, 20
_TEXTS = {"text", "json"}


def with_state_words(
    cursor: extensions.cursor,
    config: DatasetConfig,
    plans: Sequence[TablePlan],
    rows: SourceRows,
    span: tuple[int, int],
) -> SourceRows:
    """The rows, with some of the texts of discrete channels that are no state, if there are any."""
    found = dict[int, tuple[str, ...]]()
    for position, channel in enumerate(config.channels.values()):
        if not channel.state_codes:
            continue
        of_channel = ... if rows.channel is None else rows.channel == position
        values = rows.values[:, position] if rows.channel is None else rows.values
        is_text = np.zeros(len(values), bool)
        is_text[of_channel] = values[of_channel] == -np.inf
        if not is_text.any():
            continue
        words = set[str]()
        for table in np.unique(rows.table[is_text])[:_MOST_TABLES].tolist():
            own = is_text & (rows.table == table)
            words |= {*_words_of(cursor, config, plans[table], position, rows, own, span)}
        found[position] = tuple(sorted(words)[:MOST_WORDS])
    return replace(rows, state_words=found) if found else rows


def _words_of(
    cursor: extensions.cursor,
    config: DatasetConfig,
    plan: TablePlan,
    position: int,
    rows: SourceRows,
    own: NDArray[np.bool_],
    span: tuple[int, int],
) -> Iterator[str]:
    """Texts of a channel in a table, of which some rows, where `own`, are no state."""
    name, channel = config.channel_names[position], config.channels[config.channel_names[position]]
    chosen: sql.Composable = sql.SQL("true")
    columns = [*plan.values]
    if not plan.values:
        columns = [plan.columns[plan.channels.index(position)]]
    elif plan.series and rows.tag is not None:
        tags = np.unique(rows.tag[own])[:_MOST_SERIES].tolist()
        chosen = _of_series(plan.series, [rows.tags[tag].series for tag in tags])
    elif config.source.channel_column is not None:
        chosen = sql.SQL("{}::text = {}").format(
            sql.Identifier(config.source.channel_column),
            sql.Literal(config.source.channel_columns()[name]),
        )
    # A name of another channel's state is a text like any other.
    known = [*channel.state_words, *statements.TRUTHS]
    if channel.has_plain_states:
        known += [*statements.YES_WORDS, *statements.NO_WORDS]
    for column in columns:
        if column.family not in _TEXTS:
            continue
        ask = statements.state_words_statement(
            config, plan, column, span, chosen, MOST_WORDS, known
        )
        # Cells that cannot be read are told of by those who read them.
        with suppress(*BROKEN), attempt(cursor):
            cursor.execute(ask)
            yield from [as_text(word) for _, word in cursor.fetchall()]


def _of_series(columns: Sequence[SourceColumn], series: Sequence[Sequence[str]]) -> sql.Composable:
    """Rows of these series."""
    names = sql.SQL(", ").join(statements.series_names(columns))
    listed = [sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, one))) for one in series]
    return sql.SQL("({}) IN ({})").format(names, sql.SQL(", ").join(listed))
