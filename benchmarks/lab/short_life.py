"""Eight days of two machines, one of which fails at a moment, for benchmarks that live through the
hours after it under a disturbance.
"""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from typing import Any

import psycopg2

from lab import gates
from tsad_tasks.config import DatasetConfig

DAYS = 8
_FILE: dict[str, Any] = {
    "dataset": "room",
    "source": {
        "connection": "plant",
        "tables": "room",
        "time": {"column": "at"},
        "entity": {"column": "machine"},
        "step": "10min",
        "late_rows_within": 0,
        "channels": {"temperature": {}, "load": {}},
    },
    "detector": {"name": "isolation_forest"},
    "threshold": {"kind": "percentile", "percentile": 99.5, "combine": "max"},
    "training": {"range": "7d", "min_hours": 10},
    # Hours and weekdays are left out: what is found does not depend on when the benchmark runs.
    "features": {"min_own_scale": "1d", "cyclic": []},
    "gate": gates.OPEN | {"min_known_share": 0, "max_latency_ms": 1e6},
    "shadow": {"hours": 0},
}
_FILLED = """
CREATE TABLE room AS
SELECT at, 'm-' || m AS machine, (50 + 5 * cos(i / 31.0))::float8 AS load, at AS changed,
  (20 + sin(i / 23.0) + m + 0.2 * sin(i * 1.7)
   + CASE WHEN at >= %(at)s AND m = 0 THEN 40 ELSE 0 END)::float8 AS temperature
FROM generate_series(0, %(last)s) i, generate_series(0, 1) m,
  LATERAL (SELECT %(at)s - make_interval(days => %(days)s) + i * interval '10 min' AS at) t
"""
# Times of writing are left out: they are what differs.
_ROWS = (
    "SELECT entity_id, hour_at, checksum FROM tsad.reading_block",
    "SELECT entity_id, hour_at, status, errors, thresholds, scores, reasons FROM tsad.score_block "
    "WHERE superseded_at = 'infinity' AND thresholds IS NOT NULL",
    "SELECT entity, at, severity, score FROM tsad.v_anomaly",
    "SELECT incident_id, started_at, last_flag_at, n_flags, severity FROM tsad.v_incident",
)


def config_of(*, window: int | str, **changes: Any) -> DatasetConfig:
    """The machines' dataset; `source` is changed by what is given, other sections replaced."""
    source = _FILE["source"] | changes.pop("source", {})
    detector = _FILE["detector"] | {"window": window}
    return DatasetConfig.model_validate(_FILE | changes | {"source": source, "detector": detector})


def fill(uri: str, at: datetime, n_hours: int) -> None:
    """The table of the machines: eight days until `at`, then hours, with a fault of one in them."""
    rows_of(uri, _FILLED, {"at": at, "days": DAYS, "last": DAYS * 144 + 6 * n_hours - 1})


def rows_of(uri: str, statement: Any, params: Any = None) -> list[tuple[Any, ...]]:
    """Rows of a statement, committed at once; none where it gives none."""
    with closing(psycopg2.connect(uri, options="-c timezone=UTC")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement, params)
            return cursor.fetchall() if cursor.description else []


def everything(uri: str, more: str) -> list[list[str]]:
    """What stands in a warehouse, and the rows of one more statement, to be compared."""
    return [sorted(map(repr, rows_of(uri, one))) for one in (*_ROWS, more)]
