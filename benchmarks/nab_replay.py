"""Months of a real sensor as time would have passed: retrained again and again, a day in the
shadow, then champion.

A file of NAB goes into a source table; `tsad history`'s replay trains challengers on the days
before, compares each with the champion for a day, and scores each hour with the champion of that
time (lineage `replay`). The last hours are scored twice, in bulk and one by one through the hourly
DAG, and the two must leave the same rows. What it finds is held against NAB's label windows, which
the pipeline never sees. `ambient`: ten months of an office by the hour, retrained each Monday on 30
days. The others: two or three weeks of servers, retrained every two days on four.

Usage: TSAD_BENCH_DATA=<folder that holds nab/> python benchmarks/nab_replay.py [SERIES ...]
[--small] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from devstack import local, postgres
from devstack.environment import DATABASE_URI, MIGRATE_URI
from devstack.headless import headless
from devstack.stack import stack_environment
from tsad_tasks.base.interval import HOUR
from tsad_tasks.base.places import postgres_folder, project_folder
from tsad_tasks.cli.scoring import INCIDENTS
from tsad_tasks.config import DatasetConfig, config_of
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.ingest.sources.postgres_tables.load_table import LoadOptions, load_table
from tsad_tasks.pipeline.replay import Replay
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.score import ScoreSummary, score_interval
from tsad_tasks.storage.artifacts import artifacts_root
from tsad_tasks.storage.database import connect
from tsad_tasks.storage.store import Store

LINEAGE = "replay"
TWIN = "hourly_twin"
DAY = timedelta(days=1)

ROWS = {
    "readings": "SELECT entity_id, hour_at, checksum, values FROM tsad.reading_block ORDER BY 1, 2",
    "scores": """
        SELECT entity_id, hour_at, model_id, errors, thresholds, scores, reasons, channel_errors,
          status, coverage, n_needed, n_seen
        FROM tsad.score_block WHERE superseded_at = 'infinity' AND thresholds IS NOT NULL
        ORDER BY 1, 2, 3""",
    "statuses": """
        SELECT entity, hour_at, status, coverage, n_needed, n_seen, model_id
        FROM tsad.v_status ORDER BY 1, 2, 7""",
    "anomalies": """
        SELECT entity, at, kind, severity, score, error, threshold, channel, share, actual,
          expected, model_id
        FROM tsad.v_anomaly ORDER BY 1, 2, 3""",
    "attributions": """
        SELECT entity, at, channel, share, actual, expected, spread
        FROM tsad.v_attribution ORDER BY 1, 2, 3""",
    "incidents": """
        SELECT incident_id, severity, kind, state, started_at, last_flag_at, n_flags, peak_score,
          peak_at, sentence
        FROM tsad.v_incident ORDER BY 1""",
}


@dataclass(frozen=True)
class Series:
    """A file, its dataset, how much of it is replayed, and how many of its last hours go through
    the DAG.

    Attributes
    ----------
    first_at : first training; the schedule's next ones follow `retrain_every`
    """

    file: str
    dataset: str
    first_at: datetime
    end_at: datetime
    n_hours: int
    retrain_every: timedelta

    @property
    def split_at(self) -> datetime:
        return self.end_at - self.n_hours * HOUR


def _server(file: str, start: str, days: int) -> Series:
    start_at = datetime.fromisoformat(f"2014-{start}Z")
    return Series(file, "server", start_at + 4 * DAY, start_at + days * DAY, 24, 2 * DAY)


# Mondays at 3, as the schedule of retrainings says; the first one of the fifth week that has 30
# days before it.
_AMBIENT = Series(
    "realKnownCause/ambient_temperature_system_failure.csv",
    "ambient",
    datetime(2013, 8, 5, 3, tzinfo=UTC),
    datetime(2014, 5, 28, 16, tzinfo=UTC),
    72,
    7 * DAY,
)
SERIES = {
    "ambient": _AMBIENT,
    "latency": _server("realKnownCause/ec2_request_latency_system_failure.csv", "03-07T04:00", 14),
    "rogue_agent": _server("realKnownCause/rogue_agent_key_updown.csv", "07-06T21:00", 18),
    "autoscaling": _server("realAWSCloudwatch/grok_asg_anomaly.csv", "01-16T00:00", 16),
    "database": _server("realAWSCloudwatch/rds_cpu_utilization_cc0c53.csv", "02-14T15:00", 14),
    "cpu": _server("realAWSCloudwatch/ec2_cpu_utilization_ac20cd.csv", "04-02T15:00", 14),
}
SMALL = {
    "ambient": replace(
        _AMBIENT, end_at=datetime(2013, 8, 22, tzinfo=UTC), n_hours=3, retrain_every=14 * DAY
    )
}


@dataclass
class Story:
    """What happened, and how long it took by part."""

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
    chosen = {name: (SMALL if arguments.small else SERIES)[name] for name in arguments.series}
    paths = [_path(series.file) for series in chosen.values()]
    if None in paths:
        return 0
    n_different = 0
    for (name, series), path in zip(chosen.items(), paths, strict=True):
        assert path is not None
        print(f"\n{name}: {series.file}", flush=True)
        n_different += _in_home(series, path, arguments.keep and Path(arguments.keep) / name)
    return 1 if n_different else 0


def _in_home(series: Series, path: Path, kept: Path | None) -> int:
    """How many kinds of rows differ between bulk and DAG, in a home of its own."""
    home = kept or Path(tempfile.mkdtemp(prefix="tsad-nab-"))
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o711)
    before = dict(os.environ)
    os.environ |= {
        "TSAD_HOME": str(home),
        "TSAD_DATASETS": str(project_folder() / "docs" / "guides" / "nab"),
    }
    try:
        return _replay_and_judge(series, path)
    finally:
        if kept:
            postgres.stop(postgres_folder())
        else:
            _remove(home)
        # The next one has another server.
        os.environ.clear()
        os.environ.update(before)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "series", nargs="*", metavar="SERIES", help=f"of {', '.join(SERIES)}; default: all"
    )
    parser.add_argument(
        "--small",
        action="store_true",
        help="one of them, for two weeks and a promotion, with a few hours by DAG",
    )
    parser.add_argument(
        "--keep", metavar="FOLDER", help="leave each one's TSAD_HOME in a folder of this folder"
    )
    arguments = parser.parse_args()
    known = SMALL if arguments.small else SERIES
    arguments.series = arguments.series or [*known]
    if unknown := [name for name in arguments.series if name not in known]:
        parser.error(f"Expected series of {', '.join(known)}. Received: {unknown[0]}.")
    return arguments


def _path(file: str) -> Path | None:
    folder = os.environ.get("TSAD_BENCH_DATA")
    if not folder:
        print(
            "nab_replay: not run. TSAD_BENCH_DATA is not set; it names the folder that holds nab/ "
            "(numenta/NAB)."
        )
        return None
    path = Path(folder) / "nab" / "data" / file
    if not path.is_file():
        print(
            f"nab_replay: not run. There is no file {path}; TSAD_BENCH_DATA names the folder that "
            "holds nab/."
        )
        return None
    return path


def _remove(home: Path) -> None:
    postgres.remove(postgres_folder())
    shutil.rmtree(home, ignore_errors=True)


def _replay_and_judge(series: Series, path: Path) -> int:
    began, story = time.perf_counter(), Story()
    config = config_of(series.dataset)
    warehouse = local.warehouse()
    with story.timed("load"):
        options = LoadOptions("timestamp")
        table = f"plant.{series.dataset}"
        loaded = load_table(local.ensure_plant().owner_uri, path, table, options, mode="replace")
    print(f"{table}: {loaded.n_rows:,} rows; replayed until {series.end_at:%Y-%m-%d %H:%M} UTC")
    replay = _weeks(story, config, warehouse.uri, series)
    twin_uri = _twin()
    with story.timed("last hours in bulk"), Store.connect(warehouse.uri) as store:
        _score(story, store, config, series.split_at, series.end_at)
    with story.timed("last hours by DAG"):
        _hours_by_dag(twin_uri, series)
    n_different = _compare(warehouse.uri, twin_uri)
    _print_gates(replay)
    _print_findings(warehouse.uri, series, path)
    parts = ", ".join(f"{part} {seconds:.0f} s" for part, seconds in story.seconds.items())
    print(f"{(time.perf_counter() - began) / 60:.1f} min: {parts}")
    return n_different


def _weeks(story: Story, config: DatasetConfig, uri: str, series: Series) -> Replay:
    """Everything up to the hours that are kept for the DAG."""
    start_at = series.first_at - timedelta(seconds=config.training.range_s)
    with Store.connect(uri) as store, story.timed("replay"):
        ingest_interval(
            store, config, local.source_uris(config), start_at=start_at, end_at=series.split_at
        )
        replay = Replay(
            store, config, start_at, series.split_at, artifacts_root(), series.retrain_every
        )
        replay.say = lambda text: print(f"  {text}", flush=True)
        return replay.run()


def _score(
    story: Story, store: Store, config: DatasetConfig, start_at: datetime, end_at: datetime
) -> None:
    if start_at >= end_at:
        return
    span = {"start_at": start_at, "end_at": end_at}
    ingest_interval(store, config, local.source_uris(config), **span)
    story.scored += score_interval(store, config, lineage=LINEAGE, **span)
    build_incidents(store, config, lineage=LINEAGE, **span)


def _twin() -> str:
    """A copy of the warehouse as it is now: without the last hours."""
    cluster = postgres.ensure_running(postgres_folder())
    cluster.drop_database(TWIN)
    cluster.create_database(TWIN, template=postgres.WAREHOUSE)
    return cluster.uri(TWIN, postgres.PIPELINE)


def _hours_by_dag(twin_uri: str, series: Series) -> None:
    local.offer_plant()
    places = local.places()
    inherited = {**os.environ, DATABASE_URI: twin_uri, MIGRATE_URI: twin_uri}
    environment = stack_environment(places, inherited=inherited, headless=True)
    with headless(places, environment) as airflow:
        dag = f"{series.dataset}.score"
        found = list(
            airflow.runs([dag], series.split_at, series.end_at, HOUR, {"lineage": LINEAGE})
        )
    print(f"{dag}: all of {len(found)} hourly runs succeeded")


def _compare(bulk_uri: str, twin_uri: str) -> int:
    """How many kinds of rows differ between the bulk's warehouse and the DAG's."""
    n_different = 0
    for name, statement in ROWS.items():
        expected, received = _rows(bulk_uri, statement), _rows(twin_uri, statement)
        same = expected == received
        n_different += not same
        print(
            f"  {name:13}{len(expected):7,} rows in bulk, {len(received):7,} by DAG: "
            f"{'same' if same else 'DIFFER'}"
        )
    return n_different


def _rows(uri: str, statement: str) -> list[str]:
    """Rows as text, so that NaN equals NaN."""
    with closing(connect(uri)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return [repr(row) for row in cursor.fetchall()]


def _print_gates(replay: Replay) -> None:
    gates = replay.registered
    failed = [rule for gate in gates for rule in gate.failed_rules]
    counts = ", ".join(f"{rule} {failed.count(rule)}" for rule in sorted(set(failed)))
    n_passed = sum(gate.gate_passed for gate in gates)
    said = f"{len(gates)} trained: {n_passed} passed the gate, {len(gates) - n_passed} failed"
    print(said + (f" ({counts})" if counts else ""))
    print(
        f"{len(replay.promoted)} took over after a shadow; {len(replay.rejected)} left it: "
        f"{replay.rejected}"
    )


def _print_findings(uri: str, series: Series, path: Path) -> None:
    windows = [window for window in _label_windows(path, series.file) if window[0] < series.end_at]
    n_early, windows = len(windows), [window for window in windows if window[1] >= series.first_at]
    if n_early > len(windows):
        print(f"{n_early - len(windows)} label windows are over before the first model")
    with Store.connect(uri) as store, store.transaction():
        incidents = store.rows(
            INCIDENTS,
            dataset=series.dataset,
            lineage=LINEAGE,
            n=1000,
            suppressed=False,
            start_at=series.first_at,
            end_at=series.end_at,
        )
    for start_at, end_at in windows:
        inside = [one for one in incidents if _touches(one, start_at, end_at)]
        first = min((max(one["started_at"], start_at) for one in inside), default=None)
        found = (
            f"{len(inside)} incidents, the first on {first:%Y-%m-%d %H:%M}" if first else "MISSED"
        )
        print(f"label window {start_at:%Y-%m-%d %H:%M} to {end_at:%Y-%m-%d %H:%M}: {found}")
    false = [one for one in incidents if not any(_touches(one, *window) for window in windows)]
    n_hit = sum(any(_touches(one, *window) for one in incidents) for window in windows)
    n_days = (series.end_at - series.first_at).days
    print(
        f"{n_hit} of {len(windows)} label windows hit; {len(false)} false incidents in {n_days} "
        "days:"
    )
    for one in sorted(false, key=lambda one: one["started_at"]):
        print(
            f"  {one['started_at']:%Y-%m-%d %H:%M}  {one['severity']:6}  {one['n_flags']:3} flags  "
            f"{one['sentence']}"
        )
    print(f"{len(incidents)} incidents")


def _touches(incident: dict[str, Any], start_at: datetime, end_at: datetime) -> bool:
    return bool(incident["started_at"] <= end_at and incident["last_flag_at"] >= start_at)


def _label_windows(path: Path, file: str) -> list[tuple[datetime, datetime]]:
    labels = json.loads((path.parents[2] / "labels" / "combined_windows.json").read_text())
    return [
        tuple(datetime.fromisoformat(edge).replace(tzinfo=UTC) for edge in pair)  # type: ignore[misc]
        for pair in labels[file]
    ]


if __name__ == "__main__":
    sys.exit(main())
