"""CPU-seconds and memory of a retraining, task by task, of this build and of another checkout:
`python benchmarks/retrain.py [--small] [--against PATH] [--network]`.

Each task is a process of its own, as Airflow runs them, and hands its files on in a folder. Both
builds have the same readings in a database of their own, and take turns. CPU is that of the process
and of nothing else; what `fit` costs is shown apart, since it is the detector's. Memory is the
peak of the resident set; what an import costs that the task cannot do without is shown too.

Promised: outside `fit`, .7 of the CPU of the other build; beyond TensorFlow's bare import, .7 of
its memory, in every task that is beyond it. The small size promises nothing but that it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
BEFORE = "4688f57"
END_AT = datetime(2026, 4, 20, tzinfo=UTC)
# Where the work of each task is, here and in the commit before.
TASKS = {
    "exclusions": ("tsad_tasks.training.prepare", "find_exclusions"),
    "features": ("tsad_tasks.training.prepare", "make_features"),
    "windows": ("tsad_tasks.training.prepare", "make_windows"),
    "train": ("tsad_tasks.training.fit", "train"),
    "calibrate": ("tsad_tasks.training.judge", "calibrate"),
    "gate": ("tsad_tasks.training.judge", "gate"),
    "register": ("tsad_tasks.pipeline.register", "register"),
}
OLD_TASKS = {task: ("tsad_tasks.steps.retrain", name) for task, (_, name) in TASKS.items()}
PROMISED = 0.7


@dataclass(frozen=True)
class Case:
    """A dataset to be retrained: the fields of its file, and how many machines it has."""

    name: str
    fields: dict[str, Any]
    n_machines: int
    step_s: int
    channels: tuple[str, ...]
    days: int = 30

    @property
    def start_at(self) -> datetime:
        return END_AT - timedelta(days=self.days)


@dataclass(frozen=True)
class Cost:
    """What one task cost: CPU-seconds, those of them in `fit`, and the peak of memory in MB."""

    cpu_s: float
    fit_s: float
    peak_mb: float

    @property
    def outside_s(self) -> float:
        return self.cpu_s - self.fit_s


# What the child processes do. They see the build that is measured, and import nothing before.


def measured_task(task: str, uri: str, folder: str, fields: str) -> None:
    """Runs one task of the build on the path and prints what it cost, as JSON."""
    from upath import UPath

    from tsad_tasks.config import DatasetConfig
    from tsad_tasks.storage.store import Store

    config = DatasetConfig.model_validate_json(fields)
    module, name = OLD_TASKS[task] if is_old() else TASKS[task]
    work: Any = getattr(import_module(module), name)
    module = OLD_TASKS[task][0] if is_old() else "tsad_tasks.training.retrain"
    retraining: Any = import_module(module).Retraining
    in_fit = fit_clock(config.detector.name) if task == "train" else [0.0]
    with Store.connect(uri) as store:
        work(retraining(store, config, END_AT, UPath(folder) / "run", UPath(folder)))
    say_cost(in_fit[0])


def is_old() -> bool:
    """Whether the build on the path has all its tasks in one module."""
    return find_spec("tsad_tasks.steps") is not None


def fill(uri: str, folder: str, fields: str) -> None:
    """Readings of a case, as the build on the path has them after an ingest.

    Their blocks are written as they are: a source table of millions of rows would take minutes, and
    reading it is no part of what is measured.
    """
    import numpy as np

    from tsad_tasks.config import DatasetConfig
    from tsad_tasks.storage.migrate import migrate
    from tsad_tasks.storage.store import Store

    migrate(uri)
    # Written as in the commit before, whose store did this itself.
    ledger_row: Any = import_module("tsad_tasks.storage.rows").IngestHour
    config = DatasetConfig.model_validate_json(fields)
    with np.load(folder) as content:
        names, start_s, values = (
            content["names"].tolist(),
            int(content["start_s"]),
            content["values"],
        )
    per_hour = 3600 // config.source.step_s
    hours = [
        datetime.fromtimestamp(start_s, UTC) + timedelta(hours=number)
        for number in range(values.shape[1] // per_hour)
    ]
    store: Any
    with Store.connect(uri) as store, store.transaction():
        dataset = store.upsert_dataset(config)
        ids = store.ensure_entities(dataset.dataset_id, names)
        layout = store.ensure_layout(dataset.dataset_id, config)
        for name, of_it in zip(names, values, strict=True):
            blocks = of_it.reshape(len(hours), per_hour, -1)
            store.write_blocks(layout, [ids[name]] * len(hours), hours, blocks)
        n, hour, now = per_hour * len(names), timedelta(hours=1), datetime.now(UTC)
        ledger = [ledger_row(at, at + hour, now, n, n, at + hour, None) for at in hours]
        store.upsert_ingest_hours(dataset.dataset_id, ledger)


def say_cost(fit_s: float = 0.0) -> None:
    """Prints CPU-seconds and peak memory of this process, as JSON."""
    import time

    # Not ru_maxrss, which a process inherits from the one that started it.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak_mb = int(status["VmHWM"].split()[0]) / 1024
    print(json.dumps({"cpu_s": time.process_time(), "fit_s": fit_s, "peak_mb": peak_mb}))


def fit_clock(name: str) -> list[float]:
    """CPU-seconds that the detector of a name has spent in its methods that learn, as they grow."""
    import time

    from tsad_tasks.detectors.registry import detector_class

    kind: Any = detector_class(name)
    spent, inside = [0.0], [0]

    def clocked(method: Any) -> Any:
        def work(*given: Any, **named: Any) -> Any:
            began = time.process_time()
            inside[0] += 1
            try:
                return method(*given, **named)
            finally:
                inside[0] -= 1
                spent[0] += 0.0 if inside[0] else time.process_time() - began

        return work

    for method in ("fit", "fit_series", "join_series"):
        if hasattr(kind, method):
            setattr(kind, method, clocked(getattr(kind, method)))
    return spent


def measured_import(what: str) -> None:
    """Imports what no task can do without, and prints what that cost."""
    if what == "tensorflow":
        import keras
        import tensorflow

        assert keras, tensorflow
    else:
        import numpy
        import psycopg2
        import pydantic

        assert numpy, psycopg2
        assert pydantic
    say_cost()


def migrated(uri: str) -> None:
    """Brings a database to the schema of the build on the path."""
    from tsad_tasks.storage.migrate import migrate

    migrate(uri)


# Cases


def cases(*, small: bool, network: bool) -> Iterator[Case]:
    """The demo's dataset and a fleet with a network, and that fleet with a detector that counts."""
    import yaml
    from simulators.simulate_fleet import FLEET_CHANNELS

    text = (PROJECT / "dags" / "datasets" / "server_room.yaml").read_text(encoding="utf-8")
    room = yaml.safe_load(text)
    room["source"] |= {"tables": "plant.reading"}
    # 4688f57 has other names for what is left out here, which no task of a retraining reads.
    for name in ("late_rows_within", "wait_for_rows"):
        del room["source"][name]
    room["source"]["channels"] = {name: {} for name in room["source"]["channels"]}
    # What the demo's dataset had in 4688f57.
    room["detector"] = {"name": "lstm_autoencoder", "window": 10}
    room["features"] = {"scaling": "robust", "cyclic": ["hour", "weekday"]}
    room["training"] = {"range": "30d", "max_windows": 30000, "epochs": 12, "batch_size": 256}
    fleet: dict[str, Any] = {
        "dataset": "fleet",
        "source": {
            "connection": "fleet",
            "tables": "plant.reading",
            "time": {"column": "at"},
            "step": "5min",
            "entity": {"column": "machine"},
            "channels": {name: {} for name in FLEET_CHANNELS},
        },
        "features": {"holidays": "DE"},
        "running_when": "spindle_speed > 100",
        "startup_grace": "30min",
        "detector": {"name": "seasonal_profile"},
    }
    days, n_machines = (7, 4) if small else (30, 300)
    if small:
        for fields in (room, fleet):
            fields["training"] = {"range": "7d", "max_windows": 500, "epochs": 1, "min_hours": 5}
    channels = tuple(room["source"]["channels"])
    yield Case("the demo's dataset, lstm_autoencoder", room, 2 if small else 4, 60, channels, days)
    name = f"{n_machines} machines, seasonal_profile"
    # 4688f57 fails in task `windows` of a folding detector where these are made.
    training = fleet.get("training", {}) | {"dead_channel_share": 0}
    counted = fleet | {"training": training}
    yield Case(name, counted, n_machines, 300, tuple(FLEET_CHANNELS), days)
    if network:
        learned = fleet | {"detector": {"name": "lstm_autoencoder"}}
        name = f"{n_machines} machines, lstm_autoencoder"
        yield Case(name, learned, n_machines, 300, tuple(FLEET_CHANNELS), days)


