"""Every registered detector through the real DAGs: retrained, gated, and scoring hours, from its
own YAML.

The sections are those of docs/guides/detectors/<name>.md, on simulated hosts. The promise: all runs
are green, every hour that is scored has scores, and the table shows what each found of the injected
anomalies and what it cost.

Usage: python benchmarks/every_detector.py [--small] [--only NAME ...] [--hours 24]
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from lab.gates import OPEN

from devstack.environment import Places
from devstack.headless import Outcome, headless
from devstack.postgres import WAREHOUSE, Cluster, ensure_running, remove
from devstack.simulate import CHANNELS, SimulatedPlant, server_room
from devstack.stack import stack_environment
from tsad_tasks.base.errors import TsadError
from tsad_tasks.base.interval import unix_s
from tsad_tasks.detectors.registry import DETECTORS
from tsad_tasks.storage import copy_binary as binary
from tsad_tasks.storage.database import connect
from tsad_tasks.storage.migrate import migrate

PROJECT = Path(__file__).resolve().parents[1]
GUIDES = PROJECT / "docs" / "guides" / "detectors"
START_AT = datetime(2024, 5, 6, tzinfo=UTC)
N_DAYS = 16
STEP_S = 300
SMALL = ["dense_autoencoder", "event_head", "isolation_forest"]
# What the simulated room does to its hosts in the last 48 hours is what there is to be found.
TRAINED_AT = START_AT + timedelta(days=N_DAYS - 2)
BASE: dict[str, Any] = {
    "source": {
        "connection": "plant",
        "tables": "server_metrics",
        "time": {"column": "at"},
        "entity": {"column": "host"},
        "step": "5min",
        "late_rows_within": "1h",
        "label": "is_fault",
        "channels": {name: {} for name in CHANNELS},
    },
    "training": {"schedule": "0 0 * * 1", "range": "13d", "max_windows": 8000, "epochs": 12},
    "gate": OPEN | {"min_known_share": 0, "n_injected": 20},
}
_RESULT = """
SELECT
  (SELECT max(n_parameters) FROM tsad.v_model WHERE dataset = %(dataset)s),
  (SELECT sum(seconds) FROM tsad.run_status
   WHERE run_id LIKE %(dataset)s || '.retrain/%%' AND step = 'train'),
  (SELECT sum(seconds) FROM tsad.run_status
   WHERE run_id LIKE %(dataset)s || '.score/%%' AND step = 'score'),
  (SELECT count(*) FROM tsad.v_status
   WHERE dataset = %(dataset)s AND status IN ('scored', 'partial') AND n_seen > 0),
  (SELECT count(*) FROM tsad.v_status WHERE dataset = %(dataset)s)
"""
_FAILED = (
    "SELECT rule, value, limit_value, note FROM tsad.v_model_decision "
    "WHERE dataset = %(dataset)s AND NOT passed"
)
_FLAGS = (
    "SELECT entity, extract(epoch FROM at)::bigint FROM tsad.v_anomaly WHERE dataset = %(dataset)s"
)


def main() -> None:
    """Fill a plant, run the DAGs of every detector, print what came of it."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="tsad-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        cluster = ensure_running(folder / "postgres", durable=False)
        try:
            migrate(cluster.uri(WAREHOUSE), writer="tsad_pipeline")
            plant = cluster.create_database("plant")
            room = server_room(days=N_DAYS, hosts=2, start_at=START_AT, seed=7, step_s=STEP_S)
            _fill(plant, room)
            _write_datasets(folder, arguments)
            _run_dags(folder, plant, arguments)
            _show(cluster, room, arguments)
        finally:
            remove(folder / "postgres")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--small",
        action="store_true",
        help=f"{', '.join(SMALL)}, an hour, little training: for CI",
    )
    parser.add_argument(
        "--only", nargs="+", choices=sorted(DETECTORS), metavar="NAME", help="default: all of them"
    )
    parser.add_argument(
        "--hours", type=int, default=48, help="hours to score, at most 48; default: %(default)s"
    )
    arguments = parser.parse_args()
    arguments.only = arguments.only or (SMALL if arguments.small else sorted(DETECTORS))
    if arguments.small:
        arguments.hours = 1
    return arguments


def _fill(uri: str, room: SimulatedPlant) -> None:
    n_hosts, n_steps, n_channels = room.values.shape
    faults = np.zeros((n_hosts, n_steps), bool)
    for anomaly in room.anomalies:
        inside = (room.times_s >= unix_s(anomaly.start_at)) & (
            room.times_s < unix_s(anomaly.end_at)
        )
        faults[room.entities.index(anomaly.entity), inside] = True
    _add_known_faults(room.values, faults)
    values = room.values.transpose(1, 0, 2).reshape(-1, n_channels)
    columns = [
        binary.timestamptz(np.repeat(room.times_s, n_hosts)),
        binary.text(list(room.entities) * n_steps),
    ]
    columns += [
        binary.number(faults.T.ravel(), "i1"),
        *(binary.nullable(column) for column in values.T),
    ]
    names = ", ".join(f"{name} float8" for name in CHANNELS)
    with closing(connect(uri)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE server_metrics (at timestamptz, host text, is_fault boolean, {names})"
        )
        cursor.copy_expert(
            "COPY server_metrics FROM STDIN (FORMAT binary)", io.BytesIO(binary.encode(columns))
        )
        cursor.execute("CREATE INDEX ON server_metrics (at)")


