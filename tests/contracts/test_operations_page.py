"""docs/guides/operations.md has a row for every task, status and error that somebody can meet."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest

import devstack
import tsad_tasks
from tsad_tasks.base.enums import HourStatus
from tsad_tasks.base.errors import TsadError
from tsad_tasks.base.places import project_folder
from tsad_tasks.pipeline.tasks import TASKS

GUIDES = project_folder() / "docs" / "guides"
PAGE = (GUIDES / "operations.md").read_text(encoding="utf-8")
OWN_TABLE = ("score", "retrain", "promote", "report", "champion")


def _first_cells(heading: str) -> list[str]:
    """What stands in the first column of the table below a heading."""
    part = re.split(r"\n##+ ", PAGE.partition(f"# {heading}\n")[2])[0]
    rows = [line.strip("|").split(" | ") for line in part.splitlines() if line.startswith("| ")]
    assert all(len(row) == 3 and all(cell.strip() for cell in row) for row in rows)
    return [row[0].strip() for row in rows[1:]]


@pytest.mark.parametrize("dag", OWN_TABLE)
def test_every_task_of_a_dag_may_be_looked_up(dag: str) -> None:
    assert _first_cells(f"`<dataset>.{dag}`") == [task.name for task in TASKS if task.dag == dag]


def test_so_may_those_of_dags_with_one_task() -> None:
    others = [task.name for task in TASKS if task.dag not in OWN_TABLE]
    assert _first_cells("`<dataset>.verdict`, `<dataset>.rescore`, `tsad.maintain`") == others


def test_every_status_of_an_hour_may_be_looked_up() -> None:
    assert _first_cells("Hours without a score") == [*HourStatus]


def _families(of: type[TsadError]) -> Iterator[str]:
    for one in of.__subclasses__():
        yield one.__name__
        yield from _families(one)


def test_every_kind_of_error_may_be_looked_up() -> None:
    for package in (tsad_tasks, devstack):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".neural" not in module.name:
                importlib.import_module(module.name)
    listed = _first_cells("Kinds of errors")
    assert set(_families(TsadError)) <= set(listed)
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize(
    "said",
    ["no anomalies", "no PDF", "no model", "late", "skipped", "disk full", "clock", "config_error"],
)
def test_what_people_look_for_begins_a_row(said: str) -> None:
    found = [line for line in PAGE.splitlines() if line.startswith("| ") and said in line]
    assert any(said in line.split(" | ")[0] for line in found)


def test_its_links_lead_somewhere() -> None:
    titles = re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-") for title in titles}
    for link in re.findall(r"\]\(([^)]*)\)", PAGE):
        path, _, anchor = link.partition("#")
        assert (anchor in anchors) if not path else (GUIDES / path).is_file(), link
