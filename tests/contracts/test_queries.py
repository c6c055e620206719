"""What every file of sql/queries promises: a purpose, one statement, a plan on the newest schema,
and one declaration that says what it needs and what it gives.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, get_args, get_type_hints, is_typeddict
from uuid import uuid4

import pytest
from psycopg2.extensions import connection as Connection

from devstack.postgres import Cluster
from tsad_tasks.base.places import project_folder
from tsad_tasks.storage.database import connect, statement_text
from tsad_tasks.storage.store import Incoming, Query, Statement

ROOT = project_folder()
FILES = {
    path.relative_to(ROOT / "sql" / "queries").with_suffix("").as_posix(): path
    for path in sorted((ROOT / "sql" / "queries").rglob("*.sql"))
}
VERBS = (
    "clear|close|copy|create|delete|drop|end|ensure|grant|insert|lock|read|refresh|select|set|supersede|"
    "update|upsert|withdraw"
)
MODULES = {path: ast.parse(path.read_text("utf-8")) for path in (ROOT / "tsad_tasks").rglob("*.py")}
# What psycopg2 makes of a column's type.
PYTHON_TYPES: dict[str, type] = {
    "bool": bool,
    "int2": int,
    "int4": int,
    "int8": int,
    "float4": float,
    "float8": float,
    "text": str,
    "timestamptz": datetime,
    "date": date,
    "interval": timedelta,
    "bytea": memoryview,
    "jsonb": dict,
    "_int4": list,
    "_text": list,
    "_float4": list,
    "_float8": list,
}


def _declared() -> dict[str, Statement]:
    """Every declaration, by the name of its module and its own."""
    return {
        f"{module}.{name}": getattr(importlib.import_module(module), name)
        for path, tree in MODULES.items()
        for module in [".".join(path.relative_to(ROOT).with_suffix("").parts)]
        for name in _assigned_statements(tree)
    }


def _assigned_statements(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if ast.unparse(node.value.func) in {"Query", "Query.or_null", "Statement", "Incoming"}:
                assert isinstance(target, ast.Name)
                yield target.id


def _name(node: ast.AST) -> str | None:
    """The last part of a name: SELECT_SHADOWS, also of `queries.SELECT_SHADOWS`."""
    return getattr(node, "id", getattr(node, "attr", None))


def _calls() -> dict[str | None, list[ast.Call]]:
    """Calls of methods by the name of their first argument: a store's, with a statement."""
    found: dict[str | None, list[ast.Call]] = defaultdict(list)
    for node in NODES:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            found[_name(node.args[0])].append(node)
    return found


DECLARED = _declared()
# Walked once: every statement is looked for in all of them.
NODES = [node for tree in MODULES.values() for node in ast.walk(tree)]
LOADED = {
    _name(node)
    for node in NODES
    if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load)
}
CALLS = _calls()
QUERIES = {name: asked for name, asked in DECLARED.items() if isinstance(asked, Query)}


@pytest.fixture(scope="module")
def migrated(cluster: Cluster, template_database: str) -> Iterator[Connection]:
    """A connection to a warehouse of the newest schema, with the temporary tables that writes go
    through.
    """
    name = f"queries_{uuid4().hex}"
    opened = connect(cluster.create_database(name, template=template_database))
    with opened.cursor() as cursor:
        for asked in DECLARED.values():
            if isinstance(asked, Incoming):
                cursor.execute(asked.text)
    opened.commit()
    yield opened
    opened.close()
    cluster.drop_database(name)


def _code(path: str) -> str:
    """The statement without its comment and without what is quoted."""
    return re.sub(r"'[^']*'", "''", statement_text(path).split("\n", 1)[1])


def _is_utility(path: str) -> bool:
    """Whether it is a statement of which Postgres makes no plan."""
    return re.match(r"\s*(COPY|CREATE|GRANT|SET|TRUNCATE)", _code(path)) is not None


