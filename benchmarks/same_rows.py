"""Whether this build leaves the rows of an earlier one, to the bit: readings, scores, incidents.

Usage: python benchmarks/same_rows.py [--small] [--base COMMIT]

Both builds go through the same commands on the same simulated plant, each in a database of its own
on one server: ingest, retrain and score, with three detectors (one of windows, one with a state,
one neural). What they leave is read by the same SQL and compared. Left out is what no score depends
on: revisions, ids, times of writing, rules that measure the machine, rules on injected
anomalies, which are others since decision 55, and sentences, since decision 8 says better which way
a reading went. Fails where a row differs.
--base: the build to compare with; by default the one before the code moved to its rooms.
--small: event_head alone, 3 days and 12 scored hours; otherwise 30 days and 48 hours.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

from lab.builds import Build, builds, checkout_of

from tsad_tasks.base.interval import HOUR, moment
from tsad_tasks.base.places import project_folder
from tsad_tasks.storage.database import connect

BASE = "f1a3c4b"
START_AT = moment("2026-08-31T00:00Z")
DETECTORS = {
    "lstm_autoencoder": "{name: lstm_autoencoder, window: 10}",
    "isolation_forest": "{name: isolation_forest, window: 10}",
    "event_head": "{name: event_head}",
}
THRESHOLDS = {"event_head": "threshold: {kind: ranked}"}
FILE = """
dataset: {name}
source:
  connection: tsad_demo
  tables: plant.server_metrics
  time: {{column: at}}
  entity: {{column: host}}
  step: 1min
  mutability: 3h  # former names, which both builds know
  channels:
    cpu: {{unit: "%", low: 0, high: 100, hold: 2min}}
    memory: {{unit: "%", low: 0, high: 100, hold: 2min}}
    disk: {{unit: MB/s, low: 0, hold: 2min}}
    network: {{unit: Mbit/s, low: 0, hold: 2min}}
    temperature: {{unit: °C, low: -20, high: 90, hold: 2min}}
features: {{cyclic: [hour]}}
detector: {detector}
{threshold}
alarm_policy: {{merge_gap: 30min}}
training: {{range: {days}d, max_windows: 4000, epochs: 3}}
gate:
  {{min_point_share: 0, min_contextual_share: 0, min_collective_share: 0, max_false_alarm_share: 1,
    max_incidents_per_entity_week: 1000, min_known_share: 0, max_latency_ms: 1000,
    max_commissioning_shift: 100, max_commissioning_spread: 100}}
