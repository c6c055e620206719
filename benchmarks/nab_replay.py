"""Ten months of a real sensor as time would have passed: retrained weekly, scored in bulk, the last 72 hours by DAG.

NAB's ambient_temperature_system_failure goes from its CSV file into a source table; from the fifth week on a
challenger is trained each Monday on the 30 days before (lineage `replay`), and the week after it is scored in bulk
with the champion of that time. The last hours are scored twice, in bulk and one by one through the hourly DAG, and the
two must leave the same rows. What it finds is held against NAB's label windows, which the pipeline never sees.

Usage: TSAD_BENCH_DATA=<folder that holds nab/> python benchmarks/nab_replay.py [--small] [--keep]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from upath import UPath

from tsad_tasks.cli import session
from tsad_tasks.config import DatasetConfig
from tsad_tasks.core.interval import HOUR
from tsad_tasks.errors import BadInput
from tsad_tasks.local import postgres
from tsad_tasks.local.environment import DATABASE_URI, MIGRATE_URI
from tsad_tasks.local.places import postgres_folder, project_folder
from tsad_tasks.local.stack import stack_environment
from tsad_tasks.steps.champions import RegisterSummary
from tsad_tasks.steps.incidents import build_incidents
from tsad_tasks.steps.ingest import ingest_interval
from tsad_tasks.steps.paths import artifacts_root, config_of
from tsad_tasks.steps.retrain import Retraining, retrain
from tsad_tasks.steps.score import ScoreSummary, score_interval
from tsad_tasks.storage.database import connect
from tsad_tasks.storage.load_table import LoadOptions, load_table
from tsad_tasks.storage.store import Store

SERIES = "realKnownCause/ambient_temperature_system_failure.csv"
LINEAGE = "replay"
TWIN = "hourly_twin"
WEEK = timedelta(days=7)
START_AT = datetime(2013, 7, 4, tzinfo=UTC)
END_AT = datetime(2014, 5, 28, 16, tzinfo=UTC)
# Mondays at 3, as the schedule of retrainings says; the first one of the fifth week that has 30 days before it.
FIRST_RETRAIN_AT = datetime(2013, 8, 5, 3, tzinfo=UTC)

ROWS = {
    "readings": "SELECT entity_id, hour_at, checksum, values FROM tsad.reading_block ORDER BY 1, 2",
    "scores": """
        SELECT entity_id, hour_at, model_id, errors, thresholds, scores, reasons, channel_errors, status, coverage,
          n_needed, n_seen
        FROM tsad.score_block WHERE superseded_at = 'infinity' AND thresholds IS NOT NULL ORDER BY 1, 2, 3""",
    "statuses": """
        SELECT entity, hour_at, status, coverage, n_needed, n_seen, model_id FROM tsad.v_status ORDER BY 1, 2, 7""",
    "anomalies": """
        SELECT entity, at, kind, severity, score, error, threshold, channel, share, actual, expected, model_id
        FROM tsad.v_anomaly ORDER BY 1, 2, 3""",
    "attributions": """
        SELECT entity, at, channel, share, actual, expected, spread FROM tsad.v_attribution ORDER BY 1, 2, 3""",
    "incidents": """
        SELECT incident_id, severity, kind, state, started_at, last_flag_at, n_flags, peak_score, peak_at, sentence
        FROM tsad.v_incident ORDER BY 1""",
}


@dataclass(frozen=True)
class Sizes:
    """How much of the series, and how many of its last hours go through the DAG."""

    end_at: datetime
    n_hours: int
    retrain_every: timedelta

    @property
    def split_at(self) -> datetime:
        return self.end_at - self.n_hours * HOUR

    def retrain_times(self) -> list[datetime]:
        """Mondays at which a challenger is trained."""
        n_times = (self.end_at - FIRST_RETRAIN_AT) // self.retrain_every + 1
        return [FIRST_RETRAIN_AT + k * self.retrain_every for k in range(n_times)]


WHOLE = Sizes(END_AT, 72, WEEK)
SMALL = Sizes(datetime(2013, 9, 5, tzinfo=UTC), 6, 2 * WEEK)


@dataclass
class Replay:
    """What happened, and how long it took by part."""

    gates: list[RegisterSummary] = field(default_factory=list)
    n_untrained: int = 0
    scored: ScoreSummary = field(default_factory=ScoreSummary)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Adds what the block takes to a part."""
        began = time.perf_counter()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - began


