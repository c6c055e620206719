"""Runs every benchmark, each with a log of its own, and says how long it took and whether it held.

Usage: python benchmarks/run_all.py [--small] [--jobs N] [--logs FOLDER] [NAME ...]

--small: the size that CI runs. A benchmark that fails does not stop the others; its last lines are
shown. NAB and SKAB at full size want TSAD_BENCH_DATA.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FOLDER = Path(__file__).parent
# The tests live the small sixty days.
IN_TESTS = {"sixty_days"}
# It fetches other systems; `make stores` runs it.
ON_REQUEST = {"stores_real"}
# Those that take longest begin first: none runs alone at the end.
LONG = (
    *("same_rows", "documents", "retrain", "many_tables", "nab_replay", "every_detector", "kills"),
    *("train", "score_batch", "blocked", "alarm_budget", "concurrent_steps", "load"),
)
N_LINES_SHOWN = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time")
    parser.add_argument("--logs", type=Path, default=Path(".tsad/proofs"))
    asked = parser.parse_args()
    names = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != Path(__file__).stem)
    if unknown := set(asked.names) - set(names):
        sys.exit(f"Expected benchmarks: {', '.join(names)}. Received: {', '.join(unknown)}.")
    left_out = ON_REQUEST | (IN_TESTS if asked.small else set())
    short = [one for one in names if one not in LONG]
    chosen = asked.names or [one for one in (*LONG, *short) if one not in left_out]
    asked.logs.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(asked.jobs) as jobs:
        n_failed = sum(jobs.map(lambda name: failed(name, asked.logs, small=asked.small), chosen))
    print(f"{len(chosen) - n_failed} of {len(chosen)} held; logs in {asked.logs}")
    sys.exit(1 if n_failed else 0)


def failed(name: str, logs: Path, *, small: bool) -> bool:
    """Whether a benchmark failed, after running it and printing one line on it."""
    arguments = ["--small"] if small else full_size(name)
    log, began = logs / f"{name}.log", time.perf_counter()
    with log.open("wb") as stream:
        done = subprocess.run(
            [sys.executable, str(FOLDER / f"{name}.py"), *arguments],
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
        )
    said = "ok" if done.returncode == 0 else f"FAILED, see {log}"
    print(f"{name:16} {time.perf_counter() - began:6.0f} s  {said}", flush=True)
    if done.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        print("\n".join(f"    {line}" for line in lines[-N_LINES_SHOWN:]), flush=True)
    return done.returncode != 0


def full_size(name: str) -> list[str]:
    """Arguments of a benchmark at full size: where the real data are, for those that need them."""
    # These want a folder or a referee that no variable names.
    if name in ("tennessee_eastman", "held_out_files"):
        return ["--small"]
    if name not in ("nab", "skab"):
        return []
    data = os.environ.get("TSAD_BENCH_DATA")
    return ["--data", str(Path(data) / name)] if data else ["--small"]


if __name__ == "__main__":
    main()
