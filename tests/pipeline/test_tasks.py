"""The table of tasks: each is declared once, and the page for people is printed from it."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.places import project_folder
from tsad_tasks.feedback import verdicts
from tsad_tasks.pipeline import tasks
from tsad_tasks.pipeline.task import TASKS, TaskRun
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


def _form(name: str, **fields: Any) -> TaskRun:
    """A run that a person started with a form."""
    config: Any = SimpleNamespace(dataset="room")
    return TaskRun(
        config, f"room.{name}", "run", None, None, fields, {}, is_backfill=False, shard=-1,
        started_by="ada", uri_of=str, send=print,
    )  # fmt: skip


def test_a_range_that_ends_before_it_starts_is_refused() -> None:
    form = {"from": "2026-03-02T00:00Z", "to": "2026-03-01T00:00Z", "mode": "as_of"}
    store: Any = None
    with pytest.raises(BadInput, match=r"starts before its end\. Received: 2026-03-02"):
        tasks.rescore(store, _form("rescore", **form, version=None))


def test_a_verdict_needs_no_more_than_its_required_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    said: dict[str, Any] = {}
    monkeypatch.setattr(verdicts, "set_verdict_in", lambda *_of, **more: said.update(more))
    store: Any = None
    tasks.verdict(
        store, _form("verdict", incident="INC-1", verdict="confirmed", note=None, channel=None)
    )
    assert said == {"said_by": "ada", "note": "", "channel": None}
