"""A small dataset for whole pipelines: two simulated hosts over a few days in a source table, and
its file.
"""

from __future__ import annotations

import csv
import io
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2

from devstack.simulate import CHANNELS, SimulatedPlant, server_room
from tsad_tasks.base.interval import from_unix_s

DATASET = "small_room"
CONNECTION = "plant"
START_AT = datetime(2024, 5, 2, tzinfo=UTC)
N_DAYS = 5
N_HOSTS = 2
# The training range ends here: a Monday at 3, as the schedule of retrainings in the file says.
TRAINED_AT = datetime(2024, 5, 6, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)

# Any model passes this gate: what is tested is the way from table to rows, not how well two epochs
# detect.
FILE = """\
dataset: small_room
description: Two simulated hosts, one reading per minute.
source:
  connection: plant
  tables: server_metrics
  time: {column: at}
  entity: {column: host}
  step: 1min
  late_rows_within: 1h
  channels:
    cpu: {unit: "%", valid_for: 2min}
    memory: {unit: "%", valid_for: 2min}
    disk: {unit: MB/s, valid_for: 2min}
    network: {unit: Mbit/s, valid_for: 2min}
    temperature: {unit: °C, valid_for: 2min}
threshold: {kind: adaptive, look_back: 300, min_span: 5h, k: 4}
training: {schedule: "0 3 * * 1", range: 3d, max_windows: 1500, epochs: 2}
gate:
  min_point_share: 0
  min_contextual_share: 0
  min_collective_share: 0
  max_false_alarm_share: 1
  n_injected: 10
  max_incidents_per_entity_week: 1000
shadow: {hours: 1, min_windows: 10, approve: manual}
"""


def write_dataset(folder: Path) -> Path:
    """The dataset's file, in a folder that is made."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{DATASET}.yaml"
    path.write_text(FILE, encoding="utf-8")
    return path


def fill_source(uri: str) -> None:
    """Make the source table at `uri` and copy the simulated readings into it."""
    room = server_room(days=N_DAYS, hosts=N_HOSTS, start_at=START_AT, seed=7)
    columns = ", ".join(f"{name} double precision" for name in CHANNELS)
    with closing(psycopg2.connect(uri)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE server_metrics (at timestamptz, host text, {columns})")
        cursor.copy_expert("COPY server_metrics FROM STDIN (FORMAT csv)", _as_csv(room))
        cursor.execute("CREATE INDEX ON server_metrics (at)")


def _as_csv(room: SimulatedPlant) -> io.StringIO:
    stream = io.StringIO()
    writer = csv.writer(stream)
    for host, readings in zip(room.entities, room.values.tolist(), strict=True):
        for time_s, values in zip(room.times_s.tolist(), readings, strict=True):
            writer.writerow([from_unix_s(time_s).isoformat(), host, *values])
    stream.seek(0)
    return stream
