"""Loads a CSV or parquet file into a source table: for sensors that have no database yet."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from lzma import LZMAError
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast
from zipfile import BadZipFile
from zoneinfo import ZoneInfo

import numpy as np
import psycopg2
from psycopg2 import extensions, sql

from tsad_tasks.base.errors import BadInput, SourceError
from tsad_tasks.base.extras import require
from tsad_tasks.base.local_time import utc_from_local
from tsad_tasks.ingest.sources.postgres_tables.connection import connect_source, explained_errors
from tsad_tasks.ingest.sources.postgres_tables.tables import split_name

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["timestamptz", "double precision", "boolean", "text"]
Mode = Literal["create", "append", "replace"]

_KINDS = {"timestamptz", "double precision", "boolean", "text"}
_PIECE_ROWS = 200_000
_NULLS = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]
_MOSTLY = 0.9
_BOOLS = dict.fromkeys(("true", "t", "True", "TRUE"), True)
_BOOLS |= dict.fromkeys(("false", "f", "False", "FALSE"), False)
_OFFSET = r"(?:Z|z|UTC|[+-]\d{2}:?\d{2})$"
_PARQUET = {".parquet", ".pq"}
_DELIMITERS = {";": "';'", "|": "'|'", "\t": "$'\\t'"}
# Day first before month first: what people of most countries write.
_DATES = ("%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%y", "%m/%d/%Y", "%Y/%m/%d", "%Y%m%d")
_CLOCKS = (" %H:%M:%S", " %H:%M", " %H:%M:%S.%f", " %I:%M:%S %p", " %I:%M %p", "", "T%H:%M:%S")
# 1900 and 2200: around the ends of the calendar no zone can be reckoned with.
_POSSIBLE_US = -2_208_988_800_000_000, 7_258_118_400_000_000
_TIME_FORMATS = tuple(date + clock for date in _DATES for clock in _CLOCKS)


@dataclass(frozen=True)
class LoadOptions:
    """How a file is read.

    Attributes
    ----------
    time_column : becomes `timestamptz`, is indexed, and may not be empty.
    unit : of integers since 1970 (s, ms, us, ns); None for texts or timestamps.
    zone : of times without an offset; the earlier one is meant where clocks are set back.
    time_format : as in `strptime`; None for ISO 8601.
    delimiter : of CSV files.
    entity_column, entity : adds a column that holds one name, for files of a single machine.
    text_columns : columns that stay text though their first rows look like numbers.
    date_column : column with the date, where `time_column` has the time of day alone; the time
        column then holds both.
    decimal : mark before the decimals of numbers, `.` or `,`.
    """

    time_column: str
    unit: Literal["s", "ms", "us", "ns"] | None = None
    zone: str = "UTC"
    time_format: str | None = None
    delimiter: str = ","
    entity_column: str = "entity"
    entity: str | None = None
    text_columns: tuple[str, ...] = ()
    date_column: str | None = None
    decimal: Literal[".", ","] = "."


class LoadSummary(NamedTuple):
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
    mode: Mode = "create",
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
    _zone(options.zone)
    pieces = _pieces(path, options)
    columns: dict[str, Kind] = {}
    n_rows = n_empty = 0
    with (
        closing(connect_source(uri, read_only=False)) as connection,
        explained_errors(connection),
        connection,
        connection.cursor() as cursor,
    ):
        for texts in pieces:
            if not columns:
                kinds = {str(name): _kind(str(name), texts[name], options) for name in texts}
                columns = _prepared(cursor, table, kinds, mode)
            typed = _typed(path, texts, columns, options, n_rows)
            _copy(cursor, table, typed)
            n_rows, n_empty = n_rows + len(typed), n_empty + int(typed.isna().to_numpy().sum())
            progress(n_rows)
        name = _identifier(table)
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid "
            "AND attnum = indkey[0] WHERE indrelid = to_regclass(%s) AND attname = %s)",
            (name.as_string(cursor), options.time_column),
        )
        if not cast("tuple[bool]", cursor.fetchone())[0]:
            column = sql.Identifier(options.time_column)
            cursor.execute(sql.SQL("CREATE INDEX ON {} ({})").format(name, column))
        cursor.execute(sql.SQL("ANALYZE {}").format(name))
    return LoadSummary(table, n_rows, n_empty, {name: str(kind) for name, kind in columns.items()})


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        expected = "--zone: Expected an IANA time zone such as UTC or Europe/Berlin."
        raise BadInput(f"{expected} Received: {name}.") from error


@contextmanager
def _read_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, EOFError, zlib.error, BadZipFile, LZMAError) as error:
        received = " ".join(str(error).split())
        raise BadInput(
            f"{path}: Expected a readable CSV or parquet file. Received: {received}"
        ) from error


def _pieces(path: Path, options: LoadOptions) -> Iterator[pd.DataFrame]:
    """Pieces of the file, never none; cells of CSV files are texts or missing."""
    with _read_errors(path):
        pieces = _parquet(path) if path.suffix in _PARQUET else _csv(path, options)
        piece = next(pieces, None)
    if piece is None or not len(piece):
        raise BadInput(f"{path}: Expected a header and at least one row. Received: an empty file.")
    names = list(piece.columns)
    received = f"Received: {', '.join(names)}."
    needed = (options.date_column, options.time_column)
    for name in (one for one in needed if one is not None and one not in names):
        option = "--date-column" if name == options.date_column else "--time-column"
        apart = next((one for one in ";\t|" if len(names) == 1 and one in names[0]), None)
        hint = f"Give {option} with one of them."
        if apart is not None:
            hint = f"Give --delimiter {_DELIMITERS[apart]}"
        raise BadInput(f"{path}:1: Expected the time column {name}. {received} {hint}")
    # pandas calls the second of two columns a "a.1", and one without a name "Unnamed: 3".
    stems = {name: re.sub(r"\.\d+$", "", name) for name in names}
    is_twice = any(stem != name and stem in names for name, stem in stems.items())
    if is_twice or any(not name or name.startswith("Unnamed: ") for name in names):
        raise BadInput(f"{path}:1: Expected a different name in each column's header. {received}")
    own = {} if options.entity is None else {options.entity_column: options.entity}
    while piece is not None:
        yield _with_whole_times(piece, options).assign(**own)
        with _read_errors(path):
            piece = next(pieces, None)


def _with_whole_times(piece: pd.DataFrame, options: LoadOptions) -> pd.DataFrame:
    """The piece with date and time of day in its time column."""
    if options.date_column is None:
        return piece
    parts = [piece[name] for name in (options.date_column, options.time_column)]
    whole = parts[0].astype(str).str.strip() + " " + parts[1].astype(str).str.strip()
    is_whole = parts[0].notna() & parts[1].notna()
    return piece.drop(columns=options.date_column).assign(
        **{options.time_column: whole.where(is_whole)}
    )


def _csv(path: Path, options: LoadOptions) -> Iterator[pd.DataFrame]:
    import pandas as pd

    reader = pd.read_csv(
        path, sep=options.delimiter, dtype=str, keep_default_na=False, na_values=_NULLS,
        chunksize=_PIECE_ROWS, skipinitialspace=True, encoding="utf-8-sig", skip_blank_lines=False,
    )  # fmt: skip
    with reader:
        for piece in reader:
            if not isinstance(piece.index, pd.RangeIndex):
                raise OSError("more cells in a row than in the header")
            yield piece.rename(columns=lambda name: str(name).strip())


def _parquet(path: Path) -> Iterator[pd.DataFrame]:
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(path).iter_batches(_PIECE_ROWS):
        yield batch.to_pandas()


def _kind(name: str, column: pd.Series[Any], options: LoadOptions) -> Kind:
    is_entity = options.entity is not None and name == options.entity_column
    if name != options.time_column and (name in options.text_columns or is_entity):
        return "text"
    if name == options.time_column or column.dtype.kind == "M":
        return "timestamptz"
    known = column.dropna()
    if column.dtype == bool or (len(known) and known.isin(list(_BOOLS)).all()):
        return "boolean"
    # Mostly numbers: the others are mistakes that the reader is told of, not reasons for a column
    # of texts.
    share = _numbers(known, options).notna().mean() if len(known) else 1.0
    return "double precision" if share > _MOSTLY else "text"


def _numbers(column: pd.Series[Any], options: LoadOptions) -> pd.Series[Any]:
    """The numbers of cells; NaN where one is none."""
    import pandas as pd

    if options.decimal == "," and column.dtype.kind == "O":
        texts = column.astype(str).str.strip()
        # A point may set thousands apart, and then stands before three digits.
        is_grouped = texts.str.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+(,\d+)?")
        plain = texts.where(~is_grouped, texts.str.replace(".", "", regex=False))
        has_point = plain.str.contains(".", regex=False)
        plain = plain.str.replace(",", ".", regex=False)
        column = plain.where(column.notna() & ~has_point)
    return pd.to_numeric(column, errors="coerce")


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
        is_parquet = self.path.suffix in _PARQUET
        line = self.n_before + int(positions[0]) + (1 if is_parquet else 2)
        where = f"{self.path}:{'row ' if is_parquet else ''}{line}"
        cell = self.column.iloc[positions[0]]
        received = "nothing" if cell is None or cell != cell else repr(str(cell)[:60])
        raise BadInput(f"{where}: {self.name}: Expected {rule}. Received: {received}.")

    def typed(self, kind: Kind, options: LoadOptions) -> pd.Series[Any]:
        """The cells as what their column holds."""
        import pandas as pd

        column = self.column
        if kind == "timestamptz":
            return pd.to_datetime(column, utc=True)
        if kind == "text":
            return column.astype("object")
        if kind == "boolean":
            found = column if column.dtype == bool else column.map(_BOOLS)
            rule, dtype = "true or false, as in the first rows", "boolean"
        else:
            found, dtype = _numbers(column, options), "float64"
            rule = f"a number, as in the first rows (or --text-column {self.name})"
        self.require(found.isna() & column.notna(), rule)
        return found.astype(dtype)


def _typed(
    path: Path, texts: pd.DataFrame, columns: dict[str, Kind], options: LoadOptions, n_before: int
) -> pd.DataFrame:
    """The cells of a piece as what their columns hold, with so many rows before it."""
    import pandas as pd

    if set(columns) ^ set(texts.columns):
        wanted, received = ", ".join(columns), ", ".join(texts.columns)
        raise BadInput(f"{path}: Expected the columns {wanted} throughout. Received: {received}.")
    typed: dict[str, pd.Series[Any]] = {}
    for name, kind in columns.items():
        cells = _Cells(path, name, texts[name], n_before)
        is_time = name == options.time_column
        typed[name] = _times(cells, options) if is_time else cells.typed(kind, options)
    return pd.DataFrame(typed)


def _times(cells: _Cells, options: LoadOptions) -> pd.Series[Any]:
    import pandas as pd

    column = cells.column
    cells.require(column.isna(), "a time")
    if options.unit is not None:
        numbers = pd.to_numeric(column, errors="coerce")
        cells.require(numbers.isna(), f"a number of {options.unit} since 1970")
        times = pd.to_datetime(numbers, unit=options.unit, utc=True, errors="coerce")
        cells.require(times.isna(), f"a number of {options.unit} since 1970 that is a time")
        return times
    if column.dtype.kind in "iuf":
        rule = "a timestamp (or --unit s, ms, us or ns for numbers since 1970)"
        cells.require(np.ones(len(column), bool), rule)
    if column.dtype.kind == "M":
        if column.dt.tz is not None:
            return column.dt.tz_convert("UTC")
        local = column
    else:
        texts = column.astype(str).str.strip()
        has_offset = texts.str.contains(_OFFSET, regex=True)
        form = options.time_format or "ISO8601"
        try:
            times = pd.to_datetime(texts, errors="coerce", utc=True, format=form)
        except ValueError as error:
            wanted = "--time-format: Expected one that strptime knows, such as '%d.%m.%Y %H:%M'"
            raise BadInput(f"{wanted}. Received: {form} ({error}).") from error
        iso, is_wrong = "an ISO 8601 time such as 2024-05-01 10:00:00", times.isna()
        own = f"a time like {options.time_format}"
        if is_wrong.any():
            hint = _time_hint(texts[is_wrong].iloc[0])
            cells.require(is_wrong, own if options.time_format else f"{iso} (or {hint})")
        if has_offset.all():
            return times
        cells.require(has_offset, "a time without an offset, as in other rows")
        local = times.dt.tz_localize(None)
    local_us = local.to_numpy("datetime64[us]").astype(np.int64)
    is_beyond = (local_us < _POSSIBLE_US[0]) | (local_us >= _POSSIBLE_US[1])
    cells.require(is_beyond, "a time from 1900 to 2200")
    found = utc_from_local(local_us, _zone(options.zone))
    cells.require(found.nonexistent, f"a time that exists in zone {options.zone}")
    return pd.Series(pd.to_datetime(found.times_us, unit="us", utc=True), index=local.index)


def _time_hint(text: str) -> str:
    """The option that reads a time which is not ISO 8601."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return "--unit s, ms, us or ns for numbers since 1970"
    if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?", text):
        return "--date-column for a date that has a column of its own"
    for form in _TIME_FORMATS:
        with suppress(ValueError):
            datetime.strptime(text, form).replace(tzinfo=UTC)
            return f"--time-format '{form}'"
    return "--time-format, such as '%d.%m.%Y %H:%M'"


