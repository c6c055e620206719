"""Words that database, forms, files and code share are declared once, in base/enums.py and in the
rules, and nowhere spelled again.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from enum import StrEnum

from tests.statements import run
from tsad_tasks.base.enums import (
    Criticality,
    Decision,
    HourStatus,
    Lineage,
    NewsEvent,
    Outcome,
    QualityVerdict,
    Severity,
    Stage,
    TrainingDecision,
    Verdict,
)
from tsad_tasks.base.places import project_folder
from tsad_tasks.base.rule import RULES
from tsad_tasks.config import json_schema

ROOT = project_folder()
STATUSES = ("score_block.status", "unscored_hour.status")
CHECKED: dict[tuple[str, ...], type[StrEnum]] = {
    STATUSES: HourStatus,
    ("anomaly.severity",): Severity,
    ("incident.severity",): Severity,
    ("alert.severity",): Severity,
    ("entity.criticality",): Criticality,
    ("channel.criticality",): Criticality,
    ("verdict.verdict",): Verdict,
    ("quality.verdict",): QualityVerdict,
    ("model_decision.decision",): Decision,
    ("training_decision.decision",): TrainingDecision,
    ("news.event",): NewsEvent,
    ("gate_decision.stage",): Stage,
    ("gate_decision.outcome",): Outcome,
}
CHECKS = """
  SELECT c.relname || '.' || a.attname, pg_get_constraintdef(k.oid)
  FROM pg_constraint k
  JOIN pg_class c ON c.oid = k.conrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'tsad'
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(k.conkey)
  WHERE k.contype = 'c' AND pg_get_constraintdef(k.oid) LIKE '%ANY (ARRAY[%'"""

# These mean other things too: only where they are compared, or said of a column, are they ours.
ORDINARY = {
    *("expected", "waiting", "off", "failed", "stopped", "partial", "scored", "live", "replay"),
    *("gate", "shadow", "met", "promoted", "declined", "approved", "asked", "gap", "stale"),
    *("hours", "windows", "incidents", "agreement", "confirmed", "superseded", "labels_found"),
    *("constant", "low", "normal", "high"),
}
WORDS = {one.value for enum in (*CHECKED.values(), Lineage) for one in enum} | {
    name for stage in Stage for name in RULES[stage]
}
COLUMNS = {"lineage", "severity", "status", "verdict", "decision", "outcome", "stage", "rule"}
HOMES = re.compile(r"base/enums\.py|(training|champions)/rules/\w+\.py")


def test_the_database_allows_for_these_words_and_no_others(warehouse_uri: str) -> None:
    allowed = {
        column: set(re.findall(r"'(\w+)'::text", text))
        for column, text in run(warehouse_uri, CHECKS)
    }
    found = {columns: set().union(*(allowed[column] for column in columns)) for columns in CHECKED}
    stored = {one for one in HourStatus if not one.is_derived}
    assert found == {columns: {*enum} for columns, enum in CHECKED.items()} | {STATUSES: stored}


def test_the_schema_of_dataset_files_has_them_from_there() -> None:
    assert json.loads(json_schema())["$defs"]["NewsEvent"]["enum"] == [*NewsEvent]


def _spelled(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Words of ours that a module spells itself, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in WORDS - ORDINARY:
            yield node.lineno, node.value
        for name, value in _said(node):
            for one in ast.walk(value):
                if isinstance(one, ast.Constant) and one.value in WORDS and name in COLUMNS:
                    yield one.lineno, one.value


def _said(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Names, and what is said of them: compared, given, or the default."""
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        names = [getattr(one, "id", getattr(one, "attr", "")) for one in sides]
        yield from ((name, side) for name in names for side in sides)
    elif isinstance(node, ast.keyword):
        yield node.arg or "", node.value
    elif isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        yield from (
            (str(key.value), value) for key, value in pairs if isinstance(key, ast.Constant)
        )
    elif isinstance(node, ast.arguments):
        positional = [*node.posonlyargs, *node.args][-len(node.defaults) :] if node.defaults else []
        yield from ((one.arg, value) for one, value in zip(positional, node.defaults, strict=True))
        for one, value in zip(node.kwonlyargs, node.kw_defaults, strict=True):
            if value is not None:
                yield one.arg, value


def test_nobody_else_spells_them() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {word}"
        for folder in ("tsad_tasks", "dags", "plugins")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not HOMES.fullmatch(path.relative_to(ROOT / folder).as_posix())
        for line, word in sorted(set(_spelled(ast.parse(path.read_text("utf-8")))))
    ]
    assert found == []