def _add_known_faults(values: np.ndarray, faults: np.ndarray) -> None:
    """Faults of half an hour, every nine hours of the training range: what a supervised detector
    learns from.
    """
    n_hosts, n_trained = len(values), int((TRAINED_AT - START_AT).total_seconds()) // STEP_S
    spread = values.std(axis=1)
    for number, first in enumerate(range(100, n_trained - 10, 9 * 3600 // STEP_S)):
        host, channel, steps = number % n_hosts, number % values.shape[2], slice(first, first + 6)
        values[host, steps, channel] += (4 if number % 3 else -4) * spread[host, channel]
        faults[host, steps] = True


def _write_datasets(folder: Path, arguments: argparse.Namespace) -> None:
    (folder / "datasets").mkdir()
    for name in arguments.only:
        guide = (GUIDES / f"{name}.md").read_text(encoding="utf-8")
        own = yaml.safe_load(guide.split("```yaml")[1].split("```")[0])
        content: dict[str, Any] = {"dataset": name} | BASE | own
        content["training"] = BASE["training"] | own.get("training", {})
        if arguments.small:
            content["training"] |= {"range": "6d", "max_windows": 1000, "epochs": 2}
            content["gate"] = BASE["gate"] | {"n_injected": 10}
        (folder / "datasets" / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def _run_dags(folder: Path, plant: str, arguments: argparse.Namespace) -> None:
    own = {
        "TSAD_HOME": str(folder),
        "TSAD_DATASETS": str(folder / "datasets"),
        "AIRFLOW_CONN_PLANT": plant,
    }
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TSAD_", "AIRFLOW"))
    } | own
    places = Places.of(PROJECT, folder)
    environment = stack_environment(places, inherited=inherited, headless=True)
    week, hours = timedelta(days=7), arguments.hours * timedelta(hours=1)
    try:
        with headless(places, environment) as airflow:
            _tell(
                airflow.runs(
                    [f"{name}.retrain" for name in arguments.only],
                    TRAINED_AT - week,
                    TRAINED_AT,
                    week,
                )
            )
            scores = [f"{name}.score" for name in arguments.only]
            _tell(airflow.runs(scores, TRAINED_AT, TRAINED_AT + hours, timedelta(hours=1)))
    except TsadError as error:
        print(
            (folder / "logs" / "headless.log").read_text(encoding="utf-8")[-6000:], file=sys.stderr
        )
        sys.exit(str(error))


def _tell(outcomes: Iterable[Outcome]) -> None:
    for one in outcomes:
        print(
            f"  {one['dag_id']:32s} {one['interval_start'][:16]} {one['seconds']:6.1f} s",
            flush=True,
        )


def _show(cluster: Cluster, room: SimulatedPlant, arguments: argparse.Namespace) -> None:
    print(
        f"{'detector':24s} {'parameters':>10s} {'train s':>8s} {'score s':>8s} "
        f"{'hours':>6s} {'found':>6s} {'other flags':>12s}"
    )
    silent = []
    with (
        closing(connect(cluster.uri(WAREHOUSE))) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        for name in arguments.only:
            cursor.execute(_RESULT, {"dataset": name})
            n_parameters, train_s, score_s, n_scored, n_hours = cursor.fetchone() or (None,) * 5
            cursor.execute(_FLAGS, {"dataset": name})
            found, n_to_find, n_others = _found(room, cursor.fetchall(), arguments.hours)
            silent += [name] if n_scored < n_hours or not n_hours else []
            print(
                f"{name:24s} {n_parameters or 0:10,d} {train_s or 0:8.1f} {score_s or 0:8.1f} "
                f"{n_scored:>6d} "
                f"{found:>4d}/{n_to_find} {n_others:12d}"
            )
            cursor.execute(_FAILED, {"dataset": name})
            for row in cursor.fetchall():
                print("  gate failed:", *row)
    if silent:
        sys.exit(
            "Expected every hour to be scored. Received: hours without scores of "
            f"{', '.join(silent)}."
        )


def _found(
    room: SimulatedPlant, flags: list[tuple[Any, ...]], n_hours: int
) -> tuple[int, int, int]:
    """Injected anomalies with a flag in them, how many there are, and flags outside of all of
    them.
    """
    first_s = unix_s(TRAINED_AT)
    spans = [(a.entity, unix_s(a.start_at), unix_s(a.end_at) + 3600) for a in room.anomalies]
    spans = [span for span in spans if first_s <= span[1] < first_s + 3600 * n_hours]
    inside = [
        [one for one in flags if one[0] == entity and start <= one[1] < end]
        for entity, start, end in spans
    ]
    counted = {flag for part in inside for flag in part}
    return sum(bool(part) for part in inside), len(spans), len(set(flags) - counted)


if __name__ == "__main__":
    main()
