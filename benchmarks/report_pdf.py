"""The PDF: milliseconds and kB per incident page, for 200 incidents with a page each, and as a real
report.

Run `python benchmarks/report_pdf.py [--small] [n_incidents]`. Expected: at most 40 ms a page,
import at most 0.4 s.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import replace

from samples.report import sample_incident, sample_report

from tsad_tasks.reporting.period.content import ReportContent
from tsad_tasks.reporting.period.pdf import report_bytes
from tsad_tasks.reporting.period.ranking import DEFAULT_LIMITS, ReportLimits


def import_s() -> float:
    """Seconds that a fresh interpreter takes to import the report, less those of starting it."""
    return min(_fresh_s("import tsad_tasks.reporting.period.pdf") for _ in range(3)) - min(
        _fresh_s("pass") for _ in range(3)
    )


def _fresh_s(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - started


def print_row(name: str, content: ReportContent, limits: ReportLimits) -> None:
    """Renders once and prints one line of the table."""
    wall, cpu = time.perf_counter(), time.process_time()
    document, n_pages = report_bytes(content, limits=limits)
    wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    per_page = " ".join(
        f"{one / n_pages * 1e3:9.1f}" for one in (wall_s, cpu_s, len(document) / 1e6)
    )
    print(f"{name:<44} {n_pages:6d} {wall_s:8.2f} {len(document) / 1e6:8.2f} {per_page}")


def main(n_incidents: int) -> None:
    """Prints the table."""
    print(f"import {import_s():.2f} s")
    print(f"{'':<44} {'pages':>6} {'s':>8} {'MB':>8} {'ms/page':>9} {'CPU ms':>9} {'kB/page':>9}")
    week = sample_report(n_incidents, n_anomalies=500)
    only_pages = replace(week, anomalies=(), n_anomalies=0)
    day_long = tuple(sample_incident(i, n_steps=1440) for i in range(n_incidents))
    all_pages = ReportLimits(n_worst=n_incidents)
    print_row("each its page, 17 channels × 360 readings", only_pages, all_pages)
    print_row(
        "each its page, 17 channels × 1,440 readings",
        replace(only_pages, incidents=day_long),
        all_pages,
    )
    print_row("as reported: 20 worst, 30 unjudged, 500 rows", week, DEFAULT_LIMITS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The PDF: milliseconds and kB per incident page.")
    parser.add_argument("n_incidents", type=int, nargs="?", default=200)
    parser.add_argument("--small", action="store_true", help="20 incidents, for CI")
    arguments = parser.parse_args()
    main(20 if arguments.small else arguments.n_incidents)
