"""What a fleet costs that has been flagged for months without pause: seconds and MB.

Usage: python benchmarks/load.py [--small] [--machines 200] [--days 69] [--step-min 10]

Every machine is flagged at every step. Measured are the hourly merging of incidents at the end and
in the middle, each in a process of its own (memory is its peak), and what people ask of the views.
Promised at full size: 5 s and 300 MB for an hour, whatever the age; 1 s for a count over a million
flags; .2 s for all channels at an incident's peak, and for a count of all 331,200 hours. The small
size promises the memory, and as many seconds, of a twentieth of the flags.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
from lab.fleet_rows import URI_VARIABLE, fill_fleet, fleet_config

from devstack.postgres import ensure_running, remove
from tsad_tasks.base.interval import HOUR
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.storage.migrate import migrate
from tsad_tasks.storage.store import Store

START_AT = datetime(2026, 1, 5, tzinfo=UTC)
N_COUNTED = 1_000_000
_FILL = """
CREATE TEMP TABLE flag AS
SELECT e.entity_id, %(start_at)s + n * %(step)s * interval '1 min' AS at,
  (.1 + (hashint8(n * 1000 + e.entity_id) & 1023) / 512.)::real AS score
FROM generate_series(0, %(n)s - 1) AS n CROSS JOIN tsad.entity e;
INSERT INTO tsad.anomaly (entity_id, at, hour_at, model_id, kind, severity, error, threshold, score,
  provisional)
SELECT entity_id, at, date_trunc('hour', at), 1, 'point',
  CASE WHEN score > 1 THEN 'HIGH' WHEN score > .5 THEN 'MEDIUM' ELSE 'LOW' END, 1 + score, 1, score,
  false FROM flag;
INSERT INTO tsad.attribution (entity_id, at, model_id, channel_id, share, actual, expected, spread,
  step_shares)
SELECT f.entity_id, f.at, 1, c.channel_id, .1 * c.channel_id, 50 + f.score * c.channel_id, 50, 1,
  ARRAY[.1 * c.channel_id]
FROM flag f CROSS JOIN tsad.channel c;
INSERT INTO tsad.score_block (entity_id, hour_at, model_id, errors, thresholds, scores, reasons,
  status, coverage, n_needed, n_seen, window_digest, score_digest)
SELECT e.entity_id, h, 1, '{1}', '{1}', '{1}', '{0}', 'scored', 1, 1, 1, 1, 1
FROM tsad.entity e CROSS JOIN generate_series(%(start_at)s, %(end_at)s - interval '1 h', '1 h') AS h
"""
PEAK = """
SELECT a.channel, a.share, a.actual, a.expected, a.unit
FROM tsad.v_incident i
JOIN tsad.v_attribution a ON a.dataset = i.dataset AND a.entity = i.entity AND a.at = i.peak_at
  AND a.model_id = i.model_id
