"""Builds of this project side by side: commands of two commits on the same plant."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devstack import postgres
from tsad_tasks.base.places import project_folder
from tsad_tasks.storage.database import connect

RUN = "from tsad_tasks.cli import main; main()"


@dataclass(frozen=True)
class Build:
    """A checkout, and the database that its commands write to."""

    name: str
    checkout: Path
    warehouse_uri: str
    environment: dict[str, str]

    def run(self, *arguments: str) -> float:
        """CPU-seconds of one command."""
        began = os.times()
        done = subprocess.run(
            [sys.executable, "-c", RUN, *arguments],
            cwd=self.checkout,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{self.name}: tsad {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        ended = os.times()
        return (
            ended.children_user
            + ended.children_system
            - began.children_user
            - began.children_system
        )


@contextmanager
def checkout_of(commit: str, folder: Path) -> Iterator[Path]:
    """A checkout of a commit, removed afterwards."""
    path, git = folder / "base", ["git", "-C", str(project_folder()), "worktree"]
    subprocess.run([*git, "add", "--detach", "--quiet", str(path), commit], check=True)
    try:
        yield path
    finally:
        subprocess.run([*git, "remove", "--force", str(path)], check=True)


@contextmanager
def builds(folder: Path, checkouts: dict[str, Path]) -> Iterator[list[Build]]:
    """A build per checkout, with databases of their own on one server, removed afterwards."""
    folder.chmod(0o711)
    cluster = postgres.ensure_running(folder / "postgres", durable=False)
    try:
        made = []
        for number, (name, checkout) in enumerate(checkouts.items()):
            warehouse = cluster.create_database(f"warehouse_{number}", owner=postgres.OWNER)
            plant = cluster.create_database(f"plant_{number}", owner=postgres.OWNER)
            connection = connect(plant)
            with connection, connection.cursor() as cursor:
                cursor.execute("CREATE SCHEMA plant")
            connection.close()
            environment = {
                "TSAD_DATABASE_URI": warehouse,
                "TSAD_HOME": str(folder / f"home_{number}"),
                "TSAD_PROJECT": str(checkout),
                "TSAD_DATASETS": str(folder / "datasets"),
                "AIRFLOW_CONN_TSAD_DEMO": plant,
                "PYTHONPATH": str(checkout),
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
                "TF_CPP_MIN_LOG_LEVEL": "3",
                # A build without bytecode would compile itself in each process.
                "PYTHONDONTWRITEBYTECODE": "",
            }
            made.append(Build(name, checkout, warehouse, environment))
        yield made
    finally:
        postgres.remove(folder / "postgres")
