"""300 dataset files: CPU-seconds of Airflow's import of all DAGs, and of a task's process, which
makes those of its own dataset alone; each in a process of its own.

Usage: python benchmarks/many_datasets.py [--small] [--datasets 300] [--runs 3]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
EXAMPLES = ("pumps", "server_room")
# CPU-seconds: of 300 files, Airflow's own import included; and how much more a task may take.
IMPORT_S, TASK_S = 8.0, 0.5
# In CI, where other work adds to both: what Airflow and pydantic take before the first file, and by
# how much two processes differ that do the same. That a task makes few DAGs is counted in any case.
START_S, NOISE_S = 6.0, 1.5
IMPORT = """
import runpy, sys, time
from airflow.sdk import DAG
found = runpy.run_path(sys.argv[1])
print(len({one.dag_id for one in found.values() if isinstance(one, DAG)}), time.process_time())
"""


def main() -> None:
    """Measure both, print, and fail where either takes too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="30 datasets, one run, for CI")
    parser.add_argument("--datasets", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3, help="of which the quickest counts")
    asked = parser.parse_args()
    n, runs = (30, 1) if asked.small else (asked.datasets, asked.runs)
    with tempfile.TemporaryDirectory(prefix="tsad-bench-") as name:
        folders = {size: dataset_folder(Path(name), size) for size in (1, n)}
        measured = {
            (size, task): min(cpu_s(folders[size], task, size) for _ in range(runs))
            for size, task in ((n, ""), (n, "room_0.score"), (1, "room_0.score"))
        }
    imported_s, more_s = measured[n, ""], measured[n, "room_0.score"] - measured[1, "room_0.score"]
    limit_s, more_limit_s = (START_S, NOISE_S) if asked.small else (IMPORT_S, TASK_S)
    print(f"import of {n} datasets: {imported_s:.2f} CPU-s (at most {limit_s:g})")
    print(f"a task's process with {n} datasets: {more_s:+.2f} CPU-s more than with one", end=" ")
    print(f"(at most {more_limit_s:g}), {measured[1, 'room_0.score']:.2f} with one")
    sys.exit(1 if imported_s > limit_s or more_s > more_limit_s else 0)


def dataset_folder(folder: Path, n: int) -> Path:
    """A folder with n dataset files, the two examples by turns."""
    made = folder / str(n)
    made.mkdir()
    for i in range(n):
        example = PROJECT / "dags" / "datasets" / f"{EXAMPLES[i % 2]}.yaml"
        text = re.sub(
            r"(?m)^dataset: .*", f"dataset: room_{i}", example.read_text(encoding="utf-8")
        )
        made.joinpath(f"room_{i}.yaml").write_text(text, encoding="utf-8")
    return made


def cpu_s(folder: Path, dag_id: str, n_datasets: int) -> float:
    """CPU-seconds of a process that imports the DAG file: all DAGs, or those that a task needs."""
    own = {
        "AIRFLOW_HOME": str(folder.parent),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder.parent}/unused.db",
        "TSAD_DATASETS": str(folder),
        "PYTHONPATH": str(PROJECT / "plugins"),
    }
    if dag_id:
        # As Airflow's task runner sets them.
        own["_AIRFLOW_PARSING_CONTEXT_DAG_ID"] = dag_id
        own["_AIRFLOW_PARSING_CONTEXT_TASK_ID"] = "ingest"
    environment = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name} | own
    command = [sys.executable, "-c", IMPORT, str(PROJECT / "dags" / "tsad_dags.py")]
    run = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    n_dags, seconds = run.stdout.split()[-2:]
    expected = 8 if dag_id else 7 * n_datasets + 1
    if int(n_dags) != expected:
        raise SystemExit(f"Expected {expected} DAGs. Received: {n_dags}.")
    return float(seconds)


if __name__ == "__main__":
    main()
