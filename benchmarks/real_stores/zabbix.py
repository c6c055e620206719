"""A Zabbix server, and three pumps whose sensors send it eight days of values."""

from __future__ import annotations

import gzip
import math
import random
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from real_stores.programs import Programs, free_port, listens, wait_until
from real_stores.store import N_DAYS, Database

# By suite of Debian: its Zabbix is another one. The sender was the agent's once.
PACKAGES = {
    "": ("zabbix-server-pgsql", "zabbix-agent"),
    "trixie": ("zabbix-server-pgsql", "zabbix-sender"),
}
STEP_S, ITEMS = 120, ("flow", "pressure", "power", "valve")
_SCHEMA = "usr/share/zabbix-server-pgsql"
# As Zabbix's API fills them: type 2 is a value that is sent, value type 0 a float, 3 an unsigned.
_MACHINES = """
INSERT INTO hstgrp (groupid, name) VALUES (9000000, 'Pumps');
INSERT INTO hosts (hostid, host, name)
SELECT 9000000 + p, 'pump-' || p, 'Pump ' || p FROM generate_series(1, 3) p;
INSERT INTO hosts_groups (hostgroupid, hostid, groupid)
SELECT 9000000 + p, 9000000 + p, 9000000 FROM generate_series(1, 3) p;
INSERT INTO items (itemid, type, hostid, name, key_, delay, history, value_type, units)
SELECT 9000000 + p * 10 + k, 2, 9000000 + p, initcap(key_), key_, '0', '31d', value_type, units
FROM generate_series(1, 3) p, (VALUES (1, 'flow', 0, 'm³/h'), (2, 'pressure', 0, 'bar'),
  (3, 'power', 3, 'W'), (4, 'valve', 3, '')) item (k, key_, value_type, units);
INSERT INTO item_rtdata (itemid) SELECT itemid FROM items WHERE itemid > 9000000;
INSERT INTO item_preproc (item_preprocid, itemid, step, type, params)
SELECT itemid, itemid, 1, 20, '1h' FROM items WHERE itemid > 9000000 AND key_ = 'valve';
"""
_COUNT = "SELECT (SELECT count(*) FROM history) + (SELECT count(*) FROM history_uint)"


def fill(programs: Programs, database: Database, folder: Path, end_at: datetime) -> str:
    """Start the server on its own schema, send it values, and end it; says what was written."""
    for name in ("schema", "images", "data"):
        text = gzip.decompress((programs.root / _SCHEMA / f"{name}.sql.gz").read_bytes())
        database.run(text.decode())
    database.run(_MACHINES)
    port = free_port()
    (folder / "server.conf").write_text(_settings(database, folder, port))
    values = folder / "values.txt"
    lines = (
        f"pump-{pump} {name} {at_s} {ns} {value:g}\n"
        for pump, name, at_s, ns, value in told(int(end_at.timestamp()))
    )
    values.write_text("".join(lines), encoding="utf-8")
    server = "usr/sbin/zabbix_server"
    with programs.running(
        folder / "out.log", server, "-f", "-c", folder / "server.conf"
    ) as process:
        wait_until(lambda: listens(port), "a Zabbix server", process)
        sent = programs.run(
            "usr/bin/zabbix_sender", "-z", "127.0.0.1", "-p", port, "-T", "-N", "-i", values
        )
    # What it still held it writes before it ends.
    (n_rows,) = database.row(_COUNT)
    return f"{sent.splitlines()[-2]}; {n_rows:,} rows"


def _settings(database: Database, folder: Path, port: int) -> str:
    login = urlsplit(database.uri)
    settings = {
        "LogType": "console", "PidFile": folder / "server.pid", "SocketDir": folder,
        "ListenIP": "127.0.0.1", "ListenPort": port, "DBHost": login.hostname,
        "DBPort": login.port, "DBName": database.name, "DBUser": login.username,
        "DBPassword": login.password, "AllowUnsupportedDBVersions": 1, "AllowRoot": 1,
        "HousekeepingFrequency": 0, "StartDiscoverers": 0, "StartHTTPPollers": 0,
        "StartODBCPollers": 0, "StartPingers": 0, "StartPollers": 1, "StartTrappers": 1,
        "StartPreprocessors": 1, "StartDBSyncers": 1, "StartLLDProcessors": 1, "StartAlerters": 1,
    }  # fmt: skip
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def told(end_s: int) -> Iterator[tuple[int, str, int, int, float]]:
    """Pump, item, second, nanosecond and value, in the order of time; the third pump loses pressure
    for four hours of the last day.
    """
    noise = random.Random(3)
    for second in range(end_s - N_DAYS * 86400, end_s, STEP_S):
        day = math.sin(2 * math.pi * second / 86400)
        for pump in range(1, 4):
            is_broken = pump == 3 and end_s - 10 * 3600 <= second < end_s - 6 * 3600
            flow = 40 + 5 * day + noise.gauss(0, 0.5)
            pressure = 4 + 0.1 * flow + noise.gauss(0, 0.05) - 3 * is_broken
            values = (flow, pressure, round(1000 + 20 * flow), int(day > 0))
            for place, (name, value) in enumerate(zip(ITEMS, values, strict=True)):
                at_s, ns = second + 7 * pump + place, noise.randrange(10**9)
                yield pump, name, at_s, ns, float(f"{value:.6g}")


def means(end_s: int) -> dict[tuple[str, str, int], float]:
    """What each step is, by machine, item and second: each value lasts until the next, to the
    microsecond, except that a valve is as it was last.
    """
    found, before = {}, dict[tuple[int, str], float]()
    for pump, name, at_s, ns, value in told(end_s):
        step = at_s - at_s % STEP_S
        share = (at_s - step + ns // 1000 / 1e6) / STEP_S if name != "valve" else 0.0
        old = before.get((pump, name), value)
        found[f"Pump {pump}", name, step] = share * old + (1 - share) * value
        before[pump, name] = value
    return found
