"""The source tables of the example datasets, filled with simulated readings."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from psycopg2 import extensions, sql

from devstack.simulate import SimulatedPlant, server_room
from devstack.simulate_plants import cold_store, pump_hall
from devstack.statements import statement
from tsad_tasks.base.interval import from_unix_s
from tsad_tasks.storage import copy_binary as binary
from tsad_tasks.storage.database import connect

START_AT = datetime(2026, 8, 31, tzinfo=UTC)
SEED = 7
COLD_STORE_ZONE = ZoneInfo("Europe/Berlin")
COLD_STORE_SENSORS = ("TEMP_AIR", "HUM_REL", "COMPRESSOR_KW")

Filled = tuple[int, SimulatedPlant]


def fill_server_room(uri: str, days: int) -> Filled:
    """Rows of `plant.server_metrics`, and what is in them."""
    room = server_room(days=days, hosts=4, start_at=START_AT, seed=SEED)
    n_hosts, n_steps, n_channels = room.values.shape
    values = room.values.transpose(1, 0, 2).reshape(-1, n_channels)
    with closing(connect(uri)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement("server_metrics"))
        columns = [
            binary.timestamptz(np.repeat(room.times_s, n_hosts)),
            binary.text(list(room.entities) * n_steps),
            *(binary.nullable(column) for column in values.T),
        ]
        fill(cursor, "server_metrics", "at", columns, room.times_s)
    return n_hosts * n_steps, room


def fill_cold_store(uri: str, days: int) -> Filled:
    """Rows of the long table `plant.cold_store_log`, and what is in them."""
    store = cold_store(days=days, start_at=START_AT, seed=SEED)
    # What the cold store's clock shows, as seconds since 1970 on that clock.
    zoned = [from_unix_s(s).astimezone(COLD_STORE_ZONE) for s in store.times_s.tolist()]
    local_s = np.array([int(at.replace(tzinfo=UTC).timestamp()) for at in zoned], np.int64)
    n_rooms, n_steps, n_channels = store.values.shape
    with closing(connect(uri)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement("cold_store_log"))
        columns = [
            # Without a zone a timestamp has the same bytes as one in UTC.
            binary.timestamptz(np.repeat(local_s, n_rooms * n_channels)),
            binary.text(np.tile(np.repeat(store.entities, n_channels), n_steps).tolist()),
            binary.text(list(COLD_STORE_SENSORS) * (n_rooms * n_steps)),
            binary.nullable(store.values.transpose(1, 0, 2).ravel()),
        ]
        fill(cursor, "cold_store_log", "read_at", columns, local_s)
    return int(store.values.size), store


def fill_pumps(uri: str, days: int) -> Filled:
    """Rows of `plant.pump_01` and so on, a table per pump, and what is in them."""
    hall = pump_hall(days=days, start_at=START_AT, seed=SEED)
    with closing(connect(uri)) as connection, connection, connection.cursor() as cursor:
        for name, values in zip(hall.entities, hall.values, strict=True):
            table, index = sql.Identifier("plant", name), sql.Identifier(f"{name}_at")
            cursor.execute(sql.SQL(statement("pump")).format(table=table, index=index))
            columns = [
                binary.timestamptz(hall.times_s),
                *(binary.nullable(column) for column in values.T),
            ]
            fill(cursor, name, "at", columns, hall.times_s)
    return int(hall.values.shape[0] * hall.values.shape[1]), hall


PLANTS: dict[str, Callable[[str, int], Filled]] = {
    "server_room": fill_server_room,
    "cold_store": fill_cold_store,
    "pumps": fill_pumps,
}


def fill(
    cursor: extensions.cursor,
    table: str,
    time_column: str,
    columns: list[binary.Column],
    times_s: NDArray[np.int64],
) -> None:
    """Writes a table of the plant, unless it holds the same range and number of rows already."""
    names = {"table": sql.Identifier("plant", table), "at": sql.Identifier(time_column)}
    cursor.execute(sql.SQL(statement("select_span")).format(**names))
    span = (int(times_s.min()), int(times_s.max()), len(columns[0].content))
    if cursor.fetchone() == span:
        return
    cursor.execute(sql.SQL(statement("truncate")).format(**names))
    copy = sql.SQL(statement("copy_in")).format(**names)
    cursor.copy_expert(copy, io.BytesIO(binary.encode(columns)))
    cursor.execute(sql.SQL(statement("analyze")).format(**names))
