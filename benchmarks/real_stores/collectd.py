"""A collectd daemon with its PostgreSQL writer, told of two machines' past days by its socket."""

from __future__ import annotations

import math
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from real_stores.programs import Programs, wait_until
from real_stores.store import N_DAYS, Database

PACKAGES = ("collectd-core",)
STEP_S = 600
_SCHEMA = "usr/share/doc/collectd-core/examples/postgresql/collectd_insert.sql"
# The script makes children from today on; those of past days its daily job has made in time.
_CHILD = """
CREATE TABLE IF NOT EXISTS "values${day}" (
  CHECK (tstamp >= timestamp '{day}' AND tstamp < timestamp '{day}' + interval '1 day'),
  PRIMARY KEY (id, tstamp, name, value)
) INHERITS ("values");
"""
_COUNT = "SELECT count(*), count(*) FILTER (WHERE value = 'NaN') FROM \"values\""
_TAGS = """
SELECT string_agg(format('%s,%s,%s,%s', i.id, n.name, i.host, n.channel), E'\\n')
FROM identifiers i JOIN (VALUES ('temperature', '''value''', 'coil'),
  ('if_octets', '''rx''', 'received'), ('if_octets', '''tx''', 'sent')) n (type, name, channel)
  ON n.type = i.type
"""
_SETTINGS = """
BaseDir "{folder}"
PIDFile "{folder}/collectd.pid"
PluginDir "{root}/usr/lib/collectd"
TypesDB "{root}/usr/share/collectd/types.db"
Interval {step_s}
WriteThreads 1
LoadPlugin unixsock
LoadPlugin postgresql
<Plugin unixsock>
  SocketFile "{folder}/socket"
</Plugin>
<Plugin postgresql>
  <Writer all>
    Statement "SELECT collectd_insert($1, $2, $3, $4, $5, $6, $7, $8, $9);"
    StoreRates true
  </Writer>
  <Database "{database}">
    Host "{login.hostname}"
    Port "{login.port}"
    User "{login.username}"
    Password "{login.password}"
    Writer all
  </Database>
</Plugin>
"""


def fill(programs: Programs, database: Database, folder: Path, end_at: datetime) -> str:
    """Start the daemon on its sample schema, tell it values, and end it; says what was written."""
    database.run((programs.root / _SCHEMA).read_text(encoding="utf-8"))
    for n_days in range(N_DAYS + 1):
        database.run(_CHILD.format(day=f"{end_at.astimezone(UTC) - timedelta(n_days):%Y-%m-%d}"))
    settings = _SETTINGS.format(
        folder=folder, root=programs.root, step_s=STEP_S, database=database.name,
        login=urlsplit(database.uri),
    )  # fmt: skip
    (folder / "collectd.conf").write_text(settings, encoding="utf-8")
    daemon, door = "usr/sbin/collectd", folder / "socket"
    with programs.running(
        folder / "out.log", daemon, "-f", "-C", folder / "collectd.conf"
    ) as process:
        wait_until(door.exists, "a collectd daemon", process)
        n_told = _tell(door, int(end_at.timestamp()))
        # A temperature is one row, octets are two. At its end it forgets what it still has.
        wait_until(lambda: database.row(_COUNT)[0] == n_told * 3 // 2, "all values", process)
    n_rows, n_nan = database.row(_COUNT)
    return f"{n_told:,} values told; {n_rows:,} rows, {n_nan} of them NaN"


def _tell(door: Path, end_s: int) -> int:
    n_told = 0
    with socket.socket(socket.AF_UNIX) as line, line.makefile("rw", encoding="utf-8") as stream:
        line.connect(str(door))
        for one in _values(end_s):
            stream.write(f"PUTVAL {one}\n")
            stream.flush()
            n_told += stream.readline().startswith("0 ")
    return n_told


def value_at(machine: str, channel: str, second: int) -> float:
    """What a machine's channel is then; octets come as rates."""
    warm = 60 + 5 * math.sin(2 * math.pi * second / 86400) + int(machine[-1])
    return {"coil": float(f"{warm:.4f}"), "received": 10.0, "sent": 30.0}[channel]


def tags(database: Database) -> str:
    """Lines of the tags file: a value of one name, or octets of two."""
    return str(database.row(_TAGS)[0]) + "\n"


def _values(end_s: int) -> Iterator[str]:
    """A temperature as it is, and a network card's counters, of which the daemon makes rates."""
    for second in range(end_s - N_DAYS * 86400, end_s, STEP_S):
        for press in ("press-1", "press-2"):
            at = second + int(press[-1])
            coil, octets = value_at(press, "coil", second), f"{at * 10}:{at * 30}"
            when = f"interval={STEP_S} {at}"
            yield f"{press}/sensors-motor/temperature-coil {when}:{coil:.4f}"
            yield f"{press}/interface-eth0/if_octets {when}:{octets}"
