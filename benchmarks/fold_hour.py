"""An hour of many machines with a detector that folds, beside an earlier build.

Usage: python benchmarks/fold_hour.py [--small] [--base COMMIT] [--detector NAME] [--machines N]

Both builds read the same plant into databases of their own, train an event_head, and read and score
the same hours, each task in a fresh process, the builds in turn; what is printed is the CPU of
whole processes, imports and the writing of states included. Fails where scoring takes this build
more than a third of the earlier one; small, where imports weigh most, or with another detector, a
quarter more than it.
--base: the build to compare with.
--detector: in place of event_head.
--machines: in place of 300.
--small: 8 machines and 2 hours; otherwise 6 hours.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

from lab.builds import Build, builds, checkout_of

from tsad_tasks.base.interval import HOUR, moment
from tsad_tasks.base.places import project_folder
from tsad_tasks.storage.database import connect

BASE, DETECTOR = "4688f57", "event_head"
START_AT = moment("2026-08-31T00:00Z")
N_DAYS = 2
FILE = """
dataset: fleet
source:
  connection: tsad_demo
  tables: plant.fleet
  time: {column: at}
  entity: {column: machine}
  step: 1min
  mutability: 3h  # former names, which both builds know
  channels:
    load: {hold: 2min}
    temperature: {hold: 2min}
    current: {hold: 2min}
detector: {name: NAME}
training: {range: 2d, dead_channel_share: 0}  # 4688f57 fails with dead channels
gate:
  {min_point_share: 0, min_contextual_share: 0, min_collective_share: 0, max_false_alarm_share: 1,
    max_incidents_per_entity_week: 1000, min_known_share: 0, max_latency_ms: 1000,
    max_commissioning_shift: 100, max_commissioning_spread: 100}
shadow: {hours: 0}
"""
PLANT = """
CREATE TABLE plant.fleet AS
SELECT %(start_at)s::timestamptz + i * interval '1 min' AS at,
  'm-' || lpad(m::text, 4, '0') AS machine, x.load,
  20 + 0.3 * x.load + 0.2 * sin(i * 1.7 + m) AS temperature,
  0.05 * x.load + 0.1 * cos(i * 2.3 + m) AS current
FROM generate_series(0, %(n_minutes)s - 1) i, generate_series(1, %(n_machines)s) m,
  LATERAL (SELECT 50 + 20 * sin(i / 229.0 + m) + 3 * cos(i * 0.7 * (1 + m %% 7)) AS load) x;
CREATE INDEX ON plant.fleet (at)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--base", default=BASE)
    parser.add_argument("--detector", default=DETECTOR)
    parser.add_argument("--machines", type=int)
    asked = parser.parse_args()
    n_machines, n_hours = (8, 2) if asked.small else (asked.machines or 300, 6)
    most = 1 / 3 if asked.detector == DETECTOR and not asked.small else 1.25
    text = FILE.replace("NAME", asked.detector)
    if asked.detector == DETECTOR:
        text += "threshold: {kind: ranked}\n"
    began = time.perf_counter()
    with (
        tempfile.TemporaryDirectory(prefix="tsad-fold-hour-") as folder,
        checkout_of(asked.base, Path(folder)) as base,
        builds(Path(folder), {asked.base: base, "here": project_folder()}) as both,
    ):
        datasets = Path(folder) / "datasets"
        datasets.mkdir()
        (datasets / "fleet.yaml").write_text(text, encoding="utf-8")
        for build in both:
            print(f"{build.name}: trained in {trained(build, n_machines):.1f} CPU-s", flush=True)
        taken = hours(both, n_hours)
    share = 0.0
    for task, seconds in taken.items():
        former, here = (median(seconds[build.name]) for build in both)
        share = here / former
        said = f"{task} an hour of {n_machines} machines, {asked.detector}"
        print(f"{said}: {former:.2f} -> {here:.2f} CPU-s, {share:.2f}")
    print(f"{time.perf_counter() - began:.0f} s")
    sys.exit(0 if share <= most else f"Expected at most {most:.2f} of the former.")


def trained(build: Build, n_machines: int) -> float:
    """CPU-seconds of filling the plant, and of its training."""
    n_minutes = (N_DAYS + 1) * 24 * 60
    of = {"start_at": START_AT, "n_minutes": n_minutes, "n_machines": n_machines}
    with (
        closing(connect(build.environment["AIRFLOW_CONN_TSAD_DEMO"])) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(PLANT, of)
    build.run("migrate")
    return build.run("retrain", "fleet", "--end", f"{split_at():%Y-%m-%dT%H:%MZ}")


def hours(both: list[Build], n_hours: int) -> dict[str, dict[str, list[float]]]:
    """CPU-seconds of each hour by task and build, but for the first, which reads all of
    training.
    """
    taken = {task: {build.name: list[float]() for build in both} for task in ("ingest", "score")}
    for hour in range(n_hours + 1):
        start_at = split_at() + hour * HOUR
        ends = (f"{at:%Y-%m-%dT%H:%MZ}" for at in (start_at, start_at + HOUR))
        span = [one for pair in zip(("--from", "--to"), ends, strict=True) for one in pair]
        for build in both if hour % 2 else reversed(both):
            for task, seconds in taken.items():
                cpu_s = build.run(task, "fleet", *span)
                if hour:
                    seconds[build.name].append(cpu_s)
    for task, seconds in taken.items():
        for name, every in seconds.items():
            print(f"{task}, {name}: " + " ".join(f"{one:.2f}" for one in every))
    return taken


def split_at() -> datetime:
    """The end of training, and the first scored hour."""
    return START_AT + timedelta(days=N_DAYS)


if __name__ == "__main__":
    main()