WHERE i.incident_id = (SELECT incident_id FROM tsad.v_incident ORDER BY started_at DESC LIMIT 1)
ORDER BY a.share DESC"""
_QUESTIONS = {
    "count of all flags": "SELECT count(*) FROM tsad.v_anomaly",
    "count of a million": "SELECT count(*) FROM tsad.v_anomaly WHERE at < %(at)s",
    "a million by severity": "SELECT severity, count(*) FROM tsad.v_anomaly "
    "WHERE dataset = 'fleet' AND lineage = 'live' AND at < %(at)s GROUP BY severity",
    "count of all hours": "SELECT count(*) FROM tsad.v_status",
    "channels at a peak": PEAK,
    "channels at all peaks": PEAK.replace(
        "WHERE i.incident_id =", "WHERE i.state = 'open' OR i.incident_id ="
    ),
    "open incidents": "SELECT * FROM tsad.v_incident WHERE dataset = 'fleet' AND state = 'open'",
    "the last 50 flags": "SELECT * FROM tsad.v_anomaly WHERE dataset = 'fleet' "
    "ORDER BY at DESC LIMIT 50",
    "a day of flags, highest": "SELECT * FROM tsad.v_anomaly WHERE dataset = 'fleet' "
    "AND at >= '2026-01-08' AND at < '2026-01-09' ORDER BY score DESC LIMIT 20",
}
LIMITS_S = {
    "count of a million": 1.0,
    "a million by severity": 1.0,
    "channels at a peak": 0.2,
    "count of all hours": 0.2,
}


def main() -> int:
    """Fill a server of its own, merge, ask, print; 1 where a promise was not kept."""
    asked = _arguments()
    if asked.hour is not None:
        print(
            json.dumps(merged(os.environ[URI_VARIABLE], asked.step_min, asked.hour, asked.n_hours))
        )
        return 0
    n_hours = asked.days * 24
    with tempfile.TemporaryDirectory(prefix="tsad-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        cluster = ensure_running(folder / "postgres", durable=False)
        try:
            uri = cluster.create_database("load")
            migrate(uri)
            n_flags = fill(uri, asked)
            print(f"{n_flags:,} flags of {asked.machines} machines in {asked.days} days")
            hours = {
                "all of it at once": (0, n_hours),
                "the newest hour": (n_hours - 1, 1),
                "the newest hour again": (n_hours - 1, 1),
                "an hour in the middle": (n_hours // 2, 1),
            }
            found = {label: in_a_process(uri, asked, *span) for label, span in hours.items()}
            for label, one in found.items():
                print(f"{label:24}{one['s']:8.2f} s{one['mb']:8.0f} MB  {one['n']} incidents")
            n_steps = N_COUNTED // asked.machines
            until_at = START_AT + n_steps * timedelta(minutes=asked.step_min)
            asked_s = {label: answered(uri, sql, until_at) for label, sql in _QUESTIONS.items()}
            for label, seconds in asked_s.items():
                print(f"{label:24}{seconds:8.3f} s")
        finally:
            remove(folder / "postgres")
    missed = missed_promises(found, asked_s)
    print("\n".join(missed))
    return int(bool(missed))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a twentieth of the flags, for CI")
    parser.add_argument("--machines", type=int, default=200)
    parser.add_argument("--days", type=int, default=69)
    parser.add_argument("--step-min", type=int, default=10)
    for name in ("--hour", "--n-hours"):
        parser.add_argument(name, type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.small:
        asked.machines, asked.days = 20, 35
    return asked


def fill(uri: str, asked: argparse.Namespace) -> int:
    """Flags of every machine at every step, and their channels; how many flags."""
    n: int = asked.days * 1440 // asked.step_min
    end_at = START_AT + timedelta(days=asked.days)
    values = {"start_at": START_AT, "end_at": end_at, "n": n, "step": asked.step_min}
    config = fleet_config(asked.step_min)
    fill_fleet(uri, config, asked.machines, (START_AT, asked.days), _FILL, values)
    return n * int(asked.machines)


def in_a_process(uri: str, asked: argparse.Namespace, hour: int, n_hours: int) -> dict[str, float]:
    """Seconds and peak memory of merging some hours."""
    ours = ["--hour", str(hour), "--n-hours", str(n_hours)]
    environment = os.environ | {URI_VARIABLE: uri}
    command = [sys.executable, __file__, "--step-min", str(asked.step_min), *ours]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def merged(uri: str, step_min: int, hour: int, n_hours: int) -> dict[str, float]:
    """The same in this process."""
    config, start_at = fleet_config(step_min), START_AT + hour * HOUR
    began = time.perf_counter()
    with Store.connect(uri) as store:
        summary = build_incidents(
            store, config, start_at=start_at, end_at=start_at + n_hours * HOUR
        )
    seconds = time.perf_counter() - began
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"s": seconds, "mb": peak_mb, "n": summary.n_incidents}


def answered(uri: str, statement: str, at: datetime) -> float:
    """Seconds of a statement, the better of two."""
    seconds = []
    with closing(psycopg2.connect(uri)) as connection, connection.cursor() as cursor:
        for _ in range(2):
            began = time.perf_counter()
            cursor.execute(statement, {"at": at})
            cursor.fetchall()
            seconds.append(time.perf_counter() - began)
    return min(seconds)


def missed_promises(found: dict[str, dict[str, float]], asked_s: dict[str, float]) -> list[str]:
    """What was promised and is not so."""
    hours = [
        f"Expected {label} in 5 s and 300 MB. Received: {one['s']:.2f} s, {one['mb']:.0f} MB."
        for label, one in found.items()
        if "hour" in label and (one["s"] > 5 or one["mb"] > 300)
    ]
    return hours + [
        f"Expected {label} in {limit} s. Received: {asked_s[label]:.2f} s."
        for label, limit in LIMITS_S.items()
        if asked_s[label] > limit
    ]


if __name__ == "__main__":
    sys.exit(main())
