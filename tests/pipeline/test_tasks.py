"""The table of tasks: each is declared once, and the page for people is printed from it."""

from __future__ import annotations

import subprocess
import sys

from tsad_tasks.base.places import project_folder
from tsad_tasks.pipeline.task import TASKS
from tsad_tasks.pipeline.tasks import tasks_page

SLOW = ("numpy", "pandas", "keras", "tensorflow", "psycopg2", "scipy", "onnxruntime")


def test_every_task_is_declared_once_and_says_what_it_does() -> None:
    names = [(task.dag, task.name) for task in TASKS]
    assert len(set(names)) == len(names)
    assert all(task.doc.endswith((".", "v_drift", "v_audit")) for task in TASKS)


def test_what_a_task_follows_and_takes_was_declared_before_it() -> None:
    for position, task in enumerate(TASKS):
        before = {one.name for one in TASKS[:position] if one.dag == task.dag}
        taken = {source.partition(".")[0] for source in task.takes.values()}
        assert {*(task.after or ()), *taken} <= before, task


def test_the_page_of_tasks_is_printed_from_the_table() -> None:
    page = project_folder() / "docs" / "tasks.md"
    assert page.read_text(encoding="utf-8") == tasks_page()


def test_the_table_loads_nothing_slow() -> None:
    program = "import sys, tsad_tasks.pipeline.tasks; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert set(SLOW) & set(run.stdout.split()) == set()
