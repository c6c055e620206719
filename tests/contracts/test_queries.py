"""What every file of sql/queries promises: a purpose, one statement, a plan on the newest schema, a
user.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from psycopg2.extensions import connection as Connection

from devstack.postgres import Cluster
from tsad_tasks.base.places import project_folder
from tsad_tasks.storage.database import connect, query
from tsad_tasks.storage.store import INCOMING

QUERIES = sorted(path.stem for path in (project_folder() / "sql" / "queries").glob("*.sql"))
VERBS = "close|delete|drop|ensure|insert|lock|read|refresh|select|supersede|update|upsert|withdraw"


@pytest.fixture(scope="module")
def migrated(cluster: Cluster, template_database: str) -> Iterator[Connection]:
    """A connection to a warehouse of the newest schema, with the temporary tables that writes go
    through.
    """
    name = f"queries_{uuid4().hex}"
    opened = connect(cluster.create_database(name, template=template_database))
    with opened.cursor() as cursor:
        cursor.execute(INCOMING)
    opened.commit()
    yield opened
    opened.close()
    cluster.drop_database(name)


def _code(name: str) -> str:
    """The statement without its comment and without what is quoted."""
    return re.sub(r"'[^']*'", "''", query(name).split("\n", 1)[1])


@pytest.mark.parametrize("name", QUERIES)
def test_its_name_is_a_verb_and_a_noun(name: str) -> None:
    assert re.fullmatch(rf"({VERBS})_[a-z]+(_[a-z]+)*", name)


@pytest.mark.parametrize("name", QUERIES)
def test_it_says_its_purpose_in_one_line_on_top(name: str) -> None:
    first, second = query(name).splitlines()[:2]
    assert re.fullmatch(r"-- [A-Z].{10,150}\.", first)
    assert not second.startswith("--")


@pytest.mark.parametrize("name", QUERIES)
def test_it_is_one_statement(name: str) -> None:
    assert ";" not in _code(name)


@pytest.mark.parametrize("name", QUERIES)
def test_it_has_a_plan_on_the_newest_schema(migrated: Connection, name: str) -> None:
    with migrated.cursor() as cursor:
        cursor.execute(f"EXPLAIN {query(name)}", defaultdict(lambda: None))
        assert cursor.fetchall()
    migrated.rollback()


def test_each_is_used_and_none_is_missing() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in _modules())
    asked = set(re.findall(rf'"((?:{VERBS})_[a-z_]+)"', code))
    assert sorted(set(QUERIES) - asked) == []
    called = set(
        re.findall(r'(?:execute|select|records|select_or_none|_copy_out)\(\s*"([a-z_]+)"', code)
    )
    assert sorted(called - set(QUERIES)) == []


def _modules() -> list[Path]:
    return sorted((project_folder() / "tsad_tasks").rglob("*.py"))
