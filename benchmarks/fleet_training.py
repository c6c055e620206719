"""What a weekly training of a large fleet takes: `fleet_training.py [--small] [--machines N]
[--detector NAME]`.

1,500 simulated machine tools of 17 channels, a reading every five minutes for 30 days, with
event_head. Their readings are written as an ingest leaves them; then each task of the retraining
runs in a process of its own, as Airflow runs it. Said are seconds, CPU-seconds and the peak of
memory by task. Fails where training, calibration and gate together take more than 20 minutes of
CPU. `--small`: 24 machines and a week, which promises nothing but that it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lab.hours_read import note_hours
from simulators.simulate_fleet import FLEET_CHANNELS, machine_fleet

from devstack import postgres
from tsad_tasks.base.interval import HOUR
from tsad_tasks.config import DatasetConfig, holidays_of
from tsad_tasks.storage.datasets import ensure_entities, ensure_layout, upsert_dataset
from tsad_tasks.storage.migrate import migrate
from tsad_tasks.storage.readings import write_blocks
from tsad_tasks.storage.store import Store

RETRAIN = Path(__file__).with_name("retrain.py")
TASKS = ("exclusions", "features", "windows", "train", "calibrate", "gate", "register")
JUDGED = ("train", "calibrate", "gate")
END_AT = datetime(2026, 4, 20, tzinfo=UTC)
STEP_S, MOST_S = 300, 1200.0
MACHINES_TOGETHER = 50


def config_of(detector: str, days: int) -> DatasetConfig:
    """The fleet's dataset file: its source, when it works, and the detector."""
    source: dict[str, Any] = {
        "connection": "fleet",
        "tables": "plant.reading",
        "time": {"column": "at"},
    }
    source |= {"step": STEP_S, "entity": {"column": "machine"}}
    source |= {"channels": {name: {} for name in FLEET_CHANNELS}}
    return DatasetConfig.model_validate(
        {
            "dataset": "fleet",
            "source": source,
            "features": {"holidays": "DE"},
            "running_when": "spindle_speed > 100",
            "startup_grace": "30min",
            "detector": {"name": detector},
            "training": {"range": f"{days}d"},
        }
    )


def fill(store: Store, config: DatasetConfig, n_machines: int, days: int) -> None:
    """Readings of the fleet, some machines at a time, and the ledger of their hours."""
    start_at, n_hours = END_AT - timedelta(days=days), 24 * days
    hours = [start_at + n * HOUR for n in range(n_hours)]
    names = [f"machine_{number:04d}" for number in range(1, n_machines + 1)]
    with store.transaction():
        dataset_id = upsert_dataset(store, config).dataset_id
        keys = ensure_entities(store, dataset_id, names)
        layout = ensure_layout(store, dataset_id, config)
        for first in range(0, n_machines, MACHINES_TOGETHER):
            chosen = names[first : first + MACHINES_TOGETHER]
            plant = machine_fleet(
                machines=len(chosen),
                days=days,
                start_at=start_at,
                step_s=STEP_S,
                seed=first,
                holidays=holidays_of("DE")[0],
            )
            for name, values in zip(chosen, plant.values, strict=True):
                blocks = values.reshape(n_hours, 3600 // STEP_S, -1)
                write_blocks(store, layout, [keys[name]] * n_hours, hours, blocks)
        n_rows = n_machines * 3600 // STEP_S
        note_hours(store, dataset_id, [keys[name] for name in names], hours, n_rows)


def cost_of(task: str, uri: str, folder: Path, config: DatasetConfig) -> tuple[float, float, float]:
    """Seconds, CPU-seconds and peak MB of a task in a process of its own."""
    given = [task, uri, str(folder), config.model_dump_json(exclude_unset=True, by_alias=True)]
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(RETRAIN), "--role", "task", *given],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{task}:\n{done.stderr[-3000:]}")
    cost = json.loads(done.stdout.splitlines()[-1])
    return time.perf_counter() - began, cost["cpu_s"], cost["peak_mb"]


def main() -> int:
    """Fills, trains, prints a line per task; 1 where it takes too long."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="24 machines and a week, for CI")
    parser.add_argument("--machines", type=int, help="in place of 1,500")
    parser.add_argument("--detector", default="event_head", help="in place of event_head")
    asked = parser.parse_args()
    n_machines, days = asked.machines or (24 if asked.small else 1500), 7 if asked.small else 30
    config, judged_s = config_of(asked.detector, days), 0.0
    with tempfile.TemporaryDirectory(prefix="tsad-fleet-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        cluster = postgres.ensure_running(folder / "postgres", durable=False)
        try:
            uri = cluster.create_database("fleet", owner=postgres.OWNER)
            migrate(uri)
            began = time.perf_counter()
            with Store.connect(uri) as store:
                fill(store, config, n_machines, days)
            took = time.perf_counter() - began
            print(
                f"{n_machines:,} machines of {len(FLEET_CHANNELS)} channels, {days} days, "
                f"{asked.detector}; written in {took:.0f} s\n"
                f"{'task':12}{'s':>8}{'CPU-s':>8}{'MB':>8}",
                flush=True,
            )
            for task in TASKS:
                seconds, cpu_s, peak_mb = cost_of(task, uri, folder / "run", config)
                judged_s += cpu_s if task in JUDGED else 0.0
                print(f"{task:12}{seconds:8.1f}{cpu_s:8.1f}{peak_mb:8.0f}", flush=True)
        finally:
            postgres.remove(folder / "postgres")
    print(f"{' + '.join(JUDGED)}: {judged_s:.0f} CPU-s, {MOST_S:.0f} allowed")
    return int(judged_s > MOST_S and not asked.small)


if __name__ == "__main__":
    sys.exit(main())
