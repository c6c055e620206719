"""Fills source tables of the demo's plant with simulated readings."""

from __future__ import annotations

import io

import numpy as np

from tsad_tasks.core.simulate import ServerRoom
from tsad_tasks.storage import copy_binary as binary
from tsad_tasks.storage.database import connect

_MAKE = """
CREATE TABLE IF NOT EXISTS plant.server_metrics (
  at timestamptz NOT NULL, host text NOT NULL, cpu double precision, memory double precision, disk double precision,
  network double precision, temperature double precision);
CREATE INDEX IF NOT EXISTS server_metrics_at ON plant.server_metrics (at);
COMMENT ON TABLE plant.server_metrics IS 'Simulated by tsad: one row per host and minute.';
"""


def fill_server_metrics(uri: str, room: ServerRoom) -> int:
    """Rows of `plant.server_metrics`, written unless the same range is there already."""
    first_s, last_s = int(room.times_s[0]), int(room.times_s[-1])
    connection = connect(uri)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(_MAKE)
            cursor.execute(
                "SELECT extract(epoch FROM min(at)), extract(epoch FROM max(at)), count(*) FROM plant.server_metrics"
            )
            found = cursor.fetchone()
            n_rows = int(room.values.shape[0] * room.values.shape[1])
            if found is not None and found == (first_s, last_s, n_rows):
                return n_rows
            cursor.execute("TRUNCATE plant.server_metrics")
            cursor.copy_expert("COPY plant.server_metrics FROM STDIN (FORMAT binary)", io.BytesIO(_rows(room)))
            return n_rows
    finally:
        connection.close()


def _rows(room: ServerRoom) -> bytes:
    n_hosts, n_steps, n_channels = room.values.shape
    values = room.values.transpose(1, 0, 2).reshape(-1, n_channels)
    columns = [binary.timestamptz(np.repeat(room.times_s, n_hosts)), binary.text(list(room.entities) * n_steps)]
    return binary.encode([*columns, *(binary.nullable(column) for column in values.T)])
