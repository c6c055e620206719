"""What an hour of a table costs its server, and what of it might be mistaken."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, cast

from psycopg2 import extensions, sql

from tsad_tasks.base.enums import Signal
from tsad_tasks.config import DatasetConfig
from tsad_tasks.config.checks import MAX_STATES
from tsad_tasks.config.written import written_value
from tsad_tasks.ingest.sources.base import HOUR_US, Hint
from tsad_tasks.ingest.sources.postgres_tables import statements
from tsad_tasks.ingest.sources.postgres_tables.rows import as_text
from tsad_tasks.ingest.sources.postgres_tables.tables import (
    CLOCKS,
    NUMBERS,
    TablePlan,
)
from tsad_tasks.ingest.tally import shortened

_RIGHTS = Path(__file__).parents[4] / "sql" / "source" / "select_rights.sql"
# So many rows are read for each that is used before anybody is told, and so many at least.
_TOO_MANY_FOR_ONE, _MANY_ROWS = 10, 10_000
# Of smaller tables a look at all rows is no matter; so many cost the planner so much.
_LARGE_ROWS, _LARGE_COST = 1_000_000, 20_000
_ROWS_BY_COST = _LARGE_ROWS / _LARGE_COST
# Rows of one entity, channel and time are several series where a column tells so many apart.
_TOLD_APART, _SEVERAL = 0.9, 1.2
# Hours of which texts are looked at; of a table that is not large, since states may change seldom.
_STATE_HOURS, _SELDOM_HOURS = 6, 672
# So many texts of a long table are looked at, of all channels.
_MOST_WORDS = 500


class _Rights(NamedTuple):
    may_write: bool
    may_index: bool
    is_partitioned: bool


def advice(
    cursor: extensions.cursor, config: DatasetConfig, plan: TablePlan, span_us: tuple[int, int]
) -> Iterator[Hint]:
    """What a person might mend about a table, of which an hour is looked at."""
    rights = _rights(cursor, plan)
    if rights.may_write:
        text = "The login may write to it. One that may only read is enough, and safer."
        yield "warning", text, plan.title
    if config.source.time.zone != "UTC" and plan.time.family == "timestamptz":
        text = f"Expected no time.zone, since {plan.time.name} is a {plan.time.type_name}."
        yield "warning", f"{text} Received: {config.source.time.zone}; it is ignored.", plan.title
    yield from _cost(cursor, config, plan, span_us, rights)
    yield from _last_values(cursor, config, plan)
    yield from _several_series(cursor, config, plan, span_us)
    yield from _states(cursor, config, plan, span_us)


def _states(
    cursor: extensions.cursor, config: DatasetConfig, plan: TablePlan, span_us: tuple[int, int]
) -> Iterator[Hint]:
    """Channels of a few texts that no word makes numbers of: they may be states."""
    is_small = 0 <= plan.table.n_rows_estimate < _LARGE_ROWS
    hours = _SELDOM_HOURS if is_small else _STATE_HOURS
    span_us = span_us[1] - hours * HOUR_US, span_us[1]
    for name, words in _texts_of_channels(cursor, config, plan, span_us).items():
        channel, known = config.channels[name], {*config.source.words, *statements.TRUTHS}
        known |= {*channel.state_words}
        if channel.has_plain_states:
            known |= {*statements.YES_WORDS, *statements.NO_WORDS}
        texts = sorted(word for word in words - known if not _is_number(word))
        if not texts or len(words) > MAX_STATES:
            continue
        few = ", ".join(map(shortened, texts[:5]))
        if channel.states:
            expected = f"the states {', '.join(channel.states)}"
            codes = dict(channel.states)
            new = [*range(int(max(codes.values())) + 1, int(max(codes.values())) + 1 + len(texts))]
            codes |= {text: float(code) for text, code in zip(texts, new, strict=True)}
        else:
            is_gauge = channel.signal == Signal.GAUGE
            expected = "numbers, or words that say them" if is_gauge else "the states 0, 1"
            codes = {word: float(at) for at, word in enumerate(sorted(words))}
        written = ", ".join(f"{written_value(text)}: {code:g}" for text, code in codes.items())
        text = f"{name}: Expected {expected}. Received: {few}."
        hint = f"Is it signal: discrete, states: {{{written}}}?"
        yield "warning", f"{text} {hint}", plan.title


def _texts_of_channels(
    cursor: extensions.cursor, config: DatasetConfig, plan: TablePlan, span_us: tuple[int, int]
) -> dict[str, set[str]]:
    """Words in columns of texts by channel that is a gauge or discrete, one more than there may be
    states at most; of a long table those that are no numbers.
    """
    found = dict[str, set[str]]()
    names = {column: name for name, column in config.source.channel_columns().items()}
    for column in plan.columns:
        name = names.get(column.name)
        if column.family == "text" and name is not None:
            most = MAX_STATES + 1
            cursor.execute(statements.value_words_statement(config, plan, column, span_us, most))
            found[name] = {str(word) for (word,) in cursor.fetchall() if word}
    if config.source.channel_column is not None:
        for column in plan.values:
            if column.family in {"text", "json"}:
                every, most = sql.SQL("true"), _MOST_WORDS
                cursor.execute(
                    statements.state_words_statement(config, plan, column, span_us, every, most)
                )
                for channel, word in cursor.fetchall():
                    if channel is not None and (name := names.get(as_text(channel))) is not None:
                        found.setdefault(name, set()).add(as_text(word))
    asked = (Signal.GAUGE, Signal.DISCRETE)
    return {name: words for name, words in found.items() if config.channels[name].signal in asked}


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _rights(cursor: extensions.cursor, plan: TablePlan) -> _Rights:
    if not plan.table.schema:
        return _Rights(False, False, False)
    names = {"schema": plan.table.schema, "name": plan.table.name}
    cursor.execute(_RIGHTS.read_text(encoding="utf-8"), names)
    return _Rights(*cast("tuple[Any, ...]", cursor.fetchone()))


def _cost(
    cursor: extensions.cursor,
    config: DatasetConfig,
    plan: TablePlan,
    span_us: tuple[int, int],
    rights: _Rights,
) -> Iterator[Hint]:
    """How many rows are read for those that are used, by the statement that a run sends."""
    fields = statements.copy_fields(config, plan)
    asked = statements.rows_statement(config, plan, fields, *span_us)
    cursor.execute(statements.measured(asked))
    (explained,) = cast("tuple[Any]", cursor.fetchone())
    top = explained[0]
    n_used, n_read = int(top["Plan"]["Actual Rows"]), _rows_read(top["Plan"])
    seconds = float(top["Execution Time"]) / 1000
    took = "less than 0.01 s" if seconds < 0.01 else f"{seconds:.2f} s"
    text = f"An hour reads {n_read:,} rows and uses {n_used:,} ({took})"
    if n_read < _MANY_ROWS or n_read < _TOO_MANY_FOR_ONE * max(n_used, 1):
        yield "info", f"{text}.", plan.title
        return
    text += ": no key of it serves."
    if plan.table.n_rows_estimate >= _LARGE_ROWS and not config.source.full_scan:
        text += " It is not read before you say source.full_scan: true."
    if not rights.may_index:
        yield "warning", f"{text} Whoever owns it could make an index on the time.", plan.title
        return
    place = sql.Identifier(plan.table.schema, plan.table.name).as_string(cursor)
    column = sql.Identifier(plan.time.name).as_string(cursor)
    # Of a table with partitions no index is made beside its readers and writers.
    how = "" if rights.is_partitioned else " CONCURRENTLY"
    index = (
        f"CREATE INDEX{how} ON {place} USING brin ({column}); where rows come in the order of time"
    )
    yield "warning", f"{text} Make one: {index}, else without USING brin.", plan.title


def _rows_read(node: dict[str, Any]) -> int:
    """Rows that the scans below a node looked at."""
    below: int = sum(_rows_read(one) for one in node.get("Plans", ()))
    if "Scan" not in node["Node Type"] or node["Node Type"] in {
        "Subquery Scan",
        "Bitmap Index Scan",
    }:
        return below
    dropped = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    own = node["Actual Rows"] + sum(node.get(name, 0) for name in dropped)
    n_own: int = round(own * node["Actual Loops"])
    return below + n_own


def _last_values(
    cursor: extensions.cursor, config: DatasetConfig, plan: TablePlan
) -> Iterator[Hint]:
    """Whether a table has one row for each series, which is written over."""
    source = config.source
    names = [*filter(None, (source.entity.column, source.channel_column)), *source.series_columns]
    cursor.execute(statements.sample_keys_statement(plan, names, _MANY_ROWS))
    n_rows, n_keys = cast("tuple[int, int]", cursor.fetchone())
    if 0 < n_rows == n_keys < _MANY_ROWS:
        text = f"It has one row for each of {n_keys:,} series, as tables of last values do"
        what = "what was between two runs is not there, and no past hour can be read"
        yield "warning", f"{text}: {what}. Is there a table of all values beside it?", plan.title


def full_scan(
    cursor: extensions.cursor, config: DatasetConfig, plan: TablePlan, start_us: int
) -> str | None:
    """What to say of a table of which an hour costs a look at all of many rows; None: of others."""
    # 0: of a table that nobody has analysed, or one with partitions, only its plan tells.
    is_small = plan.table.may_have_index and 0 < plan.table.n_rows_estimate < _LARGE_ROWS
    if is_small or plan.time.has_index:
        return None
    fields = statements.copy_fields(config, plan)
    hour = statements.rows_statement(config, plan, fields, start_us, start_us + HOUR_US)
    cursor.execute(statements.explained(hour))
    (explained,) = cast("tuple[Any]", cursor.fetchone())
    scans = [*_whole_scans(explained[0]["Plan"])]
    if not scans:
        return None
    return (
        f"Expected a key that finds the rows of an hour. Received: none for {', '.join(scans)}, so "
        "that each run looks at all of its rows. `tsad datasets check` says what that costs and "
        "which index helps; source.full_scan: true accepts it."
    )


def _whole_scans(node: dict[str, Any]) -> Iterator[str]:
    """Large tables that a plan reads from end to end for a few of their rows."""
    for below in node.get("Plans", ()):
        yield from _whole_scans(below)
    is_large = node["Node Type"] == "Seq Scan" and node["Total Cost"] > _LARGE_COST
    if is_large and node["Plan Rows"] * _TOO_MANY_FOR_ONE < node["Total Cost"] * _ROWS_BY_COST:
        yield str(node["Relation Name"])


def _several_series(
    cursor: extensions.cursor, config: DatasetConfig, plan: TablePlan, span_us: tuple[int, int]
) -> Iterator[Hint]:
    """Whether rows of one entity, channel and time differ by a column that nothing is said of."""
    source = config.source
    key = [source.time.column, source.entity.column, source.channel_column, source.time.nanoseconds]
    names = [*filter(None, key), *source.series_columns]
    tells = [plan.table.columns[name] for name in plan.unused]
    tells = [one for one in tells if one.family in {"text", "integer", "bool"}]
    if source.updated_at is not None or not tells:
        return
    counted = statements.distinct_statement(config, plan, names, tells, span_us)
    cursor.execute(counted)
    n_rows, n_keys, *of = cast("tuple[int, ...]", cursor.fetchone())
    if n_rows < _SEVERAL * n_keys:
        return
    for column, n_together, n_alone in zip(tells, of[::2], of[1::2], strict=True):
        # What is different in each row, such as its number, tells everything apart.
        if n_together >= _TOLD_APART * n_rows and n_alone < n_rows / 2:
            several = f"{n_rows:,} rows of an hour for {n_keys:,} of entity and time"
            ways = f"choose one by rows_where: {{{column.name}: …}}, or name series by it"
            text = f"Several series are mixed: {several}; {column.name} tells them apart"
            yield (
                "error",
                f"{text} ({n_alone} values). Else the greatest counts: {ways}.",
                plan.title,
            )
            return


def fitting_unit(cursor: extensions.cursor, plan: TablePlan, now_at: datetime) -> str | None:
    """The unit in which a time of the table is a plausible one; None where there is none."""
    if plan.time.family not in NUMBERS - CLOCKS:
        return None
    cursor.execute(statements.about(plan, "SELECT {at}::numeric FROM {table} LIMIT 100"))
    times = [at for (at,) in cursor.fetchall() if at is not None and at.is_finite()]
    return statements.plausible_unit(times, now_at)
