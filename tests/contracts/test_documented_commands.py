"""Every command that a message, guide, DAG's text or dataset file proposes is one that `tsad`
takes: its name, its options, and nothing missing that it needs.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import typer

from tsad_tasks.base.places import project_folder
from tsad_tasks.cli.commands import app

ROOT = project_folder()
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
CODE = [
    path
    for folder in ("tsad_tasks", "devstack", "dags", "plugins")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
TSAD: Any = typer.main.get_command(app)
# Up to where a command goes on in a sentence: a word that follows in prose is none of it.
COMMAND = re.compile(r"(?:\.venv/bin/)?\btsad ([a-z][a-z-]*[^`\n;)]*)")
PROSE_AFTER = re.compile(
    r"(\. |\.$|, |: | \(| > | and | or | of | on | starts | says | makes | lists ).*", re.S
)
# What a row says of how somebody answered is no proposal.
NOT_PROPOSED = "answered tsad "


class Proposed(NamedTuple):
    """A command that is proposed somewhere, and whether it is only named there."""

    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: tsad {self.text}"


def _texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Texts of a module, each whole; what is filled in is the word `1`."""
    inner: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = []
            for part in node.values:
                inner.add(id(part))
                is_text = isinstance(part, ast.Constant)
                parts.append(str(part.value) if isinstance(part, ast.Constant) and is_text else "1")
            yield node.lineno, "".join(parts)
        elif isinstance(node, ast.Constant) and id(node) not in inner:
            yield node.lineno, str(node.value)


def _proposed() -> Iterator[Proposed]:
    for path in CODE:
        for line, text in _texts(ast.parse(path.read_text(encoding="utf-8"))):
            if "tsad " in text and NOT_PROPOSED not in text:
                yield from _commands(f"{path.relative_to(ROOT)}:{line}", text)
    for path in PAGES:
        for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            where = f"{path.relative_to(ROOT)}:{line}"
            if text.startswith("$ tsad "):
                yield Proposed(where, text.removeprefix("$ tsad "))
            for part in re.findall(r"`(tsad [^`]+)`", text):
                yield from _commands(where, part)


def _commands(where: str, text: str) -> Iterator[Proposed]:
    for found in COMMAND.finditer(text):
        said = PROSE_AFTER.sub("", found[1].partition(" # ")[0] + " ").strip().rstrip(".>").strip()
        if said.split()[0] in TSAD.commands:
            yield Proposed(where, said)


PROPOSED = sorted({*_proposed()})


def _error(said: str) -> str | None:
    """What is wrong with a command, if anything."""
    plain = re.sub(r"<[^>]*>|\{\w*\}|\$\w+|…", "1", said.replace("1…1", "1"))
    try:
        words = shlex.split(plain)
    except ValueError as error:
        return str(error)
    command, path = TSAD, []
    while words and hasattr(command, "commands"):
        if words[0] not in command.commands:
            return None if not path else f"no command {words[0]}"
        path.append(words[0])
        command = command.commands[words.pop(0)]
    # A command that is only named.
    if not words or hasattr(command, "commands"):
        return None
    try:
        command.make_context(" ".join(path), words)
    except Exception as error:
        return f"{type(error).__name__}: {getattr(error, 'message', error)}"
    return None


def test_commands_are_found_where_they_are_proposed() -> None:
    where = {one.where.partition(":")[0] for one in PROPOSED}
    assert len(PROPOSED) > 80
    assert {"README.md", "docs/guides/what_people_say.md", "dags/tsad_dags.py"} <= where
    assert {"tsad_tasks/ingest/late.py", "tsad_tasks/notifications/news.py"} <= where


@pytest.mark.parametrize("proposed", PROPOSED, ids=str)
def test_a_command_that_is_proposed_is_one(proposed: Proposed) -> None:
    assert _error(proposed.text) is None
