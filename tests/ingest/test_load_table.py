"""Files into source tables: types, times, refusal to double, and errors that name the cell."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg2
import pytest

from tsad_tasks.base.errors import BadInput, SourceError
from tsad_tasks.ingest.sources.postgres_tables import load_table as module
from tsad_tasks.ingest.sources.postgres_tables.load_table import LoadOptions, load_table


def _rows(uri: str, statement: str) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(uri, options="-c timezone=UTC")
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())
    finally:
        connection.close()


def _file(folder: Path, text: str, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def test_a_csv_becomes_a_table_with_types_and_a_time_index(
    empty_database_uri: str, tmp_path: Path
) -> None:
    path = _file(
        tmp_path, "t;v;on;name\n2024-05-01 10:00;1.5;true;a\n2024-05-01 11:00;;false;\n", "a.csv.gz"
    )
    options = LoadOptions("t", delimiter=";", zone="Europe/Berlin", entity="m1")
    summary = load_table(empty_database_uri, path, "plant.reading", options)
    assert (summary.n_rows, summary.n_empty) == (2, 2)
    assert list(summary.columns.values()) == [
        "timestamptz",
        "double precision",
        "boolean",
        "text",
        "text",
    ]
    found = _rows(
        empty_database_uri,
        "SELECT to_char(t, 'HH24:MI'), v, \"on\", name, entity FROM plant.reading ORDER BY t",
    )
    assert found == [("08:00", 1.5, True, "a", "m1"), ("09:00", None, False, None, "m1")]
    assert _rows(
        empty_database_uri, "SELECT count(*) FROM pg_indexes WHERE schemaname = 'plant'"
    ) == [(1,)]


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("1714557600", {"unit": "s"}),
        ("1714557600000", {"unit": "ms"}),
        ("2024-05-01T12:00:00+02:00", {}),
        ("2024-05-01T10:00:00Z", {"zone": "Asia/Tokyo"}),
        ("01.05.2024 10:00", {"time_format": "%d.%m.%Y %H:%M"}),
    ],
)
def test_times_of_many_kinds(
    empty_database_uri: str, tmp_path: Path, cell: str, options: dict[str, Any]
) -> None:
    load_table(
        empty_database_uri,
        _file(tmp_path, f"t,v\n{cell},1\n"),
        "reading",
        LoadOptions("t", **options),
    )
    assert _rows(empty_database_uri, "SELECT to_char(t, 'YYYY-MM-DD HH24:MI') FROM reading") == [
        ("2024-05-01 10:00",)
    ]


def test_a_parquet_file_comes_in_pieces(
    empty_database_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PIECE_ROWS", 4)
    times = pd.date_range("2024-05-01", periods=10, freq="min")
    pd.DataFrame({"t": times, "v": range(10), "name": "x"}).to_parquet(tmp_path / "a.parquet")
    seen: list[int] = []
    load_table(
        empty_database_uri,
        tmp_path / "a.parquet",
        "reading",
        LoadOptions("t"),
        progress=seen.append,
    )
    assert seen == [4, 8, 10]
    assert _rows(empty_database_uri, "SELECT count(*), sum(v), min(name) FROM reading") == [
        (10, 45.0, "x")
    ]


def test_loading_again_refuses_replaces_or_appends(empty_database_uri: str, tmp_path: Path) -> None:
    path, options = _file(tmp_path, "t,v\n2024-05-01,1\n"), LoadOptions("t")
    load_table(empty_database_uri, path, "reading", options)
    with pytest.raises(SourceError, match="Expected reading to be empty"):
        load_table(empty_database_uri, path, "reading", options)
    load_table(empty_database_uri, path, "reading", options, mode="replace")
    assert _rows(empty_database_uri, "SELECT count(*) FROM reading") == [(1,)]
    load_table(empty_database_uri, path, "reading", options, mode="append")
    assert _rows(empty_database_uri, "SELECT count(*) FROM reading") == [(2,)]


NUMBERS = "".join(f"2024-05-01 {hour:02}:00,{hour}\n" for hour in range(12))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"t,v\n{NUMBERS}2024-05-02,x\n", r"a\.csv:14: v: Expected a number, .* Received: 'x'\."),
        (
            "t,v\n2024-05-01,1\nsoon,2\n",
            r"a\.csv:3: t: Expected an ISO 8601 time .* Received: 'soon'\.",
        ),
        ("t,v\n0001-01-01,1\n", r"a\.csv:2: t: Expected a time from 1900 to 2200"),
        ("t,v\n2024-05-01,1\n9999-12-31,2\n", r"a\.csv:3: t: Expected a time from 1900 to 2200"),
        ("t,v\n2024-05-01,1\n,2\n", r"a\.csv:3: t: Expected a time\. Received: nothing\."),
        (
            "t,v\n1714557600,1\n",
            r"\(or --unit s, ms, us or ns for numbers since 1970\)\. Received: '1714557600'",
        ),
        (
            "t,v\n2024-05-01,1\n2024-05-01T00:00Z,2\n",
            r"a\.csv:3: t: Expected a time without an offset",
        ),
        (
            "t;v\n2024-05-01;1\n",
            r"Expected the time column t\. Received: t;v\. Give --delimiter ';'",
        ),
        ("t,v,v\n2024-05-01,1,2\n", r"Expected a different name in each column's header"),
        ("t,v\n2024-05-01,1,2\n", "more cells in a row than in the header"),
        ("t,v\n2024-05-01,1\n2024-05-01,1,2\n", "Expected 2 fields in line 3, saw 3"),
        ("", "Expected a readable CSV or parquet file"),
        ("t,v\n", "Expected a header and at least one row"),
    ],
)
def test_a_bad_file_says_where(
    empty_database_uri: str, tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        load_table(empty_database_uri, _file(tmp_path, text), "reading", LoadOptions("t"))
    assert _rows(empty_database_uri, "SELECT to_regclass('reading')") == [(None,)]


@pytest.mark.parametrize(
    ("content", "option", "message"),
    [
        (b"t,v\n1e300,1\n", {"unit": "s"}, "Expected a number of s since 1970 that is a time"),
        (
            b"t,v\n2024-05-01,1\n",
            {"time_format": "%Q"},
            "--time-format: Expected one that strptime",
        ),
        (b"t,v\n2024-05-01,\xfc\n", {}, "Expected a readable CSV or parquet file"),
    ],
    ids=["beyond times", "no format", "no UTF-8"],
)
def test_what_cannot_be_read_is_said(
    empty_database_uri: str, tmp_path: Path, content: bytes, option: dict[str, Any], message: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=message):
        load_table(empty_database_uri, path, "reading", LoadOptions("t", **option))


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz", "zip"])
def test_half_of_a_packed_file_is_said(
    empty_database_uri: str, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"a.csv.{ending}"
    pd.DataFrame({"t": ["2024-05-01"], "v": [1]}).to_csv(path)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(BadInput, match="Expected a readable CSV or parquet file"):
        load_table(empty_database_uri, path, "reading", LoadOptions("t"))


def test_a_time_that_never_was_is_refused(empty_database_uri: str, tmp_path: Path) -> None:
    path = _file(tmp_path, "t,v\n2024-03-31 02:30,1\n")
    with pytest.raises(
        BadInput, match=r"a\.csv:2: t: Expected a time that exists in zone Europe/Berlin"
    ):
        load_table(empty_database_uri, path, "reading", LoadOptions("t", zone="Europe/Berlin"))


def test_a_table_with_other_columns_is_refused(empty_database_uri: str, tmp_path: Path) -> None:
    load_table(
        empty_database_uri, _file(tmp_path, "t,v\n2024-05-01,1\n"), "reading", LoadOptions("t")
    )
    with pytest.raises(SourceError, match=r"columns t, w\. Received: t, v\."):
        load_table(
            empty_database_uri,
            _file(tmp_path, "t,w\n2024-05-01,1\n"),
            "reading",
            LoadOptions("t"),
            mode="append",
        )