def main() -> int:
    """Replay, compare, print."""
    arguments = _arguments()
    series = _series_path()
    if series is None:
        return 0
    home = Path(arguments.keep or tempfile.mkdtemp(prefix="tsad-nab-"))
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o711)
    os.environ |= {"TSAD_HOME": str(home), "TSAD_DATASETS": str(project_folder() / "docs" / "guides" / "nab")}
    try:
        return _replay_and_judge(series, SMALL if arguments.small else WHOLE)
    finally:
        if arguments.keep:
            postgres.stop(postgres_folder())
        else:
            _remove(home)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="nine weeks, three retrainings, six hours by DAG")
    parser.add_argument("--keep", metavar="FOLDER", help="use this TSAD_HOME and leave it")
    return parser.parse_args()


def _series_path() -> Path | None:
    folder = os.environ.get("TSAD_BENCH_DATA")
    if not folder:
        print("nab_replay: not run. TSAD_BENCH_DATA is not set; it names the folder that holds nab/ (numenta/NAB).")
        return None
    path = Path(folder) / "nab" / "data" / SERIES
    if not path.is_file():
        print(f"nab_replay: not run. There is no file {path}; TSAD_BENCH_DATA names the folder that holds nab/.")
        return None
    return path


def _remove(home: Path) -> None:
    postgres.remove(postgres_folder())
    shutil.rmtree(home, ignore_errors=True)


def _replay_and_judge(series: Path, sizes: Sizes) -> int:
    began, replay = time.perf_counter(), Replay()
    config = config_of("ambient")
    warehouse = session.warehouse()
    with replay.timed("load"):
        options = LoadOptions("timestamp")
        loaded = load_table(session.ensure_plant().owner_uri, series, "plant.ambient", options, mode="replace")
    print(f"plant.ambient: {loaded.n_rows:,} rows; replayed until {sizes.end_at:%Y-%m-%d %H:%M} UTC")
    _weeks(replay, config, warehouse.uri, sizes)
    twin_uri = _twin()
    with replay.timed("last hours in bulk"), Store.connect(warehouse.uri) as store:
        _score(replay, store, config, sizes.split_at, sizes.end_at)
    with replay.timed("last hours by DAG"):
        _hours_by_dag(twin_uri, sizes)
    n_different = _compare(warehouse.uri, twin_uri)
    _print_gates(replay)
    _print_findings(warehouse.uri, series, replay, sizes)
    parts = ", ".join(f"{part} {seconds:.0f} s" for part, seconds in replay.seconds.items())
    print(f"{(time.perf_counter() - began) / 60:.1f} min: {parts}")
    return 1 if n_different else 0


def _weeks(replay: Replay, config: DatasetConfig, uri: str, sizes: Sizes) -> None:
    """Retrains each Monday and scores the week after it, up to the hours that are kept for the DAG."""
    times = sizes.retrain_times()
    with Store.connect(uri) as store:
        for at in times:
            with replay.timed("retrain"):
                said = _retrained(replay, store, config, at)
            with replay.timed("score in bulk"):
                _score(replay, store, config, at, min(at + sizes.retrain_every, sizes.split_at))
            print(f"  {at:%Y-%m-%d} {said}", flush=True)


def _retrained(replay: Replay, store: Store, config: DatasetConfig, at: datetime) -> str:
    """Retrains; after a gap there may be too little to learn from, and the champion stays."""
    try:
        replay.gates += _retrain(store, config, at)
    except BadInput as error:
        replay.n_untrained += 1
        return f"not trained: {error}"
    return _said(store, replay.gates[-1])


def _said(store: Store, gate: RegisterSummary) -> str:
    outcome = "passed" if gate.gate_passed else f"failed: {', '.join(gate.failed_rules)}"
    with store.transaction():
        rows = store.select_gate_decisions(gate.model_id)
    numbers = ", ".join(f"{row.rule} {row.value:.3f}" for row in rows if row.value is not None)
    return f"model {gate.version} {outcome} ({numbers})"


def _retrain(store: Store, config: DatasetConfig, end_at: datetime) -> list[RegisterSummary]:
    start_at = end_at - timedelta(seconds=config.training.range_s)
    ingest_interval(store, config, session.source_uri(config), start_at=start_at, end_at=end_at)
    with tempfile.TemporaryDirectory(prefix="tsad-nab-run-") as folder:
        return retrain(Retraining(store, config, end_at, UPath(folder), artifacts_root(), lineage=LINEAGE))


def _score(replay: Replay, store: Store, config: DatasetConfig, start_at: datetime, end_at: datetime) -> None:
    if start_at >= end_at:
        return
    span = {"start_at": start_at, "end_at": end_at}
    ingest_interval(store, config, session.source_uri(config), **span)
    replay.scored += score_interval(store, config, lineage=LINEAGE, **span)
    build_incidents(store, config, lineage=LINEAGE, **span)


