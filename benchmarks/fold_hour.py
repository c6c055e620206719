"""CPU-seconds of an hour of a fleet with a folding detector, of this build and of another checkout:
`python benchmarks/fold_hour.py [--small] [--against PATH] [--machines 300] [--hours 6]`.

Machines with four channels, a reading every minute, and an `event_head` that has learned from four
days. Both builds have the same readings and train for themselves; then each scores the same hours,
in turn and every hour in a process of its own, as Airflow runs them: it reads each machine's state,
goes on with it, and writes scores and states. CPU is that of the process, imports included; the
median of the ratios is what counts, since other work on the machine hits both.

Promised at full size: a third of the CPU of 4688f57, which kept a state as an archive of 55 files,
and as many windows scored. The small size promises that both score all that is there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import retrain
from retrain import BEFORE, END_AT, PROJECT, checkout

PROMISED = 1 / 3
TRAIN_DAYS, STEP_S = 4, 60
CHANNELS = ("temperature", "load", "current", "speed")
FIELDS: dict[str, Any] = {
    "dataset": "fleet",
    "source": {
        "connection": "fleet",
        "tables": "plant.reading",
        "time": {"column": "at"},
        "entity": {"column": "machine"},
        "channels": {name: {} for name in CHANNELS},
    },
    "detector": {"name": "event_head"},
    "training": {"range": f"{TRAIN_DAYS}d"},
    "gate": {
        "min_point_share": 0,
        "min_contextual_share": 0,
        "min_collective_share": 0,
        "max_false_alarm_share": 1,
    },
}
HOUR = timedelta(hours=1)


# What the child processes do. They see the build that is measured, and import nothing before.


def trained(uri: str, folder: str, fields: str) -> None:
    """A champion of the build on the path, by the tasks of a retraining."""
    from upath import UPath

    from tsad_tasks.config import DatasetConfig
    from tsad_tasks.storage.store import Store

    is_old = retrain.is_old()
    tasks = retrain.OLD_TASKS if is_old else retrain.TASKS
    home = "tsad_tasks.steps.retrain" if is_old else "tsad_tasks.training.retrain"
    retraining: Any = import_module(home).Retraining
    config = DatasetConfig.model_validate_json(fields)
    with Store.connect(uri) as store:
        run = retraining(store, config, END_AT, UPath(folder) / "run", UPath(folder))
        for module, name in tasks.values():
            getattr(import_module(module), name)(run)


def scored(uri: str, fields: str, number: str) -> None:
    """Scores one hour and prints its windows and what the process has used until then."""
    import time

    from tsad_tasks.config import DatasetConfig
    from tsad_tasks.storage.store import Store

    room = "steps" if retrain.is_old() else "scoring"
    score: Any = import_module(f"tsad_tasks.{room}.score")
    config, start_at = DatasetConfig.model_validate_json(fields), END_AT + int(number) * HOUR
    with Store.connect(uri) as store:
        summary = score.score_interval(store, config, start_at=start_at, end_at=start_at + HOUR)
    print(json.dumps({"cpu_s": time.process_time(), "n_windows": summary.n_windows}))


ROLES: dict[str, Any] = {
    "fill": retrain.fill,
    "migrate": retrain.migrated,
    "train": trained,
    "hour": scored,
}


# Measuring


def in_build(build: Path, role: str, *given: str) -> str:
    """What a process prints that has a build on its path and plays a role."""
    environment = os.environ | {"PYTHONPATH": str(build), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).resolve()), "--role", role, *given]
    done = subprocess.run(
        command, cwd=build, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{build} {role}:\n{done.stderr[-3000:]}")
    return done.stdout


def save_readings(path: str, n_machines: int, n_hours: int) -> None:
    """Waves of a day and an hour with noise, at another level for each machine and channel."""
    import numpy as np

    random = np.random.default_rng(7)
    steps = np.arange((TRAIN_DAYS * 24 + n_hours) * 3600 // STEP_S)[:, None]
    level, daily, hourly = random.uniform(5, 80, (3, n_machines, 1, len(CHANNELS)))
    values = level + daily * np.sin(2 * np.pi * steps * STEP_S / 86400)
    values += hourly / 10 * np.sin(2 * np.pi * steps * STEP_S / 3600)
    values += random.normal(0, 0.5, values.shape)
    start_s = int((END_AT - timedelta(days=TRAIN_DAYS)).timestamp())
    names = np.array([f"machine-{number:04d}" for number in range(n_machines)])
    np.savez(path, names=names, start_s=start_s, values=values)


def measure(
    cluster: Any, builds: Sequence[Path], n_machines: int, n_hours: int
) -> list[list[dict[str, float]]]:
    """What each hour took in each build, but for the first one, which makes the states."""
    fields, uris = json.dumps(FIELDS), list[str]()
    found: list[list[dict[str, float]]] = [[] for _ in builds]
    with tempfile.TemporaryDirectory(prefix="tsad-run-") as name:
        save_readings(f"{name}/readings.npz", n_machines, n_hours + 1)
        # The older build writes what the newer one then upgrades.
        filled = cluster.create_database("filled")
        in_build(builds[0], "fill", filled, f"{name}/readings.npz", fields)
        for number, build in enumerate(builds):
            uris.append(cluster.create_database(f"fleet_{number}", template="filled"))
            if number:
                in_build(build, "migrate", uris[-1])
            in_build(build, "train", uris[-1], f"{name}/{number}", fields)
        for hour in range(n_hours + 1):
            for number, build in enumerate(builds):
                said = json.loads(in_build(build, "hour", uris[number], fields, str(hour)))
                found[number] += [said] if hour else []
    return found


def compare(before: Path, asked: argparse.Namespace) -> int:
    """Prints the table; 1 where a promise is not kept."""
    from devstack.postgres import ensure_running, remove

    with tempfile.TemporaryDirectory(prefix="tsad-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        cluster = ensure_running(folder / "postgres", durable=False)
        try:
            found = measure(cluster, (before, PROJECT), asked.machines, asked.hours)
        finally:
            remove(folder / "postgres")
    cpu_s = [[one["cpu_s"] for one in of_it] for of_it in found]
    ratio = median(new / old for old, new in zip(*cpu_s, strict=True))
    print(
        f"an hour of {asked.machines} machines × {3600 // STEP_S} readings with event_head, "
        f"median of {asked.hours}: {median(cpu_s[0]):.2f} CPU-s before, {median(cpu_s[1]):.2f} "
        f"now, {ratio:.2f} ×"
    )
    missed = []
    n_windows = [{one["n_windows"] for one in of_it} for of_it in found]
    wanted = asked.machines * 3600 // STEP_S
    if n_windows != [{wanted}, {wanted}]:
        missed.append(f"Expected {wanted:,} windows in each hour. Received: {n_windows}.")
    if not asked.small and ratio > PROMISED:
        missed.append(f"Expected {PROMISED:.2f} × of the CPU before. Received: {ratio:.2f} ×.")
    print("\n".join(missed))
    return int(bool(missed))


def main() -> int:
    """Measures both builds."""
    parser = argparse.ArgumentParser(description="An hour of a fleet with a folding detector.")
    parser.add_argument("--small", action="store_true", help="eight machines, for CI")
    parser.add_argument("--against", type=Path, help=f"another checkout; by default {BEFORE}")
    parser.add_argument("--machines", type=int)
    parser.add_argument("--hours", type=int, help="how many are measured")
    parser.add_argument("--role", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.role:
        role, *given = asked.role
        ROLES[role](*given)
        return 0
    asked.machines = asked.machines or (8 if asked.small else 300)
    asked.hours = asked.hours or (2 if asked.small else 6)
    sys.path.insert(0, str(PROJECT))
    if asked.against is not None:
        return compare(asked.against.resolve(), asked)
    with checkout(BEFORE) as folder:
        return compare(folder, asked)


if __name__ == "__main__":
    sys.exit(main())
