"""The PDF of a week with 0, 1, 12 and 200 faults of a simulated server room, from the warehouse:
pages, seconds and kB, in brief and in full, and seconds of the drawing alone.

Usage: python benchmarks/report_pdf.py [--small] [--keep FOLDER]

It ingests, trains, scores and merges by the real tasks. Promised: 200 incidents in 10 CPU-seconds,
at most 8 pages in brief, and 2 for a week without any. The small size has two weeks, of 0 and 12
faults.
--keep leaves the PDFs in a folder, to look at.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
from samples.report import sample_report
from upath import UPath

from devstack.postgres import ensure_running, remove
from tsad_tasks.base.enums import ReportDetail
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.reporting.period.pdf import report_bytes
from tsad_tasks.reporting.period.ranking import N_BRIEF_PAGES
from tsad_tasks.reporting.period.report import ReportSummary, render_period
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.score import score_interval
from tsad_tasks.storage.migrate import migrate
from tsad_tasks.storage.store import Store
from tsad_tasks.training.retrain import Retraining

START_AT = datetime(2026, 3, 2, tzinfo=UTC)
WEEK, STEP_S = timedelta(days=7), 300
MOST_S, QUIET_PAGES = 10.0, 2
# An hour each; two on one host are far enough apart to be two incidents.
FAULT_STEPS, SPACE_STEPS = 12, 84
CONFIG: dict[str, Any] = {
    "dataset": "room",
    "description": "Simulated hosts, one reading every five minutes",
    "site_zone": "Europe/Berlin",
    "source": {
        "connection": "room",
        "tables": "reading",
        "time": {"column": "at"},
        "entity": {"column": "host"},
        "step": "5min",
        "channels": {"cpu": {"unit": "%"}, "memory": {"unit": "%"}, "temperature": {"unit": "°C"}},
    },
    "detector": {"name": "pca", "window": 6},
    # Nothing but what was put in.
    "threshold": {"kind": "mean_std", "k": 20.0},
    "training": {"range": "7d", "min_hours": 10, "fallback": []},
    "features": {"min_own_scale": "1d"},
    "gate": {
        "min_point_share": 0,
        "min_contextual_share": 0,
        "min_collective_share": 0,
        "max_false_alarm_share": 1,
        "n_injected": 10,
    },
    "shadow": {"hours": 0},
}


def fill(uri: str, n_hosts: int, n_faults: list[int]) -> None:
    """A clean week, then one for each number of faults: a hotter host, or a busier one."""
    week = int(WEEK.total_seconds()) // STEP_S
    n_steps, generator = (1 + len(n_faults)) * week, np.random.default_rng(7)
    noise = generator.standard_normal((n_hosts, n_steps, 3))
    day = np.sin(2 * np.pi * np.arange(n_steps) * STEP_S / 86400)
    cpu = 40 + 10 * day + 2 * noise[:, :, 0]
    values = np.stack([cpu, 60 + noise[:, :, 1], 16 + 0.25 * cpu + 0.3 * noise[:, :, 2]], axis=2)
    for i, n in enumerate(n_faults, start=1):
        for k in range(n):
            host, place = k % n_hosts, k // n_hosts
            first = i * week + 24 + place * SPACE_STEPS + 5 * host
            channel, push = ((2, 30.0), (0, 90.0))[k % 2]
            values[host, first : first + FAULT_STEPS, channel] += push * (1 + 0.4 * np.sin(k))
    with psycopg2.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE reading (at timestamptz, host text, cpu float8, memory float8,"
            " temperature float8)"
        )
        with tempfile.TemporaryFile("w+") as lines:
            for s in range(n_steps):
                at = (START_AT + s * timedelta(seconds=STEP_S)).isoformat()
                for h in range(n_hosts):
                    shown = [f"{one:.2f}" for one in values[h, s]]
                    lines.write(",".join([at, f"host-{h + 1:02d}", *shown]) + "\n")
            lines.seek(0)
            cursor.copy_expert("COPY reading FROM STDIN (FORMAT csv)", lines)
    connection.close()


def lived(store: Store, config: DatasetConfig, uri: str, folder: Path, n_weeks: int) -> None:
    """Trains on the first week, and scores the others as the pipeline does."""
    end_at = START_AT + (1 + n_weeks) * WEEK
    ingest_interval(store, config, uri, start_at=START_AT, end_at=end_at)
    retrain(Retraining(store, config, START_AT + WEEK, UPath(folder / "run"), UPath(folder)))
    span = {"start_at": START_AT + WEEK, "end_at": end_at}
    score_interval(store, config, **span)
    build_incidents(store, config, **span)


def main() -> int:
    """Prints a line for each report; 1 where a promise was not kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    n_faults, n_hosts = ([0, 12], 3) if asked.small else ([0, 1, 12, 200], 10)
    missed = []
    with tempfile.TemporaryDirectory(prefix="tsad-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        os.environ["TSAD_ARTIFACTS"] = name
        cluster = ensure_running(folder / "postgres", durable=False)
        try:
            uri, config = cluster.create_database("report"), DatasetConfig.model_validate(CONFIG)
            migrate(uri)
            fill(uri, n_hosts, n_faults)
            with Store.connect(uri) as store:
                lived(store, config, uri, folder, len(n_faults))
                kept = asked.keep or folder
                print(
                    f"{'faults':>6} {'detail':6} {'incidents':>9} {'pages':>6} {'s':>6}"
                    f" {'CPU s':>6} {'kB':>6}"
                )
                for i, n in enumerate(n_faults, start=1):
                    for detail in ReportDetail:
                        path, end_at = (
                            UPath(kept / f"week_{n}_{detail}.pdf"),
                            START_AT + (1 + i) * WEEK,
                        )
                        began = time.process_time()
                        made = render_period(store, config, end_at=end_at, path=path, detail=detail)
                        cpu_s = time.process_time() - began
                        figures = f"{made.n_incidents:9d} {made.n_pages:6d} {made.seconds:6.2f}"
                        print(
                            f"{n:6d} {detail:6} {figures} {cpu_s:6.2f} {made.n_bytes / 1000:6.0f}"
                        )
                        missed += missed_promises(made, detail, cpu_s)
        finally:
            remove(folder / "postgres")
    print(f"drawing alone, 200 incidents of 17 channels: {drawing_s(20 if asked.small else 200)}")
    print("\n".join(missed))
    return int(bool(missed))


def missed_promises(made: ReportSummary, detail: ReportDetail, cpu_s: float) -> list[str]:
    """What a report was to keep, and did not."""
    most = QUIET_PAGES if made.n_incidents == 0 else N_BRIEF_PAGES
    missed = []
    if detail is ReportDetail.BRIEF and made.n_pages > most:
        missed.append(f"Expected at most {most} pages. Received: {made.n_pages}.")
    if cpu_s > MOST_S:
        missed.append(f"Expected at most {MOST_S} CPU-seconds. Received: {cpu_s:.1f}.")
    return missed


def drawing_s(n_incidents: int) -> str:
    """Seconds to draw a made-up report, in brief and in full."""
    shown = []
    for detail in ReportDetail:
        content, began = sample_report(n_incidents, detail=detail), time.perf_counter()
        shown.append(f"{detail} {report_bytes(content)[1]} pages")
        shown[-1] += f" {time.perf_counter() - began:.2f} s"
    return ", ".join(shown)


if __name__ == "__main__":
    sys.exit(main())
