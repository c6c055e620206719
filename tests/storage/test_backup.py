"""The commands of docs/guides/backup.md: a new server and a new folder hold the same rows, and what
is scored next is the same, too.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from devstack.postgres import OWNER, Cluster, psql_path, remove, start
from tests.pipeline.test_same_rows import HOURS, run_hours
from tests.plants.trained import Plant, artifacts_folder
from tests.statements import run
from tsad_tasks.base.places import project_folder

GUIDE = project_folder() / "docs" / "guides" / "backup.md"
VIEWS = sorted(path.stem for path in (project_folder() / "sql" / "public").glob("v_*.sql"))
ALL_ROWS = "SELECT to_jsonb(v)::text FROM tsad.{} v ORDER BY 1"
# Both with a fault in them.
BEFORE, AFTER = HOURS[:4], HOURS[4:7]


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Cluster]:
    """A server that knows nothing of the old one."""
    folder = tmp_path / "server"
    yield start(folder, durable=False)
    remove(folder)


def _public_rows(uri: str) -> dict[str, list[str]]:
    """Everything that readers can see, bookkeeping included."""
    found = {}
    for view in VIEWS:
        rows: list[Any] = run(uri, ALL_ROWS.format(view))
        # How late it is grows by the second.
        found[view] = [re.sub(r'"late_s": ?[^,}]*', "", row) for (row,) in rows]
    return found


def _run_commands(heading: str, variables: dict[str, str]) -> None:
    section = (
        GUIDE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    )
    commands = "\n".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL))
    path = f"{psql_path().parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "LANG": "C.UTF-8"} | variables
    done = subprocess.run(
        ["sh", "-eu"], input=commands, text=True, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_restored_backup_goes_on_as_the_original_does(
    plant: Plant, cluster: Cluster, new_server: Cluster, tmp_path: Path
) -> None:
    old_folder, new_folder, backup = (tmp_path / name for name in ("old", "new", "backup"))
    backup.mkdir()
    shutil.copytree(artifacts_folder(), old_folder)
    moving = "UPDATE tsad.model SET artifact_uri = replace(artifact_uri, %s, %s)"
    plant.execute(moving, str(artifacts_folder()), str(old_folder))
    run_hours(plant, BEFORE)
    name = f"restored_{uuid4().hex}"
    restored = replace(plant, uri=new_server.uri(name, OWNER))
    variables = {
        "SERVER": cluster.uri("postgres"),
        "WAREHOUSE": plant.uri,
        "ARTIFACTS": str(old_folder),
        "BACKUP": str(backup),
        "NEW_SERVER": new_server.uri("postgres"),
        "NEW_NAME": name,
        "NEW_WAREHOUSE": restored.uri,
        "NEW_ARTIFACTS": str(new_folder),
    }
    shown = _public_rows(plant.uri)
    _run_commands("Backup", variables)
    run_hours(plant, AFTER)
    # What is restored must not live on what was lost.
    shutil.rmtree(old_folder)
    _run_commands("Restore", variables)
    told = {
        view: [row.replace(str(new_folder), str(old_folder)) for row in rows]
        for view, rows in _public_rows(restored.uri).items()
    }
    assert told == shown
    assert shown["v_anomaly"]
    run_hours(restored, AFTER)
    assert restored.rows() == plant.rows()