def _identifier(table: str) -> sql.Identifier:
    return sql.Identifier(*filter(None, split_name(table)))


def _prepared(
    cursor: extensions.cursor, table: str, wanted: dict[str, Kind], mode: Mode
) -> dict[str, Kind]:
    """The columns of the table, which exists afterwards and has room for the file."""
    schema, _ = split_name(table)
    if schema:
        cursor.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
    cursor.execute(
        "SELECT attname, replace(format_type(atttypid, NULL), 'timestamp with time zone', "
        "'timestamptz') FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 "
        "AND NOT attisdropped ORDER BY attnum",
        (_identifier(table).as_string(cursor),),
    )
    found = dict(cast("list[tuple[str, Kind]]", cursor.fetchall()))
    if not found:
        pairs = ((sql.Identifier(name), sql.SQL(kind)) for name, kind in wanted.items())
        columns = sql.SQL(", ").join(sql.SQL("{} {}").format(*pair) for pair in pairs)
        cursor.execute(sql.SQL("CREATE TABLE {} ({})").format(_identifier(table), columns))
        return wanted
    if set(found) != set(wanted):
        names, others = ", ".join(wanted), ", ".join(found)
        raise SourceError(f"Expected {table} with the file's columns {names}. Received: {others}.")
    if mode == "replace":
        cursor.execute(sql.SQL("TRUNCATE {}").format(_identifier(table)))
    cursor.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(_identifier(table)))
    if mode == "create" and cast("tuple[bool]", cursor.fetchone())[0]:
        raise SourceError(
            f"Expected {table} to be empty. Received: a table with rows. Say --mode replace, "
            "--mode append, or another --table."
        )
    return {name: found[name] if found[name] in _KINDS else kind for name, kind in wanted.items()}


def _copy(cursor: extensions.cursor, table: str, typed: pd.DataFrame) -> None:
    import pyarrow as pa
    from pyarrow import csv

    stream = io.BytesIO()
    # An unquoted empty cell is NULL; Arrow quotes every text, so that an empty text stays one.
    content = pa.Table.from_pandas(typed, preserve_index=False)
    csv.write_csv(content, stream, csv.WriteOptions(include_header=False))
    stream.seek(0)
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in typed.columns)
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(_identifier(table), columns)
    try:
        cursor.copy_expert(statement, stream)
    except psycopg2.DataError as error:
        received = " ".join(str(error).split())
        raise SourceError(
            f"Expected {table} to take the file's values. Received: {received}"
        ) from error
