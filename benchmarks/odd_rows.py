"""One odd row costs one row: random tables and views with a good machine and rows that nobody
expects. Whatever they hold, the good machine is stored to the bit, the next run goes on, `datasets
check` answers, and each odd row is counted unless it is read in full.

Usage: python benchmarks/odd_rows.py [--small] [--tables 2000] [--seed 7]
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2

from devstack.postgres import Cluster, ensure_running, remove
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.check import check_dataset
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.storage.migrate import migrate
from tsad_tasks.storage.store import Store

START_AT = datetime(2024, 5, 1, 10, tzinfo=UTC)
NOW_AT = datetime(2026, 1, 1, tzinfo=UTC)
CHANNELS = ("temp", "load")

# Literals of each type: the tenth minute of the good machine's hour, and times that no clock shows.
GOOD_TIME = {
    "timestamptz": "'2024-05-01 10:{}0Z'",
    "timestamp": "'2024-05-01 12:{}0'",
    "int8": "1714557600 + 600 * {}",
    "float8": "1714557600.0 + 600 * {}",
    "numeric": "1714557600 + 600 * {}",
}
_DATES = ["1970-01-01", "1980-01-06", "2036-02-07", "294276-12-31", "4713-01-01 BC"]
_DATES += ["infinity", "-infinity"]
ODD_TIME = {
    "timestamptz": ["NULL", *(f"'{one}'" for one in _DATES)],
    "timestamp": ["NULL", *(f"'{one}'" for one in _DATES)],
    "int8": ["NULL", "0", "9223372036854775807", "-9223372036854775808", "1714557600000"],
    "float8": ["NULL", "'NaN'", "'Infinity'", "'-Infinity'", "1e308", "0", "-1e-320"],
    "numeric": ["NULL", "'NaN'", "1e400", "-1e400", "0", "1e-400"],
}
_LONG = "(SELECT string_agg(md5((i + {})::text), '') FROM generate_series(1, 320) i)"
ODD_NAME = ["NULL", "''", _LONG, "repeat('😀', 251) || '{}'"]
# Names that are odd and still names.
FINE_NAME = [r"E'm\n\x1b[2J{}'", "'''; DROP TABLE reading; --{}'", "repeat('ü', 400) || '{}'"]
_TEXTS = ["'ERR'", "'1,5'", "'nan'", "'-inf'", "'1e99999'", "'1e400'", "repeat('x', 100000)", "'٣'"]
ODD_VALUE = {
    "float8": ["'NaN'", "'Infinity'", "'-Infinity'", "1e301", "-1e308"],
    "real": ["'NaN'", "'Infinity'", "'-Infinity'"],
    "numeric": ["'NaN'", "1e400", "-1e400"],
    "text": _TEXTS,
}
ODD_LABEL = {
    "int": ["-1", "-2147483648"],
    "float8": ["'NaN'", "-1", "'Infinity'"],
    "real": ["'NaN'", "-0.5"],
    "numeric": ["'NaN'", "-1", "1e400"],
    "text": ["'maybe'", "'nan'", "'-1'", "repeat('x', 100000)"],
}
NO_LABEL = {"int": "0", "float8": "0", "real": "0", "numeric": "0.0", "text": "'no'"}
ODD_CHANGE = ["NULL", "'294276-01-01Z'", "'4713-01-01Z BC'", "'infinity'", "'-infinity'"]


@dataclass(frozen=True)
class Odd:
    """A table or a view as statements, how it is read, and how many rows are odd."""

    statements: str
    source: dict[str, Any]
    n_odd: int


def odd_table(rng: random.Random) -> Odd:
    """A table with a good machine, m1, and odd rows of others."""
    clock = rng.choice([*GOOD_TIME])
    is_long, is_view = rng.random() < 0.3, rng.random() < 0.4
    value, label = rng.choice([*ODD_VALUE]), rng.choice([*ODD_LABEL])
    types = {"at": clock, "machine": "text"}
    types |= {"sensor": "text", "value": value} if is_long else dict.fromkeys(CHANNELS, value)
    types |= {"bad": label, "changed": "timestamptz"}
    casts = {name: f"{name}::float8" for name in ("value", *CHANNELS) if name in types and is_view}
    if casts:
        types |= dict.fromkeys(casts, "text")
        value = "text"

    def row(minute: int, machine: str, sensor: str | None, number: int) -> dict[str, str]:
        cells = {"at": GOOD_TIME[clock].format(minute), "machine": machine}
        said = f"'{number}.25'" if value == "text" else f"{number}.25"
        cells |= {"sensor": f"'{sensor}'", "value": said} if is_long else {}
        cells |= {} if is_long else dict.fromkeys(CHANNELS, said)
        return cells | {"bad": NO_LABEL[label], "changed": "'2024-05-01Z'"}

    sensors = CHANNELS if is_long else (None,)
    rows = [row(i, "'m1'", sensor, i) for i in range(6) for sensor in sensors]
    n_odd = rng.randint(1, 12)
    for i in range(n_odd):
        odd = row(rng.randrange(6), f"'odd {i}'", rng.choice(CHANNELS), 100 + i)
        of_value = _TEXTS if value == "text" else ODD_VALUE[value]
        pools = {
            "at": ODD_TIME[clock], "machine": ODD_NAME + FINE_NAME, "bad": ODD_LABEL[label],
            "changed": ODD_CHANGE, **dict.fromkeys(("value", *CHANNELS), of_value),
            "sensor": ["NULL", _LONG, "'fan {}'"],
        }  # fmt: skip
        cells = rng.sample([*types], rng.choice([1, 1, 1, 2, len(types)]))
        odd |= {name: rng.choice(pools[name]).replace("{}", str(i)) for name in cells}
        rows.append(odd)
    rng.shuffle(rows)
    name = "raw" if is_view else "reading"
    columns = ", ".join(f"{column} {kind}" for column, kind in types.items())
    listed = ", ".join(f"({', '.join(one[column] for column in types)})" for one in rows)
    statements = f"CREATE TABLE {name} ({columns}); INSERT INTO {name} VALUES {listed};"  # noqa: S608
    if is_view:
        chosen = ", ".join(f"{casts.get(column, column)} AS {column}" for column in types)
        statements += f"CREATE VIEW reading AS SELECT {chosen} FROM raw;"  # noqa: S608
    time_of = {"timestamp": {"zone": "Europe/Berlin"}, "timestamptz": {}}
    source: dict[str, Any] = {"time": {"column": "at", **time_of.get(clock, {"unit": "s"})}}
    source |= {"label": "bad", "updated_at": "changed"}
    long = {"shape": "long", "channel_column": "sensor", "value_column": "value"}
    return Odd(statements, source | (long if is_long else {}), n_odd)


def judged(odd: Odd, plant_uri: str, warehouse_uri: str) -> str:
    """What went wrong, or nothing."""
    _run(plant_uri, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    _run(plant_uri, odd.statements)
    _run(warehouse_uri, "TRUNCATE tsad.dataset, tsad.reading_block, tsad.ingest_hour CASCADE")
    _run(warehouse_uri, "TRUNCATE tsad.ingest_issue, tsad.quality")
    default: dict[str, Any] = {
        "connection": "plant",
        "tables": "reading",
        "entity": {"column": "machine"},
    }
    default |= {"channels": {name: {} for name in CHANNELS}, "step": "10min", "late_rows_within": 0}
    config = DatasetConfig.model_validate({"dataset": "plant", "source": default | odd.source})
    for hour in range(2):
        start_at, end_at = (START_AT + timedelta(hours=n) for n in (hour, hour + 1))
        span: dict[str, Any] = {"start_at": start_at, "end_at": end_at}
        with Store.connect(warehouse_uri) as store:
            ingest_interval(store, config, plant_uri, now=lambda: NOW_AT, **span)
    check_dataset(config, plant_uri, now_at=NOW_AT)
    good = _run(warehouse_uri, _GOOD)
    if good != [(i, name, i + 0.25) for i in range(6) for name in ("load", "temp")]:
        return f"m1 was read as {good}"
    if n_labels := _run(warehouse_uri, "SELECT count(*) FROM tsad.label")[0][0]:
        return f"{n_labels} known anomalies"
    n_cells = 1 if "shape" in odd.source else len(CHANNELS)
    (n_whole,) = _run(warehouse_uri, _WHOLE.format(n_cells))[0]
    (n_counted,) = _run(warehouse_uri, _COUNTED)[0]
    if n_whole + n_counted < odd.n_odd:
        return f"of {odd.n_odd} odd rows {n_whole} were read and {n_counted} counted"
    return ""


_READINGS = (
    "tsad.entity e, tsad.readings('plant', e.name, '2024-05-01Z', '2024-05-02Z') r "
    "WHERE (e.name = 'm1')"
)
_GOOD = (
    f"SELECT (extract(minute FROM r.at) / 10)::int, r.channel, r.value FROM {_READINGS} "  # noqa: S608
    "ORDER BY 1, 2"
)
_WHOLE = (
    f"SELECT count(*) FROM (SELECT FROM {_READINGS} = false GROUP BY e.name, r.at "  # noqa: S608
    "HAVING count(*) >= {}) s"
)
_COUNTED = (
    "SELECT coalesce(sum(n_rows), 0)::int FROM tsad.ingest_issue WHERE issue <> 'new_entity' AND "
    "hour_at = '2024-05-01 10:00Z'"
)


def _run(uri: str, statement: str) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(uri, options="-c timezone=UTC")
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def main() -> int:
    """Judge so many tables; 1 where one of them cost more than its odd rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--tables", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    n_tables = 8 if asked.small else asked.tables
    folder = Path(tempfile.mkdtemp(prefix="tsad-odd-rows-"))
    folder.chmod(0o711)
    cluster: Cluster = ensure_running(folder / "postgres", durable=False)
    try:
        uris = [cluster.create_database(name) for name in ("plant", "store")]
        migrate(uris[1])
        began, n_odd, wrong = time.perf_counter(), 0, list[str]()
        for number in range(n_tables):
            odd = odd_table(random.Random(f"{asked.seed} {number}"))
            n_odd += odd.n_odd
            try:
                said = judged(odd, *uris)
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
            if said:
                wrong.append(
                    f"seed {asked.seed}, table {number}: {said[:300]}\n  {odd.statements[:900]}"
                )
    finally:
        remove(folder / "postgres")
    print(f"{n_tables} tables with {n_odd} odd rows in {time.perf_counter() - began:.0f} s:")
    print(f"{len(wrong)} cost more than those rows")
    print("\n".join(wrong[:10]))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
