"""Loads a CSV or parquet file into a source table, in pieces: a way in for sensors that have no
database yet.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast
from zoneinfo import ZoneInfo

import numpy as np
import psycopg2
from psycopg2 import extensions, sql

from tsad_tasks.base.errors import BadInput, SourceError
from tsad_tasks.base.extras import require
from tsad_tasks.base.local_time import utc_from_local
from tsad_tasks.ingest.sources.postgres import connect_source, explained_errors
from tsad_tasks.ingest.sources.tables import split_name

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["timestamptz", "double precision", "boolean", "text"]

_PIECE_ROWS = 200_000
_NULLS = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]
_MOSTLY = 0.9
_BOOLS = {
    "true": True,
    "false": False,
    "t": True,
    "f": False,
    "True": True,
    "False": False,
    "TRUE": True,
    "FALSE": False,
}
_UNITS_NS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_OFFSET = r"(?:Z|z|UTC|[+-]\d{2}:?\d{2})$"


@dataclass(frozen=True)
class LoadOptions:
    """How a file is read.

    Attributes
    ----------
    time_column : becomes `timestamptz`, is indexed, and may not be empty.
    unit : of integer epochs (s, ms, us, ns); None for texts or timestamps.
    zone : of times without an offset; the earlier one is meant where clocks are set back.
    time_format : as in `strptime`; None for ISO 8601.
    delimiter : of CSV files.
    entity_column, entity : adds a column that holds one name, for files of a single machine.
    text_columns : columns that stay text though their first rows look like numbers.
    """

    time_column: str
    unit: Literal["s", "ms", "us", "ns"] | None = None
    zone: str = "UTC"
    time_format: str | None = None
    delimiter: str = ","
    entity_column: str = "entity"
    entity: str | None = None
    text_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadSummary:
    """What was loaded: the columns with their types, and values that were empty."""

    table: str
    n_rows: int
    n_empty: int
    columns: dict[str, str]


def load_table(
    uri: str,
    path: Path,
    table: str,
    options: LoadOptions,
    *,
    mode: Literal["create", "append", "replace"] = "create",
    progress: Callable[[int], None] = lambda n_rows: None,
) -> LoadSummary:
    """Load a CSV (also .gz, .bz2, .xz, .zip) or parquet file into `table`, all or nothing.

    Parameters
    ----------
    uri : of a login that may create tables.
    table : `name` or `schema.name`; made, with types seen in the first rows, when it is missing.
    mode : what to do when the table holds rows: `create` refuses, `replace` deletes them first,
        `append` keeps them.
    progress : told the number of rows so far after each piece.

    Raises
    ------
    BadInput
        The file cannot be read, or a cell is not what its column needs; the message names line and
        column.
    SourceError
        The table holds rows, or other columns than the file.
    """
    require("files")
    pieces = _pieces(path, options)
    with (
        closing(connect_source(uri, read_only=False)) as connection,
        explained_errors(),
        connection,
        connection.cursor() as cursor,
    ):
        columns: dict[str, Kind] = {}
        n_rows = n_empty = 0
        for texts in pieces:
            if not columns:
                columns = _prepared(cursor, table, _kinds(texts, options), mode)
            typed = _typed(path, texts, columns, options, n_rows)
            _copy(cursor, table, typed)
            n_rows, n_empty = n_rows + len(typed), n_empty + int(typed.isna().to_numpy().sum())
            progress(n_rows)
        _index(cursor, table, options.time_column)
    return LoadSummary(table, n_rows, n_empty, {name: str(kind) for name, kind in columns.items()})


def _pieces(path: Path, options: LoadOptions) -> Iterator[pd.DataFrame]:
    """Pieces of the file, never none; cells of CSV files are texts or missing."""
    try:
        pieces = _parquet(path) if path.suffix in {".parquet", ".pq"} else _csv(path, options)
        first = next(pieces, None)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise BadInput(
            f"{path}: Expected a readable CSV or parquet file. Received: {_one_line(error)}"
        ) from error
    if first is None or not len(first):
        raise BadInput(f"{path}: Expected a header and at least one row. Received: an empty file.")
    _require_columns(path, list(first.columns), options)
    yield _with_entity(first, options)
    try:
        yield from (_with_entity(piece, options) for piece in pieces)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise BadInput(
            f"{path}: Expected a readable CSV or parquet file. Received: {_one_line(error)}"
        ) from error


def _csv(path: Path, options: LoadOptions) -> Iterator[pd.DataFrame]:
    import pandas as pd

    reader = pd.read_csv(
        path,
        sep=options.delimiter,
        dtype=str,
        keep_default_na=False,
        na_values=_NULLS,
        chunksize=_PIECE_ROWS,
        skipinitialspace=True,
        encoding="utf-8-sig",
        skip_blank_lines=False,
    )
    with reader:
        for piece in reader:
            if not isinstance(piece.index, pd.RangeIndex):
                raise OSError("more cells in a row than in the header")
            yield piece.rename(columns=lambda name: str(name).strip())


def _parquet(path: Path) -> Iterator[pd.DataFrame]:
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(path).iter_batches(_PIECE_ROWS):
        yield batch.to_pandas()


def _require_columns(path: Path, names: Sequence[str], options: LoadOptions) -> None:
    if options.time_column not in names:
        hint = " Is the delimiter right?" if len(names) == 1 else ""
        raise BadInput(
            f"{path}:1: Expected the time column {options.time_column}. Received: "
            f"{', '.join(names)}.{hint}"
        )
    unnamed = [
        name
        for name in names
        if not name or name.startswith("Unnamed: ") or re.search(r"\.\d+$", name)
    ]
    twice = [name for name in unnamed if re.sub(r"\.\d+$", "", name) in names]
    if twice or "" in unnamed or any(name.startswith("Unnamed: ") for name in unnamed):
        raise BadInput(
            f"{path}:1: Expected a different name in each column's header. Received: "
            f"{', '.join(names)}."
        )


def _with_entity(piece: pd.DataFrame, options: LoadOptions) -> pd.DataFrame:
    return (
        piece if options.entity is None else piece.assign(**{options.entity_column: options.entity})
    )


def _kinds(texts: pd.DataFrame, options: LoadOptions) -> dict[str, Kind]:
    return {name: _kind(name, texts[name], options) for name in texts.columns}


def _kind(name: str, column: pd.Series[Any], options: LoadOptions) -> Kind:
    import pandas as pd

    if name == options.time_column:
        return "timestamptz"
    if name in options.text_columns or (
        options.entity is not None and name == options.entity_column
    ):
        return "text"
    if column.dtype.kind == "M":
        return "timestamptz"
    known = column.dropna()
    if column.dtype == bool or (len(known) and known.isin(list(_BOOLS)).all()):
        return "boolean"
    # Mostly numbers: the others are mistakes that the reader is told of, not reasons for a column
    # of texts.
    share = pd.to_numeric(known, errors="coerce").notna().mean() if len(known) else 1.0
    return "double precision" if share > _MOSTLY else "text"


def _typed(
    path: Path, texts: pd.DataFrame, columns: dict[str, Kind], options: LoadOptions, n_before: int
) -> pd.DataFrame:
    import pandas as pd

    missing = set(columns) ^ set(texts.columns)
    if missing:
        raise BadInput(
            f"{path}: Expected the columns {', '.join(columns)} throughout. Received: "
            f"{', '.join(texts.columns)}."
        )
    converted = {
        name: _converted(_Cells(path, name, texts[name], n_before), columns[name], options)
        for name in columns
    }
    return pd.DataFrame(converted)


@dataclass(frozen=True)
class _Cells:
    """One column of a piece, and where it is in the file."""

    path: Path
    name: str
    column: pd.Series[Any]
    n_before: int

    def require(self, wrong: Any, rule: str) -> None:
        """Raise for the first cell that is wrong."""
        positions = np.flatnonzero(np.asarray(wrong))
        if not len(positions):
            return
        is_parquet = self.path.suffix in {".parquet", ".pq"}
        line = self.n_before + int(positions[0]) + (1 if is_parquet else 2)
        where = f"{self.path}:{'row ' if is_parquet else ''}{line}"
        cell = self.column.iloc[positions[0]]
        received = "nothing" if cell is None or cell != cell else repr(str(cell)[:60])
        raise BadInput(f"{where}: {self.name}: Expected {rule}. Received: {received}.")


def _converted(cells: _Cells, kind: Kind, options: LoadOptions) -> pd.Series[Any]:
    import pandas as pd

    if kind == "timestamptz":
        is_time = cells.name == options.time_column
        return _times(cells, options) if is_time else pd.to_datetime(cells.column, utc=True)
    if kind == "double precision":
        numbers = pd.to_numeric(cells.column, errors="coerce")
        rule = f"a number, as in the first rows (or name {cells.name} as a text column)"
        cells.require(numbers.isna() & cells.column.notna(), rule)
        return cast("pd.Series[Any]", numbers.astype("float64"))
    if kind == "boolean":
        truths = cells.column if cells.column.dtype == bool else cells.column.map(_BOOLS)
        cells.require(truths.isna() & cells.column.notna(), "true or false, as in the first rows")
        return cast("pd.Series[Any]", truths.astype("boolean"))
    return cast("pd.Series[Any]", cells.column.astype("object"))


def _times(cells: _Cells, options: LoadOptions) -> pd.Series[Any]:
    import pandas as pd

    cells.require(cells.column.isna(), "a time")
    if options.unit is not None:
        epochs = pd.to_numeric(cells.column, errors="coerce")
        cells.require(epochs.isna(), f"a number of {options.unit} since 1970")
        return pd.to_datetime(epochs, unit=options.unit, utc=True)
    if cells.column.dtype.kind in "iuf":
        cells.require(
            np.ones(len(cells.column), bool),
            "a timestamp (or give the unit of the numbers: s, ms, us, ns)",
        )
    if cells.column.dtype.kind == "M":
        return _in_utc(cells, cells.column, options)
    texts = cells.column.astype(str).str.strip()
    has_offset = texts.str.contains(_OFFSET, regex=True)
    times = pd.to_datetime(
        texts, errors="coerce", utc=True, format=options.time_format or "ISO8601"
    )
    cells.require(times.isna(), _time_rule(options))
    if has_offset.all():
        return times
    cells.require(has_offset, "a time without an offset, as in other rows")
    return _in_utc(cells, times.dt.tz_localize(None), options)


def _in_utc(cells: _Cells, times: pd.Series[Any], options: LoadOptions) -> pd.Series[Any]:
    import pandas as pd

    if times.dt.tz is not None:
        return times.dt.tz_convert("UTC")
    local_us = times.to_numpy("datetime64[us]").astype(np.int64)
    found = utc_from_local(local_us, ZoneInfo(options.zone))
    cells.require(found.nonexistent, f"a time that exists in zone {options.zone}")
    return pd.Series(pd.to_datetime(found.times_us, unit="us", utc=True), index=times.index)


def _time_rule(options: LoadOptions) -> str:
    if options.time_format is not None:
        return f"a time like {options.time_format}"
    return "an ISO 8601 time such as 2024-05-01 10:00:00 (or give the time format, or the unit of integer epochs)"


def _identifier(table: str) -> sql.Composable:
    schema, name = split_name(table)
    return sql.Identifier(schema, name) if schema else sql.Identifier(name)


def _prepared(
    cursor: extensions.cursor,
    table: str,
    wanted: dict[str, Kind],
    mode: Literal["create", "append", "replace"],
) -> dict[str, Kind]:
    """The columns of the table, which exists afterwards and has room for the file."""
    schema, _ = split_name(table)
    if schema:
        cursor.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
    found = _existing(cursor, table)
    if not found:
        parts = [
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
            for name, kind in wanted.items()
        ]
        cursor.execute(
            sql.SQL("CREATE TABLE {} ({})").format(_identifier(table), sql.SQL(", ").join(parts))
        )
        return wanted
    if set(found) != set(wanted):
        names, others = ", ".join(wanted), ", ".join(found)
        raise SourceError(f"Expected {table} with the file's columns {names}. Received: {others}.")
    if mode == "replace":
        cursor.execute(sql.SQL("TRUNCATE {}").format(_identifier(table)))
    cursor.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(_identifier(table)))
    has_rows = cast("tuple[bool]", cursor.fetchone())[0]
    if has_rows and mode == "create":
        raise SourceError(
            f"Expected {table} to be empty. Received: a table with rows. Replace them, append to "
            "them, or name another "
            "table."
        )
    return {
        name: cast("Kind", found[name] if found[name] in _KINDS else wanted[name])
        for name in wanted
    }


_KINDS = {"timestamptz", "double precision", "boolean", "text"}


def _existing(cursor: extensions.cursor, table: str) -> dict[str, str]:
    statement = "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0"
    cursor.execute(
        statement + " AND NOT attisdropped ORDER BY attnum", (_identifier(table).as_string(cursor),)
    )
    found = cast("list[tuple[str, str]]", cursor.fetchall())
    return {name: kind.replace("timestamp with time zone", "timestamptz") for name, kind in found}


def _copy(cursor: extensions.cursor, table: str, typed: pd.DataFrame) -> None:
    import pyarrow as pa
    from pyarrow import csv

    stream = io.BytesIO()
    # An unquoted empty cell is NULL; Arrow quotes every text, so that an empty text stays one.
    csv.write_csv(
        pa.Table.from_pandas(typed, preserve_index=False),
        stream,
        csv.WriteOptions(include_header=False),
    )
    stream.seek(0)
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in typed.columns)
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(_identifier(table), columns)
    try:
        cursor.copy_expert(statement, stream)
    except psycopg2.DataError as error:
        raise SourceError(
            f"Expected {table} to take the file's values. Received: {_one_line(error)}"
        ) from error


def _index(cursor: extensions.cursor, table: str, time_column: str) -> None:
    cursor.execute(
        "SELECT EXISTS (SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = "
        "indkey[0] "
        "WHERE indrelid = to_regclass(%s) AND attname = %s)",
        (_identifier(table).as_string(cursor), time_column),
    )
    if not cast("tuple[bool]", cursor.fetchone())[0]:
        cursor.execute(
            sql.SQL("CREATE INDEX ON {} ({})").format(
                _identifier(table), sql.Identifier(time_column)
            )
        )
    cursor.execute(sql.SQL("ANALYZE {}").format(_identifier(table)))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