def _parameters(path: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", statement_text(path)))


@pytest.mark.parametrize("path", FILES)
def test_its_name_is_a_room_a_verb_and_a_noun(path: str) -> None:
    assert re.fullmatch(rf"[a-z]+/({VERBS})_[a-z]+(_[a-z]+)*", path)
    assert (ROOT / "tsad_tasks" / path.split("/")[0]).is_dir()


def test_no_two_have_one_name() -> None:
    assert [
        name for name, n in Counter(path.stem for path in FILES.values()).items() if n > 1
    ] == []


@pytest.mark.parametrize("path", FILES)
def test_it_says_its_purpose_in_one_line_on_top(path: str) -> None:
    first, second = statement_text(path).splitlines()[:2]
    assert re.fullmatch(r"-- [A-Z].{10,150}\.", first)
    assert not second.startswith("--")


@pytest.mark.parametrize("path", FILES)
def test_it_is_one_statement(path: str) -> None:
    assert ";" not in _code(path)


@pytest.mark.parametrize("path", [path for path in FILES if not _is_utility(path)])
def test_it_has_a_plan_on_the_newest_schema(migrated: Connection, path: str) -> None:
    with migrated.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement_text(path)}", defaultdict(lambda: None))
        assert cursor.fetchall()
    migrated.rollback()


@pytest.mark.parametrize(
    "path", sorted((ROOT / "sql" / "shown").glob("*.sql")), ids=lambda path: path.stem
)
def test_what_people_are_told_to_look_with_can_be_asked(migrated: Connection, path: Path) -> None:
    with migrated.cursor() as cursor:
        cursor.execute(f"EXPLAIN {path.read_text('utf-8').replace('$version', '1')}")
        assert cursor.fetchall()
    migrated.rollback()


def test_each_is_declared_once_in_its_room_and_none_is_missing() -> None:
    rooms = {(asked.path, name.split(".")[1]) for name, asked in DECLARED.items()}
    assert {path for path, room in rooms if path.split("/")[0] != room} == set()
    n_declared = Counter(asked.path for asked in DECLARED.values())
    assert [path for path, n in n_declared.items() if n > 1] == []
    assert sorted(n_declared) == sorted(FILES)


@pytest.mark.parametrize("name", DECLARED)
def test_a_declared_one_is_asked_with_exactly_its_parameters(name: str) -> None:
    wanted, own_name = _parameters(DECLARED[name].path), name.rsplit(".", 1)[1]
    assert own_name in LOADED, "Nobody asks it."
    for call in CALLS.get(own_name, ()):
        given = {keyword.arg for keyword in call.keywords}
        if None in given:
            # The rest comes from a mapping, which only a run can tell.
            assert given - {None} <= wanted
        else:
            assert given == wanted


@pytest.mark.parametrize("name", QUERIES)
def test_its_rows_are_what_it_declares(migrated: Connection, name: str) -> None:
    text = statement_text(QUERIES[name].path)
    is_select = re.search(r"^\s*(INSERT|UPDATE|DELETE)", text, re.M) is None
    with migrated.cursor() as cursor:
        # Nothing runs of a query in a subquery of which no row is wanted.
        limited = f"SELECT * FROM ({text}) AS asked LIMIT 0"  # noqa: S608
        cursor.execute(limited if is_select else text, defaultdict(lambda: None))
        columns = {column.name: column.type_code for column in cursor.description or ()}
        cursor.execute(
            "SELECT oid, typname FROM pg_type WHERE oid = ANY(%s)", ([*columns.values()],)
        )
        type_names = dict(cursor.fetchall())
    migrated.rollback()
    found = {column: PYTHON_TYPES[type_names[oid]] for column, oid in columns.items()}
    _compare(QUERIES[name].row, found)


def _compare(row: Any, found: dict[str, type]) -> None:
    if row is dict:
        return
    if not (is_dataclass(row) or is_typeddict(row) or issubclass(row, tuple)):
        assert list(found.values()) == [row]
        return
    hints = get_type_hints(row)
    names = [field.name for field in fields(row)] if is_dataclass(row) else list(hints)
    assert list(found) == names
    wrong = {name: hints[name] for name, kind in found.items() if not _holds(hints[name], kind)}
    assert wrong == {}


def _holds(hint: Any, kind: type) -> bool:
    """Whether a field's type allows for what a column gives."""
    allowed = [getattr(one, "__origin__", one) for one in (*get_args(hint), hint)]
    if kind is dict:
        # JSON may be a list as well.
        return any(isinstance(one, type) and hasattr(one, "__iter__") for one in allowed)
    if kind is str:
        # Words that only some are allowed of are enumerations.
        return any(isinstance(one, type) and issubclass(one, str) for one in allowed)
    return kind in allowed or (kind is list and tuple in allowed)