def readings_of(case: Case) -> Any:
    """Machines, times and readings (n_machines, n_steps, n_channels) of a case."""
    from simulators.simulate_fleet import machine_fleet

    from devstack.simulate import server_room
    from tsad_tasks.config import holidays_of

    span: dict[str, Any] = {"days": case.days, "start_at": case.start_at, "seed": 7}
    if case.fields["dataset"] == "server_room":
        return server_room(hosts=case.n_machines, step_s=case.step_s, **span)
    holidays = holidays_of("DE")[0]
    return machine_fleet(machines=case.n_machines, step_s=case.step_s, holidays=holidays, **span)


# Measuring


def in_build(build: Path, role: str, *given: str) -> str:
    """What a process prints that has a build on its path and does one thing."""
    environment = os.environ | {"PYTHONPATH": str(build), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).resolve()), "--role", role, *given]
    done = subprocess.run(
        command, cwd=build, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{build} {role} {given[:1]}:\n{done.stderr[-3000:]}")
    return done.stdout


def cost_of(build: Path, role: str, *given: str) -> Cost:
    """What a role cost in a build."""
    return Cost(**json.loads(in_build(build, role, *given).splitlines()[-1]))


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """A commit of this repository in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tsad-build-") as name:
        folder = Path(name) / "build"
        git = ["git", "-C", str(PROJECT), "worktree"]
        subprocess.run(
            [*git, "add", "--detach", str(folder), commit], check=True, capture_output=True
        )
        try:
            yield folder
        finally:
            subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def measure(
    cluster: Any, case: Case, builds: Sequence[Path], repeats: int, names: Sequence[str]
) -> list[dict[str, Cost]]:
    """What each task of a case costs in each build: the smallest of some runs."""
    import numpy as np

    database, fields = f"case_{len(case.name)}", json.dumps(case.fields)
    found: list[dict[str, Cost]] = [{} for _ in builds]
    with tempfile.TemporaryDirectory(prefix="tsad-run-") as name:
        plant, path = readings_of(case), f"{name}/readings.npz"
        np.savez(path, names=plant.entities, start_s=plant.times_s[0], values=plant.values)
        # The older build writes what the newer one then upgrades.
        in_build(builds[0], "fill", cluster.create_database(database), path, fields)
        uris = []
        for number, build in enumerate(builds):
            uris.append(cluster.create_database(f"{database}_{number}", template=database))
            if number:
                in_build(build, "migrate", uris[-1])
        for task in names:
            for number, build in enumerate(builds):
                given = (uris[number], f"{name}/{number}", fields)
                n_runs = 1 if task == "train" else repeats
                runs = [cost_of(build, "task", task, *given) for _ in range(n_runs)]
                found[number][task] = min(runs, key=lambda run: run.outside_s)
    for number in range(len(builds)):
        cluster.drop_database(f"{database}_{number}")
    cluster.drop_database(database)
    return found


def show(case: Case, found: Sequence[dict[str, Cost]], bare: Cost) -> bool:
    """Prints a table of a case; whether it keeps what is promised."""
    before, now = found
    print(f"\n{case.name}, {case.days} days, a reading every {case.step_s} s")
    print(
        f"{'task':16}{'CPU s before':>14}{'now':>8}{'ratio':>8}{'fit before':>12}{'now':>8}"
        f"{'MB before':>12}{'now':>8}{'beyond TF':>12}{'now':>8}{'ratio':>8}"
    )
    is_kept = True
    for task, old in before.items():
        new = now[task]
        beyond = [max(0.0, one.peak_mb - bare.peak_mb) for one in (old, new)]
        ratio = f"{beyond[1] / beyond[0]:8.2f}" if beyond[0] else f"{'':8}"
        is_kept &= beyond[1] <= PROMISED * beyond[0]
        print(
            f"{task:16}{old.outside_s:14.2f}{new.outside_s:8.2f}"
            f"{new.outside_s / old.outside_s:8.2f}{old.fit_s:12.1f}{new.fit_s:8.1f}"
            f"{old.peak_mb:12.0f}{new.peak_mb:8.0f}{beyond[0]:12.0f}{beyond[1]:8.0f}{ratio}"
        )
    sums = [sum(cost.outside_s for cost in one.values()) for one in found]
    print(f"{'all':16}{sums[0]:14.2f}{sums[1]:8.2f}{sums[1] / sums[0]:8.2f}")
    return is_kept and sums[1] <= PROMISED * sums[0]


def main() -> int:
    """Measures both builds, case by case."""
    arguments = _arguments()
    if arguments.role:
        role, *given = arguments.role
        roles: dict[str, Any] = {"task": measured_task, "import": measured_import}
        (roles | {"migrate": migrated, "fill": fill})[role](*given)
        return 0
    sys.path.insert(0, str(PROJECT))
    if arguments.against is not None:
        return compare(Path(arguments.against).resolve(), arguments)
    with checkout(BEFORE) as folder:
        return compare(folder, arguments)


def compare(before: Path, arguments: argparse.Namespace) -> int:
    """Prints all tables; 1 where a promise is broken."""
    from devstack.postgres import ensure_running, remove

    bare = {what: cost_of(PROJECT, "import", what) for what in ("tensorflow", "numpy")}
    for what, cost in bare.items():
        print(f"import of {what}: {cost.cpu_s:.2f} CPU-s, {cost.peak_mb:.0f} MB")
    with tempfile.TemporaryDirectory(prefix="tsad-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        cluster = ensure_running(folder / "postgres", durable=False)
        try:
            kept = [
                show(
                    case,
                    measure(cluster, case, (before, PROJECT), arguments.repeats, arguments.tasks),
                    bare["tensorflow"],
                )
                for case in cases(small=arguments.small, network=arguments.network)
                if arguments.only in case.name
            ]
        finally:
            remove(folder / "postgres")
    return 0 if arguments.small or all(kept) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What a retraining costs, task by task.")
    parser.add_argument("--small", action="store_true", help="a week of few machines, for CI")
    parser.add_argument("--against", help=f"another checkout; by default {BEFORE}")
    parser.add_argument("--network", action="store_true", help="the fleet with the network, too")
    parser.add_argument("--only", default="", help="cases that have this in their name")
    parser.add_argument(
        "--repeats", type=int, help="runs of a task, of which the cheapest counts; by default 2"
    )
    parser.add_argument("--tasks", nargs="+", default=[*TASKS], help="the first ones alone")
    parser.add_argument("--role", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.repeats = arguments.repeats or (1 if arguments.small else 2)
    return arguments


if __name__ == "__main__":
    raise SystemExit(main())
