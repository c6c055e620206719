"""What Grafana makes of a dashboard's queries before Postgres sees them.

Source: Grafana's PostgreSQL data source, macros.go and datasource.ts (2025): variables first, with
their quotes doubled, then macros, whose arguments end at the first bracket.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

MACRO = re.compile(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)")
SECONDS = {"1m": 60, "1h": 3600}


def queries(dashboard: Path) -> Iterator[tuple[str, str]]:
    """Title and SQL of each panel, then name and SQL of each variable that asks the warehouse."""
    board: dict[str, Any] = json.loads(dashboard.read_text(encoding="utf-8"))
    for panel in board["panels"]:
        for target in panel["targets"]:
            # What Grafana would take for its span where the time range is short.
            sql = target["rawSql"].replace("$__interval", panel.get("interval", "1m"))
            yield panel["title"], sql
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", variable["query"]


def sent(sql: str, start_at: datetime, end_at: datetime, **variables: str) -> str:
    """The statement as Postgres gets it, for one value of each variable and one time range."""
    for name, value in variables.items():
        sql = sql.replace(f"${{{name}}}", value.replace("'", "''"))
    times = [f"'{at:%Y-%m-%dT%H:%M:%SZ}'" for at in (start_at, end_at)]

    def macro(found: re.Match[str]) -> str:
        name, arguments = found[1], [one.strip() for one in found[2].split(",")]
        if name == "__timeFrom":
            return times[0]
        if name == "__timeTo":
            return times[1]
        if name == "__timeFilter":
            return f"{arguments[0]} BETWEEN {times[0]} AND {times[1]}"
        if name == "__timeGroupAlias":
            seconds = SECONDS[arguments[1].strip("'")]
            return f'floor(extract(epoch from {arguments[0]})/{seconds})*{seconds} AS "time"'
        raise ValueError(f"Expected a macro that this dashboard is known to use. Received: {name}.")

    return MACRO.sub(macro, sql)