shadow: {{hours: 0}}
"""

# What people and later runs read.
ROWS = {
    "readings": """
        SELECT e.name, b.hour_at, b.checksum, b.values FROM tsad.reading_block b
        JOIN tsad.entity e USING (entity_id) JOIN tsad.dataset d USING (dataset_id)
        WHERE d.name = %(dataset)s""",
    "scores": """
        SELECT e.name, s.hour_at, s.status, s.coverage, s.n_needed, s.n_seen, s.window_digest,
          s.score_digest, s.errors, s.thresholds, s.scores, s.reasons, s.channel_errors
        FROM tsad.score_block s JOIN tsad.entity e USING (entity_id)
        JOIN tsad.dataset d USING (dataset_id)
        WHERE d.name = %(dataset)s AND s.superseded_at = 'infinity'""",
    "anomalies": """
        SELECT entity, at, lineage, kind, severity, score, error, threshold, channel, share, actual,
          expected, unit, provisional
        FROM tsad.v_anomaly WHERE dataset = %(dataset)s""",
    "attributions": """
        SELECT entity, at, channel, unit, share, actual, expected, spread, step, step_share, lineage
        FROM tsad.v_attribution WHERE dataset = %(dataset)s""",
    "incidents": """
        SELECT incident_id, entity, lineage, severity, kind, started_at, last_flag_at, n_flags,
          peak_score, peak_at, channel, provisional
        FROM tsad.v_incident WHERE dataset = %(dataset)s""",
    "gate": """
        SELECT stage, rule, value, low, high, champion_value, passed FROM tsad.v_model_decision
        WHERE dataset = %(dataset)s AND rule NOT IN ('latency_ms', 'size_bytes', 'explained_share',
          'point_share', 'contextual_share', 'collective_share', 'ramp_share', 'decoupled_share',
          'weekday_share', 'delay_s', 'not_worse')""",
    "statuses": """
        SELECT entity, hour_at, status, coverage FROM tsad.v_status WHERE dataset = %(dataset)s""",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--base", default=BASE)
    asked = parser.parse_args()
    days, n_hours = (3, 12) if asked.small else (30, 48)
    detectors = ["event_head"] if asked.small else list(DETECTORS)
    began = time.perf_counter()
    with (
        tempfile.TemporaryDirectory(prefix="tsad-rows-") as folder,
        checkout_of(asked.base, Path(folder)) as base,
        builds(Path(folder), {f"at {asked.base}": base, "here": project_folder()}) as both,
    ):
        write_files(Path(folder) / "datasets", detectors, days)
        for build in both:
            seconds = lived(build, detectors, days, n_hours)
            print(f"{build.name}: {seconds:.0f} CPU-s", flush=True)
        n_different = compared(both, detectors)
    print(f"{time.perf_counter() - began:.0f} s")
    sys.exit(1 if n_different else 0)


def write_files(folder: Path, detectors: list[str], days: int) -> None:
    """A dataset file per detector, with its name."""
    folder.mkdir()
    for name in detectors:
        threshold = THRESHOLDS.get(name, "threshold: {kind: evt}")
        of = {"name": name, "detector": DETECTORS[name], "threshold": threshold}
        text = FILE.format(**of, days=days)
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def lived(build: Build, datasets: list[str], days: int, n_hours: int) -> float:
    """CPU-seconds of filling the plant, training each detector and scoring the last hours."""
    end_at = START_AT + timedelta(days=days + 2)
    split_at = end_at - n_hours * HOUR
    seconds = build.run("migrate")
    plant = build.environment["AIRFLOW_CONN_TSAD_DEMO"]
    seconds += build.run("simulate", "server_room", "--days", str(days + 2), "--uri", plant)
    split, end = (f"{at:%Y-%m-%dT%H:%MZ}" for at in (split_at, end_at))
    for dataset in datasets:
        seconds += build.run("retrain", dataset, "--end", split)
        seconds += build.run("score", dataset, "--from", split, "--to", end)
    return seconds


def compared(both: list[Build], datasets: list[str]) -> int:
    """How many rows differ, after printing the table of what was compared."""
    n_different = n_found = 0
    print(f"{'dataset':18} {'rows of':14} {'compared':>9} {'different':>9}")
    for dataset in datasets:
        for what, statement in ROWS.items():
            before, after = (rows_of(build.warehouse_uri, statement, dataset) for build in both)
            # A row may be there twice.
            lost, new = before - after, after - before
            n = max(lost.total(), new.total())
            n_different += n
            print(f"{dataset:18} {what:14} {after.total():>9,} {n:>9,}")
            for build, rows in zip(both, (lost, new), strict=True):
                for row in sorted(rows)[:2]:
                    print(f"    only {build.name}: {row[:300]}")
            if what in ("scores", "gate") and not after:
                sys.exit(f"Expected {what} of {dataset}. Received: none; did its model pass?")
            n_found += after.total() if what == "incidents" else 0
    if not n_found:
        sys.exit("Expected an incident, so that rows of incidents are compared. Received: none.")
    return n_different


def rows_of(uri: str, statement: str, dataset: str) -> Counter[str]:
    """Rows as text, with every digit of each number, and how often each is there."""
    connection = connect(uri)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, {"dataset": dataset})
            return Counter(repr(row) for row in cursor.fetchall())
    finally:
        connection.close()


if __name__ == "__main__":
    main()
