"""An Icinga 2 daemon with its IDO database, told of two pumps' past day by its command pipe."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from real_stores.programs import Programs, wait_until
from real_stores.store import Database

PACKAGES = ("icinga2", "icinga2-ido-pgsql")
N_HOURS, STEP_S, N_PUMPS = 24, 300, 2
_SCHEMA = "usr/share/icinga2-ido-pgsql/schema/pgsql.sql"
_DAEMON = "usr/lib/x86_64-linux-gnu/icinga2/sbin/icinga2"
_COUNT = "SELECT count(*) FROM icinga_servicechecks"
_SETTINGS = """
const NodeName = "here"
const ZoneName = NodeName
include <itl>
object Endpoint NodeName {{ }}
object Zone ZoneName {{ endpoints = [ NodeName ] }}
object ExternalCommandListener "command" {{ command_path = "{folder}/pipe" }}
object IdoPgsqlConnection "ido" {{
  host = "{login.hostname}"
  port = "{login.port}"
  user = "{login.username}"
  password = "{login.password}"
  database = "{database}"
  categories = [ DbCatConfig, DbCatState, DbCatCheck ]
}}
for (name in [ "pump1", "pump2" ]) {{
  object Host name {{
    check_command = "passive"
    enable_active_checks = false
  }}
}}
apply Service "bearing" {{
  check_command = "passive"
  enable_active_checks = false
  assign where true
}}
"""


def value_at(second: int, pump: int) -> float:
    """What a pump's bearing has, in °C."""
    return round(43 + pump + 5 * math.sin(2 * math.pi * second / 86400), 2)


def fill(programs: Programs, database: Database, folder: Path, end_at: datetime) -> str:
    """Start the daemon on its schema, tell it results, and end it; says what was written."""
    database.run((programs.root / _SCHEMA).read_text(encoding="utf-8"))
    login = urlsplit(database.uri)
    text = _SETTINGS.format(folder=folder, database=database.name, login=login)
    (folder / "icinga2.conf").write_text(text, encoding="utf-8")
    places = ("DataDir", "LogDir", "CacheDir", "SpoolDir", "InitRunDir", "ConfigDir")
    for place in places:
        (folder / place).mkdir(exist_ok=True)
    given = [word for place in places for word in ("-D", f"{place}={folder / place}")]
    given += ["-D", "RunAsUser=root", "-D", "RunAsGroup=root"]
    given += ["-I", str(programs.root / "usr/share/icinga2/include")]
    told = [*_results(int(end_at.timestamp()))]
    pipe = folder / "pipe"
    with programs.running(
        folder / "out.log", _DAEMON, "daemon", *given, "-c", folder / "icinga2.conf"
    ) as daemon:
        wait_until(pipe.is_fifo, "an Icinga daemon", daemon)
        with pipe.open("w", encoding="utf-8") as stream:
            stream.writelines(told)
        wait_until(lambda: database.row(_COUNT)[0] >= len(told), "all checks", daemon)
    return f"{len(told):,} results told; {database.row(_COUNT)[0]:,} rows"


def _results(end_s: int) -> Iterator[str]:
    for second in range(end_s - N_HOURS * 3600, end_s, STEP_S):
        for pump in range(1, N_PUMPS + 1):
            value = f"'bearing temp'={value_at(second, pump)}C;60;70;0;100"
            yield (
                f"[{second + pump}] PROCESS_SERVICE_CHECK_RESULT;pump{pump};bearing;0;"
                f"OK - warm | {value}\n"
            )