def _twin() -> str:
    """A copy of the warehouse as it is now: without the last hours."""
    cluster = postgres.ensure_running(postgres_folder())
    cluster.drop_database(TWIN)
    cluster.create_database(TWIN, template=postgres.WAREHOUSE)
    return cluster.uri(TWIN, postgres.PIPELINE)


def _hours_by_dag(twin_uri: str, sizes: Sizes) -> None:
    session.offer_plant()
    places = session.places()
    inherited = {**os.environ, DATABASE_URI: twin_uri, MIGRATE_URI: twin_uri}
    command = [sys.executable, str(places.plugins / "tsad_headless.py"), "--dag", "ambient.score"]
    command += ["--start", sizes.split_at.isoformat(), "--end", sizes.end_at.isoformat()]
    command += ["--conf", json.dumps({"lineage": LINEAGE})]
    environment = stack_environment(places, inherited=inherited, headless=True)
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    n_good = sum(outcome["state"] == "success" for outcome in outcomes)
    print(f"ambient.score: {n_good} of {sizes.n_hours} hourly runs succeeded")
    if done.returncode:
        raise SystemExit(f"Expected all runs to succeed. See {places.home / 'logs' / 'headless.log'}.")


def _compare(bulk_uri: str, twin_uri: str) -> int:
    """How many kinds of rows differ between the bulk's warehouse and the DAG's."""
    n_different = 0
    for name, statement in ROWS.items():
        expected, received = _rows(bulk_uri, statement), _rows(twin_uri, statement)
        same = expected == received
        n_different += not same
        print(f"  {name:13}{len(expected):7,} rows in bulk, {len(received):7,} by DAG: {'same' if same else 'DIFFER'}")
    return n_different


def _rows(uri: str, statement: str) -> list[str]:
    """Rows as text, so that NaN equals NaN."""
    with closing(connect(uri)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return [repr(row) for row in cursor.fetchall()]


def _print_gates(replay: Replay) -> None:
    gates = replay.gates
    failed = [rule for gate in gates for rule in gate.failed_rules]
    counts = ", ".join(f"{rule} {failed.count(rule)}" for rule in sorted(set(failed)))
    n_passed = sum(gate.gate_passed for gate in gates)
    said = f"{len(gates)} retrainings: {n_passed} passed the gate, {len(gates) - n_passed} failed"
    print(said + (f" ({counts})" if counts else "") + f"; {replay.n_untrained} more had too few readings after a gap")


def _print_findings(uri: str, series: Path, replay: Replay, sizes: Sizes) -> None:
    windows = [window for window in _label_windows(series) if window[0] < sizes.end_at]
    with Store.connect(uri) as store, store.transaction():
        params = {"dataset": "ambient", "lineage": LINEAGE, "start_at": START_AT, "end_at": END_AT, "n": 1000}
        incidents = store.records("select_incident_list", params)
    for start_at, end_at in windows:
        inside = [one for one in incidents if _touches(one, start_at, end_at)]
        first = min((max(one["started_at"], start_at) for one in inside), default=None)
        found = f"{len(inside)} incidents, the first on {first:%Y-%m-%d %H:%M}" if first else "MISSED"
        print(f"label window {start_at:%Y-%m-%d %H:%M} to {end_at:%Y-%m-%d %H:%M}: {found}")
    false = [one for one in incidents if not any(_touches(one, *window) for window in windows)]
    n_hit = sum(any(_touches(one, *window) for one in incidents) for window in windows)
    n_days = (sizes.end_at - FIRST_RETRAIN_AT).days
    print(f"{n_hit} of {len(windows)} label windows hit; {len(false)} false incidents in {n_days} days:")
    for one in sorted(false, key=lambda one: one["started_at"]):
        print(f"  {one['started_at']:%Y-%m-%d %H:%M}  {one['severity']:6}  {one['n_flags']:3} flags  {one['sentence']}")
    print(f"{replay.scored.n_hours:,} hours scored, {replay.scored.n_flags:,} flags, {len(incidents)} incidents")


def _touches(incident: dict[str, Any], start_at: datetime, end_at: datetime) -> bool:
    return bool(incident["started_at"] <= end_at and incident["last_flag_at"] >= start_at)


def _label_windows(series: Path) -> list[tuple[datetime, datetime]]:
    labels = json.loads((series.parents[2] / "labels" / "combined_windows.json").read_text())
    return [tuple(datetime.fromisoformat(edge).replace(tzinfo=UTC) for edge in pair) for pair in labels[SERIES]]  # type: ignore[misc]


if __name__ == "__main__":
    sys.exit(main())
