"""Fills source tables of the demo's plant with simulated readings."""

from __future__ import annotations

import io
from contextlib import closing
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from psycopg2 import extensions, sql

from devstack.simulate import SimulatedPlant
from tsad_tasks.base.interval import from_unix_s
from tsad_tasks.storage import copy_binary as binary
from tsad_tasks.storage.database import connect

COLD_STORE_ZONE = ZoneInfo("Europe/Berlin")
COLD_STORE_SENSORS = ("TEMP_AIR", "HUM_REL", "COMPRESSOR_KW")

_SERVER_METRICS = """
CREATE SCHEMA IF NOT EXISTS plant;
CREATE TABLE IF NOT EXISTS plant.server_metrics (
  at timestamptz NOT NULL, host text NOT NULL, cpu double precision, memory double precision, disk double precision,
  network double precision, temperature double precision);
CREATE INDEX IF NOT EXISTS server_metrics_at ON plant.server_metrics (at);
COMMENT ON TABLE plant.server_metrics IS 'Simulated by tsad: one row per host and minute.';
"""
_COLD_STORE_LOG = """
CREATE SCHEMA IF NOT EXISTS plant;
CREATE TABLE IF NOT EXISTS plant.cold_store_log (
  read_at timestamp NOT NULL, room text NOT NULL, sensor text NOT NULL, value double precision);
CREATE INDEX IF NOT EXISTS cold_store_log_at ON plant.cold_store_log (read_at);
COMMENT ON TABLE plant.cold_store_log IS 'Simulated by tsad: one row per value, times on the clock of Europe/Berlin.';
"""
_PUMP = """
CREATE SCHEMA IF NOT EXISTS plant;
CREATE TABLE IF NOT EXISTS {table} (
  at timestamptz NOT NULL, speed double precision, flow double precision, pressure double precision,
  current double precision, vibration double precision);
CREATE INDEX IF NOT EXISTS {index} ON {table} (at);
COMMENT ON TABLE {table} IS 'Simulated by tsad: one row per minute.';
"""


def fill_server_metrics(uri: str, room: SimulatedPlant) -> int:
    """Rows of `plant.server_metrics`, written unless the same range is there already."""
    first_s, last_s = int(room.times_s[0]), int(room.times_s[-1])
    n_rows = int(room.values.shape[0] * room.values.shape[1])
    with closing(connect(uri)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(_SERVER_METRICS)
        if not _holds(cursor, "server_metrics", "at", (first_s, last_s, n_rows)):
            _refill(cursor, "server_metrics", _rows(room))
    return n_rows


def fill_cold_store(uri: str, store: SimulatedPlant) -> int:
    """Rows of the long table `plant.cold_store_log`, written unless the same range is there
    already.
    """
    local_s = _local_s(store.times_s)
    n_rooms, n_steps, n_channels = store.values.shape
    with closing(connect(uri)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(_COLD_STORE_LOG)
        span = int(local_s.min()), int(local_s.max()), store.values.size
        if not _holds(cursor, "cold_store_log", "read_at", span):
            columns = [
                # Without a zone a timestamp has the same bytes as one in UTC.
                binary.timestamptz(np.repeat(local_s, n_rooms * n_channels)),
                binary.text(np.tile(np.repeat(store.entities, n_channels), n_steps).tolist()),
                binary.text(list(COLD_STORE_SENSORS) * (n_rooms * n_steps)),
                binary.nullable(store.values.transpose(1, 0, 2).ravel()),
            ]
            _refill(cursor, "cold_store_log", binary.encode(columns))
    return int(store.values.size)


def fill_pumps(uri: str, hall: SimulatedPlant) -> int:
    """Rows of `plant.pump_01` and so on, a table per pump, written unless the same range is there
    already.
    """
    span = int(hall.times_s[0]), int(hall.times_s[-1]), hall.times_s.size
    with closing(connect(uri)) as connection, connection, connection.cursor() as cursor:
        for name, values in zip(hall.entities, hall.values, strict=True):
            table, index = sql.Identifier("plant", name), sql.Identifier(f"{name}_at")
            cursor.execute(sql.SQL(_PUMP).format(table=table, index=index))
            if not _holds(cursor, name, "at", span):
                columns = [
                    binary.timestamptz(hall.times_s),
                    *(binary.nullable(column) for column in values.T),
                ]
                _refill(cursor, name, binary.encode(columns))
    return int(hall.values.shape[0] * hall.values.shape[1])


def _local_s(times_s: NDArray[np.int64]) -> NDArray[np.int64]:
    """What the cold store's clock shows, as seconds since 1970 on that clock."""
    offsets = (from_unix_s(s).astimezone(COLD_STORE_ZONE).utcoffset() for s in times_s.tolist())
    return times_s + np.array(
        [int(offset.total_seconds()) for offset in offsets if offset is not None], np.int64
    )


def _holds(
    cursor: extensions.cursor, table: str, time_column: str, span: tuple[int, int, int]
) -> bool:
    """Whether the first time, the last one and the number of rows are these already."""
    statement = (
        "SELECT extract(epoch FROM min({at})), extract(epoch FROM max({at})), count(*) FROM {table}"
    )
    names = {"at": sql.Identifier(time_column), "table": sql.Identifier("plant", table)}
    cursor.execute(sql.SQL(statement).format(**names))
    return cursor.fetchone() == span


def _refill(cursor: extensions.cursor, table: str, stream: bytes) -> None:
    name = sql.Identifier("plant", table)
    cursor.execute(sql.SQL("TRUNCATE {}").format(name))
    cursor.copy_expert(
        sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(name), io.BytesIO(stream)
    )
    cursor.execute(sql.SQL("ANALYZE {}").format(name))


def _rows(room: SimulatedPlant) -> bytes:
    n_hosts, n_steps, n_channels = room.values.shape
    values = room.values.transpose(1, 0, 2).reshape(-1, n_channels)
    columns = [
        binary.timestamptz(np.repeat(room.times_s, n_hosts)),
        binary.text(list(room.entities) * n_steps),
    ]
    return binary.encode([*columns, *(binary.nullable(column) for column in values.T)])
